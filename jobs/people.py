"""The gallery for one identity model, as running programs use it: asyncio outside, one thread with SQLite inside."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from facestream.errors import ModelError
from facestream.io.gallery import Gallery, Person
from facestream.io.user_data import people_file
from facestream.plugins.card import Card
from facestream.plugins.weights import with_vouched_hash
from facestream.stream.device import Bridge, Lane
from facestream.stream.known_people import KnownPeople
from facestream.stream.types import Floats

T = TypeVar("T")

SURER: Final = 0.1
"""How far a gallery's threshold lies beyond the model's own, on the way from there to 1.

A model's threshold is for two faces. Among many people somebody is always a little like a stranger: among 152 people,
the nearest embedding at sface's own 0.363 gave 22 % of the strangers a name. At 0.427 it is 1.3 %, with the rule of
:class:`~facestream.stream.known_people.KnownPeople` 1.0 %, and of a crowd 0.2 % instead of 4.4 %. The least alike two
photos of one person had 0.434 (``bench/gallery.py``).
"""


class People:
    """``async with People.open(bridge, card) as people: …``

    Every coroutine here is one transaction in the gallery's own thread. Cancelling one stops the wait, not the work: it
    is done wholly or not at all, and :attr:`known` tells which. For the errors see
    :class:`facestream.io.gallery.Gallery`.

    Attributes:
        model, sha256: whose embeddings these are.
        path: the file.
    """

    def __init__(self, lane: Lane, card: Card, path: Path) -> None:
        self.model, self.sha256 = card.name, weights_hash(card)
        self.path = path
        self._threshold = gallery_threshold(card)
        self._lane = lane
        self._opened: Gallery | None = None
        self._closed = False
        self._version = -1
        self._known = KnownPeople(np.zeros((0, 0), np.float32), [], self._threshold)

    @classmethod
    @asynccontextmanager
    async def open(cls, bridge: Bridge, card: Card, path: Path | None = None) -> AsyncIterator[People]:
        """The gallery in ``path``, by default the user's; made where there is none. Closed when the block ends.

        Args:
            card: of the identity model; it has a threshold.

        Raises:
            ModelError: nobody has named the hash of the model's weights.
            FileFormatError, OutputError: see :meth:`facestream.io.gallery.Gallery.open`.
        """
        lane = bridge.lane("people")
        people = cls(lane, card, people_file() if path is None else path)
        try:
            await people.refresh()
            yield people
        finally:
            await people.aclose()

    @property
    def known(self) -> KnownPeople:
        """Everybody that this process knows of, for recognising them. Exchanged whole when something changes."""
        return self._known

    async def list(self) -> list[Person]:
        """Everybody, by name, with the embeddings of all models."""
        return await self._lane.run(lambda: self._gallery().people())

    async def add(self, name: str, embeddings: Floats) -> int:
        """Give a person embeddings, float32 (N, D); a new person if there is nobody of that name.

        Returns: how many were new.

        Raises:
            ConfigError: the name can't be one.
            ValueError: an embedding is zero or not finite, there is none, or D isn't the model's.
        """
        return await self._changed(lambda file: file.add(name, embeddings, model=self.model, sha256=self.sha256))

    async def remove(self, *names: str) -> None:
        """Forget people, with every trace.

        Raises:
            ConfigError: there is nobody of one of the names; nobody is removed then.
        """
        await self._changed(lambda file: file.remove(*names))

    async def rename(self, name: str, to: str) -> None:
        """Give a person another name.

        Raises:
            ConfigError: there is nobody called ``name``, or somebody else is called ``to``.
        """
        await self._changed(lambda file: file.rename(name, to))

    async def merge(self, name: str, into: str) -> None:
        """All that ``name`` has becomes ``into``'s, and ``name`` is gone.

        Raises:
            ConfigError: there is nobody of one of the names, or both are the same.
        """
        await self._changed(lambda file: file.merge(name, into))

    async def refresh(self) -> bool:
        """See whether another process has changed the gallery; true if so, and :attr:`known` is exchanged."""
        return await self._lane.run(self._read)

    async def aclose(self) -> None:
        """Wait for what has begun and close the file. Safe to call twice."""
        if not self._closed:
            self._closed = True
            await self._lane.run(self._close)
        await self._lane.aclose()

    async def _changed(self, change: Callable[[Gallery], T]) -> T:
        def changed_and_read() -> T:
            result = change(self._gallery())
            self._read()
            return result

        return await self._lane.run(changed_and_read)

    # Everything below runs in the lane.

    def _gallery(self) -> Gallery:
        """The file that the path names now: it may have been deleted, or restored from a copy."""
        if self._opened is None or self._opened.replaced():
            self._close()
            self._opened, self._version = Gallery.open(self.path), -1
        return self._opened

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _read(self) -> bool:
        gallery = self._gallery()
        version = gallery.version()
        if version == self._version:
            return False
        self._known = KnownPeople(*gallery.known(self.model, self.sha256), self._threshold)
        self._version = version
        return True


def gallery_threshold(card: Card) -> float:
    """The cosine from which a face is somebody's in a gallery of many people; :data:`SURER` says why not the card's."""
    threshold = card.threshold or 0.0
    return threshold + SURER * (1 - threshold)


def weights_hash(card: Card) -> str:
    """The sha256 that a model's embeddings are filed under: of its published file, or of all their hashes.

    Raises:
        ModelError: nobody has named it.
    """
    hashes = [file.sha256 for file in with_vouched_hash(card).files]
    if not hashes or not all(hashes):
        raise ModelError(f"{card.name}: its weights have no known hash, so what it sees can't be kept; choose another")
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()

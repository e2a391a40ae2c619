"""People by name in a live session: what the gallery knows, and what is seen now.

::

    async with LiveRecognition.open(bridge, "sface", recogniser) as recognition:
        session.hub.attach(recognition)
        await recognition.name("door", 7, "ada")  # the next frame says who that is
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import numpy as np

from facestream.errors import ConfigError, FacestreamError
from facestream.io.gallery import Gallery, Person
from facestream.io.user_data import people_file
from facestream.jobs.people import People
from facestream.plugins import registry
from facestream.stream.device import Bridge
from facestream.stream.hub import Published
from facestream.stream.recognition import Recogniser
from facestream.stream.tasks import task_group

log = logging.getLogger("facestream.recognition")

CHECK_EVERY: Final = 1.0
"""Seconds between two looks at whether another process has named, renamed or forgotten somebody."""


class NamedPerson(NamedTuple):
    """Somebody in the gallery; ``looks`` counts the embeddings by which the running model knows them, maybe none."""

    name: str
    looks: int


class Follower(Protocol):
    """Who keeps names elsewhere, and has to hear what becomes of them; :class:`facestream.jobs.events.Events`."""

    def rename(self, name: str, to: str | None) -> None:
        """Somebody is called otherwise or, with None, is forgotten with every trace."""

    def known(self, name: str) -> None:
        """Somebody has been given this name."""


class LiveRecognition:
    """Joins the gallery of people with the recogniser of a live session. Lives on the event loop.

    Attach it to the session's hub: each result that passes is an occasion to see what other processes have changed, at
    most one each :data:`CHECK_EVERY` seconds. So nothing is looked at while nothing is seen.

    Args:
        people: the gallery, open for the identity model that the session runs.
        recogniser: the session's; it gets the people whenever they change.
        tasks: owns the looks at the gallery.
        clock: seconds that never decrease.

    What changes people is one transaction: cancelling stops the wait, not the work, and the picture follows with the
    next look. Each raises FileFormatError where the gallery is damaged, and OutputError where it can't be written.
    """

    def __init__(
        self,
        people: People,
        recogniser: Recogniser,
        tasks: asyncio.TaskGroup,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._people = people
        self._recogniser = recogniser
        self._tasks = tasks
        self._clock = clock
        self._followers: list[Follower] = []
        self._checking = False
        self._next_check = clock() + CHECK_EVERY
        self._trouble = ""
        self._tell()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, bridge: Bridge, model: str, recogniser: Recogniser, path: Path | None = None
    ) -> AsyncIterator[LiveRecognition]:
        """Open the gallery in ``path``, by default the user's, for the length of a block.

        Args:
            model: the identity model whose embeddings the recogniser gets.

        Raises:
            ConfigError: the model says nowhere when two faces are one person's.
            ModelError: there is no such model, or its weights have no hash.
            FileFormatError, OutputError: as :meth:`facestream.jobs.people.People.open`.
        """
        card = registry.card("identity", model)
        if card.threshold is None:
            raise ConfigError(f"{model} has no threshold for recognising people by: choose another --identity")
        async with People.open(bridge, card, path) as people:
            try:
                async with task_group() as tasks:
                    yield cls(people, recogniser, tasks)
            finally:
                recogniser.know(None)

    @property
    def model(self) -> str:
        """The identity model's name."""
        return self._people.model

    def follow(self, follower: Follower) -> None:
        """Tell ``follower`` of names that change. Of those that another process changes it hears that they are gone."""
        self._followers.append(follower)

    async def name(self, source: str, track: int, name: str) -> None:
        """Learn the face with this track id as somebody new, or as one more look of somebody known.

        Raises:
            KeyError: there is no such face, or no picture of it yet that is good enough.
            ConfigError: the name can't be one.
        """
        looks = self._recogniser.looks_of(source, track)
        sound = np.isfinite(looks).all(axis=1) & looks.any(axis=1)
        if not sound.any():
            raise KeyError(track)
        await self._people.add(name, looks[sound])
        self._tell()
        for follower in self._followers:
            follower.known(name)

    async def list(self) -> list[NamedPerson]:
        """Everybody, by name."""
        await self._look()
        return [self._named(person) for person in await self._people.list()]

    async def rename(self, name: str, to: str) -> None:
        """Give somebody another name.

        Raises:
            ConfigError: there is nobody called ``name``, or somebody else is called ``to``.
        """
        await self._people.rename(name, to)
        self._renamed(name, to)

    async def remove(self, name: str) -> None:
        """Forget somebody, with every trace.

        Raises:
            ConfigError: there is nobody of that name.
        """
        await self._people.remove(name)
        self._renamed(name, None)

    async def merge(self, name: str, into: str) -> None:
        """Two names are one person's: ``name`` is gone, and its looks are ``into``'s.

        Raises:
            ConfigError: there is nobody of one of the names, or both are the same.
        """
        await self._people.merge(name, into)
        self._renamed(name, into)

    def offer(self, result: Published) -> None:
        """A result has passed: see whether others have changed the gallery, if that is due."""
        now = self._clock()
        if self._checking or now < self._next_check:
            return
        self._checking, self._next_check = True, now + CHECK_EVERY
        self._tasks.create_task(self._check(), name="recognition.check")

    def forget(self, source: str) -> None:
        """Nothing is kept of a source here."""

    async def _check(self) -> None:
        """Look at the gallery; trouble with it is told once and doesn't touch the stream."""
        trouble = ""
        try:
            await self._look()
        except FacestreamError as error:
            trouble = str(error)
        finally:
            self._checking = False
        if trouble and trouble != self._trouble:
            log.warning("people are recognised as they were known before: %s", trouble)
        self._trouble = trouble

    async def _look(self) -> None:
        before = self._people.known.names
        if await self._people.refresh():
            there = set(self._people.known.names)
            for name in before:
                if name not in there:
                    self._renamed(name, None)
            self._tell()

    def _renamed(self, name: str, to: str | None) -> None:
        self._tell()
        for follower in self._followers:
            follower.rename(name, to)

    def _tell(self) -> None:
        self._recogniser.know(self._people.known)

    def _named(self, person: Person) -> NamedPerson:
        looks = (looks.count for looks in person.looks if (looks.model, looks.sha256) == self._key)
        return NamedPerson(person.name, sum(looks))

    @property
    def _key(self) -> tuple[str, str]:
        return self._people.model, self._people.sha256


def somebody_known_to(model: str, path: Path | None = None) -> bool:
    """Whether the gallery holds people whom that identity model could recognise. Blocks; makes no file.

    Raises:
        FileFormatError, OutputError: as :meth:`facestream.io.gallery.Gallery.open`.
    """
    path = people_file() if path is None else path
    if not path.exists():
        return False
    with Gallery.open(path, create=False) as gallery:
        return any(looks.model == model for person in gallery.people() for looks in person.looks)

"""Who each track is: a name that is given when enough of a track's embeddings agree, and that doesn't flicker. Pure."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from facestream.stream.types import Floats, FrameFaces, Recognised


class People(Protocol):
    """Whom faces may be recognised as: :class:`facestream.stream.known_people.KnownPeople`."""

    def match(self, looks: Floats) -> list[Recognised | None]:
        """The person whom each of (N, D) embeddings shows, None for a stranger or an embedding without sense."""


class Recogniser:
    """Names the tracks of any number of sources."""

    def __init__(self, known: People | None = None) -> None:
        self._known = known

    def know(self, known: People | None) -> None:
        """Exchange the people: everything visible is judged anew, and the next frame says so."""
        self._known = known

    def looks_of(self, source: str, track: int) -> Floats:
        """float32 (K, D): the best embeddings kept of a track, each of length 1; none when it is unknown."""
        return np.zeros((0, 0), np.float32)

    def forget(self, source: str) -> None:
        """Keep nothing of a source that has gone."""

    def recognise(self, faces: FrameFaces) -> tuple[Recognised | None, ...]:
        """Who each face of a tracked frame is."""
        return (None,) * len(faces)

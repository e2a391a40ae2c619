"""Who each track is: a name that is given when enough of a track's embeddings agree, and that doesn't flicker. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

import numpy as np

from facestream.stream.looks import Looks
from facestream.stream.types import Bools, Floats, FrameFaces, Recognised

_AGREE: Final = 2
"""Embeddings that have to show the same person before a track bears that name …"""

_CERTAIN: Final = 0.2
"""… unless one is as much more similar than the threshold asks for: then it is enough."""

_SHARE: Final = 0.5
"""The least share of a track's embeddings that show a person for the track to get that name …"""

_LEAST_SHARE: Final = 0.2
"""… and to keep it."""

_MARGIN: Final = 0.08
"""How much better another name, or another track with the same one, has to be."""

_RESERVED: Final = 1.0
"""Seconds for which a track that isn't visible keeps its name from others."""


class People(Protocol):
    """Whom faces may be recognised as: :class:`facestream.stream.known_people.KnownPeople`."""

    @property
    def threshold(self) -> float:
        """The least cosine similarity."""

    def match(self, looks: Floats) -> list[Recognised | None]:
        """The person whom each of (N, D) embeddings shows, None for an unknown one."""


class Evidence(NamedTuple):
    """What a track's embeddings say for one person.

    Attributes:
        votes: embeddings that show them.
        share: … of all of the track's.
        similarity: the mean over these.
        best: the most similar one.
    """

    votes: int
    share: float
    similarity: float
    best: float

    @property
    def weight(self) -> float:
        return self.share * self.similarity


@dataclass(slots=True, eq=False)
class _Named:
    """One track.

    Attributes:
        version: of its looks when it was judged; None to judge it anew.
        evidence: person → what speaks for them.
        name: its present one.
        seen: when it was last visible.
    """

    version: int | None = None
    evidence: dict[str, Evidence] = field(default_factory=dict)
    name: str | None = None
    seen: float = 0.0


@dataclass(slots=True, eq=False)
class _Source:
    looks: Looks
    tracks: dict[int, _Named] = field(default_factory=dict)


class Recogniser:
    """Names the tracks of any number of sources.

    A track gets a name when two of its embeddings, and half of them all, show the same person, or one shows them
    beyond doubt. It keeps the name until another is clearly better, hardly any of its embeddings shows that person any
    more, or the person is forgotten. Of the visible tracks of a source one at most bears a name: the one for which
    more speaks.

    Args:
        known: the people; None knows nobody.
    """

    def __init__(self, known: People | None = None) -> None:
        self._known = known
        self._sources: dict[str, _Source] = {}

    def know(self, known: People | None) -> None:
        """Exchange the people: everybody is judged anew, and each source's next frame says so."""
        self._known = known
        for source in self._sources.values():
            for track in source.tracks.values():
                track.version = None

    def looks_of(self, source: str, track: int) -> Floats:
        """float32 (K, D): the best embeddings kept of a track, each of length 1; none when it is unknown."""
        known = self._sources.get(source)
        return np.zeros((0, 0), np.float32) if known is None else known.looks.of(track)

    def forget(self, source: str) -> None:
        """Keep nothing of a source that has gone."""
        self._sources.pop(source, None)

    def recognise(
        self, faces: FrameFaces, looks: Looks, now: float, agreeing: Bools | None = None
    ) -> tuple[Recognised | None, ...]:
        """Who each face of a tracked frame is.

        Args:
            looks: the embeddings of the source's tracks.
            now: seconds of the source's time.
            agreeing: bool (N,), faces that look like their tracks in this very frame; None for all.
        """
        if faces.tracks is None:
            return (None,) * len(faces)
        source = self._sources.get(faces.frame.source)
        if source is None or source.looks is not looks:
            source = self._sources[faces.frame.source] = _Source(looks)
        source.tracks = {id_: one for id_, one in source.tracks.items() if id_ in looks}
        visible = [id_ for id_ in faces.tracks.tolist() if id_ in looks]
        for id_ in visible:
            source.tracks.setdefault(id_, _Named()).seen = now
        contenders = {id_: one for id_, one in source.tracks.items() if now - one.seen <= _RESERVED}
        for id_, one in contenders.items():
            self._judge(one, id_, looks)
        _share_out(list(contenders.values()))
        sure = [True] * len(faces) if agreeing is None else agreeing.tolist()
        return tuple(_recognised(source.tracks.get(id_), one) for id_, one in zip(faces.tracks.tolist(), sure))

    def _judge(self, track: _Named, id_: int, looks: Looks) -> None:
        """See what speaks for whom, unless nothing has changed since the last time."""
        version = looks.version(id_)
        if track.version == version:
            return
        track.version = version
        found = [] if self._known is None else self._known.match(looks.of(id_))
        threshold = 0.0 if self._known is None else self._known.threshold
        evidence = _evidence(found)
        track.evidence = {
            name: one for name, one in evidence.items() if _enough(one, threshold, is_named=name == track.name)
        }


def _evidence(found: list[Recognised | None]) -> dict[str, Evidence]:
    similarities: dict[str, list[float]] = {}
    for one in found:
        if one is not None:
            similarities.setdefault(one.name, []).append(one.similarity)
    return {
        name: Evidence(len(votes), len(votes) / len(found), sum(votes) / len(votes), max(votes))
        for name, votes in similarities.items()
    }


def _enough(evidence: Evidence, threshold: float, *, is_named: bool) -> bool:
    if is_named:
        return evidence.share >= _LEAST_SHARE
    agreed = evidence.votes >= _AGREE or evidence.best >= threshold + _CERTAIN
    return agreed and evidence.share >= _SHARE


def _share_out(tracks: Sequence[_Named]) -> None:
    """Give each track the name that most speaks for, and no name to two; who has one already keeps it in doubt."""
    claims = sorted(
        (
            (one.weight + _MARGIN * (name == track.name), -place, name)
            for place, track in enumerate(tracks)
            for name, one in track.evidence.items()
        ),
        reverse=True,
    )
    names: dict[int, str] = {}
    for _, place, name in claims:
        if -place not in names and name not in names.values():
            names[-place] = name
    for place, track in enumerate(tracks):
        if track.name != names.get(place):
            track.name, track.version = names.get(place), None  # it takes less to keep a name than to get one


def _recognised(track: _Named | None, sure: bool) -> Recognised | None:
    if track is None or track.name is None:
        return None
    return Recognised(track.name, track.evidence[track.name].similarity, sure)

"""Which faces are worth an embedding: a track's best pictures, not every frame's. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from facestream.stream.motion import Followed
from facestream.stream.types import Bools, Floats

_FORGOTTEN: Final = 10.0
"""Seconds unseen after which nothing is known of a tracklet's pictures."""


@dataclass(slots=True)
class _Pictures:
    """What was chosen of one tracklet so far.

    Attributes:
        open: since when it isn't known whom it shows: it is new, or may have become another face; None while it is.
        seen: when it was last visible.
        chosen: how many pictures.
        last: when the last one was chosen.
        best: the best one's quality.
    """

    open: float | None
    seen: float
    chosen: int = 0
    last: float = -np.inf
    best: float = 0.0


class Choice(NamedTuple):
    """About a frame's N faces.

    Attributes:
        wanted: bool (N,): the identity models are to look at it.
        awaited: bool (N,): it will be looked at soon, and isn't known until then.
    """

    wanted: Bools
    awaited: Bools


@dataclass(frozen=True, slots=True)
class ChoosingPolicy:
    """When a face is worth an embedding.

    Attributes:
        usable: the quality below which a picture isn't looked at; see :func:`facestream.faces.quality.picture_quality`.
        enough: pictures of a face that are looked at soon, whatever their quality is.
        interval: seconds between these, so that they differ.
        again: seconds between looks at a face that may be another one now.
        better: how many times as good as the best so far a later picture has to be.
        refresh: seconds after which a face is looked at again all the same.
        patience: seconds for which a face waits for a usable picture before it gets an id without one.
        at_most: faces of one frame that are looked at; the others have their turn in the next.
    """

    usable: float = 0.2
    enough: int = 4
    interval: float = 0.3
    again: float = 0.1
    better: float = 1.2
    refresh: float = 3.0
    patience: float = 0.4
    at_most: int = 8


class Chooser:
    """Chooses the faces that the identity models look at.

    A new face is looked at in its first usable picture, so that one which comes back has its old id at once; then a few
    times more; and later when a picture is clearly better than those before, when it may have become another face's
    (two crossed, or it was away), and now and then.
    """

    def __init__(self, policy: ChoosingPolicy | None = None) -> None:
        self._policy = policy or ChoosingPolicy()
        self._sources: dict[str, dict[int, _Pictures]] = {}

    def choose(self, source: str, followed: Followed, unsettled: Bools, qualities: Floats) -> Choice:
        """Decide about one frame.

        Args:
            followed: what motion says about its faces.
            unsettled: bool (N,), faces of which it isn't known whom they show.
            qualities: float32 (N,) in 0..1.
        """
        policy, now = self._policy, followed.now
        known = self._known(source, followed)
        count = len(qualities)
        worth, awaited = np.zeros(count), np.zeros(count, np.bool_)
        for face, pictures in known.items():
            doubtful = bool(not pictures.chosen or unsettled[face] or followed.resumed[face])
            pictures.open = (now if pictures.open is None else pictures.open) if doubtful else None
            if not (followed.crowded[face] and pictures.chosen):  # two faces in one picture prove nothing
                worth[face] = self._worth(pictures, float(qualities[face]), now)
            awaited[face] = pictures.open is not None and now - pictures.open < policy.patience
        order = np.argsort(-worth, kind="stable")[: policy.at_most]
        wanted = np.zeros(count, np.bool_)
        wanted[order] = worth[order] > 0.0
        for face in np.flatnonzero(wanted).tolist():
            pictures = known[face]
            pictures.chosen += 1
            pictures.last, pictures.best = now, max(pictures.best, float(qualities[face]))
        return Choice(wanted, awaited & ~wanted)

    def forget(self, source: str) -> None:
        """Keep nothing of a source that has gone."""
        self._sources.pop(source, None)

    def _known(self, source: str, followed: Followed) -> dict[int, _Pictures]:
        """The pictures of each face that has a tracklet; those of tracklets that have gone are forgotten."""
        now = followed.now
        kept = {key: one for key, one in self._sources.get(source, {}).items() if now - one.seen <= _FORGOTTEN}
        self._sources[source] = kept
        known = {face: kept.setdefault(key, _Pictures(now, now)) for face, key in _tracklets(followed)}
        for pictures in known.values():
            pictures.seen = now
        return known

    def _worth(self, pictures: _Pictures, quality: float, now: float) -> float:
        """How much a look would tell; 0 if it isn't worth one. New faces come first, then doubtful ones."""
        policy, waited = self._policy, now - pictures.last
        if quality < policy.usable:
            return 0.0
        if not pictures.chosen:
            return 3.0 + quality
        if pictures.open is not None:
            return 2.0 + quality if waited >= policy.again else 0.0
        if waited < policy.interval:
            return 0.0
        if pictures.chosen < policy.enough or quality >= policy.better * pictures.best or waited >= policy.refresh:
            return quality
        return 0.0


def _tracklets(followed: Followed) -> list[tuple[int, int]]:
    """Place and key of the faces that have a tracklet."""
    return [(face, key) for face, key in enumerate(followed.keys.tolist()) if key >= 0]

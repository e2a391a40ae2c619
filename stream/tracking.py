"""Which face is whose: boxes and embeddings of one source → track ids, frame after frame. Pure.

In two halves, because embeddings cost much and not every picture of a face needs one. :meth:`Tracker.follow` tells by
motion alone which box continues which tracklet (:mod:`facestream.stream.motion`). Whoever runs the models then has some
faces looked at, and :meth:`Tracker.identify` makes ids of the tracklets: an id belongs to a person rather than to a
motion, so it goes on when the face comes back, and moves when looks say that two faces were taken for each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import linear_sum_assignment

from facestream.stream.looks import Looks, unit
from facestream.stream.motion import Followed, Motion
from facestream.stream.types import Bools, Floats, Longs

UNCONFIRMED: Final = -1

_SOMEONE_ELSE: Final = 0.2
"""Cosine similarity below which a face isn't the one that its track has shown so far."""

_KEEPING: Final = 0.1
"""What the id that a tracklet has counts more than another."""

_POOR: Final = 0.1
"""The quality below which a picture proves nothing."""

_FORGOTTEN: Final = 10.0
"""Seconds unseen after which nothing is known of a tracklet; its motion was given up long before."""


@dataclass(slots=True, eq=False)
class _Tracklet:
    """What is known about one tracklet.

    Attributes:
        id: the track that it is part of, -1 while that isn't decided.
        settled: its looks were compared since it began, and since it may have passed to another face.
        seen: when it was last visible.
    """

    id: int = UNCONFIRMED
    settled: bool = False
    seen: float = 0.0


@dataclass(slots=True, eq=False)
class _Sight:
    """One tracklet in one frame.

    Attributes:
        place: which of the frame's faces it is.
        look: its embedding, of length 1; None where it wasn't looked at.
        likeness: the look's similarity to those of its track; None where one of them is missing.
        crowded: another face is so near that the look may show that one.
    """

    tracklet: _Tracklet
    place: int
    look: Floats | None = None
    likeness: float | None = None
    crowded: bool = False


class Tracker:
    """Follows the faces of one source.

    A face gets its id in the frame in which motion is sure of it (see :class:`facestream.stream.motion.Motion`), unless
    a look at it is awaited.

    Args:
        next_id: gives the next unused id. It is asked when a face is confirmed, so ghosts leave no gaps.
        strong, clear, memory: see :class:`facestream.stream.motion.Motion`.
        same_person: cosine similarity from which two embeddings are one person.
        gallery: seconds for which a face that left is known by its embeddings.

    Attributes:
        looks: the best embeddings of each track.
    """

    def __init__(
        self,
        next_id: Callable[[], int],
        *,
        strong: float = 0.5,
        clear: float = 0.8,
        memory: float = 2.0,
        same_person: float = 0.45,
        gallery: float = 120.0,
    ) -> None:
        self._next_id = next_id
        self._same_person = same_person
        self._motion = Motion(strong=strong, clear=clear, memory=memory)
        self._tracklets: dict[int, _Tracklet] = {}
        self.looks = Looks(memory=gallery)

    def update(self, boxes: Floats, scores: Floats, pts: float, embeddings: Floats | None = None) -> Longs:
        """Both halves at once: int64 (N,) track ids, -1 where a face isn't confirmed."""
        return self.identify(self.follow(boxes, scores, pts), embeddings)

    def follow(self, boxes: Floats, scores: Floats, pts: float) -> Followed:
        """Take the next frame's faces; see :meth:`facestream.stream.motion.Motion.follow`."""
        return self._motion.follow(boxes, scores, pts)

    def unsettled(self, keys: Longs) -> Bools:
        """bool (N,): tracklets about which a look would tell something: nobody knows yet whom they show."""
        known = {key for key, tracklet in self._tracklets.items() if tracklet.settled}
        return np.array([key >= 0 and key not in known for key in keys.tolist()], np.bool_)

    def identify(
        self,
        followed: Followed,
        embeddings: Floats | None = None,
        qualities: Floats | None = None,
        awaited: Bools | None = None,
    ) -> Longs:
        """Make ids of a frame's tracklets, frames in the order in which they were followed.

        Args:
            embeddings: float32 (N, D), NaN for a face that wasn't looked at. A face that comes back from out of the
                motion's reach gets its old id by it, and faces that were taken for each other get their own back.
            qualities: float32 (N,) in 0..1, how good the pictures are: the best are kept, and poor ones prove nothing.
            awaited: bool (N,): a new face that will be looked at soon. It gets no id before.

        Returns:
            int64 (N,): track ids, -1 where a face isn't confirmed.
        """
        count = len(followed.keys)
        quality = np.ones(count, np.float32) if qualities is None else qualities
        waiting = np.zeros(count, np.bool_) if awaited is None else awaited
        sights = self._sights(followed, embeddings)
        seen = [sight for sight in sights if sight.look is not None and quality[sight.place] >= _POOR]
        self._decide(seen, sights)
        ids = np.full(count, UNCONFIRMED, np.int64)
        for sight in sights:
            if sight.tracklet.id < 0 and followed.sure[sight.place] and not waiting[sight.place]:
                sight.tracklet.id = self._next_id()
            ids[sight.place] = sight.tracklet.id
        self._remember(seen, quality, followed.now)
        self.looks.seen(ids, followed.now)
        return ids

    def reset(self, elapsed: float = 0.0) -> None:
        """Forget every motion, after ``elapsed`` seconds in which nothing was seen: what is seen next are new faces,
        unless their looks are known.
        """
        self._motion.reset(elapsed)

    def _sights(self, followed: Followed, embeddings: Floats | None) -> list[_Sight]:
        """The frame's tracklets, the oldest first, so that new ids don't depend on the order of the boxes."""
        now = followed.now
        self._tracklets = {key: one for key, one in self._tracklets.items() if now - one.seen <= _FORGOTTEN}
        looks = None if embeddings is None else unit(embeddings)
        sights = []
        for place in np.argsort(followed.keys, kind="stable").tolist():
            if followed.keys[place] < 0:
                continue
            sight = _Sight(self._tracklets.setdefault(int(followed.keys[place]), _Tracklet()), place)
            sight.tracklet.seen = now
            sight.crowded = bool(followed.crowded[place])
            sight.tracklet.settled &= not (sight.crowded or followed.resumed[place])
            if looks is not None and looks[place].any():
                sight.look = looks[place]
                sight.likeness = self._likeness_to_itself(sight.tracklet, looks[place])
            sights.append(sight)
        return sights

    def _likeness_to_itself(self, tracklet: _Tracklet, look: Floats) -> float | None:
        if tracklet.id not in self.looks:
            return None
        return float(self.looks.similarity(look[None], [tracklet.id])[0, 0])

    def _decide(self, seen: list[_Sight], sights: list[_Sight]) -> None:
        """Decide by their looks which tracks the tracklets are part of that are open: those not settled.

        All of them are compared with all tracks that no other visible tracklet has, and the best assignment counts.
        """
        open_ = [sight for sight in seen if not sight.tracklet.settled]
        if not open_:
            return
        taken = {sight.tracklet.id for sight in sights if sight not in open_}
        tracks = [track for track in self.looks.tracks() if track not in taken]
        for sight, track in zip(open_, self._assigned(open_, tracks)):
            sight.tracklet.settled = not sight.crowded
            if track is not None:
                self._move(sight, track)
            elif sight.likeness is not None and not sight.crowded:
                sight.tracklet.id, sight.likeness = UNCONFIRMED, None  # neither who it was nor another that is known

    def _assigned(self, sights: list[_Sight], tracks: list[int]) -> list[int | None]:
        """Which of ``tracks`` each sight shows, None for a face that isn't known."""
        similarity = self.looks.similarity(np.stack([sight.look for sight in sights if sight.look is not None]), tracks)
        similarity[similarity < self._same_person] = 0.0
        for row, sight in enumerate(sights):
            if sight.likeness is not None and sight.likeness >= _SOMEONE_ELSE and sight.tracklet.id in tracks:
                similarity[row, tracks.index(sight.tracklet.id)] = sight.likeness + _KEEPING
        found: list[int | None] = [None] * len(sights)
        for place, column in zip(*linear_sum_assignment(similarity, maximize=True)):
            if similarity[place, column] > 0.0:
                found[place] = tracks[column]
        return found

    def _move(self, sight: _Sight, track: int) -> None:
        """The face goes on as ``track``; whatever was that before is nobody's now."""
        if track != sight.tracklet.id:
            for other in self._tracklets.values():
                if other.id == track:
                    other.id, other.settled = UNCONFIRMED, False
            sight.tracklet.id, sight.likeness = track, None

    def _remember(self, seen: list[_Sight], quality: Floats, now: float) -> None:
        """Keep the looks of which it is certain whom they show. One that shows someone else is looked at again."""
        for sight in seen:
            tracklet, look = sight.tracklet, sight.look
            if look is None or tracklet.id < 0:
                continue
            if sight.likeness is not None and sight.likeness < _SOMEONE_ELSE:
                tracklet.settled = False
            elif not sight.crowded or tracklet.id not in self.looks:
                self.looks.remember(tracklet.id, look, float(quality[sight.place]), now)

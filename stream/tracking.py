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
from facestream.stream.types import Bools, Doubles, Floats, Longs

UNCONFIRMED: Final = -1

_SOMEONE_ELSE: Final = 0.5
"""The share of the similarity of one person's faces below which a face isn't the one that its track has shown."""

_CERTAIN: Final = 0.875
"""The share of it, to the looks of its track, below which a look isn't kept: it may be half of another face."""

_KEEPING: Final = 0.1
"""What the id that a tracklet has counts more than another."""

_YOUNG: Final = 3.0
"""Seconds after its first look for which a track may turn out to be an older one that came back."""

_CONTRADICTED: Final = (1.0, 0.3)
"""Seconds for which a face has to look unlike every known one to be a new one: as a rule, and after a gap."""

_AGAIN: Final = 0.5
"""Seconds for which no look may have been doubtful before one that agrees makes sure: a single one may be chance."""

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
        unlike: since when it has looked like someone else; None while it doesn't.
        agreed: when it was last seen for sure to look like what its track has shown so far.
        doubted: when a look at it didn't show that.
    """

    id: int = UNCONFIRMED
    settled: bool = False
    seen: float = 0.0
    unlike: float | None = None
    agreed: float = -np.inf
    doubted: float = -np.inf


@dataclass(slots=True, eq=False)
class _Sight:
    """One tracklet in one frame, looked at.

    Attributes:
        look: its embedding, of length 1.
        quality: of the picture, 0..1.
        likeness: the look's similarity to those of its track; None where there are none.
        same_person: the similarity from which two looks are one person's.
    """

    tracklet: _Tracklet
    look: Floats
    quality: float
    likeness: float | None
    same_person: float

    @property
    def like_itself(self) -> bool:
        return self.likeness is not None and self.likeness >= _SOMEONE_ELSE * self.same_person

    @property
    def certain(self) -> bool:
        return self.likeness is not None and self.likeness >= _CERTAIN * self.same_person


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
        same_person: float = 0.4,
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
        self.looks.forget(followed.now)
        tracklets = self._tracklets_of(followed)
        sights = [] if embeddings is None else self._sights(followed, tracklets, unit(embeddings), quality)
        self._decide(sights, tracklets, followed.now)
        self._reunite(sights, tracklets, followed.now)
        ids = np.full(count, UNCONFIRMED, np.int64)
        for place, tracklet in tracklets.items():
            if tracklet.id < 0 and followed.sure[place] and not waiting[place]:
                tracklet.id = self._next_id()
            ids[place] = tracklet.id
        self._remember(sights, [one.id for one in tracklets.values()], followed.now)
        self.looks.seen(ids, followed.now)
        return ids

    def agreeing(self, followed: Followed) -> Bools:
        """bool (N,): faces of the frame that was identified last whose looks in it are those of their tracks.

        Others weren't looked at, or in a poor picture or a crowd, or a look has been doubtful just now: who they are is
        known by where they are, if at all.
        """
        known = {key for key, tracklet in self._tracklets.items() if tracklet.agreed == followed.now}
        return np.array([key in known for key in followed.keys.tolist()], np.bool_)

    def reset(self, elapsed: float = 0.0) -> None:
        """Forget every motion, after ``elapsed`` seconds in which nothing was seen: what is seen next are new faces,
        unless their looks are known.
        """
        self._motion.reset(elapsed)

    def _tracklets_of(self, followed: Followed) -> dict[int, _Tracklet]:
        """Place → tracklet, the oldest first, so that new ids don't depend on the order of the boxes."""
        now = followed.now
        self._tracklets = {key: one for key, one in self._tracklets.items() if now - one.seen <= _FORGOTTEN}
        visible = {}
        for place in np.argsort(followed.keys, kind="stable").tolist():
            if followed.keys[place] >= 0:
                visible[place] = tracklet = self._tracklets.setdefault(int(followed.keys[place]), _Tracklet())
                tracklet.seen = now
                tracklet.settled &= not (followed.crowded[place] or followed.resumed[place])
        return visible

    def _sights(
        self, followed: Followed, tracklets: dict[int, _Tracklet], looks: Floats, quality: Floats
    ) -> list[_Sight]:
        """The looks that prove something: of a face in a crowd only if nothing is known of it yet."""
        return [
            _Sight(
                tracklet,
                looks[place],
                float(quality[place]),
                self._likeness_to_itself(tracklet, looks[place]),
                self._same_person,
            )
            for place, tracklet in tracklets.items()
            if looks[place].any() and quality[place] >= _POOR and (tracklet.id < 0 or not followed.crowded[place])
        ]

    def _likeness_to_itself(self, tracklet: _Tracklet, look: Floats) -> float | None:
        if tracklet.id not in self.looks:
            return None
        return float(self.looks.similarity(look[None], [tracklet.id])[0, 0])

    def _decide(self, sights: list[_Sight], tracklets: dict[int, _Tracklet], now: float) -> None:
        """Decide by their looks which tracks the open tracklets are part of.

        Open is one that isn't settled or doesn't look like itself. All of them are compared with all tracks that no
        other visible tracklet has, and the best assignment counts.
        """
        open_ = [sight for sight in sights if not (sight.tracklet.settled and sight.certain)]
        if not open_:
            return
        decided = {id(sight.tracklet) for sight in open_}
        taken = {one.id for one in tracklets.values() if id(one) not in decided}
        tracks = [track for track in self.looks.tracks() if track not in taken]
        for sight, track in zip(open_, self._assigned(open_, tracks)):
            if track is not None:
                sight.likeness = sight.likeness if track == sight.tracklet.id else None  # there's nothing to compare to
                self._move(sight.tracklet, track)
            elif sight.likeness is not None:
                self._doubt(sight, now)

    def _assigned(self, sights: list[_Sight], tracks: list[int]) -> list[int | None]:
        """Which of ``tracks`` each sight shows, None for a face that isn't known."""
        similarity = np.stack([self._similarity(sight, tracks) for sight in sights])
        found: list[int | None] = [None] * len(sights)
        for place, column in zip(*linear_sum_assignment(similarity, maximize=True)):
            if similarity[place, column] > 0.0:
                found[place] = tracks[column]
        return found

    def _similarity(self, sight: _Sight, tracks: list[int]) -> Doubles:
        """(T,) to the tracks, 0 where it isn't enough. The track that a tracklet is part of counts more."""
        similarity = np.asarray(self.looks.similarity(sight.look[None], tracks)[0], np.float64)
        similarity[similarity < self._same_person] = 0.0
        if sight.like_itself:
            similarity[tracks.index(sight.tracklet.id)] = (sight.likeness or 0.0) + _KEEPING
        return similarity

    def _reunite(self, sights: list[_Sight], tracklets: dict[int, _Tracklet], now: float) -> None:
        """Young tracks of which everything seen so far is similar to an older one that isn't visible are that one."""
        visible = {one.id for one in tracklets.values()}
        for sight in sights:
            own = sight.tracklet.id
            if not sight.like_itself or own not in self.looks or now - self.looks.since(own) >= _YOUNG:
                continue
            since = self.looks.since(own)
            older = [track for track in self.looks.tracks() if track not in visible and self.looks.since(track) < since]
            rows = np.concatenate([self.looks.of(own), sight.look[None]])
            similarity = self.looks.similarity(rows, older).mean(axis=0)
            if len(older) and similarity.max() >= self._same_person:
                track = older[int(similarity.argmax())]
                self.looks.join(own, track)
                self._move(sight.tracklet, track)
                visible.add(track)

    def _move(self, tracklet: _Tracklet, track: int) -> None:
        """The face goes on as ``track``; whatever was that before is nobody's now."""
        if track != tracklet.id:
            for other in self._tracklets.values():
                if other.id == track:
                    other.id, other.settled = UNCONFIRMED, False
        tracklet.id, tracklet.settled, tracklet.unlike = track, True, None

    def _doubt(self, sight: _Sight, now: float) -> None:
        """The face looks like no known one, its own track's included: after a while it is somebody new."""
        tracklet = sight.tracklet
        if tracklet.unlike is None:
            tracklet.unlike = now
        if now - tracklet.unlike >= _CONTRADICTED[not tracklet.settled]:
            tracklet.id, tracklet.unlike, sight.likeness = UNCONFIRMED, None, None

    def _remember(self, sights: list[_Sight], visible: list[int], now: float) -> None:
        """Keep the looks of which it is certain whom they show."""
        for sight, rival in zip(sights, self._rivals(sights, visible)):
            tracklet = sight.tracklet
            if not (sight.likeness is None or (sight.likeness >= self._same_person and sight.likeness > rival)):
                tracklet.doubted = now
            elif now - tracklet.doubted > _AGAIN:
                tracklet.agreed = now
            if tracklet.id >= 0 and (sight.likeness is None or sight.like_itself):
                tracklet.settled, tracklet.unlike = True, None
                if sight.likeness is None or (sight.certain and sight.likeness > rival):
                    self.looks.remember(tracklet.id, sight.look, sight.quality, now)

    def _rivals(self, sights: list[_Sight], visible: list[int]) -> list[float]:
        """How much each sight looks like the one of the other visible tracks that it is most like; -1 without any."""
        tracks = [track for track in visible if track in self.looks]
        if not sights or not tracks:
            return [-1.0] * len(sights)
        similarity = self.looks.similarity(np.stack([sight.look for sight in sights]), tracks)
        own = np.array([[sight.tracklet.id == track for track in tracks] for sight in sights])
        return np.where(own, -1.0, similarity).max(axis=1).tolist()  # type: ignore[no-any-return]

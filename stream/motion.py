"""Which box continues which: boxes of one source → tracklets, frame after frame. Pure; time is the source's own.

A tracklet is a face followed by where it goes, without a look at whom it shows.

Three ideas of the field, made for faces, which are small, far apart and turn away often:

* a motion model predicts where each face is now, and an optimal assignment of boxes to predictions decides who
  is who (SORT: Bewley et al., "Simple Online and Realtime Tracking", 2016);
* boxes of low score may continue a fresh track but never start one (ByteTrack: Zhang et al., "ByteTrack:
  Multi-Object Tracking by Associating Every Detection Box", 2022);
* after a gap the motion is taken from the two observations around it, not from a filter that was drifting
  meanwhile (OC-SORT: Cao et al., "Observation-Centric SORT", 2023).

They are written here rather than taken from a tracker library because those count in frames and measure by
overlap alone. A live source drops frames, so memory, noise and reach are in seconds; and a face moves by more
than its own width between two frames of a slow camera, so nearness counts beside overlap. The assignment is
scipy's ``linear_sum_assignment``: exact, and 10 µs for ten faces.
"""

from __future__ import annotations

from math import exp
from typing import Final, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from facestream.stream.types import Bools, Doubles, Floats, Longs

NOBODY: Final = -1

_PERIOD: Final = 0.04  # s, for a source whose clock stands still
_DAMPING: Final = 0.25  # s: heads don't keep their speed for long
_ACCELERATION: Final = 20.0  # face sizes/s², the motion's noise
_BOX_NOISE: Final = 0.05  # face sizes, the detector's noise
_FIRST_SPEED: Final = 4.0  # face sizes/s, the spread of what a new face may do
_SIZE_GAIN: Final = 0.4  # the weight of a new box's width and height
_REACH: Final = (1.2, 6.0, 4.0)  # face sizes: at once, more for each second unseen, at most
_SIZE_RATIO: Final = 1.6  # a face doesn't grow or shrink by more in one step
_TENTATIVE_MEMORY: Final = 0.3  # s
_WEAK_MEMORY: Final = 0.5  # s: a weak box continues only what was seen just now
_SAME_BOX: Final = 0.5  # IoU
_GAP: Final = 0.3  # s unseen, after which it may be another face that appears there
_RIVAL: Final = 0.4  # share of a pair's likeness from which another pair is its rival
_NESTED: Final = (0.9, 0.6)  # share of the smaller box inside the larger, ratio of their sizes


class Followed(NamedTuple):
    """What motion says about a frame's N boxes.

    Attributes:
        keys: int64 (N,), each box's tracklet, -1 for none. A later tracklet has a larger key; none is used again.
        sure: bool (N,): the tracklet is a face for certain: a clear box began it, or a second one continued it.
        resumed: bool (N,): it wasn't seen for a while, so another face may have appeared where it was expected.
        crowded: bool (N,): another face was so near that the two may have been taken for each other.
        now: seconds of the source's time, never backwards.
    """

    keys: Longs
    sure: Bools
    resumed: Bools
    crowded: Bools
    now: float


class Motion:
    """Follows the faces of one source.

    A clear face (score ≥ ``clear``) is sure in the frame in which it appears, any other in its second frame: a viewer
    sees no delay, and a faint ghost of one frame is nobody. A face not seen for ``memory`` seconds is given up.

    Args:
        strong: the score from which a box may start a tracklet.
        clear: the score from which a tracklet is sure at once.
        memory: seconds for which an unseen face is looked for around where it went.
    """

    def __init__(self, *, strong: float = 0.5, clear: float = 0.8, memory: float = 2.0) -> None:
        self._strong = strong
        self._clear = clear
        self._memory = memory
        self._tracks = _Tracks()
        self._next_key = 0
        self._pts: float | None = None
        self._now = 0.0

    def follow(self, boxes: Floats, scores: Floats, pts: float) -> Followed:
        """Take the next frame's faces.

        Args:
            boxes: float32 (N, 4) left, top, right, bottom in frame pixels, in any order. A box that isn't finite or
                has no area gets no tracklet, and the weaker of two boxes of one face never starts one.
            scores: float32 (N,) in 0..1.
            pts: seconds in the source's time. A clock that jumps back by more than a second starts afresh.
        """
        elapsed = self._advance(pts)
        self._tracks.keep(self._now - self._tracks.seen <= self._limits())
        self._tracks.predict(elapsed)
        followed = _nobody(len(boxes), self._now)
        found = self._examine(boxes, scores)
        if len(found.order):
            rows = self._match(found, elapsed, followed)
            self._start(found, rows)
            places, rows = found.order[rows >= 0], rows[rows >= 0]
            followed.keys[places], followed.sure[places] = self._tracks.keys[rows], self._tracks.sure[rows]
        return followed

    def reset(self, elapsed: float = 0.0) -> None:
        """Forget every motion, after ``elapsed`` seconds in which nothing was seen: what is seen next are new faces."""
        self._tracks = _Tracks()
        self._pts = None
        self._now += elapsed

    def _advance(self, pts: float) -> float:
        """Move the clock on; the seconds since the last frame."""
        if self._pts is not None and pts < self._pts - 1.0:
            self.reset()
        elapsed = _PERIOD if self._pts is None or not pts > self._pts else pts - self._pts
        self._pts = pts
        self._now += elapsed
        return elapsed

    def _limits(self) -> Doubles:
        return np.where(self._tracks.sure, self._memory, min(_TENTATIVE_MEMORY, self._memory))

    def _examine(self, boxes: Floats, scores: Floats) -> _Found:
        # One order whatever the caller's, so that ties and new ids don't depend on it.
        order = np.lexsort((scores, boxes[:, 3], boxes[:, 2], boxes[:, 1], boxes[:, 0]))
        wide = boxes[order].astype(np.float64)
        extents = wide[:, 2:] - wide[:, :2]
        usable = np.asarray(np.isfinite(wide).all(axis=1) & (extents > 0).all(axis=1))
        if not usable.all():
            order, wide, extents = order[usable], wide[usable], extents[usable]
        confidence = scores[order]
        strong = confidence >= self._strong
        if len(order) > 1:
            strong &= ~_duplicates(wide, extents, confidence)
        return _Found(order, wide, wide[:, :2] + extents / 2, extents, strong, strong & (confidence >= self._clear))

    def _match(self, found: _Found, elapsed: float, followed: Followed) -> Longs:
        """Continue tracklets, first with strong boxes, then with weak ones: each box's row, or -1."""
        tracks = self._tracks
        rows = np.full(len(found.order), -1, np.int64)
        if not len(tracks.keys):
            return rows
        unseen = self._now - tracks.seen
        likeness = _likeness(tracks, found, unseen)
        if found.strong.all():
            _assign(likeness, rows)
        else:
            _assign(np.where(found.strong[None], likeness, 0.0), rows)
            free = np.ones(len(tracks.keys), np.bool_)
            free[rows[rows >= 0]] = False
            free &= unseen <= _WEAK_MEMORY
            _assign(np.where(free[:, None] & ~found.strong[None], likeness, 0.0), rows)
        boxes = np.flatnonzero(rows >= 0)
        continued = rows[boxes]
        followed.resumed[found.order[boxes]] = unseen[continued] > max(_GAP, 1.5 * elapsed)
        followed.crowded[found.order[boxes]] = _rivalled(likeness, continued, boxes)
        tracks.observe(continued, found, boxes, self._now)
        tracks.sure[continued] = True
        return rows

    def _start(self, found: _Found, rows: Longs) -> None:
        """Start tracklets for strong boxes that continue none."""
        new = np.flatnonzero((rows < 0) & found.strong)
        if not len(new):
            return
        rows[new] = len(self._tracks.keys) + np.arange(len(new))
        self._tracks.add(found, new, self._next_key + np.arange(len(new)), self._now)
        self._next_key += len(new)


def _nobody(count: int, now: float) -> Followed:
    no = np.zeros((3, count), np.bool_)
    return Followed(np.full(count, NOBODY, np.int64), no[0], no[1], no[2], now)


class _Found(NamedTuple):
    """A frame's M usable boxes."""

    order: Longs  # which of the given boxes they are
    boxes: Doubles  # (M, 4)
    centres: Doubles  # (M, 2)
    extents: Doubles  # (M, 2) width, height
    strong: Bools  # may start a track, or continue one after a gap
    clear: Bools  # may confirm it, too


class _Tracks:
    """The motion of T faces as parallel arrays: one filter step for all of them costs what one alone costs.

    Position and speed follow a Kalman filter of constant, slowly forgotten speed (an Ornstein-Uhlenbeck
    process, which is exact for any time step). Its noise is in face sizes, so x and y share one covariance.
    """

    def __init__(self) -> None:
        self.keys: Longs = np.zeros(0, np.int64)
        self.sure: Bools = np.zeros(0, np.bool_)
        self.seen = np.zeros(0)  # when last observed
        self.observed = np.zeros((0, 2))  # where
        self.centres = np.zeros((0, 2))  # where it is expected now
        self.extents = np.zeros((0, 2))
        self.speeds = np.zeros((0, 2))  # pixels/s
        self.covariances = np.zeros((0, 3))  # of position, of both, of speed; in face sizes²

    def keep(self, mask: Bools) -> None:
        if not mask.all():
            for name, rows in vars(self).items():
                setattr(self, name, rows[mask])

    def predict(self, elapsed: float) -> None:
        kept = exp(-elapsed / _DAMPING)
        travel = _DAMPING * (1.0 - kept)
        self.centres += travel * self.speeds
        self.speeds *= kept
        noise = _ACCELERATION**2 * min(elapsed, 1.0)
        place, cross, speed = self.covariances.T
        place += travel * (2 * cross + travel * speed) + noise * elapsed**2 / 3
        cross += (kept - 1.0) * cross + kept * travel * speed + noise * elapsed / 2
        speed += (kept * kept - 1.0) * speed + noise

    def observe(self, rows: Longs, found: _Found, boxes: Longs, now: float) -> None:
        """Correct the tracks at ``rows`` by the boxes found for them."""
        if not len(rows):
            return
        if len(self.keys) == 1:
            self._observe(slice(None), found.centres[boxes], found.extents[boxes], now)  # nothing to look up, or copy
        else:
            self._observe(rows, found.centres[boxes], found.extents[boxes], now)

    def _observe(self, rows: Longs | slice, centres: Doubles, extents: Doubles, now: float) -> None:
        place, cross, speed = self.covariances[rows].T
        total = place + _BOX_NOISE**2
        gain, speed_gain = place / total, cross / total
        residual = centres - self.centres[rows]
        speeds = self.speeds[rows] + speed_gain[:, None] * residual
        gap = now - self.seen[rows]
        lost = gap > 2.5 * max(float(gap.min()), _PERIOD)
        if lost.any():
            speeds[lost] = (centres[lost] - self.observed[rows][lost]) / gap[lost, None]
        self.centres[rows] += gain[:, None] * residual
        self.speeds[rows] = speeds
        covariances = place * (1 - gain), cross * (1 - gain), speed - speed_gain * cross
        self.covariances[rows] = np.array(covariances).T
        self.extents[rows] += _SIZE_GAIN * (extents - self.extents[rows])
        self.observed[rows] = centres
        self.seen[rows] = now

    def add(self, found: _Found, boxes: Longs, keys: Longs, now: float) -> None:
        count = len(boxes)
        first = np.tile([_BOX_NOISE**2, 0.0, _FIRST_SPEED**2], (count, 1))
        self.keys = np.concatenate([self.keys, keys])
        self.sure = np.concatenate([self.sure, found.clear[boxes]])
        self.seen = np.concatenate([self.seen, np.full(count, now)])
        self.observed = np.concatenate([self.observed, found.centres[boxes]])
        self.centres = np.concatenate([self.centres, found.centres[boxes]])
        self.extents = np.concatenate([self.extents, found.extents[boxes]])
        self.speeds = np.concatenate([self.speeds, np.zeros((count, 2))])
        self.covariances = np.concatenate([self.covariances, first])


def _overlaps(a: Doubles, b: Doubles) -> Doubles:
    """(A, 4), (B, 4) → the (A, B) areas that they share."""
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    return _areas(np.maximum(sides, 0.0))


def _areas(extents: Doubles) -> Doubles:
    """(…, 2) widths and heights → (…)."""
    areas: Doubles = extents[..., 0] * extents[..., 1]
    return areas


def _duplicates(boxes: Doubles, extents: Doubles, scores: Floats) -> Bools:
    """bool (M,): boxes that show a face which a box of better score shows already."""
    shared = _overlaps(boxes, boxes)
    areas = _areas(extents)
    smaller = np.minimum(areas[:, None], areas[None])
    larger = np.maximum(areas[:, None], areas[None])
    same = shared > _SAME_BOX * (smaller + larger - shared)
    nested = (shared > _NESTED[0] * smaller) & (smaller > _NESTED[1] ** 2 * larger)
    rank = np.empty(len(scores), np.int64)
    rank[np.argsort(-scores, kind="stable")] = np.arange(len(scores))
    return np.asarray(((same | nested) & (rank[None] < rank[:, None])).any(axis=1))


def _likeness(tracks: _Tracks, found: _Found, unseen: Doubles) -> Doubles:
    """(T, M) in 0..1: how well each box continues each track; 0 where it can't.

    Overlap counts half, nearness the other half, measured against the reach that the time unseen allows. A
    box of another size, or a track unseen for long, counts less.
    """
    half = tracks.extents / 2
    shared = _overlaps(np.concatenate([tracks.centres - half, tracks.centres + half], axis=1), found.boxes)
    track_areas, box_areas = _areas(tracks.extents)[:, None], _areas(found.extents)[None]
    overlap = shared / (track_areas + box_areas - shared)
    step = tracks.centres[:, None] - found.centres[None]
    at_once, more, most = _REACH
    reach = np.minimum(at_once + more * unseen, most)[:, None]
    nearness = 1.0 - np.hypot(step[..., 0], step[..., 1]) / ((track_areas * box_areas) ** 0.25 * reach)
    growth = np.abs(np.log(track_areas / box_areas)) / (2 * np.log(_SIZE_RATIO))
    likeness = (overlap + nearness) / 2 * (1.0 - 0.5 * growth) / (1.0 + 0.5 * unseen[:, None])
    return np.where((nearness > 0) & (growth < 1), likeness, 0.0)


def _rivalled(likeness: Doubles, rows: Longs, boxes: Longs) -> Bools:
    """bool (P,): pairs of a track and a box either of which might as well have been paired otherwise."""
    if likeness.size == 1:
        return np.zeros(len(rows), np.bool_)
    chosen = likeness[rows, boxes]
    others = likeness.copy()
    others[rows, boxes] = 0.0
    return np.asarray(np.maximum(others[rows].max(axis=1), others[:, boxes].max(axis=0)) > _RIVAL * chosen)


def _assign(likeness: Doubles, rows: Longs) -> None:
    """Give boxes without a row the tracks that make the sum of likeness largest; 0 is no pair."""
    if likeness.size == 1:
        if likeness[0, 0] > 0.0:
            rows[0] = 0
        return
    tracks, boxes = linear_sum_assignment(likeness, maximize=True)
    paired = likeness[tracks, boxes] > 0.0
    rows[boxes[paired]] = tracks[paired]

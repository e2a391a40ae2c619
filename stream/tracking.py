"""Which box is whose: boxes of one source → track ids, frame after frame. Pure; time is the source's own.

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

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from facestream.stream.types import Bools, Doubles, Floats, Longs

UNCONFIRMED: Final = -1

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
_NESTED: Final = (0.9, 0.6)  # share of the smaller box inside the larger, ratio of their sizes


class Tracker:
    """Follows the faces of one source through one epoch.

    A clear face (score ≥ ``clear``) gets its id in the frame in which it appears, any other in its second
    frame: a viewer sees no delay, and a faint ghost of one frame gets no number. A face not seen for ``memory``
    seconds is given up.

    Args:
        next_id: gives the next unused id. It is asked when a face is confirmed, so ghosts leave no gaps.
        strong: the score from which a box may start a track.
        clear: the score from which a track is confirmed at once.
        memory: seconds for which an unseen face is looked for around where it went.
        same_person: cosine similarity from which two embeddings are one person.
        gallery: seconds for which a face that left is known by its embedding.
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
        self._strong = strong
        self._clear = clear
        self._memory = memory
        self._tracks = _Tracks()
        self._gallery = _Gallery(same_person, gallery)
        self._pts: float | None = None
        self._now = 0.0  # seconds of the source's time, never backwards

    def update(self, boxes: Floats, scores: Floats, pts: float, embeddings: Floats | None = None) -> Longs:
        """Take the next frame's faces.

        Args:
            boxes: float32 (N, 4) left, top, right, bottom in frame pixels, in any order. A box that isn't finite or
                has no area gets no track, and the weaker of two boxes of one face never starts one.
            scores: float32 (N,) in 0..1.
            pts: seconds in the source's time. A clock that jumps back by more than a second starts afresh.
            embeddings: float32 (N, D), where an identity model runs. A face that comes back from out of the
                motion's reach gets its old id by it.

        Returns:
            int64 (N,): track ids, -1 where a face isn't confirmed.
        """
        elapsed = self._advance(pts)
        self._tracks.keep(self._now - self._tracks.seen <= self._limits())
        self._tracks.predict(elapsed)
        result = np.full(len(boxes), UNCONFIRMED, np.int64)
        found = self._examine(boxes, scores)
        if not len(found.order):
            return result
        looks = None if embeddings is None else _unit(embeddings[found.order])
        rows = self._match(found)
        rows = self._start(found, looks, rows)
        ids = np.full(len(rows), UNCONFIRMED, np.int64)
        followed = rows >= 0
        ids[followed] = self._tracks.ids[rows[followed]]
        if looks is not None:
            self._gallery.remember(ids, looks, self._now)
        result[found.order] = ids
        return result

    def reset(self) -> None:
        """Forget every motion: what is seen next are new faces, unless their embeddings are known."""
        self._tracks = _Tracks()
        self._pts = None

    def _advance(self, pts: float) -> float:
        """Move the clock on; the seconds since the last frame."""
        if self._pts is not None and pts < self._pts - 1.0:
            self.reset()
        elapsed = _PERIOD if self._pts is None or not pts > self._pts else pts - self._pts
        self._pts = pts
        self._now += elapsed
        return elapsed

    def _limits(self) -> Doubles:
        return np.where(self._tracks.ids >= 0, self._memory, min(_TENTATIVE_MEMORY, self._memory))

    def _examine(self, boxes: Floats, scores: Floats) -> _Found:
        # One order whatever the caller's, so that ties and new ids don't depend on it.
        order = np.lexsort((scores, boxes[:, 3], boxes[:, 2], boxes[:, 1], boxes[:, 0]))
        wide = boxes[order].astype(np.float64)
        extents = wide[:, 2:] - wide[:, :2]
        usable = np.asarray(np.isfinite(wide).all(axis=1) & (extents > 0).all(axis=1))
        order, wide, extents = order[usable], wide[usable], extents[usable]
        confidence = scores[order]
        strong = confidence >= self._strong
        if len(order) > 1:
            strong &= ~_duplicates(wide, extents, confidence)
        return _Found(order, wide, wide[:, :2] + extents / 2, extents, strong, strong & (confidence >= self._clear))

    def _match(self, found: _Found) -> Longs:
        """Continue tracks, first with strong boxes, then with weak ones: each box's track row, or -1."""
        tracks = self._tracks
        rows = np.full(len(found.order), -1, np.int64)
        if not len(tracks.ids):
            return rows
        unseen = self._now - tracks.seen
        likeness = _likeness(tracks, found, unseen)
        _assign(np.where(found.strong[None], likeness, 0.0), rows)
        if not found.strong.all():
            free = np.ones(len(tracks.ids), np.bool_)
            free[rows[rows >= 0]] = False
            free &= unseen <= _WEAK_MEMORY
            _assign(np.where(free[:, None] & ~found.strong[None], likeness, 0.0), rows)
        boxes = np.flatnonzero(rows >= 0)
        tracks.observe(rows[boxes], found, boxes, self._now)
        for row in rows[boxes]:
            if tracks.ids[row] < 0:
                tracks.ids[row] = self._next_id()
        return rows

    def _start(self, found: _Found, looks: Doubles | None, rows: Longs) -> Longs:
        """Start tracks for strong boxes that continue none, with former ids where their looks are known."""
        new = np.flatnonzero((rows < 0) & found.strong)
        if not len(new):
            return rows
        ids = np.full(len(new), UNCONFIRMED, np.int64)
        if looks is not None:
            visible = self._tracks.ids[self._tracks.seen == self._now]
            ids = self._gallery.recognise(looks[new], visible, self._now)
            self._tracks.retire(ids[ids >= 0])
        for place in np.flatnonzero((ids < 0) & found.clear[new]):
            ids[place] = self._next_id()
        rows[new] = len(self._tracks.ids) + np.arange(len(new))
        self._tracks.add(found, new, ids, self._now)
        return rows


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
        self.ids: Longs = np.zeros(0, np.int64)  # -1 until confirmed
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

    def retire(self, ids: Longs) -> None:
        """These faces go on in other rows; theirs go with the next frame."""
        self.seen[np.isin(self.ids, ids)] = -np.inf

    def predict(self, elapsed: float) -> None:
        kept = float(np.exp(-elapsed / _DAMPING))
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
        centres = found.centres[boxes]
        place, cross, speed = self.covariances[rows].T
        total = place + _BOX_NOISE**2
        gain, speed_gain = place / total, cross / total
        residual = centres - self.centres[rows]
        speeds = self.speeds[rows] + speed_gain[:, None] * residual
        gap = now - self.seen[rows]
        lost = gap > 2.5 * max(float(gap.min()), _PERIOD)
        if lost.any():
            speeds[lost] = (centres[lost] - self.observed[rows[lost]]) / gap[lost, None]
        self.centres[rows] += gain[:, None] * residual
        self.speeds[rows] = speeds
        covariances = [place * (1 - gain), cross * (1 - gain), speed - speed_gain * cross]
        self.covariances[rows] = np.stack(covariances, axis=1)
        self.extents[rows] += _SIZE_GAIN * (found.extents[boxes] - self.extents[rows])
        self.observed[rows] = centres
        self.seen[rows] = now

    def add(self, found: _Found, boxes: Longs, ids: Longs, now: float) -> None:
        count = len(boxes)
        first = np.tile([_BOX_NOISE**2, 0.0, _FIRST_SPEED**2], (count, 1))
        self.ids = np.concatenate([self.ids, ids])
        self.seen = np.concatenate([self.seen, np.full(count, now)])
        self.observed = np.concatenate([self.observed, found.centres[boxes]])
        self.centres = np.concatenate([self.centres, found.centres[boxes]])
        self.extents = np.concatenate([self.extents, found.extents[boxes]])
        self.speeds = np.concatenate([self.speeds, np.zeros((count, 2))])
        self.covariances = np.concatenate([self.covariances, first])


class _Gallery:
    """Who has been here: an embedding for each id, blended over the frames in which it was seen."""

    def __init__(self, same_person: float, memory: float) -> None:
        self._same_person = same_person
        self._memory = memory
        self._looks: dict[int, tuple[float, Doubles]] = {}

    def remember(self, ids: Longs, looks: Doubles, now: float) -> None:
        for id_, look in zip(ids.tolist(), looks):
            if id_ >= 0 and look.any():
                _, known = self._looks.get(id_, (now, look))
                self._looks[id_] = now, _unit((0.9 * known + 0.1 * look)[None])[0]

    def recognise(self, looks: Doubles, visible: Longs, now: float) -> Longs:
        """The id of each look (M, D) that was here before and isn't ``visible`` now, or -1."""
        ids = np.full(len(looks), UNCONFIRMED, np.int64)
        self._looks = {id_: look for id_, look in self._looks.items() if now - look[0] <= self._memory}
        absent = [id_ for id_ in self._looks if id_ not in visible]
        if not absent:
            return ids
        similarity = looks @ np.stack([self._looks[id_][1] for id_ in absent]).T
        similarity[similarity < self._same_person] = 0.0
        for look, who in zip(*linear_sum_assignment(similarity, maximize=True)):
            if similarity[look, who] > 0.0:
                ids[look] = absent[who]
        return ids


def _overlaps(a: Doubles, b: Doubles) -> Doubles:
    """(A, 4), (B, 4) → the (A, B) areas that they share."""
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    shared: Doubles = np.maximum(sides, 0.0).prod(axis=2)
    return shared


def _duplicates(boxes: Doubles, extents: Doubles, scores: Floats) -> Bools:
    """bool (M,): boxes that show a face which a box of better score shows already."""
    shared = _overlaps(boxes, boxes)
    areas = extents.prod(axis=1)
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
    track_areas, box_areas = tracks.extents.prod(axis=1)[:, None], found.extents.prod(axis=1)[None]
    overlap = shared / (track_areas + box_areas - shared)
    step = tracks.centres[:, None] - found.centres[None]
    at_once, more, most = _REACH
    reach = np.minimum(at_once + more * unseen, most)[:, None]
    nearness = 1.0 - np.hypot(step[..., 0], step[..., 1]) / ((track_areas * box_areas) ** 0.25 * reach)
    growth = np.abs(np.log(track_areas / box_areas)) / (2 * np.log(_SIZE_RATIO))
    likeness = (overlap + nearness) / 2 * (1.0 - 0.5 * growth) / (1.0 + 0.5 * unseen[:, None])
    return np.where((nearness > 0) & (growth < 1), likeness, 0.0)


def _assign(likeness: Doubles, rows: Longs) -> None:
    """Give boxes without a row the tracks that make the sum of likeness largest; 0 is no pair."""
    tracks, boxes = linear_sum_assignment(likeness, maximize=True)
    paired = likeness[tracks, boxes] > 0.0
    rows[boxes[paired]] = tracks[paired]


def _unit(rows: npt.NDArray[np.floating]) -> Doubles:
    """Rows of length one; zeros where a row has no length."""
    wide = rows.astype(np.float64)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    usable = np.isfinite(length) & (length > 0)
    return np.where(usable, wide / np.where(usable, length, 1.0), 0.0)

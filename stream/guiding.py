"""Looking only where faces are expected: between two detections a tracked face is found by its own landmarks. Pure.

A detector searches a whole frame, which costs several times what an aligner's look at one face does. A face that was
seen a moment ago is near where it was, and an aligner that says whether it sees a face
(:class:`facestream.stream.types.TellsLost`) says when that is wrong. So most frames of a live source need no detector
(Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs", 2019, track one face so).

:class:`Guide` decides which frames do, and what to expect in the others::

    frame ─► Guide.next ─┬─ detect ──────────────────────────┬─► align ─► settle ─► follow ─► Guide.learn
                         └─ guided: boxes, points, priors ───┘

What a guided frame can't show is a face that wasn't there before: it waits for the next detection, see
:class:`GuidingPolicy`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import hypot
from typing import Final, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from facestream.errors import ConfigError
from facestream.stream.types import Bools, ExtractBatch, Faces, Floats, Frame, FrameFaces, FrameKey, Image, Longs

Complexes: TypeAlias = npt.NDArray[np.complex128]

_GRID: Final = 24
"""Pixels a row and rows of the thumbnail by which a scene cut is seen."""

_STIRRED: Final = (12, 2)
"""Grey levels by which a thumbnail's pixel has to change, and how many have to, to be more than noise."""

_SAME_PLACE: Final = 0.25
"""Distance between two faces' middles, in face sizes, below which they are one face that both slid onto."""


@dataclass(frozen=True, slots=True)
class GuidingPolicy:
    """When a detector has to look.

    Attributes:
        every: at least each so many frames; None: as often as the times below say.
        interval: seconds after which a detector looks again while faces are followed: so long a new face may wait.
        resting: the same while nothing but the faces and what is below them has changed since it looked last.
        busy: the same while frames of the source have to give way to newer ones, because the models don't keep up.
        empty: the same while there is no face.
        search: seconds for which a detector looks at each frame after a face was lost.
        largest_step: how far a face may move from one frame to the next, in face sizes.
        still: the step that is taken for noise, likewise.
        cut: the correlation of two frames' thumbnails below which they show two scenes …
        contrast: … unless their mean difference, 0..255, is less than this.
        damping: the share of its speed that a face is expected to keep.
    """

    every: int | None = None
    interval: float = 0.3
    resting: float = 0.6
    busy: float = 0.5
    empty: float = 0.1
    search: float = 0.5
    largest_step: float = 0.35
    still: float = 0.04
    cut: float = 0.6
    contrast: float = 8.0
    damping: float = 0.7


def guide_for(detect_every: str) -> Guide | None:
    """What ``--detect-every`` asks for: "auto", or a number of frames; 1 needs no guide.

    Raises:
        ConfigError: it is neither.
    """
    if detect_every == "auto":
        return Guide()
    if not detect_every.isdecimal() or not (every := int(detect_every)):
        raise ConfigError(f"--detect-every {detect_every!r} isn't possible: choose auto, or a number of frames")
    return Guide(GuidingPolicy(every=every)) if every > 1 else None


@dataclass(slots=True, eq=False)
class _Seen:
    """The faces of a source's last result, which tell where to look next.

    Attributes:
        pts: of the frame.
        sure: each of them is followed and was seen well, so that none is left out of a guided frame.
        speeds: of each, pixels/s to the right and down.
        sizes: of each, the geometric mean of its box's sides.
        shapes: float32 (N, P, 2), each face's landmarks when it was last detected, laid onto where it is now; None
            where there are no landmarks.
    """

    faces: FrameFaces
    pts: float
    sure: bool
    speeds: list[list[float]]
    sizes: list[float]
    shapes: Floats | None


@dataclass(slots=True, eq=False)
class _Source:
    """What is known of one source.

    Attributes:
        thumbnail: of the frame before.
        looked: of the last frame that a detector looked at.
        seen: its last result; None where nothing is known.
        ahead: frames whose results are still to come.
        detected: pts of the last frame that a detector looked at.
        frames: frames since, that one included.
        wanted: how many faces there were before one was lost.
        lost: pts of the first result without it; None while none is missing.
    """

    epoch: int
    size: tuple[int, int]
    pts: float
    thumbnail: Image
    looked: Image
    seen: _Seen | None = None
    ahead: list[FrameKey] = field(default_factory=list)
    detected: float = -np.inf
    frames: int = 0
    wanted: int = 0
    lost: float | None = None

    def continues(self, frame: Frame) -> bool:
        """Whether ``frame`` is a later one of the same moving picture."""
        return self.epoch == frame.epoch and self.size == frame.size and 0.0 < frame.pts - self.pts < 1.0


class Guide:
    """Decides for each frame whether a detector looks at it. Frames of a source come in their order, and so do results.

    Single pictures (of a folder, say) are all detected, and so are frames whose last result is more than one behind.
    """

    def __init__(self, policy: GuidingPolicy | None = None) -> None:
        self._policy = policy or GuidingPolicy()
        self._own: dict[str, GuidingPolicy] = {}
        self._sources: dict[str, _Source] = {}

    def set_policy(self, source: str, policy: GuidingPolicy | None) -> None:
        """What holds for one source, whether it is known yet or not; None for what holds for all."""
        if policy is None:
            self._own.pop(source, None)
        else:
            self._own[source] = policy

    def next(self, item: FrameFaces) -> FrameFaces:
        """The frame as it is, for a detector, or marked as guided and with the faces that are expected in it."""
        frame = item.frame
        if len(item) or frame.name is not None or frame.extracted is not None:
            return item
        thumbnail = _thumbnail(frame)
        source = self._sources.get(frame.source)
        if source is None or not source.continues(frame) or self._is_cut(source.thumbnail, thumbnail):
            ahead = [] if source is None else source.ahead
            source = _Source(frame.epoch, frame.size, frame.pts, thumbnail, thumbnail, ahead=ahead)
            self._sources[frame.source] = source
        source.pts, source.thumbnail = frame.pts, thumbnail
        expected = self._expected(source, frame)
        source.ahead.append(frame.key)
        if expected is not None:
            source.frames += 1
            return expected
        source.detected, source.frames, source.looked = frame.pts, 1, thumbnail
        return item

    def learn(self, faces: FrameFaces, lost_below: float) -> None:
        """Take a result, numbered by the tracker.

        Args:
            lost_below: the aligner's confidence below which a face can't be followed by its landmarks.
        """
        frame = faces.frame
        source = self._sources.get(frame.source)
        if source is None or frame.key not in source.ahead:
            return
        source.ahead = source.ahead[source.ahead.index(frame.key) + 1 :]
        if source.epoch != frame.epoch or source.size != frame.size or frame.pts > source.pts:
            return  # it came before a change
        if len(faces) >= source.wanted:
            source.wanted, source.lost = len(faces), None
        elif source.lost is None:
            source.lost = frame.pts
        elif frame.pts - source.lost >= self._policy_of(frame).search:
            source.wanted, source.lost = len(faces), None
        source.seen = _seen(faces, source.seen, lost_below)

    def forget(self, source: str) -> None:
        """Keep nothing of a source that has gone."""
        self._sources.pop(source, None)
        self._own.pop(source, None)

    def _policy_of(self, frame: Frame) -> GuidingPolicy:
        return self._own.get(frame.source, self._policy)

    def _expected(self, source: _Source, frame: Frame) -> FrameFaces | None:
        """The frame with its expected faces; None if a detector has to look."""
        seen = source.seen
        if seen is None or not seen.sure or source.lost is not None or len(source.ahead) > 1:
            return None
        if self._is_due(source, seen, frame):
            return None
        policy = self._policy_of(frame)
        elapsed = policy.damping * (frame.pts - seen.pts)
        steps = []
        for (across, down), size in zip(seen.speeds, seen.sizes):
            step = across * elapsed, down * elapsed
            length = hypot(*step)
            if length > policy.largest_step * size:
                return None
            steps.append(step if length >= policy.still * size else (0.0, 0.0))
        frame.guided = True
        return _shifted(seen, frame, steps)

    def _is_due(self, source: _Source, seen: _Seen, frame: Frame) -> bool:
        policy = self._policy_of(frame)
        if policy.every is not None:
            return source.frames >= policy.every
        elapsed = frame.pts - source.detected + 1e-3
        if not len(seen.faces):
            return elapsed > policy.empty
        due = policy.busy if frame.dropped else policy.interval
        return elapsed > max(due, policy.resting) or (elapsed > due and _stirs(source, seen, frame))

    def _is_cut(self, before: Image, now: Image) -> bool:
        if before.shape != now.shape or cv2.norm(now, before, cv2.NORM_L1) < self._policy.contrast * now.size:
            return False
        a, b = before - before.mean(), now - now.mean()
        return bool((a * b).sum() < self._policy.cut * np.sqrt((a * a).sum() * (b * b).sum()))


def settle(batch: ExtractBatch, lost_below: float | None) -> None:
    """Finish the guided faces of a batch whose landmarks were just found, and drop those that aren't there any more.

    A guided face's box and points move with its landmarks, so that they stay like the detector's. It is lost where the
    aligner doesn't see a face, or where it slid onto another one. Faces that were detected stay as they are.
    """
    priors, landmarks, flags = batch.priors, batch.landmarks, batch.landmark_scores
    batch.priors = None
    if priors is None or landmarks is None or flags is None or not len(batch):
        return
    guided: Bools = np.isfinite(priors[:, 0, 0])  # a face has all of them or none
    if not guided.any():
        return
    found = np.isfinite(landmarks).all(axis=(1, 2)) & (flags >= (lost_below or 0.0))
    rows = np.flatnonzero(guided & found)
    _move(batch, rows, priors[rows], landmarks[rows])
    batch.scores = np.where(guided, np.minimum(batch.scores, flags), batch.scores)
    kept = found | ~guided
    if len(batch) > 1:
        kept &= ~(guided & _slid(batch, kept))
    if not kept.all():
        batch.keep(kept)


def _move(batch: Faces, rows: Longs, before: Floats, now: Floats) -> None:
    """Boxes and points of the faces at ``rows`` as their landmarks moved; boxes stay upright."""
    similarity = _Similarity.between(_steady(before), _steady(now))
    boxes = batch.boxes.copy()
    boxes[rows] = similarity.upright().of(boxes[rows].reshape(-1, 2, 2)).reshape(-1, 4)
    batch.boxes = boxes
    if batch.points is not None:
        points = batch.points.copy()
        points[rows] = similarity.of(points[rows])
        batch.points = points


def _slid(batch: ExtractBatch, there: Bools) -> Bools:
    """bool (N,): faces in whose place another face of their frame is, of a better score."""
    assert batch.landmarks is not None
    middles, sizes = batch.landmarks.mean(axis=1), _sizes(batch.boxes)
    away = np.linalg.norm(middles[:, None] - middles[None], axis=2)
    near = (away < _SAME_PLACE * np.minimum(sizes[:, None], sizes[None])) & there[:, None] & there[None]
    near &= batch.frame_ids[:, None] == batch.frame_ids[None]
    rank = np.empty(len(batch), np.int64)
    rank[np.argsort(-batch.scores, kind="stable")] = np.arange(len(batch))
    return np.asarray((near & (rank[None] < rank[:, None])).any(axis=1))


def _shifted(seen: _Seen, frame: Frame, steps: Sequence[tuple[float, float]]) -> FrameFaces:
    """The faces as they are expected in ``frame``, each moved by its step."""
    faces, shapes = seen.faces, seen.shapes
    if shapes is None:
        return FrameFaces(frame=frame)
    boxes, points = faces.boxes, faces.points
    if any(step != (0.0, 0.0) for step in steps):
        moves = np.array(steps, np.float32)[:, None]
        boxes = (boxes.reshape(-1, 2, 2) + moves).reshape(-1, 4)
        points = None if points is None else points + moves
        shapes = shapes + moves
    return FrameFaces(frame=frame, boxes=boxes, scores=faces.scores, points=points, priors=shapes)


def _seen(now: FrameFaces, before: _Seen | None, lost_below: float) -> _Seen:
    """What a result tells, knowing the one before."""
    speeds = [[0.0, 0.0] for _ in range(len(now))]
    sizes = _sizes(now.boxes).tolist()
    seen = _Seen(now, now.frame.pts, _sure(now, lost_below), speeds, sizes, now.landmarks)
    if before is not None:
        _compare(seen, before)
    return seen


def _sure(faces: FrameFaces, lost_below: float) -> bool:
    if not len(faces):
        return True
    if faces.landmarks is None or faces.landmark_scores is None or faces.tracks is None:
        return False
    return bool((faces.tracks >= 0).all() and (faces.landmark_scores >= lost_below).all())


def _compare(now: _Seen, before: _Seen) -> None:
    """Fill in the speeds and shapes of the faces that both results show.

    Where a look is placed by the one before, an error of one look misplaces the next, and a chin under a beard wanders;
    so the shape stays that of the last detection, and only those points move it that hardly depend on where the look
    is.
    """
    faces, others = now.faces, before.faces
    if faces.tracks is None or others.tracks is None or faces.landmarks is None or others.landmarks is None:
        return
    places = {track: place for place, track in enumerate(others.tracks.tolist()) if track >= 0}
    rows = [row for row, track in enumerate(faces.tracks.tolist()) if track in places]
    if not rows:
        return
    last = [places[track] for track in faces.tracks[rows].tolist()]
    landmarks, elapsed = faces.landmarks[rows], now.pts - before.pts
    if elapsed > 0:
        seconds = landmarks.shape[1] * elapsed
        for row, (across, down) in zip(rows, (landmarks - others.landmarks[last]).sum(axis=1).tolist()):
            now.speeds[row] = [across / seconds, down / seconds]
    if faces.frame.guided and before.shapes is not None:
        shapes = before.shapes[last]
        now.shapes = faces.landmarks.copy()
        now.shapes[rows] = _Similarity.between(_steady(shapes), _steady(landmarks)).of(shapes)


def _steady(landmarks: Floats) -> Floats:
    """Of 68 points the brows, nose and eyes; of others all."""
    return landmarks[:, 17:48] if landmarks.shape[1] == 68 else landmarks


@dataclass(frozen=True, slots=True, eq=False)
class _Similarity:
    """N similarities; in complex numbers each is ``z → turn · (z - before) + now``."""

    turn: Complexes
    before: Complexes
    now: Complexes

    @classmethod
    def between(cls, before: Floats, now: Floats) -> _Similarity:
        """Those that best lay the points ``before`` (N, P, 2) on ``now`` (least squares)."""
        old, new = _complex(before), _complex(now)
        old_middle, new_middle = (points.sum(axis=1, keepdims=True) / before.shape[1] for points in (old, new))
        old = old - old_middle
        turn = np.vecdot(old, new) / np.maximum(np.vecdot(old, old).real, 1e-6)
        return cls(turn[:, None], old_middle, new_middle)

    def of(self, points: Floats) -> Floats:
        """(N, P, 2) → the same."""
        moved = (_complex(points) - self.before) * self.turn + self.now
        return moved.view(np.float64).reshape(points.shape).astype(np.float32)

    def upright(self) -> _Similarity:
        """The same without turning."""
        return _Similarity(np.abs(self.turn).astype(np.complex128), self.before, self.now)


def _thumbnail(frame: Frame) -> Image:
    """A grid of how bright the picture is: some µs whatever its size, as nearly none of it is read."""
    light = frame.image[:, :, 1] if (known := frame.light) is None else known
    height, width = light.shape
    return light[:: _step(height), :: _step(width)].copy()


def _stirs(source: _Source, seen: _Seen, frame: Frame) -> bool:
    """Whether anything has changed since a detector looked last, apart from the faces, their surroundings and what is
    below them: there are bodies.
    """
    level, count = _STIRRED
    changed = cv2.absdiff(source.thumbnail, source.looked) > level
    width, height = frame.size
    across, down = _step(width), _step(height)
    for (left, top, right, _), size in zip(seen.faces.boxes.tolist(), seen.sizes):
        row, first, last = (top - size) // down + 1, (left - size) // across + 1, (right + size) // across + 1
        changed[max(int(row), 0) :, max(int(first), 0) : max(int(last), 0)] = False
    return int(changed.sum()) >= count


def _step(side: int) -> int:
    return max(1, side // _GRID)


def _sizes(boxes: Floats) -> Floats:
    sizes: Floats = np.sqrt(np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1))
    return sizes


def _complex(points: Floats) -> Complexes:
    """(N, P, 2) → (N, P)."""
    return points.astype(np.float64, order="C").view(np.complex128)[..., 0]

"""Rotation search: frames that show no sure face are looked at again, turned.

The rule of the spec (§6.2), to stop at the first angle with any box, keeps wrong boxes: detectors see faces in faces
that lie on their side or stand on their head, with scores of 0.9 and more, and put the eyes where the mouth is. So the
angles compete. A frame's search ends at an angle only with a *sure* face: one whose points stand upright and whose
score no face the wrong way up reaches. Otherwise the angle with the best upright face wins.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from facestream.errors import ConfigError
from facestream.plugins.detect.turn import Turn
from facestream.stream.types import Bools, Detections, Detector, Floats, Image, summary_of

LARGEST_ROLL = 45.0  # degrees from upright


def parse_angles(text: str | None) -> tuple[int, ...]:
    """``"90"`` (a step) → 0, 90, 180, 270; ``"45,90"`` (a list) → 0, 45, 90; None, ``""`` or ``"0"`` → 0 alone.

    Angles are degrees counter-clockwise, 0–359, in the order in which to try them (spec §6.2, §21). A negative step
    goes clockwise.

    Raises:
        ConfigError: something other than whole numbers with commas between, or a whole turn and more.
    """
    try:
        numbers = [int(part) for part in (text or "").split(",") if part.strip()]
    except ValueError:
        raise ConfigError(f"can't turn pictures by {text!r}: give a step like 90 or a list like 45,90") from None
    if any(abs(number) >= 360 for number in numbers):
        raise ConfigError(f"can't turn pictures by {text!r}: an angle is below 360, such as 90 or 45,90")
    given = [number for number in numbers if number]
    if len(given) == 1:
        given = list(range(0, 360 if given[0] > 0 else -360, given[0]))
    return tuple(dict.fromkeys([0, *(degrees % 360 for degrees in given)]))


def upright(points: Floats) -> Bools:
    """Which faces stand on their chin: (N,), from points (N, 5, 2).

    The mouth is below the eyes, by a line at most 45° from straight down, the subject's right eye and mouth corner are
    on the picture's left, and the nose is no higher than the eyes and no lower than the mouth. A profile may fold a
    pair of eyes or mouth corners onto one another, but not exchange both.
    """
    eyes, mouth, nose = points[:, :2].mean(axis=1), points[:, 3:].mean(axis=1), points[:, 2]
    down = mouth - eyes  # (N, 2)
    roll = np.degrees(np.abs(np.arctan2(down[:, 0], down[:, 1])))
    along_nose, length = ((vector * down).sum(axis=1) for vector in (nose - eyes, down))
    across = points[:, [1, 4]] - points[:, [0, 3]]  # (N, 2, 2): right to left of the subject
    turned_right = across[..., 0] * down[:, None, 1] - across[..., 1] * down[:, None, 0]  # > 0: towards picture right
    between = (along_nose >= -0.25 * length) & (along_nose <= 1.25 * length)
    return np.asarray((roll <= LARGEST_ROLL) & between & (turned_right > 0).any(axis=1), np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What was found in one frame at one angle.

    Attributes:
        found: in frame pixels.
        degrees: the angle.
        upright_score: the best score of a face that stands upright at this angle; 0 without any.
    """

    found: Detections
    degrees: int
    upright_score: float

    @classmethod
    def of(cls, seen: Detections, turn: Turn) -> View:
        """``seen`` on the turned canvas; without points, every face is taken for upright."""
        standing = seen.scores if seen.points is None else seen.scores[upright(seen.points)]
        return cls(turn.detections_back(seen) if turn.degrees else seen, turn.degrees, _most(standing))

    @property
    def rank(self) -> tuple[float, float]:
        """The higher, the better: upright faces first, any box after them."""
        return self.upright_score, _most(self.found.scores)


def _most(scores: Floats) -> float:
    return float(scores.max(initial=0.0))


@dataclass(slots=True)
class RotationStatistics:
    """Frames searched at further angles, and of those, the ones whose faces come from such an angle."""

    searched: int = 0
    turned: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Feed:
    images: list[Image]
    prepared: Any


class RotatingDetector:
    """A detector that also finds faces lying down or upside down; itself a :class:`Detector`.

    The further angles are tried inside ``infer``, with only those frames that still need it. A frame's faces all come
    from one angle: the picture was turned, rather than its people. They are in the frame's own pixels, the five points
    still the subject's right eye first.

    Args:
        detector: what finds faces that are upright.
        angles: degrees counter-clockwise, tried in this order; the first is 0. See :func:`parse_angles`.
        sure: the score of an upright face that ends a frame's search. None takes the detector's own ``sure``; a
            detector without one is never sure, and frames are looked at from every angle.
    """

    def __init__(self, detector: Detector, angles: Sequence[int], *, sure: float | None = None) -> None:
        if not angles or angles[0] != 0:
            raise ValueError(f"the first angle must be 0, not {list(angles)}")
        self.name = detector.name
        self.batch_size = detector.batch_size
        self.sure = float(getattr(detector, "sure", 1.0)) if sure is None else sure
        self._detector = detector
        self._angles = tuple(angles)
        self._statistics = RotationStatistics()
        self._counting = threading.Lock()

    def statistics(self) -> RotationStatistics:
        return self._statistics

    def summary(self) -> list[str]:
        searched, turned = self._statistics.searched, self._statistics.turned
        mine = [f"[Rotation] Frames searched: {searched}, faces found turned in: {turned}"] if searched else []
        return [*summary_of(self._detector), *mine]

    def load(self, device: str) -> None:
        self._detector.load(device)

    def pre_process(self, images: Sequence[Image]) -> _Feed:
        return _Feed(list(images), self._detector.pre_process(images))

    def infer(self, feed: _Feed) -> list[View]:
        """One :class:`View` a frame: the best one."""
        best = self._views(feed.prepared, [Turn.of(image, 0) for image in feed.images])
        open_frames = self._unsure(best, range(len(best)))
        searched = len(open_frames)
        for degrees in self._angles[1:]:
            if not open_frames:
                break
            turns = [Turn.of(feed.images[frame], degrees) for frame in open_frames]
            canvases = [turn.image(feed.images[frame]) for turn, frame in zip(turns, open_frames)]
            # A frame's view is put at the frame's own index, never at a position among those found (spec D1).
            for frame, view in zip(open_frames, self._views(self._detector.pre_process(canvases), turns)):
                best[frame] = max(best[frame], view, key=lambda view: view.rank)  # the earlier of equals
            open_frames = self._unsure(best, open_frames)
        with self._counting:
            self._statistics.searched += searched
            self._statistics.turned += sum(view.degrees != 0 for view in best)
        return best

    def post_process(self, raw: list[View], feed: _Feed) -> list[Detections]:
        return [view.found for view in raw]

    def _views(self, prepared: Any, turns: Sequence[Turn]) -> list[View]:
        seen = self._detector.post_process(self._detector.infer(prepared), prepared)
        return [View.of(detections, turn) for detections, turn in zip(seen, turns, strict=True)]

    def _unsure(self, best: Sequence[View], frames: Sequence[int]) -> list[int]:
        return [frame for frame in frames if best[frame].upright_score < self.sure]

"""Models without weights, for tests of whatever runs models. Deterministic; numpy only, never torch.

::

    detector = FakeDetector([(10, 10, 60, 60)])
    with detector.held():  # infer blocks in its thread until the block ends
        ...
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from facestream.errors import OutOfDeviceMemory
from facestream.stream.types import Detections, ExtractBatch, Floats, Image, Masks

BoxesOf: TypeAlias = Callable[[Image], npt.ArrayLike]


class _FakeModel:
    """What the fakes share: a gate before inference, a chosen duration and failures, a record of the batches.

    Args:
        name: the model's name.
        batch_size: the batch size that the model asks for.
        delay: seconds that ``infer`` takes, however large the batch.
        fits: samples that "fit into memory": a larger batch raises :class:`OutOfDeviceMemory`.
        error: raised by ``infer`` when set; may be set and cleared at any time.

    Attributes:
        device: what ``load`` was given, None before.
        batches: the size of every batch that ``infer`` finished, in order.
        entered: set when ``infer`` begins (before the gate), never cleared by the fake.
    """

    def __init__(
        self,
        name: str,
        *,
        batch_size: int,
        delay: float = 0.0,
        fits: int | None = None,
        error: Exception | None = None,
    ) -> None:
        self.name = name
        self.batch_size = batch_size
        self.delay = delay
        self.fits = fits
        self.error = error
        self.device: str | None = None
        self.batches: list[int] = []
        self.entered = threading.Event()
        self._gate = threading.Event()
        self._gate.set()

    def load(self, device: str) -> None:
        self.device = device

    def hold(self) -> None:
        """Let every ``infer`` from now on block in its thread until :meth:`release`."""
        self._gate.clear()

    def release(self) -> None:
        self._gate.set()

    @contextmanager
    def held(self) -> Iterator[None]:
        self.hold()
        try:
            yield
        finally:
            self.release()

    def _run(self, count: int) -> None:
        self.entered.set()
        self._gate.wait()
        if self.delay:
            time.sleep(self.delay)
        if self.error is not None:
            raise self.error
        if self.fits is not None and count > self.fits:
            raise OutOfDeviceMemory(f"{self.name}: a batch of {count} doesn't fit; {self.fits} would")
        self.batches.append(count)


class FakeDetector(_FakeModel):
    """A detector that finds what it is told to.

    Args:
        boxes: (N, 4) boxes for every frame, or a function from a frame's image to them. Scores fall from 0.99
            in steps of 0.01, so the order given is the order returned.
        points: give the five points, or leave them None.

    The other arguments are the base class's.
    """

    def __init__(
        self,
        boxes: npt.ArrayLike | BoxesOf = (),
        *,
        points: bool = True,
        name: str = "fake-detector",
        batch_size: int = 4,
        delay: float = 0.0,
        fits: int | None = None,
        error: Exception | None = None,
    ) -> None:
        super().__init__(name, batch_size=batch_size, delay=delay, fits=fits, error=error)
        self._boxes = boxes
        self._points = points

    def pre_process(self, images: Sequence[Image]) -> list[Image]:
        return list(images)

    def infer(self, feed: list[Image]) -> list[Floats]:
        self._run(len(feed))
        return [self._find(image) for image in feed]

    def post_process(self, raw: list[Floats], feed: list[Image]) -> list[Detections]:
        return [self._detections(boxes) for boxes in raw]

    def _find(self, image: Image) -> Floats:
        boxes = self._boxes(image) if callable(self._boxes) else self._boxes
        return np.asarray(boxes, np.float32).reshape(-1, 4)

    def _detections(self, boxes: Floats) -> Detections:
        scores = np.maximum(0.99 - 0.01 * np.arange(len(boxes)), 0.01).astype(np.float32)
        return Detections(boxes, scores, in_boxes(FIVE_POINTS, boxes) if self._points else None)


@dataclass(frozen=True, slots=True, eq=False)
class _Faces:
    boxes: Floats


class _FakeFaceModel(_FakeModel):
    """What the fakes that look at faces share: they look at nothing but the boxes."""

    usual_name: ClassVar[str]

    def __init__(
        self,
        *,
        name: str | None = None,
        batch_size: int = 16,
        delay: float = 0.0,
        fits: int | None = None,
        error: Exception | None = None,
    ) -> None:
        super().__init__(name or self.usual_name, batch_size=batch_size, delay=delay, fits=fits, error=error)

    def pre_process(self, batch: ExtractBatch) -> _Faces:
        return _Faces(batch.boxes)


class FakeAligner(_FakeFaceModel):
    """An aligner that puts the same face into every box, all with one confidence.

    The landmarks are ``in_boxes(FACE_68, boxes)``.

    Args:
        score: the confidence of every face.

    The other arguments are the base class's.
    """

    usual_name = "fake-aligner"

    def __init__(
        self,
        *,
        score: float = 0.9,
        name: str | None = None,
        batch_size: int = 16,
        delay: float = 0.0,
        fits: int | None = None,
        error: Exception | None = None,
    ) -> None:
        super().__init__(name=name, batch_size=batch_size, delay=delay, fits=fits, error=error)
        self._score = score

    def infer(self, feed: _Faces) -> Floats:
        self._run(len(feed.boxes))
        return in_boxes(FACE_68, feed.boxes)

    def post_process(self, raw: Floats, feed: _Faces, batch: ExtractBatch) -> None:
        batch.landmarks = raw
        batch.landmark_scores = np.full(len(raw), self._score, np.float32)


class FakeMasker(_FakeFaceModel):
    """A masker that gives each face one value: the whole pixel of its box's left edge, modulo 256.

    The arguments are the base class's.
    """

    usual_name = "fake-masker"

    def infer(self, feed: _Faces) -> Floats:
        self._run(len(feed.boxes))
        return feed.boxes[:, 0] % 256

    def post_process(self, raw: Floats, feed: _Faces, batch: ExtractBatch) -> None:
        masks = np.repeat(raw.astype(np.uint8), 16).reshape(-1, 4, 4)
        matrices = np.repeat(np.eye(3, dtype=np.float32)[None], len(raw), axis=0)
        batch.masks[self.name] = Masks("face", matrices, masks)


class FakeIdentity(_FakeFaceModel):
    """An identity model whose embedding of a face is its box.

    The arguments are the base class's.
    """

    usual_name = "fake-identity"
    selective = True

    def infer(self, feed: _Faces) -> Floats:
        self._run(len(feed.boxes))
        return feed.boxes.copy()

    def post_process(self, raw: Floats, feed: _Faces, batch: ExtractBatch) -> None:
        batch.identities[self.name] = raw


def in_boxes(points: Floats, boxes: Floats) -> Floats:
    """Points (P, 2) given in 0..1 of a box, placed into boxes (N, 4): float32 (N, P, 2), pixels."""
    corners = boxes[:, None, :2]
    sizes = boxes[:, None, 2:] - boxes[:, None, :2]
    return np.asarray(corners + points[None] * sizes, np.float32)


def _arc(centre: tuple[float, float], radii: tuple[float, float], degrees: npt.ArrayLike) -> Floats:
    angles = np.deg2rad(np.asarray(degrees, np.float32))
    return np.asarray(np.stack([np.cos(angles), np.sin(angles)], 1) * radii + centre, np.float32)


def _face_68() -> Floats:
    """A frontal face in 0..1 of its box, 300-W order: its right side first, on the picture's left."""
    jaw = _arc((0.5, 0.4), (0.45, 0.58), np.linspace(180, 0, 17))
    brows = [_arc((x, 0.36), (0.14, 0.1), np.linspace(200, 340, 5)) for x in (0.29, 0.71)]
    bridge = np.stack([np.full(4, 0.5), np.linspace(0.38, 0.56, 4)], 1)
    nostrils = _arc((0.5, 0.58), (0.11, 0.05), np.linspace(160, 20, 5))
    eyes = [_arc((x, 0.4), (0.08, 0.03), [180, 240, 300, 0, 60, 120]) for x in (0.3, 0.7)]
    lips = [
        _arc((0.5, 0.78), (0.19, 0.08), np.arange(180, 540, 30)),
        _arc((0.5, 0.78), (0.14, 0.03), np.arange(180, 540, 45)),
    ]
    return np.concatenate([jaw, *brows, bridge, nostrils, *eyes, *lips]).astype(np.float32)


FACE_68: Floats = _face_68()
FIVE_POINTS: Floats = np.stack([FACE_68[36:42].mean(0), FACE_68[42:48].mean(0), FACE_68[30], FACE_68[48], FACE_68[54]])

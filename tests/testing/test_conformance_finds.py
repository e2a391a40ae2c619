"""The conformance suite catches what it is there to catch, and says whose fault it is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pytest

from facestream.stream.hub import Hub
from facestream.stream.types import Detections, ExtractBatch, Frame, FrameFaces, Image, SourceStatistics
from facestream.testing.conformance import check_detector, check_face_plugin, check_sink, check_source
from facestream.testing.plugins import FakeAligner, FakeDetector
from facestream.testing.sources import FakeSource, make_picture

WHITE = np.full((60, 80, 3), 250, np.uint8)


def bright(image: Image) -> Any:
    height, width = image.shape[:2]
    return [(0, 0, width, height)] if height > 8 and width > 8 and image.max() > 200 else []


class Changed(FakeDetector):
    """A detector whose results are changed."""

    def __init__(self, change: Any) -> None:
        super().__init__(bright, name="mynet")
        self._change = change

    def _detections(self, boxes: Any) -> Detections:
        found = super()._detections(boxes)
        return self._change(found) if len(found.boxes) else found


class Forgets(FakeDetector):
    """Keeps the batch on itself."""

    def pre_process(self, images: Sequence[Image]) -> list[Image]:
        self.images = list(images)
        return self.images

    def post_process(self, raw: Any, feed: Any) -> list[Detections]:
        return super().post_process([self._find(image) for image in self.images], feed)


class Paints(FakeDetector):
    """Changes the frames."""

    def pre_process(self, images: Sequence[Image]) -> list[Image]:
        for image in images:
            if image.flags.writeable:
                image[:5] //= 2
        return list(images)


class Numberless(FakeDetector):
    """Drops the frames without faces."""

    def post_process(self, raw: Any, feed: Any) -> list[Detections]:
        return [found for found in super().post_process(raw, feed) if len(found.boxes)]


@pytest.mark.parametrize(
    ("detector", "complaint"),
    [
        (Changed(lambda d: Detections(d.boxes.astype(float), d.scores)), r"boxes are float64 \(1, 4\), not float32"),
        (Changed(lambda d: Detections(d.boxes * np.nan, d.scores)), "boxes aren't finite"),
        (Changed(lambda d: Detections(d.boxes, d.scores * 90)), r"scores beyond 0\.\.1"),
        (Changed(lambda d: Detections(d.boxes[:, [2, 3, 0, 1]], d.scores)), "a box isn't left, top"),
        (Changed(lambda d: Detections(d.boxes + 1000, d.scores)), "outside its frame of 80x60"),
        (Changed(lambda d: Detections(d.boxes, d.scores, d.points[:, :4])), r"points are float32 \(1, 4, 2\)"),
        (Forgets(bright, name="mynet"), "when they overlap"),
        (Paints(bright, name="mynet"), "changes the frames"),
        (Numberless(bright, name="mynet"), "0 results for 1 frames"),
        (FakeDetector(name="mynet"), "found nothing in the picture"),
        (FakeDetector([(0, 0, 9, 9)], name="mynet"), "1 faces in an empty picture|outside its frame"),
        (FakeDetector(bright, name="mynet", batch_size=0), "its batch size is 0"),
    ],
)
def test_a_detector_that_does_not_conform_is_told_why(detector: FakeDetector, complaint: str) -> None:
    with pytest.raises(AssertionError, match=f"mynet: .*({complaint})"):
        check_detector(detector, WHITE)


class Shifting(FakeAligner):
    """Lets a face's neighbours move its landmarks."""

    def post_process(self, raw: Any, feed: Any, batch: ExtractBatch) -> None:
        super().post_process(raw + 3 * len(raw), feed, batch)


class Silent(FakeAligner):
    def post_process(self, raw: Any, feed: Any, batch: ExtractBatch) -> None:
        pass


class Thirty(FakeAligner):
    def post_process(self, raw: Any, feed: Any, batch: ExtractBatch) -> None:
        super().post_process(raw[:, :30], feed, batch)


@pytest.mark.parametrize(
    ("aligner", "role", "complaint"),
    [
        (Shifting(name="mynet"), "align", "landmarks differ by .* in a batch with others"),
        (Silent(name="mynet"), "align", "wrote no landmarks"),
        (Thirty(name="mynet"), "align", "30 landmarks a face are of no known layout"),
        (FakeAligner(name="mynet"), "mask", "wrote no masks"),
        (FakeAligner(name="mynet"), "identity", "wrote no identities"),
        (FakeAligner(name="mynet", score=1.5), "align", r"landmark scores beyond 0\.\.1"),
    ],
)
def test_a_model_that_looks_at_faces_and_does_not_conform_is_told_why(
    aligner: FakeAligner, role: str, complaint: str
) -> None:
    with pytest.raises(AssertionError, match=f"mynet: .*{complaint}"):
        check_face_plugin(aligner, role, WHITE)


class Backwards(FakeSource):
    async def _next(self) -> Frame | None:
        frame = await super()._next()
        if frame is not None:
            frame.pts = -frame.pts
        return frame


class Leaky(FakeSource):
    """Leaves a thread behind; :attr:`done` ends them all."""

    done = threading.Event()

    async def _open(self) -> None:
        threading.Thread(target=self.done.wait, name="leak", daemon=True).start()
        await super()._open()


class Thrifty(FakeSource):
    """Uses one buffer for all its frames."""

    async def _next(self) -> Frame | None:
        frame = await super()._next()
        if frame is not None:
            self._buffer = getattr(self, "_buffer", frame.image)
            self._buffer[:] = frame.image
            frame.image = self._buffer
        return frame


class Endless(FakeSource):
    async def __anext__(self) -> Frame:
        self._closed_already = self.closed
        return Frame(self.name, 0, self._count(), 0.0, 1.0, make_picture(0))

    def _count(self) -> int:
        self._seq += 1
        return self._seq

    def statistics(self) -> SourceStatistics:
        return SourceStatistics(captured=self._seq)


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        (Backwards, "time runs backwards"),
        (Leaky, "leaves threads behind .*: leak"),
        (Thrifty, "changes frame 0 after giving it"),
        (Endless, "gives frames after it was closed"),
    ],
)
async def test_a_source_that_does_not_conform_is_told_why(kind: type[FakeSource], complaint: str) -> None:
    try:
        with pytest.raises(AssertionError, match=f"mycam: .*{complaint}"):
            await check_source(lambda: kind("mycam"))
    finally:
        if kind is Leaky:
            Leaky.done.set()


class Swallows(Hub):
    async def __aexit__(self, *exc_info: object) -> bool:  # type: ignore[override]
        self.close()
        return True


class Draws(Hub):
    async def write(self, faces: FrameFaces) -> None:
        faces.frame.image[0] = 0


class Background(Hub):
    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(asyncio.Event().wait(), name="forgotten")
        return self


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        (Swallows, "swallows the error"),
        (Draws, "changes the frame's pixels"),
        (Background, "leaves tasks behind .*: forgotten"),
    ],
)
async def test_a_sink_that_does_not_conform_is_told_why(kind: type[Hub], complaint: str) -> None:
    with pytest.raises(AssertionError, match=f"{kind.__name__}: .*{complaint}"):
        await check_sink(kind)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()

"""Measure a chain of models at the batch sizes that a search proposes, all its stages at work together.

Frames of cloudy noise go through a real pipeline as fast as it takes them. What the detector finds in them is replaced
by a fixed number of faces, so that the models after it have the work of a real scene.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from math import inf
from typing import Any

import cv2
import numpy as np

from facestream.errors import OutOfDeviceMemory
from facestream.jobs.extract import BATCHES_PER_STAGE
from facestream.plugins.identity.placing import ARCFACE, ARCFACE_SIZE
from facestream.stream.batching import FrameJoiner
from facestream.stream.device import Bridge
from facestream.stream.joining import batch_of
from facestream.stream.pipeline import Pipeline
from facestream.stream.profiling import BatchSizeSearch, Failure, StageLoad, Trial
from facestream.stream.stage import Stage, StageStatistics
from facestream.stream.tasks import task_group
from facestream.stream.types import Detections, Detector, ExtractBatch, FacePlugin, Floats, Frame, FrameFaces, Image

PICTURES = 4
"""Different frames that go round: enough that no cache holds them all."""


class PlacedFaces:
    """A detector that does all its work and then finds ``faces`` faces in every frame, whatever is there.

    Args:
        detector: what does the work.
        faces: how many.
        size: (width, height) of the frames.
    """

    def __init__(self, detector: Detector, faces: int, size: tuple[int, int]) -> None:
        self.name = detector.name
        self.batch_size = detector.batch_size
        self._detector = detector
        boxes = placed_boxes(faces, size)
        self._found = Detections(boxes, np.full(faces, 0.9, np.float32), placed_points(boxes))

    def load(self, device: str) -> None:
        self._detector.load(device)

    def pre_process(self, images: Sequence[Image]) -> Any:
        return self._detector.pre_process(images)

    def infer(self, feed: Any) -> Any:
        return self._detector.infer(feed)

    def post_process(self, raw: Any, feed: Any) -> list[Detections]:
        own = self._detector.post_process(raw, feed)
        return [replace(self._found, points=None) if one.points is None else self._found for one in own]


def placed_boxes(faces: int, size: tuple[int, int]) -> Floats:
    """``faces`` squares in a row across the middle of a frame of ``size``: float32 (N, 4), pixels."""
    width, height = size
    side = min(height / 3, width / (faces + 1))
    left = (np.arange(faces) + 0.5) * width / faces - side / 2
    top = np.full(faces, (height - side) / 2)
    return np.stack([left, top, left + side, top + side], 1).astype(np.float32)


def placed_points(boxes: Floats) -> Floats:
    """The five points of an upright face in each of ``boxes`` (N, 4): float32 (N, 5, 2), pixels."""
    sides = boxes[:, None, 2:] - boxes[:, None, :2]
    return np.asarray(boxes[:, None, :2] + ARCFACE / ARCFACE_SIZE * sides, np.float32)


def cloudy_pictures(size: tuple[int, int], number: int = PICTURES) -> list[Image]:
    """Smooth random pictures uint8 BGR of ``size`` (width, height)."""
    random = np.random.default_rng(0)
    return [
        np.asarray(cv2.resize(random.integers(0, 256, (18, 32, 3), np.uint8), size, interpolation=cv2.INTER_CUBIC))
        for _ in range(number)
    ]


class DeviceMemory:
    """The memory that torch holds on a CUDA device. The methods run in the device's worker."""

    def __init__(self, device: str) -> None:
        self.device = device

    def total(self) -> int:
        import torch

        return int(torch.cuda.get_device_properties(self.device).total_memory)

    def reset(self) -> None:
        import torch

        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)

    def peak(self) -> int | None:
        """Bytes reserved at most since the reset."""
        import torch

        return int(torch.cuda.max_memory_reserved(self.device))


class NoMemoryMeter(DeviceMemory):
    """Of a device whose memory isn't measured: a CPU."""

    def total(self) -> int:
        return 0

    def reset(self) -> None: ...

    def peak(self) -> int | None:
        return None


def memory_of(device: str) -> DeviceMemory:
    return DeviceMemory(device) if device.startswith("cuda") else NoMemoryMeter(device)


@dataclass(slots=True)
class RateWindow:
    """Counts frames between two moments. Pure: told when each frame comes out.

    Frames come out in bursts of a batch. The window opens and closes with the first frame after a moment, which is the
    first of a burst, so that it holds whole bursts.

    Args:
        opens, closes: seconds.
    """

    opens: float
    closes: float
    began: float | None = None
    ended: float | None = None
    frames: int = 0

    @classmethod
    def after(cls, now: float, seconds: float) -> RateWindow:
        """The next ``seconds``, the first fifth of which is warm-up."""
        return cls(now + seconds / 5, now + seconds)

    def frame_out(self, now: float) -> None:
        if self.began is None:
            self.began = now if now >= self.opens else None
            return
        self.frames += 1
        if now >= self.closes:
            self.ended = now

    @property
    def rate(self) -> float:
        """Frames a second; 0 before the window has closed."""
        if self.began is None or self.ended is None:
            return 0.0
        return self.frames / max(self.ended - self.began, 1e-9)


@dataclass(frozen=True, slots=True)
class ProfiledChain:
    """The loaded models of a chain, and what is sent through it.

    Attributes:
        detector, faces: the models.
        bridge: with the device.
        per_frame: faces in each frame.
        largest: the largest batch of any model.
        pictures: the frames' images, all of one size.
    """

    detector: Detector
    faces: Sequence[FacePlugin]
    bridge: Bridge
    per_frame: int = 2
    largest: int = 256
    pictures: Sequence[Image] = field(default_factory=lambda: cloudy_pictures((1920, 1080)))

    def loads(self) -> list[StageLoad]:
        return [
            StageLoad(self.detector.name, 1, self.largest),
            *(StageLoad(plugin.name, self.per_frame, self.largest) for plugin in self.faces),
        ]

    def stages(self, sizes: Sequence[int]) -> list[Stage]:
        height, width = self.pictures[0].shape[:2]
        plugins: list[Detector | FacePlugin] = [self.detector, *self.faces]
        for plugin, size in zip(plugins, sizes):
            plugin.batch_size = size
        placed = PlacedFaces(self.detector, self.per_frame, (width, height))
        return [
            Stage.detect(placed, self.bridge, sizes[0]),
            *(Stage.faces(plugin, self.bridge, size) for plugin, size in zip(self.faces, sizes[1:])),
        ]

    def frame(self, seq: int) -> Frame:
        return Frame("profile", 0, seq, seq / 25, 0.0, self.pictures[seq % len(self.pictures)])

    async def feed(self, pipeline: Pipeline) -> None:
        """Frames without end; the pipeline makes it wait."""
        for seq in count():
            await pipeline.put(self.frame(seq))


async def profile(
    chain: ProfiledChain,
    search: BatchSizeSearch,
    budget: float,
    *,
    tested: Callable[[Trial], None] = lambda trial: None,
    memory: DeviceMemory | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> bool:
    """Test what ``search`` proposes until it is over or ``budget`` seconds are spent.

    Args:
        tested: hears of each test.
        memory: the device's.
        clock: seconds.

    Returns: whether the search came to its own end.

    Cancelling loses the test at work; the search keeps the others. A model that never returns can't be stopped: its
    thread is waited for.
    """
    memory = memory or memory_of(chain.bridge.device)
    deadline = clock() + budget
    seconds = min(budget / 15, 12.0)
    while (sizes := search.proposal()) is not None:
        left = deadline - clock()
        if left < seconds and search.trials:
            return False
        limit = left if not search.trials else min(4 * seconds, left)
        await chain.bridge.idle()  # a cancelled test may have left work in the models' workers
        await chain.bridge.infer(memory.reset)
        trial = await _test(chain, sizes, seconds, limit, clock)
        trial = replace(trial, memory=await chain.bridge.infer(memory.peak))
        search.add(trial)
        tested(search.trials[-1])
    return True


async def _test(
    chain: ProfiledChain, sizes: tuple[int, ...], seconds: float, limit: float, clock: Callable[[], float]
) -> Trial:
    """One test of ``seconds``, warm-up included; ``limit`` seconds are the most it may take."""
    stages = chain.stages(sizes)
    meter = _Meter(RateWindow.after(clock(), seconds), stages, sizes, clock)
    try:
        async with asyncio.timeout(limit):
            await _fill(chain, stages)
            meter.window = RateWindow.after(clock(), seconds)
            await _run(chain, stages, meter)
    except TimeoutError:
        return Trial(sizes, failure=Failure.TIMED_OUT)
    except OutOfDeviceMemory:
        return Trial(sizes, failure=Failure.MEMORY)
    if meter.shrunk():
        return Trial(sizes, failure=Failure.MEMORY)
    rate = meter.window.rate
    return Trial(
        sizes,
        samples=tuple(rate * load.per_frame for load in chain.loads()),
        speeds=meter.speeds(shared=chain.bridge.device == "cpu"),
    )


async def _fill(chain: ProfiledChain, stages: Sequence[Stage]) -> None:
    """Run each stage once with its whole batch, one after another.

    A stage waits for no batch to fill, so while a slower one feeds it, it may never see the whole batch that a crowded
    scene will bring: whether that fits the memory is seen here.
    """
    faces = max((stage.batch_size for stage in stages[1:]), default=0)
    frames = max(stages[0].batch_size, -(-faces // chain.per_frame))
    batch = ExtractBatch(frames=[chain.frame(seq) for seq in range(frames)])
    for stage in stages:
        joiner = FrameJoiner()
        batch = batch_of([faces for done in await stage.run_one(batch) for faces in joiner.put(done)])


async def _run(chain: ProfiledChain, stages: list[Stage], meter: _Meter) -> None:
    pipeline = Pipeline(stages, chain.bridge, in_flight=BATCHES_PER_STAGE * len(stages))
    async with task_group() as tasks:
        running = [tasks.create_task(pipeline.run(meter.publish)), tasks.create_task(chain.feed(pipeline))]
        await meter.done.wait()
        for task in running:
            task.cancel()


class _Meter:
    """Where the frames come out: watches the clock and the stages' own counts.

    Attributes:
        window: may be replaced before the first frame.
    """

    def __init__(
        self, window: RateWindow, stages: Sequence[Stage], sizes: Sequence[int], clock: Callable[[], float]
    ) -> None:
        self.window = window
        self.done = asyncio.Event()
        self._stages = stages
        self._sizes = sizes
        self._clock = clock
        self._before: list[StageStatistics] = []

    async def publish(self, faces: FrameFaces) -> None:
        self.window.frame_out(self._clock())
        if not self._before and self.window.began is not None:
            self._before = [replace(stage.statistics()) for stage in self._stages]
        if self.window.ended is not None or self.shrunk():
            self.done.set()

    def shrunk(self) -> bool:
        """A stage ran out of memory and went on with smaller batches."""
        return any(stage.batch_size < size for stage, size in zip(self._stages, self._sizes))

    def speeds(self, *, shared: bool) -> tuple[float, ...]:
        """Each stage's samples for each second at work; infinite without a sample.

        Args:
            shared: its three verbs share the processor, so their times add up; else they overlap and the longest
                counts.
        """
        return tuple(
            _speed(before, stage.statistics(), first=i == 0, shared=shared)
            for i, (before, stage) in enumerate(zip(self._before, self._stages))
        )


def _speed(before: StageStatistics, after: StageStatistics, *, first: bool, shared: bool) -> float:
    samples = after.frames - before.frames if first else after.faces - before.faces
    verbs = (
        after.pre_seconds - before.pre_seconds,
        after.infer_seconds - before.infer_seconds,
        after.post_seconds - before.post_seconds,
    )
    return samples / max(sum(verbs) if shared else max(verbs), 1e-9) if samples else inf

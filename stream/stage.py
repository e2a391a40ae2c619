"""One model's pre-process, infer and post-process, overlapping for neighbouring batches.

While batch *n* is inferred on the device, batch *n + 1* is prepared and batch *n - 1* finished in CPU workers. The
hand-overs between the three hold one batch each, so a stage holds at most five.

With several devices the model is there on each. Whichever is free takes the next batch, prepares, infers and finishes
it as above, and results leave in the order of the batches.

Where only one batch is on its way through the whole chain there is nothing to overlap: then the three verbs are one
call (:meth:`Stage.run_through`), and a batch crosses to a thread and back once, not three times.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from facestream.errors import OutOfDeviceMemory
from facestream.faces.aligned import align
from facestream.stream.batching import FaceBatcher, FrameJoiner, Item, split, with_faces
from facestream.stream.channel import Channel, EndOfChannel, Receiver, Sender, WouldBlock
from facestream.stream.checks import check_detections, check_faces
from facestream.stream.device import Bridge
from facestream.stream.guiding import settle
from facestream.stream.histogram import BATCHES, DURATIONS, Histogram
from facestream.stream.joining import batch_of
from facestream.stream.region import moved
from facestream.stream.tasks import task_group
from facestream.stream.turns import Shared
from facestream.stream.types import (
    Detections,
    Detector,
    ExtractBatch,
    FacePlugin,
    Faces,
    Floats,
    FrameFaces,
    Selective,
    lost_below,
    summary_of,
)

log = logging.getLogger("facestream.stage")


@dataclass(slots=True)
class StageStatistics:
    """What a stage has done.

    Attributes:
        batch_size: the present one.
        batches: through its model; ``frames`` and ``faces`` through the stage, those that needed no model included.
        pre_seconds: in that verb, in all; so are ``infer_seconds`` and ``post_seconds``.
        pre: seconds of each batch; so are ``infer`` and ``post``.
        sizes: how full each batch was, in frames of a detector and in faces of any other model.
        out_of_memory: how often a batch didn't fit into the device's memory.
    """

    name: str
    batch_size: int
    batches: int = 0
    frames: int = 0
    faces: int = 0
    pre_seconds: float = 0.0
    infer_seconds: float = 0.0
    post_seconds: float = 0.0
    pre: Histogram = field(default_factory=lambda: Histogram(DURATIONS))
    infer: Histogram = field(default_factory=lambda: Histogram(DURATIONS))
    post: Histogram = field(default_factory=lambda: Histogram(DURATIONS))
    sizes: Histogram = field(default_factory=lambda: Histogram(BATCHES))
    out_of_memory: int = 0


class Role(Protocol):
    """How a plugin's verbs meet a batch: the one difference between detectors and models that look at faces."""

    plugin: Any

    def weight(self, batch: ExtractBatch) -> int:
        """What the batch size counts: frames for detectors, faces for all others. Zero needs no model."""

    def pre_process(self, batch: ExtractBatch) -> Any: ...

    def infer(self, feed: Any) -> Any: ...

    def post_process(self, raw: Any, feed: Any, batch: ExtractBatch) -> None: ...

    def split(self, batch: ExtractBatch, size: int) -> Iterator[ExtractBatch]:
        """``batch`` in parts that weigh at most ``size``."""


class DetectRole:
    """Frames in, boxes out. Guided frames pass, with the faces that are expected in them."""

    def __init__(self, plugin: Detector) -> None:
        self.plugin = plugin
        self.infer = plugin.infer

    def weight(self, batch: ExtractBatch) -> int:
        return sum(not frame.guided for frame in batch.frames)

    def pre_process(self, batch: ExtractBatch) -> Any:
        return self.plugin.pre_process([frame.view for frame in batch.frames if not frame.guided])

    def post_process(self, raw: Any, feed: Any, batch: ExtractBatch) -> None:
        found = self.plugin.post_process(raw, feed)
        check_detections(self.plugin.name, found, self.weight(batch))
        regions = [frame.region for frame in batch.frames if not frame.guided]
        write_detections(batch, [moved(_sane(detections), region) for detections, region in zip(found, regions)])

    def split(self, batch: ExtractBatch, size: int) -> Iterator[ExtractBatch]:
        part: list[FrameFaces] = []
        for faces in batch.per_frame():
            if not faces.frame.guided:
                faces = FrameFaces(frame=faces.frame)
                if sum(not other.frame.guided for other in part) == size:
                    yield batch_of(part)
                    part = []
            part.append(faces)
        if part:
            yield batch_of(part)


class FaceRole:
    """Faces in, something about each face out."""

    def __init__(self, plugin: FacePlugin) -> None:
        self.plugin = plugin
        self.infer = plugin.infer
        self._lost_below = lost_below(plugin)

    def weight(self, batch: ExtractBatch) -> int:
        return len(batch)

    def pre_process(self, batch: ExtractBatch) -> Any:
        derive(batch)
        return self.plugin.pre_process(batch)

    def post_process(self, raw: Any, feed: Any, batch: ExtractBatch) -> None:
        landmarks = batch.landmarks
        self.plugin.post_process(raw, feed, batch)
        check_faces(self.plugin.name, batch)
        if batch.landmarks is not landmarks:
            batch.aligned = None  # it belonged to the former landmarks (spec D8)
            settle(batch, self._lost_below)
            derive(batch)

    def split(self, batch: ExtractBatch, size: int) -> Iterator[ExtractBatch]:
        return split(batch, size)


def derive(batch: Faces) -> None:
    """Give faces that have landmarks their aligned view, unless they have it. For a CPU worker: 0.15 ms a face."""
    if batch.aligned is None and batch.landmarks is not None and len(batch):
        batch.aligned = align(batch.landmarks)


def write_detections(batch: ExtractBatch, found: list[Detections]) -> None:
    """Fill a batch with the detections of each frame that isn't guided.

    In those, faces that were known before are gone, with all that was known.
    """
    batch.priors, found = _with_guided(batch, found)
    batch.landmarks = batch.landmark_scores = batch.tracks = batch.aligned = None
    batch.masks, batch.identities = {}, {}
    batch.boxes = np.concatenate([np.zeros((0, 4), np.float32), *(d.boxes for d in found)])
    batch.scores = np.concatenate([np.zeros((0,), np.float32), *(d.scores for d in found)])
    seen = [d.points for d in found if len(d.boxes)]  # a frame without faces has no say
    points = [array for array in seen if array is not None]
    batch.points = np.concatenate(points) if points and len(points) == len(seen) else None
    batch.frame_ids = np.repeat(np.arange(len(found), dtype=np.int32), [len(d.boxes) for d in found])


def _with_guided(batch: ExtractBatch, found: list[Detections]) -> tuple[Floats | None, list[Detections]]:
    """The batch's priors, and what is known of each of its frames: detected, or expected if it is guided."""
    if batch.priors is None and not any(frame.guided for frame in batch.frames):
        return None, found
    detected = iter(found)
    each, priors = [], []
    for faces in batch.per_frame():
        if faces.frame.guided:
            each.append(Detections(faces.boxes, faces.scores, faces.points))
        else:
            each.append(next(detected))
        if faces.frame.guided and faces.priors is not None:
            priors.append(faces.priors)
        elif batch.priors is not None:
            priors.append(np.full((len(each[-1].boxes), *batch.priors.shape[1:]), np.nan, np.float32))
    return np.concatenate(priors) if priors else None, each


def _sane(found: Detections) -> Detections:
    """Without boxes that are not finite or have no area (spec D25)."""
    boxes = found.boxes
    good = np.isfinite(boxes).all(axis=1) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    if good.all():
        return found
    return Detections(boxes[good], found.scores[good], None if found.points is None else found.points[good])


@dataclass(slots=True)
class _Work:
    """A batch on its way through a stage, with what one verb hands to the next. No feed: nothing to infer."""

    batch: ExtractBatch
    feed: Any = None
    raw: Any = None
    seconds: float = 0.0
    replica: int = 0
    turn: int = 0
    last: bool = True  # of the batches of its turn


class Stage:
    """A plugin, driven.

    Args:
        name: for statistics and messages.
        role: the plugin behind :class:`DetectRole` or :class:`FaceRole`; several where the model is on several devices,
            each loaded on its own, in the order of ``bridge``'s.
        bridge: where its verbs run.
        batch_size: most frames (detectors) or faces (all others) that the model sees at once. Halved for good when the
            device runs out of memory.
    """

    def __init__(self, name: str, role: Role | Sequence[Role], bridge: Bridge, batch_size: int) -> None:
        self.name = name
        self._roles = tuple(role) if isinstance(role, Sequence) else (role,)
        self._role = self._roles[0]
        self._bridge = bridge
        self._statistics = StageStatistics(name, batch_size)

    @classmethod
    def detect(
        cls, plugin: Detector, bridge: Bridge, batch_size: int | None = None, *, replicas: Sequence[Detector] = ()
    ) -> Stage:
        """``replicas``: the same model on ``bridge``'s further devices."""
        roles = [DetectRole(each) for each in (plugin, *replicas)]
        return cls(plugin.name, roles, bridge, batch_size or plugin.batch_size)

    @classmethod
    def faces(
        cls, plugin: FacePlugin, bridge: Bridge, batch_size: int | None = None, *, replicas: Sequence[FacePlugin] = ()
    ) -> Stage:
        """``replicas``: the same model on ``bridge``'s further devices."""
        roles = [FaceRole(each) for each in (plugin, *replicas)]
        return cls(plugin.name, roles, bridge, batch_size or plugin.batch_size)

    @property
    def batch_size(self) -> int:
        return self._statistics.batch_size

    @property
    def finds_faces(self) -> bool:
        """Whether this is a detector's stage: its batches count frames."""
        return isinstance(self._role, DetectRole)

    @property
    def selective(self) -> bool:
        """Whether its model may look at some of a frame's faces only."""
        return isinstance(self._role.plugin, Selective) and self._role.plugin.selective

    @property
    def lost_below(self) -> float | None:
        """The model's confidence below which what it looked at is no face; None if it doesn't tell."""
        return lost_below(self._role.plugin)

    def statistics(self) -> StageStatistics:
        return self._statistics

    def summary(self) -> list[str]:
        """What the plugin has to tell at the end of a job, such as how many faces it left out and why."""
        return [line for role in self._roles for line in summary_of(role.plugin)]

    async def run(self, inbound: Receiver[ExtractBatch], outbound: Sender[ExtractBatch]) -> None:
        """Process batches until ``inbound`` ends, then close ``outbound``.

        Cancelling loses the batches in the stage.
        """
        shared = Shared(self._batches(inbound))
        async with task_group() as tasks:
            for replica in range(len(self._roles)):
                feeds_in, feeds_out = Channel[_Work](1).ends
                raws_in, raws_out = Channel[_Work](1).ends
                tasks.create_task(self._prepare(replica, shared, feeds_in), name=f"{self.name}.pre")
                tasks.create_task(self._infer_all(feeds_out, raws_in), name=f"{self.name}.infer")
                tasks.create_task(self._finish(raws_out, shared, outbound), name=f"{self.name}.post")
        outbound.close()

    async def run_through(self, batch: ExtractBatch) -> list[ExtractBatch]:
        """Process a batch by the model's first replica while this stage has no other; it may come back in parts.

        All three verbs are one call. Cancelling loses the results.
        """
        fits = self.finds_faces or len(batch) <= self.batch_size  # detect batches arrive in their final size
        parts = [batch] if fits else list(self._role.split(batch, self.batch_size))
        return [done for part in parts for done in await self._at_once(part)]

    async def run_one(self, batch: ExtractBatch) -> list[ExtractBatch]:
        """Process one batch by this stage alone, beside a running stream or without any; it may come back in parts.

        Cancelling loses the results.
        """
        done = []
        for part in self._role.split(batch, self.batch_size):
            for work in await self._infer(await self._prepared(part)):
                await self._finished(work)
                done.append(work.batch)
        return done

    async def process_one(self, item: Item) -> FrameFaces:
        """One frame by this stage alone: a new object with what the model found, whatever size its batches have.

        Cancelling loses the result.
        """
        joiner = FrameJoiner()
        for batch in await self.run_one(batch_of([with_faces(item)])):
            for faces in joiner.put(batch):
                return faces
        raise AssertionError("the stage lost the frame")

    async def _prepare(self, replica: int, shared: Shared[ExtractBatch], feeds: Sender[_Work]) -> None:
        while (taken := await shared.take()) is not None:
            turn, batch = taken
            work = await self._prepared(batch, replica)
            work.turn = turn
            await feeds.send(work)
        feeds.close()

    async def _infer_all(self, feeds: Receiver[_Work], raws: Sender[_Work]) -> None:
        async for work in feeds:
            parts = await self._infer(work)
            for part in parts:
                part.turn, part.last = work.turn, part is parts[-1]
                await raws.send(part)
        raws.close()

    async def _finish(
        self, raws: Receiver[_Work], shared: Shared[ExtractBatch], outbound: Sender[ExtractBatch]
    ) -> None:
        async for work in raws:
            await self._finished(work)
            await shared.come(work.turn)
            await outbound.send(work.batch)
            if work.last:
                await shared.leave(work.turn)

    async def _at_once(self, batch: ExtractBatch) -> list[ExtractBatch]:
        """All three verbs in one call, in the model's worker; in parts if the batch didn't fit into the memory."""
        weight = self._role.weight(batch)  # before: lost faces are left out
        if not weight:
            self._count_out(batch)
            return [batch]
        try:
            pre, infer, post = await self._bridge.worker(self.name).run(_all_verbs, self._role, batch)
        except OutOfDeviceMemory as error:
            works = await self._infer_halves(batch, 0, error)
            for work in works:
                await self._finished(work)
            return [work.batch for work in works]
        self._count_inferred(weight, pre, infer)
        self._count_finished(post)
        self._count_out(batch)
        return [batch]

    async def _batches(self, inbound: Receiver[ExtractBatch]) -> AsyncIterator[ExtractBatch]:
        """What is waiting, as batches of this stage's own size. Detect batches arrive in their final size."""
        if self.finds_faces:
            async for batch in inbound:
                yield batch
            return
        batcher = FaceBatcher(self.batch_size)
        async for batch in inbound:
            if inbound.empty and len(batch) <= self.batch_size:
                yield batch  # nothing to join it with, and nothing to split
                continue
            batcher.put(batch)
            while batcher:
                _take_waiting(inbound, batcher)
                batcher.size = self.batch_size
                ready = batcher.take()
                assert ready is not None
                yield ready

    async def _prepared(self, batch: ExtractBatch, replica: int = 0) -> _Work:
        if not self._role.weight(batch):
            return _Work(batch, replica=replica)
        feed, seconds = await self._bridge.cpu(_timed, self._roles[replica].pre_process, batch)
        return _Work(batch, feed, seconds=seconds, replica=replica)

    async def _infer(self, work: _Work) -> list[_Work]:
        if work.feed is None:
            return [work]
        try:
            worker = self._bridge.worker(self.name, work.replica)
            work.raw, seconds = await worker.run(_timed, self._roles[work.replica].infer, work.feed)
        except OutOfDeviceMemory as error:
            return await self._infer_halves(work.batch, work.replica, error)
        self._count_inferred(self._role.weight(work.batch), work.seconds, seconds)
        return [work]

    def _advice(self) -> str:
        what, smaller = ("frame", " or a smaller --detect-size") if self.finds_faces else ("face", "")
        return (
            f"{self.name}: not even one {what} fits into the memory of {self._bridge.device}: close other programs "
            f"that use it, choose a lighter model{smaller}, run fewer models at once, or use --device cpu"
        )

    async def _infer_halves(self, batch: ExtractBatch, replica: int, error: OutOfDeviceMemory) -> list[_Work]:
        """What didn't fit at once, in parts that are half as large."""
        self._statistics.out_of_memory += 1
        if self._role.weight(batch) == 1:
            raise OutOfDeviceMemory(self._advice()) from error
        smaller = (self._role.weight(batch) + 1) // 2
        if smaller < self.batch_size:
            log.warning("%s: the device is out of memory; going on with batches of %d", self.name, smaller)
            self._statistics.batch_size = smaller
        halves = self._role.split(batch, smaller)
        return [work for half in halves for work in await self._infer(await self._prepared(half, replica))]

    async def _finished(self, work: _Work) -> None:
        if work.feed is not None:
            post_process = self._roles[work.replica].post_process
            _, seconds = await self._bridge.cpu(_timed, post_process, work.raw, work.feed, work.batch)
            self._count_finished(seconds)
        self._count_out(work.batch)
        work.feed = work.raw = None

    def _count_inferred(self, weight: int, pre: float, infer: float) -> None:
        statistics = self._statistics
        statistics.pre_seconds += pre
        statistics.infer_seconds += infer
        statistics.pre.observe(pre)
        statistics.infer.observe(infer)
        statistics.sizes.observe(weight)

    def _count_finished(self, post: float) -> None:
        statistics = self._statistics
        statistics.post_seconds += post
        statistics.post.observe(post)
        statistics.batches += 1

    def _count_out(self, batch: ExtractBatch) -> None:
        self._statistics.frames += len(batch.frames) - batch.continued
        self._statistics.faces += len(batch)


def _take_waiting(inbound: Receiver[ExtractBatch], batcher: FaceBatcher) -> None:
    """Everything that arrived meanwhile joins, while it can still go into this batch."""
    try:
        while batcher.faces < batcher.size:
            batcher.put(inbound.receive_nowait())
    except (WouldBlock, EndOfChannel):
        pass


def _all_verbs(role: Role, batch: ExtractBatch) -> tuple[float, float, float]:
    """``batch`` through the model; how many seconds each verb took."""
    feed, pre = _timed(role.pre_process, batch)
    raw, infer = _timed(role.infer, feed)
    _, post = _timed(role.post_process, raw, feed, batch)
    return pre, infer, post


def _timed(function: Callable[..., Any], *args: object) -> tuple[Any, float]:
    start = perf_counter()
    result = function(*args)
    return result, perf_counter() - start

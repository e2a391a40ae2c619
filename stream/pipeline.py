"""A chain of stages between a gate and whoever wants the results.

::

    gate ─► detect ─► align ─► … ─► follow ─► identity ─► number, name ─► publish
      └─────────────────── at most `in_flight` batches ───────────────────┘

With a guide, most frames of a live source pass the detector: see :mod:`facestream.stream.guiding`.

Each accepted frame comes out once, in order per source, faces or none, with its own faces in their own order.

A pipeline runs once, and its errors are its own: the next one starts afresh, also with the same stages.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import numpy as np

from facestream.faces.quality import picture_quality
from facestream.stream.batching import FrameJoiner, InFlight, Item, LaneStatistics, batches_of, with_faces
from facestream.stream.channel import BrokenChannel, Channel, EndOfChannel, Receiver, Sender
from facestream.stream.choosing import Chooser
from facestream.stream.device import Bridge
from facestream.stream.following import Following, Tracks
from facestream.stream.gate import FrameGate
from facestream.stream.guiding import Guide, GuidingPolicy
from facestream.stream.recognition import Recogniser
from facestream.stream.signal import Signal
from facestream.stream.stage import Stage, StageStatistics, derive
from facestream.stream.tasks import task_group
from facestream.stream.types import ExtractBatch, Floats, Frame, FrameFaces

__all__ = ["Pipeline", "Publish", "Tracks"]

Publish = Callable[[FrameFaces], Awaitable[None]]


class Pipeline:
    """Drives frames from its :attr:`gate` through ``stages``.

    Args:
        stages: usually one that finds faces and others that look at them. A chain may also begin with one that looks at
            faces, or have none at all: then what goes in are frames whose faces are known (:class:`FrameFaces`).
        bridge: where blocking work runs.
        in_flight: batches between the gate and the exit, for each of ``bridge``'s devices. One or two keep live
            results young (see :func:`facestream.jobs.live.live_in_flight`); lossless jobs ask for more, so that every
            verb of every stage can be at work.
        tracks: numbers the faces; None leaves them unnumbered.
        recogniser: says who they are, by the first identity model's embeddings. None looks for nobody.
        chooser: chooses the faces that the identity models at the chain's end look at, those that are
            :class:`facestream.stream.types.Selective`. None has them look at all.
        guide: chooses the frames that the detector looks at. None has it look at all, and so has a chain whose aligner
            doesn't tell when it sees no face (:class:`facestream.stream.types.TellsLost`). For live sources: which
            frames are guided depends on the models' pace.

    Raises:
        ValueError: faces are to be named, chosen or guided by that aren't tracked.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        bridge: Bridge,
        *,
        in_flight: int = 2,
        tracks: Tracks | None = None,
        recogniser: Recogniser | None = None,
        chooser: Chooser | None = None,
        guide: Guide | None = None,
    ) -> None:
        if tracks is None and (recogniser is not None or chooser is not None or guide is not None):
            raise ValueError("a recogniser, a chooser and a guide need tracks")
        self._stages = list(stages)
        self._bridge = bridge
        self._in_flight = InFlight(max(1, in_flight) * len(bridge.devices))
        self._choosing_from = len(self._stages) if chooser is None else _first_selective(self._stages)
        chooser = chooser if self._chooses else None
        self._following = None if tracks is None else Following(tracks, chooser, recogniser)
        self._lost_below = _lost_below(self._stages)
        self._guide = None if self._lost_below is None else guide
        self._tracked = tracks is not None
        self._room = asyncio.Event()
        self._room.set()
        self._progress = Counter[str]()  # frames of each source accounted for: published, or dropped before one
        self._inside = Counter[str]()  # frames of each source between the gate and the exit
        self._published = Signal()
        self._started = self._ended = False
        self.gate = FrameGate(capacity=self._frames_at_once())

    async def run(self, publish: Publish) -> None:
        """Process frames until the gate is closed and everything that it accepted has been published.

        ``publish`` is awaited for each result, one after another; while it waits the pipeline fills up and then the
        gate's readers wait. Cancelling loses the frames in flight. However it ends, the gate is closed then.

        Raises:
            RuntimeError: it runs already, or has run.
        """
        if self._started:
            raise RuntimeError("a pipeline runs once: make another of the same stages")
        self._started = True
        try:
            if self._in_flight.limit == 1:
                await self._run_in_turn(publish)
            else:
                await self._run_at_once(publish)
        finally:
            await self._end()

    async def _run_in_turn(self, publish: Publish) -> None:
        """One lot of frames after another: nothing overlaps, so that nothing need be handed from task to task."""
        choosing, joining = FrameJoiner(), FrameJoiner()
        while batches := await self._taken():
            for place, stage in enumerate(self._stages):
                if place == self._choosing_from:
                    batches = [part for batch in batches for part in await self._chosen(batch, choosing)]
                batches = [part for batch in batches for part in await stage.run_through(batch)]
            for batch in batches:
                await self._let_out(batch, joining, publish)

    async def _run_at_once(self, publish: Publish) -> None:
        """Each stage in a task of its own, all at work on different batches."""
        async with task_group() as tasks:
            sender, receiver = Channel[ExtractBatch](1).ends
            tasks.create_task(self._admit(sender), name="pipeline.admit")
            for place, stage in enumerate(self._stages):
                if place == self._choosing_from:
                    outbound, chosen = Channel[ExtractBatch](1).ends
                    tasks.create_task(self._choose(receiver, outbound), name="pipeline.choose")
                    receiver = chosen
                outbound, next_receiver = Channel[ExtractBatch](1).ends
                tasks.create_task(stage.run(receiver, outbound), name=f"pipeline.{stage.name}")
                receiver = next_receiver
            tasks.create_task(self._publish(receiver, publish), name="pipeline.publish")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Receiver[FrameFaces]]:
        """Run the pipeline for the length of a block, with its results to iterate over::

            async with asyncio.TaskGroup() as tasks, pipeline.running() as results:
                tasks.create_task(feed(pipeline))  # await pipeline.put(…) …, then await pipeline.close()
                async for faces in results:
                    ...

        The iteration ends when the pipeline is closed and everything is out. Whoever puts frames does so in a task of
        its own: while nobody takes results, ``put`` waits. Leaving the block early, or cancelling it, loses the frames
        in flight; a model's error ends the block and is raised as itself.
        """
        sender, results = Channel[FrameFaces](1).ends
        async with task_group() as tasks:
            run = tasks.create_task(self._run_into(sender), name="pipeline.run")
            try:
                yield results
            finally:
                run.cancel()

    async def flush(self) -> None:
        """Wait until every frame that the gate has accepted so far is published. Cancelling loses nothing.

        Raises:
            BrokenChannel: the pipeline ended before.
        """
        goals = self.gate.captured()
        await self._published.wait_for(lambda: self._ended or self._reached(goals))
        if not self._reached(goals):
            raise BrokenChannel

    async def put(self, item: Item) -> None:
        """Hand a frame to the chain, bare or with the faces that are known already; waits for room.

        A source that :attr:`gate` doesn't know yet takes part from now on, as one that loses nothing; a live source is
        added with ``pipeline.gate.add(name, live=True)``. A cancelled ``put`` hasn't handed its frame over.

        Raises:
            BrokenChannel: the gate is closed, or the source was removed meanwhile.
        """
        source = with_faces(item).frame.source
        if source not in self.gate:
            self.gate.add(source, live=False)
        await self.gate.put(item)

    async def close(self) -> None:
        """Nothing more comes: what was put still comes out, then :meth:`run` ends."""
        await self.gate.close()

    async def process_one(self, item: Item) -> FrameFaces:
        """One frame through all stages, beside whatever stream is running: not tracked, not published.

        Cancelling loses the result.
        """
        faces = with_faces(item)
        for stage in self._stages:
            faces = await stage.process_one(faces)
        (batch,) = batches_of([faces])
        await self._derive(batch)
        return next(batch.per_frame())

    async def remove(self, source: str) -> LaneStatistics:
        """Let ``source`` go: what it has waiting is dropped, what is in flight still comes out. Its final count."""
        final = await self.gate.remove(source)
        self._forget(source)
        self._published.tell()
        return final

    async def gone(self, source: str) -> None:
        """Wait until nothing of a removed source is in flight any more. Not for whoever takes the results: it would
        wait for itself. Cancelling loses nothing.
        """
        await self._published.wait_for(lambda: self._ended or not self._inside[source])

    def guide_source(self, source: str, policy: GuidingPolicy | None) -> None:
        """When the detector looks at one source's frames; None for what holds for all.

        It looks at all of them in a chain that can't be guided, see the arguments.
        """
        if self._guide is None and policy is not None and self._tracked and self._lost_below is not None:
            self._guide = Guide(GuidingPolicy(every=1))
        if self._guide is not None:
            self._guide.set_policy(source, policy)

    def statistics(self) -> list[StageStatistics]:
        return [stage.statistics() for stage in self._stages]

    @property
    def batches_in_flight(self) -> int:
        return len(self._in_flight)

    async def _admit(self, sender: Sender[ExtractBatch]) -> None:
        while batches := await self._taken():
            for batch in batches:
                await sender.send(batch)
        sender.close()

    async def _taken(self) -> list[ExtractBatch]:
        """The next lot of frames, once there is room for it; none once there are no more."""
        # First the place, then the frame: the frame is chosen as late as possible and so is the newest.
        await self._room.wait()
        try:
            frames = await self.gate.take(self._frames_at_once())
        except EndOfChannel:
            return []
        self._in_flight.enter(len(frames))
        self._inside.update(faces.frame.source for faces in frames)
        self._update_room()
        if self._guide is not None:
            await self._light_up(frames)
            frames = [self._guide.next(frame) for frame in frames]
        return batches_of(frames)

    async def _light_up(self, frames: Sequence[FrameFaces]) -> None:
        """Have the guide, which is in the event loop, wait for no pixels to be made."""
        dark = [faces.frame for faces in frames if faces.frame.light is None]
        if dark:
            await self._bridge.cpu(_look_at, dark)

    async def _run_into(self, results: Sender[FrameFaces]) -> None:
        try:
            await self.run(results.send)
        finally:
            results.close()

    async def _end(self) -> None:
        """Whoever waits for room or for a result waits for nothing."""
        self._ended = True
        await self.gate.close()
        self._published.tell()

    async def _publish(self, receiver: Receiver[ExtractBatch], publish: Publish) -> None:
        joiner = FrameJoiner()
        async for batch in receiver:
            await self._let_out(batch, joiner, publish)

    async def _let_out(self, batch: ExtractBatch, joiner: FrameJoiner, publish: Publish) -> None:
        """The frames that the batch completes."""
        await self._derive(batch)
        for faces in joiner.put(batch):
            faces = await self._followed(faces)
            if self._guide is not None and self._lost_below is not None:
                self._guide.learn(faces, self._lost_below)
            await publish(faces)
            self._in_flight.leave()
            self._update_room()
            self._progress[faces.frame.source] += 1 + faces.dropped
            self._inside[faces.frame.source] -= 1
            if faces.frame.source not in self.gate:
                self._forget(faces.frame.source)  # removed while this frame was in flight
            self._published.tell()

    async def _choose(self, receiver: Receiver[ExtractBatch], sender: Sender[ExtractBatch]) -> None:
        """Between the other stages and those that look at chosen faces only."""
        joiner = FrameJoiner()
        async for batch in receiver:
            for part in await self._chosen(batch, joiner):
                await sender.send(part)
        sender.close()

    async def _chosen(self, batch: ExtractBatch, joiner: FrameJoiner) -> list[ExtractBatch]:
        """Of the frames that the batch completes, followed by motion, the faces that are to be looked at."""
        assert self._following is not None
        await self._derive(batch)
        chosen = []
        for faces in joiner.put(batch):
            chosen.append(self._following.before(faces, await self._qualities(faces)))
        return batches_of(chosen)

    async def _followed(self, faces: FrameFaces) -> FrameFaces:
        """All of the frame's faces, numbered and named, where that is wanted."""
        if self._following is None:
            return faces
        if not self._chooses:
            self._following.before(faces, await self._qualities(faces) if faces.identities else None)
        return self._following.after(faces)

    async def _qualities(self, faces: FrameFaces) -> Floats:
        return await self._bridge.cpu(picture_quality, faces) if len(faces) else np.zeros(0, np.float32)

    @property
    def _chooses(self) -> bool:
        return self._choosing_from < len(self._stages)

    def _forget(self, source: str) -> None:
        """Keep nothing of a source that has gone: neither for months, nor for the next of its name."""
        self._progress.pop(source, None)
        if not self._inside[source]:
            del self._inside[source]
        if self._following is not None:
            self._following.forget(source)
        if self._guide is not None:
            self._guide.forget(source)

    async def _derive(self, batch: ExtractBatch) -> None:
        """For a chain without stages; a stage has done it otherwise."""
        if batch.aligned is None and batch.landmarks is not None and len(batch):
            await self._bridge.cpu(derive, batch)

    def _frames_at_once(self) -> int:
        return self._stages[0].batch_size if self._stages else 1

    def _update_room(self) -> None:
        if self._in_flight.has_room():
            self._room.set()
        else:
            self._room.clear()

    def _reached(self, goals: dict[str, int]) -> bool:
        """A frame that gave way counts once the newer one is out; a removed source has nothing left to wait for."""
        present = self.gate.captured()
        return all(self._progress[source] >= goal for source, goal in goals.items() if source in present)


def _lost_below(stages: Sequence[Stage]) -> float | None:
    """That of the first aligner which tells, behind a detector; None if nothing can be guided."""
    if not stages or not stages[0].finds_faces:
        return None
    return next((stage.lost_below for stage in stages[1:] if stage.lost_below is not None), None)


def _look_at(frames: Sequence[Frame]) -> None:
    """A live frame's pixels are made when somebody first looks at them, which takes a millisecond."""
    for frame in frames:
        _ = frame.image


def _first_selective(stages: Sequence[Stage]) -> int:
    """Where the stages begin, at the chain's end, all of which may look at some faces only; the length if none does."""
    place = len(stages)
    while place and stages[place - 1].selective:
        place -= 1
    return place

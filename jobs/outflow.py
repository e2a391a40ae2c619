"""The way out of a live session: privacy first, then the hub and the sinks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from typing import Final, Protocol, runtime_checkable

from facestream.io.picture_writer import WriteStatistics
from facestream.jobs.source_info import SinkStatistics
from facestream.stream.channel import BrokenChannel, Channel, Overload, Receiver, Sender
from facestream.stream.hub import Hub
from facestream.stream.types import FrameFaces, Sink

SINK_DEPTH: Final = 8
"""Results that wait for a sink slower than the stream; then the newest win."""


class Discretion(Protocol):
    """What keeps faces private: results pass it before anybody sees or saves them."""

    async def apply(self, faces: FrameFaces) -> FrameFaces | None:
        """The result as it may be shown, in pixels of its own; None when it must not be shown at all."""

    def forget(self, source: str) -> None:
        """Keep nothing of a source that has gone."""


@runtime_checkable
class Counting(Protocol):
    """A sink that goes on when it can't write, and counts what that costs."""

    def statistics(self) -> WriteStatistics: ...


@dataclass(frozen=True, slots=True, eq=False)
class _SinkEnd:
    name: str
    sink: Sink
    sender: Sender[FrameFaces]
    receiver: Receiver[FrameFaces]


class Outflow:
    """
    Args:
        hub: gets each result at once.
        sinks: get them at the stream's pace; a sink that falls behind misses results rather than delay them.
        privacy: sees each result first. One that it withholds counts as dropped for whoever waits for results.
        biometrics: whether the hub and the sinks, which store and send, get the embeddings of faces.

    Attributes:
        withheld: results that privacy held back.
        writing: what still runs while it drains, each task under its sink's name.
    """

    def __init__(self, hub: Hub, sinks: Sequence[Sink], privacy: Discretion | None, biometrics: bool) -> None:
        self._hub = hub
        self._sinks = list(sinks)
        self._ends: list[_SinkEnd] = []
        self.privacy = privacy
        self._biometrics = biometrics
        self._gaps = Counter[str]()  # source → frames lost since its last result that was shown, as it was withheld
        self.withheld = 0
        self.writing: list[asyncio.Task[None]] = []

    async def enter_sinks(self, stack: AsyncExitStack) -> None:
        """``stack`` finalises them."""
        for sink in self._sinks:
            await stack.enter_async_context(sink)

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Write to the entered sinks in tasks of ``tasks``."""
        for sink in self._sinks:
            sender, receiver = Channel[FrameFaces](SINK_DEPTH, Overload.NEWEST).ends
            name = type(sink).__name__
            self._ends.append(_SinkEnd(name, sink, sender, receiver))
            self.writing.append(tasks.create_task(_write_all(receiver, sink), name=name))

    async def publish(self, faces: FrameFaces) -> None:
        """Hand on one result; waits for nobody but privacy. Cancelling loses it."""
        shown = await self._as_shown(faces)
        if shown is None:
            return
        self._hub.publish(shown)
        for end in self._ends:
            with suppress(BrokenChannel):  # nobody waits for that sink any longer, or its own error ends the session
                end.sender.send_nowait(shown)

    def finish(self) -> None:
        """No more results: the sinks take what waits, and their tasks end."""
        for end in self._ends:
            end.sender.close()

    def forget(self, source: str) -> None:
        """Keep nothing of a source that has gone."""
        if self.privacy is not None:
            self.privacy.forget(source)
        self._gaps.pop(source, None)
        self._hub.forget(source)

    def statistics(self) -> list[SinkStatistics]:
        return [_counted(end) for end in self._ends]

    async def _as_shown(self, faces: FrameFaces) -> FrameFaces | None:
        """What others may see of a result; None for nothing."""
        source = faces.frame.source
        shown = faces if self.privacy is None else await self.privacy.apply(faces)
        if shown is None:
            self.withheld += 1
            self._gaps[source] += 1 + faces.dropped
            return None
        if not self._biometrics:
            shown = replace(shown, identities={})
        if gap := self._gaps.pop(source, 0):
            shown = replace(shown, frame=shown.frame.changed(dropped=shown.dropped + gap))
        return shown


def _counted(end: _SinkEnd) -> SinkStatistics:
    count = end.receiver.statistics()
    # Other sinks may call something else their statistics: an io.recorder.Recorder does.
    own = end.sink.statistics() if isinstance(end.sink, Counting) and callable(end.sink.statistics) else None
    failed = own.failed if isinstance(own, WriteStatistics) else 0
    return SinkStatistics(end.name, count.received, count.dropped, count.waiting, failed)


async def _write_all(results: Receiver[FrameFaces], sink: Sink) -> None:
    try:
        async for faces in results:
            await sink.write(faces)
        await sink.drain()
    finally:
        results.close()

"""Keeps events in a store, and goes on without it where it can't: asyncio outside, one thread with SQLite inside."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeVar

from facestream.errors import FacestreamError, FileFormatError
from facestream.io.event_store import EventFilter, EventStore, clips_folder, events_file, set_aside
from facestream.io.gallery_names import name_key
from facestream.jobs.event_backlog import Backlog, Batch
from facestream.jobs.event_options import EventOptions
from facestream.stream.device import Bridge
from facestream.stream.events import Event
from facestream.stream.tasks import task_group

log = logging.getLogger("facestream.events")

T = TypeVar("T")

RETRY_EVERY: Final = 5.0
"""Seconds between two tries to write while the store can't be written."""

TIDY_EVERY: Final = 3600.0
"""Seconds between two looks at what has become too old, while nothing happens."""


@dataclass(frozen=True, slots=True)
class RecorderStatistics:
    """
    Attributes:
        stored: times that a visit was written.
        lost_events, lost_pictures: that gave way, because the store was too slow or couldn't be written.
        waiting: visits to be written.
        trouble: why the store can't be written now, or "".
    """

    stored: int
    lost_events: int
    lost_pictures: int
    waiting: int
    trouble: str


class Recorder:
    """``async with Recorder(bridge, options) as recorder: recorder.put(event)``

    Nothing that is put waits, and no trouble with the file ends anything: it is told once, what is put meanwhile is
    kept in memory up to a bound, and the file is tried again every few seconds. A damaged file is moved aside and a new
    one begun. What asks for something raises FileFormatError or OutputError.

    Args:
        clock: Unix seconds.
        retry_every: seconds; see :data:`RETRY_EVERY`.
    """

    def __init__(
        self,
        bridge: Bridge,
        options: EventOptions,
        *,
        clock: Callable[[], float] = time.time,
        retry_every: float = RETRY_EVERY,
    ) -> None:
        self.path: Path = options.store or events_file()
        self.clips = clips_folder(self.path)
        self.last_id = 0
        self._keep = options.keep_days * 86400.0
        self._max_bytes = int(options.max_mb * 1e6)
        self._clock = clock
        self._retry_every = retry_every
        self._lane = bridge.lane("events")
        self._backlog = Backlog(name_key)
        self._writing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._closing = False
        self._trouble = ""
        self._stored = 0
        self._opened: EventStore | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._end)
            tasks = await stack.enter_async_context(task_group())
            try:
                self.last_id = await self._lane.run(self._do, _begin)
            except FacestreamError as error:
                self._failed(error)
            stack.callback(self._finish)
            tasks.create_task(self._run(), name="events.store")
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> bool | None:
        return await self._stack.__aexit__(*exc_info)  # type: ignore[arg-type]

    def put(self, event: Event) -> None:
        """A visit is like this now."""
        self._backlog.put(event)
        self._wake.set()

    def put_picture(self, id_: int, jpeg: bytes) -> None:
        """A visit that was put without a picture has one now."""
        self._backlog.put_picture(id_, jpeg)
        self._wake.set()

    def seen(self, events: Sequence[Event]) -> None:
        """These visits go on; a killed process has them end at their last sight that was told here."""
        self._backlog.seen(events)
        self._wake.set()

    def rename(self, name: str, to: str | None) -> None:
        """Somebody is called otherwise or, with None, not at all. It is done as soon as the store can be written."""
        self._backlog.rename(name, to)
        self._wake.set()

    async def find(self, wanted: EventFilter) -> list[Event]:
        """Visits, the newest first."""
        await self._written()
        return await self._lane.run(self._do, lambda store: store.find(wanted))

    async def picture(self, id_: int) -> bytes | None:
        """A visit's picture: a JPEG."""
        if (waiting := self._backlog.waiting(id_)) is not None:
            return waiting
        return await self._lane.run(self._do, lambda store: store.picture(id_))

    async def clip(self, id_: int) -> Path | None:
        """A visit's clip; the file may have been deleted."""
        return await self._lane.run(self._do, lambda store: store.clip(id_))

    async def remove(self, id_: int) -> bool:
        """Forget a visit, with its picture and clip. False if it isn't there."""
        await self._written()
        self._backlog.forget(id_)
        return await self._lane.run(self._do, lambda store: store.remove(id_))

    async def add_clip(self, ids: Sequence[int], file: str) -> bool:
        """Visits have a clip, which lies in :attr:`clips`. False, and it is gone, if none of them is there."""
        await self._written()
        return await self._lane.run(self._do, lambda store: store.add_clip(ids, file))

    def statistics(self) -> RecorderStatistics:
        backlog = self._backlog
        return RecorderStatistics(self._stored, backlog.lost_events, backlog.lost_pictures, len(backlog), self._trouble)

    async def _run(self) -> None:
        while not self._closing:
            await self._wait(self._retry_every if self._trouble else TIDY_EVERY)
            await self._write()

    async def _wait(self, seconds: float) -> None:
        """Until there's something to write; while there is trouble, for that time at least."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
                while self._trouble and not self._closing:
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            pass

    async def _written(self) -> None:
        """What was put before is written if it can be, and waits here again if it can't."""
        async with self._writing:
            if self._backlog and not self._trouble:
                await self._write_batch()

    async def _write(self) -> None:
        async with self._writing:  # in their order
            await self._write_batch()

    async def _write_batch(self) -> None:
        self._wake.clear()
        batch = self._backlog.take()
        try:
            more = await self._lane.run(self._do, lambda store: self._write_to(store, batch))
        except FacestreamError as error:
            self._backlog.restore(batch)
            self._failed(error)
        except BaseException:
            self._backlog.restore(batch)  # writing it twice does no harm
            raise
        else:
            self._stored += len(batch.visits)
            self._succeeded()
            if more:
                self._wake.set()

    def _failed(self, error: FacestreamError) -> None:
        if not self._trouble:
            log.error("events aren't stored, and go on to whoever listens: %s", error)
        self._trouble = str(error)

    def _succeeded(self) -> None:
        if self._trouble:
            lost = self._backlog.lost_events
            log.info("events are stored again; %s", f"{lost} were lost since the start" if lost else "none was lost")
        self._trouble = ""

    def _finish(self) -> None:
        self._closing = True
        self._wake.set()

    async def _end(self) -> None:
        """Write what is left, and close the file."""
        if self._backlog:
            await self._write()
        await self._lane.run(self._close)
        await self._lane.aclose()

    # Everything below runs in the lane.

    def _write_to(self, store: EventStore, batch: Batch) -> bool:
        for name, to in batch.renamed:
            store.rename(name, to)
        if batch.visits or batch.pictures:
            store.write(list(batch.visits.values()), batch.pictures)
        if batch.seen:
            store.touch(list(batch.seen.values()))
        return store.tidy(self._clock() - self._keep, self._max_bytes)

    def _do(self, operation: Callable[[EventStore], T]) -> T:
        """``operation`` on the file that the path names now; on a new one if that is damaged."""
        try:
            return operation(self._store())
        except FileFormatError as error:
            self._close()
            moved = set_aside(self.path, error)
            if moved is None:
                raise
            log.error("%s; it is now %s, and a new one is begun", error, moved.name)
            return operation(self._store())

    def _store(self) -> EventStore:
        if self._opened is None or self._opened.replaced():
            self._close()
            self._opened = EventStore.open(self.path)
        return self._opened

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None


def _begin(store: EventStore) -> int:
    """What is done once, before any clip is made. Returns the newest visit's number."""
    store.drop_strays()
    return store.last_id()

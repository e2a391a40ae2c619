"""Events of a live session: who arrives, is recognised and leaves.

::

    async with Events.open(session, options) as events:
        events.on_event(print)
        newest = await events.find(EventFilter(source="door"))
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from facestream.errors import ConfigError, OutputError, SourceError
from facestream.io.event_store import EventFilter
from facestream.io.gallery_names import name_key
from facestream.jobs.event_clips import ClipDesk
from facestream.jobs.event_options import EventOptions, WebhookOptions
from facestream.jobs.event_recorder import Recorder, RecorderStatistics
from facestream.jobs.source_info import SourceInfo
from facestream.jobs.source_options import SourceOptions
from facestream.jobs.webhooks import HookStatistics, Webhooks
from facestream.stream.device import Bridge
from facestream.stream.events import Event, Ids, Kind, Look, Visits
from facestream.stream.hub import Hub, Published
from facestream.stream.portraits import better_portraits
from facestream.stream.tasks import task_group
from facestream.stream.types import FrameFaces, SourceState

__all__ = ["EventFilter", "EventOptions", "EventSession", "Events", "EventsStatistics", "WebhookOptions"]

log = logging.getLogger("facestream.events")

_NOTE_EVERY: Final = 10.0
"""Seconds between two notes in the store of when visits that go on were seen."""

OFF: Final = "events aren't kept here: start the server with --events"


class EventSession(Protocol):
    """What events come from; :class:`facestream.jobs.live.LiveSession` fulfils it."""

    hub: Hub
    bridge: Bridge

    def sources(self) -> list[SourceInfo]: ...

    def on_change(self, callback: Callable[[SourceInfo], None]) -> None: ...

    async def clip(self, name: str, before: float, after: float, path: Path) -> float:
        """Write a clip of a source's last ``before`` seconds and the ``after`` to come; returns how long it is.

        Raises:
            KeyError: there is no such source.
            SourceError: it can't give one.
            OutputError: the file can't be written.
        """


class Piece(NamedTuple):
    """A part of a file; ``size`` is the whole file's."""

    content: bytes
    size: int


@dataclass(frozen=True, slots=True)
class EventsStatistics:
    """
    Attributes:
        told: events, by kind.
        visits: that go on.
        looks_skipped: pictures that weren't compared, because the one before still was.
        recorder: None where nothing is kept.
        clips, clips_failed: made, and not to be had.
        hooks: one each.
    """

    told: dict[str, int]
    visits: int
    looks_skipped: int
    recorder: RecorderStatistics | None
    clips: int
    clips_failed: int
    hooks: list[HookStatistics]


class Events:
    """Hears a session's results, and tells who comes and goes: to listeners, webhooks and the store.

    Nothing here delays a result. It lives on the event loop; pictures are made in the CPU pool, one result of a source
    at a time. Made by :meth:`open`.

    Args:
        recorder: None to keep nothing.
        clips: None to make none.
        tasks: owns the looks at pictures.
        clock: Unix seconds.
    """

    def __init__(
        self,
        session: EventSession,
        options: EventOptions,
        recorder: Recorder | None,
        clips: ClipDesk | None,
        hooks: Webhooks,
        tasks: asyncio.TaskGroup,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._session = session
        self._hub = session.hub
        self._bridge = session.bridge
        self._options = options
        self._recorder = recorder
        self._clips = clips
        self._hooks = hooks
        self._tasks = tasks
        self._clock = clock
        self._ids = Ids()
        self._ids.above(0 if recorder is None else recorder.last_id)
        self._visits = Visits(self._ids, left_after=options.left_after, key=name_key)
        self._listeners: list[Callable[[Event], None]] = []
        self._sources: dict[str, SourceOptions] = {}
        self._looking: set[str] = set()
        self._looks_skipped = 0
        self._told = {kind.value: 0 for kind in Kind}
        self._timer: asyncio.TimerHandle | None = None
        self._noted = self._hub.clock()
        self._closed = False

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        session: EventSession,
        options: EventOptions,
        *,
        covered: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> AsyncIterator[Events]:
        """Hear ``session`` for the length of a block. In the end whoever is there has left.

        Args:
            covered: faces are covered in results, so there are no clips: those would show them.

        Raises:
            ConfigError: what is asked for contradicts itself.
        """
        if covered and options.clips:
            raise ConfigError("clips show faces as they are, and --anonymise covers them: leave out one of the two")
        async with AsyncExitStack() as stack:
            hooks = await stack.enter_async_context(Webhooks(options.webhooks))
            recorder = None
            if options.on:
                recorder = await stack.enter_async_context(Recorder(session.bridge, options, clock=clock))
            tasks = await stack.enter_async_context(task_group())
            clips = None
            if recorder is not None and options.clips:
                clips = ClipDesk(session, options, recorder, tasks, clock)
                stack.callback(clips.close)
            events = cls(session, options, recorder, clips, hooks, tasks, clock)
            session.on_change(events._changed)
            session.hub.attach(events)
            stack.callback(events._end)
            yield events

    def on_event(self, callback: Callable[[Event], None]) -> None:
        """Call ``callback`` on the event loop with every event."""
        self._listeners.append(callback)

    @property
    def kept(self) -> bool:
        """Whether events are stored, and can be asked for."""
        return self._recorder is not None

    async def find(self, wanted: EventFilter) -> list[Event]:
        """Visits, the newest first, as they are now.

        Raises:
            ConfigError: nothing is kept.
            FileFormatError, OutputError: the store can't be read.
        """
        return await self._store.find(wanted)

    async def picture(self, id_: int) -> bytes | None:
        """A visit's best picture so far, a JPEG; None if there is none. Raises as :meth:`find`."""
        return self._visits.portrait(id_) or await self._store.picture(id_)

    async def clip(self, id_: int) -> bytes | None:
        """A visit's clip, as MP4; None if there is none. Raises as :meth:`find`."""
        piece = await self.piece_of_clip(id_, lambda size: (0, size))
        return None if piece is None else piece.content

    async def piece_of_clip(self, id_: int, choose: Callable[[int], tuple[int, int]]) -> Piece | None:
        """A part of a visit's clip; None if there is no clip. Raises as :meth:`find`, and what ``choose`` raises.

        Args:
            choose: given the clip's bytes, tells from where up to before where; called in another thread.
        """
        path = await self._store.clip(id_)
        return None if path is None else await self._bridge.cpu(_read, path, choose)

    async def remove(self, id_: int) -> bool:
        """Forget a visit, with its picture and clip; False if there is none. Raises as :meth:`find`."""
        self._visits.forget(id_)
        return await self._store.remove(id_)

    def rename(self, name: str, to: str | None) -> None:
        """Somebody is called otherwise or, with None, is to be forgotten: so it is in every event from now on.

        The store follows at once, or as soon as it can be written.
        """
        self._tell(self._visits.rename(name, to, self._hub.clock()))
        if self._recorder is not None:
            self._recorder.rename(name, to)

    def known(self, name: str) -> None:
        """Somebody has been given this name."""
        self._visits.known(name)

    def statistics(self) -> EventsStatistics:
        return EventsStatistics(
            told=dict(self._told),
            visits=len(self._visits),
            looks_skipped=self._looks_skipped,
            recorder=None if self._recorder is None else self._recorder.statistics(),
            clips=0 if self._clips is None else self._clips.made,
            clips_failed=0 if self._clips is None else self._clips.failed,
            hooks=self._hooks.statistics(),
        )

    def offer(self, result: Published) -> None:
        """The hub has a result."""
        options = self._options_of(result.source)
        if options is None or not options.events:
            return
        self._tell(self._visits.see(result.faces, result.at))
        if self._options.pictures and self.kept:
            self._look(result.faces, result.at)
        self._set_timer()

    def forget(self, source: str) -> None:
        """A source is gone."""
        self._sources.pop(source, None)
        self._tell(self._visits.leave(source))

    @property
    def _store(self) -> Recorder:
        if self._recorder is None:
            raise ConfigError(OFF)
        return self._recorder

    def _options_of(self, source: str) -> SourceOptions | None:
        """None of a source that is gone, of which results may still be on their way."""
        if source not in self._sources:
            self._sources |= {info.name: info.options for info in self._session.sources()}
        return self._sources.get(source)

    def _changed(self, info: SourceInfo) -> None:
        """A source is in another state, or has other options."""
        self._sources[info.name] = info.options
        if not self._closed and (info.state is SourceState.STOPPED or not info.options.events):
            self._tell(self._visits.leave(info.name))

    def _tell(self, events: Sequence[Event]) -> None:
        for event in events:
            self._told[event.kind.value] += 1
            log.debug("%s %s %d %s", event.source, event.kind.value, event.track, event.id)
            if self._recorder is not None:
                self._recorder.put(event)
            if event.kind is Kind.ARRIVED:
                self._film(event)
            self._hooks.offer(event)
            for callback in self._listeners:
                callback(event)

    def _film(self, event: Event) -> None:
        options = self._options_of(event.source)
        if self._clips is not None and options is not None and options.clips:
            self._clips.want(event, self._visits.filmed)

    def _look(self, faces: FrameFaces, now: float) -> None:
        source = faces.frame.source
        if source in self._looking:
            self._looks_skipped += 1
        elif looks := self._visits.looks(faces, now):
            self._looking.add(source)
            self._tasks.create_task(self._compare(faces, looks), name=f"events.picture.{source}")

    async def _compare(self, faces: FrameFaces, looks: Sequence[Look]) -> None:
        """Keep the pictures that are better than what their visits have."""
        try:
            better = await self._bridge.cpu(better_portraits, faces, looks)
        except SourceError as error:  # nobody had looked at the frame until now
            log.debug("%s: no picture: %s", faces.frame.source, error)
            return
        finally:
            self._looking.discard(faces.frame.source)
        for look, portrait in better:
            told = self._visits.keep(look.source, look.track, portrait)
            if told is not None and self._recorder is not None:
                self._recorder.put_picture(told.id, portrait.jpeg)

    def _set_timer(self) -> None:
        if self._timer is None and (deadline := self._visits.deadline()) is not None:
            wait = max(0.0, deadline - self._hub.clock())
            self._timer = asyncio.get_running_loop().call_later(wait, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = self._hub.clock()
        self._tell(self._visits.tick(now))
        if self._recorder is not None and len(self._visits) and now - self._noted >= _NOTE_EVERY:
            self._noted = now
            self._recorder.seen(list(self._visits.open()))
        self._set_timer()

    def _end(self) -> None:
        self._closed = True
        self._hub.detach(self)
        if self._timer is not None:
            self._timer.cancel()
        self._tell(self._visits.leave())


def _read(path: Path, choose: Callable[[int], tuple[int, int]]) -> Piece | None:
    try:
        with path.open("rb") as file:
            size = os.stat(file.fileno()).st_size
            start, end = choose(size)
            file.seek(start)
            return Piece(file.read(end - start), size)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError(f"{path}: can't be read ({error.strerror}): see to whose it is") from error

"""Clips of arrivals, from the source's own packets.

One clip of a source is made at a time. Whoever else arrives there meanwhile shares it: a group that comes in is on one
clip, not on ten.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from facestream.errors import FacestreamError
from facestream.jobs.event_options import EventOptions
from facestream.jobs.event_recorder import Recorder
from facestream.stream.device import Bridge
from facestream.stream.events import Event

log = logging.getLogger("facestream.events")

_MOST_SHARED: Final = 1000


class ClipSession(Protocol):
    """Who has the packets; see :class:`facestream.jobs.events.EventSession`."""

    bridge: Bridge

    async def clip(self, name: str, before: float, after: float, path: Path) -> float: ...


@dataclass(slots=True, eq=False)
class _Clip:
    """One in the making, and whose it will be."""

    file: str
    ids: list[int]


class ClipDesk:
    """Has clips made, and tells the store whose they are.

    Args:
        tasks: owns the waiting for a clip's end.
        clock: Unix seconds.

    Attributes:
        made: clips.
        failed: that couldn't be made. The first of a source is told, and when it works again.
    """

    def __init__(
        self,
        session: ClipSession,
        options: EventOptions,
        recorder: Recorder,
        tasks: asyncio.TaskGroup,
        clock: Callable[[], float],
    ) -> None:
        self._session = session
        self._before = options.clip_before
        self._after = options.clip_after
        self._recorder = recorder
        self._tasks = tasks
        self._clock = clock
        self._making: dict[str, _Clip] = {}
        self._jobs: set[asyncio.Task[None]] = set()
        self._failing: set[str] = set()
        self.made = 0
        self.failed = 0

    def want(self, event: Event, filmed: Callable[[int], None]) -> None:
        """Somebody has arrived.

        Args:
            filmed: called with the visit's number once it has a clip.
        """
        clip = self._making.get(event.source)
        if clip is not None:
            if len(clip.ids) < _MOST_SHARED:
                clip.ids.append(event.id)
            return
        clip = self._making[event.source] = _Clip(f"{event.id}.mp4", [event.id])
        ago = max(0.0, self._clock() - event.started_at)  # it took a moment to be sure
        job = self._tasks.create_task(self._make(event.source, clip, ago, filmed), name=f"events.clip.{event.source}")
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    def close(self) -> None:
        """Give up those that wait for their end."""
        for job in tuple(self._jobs):
            job.cancel()

    async def _make(self, source: str, clip: _Clip, ago: float, filmed: Callable[[int], None]) -> None:
        path = self._recorder.clips / clip.file
        try:
            await self._session.bridge.cpu(_make_folder, path.parent)
            await self._session.clip(source, self._before + ago, self._after, path)
        except (FacestreamError, OSError, KeyError) as error:
            self._missed(source, error)
            return
        finally:
            self._making.pop(source, None)
        try:
            there = await self._recorder.add_clip(clip.ids, clip.file)
        except (FacestreamError, OSError) as error:
            await self._session.bridge.cpu(_remove, path)
            self._missed(source, error)
            return
        self._has_worked(source)
        for id_ in clip.ids if there else ():
            filmed(id_)

    def _missed(self, source: str, error: Exception) -> None:
        self.failed += 1
        if source not in self._failing and not isinstance(error, KeyError):  # that is a source that was removed
            self._failing.add(source)
            log.warning("%s: no clips of who arrives: %s", source, error)

    def _has_worked(self, source: str) -> None:
        self.made += 1
        if source in self._failing:
            self._failing.discard(source)
            log.info("%s: there are clips of who arrives again", source)


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        os.chmod(folder, 0o700)


def _remove(path: Path) -> None:
    with suppress(OSError):  # what nobody knows of goes at the next start
        path.unlink(missing_ok=True)

"""Pictures on their way into one folder: encoded and written in the background, a limited number at a time.

A picture is written to a temporary name and renamed, so whoever looks into the folder sees whole pictures only. What
a folder that can't be written to (full, gone, not ours) means is the user's choice: see :class:`Losses`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import aiofiles.os

from facestream.errors import ConfigError, OutputError
from facestream.io.face_folder import set_aside
from facestream.io.faces import write_atomically
from facestream.stream.device import Bridge

log = logging.getLogger("facestream.savers")


def _prepare(folder: Path) -> list[str]:
    os.makedirs(folder, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return os.listdir(folder)


_set_aside_files = aiofiles.os.wrap(set_aside)
_prepare_folder = aiofiles.os.wrap(_prepare)
_write_file = aiofiles.os.wrap(write_atomically)


class Losses(Enum):
    """What a picture that can't be written costs."""

    COUNT = "count"  # the picture: said when it starts and ends, counted meanwhile, tried anew with every one
    RAISE = "raise"  # the job: its folder must hold all that it says it does


@dataclass(frozen=True, slots=True)
class WriteStatistics:
    """What a sink has written: items, their bytes, the items that were lost, and why the last one was."""

    written: int = 0
    failed: int = 0
    bytes: int = 0
    last_error: str | None = None


class WriteHealth:
    """Counts what is written and lost, and says so when it changes, not each time. Pure but for its log."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._lost = 0  # since writing last worked
        self.statistics = WriteStatistics()

    def succeeded(self, size: int) -> None:
        if self._lost:
            log.info("%s: writing works again, %d lost meanwhile", self._target, self._lost)
            self._lost = 0
        done = self.statistics
        self.statistics = replace(done, written=done.written + 1, bytes=done.bytes + size)

    def failed(self, error: OSError) -> None:
        reason = error.strerror or str(error)
        if not self._lost:
            log.error("%s: can't write: %s; going on without, trying anew each time", self._target, reason)
        self._lost += 1
        self.statistics = replace(self.statistics, failed=self.statistics.failed + 1, last_error=reason)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A picture as it is written, and perhaps the thumbnail that alignments keep of it."""

    content: bytes
    thumb: bytes | None = None


class PictureWriter:
    """Encodes and writes pictures into one folder, a limited number at a time.

    Args:
        max_in_flight: pictures being encoded or written at once, each of which keeps its frame in memory.
        losses: with RAISE, whoever awaits what :meth:`submit` returns is told of a picture that isn't written, and
            nobody else is to write pictures of these names.
    """

    def __init__(self, folder: Path, bridge: Bridge, *, max_in_flight: int, losses: Losses = Losses.COUNT) -> None:
        self.folder = folder
        self._losses = losses
        self._bridge = bridge
        self._slots = asyncio.Semaphore(max_in_flight)
        self._threads = ThreadPoolExecutor(max_in_flight, thread_name_prefix="facestream-save")
        self._tasks: set[asyncio.Task[bytes | None]] = set()
        self._error: BaseException | None = None  # a bug in an encoder: raised to whoever comes next
        self.health = WriteHealth(str(folder))
        self.closed = False

    async def open(self) -> list[str]:
        """Make the folder; the names of the files that are in it already.

        Raises:
            ConfigError: it can't be made or written to; OutputError where losses are raised.
        """
        try:
            names: list[str] = await _prepare_folder(self.folder, executor=self._threads)
        except OSError as error:
            self._threads.shutdown()
            reason = error.strerror or str(error)
            kind = ConfigError if self._losses is Losses.COUNT else OutputError
            raise kind(f"can't save to {self.folder}: {reason}; choose another folder") from error
        return names

    async def submit(self, name: str, encode: Callable[..., Encoded], *args: object) -> asyncio.Task[bytes | None]:
        """Encode and write in the background; waits while ``max_in_flight`` pictures are on their way.

        Cancelling while it waits loses that picture.

        Returns:
            a task that ends with the thumbnail once the picture is in the folder; where losses are raised, with
            OutputError if it can't be.
        """
        self._raise_error()
        if self.closed:
            raise RuntimeError(f"the saver for {self.folder} is closed")
        await self._slots.acquire()
        task = asyncio.create_task(self._save(name, encode, *args), name=f"save {name}")
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    async def _save(self, name: str, encode: Callable[..., Encoded], *args: object) -> bytes | None:
        try:
            picture = await self._bridge.cpu(encode, *args)
            owned = self._losses is Losses.RAISE
            try:
                await _write_file(self.folder / name, picture.content, owned=owned, executor=self._threads)
            except OSError as error:
                self._lost(name, error)
            else:
                self.health.succeeded(len(picture.content))
            return picture.thumb
        finally:
            self._slots.release()

    def _lost(self, name: str, error: OSError) -> None:
        if self._losses is Losses.COUNT:
            self.health.failed(error)
            return
        reason = error.strerror or str(error)
        advice = "rename the input" if error.errno == errno.ENAMETOOLONG else "make room, then run the job again"
        raise OutputError(f"can't write {self.folder / name}: {reason}; {advice}") from error

    async def set_aside(self, names: Sequence[str]) -> int:
        """Move files of the folder into its sub-folder for former ones; those that aren't there needn't be.

        Returns:
            how many were moved.

        Raises:
            OutputError: one can't be moved.
        """
        moved: int = await _set_aside_files(self.folder, names, executor=self._threads)
        return moved

    def _finished(self, task: asyncio.Task[bytes | None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None and self._losses is Losses.COUNT:
            self._error = self._error or task.exception()

    def _raise_error(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    async def drain(self) -> None:
        """Wait until everything submitted so far is written or lost."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))
        self._raise_error()

    async def close(self) -> None:
        """Write what is on its way, then end the threads. Safe to call twice.

        Cancelling it abandons the pictures that aren't encoded yet; one that is being written is finished by
        its thread, and no temporary file stays.
        """
        self.closed = True
        try:
            await self.drain()
        finally:
            abandoned = tuple(self._tasks)
            for task in abandoned:
                task.cancel()
            self._threads.shutdown(wait=not abandoned)

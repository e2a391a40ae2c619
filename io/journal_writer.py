"""Records finished frames in a journal and turns it into the alignments file at the end."""

from __future__ import annotations

import asyncio
import glob
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import Self

from facestream.errors import AlignmentsError
from facestream.io.atomic import sync_folder
from facestream.io.face_record import FrameEntry
from facestream.io.fsa import read_fsa, write_fsa
from facestream.io.journal import (
    JournalFile,
    JournalHeader,
    JournalIndex,
    SyncSchedule,
    differences,
    encode_frame,
    journal_path,
    read_frames,
    read_index,
)
from facestream.io.journal_lock import JournalLock
from facestream.stream.device import Bridge

_log = logging.getLogger("facestream.alignments")


class AlignmentsWriter:
    """Makes one source's alignments file, crash-safe.

    ::

        async with AlignmentsWriter(path, bridge, JournalHeader("/videos/clip.mp4")) as alignments:
            if name not in alignments.recovered:
                await alignments.write(name, entry)

    While the block runs, every frame is appended to the journal beside the file. When it ends well the journal
    becomes the alignments file and goes. When it ends with an error or is cancelled, the alignments file is
    written too, and the journal stays for the next run to go on from. A file that was there before the job is
    kept as a dated backup. Memory doesn't grow with the frames; the names of those recovered are held, and at the end
    those of all.

    Args:
        path: the ``.fsa``.
        header: what the job is.
        resume: go on from a journal that is there. Otherwise it's thrown away.
        keep: begin with the frames of the alignments file that is there; those written replace their namesakes.
        save_interval: seconds after which a written frame outlives even a power cut. (The end of the process
            never loses one.)
        clock, sleep, now: the time, for tests.

    Raises:
        AlignmentsError: on entering: the journal is another job's, or it or the file can't be used.
    """

    def __init__(
        self,
        path: Path,
        bridge: Bridge,
        header: JournalHeader,
        *,
        resume: bool = True,
        keep: bool = False,
        save_interval: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self.path = path
        self.recovered: Collection[str] = frozenset()
        self._header = header
        self._resume = resume
        self._keep = keep
        self._bridge = bridge
        self._lane = bridge.lane(f"journal {path.name}")
        self._schedule = SyncSchedule(save_interval)
        self._clock = clock
        self._sleep = sleep
        self._now = now
        self._journal: JournalFile | None = None
        self._recovered = JournalIndex()
        self._unsynced = asyncio.Event()
        self._syncing: asyncio.Task[None] | None = None
        self._error: OSError | None = None

    @property
    def journal(self) -> Path:
        return journal_path(self.path)

    async def __aenter__(self) -> Self:
        try:
            await self._lane.run(self._open)
        except BaseException:
            await self._lane.aclose()
            if self._journal is not None:  # cancelled meanwhile
                self._journal.close()
            raise
        self.recovered = frozenset(self._recovered.offsets)
        if self.recovered:
            _log.info(
                "%s: going on after the %d frames of a job that didn't end (--no-resume starts anew)",
                self.path.name,
                len(self.recovered),
            )
        self._syncing = asyncio.create_task(self._sync_in_time(), name=f"sync {self.path.name}")
        return self

    def _open(self) -> None:
        self._journal, self._recovered = open_journal(self.path, self._header, self._resume)

    def recovered_frames(self) -> Iterator[tuple[str, FrameEntry]]:
        """The frames of :attr:`recovered` themselves, one at a time. Blocks; before anything is written only.

        Raises:
            AlignmentsError: the journal can't be read.
        """
        return read_frames(self.journal, self._recovered)

    async def write(self, name: str, entry: FrameEntry) -> None:
        """Record a finished frame. When this returns, the end of the process doesn't lose it any more.

        Args:
            name: the frame's file name, different for each frame of the source (see :mod:`facestream.io.alignments`).

        Cancelling doesn't take it back: the frame may be recorded or not.

        Raises:
            AlignmentsError: it can't be recorded, or an earlier frame couldn't be made durable. Frames recorded
                before are safe, and the next one is tried anew.
        """
        journal = self._opened()
        self._raise_error()
        try:
            await self._lane.run(_append, journal, name, entry)
            if self._schedule.appended(self._clock()):
                await self._sync(journal)
        except OSError as error:
            raise self._failure(error) from error
        if self._schedule.wait(self._clock()) is not None:
            self._unsynced.set()

    async def drain(self) -> None:
        """Wait until everything written so far outlives a power cut.

        Raises:
            AlignmentsError: it can't be made durable.
        """
        journal = self._opened()
        self._raise_error()
        try:
            await self._sync(journal)
        except OSError as error:
            raise self._failure(error) from error

    async def __aexit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        journal, self._journal = self._opened(), None
        try:
            await self._end_syncing()
            await self._lane.run(finish, journal, self.path, self._keep, self._now(), kind is None)
        except AlignmentsError as error:
            if kind is None:
                raise
            _log.error("%s; its frames are safe in %s", error, journal.path.name)  # the job's own error goes on
        finally:
            await self._lane.run(journal.close)
            await self._lane.aclose()
        if kind is not None and journal.frames:
            _log.info("%s: %d frames recorded; run the job again to go on", self.path.name, journal.frames)

    async def _sync(self, journal: JournalFile) -> None:
        # What is appended meanwhile may miss this sync: it counts as unsynced from its own time on.
        self._schedule.synced()
        await self._lane.run(journal.sync)

    async def _sync_in_time(self) -> None:
        while True:
            await self._unsynced.wait()
            self._unsynced.clear()
            while (seconds := self._schedule.wait(self._clock())) is not None:
                if seconds:
                    await self._sleep(seconds)
                    continue
                try:
                    await self._sync(self._opened())
                except OSError as error:
                    self._error = error  # for whoever writes next

    async def _end_syncing(self) -> None:
        if self._syncing is None:
            return
        self._syncing.cancel()
        await asyncio.wait([self._syncing])
        if not self._syncing.cancelled():
            self._syncing.result()

    def _opened(self) -> JournalFile:
        if self._journal is None:
            raise RuntimeError(f"the alignments writer for {self.path} isn't open")
        return self._journal

    def _raise_error(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> AlignmentsError:
        return AlignmentsError(f"{self.journal} can't be written: {error.strerror}; make room, then run the job again")


def _append(journal: JournalFile, name: str, entry: FrameEntry) -> None:
    journal.append(encode_frame(name, entry))


def open_journal(path: Path, header: JournalHeader, resume: bool) -> tuple[JournalFile, JournalIndex]:
    """The journal of the alignments file at ``path``, behind its last whole record, and ours alone until it is closed.

    Returns:
        with what it held when it was opened.

    Raises:
        AlignmentsError: it is another job's, another process is writing it, it isn't a journal, or can't be written.
    """
    journal = journal_path(path)
    _make_folder(journal)
    lock = JournalLock(journal)
    try:
        index = (read_index(journal) if resume else None) or JournalIndex()
        check_header(journal, index, header)
        if index.lost:
            _log.warning("%s: its last record is torn; %d bytes dropped", journal.name, index.lost)
        opened = JournalFile(journal, index, header, lock)
        sync_folder(journal.parent)
        _remove_left(path)
    except OSError as error:
        lock.release()
        raise AlignmentsError(f"{journal} can't be written: {error.strerror}; choose another folder") from error
    except BaseException:
        lock.release()
        raise
    return opened, index


def _make_folder(journal: Path) -> None:
    try:
        journal.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AlignmentsError(f"{journal} can't be written: {error.strerror}; choose another folder") from error


def check_header(journal: Path, index: JournalIndex | None, header: JournalHeader) -> None:
    """
    Raises:
        AlignmentsError: the journal is another job's.
    """
    former = None if index is None else index.header
    if former is None or former == header:
        return
    if former.source != header.source:
        what = f"of another input, {former.source}: run that one again to go on"
    elif different := differences(former.settings, header.settings):
        what = f"of a job that ran {different}: run it so again to go on"
    else:
        what = "of a job with other options, or of another version: run that one again to go on"
    raise AlignmentsError(f"{journal} is {what}, or start anew with --no-resume")


def _remove_left(path: Path) -> None:
    """What processes that were killed while they wrote this very file have left behind."""
    for left in path.parent.glob(glob.escape(f".{path.name}.") + "*.part"):
        left.unlink(missing_ok=True)


def finish(journal: JournalFile, path: Path, keep: bool, at: datetime, done: bool) -> None:
    """Write the alignments file out of its journal, and remove that if the job is ``done``.

    A job that has failed before its first frame leaves everything as it was. A crash anywhere in between leaves both
    files whole, and doing it again gives the same result.

    Raises:
        AlignmentsError: the file can't be written; the journal stays.
    """
    try:
        if not done and not journal.frames:
            journal.remove()
            return
        journal.sync()
        write_fsa(path, _merged(journal, path, keep), backup_at=None if journal.saved else at)
        if done:
            journal.remove()
            sync_folder(path.parent)
        else:
            journal.mark_saved()
    except OSError as error:
        raise AlignmentsError(f"{path} can't be finished: {error.strerror}; run the job again") from error


def _merged(journal: JournalFile, path: Path, keep: bool) -> Iterator[tuple[str, FrameEntry]]:
    before = read_fsa(path)[1] if keep and path.exists() else {}
    index = read_index(journal.path)
    if index is None or index.good != journal.end:
        raise AlignmentsError(f"{journal.path} was removed or damaged while it was written; run the job again")
    return read_frames(journal.path, index, before)

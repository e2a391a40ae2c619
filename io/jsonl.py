"""A sink that writes results as JSON lines: one object a frame, shaped as protocol 1's ``faces`` message."""

from __future__ import annotations

import asyncio
import os
import select
import stat
import sys
from typing import Final, Self

from facestream.errors import ConfigError
from facestream.io.picture_writer import WriteHealth, WriteStatistics
from facestream.stream.device import Lane
from facestream.stream.records import encode, frame_record
from facestream.stream.types import FrameFaces

_PATIENCE: Final = 1.0  # s, for the last line to be read when the writer closes
_BLOCK: Final = 1 << 16  # bytes, read at a time to find where the last whole line ends


class JsonLinesWriter:
    """Writes each result as a line at once, so that a program at the other end of a pipe sees it without
    delay.

    A disk that is full costs lines, not the stream; see :class:`facestream.io.picture_writer.WriteStatistics`. When
    the reader of a pipe goes away (``| head -1``), that is its good right: later results are dropped quietly,
    and :attr:`reader_gone` tells a job that nobody listens any more.

    Args:
        path: a file, replaced if it is there, or "-" for stdout.
        fields: the face fields to write, of :data:`facestream.stream.records.FACE_FIELDS`; None for all.
        append: go on behind what the file holds; of a last line that was cut short by a kill nothing stays.

    Raises:
        ConfigError: on entering: the file can't be opened.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, fields: frozenset[str] | None = None, append: bool = False
    ) -> None:
        self.path = os.fspath(path)
        self.reader_gone = False
        self._fields = fields
        self._append = append
        self._lane = Lane("jsonl")
        self._output: Output | None = None
        self._health = WriteHealth("stdout" if self.path == "-" else self.path)

    async def __aenter__(self) -> Self:
        try:
            self._output = await self._lane.run(self._open)
        except OSError as error:
            await self._lane.aclose()
            reason = error.strerror or str(error)
            raise ConfigError(f"can't write to {self.path}: {reason}; choose another file") from error
        return self

    def _open(self) -> Output:
        if self.path == "-":
            sys.stdout.flush()
            return Output(os.dup(sys.stdout.fileno()))  # a copy: closing it leaves stdout open
        flags = os.O_RDWR | os.O_APPEND if self._append else os.O_WRONLY | os.O_TRUNC
        descriptor = os.open(self.path, flags | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        if self._append and stat.S_ISREG(os.fstat(descriptor).st_mode):
            _cut_torn_line(descriptor)
        return Output(descriptor)

    async def __aexit__(self, *exc_info: object) -> None:
        output, self._output = self._output, None
        if output is not None:
            closing = asyncio.ensure_future(self._lane.run(output.close))
            try:
                await asyncio.wait([closing], timeout=_PATIENCE)
            finally:
                output.give_up()  # a reader that reads no more must not keep us from ending
            await closing
        await self._lane.aclose()

    async def write(self, faces: FrameFaces) -> None:
        """Write one line. Waits for the file; cancelling it stops the wait, not the line."""
        if self._output is None:
            raise RuntimeError(f"the writer for {self.path} is closed")
        if self.reader_gone:
            return
        line = encode(frame_record(faces, self._fields)) + b"\n"
        try:
            await self._lane.run(self._output.write_line, line)
        except BrokenPipeError:
            self.reader_gone = True
        except OSError as error:
            self._health.failed(error)
        else:
            self._health.succeeded(len(line))

    async def drain(self) -> None:
        """Everything written has arrived by the time ``write`` returns."""

    def statistics(self) -> WriteStatistics:
        return self._health.statistics


def _cut_torn_line(descriptor: int) -> None:
    end = position = os.fstat(descriptor).st_size
    while position:
        start = max(0, position - _BLOCK)
        os.lseek(descriptor, start, os.SEEK_SET)
        newline = os.read(descriptor, position - start).rfind(b"\n")
        if newline >= 0:
            position = start + newline + 1
            break
        position = start
    if position < end:
        os.ftruncate(descriptor, position)


class Output:
    """Where lines go: a file, a pipe or a terminal. Blocks its thread; :meth:`give_up` ends that from another one."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._torn = False  # the last line stops in the middle
        self._wake_read, self._wake_write = os.pipe()
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        # What poll calls writable takes this much without blocking (POSIX); only POSIX can wait for it.
        self._piece = None if regular or not hasattr(select, "poll") else select.PIPE_BUF

    def write_line(self, line: bytes) -> None:
        """Write all of it.

        Raises:
            OSError: the disk is full or the like; BrokenPipeError when the reader is gone or was given up.
        """
        rest = memoryview(b"\n" + line if self._torn else line)
        while rest:
            if self._piece is not None:
                self._wait()
            rest = rest[os.write(self._descriptor, rest[: self._piece]) :]
            self._torn = bool(rest)

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        poll.register(self._wake_read, select.POLLIN)
        if any(descriptor == self._wake_read for descriptor, _ in poll.poll()):
            raise BrokenPipeError

    def give_up(self) -> None:
        """Let a write that waits for its reader fail. May be called from any thread, also after closing."""
        descriptor, self._wake_write = self._wake_write, -1
        if descriptor >= 0:
            os.close(descriptor)  # the other end becomes readable: its file has ended

    def close(self) -> None:
        os.close(self._descriptor)
        os.close(self._wake_read)

"""A sink that writes results as JSON lines: one object a frame, of the shape of protocol 1's ``faces`` message."""

from __future__ import annotations

import os
import sys
from io import FileIO
from typing import Self

from facestream.errors import ConfigError
from facestream.io.savers import WriteHealth, WriteStatistics
from facestream.stream.device import Lane
from facestream.stream.records import encode, frame_record
from facestream.stream.types import FrameFaces


class JsonLinesWriter:
    """Writes each result as a line at once, so that a program at the other end of a pipe sees it without
    delay.

    A disk that is full costs lines, not the stream; see :class:`facestream.io.savers.WriteStatistics`. When
    the reader of a pipe goes away (``| head -1``), that is its good right: later results are dropped quietly,
    and :attr:`reader_gone` tells a job that nobody listens any more.

    Args:
        path: a file, replaced if it is there, or "-" for stdout.
        fields: the face fields to write, of :data:`facestream.stream.records.FACE_FIELDS`; None for all.
        append: go on behind what the file holds.

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
        self._file: FileIO | None = None
        self._torn = False  # the last line stops in the middle
        self._health = WriteHealth("stdout" if self.path == "-" else self.path)

    async def __aenter__(self) -> Self:
        try:
            self._file = await self._lane.run(self._open)
        except OSError as error:
            await self._lane.aclose()
            reason = error.strerror or str(error)
            raise ConfigError(f"can't write to {self.path}: {reason}; choose another file") from error
        return self

    def _open(self) -> FileIO:
        if self.path == "-":
            sys.stdout.flush()
            return FileIO(os.dup(sys.stdout.fileno()), "wb")  # a copy: closing it leaves stdout open
        return FileIO(self.path, "ab" if self._append else "wb")

    async def __aexit__(self, *exc_info: object) -> None:
        file, self._file = self._file, None
        if file is not None:
            await self._lane.run(file.close)
        await self._lane.aclose()

    async def write(self, faces: FrameFaces) -> None:
        """Write one line. Waits for the file; cancelling it stops the wait, not the line."""
        if self._file is None:
            raise RuntimeError(f"the writer for {self.path} is closed")
        if self.reader_gone:
            return
        line = encode(frame_record(faces, self._fields)) + b"\n"
        try:
            await self._lane.run(self._write_line, self._file, line)
        except BrokenPipeError:
            self.reader_gone = True
        except OSError as error:
            self._health.failed(error)
        else:
            self._health.succeeded(len(line))

    def _write_line(self, file: FileIO, line: bytes) -> None:
        rest = memoryview(b"\n" + line if self._torn else line)
        while rest:
            written = file.write(rest) or 0
            rest = rest[written:]
            self._torn = bool(rest)

    async def drain(self) -> None:
        """Everything written has arrived by the time ``write`` returns."""

    def statistics(self) -> WriteStatistics:
        return self._health.statistics

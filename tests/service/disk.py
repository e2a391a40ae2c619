"""A small disk to save to, which can be filled up, and a look at what was saved."""

from __future__ import annotations

import contextlib
import errno
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from facestream.errors import FileFormatError
from facestream.io.alignments import Alignments
from facestream.io.faces import read_header
from facestream.io.journal import read_frames, read_index

CHUNK = 1 << 20


class SmallDisk:
    """A file system of its own in memory, where one may be mounted; otherwise a folder that never fills up.

    Attributes:
        limited: whether it can be filled.
    """

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)]
        self.limited = (
            shutil.which("mount") is not None and subprocess.run(command, capture_output=True).returncode == 0
        )

    def fill(self) -> None:
        """Leave no byte free."""
        if not self.limited:
            return
        with (self.folder / "filler").open("wb", buffering=0) as filler:
            for size in (CHUNK, 4096, 1):
                with contextlib.suppress(OSError):
                    while filler.write(bytes(size)):
                        pass

    def empty(self) -> None:
        (self.folder / "filler").unlink(missing_ok=True)

    def tidy(self, most: float = 0.6) -> list[str]:
        """Do as who runs it does: when the disk gets full, look at the oldest face pictures and delete them.

        Returns:
            What was wrong with them.
        """
        usage = shutil.disk_usage(self.folder)
        if not self.limited or usage.used < most * usage.total or (self.folder / "filler").exists():
            return []
        problems: list[str] = []
        pictures = sorted(self.folder.rglob("*.png"), key=_written)
        for path in pictures[: len(pictures) // 2]:
            problems += picture_problems(path)
            path.unlink(missing_ok=True)
        return problems

    def close(self) -> None:
        if self.limited:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    def __enter__(self) -> SmallDisk:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def problems(folder: Path) -> list[str]:
    """What is damaged among the pictures, alignments files, journals and databases in ``folder``; a line each."""
    return list(_problems(folder))


def leftovers(folder: Path) -> list[str]:
    """Temporary files that a killed process has left."""
    return sorted(path.name for path in folder.rglob("*.part"))


def picture_problems(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
        read_header(content)
    except FileNotFoundError:
        return []
    except FileFormatError as error:
        return [f"{path.name}: {error}"]
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    return [] if picture is not None else [f"{path.name} can't be decoded"]


def _problems(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*.png"):
        yield from picture_problems(path)
    for path in folder.rglob("*.fsa"):
        yield from _unreadable(path, lambda each: Alignments.load(each))
    for path in folder.rglob("*.journal"):
        yield from _unreadable(path, _read_journal)
    for pattern in ("*.db", "*.sqlite", "*.sqlite3"):
        for path in folder.rglob(pattern):
            yield from _database_problems(path)


def _unreadable(path: Path, read: object) -> Iterator[str]:
    assert callable(read)
    try:
        read(path)
    except FileFormatError as error:
        yield str(error)


def _read_journal(path: Path) -> None:
    index = read_index(path)
    if index is not None:
        for _ in read_frames(path, index):
            pass


def _database_problems(path: Path) -> Iterator[str]:
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=10)) as database:
            answer = [row[0] for row in database.execute("PRAGMA integrity_check")]
    except sqlite3.DatabaseError as error:
        answer = [str(error)]
    if answer != ["ok"]:
        yield f"{path.name}: {'; '.join(map(str, answer))}"


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return time.time()

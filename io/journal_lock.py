"""At most one process writes a journal. The system lets go of the lock when its process dies, however it dies."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from facestream.errors import AlignmentsError

if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 40  # a byte that no journal reaches: on Windows a locked one can't be read

    def _take(descriptor: int) -> None:
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


_TAKEN = (errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN)


class JournalLock:
    """The right to write a journal, from its making until :meth:`release` or the end of the process.

    Makes the journal, empty, if it isn't there.

    Raises:
        AlignmentsError: another process has it, or the journal can't be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = self._acquired()

    def _acquired(self) -> int:
        while True:
            try:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
            except OSError as error:
                advice = "give a shorter one with -p" if error.errno == errno.ENAMETOOLONG else "choose another folder"
                raise AlignmentsError(f"{self._path} can't be written: {error.strerror}; {advice}") from error
            try:
                self._lock(descriptor)
                if self._is_ours(descriptor):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # another job ended and removed it just now

    def _lock(self, descriptor: int) -> None:
        try:
            _take(descriptor)
        except OSError as error:
            if error.errno not in _TAKEN:
                return  # a file system that knows no locks
            raise AlignmentsError(
                f"{self._path} is being written by another job; wait until that has ended, or choose another file"
            ) from None

    def _is_ours(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self._path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        os.close(self._descriptor)


def is_locked(path: Path) -> bool:
    """Whether a job is writing this journal right now."""
    if not path.exists():
        return False
    try:
        JournalLock(path).release()
    except AlignmentsError:
        return True
    return False

"""At most one job changes the face pictures in a folder: a header that is written while its picture is given another
name would bring the former name back, and two that write one header would write into each other's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from facestream.errors import AlignmentsError, OutputError
from facestream.io.journal_lock import JournalLock

LOCK: Final = ".facestream-faces.lock"


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """The right to change, rename and move the face pictures directly in ``folder``, which is there. A killed process
    lets go of it.

    Raises:
        OutputError: another job has it, or the folder can't be written to.
    """
    try:
        lock = JournalLock(folder / LOCK)
    except AlignmentsError as error:
        if isinstance(error.__cause__, OSError):
            raise OutputError(f"can't write in {folder}: {error.__cause__.strerror}; mend that") from error
        raise OutputError(f"{folder}: its faces are being changed by another job; wait until that has ended") from error
    try:
        yield
    finally:
        (folder / LOCK).unlink(missing_ok=True)
        lock.release()

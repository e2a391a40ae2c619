"""Files that are replaced whole: what a path names is the old content or the new, never half of it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path, temporary: Path | None = None, *, durable: bool = True) -> Iterator[BinaryIO]:
    """A file to write to that takes ``path``'s place when the block ends, and vanishes when it fails.

    Args:
        temporary: what it is called until then, in the same folder; what a killed process has left there is replaced.
            By default a name that nobody else has.
        durable: the content has reached the disk before the name changes, and so has the change when this returns: not
            even a power cut leaves less than one whole file.

    Raises:
        OSError: the folder is gone, full or not ours to write in.
    """
    mode = "xb" if temporary is None else "wb"
    temporary = temporary or path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(temporary, mode) as file:
            yield file  # type: ignore[misc]
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names in ``folder`` durable. Where folders can't be opened (Windows) the system does so itself."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

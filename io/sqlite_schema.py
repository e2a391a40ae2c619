"""SQLite files of ours: whose they are, of which version, and how an older one becomes a newer one."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from facestream.errors import FileFormatError

Step: TypeAlias = Callable[[sqlite3.Connection], None]


def migrate(connection: sqlite3.Connection, path: Path, steps: Sequence[Step], *, application: int, what: str) -> None:
    """Bring the file to version ``len(steps)``, in one transaction, in WAL mode. One of that version isn't written to.

    Args:
        connection: in autocommit mode.
        path: of the file, for messages.
        application: the number in the file's header that says what it is.
        what: it is, in words.

    Raises:
        FileFormatError: it is another program's, or a newer facestream's.
        sqlite3.Error: it isn't a database, is damaged, or can't be written; it is as it was.
    """
    connection.execute("BEGIN")  # one state of the file, while another process makes it
    try:
        version = _version(connection, path, len(steps), application, what)
    finally:
        connection.execute("ROLLBACK")
    if version == len(steps):
        return
    _keep_log(connection)
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Again: another process may have been faster.
        for step in steps[_version(connection, path, len(steps), application, what) :]:
            step(connection)
        connection.execute(f"PRAGMA application_id = {application}")
        connection.execute(f"PRAGMA user_version = {len(steps)}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _keep_log(connection: sqlite3.Connection) -> None:
    """Turn WAL on. While another process does so SQLite refuses at once, whatever the connection's timeout."""
    for wait in (0.01 * 2**attempt for attempt in range(9)):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(wait)
        else:
            return
    connection.execute("PRAGMA journal_mode = WAL")


def _version(connection: sqlite3.Connection, path: Path, newest: int, application: int, what: str) -> int:
    """The file's version; 0 is an empty one."""
    (found,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if found != application and (found or version or tables):
        raise FileFormatError(f"{path}: is another program's database, not {what}: name another file")
    if version > newest:
        raise FileFormatError(
            f"{path}: is of version {version}, and this facestream knows up to {newest}: update facestream"
        )
    return int(version)

"""How the gallery lies in SQLite, version by version.

::

    people      id, name, key (the name, capitals or not: unique), added_at
    models      id, name, sha256 (of the weights), width (numbers in an embedding); unique by name and sha256
    looks       id, person → people, model → models, vector (float32, little-endian)
    state       one row: changes (counts up with every change), to_erase (the log still tells of people who are gone)
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from facestream.errors import FileFormatError

APPLICATION_ID: Final = 0x46537067
"""In the file's header: it is a gallery of facestream's."""


def _first(connection: sqlite3.Connection) -> None:
    for statement in (
        "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, key TEXT NOT NULL UNIQUE,"
        " added_at REAL NOT NULL)",
        "CREATE TABLE models (id INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL,"
        " width INTEGER NOT NULL CHECK (width > 0), UNIQUE (name, sha256))",
        "CREATE TABLE looks (id INTEGER PRIMARY KEY, person INTEGER NOT NULL REFERENCES people ON DELETE CASCADE,"
        " model INTEGER NOT NULL REFERENCES models, vector BLOB NOT NULL)",
        "CREATE INDEX looks_of_person ON looks (person, model)",
        "CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), changes INTEGER NOT NULL,"
        " to_erase INTEGER NOT NULL)",
        "INSERT INTO state VALUES (1, 0, 0)",
    ):
        connection.execute(statement)


STEPS: Final[Sequence[Callable[[sqlite3.Connection], None]]] = (_first,)
"""Step *i* makes version *i* + 1 out of version *i*. Steps are only ever appended: there are files of each version."""


def migrate(connection: sqlite3.Connection, path: Path, steps: Sequence[Callable[[sqlite3.Connection], None]]) -> None:
    """Bring the file to version ``len(steps)``, in one transaction. A file of that version isn't written to.

    Args:
        connection: in autocommit mode.
        path: of the file, for messages.

    Raises:
        FileFormatError: it is another program's, or a newer facestream's.
        sqlite3.Error: it isn't a database, is damaged, or can't be written; it is as it was.
    """
    connection.execute("BEGIN")  # one state of the file, while another process makes it
    try:
        version = _version(connection, path, len(steps))
    finally:
        connection.execute("ROLLBACK")
    if version == len(steps):
        return
    _keep_log(connection)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in steps[_version(connection, path, len(steps)) :]:  # again: another process may have been faster
            step(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
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


def _version(connection: sqlite3.Connection, path: Path, newest: int) -> int:
    """The file's version; 0 is an empty one."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise FileFormatError(f"{path}: is another program's database, not a gallery of people: name another file")
    if version > newest:
        raise FileFormatError(
            f"{path}: is of version {version}, and this facestream knows up to {newest}: update facestream"
        )
    return int(version)

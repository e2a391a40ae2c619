"""How the gallery lies in SQLite, version by version.

::

    people      id, name, key (the name, capitals or not: unique), added_at
    models      id, name, sha256 (of the weights), width (numbers in an embedding); unique by name and sha256
    looks       id, person → people, model → models, vector (float32, little-endian)
    state       one row: changes (counts up with every change), to_erase (the log still tells of people who are gone)
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from facestream.io import sqlite_schema
from facestream.io.sqlite_schema import Step

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


STEPS: Final[Sequence[Step]] = (_first,)
"""Step *i* makes version *i* + 1 out of version *i*. Steps are only ever appended: there are files of each version."""


def migrate(connection: sqlite3.Connection, path: Path, steps: Sequence[Step]) -> None:
    """Bring the file to version ``len(steps)``; see :func:`facestream.io.sqlite_schema.migrate`."""
    sqlite_schema.migrate(connection, path, steps, application=APPLICATION_ID, what="a gallery of people")

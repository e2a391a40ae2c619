"""How stored events lie in SQLite, version by version.

::

    events      id (grows with time), kind, source, track, name, name_key (capitals or not), at, started_at, seen_at,
                ended_at (NULL while the visit goes on), clip → clips
    pictures    event → events, jpeg
    clips       file (its name in the folder beside the database), bytes; several events may share one
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from facestream.io.sqlite_schema import Step

APPLICATION_ID: Final = 0x46534576
"""In the file's header: it is facestream's events."""


def _first(connection: sqlite3.Connection) -> None:
    for statement in (
        "CREATE TABLE clips (file TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE events (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, source TEXT NOT NULL,"
        " track INTEGER NOT NULL, name TEXT, name_key TEXT, at REAL NOT NULL, started_at REAL NOT NULL,"
        " seen_at REAL NOT NULL, ended_at REAL, clip TEXT REFERENCES clips)",
        "CREATE INDEX events_by_source ON events (source, id)",
        "CREATE INDEX events_by_name ON events (name_key, id) WHERE name_key IS NOT NULL",
        "CREATE INDEX events_by_clip ON events (clip) WHERE clip IS NOT NULL",
        "CREATE INDEX events_open ON events (id) WHERE ended_at IS NULL",
        "CREATE TABLE pictures (event INTEGER PRIMARY KEY REFERENCES events ON DELETE CASCADE, jpeg BLOB NOT NULL)",
    ):
        connection.execute(statement)


STEPS: Final[Sequence[Step]] = (_first,)
"""Step *i* makes version *i* + 1 out of version *i*. Steps are only ever appended: there are files of each version."""

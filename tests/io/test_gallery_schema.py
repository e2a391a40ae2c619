from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from facestream.errors import FileFormatError
from facestream.io.gallery import Gallery
from facestream.io.gallery_schema import STEPS, migrate


def first_version(path: Path) -> Path:
    """A file as the first facestream that had a gallery wrote it, with one person in it."""
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection, path, STEPS[:1])
    connection.execute("INSERT INTO people (name, key, added_at) VALUES ('Ada', 'ada', 12.5)")
    connection.close()
    return path


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(first_version(tmp_path / "people.db"), isolation_level=None)
    yield connection
    connection.close()


def version_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_a_file_of_the_first_version_is_read_today(tmp_path: Path) -> None:
    with Gallery.open(first_version(tmp_path / "people.db")) as gallery:
        assert [(person.name, person.added_at) for person in gallery.people()] == [("Ada", 12.5)]


def test_an_older_file_is_brought_up_to_date_with_what_it_holds(connection: sqlite3.Connection, tmp_path: Path) -> None:
    def nicknames(file: sqlite3.Connection) -> None:
        file.execute("ALTER TABLE people ADD COLUMN nickname TEXT NOT NULL DEFAULT ''")

    def first_letters(file: sqlite3.Connection) -> None:
        file.execute("UPDATE people SET nickname = substr(name, 1, 1)")

    migrate(connection, tmp_path / "people.db", [*STEPS[:1], nicknames, first_letters])
    assert version_of(connection) == 3
    assert connection.execute("SELECT name, nickname FROM people").fetchall() == [("Ada", "A")]


def test_a_step_that_fails_leaves_the_file_as_it_was(connection: sqlite3.Connection, tmp_path: Path) -> None:
    def half(file: sqlite3.Connection) -> None:
        file.execute("DELETE FROM people")
        file.execute("DELETE FROM nothing_there")

    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, tmp_path / "people.db", [*STEPS[:1], half])
    assert version_of(connection) == 1
    assert connection.execute("SELECT name FROM people").fetchall() == [("Ada",)]


def test_a_newer_file_is_refused_and_kept(connection: sqlite3.Connection, tmp_path: Path) -> None:
    connection.execute("PRAGMA user_version = 99")
    with pytest.raises(FileFormatError, match="is of version 99, and this facestream knows up to"):
        Gallery.open(tmp_path / "people.db")
    assert version_of(connection) == 99


def test_an_empty_file_becomes_a_gallery(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    path.touch()
    with Gallery.open(path) as gallery:
        assert gallery.people() == []


def test_another_programs_database_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE letters (text)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(FileFormatError, match="another program's database"):
        Gallery.open(path)
    assert path.read_bytes() == before

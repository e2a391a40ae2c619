"""The gallery: people whom the user has named, by what identity models see in their faces.

One SQLite file, which several processes may have open at once. What it holds is a name, when it was given, and
embeddings; never a picture, nor where one was. :mod:`facestream.io.gallery_schema` says how it lies there.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np

from facestream.errors import ConfigError, FacestreamError, FileFormatError, OutputError
from facestream.io.gallery_names import checked_name, name_key
from facestream.io.gallery_schema import STEPS, migrate
from facestream.io.user_data import create_private
from facestream.stream.types import Floats

log = logging.getLogger("facestream.gallery")

_BUSY_SECONDS: Final = 10.0  # how long to wait while another process writes
_ROWS: Final = 4096  # read at a time
_VECTOR: Final = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class Looks:
    """How many embeddings there are of one model; ``sha256`` is of its weights."""

    model: str
    sha256: str
    count: int


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the gallery.

    Attributes:
        name: as it was given first.
        added_at: Unix seconds.
        looks: the embeddings, by model.
    """

    name: str
    added_at: float
    looks: tuple[Looks, ...]


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """Somebody with all that the gallery holds of them, for carrying it elsewhere.

    Attributes:
        embeddings: (model, sha256 of its weights) → float32 (N, D).
    """

    name: str
    added_at: float
    embeddings: dict[tuple[str, str], Floats]


class Added(NamedTuple):
    """How many people and embeddings a gallery didn't have before."""

    people: int
    embeddings: int


class Gallery:
    """One open file, for one thread. ``with Gallery.open(path) as gallery: …``

    Names are told apart without regard to capitals. Each method that changes something does all of it or nothing, also
    when the process is killed, and has it on disk when it returns.

    Every method raises :class:`FileFormatError` where the file is damaged, and :class:`OutputError` where it can't be
    written: read-only, full, or for ten seconds locked by another process.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, clock: Callable[[], float]) -> None:
        self.path = path
        self._connection = connection
        self._clock = clock
        self._file = os.stat(path)
        """As it was when it was opened, or after the last change of its own."""

    @classmethod
    def open(cls, path: Path, *, create: bool = True, clock: Callable[[], float] = time.time) -> Self:
        """Open the file, brought to the present version; a new one is its owner's alone (0600, its folder 0700).

        Args:
            create: make the file where there is none.
            clock: Unix seconds.

        Raises:
            ConfigError: there is no file, and none is to be made.
            FileFormatError: it isn't a gallery, is damaged, or of a newer facestream.
            OutputError: it can't be opened or made.
        """
        if not create and not path.exists():
            raise ConfigError(f"{path}: there is no gallery of people; `facestream people add NAME PICTURE` makes one")
        try:
            create_private(path)
        except OSError as error:
            raise OutputError(
                f"{path}: can't be made ({error.strerror}): let --people name a file elsewhere"
            ) from error
        with _told(path):
            connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
            try:
                _prepare(connection, path)
                gallery = cls(path, connection, clock)
                gallery._empty_log()
            except BaseException:
                connection.close()
                raise
        return gallery

    def close(self) -> None:
        """Safe to call twice."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def add(self, name: str, embeddings: Floats, *, model: str, sha256: str) -> int:
        """Give a person embeddings; a new person if there is nobody of that name.

        Args:
            embeddings: float32 (N, D), N ≥ 1, as the model made them. One that the person has already counts once.
            model, sha256: whose embeddings; embeddings of other weights are never compared with these.

        Returns: how many were new.

        Raises:
            ConfigError: the name can't be one.
            ValueError: an embedding is zero or not finite, there is none, or D isn't the model's.
        """
        name, vectors = checked_name(name), vectors_of(embeddings)
        with self._change():
            person, _ = self._person_called(name, self._clock())
            return self._add(person, vectors, model, sha256)

    def add_records(self, records: Iterable[PersonRecord], *, merge: bool = True) -> Added:
        """Add people with all that is known of them: all of them, or nobody.

        Args:
            merge: somebody who is there already gets what is new of the one of the same name.

        Raises:
            ConfigError: without ``merge``, somebody of one of the names is there; or a name can't be one.
            ValueError: as :meth:`add`.
        """
        people = embeddings = 0
        with self._change():
            for record in records:
                name = checked_name(record.name)
                person, new = self._person_called(name, record.added_at)
                if not (merge or new):
                    raise ConfigError(f"there is a {name!r} already, so nobody was imported")
                people += new
                for (model, sha256), rows in record.embeddings.items():
                    embeddings += self._add(person, vectors_of(rows), model, sha256)
        return Added(people, embeddings)

    def records(self) -> list[PersonRecord]:
        """Everybody, by name, with everything."""
        with self._read():
            models = self._connection.execute("SELECT id, name, sha256, width FROM models ORDER BY id").fetchall()
            people = self._connection.execute("SELECT id, name, added_at FROM people ORDER BY key").fetchall()
            return [
                PersonRecord(
                    name,
                    added_at,
                    {
                        (model, sha256): rows
                        for number, model, sha256, width in models
                        if len(rows := self._embeddings(person, number, width))
                    },
                )
                for person, name, added_at in people
            ]

    def people(self) -> list[Person]:
        """Everybody, by name."""
        with self._read():
            looks: dict[int, list[Looks]] = {}
            for person, *about in self._connection.execute(
                "SELECT looks.person, models.name, models.sha256, count(*) FROM looks"
                " JOIN models ON models.id = looks.model GROUP BY looks.person, models.id ORDER BY models.id"
            ):
                looks.setdefault(person, []).append(Looks(*about))
            rows = self._connection.execute("SELECT id, name, added_at FROM people ORDER BY key").fetchall()
        return [Person(name, added_at, tuple(looks.get(person, ()))) for person, name, added_at in rows]

    def remove(self, *names: str) -> None:
        """Forget people. Nothing of them is left in the file, nor in those beside it, once this returns.

        Raises:
            ConfigError: there is nobody of one of the names; nobody is removed then.
        """
        with self._change(erase=True):
            for person in {self._person(name) for name in names}:
                self._connection.execute("DELETE FROM people WHERE id = ?", (person,))

    def rename(self, name: str, to: str) -> None:
        """Give a person another name; nothing of the former one is left.

        Raises:
            ConfigError: there is nobody called ``name``, somebody else is called ``to`` (:meth:`merge` makes one of
                the two), or ``to`` can't be a name.
        """
        to = checked_name(to)
        with self._change(erase=True):
            person, other = self._person(name), self._find(to)
            if other not in (None, person):
                raise ConfigError(f"there is a {to!r} already: merge the two if they are one person")
            self._connection.execute("UPDATE people SET name = ?, key = ? WHERE id = ?", (to, name_key(to), person))

    def merge(self, name: str, into: str) -> None:
        """Two names were one person's: all that ``name`` has becomes ``into``'s, and nothing of ``name`` is left.

        Raises:
            ConfigError: there is nobody of one of the names, or both are the same.
        """
        with self._change(erase=True):
            person, other = self._person(name), self._person(into)
            if person == other:
                raise ConfigError(f"{name!r} and {into!r} are one person already")
            self._connection.execute(
                "DELETE FROM looks WHERE person = ? AND EXISTS (SELECT 1 FROM looks AS other WHERE other.person = ?"
                " AND other.model = looks.model AND other.vector = looks.vector)",
                (person, other),
            )
            self._connection.execute("UPDATE looks SET person = ? WHERE person = ?", (other, person))
            self._connection.execute("DELETE FROM people WHERE id = ?", (person,))

    def known(self, model: str, sha256: str) -> tuple[Floats, list[str]]:
        """All embeddings of one model: float32 (M, D), and M names; by name, so that a person's lie together.

        D is 0 where the model has never been used.
        """
        with self._read():
            found = self._connection.execute(
                "SELECT id, width FROM models WHERE name = ? AND sha256 = ?", (model, sha256)
            ).fetchone()
            if found is None:
                return np.zeros((0, 0), np.float32), []
            number, width = found
            (count,) = self._connection.execute("SELECT count(*) FROM looks WHERE model = ?", (number,)).fetchone()
            rows = self._connection.execute(
                "SELECT people.name, looks.vector FROM people CROSS JOIN looks ON looks.person = people.id"
                " WHERE looks.model = ? ORDER BY people.name, people.id, looks.id",
                (number,),
            )
            return self._matrix(rows, count, width)

    def version(self) -> int:
        """Another number than before whenever anybody, this process or another, has changed something."""
        with _told(self.path):
            (changes,) = self._connection.execute("SELECT changes FROM state").fetchone()
        return int(changes)

    def replaced(self) -> bool:
        """Whether the path names another file by now, or none, or somebody else has written into this one.

        It may have been deleted, or restored from a copy, in place or not: what SQLite remembers of it is worth
        nothing then, and it has to be opened anew. Another process that used it well looks the same.
        """
        try:
            now = os.stat(self.path)
        except FileNotFoundError:
            return True
        return not os.path.samestat(self._file, now) or _written(self._file) != _written(now)

    def _matrix(self, rows: sqlite3.Cursor, count: int, width: int) -> tuple[Floats, list[str]]:
        """All rows of name and vector, some of them at a time: a matrix is large enough to be held once."""
        matrix, names = np.empty((count, width), np.float32), list[str]()
        while chunk := rows.fetchmany(_ROWS):
            matrix[len(names) : len(names) + len(chunk)] = self._rows([vector for _, vector in chunk], width)
            names += [name for name, _ in chunk]
        return matrix, names

    def _rows(self, vectors: Sequence[bytes], width: int) -> Floats:
        if any(len(vector) != width * _VECTOR.itemsize for vector in vectors):
            raise _damaged(self.path, "an embedding has another length than its model's")
        return np.frombuffer(b"".join(vectors), _VECTOR).reshape(-1, width).astype(np.float32, copy=False)

    def _embeddings(self, person: int, model: int, width: int) -> Floats:
        found = self._connection.execute(
            "SELECT vector FROM looks WHERE person = ? AND model = ? ORDER BY id", (person, model)
        )
        return self._rows([vector for (vector,) in found], width)

    # What follows is for the inside of a change.

    def _person_called(self, name: str, added_at: float) -> tuple[int, bool]:
        """The person of a checked name, and whether there was nobody before."""
        person = self._find(name)
        if person is not None:
            return person, False
        row = (name, name_key(name), added_at)
        made = self._connection.execute("INSERT INTO people (name, key, added_at) VALUES (?, ?, ?)", row)
        return int(made.lastrowid or 0), True

    def _add(self, person: int, vectors: Sequence[bytes], model: str, sha256: str) -> int:
        number = self._model(model, sha256, len(vectors[0]) // _VECTOR.itemsize)
        found = self._connection.execute("SELECT vector FROM looks WHERE person = ? AND model = ?", (person, number))
        there = {vector for (vector,) in found}
        new = [(person, number, vector) for vector in dict.fromkeys(vectors) if vector not in there]
        self._connection.executemany("INSERT INTO looks (person, model, vector) VALUES (?, ?, ?)", new)
        return len(new)

    def _model(self, name: str, sha256: str, width: int) -> int:
        found = self._connection.execute(
            "SELECT id, width FROM models WHERE name = ? AND sha256 = ?", (name, sha256)
        ).fetchone()
        if found is None:
            row = (name, sha256, width)
            return int(
                self._connection.execute("INSERT INTO models (name, sha256, width) VALUES (?, ?, ?)", row).lastrowid
                or 0
            )
        if found[1] != width:
            raise ValueError(f"{name}: an embedding of {width} numbers, where others have {found[1]}")
        return int(found[0])

    def _find(self, name: str) -> int | None:
        found = self._connection.execute("SELECT id FROM people WHERE key = ?", (name_key(name),)).fetchone()
        return None if found is None else int(found[0])

    def _person(self, name: str) -> int:
        person = self._find(checked_name(name))
        if person is None:
            raise ConfigError(f"there is nobody called {name!r}: `facestream people list` shows who is there")
        return person

    @contextmanager
    def _read(self) -> Iterator[None]:
        """Several questions to one state of the file."""
        with _told(self.path):
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    @contextmanager
    def _change(self, *, erase: bool = False) -> Iterator[None]:
        """All that happens in the block, or nothing."""
        with _told(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute(
                    "UPDATE state SET changes = changes + 1, to_erase = max(to_erase, ?)", (erase,)
                )
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        self._empty_log()

    def _empty_log(self) -> None:
        """Write what was changed into the file itself and empty the log of changes beside it.

        The log would bring people back: SQLite takes it for that of whichever file lies beside it, also of one that was
        restored from a copy, or made anew after ``people.db`` alone was deleted. And it still tells of people who are
        gone; in the file SQLite has written zeroes over them (``secure_delete``). What keeps the log from being emptied
        now is told where it tells of them, and it happens when the file is opened next; so it does after a kill.
        """
        erases = False
        try:
            with _told(self.path):
                (erases,) = self._connection.execute("SELECT to_erase FROM state").fetchone()
                self._checkpoint()
                if erases:
                    self._connection.execute("UPDATE state SET to_erase = 0")
                    self._checkpoint()
        except OutputError as error:
            if erases:
                log.warning("traces of people who are gone stay beside the file until it is opened next: %s", error)
        with suppress(FileNotFoundError):  # replaced() tells
            self._file = os.stat(self.path)

    def _checkpoint(self) -> None:
        (busy, *_) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise OutputError(f"{self.path}: another process is reading it")


def _written(file: os.stat_result) -> tuple[int, int]:
    return file.st_mtime_ns, file.st_size


def vectors_of(embeddings: Floats) -> list[bytes]:
    """float32 (N, D) → N rows as they are stored.

    Raises:
        ValueError: there is no row, one of zeros, or one that isn't finite.
    """
    rows = np.ascontiguousarray(embeddings, _VECTOR)
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"embeddings must be (N, D), not {rows.shape}")
    if not np.isfinite(rows).all() or not rows.any(axis=1).all():
        raise ValueError("an embedding is zero or not finite")
    return [row.tobytes() for row in rows]


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    for setting in (
        "foreign_keys = ON",
        "secure_delete = ON",
        "synchronous = FULL",  # what was acknowledged outlives a power cut
        "temp_store = MEMORY",  # no temporary file with a copy
    ):
        connection.execute(f"PRAGMA {setting}")
    migrate(connection, path, STEPS)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """SQLite's errors in our words."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # a closed gallery, or another thread's: a mistake in the program
    except sqlite3.Error as error:
        raise _in_our_words(path, error) from error


def _in_our_words(path: Path, error: sqlite3.Error) -> FacestreamError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return FileFormatError(f"{path}: isn't a gallery of people: name another file with --people")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return OutputError(
            f"{path}: another process is writing to it for {_BUSY_SECONDS:.0f} s: end that, or try again"
        )
    if code == sqlite3.SQLITE_FULL:
        return OutputError(f"{path}: the disk is full: free some of it, and try again")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR):
        return OutputError(f"{path}: can't be opened or written ({error}): see to whose it is, or name another file")
    return _damaged(path, str(error))


def _damaged(path: Path, how: str) -> FileFormatError:
    return FileFormatError(
        f"{path}: is damaged ({how}): move it away, and `facestream people import` what was exported before"
    )

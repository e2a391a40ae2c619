"""Events that are kept: one SQLite file, and the clips in a folder beside it.

The file holds pictures and names, so it and the folder are their owner's alone. :mod:`facestream.io.event_schema` says
how it lies there. One process writes visits; others may read, and erase names, at the same time.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from facestream.errors import AlignmentsError, FacestreamError, FileFormatError, OutputError
from facestream.io.event_schema import APPLICATION_ID, STEPS
from facestream.io.gallery_names import name_key
from facestream.io.journal_lock import JournalLock
from facestream.io.sqlite_schema import migrate
from facestream.io.user_data import create_private, user_data_folder
from facestream.stream.events import Event, Kind

MOST: Final = 500
"""Events in one page of :meth:`EventStore.find`."""

_BUSY_SECONDS: Final = 5.0  # how long to wait while another process writes
_REMOVED_AT_ONCE: Final = 64
_SHED_AT_ONCE: Final = 8  # of too many, one by one: each may have a clip of megabytes, and no more go than must
_SHED_TO: Final = 0.99  # of what is allowed, so that not each new one costs another
_PAGES_AT_ONCE: Final = 4096  # given back to the file system in one go: 16 MB
_LOG_BYTES: Final = 4_000_000
_OURS: Final = "facestream events\n"  # in the lock, once the file was opened: it is ours, whatever became of it
_COLUMNS: Final = (
    "id, kind, source, track, name, at, started_at, seen_at, ended_at,"
    " EXISTS (SELECT 1 FROM pictures WHERE event = id), clip IS NOT NULL"
)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events.

    Attributes:
        since, until: Unix seconds; visits of which a part lies between.
        source: its name.
        name: a person's, capitals or not.
        kind: how far the visit is.
        before: ids below this one: the ``next`` of the page before.
        limit: so many at most, up to :data:`MOST`.
    """

    since: float | None = None
    until: float | None = None
    source: str | None = None
    name: str | None = None
    kind: Kind | None = None
    before: int | None = None
    limit: int = 50

    def where(self) -> tuple[str, list[Any]]:
        """As SQL, with its values."""
        terms = {
            "coalesce(ended_at, seen_at) >= ?": self.since,
            "started_at <= ?": self.until,
            "source = ?": self.source,
            "name_key = ?": None if self.name is None else name_key(self.name),
            "kind = ?": None if self.kind is None else self.kind.value,
            "id < ?": self.before,
        }
        given = {term: value for term, value in terms.items() if value is not None}
        return " AND ".join(given) or "1", list(given.values())


def events_file() -> Path:
    """Where events are kept if nothing else is said: beside the gallery of people. May not exist yet."""
    return user_data_folder() / "events.db"


def clips_folder(path: Path) -> Path:
    """The folder beside the file that holds its clips. May not exist yet."""
    return path.with_name(f"{path.stem}-clips")


class EventStore:
    """One open file, for one thread. ``with EventStore.open(path) as store: …``

    Each method that changes something does all of it or nothing, also when the process is killed. After a power cut the
    last seconds may be missing. What is removed is overwritten (SQLite's ``secure_delete``), and the file shrinks.

    Every method raises :class:`FileFormatError` where the file is damaged, and :class:`OutputError` where it can't be
    written: read-only, full, or for five seconds locked by another process.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: JournalLock | None) -> None:
        self.path = path
        self.clips = clips_folder(path)
        self._connection = connection
        self._lock = lock
        self._file = os.stat(path)
        self._shedding = False
        self._to_erase = True  # the log may tell of what is gone: a process was killed

    @classmethod
    def open(cls, path: Path, *, write: bool = True) -> Self:
        """Open the file, brought to the present version; a new one is its owner's alone (0600, its folder 0700).

        Args:
            write: be the one that writes visits: those that a killed process left open are ended, at their last sight,
                and clips that nothing tells of any more are removed.

        Raises:
            FileFormatError: it isn't ours, is damaged, or of a newer facestream.
            OutputError: it can't be opened or made, or another process writes its visits.
        """
        try:
            create_private(path)
        except OSError as error:
            raise OutputError(f"{path}: can't be made ({error.strerror}): name another file for events") from error
        lock = _locked(path) if write else None
        try:
            with told(path):
                if lock is not None and not path.stat().st_size:
                    _drop_logs(path)  # SQLite would take them for this file's, and bring back what was in another one
            store = cls._opened(path, lock)
        except BaseException:
            if lock is not None:
                lock.release()
            raise
        return store

    @classmethod
    def _opened(cls, path: Path, lock: JournalLock | None) -> Self:
        with told(path):
            connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
            try:
                _prepare(connection, path)
                store = cls(path, connection, lock)
                if lock is not None:
                    _lock_of(path).write_text(_OURS)
                    store._end_visits()
                    store._drop_clips()
                store._erase()
            except BaseException:
                connection.close()
                raise
        return store

    def close(self) -> None:
        """Safe to call twice."""
        self._connection.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def replaced(self) -> bool:
        """Whether the path names another file by now, or none: then it has to be opened anew."""
        try:
            return not os.path.samestat(self._file, os.stat(self.path))
        except OSError:
            return True

    def write(self, events: Sequence[Event] = (), pictures: Mapping[int, bytes] | None = None) -> None:
        """Add visits, or bring those that are there up to date.

        Args:
            pictures: visit → JPEG. One of a visit that isn't there is left out.
        """
        with self._change():
            self._connection.executemany(
                "INSERT INTO events (id, kind, source, track, name, name_key, at, started_at, seen_at, ended_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET kind = excluded.kind,"
                " name = excluded.name, name_key = excluded.name_key, at = excluded.at, seen_at = excluded.seen_at,"
                " ended_at = excluded.ended_at",
                [_row(event) for event in events],
            )
            self._connection.executemany(
                "INSERT INTO pictures SELECT id, ? FROM events WHERE id = ?"
                " ON CONFLICT (event) DO UPDATE SET jpeg = excluded.jpeg",
                [(jpeg, id_) for id_, jpeg in (pictures or {}).items()],
            )

    def touch(self, events: Sequence[Event]) -> None:
        """Note when visits that go on were seen last, in case the process is killed."""
        with self._change():
            self._connection.executemany(
                "UPDATE events SET seen_at = ? WHERE id = ? AND ended_at IS NULL",
                [(event.seen_at, event.id) for event in events],
            )

    def add_clip(self, ids: Sequence[int], file: str) -> bool:
        """Visits have a clip, which lies in :attr:`clips` already. False, and it is gone, if no visit is there."""
        path = self.clips / file
        with self._change():
            self._connection.execute("INSERT OR REPLACE INTO clips VALUES (?, ?)", (file, path.stat().st_size))
            changed = self._connection.executemany(
                "UPDATE events SET clip = ? WHERE id = ?", [(file, id_) for id_ in ids]
            ).rowcount
        if not changed:
            self._drop_clips()
        return changed > 0

    def find(self, wanted: EventFilter | None = None) -> list[Event]:
        """Visits, the newest first."""
        wanted = wanted or EventFilter()
        where, values = wanted.where()
        with told(self.path):
            rows = self._connection.execute(
                f"SELECT {_COLUMNS} FROM events WHERE {where} ORDER BY id DESC LIMIT ?",
                [*values, max(1, min(wanted.limit, MOST))],
            ).fetchall()
        return [_event(row) for row in rows]

    def picture(self, id_: int) -> bytes | None:
        """A visit's picture: a JPEG."""
        with told(self.path):
            found = self._connection.execute("SELECT jpeg FROM pictures WHERE event = ?", (id_,)).fetchone()
        return None if found is None else bytes(found[0])

    def clip(self, id_: int) -> Path | None:
        """A visit's clip; the file may have been deleted."""
        with told(self.path):
            found = self._connection.execute("SELECT clip FROM events WHERE id = ?", (id_,)).fetchone()
        return None if found is None or found[0] is None else self.clips / found[0]

    def remove(self, id_: int) -> bool:
        """Forget a visit, with its picture and clip. False if it wasn't there."""
        with self._change():
            removed = self._connection.execute("DELETE FROM events WHERE id = ?", (id_,)).rowcount
        self._drop_clips()
        self._erase_soon()
        return bool(removed)

    def rename(self, name: str, to: str | None) -> int:
        """Who is called ``name`` in events is called otherwise, or with None not at all. Nothing of the name is left.

        Returns: in how many.
        """
        key = None if to is None else name_key(to)
        with self._change():
            changed = self._connection.execute(
                "UPDATE events SET name = ?, name_key = ? WHERE name_key = ?", (to, key, name_key(name))
            ).rowcount
        with told(self.path):
            set_aside_of(self.path).unlink(missing_ok=True)  # it may tell of them, too
        self._erase_soon()
        return int(changed)

    def names(self) -> list[str]:
        """Everybody who is called by name in an event."""
        with told(self.path):
            return [name for (name,) in self._connection.execute("SELECT DISTINCT name FROM events WHERE name NOTNULL")]

    def last_id(self) -> int:
        """The newest visit's, 0 if there is none."""
        with told(self.path):
            return int(self._connection.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()[0])

    def size(self) -> int:
        """Bytes that the events and their clips take."""
        with told(self.path):
            (page,), (pages,), (free,) = (
                self._connection.execute(f"PRAGMA {pragma}").fetchone()
                for pragma in ("page_size", "page_count", "freelist_count")
            )
            (clips,) = self._connection.execute("SELECT coalesce(sum(bytes), 0) FROM clips").fetchone()
        return int(page * (pages - free) + clips)

    def tidy(self, oldest: float, max_bytes: int) -> bool:
        """Remove some of the visits that ended before ``oldest`` (Unix seconds), or that are too many, oldest first.

        Visits that go on stay. What that frees goes back to the file system. Takes milliseconds.

        Returns: whether more is to be removed.
        """
        enough = "SELECT id FROM events WHERE ended_at < ? ORDER BY id LIMIT ?"
        removed = self._remove(enough, oldest, _REMOVED_AT_ONCE)
        if not removed:
            removed = self._shed(max_bytes)
        with told(self.path):
            # As a script: it gives back one page a step, and execute() takes but one step of what returns no rows.
            self._connection.executescript(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})")
        self._erase()
        with told(self.path), suppress(FileNotFoundError):
            if set_aside_of(self.path).stat().st_mtime < oldest:
                set_aside_of(self.path).unlink()
        return removed > 0

    def _shed(self, max_bytes: int) -> int:
        """Remove some of too many, as long as there are too many. Returns how many."""
        ended = "SELECT id FROM events WHERE ended_at NOTNULL AND ? ORDER BY id LIMIT ?"
        self._shedding = self._shedding or self.size() > max_bytes
        removed = 0
        while self._shedding and removed < _SHED_AT_ONCE:
            self._shedding = self.size() > _SHED_TO * max_bytes and self._remove(ended, True, 1) > 0
            removed += self._shedding
        return removed

    def _remove(self, ids: str, value: float, most: int) -> int:
        with self._change():
            removed = self._connection.execute(f"DELETE FROM events WHERE id IN ({ids})", (value, most)).rowcount
        if removed:
            self._to_erase = True
            self._drop_clips()
        return int(removed)

    def _end_visits(self) -> None:
        with self._change():
            self._connection.execute(
                "UPDATE events SET kind = 'left', at = seen_at, ended_at = seen_at WHERE ended_at IS NULL"
            )

    def _drop_clips(self) -> None:
        """Remove clips that no visit has any more, and files that nobody knows: a process was killed.

        A file goes after its row: what is left of it then is removed at the next start.
        """
        with self._change():
            gone = self._connection.execute(
                "DELETE FROM clips WHERE NOT EXISTS (SELECT 1 FROM events WHERE clip = file) RETURNING file"
            ).fetchall()
        with told(self.path):
            for (file,) in gone:
                (self.clips / file).unlink(missing_ok=True)

    def drop_strays(self) -> None:
        """Remove files of the clips' folder that nobody knows: a process was killed. While no clip is being made."""
        with told(self.path):
            known = {file for (file,) in self._connection.execute("SELECT file FROM clips")}
            for path in self.clips.iterdir() if self.clips.is_dir() else ():
                if path.name not in known and path.is_file():
                    path.unlink(missing_ok=True)

    def _erase_soon(self) -> None:
        self._to_erase = True
        self._erase()

    def _erase(self) -> None:
        """Empty the log, which still tells of what is gone. While another process reads it, it is done later."""
        if self._to_erase:
            with told(self.path):
                self._connection.execute("PRAGMA busy_timeout = 0")
                try:
                    (busy, *_) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                finally:
                    self._connection.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000:.0f}")
            self._to_erase = bool(busy)

    @contextmanager
    def _change(self) -> Iterator[None]:
        """All that happens in the block, or nothing."""
        with told(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


def set_aside(path: Path, error: FileFormatError) -> Path | None:
    """Move a damaged store out of the way, so that a new one can be made; it replaces one that was moved before.

    Returns: where it is now; None if it isn't damaged, or was never seen to be ours, and is left alone.
    """
    code = getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF
    if code not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return None
    with suppress(OSError):
        if _lock_of(path).read_text() == _OURS:
            target = set_aside_of(path)
            path.replace(target)
            _drop_logs(path)
            return target
    return None


def set_aside_of(path: Path) -> Path:
    """Where :func:`set_aside` puts it. It goes when what it holds is too old, and when a name is to be forgotten."""
    return path.with_name(path.name + ".damaged")


def rename_in_events(name: str, to: str | None, path: Path | None = None) -> int:
    """Erase or change a person's name in stored events, if there are any; see :meth:`EventStore.rename`. Blocks.

    Args:
        path: of the file, by default :func:`events_file`.
    """
    path = events_file() if path is None else path
    if not path.exists():
        return 0
    with EventStore.open(path, write=False) as store:
        return store.rename(name, to)


def _drop_logs(path: Path) -> None:
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _lock_of(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _locked(path: Path) -> JournalLock:
    try:
        create_private(_lock_of(path))
        return JournalLock(_lock_of(path))
    except (AlignmentsError, OSError) as error:
        if isinstance(error, OSError) or isinstance(error.__cause__, OSError):
            raise OutputError(f"{path}: can't be written ({error}): name another file for events") from error
        raise OutputError(
            f"{path}: another facestream keeps its events there: end that, or name another file for events"
        ) from error


def _row(event: Event) -> tuple[Any, ...]:
    key = None if event.name is None else name_key(event.name)
    return (
        *(event.id, event.kind.value, event.source, event.track, event.name, key),
        *(event.at, event.started_at, event.seen_at, event.ended_at),
    )


def _event(row: tuple[Any, ...]) -> Event:
    id_, kind, source, track, name, at, started_at, seen_at, ended_at, picture, clip = row
    return Event(id_, Kind(kind), source, track, name, at, started_at, seen_at, ended_at, bool(picture), bool(clip))


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    for setting in (
        "auto_vacuum = INCREMENTAL",  # of a new file: what is removed is given back in steps
        "foreign_keys = ON",
        "secure_delete = ON",
        "synchronous = NORMAL",
        "temp_store = MEMORY",  # no temporary file with a copy
        f"journal_size_limit = {_LOG_BYTES}",
    ):
        connection.execute(f"PRAGMA {setting}")
    migrate(connection, path, STEPS, application=APPLICATION_ID, what="facestream's events")


@contextmanager
def told(path: Path) -> Iterator[None]:
    """SQLite's and the system's errors in our words."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # a closed store, or another thread's: a mistake in the program
    except sqlite3.Error as error:
        raise _in_our_words(path, error) from error
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}: see to it, or name another file for events") from error


def _in_our_words(path: Path, error: sqlite3.Error) -> FacestreamError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return OutputError(f"{path}: another process writes to it for {_BUSY_SECONDS:.0f} s: end that")
    if code == sqlite3.SQLITE_FULL:
        return OutputError(f"{path}: the disk is full: free some of it")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR):
        return OutputError(f"{path}: can't be opened or written ({error}): see to whose it is, or name another file")
    if code == sqlite3.SQLITE_NOTADB:
        return FileFormatError(f"{path}: isn't a file of events: name another one")
    return FileFormatError(f"{path}: is damaged ({error}): move it away, and a new one is made")

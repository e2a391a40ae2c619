from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from facestream.errors import FileFormatError, OutputError
from facestream.io import event_store
from facestream.io.event_store import EventFilter, EventStore, clips_folder, rename_in_events, set_aside, set_aside_of
from facestream.stream.events import Event, Kind

FULL = bool(os.environ.get("FACESTREAM_FULL"))
MANY = 1 << 40


def visit(id_: int, *, name: str | None = None, source: str = "door", ended: bool = True, seconds: float = 5) -> Event:
    """A visit that began ``id_`` seconds after 1970."""
    kind = Kind.LEFT if ended else Kind.ARRIVED if name is None else Kind.NAMED
    end = float(id_) + seconds
    return Event(id_, kind, source, 7, name, end if ended else float(id_), float(id_), end, end if ended else None)


def ids(events: list[Event]) -> list[int]:
    return [event.id for event in events]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "events.db"


@pytest.fixture
def store(path: Path) -> Iterator[EventStore]:
    with EventStore.open(path) as store:
        yield store


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_visit_is_there_as_it_was_written(store: EventStore) -> None:
    event = visit(1, name="Ada")
    store.write([event], {1: b"jpeg"})
    assert store.find() == [replace(event, picture=True)]
    assert store.picture(1) == b"jpeg"
    assert store.last_id() == 1
    assert store.names() == ["Ada"]


def test_what_happens_later_changes_the_visit(store: EventStore) -> None:
    store.write([visit(1, ended=False)])
    store.write([visit(1, name="Ada", ended=False)])
    store.write([visit(1, name="Ada")], {1: b"first"})
    store.write([], {1: b"best"})
    (event,) = store.find()
    assert (event.kind, event.name, event.ended_at) == (Kind.LEFT, "Ada", 6.0)
    assert store.picture(1) == b"best"


def test_a_picture_of_a_visit_that_is_gone_is_left_out(store: EventStore) -> None:
    store.write([], {5: b"jpeg"})
    assert store.picture(5) is None


def test_what_is_written_is_there_after_closing(path: Path) -> None:
    with EventStore.open(path) as store:
        store.write([visit(1)])
    with EventStore.open(path) as store:
        assert ids(store.find()) == [1]
    store.close()  # again


def test_only_the_owner_can_read_it(path: Path, store: EventStore) -> None:
    store.write([visit(1)])
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert {file.name: file.stat().st_mode & 0o077 for file in path.parent.iterdir()} == {
        name: 0 for name in ("events.db", "events.db-wal", "events.db-shm", "events.db.lock")
    }


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (EventFilter(), [60, 50, 40, 30, 20, 10]),
        (EventFilter(limit=2), [60, 50]),
        (EventFilter(limit=2, before=50), [40, 30]),
        (EventFilter(source="yard"), [60, 40]),
        (EventFilter(name="ADA"), [50, 10]),
        (EventFilter(name="nobody"), []),
        (EventFilter(kind=Kind.LEFT), [50, 40, 30, 20, 10]),
        (EventFilter(kind=Kind.NAMED), [60]),
        (EventFilter(since=35, until=50), [50, 40, 30]),
        (EventFilter(since=36, until=49), [40]),
        (EventFilter(source="door", name="Ada", since=20), [50]),
    ],
)
def test_visits_are_found_by_what_is_known_of_them(store: EventStore, wanted: EventFilter, found: list[int]) -> None:
    store.write(
        [
            visit(10, name="Ada"),
            visit(20),
            visit(30),
            visit(40, source="yard"),
            visit(50, name="ada"),
            visit(60, name="Bob", source="yard", ended=False),
        ]
    )
    assert ids(store.find(wanted)) == found


def test_a_visit_that_a_killed_process_left_open_ends_at_its_last_sight(path: Path) -> None:
    with EventStore.open(path) as store:
        store.write([visit(1, ended=False), visit(2, ended=False)])
        store.touch([replace(visit(1, ended=False), seen_at=500.0)])
    with EventStore.open(path, write=False) as store:
        assert store.find()[0].ended_at is None, "who only reads ends nothing"
    with EventStore.open(path) as store:
        second, first = store.find()
    assert (first.kind, first.at, first.ended_at) == (Kind.LEFT, 500.0, 500.0)
    assert second.ended_at == 7.0


def test_a_visit_that_has_ended_is_not_prolonged(store: EventStore) -> None:
    store.write([visit(1)])
    store.touch([replace(visit(1), seen_at=500.0)])
    assert store.find()[0].seen_at == 6.0


def test_old_visits_go_with_their_pictures_and_the_file_shrinks(path: Path, store: EventStore) -> None:
    picture = os.urandom(10_000)
    for id_ in range(0, 300, 50):
        store.write([visit(id_ + n) for n in range(50)], {id_ + n: picture for n in range(50)})
    assert store.size() > 300 * 10_000
    while store.tidy(oldest=200.0, max_bytes=MANY):
        pass
    assert min(ids(store.find(EventFilter(limit=500)))) == 195
    assert store.size() < 130 * 10_000
    assert store.picture(3) is None
    store.close()
    assert path.stat().st_size < 130 * 10_000


def test_too_many_visits_give_way_oldest_first(store: EventStore) -> None:
    store.write([visit(n) for n in range(1, 301)], {n: os.urandom(10_000) for n in range(1, 301)})
    while store.tidy(oldest=0.0, max_bytes=1_000_000):
        pass
    left = ids(store.find(EventFilter(limit=500)))
    assert store.size() <= 1_000_000
    assert len(left) > 20
    assert left == list(range(300, 300 - len(left), -1))


def test_tidying_is_done_in_small_steps(store: EventStore) -> None:
    store.write([visit(n) for n in range(1, 301)])
    assert store.tidy(oldest=1e9, max_bytes=MANY)
    assert 200 < len(store.find(EventFilter(limit=500))) < 300


def test_visits_that_go_on_stay_however_old_they_are(store: EventStore) -> None:
    store.write([visit(1, ended=False), visit(2)], {1: os.urandom(300_000)})
    while store.tidy(oldest=1e9, max_bytes=1):
        pass
    assert ids(store.find()) == [1]


def clip(store: EventStore, file: str, size: int = 1000) -> Path:
    store.clips.mkdir(exist_ok=True)
    (store.clips / file).write_bytes(b"x" * size)
    return store.clips / file


def test_visits_that_share_a_clip_keep_it_until_the_last_is_gone(store: EventStore) -> None:
    store.write([visit(1), visit(2)])
    path = clip(store, "1.mp4")
    assert store.add_clip([1, 2, 99], "1.mp4")
    assert store.clip(1) == store.clip(2) == path
    assert [event.clip for event in store.find()] == [True, True]
    assert store.remove(1)
    assert path.exists()
    assert store.remove(2)
    assert not path.exists()


def test_a_clip_whose_visits_are_gone_is_not_kept(store: EventStore) -> None:
    path = clip(store, "1.mp4")
    assert not store.add_clip([1], "1.mp4")
    assert not path.exists()


def test_clips_count_and_go_with_their_visits(store: EventStore) -> None:
    store.write([visit(1), visit(2)])
    old, new = clip(store, "1.mp4", 600_000), clip(store, "2.mp4", 600_000)
    store.add_clip([1], "1.mp4")
    store.add_clip([2], "2.mp4")
    while store.tidy(oldest=0.0, max_bytes=600_000 + 100_000):
        pass
    assert (old.exists(), new.exists()) == (False, True)


def test_no_more_visits_give_way_than_must(store: EventStore) -> None:
    store.write([visit(n) for n in range(1, 21)])
    for n in range(1, 21):
        clip(store, f"{n}.mp4", 100_000)
        store.add_clip([n], f"{n}.mp4")
    while store.tidy(oldest=0.0, max_bytes=1_750_000):
        pass
    assert ids(store.find()) == list(range(20, 4, -1))


def test_nothing_is_left_of_visits_that_became_too_old(path: Path, store: EventStore) -> None:
    store.write([visit(1, source="cloakroom")], {1: b"a picture of somebody"})
    while store.tidy(oldest=1e9, max_bytes=MANY):
        pass
    everything = everything_in(path.parent)
    assert b"cloakroom" not in everything
    assert b"a picture of somebody" not in everything


def test_files_that_a_killed_process_left_in_the_clips_folder_go(store: EventStore) -> None:
    store.write([visit(1)])
    kept, stray = clip(store, "1.mp4"), clip(store, ".2.mp4.part")
    store.add_clip([1], "1.mp4")
    store.drop_strays()
    assert (kept.exists(), stray.exists()) == (True, False)


def test_a_clip_that_cannot_be_deleted_is_told(store: EventStore) -> None:
    store.write([visit(1)])
    path = clip(store, "1.mp4")
    store.add_clip([1], "1.mp4")
    path.unlink()
    path.mkdir()
    with pytest.raises(OutputError, match=r"directory|permitted"):
        store.remove(1)
    assert store.find() == []


def test_a_clip_that_is_not_there_is_told(store: EventStore) -> None:
    store.write([visit(1)])
    with pytest.raises(OutputError, match="No such file"):
        store.add_clip([1], "1.mp4")
    assert store.find()[0].clip is False


def test_nothing_is_left_of_a_visit_that_was_removed(path: Path, store: EventStore) -> None:
    store.write([visit(1, source="cloakroom")], {1: b"a picture of somebody"})
    assert store.remove(1)
    assert not store.remove(1)
    assert store.find() == []
    everything = everything_in(path.parent)
    assert b"cloakroom" not in everything
    assert b"a picture of somebody" not in everything


def test_nothing_is_left_of_a_name_that_was_forgotten(path: Path, store: EventStore) -> None:
    store.write([visit(1, name="Adalbert"), visit(2, name="Bob")])
    set_aside_of(path).write_text("an old file, which tells of Adalbert")
    assert store.rename("adalbert", None) == 1
    assert [event.name for event in store.find()] == ["Bob", None]
    assert b"dalbert" not in everything_in(path.parent)


def test_a_name_that_a_reader_keeps_in_the_log_goes_when_it_has_finished(path: Path, store: EventStore) -> None:
    store.write([visit(1, name="Adalbert")])
    reader = sqlite3.connect(path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM events").fetchone()
    store.rename("Adalbert", None)
    reader.close()
    store.tidy(oldest=0.0, max_bytes=MANY)
    assert b"Adalbert" not in everything_in(path.parent)


def test_somebody_who_is_renamed_is_so_in_old_visits(store: EventStore) -> None:
    store.write([visit(1, name="Ada"), visit(2, name="ADA"), visit(3, name="Bob")])
    assert store.rename("Ada", "Grace") == 2
    assert ids(store.find(EventFilter(name="grace"))) == [2, 1]


def test_names_are_forgotten_from_outside_while_a_server_writes(path: Path, store: EventStore) -> None:
    store.write([visit(1, name="Ada")])
    assert rename_in_events("Ada", None, path) == 1
    store.write([visit(2, name="Bob")])
    assert store.names() == ["Bob"]


def test_where_there_are_no_events_none_are_made_to_forget_somebody(path: Path) -> None:
    assert rename_in_events("Ada", None, path) == 0
    assert not path.exists()


def test_one_process_writes_visits(path: Path, store: EventStore) -> None:
    with pytest.raises(OutputError, match="another facestream"):
        EventStore.open(path)
    store.close()
    EventStore.open(path).close()


def test_readers_do_not_wait_for_the_writer_nor_it_for_them(path: Path, store: EventStore) -> None:
    store.write([visit(1)])
    with EventStore.open(path, write=False) as one, EventStore.open(path, write=False) as other:
        assert ids(one.find()) == ids(other.find()) == [1]
        store.write([visit(2)])
        assert ids(one.find()) == ids(other.find()) == [2, 1]


def test_a_file_that_was_deleted_is_told_and_made_anew_without_what_lay_beside_it(path: Path) -> None:
    store = EventStore.open(path)
    store.write([visit(1, name="Ada")])
    log = path.with_name("events.db-wal").read_bytes()
    assert not store.replaced()
    path.unlink()
    assert store.replaced()
    store.close()
    path.with_name("events.db-wal").write_bytes(log)
    with EventStore.open(path) as again:
        assert again.find() == []


def test_a_locked_file_is_told(path: Path, store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_store, "_BUSY_SECONDS", 0.05)
    store.close()
    with EventStore.open(path) as impatient:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OutputError, match="another process writes to it"):
            impatient.write([visit(1)])
        other.execute("ROLLBACK")
        other.close()
        impatient.write([visit(1)])


def test_a_full_disk_is_told_and_leaves_the_file_whole(store: EventStore) -> None:
    store.write([visit(1)])
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(OutputError, match="the disk is full"):
        store.write([visit(2)], {2: os.urandom(100_000)})
    assert ids(store.find()) == [1]
    store._connection.execute("PRAGMA max_page_count = 1000000")
    store.write([visit(2)], {2: os.urandom(100_000)})


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[2000:] = b"\xff" * (len(data) - 2000)
    path.write_bytes(data)


def test_a_damaged_file_is_told_and_can_be_set_aside(path: Path, store: EventStore) -> None:
    store.write([visit(n) for n in range(500)])
    store.close()
    damage(path)
    with pytest.raises(FileFormatError, match="damaged") as caught, EventStore.open(path) as store:
        store.find(EventFilter(limit=500))
    assert set_aside(path, caught.value) == set_aside_of(path)
    with EventStore.open(path) as store:
        assert store.find() == []


def test_somebody_elses_file_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("my diary, which is quite long\n" * 100)
    with pytest.raises(FileFormatError, match="isn't a file of events") as caught:
        EventStore.open(path)
    assert set_aside(path, caught.value) is None
    assert path.read_text().startswith("my diary")


def test_another_programs_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as theirs:
        theirs.execute("CREATE TABLE events (id)")
    theirs.close()
    with pytest.raises(FileFormatError, match="another program's database") as caught:
        EventStore.open(path)
    assert set_aside(path, caught.value) is None


def test_a_file_that_was_set_aside_goes_when_it_is_too_old(path: Path, store: EventStore) -> None:
    set_aside_of(path).write_text("damaged")
    os.utime(set_aside_of(path), (1000, 1000))
    store.tidy(oldest=999.0, max_bytes=MANY)
    assert set_aside_of(path).exists()
    store.tidy(oldest=1001.0, max_bytes=MANY)
    assert not set_aside_of(path).exists()


WRITING = """
import sys
from pathlib import Path
from facestream.io.event_store import EventStore
from facestream.tests.io.test_event_store import visit

with EventStore.open(Path(sys.argv[1])) as store:
    for id_ in range(store.last_id() + 1, 10**9):
        store.write([visit(id_, ended=False)], {id_: bytes(5000)})
        store.tidy(oldest=0.0, max_bytes=10**6)
        print(id_, flush=True)
"""


def test_a_killed_process_loses_nothing_that_it_was_told_is_done(path: Path) -> None:
    for _ in range(20 if FULL else 1):
        with subprocess.Popen([sys.executable, "-c", WRITING, str(path)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(20):
                last = int(process.stdout.readline())
            process.kill()
            last = max([last, *(int(line) for line in process.stdout if line.endswith("\n"))])
        with EventStore.open(path) as store:
            assert store.last_id() in (last, last + 1)
            assert all(event.ended_at is not None and event.picture for event in store.find())
            assert store._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_reading_while_it_is_written_and_tidied_finds_only_whole_pages(path: Path, store: EventStore) -> None:
    done = threading.Event()
    problems: list[str] = []

    def read() -> None:
        with EventStore.open(path, write=False) as reader:
            while not done.is_set():
                found = ids(reader.find(EventFilter(limit=20)))
                if found != sorted(found, reverse=True):
                    problems.append(str(found))

    thread = threading.Thread(target=read)
    thread.start()
    for id_ in range(1, 150):
        store.write([visit(id_)], {id_: bytes(8000)})
        store.tidy(oldest=id_ - 50.0, max_bytes=500_000)
    done.set()
    thread.join()
    assert problems == []
    assert clips_folder(path).name == "events-clips"

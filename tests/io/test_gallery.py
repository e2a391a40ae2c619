from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from facestream.errors import ConfigError, FileFormatError, OutputError
from facestream.io.gallery import Gallery, Looks
from facestream.stream.types import Floats

MODEL = {"model": "sface", "sha256": "5f" * 32}


def embeddings(count: int = 1, seed: int = 0, width: int = 8) -> Floats:
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "people.db"


@pytest.fixture
def gallery(path: Path) -> Iterator[Gallery]:
    with Gallery.open(path, clock=lambda: 1000.5) as gallery:
        yield gallery


def names(gallery: Gallery) -> list[str]:
    return [person.name for person in gallery.people()]


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_a_person_is_there_with_all_that_was_given(gallery: Gallery) -> None:
    given = embeddings(3)
    assert gallery.add("Ada", given, **MODEL) == 3
    (person,) = gallery.people()
    assert (person.name, person.added_at) == ("Ada", 1000.5)
    assert person.looks == (Looks("sface", "5f" * 32, 3),)
    rows, whose = gallery.known(**MODEL)
    assert rows.dtype == np.float32
    assert np.array_equal(rows, given)
    assert whose == ["Ada"] * 3


def test_what_is_added_is_there_after_closing(path: Path) -> None:
    with Gallery.open(path) as gallery:
        gallery.add("Ada", embeddings(2), **MODEL)
    with Gallery.open(path) as gallery:
        assert names(gallery) == ["Ada"]
        assert len(gallery.known(**MODEL)[0]) == 2
    gallery.close()  # again


def test_the_same_name_is_the_same_person_whatever_its_capitals(gallery: Gallery) -> None:
    gallery.add("Ada", embeddings(1, seed=1), **MODEL)
    gallery.add(" ADA ", embeddings(1, seed=2), **MODEL)
    assert names(gallery) == ["Ada"]
    assert gallery.known(**MODEL)[1] == ["Ada", "Ada"]


def test_an_embedding_counts_once(gallery: Gallery) -> None:
    rows = embeddings(2)
    assert gallery.add("Ada", np.concatenate([rows, rows]), **MODEL) == 2
    assert gallery.add("Ada", rows, **MODEL) == 0


def test_a_persons_embeddings_lie_together(gallery: Gallery) -> None:
    for round_ in range(2):
        for name in ("bob", "Ada", "çem"):
            gallery.add(name, embeddings(2, seed=hash((name, round_)) % 1000), **MODEL)
    assert gallery.known(**MODEL)[1] == ["Ada"] * 4 + ["bob"] * 4 + ["çem"] * 4


def test_embeddings_of_other_weights_are_kept_apart(gallery: Gallery) -> None:
    gallery.add("Ada", embeddings(1), **MODEL)
    gallery.add("Ada", embeddings(2, width=16), model="sface", sha256="aa" * 32)
    gallery.add("Ada", embeddings(3, width=16), model="vggface2", sha256="bb" * 32)
    assert gallery.known(**MODEL)[0].shape == (1, 8)
    assert gallery.known("sface", "aa" * 32)[0].shape == (2, 16)
    assert gallery.known("never used", "cc" * 32)[0].shape == (0, 0)
    assert [looks.count for looks in gallery.people()[0].looks] == [1, 2, 3]


@pytest.mark.parametrize(
    "rows", [np.zeros((1, 8)), np.full((1, 8), np.nan), np.zeros((0, 8)), np.ones(8), np.ones((1, 9))]
)
def test_what_isnt_an_embedding_of_the_model_is_refused(gallery: Gallery, rows: Floats) -> None:
    gallery.add("Ada", embeddings(1), **MODEL)
    with pytest.raises(ValueError, match="embedding"):
        gallery.add("Bob", rows.astype(np.float32), **MODEL)
    assert names(gallery) == ["Ada"], "nobody is added halfway"


def test_renaming(gallery: Gallery) -> None:
    gallery.add("Ada", embeddings(2), **MODEL)
    gallery.add("Bob", embeddings(1, seed=1), **MODEL)
    gallery.rename("ada", "Augusta Ada")
    assert names(gallery) == ["Augusta Ada", "Bob"]
    assert gallery.known(**MODEL)[1].count("Augusta Ada") == 2
    gallery.rename("augusta ada", "AUGUSTA ADA")
    with pytest.raises(ConfigError, match="there is a 'Bob' already: merge"):
        gallery.rename("augusta ada", "Bob")
    with pytest.raises(ConfigError, match="nobody called 'Ada'"):
        gallery.rename("Ada", "Adele")


def test_merging(gallery: Gallery) -> None:
    rows = embeddings(3)
    gallery.add("Ada", rows[:2], **MODEL)
    gallery.add("A. Lovelace", rows[1:], **MODEL)
    gallery.merge("A. Lovelace", "ada")
    assert names(gallery) == ["Ada"]
    assert sorted(gallery.known(**MODEL)[0].tolist()) == sorted(rows.tolist()), "the one that both had counts once"
    with pytest.raises(ConfigError, match="are one person already"):
        gallery.merge("Ada", "ADA")
    with pytest.raises(ConfigError, match="nobody called 'Bob'"):
        gallery.merge("Bob", "Ada")


def test_removing_an_unknown_name_removes_nobody(gallery: Gallery) -> None:
    gallery.add("Ada", embeddings(1), **MODEL)
    with pytest.raises(ConfigError, match="nobody called 'Bob'"):
        gallery.remove("Ada", "Bob")
    assert names(gallery) == ["Ada"]


def test_the_version_counts_every_change_of_anybody(gallery: Gallery, path: Path) -> None:
    before = gallery.version()
    assert gallery.version() == before
    with Gallery.open(path) as other:
        other.add("Ada", embeddings(1), **MODEL)
    assert (after := gallery.version()) != before
    gallery.rename("Ada", "Bob")
    assert gallery.version() != after


@pytest.mark.parametrize("how", ["remove", "rename", "merge"])
def test_nothing_is_left_of_who_is_gone(gallery: Gallery, path: Path, how: str) -> None:
    rng = np.random.default_rng(0)
    people = {f"somebody-{number:03d}": embeddings(int(rng.integers(1, 9)), seed=number) for number in range(60)}
    for name, rows in people.items():
        for row in rows:
            gallery.add(name, row[None], **MODEL)
    for name in rng.permutation(list(people))[:20].tolist():
        if how == "remove":
            gallery.remove(name)
        elif how == "rename":
            gallery.rename(name, f"other {int(name[-3:])}")
        else:
            gallery.merge(name, next(other for other in names(gallery) if other != name))
        left = everything_in(path.parent)
        assert name.encode() not in left
        if how == "remove":
            assert not any(row.tobytes() in left for row in people[name])


def test_what_a_reader_kept_from_being_erased_is_erased_later(
    gallery: Gallery, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gallery.add("Ada", embeddings(1), **MODEL)
    gallery._connection.execute("PRAGMA busy_timeout = 1")
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM people").fetchall()
    with caplog.at_level(logging.WARNING):
        gallery.remove("Ada")
    assert "stay beside the file until it is opened next" in caplog.text
    assert names(gallery) == []
    reader.close()
    with Gallery.open(path):
        assert b"Ada" not in everything_in(path.parent)


def test_new_files_are_their_owners_alone(gallery: Gallery, path: Path) -> None:
    gallery.add("Ada", embeddings(1), **MODEL)
    if os.name != "nt":
        assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
        assert path.parent.stat().st_mode & 0o777 == 0o700


def test_looking_makes_no_file(path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no gallery of people"):
        Gallery.open(path, create=False)
    assert not path.parent.exists()


def test_a_deleted_or_restored_file_is_noticed(gallery: Gallery, path: Path) -> None:
    assert not gallery.replaced()
    copy = shutil.copy(path, path.with_suffix(".copy"))
    path.unlink()
    assert gallery.replaced()
    os.replace(copy, path)
    assert gallery.replaced()


def moved(copy: Path, path: Path) -> None:
    os.replace(copy, path)


def written_over(copy: Path, path: Path) -> None:
    shutil.copyfile(copy, path)


def deleted_and_made_anew(copy: Path, path: Path) -> None:
    path.unlink()
    shutil.copyfile(copy, path)


@pytest.mark.parametrize("restored", [moved, written_over, deleted_and_made_anew])
def test_a_restored_file_brings_nobody_back(
    gallery: Gallery, path: Path, restored: Callable[[Path, Path], None]
) -> None:
    """... out of the log of changes, which lies beside it as long as a process has the former one open."""
    copy = path.with_suffix(".copy")
    with Gallery.open(copy) as before:
        before.add("Bob", embeddings(3), **MODEL)
    gallery.add("Ada", embeddings(2, seed=1), **MODEL)
    restored(copy, path)
    assert gallery.replaced()
    with Gallery.open(path) as now:
        assert names(now) == ["Bob"]
        now.add("Cy", embeddings(1, seed=2), **MODEL)
        assert names(now) == ["Bob", "Cy"]


def test_deleting_the_file_alone_forgets_everybody(gallery: Gallery, path: Path) -> None:
    gallery.add("Ada", embeddings(2), **MODEL)
    path.unlink()
    with Gallery.open(path) as now:
        assert names(now) == []


def test_its_own_changes_replace_nothing(gallery: Gallery, path: Path) -> None:
    gallery.add("Ada", embeddings(2), **MODEL)
    gallery.rename("Ada", "Bob")
    gallery.remove("Bob")
    assert not gallery.replaced()


def test_what_is_no_database_is_refused_and_not_touched(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"names of people\n" * 200)
    with pytest.raises(FileFormatError, match="isn't a gallery of people"):
        Gallery.open(path)
    assert path.read_bytes() == b"names of people\n" * 200


def test_damage_is_told_and_nothing_is_thrown_away(path: Path) -> None:
    with Gallery.open(path) as gallery:
        for number in range(40):
            gallery.add(f"person {number}", embeddings(4, seed=number), **MODEL)
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = os.urandom(len(content) - 4096 * 2)
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="is damaged"), Gallery.open(path) as gallery:
        gallery.people()
        gallery.known(**MODEL)
    assert path.read_bytes() == content


def test_an_embedding_cut_short_is_damage(gallery: Gallery) -> None:
    gallery.add("Ada", embeddings(2), **MODEL)
    gallery._connection.execute("UPDATE looks SET vector = x'0000' WHERE id = 2")
    with pytest.raises(FileFormatError, match="another length"):
        gallery.known(**MODEL)


def test_a_full_disk_is_told_and_changes_nothing(gallery: Gallery) -> None:
    gallery.add("Ada", embeddings(1), **MODEL)
    (pages,) = gallery._connection.execute("PRAGMA page_count").fetchone()
    gallery._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OutputError, match="the disk is full"):
        gallery.add("Bob", embeddings(2000), **MODEL)
    assert names(gallery) == ["Ada"]


def test_a_file_that_somebody_else_writes_is_told(gallery: Gallery, path: Path) -> None:
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    gallery._connection.execute("PRAGMA busy_timeout = 1")
    with pytest.raises(OutputError, match="another process is writing"):
        gallery.add("Ada", embeddings(1), **MODEL)
    writer.close()
    gallery.add("Ada", embeddings(1), **MODEL)


def test_a_place_that_cant_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="can't be made"):
        Gallery.open(tmp_path / "file" / "people.db")
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(OutputError, match="can't be opened or written"):
        Gallery.open(tmp_path / "folder.db")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_told(path: Path) -> None:
    Gallery.open(path).close()
    path.parent.chmod(0o500)
    path.chmod(0o400)
    with pytest.raises(OutputError, match="can't be"), Gallery.open(path) as gallery:
        gallery.add("Ada", embeddings(1), **MODEL)

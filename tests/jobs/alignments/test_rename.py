from __future__ import annotations

from pathlib import Path

import pytest

from facestream.io.alignments import Alignments
from facestream.jobs.alignments import rename
from facestream.jobs.alignments.work import Work
from tests.jobs.alignments.build import Heard, agree, contents, extracted, picture, record, silent, survives_every_kill

FRAMES = {"a.jpg": [record(10), record(200)], "b.jpg": [record(30)]}


def scrambled(root: Path) -> Work:
    """As a sort by likeness leaves a folder; one name is another face's."""
    work = Work(extracted(root, FRAMES).path, root / "faces")
    names = {"b_0.png": "000001_b_0.png", "a_1.png": "b_0.png", "a_0.png": "a_1.png"}
    for old, new in names.items():
        (work.needed_faces / old).rename(work.needed_faces / new)
    return work


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return scrambled(tmp_path)


def test_pictures_get_their_own_names_back(work: Work) -> None:
    wanted = Alignments.load(work.alignments).faces_count
    rename.run(work, silent())
    assert agree(work.needed_faces, work.alignments)
    assert len(list(work.needed_faces.iterdir())) == wanted
    assert not list(work.alignments.parent.glob("*_bk_*"))  # the file has nothing to learn


def test_what_only_a_header_knows_goes_into_the_file(tmp_path: Path) -> None:
    path = extracted(tmp_path, FRAMES).path
    richer = record(10, mask=True, identity=True)
    picture(tmp_path / "faces" / "a_0.png", richer, "a.jpg", 0, "a_0.png")
    alignments = Alignments.load(path)
    alignments.frames["a.jpg"].faces[0] = record(10, seed=10_050)  # the same box and landmarks, nothing else
    alignments.save(None)
    rename.run(Work(path, tmp_path / "faces"), silent())
    learned = Alignments.load(path)
    assert learned.faces("a.jpg")[0].to_dict() == richer.to_dict()
    assert learned.faces("a.jpg")[1].mask == {}
    assert agree(tmp_path / "faces", path)


def test_what_the_file_has_already_stays(tmp_path: Path, heard: Heard) -> None:
    path = extracted(tmp_path, {"a.jpg": [record(10, mask=True, identity=True)]}).path
    before = contents(tmp_path)
    rename.run(Work(path, tmp_path / "faces"), heard.session())
    assert heard.told == ["nothing to change"]
    assert contents(tmp_path) == before


def test_a_rehearsal_does_nothing(work: Work, heard: Heard) -> None:
    before = contents(work.alignments.parent)
    rename.run(work, heard.session(dry_run=True))
    assert contents(work.alignments.parent) == before
    assert heard.said == [
        "would rename 000001_b_0.png to b_0.png",
        "would rename a_1.png to a_0.png",
        "would rename b_0.png to a_1.png",
    ]


def test_a_job_killed_anywhere_is_finished_by_running_it_again(tmp_path: Path) -> None:
    assert survives_every_kill(tmp_path, scrambled, lambda work: rename.run(work, silent())) == 5


def test_a_videos_older_names_are_brought_up_to_date(tmp_path: Path) -> None:
    path = extracted(tmp_path, {"clip_000001.mp4": [record(10)]}).path
    picture(tmp_path / "faces" / "clip_000001_0.png", record(10), "clip_000001.png", 0, "clip_000001_0.png", 2.3)
    rename.run(Work(path, tmp_path / "faces"), silent())
    assert agree(tmp_path / "faces", path)

from __future__ import annotations

from pathlib import Path

import pytest

from facestream.errors import AlignmentsError
from facestream.io.alignments import Alignments
from facestream.jobs.alignments import sort
from facestream.jobs.alignments.work import Work
from tests.jobs.alignments.build import (
    STAMP,
    Heard,
    agree,
    contents,
    extracted,
    full_disk,
    picture,
    record,
    silent,
    survives_every_kill,
)

FRAMES = {
    "a.jpg": [record(200), record(10)],
    "b.jpg": [record(30)],
    "c.jpg": [record(90), record(300), record(5)],
    "d.jpg": [],
}


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(extracted(tmp_path, FRAMES).path, tmp_path / "faces")


def test_faces_are_numbered_from_left_to_right_in_file_and_folder(work: Work) -> None:
    sort.run(work, silent())
    alignments = Alignments.load(work.alignments)
    assert [[face.x for face in entry.faces] for entry in alignments.frames.values()] == [
        [10, 200],
        [30],
        [5, 90, 300],
        [],
    ]
    assert agree(work.needed_faces, work.alignments)
    assert work.alignments.with_name(f"alignments_bk_{STAMP}.fsa").exists()


def test_without_a_folder_the_file_alone_is_sorted(work: Work) -> None:
    before = contents(work.needed_faces)
    sort.run(Work(work.alignments), silent())
    assert [face.x for face in Alignments.load(work.alignments).faces("a.jpg")] == [10, 200]
    assert contents(work.needed_faces) == before
    sort.run(work, silent())  # and the folder later
    assert agree(work.needed_faces, work.alignments)


def test_what_is_sorted_isnt_touched(work: Work, heard: Heard) -> None:
    sort.run(work, silent())
    before = {path: path.stat().st_mtime_ns for path in work.alignments.parent.rglob("*")}
    sort.run(work, heard.session())
    assert heard.told == ["nothing to change"]
    assert {path: path.stat().st_mtime_ns for path in work.alignments.parent.rglob("*")} == before


def test_a_rehearsal_says_it_all_and_does_nothing(work: Work, heard: Heard) -> None:
    before = contents(work.alignments.parent)
    sort.run(work, heard.session(dry_run=True))
    assert contents(work.alignments.parent) == before
    assert heard.said == [
        "would order the faces of a.jpg as 1, 0",
        "would order the faces of c.jpg as 2, 0, 1",
        f"would save {work.alignments}, keep the former as alignments_bk_{STAMP}.fsa",
        *(
            f"would set in the header of {old}.png: face_index {new[-1]}, original_filename {new}.png"
            for old, new in (("a_0", "a_1"), ("a_1", "a_0"), ("c_0", "c_1"), ("c_1", "c_2"), ("c_2", "c_0"))
        ),
        *(
            f"would rename {old}.png to {new}.png"
            for old, new in (("a_0", "a_1"), ("a_1", "a_0"), ("c_0", "c_1"), ("c_1", "c_2"), ("c_2", "c_0"))
        ),
    ]


def test_a_job_killed_anywhere_is_finished_by_running_it_again(tmp_path: Path) -> None:
    def make(root: Path) -> Work:
        return Work(extracted(root, FRAMES).path, root / "faces")

    # A backup, the file, five headers, five files stepping aside and on.
    assert survives_every_kill(tmp_path, make, lambda work: sort.run(work, silent())) == 17


@pytest.mark.parametrize("largest", [1000, 9000])  # not even the file; the file, but not the pictures
def test_on_a_full_disk_nothing_is_lost(work: Work, largest: int) -> None:
    with full_disk(largest), pytest.raises(AlignmentsError, match="can't be written: File too large"):
        sort.run(work, silent())
    assert len(list(work.needed_faces.iterdir())) == 6
    sort.run(work, silent())
    assert agree(work.needed_faces, work.alignments)


def test_copies_go_aside_and_strangers_stay(work: Work, heard: Heard) -> None:
    faces = work.needed_faces
    copy = picture(faces / "copy of a_0.png", FRAMES["a.jpg"][0], "a.jpg", 0, "a_0.png")
    stranger = picture(faces / "z_0.png", record(70), "z.jpg", 0, "z_0.png")
    plain = faces / "notes.png"
    plain.write_bytes(b"no picture")
    sort.run(work, heard.session())
    assert not copy.exists()
    assert (faces / "_duplicates" / copy.name).exists()
    assert heard.told[0] == f"{plain}: isn't a PNG; only PNG faces have a header"
    assert heard.told[1] == f"{stranger}: the file has no such face in z.jpg; left alone"
    stranger.unlink()
    plain.unlink()
    assert agree(faces, work.alignments)

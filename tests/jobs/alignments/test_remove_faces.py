from __future__ import annotations

from pathlib import Path

import pytest

from facestream.errors import AlignmentsError
from facestream.io.alignments import Alignments
from facestream.jobs.alignments import remove_faces, sort
from facestream.jobs.alignments.work import Work
from tests.jobs.alignments.build import STAMP, Heard, agree, contents, extracted, record, silent, survives_every_kill

FRAMES = {
    "clip_000001.mp4": [record(10), record(80), record(150), record(220)],
    "clip_000002.mp4": [record(30)],
    "clip_000003.mp4": [record(40), record(90)],
}
DELETED = ("clip_000001_0.png", "clip_000001_2.png", "clip_000002_0.png")


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return made(tmp_path)


def made(root: Path) -> Work:
    work = Work(extracted(root, FRAMES).path, root / "faces")
    for name in DELETED:
        (root / "faces" / name).unlink()
    return work


def boxes(work: Work) -> list[list[int]]:
    return [[face.x for face in entry.faces] for entry in Alignments.load(work.alignments).frames.values()]


def test_faces_without_a_picture_go_and_the_others_move_up(work: Work) -> None:
    remove_faces.run(work, silent())
    assert boxes(work) == [[80, 220], [], [40, 90]]
    assert agree(work.needed_faces, work.alignments)
    backup = Alignments.load(work.alignments.with_name(f"alignments_bk_{STAMP}.fsa"))
    assert backup.faces_count == 7


def test_a_folder_that_was_sorted_under_other_names_gets_its_own_back(work: Work) -> None:
    for number, path in enumerate(sorted(work.needed_faces.iterdir(), reverse=True)):
        path.rename(path.with_name(f"{number:06d}_{path.name}"))
    remove_faces.run(work, silent())
    assert boxes(work) == [[80, 220], [], [40, 90]]
    assert agree(work.needed_faces, work.alignments)


def test_nothing_to_remove_is_nothing_to_do(tmp_path: Path, heard: Heard) -> None:
    path = extracted(tmp_path, FRAMES).path
    before = contents(tmp_path)
    remove_faces.run(Work(path, tmp_path / "faces"), heard.session())
    assert heard.told == ["nothing to change"]
    assert contents(tmp_path) == before


def test_a_folder_of_somebody_else_removes_nothing(work: Work, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    extracted(other, {"z.jpg": [record(1)]})
    before = contents(tmp_path)
    for folder in (other / "faces", tmp_path):  # and an empty one
        with pytest.raises(AlignmentsError, match=r"no picture in .* is of a face in .*; nothing removed"):
            remove_faces.run(Work(work.alignments, folder), silent())
    assert contents(tmp_path) == before


def test_a_picture_that_cant_be_read_doesnt_cost_its_face(work: Work) -> None:
    damaged = work.needed_faces / "clip_000003_1.png"
    damaged.write_bytes(damaged.read_bytes()[:100])
    before = contents(work.alignments.parent)
    with pytest.raises(AlignmentsError, match=r"clip_000003_1\.png: .*its face would be removed"):
        remove_faces.run(work, silent())
    assert contents(work.alignments.parent) == before
    remove_faces.run(work, silent(), skip_unreadable=True)
    assert boxes(work) == [[80, 220], [], [40]]


def test_a_rehearsal_does_nothing(work: Work, heard: Heard) -> None:
    before = contents(work.alignments.parent)
    remove_faces.run(work, heard.session(dry_run=True))
    assert contents(work.alignments.parent) == before
    assert heard.said[:3] == [
        "would remove face 0 of clip_000001.mp4",
        "would remove face 2 of clip_000001.mp4",
        "would remove face 0 of clip_000002.mp4",
    ]
    assert heard.said[-2:] == [
        "would rename clip_000001_1.png to clip_000001_0.png",
        "would rename clip_000001_3.png to clip_000001_1.png",
    ]


def test_a_job_killed_anywhere_is_finished_by_running_it_again(tmp_path: Path) -> None:
    # A backup, the file, two headers, two files of which one is in the other's way.
    assert survives_every_kill(tmp_path, made, lambda work: remove_faces.run(work, silent())) == 7


def test_a_file_that_was_sorted_without_its_folder_loses_the_right_faces(tmp_path: Path) -> None:
    path = extracted(tmp_path, {"a.jpg": [record(300), record(10), record(150)]}).path
    sort.run(Work(path), silent())  # now 10, 150, 300; the headers say otherwise
    (tmp_path / "faces" / "a_0.png").unlink()  # of the face at 300
    remove_faces.run(Work(path, tmp_path / "faces"), silent())
    assert [face.x for face in Alignments.load(path).faces("a.jpg")] == [10, 150]
    assert agree(tmp_path / "faces", path)

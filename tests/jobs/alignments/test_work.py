from __future__ import annotations

from pathlib import Path

import pytest

from facestream.errors import AlignmentsError, ConfigError
from facestream.io.journal import journal_path
from facestream.io.journal_lock import JournalLock
from facestream.jobs.alignments import remove_faces, rename, sort, spatial
from facestream.jobs.alignments.session import Session, run_each
from facestream.jobs.alignments.work import Work, batch_of_works, one_work
from tests.jobs.alignments.build import Heard, extracted, record, silent


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_file_that_isnt_named_lies_beside_the_frames(tmp_path: Path) -> None:
    assert one_work(None, None, tmp_path / "clip.mp4").alignments == tmp_path / "clip_alignments.fsa"
    assert one_work(None, None, tmp_path).alignments == tmp_path / "alignments.fsa"
    assert one_work(Path("mine"), None, tmp_path).alignments == Path("mine.fsa")


def test_also_where_two_videos_share_a_stem(tmp_path: Path) -> None:
    touch(journal_path(tmp_path / "clip.mp4_alignments.fsa"))
    assert one_work(None, None, tmp_path / "clip.mp4").alignments == tmp_path / "clip.mp4_alignments.fsa"
    touch(tmp_path / "clip_alignments.fsa")
    assert one_work(None, None, tmp_path / "clip.mp4").alignments == tmp_path / "clip_alignments.fsa"


def test_a_batch_of_frames_finds_files_and_faces(tmp_path: Path) -> None:
    inputs, files, faces = tmp_path / "in", tmp_path / "files", tmp_path / "faces"
    touch(
        inputs / "drawn_landmarks_2026-03-01_14.05.09.mp4", inputs / "drawn_landmarks_2026-03-01_14.05.09-2" / "1.jpg"
    )
    touch(inputs / "b.mp4", inputs / "a.mkv", inputs / "photos" / "1.jpg", inputs / "empty" / "x.txt", inputs / "x.txt")
    touch(files / "b.fsa", files / "a_alignments.fsa")
    assert batch_of_works(None, None, inputs) == [
        Work(inputs / "a_alignments.fsa", None, inputs / "a.mkv"),
        Work(inputs / "b_alignments.fsa", None, inputs / "b.mp4"),
        Work(inputs / "photos" / "alignments.fsa", None, inputs / "photos"),
    ]
    faces.mkdir()
    assert batch_of_works(files, faces, inputs) == [
        Work(files / "a_alignments.fsa", faces / "a", inputs / "a.mkv"),
        Work(files / "b.fsa", faces / "b", inputs / "b.mp4"),
        Work(files / "photos_alignments.fsa", faces / "photos", inputs / "photos"),
    ]


def test_faces_are_also_found_under_their_sources_name(tmp_path: Path) -> None:
    touch(tmp_path / "my clip.mp4", tmp_path / "faces" / "my-clip" / "1.png")
    assert batch_of_works(None, tmp_path / "faces", tmp_path)[0].faces == tmp_path / "faces" / "my-clip"


def test_a_batch_of_files_leaves_backups_out(tmp_path: Path) -> None:
    touch(tmp_path / "b_alignments.fsa", tmp_path / "a.fsa", tmp_path / "a_bk_2026-03-01_14.05.09.fsa")
    assert batch_of_works(tmp_path, None, None) == [Work(tmp_path / "a.fsa"), Work(tmp_path / "b_alignments.fsa")]
    with_faces = batch_of_works(tmp_path, tmp_path, None)
    assert [work.faces for work in with_faces] == [tmp_path / "a", tmp_path / "b"]


def test_a_batch_of_faces_is_a_work_for_each_folder(tmp_path: Path) -> None:
    touch(tmp_path / "b" / "1.png", tmp_path / "a" / "1.png", tmp_path / "none" / "x.txt")
    assert batch_of_works(None, tmp_path, None) == [Work(None, tmp_path / "a"), Work(None, tmp_path / "b")]


def test_what_isnt_a_batch_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "a.fsa")
    for paths, words in (
        ((tmp_path / "a.fsa", None, None), r"-a .*a\.fsa isn't a folder"),
        ((None, None, tmp_path), "there's no input in"),
        ((None, None, None), "give -a, -c or -r"),
    ):
        with pytest.raises(ConfigError, match=words):
            batch_of_works(*paths)


def test_one_that_fails_doesnt_stop_the_others(heard: Heard) -> None:
    done = []

    def job(work: Work, session: Session) -> None:
        if work.given == Path("b"):
            raise AlignmentsError("b is damaged")
        done.append(work.given)

    with pytest.raises(AlignmentsError, match="1 of 3 inputs failed"):
        run_each([Work(Path(name)) for name in "abc"], job, heard.session())
    assert done == [Path("a"), Path("c")]
    assert heard.told == ["— a", "— b", "failed: b is damaged", "— c"]
    with pytest.raises(AlignmentsError, match="b is damaged"):
        run_each([Work(Path("b"))], job, heard.session())


def test_a_file_that_a_job_is_writing_isnt_changed(tmp_path: Path) -> None:
    path = extracted(tmp_path, {"a.jpg": [record(1)]}).path
    lock = JournalLock(journal_path(path))
    for job in (sort.run, spatial.run, remove_faces.run, rename.run):
        with pytest.raises(AlignmentsError, match=r"alignments\.fsa is being written by a job; wait"):
            job(Work(path, tmp_path / "faces"), silent())
    lock.release()
    sort.run(Work(path), silent())

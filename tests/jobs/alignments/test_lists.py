"""missing-alignments, missing-frames, no-faces and multi-faces."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from facestream.errors import AlignmentsError, ConfigError, SourceFormatError, SourceUnavailable
from facestream.io.alignments import Alignments
from facestream.jobs.alignments import missing_alignments, missing_frames, multi_faces, no_faces, rename
from facestream.jobs.alignments.report import Output
from facestream.jobs.alignments.work import Work, one_work
from facestream.testing.sources import make_clip, make_picture
from tests.jobs.alignments.build import STAMP, Heard, contents, extracted, record, silent


@pytest.fixture
def photos(tmp_path: Path) -> Work:
    """Photos a, b and c in a folder; its file has a (two faces), b (none) and z, which is gone."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        cv2.imwrite(str(folder / name), make_picture(0, (32, 24)))
    extracted(
        tmp_path, {"a.png": [record(10), record(200)], "b.png": [], "z.png": [record(3)]}, "photos/alignments.fsa"
    )
    return one_work(None, None, folder)


@pytest.fixture
def clip(tmp_path: Path) -> Work:
    """A clip of four frames; its file has the first (two faces), the third (none), and a fifth."""
    video = make_clip(tmp_path / "my clip.mp4", frames=4)
    frames = {
        "my clip_000001.mp4": [record(10), record(200)],
        "my clip_000003.mp4": [],
        "my clip_000005.mp4": [record(1)],
    }
    extracted(tmp_path, frames, "my clip_alignments.fsa")
    return one_work(None, None, video)


CONSOLE, FILE, MOVE = Output

LISTS = [
    (missing_alignments, ["c.png"], ["my clip_000002.mp4", "my clip_000004.mp4"]),
    (missing_frames, ["z.png"], ["my clip_000005.mp4"]),
    (no_faces, ["b.png"], ["my clip_000003.mp4"]),
    (multi_faces, ["a.png\t2"], ["my clip_000001.mp4\t2"]),
]
ids = [job.JOB for job, _, _ in LISTS]


@pytest.mark.parametrize(("job", "of_photos", "of_clip"), LISTS, ids=ids)
def test_frames_are_listed(
    job, of_photos: list[str], of_clip: list[str], photos: Work, clip: Work, heard: Heard
) -> None:
    job.run(photos, heard.session(), output=CONSOLE)
    job.run(clip, heard.session(), output=CONSOLE)
    assert heard.said == of_photos + of_clip
    assert heard.told == [f"{job.JOB}: {len(of_photos)}", f"{job.JOB}: {len(of_clip)}"]


@pytest.mark.parametrize(("job", "of_photos", "of_clip"), LISTS, ids=ids)
def test_frames_are_listed_in_a_file(job, of_photos: list[str], of_clip: list[str], clip: Work, heard: Heard) -> None:
    job.run(clip, heard.session(), output=FILE)
    listed = clip.alignments.with_name(f"my clip_alignments_{job.JOB}_{STAMP}.txt")
    assert listed.read_text().splitlines() == of_clip
    assert heard.told == [f"{job.JOB}: {len(of_clip)}, listed in {listed}"]
    assert heard.said == []


@pytest.mark.parametrize(("job", "name"), [(missing_alignments, "c.png"), (no_faces, "b.png"), (multi_faces, "a.png")])
def test_pictures_are_moved_into_a_folder(job, name: str, photos: Work, heard: Heard) -> None:
    folder = photos.needed_frames
    before = contents(folder)
    job.run(photos, heard.session(dry_run=True), output=MOVE)
    assert heard.said == [f"would rename {name} to {job.JOB}_{STAMP}/{name}"]
    assert contents(folder) == before
    job.run(photos, silent(), output=MOVE)
    moved = before.pop(name)
    assert contents(folder) == {**before, f"{job.JOB}_{STAMP}/{name}": moved}


@pytest.mark.parametrize("job", [missing_alignments, no_faces, multi_faces])
def test_a_videos_frames_cant_be_moved(job, clip: Work) -> None:
    with pytest.raises(SourceFormatError, match=r"my clip\.mp4 is a video, .*choose -o console or file"):
        job.run(clip, silent(), output=MOVE)


def test_where_no_frame_is_crowded_that_is_said(clip: Work, heard: Heard) -> None:
    alignments = Alignments.load(clip.alignments)
    alignments.keep_faces({name: {0} for name in alignments.frames})
    alignments.save(None)
    work = Work(clip.alignments, clip.alignments.parent / "faces", clip.frames)
    multi_faces.run(work, heard.session(), output=MOVE)
    assert heard.told == ["no frame has more than one face"]


def test_faces_of_crowded_frames_are_moved_apart_by_their_index(clip: Work, heard: Heard) -> None:
    work = Work(clip.alignments, clip.alignments.parent / "faces", clip.frames)
    multi_faces.run(work, silent(), output=MOVE)
    assert list(contents(work.needed_faces)) == [
        "multi-faces_2026-03-01_14.05.09_0/my clip_000001_0.png",
        "multi-faces_2026-03-01_14.05.09_1/my clip_000001_1.png",
        "my clip_000005_0.png",
    ]


def test_an_empty_list_makes_no_file(photos: Work, heard: Heard) -> None:
    alignments = Alignments.load(photos.alignments)
    del alignments.frames["z.png"]
    alignments.save(None)
    missing_frames.run(photos, heard.session(), output=FILE)
    assert heard.told == ["missing-frames: 0"]
    assert not list(photos.alignments.parent.glob("*.txt"))


def test_a_rehearsal_writes_no_list(photos: Work, heard: Heard) -> None:
    missing_frames.run(photos, heard.session(dry_run=True), output=FILE)
    assert heard.said[0].startswith("would write 1 lines to ")
    assert not list(photos.alignments.parent.glob("*.txt"))


@pytest.mark.parametrize("job", [missing_alignments, missing_frames])
def test_the_file_of_another_input_isnt_compared(job, photos: Work, clip: Work) -> None:
    with pytest.raises(AlignmentsError, match=r"photos/alignments\.fsa knows no frame called like my clip_000001\.mp4"):
        job.run(Work(photos.alignments, None, clip.frames), silent(), output=CONSOLE)
    with pytest.raises(
        AlignmentsError, match=r"my clip_alignments\.fsa knows no frame of .*photos, only such as my clip"
    ):
        job.run(Work(clip.alignments, None, photos.frames), silent(), output=CONSOLE)


def test_a_file_without_frames_misses_all(photos: Work, clip: Work, heard: Heard) -> None:
    for work in (photos, clip):
        Alignments(work.alignments).save(None)
        missing_alignments.run(work, heard.session(), output=CONSOLE)
    assert heard.said == ["a.png", "b.png", "c.png", *(f"my clip_{n:06d}.mp4" for n in range(1, 5))]


def test_the_older_names_of_a_videos_frames_are_known(tmp_path: Path, heard: Heard) -> None:
    video = make_clip(tmp_path / "my clip.mp4", frames=3)
    extracted(tmp_path, {"my-clip_000001.mp4": [], "my-clip_000003.mp4": []}, "safe.fsa")
    extracted(tmp_path, {"my clip_000001.png": [], "my clip_000003.png": []}, "old.fsa")
    for file in ("safe.fsa", "old.fsa"):
        missing_alignments.run(Work(tmp_path / file, None, video), heard.session(), output=CONSOLE)
    assert heard.said == ["my-clip_000002.mp4", "my clip_000002.png"]


def test_what_is_missing_on_the_command_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="-r"):
        missing_frames.run(Work(tmp_path / "a.fsa"), silent(), output=CONSOLE)
    with pytest.raises(ConfigError, match="-c"):
        rename.run(Work(tmp_path / "a.fsa"), silent())
    with pytest.raises(ConfigError, match="-a"):
        no_faces.run(Work(), silent(), output=CONSOLE)


def test_frames_that_cant_be_read_are_named(clip: Work) -> None:
    clip.needed_frames.unlink()
    with pytest.raises(SourceUnavailable, match=r"my clip\.mp4 isn't there; check the path"):
        missing_frames.run(clip, silent(), output=CONSOLE)

"""Nothing of the user's is lost, and folder and alignments agree, whatever lay in the folder before."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from facestream.errors import ConfigError, OutputError, SourceFormatError
from facestream.io.alignments import alignments_beside
from facestream.io.face_folder import FORMER
from facestream.jobs.extract_plan import plan
from facestream.jobs.extract_report import summary
from facestream.jobs.models import ModelOptions
from facestream.testing.plugins import FakeDetector
from tests.jobs.extracting import contents, extract, faces_in, options_for
from tests.jobs.test_extract_job import assert_agreement, clip, photos

ALL = [(10, 10, 60, 60), (60, 10, 110, 60), (10, 60, 60, 110)]


async def extract_all(*inputs: Path, output: Path, **options: Any) -> dict[str, str]:
    """Extract with three faces a frame; returns what the folder holds."""
    await extract(options_for(*inputs, output=output, **options), detector=FakeDetector(ALL))
    return contents(output)


# Pictures of others


async def test_a_users_picture_with_a_faces_name_ends_the_job_before_anything_is_read(tmp_path: Path) -> None:
    folder, faces = photos(tmp_path / "photos", 3), tmp_path / "faces"
    faces.mkdir()
    (faces / "p2_1.png").write_bytes(b"the user's")
    with pytest.raises(OutputError, match=r"p2_1\.png is in the way and isn't a face of p2\.png; choose another"):
        await extract_all(folder, output=faces)
    assert contents(faces).keys() == {"p2_1.png"}
    assert not (folder / "alignments.fsa").exists()


async def test_a_picture_in_the_way_of_a_frame_that_isnt_looked_at_is_in_nobodys_way(tmp_path: Path) -> None:
    folder, faces = photos(tmp_path / "photos", 3), tmp_path / "faces"
    faces.mkdir()
    (faces / "p1_0.png").write_bytes(b"the user's")
    await extract_all(folder, output=faces, extract_every_n=2)
    assert (faces / "p1_0.png").read_bytes() == b"the user's"


@pytest.mark.parametrize("second", ["b/clip.mp4", "a/clip.mov"])
async def test_another_video_of_that_name_doesnt_replace_the_firsts_pictures(tmp_path: Path, second: str) -> None:
    videos = [clip(tmp_path / "a" / "clip.mp4", 3), clip(tmp_path / second, 3, seed=9)]
    before = await extract_all(videos[0], output=tmp_path / "faces")
    with pytest.raises(OutputError, match=r"clip_000001_0\.png \(like 8 more\) is .*; choose another output folder"):
        await extract_all(videos[1], output=tmp_path / "faces")
    assert contents(tmp_path / "faces") == before


async def test_photos_of_the_same_names_in_another_folder_dont_either(tmp_path: Path) -> None:
    before = await extract_all(photos(tmp_path / "a", 2), output=tmp_path / "faces")
    with pytest.raises(OutputError, match=r"p0_0\.png .*is of another p0\.png, or of one that has changed since"):
        await extract_all(photos(tmp_path / "b", 2, seed=5), output=tmp_path / "faces")
    assert contents(tmp_path / "faces") == before


async def test_a_video_that_was_moved_is_the_same_one(tmp_path: Path) -> None:
    video = clip(tmp_path / "a" / "clip.mp4", 3)
    before = await extract_all(video, output=tmp_path / "faces")
    (tmp_path / "b").mkdir()
    assert await extract_all(video.rename(tmp_path / "b" / "clip.mp4"), output=tmp_path / "faces") == before


async def test_pictures_without_landmarks_are_replaced_by_their_own_input_only(tmp_path: Path) -> None:
    boxes = ModelOptions(device="cpu", aligner="none")
    video, faces = clip(tmp_path / "a" / "clip.mp4", 3), tmp_path / "faces"
    before = await extract_all(video, output=faces, models=boxes)
    assert await extract_all(video, output=faces, models=boxes) == before
    with pytest.raises(OutputError, match="is of another clip"):
        await extract_all(clip(tmp_path / "b" / "clip.mp4", 3, seed=9), output=faces, models=boxes)


async def test_a_job_goes_on_though_a_finished_picture_was_edited(tmp_path: Path) -> None:
    folder, faces = photos(tmp_path / "photos", 40), tmp_path / "faces"
    await extract(options_for(folder, output=faces), stop_after=4, detector=FakeDetector(ALL))
    (faces / "p0_0.png").write_bytes(b"edited, and without a header")
    await extract_all(folder, output=faces)
    assert (faces / "p0_0.png").read_bytes() == b"edited, and without a header"
    with pytest.raises(OutputError, match=r"p0_0\.png is in the way"):
        await extract_all(folder, output=faces)


# Alignments of others


async def test_a_second_video_of_one_stem_has_alignments_of_its_own(tmp_path: Path) -> None:
    first, second = clip(tmp_path / "clip.mp4", 3), clip(tmp_path / "clip.mov", 2)
    await extract(options_for(first))
    before = (tmp_path / "clip_alignments.fsa").read_bytes()
    for _ in range(2):
        await extract(options_for(second))
    assert (tmp_path / "clip_alignments.fsa").read_bytes() == before
    assert list(faces_in(tmp_path / "clip.mov_alignments.fsa")) == ["clip_000001.mov", "clip_000002.mov"]
    assert alignments_beside(second) == tmp_path / "clip.mov_alignments.fsa"
    assert alignments_beside(first) == tmp_path / "clip_alignments.fsa"
    again = await extract(options_for(second, skip_existing=True))
    assert again.runs[0].skipped.existing == 2


# Former pictures


async def test_pictures_that_the_new_alignments_dont_have_are_set_aside_and_counted(tmp_path: Path) -> None:
    video, faces = clip(tmp_path / "clip.mp4", 6), tmp_path / "faces"
    await extract_all(video, output=faces)
    (faces / "clip_000002_x.png").write_bytes(b"the user's")
    job = await extract(options_for(video, output=faces, extract_every_n=2), detector=FakeDetector(ALL[:1]))
    (faces / "clip_000002_x.png").unlink()
    assert_agreement(tmp_path / "clip_alignments.fsa", faces)
    assert len(list((faces / FORMER).iterdir())) == job.runs[0].statistics.former == 15
    assert f"15 pictures of a former run that the alignments don't have any more moved to {faces / FORMER}" in summary(
        job.runs, [], [], 1.0
    )


async def test_pictures_that_are_too_small_now_are_set_aside(tmp_path: Path) -> None:
    folder, faces = photos(tmp_path / "photos", 2), tmp_path / "faces"
    before = await extract_all(folder, output=faces)
    after = await extract_all(folder, output=faces, min_scale=200)
    assert {name.removeprefix(f"{FORMER}/") for name in after} == before.keys()
    assert all(name.startswith(FORMER) for name in after)


async def test_a_run_without_alignments_leaves_its_own_pictures_only(tmp_path: Path) -> None:
    video, faces = clip(tmp_path / "clip.mp4", 4), tmp_path / "faces"
    await extract_all(video, output=faces, no_alignments=True)
    await extract_all(video, output=faces, no_alignments=True, extract_every_n=2)
    assert len(list(faces.glob("*.png"))) == len(list((faces / FORMER).iterdir())) == 6


async def test_frames_that_the_alignments_keep_keep_their_pictures(tmp_path: Path) -> None:
    folder, faces = photos(tmp_path / "photos", 4), tmp_path / "faces"
    before = await extract_all(folder, output=faces, extract_every_n=2)
    after = await extract_all(folder, output=faces, skip_existing=True)
    assert before.items() <= after.items()
    known = ModelOptions(device="cpu", detector="file", aligner="file")
    assert await extract_all(folder, output=faces, models=known, extract_every_n=3) == after


async def test_an_interrupted_job_sets_nothing_aside_that_it_hasnt_come_to(tmp_path: Path) -> None:
    folder, faces = photos(tmp_path / "photos", 40), tmp_path / "faces"
    await extract_all(folder, output=faces)
    before = len(list(faces.glob("*.png")))
    options = options_for(folder, output=faces)
    stopped = await extract(options, stop_after=4, detector=FakeDetector(ALL[:2]))
    assert len(list(faces.glob("*.png"))) == before - stopped.runs[0].statistics.frames
    await extract(options, detector=FakeDetector(ALL[:2]))
    assert_agreement(folder / "alignments.fsa", faces)
    assert len(list((faces / FORMER).iterdir())) == 40


# What is read is not written to


def test_pictures_dont_go_where_they_would_be_read(tmp_path: Path) -> None:
    folder = photos(tmp_path / "trip" / "photos", 1)
    for options in (
        options_for(folder, output=folder),
        options_for(folder, output=folder / ".." / "photos"),
        options_for(folder, frames=folder),
        options_for(tmp_path / "trip", output=tmp_path / "trip", batch_mode=True),
    ):
        with pytest.raises(ConfigError, match=r"is read, so (-o|--frames) can't write to it.*; choose another folder"):
            plan(options)
    plan(options_for(folder, output=folder / "faces"))


async def test_batches_pass_over_what_was_made_and_say_so(tmp_path: Path) -> None:
    trip = tmp_path / "trip"
    folder = photos(trip / "photos", 2)
    await extract_all(folder, output=trip / "faces")
    shutil.copytree(folder, trip / "drawn_landmarks_2026-01-01_10.00.00")
    planned = plan(options_for(trip, batch_mode=True))
    assert [item.spec.name for item in planned.inputs] == ["photos"]
    expected = "not looked at, as extracted or drawn faces: drawn_landmarks_2026-01-01_10.00.00, faces"
    assert expected in planned.notes
    shutil.rmtree(folder)
    with pytest.raises(SourceFormatError, match="choose the folder of the originals"):
        plan(options_for(trip, batch_mode=True))


async def test_a_folder_of_extracted_faces_is_read_with_a_warning(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", 2)
    assert not plan(options_for(folder)).notes
    await extract_all(folder, output=tmp_path / "faces")
    assert "holds faces that were extracted already" in plan(options_for(tmp_path / "faces")).notes[0]


# Turned inputs


async def test_an_input_on_its_side_is_told(tmp_path: Path) -> None:
    job = await extract(options_for(photos(tmp_path / "photos")))
    assert not any("--rotate-images" in line for line in summary(job.runs, [], [], 1.0))
    job.runs[0].statistics.rolled = job.runs[0].statistics.faces
    assert "photos: most faces seem to lie on their side or upside down" in "\n".join(summary(job.runs, [], [], 1.0))
    assert not any("--rotate-images" in line for line in summary(job.runs, [], [], 1.0, rotating=True))

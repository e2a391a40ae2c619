from __future__ import annotations

from pathlib import Path

import pytest

from facestream.jobs.extract_job import InputRun, Outcome
from facestream.jobs.extract_plan import plan
from facestream.jobs.extract_report import failure, summary, total
from facestream.stream.device import Bridge
from facestream.stream.stage import Stage
from facestream.testing.plugins import FakeDetector
from facestream.testing.sources import FakeSource
from tests.jobs.extracting import extract, options_for
from tests.jobs.test_extract_job import clip, photos


async def test_the_summary_says_what_was_done_and_what_was_left_out_and_why(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    (folder / "broken.png").write_bytes(b"not a picture")
    job = await extract(options_for(folder, output=tmp_path / "faces", min_scale=90))
    done = job.runs[0].statistics
    lines = summary(job.runs, [], [], 2.0)
    assert lines[0] == f"8 frames, {done.faces} faces in {done.with_faces} of them, 2.0 s (4.0 frames/s)"
    assert lines[1:] == [
        "1 damaged packet or picture skipped",
        f"{done.small} faces without a picture: smaller than --min-scale",
        f"{done.crowded} frames have more than one face",
        f"{done.pictures} pictures written to {tmp_path / 'faces'}",
        f"alignments written to {folder / 'alignments.fsa'}",
    ]


async def test_several_inputs_have_a_line_each_and_failures_are_one_error(tmp_path: Path) -> None:
    inputs = [clip(tmp_path / "clip.mp4", 3), tmp_path / "none.mp4", tmp_path / "nothing.mp4"]
    job = await extract(options_for(*inputs))
    lines = summary(job.runs, [], [], 1.0)
    assert lines[0].startswith("clip: 3 frames, ")
    assert lines[1] == "none: 0 frames, 0 faces in 0 of them (failed)"
    error = failure(job.runs)
    assert str(error).startswith("2 of 3 inputs could not be read; the first: ")
    assert "none.mp4" in str(error)


async def test_frames_skipped_are_counted_once(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", 9)
    await extract(options_for(folder, extract_every_n=4))
    job = await extract(options_for(folder, extract_every_n=2, skip_existing=True))
    lines = summary(job.runs, [], [], 1.0)
    assert lines[0].startswith("2 frames, ")
    assert "3 frames skipped: the alignments have them already" in lines
    assert "4 frames passed over by --extract-every-n" in lines


async def test_the_seconds_of_each_stage_are_told(tmp_path: Path) -> None:
    job = await extract(options_for(photos(tmp_path / "photos", 2)))
    async with Bridge("cpu", cpu_workers=1) as bridge:
        stage = Stage.detect(FakeDetector(), bridge)
        stage.statistics().batches, stage.statistics().infer_seconds = 2, 1.25
        assert summary(job.runs, [stage], [], 1.0)[-1] == "computing: fake-detector 1.2 s"


def test_the_total_counts_what_there_is_to_look_at(tmp_path: Path) -> None:
    planned = plan(options_for(tmp_path / "a.mp4", tmp_path / "b.mp4")).inputs
    done = InputRun(planned[0], outcome=Outcome.DONE, published=70)
    reading = InputRun(planned[1], outcome=Outcome.READING, source=FakeSource(frames=50), published=3)
    reading.expected = 30
    assert total([done, reading]) == 100
    assert total([done, InputRun(planned[1], outcome=Outcome.READING)]) is None


@pytest.mark.parametrize(("every_n", "wanted"), [(1, 9), (4, 3)])
async def test_the_total_of_every_n_th_frame_is_known_from_the_start(tmp_path: Path, every_n: int, wanted: int) -> None:
    totals: list[int | None] = []
    options = options_for(photos(tmp_path / "photos", 9), extract_every_n=every_n)
    await extract(options, progress=lambda run: totals.append(total([run])))
    assert set(totals) == {wanted}


async def test_the_total_leaves_out_what_is_known_already(tmp_path: Path) -> None:
    folder, totals = photos(tmp_path / "photos", 9), list[int | None]()
    await extract(options_for(folder, extract_every_n=4))
    options = options_for(folder, extract_every_n=2, skip_existing=True)
    await extract(options, progress=lambda run: totals.append(total([run])))
    assert set(totals) == {2}


async def test_nothing_new_is_said_so(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", 3)
    await extract(options_for(folder))
    job = await extract(options_for(folder, skip_existing=True))
    assert summary(job.runs, [], [], 1.0)[:2] == [
        "nothing new",
        "3 frames skipped: the alignments have them already",
    ]


async def test_one_frame_and_one_face_are_told_in_the_singular(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", 2)
    (folder / "p1.png").rename(folder / "p1.HEIC")
    job = await extract(options_for(folder))
    lines = summary(job.runs, [], [], 1.0)
    assert lines[0].startswith("1 frame, ")
    assert lines[1] == "1 picture of a kind that isn't read skipped, such as HEIC: convert it to JPEG"


async def test_a_heic_picture_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x24ftypheic")
    job = await extract(options_for(tmp_path / "IMG_1.HEIC"))
    assert str(job.runs[0].error).endswith("IMG_1.HEIC: .heic pictures aren't read; convert it to JPEG or PNG")

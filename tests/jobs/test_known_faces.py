from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from facestream.errors import AlignmentsError, ConfigError
from facestream.io.alignments import Alignments
from facestream.io.alignments_json import write_json
from facestream.io.faces import read_header
from facestream.io.journal import journal_path
from facestream.io.live_recorder import LiveRecorder
from facestream.jobs.extract_plan import plan
from facestream.jobs.models import ModelOptions
from facestream.stream.device import Bridge
from tests.io.test_live_recorder import result
from tests.jobs.extracting import contents, extract, faces_in, options_for
from tests.jobs.test_extract_job import assert_agreement, clip, photos

BOXES = ModelOptions(device="cpu", detector="file")
ALL = ModelOptions(device="cpu", detector="file", aligner="file")
ALL_AND_IDENTITY = ModelOptions(device="cpu", detector="file", aligner="file", identity="fake")


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """Pictures with their alignments."""
    folder = photos(tmp_path / "photos", 40)
    await extract(options_for(folder, output=tmp_path / "first"))
    return folder


async def test_faces_of_a_file_need_no_models_and_change_nothing(tmp_path: Path, folder: Path) -> None:
    before = contents(folder)
    job = await extract(options_for(folder, output=tmp_path / "again", models=ALL))
    assert contents(tmp_path / "again") == contents(tmp_path / "first")
    assert contents(folder) == before
    assert job.runs[0].plan.alignments is None


async def test_boxes_of_a_file_get_new_landmarks(tmp_path: Path, folder: Path) -> None:
    before = Alignments.load(folder / "alignments.fsa")
    job = await extract(options_for(folder, output=tmp_path / "again", models=BOXES))
    after = Alignments.load(folder / "alignments.fsa")
    assert [(face.x, face.w) for _, _, face in after.each_face()] == [(f.x, f.w) for _, _, f in before.each_face()]
    assert job.runs[0].statistics.faces == before.faces_count
    assert_agreement(folder / "alignments.fsa", tmp_path / "again")


async def test_frames_passed_over_keep_their_faces(folder: Path) -> None:
    before = faces_in(folder / "alignments.fsa")
    job = await extract(options_for(folder, models=BOXES, extract_every_n=3))
    assert job.runs[0].statistics.frames == 14
    assert faces_in(folder / "alignments.fsa") == before


async def test_what_a_model_adds_leaves_the_rest_of_a_face_as_it_was(tmp_path: Path, folder: Path) -> None:
    before = Alignments.load(folder / "alignments.fsa")
    for _, _, face in before.each_face():
        face.identity["other"] = np.ones(3)
        face.landmarks_xy[:] += 1e-9  # finer than what the models see
    before.save(None)
    await extract(options_for(folder, output=tmp_path / "again", models=ALL_AND_IDENTITY))
    headers = [read_header(path)["alignments"] for path in (tmp_path / "again").glob("*.png")]
    assert all(header["identity"].keys() == {"other", "fake"} for header in headers)
    after = Alignments.load(folder / "alignments.fsa")
    assert list(after.frames) == list(before.frames)
    for (_, _, old), (_, _, new) in zip(before.each_face(), after.each_face(), strict=True):
        assert old.landmarks_xy.tolist() == new.landmarks_xy.tolist()
        assert new.identity.keys() == {"other", "fake"}


async def test_a_face_that_gives_no_picture_stays(tmp_path: Path, folder: Path) -> None:
    before = Alignments.load(folder / "alignments.fsa")
    name, _, face = next(before.each_face())
    face.landmarks_xy[:] = 7
    before.save(None)
    job = await extract(options_for(folder, output=tmp_path / "again", models=ALL_AND_IDENTITY))
    assert job.runs[0].statistics.unusable == 1
    assert job.runs[0].statistics.pictures == before.faces_count - 1
    after = Alignments.load(folder / "alignments.fsa")
    assert after.faces_count == before.faces_count
    assert (after.faces(name)[0].landmarks_xy == 7).all()


async def test_json_is_imported_before_alignments_are_looked_for(tmp_path: Path, folder: Path) -> None:
    alignments = Alignments.load(folder / "alignments.fsa")
    faces = alignments.faces_count
    write_json(
        folder / "alignments.json", {name: entry for name, entry in alignments.frames.items() if name != "p0.png"}
    )
    missing = len(alignments.faces("p0.png"))
    job = await extract(options_for(folder, models=ALL))
    known = job.runs[0].known
    assert known is not None
    assert known.missing == 1
    assert Alignments.load(folder / "alignments.fsa").faces_count == faces - missing
    assert sum("_bk_" in name for name in contents(folder)) == 1


async def test_detections_of_a_json_file_are_aligned(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", 3)
    (tmp_path / "mine.json").write_text(json.dumps({"p1.png": [{"detected": [10, 10, 60, 60]}]}))
    await extract(options_for(folder, alignments=tmp_path / "mine.json", models=BOXES))
    assert faces_in(tmp_path / "mine.fsa") == {"p0.png": 0, "p1.png": 1, "p2.png": 0}
    with pytest.raises(AlignmentsError, match="no landmarks_2d"):
        await extract(options_for(folder, alignments=tmp_path / "mine.json", models=ALL))


async def test_an_old_files_names_for_a_videos_frames_are_known(tmp_path: Path) -> None:
    video = clip(tmp_path / "clip.mp4", 6)
    await extract(options_for(video))
    path = tmp_path / "clip_alignments.fsa"
    alignments = Alignments.load(path)
    wanted = faces_in(path)
    alignments.frames = {Path(name).stem + ".png": entry for name, entry in alignments.frames.items()}
    alignments.save(None)
    job = await extract(options_for(video, output=tmp_path / "faces", models=ALL))
    assert job.runs[0].statistics.faces == sum(wanted.values())


async def test_a_stopped_job_on_known_faces_goes_on(tmp_path: Path, folder: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    await extract(options_for(folder, models=ALL_AND_IDENTITY))
    await extract(options_for(other, models=ALL_AND_IDENTITY), stop_after=3)
    assert journal_path(other / "alignments.fsa").exists()
    await extract(options_for(other, models=ALL_AND_IDENTITY))
    assert (other / "alignments.fsa").read_bytes() == (folder / "alignments.fsa").read_bytes()


def test_landmarks_from_a_file_bring_their_boxes_along(folder: Path) -> None:
    planned = plan(options_for(folder, output=Path("out"), models=ModelOptions(aligner="file"), skip_existing=True))
    assert planned.options.models.detector == "file"
    assert not planned.options.skip_existing
    assert len(planned.notes) == 3


def test_the_impossible_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(AlignmentsError, match="isn't there; give the file"):
        plan(options_for(photos(tmp_path / "none", 1), models=BOXES))
    with pytest.raises(ConfigError, match="can only be read"):
        plan(options_for(folder, alignments=Path("mine.json")))
    with pytest.raises(ConfigError, match="is a camera"):
        plan(options_for(models=BOXES, inputs=("rtsp://camera/",)))
    with pytest.raises(ConfigError, match="nothing to do"):
        plan(options_for(folder, models=ALL))


async def test_what_the_live_server_records_is_an_input_like_any_other(tmp_path: Path) -> None:
    async with Bridge("cpu", cpu_workers=2) as bridge, LiveRecorder(tmp_path / "save", bridge, frames=True) as recorder:
        for seq in (0, 2, 5):
            await recorder.write(result("door", seq, faces=seq % 3))
    job = await extract(options_for(tmp_path / "save" / "door", output=tmp_path / "again", models=ALL))
    assert job.runs[0].statistics.pictures == 4
    assert job.runs[0].known is not None
    assert job.runs[0].known.missing == 0
    assert list(contents(tmp_path / "save" / "door" / "faces")) == list(contents(tmp_path / "again"))

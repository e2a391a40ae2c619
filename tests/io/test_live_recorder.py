from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from facestream.errors import ConfigError
from facestream.faces.aligned import align
from facestream.io.alignments import Alignments
from facestream.io.faces import read_header
from facestream.io.live_recorder import LiveRecorder
from facestream.stream.device import Bridge
from facestream.stream.types import Frame, FrameFaces, Sink
from facestream.testing.plugins import FACE_68, in_boxes
from facestream.testing.sources import make_picture


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with Bridge("cpu", cpu_workers=2) as bridge:
        yield bridge


def result(source: str, seq: int, *, epoch: int = 0, faces: int = 1, name: str | None = None) -> FrameFaces:
    boxes = np.array([(10 + 60 * index, 10, 60 + 60 * index, 70) for index in range(faces)], np.float32).reshape(-1, 4)
    landmarks = in_boxes(FACE_68, boxes)
    return FrameFaces(
        frame=Frame(source, epoch, seq, seq / 25, 0.0, make_picture(seq, (160, 120)), name),
        boxes=boxes,
        scores=np.ones(faces, np.float32),
        landmarks=landmarks,
        aligned=align(landmarks),
    )


def keys(folder: Path) -> list[str]:
    return list(Alignments.load(folder / "alignments.fsa").frames)


def test_it_is_a_sink(tmp_path: Path) -> None:
    assert isinstance(LiveRecorder(tmp_path, Bridge()), Sink)


async def test_each_source_has_a_folder_that_the_jobs_accept(tmp_path: Path, bridge: Bridge) -> None:
    async with LiveRecorder(tmp_path, bridge, size=64, frames=True) as recorder:
        for seq, faces in ((0, 2), (3, 0), (4, 1)):
            await recorder.write(result("door", seq, faces=faces))
            await recorder.write(result("yard", seq, faces=faces))
    for source in ("door", "yard"):
        names = [f"{source}_00000{number}.jpg" for number in (1, 4, 5)]
        assert keys(tmp_path / source) == names
        assert sorted(path.name for path in (tmp_path / source).glob("*.jpg")) == names
        faces = sorted(os.listdir(tmp_path / source / "faces"))
        assert faces == [f"{source}_000001_0.png", f"{source}_000001_1.png", f"{source}_000005_0.png"]
        header = read_header(tmp_path / source / "faces" / faces[0])["source"]
        assert (header["source_filename"], header["source_is_video"]) == (names[0], False)
        assert cv2.imread(str(tmp_path / source / names[0])).shape == (120, 160, 3)


async def test_a_reconnection_goes_on_in_the_same_files_under_other_names(tmp_path: Path, bridge: Bridge) -> None:
    async with LiveRecorder(tmp_path, bridge, size=64) as recorder:
        for epoch in (0, 2):
            await recorder.write(result("door", 0, epoch=epoch))
    assert keys(tmp_path / "door") == ["door_000001.png", "door-e2_000001.png"]
    assert sorted(os.listdir(tmp_path / "door" / "faces")) == ["door-e2_000001_0.png", "door_000001_0.png"]
    assert read_header(tmp_path / "door" / "faces" / "door_000001_0.png")["source"]["source_is_video"]


async def test_a_source_that_starts_over_gets_a_new_folder_in_this_session_or_the_next(
    tmp_path: Path, bridge: Bridge
) -> None:
    for _ in range(2):
        async with LiveRecorder(tmp_path, bridge, size=64) as recorder:
            await recorder.write(result("door", 5))
            await recorder.write(result("door", 0))
    assert sorted(os.listdir(tmp_path)) == ["door", "door-2", "door-3", "door-4"]
    assert keys(tmp_path / "door-2") == ["door_000001.png"]


async def test_a_source_that_never_ends_gets_a_new_folder_now_and_then(tmp_path: Path, bridge: Bridge) -> None:
    async with LiveRecorder(tmp_path, bridge, size=64, most_frames=2) as recorder:
        for seq in range(3):
            await recorder.write(result("door", seq))
        await recorder.drain()
        assert keys(tmp_path / "door") == ["door_000001.png", "door_000002.png"]
        assert not (tmp_path / "door" / "alignments.fsa.journal").exists()
    assert keys(tmp_path / "door-2") == ["door_000003.png"]


async def test_no_new_folder_is_begun_while_nothing_can_be_written(tmp_path: Path, bridge: Bridge) -> None:
    async with LiveRecorder(tmp_path, bridge, size=64, most_frames=3) as recorder:
        await recorder.write(result("door", 0))
        await recorder.drain()
        os.rename(tmp_path, f"{tmp_path}-elsewhere")
        for seq in range(1, 4):
            await recorder.write(result("door", seq))
            await recorder.drain()
        os.rename(f"{tmp_path}-elsewhere", tmp_path)
        await recorder.write(result("door", 4))
    assert keys(tmp_path / "door") == ["door_000001.png", "door_000005.png"]


async def test_draining_waits_for_what_was_written_before_a_source_started_over(tmp_path: Path, bridge: Bridge) -> None:
    async with LiveRecorder(tmp_path, bridge, size=64) as recorder:
        for seq in (2, 1, 0):
            await recorder.write(result("door", seq, faces=2))
        await recorder.drain()
        frames = [keys(tmp_path / folder) for folder in ("door", "door-2", "door-3")]
    assert frames == [["door_000003.png"], ["door_000002.png"], ["door_000001.png"]]


async def test_a_pictures_own_name_and_the_others_result_are_left_alone(tmp_path: Path, bridge: Bridge) -> None:
    shared = result("photos", 0, faces=2, name="../a.png")
    assert shared.landmarks is not None
    shared.landmarks[0] = np.nan
    async with LiveRecorder(tmp_path, bridge, size=64) as recorder:
        await recorder.write(shared)
    assert keys(tmp_path / "photos") == ["photos_000001.png"]
    assert len(Alignments.load(tmp_path / "photos" / "alignments.fsa").faces("photos_000001.png")) == 1
    assert len(shared) == 2
    assert shared.frame.name == "../a.png"


async def test_what_was_written_is_in_the_journal_after_a_drain_and_the_source_goes_on(
    tmp_path: Path, bridge: Bridge
) -> None:
    async with LiveRecorder(tmp_path, bridge, size=64) as recorder:
        await recorder.write(result("door", 0))
        await recorder.drain()
        assert keys(tmp_path / "door") == ["door_000001.png"]
        await recorder.write(result("door", 1))
    assert keys(tmp_path / "door") == ["door_000001.png", "door_000002.png"]


async def test_frames_that_cant_be_written_are_lost_and_the_stream_goes_on(tmp_path: Path, bridge: Bridge) -> None:
    async with LiveRecorder(tmp_path, bridge, size=64) as recorder:
        await recorder.write(result("door", 0))
        await recorder.drain()
        shutil.rmtree(tmp_path / "door" / "faces")
        await recorder.write(result("door", 1))
        await recorder.drain()
        assert recorder.statistics().failed == 1
        (tmp_path / "door" / "faces").mkdir()
        await recorder.write(result("door", 2))
    assert recorder.statistics().failed == 1
    assert keys(tmp_path / "door") == ["door_000001.png", "door_000003.png"]
    assert os.listdir(tmp_path / "door" / "faces") == ["door_000003_0.png"]


async def test_a_source_whose_folder_cant_be_made_isnt_recorded_and_the_others_are(
    tmp_path: Path, bridge: Bridge, caplog: pytest.LogCaptureFixture
) -> None:
    async with LiveRecorder(tmp_path, bridge, size=64) as recorder:
        await recorder.write(result("yard", 0))
        await recorder.drain()
        os.rename(tmp_path, f"{tmp_path}-elsewhere")
        for seq in range(3):
            await recorder.write(result("door", seq))
        await recorder.drain()
        os.rename(f"{tmp_path}-elsewhere", tmp_path)
        await recorder.write(result("yard", 1))
    assert recorder.statistics().failed == 3
    assert sum("door isn't recorded any more" in message for message in caplog.messages) == 1
    assert keys(tmp_path / "yard") == ["yard_000001.png", "yard_000002.png"]


async def test_an_error_of_the_session_leaves_whole_files(tmp_path: Path, bridge: Bridge) -> None:
    with pytest.raises(ZeroDivisionError):
        async with LiveRecorder(tmp_path, bridge, size=64) as recorder:
            await recorder.write(result("door", 0))
            await recorder.drain()
            raise ZeroDivisionError
    assert keys(tmp_path / "door") == ["door_000001.png"]


async def test_a_folder_that_cant_be_made_is_an_error_at_once(tmp_path: Path, bridge: Bridge) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="choose another folder"):
        async with LiveRecorder(tmp_path / "file", bridge):
            pass

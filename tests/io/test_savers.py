import asyncio
import logging
import os
import resource
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from facestream.errors import ConfigError, FaceHeaderError
from facestream.faces.aligned import align
from facestream.faces.crops import crop, crop_matrices
from facestream.faces.meanface import MEAN_FACE
from facestream.io.faces import read_header
from facestream.io.savers import FaceSaver, FrameSaver
from facestream.stream.device import Bridge
from facestream.stream.types import Floats, Frame, FrameFaces, Sink


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with Bridge("cpu", cpu_workers=2) as bridge:
        yield bridge


def landmarks_at(x: float, y: float, size: float = 60.0) -> Floats:
    jaw = np.stack([np.linspace(-0.1, 1.1, 17), 0.5 + 0.7 * np.sin(np.linspace(0, np.pi, 17))], axis=1)
    return (np.concatenate([jaw, MEAN_FACE]) * size + (x, y)).astype(np.float32)


def faces_of(
    count: int, *, source: str = "door", seq: int = 0, name: str | None = None, aligned: bool = True
) -> FrameFaces:
    image = np.random.default_rng(seq).integers(0, 256, (240, 320, 3), np.uint8)
    corners = np.array([(40 + 60 * face, 50) for face in range(count)], np.float32).reshape(-1, 2)
    landmarks = np.stack([landmarks_at(*corner) for corner in corners]) if count and aligned else None
    return FrameFaces(
        frame=Frame(source, 0, seq, seq / 25, 0.0, image, name),
        boxes=np.concatenate([corners, corners + 60], axis=1),
        scores=np.full(count, 0.9, np.float32),
        landmarks=landmarks,
        aligned=None if landmarks is None else align(landmarks),
    )


@contextmanager
def busy(bridge: Bridge) -> Iterator[threading.Event]:
    """Every CPU worker is held until the event is set, or the block ends."""
    free = threading.Event()
    holding = [asyncio.ensure_future(bridge.cpu(free.wait)) for _ in range(2)]
    try:
        yield free
    finally:
        free.set()
        assert len(holding) == 2


@contextmanager
def full_disk(largest: int = 1000) -> Iterator[None]:
    """No file may grow beyond ``largest`` bytes: the system refuses, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def a_few_turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_savers_are_sinks(tmp_path: Path) -> None:
    assert isinstance(FaceSaver(tmp_path, Bridge()), Sink)
    assert isinstance(FrameSaver(tmp_path, Bridge()), Sink)


async def test_every_face_becomes_a_picture_with_a_header(tmp_path: Path, bridge: Bridge) -> None:
    faces = faces_of(2, name="group.jpg", source="photos")
    async with FaceSaver(tmp_path / "new" / "faces", bridge) as saver:
        await saver.write(faces)
    assert sorted(os.listdir(saver.folder)) == ["group_0.png", "group_1.png"]
    for index in range(2):
        path = saver.folder / f"group_{index}.png"
        source = read_header(path)["source"]
        assert (source["original_filename"], source["face_index"]) == (path.name, index)
        assert faces.aligned is not None
        expected = crop(faces.frame.image, crop_matrices(faces.aligned, 512, "head")[index], 512)
        np.testing.assert_array_equal(cv2.imread(str(path)), expected)


async def test_size_and_centering_are_the_callers(tmp_path: Path, bridge: Bridge) -> None:
    faces = faces_of(1)
    async with FaceSaver(tmp_path, bridge, size=96, centering="legacy") as saver:
        await saver.write(faces)
    assert faces.aligned is not None
    expected = crop(faces.frame.image, crop_matrices(faces.aligned, 96, "legacy")[0], 96)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "door_000001_0.png")), expected)


async def test_landmarks_that_nobody_has_aligned_yet_are_enough(tmp_path: Path, bridge: Bridge) -> None:
    faces = faces_of(1)
    faces.aligned = None
    async with FaceSaver(tmp_path, bridge) as saver:
        await saver.write(faces)
    assert len(read_header(tmp_path / "door_000001_0.png")["alignments"]["landmarks_xy"]) == 68


async def test_a_videos_frame_is_named_with_its_files_suffix(tmp_path: Path, bridge: Bridge) -> None:
    async with FaceSaver(tmp_path, bridge, suffixes={"clip": ".mp4"}) as saver:
        await saver.write(faces_of(1, source="clip", seq=41))
    source = read_header(tmp_path / "clip_000042_0.png")["source"]
    assert (source["source_filename"], source["source_is_video"]) == ("clip_000042.mp4", True)


@pytest.mark.parametrize("landmarks", [None, np.nan, 55.0])
async def test_a_face_without_an_alignment_is_saved_without_a_header(
    tmp_path: Path, bridge: Bridge, landmarks: float | None
) -> None:
    faces = faces_of(1, aligned=False)
    if landmarks is not None:
        faces.landmarks = np.full((1, 68, 2), landmarks, np.float32)
    async with FaceSaver(tmp_path, bridge, size=96) as saver:
        await saver.write(faces)
    path = tmp_path / "door_000001_0.png"
    np.testing.assert_array_equal(cv2.imread(str(path)), faces.frame.image[32:128, 22:118])
    with pytest.raises(FaceHeaderError, match="no faceswap header"):
        read_header(path)


async def test_a_frame_without_faces_writes_nothing(tmp_path: Path, bridge: Bridge) -> None:
    async with FaceSaver(tmp_path, bridge) as saver:
        await saver.write(faces_of(0))
    assert os.listdir(tmp_path) == []


async def test_what_was_written_is_there_after_a_drain(tmp_path: Path, bridge: Bridge) -> None:
    async with FaceSaver(tmp_path, bridge, size=64) as saver:
        for seq in range(5):
            await saver.write(faces_of(3, seq=seq))
        await saver.drain()
        assert len(os.listdir(tmp_path)) == 15
        statistics = saver.statistics()
        assert (statistics.written, statistics.failed) == (15, 0)
        assert statistics.bytes == sum(entry.stat().st_size for entry in os.scandir(tmp_path))


async def test_write_waits_while_too_many_pictures_are_on_their_way(tmp_path: Path, bridge: Bridge) -> None:
    async with FaceSaver(tmp_path, bridge, size=64, max_in_flight=2) as saver:
        with busy(bridge) as free:
            await saver.write(faces_of(2))
            waiting = asyncio.ensure_future(saver.write(faces_of(1, seq=1)))
            await a_few_turns()
            assert not waiting.done()
            free.set()
            await waiting
    assert len(os.listdir(tmp_path)) == 3


async def test_a_cancelled_session_still_finishes_the_pictures_it_took(tmp_path: Path, bridge: Bridge) -> None:
    taken = asyncio.Event()

    async def session() -> None:
        async with FaceSaver(tmp_path, bridge, size=64, max_in_flight=2) as saver:
            await saver.write(faces_of(2))
            taken.set()
            await saver.write(faces_of(2, seq=1))

    with busy(bridge) as free:
        running = asyncio.ensure_future(session())
        await taken.wait()
        await a_few_turns()
        running.cancel()
        await a_few_turns()
        free.set()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert sorted(os.listdir(tmp_path)) == ["door_000001_0.png", "door_000001_1.png"]


async def test_a_session_cancelled_twice_ends_at_once_and_leaves_no_half_picture(
    tmp_path: Path, bridge: Bridge
) -> None:
    taken = asyncio.Event()

    async def session() -> None:
        async with FaceSaver(tmp_path, bridge, size=64) as saver:
            await saver.write(faces_of(2))
            taken.set()
            await asyncio.Event().wait()

    with busy(bridge):
        running = asyncio.ensure_future(session())
        await taken.wait()
        for _ in range(2):
            running.cancel()
            await a_few_turns()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert os.listdir(tmp_path) == []


async def test_an_error_in_the_session_still_finishes_the_pictures(tmp_path: Path, bridge: Bridge) -> None:
    async def session() -> None:
        async with FaceSaver(tmp_path, bridge, size=64) as saver:
            await saver.write(faces_of(3))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await session()
    assert len(os.listdir(tmp_path)) == 3


async def test_a_full_disk_costs_pictures_not_the_stream(
    tmp_path: Path, bridge: Bridge, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "facestream.savers")
    async with FaceSaver(tmp_path, bridge, size=64) as saver:
        await saver.write(faces_of(1, seq=0))
        await saver.drain()
        with full_disk():
            for seq in range(1, 4):
                await saver.write(faces_of(2, seq=seq))
            await saver.drain()
        assert saver.statistics().failed == 6
        assert saver.statistics().last_error == "File too large"
        for seq in range(4, 6):
            await saver.write(faces_of(1, seq=seq))
    assert sorted(os.listdir(tmp_path)) == [f"door_00000{n}_0.png" for n in (1, 5, 6)]
    assert saver.statistics().written == 3
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert "6 lost meanwhile" in caplog.messages[1]


async def test_a_folder_that_goes_away_and_comes_back_is_used_again(tmp_path: Path, bridge: Bridge) -> None:
    folder = tmp_path / "usb"
    async with FaceSaver(folder, bridge, size=64) as saver:
        shutil.rmtree(folder)
        await saver.write(faces_of(1))
        await saver.drain()
        assert saver.statistics().last_error == "No such file or directory"
        folder.mkdir()
        await saver.write(faces_of(1, seq=1))
    assert os.listdir(folder) == ["door_000002_0.png"]


@pytest.mark.parametrize("place", ["file", "file/below"])
async def test_a_folder_that_cannot_be_made_is_an_error_at_once(tmp_path: Path, bridge: Bridge, place: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match=r"can't save to .*file.*; choose another folder"):
        async with FaceSaver(tmp_path / place, bridge):
            pass


async def test_closing_twice_is_closing_and_writing_then_is_a_mistake(tmp_path: Path, bridge: Bridge) -> None:
    saver = FaceSaver(tmp_path, bridge)
    async with saver:
        pass
    await saver.__aexit__(None, None, None)
    with pytest.raises(RuntimeError, match="closed"):
        await saver.write(faces_of(1))


async def test_an_encoders_bug_reaches_the_caller(tmp_path: Path, bridge: Bridge) -> None:
    faces = faces_of(1)
    faces.frame.image = np.zeros((4, 4, 7), np.uint8)
    with pytest.raises((cv2.error, ValueError)):
        async with FaceSaver(tmp_path, bridge) as saver:
            await saver.write(faces)


async def test_inputs_with_the_same_names_never_overwrite_one_another(tmp_path: Path, bridge: Bridge) -> None:
    async with FaceSaver(tmp_path, bridge, size=64) as saver:
        await saver.write(faces_of(1, source="monday", name="a.jpg"))
        await saver.write(faces_of(1, source="tuesday", name="a.jpg"))
        await saver.write(faces_of(1, source="door"))
        await saver.write(faces_of(1, source="door"))
    expected = ["a-2_0.png", "a_0.png", "door-2_000001_0.png", "door_000001_0.png"]
    assert sorted(os.listdir(tmp_path)) == expected
    assert read_header(tmp_path / "a-2_0.png")["source"]["source_filename"] == "a.jpg"


@pytest.mark.parametrize(("keep", "names"), [(False, ["door_000001"]), (True, ["door-2_000001", "door_000001"])])
async def test_a_second_run_replaces_or_keeps_the_first_ones_files(
    tmp_path: Path, bridge: Bridge, keep: bool, names: list[str]
) -> None:
    faces, frames = tmp_path / "faces", tmp_path / "frames"
    for _ in range(2):
        async with (
            FaceSaver(faces, bridge, size=64, keep=keep) as saver,
            FrameSaver(frames, bridge, keep=keep) as other,
        ):
            await saver.write(faces_of(1))
            await other.write(faces_of(1))
    assert sorted(os.listdir(faces)) == [f"{name}_0.png" for name in names]
    assert sorted(os.listdir(frames)) == [f"{name}.jpg" for name in names]


async def test_whole_frames_are_saved_as_png_without_loss(tmp_path: Path, bridge: Bridge) -> None:
    async with FrameSaver(tmp_path, bridge, format="png") as saver:
        for seq in range(3):
            await saver.write(faces_of(seq, seq=seq))
    assert sorted(os.listdir(tmp_path)) == [f"door_00000{n}.png" for n in (1, 2, 3)]
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "door_000003.png")), faces_of(2, seq=2).frame.image)


async def test_jpegs_are_as_good_as_asked(tmp_path: Path, bridge: Bridge) -> None:
    sizes = []
    for quality in (30, 95):
        async with FrameSaver(tmp_path / str(quality), bridge, quality=quality) as saver:
            await saver.write(faces_of(0, name="a.b.png"))
        sizes.append((tmp_path / str(quality) / "a.b.jpg").stat().st_size)
    assert sizes[0] < sizes[1]

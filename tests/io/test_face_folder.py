from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from facestream.errors import OutputError
from facestream.faces.aligned import align
from facestream.io.face_folder import FORMER, holds_faces, is_of, set_aside
from facestream.io.faces import read_header, update_header
from facestream.io.origin import Origin, Origins, fingerprint, read_origin, with_origin
from facestream.io.picture_writer import Losses
from facestream.io.recorder import rolled_faces
from facestream.io.savers import FaceSaver
from facestream.stream.device import Bridge
from facestream.stream.types import Faces
from tests.io.test_savers import faces_of, landmarks_at


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with Bridge("cpu", cpu_workers=2) as bridge:
        yield bridge


async def save(folder: Path, bridge: Bridge, count: int, video: Path | None = None, *, aligned: bool = True) -> int:
    """Save a frame's faces; returns how many former ones were set aside."""
    faces = faces_of(count, name="a.jpg", aligned=aligned)
    async with FaceSaver(folder, bridge, size=64, losses=Losses.RAISE, origins=Origins(video)) as saver:
        for task in (await saver.save(faces, "a", "a.jpg")).values():
            await task
    return saver.former


def test_a_file_keeps_its_fingerprint_wherever_it_lies_and_another_has_another(tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(300_000)
    (tmp_path / "b").mkdir()
    files = {"a": content, "b/a": content, "other": content[:-1] + b"?", "longer": content + b"?"}
    for name, written in files.items():
        (tmp_path / name).write_bytes(written)
    prints = [fingerprint(tmp_path / name) for name in (*files, "none")]
    assert prints[0] == prints[1] != ""
    assert len(set(prints)) == 4
    assert prints[-1] == ""


@pytest.mark.parametrize("aligned", [True, False])
async def test_a_picture_knows_its_frame_with_and_without_a_header(
    tmp_path: Path, bridge: Bridge, aligned: bool
) -> None:
    video = tmp_path / "clip.mp4"
    video.write_bytes(b"a film")
    await save(tmp_path / "faces", bridge, 1, video, aligned=aligned)
    picture = tmp_path / "faces" / "a_0.png"
    assert read_origin(picture) == Origin("a.jpg", fingerprint(video))
    assert cv2.imread(str(picture)).shape == (64, 64, 3)
    if aligned:
        update_header(picture, read_header(picture))
        assert read_origin(picture) == Origin("a.jpg", fingerprint(video))


def test_faceswaps_pictures_know_their_frame_only(tmp_path: Path) -> None:
    png = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    (tmp_path / "plain.png").write_bytes(png)
    assert read_origin(tmp_path / "plain.png") is None
    (tmp_path / "ours.png").write_bytes(with_origin(png, Origin("ä\udcff.mp4", "12")))
    assert read_origin(tmp_path / "ours.png") == Origin("ä\udcff.mp4", "12")
    assert Origin("a.mp4").may_be(Origin("a.mp4", "1"))
    assert not Origin("a.mp4", "2").may_be(Origin("a.mp4", "1"))
    assert not Origin("a.mov").may_be(Origin("a.mp4", "1"))


@pytest.mark.parametrize("count", [1, 2])
async def test_a_users_own_picture_is_never_overwritten_nor_moved(tmp_path: Path, bridge: Bridge, count: int) -> None:
    (tmp_path / "a_1.png").write_bytes(b"the user's")
    if count == 1:  # it isn't in the way
        assert await save(tmp_path, bridge, count) == 0
    else:
        with pytest.raises(OutputError, match=r"a_1\.png is in the way and isn't a face of a\.jpg; choose another"):
            await save(tmp_path, bridge, count)
    assert (tmp_path / "a_1.png").read_bytes() == b"the user's"


async def test_the_sink_without_alignments_overwrites_no_strangers_either(tmp_path: Path, bridge: Bridge) -> None:
    (tmp_path / "a_0.png").write_bytes(b"the user's")
    async with FaceSaver(tmp_path, bridge, size=64) as saver:
        with pytest.raises(OutputError, match=r"a_0\.png is in the way"):
            await saver.write(faces_of(1, name="a.jpg"))
    assert (tmp_path / "a_0.png").read_bytes() == b"the user's"


@pytest.mark.parametrize("aligned", [True, False])
async def test_pictures_of_the_frame_are_replaced_or_set_aside(tmp_path: Path, bridge: Bridge, aligned: bool) -> None:
    await save(tmp_path, bridge, 3, aligned=aligned)
    third = (tmp_path / "a_2.png").read_bytes()
    assert await save(tmp_path, bridge, 2, aligned=aligned) == 1
    assert sorted(os.listdir(tmp_path)) == [FORMER, "a_0.png", "a_1.png"]
    assert (tmp_path / FORMER / "a_2.png").read_bytes() == third


async def test_pictures_of_another_file_of_that_name_stay(tmp_path: Path, bridge: Bridge) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    await save(tmp_path / "faces", bridge, 1, tmp_path / "one")
    await save(tmp_path / "faces", bridge, 1, tmp_path / "one")
    with pytest.raises(OutputError, match=r"a_0\.png is of another a\.jpg, or of one that has changed since"):
        await save(tmp_path / "faces", bridge, 1, tmp_path / "two")
    assert read_origin(tmp_path / "faces" / "a_0.png") == Origin("a.jpg", fingerprint(tmp_path / "one"))


def test_what_a_power_cut_has_left_is_nobodys(tmp_path: Path) -> None:
    for content in (b"", bytes(5000)):
        (tmp_path / "a_0.png").write_bytes(content)
        assert is_of(tmp_path / "a_0.png", Origin("a.jpg"))
    assert is_of(tmp_path / "gone.png", Origin("a.jpg"))


def test_no_former_picture_is_overwritten(tmp_path: Path) -> None:
    for content in (b"1", b"2", b"3"):
        (tmp_path / "a_0.png").write_bytes(content)
        assert set_aside(tmp_path, ["a_0.png", "gone.png"]) == 1
    found = {path.name: path.read_bytes() for path in (tmp_path / FORMER).iterdir()}
    assert found == {"a_0.png": b"1", "a_0-2.png": b"2", "a_0-3.png": b"3"}


async def test_a_folder_of_faces_is_known_by_its_pictures(tmp_path: Path, bridge: Bridge) -> None:
    await save(tmp_path / "faces", bridge, 3)
    assert holds_faces(tmp_path / "faces", os.listdir(tmp_path / "faces"))
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert not holds_faces(tmp_path, ["a.png"])
    assert not holds_faces(tmp_path, ["photo.jpg"])
    assert not holds_faces(tmp_path, [])


@pytest.mark.parametrize(("quarters", "rolled"), [(0, 0), (1, 1), (2, 1), (3, 1)])
def test_faces_on_their_side_are_counted(quarters: int, rolled: int) -> None:
    turned = np.linalg.matrix_power(np.array([[0, 1], [-1, 0]], np.float32), quarters)
    landmarks = (landmarks_at(0, 0) @ turned + 100).astype(np.float32)[None]
    boxes = np.array([[60, 40, 140, 160]], np.float32)
    faces = Faces(boxes=boxes, scores=np.ones(1, np.float32), landmarks=landmarks, aligned=align(landmarks))
    assert rolled_faces(faces) == rolled
    faces.boxes[0, ::2] = 40, 160
    assert rolled_faces(faces) == 1  # the aligner has seen an upright face in one on its side

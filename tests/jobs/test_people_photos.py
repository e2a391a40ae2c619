from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import pytest_asyncio

from facestream.faces.aligned import align
from facestream.faces.crops import crop, crop_matrices
from facestream.io.faces import face_header, with_header
from facestream.jobs.models import FILE, ModelOptions
from facestream.jobs.people_photos import Look, PhotoLooks, Unused
from facestream.stream.device import Bridge
from facestream.stream.stage import Stage
from facestream.stream.types import Floats, Frame, FrameFaces, Image
from facestream.testing.plugins import FACE_68, FakeAligner, FakeDetector, FakeIdentity, in_boxes

MODELS = ModelOptions(identity="sface")
FACES = {0: [], 1: [(10, 10, 50, 60)], 2: [(10, 10, 30, 30), (10, 10, 80, 90)]}


def faces_of(image: Image) -> list[tuple[int, int, int, int]]:
    """As many faces as the darkest pixel says."""
    return FACES[int(image.min())]


class Models:
    """Loads fakes, and counts how often."""

    def __init__(self) -> None:
        self.loaded: list[str] = []

    async def load(self, options: ModelOptions, bridge: Bridge) -> list[Stage]:
        identity = Stage.faces(FakeIdentity(name="sface"), bridge)
        if options.detector == FILE:
            self.loaded.append("identity")
            return [identity]
        self.loaded.append("all")
        return [Stage.detect(FakeDetector(faces_of), bridge), Stage.faces(FakeAligner(), bridge), identity]


@pytest_asyncio.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with Bridge() as bridge:
        yield bridge


def photo(path: Path, faces: int = 1) -> Path:
    cv2.imwrite(str(path), np.full((100, 100, 3), faces, np.uint8))
    return path


def face_picture(path: Path, embedding: Floats | None = None) -> Path:
    boxes = np.array([(100, 100, 200, 210)], np.float32)
    image = np.zeros((480, 640, 3), np.uint8)
    landmarks = in_boxes(FACE_68, boxes)
    faces = FrameFaces(frame=Frame("clip", 0, 4, 0.2, 0.0, image), boxes=boxes, scores=np.ones(1, np.float32))
    faces.landmarks = landmarks
    if embedding is not None:
        faces.identities["sface"] = embedding[None]
    _, png = cv2.imencode(".png", crop(image, crop_matrices(align(landmarks), 64)[0], 64))
    path.write_bytes(with_header(png.tobytes(), face_header(faces, 0, "clip_000005")))
    return path


async def found(reader: PhotoLooks, *names: Path) -> list[Look | Unused]:
    return [result async for result in reader.looks(names)]


async def test_photos_become_embeddings_in_order(bridge: Bridge, tmp_path: Path) -> None:
    paths = [photo(tmp_path / name) for name in ("b.png", "a.jpg")]
    models = Models()
    results = await found(PhotoLooks(MODELS, bridge, load=models.load), *paths)
    assert [result.path for result in results] == paths
    assert all(isinstance(result, Look) and result.embedding.shape == (4,) for result in results)
    assert models.loaded == ["all"], "once for all photos"


async def test_a_folder_is_all_its_pictures_and_none_counts_twice(bridge: Bridge, tmp_path: Path) -> None:
    paths = [photo(tmp_path / f"{number}.png") for number in (2, 10)]
    (tmp_path / "notes.txt").touch()
    results = await found(PhotoLooks(MODELS, bridge, load=Models().load), paths[1], tmp_path)
    assert [result.path.name for result in results] == ["10.png", "2.png"]


async def test_what_an_extracted_face_knows_needs_no_model(bridge: Bridge, tmp_path: Path) -> None:
    known = np.array([1, 2, 3, 4], np.float32)
    models = Models()
    (look,) = await found(PhotoLooks(MODELS, bridge, load=models.load), face_picture(tmp_path / "f.png", known))
    assert isinstance(look, Look)
    assert look.embedding.tolist() == known.tolist()
    assert models.loaded == []


async def test_an_extracted_face_is_not_looked_for_again(bridge: Bridge, tmp_path: Path) -> None:
    models = Models()
    (look,) = await found(PhotoLooks(MODELS, bridge, load=models.load), face_picture(tmp_path / "f.png"))
    assert isinstance(look, Look)
    assert models.loaded == ["identity"]


@pytest.mark.parametrize(("faces", "words"), [(0, "shows no face"), (2, "shows 2 faces; cut out the one")])
async def test_a_photo_of_nobody_in_particular_isnt_used(
    bridge: Bridge, tmp_path: Path, faces: int, words: str
) -> None:
    path = photo(tmp_path / "x.png", faces)
    (result,) = await found(PhotoLooks(MODELS, bridge, load=Models().load), path)
    assert isinstance(result, Unused)
    assert result.reason.startswith(f"{path}: ")
    assert words in result.reason


async def test_the_largest_of_several_faces_can_be_taken(bridge: Bridge, tmp_path: Path) -> None:
    reader = PhotoLooks(MODELS, bridge, largest=True, load=Models().load)
    (look,) = await found(reader, photo(tmp_path / "x.png", 2))
    assert isinstance(look, Look)
    assert look.embedding.tolist() == [10, 10, 80, 90]


async def test_what_cant_be_read_is_one_line_and_not_the_end(bridge: Bridge, tmp_path: Path) -> None:
    broken, empty, good = tmp_path / "broken.jpg", tmp_path / "empty", photo(tmp_path / "good.png")
    broken.write_bytes(b"\xff\xd8 no picture")
    empty.mkdir()
    missing = tmp_path / "missing.jpg"
    results = await found(PhotoLooks(MODELS, bridge, load=Models().load), broken, empty, missing, good)
    assert [type(result) for result in results] == [Unused, Unused, Unused, Look]
    for result, path in zip(results, (broken, empty, missing)):
        assert isinstance(result, Unused)
        assert str(path) in result.reason
        assert "\n" not in result.reason

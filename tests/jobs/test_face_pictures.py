from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from facestream.errors import FaceHeaderError
from facestream.faces.aligned import align
from facestream.faces.crops import crop, crop_matrices
from facestream.faces.extracted import restored
from facestream.io.faces import face_header, with_header
from facestream.jobs.face_pictures import read_face_picture
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline
from facestream.stream.stage import Stage
from facestream.stream.types import Frame, FrameFaces
from facestream.testing.plugins import FACE_68, FakeIdentity, FakeMasker, in_boxes

SIZE = (640, 480)


def clip_frame(faces: int = 1) -> FrameFaces:
    image = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    boxes = np.array([(100 + 120 * i, 100, 200 + 120 * i, 210) for i in range(faces)], np.float32)
    return FrameFaces(
        frame=Frame("clip", 0, 4, 0.2, 0.0, image),
        boxes=boxes,
        scores=np.ones(faces, np.float32),
        landmarks=in_boxes(FACE_68, boxes),
    )


def saved(folder: Path, faces: FrameFaces, index: int) -> Path:
    assert faces.landmarks is not None
    matrix = crop_matrices(align(faces.landmarks), 256)[index]
    _, png = cv2.imencode(".png", crop(faces.frame.image, matrix, 256))
    path = folder / f"clip_000005_{index}.png"
    path.write_bytes(with_header(png.tobytes(), face_header(faces, index, "clip_000005")))
    return path


def test_a_picture_knows_its_face_and_where_it_was(tmp_path: Path) -> None:
    faces = clip_frame(2)
    found = read_face_picture(saved(tmp_path, faces, 1), source="faces", seq=7)
    assert found.key == ("faces", 0, 7)
    assert found.frame.size == (256, 256)
    assert found.frame.extracted is not None
    assert found.frame.extracted.size == SIZE
    assert found.frame.extracted.source["face_index"] == 1
    back = restored(found)
    assert faces.landmarks is not None
    assert back.landmarks is not None
    assert np.abs(back.landmarks[0] - faces.landmarks[1]).max() < 1e-2
    assert back.boxes[0].tolist() == faces.boxes[1].tolist()


async def test_pictures_go_through_masks_and_identities_as_frames_do(tmp_path: Path) -> None:
    faces = clip_frame(3)
    paths = [saved(tmp_path, faces, index) for index in range(3)]
    async with Bridge(torch_threads=1) as bridge:
        pipeline = Pipeline([Stage.faces(FakeMasker(), bridge), Stage.faces(FakeIdentity(), bridge)], bridge)

        async def feed() -> None:
            for seq, path in enumerate(paths):
                await pipeline.put(await bridge.cpu(partial(read_face_picture, path, source="faces", seq=seq)))
            await pipeline.close()

        async with asyncio.TaskGroup() as tasks, pipeline.running() as results:
            tasks.create_task(feed())
            found = [result async for result in results]
    assert [result.frame.name for result in found] == [path.name for path in paths]
    for result in found:
        assert result.aligned is not None
        assert result.masks["fake-masker"].present.all()
        assert np.array_equal(result.identities["fake-identity"], result.boxes)


def test_a_picture_that_fits_its_header_no_more_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path, clip_frame(), 0)
    _, wide = cv2.imencode(".png", np.zeros((10, 20, 3), np.uint8))
    path.write_bytes(with_header(wide.tobytes(), face_header(clip_frame(), 0, "clip_000005")))
    with pytest.raises(FaceHeaderError, match=r"clip_000005_0\.png.*20x10 isn't square"):
        read_face_picture(path, source="faces", seq=0)

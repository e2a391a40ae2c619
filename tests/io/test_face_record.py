from __future__ import annotations

import cv2
import numpy as np
import pytest

from facestream.io.face_record import (
    FaceAlignment,
    FrameEntry,
    StoredMask,
    VideoMeta,
    faces_of,
    records_of,
    thumbnail,
)
from facestream.stream.types import Faces, Masks
from tests.io import alignment_files as files


def found(count: int = 2, size: int = 64) -> Faces:
    random = np.random.default_rng(0)
    matrices = np.tile(np.array([[0.5, 0, 1], [0, 0.5, 2], [0, 0, 1]], np.float32), (count, 1, 1))
    masks = random.integers(0, 256, (count, size, size), np.uint8)
    return Faces(
        boxes=(random.random((count, 4), np.float32) * 100).astype(np.float32),
        scores=np.ones(count, np.float32),
        landmarks=random.random((count, 68, 2), np.float32),
        masks={"custom_face": Masks("face", matrices, masks)},
        identities={"sface": random.random((count, 128), np.float32)},
    )


def test_a_dict_of_faceswaps_survives_with_its_keys_in_order() -> None:
    face = files.face()
    assert FaceAlignment.from_dict(face).to_dict() == face
    assert list(FaceAlignment.from_dict(face).to_dict()) == list(face)
    assert list(FaceAlignment.from_dict(face).to_dict()["mask"]["custom_face"]) == list(face["mask"]["custom_face"])


def test_a_pictures_header_has_no_thumbnail() -> None:
    face = files.face()
    assert "thumb" not in FaceAlignment.from_dict(face).to_dict(thumb=False)
    del face["thumb"]
    assert FaceAlignment.from_dict(face).to_dict(thumb=False) == face


def test_results_become_records_face_by_face() -> None:
    faces = found()
    first, second = records_of(faces, [b"jpeg", None])
    left, top, right, bottom = np.rint(faces.boxes[1]).astype(int).tolist()
    assert (second.x, second.y, second.w, second.h) == (left, top, right - left, bottom - top)
    assert faces.landmarks is not None
    assert np.array_equal(second.landmarks_xy, faces.landmarks[1])
    assert np.array_equal(second.identity["sface"], faces.identities["sface"][1])
    assert np.array_equal(second.mask["custom_face"].pixels(), faces.masks["custom_face"].masks[1])
    assert (first.thumb, second.thumb) == (b"jpeg", None)
    assert FaceAlignment.from_dict(first.to_dict()).to_dict() == first.to_dict()


def test_records_become_boxes_and_landmarks() -> None:
    faces = found()
    faces.boxes = np.rint(faces.boxes)
    back = faces_of(records_of(faces))
    assert np.array_equal(back.boxes, faces.boxes)
    assert back.landmarks is not None
    assert faces.landmarks is not None
    assert np.array_equal(back.landmarks, faces.landmarks)
    assert len(faces_of([])) == 0


@pytest.mark.parametrize("size", [32, 128])
def test_a_mask_is_stored_at_the_size_asked_for_with_its_matrix(size: int) -> None:
    (record, _) = records_of(found(), storage_size=size)
    stored = record.mask["custom_face"]
    assert stored.stored_size == size
    assert stored.pixels().shape == (size, size)
    assert np.allclose(stored.matrix(), [[size / 128, 0, size / 64], [0, size / 128, size / 32], [0, 0, 1]])


@pytest.mark.parametrize(("scale", "interpolator"), [(0.5, cv2.INTER_LINEAR), (2.0, cv2.INTER_AREA)])
def test_a_mask_is_enlarged_linearly_and_shrunk_by_area(scale: float, interpolator: int) -> None:
    faces = found(1)
    faces.masks["custom_face"].matrices[:, :2] *= scale / 0.5
    assert records_of(faces)[0].mask["custom_face"].interpolator == interpolator


def test_no_faces_are_no_records() -> None:
    assert records_of(Faces()) == []


def test_faces_without_landmarks_arent_recorded() -> None:
    faces = found()
    faces.landmarks = None
    with pytest.raises(ValueError, match="run an aligner"):
        records_of(faces)


def test_what_isnt_finite_isnt_recorded() -> None:
    faces = found()
    faces.identities["sface"][0, 3] = np.nan
    assert [list(record.identity) for record in records_of(faces)] == [[], ["sface"]]
    faces.boxes[1, 2] = np.inf
    with pytest.raises(ValueError, match="finite"):
        records_of(faces)


def test_a_masks_bytes_must_be_of_its_size() -> None:
    stored = FaceAlignment.from_dict(files.face()).mask["custom_face"]
    damaged = [(b"rubbish", 16), (stored.mask, 15), (stored.mask, 17), (stored.mask[:20], 16)]
    for mask, size in damaged:
        with pytest.raises(ValueError, match="the mask"):
            StoredMask(mask, stored.affine_matrix, 1, size, "face").pixels()


def test_a_thumbnail_is_a_jpeg_of_96_pixels() -> None:
    for edge in (512, 96, 40):
        decoded = cv2.imdecode(np.frombuffer(thumbnail(np.full((edge, edge, 3), 128, np.uint8)), np.uint8), 1)
        assert decoded.shape == (96, 96, 3)


def test_a_frame_knows_its_place_in_the_video_or_not() -> None:
    assert FrameEntry().to_dict() == {"faces": [], "video_meta": {}}
    assert FrameEntry([], VideoMeta(512, True)).to_dict()["video_meta"] == {"pts_time": 512, "keyframe": True}
    assert FrameEntry.from_dict({"faces": [], "video_meta": {}}).video_meta is None

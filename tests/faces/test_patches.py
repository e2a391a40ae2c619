from __future__ import annotations

import cv2
import numpy as np
import pytest

from facestream.faces.aligned import align
from facestream.faces.crops import RATIOS, crop, crop_matrices
from facestream.faces.extracted import extracted_face
from facestream.faces.patches import cut_patches
from facestream.stream.joining import batch_of
from facestream.stream.types import ExtractBatch, Faces, Floats, Frame, FrameFaces, Image
from facestream.tests.faces.test_extracted import face, known

SIZE = (640, 480)


def photograph() -> Image:
    noise = np.random.default_rng(5).integers(60, 256, (24, 32, 3), np.uint8)
    return np.asarray(cv2.resize(noise, SIZE, interpolation=cv2.INTER_CUBIC), np.uint8)


def of_frame(landmarks: Floats, image: Image) -> ExtractBatch:
    frame = Frame("clip", 0, 0, 0.0, 0.0, image)
    batch = batch_of([FrameFaces(frame=frame, **known(landmarks).face_fields(slice(None)))])
    batch.aligned = align(landmarks)
    return batch


def of_picture(landmarks: Floats, image: Image, size: int = 512) -> ExtractBatch:
    """The same face by way of its extracted picture."""
    cut = crop(image, crop_matrices(align(landmarks), size)[0], size)
    batch = batch_of([extracted_face(Frame("faces", 0, 0, 0.0, 0.0, cut), known(landmarks), SIZE)])
    assert batch.landmarks is not None
    batch.aligned = align(batch.landmarks)
    return batch


def by_the_specification(picture: Image, offsets: dict[str, Floats], centering: str, size: int) -> Image:
    """Spec §4.4, from its own numbers: a square of whole pixels, the edge replicated, resized."""
    edge = len(picture)
    out = int(2 * np.rint(edge * ((1 - 0.625) / (1 - RATIOS[centering])) / 2))
    base = int(2 * np.rint(edge * 0.375 / 2))
    assert (base, {"face": 384, "legacy": 308, "head": 512}[centering]) == (192, out)
    left, top = np.rint((offsets[centering] - offsets["head"])[0] * base + (edge - out) // 2).astype(int)
    wide = np.pad(picture, ((edge, edge), (edge, edge), (0, 0)), mode="edge")
    square = wide[top + edge : top + edge + out, left + edge : left + edge + out]
    return np.asarray(cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


@pytest.mark.parametrize("centering", ["face", "legacy", "head"])
@pytest.mark.parametrize("degrees", [0, 25])
def test_a_patch_of_a_face_picture_is_the_specifications_but_for_its_rounding(centering: str, degrees: float) -> None:
    batch = of_picture(face(degrees=degrees), photograph())
    assert batch.aligned is not None
    wanted = by_the_specification(batch.frames[0].image, batch.aligned.offsets, centering, 256)
    found = cut_patches(batch, 256, centering).pixels[0]
    # Half a pixel of rounding and a quarter between the two ways to count pixels; so many grey levels here:
    slope = np.abs(np.diff(wanted.astype(int), axis=1)).mean()
    assert np.abs(found.astype(int) - wanted).mean() < 0.75 * 2 * slope + 0.5


@pytest.mark.parametrize("centering", ["face", "legacy", "head"])
def test_each_pixel_comes_from_where_the_specification_says(centering: str) -> None:
    batch = of_picture(face(), photograph())
    assert batch.aligned is not None
    matrix = np.linalg.inv(cut_patches(batch, 256, centering).matrices[0].astype(np.float64))
    out = {"face": 384, "legacy": 308, "head": 512}[centering]
    corner = (batch.aligned.offsets[centering] - batch.aligned.offsets["head"])[0] * 192 + (512 - out) // 2
    for x, y in [(0, 0), (255, 0), (100, 200), (255, 255)]:
        wanted = (np.array([x, y]) + 0.5) * out / 256 - 0.5 + np.rint(corner)
        assert np.abs((matrix @ [x, y, 1])[:2] - wanted).max() < 1


def test_a_patch_of_a_picture_looks_like_the_patch_of_its_frame() -> None:
    image, landmarks = photograph(), face()
    direct, again = (
        cut_patches(batch, 256).pixels[0] for batch in (of_frame(landmarks, image), of_picture(landmarks, image))
    )
    assert np.abs(direct.astype(int) - again).mean() < 2


def test_beyond_a_pictures_edge_its_edge_goes_on_and_beyond_a_frames_all_is_black() -> None:
    batch = of_picture(face(), photograph())
    assert batch.aligned is not None
    batch.aligned.offsets["face"] = batch.aligned.offsets["face"] + np.float32([[1.5, 0]])  # far to the right
    patch = cut_patches(batch, 256).pixels[0]
    assert (patch[:, 250:] == patch[:, 255:]).all()
    assert patch[:, 255].any()
    batch.frames[0].extracted = None
    assert not cut_patches(batch, 256).pixels[0][:, 255].any()


@pytest.mark.parametrize("make", [of_frame, of_picture])
def test_where_the_frame_has_ended_is_known_also_of_a_picture(make: object) -> None:
    landmarks = face(x=20, y=240)  # its left half lies outside
    inside = cut_patches(make(landmarks, photograph()), 256).inside[0]
    to_frame = np.linalg.inv(crop_matrices(align(landmarks), 256, "face")[0].astype(np.float64))
    rows, columns = np.mgrid[:256, :256]
    x = (np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ to_frame.T)[..., 0]
    assert (inside[x > 2] == 255).all()
    assert (inside[x < -2] == 0).all()


def test_a_face_well_inside_is_inside_everywhere() -> None:
    assert (cut_patches(of_frame(face(side=100), photograph()), 64).inside == 255).all()


def test_without_faces_there_is_nothing_and_without_landmarks_an_error() -> None:
    frame = Frame("clip", 0, 0, 0.0, 0.0, photograph())
    assert cut_patches(ExtractBatch(frames=[frame]), 64).pixels.shape == (0, 64, 64, 3)
    bare = Faces(boxes=np.zeros((1, 4), np.float32), scores=np.ones(1, np.float32))
    with pytest.raises(ValueError, match="run an aligner"):
        cut_patches(batch_of([FrameFaces(frame=frame, **bare.face_fields(slice(None)))]), 64)

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from facestream.errors import ConfigError
from facestream.faces.mask_view import MaskView
from facestream.jobs.mask.options import Shown
from facestream.jobs.mask.pictures import BORDER, combined, shown, stored_names
from facestream.stream.types import Image
from facestream.testing.plugins import FakeMasker
from tests.jobs.face_folders import EDGE, SIZE, folder_of_faces, folder_of_frames
from tests.jobs.mask.masking import mask, options_for

COUNTS = [1, 0, 2]
FULL_FACE = "components"


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder_of_frames(tmp_path / "frames", COUNTS)
    return tmp_path / "frames"


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    folder_of_faces(tmp_path / "faces", COUNTS)
    return tmp_path / "faces"


def read(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), np.uint8)


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.png"))


def test_a_combined_picture_has_three_parts_in_white() -> None:
    image = np.full((6, 4, 3), (10, 100, 200), np.uint8)
    half = np.zeros((6, 4), np.uint8)
    half[:3] = 255
    beside = combined(image, half)
    assert beside.shape == (6 + 2 * BORDER, 3 * (4 + 2 * BORDER), 3)
    assert (beside[:BORDER] == 255).all()
    assert beside[BORDER, BORDER].tolist() == [10, 100, 200]
    second = 4 + 3 * BORDER
    assert beside[BORDER, second].tolist() == [10, 100, 200]
    assert beside[BORDER + 5, second].tolist() == [0, 0, 0]
    below = combined(image.transpose(1, 0, 2), half.T)
    assert below.shape == (3 * (4 + 2 * BORDER), 6 + 2 * BORDER, 3)


def test_a_masked_picture_keeps_its_colours_and_has_the_mask_as_alpha() -> None:
    image, grey = np.full((4, 4, 3), 9, np.uint8), np.arange(16, dtype=np.uint8).reshape(4, 4)
    masked = shown(image, grey, Shown.MASKED)
    assert (masked[..., :3] == 9).all()
    assert np.array_equal(masked[..., 3], grey)
    assert shown(image, grey, Shown.MASK) is grey


def test_a_maskers_variants_are_found_by_its_name(frames: Path) -> None:
    mask(options_for(frames), FakeMasker(name="bisenet-fp_face"), FakeMasker(name="bisenet-fp_other"))
    from facestream.io.alignments import Alignments

    face = Alignments.load(frames / "alignments.fsa").faces("img00.png")[0]
    assert stored_names(face, "bisenet-fp") == ["bisenet-fp_face"]
    assert stored_names(face, "bisenet-fp_other") == ["bisenet-fp_other"]


def test_faces_of_frames_are_shown_by_the_names_of_the_spec(tmp_path: Path, frames: Path) -> None:
    mask(options_for(frames), FakeMasker(name="bisenet-fp_head"))
    out = tmp_path / "out"
    summary = mask(options_for(frames, processing="output", output=out, masks=("bisenet-fp", FULL_FACE)))
    assert files_in(out) == [
        "bisenet-fp_face_combined/img00_bisenet-fp_head_0.png",
        "bisenet-fp_face_combined/img02_bisenet-fp_head_0.png",
        "bisenet-fp_face_combined/img02_bisenet-fp_head_1.png",
        "components_face_combined/img00_0.png",
        "components_face_combined/img02_0.png",
        "components_face_combined/img02_1.png",
    ]
    assert summary.shown == {out / "bisenet-fp_face_combined": 3, out / "components_face_combined": 3}
    edge = 512 + 2 * BORDER
    assert read(out / "components_face_combined" / "img00_0.png").shape == (edge, 3 * edge, 3)


def test_a_face_picture_is_shown_as_it_is(tmp_path: Path, faces: Path) -> None:
    out = tmp_path / "out"
    options = {"input_type": "faces", "processing": "output", "output": out, "masks": ("components",)}
    mask(options_for(faces, output_type="masked", **options))  # type: ignore[arg-type]
    made = read(out / "components_face_masked" / "img02_1.png")
    assert made.shape == (EDGE, EDGE, 4)
    assert np.array_equal(made[..., :3], read(faces / "img02_1.png"))
    alpha = made[..., 3]
    assert alpha[EDGE // 2, EDGE // 2] == 255
    assert alpha[0, 0] == 0


def test_full_frames_have_the_masks_of_all_faces(tmp_path: Path, frames: Path) -> None:
    out = tmp_path / "out"
    options = {"processing": "output", "output": out, "masks": ("components",), "output_type": "mask"}
    mask(options_for(frames, full_frame=True, **options))  # type: ignore[arg-type]
    assert files_in(out) == ["components_frame_mask/img00.png", "components_frame_mask/img02.png"]
    one, two = (read(out / "components_frame_mask" / f"img{n}.png") for n in ("00", "02"))
    assert one.shape == two.shape == SIZE[::-1]
    assert one[55, 40] == 255  # the middle of the first face's box, of the second's
    assert one[55, 102] == 0
    assert two[55, 42] == two[55, 102] == 255


def test_blur_and_threshold_change_what_is_shown_and_nothing_that_is_stored(tmp_path: Path, frames: Path) -> None:
    options = {"processing": "output", "masks": ("eye",), "output_type": "mask", "full_frame": True}
    before = (frames / "alignments.fsa").read_bytes()
    mask(options_for(frames, output=tmp_path / "hard", threshold=50, **options))  # type: ignore[arg-type]
    mask(options_for(frames, output=tmp_path / "soft", blur_kernel=9, **options))  # type: ignore[arg-type]
    hard, soft = (read(tmp_path / name / "eye_frame_mask" / "img00.png") for name in ("hard", "soft"))
    assert ((soft > 20) & (soft < 235)).sum() > ((hard > 20) & (hard < 235)).sum()
    assert (frames / "alignments.fsa").read_bytes() == before


def test_faces_without_the_mask_are_told(tmp_path: Path, frames: Path) -> None:
    from facestream.io.alignments import Alignments

    mask(options_for(frames), FakeMasker(name="custom_face"))
    file = Alignments.load(frames / "alignments.fsa")
    file.frames["img02.png"].faces[1].mask.clear()
    file.save(None)
    summary = mask(options_for(frames, processing="output", output=tmp_path / "out", masks=("custom",)))
    assert sum(summary.shown.values()) == 2
    assert "1 mask isn't there: img02_1 custom" in summary.lines()
    with pytest.raises(ConfigError, match="has no mask vgg-clear: there is custom_face; make them first"):
        mask(options_for(frames, processing="output", output=tmp_path / "out", masks=("vgg-clear",)))


def test_new_masks_are_shown_where_a_folder_is_given(tmp_path: Path, frames: Path, faces: Path) -> None:
    mask(options_for(frames, output=tmp_path / "frames-out"), FakeMasker())
    assert len(files_in(tmp_path / "frames-out")) == 3
    mask(options_for(faces, input_type="faces", output=tmp_path / "faces-out"), FakeMasker())
    assert len(files_in(tmp_path / "faces-out")) == 3


def test_pictures_that_are_there_are_replaced_only_if_asked(tmp_path: Path, frames: Path) -> None:
    options = {"processing": "output", "output": tmp_path / "out", "masks": ("mouth",)}
    mask(options_for(frames, **options))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="isn't empty; clear it, choose another folder with -o, or give --overwrite"):
        mask(options_for(frames, **options))  # type: ignore[arg-type]
    mask(options_for(frames, overwrite=True, **options))  # type: ignore[arg-type]


def test_a_mask_stored_for_the_face_is_shown_within_the_head() -> None:
    view = MaskView("face", np.eye(3, dtype=np.float32), np.full((8, 8), 255, np.uint8))
    crop = np.array([[1, 0, 2], [0, 1, 3], [0, 0, 1]], np.float32)
    laid = view.in_crop(crop, 16)
    assert laid[3:11, 2:10].min() == 255
    assert laid[:2].max() == laid[:, 11:].max() == 0

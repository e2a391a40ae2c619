from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from facestream.errors import ConfigError
from facestream.io.alignments import Alignments
from facestream.io.face_record import StoredMask
from facestream.io.faces import read_header
from facestream.io.fsa import write_fsa
from facestream.jobs.mask.importing import by_name, by_number
from facestream.jobs.mask.pictures import view_of
from facestream.stream.types import Image
from facestream.testing.sources import make_clip
from tests.jobs.face_folders import EDGE, SIZE, folder_of_faces, folder_of_frames
from tests.jobs.mask.masking import mask, masks_in_file, masks_in_headers, options_for

COUNTS = [1, 0, 2]


def painted(width: int = SIZE[0], height: int = SIZE[1]) -> Image:
    """White but for the right half."""
    image = np.zeros((height, width), np.uint8)
    image[:, : width // 2] = 255
    return image


def save(folder: Path, *names: str, image: Image | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        cv2.imwrite(str(folder / name), painted() if image is None else image)
    return folder


def test_pictures_masks_are_found_by_name() -> None:
    matched = by_name(map(Path, ("a.png", "b.png", "c.png", "d.png", "e.png")), ("a.jpg", "b.png", "b.jpg", "c.1.png"))
    assert {key: str(path) for key, path in matched.masks.items()} == {"a.jpg": "a.png", "b.png": "b.png"}
    assert list(map(str, matched.unmatched)) == ["c.png", "d.png", "e.png"]


def test_videos_masks_are_found_by_the_number_at_their_end() -> None:
    files = [Path(name) for name in ("x_000002.png", "3.png", "mask2.png", "no.png", "0.png", "x_9.png", "1x.png")]
    matched = by_number(files, lambda place: f"clip_{place + 1:06}.mp4", [f"clip_{n:06}.mp4" for n in (1, 2, 3)])
    assert {key: str(path) for key, path in matched.masks.items()} == {
        "clip_000002.mp4": "x_000002.png",
        "clip_000003.mp4": "3.png",
    }
    assert list(map(str, matched.unmatched)) == ["mask2.png", "no.png", "0.png", "x_9.png", "1x.png"]


@pytest.mark.parametrize("size", [SIZE, (80, 60), (320, 240)])
def test_a_frames_mask_becomes_each_of_its_faces(tmp_path: Path, size: tuple[int, int]) -> None:
    file = folder_of_frames(tmp_path / "frames", COUNTS)
    masks = save(tmp_path / "masks", "img00.png", "img02.png", image=painted(*size))
    options = options_for(file.parent, processing="import", mask_path=masks, masks=("custom",), storage_size=256)
    summary = mask(options)
    assert summary.made == {"custom_face": 3}
    assert summary.saved == file
    for name, _, face in Alignments.load(file).each_face():
        stored = face.mask["custom_face"]
        assert (stored.stored_size, stored.stored_centering) == (256, "face")
        laid = view_of(stored).in_frame(SIZE)
        inside = view_of(StoredMask.from_dict(stored.fields() | {"mask": _white()})).in_frame(SIZE) == 255
        difference = np.abs(laid.astype(int) - painted())[inside]
        assert difference.mean() < 3, name  # a pixel aside would be 4


def _white() -> bytes:
    import zlib

    return zlib.compress(b"\xff" * 256**2)


def test_what_finds_no_partner_is_counted_and_named(tmp_path: Path) -> None:
    file = folder_of_frames(tmp_path / "frames", COUNTS)
    masks = save(tmp_path / "masks", "img00.png", "img01.png", "other.png")
    summary = mask(options_for(file.parent, processing="import", mask_path=masks, masks=("custom",), centering="head"))
    assert masks_in_file(file) == {"img00.png": [["custom_head"]], "img01.png": [], "img02.png": [[], []]}
    text = "\n".join(summary.lines())
    assert "1 mask left out: its frame has no face: img01.png" in text
    assert "1 mask belongs to no frame: other.png" in text
    assert "1 frame has no mask among them: img02.png" in text


def test_masks_of_a_video(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=3)
    entries = Alignments.load(folder_of_frames(tmp_path / "stills", COUNTS)).frames.values()
    file = tmp_path / "clip_alignments.fsa"
    write_fsa(file, ((f"clip_{number:06}.mp4", entry) for number, entry in enumerate(entries, 1)))
    masks = save(tmp_path / "masks", "painted3.png")
    mask(options_for(clip, processing="import", mask_path=masks, masks=("custom",)))
    assert masks_in_file(file)["clip_000003.mp4"] == [["custom_face"], ["custom_face"]]
    assert masks_in_file(file)["clip_000001.mp4"] == [[]]


def test_masks_of_face_pictures_go_into_headers_and_file(tmp_path: Path) -> None:
    file = folder_of_frames(tmp_path / "frames", COUNTS)
    folder_of_faces(tmp_path / "faces", COUNTS)
    masks = save(tmp_path / "masks", "img02_1.png", image=painted(EDGE, EDGE))
    options = options_for(
        tmp_path / "faces",
        alignments=file,
        input_type="faces",
        processing="import",
        mask_path=masks,
        masks=("custom",),
    )
    summary = mask(options)
    assert masks_in_headers(tmp_path / "faces")["img02_1.png"] == ["custom_face"]
    assert masks_in_file(file)["img02.png"] == [[], ["custom_face"]]
    assert "2 faces have no mask among them: img00_0.png, img02_0.png" in summary.lines()
    stored = StoredMask.from_dict(
        read_header(tmp_path / "faces" / "img02_1.png")["alignments"]["mask"]["custom_face"]
    ).pixels()
    assert stored[64, 30] == 255  # the face picture's left half
    assert stored[64, 98] == 0


def test_no_mask_that_fits_is_one_line(tmp_path: Path) -> None:
    file = folder_of_frames(tmp_path / "frames", COUNTS)
    masks = save(tmp_path / "masks", "x.png")
    with pytest.raises(ConfigError, match=r"it has such as x\.png, and one of img00\.png is wanted"):
        mask(options_for(file.parent, processing="import", mask_path=masks, masks=("custom",)))


def test_a_mask_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    file = folder_of_frames(tmp_path / "frames", COUNTS)
    masks = save(tmp_path / "masks", "img00.png", "img02.png")
    (masks / "img00.png").write_bytes(b"no picture")
    summary = mask(options_for(file.parent, processing="import", mask_path=masks, masks=("custom",)))
    assert summary.made == {"custom_face": 2}
    assert any(line.startswith("1 file can't be used") for line in summary.lines())

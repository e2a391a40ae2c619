from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from facestream.errors import AlignmentsError, ConfigError, OutputError
from facestream.io.alignments import Alignments
from facestream.io.face_record import StoredMask
from facestream.io.faces import read_header, update_header
from facestream.io.folder_lock import changing
from facestream.stream.types import Image
from facestream.testing.plugins import FakeMasker
from tests.jobs.face_folders import folder_of_faces, folder_of_frames
from tests.jobs.mask.masking import MASK, mask, masks_in_file, masks_in_headers, options_for

KILLS = 8 if os.environ.get("FACESTREAM_FULL") else 1

COUNTS = [1, 2, 3, 1]
FACES = sum(COUNTS)


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    folder_of_faces(tmp_path / "faces", COUNTS)
    return tmp_path / "faces"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return folder_of_frames(tmp_path / "frames", COUNTS)


def pixels_of(folder: Path) -> dict[str, Image]:
    return {path.name: np.asarray(cv2.imread(str(path))) for path in sorted(folder.glob("*.png"))}


def same_pixels(one: dict[str, Image], other: dict[str, Image]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def header_mask(path: Path) -> StoredMask:
    return StoredMask.from_dict(read_header(path)["alignments"]["mask"][MASK])


def test_headers_that_another_job_changes_arent_written(faces: Path) -> None:
    with changing(faces), pytest.raises(OutputError, match="faces are being changed by another job"):
        mask(options_for(faces, input_type="faces"))
    assert not any(masks_in_headers(faces).values())


def test_headers_and_file_get_the_same_masks_and_no_pixel_changes(faces: Path, file: Path) -> None:
    before = pixels_of(faces)
    masker = FakeMasker(batch_size=4)
    summary = mask(options_for(faces, alignments=file, input_type="faces"), masker)
    assert max(masker.batches) > 1
    assert same_pixels(pixels_of(faces), before)
    assert masks_in_headers(faces) == {name: [MASK] for name in before}
    alignments = Alignments.load(file)
    for name, index, face in alignments.each_face():
        stored = header_mask(faces / f"{Path(name).stem}_{index}.png")
        assert stored.mask == face.mask[MASK].mask
        assert np.array_equal(stored.matrix(), face.mask[MASK].matrix())
    assert summary.made == {MASK: FACES}
    assert summary.pictures == FACES
    assert summary.saved == file


def test_without_a_file_only_headers_change(faces: Path) -> None:
    summary = mask(options_for(faces, input_type="faces"))
    assert masks_in_headers(faces)["img00_0.png"] == [MASK]
    assert "no alignments file" in "\n".join(summary.lines())
    assert not list(faces.glob("*.fsa"))


def test_faces_in_sub_folders_need_batch_mode(faces: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no faces itself, its sub-folders do: add -B"):
        mask(options_for(faces.parent, input_type="faces"))


def test_a_file_among_the_faces_is_found(faces: Path, file: Path) -> None:
    file.rename(faces / "alignments.fsa")
    summary = mask(options_for(faces, input_type="faces"))
    assert summary.saved == faces / "alignments.fsa"
    assert not summary.left_out


def test_what_else_a_header_says_stays(faces: Path) -> None:
    path = faces / "img00_0.png"
    header = read_header(path)
    header["alignments"]["identity"]["x"] = [0.1, 1 / 3]
    update_header(path, header)
    chunk = b"\0\0\0\x04tEXtk\0ok" + bytes.fromhex("53d73d56")
    content = path.read_bytes()
    path.write_bytes(content[:33] + chunk + content[33:])
    mask(options_for(faces, input_type="faces"))
    after = read_header(path)
    del after["alignments"]["mask"][MASK]
    assert after == header
    assert chunk in path.read_bytes()


def test_faces_that_the_file_does_not_have_are_skipped_and_told(faces: Path, file: Path) -> None:
    alignments = Alignments.load(file)
    alignments.keep_faces({"img01.png": [0], "img03.png": [0]}, drop=True)
    alignments.save(None)
    summary = mask(options_for(faces, alignments=file, input_type="faces"))
    assert summary.made == {MASK: FACES - 2}
    assert "2 faces skipped: not in the alignments: img01_0.png, img03_0.png" in summary.lines()
    assert masks_in_headers(faces)["img01_0.png"] == []
    assert masks_in_headers(faces)["img01_1.png"] == [MASK]
    assert masks_in_file(file)["img01.png"] == [[MASK]]


def test_missing_masks_are_made_once_and_copied_where_one_side_has_them(faces: Path, file: Path) -> None:
    mask(options_for(faces, alignments=file, input_type="faces"))
    alignments = Alignments.load(file)
    del alignments.frames["img00.png"].faces[0].mask[MASK]  # the header has it
    del alignments.frames["img02.png"].faces[1].mask[MASK]  # nobody has it
    alignments.save(None)
    for name in ("img02_1.png", "img03_0.png"):  # of the second the file has it
        header = read_header(faces / name)
        del header["alignments"]["mask"][MASK]
        update_header(faces / name, header)
    masker = FakeMasker()
    options = options_for(faces, alignments=file, input_type="faces", processing="missing")
    summary = mask(options, masker)
    assert sum(masker.batches) == 1
    assert (summary.made, summary.copied, summary.kept) == ({MASK: 1}, {MASK: 2}, {MASK: FACES - 3})
    assert set(map(str, masks_in_headers(faces).values())) == {str([MASK])}
    assert all(face == [MASK] for frame in masks_in_file(file).values() for face in frame)
    content = {path: path.read_bytes() for path in (*faces.iterdir(), file)}
    again = mask(options)
    assert again.lines() == [f"{MASK}: {FACES} faces had it already"]
    assert {path: path.read_bytes() for path in (*faces.iterdir(), file)} == content


def test_files_that_are_no_faces_are_told_and_no_hindrance(faces: Path) -> None:
    (faces / "img01_0.png").write_bytes(b"nothing")
    summary = mask(options_for(faces, input_type="faces"))
    assert summary.made == {MASK: FACES - 1}
    assert any("1 file left out: no face to be read" in line and "img01_0.png" in line for line in summary.lines())


def test_an_interrupted_job_keeps_what_is_done(faces: Path, file: Path) -> None:
    options = options_for(faces, alignments=file, input_type="faces")
    first = mask(options, FakeMasker(batch_size=1), stop_after=2)
    made = first.made[MASK]
    assert 2 <= made < FACES
    assert sum(face == [MASK] for frame in masks_in_file(file).values() for face in frame) == made
    rest = FakeMasker()
    mask(options_for(faces, alignments=file, input_type="faces", processing="missing"), rest)
    assert sum(rest.batches) == FACES - made


def test_after_kills_every_face_has_its_mask_and_its_pixels(tmp_path: Path) -> None:
    counts = [2, 1, 3, 2, 1, 3, 2, 3, 1, 2]
    faces, file = tmp_path / "faces", folder_of_frames(tmp_path / "frames", counts)
    folder_of_faces(faces, counts)
    before = pixels_of(faces)
    rng = np.random.default_rng(0)
    for _ in range(KILLS):
        command = [sys.executable, "-m", "tests.jobs.mask.masking", str(faces), str(file)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(int(rng.integers(1, 6))):
            process.stdout.readline()  # a face, or nothing when all are done
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert same_pixels(pixels_of(faces), before)
        Alignments.load(file)
    mask(options_for(faces, alignments=file, input_type="faces", processing="missing"))
    assert same_pixels(pixels_of(faces), before)
    for name, index, face in Alignments.load(file).each_face():
        assert list(face.mask) == [MASK]
        assert header_mask(faces / f"{Path(name).stem}_{index}.png").mask == face.mask[MASK].mask
    assert sorted(path.name for path in faces.iterdir()) == sorted(before)


def test_what_cannot_be_done_is_one_line(tmp_path: Path, faces: Path, file: Path) -> None:
    with pytest.raises(ConfigError, match="isn't a folder"):
        mask(options_for(file, input_type="faces"))
    with pytest.raises(ConfigError, match="give -I frames for frames"):
        mask(options_for(file.parent, input_type="faces", alignments=file))
    with pytest.raises(AlignmentsError, match="there's no alignments file"):
        mask(options_for(faces, input_type="faces", alignments=tmp_path / "none.fsa"))
    for name in ("one", "two"):
        (faces / f"{name}_alignments.fsa").write_bytes(file.read_bytes())
    with pytest.raises(ConfigError, match="several alignments files"):
        mask(options_for(faces, input_type="faces"))


def test_a_rehearsal_changes_nothing(faces: Path, file: Path) -> None:
    said: list[str] = []
    mask(options_for(faces, alignments=file, input_type="faces", dry_run=True), said=said)
    assert said == [f"would make {MASK} of {FACES} faces", f"would save {file}"]
    assert not any(masks_in_headers(faces).values())

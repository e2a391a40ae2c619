from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from facestream.errors import FaceHeaderError
from facestream.io.alignments import Alignments
from facestream.io.face_record import StoredMask
from facestream.io.faces import read_header, update_header
from facestream.jobs.mask.storing import SAVE_INTERVAL, ChangingFile, update_picture
from facestream.jobs.mask.summary import Summary
from facestream.stream.device import Bridge
from tests.jobs.face_folders import folder_of_faces, folder_of_frames
from tests.jobs.mask.masking import MASK, NOW, mask, masks_in_file, options_for


@pytest.fixture
def masks(tmp_path: Path) -> Mapping[str, StoredMask]:
    """A face's."""
    file = folder_of_frames(tmp_path / "masked", [1])
    mask(options_for(file.parent))
    return Alignments.load(file).faces("img00.png")[0].mask


def test_a_file_is_saved_now_and_then_and_kept_once_as_it_was(tmp_path: Path, masks: Mapping[str, StoredMask]) -> None:
    path = folder_of_frames(tmp_path / "frames", [1, 1])

    async def change() -> Path | None:
        now = 0.0
        async with Bridge("cpu", torch_threads=1) as bridge:
            file = ChangingFile(Alignments.load(path), bridge, NOW, clock=lambda: now)
            file.put("img00.png", 0, masks)
            await file.save_if_due()
            assert masks_in_file(path)["img00.png"] == [[]]
            now = SAVE_INTERVAL
            await file.save_if_due()
            assert masks_in_file(path)["img00.png"] == [[MASK]]
            file.put("img01.png", 0, masks)
            await file.save()
            await file.save()
        return file.backup

    backup = asyncio.run(change())
    assert masks_in_file(path)["img01.png"] == [[MASK]]
    assert list(path.parent.glob("*_bk_*")) == [backup]
    assert backup is not None
    assert masks_in_file(backup)["img00.png"] == [[]]


def test_a_picture_that_has_gone_is_told(tmp_path: Path, masks: Mapping[str, StoredMask]) -> None:
    with pytest.raises(FaceHeaderError, match="has gone meanwhile"):
        update_picture(tmp_path / "gone.png", masks)


def test_a_damaged_mask_is_made_anew(tmp_path: Path) -> None:
    (path,) = folder_of_faces(tmp_path / "faces", [1])
    mask(options_for(path.parent, input_type="faces"))
    header = read_header(path)
    header["alignments"]["mask"][MASK]["mask"] = b"damaged"
    update_header(path, header)
    assert mask(options_for(path.parent, input_type="faces")).made == {MASK: 1}
    assert StoredMask.from_dict(read_header(path)["alignments"]["mask"][MASK]).pixels().shape == (4, 4)


def test_a_summary_counts_and_names_a_few() -> None:
    summary = Summary()
    for number in range(5):
        summary.leave_out(f"{number}.png", "mask belongs to no frame", "masks belong to no frame")
    summary.made["m"] = 2
    summary.kept["n"] = 1
    assert summary.lines() == [
        "m: 2 masks made",
        "n: 1 face had it already",
        "5 masks belong to no frame: 0.png, 1.png, 2.png, …",
    ]

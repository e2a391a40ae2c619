from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from facestream.errors import FacestreamError
from facestream.jobs.interrupt import INTERRUPTED
from facestream.jobs.mask.command import mask_command
from facestream.jobs.models import ModelOptions
from facestream.stream.device import Bridge
from facestream.stream.stage import Stage
from facestream.testing.plugins import FakeMasker
from tests.jobs.face_folders import folder_of_faces, folder_of_frames
from tests.jobs.mask.masking import masks_in_file, masks_in_headers, options_for

MASK = "custom_face"


class Told(list[str]):
    """What the command says, a line each."""

    def run(self, *args: Any, masker: FakeMasker | None = None, **options: Any) -> int:
        fake = masker or FakeMasker(name=MASK)

        async def load(models: ModelOptions, bridge: Bridge) -> list[Stage]:
            return [Stage.faces(fake, bridge)]

        command = mask_command(options_for(*args, masks=("custom",), **options), self.append, self.append, load=load)
        return asyncio.run(command)


class Interrupting(FakeMasker):
    """Ctrl-C comes while it looks at the first face."""

    def infer(self, feed: Any) -> Any:
        if not self.batches:
            os.kill(os.getpid(), signal.SIGINT)
        return super().infer(feed)


@pytest.fixture
def told() -> Told:
    return Told()


def test_the_summary_tells_what_was_done(tmp_path: Path, told: Told) -> None:
    file = folder_of_frames(tmp_path / "frames", [1, 2])
    assert told.run(file.parent) == 0
    assert told[0].startswith(f"{MASK}: 3 masks made; ")
    assert told[1].startswith(f"saved in {file}; the former file is alignments_bk_")
    quiet = Told()
    assert quiet.run(file.parent, quiet=True) == 0
    assert quiet == []


def test_ctrl_c_ends_it_in_order_and_missing_goes_on(tmp_path: Path, told: Told) -> None:
    file, counts = folder_of_frames(tmp_path / "frames", [1, 2, 1, 2]), [1, 2, 1, 2]
    folder_of_faces(tmp_path / "faces", counts)
    options = {"input_type": "faces", "alignments": file}
    code = told.run(tmp_path / "faces", masker=Interrupting(name=MASK, batch_size=1), **options)
    assert code == INTERRUPTED
    assert told[-1] == "facestream: interrupted; what is done is kept: run it again with -p missing to go on"
    done = sum(bool(masks) for masks in masks_in_headers(tmp_path / "faces").values())
    assert 0 < done < 6
    rest = FakeMasker(name=MASK)
    assert told.run(tmp_path / "faces", masker=rest, processing="missing", **options) == 0
    assert sum(rest.batches) == 6 - done
    assert all(face == [MASK] for faces in masks_in_file(file).values() for face in faces)


def test_in_a_batch_one_that_fails_does_not_keep_the_others_from_being_done(tmp_path: Path, told: Told) -> None:
    files = [folder_of_frames(tmp_path / "inputs" / name, [1, 1]) for name in ("one", "three")]
    folder_of_frames(tmp_path / "inputs" / "two", [1]).unlink()
    with pytest.raises(FacestreamError, match="1 of 3 inputs failed"):
        told.run(tmp_path / "inputs", batch_mode=True, output=tmp_path / "out")
    assert any(line.startswith("failed: there's no alignments file") for line in told)
    for file in files:
        assert masks_in_file(file)["img01.png"] == [[MASK]]
        assert len(list((tmp_path / "out" / file.parent.name / "custom_face_combined").iterdir())) == 2


def test_a_batch_of_folders_of_faces_finds_their_files(tmp_path: Path, told: Told) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for name in ("one", "two"):
        folder_of_faces(tmp_path / "faces" / name, [1, 1])
        folder_of_frames(tmp_path / name, [1, 1]).rename(files / f"{name}_alignments.fsa")
    told.run(tmp_path / "faces", batch_mode=True, alignments=files, input_type="faces")
    for name in ("one", "two"):
        assert masks_in_headers(tmp_path / "faces" / name) == {"img00_0.png": [MASK], "img01_0.png": [MASK]}
        assert masks_in_file(files / f"{name}_alignments.fsa")["img00.png"] == [[MASK]]

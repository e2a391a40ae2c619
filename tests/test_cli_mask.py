from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from facestream.cli import WRONG_USAGE, run
from facestream.cli_mask import mask
from facestream.io.alignments import Alignments
from tests.jobs.face_folders import folder_of_faces, folder_of_frames
from tests.jobs.mask.masking import masks_in_headers


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    return folder_of_frames(tmp_path / "frames", [1, 2]).parent


def test_masks_are_made_and_shown_from_the_command_line(tmp_path: Path, frames: Path) -> None:
    arguments = [str(frames), "-M", "custom", "--mask-fill", "-s", "64", "-o", str(tmp_path / "out"), "-O", "mask"]
    result = CliRunner().invoke(mask, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "custom_face: 3 masks made" in result.stderr
    face = Alignments.load(frames / "alignments.fsa").faces("img01.png")[1]
    assert face.mask["custom_face"].stored_size == 64
    assert face.mask["custom_face"].pixels()[32, 32] == 255
    assert len(list((tmp_path / "out" / "custom_face_mask").glob("*.png"))) == 3


def test_face_pictures_from_the_command_line(tmp_path: Path) -> None:
    folder_of_faces(tmp_path / "faces", [1, 2])
    result = CliRunner().invoke(
        mask, [str(tmp_path / "faces"), "-I", "faces", "-M", "custom", "--quiet"], catch_exceptions=False
    )
    assert result.stderr == ""
    assert set(map(tuple, masks_in_headers(tmp_path / "faces").values())) == {("custom_face",)}


@pytest.mark.parametrize(
    "arguments",
    [
        ("-M", "bisnet-fp"),
        ("-M", "components"),
        ("-M", "custom", "-p", "output"),
        ("-M", "custom", "-p", "import"),
        ("-M", "custom", "-s", "32"),
        ("-M", "custom", "-t", "51"),
        ("-I", "faces", "-M", "custom"),
    ],
)
def test_wrong_usage_is_one_line(frames: Path, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    assert run(["mask", str(frames), *arguments]) == WRONG_USAGE
    assert capfd.readouterr().err.strip()


def test_a_name_that_is_no_masker_is_answered_with_those_there_are(
    frames: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["mask", str(frames), "-M", "bisnet-fp"]) == WRONG_USAGE
    assert "did you mean 'bisenet-fp'" in capfd.readouterr().err

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from facestream.cli_alignments import alignments
from facestream.errors import AlignmentsError
from facestream.io.alignments import Alignments
from facestream.testing.sources import make_clip
from tests.jobs.alignments.build import agree, contents, extracted, record


def job(*arguments: object) -> Any:
    """A job's lines on standard output."""
    result = CliRunner().invoke(alignments, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.stderr
    return result.stdout.splitlines()


def facestream(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "facestream", "alignments", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A clip of five frames, its file beside it and its faces in a folder."""
    frames = {
        "clip_000001.mp4": [record(90, mask=True), record(10)],
        "clip_000002.mp4": [record(20), record(210, identity=True), record(110)],
        "clip_000003.mp4": [],
        "clip_000005.mp4": [record(40)],
    }
    extracted(tmp_path, frames, "clip_alignments.fsa")
    return make_clip(tmp_path / "clip.mp4", frames=5)


def test_jobs_one_after_another_leave_a_folder_and_a_file_that_agree(clip: Path) -> None:
    file, faces = clip.with_name("clip_alignments.fsa"), clip.with_name("faces")
    with_faces = ("-r", clip, "-c", faces)
    assert job("missing-alignments", "-r", clip) == ["clip_000004.mp4"]
    assert job("no-faces", "-r", clip) == ["clip_000003.mp4"]

    job("sort", *with_faces)
    assert job("check", *with_faces) == []
    for number, path in enumerate(sorted(faces.iterdir(), reverse=True)):  # as a sort by likeness renames them
        path.rename(faces / f"{number:04d}.png")
    (faces / "0001.png").unlink()
    (faces / "0005.png").unlink()
    assert len(job("remove-faces", *with_faces, "--dry-run")) > 2
    job("remove-faces", *with_faces)
    assert agree(faces, file)
    assert Alignments.load(file).faces_count == 4

    for path in list(faces.iterdir()):
        path.rename(faces / f"x {path.name}")
    job("rename", *with_faces)
    assert agree(faces, file)

    former = Alignments.load(file)
    job("export", "-a", file)
    file.unlink()
    job("import", file.with_suffix(".json"), "-a", file)  # without masks and identities, which headers have
    assert Alignments.load(file).masks == {}
    job("rename", *with_faces)
    assert (Alignments.load(file).masks, Alignments.load(file).identities) == (former.masks, former.identities)

    file.unlink()
    job("from-faces", "-c", faces, "-a", clip.parent)
    assert agree(faces, file)
    assert job("check", *with_faces) == []
    job("spatial", "-r", clip)
    assert job("check", *with_faces) == []  # smoothed landmarks don't part a picture from its face
    job("draw", "-r", clip)
    assert len(list(clip.parent.glob("drawn_landmarks_*/*.jpg"))) == 5


CHANGING = [
    ("sort",),
    ("remove-faces",),
    ("rename",),
    ("spatial",),
    ("from-faces",),
    ("export",),
    ("missing-frames", "-o", "file"),
    ("multi-faces", "-o", "move"),
]


@pytest.mark.parametrize("arguments", CHANGING, ids=[arguments[0] for arguments in CHANGING])
def test_a_rehearsal_of_any_job_changes_nothing(clip: Path, arguments: tuple[str, ...]) -> None:
    faces = clip.with_name("faces")
    (faces / "clip_000002_1.png").rename(faces / "other.png")
    (faces / "clip_000001_1.png").unlink()
    takes_faces = arguments[0] in ("sort", "remove-faces", "rename", "multi-faces", "from-faces")
    options = [*(("-r", clip) if arguments[0] != "from-faces" else ()), *(("-c", faces) if takes_faces else ())]
    before = contents(clip.parent)
    assert job(*arguments, *options, "--dry-run") or arguments[0] == "missing-frames"
    assert contents(clip.parent) == before
    job(*arguments, *options)
    if arguments[0] != "missing-frames":
        assert contents(clip.parent) != before


def test_check_tells_each_disagreement(clip: Path) -> None:
    faces = clip.with_name("faces")
    (faces / "clip_000005_0.png").rename(faces / "x.png")
    job("sort", "-r", clip)
    result = CliRunner().invoke(alignments, ["check", "-r", str(clip), "-c", str(faces)])
    assert isinstance(result.exception, AlignmentsError)
    assert "disagree in 9 places" in str(result.exception)
    assert "clip_000001_0.png: its header should say face_index 1, original_filename clip_000001_1.png" in result.stdout
    assert "x.png: should be called clip_000005_0.png" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["sort"], 2, "give it with -a"),
        (
            ["sort", "-a", "/no/such.fsa"],
            1,
            "there's no alignments file /no/such.fsa; run `facestream extract` on the frames first",
        ),
        (["sort", "-a", "/"], 2, "/ is a folder; name the alignments file"),
        (["remove-faces", "-a", "x.fsa"], 2, "give the folder of face pictures with -c"),
        (["remove-faces", "-a", "x.fsa", "-c", "/no/such"], 2, "'/no/such' does not exist"),
        (["missing-frames", "-a", "x.fsa", "-o", "move"], 2, "'move' is not one of 'console', 'file'"),
        (["no-faces", "-B"], 2, "give -a, -c or -r"),
        (["from-faces", "-B", "-c", "/", "-a", "x"], 2, "leave -a and -r out"),
        (["export", "-B", "-a", "/", "--json", "x"], 2, "--json names one file"),
        (["fix"], 2, "No such command 'fix'"),
    ],
)
def test_bad_input_is_one_line_that_names_it(arguments: list[str], code: int, words: str) -> None:
    result = facestream(*arguments)
    assert result.returncode == code, result.stderr
    assert words in result.stderr.strip().splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_in_a_batch_one_damaged_file_doesnt_stop_the_others(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        extracted(tmp_path, {f"{name}_000001.mp4": [record(200), record(10)]}, f"{name}_alignments.fsa")
    (tmp_path / "b_alignments.fsa").write_bytes(b"damaged")
    result = facestream("sort", "-B", "-a", tmp_path)
    assert result.returncode == 1
    assert "b_alignments.fsa isn't an alignments file" in result.stderr
    assert result.stderr.splitlines()[-1] == "facestream: 1 of 3 inputs failed; the lines above say why"
    for name in ("a", "c"):
        sorted_faces = Alignments.load(tmp_path / f"{name}_alignments.fsa").faces(f"{name}_000001.mp4")
        assert [face.x for face in sorted_faces] == [10, 200]
    assert (tmp_path / "b_alignments.fsa").read_bytes() == b"damaged"


def test_results_go_to_standard_output_and_words_to_standard_error(clip: Path) -> None:
    result = facestream("multi-faces", "-r", clip)
    assert result.stdout == "clip_000001.mp4\t2\nclip_000002.mp4\t3\n"
    assert result.stderr == "multi-faces: 2\n"
    assert result.returncode == 0

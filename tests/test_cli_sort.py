"""The command itself, and real processes that are interrupted and killed while they sort."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
from click.testing import CliRunner

from facestream.cli_sort import GROUPS, SORTS, sort
from facestream.errors import FacestreamError, SourceError
from facestream.io.faces import read_header
from facestream.jobs.sort.embedding import Embedder
from facestream.jobs.sort.methods import METHODS
from facestream.jobs.sort.record import NAME, read_record
from facestream.plugins.catalogue import pull
from tests.jobs.sort.build import contents, face, people, pixels, tree

FULL = os.environ.get("FACESTREAM_FULL") == "1"


def run(*arguments: object) -> Any:
    result = CliRunner().invoke(sort, [str(argument) for argument in arguments], standalone_mode=False)
    if result.exception is not None and not isinstance(result.exception, (FacestreamError, SystemExit)):
        raise result.exception
    return result


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    return people(tmp_path / "faces", [2, 4, 1])


def test_the_choices_are_the_methods() -> None:
    assert set(SORTS) == set(METHODS)
    assert {name for name in SORTS if METHODS[name].groups} | {"none"} == set(GROUPS)


def test_by_default_faces_are_sorted_by_face(faces: Path) -> None:
    result = run(faces)
    assert (result.return_value, result.stderr) == (0, f"7 faces sorted in {faces} by face\n")
    assert (faces / NAME).exists()
    assert not (faces / "contact_sheet.html").exists()


def test_groups_come_with_a_page_and_a_summary(faces: Path) -> None:
    result = run(faces, "-g", "face", "-s", "none")
    assert result.stderr.splitlines() == [
        f"7 faces sorted in {faces} by face",
        "3 groups of 4, 2, 1 faces",
        f"look at them in {faces / 'contact_sheet.html'}",
    ]
    run(faces, "-s", "blur")
    assert not (faces / "contact_sheet.html").exists()


@pytest.mark.parametrize(("options", "words"), [((), "by blur"), (("-s", "yaw"), "by blur by yaw")])
def test_faces_that_are_grouped_by_something_else_arent_recognised(
    tmp_path: Path, options: tuple[str, ...], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Embedder, "embeddings", None)
    for number in range(4):
        face(tmp_path / f"{number}.png", image=pixels(60 * number + 40))
    before = contents(tmp_path)
    assert words in run(tmp_path, "-g", "blur", "--no-sheet", *options).stderr
    assert contents(tmp_path) == before


def test_kept_faces_go_to_a_folder_called_sorted(faces: Path) -> None:
    before = tree(faces)
    run(faces, "-k", "-g", "face", "--no-sheet")
    assert contents(faces / "sorted") == sorted(before.values())
    assert tree(faces).items() >= before.items()


def test_changes_are_logged(faces: Path, tmp_path: Path) -> None:
    run(faces, "-s", "blur", "-l")
    moves = json.loads((faces / "sort_log.json").read_text())
    assert {Path(source).name: Path(target).name[7:] for source, target in moves.items()} == {
        name: name
        for name in (f"{photo}_{person}.png" for person, count in enumerate([2, 4, 1]) for photo in range(count))
    }
    assert all(Path(target).is_file() for target in moves.values())
    run(faces, "-g", "yaw", "-f", tmp_path / "log.yaml", "-q")
    assert len(json.loads((tmp_path / "log.yaml").read_text())) == 7


def test_in_batch_mode_each_folder_is_sorted_by_itself(tmp_path: Path) -> None:
    for name in ("a", "b"):
        people(tmp_path / "in" / name, [2, 1])
    (tmp_path / "in" / "b" / NAME).write_text("damaged")
    result = run(tmp_path / "in", "-B", "-s", "blur")
    assert isinstance(result.exception, FacestreamError)
    assert str(result.exception) == "1 of 2 folders failed; the lines above say why"
    assert sorted(tree(tmp_path / "in" / "a"))[0].startswith("000000_")
    (tmp_path / "in" / "b" / NAME).unlink()
    run(tmp_path / "in", "-B", "-s", "blur", "-o", tmp_path / "out", "-k")
    assert len(tree(tmp_path / "out" / "b")) == 3


def test_undo(faces: Path) -> None:
    before = tree(faces)
    run(faces, "-g", "face")
    result = run(faces, "--undo")
    assert result.stderr == "7 faces back at their places\n"
    assert tree(faces) == before
    assert sorted(os.listdir(faces)) == sorted(before)


def test_what_is_left_is_named(faces: Path) -> None:
    for number in range(7):
        (faces / f"plain{number}.png").write_bytes(b"")
    (faces / "z.jpg").write_bytes(b"")
    result = run(faces, "-s", "blur")
    assert (
        "8 left where they were, each can't be read: it is damaged or no picture: "
        "plain0.png, plain1.png, plain2.png, plain3.png, plain4.png and 3 more" in result.stderr
    )


def test_links_are_left_alone_and_told(faces: Path, tmp_path: Path) -> None:
    target = face(tmp_path / "elsewhere.png")
    (faces / "link.png").symlink_to(target)
    (faces / "broken.png").symlink_to(tmp_path / "nowhere.png")
    result = run(faces, "-s", "blur")
    assert "7 faces sorted" in result.stderr
    assert "1 link left alone, only files are sorted: link.png" in result.stderr
    assert (faces / "link.png").readlink() == target


def test_pictures_that_were_never_extracted_are_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    for number in range(2):
        cv2.imwrite(str(tmp_path / f"{number}.jpg"), pixels(40))
    before = sorted(os.listdir(tmp_path))
    for options in ((), ("-g", "yaw"), ("-g", "face", "-k")):
        result = run(tmp_path, *options)
        assert isinstance(result.exception, SourceError)
        assert str(result.exception).endswith("run facestream extract first, and sort the folder that it fills")
        assert "each has no header of an extracted face: 0.jpg, 1.jpg" in result.stderr
        assert sorted(os.listdir(tmp_path)) == before
    assert run(tmp_path, "-s", "blur").return_value == 0


def test_a_film_isnt_a_folder_of_faces(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.touch()
    assert f"{film} is a file, not a folder of extracted faces: run facestream extract" in str(run(film).exception)
    assert "isn't there; check the path" in str(run(tmp_path / "no-such").exception)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-s", "none"], "-s none leaves the faces as they are"),
        (["-I", "no-such"], "unknown identity model 'no-such'"),
        (["-B"], "there's no folder of faces in"),
        (["--undo"], "there's nothing to undo in"),
        (["-o", "."], "isn't empty"),
        (["-s", "hist", "--device", "toaster", "-o", "x/y"], ""),
    ],
)
def test_bad_input_is_one_line(faces: Path, arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(faces.parent)
    before = contents(faces.parent)
    result = run(faces, *arguments)
    if words:
        assert isinstance(result.exception, FacestreamError)
        assert words in str(result.exception)
        assert "\n" not in str(result.exception)
    assert contents(faces.parent) == before


def test_embeddings_are_kept_in_headers_unless_biometrics_are_unwanted(tmp_path: Path) -> None:
    pull(["sface"])
    for number in range(3):
        face(tmp_path / f"{number}.png", image=pixels(60 * number + 40))
    before = tree(tmp_path)
    assert run(tmp_path, "-g", "face", "-k", "-o", tmp_path / "out", "-q").return_value == 0
    assert tree(tmp_path).items() >= before.items(), "originals of copies stay as they are"
    assert contents(tmp_path / "out") == sorted(before.values())
    assert run(tmp_path, "--no-biometrics", "-q").return_value == 0
    assert [read_header(path)["alignments"]["identity"] for path in tmp_path.glob("*.png")] == [{}] * 3
    assert run(tmp_path, "-g", "face", "-s", "none", "-q").return_value == 0
    stored = [read_header(path)["alignments"]["identity"]["sface"] for path in tmp_path.glob("_face_*/*.png")]
    assert [len(row) for row in stored] == [128] * 3


# Real processes


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "facestream", "sort", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def many(folder: Path, count: int) -> dict[int, str]:
    """So many pictures: inode → name."""
    first = face(folder / "0.png").read_bytes()
    for number in range(1, count):
        (folder / f"{number}.png").write_bytes(first)
    return {path.stat().st_ino: path.name for path in folder.iterdir()}


def wait_until(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Or until the process has ended. Looks without a pause: a move takes microseconds."""
    while process.poll() is None and not true():
        pass


CASES = [("moved", signal.SIGINT)]  # kills: tests/jobs/sort, without a process that loads all models
ALL_CASES = [(mode, end) for mode in ("in place", "moved", "copied") for end in (signal.SIGKILL, signal.SIGINT)]


@pytest.mark.parametrize(("mode", "end"), ALL_CASES * 2 if FULL else CASES)
def test_however_a_sort_is_ended_each_face_is_in_one_place_and_the_next_run_finishes(
    tmp_path: Path, mode: str, end: signal.Signals
) -> None:
    folder = tmp_path / "faces"
    before = many(folder, 3000 if FULL else 300)
    out = folder if mode == "in place" else tmp_path / "out"
    options = {"in place": [], "moved": ["-o", out], "copied": ["-k", "-o", out]}[mode]

    process = start(folder, "-s", "blur", *options)
    wait_until((out / NAME).exists, process)
    process.send_signal(end)
    said = process.communicate(timeout=300)[1]

    assert process.returncode in (130, -signal.SIGKILL, 0)
    if process.returncode == 130:
        assert "run the same command again to go on" in said
    found = [path for each in {folder, out} for path in each.glob("*.png")]
    if mode == "copied":
        found = list(folder.glob("*.png"))
    assert {path.stat().st_ino for path in found} == before.keys()
    assert len(found) == len(before)

    assert run(folder, "-s", "blur", *options).return_value == 0
    assert read_record(out).done  # type: ignore[union-attr]
    assert sorted(path.name[7:] for path in out.glob("*.png")) == sorted(before.values())
    assert len(list(folder.glob("*.png"))) == (0 if mode == "moved" else len(before))

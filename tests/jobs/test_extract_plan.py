from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from facestream.errors import ConfigError, SourceFormatError
from facestream.jobs.extract_plan import ExtractOptions, plan
from facestream.jobs.models import ModelOptions


def options(*inputs: str | Path, **values: Any) -> ExtractOptions:
    return ExtractOptions(**{"inputs": tuple(map(str, inputs)), "models": ModelOptions(), **values})


def places(options: ExtractOptions) -> list[tuple[str, str | None, str | None]]:
    """Each input's name, alignments and folder for pictures."""
    return [
        (item.spec.name, item.alignments and str(item.alignments), item.pictures and str(item.pictures))
        for item in plan(options).inputs
    ]


def test_one_videos_files_lie_beside_it_and_in_the_folder() -> None:
    assert places(options("/in/clip.mp4", output=Path("out"))) == [("clip", "/in/clip_alignments.fsa", "out")]


def test_a_folders_alignments_lie_in_it(tmp_path: Path) -> None:
    assert places(options(tmp_path)) == [(tmp_path.name, str(tmp_path / "alignments.fsa"), None)]


def test_several_inputs_of_one_name_have_all_their_own() -> None:
    planned = places(options("/a/clip.mp4", "/a/clip.avi", "/b/clip.mp4", output=Path("out")))
    assert planned == [
        ("clip", "/a/clip.mp4_alignments.fsa", "out/clip"),
        ("clip-2", "/a/clip.avi_alignments.fsa", "out/clip-2"),
        ("clip-3", "/b/clip_alignments.fsa", "out/clip-3"),
    ]


def test_a_camera_keeps_its_alignments_with_its_pictures() -> None:
    camera = "door=rtsp://user:secret@10.0.0.5/stream"
    assert places(options(camera, output=Path("out"))) == [("door", "out/door_alignments.fsa", "out")]
    assert places(options(camera, jsonl="-")) == [("door", None, None)]
    planned = plan(options(camera, output=Path("out")))
    assert "secret" not in planned.header(planned.inputs[0], "yunet").source


def test_a_batch_is_every_video_and_every_folder_with_pictures(tmp_path: Path) -> None:
    for name in ("10.mp4", "2.MOV", "notes.txt", "1/a.jpg", "empty/b.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    planned = places(options(tmp_path, batch_mode=True, output=Path("out")))
    assert planned == [
        ("1", str(tmp_path / "1" / "alignments.fsa"), "out/1"),
        ("2", str(tmp_path / "2_alignments.fsa"), "out/2"),
        ("10", str(tmp_path / "10_alignments.fsa"), "out/10"),
    ]


def test_a_batch_of_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceFormatError, match="holds no videos and no folders"):
        plan(options(tmp_path, batch_mode=True))


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_pictures_of_one_folder_are_one_input_with_these_alone(tmp_path: Path) -> None:
    touch(tmp_path, "photos/1.jpg", "photos/2.jpg", "photos/3.jpg", "other/1.jpg", "clip.mp4")
    chosen = ("photos/1.jpg", "clip.mp4", "photos/3.jpg", "other/1.jpg")
    planned = plan(options(*(tmp_path / name for name in chosen), output=Path("out")))
    assert [(item.spec.name, item.only) for item in planned.inputs] == [
        ("photos", frozenset({"1.jpg", "3.jpg"})),
        ("clip", None),
        ("1", None),
    ]
    assert planned.inputs[0].alignments == tmp_path / "photos" / "alignments.fsa"
    assert "--pictures=2 of the folder" in planned.header(planned.inputs[0], "yunet").settings


def test_pictures_of_a_folder_that_is_given_too_are_given_twice(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg", "2.jpg")
    with pytest.raises(ConfigError, match="given twice"):
        plan(options(tmp_path, tmp_path / "1.jpg", tmp_path / "2.jpg"))


def test_what_lies_in_a_folder_and_isnt_looked_at_is_told(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mov", "1.jpg", "sub/2.jpg")
    assert plan(options(tmp_path)).notes == (
        f"2 videos in {tmp_path} not looked at: add --batch-mode (-b), or name the video",
    )
    assert plan(options(tmp_path, batch_mode=True)).notes == (
        f"1 picture in {tmp_path} itself not looked at: give that folder without --batch-mode (-b)",
    )


def test_an_alignments_file_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is a folder; name the alignments file, such as .*alignments\.fsa"):
        plan(options("a.mp4", alignments=tmp_path))


def test_thresholds_that_nothing_uses_are_told() -> None:
    models = ModelOptions(aligner_roll=20)
    assert plan(options("a.mp4", models=models)).notes == ("--aligner-roll does nothing without --align-filters",)
    assert plan(options("a.mp4", models=replace(models, align_filters=True))).notes == ()


def test_batch_mode_ignores_an_alignments_file_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    planned = plan(options(tmp_path, batch_mode=True, alignments=Path("mine.fsa")))
    assert planned.inputs[0].alignments == tmp_path / "a_alignments.fsa"
    assert any("--alignments is ignored" in note for note in planned.notes)


def test_without_an_aligner_there_are_no_alignments_and_it_is_said() -> None:
    planned = plan(options("a.mp4", output=Path("out"), models=ModelOptions(aligner="none")))
    assert planned.inputs[0].alignments is None
    assert any("no alignments are written" in note for note in planned.notes)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"no_alignments": True}, "nowhere to put the faces"),
        ({"no_alignments": True, "alignments": Path("a.fsa")}, "exclude one another"),
        ({"no_alignments": True, "jsonl": "-", "skip_existing": True}, "--skip-existing"),
        ({"models": ModelOptions(aligner="none"), "alignments": Path("a.fsa")}, "choose an --aligner"),
        ({"inputs": ("a.mp4", "b.mp4"), "alignments": Path("a.fsa")}, "for one input"),
        ({"inputs": ("a.mp4", "./a.mp4")}, "given twice"),
    ],
)
def test_impossible_wishes_are_refused_before_anything_is_read(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        plan(options("a.mp4", **values))


def test_a_job_is_the_same_to_its_journal_whatever_the_device_and_batch_size() -> None:
    def header(**values: Any) -> str:
        planned = plan(options("a.mp4", **values))
        header = planned.header(planned.inputs[0], "yunet")
        assert header.source == os.path.abspath("a.mp4")
        return header.settings

    models = ModelOptions()
    same = [header(), header(models=replace(models, device="cpu", batch_size=2)), header(save_interval=5.0)]
    assert len(set(same)) == 1
    others = [
        header(models=replace(models, threshold=0.3)),
        header(size=256),
        header(output=Path("out")),
        header(min_scale=5),
        header(extract_every_n=2),
        header(skip_existing=True),
    ]
    assert len({*same, *others}) == 7

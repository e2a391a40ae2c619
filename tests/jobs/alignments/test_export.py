from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from facestream.errors import AlignmentsError
from facestream.io.alignments import Alignments
from facestream.jobs.alignments.export import run_export, run_import
from facestream.jobs.alignments.work import Work
from tests.jobs.alignments.build import STAMP, Heard, contents, extracted, record, silent

FRAMES = {"a.jpg": [record(10, mask=True), record(200)], "b.jpg": []}


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(extracted(tmp_path, FRAMES).path)


def test_boxes_and_landmarks_come_back_as_they_went(work: Work, tmp_path: Path) -> None:
    run_export(work, silent())
    exported = json.loads((tmp_path / "alignments.json").read_text())
    assert exported["b.jpg"] == []
    assert [face["detected"] for face in exported["a.jpg"]] == [[10, 50, 70, 110], [200, 50, 260, 110]]
    run_import(tmp_path / "alignments.json", Work(tmp_path / "again.fsa"), silent())
    again = Alignments.load(tmp_path / "again.fsa")
    assert list(again.frames) == ["a.jpg", "b.jpg"]
    for face, original in zip(again.faces("a.jpg"), FRAMES["a.jpg"], strict=True):
        assert np.array_equal(face.landmarks_xy, original.landmarks_xy)
        assert (face.x, face.y, face.w, face.h) == (original.x, original.y, original.w, original.h)


def test_a_json_file_that_is_there_isnt_replaced_unasked(work: Work, tmp_path: Path) -> None:
    target = tmp_path / "mine.json"
    target.write_text("{}")
    with pytest.raises(AlignmentsError, match=r"mine\.json is there already; give --overwrite"):
        run_export(work, silent(), json=target)
    assert target.read_text() == "{}"
    run_export(work, silent(), json=target, overwrite=True)
    assert "a.jpg" in target.read_text()


def test_importing_keeps_the_file_that_is_there(work: Work, tmp_path: Path) -> None:
    before = work.alignments.read_bytes()
    (tmp_path / "alignments.json").write_text('{"z.jpg": []}')
    run_import(tmp_path / "alignments.json", Work(), silent())
    assert list(Alignments.load(work.alignments).frames) == ["z.jpg"]
    assert (tmp_path / f"alignments_bk_{STAMP}.fsa").read_bytes() == before


def test_detections_without_landmarks_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "boxes.json"
    source.write_text('{"a.jpg": [{"detected": [1, 2, 3, 4]}]}')
    with pytest.raises(AlignmentsError, match=r"boxes\.json: frame 'a\.jpg': a face has no landmarks_2d"):
        run_import(source, Work(), silent())
    assert not (tmp_path / "boxes.fsa").exists()


def test_a_rehearsal_writes_nothing(work: Work, tmp_path: Path, heard: Heard) -> None:
    run_export(work, silent())
    before = contents(tmp_path)
    run_export(work, heard.session(dry_run=True), json=tmp_path / "b.json")
    run_import(tmp_path / "alignments.json", Work(), heard.session(dry_run=True))
    assert contents(tmp_path) == before
    assert heard.said == [
        f"would export 2 faces of 2 frames to {tmp_path / 'b.json'}",
        "would write 2 faces of a.jpg",
        "would write 0 faces of b.jpg",
        f"would save {work.alignments}, keep the former as alignments_bk_{STAMP}.fsa",
    ]

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from facestream.errors import AlignmentsError
from facestream.io.alignments_json import entries_of, read_json, write_json
from tests.io import alignment_files as files

POINTS = [[float(n), n / 2] for n in range(68)]
QUAD = [[10.4, 20.6], [50.0, 21.0], [51.6, 60.0], [9.6, 61.4]]


def save(path: Path, value: Any) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_what_is_exported_can_be_imported(tmp_path: Path) -> None:
    entries = files.entries()
    write_json(tmp_path / "a.json", entries)
    back = entries_of(tmp_path / "a.json", read_json(tmp_path / "a.json"))
    assert list(back) == list(entries)
    for name, entry in entries.items():
        for old, new in zip(entry.faces, back[name].faces, strict=True):
            assert (old.x, old.y, old.w, old.h) == (new.x, new.y, new.w, new.h)
            assert old.landmarks_xy.tolist() == new.landmarks_xy.tolist()
            assert (new.mask, new.identity, new.thumb) == ({}, {}, None)


def test_the_form_is_faceswaps(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", files.entries(1))
    text = (tmp_path / "a.json").read_text()
    (face, _) = files.frames(1)["clip_000001.mp4"]["faces"]
    detected = [face["x"], face["y"], face["x"] + face["w"], face["y"] + face["h"]]
    assert json.loads(text)["clip_000001.mp4"][0] == {"detected": detected, "landmarks_2d": face["landmarks_xy"]}
    assert text.startswith('{\n  "clip_000001.mp4": [\n    {\n      "detected": [')


def test_a_face_of_four_points_needs_no_box(tmp_path: Path) -> None:
    (face,) = read_json(save(tmp_path / "a.json", {"a.png": [{"landmarks_2d": QUAD}]}))["a.png"]
    assert face.box == (10, 21, 52, 61)


def test_a_box_needs_no_landmarks_until_they_are_asked_for(tmp_path: Path) -> None:
    path = save(tmp_path / "a.json", {"a.png": [{"detected": [1, 2, 3.6, 4]}]})
    frames = read_json(path)
    assert frames["a.png"][0].box == (1, 2, 4, 4)
    assert frames["a.png"][0].landmarks is None
    with pytest.raises(AlignmentsError, match=r"a\.json: frame 'a.png': .*run an aligner"):
        entries_of(path, frames)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{", "can't be imported"),
        ("[]", "can't be imported"),
        ('{"a.png": ' + "[" * 100_000, "can't be imported|too deep"),
        ({"a.png": [{"landmarks_2d": POINTS}]}, "no detected"),
        ({"a.png": [{}]}, "no detected"),
        ({"a.png": [{"detected": [1, 2, 3]}]}, "can't be imported"),
        ({"a.png": [{"detected": [1, 2, 3, 1e30]}]}, "impossible number"),
        ({"a.png": [{"detected": [1, 2, 3, "4"]}]}, "can't be imported"),
        ({"a.png": [{"detected": [1, 2, 3, 4], "mask": {}}]}, "unknown field"),
        ({"../a.png": []}, "impossible name"),
        ('{"a.png": [{"detected": [1, 2, 3, NaN]}]}', "can't be imported"),
    ],
)
def test_what_isnt_of_that_form_is_refused(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(AlignmentsError, match=rf"a\.json.*({message})"):
        read_json(save(tmp_path / "a.json", value))


def test_landmarks_of_no_known_layout_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.json", {"a.png": [{"detected": [1, 2, 3, 4], "landmarks_2d": POINTS[:5]}]})
    with pytest.raises(AlignmentsError, match="no known set of points"):
        entries_of(path, read_json(path))

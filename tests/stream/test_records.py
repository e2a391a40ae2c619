import json

import msgspec
import numpy as np
import pytest

from facestream.stream.records import FrameRecord, encode, frame_record
from facestream.stream.types import Aligned, Frame, FrameFaces, Recognised


def frame_faces(count: int = 2, *, complete: bool = True) -> FrameFaces:
    frame = Frame("door", 1, 123, 4.1, 1732000000.25, np.zeros((720, 1280, 3), np.uint8), dropped=3)
    boxes = np.array([[10.04, 20.06, 30.1, 40.0], [-5.26, 1.0, 9.0, 17.0]], np.float32)[:count]
    scores = np.array([0.98765, 0.5], np.float32)[:count]
    if not complete:
        return FrameFaces(frame=frame, boxes=boxes, scores=scores)
    aligned = Aligned(
        np.zeros((count, 3, 3), np.float32),
        {},
        np.array([[-11.13, 0.04, 3.0], [1, 2, 3]], np.float32)[:count],
    )
    return FrameFaces(
        frame=frame,
        boxes=boxes,
        scores=scores,
        landmarks=np.full((count, 68, 2), 12.34, np.float32),
        tracks=np.array([7, -1])[:count],
        aligned=aligned,
    )


def as_json(faces: FrameFaces, **kwargs: object) -> dict[str, object]:
    parsed = json.loads(encode(frame_record(faces, **kwargs)))  # type: ignore[arg-type]
    assert isinstance(parsed, dict)
    return parsed


def test_a_record_has_the_shape_of_the_protocols_faces_message() -> None:
    faces = frame_faces()
    faces.people = (Recognised("ada", 0.71), None)
    message = as_json(faces)
    assert message == {
        "type": "faces",
        "source": "door",
        "epoch": 1,
        "seq": 123,
        "pts": 4.1,
        "captured_at": 1732000000.25,
        "size": [1280, 720],
        "dropped": 3,
        "faces": [
            {
                "track": 7,
                "box": [10.0, 20.1, 30.1, 40.0],
                "score": 0.988,
                "landmarks": [[12.3, 12.3]] * 68,
                "pose": {"pitch": -11.1, "yaw": 0.0, "roll": 3.0},
                "identity": {"name": "ada", "similarity": 0.71},
            },
            {
                "box": [-5.3, 1.0, 9.0, 17.0],
                "score": 0.5,
                "landmarks": [[12.3, 12.3]] * 68,
                "pose": {"pitch": 1.0, "yaw": 2.0, "roll": 3.0},
            },
        ],
    }


def test_what_nothing_computed_is_absent() -> None:
    assert as_json(frame_faces(1, complete=False))["faces"] == [{"box": [10.0, 20.1, 30.1, 40.0], "score": 0.988}]


def test_only_the_fields_asked_for_are_there() -> None:
    assert as_json(frame_faces(1), fields=frozenset({"track", "score"}))["faces"] == [{"track": 7, "score": 0.988}]


def test_a_frame_without_faces_has_an_empty_list() -> None:
    assert as_json(frame_faces(0))["faces"] == []


@pytest.mark.parametrize("complete", [True, False])
def test_a_record_survives_the_round_trip(complete: bool) -> None:
    record = frame_record(frame_faces(complete=complete))
    assert msgspec.json.decode(encode(record), type=FrameRecord) == record

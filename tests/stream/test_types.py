from __future__ import annotations

import numpy as np
import pytest

from facestream.stream.types import Aligned, FrameFaces, FrameKey, Masks, join_fields
from facestream.tests.stream.build import batch, frame


def full(count: int, seq: int = 0) -> FrameFaces:
    """A frame whose ``count`` faces have every field; all values of face i are i."""
    ramp = np.arange(count, dtype=np.float32)

    def rows(*shape: int) -> np.ndarray:
        return np.broadcast_to(ramp.reshape(-1, *[1] * len(shape)), (count, *shape)).astype(np.float32)

    return FrameFaces(
        frame=frame(seq=seq),
        boxes=rows(4),
        scores=ramp,
        points=rows(5, 2),
        landmarks=rows(68, 2),
        landmark_scores=ramp,
        tracks=ramp.astype(np.int64),
        masks={"components": Masks("face", rows(3, 3), rows(8, 8).astype(np.uint8))},
        identities={"sface": rows(128)},
        aligned=Aligned(rows(3, 3), {"head": rows(2)}, rows(3)),
    )


def test_a_frame_is_known_by_source_epoch_and_seq() -> None:
    assert frame("door", 7, epoch=2).key == FrameKey("door", 2, 7)
    assert frame(size=(64, 48)).size == (64, 48)


def test_a_frame_without_faces_is_a_result_like_any_other() -> None:
    empty = FrameFaces(frame=frame())
    assert empty
    assert len(empty) == 0
    assert empty.boxes.shape == (0, 4)


def test_arrays_that_disagree_about_the_number_of_faces_are_refused() -> None:
    with pytest.raises(ValueError, match="scores has 2 rows for 1 boxes"):
        FrameFaces(frame=frame(), boxes=np.zeros((1, 4), np.float32), scores=np.zeros(2, np.float32))
    with pytest.raises(ValueError, match=r"\(N, 4\)"):
        FrameFaces(frame=frame(), boxes=np.zeros((1, 5), np.float32))


@pytest.mark.parametrize("index", [np.array([True, False, True]), np.array([0, 2]), slice(0, 3, 2)])
def test_keeping_some_faces_keeps_every_field_in_step(index: slice | np.ndarray) -> None:
    faces = full(3)
    faces.keep(index)
    assert len(faces) == 2
    for rows in (faces.boxes, faces.points, faces.landmarks, faces.identities["sface"]):
        assert rows is not None
        assert rows.reshape(2, -1)[:, 0].tolist() == [0, 2]
    assert faces.masks["components"].masks[:, 0, 0].tolist() == [0, 2]
    assert faces.aligned is not None
    assert faces.aligned.pose[:, 0].tolist() == [0, 2]


def test_joining_lays_every_field_end_to_end() -> None:
    joined = FrameFaces(frame=frame(), **join_fields([full(2), FrameFaces(frame=frame()), full(3)]))
    assert joined.boxes[:, 0].tolist() == [0, 1, 0, 1, 2]
    assert joined.identities["sface"].shape == (5, 128)
    assert joined.masks["components"].masks.shape == (5, 8, 8)


def test_a_field_that_only_some_faces_have_never_slides_onto_others() -> None:
    bare = FrameFaces(frame=frame(), boxes=np.zeros((1, 4), np.float32), scores=np.zeros(1, np.float32))
    with pytest.raises(ValueError, match="only some"):
        join_fields([full(1), bare])
    unmasked = full(1)
    unmasked.masks = {}
    with pytest.raises(ValueError, match="different masks"):
        join_fields([full(1), unmasked])


def test_a_batch_gives_each_frame_its_own_faces() -> None:
    per_frame = list(batch([2, 0, 1]).per_frame())
    assert [len(faces) for faces in per_frame] == [2, 0, 1]
    assert per_frame[2].boxes[0, 0] == 2


def test_filtering_a_batch_never_removes_a_frame() -> None:
    filtered = batch([2, 1])
    filtered.keep(np.array([False, False, True]))
    assert filtered.lengths.tolist() == [0, 1]

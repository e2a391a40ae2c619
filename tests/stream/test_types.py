from __future__ import annotations

from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facestream.stream.joining import appended
from facestream.stream.types import Aligned, FrameFaces, FrameKey
from facestream.tests.stream.build import batch, frame, full


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


def test_another_centering_moves_the_matrix_by_its_offset() -> None:
    """The golden face of the specification."""
    legacy = np.array([[0.004698, 0.00171, -1.717357], [-0.00171, 0.004698, -0.332693], [0, 0, 1]], np.float32)
    offsets = {"face": np.array([[0, -0.148762]], np.float32), "head": np.array([[0, -0.146644]], np.float32)}
    aligned = Aligned(legacy[None], offsets, np.zeros((1, 3), np.float32))
    assert aligned.centred("face")[0, :2, 2] == pytest.approx([-1.717357, -0.183931], abs=1e-6)
    assert aligned.centred("head")[0, :2, 2] == pytest.approx([-1.717357, -0.186049], abs=1e-6)


def test_a_batch_gives_each_frame_its_own_faces() -> None:
    per_frame = list(batch([2, 0, 1]).per_frame())
    assert [len(faces) for faces in per_frame] == [2, 0, 1]
    assert per_frame[2].boxes[0, 0] == 2


def test_filtering_a_batch_never_removes_a_frame() -> None:
    filtered = batch([2, 1])
    filtered.keep(np.array([False, False, True]))
    assert filtered.lengths.tolist() == [0, 1]


class TestSlices:
    def test_a_slice_takes_the_frames_of_its_faces(self) -> None:
        part = batch([2, 0, 3])[1:4]
        assert [f.seq for f in part.frames] == [0, 1, 2]
        assert part.frame_ids.tolist() == [0, 2, 2]
        assert part.boxes[:, :2].tolist() == [[0, 1], [2, 0], [2, 1]]
        assert part.continued

    def test_frames_without_faces_go_with_the_face_before_them_or_the_first(self) -> None:
        whole = batch([0, 1, 0, 0, 2, 0])
        first, second = whole[:1], whole[1:]
        assert [f.seq for f in first.frames] == [0, 1, 2, 3]
        assert [f.seq for f in second.frames] == [4, 5]
        assert not first.continued

    def test_a_batch_without_faces_is_its_own_only_slice(self) -> None:
        assert len(batch([0, 0])[:].frames) == 2

    def test_the_last_slice_goes_on_where_the_batch_does(self) -> None:
        whole = batch([3], continued=True)
        assert [whole[:2].continued, whole[2:].continued] == [True, True]

    def test_steps_are_refused(self) -> None:
        with pytest.raises(ValueError, match="face by face"):
            batch([3])[::2]

    @given(counts=st.lists(st.integers(0, 6), min_size=1, max_size=8), data=st.data())
    def test_slices_that_follow_one_another_make_up_the_batch(self, counts: list[int], data: st.DataObject) -> None:
        whole = batch(counts)
        cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(whole) - 1)))))
        edges = [0, *(cut for cut in cuts if cut < len(whole)), len(whole)]
        again = reduce(appended, [whole[start:stop] for start, stop in pairwise(edges)])
        assert [f.key for f in again.frames] == [f.key for f in whole.frames]
        assert np.array_equal(again.frame_ids, whole.frame_ids)
        assert np.array_equal(again.boxes, whole.boxes)

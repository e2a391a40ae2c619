from __future__ import annotations

import numpy as np
import pytest

from facestream.stream.joining import appended, batch_of, frame_of, join_fields
from facestream.stream.types import FrameFaces
from facestream.tests.stream.build import batch, frame, full, known


def test_joining_lays_every_field_end_to_end() -> None:
    joined = FrameFaces(frame=frame(), **join_fields([full(2), FrameFaces(frame=frame()), full(3)]))
    assert joined.boxes[:, 0].tolist() == [0, 1, 0, 1, 2]
    assert joined.identities["sface"].shape == (5, 128)
    assert joined.masks["components"].masks.shape == (5, 8, 8)
    assert joined.aligned is not None
    assert joined.aligned.offsets["head"].shape == (5, 2)


def test_an_array_that_only_some_faces_have_is_refused() -> None:
    with pytest.raises(ValueError, match="differ in landmarks"):
        join_fields([known(1), known(1, landmarks=False)])


def test_a_mask_or_embedding_that_only_some_faces_have_never_slides_onto_others() -> None:
    bare, other = full(2), full(2)
    bare.masks, bare.identities = {}, {}
    joined = frame_of([full(1), bare, other])
    masks = joined.masks["components"]
    assert masks.present.tolist() == [True, False, False, True, True]
    assert masks.masks[:, 0, 0].tolist() == [0, 0, 0, 0, 1]
    assert np.isnan(joined.identities["sface"]).all(axis=1).tolist() == [False, True, True, False, False]


def test_what_a_frame_never_had_does_not_cling_to_it_after_a_batch() -> None:
    bare = full(2, seq=1)
    bare.masks, bare.identities = {}, {}
    _, again = batch_of([full(1), bare]).per_frame()
    assert (again.masks, again.identities) == ({}, {})


def test_masks_of_one_name_and_different_sizes_are_refused() -> None:
    small = full(1)
    small.masks["components"].masks = np.zeros((1, 4, 4), np.uint8)
    with pytest.raises(ValueError, match="differ in mask components"):
        frame_of([full(1), small])


def test_a_frame_that_two_batches_share_stays_one_by_its_key() -> None:
    one, other = batch([1, 2], continued=True), batch([3, 1], first=1)
    joined = appended(one, other)
    assert [f.seq for f in joined.frames] == [0, 1, 2]
    assert joined.frame_ids.tolist() == [0, 1, 1, 1, 1, 1, 2]
    assert not joined.continued


def test_frames_of_two_sources_are_two_whatever_their_files_are_called() -> None:
    one, other = batch([1], source="a"), batch([1], source="b")
    one.frames[0].name = other.frames[0].name = "IMG_0001.jpg"
    assert appended(one, other).frame_ids.tolist() == [0, 1]


def test_a_frame_alone_in_its_batch_keeps_all_it_has_and_shares_no_container() -> None:
    faces = full(2)
    together = batch_of([faces])
    (again,) = together.per_frame()
    assert again.boxes is together.boxes is faces.boxes
    assert again.masks == together.masks == faces.masks
    again.masks.clear()
    together.identities.clear()
    assert list(together.masks) == list(faces.masks) == ["components"]
    assert list(again.identities) == list(faces.identities) == ["sface"]

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import pytest

from facestream.io.face_arrays import whole_faces_of
from facestream.io.face_record import StoredMask, records_of
from facestream.stream.types import Faces, Masks
from facestream.tests.io.test_face_record import found


def test_records_give_back_what_they_were_made_of() -> None:
    faces = found(3)
    again = whole_faces_of(records_of(faces))
    assert faces.landmarks is not None
    assert again.landmarks is not None
    assert np.array_equal(again.landmarks, faces.landmarks)
    assert np.array_equal(again.identities["sface"], faces.identities["sface"])
    assert np.array_equal(again.masks["custom_face"].masks, faces.masks["custom_face"].masks)
    assert np.array_equal(again.masks["custom_face"].matrices, faces.masks["custom_face"].matrices)


def test_a_mask_that_only_one_face_has_stays_its_own_there_and_back() -> None:
    records = records_of(found(3))
    for index in (0, 2):
        records[index].mask.clear()
        records[index].identity.clear()
    faces = whole_faces_of(records)
    masks = faces.masks["custom_face"]
    assert masks.present.tolist() == [False, True, False]
    assert np.isnan(faces.identities["sface"][:, 0]).tolist() == [True, False, True]
    again = records_of(faces)
    assert [list(record.mask) for record in again] == [[], ["custom_face"], []]
    assert [list(record.identity) for record in again] == [[], ["sface"], []]
    assert np.array_equal(again[1].mask["custom_face"].pixels(), records[1].mask["custom_face"].pixels())


def test_masks_of_different_sizes_get_the_largest_and_stay_where_they_are() -> None:
    small, large = records_of(found(1, size=64))[0], records_of(found(1, size=128))[0]
    masks = whole_faces_of([small, large]).masks["custom_face"]
    assert masks.masks.shape == (2, 128, 128)
    assert masks.matrices[0, :2].tolist() == [[1, 0, 2], [0, 1, 4]]
    assert masks.matrices[1, :2].tolist() == [[0.5, 0, 1], [0, 0.5, 2]]


def test_masks_of_different_centerings_are_refused() -> None:
    faces, others = found(1), found(1)
    others.masks["custom_face"] = Masks("head", others.masks["custom_face"].matrices, others.masks["custom_face"].masks)
    with pytest.raises(ValueError, match="differ in mask custom_face"):
        whole_faces_of([*records_of(faces), *records_of(others)])


def test_masks_that_would_fill_the_memory_are_refused() -> None:
    """Each takes 16 KB in a file."""
    mask = StoredMask(zlib.compress(bytes(4096**2)), np.eye(3), 1, 4096, "face")
    record = replace(records_of(found(1))[0], mask={f"mask {number}": mask for number in range(20)})
    with pytest.raises(ValueError, match="more than 256 MB; store them smaller"):
        whole_faces_of([record])


def test_no_records_are_no_faces() -> None:
    assert len(whole_faces_of([])) == 0
    assert isinstance(whole_faces_of([]), Faces)

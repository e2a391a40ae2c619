"""Landmark masks against scipy's convex hulls, which know nothing of polygons in pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import ConvexHull

from facestream.errors import ConfigError
from facestream.faces.aligned import align, transform
from facestream.faces.crops import crop_matrices
from facestream.faces.landmarks import WFLW_TO_IBUG, Floats
from facestream.faces.masks import AREAS, landmark_mask, landmark_masks
from facestream.stream.types import Image

SIZE = 256

# Spec §9.3, both ends included.
GROUPS = {
    "face": "0-8,17 8-16,26 17-19,8 24-26,8 19-24,8 17-21,27,31-35,8 22-26,27,31-35,8 27-30,31-35",
    "eye": "36-41 42-47",
    "mouth": "48-59",
}
GROUPS_98 = {
    "face": "0-16,33 16-32,46 33-35,16 44-46,16 35-44,16 33-37,51,55-59,16 42-46,51,55-59,16 51-54,55-59",
    "eye": "60-67 68-75",
    "mouth": "76-87",
}


def indices(group: str) -> list[int]:
    ends = [part.split("-") for part in group.split(",")]
    return [index for end in ends for index in range(int(end[0]), int(end[-1]) + 1)]


def depth(points: np.ndarray, group: str, size: int = SIZE) -> np.ndarray:
    """(size, size): how far inside the group's convex hull each pixel lies; negative outside."""
    hull = ConvexHull(np.rint(points[indices(group)]))
    rows, columns = np.indices((size, size))
    outside = hull.equations @ np.stack([columns.ravel(), rows.ravel(), np.ones(rows.size)])
    return -outside.max(axis=0).reshape(size, size)


def masks_of(landmarks: Floats, area: str, **options: float) -> Image:
    return landmark_mask(landmarks, crop_matrices(align(landmarks), SIZE, "face"), SIZE, area, **options)


@pytest.mark.parametrize(("area", "count"), [("face", 20189), ("face_extended", 21932), ("eye", 369), ("mouth", 1054)])
def test_the_golden_face_has_the_golden_masks(area: str, count: int, golden_landmarks: Floats) -> None:
    assert int((masks_of(golden_landmarks, area) > 127).sum()) == count


@pytest.mark.parametrize("groups", [GROUPS, GROUPS_98], ids=["68", "98"])
@pytest.mark.parametrize("area", sorted(GROUPS))
def test_an_area_is_the_union_of_the_convex_hulls_of_its_groups(
    area: str, groups: dict[str, str], golden_landmarks: Floats
) -> None:
    landmarks = golden_landmarks if groups is GROUPS else with_98(golden_landmarks)
    points = transform(crop_matrices(align(landmarks), SIZE, "face"), landmarks)[0]
    deepest = np.max([depth(points, group) for group in groups[area].split()], axis=0)
    mask = masks_of(landmarks, area)[0]
    assert (mask[deepest > 0.1] == 255).all()
    assert not mask[deepest < -1.5].any()  # the border is smooth over a pixel and a half


@pytest.mark.parametrize(("count", "groups"), [(68, GROUPS["face"].split()), (98, GROUPS_98["face"].split())])
@pytest.mark.parametrize("elsewhere", [(60, 60), (4, 4)], ids=["in the middle", "in a corner"])
@pytest.mark.parametrize("turn", range(3))
def test_each_point_of_each_group_counts(count: int, groups: list[str], elsewhere: tuple[int, int], turn: int) -> None:
    size, rng = 120, np.random.default_rng(turn)
    for group in groups:  # its points on a circle, all others on a heap
        landmarks = np.asarray(elsewhere + rng.integers(-3, 4, (count, 2)), np.float32)
        members = rng.permutation(indices(group))
        angles = np.linspace(0, 2 * np.pi, len(members), endpoint=False)
        landmarks[members] = 60 + 55 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        deepest = np.max([depth(landmarks, each, size) for each in groups], axis=0)
        mask = landmark_mask(landmarks[None], np.eye(3, dtype=np.float32)[None], size)[0]
        assert (mask[deepest > 0.1] == 255).all()
        assert not mask[deepest < -1.5].any()


def test_the_extended_face_reaches_further_up_and_leaves_nothing_out(golden_landmarks: Floats) -> None:
    face, extended = (masks_of(golden_landmarks, area)[0] > 127 for area in ("face", "face_extended"))
    assert not (face & ~extended).any()
    tops = [np.flatnonzero(mask.any(axis=1)).min() for mask in (face, extended)]
    assert tops[1] < tops[0] - 5
    np.testing.assert_array_equal(face[130:], extended[130:])  # below the eyes


def test_eyebrows_rise_by_half_their_height_above_the_lids() -> None:
    landmarks = np.zeros((1, 68, 2), np.float32)
    landmarks[:] = (128, 200)
    landmarks[0, 17:27] = [(28 + 20 * column, 100) for column in range(10)]
    landmarks[0, [0, 36, 37, 38, 39]] = [(20, 140), (40, 140), (60, 140), (80, 140), (100, 140)]
    landmarks[0, [42, 43, 44, 45, 16]] = [(150, 140), (170, 140), (190, 140), (210, 140), (230, 140)]
    mask = landmark_mask(landmarks, np.eye(3, dtype=np.float32)[None], SIZE, "face_extended")[0]
    assert np.flatnonzero((mask > 127).any(axis=1)).min() == 100 - (140 - 100) // 2


def with_98(landmarks: Floats) -> Floats:
    """The same face in points of WFLW."""
    wflw = np.zeros((1, 98, 2), np.float32)
    wflw[:, WFLW_TO_IBUG] = landmarks
    wflw[:, 1:32:2] = (wflw[:, 0:31:2] + wflw[:, 2:33:2]) / 2  # the jaw's points between those of 68
    wflw[:, 38:42], wflw[:, 47:51] = wflw[:, 36:32:-1], wflw[:, 46:42:-1]  # the eyebrows' lower edges
    wflw[:, [62, 66, 70, 74]] = wflw[:, [61, 65, 69, 73]]  # the middles of the lids
    return wflw


def test_98_points_mask_as_their_68_do(golden_landmarks: Floats) -> None:
    wflw = with_98(golden_landmarks)
    for area in AREAS:
        counts = [int((masks_of(landmarks, area) > 127).sum()) for landmarks in (wflw, golden_landmarks)]
        assert counts[0] == pytest.approx(counts[1], rel=0.005)


@pytest.mark.parametrize("percent", [4, -4])
def test_dilation_moves_the_border_by_percent_of_the_size(percent: int, golden_landmarks: Floats) -> None:
    plain, moved = (masks_of(golden_landmarks, "face", dilation=value)[0] > 127 for value in (0, percent))
    columns = [np.flatnonzero(mask.any(axis=0)) for mask in (plain, moved)]
    growth = np.ptp(columns[1]) - np.ptp(columns[0])
    assert growth == pytest.approx(np.sign(percent) * 0.04 * SIZE, abs=2)


def test_blur_softens_the_border_and_leaves_the_middle(golden_landmarks: Floats) -> None:
    plain, soft = (masks_of(golden_landmarks, "face", blur=kernel)[0] for kernel in (0, 12))
    between = [int(((mask > 20) & (mask < 235)).sum()) for mask in (plain, soft)]
    assert between[1] > 3 * between[0]
    assert soft[SIZE // 2, SIZE // 2] == 255


def test_a_face_that_is_not_finite_has_an_empty_mask_and_harms_no_other(golden_landmarks: Floats) -> None:
    landmarks = np.repeat(golden_landmarks, 3, axis=0)
    landmarks[0, 30] = np.nan
    landmarks[1] = 1e30
    masks = landmark_mask(landmarks, np.repeat(crop_matrices(align(golden_landmarks), SIZE), 3, axis=0), SIZE)
    assert masks.dtype == np.uint8
    assert masks.any(axis=(1, 2)).tolist() == [False, False, True]


@given(arrays(np.float32, (2, 68, 2), elements=st.floats(width=32)), st.sampled_from(AREAS))
def test_any_landmarks_give_masks(landmarks: Floats, area: str) -> None:
    matrices = np.tile(np.eye(3, dtype=np.float32), (2, 1, 1))
    assert landmark_mask(landmarks, matrices, 32, area).shape == (2, 32, 32)


def test_no_faces_have_no_masks() -> None:
    masks = landmark_mask(np.zeros((0, 68, 2), np.float32), np.zeros((0, 3, 3), np.float32), 64)
    assert masks.shape == (0, 64, 64)


@pytest.mark.parametrize(("theirs", "ours"), [("components", "face"), ("extended", "face_extended"), ("eye", "eye")])
def test_faceswaps_names_are_understood(theirs: str, ours: str, golden_landmarks: Floats) -> None:
    np.testing.assert_array_equal(masks_of(golden_landmarks, theirs), masks_of(golden_landmarks, ours))


@pytest.mark.parametrize("centering", ["legacy", "face", "head"])
def test_they_are_masks_like_those_of_a_model(centering: str, golden_landmarks: Floats) -> None:
    masks = landmark_masks(golden_landmarks, "components", centering=centering, dilation=3)
    matrices = crop_matrices(align(golden_landmarks), 128, centering)
    np.testing.assert_array_equal(masks.matrices, matrices)
    np.testing.assert_array_equal(masks.masks, landmark_mask(golden_landmarks, matrices, 128, dilation=3))
    assert (masks.centering, masks.present.tolist()) == (centering, [True])


def test_unknown_areas_and_points_that_outline_nothing_are_refused(golden_landmarks: Floats) -> None:
    with pytest.raises(ConfigError, match="'ear': choose from components, extended, eye, mouth"):
        landmark_masks(golden_landmarks, "ear")
    for count in (4, 51):
        with pytest.raises(ConfigError, match=f"{count} landmarks don't outline"):
            landmark_masks(np.zeros((1, count, 2), np.float32))

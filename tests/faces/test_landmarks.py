import numpy as np
import pytest

from facestream.faces.landmarks import PARTS, WFLW_TO_IBUG, LandmarkType, landmark_type, to_68


@pytest.mark.parametrize("kind", list(LandmarkType))
def test_the_layout_is_told_by_the_number_of_points(kind: LandmarkType) -> None:
    assert landmark_type(np.zeros((3, kind.value, 2), np.float32)) is kind
    assert landmark_type(np.zeros((0, kind.value, 2), np.float32)) is kind


@pytest.mark.parametrize("shape", [(5, 2), (68, 3), (68,), (2, 67, 2)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="no landmark layout"):
        landmark_type(np.zeros(shape, np.float32))


def test_98_points_become_68_by_their_indices() -> None:
    indices = np.repeat(np.arange(98, dtype=np.float32)[:, None], 2, axis=1)
    mapped = to_68(indices[None])[0, :, 0].astype(int).tolist()
    assert mapped[:17] == list(range(0, 33, 2))
    assert mapped[17:27] == [33, 34, 35, 36, 37, 42, 43, 44, 45, 46]
    assert mapped[27:36] == list(range(51, 60))
    assert mapped[36:48] == [60, 61, 63, 64, 65, 67, 68, 69, 71, 72, 73, 75]
    assert mapped[48:] == list(range(76, 96))
    assert len(set(WFLW_TO_IBUG.tolist())) == 68


def test_68_points_stay_and_fewer_cannot_become_68() -> None:
    points = np.zeros((2, 68, 2), np.float32)
    assert to_68(points) is points
    with pytest.raises(ValueError, match="51 points"):
        to_68(np.zeros((2, 51, 2), np.float32))


def test_the_parts_of_a_layout_cover_its_points() -> None:
    for kind, parts in PARTS.items():
        covered = {index for part in parts.values() for index in range(part.start, part.stop)}
        assert covered == set(range(96 if kind is LandmarkType.WFLW else kind.value))  # 96 and 97 are pupils


def test_the_parts_of_98_and_68_points_are_the_same_places() -> None:
    """What both layouts call by one name lies at the same points; brows are lines here and outlines there."""
    wide, narrow = PARTS[LandmarkType.WFLW], PARTS[LandmarkType.IBUG]
    assert wide.keys() == narrow.keys()
    for name, part in narrow.items():
        mapped = WFLW_TO_IBUG[part.start : part.stop]
        assert wide[name].start <= mapped.min(), name
        assert mapped.max() < wide[name].stop, name
        assert part.closed == wide[name].closed or name.endswith("eyebrow")


def test_four_points_are_one_closed_square() -> None:
    assert PARTS[LandmarkType.QUAD] == {"face": (0, 4, True)}

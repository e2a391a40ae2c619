import numpy as np
import pytest

from facestream.plugins.align.filtered import FilteredAligner
from facestream.plugins.align.filters import Thresholds
from facestream.plugins.align.looks import SquareAligner
from facestream.plugins.align.normalize import Normalization
from facestream.plugins.align.refeed import Refeed
from facestream.plugins.align.refined import RefinedAligner
from facestream.plugins.align.roi import Squares
from facestream.stream.types import Detections, ExtractBatch, Faces
from facestream.testing.aligners import FakeSquareAligner
from facestream.testing.conformance import check_face_plugin
from facestream.testing.plugins import FACE_68, in_boxes
from tests.plugins.conftest import Load, align, batch_of, detect

BOXES = np.float32([[30, 20, 90, 100], [100, 40, 180, 110]])
TRUTH = in_boxes(FACE_68, BOXES)
PICTURE = np.random.default_rng(3).integers(0, 256, (150, 200, 3), np.uint8)


def batch(boxes: np.ndarray = BOXES) -> ExtractBatch:
    return batch_of(PICTURE, Detections(boxes, np.ones(len(boxes), np.float32)))


def one_pixel_right(matrices: np.ndarray) -> np.ndarray:
    """An error that doesn't follow the face: always the same way in the crop."""
    return np.broadcast_to(np.float32([1, 0]), (len(matrices), 1, 2))


def turned_faces(points: np.ndarray, degrees: float) -> np.ndarray:
    """Each face clockwise about its own middle."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], np.float32)
    middle = points.mean(axis=1, keepdims=True)
    return (points - middle) @ turn + middle


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("re_align", [False, True])
def test_an_aligner_that_is_right_in_every_crop_stays_right(seed: int, re_align: bool) -> None:
    refined = RefinedAligner(FakeSquareAligner(TRUTH), refeed=Refeed.drawn(10, seed), re_align=re_align)
    np.testing.assert_allclose(align(refined, batch()), TRUTH, atol=2e-3)


def test_the_mean_is_taken_in_frame_pixels() -> None:
    fake = FakeSquareAligner(TRUTH, error=one_pixel_right)
    landmarks = align(RefinedAligner(fake, refeed=Refeed.drawn(3)), batch())
    pixels = np.mean([look.squares.sides / fake.size for look in fake.looks], axis=0)  # frame pixels a crop pixel
    assert len(fake.looks) == 4
    expected = TRUTH + pixels[:, None, None] * np.float32([1, 0])
    np.testing.assert_allclose(landmarks, expected, atol=1e-3)


def test_the_first_look_is_the_aligners_own_and_no_two_are_alike() -> None:
    fake = FakeSquareAligner(TRUTH)
    align(RefinedAligner(fake, refeed=Refeed.drawn(4)), batch())
    np.testing.assert_array_equal(fake.looks[0].matrices, fake.pre_process(batch()).matrices)
    assert len({look.matrices.tobytes() for look in fake.looks}) == 5
    assert len({look.pixels.tobytes() for look in fake.looks}) == 5


def test_the_network_sees_no_more_faces_at_once_than_came_in() -> None:
    fake = FakeSquareAligner(TRUTH, batch_size=2)  # which looks at its limit itself
    align(RefinedAligner(fake, refeed=Refeed.drawn(10), re_align=True), batch())
    assert [len(look.pixels) for look in fake.looks] == [2] * 12


def test_results_do_not_depend_on_the_batch() -> None:
    def error(matrices: np.ndarray) -> np.ndarray:
        """Depends on how the square lies, as a network's does."""
        return np.sin(matrices[:, None, :, 2] * 100)

    def refined(truth: np.ndarray) -> RefinedAligner:
        return RefinedAligner(FakeSquareAligner(truth, error=error), refeed=Refeed.drawn(5), re_align=True)

    together = align(refined(TRUTH), batch())
    alone = [align(refined(TRUTH[[face]]), batch(BOXES[[face]]))[0] for face in (1, 0)]
    np.testing.assert_allclose(together, alone[::-1], atol=1e-4)


@pytest.mark.parametrize("degrees", [20, 90, 180, -60])
def test_re_align_turns_the_face_upright(degrees: float) -> None:
    truth = turned_faces(TRUTH, degrees)
    fake = FakeSquareAligner(truth)
    np.testing.assert_allclose(align(RefinedAligner(fake, re_align=True), batch()), truth, atol=2e-3)
    first, second = fake.looks
    assert first.squares.angles.tolist() == [0, 0]
    turned = np.degrees(second.squares.angles) - degrees
    np.testing.assert_allclose((turned + 180) % 360 - 180, 0, atol=3)  # the fake's face isn't quite the mean face


def test_re_align_goes_after_the_models_own_second_look_and_re_feed_around_the_last_one() -> None:
    own = Squares(np.float32([[60, 60], [140, 75]]), np.float32([50, 55]), np.float32([0.2, 0.3]))

    def looks(**options: object) -> list[list[float]]:
        fake = FakeSquareAligner(TRUTH, place_again=lambda matrices: own)
        align(RefinedAligner(fake, **options), batch())  # type: ignore[arg-type]
        return [look.squares.angles.tolist() for look in fake.looks]

    levelled, again = [0.0, 0.0], own.angles.tolist()
    assert looks() == [levelled, again]
    assert looks(refeed=Refeed.drawn(2)) == [levelled, again, again, again]
    *before, third = looks(re_align=True)
    assert before == [levelled, again]
    assert looks(refeed=Refeed.drawn(2), re_align=True) == [levelled, again, third, third, third]


@pytest.mark.parametrize("looks_twice", [False, True])
def test_a_first_look_counts_only_without_a_better_placed_one(looks_twice: bool) -> None:
    number = iter([100.0, 3.0, 6.0] if looks_twice else [100.0, 6.0])

    def off(matrices: np.ndarray) -> np.ndarray:
        """So many frame pixels to the right, in each look another number."""
        right = np.array([next(number), 0])
        return (np.linalg.inv(matrices[:, :, :2]) @ right).astype(np.float32)[:, None]

    own = Squares(np.float32([[60, 60], [140, 75]]), np.float32([50, 55]), np.float32([0.2, 0.3]))
    fake = FakeSquareAligner(TRUTH, error=off, place_again=(lambda matrices: own) if looks_twice else None)
    landmarks = align(RefinedAligner(fake, re_align=True), batch())
    expected = (3 + 6) / 2 if looks_twice else 6
    np.testing.assert_allclose(landmarks - TRUTH, np.broadcast_to([expected, 0], TRUTH.shape), atol=2e-3)


def test_every_look_is_prepared_like_the_first() -> None:
    fake = FakeSquareAligner(TRUTH)
    fake.normalization = Normalization.MEAN
    dim = PICTURE // 8 + 100
    faces = batch_of(dim, Detections(BOXES, np.ones(2, np.float32)))
    align(RefinedAligner(fake, refeed=Refeed.drawn(2), re_align=True), faces)
    for look in fake.looks:
        assert (look.pixels.min(), look.pixels.max()) == (0, 255)


def test_normalisation_is_switched_with_the_next_batch() -> None:
    fake = FakeSquareAligner(TRUTH)
    refined = RefinedAligner(fake, re_align=True)
    feed = refined.pre_process(batch())
    refined.normalization = Normalization.HIST
    refined.infer(feed)  # both looks as the batch began
    align(refined, batch())
    none, hist = Normalization.NONE, Normalization.HIST
    assert [look.normalization for look in fake.looks] == [none, none, hist, hist]
    assert refined.normalization is hist


def test_a_batch_without_faces_passes() -> None:
    refined = RefinedAligner(FakeSquareAligner(TRUTH[:0]), refeed=Refeed.drawn(2), re_align=True)
    assert align(refined, batch(BOXES[:0])).shape == (0, 68, 2)


def test_a_real_aligner_can_be_refined(load: Load, photo: np.ndarray) -> None:
    mesh = load("align", "mesh")
    assert isinstance(mesh, SquareAligner)
    (found,) = detect(load("detect", "yunet", size=320), photo)
    plain = align(mesh, batch_of(photo, found))
    eyes = np.linalg.norm(plain[:, 45] - plain[:, 36], axis=1)[:, None]
    for options in ({"refeed": Refeed.drawn(2)}, {"re_align": True}, {"refeed": Refeed.drawn(2), "re_align": True}):
        landmarks = align(RefinedAligner(mesh, **options), batch_of(photo, found))
        moved = np.linalg.norm(landmarks - plain, axis=2) / eyes
        assert 0 < moved.mean() < 0.04
        empty = batch_of(photo, Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32)), points=False)
        assert align(RefinedAligner(mesh, **options), empty).shape == (0, 68, 2)


def test_a_refined_aligner_conforms(load: Load, photo: np.ndarray) -> None:
    mesh = load("align", "mesh")
    (found,) = detect(load("detect", "yunet", size=320), photo)
    batch = batch_of(photo, found)
    align(mesh, batch)
    faces = Faces(boxes=batch.boxes, scores=batch.scores, points=batch.points, landmarks=batch.landmarks)
    mesh.normalization = Normalization.CLAHE
    refined = RefinedAligner(mesh, refeed=Refeed.drawn(1), re_align=True)
    nothing = Thresholds(features=False, min_scale=0, max_scale=0, distance=0)  # the suite looks for every face
    check_face_plugin(FilteredAligner(refined, nothing), "align", photo, faces)

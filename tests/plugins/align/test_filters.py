import numpy as np
import pytest

from facestream.errors import ConfigError
from facestream.faces.aligned import align as derive
from facestream.faces.meanface import MEAN_FACE
from facestream.plugins.align.filtered import FilteredAligner
from facestream.plugins.align.filters import FilterCounts, Thresholds, refused
from facestream.stream.types import ExtractBatch, Frame, Summarised
from facestream.testing.plugins import FACE_68, FakeAligner, in_boxes
from tests.plugins.conftest import align

OFF = Thresholds(features=False, min_scale=0, max_scale=0, distance=0, roll=0)


def face(edge: float = 50.0, *, skewed: float = 0.0, mouth_up: bool = False) -> np.ndarray:
    """(68, 2): the mean face, ``edge`` pixels large; every second point ``skewed`` mean faces off, to either side."""
    core = MEAN_FACE.copy()
    core[0::4, 0] += skewed
    core[2::4, 0] -= skewed
    if mouth_up:
        core[31:, 1] = 2 * core[31:, 1].min() - core[31:, 1] - 0.7
    return np.concatenate([np.zeros((17, 2)), core]).astype(np.float32) * np.float32(edge) + 20


def broken(landmarks: list[np.ndarray], thresholds: Thresholds, side: float = 100.0) -> dict[str, list[bool]]:
    wrong = refused(np.stack(landmarks), np.full(len(landmarks), side, np.float32), thresholds)
    return {rule: faces.tolist() for rule, faces in wrong.items()}


def only(**thresholds: float) -> Thresholds:
    return Thresholds(**{"features": False, "min_scale": 0, "max_scale": 0, "distance": 0, "roll": 0} | thresholds)


def test_the_defaults_are_faceswaps() -> None:
    default = Thresholds()
    assert (default.features, default.min_scale, default.max_scale) == (True, 0.03, 4.0)
    assert (default.distance, default.roll) == (40.0, 0.0)


def test_a_mouth_above_the_eyes_is_no_face() -> None:
    assert broken([face(), face(mouth_up=True)], only(features=True)) == {"features": [False, True]}


def test_size_is_that_of_the_face_box_in_shares_of_the_frames_shorter_side() -> None:
    # The face box is twice as large as the mean face: 100 px here.
    faces = [face(50)]
    assert broken(faces, only(min_scale=0.49), side=200) == {"scale": [False]}
    assert broken(faces, only(min_scale=0.51), side=200) == {"scale": [True]}
    assert broken(faces, only(max_scale=0.51), side=200) == {"scale": [False]}
    assert broken(faces, only(max_scale=0.49), side=200) == {"scale": [True]}


def test_each_face_is_measured_by_its_own_frame() -> None:
    wrong = refused(np.stack([face(50), face(50)]), np.float32([200, 2000]), only(min_scale=0.4))
    assert wrong["scale"].tolist() == [False, True]


def test_distance_is_the_mean_over_points_and_axes_after_the_best_similarity() -> None:
    landmarks = face(skewed=0.2)
    x, y = landmarks[17:].astype(np.float64).T
    zero, one = np.zeros(51), np.ones(51)
    equations = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    wanted = MEAN_FACE.T.ravel()
    solution = np.linalg.lstsq(equations, wanted, rcond=None)[0]
    percent = float(100 * np.abs(equations @ solution - wanted).mean())
    assert percent > 3
    assert broken([landmarks], only(distance=percent + 0.01)) == {"distance": [False]}
    assert broken([landmarks], only(distance=percent - 0.01)) == {"distance": [True]}


def test_roll_is_what_remains_after_the_alignment() -> None:
    lopsided = in_boxes(FACE_68, np.float32([[0, 0, 100, 100]]))[0]
    lopsided[17:22, 1] += 8
    lopsided[36:42, 1] += 8
    roll = abs(float(derive(lopsided[None]).pose[0, 2]))
    assert roll > 0.5
    assert broken([lopsided], only(roll=roll + 0.1)) == {"roll": [False]}
    assert broken([lopsided], only(roll=roll - 0.1)) == {"roll": [True]}


def test_a_face_counts_with_the_first_rule_that_refuses_it() -> None:
    wrong = broken([face(1, mouth_up=True), face(1), face()], Thresholds(), side=1000)
    assert wrong == {"features": [True, False, False], "scale": [False, True, False], "distance": 3 * [False]}


def test_without_rules_every_face_is_kept() -> None:
    assert broken([face(1, mouth_up=True)], OFF) == {}


@pytest.mark.parametrize("landmarks", [np.full((68, 2), np.nan), np.full((68, 2), 9.0)])
def test_landmarks_that_are_no_landmarks_are_refused(landmarks: np.ndarray) -> None:
    assert any(faces[0] for faces in broken([landmarks.astype(np.float32)], Thresholds()).values())


@pytest.mark.parametrize(
    "wrong", [{"min_scale": 2}, {"max_scale": -1}, {"distance": 46}, {"roll": 91}, {"min_scale": 0.5, "max_scale": 0.1}]
)
def test_thresholds_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="aligner_"):
        Thresholds(**wrong)  # type: ignore[arg-type]


def test_counts_read_like_faceswaps() -> None:
    counts = FilterCounts(features=2, scale=1, roll=4)
    lines = counts.lines(Thresholds(roll=30))
    assert lines == [
        "[Align filter] Faces left out: mouth above the eyes or brows: 2, outside scale 0.03 to 4: 1, "
        "too turned (by more than 30°): 4"
    ]
    assert FilterCounts().lines(Thresholds()) == []


class Given:
    """An aligner that returns the landmarks it was given."""

    name, batch_size = "given", 8

    def __init__(self, landmarks: np.ndarray) -> None:
        self.landmarks = landmarks

    def load(self, device: str) -> None: ...

    def pre_process(self, batch: ExtractBatch) -> None: ...

    def infer(self, feed: None) -> None: ...

    def post_process(self, raw: None, feed: None, batch: ExtractBatch) -> None:
        batch.landmarks = self.landmarks


def frames(*faces: int, sizes: tuple[int, int] = (300, 200)) -> ExtractBatch:
    """A batch of frames with so many faces each."""
    pictures = [Frame("s", 0, seq, 0.0, 0.0, np.zeros((*sizes, 3), np.uint8)) for seq in range(len(faces))]
    count = sum(faces)
    return ExtractBatch(
        frames=pictures,
        boxes=np.tile(np.float32([0, 0, 9, 9]), (count, 1)) + np.arange(count, dtype=np.float32)[:, None],
        scores=np.ones(count, np.float32),
        frame_ids=np.repeat(np.arange(len(faces), dtype=np.int32), faces),
    )


def test_refused_faces_leave_the_batch_and_their_frames_stay() -> None:
    good, upside_down, tiny = face(), face(mouth_up=True), face(2)
    batch = frames(2, 0, 1, 1)
    aligner = FilteredAligner(Given(np.stack([good, upside_down, tiny, good])), Thresholds())
    align(aligner, batch)
    assert len(batch.frames) == 4
    assert [len(each) for each in batch.per_frame()] == [1, 0, 0, 1]
    assert batch.boxes[:, 0].tolist() == [0, 3]
    assert batch.landmarks is not None
    np.testing.assert_array_equal(batch.landmarks, [good, good])
    assert (aligner.statistics().features, aligner.statistics().scale) == (1, 1)
    assert aligner.summary() == [
        "[Align filter] Faces left out: mouth above the eyes or brows: 1, outside scale 0.03 to 4: 1"
    ]
    assert isinstance(aligner, Summarised)


def test_landmarks_of_another_layout_are_kept_and_said_so_once(caplog: pytest.LogCaptureFixture) -> None:
    aligner = FilteredAligner(Given(np.zeros((2, 4, 2), np.float32)), Thresholds())
    for _ in range(2):
        batch = frames(2)
        align(aligner, batch)
        assert len(batch) == 2
    assert [record.message for record in caplog.records] == [
        "given gives 4 landmarks, which --align-filters can't judge: faces are kept"
    ]


def test_a_batch_without_faces_passes() -> None:
    batch = frames(0, 0)
    FilteredAligner(FakeAligner(), Thresholds()).post_process(np.zeros((0, 68, 2), np.float32), None, batch)
    assert len(batch.frames) == 2

from collections.abc import Sequence

import numpy as np
import pytest

from facestream.errors import ConfigError, OutOfDeviceMemory
from facestream.plugins.detect.rotation import RotatingDetector, parse_angles, upright
from facestream.stream.types import Detections, Image
from facestream.testing.plugins import FIVE_POINTS, FakeDetector, in_boxes
from tests.plugins.conftest import Load, detect

BOX = (30, 10, 50, 40)
QUARTERS = parse_angles("90")


class Scripted:
    """Faces with a bright forehead and a dark chin; sees them upright or, less surely, upside down; never lying.

    Like a real network it puts the eyes of an upside-down face where they would be if it were upright.
    """

    name, batch_size = "scripted", 4

    def __init__(self, *, upside_down: float = 0.0, lying: float = 0.0, points: bool = True) -> None:
        self.upside_down, self.lying, self.points = upside_down, lying, points
        self.looks: list[int] = []

    def load(self, device: str) -> None: ...

    def pre_process(self, images: Sequence[Image]) -> list[Image]:
        return list(images)

    def infer(self, feed: list[Image]) -> list[Image]:
        self.looks.append(len(feed))
        return feed

    def post_process(self, raw: list[Image], feed: list[Image]) -> list[Detections]:
        return [self._look(image) for image in raw]

    def _look(self, image: Image) -> Detections:
        ys, xs = np.nonzero(image[..., 0])
        if not len(ys):
            return self._found(np.zeros((0, 4)), 0)
        box = np.array([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]])
        face = image[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1, 0].astype(float)
        if face.shape[0] < face.shape[1]:
            return self._found(box, self.lying)
        return self._found(box, 0.95 if face[0].mean() > face[-1].mean() else self.upside_down)

    def _found(self, boxes: np.ndarray, score: float) -> Detections:
        boxes = boxes.astype(np.float32)[: int(score > 0)]
        points = in_boxes(FIVE_POINTS, boxes) if self.points else None
        return Detections(boxes, np.full(len(boxes), score, np.float32), points)


def photo(quarters: int = 0) -> Image:
    """One face in ``BOX``, the picture then turned counter-clockwise."""
    image = np.zeros((60, 100, 3), np.uint8)
    left, top, right, bottom = BOX
    image[top:bottom, left:right] = 100
    image[top : (top + bottom) // 2, left:right] = 200
    return np.ascontiguousarray(np.rot90(image, quarters))


BLANK = np.zeros((60, 100, 3), np.uint8)


@pytest.mark.parametrize(
    ("text", "angles"),
    [
        ("90", (0, 90, 180, 270)),
        ("45,90", (0, 45, 90)),
        ("10, 20", (0, 10, 20)),
        ("0", (0,)),
        ("", (0,)),
        (None, (0,)),
        ("0,90,0,90", (0, 90)),
        ("-90", (0, 270, 180, 90)),
        ("-45,45", (0, 315, 45)),
    ],
)
def test_angles_are_a_step_or_a_list(text: str | None, angles: tuple[int, ...]) -> None:
    assert parse_angles(text) == angles


@pytest.mark.parametrize("text", ["left", "9.5", "90;180"])
def test_other_angles_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="give a step like 90 or a list like 45,90"):
        parse_angles(text)


@pytest.mark.parametrize("text", ["360", "400", "45,-720"])
def test_a_whole_turn_and_more_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="an angle is below 360"):
        parse_angles(text)


def test_boxes_and_points_are_in_the_turned_frames_own_pixels() -> None:
    (found,) = detect(RotatingDetector(Scripted(), QUARTERS, sure=0.9), photo(quarters=1))
    # A quarter counter-clockwise of a 100-pixel-wide picture: (x, y) → (y, 100 − x).
    assert found.boxes.tolist() == [[10, 50, 40, 70]]
    assert found.points is not None
    (expected,) = in_boxes(FIVE_POINTS, np.float32([BOX]))
    np.testing.assert_allclose(found.points[0], np.stack([expected[:, 1], 100 - expected[:, 0]], 1), rtol=1e-6)


def test_each_frame_gets_its_own_faces_when_only_some_are_found_again() -> None:
    frames = [photo(0), BLANK, photo(1), BLANK, photo(2), photo(3), BLANK, photo(0)]
    found = detect(RotatingDetector(Scripted(), QUARTERS, sure=0.9), *frames)
    assert [len(each.boxes) for each in found] == [1, 0, 1, 0, 1, 1, 0, 1]
    for frame, each in zip(frames, found):
        if len(each.boxes):
            ys, xs = np.nonzero(frame[..., 0])
            assert each.boxes.tolist() == [[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]]


def test_only_unsure_frames_are_looked_at_again() -> None:
    scripted = Scripted()
    detector = RotatingDetector(scripted, QUARTERS, sure=0.9)
    detect(detector, photo(0), photo(1), BLANK, photo(0))
    assert scripted.looks == [4, 2, 2, 2]  # the photo turned by 90° needs 270° more
    assert (detector.statistics().searched, detector.statistics().turned) == (2, 1)
    assert detector.summary() == ["[Rotation] Frames searched: 2, faces found turned in: 1"]


def test_without_unsure_frames_nothing_is_turned() -> None:
    scripted = Scripted()
    detect(RotatingDetector(scripted, QUARTERS, sure=0.9), photo(0), photo(0))
    assert scripted.looks == [2]


def test_a_wrong_box_at_a_wrong_angle_does_not_end_the_search() -> None:
    for quarters in range(4):
        (found,) = detect(RotatingDetector(Scripted(upside_down=0.88, lying=0.7), QUARTERS, sure=0.9), photo(quarters))
        assert found.scores.tolist() == [np.float32(0.95)], quarters


def test_a_detector_that_says_nothing_of_sureness_is_tried_at_every_angle() -> None:
    (found,) = detect(RotatingDetector(Scripted(upside_down=0.93, points=False), QUARTERS), photo(2))
    assert found.scores.tolist() == [np.float32(0.95)]
    assert found.points is None


def test_a_face_that_is_unsure_at_every_angle_is_still_found() -> None:
    scripted = Scripted(upside_down=0.5)
    image = photo(0)[::-1].copy()  # chin up, and no turn but the half one makes it stand
    (found,) = detect(RotatingDetector(scripted, parse_angles("90,270"), sure=0.9), image)
    assert found.scores.tolist() == [0.5]


def test_a_face_lying_in_a_picture_is_unsure_whatever_its_score() -> None:
    class Lying(Scripted):
        def _found(self, boxes: np.ndarray, score: float) -> Detections:
            found = super()._found(boxes, score)
            return Detections(found.boxes, found.scores, None if found.points is None else found.points[..., ::-1])

    scripted = Lying()
    detect(RotatingDetector(scripted, QUARTERS, sure=0.9), photo(0))
    assert scripted.looks == [1, 1, 1, 1]


def test_an_empty_batch_is_a_batch() -> None:
    assert detect(RotatingDetector(FakeDetector(), QUARTERS)) == []


def test_running_out_of_memory_is_the_stages_to_handle() -> None:
    with pytest.raises(OutOfDeviceMemory):
        detect(RotatingDetector(FakeDetector(fits=1), QUARTERS), BLANK, BLANK)


def test_upright_is_eyes_above_mouth_right_eye_on_the_left() -> None:
    points = in_boxes(FIVE_POINTS, np.float32([[0, 0, 100, 100]]))[0]

    def turned(degrees: float) -> np.ndarray:
        cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        return points @ np.array([[cos, -sin], [sin, cos]], np.float32)

    mirrored = points * np.float32([-1, 1])
    stack = np.stack([points, turned(40), turned(-40), turned(50), turned(90), turned(180), mirrored])
    assert upright(stack).tolist() == [True, True, True, False, False, False, False]
    assert upright(np.zeros((0, 5, 2), np.float32)).shape == (0,)


@pytest.mark.parametrize("name", ["yunet", "centerface"])
def test_people_upside_down_are_found_as_upright(load: Load, photo: np.ndarray, name: str) -> None:
    detector = load("detect", name, size=320)
    (upright_ones,) = detect(detector, photo)
    (found,) = detect(RotatingDetector(detector, QUARTERS), np.ascontiguousarray(photo[::-1, ::-1]))
    height, width = photo.shape[:2]
    there = np.float32([width, height, width, height]) - found.boxes[:, [2, 3, 0, 1]]
    np.testing.assert_allclose(there, upright_ones.boxes, atol=0.01)

from pathlib import Path

import cv2
import numpy as np
import pytest

from facestream.plugins import registry
from facestream.plugins.base import TorchModel
from facestream.plugins.detect.size_limits import SizeLimits
from facestream.plugins.repeatable import TOGETHER, EachSizeAlone, together
from facestream.stream.stage import FaceRole
from facestream.stream.types import Detections, ExtractBatch, Frame, Image
from facestream.testing.plugins import FakeDetector
from tests.plugins.conftest import detect


class FindsCanvas(FakeDetector):
    """One box a frame, as large as the largest frame of the batch."""

    def post_process(self, raw: object, feed: object) -> list[Detections]:
        assert isinstance(feed, list)
        height, width = np.max([image.shape[:2] for image in feed], axis=0)
        box = np.array([[0, 0, width, height]], np.float32)
        return [Detections(box, np.ones(1, np.float32)) for _ in feed]

    def pre_process(self, images: object) -> object:
        return list(images)  # type: ignore[call-overload]

    def infer(self, feed: object) -> object:
        return feed


def test_frames_of_other_sizes_change_nothing() -> None:
    sizes = [(40, 60), (90, 30), (40, 60), (10, 10), (90, 30)]
    frames = [np.zeros((*size, 3), np.uint8) for size in sizes]
    found = detect(EachSizeAlone(FindsCanvas()), *frames)
    assert [tuple(each.boxes[0, :1:-1]) for each in found] == sizes


def test_no_frames_are_no_frames() -> None:
    assert detect(EachSizeAlone(FakeDetector())) == []


def test_what_is_wrapped_around_a_model_has_a_batch_for_each() -> None:
    assert together(SizeLimits(FakeDetector())) == together(FakeDetector()) == 1


@pytest.fixture
def frames(five_faces: Path) -> list[Image]:
    pytest.importorskip("openvino")
    image = cv2.imread(str(five_faces))
    assert image is not None
    return [np.ascontiguousarray(np.roll(image, 3 * shift, axis=1)) for shift in range(5)]


def loaded(role: str, name: str, backend: str = "auto") -> TorchModel:
    model: TorchModel = registry.create(role, name)
    model.backend = backend
    model.load("cpu")
    return model


@pytest.mark.usefixtures("weights")
def test_a_network_on_torch_has_a_batch_for_each(frames: list[Image]) -> None:
    assert together(loaded("detect", "yunet", "torch")) == 1


@pytest.mark.usefixtures("weights")
def test_whatever_the_batch_the_result_is_the_same_to_the_last_bit(frames: list[Image]) -> None:
    detector, mesh, sface = loaded("detect", "yunet"), loaded("align", "mesh"), loaded("identity", "sface")
    assert [together(model) for model in (detector, mesh, sface)] == [TOGETHER] * 3
    alone = [detect(detector, frame)[0] for frame in frames]
    for one, other in zip(alone, detect(detector, *frames), strict=True):
        assert np.array_equal(one.boxes, other.boxes)
        assert np.array_equal(one.scores, other.scores)
    expected, *others = [_faces(frames, alone, size, mesh, sface) for size in (1, 2, 3, 25)]
    assert all(len(expected) == len(other) and (expected == other).all() for other in others)


def _faces(frames: list[Image], found: list[Detections], size: int, *models: TorchModel) -> np.ndarray:
    """What the models say of each face, in batches of ``size`` faces."""
    owners = [(seq, place) for seq, each in enumerate(found) for place in range(len(each.boxes))]
    rows = []
    for start in range(0, len(owners), size):
        part = owners[start : start + size]
        batch = ExtractBatch(
            frames=[Frame("clip", 0, seq, 0.0, 0.0, frames[seq]) for seq, _ in part],
            boxes=np.stack([found[seq].boxes[place] for seq, place in part]),
            scores=np.stack([found[seq].scores[place] for seq, place in part]),
            frame_ids=np.arange(len(part), dtype=np.int32),
        )
        for role in map(FaceRole, models):
            feed = role.pre_process(batch)
            role.post_process(role.infer(feed), feed, batch)
        assert batch.landmarks is not None
        assert batch.aligned is not None
        rows.append(np.concatenate([batch.landmarks.reshape(len(batch), -1), batch.identities["sface"]], axis=1))
    return np.concatenate(rows)

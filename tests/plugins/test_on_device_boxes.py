import numpy as np
import pytest
import torch

from facestream.plugins.nms import box_iou, suppress_batch
from facestream.plugins.on_device_boxes import BEST, Cells, best_of_batch, pairwise_iou
from facestream.stream.types import Floats

THRESHOLD, OVERLAP = 0.5, 0.3


def random_boxes(frames: int, cells: int, spread: float, seed: int = 0) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, spread, (frames, cells, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(20, 60, corner.shape)], 2)
    return boxes.astype(np.float32), rng.uniform(0, 1, (frames, cells)).astype(np.float32)


def on_host(boxes: Floats, scores: Floats) -> list[Floats]:
    frame, cell = np.nonzero(scores >= THRESHOLD)
    found = boxes[frame, cell]
    kept = suppress_batch(frame.astype(np.int32), found, scores[frame, cell], OVERLAP, len(boxes))
    return [found[rows] for rows in kept]


def on_device(boxes: Floats, scores: Floats) -> list[Floats]:
    cells = Cells(torch.from_numpy(boxes), torch.from_numpy(scores), torch.from_numpy(boxes).repeat(1, 1, 3)[..., :10])
    return [best.boxes for best in best_of_batch(cells, THRESHOLD, OVERLAP)]


@pytest.mark.parametrize("cells", [1, 50, 4 * BEST])
@pytest.mark.parametrize("spread", [30.0, 2000.0])
def test_the_same_boxes_are_kept_in_the_same_order(cells: int, spread: float) -> None:
    boxes, scores = random_boxes(3, cells, spread)
    for here, there in zip(on_host(boxes, scores), on_device(boxes, scores), strict=True):
        np.testing.assert_array_equal(there, here)


def test_of_equal_scores_the_first_one_counts() -> None:
    boxes, scores = random_boxes(2, 90, 40.0)
    scores = np.round(scores, 1)
    for here, there in zip(on_host(boxes, scores), on_device(boxes, scores), strict=True):
        np.testing.assert_array_equal(there, here)


def test_a_long_chain_of_overlaps_is_followed_to_its_end() -> None:
    left = np.arange(100, dtype=np.float32) * 4  # each overlaps its neighbours by more than a third
    boxes = np.stack([left, 0 * left, left + 10, 0 * left + 10], 1)[None]
    scores = np.linspace(1, 0.6, 100, dtype=np.float32)[None]
    (here,), (there,) = on_host(boxes, scores), on_device(boxes, scores)
    np.testing.assert_array_equal(there, here)
    assert len(there) == 50


def test_a_frame_without_faces_has_none_beside_one_that_has() -> None:
    boxes, scores = random_boxes(2, 20, 500.0)
    scores[0] = 0.1
    nobody, somebody = on_device(boxes, scores)
    assert nobody.shape == (0, 4)
    assert len(somebody)


def test_points_come_along_or_there_are_none() -> None:
    boxes, scores = (torch.from_numpy(array) for array in random_boxes(1, 20, 500.0))
    for width, shape in ((10, (5, 2)), (0, None)):
        for quiet in (False, True):
            cells = Cells(boxes, scores * (not quiet), torch.zeros(1, 20, width))
            (best,) = best_of_batch(cells, THRESHOLD, OVERLAP)
            assert (None if best.points is None else best.points.shape[1:]) == shape


def test_overlaps_are_those_of_the_host() -> None:
    boxes, _ = random_boxes(1, 30, 80.0)
    boxes[0, 0, 2:] = boxes[0, 0, :2] - 5  # inside out: no area
    found = pairwise_iou(torch.from_numpy(boxes))[0].numpy()
    np.testing.assert_allclose(found, box_iou(boxes[0], boxes[0]), atol=1e-6)

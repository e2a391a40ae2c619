import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from facestream.plugins.nms import box_iou, suppress, suppress_batch


def plain_greedy(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        if all(box_iou(boxes[[index]], boxes[[other]])[0, 0] <= threshold for other in kept):
            kept.append(int(index))
    return kept


@given(st.integers(0, 2**32 - 1), st.integers(0, 40), st.floats(0, 0.9))
def test_gives_what_the_plain_loop_gives(seed: int, count: int, threshold: float) -> None:
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 30, (count, 2))
    boxes = np.concatenate([corners, corners + random.uniform(1, 20, (count, 2))], 1).astype(np.float32)
    scores = random.choice(np.float32([0.1, 0.5, 0.9]), count)
    assert suppress(boxes, scores, threshold).tolist() == plain_greedy(boxes, scores, threshold)


def test_overlap_is_intersection_over_union() -> None:
    boxes = np.float32([[0, 0, 2, 2], [1, 1, 3, 3], [5, 5, 6, 6], [0, 0, 0, 0]])
    np.testing.assert_allclose(box_iou(boxes[:1], boxes), [[1, 1 / 7, 0, 0]])


def test_frames_do_not_suppress_each_other() -> None:
    boxes = np.float32([[0, 0, 9, 9]] * 3)
    kept = suppress_batch(np.int32([0, 2, 2]), boxes, np.float32([0.5, 0.6, 0.7]), 0.3, 3)
    assert [rows.tolist() for rows in kept] == [[0], [], [2]]

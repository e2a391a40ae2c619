import numpy as np
import torch

from facestream.plugins.detect.s3fd import L2Norm, S3fd, S3fdNetwork, vote
from facestream.plugins.letterbox import letterbox

CONVOLUTIONS = {  # the published layout: name → outputs, inputs, kernel
    **{f"conv1_{i}": (64, 3 if i == 1 else 64, 3) for i in (1, 2)},
    **{f"conv2_{i}": (128, 64 if i == 1 else 128, 3) for i in (1, 2)},
    **{f"conv3_{i}": (256, 128 if i == 1 else 256, 3) for i in (1, 2, 3)},
    **{f"conv4_{i}": (512, 256 if i == 1 else 512, 3) for i in (1, 2, 3)},
    **{f"conv5_{i}": (512, 512, 3) for i in (1, 2, 3)},
    "fc6": (1024, 512, 3),
    "fc7": (1024, 1024, 1),
    "conv6_1": (256, 1024, 1),
    "conv6_2": (512, 256, 3),
    "conv7_1": (128, 512, 1),
    "conv7_2": (256, 128, 3),
    "conv3_3_norm_mbox_conf": (4, 256, 3),
    "conv4_3_norm_mbox_conf": (2, 512, 3),
    "conv5_3_norm_mbox_conf": (2, 512, 3),
    "fc7_mbox_conf": (2, 1024, 3),
    "conv6_2_mbox_conf": (2, 512, 3),
    "conv7_2_mbox_conf": (2, 256, 3),
    "conv3_3_norm_mbox_loc": (4, 256, 3),
    "conv4_3_norm_mbox_loc": (4, 512, 3),
    "conv5_3_norm_mbox_loc": (4, 512, 3),
    "fc7_mbox_loc": (4, 1024, 3),
    "conv6_2_mbox_loc": (4, 512, 3),
    "conv7_2_mbox_loc": (4, 256, 3),
}
NORMS = {"conv3_3_norm": 256, "conv4_3_norm": 512, "conv5_3_norm": 512}


def blank_levels(batch: int = 1) -> list[np.ndarray]:
    return [np.zeros((batch, 5, 640 // stride, 640 // stride), np.float32) for stride in (4, 8, 16, 32, 64, 128)]


def test_keys_and_shapes_are_the_published_ones() -> None:
    with torch.device("meta"):
        state = S3fdNetwork().state_dict()
    expected = {f"{name}.weight": (channels,) for name, channels in NORMS.items()}
    for name, (outputs, inputs, kernel) in CONVOLUTIONS.items():
        expected[f"{name}.weight"] = (outputs, inputs, kernel, kernel)
        expected[f"{name}.bias"] = (outputs,)
    assert {key: tuple(value.shape) for key, value in state.items()} == expected


def test_shapes_flow_through() -> None:
    with torch.device("meta"):
        maps = S3fdNetwork()(torch.zeros(2, 3, 640, 384))
    sizes = [(160, 96), (80, 48), (40, 24), (20 + 4, 12 + 4), (12, 8), (6, 4)]  # fc6 pads by 3 instead of 1
    assert [tuple(each.shape) for each in maps] == [(2, 5, *size) for size in sizes]


def test_the_finest_level_has_three_backgrounds_of_which_the_strongest_counts() -> None:
    net = S3fdNetwork()
    head = net.get_submodule("conv3_3_norm_mbox_conf")
    torch.nn.init.zeros_(head.weight)
    head.bias.data = torch.tensor([1.0, 3.0, -2.0, 2.0])
    with torch.inference_mode():
        probability = net._heads("conv3_3_norm", torch.zeros(1, 256, 1, 1))[0, 0]
    np.testing.assert_allclose(probability, np.exp(2) / (np.exp(2) + np.exp(3)), rtol=1e-6)


def test_l2_norm_scales_each_cell() -> None:
    norm = L2Norm(2)
    norm.weight.data = torch.tensor([10.0, 20.0])
    with torch.inference_mode():
        out = norm(torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1)).flatten()
    np.testing.assert_allclose(out, [6, 16], rtol=1e-6)


def test_one_anchor_decodes_to_the_face_it_says() -> None:
    levels = blank_levels(batch=2)
    cell = levels[2][1, :, 2, 3]  # stride 16: the centre is (56, 40), the anchor 64 px
    cell[:] = 0.9, 1, -0.5, np.log(0.5) / 0.2, np.log(0.25) / 0.2
    found = S3fd(threshold=0.5).decode(tuple(levels))
    assert found.frame_ids.tolist() == [1]
    np.testing.assert_allclose(found.scores, [0.9])
    x, y = 56 + 6.4, 40 - 3.2
    np.testing.assert_allclose(found.boxes, [[x - 16, y - 8, x + 16, y + 8]], rtol=1e-5)


def test_an_absurd_size_stays_finite() -> None:
    levels = blank_levels()
    levels[5][0, :, 0, 0] = 0.9, 0, 0, 1e6, 1e6
    assert np.isfinite(S3fd().decode(tuple(levels)).boxes).all()


def test_suppressed_boxes_vote_for_the_one_that_they_overlap() -> None:
    kept = np.float32([[0, 0, 100, 100], [300, 0, 400, 100]])
    boxes = np.float32([[0, 0, 100, 100], [300, 0, 400, 100], [10, 0, 110, 100], [600, 0, 700, 100]])
    voted = vote(kept, boxes, np.float32([0.9, 0.8, 0.6, 0.5]), 0.5)
    shift = 10 * 0.6 / 1.5
    np.testing.assert_allclose(voted, [[shift, 0, 100 + shift, 100], [300, 0, 400, 100]], rtol=1e-6)


def test_a_voted_face_comes_back_in_frame_pixels() -> None:
    levels = blank_levels()
    levels[2][0, 0, 2, 3], levels[2][0, 0, 2, 4] = 0.9, 0.8  # 64 px each, 16 px apart: IoU 0.6
    feed = letterbox([np.zeros((1280, 1280, 3), np.uint8)], 640)
    (found,) = S3fd().post_process(tuple(levels), feed)
    shift = 16 * 0.8 / 1.7
    np.testing.assert_allclose(found.scores, [0.9])
    np.testing.assert_allclose(found.boxes, np.multiply([[24 + shift, 8, 88 + shift, 72]], 2), rtol=1e-5)


def test_nothing_is_nothing() -> None:
    feed = letterbox([np.zeros((64, 64, 3), np.uint8)], 640)
    (found,) = S3fd().post_process(tuple(blank_levels()), feed)
    assert found.boxes.shape == (0, 4)
    assert S3fd().post_process((), letterbox([], 640)) == []

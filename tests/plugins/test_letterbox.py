import numpy as np
import pytest

from facestream.plugins.letterbox import letterbox, scale_into


def blank(height: int, width: int, shade: int = 200) -> np.ndarray:
    return np.full((height, width, 3), shade, np.uint8)


def test_the_long_side_is_the_size_and_both_sides_are_padded_to_the_stride() -> None:
    boxed = letterbox([blank(720, 1280)], 640)
    assert boxed.canvas.shape == (1, 384, 640, 3)
    assert (boxed.canvas[0, :360] == 200).all()
    assert (boxed.canvas[0, 360:] == 0).all()


def test_a_batchs_canvas_holds_its_largest_frame_on_each_side() -> None:
    boxed = letterbox([blank(100, 200), blank(200, 100)], 64)
    assert boxed.canvas.shape == (2, 64, 64, 3)
    assert (boxed.canvas[0, 32:] == 0).all()
    assert (boxed.canvas[1, :, 32:] == 0).all()


@pytest.mark.parametrize("size", [(37, 41), (333, 1000), (1000, 333), (5, 3000), (1, 1)])
def test_corners_come_back_exactly(size: tuple[int, int]) -> None:
    height, width = size
    boxed = letterbox([blank(height, width)], 640)
    filled = np.argwhere(boxed.canvas[0, :, :, 0])
    corner = (filled.max(axis=0)[::-1] + 1).astype(np.float32)
    np.testing.assert_allclose(boxed.to_frame(corner[None], np.zeros(1, np.int32)), [[width, height]], rtol=1e-5)


def test_points_of_each_frame_are_scaled_by_its_own_scale() -> None:
    boxed = letterbox([blank(50, 100), blank(400, 400)], 200)
    points = np.full((2, 5, 2), 100, np.float32)
    assert boxed.to_frame(points, np.int32([0, 1]))[:, 0].tolist() == [[50, 50], [200, 200]]


@pytest.mark.parametrize("size", [(64, 64), (75, 130), (31, 20), (300, 40)])
def test_colours_are_turned_when_asked(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (*size, 3)).astype(np.uint8)
    blue_first, red_first = letterbox([picture], 64).on_host, letterbox([picture], 64, rgb=True).on_host
    np.testing.assert_array_equal(blue_first[..., ::-1], red_first)


def test_no_frames_make_an_empty_canvas() -> None:
    assert len(letterbox([], 640)) == 0


@pytest.mark.parametrize("size", [(360, 640), (361, 643), (720, 1280), (1080, 1920), (97, 3000)])
def test_a_ramp_stays_a_ramp_when_it_shrinks(size: tuple[int, int]) -> None:
    height, width = size
    ramp = np.linspace(0, 255, width)[None, :, None].repeat(height, 0).repeat(3, 2).astype(np.uint8)
    small = np.empty((max(1, height // 3), width // 3, 3), np.uint8)
    scale_into(small, ramp)
    expected = np.interp((np.arange(width // 3) + 0.5) * width / (width // 3) - 0.5, np.arange(width), ramp[0, :, 0])
    assert np.abs(small[0, :, 0] - expected).max() <= 3

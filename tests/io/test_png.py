from __future__ import annotations

import cv2
import numpy as np
import pytest

from facestream.io.png import encode_png


@pytest.mark.parametrize("shape", [(40, 30), (40, 30, 3), (40, 30, 4), (1, 1, 3)])
def test_a_picture_comes_back_as_it_was(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    decoded = cv2.imdecode(np.frombuffer(encode_png(image), np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(decoded, image)


def test_a_smooth_picture_takes_fewer_bytes_than_with_opencvs_own_choice() -> None:
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8), (0, 0), 8)
    assert len(encode_png(image)) < len(cv2.imencode(".png", image)[1])

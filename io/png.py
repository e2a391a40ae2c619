"""PNG encoding, as quick and as small as OpenCV's encoder gets without giving up either."""

from __future__ import annotations

from typing import Final

import cv2

from facestream.stream.types import Image

# Against OpenCV's own choice (filter "sub") on 24 face pictures of 512 pixels: 8 % less time, 14 % fewer bytes.
# Anything but run lengths takes longer than it saves.
_OPTIONS: Final = [
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
]


def encode_png(image: Image) -> bytes:
    """
    Args:
        image: uint8 (h, w), (h, w, 3) or (h, w, 4), BGR.

    Raises:
        ValueError: OpenCV can't encode such an array.
    """
    done, content = cv2.imencode(".png", image, _OPTIONS)
    if not done:
        raise ValueError(f"OpenCV can't encode {image.shape} as a PNG")
    return content.tobytes()

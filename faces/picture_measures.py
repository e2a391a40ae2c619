"""What a face picture's pixels tell about it, a number each: how sharp it is, its light and its colour (spec §16.3).

Pictures are uint8 BGR (h, w, 3). A mask, bool (h, w), says which of its pixels are the face; None takes all.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from facestream.stream.types import Bools, Doubles, Floats, Image

BINS: Final = 256
"""Entries of a :func:`histogram`."""

_LOW: Final = 8  # the spectrum's middle that blur_fft leaves out is one such part of its edge, each way


def face_pixels(landmarks: Floats, height: int, width: int) -> Bools:
    """bool (h, w): inside the convex hull of the landmarks (M, 2), in the picture's pixels."""
    hull = cv2.convexHull(np.clip(landmarks, -1e6, 1e6).astype(np.float32))
    mask = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(mask, np.rint(hull).astype(np.int32), 1)
    return np.asarray(mask, bool)


def sharpness(image: Image, mask: Bools | None = None) -> float:
    """Variance of the Laplacian over the square root of the picture's area: 0 is flat, more is sharper."""
    edges = cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.CV_64F)
    return float(_chosen(edges, mask).var() / np.sqrt(edges.size))


def fft_sharpness(image: Image) -> float:
    """Mean magnitude, in decibels, of the picture without its low frequencies: more is sharper."""
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.float64)
    spectrum = np.fft.fftshift(np.fft.fft2(grey))
    rows, columns = (edge // 2 for edge in grey.shape)
    height, width = (max(1, edge // _LOW) for edge in grey.shape)
    spectrum[rows - height : rows + height, columns - width : columns + width] = 0
    rest = np.abs(np.fft.ifft2(np.fft.ifftshift(spectrum)))
    return float(20 * np.log10(rest + 1e-6).mean())


def black_share(image: Image) -> float:
    """Percent of the picture's pixels that are black: what lay outside of its frame."""
    return float(100 * (image.max(axis=2) == 0).mean())


def grey_level(image: Image, mask: Bools | None = None) -> float:
    """Mean of the grey picture, 0..255."""
    return float(_chosen(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), mask).mean())


def ycgco(image: Image, mask: Bools | None = None) -> Doubles:
    """float64 (3,): the mean luma 0..255, green against magenta and orange against blue, both -127.5..127.5."""
    blue, green, red = _chosen(image, mask).reshape(-1, 3).mean(axis=0)
    return np.array([(red + 2 * green + blue) / 4, (2 * green - red - blue) / 4, (red - blue) / 2])


def histogram(image: Image, mask: Bools | None = None) -> Floats:
    """float32 (BINS,): the share of each grey level; adds up to 1."""
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    counts = np.bincount(_chosen(grey, mask).ravel(), minlength=BINS)
    return np.asarray(counts / counts.sum(), np.float32)


def _chosen(pixels: npt.NDArray[Any], mask: Bools | None) -> npt.NDArray[Any]:
    """The face's pixels; all of them where the mask is empty, because landmarks lie beyond the picture."""
    return pixels if mask is None or not mask.any() else pixels[mask]

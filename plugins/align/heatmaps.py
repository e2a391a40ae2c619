"""From heatmaps, one a landmark, to points finer than their cells: DARK (Zhang et al., CVPR 2020; spec §17.3).

A peak is read as a Gaussian's: its logarithm is a parabola, whose top is where one step of Newton's method leads from
the highest cell. Cells are first blurred, so that the network's noise doesn't bend the parabola.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from facestream.stream.types import Doubles, Floats

_RADIUS: Final = 5  # of the blur, cells
_SIGMA: Final = 2.0
_REACH: Final = 2  # cells on each side of the highest that the derivatives use
_FAR: Final = 3.0  # cells: no top of a peak lies farther away; what says so isn't a peak
_TINY: Final = 1e-10


def decode_heatmaps(maps: Floats) -> tuple[Floats, Floats]:
    """Where each map is highest, and how high.

    Args:
        maps: float32 (N, P, H, W), H and W at least 5.

    Returns:
        points: float32 (N, P, 2), x and y in cells, the first cell's being 0, within the map. A flat map or one
            without a positive value gives its first highest cell, or 0, 0.
        peaks: float32 (N, P), the highest cells' values, 0 at least.
    """
    count, landmarks, height, width = maps.shape
    flat = maps.reshape(count * landmarks, height * width)
    best = flat.argmax(axis=1)
    peaks = np.maximum(flat[np.arange(len(flat)), best], 0)
    cells = np.stack([best % width, best // width], -1)
    cells[peaks <= 0] = 0
    limits = np.array([width, height])
    inner = np.clip(cells, _REACH, limits - 1 - _REACH)
    tops = inner + _steps(np.log(_blurred(flat.reshape(-1, height, width), inner)))
    astray = np.abs(tops - cells).max(axis=1, initial=0) > _FAR
    points = np.where((astray | (peaks <= 0))[:, None], cells, np.clip(tops, 0, limits - 1))
    return (
        points.reshape(count, landmarks, 2).astype(np.float32),
        peaks.reshape(count, landmarks).astype(np.float32),
    )


def _blurred(maps: Floats, cells: npt.NDArray[np.int64]) -> Doubles:
    """Each map around its cell, blurred, as if there were zeros outside the map: (M, H, W), (M, 2) → (M, 5, 5).

    Only what the derivatives need: the same as blurring the whole map, some hundred times quicker. Scaled so that the
    highest is 1, and never below 1e-10.
    """
    height, width = maps.shape[1:]
    around = np.arange(-_REACH - _RADIUS, _REACH + _RADIUS + 1)
    columns, rows = cells[:, :1] + around, cells[:, 1:] + around
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
    rows, columns = rows.clip(0, height - 1), columns.clip(0, width - 1)
    patches = maps[np.arange(len(maps))[:, None, None], rows[:, :, None], columns[:, None]] * inside
    blurred = _BLUR @ patches.astype(np.float64) @ _BLUR.T
    highest = np.maximum(blurred.max(axis=(1, 2), keepdims=True), _TINY)
    return np.asarray(np.maximum(blurred / highest, _TINY), np.float64)


def _steps(heights: Doubles) -> Doubles:
    """Newton's step from the middle of each patch (M, 5, 5) to where its gradient is 0: (M, 2), x and y."""
    h = np.moveaxis(heights, 0, -1)
    dx, dy = (h[2, 3] - h[2, 1]) / 2, (h[3, 2] - h[1, 2]) / 2
    dxx, dyy = (h[2, 4] - 2 * h[2, 2] + h[2, 0]) / 4, (h[4, 2] - 2 * h[2, 2] + h[0, 2]) / 4
    dxy = (h[3, 3] - h[1, 3] - h[3, 1] + h[1, 1]) / 4
    determinant = dxx * dyy - dxy**2 + 1e-8
    steps = np.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], -1)
    return np.asarray(steps / determinant[:, None], np.float64)


def _blur_matrix() -> Doubles:
    """(5, 15): blurs a line of 15 cells; the middle 5 come out."""
    kernel = np.exp(-(np.arange(-_RADIUS, _RADIUS + 1) ** 2) / (2 * _SIGMA**2))
    size = 2 * _REACH + 1
    matrix = np.zeros((size, size + 2 * _RADIUS))
    for row in range(size):
        matrix[row, row : row + len(kernel)] = kernel / kernel.sum()
    return matrix


_BLUR: Final = _blur_matrix()

"""Pictures scaled and cut out by torch, on whatever device they lie: what OpenCV does for a CPU, for a whole batch.

Everything here is a function of tensors, so that a CPU runs and tests what a GPU runs. Pictures are uint8 (B, H, W, 3),
as frames are; so are results, rounded like OpenCV's. Against OpenCV 5 on random pictures: :func:`resized` and
:func:`crops` differ by two grey levels at most.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import torch
from torch import Tensor

Taps: TypeAlias = Callable[[int, int, torch.device], tuple[Tensor, Tensor]]

_CUBIC: Final = -0.75  # the kernel's slope, OpenCV's and torch's
_SAMPLES: Final = 1 << 23  # of a crop's pixels at a time: memory for them is 30 bytes each


def resized(pictures: Tensor, height: int, width: int) -> Tensor:
    """Twin of :func:`facestream.plugins.letterbox.scaled`.

    Args:
        pictures: uint8 (B, H, W, 3).

    Returns:
        uint8 (B, height, width, 3), on the same device.
    """
    if height >= pictures.shape[1]:
        return _resampled(pictures, height, width, cubic_taps)
    while pictures.shape[1] >= 2 * height and pictures.shape[2] >= 2 * width:
        pictures = _resampled(pictures, -(-pictures.shape[1] // 2), -(-pictures.shape[2] // 2), linear_taps)
    return _resampled(pictures, height, width, linear_taps)


def _resampled(pictures: Tensor, height: int, width: int, taps: Taps) -> Tensor:
    result = pictures
    for dim, size in ((1, height), (2, width)):
        if size != result.shape[dim]:
            result = _weighted(result, dim, *taps(pictures.shape[dim], size, pictures.device))
    return _as_bytes(result)


def linear_taps(source: int, target: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """What each of ``target`` pixels is made of, as with INTER_LINEAR; the edge goes on as it is.

    Returns:
        indices int64 and weights float32, each (T, target): T pixels make one.
    """
    centre = (torch.arange(target, device=device, dtype=torch.float64) + 0.5) * (source / target) - 0.5
    index = centre.floor() + torch.arange(2, device=device, dtype=torch.float64)[:, None]
    weights = 1 - (centre - index).abs()
    return index.long().clamp_(0, source - 1), weights.float()


def cubic_taps(source: int, target: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The same by cubic convolution (Keys 1981): four pixels make one; the edge goes on as it is."""
    centre = (torch.arange(target, device=device, dtype=torch.float64) + 0.5) * (source / target) - 0.5
    index = centre.floor() + torch.arange(-1, 3, device=device, dtype=torch.float64)[:, None]
    weights = cubic((centre - index).abs())
    return index.long().clamp_(0, source - 1), weights.float()


def cubic(distance: Tensor) -> Tensor:
    """The cubic convolution kernel at distances of 0 to 2 pixels."""
    a, x = _CUBIC, distance
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return torch.where(x <= 1, near, far)


def letterboxed(pictures: list[Tensor], fitted: list[tuple[int, int]], canvas: tuple[int, int], *, rgb: bool) -> Tensor:
    """Pictures on one canvas, each in its top-left corner, black elsewhere: uint8 (B, H, W, 3).

    Args:
        pictures: batches of equal pictures, uint8 (b, h, w, 3) each; what they hold in all is B.
        fitted: the height and width of each batch on the canvas.
        canvas: H, W.
        rgb: blue and red change places.
    """
    count = sum(map(len, pictures))
    paper = torch.zeros((count, *canvas, 3), dtype=torch.uint8, device=pictures[0].device)
    start = 0
    for batch, (height, width) in zip(pictures, fitted, strict=True):
        small = resized(batch, height, width)
        paper[start : start + len(batch), :height, :width] = small.flip(-1) if rgb else small
        start += len(batch)
    return paper


def crops(pictures: Tensor, owners: Tensor, matrices: Tensor, size: int, *, cubic_kernel: bool = False) -> Tensor:
    """As ``cv2.warpAffine`` with INTER_LINEAR (or INTER_CUBIC) and black outside, N squares at once.

    Args:
        pictures: uint8 (F, H, W, 3).
        owners: int64 (N,), the picture of each square.
        matrices: float32 (N, 2, 3), crop pixels → picture pixels, pixel centres at whole numbers.
        size: the squares' edge in pixels.

    Returns:
        uint8 (N, size, size, 3).
    """
    step = max(1, _SAMPLES // (size * size))
    parts = [
        _as_bytes(_sampled(pictures, owners[a : a + step], matrices[a : a + step], size, cubic_kernel))
        for a in range(0, len(owners), step)
    ]
    return torch.cat(parts) if parts else pictures.new_zeros((0, size, size, 3))


def reduced_crops(pictures: Tensor, owners: Tensor, matrices: Tensor, size: int, *, factor: int) -> Tensor:
    """The same of pictures that are much larger than the crops: blocks of ``factor``² pixels are averaged first.

    Twin of :func:`facestream.faces.crops.crop` far down, with the same blocks.

    Args:
        matrices: on the host: they say how much of the pictures is needed.
        factor: at least 2.
    """
    edge = float(size - 1)
    corners = torch.tensor([(0, 0, 1), (0, edge, 1), (edge, edge, 1), (edge, 0, 1)], dtype=torch.float64)
    corners = corners @ matrices.double().transpose(1, 2)  # (N, 4, 2)
    limits = torch.tensor(pictures.shape[2:0:-1], dtype=torch.float64)
    start = (corners.amin(1).floor() - factor).clamp(min=0).minimum(limits)  # (N, 2)
    stop = (corners.amax(1).ceil() + factor + 1).clamp(min=0).minimum(limits)
    blocks = max(1, -(-int((stop - start).max()) // factor))
    reduced = matrices.double()  # crop pixels → blocks; a pixel's centre is at a whole number
    reduced[:, :, 2] -= start + (factor - 1) / 2
    reduced /= factor
    step = max(1, _SAMPLES // (blocks * factor) ** 2)
    device = pictures.device
    start, reduced = start.float().to(device), reduced.float().to(device)
    parts = []
    for a in range(0, len(owners), step):
        small = _as_bytes(_block_means(pictures, owners[a : a + step], start[a : a + step], blocks, factor))
        parts.append(crops(small, torch.arange(len(small), device=device), reduced[a : a + step], size))
    return torch.cat(parts)


def _block_means(pictures: Tensor, owners: Tensor, start: Tensor, blocks: int, factor: int) -> Tensor:
    """float32 (N, blocks, blocks, 3) from pixel ``start`` (N, 2: x, y) on; black counts where a picture has ended."""
    along = torch.arange(blocks * factor, device=pictures.device, dtype=torch.float32)
    x, y = (along + start[:, axis, None] for axis in (0, 1))
    grid = (len(start), len(along), len(along))
    pixels = _picked(pictures, owners, x[:, None].expand(grid), y[:, :, None].expand(grid), along.new_ones(()))
    return pixels.view(-1, blocks, factor, blocks, factor, 3).mean((2, 4))


def _weighted(pictures: Tensor, dim: int, indices: Tensor, weights: Tensor) -> Tensor:
    """float32: rows (``dim`` 1) or columns (2) of a batch, each the weighted sum of some."""
    shape = [1, 1, 1, 1]
    shape[dim] = -1
    total = None
    for index, weight in zip(indices.unbind(), weights.unbind()):
        part = pictures.index_select(dim, index) * weight.view(shape)
        total = part if total is None else total.add_(part)
    assert total is not None
    return total


def _sampled(pictures: Tensor, owners: Tensor, matrices: Tensor, size: int, cubic_kernel: bool) -> Tensor:
    """float32 (N, size, size, 3)."""
    steps = torch.arange(size, device=pictures.device, dtype=torch.float32)
    x, y = (m[:, 0, None, None] * steps + m[:, 1, None, None] * steps[:, None] + m[:, 2, None, None]
            for m in matrices.unbind(1))  # fmt: skip  # (N, size, size) each
    return _cubic_samples(pictures, owners, x, y) if cubic_kernel else _linear_samples(pictures, owners, x, y)


def _linear_samples(pictures: Tensor, owners: Tensor, x: Tensor, y: Tensor) -> Tensor:
    left, top = x.floor(), y.floor()
    right_share, low_share = x - left, y - top
    total = None
    for down, row_share in ((0, 1 - low_share), (1, low_share)):
        for across, share in ((0, 1 - right_share), (1, right_share)):
            part = _picked(pictures, owners, left + across, top + down, row_share * share)
            total = part if total is None else total.add_(part)
    assert total is not None
    return total


def _cubic_samples(pictures: Tensor, owners: Tensor, x: Tensor, y: Tensor) -> Tensor:
    left, top = x.floor(), y.floor()
    total = None
    for down in range(-1, 3):
        row_share = cubic((y - top - down).abs())
        for across in range(-1, 3):
            share = row_share * cubic((x - left - across).abs())
            part = _picked(pictures, owners, left + across, top + down, share)
            total = part if total is None else total.add_(part)
    assert total is not None
    return total


def _picked(pictures: Tensor, owners: Tensor, x: Tensor, y: Tensor, share: Tensor) -> Tensor:
    """Whole pixels times their share, black outside: float32 (N, size, size, 3)."""
    _, height, width, _ = pictures.shape
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    row = owners[:, None, None] * height + y.clamp(0, height - 1).long()
    place = row * width + x.clamp(0, width - 1).long()
    pixels = pictures.reshape(-1, 3).index_select(0, place.reshape(-1))
    return pixels.view(*x.shape, 3) * (share * inside)[..., None]


def _as_bytes(values: Tensor) -> Tensor:
    return values if values.dtype == torch.uint8 else values.round_().clamp_(0, 255).to(torch.uint8)

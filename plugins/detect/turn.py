"""Turning a frame, and what was found in the turned one exactly back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from facestream.stream.types import Detections, Floats, Image

_RIGHT_ANGLES = {
    90: cv2.ROTATE_90_COUNTERCLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_CLOCKWISE,
}


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of a frame about its centre, onto a canvas that just holds all of it (spec §6.2, but not square).

    Attributes:
        width, height: the frame's, in pixels.
        degrees: counter-clockwise, 0–359. Multiples of 90 move whole pixels and lose nothing.
    """

    width: int
    height: int
    degrees: int

    @classmethod
    def of(cls, image: Image, degrees: int) -> Turn:
        return cls(image.shape[1], image.shape[0], degrees % 360)

    @property
    def linear(self) -> npt.NDArray[np.float64]:
        """(2, 2): the turn without its translation."""
        cos, sin = math.cos(math.radians(self.degrees)), math.sin(math.radians(self.degrees))
        if self.degrees % 90 == 0:
            cos, sin = round(cos), round(sin)
        return np.array([[cos, sin], [-sin, cos]], np.float64)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the canvas."""
        width, height = np.abs(self.linear) @ (self.width, self.height)
        return math.ceil(width - 1e-6), math.ceil(height - 1e-6)

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """(2, 3): frame pixels → canvas pixels."""
        shift = np.divide(self.size, 2) - self.linear @ (self.width / 2, self.height / 2)
        return np.column_stack([self.linear, shift])

    @property
    def index_matrix(self) -> npt.NDArray[np.float64]:
        """(2, 3): :attr:`matrix` between pixel indices, whose origin is a pixel's centre; what OpenCV warps by."""
        matrix = self.matrix
        matrix[:, 2] += self.linear @ (0.5, 0.5) - 0.5
        return matrix

    def image(self, image: Image) -> Image:
        """The frame, turned; the canvas's corners repeat the frame's border."""
        if self.degrees in _RIGHT_ANGLES:
            return np.asarray(cv2.rotate(image, _RIGHT_ANGLES[self.degrees]), np.uint8)
        turned = cv2.warpAffine(image, self.index_matrix, self.size, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(turned, np.uint8)

    def back(self, xy: Floats) -> Floats:
        """Canvas pixels (..., 2) → frame pixels, same shape."""
        matrix = self.matrix
        return np.asarray((xy - matrix[:, 2]) @ matrix[:, :2], np.float32)  # a rotation's inverse is its transpose

    def detections_back(self, found: Detections) -> Detections:
        """What was found on the canvas, in frame pixels. A box becomes the upright one around its four corners."""
        corners = self.back(found.boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]])  # (N, 4, 2)
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        return Detections(boxes, found.scores, None if found.points is None else self.back(found.points))

"""A stored mask and what is made of it: another edge, another square, the frame (spec §9.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

import cv2
import numpy as np

from facestream.faces.crops import RATIOS, enlarged, original_roi, sub_crop_size
from facestream.faces.mask_edges import Blur, blurred, dilated, thresholded
from facestream.stream.types import Doubles, Floats, Image, Ints, Masks


@dataclass(frozen=True, slots=True, eq=False)
class MaskView:
    """One face's mask. Each method gives a new one; the picture that it is made of never changes.

    The order of spec §9.2 is dilation, threshold, blur, another square: :meth:`finished`, then :meth:`recentred`.

    Attributes:
        centering: "legacy", "face" or "head".
        matrix: float32 (3, 3), frame pixels → mask pixels.
        pixels: uint8 (size, size), 255 where the face is.
    """

    centering: str
    matrix: Floats
    pixels: Image

    @classmethod
    def of(cls, masks: Masks, index: int) -> Self | None:
        """The mask of the face at ``index``; None when that face has none of this kind."""
        if not masks.present[index]:
            return None
        return cls(masks.centering, masks.matrices[index], masks.masks[index])

    @property
    def size(self) -> int:
        """Pixels of the edge."""
        return int(self.pixels.shape[0])

    @property
    def original_roi(self) -> Ints:
        """int32 (4, 2): the corners in the frame: top left, bottom left, bottom right, top right."""
        return original_roi(self.matrix, self.size)

    def finished(
        self,
        *,
        dilation: float = 0.0,
        threshold: float = 0.0,
        blur: int = 0,
        blur_type: Blur | str = Blur.GAUSSIAN,
        blur_passes: int = 1,
    ) -> Self:
        """The mask with another edge; see :mod:`facestream.faces.mask_edges`.

        Args:
            dilation: percent of the mask's edge; negative erodes.
            threshold: percent, 0 to 50.
            blur: the kernel in pixels of the mask.
            blur_type, blur_passes: which kernel, and how often.

        Raises:
            ValueError: the threshold is another, or there is no such blur.
        """
        pixels = thresholded(dilated(self.pixels, dilation), threshold)
        return replace(self, pixels=blurred(pixels, blur, blur_type, blur_passes))

    def recentred(
        self, offsets: dict[str, Floats], centering: str, *, coverage: float = 1.0, y_offset: float = 0.0
    ) -> Self:
        """The square that a crop of another centering shows, in the same pixels; empty outside this one.

        Args:
            offsets: centering → (2,), this face's: a row of :attr:`facestream.stream.types.Aligned.offsets`.
            coverage: the share of that crop to show, > 0.
            y_offset: as for :func:`facestream.faces.crops.crop_matrices`.
        """
        edge, wanted = self.size, sub_crop_size(self.size, self.centering, centering, coverage)
        shift = np.asarray(offsets[centering], np.float64) - offsets[self.centering] - (0.0, y_offset)
        centre = np.rint(shift * (edge - edge * RATIOS[self.centering]) + edge / 2)
        left, top = (centre - wanted // 2).astype(int).tolist()
        matrix = self.matrix.copy()
        matrix[:2, 2] -= (left, top)
        return replace(self, centering=centering, matrix=matrix, pixels=_window(self.pixels, left, top, wanted))

    def resized(self, size: int) -> Self:
        """The same square in ``size`` pixels: averages when smaller, linear when larger."""
        if size == self.size:
            return self
        interpolation = cv2.INTER_AREA if size < self.size else cv2.INTER_LINEAR
        pixels = np.asarray(cv2.resize(self.pixels, (size, size), interpolation=interpolation), np.uint8)
        return replace(self, matrix=enlarged(self.matrix[None], size / self.size)[0], pixels=pixels)

    def in_frame(self, size: tuple[int, int]) -> Image:
        """The mask laid over its whole frame: uint8 (h, w), 0 outside its square.

        Args:
            size: the frame's (width, height).
        """
        return _laid(self.pixels, self.matrix.astype(np.float64), size)

    def in_crop(self, matrix: Floats, size: int) -> Image:
        """The mask laid over a crop of its frame: uint8 (size, size), without the whole pixels of :meth:`recentred`.

        Args:
            matrix: float32 (3, 3), frame pixels → crop pixels, one of
                :func:`facestream.faces.crops.crop_matrices`. A singular one gives an empty mask.
            size: the crop's edge in pixels.
        """
        crop_to_frame = _inverse(matrix)
        if crop_to_frame is None:
            return np.zeros((size, size), np.uint8)
        return _laid(self.pixels, self.matrix.astype(np.float64) @ crop_to_frame, (size, size))


def views(masks: Masks) -> list[MaskView | None]:
    """Every face's mask, None for a face that has none of this kind."""
    return [MaskView.of(masks, index) for index in range(len(masks.masks))]


def joined_in_frame(masks: Iterable[MaskView | None], size: tuple[int, int]) -> Image:
    """Several faces' masks over their frame of ``size`` (w, h): uint8 (h, w), the most that any of them has."""
    joined = np.zeros(size[::-1], np.uint8)
    for mask in masks:
        if mask is not None:
            _lay(joined, mask.pixels, mask.matrix.astype(np.float64))
    return joined


def _laid(pixels: Image, to_mask: Doubles, size: tuple[int, int]) -> Image:
    picture = np.zeros(size[::-1], np.uint8)
    _lay(picture, pixels, to_mask)
    return picture


def _lay(picture: Image, pixels: Image, to_mask: Doubles) -> None:
    """Lay a mask over ``picture`` (h, w), in place, the larger value winning.

    Args:
        to_mask: float64 (3, 3), pixels of the picture → of the mask.
    """
    height, width = picture.shape
    rectangle = _rectangle(to_mask, pixels.shape[0], (width, height))
    if rectangle is None:
        return
    left, top, right, bottom = rectangle
    to_mask = to_mask @ np.array([[1, 0, left], [0, 1, top], [0, 0, 1]], np.float64)
    pixels, to_mask = _reduced(pixels, to_mask)
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    part = picture[top:bottom, left:right]
    np.maximum(part, cv2.warpAffine(pixels, to_mask[:2], (right - left, bottom - top), flags=flags), out=part)


def _rectangle(to_mask: Doubles, edge: int, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """The part (left, top, right, bottom) of a picture of ``size`` (w, h) that the mask's square touches, if any."""
    to_picture = _inverse(to_mask)
    if to_picture is None:
        return None
    corners = np.array([(-1, -1, 1), (-1, edge, 1), (edge, edge, 1), (edge, -1, 1)], np.float64)  # it fades out there
    places = (corners @ to_picture.T)[:, :2]
    lowest, highest = places.min(axis=0), places.max(axis=0)
    left, top = np.clip(np.floor(lowest), 0, size).astype(int).tolist()
    right, bottom = np.clip(np.ceil(highest) + 1, 0, size).astype(int).tolist()
    return (left, top, right, bottom) if right > left and bottom > top else None


def _reduced(pixels: Image, to_mask: Doubles) -> tuple[Image, Doubles]:
    """The mask, averaged over blocks where a pixel of the picture shows several of it.

    warpAffine looks at 4 pixels whatever the scale, INTER_AREA meaning INTER_LINEAR to it.
    """
    factor = int(min(np.hypot(to_mask[0, 0], to_mask[1, 0]), pixels.shape[0]))
    if factor < 2:
        return pixels, to_mask
    missing = -pixels.shape[0] % factor
    whole = cv2.copyMakeBorder(pixels, 0, missing, 0, missing, cv2.BORDER_CONSTANT, value=(0,))
    edge = whole.shape[0] // factor
    reduced = np.asarray(cv2.resize(whole, (edge, edge), interpolation=cv2.INTER_AREA), np.uint8)
    to_reduced = to_mask.copy()
    to_reduced[:2] /= factor
    to_reduced[:2, 2] -= (factor - 1) / (2 * factor)  # the middle of a block
    return reduced, to_reduced


def _inverse(matrix: Floats | Doubles) -> Doubles | None:
    """None when there is none."""
    wide = matrix.astype(np.float64)
    if not np.isfinite(wide).all() or abs(np.linalg.det(wide)) < 1e-12:
        return None
    return np.asarray(np.linalg.inv(wide), np.float64)


def _window(pixels: Image, left: int, top: int, size: int) -> Image:
    """The square of ``size`` pixels at (left, top), 0 where ``pixels`` (s, s) have ended."""
    edge = pixels.shape[0]
    window = np.zeros((size, size), np.uint8)
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + size, edge), min(top + size, edge)
    if x1 > x0 and y1 > y0:
        window[y0 - top : y1 - top, x0 - left : x1 - left] = pixels[y0:y1, x0:x1]
    return window

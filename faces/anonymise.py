"""Covering faces in pictures, so that neither people nor models can tell whose they are. Pure: a new image each time.

What stays of a face is a handful of averages: 6 × 6 colours smoothly joined (blur), 8 × 8 as squares (pixelate), or
nothing (box). The number doesn't depend on the face's size in the picture. A blur of fixed width, or one that merely
looks strong, can be undone; averages that are left out can't.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import cv2
import numpy as np

from facestream.stream.types import Bools, Doubles, Faces, Floats, Image, Masks


class Cover(Enum):
    """What a face gives way to."""

    BLUR = "blur"
    PIXELATE = "pixelate"
    BOX = "box"


CELLS: Final = {Cover.BLUR: 6, Cover.PIXELATE: 8}
"""Averages along a face's longer edge."""

_LEAST_CELL: Final = 3  # pixels: a tiny face is fewer cells rather than hardly changed
_STEPS: Final = 4  # of a blur from one average to the next
_BOX_COLOUR: Final = 32  # grey level
_BOX_MARGIN: Final = 0.15  # of the box's longer edge, to each side, where nothing else tells a face's outline
_OUTLINE_GROWTH: Final = 1.25  # around the landmarks' hull, forehead included
_FOREHEAD: Final = 0.45  # of the way from chin to brows, added above the brows
_MASK_GROWTH: Final = 0.06  # of a face's longer edge
_MASK_LEVEL: Final = 32  # of 255: the soft edge of a mask belongs to it
_MASK_SHARE: Final = 0.5  # of the landmarks' hull that a mask has to fill, or it isn't one of the face


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """Where a face is.

    Attributes:
        left, top: of ``area`` in the frame.
        area: bool (h, w), true on the face; never empty, wholly within the frame.
        edge: the face's longer edge in pixels, also where the frame cuts it off.
    """

    left: int
    top: int
    area: Bools
    edge: float


def covered(image: Image, regions: Sequence[Region], cover: Cover) -> Image:
    """A copy of ``image``, uint8 (h, w, C), with each region covered. What hides each is taken from the original."""
    result = image.copy()
    for region in regions:
        height, width = region.area.shape
        place = np.s_[region.top : region.top + height, region.left : region.left + width]
        if cover is Cover.BOX:
            result[place] = _BOX_COLOUR
        else:
            result[place][region.area] = _averaged(image[place], region.edge, cover)[region.area]
    return result


def _averaged(pixels: Image, edge: float, cover: Cover) -> Image:
    """``pixels`` (h, w, C) as averages of squares, so many along ``edge``."""
    height, width = pixels.shape[:2]
    cell = max(_LEAST_CELL, min(int(np.ceil(edge / CELLS[cover])), max(height, width)))
    columns, rows = -(-width // cell), -(-height // cell)
    whole = cv2.copyMakeBorder(pixels, 0, rows * cell - height, 0, columns * cell - width, cv2.BORDER_REPLICATE)
    averages = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
    if cover is Cover.BLUR:  # smoothed while it is small: a blur as wide as a large face takes seconds
        averages = cv2.resize(averages, (columns * _STEPS, rows * _STEPS), interpolation=cv2.INTER_LINEAR)
        averages = cv2.GaussianBlur(averages, (0, 0), _STEPS / 2)
    between = cv2.INTER_LINEAR if cover is Cover.BLUR else cv2.INTER_NEAREST
    again = cv2.resize(averages, (columns * cell, rows * cell), interpolation=between)
    return np.asarray(again[:height, :width], np.uint8).reshape(pixels.shape)


def face_regions(faces: Faces, size: tuple[int, int], which: Bools | None = None) -> list[Region]:
    """Where the faces are, each by the best that is known of it; none for a face outside the frame.

    By its mask, grown a little, if one fills enough of the face; else by its landmarks with the forehead, together with
    the ellipse in its box, since either may be wrong; else by its box, enlarged.

    Args:
        size: the frame's width and height.
        which: bool (N,), the faces that are wanted; None for all.

    Raises:
        ValueError: neither the box nor the landmarks of a face are finite, so that it can't be said where it is.
    """
    wanted = range(len(faces)) if which is None else np.flatnonzero(which).tolist()
    regions = (_face_region(faces, index, size) for index in wanted)
    return [region for region in regions if region is not None]


def box_region(box: Floats, size: tuple[int, int], growth: float = 1.0) -> Region | None:
    """Where a face is of which only the box is known, (4,) ltrb; None outside the frame.

    Args:
        growth: how much larger than the box and its margin.
    """
    wide = np.asarray(box, np.float64)
    edge = max(1.0, float((wide[2:] - wide[:2]).max()))
    centre, half = (wide[:2] + wide[2:]) / 2, growth * ((wide[2:] - wide[:2]) / 2 + _BOX_MARGIN * edge)
    return _drawn([_rectangle(centre, half)], edge, size)


def _face_region(faces: Faces, index: int, size: tuple[int, int]) -> Region | None:
    points = None if faces.landmarks is None else faces.landmarks[index].astype(np.float64)
    box = faces.boxes[index].astype(np.float64)
    boxed = bool(np.isfinite(box).all())
    if points is None or not np.isfinite(points).all():
        if not boxed:
            raise ValueError("neither the box nor the landmarks of a face are finite")
        return box_region(faces.boxes[index], size)
    hull = np.asarray(cv2.convexHull(_with_forehead(points).astype(np.float32))[:, 0], np.float64)
    extent = np.ptp(hull, axis=0)
    edge = max(1.0, float(extent.max()))
    for masks in faces.masks.values():
        if masks.present[index] and (region := _mask_region(masks, index, hull, edge, size)) is not None:
            return region
    middle = (hull.max(axis=0) + hull.min(axis=0)) / 2
    outlines = [middle + _OUTLINE_GROWTH * (hull - middle)]
    if boxed:
        outlines.append(_ellipse((box[:2] + box[2:]) / 2, 1.1 * (box[2:] - box[:2]) / 2))
        edge = max(edge, float((box[2:] - box[:2]).max()))
    return _drawn(outlines, edge, size)


def _with_forehead(points: Doubles) -> Doubles:
    """The landmarks of one face and what lies above its brows, whatever their layout."""
    if len(points) != 68:
        return points
    up = points[17:27].mean(axis=0) - points[8]
    return np.concatenate([points, points[17:27] + _FOREHEAD * up])


def _mask_region(masks: Masks, index: int, hull: Doubles, edge: float, size: tuple[int, int]) -> Region | None:
    """The mask in the frame; None if it isn't one of the whole face."""
    to_frame = np.linalg.inv(masks.matrices[index].astype(np.float64))
    stored = masks.masks[index].shape[0]
    corners = np.array([(0, 0, 1), (stored, 0, 1), (stored, stored, 1), (0, stored, 1)], np.float64)
    square = (corners @ to_frame.T)[:, :2]
    canvas = _Canvas.around([hull, square], size, margin=_MASK_GROWTH * edge)
    if canvas is None:
        return None
    moved = np.array([[1, 0, -canvas.left], [0, 1, -canvas.top], [0, 0, 1]], np.float64) @ to_frame
    shown = cv2.warpAffine(masks.masks[index], moved[:2], (canvas.width, canvas.height), flags=cv2.INTER_LINEAR)
    area = (shown >= _MASK_LEVEL).astype(np.uint8)
    face = canvas.filled([hull])
    if np.count_nonzero(area & face) < _MASK_SHARE * np.count_nonzero(face):
        return None
    reach = 2 * max(1, round(_MASK_GROWTH * edge)) + 1
    grown = cv2.dilate(area, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    return canvas.region(np.asarray(grown, np.uint8), edge)


@dataclass(frozen=True, slots=True)
class _Canvas:
    """The part of a frame in which something is drawn."""

    left: int
    top: int
    width: int
    height: int

    @classmethod
    def around(cls, outlines: Sequence[Doubles], size: tuple[int, int], margin: float = 0.0) -> _Canvas | None:
        """None outside the frame."""
        points = np.concatenate(outlines)
        left, top = np.floor(points.min(axis=0) - margin).clip(0, size).astype(int).tolist()
        right, bottom = (np.ceil(points.max(axis=0) + margin) + 1).clip(0, size).astype(int).tolist()
        return cls(left, top, right - left, bottom - top) if right > left and bottom > top else None

    def filled(self, outlines: Sequence[Doubles]) -> Image:
        """uint8 (h, w): 1 within the convex outlines."""
        area = np.zeros((self.height, self.width), np.uint8)
        for outline in outlines:
            corners = np.rint(outline - (self.left, self.top)).clip(-30000, 30000)  # OpenCV's polygons overflow beyond
            cv2.fillConvexPoly(area, corners.astype(np.int32), (1,))
        return area

    def region(self, area: Image, edge: float) -> Region | None:
        """What is drawn, without the empty rows and columns around it; None if nothing is."""
        left, top, width, height = cv2.boundingRect(area)
        drawn = area[top : top + height, left : left + width].astype(np.bool_)
        return Region(self.left + left, self.top + top, drawn, edge) if drawn.size else None


def _drawn(outlines: Sequence[Doubles], edge: float, size: tuple[int, int]) -> Region | None:
    canvas = _Canvas.around(outlines, size)
    return None if canvas is None else canvas.region(canvas.filled(outlines), edge)


def _rectangle(centre: Doubles, half: Doubles) -> Doubles:
    return np.asarray(centre + half * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]))


def _ellipse(centre: Doubles, half: Doubles) -> Doubles:
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return np.asarray(centre + half * np.stack([np.cos(angles), np.sin(angles)], axis=1))

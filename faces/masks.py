"""Masks drawn from landmarks: of a face, its eyes or its mouth (spec §9.3). Cheap enough to be made when wanted."""

from __future__ import annotations

from typing import Final, TypeAlias

import cv2
import numpy as np

from facestream.errors import ConfigError
from facestream.faces.aligned import align, transform
from facestream.faces.crops import crop_matrices
from facestream.faces.landmarks import PARTS, LandmarkType, landmark_type, to_68
from facestream.faces.mask_edges import blurred, dilated
from facestream.stream.types import Aligned, Doubles, Floats, Image, Masks

Group: TypeAlias = tuple[int, ...]

AREAS: Final = ("face", "face_extended", "eye", "mouth")
"""What can be masked."""

NAMES: Final[dict[str, str]] = {"components": "face", "extended": "face_extended", "eye": "eye", "mouth": "mouth"}
"""What faceswap calls these masks → the area."""

_COMPONENTS: Final[dict[LandmarkType, tuple[Group, ...]]] = {
    LandmarkType.IBUG: (
        (*range(0, 9), 17),  # right half of the jaw
        (*range(8, 17), 26),  # left half
        (*range(17, 20), 8),  # right temple to the chin
        (*range(24, 27), 8),
        (*range(19, 25), 8),  # between the eyebrows to the chin
        (*range(17, 22), 27, *range(31, 36), 8),  # right eyebrow, nose, chin
        (*range(22, 27), 27, *range(31, 36), 8),
        (*range(27, 31), *range(31, 36)),  # nose
    ),
    LandmarkType.WFLW: (
        (*range(0, 17), 33),
        (*range(16, 33), 46),
        (*range(33, 36), 16),
        (*range(44, 47), 16),
        (*range(35, 45), 16),
        (*range(33, 38), 51, *range(55, 60), 16),
        (*range(42, 47), 51, *range(55, 60), 16),
        (*range(51, 55), *range(55, 60)),
    ),
}
_LARGEST: Final = 1e6  # pixels; OpenCV's polygons overflow far beyond it


def landmark_mask(
    landmarks: Floats, matrices: Floats, size: int, area: str = "face", *, dilation: float = 0.0, blur: int = 0
) -> Image:
    """One mask a face: uint8 (N, size, size), 255 inside the area, smooth at its edge.

    Args:
        landmarks: (N, M, 2) in frame pixels, M being 68 or 98.
        matrices: (N, 3, 3), frame pixels → mask pixels: :func:`facestream.faces.crops.crop_matrices` of the wanted
            centering and ``size``.
        size: the masks' edge in pixels.
        area: one of :data:`AREAS`, or of :data:`NAMES`. "face_extended" reaches up the forehead, by half the eyebrows'
            height above the eyes.
        dilation: percent of ``size`` by which the area grows, or shrinks when negative.
        blur: the edge in pixels of a Gaussian kernel that softens the border; 0 for none.

    Returns:
        The masks; that of a face whose landmarks aren't finite is empty.

    Raises:
        ConfigError: an unknown area, or landmarks of a layout that doesn't outline it.
    """
    area = area_of(area)
    landmarks = _outlining(landmarks, area)
    groups = _groups(landmark_type(landmarks), area)
    points = transform(matrices, landmarks)
    with np.errstate(invalid="ignore"):
        drawable = np.all(np.abs(points) < _LARGEST, axis=(1, 2))  # False for NaN, too
    points = np.where(drawable[:, None, None], points, 0.0)
    if area == "face_extended":
        points = _with_raised_eyebrows(points)
    masks = np.zeros((len(points), size, size), np.uint8)
    for index in np.flatnonzero(drawable):
        for group in groups:
            corners = np.rint(points[index, group]).astype(np.int32)
            cv2.fillConvexPoly(masks[index], cv2.convexHull(corners), (255,), lineType=cv2.LINE_AA)
        if dilation or blur:
            masks[index] = blurred(dilated(masks[index], dilation), blur)
    return masks


def landmark_masks(
    landmarks: Floats,
    area: str = "face",
    *,
    size: int = 128,
    centering: str = "face",
    aligned: Aligned | None = None,
    dilation: float = 0.0,
    blur: int = 0,
) -> Masks:
    """The masks of N faces as a mask model would have stored them.

    Args:
        landmarks, area, dilation, blur: as for :func:`landmark_mask`.
        size: the masks' edge in pixels.
        centering: "legacy", "face" or "head".
        aligned: what the landmarks imply, where it is known already.

    Raises:
        ConfigError: as for :func:`landmark_mask`.
    """
    area = area_of(area)
    _outlining(landmarks, area)
    matrices = crop_matrices(align(landmarks) if aligned is None else aligned, size, centering)
    return Masks(centering, matrices, landmark_mask(landmarks, matrices, size, area, dilation=dilation, blur=blur))


def area_of(name: str) -> str:
    """The area that is called so, by us or by faceswap.

    Raises:
        ConfigError: there is none.
    """
    area = NAMES.get(name, name)
    if area not in AREAS:
        raise ConfigError(f"no landmark mask is called {name!r}: choose from {', '.join(NAMES)}")
    return area


def _outlining(landmarks: Floats, area: str) -> Floats:
    kind = landmark_type(landmarks)
    if kind not in _COMPONENTS:
        raise ConfigError(f"{kind.value} landmarks don't outline a face: a landmark mask needs 68 or 98 of each")
    return to_68(landmarks) if area == "face_extended" else landmarks


def _groups(kind: LandmarkType, area: str) -> tuple[Group, ...]:
    """The point groups whose convex hulls together are the area."""
    if area.startswith("face"):
        return _COMPONENTS[kind]
    names = ("right_eye", "left_eye") if area == "eye" else ("mouth_outer",)
    return tuple(tuple(range(PARTS[kind][name].start, PARTS[kind][name].stop)) for name in names)


def _with_raised_eyebrows(points: Doubles) -> Doubles:
    """68 points whose eyebrows stand half as far again above a line from the temple along the eye's upper lid."""
    raised = points.copy()
    right_side = (points[:, 36] + points[:, 0]) // 2
    left_side = (points[:, 16] + points[:, 45]) // 2
    right_end = (points[:, 36] + right_side) // 2
    left_end = (points[:, 45] + left_side) // 2
    right_lid = np.concatenate([right_end[:, None], points[:, 36:40]], axis=1)
    left_lid = np.concatenate([points[:, 42:46], left_end[:, None]], axis=1)
    raised[:, 17:22] += (points[:, 17:22] - right_lid) // 2
    raised[:, 22:27] += (points[:, 22:27] - left_lid) // 2
    return raised

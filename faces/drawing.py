"""Drawing what was found, to look at: onto a whole frame, and onto a face's crop (spec §14.4, §16.1)."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

import cv2
import numpy as np

from facestream.faces import pose
from facestream.faces.aligned import align, average_distances, face_sizes, head_pose, solved, transform
from facestream.faces.crops import crop_matrices
from facestream.faces.landmarks import PARTS, LandmarkType, landmark_type
from facestream.stream.types import Aligned, Doubles, Faces, Floats, Image

Colour: TypeAlias = tuple[int, int, int]

YELLOW: Final[Colour] = (0, 255, 255)
GREEN: Final[Colour] = (0, 255, 0)
RED: Final[Colour] = (0, 0, 255)
BLUE: Final[Colour] = (255, 0, 0)
ORANGE: Final[Colour] = (0, 165, 255)
WHITE: Final[Colour] = (255, 255, 255)
BLACK: Final[Colour] = (0, 0, 0)

_AXIS_COLOURS: Final = (BLUE, GREEN, RED)  # of pose.AXES: to the head's right, up, forward
_PART_COLOURS: Final[dict[str, Colour]] = {
    "jaw": (255, 200, 0),
    "chin": (255, 200, 0),
    "right_eyebrow": (200, 120, 255),
    "left_eyebrow": (200, 120, 255),
    "nose": (120, 255, 255),
    "right_eye": (255, 255, 120),
    "left_eye": (255, 255, 120),
    "mouth_outer": (120, 120, 255),
    "mouth_inner": (120, 180, 255),
    "face": (255, 200, 0),
}
_ROI_SIZE: Final = 512  # the crop whose corners are drawn; its padding is a whole number of its pixels
_AROUND: Final = ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, 1), (-1, 1), (1, -1))
_REACH: Final = 30_000.0  # pixels; OpenCV's lines overflow far beyond it


class _Canvas(NamedTuple):
    """What is drawn on, and how.

    Attributes:
        image: drawn on in place.
        matrix: float64 (3, 3), frame pixels → the image's pixels.
        unit: the width of a line in pixels.
        text: the size of the letters, as OpenCV takes it.
    """

    image: Image
    matrix: Doubles
    unit: int
    text: float

    def at(self, points: Floats | Doubles) -> Doubles:
        """(M, 2) frame pixels → (M, 2) pixels of the image."""
        return np.asarray(transform(self.matrix[None], points[None])[0], np.float64)

    def line(self, points: Doubles, colour: Colour, *, closed: bool = False) -> None:
        """Join points (M, 2) of the image. Nothing is drawn when one isn't finite."""
        if not np.isfinite(points).all():
            return
        whole = np.rint(np.clip(points, -_REACH, _REACH)).astype(np.int32)
        cv2.polylines(self.image, [whole], closed, colour, self.unit, cv2.LINE_AA)

    def dots(self, points: Doubles, colour: Colour) -> None:
        """A dot of radius ``unit`` at each point (M, 2) of the image."""
        whole = np.rint(np.clip(points[np.isfinite(points).all(axis=1)], -_REACH, _REACH)).astype(int)
        for x, y in whole.tolist():
            cv2.circle(self.image, (x, y), self.unit, colour, cv2.FILLED)

    def write(self, text: str, corner: tuple[float, float], colour: Colour) -> None:
        """Letters whose bottom left is at ``corner``, moved so far that they lie inside the image, outlined in
        black.
        """
        font = cv2.FONT_HERSHEY_SIMPLEX
        (width, height), below = cv2.getTextSize(text, font, self.text, self.unit)
        rows, columns = self.image.shape[:2]
        x = round(min(max(corner[0], 1.0), max(columns - width - 1.0, 1.0)))
        y = round(min(max(corner[1], height + 1.0), max(rows - below - 1.0, 1.0)))
        # Not one thick black text below: OpenCV 5 makes letters of a heavier face wider, too.
        for dx, dy in _AROUND:
            place = (x + dx * self.unit, y + dy * self.unit)
            cv2.putText(self.image, text, place, font, self.text, BLACK, self.unit, cv2.LINE_AA)
        cv2.putText(self.image, text, (x, y), font, self.text, colour, self.unit, cv2.LINE_AA)


class _View(NamedTuple):
    """One face with landmarks, its arrays kept one row long.

    Attributes:
        landmarks: float32 (1, M, 2), frame pixels.
        aligned: their aligned view.
    """

    landmarks: Floats
    aligned: Aligned

    @property
    def kind(self) -> LandmarkType:
        return landmark_type(self.landmarks)

    @property
    def posed(self) -> bool:
        """Whether the landmarks determine a pose."""
        return self.kind in (LandmarkType.IBUG, LandmarkType.WFLW) and bool(solved(self.aligned)[0])

    def corners(self, centering: str) -> Doubles:
        """(4, 2) frame pixels: the corners of the square that a crop in ``centering`` shows."""
        edge = _ROI_SIZE - 1.0
        matrix = crop_matrices(self.aligned, _ROI_SIZE, centering)[0].astype(np.float64)
        corners = np.array([(0, 0), (0, edge), (edge, edge), (edge, 0)])
        return np.asarray(transform(np.linalg.inv(matrix)[None], corners[None])[0], np.float64)

    def axes(self) -> tuple[Doubles, Doubles]:
        """The head's centre (2,) and the ends of its axes (3, 2), frame pixels."""
        ends = pose.axes(head_pose(self.aligned, self.landmarks))[0]
        points = np.concatenate([[(0.5, 0.5)], ends]) + self.aligned.offsets["head"][0]
        frame = transform(np.linalg.inv(self.aligned.matrices.astype(np.float64)), points[None])[0]
        return frame[0], frame[1:]


def draw_frame(image: Image, faces: Faces) -> Image:
    """A copy of a frame with its faces drawn onto it.

    Each has its box (white) with its index, its landmarks joined into lines, the squares that face (green) and head
    (orange) crops show, and the axes of its pose: blue to its right, green up, red forward. What isn't there, or isn't
    finite, isn't drawn.

    Args:
        image: uint8 BGR (h, w, 3).
        faces: the faces, in the image's pixels.

    Raises:
        ValueError: the landmarks have no known layout.
    """
    drawn = np.ascontiguousarray(image).copy()
    if drawn.size == 0:
        return drawn
    scale = max(drawn.shape[:2]) / 1280
    canvas = _Canvas(drawn, np.eye(3), max(1, round(1.5 * scale)), max(0.4, 0.8 * scale))
    if faces.landmarks is not None:
        for index in range(len(faces)):
            _draw_landmarks(canvas, _view(faces, index))
    boxes = {index: box.astype(np.float64) for index, box in enumerate(faces.boxes) if np.isfinite(box).all()}
    for left, top, right, bottom in boxes.values():
        canvas.line(np.array([(left, top), (left, bottom), (right, bottom), (right, top)]), WHITE, closed=True)
    for index, (left, top, _, _) in boxes.items():
        canvas.write(str(index), (left, top - 2 * canvas.unit), WHITE)
    return drawn


def draw_face(crop: Image, faces: Faces, index: int, *, centering: str = "head") -> Image:
    """A copy of a face's crop with what its alignment rests on drawn onto it (spec §14.4).

    Landmarks as yellow dots; the axes of the pose, blue to the face's right, green up, red forward; the square of face
    centering in green with its edge in pixels of the frame; that of legacy centering in red; and pitch, yaw, roll (in
    degrees) and the distance to the mean face in numbers. Lines and letters grow with the crop.

    Args:
        crop: uint8 BGR (s, s, 3), made in ``centering`` with full coverage.
        faces: with landmarks, in pixels of the frame that the crop is of.
        index: which of them the crop shows.

    Raises:
        ValueError: the faces have no landmarks, or the landmarks no known layout.
    """
    view = _view(faces, index)
    drawn = np.ascontiguousarray(crop).copy()
    size = drawn.shape[0]
    matrix = crop_matrices(view.aligned, size, centering)[0].astype(np.float64)
    canvas = _Canvas(drawn, matrix, max(1, round(size / 512)), max(0.35, 0.5 * size / 512))
    if not solved(view.aligned)[0]:
        canvas.write("not aligned", (0, 0), WHITE)
        return drawn
    legacy, face = canvas.at(view.corners("legacy")), canvas.at(view.corners("face"))
    canvas.line(legacy, RED, closed=True)
    canvas.line(face, GREEN, closed=True)
    canvas.dots(canvas.at(view.landmarks[0]), YELLOW)
    canvas.write(f"{face_sizes(view.aligned.matrices)[0]:.0f}px", (face[1, 0], face[1, 1] - 4 * canvas.unit), GREEN)
    if view.posed:
        _draw_axes(canvas, view)
        _write_measures(canvas, view)
    return drawn


def _view(faces: Faces, index: int) -> _View:
    if faces.landmarks is None:
        raise ValueError("drawing a face's alignment needs its landmarks")
    landmarks = faces.landmarks[index : index + 1]
    return _View(landmarks, align(landmarks) if faces.aligned is None else faces.aligned.take(slice(index, index + 1)))


def _draw_landmarks(canvas: _Canvas, view: _View) -> None:
    if solved(view.aligned)[0]:
        canvas.line(canvas.at(view.corners("head")), ORANGE, closed=True)
        canvas.line(canvas.at(view.corners("face")), GREEN, closed=True)
    parts = PARTS.get(view.kind, {})
    for name, part in parts.items():
        points = canvas.at(view.landmarks[0, part.start : part.stop])
        canvas.line(points, _PART_COLOURS[name], closed=part.closed)
    if not parts:
        canvas.dots(canvas.at(view.landmarks[0]), YELLOW)
    if view.posed:
        _draw_axes(canvas, view)


def _draw_axes(canvas: _Canvas, view: _View) -> None:
    centre, ends = view.axes()
    for end, colour in zip(ends, _AXIS_COLOURS):
        canvas.line(canvas.at(np.stack([centre, end])), colour)


def _write_measures(canvas: _Canvas, view: _View) -> None:
    pitch, yaw, roll = view.aligned.pose[0]
    distance = average_distances(view.aligned.matrices, view.landmarks)[0]
    lines = (f"pitch {pitch:.1f}", f"yaw {yaw:.1f}", f"roll {roll:.1f}", f"distance {100 * distance:.1f}")
    height = 40 * canvas.text
    for row, text in enumerate(lines, 1):
        canvas.write(text, (8 * canvas.unit, row * height), WHITE)

"""Smooth landmarks over time: what trembles from frame to frame without a face moving.

Shapes, apart from their place and size in the frame, are described by their principal components (Cootes et al.,
"Active Shape Models", CVIU 1995); each component's course over time is averaged, and the shapes are made again (spec
§16.1). What the leading components don't describe is noise, and goes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from facestream.io.alignments import Alignments
from facestream.io.face_record import Doubles
from facestream.io.images import natural_key
from facestream.jobs.alignments.changes import Plan
from facestream.jobs.alignments.session import Session
from facestream.jobs.alignments.work import Work

COMPONENTS: Final = 20
TAPS: Final = 5
POINTS: Final = 68

_UNCHANGED: Final = 1e-6  # pixels


def run(work: Work, session: Session) -> None:
    """Smooth the first face of each frame.

    Raises:
        FacestreamError: the file can't be read or written.
    """
    session.carry_out(plan(session.load(work.alignments, to_change=True)))


def plan(alignments: Alignments) -> Plan:
    """What it takes. ``alignments`` is smoothed in memory."""
    names = [
        (place, name)
        for place, name in enumerate(sorted(alignments.frames, key=natural_key))
        if alignments.faces(name) and len(alignments.faces(name)[0].landmarks_xy) == POINTS
    ]
    shapes = np.array([alignments.faces(name)[0].landmarks_xy for _, name in names]).reshape(-1, POINTS, 2)
    smoothed = smooth(shapes, np.array([place for place, _ in names], np.int64))
    changed = np.abs(smoothed - shapes).max(axis=(1, 2), initial=0.0)
    lines = []
    for (_, name), shape, distance in zip(names, smoothed, changed):
        if distance > _UNCHANGED:
            faces = alignments.faces(name)
            faces[0] = replace(faces[0], landmarks_xy=shape)
            lines.append(f"move the landmarks of face 0 of {name} by up to {distance:.2f} pixels")
    return Plan(alignments if lines else None, lines, notes=_notes(alignments, len(names), bool(lines)))


def _notes(alignments: Alignments, smoothed: int, changed: bool) -> list[str]:
    notes = []
    if others := alignments.faces_count - smoothed:
        notes.append(f"{others} faces left alone: not the first of their frame, or without {POINTS} landmarks")
    if changed:
        notes.append("face pictures, masks and thumbnails are those of the former landmarks; reextract makes new ones")
    return notes


def smooth(shapes: Doubles, places: npt.NDArray[np.int64], components: int = COMPONENTS, taps: int = TAPS) -> Doubles:
    """Smooth one face's landmarks over time.

    Args:
        shapes: float64 (T, M, 2), frame pixels.
        places: int64 (T,), rising: where each stands in time, in frames. A face that is away for ``taps`` frames is
            a new one: nothing is averaged over the gap. At the ends the mean is that of the frames there are.
        components: how many describe a shape; all there are where there are fewer.
        taps: frames in the moving average; odd.

    Returns:
        float64 (T, M, 2).
    """
    if len(shapes) < 2:
        return shapes
    normal = _normalise(shapes)
    flat = normal.shapes.reshape(len(shapes), -1)
    mean = flat.mean(axis=0)
    _, _, directions = np.linalg.svd(flat - mean, full_matrices=False)
    directions = directions[:components]
    # Whitening, dividing each course by its deviation, would cancel: the average is linear in each of them.
    courses = _average((flat - mean) @ directions.T, places, taps)
    return normal.restored((courses @ directions + mean).reshape(shapes.shape))


class _Normal(NamedTuple):
    """Shapes apart from where and how large they are.

    Attributes:
        shapes: (T, M, 2), centred on 0 and of unit root mean square.
        centres: (T, 1, 2), frame pixels.
        sizes: (T, 1, 1), frame pixels.
    """

    shapes: Doubles
    centres: Doubles
    sizes: Doubles

    def restored(self, shapes: Doubles) -> Doubles:
        return np.asarray(shapes * self.sizes + self.centres, np.float64)


def _normalise(shapes: Doubles) -> _Normal:
    centres = shapes.mean(axis=1, keepdims=True)
    sizes = np.sqrt(np.square(shapes - centres).mean(axis=(1, 2), keepdims=True))
    sizes = np.where(sizes > 0, sizes, 1.0)
    return _Normal((shapes - centres) / sizes, centres, sizes)


def _average(courses: Doubles, places: npt.NDArray[np.int64], taps: int) -> Doubles:
    """The mean over the frames at most ``taps // 2`` away in time."""
    reach = taps // 2
    first = np.searchsorted(places, places - reach, "left")
    last = np.searchsorted(places, places + reach, "right")
    sums = np.concatenate([np.zeros((1, courses.shape[1])), np.cumsum(courses, axis=0)])
    return np.asarray((sums[last] - sums[first]) / (last - first)[:, None], np.float64)

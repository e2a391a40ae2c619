"""What every detector must do, as checks to run on yours; :mod:`facestream.testing.conformance` is the door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from facestream.stream.stage import Stage
from facestream.stream.types import Detections, Detector, FrameFaces, Image
from facestream.testing.conformance_models import (
    CLOSE,
    ODD_SHAPES,
    cancelled_and_run_again,
    frame_of,
    require_floats,
    require_name_and_batch_size,
    views,
)
from facestream.testing.conformance_waiting import require


class DetectorSubject(NamedTuple):
    """A detector, with what to check it on.

    Attributes:
        detector: loaded.
        picture: uint8 BGR (h, w, 3) with at least one face that it finds.
        device: what it was loaded on.
    """

    detector: Detector
    picture: Image
    device: str = "cpu"

    @property
    def name(self) -> str:
        return self.detector.name

    def detect(self, *images: Image) -> list[Detections]:
        """The three verbs on one batch, and what came of it checked."""
        feed = self.detector.pre_process(images)
        found = self.detector.post_process(self.detector.infer(feed), feed)
        require(len(found) == len(images), self.name, f"{len(found)} results for {len(images)} frames")
        for image, detections in zip(images, found):
            _require_sound(self.name, image, detections)
        return found


DetectorCheck: TypeAlias = Callable[[DetectorSubject], None]


def _require_sound(name: str, image: Image, found: Detections) -> None:
    count = len(found.boxes)
    require_floats(name, "boxes", found.boxes, (count, 4))
    require_floats(name, "scores", found.scores, (count,))
    if found.points is not None:
        require_floats(name, "points", found.points, (count, 5, 2))
    require(bool(((found.scores >= 0) & (found.scores <= 1)).all()), name, f"scores beyond 0..1: {found.scores}")
    require(bool((np.diff(found.scores) <= 0).all()), name, f"the best isn't first: scores {found.scores}")
    left, top, right, bottom = found.boxes.T
    require(bool(((left < right) & (top < bottom)).all()), name, "a box isn't left, top, right, bottom")
    height, width = image.shape[:2]
    inside = (right > 0) & (bottom > 0) & (left < width) & (top < height)
    require(bool(inside.all()), name, f"a box lies outside its frame of {width}x{height}: are these frame pixels?")


def _require_same(name: str, found: Detections, expected: Detections, when: str) -> None:
    require(
        len(found.boxes) == len(expected.boxes), name, f"{len(found.boxes)} faces {when}, not {len(expected.boxes)}"
    )
    moved = np.abs(found.boxes - expected.boxes).max(initial=0.0)
    require(bool(moved <= CLOSE), name, f"a box moves by {moved:.1f} pixels {when}")
    changed = np.abs(found.scores - expected.scores).max(initial=0.0)
    require(bool(changed <= 0.02), name, f"a score changes by {changed:.3f} {when}")


def has_a_name_and_a_batch_size(subject: DetectorSubject) -> None:
    require_name_and_batch_size(subject.detector)


def finds_faces_in_a_photo_of_some(subject: DetectorSubject) -> None:
    (found,) = subject.detect(subject.picture)
    require(len(found.boxes) > 0, subject.name, "found nothing in the picture: give one with faces that it should find")


def gives_one_result_a_frame_whatever_the_batch(subject: DetectorSubject) -> None:
    for count in (0, 1, 2, subject.detector.batch_size):
        subject.detect(*[subject.picture] * count)


def finds_no_face_in_a_blank_frame(subject: DetectorSubject) -> None:
    (found,) = subject.detect(np.full((90, 120, 3), 127, np.uint8))
    require(len(found.boxes) == 0, subject.name, f"{len(found.boxes)} faces in an empty picture")


def takes_a_frame_of_many_faces(subject: DetectorSubject) -> None:
    subject.detect(np.tile(subject.picture, (2, 2, 1)))


def takes_frames_of_odd_sizes_alone_and_together(subject: DetectorSubject) -> None:
    frames = [np.zeros((*shape, 3), np.uint8) for shape in ODD_SHAPES]
    for frame in frames:
        subject.detect(frame)
    subject.detect(*frames, subject.picture)


def takes_frames_however_they_lie_in_memory(subject: DetectorSubject) -> None:
    for view in views(subject.picture):
        (found,), (expected,) = subject.detect(view), subject.detect(np.ascontiguousarray(view))
        _require_same(subject.name, found, expected, f"with strides of {view.strides}")


def leaves_the_frames_as_they_are(subject: DetectorSubject) -> None:
    noise = np.random.default_rng(0).integers(0, 256, subject.picture.shape, np.uint8)
    given = noise.copy()
    subject.detect(given, given)
    require(bool((given == noise).all()), subject.name, "changes the frames that it is given")


def finds_in_a_batch_what_it_finds_alone(subject: DetectorSubject) -> None:
    mirrored = np.ascontiguousarray(subject.picture[:, ::-1])
    together = subject.detect(subject.picture, mirrored, np.zeros_like(subject.picture))
    for found, image in zip(together, (subject.picture, mirrored)):
        (alone,) = subject.detect(image)
        _require_same(subject.name, found, alone, "in a batch with others")


def keeps_nothing_of_a_batch_on_itself(subject: DetectorSubject) -> None:
    """While one batch is inferred, the next is prepared and the one before finished."""
    batches = ([subject.picture], [np.ascontiguousarray(subject.picture[:, ::-1]), np.zeros((50, 70, 3), np.uint8)])
    expected = [subject.detect(*images) for images in batches]
    feeds = [subject.detector.pre_process(images) for images in batches]
    raws = [subject.detector.infer(feed) for feed in feeds]
    for index in (1, 0):
        found = subject.detector.post_process(raws[index], feeds[index])
        require(len(found) == len(expected[index]), subject.name, "mixes up its batches when they overlap")
        for one, other in zip(found, expected[index]):
            _require_same(subject.name, one, other, "when batches overlap")


def can_be_loaded_again(subject: DetectorSubject) -> None:
    (before,) = subject.detect(subject.picture)
    subject.detector.load(subject.device)
    (after,) = subject.detect(subject.picture)
    _require_same(subject.name, after, before, "after loading again")


def works_on_after_being_cancelled_half_way(subject: DetectorSubject) -> None:
    (expected,) = subject.detect(subject.picture)
    faces = cancelled_and_run_again(subject.detector, Stage.detect, FrameFaces(frame=frame_of(subject.picture)))
    found = Detections(faces.boxes, faces.scores, faces.points)
    _require_same(subject.name, found, expected, "after a cancelled batch")


DETECTOR_CHECKS: Final[tuple[DetectorCheck, ...]] = (
    has_a_name_and_a_batch_size,
    finds_faces_in_a_photo_of_some,
    gives_one_result_a_frame_whatever_the_batch,
    finds_no_face_in_a_blank_frame,
    takes_a_frame_of_many_faces,
    takes_frames_of_odd_sizes_alone_and_together,
    takes_frames_however_they_lie_in_memory,
    leaves_the_frames_as_they_are,
    finds_in_a_batch_what_it_finds_alone,
    keeps_nothing_of_a_batch_on_itself,
    can_be_loaded_again,
    works_on_after_being_cancelled_half_way,
)
"""Every check; each raises an :class:`AssertionError` that names the detector and what it did."""


def check_detector(detector: Detector, picture: Image, device: str = "cpu") -> None:
    """Run every check of :data:`DETECTOR_CHECKS`. Not to be called inside a running event loop.

    Args:
        detector: loaded on ``device``.
        picture: uint8 BGR (h, w, 3) with at least one face that it finds.

    Raises:
        AssertionError: the first check that fails.
    """
    for check in DETECTOR_CHECKS:
        check(DetectorSubject(detector, picture, device))

"""What every model that looks at faces must do, as checks; :mod:`facestream.testing.conformance` is the door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from facestream.faces.landmarks import LandmarkType
from facestream.plugins.card import Role
from facestream.stream.stage import Stage, derive
from facestream.stream.types import ExtractBatch, FacePlugin, Faces, Floats, Image
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
from facestream.testing.plugins import FACE_68, FIVE_POINTS, in_boxes


class FaceSubject(NamedTuple):
    """A model that looks at faces, with what to check it on.

    Attributes:
        plugin: loaded.
        role: what it is for: decides what must have been written into the batch.
        picture: uint8 BGR (h, w, 3) with faces.
        faces: where they are: boxes, scores, landmarks, perhaps points.
        device: what it was loaded on.
    """

    plugin: FacePlugin
    role: Role
    picture: Image
    faces: Faces
    device: str = "cpu"

    @property
    def name(self) -> str:
        return self.plugin.name


FaceCheck: TypeAlias = Callable[[FaceSubject], None]
Results: TypeAlias = dict[str, np.ndarray[Any, Any]]


def made_faces(picture: Image, count: int = 4) -> Faces:
    """``count`` imagined frontal faces side by side in the middle of ``picture``, landmarks and points included."""
    height, width = picture.shape[:2]
    edge = min(0.8 * width / count, 0.5 * height)
    lefts = (np.arange(count) + 0.5) * width / count - edge / 2
    tops = np.full(count, (height - edge) / 2)
    boxes = np.stack([lefts, tops, lefts + edge, tops + edge], axis=1).astype(np.float32)
    return Faces(
        boxes=boxes,
        scores=np.full(count, 0.9, np.float32),
        points=in_boxes(FIVE_POINTS, boxes),
        landmarks=in_boxes(FACE_68, boxes),
    )


def look(subject: FaceSubject, batch: ExtractBatch) -> Results:
    """The three verbs on one batch as the engine calls them: what was written, checked."""
    derive(batch)
    feed = subject.plugin.pre_process(batch)
    raw = subject.plugin.infer(feed)
    subject.plugin.post_process(raw, feed, batch)
    return _results(subject, batch)


def _results(subject: FaceSubject, batch: Faces) -> Results:
    name, count = subject.name, len(batch)
    if subject.role is Role.ALIGN:
        return _landmarks(name, batch, count)
    if subject.role is Role.MASK:
        require(bool(batch.masks), name, "a mask model wrote no masks into the batch")
        for key, masks in batch.masks.items():
            edge = masks.masks.shape[-1]
            sound = masks.masks.dtype == np.uint8 and masks.masks.shape == (count, edge, edge)
            told = f"{masks.masks.dtype} {masks.masks.shape}"
            require(sound, name, f"mask {key!r} is {told}, not uint8 ({count}, size, size)")
            require_floats(name, f"the matrices of mask {key!r}", masks.matrices, (count, 3, 3))
            require(masks.centering in ("legacy", "face", "head"), name, f"its centering is {masks.centering!r}")
        return {key: masks.masks for key, masks in batch.masks.items()}
    require(bool(batch.identities), name, "an identity model wrote no identities into the batch")
    for key, rows in batch.identities.items():
        require_floats(name, f"identities {key!r}", rows, (count, *np.shape(rows)[1:2]))
    return dict(batch.identities)


def _landmarks(name: str, batch: Faces, count: int) -> Results:
    landmarks = batch.landmarks
    if landmarks is None:
        raise AssertionError(f"{name}: an aligner wrote no landmarks into the batch")
    points = landmarks.shape[1] if landmarks.ndim == 3 else LandmarkType.IBUG.value
    require_floats(name, "landmarks", landmarks, (count, points, 2))
    known = [kind.value for kind in LandmarkType]
    require(points in known, name, f"{points} landmarks a face are of no known layout ({known})")
    results: Results = {"landmarks": landmarks}
    if batch.landmark_scores is not None:
        scores = batch.landmark_scores
        require_floats(name, "landmark scores", scores, (count,))
        require(bool(((scores >= 0) & (scores <= 1)).all()), name, f"landmark scores beyond 0..1: {scores}")
        results["landmark scores"] = scores
    return results


def _batch(subject: FaceSubject, *parts: tuple[Image, Faces]) -> ExtractBatch:
    """One frame a part, without what the model is to find out itself."""
    faces = [part for _, part in parts]
    known = ["boxes", "scores", "points"] + ([] if subject.role is Role.ALIGN else ["landmarks"])
    joined = {name: _joined([getattr(part, name) for part in faces]) for name in known}
    return ExtractBatch(
        frames=[frame_of(image, seq) for seq, (image, _) in enumerate(parts)],
        frame_ids=np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in faces]),
        **joined,
    )


def _joined(arrays: list[Floats | None]) -> Any:
    present = [array for array in arrays if array is not None]
    return np.concatenate(present) if len(present) == len(arrays) else None


def _some(faces: Faces, index: slice) -> Faces:
    return Faces(**faces.face_fields(index))


def _require_same_results(subject: FaceSubject, found: Results, expected: Results, when: str) -> None:
    name = subject.name
    require(found.keys() == expected.keys(), name, f"gives {sorted(found)} {when}, not {sorted(expected)}")
    for key, array in expected.items():
        require(found[key].shape == array.shape, name, f"{key} are {found[key].shape} {when}, not {array.shape}")
        allowed = {"landmarks": CLOSE, "landmark scores": 0.02}.get(key, 5.0 if array.dtype == np.uint8 else 0.02)
        change = np.abs(found[key].astype(np.float64) - array)
        # A mask's border may jump; that of a few pixels says nothing.
        worst = float((change.mean() if array.dtype == np.uint8 else change.max()) if change.size else 0.0)
        require(worst <= allowed, name, f"{key} differ by {worst:.3g} {when}")


def is_named_and_sized(subject: FaceSubject) -> None:
    require_name_and_batch_size(subject.plugin)


def takes_a_batch_without_faces(subject: FaceSubject) -> None:
    look(subject, _batch(subject, (subject.picture, _some(subject.faces, slice(0)))))


def takes_one_face_and_many_of_several_frames(subject: FaceSubject) -> None:
    picture, faces = subject.picture, subject.faces
    look(subject, _batch(subject, (picture, _some(faces, slice(1)))))
    nobody = _some(faces, slice(0))
    look(subject, _batch(subject, (picture, faces), (picture, nobody), (picture[:, ::-1].copy(), faces)))


def gives_a_face_what_it_gives_it_alone(subject: FaceSubject) -> None:
    together = look(subject, _batch(subject, (subject.picture, subject.faces)))
    for index in range(len(subject.faces)):
        row = slice(index, index + 1)
        alone = look(subject, _batch(subject, (subject.picture, _some(subject.faces, row))))
        mine = {key: array[row] for key, array in together.items()}
        _require_same_results(subject, mine, alone, "in a batch with others")


def takes_pictures_of_odd_sizes(subject: FaceSubject) -> None:
    for shape in ODD_SHAPES:
        image = np.zeros((*shape, 3), np.uint8)
        look(subject, _batch(subject, (image, made_faces(image, 1))))


def takes_pictures_however_they_lie_in_memory(subject: FaceSubject) -> None:
    for view in views(subject.picture):
        faces = made_faces(view, 2)
        found = look(subject, _batch(subject, (view, faces)))
        expected = look(subject, _batch(subject, (np.ascontiguousarray(view), faces)))
        _require_same_results(subject, found, expected, f"with strides of {view.strides}")


def takes_faces_beyond_the_frame_and_without_a_size(subject: FaceSubject) -> None:
    height, width = subject.picture.shape[:2]
    boxes = np.array(
        [
            (-300, -300, -200, -200),
            (width - 10, height - 10, width + 10, height + 10),
            (5, 5, 5, 5),
            (0, 0, 4 * width, 9),
            (-width, -height, 2 * width, 2 * height),
        ],
        np.float32,
    )
    faces = Faces(
        boxes=boxes,
        scores=np.full(len(boxes), 0.5, np.float32),
        landmarks=in_boxes(FACE_68, boxes),
    )
    look(subject, _batch(subject, (subject.picture, faces)))


def leaves_frames_and_boxes_as_they_are(subject: FaceSubject) -> None:
    noise = np.random.default_rng(0).integers(0, 256, subject.picture.shape, np.uint8)
    given = noise.copy()
    batch = _batch(subject, (given, subject.faces))
    kept: dict[str, Floats | None] = {
        name: None if (array := getattr(batch, name)) is None else array.copy()
        for name in ("boxes", "scores", "points", "frame_ids")
    }
    look(subject, batch)
    require(bool((given == noise).all()), subject.name, "changes the frames that it is given")
    for name, array in kept.items():
        same = np.array_equal(getattr(batch, name), array) if array is not None else getattr(batch, name) is None
        require(same, subject.name, f"changes the faces' {name}")


def keeps_nothing_of_a_batch(subject: FaceSubject) -> None:
    """While one batch is inferred, the next is prepared and the one before finished."""
    mirrored = np.ascontiguousarray(subject.picture[:, ::-1])

    def batches() -> list[ExtractBatch]:
        made = [
            _batch(subject, (subject.picture, subject.faces)),
            _batch(subject, (mirrored, _some(subject.faces, slice(1)))),
        ]
        for batch in made:
            derive(batch)
        return made

    expected = [look(subject, batch) for batch in batches()]
    overlapping = batches()
    feeds = [subject.plugin.pre_process(batch) for batch in overlapping]
    raws = [subject.plugin.infer(feed) for feed in feeds]
    for index in (1, 0):
        subject.plugin.post_process(raws[index], feeds[index], overlapping[index])
        found = _results(subject, overlapping[index])
        _require_same_results(subject, found, expected[index], "when batches overlap")


def can_be_loaded_twice(subject: FaceSubject) -> None:
    before = look(subject, _batch(subject, (subject.picture, subject.faces)))
    subject.plugin.load(subject.device)
    after = look(subject, _batch(subject, (subject.picture, subject.faces)))
    _require_same_results(subject, after, before, "after loading again")


def works_on_after_a_cancelled_batch(subject: FaceSubject) -> None:
    batch = _batch(subject, (subject.picture, subject.faces))
    expected = look(subject, _batch(subject, (subject.picture, subject.faces)))
    (known,) = batch.per_frame()
    faces = cancelled_and_run_again(subject.plugin, Stage.faces, known)
    _require_same_results(subject, _results(subject, faces), expected, "after a cancelled batch")


FACE_CHECKS: Final[tuple[FaceCheck, ...]] = (
    is_named_and_sized,
    takes_a_batch_without_faces,
    takes_one_face_and_many_of_several_frames,
    gives_a_face_what_it_gives_it_alone,
    takes_pictures_of_odd_sizes,
    takes_pictures_however_they_lie_in_memory,
    takes_faces_beyond_the_frame_and_without_a_size,
    leaves_frames_and_boxes_as_they_are,
    keeps_nothing_of_a_batch,
    can_be_loaded_twice,
    works_on_after_a_cancelled_batch,
)
"""Every check; each raises an :class:`AssertionError` that names the model and what it did."""


def check_face_plugin(
    plugin: FacePlugin, role: Role | str, picture: Image, faces: Faces | None = None, device: str = "cpu"
) -> None:
    """Run every check of :data:`FACE_CHECKS`. Not to be called inside a running event loop.

    Args:
        plugin: loaded on ``device``.
        role: what it is for: "align", "mask" or "identity".
        picture: uint8 BGR (h, w, 3), better with faces.
        faces: where they are, with landmarks; by default imagined ones (:func:`made_faces`).

    Raises:
        AssertionError: the first check that fails.
    """
    subject = FaceSubject(plugin, Role(role), picture, made_faces(picture) if faces is None else faces, device)
    for check in FACE_CHECKS:
        check(subject)

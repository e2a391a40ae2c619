from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import svd
from scipy.ndimage import convolve1d

from facestream.io.alignments import Alignments
from facestream.io.face_record import FaceAlignment, FrameEntry
from facestream.jobs.alignments import spatial
from facestream.jobs.alignments.spatial import smooth
from facestream.jobs.alignments.work import Work
from tests.jobs.alignments.build import STAMP, Heard, record


def trembling(count: int, seed: int = 0) -> np.ndarray:
    """A face that moves, grows and talks, with noise of half a pixel: (T, 68, 2)."""
    noise = np.random.default_rng(seed)
    base, mouth = noise.uniform(-30, 30, (2, 68, 2))
    time = np.arange(count)[:, None, None]
    still = (base + 0.1 * np.sin(time / 9) * mouth) * (1 + time / 400) + (100 + 2 * time)
    return still + noise.normal(scale=0.5, size=still.shape)


def in_scipy(shapes: np.ndarray, components: int = 20) -> np.ndarray:
    """The same, after the definition: whitened components, each filtered by a box of five."""
    count = len(shapes)
    centres = shapes.mean(axis=1, keepdims=True)
    sizes = np.linalg.norm(shapes - centres, axis=(1, 2), keepdims=True)
    flat = ((shapes - centres) / sizes).reshape(count, -1)
    mean = flat.mean(axis=0)
    left, values, right = svd(flat - mean, full_matrices=False)
    left, values, right = left[:, :components], values[:components], right[:components]
    deviation = values / np.sqrt(count - 1)
    whitened = left * values / deviation
    box = np.ones(5)
    weights = convolve1d(np.ones(count), box, mode="constant")
    filtered = convolve1d(whitened, box, axis=0, mode="constant") / weights[:, None]
    return ((filtered * deviation) @ right + mean).reshape(shapes.shape) * sizes + centres


@pytest.mark.parametrize("count", [2, 5, 19, 20, 21, 100])
def test_it_is_what_whitening_and_filtering_with_scipy_give(count: int) -> None:
    shapes = trembling(count)
    assert np.allclose(smooth(shapes, np.arange(count)), in_scipy(shapes), atol=1e-8)


def test_trembling_shrinks_and_the_movement_stays() -> None:
    shapes = trembling(200)
    smoothed = smooth(shapes, np.arange(200))
    jerk = [
        np.abs(np.diff(course - course.mean(axis=1, keepdims=True), 2, axis=0)).mean() for course in (shapes, smoothed)
    ]
    assert jerk[1] < 0.3 * jerk[0]
    assert np.allclose(smoothed.mean(axis=1), shapes.mean(axis=1))
    assert np.abs(smoothed - shapes).max() < 3


def test_three_frames_by_hand() -> None:
    square = np.array([(-1, -1), (-1, 1), (1, 1), (1, -1)], float)
    wide = square * (np.sqrt(1.5), np.sqrt(0.5))
    shapes = np.stack([square, wide, square])
    mean = (2 * square + wide) / 3
    assert np.allclose(smooth(shapes, np.arange(3)), mean)
    assert np.allclose(smooth(shapes * 7 + 3, np.arange(3)), mean * 7 + 3)


def test_nothing_is_averaged_over_a_gap() -> None:
    before, after = trembling(10, 1), trembling(10, 2)
    smoothed = smooth(np.concatenate([before, after]), np.r_[0:10, 50:60], components=136)
    assert np.allclose(smoothed[:10], smooth(before, np.arange(10), components=136))
    assert np.allclose(smoothed[10:], smooth(after, np.arange(10), components=136))


@pytest.mark.parametrize("count", [0, 1])
def test_one_frame_cant_tremble(count: int) -> None:
    shapes = trembling(5)[:count]
    assert np.array_equal(smooth(shapes, np.arange(count)), shapes)


def test_a_still_face_stays_where_it_is() -> None:
    shapes = np.repeat(trembling(1), 12, axis=0)
    assert np.allclose(smooth(shapes, np.arange(12)), shapes)
    assert np.isfinite(smooth(np.full((3, 68, 2), 5.0), np.arange(3))).all()  # all points in one spot


# The job


def clip(path: Path, count: int = 12) -> Alignments:
    """Frames in the wrong order, each with a second face; the fourth has none."""
    alignments = Alignments(path)
    for n in reversed(range(count)):
        first = replace(record(10), landmarks_xy=trembling(count)[n])
        alignments.replace(f"clip_{n + 1:06d}.mp4", [] if n == 3 else [first, record(200)])
    alignments.save(None)
    return alignments


def test_the_first_face_of_each_frame_is_smoothed_in_the_order_of_time(tmp_path: Path, heard: Heard) -> None:
    before = clip(tmp_path / "a.fsa")
    spatial.run(Work(before.path), heard.session())
    after = Alignments.load(before.path)
    places = np.array([n for n in range(12) if n != 3])
    wanted = smooth(trembling(12)[places], places)
    found = [after.faces(f"clip_{n + 1:06d}.mp4")[0].landmarks_xy for n in places]
    assert np.allclose(found, wanted)
    assert all(
        np.array_equal(entry.faces[1].landmarks_xy, record(200).landmarks_xy)
        for entry in after.frames.values()
        if entry.faces
    )
    assert list(after.frames) == list(before.frames)
    assert (tmp_path / f"a_bk_{STAMP}.fsa").exists()
    assert heard.told[:2] == [
        "11 faces left alone: not the first of their frame, or without 68 landmarks",
        "face pictures, masks and thumbnails are those of the former landmarks; reextract makes new ones",
    ]


def test_other_layouts_are_left_alone(tmp_path: Path, heard: Heard) -> None:
    face = FaceAlignment.from_dict(record(1).to_dict() | {"landmarks_xy": np.zeros((98, 2))})
    alignments = Alignments(tmp_path / "a.fsa", {"a.jpg": FrameEntry([face]), "b.jpg": FrameEntry([face])})
    alignments.save(None)
    before = alignments.path.read_bytes()
    spatial.run(Work(alignments.path), heard.session())
    assert heard.told[-1] == "nothing to change"
    assert alignments.path.read_bytes() == before


def test_a_rehearsal_does_nothing(tmp_path: Path, heard: Heard) -> None:
    alignments = clip(tmp_path / "a.fsa")
    before = alignments.path.read_bytes()
    spatial.run(Work(alignments.path), heard.session(dry_run=True))
    assert len(heard.said) == 12
    assert heard.said[0].startswith("would move the landmarks of face 0 of clip_000001.mp4 by up to ")
    assert alignments.path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1

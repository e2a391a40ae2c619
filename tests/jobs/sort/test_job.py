from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from facestream.errors import ConfigError, OutputError, SourceUnavailable
from facestream.io.folder_lock import changing
from facestream.jobs.sort.record import NAME, read_record
from tests.jobs.sort.build import (
    FakeEmbedder,
    contents,
    face,
    is_unsorted,
    landmarks,
    people,
    person_of,
    pixels,
    settings,
    sorted_by,
    tree,
    undone,
)


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Seven faces of three people."""
    return people(tmp_path / "faces", [2, 4, 1])


def groups_in(folder: Path) -> list[str]:
    return [path.name for path in sorted(folder.iterdir()) if path.is_dir()]


async def test_each_group_is_one_person_the_most_frequent_first(faces: Path) -> None:
    before = contents(faces)
    report = await sorted_by(settings("none", "face"), faces)
    assert {name: len(list((faces / name).iterdir())) for name in ("_face_000", "_face_001", "_face_002")} == {
        "_face_000": 4,
        "_face_001": 2,
        "_face_002": 1,
    }
    for group in report.placed:
        assert len({person_of(faces / group.folder / name) for name in group.names}) == 1
    assert contents(faces) == before
    assert report.count == 7


async def test_sorted_in_place_faces_get_numbers_and_like_ones_are_neighbours(faces: Path) -> None:
    before = contents(faces)
    await sorted_by(settings("face"), faces)
    names = sorted(tree(faces))
    assert [name[:7] for name in names] == [f"{number:06d}_" for number in range(7)]
    shown = [person_of(faces / name) for name in names]
    assert sum(one != other for one, other in pairwise(shown)) == 2
    assert contents(faces) == before


async def test_sorting_again_replaces_the_numbers(faces: Path) -> None:
    before = tree(faces)
    for how in (settings("face"), settings("blur"), settings("hist", "face"), settings("size", "yaw")):
        await sorted_by(how, faces)
    after = tree(faces)
    assert {Path(name).name[7:]: content for name, content in after.items()} == before
    assert len({Path(name).parent for name in after}) == 1  # all look straight ahead; no folder is left over
    assert groups_in(faces) == ["_yaw_002_by_size"]


async def test_undone_everything_is_as_it_was(faces: Path) -> None:
    before = tree(faces)
    await sorted_by(settings("face"), faces)
    await sorted_by(settings("yaw", "face"), faces)
    report = await undone(faces)
    assert tree(faces) == before
    assert is_unsorted(faces)
    assert len(report.record.entries) == 7


async def test_undone_faces_that_were_moved_by_hand_come_back_and_deleted_ones_dont(faces: Path) -> None:
    before = tree(faces)
    await sorted_by(settings("none", "face"), faces)
    (faces / "_face_002/0_2.png").rename(faces / "_face_000/0_2.png")
    (faces / "_face_001/0_0.png").unlink()
    await undone(faces)
    assert tree(faces) == {name: content for name, content in before.items() if name != "0_0.png"}


@pytest.mark.parametrize("output", [None, "out"])
async def test_what_cant_be_finished_can_be_undone(faces: Path, output: str | None) -> None:
    before = tree(faces)
    target = faces if output is None else faces.with_name(output)
    await sorted_by(settings("none", "face"), faces, target if output else None, stop_after=3)
    rename = os.rename

    def full(source: Any, to: Any) -> None:
        if "_face_" in str(to):
            raise OSError(errno.ENOSPC, "No space left on device")
        rename(source, to)

    with mock.patch("os.rename", full):
        with pytest.raises(OutputError, match="No space left"):
            await sorted_by(settings("none", "face"), faces, target if output else None)
        report = await undone(target)
    assert tree(faces) == before
    assert len(report.record.entries) == 7
    assert is_unsorted(target)


async def test_nothing_to_undo_is_told(faces: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to undo"):
        await undone(faces)


async def test_kept_faces_are_copied(faces: Path, tmp_path: Path) -> None:
    before = tree(faces)
    await sorted_by(settings("none", "face"), faces, tmp_path / "out", copies=True)
    assert tree(faces) == before
    assert contents(tmp_path / "out") == contents(faces)
    with pytest.raises(ConfigError, match="holds copies"):
        await undone(tmp_path / "out")


async def test_moved_faces_can_be_brought_back(faces: Path, tmp_path: Path) -> None:
    before = tree(faces)
    await sorted_by(settings("face"), faces, tmp_path / "out")
    assert tree(faces) == {}
    assert contents(tmp_path / "out") == sorted(before.values())
    await undone(tmp_path / "out")
    assert tree(faces) == before


async def test_a_folder_with_something_in_it_isnt_sorted_into(faces: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x.txt").touch()
    before = tree(faces)
    with pytest.raises(ConfigError, match=r"out isn't empty; choose another folder with -o"):
        await sorted_by(settings("face"), faces, tmp_path / "out")
    assert tree(faces) == before


async def test_somebody_elses_group_folder_is_left_alone(faces: Path) -> None:
    face(faces / "_face_000" / "theirs.png", person=5)
    before = tree(faces)
    with pytest.raises(OutputError, match=r"_face_000 is there already, .*: move it away, or sort into another"):
        await sorted_by(settings("none", "face"), faces)
    assert tree(faces) == before
    await sorted_by(settings("blur"), faces)
    assert "_face_000/theirs.png" in tree(faces)


async def test_embeddings_are_computed_once_and_in_batches_of_those_that_lack_them(tmp_path: Path) -> None:
    for number, level in enumerate((0, 50, 100, 51)):
        face(tmp_path / f"{number}.png", image=pixels(level))
    face(tmp_path / "4.png", person=2)
    embedder = FakeEmbedder()
    report = await sorted_by(settings("none", "face"), tmp_path, embedder=embedder)
    assert embedder.seen == ["0.png", "1.png", "2.png", "3.png"]
    assert sorted(sorted(group.names) for group in report.placed) == [["0.png"], ["1.png", "3.png"], ["2.png", "4.png"]]


async def test_what_cant_be_sorted_stays_and_is_named(faces: Path) -> None:
    (faces / "plain.jpg").write_bytes(b"no picture")
    (faces / "notes.txt").write_text("not looked at")
    face(faces / "odd.png", person=1, points=np.zeros((68, 2), np.float32))
    face(faces / "bright.png", image=pixels(255))
    report = await sorted_by(settings("yaw", "face"), faces)
    assert {left.picture.path.name: left.reason for left in report.left} == {
        "plain.jpg": "has no header of an extracted face",
        "odd.png": "has no 68 landmarks that make a face",
        "bright.png": "is too bright",
    }
    assert {"plain.jpg", "odd.png", "bright.png"} <= set(tree(faces))
    assert report.count == 7


async def test_a_face_that_cant_be_sorted_any_more_leaves_its_group(faces: Path) -> None:
    await sorted_by(settings("none", "face"), faces)
    (faces / "_face_002/0_2.png").write_bytes(b"damaged")
    report = await sorted_by(settings("blur", "face"), faces)
    assert (faces / "0_2.png").read_bytes() == b"damaged"
    assert len(report.left) == 1
    assert not (faces / "_face_002").exists()


async def test_pictures_without_a_header_are_sorted_by_their_pixels(tmp_path: Path) -> None:
    import cv2

    for name, level in (("a.jpg", 10), ("b.bmp", 200), ("c.png", 90)):
        cv2.imwrite(str(tmp_path / name), pixels(level))
    await sorted_by(settings("color-gray"), tmp_path)
    assert sorted(tree(tmp_path)) == ["000001_c.png", "000002_a.jpg"]
    assert (tmp_path / "000000_b.bmp").exists()


@pytest.mark.parametrize("method", ["blur", "blur-fft", "hist", "hist-dissim", "color-black", "color-luma"])
@pytest.mark.parametrize("kind", ["with", "without"])
async def test_every_method_of_pixels_takes_every_picture(tmp_path: Path, method: str, kind: str) -> None:
    import cv2

    for number in range(3):
        image = np.random.default_rng(number).integers(0, 256, (16 + number, 16 + number, 3), np.uint8)
        path = tmp_path / f"{number}.png"
        face(path, image=image) if kind == "with" else cv2.imwrite(str(path), image)
    report = await sorted_by(settings(method), tmp_path)
    assert report.count == 3


@pytest.mark.parametrize("method", ["distance", "face-cnn", "face-cnn-dissim", "yaw", "pitch", "roll", "size"])
async def test_every_method_of_landmarks_orders_faces(tmp_path: Path, method: str) -> None:
    for number, size in enumerate((50, 200, 100)):
        face(tmp_path / f"{number}.png", points=landmarks(size, noise=0.01 * number, seed=number))
    report = await sorted_by(settings(method), tmp_path)
    names = report.placed[0].names
    assert len(names) == 3
    if method == "size":
        assert [name[7:] for name in names] == ["1.png", "2.png", "0.png"]
    if method == "distance":
        assert names[0] == "000000_0.png"


async def test_faceswaps_numbers_are_stripped_too(tmp_path: Path) -> None:
    face(tmp_path / "000031_clip_000001_0.png", person=0, original="clip_000001_0.png")
    face(tmp_path / "000002_other.png", person=0, original="something_else_0.png")
    await sorted_by(settings("blur"), tmp_path)
    assert sorted(tree(tmp_path)) == ["000000_000002_other.png", "000001_clip_000001_0.png"]


async def test_an_empty_folder_and_a_single_face(tmp_path: Path) -> None:
    report = await sorted_by(settings("face", "face"), tmp_path)
    assert (report.count, report.complete, os.listdir(tmp_path)) == (0, True, [])
    face(tmp_path / "a.png", person=3)
    await sorted_by(settings("face", "face"), tmp_path)
    assert list(tree(tmp_path)) == ["_face_000/000000_a.png"]


async def test_a_stopped_sort_is_finished_by_the_next(faces: Path) -> None:
    before = contents(faces)
    report = await sorted_by(settings("none", "face"), faces, stop_after=3)
    assert (report.complete, report.moving) == (False, True)
    assert contents(faces) == before
    assert not read_record(faces).done  # type: ignore[union-attr]
    report = await sorted_by(settings("none", "face"), faces)
    assert (report.complete, report.finished, report.count) == (True, 7, 7)
    assert sorted(map(len, (group.names for group in report.placed))) == [1, 2, 4]
    assert contents(faces) == before


@pytest.mark.parametrize("copies", [False, True])
async def test_a_stopped_sort_into_another_folder_is_finished_by_the_next(
    faces: Path, tmp_path: Path, copies: bool
) -> None:
    before = contents(faces)
    out = tmp_path / "out"
    await sorted_by(settings("none", "face"), faces, out, copies=copies, stop_after=3)
    assert len(tree(out)) == 3
    report = await sorted_by(settings("none", "face"), faces, out, copies=copies)
    assert report.complete
    assert contents(out) == before
    assert contents(faces) == (before if copies else [])
    assert sorted(len(group.names) for group in report.placed) == [1, 2, 4]


async def test_a_stopped_sort_can_be_undone(faces: Path) -> None:
    before = tree(faces)
    await sorted_by(settings("none", "face"), faces, stop_after=3)
    await undone(faces)
    assert tree(faces) == before
    assert is_unsorted(faces)


async def test_stopped_while_it_looks_nothing_moves(faces: Path) -> None:
    from facestream.jobs.sort.job import SortJob
    from facestream.stream.device import Bridge

    before = tree(faces)
    async with Bridge("cpu", cpu_workers=1) as bridge:
        job = SortJob(settings("blur"), bridge, advanced=lambda what, done, total: job.stop())
        report = await job.run(faces)
    assert (report.complete, report.moving) == (False, False)
    assert tree(faces) == before
    assert NAME not in os.listdir(faces)


async def test_faces_that_another_job_changes_arent_sorted(faces: Path, tmp_path: Path) -> None:
    before = tree(faces)
    with changing(faces):
        for output in (None, tmp_path / "out"):
            with pytest.raises(OutputError, match="faces are being changed by another job"):
                await sorted_by(settings("face"), faces, output)
    assert tree(faces) == before
    assert not (tmp_path / "out").exists()


async def test_a_record_that_a_killed_run_has_half_written_is_in_nobodys_way(faces: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"

    def killed(*args: Any) -> None:
        raise KeyboardInterrupt

    with (
        mock.patch("os.replace", killed),
        mock.patch("pathlib.Path.unlink"),  # nobody tidies up after a kill
        mock.patch("pathlib.Path.rmdir"),
        pytest.raises(KeyboardInterrupt),
    ):
        await sorted_by(settings("face"), faces, output)
    assert any(name.endswith(".part") for name in os.listdir(output))
    await sorted_by(settings("face"), faces, output)
    assert len(tree(output)) == 7
    assert not any(name.endswith((".part", ".lock")) for name in os.listdir(output))


async def test_a_folder_that_isnt_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"can't read the folder .*/gone"):
        await sorted_by(settings("face"), tmp_path / "gone", tmp_path / "out")
    assert not (tmp_path / "out").exists()


async def test_a_face_that_vanishes_meanwhile_is_told(faces: Path) -> None:
    from facestream.jobs.sort.job import SortJob
    from facestream.stream.device import Bridge

    def vanish(what: str, done: int, total: int) -> None:
        (faces / "3_1.png").unlink(missing_ok=True)

    async with Bridge("cpu", cpu_workers=1) as bridge:
        report = await SortJob(settings("blur"), bridge, advanced=vanish).run(faces)
    assert report.gone == ["3_1.png"]
    assert len(tree(faces)) == 6


class Killed(BaseException):
    """The process is gone."""


@contextmanager
def dying_at(step: int) -> Iterator[list[int]]:
    """The ``step``-th change of a name never happens, nor any later one; the list holds how many did."""
    done = [0]

    def counted(function: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            if done[0] >= step:
                raise Killed
            done[0] += 1
            return function(*args, **options)

        return call

    with mock.patch.multiple(os, rename=counted(os.rename), replace=counted(os.replace)):
        yield done


@pytest.mark.parametrize("job", ["sort", "sort again", "undo"])
async def test_killed_at_any_step_no_face_is_lost_and_the_next_run_finishes(tmp_path: Path, job: str) -> None:
    for step in count():
        folder = people(tmp_path / f"{step}", [2, 1])
        before = tree(folder)
        if job != "sort":
            await sorted_by(settings("size", "face"), folder)
        run = undone if job == "undo" else partial(sorted_by, settings("none", "face"))
        with dying_at(step) as steps, suppress(Killed):
            await run(folder)
        assert contents(folder) == sorted(before.values())
        if read_record(folder) is not None or job != "undo":
            await run(folder)
        assert contents(folder) == sorted(before.values())
        assert {Path(name).name for name in tree(folder)} == before.keys()
        assert groups_in(folder) == ([] if job == "undo" else ["_face_000", "_face_001"])
        if steps[0] < step:
            break
    assert step > 3

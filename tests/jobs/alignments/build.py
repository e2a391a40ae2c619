"""A source's alignments file with its folder of face pictures, small and real; and whether the two agree."""

from __future__ import annotations

import os
import resource
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np

from facestream.io.alignments import Alignments
from facestream.io.face_record import FaceAlignment, FrameEntry
from facestream.io.faces import read_header, with_header
from facestream.io.fsa import read_fsa
from facestream.jobs.alignments.session import Session
from facestream.jobs.alignments.work import Work

NOW = datetime(2026, 3, 1, 14, 5, 9)
STAMP = "2026-03-01_14.05.09"


def record(
    x: int, *, y: int = 50, seed: int | None = None, mask: bool = False, identity: bool = False
) -> FaceAlignment:
    """A face of 60 pixels at (x, y)."""
    noise = np.random.default_rng(x * 1000 + y if seed is None else seed)
    fields: dict[str, Any] = {"x": x, "y": y, "w": 60, "h": 60, "mask": {}, "identity": {}}
    fields["landmarks_xy"] = noise.uniform(0, 60, (68, 2)) + np.array([x, y])
    if mask:
        content = zlib.compress(noise.integers(0, 256, 64, np.uint8).tobytes())
        matrix = [[0.5, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 1.0]]
        fields["mask"]["custom_face"] = {
            "mask": content,
            "affine_matrix": matrix,
            "interpolator": 1,
            "stored_size": 8,
            "stored_centering": "face",
        }
    if identity:
        fields["identity"]["sface"] = noise.normal(size=4)
    return FaceAlignment.from_dict(fields)


def picture(
    path: Path,
    face: FaceAlignment,
    frame: str,
    index: int,
    original: str,
    version: float = 2.4,
    *,
    is_video: bool = False,
) -> Path:
    """A PNG with the face's header."""
    pixels = np.random.default_rng(face.x * 1000 + face.y).integers(0, 256, (64, 64, 3), np.uint8)
    source = {
        "alignments_version": version,
        "original_filename": original,
        "face_index": index,
        "source_filename": frame,
        "source_is_video": is_video or version < 2.4 or frame.endswith((".mp4", ".avi")),
        "source_frame_dims": (240, 320),
    }
    header = {"alignments": face.to_dict(thumb=False), "source": source}
    path.write_bytes(with_header(cv2.imencode(".png", pixels)[1].tobytes(), header))
    return path


def extracted(root: Path, frames: Mapping[str, Sequence[FaceAlignment]], file: str = "alignments.fsa") -> Alignments:
    """What a job leaves: the file, saved, and a picture of each face in ``root / "faces"``."""
    faces = root / "faces"
    faces.mkdir(exist_ok=True)
    for name, records in frames.items():
        for index, face in enumerate(records):
            original = f"{Path(name).stem}_{index}.png"
            picture(faces / original, face, name, index, original)
    alignments = Alignments(root / file, {name: FrameEntry(list(records)) for name, records in frames.items()})
    alignments.save(None)
    return alignments


def agree(folder: Path, file: Path) -> bool:
    """Every picture is of the face that its header names, under the name that this gives, and each face has one."""
    _, frames = read_fsa(file)
    seen = set()
    for path in folder.glob("*.png"):
        header = read_header(path)
        name, index = header["source"]["source_filename"], header["source"]["face_index"]
        face = frames[name].faces[index]
        assert np.array_equal(face.landmarks_xy, header["alignments"]["landmarks_xy"]), path
        assert (face.x, face.y) == (header["alignments"]["x"], header["alignments"]["y"]), path
        assert path.name == header["source"]["original_filename"] == f"{Path(name).stem}_{index}.png"
        assert (name, index) not in seen
        seen.add((name, index))
    assert seen == {(name, index) for name, entry in frames.items() for index in range(len(entry.faces))}
    return True


def contents(root: Path) -> dict[str, bytes]:
    """Every file below a folder, the dated ones and temporary leftovers aside."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "_bk_" not in path.name and path.suffix != ".part"
    }


@dataclass
class Heard:
    """A session whose words are kept."""

    said: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def session(self, *, dry_run: bool = False, now: datetime = NOW) -> Session:
        return Session(self.said.append, self.told.append, now, dry_run)


def silent() -> Session:
    return Heard().session()


class Killed(BaseException):
    """The process is gone."""


@contextmanager
def full_disk(largest: int) -> Iterator[None]:
    """No file may grow beyond ``largest`` bytes: the system refuses, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def survives_every_kill(root: Path, make: Callable[[Path], Work], job: Callable[[Work], None]) -> int:
    """Whether ``job``, killed before any of its changes to the file system and run again, leaves what it leaves
    undisturbed; returns how many changes that are.
    """
    job(make(_folder(root / "undisturbed")))
    wanted = contents(root / "undisturbed")
    for step in count():
        work = make(_folder(root / f"killed-{step}"))
        with _dying_at(step) as steps, suppress(Killed):
            job(work)
        if steps[0] < step:
            return steps[0]
        job(work)
        assert contents(root / f"killed-{step}") == wanted, f"killed at step {step}"
    raise AssertionError


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


@contextmanager
def _dying_at(step: int) -> Iterator[list[int]]:
    """The ``step``-th change of a name in the file system never happens; the list holds how many did."""
    done = [0]

    def counted(function: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            if done[0] >= step:
                raise Killed
            done[0] += 1
            return function(*args, **options)

        return call

    with mock.patch.multiple(os, rename=counted(os.rename), replace=counted(os.replace), link=counted(os.link)):
        yield done

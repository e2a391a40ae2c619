"""Small folders of extracted faces: real PNGs with headers, in which everything is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facestream.faces.meanface import MEAN_FACE
from facestream.io.faces import read_header, with_header
from facestream.jobs.face_chain import UnreadFace
from facestream.jobs.sort.job import SortJob, SortSettings
from facestream.jobs.sort.methods import method_named
from facestream.jobs.sort.record import NAME
from facestream.stream.device import Bridge
from facestream.stream.types import Floats, Image

EDGE = 24


def landmarks(size: float = 100.0, noise: float = 0.0, seed: int = 0) -> Floats:
    """(68, 2): the mean face in a square of ``size`` pixels."""
    angles = np.linspace(np.pi, 0, 17)
    jaw = np.stack([0.5 + 0.6 * np.cos(angles), 0.3 + 0.9 * np.sin(angles)], axis=1)
    points = np.concatenate([jaw, MEAN_FACE])
    points = points + np.random.default_rng(seed).normal(0, noise, points.shape) if noise else points
    return np.asarray(50 + size * points, np.float32)


def embedding(person: int, photo: int = 0, width: int = 16) -> Floats:
    """(width,) of a person: any two photos of one are much alike, those of two people hardly."""
    row = np.random.default_rng(photo).normal(0, 0.05, width).astype(np.float32)
    row[person % width] += 1
    return row


def pixels(level: int = 128) -> Image:
    return np.full((EDGE, EDGE, 3), level, np.uint8)


def face(
    path: Path,
    *,
    person: int | None = None,
    photo: int = 0,
    image: Image | None = None,
    points: Floats | None = None,
    original: str | None = None,
) -> Path:
    """A face picture; with an embedding where it says whom it shows."""
    points = landmarks() if points is None else points
    header: dict[str, Any] = {
        "alignments": {
            **{"x": 50, "y": 50, "w": 100, "h": 100, "landmarks_xy": points.tolist(), "mask": {}},
            "identity": {} if person is None else {"sface": embedding(person, photo).tolist()},
        },
        "source": {
            "alignments_version": 2.4,
            "original_filename": original or path.name,
            "face_index": 0,
            "source_filename": f"{path.stem}.jpg",
            "source_is_video": False,
            "source_frame_dims": (240, 320),
        },
    }
    image = pixels(photo * 7 % 256) if image is None else image
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(with_header(cv2.imencode(".png", image)[1].tobytes(), header))
    return path


def people(folder: Path, counts: Sequence[int]) -> Path:
    """A folder with so many faces of each person, in an order that mixes them: ``3_1.png`` is the second of the
    fourth.
    """
    for person, count in enumerate(counts):
        for photo in range(count):
            face(folder / f"{photo}_{person}.png", person=person, photo=person * 100 + photo)
    return folder


def person_of(path: Path) -> int:
    """Whom a picture shows, by its embedding."""
    return int(np.argmax(read_header(path)["alignments"]["identity"]["sface"]))


def tree(folder: Path) -> dict[str, bytes]:
    """Place → content of every picture below a folder; whatever a sort writes beside them is left out."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in (".png", ".jpg")
    }


def contents(*folders: Path) -> list[bytes]:
    """All pictures' contents, wherever they are, sorted: what a sort must never change."""
    return sorted(content for folder in folders for content in tree(folder).values())


def settings(sort: str = "none", group: str = "none", **options: Any) -> SortSettings:
    return SortSettings(method_named(sort), method_named(group, grouping=True), **options)


class FakeEmbedder:
    """Recognises a face by the grey of its first pixel; counts whom it has looked at."""

    storage_name = "sface"

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def embeddings(self, paths: Sequence[Path], advanced: Callable[[int, int], None]) -> Any:
        for path in paths:
            self.seen.append(path.name)
            level = int(cv2.imread(str(path))[0, 0, 0])
            if level == 255:
                yield UnreadFace(path, "is too bright")
            else:
                yield path, embedding(level // 50)


async def sorted_by(
    how: SortSettings,
    folder: Path,
    output: Path | None = None,
    *,
    copies: bool = False,
    embedder: Any = None,
    stop_after: int | None = None,
) -> Any:
    """Run the job; ``stop_after`` so many moves it is told to stop. Returns its report."""
    async with Bridge("cpu", cpu_workers=2) as bridge:

        def advanced(what: str, done: int, total: int) -> None:
            if stop_after is not None and what in ("moving", "copying") and done >= stop_after:
                job.stop()

        job = SortJob(how, bridge, embedder or FakeEmbedder(), advanced)
        return await job.run(folder, output, copies=copies)


async def undone(folder: Path) -> Any:
    async with Bridge("cpu", cpu_workers=2) as bridge:
        return await SortJob(settings("blur"), bridge).undo(folder)


def is_unsorted(folder: Path) -> bool:
    """Nothing of a sort is left in it: no record, no groups, no numbers."""
    names = [path.name for path in folder.iterdir()]
    return NAME not in names and not any(name.startswith(("_", "0000")) for name in names)

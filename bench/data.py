"""Loading the data sets that the accuracy benchmarks measure on. They aren't part of the project."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Image = npt.NDArray[np.uint8]


def data_folder() -> Path | None:
    """``FACESTREAM_DATA``, or ``../shared/data`` beside the checkout; None when it isn't there."""
    chosen = os.environ.get("FACESTREAM_DATA")
    folder = Path(chosen) if chosen else Path(__file__).resolve().parents[1].parent / "shared" / "data"
    return folder if folder.is_dir() else None


def read_bgr(path: Path) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise FileNotFoundError(path)
    return np.asarray(image, np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class FacesPhoto:
    """A photo's faces: ltrb boxes (N, 4) float32 pixels; ``valid`` is false where annotators gave up."""

    path: Path
    boxes: Floats
    valid: Bools


def wider(folder: Path) -> list[FacesPhoto]:
    """WIDER FACE photos; official text: path / N / N rows of x y w h blur expr illum invalid occl pose."""
    lines = iter((folder / "gt.txt").read_text().split("\n"))
    photos = []
    for line in lines:
        if not line.strip():
            continue
        count = int(next(lines))
        rows = np.array([next(lines).split() for _ in range(max(count, 1))], np.float32)[:count]
        boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], 1)
        photos.append(FacesPhoto(folder / "images" / line.strip(), boxes, rows[:, 7] == 0))
    return photos


@dataclass(frozen=True, slots=True, eq=False)
class PointsPhoto:
    """A photo with some faces' 68 points: (N, 68, 2) float32, frame pixels as everywhere in facestream."""

    path: Path
    points: Floats


def ibug68(folder: Path) -> list[PointsPhoto]:
    """Photos with 300-W points: ``NAME.pts`` (one face) or ``NAME_k.pts`` (several), with a header or not."""
    photos = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix in {".jpg", ".png"}):
        files = [path.with_suffix(".pts"), *sorted(path.parent.glob(f"{path.stem}_[0-9].pts"))]
        points = [read_pts(file) for file in files if file.exists()]
        if points:
            photos.append(PointsPhoto(path, np.stack(points)))
    return photos


def read_pts(path: Path) -> Floats:
    rows = [line.split() for line in path.read_text().splitlines()]
    numbers = np.array([row for row in rows if len(row) == 2 and row[0][0] in "-.0123456789"], np.float32)
    return numbers - 0.5  # 300-W counts the first pixel's centre as 1; here it is 0.5

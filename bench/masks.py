"""How well masks cover faces: intersection over union with CelebAMask-HQ's hand-made maps. Skips without the data.

Each photo's largest face is detected (yunet), aligned (mesh) and masked; its stored mask is laid over the whole photo
(``faces/mask_view.py``) and cut at a half. Truth is skin, nose, eyes, eyebrows, mouth and lips together; with glasses,
ears or hair where the mask was asked for them too (Lee et al., CVPR 2020). Masks drawn from landmarks stand beside.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import av
import numpy as np
from data import Bools, Image, data_folder, read_bgr
from report import report

from facestream.faces.aligned import align
from facestream.faces.mask_view import joined_in_frame, views
from facestream.faces.masks import NAMES, landmark_masks
from facestream.plugins import registry
from facestream.plugins.mask.base import TorchMasker
from facestream.stream.types import ExtractBatch, FacePlugin, Frame, Masks

FACE = (1, 2, 4, 5, 6, 7, 10, 11, 12)
GLASSES, EARS, HAIR = (3,), (8, 9, 15), (13,)
LANDMARK_SIZE = 128


@dataclass(frozen=True, slots=True, eq=False)
class Parsed:
    """A photo's face, ready for a masker, and the class of each of its pixels, uint8 (h, w)."""

    batch: ExtractBatch
    classes: Image


def photos(folder: Path, device: str) -> list[Parsed]:
    detector, aligner = registry.create("detect", "yunet"), registry.create("align", "mesh")
    for plugin in (detector, aligner):
        plugin.load(device)
    found = []
    for path in sorted((folder / "masks").glob("*.png")):
        image = read_bgr(folder / "images" / f"{path.stem}.jpg")
        feed = detector.pre_process([image])
        (faces,) = detector.post_process(detector.infer(feed), feed)
        largest = np.prod(faces.boxes[:, 2:] - faces.boxes[:, :2], axis=1).argsort()[-1:]
        batch = ExtractBatch(
            frames=[Frame("photo", 0, 0, 0.0, 0.0, image)],
            boxes=faces.boxes[largest],
            scores=faces.scores[largest],
            points=None if faces.points is None else faces.points[largest],
            frame_ids=np.zeros(len(largest), np.int32),
        )
        run(aligner, batch)
        batch.aligned = align(batch.landmarks) if batch.landmarks is not None else None
        found.append(Parsed(batch, read_indices(path)))
    return found


def read_indices(path: Path) -> Image:
    """A palette PNG's indices, (h, w)."""
    with av.open(path) as file:
        picture = next(file.decode(video=0))
    if picture.format.name != "pal8":
        raise ValueError(f"{path} has no palette")
    plane = picture.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: picture.height, : picture.width].copy()


def run(plugin: FacePlugin, batch: ExtractBatch) -> None:
    feed = plugin.pre_process(batch)
    plugin.post_process(plugin.infer(feed), feed, batch)


def network_rows(parsed: Sequence[Parsed], device: str) -> Iterator[dict[str, Any]]:
    chosen: tuple[tuple[str, dict[str, Any], tuple[int, ...]], ...] = (
        ("face", {"glasses": False}, FACE),
        ("face", {"glasses": False, "size": 384}, FACE),
        ("face", {"glasses": False, "storage_size": 256}, FACE),
        ("face", {"glasses": False, "storage_size": 0}, FACE),
        ("face, glasses", {}, FACE + GLASSES),
        ("face, glasses, ears, hair", {"ears": True, "hair": True}, FACE + GLASSES + EARS + HAIR),
    )
    for covers, options, classes in chosen:
        masker: TorchMasker = registry.create("mask", "bisenet-fp", **options)
        masker.load(device)
        started = perf_counter()
        for photo in parsed:
            run(masker, photo.batch)
        seconds = (perf_counter() - started) / len(parsed)
        masks = [photo.batch.masks[masker.storage_name] for photo in parsed]
        yield row("bisenet-fp", covers, masker.size, masker.storage_size, parsed, masks, classes, seconds)


def landmark_rows(parsed: Sequence[Parsed]) -> Iterator[dict[str, Any]]:
    for name, area in NAMES.items():
        if area.startswith("face"):
            started = perf_counter()
            masks = [drawn(photo.batch, area) for photo in parsed]
            seconds = (perf_counter() - started) / len(parsed)
            yield row(name, "face, glasses", 0, LANDMARK_SIZE, parsed, masks, FACE + GLASSES, seconds)


def drawn(batch: ExtractBatch, area: str) -> Masks:
    assert batch.landmarks is not None
    return landmark_masks(batch.landmarks, area, size=LANDMARK_SIZE, aligned=batch.aligned)


def row(
    name: str,
    covers: str,
    size: int,
    stored: int,
    parsed: Sequence[Parsed],
    masks: Sequence[Masks],
    classes: tuple[int, ...],
    seconds: float,
) -> dict[str, Any]:
    found = [in_photo(mask, photo.classes.shape) for mask, photo in zip(masks, parsed)]
    overlaps = [iou(mask, np.isin(photo.classes, classes)) for mask, photo in zip(found, parsed)]
    return {
        "mask": name,
        "covers": covers,
        "size": size,
        "stored": stored,
        "faces": len(overlaps),
        "IoU": float(np.mean(overlaps)),
        "worst": float(np.min(overlaps)),
        "ms a face": 1e3 * seconds,
    }


def in_photo(masks: Masks, shape: tuple[int, ...]) -> Bools:
    """The one mask of ``masks`` laid over its photo."""
    return np.asarray(joined_in_frame(views(masks), (shape[1], shape[0])) >= 128, np.bool_)


def iou(found: Bools, truth: Bools) -> float:
    return float((found & truth).sum() / max(1, (found | truth).sum()))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    folder = data_folder()
    if folder is None:
        print("masks: skipped, no data set here (see FACESTREAM_DATA in bench/data.py)")
        return 0
    parsed = photos(folder / "parsing" / "celebamask_dev", options.device)
    rows = [*network_rows(parsed, options.device), *landmark_rows(parsed)]
    report("masks", rows, f"{len(parsed)} CelebAMask-HQ photos")
    return 0


if __name__ == "__main__":
    sys.exit(main())

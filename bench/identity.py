"""How well the identity models tell people apart, on pairs of photos. Skips without the data.

Pairs are of LFW (Huang et al. 2007; the face in the middle of each photo) and of a mixed set (the largest face).
Accuracy is the share of pairs judged rightly at the card's threshold, with the best threshold and what is asked for
beside it. A photo in which no face was found makes its pairs wrong. Each model is measured with the mesh's landmarks
and with the detector's own five points.

What a face costs is measured in the same process, one by one and sixteen at a time, in turns: cutting it out of a
photo and the network, each alone.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from data import Bools, Floats, data_folder, read_bgr
from report import report

from facestream.plugins import registry
from facestream.plugins.detect.base import TorchDetector
from facestream.plugins.identity.base import TorchIdentity
from facestream.stream.joining import batch_of as joined
from facestream.stream.stage import derive
from facestream.stream.types import Detections, ExtractBatch, FacePlugin, Frame

TOGETHER = 16
ROUNDS = 12


@dataclass(frozen=True, slots=True)
class Pairs:
    """Photos, and which two of them show the same person: (P, 2) indices and (P,) truths."""

    name: str
    photos: list[Path]
    pairs: np.ndarray[Any, Any]
    same: Bools
    central: bool  # the face that counts: the one in the middle, or the largest
    asked: float  # least accuracy, with the mesh's landmarks


def read_pairs(name: str, table: Path, columns: Sequence[str], yes: str, *, central: bool, asked: float = 0.0) -> Pairs:
    with table.open(newline="") as file:
        rows = [[row[column] for column in columns] for row in csv.DictReader(file)]
    names = sorted({name for first, second, _ in rows for name in (first, second)})
    index = {name: at for at, name in enumerate(names)}
    pairs = np.array([(index[first], index[second]) for first, second, _ in rows])
    same = np.array([verdict == yes for *_, verdict in rows])
    return Pairs(name, [table.parent / name for name in names], pairs, same, central, asked)


def rows_of(pairs: Pairs, names: Sequence[str], device: str) -> Iterator[dict[str, Any]]:
    detector, aligner = registry.create("detect", "yunet"), registry.create("align", "mesh")
    models: list[TorchIdentity] = [registry.create("identity", name) for name in names]
    for plugin in (detector, aligner, *models):
        plugin.load(device)
    batches = [face_of(path, detector, central=pairs.central) for path in pairs.photos]
    for placing in ("detector's points", "mesh"):
        if placing == "mesh":
            for batch in batches:
                if len(batch):
                    run(aligner, batch)
        for model in models:
            found = embeddings_of(model, batches)
            cosines = np.einsum("pd,pd->p", found[pairs.pairs[:, 0]], found[pairs.pairs[:, 1]])  # NaN: no face
            threshold, best, at = model.card.threshold or 0.0, *best_threshold(cosines, pairs.same)
            yield {
                "model": model.name,
                "placed by": placing,
                "set": pairs.name,
                "pairs": len(pairs.same),
                "no face": sum(not len(batch) for batch in batches),
                "threshold": threshold,
                "accuracy": accuracy(cosines, pairs.same, threshold),
                "asked": pairs.asked,
                "best": best,
                "best at": at,
                "same": float(np.nanmean(cosines[pairs.same])),
                "different": float(np.nanmean(cosines[~pairs.same])),
            }


def face_of(path: Path, detector: TorchDetector, *, central: bool) -> ExtractBatch:
    """The one face of a photo that counts, or none."""
    image = read_bgr(path)
    feed = detector.pre_process([image])
    (found,) = detector.post_process(detector.infer(feed), feed)
    chosen = chosen_face(found, image.shape[1], image.shape[0], central=central)
    return ExtractBatch(
        frames=[Frame("photo", 0, 0, 0.0, 0.0, image)],
        boxes=found.boxes[chosen],
        scores=found.scores[chosen],
        points=None if found.points is None else found.points[chosen],
        frame_ids=np.zeros(len(chosen), np.int32),
    )


def chosen_face(found: Detections, width: int, height: int, *, central: bool) -> np.ndarray[Any, Any]:
    if not len(found.boxes):
        return np.zeros(0, np.int64)
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    off_centre = np.linalg.norm((found.boxes[:, 2:] + found.boxes[:, :2]) / 2 - (width / 2, height / 2), axis=1)
    return np.array([off_centre.argmin() if central else sides.prod(axis=1).argmax()])


def run(plugin: FacePlugin, batch: ExtractBatch) -> None:
    feed = plugin.pre_process(batch)
    plugin.post_process(plugin.infer(feed), feed, batch)


def embeddings_of(model: TorchIdentity, batches: Sequence[ExtractBatch]) -> Floats:
    """(P, D), NaN where there is no face."""
    for batch in batches:
        if len(batch):
            run(model, batch)
    width = next(batch.identities[model.storage_name].shape[1] for batch in batches if len(batch))
    nobody = np.full(width, np.nan, np.float32)
    return np.stack([batch.identities[model.storage_name][0] if len(batch) else nobody for batch in batches])


def cost_of(name: str, photos: Sequence[Path], device: str) -> dict[str, Any]:
    """Milliseconds a face, one by one and all at once, in turns; medians."""
    detector, aligner, model = (
        registry.create(role, which) for role, which in (("detect", "yunet"), ("align", "mesh"), ("identity", name))
    )
    for plugin in (detector, aligner, model):
        plugin.load(device)
    alone = [batch for path in photos if len(batch := face_of(path, detector, central=True))][:TOGETHER]
    for batch in alone:
        run(aligner, batch)
        derive(batch)  # as a chain has done before
    together = joined([next(batch.per_frame()) for batch in alone])
    spent: dict[str, list[float]] = {"cut 1": [], "infer 1": [], "cut 16": [], "infer 16": []}
    for _ in range(ROUNDS):
        for label, parts in (("1", alone), ("16", [together])):
            started = perf_counter()
            feeds = [model.pre_process(part) for part in parts]
            cut = perf_counter()
            for feed, part in zip(feeds, parts):
                model.post_process(model.infer(feed), feed, part)
            spent[f"cut {label}"].append(cut - started)
            spent[f"infer {label}"].append(perf_counter() - cut)
    each = {what: 1e3 * float(np.median(seconds[1:])) / len(alone) for what, seconds in spent.items()}
    one, many = each["cut 1"] + each["infer 1"], each["cut 16"] + each["infer 16"]
    return {"model": name, **{f"{what}, ms": value for what, value in each.items()}, "1 : 16": one / many}


def accuracy(cosines: Floats, same: Bools, threshold: float) -> float:
    known = ~np.isnan(cosines)
    return float((((cosines >= threshold) == same) & known).mean())


def best_threshold(cosines: Floats, same: Bools) -> tuple[float, float]:
    """The best accuracy that any threshold gives, and the middle of the thresholds that give it."""
    steps = np.linspace(-1, 1, 2001)
    reached = np.array([accuracy(cosines, same, step) for step in steps])
    return float(reached.max()), float(steps[reached == reached.max()].mean())


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--model", action="append", help="only these models")
    options = parser.parse_args()
    folder = data_folder()
    if folder is None:
        print("identity: skipped, no data set here (see FACESTREAM_DATA in bench/data.py)")
        return 0
    sets = (
        read_pairs("LFW", folder / "identity/lfw_dev/pairs.csv", ("a", "b", "same"), "1", central=True, asked=0.985),
        read_pairs(
            *("mixed", folder / "identity/deepface/master.csv", ("file_x", "file_y", "Decision"), "Yes"),
            central=False,
            asked=0.99,
        ),
    )
    names = options.model or registry.names("identity")
    report("identity", [row for pairs in sets for row in rows_of(pairs, names, options.device)], "pairs of photos")
    report(
        "identity-cost",
        [cost_of(name, sets[0].photos, options.device) for name in names],
        f"one by one and {TOGETHER} at a time, {options.device}",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

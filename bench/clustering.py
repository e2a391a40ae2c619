"""How well faces are grouped into people, by pairwise F1. Skips without the data.

Of all pairs of photos, precision is the share of those put together that show one person, recall the share of those of
one person that are put together. Three folders: press photos of five people; LFW (Huang et al. 2007) with mostly one
photo of each of many people; both in one. The face that counts is the one in the middle.

What ``facestream sort`` does is compared, on the same embeddings, with faceswap's rule (Ward's method, cut at 0.25 of
the tree's height) and with connected components: single linkage at the threshold that the model's card gives for two
faces. Below, what each method reaches at its best threshold, and the range of thresholds within 0.01 of that: what a
default has to hit in every folder.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from data import Floats, data_folder, read_bgr
from report import report
from scipy.cluster.hierarchy import fcluster, linkage

from facestream.faces.clustering import cluster, group_people
from facestream.jobs.sort.embedding import people_apart
from facestream.plugins import registry
from facestream.stream.types import Detections, ExtractBatch, FacePlugin, Frame, Longs

FACESWAP = 0.25  # of the tree's height: faceswap's default


@dataclass(frozen=True, slots=True, eq=False)
class Folder:
    """Embeddings (N, D), and the person of each (N,)."""

    name: str
    embeddings: Floats
    people: Longs
    without_face: int = 0


def folders(data: Path, model: str, device: str) -> list[Folder]:
    johns = sorted(data.glob("identity/johns/*/*.jpg"))
    lfw = sorted(data.glob("identity/lfw_dev/*.jpg"))
    embed = embedder(model, device)
    five = embedded("five people", johns, [path.parent.name for path in johns], embed)
    many = embedded("LFW", lfw, [path.stem.rpartition("_")[0] for path in lfw], embed)
    both = Folder(
        "both",
        np.concatenate([five.embeddings, many.embeddings]),
        np.concatenate([five.people, many.people + five.people.max() + 1]),
        five.without_face + many.without_face,
    )
    return [five, many, both]


def embedded(name: str, paths: list[Path], people: list[str], embed: Callable[[Path], Floats | None]) -> Folder:
    rows = [(row, person) for path, person in zip(paths, people) if (row := embed(path)) is not None]
    labels = np.unique([person for _, person in rows], return_inverse=True)[1]
    return Folder(name, np.stack([row for row, _ in rows]), labels.astype(np.int64), len(paths) - len(rows))


def embedder(model: str, device: str) -> Callable[[Path], Floats | None]:
    """The embedding of the face in a photo's middle, as extraction finds it; None where there is no face."""
    detector, aligner = registry.create("detect", "yunet"), registry.create("align", "mesh")
    identity = registry.create("identity", model)
    for plugin in (detector, aligner, identity):
        plugin.load(device)

    def embed(path: Path) -> Floats | None:
        image = read_bgr(path)
        feed = detector.pre_process([image])
        batch = middle_face(image, detector.post_process(detector.infer(feed), feed)[0])
        if not len(batch):
            return None
        for plugin in (aligner, identity):
            run(plugin, batch)
        return next(iter(batch.identities.values()))[0]

    return embed


def middle_face(image: Any, found: Detections) -> ExtractBatch:
    height, width = image.shape[:2]
    centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    chosen = np.linalg.norm(centres - (width / 2, height / 2), axis=1).argsort()[:1]
    return ExtractBatch(
        frames=[Frame("photo", 0, 0, 0.0, 0.0, image)],
        boxes=found.boxes[chosen],
        scores=found.scores[chosen],
        points=None if found.points is None else found.points[chosen],
        frame_ids=np.zeros(len(chosen), np.int32),
    )


def run(plugin: FacePlugin, batch: ExtractBatch) -> None:
    feed = plugin.pre_process(batch)
    plugin.post_process(plugin.infer(feed), feed, batch)


def pairwise(people: Longs, groups: Longs) -> tuple[float, float, float]:
    """Precision, recall and F1 over all pairs."""
    upper = np.triu_indices(len(people), 1)
    same = (people[:, None] == people)[upper]
    together = (groups[:, None] == groups)[upper]
    right = int((same & together).sum())
    precision, recall = right / max(1, together.sum()), right / max(1, same.sum())
    return precision, recall, 2 * precision * recall / max(1e-9, precision + recall)


def rows_of(folder: Folder, model: str) -> Iterator[dict[str, Any]]:
    apart = people_apart(model)
    card = registry.card("identity", model).threshold or 0.0
    defaults: list[tuple[str, float, Longs]] = [
        ("sort -g face", apart, group_people(folder.embeddings, apart).bins),
        ("Ward, share of height", FACESWAP, cluster(folder.embeddings, "ward", FACESWAP).bins),
        ("single linkage, card's", 1 - card, cut(folder.embeddings, "single", 1 - card)),
    ]
    for method, threshold, groups in defaults:
        precision, recall, f1 = pairwise(folder.people, groups)
        yield {
            "folder": folder.name,
            "faces": len(folder.people),
            "no face": folder.without_face,
            "method": method,
            "threshold": threshold,
            "precision": precision,
            "recall": recall,
            "F1": f1,
            "groups": len(set(groups.tolist())),
            "people": len(set(folder.people.tolist())),
        }


def cut(embeddings: Floats, method: Any, distance: float) -> Longs:
    return fcluster(linkage(embeddings, method, "cosine"), distance, "distance").astype(np.int64)


def sweep_rows(folder: Folder) -> Iterator[dict[str, Any]]:
    embeddings = folder.embeddings
    height = cluster(embeddings, "ward").height
    methods: dict[str, tuple[Any, str, Any, float]] = {
        "average, cosine": ("average", "cosine", np.arange(0.2, 1.0, 0.01), 1.0),
        "complete, cosine": ("complete", "cosine", np.arange(0.2, 1.2, 0.01), 1.0),
        "single, cosine": ("single", "cosine", np.arange(0.2, 1.0, 0.01), 1.0),
        "Ward, absolute": ("ward", "euclidean", np.arange(0.6, 2.6, 0.02), 1.0),
        "Ward, share of height": ("ward", "euclidean", np.arange(0.05, 1.0, 0.01), height),
    }
    for name, (method, metric, thresholds, scale) in methods.items():
        tree = linkage(embeddings, method, metric)
        reached = [pairwise(folder.people, fcluster(tree, at * scale, "distance"))[2] for at in thresholds]
        good = thresholds[np.array(reached) >= max(reached) - 0.01]
        yield {"folder": folder.name, "method": name, "best F1": max(reached), "from": good[0], "to": good[-1]}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--model", default="sface")
    options = parser.parse_args()
    data = data_folder()
    if data is None:
        print("clustering: skipped, no data set here (see FACESTREAM_DATA in bench/data.py)")
        return 0
    found = folders(data, options.model, options.device)
    report("clustering", [row for each in found for row in rows_of(each, options.model)], "faces into people")
    report("clustering thresholds", [row for each in found for row in sweep_rows(each)], "best of each method")
    return 0


if __name__ == "__main__":
    sys.exit(main())

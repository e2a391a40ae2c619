"""How much of a face's identity survives being covered, to a model that recognises faces. Skips without the data.

Photos of LFW with two or more of a person, the face in the middle. Each is covered and embedded as before, with the
landmarks of the clear photo, which is more than a stranger would have. The columns, for each cover:

* same photo: mean cosine of a covered face with the very photo that it was made of; the most of all; and the share
  that reaches the model's threshold for one person;
* finds: how often, of all clear photos, the nearest to a covered face shows that person (chance: a few percent);
* covered pairs: how well two covered faces are told to be of one person or not, at the best threshold: what somebody
  could do who covers known photos the same way (McPherson et al., "Defeating Image Obfuscation with Deep Learning",
  2016, with networks trained for it, do better than a model that never saw such pictures).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from data import Bools, Floats, data_folder
from identity import best_threshold, face_of
from identity import run as run_plugin
from report import report

from facestream.faces.anonymise import Cover, covered, face_regions
from facestream.plugins import registry
from facestream.stream.types import ExtractBatch


def rows_of(folder: Path, device: str) -> Iterator[dict[str, Any]]:
    plugins = [registry.create(role, name) for role, name in (("detect", "yunet"), ("align", "mesh"))]
    identity = registry.create("identity", "sface")
    for plugin in (*plugins, identity):
        plugin.load(device)
    paths = [path for path in sorted(folder.glob("*.jpg")) if len(list(folder.glob(f"{_person(path)}_*.jpg"))) > 1]
    found = [(path, face_of(path, plugins[0], central=True)) for path in paths]
    faces = [(path, batch) for path, batch in found if len(batch)]
    for _, batch in faces:
        run_plugin(plugins[1], batch)
    people = np.array([_person(path) for path, _ in faces])
    clear = embedded([batch for _, batch in faces], identity)
    threshold = identity.card.threshold or 0.0
    yield {"cover": "none", "photos": len(faces), **measures(clear, clear, people, threshold)}
    for cover in Cover:
        hidden = embedded([_covered(batch, cover) for _, batch in faces], identity)
        yield {"cover": cover.value, "photos": len(faces), **measures(hidden, clear, people, threshold)}


def measures(hidden: Floats, clear: Floats, people: np.ndarray[Any, Any], threshold: float) -> dict[str, float]:
    own = np.einsum("nd,nd->n", hidden, clear)
    first, second = np.triu_indices(len(people), 1)
    same: Bools = people[first] == people[second]
    pairs = np.einsum("nd,nd->n", hidden[first], hidden[second])
    chosen = np.concatenate([np.flatnonzero(same), np.flatnonzero(~same)[:: max(1, int((~same).sum() / same.sum()))]])
    others = hidden @ clear.T
    if hidden is clear:
        np.fill_diagonal(others, -1.0)
    return {
        "same photo": float(own.mean()),
        "most": float(own.max()),
        "recognised": float((own >= threshold).mean()),
        "finds": float((people[others.argmax(axis=1)] == people).mean()),
        "covered pairs": best_threshold(pairs[chosen], same[chosen])[0],
    }


def embedded(batches: Sequence[ExtractBatch], identity: Any) -> Floats:
    for batch in batches:
        run_plugin(identity, batch)
    return np.concatenate([batch.identities[identity.storage_name] for batch in batches])


def _covered(batch: ExtractBatch, cover: Cover) -> ExtractBatch:
    (frame,) = batch.frames
    image = covered(frame.image, face_regions(batch, frame.size), cover)
    return replace(batch, frames=[replace(frame, image=image)], identities={})


def _person(path: Path) -> str:
    return path.stem.rsplit("_", 1)[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    folder = data_folder()
    if folder is None:
        print("anonymise: skipped, no data set here (see FACESTREAM_DATA in bench/data.py)")
        return 0
    report("anonymise", list(rows_of(folder / "identity" / "lfw_dev", options.device)), "covered faces, seen by sface")
    return 0


if __name__ == "__main__":
    sys.exit(main())

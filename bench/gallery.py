"""The gallery of people: how fast and small it is when it is full, and how well it tells people from strangers.

Speed: 100,000 embeddings of 128 numbers, 10,000 people, and a batch of 16 faces, against comparing them one by one.

Recognition needs the data sets and is skipped without: faces of people with several photos (LFW, Johns and two mixed
sets; 152 people), each looked for among the other photos, once with the person there and once without; and faces of
WIDER FACE, who are all strangers. ``missed``: people who are there and stay unknown; ``mistaken``: who get another's
name; ``stranger named`` and ``crowd named``: those who aren't there and get a name.
"""

from __future__ import annotations

import argparse
import csv
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from data import Floats, data_folder
from report import report

from facestream.io.gallery import Gallery, PersonRecord
from facestream.stream.known_people import KnownPeople

PEOPLE, PHOTOS, WIDTH, BATCH = 10_000, 10, 128, 16
MODEL = ("sface", "0" * 64)
CARD, GALLERY = 0.363, 0.363 + 0.1 * (1 - 0.363)  # thresholds: for two faces, and for many people


def fill(path: Path) -> None:
    """A person is a direction; photos lie about it, at a cosine of 0.6 to each other."""
    rng = np.random.default_rng(0)
    started = perf_counter()
    with Gallery.open(path) as gallery:
        gallery.add_records(
            PersonRecord(f"person {number:05d}", 0.0, {MODEL: photos_of(rng)}) for number in range(PEOPLE)
        )
    print(f"filled in {perf_counter() - started:.1f} s, {path.stat().st_size / 1e6:.0f} MB on disk", flush=True)


def photos_of(rng: np.random.Generator) -> Floats:
    person = rng.normal(size=WIDTH)
    return units(np.sqrt(0.6) * person + np.sqrt(0.4) * rng.normal(size=(PHOTOS, WIDTH)))


def units(rows: Any) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


def speed(path: Path, runs: int) -> dict[str, Any]:
    before = peak_mb()
    started = perf_counter()
    with Gallery.open(path, create=False) as gallery:
        rows, names = gallery.known(*MODEL)
    known = KnownPeople(rows, names, GALLERY)
    loading = perf_counter() - started
    loaded = peak_mb() - before
    rng = np.random.default_rng(1)
    looks = units(rows[rng.integers(len(rows), size=BATCH)] + 0.06 * rng.normal(size=(BATCH, WIDTH)))
    seconds = [seconds_of(lambda: known.match(looks)) for _ in range(runs)]
    memory = peak_mb() - before
    one_by_one = seconds_of(lambda: [max(float(row @ look) for row in rows) for look in looks])
    return {
        "embeddings": len(rows),
        "people": len(known.names),
        "loading s": loading,
        "batch": BATCH,
        "recognised": sum(person is not None for person in known.match(looks)),
        "ms a batch": 1e3 * median(seconds),
        "slowest ms": 1e3 * max(seconds),
        "one by one ms": 1e3 * one_by_one,
        "times faster": one_by_one / median(seconds),
        "MB loaded": loaded,
        "MB at most": memory,
    }


def seconds_of(function: Callable[[], object]) -> float:
    started = perf_counter()
    function()
    return perf_counter() - started


def peak_mb() -> float:
    """The most that this process has ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Embeddings (N, 128) and whose they are; of strangers nobody's."""

    rows: Floats
    names: list[str]


def people_and_crowd(folder: Path) -> tuple[Faces, Floats]:
    """Faces with names, and those of a crowd of strangers."""
    from data import read_bgr, wider
    from identity import face_of, run

    from facestream.plugins import registry
    from facestream.stream.types import ExtractBatch, Frame

    detector, aligner, model = (
        registry.create(role, name) for role, name in (("detect", "yunet"), ("align", "mesh"), ("identity", "sface"))
    )
    for plugin in (detector, aligner, model):
        plugin.load("cpu")

    def embedded(batch: ExtractBatch) -> Floats:
        run(aligner, batch)
        run(model, batch)
        return batch.identities["sface"]

    rows, names = [], []
    for path, name, central in photos(folder / "identity"):
        batch = face_of(path, detector, central=central)
        if len(batch):
            rows.append(embedded(batch))
            names.append(name)
    crowd = []
    for photo in wider(folder / "detection/wider_val/dev"):
        image = read_bgr(photo.path)
        feed = detector.pre_process([image])
        (found,) = detector.post_process(detector.infer(feed), feed)
        batch = ExtractBatch(
            frames=[Frame("photo", 0, 0, 0.0, 0.0, image)],
            boxes=found.boxes,
            scores=found.scores,
            points=found.points,
            frame_ids=np.zeros(len(found.boxes), np.int32),
        )
        if len(batch):
            crowd.append(embedded(batch))
    return Faces(np.concatenate(rows), names), np.concatenate(crowd)


def photos(folder: Path) -> Iterator[tuple[Path, str, bool]]:
    """Path, name, and whether the face in the middle is meant instead of the largest."""
    for path in sorted((folder / "johns").rglob("*.jpg")):
        yield path, path.parent.name, False
    for path in sorted((folder / "lfw_dev").glob("*.jpg")):
        yield path, path.stem[:-5], True
    for path in sorted((folder / "face_recognition").glob("*.jpg")):
        if "_and_" not in path.name:
            yield path, path.stem.rstrip("0123456789").removesuffix("_partial_face"), False
    same: dict[str, str] = {}
    with (folder / "deepface/master.csv").open(newline="") as file:
        for row in sorted(csv.DictReader(file), key=lambda row: (row["file_x"], row["file_y"])):
            first, second = (same.setdefault(row[key], row[key]) for key in ("file_x", "file_y"))
            if row["Decision"] == "Yes":
                same = {name: first if group == second else group for name, group in same.items()}
    for name, group in sorted(same.items()):
        yield folder / "deepface" / name, group, False


def nearest(threshold: float) -> Callable[[Floats, list[str], Floats], list[str | None]]:
    """The plain rule: whose nearest embedding it is, if that is near enough."""

    def judge(rows: Floats, names: list[str], looks: Floats) -> list[str | None]:
        similarities = looks @ rows.T
        return [names[int(row.argmax())] if row.max() >= threshold else None for row in similarities]

    return judge


def by_known_people(rows: Floats, names: list[str], looks: Floats) -> list[str | None]:
    return [person and person.name for person in KnownPeople(rows, names, GALLERY).match(looks)]


RULES = {
    f"nearest, {CARD}": nearest(CARD),
    f"nearest, {GALLERY:.3f}": nearest(GALLERY),
    f"KnownPeople, {GALLERY:.3f}": by_known_people,
}


def recognition(faces: Faces, crowd: Floats) -> Iterator[dict[str, Any]]:
    """Each rule with one, three and all photos of each person in the gallery; which ones is drawn thrice."""
    names = np.array(faces.names)
    for photos_each in (1, 3, 0):
        draws = [references(names, photos_each, seed) for seed in range(3 if photos_each else 1)]
        for rule, judge in RULES.items():
            there, absent, strangers = [], [], []
            for draw in draws:
                for probe in range(len(names)):
                    look = faces.rows[probe : probe + 1]
                    chosen = draw(probe)
                    mine = names[chosen] == names[probe]
                    if mine.any():
                        there += [(names[probe], *judge(faces.rows[chosen], names[chosen].tolist(), look))]
                    absent += judge(faces.rows[chosen[~mine]], names[chosen[~mine]].tolist(), look)
                chosen = draw(-1)
                strangers += judge(faces.rows[chosen], names[chosen].tolist(), crowd)
            yield {
                "photos each": photos_each or "all",
                "rule": rule,
                "people": len(set(faces.names)),
                "missed %": percent([found is None for _, found in there]),
                "mistaken %": percent([found not in (None, who) for who, found in there]),
                "stranger named %": percent([found is not None for found in absent]),
                "crowd named %": percent([found is not None for found in strangers]),
            }


def references(names: np.ndarray[Any, Any], count: int, seed: int) -> Callable[[int], np.ndarray[Any, Any]]:
    """Which photos are in the gallery when one of them is looked for: ``count`` of each person, 0 is all others."""
    order = np.random.default_rng(seed).permutation(len(names))

    def chosen(probe: int) -> np.ndarray[Any, Any]:
        taken: dict[str, list[int]] = {}
        for photo in order.tolist():
            mine = taken.setdefault(names[photo], [])
            if photo != probe and (not count or len(mine) < count):
                mine.append(photo)
        return np.array(sorted(photo for mine in taken.values() for photo in mine))

    return chosen


def percent(hits: list[bool]) -> float:
    return 100 * sum(hits) / max(1, len(hits))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--fill", type=Path, help="only make the file that is measured")
    options = parser.parse_args()
    if options.fill:
        fill(options.fill)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.db"
        subprocess.run([sys.executable, __file__, "--fill", str(path)], check=True)  # its memory isn't ours
        row = speed(path, options.runs)
    report("gallery", [row], f"{PEOPLE * PHOTOS} embeddings of {WIDTH} numbers; needed: 20 ms, 200 MB")
    data = data_folder()
    if data is None:
        print("gallery: recognition skipped, no data set here (see FACESTREAM_DATA in bench/data.py)")
        return 0
    report("gallery-recognition", list(recognition(*people_and_crowd(data))), "each photo among the others")
    return 0


if __name__ == "__main__":
    sys.exit(main())

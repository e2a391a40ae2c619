"""Videos of real faces that cross, hide, leave and come back, with exact truth: what trackers are measured on.

Heads are cut out of the private photographs (soft ellipses) and moved over a background along paths made from a seed,
nearer ones in front. A person who comes back is another photograph of that person. Six scenes:

* ``crossing``: four people walk to and fro and pass each other, nobody leaves;
* ``returning``: four people leave at an edge and come back seconds later, at either edge;
* ``pillar``: they are wholly hidden for one to three seconds, some turn round behind it;
* ``chairs``: where one person left another sits down, and the first comes back elsewhere; dark and noisy, 8 frames/s;
* ``corridor``: six people come nearer, quickly, blurred by their motion, leave and return;
* ``quiet``: two people at a distance from each other, one leaves twice: what should never go wrong.

The truth of each frame names everybody whose face touches it: the box (the one that the detector finds in the
photograph by itself, moved as the head is) and which share of the face can be seen.

``python bench/crossings.py FOLDER`` writes each scene as NAME.mp4, its truth as NAME.json and a sheet of frames as
NAME.jpg. They show private photographs: keep them private. Seed 0 is what ``tracking_accuracy.py`` measures; tune on
others.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from data import Floats, Image, data_folder, read_bgr

from facestream.plugins import registry

Longs = npt.NDArray[np.int64]
Key = tuple[float, float, float, float]
"""Seconds; the face's centre as a share of the frame; its height as a share of the frame's."""

HEAD = (0.95, 0.80)  # half axes of the cut-out in widths and heights of the face's box
SOFT = 0.25  # share of the cut-out over which it fades
TILT = 8.0  # degrees to each side


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A head cut out of a photo: float32 BGR (h, w, 3) and opacity (h, w); the face's box in its pixels."""

    pixels: Floats
    opacity: Floats
    box: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """One frame's faces: who (N,), their boxes (N, 4) in pixels, and which share of each can be seen (N,) in 0..1."""

    people: Longs
    boxes: Floats
    visible: Floats


@dataclass(frozen=True, slots=True)
class Walk:
    """One appearance of a person: a photo of theirs along keys, smooth in between."""

    person: int
    photo: int
    depth: float  # the smaller, the nearer
    keys: Sequence[Key]

    def at(self, seconds: float) -> Key | None:
        """None before the first key and after the last."""
        times = [key[0] for key in self.keys]
        if not times[0] <= seconds <= times[-1]:
            return None
        after = min(max(int(np.searchsorted(times, seconds, "right")), 1), len(times) - 1)
        (start, *first), (end, *last) = self.keys[after - 1], self.keys[after]
        share = (seconds - start) / (end - start)
        x, y, size = (a + (b - a) * share for a, b in zip(first, last))
        return seconds, x, y, size


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A video: iterate for its frames and their truth, as often as you like, always the same ones."""

    name: str
    width: int
    height: int
    rate: float  # frames/s
    seconds: float
    people: Sequence[Sequence[Head]]  # the photos of each
    names: Sequence[str]
    walks: Sequence[Walk]
    background: Image
    pillars: Sequence[tuple[float, float]] = ()  # left and right, shares of the width
    light: float = 1.0
    noise: float = 2.0  # grey levels
    blur: float = 0.0  # seconds of the shutter's opening
    seed: int = 0

    def __len__(self) -> int:
        return round(self.seconds * self.rate)

    def __iter__(self) -> Iterator[tuple[Image, Truth]]:
        chance = np.random.default_rng(self.seed)
        noise = chance.normal(0.0, self.noise, (self.height + 64, self.width + 64, 3)).astype(np.float32)
        for index in range(len(self)):
            top, left = chance.integers(64, size=2)  # another piece of it each time: fresh noise is slow to make
            yield self._frame(index / self.rate, noise[top : top + self.height, left : left + self.width])

    def _frame(self, seconds: float, noise: Floats) -> tuple[Image, Truth]:
        canvas = _background(self.background, self.width, self.height, seconds).astype(np.float32)
        behind = canvas.copy()
        owner = np.full((self.height, self.width), -1, np.int64)
        placed: list[tuple[Walk, Floats]] = []
        for walk in sorted(self.walks, key=lambda walk: -walk.depth):
            if (place := walk.at(seconds)) is not None:
                matrix = self._matrix(walk, place)
                head = self.people[walk.person][walk.photo]
                _paint(canvas, owner, head, matrix, gain=_gain(walk, seconds), owner_id=len(placed))
                placed.append((walk, matrix))
        for left, right in self.pillars:
            columns = slice(round(left * self.width), round(right * self.width))
            canvas[:, columns] = behind[:, columns] * 0.55
            owner[:, columns] = -1
        truth = self._truth(placed, owner)
        if self.blur:
            canvas = cv2.GaussianBlur(canvas, (0, 0), self.blur)
        canvas = canvas * self.light + noise
        return canvas.clip(0, 255).astype(np.uint8), truth

    def _matrix(self, walk: Walk, place: Key) -> Floats:
        """(2, 3): the cut-out's pixels → the frame's."""
        seconds, x, y, size = place
        box = self.people[walk.person][walk.photo].box
        scale = size * self.height / float(box[3] - box[1])
        tilt = TILT * np.sin(2 * np.pi * seconds / 3.7 + walk.depth)
        centre = float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2
        matrix = cv2.getRotationMatrix2D(centre, tilt, scale)
        matrix[:, 2] += (x * self.width - centre[0], y * self.height - centre[1])
        return np.asarray(matrix, np.float32)

    def _truth(self, placed: Sequence[tuple[Walk, Floats]], owner: Longs) -> Truth:
        rows = []
        for index, (walk, matrix) in enumerate(placed):
            box = self.people[walk.person][walk.photo].box
            scale = float(np.hypot(*matrix[:, 0]))
            centre = matrix @ np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, 1.0], np.float32)
            half = scale * (box[2:] - box[:2]) / 2
            if (share := _share_seen(owner == index, centre, half)) > 0.0 or _inside(centre, half, owner.shape):
                rows.append((walk.person, np.concatenate([centre - half, centre + half]), share))
        people = np.array([who for who, _, _ in rows], np.int64)
        boxes = np.array([box for _, box, _ in rows], np.float32).reshape(-1, 4)
        return Truth(people, boxes, np.array([share for _, _, share in rows], np.float32))


def _background(photo: Image, width: int, height: int, seconds: float) -> Image:
    """A slow pan over ``photo``, which is larger than the frame."""
    room_x, room_y = photo.shape[1] - width, photo.shape[0] - height
    left = round(room_x * (0.5 + 0.4 * np.sin(seconds / 9.0)))
    top = round(room_y * (0.5 + 0.4 * np.cos(seconds / 13.0)))
    return photo[top : top + height, left : left + width]


def _gain(walk: Walk, seconds: float) -> float:
    return 1.0 + 0.15 * float(np.sin(seconds / 2.3 + 5.0 * walk.depth))


def _paint(canvas: Floats, owner: Longs, head: Head, matrix: Floats, *, gain: float, owner_id: int) -> None:
    """Lay the head onto the canvas, and say which pixels are its own."""
    height, width = head.opacity.shape
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], np.float32) @ matrix.T
    left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)).astype(int), (canvas.shape[1], canvas.shape[0]))
    if right - left < 2 or bottom - top < 2:
        return
    moved = matrix - np.array([[0, 0, left], [0, 0, top]], np.float32)
    size = int(right - left), int(bottom - top)
    scale = float(np.hypot(*matrix[:, 0]))
    how = cv2.INTER_AREA if scale < 0.6 else cv2.INTER_LINEAR
    pixels = cv2.GaussianBlur(head.pixels, (0, 0), 0.35 / scale) if scale < 0.8 else head.pixels
    colours = cv2.warpAffine(pixels, moved, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
    opacity = cv2.warpAffine(head.opacity, moved, size, flags=how)[..., None]
    region = canvas[top:bottom, left:right]
    region += opacity * (colours * gain - region)
    owner[top:bottom, left:right][opacity[..., 0] > 0.5] = owner_id


def _share_seen(own: npt.NDArray[np.bool_], centre: Floats, half: Floats) -> float:
    """How much of the ellipse in the face's box is the face's own, what lies outside the frame counting as hidden."""
    left, top = np.floor(centre - half).astype(int)
    right, bottom = np.ceil(centre + half).astype(int)
    y, x = np.mgrid[top:bottom, left:right]
    ellipse = ((x + 0.5 - centre[0]) / half[0]) ** 2 + ((y + 0.5 - centre[1]) / half[1]) ** 2 <= 1.0
    inside = ellipse & (x >= 0) & (y >= 0) & (x < own.shape[1]) & (y < own.shape[0])
    return float(own[y[inside], x[inside]].sum() / max(ellipse.sum(), 1))


def _inside(centre: Floats, half: Floats, shape: tuple[int, ...]) -> bool:
    return bool(((centre + half > 0) & (centre - half < (shape[1], shape[0]))).all())


# People


def cut_out(photo: Image, box: Floats) -> Head:
    """The head around a face's box, fading into nothing."""
    centre, extent = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    reach = np.array(HEAD, np.float32) * extent
    left, top = np.floor(np.maximum(centre - reach, 0)).astype(int)
    right, bottom = np.ceil(np.minimum(centre + reach, (photo.shape[1], photo.shape[0]))).astype(int)
    y, x = np.mgrid[top:bottom, left:right]
    away = np.hypot((x + 0.5 - centre[0]) / reach[0], (y + 0.5 - centre[1]) / reach[1])
    edge = np.minimum.reduce([x - left, y - top, right - 1 - x, bottom - 1 - y]) / 6.0  # a photo's own edge fades too
    opacity = np.minimum(((1.0 - away) / SOFT).clip(0, 1), edge.clip(0, 1))
    return Head(
        photo[top:bottom, left:right].astype(np.float32),
        opacity.astype(np.float32),
        (box - np.array([left, top, left, top])).astype(np.float32),
    )


def people_of(folder: Path, device: str = "cpu") -> dict[str, list[Head]]:
    """Everybody of the LFW photos with at least two of them, in alphabetical order."""
    photos: dict[str, list[Path]] = {}
    for path in sorted((folder / "identity" / "lfw_dev").glob("*.jpg")):
        photos.setdefault(path.stem.rsplit("_", 1)[0], []).append(path)
    detector = registry.create("detect", "yunet")
    detector.load(device)
    people: dict[str, list[Head]] = {}
    for name, paths in photos.items():
        if len(paths) >= 2:
            images = [read_bgr(path) for path in paths]
            feed = detector.pre_process(images)
            found = detector.post_process(detector.infer(feed), feed)
            heads = [cut_out(image, _central(one.boxes, image)) for image, one in zip(images, found) if len(one.boxes)]
            if len(heads) >= 2:
                people[name] = heads
    return people


def _central(boxes: Floats, image: Image) -> Floats:
    middle = np.array([image.shape[1], image.shape[0]], np.float32) / 2
    nearest: Floats = boxes[np.linalg.norm((boxes[:, :2] + boxes[:, 2:]) / 2 - middle, axis=1).argmin()]
    return nearest


# Scenes


@dataclass(slots=True)
class Cast:
    """Whom a scene takes, and chance. Photos of a person are taken in turn."""

    people: Mapping[str, Sequence[Head]]
    chance: np.random.Generator
    names: list[str] = field(default_factory=list)

    def choose(self, count: int) -> list[int]:
        self.names = [str(name) for name in self.chance.choice(sorted(self.people), count, replace=False)]
        return list(range(count))

    def between(self, low: float, high: float) -> float:
        return float(self.chance.uniform(low, high))

    def heads(self) -> list[Sequence[Head]]:
        return [self.people[name] for name in self.names]

    def photo(self, person: int, turn: int) -> int:
        return turn % len(self.people[self.names[person]])


def scenes(folder: Path, seed: int = 0, people: Mapping[str, Sequence[Head]] | None = None) -> list[Scene]:
    """The six scenes of a seed. ``folder`` is the data folder; ``people`` as :func:`people_of` gives them."""
    people = people or people_of(folder)
    photo = read_bgr(folder / "detection" / "misc" / "grass.jpg")
    made = []
    for number, make in enumerate(SCENES):
        cast = Cast(people, np.random.default_rng((seed, number)))
        made.append(make(cast, photo))
    return made


def crossing(cast: Cast, photo: Image) -> Scene:
    walks = []
    for person in cast.choose(4):
        size, y, seconds = cast.between(0.2, 0.34), cast.between(0.42, 0.58), 0.0
        x = 0.14 + 0.24 * person
        keys = [(seconds, x, y, size)]
        while seconds < 20.0:
            x = cast.between(0.55, 0.9) if x < 0.5 else cast.between(0.1, 0.45)
            seconds += cast.between(1.6, 4.0)
            keys += [(seconds, x, y + cast.between(-0.06, 0.06), size * cast.between(0.92, 1.08))]
            seconds += (pause := cast.between(0.2, 1.0))
            keys += [(seconds, x + 0.02 * pause, *keys[-1][2:])]
        walks.append(Walk(person, 0, 1.0 - size, keys))
    return _scene("crossing", cast, photo, walks, rate=15.0, seconds=20.0)


def returning(cast: Cast, photo: Image) -> Scene:
    walks = []
    for person in cast.choose(4):
        seconds = cast.between(0.0, 1.5)
        for turn in range(4):
            stay = cast.between(3.0, 5.0)
            keys = _visit(cast, seconds, stay, size=cast.between(0.22, 0.36), y=cast.between(0.35, 0.65))
            walks.append(Walk(person, cast.photo(person, turn), cast.between(0.0, 1.0), keys))
            seconds += stay + cast.between(3.0, 7.0)
    return _scene("returning", cast, photo, walks, rate=15.0, seconds=28.0)


def pillar(cast: Cast, photo: Image) -> Scene:
    walks = []
    for person in cast.choose(3):
        size, y = cast.between(0.18, 0.26), (0.3, 0.5, 0.68)[person]
        left, seconds = person % 2 == 0, cast.between(0.0, 1.0)
        keys = [(0.0, 0.15 if left else 0.85, y, size)]
        while seconds < 24.0:
            x = cast.between(0.08, 0.28) if left else cast.between(0.72, 0.92)
            keys.append((seconds + 0.5, x, y, size))
            seconds += cast.between(2.0, 3.0)
            hidden = cast.between(0.8, 2.5)
            keys += [(seconds, 0.48 if left else 0.52, y, size), (seconds + hidden, 0.5, y, size)]
            left = left if cast.between(0, 1) < 0.35 else not left  # some turn round behind it
            seconds += hidden + cast.between(1.0, 2.0)
        walks.append(Walk(person, 0, 0.5 + 0.1 * person, keys))
    return _scene("pillar", cast, photo, walks, rate=20.0, seconds=22.0, size=(1280, 720), pillars=[(0.41, 0.59)])


def chairs(cast: Cast, photo: Image) -> Scene:
    """Three chairs; every few seconds somebody leaves theirs and somebody else, who was away, takes it."""
    people = cast.choose(5)
    seats, walks, seated = (0.2, 0.5, 0.8), list[Walk](), {0: 0, 1: 1, 2: 2}
    since, turns, away = dict.fromkeys(range(3), 0.0), dict.fromkeys(people, 0), [3, 4]
    for change in range(9):
        seat, now = change % 3, 3.0 + 3.0 * change + cast.between(0.0, 0.8)
        walks.append(_sitting(cast, seated[seat], turns[seated[seat]], seats[seat], since[seat], now))
        turns[seated[seat]] += 1
        away.append(seated[seat])
        seated[seat], since[seat] = away.pop(0), now + cast.between(0.3, 1.2)
    walks += [_sitting(cast, seated[seat], turns[seated[seat]], x, since[seat], 32.0) for seat, x in enumerate(seats)]
    return _scene("chairs", cast, photo, walks, rate=8.0, seconds=30.0, light=0.6, noise=7.0)


def corridor(cast: Cast, photo: Image) -> Scene:
    walks = []
    for person in cast.choose(6):
        seconds = 1.5 * person
        for turn in range(3):
            start, stop = cast.between(0.3, 0.7), cast.between(0.0, 1.0)
            stay, y = cast.between(2.5, 4.0), cast.between(0.4, 0.55)
            out = -0.2 if stop < 0.5 else 1.2
            keys = [
                (seconds, start, y, 0.13),
                (seconds + 0.7 * stay, 0.3 + 0.4 * stop, y, 0.32),
                (seconds + stay, out, y + 0.05, 0.4),
            ]
            walks.append(Walk(person, cast.photo(person, turn), seconds, keys))
            seconds += stay + cast.between(4.0, 7.0)
    return _scene("corridor", cast, photo, walks, rate=15.0, seconds=26.0, blur=0.8, noise=4.0)


def quiet(cast: Cast, photo: Image) -> Scene:
    first, second = cast.choose(2)
    sitting = [(0.0, 0.25, 0.5, 0.3), (9.0, 0.28, 0.48, 0.31), (24.0, 0.24, 0.52, 0.3)]
    walks = [Walk(first, 0, 0.5, sitting)]
    for turn, seconds in enumerate((0.0, 8.5, 17.0)):
        keys = [(seconds, 1.15, 0.5, 0.28), (seconds + 1.5, 0.7, 0.5, 0.3), (seconds + 4.0, 0.68, 0.52, 0.3)]
        walks.append(Walk(second, cast.photo(second, turn), 0.4, [*keys, (seconds + 5.5, 1.15, 0.5, 0.28)]))
    return _scene("quiet", cast, photo, walks, rate=15.0, seconds=24.0)


SCENES: tuple[Callable[[Cast, Image], Scene], ...] = (crossing, returning, pillar, chairs, corridor, quiet)


def _visit(cast: Cast, seconds: float, stay: float, *, size: float, y: float) -> list[Key]:
    """In at one edge, across, and out at the same edge or the other."""
    left, through = cast.between(0, 1) < 0.5, cast.between(0, 1) < 0.5
    first, last = (-0.15, 1.15 if through else -0.15) if left else (1.15, -0.15 if through else 1.15)
    middle = cast.between(0.3, 0.7)
    return [
        (seconds, first, y, size),
        (seconds + 0.4 * stay, middle, y + cast.between(-0.08, 0.08), size * cast.between(0.9, 1.1)),
        (seconds + 0.6 * stay, middle + cast.between(-0.05, 0.05), y, size),
        (seconds + stay, last, y, size),
    ]


def _sitting(cast: Cast, person: int, turn: int, x: float, start: float, stop: float) -> Walk:
    """Up from below the frame, a while on the chair, and down again."""
    size, y = cast.between(0.24, 0.3), cast.between(0.45, 0.55)
    keys = [(start + 0.7, x, y, size), (stop - 0.7, x + cast.between(-0.03, 0.03), y, size), (stop, x, 1.25, size)]
    return Walk(person, cast.photo(person, turn), cast.between(0, 1), [(start, x, 1.25 if start else y, size), *keys])


def _scene(
    name: str,
    cast: Cast,
    photo: Image,
    walks: Sequence[Walk],
    *,
    rate: float,
    seconds: float,
    size: tuple[int, int] = (640, 360),
    pillars: Sequence[tuple[float, float]] = (),
    light: float = 1.0,
    noise: float = 2.0,
    blur: float = 0.0,
) -> Scene:
    width, height = size
    scale = 1.2 * max(width / photo.shape[1], height / photo.shape[0])
    background = np.asarray(cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR), np.uint8)
    names, heads = list(cast.names), cast.heads()
    chance = int(cast.chance.integers(2**31))
    return Scene(
        name, width, height, rate, seconds, heads, names, walks, background, pillars, light, noise, blur, chance
    )


# Files


def write(scene: Scene, folder: Path) -> None:
    """NAME.mp4, NAME.json (a list of frames) and NAME.jpg (twelve of them, with boxes)."""
    frames, pictures = [], []
    writer = cv2.VideoWriter(
        str(folder / f"{scene.name}.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), scene.rate, (scene.width, scene.height)
    )
    for index, (image, truth) in enumerate(scene):
        writer.write(image)
        frames.append({name: getattr(truth, name).tolist() for name in ("people", "boxes", "visible")})
        if index % max(1, len(scene) // 12) == 0:
            pictures.append(_labelled(image, truth))
    writer.release()
    content = {"names": list(scene.names), "rate": scene.rate, "frames": frames}
    (folder / f"{scene.name}.json").write_text(json.dumps(content))
    rows = [np.hstack(pictures[start : start + 4]) for start in range(0, 12, 4)]
    cv2.imwrite(str(folder / f"{scene.name}.jpg"), np.vstack(rows))


def _labelled(image: Image, truth: Truth) -> Image:
    image = image.copy()
    for who, box, share in zip(truth.people, truth.boxes.astype(int), truth.visible):
        cv2.rectangle(image, box[:2].tolist(), box[2:].tolist(), (0, 255, 0) if share >= 0.5 else (0, 0, 255), 2)
        cv2.putText(image, f"{who} {share:.1f}", box[:2].tolist(), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 255, 255), 1)
    return np.asarray(cv2.resize(image, (480, 270), interpolation=cv2.INTER_AREA), np.uint8)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the videos go")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = data_folder()
    if data is None:
        print("crossings: skipped, no data set here (see FACESTREAM_DATA in bench/data.py)")
        return 0
    options.folder.mkdir(parents=True, exist_ok=True)
    for scene in scenes(data, options.seed):
        write(scene, options.folder)
        print(f"{scene.name}: {len(scene)} frames at {scene.rate:g}/s, {', '.join(scene.names)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Faces that others mustn't see: results whose pictures show them covered, before anything is sent or saved."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Final, TypeVar

import cv2
import numpy as np

from facestream.errors import ConfigError
from facestream.faces.anonymise import Cover, Region, box_region, covered, face_regions
from facestream.jobs.models import ModelOptions
from facestream.jobs.people import People
from facestream.plugins import registry
from facestream.stream.device import Bridge
from facestream.stream.known_people import KnownPeople
from facestream.stream.types import Bools, Floats, FrameFaces, Image, Longs

log = logging.getLogger("facestream.privacy")

Choice = TypeVar("Choice", bound=Enum)

RECOGNISING: Final = "sface"
"""The identity model that tells who is known, if none is chosen."""

MEMORY: Final = 0.6
"""Seconds for which a covered face that isn't found any more stays covered where it was …"""

LEAST_FRAMES: Final = 2
"""… and at least so many frames, however far apart they are."""

_HOW: Final = "--anonymise"
_WHO: Final = "--anonymise-who"
_SAME_PLACE: Final = 0.3  # IoU: a face there now is the one that was there
_ENLARGED: Final = (1.2, 0.6)  # at once, and more in a second: nobody knows where it went


class Whose(Enum):
    """Whose faces are covered."""

    EVERYONE = "everyone"
    UNKNOWN = "unknown"  # all but those of people who are recognised by name
    KNOWN = "known"  # only those


@dataclass(slots=True, eq=False)
class _Seen:
    """A covered face.

    Attributes:
        box: (4,) where it was last found.
        speed: (4,) pixels/s of its edges.
        at: when, in seconds of the source's time.
        missed: frames since.
    """

    track: int
    box: Floats
    speed: Floats
    at: float
    missed: int = 0

    def expected(self, now: float) -> Floats:
        """(4,): the box around where it was and where it would be if it kept moving."""
        moved = self.box + self.speed * np.float32(now - self.at)
        return np.concatenate([np.minimum(self.box, moved)[:2], np.maximum(self.box, moved)[2:]])

    def growth(self, now: float) -> float:
        return _ENLARGED[0] + _ENLARGED[1] * min(1.0, now - self.at)


@dataclass(slots=True, eq=False)
class SeenRecently:
    """Which faces of one source were covered a moment ago. Pure.

    A detector misses a face now and then. So that none shows for a frame, a covered face that isn't found stays covered
    for :data:`MEMORY` seconds.
    """

    faces: list[_Seen] = field(default_factory=list)
    named: dict[int, float] = field(default_factory=dict)  # track → when it was last covered for its name

    def update(
        self, boxes: Floats, tracks: Longs, hidden: Bools, told: Bools, now: float
    ) -> list[tuple[Floats, float]]:
        """Take the next frame's faces.

        Args:
            boxes: float32 (N, 4).
            tracks: int64 (N,), -1 where there is none.
            hidden: bool (N,), which are covered.
            told: bool (N,), of which it is known whether to cover them, and so are what was covered where they are.
            now: seconds of the source's time, never decreasing.

        Returns:
            what else to cover: boxes (4,), and by how much to enlarge each.
        """
        before, self.faces = self.faces, []
        lost = []
        present = {track for track in tracks.tolist() if track >= 0}
        for seen in before:
            # Two tracks that have numbers tell themselves apart, wherever they are.
            maybe = boxes[told] if seen.track < 0 else boxes[told & (tracks < 0)]
            if seen.track not in present and not _overlaps(seen.box, maybe):
                seen.missed += 1
                if now - seen.at <= MEMORY or seen.missed <= LEAST_FRAMES:
                    lost.append(seen)
        for index in np.flatnonzero(hidden).tolist():
            self.faces.append(_followed(before, boxes[index], int(tracks[index]), now))
        self.faces += lost
        return [(seen.expected(now), seen.growth(now)) for seen in lost]

    def still_named(self, tracks: Longs, named: Bools, now: float) -> Bools:
        """bool (N,): which faces are known by name, or were a moment ago under the same track."""
        for track in tracks[named].tolist():
            if track >= 0:
                self.named[track] = now
        self.named = {track: at for track, at in self.named.items() if now - at <= MEMORY}
        return named | np.array([track in self.named for track in tracks.tolist()], np.bool_)


def _overlaps(box: Floats, boxes: Floats) -> bool:
    """Whether one of ``boxes`` is where ``box`` was."""
    if not len(boxes):
        return False
    sides = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    shared = np.maximum(sides, 0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return bool((shared >= _SAME_PLACE * (areas - shared)).any())


def _followed(before: list[_Seen], box: Floats, track: int, now: float) -> _Seen:
    last = next((seen for seen in before if seen.track == track >= 0), None)
    if last is None or now <= last.at:
        return _Seen(track, box, np.zeros(4, np.float32), now)
    return _Seen(track, box, ((box - last.box) / np.float32(now - last.at)).astype(np.float32), now)


@dataclass(slots=True, eq=False)
class _Source:
    epoch: int
    size: tuple[int, int]
    pts: float
    recently: SeenRecently = field(default_factory=SeenRecently)

    def continues(self, faces: FrameFaces) -> bool:
        """Whether the frame is the next of the same moving picture."""
        frame = faces.frame
        return self.epoch == frame.epoch and self.size == frame.size and frame.pts >= self.pts


class Privacy:
    """Covers faces in results, for all that shows or saves them.

    Pictures of a folder have nothing to do with each other; in a video, a covered face that the detector misses stays
    covered for a moment (:class:`SeenRecently`). A face that isn't confirmed, or not named yet, is an unknown person's.
    Somebody else may appear where a named face was, so an unknown person's is also each face that wasn't itself seen to
    be the named person's in the very frame (:attr:`facestream.stream.types.Recognised.sure`).

    Args:
        bridge: where pictures are changed.
        cover: what faces give way to: "blur", "pixelate" or "box".
        whose: whose: "everyone", "unknown" or "known". Where nobody is looked for, everybody's.
        known: the people, for results in which nobody has been recognised yet: each face is, by itself.
        identity: where those results have the embeddings for it.
        keep_embeddings: whether they stay in what is shown: they were asked for besides.

    Attributes:
        withheld: results that weren't to be shown at all, because it couldn't be said where a face is.

    Raises:
        ConfigError: there is no such cover, or no such people.
    """

    def __init__(
        self,
        bridge: Bridge,
        cover: str,
        whose: str = "everyone",
        *,
        known: KnownPeople | None = None,
        identity: str = RECOGNISING,
        keep_embeddings: bool = True,
    ) -> None:
        self._bridge = bridge
        self._keep_embeddings = keep_embeddings
        self._known = known
        self._identity = identity
        self._cover = _chosen(Cover, cover, _HOW)
        self._whose = _chosen(Whose, whose, _WHO)
        self._sources: dict[str, _Source] = {}
        self.withheld = 0

    async def apply(self, faces: FrameFaces) -> FrameFaces | None:
        """The result with a picture of its own in which faces are covered, or as it is if there is nothing to cover.

        Everything else of the result stays: boxes, landmarks, tracks. Results of a source come in their order.
        Cancelling loses the result.

        Returns:
            None if the result must not be shown: the detector's result isn't usable, so nobody knows where faces are.
        """
        source = self._source_of(faces)
        if self._known is not None and faces.people is None:
            faces = self._recognised(faces, self._known)
        if not np.isfinite(faces.boxes).all():
            self._withhold(faces)
            return None
        tracks = np.full(len(faces), -1, np.int64) if faces.tracks is None else faces.tracks
        hidden = self._hidden(faces, source, tracks)
        now = faces.frame.pts
        # Where known people are covered, a face without a name yet may be one whose track was lost just now.
        told = hidden if self._whose is Whose.KNOWN else np.ones(len(faces), np.bool_)
        others = [] if source is None else source.recently.update(faces.boxes, tracks, hidden, told, now)
        if not hidden.any() and not others:
            return faces
        try:
            image = await self._bridge.cpu(_with_covered, faces, hidden, others, self._cover)
        except (ValueError, cv2.error) as error:
            log.debug("%r: %s", faces, error)
            self._withhold(faces)
            return None
        return replace(faces, frame=replace(faces.frame, image=image))

    def forget(self, source: str) -> None:
        """Keep nothing of a source that has gone."""
        self._sources.pop(source, None)

    def _source_of(self, faces: FrameFaces) -> _Source | None:
        """What is remembered of the frame's source; None for a picture that stands for itself."""
        frame = faces.frame
        if frame.name is not None or frame.extracted is not None:
            return None
        source = self._sources.get(frame.source)
        if source is None or not source.continues(faces):
            source = self._sources[frame.source] = _Source(frame.epoch, frame.size, frame.pts)
        source.pts = frame.pts
        return source

    def _hidden(self, faces: FrameFaces, source: _Source | None, tracks: Longs) -> Bools:
        if self._whose is Whose.EVERYONE or faces.people is None:
            return np.ones(len(faces), np.bool_)
        if self._whose is Whose.UNKNOWN:
            return np.array([person is None or not person.sure for person in faces.people], np.bool_)
        named = np.array([person is not None for person in faces.people], np.bool_)
        return named if source is None else source.recently.still_named(tracks, named, faces.frame.pts)

    def _recognised(self, faces: FrameFaces, known: KnownPeople) -> FrameFaces:
        looks = faces.identities.get(self._identity)
        people = (None,) * len(faces) if looks is None else tuple(known.match(looks))
        identities = dict(faces.identities)
        if not self._keep_embeddings:
            identities.pop(self._identity, None)
        return replace(faces, people=people, identities=identities)

    def _withhold(self, faces: FrameFaces) -> None:
        self.withheld += 1
        if self.withheld == 1:
            log.warning("%r isn't shown: it can't be said where its faces are; further ones are only counted", faces)


def _with_covered(faces: FrameFaces, hidden: Bools, others: list[tuple[Floats, float]], cover: Cover) -> Image:
    size = faces.frame.size
    regions: list[Region | None] = [*face_regions(faces, size, hidden)]
    regions += [box_region(box, size, growth) for box, growth in others]
    return covered(faces.frame.image, [region for region in regions if region is not None], cover)


@asynccontextmanager
async def open_privacy(
    bridge: Bridge, cover: str | None, whose: str, asked: ModelOptions, people: Path | None = None
) -> AsyncIterator[Privacy | None]:
    """What covers faces in a job on files; None without a ``cover``.

    Args:
        asked: the models that are asked for; what runs are those of :func:`with_recognition`.
        people: the gallery, by default the user's. It is read once, and only if it matters whose a face is.

    Raises:
        ConfigError: faces are found that wouldn't be covered, or only known people are to be and there are none.
        FileFormatError, OutputError: the gallery can't be read.
    """
    if cover is None:
        yield None
        return
    check_finds_all(asked)
    if _chosen(Whose, whose, _WHO) is Whose.EVERYONE:
        yield Privacy(bridge, cover, whose)
        return
    name = with_recognition(asked, cover, whose).identities[0]
    async with People.open(bridge, registry.card("identity", name), people) as gallery:
        known = gallery.known
    if known.empty and whose == Whose.KNOWN.value:
        raise ConfigError(f"{_WHO} known, and {name} knows nobody: facestream people add NAME PICTURE, then run this")
    storage = registry.create("identity", name).storage_name
    yield Privacy(bridge, cover, whose, known=known, identity=storage, keep_embeddings=bool(asked.identities))


def with_recognition(models: ModelOptions, cover: str | None, whose: str) -> ModelOptions:
    """The models, and one that tells who is known if that matters and none of them does.

    Raises:
        ConfigError: there are no such people.
    """
    if cover is None or _chosen(Whose, whose, _WHO) is Whose.EVERYONE or models.identities:
        return models
    return replace(models, identity=RECOGNISING)


def check_finds_all(models: ModelOptions) -> None:
    """
    Raises:
        ConfigError: faces that are found would be left out of results, and so be shown as they are.
    """
    left_out = {
        "--filter and --nfilter": models.filtering,
        "--align-filters": models.align_filters,
        "--min-size and --max-size": bool(models.min_size or models.max_size),
    }
    if (option := next((option for option, used in left_out.items() if used), None)) is not None:
        raise ConfigError(f"a face that {option} leave out would not be covered: leave them or --anonymise out")


def _chosen(kind: type[Choice], value: str, option: str) -> Choice:
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(str(each.value) for each in kind)
        raise ConfigError(f"{option} {value!r} isn't possible: choose from {known}") from None

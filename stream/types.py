"""The vocabulary: what flows through facestream. Imports numpy only.

Coordinates are frame pixels, x to the right and y down, of the frame as it is shown (rotation applied); ``(0, 0)`` is
the top-left corner of the top-left pixel. Images are uint8 BGR (h, w, 3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final, NamedTuple, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

Image: TypeAlias = npt.NDArray[np.uint8]
Floats: TypeAlias = npt.NDArray[np.float32]
Doubles: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int32]
Longs: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

Region: TypeAlias = tuple[int, int, int, int]
"""A part of a picture: left, top, right, bottom in pixels, the last two exclusive; within it, and not empty."""


class FrameKey(NamedTuple):
    """What a frame *is*. File names are derived from it; nothing is looked up by a file name."""

    source: str
    epoch: int
    seq: int


@dataclass(frozen=True, slots=True, eq=False)
class Extracted:
    """Where a face picture was cut out, for a frame whose image is one (spec §2.2). See
    :mod:`facestream.faces.extracted`.

    Attributes:
        matrix: float64 (3, 3), pixels of the frame that it was cut from → the picture's.
        size: (width, height) of that frame.
        box: float32 (4,), the face's box in that frame.
        source: the picture's own account of where it comes from: faceswap's ``source`` header.
    """

    matrix: Doubles
    size: tuple[int, int]
    box: Floats
    source: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Frame:
    """One image from one source.

    Attributes:
        source: the source's name.
        epoch: counts the source's reconnections, from 0.
        seq: counts the frames of the epoch, from 0, before any is dropped.
        pts: seconds in the source's own time.
        captured_at: Unix seconds when the frame reached us.
        image: uint8 BGR (h, w, 3).
        name: the picture's own file name where it has one (folders and lists), else None.
        dropped: how many frames of this source gave way since the last one that went on to the models.
        extracted: set where the image is a face picture, cut out of another frame.
        guided: no detector looks at it: its faces are expected where those of the frames before were; see
            :mod:`facestream.stream.guiding`.
        region: where a detector looks; None for everywhere.
    """

    source: str
    epoch: int
    seq: int
    pts: float
    captured_at: float
    image: Image
    name: str | None = None
    dropped: int = 0
    extracted: Extracted | None = None
    guided: bool = False
    region: Region | None = None

    @property
    def key(self) -> FrameKey:
        return FrameKey(self.source, self.epoch, self.seq)

    @property
    def view(self) -> Image:
        """uint8 BGR (h, w, 3), the region's part of the image; all of it without one. Shares the image's memory."""
        if self.region is None:
            return self.image
        left, top, right, bottom = self.region
        return self.image[top:bottom, left:right]

    def around(self, region: Region) -> tuple[Image, tuple[int, int]]:
        """Pixels that hold a region, uint8 BGR (h, w, 3), and where in the image they begin: all that are there, and no
        more than that where they are still to be made. May share the image's memory.
        """
        return self.image, (0, 0)

    @property
    def light(self) -> Image | None:
        """uint8 (h, w), roughly how bright each pixel is; None where telling it would take time. Shares memory."""
        return self.image[:, :, 1]

    def changed(self, **values: Any) -> Self:
        """A copy with other values of some fields. Makes no pixels, as :func:`dataclasses.replace` would."""
        return replace(self, **values)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.image.shape[1], self.image.shape[0]

    def __repr__(self) -> str:
        width, height = self.size
        return f"<Frame {self.source} {self.epoch}:{self.seq} {width}x{height} pts={self.pts:.3f}>"


@dataclass(slots=True, eq=False)
class Aligned:
    """What the aligned view derives from N faces' landmarks (spec §2.4, §8). Made by :mod:`facestream.faces.aligned`.

    Attributes:
        matrices: float32 (N, 3, 3), frame pixels → normalised mean-face coordinates ("legacy" centering).
        offsets: centering → float32 (N, 2), normalised; subtract it from the matrix's translation.
        pose: float32 (N, 3) pitch, yaw, roll in degrees.
    """

    matrices: Floats
    offsets: dict[str, Floats]
    pose: Floats

    def centred(self, centering: str) -> Floats:
        """float32 (N, 3, 3), frame pixels → normalised coordinates in another centering: "legacy", "face", "head"."""
        matrices = self.matrices.copy()
        matrices[:, :2, 2] -= self.offsets[centering]
        return matrices

    def take(self, index: slice | Bools | Ints | Longs) -> Aligned:
        return Aligned(self.matrices[index], {k: v[index] for k, v in self.offsets.items()}, self.pose[index])


@dataclass(slots=True, eq=False)
class Masks:
    """One kind of mask for N faces.

    Attributes:
        centering: "legacy", "face" or "head".
        matrices: float32 (N, 3, 3), frame pixels → mask pixels; NaN for a face that has no such mask.
        masks: uint8 (N, size, size).
    """

    centering: str
    matrices: Floats
    masks: Image

    @property
    def present(self) -> Bools:
        """bool (N,): which faces have this mask."""
        return np.asarray(np.isfinite(self.matrices).all(axis=(1, 2)))

    def take(self, index: slice | Bools | Ints | Longs) -> Masks:
        return Masks(self.centering, self.matrices[index], self.masks[index])


def _no_boxes() -> Floats:
    return np.zeros((0, 4), np.float32)


def _no_scores() -> Floats:
    return np.zeros((0,), np.float32)


@dataclass(slots=True, eq=False, kw_only=True)
class Faces:
    """Parallel arrays over N faces. An optional array is None when nothing has computed it.

    Attributes:
        boxes: float32 (N, 4) left, top, right, bottom; may lie partly outside the frame.
        scores: float32 (N,), the detector's confidence in 0..1.
        points: float32 (N, 5, 2), the detector's own eyes, nose and mouth corners (its subject's right eye first).
        landmarks: float32 (N, 68, 2), 300-W order.
        landmark_scores: float32 (N,), the aligner's confidence in 0..1.
        tracks: int64 (N,), -1 while a face isn't confirmed yet.
        priors: float32 (N, 68, 2), where the landmarks of a guided frame's faces are expected; NaN for a face that was
            detected, None if all were. Gone once the aligner has looked there.
        masks: name → :class:`Masks`.
        identities: name → float32 (N, D); NaN for a face that has no such embedding.
        aligned: what the landmarks imply; see :class:`Aligned`.
    """

    boxes: Floats = field(default_factory=_no_boxes)
    scores: Floats = field(default_factory=_no_scores)
    points: Floats | None = None
    landmarks: Floats | None = None
    landmark_scores: Floats | None = None
    tracks: Longs | None = None
    priors: Floats | None = None
    masks: dict[str, Masks] = field(default_factory=dict)
    identities: dict[str, Floats] = field(default_factory=dict)
    aligned: Aligned | None = None

    def __post_init__(self) -> None:
        count = len(self.boxes)
        if self.boxes.shape != (count, 4):
            raise ValueError(f"boxes must be (N, 4), not {self.boxes.shape}")
        for name in PER_FACE:
            array = getattr(self, name)
            if array is not None and len(array) != count:
                raise ValueError(f"{name} has {len(array)} rows for {count} boxes")

    def __len__(self) -> int:
        return len(self.boxes)

    def __bool__(self) -> bool:
        """Always true: a frame without faces is a result like any other."""
        return True

    def face_fields(self, index: slice | Bools | Ints | Longs) -> dict[str, Any]:
        """Every per-face field of the faces at ``index``, as keyword arguments for a constructor."""
        fields: dict[str, Any] = {
            name: None if (array := getattr(self, name)) is None else array[index] for name in PER_FACE
        }
        fields["masks"] = {name: masks.take(index) for name, masks in self.masks.items()}
        fields["identities"] = {name: rows[index] for name, rows in self.identities.items()}
        fields["aligned"] = None if self.aligned is None else self.aligned.take(index)
        return fields

    def all_fields(self) -> dict[str, Any]:
        """Every per-face field of all faces, likewise; the arrays themselves."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in PER_FACE}
        fields["masks"], fields["identities"] = dict(self.masks), dict(self.identities)
        fields["aligned"] = self.aligned
        return fields

    def keep(self, index: slice | Bools | Ints | Longs) -> None:
        """Keep only the faces at ``index`` (a slice, a boolean mask or a list of indices), in place."""
        for name, value in self.face_fields(index).items():
            setattr(self, name, value)


PER_FACE: Final = ("boxes", "scores", "points", "landmarks", "landmark_scores", "tracks", "priors")
"""The fields of :class:`Faces` that are one plain array."""


def _without_absent(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields without the masks, embeddings and priors that no face has: they came from others of the batch."""
    if len(fields["boxes"]):
        if fields["priors"] is not None and np.isnan(fields["priors"]).all():
            fields["priors"] = None
        fields["masks"] = {name: masks for name, masks in fields["masks"].items() if masks.present.any()}
        fields["identities"] = {name: rows for name, rows in fields["identities"].items() if not np.isnan(rows).all()}
    return fields


class Recognised(NamedTuple):
    """Whom a face is taken for.

    Attributes:
        similarity: the cosine similarity to that person, -1..1.
        sure: a look at the face in this very frame agrees; otherwise it is taken for who it was before.
    """

    name: str
    similarity: float
    sure: bool = True


@dataclass(slots=True, eq=False, kw_only=True)
class FrameFaces(Faces):
    """A frame with what was found in it; what :func:`facestream.extract` yields and what sinks receive.

    Attributes:
        frame: the frame itself, pixels included.
        people: N entries, the person whom each face was recognised as, None for an unknown one; None where nobody is
            looked for. Said once all models are through, so it isn't among the fields that travel in batches.
    """

    frame: Frame
    people: tuple[Recognised | None, ...] | None = None

    def keep(self, index: slice | Bools | Ints | Longs) -> None:
        """Keep only the faces at ``index``, in place."""
        if self.people is not None:
            self.people = tuple(self.people[row] for row in np.arange(len(self))[index].tolist())
        Faces.keep(self, index)

    @property
    def key(self) -> FrameKey:
        return self.frame.key

    @property
    def dropped(self) -> int:
        """Frames of this source that were captured after the previous result's and gave way to this one."""
        return self.frame.dropped

    def __repr__(self) -> str:
        return f"<FrameFaces {self.frame.source} {self.frame.epoch}:{self.frame.seq} faces={len(self)}>"


@dataclass(slots=True, eq=False, kw_only=True)
class ExtractBatch(Faces):
    """The unit that a model sees: frames, and their faces in one flat list (spec §2.3).

    A frame may span batches: :class:`facestream.stream.batching.FaceBatcher` splits and
    :class:`facestream.stream.batching.FrameJoiner` re-joins.

    Attributes:
        frames: the frames, in arrival order; a frame without faces is among them.
        frame_ids: int32 (N,), the index into ``frames`` of each face; non-decreasing.
        continued: the last frame's faces go on in the next batch.
    """

    frames: list[Frame]
    frame_ids: Ints = field(default_factory=lambda: np.zeros((0,), np.int32))
    continued: bool = False

    def __post_init__(self) -> None:
        Faces.__post_init__(self)
        if len(self.frame_ids) != len(self.boxes):
            raise ValueError(f"frame_ids has {len(self.frame_ids)} rows for {len(self.boxes)} boxes")

    @property
    def images(self) -> list[Image]:
        return [frame.image for frame in self.frames]

    @property
    def lengths(self) -> Ints:
        """int32 (F,): faces per frame."""
        return np.bincount(self.frame_ids, minlength=len(self.frames)).astype(np.int32)

    def keep(self, index: slice | Bools | Ints | Longs) -> None:
        """Keep only the faces at ``index``, in place. No frame is ever removed."""
        self.frame_ids = self.frame_ids[index]
        Faces.keep(self, index)

    def __getitem__(self, index: slice) -> ExtractBatch:
        """The faces ``a:b`` with their frames (spec §2.3).

        Frames without faces go with the face before them, or with the first face. So slices that follow one another
        hold every frame, and a frame whose faces are on both sides of a cut is in both (``continued`` in the first).
        """
        start, stop, step = index.indices(len(self))
        if step != 1:
            raise ValueError("a batch is sliced face by face")
        if stop <= start and len(self):
            return ExtractBatch(frames=[])
        first = int(self.frame_ids[start]) if start else 0
        last, continued = len(self.frames), self.continued
        if stop < len(self):
            continued = bool(self.frame_ids[stop] == self.frame_ids[stop - 1])
            last = int(self.frame_ids[stop]) + continued
        ids = self.frame_ids[start:stop] - np.int32(first)
        fields = self.face_fields(slice(start, stop))
        return ExtractBatch(frames=self.frames[first:last], frame_ids=ids, continued=continued, **fields)

    def per_frame(self) -> Iterator[FrameFaces]:
        """Each frame with its own faces, in order."""
        if len(self.frames) == 1:
            yield FrameFaces(frame=self.frames[0], **_without_absent(self.all_fields()))
            return
        stops = np.cumsum(self.lengths)
        for frame, stop, length in zip(self.frames, stops, self.lengths):
            fields = self.face_fields(slice(int(stop - length), int(stop)))
            yield FrameFaces(frame=frame, **_without_absent(fields))

    def __repr__(self) -> str:
        return f"<ExtractBatch frames={len(self.frames)} faces={len(self)}{' …' if self.continued else ''}>"


class SourceState(Enum):
    """Where a source is in its life."""

    CONNECTING = "connecting"  # opening for the first time
    LIVE = "live"  # frames are arriving
    DEGRADED = "degraded"  # lost or refused; retrying with back-off
    STOPPED = "stopped"  # ended, removed or given up; never comes back by itself


@dataclass(frozen=True, slots=True)
class SourceStatistics:
    """What a source has done so far. ``damaged`` counts packets or files that couldn't be decoded and were skipped."""

    captured: int = 0
    damaged: int = 0
    epoch: int = 0
    reconnects: int = 0


@runtime_checkable
class Source(Protocol):
    """Frames from somewhere: ``async with open_source(url) as source: async for frame in source``.

    Entering the context opens it and leaving closes it: every thread, file and connection is gone afterwards. Iterating
    ends when the source does. Cancelling ``__anext__`` loses at most the frame being decoded.
    """

    name: str
    live: bool

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height), or None while unknown. May change with the epoch."""

    @property
    def rate(self) -> float | None:
        """Frames a second as announced, or None when unknown. Never to be trusted for timing."""

    @property
    def count(self) -> int | None:
        """Frames in all as announced, or None when unknown."""

    def statistics(self) -> SourceStatistics: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc_info: object) -> None: ...

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> Frame: ...


@runtime_checkable
class Sink(Protocol):
    """Somewhere for results to go. Leaving the context drains and finalises it, also after an error."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc_info: object) -> None: ...

    async def write(self, faces: FrameFaces) -> None:
        """Take one result. Waits when the sink is full; cancelling while it waits loses that one result."""

    async def drain(self) -> None:
        """Wait until everything written so far has arrived."""


class Detector(Protocol):
    """Finds faces in frames. Arrays in, arrays out: no asyncio, no threads, no file paths (spec §5, §6).

    ``pre_process`` and ``post_process`` run in CPU workers and must not touch the device; ``infer`` runs alone in the
    device's one worker. Neighbouring batches overlap, so no verb may keep state about a batch on ``self``.
    """

    name: str
    batch_size: int

    def load(self, device: str) -> None:
        """Load the weights and move the model to ``device`` ("cpu", "cuda", "cuda:1", "mps")."""

    def pre_process(self, images: Sequence[Image]) -> Any:
        """Frames of any sizes → a feed for ``infer``."""

    def infer(self, feed: Any) -> Any:
        """The network itself. May return device tensors' host copies only."""

    def post_process(self, raw: Any, feed: Any) -> list[Detections]:
        """Raw output → one :class:`Detections` a frame, in that frame's own pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """One frame's detections, best first: boxes float32 (N, 4), scores float32 (N,), points float32 (N, 5, 2) or None.

    Coordinates are frame pixels.
    """

    boxes: Floats
    scores: Floats
    points: Floats | None = None


class FacePlugin(Protocol):
    """A model that looks at faces: aligners, maskers, identity. The verbs take and return the batch's own arrays.

    ``pre_process`` gets the batch and returns a feed; ``post_process`` writes its result into the batch. The same rules
    as for :class:`Detector` hold.
    """

    name: str
    batch_size: int

    def load(self, device: str) -> None: ...

    def pre_process(self, batch: ExtractBatch) -> Any: ...

    def infer(self, feed: Any) -> Any: ...

    def post_process(self, raw: Any, feed: Any, batch: ExtractBatch) -> None: ...


@runtime_checkable
class Selective(Protocol):
    """A face plugin that writes nothing but embeddings, and says of itself whether it may be asked about some of a
    frame's faces only; the others then have none (NaN).
    """

    selective: bool


@runtime_checkable
class TellsLost(Protocol):
    """An aligner whose confidences tell whether what it was shown is a face.

    Attributes:
        lost_below: the confidence below which it is none; None if they don't tell.
    """

    lost_below: float | None


def lost_below(plugin: object) -> float | None:
    """That of ``plugin``; None if it isn't :class:`TellsLost`."""
    return plugin.lost_below if isinstance(plugin, TellsLost) else None


@runtime_checkable
class Summarised(Protocol):
    """A plugin that counts what it leaves out or does besides, and tells at the end of a job."""

    def summary(self) -> list[str]:
        """A line each for what happened, plain text; none when nothing did."""


def summary_of(plugin: object) -> list[str]:
    """What ``plugin``, and what it wraps, has to tell; nothing if it isn't :class:`Summarised`."""
    return plugin.summary() if isinstance(plugin, Summarised) else []

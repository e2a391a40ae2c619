"""Frames and faces → batches → frames again. Pure: no asyncio, no clock.

* :class:`FrameQueue` — the frames of many sources, waiting for the first model; decides who is next and who is dropped.
* :class:`FaceBatcher` — batches of any size → batches of at most so many faces, for the models that look at faces.
* :class:`FrameJoiner` — batches → frames, each with all its faces.
* :class:`InFlight` — how many batches are on their way.

Nothing here holds anything back: whatever is waiting when a model becomes free is what it gets (work-conserving).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from facestream.stream.joining import batch_of, frame_of, layout_of
from facestream.stream.types import ExtractBatch, Faces, Frame, FrameFaces

Item: TypeAlias = Frame | FrameFaces
"""What goes into a chain: a bare frame, or one whose faces are known already, from a file or an earlier run."""


@dataclass(frozen=True, slots=True)
class LaneStatistics:
    """One source's frames: ``captured = taken + dropped + waiting``, always.

    Attributes:
        limited: those of the dropped that were passed over, see :meth:`FrameQueue.pass_over`.
    """

    captured: int
    taken: int
    dropped: int
    waiting: int
    limited: int = 0


@dataclass(slots=True)
class _Lane:
    """One source's waiting frames."""

    live: bool
    capacity: int
    waiting: deque[FrameFaces] = field(default_factory=deque)
    captured: int = 0
    taken: int = 0
    dropped: int = 0
    limited: int = 0
    gap: int = 0  # dropped since the last frame taken

    def push(self, faces: FrameFaces) -> None:
        while len(self.waiting) >= self.capacity:
            self.waiting.popleft()
            self.dropped += 1
            self.gap += 1
        self.waiting.append(faces)
        self.captured += 1

    def pass_over(self) -> None:
        self.captured += 1
        self.dropped += 1
        self.limited += 1
        self.gap += 1

    def pop(self) -> FrameFaces:
        faces = self.waiting.popleft()
        faces.frame.dropped, self.gap = self.gap, 0
        self.taken += 1
        return faces

    def statistics(self) -> LaneStatistics:
        return LaneStatistics(self.captured, self.taken, self.dropped, len(self.waiting), self.limited)


class FrameQueue:
    """The frames of many sources, waiting for the first model.

    A live source waits with one frame, its newest: an older unread one is dropped and counted. A lossless source waits
    with up to ``capacity`` frames, and :meth:`has_room` says whether its reader may go on.

    :meth:`take` serves the sources round robin, at most one frame of a live source a batch.
    """

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane] = {}
        self._line: list[str] = []  # who is next, first in line first

    def add(self, source: str, *, live: bool, capacity: int = 1) -> None:
        """Let ``source`` take part.

        Raises:
            ValueError: a source of that name takes part already.
        """
        if source in self._lanes:
            raise ValueError(f"source {source!r} is in the queue already")
        self._lanes[source] = _Lane(live, 1 if live else capacity)
        self._line.append(source)

    def change(self, source: str, *, live: bool, capacity: int = 1) -> None:
        """Go on with another kind of source: its counts, its turn and what waits stay."""
        lane = self._lanes[source]
        lane.live, lane.capacity = live, 1 if live else capacity

    def remove(self, source: str) -> LaneStatistics:
        """Drop what ``source`` has waiting and let it go; returns its final count."""
        lane = self._lanes.pop(source)
        self._line.remove(source)
        lane.dropped += len(lane.waiting)
        lane.waiting.clear()
        return lane.statistics()

    def offer(self, item: Item) -> None:
        """Put ``item`` in its source's line; a live source's older frame gives way.

        Raises:
            ValueError: a lossless source has no room; ask :meth:`has_room` first.
        """
        faces = with_faces(item)
        source = faces.frame.source
        if not self.has_room(source):
            raise ValueError(f"no room for another frame of {source!r}")
        self._lanes[source].push(faces)

    def pass_over(self, source: str) -> None:
        """Count a frame of ``source`` that comes too soon after another: captured and dropped, and never seen here."""
        self._lanes[source].pass_over()

    def has_room(self, source: str) -> bool:
        lane = self._lanes[source]
        return lane.live or len(lane.waiting) < lane.capacity

    def take(self, limit: int) -> list[FrameFaces]:
        """Up to ``limit`` frames: one of each source in turn, then lossless sources again while there is room."""
        taken: list[FrameFaces] = []
        ready = deque(source for source in self._line if self._lanes[source].waiting)
        while ready and len(taken) < limit:
            source = ready.popleft()
            lane = self._lanes[source]
            taken.append(lane.pop())
            self._line.remove(source)
            self._line.append(source)
            if lane.waiting and not lane.live:
                ready.append(source)
        return taken

    def sources(self) -> list[str]:
        return list(self._lanes)

    def statistics(self, source: str) -> LaneStatistics:
        return self._lanes[source].statistics()

    def __contains__(self, source: object) -> bool:
        return source in self._lanes

    def __len__(self) -> int:
        """Frames waiting."""
        return sum(len(lane.waiting) for lane in self._lanes.values())


class FaceBatcher:
    """Batches of any size in, batches of at most ``size`` faces out, in the same order.

    A frame whose faces don't fit is split: its first faces go out in a batch marked ``continued``, the others lead the
    next batch. A frame without faces travels with its neighbours and never needs room. Faces of which different things
    are known (landmarks here, none there) never share a batch: dense arrays have no place for what is missing.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._waiting: deque[tuple[FrameFaces, bool]] = deque()  # a frame's faces, and whether more of them follow

    def put(self, batch: ExtractBatch) -> None:
        last = len(batch.frames) - 1
        for i, faces in enumerate(batch.per_frame()):
            self._waiting.append((faces, batch.continued and i == last))

    def take(self) -> ExtractBatch | None:
        """What is waiting, up to ``size`` faces; None when nothing is."""
        parts: list[FrameFaces] = []
        room, continued = self.size, False
        common = _Common()
        while self._waiting:
            faces, more = self._waiting[0]
            if not common.admits(faces):
                break
            if len(faces) > room:
                if room:
                    parts.append(_part(faces, slice(room)))
                    self._waiting[0] = (_part(faces, slice(room, None)), more)
                    continued = True
                break
            self._waiting.popleft()
            parts.append(faces)
            room -= len(faces)
            continued = more
        return batch_of(parts, continued=continued) if parts else None

    @property
    def faces(self) -> int:
        """Faces waiting."""
        return sum(len(faces) for faces, _ in self._waiting)

    def __bool__(self) -> bool:
        return bool(self._waiting)


class FrameJoiner:
    """Batches in, frames out: each frame once, in order, with all its faces in their own order."""

    def __init__(self) -> None:
        self._open: list[FrameFaces] = []  # the parts of a frame whose other faces are still to come

    def put(self, batch: ExtractBatch) -> Iterator[FrameFaces]:
        """The frames that ``batch`` completes."""
        last = len(batch.frames) - 1
        for i, faces in enumerate(batch.per_frame()):
            self._open.append(faces)
            if batch.continued and i == last:
                return
            yield self._close()

    def _close(self) -> FrameFaces:
        parts, self._open = self._open, []
        return frame_of(parts)


def with_faces(item: Item) -> FrameFaces:
    """``item`` itself, or the frame with no faces yet."""
    return FrameFaces(frame=item) if isinstance(item, Frame) else item


class _Common:
    """What the faces of one batch have in common, so that they can be laid end to end."""

    def __init__(self) -> None:
        self._layout: dict[str, object] = {}

    def admits(self, faces: Faces) -> bool:
        """Whether ``faces`` fit; if so they count from now on. A frame without faces always fits."""
        if not len(faces):
            return True
        layout = layout_of(faces)
        if any(self._layout.get(name, form) != form for name, form in layout.items()):
            return False
        self._layout |= layout
        return True


def batches_of(parts: list[FrameFaces]) -> list[ExtractBatch]:
    """``parts`` in order as few batches; faces of which different things are known don't share one."""
    if len(parts) == 1:
        return [batch_of(parts)]
    groups: list[list[FrameFaces]] = []
    common = _Common()
    for part in parts:
        if not groups or not common.admits(part):
            groups.append([])
            common = _Common()
            common.admits(part)
        groups[-1].append(part)
    return [batch_of(group) for group in groups]


def _part(faces: FrameFaces, index: slice) -> FrameFaces:
    return FrameFaces(frame=faces.frame, **faces.face_fields(index))


class InFlight:
    """Counts the batches between the first model's door and the last model's exit.

    Batches leave in the order they came, frame by frame. With a limit of two, one batch is on the device while the next
    is prepared; a third would only grow old waiting.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._frames_left: deque[int] = deque()

    def has_room(self) -> bool:
        return len(self._frames_left) < self.limit

    def enter(self, frames: int) -> None:
        self._frames_left.append(frames)

    def leave(self) -> None:
        """One frame has come out."""
        self._frames_left[0] -= 1
        if self._frames_left[0] == 0:
            self._frames_left.popleft()

    def __len__(self) -> int:
        return len(self._frames_left)


def split(batch: ExtractBatch, size: int) -> Iterator[ExtractBatch]:
    """``batch`` in parts of at most ``size`` faces."""
    batcher = FaceBatcher(size)
    batcher.put(batch)
    while (part := batcher.take()) is not None:
        yield part

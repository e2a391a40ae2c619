"""Who is in a frame: numbers and names for its faces, and which of them the identity models look at. Pure.

Two halves around the identity models. :meth:`Following.before` tells what they are to look at, :meth:`Following.after`
numbers and names all the frame's faces by what they saw. Frames come to both in the same order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from facestream.stream.choosing import Choice, Chooser
from facestream.stream.motion import Followed
from facestream.stream.recognition import Recogniser
from facestream.stream.tracking import Tracker
from facestream.stream.types import Bools, Floats, FrameFaces, Longs


class Tracks:
    """A tracker for each source, with ids that are unique over all of them.

    Args:
        make: makes a source's tracker, given where it gets unused ids from.
    """

    def __init__(self, make: Callable[[Callable[[], int]], Tracker] | None = None) -> None:
        self._make = make or (lambda next_id: Tracker(next_id))
        self._last_id = 0
        self._sources: dict[str, _Source] = {}

    def update(self, faces: FrameFaces) -> Longs:
        """int64 (N,) track ids of the frame's faces, -1 for a face not confirmed yet; by their embeddings, too."""
        tracker = self.tracker(faces)
        followed = tracker.follow(faces.boxes, faces.scores, faces.frame.pts)
        return tracker.identify(followed, next(iter(faces.identities.values()), None))

    def tracker(self, faces: FrameFaces) -> Tracker:
        """The tracker of the frame's source, ready for this frame, the next one."""
        frame = faces.frame
        source = self._sources.get(frame.source)
        if source is None:
            source = self._sources[frame.source] = _Source(self._make(self._next_id), frame.epoch)
        elif source.epoch != frame.epoch:
            # A reconnected camera's clock and picture may have jumped: its tracks can't be carried over by motion.
            source.tracker.reset(max(0.0, frame.captured_at - source.captured_at))
            source.epoch = frame.epoch
        source.captured_at = frame.captured_at
        return source.tracker

    def forget(self, source: str) -> None:
        self._sources.pop(source, None)

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id


@dataclass(slots=True, eq=False)
class _Source:
    tracker: Tracker
    epoch: int
    captured_at: float = 0.0


@dataclass(slots=True, eq=False)
class _Followed:
    """A frame between the two halves."""

    faces: FrameFaces
    tracker: Tracker
    followed: Followed
    qualities: Floats | None
    choice: Choice | None


class Following:
    """
    Args:
        tracks: numbers the faces.
        chooser: chooses those of which embeddings are made; None: of all.
        recogniser: names them; None names nobody.
    """

    def __init__(self, tracks: Tracks, chooser: Chooser | None = None, recogniser: Recogniser | None = None) -> None:
        self._tracks = tracks
        self._chooser = chooser
        self._recogniser = recogniser
        self._between: deque[_Followed] = deque()

    def before(self, faces: FrameFaces, qualities: Floats | None) -> FrameFaces:
        """Follow the next frame's faces.

        Args:
            qualities: float32 (N,), see :func:`facestream.faces.quality.picture_quality`; None where nobody asks.

        Returns:
            The frame with those of its faces that the identity models are to look at.
        """
        tracker = self._tracks.tracker(faces)
        followed = tracker.follow(faces.boxes, faces.scores, faces.frame.pts)
        choice = None
        if self._chooser is not None and qualities is not None:
            unsettled = tracker.unsettled(followed.keys)
            choice = self._chooser.choose(faces.frame.source, followed, unsettled, qualities)
        self._between.append(_Followed(faces, tracker, followed, qualities, choice))
        return faces if choice is None else _only(faces, choice.wanted)

    def after(self, seen: FrameFaces) -> FrameFaces:
        """All faces of the frame that is the first to come back, numbered and named by the embeddings of those that
        were looked at.
        """
        frame = self._between.popleft()
        faces = seen
        if frame.choice is not None:
            faces = frame.faces
            faces.identities |= _spread(seen, frame.choice.wanted)
        embeddings = next(iter(faces.identities.values()), None)
        awaited = None if frame.choice is None else frame.choice.awaited
        faces.tracks = frame.tracker.identify(frame.followed, embeddings, frame.qualities, awaited)
        if self._recogniser is not None:
            tracker, followed = frame.tracker, frame.followed
            faces.people = self._recogniser.recognise(faces, tracker.looks, followed.now, tracker.agreeing(followed))
        return faces

    def forget(self, source: str) -> None:
        """Keep nothing of a source that has gone; its frames in flight still get through."""
        self._tracks.forget(source)
        if self._chooser is not None:
            self._chooser.forget(source)
        if self._recogniser is not None:
            self._recogniser.forget(source)


def _only(faces: FrameFaces, wanted: Bools) -> FrameFaces:
    return FrameFaces(frame=faces.frame, **faces.face_fields(wanted))


def _spread(seen: FrameFaces, wanted: Bools) -> dict[str, Floats]:
    """The embeddings of the faces that were looked at in the rows of all faces, NaN in the others'."""
    spread = {}
    for name, rows in seen.identities.items():
        if len(rows):
            spread[name] = np.full((len(wanted), rows.shape[1]), np.nan, np.float32)
            spread[name][wanted] = rows
    return spread

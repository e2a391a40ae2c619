"""What each face of a source looks like: the best few embeddings of each track, bounded in number and time. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from facestream.stream.types import Doubles, Floats, Longs

_SAME_PICTURE: Final = 0.97
"""Cosine similarity from which two embeddings say the same thing: the better one is enough."""

_AGREEING: Final = 2
"""Embeddings of a track that a new one is compared with: one alone may have been a bad picture."""


@dataclass(slots=True, eq=False)
class _Kept:
    """One track's embeddings.

    Attributes:
        rows: float32 (K, D), each of length 1.
        qualities: float32 (K,).
        since: when the first was remembered.
        seen: when the track was last visible.
        version: counts the changes of ``rows``.
    """

    rows: Floats
    qualities: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    since: float = 0.0
    seen: float = 0.0
    version: int = 0


class Looks:
    """The embeddings of one source's tracks.

    Args:
        each: embeddings kept of a track. Pictures that look alike share a place, so that different sides are kept.
        most: tracks kept; the one seen longest ago gives way.
        memory: seconds for which a track that isn't visible is known.
    """

    def __init__(self, *, each: int = 8, most: int = 1000, memory: float = 120.0) -> None:
        self._each = each
        self._most = most
        self._memory = memory
        self._tracks: dict[int, _Kept] = {}

    def remember(self, track: int, look: Floats, quality: float, now: float) -> None:
        """Keep an embedding (D,) of length 1, if it says more than those that are there."""
        kept = self._tracks.setdefault(track, _Kept(np.zeros((0, len(look)), np.float32), since=now))
        kept.seen = now
        place = self._place(kept, look, quality)
        if place is None:
            return
        kept.rows = np.concatenate([np.delete(kept.rows, place, axis=0), look[None].astype(np.float32)])
        kept.qualities = np.append(np.delete(kept.qualities, place), np.float32(quality))
        kept.version += 1

    def _place(self, kept: _Kept, look: Floats, quality: float) -> list[int] | None:
        """The places that give way to a new embedding, maybe none; None when it is the one that gives way."""
        if not len(kept.rows):
            return []
        alike = kept.rows @ look
        nearest = int(alike.argmax())
        if alike[nearest] >= _SAME_PICTURE:
            return [nearest] if quality > kept.qualities[nearest] else None
        if len(kept.rows) < self._each:
            return []
        worst = int(kept.qualities.argmin())
        return [worst] if quality > kept.qualities[worst] else None

    def seen(self, tracks: Longs, now: float) -> None:
        """These tracks are visible."""
        for track in tracks.tolist():
            if track in self._tracks:
                self._tracks[track].seen = now

    def forget(self, now: float) -> None:
        """Forget the tracks that haven't been visible for too long, or are too many."""
        gone = [track for track, kept in self._tracks.items() if now - kept.seen > self._memory]
        excess = len(self._tracks) - len(gone) - self._most
        if excess > 0:
            gone += sorted(self._tracks.keys() - set(gone), key=lambda track: self._tracks[track].seen)[:excess]
        for track in gone:
            del self._tracks[track]

    def of(self, track: int) -> Floats:
        """float32 (K, D), each of length 1; none for a track that isn't known."""
        kept = self._tracks.get(track)
        return np.zeros((0, 0), np.float32) if kept is None else kept.rows

    def since(self, track: int) -> float:
        """When a known track was first looked at."""
        return self._tracks[track].since

    def join(self, track: int, into: int) -> None:
        """Two known tracks are one: ``track`` is known no more, and its embeddings are ``into``'s."""
        gone = self._tracks.pop(track)
        for row, quality in zip(gone.rows, gone.qualities.tolist()):
            self.remember(into, row, quality, max(gone.seen, self._tracks[into].seen))

    def version(self, track: int) -> int:
        """Changes when :meth:`of` does."""
        kept = self._tracks.get(track)
        return -1 if kept is None else kept.version

    def tracks(self) -> list[int]:
        return list(self._tracks)

    def __contains__(self, track: object) -> bool:
        return track in self._tracks

    def similarity(self, looks: Floats, tracks: list[int]) -> Doubles:
        """(M, D) of length 1 or 0 → (M, T), cosine similarities to known tracks: to the nearest embeddings' mean."""
        result = np.zeros((len(looks), len(tracks)))
        for column, track in enumerate(tracks):
            alike = np.sort(looks @ self._tracks[track].rows.T, axis=1)
            result[:, column] = alike[:, -_AGREEING:].mean(axis=1)
        return result


def unit(rows: npt.NDArray[np.floating]) -> Floats:
    """float32 (N, D): rows of length one; zeros where a row has no length or isn't finite."""
    wide = rows.astype(np.float64)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    usable = np.isfinite(length) & (length > 0)
    return np.where(usable, wide / np.where(usable, length, 1.0), 0.0).astype(np.float32)

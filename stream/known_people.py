"""Whom a face belongs to, among people with names. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from facestream.stream.types import Bools, Floats, Recognised

BEST: Final = 2
"""How many of a person's embeddings, the nearest ones, have a say in how near that person is.

With one, a single odd photo decides: among 152 people it gave 1.3 % of the strangers a name, two 1.0 %. Three did no
better than two, and ask more of a person of whom there are just three photos, each from another side.
"""

MARGIN: Final = 0.03
"""How much nearer the nearest person has to be than the second, in cosine similarity.

Measured, nobody was mistaken for somebody else with a margin or without, and it left one of 212 faces unknown. It is
for people who look more alike than the measured ones: between two who are equally near, no name is better than a guess.
So somebody who is there under two names is unknown until the two are merged.
"""

_CELLS_AT_ONCE: Final = 16_000_000  # similarities held at a time: 64 MB


class KnownPeople:
    """People by their embeddings. Never changes: whoever adds somebody makes a new one.

    A person is as near to a face as the mean of the :data:`BEST` nearest of their embeddings (all, if there are fewer).
    The nearest person is whom the face is taken for if that is at least ``threshold``, and at least :data:`MARGIN` more
    than for anybody else. Everybody else is unknown. Measured among 152 people at a threshold of 0.427: 0.5 % of those
    who are there are missed, none is mistaken, 1 % of strangers get a name (``bench/gallery.py``).

    A batch of 16 faces among 100,000 embeddings of 128 numbers takes one product and 6 ms on two cores.

    Args:
        embeddings: float32 (M, D), of any length; rows with NaN and rows of zeros belong to nobody.
        names: M, whom each row belongs to, in any order.
        threshold: the least cosine similarity, -1..1.

    Raises:
        ValueError: ``names`` and ``embeddings`` differ in length, or the latter isn't two-dimensional.
    """

    def __init__(self, embeddings: Floats, names: Sequence[str], threshold: float) -> None:
        if embeddings.ndim != 2 or len(embeddings) != len(names):
            raise ValueError(f"{len(names)} names for embeddings of shape {embeddings.shape}")
        self.threshold = threshold
        units, sound = _unit_rows(embeddings)
        distinct, person_of = np.unique(np.array(names, dtype=object)[sound], return_inverse=True)
        order = np.argsort(person_of, kind="stable")
        self._units = units if np.array_equal(order, np.arange(len(units))) else units[order]
        self._starts = np.searchsorted(person_of[order], np.arange(len(distinct) + 1))
        self.names: tuple[str, ...] = tuple(distinct.tolist())

    @property
    def empty(self) -> bool:
        """Whether there is nobody to be recognised."""
        return not self.names

    @property
    def width(self) -> int:
        """D, the numbers in an embedding; 0 where nobody is known."""
        return 0 if self.empty else self._units.shape[1]

    def looks_of(self, name: str) -> Floats:
        """float32 (K, D), of length 1 each: one person's embeddings; none of a stranger."""
        if name not in self.names:
            return self._units[:0]
        return self._units[self._rows(self.names.index(name))]

    def match(self, looks: Floats) -> list[Recognised | None]:
        """The person of each face, None for an unknown one.

        Args:
            looks: float32 (N, D), one embedding a face, of any length; NaN or zeros are nobody's.

        Raises:
            ValueError: the embeddings are another model's: D differs.
        """
        if self.empty or not len(looks):
            return [None] * len(looks)
        if looks.shape[1:] != self._units.shape[1:]:
            raise ValueError(f"embeddings of shape {looks.shape} among people's of {self._units.shape}")
        units, sound = _unit_rows(looks)
        at_once = max(1, _CELLS_AT_ONCE // len(self._units))
        found: list[Recognised | None] = []
        for start in range(0, len(units), at_once):
            found += self._nearest(units[start : start + at_once] @ self._units.T)
        people = iter(found)
        return [next(people) if fine else None for fine in sound]

    def _nearest(self, similarities: Floats) -> list[Recognised | None]:
        """``similarities`` (N, M) → N people."""
        nearest = np.maximum.reduceat(similarities, self._starts[:-1], axis=1)  # (N, people): nobody's mean is more
        return [self._person(row, most) for row, most in zip(similarities, nearest)]

    def _person(self, similarities: Floats, most: Floats) -> Recognised | None:
        """One face: ``similarities`` (M,), and ``most`` (people,), each person's highest."""
        near = np.flatnonzero(most >= self.threshold - MARGIN)  # others can neither win nor come close to who does
        if not len(near) or most.max() < self.threshold:
            return None
        means = np.array([_mean_of_best(similarities[self._rows(person)]) for person in near.tolist()])
        best = int(means.argmax())
        others = np.delete(means, best)
        if means[best] < self.threshold or (len(others) and means[best] - others.max() < MARGIN):
            return None
        return Recognised(self.names[int(near[best])], float(means[best]))

    def _rows(self, person: int) -> slice:
        return slice(int(self._starts[person]), int(self._starts[person + 1]))


def _mean_of_best(similarities: Floats) -> float:
    if len(similarities) > BEST:
        similarities = np.partition(similarities, -BEST)[-BEST:]
    return float(similarities.mean())


def _unit_rows(rows: Floats) -> tuple[Floats, Bools]:
    """The rows that point somewhere, with length 1, and bool (N,): which those are."""
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    sound = np.isfinite(lengths) & (lengths > 0)
    if sound.all() and np.allclose(lengths, 1.0, atol=1e-5):
        return np.asarray(rows, np.float32), sound
    return np.asarray(rows[sound] / lengths[sound, None], np.float32), sound

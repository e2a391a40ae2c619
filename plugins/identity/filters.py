"""Whose faces are kept, judged by reference looks (spec §10.2): rule, threshold and counts. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from facestream.plugins.identity.cosine import cosines
from facestream.stream.types import Bools, Floats


def _nobody() -> Floats:
    return np.zeros((0, 0), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class References:
    """Embeddings of the same identity model as those that they judge, of any length.

    Attributes:
        wanted: float32 (K, D), of people whose faces are kept; none is everybody.
        unwanted: float32 (L, D), of people whose faces are left out.
    """

    wanted: Floats = field(default_factory=_nobody)
    unwanted: Floats = field(default_factory=_nobody)


def resembles(looks: Floats, references: Floats, threshold: float) -> Bools:
    """bool (N,): whose cosine with any of the references (K, D) is at least ``threshold``. NaN resembles nobody.

    Args:
        looks: float32 (N, D).
    """
    if not len(references) or not len(looks):
        return np.zeros(len(looks), np.bool_)
    return np.asarray((cosines(looks, references) >= threshold).any(axis=1))


def refused(looks: Floats, references: References, threshold: float) -> dict[str, Bools]:
    """Which faces which set refuses: "filter" or "nfilter" → bool (N,); a face may have both against it.

    A face is kept if neither refuses it.

    Args:
        looks: float32 (N, D).
        threshold: the cosine from which two faces are held to be one person's.
    """
    result: dict[str, Bools] = {}
    if len(references.wanted):
        result["filter"] = ~resembles(looks, references.wanted, threshold)
    if len(references.unwanted):
        result["nfilter"] = resembles(looks, references.unwanted, threshold)
    return result


@dataclass(slots=True)
class FilterCounts:
    """Faces so far.

    Attributes:
        judged: all of them.
        filter: refused because they resemble nobody who is wanted.
        nfilter: refused because they resemble somebody who isn't.
        combined: left out, by one or both.
    """

    judged: int = 0
    filter: int = 0
    nfilter: int = 0
    combined: int = 0

    def add(self, refused: dict[str, Bools], judged: int) -> None:
        self.judged += judged
        for name, faces in refused.items():
            setattr(self, name, getattr(self, name) + int(faces.sum()))
        if refused:
            self.combined += int(np.any(list(refused.values()), axis=0).sum())

    def lines(self, references: References) -> list[str]:
        """One line; none before the first face."""
        reasons = []
        if len(references.wanted):
            reasons.append(f"unlike everybody in --filter: {self.filter}")
        if len(references.unwanted):
            reasons.append(f"like somebody in --nfilter: {self.nfilter}")
        if not self.judged or not reasons:
            return []
        return [f"[Identity filter] Faces left out: {self.combined} of {self.judged} ({', '.join(reasons)})"]

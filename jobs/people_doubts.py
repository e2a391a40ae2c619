"""What makes one doubt that pictures are all of the person whose name they are given. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.sparse.csgraph import connected_components

from facestream.jobs.wording import counted
from facestream.stream.known_people import KnownPeople
from facestream.stream.types import Bools, Floats, Longs


def of_one_person(looks: Floats, there: Floats, threshold: float) -> Bools | None:
    """bool (N,): the pictures of the person whom most of them show; None where no one is in more than all others.

    Args:
        looks: float32 (N, D), of length 1 each, N > 0.
        there: (M, D), those that the gallery has of the person already: pictures like them are alike.
        threshold: the cosine from which two faces are held to be one person's.
    """
    group = _people(looks, there, threshold)
    sizes = np.bincount(group)
    most = np.flatnonzero(sizes == sizes.max())
    if len(most) > 1:
        near = _like(looks, there, threshold)
        most = most[[bool(near[group == one].any()) for one in most]]
    return np.asarray(group == most[0]) if len(most) == 1 else None


def doubts(name: str, pictures: Sequence[str], looks: Floats, known: KnownPeople, threshold: float) -> list[str]:
    """One line for each reason to look again at pictures that are added; none when all is well.

    Args:
        name: as the gallery has it, if the person is there.
        pictures: N, what each is called.
        looks: float32 (N, D), of length 1 each.
        known: everybody who is in the gallery before these are.
        threshold: the cosine from which two faces are held to be one person's.
    """
    return [
        *_several_people(pictures, looks, known.looks_of(name), threshold),
        *_changed_person(name, looks, known, threshold),
        *_somebody_else(name, looks, known),
    ]


def _people(looks: Floats, there: Floats, threshold: float) -> Longs:
    """int (N,): whom each shows. Pictures that are alike, or alike to others that are, show one person."""
    near = _like(looks, there, threshold)
    alike = (looks @ looks.T >= threshold) | (near[:, None] & near)
    return np.asarray(connected_components(alike, directed=False)[1], np.int64)


def _like(looks: Floats, there: Floats, threshold: float) -> Bools:
    return (looks @ there.T).max(axis=1) >= threshold if len(there) else np.zeros(len(looks), bool)


def _several_people(pictures: Sequence[str], looks: Floats, there: Floats, threshold: float) -> list[str]:
    count = int(_people(looks, there, threshold).max()) + 1
    if count == 1:
        return []
    most = of_one_person(looks, there, threshold)
    line = f"these pictures look like {count} different people; added all the same"
    if most is None:
        return [line]
    others = ", ".join(picture for picture, is_most in zip(pictures, most.tolist()) if not is_most)
    return [f"{line}, also those that aren't like most: {others}"]


def _changed_person(name: str, looks: Floats, known: KnownPeople, threshold: float) -> list[str]:
    there = known.looks_of(name)
    if not len(there) or (looks @ there.T).max() >= threshold:
        return []
    return [f"nobody in these pictures looks like the {name} who is in the gallery already; added all the same"]


def _somebody_else(name: str, looks: Floats, known: KnownPeople) -> list[str]:
    found = Counter(person.name for person in known.match(looks) if person is not None and person.name != name)
    return [
        f"{counted(count, 'picture')} of {len(looks)} {'looks' if count == 1 else 'look'} like {other}, who is in the "
        f"gallery; added all the same: if they are one person, `facestream people merge` makes one of them"
        for other, count in found.most_common()
    ]

"""What makes one doubt that photos are all of the person whose name they are given. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.sparse.csgraph import connected_components

from facestream.jobs.wording import counted
from facestream.stream.known_people import KnownPeople
from facestream.stream.types import Floats


def doubts(name: str, photos: Sequence[str], looks: Floats, known: KnownPeople, threshold: float) -> list[str]:
    """One line for each reason to look again; none when all is well.

    Args:
        name: as the gallery has it, if the person is there.
        photos: N, what each is called.
        looks: float32 (N, D), of length 1 each.
        known: everybody who is in the gallery before these are.
        threshold: the cosine from which two faces are held to be one person's.
    """
    return [
        *_several_people(photos, looks, threshold),
        *_changed_person(name, looks, known, threshold),
        *_somebody_else(name, looks, known),
    ]


def _several_people(photos: Sequence[str], looks: Floats, threshold: float) -> list[str]:
    """Photos that are alike, or alike to others that are, make a group; one person's make one."""
    count, group = connected_components(looks @ looks.T >= threshold, directed=False)
    if count == 1:
        return []
    sizes = np.bincount(group)
    others = [photo for photo, at in zip(photos, group.tolist()) if at != sizes.argmax()]
    return [f"these photos look like {count} different people; not like most of them: {', '.join(others)}"]


def _changed_person(name: str, looks: Floats, known: KnownPeople, threshold: float) -> list[str]:
    there = known.looks_of(name)
    if not len(there) or (looks @ there.T).max() >= threshold:
        return []
    return [f"nobody in these photos looks like the {name} who is in the gallery already"]


def _somebody_else(name: str, looks: Floats, known: KnownPeople) -> list[str]:
    found = Counter(person.name for person in known.match(looks) if person is not None and person.name != name)
    return [
        f"{counted(count, 'photo')} of {len(looks)} {'looks' if count == 1 else 'look'} like {other}, who is in the "
        f"gallery: if they are one person, `facestream people merge` makes one of them"
        for other, count in found.most_common()
    ]

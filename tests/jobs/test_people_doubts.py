from __future__ import annotations

import numpy as np

from facestream.jobs.people_doubts import doubts
from facestream.stream.known_people import KnownPeople
from facestream.stream.types import Floats

PAIR, GALLERY = 0.36, 0.43


def like(person: int, photo: int = 0) -> list[float]:
    """Photos of one person have a cosine of 0.5, those of different people of 0."""
    row = np.zeros(32)
    row[person] = row[8 + person * 6 + photo] = np.sqrt(0.5)
    return row.tolist()


def looks(*rows: list[float]) -> Floats:
    return np.array(rows, np.float32)


def known(**people: Floats) -> KnownPeople:
    names = [name for name, rows in people.items() for _ in rows]
    rows = np.concatenate(list(people.values())) if people else np.zeros((0, 32), np.float32)
    return KnownPeople(rows, names, GALLERY)


def test_one_person_raises_no_doubt() -> None:
    photos = looks(like(0, 0), like(0, 1), like(0, 2))
    assert doubts("ada", ["a", "b", "c"], photos, known(), PAIR) == []
    assert doubts("ada", ["a"], photos[:1], known(ada=photos[1:], bob=looks(like(1))), PAIR) == []


def test_a_photo_of_somebody_else_stands_out() -> None:
    (line,) = doubts("ada", ["a", "b", "c"], looks(like(0, 0), like(1), like(0, 1)), known(), PAIR)
    assert line == "these photos look like 2 different people; not like most of them: b"


def test_photos_that_look_like_somebody_elses_name_are_told() -> None:
    (line,) = doubts("ada", ["a", "b"], looks(like(1, 0), like(1, 1)), known(bob=looks(like(1, 0))), PAIR)
    assert line.startswith("2 photos of 2 look like bob, who is in the gallery")


def test_photos_that_dont_look_like_the_one_of_that_name_are_told() -> None:
    (line,) = doubts("ada", ["a"], looks(like(1)), known(ada=looks(like(0))), PAIR)
    assert line == "nobody in these photos looks like the ada who is in the gallery already"

from __future__ import annotations

import numpy as np

from facestream.jobs.people_doubts import doubts, of_one_person
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
    assert (
        line == "these pictures look like 2 different people; added all the same, also those that aren't like most: b"
    )


def test_photos_that_look_like_somebody_elses_name_are_told() -> None:
    (line,) = doubts("ada", ["a", "b"], looks(like(1, 0), like(1, 1)), known(bob=looks(like(1, 0))), PAIR)
    assert line.startswith("2 pictures of 2 look like bob, who is in the gallery; added all the same")


def test_photos_that_dont_look_like_the_one_of_that_name_are_told() -> None:
    (line,) = doubts("ada", ["a"], looks(like(1)), known(ada=looks(like(0))), PAIR)
    assert line == "nobody in these pictures looks like the ada who is in the gallery already; added all the same"


def most(photos: Floats, there: Floats | None = None, threshold: float = PAIR) -> list[bool] | None:
    found = of_one_person(photos, np.zeros((0, 32), np.float32) if there is None else there, threshold)
    return None if found is None else found.tolist()


def test_the_person_in_most_pictures_is_meant() -> None:
    assert most(looks(like(0))) == [True]
    assert most(looks(like(1), like(0, 0), like(0, 1))) == [False, True, True]
    assert most(looks(like(0), like(1))) is None


def test_pictures_like_those_in_the_gallery_show_whom_they_show() -> None:
    assert most(looks(like(0), like(1)), there=looks(like(1, 1))) == [False, True]
    photos, both = looks(like(0, 0), like(0, 1), like(1)), looks(like(0, 2), like(1, 2))
    assert most(photos, there=both) == [True, True, True]
    assert most(looks(like(0), like(1)), there=looks(like(2))) is None


def test_two_faces_are_one_persons_from_the_threshold_on() -> None:
    photos = np.array([(1, 0), (0.5, 0.75**0.5)], np.float32)
    assert most(photos, np.zeros((0, 2), np.float32), threshold=0.5) == [True, True]

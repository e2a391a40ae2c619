from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facestream.stream.known_people import BEST, MARGIN, KnownPeople
from facestream.stream.types import Floats, Recognised

THRESHOLD = 0.4


def looks(*rows: tuple[float, ...]) -> Floats:
    return np.array(rows, np.float32)


def at(cosine: float, axis: int = 1) -> list[float]:
    """A direction in five dimensions with this cosine to the first axis."""
    row = [cosine, 0.0, 0.0, 0.0, 0.0]
    row[axis] = float(np.sqrt(1 - cosine**2))
    return row


FACE = np.array([[1, 0, 0, 0, 0]], np.float32)


def known(people: dict[str, list[list[float]]], threshold: float = THRESHOLD) -> KnownPeople:
    rows = [row for person in people.values() for row in person]
    names = [name for name, person in people.items() for _ in person]
    return KnownPeople(np.array(rows, np.float32), names, threshold)


def test_a_face_is_the_nearest_persons() -> None:
    (person,) = known({"ada": [at(0.8)], "bob": [at(0.6, axis=2)]}).match(FACE)
    assert person == Recognised("ada", pytest.approx(0.8, abs=1e-6))


def test_a_face_that_is_like_nobody_stays_unknown() -> None:
    assert known({"ada": [at(0.39)]}).match(FACE) == [None]
    assert known({"ada": [at(0.41)]}).match(FACE) != [None]


def test_two_who_are_equally_near_leave_a_face_unknown() -> None:
    assert known({"ada": [at(0.6)], "bob": [at(0.6 - MARGIN / 2, axis=2)]}).match(FACE) == [None]
    assert known({"ada": [at(0.6)], "bob": [at(0.6 - MARGIN * 2, axis=2)]}).match(FACE) != [None]


def test_more_than_one_look_has_a_say() -> None:
    (person,) = known({"ada": [at(0.5), at(0.9, axis=2), at(0.1, axis=3), at(0.7, axis=4)]}).match(FACE)
    assert person is not None
    assert person.similarity == pytest.approx(0.8, abs=1e-6), "the mean of the two nearest"
    assert known({"ada": [at(0.45), at(0.1, axis=2)]}).match(FACE) == [None], "one look alone could be chance"


def test_the_length_of_an_embedding_doesnt_matter() -> None:
    (near,) = KnownPeople(FACE * 30, ["ada"], THRESHOLD).match(FACE * 0.01)
    assert near == Recognised("ada", pytest.approx(1.0, abs=1e-6))


def test_a_face_without_an_embedding_is_nobodys() -> None:
    faces = looks((1, 0, 0, 0, 0), (np.nan, 0, 0, 0, 0), (0, 0, 0, 0, 0), (1, 0, 0, 0, 0))
    found = known({"ada": [at(0.8)]}).match(faces)
    assert [person and person.name for person in found] == ["ada", None, None, "ada"]


def test_a_person_without_a_sound_embedding_is_nobody() -> None:
    rows = looks((np.nan, 0, 0, 0, 0), (0, 0, 0, 0, 0), (1, 0, 0, 0, 0))
    people = KnownPeople(rows, ["nan", "zero", "ada"], THRESHOLD)
    assert people.names == ("ada",)


def test_nobody_known_means_everybody_unknown() -> None:
    people = KnownPeople(np.zeros((0, 0), np.float32), [], THRESHOLD)
    assert people.empty
    assert people.match(FACE) == [None]
    assert people.match(np.zeros((0, 128), np.float32)) == []


def test_embeddings_of_another_model_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        known({"ada": [at(0.8)]}).match(np.ones((1, 4), np.float32))
    with pytest.raises(ValueError, match="names"):
        KnownPeople(FACE, ["ada", "bob"], THRESHOLD)


def test_names_are_distinct_and_in_order() -> None:
    people = known({"bob": [at(0.1), at(0.2)], "ada": [at(0.3)], "çem": [at(0.4)]})
    assert people.names == ("ada", "bob", "çem")
    assert people.looks_of("bob").shape == (2, 5)
    assert people.looks_of("nobody").shape == (0, 5)


def plainly(rows: Floats, names: list[str], face: Floats, threshold: float) -> str | None:
    """The rule, a person at a time."""
    nearness = {}
    for name in set(names):
        own = sorted((float(row @ face) for row, of in zip(rows, names) if of == name), reverse=True)[:BEST]
        nearness[name] = sum(own) / len(own)
    ranked = sorted(nearness.items(), key=lambda item: -item[1])
    if ranked[0][1] < threshold or (len(ranked) > 1 and ranked[0][1] - ranked[1][1] < MARGIN):
        return None
    return ranked[0][0]


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 8))
def test_many_at_once_are_judged_as_one_by_one(seed: int, count: int, people: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, 6)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    names = [f"person {number}" for number in rng.integers(people, size=count)]
    faces = rng.normal(size=(7, 6)).astype(np.float32)
    faces /= np.linalg.norm(faces, axis=1, keepdims=True)
    found = KnownPeople(rows, names, THRESHOLD).match(faces)
    assert [person and person.name for person in found] == [plainly(rows, names, face, THRESHOLD) for face in faces]

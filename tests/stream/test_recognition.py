import os
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facestream.stream.following import Following, Tracks
from facestream.stream.known_people import KnownPeople
from facestream.stream.looks import Looks, unit
from facestream.stream.recognition import Recogniser
from facestream.stream.types import Floats, FrameFaces
from facestream.tests.stream.build import frame

THRESHOLD = 0.4
MANY = 1000 if os.environ.get("FACESTREAM_FULL") else 15


def look(**sides: float) -> Floats:
    """A direction of length 1: "a", "b", … are at right angles."""
    row = np.zeros((1, 8), np.float32)
    for side, value in sides.items():
        row[0, "abcdefgh".index(side)] = value
    return np.asarray(unit(row)[0])


def turned(side: str, similarity: float, to: str = "h") -> Floats:
    """A look of that cosine similarity to ``side``, the rest of it to another side."""
    return look(**{side: similarity, to: float(np.sqrt(1 - similarity**2))})


def people(**known: Floats) -> KnownPeople:
    return KnownPeople(np.stack(list(known.values())), list(known), THRESHOLD)


ADA_AND_BOB = people(ada=look(a=1), bob=look(b=1))


def tracked(source: str, ids: npt.NDArray[np.int64] | None, count: int = 0) -> FrameFaces:
    """A frame with faces of these tracks; ``count`` where they have none."""
    count = count if ids is None else len(ids)
    boxes, scores = np.zeros((count, 4), np.float32), np.ones(count, np.float32)
    return FrameFaces(frame=frame(source), boxes=boxes, scores=scores, tracks=ids)


class Scene:
    """One source and what is remembered of its tracks."""

    def __init__(self, recogniser: Recogniser, source: str = "door") -> None:
        self.recogniser = recogniser
        self.source = source
        self.looks = Looks()
        self.now = 0.0

    def see(self, tracks: Mapping[int, Floats | None], *, after: float = 0.04) -> dict[int, str | None]:
        """The next frame: visible tracks, with a new embedding of each or none → their names."""
        self.now += after
        for track, row in tracks.items():
            if row is not None:
                self.looks.remember(track, row, 0.5, self.now)
        ids = np.array(list(tracks), np.int64)
        self.looks.seen(ids, self.now)
        found = self.recogniser.recognise(tracked(self.source, ids), self.looks, self.now)
        names = [None if person is None else person.name for person in found]
        assert len([name for name in names if name]) == len({name for name in names if name})
        return dict(zip(tracks, names))


@pytest.fixture
def scene() -> Scene:
    return Scene(Recogniser(ADA_AND_BOB))


def test_a_face_that_looks_exactly_like_somebody_known_has_that_name_at_once(scene: Scene) -> None:
    assert scene.see({1: turned("a", 0.95)}) == {1: "ada"}


def test_a_similar_one_has_it_once_two_pictures_agree(scene: Scene) -> None:
    assert scene.see({1: turned("a", 0.5)}) == {1: None}
    assert scene.see({1: turned("a", 0.5, to="g")}) == {1: "ada"}


def test_a_stranger_has_no_name(scene: Scene) -> None:
    for side in "cdefgh":
        assert scene.see({1: look(**{side: 1})}) == {1: None}


def test_a_few_lucky_pictures_of_a_stranger_are_not_enough(scene: Scene) -> None:
    for side in "cdef":
        scene.see({1: look(**{side: 1})})
    assert scene.see({1: turned("a", 0.5)}) == {1: None}
    assert scene.see({1: turned("a", 0.5, to="g")}) == {1: None}


def test_the_similarity_is_told(scene: Scene) -> None:
    scene.see({1: turned("a", 0.9)})
    (person,) = scene.recogniser.recognise(tracked("door", np.array([1])), scene.looks, scene.now)
    assert person is not None
    assert person.similarity == pytest.approx(0.9, abs=0.001)


def test_a_name_stays_while_no_picture_of_the_face_is_taken(scene: Scene) -> None:
    scene.see({1: turned("a", 0.95)})
    assert all(scene.see({1: None}) == {1: "ada"} for _ in range(200))


def test_a_name_survives_pictures_that_show_nobody(scene: Scene) -> None:
    scene.see({1: turned("a", 0.95)})
    for side in "cde":
        assert scene.see({1: look(**{side: 1})}) == {1: "ada"}


def test_a_name_goes_when_hardly_any_picture_shows_that_person(scene: Scene) -> None:
    scene.see({1: turned("a", 0.95)})
    for side in "cdefg":
        named = scene.see({1: look(**{side: 1})})
    assert named == {1: None}


def test_stronger_evidence_changes_a_name(scene: Scene) -> None:
    scene.see({1: turned("a", 0.7)})
    for side in "cdefg":
        named = scene.see({1: turned("b", 0.95, to=side)})
    assert named == {1: "bob"}


def test_of_two_visible_tracks_the_better_one_has_the_name(scene: Scene) -> None:
    assert scene.see({1: turned("a", 0.7), 2: turned("a", 0.95, to="g")}) == {1: None, 2: "ada"}


def test_a_name_does_not_jump_between_two_that_are_nearly_as_good(scene: Scene) -> None:
    assert scene.see({1: turned("a", 0.9)}) == {1: "ada"}
    for side in "cdefg":
        assert scene.see({1: None, 2: turned("a", 0.93, to=side)}) == {1: "ada", 2: None}


def test_a_track_missed_for_a_moment_keeps_its_name_from_others(scene: Scene) -> None:
    scene.see({1: turned("a", 0.9), 2: turned("a", 0.85, to="g")})
    assert scene.see({2: None}) == {2: None}
    assert scene.see({1: None, 2: None}) == {1: "ada", 2: None}


def test_when_a_track_is_gone_its_name_is_free(scene: Scene) -> None:
    scene.see({1: turned("a", 0.9)})
    assert scene.see({2: turned("a", 0.85)}, after=5.0) == {2: "ada"}


def test_a_person_in_two_sources_has_the_name_in_both() -> None:
    recogniser = Recogniser(ADA_AND_BOB)
    for source in ("door", "garden"):
        assert Scene(recogniser, source).see({1: turned("a", 0.95)}) == {1: "ada"}


def test_naming_what_is_seen_shows_in_the_next_frame(scene: Scene) -> None:
    for side in "cde":
        assert scene.see({7: turned(side, 0.8, to="f")}) == {7: None}
    looks = scene.recogniser.looks_of("door", 7)
    assert looks.shape == (3, 8)
    known = KnownPeople(np.concatenate([np.stack([look(a=1)]), looks]), ["ada", *["eve"] * 3], THRESHOLD)
    scene.recogniser.know(known)
    assert scene.see({7: None}) == {7: "eve"}


def test_a_renamed_person_has_the_new_name_in_the_next_frame(scene: Scene) -> None:
    scene.see({1: turned("a", 0.9)})
    scene.recogniser.know(people(lovelace=look(a=1), bob=look(b=1)))
    assert scene.see({1: None}) == {1: "lovelace"}


def test_a_forgotten_person_has_no_name_in_the_next_frame(scene: Scene) -> None:
    scene.see({1: turned("a", 0.9), 2: turned("b", 0.9)})
    scene.recogniser.know(people(bob=look(b=1)))
    assert scene.see({1: None, 2: None}) == {1: None, 2: "bob"}
    scene.recogniser.know(None)
    assert scene.see({1: None, 2: None}) == {1: None, 2: None}


def test_faces_that_are_not_tracked_have_no_names(scene: Scene) -> None:
    for ids in (None, np.array([-1, -1])):
        assert scene.recogniser.recognise(tracked("door", ids, 2), scene.looks, 0.0) == (None, None)


def test_nothing_is_kept_of_a_source_that_has_gone(scene: Scene) -> None:
    scene.see({1: turned("a", 0.9)})
    scene.recogniser.forget("door")
    assert not len(scene.recogniser.looks_of("door", 1))


def test_a_track_that_is_unknown_has_no_looks(scene: Scene) -> None:
    assert not len(scene.recogniser.looks_of("door", 1))
    scene.see({1: None})
    assert not len(scene.recogniser.looks_of("door", 1))


@settings(deadline=None, max_examples=MANY)
@given(st.integers(0, 2**32 - 1))
def test_nobody_bears_a_name_for_sure_who_stands_where_its_owner_stood(seed: int) -> None:
    """Two known people and a stranger change places at any time; each face is looked at, some in poor pictures."""
    noise = np.random.default_rng(seed)
    known = people(ada=look(a=1), bob=look(b=1))
    tracks, recogniser = Tracks(), Recogniser(known)
    following = Following(tracks, None, recogniser)
    here, named = {0: "ada", 1: "bob", 2: None}, 0
    standing = [0, 1, 2]
    for seq in range(100):
        if noise.random() < 0.05:
            noise.shuffle(standing)
        places = [place for place in range(3) if noise.random() < 0.95]
        boxes = np.array([[100 * place, 0, 100 * place + 60, 80] for place in places], np.float32).reshape(-1, 4)
        boxes += noise.normal(0, 3, boxes.shape).astype(np.float32)
        rows = np.stack([look(**{"abc"[standing[place]]: 1.0}) for place in places]) if places else np.zeros((0, 8))
        faces = FrameFaces(
            frame=replace(frame("door"), seq=seq, pts=seq / 25),
            boxes=boxes,
            scores=np.full(len(places), 0.9, np.float32),
            identities={"id": unit(rows + noise.normal(0, 0.06, rows.shape))},
        )
        following.before(faces, noise.choice(np.array([0.05, 0.3, 0.9], np.float32), len(places)))
        following.after(faces)
        for place, person in zip(places, faces.people or ()):
            if person is not None and person.sure:
                assert person.name == here[standing[place]]
                named += 1
    assert named


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_names_are_never_on_two_faces_and_do_not_flicker(seed: int) -> None:
    """Three people and a stranger, noisy pictures now and then, faces missed now and then."""
    noise = np.random.default_rng(seed)
    scene = Scene(Recogniser(people(ada=look(a=1), bob=look(b=1), eve=look(c=1))))
    changes, last = 0, dict[int, str]()
    for _ in range(150):
        visible = [track for track in range(4) if noise.random() < 0.9]
        rows = {}
        for track in visible:
            row = look(**{"abcd"[track]: 1.0}) + noise.normal(0, 0.15, 8).astype(np.float32)
            rows[track] = unit(row[None])[0] if noise.random() < 0.2 else None
        for track, name in scene.see(rows).items():
            if name is not None:
                changes += last.get(track, name) != name
                last[track] = name
    assert changes == 0
    assert last == {0: "ada", 1: "bob", 2: "eve"}

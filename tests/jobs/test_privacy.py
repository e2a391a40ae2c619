from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facestream.errors import ConfigError
from facestream.jobs.models import ModelOptions
from facestream.jobs.people import People
from facestream.jobs.privacy import MEMORY, Privacy, check_finds_all, open_privacy, with_recognition
from facestream.plugins import registry
from facestream.stream.device import Bridge
from facestream.stream.known_people import KnownPeople
from facestream.stream.types import Floats, Frame, FrameFaces, Image, Recognised

IMAGE: Image = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
HERE, THERE = (40, 40, 100, 110), (200, 100, 260, 180)
ADA = Recognised("ada", 0.7)


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with Bridge("cpu", cpu_workers=1) as bridge:
        yield bridge


def result(
    pts: float = 0.0,
    *boxes: Sequence[float],
    tracks: Sequence[int] | None = None,
    people: Sequence[Recognised | None] | None = None,
    name: str | None = None,
    epoch: int = 0,
    image: Image = IMAGE,
) -> FrameFaces:
    return FrameFaces(
        frame=Frame("door", epoch, round(pts * 100), pts, 0.0, image, name=name),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.ones(len(boxes), np.float32),
        tracks=None if tracks is None else np.array(tracks, np.int64),
        people=None if people is None else tuple(people),
    )


def is_covered(shown: FrameFaces | None, box: Sequence[float]) -> bool:
    assert shown is not None
    left, top, right, bottom = map(int, box)
    place = np.s_[top:bottom, left:right]
    same = (shown.frame.image[place] == IMAGE[place]).all(axis=2).mean()
    assert same < 0.05 or same > 0.95, "half a face"
    return bool(same < 0.05)


async def test_a_result_has_a_picture_of_its_own_and_all_else_of_it_stays(bridge: Bridge) -> None:
    faces = result(0.0, HERE, tracks=[7])
    shown = await Privacy(bridge, "blur").apply(faces)
    assert shown is not None
    assert is_covered(shown, HERE)
    assert not is_covered(shown, THERE)
    assert shown.boxes is faces.boxes
    assert shown.tracks is faces.tracks
    assert shown.key == faces.key
    assert faces.frame.image is IMAGE
    assert shown.frame.image.shape == IMAGE.shape


async def test_a_frame_without_faces_goes_as_it_is(bridge: Bridge) -> None:
    faces = result()
    assert await Privacy(bridge, "box").apply(faces) is faces


async def test_a_face_that_is_missed_stays_covered_where_it_was_and_then_no_more(bridge: Bridge) -> None:
    privacy = Privacy(bridge, "box")
    await privacy.apply(result(0.0, HERE, tracks=[1]))
    assert is_covered(await privacy.apply(result(0.1)), HERE)
    assert is_covered(await privacy.apply(result(MEMORY)), HERE)
    assert not is_covered(await privacy.apply(result(MEMORY + 0.1)), HERE)


async def test_a_face_that_moved_is_covered_where_it_would_be(bridge: Bridge) -> None:
    privacy = Privacy(bridge, "box")
    for step in range(4):
        await privacy.apply(result(0.1 * step, (40 + 15 * step, 40, 100 + 15 * step, 110), tracks=[1]))
    missed = await privacy.apply(result(0.4))
    assert is_covered(missed, (100, 40, 160, 110))
    assert is_covered(missed, (85, 40, 145, 110))


async def test_one_face_that_is_missed_stays_covered_though_another_is_found(bridge: Bridge) -> None:
    privacy = Privacy(bridge, "box")
    await privacy.apply(result(0.0, HERE, THERE, tracks=[1, 2]))
    shown = await privacy.apply(result(0.1, THERE, tracks=[2]))
    assert is_covered(shown, HERE)
    assert is_covered(shown, THERE)


async def test_a_slow_camera_covers_a_missed_face_for_two_frames_at_least(bridge: Bridge) -> None:
    privacy = Privacy(bridge, "box")
    await privacy.apply(result(0.0, HERE, tracks=[1]))
    assert is_covered(await privacy.apply(result(2.0)), HERE)
    assert is_covered(await privacy.apply(result(4.0)), HERE)
    assert not is_covered(await privacy.apply(result(6.0)), HERE)


async def test_faces_without_tracks_are_followed_by_their_place(bridge: Bridge) -> None:
    privacy = Privacy(bridge, "box")
    await privacy.apply(result(0.0, HERE))
    shown = await privacy.apply(result(0.1, (45, 42, 105, 112)))
    assert not is_covered(shown, (20, 20, 26, 200)), "it isn't covered twice"
    assert is_covered(await privacy.apply(result(0.2)), HERE)


async def test_a_reconnection_another_size_and_going_back_in_time_begin_anew(bridge: Bridge) -> None:
    for after in (result(0.1, epoch=1), result(0.1, image=IMAGE[:, :300]), result(-5.0)):
        privacy = Privacy(bridge, "box")
        await privacy.apply(result(0.0, HERE, tracks=[1]))
        assert await privacy.apply(after) is after


async def test_a_source_that_was_forgotten_begins_anew(bridge: Bridge) -> None:
    privacy = Privacy(bridge, "box")
    await privacy.apply(result(0.0, HERE, tracks=[1]))
    privacy.forget("door")
    privacy.forget("nowhere")
    assert not is_covered(await privacy.apply(result(0.1)), HERE)


async def test_pictures_of_a_folder_have_nothing_to_do_with_each_other(bridge: Bridge) -> None:
    privacy = Privacy(bridge, "box")
    await privacy.apply(result(0.0, HERE, name="a.jpg"))
    assert not is_covered(await privacy.apply(result(0.1, name="b.jpg")), HERE)


async def test_a_frame_whose_faces_cant_be_placed_isnt_shown(bridge: Bridge) -> None:
    privacy = Privacy(bridge, "blur")
    assert await privacy.apply(result(0.0, HERE, (np.nan, 0, 1, 1))) is None
    assert privacy.withheld == 1
    assert is_covered(await privacy.apply(result(0.1, HERE)), HERE)


async def test_everybody_but_known_people_is_covered(bridge: Bridge) -> None:
    shown = await Privacy(bridge, "box", "unknown").apply(result(0.0, HERE, THERE, tracks=[1, 2], people=[ADA, None]))
    assert not is_covered(shown, HERE)
    assert is_covered(shown, THERE)


async def test_a_face_is_shown_once_it_has_a_name_and_not_before(bridge: Bridge) -> None:
    privacy = Privacy(bridge, "box", "unknown")
    assert is_covered(await privacy.apply(result(0.0, HERE, tracks=[-1], people=[None])), HERE)
    assert is_covered(await privacy.apply(result(0.1, HERE, tracks=[1], people=[None])), HERE)
    assert not is_covered(await privacy.apply(result(0.2, HERE, tracks=[1], people=[ADA])), HERE)
    assert not is_covered(await privacy.apply(result(0.3)), HERE)


async def test_a_face_whose_name_is_from_before_is_covered(bridge: Bridge) -> None:
    """Somebody else may stand by now where ada stood."""
    privacy = Privacy(bridge, "box", "unknown")
    assert not is_covered(await privacy.apply(result(0.0, HERE, tracks=[1], people=[ADA])), HERE)
    doubtful = result(0.1, HERE, tracks=[1], people=[ADA._replace(sure=False)])
    assert is_covered(await privacy.apply(doubtful), HERE)
    assert not is_covered(await privacy.apply(result(0.2, HERE, tracks=[1], people=[ADA])), HERE)


async def test_a_known_face_that_loses_its_track_stays_covered_for_a_moment(bridge: Bridge) -> None:
    privacy = Privacy(bridge, "box", "known")
    await privacy.apply(result(0.0, HERE, tracks=[1], people=[ADA]))
    assert is_covered(await privacy.apply(result(0.1, HERE, tracks=[-1], people=[None])), HERE)
    assert is_covered(await privacy.apply(result(0.2, HERE, tracks=[2], people=[None])), HERE)
    assert not is_covered(await privacy.apply(result(1.0, HERE, tracks=[2], people=[None])), HERE)


async def test_only_known_people_are_covered(bridge: Bridge) -> None:
    shown = await Privacy(bridge, "box", "known").apply(result(0.0, HERE, THERE, tracks=[1, 2], people=[ADA, None]))
    assert is_covered(shown, HERE)
    assert not is_covered(shown, THERE)


async def test_a_known_face_whose_name_is_lost_for_a_moment_stays_covered(bridge: Bridge) -> None:
    privacy = Privacy(bridge, "box", "known")
    await privacy.apply(result(0.0, HERE, tracks=[1], people=[ADA]))
    assert is_covered(await privacy.apply(result(0.1, HERE, tracks=[1], people=[None])), HERE)
    assert not is_covered(await privacy.apply(result(1.0, HERE, tracks=[1], people=[None])), HERE)


@pytest.mark.parametrize("whose", ["unknown", "known"])
async def test_where_nobody_is_looked_for_everybody_is_covered(whose: str, bridge: Bridge) -> None:
    assert is_covered(await Privacy(bridge, "box", whose).apply(result(0.0, HERE, tracks=[1])), HERE)


async def test_faces_of_files_are_recognised_one_by_one(bridge: Bridge) -> None:
    looks: Floats = np.eye(3, dtype=np.float32)
    known = KnownPeople(looks[:1], ["ada"], 0.4)
    faces = replace(result(0.0, HERE, THERE), identities={"sface": looks[:2]})
    shown = await Privacy(bridge, "box", "unknown", known=known, keep_embeddings=False).apply(faces)
    assert shown is not None
    assert not is_covered(shown, HERE)
    assert is_covered(shown, THERE)
    assert [person and person.name for person in shown.people or ()] == ["ada", None]
    assert not shown.identities, "they were computed for this only"
    assert set(faces.identities) == {"sface"}


@pytest.mark.parametrize(("cover", "whose"), [("smudge", "everyone"), ("blur", "friends")])
def test_what_there_isnt_is_said(cover: str, whose: str, bridge: Bridge) -> None:
    with pytest.raises(ConfigError, match="choose from"):
        Privacy(bridge, cover, whose)


@pytest.mark.parametrize(
    "models", [ModelOptions(filter=("ada.png",)), ModelOptions(align_filters=True), ModelOptions(min_size=5)]
)
def test_models_that_leave_faces_out_dont_go_with_covering(models: ModelOptions) -> None:
    with pytest.raises(ConfigError, match="would not be covered"):
        check_finds_all(models)


def test_an_identity_model_is_added_only_where_names_matter() -> None:
    models = ModelOptions()
    assert with_recognition(models, None, "everyone") is models
    assert with_recognition(models, "blur", "everyone") is models
    assert with_recognition(models, "blur", "unknown").identities == ("sface",)
    chosen = ModelOptions(identity="t-face")
    assert with_recognition(chosen, "blur", "unknown") is chosen


async def test_who_is_known_comes_from_the_gallery(bridge: Bridge, tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    look: Floats = np.eye(128, dtype=np.float32)[:1]
    async with People.open(bridge, registry.card("identity", "sface"), path) as people:
        with pytest.raises(ConfigError, match="knows nobody"):
            async with open_privacy(bridge, "box", "known", ModelOptions(), path):
                pass
        await people.add("ada", look)
    async with open_privacy(bridge, "box", "known", ModelOptions(), path) as privacy:
        assert privacy is not None
        assert is_covered(await privacy.apply(replace(result(0.0, HERE), identities={"sface": look})), HERE)


async def test_no_privacy_without_a_cover(bridge: Bridge) -> None:
    async with open_privacy(bridge, None, "everyone", ModelOptions(min_size=5)) as privacy:
        assert privacy is None

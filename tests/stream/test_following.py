"""Tracking, choosing and naming around the identity models, in a running pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from facestream.stream.choosing import Chooser, ChoosingPolicy
from facestream.stream.device import Bridge
from facestream.stream.known_people import KnownPeople
from facestream.stream.pipeline import Pipeline, Tracks
from facestream.stream.recognition import Recogniser
from facestream.stream.stage import Stage
from facestream.stream.types import ExtractBatch, Floats, Frame, FrameFaces
from facestream.testing.plugins import FakeAligner, FakeDetector, FakeIdentity, FakeMasker

LEFT, RIGHT = (20, 20, 120, 120), (220, 20, 320, 120)
TEXTURE = np.random.default_rng(0).integers(0, 255, (240, 640, 3), np.uint8)


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with Bridge(torch_threads=1) as bridge:
        yield bridge


class PersonIdentity(FakeIdentity):
    """Whom a face shows is the blue of its box's top left pixel: blue 1 and blue 2 are at right angles."""

    def pre_process(self, batch: ExtractBatch) -> list[int]:
        tops = zip(batch.frame_ids.tolist(), batch.boxes.astype(int).tolist())
        return [int(batch.frames[frame].image[box[1], box[0], 0]) for frame, box in tops]

    def infer(self, feed: list[int]) -> Floats:
        self._run(len(feed))
        return np.eye(256, dtype=np.float32)[feed]


class EveryFace(FakeIdentity):
    """One that must see every face, as a filter must."""

    selective = False


def shown(seq: int, people: Sequence[int] = (1,), *, source: str = "a", epoch: int = 0, at: float = 0.0) -> Frame:
    """A frame of sharp noise with a person in each of the first two places; 0 is nobody."""
    image = TEXTURE.copy()
    for (left, top, _, _), who in zip((LEFT, RIGHT), people):
        image[top, left] = who
    image[0, 0] = [bool(who) for who in (*people, 0, 0)[:2]] + [0]
    return Frame(source, epoch, seq, seq / 25, 1000 + at + seq / 25, image)


def places(image: np.ndarray) -> list[tuple[int, int, int, int]]:
    return [place for place, here in zip((LEFT, RIGHT), image[0, 0].tolist()) if here]


def chain(
    bridge: Bridge,
    identity: FakeIdentity,
    *,
    recogniser: Recogniser | None = None,
    policy: ChoosingPolicy | None = None,
) -> Pipeline:
    stages = [
        Stage.detect(FakeDetector(places), bridge),
        Stage.faces(FakeAligner(), bridge),
        Stage.faces(FakeMasker(), bridge),
        Stage.faces(identity, bridge),
    ]
    return Pipeline(stages, bridge, in_flight=3, tracks=Tracks(), recogniser=recogniser, chooser=Chooser())


async def results_of(pipeline: Pipeline, frames: Sequence[Frame]) -> list[FrameFaces]:
    async def feed() -> None:
        for frame in frames:
            await pipeline.put(frame)
        await pipeline.close()

    async with asyncio.TaskGroup() as tasks, pipeline.running() as results:
        tasks.create_task(feed())
        return [faces async for faces in results]


def tracks_of(results: Sequence[FrameFaces]) -> list[list[int]]:
    return [[] if faces.tracks is None else faces.tracks.tolist() for faces in results]


def names_of(results: Sequence[FrameFaces]) -> list[list[str | None]]:
    return [[person and person.name for person in faces.people or ()] for faces in results]


def knowing(**people: int) -> KnownPeople:
    return KnownPeople(np.eye(256, dtype=np.float32)[list(people.values())], list(people), 0.4)


async def test_embeddings_are_made_of_a_tracks_best_pictures_only(bridge: Bridge) -> None:
    identity = PersonIdentity()
    results = await results_of(chain(bridge, identity), [shown(seq, (1, 2)) for seq in range(100)])
    assert tracks_of(results) == [[1, 2]] * 100
    assert 2 <= sum(identity.batches) <= 20
    embedded = [np.isfinite(faces.identities[identity.name]).all(axis=1) for faces in results if faces.identities]
    assert sum(int(rows.sum()) for rows in embedded) == sum(identity.batches)
    assert embedded[0].all()


async def test_whatever_was_not_looked_at_keeps_all_else_that_is_known_of_it(bridge: Bridge) -> None:
    results = await results_of(chain(bridge, PersonIdentity()), [shown(seq, (1, 2)) for seq in range(20)])
    for faces in results:
        assert faces.boxes.tolist() == [list(LEFT), list(RIGHT)]
        assert faces.landmarks is not None
        assert faces.aligned is not None
        assert faces.masks["fake-masker"].masks[:, 0, 0].tolist() == [20, 220]


async def test_a_model_that_must_see_every_face_sees_every_face(bridge: Bridge) -> None:
    identity = EveryFace()
    results = await results_of(chain(bridge, identity), [shown(seq, (1, 2)) for seq in range(20)])
    assert sum(identity.batches) == 40
    assert tracks_of(results) == [[1, 2]] * 20


async def test_a_face_that_comes_back_has_its_id_in_the_frame_in_which_it_appears(bridge: Bridge) -> None:
    there, gone = [shown(seq) for seq in range(10)], [shown(seq, ()) for seq in range(10, 20)]
    back = [shown(seq, (2, 1)) for seq in range(200, 210)]
    results = await results_of(chain(bridge, PersonIdentity()), [*there, *gone, *back])
    assert tracks_of(results) == [[1]] * 10 + [[]] * 10 + [[2, 1]] * 10


async def test_a_known_face_keeps_its_id_when_the_camera_reconnects(bridge: Bridge) -> None:
    before = [shown(seq, (1, 2)) for seq in range(5)]
    after = [shown(seq, (2, 1), epoch=1, at=20.0) for seq in range(5)]
    results = await results_of(chain(bridge, PersonIdentity()), [*before, *after])
    assert tracks_of(results) == [[1, 2]] * 5 + [[2, 1]] * 5


async def test_a_removed_source_leaves_no_looks_behind(bridge: Bridge) -> None:
    recogniser = Recogniser()
    pipeline = chain(bridge, PersonIdentity(), recogniser=recogniser)
    async with asyncio.TaskGroup() as tasks, pipeline.running() as results:
        for life in (1, 2):
            await pipeline.put(shown(0))
            faces = await anext(aiter(results))
            assert tracks_of([faces]) == [[life]]
            assert len(recogniser.looks_of("a", life)) == 1
            await pipeline.remove("a")
            assert not len(recogniser.looks_of("a", life))
        tasks.create_task(pipeline.close())


async def test_frames_in_flight_of_a_removed_source_come_out_and_are_forgotten(bridge: Bridge) -> None:
    identity, recogniser = PersonIdentity(), Recogniser()
    pipeline = chain(bridge, identity, recogniser=recogniser)
    async with asyncio.TaskGroup() as tasks, pipeline.running() as results:
        with identity.held():
            await pipeline.put(shown(0))
            await asyncio.to_thread(identity.entered.wait)
            await pipeline.remove("a")
            await pipeline.put(shown(0, (2,)))
        tasks.create_task(pipeline.close())
        assert tracks_of([faces async for faces in results]) == [[1], [2]]


async def test_a_frame_with_more_faces_than_a_batch_holds_is_chosen_from_as_a_whole(bridge: Bridge) -> None:
    many = [(40 * i, 40 * j, 40 * i + 30, 40 * j + 30) for i in range(10) for j in range(5)]
    identity = FakeIdentity(batch_size=3)
    stages = [
        Stage.detect(FakeDetector(many), bridge),
        Stage.faces(FakeAligner(batch_size=7), bridge),
        Stage.faces(identity, bridge),
    ]
    chooser = Chooser(ChoosingPolicy(at_most=20))
    pipeline = Pipeline(stages, bridge, tracks=Tracks(), chooser=chooser)
    results = await results_of(pipeline, [shown(seq) for seq in range(4)])
    looked_at = [np.isfinite(faces.identities[identity.name]).all(axis=1) for faces in results[:3]]
    assert [int(rows.sum()) for rows in looked_at] == [20, 20, 10]
    assert sum(looked_at).tolist() == [1] * 50
    last = results[-1].tracks
    assert last is not None
    assert sorted(last.tolist()) == list(range(1, 51))


async def test_who_is_known_is_named_in_each_frame(bridge: Bridge) -> None:
    recogniser = Recogniser(knowing(ada=2))
    results = await results_of(
        chain(bridge, PersonIdentity(), recogniser=recogniser), [shown(seq, (1, 2)) for seq in range(30)]
    )
    assert names_of(results) == [[None, "ada"]] * 30


async def test_naming_a_face_shows_in_the_next_frame_and_forgetting_it_too(bridge: Bridge) -> None:
    recogniser = Recogniser()
    pipeline = chain(bridge, PersonIdentity(), recogniser=recogniser)
    async with asyncio.TaskGroup() as tasks, pipeline.running() as results:
        frames = iter([shown(seq) for seq in range(100)])

        async def name() -> list[list[str | None]]:
            await pipeline.put(next(frames))
            return names_of([await anext(aiter(results))])

        assert await name() == [[None]]
        looks = recogniser.looks_of("a", 1)
        recogniser.know(KnownPeople(looks, ["ada"] * len(looks), 0.4))
        assert [await name() for _ in range(50)] == [[["ada"]]] * 50
        recogniser.know(KnownPeople(np.zeros((0, 256), np.float32), [], 0.4))
        assert await name() == [[None]]
        tasks.create_task(pipeline.close())


async def test_offline_every_face_is_embedded_and_named(bridge: Bridge) -> None:
    identity = PersonIdentity()
    stages = [Stage.detect(FakeDetector(places), bridge), Stage.faces(identity, bridge)]
    pipeline = Pipeline(stages, bridge, in_flight=6, tracks=Tracks(), recogniser=Recogniser(knowing(ada=1)))
    results = await results_of(pipeline, [shown(seq, (1, 2)) for seq in range(20)])
    assert sum(identity.batches) == 40
    assert names_of(results) == [["ada", None]] * 20


async def test_a_frame_processed_beside_the_stream_is_neither_tracked_nor_named(bridge: Bridge) -> None:
    identity = PersonIdentity()
    pipeline = chain(bridge, identity, recogniser=Recogniser(knowing(ada=1)))
    async with asyncio.TaskGroup() as tasks, pipeline.running() as results:
        await pipeline.put(shown(0, (1, 2)))
        alone = await pipeline.process_one(shown(7, (1, 2)))
        tasks.create_task(pipeline.close())
        assert len([faces async for faces in results]) == 1
    assert alone.tracks is None
    assert alone.people is None
    assert alone.identities[identity.name].shape == (2, 256)


async def test_who_is_named_or_chosen_must_be_tracked(bridge: Bridge) -> None:
    for options in ({"recogniser": Recogniser()}, {"chooser": Chooser()}):
        with pytest.raises(ValueError, match="tracks"):
            Pipeline([], bridge, **options)

"""The identity filter in a chain: frames split over batches, later stages, frames that lose every face."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from facestream.errors import ModelError
from facestream.plugins.identity.filtered import FilteredIdentity
from facestream.plugins.identity.filters import References
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline
from facestream.stream.stage import Stage
from facestream.stream.types import ExtractBatch, Frame, FrameFaces, Image
from facestream.testing.plugins import FakeDetector, FakeIdentity

ADA, BEN, EVE = (10, 0, 20, 5), (0, 10, 5, 60), (100, 0, 200, 50)  # the fake's embedding is the box: EVE looks like ADA
LIKE_ADA = References(wanted=np.float32([ADA]))


def frame(seq: int) -> Frame:
    return Frame("clip", 0, seq, seq / 25, 0.0, np.full((300, 400, 3), seq, np.uint8))


def boxes(image: Image) -> list[tuple[int, int, int, int]]:
    """None, one person, or up to nine."""
    seq = int(image[0, 0, 0])
    random = np.random.default_rng(seq)
    people = [BEN] * 2 if seq % 3 == 0 else [ADA, BEN, EVE]
    return [people[i] for i in random.integers(0, len(people), random.integers(0, 10))]


async def through(*stages: Stage, bridge: Bridge, frames: int = 40) -> list[FrameFaces]:
    chain = Pipeline(stages, bridge, in_flight=6)
    results: list[FrameFaces] = []

    async def feed() -> None:
        for seq in range(frames):
            await chain.put(frame(seq))
        await chain.close()

    async with asyncio.TaskGroup() as tasks, chain.running() as found:
        tasks.create_task(feed())
        async for faces in found:
            results.append(faces)
    return results


@pytest.mark.parametrize("batch_size", [1, 3, 16])
async def test_every_frame_comes_out_with_the_people_that_are_left(batch_size: int) -> None:
    identity = FilteredIdentity(FakeIdentity(batch_size=batch_size), LIKE_ADA, 0.99)
    async with Bridge(torch_threads=1) as bridge:
        stages = [
            Stage.detect(FakeDetector(boxes), bridge, 2),
            Stage.faces(identity, bridge),
            Stage.faces(FakeIdentity(name="second", batch_size=2), bridge),
        ]
        results = await through(*stages, bridge=bridge)
    assert [faces.frame.seq for faces in results] == list(range(40))
    found = [boxes(faces.frame.image) for faces in results]
    for faces, people in zip(results, found):
        left = [list(map(float, box)) for box in people if box != BEN]
        assert faces.boxes.tolist() == left
        if left:
            assert faces.identities["fake-identity"].tolist() == left
            assert faces.identities["second"].tolist() == left
    everybody = [box for people in found for box in people]
    out = everybody.count(BEN)
    assert stages[1].summary() == [
        f"[Identity filter] Faces left out: {out} of {len(everybody)} (unlike everybody in --filter: {out})"
    ]
    assert stages[2].summary() == []


async def test_one_frame_beside_the_stream_is_filtered_too() -> None:
    identity = FilteredIdentity(FakeIdentity(), References(unwanted=np.float32([ADA])), 0.99)
    async with Bridge(torch_threads=1) as bridge:
        chain = Pipeline([Stage.detect(FakeDetector([ADA, BEN, EVE]), bridge), Stage.faces(identity, bridge)], bridge)
        faces = await chain.process_one(frame(0))
    assert faces.boxes.tolist() == [list(BEN)]
    counts = identity.statistics()
    assert (counts.judged, counts.nfilter, counts.combined) == (3, 2, 2)


class Silent(FakeIdentity):
    """Writes nothing."""

    def post_process(self, raw: object, feed: object, batch: ExtractBatch) -> None: ...


@pytest.mark.parametrize(
    ("model", "references", "message"),
    [
        (Silent(), LIKE_ADA, "fake-identity: wrote no embeddings"),
        (
            FakeIdentity(),
            References(unwanted=np.ones((1, 3), np.float32)),
            "4 numbers a face, and a reference has 3",
        ),
    ],
)
def test_what_can_not_be_compared_is_named(model: FakeIdentity, references: References, message: str) -> None:
    identity = FilteredIdentity(model, references, 0.5)
    batch = ExtractBatch(
        frames=[frame(0)],
        boxes=np.float32([ADA]),
        scores=np.ones(1, np.float32),
        frame_ids=np.zeros(1, np.int32),
    )
    feed = identity.pre_process(batch)
    with pytest.raises(ModelError, match=message):
        identity.post_process(identity.infer(feed), feed, batch)


def test_it_is_as_large_as_its_model() -> None:
    model = FakeIdentity(batch_size=3)
    filtered = FilteredIdentity(model, LIKE_ADA, 0.5)
    filtered.batch_size = 5
    filtered.load("cpu")
    assert (model.batch_size, model.device) == (5, "cpu")
    assert (filtered.batch_size, filtered.name, filtered.storage_name) == (5, "fake-identity", "fake-identity")


async def test_a_live_stream_embeds_every_face_when_it_filters() -> None:
    async with Bridge(torch_threads=1) as bridge:
        assert Stage.faces(FakeIdentity(), bridge).selective
        assert not Stage.faces(FilteredIdentity(FakeIdentity(), LIKE_ADA, 0.5), bridge).selective

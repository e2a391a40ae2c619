"""Any frames, any number of sources, any chain and batch sizes, flushes and cancellation anywhere."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from facestream.stream.channel import BrokenChannel
from facestream.stream.choosing import Chooser, ChoosingPolicy
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline, Tracks
from facestream.stream.recognition import Recogniser
from facestream.stream.stage import Stage
from facestream.stream.types import Frame, FrameFaces, Image
from facestream.testing.plugins import FACE_68, FakeAligner, FakeDetector, FakeIdentity, FakeMasker, in_boxes
from facestream.tests.stream.build import frame, known
from tests.threads import left_over

FULL = bool(os.environ.get("FACESTREAM_FULL"))


@dataclass(frozen=True)
class Model:
    """A stage of the chain, its batch size, and how many samples fit into memory."""

    role: str
    batch_size: int
    fits: int | None


@dataclass(frozen=True)
class Plan:
    """What happens to a stream.

    Attributes:
        counts: faces in each frame of each source.
        live: for each source, whether it drops what isn't taken in time.
        chain: the models; where the first doesn't detect, faces are put.
        devices: each has all models.
        looks_at: most faces of a frame that the identity models look at, where faces are tracked; None for all.
        flushes: numbers of frames before which their source's feeder flushes.
        hurries: numbers of frames whose feeder gives up flushing and putting after so many turns of the loop, and then
            puts them after all.
        cancel_after: results after which the run is cancelled; None for never.
        cancel_turn: turns of the loop after which the run is cancelled; None for never.
    """

    counts: list[list[int]]
    live: list[bool]
    chain: list[Model]
    devices: int
    in_flight: int
    tracks: bool
    looks_at: int | None
    flushes: set[int]
    hurries: dict[int, int]
    cancel_after: int | None = None
    cancel_turn: int | None = None

    @property
    def cancelled(self) -> bool:
        return self.cancel_after is not None or self.cancel_turn is not None

    @property
    def chooses(self) -> bool:
        return self.tracks and self.looks_at is not None

    @property
    def detects(self) -> bool:
        return bool(self.chain) and self.chain[0].role == "detect"


@dataclass
class Outcome:
    results: list[FrameFaces] = field(default_factory=list)
    captured: dict[str, int] = field(default_factory=dict)
    alone: FrameFaces | None = None


roles = st.tuples(
    st.booleans(), st.booleans(), st.lists(st.just("mask"), max_size=2), st.lists(st.just("identity"), max_size=2)
).map(lambda t: [*["detect"] * t[0], *["align"] * t[1], *t[2], *t[3]])


@st.composite
def plans(draw: st.DrawFn, *, cancelled: bool) -> Plan:
    sources = draw(st.integers(1, 4))
    counts = [draw(st.lists(st.integers(0, 50), max_size=12)) for _ in range(sources)]
    fits = st.one_of(st.none(), st.none(), st.integers(1, 8))
    by_turn = cancelled and draw(st.booleans())
    return Plan(
        counts=counts,
        live=[draw(st.integers(0, 3)) == 0 for _ in range(sources)],
        chain=[Model(role, draw(st.integers(1, 32)), draw(fits)) for role in draw(roles)],
        devices=draw(st.integers(1, 3)),
        in_flight=draw(st.integers(1, 9)),
        tracks=draw(st.booleans()),
        looks_at=draw(st.one_of(st.none(), st.integers(1, 8))),
        flushes=draw(st.sets(st.integers(0, 11), max_size=4)),
        hurries=draw(st.dictionaries(st.integers(0, 11), st.integers(0, 8), max_size=4)),
        cancel_after=draw(st.integers(1, 1 + sum(map(len, counts)))) if cancelled and not by_turn else None,
        cancel_turn=draw(st.integers(0, 300)) if by_turn else None,
    )


def boxes_of(image: Image) -> list[tuple[int, int, int, int]]:
    """A frame's first pixel says how many faces it has and which frame it is; each box tells its place and frame."""
    count, seq, _ = image[0, 0].tolist()
    return [(seq, i, seq + 10, i + 10) for i in range(count)]


def item(plan: Plan, source: str, seq: int, count: int) -> Frame | FrameFaces:
    """The boxes are the same whether found or known."""
    if not plan.detects:
        return known(count, source=source, seq=seq, landmarks=seq % 3 != 0)
    bare = frame(source, seq)
    bare.image[0, 0] = count, seq, 0
    return bare


def fake(model: Model, place: int) -> Any:
    size, fits = model.batch_size, model.fits
    match model.role:
        case "detect":
            return FakeDetector(boxes_of, batch_size=size, fits=fits)
        case "align":
            return FakeAligner(batch_size=size, fits=fits)
        case "mask":
            return FakeMasker(name=f"mask-{place}", batch_size=size, fits=fits)
        case _:
            return FakeIdentity(name=f"who-{place}", batch_size=size, fits=fits)


def stages(plan: Plan, bridge: Bridge) -> list[Stage]:
    made = []
    for place, model in enumerate(plan.chain):
        first, *others = [fake(model, place) for _ in range(plan.devices)]
        make = Stage.detect if model.role == "detect" else Stage.faces
        made.append(make(first, bridge, replicas=others))
    return made


async def hurried(action: Coroutine[object, object, None], turns: int) -> bool:
    """Whether ``action`` ended within ``turns`` turns of the loop; else it is cancelled."""
    acting = asyncio.ensure_future(action)
    await turned(turns)
    acting.cancel()
    await asyncio.wait([acting])
    if acting.cancelled():
        return False
    acting.result()
    return True


async def turned(turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


async def carried_out(plan: Plan) -> Outcome:
    outcome = Outcome()
    devices = ",".join(["cpu"] * plan.devices)
    async with asyncio.timeout(60), Bridge(devices, torch_threads=1, cpu_workers=2) as bridge:
        pipeline = Pipeline(
            stages(plan, bridge),
            bridge,
            in_flight=plan.in_flight,
            tracks=Tracks() if plan.tracks else None,
            recogniser=Recogniser() if plan.tracks else None,
            chooser=Chooser(ChoosingPolicy(usable=0.0, at_most=plan.looks_at or 0)) if plan.chooses else None,
        )

        async def publish(faces: FrameFaces) -> None:
            outcome.results.append(faces)
            if len(outcome.results) == plan.cancel_after:
                running.cancel()

        async def feed(source: str, counts: list[int]) -> None:
            try:
                for seq, count in enumerate(counts):
                    one, turns = item(plan, source, seq, count), plan.hurries.get(seq)
                    if seq in plan.flushes:
                        await (pipeline.flush() if turns is None else hurried(pipeline.flush(), turns))
                    if turns is None or not await hurried(pipeline.gate.put(one), turns):
                        await pipeline.gate.put(one)
            except BrokenChannel:
                assert plan.cancelled

        async def cancel_in_time() -> None:
            if plan.cancel_turn is not None:
                await turned(plan.cancel_turn)
                running.cancel()

        for source, live in enumerate(plan.live):
            pipeline.gate.add(str(source), live=live)
        running = asyncio.create_task(pipeline.run(publish))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(cancel_in_time())
            for source, counts in enumerate(plan.counts):
                tasks.create_task(feed(str(source), counts))
            outcome.alone = await pipeline.process_one(item(plan, "alone", 1, 7))
        await pipeline.close()
        await asyncio.wait([running])
        if not running.cancelled():
            running.result()
        outcome.captured = pipeline.gate.captured()
    return outcome


def check_faces(plan: Plan, faces: FrameFaces, count: int) -> None:
    """Its own faces, in their own order, with all that the chain's models found out about each."""
    seq = faces.frame.seq
    assert faces.boxes[:, :2].tolist() == [[seq, i] for i in range(count)]
    if not count:
        return
    aligned = any(model.role == "align" for model in plan.chain)
    if aligned or not (plan.detects or seq % 3 == 0):
        assert faces.landmarks is not None
        assert np.array_equal(faces.landmarks, in_boxes(FACE_68, faces.boxes))
        assert faces.aligned is not None
        assert len(faces.aligned.pose) == count
    else:
        assert faces.landmarks is faces.aligned is None
    masks = {f"mask-{i}" for i, model in enumerate(plan.chain) if model.role == "mask"}
    identities = {f"who-{i}" for i, model in enumerate(plan.chain) if model.role == "identity"}
    assert faces.masks.keys() == masks
    alone = faces.frame.source == "alone"
    assert faces.identities.keys() <= identities if plan.chooses else faces.identities.keys() == identities
    assert all((faces.masks[name].masks[:, 0, 0] == seq).all() for name in masks)
    for rows in faces.identities.values():
        seen = np.isfinite(rows).all(axis=1)
        assert np.array_equal(rows[seen], faces.boxes[seen])
        assert seen.all() if alone or not plan.chooses else 0 < seen.sum() <= (plan.looks_at or 0)
    if plan.tracks and not alone:
        assert faces.tracks is not None
        assert len(faces.tracks) == count
        assert faces.people == (None,) * count


def check_order(plan: Plan, outcome: Outcome) -> dict[str, int]:
    """Each source's results are in order, each once, and say how many frames gave way; source → accounted for."""
    reached = {}
    for source, live in enumerate(plan.live):
        mine = [faces for faces in outcome.results if faces.frame.source == str(source)]
        seqs = [faces.frame.seq for faces in mine]
        assert seqs == list(np.cumsum([faces.dropped + 1 for faces in mine]) - 1)
        assert live or seqs == list(range(len(seqs)))
        for faces in mine:
            check_faces(plan, faces, plan.counts[source][faces.frame.seq])
        reached[str(source)] = seqs[-1] + 1 if seqs else 0
    return reached


@settings(deadline=None, max_examples=600 if FULL else 30)
@given(plan=plans(cancelled=False))
def test_every_accepted_frame_comes_out_once_in_order_with_its_own_faces(plan: Plan) -> None:
    outcome = asyncio.run(carried_out(plan))
    reached = check_order(plan, outcome)
    assert reached == {str(source): len(counts) for source, counts in enumerate(plan.counts)} == outcome.captured
    assert outcome.alone is not None
    check_faces(plan, outcome.alone, 7)
    assert not left_over()


@settings(deadline=None, max_examples=600 if FULL else 30)
@given(plan=plans(cancelled=True))
def test_what_came_out_before_a_cancellation_is_whole_and_nothing_is_left_behind(plan: Plan) -> None:
    outcome = asyncio.run(carried_out(plan))
    check_order(plan, outcome)
    assert not left_over()

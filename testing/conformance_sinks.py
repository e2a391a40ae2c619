"""What every sink must do, as checks to run on yours; :mod:`facestream.testing.conformance` is the door."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import numpy as np

from facestream.faces.aligned import align
from facestream.stream.types import Frame, FrameFaces, Sink
from facestream.testing.conformance_waiting import Leftovers, ended, require
from facestream.testing.plugins import FACE_68, FIVE_POINTS, in_boxes

MakeSink: TypeAlias = Callable[[], Sink]
"""Gives a new sink each time, not entered yet."""

SinkCheck: TypeAlias = Callable[[MakeSink], Awaitable[None]]

_MANY: Final = 12


def result(seq: int, count: int = 1, *, shape: tuple[int, int] = (120, 160), landmarks: bool = True) -> FrameFaces:
    """A result with ``count`` faces side by side, with or without landmarks and what follows from them."""
    image = np.random.default_rng(seq).integers(0, 256, (*shape, 3), np.uint8)
    lefts = 10 + 45 * np.arange(count)
    boxes = np.stack([lefts, np.full(count, 20), lefts + 40, np.full(count, 70)], axis=1).astype(np.float32)
    points = in_boxes(FACE_68, boxes) if landmarks else None
    return FrameFaces(
        frame=Frame("conformance", 0, seq, seq / 25, 1e9 + seq / 25, image),
        boxes=boxes,
        scores=np.full(count, 0.9, np.float32),
        points=in_boxes(FIVE_POINTS, boxes),
        landmarks=points,
        landmark_scores=None if points is None else np.full(count, 0.8, np.float32),
        tracks=np.arange(count, dtype=np.int64),
        aligned=None if points is None else align(points),
    )


def _name(sink: Sink) -> str:
    return type(sink).__name__


async def fulfils_the_protocol(make: MakeSink) -> None:
    sink = make()
    require(isinstance(sink, Sink), _name(sink), "lacks members of facestream.stream.types.Sink")
    async with sink:
        pass


async def takes_results_with_and_without_faces(make: MakeSink) -> None:
    sink = make()
    async with sink:
        for seq, count in enumerate((0, 1, 3, 0)):
            await ended(_name(sink), "writing", sink.write(result(seq, count)))
        await ended(_name(sink), "writing", sink.write(result(4, 0, landmarks=False)))
        await ended(_name(sink), "draining", sink.drain())


async def takes_faces_without_landmarks(make: MakeSink) -> None:
    sink = make()
    async with sink:
        await ended(_name(sink), "writing", sink.write(result(0, 2, landmarks=False)))
        await ended(_name(sink), "draining", sink.drain())


async def takes_frames_of_odd_sizes(make: MakeSink) -> None:
    sink = make()
    async with sink:
        for seq, shape in enumerate(((1, 1), (3, 1000), (1000, 3), (37, 41))):
            await ended(_name(sink), "writing", sink.write(result(seq, shape=shape)))
        reversed_in_memory = result(9)
        reversed_in_memory.frame.image = reversed_in_memory.frame.image[::-1, ::2]
        await ended(_name(sink), "writing", sink.write(reversed_in_memory))
        await ended(_name(sink), "draining", sink.drain())


async def takes_many_results_and_waits_when_it_is_full(make: MakeSink) -> None:
    sink = make()
    async with sink:
        for seq in range(_MANY):
            await ended(_name(sink), "writing", sink.write(result(seq, 2)))


async def takes_results_after_draining(make: MakeSink) -> None:
    sink = make()
    async with sink:
        await ended(_name(sink), "draining an empty sink", sink.drain())
        for seq in range(3):
            await ended(_name(sink), "writing after draining", sink.write(result(seq)))
            await ended(_name(sink), "draining", sink.drain())
        await ended(_name(sink), "draining again", sink.drain())


async def leaves_results_as_they_are(make: MakeSink) -> None:
    """Every sink of a session gets the same object."""
    sink, given, kept = make(), result(0, 2), result(0, 2)
    async with sink:
        await ended(_name(sink), "writing", sink.write(given))
        await ended(_name(sink), "draining", sink.drain())
    require(bool((given.frame.image == kept.frame.image).all()), _name(sink), "changes the frame's pixels")
    for field in ("boxes", "scores", "points", "landmarks", "landmark_scores", "tracks"):
        same = np.array_equal(getattr(given, field), getattr(kept, field))
        require(same, _name(sink), f"changes the faces' {field}")
    require(given.masks == {} and given.identities == {}, _name(sink), "adds masks or identities to the faces")


async def closes_twice_and_unused(make: MakeSink) -> None:
    left = Leftovers()
    sink = make()
    async with sink:
        pass
    await ended(_name(sink), "closing again", sink.__aexit__(None, None, None))
    await left.require_none(_name(sink), "when closed unused")


async def closes_twice_after_writing(make: MakeSink) -> None:
    left = Leftovers()
    sink = make()
    async with sink:
        for seq in range(3):
            await ended(_name(sink), "writing", sink.write(result(seq, 2)))
    await ended(_name(sink), "closing again", sink.__aexit__(None, None, None))
    await left.require_none(_name(sink), "when closed")


async def lets_the_sessions_error_pass(make: MakeSink) -> None:
    left = Leftovers()
    sink = make()
    surfaced = False
    try:
        async with sink:
            await ended(_name(sink), "writing", sink.write(result(0)))
            raise ZeroDivisionError
    except ZeroDivisionError:
        surfaced = True
    require(surfaced, _name(sink), "swallows the error that ends the session")
    await left.require_none(_name(sink), "after an error")


async def can_be_cancelled_while_writing(make: MakeSink) -> None:
    """At whatever point of it: a write that was cancelled is none that drain waits for."""
    left = Leftovers()
    sink, seqs = make(), itertools.count()

    async def write_many() -> None:
        for _ in range(_MANY):
            await sink.write(result(next(seqs), 2))

    async with sink:
        for turns in (1, 2, 3, 5, 8, 13, 21, 34):
            writing = asyncio.ensure_future(write_many())
            for _ in range(turns):
                await asyncio.sleep(0)
            writing.cancel()
            await ended(_name(sink), "writing, cancelled,", asyncio.wait([writing]))
        await ended(_name(sink), "writing after a cancelled write", sink.write(result(next(seqs))))
        await ended(_name(sink), "draining after a cancelled write", sink.drain())
    await left.require_none(_name(sink), "after a cancelled write")


async def can_be_cancelled_while_draining(make: MakeSink) -> None:
    left = Leftovers()
    sink = make()
    async with sink:
        for seq in range(3):
            await ended(_name(sink), "writing", sink.write(result(seq, 2)))
        draining = asyncio.ensure_future(sink.drain())
        await asyncio.sleep(0)
        draining.cancel()
        await ended(_name(sink), "draining, cancelled,", asyncio.wait([draining]))
        await ended(_name(sink), "draining", sink.drain())
    await left.require_none(_name(sink), "after a cancelled drain")


SINK_CHECKS: Final[tuple[SinkCheck, ...]] = (
    fulfils_the_protocol,
    takes_results_with_and_without_faces,
    takes_faces_without_landmarks,
    takes_frames_of_odd_sizes,
    takes_many_results_and_waits_when_it_is_full,
    takes_results_after_draining,
    leaves_results_as_they_are,
    closes_twice_and_unused,
    closes_twice_after_writing,
    lets_the_sessions_error_pass,
    can_be_cancelled_while_writing,
    can_be_cancelled_while_draining,
)
"""Every check; each raises an :class:`AssertionError` that names the sink and what it did."""


async def check_sink(make: MakeSink) -> None:
    """Run every check of :data:`SINK_CHECKS`.

    Args:
        make: gives a new sink each time, not entered yet, with a bridge that is open if it needs one.

    Raises:
        AssertionError: the first check that fails.
    """
    for check in SINK_CHECKS:
        await check(make)

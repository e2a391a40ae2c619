"""What every source must do, as checks to run on yours; :mod:`facestream.testing.conformance` is the door."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeAlias

import numpy as np

from facestream.errors import SourceError
from facestream.stream.types import Frame, Source
from facestream.testing.conformance_waiting import Leftovers, ended, require

MakeSource: TypeAlias = Callable[[], Source]
"""Gives a new source, not opened yet, each time: a source lives once. It must have three frames at least."""

SourceCheck: TypeAlias = Callable[[MakeSource], Awaitable[None]]

_MANY: Final = 12  # frames of an endless source that are looked at


async def _read(source: Source, limit: int = _MANY) -> list[Frame]:
    frames: list[Frame] = []

    async def read() -> None:
        async for frame in source:
            frames.append(frame)
            if len(frames) == limit:
                return

    await ended(source.name, "reading", read())
    return frames


async def fulfils_the_protocol(make: MakeSource) -> None:
    source = make()
    require(isinstance(source, Source), type(source).__name__, "lacks members of facestream.stream.types.Source")
    require(isinstance(source.name, str) and bool(source.name), type(source).__name__, f"its name is {source.name!r}")
    require(isinstance(source.live, bool), source.name, f"live is {source.live!r}")
    async with source:
        pass


async def gives_frames_in_order(make: MakeSource) -> None:
    source = make()
    async with source:
        frames = await _read(source)
        require(len(frames) >= 3, source.name, f"has {len(frames)} frames; these checks need three at least")
        last = frames[-1]
        require(source.size == last.size, source.name, f"says its size is {source.size}, its frame is {last.size}")
        captured = source.statistics().captured
        require(captured >= len(frames), source.name, f"has captured {captured} frames, but given {len(frames)}")
    for frame in frames:
        require(frame.source == source.name, source.name, f"its frames say they are of {frame.source!r}")
        image = frame.image
        sound = image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.size > 0
        require(sound, source.name, f"a frame is {image.dtype} {image.shape}, not uint8 (h, w, 3)")
        require(np.isfinite(frame.pts) and frame.captured_at > 0, source.name, f"{frame!r} has no sensible times")
    keys = [(frame.epoch, frame.seq) for frame in frames]
    require(keys == sorted(set(keys)), source.name, f"its frames aren't in order: (epoch, seq) are {keys}")
    times = [(frame.epoch, frame.pts) for frame in frames]
    require(times == sorted(times), source.name, f"time runs backwards: (epoch, pts) are {times}")


async def gives_each_frame_pixels_of_its_own(make: MakeSource) -> None:
    """Several frames are on their way at once: a buffer that is used again would change them."""
    source = make()
    async with source:
        frames = await _read(source, 2)
        before = [frame.image.copy() for frame in frames]
        frames += await _read(source, 1)
    for frame, image in zip(frames, before):
        require(bool((frame.image == image).all()), source.name, f"changes frame {frame.seq} after giving it")


async def stays_at_its_end(make: MakeSource) -> None:
    source = make()
    async with source:
        if len(await _read(source)) < _MANY:
            require(not await _read(source, 1), source.name, "goes on after its end")


async def closes_twice_and_gives_nothing_afterwards(make: MakeSource) -> None:
    source = make()
    left = Leftovers()
    async with source:
        await _read(source, 1)
    await ended(source.name, "closing again", source.__aexit__(None, None, None))
    with suppress(SourceError, RuntimeError):
        require(not await _read(source, 1), source.name, "gives frames after it was closed")
    await left.require_none(source.name, "when closed half-way")


async def closes_unread(make: MakeSource) -> None:
    left = Leftovers()
    source = make()
    async with source:
        pass
    await left.require_none(source.name, "when closed unread")


async def closes_when_its_reader_fails(make: MakeSource) -> None:
    left = Leftovers()
    source = make()
    surfaced = False
    try:
        async with source:
            await _read(source, 1)
            raise ZeroDivisionError
    except ZeroDivisionError:
        surfaced = True
    require(surfaced, source.name, "swallows the error of whoever reads it")
    await left.require_none(source.name, "after its reader's error")


async def can_be_cancelled_while_opening(make: MakeSource) -> None:
    left = Leftovers()
    source = make()

    async def open_and_read() -> None:
        async with source:
            await _read(source)

    opening = asyncio.ensure_future(open_and_read())
    await asyncio.sleep(0)
    if opening.cancel():  # it wasn't open and read already
        await ended(source.name, "opening, cancelled,", asyncio.wait([opening]))
        require(opening.cancelled(), source.name, "swallows the cancelling of its opening")
    await left.require_none(source.name, "when cancelled while opening")


async def can_be_cancelled_half_way(make: MakeSource) -> None:
    left = Leftovers()
    source, read = make(), asyncio.Event()

    async def read_on() -> None:
        async with source:
            async for _ in source:
                read.set()
                await asyncio.sleep(0)  # whoever reads does something with a frame

    reading = asyncio.ensure_future(read_on())
    waiting = asyncio.ensure_future(read.wait())
    await ended(source.name, "reading", asyncio.wait([reading, waiting], return_when=asyncio.FIRST_COMPLETED))
    waiting.cancel()
    reading.cancel()
    await ended(source.name, "reading, cancelled,", asyncio.wait([reading, waiting]))
    await left.require_none(source.name, "when cancelled half-way")


async def goes_on_after_a_cancelled_wait(make: MakeSource) -> None:
    """A frame may be lost that way, but the numbers of the others stay true."""
    source, taken = make(), []
    async with source:
        taken += await _read(source, 1)
        for turns in (1, 3):
            waiting = asyncio.ensure_future(anext(source, None))
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            await ended(source.name, "a cancelled wait", asyncio.wait([waiting]))
            if not waiting.cancelled() and (given := waiting.result()) is not None:
                taken.append(given)
        taken += await _read(source)
    keys = [(frame.epoch, frame.seq) for frame in taken]
    require(keys == sorted(set(keys)), source.name, f"after a cancelled wait (epoch, seq) are {keys}")
    if not source.live:
        await _require_true_numbers(make, taken)


async def _require_true_numbers(make: MakeSource, taken: list[Frame]) -> None:
    undisturbed = make()
    async with undisturbed:
        expected = {frame.seq: frame.image for frame in await _read(undisturbed)}
    wrong = [frame.seq for frame in taken if not np.array_equal(expected.get(frame.seq, frame.image), frame.image)]
    require(not wrong, undisturbed.name, f"after a cancelled wait frames {wrong} aren't those of their numbers")


async def closing_ends_a_wait_for_a_frame(make: MakeSource) -> None:
    source = make()
    async with source:
        await _read(source, 1)
        waiting = asyncio.ensure_future(anext(source, None))
        await asyncio.sleep(0)
        await ended(source.name, "closing", source.__aexit__(None, None, None))
        await ended(source.name, "a wait for a frame, the source closed,", asyncio.wait([waiting]))
    error = waiting.exception()
    fine = error is None or isinstance(error, (SourceError, RuntimeError))
    require(fine, source.name, f"closing it raises {error!r} to whoever waits for a frame")


SOURCE_CHECKS: Final[tuple[SourceCheck, ...]] = (
    fulfils_the_protocol,
    gives_frames_in_order,
    gives_each_frame_pixels_of_its_own,
    stays_at_its_end,
    closes_twice_and_gives_nothing_afterwards,
    closes_unread,
    closes_when_its_reader_fails,
    can_be_cancelled_while_opening,
    can_be_cancelled_half_way,
    goes_on_after_a_cancelled_wait,
    closing_ends_a_wait_for_a_frame,
)
"""Every check; each raises an :class:`AssertionError` that names the source and what it did."""


async def check_source(make: MakeSource) -> None:
    """Run every check of :data:`SOURCE_CHECKS`.

    Args:
        make: gives a new source, not opened yet, each time; it must have three frames at least.

    Raises:
        AssertionError: the first check that fails.
    """
    for check in SOURCE_CHECKS:
        await check(make)

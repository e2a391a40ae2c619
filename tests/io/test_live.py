import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from facestream.errors import SourceFormatError, SourceRefused, SourceUnavailable
from facestream.io.backoff import Backoff
from facestream.io.base import BaseSource
from facestream.io.live import ReconnectingSource
from facestream.io.source_lane import SourceLane
from facestream.io.watchdog import Watchdog
from facestream.stream.device import Lane
from facestream.stream.types import Frame, SourceState, SourceStatistics
from facestream.testing.sources import FakeSource


class Camera:
    """Hands out fake connections one after another and remembers them, and the waits between them."""

    def __init__(self, *connections: BaseSource | Exception) -> None:
        self._coming = list(connections)
        self.used: list[BaseSource] = []
        self.waits: list[float] = []

    def connect(self) -> BaseSource:
        coming = self._coming.pop(0)
        if isinstance(coming, Exception):
            raise coming
        self.used.append(coming)
        return coming

    async def wait(self, seconds: float) -> None:
        self.waits.append(seconds)

    def source(self, **options: object) -> ReconnectingSource:
        backoff = Backoff(0.5, 10.0, random=lambda: 0.0)
        return ReconnectingSource("cam", self.connect, backoff=backoff, sleep=self.wait, **options)  # type: ignore[arg-type]


def camera_of(frames: int, fail_at: int | None = None, **options: object) -> FakeSource:
    return FakeSource("cam", frames=None, live=True, fail_at=frames, **options)  # type: ignore[arg-type]


def refusing() -> FakeSource:
    return FakeSource("cam", frames=None, live=True, fail_at=0)


async def keys_of(source: BaseSource, count: int) -> list[tuple[int, int]]:
    keys = []
    async for frame in source:
        keys.append((frame.epoch, frame.seq))
        if len(keys) == count:
            break
    return keys


async def test_each_connection_is_an_epoch_and_numbers_its_frames_from_0() -> None:
    camera = Camera(camera_of(3), camera_of(2), camera_of(9))
    async with camera.source() as source:
        assert await keys_of(source, 7) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0), (2, 1)]
        assert source.statistics().captured == 7
        assert source.statistics().epoch == 2
    assert all(used.closed for used in camera.used if isinstance(used, FakeSource))


async def test_tries_that_give_no_frame_are_no_epochs() -> None:
    camera = Camera(refusing(), refusing(), camera_of(1), refusing(), camera_of(1), camera_of(1))
    async with camera.source() as source:
        assert await keys_of(source, 2) == [(0, 0), (1, 0)]
        assert source.statistics().reconnects == 4
    assert camera.waits == [0.5, 1.0, 2.0, 4.0]


async def test_states_tell_what_happens_and_why() -> None:
    camera = Camera(refusing(), camera_of(1), camera_of(5))
    async with camera.source() as source:
        seen: list[tuple[SourceState, str]] = []
        source.on_state(lambda state, reason: seen.append((state, reason)))
        assert source.state is SourceState.CONNECTING
        await keys_of(source, 2)
    assert seen == [
        (SourceState.DEGRADED, "cam doesn't answer; it is a fake that fails at once"),
        (SourceState.LIVE, ""),
        (SourceState.DEGRADED, "cam is lost; it is a fake that fails at frame 1"),
        (SourceState.LIVE, ""),
        (SourceState.STOPPED, ""),
    ]


async def test_a_camera_never_raises_whatever_it_is_made_of() -> None:
    camera = Camera(SourceFormatError("not a video"), SourceUnavailable("off"), camera_of(1))
    async with camera.source() as source:
        assert await keys_of(source, 1) == [(0, 0)]


async def test_a_camera_that_ends_is_lost() -> None:
    camera = Camera(Ending("cam", frames=2, live=True), camera_of(1))
    async with camera.source() as source:
        assert await keys_of(source, 3) == [(0, 0), (0, 1), (1, 0)]


class Ending(FakeSource):
    """Ends, although it should not."""

    @property
    def finite(self) -> bool:
        return False


async def test_a_file_ends_when_it_ends() -> None:
    async with Camera(FakeSource("cam", frames=3)).source(file=True) as source:
        assert len([frame async for frame in source]) == 3
    assert source.state is SourceState.STOPPED


@pytest.mark.parametrize("error", [SourceFormatError("not a video"), SourceUnavailable("not there")])
async def test_a_file_that_cant_be_opened_is_given_up_at_once(error: Exception) -> None:
    source = Camera(error).source(file=True)
    with pytest.raises(type(error)):
        await source.__aenter__()
    assert source.state is SourceState.STOPPED


async def test_a_file_that_fails_later_is_tried_again() -> None:
    camera = Camera(FakeSource("cam", frames=5, fail_at=2), FakeSource("cam", frames=1))
    async with camera.source(file=True) as source:
        assert [(frame.epoch, frame.seq) async for frame in source] == [(0, 0), (0, 1), (1, 0)]


async def stuck_in_backoff(on_wait: Callable[[], None]) -> ReconnectingSource:
    async def for_ever(_seconds: float) -> None:
        on_wait()
        await asyncio.Event().wait()

    def refuse() -> BaseSource:
        raise SourceUnavailable("off")

    return await ReconnectingSource("cam", refuse, sleep=for_ever).__aenter__()


async def test_closing_ends_a_wait_in_progress() -> None:
    waiting = asyncio.Event()
    source = await stuck_in_backoff(waiting.set)
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(keys_of(source, 1))
        await waiting.wait()
        await source.aclose()
        assert await reading == []


async def test_closing_while_it_connects_closes_the_new_connection() -> None:
    opening, may_open = asyncio.Event(), asyncio.Event()

    class Slow(FakeSource):
        async def _open(self) -> None:
            opening.set()
            await may_open.wait()

    connection = Slow("cam", frames=None, live=True)
    source = await Camera(connection).source().__aenter__()
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(keys_of(source, 1))
        await opening.wait()
        closing = tasks.create_task(source.aclose())
        await asyncio.sleep(0)
        may_open.set()
        await closing
        assert await reading in ([], [(0, 0)])
    assert connection.closed


async def test_cancelling_a_wait_leaves_nothing_behind() -> None:
    waiting = asyncio.Event()
    source = await stuck_in_backoff(waiting.set)
    reading = asyncio.ensure_future(keys_of(source, 1))
    await waiting.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await source.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_closing_closes_the_lane() -> None:
    lane = Lane("cam")
    async with Camera(camera_of(1)).source(lane=(thread := SourceLane("cam", lambda: lane))) as source:
        assert thread.get() is lane
        await keys_of(source, 1)
    with pytest.raises(RuntimeError, match="closed"):
        await lane.run(int)


async def test_damage_adds_up_over_connections() -> None:
    class Damaged(FakeSource):
        def statistics(self):  # type: ignore[no-untyped-def]
            from facestream.stream.types import SourceStatistics

            return SourceStatistics(damaged=2)

    camera = Camera(Damaged("cam", frames=None, fail_at=1), Damaged("cam", frames=None))
    async with camera.source() as source:
        await keys_of(source, 2)
        assert source.statistics().damaged == 4


class Recorded(FakeSource):
    async def clip(self, before: float, after: float, path: Path) -> float:
        return before + after


class Absent(FakeSource):
    async def _open(self) -> None:
        raise SourceUnavailable("cam is off")


async def test_a_clip_can_be_made_of_the_last_connection_however_many_tries_fail_after_it() -> None:
    camera = Camera(Recorded("cam", frames=None, live=True, fail_at=1), *[Absent("cam") for _ in range(3)])
    async with camera.source() as source:
        await keys_of(source, 1)
        with pytest.raises(IndexError):  # after the last of them
            await anext(source)
        assert await source.clip(1, 2, Path("cam.mp4")) == 3
        assert source.size == (64, 48)


async def test_a_frozen_stream_is_connected_anew_and_its_reason_says_so() -> None:
    clock = iter(range(1000))
    camera = Camera(Frozen("cam", frames=None, live=True), camera_of(9))
    async with camera.source(watchdog=Watchdog(5.0), monotonic=lambda: float(next(clock))) as source:
        seen: list[tuple[SourceState, str]] = []
        source.on_state(lambda state, reason: seen.append((state, reason)))
        keys = await keys_of(source, 12)
    frozen = sum(epoch == 0 for epoch, _ in keys)
    assert keys == [(0, seq) for seq in range(frozen)] + [(1, seq) for seq in range(12 - frozen)]
    assert "frozen" in dict(seen)[SourceState.DEGRADED]
    assert source.statistics().reconnects == 1


class Frozen(FakeSource):
    """Sends the same moment again and again."""

    async def _next(self) -> Frame | None:
        frame = await super()._next()
        assert frame is not None
        frame.pts = min(frame.pts, 0.1)
        return frame


async def test_a_camera_that_refuses_the_password_is_asked_slowly() -> None:
    camera = Camera(SourceRefused("wrong password (401)"), SourceUnavailable("off"), camera_of(1))
    async with camera.source() as source:
        await keys_of(source, 1)
    assert camera.waits == [10.0, 0.5]


async def test_a_loss_after_damaged_packets_tells_of_them() -> None:
    class Damaged(FakeSource):
        packets = 0

        def statistics(self) -> SourceStatistics:
            return SourceStatistics(damaged=self.packets)

        async def _next(self) -> Frame | None:
            self.packets = 7 if self._seq == 2 else 0
            return await super()._next()

    camera = Camera(Damaged("cam", frames=None, live=True, fail_at=2), camera_of(1))
    async with camera.source() as source:
        reasons: list[str] = []
        source.on_state(lambda state, reason: reasons.append(reason))
        await keys_of(source, 3)
    assert any("(since its last picture: 7 damaged packets)" in reason for reason in reasons)


async def test_another_reason_is_no_other_state_and_since_says_when_that_began() -> None:
    now = 0.0

    async def wait(_seconds: float) -> None:
        nonlocal now
        now += 10.0

    coming = [SourceUnavailable("off"), SourceUnavailable("refused"), camera_of(1)]
    camera = Camera(*coming)
    camera.wait = wait  # type: ignore[method-assign]
    async with camera.source(clock=lambda: now) as source:
        began: list[tuple[str, float]] = []
        source.on_state(lambda state, reason: began.append((reason or state.value, source.since)))
        await keys_of(source, 1)
    assert began == [("off", 0.0), ("refused", 0.0), ("live", 20.0), ("stopped", 20.0)]

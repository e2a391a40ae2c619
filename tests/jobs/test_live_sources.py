"""Sources that are limited, looked at in part, changed, started again, and that hang, in a live session."""

from __future__ import annotations

import asyncio
import gc
import weakref
from itertools import count
from pathlib import Path

import pytest

from facestream.errors import ConfigError, SourceError, SourceFormatError
from facestream.io.reading import LazyFrame, LazyPixels
from facestream.jobs.live import LiveSession, SourceInfo, SourceOptions
from facestream.stream.types import Frame, FrameFaces, SourceState
from facestream.testing.plugins import FakeDetector
from facestream.testing.sources import FakeSource, make_clip, make_picture
from facestream.tests.io.hanging import HangingCamera
from facestream.tests.jobs.living import BOXES, Notebook, info, live, start, until
from tests.threads import left_over


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=5, rate=50, size=(64, 48))


@pytest.fixture(scope="module")
def wide_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "wide.mp4", frames=5, rate=50, size=(96, 48))


class UnmadeSource(FakeSource):
    """A camera whose pictures are made when somebody looks at them; ``made`` counts them."""

    made = 0

    async def _next(self) -> Frame | None:
        frame = await super()._next()
        assert frame is not None
        return LazyFrame.of(LazyPixels(self._make, frame.size), self.name, frame.seq, frame.pts, frame.captured_at)

    def _make(self):  # type: ignore[no-untyped-def]
        self.made += 1
        return make_picture(0)


async def test_frames_over_the_rate_count_as_dropped_and_are_never_made() -> None:
    source = UnmadeSource("door", frames=None, live=True, rate=500)
    notebook = Notebook()
    async with live(None, notebook) as session:
        await start(session, source, SourceOptions(max_rate=5))
        await until(session, lambda: info(session, "door").limited > 100)
    door = info(session, "door")
    assert door.captured == door.processed + door.dropped
    assert source.made <= door.captured - door.limited
    assert door.processed < door.captured / 2
    results = notebook.results
    assert sum(faces.dropped + 1 for faces in results) == results[-1].frame.seq + 1


async def test_a_rate_is_changed_while_the_source_runs_and_it_is_not_opened_again() -> None:
    source = FakeSource("door", frames=None, live=True, rate=200)
    changes: list[SourceInfo] = []
    async with live() as session:
        await start(session, source)
        session.on_change(changes.append)
        await until(session, lambda: info(session, "door").processed > 3)
        told = await session.update_source("door", options=SourceOptions(max_rate=1))
        assert told.options.max_rate == changes[-1].options.max_rate == 1
        while not info(session, "door").limited:  # noqa: ASYNC110 - a count has no event
            await asyncio.sleep(0.01)
        await session.update_source("door", options=SourceOptions())
        before = info(session, "door").processed
        await until(session, lambda: info(session, "door").processed > before + 3)
        assert (info(session, "door").epoch, info(session, "door").reconnects) == (0, 0)
    assert source.opened == 1


async def test_faces_are_looked_for_in_the_region_and_told_in_the_whole_frame() -> None:
    async with live(FakeDetector([(1, 1, 9, 9)])) as session:
        await start(session, FakeSource("door", frames=None, live=True, rate=100))
        async with session.hub.subscribe() as results:
            assert (await anext(results)).boxes.tolist() == [[1, 1, 9, 9]]
            await session.update_source("door", options=SourceOptions(region=(0.5, 0.25, 1, 1)))
            async for faces in results:
                if faces.frame.region is not None:
                    break
    assert faces.boxes.tolist() == [[33, 13, 41, 21]]
    assert faces.landmarks is not None
    assert (faces.landmarks[0].mean(axis=0) > (33, 13)).all()
    assert faces.frame.image.shape == (48, 64, 3)


class NoDiscretion:
    """Shows everything."""

    async def apply(self, faces: FrameFaces) -> FrameFaces:
        return faces

    def forget(self, source: str) -> None:
        pass


async def test_no_region_where_faces_are_covered_as_those_outside_would_not_be() -> None:
    async with live(privacy=NoDiscretion()) as session:
        source = FakeSource("door", frames=None, live=True, rate=100)
        with pytest.raises(ConfigError, match="would not be covered"):
            await session.add_source("yard=rtsp://camera/", options=SourceOptions(region=(0, 0, 1, 0.5)))
        await start(session, source)
        with pytest.raises(ConfigError, match="would not be covered"):
            await session.update_source("door", options=SourceOptions(region=(0, 0, 1, 0.5)))
        assert [source.name for source in session.sources()] == ["door"]


async def test_another_url_is_another_epoch_and_the_other_sources_miss_nothing(clip: Path, wide_clip: Path) -> None:
    notebook = Notebook()
    async with live(None, notebook) as session:
        await start(session, FakeSource("other", frames=None, live=False, rate=200))
        await session.add_source(f"door={clip}", options=SourceOptions(loop=True))
        await until(session, lambda: info(session, "door").processed > 3)
        changed = await session.update_source("door", f"anything={wide_clip}")
        assert (changed.name, changed.url, changed.options.loop) == ("door", str(wide_clip), True)
        await until(session, lambda: info(session, "door").size == (96, 48))
        before = info(session, "other").processed
        await until(session, lambda: info(session, "other").processed > before + 3)
    door = info(session, "door")
    assert (door.epoch, door.reconnects) == (1, 1)
    assert door.captured == door.processed + door.dropped
    epochs = [faces.frame.epoch for faces in notebook.results if faces.frame.source == "door"]
    assert sorted(epochs) == epochs
    assert set(epochs) == {0, 1}
    others = [faces.frame.seq for faces in notebook.results if faces.frame.source == "other"]
    assert all(seq == number for number, seq in zip(count(), others)) or session.statistics().sinks[0].dropped


async def test_a_source_that_has_stopped_is_started_again(clip: Path) -> None:
    async with live(options=SourceOptions(lossless=True)) as session:
        stopped = asyncio.Event()
        session.on_change(lambda source: stopped.set() if source.state is SourceState.STOPPED else None)
        await session.add_source(f"door={clip}")
        for times in (1, 2, 3):
            await stopped.wait()
            stopped.clear()
            assert info(session, "door").captured == 5 * times
            if times == 1:
                await session.restart_source("door")
            elif times == 2:
                await session.update_source("door", options=SourceOptions(lossless=True, detect_every=2))
    assert info(session, "door").epoch == 2


async def test_a_file_that_cannot_be_read_stops_the_source_until_it_is_given_another(clip: Path) -> None:
    async with live() as session:
        await session.add_source(f"door={clip}", options=SourceOptions(loop=True))
        await until(session, lambda: info(session, "door").processed > 0)
        with pytest.raises(SourceError, match=r"missing\.mp4"):
            await session.update_source("door", str(clip.with_name("missing.mp4")))
        assert info(session, "door").state is SourceState.STOPPED
        assert "missing.mp4" in info(session, "door").reason
        await session.update_source("door", str(clip))
        await until(session, lambda: info(session, "door").epoch == 1)
        assert info(session, "door").state is SourceState.LIVE


async def test_a_url_as_it_is_shown_is_the_one_that_is_there_and_no_other_can_be_made_of_it() -> None:
    async with live() as session:
        await session.add_source("door=rtsp://user:hush@127.0.0.1:9/x")
        shown = info(session, "door").url
        assert "hush" not in shown
        assert (await session.update_source("door", shown, SourceOptions(max_rate=5))).reconnects == 0
        with pytest.raises(ConfigError, match="write it out"):
            await session.update_source("door", f"{shown}/other")
        with pytest.raises(ConfigError, match="can't read ftp"):
            await session.update_source("door", "ftp://camera/")
        with pytest.raises(KeyError):
            await session.update_source("yard")
        assert info(session, "door").options.max_rate == 5


async def test_a_source_is_changed_many_times_at_once_and_only_the_last_is_left(clip: Path, wide_clip: Path) -> None:
    async with live() as session:
        await session.add_source(f"door={clip}", options=SourceOptions(loop=True))
        paths = [str(path) for path in (wide_clip, clip, wide_clip, clip, wide_clip)]
        changes = [session.update_source("door", path) for path in paths]
        await asyncio.gather(*changes, return_exceptions=True)
        await until(session, lambda: info(session, "door").size == (96, 48))
        assert info(session, "door").state is SourceState.LIVE


async def test_a_source_that_gave_way_to_another_leaves_nothing_behind(clip: Path, wide_clip: Path) -> None:
    async with live() as session:
        await session.add_source(f"door={clip}", options=SourceOptions(loop=True))
        former = []
        for path, size in ((wide_clip, (96, 48)), (clip, (64, 48)), (wide_clip, (96, 48))):
            former.append(weakref.ref(session._feeds["door"].source))
            await session.update_source("door", str(path))
            await until(session, lambda wanted=size: info(session, "door").size == wanted)  # type: ignore[misc]
        gc.collect()
        assert [source() for source in former] == [None, None, None]


async def test_a_source_that_hangs_holds_up_neither_the_others_nor_the_end() -> None:
    camera = HangingCamera()
    async with live() as session:
        await start(session, camera.source())
        await start(session, FakeSource("door", frames=None, live=True, rate=200))
        await asyncio.to_thread(camera.readers[0].hung.wait)
        before = info(session, "door").processed
        await until(session, lambda: info(session, "door").processed > before + 3)
    assert {source.state for source in session.sources()} == {SourceState.STOPPED}
    camera.free()
    assert not left_over("facestream-cam")


async def test_a_source_that_is_being_removed_is_there_for_nobody_else() -> None:
    async with live() as session:
        await start(session, FakeSource("door", frames=None, live=True, rate=100))
        removing = asyncio.create_task(session.remove_source("door"))
        await asyncio.sleep(0)
        for change in (session.remove_source, session.restart_source, session.update_source):
            with pytest.raises(KeyError):
                await change("door")
        await removing
        assert session.sources() == []


async def test_where_no_gpu_decodes_the_cpu_does_and_that_is_said(
    clip: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    async with live() as session:
        await session.add_source(f"door={clip}", options=SourceOptions(loop=True, decoder="cuda"))
        await until(session, lambda: info(session, "door").processed > 0)
        assert info(session, "door").options.decoder == "cuda"
    assert "door is decoded on the CPU: no GPU that decodes can be opened" in caplog.text


async def test_whoever_removes_a_source_and_does_not_wait_has_removed_it() -> None:
    camera = HangingCamera()
    async with live() as session:
        await start(session, camera.source())
        await asyncio.to_thread(camera.readers[0].hung.wait)
        removing = asyncio.create_task(session.remove_source("cam"))
        await asyncio.sleep(0)
        removing.cancel()
        await asyncio.wait([removing])
        await until_free(session, "cam")
        await start(session, FakeSource("cam", frames=None, live=True, rate=100))
        await until(session, lambda: info(session, "cam").processed > 0)
    camera.free()
    assert not left_over("facestream-cam")


async def until_free(session: LiveSession, name: str) -> None:
    async with asyncio.timeout(60):
        while any(source.name == name for source in session.sources()):  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.01)


async def test_a_removed_source_is_forgotten_for_good_whatever_was_in_flight() -> None:
    detector = FakeDetector(BOXES, delay=0.05)
    async with live(detector) as session:
        await start(session, FakeSource("yard", frames=None, live=True, rate=200))
        await start(session, FakeSource("door", frames=None, live=True, rate=200))
        await until(session, lambda: info(session, "door").processed > 1)
        await session.remove_source("door")
        before = info(session, "yard").processed
        await until(session, lambda: info(session, "yard").processed > before + 4)
        assert set(session.hub.counts()) == {"yard"}


async def test_a_pushed_source_that_is_changed_stays() -> None:
    async with live(push_grace=0.0) as session:
        source = await session.push_source("phone")
        await session.restart_source("phone")
        assert await session.push_source("phone") is not source
        for _ in range(20):
            await asyncio.sleep(0)
        assert [source.name for source in session.sources()] == ["phone"]


async def test_a_clip_is_of_a_source_that_is_there_and_keeps_its_packets(tmp_path: Path) -> None:
    async with live(FakeDetector(BOXES)) as session:
        await start(session, FakeSource("door", frames=None, live=True, rate=100))
        with pytest.raises(KeyError):
            await session.clip("yard", 1, 1, tmp_path / "yard.mp4")
        with pytest.raises(SourceFormatError, match="keeps no packets"):
            await session.clip("door", 1, 1, tmp_path / "door.mp4")

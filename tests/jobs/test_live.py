from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from facestream.errors import ConfigError, SourceError
from facestream.io.picture_writer import WriteStatistics
from facestream.jobs.live import LiveSession, SourceInfo, SourceOptions
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline
from facestream.stream.stage import Stage
from facestream.stream.types import FrameFaces, SourceState
from facestream.testing.plugins import FakeDetector, FakeIdentity
from facestream.testing.sources import FakeSource, make_clip, make_picture
from facestream.tests.jobs.living import BOXES, Notebook, info, live, start, until


async def test_results_of_several_sources_reach_hub_and_sinks_in_order() -> None:
    notebook = Notebook()
    async with live(None, notebook) as session:
        for name in ("door", "yard"):
            await start(session, FakeSource(name, frames=None, live=True, rate=200))
        await until(session, lambda: all(source.processed >= 5 for source in session.sources()))
    for name in ("door", "yard"):
        seqs = [faces.frame.seq for faces in notebook.results if faces.frame.source == name]
        assert len(seqs) >= 5
        assert seqs == sorted(set(seqs))
    assert notebook.finalised == 1


async def test_captured_is_processed_plus_dropped_exactly_once_the_session_has_stopped() -> None:
    detector = FakeDetector(BOXES, delay=0.01)
    async with live(detector) as session:
        for name in ("a", "b"):
            await start(session, FakeSource(name, frames=None, live=True, rate=2000))
        await until(session, lambda: all(source.dropped > 20 for source in session.sources()))
    for source in session.sources():
        assert source.captured == source.processed + source.dropped
        assert source.state is SourceState.STOPPED


async def test_one_broken_camera_stops_and_says_why_while_the_other_goes_on() -> None:
    changes: list[tuple[str, SourceState]] = []
    async with live() as session:
        session.on_change(lambda source: changes.append((source.name, source.state)))
        await start(session, FakeSource("bad", frames=None, live=True, fail_at=3))
        await start(session, FakeSource("good", frames=None, live=True, rate=200))
        stopped = SourceState.STOPPED
        await until(session, lambda: info(session, "good").processed >= 10 and info(session, "bad").state is stopped)
        assert "lost" in info(session, "bad").reason
    assert ("bad", SourceState.STOPPED) in changes


async def test_a_removed_source_is_closed_and_forgotten_and_its_name_is_free_again() -> None:
    async with live() as session:
        first = FakeSource("door", frames=None, live=True, rate=100)
        await start(session, first)
        await until(session, lambda: info(session, "door").processed > 0)
        await session.remove_source("door")
        assert first.closed
        assert session.sources() == []
        await start(session, FakeSource("door", frames=None, live=True, rate=100))
        await until(session, lambda: info(session, "door").processed > 0)
        with pytest.raises(KeyError):
            await session.remove_source("window")


async def test_a_slow_sink_misses_results_and_delays_nobody() -> None:
    gate = asyncio.Event()
    slow, quick = Notebook(gate=gate), Notebook()
    async with live(None, slow, quick) as session:
        await start(session, FakeSource("door", frames=None, live=True, rate=500))
        await until(session, lambda: len(quick.results) >= 40)
        assert slow.results == []
        gate.set()
    statistics = session.statistics().sinks[0]
    assert statistics.dropped > 0
    assert statistics.written == len(slow.results)


class Unlucky(Notebook):
    """Can't write every other result."""

    def statistics(self) -> WriteStatistics:
        return WriteStatistics(failed=len(self.results) // 2)


async def test_what_a_sink_could_not_write_is_counted() -> None:
    async with live(None, Unlucky(), Notebook()) as session:
        await start(session, FakeSource("door", frames=None, live=True, rate=500))
        await until(session, lambda: session.statistics().sinks[0].failed >= 2)
        assert session.statistics().sinks[1].failed == 0


class Recording(Notebook):
    """A sink whose statistics are its own affair."""

    statistics = 3


async def test_a_sink_with_statistics_of_another_kind_has_lost_nothing_that_is_known_of() -> None:
    async with live(None, Recording()) as session:
        assert [sink.failed for sink in session.statistics().sinks] == [0]


async def test_a_models_error_is_the_sessions_and_sinks_are_finalised_all_the_same() -> None:
    notebook = Notebook()
    with pytest.raises(LookupError, match="broken model"):
        async with live(FakeDetector(BOXES, error=LookupError("broken model")), notebook) as session:
            await start(session, FakeSource("door", frames=None, live=True))
            await asyncio.Event().wait()
    assert notebook.finalised == 1


async def test_a_sinks_error_is_the_sessions() -> None:
    with pytest.raises(OSError, match="disk on fire"):
        async with live(None, Notebook(error=OSError("disk on fire"))) as session:
            await start(session, FakeSource("door", frames=None, live=True))
            await asyncio.Event().wait()


async def test_a_file_plays_at_its_own_pace_and_loops(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    make_clip(clip, frames=10, rate=50)
    async with live() as session:
        added = await session.add_source(str(clip), options=SourceOptions(loop=True))
        assert added.live
        await until(session, lambda: info(session, "clip").captured > 25)
        assert info(session, "clip").epoch == 0


async def test_a_lossless_file_loses_nothing_however_slow_the_model(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    make_clip(clip, frames=20, rate=200)
    notebook = Notebook()
    async with live(FakeDetector(BOXES, delay=0.02), notebook, options=SourceOptions(lossless=True)) as session:
        await session.add_source(str(clip))
        await until(session, lambda: info(session, "clip").processed == 20)
    assert info(session, "clip").dropped == 0


async def test_a_missing_file_is_refused_at_once_and_not_kept(tmp_path: Path) -> None:
    async with live() as session:
        with pytest.raises(SourceError, match=r"missing\.mp4"):
            await session.add_source(str(tmp_path / "missing.mp4"))
        assert session.sources() == []


async def test_an_unreachable_camera_is_degraded_and_its_password_is_nowhere(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with live() as session:
        degraded = asyncio.Event()

        def changed(source: SourceInfo) -> None:
            if source.state is SourceState.DEGRADED:
                degraded.set()

        session.on_change(changed)
        added = await session.add_source("door=rtsp://user:hush@127.0.0.1:9/x")
        async with asyncio.timeout(60):
            await degraded.wait()
        assert "hush" not in f"{added} {session.sources()} {caplog.text}"


async def test_a_name_can_be_taken_once() -> None:
    async with live() as session:
        await start(session, FakeSource("door", frames=None, live=True, rate=10))
        with pytest.raises(ConfigError, match="already"):
            await session.add_source("door=rtsp://camera/")
        with pytest.raises(ConfigError, match="not one to push to"):
            await session.push_source("door")


async def test_pictures_that_are_pushed_come_out_like_any_others() -> None:
    async with live() as session:
        source = await session.push_source("phone")
        assert await session.push_source("phone") is source
        source.connect()
        async with session.hub.subscribe() as results:
            await source.feed(make_picture(0))
            faces = await anext(results)
        assert (faces.frame.source, len(faces)) == ("phone", 1)
        source.disconnect()


async def test_a_source_that_a_pusher_brought_along_goes_when_it_does_not_come_back() -> None:
    async with live(push_grace=0.05) as session:
        source = await session.push_source("phone")
        source.connect()
        await source.feed(make_picture(0))
        assert [source.name for source in session.sources()] == ["phone"]
        gone = asyncio.Event()
        session.on_change(lambda source: gone.set() if source.state is SourceState.STOPPED else None)
        source.disconnect()
        async with asyncio.timeout(60):
            await gone.wait()
            while session.sources():  # noqa: ASYNC110 - a moment later
                await asyncio.sleep(0.01)


async def test_a_source_may_be_removed_in_the_moment_in_which_it_would_go_by_itself() -> None:
    async with live(push_grace=0.0) as session:
        await session.push_source("phone")
        await asyncio.sleep(0)  # its time of grace begins …
        await asyncio.sleep(0)  # … and is over
        await session.remove_source("phone")
        assert session.sources() == []


async def test_whoever_pushes_to_a_source_that_is_just_going_gets_a_new_one() -> None:
    async with live() as session:
        going = await session.push_source("phone")
        removing = asyncio.create_task(session.remove_source("phone"))
        await asyncio.sleep(0)
        source = await session.push_source("phone")
        assert source is not going
        source.connect()
        await source.feed(make_picture(0))
        await removing


@pytest.mark.parametrize("name", ["a ", " a", "a\n", "a\u2028", "../a", "a=webcam:0", ""])
async def test_what_is_no_name_is_pushed_to_nowhere(name: str) -> None:
    async with live() as session:
        with pytest.raises(ConfigError, match="can't name a source"):
            await session.push_source(name)
        assert session.sources() == []


async def test_a_push_source_that_was_asked_for_stays() -> None:
    async with live(push_grace=0.0) as session:
        await session.add_source("push:phone")
        source = await session.push_source("phone")
        source.connect()
        source.disconnect()
        await asyncio.sleep(0)
        assert [source.name for source in session.sources()] == ["phone"]


async def test_closing_twice_is_closing_once() -> None:
    async with live() as session:
        await start(session, FakeSource("door", frames=None, live=True, rate=100))
        await session.aclose()
        await session.aclose()


class EveryThird:
    """Lets two results of three be seen by nobody, and turns the others black."""

    async def apply(self, faces: FrameFaces) -> FrameFaces | None:
        frame = faces.frame
        return replace(faces, frame=replace(frame, image=0 * frame.image)) if frame.seq % 3 == 2 else None

    def forget(self, source: str) -> None:
        self.forgotten = source


async def test_what_is_private_reaches_neither_hub_nor_sinks_and_counts_as_dropped_there() -> None:
    notebook = Notebook()
    async with live(None, notebook, privacy=(privacy := EveryThird())) as session:
        await start(session, FakeSource("door", frames=None, live=False, rate=200))
        await until(session, lambda: len(notebook.results) >= 3)
        assert all(flow.published + flow.dropped == 3 * flow.published for flow in session.hub.statistics().values())
        assert session.statistics().withheld >= 6
        await session.remove_source("door")
    assert privacy.forgotten == "door"
    assert [faces.frame.seq for faces in notebook.results[:3]] == [2, 5, 8]
    assert [faces.dropped for faces in notebook.results[:3]] == [2, 2, 2]
    assert not any(faces.frame.image.any() for faces in notebook.results)


@pytest.mark.parametrize("biometrics", [True, False])
async def test_without_biometrics_no_embedding_reaches_hub_or_sinks(biometrics: bool) -> None:
    notebook = Notebook()
    async with Bridge(torch_threads=1) as bridge:
        stages = [Stage.detect(FakeDetector(BOXES), bridge), Stage.faces(FakeIdentity(), bridge)]
        pipeline = Pipeline(stages, bridge)
        async with LiveSession(pipeline, bridge, sinks=[notebook], biometrics=biometrics) as session:
            await start(session, FakeSource("door", frames=None, live=True, rate=200))
            async with session.hub.subscribe() as results:
                assert bool((await anext(results)).identities) is biometrics
            await until(session, lambda: len(notebook.results) >= 3)
    assert {bool(faces.identities) for faces in notebook.results} == {biometrics}

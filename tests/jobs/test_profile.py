from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from itertools import count

import numpy as np
import pytest

from facestream.jobs.profile import (
    DeviceMemory,
    PlacedFaces,
    ProfiledChain,
    RateWindow,
    cloudy_pictures,
    placed_boxes,
    profile,
)
from facestream.jobs.profile_table import bar, bottleneck_table, trial_line, trials_table
from facestream.stream.device import Bridge
from facestream.stream.profiling import BatchSizeSearch, Failure, StageLoad, Trial
from facestream.testing.plugins import FakeAligner, FakeDetector


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with Bridge(torch_threads=1) as bridge:
        yield bridge


def chain_of(bridge: Bridge, detector: FakeDetector, aligner: FakeAligner, largest: int = 256) -> ProfiledChain:
    return ProfiledChain(detector, [aligner], bridge, largest=largest, pictures=cloudy_pictures((64, 48)))


def search_of(chain: ProfiledChain, limit: int | None = None) -> BatchSizeSearch:
    return BatchSizeSearch(chain.loads(), limit)


def ticking(step: float = 0.05) -> Callable[[], float]:
    """A clock that goes on by ``step`` seconds whenever it is read."""
    ticks = count()
    return lambda: next(ticks) * step


class FakeMemory(DeviceMemory):
    """Holds as many bytes as the largest batch that the aligner has seen since the reset."""

    def __init__(self, aligner: FakeAligner) -> None:
        super().__init__("fake")
        self.aligner = aligner
        self.seen = 0

    def total(self) -> int:
        return 10

    def reset(self) -> None:
        self.seen = len(self.aligner.batches)

    def peak(self) -> int:
        return max(self.aligner.batches[self.seen :], default=0)


async def test_a_chain_is_tested_until_the_search_is_over(bridge: Bridge) -> None:
    chain = chain_of(bridge, FakeDetector(), FakeAligner())
    search, told = search_of(chain), []
    assert await profile(chain, search, 30.0, tested=told.append, clock=ticking())
    assert search.proposal() is None
    assert told == search.trials
    assert told[0].sizes == (1, 1)
    assert all(trial.samples[1] == 2 * trial.samples[0] > 0 for trial in told)
    assert all(speed > 0 for trial in told for speed in trial.speeds)


async def test_every_frame_has_the_chosen_faces_whatever_the_detector_finds(bridge: Bridge) -> None:
    detector, aligner = FakeDetector([(1, 1, 9, 9)] * 9), FakeAligner()
    chain = ProfiledChain(detector, [aligner], bridge, per_frame=5, largest=1, pictures=cloudy_pictures((64, 48)))
    await profile(chain, search_of(chain), 30.0, clock=ticking())
    # Every batch is of one sample here: the aligner has five for each of the detector's, but for those in flight.
    assert len(aligner.batches) == pytest.approx(5 * len(detector.batches), abs=5 * 8)


@pytest.mark.parametrize("points", [True, False])
def test_placed_faces_have_points_if_the_detectors_own_have(points: bool) -> None:
    placed = PlacedFaces(FakeDetector([(1, 1, 9, 9)], points=points), 3, (64, 48))
    images = cloudy_pictures((64, 48), 1)
    (found,) = placed.post_process(placed.infer(placed.pre_process(images)), None)
    if not points:
        assert found.points is None
        return
    assert found.points is not None
    middles = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    np.testing.assert_allclose(found.points.mean(axis=1), middles, atol=4)
    assert (found.points[:, 0, 0] < found.points[:, 1, 0]).all()


async def test_each_stage_sees_its_whole_batch(bridge: Bridge) -> None:
    detector, aligner = FakeDetector(), FakeAligner()
    chain = chain_of(bridge, detector, aligner)
    search = search_of(chain)
    await profile(chain, search, 30.0, clock=ticking())
    assert max(detector.batches) == max(trial.sizes[0] for trial in search.trials)
    assert max(aligner.batches) == max(trial.sizes[1] for trial in search.trials)


async def test_a_batch_that_does_not_fit_is_a_failed_test(bridge: Bridge) -> None:
    chain = chain_of(bridge, FakeDetector(fits=1), FakeAligner(fits=1))
    search = search_of(chain)
    await profile(chain, search, 30.0, clock=ticking())
    assert {trial.sizes: trial.failure for trial in search.trials} == {
        (1, 1): None,
        (2, 1): Failure.MEMORY,
        (1, 2): Failure.MEMORY,
    }


async def test_a_chain_that_does_not_fit_at_all_ends_with_its_first_test(bridge: Bridge) -> None:
    chain = chain_of(bridge, FakeDetector(), FakeAligner(fits=0))
    search = search_of(chain)
    assert await profile(chain, search, 30.0, clock=ticking())
    assert [trial.failure for trial in search.trials] == [Failure.MEMORY]
    assert search.best() is None


async def test_the_memory_limit_is_kept(bridge: Bridge) -> None:
    aligner = FakeAligner()
    chain = ProfiledChain(FakeDetector(delay=0.0), [aligner], bridge, pictures=cloudy_pictures((64, 48)))
    search = search_of(chain, limit=1)
    await profile(chain, search, 30.0, memory=FakeMemory(aligner), clock=ticking())
    assert all(trial.failure is Failure.MEMORY for trial in search.trials if trial.sizes[1] > 1)
    assert any(trial.sizes[1] > 1 for trial in search.trials)


async def test_the_budget_ends_a_search(bridge: Bridge) -> None:
    chain = chain_of(bridge, FakeDetector(), FakeAligner())
    search = search_of(chain)
    assert not await profile(chain, search, 15.0, clock=ticking(5.0))
    assert len(search.trials) == 1
    assert search.proposal() is not None


async def test_a_test_that_hangs_is_timed_out(bridge: Bridge) -> None:
    detector = FakeDetector()
    chain = chain_of(bridge, detector, FakeAligner())
    search = search_of(chain)
    detector.hold()
    timer = threading.Timer(0.3, detector.release)  # a model that never returns can't be stopped, only waited for
    timer.start()
    assert await profile(chain, search, 0.1)
    timer.join()
    assert [trial.failure for trial in search.trials] == [Failure.TIMED_OUT]


async def test_a_models_own_error_is_not_a_result(bridge: Bridge) -> None:
    chain = chain_of(bridge, FakeDetector(), FakeAligner(error=ZeroDivisionError("broken")))
    with pytest.raises(ZeroDivisionError, match="broken"):
        await profile(chain, search_of(chain), 30.0, clock=ticking())


async def test_cancelling_keeps_the_tests_that_ended(bridge: Bridge) -> None:
    detector = FakeDetector()
    chain = chain_of(bridge, detector, FakeAligner())
    search, ended = search_of(chain), asyncio.Event()

    def tested(trial: Trial) -> None:
        detector.hold()
        ended.set()

    job = asyncio.create_task(profile(chain, search, 30.0, tested=tested, clock=ticking()))
    await ended.wait()
    job.cancel()
    detector.release()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert len(search.trials) == 1
    assert search.best() is not None


def test_a_window_holds_whole_bursts() -> None:
    window = RateWindow(opens=10, closes=20)
    for burst in (8, 11, 14, 17, 20, 23):
        for _ in range(4):
            if window.ended is None:
                window.frame_out(burst)
    assert (window.began, window.ended) == (11, 20)
    assert window.rate == pytest.approx(4 / 3)


def test_a_window_that_never_closed_has_no_rate() -> None:
    window = RateWindow(opens=1, closes=2)
    window.frame_out(1.5)
    assert window.rate == 0


@pytest.mark.parametrize("size", [(1920, 1080), (64, 48), (16, 400)])
@pytest.mark.parametrize("faces", [1, 2, 50])
def test_placed_faces_lie_inside_the_frame_side_by_side(size: tuple[int, int], faces: int) -> None:
    boxes = placed_boxes(faces, size)
    assert boxes.shape == (faces, 4)
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert (boxes >= 0).all()
    assert (boxes[:, 2:] <= np.array(size)).all()
    assert (boxes[1:, 0] >= boxes[:-1, 2]).all()


def table_of(*trials: Trial) -> BatchSizeSearch:
    search = BatchSizeSearch([StageLoad("yunet"), StageLoad("mesh", per_frame=2)])
    search.trials.extend(trials)
    return search


def test_the_table_has_a_bar_a_row_and_names_the_best() -> None:
    search = table_of(
        Trial((1, 1), (20.0, 40.0), memory=3 << 20),
        Trial((1, 2), (40.0, 80.0)),
        Trial((1, 4), failure=Failure.MEMORY),
    )
    head, slow, fast, failed = trials_table(search).splitlines()
    assert head.split() == ["yunet", "mesh", "memory", "frames/s"]
    assert slow.split()[:5] == ["1", "1", "3", "MiB", "20.0"]
    assert fast.count(bar(1.0)) == 1
    assert fast.endswith("best")
    assert slow.endswith(bar(0.5))
    assert failed.endswith("out of memory")


def test_the_bottleneck_is_named() -> None:
    trial = Trial((1, 1), (20.0, 40.0), speeds=(100.0, 50.0))
    yunet, mesh = bottleneck_table(table_of(trial), trial).splitlines()
    assert "10.0 ms a frame" in yunet
    assert "40.0 ms a frame" in mesh
    assert mesh.endswith("the bottleneck")


def test_a_line_a_test() -> None:
    search = table_of()
    assert trial_line(search, Trial((1, 2), (20.0, 30.0))) == "  yunet 1  mesh 2: 15.0 frames/s"
    assert trial_line(search, Trial((1, 2), failure=Failure.TIMED_OUT)) == "  yunet 1  mesh 2: took too long"


@pytest.mark.parametrize(("share", "text"), [(0, ""), (0.5, "██"), (0.53125, "██▏"), (1, "████"), (7, "████")])
def test_bars_are_drawn_in_eighths(share: float, text: str) -> None:
    assert bar(share, 4) == text


def test_bars_without_block_characters() -> None:
    assert bar(0.5, 4, blocks=False) == "##"

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facestream.stream.profiling import GAIN, MOST_CONTENDERS, SMALL_STEP, BatchSizeSearch, Failure, StageLoad, Trial

ONE = [StageLoad("detect", largest=64)]
TWO = [StageLoad("detect", largest=64), StageLoad("align", per_frame=2, largest=64)]


@dataclass(frozen=True)
class Machine:
    """One device that the stages share. A batch takes ``fixed + each * size`` seconds and ``room * size`` bytes."""

    fixed: Sequence[float]
    each: Sequence[float]
    room: Sequence[int]
    memory: int | None = None
    slowest_test: float = math.inf

    def run(self, stages: Sequence[StageLoad], sizes: tuple[int, ...]) -> Trial:
        used = sum(room * size for room, size in zip(self.room, sizes))
        if self.memory is not None and used > self.memory:
            return Trial(sizes, memory=used, failure=Failure.MEMORY)
        seconds = [fixed + each * size for fixed, each, size in zip(self.fixed, self.each, sizes)]
        if sum(seconds) > self.slowest_test:
            return Trial(sizes, failure=Failure.TIMED_OUT)
        speeds = tuple(size / batch for size, batch in zip(sizes, seconds))
        frames = 1 / sum(stage.per_frame / speed for stage, speed in zip(stages, speeds))
        return Trial(sizes, tuple(frames * stage.per_frame for stage in stages), speeds, memory=used)


def searched(stages: Sequence[StageLoad], run: Callable[[tuple[int, ...]], Trial], repeats: int = 1) -> BatchSizeSearch:
    search = BatchSizeSearch(stages, repeats=repeats)
    while (sizes := search.proposal()) is not None:
        search.add(run(sizes))
    return search


def on(machine: Machine, stages: Sequence[StageLoad], repeats: int = 1) -> BatchSizeSearch:
    return searched(stages, lambda sizes: machine.run(stages, sizes), repeats)


def sizes_tried(search: BatchSizeSearch) -> list[tuple[int, ...]]:
    return [trial.sizes for trial in search.trials]


def best_sizes(search: BatchSizeSearch) -> tuple[int, ...]:
    best = search.best()
    assert best is not None
    return best.sizes


def test_where_larger_batches_gain_nothing_one_is_best_and_two_more_tests_say_so() -> None:
    search = on(Machine(fixed=[0], each=[0.03], room=[1]), ONE)
    assert best_sizes(search) == (1,)
    assert sizes_tried(search) == [(1,), (2,), (4,)]


def test_where_larger_batches_are_slower_one_is_best() -> None:
    search = searched(ONE, lambda sizes: Trial(sizes, (30 / sizes[0],)))
    assert best_sizes(search) == (1,)


def test_batches_double_while_it_pays() -> None:
    search = on(Machine(fixed=[1.0], each=[0.001], room=[1]), ONE)
    assert sizes_tried(search) == [(1,), (2,), (4,), (8,), (16,), (32,), (64,)]
    assert best_sizes(search) == (64,)


def test_the_bottleneck_grows() -> None:
    search = on(Machine(fixed=[0.001, 1.0], each=[0.02, 0.01], room=[1, 1]), TWO)
    assert sizes_tried(search)[:4] == [(1, 1), (1, 2), (1, 4), (1, 8)]


def test_a_stage_that_sees_two_faces_a_frame_counts_half() -> None:
    search = BatchSizeSearch(TWO)
    trial = Trial((1, 1), samples=(30, 50))
    assert search.bottleneck(trial) == 1
    assert search.frames_per_second(trial) == 25


def test_after_running_out_of_memory_the_step_is_halved_until_it_is_small() -> None:
    search = on(Machine(fixed=[1.0], each=[0.0], room=[10], memory=450), ONE)
    assert sizes_tried(search) == [(1,), (2,), (4,), (8,), (16,), (32,), (64,), (48,), (40,), (44,)]
    assert best_sizes(search) == (44,)


def test_more_memory_than_the_limit_is_a_failure() -> None:
    search = BatchSizeSearch(ONE, memory_limit=1000)
    search.add(Trial((1,), (10,), memory=1001))
    assert search.trials[0].failure is Failure.MEMORY
    assert search.best() is None
    assert search.proposal() is None


def test_nothing_is_best_where_not_even_one_fits() -> None:
    search = on(Machine(fixed=[1.0], each=[1.0], room=[10], memory=5), ONE)
    assert search.best() is None
    assert sizes_tried(search) == [(1,)]


def test_a_test_that_takes_too_long_is_a_failure_like_any_other() -> None:
    search = on(Machine(fixed=[1.0], each=[0.1], room=[1], slowest_test=2.5), ONE)
    assert [trial.failure for trial in search.trials if trial.sizes[0] > 15] == [Failure.TIMED_OUT]
    assert best_sizes(search) == (12,)


def test_one_bad_measurement_does_not_end_the_growth() -> None:
    rates = {1: 10, 2: 9, 4: 30, 8: 35, 16: 34, 32: 33}
    search = searched(ONE, lambda sizes: Trial(sizes, (rates[sizes[0]],)))
    assert best_sizes(search) == (8,)


def test_of_equally_fast_sizes_the_smallest_is_best() -> None:
    rates = {1: 10, 2: 20, 4: 20 * (1 + GAIN / 2), 8: 20}
    search = searched(ONE, lambda sizes: Trial(sizes, (rates[sizes[0]],)))
    assert best_sizes(search) == (2,)


def test_the_fastest_and_the_smallest_close_to_it_are_tested_again_in_turn() -> None:
    rates = {1: 10.0, 2: 19.0, 4: 20.0, 8: 20.5, 16: 20.5}
    search = searched(ONE, lambda sizes: Trial(sizes, (rates[sizes[0]],)), repeats=3)
    assert sizes_tried(search)[5:] == [(8,), (2,), (4,)] * 2


def test_a_lucky_first_test_does_not_win() -> None:
    lucky = {2: iter([21.0, 17.0, 17.0])}
    search = searched(ONE, lambda sizes: Trial(sizes, (next(lucky.get(sizes[0], iter([20.0]))),)), repeats=3)
    assert best_sizes(search) == (1,)


def test_repeated_tests_are_one_result_with_their_mean() -> None:
    lucky = iter([10.0, 12.0])
    search = searched([StageLoad("fixed", largest=1)], lambda sizes: Trial(sizes, (next(lucky),), memory=7), repeats=2)
    assert search.results() == [Trial((1,), (11.0,), (), memory=7)]


def test_sizes_that_fail_when_tested_again_are_not_best() -> None:
    tests = iter([10.0, 12.0, 12.0, 12.0])
    search = BatchSizeSearch(ONE, repeats=2)
    while (sizes := search.proposal()) is not None:
        repeated = any(trial.sizes == sizes for trial in search.trials)
        failed = repeated and sizes == (2,)
        search.add(Trial(sizes, failure=Failure.MEMORY) if failed else Trial(sizes, (next(tests, 10.0),)))
    assert best_sizes(search) != (2,)


def test_a_stage_whose_largest_batch_is_one_never_grows() -> None:
    search = on(Machine(fixed=[1.0, 0.1], each=[0.0, 0.0], room=[1, 1]), [StageLoad("fixed", largest=1), TWO[1]])
    assert {sizes[0] for sizes in sizes_tried(search)} == {1}
    assert best_sizes(search)[1] > 1


def test_asking_again_changes_nothing() -> None:
    search = BatchSizeSearch(ONE)
    assert search.proposal() == search.proposal() == (1,)


def test_only_the_test_that_was_proposed_is_taken() -> None:
    search = BatchSizeSearch(ONE)
    with pytest.raises(ValueError, match="proposed"):
        search.add(Trial((2,), (1.0,)))


def test_a_chain_needs_a_stage() -> None:
    with pytest.raises(ValueError, match="no stage"):
        BatchSizeSearch([])


seconds = st.floats(0, 1)
chains = st.lists(
    st.tuples(st.floats(0.25, 10), st.integers(1, 300), seconds, st.floats(1e-4, 1), st.integers(0, 100)),
    min_size=1,
    max_size=4,
)


@settings(deadline=None)
@given(chains, st.none() | st.integers(0, 5000), st.floats(0.001, 50), st.integers(1, 4))
def test_on_any_machine_it_ends_soon_within_the_limits_and_no_slower_than_at_one(
    chain: list[tuple[float, int, float, float, int]], memory: int | None, slowest_test: float, repeats: int
) -> None:
    stages = [StageLoad(f"stage {i}", per_frame, largest) for i, (per_frame, largest, *_) in enumerate(chain)]
    machine = Machine(*([row[i] for row in chain] for i in (2, 3, 4)), memory, slowest_test)  # type: ignore[arg-type]
    search = on(machine, stages, repeats)
    tried = sizes_tried(search)
    assert len(tried) - len(set(tried)) <= MOST_CONTENDERS * (repeats - 1)
    assert len(set(tried)) <= 1 + sum(2 * math.log2(stage.largest) + 2 for stage in stages)
    assert all(1 <= size <= stage.largest for sizes in tried for size, stage in zip(sizes, stages))
    if (best := search.best()) is None:
        assert search.trials[0].failure is not None
        return
    assert best.failure is None
    assert search.frames_per_second(best) * (1 + GAIN) >= search.frames_per_second(search.trials[0])


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.floats(0.01, 1000), st.just(Failure.MEMORY), st.just(Failure.TIMED_OUT)), min_size=60),
    st.lists(st.integers(1, 256), min_size=1, max_size=3),
)
def test_whatever_the_tests_say_it_ends(outcomes: list[float | Failure], largest: list[int]) -> None:
    stages = [StageLoad(f"stage {i}", 1.0, most) for i, most in enumerate(largest)]
    results = iter(outcomes)

    def run(sizes: tuple[int, ...]) -> Trial:
        outcome = next(results)
        if isinstance(outcome, Failure):
            return Trial(sizes, failure=outcome)
        return Trial(sizes, tuple(outcome + i for i in range(len(sizes))))

    search = searched(stages, run)
    good = [search.frames_per_second(trial) for trial in search.trials]
    best = search.best()
    assert (search.frames_per_second(best) if best else 0) * (1 + GAIN) >= max(good)


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(1e-4, 1), st.integers(1, 100), st.integers(1, 20_000))
def test_one_stage_comes_close_to_the_best_that_fits(fixed: float, each: float, room: int, memory: int) -> None:
    machine = Machine([fixed], [each], [room], memory)
    search = on(machine, ONE)
    largest = min(memory // room, 64)
    if largest < 1:
        assert search.best() is None
        return
    nearly = max(largest - SMALL_STEP, 1) if largest < 64 else 64
    reachable = machine.run(ONE, (nearly,)).samples[0]
    best = search.best()
    assert best is not None
    assert best.samples[0] >= 0.9 * reachable


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(1e-3, 1), st.floats(0.5, 5)), min_size=1, max_size=4))
def test_a_chain_that_gains_nothing_from_batches_keeps_one(chain: list[tuple[float, float]]) -> None:
    stages = [StageLoad(f"stage {i}", per_frame) for i, (_, per_frame) in enumerate(chain)]
    machine = Machine([0] * len(chain), [each for each, _ in chain], [1] * len(chain))
    assert best_sizes(on(machine, stages)) == (1,) * len(chain)

"""Which batch sizes make a chain of models fastest. Pure: fed with the results of tests, never with a clock or a model.

::

    search = BatchSizeSearch([StageLoad("yunet"), StageLoad("mesh", per_frame=2)])
    while (sizes := search.proposal()) is not None:
        search.add(run_a_test(sizes))
    search.best()

The stage that holds the others back doubles its batch; after a failure the step between the largest batch that worked
and the smallest that failed is halved, until it is small (spec §11.3). Unlike there, a stage also stops when two
doublings in a row have gained nothing, every stage has a largest batch, and a test that took too long is a failure like
any other (spec D18): the search always ends. Before it does, the sizes that may be best can be tested again, in turn:
a machine with other things to do is rarely as fast twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from statistics import fmean

SMALL_STEP = 4
"""Samples between a batch that works and one that fails below which looking closer isn't worth a test (spec §11.3)."""

GAIN = 0.03
"""A larger batch must be faster by this share to count as faster: less is noise, and it costs memory and latency."""

PATIENCE = 2
"""Larger batches in a row that gain nothing before a stage is left alone. A first one may lose to noise."""

CLOSE = 0.1
"""Sizes whose one test came within this share of the fastest may be the best in truth."""

MOST_CONTENDERS = 3


class Failure(Enum):
    """Why a test has no rates."""

    MEMORY = "out of memory"  # the device refused, or more than the limit was in use
    TIMED_OUT = "took too long"  # the test didn't end in its time


@dataclass(frozen=True, slots=True)
class StageLoad:
    """A stage in the chain.

    Attributes:
        name: the model's.
        per_frame: its samples for each frame: 1 for detectors, faces in a frame for all others.
        largest: its largest batch.
    """

    name: str
    per_frame: float = 1.0
    largest: int = 256


@dataclass(frozen=True, slots=True)
class Trial:
    """One test's result.

    Attributes:
        sizes: the batch size of each stage.
        samples: samples a second that came out of each stage while all were running; empty after a failure.
        speeds: samples for each second that a stage was at work: what it could do if it never had to wait. Empty to
            take ``samples`` for it.
        memory: bytes of device memory in use at most, None when unknown.
        failure: why there are no rates, None after success.
    """

    sizes: tuple[int, ...]
    samples: tuple[float, ...] = ()
    speeds: tuple[float, ...] = ()
    memory: int | None = None
    failure: Failure | None = None


@dataclass(slots=True)
class _Growth:
    """How far one stage has got.

    Attributes:
        size: the largest batch that worked, or the best once closed.
        refused: the smallest batch that failed.
        vain: larger batches in a row that gained nothing.
        closed: it has no larger batch to try.
    """

    size: int = 1
    refused: int | None = None
    vain: int = 0
    closed: bool = False

    def next_size(self, largest: int) -> int:
        """Twice as many, or half-way to what failed."""
        doubled = min(self.size * 2, largest)
        return doubled if self.refused is None else min(doubled, (self.size + self.refused) // 2)


@dataclass(slots=True)
class BatchSizeSearch:
    """Proposes batch sizes for a chain of stages, and learns from each test of them.

    All batch sizes start at 1, and one stage grows at a time. Tests of one stage are taken to be comparable: what
    failed once isn't tried again.

    Args:
        stages: the chain, first to last.
        memory_limit: bytes of device memory above which a test counts as failed; None for no limit.
        repeats: tests of each of the sizes that may be best.

    Attributes:
        trials: every test so far.
    """

    stages: Sequence[StageLoad]
    memory_limit: int | None = None
    repeats: int = 1
    trials: list[Trial] = field(default_factory=list)
    _growth: list[_Growth] = field(init=False)
    _last: Trial | None = field(default=None, init=False)  # the last that succeeded
    _growing: int | None = field(default=None, init=False)  # the stage that the present proposal changes
    _contenders: list[tuple[int, ...]] | None = field(default=None, init=False)  # once nothing can grow

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError("there is no stage whose batch size could be looked for")
        self._growth = [_Growth(closed=stage.largest <= 1) for stage in self.stages]

    def proposal(self) -> tuple[int, ...] | None:
        """The batch sizes to test next, one a stage; None when the search is over. Asking again changes nothing."""
        sizes = [growth.size for growth in self._growth]
        if not self.trials:
            return tuple(sizes)
        self._growing = stage = self._slowest_open()
        if stage is None:
            return self._to_repeat()
        sizes[stage] = self._growth[stage].next_size(self.stages[stage].largest)
        return tuple(sizes)

    def add(self, trial: Trial) -> None:
        """Learn from the test of the sizes proposed last.

        Raises:
            ValueError: the search is over, or the sizes are others.
        """
        if trial.sizes != self.proposal():
            raise ValueError(f"{trial.sizes} were tested, {self.proposal()} proposed")
        best = self.best()
        trial = self._judged(trial)
        self.trials.append(trial)
        if self._growing is not None:
            self._learn(self._growing, trial, best)
        if trial.failure is None:
            self._last = trial

    def best(self) -> Trial | None:
        """The sizes with the most frames a second; of those as fast but for noise, the smallest.

        None when no test has succeeded.
        """
        good = self._good()
        most = max((self.frames_per_second(trial) for trial in good), default=0.0)
        fast = (trial for trial in good if self.frames_per_second(trial) * (1 + GAIN) >= most)
        return min(fast, key=lambda trial: (sum(trial.sizes), -self.frames_per_second(trial)), default=None)

    def results(self) -> list[Trial]:
        """One for all tests of the same sizes, with their mean rates, in the order of the first ones."""
        tests: dict[tuple[int, ...], list[Trial]] = {}
        for trial in self.trials:
            tests.setdefault(trial.sizes, []).append(trial)
        return [_together(same) for same in tests.values()]

    def frames_per_second(self, trial: Trial) -> float:
        """Frames that the whole chain manages: as many as the stage that manages least; 0 after a failure."""
        return min(self._per_frame(trial.samples), default=0.0)

    def bottleneck(self, trial: Trial) -> int:
        """The stage that could do the fewest frames a second, were it alone."""
        speeds = self._per_frame(trial.speeds or trial.samples)
        return speeds.index(min(speeds))

    def _per_frame(self, samples: Sequence[float]) -> list[float]:
        return [rate / stage.per_frame for rate, stage in zip(samples, self.stages)]

    def _judged(self, trial: Trial) -> Trial:
        if trial.failure is None and self.memory_limit is not None and (trial.memory or 0) > self.memory_limit:
            return Trial(trial.sizes, memory=trial.memory, failure=Failure.MEMORY)
        return trial

    def _good(self) -> list[Trial]:
        return [trial for trial in self.results() if trial.failure is None]

    def _to_repeat(self) -> tuple[int, ...] | None:
        """The contender with the fewest tests so far: in turn, so that a busy minute hits all alike."""
        if self._contenders is None:
            self._contenders = self._closest()
        counts = {sizes: sum(trial.sizes == sizes for trial in self.trials) for sizes in self._contenders}
        open_sizes = [sizes for sizes, tests in counts.items() if tests < self.repeats]
        return min(open_sizes, key=counts.__getitem__, default=None)

    def _closest(self) -> list[tuple[int, ...]]:
        """The fastest, and of those close to it the smallest."""
        good = sorted(self._good(), key=self.frames_per_second, reverse=True)
        close = [t for t in good if self.frames_per_second(t) * (1 + CLOSE) >= self.frames_per_second(good[0])]
        smallest = sorted(close[1:], key=lambda trial: sum(trial.sizes))
        return [trial.sizes for trial in (*close[:1], *smallest[: MOST_CONTENDERS - 1])]

    def _slowest_open(self) -> int | None:
        """The bottleneck, or, when that can't grow, the next slowest: with less to do it leaves it more of the device.

        None when no stage can grow.
        """
        if self._last is None:
            return None
        speeds = self._per_frame(self._last.speeds or self._last.samples)
        return min(
            (i for i, growth in enumerate(self._growth) if not growth.closed), key=speeds.__getitem__, default=None
        )

    def _learn(self, stage: int, trial: Trial, best: Trial | None) -> None:
        growth, largest, tried = self._growth[stage], self.stages[stage].largest, trial.sizes[stage]
        if trial.failure is not None:
            growth.refused = tried
        else:
            growth.size = tried
            gained = best is None or self.frames_per_second(trial) > self.frames_per_second(best) * (1 + GAIN)
            growth.vain = 0 if gained else growth.vain + 1
        step_is_small = growth.refused is not None and growth.refused - growth.size <= SMALL_STEP
        if growth.vain >= PATIENCE:
            growth.closed = True
            growth.size = best.sizes[stage] if best is not None else 1
        elif step_is_small or growth.size >= largest:
            growth.closed = True


def _together(same: list[Trial]) -> Trial:
    """Tests of the same sizes as one; failed if one of them has."""
    memory = max((trial.memory for trial in same if trial.memory is not None), default=None)
    failed = next((trial.failure for trial in same if trial.failure is not None), None)
    if failed is not None:
        return Trial(same[0].sizes, memory=memory, failure=failed)
    samples = tuple(fmean(rates) for rates in zip(*(trial.samples for trial in same)))
    speeds = tuple(fmean(rates) for rates in zip(*(trial.speeds for trial in same)))
    return Trial(same[0].sizes, samples, speeds, memory)

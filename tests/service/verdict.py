"""Whether a server came through: figures and findings from what was seen. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from tests.service.observer import Sample
from tests.service.schedule import OF_CAMERAS, OF_THE_SERVER, Fault, Kind, Span, calm, troubled, without

SHORTEST = 2.0
"""Seconds: a shorter span says nothing about a rate."""

WINDOW = 10.0
"""Seconds in which what comes and goes has gone once."""


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        measured: in words, whether it is good or bad.
    """

    check: str
    good: bool
    measured: str


@dataclass(frozen=True, slots=True)
class Record:
    """Everything known of a run. Times are seconds since it began.

    Attributes:
        rates: camera → frames a second that it sends.
        faults: as they really were.
        closed: why a healthy subscriber's connections ended.
        exit_codes: of the server, each time it was told to stop.
        log: the server's.
        damaged: what is wrong with its files, a line each.
        disk_fills: whether the disk that it saves to could be filled.
    """

    length: float
    rates: Mapping[str, float]
    faults: Sequence[Fault]
    samples: Sequence[Sample]
    closed: Sequence[str] = ()
    exit_codes: Sequence[int] = ()
    seconds_to_stop: Sequence[float] = ()
    log: str = ""
    damaged: Sequence[str] = ()
    disk_fills: bool = True


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked for.

    Attributes:
        back_within: seconds after which a camera is live again once it's mended: the longest wait between two tries,
            a try that was under way, and the first key frame.
        settle: seconds after a fault in which its consequences aren't other faults'.
        more_lost: how much more of its frames (a share) a camera may lose while others fail than when none do.
        more_memory: how much more memory (a share) may be in use at the end than five minutes after the start.
        more_threads, more_descriptors: how many more there may be in the last calm than in the first.
        told_within: frames by which a healthy subscriber may be behind what the server has counted, and may differ.
        stop_within: seconds to stop in.
        settled_after: seconds of a life after which memory and the rest are compared.
        short: it's a short run, or a machine that lacks something: what couldn't be measured isn't held against it.
    """

    back_within: float = 18.0
    settle: float = 18.0
    more_lost: float = 0.05
    more_memory: float = 0.05
    more_threads: int = 1
    more_descriptors: int = 2
    told_within: int = 10
    stop_within: float = 15.0
    settled_after: float = 300.0
    short: bool = False


class Counted(NamedTuple):
    """Frames of a camera in some spans.

    Attributes:
        expected: what the camera sent, by its rate.
        processed: those with a result.
        dropped: those that arrived and gave way.
        spans: how many spans; at the ends of each, a frame may be counted or not.
    """

    expected: float
    processed: int
    dropped: int
    spans: int

    @property
    def lost(self) -> float:
        """The share of frames without a result."""
        return max(0.0, 1 - self.processed / self.expected) if self.expected else 0.0


@dataclass(slots=True)
class _Sums:
    expected: float = 0.0
    processed: int = 0
    dropped: int = 0
    spans: int = 0


def judge(record: Record, terms: Terms | None = None) -> list[Finding]:
    """Every check's finding."""
    terms = terms or Terms()
    checks: tuple[Callable[[Record, Terms], Finding], ...] = (
        unaffected_stay,
        unaffected_lose_nothing,
        come_back,
        subscriber_is_told,
        memory_stays,
        nothing_leaks,
        stops_when_told,
        says_no_traceback,
        files_are_whole,
        disk_was_full,
    )
    return [check(record, terms) for check in checks]


def unaffected_stay(record: Record, terms: Terms) -> Finding:
    """A camera without a fault stays connected, whatever happens to others."""
    lost = [
        f"{camera} at {span.start:.0f} s"
        for camera in record.rates
        for span in _untroubled(record, camera, terms)
        for samples in _lives(_within(record.samples, span))
        if _reconnected(samples, camera)
    ]
    return Finding("cameras without a fault stay connected", not lost, _listed(lost) or "all")


def unaffected_lose_nothing(record: Record, terms: Terms) -> Finding:
    """A camera without a fault loses no more frames than in the calm times before and after.

    The median over all storms is what counts: whatever else the machine has to do for a while speaks in some of them.
    """
    bad, told, measured = [], [], False
    for camera in record.rates:
        pairs = compare(record, camera, terms)
        if not pairs:
            continue
        measured = True
        more = median(beside.lost - quiet.lost for quiet, beside in pairs)
        slack = median(2 * (quiet.spans / quiet.expected + beside.spans / beside.expected) for quiet, beside in pairs)
        told.append(f"{camera} {median(quiet.lost for quiet, _ in pairs):.1%} {100 * more:+.1f} points")
        if more > terms.more_lost + slack:
            bad.append(camera)
    text = _listed(told) or "not measured"
    return Finding("frames lost in calm, and how many more while others fail", measured and not bad, text)


def come_back(record: Record, terms: Terms) -> Finding:
    """After a fault of its own or of the server, a camera is live within the bound."""
    times = recoveries(record)
    late = [f"{camera} after {fault}" for fault, camera, seconds in times if seconds > terms.back_within]
    if not times:
        return Finding("live again", terms.short, "no fault")
    worst = max(seconds for _, _, seconds in times)
    middle = median(seconds for _, _, seconds in times)
    text = f"{len(times)} times, in {middle:.1f} s, at most {worst:.1f} s" + (
        f"; late: {_listed(late)}" if late else ""
    )
    return Finding(f"live again within {terms.back_within:.0f} s", not late, text)


class Recovery(NamedTuple):
    """How many seconds after the end of its fault a camera was live."""

    fault: Fault
    camera: str
    seconds: float


def recoveries(record: Record) -> list[Recovery]:
    """Of each fault of a camera, and of each camera after a fault of the server's."""
    of_cameras = [
        Recovery(f, f.camera, _live_after(record, f.camera, f.end)) for f in record.faults if f.kind in OF_CAMERAS
    ]
    of_server = [
        Recovery(fault, camera, _live_after(record, camera, fault.end))
        for fault in record.faults
        if fault.kind in OF_THE_SERVER
        for camera in record.rates
    ]
    return of_cameras + of_server


def subscriber_is_told(record: Record, terms: Terms) -> Finding:
    """A subscriber that reads is sent, or told of, every frame that the server counts, and is never closed as slow."""
    off: list[str] = []
    for samples in _lives(record.samples):
        heard = [sample for sample in samples if sample.cameras and all(c.heard for c in sample.cameras.values())]
        for camera in heard[0].cameras if heard else ():
            # A frame on its way is in one count only: the least difference is what it never heard of.
            gaps = [(s.at, s.cameras[camera].captured - s.cameras[camera].heard) for s in heard if camera in s.cameras]
            early = min(gap for at, gap in gaps if at <= gaps[0][0] + WINDOW)
            late = min(gap for at, gap in gaps if at >= gaps[-1][0] - WINDOW)
            if abs(late - early) > terms.told_within:
                off.append(f"{camera}: {late - early} frames")
    slow = [reason for reason in record.closed if reason.startswith("1013")]
    return Finding("a healthy subscriber is told of each frame", not off and not slow, _listed([*off, *slow]) or "all")


def memory_stays(record: Record, terms: Terms) -> Finding:
    """In its longest life the server takes no more memory at the end than after five minutes."""
    check = f"memory, after {terms.settled_after:.0f} s → at the end"
    samples = _longest(record.samples)
    began, ended = samples[0].at, samples[-1].at
    if ended - began < terms.settled_after + 60:
        return Finding(check, terms.short, f"{samples[-1].belongings.memory / 1e6:.0f} MB; too short to say")
    settled = began + terms.settled_after
    then = median(s.belongings.memory for s in samples if settled - 15 <= s.at <= settled + 15)
    now = median(s.belongings.memory for s in samples if s.at >= ended - 30)
    text = f"{then / 1e6:.0f} → {now / 1e6:.0f} MB, {now / then - 1:+.1%} in {(ended - settled) / 60:.0f} min"
    return Finding(check, now <= then * (1 + terms.more_memory), text)


def nothing_leaks(record: Record, terms: Terms) -> Finding:
    """In its longest life the server has as many threads and descriptors in the last calm as in the first."""
    check = "threads and descriptors, first calm → last"
    spans = calm(record.faults, record.length, terms.settle)
    samples = _longest(record.samples)
    settled = samples[0].at + min(60.0, (samples[-1].at - samples[0].at) / 10)
    calms = [found for span in spans if (found := _within(samples, span)) and found[-1].at >= settled]
    if len(calms) < 2:
        return Finding(check, terms.short, "too short to say")
    # What comes and goes (a picture being written) is no leak: the least of each.
    (threads, descriptors), (threads_now, descriptors_now) = (_least(found) for found in (calms[0], calms[-1]))
    good = threads_now <= threads + terms.more_threads and descriptors_now <= descriptors + terms.more_descriptors
    return Finding(check, good, f"{threads} → {threads_now}, {descriptors} → {descriptors_now}")


def stops_when_told(record: Record, terms: Terms) -> Finding:
    """SIGTERM ends it in time, with exit code 0."""
    good = all(code == 0 for code in record.exit_codes) and all(s < terms.stop_within for s in record.seconds_to_stop)
    told = [f"{seconds:.1f} s ({code})" for code, seconds in zip(record.exit_codes, record.seconds_to_stop)]
    return Finding("stops when told to", good, _listed(told) or "not told to")


def says_no_traceback(record: Record, terms: Terms) -> Finding:
    """Whatever happens is said in a line."""
    lines = record.log.splitlines()
    errors = [line for line in lines if line.startswith(("Traceback", "Fatal Python error", "Segmentation"))]
    return Finding("no traceback in its log", not errors, f"{len(errors)} in {len(lines)} lines")


def files_are_whole(record: Record, terms: Terms) -> Finding:
    """Nothing that was saved is damaged."""
    return Finding("files and databases intact", not record.damaged, _listed(record.damaged) or "all")


def disk_was_full(record: Record, terms: Terms) -> Finding:
    """The fault that needs the right to mount a file system really happened."""
    times = sum(fault.kind is Kind.FULL for fault in record.faults)
    good = terms.short or not times or record.disk_fills
    return Finding("the disk was full when it should be", good, f"{times} times" if record.disk_fills else "never")


def compare(record: Record, camera: str, terms: Terms) -> list[tuple[Counted, Counted]]:
    """What became of a camera's frames: for each storm, in the calms beside it, and while others failed in it.

    What couldn't be measured is left out.
    """
    calms = [span for span in calm(record.faults, record.length, terms.settle) if span.end - span.start >= SHORTEST]
    untroubled = _untroubled(record, camera, terms)
    pairs = []
    for before, after in pairwise([*calms, Span(record.length, record.length)]):
        storm = without(untroubled, [Span(0.0, before.end), Span(after.start, record.length)])
        pairs.append((count(record, camera, (before, after)), count(record, camera, storm)))
    return [(quiet, beside) for quiet, beside in pairs if quiet.expected and beside.expected]


def count(record: Record, camera: str, spans: Iterable[Span]) -> Counted:
    """What became of a camera's frames in ``spans``, those too short left out."""
    sums = _Sums()
    for span in spans:
        for samples in _lives(_within(record.samples, span)):
            first, last = samples[0], samples[-1]
            seconds = last.at - first.at
            if seconds < SHORTEST or camera not in first.cameras or camera not in last.cameras:
                continue
            sums.spans += 1
            sums.expected += seconds * record.rates[camera]
            sums.processed += last.cameras[camera].processed - first.cameras[camera].processed
            sums.dropped += last.cameras[camera].dropped - first.cameras[camera].dropped
    return Counted(sums.expected, sums.processed, sums.dropped, sums.spans)


def _untroubled(record: Record, camera: str, terms: Terms) -> list[Span]:
    return without([Span(0.0, record.length)], troubled(record.faults, camera, terms.settle))


def _within(samples: Iterable[Sample], span: Span) -> list[Sample]:
    return [sample for sample in samples if span.start <= sample.at <= span.end]


def _lives(samples: Iterable[Sample]) -> list[list[Sample]]:
    lives: dict[int, list[Sample]] = {}
    for sample in samples:
        lives.setdefault(sample.life, []).append(sample)
    return list(lives.values())


def _longest(samples: Sequence[Sample]) -> list[Sample]:
    return max(_lives(samples), key=lambda life: life[-1].at - life[0].at)


def _reconnected(samples: Sequence[Sample], camera: str) -> bool:
    seen = [sample.cameras[camera] for sample in samples if camera in sample.cameras]
    return bool(seen) and (seen[-1].reconnects != seen[0].reconnects or any(each.state != "live" for each in seen))


def _live_after(record: Record, camera: str, end: float) -> float:
    """Seconds from ``end`` until the camera is live and delivers; infinite if it never does."""
    before: int | None = None
    life: int | None = None
    for sample in record.samples:
        seen = sample.cameras.get(camera)
        if sample.at < end or seen is None:
            continue
        if sample.life != life:
            life, before = sample.life, None
        if seen.state == "live" and before is not None and seen.captured > before:
            return sample.at - end
        before = seen.captured
    return float("inf")


def _least(samples: Sequence[Sample]) -> tuple[int, int]:
    samples = [sample for sample in samples if sample.at >= samples[-1].at - WINDOW]
    return min(s.belongings.threads for s in samples), min(s.belongings.descriptors for s in samples)


def _listed(items: Sequence[str], most: int = 12) -> str:
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")

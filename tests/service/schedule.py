"""What goes wrong, and when: plain data from a seed, so that a run can be repeated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import NamedTuple


class Kind(Enum):
    """What goes wrong. The value is how it is printed."""

    KILLED = "camera killed"
    FROZEN = "camera paused"
    RESIZED = "camera back in another size"
    DAMAGED = "damaged packets"
    LOCKED = "password changed"
    CROWD = "subscribers stall and vanish"
    FULL = "disk full"
    TERMINATED = "server told to stop"
    SHOT = "server killed"


OF_CAMERAS = (Kind.KILLED, Kind.FROZEN, Kind.RESIZED, Kind.DAMAGED, Kind.LOCKED)
OF_THE_SERVER = (Kind.TERMINATED, Kind.SHOT)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong and is mended.

    Attributes:
        at: seconds since the run began.
        seconds: how long it lasts.
        camera: whose fault it is, "" for one that isn't a camera's.
    """

    at: float
    kind: Kind
    seconds: float
    camera: str = ""

    @property
    def end(self) -> float:
        return self.at + self.seconds

    def __str__(self) -> str:
        return f"{self.kind.value}{f' ({self.camera})' if self.camera else ''} for {self.seconds:.0f} s"


class Span(NamedTuple):
    """Seconds since the run began."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How a run is laid out: blocks of a calm and a stormy part.

    Attributes:
        calm: seconds at the beginning of each block in which nothing goes wrong.
        storm: seconds after that, in which something does.
        settle: seconds that a camera may take to come back; each storm ends so long after its last fault.
        between: mean seconds from one fault to the next in a storm.
        lasting: the shortest and the longest fault.
    """

    calm: float = 40.0
    storm: float = 80.0
    settle: float = 20.0
    between: float = 5.0
    lasting: tuple[float, float] = (2.0, 20.0)

    @property
    def block(self) -> float:
        return self.calm + self.storm


def plan(seed: int, cameras: Sequence[str], length: float, rhythm: Rhythm | None = None) -> list[Fault]:
    """The faults of a run of ``length`` seconds, in order of time.

    Never more than half of the cameras are at fault together, so there are others to compare with. The server is
    killed and told to stop in the second and third block and in the last two: between lies its long life.
    """
    rhythm = rhythm or Rhythm()
    random = Random(seed)
    blocks = int(length / rhythm.block)
    faults: list[Fault] = []
    for block in range(blocks):
        start = block * rhythm.block
        if (kind := _server_fault(block, blocks)) is not None:
            faults.append(Fault(start - rhythm.settle / 2, kind, 2.0))
        faults += _storm(random, cameras, start + rhythm.calm, rhythm)
    return sorted(faults, key=lambda fault: fault.at)


def _server_fault(block: int, blocks: int) -> Kind | None:
    if block == 0:
        return None
    return {1: Kind.SHOT, 2: Kind.TERMINATED, blocks - 2: Kind.TERMINATED, blocks - 1: Kind.SHOT}.get(block)


def _storm(random: Random, cameras: Sequence[str], start: float, rhythm: Rhythm) -> list[Fault]:
    # A server's end may come half a settling time before the next block: the storm is over by then.
    end = start + rhythm.storm - 1.5 * rhythm.settle
    faults: list[Fault] = []
    at = start
    while (at := at + random.expovariate(1 / rhythm.between)) < end:
        seconds = min(random.uniform(*rhythm.lasting), end - at)
        kind = random.choice((*OF_CAMERAS, *OF_CAMERAS, Kind.CROWD, Kind.FULL))
        busy = {fault.camera or fault.kind for fault in faults if fault.end + rhythm.settle > at}
        if kind in OF_CAMERAS:
            free = [camera for camera in cameras if camera not in busy]
            if len(free) > len(cameras) / 2:
                faults.append(Fault(at, kind, seconds, random.choice(free)))
        elif kind not in busy:
            faults.append(Fault(at, kind, seconds))
    return faults


def troubled(faults: Iterable[Fault], camera: str, settle: float) -> list[Span]:
    """When ``camera`` may fail or recover: its own faults and the server's, until ``settle`` seconds after each."""
    own = [fault for fault in faults if fault.camera == camera or fault.kind in OF_THE_SERVER]
    return [Span(fault.at, fault.end + settle) for fault in own]


def calm(faults: Iterable[Fault], length: float, settle: float) -> list[Span]:
    """When nothing is wrong anywhere, nor has been for ``settle`` seconds."""
    return without([Span(0.0, length)], [Span(fault.at, fault.end + settle) for fault in faults])


def without(spans: Iterable[Span], holes: Iterable[Span]) -> list[Span]:
    """``spans`` less ``holes``."""
    left = list(spans)
    for hole in holes:
        parts = ((Span(a, min(b, hole.start)), Span(max(a, hole.end), b)) for a, b in left)
        left = [part for pair in parts for part in pair if part.start < part.end]
    return left

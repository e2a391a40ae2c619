"""What a live session says of itself. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field

from facestream.jobs.source_options import SourceOptions
from facestream.stream.stage import StageStatistics
from facestream.stream.types import SourceState


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A source as the outside sees it. Once a source has stopped, ``captured = processed + dropped`` exactly.

    Attributes:
        url: without credentials.
        since: when it came into its present state, in Unix seconds.
        rate: frames a second that arrive, measured.
        dropped: frames that no model saw, because newer ones came or ``max_rate`` left them out.
        limited: those of them that ``max_rate`` left out.
        epoch: the present connection, counted from 0.
        latency_ms: from capture to publication, the recent median.
        last_frame_age: seconds since the last frame arrived, None before the first.
        options: what was asked for.
    """

    name: str
    url: str
    kind: str
    state: SourceState
    reason: str
    live: bool
    size: tuple[int, int] | None
    rate: float
    captured: int
    processed: int
    dropped: int
    damaged: int
    epoch: int
    reconnects: int
    latency_ms: float | None
    last_frame_age: float | None
    since: float = 0.0
    limited: int = 0
    options: SourceOptions = field(default_factory=SourceOptions)

    @property
    def given_up(self) -> bool:
        """It can't be read, and nobody tries it again by itself: a film at its end has no reason."""
        return self.state is SourceState.STOPPED and bool(self.reason)


@dataclass(frozen=True, slots=True)
class SinkStatistics:
    """Results handed to a sink, those that gave way because it was slower than the stream, and those that wait.

    Attributes:
        failed: pictures, lines or frames that it couldn't write, of the results handed to it.
    """

    name: str
    written: int
    dropped: int
    waiting: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class SessionStatistics:
    """
    Attributes:
        withheld: results that privacy held back since the session began.
    """

    sources: list[SourceInfo]
    stages: list[StageStatistics]
    batches_in_flight: int
    sinks: list[SinkStatistics]
    withheld: int = 0

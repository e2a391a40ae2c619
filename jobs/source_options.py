"""How a source is opened, and how many of its pixels and frames the models see."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final, Literal, TypeAlias

from facestream.errors import ConfigError
from facestream.stream.guiding import GuidingPolicy

Shares: TypeAlias = tuple[float, float, float, float]
"""A part of a frame: left, top, right, bottom, each from 0 to 1 of its width or height."""

LONGEST_TIMEOUT: Final = 300.0
"""Seconds that opening or reading may be allowed to take: a camera that hangs is let go of after some more."""

_REOPENED_FOR: Final = (
    "loop",
    "lossless",
    "rtsp_transport",
    "open_timeout",
    "read_timeout",
    "decoder",
    "clips",
    "follow",
)
"""What a source is told when it is opened. All the rest changes while it runs."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """
    Attributes:
        loop: files and folders start again at their end.
        lossless: files and folders make their reader wait for the models instead of dropping frames.
        rtsp_transport: "tcp" or "udp".
        open_timeout: seconds to wait for a camera to answer.
        read_timeout: seconds without a frame, or with frames that stand still, after which a camera is lost.
        decoder: what decodes video: "cpu", "cuda" (a GPU where it takes the video) or "auto" (the same where the models
            run on one).
        max_rate: frames a second that the models see at most; None for all. The others count as dropped.
        region: the part of the frame in which faces are looked for; None for all of it.
        detect_every: "auto", or so many frames from one that a detector looks at to the next; None for what holds for
            all sources.
        events: who comes and goes is told and kept, where events are.
        clips: the source's packets are kept for an event's clip, where clips are.
        follow: a web address may send on to any other; see :func:`facestream.io.sources.open_source`. Whoever lets the
            source in says so: it can't be asked for.

    Raises:
        ConfigError: a value is impossible, or two contradict each other.
    """

    loop: bool = False
    lossless: bool = False
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    open_timeout: float = 5.0
    read_timeout: float = 5.0
    decoder: Literal["auto", "cpu", "cuda"] = "cpu"
    max_rate: float | None = None
    region: Shares | None = None
    detect_every: int | Literal["auto"] | None = None
    events: bool = True
    clips: bool = True
    follow: bool = True

    def __post_init__(self) -> None:
        if self.rtsp_transport not in ("tcp", "udp"):
            raise ConfigError(f"there's no rtsp_transport {self.rtsp_transport!r}; choose tcp or udp")
        if self.decoder not in ("auto", "cpu", "cuda"):
            raise ConfigError(f"there's no decoder {self.decoder!r}; choose auto, cpu or cuda")
        for name in ("open_timeout", "read_timeout"):
            if not 0 < getattr(self, name) <= LONGEST_TIMEOUT:
                raise ConfigError(f"{name} {getattr(self, name):g} isn't possible: give seconds, up to 300")
        if self.max_rate is not None and not 0 < self.max_rate < math.inf:
            raise ConfigError(f"max_rate {self.max_rate:g} isn't possible: give frames a second, above 0")
        if self.max_rate is not None and self.lossless:
            raise ConfigError("max_rate drops frames and lossless drops none: leave out one of the two")
        if self.region is not None:
            _check_region(self.region)
        if self.detect_every not in (None, "auto") and not _is_count(self.detect_every):
            raise ConfigError(f"detect_every {self.detect_every!r} isn't possible: choose auto, or a number of frames")

    def reopens(self, before: SourceOptions) -> bool:
        """Whether a source that was opened with the options ``before`` must be opened again to have these."""
        return any(getattr(self, name) != getattr(before, name) for name in _REOPENED_FOR)

    @property
    def guiding(self) -> GuidingPolicy | None:
        """When a detector looks at this source's frames; None where nothing else is asked for than for all sources."""
        if self.detect_every is None:
            return None
        return GuidingPolicy() if self.detect_every == "auto" else GuidingPolicy(every=self.detect_every)


OPTION_NAMES: Final = tuple(field.name for field in fields(SourceOptions) if field.name != "follow")
"""Those that can be asked for."""


def _check_region(region: Shares) -> None:
    left, top, right, bottom = region
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ConfigError(
            f"region {[left, top, right, bottom]} isn't possible: give left, top, right and bottom from 0 to 1, "
            "as shares of the frame"
        )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1

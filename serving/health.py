"""Whether the session does its work, for ``/health``. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

import msgspec

from facestream.stream.hub import SourceFlow
from facestream.stream.types import SourceState

if TYPE_CHECKING:
    from facestream.jobs.live import SourceInfo


class SourceHealth(msgspec.Struct, kw_only=True):
    """One source in ``/health``. Ages are in seconds; null before the first."""

    state: str
    reason: str
    last_frame_age: float | None
    last_result_age: float | None


class Health(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The body of ``/health``.

    Attributes:
        status: "ok"; "degraded" when some source is, still 200; "failing", with 503, when no source works or frames
            arrive and no results come.
        reason: what is wrong, in words.
        sources: by name; absent for those who haven't given the token.
    """

    status: Literal["ok", "degraded", "failing"]
    reason: str = ""
    sources: dict[str, SourceHealth] | None = None

    @property
    def http_status(self) -> HTTPStatus:
        return HTTPStatus.SERVICE_UNAVAILABLE if self.status == "failing" else HTTPStatus.OK


def judge(
    sources: Sequence[SourceInfo],
    flows: Mapping[str, SourceFlow],
    now: float,
    since: float,
    stuck_after: float,
) -> Health:
    """How a session is.

    Args:
        sources: as they are now.
        flows: the hub's statistics.
        now: on the hub's clock.
        since: when serving began, on the hub's clock.
        stuck_after: seconds without any result, while frames arrive, that mean trouble.
    """
    ages = {name: now - flow.published_at for name, flow in flows.items()}
    details = {
        source.name: SourceHealth(
            state=source.state.value,
            reason=source.reason,
            last_frame_age=source.last_frame_age,
            last_result_age=round(ages[source.name], 3) if source.name in ages else None,
        )
        for source in sources
    }
    down = _down(sources)
    working = [s for s in sources if s.state in (SourceState.LIVE, SourceState.CONNECTING)]
    if is_stuck(sources, flows, now, since, stuck_after):
        return Health(status="failing", reason="frames arrive but no results come", sources=details)
    if down and not working:
        return Health(status="failing", reason=f"no source works: {', '.join(down)}", sources=details)
    if down:
        return Health(status="degraded", reason=f"not working: {', '.join(down)}", sources=details)
    return Health(status="ok", sources=details)


def _down(sources: Sequence[SourceInfo]) -> list[str]:
    return [source.name for source in sources if source.state is SourceState.DEGRADED or source.given_up]


def is_stuck(
    sources: Sequence[SourceInfo], flows: Mapping[str, SourceFlow], now: float, since: float, stuck_after: float
) -> bool:
    """Whether frames arrive and no results come: what starting again may help against. As :func:`judge`."""
    arriving = any(s.last_frame_age is not None and s.last_frame_age < stuck_after for s in sources)
    return arriving and now - max([since, *(flow.published_at for flow in flows.values())]) > stuck_after


def summary(sources: Sequence[SourceInfo]) -> str:
    """One line for people: ``3 sources live, 1 degraded: yard``."""
    if not sources:
        return "no sources"
    by_state = {state: [s.name for s in sources if s.state is state] for state in SourceState}
    counts = [f"{len(names)} {state.value}" for state, names in by_state.items() if names]
    down = _down(sources)
    return f"sources: {', '.join(counts)}" + (f" ({', '.join(down)})" if down else "")

"""Events over the network: ``GET /api/events``, a visit's picture and clip, and ``events.remove``."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final, Protocol, TypeVar

from facestream.errors import FacestreamError
from facestream.io.event_store import EventFilter
from facestream.serving.byte_range import Span, Unsatisfiable, asked_for
from facestream.serving.messages import MAX_ID, EventParams, EventsMessage
from facestream.serving.parameters import Parameters, check_names, choice, number, single
from facestream.serving.routes import Answer, Query, Role, Route
from facestream.serving.rpc import NO_SUCH_EVENT, REFUSED, Failure, Method, convert
from facestream.stream.event_record import event_record
from facestream.stream.events import Event, Kind

log = logging.getLogger("facestream.server")

T = TypeVar("T")

MOST: Final = 500
"""Events in one answer."""

NOT_KEPT: Final = "events aren't kept here: start the server with --events"

_LATEST: Final = 1e11  # seconds; no sensible time is later
_PARAMETERS: Final = ("since", "until", "source", "name", "kind", "before", "limit")


class EventSource(Protocol):
    """Events as they happen and as they are kept; :class:`facestream.jobs.events.Events` fulfils it.

    What asks for something kept raises FileFormatError or OutputError where that can't be read or written.
    """

    @property
    def kept(self) -> bool:
        """Whether any can be asked for."""

    def on_event(self, callback: Callable[[Event], None]) -> None:
        """Call ``callback`` on the event loop with every event."""

    async def find(self, wanted: EventFilter) -> list[Event]:
        """Visits, the newest first, as they are now."""

    async def picture(self, id_: int) -> bytes | None:
        """A visit's picture, as JPEG."""

    async def piece_of_clip(self, id_: int, choose: Callable[[int], tuple[int, int]]) -> tuple[bytes, int] | None:
        """A part of a visit's clip, an MP4, and the size of the whole; ``choose`` is given that and says which part."""

    async def remove(self, id_: int) -> bool:
        """Forget a visit; False if there is none."""


class EventRoutes:
    """What can be asked about events.

    Args:
        events: None where there are none.
    """

    def __init__(self, events: EventSource | None) -> None:
        self._given = events
        self.methods: dict[str, Method] = {"events.remove": self._remove}
        self.routes: Sequence[Route] = (
            Route("/api/events", Role.VIEW, self._list),
            Route("/api/events/{id}/picture", Role.VIEW, self._picture),
            Route("/api/events/{id}/clip", Role.VIEW, self._clip),
        )

    @property
    def _events(self) -> EventSource | None:
        return self._given if self._given is not None and self._given.kept else None

    async def _list(self, query: Query) -> Answer:
        wanted = events_wanted(query.parameters)
        if self._events is None:
            return _missing("events-off", NOT_KEPT)
        events = await self._events.find(wanted)
        more = events[-1].id if len(events) == wanted.limit else None
        return Answer.json(EventsMessage(events=[event_record(event) for event in events], next=more))

    async def _picture(self, query: Query) -> Answer:
        check_names(query.parameters, ())
        if self._events is None:
            return _missing("events-off", NOT_KEPT)
        id_ = _id(query.values["id"])
        body = None if id_ is None else await self._events.picture(id_)
        return _nothing("picture") if body is None else Answer(HTTPStatus.OK, body, "image/jpeg")

    async def _clip(self, query: Query) -> Answer:
        """A player asks for the part that it needs; Safari's shows nothing without."""
        check_names(query.parameters, ())
        if self._events is None:
            return _missing("events-off", NOT_KEPT)
        id_ = _id(query.values["id"])
        parts = _Part(query.range)
        try:
            piece = None if id_ is None else await self._events.piece_of_clip(id_, parts.of)
        except Unsatisfiable:
            beyond = Answer.error(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "bad-range", "the clip ends before that")
            return replace(beyond, headers=(("Content-Range", f"bytes */{parts.size}"),))
        if piece is None:
            return _nothing("clip")
        return Answer(parts.status, piece[0], "video/mp4", parts.headers())

    async def _remove(self, params: Any) -> Any:
        wanted = convert(params, EventParams)
        if self._events is None:
            raise Failure(REFUSED, NOT_KEPT)
        if not await _done(self._events.remove(wanted.id)):
            raise Failure(NO_SUCH_EVENT, f"there is no event {wanted.id}; it may have been too old to keep")
        return {}


def events_wanted(query: Parameters) -> EventFilter:
    """What the query of ``/api/events`` asks for.

    Raises:
        ProtocolError: a parameter that isn't one, comes twice or has a value out of range.
    """
    check_names(query, _PARAMETERS)
    kind = choice(query, "kind", tuple(kind.value for kind in Kind))
    before = number(query, "before", int, 0, MAX_ID)
    return EventFilter(
        since=number(query, "since", float, 0, _LATEST),
        until=number(query, "until", float, 0, _LATEST),
        source=single(query, "source"),
        name=single(query, "name"),
        kind=None if kind is None else Kind(kind),
        before=None if before is None else int(before),
        limit=int(number(query, "limit", int, 1, MOST) or 50),
    )


class _Part:
    """The part of a file that a request asks for, once the file's size is known."""

    def __init__(self, header: str) -> None:
        self._header = header
        self._span: Span | None = None
        self.size = 0

    def of(self, size: int) -> tuple[int, int]:
        """From where, up to before where.

        Raises:
            Unsatisfiable: there is none of it.
        """
        self.size = size
        self._span = asked_for(self._header, size)
        return self._span or (0, size)

    @property
    def status(self) -> HTTPStatus:
        return HTTPStatus.OK if self._span is None else HTTPStatus.PARTIAL_CONTENT

    def headers(self) -> tuple[tuple[str, str], ...]:
        accepts = ("Accept-Ranges", "bytes")
        return (accepts,) if self._span is None else (accepts, ("Content-Range", self._span.content_range(self.size)))


def _nothing(what: str) -> Answer:
    return _missing("not-found", f"there is no {what} of that event; it may have been too old to keep")


def _id(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else None


def _missing(code: str, message: str) -> Answer:
    return Answer.error(HTTPStatus.NOT_FOUND, code, message)


async def _done(change: Awaitable[T]) -> T:
    try:
        return await change
    except FacestreamError as error:
        log.error("%s", error)  # names files of this machine: nobody else's business
        raise Failure(REFUSED, "events can't be read or written now; the server's log says why") from error

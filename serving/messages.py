"""Protocol 1: every message that crosses the wire, both ways. ``docs/protocol.md`` shows their JSON Schema.

The ``faces`` message is :class:`facestream.stream.records.FrameRecord`, the ``event`` message
:class:`facestream.stream.event_record.EventRecord`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from facestream.stream.event_record import EventRecord
from facestream.stream.records import FrameRecord

if TYPE_CHECKING:
    from facestream.jobs.live import SourceInfo

PROTOCOL: Final = 1

MAX_NAME: Final = 1000
"""Characters of a person's name that are looked at; what a name may be is the gallery's to say."""

MAX_ID: Final = 2**53
"""Of a visit: what JavaScript can count to."""

StateName: TypeAlias = Literal["connecting", "live", "degraded", "stopped"]


Transport: TypeAlias = Literal["tcp", "udp"]
Decoder: TypeAlias = Literal["auto", "cpu", "cuda"]
Shares: TypeAlias = tuple[float, float, float, float]


class OptionsMessage(msgspec.Struct, kw_only=True):
    """What was asked for of a source.

    Attributes:
        loop: a file starts again at its end.
        lossless: a file waits for the models instead of dropping frames.
        rtsp_transport: "tcp" or "udp".
        open_timeout: seconds to wait for a camera to answer.
        read_timeout: seconds without a frame, or with frames that stand still, after which a camera is lost.
        decoder: what decodes video: "cpu"; "cuda", a GPU for what it takes; or "auto", the same where models run on it.
        max_rate: frames a second that the models see at most, or null for all.
        region: the part of the frame in which faces are looked for: left, top, right and bottom from 0 to 1, as shares
            of its width and height; or null for all of it.
        detect_every: "auto", or so many frames from one that a detector looks at to the next; null for what holds for
            all sources.
        events: who comes and goes is told and kept, where events are.
        clips: the source's packets are kept for an event's clip, where clips are.
    """

    loop: bool
    lossless: bool
    rtsp_transport: Transport
    open_timeout: float
    read_timeout: float
    decoder: Decoder
    max_rate: float | None
    region: Shares | None
    detect_every: int | Literal["auto"] | None
    events: bool
    clips: bool


class SourceMessage(msgspec.Struct, kw_only=True):
    """One source as it is now, in ``hello``, ``/api/sources`` and the results of control requests.

    Attributes:
        name: what ``source`` says in ``faces`` messages.
        url: where it comes from, without credentials.
        kind: what sort of source it is, such as "rtsp", "webcam", "file" or "push".
        state: "connecting" for the first time; "live"; "degraded", retrying by itself; "stopped" for good.
        reason: why it is degraded or stopped, in words; "" when there's nothing to say.
        since: when it came into its state, in Unix seconds.
        live: the newest frame wins; false for a source of which every frame is processed.
        size: (width, height) in pixels, or null while unknown.
        rate: frames a second that arrive, measured.
        captured: frames that reached facestream; captured = processed + dropped + those on their way.
        processed: frames with a result.
        dropped: frames that no model saw: they gave way to newer ones, or `max_rate` left them out.
        limited: those of them that `max_rate` left out.
        damaged: packets or files that couldn't be decoded.
        epoch: the present connection, counted from 0; as in ``faces`` messages.
        reconnects: how often it was lost and came back.
        latency_ms: from capture to result, the median of late, or null.
        last_frame_age: seconds since its last frame, or null before the first.
        options: what was asked for.
    """

    name: str
    url: str
    kind: str
    state: StateName
    reason: str
    since: float
    live: bool
    size: tuple[int, int] | None
    rate: float
    captured: int
    processed: int
    dropped: int
    limited: int
    damaged: int
    epoch: int
    reconnects: int
    latency_ms: float | None
    last_frame_age: float | None
    options: OptionsMessage


class RecognitionMessage(msgspec.Struct, kw_only=True):
    """Whether faces are recognised.

    Attributes:
        on: people can be named, and those who are have an `identity`.
        model: the identity model that tells them apart, or null.
        reason: why nobody is recognised, and how to change that; "" when somebody is.
    """

    on: bool
    model: str | None = None
    reason: str = ""


class HelloMessage(msgspec.Struct, tag_field="type", tag="hello", kw_only=True):
    """The first message on every websocket.

    Attributes:
        version: of facestream.
    """

    protocol: Literal[1] = 1
    version: str
    sources: list[SourceMessage]
    recognition: RecognitionMessage


class StatusMessage(SourceMessage, tag_field="type", tag="status", kw_only=True):
    """A source has changed state: the source as it is now.

    Attributes:
        removed: the source isn't in the list any more.
    """

    removed: bool = False


class ErrorMessage(msgspec.Struct, tag_field="type", tag="error", kw_only=True):
    """Why the server is about to close the connection.

    Attributes:
        code: a short name for programs.
        message: one line for people, with the next step.
    """

    code: str
    message: str


ServerMessage: TypeAlias = HelloMessage | FrameRecord | EventRecord | StatusMessage | ErrorMessage
"""What ``/ws/faces`` and ``/ws/push`` receive. On ``/ws/control``: ``hello``, ``error`` and responses."""


# --- /ws/control: JSON-RPC 2.0

RequestId: TypeAlias = str | int | float | None


SourceUrl: TypeAlias = Annotated[str, Meta(min_length=1, max_length=2048)]


class OptionParams(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What may be asked for of a source; see OptionsMessage. An absent one stays as it is, or is the server's own."""

    loop: bool | UnsetType = UNSET
    lossless: bool | UnsetType = UNSET
    rtsp_transport: Transport | UnsetType = UNSET
    open_timeout: float | UnsetType = UNSET
    read_timeout: float | UnsetType = UNSET
    decoder: Decoder | UnsetType = UNSET
    max_rate: float | UnsetType | None = UNSET
    region: Shares | UnsetType | None = UNSET
    detect_every: int | Literal["auto"] | UnsetType | None = UNSET
    events: bool | UnsetType = UNSET
    clips: bool | UnsetType = UNSET

    def given(self) -> dict[str, Any]:
        """The options that are asked for."""
        values = {name: getattr(self, name) for name in OptionParams.__struct_fields__}
        return {name: value for name, value in values.items() if value is not UNSET}


class AddParams(OptionParams, kw_only=True):
    """Parameters of ``sources.add``; options as in OptionsMessage, those that are absent are the server's own.

    Attributes:
        url: ``rtsp://…``, ``http://…`` and the like, or ``push:NAME``.
        name: what to call it; made from the url when absent.
    """

    url: SourceUrl
    name: str | None = None


class UpdateParams(OptionParams, kw_only=True):
    """Parameters of ``sources.update``; options as in OptionsMessage, those that are absent stay as they are.

    `max_rate`, `region`, `detect_every` and `events` change while the source runs; for the rest it is opened again, as
    one that has stopped is.

    Attributes:
        name: of the source.
        url: another one; the present one when absent, or when it is as `url` shows it, without its credentials.
    """

    name: str
    url: SourceUrl | UnsetType = UNSET


class RemoveParams(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Parameters of ``sources.remove`` and of ``sources.restart``, which opens a source again."""

    name: str


PersonName: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]


class NameParams(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Parameters of ``people.name``: whose face that is.

    Attributes:
        source: the face's source.
        track: its ``track`` in that source's ``faces`` messages.
        name: somebody new, or somebody who has a name already and is learnt better now.
    """

    source: str
    track: int
    name: PersonName


class PersonParams(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Parameters of ``people.remove``."""

    name: PersonName


class RenameParams(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Parameters of ``people.rename``: ``name`` is called ``to`` from now on, which must be free."""

    name: PersonName
    to: PersonName


class MergeParams(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Parameters of ``people.merge``: ``name`` was ``into`` all along, and is gone afterwards."""

    name: PersonName
    into: PersonName


class EventParams(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Parameters of ``events.remove``: a visit is forgotten, with its picture and clip."""

    id: Annotated[int, Meta(ge=0, le=MAX_ID)]


class EventsMessage(msgspec.Struct, kw_only=True):
    """The answer of `/api/events`.

    Attributes:
        events: visits as they are now, the newest first.
        next: what to give as `before` for the page after this one, or null where this is the last.
    """

    events: list[EventRecord]
    next: int | None


class NoParams(msgspec.Struct, forbid_unknown_fields=True):
    """Parameters of ``sources.list``, ``people.list``, ``config.reload`` and ``statistics``: none."""


class PersonMessage(msgspec.Struct, kw_only=True):
    """Somebody who has a name, in the results of ``people`` requests.

    Attributes:
        name: what ``identity`` says in ``faces`` messages.
        looks: how many pictures of the face are known, as embeddings.
    """

    name: str
    looks: int


class FailedReload(msgspec.Struct, kw_only=True):
    """A source that isn't as the settings want it, and why."""

    name: str
    reason: str


class ReloadMessage(msgspec.Struct, kw_only=True):
    """The result of ``config.reload``: names of sources, and what the settings want beside.

    Attributes:
        failed: what is tried again at the next reload.
        restart: keys that have changed and count from the next start on.
    """

    added: list[str] = []
    changed: list[str] = []
    removed: list[str] = []
    failed: list[FailedReload] = []
    restart: list[str] = []


class ControlRequest(msgspec.Struct, kw_only=True):
    """A request, or without ``id`` a notification, which gets no response. Several may come in one array.

    Attributes:
        params: AddParams, UpdateParams, RemoveParams, NameParams, RenameParams, PersonParams, MergeParams or nothing,
            as the method asks.
    """

    jsonrpc: Literal["2.0"]
    method: Literal[
        "sources.add",
        "sources.update",
        "sources.restart",
        "sources.remove",
        "sources.list",
        "people.list",
        "people.name",
        "people.rename",
        "people.remove",
        "people.merge",
        "events.remove",
        "config.reload",
        "statistics",
    ]
    params: dict[str, Any] | UnsetType = UNSET
    id: RequestId | UnsetType = UNSET


class RpcError(msgspec.Struct, kw_only=True):
    """What went wrong with a request.

    Attributes:
        code: −32700 not JSON, −32600 not a request, −32601 no such method, −32602 wrong parameters,
            −32001 no such source, −32002 refused, −32003 the source can't be opened, −32004 no such face or no good
            picture of it yet, −32005 nobody is recognised here, −32006 no such event.
        message: one line for people, with the next step.
    """

    code: int
    message: str


class ResultResponse(msgspec.Struct, kw_only=True):
    """A request's result."""

    jsonrpc: Literal["2.0"] = "2.0"
    result: Any
    id: RequestId


class ErrorResponse(msgspec.Struct, kw_only=True):
    """A request's failure. ``id`` is null when the request's own couldn't be read."""

    jsonrpc: Literal["2.0"] = "2.0"
    error: RpcError
    id: RequestId


def source_message(info: SourceInfo) -> SourceMessage:
    return SourceMessage(**_source_fields(info))


def status_message(info: SourceInfo, *, removed: bool) -> StatusMessage:
    return StatusMessage(**_source_fields(info), removed=removed)


def _source_fields(info: SourceInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "url": info.url,
        "kind": info.kind,
        "state": info.state.value,
        "reason": info.reason,
        "since": round(info.since, 3),
        "live": info.live,
        "size": info.size,
        "rate": round(info.rate, 2),
        "captured": info.captured,
        "processed": info.processed,
        "dropped": info.dropped,
        "limited": info.limited,
        "damaged": info.damaged,
        "epoch": info.epoch,
        "reconnects": info.reconnects,
        "latency_ms": _rounded(info.latency_ms, 1),
        "last_frame_age": _rounded(info.last_frame_age, 3),
        "options": msgspec.convert(info.options, OptionsMessage, from_attributes=True),
    }


def _rounded(value: float | None, decimals: int) -> float | None:
    return None if value is None else round(value, decimals)

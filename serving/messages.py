"""Protocol 1: every message that crosses the wire, both ways. ``docs/protocol.md`` shows their JSON Schema.

The ``faces`` message is :class:`facestream.stream.records.FrameRecord`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from facestream.stream.records import FrameRecord

if TYPE_CHECKING:
    from facestream.jobs.live import SourceInfo

PROTOCOL: Final = 1

MAX_NAME: Final = 1000
"""Characters of a person's name that are looked at; what a name may be is the gallery's to say."""

StateName: TypeAlias = Literal["connecting", "live", "degraded", "stopped"]


class SourceMessage(msgspec.Struct, kw_only=True):
    """One source as it is now, in ``hello``, ``/api/sources`` and the results of control requests.

    Attributes:
        name: what ``source`` says in ``faces`` messages.
        url: where it comes from, without credentials.
        kind: what sort of source it is, such as "rtsp", "webcam", "file" or "push".
        state: "connecting" for the first time; "live"; "degraded", retrying by itself; "stopped" for good.
        reason: why it is degraded or stopped, in words; "" when there's nothing to say.
        live: the newest frame wins; false for a source of which every frame is processed.
        size: (width, height) in pixels, or null while unknown.
        rate: frames a second that arrive, measured.
        captured: frames that reached facestream; captured = processed + dropped + those on their way.
        processed: frames with a result.
        dropped: frames that gave way to newer ones.
        damaged: packets or files that couldn't be decoded.
        epoch: the present connection, counted from 0; as in ``faces`` messages.
        reconnects: how often it was lost and came back.
        latency_ms: from capture to result, the median of late, or null.
        last_frame_age: seconds since its last frame, or null before the first.
    """

    name: str
    url: str
    kind: str
    state: StateName
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


ServerMessage: TypeAlias = HelloMessage | FrameRecord | StatusMessage | ErrorMessage
"""What ``/ws/faces`` and ``/ws/push`` receive. On ``/ws/control``: ``hello``, ``error`` and responses."""


# --- /ws/control: JSON-RPC 2.0

RequestId: TypeAlias = str | int | float | None


class AddParams(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Parameters of ``sources.add``.

    Attributes:
        url: ``rtsp://…``, ``http://…`` and the like, or ``push:NAME``.
        name: what to call it; made from the url when absent.
    """

    url: Annotated[str, Meta(min_length=1, max_length=2048)]
    name: str | None = None


class RemoveParams(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Parameters of ``sources.remove``."""

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


class NoParams(msgspec.Struct, forbid_unknown_fields=True):
    """Parameters of ``sources.list``, ``people.list`` and ``statistics``: none."""


class PersonMessage(msgspec.Struct, kw_only=True):
    """Somebody who has a name, in the results of ``people`` requests.

    Attributes:
        name: what ``identity`` says in ``faces`` messages.
        looks: how many pictures of the face are known, as embeddings.
    """

    name: str
    looks: int


class ControlRequest(msgspec.Struct, kw_only=True):
    """A request, or without ``id`` a notification, which gets no response. Several may come in one array.

    Attributes:
        params: AddParams, RemoveParams, NameParams, RenameParams, PersonParams, MergeParams or nothing, as the method
            asks.
    """

    jsonrpc: Literal["2.0"]
    method: Literal[
        "sources.add",
        "sources.remove",
        "sources.list",
        "people.list",
        "people.name",
        "people.rename",
        "people.remove",
        "people.merge",
        "statistics",
    ]
    params: dict[str, Any] | UnsetType = UNSET
    id: RequestId | UnsetType = UNSET


class RpcError(msgspec.Struct, kw_only=True):
    """What went wrong with a request.

    Attributes:
        code: −32700 not JSON, −32600 not a request, −32601 no such method, −32602 wrong parameters,
            −32001 no such source, −32002 refused, −32003 the source can't be opened, −32004 no such face or no good
            picture of it yet, −32005 nobody is recognised here.
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
        "live": info.live,
        "size": info.size,
        "rate": round(info.rate, 2),
        "captured": info.captured,
        "processed": info.processed,
        "dropped": info.dropped,
        "damaged": info.damaged,
        "epoch": info.epoch,
        "reconnects": info.reconnects,
        "latency_ms": _rounded(info.latency_ms, 1),
        "last_frame_age": _rounded(info.last_frame_age, 3),
    }


def _rounded(value: float | None, decimals: int) -> float | None:
    return None if value is None else round(value, decimals)

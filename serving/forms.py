"""One result in the forms that subscribers ask for, each made once.

A form is which face fields, and with or without a picture. What differs between subscribers of one form is
only ``dropped``, which is spliced into the encoded message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from websockets.frames import Frame, Opcode

from facestream.serving.parameters import bad, check_names, choice, number, single
from facestream.stream.hub import Published
from facestream.stream.records import FACE_FIELDS, encode, frame_record

Fields: TypeAlias = frozenset[str] | None
"""Names of :data:`facestream.stream.records.FACE_FIELDS`, or None for all."""

MAX_WIDTH: Final = 16384
_DROPPED: Final = b'"dropped":0'
"""Quotes are escaped inside JSON strings, so the first occurrence is the frame's own field."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a subscriber asks for in the query of ``/ws/faces``.

    Attributes:
        sources: names; none means all, also those that come later.
        fps: at most so many messages a second of each source.
        width: pictures at most so many pixels wide, 0 for their own width, None for no pictures.
        fields: which face fields.
        faces: ``faces`` messages at all.
        events: ``event`` messages, too.
    """

    sources: frozenset[str] = frozenset()
    fps: float | None = None
    width: int | None = None
    fields: Fields = None
    faces: bool = True
    events: bool = False

    @classmethod
    def parse(cls, query: Mapping[str, list[str]]) -> Wanted:
        """Read the query's parameters.

        Raises:
            ProtocolError: a parameter that isn't one, comes twice or has a value out of range.
        """
        check_names(query, ("source", "fps", "frames", "width", "fields", "events"))
        frames = choice(query, "frames", ("none", "jpeg")) or "none"
        events = choice(query, "events", ("0", "1", "only")) or "0"
        width = number(query, "width", int, 1, MAX_WIDTH)
        return cls(
            sources=frozenset(query.get("source", ())),
            fps=number(query, "fps", float, 0.01, 1000),
            width=None if frames == "none" else int(width or 0),
            fields=_fields(single(query, "fields")),
            faces=events != "only",
            events=events != "0",
        )


def _fields(text: str | None) -> Fields:
    if text is None:
        return None
    fields = frozenset(filter(None, text.split(",")))
    if unknown := fields - FACE_FIELDS:
        raise bad(f"unknown field {sorted(unknown)[0]!r}; there are {', '.join(sorted(FACE_FIELDS))}")
    return fields


class Sheet:
    """One message but for ``dropped``, which :meth:`frame` fills in. It keeps no pixels but the JPEG's."""

    __slots__ = ("_frames", "_head", "_jpeg", "_tail")

    def __init__(self, head: bytes, tail: bytes, jpeg: bytes | None = None) -> None:
        self._head = head
        self._tail = tail
        self._jpeg = jpeg
        self._frames: dict[int, bytes] = {}

    def frame(self, dropped: int) -> bytes:
        """The whole websocket frame, as it goes to the socket."""
        frame = self._frames.get(dropped)
        if frame is None:
            frame = self._frames[dropped] = self._serialize(dropped)
        return frame

    def _serialize(self, dropped: int) -> bytes:
        text = b'%b"dropped":%d%b' % (self._head, dropped, self._tail)
        if self._jpeg is None:
            return Frame(Opcode.TEXT, text).serialize(mask=False)
        return Frame(Opcode.BINARY, picture_payload(text, self._jpeg)).serialize(mask=False)

    def with_picture(self, jpeg: bytes) -> Sheet:
        return Sheet(self._head, self._tail, jpeg)


def picture_payload(text: bytes, jpeg: bytes) -> bytes:
    """A picture message: 4-byte big-endian length of the JSON, the JSON, the JPEG."""
    return b"".join((len(text).to_bytes(4, "big"), text, jpeg))


class Edition:
    """One result, with the sheets made of it so far.

    Args:
        now: Unix seconds, for ``latency_ms``.
    """

    __slots__ = ("_latency_ms", "_sheets", "result", "source")

    def __init__(self, result: Published, now: float) -> None:
        self.result = result
        self.source = result.source
        self._latency_ms = round((now - result.faces.frame.captured_at) * 1000, 1)
        self._sheets: dict[Fields, Sheet] = {}

    def sheet(self, fields: Fields) -> Sheet:
        sheet = self._sheets.get(fields)
        if sheet is None:
            sheet = self._sheets[fields] = self._make(fields)
        return sheet

    def _make(self, fields: Fields) -> Sheet:
        record = frame_record(self.result.faces, fields)
        record.latency_ms = self._latency_ms
        record.dropped = 0
        head, _, tail = encode(record).partition(_DROPPED)
        return Sheet(head, tail)

"""An event as the outside world reads it: protocol 1's ``event`` message, and what webhooks get."""

from __future__ import annotations

from typing import Literal

import msgspec

from facestream.stream.events import Event


class EventRecord(msgspec.Struct, tag_field="type", tag="event", gc=False, kw_only=True):
    """Somebody has arrived, was recognised or has left; and, in a list of events, a visit as it is now.

    Attributes:
        id: the visit's. All its messages have the same one; later visits have greater ones.
        kind: "arrived"; "named" when it is known who it is, or who else, or with a null name not any more; "left".
        source: where it was seen.
        track: the face's number in that source's `faces` messages.
        name: who it is, or null as long as that isn't known.
        at: when it happened, in Unix seconds: for "arrived" the first sight, for "left" the last one.
        started_at: the visit's first sight.
        ended_at: its last sight; null while it goes on.
        picture: path of a small picture of the face (image/jpeg), or null while there is none.
        clip: path of a clip of the arrival (video/mp4), or null while there is none.
    """

    id: int
    kind: Literal["arrived", "named", "left"]
    source: str
    track: int
    name: str | None
    at: float
    started_at: float
    ended_at: float | None
    picture: str | None
    clip: str | None


def event_record(event: Event) -> EventRecord:
    path = f"/api/events/{event.id}"
    return EventRecord(
        id=event.id,
        kind=event.kind.value,
        source=event.source,
        track=event.track,
        name=event.name,
        at=round(event.at, 3),
        started_at=round(event.started_at, 3),
        ended_at=None if event.ended_at is None else round(event.ended_at, 3),
        picture=f"{path}/picture" if event.picture else None,
        clip=f"{path}/clip" if event.clip else None,
    )

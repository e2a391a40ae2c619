"""Events over real sockets; what is told and kept is a fake's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from facestream.errors import OutputError
from facestream.io.event_store import EventFilter
from facestream.serving.events import EventRoutes
from facestream.serving.fanout import EVENTS_WAITING
from facestream.serving.server import Server
from facestream.stream.events import Event, Kind
from facestream.testing.clients import StalledClient
from facestream.testing.sessions import FakeSession, some_faces
from tests.serving.conftest import LIMITS, ask, dial, hear, refusal, until
from tests.serving.test_http import get


def visit(id_: int = 1, kind: Kind = Kind.ARRIVED, *, source: str = "door", name: str | None = None) -> Event:
    ended = 9.0 if kind is Kind.LEFT else None
    return Event(id_, kind, source, 7, name, 1.23456, 1.23456, 9.0, ended, picture=True)


class FakeEvents:
    """Keeps visits in a list, the newest first, and finds all of them whatever is asked."""

    kept = True

    def __init__(self, *visits: Event) -> None:
        self.visits = list(visits)
        self.asked: list[EventFilter] = []
        self.pictures = {1: b"\xff\xd8jpeg"}
        self.clips = {1: b"mp4"}
        self.broken: OutputError | None = None

    def on_event(self, callback: Callable[[Event], None]) -> None: ...

    async def find(self, wanted: EventFilter) -> list[Event]:
        self.asked.append(wanted)
        if self.broken:
            raise self.broken
        return self.visits[: wanted.limit]

    async def picture(self, id_: int) -> bytes | None:
        return self.pictures.get(id_)

    async def piece_of_clip(self, id_: int, choose: Callable[[int], tuple[int, int]]) -> tuple[bytes, int] | None:
        clip = self.clips.get(id_)
        return None if clip is None else (clip[slice(*choose(len(clip)))], len(clip))

    async def remove(self, id_: int) -> bool:
        if self.broken:
            raise self.broken
        return self.pictures.pop(id_, None) is not None


@pytest.fixture
def events() -> FakeEvents:
    return FakeEvents(visit(3, Kind.NAMED, name="Ada"), visit(2), visit(1, Kind.LEFT))


@pytest.fixture
async def server(session: FakeSession, events: FakeEvents) -> AsyncIterator[Server]:
    told = EventRoutes(events)
    async with Server(session, port=0, limits=LIMITS, routes=told.routes, methods=told.methods) as server:
        yield server


async def listed(server: Server, query: str = "") -> tuple[int, Any]:
    answer = await get(server, f"/api/events{query}")
    return answer.status, json.loads(answer.body)


async def test_visits_are_listed_the_newest_first(server: Server) -> None:
    status, page = await listed(server)
    assert status == 200
    assert [event["id"] for event in page["events"]] == [3, 2, 1]
    assert page["next"] is None
    assert page["events"][0] == {
        "type": "event",
        "id": 3,
        "kind": "named",
        "source": "door",
        "track": 7,
        "name": "Ada",
        "at": 1.235,
        "started_at": 1.235,
        "ended_at": None,
        "picture": "/api/events/3/picture",
        "clip": None,
    }


async def test_a_page_says_where_the_next_begins(server: Server, events: FakeEvents) -> None:
    _, page = await listed(server, "?limit=2")
    assert page["next"] == 2
    await listed(server, "?limit=2&before=2")
    assert events.asked[-1] == EventFilter(before=2, limit=2)


async def test_all_that_can_be_asked_for(server: Server, events: FakeEvents) -> None:
    query = f"?since=1.5&until=9&source=door&name={quote('Ada Löwe')}&kind=left"
    assert (await listed(server, query))[0] == 200
    assert events.asked == [EventFilter(1.5, 9.0, "door", "Ada Löwe", Kind.LEFT)]


@pytest.mark.parametrize(
    "query",
    ["?since=x", "?since=nan", "?limit=0", "?limit=501", "?limit=1.5", "?kind=gone", "?id=1", "?source=a&source=b"],
)
async def test_what_cannot_be_asked_for_is_refused(server: Server, events: FakeEvents, query: str) -> None:
    status, answer = await listed(server, query)
    assert (status, answer["error"]["code"]) == (400, "bad-parameter")
    assert events.asked == []


async def test_pictures_and_clips_are_never_kept_by_a_browser(server: Server) -> None:
    for what, kind, content in (("picture", "image/jpeg", b"\xff\xd8jpeg"), ("clip", "video/mp4", b"mp4")):
        answer = await get(server, f"/api/events/1/{what}")
        assert (answer.status, answer.headers["content-type"], answer.body) == (200, kind, content)
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("asked", "status", "said", "content"),
    [
        ({"Range": "bytes=0-1"}, 206, "bytes 0-1/3", b"mp"),
        ({"Range": "bytes=0-"}, 206, "bytes 0-2/3", b"mp4"),
        ({"Range": "bytes=-1"}, 206, "bytes 2-2/3", b"4"),
        ({"Range": "bytes=3-"}, 416, "bytes */3", None),
        ({"Range": "bytes=0-0,2-2"}, 200, None, b"mp4"),
        ({"Range": "bytes=0-1", "If-Range": '"another"'}, 200, None, b"mp4"),
    ],
)
async def test_a_player_gets_the_part_of_a_clip_that_it_asks_for(
    server: Server, asked: dict[str, str], status: int, said: str | None, content: bytes | None
) -> None:
    answer = await get(server, "/api/events/1/clip", **asked)
    assert (answer.status, answer.headers.get("content-range")) == (status, said)
    if content is not None:
        assert answer.body == content
        assert answer.headers["accept-ranges"] == "bytes"


async def test_clips_that_are_too_many_to_be_sent_at_once_are_asked_for_again(
    session: FakeSession, events: FakeEvents
) -> None:
    events.clips[1] = bytes(8_000_000)  # more than sockets take by themselves
    limits = replace(LIMITS, answer_bytes=10_000_000)
    async with Server(session, port=0, limits=limits, routes=EventRoutes(events).routes) as server:
        with StalledClient(server.port, "/api/events/1/clip"):
            await until(lambda: any(peer.buffered for peer in server.peers))
            refused = await get(server, "/api/events/1/clip")
            assert (refused.status, refused.headers["retry-after"]) == (503, "5")
            assert (await get(server, "/api/events")).status == 200
            assert (await get(server, "/api/events/1/clip", Range="bytes=0-99")).status == 206
        await until(lambda: not server.peers)
        assert len((await get(server, "/api/events/1/clip")).body) == 8_000_000


async def test_the_head_of_a_clip_tells_of_all_of_it(server: Server) -> None:
    answer = await get(server, "/api/events/1/clip", method="HEAD", Range="bytes=0-1")
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "3", b"")


@pytest.mark.parametrize("id_", ["2", "x", "-1", "1e3", "٣", "9" * 40, "%2e%2e", "1/../1"])
async def test_what_is_no_event_has_no_picture(server: Server, id_: str) -> None:
    answer = await get(server, f"/api/events/{quote(id_, safe='%/')}/picture")
    assert answer.status in (400, 404)


async def test_a_store_that_cannot_be_read_is_told_without_naming_files(server: Server, events: FakeEvents) -> None:
    events.broken = OutputError("/home/me/events.db: the disk is full")
    status, answer = await listed(server)
    assert status == 500
    async with dial(server, "/ws/control") as control:
        await hear(control)
        refused = (await ask(control, "events.remove", id=1))["error"]
        assert refused["code"] == -32002
    assert "/home" not in str(answer) + str(refused)


async def test_an_event_can_be_removed(server: Server) -> None:
    async with dial(server, "/ws/control") as control:
        await hear(control)
        assert (await ask(control, "events.remove", id=1))["result"] == {}
        assert (await ask(control, "events.remove", id=1))["error"]["code"] == -32006
        for wrong in ("1", -1, 1.5, 2**53 + 1, 2**63, 2**64, 10**30):
            assert (await ask(control, "events.remove", id=wrong))["error"]["code"] == -32602, wrong


async def test_where_nothing_is_kept_that_is_said(session: FakeSession) -> None:
    told = EventRoutes(None)
    async with Server(session, port=0, limits=LIMITS, routes=told.routes, methods=told.methods) as server:
        for path in ("", "/1/picture", "/1/clip"):
            status, answer = await listed(server, path)
            assert (status, answer["error"]["code"]) == (404, "events-off")
        async with dial(server, "/ws/control") as control:
            await hear(control)
            assert "--events" in (await ask(control, "events.remove", id=1))["error"]["message"]


async def test_who_asks_for_events_hears_of_them_between_faces(server: Server, session: FakeSession) -> None:
    async with dial(server, "/ws/faces?events=1") as asking, dial(server, "/ws/faces") as not_asking:
        for websocket in (asking, not_asking):
            assert (await hear(websocket))["type"] == "hello"
        server.tell(visit(5, source="yard"))
        session.publish(some_faces())
        message = await hear(asking)
        assert (message["type"], message["id"], message["source"]) == ("event", 5, "yard")
        assert (await hear(asking))["type"] == (await hear(not_asking))["type"] == "faces"


async def test_events_alone_come_without_faces_and_of_the_sources_asked_for(
    server: Server, session: FakeSession
) -> None:
    async with dial(server, "/ws/faces?events=only&source=door") as websocket:
        await hear(websocket)
        session.publish(some_faces())
        server.tell(visit(5, source="yard"))
        server.tell(visit(6))
        assert (await hear(websocket))["id"] == 6


async def test_events_is_a_switch(server: Server) -> None:
    async with dial(server, "/ws/faces?events=yes") as websocket:
        assert await refusal(websocket) == ("bad-parameter", 1008)


async def test_a_slow_subscriber_keeps_the_newest_events(server: Server) -> None:
    with StalledClient(server.port, "/ws/faces?events=only"):
        await until(lambda: server._fanout.statistics().subscribers == 1)
        ((subscriber,),) = [tuple(server._fanout._subscribers)]
        long = visit(1, name="x" * 5000)
        while subscriber.peer.ready:
            server.tell(long)
        for _ in range(EVENTS_WAITING + 5):
            server.tell(long)
        assert subscriber.missed == 5

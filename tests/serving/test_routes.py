from __future__ import annotations

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facestream.errors import OutputError, ProtocolError
from facestream.serving.routes import EVERY_ROLE, Answer, Query, Role, Route, RouteTable, decoded_path, implied
from facestream.serving.server import Server
from tests.serving.test_http import get


async def nothing(query: Query) -> Answer:
    return Answer.json({})


def table(*paths: str) -> RouteTable:
    return RouteTable(Route(path, Role.VIEW, nothing) for path in paths)


EVENTS = table("/api/events", "/api/events/newest", "/api/events/{id}/picture", "/api/{part}/{id}")


@pytest.mark.parametrize(
    ("path", "route", "values"),
    [
        ("/api/events", "/api/events", {}),
        ("/api/events/newest", "/api/events/newest", {}),
        ("/api/events/7", "/api/{part}/{id}", {"part": "events", "id": "7"}),
        ("/api/events/7/picture", "/api/events/{id}/picture", {"id": "7"}),
    ],
)
def test_a_path_finds_its_route(path, route, values):
    found = EVENTS.find(path)
    assert (found[0].path, found[1]) == (route, values)


@pytest.mark.parametrize("path", ["", "/", "/api", "/api/events/", "/api/events//picture", "//api/events", "/x/1/2/3"])
def test_another_path_finds_none(path):
    assert EVENTS.find(path) is None


@given(st.text(max_size=30))
def test_a_value_is_one_part_of_a_path_whatever_is_asked_for(raw):
    try:
        found = EVENTS.find(decoded_path("/api/events/" + raw))
    except ValueError:
        return
    assert found is None or all(value and "/" not in value for value in found[1].values())


@pytest.mark.parametrize("raw", ["/api/a%2Fb", "/a%2fb", "/a%00b", "/a%0d%0ab", "/%1b[31m"])
def test_no_encoding_makes_another_path(raw):
    with pytest.raises(ValueError, match="encoded slash or a control character"):
        decoded_path(raw)


def test_two_routes_for_one_path_are_a_mistake():
    with pytest.raises(ValueError, match="same path"):
        table("/a/{x}", "/a/{y}")


def test_who_may_control_may_do_everything():
    assert implied([Role.CONTROL]) == EVERY_ROLE
    assert implied([Role.VIEW, Role.PUSH]) == {Role.VIEW, Role.PUSH}


async def test_a_server_answers_routes_that_others_give_it(session):
    async def picture(query: Query) -> Answer:
        return Answer(HTTPStatus.OK, f"{query.values['id']} {query.parameters['x']}".encode(), "image/jpeg")

    async with Server(session, port=0, routes=[Route("/api/events/{id}/picture", Role.VIEW, picture)]) as server:
        answer = await get(server, "/api/events/a%20b/picture?x=1")
    assert (answer.status, answer.body) == (200, b"a b ['1']")
    assert answer.headers["content-type"] == "image/jpeg"


async def test_a_route_that_fails_says_what_was_wrong_with_the_request_only(session, caplog):
    async def refuse(query: Query) -> Answer:
        raise ProtocolError("bad-parameter", "there is no event of that number")

    async def fail(query: Query) -> Answer:
        raise OutputError("/var/lib/facestream/events.db is full")

    routes = [Route("/refuse", Role.VIEW, refuse), Route("/fail", Role.VIEW, fail)]
    async with Server(session, port=0, routes=routes) as server:
        refused = await get(server, "/refuse")
        failed = await get(server, "/fail")
    assert (refused.status, refused.json()["error"]["code"]) == (400, "bad-parameter")
    assert (failed.status, failed.json()["error"]["code"]) == (500, "failed")
    assert "events.db" not in failed.body.decode()
    assert "events.db" in caplog.text


async def test_before_it_is_ready_it_answers_health_and_pages_only(session):
    reason = "models are being loaded"
    async with Server(session, port=0, ready=lambda: reason) as server:
        assert (await get(server, "/")).status == 200
        assert (await get(server, "/health/live")).json() == {"status": "live"}
        for path in ("/health", "/health/ready"):
            answer = await get(server, path)
            assert (answer.status, answer.json()) == (503, {"status": "starting", "reason": reason})
        for path in ("/api/sources", "/ws/faces"):
            answer = await get(server, path)
            assert (answer.status, answer.json()["error"]["code"]) == (503, "starting")
        reason = ""
        assert (await get(server, "/health/ready")).json() == {"status": "ready"}
        assert (await get(server, "/api/sources")).status == 200

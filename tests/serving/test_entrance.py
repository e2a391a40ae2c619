"""What one address may ask for, and that others don't pay for it."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request

from facestream.serving.access import Access, Refusal, networks
from facestream.serving.entrance import Caller, Entrance
from facestream.serving.http import Admitted, respond
from facestream.serving.keys import Keys
from facestream.serving.limits import Limits
from facestream.serving.routes import Role
from facestream.serving.server import Server
from facestream.serving.token_file import add_token
from facestream.serving.tokens import new_token
from facestream.stream.device import Bridge
from tests.serving.test_http import get, hung_up_on

HOST = {"Host": "localhost"}
HERE, THERE, PROXY = "192.0.2.1", "192.0.2.2", "10.0.0.1"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def entrance(bridge: Bridge, clock: Clock, **limits: Any) -> Entrance:
    access = Access("127.0.0.1", proxies=networks([PROXY]))
    return Entrance(access, Keys(bridge, token="right"), Limits(**limits), clock=clock)


def shown(secret: str) -> dict[str, str]:
    return {**HOST, "Authorization": f"Bearer {secret}"}


def code(answer: Any) -> str:
    return answer.code if isinstance(answer, Refusal) else ""


def test_who_asks_too_often_waits_and_nobody_else_does(bridge, clock):
    door = entrance(bridge, clock, requests_per_second=2.0, requests_burst=3)
    assert [code(door.refuse(HERE, HOST)) for _ in range(4)] == ["", "", "", "too-many-requests"]
    refusal = door.refuse(HERE, HOST)
    assert refusal is not None
    assert (refusal.status, refusal.retry_after) == (HTTPStatus.TOO_MANY_REQUESTS, 0.5)
    assert door.refuse(THERE, HOST) is None
    clock.now = 0.5
    assert door.refuse(HERE, HOST) is None


async def test_who_tries_tokens_waits_also_with_the_right_one_and_nobody_else_does(bridge, clock):
    door = entrance(bridge, clock, wrong_tokens_per_minute=6.0, wrong_tokens_burst=2)

    async def asked(client: str, secret: str) -> str:
        return code(await door.identify(client, shown(secret), {}, Role.VIEW))

    assert [await asked(HERE, f"guess {i}") for i in range(4)] == [
        *("token-wrong", "token-wrong", "too-many-wrong-tokens", "too-many-wrong-tokens")
    ]
    assert await asked(HERE, "right") == "too-many-wrong-tokens"
    assert await asked(THERE, "right") == ""
    clock.now = 10.0
    assert await asked(HERE, "right") == ""


async def test_where_no_token_is_needed_too_many_wrong_ones_let_in_as_nobody(bridge, clock):
    door = entrance(bridge, clock, wrong_tokens_burst=1)
    for secret in ("guess", "right"):
        caller = await door.identify(HERE, shown(secret), {}, None)
        assert isinstance(caller, Caller)
        assert caller.roles == frozenset()


async def test_right_and_missing_tokens_are_no_wrong_ones(bridge, clock):
    door = entrance(bridge, clock, wrong_tokens_burst=1)
    for _ in range(10):
        assert code(await door.identify(HERE, HOST, {}, Role.VIEW)) == "token-missing"
        assert isinstance(await door.identify(HERE, shown("right"), {}, Role.CONTROL), Caller)


def test_behind_a_proxy_that_is_trusted_each_visitor_counts_alone(bridge, clock):
    door = entrance(bridge, clock)
    assert door.client(PROXY, {"X-Forwarded-For": HERE}) == HERE
    assert door.client(PROXY, {"X-Forwarded-For": f"6.6.6.6, {HERE}"}) == HERE  # the first is what a visitor wrote
    assert door.client(THERE, {"X-Forwarded-For": HERE}) == THERE
    assert door.client("2001:db8::1", {}) == door.client("2001:db8::ffff", {}) == "2001:db8::/64"


async def test_the_server_asks_the_entrance_at_every_path(session, tmp_path: Path):
    path = tmp_path / "tokens.json"
    secret, token = new_token("ada", [Role.CONTROL], now=0.0)
    add_token(path, token)
    limits = Limits(wrong_tokens_burst=1, wrong_tokens_per_minute=0.001, requests_per_second=0.001, requests_burst=4)
    async with Server(session, port=0, tokens=path, limits=limits) as server:

        async def asked(path: str, secret: str, client: str) -> Any:
            answer = await respond(server.site, Request(path, Headers(shown(secret))), client)
            return 0 if isinstance(answer, Admitted) else answer.status_code

        assert await asked("/api/sources", "guess", HERE) == 401
        for guarded in ("/api/sources", "/ws/control", "/metrics"):
            assert await asked(guarded, secret, HERE) == 429
        for any_path in ("/", "/health", "/ws/faces", "/nowhere"):
            assert await asked(any_path, secret, HERE) == 429
        assert await asked("/ws/control", secret, THERE) == 0


async def test_who_waits_is_told_how_long(session):
    async with Server(session, port=0, limits=Limits(requests_per_second=0.01, requests_burst=1)) as server:
        assert (await get(server, "/health/live")).status == 200
        refused = await get(server, "/health/live")
        assert refused.status == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 100


async def connected(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.port)


async def test_of_one_address_only_so_many_are_connected_and_a_trusted_proxy_is_not_counted(session):
    limits = Limits(connections_per_address=2)
    async with Server(session, port=0, limits=limits) as server:
        inside = [await connected(server) for _ in range(2)]
        reader, writer = await connected(server)
        assert await hung_up_on(reader)
        for _, each in (*inside, (reader, writer)):
            each.close()
    async with Server(session, port=0, limits=limits, trusted_proxies=["127.0.0.1"]) as server:
        inside = [await connected(server) for _ in range(3)]
        inside[-1][1].write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await inside[-1][0].read()).startswith(b"HTTP/1.1 200 ")
        for _, each in inside:
            each.close()

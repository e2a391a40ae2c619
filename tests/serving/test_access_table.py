"""Every path × role × state of a token, against one table."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request

from facestream.jobs.events import EventOptions, Events
from facestream.jobs.models import ModelOptions
from facestream.serving.build import build_server
from facestream.serving.http import WEBSOCKETS, Admitted, respond
from facestream.serving.limits import Limits
from facestream.serving.options import ServeOptions
from facestream.serving.pages import load_pages
from facestream.serving.routes import Role
from facestream.serving.server import Server
from facestream.serving.token_file import add_token, remove_token
from facestream.serving.tokens import as_subprotocol, new_token
from facestream.stream.device import Bridge
from facestream.testing.sessions import FakeRecognition, FakeSession, source_info
from tests.serving.conftest import ask, dial, hear

DOC = Path(__file__).parents[2] / "docs" / "security.md"

PATHS = {
    "/ and every other file of the viewer": "everybody",
    "/health": "everybody",  # with a token that may view: the sources' names and troubles, too
    "/health/live": "everybody",
    "/health/ready": "everybody",
    "/api/access": "everybody",
    "/api/sources": "view",
    "/api/events": "view",
    "/api/events/{id}/picture": "view",
    "/api/events/{id}/clip": "view",
    "/metrics": "view",
    "/ws/faces": "view",
    "/ws/push": "push",
    "/ws/control": "control",
}
"""Path → the role that it needs."""

METHODS = {
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
}
"""Of ``/ws/control``, so each needs the role control."""

MAY = {
    "view": {"everybody", "view"},
    "push": {"everybody", "push"},
    "control": {"everybody", "view", "push", "control"},
}
"""Role of a token → which of those it may have. Nobody's may: everybody."""

REFUSED = {
    "missing": (401, "token-missing"),
    "wrong": (401, "token-wrong"),
    "expired": (401, "token-expired"),
    "removed": (401, "token-wrong"),
}
"""State of a token that isn't good → the answer wherever a role is needed."""

WRONG_ROLE = (403, "wrong-role")

VIEWER = "/ and every other file of the viewer"
ROLES = tuple(MAY)
GENEROUS = Limits(requests_burst=10**6, wrong_tokens_burst=10**6)


class Served:
    """The server as ``serve`` builds it, around a fake session, and tokens in every state."""

    def __init__(self, server: Server, secrets: dict[tuple[str, str], str]) -> None:
        self.server = server
        self.secrets = secrets

    async def ask(self, path: str, **headers: str) -> tuple[int, str]:
        """The answer's status and error; 0 where a websocket may be opened."""
        given = Headers({"Host": "localhost"} | {name.replace("_", "-"): value for name, value in headers.items()})
        response = await respond(self.server.site, Request(path, given), "192.0.2.9")
        if isinstance(response, Admitted):
            return 0, ""
        code = re.search(rb'"error":{"code":"([^"]*)"', response.body)
        return response.status_code, code[1].decode() if code else ""


@pytest.fixture
async def built(bridge: Bridge, tmp_path: Path) -> Any:
    """Makes a server, with or without tokens."""
    chosen = ServeOptions(models=ModelOptions(device="cpu"), port=0, tokens=tmp_path / "tokens.json", limits=GENEROUS)

    async def answer(params: Any) -> Any:
        return {}

    async with FakeSession(bridge, source_info("door")) as session, Events.open(session, EventOptions()) as events:

        def build() -> Server:
            return build_server(
                chosen,
                session,
                FakeRecognition(("door", 7)),
                events,
                methods={"config.reload": answer},
                ready=lambda: "",
                process=lambda: (),
            )

        yield build


@pytest.fixture
async def served(built: Any, tmp_path: Path) -> Any:
    path = tmp_path / "tokens.json"
    secrets = {("wrong", role): "fs_nobodys" for role in ROLES} | {("missing", role): "" for role in ROLES}
    for state in ("good", "expired", "removed"):
        for role in ROLES:
            made = time.time() - (1000 if state == "expired" else 0)
            secrets[state, role], token = new_token(f"{role}-{state}", [Role(role)], now=made, lifetime=500)
            add_token(path, token)
    async with built() as server:
        for role in ROLES:
            remove_token(path, f"{role}-removed")
        await server.reload_tokens()
        yield Served(server, secrets)


def ways(secret: str, path: str) -> list[tuple[str, dict[str, str]]]:
    """How a token is shown: in a header, in the query, as a websocket's protocol."""
    if not secret:
        return [(path, {})]
    return [
        (path, {"Authorization": f"Bearer {secret}"}),
        (f"{path}?token={secret}", {}),
        (path, {"Sec_WebSocket_Protocol": f"facestream, {as_subprotocol(secret)}"}),
    ]


def askable(server: Server) -> dict[str, str]:
    """Every path there is → its row of the table."""
    pages = dict.fromkeys(load_pages(), VIEWER)
    routes = {route.path: route.path for route in server.site.routes.routes}
    return pages | routes | {path: path for path in WEBSOCKETS}


def concrete(path: str) -> str:
    return path.replace("{id}", "7")


async def test_the_table_has_every_path_and_method_and_no_other(served):
    assert set(askable(served.server).values()) == set(PATHS)
    assert set(served.server.control.methods) == METHODS


async def test_every_path_with_every_token_in_every_state_answers_as_the_table_says(served):
    for path, row in askable(served.server).items():
        for (state, role), secret in served.secrets.items():
            for target, headers in ways(secret, concrete(path)):
                answer = await served.ask(target, **headers)
                case = f"{target}: {state} token for {role}: {answer}"
                if PATHS[row] == "everybody":
                    assert answer == (200, ""), case
                elif state != "good":
                    assert answer == REFUSED[state], case
                elif PATHS[row] not in MAY[role]:
                    assert answer == WRONG_ROLE, case
                else:
                    assert answer[0] in (0, 200, 404), case
                    assert answer[1] in ("", "events-off"), case


async def test_where_there_are_no_tokens_everybody_is_let_in_who_comes_without_a_proxy(built):
    async with built() as server:
        served = Served(server, {})
        for path in askable(server):
            assert (await served.ask(concrete(path)))[1] in ("", "events-off"), path
            for header in ("Forwarded", "X_Forwarded_For", "X_Real_IP"):
                assert await served.ask(concrete(path), **{header: "192.0.2.1"}) == (403, "needs-tokens"), path


async def test_a_foreign_page_and_a_foreign_name_are_refused_everywhere_whatever_token_they_have(served):
    for path in askable(served.server):
        for secret in ("", served.secrets["good", "control"]):
            shown = {"Authorization": f"Bearer {secret}"}
            foreign = await served.ask(concrete(path), Origin="https://evil.example", **shown)
            assert foreign == (403, "foreign-origin"), path
            answer = await served.ask(concrete(path), **(shown | {"Host": "evil.example"}))
            assert answer == (421, "wrong-host"), path


async def test_what_a_token_may_not_open_it_does_not_open_over_a_real_socket_either(served):
    def opens(path: str, role: str) -> Any:
        return dial(served.server, path, additional_headers={"Authorization": f"Bearer {served.secrets['good', role]}"})

    for path, needs in (("/ws/faces", "view"), ("/ws/push?source=me", "push"), ("/ws/control", "control")):
        for role in ROLES:
            if needs in MAY[role]:
                async with opens(path, role) as websocket:
                    assert (await hear(websocket))["type"] == "hello"
            else:
                with pytest.raises(Exception, match="403"):
                    await opens(path, role)


async def test_who_may_control_is_answered_by_every_method(served):
    token = {"Authorization": f"Bearer {served.secrets['good', 'control']}"}
    async with dial(served.server, "/ws/control", additional_headers=token) as websocket:
        await hear(websocket)
        for method in METHODS:
            answer = await ask(websocket, method, name="x", to="y", into="y", url="push:x", source="x", track=1, id=1)
            assert answer.get("error", {}).get("code") != -32601, method


async def test_only_who_may_view_hears_from_health_what_there_is(served):
    for role in ROLES:
        headers = Headers({"Host": "localhost", "Authorization": f"Bearer {served.secrets['good', role]}"})
        answer = await respond(served.server.site, Request("/health", headers), "192.0.2.9")
        assert (b"door" in answer.body) == ("view" in MAY[role])


def rows(section: str) -> dict[str, str]:
    """A table of docs/security.md: first column → second."""
    text = DOC.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    cells = [[cell.strip().replace("`", "") for cell in line.split("|")] for line in text.splitlines()]
    table = [row for row in cells if len(row) == 5]  # of three columns, between two bars
    return {row[1]: row[2] for row in table if row[1] not in ("path", "---")}


def test_the_documentation_has_the_same_table():
    told = rows("Who may do what")
    assert {path: told.get(path) for path in PATHS} == PATHS
    assert set(told) - set(PATHS) == set()
    text = DOC.read_text()
    assert [method for method in METHODS if f"`{method}`" not in text] == []

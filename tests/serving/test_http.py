from __future__ import annotations

import asyncio
import json
import logging

import pytest
from websockets.exceptions import InvalidStatus

from facestream.serving.http import Target
from facestream.serving.limits import Limits
from facestream.serving.pages import load_pages
from facestream.serving.server import Server
from facestream.stream.types import SourceState
from facestream.testing.clients import handshake
from facestream.testing.sessions import some_faces
from tests.serving.conftest import PATIENCE, dial, hear

TOKEN = "correct-horse"


class Answer:
    """A raw HTTP response."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(status.split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    def json(self):
        return json.loads(self.body)


async def send(server: Server, data: bytes) -> Answer:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(data)
    try:
        return Answer(await asyncio.wait_for(reader.read(), PATIENCE))
    finally:
        writer.close()
        await writer.wait_closed()


async def get(server: Server, path: str, method: str = "GET", **headers: str) -> Answer:
    lines = {"Host": f"127.0.0.1:{server.port}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return await send(server, f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1"))


async def hung_up_on(reader: asyncio.StreamReader) -> bool:
    """Whether the server ends the connection without a word."""
    try:
        return await asyncio.wait_for(reader.read(), PATIENCE) == b""
    except ConnectionResetError:
        return True


@pytest.fixture
async def locked(session):
    async with Server(session, port=0, token=TOKEN) as server:
        yield server


async def test_the_viewer_and_its_files_come_with_strict_headers(server):
    page = await get(server, "/")
    assert page.status == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert {"default-src 'none'", "script-src 'self'", "connect-src 'self'"} <= set(policy.split("; "))
    assert not any(word in policy for word in ("unsafe", "data:", "ws:", "*"))
    assert page.headers["x-content-type-options"] == "nosniff"
    assert int(page.headers["content-length"]) == len(page.body) > 0


async def test_every_file_of_the_viewer_has_a_content_type(server):
    pages = load_pages()
    assert {path.rpartition(".")[2] for path in pages} >= {"html", "js", "css"}
    for path, page in pages.items():
        answer = await get(server, path)
        assert (answer.status, answer.body, answer.headers["content-type"]) == (200, page.body, page.content_type)


async def test_a_file_that_has_not_changed_is_not_sent_again(server):
    etag = (await get(server, "/")).headers["etag"]
    again = await get(server, "/", If_None_Match=f'"other", {etag}')
    assert (again.status, again.body) == (304, b"")
    assert (await get(server, "/", If_None_Match='"other"')).status == 200


async def test_head_is_get_without_the_body(server):
    for path in ("/", "/health", "/api/sources"):
        answer = await get(server, path, "HEAD")
        assert (answer.status, answer.body) == (200, b"")
        assert int(answer.headers["content-length"]) > 0


@pytest.mark.parametrize(
    "path", ["/nothing", "/../pyproject.toml", "/%2e%2e/server.py", "/__init__.py", "//health", "/ws"]
)
async def test_what_is_not_there_is_not_found(server, path):
    answer = await get(server, path)
    assert (answer.status, answer.json()["error"]["code"]) == (404, "not-found")


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "OPTIONS"])
async def test_only_reading_is_possible(server, method):
    answer = await get(server, "/health", method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_a_websocket_path_without_a_websocket_says_so(server):
    assert (await get(server, "/ws/faces")).status == 426


async def test_health_says_how_it_is(server, session):
    answer = await get(server, "/health")
    assert (answer.status, answer.json()["status"]) == (200, "ok")
    assert answer.json()["sources"]["door"]["state"] == "live"
    assert answer.headers["cache-control"] == "no-store"


async def test_health_fails_when_no_source_works(server, session):
    for name in ("door", "yard"):
        session.change(name, SourceState.DEGRADED, "no route to host")
    answer = await get(server, "/health")
    assert (answer.status, answer.json()["status"]) == (503, "failing")


async def test_sources_as_json(server):
    sources = (await get(server, "/api/sources")).json()
    assert [source["name"] for source in sources] == ["door", "yard"]
    assert sources[0]["size"] == [640, 480]


async def test_metrics_for_prometheus(server, session):
    from prometheus_client.parser import text_string_to_metric_families

    async with dial(server, "/ws/faces") as websocket:
        await hear(websocket)
        session.publish(some_faces(0, count=3))
        await hear(websocket)
        answer = await get(server, "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }
    assert samples["facestream_source_frames_captured_total", ("source", "door")] == 100
    assert samples["facestream_source_faces_total", ("source", "door")] == 3
    assert samples["facestream_subscribers", ("group", "faces")] == 1


async def test_two_servers_in_one_process_have_metrics_of_their_own(server, session):
    async with Server(session, port=0) as other:
        assert (await get(other, "/metrics")).status == (await get(server, "/metrics")).status == 200


# the token


@pytest.mark.parametrize("path", ["/api/sources", "/metrics", "/ws/faces", "/ws/push?source=x", "/ws/control"])
async def test_with_a_token_every_websocket_and_api_path_asks_for_it(locked, path):
    for given in ("", "wrong"):
        answer = await get(locked, path, Authorization=f"Bearer {given}")
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["error"]["message"]
    assert (await get(locked, path, Authorization=f"Bearer {TOKEN}")).status != 401
    joint = "&" if "?" in path else "?"
    assert (await get(locked, f"{path}{joint}token={TOKEN}")).status != 401


async def test_a_websocket_opens_with_the_token_only(locked):
    for path in ("/ws/faces", "/ws/faces?token=wrong"):
        with pytest.raises(InvalidStatus, match="401"):
            async with dial(locked, path):
                pass
    async with dial(locked, f"/ws/faces?token={TOKEN}") as websocket:
        assert (await hear(websocket))["type"] == "hello"
    async with dial(locked, "/ws/control", additional_headers={"Authorization": f"Bearer {TOKEN}"}) as websocket:
        assert (await hear(websocket))["type"] == "hello"


async def test_the_page_loads_without_the_token_so_that_it_can_ask(locked):
    for path in load_pages():
        assert (await get(locked, path)).status == 200


async def test_health_without_the_token_tells_no_details(locked):
    assert (await get(locked, "/health")).json() == {"status": "ok"}
    assert "sources" in (await get(locked, "/health", Authorization=f"Bearer {TOKEN}")).json()


async def test_the_token_is_never_logged(session, caplog):
    caplog.set_level(logging.DEBUG)
    async with Server(session, port=0, token=TOKEN) as server:
        async with dial(server, f"/ws/faces?token={TOKEN}", logger=logging.getLogger("quiet")) as websocket:
            await hear(websocket)
        await get(server, f"/api/sources?token={TOKEN}")
        await get(server, "/metrics", Authorization=f"Bearer {TOKEN}")
        await get(server, f"/ws/nothing?token={TOKEN}", Authorization=f"Bearer {TOKEN}x")
        await get(server, f"/metrics?token={TOKEN}x")
    ours = [record for record in caplog.records if record.name != "quiet"]
    assert any("token-wrong" in record.getMessage() for record in ours)
    assert not any(TOKEN in record.getMessage() for record in ours)


async def test_whoever_asks_in_vain_again_and_again_does_not_fill_the_log(locked, caplog):
    for _ in range(50):
        assert (await get(locked, "/api/sources")).status == 401
    assert 0 < caplog.text.count("refused 127.0.0.1") <= 25


@pytest.mark.parametrize(
    ("path", "headers", "told"),
    [
        ("/metrics", {}, "/metrics: token-missing"),
        ("/api/sources?token=wr0ng", {}, "/api/sources: token-wrong"),
        ("/ws/control?token=wr0ng", {}, "/ws/control: token-wrong"),
        ("/forged%0Aline?token=wr0ng", {"Origin": "https://evil.example"}, "something else: foreign-origin"),
    ],
)
async def test_the_log_says_what_was_refused_and_why_in_our_words(locked, caplog, path, headers, told):
    await get(locked, path, **headers)
    (line,) = caplog.messages
    assert line.startswith("refused 127.0.0.1:")
    assert line.endswith(f": {told}")


# who asks


async def test_a_foreign_page_opens_no_websocket(server):
    with pytest.raises(InvalidStatus, match="403"):
        async with dial(server, "/ws/faces", origin="https://evil.example"):
            pass


async def test_our_own_page_does(server):
    async with dial(server, "/ws/faces", origin=f"http://127.0.0.1:{server.port}") as websocket:
        assert (await hear(websocket))["type"] == "hello"


async def test_an_allowed_page_does(session):
    async with (
        Server(session, port=0, allow_origins=["https://app.example"]) as server,
        dial(server, "/ws/faces", origin="https://app.example") as websocket,
    ):
        assert (await hear(websocket))["type"] == "hello"


async def test_a_name_that_is_not_ours_is_refused_on_loopback(server):
    answer = await get(server, "/api/sources", Host="evil.example")
    assert (answer.status, answer.json()["error"]["code"]) == (421, "wrong-host")
    assert (await send(server, handshake("/ws/faces", Host="evil.example"))).status == 421


# what is not HTTP


async def test_a_query_of_too_many_parameters_is_refused(server):
    assert (await get(server, "/ws/faces?" + "&".join(["a=1"] * 100))).status == 400


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x02\x00\x01", b"hello\r\n\r\n", b"GET\r\n\r\n", b"\r\n\r\n"])
async def test_what_is_not_http_is_hung_up_on(server, data):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(data + b"\r\n\r\n")
    assert await hung_up_on(reader)
    writer.close()


async def test_a_request_that_never_ends_is_hung_up_on(session):
    async with Server(session, port=0, limits=Limits(open_timeout=0.1)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: ")
        assert await hung_up_on(reader)
        writer.close()


async def test_connections_are_limited(session):
    async with Server(session, port=0, limits=Limits(connections=2)) as server:
        idle = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        assert await hung_up_on(reader)
        for _, each in (*idle, (reader, writer)):
            each.close()


def test_targets_are_decoded():
    assert Target.parse("/ws/faces?source=a%20b&source=c&x=") == Target(
        "/ws/faces", {"source": ["a b", "c"], "x": [""]}
    )

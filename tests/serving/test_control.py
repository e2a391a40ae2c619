from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facestream.errors import ProtocolError
from facestream.serving.allowed import AllowedSources
from facestream.serving.control import Control, check_depth
from facestream.serving.people import PeopleMethods
from facestream.serving.server import Server
from facestream.testing.sessions import FakeSession, some_faces, source_info
from tests.serving.conftest import LIMITS, ask, dial, hear, refusal


async def error_of(websocket, text: str) -> tuple[int, object]:
    await websocket.send(text)
    response = await hear(websocket)
    assert response["error"]["message"]
    return response["error"]["code"], response["id"]


async def test_sources_come_and_go(server):
    async with dial(server, "/ws/control") as websocket:
        assert (await hear(websocket))["type"] == "hello"
        added = await ask(websocket, "sources.add", url="rtsp://10.0.0.5/stream", name="pond")
        assert (added["id"], added["result"]["name"], added["result"]["state"]) == (1, "pond", "connecting")
        listed = await ask(websocket, "sources.list", "two")
        assert (listed["id"], [source["name"] for source in listed["result"]]) == ("two", ["door", "yard", "pond"])
        assert (await ask(websocket, "sources.remove", name="pond"))["result"] == {}
        assert len((await ask(websocket, "sources.list"))["result"]) == 2


async def test_a_source_is_added_with_options_of_its_own(server, session):
    async with dial(server, "/ws/control") as websocket:
        await hear(websocket)
        options = {"max_rate": 5, "region": [0, 0, 0.5, 1], "detect_every": 3, "rtsp_transport": "udp", "clips": False}
        added = (await ask(websocket, "sources.add", url="rtsp://10.0.0.5/x", name="pond", **options))["result"]
    assert {name: added["options"][name] for name in options} == options
    assert added["options"]["read_timeout"] == session.options.read_timeout


async def test_a_source_is_changed_and_keeps_what_is_not_mentioned(server, session):
    async with dial(server, "/ws/control") as websocket, dial(server, "/ws/faces") as subscriber:
        await hear(websocket), await hear(subscriber)
        await ask(websocket, "sources.update", name="door", max_rate=5, detect_every="auto")
        changed = (await ask(websocket, "sources.update", name="door", max_rate=None, region=[0, 0, 1, 0.5]))["result"]
        told = [await hear(subscriber) for _ in range(2)]
    assert (changed["options"]["max_rate"], changed["options"]["detect_every"]) == (None, "auto")
    assert changed["options"]["region"] == [0, 0, 1, 0.5]
    assert (changed["url"], changed["since"]) == (session.sources()[0].url, session.sources()[0].since)
    assert [status["options"]["max_rate"] for status in told] == [5, None]


async def test_a_url_as_it_was_shown_is_no_change(server, session):
    async with dial(server, "/ws/control") as websocket:
        await hear(websocket)
        shown = session.sources()[1].url  # a webcam, which couldn't be added over the network
        assert "result" in await ask(websocket, "sources.update", name="yard", url=shown, max_rate=5)
        refused = await ask(websocket, "sources.update", name="yard", url="webcam:1")
        assert refused["error"]["code"] == -32002
        moved = await ask(websocket, "sources.update", name="yard", url="rtsp://10.0.0.5/x")
        assert moved["result"]["url"] == "rtsp://10.0.0.5/x"


async def test_a_source_is_started_again(server):
    async with dial(server, "/ws/control") as websocket:
        await hear(websocket)
        assert (await ask(websocket, "sources.restart", name="door"))["result"]["state"] == "connecting"


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("sources.update", {"name": "pond"}, -32001),
        ("sources.restart", {"name": "pond"}, -32001),
        ("sources.update", {}, -32602),
        ("sources.update", {"name": "door", "max_rate": "fast"}, -32602),
        ("sources.update", {"name": "door", "region": [0, 0, 1]}, -32602),
        ("sources.update", {"name": "door", "rtsp_transport": "sctp"}, -32602),
        ("sources.update", {"name": "door", "colour": "red"}, -32602),
        ("sources.update", {"name": "door", "max_rate": -1}, -32002),
        ("sources.update", {"name": "door", "region": [0, 0, 2, 2]}, -32002),
        ("sources.update", {"name": "door", "detect_every": 0}, -32002),
        ("sources.update", {"name": "door", "url": "/etc/passwd"}, -32002),
        ("sources.update", {"name": "door", "url": "rtsp://nowhere"}, -32003),
        ("sources.add", {"url": "rtsp://10.0.0.5/x", "read_timeout": 1e9}, -32002),
    ],
)
async def test_a_change_that_is_impossible_is_refused_and_changes_nothing(server, session, method, params, code):
    before = session.sources()
    async with dial(server, "/ws/control") as websocket:
        await hear(websocket)
        assert (await ask(websocket, method, **params))["error"]["code"] == code
    assert session.sources() == before


async def test_statistics(server, session):
    async with dial(server, "/ws/control") as websocket, dial(server, "/ws/faces") as subscriber:
        await hear(websocket), await hear(subscriber)
        session.publish(some_faces())
        await hear(subscriber)
        result = (await ask(websocket, "statistics"))["result"]
    assert [source["captured"] for source in result["sources"]] == [100, 100]
    assert result["server"]["sent"] == 1
    assert len(result["subscribers"]) == 1
    assert result["stages"][0]["name"] == "yunet"


@pytest.mark.parametrize(
    ("text", "code", "request_id"),
    [
        ("{", -32700, None),
        ("", -32700, None),
        ("NaN", -32700, None),
        ('"hello"', -32600, None),
        ("{}", -32600, None),
        ('{"jsonrpc": "1.0", "id": 1, "method": "statistics"}', -32600, 1),
        ('{"jsonrpc": "2.0", "id": 1, "method": 5}', -32600, 1),
        ('{"jsonrpc": "2.0", "id": [1], "method": "statistics"}', -32600, None),
        ('{"jsonrpc": "2.0", "id": true, "method": "statistics"}', -32600, None),
        ('{"jsonrpc": "2.0", "id": 2, "method": "sources.shout"}', -32601, 2),
        ('{"jsonrpc": "2.0", "id": 3, "method": "sources.add"}', -32602, 3),
        ('{"jsonrpc": "2.0", "id": 3, "method": "sources.add", "params": ["rtsp://x"]}', -32602, 3),
        ('{"jsonrpc": "2.0", "id": 3, "method": "sources.add", "params": {"url": 5}}', -32602, 3),
        ('{"jsonrpc": "2.0", "id": 3, "method": "sources.add", "params": {"url": "rtsp://x", "x": 1}}', -32602, 3),
        ('{"jsonrpc": "2.0", "id": 3, "method": "sources.list", "params": {"x": 1}}', -32602, 3),
        ('{"jsonrpc": "2.0", "id": 4, "method": "sources.remove", "params": {"name": "pond"}}', -32001, 4),
        ('{"jsonrpc": "2.0", "id": 5, "method": "sources.add", "params": {"url": "rtsp://nowhere"}}', -32003, 5),
        ("[]", -32600, None),
        ("[1,2,3,4,5]", -32600, None),
    ],
)
async def test_a_bad_request_gets_the_right_error_and_the_connection_stays(server, text, code, request_id):
    async with dial(server, "/ws/control") as websocket:
        await hear(websocket)
        assert await error_of(websocket, text) == (code, request_id)
        assert "result" in await ask(websocket, "sources.list")


@pytest.mark.parametrize(
    "url",
    [
        "/etc/passwd",
        "file:///etc/passwd",
        "/dev/video0",
        "webcam:0",
        "device:lavfi:testsrc",
        "x=/etc/passwd",
        "x=webcam:0",
        "concat:/etc/passwd",
        " /etc/passwd",
        "ftp://host/x",
        "push:../../x",
    ],
)
async def test_nothing_of_this_machine_can_be_added_over_the_network(server, session, url):
    async with dial(server, "/ws/control") as websocket:
        await hear(websocket)
        response = await ask(websocket, "sources.add", url=url, name="pond")
        assert response["error"]["code"] == -32002
    assert len(session.sources()) == 2


@pytest.mark.parametrize("url", ["rtsp://h/x", "RTSPS://h/x", "http://h/x.mjpg", "https://h/x.m3u8", "push:me"])
async def test_cameras_on_the_network_can(server, url):
    async with dial(server, "/ws/control") as websocket:
        await hear(websocket)
        assert (await ask(websocket, "sources.add", url=url, name="pond"))["result"]["name"] == "pond"


async def test_local_sources_can_be_allowed(session):
    async with Server(session, port=0, allow_local_sources=True) as server, dial(server, "/ws/control") as websocket:
        await hear(websocket)
        assert "result" in await ask(websocket, "sources.add", url="webcam:0", name="desk")


@pytest.mark.parametrize("name", ["", "a/b", "x" * 65, "..", "a\nb"])
async def test_a_name_must_be_one(server, name):
    async with dial(server, "/ws/control") as websocket:
        await hear(websocket)
        assert (await ask(websocket, "sources.add", url="rtsp://h/x", name=name))["error"]["code"] == -32002


async def test_a_name_that_is_taken_and_a_source_too_many_are_refused(server):
    async with dial(server, "/ws/control") as websocket:
        await hear(websocket)
        assert (await ask(websocket, "sources.add", url="rtsp://h/x", name="door"))["error"]["code"] == -32002
        for name in ("a", "b", "c"):
            assert "result" in await ask(websocket, "sources.add", url="rtsp://h/x", name=name)
        refused = await ask(websocket, "sources.add", url="rtsp://h/x", name="d")
        assert "5 sources" in refused["error"]["message"]


async def test_a_password_in_an_added_url_is_never_repeated(server):
    async with dial(server, "/ws/control") as websocket:
        await hear(websocket)
        for url in ("ftp://me:hunter2@h/x", "rtsp://me:hunter2@h/ x", "rtsp://me:hunter2@h/x"):
            assert "hunter2" not in json.dumps(await ask(websocket, "sources.add", url=url, name="door"))


async def test_a_batch_is_answered_as_one_without_its_notifications(server):
    requests = [
        {"jsonrpc": "2.0", "id": 1, "method": "sources.list"},
        {"jsonrpc": "2.0", "method": "sources.list"},
        {"jsonrpc": "2.0", "id": 2, "method": "nope"},
        7,
    ]
    async with dial(server, "/ws/control") as websocket:
        await hear(websocket)
        await websocket.send(json.dumps(requests))
        responses = json.loads(await websocket.recv())
    assert [response["id"] for response in responses] == [1, 2, None]
    assert ["result" in response for response in responses] == [True, False, False]


async def test_notifications_are_done_and_not_answered(server, session):
    async with dial(server, "/ws/control") as websocket:
        await hear(websocket)
        await websocket.send('{"jsonrpc": "2.0", "method": "sources.remove", "params": {"name": "door"}}')
        await websocket.send('{"jsonrpc": "2.0", "method": "sources.remove", "params": {"name": "door"}}')
        await websocket.send('[{"jsonrpc": "2.0", "method": "nope"}]')
        assert len((await ask(websocket, "sources.list", 9))["result"]) == 1


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("[" * 9 + "]" * 9, ("too-deep", 1008)),
        ("[" * 30_000, ("too-deep", 1008)),
        ('{"a":' * 10_000, ("too-deep", 1008)),
        (b"{}", ("not-text", 1003)),
        ("x" * 70_000, ("too-big", 1009)),
    ],
    ids=["deep", "very deep", "deep objects", "binary", "big"],
)
async def test_what_is_over_the_limits_is_told_before_the_close(server, message, expected):
    async with dial(server, "/ws/control") as websocket:
        await hear(websocket)
        await websocket.send(message)
        assert await refusal(websocket) == expected


async def test_text_that_is_not_utf8_is_told_before_the_close(server):
    async with dial(server, "/ws/control") as websocket:
        await hear(websocket)
        await websocket.send(b"\xff\xfe", text=True)
        assert await refusal(websocket) == ("not-utf8", 1007)


async def test_no_parameters_here(server):
    async with dial(server, "/ws/control?source=door") as websocket:
        assert await refusal(websocket) == ("bad-parameter", 1008)


def test_brackets_in_strings_are_not_depth():
    check_depth(json.dumps({"a": "[" * 100 + '\\"' + "{" * 100}), 2)
    with pytest.raises(ProtocolError):
        check_depth('"]]]]" [[[', 2)


@settings(max_examples=100)
@given(
    st.text(max_size=60) | st.recursive(st.none() | st.booleans() | st.text() | st.floats(), st.lists).map(json.dumps)
)
def test_no_text_breaks_the_server(text):
    import asyncio

    async def answer() -> None:
        session = FakeSession(None, source_info())  # type: ignore[arg-type]
        control = Control(session, LIMITS, dict, PeopleMethods(), allowed=AllowedSources())
        try:
            response = await control.answer(text)
        except ProtocolError:
            return
        assert response is None or json.loads(response)

    asyncio.run(answer())

from __future__ import annotations

import logging

import pytest

from facestream.errors import FileFormatError
from facestream.serving.server import Server
from facestream.testing.sessions import FakeRecognition
from tests.serving.conftest import LIMITS, ask, dial, hear
from tests.serving.test_schema import check

REASON = "nobody is recognised: start the server with --identity sface"


@pytest.fixture
def recognition() -> FakeRecognition:
    """Knows the face 7 at the door."""
    return FakeRecognition(("door", 7))


@pytest.fixture
async def server(session, recognition):
    async with Server(session, port=0, limits=LIMITS, recognition=recognition) as server:
        yield server


@pytest.fixture
async def control(server):
    async with dial(server, "/ws/control") as websocket:
        await hear(websocket)
        yield websocket


async def error(websocket, method: str, **params: object) -> int:
    failed = (await ask(websocket, method, **params))["error"]
    assert failed["message"]
    return failed["code"]


async def test_hello_says_by_what_people_are_recognised(server):
    for path in ("/ws/faces", "/ws/control", "/ws/push?source=me"):
        async with dial(server, path) as websocket:
            hello = await hear(websocket)
        assert hello["recognition"] == {"on": True, "model": "fake-identity", "reason": ""}
        check(hello, "HelloMessage")


async def test_hello_says_why_nobody_is_recognised(session):
    async with Server(session, port=0, unrecognised=REASON) as server, dial(server, "/ws/faces") as websocket:
        assert (await hear(websocket))["recognition"] == {"on": False, "model": None, "reason": REASON}


async def test_a_face_is_named_and_learnt_better(control):
    assert (await ask(control, "people.list"))["result"] == []
    for _ in range(2):
        assert (await ask(control, "people.name", source="door", track=7, name="ada"))["result"] == {}
    assert (await ask(control, "people.list"))["result"] == [{"name": "ada", "looks": 2}]


async def test_people_are_renamed_merged_and_forgotten(control, recognition):
    recognition.people = {"ada": 1, "ada l": 2, "bob": 3}
    assert (await ask(control, "people.merge", name="ada l", into="ada"))["result"] == {}
    assert (await ask(control, "people.rename", name="bob", to="rob"))["result"] == {}
    assert recognition.people == {"ada": 3, "rob": 3}
    assert (await ask(control, "people.remove", name="ada"))["result"] == {}
    assert recognition.people == {"rob": 3}


async def test_a_face_that_is_not_there_cannot_be_named(control, recognition):
    assert await error(control, "people.name", source="door", track=8, name="ada") == -32004
    assert await error(control, "people.name", source="yard", track=7, name="ada") == -32004
    assert not recognition.people


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("people.remove", {"name": "eve"}),
        ("people.rename", {"name": "eve", "to": "ada"}),
        ("people.rename", {"name": "ada", "to": "bob"}),
        ("people.merge", {"name": "ada", "into": "eve"}),
    ],
)
async def test_what_the_gallery_refuses_is_refused_in_its_words(control, recognition, method, params):
    recognition.people = {"ada": 1, "bob": 1}
    assert await error(control, method, **params) == -32002
    assert recognition.people == {"ada": 1, "bob": 1}


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("people.list", {"name": "ada"}),
        ("people.name", {"source": "door", "track": "7", "name": "ada"}),
        ("people.name", {"source": "door", "track": 7}),
        ("people.name", {"source": "door", "track": 7, "name": ""}),
        ("people.name", {"source": "door", "track": 7, "name": "x" * 1001}),
        ("people.rename", {"name": "ada"}),
        ("people.remove", {}),
        ("people.merge", {"name": "ada"}),
    ],
)
async def test_params_have_to_be_right(control, method, params):
    assert await error(control, method, **params) == -32602


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("people.list", {}),
        ("people.name", {"source": "door", "track": 7, "name": "ada"}),
        ("people.rename", {"name": "ada", "to": "eve"}),
        ("people.remove", {"name": "ada"}),
        ("people.merge", {"name": "ada", "into": "eve"}),
    ],
)
async def test_where_nobody_is_recognised_every_request_says_why(session, method, params):
    async with Server(session, port=0, unrecognised=REASON) as server, dial(server, "/ws/control") as websocket:
        await hear(websocket)
        assert (await ask(websocket, method, **params))["error"] == {"code": -32005, "message": REASON}


async def test_a_damaged_gallery_is_told_without_saying_where_it_lies(session, caplog):
    broken = FakeRecognition(("door", 7), broken=FileFormatError("/home/ada/people.db: is damaged"))
    async with Server(session, port=0, recognition=broken) as server, dial(server, "/ws/control") as websocket:
        await hear(websocket)
        with caplog.at_level(logging.ERROR):
            failed = (await ask(websocket, "people.name", source="door", track=7, name="ada"))["error"]
    assert failed["code"] == -32002
    assert "/home" not in failed["message"]
    assert "/home/ada/people.db" in caplog.text


async def test_naming_needs_the_token_like_every_other_request(session, recognition):
    async with Server(session, port=0, recognition=recognition, token="sesame") as server:
        with pytest.raises(Exception, match="401"):
            async with dial(server, "/ws/control"):
                pass
        async with dial(server, "/ws/control?token=sesame") as websocket:
            await hear(websocket)
            assert (await ask(websocket, "people.list"))["result"] == []

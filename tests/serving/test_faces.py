from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from websockets.exceptions import InvalidStatus

from facestream.stream.types import SourceState
from facestream.testing.sessions import some_faces, source_info
from tests.serving.conftest import dial, hear, refusal, until


def unpack(message: bytes) -> tuple[dict, np.ndarray]:
    length = int.from_bytes(message[:4], "big")
    picture = cv2.imdecode(np.frombuffer(message[4 + length :], np.uint8), cv2.IMREAD_COLOR)
    return json.loads(message[4 : 4 + length]), picture


async def test_hello_comes_first_with_every_source(server):
    async with dial(server, "/ws/faces") as websocket:
        hello = await hear(websocket)
    assert (hello["type"], hello["protocol"]) == ("hello", 1)
    assert [(source["name"], source["state"]) for source in hello["sources"]] == [("door", "live"), ("yard", "live")]


async def test_one_message_a_frame(server, session):
    async with dial(server, "/ws/faces") as websocket:
        await hear(websocket)
        for seq in range(3):
            session.publish(some_faces(seq, count=seq))
            message = await hear(websocket)
            assert (message["type"], message["seq"], len(message["faces"])) == ("faces", seq, seq)
            assert message["latency_ms"] >= 0


async def test_drops_before_the_model_are_told(server, session):
    async with dial(server, "/ws/faces") as websocket:
        await hear(websocket)
        session.publish(some_faces(0))
        session.publish(some_faces(4, dropped=3))
        assert [(await hear(websocket))["dropped"] for _ in range(2)] == [0, 3]


async def test_only_the_sources_asked_for(server, session):
    async with dial(server, "/ws/faces?source=yard&source=pond") as websocket:
        await hear(websocket)
        for source in ("door", "yard", "pond"):
            session.publish(some_faces(source=source))
        assert [(await hear(websocket))["source"] for _ in range(2)] == ["yard", "pond"]


async def test_only_the_fields_asked_for(server, session):
    async with dial(server, "/ws/faces?fields=track,box") as websocket:
        await hear(websocket)
        session.publish(some_faces())
        assert (await hear(websocket))["faces"] == [{"track": 0, "box": [10.0, 12.0, 40.0, 44.0]}]


async def test_a_rate_thins_and_tells(server, session):
    now = 100.0
    session.hub.clock = lambda: now
    async with dial(server, "/ws/faces?fps=5") as websocket:
        await hear(websocket)
        for seq in range(11):
            now = 100 + seq / 25
            session.publish(some_faces(seq))
        heard = [await hear(websocket) for _ in range(3)]
    assert sum(1 + message["dropped"] for message in heard) == heard[-1]["seq"] + 1
    assert heard[-1]["seq"] - heard[0]["seq"] == 10


async def test_subscribers_of_different_forms_all_get_theirs(server, session):
    async with dial(server, "/ws/faces") as all_of_it, dial(server, "/ws/faces?fields=box") as boxes:
        await hear(all_of_it), await hear(boxes)
        session.publish(some_faces())
        assert "landmarks" in (await hear(all_of_it))["faces"][0]
        assert "landmarks" not in (await hear(boxes))["faces"][0]


async def test_pictures_are_of_that_very_frame(server, session):
    async with dial(server, "/ws/faces?frames=jpeg&source=door") as websocket:
        await hear(websocket)
        for seq, level in enumerate((20, 200)):
            faces = some_faces(seq)
            faces.frame.image[:] = level
            session.publish(faces)
            message, picture = unpack(await websocket.recv())
            assert message["seq"] == seq
            assert picture.shape == (48, 64, 3)
            assert abs(int(picture.mean()) - level) <= 2


@pytest.mark.parametrize(("width", "expected"), [(32, (24, 32, 3)), (1920, (48, 64, 3))])
async def test_pictures_are_scaled_down_and_never_up(server, session, width, expected):
    async with dial(server, f"/ws/faces?frames=jpeg&width={width}") as websocket:
        await hear(websocket)
        session.publish(some_faces())
        message, picture = unpack(await websocket.recv())
        assert picture.shape == expected
        assert message["size"] == [64, 48]


async def test_a_picture_is_encoded_once_for_all_who_look_and_not_at_all_for_nobody(server, session):
    session.publish(some_faces())
    async with dial(server, "/ws/faces?frames=jpeg") as one, dial(server, "/ws/faces?frames=jpeg&fields=box") as other:
        await hear(one), await hear(other)
        session.publish(some_faces(1))
        await one.recv(), await other.recv()
    assert server.statistics()["server"]["pictures"] == 1


async def test_when_encoding_is_slower_than_the_source_the_newest_wins(server, session):
    async with dial(server, "/ws/faces?frames=jpeg") as websocket:
        await hear(websocket)
        for seq in range(50):  # without giving the encoder a turn
            session.publish(some_faces(seq))
        message, _ = unpack(await websocket.recv())
        assert (message["seq"], message["dropped"]) == (49, 49)


async def test_a_change_of_state_is_told_to_everybody(server, session):
    async with dial(server, "/ws/faces?source=yard") as websocket:
        await hear(websocket)
        session.change("door", SourceState.DEGRADED, "connection refused")
        status = await hear(websocket)
    assert (status["type"], status["name"], status["state"]) == ("status", "door", "degraded")
    assert (status["reason"], status["removed"]) == ("connection refused", False)


async def test_a_new_and_a_removed_source_are_told(server, session):
    async with dial(server, "/ws/faces") as websocket:
        await hear(websocket)
        await session.add_source("rtsp://pond")
        await session.remove_source("pond")
        heard = [await hear(websocket) for _ in range(3)]
    assert [(status["name"], status["state"], status["removed"]) for status in heard] == [
        ("pond", "connecting", False),
        ("pond", "stopped", False),
        ("pond", "stopped", True),
    ]


async def test_a_source_that_came_back_under_its_name_starts_a_new_account(server, session):
    async with dial(server, "/ws/faces?source=yard") as websocket:
        await hear(websocket)
        session.publish(some_faces(7, source="yard"))
        await session.remove_source("yard")
        session.publish(some_faces(0, source="yard"))
        heard = [await hear(websocket) for _ in range(4)]
    assert [message["dropped"] for message in heard if message["type"] == "faces"] == [0, 0]


@pytest.mark.parametrize("message", ["{", "{}", b"\x00"])
async def test_a_subscriber_that_talks_is_told_where_to(server, message):
    async with dial(server, "/ws/faces") as websocket:
        await websocket.send(message)
        assert await refusal(websocket) == ("unexpected-message", 1008)


@pytest.mark.parametrize("query", ["fps=fast", "width=0", "frames=gif", "fields=nose", "sources=door", "fps=1&fps=2"])
async def test_a_bad_parameter_is_told_before_the_close(server, query):
    async with dial(server, f"/ws/faces?{query}") as websocket:
        assert await refusal(websocket) == ("bad-parameter", 1008)


async def test_a_subscriber_too_many_is_told_before_the_close(server):
    connections = [await dial(server, "/ws/faces") for _ in range(server.limits.subscribers)]
    async with dial(server, "/ws/faces") as websocket:
        assert await refusal(websocket) == ("too-many-subscribers", 1013)
    await connections.pop().close()
    await until(lambda: server.statistics()["server"]["websockets"] < server.limits.subscribers)
    async with dial(server, "/ws/faces") as websocket:
        assert (await hear(websocket))["type"] == "hello"
    for connection in connections:
        await connection.close()


async def test_broken_websocket_frames_are_told_before_the_close(server):
    async with dial(server, "/ws/faces") as websocket:
        websocket.transport.write(b"\xf1\x80\0\0\0\0")  # reserved bits
        assert await refusal(websocket) == ("bad-websocket", 1002)


async def test_an_unknown_path_is_not_a_websocket(server):
    with pytest.raises(InvalidStatus, match="404"):
        async with dial(server, "/ws/nothing"):
            pass


async def test_statistics_say_who_listens_and_what_they_got(server, session):
    async with dial(server, "/ws/faces?source=door") as websocket:
        await hear(websocket)
        session.publish(some_faces(0))
        session.publish(some_faces(3, dropped=2))
        await hear(websocket), await hear(websocket)
        (subscriber,) = server.statistics()["subscribers"]
    assert (subscriber["sources"], subscriber["sent"], subscriber["skipped"]) == (["door"], 2, 2)
    await until(lambda: not server.statistics()["subscribers"])
    assert server.statistics()["server"]["sent"] == 2


async def test_no_message_is_lost_or_out_of_order_at_a_subscriber_that_keeps_up(server, session):
    async with dial(server, "/ws/faces") as websocket:
        await hear(websocket)
        reader = asyncio.ensure_future(collect(websocket, 300))
        for seq in range(300):
            session.publish(some_faces(seq))
            await asyncio.sleep(0.001)
        heard = await reader
    assert [message["seq"] for message in heard] == list(range(300))
    assert not any(message["dropped"] for message in heard)


async def collect(websocket, count):
    return [await hear(websocket) for _ in range(count)]


def test_an_unknown_size_and_latency_are_null_in_messages():
    from facestream.serving.messages import source_message

    info = replace(source_info(), size=None, latency_ms=None, last_frame_age=None)
    message = source_message(info)
    assert (message.size, message.latency_ms, message.last_frame_age) == (None, None, None)

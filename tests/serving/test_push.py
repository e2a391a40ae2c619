from __future__ import annotations

import cv2
import numpy as np
import pytest

from facestream.errors import ProtocolError
from facestream.serving.push import decode_jpeg
from facestream.stream.types import SourceState
from facestream.testing.sessions import some_faces
from tests.serving.conftest import dial, hear, refusal, until


def jpeg(width: int = 64, height: int = 48, level: int = 128) -> bytes:
    return cv2.imencode(".jpg", np.full((height, width, 3), level, np.uint8))[1].tobytes()


def jpeg_that_claims(width: int, height: int) -> bytes:
    """A small JPEG whose header says it is large."""
    data = bytearray(jpeg())
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(data)


async def test_pictures_in_faces_out(server, session):
    async with dial(server, "/ws/push?source=me") as websocket:
        assert (await hear(websocket))["type"] == "hello"
        for seq in range(3):
            await websocket.send(jpeg(level=50 * seq))
            message = await hear(websocket)
            assert (message["source"], message["seq"], message["size"]) == ("me", seq, [64, 48])
    assert [int(image.mean()) for image in session.pushes["me"].images] == [0, 50, 100]


async def test_a_pusher_hears_of_its_own_source_only(server, session):
    async with dial(server, "/ws/push?source=me") as websocket:
        await hear(websocket)
        session.publish(some_faces(source="door"))
        session.change("door", SourceState.DEGRADED)
        session.change("me", SourceState.LIVE)
        assert (await hear(websocket))["name"] == "me"


async def test_everybody_else_can_watch(server):
    async with dial(server, "/ws/faces?source=me") as watcher, dial(server, "/ws/push?source=me") as websocket:
        await hear(watcher), await hear(websocket)
        await websocket.send(jpeg())
        while (message := await hear(watcher))["type"] != "faces":
            pass
        assert message["source"] == "me"


async def test_pushed_faster_than_they_are_decoded_the_newest_picture_wins(server, session):
    async with dial(server, "/ws/push?source=me") as websocket:
        await hear(websocket)
        for level in range(100):
            await websocket.send(jpeg(level=level))
        await until(lambda: session.pushes["me"].images and int(session.pushes["me"].images[-1].mean()) == 99)
    counts = server.statistics()["server"]
    assert counts["pushed"] == 100 == len(session.pushes["me"].images) + counts["push_replaced"]


async def test_fields_work_here_too(server):
    async with dial(server, "/ws/push?source=me&fields=box") as websocket:
        await hear(websocket)
        await websocket.send(jpeg())
        assert (await hear(websocket))["faces"] == []


async def test_a_pusher_that_leaves_makes_room_for_another(server, session):
    async with dial(server, "/ws/push?source=me") as websocket:
        await hear(websocket)
        async with dial(server, "/ws/push?source=me") as another:
            assert await refusal(another) == ("source-taken", 1008)
    await until(lambda: not session.pushes["me"].connected)
    async with dial(server, "/ws/push?source=me") as websocket:
        assert (await hear(websocket))["type"] == "hello"


async def test_a_camera_cannot_be_pushed_to(server):
    async with dial(server, "/ws/push?source=door") as websocket:
        assert await refusal(websocket) == ("source-taken", 1008)


@pytest.mark.parametrize("query", ["", "source=a&source=b", "source=me&fps=3", "source=me&fields=nose"])
async def test_bad_parameters_are_told(server, query):
    async with dial(server, f"/ws/push?{query}") as websocket:
        assert await refusal(websocket) == ("bad-parameter", 1008)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("hello", ("not-a-picture", 1003)),
        (b"GIF89a", ("not-a-jpeg", 1007)),
        (b"", ("not-a-jpeg", 1007)),
        (cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes(), ("not-a-jpeg", 1007)),
        (b"\xff\xd8\xff" + bytes(100), ("bad-jpeg", 1007)),
        (jpeg_that_claims(10_000, 10_000), ("picture-too-large", 1009)),
        (b"\xff\xd8\xff" + bytes(300 * 1024), ("too-big", 1009)),
    ],
    ids=["text", "gif", "empty", "png", "damaged", "100 megapixels", "too many bytes"],
)
async def test_what_is_not_a_fitting_jpeg_is_told_before_the_close(server, session, message, expected):
    async with dial(server, "/ws/push?source=me") as websocket:
        await hear(websocket)
        await websocket.send(message)
        assert await refusal(websocket) == expected
    await until(lambda: not session.pushes["me"].connected)
    assert session.pushes["me"].images == []


async def test_a_source_too_many_is_told(server):
    async with (
        dial(server, "/ws/push?source=a") as a,
        dial(server, "/ws/push?source=b") as b,
        dial(server, "/ws/push?source=c") as c,
    ):
        for websocket in (a, b, c):
            await hear(websocket)
        async with dial(server, "/ws/push?source=d") as websocket:
            assert await refusal(websocket) == ("too-many-sources", 1013)


def test_the_size_is_refused_before_anything_is_decoded():
    with pytest.raises(ProtocolError, match="100 megapixels") as caught:
        decode_jpeg(jpeg_that_claims(10_000, 10_000), 40_000_000)
    assert caught.value.close_code == 1009

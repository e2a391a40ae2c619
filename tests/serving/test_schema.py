from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest

from facestream.serving.schema import DOCUMENT, protocol_schema, updated
from facestream.stream.types import SourceState
from facestream.testing.sessions import some_faces
from tests.serving.conftest import ask, dial, hear, until


def check(message, kind: str | None = None) -> None:
    schema = protocol_schema()
    if kind is not None:
        schema = {**schema, "oneOf": [{"$ref": f"#/$defs/{kind}"}]}
    jsonschema.Draft202012Validator(schema).validate(message)


def test_the_document_is_up_to_date():
    document = DOCUMENT.read_text("utf-8")
    assert document == updated(document), "docs/protocol.md is stale: run `make docs`"


def test_a_document_without_a_place_for_the_schema_is_an_error():
    with pytest.raises(ValueError, match="no section"):
        updated("nothing here")


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(protocol_schema())


def test_every_property_of_a_source_is_explained():
    source = protocol_schema()["$defs"]["StatusMessage"]["properties"]
    assert [name for name, property_ in source.items() if "description" not in property_] == ["type"]


async def test_every_message_fits_the_schema(server, session):
    async with dial(server, "/ws/faces") as websocket:
        check(await hear(websocket), "HelloMessage")
        session.publish(some_faces(count=2))
        check(await hear(websocket), "FrameRecord")
        session.change("door", SourceState.DEGRADED, "gone")
        check(await hear(websocket), "StatusMessage")
        await websocket.send("hello")
        check(await hear(websocket), "ErrorMessage")


async def test_every_response_fits_the_schema(server):
    async with dial(server, "/ws/control") as websocket:
        check(await hear(websocket))
        check(await ask(websocket, "sources.list"), "ResultResponse")
        check(await ask(websocket, "sources.listen"), "ErrorResponse")


async def test_what_is_not_a_message_does_not_fit(server):
    for message in ({}, {"type": "faces"}, {"type": "hullo"}):
        with pytest.raises(jsonschema.ValidationError):
            check(message)


@pytest.fixture
def examples(server) -> list[str]:
    """The document's Python examples, pointed at the test's server."""
    blocks = DOCUMENT.read_text("utf-8").split("```python\n")[1:]
    return [block.partition("```")[0].replace("8765", str(server.port)) for block in blocks]


@asynccontextmanager
async def running(code: str, folder: Path) -> AsyncIterator[asyncio.StreamReader]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-c", code, cwd=folder, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_the_example_that_subscribes_works(server, session, examples, tmp_path):
    async with running(examples[0], tmp_path) as output:
        await until(lambda: server.statistics()["subscribers"])
        session.publish(some_faces(7))
        assert await output.readline() == b"door 7 0 [10.0, 12.0, 40.0, 44.0]\n"


async def test_the_example_that_pushes_works(examples, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes())
    async with running(examples[1], tmp_path) as output:
        assert (await output.read()).split(b"\n") == [b"hello", b"photos/one.jpg 0", b""]

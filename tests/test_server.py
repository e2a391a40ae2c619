from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from facestream.errors import ConfigError, FacestreamError
from facestream.server import Server, serve
from facestream.stream.device import Bridge
from facestream.testing.sessions import FakeSession, some_faces, source_info

ROOT = Path(__file__).parents[1]


@pytest.fixture
async def session():
    async with Bridge("cpu", cpu_workers=1, torch_threads=1) as bridge, FakeSession(bridge, source_info()) as session:
        yield session


async def fails(session, **options) -> FacestreamError:
    with pytest.raises(FacestreamError) as caught:
        async with Server(session, **options):
            pass
    assert "\n" not in str(caught.value)
    return caught.value


async def test_a_port_in_use_is_one_clear_line(session):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = await fails(session, port=port)
    assert not isinstance(error, ConfigError)  # exit code 1, not 2
    assert f"port {port} is in use" in str(error)
    assert "--port" in str(error)


async def test_another_address_without_a_token_is_refused_before_anything_listens(session):
    error = await fails(session, host="0.0.0.0", port=0)
    assert isinstance(error, ConfigError)
    assert "--token" in str(error)


async def test_an_address_of_another_machine_is_a_clear_line(session):
    error = await fails(session, host="192.0.2.1", port=0, token="t")
    assert isinstance(error, ConfigError)
    assert "192.0.2.1" in str(error)


async def test_every_address_with_a_token(session):
    async with Server(session, host="0.0.0.0", port=0, token="t") as server:
        assert server.url == f"http://127.0.0.1:{server.port}/"
        async with connect(f"ws://127.0.0.1:{server.port}/ws/faces?token=t") as websocket:
            await websocket.recv()


async def test_who_serves_other_machines_without_tls_is_warned_and_told_the_way(session, caplog):
    caplog.set_level("INFO", "facestream.server")
    async with Server(session, host="0.0.0.0", port=0, token="t", machine="box") as server:
        where = f"http://127.0.0.1:{server.port}/, and from other machines at http://box:{server.port}/"
        assert server.where == where
    serving, warning = caplog.messages
    assert serving == f"serving {where}"
    assert "without TLS" in warning


async def test_a_name_that_is_not_allowed_is_not_told(session):
    async with Server(session, host="0.0.0.0", port=0, token="t", machine="box", allow_hosts=["cam.example"]) as server:
        assert server.where == server.url


async def test_a_server_closes_with_its_subscribers_told(session):
    async with Server(session, port=0) as server:
        websocket = await connect(f"ws://127.0.0.1:{server.port}/ws/faces")
        await websocket.recv()
    await websocket.wait_closed()
    assert websocket.close_code == 1001
    session.publish(some_faces())  # nobody listens any more, and nothing minds
    assert not asyncio.all_tasks() - {asyncio.current_task()}


async def test_the_same_session_can_be_served_again(session):
    for _ in range(2):
        async with Server(session, port=0) as server, connect(f"ws://127.0.0.1:{server.port}/ws/faces") as websocket:
            await websocket.recv()
            session.publish(some_faces(3))
            assert b'"seq":3' in await websocket.recv(decode=False)


async def test_serve_goes_on_until_cancelled(session):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serving = asyncio.create_task(serve(session, port=port))
    async with asyncio.timeout(60):
        while not serving.done():
            try:
                async with connect(f"ws://127.0.0.1:{port}/ws/control") as websocket:
                    await websocket.recv()
                    break
            except ConnectionRefusedError:
                await asyncio.sleep(0.01)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving


def test_the_script_is_the_serve_command():
    shown = subprocess.run([sys.executable, "server.py", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert shown.returncode == 0
    assert "serve" in shown.stdout
    assert "--port" in shown.stdout

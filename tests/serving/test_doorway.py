from __future__ import annotations

import asyncio
import http.client
import shutil
import socket
import ssl
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import pytest
from websockets.asyncio.client import connect

from facestream.errors import ConfigError
from facestream.serving.doorway import Doorway, Visitors
from facestream.serving.server import Server
from facestream.serving.tls import server_context
from facestream.stream.tasks import task_group
from facestream.testing.sessions import some_faces
from tests.serving.certificates import client_context, make_certificate
from tests.serving.conftest import LIMITS, PATIENCE, hear, until
from tests.serving.test_http import hung_up_on

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])
"""`serve` runs on uvloop where there is one, and its TLS is code of its own."""

HASTY = replace(LIMITS, open_timeout=0.1)


class Connection(asyncio.Transport):
    """One that was just accepted, and nothing has come of yet."""

    def __init__(self, visitors: Visitors) -> None:
        super().__init__()
        self._sock, self._other = socket.socketpair()
        self._doorway = Doorway(SimpleNamespace(on_lost=None, connected=False), visitors)
        self._doorway.connection_made(self)

    def get_extra_info(self, name, default=None):
        return {"socket": self._sock, "peername": ("192.0.2.1", 1)}[name]

    def abort(self):
        self._sock.close()
        asyncio.get_running_loop().call_soon(self._doorway.connection_lost, None)

    def is_over(self):
        """Whether nobody holds our end any more."""
        with self._other:
            self._other.setblocking(False)
            return self._other.recv(1) == b""


def client_hello() -> bytes:
    """What a client says first."""
    sent = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost").do_handshake()
    return sent.read()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def secure(session, files):
    async with Server(session, port=0, limits=LIMITS, cert=files[0], key=files[1]) as server:
        yield server


async def get(server: Server, path: str, context: ssl.SSLContext, **headers: str) -> http.client.HTTPResponse:
    def ask() -> http.client.HTTPResponse:
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=PATIENCE)
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        response.body = response.read()
        connection.close()
        return response

    return await asyncio.to_thread(ask)


async def test_a_client_that_trusts_the_certificate_is_served(secure, files):
    assert secure.url == f"https://127.0.0.1:{secure.port}/"
    context = client_context(files[0])
    page = await get(secure, "/", context)
    assert (page.status, page.getheader("Strict-Transport-Security")) == (200, "max-age=31536000")
    assert len(page.body) == int(page.getheader("Content-Length"))


async def test_websockets_are_served_too(secure, session, files):
    url = f"wss://127.0.0.1:{secure.port}/ws/faces"
    async with connect(url, ssl=client_context(files[0]), origin=secure.url.rstrip("/")) as websocket:
        assert (await hear(websocket))["type"] == "hello"
        session.publish(some_faces(0))
        assert (await hear(websocket))["seq"] == 0
        assert websocket.transport.get_extra_info("ssl_object").version() == "TLSv1.3"
    await until(lambda: not secure.peers)


async def test_a_large_answer_arrives_whole(secure, session, files):
    async with connect(
        f"wss://127.0.0.1:{secure.port}/ws/faces?frames=jpeg", ssl=client_context(files[0])
    ) as websocket:
        await hear(websocket)
        session.publish(some_faces(0, size=(1920, 1080)))
        assert isinstance(await asyncio.wait_for(websocket.recv(), PATIENCE), bytes)


async def test_one_that_does_not_trust_it_hangs_up(secure):
    with pytest.raises(ssl.SSLCertVerificationError):
        await get(secure, "/", ssl.create_default_context())


async def test_what_is_older_than_tls_1_2_is_refused(secure, files):
    context = client_context(files[0])
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await get(secure, "/", context)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    assert (await get(secure, "/health/live", context)).status == 200


async def test_plain_http_is_told_to_speak_tls(secure):
    reader, writer = await asyncio.open_connection("127.0.0.1", secure.port)
    writer.write(b"GET /?token=s3cret HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), PATIENCE)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"https://" in answer
    assert b"s3cret" not in answer
    writer.close()


async def test_a_page_of_plain_http_is_foreign(secure, files):
    context = client_context(files[0])
    assert (await get(secure, "/api/sources", context, Origin=f"http://127.0.0.1:{secure.port}")).status == 403
    assert (await get(secure, "/api/sources", context, Origin=f"https://127.0.0.1:{secure.port}")).status == 200


@pytest.mark.parametrize("first", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"])
async def test_a_handshake_that_never_ends_is_hung_up_on(session, files, first):
    async with Server(session, port=0, limits=HASTY, cert=files[0], key=files[1]) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(first)
        assert await hung_up_on(reader)
        writer.close()


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x01\x02\x00\x01"])
async def test_one_that_is_about_to_speak_tls_is_counted_until_it_is_lost(session, files, first):
    limits = replace(LIMITS, connections=1)
    async with Server(session, port=0, limits=limits, cert=files[0], key=files[1]) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(first)
        other_reader, other = await asyncio.open_connection("127.0.0.1", server.port)
        assert await hung_up_on(other_reader)
        other.close()
        writer.close()
        while True:  # the server hears of it a moment later
            with suppress(OSError):
                answer = await get(server, "/health/live", client_context(files[0]))
                break
        assert answer.status == 200


async def test_a_server_closes_while_handshakes_drag_on(session, files):
    limits = replace(LIMITS, open_timeout=3600)
    async with Server(session, port=0, limits=limits, cert=files[0], key=files[1]) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(client_hello())
        await reader.readexactly(1)
    with suppress(ConnectionResetError):
        await asyncio.wait_for(reader.read(), PATIENCE)  # its part of the handshake, and the end
    writer.close()


async def test_one_that_is_given_up_before_its_handshake_begins_leaves_nothing(files):
    async with task_group() as tasks:
        visitors = Visitors(LIMITS, tasks, lambda address: False, server_context(*files))
        connection = Connection(visitors)
        assert (len(visitors), len(visitors.doorways)) == (1, 1)
        visitors.close()
        await until(lambda: len(visitors) == 0)
    assert not visitors.doorways
    assert connection.is_over()


async def test_one_that_comes_while_the_server_closes_is_hung_up_on(files):
    async with task_group() as tasks:
        visitors = Visitors(LIMITS, tasks, lambda address: False, server_context(*files))
        visitors.close()
        connection = Connection(visitors)
        await until(lambda: len(visitors) == 0)
    assert not visitors.doorways
    assert connection.is_over()


async def test_one_that_ends_after_its_request_is_done_with(session, files):
    limits = replace(LIMITS, close_timeout=3600)
    async with Server(session, port=0, limits=limits, cert=files[0], key=files[1]) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=client_context(files[0]))
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with writer.get_extra_info("socket").dup() as sock:
            sock.shutdown(socket.SHUT_WR)  # without TLS' own goodbye
        await reader.read()
        writer.close()
        await until(lambda: not server.peers)


async def test_a_renewed_certificate_is_used_once_it_is_read_again(session, tmp_path, files):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    for old, new in zip(files, (cert, key)):
        shutil.copy(old, new)
    renewed = make_certificate(tmp_path, "second")
    async with Server(session, port=0, limits=LIMITS, cert=cert, key=key) as server:
        assert (await get(server, "/", client_context(files[0]))).status == 200
        shutil.copy(renewed[0], cert)
        with pytest.raises(ConfigError, match="isn't the private key of"):
            await server.reload_certificate()
        assert (await get(server, "/", client_context(files[0]))).status == 200
        shutil.copy(renewed[1], key)
        await server.reload_certificate()
        assert (await get(server, "/", client_context(renewed[0]))).status == 200

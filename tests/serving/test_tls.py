from __future__ import annotations

import asyncio
import http.client
import shutil
import ssl
from dataclasses import replace

import pytest
from websockets.asyncio.client import connect

from facestream.errors import ConfigError
from facestream.serving.server import Server
from facestream.serving.tls import certificate_files, server_context
from facestream.testing.sessions import some_faces
from tests.serving.certificates import client_context, make_certificate
from tests.serving.conftest import LIMITS, hear, until


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def secure(session, files):
    async with Server(session, port=0, limits=LIMITS, cert=files[0], key=files[1]) as server:
        yield server


async def get(server: Server, path: str, context: ssl.SSLContext, **headers: str) -> http.client.HTTPResponse:
    def ask() -> http.client.HTTPResponse:
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=5)
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
        assert isinstance(await asyncio.wait_for(websocket.recv(), 10), bytes)


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
    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"https://" in answer
    assert b"s3cret" not in answer
    writer.close()


async def test_a_page_of_plain_http_is_foreign(secure, files):
    context = client_context(files[0])
    assert (await get(secure, "/api/sources", context, Origin=f"http://127.0.0.1:{secure.port}")).status == 403
    assert (await get(secure, "/api/sources", context, Origin=f"https://127.0.0.1:{secure.port}")).status == 200


@pytest.mark.parametrize("first", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"])
async def test_a_handshake_that_never_ends_is_hung_up_on_and_counted_meanwhile(session, files, first):
    limits = replace(LIMITS, open_timeout=0.2, connections=1)
    async with Server(session, port=0, limits=limits, cert=files[0], key=files[1]) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(first)
        other_reader, other = await asyncio.open_connection("127.0.0.1", server.port)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(other_reader.readexactly(1), 5)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 5)
        writer.close()
        other.close()
        assert (await get(server, "/health/live", client_context(files[0]))).status == 200


async def test_a_server_closes_while_handshakes_drag_on(session, files):
    async with Server(session, port=0, limits=LIMITS, cert=files[0], key=files[1]) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"\x16\x03")
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), 5)
    writer.close()


async def test_a_renewed_certificate_is_used_once_it_is_read_again(session, tmp_path, files):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    for old, new in zip(files, (cert, key)):
        shutil.copy(old, new)
    renewed = make_certificate(tmp_path, "second")
    async with Server(session, port=0, limits=LIMITS, cert=cert, key=key) as server:
        assert (await get(server, "/", client_context(files[0]))).status == 200
        shutil.copy(renewed[0], cert)
        with pytest.raises(ConfigError, match="aren't a PEM certificate and its private key"):
            await server.reload_certificate()
        assert (await get(server, "/", client_context(files[0]))).status == 200
        shutil.copy(renewed[1], key)
        await server.reload_certificate()
        assert (await get(server, "/", client_context(renewed[0]))).status == 200


def test_files_that_are_no_certificate_are_refused(tmp_path, files):
    (tmp_path / "x").write_text("hello")
    with pytest.raises(ConfigError, match="can't be read"):
        server_context(tmp_path / "nothing", files[1])
    for pair in ((tmp_path / "x", files[1]), (files[0], tmp_path / "x"), (files[1], files[0])):
        with pytest.raises(ConfigError, match="aren't a PEM certificate"):
            server_context(*pair)


def test_a_certificate_needs_its_key(files):
    assert certificate_files(None, None) is None
    with pytest.raises(ConfigError, match="both --cert and --key"):
        certificate_files(files[0], None)

"""One POST to real receivers, good ones and bad ones."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress

import pytest

from facestream.io.http_post import NotAnswered, post

TLS = ssl.create_default_context()
OK = b"HTTP/1.1 204 No Content\r\n\r\n"


@asynccontextmanager
async def receiver(
    answer: bytes | None, heard: list[bytes] | None = None, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Takes one request a connection and answers with these bytes; with None it says nothing. Its ``host:port``."""
    silent = asyncio.Event()
    visits: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.add(asyncio.current_task())  # type: ignore[arg-type]
        with closing(writer), suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(length)
            if heard is not None:
                heard.append(head + body)
            if answer is None:
                await silent.wait()
            writer.write(answer or b"")

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        silent.set()
        server.close()
        await server.wait_closed()
        await asyncio.gather(*visits)
        await asyncio.sleep(0)  # closed transports go in the next turn


async def send(url: str, timeout: float = 10.0) -> int:
    return await post(url, b'{"a": 1}', {"X-Test": "yes"}, timeout=timeout, tls=TLS)


async def test_a_message_arrives_whole_with_its_headers() -> None:
    heard: list[bytes] = []
    async with receiver(OK, heard) as address:
        assert await send(f"http://{address}/hook?key=1#part") == 204
    head, _, body = heard[0].partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /hook?key=1 HTTP/1.1",
        f"Host: {address}".encode(),
        b"X-Test: yes",
        b"Content-Length: 8",
        b"Connection: close",
    ]
    assert body == b'{"a": 1}'


async def test_an_address_without_a_path_is_the_root() -> None:
    heard: list[bytes] = []
    async with receiver(OK, heard) as address:
        await send(f"http://{address}")
    assert heard[0].startswith(b"POST / HTTP/1.1\r\n")


async def test_redirections_are_answers_like_any_other() -> None:
    async with receiver(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n") as address:
        assert await send(f"http://{address}/") == 302


async def test_interim_answers_are_passed_over() -> None:
    async with receiver(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK) as address:
        assert await send(f"http://{address}/") == 204


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "hung up without an answer"),
        (b"HTTP/1.1 2", "hung up without an answer"),
        (b"SSH-2.0-OpenSSH\r\n", "isn't HTTP"),
        (b"HTTP/1.1 abc\r\n", "isn't HTTP"),
        (b"x" * 100_000 + b"\r\n", "isn't HTTP"),
    ],
)
async def test_what_speaks_something_else_has_not_answered(answer: bytes, why: str) -> None:
    async with receiver(answer) as address:
        with pytest.raises(NotAnswered, match=why):
            await send(f"http://{address}/")


async def test_who_says_nothing_is_given_up() -> None:
    async with receiver(None) as address:
        with pytest.raises(NotAnswered, match=r"no answer within 0\.05 s"):
            await send(f"http://{address}/", timeout=0.05)


async def test_nobody_is_there() -> None:
    with pytest.raises(NotAnswered, match="Connect call failed"):
        await send("http://127.0.0.1:1/")


async def test_a_name_that_nobody_can_have_is_not_there() -> None:
    with pytest.raises(NotAnswered, match="looked up"):
        await send("http://host..example/")


async def test_who_does_not_speak_tls_is_not_sent_anything() -> None:
    heard: list[bytes] = []
    async with receiver(OK, heard) as address:
        with pytest.raises(NotAnswered):
            await send(f"https://{address}/", timeout=0.1)
    assert heard == []

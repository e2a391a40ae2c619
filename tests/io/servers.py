"""Small servers for tests: what a network camera may turn out to be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serve(handler: Handler) -> AsyncIterator[int]:
    """A TCP server on a free port of the loopback interface; yields the port."""
    writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has left
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for writer in writers:
            writer.close()


async def never_answer(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Accepts, listens, says nothing."""
    await reader.read()


async def hang_up(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Accepts and closes."""


async def read_request(reader: asyncio.StreamReader) -> str:
    """The path of an HTTP request."""
    head = await reader.readuntil(b"\r\n\r\n")
    return head.split()[1].decode()


def mjpeg(pictures: list[bytes], times: int = 1, then: bytes | None = None) -> Handler:
    """Sends ``pictures`` as multipart JPEG, so many times; ``then`` that one for ever, or closes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")
        for picture in pictures * times:
            await send(picture, writer)
        while then is not None and not writer.is_closing():
            await send(then, writer)
            await asyncio.sleep(0.02)

    async def send(picture: bytes, writer: asyncio.StreamWriter) -> None:
        head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture)
        writer.write(head + picture + b"\r\n")
        await writer.drain()

    return handle


def files(folder: Path) -> Handler:
    """Serves the files in ``folder``; 404 for others."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = folder / (await read_request(reader)).lstrip("/").partition("?")[0]
        if path.is_file():
            data = path.read_bytes()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(data) + data)
        else:
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()

    return handle


def redirect(to: str, status: str = "302 Found") -> Handler:
    """Sends every HTTP request to another address."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(f"HTTP/1.1 {status}\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()

    return handle


class Visited:
    """Answers as ``handler`` does, and knows how often it was asked."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.visits = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        await self._handler(reader, writer)


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers 401 to every HTTP request."""
    await read_request(reader)
    writer.write(b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="c"\r\nContent-Length: 0\r\n\r\n')
    await writer.drain()


def relay(recording: Path, seconds: float) -> Handler:
    """Plays an MPEG transport stream of so many ``seconds`` again and again, as it was filmed, as if it were live."""
    data = recording.read_bytes()
    pieces = [data[at : at + 5 * 188] for at in range(0, len(data), 5 * 188)]

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nConnection: close\r\n\r\n")
        while not writer.is_closing():
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(seconds / len(pieces))

    return handle

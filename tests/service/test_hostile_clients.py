"""Those who come to do harm, one kind a test: each is refused by a limit, soon, and others are served meanwhile."""

from __future__ import annotations

import select
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import psutil
import pytest

from facestream.testing.clients import handshake
from tests.service.besieged import LIMITS, PATIENCE, Besieged
from tests.service.hostile import frame, picture

MEGABYTE = 1 << 20
TOO_MUCH = 30 * MEGABYTE
"""Less than what is sent would take; some comes and goes whatever is sent."""


def dial(server: Besieged, data: bytes = b"") -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    sock.sendall(data)
    return sock


def opened(server: Besieged, path: str) -> socket.socket:
    """A websocket that has been answered."""
    sock = dial(server, handshake(path))
    assert b" 101 " in sock.recv(65536)
    return sock


def rest(sock: socket.socket) -> bytes:
    """What comes until the server ends the connection.

    Raises:
        TimeoutError: it doesn't.
    """
    parts = []
    with suppress(ConnectionError):
        while part := sock.recv(65536):
            parts.append(part)
    return b"".join(parts)


def flood(sock: socket.socket, blocks: Iterator[bytes]) -> None:
    """Send until the server hangs up."""
    with suppress(ConnectionError):
        for block in blocks:
            sock.sendall(block)


def memory() -> int:
    return int(psutil.Process().memory_info().rss)


BEGINNINGS = {
    "says nothing": b"",
    "stops in the request line": b"GET /hea",
    "stops in a header": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: a",
    "never gives a sign of life again": handshake("/ws/faces"),
    "stops in a frame": handshake("/ws/control") + frame(b"x" * 100)[:20],
    "stops in a message": handshake("/ws/control") + frame(b"x", fin=False),
    "stops in a picture": handshake("/ws/push?source=slow") + frame(picture(), 2)[:200],
}


def test_half_open_connections_are_closed(besieged: Besieged) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(dial(besieged, begin)) for begin in BEGINNINGS.values() for _ in range(3)]
        for sock in silent:
            rest(sock)
    assert besieged.held().connections == 1


def test_a_slow_loris_is_hung_up_on(besieged: Besieged) -> None:
    """A byte now and then is no request: what counts is when it's complete."""
    with ExitStack() as stack:
        left = {stack.enter_context(dial(besieged, b"GET / HTTP/1.1\r\nX: ")) for _ in range(50)}
        deadline = time.monotonic() + LIMITS.open_timeout + PATIENCE
        while left and time.monotonic() < deadline:
            for sock in tuple(left):
                with suppress(ConnectionError):
                    sock.sendall(b"a")
            ended, _, _ = select.select(left, [], [], 0.1)
            left -= set(ended)
        assert not left
    assert besieged.answers()


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /" + b"a" * MEGABYTE + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Huge: " + b"a" * MEGABYTE + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X-Many: a\r\n" * 100_000 + b"\r\n",
    ],
    ids=["line", "header", "headers"],
)
def test_a_huge_request_is_refused_before_it_is_over(besieged: Besieged, request_: bytes) -> None:
    before = memory()
    with dial(besieged) as sock:
        flood(sock, iter([request_]))
        answer = rest(sock)
    assert answer == b"" or answer.split()[1] in (b"400", b"414", b"431")
    assert memory() - before < TOO_MUCH


def test_compressed_frames_are_refused_unread(besieged: Besieged) -> None:
    """No extension was agreed on, so that no bomb can be."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(bytes(8 * MEGABYTE)) + packer.flush(zlib.Z_SYNC_FLUSH)
    before = memory()
    offer = handshake("/ws/control", **{"Sec-WebSocket-Extensions": "permessage-deflate"})
    with dial(besieged, offer) as sock:
        answer = sock.recv(65536)
        assert b"permessage-deflate" not in answer
        sock.sendall(frame(bomb[:8000], rsv=4))
        assert b'"code":"bad-websocket"' in rest(sock)
    assert memory() - before < TOO_MUCH


def test_a_picture_of_billions_of_pixels_is_refused_by_its_header(besieged: Besieged) -> None:
    data = bytearray(picture())
    at = data.find(b"\xff\xc0")
    data[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    before = memory()
    with opened(besieged, "/ws/push?source=huge") as sock:
        sock.sendall(frame(bytes(data), 2))
        assert b'"code":"picture-too-large"' in rest(sock)
    assert memory() - before < TOO_MUCH


def faces(count: int) -> Iterator[bytes]:
    """A message of so many faces, in pieces."""
    yield b'{"jsonrpc":"2.0","method":"sources.add","params":{"faces":['
    for _ in range(count // 1000):
        yield b'{"track":7,"box":[1,2,3,4],"score":0.98},' * 1000
    yield b"{}]}}"


def test_a_message_of_a_million_faces_is_refused_by_its_length(besieged: Besieged) -> None:
    with opened(besieged, "/ws/control") as sock:
        sock.sendall(frame(b"{", length=41_000_000))
        assert b'"code":"too-big"' in rest(sock)


def test_a_message_of_a_million_faces_in_pieces_is_refused_at_the_limit(besieged: Besieged) -> None:
    before = memory()
    with opened(besieged, "/ws/control") as sock:
        pieces = (frame(piece, int(number == 0), fin=False) for number, piece in enumerate(faces(1_000_000)))
        flood(sock, pieces)
        rest(sock)
    assert memory() - before < TOO_MUCH
    assert besieged.answers()


def test_a_message_of_pieces_without_end_and_without_content_is_refused(besieged: Besieged) -> None:
    before = memory()
    with opened(besieged, "/ws/control") as sock:
        empty = frame(b"", 0, fin=False) * 1000
        sock.sendall(frame(b"x", fin=False))
        flood(sock, (empty for _ in range(1000)))
        rest(sock)
    assert memory() - before < TOO_MUCH


def test_json_nested_without_end_is_refused(besieged: Besieged) -> None:
    with opened(besieged, "/ws/control") as sock:
        sock.sendall(frame(b"[" * 4000))
        assert b'"code":"too-deep"' in rest(sock)


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/....//....//etc/passwd",
        "/..\\..\\..\\etc\\passwd",
        "//etc/passwd",
        "/viewer.js/../../serving/server.py",
        "/api/events/..%2f..%2f..%2fetc%2fpasswd/picture",
        "/%c0%ae%c0%ae/etc/passwd",
        "/index.html%00.js",
        "file:///etc/passwd",
    ],
)
def test_no_path_leads_out(besieged: Besieged, path: str) -> None:
    answer = besieged.exchange(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    assert answer.split()[1] in (b"400", b"404")
    assert b"root:" not in answer
    assert b"import " not in answer


@pytest.mark.parametrize(
    "body",
    [b"{}", b"\x00" * 100, b"GET / HTTP/1.1\r\n\r\n" * 10, b"\xff" * 10_000],
    ids=["JSON", "zeros", "HTTP", "ones"],
)
def test_what_follows_a_request_costs_it_nothing(besieged: Besieged, body: bytes) -> None:
    for path in ("/health", "/api/sources", "/api/events", "/nowhere"):
        answer = besieged.exchange(b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n%b" % (path.encode(), body))
        assert answer.startswith(b"HTTP/1.1 405 ")
    assert besieged.complaints() == []


def test_a_request_is_answered_though_its_sender_has_said_all(besieged: Besieged) -> None:
    for path in ("/health", "/api/sources", "/api/events"):
        answer = besieged.exchange(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 200 ")

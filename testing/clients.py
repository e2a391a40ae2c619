"""Websocket clients that misbehave."""

from __future__ import annotations

import base64
import os
import socket
from types import TracebackType
from typing import Self


class StalledClient:
    """A websocket client that asks for something and then never reads a byte; a context manager.

    Args:
        receive_buffer: bytes that its kernel may hold for it; small ones stall soon.
    """

    def __init__(self, port: int, path: str = "/ws/faces", *, receive_buffer: int = 4096) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.connect(("127.0.0.1", port))
        self._socket.sendall(handshake(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read_late(self) -> bytes:
        """Read after all, until the server's end of the connection is closed."""
        self._socket.settimeout(60)
        parts = []
        try:
            while part := self._socket.recv(65536):
                parts.append(part)
        except ConnectionResetError:
            pass
        return b"".join(parts)


def handshake(path: str, **headers: str) -> bytes:
    """A websocket's opening request (RFC 6455 §4.1)."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = {
        "Host": "127.0.0.1",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"GET {path} HTTP/1.1\r\n{head}\r\n".encode()

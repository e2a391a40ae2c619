"""Subscribers as a careless network brings them: some never read, some read for a while and vanish."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from random import Random

from facestream.testing.clients import StalledClient, handshake

PATHS = ("/ws/faces", "/ws/faces?frames=jpeg&width=160", "/ws/faces?fps=2", "/ws/control")


class Crowd:
    """Half of ``count`` stall, the others read.

    Everything is on sockets of this process, and gone after :meth:`vanish`.
    """

    def __init__(self, port: int, count: int, random: Random) -> None:
        self._port = port
        self._count = count
        self._random = random
        self._stalled: list[StalledClient] = []
        self._readers: list[asyncio.StreamWriter] = []
        self._reading: list[asyncio.Task[None]] = []

    async def come(self) -> None:
        for number in range(self._count):
            path = self._random.choice(PATHS)
            with contextlib.suppress(OSError):  # the server may be away just now
                if number % 2:
                    self._stalled.append(StalledClient(self._port, path))
                else:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                    writer.write(handshake(path))
                    self._readers.append(writer)
                    self._reading.append(asyncio.create_task(_read(reader)))

    async def vanish(self) -> None:
        """Without a word: each connection is reset."""
        for client in self._stalled:
            client.__exit__(None, None, None)
        for writer in self._readers:
            sock = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        await asyncio.gather(*self._reading)


async def _read(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(65536):
            pass

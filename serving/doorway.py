"""What happens to a connection before a request: it is counted, and turned into TLS where the server speaks that.

A connection is counted from its first moment on, also while its TLS handshake drags on. One that speaks plain HTTP to
a TLS port is told so: otherwise a browser would only say that the connection was reset.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Callable
from typing import Final, cast

from facestream.serving.buckets import Buckets, Crowd, address_key
from facestream.serving.limits import Limits
from facestream.serving.peer import Peer

log = logging.getLogger("facestream.server")

_TLS_HANDSHAKE: Final = b"\x16"
_HINT: Final = b"This port speaks TLS: write https:// (wss:// for websockets) in the address instead of http://.\n"
_PLAIN_ANSWER: Final = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_HINT), _HINT)
)


class Visitors:
    """Everybody who is connected, and how many of them from each address.

    Args:
        tasks: owns the handshakes.
        is_proxy: whether an address is a trusted proxy's, whose connections aren't counted apart.

    Attributes:
        tls: what TLS connections are made with; None where plain HTTP is spoken. May be replaced at any time.
        doorways: those that are in nobody's hands yet.
    """

    def __init__(
        self,
        limits: Limits,
        tasks: asyncio.TaskGroup,
        is_proxy: Callable[[str], bool],
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits
        self.tasks = tasks
        self.tls = tls
        self.doorways: set[Doorway] = set()
        self.turned_away = 0
        self._is_proxy = is_proxy
        self._clock = clock
        self._closed = False
        self._count = 0
        self._crowd = Crowd(limits.connections_per_address)
        self._told = Buckets(rate=1 / 60, burst=3)

    def __len__(self) -> int:
        """How many there are."""
        return self._count

    def enter(self, address: str) -> bool:
        """Count one more; whether it may stay. Each needs its :meth:`leave`, either way."""
        self._count += 1
        few = self._crowd.enter(address_key(address)) or self._is_proxy(address)
        if self._closed:
            return False
        if few and self._count <= self.limits.connections:
            return True
        self.turned_away += 1
        if not self._told.take(address_key(address), self._clock()):
            whose = "of it" if not few else "in all"
            limit = self.limits.connections if few else self.limits.connections_per_address
            log.warning("dropped a connection of %s: there are %d %s already", address, limit, whose)
        return False

    def leave(self, address: str) -> None:
        self._count -= 1
        self._crowd.leave(address_key(address))

    def close(self) -> None:
        """Free every connection that is in nobody's hands, and let nobody in any more."""
        self._closed = True
        for doorway in tuple(self.doorways):
            doorway.abort()


class Doorway(asyncio.Protocol):
    """One connection until its peer has it. Not for Windows, whose event loop lends no sockets."""

    def __init__(self, peer: Peer, visitors: Visitors) -> None:
        self._peer = peer
        self._visitors = visitors
        self._address: str | None = None
        self._beginning: asyncio.Task[None] | None = None
        peer.on_lost = self.leave

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)  # uvloop's is one without being of that class
        visitors = self._visitors
        peername = transport.get_extra_info("peername")
        self._address = str(peername[0]) if isinstance(peername, tuple) else ""
        if not visitors.enter(self._address):
            transport.abort()
        elif visitors.tls is None:
            transport.set_protocol(self._peer)
            self._peer.connection_made(transport)
        else:
            # A transport has begun to read; looking at what comes first needs the bare socket.
            sock = transport.get_extra_info("socket").dup()
            visitors.doorways.add(self)
            self._beginning = visitors.tasks.create_task(self._begin_tls(sock, visitors.tls), name="tls")
            self._beginning.add_done_callback(lambda _: self._begun(sock))  # one that is cancelled at once never runs
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._beginning is None:
            self.leave()

    def leave(self) -> None:
        """It isn't connected any more. Safe to call twice."""
        if self._address is not None:
            self._visitors.leave(self._address)
            self._address = None

    def abort(self) -> None:
        if self._beginning is not None:
            self._beginning.cancel()

    async def _begin_tls(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        limits = self._visitors.limits
        sock.setblocking(False)
        try:
            async with asyncio.timeout(limits.open_timeout):
                first = await _first_byte(sock)
                if first != _TLS_HANDSHAKE:
                    await _explain(sock)
                    return
                await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: self._peer,
                    sock,
                    ssl=context,
                    ssl_handshake_timeout=limits.open_timeout,
                    ssl_shutdown_timeout=limits.close_timeout,
                )
        except OSError:  # TLS' errors and timeouts are such, too
            pass

    def _begun(self, sock: socket.socket) -> None:
        """The peer has it, or it is lost."""
        self._visitors.doorways.discard(self)
        if not self._peer.connected:  # otherwise the transport has the socket, and the peer will leave
            sock.close()
            self.leave()


async def _first_byte(sock: socket.socket) -> bytes:
    """What comes first, without taking it; b"" at the end.

    Raises:
        OSError: the connection is lost.
    """
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(sock, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(sock)
    return sock.recv(1, socket.MSG_PEEK)


async def _explain(sock: socket.socket) -> None:
    """Say what is spoken here, and read on until the other side has had the time to hear it: a connection that is
    closed with bytes unread is reset, and the answer lost.
    """
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, _PLAIN_ANSWER)
    sock.shutdown(socket.SHUT_WR)
    while await loop.sock_recv(sock, 4096):
        pass

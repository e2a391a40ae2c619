"""A websocket connection that knows when its peer has stopped reading, and how to end all the same.

``websockets`` 17 has two holes here: with a full write buffer its keepalive waits for ever, and so does
``close()``. So the server pings by itself, looks at the write buffer, and ends such connections with
``transport.abort()``.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import msgspec
from websockets.asyncio.server import Server
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from facestream.errors import ProtocolError
from facestream.serving.heartbeat import SWEEPS, Heartbeat, Verdict
from facestream.serving.limits import Limits
from facestream.serving.messages import ErrorMessage
from facestream.serving.request_first import RequestFirst
from facestream.serving.routes import Query
from facestream.serving.tokens import Token

log = logging.getLogger("facestream.server")

UNSENT_BYTES: Final = 64 * 1024
"""Bytes that the kernel may hold unsent for one peer. By default it takes megabytes: minutes of results."""

_PING: Final = Frame(Opcode.PING, b"").serialize(mask=False)
_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_EXPLAINED: Final[dict[int, str]] = {
    CloseCode.PROTOCOL_ERROR: "bad-websocket",
    CloseCode.INVALID_DATA: "not-utf8",
    CloseCode.MESSAGE_TOO_BIG: "too-big",
}
"""Closes that the websocket library decides on by itself: close code → our error code."""


def text_frame(message: msgspec.Struct) -> bytes:
    """A message as a websocket frame, ready for the socket."""
    return Frame(Opcode.TEXT, msgspec.json.encode(message)).serialize(mask=False)


class Peer(RequestFirst):
    """One connection. Of what it overrides, only asyncio's protocol callbacks and ``send_data`` matter.

    Attributes:
        ready: it is open, and everything written so far has left our buffer.
        on_drained: called when it is ready again.
        on_lost: called when it isn't connected any more.
        query: what its websocket was opened for, and what it may do.
        token: what it showed; None where none was needed.
    """

    def __init__(
        self, protocol: ServerProtocol, server: Server, *, peers: Peers, limits: Limits, **options: Any
    ) -> None:
        super().__init__(protocol, server, **options)
        self.ready = False
        self.on_drained: Callable[[], None] | None = None
        self.on_lost: Callable[[], None] = lambda: None
        self.query = Query("")
        self.token: Token | None = None
        self._peers = peers
        self._limits = limits
        self._heartbeat = Heartbeat(self.loop.time(), limits.stall_timeout)
        self._explained = False
        self._request_bytes = 0
        self._deadline: asyncio.TimerHandle

    def push(self, frame: bytes) -> None:
        """Write a whole frame without waiting. Only while :attr:`ready`, or for rare and short messages."""
        self.transport.write(frame)

    @property
    def buffered(self) -> int:
        return self.transport.get_write_buffer_size()

    async def refuse(self, error: ProtocolError) -> None:
        """Say why, then close with the error's code."""
        self.explain(error.code, str(error))
        await self.close(error.close_code, _reason(str(error)))

    def explain(self, code: str, message: str) -> None:
        if self.state is State.OPEN:
            self._explained = True
            self.push(text_frame(ErrorMessage(code=code, message=message)))

    def hang_up(self, code: int, reason: str) -> None:
        """Try to say goodbye, then free everything at once, whatever the peer does."""
        if self.state is State.OPEN:
            self.protocol.send_close(code, _reason(reason))
            self.send_data()
        self.transport.abort()

    def look_after(self, now: float) -> bool:
        """Ping the peer when it is time to; whether it had to be given up."""
        if self.state is State.CONNECTING:
            return False  # the library has a timeout for these
        verdict = self._heartbeat.check(now, self.buffered)
        if verdict is Verdict.PING and self.ready:
            self.push(_PING)
        elif verdict is Verdict.STALLED:
            log.warning("closed %s with 1013: it took nothing for %g s", self.name, self._limits.stall_timeout)
            self.explain("stalled", f"you took nothing for {self._limits.stall_timeout:g} s; read faster, or less")
            self.hang_up(CloseCode.TRY_AGAIN_LATER, "too slow")
            return True
        return False

    @property
    def connected(self) -> bool:
        """From its first moment, which with TLS is the end of the handshake, until the connection is lost."""
        return self in self._peers

    @property
    def address(self) -> str:
        """Where it connects from, without the port; "" once that isn't known any more."""
        address = self.remote_address
        return str(address[0]) if isinstance(address, tuple) else ""

    @property
    def name(self) -> str:
        """Address and port, for logs and statistics."""
        address = self.remote_address
        return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else "a peer"

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._peers.add(self)
        self._deadline = self.loop.call_later(self._limits.open_timeout, self._give_up)
        _bound_kernel_buffer(transport)
        if transport.get_extra_info("ssl_object") is not None:
            self.transport.set_write_buffer_limits(high=1)  # TLS takes "0 at most" for "less than 0"

    def connection_lost(self, exc: Exception | None) -> None:
        self._peers.discard(self)
        self._deadline.cancel()
        self.on_lost()
        self.on_drained = None
        super().connection_lost(exc)
        self.ready = False

    def data_received(self, data: bytes) -> None:
        self._heartbeat.heard(self.loop.time())
        if self.request is None and self._request_grows(len(data)):
            return
        super().data_received(data)

    def _request_grows(self, by: int) -> bool:
        """Count the bytes of a request that isn't complete; whether it has become too large, and is refused."""
        self._request_bytes += by
        if self._request_bytes <= self._limits.header_bytes:
            return False
        if not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()
        return True

    def _give_up(self) -> None:
        if self.request is None:
            self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.ready = False

    def resume_writing(self) -> None:
        super().resume_writing()
        self.ready = self.state is State.OPEN
        if self.ready and self.on_drained is not None:
            self.on_drained()

    def send_data(self) -> None:
        """Before a close that the library has decided on goes out, say why."""
        close = self.protocol.close_sent
        if close is not None and self.protocol.close_rcvd is None and not self._explained:
            self._explained = True
            if (code := _EXPLAINED.get(close.code)) is not None:
                self.transport.write(text_frame(ErrorMessage(code=code, message=self._why(code, close.reason))))
        super().send_data()
        self.ready = self.state is State.OPEN and not self.paused

    def _why(self, code: str, reason: str) -> str:
        if code == "too-big":
            return f"the message is larger than {self.protocol.max_message_size} bytes; send smaller ones"
        return reason or "the websocket protocol was broken"


class Peers(set[Peer]):
    """Every connection there is, from its first byte on; and whoever has been given up."""

    def __init__(self) -> None:
        super().__init__()
        self.stalled = 0

    async def watch(self, timeout: float) -> None:
        """Look after every peer until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(timeout / SWEEPS)
            now = loop.time()
            self.stalled += sum(peer.look_after(now) for peer in tuple(self))

    def abort_silent(self) -> None:
        """Free every connection that hasn't asked for anything yet."""
        for peer in tuple(self):
            if peer.request is None:
                peer.transport.abort()

    def abort(self) -> None:
        """Free every connection at once."""
        for peer in tuple(self):
            peer.transport.abort()


def _bound_kernel_buffer(transport: asyncio.BaseTransport) -> None:
    sock = transport.get_extra_info("socket")
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with suppress(OSError):  # macOS says so of one that is lost already
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNSENT_BYTES)


def _reason(text: str) -> str:
    """A close frame has room for 123 bytes of reason."""
    return text.encode()[:123].decode(errors="ignore")

"""A websocket server's connection that looks at nothing after a request until it has answered that.

``websockets`` 17 takes what follows a request for websocket frames while the answer to it is still being made, and an
end for a failure. A body, a second request or a client that has said all (``nc -N``) then costs the answer, and leaves
an assertion's traceback in the log.
"""

from __future__ import annotations

from typing import Any, Final

from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

_END: Final = b"\r\n\r\n"


class RequestFirst(ServerConnection):
    """Holds back what follows a request, and doesn't read on. It becomes frames if a websocket opens, and nothing else
    otherwise.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._answered = False
        self._tail = b""  # of what has come of the request: its end may come in two pieces
        self._held = b""

    def data_received(self, data: bytes) -> None:
        if self._answered:
            super().data_received(data)
            return
        if self.request is None:
            end = self._end_of_request(data)
            super().data_received(data[:end])
            data = data[end:]
        if self.request is not None:
            self._held += data
            self.transport.pause_reading()
        elif data:  # that was no request: the library has given up on what comes
            super().data_received(data)

    def send_data(self) -> None:
        super().send_data()
        if not self._answered and (self.protocol.state is State.OPEN or self.protocol.eof_sent):
            self._answered = True
            self.loop.call_soon(self._go_on)

    def _end_of_request(self, data: bytes) -> int:
        """How many bytes of ``data`` belong to the request."""
        window = self._tail + data
        at = window.find(_END)
        if at < 0:
            self._tail = window[1 - len(_END) :]
            return len(data)
        return at + len(_END) - len(self._tail)

    def _go_on(self) -> None:
        held, self._held = self._held, b""
        if held and self.protocol.state is State.OPEN and not self.transport.is_closing():
            super().data_received(held)
        self.transport.resume_reading()  # also if it closes: TLS says goodbye after what it has read

"""What one peer may ask of the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from facestream.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Limits:
    """Every bound of the network interface, in one place.

    Attributes:
        connections: TCP connections at once, of any kind; one more is dropped unanswered.
        connections_per_address: of these, from one address (IPv6: one /64). Trusted proxies' aren't counted.
        requests_per_second, requests_burst: HTTP requests and websockets from one address; one more is told to wait
            with 429.
        wrong_tokens_per_minute, wrong_tokens_burst: while an address has used them up no token of its is looked at.
        header_bytes: a request, all its headers included.
        subscribers: websocket connections at once; one more is told and closed with 1013.
        text_bytes: one message on ``/ws/control``, or of any peer that has nothing to say.
        picture_bytes: one message on ``/ws/push``.
        picture_pixels: width × height of a pushed picture, known from its header before anything is decoded.
        json_depth: nested arrays and objects in a control message.
        batch: requests in one JSON-RPC batch.
        sources: sources that may be there before the network may add another.
        stall_timeout: seconds without a sign of life after which a websocket is closed with 1013.
        open_timeout: seconds for a peer to finish its TLS handshake, and again to finish its request.
        answer_bytes: large answers on their way at once, such as clips, to all peers together; one more is told to come
            back with 503.
        least_rate: bytes a second at which a peer takes an answer at least; it has ``close_timeout`` besides.
        close_timeout: seconds that a closing server waits for its peers before it hangs up.
        stuck_after: seconds without a result, while a source delivers frames, after which ``/health``
            says 503.

    Raises:
        ConfigError: one is so low that nobody could come in.
    """

    connections: int = 512
    connections_per_address: int = 128
    requests_per_second: float = 100.0
    requests_burst: int = 400
    wrong_tokens_per_minute: float = 10.0
    wrong_tokens_burst: int = 10
    header_bytes: int = 32 * 1024
    subscribers: int = 256
    text_bytes: int = 64 * 1024
    picture_bytes: int = 16 * 1024 * 1024
    picture_pixels: int = 40_000_000
    json_depth: int = 32
    batch: int = 32
    sources: int = 64
    stall_timeout: float = 10.0
    open_timeout: float = 5.0
    answer_bytes: int = 256 * 1024 * 1024
    least_rate: float = 32 * 1024
    close_timeout: float = 2.0
    stuck_after: float = 15.0

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise ConfigError(f"limits.{name}: it is {least:g} at least, or nobody could come in")


_LEAST: Final = {
    "requests_per_second": 0.001,
    "requests_burst": 1,
    "wrong_tokens_per_minute": 0.001,
    "wrong_tokens_burst": 1,
    "stall_timeout": 0.001,
    "open_timeout": 0.001,
    "least_rate": 1,
}
"""What nothing works below."""

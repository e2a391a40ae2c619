"""Who may come in: by token, page and our own name. Pure: headers in, a refusal or None out."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from facestream.errors import ConfigError

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request isn't served: an HTTP status, a short name and a line for people."""

    status: HTTPStatus
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of one server.

    Attributes:
        host: the address it serves.
        token: what every websocket and API path asks for, or None.
        allow_origins: pages from elsewhere that may open websockets, as ``https://host[:port]``.
    """

    host: str
    token: str | None = None
    allow_origins: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"Access(host={self.host!r}, token={'***' if self.token else None})"

    def check_bind(self) -> None:
        """
        Raises:
            ConfigError: the address can be reached from other machines and there is no token.
        """
        if self.token == "":
            raise ConfigError("the token is empty; give a longer one with --token or FACESTREAM_TOKEN, or none at all")
        if self.token is None and not is_loopback(self.host):
            raise ConfigError(
                f"serving {self.host or 'every address'} lets other machines in: choose a token with "
                "--token or FACESTREAM_TOKEN, or serve 127.0.0.1"
            )

    def refuse_host(self, headers: Mapping[str, str]) -> Refusal | None:
        """On a loopback address, a foreign name in ``Host`` means a page whose own name points here."""
        if not is_loopback(self.host):
            return None
        name = host_name(headers.get("Host", ""))
        if name in LOOPBACK_NAMES or name == self.host.lower():
            return None
        return Refusal(
            HTTPStatus.MISDIRECTED_REQUEST,
            "wrong-host",
            f"this server isn't called {name!r}; use http://{self.host}",
        )

    def refuse_origin(self, headers: Mapping[str, str]) -> Refusal | None:
        """A browser says which page asks or opens a websocket: ours, or one that was allowed. Programs don't."""
        origin = headers.get("Origin")
        if origin is None or origin in self.allow_origins:
            return None
        if urlsplit(origin).netloc.lower() == headers.get("Host", "").lower() != "":
            return None
        return Refusal(
            HTTPStatus.FORBIDDEN,
            "foreign-origin",
            f"pages from {origin} may not connect; allow it with --allow-origin",
        )

    def refuse_token(self, headers: Mapping[str, str], query: Mapping[str, list[str]]) -> Refusal | None:
        """``Authorization: Bearer …``, or ``?token=…`` as browsers can't set headers on websockets."""
        if self.token is None:
            return None
        scheme, _, given = headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            given = query.get("token", [""])[0]
        if not given:
            return Refusal(
                HTTPStatus.UNAUTHORIZED,
                "token-missing",
                "this server wants its token: Authorization: Bearer …, or ?token=…",
            )
        if not hmac.compare_digest(given.strip().encode(), self.token.encode()):
            return Refusal(
                HTTPStatus.UNAUTHORIZED,
                "token-wrong",
                "this isn't the server's token; see how it was started",
            )
        return None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``. A name other than localhost may point anywhere."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def host_name(host: str) -> str:
    """``Host`` without its port and brackets, in lower case; "" when it is malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""

"""Who may come in: by our own name, by page, and by what they show. Pure: headers in, a refusal or None out."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from facestream.errors import ConfigError
from facestream.serving.buckets import client_address, within
from facestream.serving.routes import Role
from facestream.serving.tokens import Token, from_subprotocols

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
FORWARDED: Final = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP")
"""What a reverse proxy adds."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request isn't served: an HTTP status, a short name and a line for people.

    Attributes:
        retry_after: seconds after which the same may be answered; None if it won't.
    """

    status: HTTPStatus
    code: str
    message: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of one server.

    Attributes:
        host: the address it serves.
        allow_origins: pages from elsewhere that may connect, as ``https://host[:port]``.
        allow_hosts: names that it is called by, in lower case; ``*.example.org`` is any name that ends so.
        tls: it speaks TLS itself.
        proxies: reverse proxies that are believed whom they forward.
    """

    host: str
    allow_origins: frozenset[str] = frozenset()
    allow_hosts: frozenset[str] = frozenset()
    tls: bool = False
    proxies: tuple[Network, ...] = ()

    def check_bind(self, *, locked: bool) -> None:
        """
        Args:
            locked: there are tokens, so each request has to show one.

        Raises:
            ConfigError: the address can be reached from other machines and there is no token.
        """
        if not locked and not is_loopback(self.host):
            raise ConfigError(
                f"serving {self.host or 'every address'} lets other machines in: make a token with `facestream tokens "
                "add NAME --role view`, give one with --token or FACESTREAM_TOKEN, or serve 127.0.0.1"
            )

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"

    @property
    def is_readable_on_the_way(self) -> bool:
        """Whether other machines are served without TLS, and no proxy is known that could have it."""
        return not self.tls and not self.proxies and not is_loopback(self.host)

    def is_proxy(self, address: str) -> bool:
        """Whether it is a reverse proxy that is believed."""
        return within(address, self.proxies)

    def client(self, peer: str, headers: Mapping[str, str]) -> str:
        """Whose request it is that ``peer`` has sent."""
        return client_address(peer, headers.get("X-Forwarded-For", ""), self.proxies)

    def refuse_host(self, headers: Mapping[str, str]) -> Refusal | None:
        """A foreign name in ``Host`` means a page whose own name points here (DNS rebinding).

        On a loopback address every name but our own is one. Elsewhere that is known only where our names are.
        """
        name = host_name(headers.get("Host", ""))
        if name in LOOPBACK_NAMES or (name and name == self.host.lower()) or self._is_called(name):
            return None
        if not is_loopback(self.host) and (not self.allow_hosts or _is_address(name)):
            return None
        return Refusal(
            HTTPStatus.MISDIRECTED_REQUEST,
            "wrong-host",
            f"this server isn't called {name[:80]!r}; use its own name, or allow this one with --allow-host",
        )

    def _is_called(self, name: str) -> bool:
        return any(
            name.endswith(allowed[1:]) if allowed.startswith("*.") else name == allowed for allowed in self.allow_hosts
        )

    def refuse_origin(self, headers: Mapping[str, str]) -> Refusal | None:
        """A browser says which page asks or opens a websocket: ours, or one that was allowed. Programs don't."""
        origin = headers.get("Origin")
        if origin is None or origin in self.allow_origins or self._is_own_page(origin, headers.get("Host", "")):
            return None
        return Refusal(
            HTTPStatus.FORBIDDEN,
            "foreign-origin",
            f"pages from {origin[:80]!r} may not connect; allow it with --allow-origin",
        )

    def _is_own_page(self, origin: str, host: str) -> bool:
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        # Behind a reverse proxy we speak HTTP while the page is of HTTPS.
        schemes = ("https",) if self.tls else ("http", "https")
        return parts.scheme in schemes and parts.netloc.lower() == host.lower() != ""

    def refuse_unlocked(self, headers: Mapping[str, str]) -> Refusal | None:
        """Without tokens whoever reaches this machine's loopback address is let in, and through a reverse proxy that is
        everybody.
        """
        if any(name in headers for name in FORWARDED):
            return Refusal(
                HTTPStatus.FORBIDDEN,
                "needs-tokens",
                "a reverse proxy brought this request, and this server has no tokens to ask for; make one with "
                "`facestream tokens add NAME --role view`",
            )
        return None


def given_secret(headers: Mapping[str, str], query: Mapping[str, list[str]]) -> str:
    """The token that a request shows, or "": ``Authorization: Bearer …``, a websocket's ``Sec-WebSocket-Protocol``, as
    browsers can't set headers on those, or ``?token=…``.
    """
    scheme, _, given = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return given.strip()
    offered = (name.strip() for name in headers.get("Sec-WebSocket-Protocol", "").split(","))
    return from_subprotocols(offered) or query.get("token", [""])[0].strip()


def refuse_token(secret: str, token: Token | None, role: Role, now: float) -> Refusal | None:
    """Whether what was shown is enough for ``role``.

    Args:
        secret: what was shown.
        token: whose that is; None for nobody's.
        now: Unix seconds.
    """
    if not secret:
        return _unauthorised("token-missing", "this server wants a token: Authorization: Bearer …, or ?token=…")
    if token is None:
        return _unauthorised("token-wrong", "this isn't a token of this server; see `facestream tokens` there")
    if token.expired(now):
        return _unauthorised("token-expired", "this token has expired; ask for a new one")
    if role not in token.may:
        may = " and ".join(each.value for each in Role if each in token.may)
        return Refusal(HTTPStatus.FORBIDDEN, "wrong-role", f"this token may {may}; here one is needed for {role.value}")
    return None


def _unauthorised(code: str, message: str) -> Refusal:
    return Refusal(HTTPStatus.UNAUTHORIZED, code, message)


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """
    Raises:
        ConfigError: one is no address and no network such as 10.0.0.0/8.
    """
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text.strip(), strict=False))
        except ValueError:
            raise ConfigError(f"{text!r} is neither an address nor a network such as 10.0.0.0/8") from None
    return tuple(found)


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


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

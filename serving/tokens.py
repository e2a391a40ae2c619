"""Tokens: who holds one may come in. Pure: what is kept of a token, and whether a secret is one.

A token is 256 random bits, so nobody finds it by trying: a plain SHA-256 of it is as good as a slow password hash,
which is for secrets that people think up, and leaves nothing to steal from the file.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from facestream.errors import ConfigError
from facestream.serving.routes import Role, implied

PREFIX: Final = "fs_"
"""What every token begins with, so that programs which look for secrets in code know one."""

SECRET_BYTES: Final = 32
SECRET_LENGTH: Final = 1024  # of anything that is compared at all
SHOWN_NAME: Final = "--token"

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_UNITS: Final = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a token: never the token itself.

    Attributes:
        sha256: of the token, in hexadecimal.
        created_at, expires_at: Unix seconds; the latter None for one that lasts until it is removed.
    """

    name: str
    sha256: str
    roles: tuple[Role, ...]
    created_at: float
    expires_at: float | None = None

    def expired(self, now: float) -> bool:
        return self.expires_at is not None and now >= self.expires_at

    @property
    def may(self) -> frozenset[Role]:
        """What its holder may do."""
        return implied(self.roles)


class Keyring:
    """The tokens that a server takes.

    Args:
        tokens: from the file.
        token: one more, given in plain text; its holder may do everything, unless it is one of the file's.
    """

    def __init__(self, tokens: Iterable[Token] = (), token: str | None = None) -> None:
        plain = Token(name=SHOWN_NAME, sha256=digest(token), roles=(Role.CONTROL,), created_at=0.0) if token else None
        self.tokens: Sequence[Token] = (*tokens, *([plain] if plain else ()))

    def __bool__(self) -> bool:
        """Whether there is any token, be it expired."""
        return bool(self.tokens)

    def __contains__(self, token: Token | None) -> bool:
        return token in self.tokens

    def find(self, secret: str) -> Token | None:
        """Whose ``secret`` this is, expired ones included.

        Every token is compared with, whole, so how long it takes tells nothing about any. The file's come before the
        one in plain text: what a token may is what it was made for.
        """
        given = digest(secret[:SECRET_LENGTH]).encode()
        found = None
        for token in reversed(self.tokens):
            if hmac.compare_digest(token.sha256.encode(), given):
                found = token
        return found


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def new_token(name: str, roles: Iterable[Role], *, now: float, lifetime: float | None = None) -> tuple[str, Token]:
    """A new token, and what to keep of it.

    Args:
        now: Unix seconds.
        lifetime: seconds until it expires; None for never.

    Raises:
        ConfigError: the name can't be one, or there is no role.
    """
    chosen = tuple(role for role in Role if role in set(roles))
    if not chosen:
        raise ConfigError("a token needs a role: --role view, push or control")
    secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    expires_at = None if lifetime is None else now + lifetime
    token = Token(name=token_name(name), sha256=digest(secret), roles=chosen, created_at=now, expires_at=expires_at)
    return secret, token


def token_name(name: str) -> str:
    """
    Raises:
        ConfigError: it can't be a token's name.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError("a token's name has up to 64 letters, digits and - _ . @, and begins with one of the former")
    return name


def lifetime_of(text: str) -> float:
    """``12h``, ``30d`` or ``8w`` in seconds.

    Raises:
        ConfigError: it is something else.
    """
    match = re.fullmatch(r"(\d{1,5})([hdw])", text.strip())
    if match is None or not int(match[1]):
        raise ConfigError(f"{text!r} isn't a time; write hours, days or weeks: 12h, 30d, 8w")
    return int(match[1]) * _UNITS[match[2]]


# --- on their way ------------------------------------------------------------------------------------------

SUBPROTOCOL: Final = "facestream"
SECRET_SUBPROTOCOL: Final = "facestream.token."


def as_subprotocol(secret: str) -> str:
    """A token as one of the protocols that a page offers with ``new WebSocket(url, ["facestream", …])``. Its characters
    are those that a protocol's name may have, whatever the token's are.
    """
    return SECRET_SUBPROTOCOL + base64.urlsafe_b64encode(secret.encode()).decode().rstrip("=")


def from_subprotocols(offered: Iterable[str]) -> str:
    """The token among the protocols that a page offers; "" if there is none that can be read."""
    for name in offered:
        if name.startswith(SECRET_SUBPROTOCOL):
            encoded = name.removeprefix(SECRET_SUBPROTOCOL)
            try:
                return base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True).decode()
            except ValueError:
                return ""
    return ""

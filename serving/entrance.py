"""The way in for requests: how many, by which rules, with which token. What it has let in it forgets."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from facestream.serving.access import Access, Refusal, given_secret, refuse_token
from facestream.serving.buckets import Buckets, address_key
from facestream.serving.keys import Keys
from facestream.serving.limits import Limits
from facestream.serving.routes import EVERY_ROLE, Role
from facestream.serving.tokens import Token


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        token: what they showed; None where none is needed, or theirs is missing or not good.
        roles: what they may do.
    """

    token: Token | None
    roles: frozenset[Role]


NOBODY = Caller(None, frozenset())


class Entrance:
    """Lets requests in or says why not.

    Args:
        clock: seconds, for rates.
        wall_clock: Unix seconds, for expiry.
    """

    def __init__(
        self,
        access: Access,
        keys: Keys,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._access = access
        self._keys = keys
        self._clock = clock
        self._wall_clock = wall_clock
        self._requests = Buckets(limits.requests_per_second, limits.requests_burst)
        self._wrong = Buckets(limits.wrong_tokens_per_minute / 60, limits.wrong_tokens_burst)

    def client(self, peer: str, headers: Mapping[str, str]) -> str:
        """Whose request it is, as an address to count by."""
        return address_key(self._access.client(peer, headers))

    def refuse(self, client: str, headers: Mapping[str, str]) -> Refusal | None:
        """What is wrong with a request whatever it asks for."""
        if wait := self._requests.take(client, self._clock()):
            return _too_many("too-many-requests", "you ask too often; wait a little", wait)
        refusal = self._access.refuse_host(headers) or self._access.refuse_origin(headers)
        return refusal or (None if self._keys.locked else self._access.refuse_unlocked(headers))

    async def identify(
        self, client: str, headers: Mapping[str, str], query: Mapping[str, list[str]], role: Role | None
    ) -> Caller | Refusal:
        """Who asks for something that needs ``role``; where it needs none, also somebody who may do nothing."""
        if not self._keys.locked:
            return Caller(None, EVERY_ROLE)
        secret = given_secret(headers, query)
        # Not even a right one is looked at then, or one could go on trying.
        if secret and (wait := self._wrong.wait(client, self._clock())):
            refused = _too_many("too-many-wrong-tokens", "too many wrong tokens came from you; wait a little", wait)
            return NOBODY if role is None else refused
        token = await self._keys.find(secret) if secret else None
        if secret and token is None:
            self._wrong.take(client, self._clock())
        if role is not None and (refusal := refuse_token(secret, token, role, self._wall_clock())):
            return refusal
        if token is None or token.expired(self._wall_clock()):
            return NOBODY
        return Caller(token, token.may)


def _too_many(code: str, message: str, wait: float) -> Refusal:
    return Refusal(HTTPStatus.TOO_MANY_REQUESTS, code, message, wait)

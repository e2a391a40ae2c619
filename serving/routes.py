"""What can be asked for over HTTP, and who may. Pure: the parts of the server that make answers give their routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

import msgspec

JSON: Final = "application/json"


class Role(Enum):
    """What a token lets its holder do. One that may control may do everything."""

    VIEW = "view"  # see: faces, pictures, sources, events, counts
    PUSH = "push"  # send pictures and receive their faces; see nothing else
    CONTROL = "control"  # add and remove sources, name people, remove events; and all of the above


EVERY_ROLE: Final = frozenset(Role)


def implied(roles: Iterable[Role]) -> frozenset[Role]:
    """``roles``, and those that come with them."""
    given = frozenset(roles)
    return EVERY_ROLE if Role.CONTROL in given else given


@dataclass(frozen=True, slots=True)
class Query:
    """A request that was let in.

    Attributes:
        path: decoded; it may hold any character.
        parameters: of the query, decoded; the token isn't among them.
        roles: what the caller may do; nothing where no token was given and one is needed.
        values: what stood in the places of the route's ``{…}``; never empty, never with a ``/``.
        range: the request's ``Range``, for routes that answer with a part; "" for all.
    """

    path: str
    parameters: Mapping[str, list[str]] = field(default_factory=dict)
    roles: frozenset[Role] = EVERY_ROLE
    values: Mapping[str, str] = field(default_factory=dict)
    range: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send back. It isn't cached by anybody unless ``headers`` has a ``Cache-Control``."""

    status: HTTPStatus
    body: bytes
    content_type: str
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def json(cls, value: Any, status: HTTPStatus = HTTPStatus.OK) -> Answer:
        return cls(status, msgspec.json.encode(value), JSON)

    @classmethod
    def error(cls, status: HTTPStatus, code: str, message: str, *headers: tuple[str, str]) -> Answer:
        """A refusal: a short name for programs and a line for people."""
        return cls(status, msgspec.json.encode({"error": {"code": code, "message": message}}), JSON, headers)


Answering: TypeAlias = Callable[[Query], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """A path that is read with GET or HEAD.

    Attributes:
        path: of parts that are literal, or ``{name}`` for any one part: ``/api/events/{id}/picture``.
        role: who may; None for everybody.
        answer: whatever blocks in it goes through the bridge. A ProtocolError becomes 400 with its message, any other
            FacestreamError 500 without it, as it may name files of ours.
        early: it answers also before the server is ready.
    """

    path: str
    role: Role | None
    answer: Answering
    early: bool = False

    def __post_init__(self) -> None:
        if not self.path.startswith("/") or any(part != part.strip() for part in self.path.split("/")):
            raise ValueError(f"{self.path!r} isn't a path")


class RouteTable:
    """Finds the route of a path: literal parts win over ``{name}``.

    Raises:
        ValueError: two routes are for the same path.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._literal = {route.path: route for route in self.routes if "{" not in route.path}
        self._patterns = [(route.path.split("/"), route) for route in self.routes if "{" in route.path]
        if len({_shape(route.path) for route in self.routes}) != len(self.routes):
            raise ValueError("two routes are for the same path")

    def find(self, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route for a decoded path, and what stands in the places of its ``{…}``."""
        if (route := self._literal.get(path)) is not None:
            return route, {}
        parts = path.split("/")
        for pattern, route in self._patterns:
            if (values := _matched(pattern, parts)) is not None:
                return route, values
        return None


def decoded_path(raw: str) -> str:
    """A request's path with its ``%xx`` decoded.

    Raises:
        ValueError: that makes another path of it (``%2F``), or a control character.
    """
    path = unquote(raw)
    if path.count("/") != raw.count("/") or not path.isprintable():
        raise ValueError("the path has an encoded slash or a control character in it")
    return path


def _matched(pattern: list[str], parts: list[str]) -> dict[str, str] | None:
    if len(pattern) != len(parts):
        return None
    values = {}
    for expected, part in zip(pattern, parts):
        if expected.startswith("{") and expected.endswith("}"):
            values[expected[1:-1]] = part
        elif expected != part:
            return None
    return values if all(values.values()) else None


def _shape(path: str) -> str:
    return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))

"""Plain HTTP: the viewer's files and the routes of :mod:`facestream.serving.routes`; and the websockets' door."""

from __future__ import annotations

import email.utils
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from facestream.errors import FacestreamError, ProtocolError
from facestream.serving.access import FORWARDED, Refusal
from facestream.serving.entrance import Entrance
from facestream.serving.pages import Page
from facestream.serving.routes import JSON, Answer, Query, Role, Route, RouteTable, decoded_path
from facestream.serving.tokens import Token

log = logging.getLogger("facestream.server")

PARAMETERS: Final = 64
PARTS: Final = ("If-None-Match", "Range", "If-Range")
"""Headers that say how much of an answer is wanted."""

WEBSOCKETS: Final = {"/ws/faces": Role.VIEW, "/ws/push": Role.PUSH, "/ws/control": Role.CONTROL}
"""Path → who may open a websocket there."""

UNKNOWN: Final = "something else"
"""What is asked for where there is nothing."""

SECURITY_HEADERS: Final = (
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
        "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(self), microphone=(), geolocation=()"),
)
HSTS: Final = ("Strict-Transport-Security", "max-age=31536000")


@dataclass(frozen=True, slots=True)
class Target:
    """A request's path, decoded, and its query."""

    path: str
    query: dict[str, list[str]]

    @classmethod
    def parse(cls, target: str) -> Target:
        """
        Raises:
            ValueError: too many parameters, or a path that no encoding makes.
        """
        path, _, query = target.partition("?")
        return cls(decoded_path(path), parse_qs(query, keep_blank_values=True, max_num_fields=PARAMETERS))


@dataclass(frozen=True, slots=True)
class Site:
    """What there is.

    Attributes:
        pages: path → file.
        routes: everything else that isn't a websocket.
        ready: why the rest can't be used yet, or "".
    """

    pages: Mapping[str, Page]
    entrance: Entrance
    routes: RouteTable
    ready: Callable[[], str]

    def place(self, target: str) -> str:
        """What a request asks for, as we call it: nothing that was sent, which may be endless, forged or a secret."""
        try:
            path = decoded_path(target.partition("?")[0])
        except ValueError:
            return UNKNOWN
        if path in self.pages or path in WEBSOCKETS:
            return path
        found = self.routes.find(path)
        return UNKNOWN if found is None else found[0].path


@dataclass
class Refused(Response):
    """
    Attributes:
        code: why, for programs.
    """

    code: str = ""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may become a websocket.

    Attributes:
        token: what its sender showed; None where none is needed.
    """

    query: Query
    token: Token | None


def busy() -> Refused:
    """The response where there is no room for another large one."""
    reason = "too much is on its way to others; come back in a moment"
    return _refused(Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "busy", reason, 5))


async def respond(site: Site, request: Request, peer: str) -> Response | Admitted:
    """The response to a request, or what a websocket may be opened for.

    Args:
        peer: the address that it came from.

    Cancelling loses the response.
    """
    headers = _single_headers(request.headers)
    client = site.entrance.client(peer, headers)
    if refusal := site.entrance.refuse(client, headers):
        return _refused(refusal)
    try:
        target = Target.parse(request.path)
    except ValueError as error:
        return _refused(Refusal(HTTPStatus.BAD_REQUEST, "bad-request", str(error)))
    if (role := WEBSOCKETS.get(target.path)) is not None:
        admitted = await _admit(site, target, headers, client, role)
        return _refused(admitted) if isinstance(admitted, Refusal) else admitted
    if request.method not in ("GET", "HEAD"):
        refusal = Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "bad-method", "this server is read with GET only")
        return _refused(refusal, ("Allow", "GET, HEAD"))
    if request.method == "HEAD":
        headers.pop("Range", None)  # it is for GET alone
    response = await _get(site, target, headers, client)
    if request.method == "HEAD":
        response.body = b""
    return response


async def _get(site: Site, target: Target, headers: Mapping[str, str], client: str) -> Response:
    page = site.pages.get(target.path)
    if page is not None:
        return _page(page, headers.get("If-None-Match", ""))
    found = site.routes.find(target.path)
    if found is None:
        return _refused(Refusal(HTTPStatus.NOT_FOUND, "not-found", "there is nothing here; the viewer is at /"))
    route, values = found
    admitted = await _admit(site, target, headers, client, route.role, early=route.early)
    if isinstance(admitted, Refusal):
        return _refused(admitted)
    # We give no validators, so there's nothing that an If-Range could name: all of it, then.
    part = "" if "If-Range" in headers else headers.get("Range", "")
    answer = await _answer(route, replace(admitted.query, values=values, range=part))
    return _response(answer.status, answer.body, answer.content_type, *answer.headers)


async def _admit(
    site: Site, target: Target, headers: Mapping[str, str], client: str, role: Role | None, *, early: bool = False
) -> Admitted | Refusal:
    caller = await site.entrance.identify(client, headers, target.query, role)
    if isinstance(caller, Refusal):
        return caller
    if not early and (reason := site.ready()):
        return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "starting", reason, 2)
    parameters = {name: given for name, given in target.query.items() if name != "token"}
    return Admitted(Query(target.path, parameters, caller.roles), caller.token)


async def _answer(route: Route, query: Query) -> Answer:
    try:
        return await route.answer(query)
    except ProtocolError as error:
        return Answer.error(HTTPStatus.BAD_REQUEST, error.code, str(error))
    except FacestreamError as error:
        log.error("%s failed: %s", route.path, error)
        return Answer.error(HTTPStatus.INTERNAL_SERVER_ERROR, "failed", "that failed; the server's log says why")


def _page(page: Page, known: str) -> Response:
    cache = ("ETag", page.etag), ("Cache-Control", "no-cache")
    if page.etag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
        return _response(HTTPStatus.NOT_MODIFIED, b"", page.content_type, *cache)
    return _response(HTTPStatus.OK, page.body, page.content_type, *cache)


def _refused(refusal: Refusal, *extra: tuple[str, str]) -> Refused:
    body = Answer.error(refusal.status, refusal.code, refusal.message).body
    if refusal.status is HTTPStatus.UNAUTHORIZED:
        extra = (*extra, ("WWW-Authenticate", "Bearer"))
    if refusal.retry_after is not None:
        extra = (*extra, ("Retry-After", str(math.ceil(refusal.retry_after))))
    answer = _response(refusal.status, body, JSON, *extra)
    return Refused(answer.status_code, answer.reason_phrase, answer.headers, answer.body, code=refusal.code)


def _response(status: HTTPStatus, body: bytes, content_type: str, *extra: tuple[str, str]) -> Response:
    headers = Headers(
        [
            ("Date", email.utils.formatdate(usegmt=True)),
            ("Connection", "close"),
            ("Content-Type", content_type),
            *SECURITY_HEADERS,
            *extra,
        ]
    )
    if status is not HTTPStatus.NOT_MODIFIED:
        headers["Content-Length"] = str(len(body))
    if "Cache-Control" not in headers:
        headers["Cache-Control"] = "no-store"
    return Response(status.value, status.phrase, headers, body)


def _single_headers(headers: Headers) -> dict[str, str]:
    """The headers that we look at; several of one name are joined, which matches nothing that we accept."""
    names = ("Host", "Origin", "Authorization", "Sec-WebSocket-Protocol", *PARTS, *FORWARDED)
    return {name: ", ".join(values) for name in names if (values := headers.get_all(name))}

"""Plain HTTP: the viewer's files, ``/health``, ``/metrics``, ``/api/sources``; and the websockets' door."""

from __future__ import annotations

import email.utils
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, unquote

import msgspec
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from facestream.serving.access import Access, Refusal
from facestream.serving.health import Health
from facestream.serving.metrics import CONTENT_TYPE
from facestream.serving.pages import Page

JSON: Final = "application/json"
PARAMETERS: Final = 64
WEBSOCKET_PATHS: Final = frozenset({"/ws/faces", "/ws/push", "/ws/control"})

SECURITY_HEADERS: Final = (
    (
        "Content-Security-Policy",
        "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
        "connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(self), microphone=(), geolocation=()"),
)


@dataclass(frozen=True, slots=True)
class Target:
    """A request's path, decoded, and its query."""

    path: str
    query: dict[str, list[str]]

    @classmethod
    def parse(cls, target: str) -> Target:
        """
        Raises:
            ValueError: too many parameters.
        """
        path, _, query = target.partition("?")
        return cls(unquote(path), parse_qs(query, keep_blank_values=True, max_num_fields=PARAMETERS))


@dataclass(frozen=True, slots=True)
class Site:
    """What the routes show. The callables answer at once.

    Attributes:
        pages: path → file.
        health: details included.
        metrics: Prometheus text.
        sources: JSON.
    """

    pages: Mapping[str, Page]
    access: Access
    health: Callable[[], Health]
    metrics: Callable[[], bytes]
    sources: Callable[[], bytes]


def respond(site: Site, request: Request) -> Response | None:
    """The response to a request, or None when it may go on to become a websocket."""
    try:
        target = Target.parse(request.path)
    except ValueError:
        return _refused(Refusal(HTTPStatus.BAD_REQUEST, "bad-request", "the query has too many parameters"))
    headers = _single_headers(request.headers)
    if refusal := site.access.refuse_host(headers):
        return _refused(refusal)
    if target.path in WEBSOCKET_PATHS:
        refusal = site.access.refuse_origin(headers) or site.access.refuse_token(headers, target.query)
        return _refused(refusal) if refusal else None
    if request.method not in ("GET", "HEAD"):
        refusal = Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "bad-method", f"{target.path} can be read with GET only")
        return _refused(refusal, ("Allow", "GET, HEAD"))
    response = _get(site, target, headers)
    if request.method == "HEAD":
        response.body = b""
    return response


def _get(site: Site, target: Target, headers: Mapping[str, str]) -> Response:
    page = site.pages.get(target.path)
    if page is not None:
        return _page(page, headers.get("If-None-Match", ""))
    refusal = site.access.refuse_token(headers, target.query)
    if target.path == "/health":
        health = site.health()
        if refusal:
            health = Health(status=health.status)
        return _response(health.http_status, msgspec.json.encode(health), JSON)
    if target.path not in ("/metrics", "/api/sources"):
        return _refused(Refusal(HTTPStatus.NOT_FOUND, "not-found", "there is nothing here; the viewer is at /"))
    if refusal:
        return _refused(refusal)
    if target.path == "/metrics":
        return _response(HTTPStatus.OK, site.metrics(), CONTENT_TYPE)
    return _response(HTTPStatus.OK, site.sources(), JSON)


def _page(page: Page, known: str) -> Response:
    cache = ("ETag", page.etag), ("Cache-Control", "no-cache")
    if page.etag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
        return _response(HTTPStatus.NOT_MODIFIED, b"", page.content_type, *cache)
    return _response(HTTPStatus.OK, page.body, page.content_type, *cache)


def _refused(refusal: Refusal, *extra: tuple[str, str]) -> Response:
    body = msgspec.json.encode({"error": {"code": refusal.code, "message": refusal.message}})
    if refusal.status is HTTPStatus.UNAUTHORIZED:
        extra = (*extra, ("WWW-Authenticate", "Bearer"))
    return _response(refusal.status, body, JSON, *extra)


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
    names = ("Host", "Origin", "Authorization", "If-None-Match")
    return {name: ", ".join(values) for name in names if (values := headers.get_all(name))}


def without_token(target: str) -> str:
    """A request's target as it may be logged."""
    return re.sub(r"([?&]token=)[^&]*", r"\1***", target)

"""Where a web address sends on to without leaving its own host, found out before FFmpeg is let near it.

FFmpeg follows all redirections or none, and can't be asked about a single one.
"""

from __future__ import annotations

import socket
import ssl
import time
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

HOPS: Final = 5
PATIENCE: Final = 2.0
"""Seconds for all hops together: a camera that doesn't know HEAD may leave it unanswered."""

_LONGEST: Final = 16384  # bytes of an answer that are looked at
_PORTS: Final = {"http": 80, "https": 443}


def settled(url: str, patience: float = PATIENCE) -> str:
    """The address at which the redirections of ``url`` end, those that leave its host not followed. Blocks.

    Whatever goes wrong is left to whoever opens what comes out. No password is sent, so what a server tells only those
    who know it isn't found out.
    """
    deadline = time.monotonic() + patience
    for _ in range(HOPS):
        try:
            location = _location(urlsplit(url), deadline)
        except (OSError, ValueError):  # it isn't there, takes too long, or speaks something else
            break
        onward = within_host(url, location) if location else None
        if onward is None:
            break
        url = onward
    return url


def within_host(url: str, location: str) -> str | None:
    """The address that ``location`` stands for in an answer of ``url``; None for one of another host or port.

    ``http`` may lead to ``https``, each at its own port, but not back, where a password would travel in clear. The
    address is put together anew, so that FFmpeg can't find another host in it than was looked at.
    """
    try:
        old = urlsplit(url)
        new = urlsplit(urljoin(old._replace(netloc=_place(old)).geturl(), location))
        same = new.hostname == old.hostname and new.username is None
        ports = _port(old), _port(new)
    except ValueError:
        return None
    secured = (old.scheme, new.scheme) == ("http", "https") and ports == (80, 443)
    stays = new.scheme == old.scheme and ports[0] == ports[1]
    rest = (new.path or "/") + (f"?{new.query}" if new.query else "")
    if not same or not (stays or secured) or not rest.isascii() or not rest.isprintable() or " " in rest:
        return None
    credentials = old.netloc.rpartition("@")[0]
    return f"{new.scheme}://{credentials}{'@' if credentials else ''}{_place(new)}{rest}"


def _port(parts: SplitResult) -> int | None:
    """
    Raises:
        ValueError: it isn't one.
    """
    return _PORTS.get(parts.scheme) if parts.port is None else parts.port


def _place(parts: SplitResult) -> str:
    """Host and port, as the ``Host`` header has them."""
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if parts.port is None else f"{host}:{parts.port}"


def _location(url: SplitResult, deadline: float) -> str:
    """Where ``url`` sends on to, or "".

    Raises:
        OSError, ValueError: it doesn't answer, or not in HTTP.
    """
    if not url.hostname:
        raise ValueError("it names no host")
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    request = f"HEAD {target} HTTP/1.1\r\nHost: {_place(url)}\r\nUser-Agent: facestream\r\nConnection: close\r\n\r\n"
    with socket.create_connection((url.hostname, _port(url) or 80), timeout=_left(deadline)) as plain:
        if url.scheme != "https":
            return _asked(plain, request, deadline)
        plain.settimeout(_left(deadline))
        with _unchecked().wrap_socket(plain, server_hostname=url.hostname) as secure:
            return _asked(secure, request, deadline)


def _asked(connection: socket.socket, request: str, deadline: float) -> str:
    connection.settimeout(_left(deadline))
    connection.sendall(request.encode())
    answer = b""
    while b"\r\n\r\n" not in answer and len(answer) < _LONGEST:
        connection.settimeout(_left(deadline))
        piece = connection.recv(_LONGEST)
        if not piece:
            break
        answer += piece
    status, *fields = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    if not status.startswith("HTTP/1.") or status.split()[1:2] not in (["301"], ["302"], ["303"], ["307"], ["308"]):
        return ""
    headers = (field.partition(":") for field in fields)
    return next((value.strip() for name, _, value in headers if name.strip().lower() == "location"), "")


def _left(deadline: float) -> float:
    """
    Raises:
        TimeoutError: no time is left.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _unchecked() -> ssl.SSLContext:
    """As FFmpeg does it: cameras sign their certificates themselves."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context

"""One POST over HTTP/1.1, on the event loop: no redirects, and over in time whatever the other side does."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final
from urllib.parse import urlsplit

_LINE: Final = 8192
"""Bytes of the answer that are looked at: its first line is all that matters."""


class NotAnswered(Exception):
    """Nobody answered, or not in HTTP; says why."""


async def post(url: str, body: bytes, headers: dict[str, str], *, timeout: float, tls: ssl.SSLContext) -> int:
    """Send ``body`` and return the answer's status; what follows the status isn't read. Cancelling hangs up.

    Args:
        url: ``http://`` or ``https://``, as :func:`facestream.jobs.event_options.check_url` lets it pass.
        headers: besides Host, Content-Length and Connection; of printable ASCII.
        timeout: seconds in all.
        tls: for ``https``; it checks the certificate and its name.

    Raises:
        NotAnswered: it isn't there, its certificate isn't good, it takes too long, or speaks something else.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    head = _head(parts.netloc.rpartition("@")[2], parts.path or "/", parts.query, headers, len(body))
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(
                parts.hostname, parts.port or (443 if secure else 80), ssl=tls if secure else None, limit=_LINE
            )
            try:
                writer.write(head + body)
                await writer.drain()
                return await _status(reader)
            finally:
                writer.transport.abort()
    except TimeoutError as error:
        raise NotAnswered(f"no answer within {timeout:g} s") from error
    except ssl.SSLCertVerificationError as error:
        raise NotAnswered(f"its certificate isn't good: {error.verify_message}") from error
    except UnicodeError as error:
        raise NotAnswered("its name can't be looked up") from error
    except (OSError, ssl.SSLError) as error:
        raise NotAnswered(error.strerror or str(error)) from error


def _head(host: str, path: str, query: str, headers: dict[str, str], length: int) -> bytes:
    target = f"{path}?{query}" if query else path
    lines = {"Host": host, **headers, "Content-Length": str(length), "Connection": "close"}
    fields = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items())]
    return "".join(f"{field}\r\n" for field in (*fields, "")).encode("ascii")


async def _status(reader: asyncio.StreamReader) -> int:
    """The status of the answer, interim ones (1xx) passed over."""
    while True:
        line = await _line(reader)
        version, _, rest = line.partition(b" ")
        number = rest[:3]
        if not version.startswith(b"HTTP/1.") or not number.isdigit() or len(number) != 3:
            raise NotAnswered("its answer isn't HTTP")
        if (status := int(number)) >= 200:
            return status
        while await _line(reader):
            pass


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return (await reader.readuntil(b"\n")).strip()
    except asyncio.IncompleteReadError as error:
        raise NotAnswered("it hung up without an answer") from error
    except asyncio.LimitOverrunError as error:
        raise NotAnswered("its answer isn't HTTP") from error

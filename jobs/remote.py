"""Asking a server that runs how it is, over HTTP. Blocks."""

from __future__ import annotations

import json
import ssl
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from facestream.errors import ConfigError, ServerUnavailable
from facestream.io.urls import redact_url

TIMEOUT = 5.0
"""Seconds that a server may take to answer."""

_MOST_BYTES = 16_000_000
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNEXPECTED_EOF_WHILE_READING")


class Remote:
    """
    Args:
        url: of the server, as it says it when it starts.
        token: one that may see, where the server asks for any.
        ca: a file of certificates in PEM to trust besides the system's, such as the server's own.

    Raises:
        ConfigError: the url isn't one of a server, the token can't be one, or there are no certificates in the file.

    Attributes:
        url: as it may be shown.
    """

    def __init__(self, url: str, token: str | None = None, ca: Path | None = None) -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"{redact_url(url)!r} isn't a server's address: give one like http://127.0.0.1:8765")
        if token is not None and not (token.isascii() and token.isprintable()):
            raise ConfigError("the token has characters in it that none has: check --token or FACESTREAM_TOKEN")
        self.url = redact_url(url.rstrip("/"))
        self._url = url.rstrip("/")
        self._token = token
        self._opener = _opener(ca)

    def health(self) -> dict[str, Any]:
        """What ``/health`` says, whatever its status.

        Raises:
            ServerUnavailable: there is none.
        """
        answer = self._json("/health")
        if not isinstance(answer, dict) or "status" not in answer:
            raise ServerUnavailable(f"{self.url} isn't a facestream server: check the address")
        return answer

    def sources(self) -> list[dict[str, Any]]:
        """What ``/api/sources`` says.

        Raises:
            ServerUnavailable: the server doesn't answer, or not without another token.
        """
        answer = self._json("/api/sources")
        return answer if isinstance(answer, list) else []

    def metrics(self) -> str:
        """What ``/metrics`` says.

        Raises:
            ServerUnavailable: the server doesn't answer, or not without another token.
        """
        return self._get("/metrics").decode(errors="replace")

    def _json(self, path: str) -> Any:
        body = self._get(path)
        try:
            return json.loads(body)
        except ValueError:
            raise ServerUnavailable(f"{self.url} isn't a facestream server: check the address") from None

    def _get(self, path: str) -> bytes:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            with self._opener.open(Request(self._url + path, headers=headers), timeout=TIMEOUT) as response:
                return bytes(response.read(_MOST_BYTES))
        except HTTPError as error:
            with error:
                return self._refused(error)
        except (URLError, OSError, HTTPException) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise ServerUnavailable(f"{self.url} {_why(reason)}") from None

    def _refused(self, error: HTTPError) -> bytes:
        if error.code in (401, 403):
            which = "another token" if self._token else "a token"
            raise ServerUnavailable(
                f"{self.url} wants {which}: give one that may view, with --token or FACESTREAM_TOKEN"
            )
        if error.code == 503:  # it says why
            return error.read(_MOST_BYTES)
        if error.code == 400 and b"https://" in error.read(_MOST_BYTES):
            raise ServerUnavailable(f"{self.url} speaks TLS: write https:// instead of http://")
        raise ServerUnavailable(f"{self.url} answers {error.code} {error.reason}: check the address")


def _why(reason: object) -> str:
    """Why a server can't be asked, and what to do."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"can't be trusted ({reason.verify_message}): if it is your own, give its certificate, or that of who "
            "signed it, with --ca or FACESTREAM_CA"
        )
    if isinstance(reason, ssl.SSLError) and reason.reason in _NO_TLS:
        return "doesn't answer in TLS: if it speaks none, write http:// instead of https://"
    if isinstance(reason, ConnectionRefusedError):
        return "doesn't answer: start it with `facestream serve`, or say where it is with --url"
    what = reason.strerror if isinstance(reason, OSError) and reason.strerror else reason  # without its number
    return f"doesn't answer ({what}): check that it runs, or say where it is with --url"


class _NoRedirects(HTTPRedirectHandler):
    """Nobody else gets the token."""

    def redirect_request(self, *request: Any) -> None:
        return None


def _opener(ca: Path | None) -> OpenerDirector:
    context = ssl.create_default_context()
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except OSError as error:  # ssl.SSLError is one
            raise ConfigError(f"--ca {ca} holds no certificates ({error.strerror or error}): give a PEM file") from None
    return build_opener(_NoRedirects, HTTPSHandler(context=context))

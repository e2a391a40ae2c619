"""Where a package's source archive is: asked of the user's own package indexes, as pip is configured to use them.

pip can't be asked for a source archive without starting the package's build, which is code of others. So the indexes'
pages are read here (PEP 503, PEP 691), and nothing of the package runs. Folders (``find-links``) are looked into first.
Of pip's settings, those that say where packages are and how to get there count: ``index-url``, ``extra-index-url``,
``find-links``, ``no-index``, ``cert``, ``proxy``; a name and password stand in an index's address.
"""

from __future__ import annotations

import ast
import base64
import http.client
import importlib.util
import os
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

import msgspec

from facestream.errors import WeightsMissing

DEFAULT_INDEX: Final = "https://pypi.org/simple"

_ACCEPT: Final = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_TIMEOUT: Final = 30.0  # seconds without a byte
_MOST: Final = 1 << 26  # bytes of a page


@dataclass(frozen=True, slots=True)
class PipSettings:
    """Where pip finds packages.

    Attributes:
        indexes: addresses, asked one after the other.
        folders: addresses and paths of folders and pages that hold packages, looked into before.
        cert: a file of certificates to trust, or None.
        proxy: an address to go through; None is what the environment says.
    """

    indexes: tuple[str, ...] = (DEFAULT_INDEX,)
    folders: tuple[str, ...] = ()
    cert: str | None = None
    proxy: str | None = None


def pip_settings() -> PipSettings:
    """Those of the user's pip; without a pip, what its environment variables say."""
    if importlib.util.find_spec("pip") is None:
        return settings_of({f":env:.{name}": value for name, value in _pip_environment().items()})
    command = [sys.executable, "-P", "-m", "pip", "config", "list"]  # -P: no pip.py from the current folder
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return settings_of(parsed_settings(done.stdout))


def parsed_settings(listing: str) -> dict[str, str]:
    """What ``pip config list`` prints: ``section.name='value'`` → value by ``section.name``."""
    found = {}
    for line in listing.splitlines():
        name, equals, value = line.partition("=")
        try:
            found[name] = str(ast.literal_eval(value)) if equals else ""
        except (ValueError, SyntaxError):
            continue
    return found


def settings_of(values: Mapping[str, str]) -> PipSettings:
    """pip's settings by ``section.name``; the environment counts most, then ``[download]``, then ``[global]``."""

    def value(name: str) -> str:
        return next(
            (found for section in (":env:", "download", "global") if (found := values.get(f"{section}.{name}"))), ""
        )

    folders = tuple(value("find-links").split())
    if value("no-index").lower() in ("1", "true", "yes", "on"):
        return PipSettings((), folders)
    indexes = (value("index-url") or DEFAULT_INDEX, *value("extra-index-url").split())
    return PipSettings(indexes, folders, value("cert") or None, value("proxy") or None)


def _pip_environment() -> dict[str, str]:
    return {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in os.environ.items()
        if name.startswith("PIP_")
    }


class PackageIndexes:
    """The user's package indexes. Blocks.

    Args:
        settings: pip's.

    Raises:
        WeightsMissing: the certificates to trust can't be read.
    """

    def __init__(self, settings: PipSettings) -> None:
        self._settings = settings
        self._passwords = dict(_passwords(settings))
        try:
            context = ssl.create_default_context(cafile=settings.cert)
        except OSError as error:
            raise WeightsMissing(f"pip's setting cert, {settings.cert}, can't be read ({_said(error)})") from error
        handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=context)]
        if settings.proxy is not None:
            handlers.append(urllib.request.ProxyHandler(dict.fromkeys(("http", "https"), settings.proxy)))
        self._opener = urllib.request.build_opener(*handlers)

    def open(self, request: urllib.request.Request) -> Any:
        """As :func:`urllib.request.urlopen`, with the index's certificates, proxy, name and password."""
        secret = self._passwords.get(urlsplit(request.full_url).netloc)
        if secret is not None:
            request.add_unredirected_header("Authorization", f"Basic {secret}")
        return self._opener.open(request, timeout=_TIMEOUT)

    def source_archive(self, package: str, version: str) -> str:
        """The address of ``package-version.tar.gz``, https or http; or file, on this machine.

        Raises:
            WeightsMissing: none of the indexes has it, or none can be reached; the message says so, in a few words.
        """
        reasons = []
        for page in (*self._settings.folders, *(_page(index, package) for index in self._settings.indexes)):
            try:
                links = self._links(page)
            except (OSError, http.client.HTTPException, ValueError, msgspec.DecodeError) as error:
                if not (isinstance(error, urllib.error.HTTPError) and error.code == 404):
                    reasons.append(f"{_without_password(page)}: {_said(error)}")
                continue
            for name, address in links:
                if _is_archive(name, package, version):
                    return address
        why = f" ({'; '.join(reasons)})" if reasons else ""
        raise WeightsMissing(f"no package index has the source archive of {package}=={version}{why}")

    def _links(self, page: str) -> list[tuple[str, str]]:
        """File name and address of everything on a page, or in a folder."""
        folder = _local(page)
        if folder is not None and folder.is_dir() and not (folder / "index.html").is_file():
            return [(path.name, path.absolute().as_uri()) for path in sorted(folder.iterdir())]
        if folder is not None:
            file = folder / "index.html" if folder.is_dir() else folder
            return _links_in(file.read_bytes(), "text/html", file.absolute().as_uri())
        request = urllib.request.Request(_without_password(page), headers={"Accept": _ACCEPT})
        with self.open(request) as response:
            kind, address = response.headers.get_content_type(), response.url
            links = _links_in(response.read(_MOST), kind, address)
        return [(name, link) for name, link in links if urlsplit(link).scheme in ("https", "http")]


def local_file(address: str) -> Path | None:
    """The file at a ``file:`` address; None for others."""
    return _local(address) if address.startswith("file:") else None


def _page(index: str, package: str) -> str:
    return f"{index.rstrip('/')}/{_normalised(package)}/"


def _normalised(package: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", package).lower()


def _is_archive(name: str, package: str, version: str) -> bool:
    stem, _, found = name.removesuffix(".tar.gz").rpartition("-")
    return name.endswith(".tar.gz") and found == version and _normalised(stem) == _normalised(package)


def _local(page: str) -> Path | None:
    """A page's place on this machine, if it has one."""
    parts = urlsplit(page)
    if parts.scheme == "file":
        return Path(urllib.request.url2pathname(parts.path))
    return None if parts.scheme in ("http", "https") else Path(page).expanduser()


def _links_in(body: bytes, kind: str, page: str) -> list[tuple[str, str]]:
    if kind == "application/vnd.pypi.simple.v1+json":
        files = msgspec.json.decode(body, type=_Project).files
        return [(file.filename, urljoin(page, file.url)) for file in files]
    parser = _Links(page)
    parser.feed(body.decode("utf-8", "replace"))
    addresses = [urldefrag(urljoin(parser.base, link)).url for link in parser.links]
    return [(unquote(urlsplit(address).path.rsplit("/", 1)[-1]), address) for address in addresses]


class _File(msgspec.Struct):
    filename: str
    url: str


class _Project(msgspec.Struct):
    files: list[_File]


class _Links(HTMLParser):
    """Collects where the anchors of a page lead."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.base = page
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        target = dict(attrs).get("href")
        if target and tag == "a":
            self.links.append(target)
        elif target and tag == "base":
            self.base = urljoin(self.base, target)


def _passwords(settings: PipSettings) -> Iterator[tuple[str, str]]:
    """Host and port → name and password in the form that HTTP wants them in."""
    for address in (*settings.indexes, *settings.folders):
        userinfo, at, host = urlsplit(address).netloc.rpartition("@")
        if at:
            yield host, base64.b64encode(unquote(userinfo).encode()).decode("ascii")


def _without_password(address: str) -> str:
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _said(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP status {error.code}"
    return str(getattr(error, "reason", error)) or type(error).__name__

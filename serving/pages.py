"""The viewer's files, served from memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

CONTENT_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webmanifest": "application/manifest+json",
}


@dataclass(frozen=True, slots=True)
class Page:
    body: bytes
    content_type: str
    etag: str


def load_pages() -> dict[str, Page]:
    """Path → page for every file of ``facestream.web``, folders included; ``/`` is its ``index.html``. Reads the disk.

    What has another ending than those above, or a name that begins with ``.`` or ``_``, isn't a page.
    """
    pages = dict(_pages_in(resources.files("facestream.web"), "/"))
    if "/index.html" in pages:
        pages["/"] = pages["/index.html"]
    return pages


def _pages_in(folder: Traversable, path: str) -> Iterator[tuple[str, Page]]:
    for entry in folder.iterdir():
        content_type = CONTENT_TYPES.get("." + entry.name.rpartition(".")[2])
        if entry.name.startswith((".", "_")):
            continue
        if entry.is_dir():
            yield from _pages_in(entry, f"{path}{entry.name}/")
        elif content_type is not None:
            body = entry.read_bytes()
            yield f"{path}{entry.name}", Page(body, content_type, f'"{hashlib.sha256(body).hexdigest()[:16]}"')

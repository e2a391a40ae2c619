"""The viewer's files, served from memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
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
    """Path → page for every file of ``facestream.web``; ``/`` is its ``index.html``. Reads the disk."""
    pages: dict[str, Page] = {}
    for entry in resources.files("facestream.web").iterdir():
        content_type = CONTENT_TYPES.get("." + entry.name.rpartition(".")[2])
        if content_type is not None and entry.is_file():
            body = entry.read_bytes()
            pages[f"/{entry.name}"] = Page(body, content_type, f'"{hashlib.sha256(body).hexdigest()[:16]}"')
    if "/index.html" in pages:
        pages["/"] = pages["/index.html"]
    return pages

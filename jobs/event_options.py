"""What can be chosen about events."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from facestream.errors import ConfigError
from facestream.stream.events import LEFT_AFTER, Kind

KINDS: Final = tuple(kind.value for kind in Kind)

LONGEST_CLIP: Final = 60.0
"""Seconds before and after: what the packets that are kept for it may hold."""

_TOLD_WITHIN: Final = 5.0  # seconds, on a busy machine


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookOptions:
    """A program elsewhere that is told of events; see :mod:`facestream.jobs.webhooks`.

    Attributes:
        url: ``http://`` or ``https://``.
        secret: what messages are signed with; None leaves them unsigned.
        types: of :data:`KINDS`; none means all.
        sources: names; none means all.

    Raises:
        ConfigError: a value is impossible. The message names the key, never the secret.
    """

    url: str
    secret: str | None = None
    types: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_url(self.url)
        if self.secret == "":
            raise ConfigError("a webhook's secret is empty: give a longer one, or leave it out")
        if unknown := [kind for kind in self.types if kind not in KINDS]:
            raise ConfigError(f"a webhook's types has {unknown[0]!r}: choose from {', '.join(KINDS)}")

    def __repr__(self) -> str:
        return f"WebhookOptions(url={shown(self.url)!r}, types={self.types}, sources={self.sources})"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventOptions:
    """
    Attributes:
        on: store events, with their pictures. Who asks for them is told of them anyway.
        store: the SQLite file; None for ``events.db`` in the user's data folder.
        keep_days: how long events are kept after they have ended.
        max_mb: megabytes (10⁶ bytes) that the file and its clips may take together; then the oldest go.
        pictures: keep a small picture of each visit.
        clip_before, clip_after: seconds of video around each arrival; both 0 for no clips.
        left_after: seconds without a sight of somebody after which they have left.

    Raises:
        ConfigError: a number is impossible.
    """

    on: bool = False
    store: Path | None = None
    keep_days: float = 30.0
    max_mb: float = 1000.0
    pictures: bool = True
    clip_before: float = 0.0
    clip_after: float = 0.0
    left_after: float = LEFT_AFTER
    webhooks: tuple[WebhookOptions, ...] = ()

    def __post_init__(self) -> None:
        _check("keep_days", self.keep_days, 0.001, 36500)
        _check("max_mb", self.max_mb, 1, 1e7)
        _check("clip_before", self.clip_before, 0, LONGEST_CLIP)
        _check("clip_after", self.clip_after, 0, LONGEST_CLIP)
        _check("left_after", self.left_after, 0.5, 3600)

    @property
    def clips(self) -> bool:
        """Whether clips are asked for."""
        return self.on and self.clip_before + self.clip_after > 0

    @property
    def keep_packets(self) -> float:
        """Seconds of a source's packets that clips ask for: who arrives is told of a moment later."""
        return self.clip_before + _TOLD_WITHIN if self.clips else 0.0


def check_url(url: str) -> None:
    """
    Raises:
        ConfigError: a webhook can't be sent there.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").encode("idna"), parts.port  # as it will be looked up
    except ValueError:
        host, port, parts = b"", None, urlsplit("")
    if "@" in parts.netloc:
        raise ConfigError(f"the webhook's url {shown(url)!r} has a user in it, which isn't sent: leave that out")
    sendable = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in ("http", "https") or not host or port == 0 or not sendable:
        raise ConfigError(f"the webhook's url {shown(url)!r} can't be sent to: give one like https://host/path")


def shown(url: str) -> str:
    """A webhook's address as it may be logged: what follows the host may be a secret, as chat services' are."""
    scheme, mark, rest = url.partition("://")
    host = rest.partition("/")[0].partition("?")[0].rpartition("@")[2]
    return f"{scheme}{mark}{host}" + ("/…" if "/" in rest or "?" in rest else "")


def _check(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{key} = {value:g} is impossible: choose from {low:g} to {high:g}")

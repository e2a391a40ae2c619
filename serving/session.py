"""What the server needs of a live session; :class:`facestream.jobs.live.LiveSession` fulfils it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from facestream.stream.device import Bridge
from facestream.stream.hub import Hub
from facestream.stream.types import Image

if TYPE_CHECKING:
    from facestream.jobs.live import SessionStatistics, SourceInfo


class PushEnd(Protocol):
    """The end of ``push:NAME`` that pictures go into; :class:`facestream.io.push.PushSource`."""

    def connect(self) -> None:
        """Take the source for one pusher.

        Raises:
            SourceUnavailable: somebody pushes already.
        """

    async def feed(self, image: Image, pts: float | None = None, captured_at: float | None = None) -> object:
        """Offer one picture; waits until the session has taken the one before, which it does at once.

        Raises:
            SourceUnavailable: the source was removed.
        """

    def disconnect(self) -> None: ...


class Session(Protocol):
    """Sources, the pipeline behind them and the hub where results come out."""

    hub: Hub
    bridge: Bridge

    def sources(self) -> list[SourceInfo]: ...

    async def add_source(self, text: str, *, name: str | None = None) -> SourceInfo:
        """Add a source and start it.

        Raises:
            ConfigError: the text isn't a source, or the name is taken.
            SourceError: the source can't be read.
        """

    async def remove_source(self, name: str) -> None:
        """Close a source and forget it.

        Raises:
            KeyError: there is no source of that name.
        """

    async def push_source(self, name: str) -> PushEnd:
        """The source of that name that is fed from outside, made when it isn't there.

        Raises:
            ConfigError: another kind of source has that name, or it isn't a name.
        """

    def statistics(self) -> SessionStatistics: ...

    def on_change(self, callback: Callable[[SourceInfo], None]) -> None:
        """Call ``callback`` on the event loop whenever a source's state changes."""

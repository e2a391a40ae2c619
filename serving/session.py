"""What the server needs of a live session; :class:`facestream.jobs.live.LiveSession` fulfils it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from facestream.stream.device import Bridge
from facestream.stream.hub import Hub
from facestream.stream.types import Image

if TYPE_CHECKING:
    from facestream.jobs.live import SessionStatistics, SourceInfo, SourceOptions
    from facestream.jobs.recognition import NamedPerson


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

    @property
    def options(self) -> SourceOptions:
        """Of sources that are added without any of their own."""

    async def add_source(
        self, text: str, *, name: str | None = None, options: SourceOptions | None = None
    ) -> SourceInfo:
        """Add a source and start it.

        Raises:
            ConfigError: the text isn't a source, the name is taken, or the options aren't possible.
            SourceError: the source can't be read.
        """

    async def update_source(
        self, name: str, text: str | None = None, options: SourceOptions | None = None
    ) -> SourceInfo:
        """Change a source; None leaves a thing as it is.

        Raises:
            KeyError: there is no source of that name.
            ConfigError, SourceError: as for :meth:`add_source`.
        """

    async def restart_source(self, name: str) -> SourceInfo:
        """Open a source again.

        Raises:
            KeyError: there is no source of that name.
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

    async def clip(self, name: str, before: float, after: float, path: Path) -> float:
        """Write a clip of a source's last ``before`` seconds and the ``after`` to come; returns how long it is.

        Raises:
            KeyError: there is no source of that name.
            SourceError: it can't give one.
            OutputError: the file can't be written.
        """

    def statistics(self) -> SessionStatistics: ...

    def on_change(self, callback: Callable[[SourceInfo], None]) -> None:
        """Call ``callback`` on the event loop whenever a source's state changes."""


class Recognition(Protocol):
    """People by name; :class:`facestream.jobs.recognition.LiveRecognition` fulfils it.

    Every method raises FileFormatError or OutputError where the gallery of people is damaged or can't be written.
    """

    @property
    def model(self) -> str:
        """The identity model's name."""

    async def name(self, source: str, track: int, name: str) -> None:
        """Learn a face as somebody's.

        Raises:
            KeyError: there is no such face, or no good picture of it yet.
            ConfigError: the name can't be one.
        """

    async def list(self) -> Sequence[NamedPerson]:
        """Everybody, by name."""

    async def rename(self, name: str, to: str) -> None:
        """Give somebody another name.

        Raises:
            ConfigError: there is nobody called ``name``, or somebody else is called ``to``.
        """

    async def remove(self, name: str) -> None:
        """Forget somebody, with every trace.

        Raises:
            ConfigError: there is nobody of that name.
        """

    async def merge(self, name: str, into: str) -> None:
        """Two names are one person's.

        Raises:
            ConfigError: there is nobody of one of the names, or both are the same.
        """

"""A session that is served before there is one: the port answers while the models are still being loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from facestream.errors import ConfigError
from facestream.jobs.live import SessionStatistics
from facestream.serving.session import PushEnd, Session
from facestream.stream.device import Bridge
from facestream.stream.hub import Hub

if TYPE_CHECKING:
    from facestream.jobs.live import SourceInfo, SourceOptions

_LOADING: Final = "the models are being loaded: try again in some seconds"


class DeferredSession:
    """Has no source and takes none until :meth:`begin`; from then on it is the session that it was given.

    Args:
        hub: where results will come out; the session to come must have the same one.
    """

    def __init__(self, hub: Hub, bridge: Bridge) -> None:
        self.hub = hub
        self.bridge = bridge
        self._session: Session | None = None
        self._callbacks: list[Callable[[SourceInfo], None]] = []

    @property
    def not_ready(self) -> str:
        """Why there is no session yet, or ""."""
        return "" if self._session is not None else _LOADING

    def begin(self, session: Session) -> None:
        """There it is.

        Raises:
            ValueError: its results come out elsewhere.
        """
        if session.hub is not self.hub:
            raise ValueError("the session must publish on the hub that is served")
        self._session = session
        for callback in self._callbacks:
            session.on_change(callback)

    def sources(self) -> list[SourceInfo]:
        return [] if self._session is None else self._session.sources()

    @property
    def options(self) -> SourceOptions:
        return self._begun.options

    async def add_source(
        self, text: str, *, name: str | None = None, options: SourceOptions | None = None
    ) -> SourceInfo:
        return await self._begun.add_source(text, name=name, options=options)

    async def update_source(
        self, name: str, text: str | None = None, options: SourceOptions | None = None
    ) -> SourceInfo:
        return await self._begun.update_source(name, text, options)

    async def restart_source(self, name: str) -> SourceInfo:
        return await self._begun.restart_source(name)

    async def remove_source(self, name: str) -> None:
        await self._begun.remove_source(name)

    async def push_source(self, name: str) -> PushEnd:
        return await self._begun.push_source(name)

    async def clip(self, name: str, before: float, after: float, path: Path) -> float:
        return await self._begun.clip(name, before, after, path)

    def statistics(self) -> SessionStatistics:
        if self._session is None:
            return SessionStatistics([], [], 0, [])
        return self._session.statistics()

    def on_change(self, callback: Callable[[SourceInfo], None]) -> None:
        self._callbacks.append(callback)
        if self._session is not None:
            self._session.on_change(callback)

    @property
    def _begun(self) -> Session:
        if self._session is None:
            raise ConfigError(_LOADING)
        return self._session

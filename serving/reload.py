"""A configuration file that is read again while the server runs: which sources come, go and change.

:func:`plan` says what there is to do, and :class:`Reloading` does it, at ``SIGHUP`` and for ``config.reload`` on
``/ws/control``. Whatever else has changed waits for a restart, and is told. Sources added over the network stay.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from facestream.config import WEBHOOKS, SourceEntry
from facestream.config_settings import Settings
from facestream.errors import ConfigError, FacestreamError, SourceError
from facestream.jobs.source_options import SourceOptions
from facestream.serving.messages import FailedReload, NoParams, ReloadMessage
from facestream.serving.rpc import REFUSED, Failure, Method, convert
from facestream.serving.session import Session

log = logging.getLogger("facestream.reload")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, in this order: whoever goes may have what another needs, such as a webcam.

    Attributes:
        remove: names.
        again: those that were given up, to be tried again.
        taken: those that can't be added, as a source of their name came over the network.
        restart: keys that changed and count from the next start on.
    """

    remove: tuple[str, ...] = ()
    change: tuple[SourceEntry, ...] = ()
    again: tuple[SourceEntry, ...] = ()
    add: tuple[SourceEntry, ...] = ()
    taken: tuple[SourceEntry, ...] = ()
    restart: tuple[str, ...] = ()


def plan(old: Settings, new: Settings, present: Collection[str], given_up: Collection[str] = ()) -> Plan:
    """How to come from ``old``, which is in force, to ``new``.

    Args:
        present: the names of the sources that are there, whoever added them. One of the file that isn't, as it was
            removed over the network, is added again: that's what the file says.
        given_up: those of them that nobody tries to read any more, such as a film that wasn't there.
    """
    before = {entry.name: entry for entry in old.sources}
    after = {entry.name: entry for entry in new.sources}
    fresh = [entry for name, entry in after.items() if name not in present]
    changed = [e for name, e in after.items() if name in present and name in before and e != before[name]]
    taken = [entry for name, entry in after.items() if name in present and name not in before]
    again = [e for name, e in after.items() if name in given_up and e == before.get(name)]
    restart = [key for key, value in new.values.items() if value != old.values.get(key)]
    if old.webhooks != new.webhooks:
        restart.append(WEBHOOKS)
    return Plan(
        remove=tuple(str(name) for name in before if name not in after and name in present),
        change=tuple(changed),
        again=tuple(again),
        add=tuple(fresh),
        taken=tuple(taken),
        restart=tuple(restart),
    )


@dataclass(frozen=True, slots=True)
class Rereading:
    """The settings in force, and how they are read anew: that blocks, and raises ConfigError if they are wrong."""

    settings: Settings
    read: Callable[[], Settings]


class Reloading:
    """Carries plans out on a session. A context manager: inside it ``SIGHUP`` asks for one.

    Args:
        session: whose sources they are.
        rereading: of what; while it fails nothing changes.
        options_of: how a source is opened.
        on_hangup: called when ``SIGHUP`` came because the terminal has gone that the server was started in.
    """

    def __init__(
        self,
        session: Session,
        rereading: Rereading,
        options_of: Callable[[SourceEntry], SourceOptions],
        *,
        on_hangup: Callable[[], object] = lambda: None,
    ) -> None:
        self._session = session
        self._settings = rereading.settings
        self._read = rereading.read
        self._options_of = options_of
        self._on_hangup = on_hangup
        self._also: list[Callable[[], Awaitable[object]]] = []
        self._asked = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._in_terminal = sys.stdin is not None and sys.stdin.isatty()

    @property
    def methods(self) -> dict[str, Method]:
        """For ``/ws/control``."""
        return {"config.reload": self._answer}

    def __enter__(self) -> Self:
        if hasattr(signal, "SIGHUP"):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hang_up)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if hasattr(signal, "SIGHUP"):
            asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)

    def _hang_up(self) -> None:
        if self._in_terminal and not sys.stdin.isatty():
            self._on_hangup()
        else:
            self._asked.set()

    def also(self, step: Callable[[], Awaitable[object]]) -> None:
        """Await ``step`` at each reload, as for a certificate that has been renewed. Its FacestreamError is logged."""
        self._also.append(step)

    async def run(self) -> None:
        """Answer the signals, for ever; one that came before this is answered at once."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            with suppress(ConfigError):  # it has been said why
                await self.reload()

    async def reload(self) -> ReloadMessage:
        """Read the settings anew and change what has changed; a source that fails doesn't keep the others from it.

        Cancelling leaves out what isn't done yet; the next reload does it.

        Raises:
            ConfigError: something is wrong with the settings; nothing has changed.
        """
        async with self._one_at_a_time:
            try:
                new = await self._session.bridge.cpu(self._read)
                options = {entry.name: self._options_of(entry) for entry in new.sources}
            except ConfigError as error:
                log.error("the settings were not read again, nothing has changed: %s", error)
                raise
            for step in self._also:
                try:
                    await step()
                except FacestreamError as error:
                    log.error("not read again: %s", error)
            sources = self._session.sources()
            given_up = {info.name for info in sources if info.given_up}
            return await self._carry_out(plan(self._settings, new, {info.name for info in sources}, given_up), options)

    async def _carry_out(self, steps: Plan, options: dict[str | None, SourceOptions]) -> ReloadMessage:
        done = ReloadMessage(restart=list(steps.restart))
        for name in steps.remove:
            with suppress(KeyError):  # over the network, meanwhile
                await self._session.remove_source(name)
            self._note(name, None)
            done.removed.append(name)
            log.info("source %s removed: the settings don't have it any more", name)
        for entry in steps.change:
            update = self._session.update_source(str(entry.name), entry.url, options[entry.name])
            if await self._done(entry, update, done.failed):
                done.changed.append(str(entry.name))
                log.info("source %s changed, as in the settings", entry.name)
        for entry in steps.again:
            if await self._done(entry, self._session.restart_source(str(entry.name)), done.failed):
                done.changed.append(str(entry.name))
        for entry in steps.add:
            addition = self._session.add_source(entry.url, name=entry.name, options=options[entry.name])
            if await self._done(entry, addition, done.failed):
                done.added.append(str(entry.name))
                log.info("source %s added, as in the settings", entry.name)
        for entry in steps.taken:
            reason = "a source of that name was added over the network: remove that one, or give this another name"
            self._fail(entry, reason, done.failed)
        for key in steps.restart:
            log.warning("%s has changed: that counts from the next start on", key)
        if not (done.removed or done.changed or done.added or done.failed or done.restart):
            log.info("settings read again: nothing has changed")
        return done

    async def _done(self, entry: SourceEntry, step: Awaitable[object], failed: list[FailedReload]) -> bool:
        try:
            await step
        except (ConfigError, SourceError) as error:
            self._fail(entry, str(error), failed)
            return False
        except KeyError:
            self._fail(entry, "it was removed over the network meanwhile: reload once more", failed)
            return False
        self._note(entry.name, entry)
        return True

    def _fail(self, entry: SourceEntry, reason: str, failed: list[FailedReload]) -> None:
        failed.append(FailedReload(name=str(entry.name), reason=reason))
        log.error("source %s is not as in the settings: %s", entry.name, reason)

    def _note(self, name: str | None, entry: SourceEntry | None) -> None:
        """From now on the source is what ``entry`` says, or isn't there."""
        others = tuple(source for source in self._settings.sources if source.name != name)
        self._settings = replace(self._settings, sources=others if entry is None else (*others, entry))

    async def _answer(self, params: Any) -> Any:
        convert(params, NoParams)
        try:
            return await self.reload()
        except ConfigError as error:
            raise Failure(REFUSED, str(error)) from error

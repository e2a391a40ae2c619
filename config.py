"""The settings of ``facestream serve``: what there is to set, and what a TOML file and the environment say of it.

Each :class:`Setting` is a key of the file, an option of the command line and a variable of the environment at once;
:mod:`facestream.cli_settings` declares them all, and nothing else does. The command line goes before the environment,
that before the file, that before the default.

Imports neither torch nor OpenCV nor numpy: the command line's help needs it.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias

import click

from facestream.config_values import Unusable, from_text, from_toml
from facestream.errors import ConfigError

PREFIX = "FACESTREAM_"
DEFAULT_FILE = "facestream.toml"

OTHER_VARIABLES = frozenset(
    PREFIX + name
    for name in (
        *("CONFIG", "CACHE", "DATA", "USER_DATA", "SETTINGS", "OFFLINE", "ACCEPT_LICENCE", "URL", "CA"),
        *("FULL", "SCREENSHOTS"),  # of the tests
    )
)
"""The environment's variables of ours that are no settings of ``facestream serve``."""

SOURCES, WEBHOOKS = "sources", "events.webhooks"
"""The tables that may come several times, as ``[[sources]]``."""

Region: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom as shares 0..1 of the frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceEntry:
    """A source as configured. None is what holds for every source that says nothing else.

    Attributes:
        url: with its credentials, if it has any: never shown.
        name: None while it is still to be made from the url.
    """

    url: str = field(repr=False)
    name: str | None = None
    max_rate: float | None = None
    region: Region | None = None
    detect_every: int | Literal["auto"] | None = None
    rtsp_transport: Literal["tcp", "udp"] | None = None
    open_timeout: float | None = None
    read_timeout: float | None = None
    decoder: Literal["auto", "cpu", "cuda"] | None = None
    loop: bool | None = None
    lossless: bool | None = None
    events: bool | None = None
    clips: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEntry:
    """Where events are sent.

    Attributes:
        secret: what signs them; None for no signature.
        types: the kinds of events, none for all.
        sources: names, none for all.
    """

    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    types: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that can be set.

    Attributes:
        table: of the file, such as "server".
        key: in that table.
        option: its name, type, default and help; two settings may share one, which then sets both.
        negated: the option is the key's opposite, as ``--no-biometrics`` is of ``biometrics``.
        secret: shown to nobody.
        words: what the file and the document say instead of the option's help.
        preset: what holds in the table, where that isn't the option's default.
    """

    table: str
    key: str
    option: click.Option
    negated: bool = False
    secret: bool = False
    words: str = ""
    preset: Any = None

    @property
    def path(self) -> str:
        """As messages call it: ``server.port``, ``sources[].region``."""
        return f"{self.table}{'[]' if self.table in (SOURCES, WEBHOOKS) else ''}.{self.key}"

    @property
    def name(self) -> str:
        """Of the value among those that the command line gives."""
        assert self.option.name is not None
        return self.option.name

    @property
    def flag(self) -> str:
        """The option as it is written: ``--port``."""
        return next(text for text in self.option.opts if text.startswith("--"))

    @property
    def forms(self) -> str:
        """The option in all its forms: ``--loop/--no-loop``."""
        return "/".join([self.flag, *self.option.secondary_opts])

    def typed(self, value: Any) -> str:
        """The option as it was written for ``value``: ``--no-loop`` for False."""
        return self.option.secondary_opts[0] if value is False and self.option.secondary_opts else self.flag

    @property
    def variable(self) -> str:
        """The environment's: ``FACESTREAM_PORT``."""
        return PREFIX + self.flag.removeprefix("--").upper().replace("-", "_")

    @property
    def default(self) -> Any:
        """What holds when nothing is said: None for nothing."""
        if self.preset is not None:
            return self.preset
        with click.Command("serve", params=[self.option]).make_context("serve", []) as context:
            value = context.params[self.name]
        return not value if self.negated else value

    @property
    def help(self) -> str:
        return self.words or self.option.help or ""


@dataclass(slots=True)
class Layer:
    """What one place gives: values by option, and where exactly each was found.

    Attributes:
        places: of each source, its number in the file; those that are wrong are left out.
        problems: what is wrong with it, each in one line; :meth:`check` raises the first.
    """

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    sources: tuple[SourceEntry, ...] | None = None
    places: tuple[int, ...] = ()
    webhooks: tuple[WebhookEntry, ...] | None = None
    problems: list[str] = field(default_factory=list)

    def check(self, rest: str = "") -> Layer:
        """
        Args:
            rest: what shows the other problems, if there are any.

        Raises:
            ConfigError: something is wrong with it.
        """
        if self.problems:
            more = len(self.problems) - 1
            raise ConfigError(self.problems[0] + (f" ({more} more: {rest})" if more and rest else ""))
        return self


def from_environment(settings: Iterable[Setting], environment: Mapping[str, str] | None = None) -> Layer:
    """What the environment sets; a variable that is empty sets nothing."""
    environment = os.environ if environment is None else environment
    layer = Layer()
    for setting in settings:
        text = environment.get(setting.variable, "")
        if not text.strip():
            continue
        try:
            layer.values[setting.name] = from_text(setting.option, text)
        except Unusable as error:
            layer.problems.append(f"{setting.variable}: {error}")
        layer.origins[setting.name] = setting.variable
    return layer


def unheard(settings: Iterable[Setting], environment: Mapping[str, str] | None = None) -> str:
    """A warning of variables that look like settings and are none, or ""."""
    environment = os.environ if environment is None else environment
    known = {setting.variable for setting in settings} | OTHER_VARIABLES
    strange = sorted(
        name for name, text in environment.items() if name.startswith(PREFIX) and text and name not in known
    )
    if not strange:
        return ""
    guesses = difflib.get_close_matches(strange[0], sorted(known), 1) if len(strange) == 1 else []
    advice = f"did you mean {guesses[0]}?" if guesses else "see `facestream config init` for those that there are"
    return f"nothing looks at {', '.join(strange)}; {advice}"


def from_file(path: Path, settings: Sequence[Setting]) -> Layer:
    """What the TOML file ``path`` sets. Blocks.

    Raises:
        ConfigError: it can't be read, or isn't TOML; whatever else is wrong is among the layer's problems.
    """
    try:
        document = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise ConfigError(f"can't read the configuration file {path}: {error.strerror}; check --config") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} isn't valid TOML: {error}; correct it there") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} isn't valid TOML: it isn't UTF-8 text; save it as UTF-8") from None
    return _Reader(path, settings).read(document)


class _Reader:
    """Goes through a file's tables; every problem is noted, so that a check can tell them all at once."""

    def __init__(self, path: Path, settings: Sequence[Setting]) -> None:
        self._path = path
        self._tables: dict[str, dict[str, Setting]] = {}
        for setting in settings:
            self._tables.setdefault(setting.table, {})[setting.key] = setting
        self._layer = Layer()

    def read(self, document: dict[str, Any]) -> Layer:
        webhooks = events.pop("webhooks", None) if isinstance(events := document.get("events"), dict) else None
        if webhooks is not None:
            self._layer.webhooks = tuple(
                WebhookEntry(**values) for _, values in self._several(WEBHOOKS, webhooks, WebhookEntry)
            )
        sources = document.pop(SOURCES, None)
        if sources is not None:
            found = self._several(SOURCES, sources, SourceEntry)
            self._layer.sources = tuple(SourceEntry(**values) for _, values in found)
            self._layer.places = tuple(place for place, _ in found)
        for name, table in document.items():
            if name == "serve":
                self._say(name, self._moved(table))
            elif name not in self._tables:
                self._say(name, self._unknown_table(name))
            elif not isinstance(table, dict):
                self._say(name, f"this is a table: write [{name}] on a line of its own, and its keys below")
            else:
                self._single(name, table)
        return self._layer

    def _single(self, name: str, table: dict[str, Any]) -> None:
        for key, value in table.items():
            setting = self._tables[name].get(key)
            if setting is None:
                self._say(f"{name}.{key}", self._unknown_key(name, key))
                continue
            try:
                taken = from_toml(setting.option, value)
            except Unusable as error:
                self._say(f"{name}.{key}", str(error))
                continue
            self._layer.values[setting.name] = not taken if setting.negated else taken
            self._layer.origins[setting.name] = f"{self._path}: {name}.{key}"

    def _several(
        self, name: str, tables: Any, kind: type[SourceEntry | WebhookEntry]
    ) -> list[tuple[int, dict[str, Any]]]:
        """What is right of them, each with its number."""
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self._say(name, f"write [[{name}]] above the keys of each")
            return []
        found = []
        for i, table in enumerate(tables):
            where = f"{name}[{i}]"
            if "url" not in table:
                self._say(where, "it has no url; every one needs one")
            elif values := self._entry(name, where, table, {field.name for field in fields(kind)}):
                found.append((i, values))
        return found

    def _entry(self, name: str, where: str, table: dict[str, Any], known: set[str]) -> dict[str, Any] | None:
        before = len(self._layer.problems)
        values: dict[str, Any] = {}
        for key, value in table.items():
            setting = self._tables[name].get(key)
            if key not in known:
                self._say(f"{where}.{key}", self._unknown_key(name, key, known))
            elif setting is None or key in ("url", "name"):
                if not isinstance(value, str) or not value.strip():
                    self._say(f"{where}.{key}", f"this is text, in quotes, not {value!r}")
                values[key] = value
            else:
                try:
                    taken = from_toml(setting.option, value)
                    values[key] = tuple(taken) if isinstance(taken, list) else taken
                except Unusable as error:
                    self._say(f"{where}.{key}", str(error))
        return values if len(self._layer.problems) == before else None

    def _say(self, where: str, reason: str) -> None:
        self._layer.problems.append(f"{self._path}: {where}: {reason}")

    def _unknown_table(self, name: str) -> str:
        guess = difflib.get_close_matches(name, [*self._tables], 1)
        there = ", ".join(self._tables)
        return f"there is no such table; {f'did you mean [{guess[0]}]?' if guess else f'there are {there}'}"

    def _unknown_key(self, table: str, key: str, known: Iterable[str] | None = None) -> str:
        known = [*(known or self._tables[table])]
        if guess := difflib.get_close_matches(key, known, 1):
            return f"there is no such key; did you mean {guess[0]}?"
        if elsewhere := [
            setting.path for keys in self._tables.values() for name, setting in keys.items() if name == key
        ]:
            return f"there is no such key here; did you mean {elsewhere[0]}?"
        return f"there is no such key; there are {', '.join(sorted(known))}"

    def _moved(self, table: Any) -> str:
        """Where the keys of the one table of before are now: they had the options' names."""
        now = {setting.name: setting.path for keys in self._tables.values() for setting in keys.values()}
        moves = [f"serve.{key} is {now[key]}" for key in table if key in now] if isinstance(table, dict) else []
        return f"this table is several now: {', '.join(moves) or 'see `facestream config init`'}"

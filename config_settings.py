"""The settings in force: what the command line, the environment, the file and the defaults come to."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from facestream.config import SOURCES, WEBHOOKS, Layer, Setting, SourceEntry, WebhookEntry
from facestream.errors import ConfigError, SourceUnavailable
from facestream.io.urls import SourceKind, check_name, parse_source, redact_url, source_kind

DEFAULT = "default"

_OF_STORED_EVENTS = ("store", "keep_days", "max_mb", "pictures", "clip_before", "clip_after")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that is set.

    Attributes:
        values: by key, ``server.port``; what the command's options are called is no matter any more.
        origins: where each comes from: "--port", "FACESTREAM_PORT", "FILE: server.port" or "default".
        sources: each with a name; those of the command line or the environment stand instead of the file's.
        sources_from, webhooks_from: where these come from.
        file: that was read.
    """

    values: Mapping[str, Any]
    origins: Mapping[str, str]
    sources: tuple[SourceEntry, ...] = ()
    webhooks: tuple[WebhookEntry, ...] = ()
    sources_from: str = DEFAULT
    webhooks_from: str = DEFAULT
    file: Path | None = None


def settle(
    settings: Iterable[Setting],
    given: Mapping[str, Any],
    typed: Iterable[str],
    environment: Layer,
    file: Layer,
    path: Path | None,
) -> Settings:
    """Bring all places together.

    Args:
        given: the value of each option, by its name: those of environment and file are its defaults.
        typed: the options that stand on the command line.

    Raises:
        ConfigError: they contradict each other, or a source or webhook can't be one.
    """
    settings = tuple(settings)
    typed = frozenset(typed)
    said = {setting.name: setting.typed(given[setting.name]) for setting in settings if setting.name in typed}
    said = {**environment.origins, **said}  # wins over what the file says of single sources and webhooks
    origins = {**file.origins, **said}
    plain = [setting for setting in settings if setting.table not in (SOURCES, WEBHOOKS)]
    sources, sources_from = _sources(given, said, file, path)
    webhooks, webhooks_from = _webhooks(given, said, file, path)
    found = Settings(
        values={s.path: (not given[s.name]) if s.negated else given[s.name] for s in plain}
        | {s.path: given[s.name] for s in settings if s.table == SOURCES and s.key not in ("url", "name")},
        origins={setting.path: origins.get(setting.name, DEFAULT) for setting in settings},
        sources=tuple(_overruled(entry, settings, said) for entry in sources),
        webhooks=webhooks,
        sources_from=sources_from,
        webhooks_from=webhooks_from,
        file=path,
    )
    return _checked(replace(found, sources=_named(found.sources, sources_from, path)))


def _sources(
    given: Mapping[str, Any], said: Mapping[str, str], file: Layer, path: Path | None
) -> tuple[tuple[SourceEntry, ...], str]:
    typed = (*given["sources"], *given["source"])
    if typed:
        return tuple(SourceEntry(url=text) for text in typed), said.get("source", "the command line")
    if file.sources is not None:
        return file.sources, str(path)
    return (), DEFAULT


def _overruled(entry: SourceEntry, settings: Iterable[Setting], said: Mapping[str, str]) -> SourceEntry:
    """What command line and environment say holds for every source, whatever the file says of it."""
    keys = {setting.key for setting in settings if setting.table == SOURCES and setting.name in said}
    silenced: dict[str, Any] = dict.fromkeys(keys - {"url", "name"})
    return replace(entry, **silenced)


def _webhooks(
    given: Mapping[str, Any], said: Mapping[str, str], file: Layer, path: Path | None
) -> tuple[tuple[WebhookEntry, ...], str]:
    if given["webhook"]:
        webhooks, origin = tuple(WebhookEntry(url=url) for url in given["webhook"]), said["webhook"]
    elif file.webhooks is not None:
        webhooks, origin = file.webhooks, str(path)
    else:
        return (), DEFAULT
    overruled: dict[str, Any] = {}
    if "webhook_secret" in said:
        overruled["secret"] = given["webhook_secret"]
    if "webhook_types" in said:
        overruled["types"] = tuple(given["webhook_types"])
    if "webhook_sources" in said:
        overruled["sources"] = tuple(given["webhook_sources"])
    return tuple(replace(webhook, **overruled) for webhook in webhooks), origin


def exposed(settings: Settings) -> str:
    """A warning if others on this machine can read a file that holds secrets, or ""."""
    path = settings.file
    if path is None or not path.stat().st_mode & stat.S_IROTH:
        return ""
    secrets = [
        settings.origins["server.token"].startswith(f"{path}: "),
        settings.sources_from == str(path) and any(redact_url(entry.url) != entry.url for entry in settings.sources),
        settings.webhooks_from == str(path) and any(webhook.secret is not None for webhook in settings.webhooks),
    ]
    return f"{path} holds secrets and everybody on this machine can read it: chmod 600 {path}" if any(secrets) else ""


def check_files(settings: Settings) -> None:
    """Look whether any of the sources can be there. Blocks.

    Raises:
        SourceUnavailable: all are files and folders, and none is there.
    """
    missing = _missing(settings)
    if missing and len(missing) == len(settings.sources):
        raise SourceUnavailable(f"{missing[0]} isn't there; check the path")


def missing_files(settings: Settings) -> str:
    """A warning of files and folders among the sources that aren't there, or "". Blocks."""
    missing = _missing(settings)
    return f"not there, seen from this folder: {', '.join(missing)}; check the path" if missing else ""


def _missing(settings: Settings) -> list[str]:
    return [entry.url for entry in settings.sources if source_kind(entry.url).finite and not os.path.exists(entry.url)]


def idle(settings: Settings) -> str:
    """A warning if what is asked for comes to nothing without something else, or ""."""
    if settings.values["events.on"]:
        return ""
    asked = [origin for key in _OF_STORED_EVENTS if (origin := settings.origins[f"events.{key}"]) != DEFAULT]
    return f"events aren't stored, whatever {', '.join(asked)} says: add --events ([events] on = true)" if asked else ""


# --- what no single value tells ---------------------------------------------------------------------------


def misnamed(entries: Sequence[SourceEntry], origin: str, places: Sequence[int]) -> list[str]:
    """What is wrong with the URLs and names of a file's sources, each in one line.

    Args:
        places: the number of each in the file ``origin``.
    """
    return _Naming(origin, places).take(entries)


def _named(entries: tuple[SourceEntry, ...], origin: str, file: Path | None) -> tuple[SourceEntry, ...]:
    """
    Raises:
        ConfigError: one isn't a source, its name isn't one, or two have the same.
    """
    naming = _Naming(origin, range(len(entries)) if origin == str(file) else None)
    if problems := naming.take(entries):
        raise ConfigError(problems[0])
    return tuple(naming.named)


class _Naming:
    """Gives each source its name.

    Args:
        places: their numbers in a file; None where they aren't from one.
    """

    def __init__(self, origin: str, places: Sequence[int] | None) -> None:
        self._origin = origin
        self._places = places
        self._names: dict[str, str] = {}
        self.named: list[SourceEntry] = []

    def take(self, entries: Iterable[SourceEntry]) -> list[str]:
        """What is wrong with them."""
        problems = []
        for i, entry in enumerate(entries):
            key = "url" if entry.name is None else "name"
            try:
                name = parse_source(entry.url).name if entry.name is None else check_name(entry.name)
                key = "url"
                url = _readable(parse_source(entry.url).url if entry.name is None else entry.url)
                key = "name"
                self._take(name, i)
            except ConfigError as error:
                problems.append(f"{self._where(i, key)}: {error}")
            else:
                self.named.append(replace(entry, name=name, url=url))
        return problems

    def _take(self, name: str, i: int) -> None:
        if name not in self._names:
            self._names[name] = "another source" if self._places is None else f"{SOURCES}[{self._places[i]}]"
            return
        advice = "write OTHER=URL" if self._places is None else "give one of them another name"
        raise ConfigError(f"{self._names[name]} is called {name!r} too; {advice}")

    def _where(self, i: int, key: str) -> str:
        return self._origin if self._places is None else f"{self._origin}: {SOURCES}[{self._places[i]}].{key}"


def _readable(url: str) -> str:
    """
    Raises:
        ConfigError: it is of no form that we know, or a configuration file.
    """
    if source_kind(url) is SourceKind.FILE and url.lower().endswith(".toml"):
        raise ConfigError(f"{url} is no video: a configuration file is given with --config {url}")
    return url


def _checked(settings: Settings) -> Settings:
    """
    Raises:
        ConfigError: a value is impossible beside another, or in itself.
    """

    def wrong(key: str, reason: str) -> ConfigError:
        origin = settings.origins[key]
        return ConfigError(f"{key if origin == DEFAULT else origin}: {reason}")

    values = settings.values
    if values["server.cert"] is not None and values["server.key"] is None:
        raise wrong("server.cert", "a certificate needs its private key: add --key FILE, or key under [server]")
    if values["server.key"] is not None and values["server.cert"] is None:
        raise wrong("server.key", "a private key needs its certificate: add --cert FILE, or cert under [server]")
    if values["server.token"] is not None and not values["server.token"].strip():
        raise wrong("server.token", "the token is empty; give a longer one, or none at all")
    for origin in values["server.allow_origins"]:
        if not re.fullmatch(r"https?://[^/\s]+", origin):
            raise wrong(
                "server.allow_origins", f"{origin!r} isn't a page's origin: write https://host or https://host:port"
            )
    for i, entry in enumerate(settings.sources):
        from_file = settings.sources_from == str(settings.file)
        _check_source(settings, entry, f"{settings.sources_from}: " + (f"{SOURCES}[{i}]." if from_file else ""))
    for i, webhook in enumerate(settings.webhooks):
        if not _is_web_address(webhook.url):
            raise ConfigError(
                f"{settings.webhooks_from}: {WEBHOOKS}[{i}].url: a webhook is an http:// or https:// address"
            )
        if webhook.secret is not None and not webhook.secret.strip():
            raise ConfigError(
                f"{settings.webhooks_from}: {WEBHOOKS}[{i}].secret: it is empty; give a longer one, or none"
            )
    return settings


def _check_source(settings: Settings, entry: SourceEntry, where: str) -> None:
    def holds(key: str) -> Any:
        own = getattr(entry, key)
        return settings.values[f"{SOURCES}[].{key}"] if own is None else own

    if holds("max_rate") is not None and holds("lossless"):
        raise ConfigError(f"{where}max_rate: it drops frames and lossless drops none; leave out one of the two")
    if holds("region") is not None and settings.values["people.anonymise"] is not None:
        raise ConfigError(f"{where}region: a face outside would not be covered; leave it out, or people.anonymise")


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False

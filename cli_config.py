"""``facestream config …``: one small function a command. Nothing heavy is imported until a command runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from facestream.cli_serve import (
    HELP,
    SettingsCommand,
    file_of,
    models_of,
    options_for,
    parameters,
    settings_for,
    settings_of,
)
from facestream.cli_settings import SETTINGS
from facestream.config import DEFAULT_FILE, SOURCES, WEBHOOKS, Setting, from_file, unheard
from facestream.config_settings import DEFAULT, Settings, exposed, idle, misnamed, missing_files
from facestream.config_text import sample, toml
from facestream.errors import ConfigError, OutputError
from facestream.io.urls import HIDDEN, redact_url

WRONG = 2


@click.group()
def config() -> None:
    """Write, check and show the configuration file of `facestream serve`."""


@config.command()
@click.argument("file", type=click.Path(path_type=Path), default=DEFAULT_FILE)
def init(file: Path) -> None:
    """Write FILE, facestream.toml by default: every key there is, explained and commented out. Never overwrites."""
    try:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(sample())
    except FileExistsError:
        raise ConfigError(f"{file} is there already and stays as it is; name another file") from None
    except OSError as error:
        raise OutputError(f"can't write {file}: {error.strerror}; name another place") from None
    click.echo(f"{file} is written: edit it, then `facestream config check {file}`")


@config.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="The same as FILE.")
def check(file: Path | None, config: Path | None) -> int:
    """Say whether FILE is right, facestream.toml or FACESTREAM_CONFIG by default, and if not, what is wrong and where.

    The exit code is 0 if it is and 2 if not. The environment counts as it does for `facestream serve`.
    """
    if file is not None and config is not None:
        raise ConfigError(f"give {file} or {config}; one file is checked at a time")
    path = file_of(file or config)
    if path is None:
        raise ConfigError(f"there is no {DEFAULT_FILE} here; name a file, or write one: facestream config init")
    read = from_file(path, SETTINGS)
    problems = [*read.problems, *misnamed(read.sources or (), str(path), read.places)]
    if not problems:
        problems = _contradictions(path)
    for problem in problems:
        click.echo(f"facestream: {problem}", err=True)
    if problems:
        return WRONG
    settings = settings_for(("--config", str(path)))
    warnings = exposed(settings), missing_files(settings), idle(settings), _unguarded(settings), unheard(SETTINGS)
    for warning in warnings:
        if warning:
            click.echo(f"facestream: {warning}", err=True)
    from facestream.jobs.wording import counted

    said = sum(origin != DEFAULT for origin in settings.origins.values())
    click.echo(f"{path} is right: {counted(len(settings.sources), 'source')}, {counted(said, 'setting')} besides")
    return 0


def _unguarded(settings: Settings) -> str:
    from facestream.io.user_data import tokens_file
    from facestream.serving.doors import unguarded

    values = settings.values
    return unguarded(values["server.host"], values["server.token"], values["server.tokens"] or tokens_file())


def _contradictions(path: Path) -> list[str]:
    """What only shows when everything is put together, as the server would."""
    from facestream.jobs.masking import check_mask_options
    from facestream.plugins.registry import card
    from facestream.serving.chosen import check_privacy
    from facestream.serving.doors import check_certificate

    try:
        settings = settings_for(("--config", str(path)))
        try:
            models = models_of(settings)
            options = options_for(settings, models)
            check_mask_options(models)
            for role, name in models.face_models:
                card(role, name)
            if models.detector is not None:
                card("detect", models.detector)
            check_privacy(options)
            check_certificate(options.cert, options.key)
            for entry in options.sources:
                options.options_of(entry)
        except ConfigError as error:
            return [f"{path}: {error}"]
    except ConfigError as error:
        return [str(error)]
    return []


@config.command(cls=SettingsCommand, params=parameters(), context_settings=HELP)
@click.pass_context
def show(context: click.Context, /, **options: Any) -> None:
    """Show every setting that `facestream serve` with the same options would have, and where it comes from.

    Tokens, passwords and secrets are not shown.
    """
    for line in _lines(settings_of(context)):
        click.echo(line)


def _lines(settings: Settings) -> list[str]:
    lines: list[str] = []
    table = ""
    for setting in SETTINGS:
        if setting.table in (SOURCES, WEBHOOKS):
            continue
        if setting.table != table:
            lines += ["", f"[{setting.table}]"] if lines else [f"[{setting.table}]"]
            table = setting.table
        lines.append(_line(setting, settings.values[setting.path], settings.origins[setting.path]))
    for name, entries, origin in (
        (SOURCES, settings.sources, settings.sources_from),
        (WEBHOOKS, settings.webhooks, settings.webhooks_from),
    ):
        own = [setting for setting in SETTINGS if setting.table == name]
        for entry in entries:
            lines += ["", f"[[{name}]]  # {origin}"]
            for setting in own:
                value = getattr(entry, setting.key)
                ours = settings.origins[setting.path] if value is None and setting.key != "name" else ""
                if ours not in ("", DEFAULT):
                    lines.append(_line(setting, settings.values.get(setting.path), ours))
                elif value not in (None, ()):
                    lines.append(f"{setting.key} = {toml(_discreet(setting, value))}")
    return lines


def _line(setting: Setting, value: Any, origin: str) -> str:
    unset = value in (None, (), [])
    text = f"# {setting.key} is not set" if unset else f"{setting.key} = {toml(_discreet(setting, value))}"
    return f"{text:<40}  # {origin}" if not unset or origin != DEFAULT else text


def _discreet(setting: Setting, value: Any) -> Any:
    from facestream.jobs.event_options import shown

    if setting.secret:
        return HIDDEN
    if setting.key != "url":
        return value
    return shown(value) if setting.table == WEBHOOKS else redact_url(value)

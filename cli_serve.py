"""``facestream serve``, and how its options, the environment and the configuration file become what is served."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from facestream.cli_options import checked_models, licence_option, run_async
from facestream.cli_settings import SECTIONS, SETTINGS, options_of
from facestream.config import DEFAULT_FILE, SOURCES, Layer, from_environment, from_file, unheard
from facestream.config_settings import Settings, check_files, exposed, idle, settle
from facestream.errors import ConfigError

if TYPE_CHECKING:
    from facestream.jobs.models import ModelOptions
    from facestream.serving.app import ServeOptions

HELP: Final = {"help_option_names": ["-h", "--help"]}
"""Its own, as it is also read without the group that it belongs to."""

VARIABLE: Final = "FACESTREAM_CONFIG"

log = logging.getLogger("facestream.serve")


@dataclass(slots=True)
class _Given:
    """What a command that takes settings was given, kept with its context."""

    arguments: tuple[str, ...]
    file: Layer
    environment: Layer
    path: Path | None = None
    found: bool = False  # in the folder, without anybody's having named it


class SettingsCommand(click.Command):
    """A command that takes every setting; its help shows them in sections, those that few need last."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[__name__] = _Given(tuple(args), Layer(), Layer())
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        settings = {setting.name for setting in SETTINGS}
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        own = [option for option in options if option.name not in settings]
        _write(ctx, formatter, "Options", own)
        elsewhere = {setting.name for setting in SETTINGS if setting.table != SOURCES}
        for section in SECTIONS:
            theirs = {s.name: s.option for s in section.settings if s.table != SOURCES or s.name not in elsewhere}
            _write(ctx, formatter, section.title, theirs.values())


def _write(ctx: click.Context, formatter: click.HelpFormatter, title: str, params: Iterable[click.Parameter]) -> None:
    records = [record for param in params if (record := param.get_help_record(ctx)) is not None]
    with formatter.section(title):
        formatter.write_dl(records)


def file_of(path: Path | None) -> Path | None:
    """The configuration file: that which was named, FACESTREAM_CONFIG, or the one in this folder, if there is one."""
    if path is None and os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE])
    return Path(DEFAULT_FILE) if path is None and Path(DEFAULT_FILE).is_file() else path


def _read_config(context: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    """Let the environment, and behind it a configuration file, give the defaults."""
    given: _Given = context.meta[__name__]
    given.found = path is None
    path = given.path = file_of(path)
    given.environment = from_environment(SETTINGS).check()
    if path is not None:
        given.file = from_file(path, SETTINGS).check(f"`facestream config check {path}` shows all")
    context.default_map = {**given.file.values, **given.environment.values}
    return path


def parameters() -> list[click.Parameter]:
    config = click.Option(
        ["--config"],
        type=click.Path(path_type=Path, dir_okay=False),
        envvar=VARIABLE,
        is_eager=True,
        callback=_read_config,
        help=f"TOML file with sources and settings; {DEFAULT_FILE} in this folder, if there is one.",
    )
    options = {id(setting.option): setting.option for setting in SETTINGS}.values()
    return [click.Argument(["sources"], nargs=-1), config, *options, *options_of(licence_option).values()]


def settings_of(context: click.Context) -> Settings:
    """The settings in force of a command that takes them all.

    Raises:
        ConfigError: they contradict each other.
    """
    given: _Given = context.meta[__name__]
    typed = [name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    return settle(SETTINGS, context.params, typed, given.environment, given.file, given.path)


def settings_for(arguments: Sequence[str]) -> Settings:
    """The settings in force for ``facestream serve`` with these arguments, read anew. Blocks.

    Raises:
        ConfigError: something is wrong with them; the message says what and where.
    """
    try:
        with serve.make_context("serve", list(arguments)) as context:
            return settings_of(context)
    except click.ClickException as error:
        raise ConfigError(error.format_message()) from None


def options_for(settings: Settings, models: ModelOptions) -> ServeOptions:
    """What the server takes."""
    from facestream.jobs.events import EventOptions, WebhookOptions
    from facestream.serving.app import ServeOptions
    from facestream.serving.limits import Limits

    webhooks = tuple(
        WebhookOptions(
            url=webhook.url, secret=webhook.secret, types=tuple(webhook.types), sources=tuple(webhook.sources)
        )
        for webhook in settings.webhooks
    )
    values = settings.values
    return ServeOptions(
        sources=settings.sources,
        models=models,
        host=values["server.host"],
        port=values["server.port"],
        token=values["server.token"],
        tokens=values["server.tokens"],
        cert=values["server.cert"],
        key=values["server.key"],
        allow_origins=tuple(values["server.allow_origins"]),
        allow_hosts=tuple(values["server.allow_hosts"]),
        trusted_proxies=tuple(values["server.trusted_proxies"]),
        source_schemes=tuple(values["server.source_schemes"]),
        source_hosts=tuple(values["server.source_hosts"]),
        allow_local_sources=values["server.allow_local_sources"],
        source_follow=values["server.source_follow"],
        drain=values["server.drain"],
        no_demo=not values["server.demo"],
        save=values["saving.folder"],
        alignments=values["saving.alignments"],
        save_frames=values["saving.frames"],
        jsonl=values["saving.jsonl"],
        people=values["people.gallery"],
        no_biometrics=not values["people.biometrics"],
        anonymise=values["people.anonymise"],
        anonymise_who=values["people.anonymise_who"],
        track_memory=values["tracking.memory"],
        detect_every=str(values["tracking.detect_every"]),
        events=EventOptions(**_table(settings, "events"), webhooks=webhooks),
        limits=Limits(**_table(settings, "limits")),
        log_format=values["log.format"],
        log_level=values["log.level"],
        **{key: value for key, value in _table(settings, "sources[]").items() if key not in ("detect_every", "events")},
    )


def models_of(settings: Settings) -> ModelOptions:
    from facestream.jobs.models import ModelOptions

    return ModelOptions(**_table(settings, "models"))


def _table(settings: Settings, table: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for path, value in settings.values.items():
        its, _, key = path.rpartition(".")
        if its == table:
            values[key] = tuple(value) if isinstance(value, list) else value
    return values


def _speaker(log_format: str) -> Callable[[str], None]:
    """How to speak to whoever has started the server: where programs read, in their form."""
    return _say if log_format == "console" else partial(log.info, "%s")


def _say(text: str) -> None:
    with suppress(OSError):  # the terminal or pipe has gone: the server doesn't go with it
        click.echo(text)


@click.command(cls=SettingsCommand, params=parameters(), context_settings=HELP)
@click.pass_context
def serve(context: click.Context, /, config: Path | None, accept_licence: bool, **options: Any) -> None:
    """Serve the faces of SOURCES live, with a viewer at http://127.0.0.1:8765.

    A source is rtsp://…, webcam:0, /dev/video0, http(s)://… (MJPEG, HLS), a video file, a folder of pictures or
    push:NAME; NAME=SOURCE names it. Without any, a demo video plays.

    Whatever can be set is an option, a variable of the environment (--log-level: FACESTREAM_LOG_LEVEL) and a key of the
    TOML file (facestream config init), and counts in this order.
    """
    from facestream.serving.app import serve
    from facestream.serving.logs import set_up_logs
    from facestream.serving.reload import Rereading

    settings = settings_of(context)
    set_up_logs(settings.values["log.format"], settings.values["log.level"])
    given: _Given = context.meta[__name__]
    if given.found and given.path is not None:
        log.info("the settings are those of %s, as it lies in this folder", given.path)
    for warning in (exposed(settings), idle(settings), unheard(SETTINGS)):
        if warning:
            log.warning("%s", warning)
    check_files(settings)  # before models are loaded, which takes seconds
    models = checked_models(replace(models_of(settings), accept_licence=accept_licence))
    rereading = Rereading(settings, partial(settings_for, given.arguments))
    run_async(serve(options_for(settings, models), say=_speaker(settings.values["log.format"]), rereading=rereading))

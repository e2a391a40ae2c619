"""Everything that can be set of ``facestream serve``, declared once.

Out of this come the command line's options, the environment's variables, the keys of ``facestream.toml`` with their
checks, what ``facestream config init`` writes, and the tables of ``docs/configuration.md``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from facestream.cli_options import model_options, privacy_options, reference_options
from facestream.config import SOURCES, WEBHOOKS, Setting
from facestream.config_values import EveryType, RegionType
from facestream.generated import attributes_of
from facestream.serving.limits import Limits

LIMIT = "limit_"
"""Before the names of :class:`Limits` among the command line's values."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the help.

    Attributes:
        words: what the file and the document say of it.
        expert: few need it; it comes last.
    """

    title: str
    settings: tuple[Setting, ...]
    words: str = ""
    expert: bool = False


def _setting(
    table: str, key: str, *declarations: str, words: str = "", secret: bool = False, **attributes: Any
) -> Setting:
    """An option with a default shows it, if it says more than "off"."""
    negated = attributes.pop("negated", False)
    shown = attributes.get("default") not in (None, False, ())
    if isinstance(attributes.get("type"), click.IntRange | click.FloatRange):
        attributes.setdefault("metavar", "N")
    attributes.setdefault("show_default", shown and not isinstance(attributes.get("default"), bool))
    return Setting(table, key, click.Option(declarations, **attributes), negated, secret, words)


def options_of(decorate: Callable[[Callable[..., Any]], Callable[..., Any]]) -> dict[str, click.Option]:
    """What a decorator of :mod:`facestream.cli_options` adds to a command, by name."""

    @click.command()
    @decorate
    def command(**options: Any) -> None: ...

    return {str(option.name): option for option in command.params if isinstance(option, click.Option)}


def _sources(detect_every: click.Option, events: click.Option) -> tuple[Setting, ...]:
    """Two options of other tables hold for single sources, too."""
    seconds = click.FloatRange(0.1, 300)
    url = "What to read: rtsp://…, http(s)://…, webcam:0, push:NAME, a video file or a folder of pictures."
    source = click.Option(["--source"], multiple=True, metavar="[NAME=]URL", help="The same as SOURCES.")
    return (
        Setting(SOURCES, "url", source, words=url),
        Setting(SOURCES, "name", source, words="What to call it; made from the url without one."),
        _setting(
            SOURCES,
            "max_rate",
            "--max-rate",
            type=click.FloatRange(0, 1000, min_open=True),
            metavar="FPS",
            help="Look at so many frames a second at most.",
        ),
        _setting(
            SOURCES,
            "region",
            "--region",
            type=RegionType(),
            metavar="L,T,R,B",
            help="Look at this part of the frame only: left, top, right, bottom as shares from 0 to 1.",
        ),
        Setting(SOURCES, "detect_every", detect_every, words="As [tracking] detect_every, for this source alone."),
        _setting(
            SOURCES,
            "rtsp_transport",
            "--rtsp-transport",
            type=click.Choice(["tcp", "udp"]),
            default="tcp",
            help="How RTSP cameras send; tcp loses nothing.",
        ),
        _setting(
            SOURCES, "open_timeout", "--open-timeout", type=seconds, default=5.0, help="Seconds for a camera to answer."
        ),
        _setting(
            SOURCES,
            "read_timeout",
            "--read-timeout",
            type=seconds,
            default=5.0,
            help="Seconds without a frame after which a camera is lost.",
        ),
        _setting(
            SOURCES,
            "decoder",
            "--decoder",
            type=click.Choice(["auto", "cpu", "cuda"]),
            default="cpu",
            help="What decodes video: the CPU, or a GPU for what it takes; auto: one where the models run on it.",
        ),
        _setting(SOURCES, "loop", "--loop/--no-loop", help="Files start again at their end."),
        _setting(
            SOURCES,
            "lossless",
            "--lossless/--no-lossless",
            help="Files wait for the models instead of dropping frames.",
        ),
        Setting(SOURCES, "events", events, words="Tell and store events of this source.", preset=True),
        _setting(
            SOURCES,
            "clips",
            "--clips/--no-clips",
            default=True,
            help="Keep clips of events, where --clip-before or --clip-after asks for them; on by default.",
        ),
    )


def _server() -> tuple[Setting, ...]:
    return (
        *_reached(),
        *_sources_of_clients(),
        _setting(
            "server",
            "drain",
            "--drain",
            type=click.FloatRange(0, 3600),
            default=10.0,
            help="Seconds to finish what is on its way when stopped.",
        ),
        _setting(
            "server",
            "demo",
            "--no-demo/--demo",
            negated=True,
            help="Start empty instead of with the demo video when no source is given.",
            words="Play the demo video when no source is given.",
        ),
    )


def _reached() -> tuple[Setting, ...]:
    """Where the server is, for whom, and how they know that it is."""
    path = click.Path(path_type=Path)
    return (
        _setting("server", "host", "--host", default="127.0.0.1", help="Address to serve."),
        _setting("server", "port", "--port", type=click.IntRange(0, 65535), default=8765, help="0: any free port."),
        _setting(
            "server", "token", "--token", secret=True, help="Secret that clients must show; needed beyond loopback."
        ),
        _setting(
            "server",
            "tokens",
            "--tokens",
            type=path,
            help="File of tokens with roles (facestream tokens); by default the user's own.",
        ),
        _setting("server", "cert", "--cert", type=path, help="Certificate (PEM): serve https; with --key."),
        _setting("server", "key", "--key", type=path, help="The certificate's private key (PEM)."),
        _setting(
            "server",
            "allow_origins",
            "--allow-origin",
            "allow_origins",
            multiple=True,
            help="Web page that may connect, as https://host[:port].",
        ),
        _setting(
            "server",
            "allow_hosts",
            "--allow-host",
            "allow_hosts",
            multiple=True,
            help="Name by which clients may call this server.",
        ),
        _setting(
            "server",
            "trusted_proxies",
            "--trusted-proxy",
            "trusted_proxies",
            multiple=True,
            help="Address or network of a reverse proxy, which is believed whom it forwards.",
        ),
    )


def _sources_of_clients() -> tuple[Setting, ...]:
    schemes = ("rtsp", "rtsps", "http", "https", "push")
    return (
        _setting(
            "server",
            "source_schemes",
            "--source-scheme",
            "source_schemes",
            type=click.Choice(schemes),
            multiple=True,
            default=schemes,
            show_default="all",
            help="What clients may add as a source.",
        ),
        _setting(
            "server",
            "source_hosts",
            "--source-host",
            "source_hosts",
            multiple=True,
            help="Host or network (10.0.0.0/24) of which clients may add sources.",
        ),
        _setting(
            "server",
            "allow_local_sources",
            "--allow-local-sources/--no-allow-local-sources",
            help="Clients may add files and devices of this machine.",
        ),
        _setting(
            "server",
            "source_follow",
            "--source-follow/--no-source-follow",
            help="A web address that clients add may send on to any host, by a redirection or a playlist (HLS).",
        ),
    )


def _saving() -> tuple[Setting, ...]:
    return (
        _setting(
            "saving",
            "folder",
            "--save",
            type=click.Path(path_type=Path),
            help="Folder to save every face picture to.",
        ),
        _setting(
            "saving",
            "alignments",
            "--alignments/--no-alignments",
            help="Save each source to a folder of its own, with an alignments file.",
        ),
        _setting(
            "saving",
            "frames",
            "--save-frames/--no-save-frames",
            help="Save the frames there, too; with --alignments.",
        ),
        _setting("saving", "jsonl", "--jsonl", help="File for one JSON line a frame; - is standard output."),
    )


def _people() -> tuple[Setting, ...]:
    options = options_of(privacy_options)
    return (
        Setting("people", "gallery", options["people"]),
        Setting(
            "people",
            "biometrics",
            options["no_biometrics"],
            negated=True,
            words="false: store and send no embedding; nobody is known by name.",
        ),
        Setting("people", "anonymise", options["anonymise"]),
        Setting("people", "anonymise_who", options["anonymise_who"]),
    )


def _events() -> tuple[Setting, ...]:
    seconds = click.FloatRange(0, 60)
    return (
        _setting(
            "events",
            "on",
            "--events/--no-events",
            "events_on",
            default=False,
            help="Store who arrived and left; off by default.",
        ),
        _setting(
            "events",
            "store",
            "--event-store",
            type=click.Path(path_type=Path),
            help="The events' file; by default events.db in the user's data folder.",
        ),
        _setting(
            "events",
            "keep_days",
            "--event-keep-days",
            type=click.FloatRange(0, 36500, min_open=True),
            default=30.0,
            help="Days for which events are kept.",
        ),
        _setting(
            "events",
            "max_mb",
            "--event-max-mb",
            type=click.FloatRange(1),
            default=1000.0,
            help="MB that events, pictures and clips may take; the oldest go first.",
        ),
        _setting(
            "events",
            "pictures",
            "--event-pictures/--no-event-pictures",
            default=True,
            help="Keep the best picture of each; on by default.",
        ),
        _setting(
            "events",
            "clip_before",
            "--clip-before",
            type=seconds,
            default=0.0,
            help="Seconds of video kept from before an event.",
        ),
        _setting("events", "clip_after", "--clip-after", type=seconds, default=0.0, help="And from after it."),
        _setting(
            "events",
            "left_after",
            "--left-after",
            type=click.FloatRange(0.5, 3600),
            default=10.0,
            help="Seconds without a sight of somebody after which they have left.",
        ),
    )


def _webhooks() -> tuple[Setting, ...]:
    return (
        _setting(
            WEBHOOKS,
            "url",
            "--webhook",
            multiple=True,
            metavar="URL",
            help="Send events there.",
            words="Where to send events: http(s)://…",
        ),
        _setting(
            WEBHOOKS,
            "secret",
            "--webhook-secret",
            secret=True,
            help="Signs what is sent (HMAC-SHA256); none by default.",
        ),
        _setting(
            WEBHOOKS,
            "types",
            "--webhook-type",
            "webhook_types",
            type=click.Choice(["arrived", "named", "left"]),
            multiple=True,
            help="Send these events only.",
        ),
        _setting(
            WEBHOOKS,
            "sources",
            "--webhook-source",
            "webhook_sources",
            multiple=True,
            help="Send events of these sources only.",
        ),
    )


def _tracking() -> tuple[Setting, ...]:
    return (
        _setting(
            "tracking",
            "detect_every",
            "--detect-every",
            type=EveryType(),
            default="auto",
            metavar="auto|N",
            help="Frames after which the detector looks again, at the latest; between, known faces are followed by "
            "their landmarks. auto: 4 times a second; 1: at each frame, as always with --anonymise.",
        ),
        _setting(
            "tracking",
            "memory",
            "--track-memory",
            type=click.FloatRange(0, 86400),
            default=120.0,
            help="Seconds for which a face that left gets its id back when it returns; with an identity model.",
        ),
    )


def _log() -> tuple[Setting, ...]:
    return (
        _setting(
            "log",
            "format",
            "--log-format",
            type=click.Choice(["console", "json"]),
            default="console",
            help="For people, or one JSON object a line.",
        ),
        _setting(
            "log",
            "level",
            "--log-level",
            type=click.Choice(["debug", "info", "warning", "error"]),
            default="info",
            help="What is worth a line.",
        ),
    )


CHOICES: Final = ("detector", "aligner", "masks", "identity", "device", "backend", "compile", "batch_size")
"""The options of models that many need."""


def _models() -> tuple[tuple[Setting, ...], tuple[Setting, ...]]:
    """Those that many need, and the rest. Whether a licence is accepted is nothing that a file may say."""
    options = {**options_of(model_options), **options_of(reference_options)}
    del options["accept_licence"]
    chosen = tuple(Setting("models", name, options.pop(name)) for name in CHOICES)
    return chosen, tuple(Setting("models", name, option) for name, option in options.items())


def _limits() -> tuple[Setting, ...]:
    """Every field of :class:`Limits`, explained by its docstring."""
    words = {name: text.replace("``", "") for name, text in attributes_of(Limits.__doc__ or "").items()}
    return tuple(
        _setting(
            "limits",
            field.name,
            f"--limit-{field.name.replace('_', '-')}",
            type=click.IntRange(0) if field.type == "int" else click.FloatRange(0),
            default=field.default,
            help=words[field.name][:1].upper() + words[field.name][1:],
        )
        for field in dataclasses.fields(Limits)
    )


def _sections() -> tuple[Section, ...]:
    models, finer = _models()
    events, tracking = _events(), _tracking()
    return (
        Section("Sources", _sources(tracking[0].option, events[0].option), "One table a source."),
        Section("Server", _server()),
        Section("Saving", _saving()),
        Section("People and privacy", _people()),
        Section("Events", events),
        Section("Webhooks", _webhooks(), "One table a receiver of events."),
        Section("Tracking", tracking),
        Section("Log", _log()),
        Section("Models", models),
        Section("Models, in detail", finer, expert=True),
        Section("Limits of the network interface", _limits(), expert=True),
    )


SECTIONS: Final = _sections()
SETTINGS: Final = tuple(setting for section in SECTIONS for setting in section.settings)

"""What ``facestream serve`` was told."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from facestream.config import SourceEntry
from facestream.jobs.events import EventOptions
from facestream.jobs.models import ModelOptions
from facestream.jobs.source_options import OPTION_NAMES, SourceOptions
from facestream.serving.limits import Limits
from facestream.serving.logs import LogFormat, LogLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What the command line's ``serve`` takes; :mod:`facestream.cli_settings` says what each is."""

    sources: tuple[SourceEntry, ...] = ()
    models: ModelOptions
    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = field(default=None, repr=False)
    tokens: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    allow_origins: tuple[str, ...] = ()
    allow_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    source_schemes: tuple[str, ...] = ("rtsp", "rtsps", "http", "https", "push")
    source_hosts: tuple[str, ...] = ()
    allow_local_sources: bool = False
    source_follow: bool = False
    drain: float = 10.0
    limits: Limits = field(default_factory=Limits)
    save: Path | None = None
    alignments: bool = False
    save_frames: bool = False
    jsonl: str | None = None
    loop: bool = False
    lossless: bool = False
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    open_timeout: float = 5.0
    read_timeout: float = 5.0
    decoder: Literal["auto", "cpu", "cuda"] = "cpu"
    max_rate: float | None = None
    region: tuple[float, float, float, float] | None = None
    clips: bool = True
    events: EventOptions = field(default_factory=EventOptions)
    no_demo: bool = False
    people: Path | None = None
    no_biometrics: bool = False
    track_memory: float = 120.0
    detect_every: str = "auto"
    anonymise: str | None = None
    anonymise_who: str = "everyone"
    log_format: LogFormat = "console"
    log_level: LogLevel = "info"

    @property
    def keeps_embeddings(self) -> bool:
        """Whether files may hold embeddings: they were asked for by a model's name, and not forbidden."""
        return bool(self.models.identities) and not self.no_biometrics

    @property
    def source_options(self) -> SourceOptions:
        """What holds for sources that say nothing else, and for those that are added over the network."""
        return SourceOptions(
            loop=self.loop,
            lossless=self.lossless,
            rtsp_transport=self.rtsp_transport,
            open_timeout=self.open_timeout,
            read_timeout=self.read_timeout,
            decoder=self.decoder,
            max_rate=self.max_rate,
            region=self.region,
            clips=self.clips,
        )

    def options_of(self, entry: SourceEntry) -> SourceOptions:
        """How one source is opened.

        Raises:
            ConfigError: what it says and what holds for all contradict each other.
        """
        said = {name: value for name in OPTION_NAMES if (value := getattr(entry, name)) is not None}
        return replace(self.source_options, **said)

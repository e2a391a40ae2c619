"""``facestream serve``: wires the models, the session, the sinks and the server together."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facestream.errors import ConfigError
from facestream.io.jsonl import JsonLinesWriter
from facestream.io.live_recorder import LiveRecorder
from facestream.io.savers import FaceSaver
from facestream.jobs.demo import demo_video
from facestream.jobs.live import LiveSession, SourceOptions, live_in_flight
from facestream.jobs.models import ModelOptions, load_stages
from facestream.server import Server
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline, Tracks
from facestream.stream.types import Sink


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What the command line's ``serve`` takes; the option's help says what each is."""

    sources: tuple[str, ...] = ()
    models: ModelOptions
    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = None
    allow_origins: tuple[str, ...] = ()
    save: Path | None = None
    alignments: bool = False
    save_frames: bool = False
    jsonl: str | None = None
    loop: bool = False
    lossless: bool = False
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    open_timeout: float = 5.0
    read_timeout: float = 5.0
    no_demo: bool = False

    @property
    def source_options(self) -> SourceOptions:
        return SourceOptions(
            loop=self.loop,
            lossless=self.lossless,
            rtsp_transport=self.rtsp_transport,
            open_timeout=self.open_timeout,
            read_timeout=self.read_timeout,
        )


async def serve(options: ServeOptions, *, say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM, then stop the sources, let what is in flight out and finish the files.

    Raises:
        FacestreamError: something that was asked for can't be had; nothing is left running.
    """
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        bridge = await stack.enter_async_context(Bridge(options.models.chosen_device))
        stages = await load_stages(options.models, bridge)
        for number in (signal.SIGINT, signal.SIGTERM):  # only now: models that still load are simply left
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        pipeline = Pipeline(stages, bridge, in_flight=live_in_flight(bridge.device), tracks=Tracks())
        session = await stack.enter_async_context(
            LiveSession(pipeline, bridge, sinks=_sinks(options, bridge), options=options.source_options)
        )
        server = await stack.enter_async_context(
            Server(
                session,
                host=options.host,
                port=options.port,
                token=options.token,
                allow_origins=options.allow_origins,
            )
        )
        await _add_sources(session, options)
        say(f"facestream is at {server.url}  (models on {bridge.device}; Ctrl-C stops)")
        await stop.wait()
        say("stopping …")


async def _add_sources(session: LiveSession, options: ServeOptions) -> None:
    for text in options.sources:
        await session.add_source(text)
    if not options.sources and not options.no_demo:
        await session.add_source(f"demo={demo_video()}", loop=True)


def _sinks(options: ServeOptions, bridge: Bridge) -> list[Sink]:
    sinks: list[Sink] = []
    if options.save is not None:
        if options.save.exists() and not options.save.is_dir():
            raise ConfigError(f"--save {options.save} isn't a folder; choose another")
        sinks.append(_saver(options, options.save, bridge))
    elif options.alignments or options.save_frames:
        raise ConfigError("--alignments and --save-frames need a folder: add --save FOLDER")
    if options.jsonl is not None:
        sinks.append(JsonLinesWriter(options.jsonl))
    return sinks


def _saver(options: ServeOptions, folder: Path, bridge: Bridge) -> Sink:
    if not (options.alignments or options.save_frames):
        return FaceSaver(folder, bridge, keep=True)
    if options.models.aligner in (None, "none"):
        raise ConfigError("alignments need landmarks: choose an --aligner, or leave out --alignments")
    return LiveRecorder(folder, bridge, frames=options.save_frames)

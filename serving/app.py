"""``facestream serve``: wires the models, the session, the sinks and the server together."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from facestream.errors import ConfigError, FacestreamError
from facestream.io.jsonl import JsonLinesWriter
from facestream.io.live_recorder import LiveRecorder
from facestream.io.savers import FaceSaver
from facestream.jobs.demo import demo_video
from facestream.jobs.known_people import is_person
from facestream.jobs.live import LiveSession, SourceOptions, live_in_flight
from facestream.jobs.models import ModelOptions, load_stages
from facestream.jobs.naming import tracks_for
from facestream.jobs.privacy import RECOGNISING, Privacy, check_finds_all, with_recognition
from facestream.jobs.recognition import LiveRecognition, somebody_known_to
from facestream.jobs.references import load_references
from facestream.server import Server
from facestream.stream.choosing import Chooser
from facestream.stream.device import Bridge
from facestream.stream.guiding import guide_for
from facestream.stream.pipeline import Pipeline
from facestream.stream.recognition import Recogniser
from facestream.stream.types import Sink

log = logging.getLogger("facestream.serve")


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
    people: Path | None = None
    no_biometrics: bool = False
    track_memory: float = 120.0
    detect_every: str = "auto"
    anonymise: str | None = None
    anonymise_who: str = "everyone"

    @property
    def keeps_embeddings(self) -> bool:
        """Whether files may hold embeddings: they were asked for by a model's name, and not forbidden."""
        return bool(self.models.identities) and not self.no_biometrics

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
        check_privacy(options)
        guide = None if options.anonymise else guide_for(options.detect_every)  # a new face is covered at once
        models = await bridge.cpu(with_people_recognised, options)
        stages = await load_stages(models, bridge, await load_references(models, bridge, options.people))
        for number in (signal.SIGINT, signal.SIGTERM):  # only now: models that still load are simply left
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        recogniser = Recogniser() if models.identities else None
        recognition = await stack.enter_async_context(_recognition(options, models, bridge, recogniser))
        pipeline = Pipeline(
            stages,
            bridge,
            in_flight=live_in_flight(bridge.device),
            tracks=tracks_for(models, options.track_memory),
            recogniser=recogniser,
            # Whoever is shown by name must be seen to be that person in each frame, not now and then.
            chooser=None if options.anonymise and options.anonymise_who == "unknown" else Chooser(),
            guide=guide,
        )
        session = await stack.enter_async_context(
            LiveSession(
                pipeline,
                bridge,
                sinks=_sinks(options, bridge),
                options=options.source_options,
                privacy=Privacy(bridge, options.anonymise, options.anonymise_who) if options.anonymise else None,
                biometrics=options.keeps_embeddings,
            )
        )
        if recognition is not None:
            session.hub.attach(recognition)
            stack.callback(session.hub.detach, recognition)
        server = await stack.enter_async_context(
            Server(
                session,
                host=options.host,
                port=options.port,
                token=options.token,
                allow_origins=options.allow_origins,
                recognition=recognition,
                unrecognised=why_nobody_is_recognised(options),
            )
        )
        await _add_sources(session, options)
        say(f"facestream is at {server.url}  (models on {bridge.device}; Ctrl-C stops)")
        await stop.wait()
        say("stopping …")


def check_privacy(options: ServeOptions) -> None:
    """
    Raises:
        ConfigError: people are to be known and nothing of them kept, or faces would be shown that are to be covered.
    """
    if options.no_biometrics and options.people is not None:
        raise ConfigError("--people names a gallery, and --no-biometrics opens none: leave out one of the two")
    if options.no_biometrics and any(map(is_person, (*options.models.filter, *options.models.nfilter))):
        raise ConfigError("--no-biometrics opens no gallery: filter by pictures, not by person:NAME")
    if options.anonymise is None and options.anonymise_who != "everyone":
        raise ConfigError("--anonymise-who says whose faces, and nothing covers them: add --anonymise blur")
    if options.anonymise is None:
        return
    if options.no_biometrics and options.anonymise_who != "everyone":
        raise ConfigError("--no-biometrics opens no gallery, so nobody is known: leave out --anonymise-who")
    check_finds_all(options.models)


def with_people_recognised(options: ServeOptions) -> ModelOptions:
    """The chosen models, and one that recognises people if that matters, or if there are any and nothing was said
    about it. Blocks.
    """
    models = with_recognition(options.models, options.anonymise, options.anonymise_who)
    if options.no_biometrics or models.identity or models.identities:
        return models
    try:
        somebody = somebody_known_to(RECOGNISING, options.people)
    except FacestreamError as error:
        log.warning("nobody is recognised: %s", error)
        return models
    if not somebody:
        return models
    log.info("people are recognised with %s, as the gallery holds some; --identity none turns that off", RECOGNISING)
    return replace(models, identity=RECOGNISING)


def why_nobody_is_recognised(options: ServeOptions) -> str:
    if options.no_biometrics:
        return "nobody is recognised: the server was started with --no-biometrics; start it without, to name people"
    return f"nobody is recognised: start the server with --identity {RECOGNISING}, to name people"


def _recognition(
    options: ServeOptions, models: ModelOptions, bridge: Bridge, recogniser: Recogniser | None
) -> AbstractAsyncContextManager[LiveRecognition | None]:
    """The gallery of people, for the first identity model, if it may be opened."""
    if recogniser is None or options.no_biometrics:
        return nullcontext()
    return LiveRecognition.open(bridge, models.identities[0], recogniser, options.people)


async def _add_sources(session: LiveSession, options: ServeOptions) -> None:
    for text in options.sources:
        await session.add_source(text)
    if not options.sources and not options.no_demo:
        await session.add_source(f"demo={demo_video()}", options=replace(session.options, loop=True))


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

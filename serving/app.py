"""``facestream serve``: wires the models, the session, the sinks and the server together."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial

from facestream.errors import SourceUnavailable
from facestream.jobs.demo import demo_video
from facestream.jobs.events import Events
from facestream.jobs.live import LiveSession, live_in_flight
from facestream.jobs.models import ModelOptions, load_stages
from facestream.jobs.naming import tracks_for
from facestream.jobs.privacy import Privacy
from facestream.jobs.recognition import LiveRecognition
from facestream.jobs.references import load_references
from facestream.server import Server
from facestream.serving.build import build_server
from facestream.serving.chosen import check_privacy, chosen_sinks, with_people_recognised
from facestream.serving.deferred import DeferredSession
from facestream.serving.health import summary
from facestream.serving.logs import LineCount
from facestream.serving.memory import settled, stay_small
from facestream.serving.metrics import Collect
from facestream.serving.options import ServeOptions
from facestream.serving.process_metrics import process_metrics
from facestream.serving.pulse import Pulse
from facestream.serving.reload import Reloading, Rereading
from facestream.serving.stopping import Stop
from facestream.serving.systemd import Notifier, Reporter, Watchdog
from facestream.stream.choosing import Chooser
from facestream.stream.device import Bridge
from facestream.stream.guiding import guide_for
from facestream.stream.hub import Hub
from facestream.stream.pipeline import Pipeline
from facestream.stream.recognition import Recogniser
from facestream.stream.tasks import task_group
from facestream.stream.types import Sink

log = logging.getLogger("facestream.serve")

__all__ = ["ServeOptions", "serve"]


async def serve(
    options: ServeOptions,
    *,
    say: Callable[[str], None],
    notifier: Notifier | None = None,
    rereading: Rereading | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then stop the sources, let what is in flight out and finish the files.

    The port answers before the models are loaded. Stopping takes at most twice ``options.drain`` seconds: once for what
    is in flight, once for the files; then the process is ended by force.

    Raises:
        FacestreamError: something that was asked for can't be had; nothing is left running.
        KeyboardInterrupt: SIGINT came before there was anything to finish.
    """
    check_privacy(options)
    stop = Stop(2 * options.drain)
    async with AsyncExitStack() as stack:
        stack.enter_context(stop)
        lines = stack.enter_context(LineCount())
        bridge = await stack.enter_async_context(Bridge(options.models.chosen_device))
        stop.busy = lambda: ", ".join(bridge.busy())
        sinks = chosen_sinks(options, bridge)
        tasks = await stack.enter_async_context(task_group())
        pulse = Pulse()
        stack.callback(tasks.create_task(pulse.run(), name="pulse").cancel)
        models = await bridge.cpu(with_people_recognised, options)
        recogniser = Recogniser() if models.identities else None
        recognition = await stack.enter_async_context(_recognition(options, models, bridge, recogniser))
        served = DeferredSession(Hub(), bridge)
        reloading = None
        if rereading is not None:
            reloading = stack.enter_context(Reloading(served, rereading, options.options_of, on_hangup=stop.ask))
        events = await stack.enter_async_context(_events(options, served, recognition))
        network = await stack.enter_async_context(AsyncExitStack())  # the part that closes before the files do
        process = partial(process_metrics, bridge, pulse, lines)
        front = _answering(options, served, recognition, events, reloading, stop, process)
        server = await network.enter_async_context(front)
        say(f"facestream answers at {server.url} and loads its models …")
        reporter = _reporter(notifier or Notifier.from_environment(), server, served)
        pulse.on_beat(reporter.beat)
        loaded = await _session(options, models, sinks, bridge, recogniser, served.hub)
        session = await stack.enter_async_context(loaded)
        stack.callback(stop.arm)  # the first thing on the way out, whatever the reason
        stack.enter_context(_listening(session.hub, recognition))
        stack.enter_context(settled())
        stack.callback(tasks.create_task(stay_small(bridge), name="memory").cancel)
        await _add_sources(session, options)
        served.begin(session)
        server.begun()
        stop.started()
        reporter.ready()
        if reloading is not None:
            stack.callback(tasks.create_task(_reload(reloading, server), name="reload").cancel)
        say(f"facestream is at {server.where}  (models on {', '.join(bridge.devices)}; Ctrl-C stops)")
        await stop.wait()
        reporter.stopping()
        say("stopping … (Ctrl-C again ends at once, without finishing the files)")
        await _drain(session, options.drain)
        await network.aclose()


@asynccontextmanager
async def _events(
    options: ServeOptions, served: DeferredSession, recognition: LiveRecognition | None
) -> AsyncIterator[Events]:
    async with Events.open(served, options.events, covered=options.anonymise is not None) as events:
        if recognition is not None:
            recognition.follow(events)
        yield events


@asynccontextmanager
async def _answering(
    options: ServeOptions,
    served: DeferredSession,
    recognition: LiveRecognition | None,
    events: Events,
    reloading: Reloading | None,
    stop: Stop,
    process: Collect,
) -> AsyncIterator[Server]:
    """The server, which is there before what it serves."""
    server = build_server(
        options,
        served,
        recognition,
        events,
        methods=reloading.methods if reloading is not None else {},
        ready=lambda: "the server is stopping" if stop.asked else served.not_ready,
        process=process,
    )
    async with server:
        events.on_event(server.tell)
        yield server


async def _reload(reloading: Reloading, server: Server) -> None:
    """Read the settings anew whenever that is asked for, and what the server has read besides."""
    reloading.also(server.reload_certificate)
    reloading.also(server.reload_tokens)
    await reloading.run()


async def _drain(session: LiveSession, within: float) -> None:
    if late := await session.drain(within):
        log.warning("waited %g s for %s: what isn't out yet is lost", within, ", ".join(late))


async def _session(
    options: ServeOptions,
    models: ModelOptions,
    sinks: Sequence[Sink],
    bridge: Bridge,
    recogniser: Recogniser | None,
    hub: Hub,
) -> LiveSession:
    """The models, loaded, and a session around them."""
    guide = None if options.anonymise else guide_for(options.detect_every)  # a new face is covered at once
    stages = await load_stages(models, bridge, await load_references(models, bridge, options.people))
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
    return LiveSession(
        pipeline,
        bridge,
        sinks=sinks,
        options=options.source_options,
        hub=hub,
        privacy=Privacy(bridge, options.anonymise, options.anonymise_who) if options.anonymise else None,
        biometrics=options.keeps_embeddings,
        keep_packets=options.events.keep_packets,
    )


def _reporter(notifier: Notifier, server: Server, served: DeferredSession) -> Reporter:
    return Reporter(
        notifier,
        Watchdog.from_environment(),
        alive=lambda: not server.is_stuck(),
        status=lambda: served.not_ready or summary(served.sources()),
    )


def _recognition(
    options: ServeOptions, models: ModelOptions, bridge: Bridge, recogniser: Recogniser | None
) -> AbstractAsyncContextManager[LiveRecognition | None]:
    """The gallery of people, for the first identity model, if it may be opened."""
    if recogniser is None or options.no_biometrics:
        return nullcontext()
    return LiveRecognition.open(bridge, models.identities[0], recogniser, options.people)


@contextmanager
def _listening(hub: Hub, recognition: LiveRecognition | None) -> Iterator[None]:
    if recognition is None:
        yield
        return
    hub.attach(recognition)
    try:
        yield
    finally:
        hub.detach(recognition)


async def _add_sources(session: LiveSession, options: ServeOptions) -> None:
    """
    Raises:
        SourceError: there is none that could ever work.
    """
    several = len(options.sources) > 1
    infos = [
        await session.add_source(entry.url, name=entry.name, options=options.options_of(entry), keep=several)
        for entry in options.sources
    ]
    given_up = [info for info in infos if info.given_up]
    if given_up and len(given_up) == len(infos):
        raise SourceUnavailable(given_up[0].reason)
    if given_up:
        names = ", ".join(info.name for info in given_up)
        log.warning("the others are served without %s, which the next reload (SIGHUP) tries again", names)
    if not options.sources and not options.no_demo:
        await session.add_source(f"demo={demo_video()}", options=replace(session.options, loop=True))

"""The server of ``facestream serve``: all its paths, methods and metrics, behind the doors that were chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from facestream.io.user_data import tokens_file
from facestream.jobs.events import Events
from facestream.serving.allowed import AllowedSources
from facestream.serving.chosen import why_nobody_is_recognised
from facestream.serving.event_metrics import event_metrics
from facestream.serving.events import EventRoutes
from facestream.serving.metrics import Collect
from facestream.serving.options import ServeOptions
from facestream.serving.rpc import Method
from facestream.serving.server import Server
from facestream.serving.session import Recognition, Session


def build_server(
    options: ServeOptions,
    session: Session,
    recognition: Recognition | None,
    events: Events,
    *,
    methods: Mapping[str, Method],
    ready: Callable[[], str],
    process: Collect,
) -> Server:
    """
    Args:
        methods: more of ``/ws/control``.
        ready: why the session can't be used yet, or "".
        process: the process's metrics.

    Raises:
        ConfigError: what was chosen contradicts itself.
    """
    routes = EventRoutes(events)
    return Server(
        session,
        host=options.host,
        port=options.port,
        token=options.token,
        tokens=options.tokens or tokens_file(),
        cert=options.cert,
        key=options.key,
        allow_origins=options.allow_origins,
        allow_hosts=options.allow_hosts,
        trusted_proxies=options.trusted_proxies,
        allowed_sources=AllowedSources(
            options.source_schemes, options.source_hosts, options.allow_local_sources, options.source_follow
        ),
        limits=options.limits,
        recognition=recognition,
        routes=routes.routes,
        methods={**methods, **routes.methods},
        unrecognised=why_nobody_is_recognised(options),
        ready=ready,
        metrics=[process, lambda: event_metrics(events.statistics())],
    )

"""One port for everything: the viewer, ``/health``, ``/metrics``, ``/api/sources`` and the three websockets.

::

    async with LiveSession(pipeline, bridge) as session, Server(session) as server:
        print(server.url)
        await asyncio.Event().wait()
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Self

import msgspec
from prometheus_client.core import Metric
from websockets.asyncio.server import Server as WebsocketServer
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websockets
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from facestream import __version__
from facestream.errors import ConfigError, FacestreamError, ProtocolError
from facestream.serving.access import Access, networks
from facestream.serving.allowed import AllowedSources
from facestream.serving.buckets import Buckets, address_key
from facestream.serving.control import Control
from facestream.serving.conversations import Conversations
from facestream.serving.doorway import Doorway, Visitors
from facestream.serving.entrance import Entrance
from facestream.serving.fanout import Fanout
from facestream.serving.http import HSTS, Admitted, Refused, Site, busy, respond
from facestream.serving.keys import Keys
from facestream.serving.limits import Limits
from facestream.serving.lookup import Lookup, addresses_of
from facestream.serving.messages import status_message
from facestream.serving.metrics import Collect, Metrics
from facestream.serving.network_metrics import NetworkCounts, network_metrics
from facestream.serving.pages import load_pages
from facestream.serving.peer import Peer, Peers
from facestream.serving.people import PeopleMethods
from facestream.serving.places import elsewhere, here, machine_name
from facestream.serving.push import PushStatistics
from facestream.serving.routes import Route, RouteTable
from facestream.serving.rpc import Method
from facestream.serving.sending import LARGE, Sending
from facestream.serving.session import Recognition, Session
from facestream.serving.session_metrics import session_metrics
from facestream.serving.status_routes import StatusRoutes
from facestream.serving.tls import certificate_files, server_context
from facestream.serving.tokens import SUBPROTOCOL
from facestream.stream.events import Event
from facestream.stream.tasks import task_group

log = logging.getLogger("facestream.server")

REFUSALS: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})
"""Which responses are told in the log."""

TOKENS_EVERY: Final = 2.0
"""Seconds after which a removed or expired token's holder is hung up on."""

RECEIVE_QUEUE: Final = 4
"""Messages that the websocket library may hold unread; a pushed picture can be megabytes."""


class Server:
    """Serves a live session; an async context manager.

    Args:
        session: what is served; it outlives the server.
        host: an address of this machine. Any but a loopback one needs a token.
        port: 0 for any free one.
        token: lets its holder do everything.
        tokens: file of further tokens, each with what its holder may do; looked at again when it changes. Where there
            is any token, each websocket and API path asks for one.
        allow_origins: web pages from elsewhere that may open websockets, as ``https://host[:port]``.
        cert, key: certificate and private key (PEM files) to speak TLS with, and nothing else; None for plain HTTP.
        allow_hosts: names that the server is called by; ``*.example.org`` is any that ends so.
        trusted_proxies: addresses and networks of reverse proxies, which are believed whom they forward.
        allowed_sources: which sources ``/ws/control`` may add; by default cameras of other machines, by any name.
        allow_local_sources: let it add files and devices of this machine.
        lookup: the addresses of a source's host.
        recognition: the session's people; None where nobody is recognised.
        unrecognised: why that is so, and how to change it.
        routes: more to be asked for over HTTP, from the parts that answer.
        methods: more to be asked for on ``/ws/control``.
        ready: why the session can't be used yet, or "". Until it is "", pages and ``/health`` are answered and
            everything else is told to come back.
        metrics: more to be counted, from the parts that count.
        machine: this one's name, by which others reach it; by default its own.

    Attributes:
        limits: what one peer may ask of it.
        peers: who is connected.
        site: what there is to be asked for over HTTP, once it was entered.
        control: what there is to be asked for on ``/ws/control``.

    Entering raises:
        ConfigError: the address needs a token, or isn't one of this machine.
        FacestreamError: the port is in use.
    """

    def __init__(
        self,
        session: Session,
        *,
        host: str = "127.0.0.1",
        port: int = 8765,
        token: str | None = None,
        tokens: Path | None = None,
        cert: Path | None = None,
        key: Path | None = None,
        allow_origins: Iterable[str] = (),
        allow_hosts: Iterable[str] = (),
        trusted_proxies: Iterable[str] = (),
        allowed_sources: AllowedSources | None = None,
        allow_local_sources: bool = False,
        lookup: Lookup = addresses_of,
        recognition: Recognition | None = None,
        unrecognised: str = "nobody is recognised here",
        limits: Limits | None = None,
        routes: Iterable[Route] = (),
        methods: Mapping[str, Method] | None = None,
        ready: Callable[[], str] = lambda: "",
        metrics: Iterable[Collect] = (),
        machine: str | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.peers = Peers()
        self._session = session
        self._host = host
        self._port = port
        self._machine = machine_name() if machine is None else machine
        self._access = Access(
            host,
            frozenset(allow_origins),
            frozenset(name.lower() for name in allow_hosts),
            tls=cert is not None,
            proxies=networks(trusted_proxies),
        )
        allowed = allowed_sources or AllowedSources()
        allowed = replace(allowed, local=allowed.local or allow_local_sources)
        self._certificate = certificate_files(cert, key)
        self._keys = Keys(session.bridge, tokens, token)
        self._people = PeopleMethods(recognition, unrecognised)
        self.control = Control(
            session, self.limits, self.statistics, self._people, allowed=allowed, lookup=lookup, methods=methods
        )
        self._metrics = Metrics(self._collect, *metrics)
        self._ready = ready
        self._status = StatusRoutes(session, self._metrics, ready, self.limits.stuck_after)
        self._routes = RouteTable([*self._status.routes, *routes])
        self._sending = Sending(self.limits.answer_bytes)
        self._refusals_told = Buckets(rate=1 / 6, burst=20)
        self._websockets = 0
        self._pushed = PushStatistics()
        self._fanout: Fanout
        self._conversations: Conversations
        self._visitors: Visitors
        self.site: Site
        self._server: WebsocketServer
        self._stack = AsyncExitStack()

    @property
    def port(self) -> int:
        """The port in use, also when any was asked for."""
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the viewer."""
        return here(self._access.scheme, self._host, self.port)

    @property
    def where(self) -> str:
        """:attr:`url`, and how other machines reach it where that isn't the same."""
        called = self._access.refuse_host({"Host": self._machine}) is None
        other = elsewhere(self._access.scheme, self._host, self.port, self._machine if called else "")
        return f"{self.url}, and from other machines at {other}" if other else self.url

    def statistics(self) -> dict[str, Any]:
        """Everything that is counted, as plain values: the result of ``statistics`` on ``/ws/control``."""
        statistics = msgspec.to_builtins(self._session.statistics())
        assert isinstance(statistics, dict)
        return {
            **statistics,
            "server": {
                "version": __version__,
                "connections": len(self.peers),
                "websockets": self._websockets,
                "stalled": self.peers.stalled,
                "pushed": self._pushed.received,
                "push_replaced": self._pushed.replaced,
                **self._fanout.statistics()._asdict(),
            },
            "subscribers": self._fanout.subscribers(),
        }

    def tell(self, event: Event) -> None:
        """Send an event to the subscribers who asked for events."""
        self._fanout.tell(event)

    async def reload_certificate(self) -> None:
        """Read certificate and key anew, for connections to come; without TLS there is nothing to do.

        Raises:
            ConfigError: they can't be read, or don't fit; those that were read before stay.
        """
        if self._certificate is not None:
            self._visitors.tls = await self._session.bridge.cpu(server_context, *self._certificate)

    async def reload_tokens(self) -> None:
        """Look for new and removed tokens now instead of within seconds.

        Raises:
            FileFormatError: the file of tokens is damaged; those that were read before stay.
        """
        await self._keys.load()
        self._turn_away(time.time())

    async def __aenter__(self) -> Self:
        await self._keys.load()
        self._access.check_bind(locked=self._keys.locked)
        session = self._session
        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(task_group())
            self._fanout = Fanout(session.hub, session.bridge, tasks)
            self._conversations = Conversations(
                session, self._fanout, self.control, self._people, self.limits, self._pushed
            )
            self.site = Site(
                pages=await session.bridge.cpu(load_pages),
                entrance=Entrance(self._access, self._keys, self.limits),
                routes=self._routes,
                ready=self._ready,
            )
            self._visitors = Visitors(self.limits, tasks, self._access.is_proxy)
            await self.reload_certificate()
            self._server = await self._listen()
            stack.callback(tasks.create_task(self._watch_tokens()).cancel)
            stack.callback(tasks.create_task(self.peers.watch(self.limits.stall_timeout)).cancel)
            stack.push_async_callback(self._close)
            session.on_change(lambda info: self._fanout.announce(status_message(info, removed=False)))
            for info in session.sources():
                self._fanout.announce(status_message(info, removed=False))
            session.hub.attach(self._fanout)
            stack.callback(session.hub.detach, self._fanout)
            self._stack = stack.pop_all()
        log.info("serving %s", self.where)
        if self._access.is_readable_on_the_way:
            log.warning(
                "other machines are served without TLS: tokens and pictures can be read on their way; give --cert and "
                "--key, or put a proxy that speaks TLS in front (--trusted-proxy)"
            )
        return self

    async def __aexit__(self, *exc_info: object) -> bool | None:
        return await self._stack.__aexit__(*exc_info)  # type: ignore[arg-type]

    async def _listen(self) -> WebsocketServer:
        limits = self.limits
        logger = logging.getLogger("facestream.server.websockets")
        logger.setLevel(logging.WARNING)  # at DEBUG the library logs request lines and headers: tokens
        try:
            return await serve_websockets(
                self._handle,
                self._host,
                self._port,
                process_request=self._process_request,
                process_response=_agree_on_protocol,
                create_connection=self._welcome,  # type: ignore[arg-type]
                compression=None,  # on JPEG it costs 38 times the CPU
                ping_interval=None,  # Peers.watch does it
                open_timeout=None,  # Peer has a time for the request, and another for the answer
                close_timeout=limits.close_timeout,
                max_size=limits.text_bytes,
                max_queue=RECEIVE_QUEUE,
                write_limit=0,  # "stuck" means that anything at all is left in our buffer
                server_header="facestream",
                logger=logger,
            )
        except OSError as error:
            raise _listen_error(self._host, self._port, error) from error

    def _welcome(self, protocol: ServerProtocol, server: WebsocketServer, **options: Any) -> Doorway:
        return Doorway(Peer(protocol, server, peers=self.peers, limits=self.limits, **options), self._visitors)

    async def _watch_tokens(self) -> None:
        """Hang up on whoever's token was removed or has expired."""
        while True:
            await asyncio.sleep(TOKENS_EVERY)
            await self._keys.refresh()
            self._turn_away(time.time())

    def _turn_away(self, now: float) -> None:
        for peer in tuple(self.peers):
            if peer.state is State.OPEN and not self._keys.holds(peer.token, now):
                log.info("closed %s: its token isn't good any more", peer.name)
                peer.explain("token-over", "your token was removed or has expired; ask for a new one")
                peer.hang_up(CloseCode.POLICY_VIOLATION, "the token isn't good any more")

    async def _close(self) -> None:
        """Say goodbye to everybody, and hang up on those who don't answer in time."""
        self._visitors.close()
        self.peers.abort_silent()  # a browser keeps spare connections open
        self._server.close(code=CloseCode.GOING_AWAY, reason="the server is closing")
        try:
            async with asyncio.timeout(self.limits.close_timeout):
                await self._server.wait_closed()
        except TimeoutError:
            pass
        finally:
            self.peers.abort()
        await self._server.wait_closed()

    async def _process_request(self, peer: ServerConnection, request: Request) -> Response | None:
        assert isinstance(peer, Peer)
        response = await respond(self.site, request, peer.address)
        if isinstance(response, Admitted):
            peer.query, peer.token = response.query, response.token
            if peer.query.path == "/ws/push":
                peer.protocol.max_message_size = self.limits.picture_bytes
            return None
        response = self._with_room(peer, response)
        if self._access.tls:
            response.headers[HSTS[0]] = HSTS[1]
        peer.close_timeout = self.limits.close_timeout + len(response.body) / self.limits.least_rate
        if isinstance(response, Refused) and response.status_code in REFUSALS:
            self._tell_of_refusal(peer, request, response)
        return response

    def _with_room(self, peer: Peer, response: Response) -> Response:
        """The response, or another where too many large ones are on their way. It is until the connection ends."""
        size = len(response.body)
        if size <= LARGE or not peer.connected:
            return response
        if not self._sending.enter(size):
            return busy()
        lost = peer.on_lost

        def over() -> None:
            self._sending.leave(size)
            lost()

        peer.on_lost = over
        return response

    def _tell_of_refusal(self, peer: Peer, request: Request, response: Refused) -> None:
        """In the log, but not as often as somebody cares to ask."""
        if not self._refusals_told.take(address_key(peer.address), self._session.hub.clock()):
            log.warning("refused %s: %s: %s", peer.name, self.site.place(request.path), response.code)

    async def _handle(self, peer: ServerConnection) -> None:
        assert isinstance(peer, Peer)
        self._websockets += 1
        try:
            if self._websockets > self.limits.subscribers:
                raise ProtocolError(
                    "too-many-subscribers",
                    f"there are {self.limits.subscribers} subscribers already; try again later",
                    close_code=CloseCode.TRY_AGAIN_LATER,
                )
            await self._conversations.hold(peer, peer.query)
        except ProtocolError as error:
            await peer.refuse(error)
        except ConnectionClosed:
            pass
        finally:
            self._websockets -= 1

    def begun(self) -> None:
        """The session has its models: from now on results are due."""
        self._status.begun()

    def is_stuck(self) -> bool:
        """Whether frames arrive and no results come."""
        return self._status.is_stuck()

    def _collect(self) -> Iterator[Metric]:
        session = self._session
        yield from session_metrics(session.statistics(), session.hub.statistics())
        yield from network_metrics(
            NetworkCounts(
                connections=len(self.peers),
                websockets=self._websockets,
                stalled=self.peers.stalled,
                groups=self._fanout.groups(),
                pictures=self._fanout.statistics().pictures,
                pushed=self._pushed,
            )
        )


async def serve(session: Session, **options: Any) -> None:
    """Serve ``session`` until cancelled; options as for :class:`Server`."""
    async with Server(session, **options):
        await asyncio.Event().wait()


def _agree_on_protocol(peer: ServerConnection, request: Request, response: Response) -> None:
    """A browser that offers protocols for a websocket wants to hear of one."""
    offered = ", ".join(request.headers.get_all("Sec-WebSocket-Protocol")).split(",")
    if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS and SUBPROTOCOL in map(str.strip, offered):
        response.headers["Sec-WebSocket-Protocol"] = SUBPROTOCOL


def _listen_error(host: str, port: int, error: OSError) -> FacestreamError:
    if error.errno == errno.EADDRINUSE:
        return FacestreamError(
            f"port {port} is in use on {host}: stop the other program, or choose another port with --port"
        )
    if error.errno == errno.EACCES:
        return FacestreamError(
            f"port {port} needs more rights than this program has; choose one above 1023 with --port"
        )
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return ConfigError(f"can't serve {host}: it isn't an address of this machine; choose another with --host")
    return FacestreamError(f"can't serve {host}:{port}: {error.strerror or error}; mend that, or choose another --port")

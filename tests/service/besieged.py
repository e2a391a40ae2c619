"""The real server and a real session in one process, in a thread of their own, so that tests can write raw bytes.

What mustn't happen is noted on the way: exceptions that nobody caught, and files opened for writing elsewhere than in
the server's own folder.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, ExitStack
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec
import psutil
from websockets.sync.client import connect

from facestream.jobs.events import EventOptions, Events
from facestream.jobs.live import LiveSession
from facestream.serving.allowed import AllowedSources
from facestream.serving.events import EventRoutes
from facestream.serving.limits import Limits
from facestream.serving.server import Server
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline
from facestream.testing.sessions import FakeRecognition

LIMITS = Limits(
    connections_per_address=512,
    requests_per_second=1e6,
    requests_burst=1_000_000,
    wrong_tokens_per_minute=1e6,
    wrong_tokens_burst=1_000_000,
    text_bytes=8 * 1024,
    picture_bytes=64 * 1024,
    picture_pixels=100_000,
    header_bytes=16 * 1024,
    json_depth=16,
    batch=8,
    sources=4,
    open_timeout=1.0,
    close_timeout=0.5,
    stall_timeout=3.0,
)
"""Small, so that inputs reach them; but nobody is told to wait."""

TOKEN = "correct-horse-battery-staple"
PATIENCE = 60.0  # seconds
PUSH_GRACE = 10.0
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGING = {
    **dict.fromkeys(("os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod", "sqlite3.connect"), (0,)),
    **dict.fromkeys(("os.rename", "os.link"), (0, 1)),
    "os.symlink": (1,),
}
"""Python's audit event → which of its arguments are paths that it changes."""


class Held(NamedTuple):
    """What the server holds while nobody is connected but this test.

    Attributes:
        objects: of facestream's and the websocket library's classes, and asyncio's.
    """

    connections: int
    tasks: int
    threads: int
    descriptors: int
    objects: int


class Besieged:
    """A server without cameras or models, on two ports: one for everybody, one that asks for a token.

    Attributes:
        port, locked_port: of ``127.0.0.1``.
        folder: where it may write.
        uncaught: exceptions that were logged with their traceback, or reached the event loop.
        strays: files that were opened for writing elsewhere.
    """

    def __init__(self, folder: Path) -> None:
        self.port = 0
        self.locked_port = 0
        self.uncaught: list[str] = []
        self.strays: list[str] = []
        self.folder = folder.resolve()
        self._thread = threading.Thread(target=self._work, name="besieged")
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._over: asyncio.Event
        self._session: LiveSession
        self._servers: list[Server] = []
        self._watching = False
        self._tester = threading.current_thread()
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        with ExitStack() as stack:
            stack.callback(self._end)
            self._control = stack.enter_context(connect(f"ws://127.0.0.1:{self.port}/ws/control"))
            self._control.recv(PATIENCE)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def exchange(self, data: bytes, *, locked: bool = False) -> bytes:
        """Send ``data`` on a connection of its own, end our half of it, and take what comes until the other is over.

        Raises:
            TimeoutError: the server doesn't end its half.
        """
        address = "127.0.0.1", self.locked_port if locked else self.port
        with socket.create_connection(address, timeout=PATIENCE) as sock:
            parts = []
            try:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                while part := sock.recv(65536):
                    parts.append(part)
            except ConnectionError:
                pass  # it has hung up on us
            return b"".join(parts)

    def answers(self) -> bool:
        """Whether another client is served as if nothing had happened."""
        self._control.send('{"jsonrpc":"2.0","id":1,"method":"statistics"}')
        while True:
            message = msgspec.json.decode(self._control.recv(PATIENCE))
            if "result" in message:
                return True

    def complaints(self) -> list[str]:
        """:attr:`uncaught` since the last call."""
        found, self.uncaught[:] = list(self.uncaught), []
        return found

    def tidy(self) -> None:
        """Remove every source."""
        self.run(self._tidy)

    def held(self) -> Held:
        """Waits until every connection but ours is over."""
        return self.run(self._held)

    def run(self, job: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """What ``job`` returns, run by the server's event loop."""
        return asyncio.run_coroutine_threadsafe(job(), self._loop).result(3 * PATIENCE)

    def _end(self) -> None:
        self._watching = False
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _work(self) -> None:
        factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
        if find_spec("uvloop"):
            from uvloop import new_event_loop as factory
        with asyncio.Runner(loop_factory=factory) as runner:
            try:
                runner.run(self._serve())
            except BaseException as error:
                self._failure = error
                self._ready.set()
                raise

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._loop.set_exception_handler(lambda _loop, context: self.uncaught.append(str(context)))
        handler = _Tracebacks(self.uncaught)
        logging.getLogger().addHandler(handler)
        sys.addaudithook(self._audit)  # for the rest of this process; it listens while we do
        async with AsyncExitStack() as stack:
            stack.callback(logging.getLogger().removeHandler, handler)
            bridge = await stack.enter_async_context(Bridge("cpu", cpu_workers=2, torch_threads=1))
            self._session = await stack.enter_async_context(
                LiveSession(Pipeline([], bridge), bridge, push_grace=PUSH_GRACE)
            )
            options = EventOptions(on=True, store=self.folder / "events.db")
            events = await stack.enter_async_context(Events.open(self._session, options))
            routes = EventRoutes(events)
            for token in (None, TOKEN):
                server = Server(
                    self._session,
                    port=0,
                    token=token,
                    limits=LIMITS,
                    allowed_sources=AllowedSources(hosts=("127.0.0.1",)),
                    lookup=_nobody,
                    recognition=FakeRecognition(("own", 1)),
                    routes=routes.routes,
                    methods=routes.methods,
                )
                self._servers.append(await stack.enter_async_context(server))
            self.port, self.locked_port = (server.port for server in self._servers)
            self._watching = True
            self._ready.set()
            await self._over.wait()

    async def _tidy(self) -> None:
        for info in self._session.sources():
            await self._session.remove_source(info.name)

    async def _held(self) -> Held:
        async with asyncio.timeout(2 * PATIENCE):
            while sum(len(server.peers) for server in self._servers) > 1:  # noqa: ASYNC110 - a set has no events
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        gc.collect()
        return Held(
            connections=sum(len(server.peers) for server in self._servers),
            tasks=len(asyncio.all_tasks()),
            threads=threading.active_count(),
            descriptors=psutil.Process().num_fds(),
            objects=sum(_ours().values()),
        )

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._watching or threading.current_thread() is self._tester:
            return
        if event == "open":
            if isinstance(arguments[2], int) and arguments[2] & WRITING:
                self._check_path(arguments[0])
            return
        for place in CHANGING.get(event, ()):
            self._check_path(arguments[place])

    def _check_path(self, path: object) -> None:
        if isinstance(path, str | bytes | os.PathLike):
            text = os.path.realpath(os.fsdecode(path))
            if not text.startswith((str(self.folder), "/dev/")):
                self.strays.append(text)


class _Tracebacks(logging.Handler):
    """Notes what is logged with a traceback: an exception that nobody expected."""

    def __init__(self, found: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._found = found

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[0] is not None:
            self._found.append(logging.Formatter().format(record))


async def _nobody(_host: str) -> list[str]:
    """A name service that knows no name."""
    return []


def _ours() -> Counter[str]:
    """How many objects of each class there are whose growth would be the server's."""
    kinds = (type(each) for each in gc.get_objects())
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in kinds)
    return Counter(
        name for name in names if name.startswith(("facestream.", "websockets.asyncio", "asyncio.", "_asyncio."))
    )

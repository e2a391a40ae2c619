"""``facestream serve`` as a process that is stopped, killed and started again, and what it holds meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from websockets.asyncio.client import connect

from tests.rtsp_camera import free_port

STARTING = 60.0  # seconds; the first start on a machine converts the models


@dataclass(frozen=True, slots=True)
class Belongings:
    """What a process holds.

    Attributes:
        memory: resident bytes.
    """

    memory: int
    threads: int
    descriptors: int


class ServerProcess:
    """The server, on the same port each time.

    Args:
        arguments: asked for at each start: those of ``facestream serve``.
        folder: for its log and its user's data.

    Attributes:
        lives: how often it was started.
        seconds_to_stop: how long it took to stop, each time that it was told to.
        exit_codes: of the times that it was told to stop.
    """

    def __init__(self, arguments: Callable[[], Sequence[str]], folder: Path) -> None:
        self.port = free_port()
        self.user_data = folder / "user-data"
        self.log = folder / "server.log"
        self.lives = 0
        self.seconds_to_stop: list[float] = []
        self.exit_codes: list[int] = []
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Returns when its models are loaded and its sources are there.

        Raises:
            RuntimeError: it ended instead.
        """
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FACESTREAM_TOKEN")}
        environment |= {"PYTHONUNBUFFERED": "1", "FACESTREAM_USER_DATA": str(self.user_data)}
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "facestream", "serve", "--port", str(self.port), *self._arguments(),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
            )  # fmt: skip
        self.lives += 1
        async with asyncio.timeout(STARTING):
            while not await self._has_sources():
                if not self.running:
                    raise RuntimeError(f"the server ended:\n{self.log.read_text()[-2000:]}")
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """SIGTERM, as a service manager sends it."""
        assert self._process is not None
        clock = asyncio.get_running_loop().time
        begin = clock()
        self._process.send_signal(signal.SIGTERM)
        self.exit_codes.append(await self._process.wait())
        self.seconds_to_stop.append(clock() - begin)

    async def kill(self) -> None:
        """SIGKILL: a power cut."""
        assert self._process is not None
        if self.running:
            self._process.kill()
        await self._process.wait()

    def belongings(self) -> Belongings:
        """
        Raises:
            psutil.Error: it isn't running.
        """
        process = psutil.Process(self.pid)
        with process.oneshot():
            return Belongings(process.memory_info().rss, process.num_threads(), process.num_fds())

    async def get(self, path: str) -> bytes:
        """The body of a page.

        Raises:
            OSError, EOFError: the server is down.
        """
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            async with asyncio.timeout(10):
                _, _, body = (await reader.read()).partition(b"\r\n\r\n")
        except TimeoutError as error:
            raise EOFError("it doesn't answer") from error
        finally:
            writer.close()
        return body

    async def tell(self, method: str, **params: object) -> None:
        """Ask for something on the control path.

        Raises:
            RuntimeError: it was refused.
        """
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with connect(f"ws://127.0.0.1:{self.port}/ws/control") as websocket:
            await websocket.recv()  # its greeting
            await websocket.send(json.dumps(request))
            answer = json.loads(await websocket.recv())
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")

    async def _has_sources(self) -> bool:
        try:
            return (await self.get("/api/sources")).startswith(b"[{")
        except (OSError, EOFError):
            return False

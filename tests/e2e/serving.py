"""A real facestream server in a process of its own, as a person starts it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

READY = re.compile(rb"facestream is at http://127\.0\.0\.1:(\d+)")  # its models are loaded, too
SERVE = (sys.executable, "-m", "facestream", "serve")
NOWHERE = Path(__file__).parent / "no-user-data"
LIGHT = ("--device", "cpu", "--detect-size", "320")  # quick enough beside a browser that paints without a GPU


@dataclass(frozen=True)
class Served:
    """Where a server is, and its process."""

    port: int
    process: asyncio.subprocess.Process

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def stop(self) -> None:
        """Ask it to stop, as Ctrl-C does, and wait until it's gone."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
        await self.process.wait()


@asynccontextmanager
async def serving(
    *arguments: str, port: int = 0, token: str | None = None, user_data: Path = NOWHERE
) -> AsyncIterator[Served]:
    """Run ``facestream serve`` until the block ends; ``port`` 0 takes a free one.

    ``user_data`` is the folder with the gallery of people, so that nobody's own is looked at.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FACESTREAM_TOKEN")}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "FACESTREAM_USER_DATA": str(user_data)}
    if token is not None:
        environment["FACESTREAM_TOKEN"] = token
    process = await asyncio.create_subprocess_exec(
        *SERVE, *LIGHT, "--port", str(port), *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    said = b""
    async for line in process.stdout:
        said += line
        if match := READY.search(line):
            break
    else:
        await process.wait()
        raise AssertionError(f"the server ended before it said where it is:\n{said.decode()}")
    rest = asyncio.create_task(process.stdout.read())  # keeps the pipe from filling up
    served = Served(int(match[1]), process)
    try:
        yield served
        assert process.returncode is None, f"the server ended by itself, with {process.returncode}:\n{await rest!r}"
    finally:
        await served.stop()
        await rest

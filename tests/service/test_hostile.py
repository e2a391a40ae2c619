"""Whatever comes in: no exception that nobody expected, nothing that grows, no file elsewhere, and others are served.

About 1,500 inputs by default, and 50,000 with FACESTREAM_FULL=1.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

from tests.service import hostile
from tests.service.besieged import Besieged, Held

# The server's thread draws random numbers of its own meanwhile, which hypothesis takes for its strategies'.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")

FULL = os.environ.get("FACESTREAM_FULL") == "1"
INPUTS = 50_000 if FULL else 1_500

WAYS_IN = {
    "http": (hostile.requests, 0.35),
    "frames": (hostile.conversations, 0.25),
    "control": (hostile.controls, 0.25),
    "push": (hostile.pushes, 0.15),
}
"""Way in → its inputs, and its share of them."""

MORE = {"threads": 8, "descriptors": 8, "objects": 200}
"""Pools of threads, lists of late samples and the like fill up at first; a leak of one an input is far more."""

SETTLED_WITHIN = 20.0
"""Seconds after which what has ended is gone."""


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    return tmp_path / "elsewhere"


def test_what_must_not_happen_would_be_noticed(besieged: Besieged, elsewhere: Path) -> None:
    mine = besieged.folder / "mine"

    def write() -> None:
        elsewhere.write_bytes(b"")

    def move() -> None:
        mine.write_bytes(b"")
        mine.rename(elsewhere)

    def keep() -> None:
        sqlite3.connect(elsewhere).close()

    for mischief in (write, move, keep):
        besieged.run(partial(asyncio.to_thread, mischief))
        assert besieged.strays == [str(elsewhere.resolve())], mischief.__name__
        besieged.strays.clear()

    async def fail() -> None:
        asyncio.get_running_loop().call_soon(int, "none")
        logging.getLogger("facestream").error("that failed", exc_info=ValueError("nobody expected it"))

    besieged.run(fail)
    assert besieged.answers()
    assert len(besieged.complaints()) == 2


def besiege(server: Besieged, inputs: SearchStrategy[bytes], count: int, *, locked: bool = False) -> None:
    """Send ``count`` inputs, each on a connection of its own."""

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=not FULL,
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs)
    def send(data: bytes) -> None:
        server.exchange(data, locked=locked)
        assert server.answers()
        assert server.complaints() == []

    send()


def grown(server: Besieged, before: Held) -> list[str]:
    """What there is more of, and stays."""
    deadline = time.monotonic() + SETTLED_WITHIN
    while True:
        after = server.held()
        more = [name for name in Held._fields if getattr(after, name) > getattr(before, name) + MORE.get(name, 0)]
        if not more or time.monotonic() > deadline:
            return more
        time.sleep(0.1)


@pytest.mark.timeout(3600 if FULL else 600)
@pytest.mark.parametrize("way", WAYS_IN)
def test_a_server_takes_whatever_comes(besieged: Besieged, way: str) -> None:
    inputs, share = WAYS_IN[way]
    besiege(besieged, inputs, 50)  # what is made once isn't growth
    besieged.tidy()
    before = besieged.held()
    besiege(besieged, inputs, int(INPUTS * share))
    besieged.tidy()
    assert grown(besieged, before) == []
    assert besieged.strays == []


def test_a_server_with_a_token_takes_whatever_comes(besieged: Besieged) -> None:
    besiege(besieged, hostile.requests, INPUTS // 10, locked=True)
    assert besieged.strays == []

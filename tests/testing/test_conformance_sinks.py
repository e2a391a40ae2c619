"""The conformance suite over every sink."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from facestream.io.jsonl import JsonLinesWriter
from facestream.io.savers import FaceSaver, FrameSaver
from facestream.stream.device import Bridge
from facestream.stream.hub import Hub
from facestream.testing.conformance import SINK_CHECKS
from facestream.testing.conformance_sinks import MakeSink


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with Bridge("cpu", cpu_workers=2) as bridge:
        yield bridge


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path, bridge: Bridge) -> MakeSink:
    """What makes a sink of the kind that a test is for, each with a place of its own."""
    places = (tmp_path / str(number) for number in itertools.count())
    makers: dict[str, MakeSink] = {
        "faces": lambda: FaceSaver(next(places), bridge, size=64, max_in_flight=2),
        "frames": lambda: FrameSaver(next(places), bridge, max_in_flight=2),
        "json lines": lambda: JsonLinesWriter(next(places)),
        "hub": Hub,
    }
    return makers[request.param]


@pytest.mark.parametrize("make", ["faces", "frames", "json lines", "hub"], indirect=True)
@pytest.mark.parametrize("check", SINK_CHECKS)
async def test_every_sink_conforms(make: MakeSink, check: Any) -> None:
    await check(make)

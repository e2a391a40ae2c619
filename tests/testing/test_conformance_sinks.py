"""The conformance suite over every sink."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from facestream.io.frame_names import VideoNames
from facestream.io.journal import JournalHeader
from facestream.io.journal_writer import AlignmentsWriter
from facestream.io.jsonl import JsonLinesWriter
from facestream.io.live_recorder import LiveRecorder
from facestream.io.picture_writer import Losses
from facestream.io.recorder import Recorder, named_by
from facestream.io.savers import FaceSaver, FrameSaver
from facestream.stream.device import Bridge
from facestream.stream.hub import Hub
from facestream.testing.conformance import SINK_CHECKS
from facestream.testing.conformance_sinks import MakeSink, takes_faces_without_landmarks


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with Bridge("cpu", cpu_workers=2) as bridge:
        yield bridge


def recorder(folder: Path, bridge: Bridge) -> Recorder:
    """What ``facestream extract`` writes with: pictures and alignments that agree."""
    folder.mkdir()
    return Recorder(
        bridge,
        named_by(VideoNames("clip", ".mp4")),
        alignments=AlignmentsWriter(folder / "clip.fsa", bridge, JournalHeader("/clip.mp4")),
        pictures=FaceSaver(folder / "faces", bridge, size=64, max_in_flight=64, thumbs=True, losses=Losses.RAISE),
    )


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path, bridge: Bridge) -> MakeSink:
    """What makes a sink of the kind that a test is for, each with a place of its own."""
    places = (tmp_path / str(number) for number in itertools.count())
    makers: dict[str, MakeSink] = {
        "faces": lambda: FaceSaver(next(places), bridge, size=64, max_in_flight=2),
        "frames": lambda: FrameSaver(next(places), bridge, max_in_flight=2),
        "json lines": lambda: JsonLinesWriter(next(places)),
        "hub": Hub,
        "recorder": lambda: recorder(next(places), bridge),
        "live recorder": lambda: LiveRecorder(next(places), bridge, size=64, frames=True),
    }
    return makers[request.param]


SINKS = ("faces", "frames", "json lines", "hub", "recorder", "live recorder")
NEED_LANDMARKS = {"recorder", "live recorder"}  # for an alignments file is about them


@pytest.mark.parametrize("make", SINKS, indirect=True)
@pytest.mark.parametrize("check", [check for check in SINK_CHECKS if check is not takes_faces_without_landmarks])
async def test_every_sink_conforms(make: MakeSink, check: Any) -> None:
    await check(make)


@pytest.mark.parametrize("make", sorted({*SINKS} - NEED_LANDMARKS), indirect=True)
async def test_every_sink_but_those_of_landmarks_takes_faces_without_them(make: MakeSink) -> None:
    await takes_faces_without_landmarks(make)

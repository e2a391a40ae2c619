"""Real cameras, a real server, and what goes wrong in a cupboard. bench/faults.py does the same for half an hour."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import needs
from tests.service.farm import FEW, MANY
from tests.service.running import Setup, run
from tests.service.schedule import Fault, Kind, plan
from tests.service.verdict import Terms, judge

FULL = os.environ.get("FACESTREAM_FULL") == "1"
MINUTES = 30

SOME = (
    Fault(2.5, Kind.RESIZED, 0.3, "door"),
    Fault(2.5, Kind.CROWD, 1.5),
    Fault(3.0, Kind.FULL, 1.0),
    Fault(5.5, Kind.LOCKED, 0.5, "door"),
    Fault(5.5, Kind.FROZEN, 4.0, "yard"),
    Fault(9.0, Kind.DAMAGED, 0.3, "door"),
    Fault(14.5, Kind.SHOT, 0.1),
)
"""Each kind once, but for what others include: a camera is killed to come back in another size, and at the end of each
run the server is told to stop."""

AT_ONCE = ("--open-timeout", "3", "--read-timeout", "3")
BOUNDS = Terms(
    back_within=60.0,
    settle=4.0,
    more_lost=0.5,
    more_threads=10,
    more_descriptors=20,
    told_within=30,
    stop_within=60.0,
    short=True,
)
"""Short waits, and generous ones where the machine may have others to work for: how soon and how little is measured by
the half hour. Pools of threads still fill up, as in any first quarter of a minute.
"""


@pytest.fixture
def folder(weights: None, tmp_path: Path) -> Path:
    needs.gstreamer()
    return tmp_path


@pytest.mark.skipif(FULL, reason="the full form runs")
async def test_a_server_comes_through_a_bad_quarter_of_a_minute(folder: Path, face_clip: Path) -> None:
    record = await run(Setup(FEW, folder, face_clip, arguments=AT_ONCE, crowd=10), SOME, 14.5)
    assert [finding for finding in judge(record, BOUNDS) if not finding.good] == []


@pytest.mark.timeout(MINUTES * 60 + 300)
@pytest.mark.skipif(not FULL, reason="takes half an hour: FACESTREAM_FULL=1, or make soak")
async def test_a_server_comes_through_a_bad_half_hour(folder: Path, face_clip: Path) -> None:
    faults = plan(6, [model.name for model in MANY], MINUTES * 60)
    record = await run(Setup(MANY, folder, face_clip, megabytes=400), faults, MINUTES * 60)
    assert [finding for finding in judge(record) if not finding.good] == []

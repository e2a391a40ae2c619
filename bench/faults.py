"""A server of eight cameras in a bad half-hour: what goes wrong, and what comes of it.

Real RTSP cameras of mixed size and rate (GStreamer's server, a process each), a real ``facestream serve`` with its
default models that saves faces and alignments to a small disk, and faults from a seed: a camera is killed, paused,
comes back with another size, sends damaged packets or changes its password; subscribers come, stall and vanish; the
disk fills up and is emptied; the server is told to stop, or killed, and started again. Calm and stormy times take
turns, so that cameras without a fault are compared with themselves on the same machine under the same load.

Needs what tests/needs.py calls gstreamer; without the right to mount a file system, the disk never fills up.

python bench/faults.py [--minutes 30] [--cameras N] [--seed N] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from report import report

from facestream.jobs.demo import demo_video

sys.path.append(str(Path(__file__).parents[1]))

from tests.service.farm import MANY
from tests.service.running import Setup, run
from tests.service.schedule import Kind, plan
from tests.service.verdict import Counted, Record, Terms, compare, judge, recoveries

LONG = 20
"""Minutes from which a run has to say something about memory and leaks."""


async def measure(minutes: float, cameras: int, seed: int, folder: Path) -> int:
    models = MANY[:cameras]
    length = minutes * 60
    faults = plan(seed, [model.name for model in models], length)
    record = await run(Setup(models, folder, demo_video(), megabytes=400), faults, length, say=_say)
    findings = judge(record, Terms(short=minutes < LONG))
    notes = f"{cameras} cameras, {minutes:g} min, {len(record.faults)} faults, seed {seed}"
    report("faults-kinds", [_of_kind(record, kind) for kind in Kind], notes)
    report("faults-cameras", [_of_camera(record, name) for name in record.rates], notes)
    for each in findings:
        _say(f"{'ok     ' if each.good else 'NOT OK '}{each.check}: {each.measured}")
    return 0 if all(each.good for each in findings) else 1


def _say(line: str) -> None:
    print(line, flush=True)


def _of_kind(record: Record, kind: Kind) -> dict[str, object]:
    of_kind = [fault for fault in record.faults if fault.kind is kind]
    times = [each.seconds for each in recoveries(record) if each.fault.kind is kind]
    return {
        "fault": kind.value,
        "times": len(of_kind),
        "seconds in all": round(sum(fault.seconds for fault in of_kind)),
        "live again after s, longest": round(max(times), 1) if times else "",
    }


def _of_camera(record: Record, name: str) -> dict[str, object]:
    pairs = compare(record, name, Terms())
    return {
        "camera": name,
        "frames/s": record.rates[name],
        "faults": sum(fault.camera == name for fault in record.faults),
        "reconnects": max((s.cameras[name].reconnects for s in record.samples if name in s.cameras), default=0),
        "storms compared": len(pairs),
        "frames in calm": round(sum(quiet.expected for quiet, _ in pairs)),
        "lost": f"{_lost(quiet for quiet, _ in pairs):.2%}",
        "while others fail": round(sum(beside.expected for _, beside in pairs)),
        "then lost": f"{_lost(beside for _, beside in pairs):.2%}",
    }


def _lost(counted: Iterable[Counted]) -> float:
    counts = list(counted)
    expected = sum(each.expected for each in counts)
    return 1 - sum(each.processed for each in counts) / expected if expected else 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--cameras", type=int, default=len(MANY))
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--keep", type=Path, help="folder for the log and the data, empty; by default a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        return asyncio.run(measure(options.minutes, options.cameras, options.seed, folder))


if __name__ == "__main__":
    sys.exit(main())

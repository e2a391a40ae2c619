"""Run every benchmark, or those named: python bench/run.py [pipeline latency fanout accuracy …]

``faults`` takes half an hour, and runs only when it is named.
``accuracy`` is all that measures how right the models and the tracker are, see :data:`ACCURACY`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ACCURACY = (
    "accuracy",
    "masks",
    "identity",
    "clustering",
    "anonymise",
    "tracking_accuracy",
    "tracking_identity",
)

ALL = (
    "pipeline",
    "latency",
    "streams",
    "live_cpu",
    "live_identity",
    "fanout",
    "load",
    *ACCURACY,
    "gallery",
    "rotation",
    "extract",
    "reextract",
    "refine",
    "detect",
    "peers",
    "engine",
    "gpu",
    "backends",
    "memory",
    "serial",
)


def main(names: list[str]) -> int:
    """Each in a process of its own, so that none inherits another's threads or memory."""
    folder = Path(__file__).parent
    chosen = [part for name in names or ALL for part in (ACCURACY if names and name == "accuracy" else (name,))]
    failed = [name for name in chosen if subprocess.run([sys.executable, str(folder / f"{name}.py")]).returncode]
    for name in failed:
        print(f"{name} failed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

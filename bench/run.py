"""Run every benchmark, or those named: python bench/run.py [pipeline latency fanout accuracy …]"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ALL = (
    "pipeline",
    "latency",
    "fanout",
    "accuracy",
    "identity",
    "clustering",
    "masks",
    "tracking_accuracy",
    "rotation",
    "extract",
    "reextract",
    "refine",
    "engine",
    "backends",
    "memory",
    "serial",
)


def main(names: list[str]) -> int:
    """Each in a process of its own, so that none inherits another's threads or memory."""
    folder = Path(__file__).parent
    failed = [name for name in names or ALL if subprocess.run([sys.executable, str(folder / f"{name}.py")]).returncode]
    for name in failed:
        print(f"{name} failed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

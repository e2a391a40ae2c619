from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FULL = bool(os.environ.get("FACESTREAM_FULL"))
COUNTS = {"fsa": 20_000 if FULL else 1_000, "journal": 20_000 if FULL else 300, "json": 20_000 if FULL else 300}


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.timeout(3600 if FULL else 600)
@pytest.mark.parametrize("kind", COUNTS)
def test_a_mutated_file_is_read_or_refused_and_nothing_else(tmp_path: Path, kind: str) -> None:
    command = [sys.executable, "-m", "tests.io.fuzz_alignments", kind, str(COUNTS[kind]), "1", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    print(kind, done.stdout)
    result = json.loads(done.stdout)
    assert result["valid"] + result["refused"] == COUNTS[kind]
    assert result["valid"] > 0
    assert result["peak"] < 500  # MB
    assert result["slowest"] < 20  # seconds of its own time: a hang, not a measurement

"""Real processes that share a gallery, and that are killed."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

from facestream.io.gallery import Gallery

FULL = bool(os.environ.get("FACESTREAM_FULL"))

ADDING = """
import sys
import numpy as np
from pathlib import Path
from facestream.io.gallery import Gallery

path, who, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
rng = np.random.default_rng(int(sys.argv[4]))
with Gallery.open(path) as gallery:
    for number in range(count):
        gallery.add(f"{who} {number}", rng.normal(size=(6, 128)).astype(np.float32), model="m", sha256="0" * 64)
        print(number, flush=True)
"""


def adding(path: Path, who: str, count: int, seed: int = 0) -> subprocess.Popen[str]:
    """A process that adds ``who 0``, ``who 1``, … and prints each number once it is told that it's done."""
    arguments = [sys.executable, "-c", ADDING, str(path), who, str(count), str(seed)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def test_a_killed_process_loses_nothing_that_it_was_told_is_done(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    random.seed(5)
    done: set[str] = set()
    for round_ in range(50 if FULL else 2):
        with adding(path, f"round {round_} person", 100_000, seed=round_) as process:
            assert process.stdout is not None
            for _ in range(random.randint(1, 40)):
                done.add(f"round {round_} person {process.stdout.readline().strip()}")
            process.kill()
            done |= {f"round {round_} person {line.strip()}" for line in process.stdout if line.endswith("\n")}
        check = sqlite3.connect(path)
        assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert check.execute("PRAGMA foreign_key_check").fetchall() == []
        check.close()
        with Gallery.open(path) as gallery:
            people = {person.name: person.looks[0].count for person in gallery.people()}
        assert done <= people.keys()
        assert set(people.values()) == {6}, "a person is there with all embeddings or not at all"


def test_two_processes_add_at_once(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    both = [adding(path, who, 30) for who in ("ada", "bob")]
    for process in both:
        process.communicate()
        assert process.returncode == 0
    with Gallery.open(path) as gallery:
        expected = {f"{who} {number}" for who in ("ada", "bob") for number in range(30)}
        assert {person.name for person in gallery.people()} == expected


OPENING = """
import sys
from pathlib import Path
from facestream.io.gallery import Gallery

sys.stdin.readline()
for path in sys.argv[1:]:
    Gallery.open(Path(path)).close()
"""


def test_two_processes_make_a_gallery_at_once(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{number}.db") for number in range(200 if FULL else 60)]
    command = [sys.executable, "-c", OPENING, *paths]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in both:
        process.communicate()
        assert process.returncode == 0

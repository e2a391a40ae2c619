"""Programs at work, each in its own process (``peers_worker.py``), and their turns on the same frames."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from peers_environments import Environment, LeftOut, python_of

Frames = npt.NDArray[np.uint8]
Faces = npt.NDArray[np.float32]
"""One frame's: (N, 5) left, top, right, bottom, score."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run: the name by which ``peers_worker.py`` knows it, and where; None is facestream's own environment."""

    label: str
    worker: str
    environment: Environment | None = None


@dataclass(slots=True)
class Turn:
    """What a program took and found, added up over all its turns.

    Attributes:
        cpu, wall: seconds.
        faces: of each frame, in order.
        ended: the program ended before all its turns were over, and has been told of.
    """

    cpu: float = 0.0
    wall: float = 0.0
    faces: list[Faces] = field(default_factory=list)
    ended: bool = False

    def add(self, answer: dict[str, Any]) -> None:
        self.cpu += answer["cpu"]
        self.wall += answer["wall"]
        self.faces += [np.array(faces, np.float32).reshape(-1, 5) for faces in answer["faces"]]

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds a frame."""
        return 1e3 * self.cpu / len(self.faces)


class Worker:
    """A program's process, ready to be asked.

    Args:
        program: what runs in it.
        cores: the only cores that it may use; their number is how many threads it has in each of its libraries.

    Raises:
        LeftOut: it can't be installed, or doesn't start.
    """

    def __init__(self, program: Program, cores: Sequence[int]) -> None:
        self.program = program
        python = Path(sys.executable) if program.environment is None else python_of(program.environment)
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [str(python), str(Path(__file__).with_name("peers_worker.py")), program.worker, ",".join(map(str, cores))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"},  # facestream's own setting; waiting threads cost no CPU
        )
        try:
            self.about = str(self._answer()["ready"])
        except LeftOut:
            self.close()
            raise

    def ask(self, frames: Path, batch: int) -> dict[str, Any]:
        """What it finds in the frames of an .npy file; see ``peers_worker.py``.

        Raises:
            LeftOut: it has ended.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the missing answer says why
            print(json.dumps({"frames": str(frames), "batch": batch}), file=self._process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        """End the process: a worker ends with its input."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._complaints.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        status = self._process.wait()
        self._complaints.seek(0)
        said = self._complaints.read().strip().splitlines()
        raise LeftOut(said[-1] if said and status == 1 else f"ended with status {status}")  # 1: a traceback


@contextlib.contextmanager
def started(programs: Sequence[Program], cores: Sequence[int]) -> Iterator[list[Worker]]:
    """Those of ``programs`` that can be had; the others are told, one line each."""
    with contextlib.ExitStack() as stack:
        workers = []
        for program in programs:
            try:
                workers.append(stack.enter_context(Worker(program, cores)))
            except LeftOut as reason:
                print(f"{program.label} left out: {reason}", flush=True)
        yield workers


def take_turns(workers: Sequence[Worker], parts: Sequence[Frames], batches: Sequence[int] | None = None) -> list[Turn]:
    """Each part goes to each worker, one after another; only one works at any time.

    Args:
        workers: the same one may be there more than once.
        parts: frames (n, h, w, 3); parts may have different sizes. Each worker sees the first frame of each size once
            more before it, uncounted.
        batches: how many frames each worker gets at a time, 1 by default.
    """
    turns = [Turn() for _ in workers]
    batches = batches or [1] * len(workers)
    seen: set[tuple[int, ...]] = set()
    with tempfile.TemporaryDirectory() as folder:
        part_file, first_file = Path(folder) / "part.npy", Path(folder) / "first.npy"
        for part in parts:
            np.save(part_file, part)
            new = part.shape[1:] not in seen
            seen.add(part.shape[1:])
            for worker, batch, turn in zip(workers, batches, turns):
                if turn.ended:
                    continue
                try:
                    if new:
                        np.save(first_file, part[:batch])
                        worker.ask(first_file, batch)
                    turn.add(worker.ask(part_file, batch))
                except LeftOut as reason:
                    turn.ended = True
                    print(f"{worker.program.label} left out: {reason}", flush=True)
    return turns

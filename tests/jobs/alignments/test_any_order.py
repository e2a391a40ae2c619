"""Whatever is done to a folder and its file, and in whatever order the jobs come, the two agree in the end."""

from __future__ import annotations

from pathlib import Path
from shutil import copy

import numpy as np
import pytest

from facestream.io.alignments import Alignments
from facestream.jobs.alignments import remove_faces, rename, sort
from facestream.jobs.alignments.work import Work
from tests.jobs.alignments.build import agree, extracted, record, silent

ROUNDS = 5


def disturb(folder: Path, noise: np.random.Generator) -> None:
    """Rename, delete and copy pictures at random, sometimes to each other's names."""
    paths = sorted(folder.glob("*.png"))
    for path in noise.choice(paths, len(paths) // 4, replace=False):
        path.unlink()
    paths = sorted(folder.glob("*.png"))
    names = [path.name if noise.random() < 0.5 else f"{index:04d}.png" for index, path in enumerate(paths)]
    for path, name in zip(paths, noise.permutation(names)):
        path.rename(folder / f"{name}.new")
    for path in folder.glob("*.new"):
        path.rename(path.with_suffix(""))
    for path in noise.choice(sorted(folder.glob("*.png")), 2):
        copy(path, folder / f"copy-{noise.integers(1 << 30)}.png")


@pytest.mark.parametrize("seed", range(5))
def test_folder_and_file_agree_in_the_end(tmp_path: Path, seed: int) -> None:
    noise = np.random.default_rng(seed)
    frames = {
        f"clip_{n + 1:06d}.mp4": [
            record(int(x), y=int(y)) for x, y in noise.integers(0, 500, (int(noise.integers(0, 5)), 2))
        ]
        for n in range(12)
    }
    work = Work(extracted(tmp_path, frames).path, tmp_path / "faces")
    for _ in range(ROUNDS):
        disturb(work.needed_faces, noise)
        for job in noise.permutation([sort.run, rename.run, remove_faces.run]):
            job(Work(work.alignments) if job is sort.run and noise.random() < 0.5 else work, silent())
        remove_faces.run(work, silent())
        assert agree(work.needed_faces, work.alignments)
        assert Alignments.load(work.alignments).faces_count == len(list(work.needed_faces.glob("*.png")))

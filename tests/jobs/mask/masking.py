"""The mask job with fakes, in this process or in one that can be killed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from facestream.io.alignments import Alignments
from facestream.io.faces import read_header
from facestream.jobs.alignments.session import Session
from facestream.jobs.mask.command import mask_input
from facestream.jobs.mask.inputs import inputs_of
from facestream.jobs.mask.job import Maskers, MaskJob
from facestream.jobs.mask.options import Input, MaskOptions, Process, Shown
from facestream.jobs.mask.summary import Summary
from facestream.jobs.models import ModelOptions
from facestream.stream.device import Bridge
from facestream.stream.stage import Stage
from facestream.testing.plugins import FakeMasker

NOW = datetime(2026, 3, 4, 5, 6, 7)
MASK = "fake-masker"


def options_for(source: Path, *, masks: tuple[str, ...] = (MASK,), **options: Any) -> MaskOptions:
    kinds: dict[str, Any] = {"input_type": Input, "processing": Process, "output_type": Shown}
    chosen = {name: kinds[name](value) if name in kinds else value for name, value in options.items()}
    return MaskOptions(input=source, models=ModelOptions(device="cpu", masks=masks), **chosen)


def mask(options: MaskOptions, *models: FakeMasker, **settings: Any) -> Summary:
    """Run the job on its one input; the fakes take the place of the chosen models.

    Args:
        settings: see :func:`mask_async`.
    """
    return asyncio.run(mask_async(options, *models, **settings))


async def mask_async(
    options: MaskOptions,
    *models: FakeMasker,
    stop_after: int | None = None,
    said: list[str] | None = None,
    advanced: Callable[[int, int], None] = lambda done, total: None,
) -> Summary:
    """
    Args:
        stop_after: interrupt it, as Ctrl-C does, once so many faces are done.
        said: takes what the job says.
    """
    options.check()
    plugins = models or (FakeMasker(),)

    async def load(bridge: Bridge) -> list[Stage]:
        return [Stage.faces(plugin, bridge) for plugin in plugins]

    def noted(done: int, total: int) -> None:
        advanced(done, total)
        if stop_after is not None and done >= stop_after:
            job.interrupted.set()

    lines: list[str] = [] if said is None else said
    session = Session(lines.append, lines.append, NOW, options.dry_run, ignore_unfinished=options.ignore_unfinished)
    summary = Summary()
    async with Bridge("cpu", torch_threads=1) as bridge:
        job = MaskJob(options, bridge, session, Maskers([plugin.name for plugin in plugins], load), noted)
        for work in inputs_of(options):
            await mask_input(job, work, summary)
    return summary


def masks_in_file(file: Path) -> dict[str, list[list[str]]]:
    """Frame → each of its faces' masks."""
    return {name: [sorted(face.mask) for face in entry.faces] for name, entry in Alignments.load(file).frames.items()}


def masks_in_headers(folder: Path) -> dict[str, list[str]]:
    return {path.name: sorted(read_header(path)["alignments"]["mask"]) for path in sorted(folder.glob("*.png"))}


if __name__ == "__main__":  # python -m tests.jobs.mask.masking FACES FILE; a line for each face
    mask(
        options_for(Path(sys.argv[1]), alignments=Path(sys.argv[2]), input_type="faces", processing="missing"),
        FakeMasker(batch_size=2),
        advanced=lambda done, total: print(done, flush=True),
    )

"""The extract job with models that need no weights, in this process or in one that can be killed."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facestream.io.alignments import Alignments
from facestream.io.savers import FrameSaver
from facestream.jobs.extract_job import ExtractJob, InputRun
from facestream.jobs.extract_plan import ExtractOptions, plan
from facestream.jobs.models import FILE, ModelOptions
from facestream.jobs.privacy import open_privacy
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline
from facestream.stream.stage import Stage
from facestream.stream.types import ExtractBatch, Floats, Image
from facestream.testing.plugins import FakeAligner, FakeDetector


def boxes_of(image: Image) -> npt.ArrayLike:
    """Two faces, one or none, and where, by what the picture shows."""
    value = int(image[::7, ::5].sum())
    boxes = [(20 + value % 17, 15, 60 + value % 17, 65), (70, 30 + value % 11, 100, 70 + value % 11)]
    return boxes[: value % 3]


def options_for(*inputs: Path, output: Path | None = None, **options: Any) -> ExtractOptions:
    settings: dict[str, Any] = {
        "inputs": tuple(map(str, inputs)),
        "models": ModelOptions(device="cpu"),
        "size": 64,
        "quiet": True,
        **options,
    }
    return ExtractOptions(output=output, **settings)


async def extract(
    options: ExtractOptions,
    *,
    detector: FakeDetector | None = None,
    stop_after: int | None = None,
    progress: Callable[[InputRun], None] = lambda run: None,
) -> ExtractJob:
    """Run the job with fakes; returns it, done.

    Args:
        stop_after: stop it, as Ctrl-C does, once so many frames are out.
    """
    async with AsyncExitStack() as stack:
        bridge = await stack.enter_async_context(Bridge("cpu", cpu_workers=2))
        privacy = await stack.enter_async_context(
            open_privacy(bridge, options.anonymise, options.anonymise_who, options.models)
        )
        frames = [] if options.frames is None else [FrameSaver(options.frames, bridge, format="png")]
        sinks = [await stack.enter_async_context(saver) for saver in frames]
        models = options.models
        stages = [] if models.detector == FILE else [Stage.detect(detector or FakeDetector(boxes_of), bridge, 1)]
        stages += [] if models.aligner == FILE else [Stage.faces(FakeAligner(), bridge, 1)]
        stages += [Stage.faces(FakeIdentity(), bridge, 1) for _ in models.identities]

        def noted(run: InputRun) -> None:
            progress(run)
            if stop_after is not None and sum(each.published for each in job.runs) >= stop_after:
                job.stop()

        pipeline = Pipeline(stages, bridge, in_flight=6)
        job = ExtractJob(
            plan(options),
            pipeline,
            bridge,
            detector="fake",
            sinks=sinks,
            progress=noted,
            privacy=privacy,
            biometrics=not options.no_biometrics,
        )
        await job.run()
    return job


class FakeIdentity:
    """An identity model that knows a face by its box."""

    name = "fake"
    batch_size = 1

    def load(self, device: str) -> None:
        """Nothing to load."""

    def pre_process(self, batch: ExtractBatch) -> Floats:
        return batch.boxes

    def infer(self, feed: Floats) -> Floats:
        return feed / 100

    def post_process(self, raw: Floats, feed: Floats, batch: ExtractBatch) -> None:
        batch.identities["fake"] = raw


def contents(folder: Path) -> dict[str, str]:
    """Every file below ``folder``, hidden ones included, and its hash."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def faces_in(alignments: Path) -> dict[str, int]:
    """Frame → how many faces the file has of it."""
    return {name: len(entry.faces) for name, entry in Alignments.load(alignments).frames.items()}


def expected_faces(pictures: list[Image]) -> list[int]:
    return [len(np.asarray(boxes_of(picture))) for picture in pictures]


def in_step(run: InputRun) -> None:
    """Say how far it is, and go on when told to, or when nobody is there who could."""
    print(run.name, run.published, flush=True)
    sys.stdin.readline()


if __name__ == "__main__":  # python -m tests.jobs.extracting OUTPUT INPUT …
    import asyncio

    asyncio.run(extract(options_for(*map(Path, sys.argv[2:]), output=Path(sys.argv[1])), progress=in_step))

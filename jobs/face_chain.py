"""Face pictures through models that look at faces, for jobs that work on a folder of them: mask, sort, filters.

::

    read ─► … ─► read        a few at a time, in CPU workers
            └──► mask ─► identity ─► results, in the order of the paths
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from facestream.errors import FaceHeaderError, SourceError
from facestream.jobs.face_pictures import read_face_picture
from facestream.stream.channel import BrokenChannel, Receiver
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline
from facestream.stream.stage import Stage
from facestream.stream.tasks import task_group
from facestream.stream.types import FrameFaces

READ_AHEAD: Final = 4
"""Pictures that are being read at once."""

BATCHES_PER_STAGE: Final = 3
"""So that each verb of each stage can be at work."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundFace:
    """A picture that has been through the models.

    Attributes:
        faces: the one face, in the picture's own pixels; :func:`facestream.faces.extracted.restored` puts it back into
            those of its frame. ``faces.frame.extracted.source`` is what its header says of that.
    """

    path: Path
    faces: FrameFaces


@dataclass(frozen=True, slots=True)
class UnreadFace:
    """A picture that isn't one of an extracted face, or can't be read.

    Attributes:
        reason: one line; names the file.
    """

    path: Path
    reason: str


@asynccontextmanager
async def run_over_faces(
    paths: Sequence[Path],
    stages: Sequence[Stage],
    bridge: Bridge,
    *,
    whole: bool = True,
    advanced: Callable[[int, int], None] = lambda done, total: None,
) -> AsyncIterator[AsyncIterator[FoundFace | UnreadFace]]:
    """Run pictures of extracted faces through loaded stages, in batches. Each comes out once, in the order given::

        stages = await load_stages(ModelOptions(detector=FILE, aligner=FILE, masks=("bisenet-fp",)), bridge)
        async with run_over_faces(paths, stages, bridge) as results:
            async for result in results:
                match result:
                    case FoundFace(path, faces): ...
                    case UnreadFace(path, reason): ...

    Some batches are in memory at any time, however many pictures there are. Leaving the block early, or cancelling it,
    loses those in flight.

    Args:
        stages: mask and identity models, in this order; none at all only reads the pictures.
        whole: with the masks and embeddings that the headers have; see
            :func:`facestream.jobs.face_pictures.read_face_picture`.
        advanced: called with the pictures that are through and how many there are in all, for each.

    Raises:
        ModelError, DeviceError: a model fails.
    """
    pipeline = Pipeline(stages, bridge, in_flight=BATCHES_PER_STAGE * max(1, len(stages)))
    unread: dict[int, UnreadFace] = {}
    async with task_group() as tasks, pipeline.running() as results:
        feeding = tasks.create_task(_feed(paths, whole, pipeline, bridge, unread), name="faces.read")
        try:
            async with aclosing(_in_order(paths, results, unread, advanced)) as found:
                yield found
        finally:
            feeding.cancel()


async def _feed(
    paths: Sequence[Path], whole: bool, pipeline: Pipeline, bridge: Bridge, unread: dict[int, UnreadFace]
) -> None:
    reading: deque[asyncio.Task[FrameFaces | UnreadFace]] = deque()
    async with task_group() as tasks:
        for seq in range(len(paths) + READ_AHEAD):
            if seq < len(paths):
                reading.append(tasks.create_task(bridge.cpu(_read, paths[seq], seq, whole)))
            if seq < READ_AHEAD:
                continue
            picture = await reading.popleft()
            if isinstance(picture, UnreadFace):
                unread[seq - READ_AHEAD] = picture
                continue
            try:
                await pipeline.put(picture)
            except BrokenChannel:  # a model has failed, which its own error tells
                break
    await pipeline.close()


def _read(path: Path, seq: int, whole: bool) -> FrameFaces | UnreadFace:
    try:
        return read_face_picture(path, source="faces", seq=seq, whole=whole)
    except OSError as error:
        return UnreadFace(path, f"{path}: can't be read: {error.strerror}")
    except (FaceHeaderError, SourceError) as error:
        return UnreadFace(path, str(error))


async def _in_order(
    paths: Sequence[Path],
    results: Receiver[FrameFaces],
    unread: dict[int, UnreadFace],
    advanced: Callable[[int, int], None],
) -> AsyncGenerator[FoundFace | UnreadFace]:
    """What came through, and each picture that couldn't be read in its own place."""
    done = 0
    async for faces in results:
        while done < faces.frame.seq:
            yield unread.pop(done)
            done += 1
            advanced(done, len(paths))
        yield FoundFace(paths[done], faces)
        done += 1
        advanced(done, len(paths))
    while done < len(paths):
        yield unread.pop(done)
        done += 1
        advanced(done, len(paths))

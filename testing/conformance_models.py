"""What the checks of all kinds of models share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from facestream.stream.device import Bridge, best_device
from facestream.stream.pipeline import Pipeline
from facestream.stream.stage import Stage
from facestream.stream.types import Detector, FacePlugin, Frame, FrameFaces, Image
from facestream.testing.conformance_waiting import require

CLOSE: Final = 1.0
"""Pixels that a box or landmark may move for reasons of arithmetic."""

ODD_SHAPES: Final = ((1, 1), (1, 500), (500, 1), (3, 1000), (1000, 3), (37, 41))
"""Heights and widths of frames that nobody expects."""


def require_floats(name: str, what: str, array: Any, shape: tuple[int, ...]) -> None:
    """Require finite float32 of ``shape``."""
    told = f"{getattr(array, 'dtype', type(array).__name__)} {getattr(array, 'shape', '')}"
    sound = isinstance(array, np.ndarray) and array.dtype == np.float32 and array.shape == shape
    require(sound, name, f"{what} are {told}, not float32 {shape}")
    require(bool(np.isfinite(array).all()), name, f"{what} aren't finite")


def require_name_and_batch_size(plugin: Detector | FacePlugin) -> None:
    named = isinstance(plugin.name, str) and bool(plugin.name.strip())
    require(named, type(plugin).__name__, f"its name is {plugin.name!r}")
    sized = isinstance(plugin.batch_size, int) and plugin.batch_size >= 1
    require(sized, plugin.name, f"its batch size is {plugin.batch_size!r}")


def views(picture: Image) -> Iterator[Image]:
    """The picture, or parts of it, lying in memory in every way that numpy allows."""
    frozen = picture.copy()
    frozen.setflags(write=False)
    yield frozen
    yield picture[:, ::-1]
    yield picture[::2, ::2]
    yield np.asfortranarray(picture)


def frame_of(image: Image, seq: int = 0) -> Frame:
    return Frame("conformance", 0, seq, seq / 25, 0.0, image)


def devices_here() -> Sequence[str]:
    """The devices to load a model on and check it: "cpu", and "cuda" or "mps" where there is one."""
    best = best_device()
    return ("cpu",) if best == "cpu" else ("cpu", best)


class _Noticing:
    """A model that tells when it is inferring, and goes on only when it may."""

    def __init__(self, plugin: Any) -> None:
        self._plugin = plugin
        self._loop = asyncio.get_running_loop()
        self.name = plugin.name
        self.batch_size = plugin.batch_size
        self.pre_process = plugin.pre_process
        self.post_process = plugin.post_process
        self.entered = asyncio.Event()
        self.go_on = threading.Event()

    def load(self, device: str) -> None:
        self._plugin.load(device)

    def infer(self, feed: Any) -> Any:
        self._loop.call_soon_threadsafe(self.entered.set)
        self.go_on.wait()
        return self._plugin.infer(feed)


def cancelled_and_run_again(plugin: Any, stage: Callable[[Any, Bridge], Stage], known: FrameFaces) -> FrameFaces:
    """Cancel a pipeline while ``plugin`` infers, then have another one process the same frame."""
    with asyncio.Runner() as runner:
        return runner.run(_cancelled_and_run_again(plugin, stage, known))


async def _cancelled_and_run_again(plugin: Any, stage: Callable[[Any, Bridge], Stage], known: FrameFaces) -> FrameFaces:
    noticing = _Noticing(plugin)

    async def ignore(faces: FrameFaces) -> None:
        pass

    async with Bridge("cpu", cpu_workers=2) as bridge:
        pipeline = Pipeline([stage(noticing, bridge)], bridge)
        running = asyncio.ensure_future(pipeline.run(ignore))
        entered = asyncio.ensure_future(noticing.entered.wait())
        try:
            await pipeline.put(known)
            await asyncio.wait([running, entered], return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                await running  # it failed before inferring
        finally:
            running.cancel()
            entered.cancel()
            await asyncio.wait([running, entered])
            noticing.go_on.set()
        return await Pipeline([stage(plugin, bridge)], bridge).process_one(known)

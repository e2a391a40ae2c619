"""The one bridge to threads and devices.

The event loop never decodes, warps, infers, encodes or writes. Everything that blocks crosses here, so that how many
threads run, which of them may touch a device, and what becomes of freed memory, is decided in one place.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeVar

from facestream.stream.allocator import keep_freed_memory

T = TypeVar("T")


class Lane:
    """One thread for one blocking resource that needs its own: a camera, a video file, a device.

    Calls run one after another in the order they were made. :meth:`aclose` waits for the call in progress, so the
    resource behind a lane must bound its own waiting (a camera's read timeout).
    """

    def __init__(self, name: str, *, workers: int = 1, on_close: Callable[[Lane], None] | None = None) -> None:
        self.name = name
        self._on_close = on_close
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix=f"facestream-{name}")
        self._pending: set[asyncio.Future[Any]] = set()
        self._closed = False

    @property
    def pending(self) -> int:
        """Calls in progress, and those that wait for a thread."""
        return len(self._pending)

    async def run(self, function: Callable[..., T], *args: object) -> T:
        """Run ``function(*args)`` in the lane's thread.

        Cancelling stops the wait, not the call: it ends in its thread and its result is lost.

        Raises:
            RuntimeError: the lane is closed.
        """
        if self._closed:
            raise RuntimeError(f"lane {self.name!r} is closed")
        future = asyncio.get_running_loop().run_in_executor(self._executor, function, *args)
        # A cancelled waiter abandons its future, but closing must still wait for the call behind it.
        call: asyncio.Future[T] = asyncio.ensure_future(future)
        self._pending.add(call)
        call.add_done_callback(self._forget)
        return await asyncio.shield(call)

    def _forget(self, call: asyncio.Future[T]) -> None:
        self._pending.discard(call)
        if not call.cancelled():
            call.exception()  # an abandoned call's error has nobody left to raise to

    async def aclose(self) -> None:
        """Wait for the calls in progress and end the threads. Safe to call twice."""
        self._closed = True
        while self._pending:
            await asyncio.wait(tuple(self._pending))
        self._executor.shutdown(wait=True)  # every call has returned: the threads end at once
        if self._on_close is not None:
            self._on_close(self)


class Bridge:
    """A device's workers, a bounded pool for CPU work, and lanes for whatever needs its own thread.

    ::

        async with Bridge("cpu") as bridge:
            feed = await bridge.cpu(plugin.pre_process, images)
            raw = await bridge.infer(plugin.infer, feed)

    Args:
        device: "cpu", "cuda", "cuda:1" or "mps".
        cpu_workers: threads for resizing, warping and encoding; by default one a core, at most 8.
        torch_threads: threads inside one CPU operation of torch; by default one a core. OpenCV gets one: its work is
            parallel across the pool already, and two thread pools on the same cores fight.
    """

    def __init__(
        self, device: str = "cpu", *, cpu_workers: int | None = None, torch_threads: int | None = None
    ) -> None:
        cores = available_cores()
        self.device = device
        self._torch_threads = torch_threads or cores
        self._device_lane = Lane(device)
        self._models: dict[str, Lane] = {}
        self._pool = Lane("cpu-pool", workers=cpu_workers or min(cores, 8))
        self._lanes: set[Lane] = set()

    async def infer(self, function: Callable[..., T], *args: object) -> T:
        """Run ``function(*args)`` in the device's first worker: see :meth:`worker`. Cancelling loses the result."""
        return await self._device_lane.run(function, *args)

    def worker(self, model: str) -> Lane:
        """The thread in which a model's network runs; the bridge closes it.

        On a CPU it is the device's one worker: networks take turns on the cores. On a GPU each model has its own, so
        that while one waits for its results another's work is begun: each runs on a stream of its own, and detect,
        align and identity of neighbouring batches overlap. A model is in one thread only either way.
        """
        if not self.device.startswith("cuda"):
            return self._device_lane
        if model not in self._models:
            self._models[model] = Lane(f"{self.device}-{model}")
        return self._models[model]

    async def cpu(self, function: Callable[..., T], *args: object) -> T:
        """Run ``function(*args)`` in the pool. Cancelling loses the result."""
        return await self._pool.run(function, *args)

    def lane(self, name: str) -> Lane:
        """A thread of its own for a blocking resource.

        Whoever asks closes it; what is forgotten closes with the bridge.
        """
        lane = Lane(name, on_close=self._lanes.discard)
        self._lanes.add(lane)
        return lane

    def busy(self) -> list[str]:
        """The names of the lanes in which a call is in progress."""
        return [lane.name for lane in self._every_lane() if lane.pending]

    async def __aenter__(self) -> Self:
        await self._device_lane.run(_settle, self._torch_threads)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End every thread once its present call returns. Safe to call twice."""
        for lane in self._every_lane():
            await lane.aclose()

    def _every_lane(self) -> tuple[Lane, ...]:
        return *self._lanes, self._pool, *self._models.values(), self._device_lane


def available_cores() -> int:
    """The cores this process may run on: its affinity mask where there is one, which containers set."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def _settle(torch_threads: int) -> None:
    keep_freed_memory()
    set_thread_counts(torch_threads)


def set_thread_counts(torch_threads: int) -> None:
    """Tell torch and OpenCV how many threads to use. Their own defaults are one a core, each."""
    import cv2
    import torch

    torch.set_num_threads(torch_threads)
    cv2.setNumThreads(1)


def best_device() -> str:
    """ "cuda" where torch sees one, else "mps", else "cpu"."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"

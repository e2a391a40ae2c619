"""The one bridge to threads and devices.

The event loop never decodes, warps, infers, encodes or writes. Everything that blocks crosses here, so that how many
threads run, which of them may touch a device, and what becomes of freed memory, is decided in one place.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, NamedTuple, Self, TypeVar

from facestream.errors import ConfigError
from facestream.stream.allocator import keep_freed_memory
from facestream.stream.threads import Threads

T = TypeVar("T")


class LaneForsaken(RuntimeError):
    """A call hung, and its lane was left to itself."""


class Lane:
    """One thread for one blocking resource that needs its own: a camera, a video file, a device.

    Calls run one after another in the order they were made. :meth:`aclose` waits for the call in progress, so the
    resource behind a lane must bound its own waiting (a camera's read timeout), or the lane needs ``patience``.

    Args:
        patience: seconds that a call may take. One that takes longer hangs in a driver or the like, and the lane is
            forsaken: nobody waits for it any more, not even the end of the process. None for calls that return.
    """

    def __init__(
        self,
        name: str,
        *,
        workers: int = 1,
        patience: float | None = None,
        on_close: Callable[[Lane], None] | None = None,
    ) -> None:
        self.name = name
        self.forsaken = False
        self._on_close = on_close
        self._patience = patience
        self._threads = Threads(f"facestream-{name}", workers, awaited=patience is None)
        self._pending: dict[asyncio.Future[Any], asyncio.TimerHandle | None] = {}
        self._idle = asyncio.Event()
        self._idle.set()
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
            LaneForsaken: this call hangs, or the one before it: then it runs when that returns, if ever.
        """
        if self._closed:
            raise RuntimeError(f"lane {self.name!r} is closed")
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[T] = loop.create_future()
        # Who waits may be cancelled, but closing must still wait for the call.
        self._pending[waiter] = None if self._patience is None else loop.call_later(self._patience, self.forsake)
        self._idle.clear()
        self._threads.need(len(self._pending))
        self._threads.call(self._finish, waiter, function, args)
        try:
            if self.forsaken:
                waiter.cancel()
                raise self._forsaken()
            return await waiter
        finally:
            # It holds the call's error and that its traceback, which holds this frame: all that the call worked with,
            # such as a camera's decoder, would stay until the garbage collector comes.
            del waiter

    def _finish(self, waiter: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        timer = self._pending.pop(waiter)
        if timer is not None:
            timer.cancel()
        if not self._pending:
            self._idle.set()
        if waiter.done():
            return  # cancelled or forsaken: the outcome has nobody left to go to
        if error is None:
            waiter.set_result(result)
        else:
            waiter.set_exception(error)

    def forsake(self) -> None:
        """Leave the calls in progress to themselves. Whoever waits for one is told :class:`LaneForsaken`, and closing
        waits for none.
        """
        self.forsaken = True
        self._idle.set()
        for waiter in self._pending:
            if not waiter.done():
                waiter.set_exception(self._forsaken())

    def _forsaken(self) -> LaneForsaken:
        return LaneForsaken(f"{self.name!r} hangs: a call doesn't return")

    async def aclose(self) -> None:
        """Wait for the calls in progress, unless they hang, and end the threads. Safe to call twice."""
        self._closed = True
        while self._pending and not self.forsaken:
            await self._idle.wait()
        self._threads.end(wait=not self.forsaken)  # every call has returned: they end at once
        if self._on_close is not None:
            self._on_close(self)


class Bridge:
    """A device's workers, a bounded pool for CPU work, and lanes for whatever needs its own thread.

    ::

        async with Bridge("cpu") as bridge:
            feed = await bridge.cpu(plugin.pre_process, images)
            raw = await bridge.infer(plugin.infer, feed)

    Args:
        device: "cpu", "cuda", "cuda:1" or "mps"; or several of one kind, "cuda:0,cuda:1", each of which has the models.
        cpu_workers: threads for resizing, warping and encoding; by default one a core, at most 8.
        torch_threads: threads inside one CPU operation of torch; by default one a core. OpenCV gets one: its work is
            parallel across the pool already, and two thread pools on the same cores fight.
    """

    def __init__(
        self, device: str = "cpu", *, cpu_workers: int | None = None, torch_threads: int | None = None
    ) -> None:
        cores = available_cores()
        self.devices = parse_devices(device)
        self.device = device = self.devices[0]
        self._torch_threads = torch_threads or cores
        self._device_lane = Lane(device)
        self._models: dict[str, Lane] = {}
        self._pool = Lane("cpu-pool", workers=cpu_workers or min(cores, 8))
        self._lanes: set[Lane] = set()

    async def infer(self, function: Callable[..., T], *args: object) -> T:
        """Run ``function(*args)`` in the device's first worker: see :meth:`worker`. Cancelling loses the result."""
        return await self._device_lane.run(function, *args)

    def worker(self, model: str, replica: int = 0) -> Lane:
        """The thread in which a model's network runs, on the device of that number; the bridge closes it.

        Each model has its own, and is in that one only. So detect, align and identity of neighbouring batches overlap:
        on a CPU small networks leave cores free for each other, and on a GPU, where each has a stream of its own, one's
        work is begun while another waits for its results. Apple's GPU has one queue, and one worker.
        """
        device = self.devices[replica] + (f"#{replica}" if replica else "")
        if device == "mps":
            return self._device_lane
        if (name := f"{device}-{model}") not in self._models:
            self._models[name] = Lane(name)
        return self._models[name]

    async def idle(self) -> None:
        """Wait until the models' workers have done what they were given so far, also what nobody waits for any more."""
        for lane in (self._device_lane, *self._models.values()):
            await lane.run(_nothing)

    async def cpu(self, function: Callable[..., T], *args: object) -> T:
        """Run ``function(*args)`` in the pool. Cancelling loses the result."""
        return await self._pool.run(function, *args)

    def lane(self, name: str, *, patience: float | None = None) -> Lane:
        """A thread of its own for a blocking resource; see :class:`Lane`.

        Whoever asks closes it; what is forgotten closes with the bridge.
        """
        lane = Lane(name, patience=patience, on_close=self._lanes.discard)
        self._lanes.add(lane)
        return lane

    def busy(self) -> list[str]:
        """The names of the lanes in which a call is in progress."""
        return [lane.name for lane in self._every_lane() if lane.pending]

    def pending(self) -> dict[str, int]:
        """Worker → calls that run or wait there: each device worker, the pool, and all lanes together as "lanes"."""
        workers = (self._device_lane, *self._models.values(), self._pool)
        return {
            **{lane.name: lane.pending for lane in workers},
            "lanes": sum(lane.pending for lane in self._lanes),
        }

    def memory(self) -> dict[str, DeviceMemory]:
        """Each GPU's memory; none of a CPU. Takes some ten microseconds for each, and waits for no work on it."""
        return {device: _memory_of(device) for device in self.devices if device.startswith("cuda")}

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


class DeviceMemory(NamedTuple):
    """Bytes of a GPU's memory.

    Attributes:
        allocated: in our arrays.
        reserved: kept by us, what is allocated included.
        used: by all programs, ours included.
    """

    allocated: int
    reserved: int
    used: int
    total: int


def _memory_of(device: str) -> DeviceMemory:
    import torch

    free, total = torch.cuda.mem_get_info(device)
    return DeviceMemory(torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device), total - free, total)


def parse_devices(text: str) -> tuple[str, ...]:
    """ "cuda:0,cuda:1" as its devices.

    Raises:
        ConfigError: one is missing, or they are of several kinds.
    """
    devices = tuple(part.strip() for part in text.split(","))
    kinds = {device.partition(":")[0] for device in devices}
    if not all(devices) or (len(devices) > 1 and (len(kinds) > 1 or "auto" in kinds)):
        raise ConfigError(f"--device {text} isn't possible: give one device, or several of one kind, as cuda:0,cuda:1")
    return devices


def available_cores() -> int:
    """The cores this process may run on: its affinity mask where there is one, which containers set."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def _nothing() -> None:
    """What is done once all before it is."""


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

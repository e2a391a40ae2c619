"""Lets each fault of a schedule happen, and mends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from random import Random

from tests.service.crowd import Crowd
from tests.service.disk import SmallDisk
from tests.service.farm import Farm
from tests.service.schedule import Fault, Kind
from tests.service.served import ServerProcess


class Saboteur:
    """One run's.

    Args:
        begin: the event loop's time at which the run began.
        crowd: how many subscribers come at once.
        say: told what happens.

    Attributes:
        done: the faults that are over, with the times at which they really were.
    """

    def __init__(
        self,
        farm: Farm,
        server: ServerProcess,
        disk: SmallDisk,
        begin: float,
        *,
        crowd: int = 20,
        seed: int = 0,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.done: list[Fault] = []
        self._farm = farm
        self._server = server
        self._disk = disk
        self._begin = begin
        self._size_of_crowd = crowd
        self._random = Random(seed)
        self._say = say

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time() - self._begin

    async def work(self, faults: Sequence[Fault]) -> None:
        """Returns when the last fault is mended."""
        async with asyncio.TaskGroup() as tasks:
            for fault in faults:
                tasks.create_task(self._commit(fault))

    async def _commit(self, fault: Fault) -> None:
        await asyncio.sleep(fault.at - self.now)
        began = self.now
        mend = await self._begin_fault(fault)
        self._say(f"{began:7.1f} s  {fault}")
        await asyncio.sleep(max(0.0, began + fault.seconds - self.now))
        await mend()
        self.done.append(replace(fault, at=began, seconds=self.now - began))

    async def _begin_fault(self, fault: Fault) -> Callable[[], Awaitable[None]]:
        """Let it happen; what mends it."""
        if fault.kind is Kind.CROWD:
            crowd = Crowd(self._server.port, self._size_of_crowd, self._random)
            await crowd.come()
            return crowd.vanish
        if fault.kind is Kind.FULL:
            await asyncio.to_thread(self._disk.fill)
            return lambda: asyncio.to_thread(self._disk.empty)
        if fault.kind is Kind.TERMINATED:
            await self._server.stop()
            return self._server.start
        if fault.kind is Kind.SHOT:
            await self._server.kill()
            return self._server.start
        return await self._break_camera(fault)

    async def _break_camera(self, fault: Fault) -> Callable[[], Awaitable[None]]:
        camera = self._farm.cameras[fault.camera]
        if fault.kind is Kind.FROZEN:
            camera.freeze()
            return lambda: asyncio.to_thread(camera.thaw)
        if fault.kind is Kind.DAMAGED:
            camera.damage()
            return lambda: asyncio.to_thread(camera.repair)
        await asyncio.to_thread(camera.kill)
        if fault.kind is Kind.RESIZED:
            self._farm.resize(fault.camera)
        if fault.kind is not Kind.LOCKED:
            return lambda: asyncio.to_thread(camera.start)
        self._farm.lock(fault.camera)
        await asyncio.to_thread(camera.start)
        # Nobody sets a camera's password back: the server is told the new one.
        return lambda: self._server.tell("sources.update", name=fault.camera, url=self._farm.url(fault.camera))

from __future__ import annotations

import asyncio
import traceback

import pytest

from facestream.stream.tasks import task_group


async def fail() -> None:
    raise LookupError("the first one")


async def test_the_first_error_surfaces_as_itself_with_its_own_traceback() -> None:
    with pytest.raises(LookupError, match="the first one") as caught:
        async with task_group() as tasks:
            tasks.create_task(fail())
            await asyncio.Event().wait()
    assert "in fail" in "".join(traceback.format_exception(caught.value))


async def test_an_error_cancels_the_other_tasks() -> None:
    ended = asyncio.Event()

    async def other() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(LookupError):
        async with task_group() as tasks:
            tasks.create_task(other())
            tasks.create_task(fail())
    assert ended.is_set()


async def test_without_errors_nothing_happens() -> None:
    async with task_group() as tasks:
        tasks.create_task(asyncio.sleep(0))

"""A task group whose error is the first one, as itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """Like :class:`asyncio.TaskGroup`, but raises the first error itself, with its own traceback, not a group of one.

    The first error cancels the other tasks and the block. Errors that the others raise while being cancelled follow
    from it, so they are left to its ``__context__``.
    """
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None


def first_error(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error that isn't a group."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error

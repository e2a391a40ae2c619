"""Threads that do what an event loop gives them, and tell it what came of it."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final, TypeAlias

Finish: TypeAlias = Callable[[asyncio.Future[Any], Any, BaseException | None], None]
_Call: TypeAlias = tuple[asyncio.AbstractEventLoop, Finish, asyncio.Future[Any], Callable[..., Any], tuple[object, ...]]


class Threads:
    """Threads that take one call after another, in the order in which they are made.

    Python's executors do so with futures of their own, each with its locks, which takes two to three times as long: a
    crossing to a thread that has slept and back costs 0.09 ms of CPU time here and 0.23 there, and a live frame crosses
    several times.

    Args:
        name: theirs; a number is added where there may be several.
        most: so many are started at most, and only while they are needed.
        awaited: the process doesn't end before their calls do. False for calls that may never return.
    """

    def __init__(self, name: str, most: int = 1, *, awaited: bool = True) -> None:
        self._name = name
        self._most: Final = most
        self._awaited = awaited
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def call(
        self, finish: Finish, future: asyncio.Future[Any], function: Callable[..., Any], args: tuple[object, ...]
    ) -> None:
        """Run ``function(*args)``; then ``finish(future, result, error)`` on the future's event loop, if it's still
        there. One of the two is None.
        """
        self._calls.put((future.get_loop(), finish, future, function, args))

    def need(self, count: int) -> None:
        """Have ``count`` threads, or as many as there may be."""
        while len(self._threads) < min(count, self._most):
            if self._awaited and not self._threads:
                atexit.register(self.end)
            name = self._name if self._most == 1 else f"{self._name}_{len(self._threads)}"
            # Python itself would wait for a thread that is no daemon also when nobody ends it, and so for ever.
            thread = threading.Thread(target=_work, args=(self._calls,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def end(self, wait: bool = True) -> None:
        """End the threads once they have done what they were given. Safe to call twice."""
        atexit.unregister(self.end)
        for _ in self._threads:
            self._calls.put(None)
        if wait:
            for thread in self._threads:
                thread.join()
        self._threads.clear()


def _work(calls: SimpleQueue[_Call | None]) -> None:
    while (call := calls.get()) is not None:
        _do(*call)
        del call  # or it, and the result, would live until the next call


def _do(
    loop: asyncio.AbstractEventLoop,
    finish: Finish,
    future: asyncio.Future[Any],
    function: Callable[..., Any],
    args: tuple[object, ...],
) -> None:
    try:
        result = function(*args)
    except BaseException as error:  # whatever it is, it belongs to whoever asked
        _tell(loop, finish, future, None, error)
        del future  # or the error, which it has, would keep itself alive through its traceback
    else:
        _tell(loop, finish, future, result, None)


def _tell(loop: asyncio.AbstractEventLoop, finish: Finish, *outcome: Any) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits
        loop.call_soon_threadsafe(finish, *outcome)

"""Several workers, one order: results leave as their work was begun, whoever finishes first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns:
    """Which work's results are next. Pure.

    Work is numbered when it begins. A worker has several pieces at once, in order, and holds back those whose turn
    hasn't come: that of the oldest always has, so nobody waits for ever, and what waits is what workers can hold.
    """

    def __init__(self) -> None:
        self._begun = 0
        self._next = 0

    def begin(self) -> int:
        """The number of the next piece of work."""
        self._begun += 1
        return self._begun - 1

    def has_come(self, turn: int) -> bool:
        """Whether everything that was begun before has left."""
        return turn == self._next

    def leave(self, turn: int) -> None:
        """All results of this piece have left.

        Raises:
            ValueError: it wasn't its turn.
        """
        if turn != self._next or turn >= self._begun:
            raise ValueError(f"turn {turn} can't leave: the next is {self._next} of {self._begun}")
        self._next += 1


class Shared(Generic[T]):
    """Work that several workers take from one iterator, whoever is free, and whose results they hand on in turn."""

    def __init__(self, work: AsyncIterator[T]) -> None:
        self._work = work
        self._taking = asyncio.Lock()
        self._turns = Turns()
        self._left = asyncio.Condition()

    async def take(self) -> tuple[int, T] | None:
        """The next piece and its turn; None when there's no more. Cancelling may lose one piece."""
        async with self._taking:
            try:
                piece = await anext(self._work)
            except StopAsyncIteration:
                return None
            return self._turns.begin(), piece

    async def come(self, turn: int) -> None:
        """Wait until it is this turn. Cancelling loses nothing."""
        async with self._left:
            await self._left.wait_for(lambda: self._turns.has_come(turn))

    async def leave(self, turn: int) -> None:
        """All results of this turn are handed on."""
        async with self._left:
            self._turns.leave(turn)
            self._left.notify_all()

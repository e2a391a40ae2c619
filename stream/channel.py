"""A bounded hand-over between tasks, with two ends and a visible overload policy.

::

    sender, receiver = channel(1, Overload.WAIT)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(produce(sender))   # await sender.send(item) … sender.close()
        async for item in receiver: ...      # ends when the sender has closed and everything is taken

Closing the sending end lets the receiver finish what is there. Closing the receiving end tells the sender that nobody
listens any more. There are no sentinel items.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class Overload(Enum):
    """What a full channel does with one more item."""

    WAIT = "wait"  # the sender waits: nothing is ever lost
    NEWEST = "newest"  # the oldest waiting item is dropped and counted: the sender never waits


class BrokenChannel(Exception):
    """The receiving end is closed: nobody will ever take what is sent."""


class EndOfChannel(Exception):
    """The sending end is closed and everything sent has been taken."""


class WouldBlock(Exception):
    """Nothing is there to take right now."""


@dataclass(frozen=True, slots=True)
class ChannelStatistics:
    """``sent = received + dropped + waiting``, always."""

    sent: int
    received: int
    dropped: int
    waiting: int
    peak: int


class _State(Generic[T]):
    """The buffer behind both ends, and the events that its ends wait on. Lives on one event loop."""

    def __init__(self, capacity: int, overload: Overload) -> None:
        if capacity < 1:
            raise ValueError(f"a channel holds at least one item, not {capacity}")
        self.capacity = capacity
        self.overload = overload
        self.items: deque[T] = deque()
        self.sender_closed = False
        self.receiver_closed = False
        self.readable = asyncio.Event()  # there is an item, or there never will be
        self.writable = asyncio.Event()  # there is room, or nobody listens
        self.writable.set()
        self.sent = self.received = self.dropped = self.peak = 0

    def update(self) -> None:
        full = len(self.items) >= self.capacity
        _set(self.readable, bool(self.items) or self.sender_closed)
        _set(self.writable, not full or self.receiver_closed or self.overload is Overload.NEWEST)


def _set(event: asyncio.Event, value: bool) -> None:
    if value:
        event.set()
    else:
        event.clear()


class Sender(Generic[T]):
    """The end that items go into. One task sends; closing is idempotent."""

    def __init__(self, state: _State[T]) -> None:
        self._state = state

    async def send(self, item: T) -> None:
        """Hand ``item`` over; waits while the channel is full and its policy is to wait.

        Cancelling while it waits means that ``item`` was not sent.

        Raises:
            BrokenChannel: the receiving end is closed.
        """
        await self._state.writable.wait()
        self.send_nowait(item)

    def send_nowait(self, item: T) -> None:
        """Hand ``item`` over at once; with :attr:`Overload.NEWEST` the oldest waiting item gives way.

        Raises:
            WouldBlock: the channel is full and its policy is to wait.
            BrokenChannel: the receiving end is closed.
        """
        state = self._state
        if state.receiver_closed:
            raise BrokenChannel
        if state.sender_closed:
            raise RuntimeError("the channel's sending end is closed")
        if len(state.items) >= state.capacity:
            if state.overload is Overload.WAIT:
                raise WouldBlock
            state.items.popleft()
            state.dropped += 1
        state.items.append(item)
        state.sent += 1
        state.peak = max(state.peak, len(state.items))
        state.update()

    def close(self) -> None:
        """Say that nothing more comes."""
        self._state.sender_closed = True
        self._state.update()

    def statistics(self) -> ChannelStatistics:
        return _statistics(self._state)


class Receiver(Generic[T]):
    """The end that items come out of. One task receives; closing is idempotent."""

    def __init__(self, state: _State[T]) -> None:
        self._state = state

    async def receive(self) -> T:
        """Take the oldest item, waiting for one. Cancelling loses nothing.

        Raises:
            EndOfChannel: the sender has closed and nothing is left.
        """
        await self._state.readable.wait()
        return self._take()

    def receive_nowait(self) -> T:
        """Take the oldest item.

        Raises:
            WouldBlock: nothing is there.
            EndOfChannel: nothing is there and nothing will come.
        """
        if not self._state.items and not self._state.sender_closed:
            raise WouldBlock
        return self._take()

    def _take(self) -> T:
        state = self._state
        if not state.items:
            raise EndOfChannel
        item = state.items.popleft()
        state.received += 1
        state.update()
        return item

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.receive()
        except EndOfChannel:
            raise StopAsyncIteration from None

    def close(self) -> None:
        """Say that nobody listens any more. Items still waiting are dropped and counted."""
        state = self._state
        state.receiver_closed = True
        state.dropped += len(state.items)
        state.items.clear()
        state.update()

    def statistics(self) -> ChannelStatistics:
        return _statistics(self._state)


def _statistics(state: _State[T]) -> ChannelStatistics:
    return ChannelStatistics(state.sent, state.received, state.dropped, len(state.items), state.peak)


def channel(capacity: int, overload: Overload = Overload.WAIT) -> tuple[Sender[T], Receiver[T]]:
    """A channel that holds ``capacity`` items: its sending and its receiving end."""
    state: _State[T] = _State(capacity, overload)
    return Sender(state), Receiver(state)

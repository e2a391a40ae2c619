"""A bounded hand-over between tasks, with two ends and a visible overload policy.

::

    sender, receiver = Channel[Frame](1, Overload.WAIT).ends
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


class Channel(Generic[T]):
    """The buffer behind both ends, and the events that they wait on. Lives on one event loop.

    Args:
        capacity: items that may wait.
        overload: what happens to one more.
    """

    def __init__(self, capacity: int, overload: Overload = Overload.WAIT) -> None:
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

    @property
    def ends(self) -> tuple[Sender[T], Receiver[T]]:
        """The sending and the receiving end."""
        return Sender(self), Receiver(self)

    def statistics(self) -> ChannelStatistics:
        return ChannelStatistics(self.sent, self.received, self.dropped, len(self.items), self.peak)

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

    def __init__(self, channel: Channel[T]) -> None:
        self._channel = channel

    async def send(self, item: T) -> None:
        """Hand ``item`` over; waits while the channel is full and its policy is to wait.

        Cancelling while it waits means that ``item`` was not sent.

        Raises:
            BrokenChannel: the receiving end is closed.
        """
        await self._channel.writable.wait()
        self.send_nowait(item)

    def send_nowait(self, item: T) -> None:
        """Hand ``item`` over at once; with :attr:`Overload.NEWEST` the oldest waiting item gives way.

        Raises:
            WouldBlock: the channel is full and its policy is to wait.
            BrokenChannel: the receiving end is closed.
        """
        channel = self._channel
        if channel.receiver_closed:
            raise BrokenChannel
        if channel.sender_closed:
            raise RuntimeError("the channel's sending end is closed")
        if len(channel.items) >= channel.capacity:
            if channel.overload is Overload.WAIT:
                raise WouldBlock
            channel.items.popleft()
            channel.dropped += 1
        channel.items.append(item)
        channel.sent += 1
        channel.peak = max(channel.peak, len(channel.items))
        channel.update()

    def close(self) -> None:
        """Say that nothing more comes."""
        self._channel.sender_closed = True
        self._channel.update()

    def statistics(self) -> ChannelStatistics:
        return self._channel.statistics()


class Receiver(Generic[T]):
    """The end that items come out of. One task receives; closing is idempotent."""

    def __init__(self, channel: Channel[T]) -> None:
        self._channel = channel

    async def receive(self) -> T:
        """Take the oldest item, waiting for one. Cancelling loses nothing.

        Raises:
            EndOfChannel: the sender has closed and nothing is left.
        """
        await self._channel.readable.wait()
        return self._take()

    def receive_nowait(self) -> T:
        """Take the oldest item.

        Raises:
            WouldBlock: nothing is there.
            EndOfChannel: nothing is there and nothing will come.
        """
        if not self._channel.items and not self._channel.sender_closed:
            raise WouldBlock
        return self._take()

    def _take(self) -> T:
        channel = self._channel
        if not channel.items:
            raise EndOfChannel
        item = channel.items.popleft()
        channel.received += 1
        channel.update()
        return item

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._channel.items

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.receive()
        except EndOfChannel:
            raise StopAsyncIteration from None

    def close(self) -> None:
        """Say that nobody listens any more. Items still waiting are dropped and counted."""
        channel = self._channel
        channel.receiver_closed = True
        channel.dropped += len(channel.items)
        channel.items.clear()
        channel.update()

    def statistics(self) -> ChannelStatistics:
        return self._channel.statistics()

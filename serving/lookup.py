"""What a host's name stands for, asked of the system as FFmpeg will ask it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

Lookup: TypeAlias = Callable[[str], Awaitable[Sequence[str]]]
"""A host's name → its addresses."""

PATIENCE: Final = 5.0


async def addresses_of(host: str) -> Sequence[str]:
    """The addresses of ``host``, in no order; none if there is no such host, or nobody says within five seconds.

    Cancelling loses nothing.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(PATIENCE):
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        return ()
    return sorted({str(address[0]) for *_, address in found})

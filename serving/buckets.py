"""How often one address may do something: token buckets (Turner 1986). Pure; time is an argument."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

ADDRESSES: Final = 4096
"""How many addresses are remembered; the one that was heard of longest ago is forgotten first."""


class Buckets:
    """One bucket for each address: it holds ``burst`` turns, and gets back ``rate`` a second.

    Args:
        rate: turns a second; above 0.
        burst: turns at once, at least 1.
    """

    def __init__(self, rate: float, burst: float, *, addresses: int = ADDRESSES) -> None:
        self._rate = rate
        self._burst = burst
        self._addresses = addresses
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def wait(self, address: str, now: float) -> float:
        """Seconds until ``address`` has a turn; 0.0 if it has one now. Takes none."""
        return max(0.0, (1.0 - self._level(address, now)) / self._rate)

    def take(self, address: str, now: float) -> float:
        """Take a turn if there is one: 0.0, or the seconds until there is."""
        level = self._level(address, now)
        wait = max(0.0, (1.0 - level) / self._rate)
        self._levels[address] = (level if wait else level - 1.0, now)
        self._levels.move_to_end(address)
        if len(self._levels) > self._addresses:
            self._levels.popitem(last=False)
        return wait

    def _level(self, address: str, now: float) -> float:
        level, since = self._levels.get(address, (self._burst, now))
        return min(self._burst, level + max(0.0, now - since) * self._rate)


class Crowd:
    """How many connections each address has."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counts: dict[str, int] = {}

    def enter(self, address: str) -> bool:
        """Count one more; whether it is within the limit. Each needs its :meth:`leave`, within it or not."""
        count = self._counts[address] = self._counts.get(address, 0) + 1
        return count <= self._limit

    def leave(self, address: str) -> None:
        left = self._counts[address] - 1
        if left:
            self._counts[address] = left
        else:
            del self._counts[address]

    def __len__(self) -> int:
        """How many addresses there are."""
        return len(self._counts)


def address_key(address: str) -> str:
    """Under which name an address is counted: IPv6 by its /64, as whoever has one address there has all of them."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def client_address(peer: str, forwarded: str, proxies: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> str:
    """Whose request it is.

    Args:
        peer: who is connected.
        forwarded: ``X-Forwarded-For``, "" if absent; anybody can write anything there.
        proxies: those who are believed: each of them has added its own peer at the end.
    """
    known = tuple(proxies)
    address = peer
    for entry in reversed([entry.strip() for entry in forwarded.split(",") if entry.strip()]):
        if not within(address, known):
            break
        address = entry
    return address


def within(address: str, networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    """Whether an address is in one of the networks; what is none isn't."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return any((mapped or parsed) in network for network in networks)

"""Large answers on their way, such as clips: what they take of the memory until their peers have them. Pure."""

from __future__ import annotations

from typing import Final

LARGE: Final = 1024 * 1024
"""Bytes above which an answer counts; how many smaller ones there can be is the number of connections' to bound."""


class Sending:
    """
    Args:
        limit: bytes of large answers at once. A single one may be larger.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0

    def enter(self, size: int) -> bool:
        """Whether there is room for an answer of ``size`` bytes. One that has entered needs its :meth:`leave`."""
        if self._bytes and self._bytes + size > self._limit:
            return False
        self._bytes += size
        return True

    def leave(self, size: int) -> None:
        self._bytes -= size

"""How long to wait before trying a lost camera again."""

from __future__ import annotations

import random as _random
from collections.abc import Callable


class Backoff:
    """Exponential back-off with jitter. Pure: time is a parameter.

    The waits double from ``first`` to ``limit`` seconds; each is shortened by a random part of up to a half,
    so that cameras lost together (a switch restarts) don't all return in the same instant. Only frames that
    kept arriving for ``stable_after`` seconds start the series again: a camera that comes and goes is not
    asked ever faster.

    Who refuses a password is asked more slowly, at most every ``refused_limit`` seconds: many cameras lock an account
    after a few wrong ones.

    Args:
        random: returns a number in [0, 1).
    """

    def __init__(
        self,
        first: float = 0.5,
        limit: float = 10.0,
        stable_after: float = 10.0,
        refused_first: float = 10.0,
        refused_limit: float = 60.0,
        random: Callable[[], float] = _random.random,
    ) -> None:
        if not 0 < first <= limit:
            raise ValueError(f"the first wait ({first} s) must be above 0 and at most the limit ({limit} s)")
        self.first = first
        self.limit = limit
        self.stable_after = stable_after
        self.refused_first = refused_first
        self.refused_limit = refused_limit
        self._random = random
        self._wait = first
        self._refused_wait = refused_first
        self._stable_since: float | None = None

    def arrived(self, now: float) -> None:
        """A frame arrived at ``now``."""
        if self._stable_since is None:
            self._stable_since = now
        elif now - self._stable_since >= self.stable_after:
            self._wait, self._refused_wait = self.first, self.refused_first

    def lost(self) -> float:
        """The source is lost or didn't open: how many seconds to wait before the next try."""
        self._stable_since = None
        wait, self._wait = self._wait, min(self.limit, self._wait * 2)
        return self._jittered(wait)

    def refused(self) -> float:
        """The source doesn't let us in: how many seconds to wait before the next try."""
        self._stable_since = None
        wait, self._refused_wait = self._refused_wait, min(self.refused_limit, self._refused_wait * 2)
        return self._jittered(wait)

    def _jittered(self, wait: float) -> float:
        return wait * (1 - self._random() / 2)

"""What the parts of a mask job share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from facestream.jobs.alignments.session import Session
from facestream.jobs.mask.options import MaskOptions
from facestream.stream.device import Bridge
from facestream.stream.stage import Stage

Load: TypeAlias = Callable[[Bridge], Awaitable[list[Stage]]]
Advanced: TypeAlias = Callable[[int, int], None]
"""Told how many faces are done, and of how many."""


def _unwatched(done: int, total: int) -> None:
    """Nobody looks."""


class Maskers:
    """The chosen mask models, loaded when the first face needs them and not before.

    Args:
        names: what they call their masks in files.
    """

    def __init__(self, names: Sequence[str], load: Load) -> None:
        self.names = tuple(names)
        self._load = load
        self._stages: list[Stage] | None = None

    async def stages(self, bridge: Bridge) -> list[Stage]:
        """
        Raises:
            ModelError, DeviceError: one can't be loaded.
        """
        if self._stages is None:
            self._stages = await self._load(bridge)
        return self._stages


@dataclass(slots=True, eq=False)
class MaskJob:
    """
    Attributes:
        session: the job's ears, and its date.
        advanced: for a progress bar.
        clock: seconds.
        interrupted: whoever sets it ends the job at the next face; what is done is kept.
    """

    options: MaskOptions
    bridge: Bridge
    session: Session
    maskers: Maskers
    advanced: Advanced = _unwatched
    clock: Callable[[], float] = time.monotonic
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)

"""Re-feed: look at a face several times, through slightly different squares, and take the mean (spec §7.3).

A network's answer depends a little on how the square around the face happens to lie, and detectors place it a little
differently in every frame: the points tremble. The mean over several squares depends on it less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from facestream.errors import ConfigError
from facestream.plugins.align.roi import Squares
from facestream.stream.types import Floats

SPREAD: Final = 0.05
MOST: Final = 10


@dataclass(frozen=True, slots=True, eq=False)
class Refeed:
    """The K further squares to look through, relative to the one that is given.

    The same K for every face of every frame, drawn once from the seed. So a result depends on its own frame alone, not
    on the other faces of its batch nor on the frames before: a job that was interrupted goes on as if it hadn't been.
    And it is what makes re-feed steady. On a talking head ``mesh`` trembles by 0.23 % of the eye distance from frame to
    frame; with 4 further squares, the same in all frames, by 0.15 %, but by 0.39 % if they are drawn anew for each
    frame, as faceswap does: the mean over so few is another one each time.

    Attributes:
        scales: float32 (K,), of the side; the square's own top left corner stays.
        shifts: float32 (K, 2), in sides, along the square's own axes.
    """

    scales: Floats
    shifts: Floats

    @classmethod
    def drawn(cls, count: int, seed: int = 0) -> Self:
        """``count`` squares, 5 % larger to 5 % smaller and as much to each side.

        Raises:
            ConfigError: ``count`` isn't 0 to 10, or ``seed`` is negative.
        """
        if not 0 <= count <= MOST:
            raise ConfigError(f"re-feed {count} isn't possible: choose 0 (off) to {MOST}")
        if seed < 0:
            raise ConfigError(f"seed {seed} isn't possible: choose 0 or more")
        drawn = np.random.default_rng(seed).uniform(-SPREAD, SPREAD, (count, 3)).astype(np.float32)
        return cls(1 + drawn[:, 0], drawn[:, 1:])

    def __len__(self) -> int:
        return len(self.scales)

    def around(self, squares: Squares) -> list[Squares]:
        """K times N squares in frame pixels, without the given ones."""
        return [self._moved(squares, scale, shift) for scale, shift in zip(self.scales, self.shifts)]

    @staticmethod
    def _moved(squares: Squares, scale: float, shift: Floats) -> Squares:
        x, y = np.outer(shift + (scale - 1) / 2, squares.sides)  # of the centre, along the square's axes
        cos, sin = np.cos(squares.angles), np.sin(squares.angles)
        moved = np.stack([x * cos - y * sin, x * sin + y * cos], -1)
        return Squares(squares.centres + moved, squares.sides * np.float32(scale), squares.angles)


def mean(results: list[Floats]) -> Floats:
    """The mean of several results of the same shape, in frame pixels or as confidences: float32."""
    return results[0] if len(results) == 1 else np.asarray(np.mean(results, axis=0, dtype=np.float64), np.float32)

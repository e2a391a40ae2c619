"""Which models may see batches where each run of a job must give the same result to the last bit.

Batches are made of what is waiting, which no two runs repeat. On OpenVINO one sample runs at a time, so what is left to
look at is what a model does before and after its network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from facestream.plugins.base import TorchModel
from facestream.stream.types import Detections, Detector, Image, summary_of

ALIKE: Final = frozenset({"yunet", "mesh", "sface"})
"""Models whose results, on OpenVINO, were compared between batches of all sizes and are the same to the last bit.
mesh-300w's aren't: BLAS adds up the rows of its correction in another order for each number of them."""

TOGETHER: Final = 4
"""Samples that then share a batch. More would keep more frames in memory; four are enough for the device's worker not
to wait for the event loop (1080p on two cores: 82 → 90 % busy; 14 % less CPU time)."""


def together(plugin: object) -> int:
    """How many samples of a loaded model may share a batch. One for whatever is wrapped around a model."""
    runs_each_alone = isinstance(plugin, TorchModel) and plugin._fast is not None
    return TOGETHER if runs_each_alone and plugin.name in ALIKE else 1  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, eq=False)
class _Feed:
    places: list[list[int]]  # of each size's images among all
    parts: list[Any]


class EachSizeAlone:
    """A detector that sees frames of different sizes in batches of their own; itself a
    :class:`~facestream.stream.types.Detector`.

    All frames of a batch lie on canvases of one size, and what is black around a frame changes what is found at its
    edges. So a frame alone, or among its like, isn't seen as it is beside a larger one.

    Args:
        detector: what finds the faces.
    """

    def __init__(self, detector: Detector) -> None:
        self.name = detector.name
        self.batch_size = detector.batch_size
        self._detector = detector

    def load(self, device: str) -> None:
        self._detector.load(device)

    def summary(self) -> list[str]:
        return summary_of(self._detector)

    def pre_process(self, images: Sequence[Image]) -> _Feed:
        places: dict[tuple[int, ...], list[int]] = {}
        for place, image in enumerate(images):
            places.setdefault(image.shape, []).append(place)
        parts = [self._detector.pre_process([images[place] for place in part]) for part in places.values()]
        return _Feed(list(places.values()), parts)

    def infer(self, feed: _Feed) -> list[Any]:
        return [self._detector.infer(part) for part in feed.parts]

    def post_process(self, raw: list[Any], feed: _Feed) -> list[Detections]:
        found: dict[int, Detections] = {}
        for places, output, part in zip(feed.places, raw, feed.parts, strict=True):
            found.update(zip(places, self._detector.post_process(output, part), strict=True))
        return [found[place] for place in sorted(found)]

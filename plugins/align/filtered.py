"""An aligner that drops the faces which can't be right."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import Any

import numpy as np

from facestream.faces.landmarks import LandmarkType, landmark_type
from facestream.plugins.align.filters import FilterCounts, Thresholds, refused
from facestream.stream.types import ExtractBatch, FacePlugin, lost_below, summary_of

log = logging.getLogger("facestream.plugins")


class FilteredAligner:
    """An aligner followed by the aligned filters (spec §7.6); itself a :class:`~facestream.stream.types.FacePlugin`.

    A face that breaks a rule leaves its batch; its frame stays, with the faces that are left or with none.

    Args:
        aligner: what finds the landmarks, 68 or 98 a face. Others are all kept, and a warning says so.
        thresholds: the rules.

    Attributes:
        aligner: the one given, to switch its ``normalization`` while it runs, for instance.
    """

    def __init__(self, aligner: FacePlugin, thresholds: Thresholds) -> None:
        self.name = aligner.name
        self.aligner = aligner
        self._thresholds = thresholds
        self._counts = FilterCounts()
        self._counting = threading.Lock()
        self._warned = False

    def statistics(self) -> FilterCounts:
        """The counts now; they don't change any more."""
        with self._counting:
            return replace(self._counts)

    def summary(self) -> list[str]:
        return [*summary_of(self.aligner), *self.statistics().lines(self._thresholds)]

    @property
    def lost_below(self) -> float | None:
        """The aligner's own."""
        return lost_below(self.aligner)

    @property
    def batch_size(self) -> int:
        """The aligner's own, so that it is loaded for what it will see."""
        return self.aligner.batch_size

    @batch_size.setter
    def batch_size(self, faces: int) -> None:
        self.aligner.batch_size = faces

    def load(self, device: str) -> None:
        self.aligner.load(device)

    def pre_process(self, batch: ExtractBatch) -> Any:
        return self.aligner.pre_process(batch)

    def infer(self, feed: Any) -> Any:
        return self.aligner.infer(feed)

    def post_process(self, raw: Any, feed: Any, batch: ExtractBatch) -> None:
        """As the aligner's; the batch is shorter afterwards by the faces refused."""
        self.aligner.post_process(raw, feed, batch)
        if not len(batch) or batch.landmarks is None or not self._judged(landmark_type(batch.landmarks)):
            return
        sides = np.array([min(frame.size) for frame in batch.frames], np.float32)[batch.frame_ids]
        wrong = refused(batch.landmarks, sides, self._thresholds)
        with self._counting:
            self._counts.add(wrong)
        keep = ~np.any(list(wrong.values()), axis=0) if wrong else np.ones(len(batch), np.bool_)
        if not keep.all():
            batch.keep(keep)

    def _judged(self, kind: LandmarkType) -> bool:
        if kind in (LandmarkType.IBUG, LandmarkType.WFLW):
            return True
        with self._counting:
            warned, self._warned = self._warned, True
        if not warned:
            log.warning(
                "%s gives %d landmarks, which --align-filters can't judge: faces are kept", self.name, kind.value
            )
        return False

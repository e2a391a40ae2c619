"""An identity model that drops the faces of people who aren't wanted."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np

from facestream.errors import ModelError
from facestream.plugins.identity.filters import FilterCounts, References, refused
from facestream.stream.types import ExtractBatch, FacePlugin, summary_of


class FilteredIdentity:
    """An identity model followed by the identity filter (spec §10.2); itself a
    :class:`~facestream.stream.types.FacePlugin`.

    A face that is refused leaves its batch; its frame stays, with the faces that are left or with none.

    Args:
        identity: what embeds the faces.
        references: whom to keep and whom not, embedded by the same model.
        threshold: the cosine from which two faces are held to be one person's.

    Attributes:
        identity: the one given.
    """

    def __init__(self, identity: FacePlugin, references: References, threshold: float) -> None:
        self.name = identity.name
        self.identity = identity
        self._references = references
        self._threshold = threshold
        self._counts = FilterCounts()
        self._counting = threading.Lock()

    @property
    def storage_name(self) -> str:
        return storage_name(self.identity)

    def statistics(self) -> FilterCounts:
        """The counts now; they don't change any more."""
        with self._counting:
            return replace(self._counts)

    def summary(self) -> list[str]:
        return [*summary_of(self.identity), *self.statistics().lines(self._references)]

    @property
    def batch_size(self) -> int:
        """The model's own, so that it is loaded for what it will see."""
        return self.identity.batch_size

    @batch_size.setter
    def batch_size(self, faces: int) -> None:
        self.identity.batch_size = faces

    def load(self, device: str) -> None:
        self.identity.load(device)

    def pre_process(self, batch: ExtractBatch) -> Any:
        return self.identity.pre_process(batch)

    def infer(self, feed: Any) -> Any:
        return self.identity.infer(feed)

    def post_process(self, raw: Any, feed: Any, batch: ExtractBatch) -> None:
        """As the model's; the batch is shorter afterwards by the faces refused.

        Raises:
            ModelError: the model has written no embeddings under its name, or none that compare with the references.
        """
        self.identity.post_process(raw, feed, batch)
        if not len(batch):
            return
        looks = batch.identities.get(self.storage_name)
        if looks is None:
            raise ModelError(f"{self.name}: wrote no embeddings called {self.storage_name!r} to filter by")
        for rows in (self._references.wanted, self._references.unwanted):
            if len(rows) and rows.shape[1] != looks.shape[1]:
                raise ModelError(
                    f"{self.name}: gives {looks.shape[1]} numbers a face, and a reference has {rows.shape[1]}: "
                    "extract the reference again"
                )
        wrong = refused(looks, self._references, self._threshold)
        with self._counting:
            self._counts.add(wrong, len(batch))
        if wrong and np.any(list(wrong.values())):
            batch.keep(~np.any(list(wrong.values()), axis=0))


def storage_name(identity: FacePlugin) -> str:
    """What an identity model's embeddings are called in batches and files: its own word for it, or its name."""
    return str(getattr(identity, "storage_name", identity.name))

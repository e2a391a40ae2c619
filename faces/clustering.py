"""Which embeddings belong together: hierarchical clustering with an order and bins (spec §10.4)."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage

from facestream.stream.types import Floats, Longs

Method: TypeAlias = Literal["ward", "single", "centroid", "median"]


class Clusters(NamedTuple):
    """What :func:`cluster` finds.

    Attributes:
        order: int64 (N,), the embeddings' indices as the tree's leaves lie from left to right: neighbours are alike.
        bins: int64 (N,), the bin of each embedding, numbered from 0 as they appear in ``order``.
        height: the distance at which the last two clusters join; 0 with fewer than two embeddings.
    """

    order: Longs
    bins: Longs
    height: float


def cluster(embeddings: Floats, method: Method = "ward", threshold: float | None = None) -> Clusters:
    """Cluster by Euclidean distance, and cut the tree where it is higher than ``threshold``.

    Two clusters never share a bin, as they could in faceswap (spec D13). Needs memory for N² / 2 distances.

    Args:
        embeddings: float32 (N, D).
        method: how the distance between clusters is measured.
        threshold: 0..1 of the tree's height; less makes more bins. None puts all into one, as equal ones always are.

    Raises:
        ValueError: an embedding isn't finite.
    """
    if not np.isfinite(embeddings).all():
        raise ValueError("embeddings to cluster must be finite")
    count = len(embeddings)
    if count < 2:
        return Clusters(np.arange(count), np.zeros(count, np.int64), 0.0)
    tree = linkage(np.asarray(embeddings, np.float64), method)
    order = leaves_list(tree).astype(np.int64)
    height = float(tree[:, 2].max())
    if threshold is None or height == 0:
        return Clusters(order, np.zeros(count, np.int64), height)
    # A node at the threshold itself is cut: scipy would keep it together.
    cut = fcluster(tree, np.nextafter(height * threshold, -np.inf), "distance")
    return Clusters(order, _renumbered(cut, order), height)


def _renumbered(labels: np.ndarray[tuple[int, ...], np.dtype[np.int32]], order: Longs) -> Longs:
    _, first, inverse = np.unique(labels[order], return_index=True, return_inverse=True)
    ranks = np.argsort(np.argsort(first))
    bins = np.empty(len(order), np.int64)
    bins[order] = ranks[inverse]
    return bins

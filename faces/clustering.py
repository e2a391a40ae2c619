"""Which embeddings belong together: hierarchical clustering with an order and bins (spec §10.4)."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
from scipy.spatial.distance import pdist

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


def group_people(embeddings: Floats, distance: float) -> Clusters:
    """Cluster faces into people: average linkage of cosine distances, cut at one distance for every folder.

    The mean of all pairs between two groups decides whether they join, so that neither one good pair nor one bad one
    does. ``distance`` is absolute: what is one person doesn't depend on who else is in the folder, as it does with
    faceswap's share of the tree's height (:func:`cluster`). Pairwise F1 with the embeddings of sface, on 55 press
    photos of five people and on 216 of LFW with 136 people (``bench/clustering.py``)::

                                                       five people    LFW       both in one folder
        average linkage at 0.546, sort's default       1.000          0.993     0.998
        single linkage at the card's threshold         1.000          0.703     0.791
        faceswap's: Ward's at 0.25 of the height       1.000          0.279     0.989

    Within 0.01 of its best, average linkage has the widest range of thresholds in common to all three: 0.51 to 0.60.

    Needs memory for N² distances: 8 bytes each, 800 MB for 10,000 faces.

    Args:
        embeddings: (N, D); their lengths don't matter.
        distance: 0..2, 1 - the mean cosine similarity below which two groups are two people.

    Raises:
        ValueError: an embedding isn't finite.
    """
    if not np.isfinite(embeddings).all():
        raise ValueError("embeddings to cluster must be finite")
    count = len(embeddings)
    if count < 2:
        return Clusters(np.arange(count), np.zeros(count, np.int64), 0.0)
    rows = np.asarray(embeddings, np.float64)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    # Half the squared distance of unit vectors is their cosine distance, and defined for rows of zeros, too.
    tree = linkage(pdist(rows, "sqeuclidean") / 2, "average")
    order = leaves_list(tree).astype(np.int64)
    return Clusters(order, _renumbered(fcluster(tree, distance, "distance"), order), float(tree[:, 2].max()))


def _renumbered(labels: np.ndarray[tuple[int, ...], np.dtype[np.int32]], order: Longs) -> Longs:
    _, first, inverse = np.unique(labels[order], return_index=True, return_inverse=True)
    ranks = np.argsort(np.argsort(first))
    bins = np.empty(len(order), np.int64)
    bins[order] = ranks[inverse]
    return bins

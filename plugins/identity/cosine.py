"""How alike two looks are: the cosine of the angle between their embeddings. numpy only."""

from __future__ import annotations

import numpy as np

from facestream.stream.types import Floats


def unit_rows(rows: Floats) -> Floats:
    """float32 (N, D) with each row scaled to length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), np.float32)


def cosines(rows: Floats, others: Floats) -> Floats:
    """float32 (N, K) out of (N, D) and (K, D), -1 to 1; 0 for a row of zeros, NaN for one of NaN."""
    return unit_rows(rows) @ unit_rows(others).T

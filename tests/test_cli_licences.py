"""Licences with limits, asked for on a real terminal. Nothing is fetched: the cache is empty and the network off."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from facestream.cli import run

LIMITS = "CelebAMask-HQ, whose terms allow non-commercial research only"
OFFLINE = "not in the cache, and offline"


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESTREAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FACESTREAM_OFFLINE", "1")
    monkeypatch.delenv("FACESTREAM_ACCEPT_LICENCE", raising=False)


def on_a_terminal(answer: str, *arguments: str) -> tuple[int, str]:
    """The exit code, and what was on the screen."""
    screen, terminal = pty.openpty()
    os.write(screen, answer.encode() + b"\n")
    command = [sys.executable, "-m", "facestream", *arguments]
    code = subprocess.run(
        command, stdin=terminal, stdout=terminal, stderr=terminal, timeout=300, check=False
    ).returncode
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # the terminal is closed: that is the end
        while part := os.read(screen, 4096):
            shown += part
    os.close(screen)
    return code, shown.decode()


def test_a_yes_goes_on_to_fetch_the_weights() -> None:
    code, shown = on_a_terminal("y", "models", "pull", "bisenet-fp")
    assert LIMITS in shown
    assert OFFLINE in shown.splitlines()[-1]
    assert code == 1


def test_a_no_ends_with_what_to_do() -> None:
    code, shown = on_a_terminal("n", "extract", "clip.mp4", "--mask", "bisenet-fp", "--no-alignments", "-o", "faces")
    assert "Do you accept that?" in shown
    assert "add --accept-licence" in shown.splitlines()[-1]
    assert code == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("models", "pull", "bisenet-fp"), "add --accept-licence"),
        (("mask", "."), "add --accept-licence"),
        (("models", "pull", "bisenet-fp", "--accept-licence"), OFFLINE),
    ],
)
def test_without_a_terminal_nothing_is_asked(
    arguments: tuple[str, ...], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert run(list(arguments)) == 1
    said = capsys.readouterr().err
    assert words in said.splitlines()[-1]
    assert "accept that?" not in said

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from facestream import __version__, cli
from facestream.cli import run

HEAVY = {"torch", "cv2", "av", "numpy", "scipy", "onnx", "websockets"}


def facestream(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-m", "facestream", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize(
    "code", ["import facestream", "from facestream.cli import cli; cli(['--help'], 'x', standalone_mode=False)"]
)
def test_importing_and_helping_load_nothing_heavy(code: str) -> None:
    probe = f"import sys\n{code}\nprint(sorted({{m.split('.')[0] for m in sys.modules}} & {HEAVY}), file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert result.stderr.strip() == "[]"


def test_help_shows_the_commands() -> None:
    result = facestream("--help")
    assert result.returncode == 0
    for command in ("serve", "extract", "profile", "models", "sources"):
        assert command in result.stdout


def test_version() -> None:
    assert __version__ in facestream("--version").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["extract", "/no/such/clip.mp4"], 1, "/no/such/clip.mp4"),
        (["extract", "x.mp4"], 1, "x.mp4"),
        (["extract", "x.mp4", "--detector", "yunnet"], 2, "did you mean 'yunet'"),
        (["extract", "x.mp4", "--aligner", "nonsense"], 2, "unknown align model"),
        (["extract", "x.mp4", "--device", "cuda:7"], 2, "device 'cuda:7' can't be used"),
        (["extract", "x.mp4", "--device", "toaster"], 2, "device 'toaster' can't be used"),
        (["extract", "x.mp4", "--rotate-images", "400"], 2, "an angle is below 360"),
        (["extract", "x.mp4", "--no-alignments"], 2, "nowhere to put the faces"),
        (["extract"], 2, "Missing argument"),
        (["serve", "--no-such-option"], 2, "No such option"),
        (["serve", "ftp://camera/"], 2, "ftp://"),
        (["serve", "/no/such/clip.mp4"], 1, "/no/such/clip.mp4"),
        (["serve", "--no-demo", "--host", "0.0.0.0"], 2, "token"),
        (["serve", "--no-demo", "--detector", "yunnet"], 2, "yunet"),
        (["serve", "--no-demo", "--alignments"], 2, "--save FOLDER"),
        (["serve", "--no-demo", "--save", "x", "--alignments", "--aligner", "none"], 2, "--aligner"),
        (["models", "path", "nothing"], 2, "nothing"),
        (["profile", "--frame-size", "huge"], 2, "1920x1080"),
        (["profile", "--batch-size", "4"], 2, "leave out --batch-size"),
        (["serve", "--config", "/no/such/file.toml"], 2, "/no/such/file.toml"),
    ],
)
def test_bad_input_is_one_line_that_names_it(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == code
    told = capsys.readouterr().err
    assert words in told.strip().splitlines()[-1]
    assert "Traceback" not in told


def test_the_exit_code_is_the_processs_own() -> None:
    result = facestream("extract", "/no/such/clip.mp4", "--jsonl", "-")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server]\nprot = 1", "server.prot: there is no such key; did you mean port?"),
        ("[server]\nport = 'x'", "server.port: this is a whole number"),
        ("[serve]\nport = 1", "serve.port is server.port"),
        ("[[sources]]\nname = 'a'", "url"),
        ("not toml", "isn't valid TOML"),
    ],
)
def test_a_malformed_configuration_names_file_and_key(
    tmp_path: Path, text: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "facestream.toml"
    config.write_text(text)
    assert run(["serve", "--config", str(config)]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert str(config) in told


def test_debug_shows_the_traceback() -> None:
    result = facestream("--debug", "extract", "/no/such/clip.mp4", "--jsonl", "-")
    assert result.returncode == 1
    assert "Traceback" in result.stderr


def test_an_interrupted_command_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.cli, "main", interrupted)
    assert run(["profile"]) == 130
    assert capsys.readouterr().err == "facestream: interrupted\n"

"""The programs that facestream is compared with: each in a Python environment of its own, made once in the cache.

All of them carry their weights in their packages. Versions are pinned; what a package asks for but detecting doesn't
need, and which would be gigabytes or another torch, isn't installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facestream.plugins.weights import cache_folder

_INSTALLED = "installed.txt"  # what is in an environment, written once everything is


@dataclass(frozen=True, slots=True)
class Environment:
    """What one program needs.

    Attributes:
        name: its folder's.
        packages: pinned, installed with what they ask for.
        bare: pinned, installed without what they ask for.
        borrows: takes what it doesn't have itself from facestream's own environment: torch, above all.
    """

    name: str
    packages: tuple[str, ...] = ()
    bare: tuple[str, ...] = ()
    borrows: bool = False


FACENET = Environment(
    "facenet-pytorch",
    packages=("requests==2.32.5", "pillow==12.0.0"),
    bare=("facenet-pytorch==2.6.0",),  # asks for a torch of 2024
    borrows=True,
)
MEDIAPIPE = Environment(
    "mediapipe",
    packages=(
        "absl-py==2.3.1",
        "attrs==25.4.0",
        "flatbuffers==25.9.23",
        "matplotlib==3.9.4",
        "numpy==1.26.4",
        "opencv-contrib-python-headless==4.11.0.86",
        "protobuf==4.25.8",
    ),
    bare=("mediapipe==0.10.14",),  # later ones carry no weights; asks for jax and a sound library
)
DLIB = Environment("dlib", packages=("dlib-bin==20.0.1.post1", "numpy==1.26.4"))
HAAR = Environment("opencv-haar", packages=("opencv-python-headless==4.11.0.86", "numpy==1.26.4"))


class LeftOut(Exception):
    """A program can't be had here; the message says why, in one line."""


def python_of(environment: Environment) -> Path:
    """Its Python, in an environment that is made first where there is none yet, or another one.

    Raises:
        LeftOut: it can't be installed: no such version for this Python or machine, no network, no pip.
    """
    folder = cache_folder() / "peers" / f"{environment.name}-python{sys.version_info[0]}.{sys.version_info[1]}"
    python = folder / "bin" / "python"
    wanted = repr(environment)
    marker = folder / _INSTALLED
    if marker.exists() and marker.read_text() == wanted and python.exists():
        return python
    print(f"installing {environment.name} into {folder} …", file=sys.stderr, flush=True)
    try:
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder)
    except (OSError, subprocess.CalledProcessError) as error:
        raise LeftOut(f"no environment at {folder}: {error}") from error
    _install(python, environment.packages)
    _install(python, ("--no-deps", *environment.bare) if environment.bare else ())
    if environment.borrows:
        (own,) = folder.glob("lib/python*/site-packages")
        (own / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    marker.write_text(wanted)
    return python


def _install(python: Path, packages: Sequence[str]) -> None:
    """With this environment's pip: the new one has none."""
    if not packages:
        return
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "install", "--quiet"]
    done = subprocess.run([*pip, "--only-binary", ":all:", *packages], capture_output=True, text=True)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise LeftOut(errors[-1].removeprefix("ERROR: ") if errors else "pip failed")

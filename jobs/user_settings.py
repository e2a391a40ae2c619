"""What ``facestream profile`` found for this user's machine, kept for later runs.

A small TOML file, apart from the configuration that ``--config`` names, and readable::

    version = 1

    [batch_sizes.cpu]
    "yunet" = 1
    "mesh" = 4
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import platformdirs

from facestream.errors import ConfigError
from facestream.io.atomic import replacing

VERSION = 1

log = logging.getLogger("facestream.settings")

BatchSize = Annotated[int, msgspec.Meta(ge=1, le=65536)]


class UserSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The whole file.

    Attributes:
        version: of this layout.
        batch_sizes: device → model → samples at a time; see :func:`device_name` and :func:`model_key`.
    """

    version: int = VERSION
    batch_sizes: dict[str, dict[str, BatchSize]] = {}


class _Versioned(msgspec.Struct, frozen=True):
    version: int = 0


def settings_path() -> Path:
    """``FACESTREAM_SETTINGS``, or ``settings.toml`` in the user's configuration folder. May not exist yet."""
    chosen = os.environ.get("FACESTREAM_SETTINGS")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_config_dir("facestream")) / "settings.toml"


def device_name(device: str) -> str:
    """What "cpu", "cuda:1", … is: batch sizes found on one kind of GPU say nothing about another."""
    if not device.startswith("cuda"):
        return device
    import torch

    try:
        return f"cuda {torch.cuda.get_device_name(device)}"
    except (RuntimeError, AssertionError):
        return device  # there is no such device: loading a model will say so


def model_key(name: str, detect_size: int | None = None) -> str:
    """A model's name in the file; a detector at a size of its own is another model."""
    return name if detect_size is None else f"{name}@{detect_size}"


def read_user_settings() -> UserSettings:
    """The user's settings; empty ones, with one warning, when the file is damaged or of another version."""
    path = settings_path()
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return UserSettings()
    except OSError as error:
        log.warning("settings ignored: can't read %s: %s", path, error.strerror)
        return UserSettings()
    try:
        version = msgspec.toml.decode(text, type=_Versioned).version
        if version != VERSION:
            log.warning("%s ignored: its version is %d, not %d; run `facestream profile` again", path, version, VERSION)
            return UserSettings()
        return msgspec.toml.decode(text, type=UserSettings)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.warning("%s ignored: %s; correct it, or run `facestream profile` again", path, error)
        return UserSettings()


def saved_batch_sizes(device: str) -> dict[str, int]:
    """Model → samples at a time, as profiled on ``device``; empty when it never was."""
    batch_sizes = read_user_settings().batch_sizes
    return batch_sizes.get(device_name(device), {}) if batch_sizes else {}


def save_batch_sizes(device: str, sizes: Mapping[str, int]) -> Path:
    """Keep ``sizes`` for later runs on ``device``, beside what is known of other models and devices.

    Returns: the file.

    Raises:
        ConfigError: it can't be written.
    """
    path, known = settings_path(), read_user_settings().batch_sizes
    name = device_name(device)
    merged = {**known, name: {**known.get(name, {}), **sizes}}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(_toml(merged).encode())
    except OSError as error:
        raise ConfigError(
            f"can't write {path}: {error.strerror}; let FACESTREAM_SETTINGS name another file, or give --no-save"
        ) from error
    return path


def _toml(batch_sizes: Mapping[str, Mapping[str, int]]) -> str:
    """Python's library reads TOML but doesn't write it. A JSON string is a TOML string."""
    lines = ["# Written by `facestream profile`; delete it to go back to every model's own batch size.", ""]
    lines.append(f"version = {VERSION}")
    for device, sizes in sorted(batch_sizes.items()):
        lines += ["", f"[batch_sizes.{json.dumps(device, ensure_ascii=False)}]"]
        lines += [f"{json.dumps(model, ensure_ascii=False)} = {size}" for model, size in sorted(sizes.items())]
    return "\n".join(lines) + "\n"

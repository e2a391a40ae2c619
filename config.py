"""Typed settings, from the command line, the environment and a TOML file, in that order of precedence.

Imports neither torch nor OpenCV nor numpy: the command line's help needs it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from facestream.errors import ConfigError

PREFIX = "FACESTREAM_"


SEVERAL = ("masks", "identity", "filter", "nfilter")
"""Where one name may stand for a list of one."""


class SourceEntry(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One ``[[sources]]`` table."""

    url: str
    name: str | None = None

    def __str__(self) -> str:
        return self.url if self.name is None else f"{self.name}={self.url}"


class ModelSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The ``[models]`` table; see :class:`facestream.jobs.models.ModelOptions`."""

    detector: str | None = None
    aligner: str | None = None
    masks: str | list[str] | None = None
    identity: str | list[str] | None = None
    device: str | None = None
    backend: str | None = None
    detect_size: int | None = None
    threshold: float | None = None
    batch_size: int | None = None
    rotate_images: str | None = None
    min_size: float | None = None
    max_size: float | None = None
    normalization: str | None = None
    re_feed: int | None = None
    re_align: bool | None = None
    seed: int | None = None
    align_filters: bool | None = None
    aligner_features: bool | None = None
    aligner_min_scale: float | None = None
    aligner_max_scale: float | None = None
    aligner_distance: float | None = None
    aligner_roll: float | None = None
    mask_size: int | None = None
    mask_input_size: int | None = None
    mask_ears: bool | None = None
    mask_hair: bool | None = None
    mask_glasses: bool | None = None
    mask_centering: str | None = None
    mask_fill: bool | None = None
    filter: str | list[str] | None = None
    nfilter: str | list[str] | None = None
    ref_threshold: float | None = None
    identity_bgr: bool | None = None


class ServeSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The ``[serve]`` table."""

    host: str | None = None
    port: int | None = None
    token: str | None = None
    save: str | None = None
    alignments: bool | None = None
    save_frames: bool | None = None
    loop: bool | None = None
    lossless: bool | None = None
    rtsp_transport: str | None = None
    open_timeout: float | None = None
    read_timeout: float | None = None
    allow_origins: list[str] | None = None
    people: str | None = None
    no_biometrics: bool | None = None
    track_memory: float | None = None
    detect_every: str | int | None = None
    anonymise: str | None = None
    anonymise_who: str | None = None


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A whole configuration file."""

    sources: list[SourceEntry] = []
    models: ModelSettings = ModelSettings()
    serve: ServeSettings = ServeSettings()


def read_settings(path: Path) -> Settings:
    """The settings in the TOML file ``path``.

    Raises:
        ConfigError: the file can't be read, isn't TOML, or has an unknown key or a value of the wrong type.
    """
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Settings)
    except OSError as error:
        raise ConfigError(f"can't read the configuration file {path}: {error.strerror}; check --config") from None
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_explain(str(error))}; correct or remove it") from None
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path} isn't valid TOML: {error}; correct it there") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} isn't valid TOML: it isn't UTF-8 text; save it as UTF-8") from None


def _explain(message: str) -> str:
    """msgspec's ``Expected `int`, got `str` - at `$.serve.port` `` → ``serve.port: expected `int`, got `str` ``."""
    what, _, where = message.partition(" - at `$")
    where = where.rstrip("`").lstrip(".")
    what = what[:1].lower() + what[1:]
    return f"{where}: {what}" if where else what


def from_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """``FACESTREAM_PORT=9000`` → ``{"port": "9000"}``, for every variable with the prefix."""
    environment = os.environ if environment is None else environment
    return {name.removeprefix(PREFIX).lower(): value for name, value in environment.items() if name.startswith(PREFIX)}


def given(settings: msgspec.Struct) -> dict[str, Any]:
    """The values that a table sets; one name where several may stand is a list of one."""
    values = {name: value for name, value in msgspec.structs.asdict(settings).items() if value is not None}
    return values | {name: [values[name]] for name in SEVERAL if isinstance(values.get(name), str)}

"""What the results of an extract job depend on, in words: kept in its journal, and told where another job meets it."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from facestream.io.journal import settings_text

if TYPE_CHECKING:
    from facestream.jobs.extract_plan import ExtractOptions, InputPlan

_OPTION: Final = {"masks": "--mask", "aligner_features": "--no-aligner-features"}
_SPEED: Final = ("device", "batch_size", "repeatable", "accept_licence")


def settings_of(options: ExtractOptions, item: InputPlan, detector: str, references: Mapping[str, str]) -> str:
    """A line for each option that the input's results depend on; all but the device and its speed.

    Args:
        references: option → a word for the pictures after it, which changes with them.
        detector: the one that runs, also where the device chose it.
    """
    values: dict[str, object] = {"--detector": detector}
    for name, value in asdict(options.models).items():
        if name == "aligner_features":
            value = not value
        if name not in _SPEED:
            values.setdefault(_OPTION.get(name, "--" + name.replace("_", "-")), value)
    values |= references
    for name in (
        "size",
        "min_scale",
        "extract_every_n",
        "debug_landmarks",
        "skip_existing",
        "skip_existing_faces",
    ):
        values["--" + name.replace("_", "-")] = getattr(options, name)
    if options.anonymise is not None:  # said only where it matters, so that journals of before are still good
        values |= {"--anonymise": options.anonymise, "--anonymise-who": options.anonymise_who}
    if options.no_biometrics:
        values["--no-biometrics"] = True
    if item.only is not None:
        values["--pictures"] = f"{len(item.only)} of the folder, {zlib.crc32(repr(sorted(item.only)).encode()):08x}"
    values["--output"] = _absolute(item.pictures)
    values["--alignments"] = "" if item.faces is None else f"a {item.faces.suffix} file"
    return settings_text(values)


def _absolute(folder: Path | None) -> str:
    return "" if folder is None else os.path.abspath(folder)

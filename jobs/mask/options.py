"""What the command line's ``mask`` takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from facestream.errors import ConfigError
from facestream.faces.masks import NAMES as LANDMARK_MASKS
from facestream.jobs.models import ModelOptions

CUSTOM: Final = "custom"
"""What imported masks are called, with their centering behind it."""


class Input(StrEnum):
    """What INPUT holds."""

    FRAMES = "frames"
    FACES = "faces"


class Process(StrEnum):
    """What is to be done."""

    ALL = "all"  # make the masks of every face
    MISSING = "missing"  # those of frames where a face lacks one
    OUTPUT = "output"  # make none; show what there is
    IMPORT = "import"  # take them from pictures

    @property
    def runs_models(self) -> bool:
        return self in (Process.ALL, Process.MISSING)


class Shown(StrEnum):
    """What the pictures of a mask show."""

    COMBINED = "combined"  # the face, the face where the mask is, the mask
    MASKED = "masked"  # the face with the mask as its fourth channel
    MASK = "mask"  # the mask


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskOptions:
    """The option's help says what each is.

    Attributes:
        models: the mask models, as :attr:`ModelOptions.masks`, and how they run.
    """

    input: Path
    alignments: Path | None = None
    input_type: Input = Input.FRAMES
    batch_mode: bool = False
    models: ModelOptions = field(default_factory=ModelOptions)
    processing: Process = Process.ALL
    mask_path: Path | None = None
    centering: str = "face"
    storage_size: int = 128
    output: Path | None = None
    blur_kernel: int = 0
    threshold: float = 0
    output_type: Shown = Shown.COMBINED
    full_frame: bool = False
    overwrite: bool = False
    ignore_unfinished: bool = False
    dry_run: bool = False
    quiet: bool = False

    def check(self) -> None:
        """
        Raises:
            ConfigError: options that don't go together; says what to change.
        """
        drawn = [name for name in self.models.masks if name in LANDMARK_MASKS]
        if not self.models.masks:
            raise ConfigError("no masker chosen; name one with -M")
        if self.processing.runs_models and drawn:
            raise ConfigError(
                f"{drawn[0]} is drawn from landmarks whenever it is wanted, and isn't stored; use -p output"
            )
        if self.processing is Process.OUTPUT and self.output is None:
            raise ConfigError("-p output needs a folder for its pictures: give it with -o")
        if self.processing is Process.IMPORT:
            self._check_import()
        if self.full_frame and self.input_type is Input.FACES:
            raise ConfigError("--full-frame needs the frames; give these instead of faces, or leave it out")

    def _check_import(self) -> None:
        if self.mask_path is None:
            raise ConfigError("-p import needs the masks' folder: give it with -m")
        if self.models.masks != (CUSTOM,):
            raise ConfigError(f"-p import stores its masks as {CUSTOM}; give -M {CUSTOM}")
        if self.batch_mode:
            raise ConfigError("-p import takes one input at a time; leave --batch-mode out")

"""What a mask job works on: one input, or a batch of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from facestream.errors import ConfigError, SourceUnavailable
from facestream.io.alignments import alignments_beside, alignments_path, has_alignments
from facestream.io.fsa import SUFFIX
from facestream.jobs.alignments.work import batch_of_works, is_backup
from facestream.jobs.mask.options import Input, MaskOptions
from facestream.jobs.result_folders import holds_extracted_faces


@dataclass(frozen=True, slots=True)
class MaskInput:
    """One input.

    Attributes:
        source: a video, a picture, a folder of pictures, or a folder of face pictures.
        alignments: its file; None where faces have none.
        output: the folder for pictures of its masks.
    """

    source: Path
    alignments: Path | None
    output: Path | None

    def __str__(self) -> str:
        return str(self.source)


def inputs_of(options: MaskOptions) -> list[MaskInput]:
    """The inputs that the options name.

    Raises:
        ConfigError: something else was given than ``input_type`` says, or there's nothing in the folder.
        SourceUnavailable: INPUT isn't there.
    """
    if not options.input.exists():
        raise SourceUnavailable(f"{options.input} isn't there; check the path")
    if options.batch_mode:
        return _batch(options)
    if options.input_type is Input.FACES:
        return [MaskInput(options.input, _file_of_faces(options.input, options.alignments), options.output)]
    if options.input.is_dir() and holds_extracted_faces(options.input):
        raise ConfigError(f"{options.input} holds extracted faces; give -I faces for these")
    file = options.alignments
    file = alignments_beside(options.input) if file is None else alignments_path(file, file, folder=False)
    return [MaskInput(options.input, file, options.output)]


def _batch(options: MaskOptions) -> list[MaskInput]:
    if options.input_type is Input.FRAMES:
        works = batch_of_works(options.alignments, None, options.input)
        pairs = [(work.needed_frames, work.given) for work in works]
    else:
        works = batch_of_works(None, options.input, None)
        pairs = [(work.needed_faces, _file_in(work.needed_faces, options.alignments)) for work in works]
    return [
        MaskInput(source, file, None if options.output is None else options.output / source.name)
        for source, file in pairs
    ]


def _file_of_faces(folder: Path, given: Path | None) -> Path | None:
    if not folder.is_dir():
        raise ConfigError(f"{folder} isn't a folder; give the folder of face pictures, or -I frames")
    if given is not None:
        return alignments_path(given, given, folder=False)
    return _file_in(folder, None)


def _file_in(folder: Path, files: Path | None) -> Path | None:
    """The file of a folder of faces: of its name in ``files``, or the only one in the folder itself.

    Raises:
        ConfigError: there are several in the folder.
    """
    if files is not None:
        named = [files / f"{stem}{SUFFIX}" for stem in (f"{folder.name}_alignments", folder.name)]
        return next(filter(has_alignments, named), None)
    found = [path for path in sorted(folder.glob(f"*{SUFFIX}")) if not is_backup(path)]
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ConfigError(f"{folder} holds several alignments files ({names}); choose one with -a")
    return found[0] if found else None

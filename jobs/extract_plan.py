"""What an extract job reads and writes, settled before anything is opened. Looks at the disk only to list folders."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from facestream.errors import AlignmentsError, ConfigError
from facestream.io.alignments import alignments_beside, alignments_path, alignments_paths, check_names_a_file
from facestream.io.journal import JournalHeader
from facestream.io.urls import SourceKind, SourceSpec, redact_url
from facestream.jobs.extract_inputs import chosen_inputs, location
from facestream.jobs.extract_settings import settings_of
from facestream.jobs.known_people import is_person
from facestream.jobs.models import FILE, ModelOptions
from facestream.jobs.references import FILTER, NFILTER, fingerprint

_THRESHOLDS: Final = (
    "aligner_features",
    "aligner_min_scale",
    "aligner_max_scale",
    "aligner_distance",
    "aligner_roll",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractOptions:
    """What the command line's ``extract`` takes; the option's help says what each is."""

    inputs: tuple[str, ...]
    models: ModelOptions
    output: Path | None = None
    alignments: Path | None = None
    no_alignments: bool = False
    jsonl: str | None = None
    frames: Path | None = None
    batch_mode: bool = False
    size: int = 512
    min_scale: int = 0
    extract_every_n: int = 1
    skip_existing: bool = False
    skip_existing_faces: bool = False
    save_interval: float = 1.0
    debug_landmarks: bool = False
    resume: bool = True
    serial: bool = False
    anonymise: str | None = None
    anonymise_who: str = "everyone"
    people: Path | None = None
    no_biometrics: bool = False
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class InputPlan:
    """One input of the job.

    Attributes:
        spec: where it is; its name is unique in the job.
        alignments: its alignments file, or None to write none.
        pictures: the folder for its face pictures, or None to write none.
        faces: the file that its faces come from in place of a detector, or None.
        only: of a folder, the file names of the pictures to look at; None is all.
    """

    spec: SourceSpec
    alignments: Path | None
    pictures: Path | None
    faces: Path | None = None
    only: frozenset[str] | None = None

    @property
    def camera(self) -> bool:
        return not self.spec.kind.finite


@dataclass(frozen=True, slots=True)
class ExtractPlan:
    """The whole job.

    Attributes:
        options: as they were given, but for those that exclude one another.
        inputs: in the order in which they are read.
        notes: what was changed and why, for the user.
        references: a word for each of the lists of people that faces are filtered by, by option.
    """

    options: ExtractOptions
    inputs: tuple[InputPlan, ...]
    notes: tuple[str, ...] = ()
    references: Mapping[str, str] = field(default_factory=dict)

    @property
    def least_edge(self) -> int:
        """Pixels that the edge of a face's square must have for its picture to be saved; 0 is any (spec §14.3)."""
        options = self.options
        return max(4, int(options.size * options.min_scale / 100)) if options.min_scale else 0

    def header(self, item: InputPlan, detector: str) -> JournalHeader:
        """What the job is to its journal: everything that its results depend on, but for the device and its speed.

        Args:
            detector: the one that runs, also where the device chose it.
        """
        return JournalHeader(location(item.spec), settings_of(self.options, item, detector, self.references))


def plan(options: ExtractOptions) -> ExtractPlan:
    """
    Raises:
        ConfigError: there's nothing to read or write, or options exclude one another.
        SourceError: the folder of a batch can't be listed, or holds nothing to read.
        AlignmentsError: the faces are to come from a file that isn't there.
    """
    check_names_a_file(options.alignments)
    _check_privacy(options)
    options, notes = _without_conflicts(options)
    notes += [*_idle_thresholds(options.models), *_filter_notes(options.models)]
    read = chosen_inputs(options.inputs, batch=options.batch_mode)
    specs = read.specs
    notes += read.notes
    _check_places(options, specs)
    if options.serial:
        _check_readable_again(specs)
    inputs = [
        InputPlan(spec, file, folder, only=read.only.get(spec.url))
        for spec, file, folder in zip(specs, _alignments(options, specs), _folders(options, specs))
    ]
    if options.models.detector == FILE:
        inputs = [_with_known_faces(options, item) for item in inputs]
        if any(item.alignments is None for item in inputs) and not options.no_alignments:
            notes.append("the alignments stay as they are: nothing in them is computed anew")
        _check_target(options, inputs)
    return ExtractPlan(options, tuple(inputs), tuple(notes), _references(options))


def _check_places(options: ExtractOptions, specs: Sequence[SourceSpec]) -> None:
    """
    Raises:
        ConfigError: pictures are to go into a folder that is read, where they would be frames the next time.
    """
    read = [spec.url for spec in specs if spec.kind is SourceKind.FOLDER]
    parents = [text for text in options.inputs if options.batch_mode and os.path.isdir(text)]
    written = [("-o", folder) for folder in (options.output, *_folders(options, specs)) if folder is not None]
    if options.frames is not None:
        written.append(("--frames", options.frames))
    taken = {os.path.realpath(folder) for folder in (*read, *parents)}
    for option, folder in written:
        if os.path.realpath(folder) in taken:
            raise ConfigError(
                f"{folder} is read, so {option} can't write to it: the next run would take the pictures for new ones; "
                "choose another folder"
            )


def _check_readable_again(specs: Sequence[SourceSpec]) -> None:
    """
    Raises:
        ConfigError: one of them is a camera.
    """
    for spec in specs:
        if not spec.kind.finite:
            url = redact_url(spec.url)
            raise ConfigError(f"{url} is a camera, and --serial reads its inputs once for each model: leave it out")


def _with_known_faces(options: ExtractOptions, item: InputPlan) -> InputPlan:
    """The input with the file that its faces come from; without alignments to write if it would write the same.

    Raises:
        ConfigError: it is a camera.
        AlignmentsError: there is no such file.
    """
    if item.camera:
        raise ConfigError(f"{redact_url(item.spec.url)} is a camera: no file knows its faces; choose a --detector")
    source = Path(item.spec.url)
    if options.alignments is None:
        path = item.alignments or alignments_beside(source)
    else:
        path = alignments_path(source, options.alignments, folder=False)
    known = next((file for file in (path.with_suffix(".json"), item.alignments or path) if file.is_file()), None)
    if options.alignments is not None and options.alignments.suffix.lower() != ".json":
        known = path if path.is_file() else None
    if known is None:
        raise AlignmentsError(f"{options.alignments or path} isn't there; give the file with the faces: --alignments")
    models = options.models
    computed = models.aligner != FILE or models.masks or models.identities or known.suffix.lower() == ".json"
    return replace(item, faces=known, alignments=item.alignments if computed else None)


def _check_privacy(options: ExtractOptions) -> None:
    """
    Raises:
        ConfigError: faces would be shown that are to be covered, or embeddings be kept that aren't to be.
    """
    recognising = options.anonymise is not None and options.anonymise_who != "everyone"
    named = any(map(is_person, (*options.models.filter, *options.models.nfilter)))
    if options.anonymise is None and options.anonymise_who != "everyone":
        raise ConfigError("--anonymise-who says whose faces, and nothing covers them: add --anonymise blur")
    if options.no_biometrics and recognising:
        raise ConfigError("--no-biometrics opens no gallery, so nobody is known: leave out --anonymise-who")
    if options.no_biometrics and named:
        raise ConfigError("--no-biometrics opens no gallery: filter by pictures, not by person:NAME")
    if options.people is not None and options.no_biometrics:
        raise ConfigError("--people names a gallery, and --no-biometrics opens none: leave out one of the two")
    if options.people is not None and not (recognising or options.models.identities):
        raise ConfigError("--people names a gallery, and nobody looks for people in it: add --identity sface")
    if options.anonymise is not None and options.models.detector == FILE and options.frames is not None:
        raise ConfigError("a file doesn't know the faces of every frame: leave out --frames, or --detector file")


def _check_target(options: ExtractOptions, inputs: Sequence[InputPlan]) -> None:
    targets = (options.output, options.jsonl, options.frames)
    if not any(targets) and all(item.alignments is None for item in inputs):
        raise ConfigError("nothing to do: the faces are known already; give -o FOLDER for their pictures")


def _without_conflicts(options: ExtractOptions) -> tuple[ExtractOptions, list[str]]:
    options, notes = _file_conflicts(options)
    if options.batch_mode and options.alignments is not None:
        notes.append("--alignments is ignored: in batch mode each input has its own")
        options = replace(options, alignments=None)
    if options.models.aligner in (None, "none") and not options.no_alignments:
        if options.alignments is not None:
            raise ConfigError("alignments need landmarks: choose an --aligner, or leave out --alignments")
        notes.append("no alignments are written: without an aligner there are no landmarks")
        options = replace(options, no_alignments=True)
    if options.no_alignments:
        if options.alignments is not None:
            raise ConfigError("--alignments and --no-alignments exclude one another; leave one out")
        if options.skip_existing or options.skip_existing_faces:
            raise ConfigError("--skip-existing looks into the alignments; leave out --no-alignments")
        if not any((options.output, options.jsonl, options.frames)):
            raise ConfigError("nowhere to put the faces: give -o FOLDER, --frames FOLDER or --jsonl FILE")
    return options, notes


def _references(options: ExtractOptions) -> dict[str, str]:
    models = options.models
    if not models.filtering:
        return {}
    lists = {FILTER: models.filter, NFILTER: models.nfilter}
    return {option: fingerprint(names, models.identities[0], options.people) for option, names in lists.items()}


def _filter_notes(models: ModelOptions) -> list[str]:
    """Spec §14.2."""
    if not models.filtering:
        return ["--ref-threshold does nothing without --filter or --nfilter"] if models.ref_threshold else []
    if not replace(models, filter=(), nfilter=()).identities:
        return [f"faces are told apart by {models.identities[0]}, since no --identity is chosen"]
    return []


def _idle_thresholds(models: ModelOptions) -> list[str]:
    changed = [name for name in _THRESHOLDS if getattr(models, name) != getattr(ModelOptions(), name)]
    if not changed or models.align_filters:
        return []
    return [f"--{changed[0].replace('_', '-')} does nothing without --align-filters"]


def _file_conflicts(options: ExtractOptions) -> tuple[ExtractOptions, list[str]]:
    """Spec §14.2."""
    notes = []
    models = options.models
    if models.aligner == FILE and models.detector != FILE:
        notes.append("faces come from the file too, since their landmarks do: --detector file")
        options = replace(options, models=replace(models, detector=FILE))
    if options.models.detector == FILE:
        if options.skip_existing or options.skip_existing_faces:
            notes.append("--skip-existing and --skip-existing-faces are ignored: the faces come from the alignments")
            options = replace(options, skip_existing=False, skip_existing_faces=False)
    elif options.alignments is not None and options.alignments.suffix.lower() == ".json":
        raise ConfigError(f"{options.alignments} can only be read: add --detector file, or name an .fsa file to write")
    return options, notes


def _alignments(options: ExtractOptions, specs: Sequence[SourceSpec]) -> list[Path | None]:
    if options.no_alignments:
        return [None for _ in specs]
    if options.alignments is not None:
        if len(specs) > 1:
            raise ConfigError("--alignments is for one input; leave it out, and each input has its own file")
        return [alignments_path(Path(specs[0].url), options.alignments, folder=False)]
    sources = [(Path(spec.url), spec.kind is SourceKind.FOLDER) for spec in specs if spec.kind.finite]
    paths = dict(zip((str(path) for path, _ in sources), alignments_paths(sources)))
    return [paths[str(Path(spec.url))] if spec.kind.finite else _camera_alignments(options, spec) for spec in specs]


def _camera_alignments(options: ExtractOptions, spec: SourceSpec) -> Path | None:
    """A camera has no place of its own for a file."""
    folder = options.output or options.frames
    return None if folder is None else folder / f"{spec.name}_alignments.fsa"


def _folders(options: ExtractOptions, specs: Sequence[SourceSpec]) -> list[Path | None]:
    """One input's pictures go into the folder itself; those of several, or of a batch, into a sub-folder each."""
    if options.output is None:
        return [None for _ in specs]
    if len(specs) == 1 and not options.batch_mode:
        return [options.output]
    return [options.output / spec.name for spec in specs]

"""``facestream sort``: from the command line's options to jobs, a progress bar and a summary."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from facestream.errors import ConfigError, FacestreamError, OutputError, SourceError, SourceUnavailable
from facestream.io.atomic import replacing
from facestream.jobs.interrupt import INTERRUPTED, stopping
from facestream.jobs.models import ModelOptions
from facestream.jobs.sort.embedding import Embedder, people_apart
from facestream.jobs.sort.folder import subfolders
from facestream.jobs.sort.job import Advanced, Report, SortJob, SortSettings
from facestream.jobs.sort.looking import NOT_EXTRACTED
from facestream.jobs.sort.methods import Kind, Need, method_named
from facestream.jobs.sort.record import log_of
from facestream.jobs.sort.report import summary
from facestream.jobs.sort.sheet import remove_sheet, write_sheet
from facestream.stream.device import Bridge

LOG_NAME: Final = "sort_log.json"

log = logging.getLogger("facestream.sort")


@dataclass(frozen=True, slots=True, kw_only=True)
class SortOptions:
    """What the command line asks for; see ``facestream sort --help``.

    Attributes:
        sort: None is what ``group`` says, or "face" where nothing is grouped.
    """

    input: Path
    output: Path | None = None
    sort: str | None = None
    group: str = "none"
    keep: bool = False
    threshold: float | None = None
    bins: int = 5
    identity: str = "sface"
    device: str = "auto"
    batch_mode: bool = False
    log_changes: bool = False
    log_file: Path | None = None
    sheet: bool | None = None
    no_biometrics: bool = False
    undo: bool = False
    quiet: bool = False

    @property
    def settings(self) -> SortSettings:
        """Its methods.

        Raises:
            ConfigError: there's no such method, or nothing to do.
        """
        group = method_named(self.group, grouping=True)
        sort = method_named(self.sort or (self.group if group.groups else "face"))
        if sort.kind is Kind.NONE and group.kind is Kind.NONE:
            raise ConfigError("-s none leaves the faces as they are: give -g, too, or another -s")
        threshold = None if self.threshold is None or self.threshold < 0 else self.threshold
        apart = people_apart(self.identity) if Need.EMBEDDING in (sort.need, group.need) else 0.0
        return SortSettings(sort, group, threshold, self.bins, apart)

    @property
    def embeddings_kept(self) -> bool:
        """In the headers of the pictures that are sorted: never in originals of which only copies are."""
        return not (self.no_biometrics or self.keep)


async def sort_command(options: SortOptions) -> int:
    """Run the job; returns the exit code: 0, or 130 when it was interrupted and can go on.

    Raises:
        FacestreamError: what one folder's job raises (:meth:`facestream.jobs.sort.job.SortJob.run`). With
            ``batch_mode`` one folder doesn't stop the others, and the error says how many failed.
    """
    settings = options.settings
    works = _works(options)
    async with Bridge(ModelOptions(device=options.device).chosen_device) as bridge:
        embedder = None
        if Need.EMBEDDING in (settings.sort.need, settings.group.need) and not options.undo:
            embedder = Embedder(options.identity, bridge.device, bridge, stored=options.embeddings_kept)
        failed: list[FacestreamError] = []
        for folder, output in works:
            try:
                if await _one(folder, output, options, settings, bridge, embedder):
                    return INTERRUPTED
            except FacestreamError as error:
                if not options.batch_mode:
                    raise
                print(f"facestream: {error}", file=sys.stderr)
                failed.append(error)
        if embedder is not None and embedder.unwritten:
            log.warning("%d embeddings couldn't be kept in their pictures' headers", embedder.unwritten)
    if failed:
        raise type(failed[0])(f"{len(failed)} of {len(works)} folders failed; the lines above say why")
    return 0


def _works(options: SortOptions) -> list[tuple[Path, Path | None]]:
    """Each folder and where its faces go; None where they stay.

    Raises:
        ConfigError: there's nothing to do, or source and target are one.
    """
    if not options.input.exists():
        raise SourceUnavailable(f"{options.input} isn't there; check the path")
    if not options.input.is_dir():
        raise ConfigError(
            f"{options.input} is a file, not a folder of extracted faces: run facestream extract {options.input} "
            "-o faces first, and sort that folder"
        )
    output = options.output
    if output is not None and output.exists() and not output.is_dir():
        raise ConfigError(f"{output} isn't a folder; choose another with -o")
    if output is not None and output.resolve() == options.input.resolve():
        raise ConfigError("-o is the input itself: leave it out to sort the faces where they are")
    if not options.batch_mode:
        return [(options.input, _target(options.input, output, options))]
    folders = [folder for folder in subfolders(options.input) if output is None or folder.resolve() != output.resolve()]
    if not folders:
        raise ConfigError(f"there's no folder of faces in {options.input}; without --batch-mode it is sorted itself")
    return [(each, _target(each, None if output is None else output / each.name, options)) for each in folders]


def _target(folder: Path, output: Path | None, options: SortOptions) -> Path | None:
    return folder / "sorted" if output is None and options.keep and not options.undo else output


async def _one(
    folder: Path,
    output: Path | None,
    options: SortOptions,
    settings: SortSettings,
    bridge: Bridge,
    embedder: Embedder | None,
) -> bool:
    """Sort one folder; whether it was interrupted.

    Raises:
        SourceError: it holds pictures, and none could be sorted.
    """
    with _bar(quiet=options.quiet) as advanced:
        job = SortJob(settings, bridge, embedder, advanced)
        with stopping(job.stop):
            if options.undo:
                report = await job.undo(output or folder)
            else:
                report = await job.run(folder, output, copies=options.keep)
            if report.complete:
                await bridge.cpu(remove_sheet, report.folder)  # what it shows isn't true any more
            sheet = None
            if report.placed and report.complete and _wants_sheet(options):
                title = f"{report.folder.resolve().name}: {settings.words}"
                write = partial(write_sheet, advanced=partial(advanced, "contact sheet"), stopped=lambda: job.stopped)
                sheet = await bridge.cpu(write, report.folder, report.placed, title)
    if report.complete and report.record is not None and (options.log_changes or options.log_file is not None):
        path = _log_path(options, folder)
        await bridge.cpu(write_log, path, report)
    if not options.quiet:
        elsewhere = () if report.placed or options.batch_mode else await bridge.cpu(subfolders, folder)
        for line in summary(report, settings, undone=options.undo, copies=options.keep, sheet=sheet, folders=elsewhere):
            print(line, file=sys.stderr)
    if report.complete and report.nothing and not options.undo:
        raise SourceError(f"{folder}: none of its pictures can be sorted; {_next(report)}")
    if not report.complete:
        what = "some faces are at their new places, all others where they were" if report.moving else "nothing is moved"
        back = "" if options.keep else ", or with --undo to go back"
        how = f"; run the same command again to go on{back}" if report.moving else ""
        print(f"facestream: interrupted; {what}{how}", file=sys.stderr)
    return not report.complete


def _next(report: Report) -> str:
    if any(one.reason == NOT_EXTRACTED for one in report.left):
        return "run facestream extract first, and sort the folder that it fills"
    return "see above why"


def _wants_sheet(options: SortOptions) -> bool:
    return options.group != "none" if options.sheet is None else options.sheet


def _log_path(options: SortOptions, folder: Path) -> Path:
    if options.log_file is None:
        return folder / LOG_NAME
    if options.batch_mode:
        return options.log_file.with_name(f"{options.log_file.stem}_{folder.name}{options.log_file.suffix}")
    return options.log_file


def write_log(path: Path, report: Report) -> None:
    """Write where each picture was and where it is, as JSON, which YAML's readers read, too. Blocks.

    Raises:
        OutputError: it can't be written.
    """
    assert report.record is not None
    record = report.record
    moves = log_of(record.entries)
    content = {str(record.at(source)): str(record.at(target)) for source, target in moves.items()}
    try:
        with replacing(path, durable=False) as file:
            file.write(json.dumps(content, indent=1).encode("ascii"))
    except OSError as error:
        raise OutputError(f"can't write {path}: {error.strerror}; the faces are sorted all the same") from error


@contextmanager
def _bar(*, quiet: bool) -> Iterator[Advanced]:
    hidden = quiet or not sys.stderr.isatty()
    bar: tqdm[NoReturn] = tqdm(unit="face", disable=hidden, dynamic_ncols=True, leave=False)

    def advanced(what: str, done: int, total: int) -> None:
        if bar.disable:
            return
        if bar.desc != f"{what}: ":
            bar.reset(total)
            bar.set_description(what, refresh=False)
        bar.update(done - bar.n)

    try:
        with nullcontext() if hidden else logging_redirect_tqdm():  # lines above the bar, not on it
            yield advanced
    finally:
        bar.close()

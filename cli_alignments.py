"""``facestream alignments JOB``: one small function a job. Nothing heavy is imported until a job runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from facestream.jobs.alignments.session import Session
    from facestream.jobs.alignments.work import Work

Command = TypeVar("Command", bound=Callable[..., Any])

_PATH = click.Path(path_type=Path, exists=True)
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_OPTIONS = {
    "alignments": click.option(
        "-a",
        "--alignments",
        type=click.Path(path_type=Path),
        help="The alignments file; by default the one that lies beside the frames.",
    ),
    "faces": click.option("-c", "--faces-dir", "faces", type=_FOLDER, help="The folder of face pictures."),
    "frames": click.option("-r", "--frames", type=_PATH, help="The video, or the folder of pictures."),
    "output": click.option(
        "-o",
        "--output",
        type=click.Choice(["console", "file", "move"]),
        default="console",
        show_default=True,
        help="Print them, list them in a text file, or move them into a folder.",
    ),
    "listing": click.option(
        "-o",
        "--output",
        type=click.Choice(["console", "file"]),
        default="console",
        show_default=True,
        help="Print them, or list them in a text file.",
    ),
    "batch": click.option(
        "-B",
        "--batch-mode",
        "batch",
        is_flag=True,
        help="The options name folders that hold many inputs; one that fails doesn't stop the others.",
    ),
    "dry_run": click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing."),
    "unfinished": click.option(
        "--ignore-unfinished",
        is_flag=True,
        help="Also where extract was interrupted and could go on; it starts anew then.",
    ),
}


def takes(*names: str) -> Callable[[Command], Command]:
    """The options that several jobs share, by their name in ``_OPTIONS``."""

    def add(command: Command) -> Command:
        for name in reversed(names):
            command = _OPTIONS[name](command)
        return command

    return add


def each(
    job: Callable[..., None],
    *,
    alignments: Path | None = None,
    faces: Path | None = None,
    frames: Path | None = None,
    batch: bool = False,
    dry_run: bool = False,
    ignore_unfinished: bool = False,
    **options: Any,
) -> None:
    """Run a job on the input that the options name, or in batch mode on each of them."""
    from facestream.jobs.alignments.session import run_each
    from facestream.jobs.alignments.work import batch_of_works, one_work

    find = batch_of_works if batch else lambda *paths: [one_work(*paths)]

    def run(work: Work, session: Session) -> None:
        job(work, session, **options)

    run_each(find(alignments, faces, frames), run, new_session(dry_run, ignore_unfinished))


def new_session(dry_run: bool, ignore_unfinished: bool = False) -> Session:
    """Results go to standard output, words about the work to standard error."""
    from datetime import datetime

    from facestream.jobs.alignments.session import Session

    return Session(
        click.echo, lambda line: click.echo(line, err=True), datetime.now(), dry_run, watched, ignore_unfinished
    )


def watched(items: Iterable[Any]) -> Iterable[Any]:
    """``items`` with a progress bar, where somebody looks and there are enough of them."""
    from tqdm import tqdm

    return tqdm(items, disable=not sys.stderr.isatty(), delay=1, leave=False, dynamic_ncols=True)


def chosen_output(options: dict[str, Any]) -> dict[str, Any]:
    """``options`` with the word for ``--output`` as what it stands for."""
    from facestream.jobs.alignments.report import Output

    return {**options, "output": Output(options["output"])}


@click.group()
def alignments() -> None:
    """Look after alignments files and the face pictures that belong to them."""


@alignments.command()
@takes("alignments", "frames", "faces", "batch")
def check(**options: Any) -> None:
    """Whether a folder of faces says what the file says; lists where it doesn't."""
    from facestream.jobs.alignments import check

    each(check.run, **options)


@alignments.command()
@takes("alignments", "frames", "batch")
@click.option("--video", is_flag=True, help="One video instead of a folder of pictures.")
def draw(**options: Any) -> None:
    """Draw boxes, landmarks and poses onto every frame."""
    from facestream.jobs.alignments import draw

    each(draw.run, **options)


@alignments.command("export")
@takes("alignments", "frames", "batch")
@click.option("--json", type=click.Path(path_type=Path), help="Where to; by default beside the file.")
@click.option("--overwrite", is_flag=True, help="Replace a JSON file that is there.")
@takes("dry_run")
def export_json(**options: Any) -> None:
    """Write boxes and landmarks as JSON."""
    from facestream.jobs.alignments.export import run_export

    if options["batch"] and options["json"]:
        raise click.UsageError("--json names one file; leave it out with --batch-mode")
    each(run_export, **options)


@alignments.command("import")
@click.argument("json", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@takes("alignments", "frames", "dry_run")
def import_json(json: Path, **options: Any) -> None:
    """Make an alignments file of JSON."""
    from facestream.jobs.alignments.export import run_import

    each(lambda work, session: run_import(json, work, session), **options)


@alignments.command()
@takes("faces", "alignments", "frames", "batch", "dry_run")
def from_faces(**options: Any) -> None:
    """Rebuild alignments files from the headers of face pictures, one a video.

    They go into the folder of faces, or with -a where that says, or with -r beside the video.
    """
    from facestream.jobs.alignments import from_faces

    if options["batch"] and (options["alignments"] or options["frames"]):
        raise click.UsageError("with --batch-mode each file goes into its folder of faces; leave -a and -r out")
    each(from_faces.run, **options)


@alignments.command()
@takes("alignments", "frames", "output", "batch", "dry_run")
def missing_alignments(**options: Any) -> None:
    """Frames that aren't in the file."""
    from facestream.jobs.alignments import missing_alignments

    each(missing_alignments.run, **chosen_output(options))


@alignments.command()
@takes("alignments", "frames", "listing", "batch", "dry_run")
def missing_frames(**options: Any) -> None:
    """Frames in the file that aren't there any more."""
    from facestream.jobs.alignments import missing_frames

    each(missing_frames.run, **chosen_output(options))


@alignments.command()
@takes("alignments", "frames", "faces", "output", "batch", "dry_run")
def multi_faces(**options: Any) -> None:
    """Frames with more than one face; with -c and -o move, their faces go into a folder for each index."""
    from facestream.jobs.alignments import multi_faces

    each(multi_faces.run, **chosen_output(options))


@alignments.command()
@takes("alignments", "frames", "output", "batch", "dry_run")
def no_faces(**options: Any) -> None:
    """Frames in which there is no face."""
    from facestream.jobs.alignments import no_faces

    each(no_faces.run, **chosen_output(options))


@alignments.command()
@takes("alignments", "frames", "faces", "batch")
@click.option("--skip-unreadable", is_flag=True, help="Go on where a picture's header can't be read.")
@takes("unfinished", "dry_run")
def remove_faces(**options: Any) -> None:
    """Remove from the file the faces whose picture isn't in the folder."""
    from facestream.jobs.alignments import remove_faces

    each(remove_faces.run, **options)


@alignments.command()
@takes("alignments", "frames", "faces", "batch", "unfinished", "dry_run")
def rename(**options: Any) -> None:
    """Give face pictures their own names back; masks and identities that only they have go into the file."""
    from facestream.jobs.alignments import rename

    each(rename.run, **options)


@alignments.command()
@takes("alignments", "frames", "faces", "batch", "unfinished", "dry_run")
def sort(**options: Any) -> None:
    """Number each frame's faces from left to right; with -c their pictures, too."""
    from facestream.jobs.alignments import sort

    each(sort.run, **options)


@alignments.command()
@takes("alignments", "frames", "batch", "unfinished", "dry_run")
def spatial(**options: Any) -> None:
    """Smooth the landmarks of each frame's first face over time."""
    from facestream.jobs.alignments import spatial

    each(spatial.run, **options)

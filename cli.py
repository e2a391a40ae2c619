"""The command line: one small function a command. Nothing heavy is imported until a command runs."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import click

from facestream import __version__
from facestream.cli_alignments import alignments
from facestream.cli_config import config
from facestream.cli_mask import mask
from facestream.cli_options import (
    ask_on_terminal,
    chosen_models,
    keep_quiet,
    licence_option,
    model_options,
    privacy_options,
    reference_options,
    run_async,
)
from facestream.cli_people import people
from facestream.cli_serve import serve
from facestream.cli_sort import sort
from facestream.cli_status import status, top
from facestream.cli_tokens import tokens
from facestream.errors import ConfigError, FacestreamError

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130


def main() -> None:
    """Run a command; errors become one line on stderr and the exit code of design §6."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command and return its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    debug = "--debug" in arguments
    try:
        return cli.main(arguments, prog_name="facestream", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return WRONG_USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("facestream: interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has left: nothing to say, and nowhere to say it
        return 0
    except FacestreamError as error:
        if debug:
            raise
        click.echo(f"facestream: {error}", err=True)
        return WRONG_USAGE if isinstance(error, ConfigError) else FAILED


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="facestream")
@click.option("--debug", is_flag=True, help="Show tracebacks and debug messages.")
def cli(debug: bool) -> None:
    """Turn cameras and files into faces."""
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%H:%M:%S",
    )
    for noisy in ("websockets", "asyncio", "libav"):
        logging.getLogger(noisy).setLevel(logging.DEBUG if debug else logging.ERROR)


@cli.command()
@click.argument("inputs", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder for the face pictures, none without it; several inputs have a sub-folder each.",
)
@click.option(
    "--alignments",
    "-p",
    type=click.Path(path_type=Path),
    help="Alignments file; by default beside a video, in a folder.",
)
@click.option("--no-alignments", is_flag=True, help="Write no alignments file.")
@click.option("--batch-mode", "-b", is_flag=True, help="INPUTS hold videos and folders of pictures; each is an input.")
@click.option(
    "--resume/--no-resume", default=True, help="Go on with a job that didn't end, the default; or start anew."
)
@click.option(
    "--skip-existing", "-s", is_flag=True, help="Only frames that the alignments file hasn't; it keeps what it has."
)
@click.option("--skip-existing-faces", "-e", is_flag=True, help="Only frames that it has no faces of.")
@click.option(
    "--extract-every-n", "-N", type=click.IntRange(1), default=1, show_default=True, help="Look at each n-th frame."
)
@click.option(
    "--size",
    "-z",
    default=512,
    show_default=True,
    type=click.IntRange(16, 4096),
    help="Edge of a face picture, in pixels.",
)
@click.option(
    "--min-scale",
    "-u",
    type=click.IntRange(0, 200),
    default=0,
    show_default=True,
    help="Save no pictures of faces smaller than this, in % of --size; the alignments have them all the same.",
)
@click.option("--debug-landmarks", "-B", is_flag=True, help="Draw landmarks, squares and pose onto the pictures.")
@click.option(
    "--save-interval",
    "-v",
    type=click.FloatRange(0, 1000),
    default=1.0,
    show_default=True,
    help="Seconds after which a finished frame outlives a power cut.",
)
@click.option("--serial", is_flag=True, help="One model in memory at a time: slower, as INPUTS are read once for each.")
@click.option("--jsonl", help="File for one JSON line a frame; - is standard output.")
@click.option("--frames", type=click.Path(path_type=Path), help="Folder for every frame that is looked at.")
@click.option("--quiet", "-q", is_flag=True, help="Warnings and errors only: no progress bar, no summary.")
@privacy_options
@reference_options
@model_options
def extract(**options: Any) -> int:
    """Find the faces in INPUTS: videos, pictures, folders or cameras. Nothing is dropped of a file or folder.

    Several pictures of one folder, as photos/*.jpg, are one input: the folder with these pictures alone.

    An alignments file is written for each input, where faceswap looks for it. A job that is interrupted goes on when
    the same command runs again.
    """
    from facestream.jobs.extract_command import ExtractOptions, extract_command

    keep_quiet(options["quiet"])
    return int(run_async(extract_command(ExtractOptions(models=chosen_models(options), **options))))


@cli.command()
@click.argument("input")
@click.option(
    "--alignments",
    "-p",
    type=click.Path(path_type=Path),
    help="Its alignments file (.fsa); by default where extract writes it, beside a video, in a folder.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Empty folder for the faces.")
@click.option(
    "--size",
    "-z",
    default=512,
    show_default=True,
    type=click.IntRange(16, 4096),
    help="Edge of a face picture, in pixels.",
)
@click.option(
    "--centering",
    type=click.Choice(["legacy", "face", "head"]),
    default="head",
    show_default=True,
    help="What is in the middle: the nose, the face or the head, from close up to the whole head.",
)
@click.option(
    "--min-size",
    "-m",
    type=click.FloatRange(0, 200),
    default=0,
    help="Smallest head in the frame, in % of --size (50: enlarged twice); smaller ones are left out.",
)
@click.option(
    "--extract-every-n", "-N", type=click.IntRange(1), default=1, show_default=True, help="Only every n-th frame."
)
@click.option("--align-eyes", is_flag=True, help="Turn each face so that its eyes lie level.")
@click.option("--no-biometrics", is_flag=True, help="Write no embedding into the pictures' headers.")
@click.option("--quiet", "-q", is_flag=True, help="Warnings and errors only: no progress bar, no summary.")
def reextract(**options: Any) -> None:
    """Crop the faces of INPUT again, a video or a folder of pictures, as its alignments file says.

    Nothing is detected anew, and the alignments file doesn't change.
    """
    from facestream.jobs.reextract import ReextractOptions, reextract_command

    keep_quiet(options["quiet"])
    run_async(reextract_command(ReextractOptions(**options)))


cli.add_command(alignments)
cli.add_command(config)
cli.add_command(mask)
cli.add_command(people)
cli.add_command(serve)
cli.add_command(sort)
cli.add_command(status)
cli.add_command(top)
cli.add_command(tokens)


def _frame_size(context: click.Context, option: click.Parameter, value: str) -> tuple[int, int]:
    """``1920x1080`` → (1920, 1080)."""
    width, _, height = value.partition("x")
    if not (width.isdecimal() and height.isdecimal() and min(int(width), int(height)) >= 16):
        raise click.BadParameter(f"{value!r} isn't a width and a height such as 1920x1080, of 16 pixels at least")
    return int(width), int(height)


@cli.command()
@click.option("--budget", type=click.FloatRange(1), help="Seconds in all: 60 on a CPU and 240 on a GPU by default.")
@click.option(
    "--max-memory", type=click.FloatRange(5, 100), default=85, show_default=True, help="Limit in % of a GPU's memory."
)
@click.option("--faces", type=click.IntRange(1, 50), default=2, show_default=True, help="Faces in every frame.")
@click.option(
    "--frame-size",
    callback=_frame_size,
    metavar="WxH",
    default="1920x1080",
    show_default=True,
    help="Of the frames, in pixels.",
)
@click.option("--max-batch", type=click.IntRange(1, 4096), help="Largest batch: 64 on a CPU, 512 on a GPU by default.")
@click.option("--no-save", "--dry-run", is_flag=True, help="Show the batch sizes without keeping them.")
@model_options
def profile(**options: Any) -> None:
    """Find the batch sizes at which the chosen models run fastest on this machine, for later runs to use."""
    from facestream.jobs.profile_command import ProfileOptions, profile_command

    run_async(profile_command(ProfileOptions(models=chosen_models(options), **options), say=click.echo))


@cli.group()
def models() -> None:
    """List and fetch model weights."""


@models.command("list")
def models_list() -> None:
    """Show every model, its licence and whether its weights are here."""
    from facestream.plugins.catalogue import listing

    rows = [("ROLE", "NAME", "SIZE", "HERE", "LICENCE")]
    for entry in listing():
        card = entry.card
        size = f"{card.size / 1e6:.1f} MB" if card.size else "?"
        here = "yes" if entry.cached else "no" if entry.hashed else "no hash yet"
        if not card.files:  # nothing to fetch
            size = here = "-"
        rows.append((card.role.value, card.name, size, here, card.licence))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


@models.command("pull")
@click.argument("names", nargs=-1)
@click.option("--sha256", help="The hash that you vouch for, of a model that this project has no hash for.")
@click.option("--from", "source", help="A file that you have, or another address; with --sha256.")
@licence_option
def models_pull(names: tuple[str, ...], sha256: str | None, source: str | None, accept_licence: bool) -> None:
    """Fetch the weights of NAMES; without any, of the models that run by default on a CPU.

    Some models' weights are published where this project never checked them ("no hash yet" in `models list`). Give
    one such NAME and the --sha256 of a file that you trust: it is checked, remembered, and used from then on.
    """
    from facestream.jobs.licences import accept
    from facestream.plugins import registry
    from facestream.plugins.catalogue import pull, pull_vouched

    if sha256 is not None or source is not None:
        if len(names) != 1:
            raise ConfigError("--sha256 and --from are for one model: name it")
        click.echo(f"{names[0]}\t{pull_vouched(names[0], sha256, source)}")
        return
    names = names or (registry.default("detect", "cpu"), registry.default("align", "cpu"))
    accepted = accept_licence or bool(accept(names, ask_on_terminal()))
    for name, path in pull(names, accepted=accepted).items():
        click.echo(f"{name}\t{path}")


@models.command("path")
@click.argument("name")
def models_path(name: str) -> None:
    """Print where the weights of NAME lie."""
    from facestream.plugins.catalogue import path

    click.echo(path(name))


@cli.command()
def sources() -> None:
    """List the webcams of this machine."""
    from facestream.io.sources import list_webcams

    webcams = list_webcams()
    for webcam in webcams:
        click.echo(f"{webcam.url}\t{webcam.label}")
    if not webcams:
        click.echo("No webcam found. Plug one in, or open the viewer and use the browser's camera.", err=True)

"""Options that several commands share, and what becomes of them. Nothing heavy is imported until a command runs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from facestream.jobs.licences import Ask
    from facestream.jobs.models import ModelOptions

Command = TypeVar("Command", bound=Callable[..., Any])


def names_given(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """``("a,b", "c")`` → ``("a", "b", "c")``."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())


def model_options(command: Command) -> Command:
    """The options that choose models, for every command that runs them."""
    command = _mask_size_option(mask_options(licence_option(command)))
    for option in (*_refinement_options(), *_choice_options()):
        command = option(command)
    return command


def mask_options(command: Command) -> Command:
    """What the mask models' masks hold, for commands that run these."""
    for option in (
        click.option("--mask-fill/--no-mask-fill", help="Of custom: full masks, not empty ones."),
        click.option(
            "--mask-centering",
            type=click.Choice(["face", "head"]),
            default="face",
            show_default=True,
            help="Of custom: what its masks show.",
        ),
        click.option(
            "--mask-glasses/--no-mask-glasses", default=True, help="Of bisenet-fp: glasses too; on by default."
        ),
        click.option("--mask-hair/--no-mask-hair", help="Of bisenet-fp: hair too, in a mask of the whole head."),
        click.option("--mask-ears/--no-mask-ears", help="Of bisenet-fp: ears too."),
        click.option(
            "--mask-input-size",
            type=int,
            metavar="384|512",
            help="Of bisenet-fp: edge of what it sees, in pixels; 512 by default, 384 takes half the time.",
        ),
    ):
        command = option(command)
    return command


def _mask_size_option(command: Command) -> Command:
    return click.option(
        "--mask-size",
        type=click.IntRange(0, 1028),
        default=128,
        show_default=True,
        help="Edge of stored masks, in pixels, 64 at least; 0 is the model's own.",
    )(command)


def licence_option(command: Command) -> Command:
    """For commands that may have to fetch weights."""
    return click.option(
        "--accept-licence", is_flag=True, help="You accept what the licences of the chosen models' weights forbid."
    )(command)


def _refinement_options() -> tuple[Callable[[Command], Command], ...]:
    """How landmarks are found and which are believed. The last one comes first in the help."""
    return (
        click.option(
            "--aligner-roll",
            type=click.FloatRange(0, 90),
            default=0,
            help="Filter: most degrees of roll left in an aligned face; 0 is any.",
        ),
        click.option(
            "--aligner-distance",
            type=click.FloatRange(0, 45),
            default=40,
            show_default=True,
            help="Filter: most % by which landmarks differ from the mean face; 0 is any.",
        ),
        click.option(
            "--aligner-max-scale",
            type=click.FloatRange(0, 10),
            default=4,
            show_default=True,
            help="Filter: largest aligned face, in shorter sides of its frame; 0 is any.",
        ),
        click.option(
            "--aligner-min-scale",
            type=click.FloatRange(0, 1),
            default=0.03,
            show_default=True,
            help="Filter: smallest aligned face, in shorter sides of its frame.",
        ),
        click.option(
            "--aligner-features/--no-aligner-features",
            default=True,
            help="Filter: the mouth is below eyes and brows; on by default.",
        ),
        click.option(
            "--align-filters/--no-align-filters",
            help="Leave out faces whose landmarks can't be right; the filters below say when.",
        ),
        click.option("--seed", type=int, help="Seed of re-feed's random squares; a fixed one by default."),
        click.option("--re-align/--no-re-align", help="Align twice, the second time with the face turned upright."),
        click.option(
            "--re-feed",
            type=click.IntRange(0, 10),
            default=0,
            help="Align so many times more, through slightly different squares, and take the mean.",
        ),
        click.option(
            "--normalization",
            type=click.Choice(["none", "clahe", "hist", "mean"]),
            default="none",
            show_default=True,
            help="Even out the light of what the aligner sees.",
        ),
    )


def _choice_options() -> tuple[Callable[[Command], Command], ...]:
    """Which models run, where, and what the detector looks for."""
    return (
        click.option(
            "--max-size",
            type=click.FloatRange(0, 500),
            default=0,
            help="Largest face, in % of the frame's shorter side.",
        ),
        click.option(
            "--min-size",
            type=click.FloatRange(0, 100),
            default=0,
            help="Smallest face, in % of the frame's shorter side.",
        ),
        click.option("--rotate-images", help="Look for turned faces too: a step (90) or a list of angles (45,90)."),
        click.option("--batch-size", type=click.IntRange(1, 256), help="Frames the detector sees at once."),
        click.option("--threshold", type=click.FloatRange(0, 1), help="Least score of a detection."),
        click.option("--detect-size", type=click.IntRange(64, 4096), help="Long side the detector sees, in pixels."),
        click.option(
            "--backend",
            type=click.Choice(["auto", "openvino", "torch"]),
            default="auto",
            show_default=True,
            help="What runs the networks; auto: OpenVINO on a CPU where it is installed, else torch.",
        ),
        click.option("--compile/--no-compile", help="Compile the networks: a slower start, then faster on most."),
        click.option(
            "--device",
            default="auto",
            show_default=True,
            help="auto, cpu, cuda, cuda:N or mps; several GPUs as cuda:0,cuda:1.",
        ),
        click.option(
            "--identity",
            multiple=True,
            callback=names_given,
            help="Identity model; none by default. Several: a,b or the option again.",
        ),
        click.option(
            "--identity-bgr/--no-identity-bgr",
            help="Show t-face blue first, as faceswap does, for embeddings like those in its files.",
        ),
        click.option(
            "--mask",
            "--masker",
            "-M",
            "masks",
            multiple=True,
            callback=names_given,
            help="Mask model; none by default. Several: a,b or the option again.",
        ),
        click.option("--aligner", default="mesh", show_default=True, help="Landmark model, or none."),
        click.option("--detector", help="Detector; yunet on a CPU and centerface on a GPU by default."),
    )


def reference_options(command: Command) -> Command:
    """The options that keep or leave out faces by who they are, for commands that find faces."""
    for option in (
        click.option(
            "--ref-threshold",
            "--ref_threshold",
            "-l",
            type=click.FloatRange(0.01, 0.99),
            help="Least likeness to a reference, as a cosine; the identity model's own by default (sface: 0.363).",
        ),
        click.option(
            "--nfilter",
            "-n",
            multiple=True,
            metavar="PATH",
            help="Leave out the people in this picture or folder, or person:NAME of the gallery; may be repeated.",
        ),
        click.option(
            "--filter",
            "-f",
            multiple=True,
            metavar="PATH",
            help="Keep only the people in this picture or folder, or person:NAME of the gallery; may be repeated.",
        ),
    ):
        command = option(command)
    return command


def privacy_options(command: Command) -> Command:
    """The options that cover faces and keep embeddings out of files, for commands that show or save what they find."""
    for option in (
        click.option(
            "--people", type=click.Path(path_type=Path), help="The gallery's file; by default the user's own."
        ),
        click.option("--no-biometrics/--biometrics", help="Store and send no embedding; nobody is known by name."),
        click.option(
            "--anonymise-who",
            type=click.Choice(["everyone", "unknown", "known"]),
            default="everyone",
            show_default=True,
            help="Whose: everyone's, all but known people's, or only known people's (facestream people add).",
        ),
        click.option(
            "--anonymise",
            type=click.Choice(["blur", "pixelate", "box"]),
            help="Cover faces in all pictures that are saved or sent.",
        ),
    ):
        command = option(command)
    return command


def chosen_models(options: dict[str, Any]) -> ModelOptions:
    """What :func:`model_options` asked for, taken out of a command's ``options``; see :func:`checked_models`."""
    from dataclasses import fields

    from facestream.jobs.models import ModelOptions

    return checked_models(
        ModelOptions(**{field.name: options.pop(field.name) for field in fields(ModelOptions) if field.name in options})
    )


def checked_models(models: ModelOptions) -> ModelOptions:
    """The same, with the licences accepted that have to be: on a terminal the user is asked.

    Raises:
        ConfigError: an option of mask models is set that none of those chosen knows.
        WeightsMissing: a licence isn't accepted; the message says what to do.
    """
    from facestream.jobs.licences import with_accepted_licences
    from facestream.jobs.masking import check_mask_options

    check_mask_options(models)
    return with_accepted_licences(models, ask_on_terminal())


def ask_on_terminal() -> Ask | None:
    """How to ask for the acceptance of a licence; None where nobody sits."""
    return _ask if sys.stdin.isatty() and sys.stderr.isatty() else None


def _ask(name: str, licence: str, limits: str) -> bool:
    click.echo(
        f"The weights of {name} have a licence with limits: {licence}.\n{limits[:1].upper()}{limits[1:]}.", err=True
    )
    return click.confirm("Do you accept that?", err=True)


def keep_quiet(quiet: bool) -> None:
    """Of log messages only warnings and errors, unless everything was asked for."""
    if quiet and logging.getLogger().level > logging.DEBUG:
        logging.getLogger().setLevel(logging.WARNING)


def run_async(job: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end, on uvloop where there is one."""
    import asyncio

    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    if find_spec("uvloop"):
        from uvloop import new_event_loop as factory
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(job)

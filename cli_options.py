"""Options that several commands share, and what becomes of them. Nothing heavy is imported until a command runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from facestream.jobs.models import ModelOptions

Command = TypeVar("Command", bound=Callable[..., Any])


def names_given(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """``("a,b", "c")`` → ``("a", "b", "c")``."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())


def model_options(command: Command) -> Command:
    """The options that choose models, for every command that runs them."""
    for option in (*_refinement_options(), *_choice_options()):
        command = option(command)
    return command


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
            "--align-filters",
            is_flag=True,
            help="Leave out faces whose landmarks can't be right; the filters below say when.",
        ),
        click.option("--seed", type=int, help="Seed of re-feed's random squares; a fixed one by default."),
        click.option("--re-align", is_flag=True, help="Align twice, the second time with the face turned upright."),
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
        click.option("--compile", is_flag=True, help="Compile the networks: a slower start, then faster on most."),
        click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps."),
        click.option(
            "--identity",
            multiple=True,
            callback=names_given,
            help="Identity model; none by default. Several: a,b or the option again.",
        ),
        click.option(
            "--identity-bgr",
            is_flag=True,
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
            help="Leave out the people in this picture or folder of pictures. Several: the option again.",
        ),
        click.option(
            "--filter",
            "-f",
            multiple=True,
            metavar="PATH",
            help="Keep only the people in this picture or folder of pictures. Several: the option again.",
        ),
    ):
        command = option(command)
    return command


def chosen_models(options: dict[str, Any]) -> ModelOptions:
    """What :func:`model_options` asked for, taken out of a command's ``options``."""
    from dataclasses import fields

    from facestream.jobs.models import ModelOptions

    return ModelOptions(
        **{field.name: options.pop(field.name) for field in fields(ModelOptions) if field.name in options}
    )

"""``facestream mask``. Nothing heavy is imported until it runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from facestream.cli_options import checked_models, keep_quiet, licence_option, mask_options, names_given


@click.command()
@click.argument("input", type=click.Path(path_type=Path))
@click.option(
    "-a",
    "--alignments",
    type=click.Path(path_type=Path),
    help="The alignments file; by default the one that lies beside the frames, or among the faces.",
)
@click.option(
    "-I",
    "--input-type",
    type=click.Choice(["frames", "faces"]),
    default="frames",
    show_default=True,
    help="What INPUT is: a video, picture or folder of pictures, or a folder of extracted faces.",
)
@click.option("-B", "--batch-mode", is_flag=True, help="INPUT is a folder that holds many inputs, and -a one of files.")
@click.option(
    "-M",
    "--masker",
    "--mask",
    "masks",
    multiple=True,
    callback=names_given,
    help="Mask model; bisenet-fp by default. Several: a,b or the option again. For -p output any mask that is stored, "
    "or one of those drawn from landmarks: components, extended, eye, mouth.",
)
@click.option(
    "-p",
    "--processing",
    type=click.Choice(["all", "missing", "output", "import"]),
    default="all",
    show_default=True,
    help="Make all masks, or those of frames where a face lacks one; only show what there is; or take them from -m.",
)
@click.option(
    "-m",
    "--mask-path",
    type=click.Path(path_type=Path, exists=True),
    help="The folder of masks to import: grey pictures called like the frames or faces, or that end with a video's "
    "frame's number, from 1.",
)
@click.option(
    "-c",
    "--centering",
    type=click.Choice(["face", "head", "legacy"]),
    default="face",
    show_default=True,
    help="Of the masks that are imported.",
)
@click.option(
    "-s",
    "--storage-size",
    type=click.IntRange(64, 1024),
    default=128,
    show_default=True,
    help="Edge of the stored masks, in pixels.",
)
@click.option(
    "-o",
    "--output",
    "--output-folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for pictures of the masks; without -p output, of those that are new.",
)
@click.option(
    "-b",
    "--blur-kernel",
    type=click.IntRange(0, 9),
    default=0,
    show_default=True,
    help="Soften the mask's edge in these pictures: pixels of the stored mask.",
)
@click.option(
    "-t",
    "--threshold",
    type=click.IntRange(0, 50),
    default=0,
    show_default=True,
    help="In these pictures, what is within this % of black or white becomes that.",
)
@click.option(
    "-O",
    "--output-type",
    type=click.Choice(["combined", "masked", "mask"]),
    default="combined",
    show_default=True,
    help="Face, masked face and mask side by side; the face with the mask as its alpha; or the mask.",
)
@click.option("-f", "--full-frame", is_flag=True, help="Pictures of whole frames, with the masks of all their faces.")
@click.option("--overwrite", is_flag=True, help="Replace pictures of masks that are there.")
@click.option(
    "--ignore-unfinished",
    is_flag=True,
    help="Also where extract was interrupted and could go on; it starts anew then.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("-q", "--quiet", is_flag=True, help="Warnings and errors only: no progress bar, no summary.")
@mask_options
@licence_option
def mask(**options: Any) -> int:
    """Make masks for the faces of INPUT that are known already; import or show them.

    The masks go into the alignments file, and of extracted faces into their pictures' headers. A job that was
    interrupted goes on with -p missing.
    """
    from facestream.jobs.mask.command import mask_command
    from facestream.jobs.mask.options import Input, MaskOptions, Process, Shown
    from facestream.jobs.models import FILE, ModelOptions

    keep_quiet(options["quiet"])
    of_models = (
        "device",
        "accept_licence",
        *(name for name in options if name.startswith("mask_") and name != "mask_path"),
    )
    models = ModelOptions(
        detector=FILE,
        aligner=FILE,
        masks=options.pop("masks") or ("bisenet-fp",),
        mask_size=options["storage_size"],
        **{name: options.pop(name) for name in of_models},
    )
    if options["processing"] in ("all", "missing"):
        models = checked_models(models)
    kinds = {"input_type": Input, "processing": Process, "output_type": Shown}
    options |= {name: kind(options[name]) for name, kind in kinds.items()}
    say, tell = click.echo, lambda line: click.echo(line, err=True)
    return asyncio.run(mask_command(MaskOptions(models=models, **options), say, tell))

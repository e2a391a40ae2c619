"""``facestream sort``. Nothing heavy is imported until it runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from facestream.cli_options import keep_quiet

SORTS = (
    *("none", "face", "blur", "blur-fft", "distance", "face-cnn", "face-cnn-dissim", "yaw", "pitch", "roll"),
    *("hist", "hist-dissim", "color-black", "color-gray", "color-luma", "color-green", "color-orange", "size"),
)
GROUPS = tuple(name for name in SORTS if not name.endswith("-dissim"))


@click.command()
@click.argument("input", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Empty folder to move the faces to.")
@click.option(
    "-s",
    "--sort-by",
    "sort",
    type=click.Choice(SORTS),
    help="What comes first; by default what -g groups by, and without -g faces that are alike: face.",
)
@click.option(
    "-g",
    "--group-by",
    "group",
    type=click.Choice(GROUPS),
    default="none",
    show_default=True,
    help="A folder for each group; face: one for each person.",
)
@click.option(
    "-k",
    "--keep",
    "--keep-originals",
    "keep",
    is_flag=True,
    help="Leave the faces as they are and sort copies: in -o, or in a folder called sorted. No embeddings are kept.",
)
@click.option(
    "-t",
    "--threshold",
    type=click.FloatRange(-1),
    help="How unlike two groups may be and still be one; more makes fewer. face: mean cosine distance (sface: 0.55), "
    "hist: 0.3, face-cnn: 7.2.",
)
@click.option(
    "-b",
    "--bins",
    type=click.IntRange(1, 100),
    default=5,
    show_default=True,
    help="Groups by anything that is measured, as blur, yaw or size.",
)
@click.option("-I", "--identity", default="sface", show_default=True, help="Identity model for face.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("-B", "--batch-mode", is_flag=True, help="INPUT holds folders of faces; each is sorted by itself.")
@click.option("-l", "--log-changes", is_flag=True, help="Write what was moved where to sort_log.json in INPUT.")
@click.option("-f", "--log-file", type=click.Path(path_type=Path, dir_okay=False), help="The same, to this file.")
@click.option(
    "--sheet/--no-sheet",
    default=None,
    help="A page to look through the groups, contact_sheet.html; by default where faces are grouped.",
)
@click.option("--no-biometrics", is_flag=True, help="Keep no embeddings in the pictures' headers; only face has any.")
@click.option("--undo", is_flag=True, help="Give the faces that were sorted in INPUT their former names and places.")
@click.option("--quiet", "-q", is_flag=True, help="Warnings and errors only: no progress bar, no summary.")
def sort(**options: Any) -> int:
    """Sort a folder of extracted faces, or group them: by person, sharpness, pose, colour or size.

    The faces are renamed where they are, unless -o or -k says otherwise. Nothing is ever deleted or overwritten; a
    sort that was interrupted is finished by the next, and --undo takes it back.
    """
    from facestream.jobs.sort.command import SortOptions, sort_command

    keep_quiet(options["quiet"])
    return asyncio.run(sort_command(SortOptions(**options)))

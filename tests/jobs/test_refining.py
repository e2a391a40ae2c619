from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import cv2
import numpy as np
import pytest

from facestream.cli_options import chosen_models, model_options
from facestream.cli_settings import SETTINGS
from facestream.config import from_file
from facestream.errors import ConfigError
from facestream.jobs.models import ModelOptions, load_stages
from facestream.jobs.refining import refined
from facestream.plugins.align.looks import SquareAligner
from facestream.plugins.align.normalize import Normalization
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline
from facestream.stream.types import Frame, FrameFaces
from facestream.testing.aligners import FakeSquareAligner
from facestream.testing.plugins import FakeAligner

PLAIN = ModelOptions(detect_size=320, device="cpu")


async def faces_of(picture: Path, options: ModelOptions) -> tuple[FrameFaces, list[str]]:
    """The faces of one picture, and what the stages tell at the end."""
    image = cv2.imread(str(picture))
    assert image is not None
    async with Bridge("cpu") as bridge:
        stages = await load_stages(options, bridge)
        faces = await Pipeline(stages, bridge).process_one(Frame("photo", 0, 0, 0.0, 0.0, image.astype(np.uint8)))
        return faces, [line for stage in stages for line in stage.summary()]


def moved(faces: FrameFaces, others: FrameFaces) -> np.ndarray:
    """(N,) the mean distance of each face's points in eye distances."""
    assert faces.landmarks is not None
    assert others.landmarks is not None
    eyes = np.linalg.norm(faces.landmarks[:, 45] - faces.landmarks[:, 36], axis=1)
    distances: np.ndarray = np.linalg.norm(faces.landmarks - others.landmarks, axis=2).mean(axis=1) / eyes
    return distances


@pytest.mark.usefixtures("weights")
async def test_each_option_refines_the_landmarks_of_a_real_picture(five_faces: Path) -> None:
    plain, told = await faces_of(five_faces, PLAIN)
    assert (len(plain), told) == (5, [])
    for options in (
        replace(PLAIN, re_feed=2),
        replace(PLAIN, re_align=True),
        replace(PLAIN, normalization="clahe"),
        replace(PLAIN, normalization="hist", re_feed=1, re_align=True),
    ):
        faces, _ = await faces_of(five_faces, options)
        assert 0 < moved(plain, faces).mean() < 0.04


@pytest.mark.usefixtures("weights")
async def test_the_seed_decides_what_re_feed_gives(five_faces: Path) -> None:
    first, again, other = [
        (await faces_of(five_faces, replace(PLAIN, re_feed=1, seed=seed, repeatable=True)))[0] for seed in (None, 0, 5)
    ]
    assert moved(first, again).max() == 0
    assert moved(first, other).min() > 0


@pytest.mark.usefixtures("weights")
async def test_filters_leave_faces_out_and_say_so(five_faces: Path) -> None:
    kept, told = await faces_of(five_faces, replace(PLAIN, align_filters=True))
    assert (len(kept), told) == (5, [])
    none, told = await faces_of(five_faces, replace(PLAIN, align_filters=True, aligner_min_scale=0.9))
    assert (len(none), told) == (0, ["[Align filter] Faces left out: outside scale 0.9 to 4: 5"])
    _, told = await faces_of(five_faces, replace(PLAIN, min_size=50))
    assert told == ["[Size filter] Too small: 5"]


def test_an_aligner_of_which_nothing_is_asked_stays_itself() -> None:
    aligner = FakeAligner()
    assert refined(aligner, ModelOptions()) is aligner


def test_normalisation_alone_can_be_switched_later() -> None:
    aligner = refined(FakeSquareAligner(np.zeros((0, 68, 2), np.float32)), ModelOptions(normalization="hist"))
    assert isinstance(aligner, SquareAligner)
    assert aligner.normalization is Normalization.HIST


def test_a_batch_size_chosen_later_reaches_the_aligner() -> None:
    aligner = FakeSquareAligner(np.zeros((0, 68, 2), np.float32))
    wrapped = refined(aligner, ModelOptions(re_feed=1, align_filters=True))
    wrapped.batch_size = 3
    assert (wrapped.batch_size, aligner.batch_size) == (3, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"normalization": "sepia"},
        {"re_feed": 11},
        {"re_feed": 1, "seed": -1},
        {"align_filters": True, "aligner_roll": 95},
    ],
)
def test_options_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="choose"):
        refined(FakeSquareAligner(np.zeros((0, 68, 2), np.float32)), ModelOptions(**wrong))  # type: ignore[arg-type]


def test_an_aligner_that_cuts_no_squares_can_be_filtered_but_not_refined() -> None:
    assert refined(FakeAligner(), ModelOptions(align_filters=True)).name == "fake-aligner"
    with pytest.raises(ConfigError, match="fake-aligner can't look again"):
        refined(FakeAligner(), ModelOptions(re_feed=1))


def chosen(*arguments: str, config: Path | None = None) -> ModelOptions:
    """What a command with these arguments and this configuration file runs."""
    options: list[ModelOptions] = []

    @click.command()
    @model_options
    def command(**taken: object) -> None:
        options.append(chosen_models(taken))

    defaults = from_file(config, SETTINGS).check().values if config else None
    command.main(list(arguments), standalone_mode=False, default_map=defaults)
    return options[0]


def test_the_command_lines_defaults_are_the_options_own() -> None:
    assert replace(chosen(), identity=None) == ModelOptions()


def test_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    config = tmp_path / "facestream.toml"
    config.write_text(
        "[models]\nre_feed = 3\nre_align = true\nnormalization = 'hist'\nalign_filters = true\n"
        "aligner_features = false\naligner_min_scale = 0.1\n"
    )
    options = chosen("--re-feed", "1", "--aligner-features", "--seed", "9", config=config)
    assert (options.re_feed, options.re_align, options.seed, options.normalization) == (1, True, 9, "hist")
    assert (options.align_filters, options.aligner_features, options.aligner_min_scale) == (True, True, 0.1)

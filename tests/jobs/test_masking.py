from __future__ import annotations

import pytest

from facestream.errors import ConfigError
from facestream.jobs.masking import check_mask_options, mask_arguments
from facestream.jobs.models import ModelOptions


def test_each_mask_model_gets_the_options_that_it_knows() -> None:
    options = ModelOptions(
        masks=("bisenet-fp", "custom", "unet-dfl"),
        mask_size=256,
        mask_input_size=384,
        mask_hair=True,
        mask_glasses=False,
        mask_centering="head",
        mask_fill=True,
    )
    check_mask_options(options)
    assert mask_arguments("bisenet-fp", options) == {
        "storage_size": 256,
        "size": 384,
        "hair": True,
        "glasses": False,
    }
    assert mask_arguments("custom", options) == {"storage_size": 256, "centering": "head", "fill": True}
    assert mask_arguments("unet-dfl", options) == {"storage_size": 256}


def test_what_is_as_usual_is_left_to_the_model() -> None:
    assert mask_arguments("bisenet-fp", ModelOptions(masks=("bisenet-fp",))) == {}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (ModelOptions(mask_hair=True), "--mask-hair is for the mask model bisenet-fp: add --mask bisenet-fp"),
        (ModelOptions(masks=("custom",), mask_glasses=False), "--mask-glasses is for the mask model bisenet-fp"),
        (ModelOptions(masks=("bisenet-fp",), mask_fill=True), "--mask-fill is for the mask model custom"),
        (ModelOptions(masks=("none",), mask_centering="head"), "--mask-centering is for the mask model custom"),
    ],
)
def test_an_option_of_another_mask_model_is_refused(options: ModelOptions, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_mask_options(options)


def test_a_mask_model_of_an_installed_package_may_know_any_option() -> None:
    check_mask_options(ModelOptions(masks=("theirs",), mask_hair=True))
    check_mask_options(ModelOptions(mask_size=256))


def test_what_is_asked_of_them_is_checked_for_keywords_too() -> None:
    with pytest.raises(ConfigError, match="--mask-ears"):
        ModelOptions.chosen({"mask_ears": True})


def test_a_mask_drawn_from_landmarks_is_no_models() -> None:
    with pytest.raises(ConfigError, match="components is drawn from landmarks when it is wanted"):
        ModelOptions.chosen({"masks": ["bisenet-fp", "components"]})

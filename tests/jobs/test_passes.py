from __future__ import annotations

from typing import Any

import pytest

from facestream.errors import ConfigError
from facestream.jobs.models import FILE, ModelOptions
from facestream.jobs.passes import passes

CHAIN = ModelOptions(
    aligner="mesh",
    masks=("m", "n"),
    identity=("i", "j"),
    detect_size=320,
    re_feed=2,
    align_filters=True,
    repeatable=True,
)


def planned(**options: Any) -> list[str]:
    return [str(each) for each in passes(ModelOptions(**options), "yunet")]


def test_each_model_has_a_pass_of_its_own_in_the_order_of_the_chain() -> None:
    assert [each.name for each in passes(CHAIN, "yunet")] == ["yunet", "mesh", "m", "n", "i", "j"]
    assert planned() == ["pass 1 of 2 (yunet)", "pass 2 of 2 (mesh)"]


def test_models_that_arent_chosen_have_none() -> None:
    assert planned(aligner="none", identity="none") == ["pass 1 of 1 (yunet)"]
    assert planned(detector=FILE, identity="i") == ["pass 1 of 2 (mesh)", "pass 2 of 2 (i)"]
    assert planned(detector=FILE, aligner=FILE) == []


def test_a_pass_runs_one_model_and_keeps_what_was_asked_of_it() -> None:
    for each in passes(CHAIN, "yunet"):
        models = each.models
        faces = [name for _, name in models.face_models]
        assert ([] if models.detector == FILE else [models.detector]) + faces == [each.name]
        assert (models.detect_size, models.re_feed, models.align_filters, models.repeatable) == (320, 2, True, True)


def test_masks_need_landmarks() -> None:
    with pytest.raises(ConfigError, match="needs landmarks"):
        planned(aligner="none", masks=("m",))

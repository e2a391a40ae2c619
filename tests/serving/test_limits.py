from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from facestream.errors import ConfigError
from facestream.serving.limits import Limits

SERVING = Path(__file__).parents[2] / "serving"


@pytest.mark.parametrize("name", ["requests_per_second", "requests_burst", "wrong_tokens_per_minute", "open_timeout"])
def test_a_limit_that_lets_nobody_in_is_refused_by_its_name(name):
    with pytest.raises(ConfigError, match=f"limits.{name}"):
        Limits(**{name: 0})


def test_others_may_be_nothing():
    assert Limits(connections=0, close_timeout=0.0, sources=0).sources == 0


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Limits)])
def test_each_limit_is_one(name):
    assert any(f"limits.{name}" in path.read_text("utf-8") for path in SERVING.glob("*.py")), "nothing looks at it"

from __future__ import annotations

import pytest

from facestream.errors import ConfigError
from facestream.serving.limits import Limits


@pytest.mark.parametrize("name", ["requests_per_second", "requests_burst", "wrong_tokens_per_minute", "open_timeout"])
def test_a_limit_that_lets_nobody_in_is_refused_by_its_name(name):
    with pytest.raises(ConfigError, match=f"limits.{name}"):
        Limits(**{name: 0})


def test_others_may_be_nothing():
    assert Limits(connections=0, close_timeout=0.0, sources=0).sources == 0

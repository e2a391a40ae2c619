from __future__ import annotations

from typing import Any

import pytest

from facestream.errors import ConfigError
from facestream.jobs.source_options import OPTION_NAMES, SourceOptions
from facestream.stream.guiding import GuidingPolicy


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"max_rate": 0}, "max_rate 0 isn't possible"),
        ({"max_rate": -1.0}, "max_rate -1"),
        ({"max_rate": float("inf")}, "max_rate inf"),
        ({"max_rate": float("nan")}, "max_rate nan"),
        ({"max_rate": 5.0, "lossless": True}, "leave out one of the two"),
        ({"region": (0.5, 0.0, 0.5, 1.0)}, "region"),
        ({"region": (0.0, 0.0, 1.1, 1.0)}, "region"),
        ({"region": (0.0, 0.9, 1.0, 0.1)}, "region"),
        ({"region": (0.0, 0.0, float("nan"), 1.0)}, "region"),
        ({"detect_every": 0}, "detect_every 0"),
        ({"detect_every": True}, "detect_every True"),
        ({"detect_every": "often"}, "detect_every 'often'"),
        ({"open_timeout": 0}, "open_timeout 0"),
        ({"read_timeout": 1e9}, "read_timeout 1e"),
        ({"rtsp_transport": "sctp"}, "choose tcp or udp"),
        ({"decoder": "abacus"}, "choose auto, cpu or cuda"),
    ],
)
def test_what_is_impossible_is_refused_with_its_reason(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        SourceOptions(**options)


@pytest.mark.parametrize(
    "change", [{"max_rate": 5.0}, {"region": (0, 0, 0.5, 1)}, {"detect_every": 3}, {"events": False}]
)
def test_what_models_see_changes_while_a_source_runs(change: dict[str, Any]) -> None:
    assert not SourceOptions(**change).reopens(SourceOptions())


@pytest.mark.parametrize(
    "change",
    [
        {"loop": True},
        {"rtsp_transport": "udp"},
        {"read_timeout": 9.0},
        {"decoder": "auto"},
        {"clips": False},
        {"follow": False},
    ],
)
def test_what_a_source_is_told_at_its_opening_needs_another(change: dict[str, Any]) -> None:
    assert SourceOptions(**change).reopens(SourceOptions())


def test_a_detector_looks_as_often_as_is_asked_for() -> None:
    assert SourceOptions().guiding is None
    assert SourceOptions(detect_every="auto").guiding == GuidingPolicy()
    assert SourceOptions(detect_every=7).guiding == GuidingPolicy(every=7)


def test_every_option_has_its_name() -> None:
    assert {"max_rate", "region", "detect_every", "loop", "clips"} < set(OPTION_NAMES)


def test_whether_a_source_may_send_on_is_not_for_itself_to_say() -> None:
    assert SourceOptions().follow
    assert "follow" not in OPTION_NAMES

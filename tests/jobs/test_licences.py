from __future__ import annotations

from pathlib import Path

import pytest

from facestream.errors import WeightsMissing
from facestream.jobs.licences import accept, with_accepted_licences
from facestream.jobs.models import ModelOptions

MASKED = ModelOptions(masks=("bisenet-fp", "custom"))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one."""
    monkeypatch.setenv("FACESTREAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FACESTREAM_ACCEPT_LICENCE", raising=False)
    return tmp_path / "cache"


class User:
    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, *question: str) -> bool:
        self.asked.append(question)
        return self.answer


def test_a_licence_with_limits_is_shown_once_and_accepted_with_a_yes() -> None:
    user = User(True)
    accepted = with_accepted_licences(MASKED, user)
    assert accepted.accept_licence
    ((name, licence, limits),) = user.asked
    assert (name, licence) == ("bisenet-fp", "non-commercial research only")
    assert "CelebAMask-HQ" in limits
    assert with_accepted_licences(accepted, user) is accepted
    assert len(user.asked) == 1


@pytest.mark.parametrize("ask", [User(False), None])
def test_a_no_and_nobody_to_ask_are_refused_in_one_line_that_names_the_option(ask: User | None) -> None:
    with pytest.raises(WeightsMissing, match=r"bisenet-fp: .* add --accept-licence, or run") as caught:
        with_accepted_licences(MASKED, ask)
    assert "\n" not in str(caught.value)


def test_models_without_limits_ask_nothing() -> None:
    options = ModelOptions(detector="yunet", masks=("custom",), identity="sface")
    assert with_accepted_licences(options, None) is options
    assert accept(["mesh", "yunet"], None) == []


def test_what_the_environment_accepts_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESTREAM_ACCEPT_LICENCE", "bisenet-fp")
    assert with_accepted_licences(MASKED, None) is MASKED


def test_a_misspelt_model_is_left_to_whoever_loads_it() -> None:
    options = ModelOptions(masks=("biseenet",), detector="yunnet")
    assert with_accepted_licences(options, None) is options

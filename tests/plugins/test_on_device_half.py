import logging
from typing import Any

import numpy as np
import pytest
import torch

from facestream.plugins import base, registry
from facestream.plugins.on_device_half import AGREES, error_of, half_types, quick_types
from tests.plugins.conftest import Load, detect


def test_a_card_is_asked_what_it_is_quick_at() -> None:
    assert quick_types((6, 1)) == ()
    assert quick_types((7, 5)) == (torch.float16,)
    assert quick_types((9, 0)) == (torch.float16, torch.bfloat16)
    assert half_types(torch.device("cpu")) == ()


def test_errors_are_told_as_a_share_of_the_size() -> None:
    ones = torch.ones(100)
    assert error_of((ones * 1.01,), (ones,)) == pytest.approx(0.01, rel=1e-4)
    assert error_of((ones, ones * 3), (ones, ones * 2)) == pytest.approx(0.5)
    assert error_of((ones * 1e-4,), (ones * 0,)) == pytest.approx(0.01)
    assert error_of((ones * torch.nan,), (ones,)) == float("inf")
    assert error_of((ones * torch.inf,), (ones,)) == float("inf")


def loaded_trying(monkeypatch: pytest.MonkeyPatch, *kinds: torch.dtype) -> Any:
    monkeypatch.setattr(base, "half_types", lambda device: kinds)
    model = registry.create("detect", "yunet", size=320)
    model.backend, model._prepares_on_device = "torch", True
    model.load("cpu")
    return model


def test_a_network_in_halves_finds_the_same_faces(
    load: Load, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    (exact,) = detect(load("detect", "yunet", size=320), photo)
    model = loaded_trying(monkeypatch, torch.float16)
    assert model._dtype is torch.float16
    (found,) = detect(model, photo)
    np.testing.assert_allclose(found.scores, exact.scores, atol=0.01)
    np.testing.assert_allclose(found.boxes, exact.boxes, atol=1)


def test_halves_that_give_other_results_are_left_out_with_one_line(
    load: Load, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    load("detect", "yunet", size=320)
    monkeypatch.setattr(base, "error_of", lambda found, expected: 2 * AGREES)
    with caplog.at_level(logging.WARNING):
        model = loaded_trying(monkeypatch, torch.float16, torch.bfloat16)
    assert model._dtype is torch.float32
    assert [record.getMessage() for record in caplog.records] == [
        "yunet runs in float32: half precision gives other results on cpu"
    ]


def test_the_next_type_is_tried_where_the_first_will_not_do(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    load("detect", "yunet", size=320)
    errors = iter([1.0, 0.0])
    monkeypatch.setattr(base, "error_of", lambda found, expected: next(errors))
    assert loaded_trying(monkeypatch, torch.float16, torch.bfloat16)._dtype is torch.bfloat16

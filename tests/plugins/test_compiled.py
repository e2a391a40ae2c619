from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from facestream.plugins import base, weights
from facestream.plugins.align.cards import MESH
from facestream.plugins.base import TorchModel
from facestream.plugins.compiled import SHAPES, CompiledNetwork


class Sums(nn.Module):
    """(B, 3, H, W) → each sample's sum (B, 1), and its mean (B, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.weight * x.sum((1, 2, 3))[:, None], x.mean((1, 2, 3))[:, None]


def pixels(count: int, size: int = 4) -> torch.Tensor:
    return torch.arange(count * 3 * size * size, dtype=torch.float32).reshape(count, 3, size, size)


def test_a_compiled_network_gives_what_the_network_gives() -> None:
    net = Sums()
    compiled = CompiledNetwork("sums", net, backend="eager")
    with torch.inference_mode():
        for _ in range(2):
            assert all(torch.equal(a, b) for a, b in zip(compiled(pixels(2)), net(pixels(2))))
    assert compiled.usable


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("No working C++ compiler found"), "No working C++ compiler found (install"),
        (PermissionError(13, "Permission denied", "/var/cache"), "[Errno 13] Permission denied: '/var/cache'"),
        (ImportError("no module called triton.runtime"), "no module called triton.runtime (install"),
    ],
)
def test_where_compiling_is_impossible_the_network_runs_as_it_is_and_says_so_once(
    error: Exception, reason: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise error

    monkeypatch.setattr(torch, "compile", lambda net, **options: broken)
    compiled = CompiledNetwork("sums", Sums())
    for _ in range(3):
        assert compiled(pixels(2))[0].shape == (2, 1)
    assert not compiled.usable
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert line.startswith(f"sums runs uncompiled: {reason}")


def test_where_torch_can_not_compile_at_all_the_network_runs_as_it_is(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(net: object, **options: object) -> None:
        raise RuntimeError("torch.compile is not supported on this Python")

    monkeypatch.setattr(torch, "compile", refuse)
    compiled = CompiledNetwork("sums", Sums())
    assert compiled(pixels(2))[0].shape == (2, 1)
    assert not compiled.usable
    assert "sums runs uncompiled: torch.compile is not supported" in caplog.text


def test_running_out_of_memory_is_no_reason_to_give_compiling_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "compile", lambda net, **options: full)
    compiled = CompiledNetwork("sums", Sums())
    with pytest.raises(torch.OutOfMemoryError):
        compiled(pixels(2))
    assert compiled.usable


def test_a_network_whose_input_has_ever_new_shapes_is_left_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    compiled = CompiledNetwork("sums", Sums(), backend="eager")
    with torch.inference_mode():
        for size in range(1, SHAPES + 2):
            compiled(pixels(1, size))
    assert not compiled.usable
    assert f"more than {SHAPES} shapes" in caplog.text


class Model(TorchModel):
    card = dataclasses.replace(MESH, name="sums", range=(0.0, 255.0), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    compile = True

    @staticmethod
    def network() -> nn.Module:
        return Sums()

    @staticmethod
    def convert(files: Sequence[Path]) -> weights.Arrays:
        raise NotImplementedError

    def _step(self, pixels: np.ndarray) -> int:
        return min(4, self._most_rows or 4)

    def _warm_up(self) -> None:
        self.forward(np.zeros((4, 4, 4, 3), np.uint8))


@pytest.fixture
def sums_are_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file(Sums().state_dict(), tmp_path / "sums.safetensors")
    monkeypatch.setattr(weights, "fetch_weights", lambda *args: tmp_path / "sums.safetensors")


def made_by(monkeypatch: pytest.MonkeyPatch, kind: type[CompiledNetwork]) -> Model:
    """A loaded model, whose networks are compiled as ``kind``."""
    monkeypatch.setattr(base, "CompiledNetwork", lambda name, net: kind(name, net, backend="eager"))
    model = Model()
    model.load("cpu")
    return model


@pytest.mark.usefixtures("sums_are_here")
@pytest.mark.parametrize("count", [1, 3, 4, 6])
def test_a_batch_that_is_not_full_is_filled_up_and_its_results_are_its_own(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = []

    class Compiled(CompiledNetwork):
        def __call__(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
            shapes.append(tuple(x.shape))
            return super().__call__(x)

    model = made_by(monkeypatch, Compiled)
    samples = np.arange(count * 4 * 4 * 3, dtype=np.uint8).reshape(count, 4, 4, 3)
    sums, means = model.forward(samples)
    assert sums[:, 0].tolist() == samples.sum((1, 2, 3)).tolist()
    assert means.shape == (count, 1)
    assert set(shapes) == {(4, 3, 4, 4)}


@pytest.mark.usefixtures("sums_are_here")
def test_a_compiled_batch_that_does_not_fit_is_compiled_smaller_and_nothing_is_lost(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = False

    class Compiled(CompiledNetwork):
        def __call__(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
            if full and len(x) > 1:  # however few of its rows are real
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().__call__(x)

    model = made_by(monkeypatch, Compiled)
    full = True
    samples = np.arange(3 * 4 * 4 * 3, dtype=np.uint8).reshape(3, 4, 4, 3)
    for _ in range(2):
        sums, _ = model.forward(samples)
        assert sums[:, 0].tolist() == samples.sum((1, 2, 3)).tolist()
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [line.rpartition(" ")[2] for line in lines] == ["2", "1"]

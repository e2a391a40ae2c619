"""What is recorded and replayed, with a recorder for the CPU. CUDA's own is tried where there's a GPU."""

from __future__ import annotations

import dataclasses
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
from facestream.plugins.graphs import SHAPES, Body, GraphedNetwork, ShapeCounts, cuda_capture, filled_up


class Recorder:
    """Records as CUDA does: one place for what goes in and one for what comes out."""

    def __init__(self, *, error: Exception | None = None, wrong: float = 0.0) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self.replayed = 0
        self._error = error
        self._wrong = wrong

    def __call__(self, body: Body, example: Tensor) -> Body:
        if self._error is not None:
            raise self._error
        self.shapes.append(tuple(example.shape))
        still = example.clone()
        outputs = body(still)

        def replay(x: Tensor) -> tuple[Tensor, ...]:
            self.replayed += 1
            still[: len(x)].copy_(x)
            for output, fresh in zip(outputs, body(still), strict=True):
                output.copy_(fresh + self._wrong)
            return tuple(output.clone() for output in outputs)

        return replay


def body(x: Tensor) -> tuple[Tensor, ...]:
    return x.float().sum((1, 2))[:, None], x.float() * 2


def batch(count: int, size: int = 3) -> Tensor:
    return torch.arange(1, 1 + count * size * size, dtype=torch.float32).reshape(count, size, size)


def graphed(recorder: Recorder, most: int = 6, often: int = 2) -> GraphedNetwork:
    return GraphedNetwork("sums", body, most, capture=recorder, often=often)


@pytest.mark.parametrize(("count", "size"), [(1, 1), (2, 2), (3, 4), (4, 4), (5, 6), (6, 6), (7, 8), (9, 16)])
def test_batches_are_filled_up_to_powers_of_two_or_the_full_batch(count: int, size: int) -> None:
    assert filled_up(count, 6) == size


def test_a_size_is_computed_once_before_it_is_recorded() -> None:
    seen: list[tuple[int, bool]] = []
    recording = False

    def watched(x: Tensor) -> tuple[Tensor, ...]:
        seen.append((len(x), recording))
        return body(x)

    def capture(body: Body, example: Tensor) -> Body:
        nonlocal recording
        recording = True
        body(example)
        recording = False
        return body

    network = GraphedNetwork("sums", watched, 8, capture=capture, often=1)
    network(batch(5))
    assert seen[:3] == [(5, False), (8, False), (8, True)]


def test_a_shape_comes_often_after_so_many_times() -> None:
    counts = ShapeCounts(often=3)
    assert [counts.comes_often((1, 2)) for _ in range(4)] == [False, False, True, True]


def test_shapes_not_seen_for_long_are_forgotten() -> None:
    counts = ShapeCounts(often=2, remembered=2)
    for shape in ((1,), (2,), (3,)):
        counts.comes_often(shape)
    assert counts.comes_often((3,))
    assert not counts.comes_often((1,))


def test_what_comes_often_is_replayed_and_gives_the_same() -> None:
    recorder = Recorder()
    network = graphed(recorder)
    for count in (5, 6, 5, 1, 6):
        found = network(batch(count))
        assert all(torch.equal(one, other) for one, other in zip(found, body(batch(count)), strict=True))
    assert network.shapes == recorder.shapes == [(6, 3, 3)]
    assert recorder.replayed == 1 + 2  # compared once, used for the third and the last batch


def test_results_stay_when_the_next_batch_comes() -> None:
    network = graphed(Recorder(), often=1)
    network(batch(4))
    first = network(batch(4))
    kept = [output.clone() for output in first]
    network(batch(4) + 1)
    assert all(torch.equal(one, other) for one, other in zip(first, kept, strict=True))


def test_no_more_shapes_are_recorded_than_memory_is_meant_for() -> None:
    recorder = Recorder()
    network = graphed(recorder, often=1)
    for size in range(1, SHAPES + 4):
        network(batch(2, size))
        assert torch.equal(network(batch(2, size))[1], batch(2, size) * 2)
    assert len(network.shapes) == SHAPES


@pytest.mark.parametrize(
    ("recorder", "reason"),
    [
        (Recorder(error=RuntimeError("operation not permitted when stream is capturing\nmore")), "operation not perm"),
        (Recorder(error=torch.OutOfMemoryError("CUDA out of memory")), "CUDA out of memory"),
        (Recorder(wrong=1000.0), "what is replayed differs"),
    ],
)
def test_what_cannot_be_recorded_runs_as_it_is_and_one_line_says_so(
    recorder: Recorder, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    network = graphed(recorder, often=1)
    for _ in range(4):
        assert torch.equal(network(batch(3))[1], batch(3) * 2)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"sums runs without CUDA graphs: {reason}")
    assert network.shapes == []


class Sums(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x.sum((1, 2, 3))[:, None]


class Model(TorchModel):
    card = dataclasses.replace(MESH, name="sums", range=(0.0, 255.0), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    backend = "torch"

    @staticmethod
    def network() -> nn.Module:
        return Sums()

    @staticmethod
    def convert(files: Sequence[Path]) -> weights.Arrays:
        raise NotImplementedError

    def _warm_up(self) -> None:
        self.forward(np.zeros((4, 4, 4, 3), np.uint8))


@pytest.fixture
def sums_are_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file({"weight": torch.ones(1)}, tmp_path / "sums.safetensors")
    monkeypatch.setattr(base.weights, "fetch_weights", lambda card, convert: tmp_path / "sums.safetensors")


@pytest.mark.usefixtures("sums_are_here")
def test_a_model_replays_the_batches_that_come_often() -> None:
    recorder = Recorder()
    model = Model(batch_size=4)
    model._capture = recorder
    model.load("cpu")
    for number in range(40):
        pixels = np.full((3, 4, 4, 3), number, np.uint8)
        (sums,) = model.forward(pixels)
        assert sums.tolist() == [[48.0 * number]] * 3
    assert recorder.shapes == [(4, 4, 4, 3)]
    assert recorder.replayed > 5


@pytest.mark.usefixtures("sums_are_here")
def test_a_cpu_records_nothing_by_itself() -> None:
    model = Model(batch_size=4)
    model.load("cpu")
    assert model._graphs == {}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cuda_records_and_replays() -> None:
    network = GraphedNetwork("sums", body, 6, capture=cuda_capture, often=2)
    with torch.inference_mode(), torch.cuda.stream(torch.cuda.Stream()):
        for count in (5, 6, 5, 4, 6):
            found = network(batch(count).cuda())
            assert all(torch.equal(a.cpu(), b) for a, b in zip(found, body(batch(count)), strict=True))
    assert network.shapes == [(6, 3, 3)]

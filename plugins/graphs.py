"""A network recorded once for each shape that it often sees, and replayed as a whole: CUDA graphs.

A small network on a GPU is a hundred kernels of a few microseconds each, and launching them takes longer than running
them. A graph launches them together. It holds for one shape and one place in memory: so batches are filled up to a few
sizes, and what goes in and comes out is copied.

Deciding what is recorded is apart from recording, so that a CPU tests it. Recording was written by CUDA's rules and
has not been seen on a GPU yet; each recording is compared with the network itself before it is used.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

import torch
from torch import Tensor

from facestream.plugins.on_device_half import AGREES, error_of

Body: TypeAlias = Callable[[Tensor], tuple[Tensor, ...]]
"""(B, …) → outputs (B, …); the same kernels for the same shape, and no look at a value on the way."""

OFTEN: Final = 30
"""Batches of a shape before it is recorded: what comes rarely isn't worth the memory."""

SHAPES: Final = 8
"""Recorded shapes of one network. Each keeps the memory of all that lies between its input and its outputs."""

_REMEMBERED: Final = 64

_FAILURES: Final = (RuntimeError, ValueError)
"""What recording raises: CUDA's errors, memory's among them, are RuntimeErrors; a result of another form is a
ValueError."""

logger = logging.getLogger("facestream.plugins")


class Capture(Protocol):
    """Records ``body`` for the shape of ``example``; returns what replays it for as many samples or fewer.

    What the replay returns are outputs of the shape's own number of samples, no views of what the next one overwrites.
    """

    def __call__(self, body: Body, example: Tensor) -> Body: ...


class ShapeCounts:
    """Which shapes come often. Pure, and bounded: those not seen for long are forgotten.

    Args:
        often: how many times is often.
        remembered: shapes.
    """

    def __init__(self, often: int = OFTEN, remembered: int = _REMEMBERED) -> None:
        self._often = often
        self._remembered = remembered
        self._counts: OrderedDict[tuple[int, ...], int] = OrderedDict()

    def comes_often(self, shape: tuple[int, ...]) -> bool:
        """Count one more of ``shape``; whether it has come often by now."""
        count = self._counts[shape] = self._counts.pop(shape, 0) + 1
        if len(self._counts) > self._remembered:
            self._counts.popitem(last=False)
        return count >= self._often


def filled_up(count: int, most: int) -> int:
    """The size up to which a batch of ``count`` is filled: a power of two, or ``most``, the usual largest."""
    size = 1 << (count - 1).bit_length()
    return most if count <= most < size else size


class GraphedNetwork:
    """Stands in for a network. Not for several threads at once.

    Args:
        name: the model's, for messages.
        body: the network and what lies around it.
        most: samples of a full batch.
        capture: how to record; None as CUDA does.
        often: see :data:`OFTEN`.
    """

    def __init__(self, name: str, body: Body, most: int, *, capture: Capture | None = None, often: int = OFTEN) -> None:
        self._name = name
        self._body = body
        self._most = most
        self._capture = capture or cuda_capture
        self._counts = ShapeCounts(often)
        self._replays: dict[tuple[int, ...], Body] = {}
        self._usable = True

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        """The network's outputs; raises what the network raises."""
        shape = filled_up(len(x), self._most), *x.shape[1:]
        replay = self._replays.get(shape)
        if replay is not None:
            return tuple(output[: len(x)] for output in replay(x))
        outputs = self._body(x)
        if self._usable and len(self._replays) < SHAPES and self._counts.comes_often(shape):
            self._record(shape, x, outputs)
        return outputs

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Those that are replayed."""
        return list(self._replays)

    def _record(self, shape: tuple[int, ...], x: Tensor, expected: tuple[Tensor, ...]) -> None:
        """Record ``shape``, unless that fails or gives something else than the network has just given for ``x``."""
        try:
            example = _filled(x, shape[0])
            self._body(example)  # what this size needs is loaded and chosen now: within a recording it can't be
            replay = self._capture(self._body, example)
            found = tuple(output[: len(x)] for output in replay(x))
            agrees = error_of(found, expected) <= AGREES
        except _FAILURES as error:
            self._give_up(next(iter(str(error).splitlines()), "") or type(error).__name__)
            return
        if agrees:
            self._replays[shape] = replay
        else:
            self._give_up("what is replayed differs from what it computes")

    def _give_up(self, reason: str) -> None:
        self._usable = False
        self._replays.clear()
        logger.warning("%s runs without CUDA graphs: %s", self._name, reason[:200])


def _filled(x: Tensor, size: int) -> Tensor:
    """``x`` with empty samples behind; they go through the network as well."""
    return torch.cat([x, x.new_zeros((size - len(x), *x.shape[1:]))]) if len(x) < size else x


def cuda_capture(body: Body, example: Tensor) -> Body:
    """A CUDA graph of ``body`` in the present stream, which mustn't be the default one.

    Raises:
        RuntimeError: it holds an operation that can't be recorded, or doesn't fit into the memory.
    """
    still = example.clone()
    graph = torch.cuda.CUDAGraph()
    # Other models' threads go on meanwhile: what they do isn't recorded and doesn't disturb, but for another
    # recording, which begins by waiting for the whole device.
    with (
        _recording(),
        torch.cuda.graph(graph, stream=torch.cuda.current_stream(still.device), capture_error_mode="thread_local"),
    ):
        outputs = body(still)

    def replay(x: Tensor) -> tuple[Tensor, ...]:
        still[: len(x)].copy_(x)
        graph.replay()
        return tuple(output.clone() for output in outputs)

    return replay


@functools.cache
def _recording() -> threading.Lock:
    """One recording at a time in a process."""
    return threading.Lock()

"""What every torch model shares, so that a model's file holds its network, conversion and decoding.

A detector's author writes a subclass of :class:`TorchDetector` with a ``card`` and three methods::

    class MyDetector(TorchDetector):
        card = MYDETECTOR

        @staticmethod
        def network() -> nn.Module: ...

        @staticmethod
        def convert(files: Sequence[Path]) -> Arrays: ...

        def decode(self, raw: Outputs) -> Candidates: ...
"""

from __future__ import annotations

import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeAlias

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from facestream.errors import DeviceError, ModelError, OutOfDeviceMemory, WeightsCorrupt
from facestream.plugins import weights
from facestream.plugins.card import Card
from facestream.plugins.letterbox import Letterbox, letterbox
from facestream.plugins.nms import suppress_batch
from facestream.plugins.weights import Arrays
from facestream.stream.types import Detections, Floats, Image, Ints

Outputs: TypeAlias = tuple[Floats, ...]
"""A network's outputs on the host, in the order in which it returns them."""

logger = logging.getLogger("facestream.plugins")


class TorchModel(ABC):
    """A network with a card: fetching, loading, placing, running and checking it.

    Args:
        batch_size: samples at a time; None means the card's.

    Attributes:
        card: the model's data card.
        name: the card's name.
        batch_size: samples at a time.
    """

    card: ClassVar[Card]

    def __init__(self, *, batch_size: int | None = None) -> None:
        self.name = self.card.name
        self.batch_size = batch_size or self.card.batch
        self._net: nn.Module | None = None
        self._device = torch.device("cpu")
        self._dtype = torch.float32

    @staticmethod
    @abstractmethod
    def network() -> nn.Module:
        """The network, weights still random: (B, 3, H, W) floats as the card describes → one or several tensors."""

    @staticmethod
    @abstractmethod
    def convert(files: Sequence[Path]) -> Arrays:
        """The card's published files → the network's state by key."""

    def load(self, device: str) -> None:
        """Fetch the weights if need be, build the network on ``device`` and run it once to see that it works.

        Raises:
            WeightsMissing, WeightsCorrupt: see :func:`facestream.plugins.weights.fetch_weights`.
            DeviceError: there is no such device.
            ModelError: the network's outputs aren't what its contract says.
        """
        path = weights.fetch_weights(self.card, self.convert)
        net = self.network()
        try:
            net.load_state_dict(load_file(path))
        except RuntimeError as error:
            raise WeightsCorrupt(
                f"{self.name}: {path} doesn't fit the network: delete it: {error}"
            ) from error
        self._device = checked_device(device)
        self._dtype = torch.float16 if self.card.half and self._device.type == "cuda" else torch.float32
        self._mean, self._std = (
            torch.tensor(values, device=self._device, dtype=self._dtype).view(1, 3, 1, 1)
            for values in (self.card.mean, self.card.std)
        )
        self._net = (
            net.eval().requires_grad_(False).to(self._device, self._dtype, memory_format=torch.channels_last)
        )
        self._warm_up()

    def forward(self, pixels: Image) -> Outputs:
        """Run the network on uint8 pixels (B, H, W, 3), already in the card's colour order.

        Raises:
            OutOfDeviceMemory: the batch didn't fit.
            ModelError: :meth:`load` wasn't called.
        """
        if self._net is None:
            raise ModelError(f"{self.name}: load() it before use")
        with torch.inference_mode(), memory_errors(self.name, len(pixels)):
            outputs = self._net(self._normalise(self._upload(pixels)))
            if isinstance(outputs, Tensor):
                outputs = (outputs,)
            return tuple(output.float().cpu().numpy() for output in outputs)

    def _upload(self, pixels: Image) -> Tensor:
        """(B, H, W, 3) on the host → (B, 3, H, W) on the device: channels-last in memory, as it was."""
        host = torch.from_numpy(pixels)
        if self._device.type == "cuda":
            host = host.pin_memory()
        return host.to(self._device, non_blocking=True).permute(0, 3, 1, 2)

    def _normalise(self, pixels: Tensor) -> Tensor:
        low, high = self.card.range
        x = pixels.to(self._dtype)
        if (low, high) != (0.0, 255.0):
            x = x.mul_((high - low) / 255.0)
            x = x.add_(low) if low else x
        if any(self.card.mean) or self.card.std != (1.0, 1.0, 1.0):
            x = x.sub_(self._mean).div_(self._std)
        return x

    @abstractmethod
    def _warm_up(self) -> None:
        """Run once on blank pixels and check what comes out."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What a detector's decoding finds in a batch, before suppression; flat over the batch, canvas pixels.

    Attributes:
        frame_ids: int32 (N,), the canvas of each.
        boxes: float32 (N, 4) ltrb.
        scores: float32 (N,).
        points: float32 (N, 5, 2) or None.
    """

    frame_ids: Ints
    boxes: Floats
    scores: Floats
    points: Floats | None = None


class TorchDetector(TorchModel):
    """A fully convolutional detector: letterbox, network, decoding, suppression, back to frame pixels.

    Args:
        size: pixels of the long side that a frame is scaled to; None means the card's.
        threshold: the least score of a detection; None means the card's.
        batch_size: frames at a time; None means the card's.

    Attributes:
        iou: overlap above which the lesser of two boxes goes.
    """

    iou: ClassVar[float] = 0.3

    def __init__(
        self, *, size: int | None = None, threshold: float | None = None, batch_size: int | None = None
    ) -> None:
        super().__init__(batch_size=batch_size)
        self.size = size or self.card.input_size
        self.threshold = threshold if threshold is not None else (self.card.threshold or 0.5)

    @abstractmethod
    def decode(self, raw: Outputs) -> Candidates:
        """The network's outputs → the batch's candidates with a score of at least ``self.threshold``."""

    def pre_process(self, images: Sequence[Image]) -> Letterbox:
        """Frames of any sizes → one canvas."""
        return letterbox(images, self.size, rgb=self.card.colour == "rgb")

    def infer(self, feed: Letterbox) -> Outputs:
        """The canvas through the network; see :meth:`TorchModel.forward`."""
        return self.forward(feed.canvas) if len(feed) else ()

    def post_process(self, raw: Outputs, feed: Letterbox) -> list[Detections]:
        """Decoded, suppressed, scaled back: one :class:`Detections` a frame, best first, in frame pixels."""
        if not raw:
            return []
        found = self.decode(raw)
        corners = feed.to_frame(found.boxes.reshape(-1, 2, 2), found.frame_ids).reshape(-1, 4)
        points = None if found.points is None else feed.to_frame(found.points, found.frame_ids)
        kept = suppress_batch(found.frame_ids, corners, found.scores, self.iou, len(feed))
        return [
            Detections(corners[rows], found.scores[rows], None if points is None else points[rows])
            for rows in kept
        ]

    def _warm_up(self) -> None:
        feed = self.pre_process([np.zeros((48, 64, 3), np.uint8)])
        raw = self.infer(feed)
        check_finite(self.name, raw)
        (found,) = self.post_process(raw, feed)
        check_shape(self.name, "boxes", found.boxes, (len(found.scores), 4))


def checked_device(device: str) -> torch.device:
    """``device`` as torch's own, after a first allocation on it.

    Raises:
        DeviceError: there is no such device here.
    """
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise DeviceError(f"device {device!r} can't be used ({reason}): try --device cpu") from error
    return chosen


@contextlib.contextmanager
def memory_errors(name: str, count: int) -> Iterator[None]:
    """Turn torch's ways of saying "out of memory" into :class:`OutOfDeviceMemory`."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfDeviceMemory(f"{name}: a batch of {count} doesn't fit into the GPU's memory") from error
    except RuntimeError as error:
        if "DefaultCPUAllocator" not in str(error) and "out of memory" not in str(error):
            raise
        raise OutOfDeviceMemory(f"{name}: a batch of {count} doesn't fit into memory") from error


def check_finite(name: str, outputs: Outputs) -> None:
    """
    Raises:
        ModelError: an output holds a NaN or an infinity.
    """
    for index, output in enumerate(outputs):
        if not np.isfinite(output).all():
            raise ModelError(
                f"{name}: output {index} isn't finite; its weights or this device's arithmetic are broken"
            )


def check_shape(name: str, what: str, array: Floats, shape: tuple[int, ...]) -> None:
    """
    Raises:
        ModelError: ``array`` isn't float32 of ``shape``.
    """
    if array.dtype != np.float32 or array.shape != shape:
        raise ModelError(f"{name}: {what} are {array.dtype} {array.shape}, not float32 {shape}")

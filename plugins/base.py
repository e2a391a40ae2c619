"""What every torch model shares, so that a model's file holds its network, conversion and decoding.

What a role adds to it is in that role's folder: ``detect/base.py``, ``align/base.py``.
"""

from __future__ import annotations

import contextlib
import copy
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from facestream.errors import ModelError, OutOfDeviceMemory, UnusableDevice, WeightsCorrupt
from facestream.plugins import weights
from facestream.plugins.card import Card
from facestream.plugins.compiled import CompiledNetwork
from facestream.plugins.graphs import Body, Capture, GraphedNetwork
from facestream.plugins.on_device_frames import UploadedFrames
from facestream.plugins.on_device_half import AGREES, error_of, half_types
from facestream.plugins.on_device_pixels import DevicePixels
from facestream.plugins.openvino_network import OpenVinoNetwork, agreeing_network, openvino_version
from facestream.plugins.weights import Arrays
from facestream.stream.types import Floats, Image

Outputs: TypeAlias = tuple[Floats, ...]
"""A network's outputs on the host, in the order in which it returns them."""

Result = TypeVar("Result")

Network: TypeAlias = Callable[[Tensor], Tensor | tuple[Tensor, ...]]
"""A module, or one compiled."""

# A CPU gains nothing from a larger batch and loses by it: the activations leave the caches, and memory for them comes
# fresh from the kernel each time (yunet at 640 × 384: 8 ms a frame alone, 16 ms a frame in a batch of 4).
_CPU_PIXELS = 1 << 18

logger = logging.getLogger("facestream.plugins")


class TorchModel(ABC):
    """A network with a card: fetching, loading, placing, running and checking it.

    Args:
        batch_size: samples at a time; None means the card's.

    Attributes:
        card: the model's data card.
        name: the card's name.
        batch_size: samples at a time.
        compile: set it before :meth:`load` to run the network compiled, where it can be.
        compilable: whether that makes sense: a model that looks at pictures of ever new sizes says no.
        backend: set it before :meth:`load`: "openvino", "torch", or "auto" for OpenVINO on a CPU where it is installed.
        sizes_vary: its pictures have several sizes, multiples of 32 pixels.
        uploads: the frames on the device; models that share one bring each frame there once.
    """

    card: ClassVar[Card]
    compile = False
    compilable: ClassVar[bool] = True
    backend = "auto"
    sizes_vary: ClassVar[bool] = False
    _prepares_on_device: bool | None = None  # None: on a GPU; tests have a CPU do it, too
    _capture: Capture | None = None  # None: CUDA's, on a GPU; tests have one for a CPU

    def __init__(self, *, batch_size: int | None = None) -> None:
        self.name = self.card.name
        self.batch_size = batch_size or self.card.batch
        self._net: nn.Module | None = None
        self._compiled: dict[str, CompiledNetwork] = {}  # by part
        self._graphs: dict[str, GraphedNetwork] = {}  # by part
        self._most_rows: int | None = None  # of a compiled batch, once a larger one hasn't fitted
        self._fast: OpenVinoNetwork | None = None
        self._device = torch.device("cpu")
        self._dtype = torch.float32
        self._stream: torch.cuda.Stream | None = None
        self.uploads = UploadedFrames()

    @staticmethod
    @abstractmethod
    def network() -> nn.Module:
        """The network, weights still random: (B, 3, H, W) as the card describes → one or several tensors."""

    @staticmethod
    @abstractmethod
    def convert(files: Sequence[Path]) -> Arrays:
        """The card's published files → the network's state by key."""

    def load(self, device: str) -> None:
        """Fetch the weights if need be, build the network on ``device`` and run it once to see that it works.

        Raises:
            WeightsMissing, WeightsCorrupt: see :func:`facestream.plugins.weights.fetch_weights`.
            UnusableDevice: there is no such device, or no OpenVINO for it where that was asked for.
            ModelError: the network's outputs aren't what its contract says.
        """
        path = weights.fetch_weights(self.card, self.convert)
        net = self.network()
        try:
            net.load_state_dict(load_file(path))
        except RuntimeError as error:
            raise WeightsCorrupt(f"{self.name}: {path} doesn't fit the network: delete it: {error}") from error
        self._device = checked_device(device)
        self._compiled, self._graphs, self._most_rows, self._fast = {}, {}, None, None
        self._stream = None
        self._use(net.eval().requires_grad_(False).to(self._device), torch.float32)
        if self.card.half:
            self._try_halves()
        self._stream = _own_stream(self._device)
        if self.compile and not self.compilable:
            logger.warning("%s runs uncompiled: its pictures have ever new sizes", self.name)
        if self._wants_openvino():
            assert self._net is not None
            self._fast = agreeing_network(
                *(self.name, self._net, path, weights.cache_folder() / "openvino"),
                size=None if self.sizes_vary else self.input_size,
                normalised=self._normalised_by(),
                expected=self.forward,
                strict=self.backend == "openvino",
            )
        self._warm_up()

    def _use(self, net: nn.Module, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._mean, self._std = (
            torch.tensor(values, device=self._device, dtype=dtype).view(1, 3, 1, 1)
            for values in (self.card.mean, self.card.std)
        )
        # 1.6 to 2 times as fast as one plane a channel on a CPU, for each of yunet, centerface and mesh.
        self._net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _try_halves(self) -> None:
        """Go over to half precision, if a type that this device is quick at gives what float32 gives."""
        exact, kinds = self._net, half_types(self._device)
        if exact is None or not kinds:
            return
        shape = (2, 64, 96, 3) if self.sizes_vary else (2, self.input_size, self.input_size, 3)
        sample = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
        expected = self._tried(sample)
        for kind in kinds:
            self._use(copy.deepcopy(exact).to(kind), kind)
            if error_of(self._tried(sample), expected) <= AGREES:
                return
        self._use(exact, torch.float32)
        logger.warning("%s runs in float32: half precision gives other results on %s", self.name, self._device)

    def _tried(self, sample: Image) -> tuple[Tensor, ...]:
        assert self._net is not None
        with torch.inference_mode(), memory_errors(self.name, len(sample)):
            return self._run(partial(self._passed, self._net), self._uploaded(sample), len(sample))

    @property
    def input_size(self) -> int:
        """Pixels of the long side, or of the square, that the network sees."""
        return self.card.input_size

    def _wants_openvino(self) -> bool:
        if self.backend == "torch" or self.compile or not self.compilable or self._device.type != "cpu":
            return False
        if openvino_version() is None and self.backend == "openvino":
            raise UnusableDevice(f"{self.name}: OpenVINO isn't installed: pip install 'facestream[openvino]'")
        return openvino_version() is not None

    def _normalised_by(self) -> tuple[Floats, Floats]:
        """Mean and scale by channel: what :meth:`_normalise` does is ``(pixel - mean) / scale``."""
        low, high = self.card.range
        unit = 255.0 / (high - low)
        mean, std = np.array(self.card.mean, np.float32), np.array(self.card.std, np.float32)
        return (mean - np.float32(low)) * np.float32(unit), std * np.float32(unit)

    @property
    def on_device(self) -> bool:
        """Whether frames go to the device as they are, and what the network is to see of them is made there."""
        return self._device.type == "cuda" if self._prepares_on_device is None else self._prepares_on_device

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self._device

    def forward(self, pixels: Image | DevicePixels, part: str = "") -> Outputs:
        """Run the network on uint8 pixels (B, H, W, 3), B at least 1, already in the card's colour order.

        Args:
            pixels: the samples, or what makes them on the device.
            part: the submodule to run, for a model that is several networks.

        Raises:
            OutOfDeviceMemory: the batch didn't fit.
            ModelError: :meth:`load` wasn't called.
        """
        if self._fast is not None and isinstance(pixels, np.ndarray):
            try:
                return self._fast(pixels)
            except RuntimeError as error:
                logger.warning("%s goes on with torch, OpenVINO failed: %s", self.name, str(error).splitlines()[-1])
                self._fast = None
        return self.finished(pixels, downloaded, part)

    def finished(
        self, pixels: Image | DevicePixels, finish: Callable[[tuple[Tensor, ...]], Result], part: str = ""
    ) -> Result:
        """The same, and then ``finish`` with the network's outputs, float32 and still on the device.

        It runs where and when the network runs, on a GPU on the same stream, and returns what is on the host.

        Raises:
            OutOfDeviceMemory, ModelError: see :meth:`forward`.
        """
        if self._net is None:
            raise ModelError(f"{self.name}: load() it before use")
        with torch.inference_mode(), self._on_stream(), memory_errors(self.name, len(pixels)):
            return finish(self._outputs(self._uploaded(pixels), part))

    def _on_stream(self) -> contextlib.AbstractContextManager[Any]:
        """Each model has a stream of its own, so that those of neighbouring batches overlap on a GPU."""
        return contextlib.nullcontext() if self._stream is None else torch.cuda.stream(self._stream)

    def _outputs(self, pixels: Tensor, part: str) -> tuple[Tensor, ...]:
        assert self._net is not None
        run, step = self._runner(self._net, part), self._step(pixels)
        try:
            with memory_errors(self.name, min(step, len(pixels))):
                steps = [self._run(run, pixels[start : start + step], step) for start in range(0, len(pixels), step)]
            return steps[0] if len(steps) == 1 else tuple(torch.cat(outputs) for outputs in zip(*steps))
        except OutOfDeviceMemory:
            if not self._compiles or step == 1:
                raise
        # A smaller batch would be filled up to the same size again, so it is the size itself that has to shrink.
        self._most_rows = (step + 1) // 2
        logger.warning("%s: the device is out of memory; compiling for batches of %d", self.name, self._most_rows)
        return self._outputs(pixels, part)

    @property
    def _compiles(self) -> bool:
        return self.compile and self.compilable and all(part.usable for part in self._compiled.values())

    def _network(self, net: nn.Module, part: str) -> Network:
        if not self._compiles:
            return net.get_submodule(part)
        if part not in self._compiled:
            self._compiled[part] = CompiledNetwork(self.name, net.get_submodule(part))
        return self._compiled[part]

    def _runner(self, net: nn.Module, part: str) -> Body:
        """What runs the network on a batch: recorded, on a GPU, where its shape comes often."""
        body = partial(self._passed, self._network(net, part))
        if self._capture is None and self._device.type != "cuda":
            return body
        if part not in self._graphs:
            self._graphs[part] = GraphedNetwork(self.name, body, self.batch_size, capture=self._capture)
        return self._graphs[part]

    def _step(self, pixels: Tensor) -> int:
        """Samples that the network sees at a time."""
        if self._compiles:  # one shape only: a CPU's time goes with the samples, empty ones included
            return 1 if self._device.type == "cpu" else min(self.batch_size, self._most_rows or self.batch_size)
        if self._device.type != "cpu":
            return len(pixels)
        height, width = pixels.shape[1:3]
        return max(1, _CPU_PIXELS // int(height * width))

    def _run(self, run: Body, pixels: Tensor, step: int) -> tuple[Tensor, ...]:
        count = len(pixels)
        if self._compiles and count < step:  # rows that fill the batch up; what comes of them is left out
            pixels = torch.cat([pixels, pixels.new_zeros((step - count, *pixels.shape[1:]))])
        return tuple(output[:count] for output in run(pixels))

    def _passed(self, net: Network, pixels: Tensor) -> tuple[Tensor, ...]:
        """uint8 (B, H, W, 3) through the network: its outputs, float32."""
        outputs = net(self._normalise(pixels.permute(0, 3, 1, 2)))  # channels-last in memory, as it was
        return tuple(output.float() for output in ((outputs,) if isinstance(outputs, Tensor) else outputs))

    def _uploaded(self, pixels: Image | DevicePixels) -> Tensor:
        """uint8 (B, H, W, 3) on the device."""
        if not isinstance(pixels, np.ndarray):
            return pixels.on(self._device)
        host = torch.from_numpy(pixels)
        if self._device.type == "cuda":
            host = host.pin_memory()
        return host.to(self._device, non_blocking=True)

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


def _own_stream(device: torch.device) -> torch.cuda.Stream | None:
    """A new stream of a GPU, which everything begun so far comes before."""
    if device.type != "cuda":
        return None
    torch.cuda.synchronize(device)
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def downloaded(outputs: tuple[Tensor, ...]) -> Outputs:
    """To the host, once they are there."""
    return tuple(output.cpu().numpy() for output in outputs)


def checked_device(device: str) -> torch.device:
    """``device`` as torch's own, after a first allocation on it.

    Raises:
        UnusableDevice: there is no such device here.
    """
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UnusableDevice(f"device {device!r} can't be used ({reason}): try --device cpu") from error
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
            raise ModelError(f"{name}: output {index} isn't finite; its weights or this device's arithmetic are broken")


def check_shape(name: str, what: str, array: Floats, shape: tuple[int, ...]) -> None:
    """
    Raises:
        ModelError: ``array`` isn't float32 of ``shape``.
    """
    if array.dtype != np.float32 or array.shape != shape:
        raise ModelError(f"{name}: {what} are {array.dtype} {array.shape}, not float32 {shape}")

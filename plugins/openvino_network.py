"""A network as OpenVINO runs it on a CPU: the same float32 numbers, in down to a fifth of the time.

torch is slow at small depthwise convolutions, which is what fast face models are made of. On two cores, in milliseconds
of CPU time (``bench/backends.py``): mesh 5.8 → 1.0, yunet 15 → 3.1, sface 13.5 → 7.0, retinaface-mnet 12 → 6.8,
centerface 25 → 19; bisenet-fp, of large convolutions, 125 → 121.

OpenVINO is an optional dependency (``pip install facestream[openvino]``). The network is exported by torch from our own
module, kept in the cache as OpenVINO's own format, and compared with torch's results each time it is loaded: what
doesn't agree isn't used. One sample runs at a time, so that a sample's result never depends on its neighbours.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import logging
import os
import sys
import tempfile
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from torch import nn

from facestream.errors import UnusableDevice
from facestream.stream.types import Floats, Image

Outputs: TypeAlias = tuple[Floats, ...]

SHAPES: Final = 16
"""Compiled input shapes that one network keeps; a twelfth of a second each to make anew. Only detectors see several."""

CONVERSION: Final = 2
"""Raised when a network changes though its weights don't."""

STRIDE: Final = 32
"""Detectors' canvases are multiples of it."""

_SMALL: Final = 1_000_000
"""Weights of a network below which it is small."""

_TELEMETRY: Final = "openvino_telemetry"

logger = logging.getLogger("facestream.plugins")


def openvino_version() -> str | None:
    """OpenVINO's version; None where it isn't installed."""
    try:
        return version("openvino")
    except PackageNotFoundError:
        return None


class _Compiled:
    """A network for one shape, with the memory that it takes its input from and leaves its outputs in.

    Args:
        compiled: takes (1, H, W, 3) float32.
        mean, scale: by channel.
    """

    def __init__(self, compiled: Any, mean: Floats, scale: Floats) -> None:
        self._request = compiled.create_infer_request()
        self._feed: Floats = self._request.input_tensors[0].data
        self._outputs: list[Floats] = [output.data for output in self._request.output_tensors]
        _, height, width, _ = self._feed.shape
        self._rows = self._feed.reshape(height, 3 * width)
        # By whole rows: numpy takes thirty times as long to go round three channels.
        self._mean = np.tile(mean, width) if mean.any() else None
        self._scale = np.tile(scale, width) if (scale != 1).any() else None

    def empty(self, count: int) -> list[Floats]:
        """What :meth:`run` fills, for ``count`` pictures."""
        return [np.empty((count, *output.shape[1:]), np.float32) for output in self._outputs]

    def run(self, pixels: Image, into: Sequence[Floats], place: int) -> None:
        """One picture, uint8 (H, W, 3), of which the outputs are laid in row ``place`` of ``into``."""
        self._normalise(pixels.reshape(self._rows.shape))
        self._request.infer(share_outputs=True)
        for rows, output in zip(into, self._outputs):
            rows[place] = output[0]

    def _normalise(self, pixels: Image) -> None:
        if self._mean is None:
            self._rows[:] = pixels  # infer(pixels) takes a tenth longer
        else:
            np.subtract(pixels, self._mean, out=self._rows)
        if self._scale is not None:
            self._rows /= self._scale


class OpenVinoNetwork:
    """Pictures in, outputs out; compiled for each shape when it first comes. Not for several threads at once.

    Args:
        model: takes (1, 3, H, W) float32, H and W fixed or not.
        mean, scale: by channel; what the network sees is ``(pixel - mean) / scale``, done here.
        threads: that one inference uses.
    """

    def __init__(self, model: Any, mean: Floats, scale: Floats, threads: int) -> None:
        self._openvino = _imported()
        self._model = model
        self._mean, self._scale = mean, scale
        self._core = _core()
        self._settings = {
            "INFERENCE_PRECISION_HINT": "f32",  # else newer CPUs would round to bfloat16
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._shapes: OrderedDict[tuple[int, int], _Compiled] = OrderedDict()

    def __call__(self, pixels: Image) -> Outputs:
        """uint8 (B, H, W, 3), B at least 1, in the network's own colour order → its outputs, B rows each.

        Maps are (B, C, H, W) with the channels last in memory.
        """
        compiled = self._compiled_for(pixels.shape[1], pixels.shape[2])
        outputs = compiled.empty(len(pixels))
        for place, picture in enumerate(pixels):
            compiled.run(picture, outputs, place)
        return tuple(rows.transpose(0, 3, 1, 2) if rows.ndim == 4 else rows for rows in outputs)

    def _compiled_for(self, height: int, width: int) -> _Compiled:
        compiled = self._shapes.pop((height, width), None)
        if compiled is None:
            compiled = _Compiled(self._compile(height, width), self._mean, self._scale)
            if len(self._shapes) == SHAPES:
                self._shapes.popitem(last=False)
        self._shapes[height, width] = compiled
        return compiled

    def _compile(self, height: int, width: int) -> Any:
        """With channels last at both ends, as the network has them inside: otherwise it copies its input three times,
        which is a third of yunet's time, and even if it is only to turn bytes into floats.
        """
        openvino = self._openvino
        model = self._model.clone()
        model.reshape([1, 3, height, width])
        steps = openvino.preprocess.PrePostProcessor(model)
        outputs = [steps.output(place) for place, output in enumerate(model.outputs) if len(output.partial_shape) == 4]
        for end in (steps.input(), *outputs):
            end.tensor().set_layout(openvino.Layout("NHWC"))
            end.model().set_layout(openvino.Layout("NCHW"))
        return self._core.compile_model(steps.build(), "CPU", self._settings)


def agreeing_network(
    name: str,
    net: nn.Module,
    weights: Path,
    folder: Path,
    *,
    size: int | None,
    normalised: tuple[Floats, Floats],
    expected: Callable[[Image], Outputs],
    strict: bool = False,
) -> OpenVinoNetwork | None:
    """``net`` on OpenVINO, once it was seen to give what torch gives; None, and a line in the log, where it doesn't.

    Args:
        name: the model's, for messages.
        net, weights, folder, size: see :func:`converted`.
        normalised: the network's mean and scale; see :class:`OpenVinoNetwork`.
        expected: torch's outputs for pixels.
        strict: fail rather than do without.

    Raises:
        UnusableDevice: it can't be had, and ``strict``.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (1, size or 2 * STRIDE, size or 3 * STRIDE, 3)).astype(np.uint8)
    try:
        for _ in range(2):  # the second time without what the cache held
            fast = OpenVinoNetwork(converted(net, size, weights, folder), *normalised, _threads(net, size))
            if _agree(fast(pixels), expected(pixels)):
                return fast
            forget(weights, size, folder)
        reason = "its results differ"
    except Exception as error:  # two large libraries meet here, and either may raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
    if strict:
        raise UnusableDevice(f"{name}: OpenVINO can't run it: {reason}; leave --backend out")
    logger.warning("%s runs on torch, OpenVINO can't run it: %s", name, reason)
    return None


def converted(net: nn.Module, size: int | None, weights: Path, folder: Path) -> Any:
    """The network in OpenVINO's terms, from the cache where it lies there.

    Args:
        net: on the CPU, in float32, ready for inference.
        size: the side of its square pictures; None for any multiples of :data:`STRIDE`.
        weights: the file that its weights came from: another file, another network.
        folder: of the cache; a few megabytes go there.

    Raises:
        RuntimeError, ImportError, OSError, and whatever torch's exporter raises: it can't be converted.
    """
    path = folder / f"{weights.stem}-{size or 'any'}-{_fingerprint(weights)}.xml"
    if path.exists():
        with contextlib.suppress(RuntimeError):  # damaged: made anew
            return _core().read_model(path)
    logger.info("%s: converting for OpenVINO, once", weights.stem)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    forget(weights, size, folder)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        fresh = Path(scratch) / path.name
        _export(net, size, fresh)
        for suffix in (".bin", ".xml"):  # the one that is looked for comes last
            os.replace(fresh.with_suffix(suffix), path.with_suffix(suffix))
    return _core().read_model(path)


def forget(weights: Path, size: int | None, folder: Path) -> None:
    """Remove what :func:`converted` keeps, made by other versions too."""
    for path in folder.glob(f"{weights.stem}-{size or 'any'}-*"):
        path.unlink(missing_ok=True)


def _threads(net: nn.Module, size: int | None) -> int:
    """As many as torch has, and fewer for a small network, which takes long to share out: one on small pictures (mesh
    costs 0.7 ms of CPU time in one thread and 1.0 to 1.3 in two), half as many on a detector's (yunet 3.1 ms in one and
    3.4 to 4.4 in two). The other half is for decoders and for the models behind it.
    """
    if sum(weights.numel() for weights in net.parameters()) >= _SMALL:
        return torch.get_num_threads()
    return 1 if size is not None else max(1, torch.get_num_threads() // 2)


def _agree(found: Outputs, expected: Outputs) -> bool:
    """Whether outputs are the same but for rounding: on average within a ten thousandth of their own size."""
    return len(found) == len(expected) and all(
        one.shape == other.shape and float(np.abs(one - other).mean()) <= 1e-4 * (1 + float(np.abs(other).mean()))
        for one, other in zip(found, expected)
    )


def _fingerprint(weights: Path) -> str:
    digest = hashlib.sha256(weights.read_bytes())
    digest.update(f"{CONVERSION} {torch.__version__} {openvino_version()}".encode())
    return digest.hexdigest()[:16]


def _export(net: nn.Module, size: int | None, path: Path) -> None:
    """Write the network to ``path``. What is converted borrows torch's memory, so it's used for nothing else."""
    openvino = _imported()
    frontend = importlib.import_module("openvino.frontend")
    decoder = importlib.import_module("openvino.frontend.pytorch.fx_decoder").TorchFXPythonDecoder
    sample = torch.zeros(1, 3, size or 6 * STRIDE, size or 10 * STRIDE)
    shapes = None
    if size is None:
        rows, columns = (torch.export.Dim(name, min=1, max=512) for name in ("rows", "columns"))
        shapes = ({2: STRIDE * rows, 3: STRIDE * columns},)
    with _quiet(), torch.no_grad():
        program = torch.export.export(net, (sample,), dynamic_shapes=shapes)
        reader = frontend.FrontEndManager().load_by_framework("pytorch")
        decoded = decoder.from_exported_program(program)  # has to outlive its conversion
        openvino.save_model(reader.convert(reader.load(decoded)), path, compress_to_fp16=False)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """torch and OpenVINO tell each other about names that have gone; nobody else can do anything about it."""
    root = logging.getLogger()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root.addFilter(_about_names)
        try:
            yield
        finally:
            root.removeFilter(_about_names)


def _about_names(record: logging.LogRecord) -> bool:
    return "decomp table" not in record.getMessage()


def _core() -> Any:
    """OpenVINO's own runtime, one for the whole process and never let go.

    Each that is made gives its thread another stack for signals, and puts back the one before when it goes. Let go in
    another order than they were made in, they leave a stack that has been freed: then Ctrl-C is a segmentation fault.
    """
    with _making_core:
        return _made_core()


_making_core: Final = threading.Lock()


@functools.cache
def _made_core() -> Any:
    return _imported().Core()


def _imported() -> Any:
    """OpenVINO, without the package by which importing it reports to its makers: this program reports to nobody."""
    if "openvino" in sys.modules:
        return importlib.import_module("openvino")
    absent = object()
    before = sys.modules.get(_TELEMETRY, absent)
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # importing it fails, and a stand-in takes its place
    try:
        return importlib.import_module("openvino")
    finally:
        if before is absent:
            del sys.modules[_TELEMETRY]
        else:
            sys.modules[_TELEMETRY] = before  # type: ignore[assignment]

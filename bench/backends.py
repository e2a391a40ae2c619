"""The same networks on torch and on OpenVINO, in turn in one process: CPU milliseconds a sample, and their ratio.

Each model sees noise of the size that it sees in use (detectors 640 × 384), one sample at a time. ``differs`` is the
mean distance between the two results, in hundredths of a percent of their mean size. Needs facestream[openvino].
"""

from __future__ import annotations

import argparse
import sys
from time import process_time
from typing import Any

import numpy as np
from report import report

from facestream.plugins import registry
from facestream.plugins.base import TorchModel
from facestream.plugins.card import Role
from facestream.plugins.openvino_network import openvino_version
from facestream.plugins.weights import cached_weights
from facestream.stream.device import set_thread_counts

CANVAS = (384, 640)


def measure(role: Role, name: str, threads: int, rounds: int = 20) -> dict[str, Any]:
    models = [loaded(role, name, backend) for backend in ("torch", "openvino")]
    edge = models[0].input_size
    height, width = CANVAS if role is Role.DETECT else (edge, edge)
    pixels = np.random.default_rng(0).integers(0, 256, (1, height, width, 3)).astype(np.uint8)
    outputs = [model.forward(pixels) for model in models]
    seconds: list[list[float]] = [[], []]
    for _ in range(rounds):
        for model, times in zip(models, seconds):
            model.forward(pixels)  # back into the caches after the other's turn
            started = process_time()
            model.forward(pixels)
            times.append(process_time() - started)
    torch_ms, openvino_ms = (1e3 * float(np.median(times)) for times in seconds)
    return {
        "model": name,
        "input": f"{width}×{height}",
        "threads": threads,
        "torch ms": torch_ms,
        "openvino ms": openvino_ms,
        "ratio": torch_ms / openvino_ms,
        "differs": max(float(np.abs(a - b).mean() / (np.abs(a).mean() + 1e-9)) for a, b in zip(*outputs)) * 1e4,
    }


def loaded(role: Role, name: str, backend: str) -> TorchModel:
    model: TorchModel = registry.create(role, name)
    model.backend = backend
    model.load("cpu")
    return model


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    threads = parser.parse_args().threads
    if openvino_version() is None:
        print("backends: skipped, OpenVINO isn't installed (pip install 'facestream[openvino]')")
        return 0
    set_thread_counts(threads)
    cards = [card for card in registry.cards() if card.files and cached_weights(card) is not None]
    rows = [measure(card.role, card.name, threads) for card in cards if card.name != "mtcnn"]
    report("backends", rows, f"OpenVINO {openvino_version()}; CPU time, so more threads don't look faster")
    return 0


if __name__ == "__main__":
    sys.exit(main())

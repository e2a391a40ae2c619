"""From the names that a user chooses to loaded stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from facestream.plugins import registry
from facestream.stream.device import Bridge, best_device
from facestream.stream.stage import Stage


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Which models run, where and how.

    Attributes:
        detector: a detector's name; None takes the device's default.
        aligner: an aligner's name; None or "none" finds no landmarks.
        identity: an identity model's name, or None.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        detect_size: the long side of what the detector sees, in pixels; None is the model's own.
        threshold: the least score of a detection; None is the model's own.
        batch_size: frames that the detector sees at once; None is the model's own.
    """

    detector: str | None = None
    aligner: str | None = "mesh"
    identity: str | None = None
    device: str = "auto"
    detect_size: int | None = None
    threshold: float | None = None
    batch_size: int | None = None

    @property
    def chosen_device(self) -> str:
        return best_device() if self.device == "auto" else self.device


async def load_stages(options: ModelOptions, bridge: Bridge) -> list[Stage]:
    """Load the chosen models onto ``bridge``'s device, weights fetched where needed.

    Raises:
        ModelError: a name is unknown, or a weight can't be had.
        DeviceError: the device isn't there.
    """
    name = options.detector or registry.default("detect", bridge.device)
    detect_options: dict[str, Any] = {}
    if options.detect_size is not None:
        detect_options["size"] = options.detect_size
    if options.threshold is not None:
        detect_options["threshold"] = options.threshold
    detector = registry.create("detect", name, **detect_options)
    faces = [
        registry.create(role, chosen)
        for role, chosen in (("align", options.aligner), ("identity", options.identity))
        if chosen not in (None, "none")
    ]
    for plugin in (detector, *faces):
        await bridge.infer(plugin.load, bridge.device)
    return [
        Stage.detect(detector, bridge, options.batch_size),
        *(Stage.faces(plugin, bridge) for plugin in faces),
    ]

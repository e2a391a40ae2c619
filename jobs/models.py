"""From the names that a user chooses to loaded stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from facestream.plugins import registry
from facestream.plugins.detect.rotation import RotatingDetector, parse_angles
from facestream.plugins.detect.size_limits import SizeLimits
from facestream.stream.device import Bridge, best_device
from facestream.stream.stage import Stage
from facestream.stream.types import Detector, FacePlugin


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
        rotate_images: angles at which frames without a sure face are looked at again, a step ("90") or a list
            ("45,90"); see :func:`facestream.plugins.detect.rotation.parse_angles`.
        min_size, max_size: limits of a face's longer edge, in percent of its frame's shortest side; 0 is none.
    """

    detector: str | None = None
    aligner: str | None = "mesh"
    identity: str | None = None
    device: str = "auto"
    detect_size: int | None = None
    threshold: float | None = None
    batch_size: int | None = None
    rotate_images: str | None = None
    min_size: float = 0
    max_size: float = 0

    @property
    def chosen_device(self) -> str:
        return best_device() if self.device == "auto" else self.device


async def load_stages(options: ModelOptions, bridge: Bridge) -> list[Stage]:
    """The chosen models as stages, loaded; see :func:`load_plugins`."""
    detector, faces = await load_plugins(options, bridge)
    return [
        Stage.detect(detector, bridge, options.batch_size),
        *(Stage.faces(plugin, bridge) for plugin in faces),
    ]


async def load_plugins(options: ModelOptions, bridge: Bridge) -> tuple[Detector, list[FacePlugin]]:
    """Load the chosen models onto ``bridge``'s device, weights fetched where needed.

    Raises:
        ConfigError: ``rotate_images`` isn't angles, or no size is within the limits.
        ModelError: a name is unknown, or a weight can't be had.
        DeviceError: the device isn't there.
    """
    name = options.detector or registry.default("detect", bridge.device)
    detect_options: dict[str, Any] = {}
    if options.detect_size is not None:
        detect_options["size"] = options.detect_size
    if options.threshold is not None:
        detect_options["threshold"] = options.threshold
    detector = _searching(registry.create("detect", name, **detect_options), options)
    faces: list[FacePlugin] = [
        registry.create(role, chosen)
        for role, chosen in (("align", options.aligner), ("identity", options.identity))
        if chosen not in (None, "none")
    ]
    everything: list[Detector | FacePlugin] = [detector, *faces]
    for plugin in everything:
        await bridge.infer(plugin.load, bridge.device)
    return detector, faces


def _searching(detector: Detector, options: ModelOptions) -> Detector:
    """``detector`` as it is, unless a rotation search or sizes were asked for."""
    angles = parse_angles(options.rotate_images)
    if len(angles) > 1:
        detector = RotatingDetector(detector, angles)
    if options.min_size or options.max_size:
        detector = SizeLimits(detector, smallest=options.min_size, largest=options.max_size)
    return detector

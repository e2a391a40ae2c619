"""From the names that a user chooses to loaded stages."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facestream.jobs.user_settings import model_key, saved_batch_sizes, settings_path
from facestream.plugins import registry
from facestream.plugins.detect.rotation import RotatingDetector, parse_angles
from facestream.plugins.detect.size_limits import SizeLimits
from facestream.stream.device import Bridge, best_device
from facestream.stream.stage import Stage
from facestream.stream.types import Detector, FacePlugin

log = logging.getLogger("facestream.models")


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
        repeatable: give each frame and face the same result, to the last bit, whatever else is in its batch.
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
    repeatable: bool = False

    @property
    def chosen_device(self) -> str:
        return best_device() if self.device == "auto" else self.device


async def load_stages(options: ModelOptions, bridge: Bridge) -> list[Stage]:
    """The chosen models as stages, loaded; see :func:`load_plugins`.

    Unless ``options`` say a batch size, each model has the one that ``facestream profile`` found for it on this device.
    """
    profiled = {} if options.batch_size else await bridge.infer(profiled_batch_sizes, options, bridge.device)
    detector, faces = await load_plugins(options, bridge, profiled)
    return [
        Stage.detect(detector, bridge, options.batch_size),
        *(Stage.faces(plugin, bridge) for plugin in faces),
    ]


async def load_plugins(
    options: ModelOptions, bridge: Bridge, batch_sizes: Mapping[str, int] | None = None
) -> tuple[Detector, list[FacePlugin]]:
    """Load the chosen models onto ``bridge``'s device, weights fetched where needed.

    Args:
        batch_sizes: model → batch size, for those that aren't to have their own.

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
    detector = _searching(_created("detect", name, options, **detect_options), options)
    faces: list[FacePlugin] = [
        _created(role, chosen, options)
        for role, chosen in (("align", options.aligner), ("identity", options.identity))
        if chosen not in (None, "none")
    ]
    everything: list[Detector | FacePlugin] = [detector, *faces]
    for plugin in everything:
        plugin.batch_size = (batch_sizes or {}).get(plugin.name, plugin.batch_size)
        await bridge.infer(plugin.load, bridge.device)
    return detector, faces


def profiled_batch_sizes(options: ModelOptions, device: str) -> dict[str, int]:
    """Model → batch size, as found by ``facestream profile`` on ``device``; needs the device.

    Logs one line about those that the chosen models will use.
    """
    saved = saved_batch_sizes(device)
    detector = options.detector or registry.default("detect", device)
    keys = {detector: model_key(detector, options.detect_size)}
    keys |= {name: name for name in (options.aligner, options.identity) if name}
    used = {name: saved[key] for name, key in keys.items() if key in saved}
    if used:
        log.info("batch sizes from %s: %s", settings_path(), ", ".join(f"{name} {size}" for name, size in used.items()))
    return used


def _created(role: str, name: str, options: ModelOptions, **arguments: Any) -> Any:
    plugin = registry.create(role, name, **arguments)
    if options.repeatable and hasattr(plugin, "repeatable"):
        plugin.repeatable = True
    return plugin


def _searching(detector: Detector, options: ModelOptions) -> Detector:
    """``detector`` as it is, unless a rotation search or sizes were asked for."""
    angles = parse_angles(options.rotate_images)
    if len(angles) > 1:
        detector = RotatingDetector(detector, angles)
    if options.min_size or options.max_size:
        detector = SizeLimits(detector, smallest=options.min_size, largest=options.max_size)
    return detector

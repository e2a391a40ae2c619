"""From the names that a user chooses to loaded stages."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, TypedDict

from facestream.errors import ConfigError
from facestream.jobs.loading import load_checked
from facestream.jobs.refining import refined
from facestream.jobs.user_settings import model_key, saved_batch_sizes, settings_path
from facestream.plugins import registry
from facestream.plugins.catalogue import pull
from facestream.plugins.detect.rotation import RotatingDetector, parse_angles
from facestream.plugins.detect.size_limits import SizeLimits
from facestream.stream.device import Bridge, best_device
from facestream.stream.stage import Stage
from facestream.stream.types import Detector, FacePlugin

log = logging.getLogger("facestream.models")

FILE: Final = "file"
"""In the place of a detector's or aligner's name: the faces come from a file."""


class ModelChoices(TypedDict, total=False):
    """:class:`ModelOptions` as keyword arguments; what isn't given has its default."""

    detector: str | None
    aligner: str | None
    masks: Sequence[str]
    identity: str | Sequence[str] | None
    device: str
    detect_size: int | None
    threshold: float | None
    batch_size: int | None
    rotate_images: str | None
    min_size: float
    max_size: float
    normalization: str
    re_feed: int
    re_align: bool
    seed: int | None
    align_filters: bool
    aligner_features: bool
    aligner_min_scale: float
    aligner_max_scale: float
    aligner_distance: float
    aligner_roll: float
    repeatable: bool
    compile: bool


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Which models run, where and how.

    Attributes:
        detector: a detector's name; None takes the device's default. "file" is none: the frames come with their faces.
        aligner: an aligner's name; None or "none" finds no landmarks. "file" is none: the faces come with theirs.
        masks: the names of any number of mask models.
        identity: an identity model's name, several, or None.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        detect_size: the long side of what the detector sees, in pixels; None is the model's own.
        threshold: the least score of a detection; None is the model's own.
        batch_size: frames that the detector sees at once; None is the model's own.
        rotate_images: angles at which frames without a sure face are looked at again, a step ("90") or a list
            ("45,90"); see :func:`facestream.plugins.detect.rotation.parse_angles`.
        min_size, max_size: limits of a face's longer edge, in percent of its frame's shortest side; 0 is none.
        normalization: how light and contrast of what the aligner sees are evened out: "none", "clahe", "hist" or
            "mean"; see :class:`facestream.plugins.align.normalize.Normalization`.
        re_feed: 0–10, how many times the aligner looks again through slightly different squares; the mean counts.
        re_align: the aligner looks again at the face turned upright.
        seed: what re-feed's squares are drawn from. None is always the same one, too: a job that was interrupted
            would otherwise not go on as it began.
        align_filters: leave out faces whose landmarks can't be right, judged by the five fields below; see
            :class:`facestream.plugins.align.filters.Thresholds`.
        repeatable: on a CPU, give each frame and face the same result, to the last bit, in each run. Batches are made
            of what is waiting, which no two runs repeat, and a batch's size and a sample's place in it change the order
            in which kernels add up (seen: yunet and retinaface-mnet at 320 × 192, mesh alone against mesh in any
            batch). So each frame and each face gets a batch of its own. A CPU gains little from larger ones: nothing
            for detectors at their usual size, 0.9 ms a look for mesh. On a GPU nothing is promised.
        compile: run the networks compiled where the compiler can be used; the first batch of each shape takes seconds.
    """

    detector: str | None = None
    aligner: str | None = "mesh"
    masks: tuple[str, ...] = ()
    identity: str | tuple[str, ...] | None = None
    device: str = "auto"
    detect_size: int | None = None
    threshold: float | None = None
    batch_size: int | None = None
    rotate_images: str | None = None
    min_size: float = 0
    max_size: float = 0
    normalization: str = "none"
    re_feed: int = 0
    re_align: bool = False
    seed: int | None = None
    align_filters: bool = False
    aligner_features: bool = True
    aligner_min_scale: float = 0.03
    aligner_max_scale: float = 4.0
    aligner_distance: float = 40.0
    aligner_roll: float = 0.0
    repeatable: bool = False
    compile: bool = False

    @classmethod
    def chosen(cls, choices: ModelChoices) -> Self:
        """From keyword arguments; lists of names may be any sequences.

        Raises:
            TypeError: there is no such option.
        """
        fields: dict[str, Any] = dict(choices)
        for name in ("masks", "identity"):
            if isinstance(fields.get(name), Sequence) and not isinstance(fields[name], str):
                fields[name] = tuple(fields[name])
        return cls(**fields)

    @property
    def identities(self) -> tuple[str, ...]:
        """The identity models' names."""
        chosen = (self.identity,) if isinstance(self.identity, str) else self.identity or ()
        return tuple(name for name in chosen if name != "none")

    @property
    def face_models(self) -> list[tuple[str, str]]:
        """Role and name of the models that look at faces, in the order in which they run; each once.

        Raises:
            ConfigError: masks are wanted and no aligner, whose landmarks they need.
        """
        aligners = () if self.aligner in (None, "none", FILE) else (self.aligner,)
        masks = [name for name in self.masks if name != "none"]
        if masks and self.aligner in (None, "none"):
            raise ConfigError(f"mask {masks[0]!r} needs landmarks: choose an aligner")
        chosen = [("align", aligners), ("mask", masks), ("identity", self.identities)]
        return list(dict.fromkeys((role, str(name)) for role, names in chosen for name in names))

    @property
    def chosen_device(self) -> str:
        return best_device() if self.device == "auto" else self.device


async def load_stages(options: ModelOptions, bridge: Bridge) -> list[Stage]:
    """The chosen models as stages, loaded; see :func:`load_plugins`.

    Unless ``options`` say a batch size, each model has the one that ``facestream profile`` found for it on this device.
    """
    alone = 1 if options.repeatable and bridge.device == "cpu" else None
    use_own = alone or options.batch_size
    profiled = {} if use_own else await bridge.infer(profiled_batch_sizes, options, bridge.device)
    if options.detector == FILE:
        return [Stage.faces(plugin, bridge, alone) for plugin in await load_face_plugins(options, bridge, profiled)]
    detector, faces = await load_plugins(options, bridge, profiled)
    return [
        Stage.detect(detector, bridge, alone or options.batch_size),
        *(Stage.faces(plugin, bridge, alone) for plugin in faces),
    ]


async def load_plugins(
    options: ModelOptions, bridge: Bridge, batch_sizes: Mapping[str, int] | None = None
) -> tuple[Detector, list[FacePlugin]]:
    """Load the chosen models onto ``bridge``'s device, weights fetched where needed.

    Args:
        batch_sizes: model → batch size, for those that aren't to have their own.

    Raises:
        ConfigError: ``rotate_images`` isn't angles, no size is within the limits, or masks lack landmarks.
        ModelError: a name is unknown, a weight can't be had, or a model doesn't keep its contract.
        DeviceError: the device isn't there.
    """
    model = _created_detector(options, bridge.device)
    detector = _searching(model, options)
    size = options.batch_size or (batch_sizes or {}).get(detector.name, detector.batch_size)
    model.batch_size = detector.batch_size = size  # a compiled network is made for batches of its own model's size
    await bridge.infer(load_checked, model, "detect", bridge.device)
    return detector, await load_face_plugins(options, bridge, batch_sizes)


async def load_face_plugins(
    options: ModelOptions, bridge: Bridge, batch_sizes: Mapping[str, int] | None = None
) -> list[FacePlugin]:
    """Those of :func:`load_plugins` that look at faces."""
    models = _created_face_models(options)
    faces: list[FacePlugin] = [refined(plugin, options) if role == "align" else plugin for role, plugin in models]
    for plugin in faces:
        plugin.batch_size = (batch_sizes or {}).get(plugin.name, plugin.batch_size)
    for role, model in models:
        await bridge.infer(load_checked, model, role, bridge.device)
    return faces


def prepare_models(options: ModelOptions, device: str) -> None:
    """Make every chosen model and fetch its weights, without loading it. Blocks.

    For jobs whose last model is loaded hours after the first: what is wrong with it is told at once.

    Raises:
        ConfigError, ModelError: as :func:`load_plugins`.
    """
    names = [name for _, name in options.face_models]
    if options.detector != FILE:
        detector = _created_detector(options, device)
        names.insert(0, detector.name)
        _searching(detector, options)
    for role, model in _created_face_models(options):
        if role == "align":
            refined(model, options)
    pull(names)


def profiled_batch_sizes(options: ModelOptions, device: str) -> dict[str, int]:
    """Model → batch size, as found by ``facestream profile`` on ``device``; needs the device.

    Logs one line about those that the chosen models will use.
    """
    saved = saved_batch_sizes(device)
    detector = options.detector or registry.default("detect", device)
    keys = {detector: model_key(detector, options.detect_size)}
    keys |= {name: name for _, name in options.face_models}
    used = {name: saved[key] for name, key in keys.items() if key in saved}
    if used:
        log.info("batch sizes from %s: %s", settings_path(), ", ".join(f"{name} {size}" for name, size in used.items()))
    return used


def _searching(detector: Detector, options: ModelOptions) -> Detector:
    """``detector`` as it is, unless a rotation search or sizes were asked for."""
    angles = parse_angles(options.rotate_images)
    if len(angles) > 1:
        detector = RotatingDetector(detector, angles)
    if options.min_size or options.max_size:
        detector = SizeLimits(detector, smallest=options.min_size, largest=options.max_size)
    return detector


def _created_detector(options: ModelOptions, device: str) -> Any:
    settings = {"size": options.detect_size, "threshold": options.threshold}
    name = options.detector or registry.default("detect", device)
    return _created("detect", name, options, **{key: value for key, value in settings.items() if value is not None})


def _created_face_models(options: ModelOptions) -> list[tuple[str, Any]]:
    return [(role, _created(role, name, options)) for role, name in options.face_models]


def _created(role: str, name: str, options: ModelOptions, **arguments: Any) -> Any:
    """A new plugin, before anything is put around it."""
    plugin = registry.create(role, name, **arguments)
    if options.compile:
        if hasattr(plugin, "compile"):
            plugin.compile = True
        else:
            log.warning("%s runs uncompiled: it isn't a facestream.plugins.base.TorchModel", name)
    return plugin

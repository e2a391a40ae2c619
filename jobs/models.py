"""From the names that a user chooses to loaded stages."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any, Final, Self, TypedDict

from facestream.errors import ConfigError
from facestream.jobs.loading import load_checked
from facestream.jobs.masking import check_mask_options, mask_arguments
from facestream.jobs.refining import refined
from facestream.jobs.user_settings import model_key, saved_batch_sizes, settings_path
from facestream.plugins import registry
from facestream.plugins.catalogue import licences_to_accept, pull
from facestream.plugins.detect.rotation import RotatingDetector, parse_angles
from facestream.plugins.detect.size_limits import SizeLimits
from facestream.plugins.identity.filtered import FilteredIdentity
from facestream.plugins.identity.filters import References
from facestream.plugins.on_device_sharing import share_uploads
from facestream.plugins.repeatable import EachSizeAlone, together
from facestream.stream.device import Bridge, best_device
from facestream.stream.stage import Stage
from facestream.stream.types import Detector, FacePlugin

log = logging.getLogger("facestream.models")

FILE: Final = "file"
"""In the place of a detector's or aligner's name: the faces come from a file."""


FILTERING: Final = "sface"
"""The identity model that filters if none is chosen."""


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
    mask_size: int
    mask_input_size: int | None
    mask_ears: bool
    mask_hair: bool
    mask_glasses: bool
    mask_centering: str
    mask_fill: bool
    filter: str | Path | Sequence[str | Path]
    nfilter: str | Path | Sequence[str | Path]
    ref_threshold: float | None
    identity_bgr: bool
    repeatable: bool
    compile: bool
    backend: str
    accept_licence: bool


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Which models run, where and how.

    Attributes:
        detector: a detector's name; None takes the device's default. "file" is none: the frames come with their faces.
        aligner: an aligner's name; None or "none" finds no landmarks. "file" is none: the faces come with theirs.
        masks: the names of any number of mask models.
        identity: an identity model's name, several, or None; with ``filter`` or ``nfilter``, None is "sface".
        device: "auto", "cpu", "cuda", "cuda:N" or "mps"; or several of one kind, "cuda:0,cuda:1", each of which has all
            models.
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
        mask_size: 64–1028, the edge of stored masks in pixels; 0 is the model's own, less than 64 becomes 64.
        mask_input_size: 384 or 512, the edge of what bisenet-fp sees; None is 512. 384 takes half the time.
        mask_ears, mask_hair, mask_glasses: whether bisenet-fp's mask holds them. With hair it is that of the whole
            head: centred on that, and called ``bisenet-fp_head``.
        mask_centering: "face" or "head", what ``custom``'s masks show.
        mask_fill: ``custom``'s masks are full, not empty.
        filter: pictures, or folders of pictures, of the people whose faces are kept, or ``person:NAME`` of the gallery;
            empty keeps everybody. The first of the identity models judges. See :mod:`facestream.jobs.references`.
        nfilter: the same of people whose faces are left out.
        ref_threshold: 0.01–0.99, the cosine from which a face is taken for that of a reference; None is the model's
            own.
        identity_bgr: show blue first to identity models that were trained on red first, as faceswap does: for
            embeddings that are compared with those in its files (spec D3).
        repeatable: on a CPU, give each frame and face the same result, to the last bit, in each run. Batches are made
            of what is waiting, which no two runs repeat, and a batch's size and a sample's place in it change the order
            in which kernels add up (seen: yunet and retinaface-mnet at 320 × 192, mesh alone against mesh in any
            batch). So each frame and each face gets a batch of its own, unless its model runs on OpenVINO and was seen
            to give the same in any batch; see :mod:`facestream.plugins.repeatable`. On a GPU nothing is promised.
        compile: run the networks compiled where the compiler can be used; the first batch of each shape takes seconds.
        backend: what runs the networks: "openvino" (on a CPU), "torch", or "auto": OpenVINO where it is installed and
            gives what torch gives, else torch.
        accept_licence: you accept what the licences of the chosen models' weights forbid, where they have to be fetched
            first.
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
    mask_size: int = 128
    mask_input_size: int | None = None
    mask_ears: bool = False
    mask_hair: bool = False
    mask_glasses: bool = True
    mask_centering: str = "face"
    mask_fill: bool = False
    filter: tuple[str, ...] = ()
    nfilter: tuple[str, ...] = ()
    ref_threshold: float | None = None
    identity_bgr: bool = False
    repeatable: bool = False
    compile: bool = False
    backend: str = "auto"
    accept_licence: bool = False

    @classmethod
    def chosen(cls, choices: ModelChoices) -> Self:
        """From keyword arguments; lists of names may be any sequences, those of files one name, too.

        Raises:
            TypeError: there is no such option.
            ConfigError: an option of mask models is set that none of those chosen knows.
        """
        fields: dict[str, Any] = dict(choices)
        for name in ("masks", "identity"):
            if isinstance(fields.get(name), Sequence) and not isinstance(fields[name], str):
                fields[name] = tuple(fields[name])
        for name in ("filter", "nfilter"):
            if name in fields:
                paths = fields[name]
                fields[name] = tuple(str(path) for path in ((paths,) if isinstance(paths, (str, Path)) else paths))
        options = cls(**fields)
        check_mask_options(options)
        return options

    @property
    def identities(self) -> tuple[str, ...]:
        """The identity models' names."""
        chosen = (self.identity,) if isinstance(self.identity, str) else self.identity or ()
        names = tuple(name for name in chosen if name != "none")
        return names or ((FILTERING,) if self.filtering else ())

    @property
    def filtering(self) -> bool:
        """Whether faces are kept or left out by who they are."""
        return bool(self.filter or self.nfilter)

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


async def load_stages(options: ModelOptions, bridge: Bridge, references: References | None = None) -> list[Stage]:
    """The chosen models as stages, loaded; see :func:`load_plugins`.

    Args:
        references: whom the first identity model keeps and leaves out, if ``options`` filter: what
            :func:`facestream.jobs.references.load_references` has made of them.

    Unless ``options`` say a batch size, each model has the one that ``facestream profile`` found for it on this device.
    Where ``bridge`` has several devices, each has all models.
    """
    repeatable = options.repeatable and bridge.device == "cpu"
    use_own = repeatable or options.batch_size
    profiled = {} if use_own else await bridge.infer(profiled_batch_sizes, options, bridge.device)
    detectors: list[Detector] = []
    chains: list[list[FacePlugin]] = []
    for device in bridge.devices:
        if options.detector == FILE:
            faces = await load_face_plugins(options, bridge, profiled, device=device)
        else:
            detector, faces = await load_plugins(options, bridge, profiled, device=device)
            detectors.append(detector)
        chains.append(_filtered(faces, options, references))
    stages = [
        Stage.faces(plugin, bridge, together(plugin) if repeatable else None, replicas=replicas)
        for plugin, *replicas in zip(*chains, strict=True)
    ]
    return [_detecting(detectors, bridge, options, repeatable), *stages] if detectors else stages


def _detecting(replicas: Sequence[Detector], bridge: Bridge, options: ModelOptions, repeatable: bool) -> Stage:
    size = together(replicas[0]) if repeatable else options.batch_size
    first, *others = [EachSizeAlone(detector) for detector in replicas] if repeatable else replicas
    return Stage.detect(first, bridge, size, replicas=others)


async def load_plugins(
    options: ModelOptions,
    bridge: Bridge,
    batch_sizes: Mapping[str, int] | None = None,
    *,
    device: str | None = None,
) -> tuple[Detector, list[FacePlugin]]:
    """Load the chosen models onto a device, weights fetched where needed.

    Args:
        batch_sizes: model → batch size, for those that aren't to have their own.
        device: one of ``bridge``'s, None for the first.

    Raises:
        ConfigError: ``rotate_images`` isn't angles, no size is within the limits, or masks lack landmarks.
        ModelError: a name is unknown, a weight can't be had, or a model doesn't keep its contract.
        DeviceError: the device isn't there.
    """
    model = _created_detector(options, bridge.device)
    detector = _searching(model, options)
    size = options.batch_size or (batch_sizes or {}).get(detector.name, detector.batch_size)
    model.batch_size = detector.batch_size = size  # a compiled network is made for batches of its own model's size
    name = options.detector or registry.default("detect", bridge.device)
    await bridge.infer(_load, model, "detect", name, options.accept_licence, device or bridge.device)
    return detector, await load_face_plugins(options, bridge, batch_sizes, beside=model, device=device)


async def load_face_plugins(
    options: ModelOptions,
    bridge: Bridge,
    batch_sizes: Mapping[str, int] | None = None,
    *,
    beside: Any = None,
    device: str | None = None,
) -> list[FacePlugin]:
    """Those of :func:`load_plugins` that look at faces.

    Args:
        beside: the detector whose frames they look at, if it is one of ours: what it brings to a GPU they find there.
    """
    models = _created_face_models(options)
    faces: list[FacePlugin] = [refined(plugin, options) if role == "align" else plugin for role, plugin in models]
    for plugin in faces:
        plugin.batch_size = (batch_sizes or {}).get(plugin.name, plugin.batch_size)
    for (role, model), (_, name) in zip(models, options.face_models):
        await bridge.infer(_load, model, role, name, options.accept_licence, device or bridge.device)
    share_uploads([beside, *(model for _, model in models)])
    return faces


def _load(model: Any, role: str, name: str, accepted: bool, device: str) -> None:
    """Load it; its weights are fetched first where their licence has to be, and is, ``accepted``."""
    if accepted and licences_to_accept([name]):
        pull([name], accepted=True)
    load_checked(model, role, device)


def _filtered(faces: list[FacePlugin], options: ModelOptions, references: References | None) -> list[FacePlugin]:
    """``faces`` with the first identity model filtering, if it is to."""
    if not options.filtering:
        return faces
    if references is None:
        raise ValueError("references filter once they are embedded: see facestream.jobs.references")
    at = options.face_models.index(("identity", options.identities[0]))
    threshold = reference_threshold(options)
    return [*faces[:at], FilteredIdentity(faces[at], references, threshold), *faces[at + 1 :]]


def reference_threshold(options: ModelOptions) -> float:
    """The cosine from which a face is taken for that of a reference: the one given, or the filtering model's own.

    Raises:
        ConfigError: the model has none, or the one given isn't possible.
    """
    name = options.identities[0]
    threshold = options.ref_threshold
    if threshold is None:
        threshold = registry.card("identity", name).threshold
    if threshold is None:
        raise ConfigError(f"{name} states no threshold of its own: give --ref-threshold")
    if not 0.01 <= threshold <= 0.99:
        raise ConfigError(f"--ref-threshold {threshold:g} isn't possible: choose 0.01 to 0.99")
    return threshold


def mask_names(options: ModelOptions) -> tuple[str, ...]:
    """What the chosen mask models call their masks in files, in the order in which they run. Loads none of them.

    Raises:
        ConfigError, ModelError: as :func:`load_plugins`.
    """
    models = _created_face_models(options)
    return tuple(getattr(model, "storage_name", model.name) for role, model in models if role == "mask")


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
    pull(names, accepted=options.accept_licence)


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
    bgr = _blue_first(options)

    def arguments(role: str, name: str) -> dict[str, Any]:
        if role == "mask":
            return mask_arguments(name, options)
        return {"bgr": True} if role == "identity" and name in bgr else {}

    return [(role, _created(role, name, options, **arguments(role, name))) for role, name in options.face_models]


def _blue_first(options: ModelOptions) -> list[str]:
    """The identity models that ``identity_bgr`` is about.

    Raises:
        ConfigError: none of those chosen is.
    """
    if not options.identity_bgr:
        return []
    chosen = {name: registry.model_class(registry.card("identity", name)) for name in options.identities}
    names = [name for name, model in chosen.items() if "bgr" in signature(model).parameters]
    if not names:
        raise ConfigError("--identity-bgr is for t-face, which faceswap shows blue first: leave it out")
    return names


def _created(role: str, name: str, options: ModelOptions, **arguments: Any) -> Any:
    """A new plugin, before anything is put around it."""
    plugin = registry.create(role, name, **arguments)
    if hasattr(plugin, "backend"):
        plugin.backend = options.backend
    if options.compile:
        if hasattr(plugin, "compile"):
            plugin.compile = True
        else:
            log.warning("%s runs uncompiled: it isn't a facestream.plugins.base.TorchModel", name)
    return plugin

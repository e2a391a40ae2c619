"""What :class:`~facestream.jobs.models.ModelOptions` ask of mask models besides their masks."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from facestream.errors import ConfigError
from facestream.faces.masks import NAMES as LANDMARK_MASKS
from facestream.plugins import registry
from facestream.plugins.mask.cards import CARDS, UNVERIFIED

if TYPE_CHECKING:
    from facestream.jobs.models import ModelOptions

_ARGUMENTS: Final = {
    "mask_size": "storage_size",
    "mask_input_size": "size",
    "mask_ears": "ears",
    "mask_hair": "hair",
    "mask_glasses": "glasses",
    "mask_centering": "centering",
    "mask_fill": "fill",
}
"""Option → what the models that know it call it."""

_FOR: Final = {
    "bisenet-fp": ("mask_input_size", "mask_ears", "mask_hair", "mask_glasses"),
    "custom": ("mask_centering", "mask_fill"),
}
"""Model → options that are for it alone, of those that come with facestream."""


def mask_arguments(name: str, options: ModelOptions) -> dict[str, Any]:
    """What the mask model called ``name`` is made with: of the options that aren't as usual, those that it knows.

    Raises:
        ModelError: there is no such model, or it can't be imported.
    """
    changed = _changed(options)
    if not changed:
        return {}
    known = inspect.signature(registry.model_class(registry.card("mask", name))).parameters
    return {_ARGUMENTS[option]: value for option, value in changed.items() if _ARGUMENTS[option] in known}


def check_mask_options(options: ModelOptions) -> None:
    """Loads no model.

    Raises:
        ConfigError: an option is set that none of the chosen mask models knows, or a mask is chosen that none makes.
    """
    drawn = [name for name in options.masks if name in LANDMARK_MASKS]
    if drawn:
        raise ConfigError(
            f"{drawn[0]} is drawn from landmarks when it is wanted, and isn't stored: leave it out here, and see "
            f"`facestream mask -p output -M {drawn[0]}`"
        )
    changed = _changed(options)
    for model, names in _FOR.items():
        idle = [name for name in names if name in changed]
        ours = {"none", *(card.name for card in (*CARDS, *UNVERIFIED))}
        if idle and model not in options.masks and ours.issuperset(options.masks):
            raise ConfigError(
                f"--{idle[0].replace('_', '-')} is for the mask model {model}: add --mask {model}, or leave it out"
            )


def _changed(options: ModelOptions) -> dict[str, Any]:
    usual = type(options)()
    values = {name: getattr(options, name) for name in _ARGUMENTS}
    return {name: value for name, value in values.items() if value != getattr(usual, name)}

"""Which models there are, by role and name. Nothing here loads torch until :func:`create` is called.

A third party registers a model with an entry point that refers to its card::

    [project.entry-points."facestream.plugins"]
    mynet = "mypackage.card:CARD"
"""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from typing import Any

from facestream.errors import ConfigError, ModelError, UnknownModel
from facestream.plugins import vouching, weights
from facestream.plugins.align import cards as align
from facestream.plugins.card import Card, Role
from facestream.plugins.detect import cards as detect
from facestream.plugins.identity import cards as identity
from facestream.plugins.mask import cards as mask
from facestream.plugins.third_party import installed, made, model_class, require_sound

__all__ = ["card", "cards", "complaints", "create", "default", "model_class", "named", "names", "unverified"]


def cards(role: Role | str | None = None) -> tuple[Card, ...]:
    """Every card of ``role``, or of all roles, whose weights can be checked: by its own hash or its user's."""
    resolved = (weights.with_vouched_hash(card) for card in _all_cards(role))
    return tuple(card for card in resolved if vouching.verifiable(card))


def unverified(role: Role | str | None = None) -> tuple[Card, ...]:
    """The cards of models that load only once their user has vouched for a hash: see ``vouching.py``."""
    return tuple(card for card in _all_cards(role) if not vouching.verifiable(weights.with_vouched_hash(card)))


def _all_cards(role: Role | str | None = None) -> tuple[Card, ...]:
    """As they were written: the built-in ones first, then those of installed packages."""
    builtin = _builtin()
    theirs, _ = installed({(card.role, card.name) for card in builtin})
    return tuple(card for card in (*builtin, *theirs) if role is None or card.role == role)


def complaints() -> list[str]:
    """One line about each model of an installed package that can't be used."""
    return installed({(card.role, card.name) for card in _builtin()})[1]


def _builtin() -> tuple[Card, ...]:
    ready = (*detect.CARDS, *align.CARDS, *mask.CARDS, *identity.CARDS)
    return (*ready, *detect.UNVERIFIED, *align.UNVERIFIED, *mask.UNVERIFIED, *identity.UNVERIFIED)


def names(role: Role | str) -> tuple[str, ...]:
    """The names of the models that are ready to be fetched and run for ``role``."""
    return tuple(card.name for card in cards(role))


def card(role: Role | str, name: str) -> Card:
    """The card of one model.

    Raises:
        UnknownModel: no such model; the message lists the choices.
    """
    known = {card.name: card for card in _all_cards(role)}
    if name not in known:
        require_sound(name)
        raise UnknownModel(_unknown(f"{role} model", name, list(known)))
    return known[name]


def named(name: str) -> Card:
    """The card of one model by its name alone.

    Raises:
        UnknownModel: no such model; the message lists the choices.
    """
    known = {card.name: card for card in _all_cards()}
    if name not in known:
        require_sound(name)
        raise UnknownModel(_unknown("model", name, list(known)))
    return known[name]


def default(role: Role | str, device: str) -> str:
    """The model that a user gets who names none: the fast detector on a CPU, the better one elsewhere.

    Raises:
        ModelError: the role has no default.
    """
    if role == Role.DETECT:
        return "yunet" if device == "cpu" else "centerface"
    if role == Role.ALIGN:
        return "mesh"
    raise ModelError(f"no default {role} model: name one of {', '.join(names(role)) or 'none there are'}")


def create(role: Role | str, name: str, **options: Any) -> Any:
    """A new model, not loaded yet: a :class:`~facestream.stream.types.Detector` or
    :class:`~facestream.stream.types.FacePlugin`.

    Args:
        role, name: which one.
        options: what its class takes, such as ``size``, ``threshold`` or ``batch_size``. None means the
            card's own.

    Raises:
        ModelError: no such model, or it can't be imported or made.
        ConfigError: the model has no such option.
    """
    chosen = card(role, name)
    model = model_class(chosen)
    allowed = [key for key in inspect.signature(model).parameters if key != "self"]
    for key in options:
        if key not in allowed:
            raise ConfigError(_unknown(f"{name} option", key, allowed))
    return made(chosen, model, {key: value for key, value in options.items() if value is not None})


def _unknown(what: str, name: str, choices: list[str]) -> str:
    close = get_close_matches(name, choices, n=1)
    hint = f": did you mean {close[0]!r}?" if close else ";"
    return f"unknown {what} {name!r}{hint} choose from {', '.join(choices) or 'none'}"

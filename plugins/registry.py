"""Which models there are, by role and name. Nothing here loads torch until :func:`create` is called.

A third party registers a model with an entry point that refers to its card::

    [project.entry-points."facestream.plugins"]
    mynet = "mypackage.card:CARD"
"""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Any

from facestream.errors import ConfigError, ModelError
from facestream.plugins import vouching, weights
from facestream.plugins.align import cards as align
from facestream.plugins.card import Card, Role
from facestream.plugins.detect import cards as detect
from facestream.plugins.identity import cards as identity
from facestream.plugins.mask import cards as mask

ENTRY_POINTS = "facestream.plugins"

logger = logging.getLogger("facestream.plugins")


def cards(role: Role | str | None = None) -> tuple[Card, ...]:
    """Every card of ``role``, or of all roles, whose weights can be checked: by its own hash or its user's."""
    resolved = (weights.with_vouched_hash(card) for card in _all_cards(role))
    return tuple(card for card in resolved if vouching.verifiable(card))


def unverified(role: Role | str | None = None) -> tuple[Card, ...]:
    """The cards of models that load only once their user has vouched for a hash: see ``vouching.py``."""
    return tuple(card for card in _all_cards(role) if not vouching.verifiable(weights.with_vouched_hash(card)))


def _all_cards(role: Role | str | None = None) -> tuple[Card, ...]:
    """As they were written: the built-in ones first, then those of installed packages."""
    builtin = (*detect.CARDS, *align.CARDS, *mask.CARDS, *identity.CARDS, *detect.UNVERIFIED, *align.UNVERIFIED)
    everything = (*builtin, *_third_party(frozenset((card.role, card.name) for card in builtin)))
    return tuple(card for card in everything if role is None or card.role == role)


def names(role: Role | str) -> tuple[str, ...]:
    """The names of the models that are ready to be fetched and run for ``role``."""
    return tuple(card.name for card in cards(role))


def card(role: Role | str, name: str) -> Card:
    """The card of one model.

    Raises:
        ModelError: no such model; the message lists the choices.
    """
    known = {card.name: card for card in _all_cards(role)}
    if name not in known:
        raise ModelError(_unknown(f"{role} model", name, list(known)))
    return known[name]


def named(name: str) -> Card:
    """The card of one model by its name alone.

    Raises:
        ModelError: no such model; the message lists the choices.
    """
    known = {card.name: card for card in _all_cards()}
    if name not in known:
        raise ModelError(_unknown("model", name, list(known)))
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


def model_class(card: Card) -> type[Any]:
    """The class that ``card`` names. This is where torch gets loaded.

    Raises:
        ModelError: the class can't be imported.
    """
    module, _, attribute = card.model.partition(":")
    try:
        found: type[Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ModelError(f"{card.name}: {card.model} can't be imported: {error}") from error
    return found


def create(role: Role | str, name: str, **options: Any) -> Any:
    """A new model, not loaded yet: a :class:`~facestream.stream.types.Detector` or
    :class:`~facestream.stream.types.FacePlugin`.

    Args:
        role, name: which one.
        options: what its class takes, such as ``size``, ``threshold`` or ``batch_size``. None means the
            card's own.

    Raises:
        ModelError: no such model, or it can't be imported.
        ConfigError: the model has no such option.
    """
    model = model_class(card(role, name))
    allowed = [key for key in inspect.signature(model).parameters if key != "self"]
    for key in options:
        if key not in allowed:
            raise ConfigError(_unknown(f"{name} option", key, allowed))
    return model(**{key: value for key, value in options.items() if value is not None})


def _third_party(taken: frozenset[tuple[Role, str]]) -> Iterator[Card]:
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            found = entry.load()
        except (ImportError, AttributeError) as error:
            logger.warning("model %s of %s can't be imported: %s", entry.name, entry.value, error)
            continue
        if not isinstance(found, Card):
            logger.warning("model %s of %s isn't a facestream.plugins.card.Card", entry.name, entry.value)
        elif (found.role, found.name) in taken:
            logger.warning("model %s of %s has the name of a built-in one: ignored", found.name, entry.value)
        else:
            yield found


def _unknown(what: str, name: str, choices: list[str]) -> str:
    close = get_close_matches(name, choices, n=1)
    hint = f": did you mean {close[0]!r}?" if close else ";"
    return f"unknown {what} {name!r}{hint} choose from {', '.join(choices) or 'none'}"

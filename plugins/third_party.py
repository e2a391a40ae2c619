"""Models that installed packages register by entry point, and what is wrong with those that can't be used.

Whatever a foreign package does while it is imported or made, it costs one line that names the model, not a traceback.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from facestream.errors import FacestreamError, ModelError
from facestream.plugins.card import Card, Role

ENTRY_POINTS: Final = "facestream.plugins"

_MEMBERS: Final = ("name", "batch_size", "load", "pre_process", "infer", "post_process")


def installed(taken: Collection[tuple[Role, str]]) -> tuple[list[Card], list[str]]:
    """The cards that installed packages register, and one line about each that can't be had or has a ``taken`` name."""
    cards: list[Card] = []
    complaints: list[str] = []
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            card = _loaded(entry)
        except ModelError as error:
            complaints.append(str(error))
            continue
        if (card.role, card.name) in {*taken, *((other.role, other.name) for other in cards)}:
            complaints.append(f"{card.name}: {entry.value} has the name of another {card.role} model: it is left out")
        else:
            cards.append(card)
    return cards, complaints


def require_sound(name: str) -> None:
    """
    Raises:
        ModelError: an installed package means to register a model called ``name``, but can't; the message says why.
    """
    for entry in entry_points(group=ENTRY_POINTS, name=name):
        _loaded(entry)


def _loaded(entry: EntryPoint) -> Card:
    package = entry.dist.name if entry.dist is not None else "an installed package"
    try:
        found = entry.load()
    except Exception as error:  # the package's own code: it may raise anything
        raise ModelError(f"{entry.name}: {entry.value} of {package} can't be imported: {said(error)}") from error
    if not isinstance(found, Card):
        raise ModelError(f"{entry.name}: {entry.value} of {package} isn't a facestream.plugins.card.Card")
    return found


def model_class(card: Card) -> type[Any]:
    """The class that ``card`` names. This is where torch gets loaded.

    Raises:
        ModelError: it can't be imported, or isn't a class.
    """
    module, _, attribute = card.model.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # may be a package's own code, too
        raise ModelError(f"{card.name}: {card.model} can't be imported: {said(error)}") from error
    if not isinstance(found, type):
        raise ModelError(f"{card.name}: {card.model} isn't a class")
    return found


def made(card: Card, model: type[Any], options: dict[str, Any]) -> Any:
    """One model of that class, which has what the engine asks of it.

    Raises:
        ModelError: it can't be made, or lacks a part of the contract.
    """
    try:
        plugin = model(**options)
    except FacestreamError:
        raise
    except Exception as error:  # may be a package's own code, too
        raise ModelError(f"{card.name}: {card.model} can't be made: {said(error)}") from error
    missing = [member for member in _MEMBERS if not hasattr(plugin, member)]
    if missing:
        raise ModelError(f"{card.name}: {card.model} lacks {', '.join(missing)}; see docs/plugins.md")
    return plugin


def said(error: Exception) -> str:
    """An error on one line; with its kind, where the text alone says little."""
    text = " ".join(str(error).split())
    return text if isinstance(error, ImportError) and text else f"{type(error).__name__}: {text}".rstrip(": ")

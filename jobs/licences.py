"""Licences that a user has to accept before a chosen model's weights are fetched; see ``plugins/licences.py``.

Whoever talks to the user hands in how to ask. Nothing here loads torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from facestream.plugins import licences, registry
from facestream.plugins.card import Card
from facestream.plugins.catalogue import licences_to_accept

if TYPE_CHECKING:
    from facestream.jobs.models import ModelOptions

Ask: TypeAlias = Callable[[str, str, str], bool]
"""Shows the user a model's name, its weights' licence and what that forbids; whether they accept it."""


def with_accepted_licences(options: ModelOptions, ask: Ask | None) -> ModelOptions:
    """The options, accepting what the licences of the chosen models forbid, once the user does.

    Args:
        options: as chosen.
        ask: asked once for each licence that is open; None if nobody can be asked.

    Raises:
        ConfigError: masks are wanted and no aligner, whose landmarks they need.
        WeightsMissing: a licence isn't accepted; the message says what to do.
    """
    if options.accept_licence:
        return options
    known = {(card.role, card.name) for card in registry.cards()}  # what is misspelt is told by whoever loads it
    names = [name for role, name in options.face_models if (role, name) in known]
    if options.detector is not None and ("detect", options.detector) in known:
        names.append(options.detector)
    asked = accept(names, ask)
    return replace(options, accept_licence=True) if asked else options


def accept(names: Iterable[str], ask: Ask | None) -> list[Card]:
    """The cards whose open licences the user was asked about; all of them were accepted.

    Raises:
        UnknownModel: there is no such model.
        WeightsMissing: one isn't accepted; the message says what to do.
    """
    cards = licences_to_accept(names)
    for card in cards:
        if ask is None or not ask(card.name, card.licence, card.limits):
            raise licences.refusal(card)
    return cards

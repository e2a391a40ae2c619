"""Licences that a user has to accept before a model's weights are fetched: those that forbid some uses of them.

Accepted is what the caller says is (``--accept-licence``, or a yes to the question on a terminal), and what
``FACESTREAM_ACCEPT_LICENCE`` names: models, separated by commas. Weights in the cache were accepted when they came.
"""

from __future__ import annotations

import os

from facestream.errors import WeightsMissing
from facestream.plugins.card import Card

VARIABLE = "FACESTREAM_ACCEPT_LICENCE"


def accepted(card: Card) -> bool:
    """Whether the weights may be fetched: the card asks nothing, or the environment has accepted it."""
    named = os.environ.get(VARIABLE, "").split(",")
    return not card.ask or card.name in {name.strip() for name in named}


def refusal(card: Card) -> WeightsMissing:
    """The error for a licence that nobody has accepted."""
    return WeightsMissing(
        f"{card.name}: {card.limits}: if you accept that, add --accept-licence, or run `facestream models pull "
        f"{card.name} --accept-licence` once (or set {VARIABLE}={card.name})"
    )

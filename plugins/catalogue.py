"""What ``facestream models list | pull | path`` needs: the models, which weights are here, and fetching."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from facestream.errors import WeightsMissing
from facestream.plugins import registry, weights
from facestream.plugins.card import Card
from facestream.plugins.download import Progress


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of ``facestream models list``.

    Attributes:
        card: the model's card.
        cached: where its converted weights lie, or None.
    """

    card: Card
    cached: Path | None


def listing() -> list[Entry]:
    """Every model there is. Loads no torch and asks no network."""
    return [Entry(card, weights.cached_weights(card)) for card in registry.cards()]


def pull(names: Iterable[str], *, offline: bool | None = None, progress: Progress | None = None) -> dict[str, Path]:
    """Fetch and convert the weights of the named models that the cache doesn't hold yet: name → file.

    Raises:
        ModelError: an unknown model, before anything is fetched.
        WeightsMissing, WeightsCorrupt: see :func:`facestream.plugins.weights.fetch_weights`. What was pulled
            before stays.
    """
    cards = [registry.named(name) for name in names]
    return {card.name: _pull(card, offline, progress) for card in cards}


def path(name: str) -> Path:
    """Where a model's converted weights lie.

    Raises:
        ModelError: an unknown model.
        WeightsMissing: they aren't in the cache.
    """
    card = registry.named(name)
    cached = weights.cached_weights(card)
    if cached is None:
        raise WeightsMissing(f"{name}: not in the cache: run `facestream models pull {name}`")
    return cached


def _pull(card: Card, offline: bool | None, progress: Progress | None) -> Path:
    cached = weights.cached_weights(card)
    if cached is not None:
        return cached  # without loading torch
    convert = registry.model_class(card).convert
    return weights.fetch_weights(card, convert, offline=offline, progress=progress)

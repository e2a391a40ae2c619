"""What ``facestream models list | pull | path`` needs: the models, which weights are here, and fetching."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from facestream.errors import ConfigError, WeightsMissing
from facestream.plugins import licences, registry, vouching, weights
from facestream.plugins.card import Card, Role
from facestream.plugins.download import Progress

logger = logging.getLogger("facestream.plugins")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of ``facestream models list``.

    Attributes:
        card: the model's card.
        cached: where its converted weights lie, or None.
        hashed: whether the project or the user has named the hash of its weights.
    """

    card: Card
    cached: Path | None
    hashed: bool = True


def listing() -> list[Entry]:
    """Every model there is. Loads no torch and asks no network. Logs what is wrong with those of installed packages."""
    for complaint in registry.complaints():
        logger.warning("%s", complaint)
    ready = [Entry(card, weights.cached_weights(card)) for card in registry.cards()]
    entries = [*ready, *(Entry(card, None, hashed=False) for card in registry.unverified())]
    return sorted(entries, key=lambda entry: list(Role).index(entry.card.role))


def licences_to_accept(names: Iterable[str]) -> list[Card]:
    """The cards of those named whose licence somebody has to accept before :func:`pull` fetches the weights.

    None for those whose weights are in the cache, that ask nothing, or that the environment accepts.

    Raises:
        UnknownModel: there is no such model.
    """
    cards = [registry.named(name) for name in dict.fromkeys(names)]
    return [card for card in cards if not licences.accepted(card) and weights.cached_weights(card) is None]


def pull(
    names: Iterable[str],
    *,
    accepted: bool = False,
    offline: bool | None = None,
    progress: Progress | None = None,
) -> dict[str, Path]:
    """Fetch and convert the weights of the named models that the cache doesn't hold yet: name → file.

    A model whose card names no files has nothing to fetch, and isn't in the result.

    Args:
        names: the models.
        accepted, offline, progress: as for :func:`facestream.plugins.weights.fetch_weights`.

    Raises:
        ModelError: an unknown model, before anything is fetched.
        WeightsMissing, WeightsCorrupt: see :func:`facestream.plugins.weights.fetch_weights`. What was pulled
            before stays.
    """
    cards = [registry.named(name) for name in names]
    return {card.name: _pull(card, accepted, offline, progress) for card in cards if card.files}


def pull_vouched(
    name: str,
    sha256: str | None,
    source: str | None = None,
    *,
    offline: bool | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fetch and convert weights that the project has no hash for; its user vouches for theirs, and that is remembered.

    Args:
        name: which model.
        sha256: of the published file. None is refused, with the hash of ``source`` if that is a file.
        source: a file, or an address other than the card's.
        offline, progress: as for :func:`pull`.

    Raises:
        ModelError: an unknown model.
        ConfigError: its card has a hash of its own, or ``sha256`` is none.
        WeightsMissing, WeightsCorrupt: see :func:`facestream.plugins.weights.fetch_claimed`.
    """
    card = registry.named(name)
    url = source if source is not None and "://" in source else None
    given = Path(source) if source is not None and url is None else None
    if vouching.verifiable(card):
        raise ConfigError(f"{name}: this project knows the hash of its weights: leave --sha256 and --from away")
    if sha256 is None:
        found = weights.sha256_of(given) if given is not None else None
        if found is None:
            raise vouching.refusal(card)
        raise WeightsMissing(f"{name}: {given} has sha256 {found}: if you trust it, add --sha256 {found}")
    claim = vouching.claimed(card, sha256, url)
    convert = registry.model_class(card).convert
    return weights.fetch_claimed(claim, convert, given=given, offline=offline, progress=progress)


def path(name: str) -> Path:
    """Where a model's converted weights lie.

    Raises:
        ModelError: an unknown model.
        WeightsMissing: they aren't in the cache.
    """
    card = registry.named(name)
    cached = weights.cached_weights(card)
    if cached is None:
        if not card.files:
            raise WeightsMissing(f"{name}: its card names no files, so there are no weights to fetch")
        if not vouching.verifiable(weights.with_vouched_hash(card)):
            raise vouching.refusal(card)
        raise WeightsMissing(f"{name}: not in the cache: run `facestream models pull {name}`")
    return cached


def _pull(card: Card, accepted: bool, offline: bool | None, progress: Progress | None) -> Path:
    cached = weights.cached_weights(card)
    if cached is not None:
        return cached  # without loading torch
    convert = registry.model_class(card).convert
    return weights.fetch_weights(card, convert, accepted=accepted, offline=offline, progress=progress)

"""Hashes that a user vouches for: of published weights that this project has never seen.

Some cards say where a model's weights are published, and leave sha256 and size empty: nobody here could check them.
Such weights are refused until a user says which file they trust, by its hash (``facestream models pull NAME --sha256
HEX``). That is remembered in ``<cache>/vouched.json``, and from then on the model is like any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import msgspec

from facestream.errors import ConfigError, WeightsMissing
from facestream.plugins.card import Card, UrlFile


class Voucher(msgspec.Struct, frozen=True):
    """The file that a user trusts for one model."""

    url: str
    sha256: str
    size: int


Vouchers: TypeAlias = Mapping[str, Voucher]

_NAME = "vouched.json"


def verifiable(card: Card) -> bool:
    """Whether somebody has named the hash of each of the card's files."""
    return all(file.sha256 for file in card.files)


def vouchers(cache: Path) -> Vouchers:
    """What the user vouched for, by role and name; nothing when the file is missing or damaged."""
    try:
        return msgspec.json.decode((cache / _NAME).read_bytes(), type=dict[str, Voucher])
    except (OSError, msgspec.DecodeError):
        return {}


def vouched(card: Card, known: Vouchers) -> Card:
    """The card with the hash that its user vouched for; as it was if it has its own, or nobody did."""
    voucher = known.get(_key(card))
    if verifiable(card) or voucher is None:
        return card
    return replace(card, files=(UrlFile(voucher.url, voucher.sha256, voucher.size),))


def with_voucher(known: Vouchers, card: Card) -> bytes:
    """What ``vouched.json`` shall hold once the user has vouched for ``card``, a claim of one file."""
    (file,) = card.files
    added = {**known, _key(card): Voucher(file.location, file.sha256, file.size)}
    return msgspec.json.format(msgspec.json.encode(added))


def target(cache: Path) -> Path:
    """Where it is remembered."""
    return cache / _NAME


def claimed(card: Card, sha256: str, url: str | None = None) -> Card:
    """The card as its user claims it to be, its file's size still unknown.

    Args:
        card: one whose file has no hash.
        sha256: of the file, as sha256sum prints it.
        url: where it is, if not where the card says.

    Raises:
        ConfigError: that is no sha256.
    """
    digits = sha256.strip().lower().removeprefix("sha256:")
    if not re.fullmatch("[0-9a-f]{64}", digits):
        raise ConfigError(f"--sha256 {sha256!r} isn't a sha256: give the 64 digits that `sha256sum FILE` prints")
    return replace(card, files=(UrlFile(url or card.files[0].location, digits, 0),))


def refusal(card: Card) -> WeightsMissing:
    """The error for a card that nobody has vouched for."""
    return WeightsMissing(
        f"{card.name}: this project has no hash for {card.files[0].location}: if you trust that file, run `facestream "
        f"models pull {card.name} --sha256 HEX` (HEX: what its publisher states, or `sha256sum` prints for your copy)"
    )


def _key(card: Card) -> str:
    return f"{card.role}/{card.name}"

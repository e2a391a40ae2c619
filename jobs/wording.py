"""Numbers in sentences. Pure."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 frame``, ``2 frames``; of a phrase only the first word changes: ``1 frame of …``, ``2 frames of …``."""
    if plural:
        return f"{number} {noun if number == 1 else plural}"
    first, space, rest = noun.partition(" ")
    return f"{number} {first}{'' if number == 1 else 's'}{space}{rest}"

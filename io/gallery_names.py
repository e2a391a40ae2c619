"""What a person may be called. Pure."""

from __future__ import annotations

import unicodedata
from typing import Final

from facestream.errors import ConfigError

LONGEST: Final = 100
"""Characters in a name, at most."""

_JOINERS: Final = "\u200c\u200d"  # invisible, and part of words in Persian and of several Indian scripts


def checked_name(name: str) -> str:
    """``name`` as it is stored: Unicode NFC, without white space around it and with single blanks inside.

    Raises:
        ConfigError: nothing is left, it is too long, or it has characters that can't be seen.
    """
    tidy = " ".join(part for part in unicodedata.normalize("NFC", name).strip().split(" ") if part)
    if not tidy:
        raise ConfigError("a person's name is empty: give one that can be read")
    if len(tidy) > LONGEST:
        raise ConfigError(f"the name {tidy[:20]!r}… has {len(tidy)} characters: give one of at most {LONGEST}")
    for character in tidy:
        if _unseen(character):
            raise ConfigError(f"the name {tidy!r} has the character U+{ord(character):04X}, which can't be seen")
    return tidy


def name_key(name: str) -> str:
    """By what a checked name is looked up: capitals and small letters are one."""
    return unicodedata.normalize("NFC", name.casefold())


def _unseen(character: str) -> bool:
    category = unicodedata.category(character)
    return (category[0] == "C" or category in ("Zl", "Zp")) and character not in _JOINERS

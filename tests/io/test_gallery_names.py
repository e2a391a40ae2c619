from __future__ import annotations

import pytest

from facestream.errors import ConfigError
from facestream.io.gallery_names import LONGEST, checked_name, name_key


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("Ada", "Ada"),
        ("  Ada   Lovelace ", "Ada Lovelace"),
        ("Zoe\u0308", "Zoë"),  # decomposed → NFC
        ("李小龙", "李小龙"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("x" * LONGEST, "x" * LONGEST),
    ],
)
def test_a_name_is_stored_tidily(given: str, stored: str) -> None:
    assert checked_name(given) == stored


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "empty"),
        (" \t ", "empty"),
        ("x" * (LONGEST + 1), "101 characters"),
        ("a\nb", "U\\+000A"),
        ("a\x00b", "U\\+0000"),
        ("evil\u202eeman", "U\\+202E"),
        ("a\u2028b", "U\\+2028"),
        ("\ud800", "U\\+D800"),
    ],
)
def test_a_name_that_cant_be_read_is_refused(name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        checked_name(name)


def test_capitals_dont_make_another_person() -> None:
    assert name_key("ADA") == name_key("ada")
    assert name_key("Straße") == name_key("STRASSE")
    assert name_key("Ada") != name_key("Adam")

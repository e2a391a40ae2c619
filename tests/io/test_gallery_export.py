from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facestream.errors import ConfigError, FileFormatError, OutputError
from facestream.io.gallery import Added, Gallery
from facestream.io.gallery_export import export_people, import_people
from facestream.stream.types import Floats

MODEL, OTHER = ("sface", "5f" * 32), ("vggface2", "b0" * 32)


def embeddings(count: int, seed: int = 0, width: int = 8) -> Floats:
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def filled(path: Path) -> Gallery:
    gallery = Gallery.open(path, clock=lambda: 1_000_000_000.25)
    gallery.add("Ada", embeddings(2), model=MODEL[0], sha256=MODEL[1])
    gallery.add("Ada", embeddings(1, width=16), model=OTHER[0], sha256=OTHER[1])
    gallery.add("Zoë", embeddings(3, seed=1), model=MODEL[0], sha256=MODEL[1])
    return gallery


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    with filled(tmp_path / "here.db") as gallery:
        assert export_people(gallery, tmp_path / "people.json") == 2
    return tmp_path / "people.json"


def changed(path: Path, **fields: Any) -> Path:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    return path


def test_everybody_comes_through_to_the_last_bit(exported: Path, tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "there.db") as there, Gallery.open(tmp_path / "here.db") as here:
        assert import_people(there, exported) == Added(people=2, embeddings=6)
        assert there.people() == here.people()
        for model in (MODEL, OTHER):
            assert np.array_equal(there.known(*model)[0], here.known(*model)[0])


def test_importing_again_adds_nothing(exported: Path, tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "here.db") as here:
        assert import_people(here, exported) == Added(people=0, embeddings=0)


def test_somebody_who_is_there_gets_what_is_new(exported: Path, tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "there.db") as there:
        there.add("zoë", embeddings(1, seed=9), model=MODEL[0], sha256=MODEL[1])
        assert import_people(there, exported) == Added(people=1, embeddings=6)
        assert there.known(*MODEL)[1] == ["Ada"] * 2 + ["zoë"] * 4


def test_without_merging_a_name_that_is_there_stops_everything(exported: Path, tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "there.db") as there:
        there.add("zoë", embeddings(1, seed=9), model=MODEL[0], sha256=MODEL[1])
        with pytest.raises(ConfigError, match="there is a 'Zoë' already, so nobody was imported"):
            import_people(there, exported, merge=False)
        assert [person.name for person in there.people()] == ["zoë"]


def test_the_file_is_private_and_readable(exported: Path) -> None:
    if os.name != "nt":
        assert exported.stat().st_mode & 0o777 == 0o600
    content = json.loads(exported.read_text())
    assert (content["format"], content["version"]) == ("facestream people", 1)
    assert [person["name"] for person in content["people"]] == ["Ada", "Zoë"]
    assert content["people"][0]["since"].startswith("2001-09-09T01:46:40.25")


def test_a_file_that_is_there_is_only_replaced_when_asked(exported: Path, tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "here.db") as here:
        with pytest.raises(ConfigError, match="is there already"):
            export_people(here, exported)
        here.remove("Ada")
        assert export_people(here, exported, overwrite=True) == 1
        with pytest.raises(OutputError, match="can't be written"):
            export_people(here, tmp_path / "no such folder" / "people.json")


PERSON = {"name": "Bob", "since": "2026-01-01T00:00:00Z", "looks": []}
LOOKS = {"model": "sface", "sha256": "5f" * 32, "width": 1, "embeddings": ["AACAPw=="]}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"version": 2}, "is of version 2"),
        ({"format": "letters"}, "isn't an export of people"),
        ({"people": "everybody"}, "isn't an export of people"),
        ({"people": [{**PERSON, "looks": [{**LOOKS, "embeddings": ["***"]}]}]}, "isn't base64"),
        ({"people": [{**PERSON, "looks": [{**LOOKS, "width": 2}]}]}, "has 4 bytes, not 8"),
        ({"people": [{**PERSON, "looks": [{**LOOKS, "sha256": "x"}]}]}, "sha256"),
        ({"people": [PERSON, {**PERSON, "looks": [{**LOOKS, "embeddings": ["AAAAAA=="]}]}]}, "zero"),
        ({"people": [PERSON, {**PERSON, "looks": [{**LOOKS, "embeddings": ["AADAfw=="]}]}]}, "finite"),
        ({"people": [PERSON, {**PERSON, "looks": [LOOKS]}]}, "where others have 8"),
    ],
)
def test_a_file_that_cant_be_right_imports_nobody(exported: Path, tmp_path: Path, fields: Any, words: str) -> None:
    with Gallery.open(tmp_path / "here.db") as here:
        before = here.version(), here.people()
        with pytest.raises(FileFormatError, match=words) as error:
            import_people(here, changed(exported, **fields))
        assert str(exported) in str(error.value)
        assert (here.version(), here.people()) == before


def test_what_isnt_there_or_no_json_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b"\x00\xff")
    with Gallery.open(tmp_path / "here.db") as here:
        with pytest.raises(FileFormatError, match="isn't an export of people"):
            import_people(here, tmp_path / "x.json")
        with pytest.raises(FileFormatError, match="can't be read"):
            import_people(here, tmp_path / "missing.json")

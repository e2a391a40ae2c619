from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from facestream.cli import run
from facestream.errors import WeightsMissing
from facestream.io.event_store import EventStore, events_file
from facestream.io.gallery import Gallery
from facestream.io.images import read_image
from facestream.io.user_data import people_file
from facestream.plugins.catalogue import pull
from facestream.stream.events import Event, Kind


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESTREAM_USER_DATA", str(tmp_path / "data"))


def put(*names: str, path: Path | None = None) -> None:
    with Gallery.open(path or people_file(), clock=lambda: 0.0) as gallery:
        for seed, name in enumerate(names):
            rows = np.random.default_rng(seed).normal(size=(2, 8)).astype(np.float32)
            gallery.add(name, rows, model="sface", sha256="5f" * 32)


def listed(capsys: pytest.CaptureFixture[str], *options: str) -> list[str]:
    capsys.readouterr()
    assert run(["people", "list", "--json", *options]) == 0
    return [person["name"] for person in json.loads(capsys.readouterr().out)]


def test_listing_nobody_says_how_to_begin_and_makes_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["people", "list"]) == 0
    assert capsys.readouterr().err == "Nobody yet: facestream people add NAME PICTURE\n"
    assert listed(capsys) == []
    assert not people_file().exists()


def test_listing_people(capsys: pytest.CaptureFixture[str]) -> None:
    put("Bob", "Ada")
    assert run(["people", "list"]) == 0
    header, ada, *_ = capsys.readouterr().out.splitlines()
    assert header.split() == ["NAME", "PICTURES", "MODELS", "SINCE"]
    assert ada.split()[:3] == ["Ada", "2", "sface"]
    assert run(["people", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0] == {
        "name": "Ada",
        "since": "1970-01-01T00:00:00+00:00",
        "looks": [{"model": "sface", "sha256": "5f" * 32, "count": 2}],
    }


def test_names_in_stored_events_follow() -> None:
    put("Ada", "Bob", "Çem", "Dan")
    visits = [Event(n, Kind.LEFT, "door", 7, name, 1.0, 1.0, 2.0, 2.0) for n, name in enumerate(("Ada", "Bob", "Çem"))]
    with EventStore.open(events_file()) as store:
        store.write(visits)
        assert run(["people", "rename", "bob", "Robert"]) == 0
        assert run(["people", "merge", "Çem", "Dan"]) == 0
        assert run(["people", "remove", "ADA"]) == 0
        assert [event.name for event in store.find()] == ["Dan", "Robert", None]


def test_people_are_renamed_merged_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    put("Ada", "Bob", "Çem", "Dan")
    assert run(["people", "rename", "bob", "Robert"]) == 0
    assert run(["people", "merge", "Çem", "Robert"]) == 0
    assert run(["people", "remove", "Ada"]) == 0
    assert listed(capsys) == ["Dan", "Robert"]


def test_another_file_can_be_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    put("Ada", path=tmp_path / "other.db")
    assert listed(capsys, "--people", str(tmp_path / "other.db")) == ["Ada"]
    assert listed(capsys) == []


def test_people_move_to_another_machine(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    put("Ada", "Bob")
    file, there = str(tmp_path / "people.json"), ["--people", str(tmp_path / "there.db")]
    assert run(["people", "export", file]) == 0
    assert capsys.readouterr().out == f"{file}: 2 people\n"
    assert run(["people", "import", file, *there]) == 0
    assert capsys.readouterr().out == "2 new people, 4 new embeddings\n"
    assert listed(capsys, *there) == ["Ada", "Bob"]
    assert run(["people", "import", file, "--no-merge", *there]) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["remove", "Nobody"], 2, "there is nobody called 'Nobody'"),
        (["rename", "Ada", "a\tb\x07"], 2, "can't be seen"),
        (["merge", "Ada", "Ada"], 2, "are one person already"),
        (["import", "missing.json"], 1, "missing.json: can't be read"),
        (["add", " ", "photo.jpg"], 2, "name is empty"),
        (["add", "Ada", "photo.jpg", "--identity", "nobody"], 2, "unknown identity model"),
        (["add", "Ada"], 2, "what pictures show that person? facestream people add Ada PICTURE…"),
        (["add", "photo.jpg"], 2, "whose picture is it? facestream people add NAME photo.jpg"),
        (["list", "--people", __file__], 1, "isn't a gallery of people"),
    ],
)
def test_what_goes_wrong_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    put("Ada")
    assert run(["people", *arguments]) == code
    assert words in capsys.readouterr().err


def test_without_a_gallery_there_is_nobody_to_forget(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["people", "remove", "Ada"]) == 2
    assert "there is no gallery of people; `facestream people add NAME PICTURE` makes one" in capsys.readouterr().err
    assert not people_file().exists()


@pytest.mark.usefixtures("weights")
def test_a_person_is_added_from_photos(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, five_faces: Path, tmp_path: Path
) -> None:
    try:
        pull(["sface"])
    except WeightsMissing as error:
        pytest.skip(str(error))
    import cv2

    cv2.imwrite(str(tmp_path / "smaller.png"), cv2.resize(read_image(five_faces), None, fx=0.8, fy=0.8))
    photos = [str(five_faces), str(tmp_path / "smaller.png"), str(tmp_path / "missing.jpg")]
    assert run(["people", "add", "Ada", *photos[:1], "--device", "cpu"]) == 1
    assert "the picture can't be used, so nobody was added" in capsys.readouterr().err
    assert listed(capsys) == []
    assert run(["people", "add", "Ada", *photos, "--largest", "--device", "cpu"]) == 0
    assert capsys.readouterr().out == "Ada: 2 pictures added; 2 in all\n"
    assert f"not used: can't read {photos[2]}" in caplog.text

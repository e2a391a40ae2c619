from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import cv2
import numpy as np
import pytest

from facestream.errors import OutputError
from facestream.jobs.sort.plan import Placed
from facestream.jobs.sort.sheet import NAME, THUMBNAILS, remove_sheet, sections, write_sheet
from tests.jobs.sort.build import face, people, settings, sorted_by


class Page(HTMLParser):
    """What a page shows."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.pictures: list[str] = []
        self.resources: list[str] = []
        self.text = ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        if tag == "a":
            self.links.append(values["href"])
        if tag == "img":
            self.pictures.append(values["src"])
        if tag in ("link", "script", "iframe", "object"):
            self.resources.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def group(folder: str, count: int) -> Placed:
    return Placed(folder, [f"{number:06d}_x.png" for number in range(count)])


async def test_the_page_shows_every_face_and_leads_to_its_picture(tmp_path: Path) -> None:
    report = await sorted_by(settings("none", "face"), people(tmp_path, [2, 4, 1]))
    path = write_sheet(tmp_path, report.placed, "people")
    assert path == tmp_path / NAME
    page = Page(path)
    assert [(tmp_path / unquote(link)).is_file() for link in page.links] == [True] * 7
    assert page.links[0].startswith("_face_000/")
    assert "7 faces in 3 groups" in page.text
    first = base64.b64decode(page.pictures[0].removeprefix("data:image/jpeg;base64,"))
    assert max(cv2.imdecode(np.frombuffer(first, np.uint8), cv2.IMREAD_COLOR).shape[:2]) == 96
    assert page.resources == []
    assert re.findall(r"https?://", path.read_text()) == []


def test_names_are_text_whatever_they_are_made_of(tmp_path: Path) -> None:
    names = ["<script>alert(1)</script>.png", 'a"b.png', "50% & #1?.png", "ü 1.png", "\udcff.png"]
    written = [name.replace("/", "") for name in names]
    for name in written:
        face(tmp_path / name)
    page = Page(write_sheet(tmp_path, [Placed("", written)], "<b>"))
    assert page.resources == []
    found = [unquote(link, errors="surrogateescape") for link in page.links]
    assert found == written
    assert "<b>" in page.text


def test_a_picture_that_has_gone_is_a_name(tmp_path: Path) -> None:
    page = Page(write_sheet(tmp_path, [Placed("", ["gone.png"])], "x"))
    assert page.pictures == []
    assert "gone.png" in page.text


@pytest.mark.parametrize(
    "sizes", [[10_000], [5000, 5000], [1] * 10_000, [2000, *[1] * 8000], [100, 50, 3], [], [THUMBNAILS]]
)
def test_a_page_stays_small_however_many_faces_there_are(sizes: list[int]) -> None:
    placed = [group(f"_face_{number:03d}", size) for number, size in enumerate(sizes)]
    chosen = sections(placed)
    assert sum(len(section.shown) for section in chosen) <= THUMBNAILS
    assert all(section.shown for section in chosen)
    assert [section.count for section in chosen] == sorted(sizes, reverse=True)[: len(chosen)]
    if len(sizes) <= THUMBNAILS:
        assert len(chosen) == len(sizes)


def test_of_a_large_group_some_are_shown_from_its_start_to_its_end() -> None:
    large, small = sections([group("a", 600), group("b", 3)])
    assert len(large.shown) == 60
    assert large.shown[:2] == ["000000_x.png", "000010_x.png"]
    assert len(small.shown) == 3


def test_what_isnt_shown_is_counted(tmp_path: Path) -> None:
    page = Page(write_sheet(tmp_path, [group("a", 100), group("b", 1)], "x"))
    assert "and 40 more in the folder" in page.text


def test_a_page_replaces_its_predecessor_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("mine")
    face(tmp_path / "a.png")
    assert write_sheet(tmp_path, [Placed("", ["a.png"])], "x") == tmp_path / "contact_sheet-2.html"
    assert write_sheet(tmp_path, [Placed("", ["a.png"])], "x") == tmp_path / "contact_sheet-2.html"
    remove_sheet(tmp_path)
    assert (tmp_path / NAME).read_text() == "mine"


def test_a_stopped_page_isnt_written(tmp_path: Path) -> None:
    face(tmp_path / "a.png")
    assert write_sheet(tmp_path, [Placed("", ["a.png"])], "x", stopped=lambda: True) is None
    assert not (tmp_path / NAME).exists()


def test_a_page_that_cant_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"can't write .*contact_sheet.html: .*; the faces are sorted all the same"):
        write_sheet(tmp_path / "gone", [], "x")

"""Files whose extract job was interrupted, and folders that have none of a file's pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from facestream.errors import AlignmentsError
from facestream.jobs.alignments import check, no_faces, sort
from facestream.jobs.alignments.report import Output
from facestream.jobs.alignments.work import Work
from tests.jobs.alignments.build import Heard, extracted, record, silent
from tests.jobs.extracting import contents, extract, options_for
from tests.jobs.test_extract_job import photos


@pytest.fixture
async def interrupted(tmp_path: Path) -> Work:
    folder = photos(tmp_path / "photos", 40)
    await extract(options_for(folder), stop_after=4)
    return Work(folder / "alignments.fsa", None, folder)


async def test_what_extract_could_go_on_with_isnt_changed(interrupted: Work) -> None:
    assert interrupted.frames is not None
    before = contents(interrupted.frames)
    with pytest.raises(AlignmentsError, match=r"hasn't finished .*photos: run its command once more"):
        sort.run(interrupted, silent())
    assert contents(interrupted.frames) == before
    sort.run(interrupted, replace(silent(), ignore_unfinished=True))


async def test_it_can_be_listed_and_what_cant_go_on_can_be_changed(interrupted: Work) -> None:
    no_faces.run(interrupted, silent(), output=Output.CONSOLE)
    assert interrupted.frames is not None
    away = interrupted.frames.rename(interrupted.frames.with_name("away"))
    sort.run(Work(away / "alignments.fsa", None, away), silent())


def test_a_folder_with_none_of_the_pictures_doesnt_agree(tmp_path: Path) -> None:
    alignments = extracted(tmp_path, {"a.jpg": [record(10), record(100)]})
    check.run(Work(alignments.path, tmp_path / "faces"), silent())
    (tmp_path / "empty").mkdir()
    with pytest.raises(AlignmentsError, match=r"empty has no picture of any of the 2 faces in .*; check -c"):
        check.run(Work(alignments.path, tmp_path / "empty"), silent())
    none = extracted(tmp_path, {"a.jpg": []})
    heard = Heard()
    check.run(Work(none.path, tmp_path / "empty"), heard.session())
    assert "agree" in heard.told[0]

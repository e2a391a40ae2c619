from __future__ import annotations

import os
from pathlib import Path

import pytest

from facestream.io.user_data import create_private, people_file


def test_the_users_data_can_be_kept_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESTREAM_USER_DATA", str(tmp_path))
    assert people_file() == tmp_path / "people.db"
    monkeypatch.delenv("FACESTREAM_USER_DATA")
    assert "facestream" in people_file().parts


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_a_new_file_and_its_folder_are_their_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "facestream" / "people.db"
    create_private(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    path.write_bytes(b"people")
    create_private(path)
    assert path.read_bytes() == b"people"

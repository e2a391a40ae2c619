"""Where facestream keeps what its user has told it: things that no run can make anew, unlike the cache."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import platformdirs


def user_data_folder() -> Path:
    """``FACESTREAM_USER_DATA``, or the system's folder for a user's data. May not exist yet."""
    chosen = os.environ.get("FACESTREAM_USER_DATA")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("facestream"))


def people_file() -> Path:
    """The gallery of people whom the user has named. May not exist yet."""
    return user_data_folder() / "people.db"


def tokens_file() -> Path:
    """What is known of the server's tokens. May not exist yet."""
    return user_data_folder() / "tokens.json"


def make_private_folder(folder: Path) -> None:
    """Make a folder that only its owner can look into, unless it is there already.

    Raises:
        OSError: it can't be made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def create_private(path: Path) -> None:
    """Make an empty file that only its owner can read, and its folder as private where that is missing, too.

    A file that is there is left alone.

    Raises:
        OSError: the folder is somebody else's, or read-only.
    """
    make_private_folder(path.parent)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))

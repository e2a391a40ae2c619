"""People as a file that can be read anywhere, for a copy or another machine.

::

    {"format": "facestream people", "version": 1,
     "people": [{"name": "Ada", "since": "2026-11-21T09:30:00+00:00",
                 "looks": [{"model": "sface", "sha256": "fb14…", "width": 128, "embeddings": ["base64", …]}]}]}

An embedding is its ``width`` numbers as little-endian float32, in base64. ``sha256`` is of the model's published
weights: those of other weights can't be compared.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
import numpy as np

from facestream.errors import ConfigError, FileFormatError, OutputError
from facestream.io.atomic import replacing
from facestream.io.gallery import Added, Gallery, PersonRecord, vectors_of
from facestream.stream.types import Floats

VERSION: Final = 1

_WIDEST: Final = 65_536


class _Looks(msgspec.Struct):
    model: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    width: Annotated[int, msgspec.Meta(ge=1, le=_WIDEST)]
    embeddings: list[str]


class _Person(msgspec.Struct):
    name: str
    since: datetime
    looks: list[_Looks]


class _Versioned(msgspec.Struct):
    format: Literal["facestream people"]
    version: int


class _File(msgspec.Struct):
    format: Literal["facestream people"]
    version: int
    people: list[_Person]


def export_people(gallery: Gallery, path: Path, *, overwrite: bool = False) -> int:
    """Write everybody into ``path``, readable by its owner alone. The file is there whole or not at all.

    Returns: how many people.

    Raises:
        ConfigError: the file is there already.
        OutputError: it can't be written.
    """
    if path.exists() and not overwrite:
        raise ConfigError(f"{path} is there already: name another file, or give --overwrite")
    records = gallery.records()
    content = msgspec.json.format(
        msgspec.json.encode(_File("facestream people", VERSION, [_told(it) for it in records]))
    )
    try:
        with replacing(path) as file:
            Path(file.name).chmod(0o600)
            file.write(content)
    except OSError as error:
        raise OutputError(f"{path}: can't be written ({error.strerror}): name a file elsewhere") from error
    return len(records)


def import_people(gallery: Gallery, path: Path, *, merge: bool = True) -> Added:
    """Add everybody in ``path``: all of them, or nobody.

    Args:
        merge: somebody who is there already gets what is new of the one of the same name.

    Raises:
        FileFormatError: the file can't be read, isn't an export, is damaged or of a newer version.
        ConfigError: without ``merge``, somebody of one of the names is there.
    """
    records = _read(path)
    try:
        return gallery.add_records(records, merge=merge)
    except ValueError as error:
        raise FileFormatError(f"{path}: {error}; nobody was imported") from error


def _told(record: PersonRecord) -> _Person:
    return _Person(
        record.name,
        datetime.fromtimestamp(record.added_at, UTC),
        [
            _Looks(model, sha256, rows.shape[1], [base64.b64encode(vector).decode() for vector in vectors_of(rows)])
            for (model, sha256), rows in record.embeddings.items()
        ],
    )


def _read(path: Path) -> list[PersonRecord]:
    try:
        content = path.read_bytes()
        version = msgspec.json.decode(content, type=_Versioned).version
        if version > VERSION:
            raise FileFormatError(f"{path}: is of version {version}, and this facestream knows {VERSION}: update it")
        return [_record(person) for person in msgspec.json.decode(content, type=_File).people]
    except OSError as error:
        raise FileFormatError(f"{path}: can't be read ({error.strerror})") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise FileFormatError(f"{path}: isn't an export of people, or is damaged: {error}") from error


def _record(person: _Person) -> PersonRecord:
    since = person.since if person.since.tzinfo else person.since.replace(tzinfo=UTC)
    embeddings: dict[tuple[str, str], Floats] = {}
    for looks in person.looks:
        rows = [_embedding(text, looks.width) for text in looks.embeddings]
        if rows:
            embeddings[looks.model, looks.sha256] = np.stack(rows)
    return PersonRecord(person.name, since.timestamp(), embeddings)


def _embedding(text: str, width: int) -> Floats:
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"an embedding isn't base64: {error}") from error
    if len(content) != 4 * width:
        raise ValueError(f"an embedding has {len(content)} bytes, not {4 * width}")
    return np.frombuffer(content, "<f4").astype(np.float32)

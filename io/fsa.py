"""faceswap's alignments files, ``.fsa``: zlib over a pickle of plain values (spec §13.2).

Files of 2.0 to 2.4 are read, without running anything in them, and are 2.4 in memory. Files are written as
2.4, frame by frame, whole or not at all; the file that one replaces stays under a dated name.
"""

from __future__ import annotations

import filecmp
import logging
import os
import shutil
import zlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from facestream.errors import AlignmentsError
from facestream.io.atomic import replacing
from facestream.io.face_record import FrameEntry
from facestream.io.pickle_reader import Budget, PickledArray, PickledList, read_pickle
from facestream.io.pickle_writer import START, STOP, encode, encode_item

SUFFIX: Final = ".fsa"
VERSION: Final = 2.4
VERSIONS: Final = (2.0, 2.1, 2.2, 2.3, 2.4)

_LARGEST_FILE: Final = 4 << 30
_DEPTH: Final = 8  # containers inside a frame's value: faces, face, mask, one mask, matrix, row
_NAME_BYTES: Final = 1024

_log = logging.getLogger("facestream.alignments")


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading a file may cost, in bytes. Both grow with the file, since real files repeat themselves little.

    Attributes:
        content: the decompressed pickle.
        memory: the values built from it, before they become records.
    """

    content: int
    memory: int

    @classmethod
    def of_file(cls, size: int) -> Limits:
        """Faces shrink to about a half; a long video's frames without any, the extreme, to a twentieth: their
        content to 2.6 bytes each, which take 1000 in memory.
        """
        return cls(content=(32 << 20) + 32 * size, memory=(80 << 20) + 400 * size)


def read_fsa(path: str | os.PathLike[str], limits: Limits | None = None) -> tuple[float, dict[str, FrameEntry]]:
    """The version that a file was written with, and its frames by name, in the file's order, upgraded to 2.4.

    Args:
        limits: by default :meth:`Limits.of_file`.

    Raises:
        AlignmentsError: the file can't be read, is damaged, hostile, older than 2.0 or newer than 2.4; one
            line naming it.
    """
    try:
        data = _read(path)
        limits = limits or Limits.of_file(len(data))
        content = _decompress(data, limits.content)
        del data
        budget = Budget(limits.memory)
        root = read_pickle(content, budget)
        unfolded = Budget(limits.memory)
        del content
        return _frames(root, unfolded)
    except AlignmentsError as error:
        raise AlignmentsError(f"{os.fspath(path)} {error}") from error.__cause__


def _read(path: str | os.PathLike[str]) -> bytes:
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > _LARGEST_FILE:
                raise AlignmentsError(f"has {size >> 20} MB, more than any alignments file; choose another")
            return file.read(_LARGEST_FILE)
    except OSError as error:
        raise AlignmentsError(f"can't be read: {error.strerror}; check the path") from error


def _decompress(data: bytes, limit: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(data, limit)
        if not unpacker.eof:
            # At the limit with everything out, the end may still be to come.
            content += unpacker.decompress(unpacker.unconsumed_tail, 1)
    except zlib.error:
        if data[:1] != b"\x78":
            raise AlignmentsError("isn't an alignments file; choose one that ends in .fsa") from None
        raise AlignmentsError("is damaged; restore a backup (…_bk_<date>.fsa)") from None
    if len(content) > limit or (not unpacker.eof and unpacker.unconsumed_tail):
        raise AlignmentsError(f"unpacks to more than {limit >> 20} MB, far too much for its size; don't open it")
    if not unpacker.eof:
        raise AlignmentsError("is cut short; restore a backup (…_bk_<date>.fsa)")
    if unpacker.unused_data:
        raise AlignmentsError("goes on behind its end; restore a backup (…_bk_<date>.fsa)")
    return content


def _frames(root: Any, budget: Budget) -> tuple[float, dict[str, FrameEntry]]:
    if not isinstance(root, dict):
        raise AlignmentsError("holds no alignments; choose another file")
    version = _version(root)
    data = root["__data__"]
    frames: dict[str, FrameEntry] = {}
    for name in list(data):
        value = data.pop(name)  # its memory goes as the record's comes
        check_name(name)
        try:
            frames[name] = FrameEntry.from_dict(_upgraded(_plain(value, budget, _DEPTH), version))
        except ValueError as error:
            raise AlignmentsError(
                f"is damaged at frame {name[:80]!r}: {error}; remove that frame or restore a backup"
            ) from None
    return version, frames


def check_name(name: str) -> None:
    """A frame's name is a file's name: jobs make paths of it.

    Raises:
        AlignmentsError: it could lead out of its folder, or is none.
    """
    impossible = name in ("", ".", "..") or "/" in name or any(ord(letter) < 32 for letter in name)
    if impossible or len(name.encode("utf-8", "surrogatepass")) > _NAME_BYTES:
        raise AlignmentsError(f"has a frame with the impossible name {name[:60]!a}; it is damaged or hostile")


def _version(root: dict[str, Any]) -> float:
    meta = root.get("__meta__")
    if meta is None:
        raise AlignmentsError(
            "is of faceswap 1 (2020 or before), whose faces were cropped differently; extract the faces again"
        )
    version = meta.get("version") if isinstance(meta, dict) else None
    if not isinstance(version, (int, float)) or isinstance(version, bool):
        raise AlignmentsError("names no version; it is damaged")
    if version < VERSIONS[0]:
        raise AlignmentsError(
            f"is of version {version}, whose faces were cropped differently from 2.0 on; extract the faces again"
        )
    if version not in VERSIONS:
        raise AlignmentsError(f"is of version {version}; 2.0 to 2.4 can be read, so update facestream")
    if root.keys() != {"__meta__", "__data__"} or not isinstance(root["__data__"], dict):
        raise AlignmentsError("holds no alignments beside its version; it is damaged")
    return float(version)


def _plain(value: Any, budget: Budget, depth: int) -> Any:
    """What the pickle reader returned, as builtin types.

    A pickle may refer to one list many times over. Each time is paid for here, so that what unfolds stays
    within the budget.
    """
    if depth < 0:
        raise ValueError("it nests too deep")
    if isinstance(value, PickledList):
        budget.spend(64 + 8 * len(value.items))
        if isinstance(value.items, (bytearray, array)):
            return value.items
        return [_plain(item, budget, depth - 1) for item in value.items]
    if isinstance(value, PickledArray):
        if value.values is None:
            raise ValueError("it has an array without values")
        budget.spend(8 * value.values.size)
        return value.values
    if isinstance(value, dict):
        budget.spend(64 + 64 * len(value))
        return {key: _plain(item, budget, depth - 1) for key, item in value.items()}
    return value


# Upgrades


def _upgraded(frame: Any, version: float) -> Any:
    """A frame of an older version as one of 2.4 (spec §13.2); what can't be one is left for the checks to name."""
    if isinstance(frame, list) and version < VERSION:
        frame = {"faces": frame}
    if not isinstance(frame, dict):
        return frame
    if version < 2.3:
        frame.setdefault("video_meta", {})
    faces = frame.get("faces")
    if isinstance(faces, bytearray) and not faces:
        frame["faces"] = []
    elif isinstance(faces, list):
        for face in faces:
            if isinstance(face, dict):
                _upgrade_face(face, version)
    return frame


def _upgrade_face(face: dict[str, Any], version: float) -> None:
    if version < VERSION and "landmarksXY" in face:
        face["landmarks_xy"] = face.pop("landmarksXY")
    if version < 2.1:
        face.pop("hash", None)  # faces are matched by the header in their picture now
    if version < 2.2:
        face.setdefault("mask", {})
    if version < 2.3:
        face.setdefault("identity", {})
    face.setdefault("thumb", None)
    face["thumb"] = _flat(face["thumb"])
    masks = face.get("mask")
    for mask in masks.values() if isinstance(masks, dict) else ():
        if isinstance(mask, dict):
            _upgrade_mask(mask, version)


def _upgrade_mask(mask: dict[str, Any], version: float) -> None:
    if version < 2.2:
        mask.setdefault("stored_centering", "face")
    matrix = mask.get("affine_matrix")
    if version < VERSION and isinstance(matrix, (list, np.ndarray)) and len(matrix) == 2:
        mask["affine_matrix"] = [*matrix, array("d", (0.0, 0.0, 1.0))]


def _flat(thumb: Any) -> Any:
    """A thumbnail as faceswap's versions have kept it: bytes, [b, …], [[b], …] or an array of either shape."""
    if isinstance(thumb, np.ndarray) and thumb.dtype == np.uint8:
        return thumb.tobytes()
    if isinstance(thumb, list) and all(isinstance(row, bytearray) and len(row) == 1 for row in thumb):
        return bytes(row[0] for row in thumb)
    return thumb


# Writing


def write_fsa(
    path: str | os.PathLike[str], frames: Iterable[tuple[str, FrameEntry]], *, backup_at: datetime | None = None
) -> Path | None:
    """Write a file of version 2.4, whole or not at all; ``frames`` may be generated as they are written.

    A name that comes twice counts the second time.

    Args:
        backup_at: keep a file that is there already under this date (see :func:`backup_path`), unless it is the
            same; without it, it is replaced.

    Returns:
        the backup's path, if there is one.

    Raises:
        AlignmentsError: it can't be written; names the file. The old one is still there then.
    """
    target = Path(path)
    packer = zlib.compressobj()
    try:
        with replacing(target) as file:
            file.write(packer.compress(START + b"}" + encode_item("__meta__", {"version": VERSION})))
            file.write(packer.compress(encode("__data__") + encode({})))
            for name, entry in frames:
                file.write(packer.compress(encode_item(name, entry.fields())))
            file.write(packer.compress(b"s" + STOP) + packer.flush())
            backup = None if backup_at is None or _same(file, target) else _keep(target, backup_at)
    except OSError as error:
        raise AlignmentsError(f"{target} can't be written: {error.strerror}; nothing was replaced") from error
    return backup


def _same(file: BinaryIO, target: Path) -> bool:
    """Whether what has been written is there already: by a job that was killed right after it had saved, say."""
    file.flush()
    return target.exists() and filecmp.cmp(file.name, target, shallow=False)


def _keep(path: Path, at: datetime) -> Path | None:
    """Give the file a second, dated name, so that there's never a moment without the first."""
    if not path.exists():
        return None
    backup = backup_path(path, at)
    try:
        os.link(path, backup)
    except OSError:  # no hard links on this file system
        shutil.copy2(path, backup)
    _log.info("kept the former %s as %s", path.name, backup.name)
    return backup


def backup_path(path: Path, at: datetime) -> Path:
    """``<stem>_bk_<YYYY-mm-dd_HH.MM.SS>.fsa``, with ``(k)`` before the suffix where that is taken."""
    stem = f"{path.stem}_bk_{at:%Y-%m-%d_%H.%M.%S}"
    backup, number = path.with_name(f"{stem}{path.suffix}"), 1
    while backup.exists():
        backup, number = path.with_name(f"{stem}({number}){path.suffix}"), number + 1
    return backup

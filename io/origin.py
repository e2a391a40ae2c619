"""Which file a face picture was cut from: what its header leaves open, in a PNG chunk of our own.

Two videos called ``clip.mp4`` name their frames alike, so faceswap's header can't tell their faces apart. A fingerprint
of the file can: it is its size and a hash of its first and last 64 KiB. It stays the same when the file is moved or
copied, says nothing about where it lies, and another file has another. The chunk stands first in the picture, so that
a folder of many is looked through quickly. By PNG's rules its name (``faOR``) says: readers may pass over it, and
editors that change the pixels must drop it.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from facestream.errors import FaceHeaderError
from facestream.io.faces import read_header

_ENDS: Final = 1 << 16  # bytes at either end of a file that its fingerprint looks at
_KIND: Final = b"faOR"
_START: Final = 33  # bytes of a PNG's signature and its first chunk
_LARGEST: Final = 2000  # bytes of ours: a file name and a fingerprint
_UNWRITTEN: Final = (b"", bytes(8))  # how a file starts whose content a power cut has taken


@dataclass(frozen=True, slots=True)
class Origin:
    """What a picture says it was cut from.

    Attributes:
        frame: the frame's name in the alignments.
        file: the fingerprint of the video or picture; empty where it isn't known.
    """

    frame: str
    file: str = ""

    def may_be(self, other: Origin) -> bool:
        """Nothing in them says that they are different frames."""
        return self.frame == other.frame and (not self.file or not other.file or self.file == other.file)


class Origins:
    """Origins of one input's frames.

    Args:
        path: a file or a folder of pictures; None for a camera, which has no file.
    """

    def __init__(self, path: Path | None, *, folder: bool = False) -> None:
        self._path = path
        self._folder = folder
        self._file: str | None = None

    def of(self, frame: str) -> Origin:
        """The origin of the frame of that name. Blocks."""
        if self._path is None:
            return Origin(frame)
        if self._folder:
            return Origin(frame, fingerprint(self._path / frame))
        if self._file is None:
            self._file = fingerprint(self._path)
        return Origin(frame, self._file)


def fingerprint(path: Path) -> str:
    """16 hexadecimal digits that another file's content is most unlikely to have; empty if it can't be read."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            digest = hashlib.blake2b(struct.pack("<Q", size), digest_size=8)
            for start in (0, max(0, size - _ENDS)):
                file.seek(start)
                digest.update(file.read(_ENDS))
    except OSError:
        return ""
    return digest.hexdigest()


def with_origin(png: bytes, origin: Origin) -> bytes:
    """The PNG, which has none yet, with its origin."""
    body = origin.file.encode() + b"\0" + origin.frame.encode("utf-8", "surrogatepass")
    chunk = struct.pack(">I", len(body)) + _KIND + body + struct.pack(">I", zlib.crc32(_KIND + body))
    return png[:_START] + chunk + png[_START:]


def read_origin(path: Path) -> Origin | None:
    """What a picture was cut from, by our chunk or else by its header; None where it has neither.

    Raises:
        OSError: the file can't be read.
    """
    with open(path, "rb") as file:
        file.seek(_START)
        head = file.read(8)
        length, kind = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"")
        if kind == _KIND and length <= _LARGEST:
            body, checksum = file.read(length), file.read(4)
            if checksum == struct.pack(">I", zlib.crc32(_KIND + body)):
                digits, _, frame = body.partition(b"\0")
                return Origin(frame.decode("utf-8", "surrogatepass"), digits.decode("ascii", "replace"))
    try:
        return Origin(read_header(path)["source"]["source_filename"])
    except FaceHeaderError:
        return None


def is_unwritten(path: Path) -> bool:
    """A power cut has taken the content of this file: it was never anybody's.

    Raises:
        OSError: the file can't be read.
    """
    with open(path, "rb") as file:
        return file.read(8) in _UNWRITTEN

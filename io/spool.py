"""Results without pixels, kept on disk until their frames are read again: one record a frame, in order."""

from __future__ import annotations

import contextlib
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import numpy as np

from facestream.errors import OutputError, SourceError, SourceUnavailable
from facestream.stream.types import PER_FACE, Aligned, Frame, FrameFaces, FrameKey, Masks

_LENGTH: Final = struct.Struct("<Q")


class Spool:
    """Results of several sources, one source after another, written once and then read in the same order. Blocks.

    ::

        with Spool(folder) as spool:
            spool.append(faces)  # … of each frame
            spool.rewind()
            faces = spool.read(frame)  # … for each frame, read anew
            spool.finish("clip")

    It is a file without a name where the system has such: nothing is left of it however the process ends. Memory
    doesn't grow with its length.

    Args:
        folder: where the file is; made if it isn't there.

    Raises:
        OutputError: there's no room, or no permission.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._starts: dict[str, int] = {}  # source → its first record's place
        self._counts: dict[str, int] = {}  # source → its records that are still to be read
        self._errors: dict[str, SourceError] = {}
        self._source = ""  # whose records are being read
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder, prefix=".facestream-", suffix=".spool")  # noqa: SIM115
        except OSError as error:
            raise self._failure(error) from error

    def append(self, faces: FrameFaces) -> None:
        """Add one frame's result.

        Raises:
            OutputError: the disk is full.
        """
        source = faces.frame.source
        try:
            self._starts.setdefault(source, self._file.tell())
            record = encode(faces)
            self._file.write(_LENGTH.pack(len(record)))
            self._file.write(record)
        except OSError as error:
            raise self._failure(error) from error
        self._counts[source] = self._counts.get(source, 0) + 1

    def fail(self, source: str, error: SourceError) -> None:
        """Nothing more comes of this source, because of ``error``: whoever reads it to its end gets the same."""
        self._errors[source] = error

    def rewind(self) -> None:
        """From now on it is read.

        Raises:
            OutputError: the disk is full.
        """
        try:
            self._file.seek(0)
        except OSError as error:
            raise self._failure(error) from error

    def read(self, frame: Frame) -> FrameFaces:
        """``frame`` with the result that was kept for it. Each source's frames come in the order in which they came.

        Raises:
            SourceUnavailable: it isn't the frame that it was: the input has changed.
            SourceError: the one that the source's results have ended with.
        """
        if frame.source != self._source:
            self._source = frame.source
            self._file.seek(self._starts.get(frame.source, 0))
        if not self._counts.get(frame.source):
            raise self._errors.get(frame.source) or _changed(frame.source, "it has more frames")
        self._counts[frame.source] -= 1
        (length,) = _LENGTH.unpack(self._file.read(_LENGTH.size))
        return decode(self._file.read(length), frame)

    def finish(self, source: str) -> None:
        """
        Raises:
            SourceUnavailable: the source ended before the results that are kept for it.
            SourceError: the one that these have ended with.
        """
        if self._counts.get(source):
            raise _changed(source, f"{self._counts[source]} of its frames are gone")
        if (error := self._errors.get(source)) is not None:
            raise error

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what couldn't be written has been told
            self._file.close()

    def __len__(self) -> int:
        """Records that are still to be read."""
        return sum(self._counts.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _failure(self, error: OSError) -> OutputError:
        return OutputError(
            f"results can't be kept in {self._folder}: {error.strerror}; make room there, or run without --serial"
        )


class _Array(msgspec.Struct, array_like=True, gc=False):
    """An array's bytes; ``deflated``, they are compressed."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes
    deflated: bool = False


class _Masks(msgspec.Struct, array_like=True):
    centering: str
    matrices: _Array
    masks: _Array


class _Aligned(msgspec.Struct, array_like=True):
    matrices: _Array
    offsets: dict[str, _Array]
    pose: _Array


class _Record(msgspec.Struct, array_like=True):
    """What is known of a frame, and how to tell that it's the same when it comes again."""

    key: FrameKey
    seen: tuple[float, int, int, int]
    faces: dict[str, _Array]
    masks: dict[str, _Masks]
    identities: dict[str, _Array]
    aligned: _Aligned | None


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Record)


def encode(faces: FrameFaces) -> bytes:
    """A result without its pixels."""
    arrays = {name: _packed(array) for name in PER_FACE if (array := getattr(faces, name)) is not None}
    masks = {
        name: _Masks(kind.centering, _packed(kind.matrices), _packed(kind.masks, deflate=True))
        for name, kind in faces.masks.items()
    }
    identities = {name: _packed(rows) for name, rows in faces.identities.items()}
    aligned = None
    if (view := faces.aligned) is not None:
        offsets = {name: _packed(rows) for name, rows in view.offsets.items()}
        aligned = _Aligned(_packed(view.matrices), offsets, _packed(view.pose))
    return _ENCODER.encode(_Record(faces.key, _seen(faces.frame), arrays, masks, identities, aligned))


def decode(record: bytes, frame: Frame) -> FrameFaces:
    """The result that ``record`` keeps, with the frame that it is of, read anew. All arrays are its own.

    Raises:
        SourceUnavailable: ``frame`` is another.
    """
    kept = _DECODER.decode(record)
    if kept.key != frame.key or kept.seen != _seen(frame):
        raise _changed(frame.source, f"frame {frame.name or frame.seq} isn't what it was")
    arrays: dict[str, Any] = {name: _unpacked(array) for name, array in kept.faces.items()}
    faces = FrameFaces(frame=frame, **arrays)
    faces.masks = {
        name: Masks(kind.centering, _unpacked(kind.matrices), _unpacked(kind.masks))
        for name, kind in kept.masks.items()
    }
    faces.identities = {name: _unpacked(rows) for name, rows in kept.identities.items()}
    if (view := kept.aligned) is not None:
        offsets = {name: _unpacked(rows) for name, rows in view.offsets.items()}
        faces.aligned = Aligned(_unpacked(view.matrices), offsets, _unpacked(view.pose))
    return faces


def _seen(frame: Frame) -> tuple[float, int, int, int]:
    """What tells a frame from another in its place: its time, size and, of a picture, some of its pixels.

    Not of a video's: where it is damaged, what its decoder makes up may differ from time to time.
    """
    width, height = frame.size
    pixels = b"" if frame.name is None else frame.name.encode() + frame.image[::16, ::16].tobytes()
    return frame.pts, width, height, zlib.crc32(pixels)


def _packed(array: np.ndarray[Any, Any], *, deflate: bool = False) -> _Array:
    data = array.tobytes()
    return _Array(array.dtype.str, array.shape, zlib.compress(data, 1) if deflate else data, deflate)


def _unpacked(array: _Array) -> np.ndarray[Any, Any]:
    data = zlib.decompress(array.data) if array.deflated else array.data
    return np.frombuffer(bytearray(data), array.dtype).reshape(array.shape)


def _changed(source: str, how: str) -> SourceUnavailable:
    return SourceUnavailable(
        f"{source} has changed while the job ran: {how}; run the same command again when nothing changes it"
    )

"""Face pictures on disk: their names, and faceswap's header inside them (design §8, spec §13.1).

A face is ``<frame stem>_<index>.png``, the index being its place among the frame's faces. The frame's stem is

* of a picture: its own file name without the suffix;
* of a video's or camera's frame: ``<source>_<n>``, n counting from 1 with at least six digits, as faceswap
does; after
  a reconnection ``<source>-e<epoch>_<n>``.

What would take a name that is taken gets ``-2``, ``-3``, … behind its stem or source; see
:class:`FrameStems`.
"""

from __future__ import annotations

import math
import os
import re
import secrets
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path, PurePath
from typing import Any, BinaryIO, Final

from facestream.errors import FaceHeaderError
from facestream.faces.landmarks import LandmarkType
from facestream.io.atomic import replacing
from facestream.io.face_record import FaceAlignment, record_of
from facestream.io.literal import parse_literal
from facestream.stream.types import Frame, FrameFaces

ALIGNMENTS_VERSION: Final = 2.4

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PREFIX: Final = b"faceswap\0\0\0\0\0"  # keyword, not compressed, no language, no translated keyword
_LARGEST_HEADER: Final = 8 << 20  # bytes; a face with ten masks of 256² and ten identities takes 1 MiB

_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
_NUMBERED: Final = re.compile(r"(?s)(.*)_\d{6,}")
_STEM_BYTES: Final = 180  # leaves room for "-e12_000001_0.png" in the usual 255

_ALIGNMENT_KEYS: Final = ("x", "y", "w", "h", "landmarks_xy")
_OPTIONAL_KEYS: Final = ("mask", "identity")
_SOURCE_KEYS: Final = (
    "alignments_version",
    "original_filename",
    "face_index",
    "source_filename",
    "source_is_video",
    "source_frame_dims",
)


class FrameStems:
    """Names frames, each differently. Pure; frames of one source must come in order.

    Taken is what another picture or source of this run has had, whatever its upper and lower case. A source
    whose frames start over (it was removed and added again) counts as another one. The same inputs in the
    same order get the same names, so a job that is run again replaces its own files.
    """

    def __init__(self) -> None:
        self._streams: set[str] = set()  # the <source> of stems <source>_<n>
        self._pictures: set[int] = set()  # hashes of stems: a job may have millions
        self._numbered: set[str] = set()  # what stands before the number in pictures' stems that end with one
        self._lives: dict[str, _Life] = {}

    def stem(self, frame: Frame) -> str:
        if frame.name is not None:
            return self._picture(_safe(PurePath(frame.name).stem))
        life = self._lives.get(frame.source)
        if life is None or (frame.epoch, frame.seq) <= (life.epoch, life.seq):
            base = self._stream(_safe(frame.source))
            prefix = self._stream(f"{base}-e{frame.epoch}") if frame.epoch else base
            life = self._lives[frame.source] = _Life(base, prefix)
        elif frame.epoch != life.epoch:
            life.prefix = self._stream(f"{life.base}-e{frame.epoch}")
        life.epoch, life.seq = frame.epoch, frame.seq
        return f"{life.prefix}_{frame.seq + 1:06d}"

    def take(self, stem: str) -> None:
        """Count a stem as taken: of a file that was there before."""
        key = stem.casefold()
        numbered = _NUMBERED.fullmatch(key)
        if numbered is not None:
            self._numbered.add(numbered[1])
        self._pictures.add(hash(key))

    def _picture(self, wanted: str) -> str:
        for stem in _variants(wanted):
            key = stem.casefold()
            numbered = _NUMBERED.fullmatch(key)
            if hash(key) not in self._pictures and (numbered is None or numbered[1] not in self._streams):
                self.take(stem)
                return stem
        raise AssertionError("variants never end")

    def _stream(self, wanted: str) -> str:
        for prefix in _variants(wanted):
            key = prefix.casefold()
            if key not in self._streams and key not in self._numbered:
                self._streams.add(key)
                return prefix
        raise AssertionError("variants never end")


class _Life:
    """One source from its first frame until its numbers start over."""

    __slots__ = ("base", "epoch", "prefix", "seq")

    def __init__(self, base: str, prefix: str) -> None:
        self.base = base
        self.prefix = prefix
        self.epoch = self.seq = 0


def _variants(wanted: str) -> Iterator[str]:
    yield wanted
    number = 2
    while True:
        yield f"{wanted}-{number}"
        number += 1


def _safe(name: str) -> str:
    """``name`` as one visible component of a path on any system."""
    text = _UNSAFE.sub("-", name.encode("utf-8", "replace").decode()).strip(" ")
    text = re.sub(r"^\.+", "-", text)
    return text.encode()[:_STEM_BYTES].decode("utf-8", "ignore").rstrip(" .") or "frame"


def face_header(
    faces: FrameFaces,
    index: int,
    stem: str,
    *,
    video_suffix: str = ".png",
    source_filename: str | None = None,
    video: bool | None = None,
    record: FaceAlignment | None = None,
) -> dict[str, Any]:
    """faceswap's description of one face: ``alignments`` and ``source``, builtin types only.

    Args:
        faces: the frame's result; it must have landmarks, finite ones for this face.
        stem: the frame's stem, from :class:`FrameStems`.
        video_suffix: what faceswap's name for a video's frame ends with: the video file's suffix, or ``.png``
            where there is no file.
        source_filename: the frame's name in the alignments, where it isn't that of ``stem`` and ``video_suffix``.
        video: whether the frame is a video's; by default one without a file name is.
        record: the face's, where there is one already; by default made of ``faces``.

    Raises:
        ValueError: the face has no landmarks, or its box or landmarks aren't finite.
    """
    frame = faces.frame
    default = f"{stem}{video_suffix}" if frame.name is None else frame.name
    return {
        "alignments": (record or record_of(faces, index)).to_dict(thumb=False),
        "source": {
            "alignments_version": ALIGNMENTS_VERSION,
            "original_filename": f"{stem}_{index}.png",
            "face_index": index,
            "source_filename": source_filename or default,
            "source_is_video": frame.name is None if video is None else video,
            "source_frame_dims": (frame.size[1], frame.size[0]),
        },
    }


def with_header(png: bytes, header: dict[str, Any]) -> bytes:
    """The PNG with faceswap's header, in place of a former one. No pixel is touched.

    Raises:
        FaceHeaderError: ``png`` isn't a whole PNG, or the header is one that readers refuse.
    """
    _check(header)
    own = _chunk(b"iTXt", _PREFIX + repr(header).encode())
    parts: list[bytes | memoryview] = [_SIGNATURE]
    for kind, chunk in _chunks(png):
        if kind == b"iTXt" and bytes(chunk[8:17]) == b"faceswap\0":
            continue
        if kind == b"IDAT" and own:
            parts.append(own)
            own = b""
        parts.append(chunk)
    if own:
        raise FaceHeaderError("the PNG has no picture in it; extract the face again")
    return b"".join(parts)


def read_header(source: str | os.PathLike[str] | bytes) -> dict[str, Any]:
    """The header of a face picture, by its path or from its bytes: ``{"alignments": {…}, "source": {…}}``.

    The text is untrusted: its size and nesting are limited, its checksum must be right, and only literals are
    read. ``mask`` and ``identity`` are empty where an old file has none; ``source_frame_dims`` is always a
    tuple.

    Raises:
        FaceHeaderError: there is no header, or none that can be trusted; names the file.
        OSError: the file can't be read.
    """
    name = "the PNG" if isinstance(source, bytes) else os.fspath(source)
    try:
        text = _header_text(source)
        header = parse_literal(text)
        _check(header)
    except (FaceHeaderError, ValueError) as error:
        raise FaceHeaderError(f"{name}: {error}") from error
    for key in _OPTIONAL_KEYS:
        header["alignments"].setdefault(key, {})
    header["source"]["source_frame_dims"] = tuple(header["source"]["source_frame_dims"])
    return header  # type: ignore[no-any-return]


def update_header(path: str | os.PathLike[str], header: dict[str, Any], *, owned: bool = False) -> None:
    """Replace or add the header of a face picture, without re-encoding. The file is the old or the new one,
    never half. Through a link it is the picture itself that gets the header, and the link stays one.

    Args:
        owned: see :func:`write_atomically`.

    Raises:
        FaceHeaderError: the file isn't a PNG, or the header is one that readers refuse.
        OSError: the file can't be read or written.
    """
    target = Path(path).resolve()
    try:
        content = with_header(target.read_bytes(), header)
    except FaceHeaderError as error:
        raise FaceHeaderError(f"{target}: {error}") from error
    write_atomically(target, content, durable=True, owned=owned)


def write_atomically(path: Path, content: bytes, *, durable: bool = False, owned: bool = False) -> None:
    """Write to a temporary name beside ``path``, then rename. Leaves no temporary file behind when it fails.

    Args:
        owned: nobody else writes this file meanwhile, so the temporary name can always be the same, and what a killed
            process has left of it is replaced.
        durable: wait until the content has reached the disk, so that not even a power cut can lose the old
            file.

    Raises:
        OSError: the folder is gone, full or not ours to write in.
    """
    temporary = path.with_name(f".{path.name if owned else secrets.token_hex(8)}.part")
    with replacing(path, temporary, durable=durable) as file:
        file.write(content)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _chunks(png: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Every chunk's kind, and the whole of it: length, kind, body and checksum, as they are.

    Raises:
        FaceHeaderError: it isn't a PNG, or not a whole one.
    """
    if not png.startswith(_SIGNATURE):
        raise FaceHeaderError("isn't a PNG; only PNG faces have a header")
    view, position, kind = memoryview(png), len(_SIGNATURE), b""
    while kind != b"IEND":
        if position + 12 > len(png):
            raise FaceHeaderError("the PNG is cut off; extract the face again")
        length, kind = struct.unpack_from(">I4s", png, position)
        chunk = view[position : position + 12 + length]
        position += len(chunk)
        yield kind, chunk


def _header_text(source: str | os.PathLike[str] | bytes) -> str:
    with BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            raise FaceHeaderError("isn't a PNG; only PNG faces have a header")
        while len(start := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", start)
            if kind == b"iTXt":
                keyword = file.read(min(length, 9))
                if keyword == b"faceswap\0":
                    return _itxt_text(keyword, file, length)
                file.seek(length - len(keyword) + 4, os.SEEK_CUR)
            else:
                file.seek(length + 4, os.SEEK_CUR)
    raise FaceHeaderError("has no faceswap header; use a face that facestream or faceswap has extracted")


def _itxt_text(keyword: bytes, file: BinaryIO, length: int) -> str:
    """The text of an iTXt chunk whose keyword has been read already."""
    if length > _LARGEST_HEADER:
        raise FaceHeaderError(f"the header has {length} bytes, more than {_LARGEST_HEADER}")
    body = keyword + file.read(length - len(keyword))
    checksum = file.read(4)
    if len(body) < length or checksum != struct.pack(">I", zlib.crc32(b"iTXt" + body)):
        raise FaceHeaderError("the header is damaged; extract the face again")
    if not body.startswith(_PREFIX):
        raise FaceHeaderError("the header is compressed or translated, which faceswap never does")
    return body[len(_PREFIX) :].decode()  # UnicodeDecodeError is a ValueError


def _check(header: Any) -> None:
    """Raise FaceHeaderError unless ``header`` has what spec §13.1 asks for, of the right types."""
    if not isinstance(header, dict) or header.keys() != {"alignments", "source"}:
        raise FaceHeaderError("the header must have alignments and source, nothing else")
    alignments, source = header["alignments"], header["source"]
    _check_keys("alignments", alignments, _ALIGNMENT_KEYS, _OPTIONAL_KEYS)
    _check_keys("source", source, _SOURCE_KEYS)
    for key in ("x", "y", "w", "h"):
        _check_type(key, alignments[key], int)
    for key in _OPTIONAL_KEYS:
        _check_type(key, alignments.get(key, {}), dict)
    _check_landmarks(alignments["landmarks_xy"])
    for key in ("original_filename", "source_filename"):
        _check_type(key, source[key], str)
    _check_type("face_index", source["face_index"], int)
    _check_type("source_is_video", source["source_is_video"], bool)
    _check_type("alignments_version", source["alignments_version"], (int, float))
    dims = source["source_frame_dims"]
    if not (isinstance(dims, (list, tuple)) and len(dims) == 2 and all(type(edge) is int for edge in dims)):
        raise FaceHeaderError("source_frame_dims must be height and width")


def _check_keys(where: str, values: Any, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    _check_type(where, values, dict)
    missing = [key for key in required if key not in values]
    unknown = [key for key in values if key not in (*required, *optional)]
    if missing or unknown:
        what = f"lacks {missing[0]}" if missing else f"has an unknown {str(unknown[0])[:40]!r}"
        raise FaceHeaderError(f"the header's {where} {what}")


def _check_type(key: str, value: Any, kind: type | tuple[type, ...]) -> None:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise FaceHeaderError(f"the header's {key} is a {type(value).__name__}")


def _check_landmarks(points: Any) -> None:
    layouts = {kind.value for kind in LandmarkType}
    if not isinstance(points, list) or len(points) not in layouts:
        raise FaceHeaderError("the header's landmarks_xy is no known set of points")
    for point in points:
        if not (isinstance(point, (list, tuple)) and len(point) == 2 and all(map(_is_finite, point))):
            raise FaceHeaderError("the header's landmarks_xy has something else than finite points")


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)

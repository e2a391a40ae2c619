"""How large a picture is, read from its header alone, so that a bomb is refused before it is decoded."""

from __future__ import annotations

import struct

_SIZELESS_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})  # TEM, RST0–7, SOI
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0–15 without DHT, JPG, DAC


def image_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) in pixels as the header of a JPEG, PNG, WebP, BMP or TIFF says, before any EXIF
    rotation.

    None when ``data`` is none of these, or its header is damaged. Never raises, whatever the bytes.
    """
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
        if data.startswith(b"BM"):
            return _bmp(data)
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _tiff(data)
    except struct.error:  # the data end within the header
        pass
    return None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    """ITU T.81 annex B: walk the marker segments up to the frame header."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _SIZELESS_MARKERS:
            at += 2
        elif marker in _FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return _positive(width, height)
        else:
            (length,) = struct.unpack_from(">H", data, at + 2)
            at += 2 + max(2, length)
    return None


def _png(data: bytes) -> tuple[int, int] | None:
    if data[12:16] != b"IHDR":
        return None
    return _positive(*struct.unpack_from(">II", data, 16))


def _webp(data: bytes) -> tuple[int, int] | None:
    """RFC 9649 §2.5–2.7."""
    kind = data[12:16]
    if kind == b"VP8X":
        (width,), (height,) = (
            struct.unpack("<I", data[24:27] + b"\0"),
            struct.unpack("<I", data[27:30] + b"\0"),
        )
        return width + 1, height + 1
    if kind == b"VP8L" and data[20:21] == b"\x2f":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        return _positive(width & 0x3FFF, height & 0x3FFF)
    return None


def _bmp(data: bytes) -> tuple[int, int] | None:
    (header,) = struct.unpack_from("<I", data, 14)
    if header == 12:  # OS/2 1.x
        return _positive(*struct.unpack_from("<HH", data, 18))
    width, height = struct.unpack_from("<ii", data, 18)
    return _positive(width, abs(height))  # a negative height means top-down rows


def _tiff(data: bytes) -> tuple[int, int] | None:
    """TIFF 6.0: the first directory's ImageWidth (256) and ImageLength (257), each SHORT (3) or LONG (4)."""
    order = "<" if data.startswith(b"II") else ">"
    (directory,) = struct.unpack_from(order + "I", data, 4)
    (entries,) = struct.unpack_from(order + "H", data, directory)
    found = {}
    for entry in range(entries):
        at = directory + 2 + 12 * entry
        tag, kind = struct.unpack_from(order + "HH", data, at)
        if tag in (256, 257) and kind in (3, 4):
            (found[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, at + 8)
    return _positive(found.get(256, 0), found.get(257, 0))


def _positive(width: int, height: int) -> tuple[int, int] | None:
    return (width, height) if width > 0 and height > 0 else None

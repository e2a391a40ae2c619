"""Writes pickles of plain values, piece by piece.

The standard library's pickler needs the whole value at once, and takes objects of any class. This one writes
builtin types only, by construction, and lets a file of any length be written with the memory of one frame.
Every unpickler reads the result (protocol 4, no references).
"""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np
import numpy.typing as npt

START: Final = b"\x80\x04"
STOP: Final = b"."
_BATCH: Final = 1000  # items that an unpickler keeps on its stack at once


def encode(value: object) -> bytes:
    """The instructions for a value: dict with string keys, list, tuple, str, bytes, int, float, bool or None.

    A NumPy array is written as the nested list of its numbers, of floats or integers.

    Raises:
        TypeError: anything else is in it.
    """
    parts: list[bytes] = []
    _encode(value, parts)
    return b"".join(parts)


def encode_item(key: str, value: object) -> bytes:
    """The instructions that add an item to a dict, which ``encode({})`` has made."""
    parts: list[bytes] = []
    _text(key, parts)
    _encode(value, parts)
    parts.append(b"s")
    return b"".join(parts)


def _encode(value: object, parts: list[bytes]) -> None:
    match value:
        case None:
            parts.append(b"N")
        case bool():
            parts.append(b"\x88" if value else b"\x89")
        case int():
            parts.append(_integer(value))
        case float():
            parts.append(struct.pack(">cd", b"G", value))
        case str():
            _text(value, parts)
        case bytes():
            parts.append(struct.pack("<cI", b"B", len(value)) + value if len(value) < 1 << 32 else _long(value))
        case dict():
            parts.append(b"}")
            for key, item in value.items():
                _text(key, parts)
                _encode(item, parts)
                parts.append(b"s")
        case list():
            _list(value, parts)
        case np.ndarray():
            parts.append(_array(value))
        case _:
            raise TypeError(f"alignments can't hold a {type(value).__name__}")


def _text(value: object, parts: list[bytes]) -> None:
    if not isinstance(value, str):
        raise TypeError(f"a key must be a string, not a {type(value).__name__}")
    raw = value.encode("utf-8", "surrogatepass")
    parts.append(struct.pack("<cI", b"X", len(raw)))
    parts.append(raw)


def _integer(value: int) -> bytes:
    if 0 <= value < 256:
        return b"K%c" % value
    if 0 <= value < 65536:
        return struct.pack("<cH", b"M", value)
    if -(1 << 31) <= value < 1 << 31:
        return struct.pack("<ci", b"J", value)
    return b"\x8a\x08" + value.to_bytes(8, "little", signed=True)


def _long(value: bytes) -> bytes:
    return struct.pack("<cQ", b"\x8e", len(value)) + value


def _list(values: list[Any], parts: list[bytes]) -> None:
    parts.append(b"]")
    for start in range(0, len(values), _BATCH):
        parts.append(b"(")
        for value in values[start : start + _BATCH]:
            _encode(value, parts)
        parts.append(b"e")


def _array(values: npt.NDArray[Any]) -> bytes:
    """An array's numbers as a list, or as a list of lists, without making those lists."""
    items = _numbers(values)
    while items.ndim > 2:
        items = _rows(items)
    width = items.shape[1] * _BATCH
    raw = items.tobytes()
    return b"]" + b"".join(b"(" + raw[start : start + width] + b"e" for start in range(0, len(raw), width))


def _numbers(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """(…, bytes of one instruction)."""
    if values.dtype == np.uint8:
        code, raw = b"K", values[..., None]
    elif values.dtype.kind == "f":
        code, raw = b"G", values.astype(">f8")[..., None].view(np.uint8)
    else:
        raise TypeError(f"alignments can't hold an array of {values.dtype}")
    return np.insert(raw, 0, code[0], axis=-1)


def _rows(items: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Instructions of (…, items, bytes) → of the lists of them, (…, bytes)."""
    *outer, count, width = items.shape
    if count > _BATCH:
        raise TypeError(f"alignments can't hold rows of {count} numbers")
    start = np.broadcast_to(np.frombuffer(b"](", np.uint8), (*outer, 2))
    end = np.broadcast_to(np.frombuffer(b"e", np.uint8), (*outer, 1))
    return np.concatenate([start, items.reshape(*outer, count * width), end], axis=-1)

"""The journal beside an alignments file: every finished frame, durable while the job is still running.

A file that is only ever appended to. It starts with :data:`MAGIC`; then come records:

    length of the payload   uint32, little-endian
    checksum                uint32, little-endian: CRC-32 of the length's four bytes and the payload
    payload                 MessagePack

The first payload is the header, ``{"header": {"source": …, "settings": …}}``. Then ``{"frame": name, "entry": {…}}``
for each finished frame (the last one of a name counts), and ``{"saved": true}`` once the alignments file has
been written by this very job. A process or machine that dies can only leave a torn end, which the checksum
shows: what stands before it is recovered, and the next record takes its place.

Everything here is synchronous and knows no clock: see :mod:`facestream.io.journal_writer` for the rest.
"""

from __future__ import annotations

import errno
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
import numpy as np

from facestream.errors import AlignmentsError
from facestream.io.face_record import FrameEntry
from facestream.io.fsa import check_name
from facestream.io.journal_lock import JournalLock

MAGIC: Final = b"facestream journal 1\n"
SUFFIX: Final = ".journal"

_HEAD: Final = struct.Struct("<II")
_LARGEST: Final = 256 << 20  # bytes of one record
_SMALL: Final = 1 << 16


def journal_path(alignments: Path) -> Path:
    """``alignments.fsa`` → ``alignments.fsa.journal``."""
    return alignments.with_name(alignments.name + SUFFIX)


@dataclass(frozen=True, slots=True)
class JournalHeader:
    """What the job is, so that only the same one goes on.

    Attributes:
        source: the input, as its absolute path or URL without credentials.
        settings: whatever changes the results, as :func:`settings_text` writes it.
    """

    source: str
    settings: str = ""

    def __post_init__(self) -> None:
        # A path on Linux is any bytes; what isn't Unicode in it is written as an escape.
        for name in ("source", "settings"):
            text = getattr(self, name).encode("utf-8", "backslashreplace").decode()
            object.__setattr__(self, name, text)


def settings_text(values: Mapping[str, object]) -> str:
    """Options as lines ``--size=512``; what isn't given, none or off has no value."""
    return "\n".join(f"{name}={_word(value)}" for name, value in values.items())


def _word(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return ",".join(map(str, value))
    if value is None or isinstance(value, bool):
        return "yes" if value else ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def differences(former: str, now: str) -> str:
    """What a job's settings were where they differ, for its user: ``with --size 512 (now 256)``.

    ``""`` where they can't be told: settings of a version that didn't write them as lines.
    """
    before, after = _options(former), _options(now)
    if not before or not after:
        return ""
    names = [name for name in {**before, **after} if before.get(name, "") != after.get(name, "")]
    return " and ".join(_difference(name, before.get(name, ""), after.get(name, "")) for name in names)


def _options(settings: str) -> dict[str, str]:
    lines = [line.partition("=") for line in settings.splitlines()]
    return {name: value for name, equals, value in lines if equals and name.startswith("--")}


def _difference(name: str, before: str, after: str) -> str:
    if not before:
        return f"without {name}"
    if before == "yes":
        return f"with {name}"
    return f"with {name} {before}" + (f" (now {after})" if after else "")


@dataclass(slots=True)
class JournalIndex:
    """What a journal holds.

    Attributes:
        header: None in an empty journal: its job died before it began.
        offsets: frame → where its last record starts, in the order in which frames first came.
        saved: the job has written its alignments file before.
        good: bytes up to the end of the last whole record.
        lost: bytes of the torn end behind it.
    """

    header: JournalHeader | None = None
    offsets: dict[str, int] = field(default_factory=dict)
    saved: bool = False
    good: int = 0
    lost: int = 0


def encode_record(payload: bytes) -> bytes:
    length = len(payload).to_bytes(4, "little")
    return _HEAD.pack(len(payload), zlib.crc32(payload, zlib.crc32(length))) + payload


def read_record(file: BinaryIO) -> bytes | None:
    """The payload at the file's position; None at the end, torn or not."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    length, checksum = _HEAD.unpack(head)
    if length > _LARGEST or (length > _SMALL and length > _left(file)):  # before anything of that size is read
        return None
    payload = file.read(length)
    return payload if zlib.crc32(payload, zlib.crc32(head[:4])) == checksum else None


def _left(file: BinaryIO) -> int:
    here = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(here)
    return end - here


def encode_header(header: JournalHeader) -> bytes:
    return encode_record(msgspec.msgpack.encode({"header": header}))


def encode_saved() -> bytes:
    return encode_record(msgspec.msgpack.encode({"saved": True}))


def encode_frame(name: str, entry: FrameEntry) -> bytes:
    """The record of a finished frame.

    Raises:
        AlignmentsError: the name isn't a file's.
    """
    try:
        check_name(name)
    except AlignmentsError as error:
        raise AlignmentsError(f"the journal {error}") from None
    fields = {"frame": name.encode("utf-8", "surrogatepass"), "entry": entry.fields()}
    return encode_record(msgspec.msgpack.encode(fields, enc_hook=_array))


def _array(value: object) -> Any:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"a journal can't hold a {type(value).__name__}")
    return value.tobytes() if value.dtype == np.uint8 else value.tolist()


def _decode(payload: bytes) -> dict[str, Any]:
    """A payload's fields.

    Raises:
        ValueError: it isn't one of ours, although its checksum is right.
    """
    try:
        fields = msgspec.msgpack.decode(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"a record of it can't be decoded: {error}") from error
    if not isinstance(fields, dict):
        raise ValueError("a record of it holds no fields")
    return fields


def _name_of(fields: dict[str, Any]) -> str:
    raw = fields["frame"]
    if not isinstance(raw, bytes):
        raise ValueError("a frame's name in it isn't text")
    name = raw.decode("utf-8", "surrogatepass")
    check_name(name)
    return name


def read_index(path: str | os.PathLike[str]) -> JournalIndex | None:
    """What the journal at ``path`` holds, without its frames; None if there is no journal.

    Raises:
        AlignmentsError: there is something else, or it can't be read; names the file.
    """
    try:
        with open(path, "rb") as file:
            return _index(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        advice = "give a shorter one with -p" if error.errno == errno.ENAMETOOLONG else "check its permissions"
        raise AlignmentsError(f"{os.fspath(path)} can't be read: {error.strerror}; {advice}") from error
    except (AlignmentsError, ValueError) as error:
        advice = "move it away to start anew"
        raise AlignmentsError(f"{os.fspath(path)} isn't a journal of facestream: {error}; {advice}") from error


def _index(file: BinaryIO) -> JournalIndex:
    start = file.read(len(MAGIC))
    index = JournalIndex()
    if not MAGIC.startswith(start):
        raise ValueError(f"it starts with {start[:21]!r}")
    if start == MAGIC:
        _index_records(file, index)
    index.lost = file.seek(0, os.SEEK_END) - index.good
    return index


def _index_records(file: BinaryIO, index: JournalIndex) -> None:
    index.good = len(MAGIC)
    while (payload := read_record(file)) is not None:
        fields = _decode(payload)
        if index.header is None:
            index.header = _header(fields)
        elif "frame" in fields:
            index.offsets[_name_of(fields)] = index.good
        elif "saved" in fields:
            index.saved = True
        else:
            raise ValueError("a record of it is of an unknown kind")
        index.good = file.tell()


def _header(fields: dict[str, Any]) -> JournalHeader:
    try:
        return msgspec.convert(fields.get("header"), JournalHeader)
    except msgspec.ValidationError as error:
        raise ValueError(f"its header is damaged: {error}") from error


def read_frames(
    path: str | os.PathLike[str], index: JournalIndex, before: Mapping[str, FrameEntry] | None = None
) -> Iterator[tuple[str, FrameEntry]]:
    """The last state of every frame, in the order in which frames first came, one at a time.

    Args:
        before: frames that the journal's own replace or follow; a replaced one keeps its place.

    Raises:
        AlignmentsError: the file changed since ``index`` was made, or can't be read.
    """
    before = {} if before is None else before
    fresh = [name for name in index.offsets if name not in before]
    try:
        with open(path, "rb") as file:
            for name in (*before, *fresh):
                offset = index.offsets.get(name)
                yield name, before[name] if offset is None else _entry(file, offset)
    except (OSError, ValueError) as error:
        raise AlignmentsError(f"{os.fspath(path)} can't be read: {error}; move it away to start anew") from error


def _entry(file: BinaryIO, offset: int) -> FrameEntry:
    file.seek(offset)
    payload = read_record(file)
    if payload is None:
        raise ValueError(f"its record at {offset} is damaged")
    return FrameEntry.from_dict(_decode(payload).get("entry"))


class JournalFile:
    """A journal open for writing. Every call blocks.

    What :meth:`append` has returned from outlives the process; what :meth:`sync` has, a power cut. Memory doesn't grow
    with what is appended: at the end the journal is read again.

    Attributes:
        frames: records of frames in it; a frame that was written again counts twice.
        saved: the job has written its alignments file before.
        end: bytes up to the end of its last record.

    Raises:
        OSError: from any method: the folder is gone, full or not ours to write in. An append that fails leaves
            no part of its record behind.
    """

    def __init__(self, path: Path, index: JournalIndex, header: JournalHeader, lock: JournalLock | None = None) -> None:
        """Open at the end of what ``index`` found good; an empty index starts a new journal.

        Args:
            lock: released when this closes.
        """
        self.path = path
        self.frames = len(index.offsets)
        self.saved = index.saved
        self.end = index.good
        self._lock = lock
        self._file = open(path, "r+b" if path.exists() else "x+b", buffering=0)  # noqa: SIM115 - close() closes it
        try:
            self._file.truncate(index.good)
            self._file.seek(index.good)
            if not index.good:
                self._write(MAGIC)
            if index.header is None:
                self._write(encode_header(header))
            self.sync()
        except BaseException:
            self._file.close()
            raise

    def append(self, record: bytes) -> None:
        """Add a frame's record."""
        self._write(record)
        self.frames += 1

    def mark_saved(self) -> None:
        """Note that the alignments file is this job's own from now on."""
        self._write(encode_saved())
        self.saved = True
        self.sync()

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:  # the system may take less than all: when the disk fills up, say
                view = view[self._file.write(view) :]
        except BaseException:
            self._file.truncate(self.end)
            self._file.seek(self.end)
            raise
        self.end += len(data)

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def remove(self) -> None:
        """Remove the journal, whose frames are in the alignments file, and close it."""
        if os.name == "nt":
            self.close()  # Windows removes no file that is open; elsewhere it is ours until it is gone
        self.path.unlink()
        self.close()

    def close(self) -> None:
        """Safe to call twice."""
        self._file.close()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()


class SyncSchedule:
    """When to wait for the disk: at the latest ``interval`` seconds after a record was appended. Pure.

    Args:
        interval: seconds; 0 syncs after every record.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._oldest: float | None = None  # when the oldest record that isn't durable was appended

    def appended(self, now: float) -> bool:
        """Note a record; True if it must be made durable right away."""
        if self._oldest is None:
            self._oldest = now
        return self.wait(now) == 0

    def wait(self, now: float) -> float | None:
        """Seconds until the next sync is due, 0 if it is; None if everything is durable."""
        if self._oldest is None:
            return None
        return max(0.0, self._oldest + self._interval - now)

    def synced(self) -> None:
        self._oldest = None

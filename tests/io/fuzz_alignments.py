"""Reads mutated files and prints what came of it: ``python -m tests.io.fuzz_alignments KIND COUNT SEED FOLDER``.

A process of its own, so that its memory is the reader's.
"""

from __future__ import annotations

import json
import pickle
import random
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from facestream.errors import AlignmentsError
from facestream.io.alignments_json import entries_of, read_json, write_json
from facestream.io.face_arrays import whole_faces_of
from facestream.io.face_record import FrameEntry
from facestream.io.fsa import read_fsa, write_fsa
from facestream.io.journal import (
    MAGIC,
    JournalHeader,
    encode_frame,
    encode_header,
    encode_record,
    read_frames,
    read_index,
)
from tests.io import alignment_files as files

# Letters that mean something to a pickle, a JSON text or MessagePack, so that mutations hit.
LETTERS = (
    b"\x80\x81\x82\x85\x87\x88\x89\x8a\x8c\x8d\x8e\x90\x91\x92\x93\x94\x95\x96().012BCFGIJKLMNPQRSTUVX"
    b'abcdeghijloqrstu]}{[",:\xdf\xdd\xc6\xff'
)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to eight changes: letters, bits, numbers, pieces cut, copied, repeated or swapped."""
    mutated = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        at = rng.randrange(len(mutated) + 1)
        piece = mutated[at : at + rng.choice((1, 2, 8, 60, 2000))]
        match rng.randrange(8):
            case 0:
                mutated[at : at + 1] = bytes((rng.choice(LETTERS),))
            case 1 if at < len(mutated):
                mutated[at] ^= 1 << rng.randrange(8)
            case 2:
                mutated[at : at + 4] = rng.choice((0, 1, 255, 65535, 1 << 31, (1 << 32) - 1)).to_bytes(4, "little")
            case 3:
                del mutated[at : at + len(piece)]
            case 4:
                mutated[at:at] = bytes(rng.choices(LETTERS, k=rng.choice((1, 3, 20))))
            case 5:
                mutated[at:at] = piece * rng.choice((1, 2, 50, 2000))
            case 6:
                to = rng.randrange(len(mutated) + 1)
                mutated[to : to + len(piece)] = piece
            case _:
                if rng.random() < 0.3:
                    del mutated[at:]
        del mutated[8 << 20 :]
    return bytes(mutated)


def fsa_seeds() -> list[bytes]:
    frames = {
        "a_000001.png": {"faces": [files.face(1)], "video_meta": {}},
        "a_000002.png": {"faces": [], "video_meta": {}},
    }
    seeds = [files.packed(files.of_version(2.4, frames), protocol) for protocol in (2, 3, 4, 5)]
    for version in (2.0, 2.1, 2.2, 2.3):
        old = {"a.png": {"faces": [files.older_face(version)[0]], "video_meta": {}}}
        seeds += [files.packed(files.of_version(version, old), protocol) for protocol in (2, 4, 5)]
    seeds += [path.read_bytes() for path in sorted(files.COMPAT.glob("**/*.fsa"))]
    return seeds


ODD: list[Any] = [
    None,
    True,
    -1,
    256,
    1 << 40,
    1.5,
    1e300,
    float("nan"),
    float("inf"),
    "",
    "x" * 300,
    b"\0",
    [],
    [[]],
    [1, 2.5, None],
    [[1.0, 2.0]] * 68,
    {},
    {"x": {}},
    (),
    np.zeros((68, 2)),
    np.zeros((0, 2)),
    np.float32("nan"),
    np.array(["a"]),
    np.array([1 + 1j]),
    np.zeros((2, 2, 2, 2, 2)),
]


def with_odd_values(value: Any, rng: random.Random) -> Any:
    """A value with about one thing in it replaced, removed or renamed."""
    if rng.random() < 0.05:
        return rng.choice(ODD)
    if isinstance(value, dict) and value:
        changed = dict(value)
        key = rng.choice(list(changed))
        inside = with_odd_values(changed.pop(key), rng)
        if rng.random() > 0.03:
            changed[key if rng.random() > 0.03 else rng.choice(["", "..", "thumb", "hash", "identity", 3])] = inside
        return changed
    if isinstance(value, list) and value:
        changed_list = list(value)
        at = rng.randrange(len(value))
        changed_list[at] = with_odd_values(value[at], rng)
        return changed_list
    return value if rng.random() < 0.5 else rng.choice(ODD)


def mutated_fsa(seed: bytes, rng: random.Random) -> bytes:
    kind = rng.random()
    if kind < 0.2:
        return mutate(seed, rng)  # the compression's own bytes
    if kind < 0.45:
        return files.packed(with_odd_values(pickle.loads(zlib.decompress(seed)), rng), rng.randrange(2, 6))
    return zlib.compress(mutate(zlib.decompress(seed), rng), 1)


def read_mutated_fsa(path: Path) -> None:
    frames = read_fsa(path)[1]
    write_fsa(path, frames.items())
    again = read_fsa(path)[1]
    assert same(frames, again)
    for entry in frames.values():
        with np.errstate(all="ignore"), suppress(ValueError):  # numbers that float32 can't hold become infinite
            whole_faces_of(entry.faces)


def same(one: dict[str, FrameEntry], other: dict[str, FrameEntry]) -> bool:
    return files.dicts(one) == files.dicts(other)


def journal_seeds() -> list[bytes]:
    head = MAGIC + encode_header(JournalHeader("clip.mp4"))
    return [head + b"".join(encode_frame(f"{n}.png", files.entry(n)) for n in range(4))]


def mutated_journal(seed: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.5:
        return mutate(seed, rng)
    payload = encode_frame("0.png", files.entry(0))[8:]
    return seed + encode_record(mutate(payload, rng)) + seed[len(MAGIC) :]  # what its checksum says is right


def read_mutated_journal(path: Path) -> None:
    index = read_index(path)
    assert index is not None
    for _ in read_frames(path, index):
        pass


def json_seeds() -> list[bytes]:
    path = Path(sys.argv[4]) / "seed.json"
    write_json(path, files.entries())
    return [path.read_bytes()]


def read_mutated_json(path: Path) -> None:
    entries_of(path, read_json(path))


Read = Callable[[Path], None]
Mutate = Callable[[bytes, random.Random], bytes]
KINDS: dict[str, tuple[Callable[[], list[bytes]], Mutate, Read]] = {
    "fsa": (fsa_seeds, mutated_fsa, read_mutated_fsa),
    "journal": (journal_seeds, mutated_journal, read_mutated_journal),
    "json": (json_seeds, mutate, read_mutated_json),
}


def main(kind: str, count: int, seed: int, folder: Path) -> None:
    make_seeds, mutated, read = KINDS[kind]
    seeds, rng = make_seeds(), random.Random(seed)
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    path = folder / "mutated"
    np.seterr(all="raise")
    for number in range(count):
        path.write_bytes(mutated(rng.choice(seeds), rng))
        started = time.process_time()
        try:
            read(path)
            outcomes["valid"] += 1
        except AlignmentsError as error:
            if str(path) not in str(error) or "\n" in str(error):
                raise RuntimeError("not one line naming the file") from error
            outcomes["refused"] += 1
        except BaseException:
            path.rename(folder / f"culprit-{number}")
            raise
        slowest = max(slowest, time.process_time() - started)
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024
    print(json.dumps({**outcomes, "slowest": round(slowest, 2), "peak": peak}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))

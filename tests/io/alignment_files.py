"""Alignments as faceswap has written them over its versions, made by the standard library's pickler."""

from __future__ import annotations

import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from facestream.io.face_record import FaceAlignment, FrameEntry, VideoMeta, thumbnail

COMPAT = Path(__file__).parents[3] / "shared" / "data" / "compat"
"""Files made by faceswap itself; not part of the project."""


def face(seed: int = 0, *, size: int = 16) -> dict[str, Any]:
    """A face as faceswap 2.4 has it."""
    random = np.random.default_rng(seed)
    mask = random.integers(0, 256, (size, size), np.uint8)
    picture = random.integers(0, 256, (128, 128, 3), np.uint8)
    return {
        "x": int(random.integers(-50, 3000)),
        "y": int(random.integers(-50, 3000)),
        "w": 100 + seed,
        "h": 120,
        "landmarks_xy": random.normal(300, 50, (68, 2)).tolist(),
        "mask": {
            "custom_face": {
                "mask": zlib.compress(mask.tobytes()),
                "affine_matrix": [[0.5, 0.1, -3.25], [-0.1, 0.5, 7.0], [0.0, 0.0, 1.0]],
                "interpolator": 1,
                "stored_size": size,
                "stored_centering": "face",
            }
        },
        "identity": {"vggface2": random.normal(size=512).astype(np.float32).tolist()},
        "thumb": list(thumbnail(picture)),
    }


def frames(count: int = 3) -> dict[str, Any]:
    """A video's ``__data__``: frames of 2, 0, 1, 2, … faces."""
    return {
        f"clip_{n + 1:06d}.mp4": {
            "faces": [face(10 * n + i) for i in range((2, 0, 1)[n % 3])],
            "video_meta": {"pts_time": 512 * n, "keyframe": n == 0},
        }
        for n in range(count)
    }


def entries(count: int = 3) -> dict[str, FrameEntry]:
    return {name: FrameEntry.from_dict(value) for name, value in frames(count).items()}


def entry(seed: int = 0, faces: int = 1) -> FrameEntry:
    return FrameEntry([FaceAlignment.from_dict(face(seed + i)) for i in range(faces)], VideoMeta(seed, False))


def dicts(entries: dict[str, FrameEntry]) -> dict[str, Any]:
    return {name: entry.to_dict() for name, entry in entries.items()}


def packed(value: Any, protocol: int = 4) -> bytes:
    return zlib.compress(pickle.dumps(value, protocol))


def unpacked(path: Path) -> Any:
    return pickle.loads(zlib.decompress(path.read_bytes()))


def of_version(version: float, data: Any) -> dict[str, Any]:
    return {"__meta__": {"version": version}, "__data__": data}


def older_face(version: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """A face with NumPy's arrays as before 2.4, and what it is upgraded to."""
    new = face(7)
    old: dict[str, Any] = {
        "x": new["x"],
        "w": new["w"],
        "y": np.int64(new["y"]),
        "h": new["h"],
        "landmarks_xy": np.array(new["landmarks_xy"]),
        "thumb": np.array(new["thumb"], np.uint8),
    }
    if version < 2.1:
        old["hash"] = "0f0be3810cebeec13094b44dfb4e336e0d3eaaf6"
    mask = dict(new["mask"]["custom_face"])
    mask["affine_matrix"] = np.array(mask["affine_matrix"][:2])
    if version < 2.2:
        del mask["stored_centering"]
    old["mask"] = {"custom_face": mask}
    if version < 2.3:
        new["identity"] = {}
    else:
        old["identity"] = {name: np.array(row, np.float32) for name, row in new["identity"].items()}
    return old, new

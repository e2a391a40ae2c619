"""Faces laid end to end: batches of several frames, and frames whose faces were apart. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from facestream.stream.types import PER_FACE, Aligned, ExtractBatch, Faces, Floats, Frame, FrameFaces, Masks


def batch_of(parts: Sequence[FrameFaces], *, continued: bool = False) -> ExtractBatch:
    """One batch of several frames' faces. Consecutive parts of one frame become one frame again.

    Raises:
        ValueError: what is known of the faces differs; see :func:`join_fields`.
    """
    frames: list[Frame] = []
    ids: list[int] = []
    for part in parts:
        if not frames or frames[-1].key != part.key:
            frames.append(part.frame)
        ids.extend([len(frames) - 1] * len(part))
    return ExtractBatch(frames=frames, frame_ids=np.array(ids, np.int32), continued=continued, **join_fields(parts))


def frame_of(parts: Sequence[FrameFaces]) -> FrameFaces:
    """One frame with the faces of all ``parts``, which are of that frame.

    Raises:
        ValueError: what is known of the faces differs; see :func:`join_fields`.
    """
    return parts[0] if len(parts) == 1 else FrameFaces(frame=parts[0].frame, **join_fields(parts))


def appended(batch: ExtractBatch, other: ExtractBatch) -> ExtractBatch:
    """Two batches as one. Where ``other`` begins with the last frame of ``batch``, known by its key and never by a file
    name (spec D7), the two share it.

    Raises:
        ValueError: what is known of the faces differs; see :func:`join_fields`.
    """
    fields = join_fields([batch, other])
    shared = bool(batch.frames and other.frames and batch.frames[-1].key == other.frames[0].key)
    ids = np.concatenate([batch.frame_ids, other.frame_ids + np.int32(len(batch.frames) - shared)])
    continued = other.continued if other.frames else batch.continued
    return ExtractBatch(frames=[*batch.frames, *other.frames[shared:]], frame_ids=ids, continued=continued, **fields)


def layout_of(faces: Faces) -> dict[str, object]:
    """What is known of these faces, and in which form. Faces can be laid end to end where the values that both have
    are equal; a mask, embedding or prior that only one has is absent from the other's rows.
    """
    layout: dict[str, object] = {
        name: None if (array := getattr(faces, name)) is None else array.shape[1:]
        for name in PER_FACE
        if name != "priors"
    }
    if faces.priors is not None:
        layout["priors"] = faces.priors.shape[1:]
    layout["aligned"] = faces.aligned is not None
    layout |= {f"mask {name}": (masks.centering, masks.masks.shape[1:]) for name, masks in faces.masks.items()}
    layout |= {f"identity {name}": rows.shape[1:] for name, rows in faces.identities.items()}
    return layout


def join_fields(parts: Sequence[Faces]) -> dict[str, Any]:
    """The per-face fields of several :class:`Faces` laid end to end, as keyword arguments.

    A part without faces has nothing to say and takes part in nothing. A mask, embedding or prior that only some parts
    have is absent (NaN) from the others' rows, so that it never slides onto other faces (spec D6). The aligned view is
    joined too, never left short (D8).

    Raises:
        ValueError: some parts have an array that others lack, or masks or embeddings of one name differ in their form.
    """
    filled = [part for part in parts if len(part)] or list(parts[:1])
    if len(filled) == 1:
        return filled[0].all_fields()
    _check_layouts(filled)
    counts = [len(part) for part in filled]
    fields: dict[str, Any] = {}
    for name in PER_FACE:
        arrays = [getattr(part, name) for part in filled]
        if name == "priors" and any(array is not None for array in arrays):
            fields[name] = _join_rows(arrays, counts)
        else:
            fields[name] = None if arrays[0] is None else np.concatenate(arrays)
    fields["masks"] = {
        name: _join_masks([part.masks.get(name) for part in filled], counts)
        for name in _names([part.masks for part in filled])
    }
    fields["identities"] = {
        name: _join_rows([part.identities.get(name) for part in filled], counts)
        for name in _names([part.identities for part in filled])
    }
    views = [part.aligned for part in filled if part.aligned is not None]
    fields["aligned"] = _join_aligned(views) if views else None
    return fields


def _check_layouts(parts: Sequence[Faces]) -> None:
    common: dict[str, object] = {}
    for part in parts:
        for name, form in layout_of(part).items():
            if common.setdefault(name, form) != form:
                raise ValueError(f"faces to join differ in {name}: {common[name]} and {form}")


def _names(maps: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for map_ in maps for name in map_))


def _join_masks(parts: Sequence[Masks | None], counts: Sequence[int]) -> Masks:
    known = next(part for part in parts if part is not None)
    edges = known.masks.shape[1:]
    blank = [np.zeros((count, *edges), np.uint8) for count in counts]
    return Masks(
        known.centering,
        _join_rows([None if part is None else part.matrices for part in parts], counts),
        np.concatenate([none if part is None else part.masks for part, none in zip(parts, blank)]),
    )


def _join_rows(parts: Sequence[Floats | None], counts: Sequence[int]) -> Floats:
    """The rows one after another, NaN where a part has none."""
    shape = next(part for part in parts if part is not None).shape[1:]
    return np.concatenate(
        [np.full((count, *shape), np.nan, np.float32) if part is None else part for part, count in zip(parts, counts)]
    )


def _join_aligned(views: Sequence[Aligned]) -> Aligned:
    return Aligned(
        np.concatenate([view.matrices for view in views]),
        {name: np.concatenate([view.offsets[name] for view in views]) for name in views[0].offsets},
        np.concatenate([view.pose for view in views]),
    )

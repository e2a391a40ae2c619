"""Frames on a device: each is brought there once, as it is, and stays as long as it lives on the host.

A batch's frames are copied into page-locked memory by a CPU worker (:meth:`UploadedFrames.staged`) and go to the GPU in
one asynchronous piece when the detector's turn comes (:meth:`UploadedFrames.of`). Aligner, masker and identity model
then cut their crops out of what is there already. A frame is known by its array: the same object is the same frame.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import torch
from torch import Tensor

from facestream.stream.types import Image

LIMIT: Final = 4 << 30
"""Bytes of frames kept on a device by default; the oldest go first, and are brought again if they are wanted. A GPU
with less memory keeps an eighth of it."""

_Key: TypeAlias = tuple[torch.device, int]


@dataclass(frozen=True, slots=True, eq=False)
class Staged:
    """Frames on their way.

    Attributes:
        images: the frames, in the batch's order; some may be on the device already.
        groups: those that aren't, equal ones together: their indices in ``images``, and a copy of their pixels, uint8
            (n, H, W, 3), page-locked for a GPU.
    """

    images: Sequence[Image]
    groups: Sequence[tuple[list[int], Tensor]]


@dataclass(frozen=True, slots=True, eq=False)
class Uploaded:
    """A frame's place on the device.

    Attributes:
        pictures: uint8 (n, H, W, 3), frames that came together; their memory goes with the last of them.
        row: this one's.
        ready: what other streams have to wait for; None where there are no streams.
    """

    pictures: Tensor
    row: int
    ready: torch.cuda.Event | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    frame: weakref.ref[Image]
    uploaded: Uploaded


class UploadedFrames:
    """The frames on the devices, shared by the models of a chain.

    Any thread may call it. What it holds goes when the frame goes, and is bounded.

    Args:
        limit: bytes on each device; None means :data:`LIMIT`, or an eighth of a GPU's memory if that is less.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._limits: dict[torch.device, int] = {}
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()
        self._changing = threading.RLock()  # a frame may go, and its entry with it, at any line

    def __len__(self) -> int:
        return len(self._entries)

    def staged(self, images: Sequence[Image], device: torch.device) -> Staged:
        """What ``device`` hasn't got of ``images``, copied to where it can be fetched from. For a CPU worker."""
        alike: dict[tuple[int, ...], list[int]] = {}
        seen: set[int] = set()
        for index, image in enumerate(images):
            if id(image) not in seen and self._found(image, device) is None:
                alike.setdefault(image.shape, []).append(index)
                seen.add(id(image))
        groups = [(rows, _copied([images[row] for row in rows], device)) for rows in alike.values()]
        return Staged(list(images), groups)

    def of(self, staged: Staged, device: torch.device) -> list[Uploaded]:
        """Each of the frames on ``device``, in order. For the device's worker: on a GPU, on the present stream."""
        for rows, pixels in staged.groups:
            self._upload([staged.images[row] for row in rows], pixels, device)
        return [self._fetched(image, device) for image in staged.images]

    def _fetched(self, image: Image, device: torch.device) -> Uploaded:
        uploaded = self._found(image, device)
        if uploaded is None:  # it had to make room meanwhile
            (uploaded,) = self._upload([image], _copied([image], device), device)
        if uploaded.ready is not None:
            stream = torch.cuda.current_stream(device)
            stream.wait_event(uploaded.ready)
            uploaded.pictures.record_stream(stream)  # its memory isn't used anew before this stream is done with it
        return uploaded

    def _upload(self, images: Sequence[Image], pixels: Tensor, device: torch.device) -> list[Uploaded]:
        pictures = pixels.to(device, non_blocking=True)
        ready = None
        if device.type == "cuda":
            ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
            ready.record(torch.cuda.current_stream(device))
        placed = [Uploaded(pictures, row, ready) for row in range(len(images))]
        with self._changing:
            for image, uploaded in zip(images, placed, strict=True):
                self._keep(image, uploaded, device)
            self._make_room(device)
        return placed

    def _keep(self, image: Image, uploaded: Uploaded, device: torch.device) -> None:
        key = (device, id(image))
        held = weakref.ref(self)

        def forget(frame: weakref.ref[Image]) -> None:
            frames = held()
            if frames is not None:
                frames._forget(key, frame)

        self._entries[key] = _Entry(weakref.ref(image, forget), uploaded)

    def _forget(self, key: _Key, frame: weakref.ref[Image]) -> None:
        with self._changing:
            entry = self._entries.get(key)
            if entry is not None and entry.frame is frame:  # not another frame's, at the same address since
                del self._entries[key]

    def _found(self, image: Image, device: torch.device) -> Uploaded | None:
        with self._changing:
            entry = self._entries.get((device, id(image)))
            return entry.uploaded if entry is not None and entry.frame() is image else None

    def _make_room(self, device: torch.device) -> None:
        held = {key: entry.uploaded for key, entry in list(self._entries.items()) if key[0] == device}
        excess = sum(map(_size, held.values())) - self._limit_of(device)
        for key, uploaded in held.items():  # the oldest first
            if excess <= 0:
                return
            self._entries.pop(key, None)
            excess -= _size(uploaded)

    def _limit_of(self, device: torch.device) -> int:
        if self._limit is not None:
            return self._limit
        if device not in self._limits:
            whole = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else 8 * LIMIT
            self._limits[device] = min(LIMIT, whole // 8)
        return self._limits[device]


def _copied(images: Sequence[Image], device: torch.device) -> Tensor:
    """uint8 (n, H, W, 3) on the host; page-locked if a GPU is to fetch it while the host goes on."""
    pixels = torch.empty((len(images), *images[0].shape), dtype=torch.uint8, pin_memory=device.type == "cuda")
    for row, image in zip(pixels, images):
        if image.flags.c_contiguous and image.flags.writeable:
            row.copy_(torch.from_numpy(image))  # by several threads
        else:
            np.copyto(row.numpy(), image)
    return pixels


def _size(uploaded: Uploaded) -> int:
    return uploaded.pictures[0].numel()

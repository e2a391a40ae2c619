"""The models of a chain share the frames on the device. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class BringsFrames(Protocol):
    """A model that brings frames to its device itself: every :class:`facestream.plugins.base.TorchModel`.

    Attributes:
        uploads: those there now, a :class:`facestream.plugins.on_device_frames.UploadedFrames`.
    """

    uploads: Any


def share_uploads(models: Sequence[object]) -> None:
    """Let those of ``models`` that are :class:`BringsFrames` bring each frame to the device once, for all of them."""
    having = [model for model in models if isinstance(model, BringsFrames)]
    for model in having[1:]:
        model.uploads = having[0].uploads

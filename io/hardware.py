"""Decoding on a GPU (NVDEC), where there is one that takes the video; on the CPU otherwise.

Nobody has to know before: what a machine, a codec or a single video doesn't allow is decoded on the CPU, and one line
says so. Pictures come to the host's memory either way, in the same size and order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from av.codec import Codec
from av.codec.hwaccel import HWAccel
from av.error import FFmpegError

from facestream.io.urls import redact

Decoder: TypeAlias = Literal["auto", "cpu", "cuda"]
"""What decodes video: "cuda" is a GPU where that can be, "auto" is one where the models run on it, too."""

_CONTEXTS: Final[tuple[dict[str, object], ...]] = ({"primary_ctx": "1"}, {})
"""FFmpeg's options for a GPU's context: torch's own where it lets others in, else one for each video, which takes some
hundred megabytes of the GPU's memory."""

_COMMON: Final = "h264"
"""A codec that every GPU decodes."""

_ON_DEVICE: Final = frozenset({"nv12", "p010le", "p016le", "yuv444p", "yuv444p16le", "nv16", "p210le", "p216le"})
"""What pictures decoded by NVDEC come as. The first is what matters: no software decoder of video gives it."""

_log = logging.getLogger("facestream.video")


def try_accelerator(accelerator: HWAccel) -> None:
    """Open the device, and let go of it.

    Raises:
        FFmpegError: it can't be opened.
        NotImplementedError: this FFmpeg has no such decoder.
    """
    accelerator.create(Codec(_COMMON, "r"))


class HardwareDecoding:
    """Whether a source is decoded on a GPU; one for all its connections, so that what has failed isn't tried again.

    Args:
        label: the source, for messages.
        device: the GPU's number, None for the first.
        attempt: opens a device and raises where it can't.
    """

    def __init__(
        self, label: str, device: int | None = None, *, attempt: Callable[[HWAccel], None] = try_accelerator
    ) -> None:
        self._label = label
        self._device = device
        self._attempt = attempt
        self._options: dict[str, object] | None = None  # those with which it opened
        self._told = False
        self.refused = False

    def accelerator(self) -> HWAccel | None:
        """What to open a video with; None to decode on the CPU. Blocking: the first call opens the GPU."""
        if self.refused or not self.works():
            return None
        return self._made(self._options or {})

    def works(self) -> bool:
        """Whether the GPU can be opened now. If not, it isn't tried again."""
        reason = ""
        for options in (self._options,) if self._options is not None else _CONTEXTS:
            try:
                self._attempt(self._made(options))
            except (FFmpegError, NotImplementedError) as error:
                reason = reason or str(error)
            else:
                self._options = options
                return True
        self.refuse(f"no GPU that decodes can be opened ({redact(reason)})")
        return False

    def _made(self, options: dict[str, object]) -> HWAccel:
        device = None if self._device is None else str(self._device)
        return HWAccel("cuda", device=device, allow_software_fallback=True, options=dict(options))

    def decoded(self, codec: str, pixel_format: str) -> None:
        """Say once what a source's first picture tells: where it was decoded."""
        if self._told or self.refused:
            return
        self._told = True
        if pixel_format in _ON_DEVICE:
            _log.info("%s is decoded on the GPU", self._label)
        else:
            _log.info("%s is decoded on the CPU: the GPU doesn't take its %s (%s)", self._label, codec, pixel_format)

    def refuse(self, reason: str) -> None:
        """From now on the source is decoded on the CPU."""
        if not self.refused:
            self.refused = True
            _log.warning("%s is decoded on the CPU: %s", self._label, reason)


def hardware_decoding(decoder: Decoder, label: str, device: str) -> HardwareDecoding | None:
    """For one source; None where it is decoded on the CPU and nobody expects anything else.

    Args:
        device: where the models run.
    """
    on_gpu = device.startswith("cuda")
    if decoder == "cpu" or (decoder == "auto" and not on_gpu):
        return None
    number = device.partition(":")[2] if on_gpu else ""
    return HardwareDecoding(label, int(number) if number else None)

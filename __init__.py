"""facestream turns cameras and files into faces.

::

    async for faces in facestream.extract("clip.mp4"): ...
    for faces in facestream.extract_sync("photos/"): ...

Importing this package loads neither torch nor OpenCV; names are resolved on first use.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# OpenMP's threads spin while they wait for each other. Beside decoders and encoders on the same cores, or on a machine
# that others use too, the spinning keeps off the very thread it waits for: one inference took 8 ms sleeping and 260 ms
# spinning. OpenMP reads this once, when torch is first imported, which is why it stands here. Yours wins if you set it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_EXPORTS = {
    "extract": "facestream.jobs.extract",
    "extract_sync": "facestream.jobs.extract",
    "open_source": "facestream.io.sources",
    "Frame": "facestream.stream.types",
    "FrameFaces": "facestream.stream.types",
    "ExtractBatch": "facestream.stream.types",
    "FacestreamError": "facestream.errors",
}

__all__ = [
    "ExtractBatch",
    "FacestreamError",
    "Frame",
    "FrameFaces",
    "__version__",
    "extract",
    "extract_sync",
    "open_source",
]

if TYPE_CHECKING:
    from facestream.errors import FacestreamError
    from facestream.io.sources import open_source
    from facestream.jobs.extract import extract, extract_sync
    from facestream.stream.types import ExtractBatch, Frame, FrameFaces


def __getattr__(name: str) -> Any:
    try:
        module = _EXPORTS[name]
    except KeyError:
        raise AttributeError(f"module 'facestream' has no attribute {name!r}") from None
    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return __all__

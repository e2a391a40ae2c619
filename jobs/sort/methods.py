"""By what faces are sorted and grouped (spec §16.3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from facestream.errors import ConfigError


class Need(Enum):
    """What a method must know of a picture."""

    NOTHING = "nothing"
    PIXELS = "pixels"  # any picture has them
    LANDMARKS = "landmarks"  # the header's
    EMBEDDING = "embedding"  # the header's, or computed with the header's landmarks


class Kind(Enum):
    """How an order and groups follow from what is known."""

    NONE = "none"
    VALUE = "value"  # a number a picture
    LIKENESS = "likeness"  # a vector a picture, and distances


class Bins(Enum):
    """How the values of a measure fall into bins."""

    SCALE = "scale"  # parts of the measure's whole scale, equally wide
    SHARE = "share"  # so many pictures in each, as the measure has no end


@dataclass(frozen=True, slots=True)
class Method:
    """One of them.

    Attributes:
        measure: what is measured, where several methods share it.
        descending: the largest value comes first.
        scale: lowest and highest value of a :attr:`Bins.SCALE`.
        threshold: the default for groups by likeness; None where the model's card says it.
        unlike: sorts what is unlike all others first, and doesn't group.
    """

    name: str
    measure: str
    need: Need
    kind: Kind
    descending: bool = True
    bins: Bins = Bins.SHARE
    scale: tuple[float, float] = (0.0, 0.0)
    threshold: float | None = None
    unlike: bool = False

    @property
    def groups(self) -> bool:
        return self.kind is not Kind.NONE and not self.unlike


def _pose(name: str) -> Method:
    return Method(name, name, Need.LANDMARKS, Kind.VALUE, bins=Bins.SCALE, scale=(-90, 90))


def _colour(name: str, low: float, high: float) -> Method:
    return Method(f"color-{name}", f"color-{name}", Need.PIXELS, Kind.VALUE, bins=Bins.SCALE, scale=(low, high))


_ALL: Final = (
    Method("none", "none", Need.NOTHING, Kind.NONE),
    Method("face", "face", Need.EMBEDDING, Kind.LIKENESS),
    Method("blur", "blur", Need.PIXELS, Kind.VALUE),
    Method("blur-fft", "blur-fft", Need.PIXELS, Kind.VALUE),
    Method("distance", "distance", Need.LANDMARKS, Kind.VALUE, descending=False),
    Method("face-cnn", "face-cnn", Need.LANDMARKS, Kind.LIKENESS, threshold=7.2),
    Method("face-cnn-dissim", "face-cnn", Need.LANDMARKS, Kind.LIKENESS, unlike=True),
    *map(_pose, ("yaw", "pitch", "roll")),
    Method("hist", "hist", Need.PIXELS, Kind.LIKENESS, threshold=0.3),
    Method("hist-dissim", "hist", Need.PIXELS, Kind.LIKENESS, unlike=True),
    _colour("black", 0, 100),
    _colour("gray", 0, 255),
    _colour("luma", 0, 255),
    _colour("green", -127.5, 127.5),
    _colour("orange", -127.5, 127.5),
    Method("size", "size", Need.LANDMARKS, Kind.VALUE),
)

METHODS: Final = {method.name: method for method in _ALL}
"""Name → method, in the order in which they are told."""


def method_named(name: str, *, grouping: bool = False) -> Method:
    """The method of that name.

    Raises:
        ConfigError: there's none, or it can't group.
    """
    usable = [method.name for method in _ALL if not grouping or method.groups or method.kind is Kind.NONE]
    if name not in usable:
        raise ConfigError(f"faces can't be {'grouped' if grouping else 'sorted'} by {name!r}; by {', '.join(usable)}")
    return METHODS[name]

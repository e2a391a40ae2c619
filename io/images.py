"""Pictures: folders and lists of them as a source, and single ones out of bytes."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from facestream.errors import SourceFormatError, SourceUnavailable
from facestream.io.imagesize import image_size
from facestream.io.reading import LazyPicture, Picture, Wanted, everything
from facestream.io.urls import IMAGE_SUFFIXES
from facestream.stream.types import Image, Region

MAX_PIXELS = 250_000_000
"""Pixels beyond which a picture file is taken for damaged. A pushed picture has its own, lower limit."""

PICTURES_PER_SECOND = 25.0
"""Pictures have no time of their own: the one at index i of its folder gets pts i / 25."""

UNREAD_SUFFIXES = frozenset({".avif", ".exr", ".gif", ".hdr", ".heic", ".heif", ".jp2", ".jxl"})
"""Pictures that are left alone: OpenCV's wheels come without OpenEXR and HEIF, and the rest is rare here."""

_log = logging.getLogger("facestream.images")


def decode_image(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image:
    """JPEG, PNG, WebP, BMP or TIFF → uint8 BGR (h, w, 3), turned as its EXIF orientation says.

    Grey becomes three equal channels, alpha is dropped, other depths are scaled to 0..255 (integers by their
    range, floats from 0..1, clipped: spec §12.1). The size is read from the header before anything is
    decoded.

    Raises:
        SourceFormatError: not such a picture, damaged, or of more than ``max_pixels``.
    """
    size = image_size(data)
    if size is None:
        raise SourceFormatError("this isn't a picture; send a JPEG, PNG, WebP, BMP or TIFF")
    width, height = size
    if width * height > max_pixels:
        raise SourceFormatError(
            f"the picture is {width}x{height}, {width * height / 1e6:.0f} megapixels; "
            f"the limit is {max_pixels / 1e6:.4g}, so make it smaller"
        )
    try:
        # Not IMREAD_UNCHANGED: that keeps alpha and leaves the EXIF orientation to us.
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
        if image is None:  # floats with alpha can't be read without it
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # beyond OpenCV's own limits
        image = None
    if image is None:
        raise SourceFormatError("the picture is damaged or cut short; save it again")
    return _bgr8(image)


def _bgr8(image: npt.NDArray[Any]) -> Image:
    if image.dtype != np.uint8:
        if np.issubdtype(image.dtype, np.floating):
            scaled = np.nan_to_num(np.clip(image, 0, 1)) * 255
        else:
            scaled = np.clip(image, 0, None) * (255 / np.iinfo(image.dtype).max)
        image = np.rint(scaled).astype(np.uint8)
    if image.ndim == 2:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
    return np.ascontiguousarray(image[..., :3])


def read_image(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Image:
    """Read a picture file of any name; see :func:`decode_image`.

    Raises:
        SourceUnavailable: the file can't be read.
        SourceFormatError: it isn't a picture, is damaged or too large. Both name the file.
    """
    return _decode_file(path, _read_file(path), max_pixels)


def _read_file(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SourceUnavailable(f"can't read {path}: {error.strerror}; check the path and its rights") from error


def _decode_file(path: str | Path, data: bytes, max_pixels: int) -> Image:
    try:
        if image_size(data) is None:
            raise SourceFormatError(_not_a_picture(path))
        return decode_image(data, max_pixels=max_pixels)
    except SourceFormatError as error:
        raise SourceFormatError(f"can't use {path}: {error}") from error


def _not_a_picture(path: str | Path) -> str:
    suffix = Path(path).suffix.lower()
    if suffix in UNREAD_SUFFIXES:
        return f"{suffix} pictures aren't read; convert it to JPEG or PNG"
    return "it isn't a picture, whatever its name says, or is damaged; save it again as JPEG or PNG"


def list_images(folder: str | Path) -> list[Path]:
    """The pictures directly in ``folder``, in natural order: ``2.png`` before ``10.png``.

    Raises:
        SourceUnavailable: the folder can't be read.
        SourceFormatError: there's no picture in it.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_file()]
    except OSError as error:
        raise SourceUnavailable(
            f"can't read the folder {folder}: {error.strerror}; check the path and its rights"
        ) from error
    pictures = [Path(folder, name) for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES]
    if not pictures:
        kinds = " ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
        raise SourceFormatError(f"there's no picture in the folder {folder}; it needs files of {kinds}")
    return sorted(pictures, key=lambda path: natural_key(path.name))


def holds(folder: str | Path, suffixes: Collection[str]) -> bool:
    """Whether there's a file of one of these suffixes, in small letters, directly in ``folder``.

    A folder that can't be read (``lost+found``, say) holds none, which is said.
    """
    try:
        return any(Path(name).suffix.lower() in suffixes for name in os.listdir(folder))
    except OSError as error:
        _log.warning("skipped: can't read the folder %s: %s", folder, error.strerror)
        return False


def count_unread(folder: str | Path) -> int:
    """How many pictures in a folder are of kinds that this OpenCV can't decode."""
    return sum(Path(name).suffix.lower() in UNREAD_SUFFIXES for name in os.listdir(folder))


def _tell_unreadable(folder: str | Path, names: Sequence[str]) -> None:
    """Pictures of kinds that this OpenCV can't decode are passed over, but not silently."""
    others = Counter(suffix for name in names if (suffix := Path(name).suffix.lower()) in UNREAD_SUFFIXES)
    for suffix, count in others.items():
        what, them = ("picture", "it") if count == 1 else ("pictures", "them")
        _log.warning("skipped: %d %s %s in %s; convert %s to JPEG or PNG", count, suffix, what, folder, them)


def _part(load: Callable[[], Image], region: Region | None = None) -> Image:
    image = load()
    if region is None:
        return image
    left, top, right, bottom = region
    return image[top:bottom, left:right]


def natural_key(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key that takes digits for numbers and ignores case; ties are broken by the plain name."""
    parts = [part for part in re.split(r"([0-9]+)", name.casefold()) if part]
    return [(0, int(part), "") if part[0] in "0123456789" else (1, 0, part) for part in parts], name


class ImageReader:
    """Pictures one after another; a :class:`facestream.io.reading.Reader`.

    Those that can't be read are skipped, logged once each and counted as damaged. Only when not one can be
    read is that an error.

    Args:
        pictures: a folder, listed anew each time it is opened, or the files themselves, in the order given.
        wanted: which pictures to hand on, by place and file name. The others aren't even opened.
        hashes: tell the SHA-1 of each picture's file.
    """

    finite = True
    bursts = False

    def __init__(
        self,
        pictures: str | Path | Sequence[str | Path],
        *,
        wanted: Wanted = everything,
        hashes: bool = False,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self._pictures = pictures
        self._wanted = wanted
        self._hashes = hashes
        self._max_pixels = max_pixels
        self._paths: list[Path] = []
        self._index = 0
        self._first: Picture | None = None  # read when opening, for the size and to know that one can be read
        self._complained: set[Path] = set()
        self._interrupted = False
        self.damaged = 0
        self.skipped = 0
        self.size: tuple[int, int] | None = None
        self.count: int | None = None
        self.rate: float | None = PICTURES_PER_SECOND

    def open(self) -> None:
        if isinstance(self._pictures, str | Path):
            self._paths = list_images(self._pictures)
            if not self._complained and Path(self._pictures).is_dir():
                _tell_unreadable(self._pictures, os.listdir(self._pictures))
        else:
            self._paths = [Path(path) for path in self._pictures]
        if not self._paths:
            raise SourceFormatError("the list of pictures is empty; give at least one file")
        self.count = len(self._paths)
        self._index = 0
        skipped = self.skipped
        self._first = self._next()
        if self._first is None and not self._interrupted and self.skipped == skipped:
            where = f" in {self._pictures}" if isinstance(self._pictures, str | Path) else ""
            raise SourceFormatError(
                f"none of the {len(self._paths)} pictures{where} can be read; see the warnings for why"
            )

    def read(self) -> Picture | None:
        first, self._first = self._first, None
        return first or self._next()

    def _next(self) -> Picture | None:
        while self._index < len(self._paths) and not self._interrupted:
            index, path = self._index, self._paths[self._index]
            self._index += 1
            if not self._wanted(index, path.name):
                self.skipped += 1
                continue
            try:
                data = _read_file(path)
                image = _decode_file(path, data, self._max_pixels)
            except (SourceUnavailable, SourceFormatError) as error:
                self.damaged += 1
                if len(self._paths) == 1:
                    raise
                self._complain(path, error)
                continue
            self.size = image.shape[1], image.shape[0]
            sha1 = hashlib.sha1(data).hexdigest() if self._hashes else None
            return Picture(image, index / PICTURES_PER_SECOND, path.name, sha1)
        return None

    def read_lazily(self) -> LazyPicture | None:
        """The next picture that is wanted; whoever gets it reads and decodes the file. None at the end.

        What can't be read is then for the caller to count and to report; the first was tried when opening.
        """
        if (first := self._first) is not None:
            self._first = None
            return LazyPicture(self._index - 1, first.name, partial(_part, lambda: first.image))
        while self._index < len(self._paths) and not self._interrupted:
            index, path = self._index, self._paths[self._index]
            self._index += 1
            if self._wanted(index, path.name):
                return LazyPicture(
                    index, path.name, partial(_part, partial(read_image, path, max_pixels=self._max_pixels))
                )
            self.skipped += 1
        return None

    def _complain(self, path: Path, error: Exception) -> None:
        if path not in self._complained:
            self._complained.add(path)
            _log.warning("skipped: %s", error)

    def close(self) -> None:
        self._paths, self._first = [], None

    def interrupt(self) -> None:
        self._interrupted = True

"""Sinks that write pictures: every face as a PNG that faceswap can read, or whole frames."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, Self

import cv2
import numpy as np

from facestream.faces.aligned import align, solved
from facestream.faces.crops import Resampling, crop, crop_matrices
from facestream.faces.drawing import draw_face
from facestream.io.face_folder import face_file, is_of, parse_face_file, refusal
from facestream.io.face_record import FaceAlignment, thumbnail
from facestream.io.faces import FrameStems, face_header, with_header
from facestream.io.origin import Origins, with_origin
from facestream.io.picture_writer import Encoded, Losses, PictureWriter, WriteStatistics
from facestream.io.png import encode_png
from facestream.stream.device import Bridge
from facestream.stream.types import Aligned, Faces, Floats, Frame, FrameFaces, Image

_LOOSE: Final = 1.6  # the square around a face without landmarks, in its box's longer sides: about a head


class _PictureSink:
    """What the sinks for pictures share. Subclasses say what to submit for a result."""

    def __init__(
        self,
        folder: str | os.PathLike[str],
        bridge: Bridge,
        *,
        max_in_flight: int,
        keep: bool,
        losses: Losses = Losses.COUNT,
    ) -> None:
        self.folder = Path(folder)
        self._keep = keep
        self._stems = FrameStems()
        self._present: Collection[str] = ()
        self._writer = PictureWriter(self.folder, bridge, max_in_flight=max_in_flight, losses=losses)

    async def __aenter__(self) -> Self:
        self._present = frozenset(await self._writer.open())
        if self._keep:
            for name in self._present:
                self._stems.take(self._stem_of(name))
        return self

    def _stem_of(self, name: str) -> str:
        return name.rpartition(".")[0]

    async def __aexit__(self, *exc_info: object) -> None:
        await self._writer.close()

    async def drain(self) -> None:
        """Wait until every picture of what was written so far is on disk, or lost and counted."""
        await self._writer.drain()

    def statistics(self) -> WriteStatistics:
        return self._writer.health.statistics


class FaceSaver(_PictureSink):
    """Writes every face as ``<frame stem>_<index>.png`` with faceswap's header (design §8, spec §13.1).

    A face without landmarks, or with landmarks that determine no alignment, is saved upright as the square of
    1.6 times its box's longer side, and without a header: faceswap refuses a header without landmarks.

    A picture that is in the folder already gives way only if it was cut from the same frame: see
    :mod:`facestream.io.face_folder`. Any other in the way is an error, before it is touched.

    Args:
        folder: made if it isn't there.
        size: the picture's edge in pixels.
        centering: "head", "face" or "legacy".
        max_in_flight: pictures on their way at once; ``write`` waits when there are more.
        keep: let files of former runs be: a source whose name they bear writes as ``<source>-2``. Otherwise a
            new run of the same job replaces its own files.
        suffixes: source → the suffix of its video file, which faceswap's frame names end with. It may be
            filled in later; a source that isn't in it gets ``.png``.
        resampling: how the crops are sampled.
        debug: draw onto each picture what its alignment rests on; see :func:`facestream.faces.drawing.draw_face`.
        video: what the headers say, whether the frames are a video's; by default those without a file name are.
        thumbs: make the thumbnails that alignments keep, for whoever awaits what :meth:`save` returns.
        losses: what a picture that can't be written costs.
        origins: of the frames' files; by default pictures know their frames' names only.

    Attributes:
        former: pictures of a former run that were moved into the sub-folder ``_former``.

    Raises:
        ConfigError: on entering: the folder can't be made or written to; OutputError where losses are raised.
        OutputError: on writing: a picture of something else is in the way.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        bridge: Bridge,
        *,
        size: int = 512,
        centering: str = "head",
        max_in_flight: int = 8,
        keep: bool = False,
        suffixes: Mapping[str, str] | None = None,
        resampling: Resampling = Resampling.BEST,
        debug: bool = False,
        thumbs: bool = False,
        video: bool | None = None,
        losses: Losses = Losses.COUNT,
        origins: Origins | None = None,
    ) -> None:
        super().__init__(folder, bridge, max_in_flight=max_in_flight, keep=keep, losses=losses)
        self._bridge = bridge
        self._origins = Origins(None) if origins is None else origins
        self.former = 0
        self._debug = debug
        self._thumbs = thumbs
        self._video = video
        self._untouched: set[str] = set()
        self._most_present = 0  # faces of one frame among the pictures that are there already
        self._size = size
        self._centering = centering
        self._suffixes = {} if suffixes is None else suffixes
        self._resampling = resampling

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._most_present = 1 + max(map(_index_of, self._present), default=-1)
        self._untouched = set(self._present)
        return self

    def _stem_of(self, name: str) -> str:
        return name.rpartition("_")[0]

    async def write(self, faces: FrameFaces) -> None:
        """Take one result. Waits when pictures pile up; cancelling while it waits loses the faces not taken yet."""
        stem = self._stems.stem(faces.frame)
        if present := self._there(stem):
            await self._foreign(present, range(len(faces)), self._frame_name(faces, stem))
        for index in range(len(faces)):
            await self._writer.submit(face_file(stem, index), self._encode, faces, index, stem)

    async def save(
        self,
        faces: FrameFaces,
        stem: str,
        source_filename: str | None = None,
        *,
        at: Collection[int] | None = None,
        records: Sequence[FaceAlignment | None] | None = None,
    ) -> dict[int, asyncio.Task[bytes | None]]:
        """Take one result under a stem of the caller's choice; otherwise like :meth:`write`.

        Pictures of that frame with other numbers, which another run has left, are set aside.

        Args:
            source_filename: the frame's name in the alignments; by default made of the stem and the source's suffix.
            at: the indices of the faces to save; all by default.
            records: what the headers say of each face; by default they are made of ``faces``.

        Returns:
            for each face saved, a task that ends with its thumbnail once the picture is there.
        """
        chosen = range(len(faces)) if at is None else at
        if present := self._there(stem):
            foreign = await self._foreign(present, chosen, source_filename or self._frame_name(faces, stem))
            stale = [name for index, name in present.items() if index not in chosen and name not in foreign]
            self.former += await self._writer.set_aside(stale)
        saved = {}
        for index in chosen:
            record = None if records is None else records[index]
            saved[index] = await self._writer.submit(
                face_file(stem, index), self._encode, faces, index, stem, source_filename, record
            )
        return saved

    def _there(self, stem: str) -> dict[int, str]:
        """Pictures of that stem that were here before, by their index."""
        if self._keep:
            return {}
        names = {index: face_file(stem, index) for index in range(self._most_present)}
        self._untouched.difference_update(names.values())
        return {index: name for index, name in names.items() if name in self._present}

    @property
    def untouched(self) -> Collection[str]:
        """Files that were in the folder before and aren't of a frame that was saved since."""
        return self._untouched

    async def _foreign(self, present: Mapping[int, str], chosen: Collection[int], frame: str) -> list[str]:
        """Those that aren't of the frame.

        Raises:
            OutputError: one of them has the place of a picture to be written.
        """
        return await self._bridge.cpu(_foreign, self.folder, present, chosen, self._origins, frame)

    def _frame_name(self, faces: FrameFaces, stem: str) -> str:
        return faces.frame.name or stem + self._suffixes.get(faces.frame.source, ".png")

    def _encode(
        self,
        faces: FrameFaces,
        index: int,
        stem: str,
        source_filename: str | None = None,
        record: FaceAlignment | None = None,
    ) -> Encoded:
        aligned = _aligned(faces, index)
        origin = self._origins.of(source_filename or self._frame_name(faces, stem))
        if aligned is None:
            image = self._crop(faces, _loose_matrix(faces, index, self._size))
            return Encoded(with_origin(encode_png(image), origin))
        matrix = crop_matrices(aligned, self._size, self._centering)[0]
        suffix = self._suffixes.get(faces.frame.source, ".png")
        header = face_header(
            faces,
            index,
            stem,
            video_suffix=suffix,
            source_filename=source_filename,
            video=self._video,
            record=record,
        )
        image = self._crop(faces, matrix)
        thumb = thumbnail(image) if self._thumbs else None
        if self._debug:
            image = draw_face(image, faces, index, centering=self._centering)
        return Encoded(with_origin(with_header(encode_png(image), header), origin), thumb)

    def _crop(self, faces: FrameFaces, matrix: Floats) -> Image:
        return crop(faces.frame.image, matrix, self._size, self._resampling)


def _foreign(
    folder: Path, present: Mapping[int, str], chosen: Collection[int], origins: Origins, frame: str
) -> list[str]:
    origin = origins.of(frame)
    foreign = {index: name for index, name in present.items() if not is_of(folder / name, origin)}
    for index in chosen:
        if index in foreign:
            raise refusal(folder / foreign[index], origin)
    return list(foreign.values())


def _index_of(name: str) -> int:
    """``clip_000001_2.png`` → 2; -1 for other files."""
    parsed = parse_face_file(name)
    return -1 if parsed is None else parsed[1]


def _aligned(faces: Faces, index: int) -> Aligned | None:
    """The aligned view of one face, or None where its landmarks imply none."""
    if faces.landmarks is None or not np.isfinite(faces.landmarks[index]).all():
        return None
    row = slice(index, index + 1)
    aligned = align(faces.landmarks[row]) if faces.aligned is None else faces.aligned.take(row)
    return aligned if solved(aligned)[0] else None


def _loose_matrix(faces: Faces, index: int, size: int) -> Floats:
    """(3, 3) frame → crop for a face that has a box only."""
    left, top, right, bottom = np.nan_to_num(faces.boxes[index].astype(np.float64), posinf=0.0, neginf=0.0)
    edge = _LOOSE * max(right - left, bottom - top, 1.0)
    scale = size / edge
    x, y = (left + right - edge) / 2, (top + bottom - edge) / 2
    return np.array([[scale, 0, -x * scale], [0, scale, -y * scale], [0, 0, 1]], np.float32)


class FrameSaver(_PictureSink):
    """Writes every frame as ``<frame stem>.jpg`` or ``.png``.

    Args:
        format: "jpg" or "png".
        quality: JPEG's, 1..100.
        folder, max_in_flight, keep, losses: as for :class:`FaceSaver`.

    Raises:
        ConfigError: on entering: the folder can't be made or written to; OutputError where losses are raised.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        bridge: Bridge,
        *,
        format: Literal["jpg", "png"] = "jpg",
        quality: int = 95,
        max_in_flight: int = 8,
        keep: bool = False,
        losses: Losses = Losses.COUNT,
    ) -> None:
        super().__init__(folder, bridge, max_in_flight=max_in_flight, keep=keep, losses=losses)
        self._suffix = f".{format}"
        self._quality = quality

    async def write(self, faces: FrameFaces) -> None:
        """Take one result. Waits when pictures pile up; cancelling while it waits loses this frame."""
        name = self._stems.stem(faces.frame) + self._suffix
        await self._writer.submit(name, self._encode, faces.frame)

    async def save(self, frame: Frame, name: str) -> asyncio.Task[bytes | None]:
        """Take a frame under a file name of the caller's choice; the task ends when it is there."""
        return await self._writer.submit(name, self._encode, frame)

    def _encode(self, frame: Frame) -> Encoded:
        image = frame.image  # here, in a thread: a live frame's may not be made yet
        return Encoded(encode_png(image) if self._suffix == ".png" else _jpeg(image, self._quality))


def _jpeg(image: Image, quality: int) -> bytes:
    done, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"OpenCV can't encode {image.shape} as a JPEG")
    return content.tobytes()

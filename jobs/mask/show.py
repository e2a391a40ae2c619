"""Pictures of the masks that there are: of each face, or over whole frames. Nothing stored changes.

``<folder>/<mask>_<face|frame>_<type>/<frame>[_<stored name>][_<face>].png``; the stored name is there where it isn't
the mask's own, as of ``bisenet-fp``, which may be stored for the face and for the head.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from facestream.errors import ConfigError, FaceHeaderError, OutputError, SourceError
from facestream.faces.crops import crop
from facestream.faces.extracted import picture_matrix
from facestream.faces.mask_view import MaskView, joined_in_frame
from facestream.faces.masks import NAMES as LANDMARK_MASKS
from facestream.io.alignments import Alignments
from facestream.io.face_record import FaceAlignment
from facestream.io.faces import write_atomically
from facestream.io.frame_names import FrameNames
from facestream.io.images import read_image
from facestream.io.lazy import LazyFrames
from facestream.io.png import encode_png
from facestream.io.reading import LazyPicture
from facestream.jobs.alignments.pictures import read_picture
from facestream.jobs.mask.faces import known_pictures
from facestream.jobs.mask.frames import names_of
from facestream.jobs.mask.inputs import MaskInput
from facestream.jobs.mask.job import MaskJob
from facestream.jobs.mask.options import MaskOptions
from facestream.jobs.mask.pictures import shown, stored_names, views_of
from facestream.jobs.mask.summary import Summary, some
from facestream.jobs.recrop import face_matrix
from facestream.stream.tasks import task_group
from facestream.stream.types import Floats, Image

SIZE: Final = 512
"""Pixels of a face's edge, cut out of its frame as extract does."""

IN_FLIGHT: Final = 8

_INDEXED: Final = re.compile(r"(?s)(.+?)(_[0-9]{1,3})?")

Encoded: TypeAlias = list[tuple[Path, bytes]]


@dataclass(frozen=True, slots=True)
class Rendering:
    """From a picture and its faces to files. For a CPU worker."""

    options: MaskOptions
    folder: Path

    def folder_of(self, masker: str) -> Path:
        what = "frame" if self.options.full_frame else "face"
        return self.folder / f"{masker}_{what}_{self.options.output_type}"

    def frame(self, image: Image, faces: list[FaceAlignment], stem: str) -> tuple[Encoded, list[str]]:
        """The files of a frame, and what none could be made of, a word each.

        Args:
            stem: what the files' names begin with.
        """
        if self.options.full_frame:
            return self._whole(image, faces, stem)
        made: Encoded = []
        lacking: list[str] = []
        for index, face in enumerate(faces):
            matrix = face_matrix(face, SIZE)
            files, without = self.face(crop(image, matrix, SIZE), matrix, face, stem, f"_{index}")
            made += files
            lacking += without
        return made, lacking

    def face(
        self, picture: Image, matrix: Floats, face: FaceAlignment, stem: str, index: str
    ) -> tuple[Encoded, list[str]]:
        """The files of one face; see :meth:`frame`.

        Args:
            picture: of the face, square.
            matrix: (3, 3), frame pixels → the picture's.
        """
        made: Encoded = []
        lacking: list[str] = []
        for masker in self.options.models.masks:
            views = self._views(face, masker)
            lacking += [] if views else [f"{stem}{index} {masker}"]
            for name, view in views.items():
                mask = view.in_crop(matrix, picture.shape[0])
                made.append(self._file(picture, mask, masker, name, stem, index))
        return made, lacking

    def _whole(self, image: Image, faces: list[FaceAlignment], stem: str) -> tuple[Encoded, list[str]]:
        made: Encoded = []
        lacking: list[str] = []
        size = image.shape[1], image.shape[0]
        for masker in self.options.models.masks:
            found: dict[str, list[MaskView]] = {}
            for index, face in enumerate(faces):
                views = self._views(face, masker)
                lacking += [] if views else [f"{stem}_{index} {masker}"]
                for name, view in views.items():
                    found.setdefault(name, []).append(view)
            for name, group in found.items():
                made.append(self._file(image, joined_in_frame(group, size), masker, name, stem, ""))
        return made, lacking

    def _views(self, face: FaceAlignment, masker: str) -> dict[str, MaskView]:
        """None where the face has no such mask, or a damaged one."""
        try:
            views = views_of(face, masker)
        except (ValueError, ConfigError):
            return {}
        options = self.options
        return {
            name: view.finished(threshold=options.threshold, blur=options.blur_kernel) for name, view in views.items()
        }

    def _file(self, image: Image, mask: Image, masker: str, name: str, stem: str, index: str) -> tuple[Path, bytes]:
        variant = "" if name == masker else f"_{name}"
        path = self.folder_of(masker) / f"{stem}{variant}{index}.png"
        return path, encode_png(shown(image, mask, self.options.output_type))


def check_output(options: MaskOptions, work: MaskInput) -> None:
    """Make sure that nothing will be overwritten, and make the folders. Blocks.

    Raises:
        ConfigError: a folder has something in it. A name that begins with a dot is nothing.
        OutputError: a folder can't be made.
    """
    if work.output is None:
        return
    rendering = Rendering(options, work.output)
    for masker in options.models.masks:
        folder = rendering.folder_of(masker)
        try:
            taken = folder.exists() and any(not name.startswith(".") for name in os.listdir(folder))
            if taken and not options.overwrite:
                raise ConfigError(f"{folder} isn't empty; clear it, choose another folder with -o, or give --overwrite")
            if not options.dry_run:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"can't save to {folder}: {error.strerror}; choose another folder with -o") from error


class _Writer:
    """Renders and writes pictures, a limited number of frames or faces at a time. Each file is whole, or not there."""

    def __init__(self, job: MaskJob, summary: Summary, tasks: asyncio.TaskGroup) -> None:
        self._job = job
        self._summary = summary
        self._tasks = tasks
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self.done = 0

    async def take(self, render: Callable[[], tuple[Encoded, list[str]]], total: int) -> None:
        """Start a task that renders; waits while as many as may be are on their way."""
        await self._slots.acquire()
        self._tasks.create_task(self._write(render, total))

    async def _write(self, render: Callable[[], tuple[Encoded, list[str]]], total: int) -> None:
        try:
            files, lacking = await self._job.bridge.cpu(render)
            for path, content in files:
                await self._job.bridge.cpu(_write, path, content)
                self._summary.shown[path.parent] += 1
            for name in lacking:
                self._summary.leave_out(name, "mask isn't there", "masks aren't there")
        except (SourceError, FaceHeaderError) as error:
            self._summary.leave_out(str(error), "file can't be read", "files can't be read")
        finally:
            self._slots.release()
            self.done += 1
            self._job.advanced(self.done, total)


def _write(path: Path, content: bytes) -> None:
    try:
        write_atomically(path, content, owned=True)
    except OSError as error:
        raise OutputError(f"can't write {path}: {error.strerror}; make room, and run again with --overwrite") from error


async def show_frames(job: MaskJob, work: MaskInput, summary: Summary, only: Collection[str] | None = None) -> None:
    """Show the masks of one input's frames.

    Args:
        only: these frames' names in the alignments; None for all.

    Raises:
        SourceError: the input can't be read, or not to its end.
        AlignmentsError: the file isn't there, is of another input, or has no such mask.
        OutputError: a picture can't be written.
    """
    assert work.alignments is not None
    assert work.output is not None
    alignments = await job.bridge.cpu(job.session.load, work.alignments)
    names = await job.bridge.cpu(names_of, work.source, alignments, job.session)
    wanted = _showable(alignments, job.options) if only is None else set(only)
    if job.options.dry_run:
        job.session.say(f"would show {', '.join(job.options.models.masks)} of {len(wanted)} frames in {work.output}")
        return
    missing = set(wanted)

    def is_wanted(index: int, name: str | None) -> bool:
        key = names.key(index, name)
        missing.discard(key)
        return key in wanted

    rendering = Rendering(job.options, work.output)
    lost: SourceError | None = None
    async with task_group() as tasks:
        writer = _Writer(job, summary, tasks)
        try:
            async with LazyFrames(str(work.source), job.bridge, wanted=is_wanted) as frames:
                async for picture in frames:
                    faces = alignments.faces(names.key(picture.index, picture.name))
                    await writer.take(_of_frame(rendering, picture, faces, names), len(wanted))
                    if job.interrupted.is_set():
                        return
        except SourceError as error:
            lost = error  # what was read before is shown all the same
    if lost is not None:
        raise lost
    for key in alignments.frames:
        if key in missing:
            one, several = "frame of the alignments isn't in the input", "frames of the alignments aren't in the input"
            summary.leave_out(key, one, several)


def _showable(alignments: Alignments, options: MaskOptions) -> set[str]:
    """The frames of which there is something to show.

    Raises:
        ConfigError: there are none.
    """
    masks = options.models.masks
    found = {key for key, _, face in alignments.each_face() if any(views_exist(face, masker) for masker in masks)}
    if not found:
        raise ConfigError(nothing_to_show(str(alignments.path), masks, alignments.masks))
    return found


def nothing_to_show(where: str, masks: Collection[str], there: Collection[str]) -> str:
    """What to say."""
    have = f"there is {some(sorted(there))}" if there else "there are none at all"
    return f"{where} has no mask {' or '.join(masks)}: {have}; make them first, with -p missing"


def views_exist(face: FaceAlignment, masker: str) -> bool:
    return bool(stored_names(face, masker)) or masker in LANDMARK_MASKS


def _of_frame(
    rendering: Rendering, picture: LazyPicture, faces: list[FaceAlignment], names: FrameNames
) -> Callable[[], tuple[Encoded, list[str]]]:
    stem = names.stem(picture.index, picture.name)
    return lambda: rendering.frame(picture.load(), faces, stem)


async def show_faces(job: MaskJob, work: MaskInput, summary: Summary, only: Collection[Path] | None = None) -> None:
    """Show the masks that face pictures have in their headers.

    Args:
        only: these pictures; None for all.

    Raises:
        ConfigError: there's no face picture, or none has such a mask.
        OutputError: a picture can't be written.
    """
    assert work.output is not None
    known = await job.bridge.cpu(known_pictures, work.source, summary)
    masks = job.options.models.masks
    have = {name for each in known for name in each.masks}
    if not any(name.startswith(tuple(masks)) for name in have) and not LANDMARK_MASKS.keys() & set(masks):
        raise ConfigError(nothing_to_show(str(work.source), masks, have))
    paths = [each.path for each in known if only is None or each.path in only]
    if job.options.dry_run:
        job.session.say(f"would show {', '.join(masks)} of {len(paths)} faces in {work.output}")
        return
    rendering = Rendering(job.options, work.output)
    async with task_group() as tasks:
        writer = _Writer(job, summary, tasks)
        for path in paths:
            await writer.take(_of_picture(rendering, path), len(paths))
            if job.interrupted.is_set():
                break


def _of_picture(rendering: Rendering, path: Path) -> Callable[[], tuple[Encoded, list[str]]]:
    parts = _INDEXED.fullmatch(path.stem)
    assert parts is not None, "matches everything"

    def render() -> tuple[Encoded, list[str]]:
        try:
            found = read_picture(path, whole=True)
        except OSError as error:
            raise SourceError(f"can't read {path}: {error.strerror}") from error
        picture = read_image(path)
        edge = picture.shape[0]
        if picture.shape[1] != edge:
            raise FaceHeaderError(f"{path} isn't a face picture: it isn't square")
        matrix = picture_matrix(found.face.landmarks_xy.astype("float32"), edge).astype("float32")
        return rendering.face(picture, matrix, found.face, parts[1], parts[2] or "")

    return render

"""Masks that were painted elsewhere: grey pictures, each of a whole frame or of a face picture (spec §16.2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from facestream.errors import ConfigError, FaceHeaderError, SourceError
from facestream.faces.aligned import align
from facestream.faces.crops import crop, crop_matrices
from facestream.faces.extracted import picture_matrix
from facestream.io.alignments import Alignments
from facestream.io.face_record import FaceAlignment, StoredMask
from facestream.io.images import list_images, read_image
from facestream.io.imagesize import image_size
from facestream.jobs.alignments.frames import is_video, pictures_of, read_frames
from facestream.jobs.mask.faces import Known, known_pictures, placed
from facestream.jobs.mask.frames import names_of
from facestream.jobs.mask.inputs import MaskInput
from facestream.jobs.mask.job import MaskJob
from facestream.jobs.mask.options import CUSTOM, MaskOptions
from facestream.jobs.mask.storing import ChangingFile, stored_masks, update_picture
from facestream.jobs.mask.summary import Summary
from facestream.stream.types import Faces, Floats, Image, Masks

_NUMBERED: Final = re.compile(r"(?s).*?([0-9]{1,12})")


@dataclass(slots=True)
class Matched:
    """Which mask belongs to what.

    Attributes:
        masks: frame or face → its mask.
        unmatched: files that belong to nothing, or to what has one already.
    """

    masks: dict[str, Path] = field(default_factory=dict)
    unmatched: list[Path] = field(default_factory=list)

    def add(self, key: str | None, file: Path) -> None:
        if key is None or key in self.masks:
            self.unmatched.append(file)
        else:
            self.masks[key] = file


def by_name(files: Iterable[Path], names: Iterable[str]) -> Matched:
    """Masks of pictures: of the same name, or of the same but for the suffix where only one picture has it. Pure."""
    whole = set(names)
    stems: dict[str, list[str]] = {}
    for name in whole:
        stems.setdefault(Path(name).stem, []).append(name)
    matched = Matched()
    for file in files:
        alike = [file.name] if file.name in whole else stems.get(file.stem, [])
        matched.add(alike[0] if len(alike) == 1 else None, file)
    return matched


def by_number(files: Iterable[Path], key: Callable[[int], str], known: Collection[str]) -> Matched:
    """Masks of a video's frames: the number at the end of the name counts frames from 1. Pure.

    Args:
        key: what the alignments call the frame at a place, from 0.
        known: the frames that there are.
    """
    matched = Matched()
    for file in files:
        number = _NUMBERED.fullmatch(file.stem)
        name = key(int(number[1]) - 1) if number is not None and int(number[1]) else None
        matched.add(name if name in known else None, file)
    return matched


def read_mask(path: Path, size: tuple[int, int]) -> Image:
    """A picture as grey: uint8 (h, w), resized to ``size`` (w, h) where it has another.

    Raises:
        SourceError: it can't be read.
    """
    mask = np.asarray(cv2.cvtColor(read_image(path), cv2.COLOR_BGR2GRAY), np.uint8)
    height, width = mask.shape
    if (width, height) == size:
        return mask
    interpolation = cv2.INTER_AREA if width * height > size[0] * size[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(mask, size, interpolation=interpolation), np.uint8)


def imported(mask: Image, face: FaceAlignment, options: MaskOptions, matrix: Floats | None = None) -> StoredMask:
    """A face's part of a mask, as files hold it.

    Args:
        mask: uint8 (h, w), of a frame, or of a face picture.
        matrix: (3, 3), frame pixels → the mask's, where these aren't the same.
    """
    landmarks = face.landmarks_xy[None].astype(np.float32)
    stored = crop_matrices(align(landmarks), options.storage_size, options.centering)
    from_mask = stored[0].astype(np.float64)
    if matrix is not None:
        from_mask = from_mask @ np.linalg.inv(matrix.astype(np.float64))
    pixels = crop(mask, from_mask.astype(np.float32), options.storage_size)
    name = stored_name(options)
    alone = Faces(
        boxes=np.zeros((1, 4), np.float32),
        scores=np.ones(1, np.float32),
        landmarks=landmarks,
        masks={name: Masks(options.centering, stored, pixels[None])},
    )
    return stored_masks(alone, [name])[0][name]


def stored_name(options: MaskOptions) -> str:
    return f"{CUSTOM}_{options.centering}"


def _mask_files(path: Path) -> list[Path]:
    """
    Raises:
        SourceError: the folder can't be read, or holds no picture.
    """
    return list_images(path) if path.is_dir() else [path]


async def import_frames(job: MaskJob, work: MaskInput, summary: Summary) -> set[str]:
    """Store masks of whole frames with each of the frames' faces; returns which frames got one.

    Raises:
        ConfigError: not one mask belongs to a frame.
        SourceError: the masks or the frames can't be read.
        AlignmentsError: the file isn't there, or is of another input, or can't be written.
    """
    run = await job.bridge.cpu(_Frames.planned, job, work, summary)
    if job.options.dry_run:
        _tell_rehearsal(job, len(run.masks))
        return set(run.masks)
    file = ChangingFile(run.alignments, job.bridge, job.session.now, job.clock)
    done: set[str] = set()
    try:
        for number, (key, path) in enumerate(run.masks.items(), 1):
            try:
                found = await job.bridge.cpu(run.of_frame, key, path)
            except SourceError as error:
                summary.leave_out(str(error), "file can't be used", "files can't be used")
                continue
            for index, (face, mask) in enumerate(zip(run.alignments.faces(key), found)):
                _count(summary, run.name, face.mask)
                file.put(key, index, {run.name: mask})
            done.add(key)
            await file.save_if_due()
            job.advanced(number, len(run.masks))
            if job.interrupted.is_set():
                break
    finally:
        await _save(file, summary)
    return done


class _Frames:
    """Frames and their masks."""

    def __init__(self, work: MaskInput, options: MaskOptions, alignments: Alignments) -> None:
        self.alignments = alignments
        self.masks: dict[str, Path] = {}
        self.name = stored_name(options)
        self._options = options
        self._pictures = {} if is_video(work.source) else {path.name: path for path in pictures_of(work.source)}
        self._size = (0, 0)  # of a video's frames

    @classmethod
    def planned(cls, job: MaskJob, work: MaskInput, summary: Summary) -> _Frames:
        """Blocks: reads the file, and lists the folders."""
        assert work.alignments is not None
        assert job.options.mask_path is not None
        files = _mask_files(job.options.mask_path)
        alignments = job.session.load(work.alignments, to_change=not job.options.dry_run)
        run = cls(work, job.options, alignments)
        if is_video(work.source):
            names = names_of(work.source, alignments, job.session)
            matched = by_number(files, lambda place: names.key(place, None), alignments.frames)
        else:
            job.session.check_known(work.source, alignments)
            matched = by_name(files, run._pictures)
        run._take(matched, summary, job.options.mask_path)
        if is_video(work.source):
            run._size = _size_of_video(work.source, alignments)
        return run

    def _take(self, matched: Matched, summary: Summary, where: Path) -> None:
        for key, path in matched.masks.items():
            if self.alignments.faces(key):
                self.masks[key] = path
            else:
                one, several = "mask left out: its frame has no face", "masks left out: their frames have no face"
                summary.leave_out(path.name, one, several)
        with_faces = [key for key, entry in self.alignments.frames.items() if entry.faces]
        _tell_unmatched(matched, self.masks, with_faces, "frame", summary)
        if not self.masks:
            raise ConfigError(_no_match(where, matched, with_faces))

    def of_frame(self, key: str, path: Path) -> list[StoredMask]:
        """Each face's part of a frame's mask. For a CPU worker."""
        size = self._size
        if self._pictures:
            height, width = read_image(self._pictures[key]).shape[:2]
            size = width, height
        mask = read_mask(path, size)
        return [imported(mask, face, self._options) for face in self.alignments.faces(key)]


def _size_of_video(video: Path, alignments: Alignments) -> tuple[int, int]:
    _, image = next(read_frames(video, alignments.frames, lambda line: None))
    return image.shape[1], image.shape[0]


async def import_faces(job: MaskJob, work: MaskInput, summary: Summary) -> set[Path]:
    """Store masks of face pictures in their headers, and in the alignments file if there is one; returns which pictures
    got one.

    Raises:
        ConfigError: there's no face picture, or not one mask belongs to one.
        SourceError: the masks can't be read.
        AlignmentsError: a file was given and can't be read; or it can't be written.
        OutputError: a picture can't be written.
    """
    known, masks, alignments = await job.bridge.cpu(_plan_faces, job, work, summary)
    if job.options.dry_run:
        _tell_rehearsal(job, len(masks))
        return set()
    file = None if alignments is None else ChangingFile(alignments, job.bridge, job.session.now, job.clock)
    name = stored_name(job.options)
    done: set[Path] = set()
    try:
        for number, each in enumerate(known, 1):
            try:
                mask = await job.bridge.cpu(_of_picture, each, masks[each.path.name], job.options)
                await job.bridge.cpu(update_picture, each.path, {name: mask})
            except (SourceError, FaceHeaderError) as error:
                summary.leave_out(str(error), "file can't be used", "files can't be used")
                continue
            summary.pictures += 1
            _count(summary, name, each.masks)
            if file is not None and each.place is not None:
                file.put(*each.place, {name: mask})
                await file.save_if_due()
            done.add(each.path)
            job.advanced(number, len(known))
            if job.interrupted.is_set():
                break
    finally:
        if file is not None:
            await _save(file, summary)
    return done


def _plan_faces(
    job: MaskJob, work: MaskInput, summary: Summary
) -> tuple[list[Known], dict[str, Path], Alignments | None]:
    """The pictures that have a mask, their masks by the pictures' names, and the file."""
    assert job.options.mask_path is not None
    files = _mask_files(job.options.mask_path)
    known = known_pictures(work.source, summary)
    alignments = None
    if work.alignments is not None:
        alignments = job.session.load(work.alignments, to_change=not job.options.dry_run)
        known = placed(known, alignments, summary)
    names = [each.path.name for each in known]
    matched = by_name(files, names)
    _tell_unmatched(matched, matched.masks, names, "face", summary)
    if not matched.masks:
        raise ConfigError(_no_match(job.options.mask_path, matched, names))
    return [each for each in known if each.path.name in matched.masks], matched.masks, alignments


def _of_picture(known: Known, path: Path, options: MaskOptions) -> StoredMask:
    try:
        with open(known.path, "rb") as file:
            size = image_size(file.read(64))
    except OSError as error:
        raise SourceError(f"can't read {known.path}: {error.strerror}") from error
    if size is None or size[0] != size[1]:
        raise SourceError(f"{known.path} isn't a face picture: it isn't square")
    matrix = picture_matrix(known.picture.face.landmarks_xy.astype(np.float32), size[0])
    return imported(read_mask(path, size), known.picture.face, options, matrix.astype(np.float32))


def _count(summary: Summary, name: str, former: Collection[str]) -> None:
    summary.made[name] += 1
    summary.replaced[name] += name in former


async def _save(file: ChangingFile, summary: Summary) -> None:
    await file.save()
    if file.changed:
        summary.saved, summary.backup = file.alignments.path, file.backup


def _tell_rehearsal(job: MaskJob, masks: int) -> None:
    job.session.say(f"would import {masks} masks as {stored_name(job.options)}")


def _tell_unmatched(
    matched: Matched, used: Collection[str], wanted: Sequence[str], what: str, summary: Summary
) -> None:
    for path in matched.unmatched:
        summary.leave_out(path.name, f"mask belongs to no {what}", f"masks belong to no {what}")
    for key in wanted:
        if key not in used:
            summary.leave_out(key, f"{what} has no mask among them", f"{what}s have no mask among them")


def _no_match(where: Path, matched: Matched, wanted: Sequence[str]) -> str:
    example = next((path.name for path in matched.unmatched), "nothing")
    face = next(iter(wanted), "a frame with a face")
    return f"no mask in {where} belongs to anything here: it has such as {example}, and one of {face} is wanted"

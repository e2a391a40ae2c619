"""``facestream reextract``: face pictures again, out of frames and their alignments, at another size or centering.

The input is decoded once, from its beginning to its end, and never sought in. A frame without a wanted face costs
its decoding only; of the others each face is cropped, encoded and written while decoding goes on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from facestream.errors import AlignmentsError, ConfigError, OutputError, SourceError, SourceUnavailable
from facestream.io.alignments import Alignments, alignments_beside, check_names_a_file, has_alignments
from facestream.io.face_record import FaceAlignment
from facestream.io.faces import write_atomically
from facestream.io.frame_names import FrameNames, PictureNames, video_names
from facestream.io.images import list_images
from facestream.io.lazy import LazyFrames
from facestream.io.reading import LazyPicture
from facestream.io.sources import is_pictures
from facestream.io.urls import SourceKind, SourceSpec, parse_source
from facestream.jobs.recrop import (
    face_matrix,
    face_picture,
    head_edge,
    header_source,
    least_edge,
    needed_region,
    shifted,
)
from facestream.jobs.wording import counted
from facestream.stream.device import Bridge, Lane
from facestream.stream.tasks import task_group

log = logging.getLogger("facestream.reextract")

IN_FLIGHT = 8
"""Frames on their way from the decoder to the disk at once."""

_NAMED = 3
"""So many missing frames the summary names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReextractOptions:
    """What the command line's ``reextract`` takes; the option's help says what each is."""

    input: str
    alignments: Path | None = None
    output: Path
    size: int = 512
    centering: str = "head"
    min_size: float = 0
    extract_every_n: int = 1
    align_eyes: bool = False
    no_biometrics: bool = False
    quiet: bool = False


@dataclass(slots=True)
class Summary:
    """What a run has done.

    Attributes:
        frames: read from the input.
        passed_over: of these, by ``extract_every_n``.
        unknown: of the rest, those that the alignments don't have.
        too_small, unusable: faces left out, because of ``min_size`` or because their landmarks determine no crop.
        missing: frames of the alignments that the input doesn't have; known at its end.
        damaged: packets or pictures of the input that can't be decoded.
        written, bytes: face pictures.
    """

    frames: int = 0
    passed_over: int = 0
    unknown: int = 0
    too_small: int = 0
    unusable: int = 0
    missing: list[str] = field(default_factory=list)
    damaged: int = 0
    written: int = 0
    bytes: int = 0
    seconds: float = 0.0

    def lines(self) -> list[str]:
        """For people: what was done, and what was left out and why."""
        rate = self.frames / max(self.seconds, 1e-6)
        done = f"{counted(self.written, 'face')} out of {counted(self.frames, 'frame')}"
        lines = [f"{done}, {self.seconds:.1f} s ({rate:.1f} frames/s)"]
        for number, what in (
            (self.passed_over, "frame passed over by --extract-every-n"),
            (self.unknown, "frame skipped: not in the alignments"),
            (self.too_small, "face skipped: smaller than --min-size"),
            (self.unusable, "face skipped: the landmarks determine no crop"),
        ):
            if number:
                lines.append(counted(number, what))
        if self.damaged:
            one, several = "damaged packet or picture skipped", "damaged packets or pictures skipped"
            lines.append(counted(self.damaged, one, several))
        if self.missing:
            names = ", ".join(self.missing[:_NAMED]) + (", …" if len(self.missing) > _NAMED else "")
            one, several = "frame of the alignments isn't in the input", "frames of the alignments aren't in the input"
            lines.append(f"{counted(len(self.missing), one, several)}: {names}")
        return lines


class FaceFolder:
    """Encodes and writes face pictures into one folder, a limited number of frames at a time.

    Each picture is whole, or isn't there.

    Args:
        summary: where what is written is counted.
    """

    def __init__(self, folder: Path, bridge: Bridge, summary: Summary) -> None:
        self._folder = folder
        self._bridge = bridge
        self._lane = Lane("save", workers=IN_FLIGHT)
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._summary = summary

    async def prepare(self) -> None:
        """Make the folder.

        Raises:
            OutputError: it can't be made.
            ConfigError: there's something in it. A name that begins with a dot is nothing.
        """
        try:
            names = await self._lane.run(_make_folder, self._folder)
        except OSError as error:
            raise OutputError(f"can't save to {self._folder}: {error.strerror}; choose another folder") from error
        if any(not name.startswith(".") for name in names):
            raise ConfigError(f"{self._folder} isn't empty; choose an empty folder for the new faces, or clear it")

    async def take(self, tasks: asyncio.TaskGroup, encode: Callable[[], list[tuple[str, bytes]]]) -> None:
        """Start a task that writes a frame's pictures; waits while as many frames as may be are on their way."""
        await self._slots.acquire()
        tasks.create_task(self._save(encode))

    async def _save(self, encode: Callable[[], list[tuple[str, bytes]]]) -> None:
        try:
            for name, content in await self._bridge.cpu(encode):
                await self._write(name, content)
        except SourceError as error:
            log.warning("skipped: %s", error)
            self._summary.damaged += 1
        finally:
            self._slots.release()

    async def _write(self, name: str, content: bytes) -> None:
        try:
            await self._lane.run(_write, self._folder / name, content)
        except OSError as error:
            raise OutputError(
                f"can't write {self._folder / name}: {error.strerror}; make room, clear {self._folder} and start again"
            ) from error
        self._summary.written += 1
        self._summary.bytes += len(content)

    async def aclose(self) -> None:
        """Wait until what is being written is in the folder."""
        await self._lane.aclose()


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, content, owned=True)  # the folder was empty: a killed run's unfinished pictures go, too


def _make_folder(folder: Path) -> list[str]:
    os.makedirs(folder, exist_ok=True)
    return os.listdir(folder)


class CropPlan:
    """Which faces of which frames to crop. Pure; asked for each frame in order.

    Args:
        every: only frames whose place is a multiple.
        least: the head box's least edge in frame pixels.
        summary: where what is left out is counted.
    """

    def __init__(
        self, alignments: Alignments, names: FrameNames, *, every: int, least: int, size: int, summary: Summary
    ) -> None:
        self._alignments = alignments
        self._names = names
        self._every = every
        self._least = least
        self._size = size
        self._summary = summary
        self._seen: set[str] = set()
        self._chosen: dict[str, list[tuple[int, FaceAlignment]]] = {}

    def wanted(self, index: int, name: str | None) -> bool:
        """Whether a face of the frame is to be cropped."""
        key = self._names.key(index, name)
        self._summary.frames += 1
        self._seen.add(key)
        if index % self._every:
            self._summary.passed_over += 1
            return False
        if key not in self._alignments:
            self._summary.unknown += 1
            return False
        faces = [(place, face) for place, face in enumerate(self._alignments.faces(key)) if self._fits(face)]
        if faces:
            self._chosen[key] = faces
        return bool(faces)

    def _fits(self, face: FaceAlignment) -> bool:
        edge = head_edge(face, self._size)
        if edge is None:
            self._summary.unusable += 1
            return False
        if edge < self._least:
            self._summary.too_small += 1
            return False
        return True

    def faces(self, key: str) -> list[tuple[int, FaceAlignment]]:
        """The faces to crop of a frame that is wanted, each with its place among the frame's faces. Once."""
        return self._chosen.pop(key)

    def missing(self) -> list[str]:
        """What the alignments have and the input, read to its end, doesn't."""
        return self._alignments.without_frame(self._seen)


async def reextract(
    options: ReextractOptions,
    *,
    summary: Summary | None = None,
    advanced: Callable[[int | None, int], None] = lambda total, frames: None,
    clock: Callable[[], float] = time.monotonic,
) -> Summary:
    """Crop every face again. ``summary`` is filled on the way, and returned.

    Cancelling loses the pictures in flight; those in the folder are whole.

    Args:
        advanced: called with the frames that the input says it has and those read so far, at each frame, from the
            reader's thread.

    Raises:
        ConfigError: the input isn't a video, a picture or a folder, or the folder for the faces isn't empty.
        SourceError: the input can't be read, or not to its end; what was cropped before is written.
        AlignmentsError: the file can't be read, or knows none of the input's frames.
        OutputError: a picture can't be written.
    """
    summary = Summary() if summary is None else summary
    started = clock()
    spec = _checked_input(options)
    async with AsyncExitStack() as stack:
        stack.callback(lambda: setattr(summary, "seconds", clock() - started))
        bridge = await stack.enter_async_context(Bridge("cpu"))
        folder = FaceFolder(options.output, bridge, summary)
        stack.push_async_callback(folder.aclose)
        alignments = await bridge.cpu(_alignments_of, spec, options.alignments)
        await folder.prepare()
        names = await bridge.cpu(_names_of, spec, alignments)
        least = least_edge(options.size, options.min_size)
        plan = CropPlan(
            alignments, names, every=options.extract_every_n, least=least, size=options.size, summary=summary
        )
        await _crop_all(_Job(options, spec, plan, names, folder, summary), bridge, advanced)
        summary.missing = plan.missing()
    return summary


def _checked_input(options: ReextractOptions) -> SourceSpec:
    spec = parse_source(options.input)
    if spec.kind not in (SourceKind.FILE, SourceKind.FOLDER):
        raise ConfigError(f"{spec.name} has no frames to go back to; give a video, a picture or a folder of pictures")
    return spec


def _alignments_of(spec: SourceSpec, given: Path | None) -> Alignments:
    """The file that was given, or the one beside the input.

    Raises:
        ConfigError: it's a folder.
        SourceUnavailable: the input isn't there.
        AlignmentsError: the file isn't there, or can't be read.
    """
    check_names_a_file(given)
    if given is None and not Path(spec.url).exists():
        raise SourceUnavailable(f"{spec.url} isn't there; check the path")
    path = given or alignments_beside(Path(spec.url))
    if not has_alignments(path):
        raise AlignmentsError(
            f"there's no alignments file {path}; run `facestream extract` on {spec.url} first, or give the file with -p"
        )
    return Alignments.load(path)


def _names_of(spec: SourceSpec, alignments: Alignments) -> FrameNames:
    """How the alignments call the input's frames.

    Raises:
        AlignmentsError: not one of them is known.
    """
    path = Path(spec.url)
    if not is_pictures(spec.url):
        alignments.name_after_video(path)
        try:
            return video_names(alignments.frames, (path.stem, spec.name), path.suffix)
        except AlignmentsError as error:
            raise AlignmentsError(f"{alignments.path} {error}") from None
    names = [picture.name for picture in _pictures(spec)]
    if not any(name in alignments for name in names):
        example = next(iter(alignments.frames), "none at all")
        raise AlignmentsError(
            f"{alignments.path} knows no picture of {spec.url}, only {example}; give the file of this very folder"
        )
    return PictureNames(names)


def _pictures(spec: SourceSpec) -> Sequence[Path]:
    return list_images(spec.url) if spec.kind is SourceKind.FOLDER else [Path(spec.url)]


@dataclass(frozen=True, slots=True)
class _Job:
    options: ReextractOptions
    spec: SourceSpec
    plan: CropPlan
    names: FrameNames
    folder: FaceFolder
    summary: Summary

    def crop(self, frame: LazyPicture) -> Callable[[], list[tuple[str, bytes]]]:
        """What is to be done in a worker: the files' names and contents of the frame's faces."""
        key, stem = self.names.key(frame.index, frame.name), self.names.stem(frame.index, frame.name)
        faces, options = self.plan.faces(key), self.options

        def pictures() -> list[tuple[str, bytes]]:
            matrices = [face_matrix(face, options.size, options.centering, options.align_eyes) for _, face in faces]
            left = top = 0
            if frame.size is None:
                image = frame.load()
                size = image.shape[1], image.shape[0]
            else:
                size, region = frame.size, needed_region(matrices, options.size, frame.size)
                left, top = region[:2]
                image = frame.load(region)
            made = []
            for (index, face), matrix in zip(faces, matrices):
                header = header_source(key, stem, index, video=self.names.video, size=size)
                known = replace(face, identity={}) if options.no_biometrics else face
                content = face_picture(image, shifted(matrix, left, top), known, header, options.size)
                made.append((f"{stem}_{index}.png", content))
            return made

        return pictures


async def _crop_all(job: _Job, bridge: Bridge, advanced: Callable[[int | None, int], None]) -> None:
    def wanted(index: int, name: str | None) -> bool:
        answer = job.plan.wanted(index, name)
        advanced(frames.count, job.summary.frames)
        return answer

    lost: SourceError | None = None
    frames = LazyFrames(job.spec.url, bridge, wanted=wanted)
    async with task_group() as tasks:
        try:
            async with frames:
                async for frame in frames:
                    await job.folder.take(tasks, job.crop(frame))
        except SourceError as error:
            lost = error  # what was read before is written all the same
        finally:
            job.summary.damaged += frames.damaged
    if lost is not None:
        raise lost


# The command


async def reextract_command(options: ReextractOptions) -> None:
    """:func:`reextract` with a progress bar and a summary; raises what it raises."""
    summary = Summary()
    hidden = options.quiet or not sys.stderr.isatty()
    bar: tqdm[NoReturn] = tqdm(unit="frame", disable=hidden, dynamic_ncols=True)

    def advanced(total: int | None, frames: int) -> None:
        bar.total = None if total is None else max(total, frames)  # headers lie
        bar.update(frames - bar.n)

    ending = "stopped early: "
    try:
        with nullcontext() if hidden else logging_redirect_tqdm():  # lines above the bar, not on it
            await reextract(options, summary=summary, advanced=advanced)
        ending = ""
    except asyncio.CancelledError:
        ending = f"interrupted; to start again, clear {options.output}: "
        raise
    finally:
        bar.close()
        if not options.quiet and summary.frames:
            first, *rest = summary.lines()
            print(ending + first, *rest, f"written to {options.output}", sep="\n", file=sys.stderr)

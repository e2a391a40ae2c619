"""Records live sources, each into a folder of its own that every offline job accepts::

    SAVE/door/alignments.fsa
    SAVE/door/faces/door_000001_0.png
    SAVE/door/door_000001.jpg             the frames themselves, if they are wanted

Frames are numbered by their source from 1; those that gave way in overload leave gaps. After a reconnection they are
called ``door-e1_000001``. A source that starts over, in this session or a later one, gets a new folder: ``door-2``.
So does one that never ends, now and then: whoever records for months has whole files of all but the last hour, and
ending one takes memory for an hour's names at most.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final, Self

from facestream.errors import AlignmentsError, ConfigError, OutputError
from facestream.io.journal import JournalHeader
from facestream.io.journal_writer import AlignmentsWriter
from facestream.io.picture_writer import Losses, WriteStatistics
from facestream.io.recorder import Recorder, camera_names
from facestream.io.savers import FaceSaver, FrameSaver
from facestream.stream.channel import BrokenChannel, Channel, Receiver, Sender
from facestream.stream.device import Bridge, Lane
from facestream.stream.tasks import task_group
from facestream.stream.types import Frame, FrameFaces

_MOST_OPEN: Final = 64  # recordings; each holds a file and a thread
_MOST_FRAMES: Final = 100_000  # in a recording: about an hour; at its end the names of all are held, some 20 MB

_log = logging.getLogger("facestream.record")


@dataclass(slots=True, eq=False)
class _Recording:
    """One source from its first frame until its numbers start over."""

    results: Sender[FrameFaces]
    last: tuple[int, int] = (-1, -1)
    frames: int = 0
    recorder: Recorder | None = None  # while it is open
    on_the_way: int = 0  # results that it hasn't taken yet
    over: bool = False  # it takes no more


class LiveRecorder:
    """A sink for the results of any number of sources.

    What can't be written is counted and said, and costs the frame, not the stream; a frame is in the alignments only if
    all its pictures are there.

    Args:
        folder: made if it isn't there.
        size: the face pictures' edge in pixels.
        frames: save the frames as well, as JPEG.
        save_interval: seconds after which a recorded frame outlives a power cut.
        most_frames: of a source in one folder.

    Raises:
        ConfigError: on entering: the folder can't be made.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        bridge: Bridge,
        *,
        size: int = 512,
        frames: bool = False,
        save_interval: float = 1.0,
        most_frames: int = _MOST_FRAMES,
    ) -> None:
        self.folder = Path(folder)
        self._bridge = bridge
        self._size = size
        self._frames = frames
        self._save_interval = save_interval
        self._most_frames = most_frames
        self._recordings: dict[str, _Recording] = {}  # the one written to last comes last
        self._ending: set[_Recording] = set()  # nothing more comes for them
        self._lost = 0  # results of recordings that are over, or couldn't be begun
        self._taken = asyncio.Condition()
        self._lane = Lane("record")
        self._stack = AsyncExitStack()
        self._tasks: asyncio.TaskGroup | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._lane.run(os.makedirs, self.folder, 0o777, True)
        except OSError as error:
            await self._lane.aclose()
            raise ConfigError(f"can't save to {self.folder}: {error.strerror}; choose another folder") from error
        self._tasks = await self._stack.enter_async_context(task_group())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Finish every recording. Safe to call twice."""
        for recording in self._recordings.values():
            recording.results.close()
        try:
            await self._stack.__aexit__(*exc_info)  # type: ignore[arg-type]
        finally:
            self._tasks = None
            await self._lane.aclose()

    async def write(self, faces: FrameFaces) -> None:
        """Take one result; waits while pictures pile up. Cancelling while it waits loses that result."""
        if self._tasks is None:
            raise RuntimeError(f"the recorder for {self.folder} is closed")
        frame = faces.frame
        recording = self._recordings.pop(frame.source, None)
        if recording is not None and self._is_complete(recording, frame):
            self._end(recording)
            recording = None
        recording = recording or self._start(frame.source, self._tasks)
        recording.last = frame.epoch, frame.seq
        recording.frames += 1
        self._recordings[frame.source] = recording
        # Others look at this result too, and a picture's own name says nothing about a recording.
        own = FrameFaces(frame=frame.changed(name=None), **faces.face_fields(slice(None)))
        recording.on_the_way += 1
        try:
            await recording.results.send(own)
        except BrokenChannel:
            self._lost += 1  # it couldn't be opened, which was said
        except BaseException:
            recording.on_the_way -= 1
            raise

    async def drain(self) -> None:
        """Wait until everything written so far is in its files, or lost and counted."""
        for recording in list(self._ending):
            async with self._taken:
                await self._taken.wait_for(lambda each=recording: each.over)  # type: ignore[misc]
        for recording in list(self._recordings.values()):
            async with self._taken:
                await self._taken.wait_for(lambda each=recording: each.over or not each.on_the_way)  # type: ignore[misc]
            if recording.recorder is not None:
                await recording.recorder.drain()

    def statistics(self) -> WriteStatistics:
        """``failed``: results that aren't recorded, as they couldn't be written whole. The rest isn't counted."""
        recorders = [each.recorder for each in (*self._recordings.values(), *self._ending)]
        return WriteStatistics(failed=self._lost + sum(each.statistics.lost for each in recorders if each is not None))

    def _is_complete(self, recording: _Recording, frame: Frame) -> bool:
        """Whether ``frame`` begins another one. Not while frames are lost: on a full disk there would be none."""
        lost = 0 if recording.recorder is None else recording.recorder.statistics.lost
        return (frame.epoch, frame.seq) <= recording.last or recording.frames - lost >= self._most_frames

    def _start(self, source: str, tasks: asyncio.TaskGroup) -> _Recording:
        while len(self._recordings) >= _MOST_OPEN:
            self._end(self._recordings.pop(next(iter(self._recordings))))
        sender, results = Channel[FrameFaces](1).ends
        recording = _Recording(sender)
        tasks.create_task(self._record(source, recording, results), name=f"record {source}")
        return recording

    def _end(self, recording: _Recording) -> None:
        recording.results.close()
        if not recording.over:
            self._ending.add(recording)

    async def _record(self, source: str, recording: _Recording, results: Receiver[FrameFaces]) -> None:
        try:
            folder = await self._lane.run(_new_folder, self.folder, source)
            async with self._recorder(source, folder) as recorder:
                _log.info("recording %s to %s", source, folder)
                recording.recorder = recorder
                async for faces in results:
                    await recorder.write(faces)
                    recording.on_the_way -= 1
                    await self._tell()
                await recorder.drain()
        except (OutputError, AlignmentsError) as error:
            self._lost += results.statistics().waiting
            _log.error("%s isn't recorded any more: %s", source, error)
        finally:
            if recording.recorder is not None:
                self._lost += recording.recorder.statistics.lost
            recording.recorder, recording.over = None, True
            self._ending.discard(recording)
            results.close()
            await self._tell()

    async def _tell(self) -> None:
        async with self._taken:
            self._taken.notify_all()

    def _recorder(self, source: str, folder: Path) -> Recorder:
        suffix = ".jpg" if self._frames else ".png"
        header = JournalHeader(source, f"live {folder}")
        return Recorder(
            self._bridge,
            camera_names(source, suffix),
            alignments=AlignmentsWriter(
                folder / "alignments.fsa", self._bridge, header, save_interval=self._save_interval
            ),
            pictures=FaceSaver(
                folder / "faces",
                self._bridge,
                size=self._size,
                thumbs=True,
                video=not self._frames,
                losses=Losses.RAISE,
            ),
            frames=FrameSaver(folder, self._bridge, losses=Losses.RAISE) if self._frames else None,
            losses=Losses.COUNT,
        )


def _new_folder(parent: Path, name: str) -> Path:
    """A folder that nobody else has, made.

    Raises:
        OutputError: it can't be made.
    """
    for number in count(1):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise OutputError(f"can't save to {folder}: {os.strerror(error.errno or errno.EIO)}; make room") from error
        return folder
    raise AssertionError("numbers never end")

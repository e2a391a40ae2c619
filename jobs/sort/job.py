"""``facestream sort`` on one folder: look, arrange, write down what goes where, move.

Nothing moves before everything is known and the record of it is on the disk. See :mod:`facestream.jobs.sort.record`
for what follows from that after an interruption.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from facestream.errors import ConfigError, OutputError
from facestream.jobs.face_chain import UnreadFace
from facestream.jobs.sort.embedding import Embedder
from facestream.jobs.sort.folder import list_links, list_pictures, locked, source_locked
from facestream.jobs.sort.looking import Left, Looked, Measure, look
from facestream.jobs.sort.memory import available_memory, check_room
from facestream.jobs.sort.methods import Kind, Method, Need
from facestream.jobs.sort.moves import Moved, carry_out, remove_empty
from facestream.jobs.sort.order import Arranger
from facestream.jobs.sort.plan import BACK, UNDO, Placed, backwards, free_name, placed_of, places, record_of, undoing
from facestream.jobs.sort.record import Entry, Record, place, read_record
from facestream.stream.device import Bridge
from facestream.stream.types import Floats

_AT_ONCE: Final = 8  # pictures that are being looked at

Advanced = Callable[[str, int, int], None]
"""What is being done, how many pictures are through, and how many there are."""


@dataclass(frozen=True, slots=True)
class SortSettings:
    """How faces are sorted.

    Attributes:
        sort, group: by what.
        threshold: of groups by likeness; None is the method's own. By face it is the mean cosine distance from which
            two groups are two people.
        bins: of groups by a measure.
        people_apart: ``threshold`` for groups by face where none is given.
    """

    sort: Method
    group: Method
    threshold: float | None = None
    bins: int = 5
    people_apart: float = 0.55

    @property
    def words(self) -> str:
        """``face``, ``face by yaw``."""
        if self.group.kind is Kind.NONE:
            return self.sort.name
        return (
            self.group.name
            if self.sort.kind is Kind.NONE or self.sort == self.group
            else f"{self.group.name} by {self.sort.name}"
        )


@dataclass(slots=True)
class Report:
    """What was done with a folder.

    Attributes:
        placed: the groups as they lie in ``folder`` now, sorted; one without a name where nothing was grouped.
        moved: source → target of every picture, as in the record.
        left: pictures that stayed where they were.
        gone: pictures that vanished while the job ran.
        links: names of links to pictures, which are left alone.
        finished: pictures that an interrupted sort had left to move.
        complete: False when the job was stopped before its end; nothing is lost, and the next run goes on.
        moving: it was stopped while pictures were moving, so that some are at their new places.
    """

    folder: Path
    placed: list[Placed] = field(default_factory=list)
    record: Record | None = None
    left: list[Left] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    finished: int = 0
    complete: bool = True
    moving: bool = False

    @property
    def count(self) -> int:
        return sum(len(group.names) for group in self.placed)

    @property
    def nothing(self) -> bool:
        """There are pictures, and none of them could be sorted."""
        return bool(self.left or self.links) and not (self.placed or self.finished)


class SortJob:
    """Sorts folders, one after another.

    Args:
        embedder: computes the embeddings that headers lack; None where ``settings`` need none.
        advanced: told about progress.
    """

    def __init__(
        self,
        settings: SortSettings,
        bridge: Bridge,
        embedder: Embedder | None = None,
        advanced: Advanced = lambda what, done, total: None,
    ) -> None:
        self._settings = settings
        self._bridge = bridge
        self._embedder = embedder
        self._advanced = advanced
        self.stopped = False

    @property
    def _by_face(self) -> bool:
        return Need.EMBEDDING in (self._settings.sort.need, self._settings.group.need)

    def stop(self) -> None:
        """Finish the picture in hand and return; an incomplete :class:`Report` says how far it came."""
        self.stopped = True

    async def run(self, folder: Path, output: Path | None = None, *, copies: bool = False) -> Report:
        """Sort the pictures in ``folder``: there, or into ``output``.

        Cancelling leaves what stopping leaves: every picture where it was or where it goes, and the record.

        Args:
            copies: ``output`` gets copies, and ``folder`` stays as it is, if the embedder leaves headers alone.

        Raises:
            SourceError: ``folder`` can't be read.
            OutputError: pictures can't be moved. Those that were not are where they were.
            ConfigError: ``output`` holds something else, or there are more faces than fit into memory.
            FileFormatError: the record of a former sort is damaged.
            ModelError, DeviceError: embeddings can't be computed.
        """
        target = folder if output is None else output
        with locked(target), nullcontext() if folder == target else source_locked(folder, copies=copies):
            report = Report(target)
            former = await self._finish(target, report)
            if report.complete and not (report.finished and output is not None):
                if output is not None:
                    _check_empty(output)
                await self._sort(folder, target, former, report, copies=copies)
            return report

    async def undo(self, folder: Path) -> Report:
        """Give all pictures that were sorted in or into ``folder`` their former names and places back.

        Raises:
            ConfigError: nothing was sorted there, or the pictures are copies.
            OutputError, FileFormatError: as :meth:`run`.
        """
        with locked(folder):
            report = Report(folder)
            record = read_record(folder)
            if record is None:
                raise ConfigError(f"there's nothing to undo in {folder}: give the folder that holds the sorted faces")
            if record.copies:
                raise ConfigError(f"{folder} holds copies, the faces are where they were: remove it if you like")
            if not record.done:
                if record.how not in (UNDO, BACK):
                    record = backwards(record).save()  # forwards there may be no way: a full disk
                if not (await self._move(record, report)).complete:
                    return report
                if record.how == UNDO:
                    report.record = record
                    _forget(record)
                    return report
                report.record = record = record.save(done=True)
            pictures = await self._bridge.cpu(list_pictures, folder, record)
            record = undoing(record, pictures).save()
            if (await self._move(record, report)).complete:
                if record.entries or report.record is None:
                    report.record = record
                _forget(record)
            return report

    async def _finish(self, folder: Path, report: Report) -> Record | None:
        """Make the moves that an interrupted run hasn't made; returns the folder's record."""
        record = read_record(folder)
        if record is None or record.done:
            return record
        moved = await self._move(record, report)
        if not moved.complete:
            return record
        report.finished = moved.arrived
        if record.how == UNDO:
            _forget(record)
            return None
        report.record = record.save(done=True)
        report.placed = placed_of(record)
        return report.record

    async def _sort(self, folder: Path, target: Path, former: Record | None, report: Report, *, copies: bool) -> None:
        pictures = await self._look(folder, former if folder == target else None, report)
        if self.stopped:
            report.complete = False
            return
        report.placed = []
        if not pictures:
            return
        known = [each.picture for each in pictures]
        settings = self._settings
        if self._by_face:
            check_room(len(pictures), available_memory())
        arranger = Arranger(
            await self._bridge.cpu(_stacked, [each.measures for each in pictures]),
            len(pictures),
            threshold=settings.threshold,
            bins=settings.bins,
            people_apart=settings.people_apart,
        )
        groups = await self._bridge.cpu(arranger.groups, settings.sort, settings.group)
        report.placed, targets = places(known, groups, settings.sort, settings.group, target)
        made = {group.folder for group in report.placed if group.folder}
        before = set() if former is None or folder != target else set(former.folders)
        _check_strangers(target, made - before)
        record = record_of(known, targets, target, how=settings.words, copies=copies, folders=made | before)
        if folder == target:
            record = _with_left(record, report.left)
        record = await self._bridge.cpu(record.save)
        moved = await self._move(record, report)
        if moved.complete:
            report.record = await self._bridge.cpu(_finished, record)

    async def _move(self, record: Record, report: Report) -> Moved:
        """Carry a record out; if the task is cancelled, the move in hand is finished all the same."""

        def advanced(done: int, total: int) -> None:
            self._advanced("copying" if record.copies else "moving", done, total)

        def carried_out() -> Moved:
            return carry_out(record, stopped=lambda: self.stopped, advanced=advanced)

        moving = asyncio.ensure_future(self._bridge.cpu(carried_out))
        try:
            moved = await asyncio.shield(moving)
        except asyncio.CancelledError:
            self.stopped = True
            await asyncio.wait([moving])
            raise
        report.gone += moved.gone
        if not moved.complete:
            report.complete, report.moving = False, True
        return moved

    async def _look(self, folder: Path, former: Record | None, report: Report) -> list[Looked]:
        """All pictures that can be sorted, fully measured; what can't be is in the report."""
        methods = {self._settings.sort, self._settings.group}
        name = "" if self._embedder is None else self._embedder.storage_name
        pictures = await self._bridge.cpu(list_pictures, folder, former)
        report.links = await self._bridge.cpu(list_links, folder)
        looked: list[Looked] = []
        for start in range(0, len(pictures), _AT_ONCE):
            if self.stopped:
                return []
            some = pictures[start : start + _AT_ONCE]
            for each in await asyncio.gather(*(self._bridge.cpu(look, one, methods, name) for one in some)):
                (looked if isinstance(each, Looked) else report.left).append(each)  # type: ignore[arg-type]
            self._advanced("looking", start + len(some), len(pictures))
        return await self._embed(looked, report) if self._by_face else looked

    async def _embed(self, looked: list[Looked], report: Report) -> list[Looked]:
        assert self._embedder is not None
        lacking = {each.picture.path: each for each in looked if "face" not in each.measures}

        def advanced(done: int, total: int) -> None:
            self._advanced("recognising", done, total)

        if lacking:
            found: AsyncIterator[tuple[Path, Floats] | UnreadFace] = self._embedder.embeddings(list(lacking), advanced)
            async for result in found:
                match result:
                    case UnreadFace(path, reason):
                        report.left.append(Left(lacking[path].picture, reason))
                    case path, row:
                        lacking[path].measures["face"] = row
                if self.stopped:
                    return []
        return _of_one_length([each for each in looked if "face" in each.measures], report)


def _of_one_length(looked: Sequence[Looked], report: Report) -> list[Looked]:
    """Without those whose stored embedding is as long as hardly any other: another model of that name wrote it."""
    lengths = Counter(np.shape(each.measures["face"]) for each in looked)
    usual = lengths.most_common(1)[0][0] if lengths else ()
    odd = [each for each in looked if np.shape(each.measures["face"]) != usual]
    report.left += [Left(each.picture, "has an embedding of another length in its header") for each in odd]
    return [each for each in looked if np.shape(each.measures["face"]) == usual]


def _stacked(rows: Sequence[dict[str, Measure]]) -> dict[str, Floats]:
    return {name: np.asarray([row[name] for row in rows], np.float32) for name in rows[0]}


def _with_left(record: Record, left: Sequence[Left]) -> Record:
    """Also the pictures that were sorted before and can't be now: those in groups go back where they came from."""
    entries = list(record.entries)
    given = {entry.target for entry in entries}
    for picture in (one.picture for one in left):
        here = place(picture.path, record.folder)
        grouped = picture.path.parent != record.folder
        if not grouped and picture.was is None:
            continue
        former = place(picture.was or record.folder / picture.path.name, record.folder)
        target = free_name(record.at(former), given, record.folder) if grouped else here
        given.add(target)
        entries.append(Entry(former, here, target))
    return Record(record.folder, tuple(entries), record.how, record.copies, folders=record.folders)


def _check_empty(output: Path) -> None:
    if any(not path.name.startswith(".facestream-") for path in output.iterdir()) or read_record(output):
        raise ConfigError(
            f"{output} isn't empty; choose another folder with -o, or sort the faces that are in it where they are"
        )


def _check_strangers(folder: Path, made: set[str]) -> None:
    """No group goes into a folder that isn't ours.

    Raises:
        OutputError: it would.
    """
    for name in sorted(made):
        if (folder / name).exists() and not _empty(folder / name):
            raise OutputError(
                f"{folder / name} is there already, and not from the last sort of this folder: move it away, or "
                "sort into another folder with -o"
            )


def _empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _finished(record: Record) -> Record:
    """The record as memory: only of the folders that are still there."""
    there = tuple(name for name in record.folders if record.at(name).is_dir())
    return Record(record.folder, record.entries, record.how, record.copies, folders=there).save(done=True)


def _forget(record: Record) -> None:
    record.remove()
    remove_empty(record.at(name) for name in record.folders)

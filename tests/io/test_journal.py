from __future__ import annotations

import asyncio
import errno
import os
import random
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
import pytest_asyncio

from facestream.errors import AlignmentsError
from facestream.io.alignments import Alignments
from facestream.io.face_record import FrameEntry
from facestream.io.fsa import read_fsa, write_fsa
from facestream.io.journal import (
    MAGIC,
    JournalFile,
    JournalHeader,
    JournalIndex,
    SyncSchedule,
    differences,
    encode_frame,
    encode_header,
    encode_record,
    journal_path,
    read_frames,
    read_index,
    settings_text,
)
from facestream.io.journal_writer import AlignmentsWriter
from facestream.stream.device import Bridge
from tests.io import alignment_files as files

ROOT = Path(__file__).parents[2]
FULL = bool(os.environ.get("FACESTREAM_FULL"))
HEADER = JournalHeader("/videos/clip.mp4", "detector=yunet")
AT = datetime(2026, 3, 1, 14, 5, 9)


def journal(path: Path, *frames: tuple[str, FrameEntry]) -> Path:
    """A journal as a killed job leaves it."""
    records = [encode_frame(name, entry) for name, entry in frames]
    path.write_bytes(MAGIC + encode_header(HEADER) + b"".join(records))
    return path


def recovered(path: Path) -> dict[str, FrameEntry]:
    index = read_index(path)
    assert index is not None
    return dict(read_frames(path, index))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# The format


def test_a_journal_gives_back_every_frame(tmp_path: Path) -> None:
    frames = files.entries(6)
    path = journal(tmp_path / "j", *frames.items())
    assert files.dicts(recovered(path)) == files.frames(6)
    assert list(recovered(path)) == list(frames)


def test_the_last_record_of_a_frame_counts_and_its_first_place(tmp_path: Path) -> None:
    path = journal(tmp_path / "j", ("a", files.entry(1)), ("b", files.entry(2)), ("a", files.entry(3)))
    assert files.dicts(recovered(path)) == files.dicts({"a": files.entry(3), "b": files.entry(2)})
    assert list(recovered(path)) == ["a", "b"]


def test_there_may_be_no_journal(tmp_path: Path) -> None:
    assert read_index(tmp_path / "none") is None


def test_wherever_the_end_is_torn_what_stands_before_it_is_recovered(tmp_path: Path) -> None:
    small = [(name, FrameEntry()) for name in "abcd"]
    whole = journal(tmp_path / "j", *small).read_bytes()
    starts = [len(whole) - sum(len(encode_frame(*frame)) for frame in small[n:]) for n in range(5)]
    for end in range(len(whole)):
        (tmp_path / "j").write_bytes(whole[:end])
        index = read_index(tmp_path / "j")
        assert index is not None
        assert len(index.offsets) == max(0, sum(start <= end for start in starts) - 1)
        assert index.good + index.lost == end


@pytest.mark.parametrize(
    "tail", [bytes(4096), b"\xff" * 100, b"\x10\0\0\0abcdef", encode_frame("b", FrameEntry())[:-1] + b"?"]
)
def test_rubbish_at_the_end_is_dropped(tmp_path: Path, tail: bytes) -> None:
    path = journal(tmp_path / "j", ("a", files.entry()))
    with open(path, "ab") as file:
        file.write(tail)
    index = read_index(path)
    assert index is not None
    assert list(index.offsets) == ["a"]
    assert index.lost == len(tail)


@pytest.mark.parametrize(
    "content",
    [
        b"something else altogether",
        MAGIC + encode_record(b"\xc1"),
        MAGIC + encode_record(b"\x93\1\2\3"),
        MAGIC + encode_record(b"\x91" * 100_000),
        MAGIC + encode_record(b"\x81\xa6header\x01"),
        MAGIC + encode_header(HEADER) + encode_record(b"\x81\xa5other\x01"),
        MAGIC + encode_header(HEADER) + encode_record(b"\x82\xa5frame\xc4\x05../a\0\xa5entry\x80"),
    ],
)
def test_what_isnt_a_journal_of_ours_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "j").write_bytes(content)
    with pytest.raises(AlignmentsError, match=r"j isn't a journal of facestream: .*move it away"):
        read_index(tmp_path / "j")


def test_a_record_of_another_shape_is_refused_when_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(MAGIC + encode_header(HEADER) + encode_record(b"\x82\xa5frame\xc4\x01a\xa5entry\x80"))
    with pytest.raises(AlignmentsError, match="the frame lacks faces"):
        recovered(tmp_path / "j")


# The file


def test_appending_goes_on_behind_the_last_whole_record(tmp_path: Path) -> None:
    path = journal(tmp_path / "j", ("a", files.entry(1)), ("b", files.entry(2)))
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    index = read_index(path)
    assert index is not None
    file = JournalFile(path, index, HEADER)
    file.append(encode_frame("b", files.entry(2)))
    file.close()
    assert path.read_bytes() == whole


class FullDisk:
    """A file that takes some bytes of the next record, then says that the disk is full."""

    def __init__(self, file: JournalFile) -> None:
        self._under = file._file

    def write(self, data: memoryview) -> int:
        if len(data) > 10:
            return self._under.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __getattr__(self, name: str) -> object:
        return getattr(self._under, name)


def test_a_record_that_doesnt_fit_on_the_disk_leaves_no_part_of_itself(tmp_path: Path) -> None:
    file = JournalFile(tmp_path / "j", JournalIndex(), HEADER)
    file.append(encode_frame("a", files.entry(1)))
    under = file._file
    file._file = FullDisk(file)  # type: ignore[assignment]
    with pytest.raises(OSError, match="No space left"):
        file.append(encode_frame("b", files.entry(2)))
    file._file = under
    file.append(encode_frame("c", files.entry(3)))
    file.close()
    assert list(recovered(tmp_path / "j")) == ["a", "c"]


def test_a_journal_that_is_written_for_hours_takes_no_more_memory(tmp_path: Path) -> None:
    file = JournalFile(tmp_path / "j", JournalIndex(), HEADER)
    entry = FrameEntry([])
    tracemalloc.start()
    try:
        for number in range(2_000):
            file.append(encode_frame(f"door_{number:06d}.png", entry))
            if number == 10:
                before = tracemalloc.get_traced_memory()[0]
        assert tracemalloc.get_traced_memory()[0] - before < 20_000
    finally:
        tracemalloc.stop()
    file.close()
    assert file.frames == len(recovered(tmp_path / "j")) == 2_000


def test_a_sync_is_due_an_interval_after_the_oldest_record() -> None:
    schedule = SyncSchedule(2.0)
    assert schedule.wait(10.0) is None
    assert not schedule.appended(10.0)
    assert not schedule.appended(11.5)
    assert schedule.wait(11.5) == 0.5
    assert schedule.appended(12.0)
    schedule.synced()
    assert schedule.wait(12.0) is None


def test_an_interval_of_nothing_syncs_every_record() -> None:
    schedule = SyncSchedule(0.0)
    assert schedule.appended(10.0)


# The writer


@pytest_asyncio.fixture
async def bridge() -> AsyncIterator[Bridge]:
    bridge = Bridge("cpu")
    yield bridge
    await bridge.aclose()


def writer(path: Path, bridge: Bridge, **options: object) -> AlignmentsWriter:
    return AlignmentsWriter(path, bridge, HEADER, now=lambda: AT, **options)  # type: ignore[arg-type]


async def record(path: Path, bridge: Bridge, frames: dict[str, FrameEntry], **options: object) -> None:
    async with writer(path, bridge, **options) as alignments:
        for name, entry in frames.items():
            await alignments.write(name, entry)


async def test_a_job_that_ends_leaves_its_alignments_and_no_journal(tmp_path: Path, bridge: Bridge) -> None:
    await record(tmp_path / "a.fsa", bridge, files.entries())
    assert files.unpacked(tmp_path / "a.fsa")["__data__"] == files.frames()
    assert names_in(tmp_path) == ["a.fsa"]


class Interrupted(Exception):
    pass


async def test_an_interrupted_job_leaves_its_alignments_and_its_journal(tmp_path: Path, bridge: Bridge) -> None:
    with pytest.raises(Interrupted):
        async with writer(tmp_path / "a.fsa", bridge) as alignments:
            await alignments.write("a.png", files.entry(1))
            raise Interrupted
    assert files.dicts(read_fsa(tmp_path / "a.fsa")[1]) == files.dicts({"a.png": files.entry(1)})
    async with writer(tmp_path / "a.fsa", bridge) as alignments:
        assert alignments.recovered == {"a.png"}
        await alignments.write("b.png", files.entry(2))
    assert list(read_fsa(tmp_path / "a.fsa")[1]) == ["a.png", "b.png"]
    assert names_in(tmp_path) == ["a.fsa"]  # no backup of the job's own


@pytest.mark.parametrize("turns", range(5))
async def test_a_job_that_is_cancelled_while_it_opens_its_journal_lets_go_of_it(
    tmp_path: Path, bridge: Bridge, turns: int
) -> None:
    entering = asyncio.ensure_future(writer(tmp_path / "a.fsa", bridge).__aenter__())
    for _ in range(turns):
        await asyncio.sleep(0)
    entering.cancel()
    await asyncio.wait([entering])
    if not entering.cancelled():
        await entering.result().__aexit__(None, None, None)
    await record(tmp_path / "a.fsa", bridge, {"a.png": files.entry(1)})
    assert names_in(tmp_path) == ["a.fsa"]


async def test_a_cancelled_job_leaves_its_alignments_and_its_journal(tmp_path: Path, bridge: Bridge) -> None:
    written = asyncio.Event()

    async def job() -> None:
        async with writer(tmp_path / "a.fsa", bridge) as alignments:
            await alignments.write("a.png", files.entry(1))
            written.set()
            await asyncio.Event().wait()

    running = asyncio.create_task(job())
    await written.wait()
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert list(read_fsa(tmp_path / "a.fsa")[1]) == ["a.png"]
    assert list(recovered(journal_path(tmp_path / "a.fsa"))) == ["a.png"]


async def test_a_former_file_is_kept_as_a_backup_once(tmp_path: Path, bridge: Bridge) -> None:
    path = tmp_path / "a.fsa"
    write_fsa(path, [("old.png", files.entry())])
    with pytest.raises(Interrupted):
        async with writer(path, bridge) as alignments:
            await alignments.write("a.png", files.entry(1))
            raise Interrupted
    await record(path, bridge, {"b.png": files.entry(2)})
    assert list(read_fsa(path)[1]) == ["a.png", "b.png"]
    assert list(read_fsa(tmp_path / "a_bk_2026-03-01_14.05.09.fsa")[1]) == ["old.png"]
    assert names_in(tmp_path) == ["a.fsa", "a_bk_2026-03-01_14.05.09.fsa"]


async def test_frames_of_the_former_file_can_stay_in_their_places(tmp_path: Path, bridge: Bridge) -> None:
    path = tmp_path / "a.fsa"
    write_fsa(path, [("a.png", files.entry(1)), ("b.png", files.entry(2))])
    await record(path, bridge, {"c.png": files.entry(4), "a.png": files.entry(3)}, keep=True)
    wanted = {"a.png": files.entry(3), "b.png": files.entry(2), "c.png": files.entry(4)}
    assert files.dicts(read_fsa(path)[1]) == files.dicts(wanted)
    assert list(read_fsa(path)[1]) == list(wanted)


async def test_a_journal_that_is_damaged_while_the_job_runs_is_no_short_file(tmp_path: Path, bridge: Bridge) -> None:
    path = tmp_path / "a.fsa"
    write_fsa(path, [("old.png", files.entry())])
    with pytest.raises(AlignmentsError, match=r"a\.fsa\.journal was removed or damaged while it was written; run"):
        async with writer(path, bridge) as alignments:
            await alignments.write("a.png", files.entry(1))
            await alignments.write("b.png", files.entry(2))
            os.truncate(alignments.journal, alignments.journal.stat().st_size - 3)
    assert list(read_fsa(path)[1]) == ["old.png"]


async def test_another_jobs_journal_is_neither_used_nor_harmed(tmp_path: Path, bridge: Bridge) -> None:
    path = journal(journal_path(tmp_path / "a.fsa"), ("a.png", files.entry(1)))
    content = path.read_bytes()
    other = AlignmentsWriter(tmp_path / "a.fsa", bridge, JournalHeader("/videos/other.mp4"))
    with pytest.raises(AlignmentsError, match=r"of another input, /videos/clip.mp4: run that one"):
        async with other:
            pass
    assert path.read_bytes() == content


async def test_a_job_can_start_anew(tmp_path: Path, bridge: Bridge) -> None:
    journal(journal_path(tmp_path / "a.fsa"), ("a.png", files.entry(1)))
    await record(tmp_path / "a.fsa", bridge, {"b.png": files.entry(2)}, resume=False)
    assert list(read_fsa(tmp_path / "a.fsa")[1]) == ["b.png"]


async def test_a_folder_that_isnt_there_is_made_and_one_that_cant_be_is_named(tmp_path: Path, bridge: Bridge) -> None:
    await record(tmp_path / "none" / "yet" / "a.fsa", bridge, {"a.png": files.entry(1)})
    assert (tmp_path / "none" / "yet" / "a.fsa").exists()
    (tmp_path / "file").touch()
    with pytest.raises(AlignmentsError, match=r"file/a\.fsa\.journal can't be written: "):
        await record(tmp_path / "file" / "a.fsa", bridge, {})


async def test_a_frame_that_cant_be_recorded_doesnt_cost_the_others(tmp_path: Path, bridge: Bridge) -> None:
    async with writer(tmp_path / "a.fsa", bridge) as alignments:
        await alignments.write("a.png", files.entry(1))
        opened = alignments._opened()
        under, opened._file = opened._file, FullDisk(opened)  # type: ignore[assignment]
        with pytest.raises(AlignmentsError, match=r"a\.fsa\.journal can't be written: No space left.*make room"):
            await alignments.write("b.png", files.entry(2))
        opened._file = under
        await alignments.write("c.png", files.entry(3))
    assert list(read_fsa(tmp_path / "a.fsa")[1]) == ["a.png", "c.png"]


async def test_a_jobs_own_error_comes_before_that_of_saving(
    tmp_path: Path, bridge: Bridge, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.fsa"
    path.mkdir()  # nothing can take its place
    with pytest.raises(Interrupted):
        async with writer(path, bridge) as alignments:
            await alignments.write("a.png", files.entry(1))
            raise Interrupted
    assert "its frames are safe in a.fsa.journal" in caplog.text
    assert list(recovered(journal_path(path))) == ["a.png"]
    with pytest.raises(AlignmentsError, match=r"a\.fsa can't be written"):
        await record(path, bridge, {})


class Time:
    """A clock that stands until somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: asyncio.Queue[float] = asyncio.Queue()

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.put_nowait(seconds)


async def test_a_frame_is_durable_an_interval_later_though_no_other_follows(
    tmp_path: Path, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    time, synced, loop = Time(), asyncio.Event(), asyncio.get_running_loop()
    async with writer(tmp_path / "a.fsa", bridge, save_interval=5.0, clock=time.clock, sleep=time.sleep) as alignments:
        sync = JournalFile.sync

        def watched(self: JournalFile) -> None:
            sync(self)
            loop.call_soon_threadsafe(synced.set)

        monkeypatch.setattr(JournalFile, "sync", watched)
        await alignments.write("a.png", files.entry(1))
        assert await time.slept.get() == 5.0
        await synced.wait()


# Kill


KILLED = """
import asyncio, sys
from pathlib import Path
from facestream.io.journal import JournalHeader
from facestream.io.journal_writer import AlignmentsWriter
from facestream.stream.device import Bridge
from tests.io import alignment_files as files

async def main(path, count):
    entries = {f"clip_{n:06d}.mp4": files.entry(n, n % 3) for n in range(count)}
    bridge = Bridge("cpu")
    async with AlignmentsWriter(path, bridge, JournalHeader("clip.mp4"), save_interval=0.01) as alignments:
        print("ready", len(alignments.recovered), flush=True)
        for name, entry in entries.items():
            if name not in alignments.recovered:
                await alignments.write(name, entry)
                print(name, flush=True)
    await bridge.aclose()
    print("finished", flush=True)

asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
"""
FRAMES = 40


def start(path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", KILLED, str(path), str(FRAMES)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def run_until_killed(path: Path, rng: random.Random) -> set[str]:
    """The frames that the job has said are recorded; it dies at a random moment, its end included."""
    told: set[str] = set()
    with start(path) as job:
        assert job.stdout is not None
        assert job.stdout.readline().startswith("ready")
        wanted, spins = rng.randrange(FRAMES + 2), rng.randrange(20_000)
        for line in job.stdout:
            told.add(line.strip())
            if len(told) >= wanted:
                break
        for _ in range(spins):  # anywhere between two frames
            pass
        job.kill()
        told |= {line.strip() for line in job.stdout}
    return told - {"finished"}


@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("seed", range(50 if FULL else 4))
def test_a_job_that_is_killed_twice_loses_nothing_it_has_told_of(tmp_path: Path, seed: int) -> None:
    rng, path = random.Random(seed), tmp_path / "a.fsa"
    entries = {f"clip_{n:06d}.mp4": files.entry(n, n % 3) for n in range(FRAMES)}
    told: set[str] = set()
    for _ in range(2):
        told |= run_until_killed(path, rng)
        found = Alignments.load(path).frames if path.exists() or journal_path(path).exists() else {}
        assert told <= found.keys()
        assert all(found[name].to_dict() == entries[name].to_dict() for name in told)
    with start(path) as job:
        assert job.stdout is not None
        assert "finished\n" in list(job.stdout)
    write_fsa(tmp_path / "undisturbed.fsa", entries.items())
    assert path.read_bytes() == (tmp_path / "undisturbed.fsa").read_bytes()
    assert not journal_path(path).exists()


def test_how_a_job_differs_from_the_one_before_is_told_by_its_options() -> None:
    before = settings_text({"--size": 512, "--threshold": None, "--re-align": True, "--mask": ("a", "b"), "--seed": 1})
    now = settings_text(
        {"--size": 256, "--threshold": 0.5, "--re-align": False, "--mask": ("a", "b"), "--min-size": 0.0}
    )
    assert differences(before, now) == (
        "with --size 512 (now 256) and without --threshold and with --re-align and with --seed 1 and without --min-size"
    )


def test_how_it_differs_from_one_with_settings_in_another_form_isnt_told() -> None:
    assert differences("[ModelOptions(size=512)] /faces", settings_text({"--size": 512})) == ""

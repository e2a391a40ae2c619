from __future__ import annotations

import asyncio
import os
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from facestream.errors import AlignmentsError, OutputError, SourceError
from facestream.io.alignments import Alignments
from facestream.io.faces import read_header
from facestream.io.journal import journal_path
from facestream.jobs.extract_job import InputRun, Outcome
from facestream.jobs.extract_report import summary
from facestream.stream.types import Image
from facestream.testing.plugins import FakeDetector
from facestream.testing.sources import make_clip
from tests.jobs.extracting import boxes_of, contents, expected_faces, extract, faces_in, options_for

ROOT = Path(__file__).parents[2]
KILLS = 50 if os.environ.get("FACESTREAM_FULL") else 3


def pictures(count: int, seed: int = 0) -> list[Image]:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (count, 12, 16, 3), np.uint8)
    return [np.asarray(cv2.resize(image, (160, 120), interpolation=cv2.INTER_CUBIC), np.uint8) for image in small]


def photos(folder: Path, count: int = 8, seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(pictures(count, seed)):
        cv2.imwrite(str(folder / f"p{index}.png"), image)
    return folder


def clip(path: Path, count: int = 20, seed: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return make_clip(path, frames=pictures(count, seed))


def faces_on_disk(folder: Path) -> dict[str, int]:
    """Frame name → its face pictures, by their headers."""
    found: dict[str, int] = {}
    for path in folder.glob("*.png"):
        name = read_header(path)["source"]["source_filename"]
        found[name] = found.get(name, 0) + 1
    return found


def assert_agreement(alignments: Path, folder: Path) -> None:
    """The folder has a picture of every face in the alignments, and no other."""
    assert faces_on_disk(folder) == {name: count for name, count in faces_in(alignments).items() if count}


def assert_agreement_of_recorded(alignments: Path, folder: Path) -> None:
    """The folder has a picture of every face in the alignments; those of frames that were on their way may be there."""
    on_disk = faces_on_disk(folder)
    assert all(on_disk.get(name, 0) == count for name, count in faces_in(alignments).items())


# What is written, and where


async def test_a_folder_gets_its_alignments_and_pictures(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    job = await extract(options_for(folder, output=tmp_path / "faces"))
    counts = expected_faces(pictures(8))
    assert faces_in(folder / "alignments.fsa") == {f"p{i}.png": count for i, count in enumerate(counts)}
    assert_agreement(folder / "alignments.fsa", tmp_path / "faces")
    statistics = job.runs[0].statistics
    assert (statistics.frames, statistics.faces, statistics.pictures) == (8, sum(counts), sum(counts))
    assert (statistics.with_faces, statistics.crowded) == (sum(map(bool, counts)), counts.count(2))


async def test_a_videos_frames_are_named_after_its_file_whatever_the_source_is_called(tmp_path: Path) -> None:
    video = clip(tmp_path / "my clip (1).mp4", 3)
    await extract(options_for(video, output=tmp_path / "faces"))
    alignments = tmp_path / "my clip (1)_alignments.fsa"
    assert list(faces_in(alignments)) == [f"my clip (1)_00000{n}.mp4" for n in (1, 2, 3)]
    assert_agreement(alignments, tmp_path / "faces")


async def test_several_inputs_have_files_and_sub_folders_of_their_own(tmp_path: Path) -> None:
    inputs = [
        clip(tmp_path / "a" / "clip.mp4", 5),
        clip(tmp_path / "b" / "clip.mp4", 6, seed=2),
        photos(tmp_path / "c"),
    ]
    await extract(options_for(*inputs, output=tmp_path / "faces"))
    assert_agreement(tmp_path / "a" / "clip_alignments.fsa", tmp_path / "faces" / "clip")
    assert_agreement(tmp_path / "b" / "clip_alignments.fsa", tmp_path / "faces" / "clip-2")
    assert_agreement(tmp_path / "c" / "alignments.fsa", tmp_path / "faces" / "c")


async def test_alignments_can_go_elsewhere_or_nowhere(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", 3)
    await extract(options_for(folder, alignments=tmp_path / "mine.dat"))
    assert len(faces_in(tmp_path / "mine.fsa")) == 3
    await extract(options_for(folder, output=tmp_path / "faces", no_alignments=True))
    assert not list(folder.glob("*.fsa*"))


async def test_thumbnails_are_96_pixels_with_and_without_pictures(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", 6)
    for output in (None, tmp_path / "faces"):
        await extract(options_for(folder, output=output))
        thumbs = [face.thumb for _, _, face in Alignments.load(folder / "alignments.fsa").each_face()]
        shapes = {cv2.imdecode(np.frombuffer(thumb or b"", np.uint8), cv2.IMREAD_COLOR).shape for thumb in thumbs}
        assert shapes == {(96, 96, 3)}


async def test_debug_pictures_are_drawn_on_and_thumbnails_arent(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", 6)
    files = []
    for name, debug in (("plain", False), ("debug", True)):
        options = options_for(
            folder, output=tmp_path / name, alignments=tmp_path / f"{name}.fsa", debug_landmarks=debug
        )
        await extract(options)
        files.append((contents(tmp_path / name), (tmp_path / f"{name}.fsa").read_bytes()))
    (plain, alignments), (debug_files, same_alignments) = files
    assert plain.keys() == debug_files.keys()
    assert not set(plain.values()) & set(debug_files.values())
    assert alignments == same_alignments


async def test_small_faces_stay_in_the_alignments_only(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    job = await extract(options_for(folder, output=tmp_path / "faces", min_scale=90))
    statistics = job.runs[0].statistics
    assert 0 < statistics.small < statistics.faces
    assert statistics.pictures == statistics.faces - statistics.small == len(contents(tmp_path / "faces"))
    assert sum(faces_in(folder / "alignments.fsa").values()) == statistics.faces


async def test_a_new_job_leaves_no_pictures_of_the_old_one(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    options = options_for(folder, output=tmp_path / "faces")
    await extract(options, detector=FakeDetector([(10, 10, 60, 60), (60, 10, 110, 60), (10, 60, 60, 110)]))
    (tmp_path / "faces" / "mine_0.png").write_bytes(b"of the user")
    await extract(options)
    (tmp_path / "faces" / "mine_0.png").unlink()
    assert_agreement(folder / "alignments.fsa", tmp_path / "faces")
    assert len(list(folder.glob("alignments_bk_*.fsa"))) == 1


# What is skipped


async def test_each_nth_frame_keeps_its_own_number(tmp_path: Path) -> None:
    job = await extract(options_for(clip(tmp_path / "clip.mp4", 10), extract_every_n=4))
    assert list(faces_in(tmp_path / "clip_alignments.fsa")) == [f"clip_00000{n}.mp4" for n in (1, 5, 9)]
    assert job.runs[0].skipped.passed_over == 7


async def test_frames_in_the_alignments_can_be_skipped(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    await extract(options_for(folder, output=tmp_path / "faces", extract_every_n=2))
    job = await extract(options_for(folder, output=tmp_path / "faces", skip_existing=True))
    assert (job.runs[0].statistics.frames, job.runs[0].skipped.existing) == (4, 4)
    assert len(faces_in(folder / "alignments.fsa")) == 8
    assert_agreement(folder / "alignments.fsa", tmp_path / "faces")


async def test_only_frames_with_faces_can_be_skipped(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    await extract(options_for(folder))
    without = list(faces_in(folder / "alignments.fsa").values()).count(0)
    job = await extract(options_for(folder, skip_existing_faces=True), detector=FakeDetector([(10, 10, 60, 60)]))
    assert job.runs[0].statistics.frames == without
    assert all(faces_in(folder / "alignments.fsa").values())


async def test_pictures_that_cant_be_read_are_skipped_and_counted(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", 4)
    (folder / "p1.png").write_bytes(b"not a picture")
    job = await extract(options_for(folder))
    assert (job.runs[0].outcome, job.runs[0].damaged) == (Outcome.DONE, 1)
    assert list(faces_in(folder / "alignments.fsa")) == ["p0.png", "p2.png", "p3.png"]


# Going on


async def test_a_stopped_job_has_recorded_what_it_had_begun_and_goes_on(tmp_path: Path) -> None:
    inputs = [clip(tmp_path / "in" / "clip.mp4", 40), photos(tmp_path / "in" / "photos")]
    undisturbed = shutil.copytree(tmp_path / "in", tmp_path / "undisturbed")
    await extract(options_for(*sorted(undisturbed.iterdir()), output=undisturbed / "faces"))

    options = options_for(*inputs, output=tmp_path / "in" / "faces")
    stopped = await extract(options, stop_after=7)
    assert [run.outcome for run in stopped.runs] == [Outcome.STOPPED, Outcome.WAITING]
    alignments = tmp_path / "in" / "clip_alignments.fsa"
    assert len(faces_in(alignments)) == stopped.runs[0].statistics.frames >= 7
    assert_agreement(alignments, tmp_path / "in" / "faces" / "clip")
    assert journal_path(alignments).exists()

    job = await extract(options)
    assert job.runs[0].skipped.resumed == stopped.runs[0].statistics.frames
    assert contents(tmp_path / "in") == contents(undisturbed)


async def test_a_job_stopped_before_its_first_frame_leaves_everything_as_it_was(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", 40)
    await extract(options_for(folder))
    before = contents(folder)
    job = await extract(options_for(folder), stop_after=0)
    assert job.runs[0].outcome is Outcome.STOPPED
    assert contents(folder) == before


async def test_a_job_with_other_options_doesnt_go_on(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", 40)
    await extract(options_for(folder), stop_after=2)
    before = contents(folder)
    with pytest.raises(AlignmentsError, match=r"ran with --extract-every-n 1 \(now 2\): run it so again.*--no-resume"):
        await extract(options_for(folder, extract_every_n=2))
    assert contents(folder) == before
    job = await extract(options_for(folder, extract_every_n=2, resume=False))
    assert (job.runs[0].statistics.frames, job.runs[0].skipped.resumed) == (20, 0)


async def test_the_journal_of_a_later_input_is_checked_before_the_first_is_read(tmp_path: Path) -> None:
    first, second = photos(tmp_path / "1"), photos(tmp_path / "2", 40)
    await extract(options_for(second), stop_after=2)
    with pytest.raises(AlignmentsError, match="--extract-every-n"):
        await extract(options_for(first, second, extract_every_n=2))
    assert not (first / "alignments.fsa").exists()


async def test_recorded_frames_whose_pictures_have_gone_are_done_again(tmp_path: Path) -> None:
    folder, faces = photos(tmp_path / "photos", 40), tmp_path / "faces"
    await extract(options_for(folder, output=faces))
    whole = contents(tmp_path)
    for path in (folder / "alignments.fsa", *faces.iterdir()):
        path.unlink()
    await extract(options_for(folder, output=faces), stop_after=4)
    lost, empty = sorted(faces.iterdir())[:2]
    lost.unlink()
    empty.write_bytes(b"")
    await extract(options_for(folder, output=faces))
    assert contents(tmp_path) == whole


async def test_two_jobs_never_write_one_journal(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    detector = FakeDetector(boxes_of)
    with detector.held():
        first = asyncio.create_task(extract(options_for(folder), detector=detector))
        await asyncio.to_thread(detector.entered.wait)
        with pytest.raises(AlignmentsError, match="is being written by another job; wait"):
            await extract(options_for(folder))
        with pytest.raises(AlignmentsError, match="is being written by a job"):
            Alignments(folder / "alignments.fsa").save(None)
    await first
    assert len(faces_in(folder / "alignments.fsa")) == 8


async def test_of_pictures_that_are_named_only_these_are_looked_at(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    await extract(options_for(*(folder / f"p{i}.png" for i in (1, 2, 5, 7)), extract_every_n=2))
    assert list(faces_in(folder / "alignments.fsa")) == ["p1.png", "p5.png"]


# Trouble


async def test_the_folder_of_an_alignments_file_is_made(tmp_path: Path) -> None:
    file = tmp_path / "x" / "sub" / "my.fsa"
    await extract(options_for(photos(tmp_path / "photos", 2), alignments=file))
    assert file.exists()


async def test_a_name_that_is_too_long_for_its_alignments_gets_advice(tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.mp4", 2).rename(tmp_path / f"{'x' * 247}.mp4")
    with pytest.raises(AlignmentsError, match="too long; give a shorter one with -p"):
        await extract(options_for(path))


@pytest.mark.parametrize("name", ["clip.mp4", "more/p0.png"])
async def test_a_folder_of_inputs_says_how_to_take_them(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    job = await extract(options_for(tmp_path))
    assert "--batch-mode (-b)" in str(job.runs[0].error)


@pytest.mark.parametrize("name", ["notes.mp4", "http://127.0.0.1:9/clip.mp4", "webcam:97"])
async def test_an_input_that_cant_be_opened_leaves_nothing_and_isnt_told_about(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    (tmp_path / "notes.mp4").write_text("no video")
    file = name if ":" in name else str(tmp_path / name)
    job = await extract(replace(options_for(output=tmp_path / "faces"), inputs=(file,)))
    assert isinstance(job.runs[0].error, SourceError)
    assert summary(job.runs, [], [], 1.0) == []
    assert os.listdir(tmp_path) == ["notes.mp4"]
    assert not caplog.messages


async def test_a_folder_for_pictures_that_is_a_file_leaves_no_journal(tmp_path: Path) -> None:
    folder, taken = photos(tmp_path / "photos", 2), tmp_path / "taken"
    taken.touch()
    before = contents(tmp_path)
    with pytest.raises(OutputError, match="taken"):
        await extract(options_for(folder, output=taken))
    assert contents(tmp_path) == before


async def test_a_file_that_is_read_is_no_news(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    await extract(options_for(clip(tmp_path / "clip.mp4", 3)))
    assert not caplog.messages


async def test_an_input_that_is_missing_leaves_nothing_and_the_others_are_done(tmp_path: Path) -> None:
    job = await extract(options_for(tmp_path / "none.mp4", photos(tmp_path / "photos")))
    assert [run.outcome for run in job.runs] == [Outcome.FAILED, Outcome.DONE]
    assert isinstance(job.runs[0].error, SourceError)
    assert os.listdir(tmp_path) == ["photos"]


async def test_a_folder_that_goes_away_while_it_is_read_is_an_error_and_can_go_on(tmp_path: Path) -> None:
    folder, mine = photos(tmp_path / "photos", 40), tmp_path / "mine.fsa"
    away = tmp_path / "away"

    def take_away(run: InputRun) -> None:
        if run.published == 3:
            folder.rename(away)

    job = await extract(options_for(folder, alignments=mine), progress=take_away)
    assert (job.runs[0].outcome, str(job.runs[0].error)) == (
        Outcome.FAILED,
        f"{folder} has gone while it was read; bring it back and run the job again to go on",
    )
    recorded = len(faces_in(mine))
    assert 3 <= recorded < 40
    away.rename(folder)
    job = await extract(options_for(folder, alignments=mine))
    assert job.runs[0].skipped.resumed == recorded
    assert len(faces_in(mine)) == 40


async def test_pictures_that_go_away_are_skipped_and_counted(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", 40)

    def take_away(run: InputRun) -> None:
        if run.published == 3:
            (folder / "p39.png").unlink(missing_ok=True)

    job = await extract(options_for(folder), progress=take_away)
    assert (job.runs[0].outcome, job.runs[0].damaged) == (Outcome.DONE, 1)
    assert len(faces_in(folder / "alignments.fsa")) == 39


async def test_a_video_may_hold_more_or_fewer_frames_than_it_says(tmp_path: Path) -> None:
    video = clip(tmp_path / "clip.mp4", 20)
    content = video.read_bytes()
    at = content.index(b"stts") + 12  # the sample table: how many frames last how long
    video.write_bytes(content[:at] + (7).to_bytes(4, "big") + content[at + 4 :])
    job = await extract(options_for(video))
    assert job.runs[0].outcome is Outcome.DONE
    assert len(faces_in(tmp_path / "clip_alignments.fsa")) == job.runs[0].statistics.frames > 0


async def test_a_video_with_a_damaged_middle_is_read_to_its_end(tmp_path: Path) -> None:
    video = clip(tmp_path / "in" / "clip.avi", 60)
    content = bytearray(video.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 3000] = bytes(3000)
    video.write_bytes(content)
    undisturbed = shutil.copytree(video.parent, tmp_path / "undisturbed")
    await extract(options_for(undisturbed / "clip.avi", output=undisturbed / "faces"))
    await extract(options_for(video, output=video.parent / "faces"), stop_after=10)
    job = await extract(options_for(video, output=video.parent / "faces"))
    assert job.runs[0].outcome is Outcome.DONE
    assert job.runs[0].damaged + job.runs[0].missing > 0
    assert 40 <= len(faces_in(video.parent / "clip_alignments.fsa")) <= 60
    assert contents(video.parent) == contents(undisturbed)


async def test_a_folder_for_pictures_that_cant_be_written_ends_the_job_at_once(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"can't save to .*file"):
        await extract(options_for(folder, output=tmp_path / "file"))
    assert [path.name for path in folder.glob("*.fsa*")] == []


async def test_a_read_only_folder_for_alignments_is_named_with_the_way_out(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    folder.chmod(0o500)
    nowhere = folder / "alignments.fsa" if not os.access(folder, os.W_OK) else Path("/proc/alignments.fsa")
    with pytest.raises(AlignmentsError, match=r"can't be written: .*choose another"):
        await extract(options_for(folder, alignments=nowhere))


async def test_pictures_that_dont_fit_on_the_disk_end_the_job_and_lose_nothing(tmp_path: Path) -> None:
    folder, faces = photos(tmp_path / "photos", 40), tmp_path / "faces"
    await extract(options_for(folder, output=faces))
    whole = contents(tmp_path)
    (folder / "alignments.fsa").unlink()
    shutil.rmtree(faces)

    def take_away(run: InputRun) -> None:
        if run.statistics.frames >= 4 and faces.is_dir():
            faces.rename(tmp_path / "elsewhere")

    with pytest.raises(OutputError, match=r"can't write .*p\d+_\d.png: No such file.*make room"):
        await extract(options_for(folder, output=faces), progress=take_away)
    (tmp_path / "elsewhere").rename(faces)
    assert 4 <= len(faces_in(folder / "alignments.fsa")) < 40
    await extract(options_for(folder, output=faces))
    assert contents(tmp_path) == whole


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: the system refuses, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("pictures_too", [True, False])
async def test_a_full_disk_ends_the_job_and_loses_nothing_that_was_finished(tmp_path: Path, pictures_too: bool) -> None:
    folder = photos(tmp_path / "photos", 40)
    options = options_for(folder, output=tmp_path / "faces" if pictures_too else None)
    await extract(options)
    whole = contents(tmp_path)
    (folder / "alignments.fsa").unlink()
    shutil.rmtree(tmp_path / "faces", ignore_errors=True)
    full: list[bool] = []
    with ExitStack() as stack:

        def fill(run: InputRun) -> None:
            if run.statistics.frames >= 4 and not full:
                full.append(True)
                stack.enter_context(largest_file(2000))

        with pytest.raises((OutputError, AlignmentsError), match="File too large; make room, then run the job again"):
            await extract(options, progress=fill)
    assert len(faces_in(folder / "alignments.fsa")) >= 4
    await extract(options)
    assert contents(tmp_path) == whole


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 100 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "none", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def enlarge(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=10m", str(disk)], check=True)


async def test_a_disk_that_is_really_full_can_be_cleared_and_the_job_goes_on(tmp_path: Path, small_disk: Path) -> None:
    folder = photos(tmp_path / "photos", 40)
    options = options_for(folder, output=small_disk / "faces", alignments=small_disk / "mine.fsa")
    (small_disk / "filler").write_bytes(bytes(50_000))
    with pytest.raises((OutputError, AlignmentsError), match="No space left on device; make room"):
        await extract(options)
    recorded = len(faces_in(small_disk / "mine.fsa"))
    assert recorded > 0
    assert_agreement_of_recorded(small_disk / "mine.fsa", small_disk / "faces")
    (small_disk / "filler").unlink()
    with pytest.raises((OutputError, AlignmentsError), match="No space left on device; make room"):
        await extract(options)
    enlarge(small_disk)
    await extract(options)
    assert len(faces_in(small_disk / "mine.fsa")) == 40
    assert_agreement_of_recorded(small_disk / "mine.fsa", small_disk / "faces")


# Kill


def inputs_in(folder: Path) -> list[Path]:
    return [folder / "clip.mp4", folder / "other.avi", folder / "photos"]


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.jobs.extracting", str(folder / "faces"), *map(str, inputs_in(folder))]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )


def killed_at_random(folder: Path, rng: random.Random) -> bool:
    """Run the job and kill it some steps or moments later; False if it has come to its end before."""
    with start(folder) as job:
        assert job.stdin is not None
        assert job.stdout is not None
        job.stdout.readline()
        for _ in range(rng.randrange(8)):
            job.stdin.write("go on\n")
            job.stdout.readline()
        for _ in range(rng.randrange(30_000)):
            pass
        job.kill()
        job.communicate()
    return job.returncode != 0


def finish(folder: Path) -> None:
    asyncio.run(extract(options_for(*inputs_in(folder), output=folder / "faces")))


@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_job_that_is_killed_again_and_again_ends_as_if_undisturbed(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    clip(folder / "clip.mp4", 60)
    clip(folder / "other.avi", 30, seed=2)
    photos(folder / "photos", 40)
    undisturbed = shutil.copytree(folder, tmp_path / "undisturbed")
    finish(undisturbed)

    rng, kills = random.Random(0), 0
    while kills < KILLS and killed_at_random(folder, rng):
        kills += 1
    finish(folder)
    assert contents(folder) == contents(undisturbed)
    assert kills == KILLS, f"the job has ended after {kills} kills: give it more to do"

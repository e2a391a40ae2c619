"""One model at a time: the same files as with all of them at once."""

from __future__ import annotations

import io
import os
import pty
import shutil
import signal
import subprocess
import sys
import termios
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from facestream.errors import AlignmentsError, ConfigError, ModelError, SourceError, SourceUnavailable
from facestream.jobs.extract_command import extract_command
from facestream.jobs.extract_job import ExtractJob
from facestream.jobs.extract_plan import ExtractOptions, plan
from facestream.jobs.models import FILE, ModelOptions
from facestream.jobs.passes import passes
from facestream.jobs.serial import Earlier, earlier_passes
from facestream.stream.device import Bridge
from facestream.stream.pipeline import Pipeline
from facestream.stream.stage import Stage
from facestream.stream.types import ExtractBatch, Floats, Image, Masks
from facestream.testing.plugins import FakeAligner, FakeDetector
from tests.jobs.extracting import FakeIdentity, contents, options_for
from tests.jobs.test_extract_job import clip, photos

CHAIN = ModelOptions(device="cpu", masks=("fake-mask",), identity="fake")


def crowd(image: Image) -> npt.ArrayLike:
    """No face, or up to ten, by what the picture shows."""
    value = int(image[::7, ::5].sum())
    return [(12 * i, 10 + value % 13, 12 * i + 40, 60 + value % 17) for i in range(max(0, value % 13 - 2))]


class FakeMask(FakeIdentity):
    """A mask model whose masks tell the boxes."""

    name = "fake-mask"

    def infer(self, feed: Floats) -> Floats:
        return feed

    def post_process(self, raw: Floats, feed: Floats, batch: ExtractBatch) -> None:
        matrices = np.repeat(np.eye(3, dtype=np.float32)[None], len(raw), axis=0)
        matrices[:, :2, 2] = raw[:, :2]
        pixels = np.repeat(raw[:, :, None], 4, axis=2).astype(np.uint8)
        batch.masks["fake-mask"] = Masks("face", matrices, pixels)


@dataclass
class Fakes:
    """Loads models without weights, and knows them.

    Attributes:
        before: called before each model is loaded, with how many were before it.
        loaded: how many models were.
        seen: frames that the detectors have seen.
        alive: the models that something still refers to.
        most: that were alive at once.
    """

    size: int = 3
    before: Callable[[int], object] = lambda loaded: None
    error: Exception | None = None
    loaded: int = 0
    seen: int = 0
    most: int = 0
    alive: weakref.WeakSet[Any] = field(default_factory=weakref.WeakSet)

    async def load(self, models: ModelOptions, bridge: Bridge) -> list[Stage]:
        stages = []
        if models.detector != FILE:
            stages.append(Stage.detect(self._known(FakeDetector(self._find)), bridge, self.size))
        if models.aligner not in (None, FILE):
            stages.append(Stage.faces(self._known(FakeAligner(error=self.error)), bridge, self.size))
        stages += [Stage.faces(self._known(FakeMask()), bridge, self.size) for _ in models.masks]
        stages += [Stage.faces(self._known(FakeIdentity()), bridge, self.size) for _ in models.identities]
        return stages

    def _find(self, image: Image) -> npt.ArrayLike:
        self.seen += 1
        return crowd(image)

    def _known(self, model: Any) -> Any:
        self.before(self.loaded)
        self.loaded += 1
        self.alive.add(model)
        self.most = max(self.most, len(self.alive))
        return model


async def extract(
    options: ExtractOptions, fakes: Fakes | None = None, stop_after: int | None = None
) -> ExtractJob | Earlier:
    """As the command does it, with fakes; what it was interrupted in, or the job itself.

    Args:
        stop_after: stop the last pass, as Ctrl-C does, once so many frames are out.
    """
    load = (fakes or Fakes()).load
    chosen = plan(options)
    todo = passes(options.models, "fake") if options.serial else []
    async with (
        Bridge("cpu", cpu_workers=2, torch_threads=1) as bridge,
        earlier_passes(chosen, todo, bridge, detector="fake", load=load) as earlier,
    ):
        if earlier.stopped is not None:
            return earlier
        stages = await load(todo[-1].models if todo else options.models, bridge)

        def progress(_: object) -> None:
            if stop_after is not None and sum(each.published for each in job.runs) >= stop_after:
                job.stop()

        pipeline = Pipeline(stages, bridge, in_flight=6)
        job = ExtractJob(chosen, pipeline, bridge, detector="fake", earlier=earlier.results, progress=progress)
        await job.run()
        return job


def inputs(folder: Path) -> list[Path]:
    return [clip(folder / "clip.mp4"), photos(folder / "photos"), clip(folder / "other" / "clip.mp4", 7, seed=5)]


async def files_of(folder: Path, serial: bool, **options: Any) -> dict[str, str]:
    """What a job on three inputs leaves, its inputs among it."""
    sources = inputs(folder)
    options = {"models": CHAIN, "output": folder / "faces", **options}
    await extract(options_for(*sources, serial=serial, **options))
    return contents(folder)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"extract_every_n": 3},
        {"min_scale": 80},
        {"output": None, "models": ModelOptions(device="cpu")},
    ],
    ids=["all", "every-n", "min-scale", "no-pictures"],
)
async def test_the_files_are_those_of_all_models_at_once(tmp_path: Path, options: dict[str, Any]) -> None:
    expected = await files_of(tmp_path / "at once", False, **options)
    assert sum(name.endswith(".fsa") for name in expected) == 3
    assert await files_of(tmp_path / "serial", True, **options) == expected


async def test_faces_that_a_file_knows_get_the_rest_one_model_at_a_time(tmp_path: Path) -> None:
    found = []
    for serial in (False, True):
        folder = photos(tmp_path / str(serial))
        await extract(options_for(folder, models=ModelOptions(device="cpu")))
        options = options_for(folder, models=replace(CHAIN, detector=FILE), serial=serial, output=folder / "faces")
        job = await extract(options)
        assert isinstance(job, ExtractJob)
        assert job.runs[0].known is not None
        files = contents(folder)
        found.append({name: files[name] for name in files if name == "alignments.fsa" or name.startswith("faces")})
    assert len(found[0]) > 8
    assert found[0] == found[1]


async def test_without_models_it_is_the_same_job(tmp_path: Path) -> None:
    folder, models = photos(tmp_path / "photos"), ModelOptions(device="cpu", detector=FILE, aligner=FILE)
    await extract(options_for(folder, output=tmp_path / "faces"))
    await extract(options_for(folder, models=models, output=tmp_path / "again", serial=True))
    assert contents(tmp_path / "again") == contents(tmp_path / "faces")


async def test_one_model_is_there_at_a_time_and_gone_after_its_pass(tmp_path: Path) -> None:
    fakes = Fakes()
    await extract(options_for(photos(tmp_path / "photos"), models=CHAIN, serial=True), fakes)
    assert (fakes.loaded, fakes.most) == (4, 1)
    at_once = Fakes()
    await extract(options_for(photos(tmp_path / "more"), models=CHAIN), at_once)
    assert at_once.most == 4


async def test_a_stopped_job_goes_on_with_the_frames_that_arent_recorded(tmp_path: Path) -> None:
    undisturbed = await files_of(tmp_path / "a", True)
    sources, faces = inputs(tmp_path / "b"), tmp_path / "b" / "faces"
    options = options_for(*sources, models=CHAIN, serial=True, output=faces)
    stopped = await extract(options, stop_after=12)
    assert isinstance(stopped, ExtractJob)
    recorded = sum(run.statistics.frames for run in stopped.runs)
    assert 12 <= recorded < 35
    fakes = Fakes()
    again = await extract(options, fakes)
    assert isinstance(again, ExtractJob)
    assert sum(run.statistics.frames for run in again.runs) == fakes.seen == 35 - recorded
    assert contents(tmp_path / "b") == undisturbed


@pytest.mark.parametrize("serial_first", [True, False])
async def test_either_way_goes_on_where_the_other_stopped(tmp_path: Path, serial_first: bool) -> None:
    found = []
    for stop_after in (None, 5):
        folder = photos(tmp_path / str(stop_after), 24)  # more than are on their way when the job is stopped
        options = options_for(folder, models=CHAIN, serial=serial_first, output=folder / "faces")
        await extract(options, stop_after=stop_after)
        if stop_after is not None:
            await extract(replace(options, serial=not serial_first))
        found.append(contents(folder))
    assert found[0] == found[1]


async def test_existing_frames_are_skipped_in_every_pass(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    options = options_for(folder, models=CHAIN, serial=True, extract_every_n=2)
    await extract(options)
    fakes = Fakes()
    job = await extract(replace(options, extract_every_n=1, skip_existing=True), fakes)
    assert isinstance(job, ExtractJob)
    assert (job.runs[0].statistics.frames, fakes.seen, job.runs[0].skipped.existing) == (4, 4, 4)


# What goes wrong


def test_a_camera_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^webcam:0 is a camera, and --serial reads its inputs once for each model"):
        plan(options_for(Path("webcam:0"), serial=True, jsonl="-"))


@pytest.mark.skipif(sys.platform == "win32", reason="event loops have no signal handlers there")
async def test_ctrl_c_before_the_last_pass_records_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    before = contents(tmp_path)

    class Interrupting(FakeAligner):
        interrupted = False

        def infer(self, feed: Any) -> Floats:
            if not self.interrupted:  # a second Ctrl-C would end this process, or another test
                self.interrupted = True
                os.kill(os.getpid(), signal.SIGINT)
            return super().infer(feed)

    async def load(models: ModelOptions, bridge: Bridge) -> list[Stage]:
        if models.aligner in (None, FILE):
            return await Fakes().load(models, bridge)
        return [Stage.faces(Interrupting(), bridge)]

    options = options_for(folder, models=CHAIN, serial=True, output=tmp_path / "faces")
    chosen = plan(options)
    async with (
        Bridge("cpu") as bridge,
        earlier_passes(chosen, passes(CHAIN, "fake"), bridge, detector="fake", load=load) as earlier,
    ):
        assert str(earlier.stopped) == "pass 2 of 4 (mesh)"
    assert contents(tmp_path) == before


async def test_a_failing_model_ends_the_job_and_nothing_is_left(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    before = contents(tmp_path)
    with pytest.raises(ModelError, match="it broke"):
        await extract(options_for(folder, models=CHAIN, serial=True), Fakes(error=ModelError("it broke")))
    assert contents(tmp_path) == before


async def test_what_is_read_twice_and_differs_is_an_error(tmp_path: Path) -> None:
    folder, other = photos(tmp_path / "photos"), clip(tmp_path / "clip.mp4")

    def one_less(loaded: int) -> None:
        if loaded == 1:
            (folder / "p5.png").unlink()

    job = await extract(options_for(folder, other, models=CHAIN, serial=True), Fakes(before=one_less))
    assert isinstance(job, ExtractJob)
    assert isinstance(job.runs[0].error, SourceUnavailable)
    assert "photos has changed while the job ran" in str(job.runs[0].error)
    assert job.runs[0].statistics.frames == 5
    assert (job.runs[1].error, job.runs[1].statistics.frames) == (None, 20)


async def test_an_input_that_goes_before_the_last_pass_is_an_error(tmp_path: Path) -> None:
    video, other = clip(tmp_path / "a.mp4"), clip(tmp_path / "b.mp4")
    job = await extract(
        options_for(video, other, models=CHAIN, serial=True),
        Fakes(before=lambda loaded: loaded == 3 and video.unlink()),
    )
    assert isinstance(job, ExtractJob)
    assert str(video) in str(job.runs[0].error)
    assert job.runs[1].statistics.frames == 20


async def test_an_input_that_cant_be_read_doesnt_keep_the_others_from_it(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    job = await extract(options_for(broken, photos(tmp_path / "photos"), models=CHAIN, serial=True))
    assert isinstance(job, ExtractJob)
    assert isinstance(job.runs[0].error, SourceError)
    assert job.runs[1].statistics.frames == 8


async def test_nothing_to_read_is_told_before_the_second_model(tmp_path: Path) -> None:
    broken, fakes = tmp_path / "broken.mp4", Fakes()
    broken.write_bytes(b"no video")
    with pytest.raises(SourceError, match=r"broken\.mp4"):
        await extract(options_for(broken, models=CHAIN, serial=True), fakes)
    assert fakes.loaded == 1


async def test_another_jobs_journal_is_told_before_the_first_model(tmp_path: Path) -> None:
    many = photos(tmp_path / "photos", 24)  # more than are on their way when the job is stopped, which would be done
    options, fakes = options_for(many, models=CHAIN, serial=True), Fakes()
    await extract(options, stop_after=2)
    with pytest.raises(AlignmentsError, match=r"ran with --size 64 \(now 128\): run it so again"):
        await extract(replace(options, size=128), fakes)
    assert not fakes.loaded


# With real models, as the command does it


@pytest.mark.usefixtures("weights")
async def test_real_models_find_the_very_same_one_at_a_time(tmp_path: Path, face_clip: Path, five_faces: Path) -> None:
    found = []
    for serial in (False, True):
        folder = tmp_path / str(serial)
        (folder / "photos").mkdir(parents=True)
        shutil.copy(face_clip, folder / "clip.mp4")
        shutil.copy(five_faces, folder / "photos")
        models = ModelOptions(device="cpu", rotate_images="180", align_filters=True, re_feed=1, min_size=3)
        options = options_for(
            folder / "clip.mp4",
            folder / "photos",
            output=folder / "faces",
            models=models,
            extract_every_n=24,
            serial=serial,
        )
        assert await extract_command(options) == 0
        found.append(contents(folder))
    assert found[0] == found[1]


def test_models_that_cant_be_had_are_told_before_the_first_is_loaded(tmp_path: Path) -> None:
    job = command(photos(tmp_path / "photos"), "--identity", "nobody")
    assert job.returncode == 2
    assert job.stderr.splitlines()[-1].startswith("facestream: unknown identity model 'nobody'")
    assert len(job.stderr.splitlines()) == 1


@pytest.mark.usefixtures("weights")
def test_the_summary_tells_of_every_pass(tmp_path: Path) -> None:
    job = command(photos(tmp_path / "photos"), "--rotate-images", "180", "--align-filters")
    assert job.returncode == 0, job.stderr
    assert "computing: yunet " in job.stderr
    assert "[Rotation]" in job.stderr


@pytest.mark.usefixtures("weights")
@pytest.mark.skipif(sys.platform == "win32", reason="event loops have no signal handlers there")
def test_ctrl_c_in_the_first_pass_says_what_to_do(tmp_path: Path, face_clip: Path) -> None:
    arguments = [
        sys.executable,
        "-m",
        "facestream",
        "extract",
        "--serial",
        "--device",
        "cpu",
        "--detect-size",
        "1280",  # so that the pass takes its time
        face_clip,
        "-p",
        tmp_path / "a",
    ]
    ours, theirs = pty.openpty()  # a terminal, so that there is a bar to wait for
    termios.tcsetwinsize(ours, (40, 120))
    with subprocess.Popen([*map(str, arguments)], stderr=theirs) as job, open(ours, "rb", buffering=0) as terminal:
        os.close(theirs)
        told = b""
        while b"faces=" not in told:
            told += terminal.read(1024)  # ends with an error if the job does
        job.send_signal(signal.SIGINT)
        while more := read_or_end(terminal):
            told += more
    assert job.returncode == 130, told
    assert told.decode().splitlines()[-1] == (
        "facestream: interrupted in pass 1 of 2 (yunet); nothing new is recorded before the last pass; "
        "run the same command again"
    )
    assert not contents(tmp_path)


def read_or_end(terminal: io.FileIO) -> bytes:
    try:
        return terminal.read(1024)
    except OSError:  # how Linux says that nobody has the other side open
        return b""


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "facestream", "extract", "--serial", "--device", "cpu", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=300)

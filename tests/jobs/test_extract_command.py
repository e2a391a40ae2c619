"""The command as a user runs it, with the default models."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from facestream.testing.sources import make_clip
from tests.jobs.extracting import contents, faces_in

pytestmark = pytest.mark.usefixtures("weights")


@pytest.fixture
def small_clip(tmp_path: Path, face_clip: Path) -> Path:
    """60 frames of 320 x 180."""
    pictures = []
    with av.open(str(face_clip)) as container:
        for frame in container.decode(video=0):
            pictures.append(np.asarray(cv2.resize(frame.to_ndarray(format="bgr24"), (320, 180)), np.uint8))
            if len(pictures) == 60:
                break
    return make_clip(tmp_path / "clip.mp4", frames=pictures)


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "facestream", "extract", "--device", "cpu", "--size", "64", *map(str, arguments)]


@pytest.mark.skipif(sys.platform == "win32", reason="event loops have no signal handlers there")
def test_ctrl_c_saves_says_how_to_go_on_and_the_job_goes_on(tmp_path: Path, small_clip: Path) -> None:
    faces, alignments = tmp_path / "faces", tmp_path / "clip_alignments.fsa"
    going = command(small_clip, "-o", faces)
    whole = subprocess.run(going, capture_output=True, text=True, timeout=300)
    assert whole.returncode == 0, whole.stderr
    assert "60 frames, 60 faces in 60 of them" in whole.stderr
    undisturbed = contents(tmp_path)
    alignments.unlink()
    for path in faces.iterdir():
        path.unlink()

    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*going, "--jsonl", "-"], text=True, **streams) as job:  # type: ignore[call-overload]
        if sys.platform == "linux":  # so that it can't come to its end before the signal: nobody takes its lines
            fcntl.fcntl(job.stdout, fcntl.F_SETPIPE_SZ, 4096)
        job.stdout.readline()  # the first frame is out
        job.send_signal(signal.SIGINT)
        _, told = job.communicate(timeout=300)
    assert job.returncode == 130, told
    assert told.splitlines()[-1] == "facestream: interrupted; run the same command again to go on"
    recorded = len(faces_in(alignments))
    assert 0 < recorded < 60
    assert len(list(faces.iterdir())) == recorded

    lines = small_clip.with_suffix(".jsonl")
    lines.write_text("of the run before\ncut sh")
    again = subprocess.run([*going, "--jsonl", lines], capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr
    assert f"going on after the {recorded} frames" in again.stderr
    assert f"{recorded} frames were recorded by the run before" in again.stderr
    assert lines.read_text().startswith("of the run before\n{")
    assert lines.read_text().count("\n") == 1 + 60 - recorded
    lines.unlink()
    assert contents(tmp_path) == undisturbed


def test_models_can_be_left_out_where_a_file_knows_the_faces(tmp_path: Path, small_clip: Path) -> None:
    assert subprocess.run(command(small_clip, "-N", "20", "-q"), timeout=300).returncode == 0
    job = subprocess.run(
        command(small_clip, "-o", tmp_path / "faces", "--detector", "file", "--aligner", "file"),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert job.returncode == 0, job.stderr
    assert "57 frames aren't in the file with the faces" in job.stderr
    assert len(contents(tmp_path / "faces")) == 3


def test_a_quiet_job_says_nothing_at_all(small_clip: Path) -> None:
    job = subprocess.run(command(small_clip, "-N", "30", "-q"), capture_output=True, text=True, timeout=300)
    assert (job.returncode, job.stdout, job.stderr) == (0, "", "")


def test_a_file_that_is_no_video_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("text")
    job = subprocess.run(
        command(tmp_path / "notes.mp4", "-o", tmp_path / "o"), capture_output=True, text=True, timeout=300
    )
    assert job.returncode == 1
    assert job.stderr.count("\n") == 1, job.stderr
    assert list(contents(tmp_path)) == ["notes.mp4"]

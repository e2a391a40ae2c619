"""SIGTERM in a real process that saves what it sees."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2

from facestream.testing.sources import make_clip

SERVE = """if True:
    import asyncio, sys
    from pathlib import Path

    from facestream.config import SourceEntry
    from facestream.jobs.models import ModelOptions
    from facestream.serving import app
    from facestream.stream.stage import Stage
    from facestream.testing.plugins import FakeAligner, FakeDetector

    async def fakes(options, bridge, references=None):
        return [Stage.detect(FakeDetector([(4, 4, 40, 40)]), bridge), Stage.faces(FakeAligner(), bridge)]

    app.load_stages = fakes
    clip, folder = map(Path, sys.argv[1:])
    options = app.ServeOptions(
        sources=(SourceEntry(url=str(clip), name="door", loop=True),),
        models=ModelOptions(device="cpu"), port=0, no_biometrics=True, save=folder, save_frames=False, alignments=True,
    )
    asyncio.run(app.serve(options, say=lambda text: print(text, flush=True)))
"""


def test_sigterm_finishes_the_files(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=50)
    saved = tmp_path / "saved"
    environment = {**os.environ, "FACESTREAM_USER_DATA": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SERVE, str(clip), str(saved)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout is not None
        try:
            said = [next(process.stdout) for _ in range(2)]
            while not list(saved.rglob("*.png")):
                assert process.poll() is None
                time.sleep(0.02)
        finally:
            process.send_signal(signal.SIGTERM)
        said += process.communicate(timeout=300)[0].splitlines()
    assert process.returncode == 0
    assert "answers" in said[0]
    assert "facestream is at" in said[1]
    assert said[2].startswith("stopping")
    pictures = list(saved.rglob("*.png"))
    assert pictures
    assert all(cv2.imread(str(picture)) is not None for picture in pictures)
    assert list(saved.rglob("*.fsa"))
    assert not [path for path in saved.rglob("*") if ".tmp" in path.name or "journal" in path.name]

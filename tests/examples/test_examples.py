"""The examples work as they are printed."""

from __future__ import annotations

import asyncio
import csv
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import pytest
from websockets.asyncio.client import connect

from facestream.io.http_post import NotAnswered, post
from facestream.jobs.webhooks import signature
from facestream.tests.e2e.serving import serving
from facestream.tests.rtsp_camera import free_port
from facestream.tests.serving.conftest import ask, hear

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.usefixtures("weights")


def run(name: str, *arguments: object) -> str:
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def short_clip(face_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first second of the face."""
    target = tmp_path_factory.mktemp("clips") / "short.mp4"
    with av.open(str(face_clip)) as source, av.open(str(target), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for _, picture in zip(range(25), source.decode(video=0)):
            picture.pts = None
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture.to_ndarray(format="rgb24"), format="rgb24")))
        out.mux(stream.encode())
    return target


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: str(path.name))
def test_an_example_has_fewer_than_fifty_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 50


def test_faces_to_csv(short_clip: Path, tmp_path: Path) -> None:
    run("faces_to_csv.py", short_clip, tmp_path / "faces.csv")
    rows = list(csv.DictReader((tmp_path / "faces.csv").read_text().splitlines()))
    assert [int(row["frame"]) for row in rows] == list(range(25))
    assert {row["track"] for row in rows} == {"1"}


def test_annotate_video(short_clip: Path, tmp_path: Path) -> None:
    run("annotate_video.py", short_clip, tmp_path / "annotated.mp4")
    with av.open(str(tmp_path / "annotated.mp4")) as container:
        pictures = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
    assert len(pictures) == 25
    red, green, blue = pictures[10][..., 0], pictures[10][..., 1], pictures[10][..., 2]
    assert ((green > 150) & (red < 130) & (blue < 130)).sum() > 300  # the green box


async def test_print_tracks_and_doorbell_hear_the_same_server(face_clip: Path) -> None:
    async with serving("--no-demo", "--allow-local-sources") as server:
        url = f"ws://127.0.0.1:{server.port}"
        async with asyncio.TaskGroup() as tasks, connect(f"{url}/ws/control") as control:
            hearing_doorbell = tasks.create_task(asyncio.to_thread(run, "doorbell.py", url, 1))
            hearing_tracks = tasks.create_task(asyncio.to_thread(run, "print_tracks.py", url, 5))
            await hear(control)
            while len((await ask(control, "statistics"))["result"]["subscribers"]) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            assert "result" in await ask(control, "sources.add", url=str(face_clip))  # both hear who arrives
    doorbell, tracks = hearing_doorbell.result(), hearing_tracks.result()
    assert doorbell.rstrip().endswith(f"somebody is at {face_clip.stem}")
    assert len(tracks.splitlines()) == 5
    assert "#1 at" in tracks


def test_training_folder(short_clip: Path, tmp_path: Path) -> None:
    said = run("training_folder.py", short_clip, tmp_path / "training")
    names = {path.name for path in (tmp_path / "training").iterdir()}
    assert names
    assert names <= {f"short_{number:06d}_0.png" for number in range(1, 26)}
    assert said.startswith(f"{len(names)} of 25 faces")


@contextmanager
def listening(name: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-u", str(EXAMPLES / name), *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


async def posted(port: int, secret: str) -> int:
    """What the receiver answers to an event of ours, once it listens."""
    body = b'{"kind": "arrived", "name": null, "source": "door"}'
    now = str(int(time.time()))
    headers = {"X-Facestream-Timestamp": now, "X-Facestream-Signature": signature(secret, now, body)}
    while True:
        try:
            url = f"http://127.0.0.1:{port}/"
            return await post(url, body, headers, timeout=60, tls=ssl.create_default_context())
        except NotAnswered:
            await asyncio.sleep(0.05)


async def test_webhook() -> None:
    port = free_port()
    with listening("webhook.py", port, "secret") as process:
        assert await posted(port, "another") == 403
        assert await posted(port, "secret") == 204
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "arrived somebody door\n"

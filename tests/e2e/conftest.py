"""A real server, a real browser, a real face."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import av
import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from facestream.tests.e2e.serving import Served, serving
from facestream.tests.e2e.staging import Staged, staged
from facestream.tests.needs import chromium

CLIP_FRAMES = 96
SLOW_RATE = 8
PATIENCE = 60_000  # milliseconds for what a quick machine has in a moment
UNRECOGNISED = "nobody is recognised: start the server with --identity sface, to name people"
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]

OpenPage: TypeAlias = Callable[..., Awaitable[Page]]
Picture: TypeAlias = Callable[[Page, str], Awaitable[None]]


def to_and_fro(clip: Path, every: int = 1) -> list[av.VideoFrame]:
    """The clip's beginning, forwards and backwards again: in a loop it has no cut, at which a track would end."""
    with av.open(str(clip)) as source:
        frames = list(itertools.islice(source.decode(video=0), 0, CLIP_FRAMES, every))
    return frames + frames[-2:0:-1]


def write(frames: list[av.VideoFrame], path: Path, *, rate: int) -> None:
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame.to_ndarray(format="yuv420p"), format="yuv420p")
            picture.pts, picture.time_base = index, Fraction(1, rate)
            target.mux(stream.encode(picture))
        target.mux(stream.encode(None))


@pytest.fixture(scope="session")
def clip(face_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of one face, which moves steadily."""
    path = tmp_path_factory.mktemp("clip") / "face.mp4"
    write(to_and_fro(face_clip), path, rate=24)
    return path


@pytest.fixture(scope="session")
def camera_clip(face_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same face as Chromium's fake camera wants it: a bare MJPEG stream, full-range 4:2:0."""
    path = tmp_path_factory.mktemp("camera") / "face.mjpeg"
    with av.open(str(path), "w", format="mjpeg") as target:
        stream = target.add_stream("mjpeg", rate=24)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 640, 360, "yuvj420p", 8_000_000
        for index, frame in enumerate(to_and_fro(face_clip)):
            picture = frame.reformat(format="yuvj420p")
            picture.pts, picture.time_base = index, Fraction(1, 24)
            target.mux(stream.encode(picture))
        target.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def slow_clip(face_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same face eight times a second: a camera that costs its models little."""
    path = tmp_path_factory.mktemp("slow") / "face.mp4"
    write(to_and_fro(face_clip, every=3), path, rate=SLOW_RATE)
    return path


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browser(camera_clip: Path) -> AsyncIterator[Browser]:
    executable = chromium()
    expect.set_options(timeout=PATIENCE)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable,
            args=[*CHROMIUM_ARGUMENTS, f"--use-file-for-fake-video-capture={camera_clip}"],
        )
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def stage() -> AsyncIterator[Staged]:
    """One camera without models behind it, for what no real face is needed for. It recognises nobody."""
    async with staged("demo", unrecognised=UNRECOGNISED) as stage:
        yield stage


@pytest.fixture(scope="package")
def people_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server keeps people and events."""
    return tmp_path_factory.mktemp("user-data")


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def server(clip: Path, slow_clip: Path, people_folder: Path) -> AsyncIterator[Served]:
    """One for all tests that don't harm it, with several cameras, of which one can't be reached. It plays real faces
    for ever, recognises people and keeps events with clips.
    """
    sources = f"demo={clip}", f"hall={slow_clip}", "gate=rtsp://somebody:secret@127.0.0.1:9/nobody"
    events = "--events", "--clip-before", "1", "--clip-after", "1", "--left-after", "1"
    async with serving(
        *sources,
        "--loop",
        "--identity",
        "sface",
        "--source-host",
        "127.0.0.1",
        *events,
        user_data=people_folder,
    ) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: Browser) -> AsyncIterator[OpenPage]:
    """Opens pages; an error on any of them fails the test."""
    contexts = []
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # The browser itself reports a lost or refused connection as an error; the page copes with those.
        if (
            message.type == "error"
            and "WebSocket" not in message.text
            and "Failed to load resource" not in message.text
        ):
            errors.append(message.text)

    async def open_page(url: str, *, script: str | None = None, **context: Any) -> Page:
        context.setdefault("viewport", {"width": 1024, "height": 640})  # painted without a GPU: large is slow
        opened = await browser.new_context(reduced_motion="reduce", **context)
        contexts.append(opened)
        opened.set_default_timeout(PATIENCE)
        page = await opened.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: errors.append(str(error)))
        if script:
            await page.add_init_script(script)
        await page.goto(url)
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert not errors


@pytest.fixture(scope="session")
def picture() -> Picture:
    """Saves a screenshot for people to look at, into the folder that FACESTREAM_SCREENSHOTS names."""
    folder = os.environ.get("FACESTREAM_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)

    async def picture(page: Page, name: str) -> None:
        if folder:
            await page.screenshot(path=Path(folder) / f"{name}.png")

    return picture

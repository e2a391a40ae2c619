"""A real server, a real browser, a real face."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import av
import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from facestream.jobs.demo import demo_video
from facestream.tests.e2e.serving import Served, serving
from facestream.tests.needs import chromium

CAMERA_FRAMES = 96
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


@pytest.fixture(scope="session")
def clip() -> Path:
    """A video of one face."""
    return demo_video()


@pytest.fixture(scope="session")
def camera_clip(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same face as Chromium's fake camera wants it: a bare MJPEG stream, full-range 4:2:0."""
    path = tmp_path_factory.mktemp("camera") / "face.mjpeg"
    with av.open(str(clip)) as source, av.open(str(path), "w", format="mjpeg") as target:
        stream = target.add_stream("mjpeg", rate=24)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 640, 360, "yuvj420p", 8_000_000
        for _, frame in zip(range(CAMERA_FRAMES), source.decode(video=0), strict=False):
            target.mux(stream.encode(frame.reformat(format="yuvj420p")))
        target.mux(stream.encode(None))
    return path


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browser(camera_clip: Path) -> AsyncIterator[Browser]:
    executable = chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable,
            args=[*CHROMIUM_ARGUMENTS, f"--use-file-for-fake-video-capture={camera_clip}"],
        )
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def server(clip: Path) -> AsyncIterator[Served]:
    """One server for all tests that don't harm it. It plays the face for ever and leaves no frame out."""
    async with serving(f"demo={clip}", "--loop", "--lossless") as served:
        yield served


@pytest.fixture(scope="package")
def people_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the busy server keeps people and events."""
    return tmp_path_factory.mktemp("user-data")


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def busy_server(clip: Path, people_folder: Path) -> AsyncIterator[Served]:
    """One with several cameras, of which one can't be reached; it recognises people and keeps events with clips."""
    sources = f"demo={clip}", f"hall={clip}", "gate=rtsp://somebody:secret@127.0.0.1:9/nobody"
    events = "--events", "--clip-before", "1", "--clip-after", "1", "--left-after", "1"
    async with serving(
        *sources, "--loop", "--identity", "sface", "--source-host", "127.0.0.1", *events, user_data=people_folder
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
        context.setdefault("viewport", {"width": 1440, "height": 900})
        opened = await browser.new_context(reduced_motion="reduce", **context)
        contexts.append(opened)
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

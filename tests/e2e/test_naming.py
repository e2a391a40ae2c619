"""People get names in the viewer, on a real server with the real models and a gallery of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect
from websockets.asyncio.client import connect

from facestream.tests.e2e.conftest import OpenPage, Picture
from facestream.tests.e2e.looking import DEMO, FACES, fits, shows_a_face, until, when
from facestream.tests.e2e.serving import Served, serving
from facestream.tests.e2e.staging import Staged
from facestream.tests.e2e.test_own_camera import OWN, use_my_camera
from facestream.tests.e2e.test_viewer import PHONE
from facestream.tests.serving.conftest import ask, hear

pytestmark = pytest.mark.asyncio(loop_scope="session")

CALLED = f"name => ({FACES})('demo').some(face => face.identity?.name === name)"
FACE = """stage => {
  const face = stage?.message?.faces.find(({ track }) => track >= 0);
  if (!face) return null;
  const { left, right, top, width } = stage.tile.getBoundingClientRect(), scale = width / stage.message.size[0];
  const [x0, y0, x1, y1] = face.box, across = scale * (x0 + x1) / 2;
  return [stage.mirrored() ? right - across : left + across, top + scale * (y0 + y1) / 2];
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def recognising(server: Served) -> AsyncIterator[Served]:
    """A server that recognises people, and knows nobody yet."""
    yield server
    async with connect(f"ws://127.0.0.1:{server.port}/ws/control") as websocket:
        await hear(websocket)
        for person in (await ask(websocket, "people.list"))["result"]:
            await ask(websocket, "people.remove", name=person["name"])


async def click_the_face(page: Page, stage: str = DEMO) -> None:
    """Where it is; it may be in none of the next pictures."""
    async with asyncio.timeout(60):
        while not await page.locator("#naming").is_visible():
            await page.mouse.click(*await when(page, f"() => ({FACE})({stage})"))


async def choose_the_face(page: Page) -> None:
    """With keys, from the faces below the picture; the button is another one when the track is."""
    async with asyncio.timeout(60):
        while not await page.locator("#naming").is_visible():
            await page.locator(".person:enabled").first.press("Enter")


async def leave(page: Page) -> None:
    """Close the dialog if it is open."""
    if await page.locator("#naming").is_visible():
        await page.keyboard.press("Escape")
    await page.locator("#naming").wait_for(state="hidden")


async def choose(page: Page, name: str) -> None:
    """With keys, somebody who has this name; a new track gets it after a moment."""
    title = page.get_by_role("heading", name=name, exact=True)
    async with asyncio.timeout(60):
        while not await title.is_visible():
            await leave(page)
            await the_name_appears(page, name)
            await choose_the_face(page)


async def is_called(page: Page, name: str, again: Callable[[Page], Awaitable[None]]) -> None:
    """Enter a name in the open dialog; where the server has no good picture of that face yet, open it ``again``."""
    async with asyncio.timeout(60):
        while not await accepted(page, name):
            await leave(page)
            await again(page)


async def accepted(page: Page, name: str) -> bool:
    await expect(name_field(page)).to_be_focused()
    await name_field(page).clear()
    await page.keyboard.type(name)
    await page.keyboard.press("Enter")
    await until(page, "() => !document.querySelector('#naming[open]:not(:has(.wrong:not([hidden])))')")
    return not await page.locator("#naming").is_visible()


def name_field(page: Page) -> Locator:
    return page.locator("#naming").get_by_label("Name")


async def the_name_appears(page: Page, name: str) -> None:
    """On the picture itself: the label is drawn from this message."""
    await until(page, CALLED, name)


async def is_below(page: Page, name: str) -> None:
    """The name is with a face below the picture."""
    await until(
        page, "name => [...document.querySelectorAll('.person-name')].some(a => a.textContent.includes(name))", name
    )


async def nobody_is_known(page: Page) -> None:
    await until(page, f"() => ({FACES})('demo').length && ({FACES})('demo').every(face => !face.identity)")


async def test_a_face_that_is_clicked_gets_a_name_and_keeps_it_after_a_restart(
    recognising: Served, clip: Path, people_folder: Path, open_page: OpenPage, picture: Picture
) -> None:
    page = await open_page(f"{recognising.url}#/camera/demo")
    await click_the_face(page)
    await expect(name_field(page)).to_be_focused()
    await picture(page, "naming")
    await name_field(page).fill("a\u0007b")
    await page.keyboard.press("Enter")
    await page.locator("#naming [role=alert]").filter(has_text="can't be seen").wait_for()
    entered = time.perf_counter()
    await is_called(page, "Ada", click_the_face)
    await the_name_appears(page, "Ada")
    print(f"the name is on the picture {time.perf_counter() - entered:.3f} s after Enter")
    await is_below(page, "Ada")
    await picture(page, "named")
    async with serving(f"demo={clip}", "--loop", user_data=people_folder) as restarted:
        await page.goto(restarted.url)
        await the_name_appears(page, "Ada")


async def test_keys_alone_rename_and_forget(recognising: Served, open_page: OpenPage) -> None:
    page = await open_page(f"{recognising.url}#/camera/demo")
    await shows_a_face(page)
    await choose_the_face(page)
    await is_called(page, "Ada", choose_the_face)
    await choose(page, "Ada")
    await expect(page.get_by_role("button", name="Rename")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(name_field(page)).to_have_value("Ada")
    await page.keyboard.type("Ada Lovelace")
    await page.keyboard.press("Enter")
    await page.locator("#naming").wait_for(state="hidden")
    await choose(page, "Ada Lovelace")
    await page.get_by_role("button", name="Forget").press("Enter")
    await expect(page.get_by_role("button", name="Keep")).to_be_focused()
    await page.get_by_role("button", name="Forget").press("Enter")
    await nobody_is_known(page)


async def test_somebody_names_their_own_mirrored_face(recognising: Served, open_page: OpenPage) -> None:
    page = await open_page(f"{recognising.url}#/camera/demo")
    click = partial(click_the_face, stage=OWN)
    await use_my_camera(page)
    await click(page)
    await page.locator("#naming").filter(has_text="in browser-").wait_for()
    await is_called(page, "Me", click)
    await until(page, f"() => {OWN}.message?.faces.some(face => face.identity?.name === 'Me')")


async def test_a_name_is_text_whatever_it_is_and_every_browser_shows_it(
    recognising: Served, open_page: OpenPage
) -> None:
    page, other = await open_page(f"{recognising.url}#/camera/demo"), await open_page(f"{recognising.url}#/camera/demo")
    for name in ("<img src=x onerror=throw(1)>", "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{ROCKET} אדה", "A" * 100):
        await click_the_face(page)
        await is_called(page, name, click_the_face)
        await the_name_appears(page, name)
        await the_name_appears(other, name)
        await is_below(other, name)
        await is_below(page, name)
        await fits(page, 1024)
        async with connect(f"ws://127.0.0.1:{recognising.port}/ws/control") as websocket:
            await hear(websocket)
            await ask(websocket, "people.remove", name=name)
        await nobody_is_known(page)


async def test_a_dialog_at_a_phones_foot_says_how_to_have_people_recognised(
    stage: Staged, open_page: OpenPage, picture: Picture
) -> None:
    page = await open_page(stage.url, **PHONE, color_scheme="dark")
    await click_the_face(page)
    await page.locator("#naming").filter(has_text="--identity sface").wait_for()
    box = await page.locator("#naming").bounding_box()
    assert box is not None
    assert (box["x"], box["width"]) == (0, 390)
    assert box["y"] + box["height"] == pytest.approx(844, abs=1)
    await picture(page, "naming-off-phone-dark")
    await page.keyboard.press("Escape")
    await page.evaluate("location.hash = '#/people'")
    await page.locator("#known-empty").filter(has_text="--identity sface").wait_for()
    await picture(page, "people-off-phone-dark")

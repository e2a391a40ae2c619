"""The viewer in a real browser, on a real server with the real models."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from playwright.async_api import expect

from facestream.tests.e2e.conftest import OpenPage, Picture
from facestream.tests.e2e.looking import difference, goes_on, pixels, shows_a_face
from facestream.tests.e2e.serving import Served, serving

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
GREY = "colour => colour.match(/[\\d.]+/g).slice(0, 3).map(Number)"


async def test_the_picture_moves(server: Served, open_page: OpenPage, picture: Picture) -> None:
    page = await open_page(server.url)
    await shows_a_face(page)
    first = await pixels(page)
    await goes_on(page, pictures=10)
    assert difference(first, await pixels(page)) > 0.5
    await picture(page, "viewer-light")


async def test_a_face_is_boxed_landmarked_and_numbered(server: Served, open_page: OpenPage) -> None:
    page = await open_page(server.url)
    await shows_a_face(page)
    message = await page.evaluate("facestream.viewer.tiles.get('demo').stage.message")
    (face,) = message["faces"]
    left, top, right, bottom = face["box"]
    assert 0 <= (left + right) / 2 <= message["size"][0]  # the chin may lie below the picture
    assert 0 <= (top + bottom) / 2 <= message["size"][1]
    assert left < right
    assert top < bottom
    assert len(face["landmarks"]) == 68
    assert await page.locator(".person-name").inner_text() == f"#{face['track']}"


async def test_each_part_of_the_drawing_can_be_switched_off(server: Served, open_page: OpenPage) -> None:
    page = await open_page(server.url)
    await shows_a_face(page)
    await page.evaluate("facestream.viewer.pause()")
    drawn = await pixels(page)
    for name in ("Boxes", "Landmarks", "Ids"):
        before = await pixels(page)
        await page.get_by_role("button", name=name).click()
        await page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert difference(before, await pixels(page)) > 0, f"{name} draws nothing"
    assert difference(drawn, await pixels(page)) > 0.3


async def test_a_face_keeps_its_number_as_it_moves(server: Served, open_page: OpenPage) -> None:
    page = await open_page(server.url)
    await shows_a_face(page)
    steady = await page.evaluate(
        """() => new Promise(done => {
             const { stage } = facestream.viewer.tiles.get("demo");
             let seen = 0, run = 0, last = null;
             stage.onPaint = ({ message: { faces: [face] } }) => {
               run = face?.track === last ? run + 1 : 0; // where the clip starts again there is a cut
               last = face?.track;
               if (run === 20 || ++seen === 50) done(run);
             };
           })"""
    )
    assert steady == 20


async def test_a_flood_of_pictures_is_never_queued(server: Served, open_page: OpenPage) -> None:
    page = await open_page(server.url)
    await shows_a_face(page)
    counts = await page.evaluate(
        """async () => {
             const { viewer } = facestream, tile = viewer.tiles.get("demo"), { stage } = tile;
             viewer.pause();
             const blob = await stage.snapshot(), jpeg = new Uint8Array(await blob.arrayBuffer());
             const start = { painted: stage.painted, passed: tile.skipped + stage.skipped };
             const last = new Promise(done => {
               stage.onPaint = ({ message }) => message.seq === 499 && done();
             });
             for (let seq = 0; seq < 500; seq++) tile.receive({ ...stage.message, seq }, jpeg);
             await last;
             return { painted: stage.painted - start.painted, passed: tile.skipped + stage.skipped - start.passed };
           }"""
    )
    assert counts["painted"] + counts["passed"] in (500, 501)  # one from before the pause may have been on its way
    assert counts["painted"] <= 3


async def test_the_width_asked_for_follows_the_window(server: Served, open_page: OpenPage) -> None:
    page = await open_page(server.url, viewport={"width": 1440, "height": 900})
    await shows_a_face(page)
    async with page.expect_websocket(lambda socket: "width=480" in socket.url):
        await page.set_viewport_size({"width": 480, "height": 700})
    await goes_on(page)


async def test_a_phone_needs_no_sideways_scrolling(server: Served, open_page: OpenPage, picture: Picture) -> None:
    page = await open_page(server.url, **PHONE)
    await shows_a_face(page)
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    for button in await page.get_by_role("button").all():
        box = await button.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        assert min(box["width"], box["height"]) >= 32
    await picture(page, "viewer-phone")


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
async def test_the_colours_follow_the_system(
    server: Served, open_page: OpenPage, picture: Picture, scheme: str, dark: bool
) -> None:
    page = await open_page(server.url, color_scheme=scheme)
    await shows_a_face(page)
    back = await page.evaluate(f"({GREY})(getComputedStyle(document.documentElement).backgroundColor)")
    assert (max(back) < 64) is dark
    await picture(page, f"viewer-{scheme}")


async def test_the_colours_can_be_chosen_and_are_remembered(server: Served, open_page: OpenPage) -> None:
    page = await open_page(server.url, color_scheme="light")
    for _ in ("light", "dark"):
        await page.get_by_role("button", name="Colours").click()
    await page.reload()
    back = await page.evaluate(f"({GREY})(getComputedStyle(document.documentElement).backgroundColor)")
    assert max(back) < 64


async def test_keys_work_as_their_buttons_do(server: Served, open_page: OpenPage) -> None:
    page = await open_page(server.url)
    await shows_a_face(page)
    boxes = page.get_by_role("button", name="Boxes")
    assert await boxes.get_attribute("aria-pressed") == "true"
    await page.keyboard.press("b")
    assert await boxes.get_attribute("aria-pressed") == "false"


async def test_the_picture_can_be_saved(server: Served, open_page: OpenPage, tmp_path: Path) -> None:
    page = await open_page(server.url)
    await shows_a_face(page)
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Save picture").click()
    path = tmp_path / "saved.jpg"
    await (await download.value).save_as(path)
    saved = cv2.imread(str(path))
    assert saved is not None
    assert saved.shape[:2] == (360, 640)


async def test_the_viewer_comes_back_when_the_server_does(clip: Path, open_page: OpenPage, picture: Picture) -> None:
    async with serving(f"demo={clip}", "--loop") as first:
        page = await open_page(first.url)
        await shows_a_face(page)
    await page.get_by_role("status").filter(has_text="reconnecting").wait_for()
    await page.get_by_role("alert").filter(has_text="doesn't answer").wait_for()
    await picture(page, "server-gone")
    async with serving(f"demo={clip}", "--loop", port=first.port):
        await page.get_by_role("status").filter(has_text="connected").wait_for()
        await goes_on(page)
        assert await page.get_by_role("alert").count() == 0


async def test_the_help_lists_the_keys_and_turns_them_off(
    server: Served, open_page: OpenPage, picture: Picture
) -> None:
    page = await open_page(server.url)
    await shows_a_face(page)
    await page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Help and keys")
    await expect(dialog.locator("dd")).to_contain_text(["All cameras", "Full screen"])
    await picture(page, "help")
    await dialog.get_by_label("Single keys").uncheck()
    await page.keyboard.press("Escape")
    await dialog.wait_for(state="hidden")
    await page.keyboard.press("b")
    await expect(page.get_by_role("button", name="Boxes")).to_have_attribute("aria-pressed", "true")


async def test_two_keys_one_after_the_other_go_to_a_page(server: Served, open_page: OpenPage) -> None:
    page = await open_page(server.url)
    await shows_a_face(page)
    for keys, title in (("gs", "Status"), ("ge", "Events"), ("gp", "People"), ("0", "Cameras"), ("1", "demo")):
        for key in keys:
            await page.keyboard.press(key)
        await expect(page.get_by_role("heading", level=1, name=title)).to_be_focused()
        assert await page.title() == f"{title} · facestream"


async def test_the_skip_link_leads_to_the_content(server: Served, open_page: OpenPage) -> None:
    page = await open_page(f"{server.url}#/status")
    await page.get_by_role("table").wait_for()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="demo")).to_be_focused()

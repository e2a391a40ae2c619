"""One camera large, in a real browser; and what all pages have around them."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from playwright.async_api import Page, expect

from facestream.tests.e2e.conftest import OpenPage, Picture
from facestream.tests.e2e.looking import (
    a_message_with_a_face,
    difference,
    fits,
    goes_on,
    moves,
    painted_anew,
    pixels,
    shows_a_face,
    stops,
    until,
)
from facestream.tests.e2e.serving import Served
from facestream.tests.e2e.staging import Staged, staged
from facestream.tests.rtsp_camera import free_port

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
GREY = "colour => colour.match(/[\\d.]+/g).slice(0, 3).map(Number)"
BACK = f"({GREY})(getComputedStyle(document.documentElement).backgroundColor)"


async def test_the_picture_moves_and_its_face_is_boxed_landmarked_and_keeps_its_number(
    server: Served, open_page: OpenPage, picture: Picture
) -> None:
    page = await open_page(f"{server.url}#/camera/demo")
    await shows_a_face(page)
    await goes_on(page, pictures=10)
    await moves(page)
    message = await a_message_with_a_face(page)
    (face,) = message["faces"]
    left, top, right, bottom = face["box"]
    assert 0 <= (left + right) / 2 <= message["size"][0]  # the chin may lie below the picture
    assert 0 <= (top + bottom) / 2 <= message["size"][1]
    assert left < right
    assert top < bottom
    assert len(face["landmarks"]) == 68
    await page.evaluate(
        """() => {
             const { stage } = facestream.viewer.tiles.get("demo");
             let last = null;
             window.steady = 0;
             stage.onPaint = ({ message: { faces: [face] } }) => {
               steady = face?.track === last ? steady + 1 : 0;
               last = face?.track;
             };
           }"""
    )
    await until(
        page,
        """() => {
             const face = facestream.viewer.tiles.get("demo").stage.message?.faces[0];
             return steady >= 20 && document.querySelector(".person-name")?.textContent === `#${face?.track}`;
           }""",
    )
    await picture(page, "viewer-light")


async def test_each_part_of_the_drawing_can_be_switched_off(stage: Staged, open_page: OpenPage) -> None:
    page = await open_page(stage.url)
    await shows_a_face(page)
    await stops(page)
    await painted_anew(page)
    drawn = await pixels(page)
    for name in ("Boxes", "Landmarks", "Ids"):
        before = await pixels(page)
        await page.get_by_role("button", name=name).click()
        await painted_anew(page)
        assert difference(before, await pixels(page)) > 0, f"{name} draws nothing"
    assert difference(drawn, await pixels(page)) > 0.3


async def test_a_flood_of_pictures_is_never_queued(stage: Staged, open_page: OpenPage) -> None:
    page = await open_page(stage.url)
    await shows_a_face(page)
    await stops(page)
    counts = await page.evaluate(
        """async () => {
             const tile = facestream.viewer.tiles.get("demo"), { stage } = tile;
             const blob = await stage.snapshot(), jpeg = new Uint8Array(await blob.arrayBuffer());
             const start = { painted: stage.painted, passed: tile.skipped + stage.skipped };
             const last = new Promise(done => {
               stage.onPaint = ({ message }) => message.seq === 1e6 + 499 && done();
             });
             for (let seq = 0; seq < 500; seq++) tile.receive({ ...stage.message, seq: 1e6 + seq }, jpeg);
             await last;
             return { painted: stage.painted - start.painted, passed: tile.skipped + stage.skipped - start.passed };
           }"""
    )
    # Of those from before, one may still have been decoded, one have waited for that, and one have been to be painted.
    assert 500 <= counts["painted"] + counts["passed"] <= 503
    assert counts["painted"] <= 4


async def test_the_width_asked_for_follows_the_window(stage: Staged, open_page: OpenPage) -> None:
    page = await open_page(stage.url)
    await shows_a_face(page)
    async with page.expect_websocket(lambda socket: "width=480" in socket.url):
        await page.set_viewport_size({"width": 480, "height": 700})
    await goes_on(page)


async def test_a_phone_needs_no_sideways_scrolling(stage: Staged, open_page: OpenPage, picture: Picture) -> None:
    page = await open_page(stage.url, **PHONE)
    await shows_a_face(page)
    await fits(page, 390)
    boxes = await page.evaluate(
        """[...document.querySelectorAll("button")].filter(button => button.checkVisibility())
             .map(button => button.getBoundingClientRect().toJSON())"""
    )
    assert len(boxes) > 5
    for box in boxes:
        assert box["left"] >= 0
        assert box["right"] <= 390
        assert min(box["width"], box["height"]) >= 40
    await picture(page, "viewer-phone")


async def is_dark(page: Page) -> None:
    await until(page, f"() => Math.max(...{BACK}) < 64")


async def is_light(page: Page) -> None:
    await until(page, f"() => Math.max(...{BACK}) > 192")


async def test_the_colours_follow_the_system_until_some_are_chosen_and_remembered(
    stage: Staged, open_page: OpenPage
) -> None:
    page = await open_page(stage.url, color_scheme="dark")
    await is_dark(page)
    await page.emulate_media(color_scheme="light")
    await is_light(page)
    for _ in ("light", "dark"):
        await page.get_by_role("button", name="Colours").click()
    await page.reload()
    await is_dark(page)


async def test_keys_work_as_their_buttons_do_and_the_help_lists_them_and_turns_them_off(
    stage: Staged, open_page: OpenPage, picture: Picture
) -> None:
    page = await open_page(stage.url)
    await shows_a_face(page)
    boxes = page.get_by_role("button", name="Boxes")
    await expect(boxes).to_have_attribute("aria-pressed", "true")
    await page.keyboard.press("b")
    await expect(boxes).to_have_attribute("aria-pressed", "false")
    await page.get_by_role("button", name="Help and keys").focus()
    await page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Help and keys")
    await expect(dialog.locator("dd")).to_contain_text(["All cameras", "Full screen"])
    await picture(page, "help")
    await dialog.get_by_label("Single keys").uncheck()
    await page.keyboard.press("Escape")
    await dialog.wait_for(state="hidden")
    await expect(page.get_by_role("button", name="Help and keys")).to_be_focused()
    await page.keyboard.press("b")
    await expect(boxes).to_have_attribute("aria-pressed", "false")


async def test_two_keys_one_after_the_other_go_to_a_page(stage: Staged, open_page: OpenPage) -> None:
    page = await open_page(stage.url)
    await shows_a_face(page)
    press = """keys => {
        const press = key => new KeyboardEvent("keydown", { key, bubbles: true });
        for (const key of keys) document.activeElement.dispatchEvent(press(key));
    }"""  # both at once: the page waits only so long for the second
    for keys, title in (("gs", "Status"), ("ge", "Events"), ("gp", "People"), ("0", "Cameras"), ("1", "demo")):
        await page.evaluate(press, keys)
        await expect(page.get_by_role("heading", level=1, name=title)).to_be_focused()
        await expect(page).to_have_title(f"{title} · facestream")


async def test_the_skip_link_leads_to_the_content(stage: Staged, open_page: OpenPage) -> None:
    page = await open_page(f"{stage.url}#/status")
    await page.get_by_role("table").wait_for()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="demo")).to_be_focused()


async def test_the_picture_can_be_saved(stage: Staged, open_page: OpenPage, tmp_path: Path) -> None:
    page = await open_page(stage.url)
    await shows_a_face(page)
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Save picture").click()
    path = tmp_path / "saved.jpg"
    await (await download.value).save_as(path)
    saved = cv2.imread(str(path))
    assert saved is not None
    assert saved.shape[:2] == (48, 64)


async def test_nobody_looks_and_no_picture_is_asked_for(stage: Staged, open_page: OpenPage) -> None:
    page = await open_page(stage.url)
    await shows_a_face(page)
    look = """hidden => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    await page.evaluate(look, True)
    await until(page, "() => facestream.viewer.state === 'closed'")
    await page.evaluate(look, False)
    await goes_on(page)


async def test_the_viewer_comes_back_when_the_server_does(open_page: OpenPage, picture: Picture) -> None:
    port = free_port()
    async with staged("demo", port=port) as first:
        page = await open_page(first.url)
        await shows_a_face(page)
    await page.get_by_role("status").filter(has_text="reconnecting").wait_for()
    await page.get_by_role("alert").filter(has_text="doesn't answer").wait_for()
    await picture(page, "server-gone")
    await page.evaluate(
        """() => {
          window.changes = 0;
          new MutationObserver(() => { changes += 1; }).observe(document.getElementById("notice"),
            { attributes: true, childList: true });
          window.tries = 0;
          facestream.link.addEventListener("state", () => { tries += facestream.link.state === "connecting"; });
        }"""
    )
    await until(page, "() => tries > 0")
    assert await page.evaluate("changes") == 0, "what is said flickers at each try"
    async with staged("demo", port=port):
        await page.get_by_role("status").filter(has_text="connected").wait_for()
        await goes_on(page)
        await expect(page.get_by_role("alert")).to_have_count(0)


async def test_a_connection_that_died_without_a_word_is_made_anew(stage: Staged, open_page: OpenPage) -> None:
    page = await open_page(stage.url)
    await shows_a_face(page)
    await page.route("**/api/sources", lambda route: route.abort())
    async with page.expect_websocket(lambda socket: "frames=jpeg" in socket.url):
        for _ in range(2):
            await page.evaluate("facestream.link.refresh()")
    await page.unroute("**/api/sources")
    await page.get_by_role("status").filter(has_text="connected").wait_for()
    await goes_on(page)

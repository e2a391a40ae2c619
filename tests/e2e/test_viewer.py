"""The viewer in a real browser, on a real server with the real models."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from facestream.tests.e2e.conftest import OpenPage, Picture
from facestream.tests.e2e.looking import difference, goes_on, pixels, shows_a_face, until
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


async def test_an_empty_server_says_how_to_add_a_source_and_takes_one(open_page: OpenPage, picture: Picture) -> None:
    async with serving("--no-demo") as served:
        page = await open_page(served.url)
        await page.get_by_role("heading", name="No sources yet").wait_for()
        await picture(page, "empty")
        await page.locator("#empty-add").click()
        await page.get_by_label("Address").fill("/etc/passwd")
        await page.get_by_role("button", name="Add", exact=True).click()
        await page.locator("#add-wrong").filter(has_text="rtsp://").wait_for()
        await picture(page, "add-refused")
        await page.get_by_label("Address").fill("rtsp://127.0.0.1:9/nobody-is-here")
        await page.locator("#add-name").fill("door")
        await page.get_by_role("button", name="Add", exact=True).click()
        await page.locator(".source", has_text="door").filter(has_text="degraded").wait_for()
        await picture(page, "degraded")


async def test_several_sources_are_shown_side_by_side_and_one_alone_at_a_click(
    clip: Path, open_page: OpenPage, picture: Picture
) -> None:
    async with serving(f"hall={clip}", f"door={clip}", "--loop") as served:
        page = await open_page(served.url)
        await shows_a_face(page, "hall")
        await shows_a_face(page, "door")
        await picture(page, "grid")
        await page.get_by_role("button", name="Show door alone").click()
        await until(page, "() => facestream.viewer.tiles.size === 1")
        await goes_on(page, "door")
        await page.get_by_role("button", name="All sources").click()
        await shows_a_face(page, "hall")
        await page.locator(".source-open", has_text="hall").click()
        await page.get_by_role("button", name="Remove hall").click()
        await page.get_by_role("button", name="Remove", exact=True).click()
        await page.locator(".source", has_text="hall").wait_for(state="detached")


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


async def test_a_token_is_asked_for_checked_and_kept(clip: Path, open_page: OpenPage, picture: Picture) -> None:
    async with serving(f"demo={clip}", "--loop", token="open-sesame") as served:
        page = await open_page(served.url)
        field = page.locator("#token")
        await field.fill("open-barley")
        await picture(page, "token")
        await page.get_by_role("button", name="Connect").click()
        await page.get_by_text("That token wasn't accepted.").wait_for()
        await field.fill("open-sesame")
        await page.get_by_role("button", name="Connect").click()
        await shows_a_face(page)
        await page.reload()
        await shows_a_face(page)


async def test_a_token_in_the_address_opens_the_page_and_leaves_the_address(clip: Path, open_page: OpenPage) -> None:
    async with serving(f"demo={clip}", "--loop", token="open-sesame") as served:
        page = await open_page(f"{served.url}#token=open-sesame")
        await shows_a_face(page)
        assert page.url == served.url

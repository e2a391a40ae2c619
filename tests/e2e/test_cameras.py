"""All cameras at once; adding, changing and removing one."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Page, expect

from facestream.tests.e2e.conftest import OpenPage, Picture
from facestream.tests.e2e.looking import fits, goes_on, shows_a_face, until, when
from facestream.tests.e2e.serving import Served
from facestream.tests.e2e.staging import Staged, staged
from facestream.tests.e2e.test_viewer import PHONE

pytestmark = pytest.mark.asyncio(loop_scope="session")

OPTIONS = "name => facestream.link.book.get(name)?.options"


async def address_field(page: Page, text: str) -> None:
    await page.get_by_label("Address").fill(text)


async def test_all_cameras_are_shown_and_one_alone_at_a_click(
    server: Served, open_page: OpenPage, picture: Picture
) -> None:
    page = await open_page(server.url)
    for name in ("demo", "hall"):
        await shows_a_face(page, name)
        await expect(page.locator(f'[data-name="{name}"]')).to_contain_text("1 face")
    await page.locator(".card", has_text="gate").filter(has_text="degraded").wait_for()
    await page.get_by_role("link", name="hall").press("Enter")
    await until(page, "() => String(facestream.viewer.watched) === 'hall'")
    await goes_on(page, "hall")
    await page.get_by_role("link", name="All cameras").click()
    await shows_a_face(page, "demo")


async def test_only_cameras_in_view_are_asked_for(server: Served, open_page: OpenPage) -> None:
    page = await open_page(server.url, viewport={"width": 390, "height": 500})
    await shows_a_face(page, "demo")
    await until(page, "() => !facestream.viewer.watched.includes('gate')")
    await page.locator(".card", has_text="gate").scroll_into_view_if_needed()
    await until(page, "() => facestream.viewer.watched.includes('gate') && !facestream.viewer.watched.includes('demo')")


async def test_fifty_cameras_are_asked_for_small_and_seldom(open_page: OpenPage, picture: Picture) -> None:
    strange = "<img src=x onerror=throw(1)>", "\u05de\u05e1\u05d3\u05e8\u05d5\u05df", "long-" * 20
    async with staged(*strange, *(f"camera-{number}" for number in range(47))) as crowd:
        page = await open_page(f"{crowd.url}#/status", **PHONE)
        await expect(page.get_by_role("row")).to_have_count(50)
        await fits(page, 390)
        async with page.expect_websocket(lambda socket: "frames=jpeg" in socket.url) as asked:
            await page.evaluate("location.hash = '#/'")
        wishes = parse_qs(urlsplit((await asked.value).url).query)
        await until(page, "() => [...facestream.viewer.tiles.values()].filter(({ stage }) => stage.painted).length > 2")
        await expect(page.locator(".card")).to_have_count(50)
        await expect(page.locator(".card-open").first).to_have_text(strange[0])
        await picture(page, "fifty-cameras")
        for width in (320, 390, 601, 720, 961, 1001, 1121):
            await page.set_viewport_size({"width": width, "height": 700})
            await fits(page, width)
    assert 2 < len(wishes["source"]) < 30
    assert int(wishes["width"][0]) <= 480
    assert float(wishes["fps"][0]) * len(wishes["source"]) <= 30


async def test_a_region_is_drawn_on_the_picture_and_written_as_numbers(
    server: Served, open_page: OpenPage, picture: Picture
) -> None:
    page = await open_page(server.url, viewport={"width": 1440, "height": 900})
    await shows_a_face(page, "hall")
    await page.get_by_role("button", name="Edit hall").click()
    canvas = page.locator("#source-region")
    await until(page, "() => document.getElementById('source-region').style.getPropertyValue('--ratio')")
    await canvas.scroll_into_view_if_needed()
    box = await canvas.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.1)
    await page.mouse.down()
    await page.mouse.move(box["x"] + box["width"], box["y"] + box["height"], steps=4)
    await page.mouse.up()
    left = page.get_by_label("Left, %")
    await expect(left).to_have_value(re.compile(r"2[45](\.\d+)?"))
    assert float(await left.input_value()) == pytest.approx(25, abs=0.5)
    await left.fill("30")
    await page.get_by_label("At most, pictures a second").fill("12.5")
    await page.get_by_label("Look for new faces").fill("4")
    await picture(page, "region")
    await page.get_by_role("button", name="Save").click()
    await page.locator("#source-dialog").wait_for(state="hidden")
    options = await when(page, f"name => ({OPTIONS})(name).detect_every === 4 && ({OPTIONS})(name)", "hall")
    assert options["region"][0] == 0.3
    assert options["region"][1] == pytest.approx(0.1, abs=0.01)
    assert options["max_rate"] == 12.5
    await page.get_by_role("button", name="Edit hall").click()
    await expect(page.get_by_label("Left, %")).to_have_value("30")
    await page.get_by_role("button", name="Everywhere").click()
    await page.get_by_label("At most, pictures a second").fill("")
    await page.get_by_label("Look for new faces").fill("")
    await page.get_by_role("button", name="Save").click()
    await until(page, f"name => ({OPTIONS})(name).region === null && ({OPTIONS})(name).max_rate === null", "hall")


async def test_what_is_wrong_with_a_camera_is_said_beside_its_field(server: Served, open_page: OpenPage) -> None:
    page = await open_page(server.url)
    await page.get_by_role("button", name="Add a camera").click()
    form = page.locator("#source-dialog")
    await form.get_by_text("More settings").click()
    for field, text, complaint in (
        ("Address", "", "needs an address"),
        ("Address", "/etc/passwd", "rtsp://"),
        ("Look for new faces", "often", "whole number"),
        ("Left, %", "120", "0 to 100"),
        ("Right, %", "5", "larger than left"),
        ("Name", "two words", "no spaces"),
        ("Name", "demo", "already"),
    ):
        await address_field(page, "rtsp://127.0.0.1:9/nobody-is-here")
        if field == "Right, %":
            await page.get_by_label("Left, %").fill("50")
        await form.get_by_label(field, exact=field == "Name").fill(text)
        await page.get_by_role("button", name="Add", exact=True).click()
        focused = page.locator(":focus")
        await expect(focused).to_have_attribute("aria-invalid", "true")
        described = (await focused.get_attribute("aria-describedby") or "").split()[-1]
        await expect(page.locator(f"#{described}")).to_contain_text(complaint)
        for again in ("Look for new faces", "Left, %", "Right, %"):
            await page.get_by_label(again).fill("")
    await page.keyboard.press("Escape")
    await page.locator("#source-dialog").wait_for(state="hidden")


async def test_an_empty_server_says_how_to_add_a_camera(open_page: OpenPage, picture: Picture) -> None:
    async with staged() as empty:
        page = await open_page(empty.url)
        await page.get_by_role("heading", name="No cameras yet").wait_for()
        await picture(page, "empty")
        await page.locator("#empty-add").click()
        await expect(page.get_by_label("Address")).to_be_focused()


async def test_a_camera_s_dialog_says_how_long_that_lasts_and_what_keeps_it(stage: Staged, open_page: OpenPage) -> None:
    page = await open_page(f"{stage.url}#/")
    for button in ("Add a camera", "Edit demo"):
        await page.get_by_role("button", name=button).click()
        told = page.get_by_role("dialog")
        await expect(told).to_have_accessible_description(
            re.compile("until the server is started again.*facestream.toml")
        )
        await page.keyboard.press("Escape")
        await page.locator("#source-dialog").wait_for(state="hidden")


async def test_a_camera_is_added_and_removed_again(server: Served, open_page: OpenPage) -> None:
    page = await open_page(f"{server.url}#/")
    await page.get_by_role("button", name="Add a camera").click()
    await address_field(page, "rtsp://somebody:secret@127.0.0.1:9/nobody-is-here")
    await page.locator("#source-name").fill("door")
    await page.get_by_text("More settings").click()
    await page.get_by_label("RTSP over").select_option("udp")
    await page.get_by_role("button", name="Add", exact=True).click()
    card = page.locator(".card", has_text="door")
    await card.filter(has_text="degraded").wait_for()
    await until(page, f"name => ({OPTIONS})(name)?.rtsp_transport === 'udp'", "door")
    await page.get_by_role("button", name="Edit door").click()
    await expect(page.get_by_label("Address")).to_have_value(re.compile(r"^rtsp://\*\*\*@"))
    await page.get_by_role("button", name="Remove…").click()
    await expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    await page.get_by_role("button", name="Remove", exact=True).click()
    await card.wait_for(state="detached")

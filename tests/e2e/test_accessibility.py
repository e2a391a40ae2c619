"""Every page and dialog, on a desktop and on a phone, light and dark: nothing that axe finds serious."""

from __future__ import annotations

import os
from typing import Any

import pytest
from playwright.async_api import Page

from facestream.tests.e2e.axe import axe_script, findings
from facestream.tests.e2e.conftest import OpenPage, Picture
from facestream.tests.e2e.looking import fits, shows_a_face
from facestream.tests.e2e.serving import Served
from facestream.tests.e2e.test_viewer import PHONE

pytestmark = pytest.mark.asyncio(loop_scope="session")

SIZES: dict[str, dict[str, Any]] = {"desktop": {"viewport": {"width": 1440, "height": 900}}, "phone": PHONE}
PAGES = {
    "cameras": ("#/", ".card >> nth=2"),
    "camera": ("#/camera/demo", "#camera-tile[data-filled]"),
    "own-camera": ("#/own", "#camera-empty"),
    "events": ("#/events", ".event img:visible"),
    "people": ("#/people", "#page-people :is(.known, #known-empty):visible"),
    "status": ("#/status", ".status-table tbody tr >> nth=2"),
}
DIALOGS = {
    "event": ("#/events", ".event:has(img:visible) .event-open >> nth=0", "#event-dialog img:visible"),
    "edit": ("#/", ".card-edit >> nth=0", "#source-dialog"),
    "add": ("#/", "#add", "#source-dialog"),
    "help": ("#/", "#help", "#help-dialog"),
}


async def check(page: Page, name: str) -> None:
    await fits(page, page.viewport_size["width"] if page.viewport_size else 0)
    found = await findings(page)
    assert not [one for one in found if one["impact"] in ("serious", "critical")], name
    for one in found:
        print(f"{name}: {one['impact']}: {one['help']}: {one['where']}")


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        ("desktop", "light"),
        ("phone", "dark"),
        *([("desktop", "dark"), ("phone", "light")] if os.environ.get("FACESTREAM_FULL") else []),
    ],
)
async def test_every_page_can_be_used_by_everybody(
    server: Served, open_page: OpenPage, picture: Picture, size: str, scheme: str
) -> None:
    page = await open_page(f"{server.url}#/camera/demo", script=axe_script(), color_scheme=scheme, **SIZES[size])
    await shows_a_face(page)
    for name, (address, there) in PAGES.items():
        await page.evaluate("address => { location.hash = address; }", address)
        await page.locator(there).first.wait_for()
        await picture(page, f"{name}-{size}-{scheme}")
        await check(page, name)
    for name, (address, button, there) in DIALOGS.items():
        await page.evaluate("address => { location.hash = address; }", address)
        await page.locator(button).click()
        await page.locator(there).wait_for()
        await picture(page, f"{name}-{size}-{scheme}")
        await check(page, name)
        await page.keyboard.press("Escape")

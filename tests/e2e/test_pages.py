"""Events, people and status; and who may do what."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect
from websockets.asyncio.client import ClientConnection, connect

from facestream.serving.routes import Role
from facestream.serving.token_file import add_token
from facestream.serving.tokens import new_token
from facestream.tests.e2e.conftest import OpenPage, Picture
from facestream.tests.e2e.looking import goes_on, shows_a_face, until
from facestream.tests.e2e.serving import Served
from facestream.tests.e2e.staging import Staged, staged
from facestream.tests.e2e.test_own_camera import use_my_camera
from facestream.tests.serving.conftest import ask, hear

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_somebody_who_comes_and_goes_is_an_event(server: Served, open_page: OpenPage, picture: Picture) -> None:
    page, other = await open_page(f"{server.url}#/events"), await open_page(f"{server.url}#/own")
    await page.locator(".event", has_text="demo").first.wait_for()
    await other.locator("#own-start").wait_for()
    await use_my_camera(other)
    name = await other.evaluate("facestream.camera.name")
    rows = page.locator(".event", has_text=name)
    row = rows.last
    await expect(row).to_contain_text(re.compile("Arrived|Left"))
    seen = """async name => {
      const told = await facestream.link.json(`/api/events?source=${name}`).catch(() => null);
      return told?.events.at(-1)?.picture;
    }"""
    await until(other, seen, name)
    await other.get_by_role("button", name="Stop").click()
    await expect(rows.filter(has_text="Arrived")).to_have_count(0)
    await row.filter(has_text="Left").wait_for()
    await row.locator("img").wait_for()
    those = await rows.count()
    await picture(page, "events")
    await row.get_by_role("button").click()
    await page.get_by_role("button", name="Remove…").click()
    await page.get_by_role("button", name="Remove", exact=True).click()
    await expect(rows).to_have_count(those - 1)


async def test_events_are_filtered_and_the_filter_is_in_the_address(server: Served, open_page: OpenPage) -> None:
    page = await open_page(f"{server.url}#/events")
    await page.locator(".event", has_text="demo").first.wait_for()
    camera = page.locator("#events-filters select[name=source]")
    await camera.select_option("hall")
    await expect(page.locator(".event", has_text="demo")).to_have_count(0)
    await page.locator(".event", has_text="hall").first.wait_for()
    await expect(page).to_have_url(f"{server.url}#/events?source=hall")
    await page.reload()
    await page.locator(".event", has_text="hall").first.wait_for()
    await expect(camera).to_have_value("hall")
    await page.locator("#events-filters").get_by_label("Person").fill("Nobody at all")
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="Nothing like that").wait_for()
    await page.get_by_role("button", name="Clear").click()
    await page.locator(".event", has_text="demo").first.wait_for()


async def test_a_clip_is_played_and_let_go(server: Served, open_page: OpenPage, picture: Picture) -> None:
    page = await open_page(f"{server.url}#/events?source=hall")
    await page.locator(".event", has=page.locator(".event-clip:visible")).last.get_by_role("button").click()
    await page.get_by_role("button", name="Play the clip").click()
    await until(page, "() => document.querySelector('#event-dialog video').currentTime > 0.1")
    await picture(page, "clip")
    await page.keyboard.press("Escape")
    await until(page, "() => !document.querySelector('#event-dialog video').hasAttribute('src')")


async def test_older_events_are_on_further_pages(stage: Staged, open_page: OpenPage) -> None:
    page = await open_page(f"{stage.url}#/status")
    event = """index => ({ type: "event", id: 1000 - index, kind: "left", source: "demo", track: index, name: null,
        at: 1.7e9 - index, started_at: 1.7e9 - index, ended_at: 1.7e9 - index, picture: null, clip: null })"""
    await page.evaluate(
        f"""() => {{
          const events = Array.from({{ length: 120 }}, (_, index) => ({event})(index));
          facestream.link.json = async path => {{
            const query = new URL(path, location).searchParams, before = Number(query.get("before") ?? Infinity);
            const page = events.filter(({{ id }}) => id < before).slice(0, Number(query.get("limit")));
            return {{ events: page, next: page.length < 50 ? null : page.at(-1).id }};
          }};
        }}"""
    )
    await page.get_by_role("link", name="Events", exact=True).click()
    await expect(page.locator(".event")).to_have_count(50)
    await page.get_by_role("button", name="Older").click()
    await page.get_by_role("button", name="Older").click()
    await expect(page.locator(".event")).to_have_count(20)
    await page.evaluate(
        f"facestream.link.dispatchEvent(new CustomEvent('event', "
        f"{{ detail: {{ ...({event})(-1), id: 2000, kind: 'arrived' }} }}))"
    )
    await page.get_by_role("button", name="Show 1 new event").wait_for()
    await page.get_by_role("button", name="Newer").click()
    await expect(page.locator(".event")).to_have_count(50)


async def name_the_face(websocket: ClientConnection, page: Page, source: str, name: str) -> None:
    """With the first picture that the server finds good enough."""
    answer: dict[str, Any] = {}
    while "result" not in answer:
        await shows_a_face(page, source)
        await goes_on(page, source, 1)
        track = await page.evaluate("name => facestream.viewer.tiles.get(name).stage.message?.faces[0]?.track", source)
        answer = await ask(websocket, "people.name", source=source, track=track, name=name)


async def test_people_are_renamed_merged_and_forgotten(server: Served, open_page: OpenPage, picture: Picture) -> None:
    page = await open_page(f"{server.url}#/camera/demo")
    async with connect(f"ws://127.0.0.1:{server.port}/ws/control") as websocket:
        await hear(websocket)
        for source, name in (("demo", "Ada"), ("hall", "Grace")):
            await page.evaluate("name => { location.hash = `#/camera/${name}`; }", source)
            await name_the_face(websocket, page, source, name)
    await page.get_by_role("link", name="People").click()
    await page.get_by_role("button", name="Rename Ada").click()
    await page.locator("#naming").get_by_label("Name").fill("Ada Lovelace")
    await page.keyboard.press("Enter")
    await page.locator('[data-name="Ada Lovelace"]').wait_for()
    await page.get_by_role("button", name="Merge Grace").click()
    await picture(page, "merge")
    await page.get_by_role("button", name="Merge", exact=True).click()
    await page.locator('[data-name="Grace"]').wait_for(state="detached")
    await expect(page.locator(".known")).to_contain_text("looks")
    await picture(page, "people")
    await page.get_by_role("button", name="Remove Ada Lovelace").click()
    await page.get_by_role("button", name="Forget").click()
    await page.get_by_role("heading", name="Nobody has a name yet").wait_for()


async def test_the_status_page_tells_how_each_camera_is(server: Served, open_page: OpenPage, picture: Picture) -> None:
    page = await open_page(f"{server.url}#/status")
    gate = page.get_by_role("row", name="gate")
    await expect(gate).to_contain_text("degraded")
    await expect(gate).to_contain_text("refused the connection")
    await expect(gate).not_to_contain_text("secret")
    await expect(page.get_by_role("row", name="demo")).to_contain_text("fps")
    facts = page.locator("#status-facts")
    await expect(facts).to_contain_text("Something is wrong")
    await expect(facts).to_contain_text("On, with sface")
    await expect(facts).to_contain_text("change everything")
    await picture(page, "status")


async def test_hours_of_going_about_leave_nothing_behind(server: Served, open_page: OpenPage) -> None:
    count = """
      window.urls = new Set();
      const { createObjectURL, revokeObjectURL } = URL;
      URL.createObjectURL = blob => { const url = createObjectURL.call(URL, blob); urls.add(url); return url; };
      URL.revokeObjectURL = url => { urls.delete(url); revokeObjectURL.call(URL, url); };
      window.sockets = new Set();
      window.WebSocket = class extends WebSocket {
        constructor(...all) {
          super(...all);
          sockets.add(this);
          this.addEventListener("close", () => sockets.delete(this));
        }
      };
    """
    page = await open_page(f"{server.url}#/status", script=count)
    await page.get_by_role("row", name="gate").wait_for()
    about = """async () => {
      for (const address of ["#/", "#/camera/demo", "#/events", "#/people", "#/own", "#/camera/hall", "#/status"]) {
        location.hash = address;
        await new Promise(done => setTimeout(done, 40));
      }
    }"""
    await page.evaluate(about)
    settled = "sockets.size === 1 && urls.size === 0 && document.querySelector('#status-facts .fact-reason') !== null"
    await until(page, f"() => {settled}")
    nodes = await page.evaluate("document.querySelectorAll('*').length")
    for _ in range(4):
        await page.evaluate(about)
    await until(page, f"nodes => {settled} && document.querySelectorAll('*').length <= nodes", nodes)


@pytest.fixture(scope="module")
def token_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokens")


@pytest.fixture(scope="module")
def view_token(token_folder: Path) -> str:
    """One that allows to watch, and nothing else."""
    secret, token = new_token("watcher", [Role.VIEW], now=time.time())
    add_token(token_folder / "tokens.json", token)
    return secret


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def locked(token_folder: Path, view_token: str) -> AsyncIterator[Staged]:
    async with staged("demo", token="open-sesame", tokens=token_folder / "tokens.json") as stage:
        yield stage


async def test_a_token_is_asked_for_checked_and_kept(locked: Staged, open_page: OpenPage, picture: Picture) -> None:
    page = await open_page(locked.url)
    addresses: list[str] = []
    page.on("websocket", lambda socket: addresses.append(socket.url))
    field = page.locator("#token")
    for _ in range(3):
        await page.keyboard.press("Escape")
    await expect(field).to_be_focused()
    await field.fill("open-barley")
    await picture(page, "token")
    await page.get_by_role("button", name="Connect").click()
    await page.get_by_text("That token wasn't accepted.").wait_for()
    await field.fill("open-sesame")
    await page.get_by_role("button", name="Connect").click()
    await shows_a_face(page)
    await page.reload()
    await shows_a_face(page)
    assert addresses
    assert not [address for address in addresses if "token" in address or "sesame" in address]


async def test_a_token_in_the_address_opens_the_page_and_leaves_the_address(
    locked: Staged, open_page: OpenPage
) -> None:
    page = await open_page(f"{locked.url}#token=open-sesame")
    await shows_a_face(page)
    await expect(page).to_have_url(f"{locked.url}#/camera/demo")


async def test_who_may_only_watch_is_offered_nothing_else(
    locked: Staged, view_token: str, open_page: OpenPage, picture: Picture
) -> None:
    page = await open_page(f"{locked.url}#token={view_token}")
    await shows_a_face(page)
    await until(page, "() => facestream.link.roles?.length === 1")
    await expect(page.locator("#camera-edit")).to_be_hidden()
    await expect(page.locator("#camera-start")).to_be_hidden()
    await page.get_by_role("link", name="Cameras", exact=True).click()
    await expect(page.locator("#add")).to_be_hidden()
    await expect(page.locator(".card-edit")).to_be_hidden()
    await page.keyboard.press("a")
    await expect(page.locator("#source-dialog")).to_be_hidden()
    await page.get_by_role("link", name="Status").click()
    await expect(page.locator("#status-facts")).to_contain_text("Watch")
    await page.get_by_role("link", name="People").click()
    await page.get_by_text("Your token doesn't allow").wait_for()
    await picture(page, "view-only")

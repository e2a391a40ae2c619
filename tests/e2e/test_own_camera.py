"""*Use my camera*: Chromium's fake camera plays a real face."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from facestream.tests.e2e.conftest import OpenPage, Picture
from facestream.tests.e2e.looking import difference, fits, moves, painted_anew, pixels, until, when
from facestream.tests.e2e.serving import Served
from facestream.tests.e2e.staging import Staged
from facestream.tests.e2e.test_viewer import PHONE

pytestmark = pytest.mark.asyncio(loop_scope="session")

OWN = "facestream.camera.stage"
ANSWERS = "facestream.camera.answers"


async def use_my_camera(page: Page) -> None:
    await page.locator("#camera-start").click()
    await until(page, f"() => {OWN}.message?.faces.some(face => face.track >= 0)")


async def some_more_answers(page: Page, count: int = 10) -> None:
    answers = await page.evaluate(ANSWERS)
    await until(page, f"least => {ANSWERS} >= least", answers + count)


async def test_boxes_lie_on_the_persons_own_picture_in_the_very_frame_that_they_were_found_in(
    server: Served, open_page: OpenPage, picture: Picture
) -> None:
    page = await open_page(server.url)
    await use_my_camera(page)
    await some_more_answers(page)
    await moves(page, "#own canvas")
    message = await when(page, f"() => {OWN}.message")
    assert message["source"] == await page.evaluate("facestream.camera.name")
    await picture(page, "camera")
    brightness = await when(
        page,
        """() => {
             // The picture on the stage, sent once more, must be the picture that the answer's box was found in:
             // inside that box it is brighter than the dark wall of the clip's left edge.
             const { picture, message } = facestream.camera.stage, box = message?.faces[0]?.box;
             if (!box) return null;
             const scale = picture.width / message.size[0];
             const context = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
             context.drawImage(picture, 0, 0);
             const mean = (x, y, w, h) => {
               const { data } = context.getImageData(x * scale, y * scale, w * scale, h * scale);
               return data.reduce((sum, value) => sum + value, 0) / data.length;
             };
             const [left, top, right, bottom] = box, [x, y] = [(left + right) / 2, (top + bottom) / 2];
             return { face: mean(x - 20, y - 20, 40, 40), wall: mean(0, 0, 40, 40) };
           }""",
    )
    assert brightness["face"] > brightness["wall"] + 20


async def test_never_more_than_two_frames_are_on_their_way(server: Served, open_page: OpenPage) -> None:
    page = await open_page(server.url)
    await use_my_camera(page)
    most = await page.evaluate(
        """() => new Promise(done => {
             const { camera } = facestream, until = camera.answers + 12;
             let most = 0;
             const look = () => {
               most = Math.max(most, camera.inFlight);
               camera.answers >= until ? done(most) : setTimeout(look, 1);
             };
             look();
           })"""
    )
    assert 1 <= most <= 2


async def test_the_persons_picture_is_mirrored_and_the_drawing_with_it(server: Served, open_page: OpenPage) -> None:
    page = await open_page(server.url)
    await use_my_camera(page)
    await page.evaluate("facestream.camera.video.pause()")
    await painted_anew(page)
    await until(page, "() => facestream.camera.inFlight === 0")
    await page.get_by_role("button", name="Ids").click()
    await painted_anew(page)
    mirrored = await pixels(page, "#own canvas")
    await page.get_by_role("button", name="Mirror").click()
    await painted_anew(page)
    plain = await pixels(page, "#own canvas")
    flipped = [
        plain[(row * 64 + 63 - column) * 4 + part] for row in range(36) for column in range(64) for part in range(4)
    ]
    assert difference(mirrored, flipped) < 4
    assert difference(mirrored, plain) > 10


async def test_others_see_the_camera_as_a_source_until_it_is_stopped(server: Served, open_page: OpenPage) -> None:
    own, other = await open_page(server.url, **PHONE), await open_page(f"{server.url}#/camera/demo")
    await use_my_camera(own)
    await fits(own, 390)
    name = await own.evaluate("facestream.camera.name")
    row = other.locator(".source", has_text=name)
    await row.wait_for()
    await own.get_by_role("button", name="Stop").click()
    await row.wait_for(state="detached")
    await until(own, "() => facestream.camera.video.srcObject === null")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        *(
            (f"navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', '{error}'))", words)
            for error, words in (
                ("NotAllowedError", "camera is blocked"),
                ("NotFoundError", "No camera was found"),
                ("NotReadableError", "camera is busy"),
            )
        ),
        ("Object.defineProperty(window, 'isSecureContext', { value: false })", "https://"),
    ],
)
async def test_a_camera_that_cant_be_had_says_why(stage: Staged, open_page: OpenPage, script: str, words: str) -> None:
    page = await open_page(stage.url, script=script)
    await page.locator("#camera-start").click()
    await page.get_by_role("alert").filter(has_text=words).wait_for()

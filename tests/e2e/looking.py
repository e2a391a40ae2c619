"""What a person would look for on the page, said once."""

from __future__ import annotations

import asyncio
from typing import Any

from playwright.async_api import Page

DEMO = "facestream.viewer.tiles.get('demo')?.stage"
PAINTED = "name => facestream.viewer.tiles.get(name)?.stage.painted ?? 0"
FACES = "name => facestream.viewer.tiles.get(name)?.stage.message?.faces ?? []"


async def when(page: Page, question: str, argument: Any = None, *, within: float = 60.0) -> Any:
    """What ``question``, a JavaScript function, gives once that is something. (The page's policy forbids
    wait_for_function.)
    """
    body = f"""async argument => {{
      for (;;) {{
        const found = await ({question})(argument);
        if (found) return found;
        await new Promise(done => setTimeout(done, 20));
      }}
    }}"""
    try:
        return await asyncio.wait_for(page.evaluate(body, argument), within)
    except TimeoutError:
        raise AssertionError(f"not so within {within:g} s: {question}") from None


async def until(page: Page, condition: str, argument: Any = None) -> None:
    """Wait until ``condition``, a JavaScript function, holds."""
    await when(page, condition, argument)


async def shows_a_face(page: Page, source: str = "demo") -> None:
    """Wait until the source's picture is there and a confirmed face is in it."""
    await until(page, f"name => ({FACES})(name).some(face => face.track >= 0)", source)


async def a_message_with_a_face(page: Page, stage: str = DEMO) -> dict[str, Any]:
    """What the server says of a picture in which it found one face, and has confirmed it."""
    message: dict[str, Any] = await when(
        page,
        f"() => {{ const m = {stage}?.message; return m?.faces.length === 1 && m.faces[0].track >= 0 && m; }}",
    )
    return message


async def goes_on(page: Page, source: str = "demo", pictures: int = 3) -> None:
    """Wait until some more pictures have been painted."""
    before = await page.evaluate(PAINTED, source)
    await until(page, f"([name, least]) => ({PAINTED})(name) >= least", [source, before + pictures])


async def stops(page: Page) -> None:
    """Let no more pictures come, whatever the page hears of its sources."""
    await page.evaluate("() => { const { viewer } = facestream; viewer.watch = () => {}; viewer.pause(); }")


async def fits(page: Page, width: int) -> None:
    """Wait until the window is as wide as it was made, and nothing wider than that."""
    await until(page, "width => innerWidth === width && document.documentElement.scrollWidth <= width", width)


async def painted_anew(page: Page) -> None:
    """Wait until what was to be drawn is drawn."""
    await page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


async def pixels(page: Page, canvas: str = "#stages canvas") -> list[int]:
    """A canvas as the person sees it, scaled down to 64 × 36 RGBA."""
    values: list[int] = await page.evaluate(
        """selector => {
             const small = new OffscreenCanvas(64, 36).getContext("2d");
             small.drawImage(document.querySelector(selector), 0, 0, 64, 36);
             return [...small.getImageData(0, 0, 64, 36).data];
           }""",
        canvas,
    )
    return values


async def moves(page: Page, canvas: str = "#stages canvas") -> None:
    """Wait until another picture is to be seen than now."""
    first = await pixels(page, canvas)
    async with asyncio.timeout(60):
        while difference(first, await pixels(page, canvas)) <= 0.5:
            await painted_anew(page)


def difference(one: list[int], other: list[int]) -> float:
    """The mean difference of two pictures, in grey levels."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)


async def in_module(page: Page, module: str, body: str, argument: Any = None) -> Any:
    """Evaluate ``body``, a function of the module's exports and an argument, in the page."""
    return await page.evaluate(f"async argument => ({body})(await import('/{module}'), argument)", argument)

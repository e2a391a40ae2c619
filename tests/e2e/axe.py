"""axe-core, which looks for what keeps people out of a page (https://github.com/dequelabs/axe-core, MPL-2.0)."""

from __future__ import annotations

from typing import Any, Final

from playwright.async_api import Page

from facestream.plugins.card import PackageFile
from facestream.plugins.weights import fetch_file

AXE: Final = PackageFile(
    package="axe-playwright-python",
    version="0.1.8",
    member="axe_playwright_python/axe.min.js",
    sha256="84494fec757e4710dc751c8d7a636e457f4532f08f85c86dc9070133fbff53bc",
    size=572_600,
)
"""axe-core 4.12.1 as that package carries it."""

RUN: Final = """async () => (await axe.run({ resultTypes: ["violations"] })).violations
    .map(({ id, impact, help, nodes }) => ({ id, impact, help, where: nodes.map(({ html }) => html.slice(0, 160)) }))"""


def axe_script() -> str:
    """To be there in a page before :func:`findings` is asked for.

    Raises:
        WeightsMissing: it isn't in the cache and can't be fetched.
    """
    return fetch_file(AXE).read_text(encoding="utf-8")


async def findings(page: Page) -> list[dict[str, Any]]:
    """What axe holds against the page as it is now: ``id``, ``impact``, ``help`` and ``where``."""
    found: list[dict[str, Any]] = await page.evaluate(RUN)
    return found

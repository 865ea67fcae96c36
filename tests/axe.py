"""What axe, the checker of accessibility, has to say about our part of a page."""

from __future__ import annotations

from pathlib import Path

import axe_playwright_python
from playwright.async_api import Page

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
# Only words come back: all that axe has passed takes longer on its way than axe does.
RUN = """async () => {
  const { violations } = await axe.run(".durable-demo", { resultTypes: ["violations"] });
  const words = (text) => text.slice(0, 200);
  return violations.flatMap(({ id, nodes }) => nodes.map((one) => `${id}: ${words(one.html)} (${words(one.failureSummary)})`));
}"""  # noqa: E501


async def violations(page: Page) -> list[str]:
    """What axe has to say, as `rule: element (what to do)`."""
    if not await page.evaluate("() => 'axe' in window"):
        await page.evaluate(AXE)
    found: list[str] = await page.evaluate(RUN)
    return found

"""Fixtures: widgets over a scripted session, and a page in Chromium."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator

import comm
import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Error, Page, async_playwright, expect

from durable_demo.background import BackgroundLoop
from tests.widgets.fakes import FakeSession, RecordingComm
from tests.widgets.page import ORIGIN, WidgetPage

CHROMIUM = shutil.which("chromium")
DEADLINE_MS = 60_000
"""Of every wait in a page: the machine may be busy with other things."""

expect.set_options(timeout=DEADLINE_MS)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSession]:
    """A session without Temporal; what its widgets send is recorded by their comm."""
    monkeypatch.setattr(comm, "create_comm", RecordingComm)
    background = BackgroundLoop()
    background.start()
    yield FakeSession(background)
    background.close()


@pytest_asyncio.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for all tests."""
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        )
        yield launched
        await launched.close()


@pytest.fixture(scope="session")
def pages() -> dict[bool, Page]:
    """The page of the tests that replace its clock, and that of the others: a new one takes as long as many tests."""
    return {}


@pytest_asyncio.fixture
async def widget_page(
    browser: Browser, pages: dict[bool, Page], request: pytest.FixtureRequest
) -> AsyncIterator[WidgetPage]:
    """A page for one widget; an error in its script fails the test."""
    clocked = request.node.get_closest_marker("page_clock") is not None
    page = pages.get(clocked) or await (await browser.new_context(timezone_id="UTC")).new_page()
    pages[clocked] = page
    page.set_default_timeout(DEADLINE_MS)
    errors: list[str] = []

    def keep(error: Error) -> None:
        errors.append(str(error))

    def keep_complaint(message: ConsoleMessage) -> None:
        if message.type == "error":  # so an error in a timer is told while the clock is replaced
            errors.append(message.text)

    page.on("pageerror", keep)
    page.on("console", keep_complaint)
    yield WidgetPage(page)
    if not clocked and await page.evaluate("() => '__pwClock' in globalThis"):
        await pages.pop(clocked).context.close()  # each further page of this context would have that clock
    else:
        page.remove_listener("pageerror", keep)
        page.remove_listener("console", keep_complaint)
        if page.url.startswith(ORIGIN):
            await page.evaluate("() => sessionStorage.clear()")
        await page.unroute_all()
        await page.emulate_media(reduced_motion="null")
        await page.mouse.move(0, 0)
        await page.goto("about:blank")
    assert errors == []

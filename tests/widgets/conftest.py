"""Fixtures: widgets over a scripted session, and a page in Chromium."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator

import comm
import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, async_playwright, expect

from durable_demo.background import BackgroundLoop
from tests.widgets.fakes import FakeSession, RecordingComm
from tests.widgets.page import WidgetPage

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
async def browser() -> AsyncIterator[BrowserContext]:
    """One Chromium for all tests; all pages in one process, since its start takes longer than most tests."""
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--renderer-process-limit=1"],
        )
        context = await launched.new_context(timezone_id="UTC")
        await context.new_page()  # keeps that process alive
        yield context
        await launched.close()


@pytest_asyncio.fixture
async def widget_page(browser: BrowserContext) -> AsyncIterator[WidgetPage]:
    """A page for one widget; an error in its script fails the test."""
    page = await browser.new_page()
    page.set_default_timeout(DEADLINE_MS)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield WidgetPage(page)
    await page.close()
    assert errors == []

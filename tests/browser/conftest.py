"""Fixtures: one JupyterLab and one Chromium for a module, a page for each test."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, async_playwright

from durable_demo import Session
from tests.browser.jupyterlab import Lab, Notebook

OpenNotebook = Callable[[str], Awaitable[Notebook]]

# The resolver's rule makes sure that nothing leaves the machine; the tests look whether anything tried.
CHROMIUM = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--no-first-run",
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    """JupyterLab with its stack."""
    lab = Lab(tmp_path_factory.mktemp("lab"))
    try:
        await lab.start()
        yield lab
    finally:
        await lab.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def outside(lab: Lab) -> AsyncIterator[Session]:
    """A session on the same stack: what the server says, whatever the browser shows."""
    async with Session(lab.home) as session:
        yield session


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chromium(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BrowserContext]:
    """With a profile: what it has loaded and compiled of JupyterLab, it need not load and compile for the next test."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("chromium"),
            executable_path=shutil.which("chromium"),
            args=CHROMIUM,
            viewport={"width": 1400, "height": 1000},
            reduced_motion="reduce",  # drawn without a GPU, the pulsing dot alone takes a fifth of a core in each page
        )
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def open_notebook(
    lab: Lab, outside: Session, chromium: BrowserContext, request: pytest.FixtureRequest
) -> AsyncIterator[OpenNotebook]:
    """Opens a notebook of the Lab's in a fresh page. Afterwards its kernel and all workflows are ended.

    What it prints is shown by pytest for a test that failed.
    """
    opened: list[Notebook] = []

    async def open_one(name: str) -> Notebook:
        page = await chromium.new_page()
        notebook = Notebook(page, lab, name)
        opened.append(notebook)
        await notebook.open()
        return notebook

    yield open_one
    for notebook in opened:
        await notebook.screenshot(f"end-of-{re.sub(r'[^a-z0-9]+', '-', request.node.name)}")
        print("Errors in the console:", *notebook.complaints, sep="\n  ")
        await notebook.close()
        await notebook.page.close()
    print(f"JupyterLab:\n{lab.log()}")
    for item in await outside.runs():
        if item.closed is None:
            await item.run.terminate()

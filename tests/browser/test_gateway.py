"""The panel as a web page, and a real `EventSource`, in Chromium."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page

from durable_demo import Session
from durable_demo.run import Run
from tests.axe import violations
from tests.browser.jupyterlab import DEADLINE_S, SCREENSHOTS, PanelView, expect
from tests.conftest import eventually
from tests.gateway.served import TOKEN, Served, serving

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed"),
]

QUICK = {"min_sleep": 0.8, "max_sleep": 1.2, "progress_interval": 0.2}
SOME_QUOTES = re.compile(r"Quotes Delivered: [1-9]")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gateway")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway(home: Path) -> AsyncIterator[Served]:
    async with serving(home) as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def demo(gateway: Served, home: Path) -> AsyncIterator[Session]:
    """A session on the stack of the gateway: what the server says, whatever the page shows."""
    async with Session(home) as session:
        yield session


class Window:
    """A window with the page.

    Attributes:
        panel: The panel in it.
        complaints: What its console and its network complain of.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.panel = PanelView(page.locator(".durable-demo"))
        self.complaints: list[str] = []
        page.set_default_timeout(DEADLINE_S * 1000)
        page.on("console", lambda message: message.type == "error" and self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def open(self, url: str) -> None:
        await self.page.goto(url)
        await expect(self.page.get_by_role("tab", name="Chat")).to_be_visible()

    async def tab(self, name: str) -> None:
        await self.panel.tab(name).click()

    async def lines(self) -> list[str]:
        """Lines of the trace, as drawn by now."""
        return await self.panel.lines.all_inner_texts()

    async def quotes(self) -> list[str]:
        """Quotes of the trace, as drawn by now."""
        return [line.split('"', 1)[1].rstrip('"') for line in await self.lines() if '"' in line]

    async def sees(self, text: str | re.Pattern[str]) -> None:
        """What is in sight alone: tabs behind the open one follow the workflow too, each at its own pace.

        The words for screen readers count too, and may be there before the trace is drawn: `completed` waits for that.
        """
        await expect(self.panel.root).to_contain_text(text, use_inner_text=True)

    async def completed(self) -> None:
        """The trace shows that the workflow has, with all its lines: they are drawn together."""
        await expect(self.panel.status).to_have_text("COMPLETED")

    async def picture(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=SCREENSHOTS / f"page-{name}.png")


@pytest_asyncio.fixture(loop_scope="session")
async def window(chromium: BrowserContext, demo: Session) -> AsyncIterator[Window]:
    page = await chromium.new_page()
    await page.goto("about:blank")
    made = Window(page)
    yield made
    await page.close()
    for item in await demo.runs(counted=False):
        if item.status == "RUNNING":
            await item.run.terminate()


async def quotes_of(run: Run) -> list[str]:
    """The quotes as the server has them."""
    return [event.current_quote async for event in run.events(wait=False) if getattr(event, "current_quote", None)]


# --- the page --------------------------------------------------------------------------------------------------------


async def test_the_proposals_picture_works_in_a_page(gateway: Served, window: Window, demo: Session):
    page = window.page
    await window.open(gateway.url)
    assert await page.title() == "Durable AI Agent"
    await expect(page.get_by_role("heading", name="Durable AI Agent", level=1)).to_be_visible()
    await window.tab("Workflow Trace")
    await window.sees("No workflow trace available")
    await window.tab("Chat")
    await page.get_by_role("button", name="Start Monty").click()
    await expect(page.get_by_role("button", name="Monty Running...")).to_be_visible()
    await window.sees("Status: Monty workflow is running (click Workflow Trace tab to view)")
    await page.get_by_placeholder("Type your message...").fill("What's the weather in NYC?")
    await page.keyboard.press("Enter")
    await window.sees("humidity")
    await window.picture("chat")

    await window.tab("Workflow Trace")
    await window.sees("Activity sleeping for")
    await window.sees("Progress")
    await window.sees(SOME_QUOTES)
    await window.picture("trace")
    await window.panel.stop()
    before = await window.lines()
    await page.reload()
    await window.completed()
    assert [line for line in await window.lines() if "Progress" not in line] == [
        line for line in before if "Progress" not in line
    ]
    await page.get_by_role("button", name="Clear").click()
    await window.sees("No workflow trace available")
    assert window.complaints == []


async def test_a_link_leads_to_its_workflow_and_two_windows_show_the_same(
    gateway: Served, window: Window, demo: Session, chromium: BrowserContext
):
    first, second = [await demo.start_monty(**QUICK, seed=seed) for seed in (1, 2)]
    await window.open(f"{gateway.url}/?workflow={first.id}")
    await window.sees(first.id)
    await window.sees(re.compile(r"Quotes Delivered: ([2-9]|\d\d)"))
    other = Window(await chromium.new_page())
    await other.open(window.page.url)
    another = Window(await chromium.new_page())
    await another.open(f"{gateway.url}/?workflow={second.id}")
    await another.sees(second.id)
    await other.sees(first.id)
    await other.page.get_by_role("button", name="Stop Workflow").click()
    for each in (window, other):
        await each.completed()
        assert await each.quotes() == await quotes_of(first)
    await another.sees("RUNNING")
    for each in (other, another):
        await each.page.close()


async def test_a_link_to_nothing_says_so(gateway: Served, window: Window):
    await window.open(f"{gateway.url}/?workflow=monty-python-ffffffff")
    await window.sees("the server knows no such workflow")
    await window.open(f"{gateway.url}/?workflow=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
    await window.sees("not a Workflow ID")
    assert await window.page.locator("img").count() == 0


async def test_gateway_worker_and_server_are_killed_while_a_browser_watches(
    gateway: Served, window: Window, demo: Session
):
    run = await demo.start_monty(**QUICK)
    await window.open(f"{gateway.url}/?workflow={run.id}")
    await window.sees(SOME_QUOTES)

    await gateway.kill()
    await window.sees("Disconnected from the gateway")
    await window.picture("gateway-killed")
    await gateway.start()
    await expect(window.page.get_by_text("Disconnected from the gateway")).to_have_count(0)

    worker, server = demo.info.worker, demo.info.server
    assert worker
    assert server
    await _goes_on(window, run)
    assert await asyncio.to_thread(worker.kill)
    await _goes_on(window, run)
    assert await asyncio.to_thread(server.kill)
    await _goes_on(window, run)

    await window.panel.stop()
    assert await window.quotes() == await quotes_of(run)
    result = await run.result()
    await window.sees(f"Quotes Delivered: {result.total_quotes_delivered}")
    await window.picture("survived")


async def _goes_on(window: Window, run: Run) -> None:
    """Further quotes come to the page, without anybody's help."""
    shown = len(await window.quotes())
    async with asyncio.timeout(DEADLINE_S):
        while len(await window.quotes()) < shown + 2:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_can_be_used_by_all_in_both_colour_schemes(
    gateway: Served, chromium: BrowserContext, demo: Session, scheme: Any
):
    run = await demo.start_monty(**QUICK)
    page = await chromium.new_page()
    window = Window(page)
    await page.emulate_media(color_scheme=scheme)
    await window.open(f"{gateway.url}/?workflow={run.id}")
    await window.sees(SOME_QUOTES)
    for width in (1400, 450):
        await page.set_viewport_size({"width": width, "height": 900})
        assert await violations(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await window.picture(f"{scheme}-{width}")
    await window.tab("Chat")
    assert await violations(page) == []
    await page.close()
    await run.stop()


async def test_nothing_is_loaded_from_elsewhere_and_no_other_page_may_frame_it(gateway: Served, window: Window):
    asked: list[str] = []
    window.page.on("request", lambda request: asked.append(request.url))
    await window.open(gateway.url)
    assert asked
    assert all(url.startswith((gateway.url, "data:")) for url in asked)
    await window.page.goto("about:blank")  # somebody's page, without a policy of its own
    await window.page.set_content(f'<iframe src="{gateway.url}/"></iframe>')
    frame = window.page.frames[-1]
    await eventually(lambda: frame.url.startswith("chrome-error:"), "the frame to be refused")


async def test_with_a_token_the_page_opens_by_its_link_alone(home: Path, chromium: BrowserContext, demo: Session):
    async with serving(home, "--token", TOKEN) as guarded:
        page = await chromium.new_page()
        response = await page.goto(guarded.url)
        assert response
        assert response.status == 401
        await expect(page.get_by_text("This page needs its token")).to_be_visible()
        window = Window(page)
        await window.open(f"{guarded.url}/?token={TOKEN}")
        assert TOKEN not in page.url
        await page.reload()
        await expect(page.get_by_role("button", name="Start Monty")).to_be_visible()
        await chromium.clear_cookies()
        await guarded.kill()
        await guarded.start()  # with a token that this page does not know any more
        await window.sees("The token is missing or wrong. Open the address")
        await page.close()


# --- EventSource -----------------------------------------------------------------------------------------------------

FOLLOWED = ["workflow_started", "progress_update", "workflow_completed"]
FOLLOW = """async ([url, names]) => {
  window.seen = [];
  window.opened = 0;
  window.source = new EventSource(url);
  window.source.onopen = () => { window.opened += 1; };
  for (const name of names) {
    window.source.addEventListener(name, ({data, lastEventId}) => {
      window.seen.push({...JSON.parse(data), id: lastEventId});
    });
  }
}"""


async def test_an_event_source_comes_back_by_itself_and_misses_nothing(gateway: Served, window: Window, demo: Session):
    page = window.page
    await page.goto(f"{gateway.url}/openapi.json")
    # So many iterations that the workflow runs on while the gateway is away.
    stream = f"{gateway.url}/monty/stream?min_sleep=0.5&max_sleep=1&iterations=20"
    await page.evaluate(FOLLOW, [stream, FOLLOWED])
    await page.wait_for_function("window.seen.filter((event) => event.current_quote).length >= 2")
    await gateway.kill()
    await gateway.start()
    await page.wait_for_function("window.seen.at(-1).event === 'workflow_completed'")
    await page.wait_for_function("window.source.readyState === EventSource.CLOSED")  # told that nothing is left
    assert await page.evaluate("window.opened") >= 2
    seen = json.loads(await page.evaluate("JSON.stringify(window.seen)"))
    assert all(event.pop("id") == event["offset"] for event in seen)
    (workflow_id,) = {event["workflow_id"] for event in seen}
    facts = [event for event in seen if not event["tick"]]
    told = [event async for event in demo.attach(workflow_id).events(wait=False) if event.event in FOLLOWED]
    assert facts == [event.to_dict() for event in told if not event.tick]


async def test_onmessage_gets_all_events_when_they_have_no_names(gateway: Served, window: Window):
    page = window.page
    await page.goto(f"{gateway.url}/openapi.json")
    await page.evaluate(
        """async (url) => {
          window.seen = [];
          const source = new EventSource(url);
          source.onmessage = ({data}) => {
            const {event, tick} = JSON.parse(data);
            if (!tick) window.seen.push(event);
            if (window.seen.at(-1) === "workflow_completed") source.close();
          };
        }""",
        f"{gateway.url}/monty/stream?min_sleep=0.1&max_sleep=0.2&iterations=2&named=false",
    )
    await page.wait_for_function("window.seen.at(-1) === 'workflow_completed'")
    assert (await page.evaluate("window.seen"))[0] == "workflow_started"

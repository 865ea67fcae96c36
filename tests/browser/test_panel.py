"""The tabs of the panel as people use them: many workflows, timeline, history, comparison; in a real JupyterLab."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from playwright.async_api import BrowserContext

from durable_demo import Session
from tests import axe
from tests.browser.conftest import OpenNotebook
from tests.browser.jupyterlab import DEADLINE_S, SCREENSHOTS, Lab, Notebook, PanelView, Theme, expect
from tests.browser.test_lab import CLEAN, PANEL, QUOTE, SESSION, clean

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed"),
]

TABS = ("Chat", "Workflow Trace", "Timeline", "Event History", "Runs", "Compare")
QUICK = "panel.start_many(3, min_sleep=0.3, max_sleep=0.9, seed=7, iterations=4)"


async def opened(open_notebook: OpenNotebook, lab: Lab, name: str, *cells: str) -> tuple[Notebook, PanelView]:
    """A notebook with these cells behind the panel's; the panel is in view, and its kernel has spoken."""
    notebook = await open_notebook(lab.write(name, SESSION, PANEL, *cells, CLEAN))
    await notebook.run_through("Panel(")
    panel = notebook.panel()
    await expect(panel.button("Start Monty")).to_be_enabled()
    await panel.root.scroll_into_view_if_needed()
    return notebook, panel


async def violations(panel: PanelView) -> list[str]:
    """What axe finds in the panel."""
    return await axe.violations(panel.page)


async def test_several_workflows_are_started_with_own_quotes_and_acted_on_in_the_table(
    open_notebook: OpenNotebook, lab: Lab, outside: Session
) -> None:
    notebook, panel = await opened(open_notebook, lab, "many.ipynb")
    await panel.tab("Runs").click()
    await panel.root.get_by_role("button", name="Start with options").click()
    for label, text in (
        ("Number of workflows", "3"),
        ("Shortest sleep", "0.4"),
        ("Longest sleep", "0.8"),
        ("Seed", "7"),
        ("Quotes", "It is only a model.\nIt is only a MODEL."),
    ):
        await panel.root.get_by_label(label, exact=True).fill(text)
    await panel.button("Start 3 workflows").click()
    await expect(panel.root.get_by_role("alert").get_by_text("quote 2 is a duplicate")).to_be_visible()
    await notebook.screenshot("runs-form-refused")
    await panel.root.get_by_label("Quotes", exact=True).fill("It is only a model.\n<b>Ni!</b>")
    await panel.button("Start 3 workflows").click()
    await expect(panel.root.get_by_text("3 workflows started")).to_be_visible()
    rows = panel.root.locator("tbody tr")
    await expect(rows).to_have_count(3)
    await panel.root.get_by_role("button", name="Start with options").click()

    row = rows.nth(1)
    workflow_id = await row.locator("code, .dd-rt-id").first.inner_text()
    await row.get_by_role("button", name=re.compile("^Watch")).click()
    await expect(panel.tab("Workflow Trace")).to_have_attribute("aria-selected", "true")
    await expect(panel.workflow).to_have_text(workflow_id)
    # Own quotes come first; which of them, is drawn.
    await expect(panel.line(re.compile(r'Iteration [12]: "It is only a model\."'))).to_be_attached()
    await expect(panel.line(re.compile(r'Iteration [12]: "<b>Ni!</b>"'))).to_be_attached()

    await panel.tab("Runs").click()
    await expect(row.get_by_text("shown")).to_be_visible()
    await row.get_by_role("button", name=re.compile("^More")).click()
    await panel.root.get_by_role("menuitem", name="Terminate").click()
    await notebook.screenshot("runs-confirm")
    await panel.root.get_by_role("alertdialog").get_by_role("button", name="Terminate").click()
    await expect(row.get_by_text("TERMINATED")).to_be_visible()
    assert (await outside.attach(workflow_id).status()).status == "TERMINATED"

    for place in (0, 2):
        await rows.nth(place).get_by_role("checkbox").check()
    await notebook.screenshot("runs-chosen")
    await panel.root.get_by_role("group", name="Chosen runs").get_by_role("button", name="Stop").click()
    for place in (0, 2):
        await expect(rows.nth(place).get_by_text("COMPLETED")).to_be_visible()
    for item in await outside.runs():
        if item.status == "COMPLETED":
            result = await item.run.result()
            assert (item.iterations, item.quotes) == (result.total_iterations, result.total_quotes_delivered)
    await clean(notebook)


async def test_the_timeline_shows_a_killed_worker_and_what_came_in(
    open_notebook: OpenNotebook, lab: Lab, outside: Session
) -> None:
    start = "run = await panel.start_monty(min_sleep=20, max_sleep=20, seed=7)"
    notebook, panel = await opened(open_notebook, lab, "timeline.ipynb", start)
    await panel.tab("Timeline").click()
    await expect(panel.root.get_by_text("No timeline yet")).to_be_visible()
    await notebook.run_cell("start_monty")
    bars = panel.root.locator(".dd-timeline, .dd-tl, [class*='dd-tl-']").first
    await expect(bars).to_be_visible()
    await panel.tab("Workflow Trace").click()
    await expect(panel.line(re.compile(r"Iteration 1: Progress [2-9]\d%"))).to_be_visible()
    info = outside.stack.info()
    assert info is not None
    assert info.worker is not None
    psutil.Process(info.worker.pid).kill()
    await expect(panel.line("Iteration 1: attempt ")).to_be_visible()
    await panel.tab("Timeline").click()
    await panel.button("Pause").click()
    await expect(panel.button("Resume")).to_be_enabled()
    await panel.button("Resume").click()
    await expect(panel.button("Pause")).to_be_enabled()
    await panel.root.get_by_text("Show as table").click()
    table = panel.root.get_by_role("table").filter(has_text="sleep_then_quote")
    for words in ("sleep_then_quote", "pause", "resume"):
        await expect(table.get_by_text(words).first).to_be_visible()
    attempts = panel.page.get_by_role("cell", name=re.compile(r"^([2-9]|\d\d)$"))
    again = table.get_by_role("row").filter(has_text="sleep_then_quote").filter(has=attempts)
    await expect(again.first).to_be_visible()
    await panel.root.scroll_into_view_if_needed()
    await notebook.screenshot("timeline-worker-killed")

    async with panel.page.expect_download() as waiting:
        await panel.button("Save SVG").click()
    saved = await asyncio.to_thread((await (await waiting.value).path()).read_text, "utf-8")
    assert saved.startswith(("<svg", "<?xml"))
    assert "sleep_then_quote" in saved
    assert "<script" not in saved
    await clean(notebook)


async def test_the_event_history_is_filtered_read_as_json_and_opened_in_temporals_web_ui(
    open_notebook: OpenNotebook, lab: Lab
) -> None:
    notebook, panel = await opened(open_notebook, lab, "history.ipynb", f"runs = await {QUICK}")
    await notebook.run_cell("start_many")
    await panel.tab("Event History").click()
    await expect(panel.root.get_by_text("WorkflowExecutionCompleted")).to_be_visible()
    await panel.root.get_by_placeholder("Filter: type or note").fill("activitytaskcompleted")
    await expect(panel.root.get_by_text(re.compile(r"^4 of \d+ events shown$"))).to_be_visible()
    await panel.root.get_by_text("ActivityTaskCompleted").first.click()
    shown = panel.root.locator("pre").filter(has_text='"eventType"')
    await expect(shown).to_be_visible()
    assert json.loads(await shown.inner_text())["result"]["quote"]
    await notebook.screenshot("history-json")

    async with panel.page.context.expect_page() as waiting:
        await panel.root.get_by_role("link", name="Open in Temporal Web UI").click()
    web = await waiting.value
    # The same origin, so behind the same token.
    assert web.url.startswith(f"{lab.url}/proxy/absolute/")
    await expect(web.get_by_text("sleep_then_quote").first).to_be_visible()
    await web.screenshot(path=SCREENSHOTS / "temporal-web-ui.png")
    await web.close()
    await clean(notebook)


async def test_a_conversation_has_a_timeline_too(open_notebook: OpenNotebook, lab: Lab) -> None:
    notebook, panel = await opened(open_notebook, lab, "chat-timeline.ipynb")
    await panel.ask("Which is warmer, Cairo or Oslo?")
    await expect(panel.answers.first).to_contain_text("Cairo")
    await panel.root.get_by_role("group", name="Conversations").get_by_role("button", name="Timeline").click()
    await expect(panel.tab("Timeline")).to_have_attribute("aria-selected", "true")
    await panel.root.get_by_text("Show as table").click()
    table = panel.root.get_by_role("table").filter(has_text="ask_model")
    await expect(table.get_by_role("row").filter(has_text="get_weather")).to_have_count(2)
    await panel.root.scroll_into_view_if_needed()
    await notebook.screenshot("timeline-chat")
    await clean(notebook)


async def test_chosen_workflows_are_compared(open_notebook: OpenNotebook, lab: Lab, outside: Session) -> None:
    notebook, panel = await opened(open_notebook, lab, "compare.ipynb", f"runs = await {QUICK}")
    await notebook.run_cell("start_many")
    await panel.tab("Compare").click()
    await expect(panel.root.get_by_text("Nothing to compare yet")).to_be_visible()
    await panel.tab("Runs").click()
    rows = panel.root.locator("tbody tr")
    for place in range(3):
        await expect(rows.nth(place).get_by_text("COMPLETED")).to_be_visible()
        await rows.nth(place).get_by_role("checkbox").check()
    ids = [item.workflow_id for item in (await outside.runs())[:3]]
    await panel.root.get_by_role("button", name="Compare", exact=True).click()
    await expect(panel.tab("Compare")).to_have_attribute("aria-selected", "true")
    table = panel.root.get_by_role("tabpanel").get_by_role("table")
    for workflow_id in ids:
        await expect(table.get_by_text(workflow_id)).to_be_visible()
    comparison = await outside.compare(*ids)
    assert [run.count for run in comparison.runs] == [4, 4, 4]
    await notebook.screenshot("compare")
    await clean(notebook)


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_every_tab_is_sound_and_fits_in_every_width(open_notebook: OpenNotebook, lab: Lab, theme: Theme) -> None:
    """Empty, then with workflows that run and one that failed to be found; pictures are kept of each."""
    more = f"runs = await {QUICK}\nawait panel.compare(*runs)\nawait panel.until(lambda trace: trace.summary.ended)"
    notebook, panel = await opened(open_notebook, lab, f"look-{theme}.ipynb", more)
    await notebook.set_theme(theme)
    page = notebook.page
    for state in ("empty", "full"):
        if state == "full":
            await notebook.run_cell("start_many")
            await panel.tab("Chat").click()
            await panel.ask("What's the weather in NYC?")
            await expect(panel.answers.first).to_contain_text("New York")
        for width in (1400, 450):
            await page.set_viewport_size({"width": width, "height": 1000})
            for name in TABS:
                await panel.tab(name).click()
                await expect(panel.tab(name)).to_have_attribute("aria-selected", "true")
                await expect(panel.root.get_by_text("Looking for workflows")).to_have_count(0)
                await panel.root.scroll_into_view_if_needed()
                assert await violations(panel) == [], f"{name}, {state}, {width} px"
                assert await panel.sticking_out() == [], f"{name}, {state}, {width} px"
                await notebook.screenshot(f"tab-{name.lower().replace(' ', '-')}-{state}-{theme}-{width}")
    await page.set_viewport_size({"width": 1920, "height": 1080})
    for name in TABS:
        await panel.tab(name).click()
        await panel.root.scroll_into_view_if_needed()
        assert await panel.sticking_out() == [], f"{name}, 1920 px"
        await notebook.screenshot(f"tab-{name.lower().replace(' ', '-')}-projector-{theme}")
    await page.set_viewport_size({"width": 1400, "height": 1000})
    await clean(notebook)


async def test_a_workflow_that_does_not_exist_is_told_with_its_remedy(open_notebook: OpenNotebook, lab: Lab) -> None:
    notebook, panel = await opened(
        open_notebook, lab, "missing.ipynb", "compared = panel.compare('monty-python-00000000')"
    )
    await notebook.run_cell("panel.compare")
    alert = panel.root.get_by_role("alert")
    await expect(alert).to_contain_text("monty-python-00000000")
    await expect(alert).to_contain_text("Next:")
    await notebook.screenshot("error")
    assert await violations(panel) == []


async def test_an_executed_notebook_is_readable_without_widgets_and_without_a_network(
    open_notebook: OpenNotebook, lab: Lab, chromium: BrowserContext, tmp_path: Path
) -> None:
    """Papermill, then nbconvert's page offline, what GitHub keeps, the text, and a Lab that does not trust it."""
    source = lab.notebooks / "05_watch_and_compare_many_workflows.ipynb"
    options = ["--out", str(tmp_path), "-p", "slow_sleep", "2"]
    command = [sys.executable, "-m", "durable_demo", "run", str(source), *options]
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=lab.notebooks,
        env=lab.environment,
        capture_output=True,
        text=True,
        timeout=3 * DEADLINE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    page = await chromium.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    await page.goto((tmp_path / source.name).with_suffix(".html").as_uri(), wait_until="domcontentloaded")
    body = page.locator("body")
    for words in ("Status: COMPLETED", "sleep_then_quote", "Iterations: 4 | Quotes Delivered: 4", "Quotes", "median"):
        await expect(body).to_contain_text(words)
    await expect(page.get_by_text(QUOTE).first).to_be_visible()
    await expect(page.get_by_text("Error displaying widget")).to_have_count(0)
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    await page.screenshot(path=SCREENSHOTS / "nbconvert-executed.png", full_page=True)
    await page.close()

    executed = json.loads((tmp_path / source.name).read_text(encoding="utf-8"))
    assert "widgets" not in executed["metadata"]
    bundles = [output["data"] for cell in executed["cells"] for output in cell.get("outputs", []) if "data" in output]
    assert not [bundle for bundle in bundles if "application/vnd.jupyter.widget-view+json" in bundle]
    texts = ["".join(bundle["text/plain"]) for bundle in bundles]
    # What GitHub and an untrusted Lab leave out is not needed.
    pages = ["".join(bundle.get("text/html", "")) for bundle in bundles]
    assert not re.search(r"<(script|style|svg)|\bstyle=|\bclass=", "".join(pages))
    for words in ("sleep_then_quote", "Workflow completed after 4 iterations", "Iterations"):
        assert any(words in text for text in texts), words
        assert any(words in text for text in pages), words

    shutil.copyfile(tmp_path / source.name, lab.notebooks / "executed.ipynb")
    notebook = await open_notebook("executed.ipynb")
    outputs = notebook.page.locator(".jp-Notebook")
    await notebook.page.get_by_text("Workflow completed after 4 iterations").first.scroll_into_view_if_needed()
    for words in ("Status: COMPLETED", "sleep_then_quote"):
        await expect(outputs).to_contain_text(words)
    await expect(notebook.page.get_by_text("Error displaying widget")).to_have_count(0)
    await notebook.screenshot("executed-not-trusted")

"""End to end: the real panel in a real JupyterLab in Chromium, on a real Temporal server."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys

import psutil
import pytest
from playwright.async_api import BrowserContext

from durable_demo import Session
from durable_demo.trace import EMPTY_HINT, EMPTY_TITLE
from tests.browser.conftest import OpenNotebook
from tests.browser.jupyterlab import DEADLINE_S, SCREENSHOTS, Lab, Notebook, PanelView, Theme, expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed"),
]

SESSION = "from durable_demo import Panel, Session\ndemo = await Session().start()"
PANEL = "panel = Panel(demo, attach=False)\npanel"
CLEAN = "await demo.assert_clean()"
QUOTE = re.compile(r'Iteration \d+: ".+"')
PROGRESS = re.compile(r"Iteration 1: Progress \d+%")


async def clean(notebook: Notebook) -> None:
    """Neither kernel nor browser has anything to complain of, and nothing was asked for outside of this machine."""
    await notebook.run_cell("assert_clean")
    assert notebook.complaints == []
    assert notebook.strangers == []


async def delivered(panel: PanelView) -> list[str]:
    return await panel.lines.filter(has_text=QUOTE).locator("span").all_text_contents()


async def test_start_watch_stop_reload_and_restart_on_the_first_notebook(
    open_notebook: OpenNotebook, outside: Session
) -> None:
    notebook = await open_notebook("00_start_here.ipynb")
    await notebook.run_all()
    panel = notebook.panel()
    await panel.root.scroll_into_view_if_needed()
    await panel.tab("Workflow Trace").click()
    await expect(panel.status).to_have_text("COMPLETED")
    await notebook.screenshot("first-notebook-run-all")

    workflow_id = await panel.start()
    await expect(panel.root.get_by_text("Monty workflow is running (click Workflow Trace tab to view)")).to_be_visible()
    await panel.tab("Workflow Trace").click()
    await expect(panel.line("Iteration 1: Activity sleeping for")).to_be_visible()
    await expect(panel.line(PROGRESS)).to_be_visible()
    await expect(panel.line(QUOTE)).to_be_visible()
    await notebook.screenshot("first-notebook-quote")

    await panel.tab("Chat").click()
    await expect(panel.log).to_be_hidden()
    await panel.root.get_by_role("button", name="Status: Monty workflow is running").click()
    await expect(panel.log).to_be_visible()
    await panel.stop()
    result = await outside.attach(workflow_id).result()
    assert result.final_status == "stopped"
    totals = (
        f"Iterations: {result.total_iterations} | Quotes Delivered: {result.total_quotes_delivered} | Total Runtime"
    )
    await expect(panel.totals).to_contain_text(totals)
    assert len(await delivered(panel)) == result.total_quotes_delivered
    await notebook.screenshot("first-notebook-totals")
    await panel.button("Clear").click()
    await expect(panel.root.get_by_text(EMPTY_TITLE)).to_be_visible()
    await expect(panel.root.get_by_text(EMPTY_HINT)).to_be_visible()

    workflow_id = await panel.start()
    await panel.tab("Workflow Trace").click()
    await expect(panel.line(QUOTE)).to_be_visible()
    before = await delivered(panel)
    await notebook.command("docmanager:save")
    await notebook.reload()
    await expect(panel.workflow).to_have_text(workflow_id)
    await expect(panel.tab("Workflow Trace")).to_have_attribute("aria-selected", "true")
    await expect(panel.line("Workflow started")).to_be_visible()
    assert (await delivered(panel))[: len(before)] == before
    await expect(panel.line('Iteration 2: "')).to_be_visible()
    await panel.root.scroll_into_view_if_needed()
    await notebook.screenshot("first-notebook-reloaded")

    await notebook.restart_kernel()
    await expect(panel.root.get_by_text("Disconnected from the kernel - run")).to_be_visible()
    await expect(panel.button("Stop Workflow")).to_be_disabled()
    await panel.root.scroll_into_view_if_needed()
    await notebook.screenshot("first-notebook-kernel-lost")
    await notebook.run_through("Panel(")
    await panel.tab("Workflow Trace").click()
    await expect(panel.workflow).to_have_text(workflow_id)
    await expect(panel.line("Workflow started")).to_be_attached()
    await expect(panel.line('Iteration 3: "')).to_be_visible()
    quotes = await delivered(panel)
    assert quotes[: len(before)] == before
    assert len(quotes) == len({quote.split(":")[0] for quote in quotes}), "each iteration delivers once"
    await notebook.screenshot("first-notebook-attached-again")
    await panel.stop()
    await clean(notebook)


async def test_pause_resume_and_cancel_by_click(open_notebook: OpenNotebook, lab: Lab, outside: Session) -> None:
    notebook = await open_notebook(lab.write("pause.ipynb", SESSION, PANEL, CLEAN))
    await notebook.run_through("Panel(")
    panel = notebook.panel()
    run = outside.attach(await panel.start())
    await panel.tab("Workflow Trace").click()
    await expect(panel.line(PROGRESS)).to_be_visible()

    await panel.button("Pause").click()
    await expect(panel.status).to_have_text("PAUSED")
    assert (await run.progress())["paused"] is True
    await panel.button("Resume").click()
    await expect(panel.status).to_have_text("RUNNING")
    await expect(panel.line("Resumed")).to_be_visible()
    await expect(panel.line(QUOTE)).to_be_visible()
    await panel.button("Cancel").click()
    await expect(panel.status).to_have_text("CANCELED")
    assert (await run.status()).status == "CANCELED"
    for name in ("Pause", "Cancel"):
        await expect(panel.button(name)).to_be_disabled()
    await panel.button("Stop Workflow").click()
    await expect(panel.root.get_by_text(f"{run.id} has already ended: CANCELED")).to_be_visible()
    await notebook.screenshot("stop-after-the-end")
    await panel.tab("Chat").click()
    await expect(panel.button("Start Monty")).to_be_enabled()
    await clean(notebook)


async def test_the_keyboard_alone_is_enough_and_notebook_shortcuts_do_not_leak(
    open_notebook: OpenNotebook, lab: Lab
) -> None:
    notebook = await open_notebook(lab.write("keyboard.ipynb", SESSION, PANEL, CLEAN))
    await notebook.run_through("Panel(")
    panel = notebook.panel()
    press = notebook.page.keyboard.press
    await expect(panel.button("Start Monty")).to_be_enabled()

    await notebook.page.locator(".jp-Notebook .jp-Cell").nth(1).locator(".cm-content").focus()
    await press("Escape")
    for _ in range(20):
        await press("Tab")
        if await panel.tab("Chat").evaluate("(tab) => tab === document.activeElement"):
            break
    await expect(panel.tab("Chat")).to_be_focused()
    await press("Tab")
    await expect(panel.button("Start Monty")).to_be_focused()
    await press("Enter")
    await expect(panel.button("Monty Running...")).to_be_focused()
    await press("Shift+Tab")
    await press("ArrowRight")
    await expect(panel.tab("Workflow Trace")).to_be_focused()
    await expect(panel.line("Iteration 1: Activity sleeping")).to_be_visible()
    await press("Tab")
    await expect(panel.button("Stop Workflow")).to_be_focused()
    await press("Tab")
    await expect(panel.button("Pause")).to_be_focused()
    await press("Space")
    await expect(panel.status).to_have_text("PAUSED")
    await expect(panel.button("Resume")).to_be_focused()
    await notebook.screenshot("keyboard-focus-on-resume")

    for place in (panel.button("Resume"), panel.tab("Workflow Trace"), panel.log):
        await place.focus()
        for key in ("a", "b", "c", "v", "x", "m", "d", "d", "z"):
            await press(key)
        await expect(place).to_be_focused()
    await expect(notebook.page.locator(".jp-Notebook .jp-Cell")).to_have_count(3)
    await expect(notebook.page.locator(".jp-Notebook .jp-CodeCell")).to_have_count(3)

    await panel.tab("Workflow Trace").focus()
    await press("Tab")
    await press("Enter")
    await expect(panel.status).to_have_text("COMPLETED")
    await clean(notebook)


async def test_looks_in_both_themes_wide_and_narrow(open_notebook: OpenNotebook, lab: Lab) -> None:
    notebook = await open_notebook(lab.write("looks.ipynb", SESSION, PANEL, CLEAN))
    await notebook.run_through("Panel(")
    panel = notebook.panel()
    themes: list[Theme] = ["light", "dark"]

    async def look(state: str) -> None:
        """In the theme that is there, and then in the other one: each change takes a second."""
        for theme in themes:
            await notebook.set_theme(theme)
            for width in (1400, 450):
                await notebook.page.set_viewport_size({"width": width, "height": 1000})
                await panel.tab("Chat").scroll_into_view_if_needed()
                assert await panel.sticking_out() == [], f"{state}, {theme}, {width} px"
                await expect(panel.root).to_have_css("color-scheme", theme)
                await expect(panel.root.get_by_role("button", name="Jump to latest")).to_be_hidden()
                await notebook.screenshot(f"{state}-{theme}-{width}")
        themes.reverse()

    await expect(panel.button("Start Monty")).to_be_enabled()
    await look("chat-empty")
    await panel.tab("Workflow Trace").click()
    await look("trace-empty")
    await panel.start()
    await look("chat-running")
    await panel.tab("Workflow Trace").click()
    await expect(panel.line(QUOTE)).to_be_visible()
    await look("trace-running")
    await panel.button("Pause").click()
    await expect(panel.status).to_have_text("PAUSED")
    await look("trace-paused")
    await panel.button("Resume").click()
    await expect(panel.status).to_have_text("RUNNING")
    await panel.stop()
    await look("trace-completed")
    await clean(notebook)


async def test_two_panels_in_one_notebook_keep_to_themselves(
    open_notebook: OpenNotebook, lab: Lab, outside: Session
) -> None:
    notebook = await open_notebook(lab.write("two.ipynb", SESSION, PANEL, PANEL.replace("panel", "other"), CLEAN))
    await notebook.run_through("other = ")
    first, second = notebook.panel(0), notebook.panel(1)
    first_id = await first.start()
    await expect(second.button("Start Monty")).to_be_enabled()
    await second.tab("Workflow Trace").click()
    await expect(second.root.get_by_text(EMPTY_TITLE)).to_be_visible()
    await expect(first.tab("Chat")).to_have_attribute("aria-selected", "true")
    second_id = await second.start()
    assert second_id != first_id

    await first.stop()
    await expect(second.button("Monty Running...")).to_be_disabled()
    assert (await outside.attach(second_id).status()).status == "RUNNING"
    await second.tab("Workflow Trace").click()
    await expect(second.workflow).to_have_text(second_id)
    await expect(first.workflow).to_have_text(first_id)
    ids = await notebook.page.locator(".durable-demo [id]").evaluate_all("(nodes) => nodes.map((node) => node.id)")
    assert len(ids) == len(set(ids))
    await notebook.screenshot("two-panels")
    await second.stop()
    await clean(notebook)


async def test_a_cell_that_is_run_again_leaves_no_follower_behind(open_notebook: OpenNotebook, lab: Lab) -> None:
    again = "shown = Panel(demo)\nshown"
    only_one = (
        "import asyncio\nfrom ipywidgets.widgets.widget import _instances\n"
        "async with asyncio.timeout(60):\n"
        "    while [w for w in _instances.values() if isinstance(w, Panel) and w._watched.active] != [shown]:\n"
        "        await asyncio.sleep(0.1)\n"
        "await shown.until(lambda trace: (trace.summary.quotes or 0) > 1, timeout=60)"
    )
    notebook = await open_notebook(lab.write("again.ipynb", SESSION, again, only_one, CLEAN))
    await notebook.run_through("shown = ")
    await notebook.panel().start()
    for _ in range(4):
        await notebook.run_cell("shown = ")
        await expect(notebook.panel().button("Monty Running...")).to_be_visible()
    await notebook.run_cell("asyncio.timeout")
    await notebook.panel().stop()
    await clean(notebook)


async def test_clicks_work_while_a_cell_is_busy(open_notebook: OpenNotebook, lab: Lab) -> None:
    busy = (
        "import time\nfrom pathlib import Path\n"
        "ends = time.monotonic() + 120\n"
        "while not Path('let-go').exists() and time.monotonic() < ends:\n    time.sleep(0.1)"
    )
    notebook = await open_notebook(lab.write("busy.ipynb", SESSION, PANEL, busy, CLEAN))
    await notebook.run_through("Panel(")
    panel = notebook.panel()
    await expect(panel.button("Start Monty")).to_be_enabled()
    prompt = await notebook.begin_cell("let-go")
    await expect(prompt).to_have_text("[*]:")

    await panel.start()
    await panel.tab("Workflow Trace").click()
    await expect(panel.line(QUOTE)).to_be_visible()
    await panel.button("Pause").click()
    await expect(panel.status).to_have_text("PAUSED")
    await panel.stop()
    await expect(prompt).to_have_text("[*]:")
    await notebook.screenshot("clicks-while-busy")
    (lab.notebooks / "let-go").touch()
    await clean(notebook)
    await expect(prompt).to_have_text("[3]:")


async def test_the_trace_goes_on_when_the_worker_is_killed(
    open_notebook: OpenNotebook, lab: Lab, outside: Session
) -> None:
    start = "run = await panel.start_monty(min_sleep=3, max_sleep=20, seed=281)"  # sleeps 18.7 s, then 3.8 s
    notebook = await open_notebook(lab.write("kill.ipynb", SESSION, PANEL, start, CLEAN))
    await notebook.run_through("start_monty")
    panel = notebook.panel()
    await panel.tab("Workflow Trace").click()
    await expect(panel.line(re.compile(r"Iteration 1: Progress [2-9]\d%"))).to_be_visible()
    info = outside.stack.info()
    assert info is not None
    assert info.worker is not None
    psutil.Process(info.worker.pid).kill()

    # From its checkpoint. Another attempt may have been before: a Worker that is too busy is taken for a dead one.
    again = panel.line(re.compile(r"Iteration 1: attempt \d+, goes on from ([2-9]\d|100)%"))
    await expect(again).to_be_visible()
    await notebook.screenshot("worker-killed")
    await expect(panel.line('Iteration 2: "')).to_be_visible()
    assert [quote.split(":")[0] for quote in await delivered(panel)][:2] == ["Iteration 1", "Iteration 2"]
    await panel.stop()
    await clean(notebook)


async def test_a_saved_notebook_shows_the_whole_trace_in_nbconvert(
    open_notebook: OpenNotebook, lab: Lab, chromium: BrowserContext
) -> None:
    watch = (
        "run = await panel.start_monty(min_sleep=0.2, max_sleep=0.4, seed=7, iterations=3)\n"
        "trace = await panel.until(lambda trace: trace.summary.ended, timeout=60)"
    )
    name = lab.write("static.ipynb", SESSION, PANEL, watch, CLEAN)
    notebook = await open_notebook(name)
    await notebook.run_all()
    panel = notebook.panel()
    await panel.tab("Workflow Trace").click()
    await expect(panel.line("Workflow completed after 3 iterations and 3 quotes")).to_be_visible()
    quotes = await delivered(panel)
    assert len(quotes) == 3
    await notebook.command("docmanager:save")
    await clean(notebook)

    convert = [sys.executable, "-m", "nbconvert", "--to", "html", name]
    done = await asyncio.to_thread(
        subprocess.run,
        convert,
        cwd=lab.notebooks,
        env=lab.environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0, done.stderr
    page = await chromium.new_page()
    await page.goto((lab.notebooks / name).with_suffix(".html").as_uri(), wait_until="domcontentloaded")
    for words in [*quotes, "Status: COMPLETED", "Iterations: 3 | Quotes Delivered: 3"]:
        await expect(page.locator("body")).to_contain_text(words)
    await expect(page.get_by_text("Workflow started").last).to_have_css("font-family", re.compile("monospace"))
    await expect(page.get_by_text("Error displaying widget")).to_have_count(0)
    await page.screenshot(path=SCREENSHOTS / "nbconvert.png", full_page=True)
    await page.close()

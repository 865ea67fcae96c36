"""Break it by clicking, in a real JupyterLab: what was killed, frozen or cut, and that the workflow goes on."""

from __future__ import annotations

import asyncio
import re
import shutil
from uuid import uuid4

import pytest
from playwright.async_api import Locator

from durable_demo import Session
from tests.browser.conftest import OpenNotebook
from tests.browser.jupyterlab import Lab, Notebook, PanelView, Theme, expect
from tests.browser.test_lab import clean
from tests.browser.test_panel import opened, violations

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed"),
]

START = "run = await panel.start_monty(min_sleep=5, max_sleep=5, seed=7)"
UNEVEN = "run = await panel.start_monty(min_sleep=2, max_sleep=20, seed=1368)"
"""Sleeps 2.5, 17.2, 3.0 s: the second is long enough for what is to happen in it, however busy the machine is."""
FURTHER = re.compile(r"([2-9]|\d\d) further attempts of Activities")
"""A Worker that is too busy to be heard for a while costs one more."""
FIGURE = re.compile(r"^\d+\.\d s$")


async def at_work(open_notebook: OpenNotebook, lab: Lab, name: str) -> tuple[Notebook, PanelView, Locator]:
    """A Monty that has delivered a quote and sleeps again; the tab Break it is shown. Returns its stopwatch too."""
    notebook, panel = await opened(open_notebook, lab, name, UNEVEN)
    await notebook.run_cell("start_monty")
    await panel.tab("Workflow Trace").click()
    await expect(panel.line(re.compile(r"Iteration 2: Progress [2-5]\d%"))).to_be_visible()
    await panel.tab("Break it").click()
    await expect(panel.root.get_by_text("Nothing is broken", exact=True)).to_be_visible()
    await panel.root.scroll_into_view_if_needed()
    return notebook, panel, panel.root.get_by_role("group", name="Workflow")


async def healthy(panel: PanelView) -> None:
    """Nothing is broken, and server and Worker run."""
    await expect(panel.root.get_by_text("Nothing is broken", exact=True)).to_be_visible()
    processes = panel.root.get_by_role("list", name="Processes").get_by_role("listitem").filter(visible=True)
    await expect(processes).to_have_text([re.compile(r"^Server \d+running$"), re.compile(r"^Worker \d+running")])


async def test_a_worker_is_killed_and_the_next_attempt_goes_on_from_where_the_last_one_was(
    open_notebook: OpenNotebook, lab: Lab, outside: Session
) -> None:
    notebook, panel, stopwatch = await at_work(open_notebook, lab, "killed.ipynb")
    await panel.button("Kill Worker").click()
    await expect(stopwatch).to_contain_text("without progress: it waits")
    await notebook.screenshot("break-worker-killed-waiting")
    await expect(stopwatch).to_contain_text("without progress, then it went on")
    await expect(stopwatch.locator(".dd-bk-figure")).to_have_text(FIGURE)
    await expect(stopwatch).to_contain_text(re.compile(r"\d+ further attempts? of Activities"))
    await expect(stopwatch).to_contain_text(re.compile(r"The next attempt went on from \d+ %"))
    await expect(stopwatch).to_contain_text(re.compile(r"\d+ Activit(y|ies) had completed before: none ran again"))
    for words in ("was killed (SIGKILL)", ": killed by SIGKILL", ": started", ": polls", "Progress again after"):
        await expect(stopwatch.get_by_role("listitem").filter(has_text=words).first).to_be_visible()
    await healthy(panel)
    await notebook.screenshot("break-worker-killed")
    assert await violations(panel) == []
    # It is a story of one quote for each iteration.
    await panel.tab("Workflow Trace").click()
    await expect(panel.line(re.compile(r'Iteration 3: ".+"'))).to_be_visible()
    quotes = await panel.lines.filter(has_text=re.compile(r'Iteration \d+: ".+"')).all_inner_texts()
    numbers = [int(re.findall(r"Iteration (\d+)", quote)[0]) for quote in quotes]
    assert numbers == list(range(1, len(numbers) + 1))
    await panel.stop()
    await clean(notebook)


async def test_workers_are_frozen_and_thawed(open_notebook: OpenNotebook, lab: Lab) -> None:
    notebook, panel, stopwatch = await at_work(open_notebook, lab, "frozen.ipynb")
    card = panel.root.get_by_role("group", name="Freeze Workers", exact=True)
    await card.get_by_role("textbox").fill("60")
    await card.get_by_role("textbox").press("Enter")
    await expect(panel.root.get_by_role("list", name="Broken on purpose")).to_contain_text("Workers frozen (")
    await expect(panel.root.get_by_role("list", name="Processes")).to_contain_text("frozen")
    await expect(stopwatch).to_contain_text("further attempt")
    # So that nobody wonders on another tab.
    await panel.tab("Workflow Trace").click()
    line = panel.root.get_by_role("region", name="Broken on purpose")
    await expect(line).to_contain_text("Broken on purpose: Workers frozen (")
    await notebook.screenshot("break-slim-line")
    await panel.tab("Break it").click()
    await expect(line).to_be_hidden()
    await expect(stopwatch).to_contain_text("without progress: it waits")
    await card.get_by_role("button", name="Thaw").click()
    await expect(stopwatch).to_contain_text("without progress, then it went on")
    await healthy(panel)
    await panel.stop()
    await clean(notebook)


async def test_a_server_that_is_away_is_told_as_such_and_all_goes_on_when_it_is_back(
    open_notebook: OpenNotebook, lab: Lab
) -> None:
    notebook, panel, stopwatch = await at_work(open_notebook, lab, "away.ipynb")
    card = panel.root.get_by_role("group", name="Server away", exact=True)
    await card.get_by_role("textbox").fill("15")
    await card.get_by_role("button", name="Take away").click()
    await expect(panel.root.get_by_role("list", name="Broken on purpose")).to_contain_text("server away (")
    await panel.tab("Workflow Trace").click()
    await expect(panel.root.get_by_text("Server not reachable, reconnecting").first).to_be_visible()
    await panel.tab("Break it").click()
    await notebook.screenshot("break-server-away")
    await expect(stopwatch).to_contain_text("without progress, then it went on")
    await expect(
        stopwatch.get_by_role("listitem").filter(has_text="Reconnected: the server was away").first
    ).to_be_visible()
    await healthy(panel)
    await panel.stop()
    await clean(notebook)


async def test_a_break_from_a_cell_shows_in_the_panel_and_in_the_executed_notebook(
    open_notebook: OpenNotebook, lab: Lab
) -> None:
    notebook, panel = await opened(
        open_notebook,
        lab,
        "cell.ipynb",
        START,
        "done = await demo.break_it.fail_activities(2)",
        "print(panel.recovery)",
    )
    await notebook.run_cell("start_monty")
    await panel.tab("Break it").click()
    await notebook.run_cell("fail_activities")
    stopwatch = panel.root.get_by_role("group", name="Workflow")
    await expect(stopwatch).to_contain_text("The next 2 attempts of Activities will fail.")
    await expect(stopwatch).to_contain_text(FURTHER)
    await expect(stopwatch).to_contain_text("without progress, then it went on")
    await notebook.run_cell("print(panel.recovery)")
    await expect(notebook.page.locator(".jp-OutputArea-output").last).to_contain_text(FURTHER)
    await panel.stop()
    await clean(notebook)


async def test_reset_ends_in_a_healthy_panel_from_a_dead_server_a_wedged_workflow_and_fifty_that_run(
    open_notebook: OpenNotebook, lab: Lab, outside: Session
) -> None:
    notebook, panel = await opened(open_notebook, lab, "reset.ipynb")
    client = outside.client.temporal
    wedged = f"wedged-{uuid4().hex[:8]}"
    queue = outside.client.task_queue
    started = await asyncio.gather(*(outside.start_monty(min_sleep=5, max_sleep=5) for _ in range(50)))
    await outside.background.run(
        client.start_workflow("NoSuchWorkflow", id=wedged, task_queue=queue), name="start one that nobody knows"
    )
    await panel.tab("Runs").click()
    await expect(panel.root.get_by_text(wedged).first).to_be_visible()
    await panel.tab("Break it").click()
    await panel.root.get_by_role("group", name="Server away").get_by_role("textbox").fill("300")
    await panel.root.get_by_role("button", name="Take away").click()
    await panel.root.get_by_role("button", name="Take down").click()
    await expect(panel.root.get_by_role("list", name="Broken on purpose").get_by_role("listitem")).to_have_count(2)
    await notebook.screenshot("break-before-reset")

    await panel.button("Reset everything").click()
    await panel.root.get_by_role("alertdialog").get_by_role("button", name="Reset everything").click()
    await expect(panel.root.get_by_text(re.compile(r"Reset in \d+\.\d s: 51 workflows terminated"))).to_be_visible()
    await healthy(panel)
    await notebook.screenshot("break-after-reset")
    assert {(await run.status()).status for run in started[:5]} == {"TERMINATED"}
    assert (await outside.attach(wedged).status()).status == "TERMINATED"
    # And it works: what the panel starts runs.
    await panel.start()
    await panel.stop()
    await clean(notebook)


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_the_tab_is_sound_and_fits_in_every_width(open_notebook: OpenNotebook, lab: Lab, theme: Theme) -> None:
    notebook, panel = await opened(open_notebook, lab, f"look-break-{theme}.ipynb", START)
    await notebook.set_theme(theme)
    await panel.tab("Break it").click()
    for state in ("empty", "full"):
        if state == "full":
            await notebook.run_cell("start_monty")
            await panel.root.get_by_role("button", name="Slow down").click()
            await expect(panel.root.get_by_role("list", name="Broken on purpose")).to_contain_text(
                "tools take 5 s longer"
            )
        for width in (1920, 1400, 450):
            await notebook.page.set_viewport_size({"width": width, "height": 1000})
            await panel.root.scroll_into_view_if_needed()
            assert await violations(panel) == [], f"{state}, {width} px"
            assert await panel.sticking_out() == [], f"{state}, {width} px"
            await notebook.screenshot(f"tab-break-it-{state}-{theme}-{width}")
    await panel.root.get_by_role("button", name="Usual speed").click()
    await notebook.page.set_viewport_size({"width": 1400, "height": 1000})
    await panel.stop()
    await clean(notebook)

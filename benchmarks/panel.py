"""How a page takes 10,000 events in: the panel against `Output.append_stdout`, in one JupyterLab in Chromium.

The panel reads a real workflow with that many events in its history, and shows it in its trace, timeline and event
history. The Output widget gets the first 1,000 of the same lines, at a rate below that at which Jupyter drops messages:
each line sends all lines again, so that 10,000 would take hours.
"""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from playwright.async_api import CDPSession, Page, async_playwright

from durable_demo import Session
from tests.browser.conftest import CHROMIUM
from tests.browser.jupyterlab import Lab, Notebook

EVENTS = 9_990
"""Signals that are sent before the last one: the server takes 10,000 for a workflow."""
AT_ONCE = 50
BASELINE_LINES = 1_000
LINES_PER_SECOND = 500
END = "the last line"
DEADLINE_S = 300.0

WATCH_TASKS = """() => {
  window.longTasks = [];
  new PerformanceObserver((list) => list.getEntries().forEach((entry) => window.longTasks.push(entry.duration)))
    .observe({entryTypes: ["longtask"]});
}"""


@dataclass
class Cost:
    """What it cost to show all of it.

    Attributes:
        seconds_until_shown: From the beginning to the last line in the page.
        megabytes_received: What came over the page's WebSockets meanwhile.
        seconds_of_long_tasks: Tasks of the page's main thread over 50 ms, together.
        longest_task_ms: The longest of them.
        script_heap_mb: How much the page's script heap has grown, after a collection.
    """

    seconds_until_shown: float
    megabytes_received: float
    seconds_of_long_tasks: float
    longest_task_ms: float
    script_heap_mb: float


async def measure() -> None:
    """Prints what both cost."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("\nno Chromium here: the panel was not measured")
        return
    with tempfile.TemporaryDirectory() as directory:
        lab = Lab(Path(directory))
        try:
            await lab.start()
            async with Session(lab.home) as demo, async_playwright() as playwright:
                workflow_id = await _flood(demo)
                browser = await playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)
                panel = await _cost(await browser.new_page(), lab, "panel", PANEL, f"panel.watch('{workflow_id}')")
                output = await _cost(await browser.new_page(), lab, "output", OUTPUT, APPEND.format(workflow_id))
                await browser.close()
        finally:
            await lab.stop()
    print(f"\nIn JupyterLab in Chromium: {EVENTS + 2:,} events in the panel, {BASELINE_LINES:,} lines by append_stdout")
    print(f"  {'':<40}{'the panel':>22}{'append_stdout':>16}{'ratio':>8}")
    for field in dataclasses.fields(Cost):
        ours, theirs = getattr(panel, field.name), getattr(output, field.name)
        ratio = f"{theirs / ours:.1f}" if ours else "-"
        print(f"  {field.name.replace('_', ' '):<40}{ours:>22.1f}{theirs:>16.1f}{ratio:>8}")


async def _flood(demo: Session) -> str:
    """A workflow without a Worker that has got so many Signals."""
    temporal = demo.client.temporal
    handle = await temporal.start_workflow("Flooded", id=f"flooded-{uuid4().hex[:8]}", task_queue=uuid4().hex)
    for first in range(0, EVENTS, AT_ONCE):
        numbers = range(first, min(EVENTS, first + AT_ONCE))
        await asyncio.gather(*(handle.signal("drop", f"number {number}") for number in numbers))
    await handle.signal("drop", END)
    return handle.id


async def _cost(page: Page, lab: Lab, name: str, prepare: str, show: str) -> Cost:
    """Runs the cell `show` in a notebook of its own and waits until the page has the last line."""
    notebook = Notebook(page, lab, lab.write(f"{name}.ipynb", prepare, show))
    await notebook.open()
    await notebook.run_through("Session")
    if name == "panel":
        tab = notebook.panel().tab("Workflow Trace")
        await tab.click()
        await tab.scroll_into_view_if_needed()
    devtools = await page.context.new_cdp_session(page)
    received: list[int] = []
    devtools.on("Network.webSocketFrameReceived", lambda frame: received.append(len(frame["response"]["payloadData"])))
    await devtools.send("Network.enable")
    await page.evaluate(WATCH_TASKS)
    before = await _heap(devtools)
    begun = time.monotonic()
    await notebook.begin_cell(show.splitlines()[0])
    await page.wait_for_function(LAST_LINE, arg=END, timeout=1000 * DEADLINE_S, polling=100)
    took = time.monotonic() - begun
    tasks: list[float] = await page.evaluate("() => window.longTasks")
    cost = Cost(took, sum(received) / 1e6, sum(tasks) / 1e3, max(tasks, default=0.0), await _heap(devtools) - before)
    await notebook.close()
    await page.close()
    return cost


async def _heap(devtools: CDPSession) -> float:
    """The page's script heap after a collection, in MB."""
    await devtools.send("HeapProfiler.collectGarbage")
    usage = await devtools.send("Runtime.getHeapUsage")
    return float(usage["usedSize"]) / 1e6


LAST_LINE = """(words) => [...document.querySelectorAll(".dd-log, .jp-OutputArea-output pre")]
  .some((node) => node.textContent.slice(-2000).includes(words))"""
SESSION = "from durable_demo import Panel, Session, Trace\ndemo = await Session().start()\n"
PANEL = SESSION + "panel = Panel(demo, attach=False)\npanel"
OUTPUT = SESSION + (
    "from ipywidgets import Output\noutput = Output(layout=dict(max_height='400px', overflow='auto'))\noutput"
)
APPEND = f"""import asyncio, time
trace = Trace()
async for event in demo.attach('{{}}').events(wait=False):
    trace.apply(event)
begun = time.monotonic()
for number, line in enumerate(trace.lines[:{BASELINE_LINES}]):
    output.append_stdout(str(line) + '\\n')
    await asyncio.sleep(max(0, begun + number / {LINES_PER_SECOND} - time.monotonic()))
output.append_stdout('{END}')"""

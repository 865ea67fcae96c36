"""Half an hour in front of a panel: nothing grows."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path

import psutil
import pytest
from playwright.async_api import async_playwright

from durable_demo import Session
from tests.browser.conftest import CHROMIUM
from tests.browser.jupyterlab import Lab, Notebook, expect
from tests.browser.test_lab import CLEAN, PANEL, SESSION, clean
from tests.browser.test_panel import TABS
from tests.chaos.attack import processes_of
from tests.chaos.report import Figures, growth
from tests.chaos.scale import Scale

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.slow,
    pytest.mark.timeout(3000),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed"),
]

SAMPLES = 30
LEVEL = 1.15


async def test_soak(tmp_path: Path, scale: Scale, figures: Figures) -> None:
    """Half an hour with 20 workflows in a notebook."""
    if not scale.soaked_for:
        pytest.skip("half an hour cannot be made short: in the long form only (make chaos)")
    lab = Lab(tmp_path)
    try:
        await lab.start()
        async with Session(lab.home) as outside, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
            page = await browser.new_page(viewport={"width": 1400, "height": 1000})
            start = f"runs = await panel.start_many({scale.soaked}, min_sleep=1, max_sleep=4)"
            stop = "for run in runs:\n    await run.stop()\n    await run.result()"
            notebook = Notebook(page, lab, lab.write("soak.ipynb", SESSION, PANEL, start, stop, CLEAN))
            await notebook.open()
            await notebook.run_through("start_many")
            panel = notebook.panel()
            await panel.root.scroll_into_view_if_needed()
            kernel = next(each for each in processes_of(lab.home) if "ipykernel_launcher" in each.cmdline())
            worker = outside.info.worker
            assert worker is not None
            devtools = await page.context.new_cdp_session(page)
            await devtools.send("Performance.enable")

            memory: dict[str, list[float]] = {"kernel": [], "Worker": [], "browser tab (JavaScript heap)": []}
            began = time.monotonic()
            for sample in range(1, SAMPLES + 1):
                for tab in (*TABS, "Workflow Trace"):
                    await panel.tab(tab).click()
                    await asyncio.sleep(0.5)
                await expect(panel.status).to_have_text("RUNNING")
                await asyncio.sleep(max(0.0, began + sample * scale.soaked_for / SAMPLES - time.monotonic()))
                await devtools.send("HeapProfiler.collectGarbage")
                metrics = {
                    each["name"]: each["value"] for each in (await devtools.send("Performance.getMetrics"))["metrics"]
                }
                now = (
                    kernel.memory_info().rss,
                    psutil.Process(worker.pid).memory_info().rss,
                    metrics["JSHeapUsedSize"],
                )
                for samples, value in zip(memory.values(), now, strict=True):
                    samples.append(value / 1e6)
                print(f"{time.monotonic() - began:6.0f} s", *(f"{value / 1e6:7.1f} MB" for value in now), flush=True)

            await notebook.run_cell("run.stop()")
            await clean(notebook)
            assert outside.info.worker == worker, "the Worker was to live"
            ended = await outside.runs()
            await browser.close()
    finally:
        await lab.stop()

    figures.add_exact(
        "workflows that ended as they should", sum(run.status == "COMPLETED" for run in ended), scale.soaked
    )
    figures.add("quotes delivered", sum(run.quotes or 0 for run in ended))
    for name, samples in memory.items():
        shown = ", ".join(f"{samples[place]:.0f}" for place in range(0, len(samples), len(samples) // 6))
        figures.add(f"{name}: MB", shown)
        figures.add_limited(f"{name}: growth, last third to second third", growth(samples), most=LEVEL, unit="x")
    figures.check()

"""Drives a real JupyterLab as people do: the process, an open notebook, a panel in it."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal

import nbformat
from playwright.async_api import ConsoleMessage, Expect, Locator, Page, Request, WebSocket
from playwright.async_api import TimeoutError as PageTimeoutError

from tests.conftest import eventually

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "artifacts" / "screenshots"
DEADLINE_S = 60.0
"""Of every wait: the machine may be busy with other things."""
STARTS = 3

expect = Expect()
expect.set_options(timeout=DEADLINE_S * 1000)

Theme = Literal["light", "dark"]
SURFACES: dict[Theme, str] = {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 17, 17)"}
"""Background of a cell in JupyterLab's two themes: tells that the theme's style sheet is there."""

APP = "window.jupyterapp"
CONTEXT = f"{APP}.shell.currentWidget?.context?.sessionContext"
KERNEL_IS_READY = f"""() => {{
  const kernel = {CONTEXT}?.session?.kernel;
  return kernel?.status === "idle" && kernel?.connectionStatus === "connected";
}}"""
RUN_CELL = f"""async (place) => {{
  {APP}.shell.currentWidget.content.activeCellIndex = place;
  await {APP}.commands.execute("notebook:run-cell");
}}"""
CODE_CELLS = f"""() => {APP}.shell.currentWidget.content.widgets
  .map((cell, place) => [place, cell.model.type, cell.model.sharedModel.getSource()])
  .filter(([, type]) => type === "code").map(([place, , source]) => [place, source])"""
CELL_ERRORS = f"""() => {APP}.shell.currentWidget.content.widgets.filter((cell) => cell.model.type === "code")
  .flatMap((cell) => cell.model.sharedModel.getOutputs().filter((output) => output.output_type === "error")
    .map((output) => `${{output.ename}}: ${{output.evalue}}`))"""
STICKING_OUT = """(panel) => {
  const edge = panel.getBoundingClientRect().right;
  const all = [...panel.querySelectorAll("*")];
  // A wide table scrolls in its place.
  // What only screen readers get is clipped away.
  const hides = (node) => getComputedStyle(node).clipPath === "inset(50%)";
  const clipped = (node) => node !== null && (hides(node) || clipped(node.parentElement));
  const shown = all.filter((node) => node.checkVisibility() && !node.closest(".dd-table table") && !clipped(node));
  const cut = shown.filter((node) => node.matches("button, .dd-chip") && node.scrollWidth > node.clientWidth + 1);
  const out = shown.filter((node) => node.getBoundingClientRect().right > edge + 1);
  return [...new Set([...cut, ...out])].map((node) => `${node.className}: ${node.textContent.slice(0, 40)}`);
}"""


class Lab:
    """JupyterLab as `make demo` starts it, in a checkout of its own, so that git's notebooks stay as they are.

    Nothing of the developer's Jupyter settings reaches it.

    Args:
        directory: Where all of it lies.
    """

    def __init__(self, directory: Path) -> None:
        self.home = directory / "home"
        self.checkout = directory / "checkout"
        self.notebooks = self.checkout / "notebooks"
        self.token = secrets.token_hex(16)
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = directory / "lab.log"
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("durable_demo", "notebooks", "worker"):
            shutil.copytree(
                ROOT / name, self.checkout / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
            )
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TEMPORAL_", "JUPYTER_"))}
        self.environment = {
            **kept,
            "PYTHONPATH": str(self.checkout),
            "DURABLE_DEMO_HOME": str(self.home),
            "JUPYTER_CONFIG_DIR": str(directory / "config"),
            "JUPYTER_DATA_DIR": str(directory / "data"),
            "JUPYTER_RUNTIME_DIR": str(directory / "runtime"),
            "IPYTHONDIR": str(directory / "ipython"),
        }

    async def start(self) -> None:
        """Starts it through the CLI and waits until it answers; on another port if this one was taken meanwhile."""
        for further in reversed(range(STARTS)):
            self._begin()
            await eventually(self._ended_or_answers, f"JupyterLab answers at {self.url}", within=DEADLINE_S)
            if self._process is not None and self._process.poll() is None:
                return
            assert further, f"JupyterLab has ended:\n{self.log()}"
            before, self.port = self.port, _free_port()
            self.url = self.url.replace(f":{before}", f":{self.port}")

    def _begin(self) -> None:
        settings = [
            f"--ServerApp.port={self.port}",
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={self.token}",
            "--LabApp.expose_app_in_browser=True",
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "durable_demo", "lab", "--no-browser", "--", *settings],
                env=self.environment,
                cwd=self.checkout,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _ended_or_answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            return True
        request = urllib.request.Request(f"{self.url}/api/status", headers={"Authorization": f"token {self.token}"})  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=5):  # noqa: S310
                return True
        except (OSError, HTTPException):  # of whoever may have its port, too
            return False

    async def stop(self) -> None:
        """Ends it as Ctrl-C would, with the stack that it holds."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            await asyncio.to_thread(self._process.wait, DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)

    def log(self) -> str:
        """The last lines that it and the CLI wrote."""
        return "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-100:])

    def write(self, name: str, *cells: str) -> str:
        """Makes a notebook of code cells and returns its name."""
        kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
        made = [nbformat.v4.new_code_cell(cell) for cell in cells]  # type: ignore[no-untyped-call]
        node = nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": kernel})  # type: ignore[no-untyped-call]
        nbformat.write(node, self.notebooks / name)  # type: ignore[no-untyped-call]
        return name


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Notebook:
    """An open notebook in a page of its own.

    Attributes:
        strangers: What the page asked for anywhere but at this Lab.
        complaints: Errors in the browser's console.
    """

    def __init__(self, page: Page, lab: Lab, name: str) -> None:
        self.page = page
        self.lab = lab
        self.name = name
        self.strangers: list[str] = []
        self.complaints: list[str] = []
        page.set_default_timeout(DEADLINE_S * 1000)
        page.on("request", self._see_request)
        page.on("websocket", self._see_websocket)
        page.on("console", self._see_console)
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error.message}\n{error.stack}"))

    def _see_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.lab.url}/", "data:", "blob:")):
            self.strangers.append(request.url)

    def _see_websocket(self, websocket: WebSocket) -> None:
        if not websocket.url.startswith(f"ws://127.0.0.1:{self.lab.port}/"):
            self.strangers.append(websocket.url)

    def _see_console(self, message: ConsoleMessage) -> None:
        # JupyterLab's own: its debugger asks a kernel that is restarted soon after a reload.
        if message.type == "error" and not message.text.startswith("Could not restore the debugger state"):
            self.complaints.append(f"{message.text} ({message.location['url']})")

    async def open(self) -> None:
        """Opens it with nothing else, and waits for its kernel."""
        workspace = re.sub(r"\W+", "-", self.name)
        address = f"{self.lab.url}/lab/workspaces/{workspace}/tree/{self.name}?token={self.lab.token}&reset"
        await self.page.goto(address)
        await self._opened()

    async def reload(self) -> None:
        """What F5 does."""
        await self.page.reload()
        await self._opened()

    async def _opened(self) -> None:
        await expect(self.page.locator("#jupyterlab-splash")).to_have_count(0)
        await expect(self.page.locator(".jp-Notebook .jp-Cell").first).to_be_visible()
        await self._kernel_ready()
        await self.page.evaluate(f"() => {{ {APP}.shell.collapseLeft(); {APP}.shell.collapseRight(); }}")

    async def _kernel_ready(self) -> None:
        """Its kernel is idle, and the page knows: Jupyter may lose that message, and another question brings another.

        See https://github.com/jupyter/enhancement-proposals/issues/132.
        """
        try:
            await self.page.wait_for_function(KERNEL_IS_READY, timeout=DEADLINE_S * 500)
        except PageTimeoutError:
            await self.page.evaluate(f"() => {{ void {CONTEXT}?.session?.kernel?.requestKernelInfo(); }}")
            await self.page.wait_for_function(KERNEL_IS_READY)

    async def command(self, name: str, **arguments: Any) -> None:
        """Carries out a command of JupyterLab's palette, to its end."""
        script = f"async ([name, given]) => {{ await {APP}.commands.execute(name, given); }}"
        await asyncio.wait_for(self.page.evaluate(script, [name, arguments]), 2 * DEADLINE_S)

    # --- cells -------------------------------------------------------------------------------------------------------

    async def run_all(self) -> None:
        """Runs all cells; fails if one of them does."""
        await self.command("notebook:run-all-cells")
        await self._check_cells()

    async def run_through(self, word: str) -> None:
        """Runs the code cells from the first to the first one that has this word in it."""
        cells = await self._code_cells()
        last = next(place for place, source in cells if word in source)
        for place, _ in cells:
            if place <= last:
                await asyncio.wait_for(self.page.evaluate(RUN_CELL, place), DEADLINE_S)
        await self._check_cells()

    async def run_cell(self, word: str) -> None:
        """Runs the first cell that has this word in it, to its end."""
        await asyncio.wait_for(self.page.evaluate(RUN_CELL, await self._place(word)), DEADLINE_S)
        await self._check_cells()

    async def begin_cell(self, word: str) -> Locator:
        """Runs it and does not wait for its end; returns its prompt, which is `[*]:` until then."""
        await self.page.evaluate(f"(place) => {{ void ({RUN_CELL})(place); }}", await self._place(word))
        return self.page.locator(".jp-CodeCell", has_text=word).locator(".jp-InputPrompt")

    async def _check_cells(self) -> None:
        errors = await self.page.evaluate(CELL_ERRORS)
        assert not errors, errors

    async def _place(self, word: str) -> int:
        return next(place for place, source in await self._code_cells() if word in source)

    async def _code_cells(self) -> list[tuple[int, str]]:
        found: list[tuple[int, str]] = await self.page.evaluate(CODE_CELLS)
        return found

    async def restart_kernel(self) -> None:
        """By the menu, with its question answered."""
        await self.page.evaluate(f"() => {{ void {APP}.commands.execute('kernelmenu:restart'); }}")
        await self.page.locator(".jp-Dialog .jp-mod-accept").click()
        await expect(self.page.locator(".jp-Dialog")).to_have_count(0)
        await self._kernel_ready()

    async def close(self) -> None:
        """Ends its kernel."""
        await self.page.evaluate(f"async () => {{ await {CONTEXT}?.shutdown(); }}")

    # --- looks -------------------------------------------------------------------------------------------------------

    async def set_theme(self, theme: Theme) -> None:
        await self.command("apputils:change-theme", theme=f"JupyterLab {theme.capitalize()}")
        await expect(self.page.locator("body")).to_have_attribute("data-jp-theme-light", str(theme == "light").lower())
        await expect(self.page.locator(".jp-Notebook")).to_have_css("background-color", SURFACES[theme])
        await expect(self.page.locator("#jupyterlab-splash")).to_have_count(0)

    async def screenshot(self, name: str) -> None:
        """Keeps a picture of the whole window."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=SCREENSHOTS / f"{name}.png")

    def panel(self, number: int = 0) -> PanelView:
        """One of its panels."""
        return PanelView(self.page.locator(".durable-demo").nth(number))


class PanelView:
    """What a reader sees of one panel, by role and words."""

    def __init__(self, root: Locator) -> None:
        self.root = root
        self.page = root.page
        self.workflow = root.locator(".dd-trace .dd-fact code")
        self.status = root.locator(".dd-trace .dd-chip")
        self.log = root.get_by_role("log", name="Events:")
        self.lines = root.locator(".dd-line")
        self.totals = root.locator(".dd-totals")
        self.composer = root.get_by_placeholder("Type your message...")
        self.turns = root.locator(".dd-turn")
        self.answers = root.locator('[data-status="answered"] .dd-answer')

    def tab(self, name: str) -> Locator:
        return self.root.get_by_role("tab", name=name)

    def button(self, name: str) -> Locator:
        return self.root.get_by_role("button", name=name, exact=True)

    def line(self, words: str | re.Pattern[str]) -> Locator:
        """The first line of the trace with these words."""
        return self.lines.filter(has_text=words).first

    async def start(self) -> str:
        """Clicks Start Monty on the Chat tab; returns the Workflow ID when it runs."""
        await self.tab("Chat").click()
        await self.button("Start Monty").click()
        running = self.button("Monty Running...")
        await expect(running).to_be_disabled()
        said = await running.get_attribute("title")
        assert said is not None
        return said.removesuffix(" is running")

    async def stop(self) -> None:
        """Clicks Stop Workflow on the Workflow Trace tab and waits for its end."""
        await self.tab("Workflow Trace").click()
        await self.button("Stop Workflow").click()
        await expect(self.status).to_have_text("COMPLETED")

    async def ask(self, text: str) -> Locator:
        """Types a message on the Chat tab and presses Enter; returns its turn."""
        await self.composer.fill(text)
        await self.composer.press("Enter")
        return self.turns.filter(has_text=text).last

    async def sticking_out(self) -> list[str]:
        """Its visible parts that are wider than their place."""
        found: list[str] = await self.root.evaluate(STICKING_OUT)
        return found

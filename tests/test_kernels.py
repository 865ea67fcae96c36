"""The panel in real kernels of several ipykernels, which run callbacks on different threads: the test is the front end.

What a click does is sent as the comm messages that a browser sends, and what it would show is read from iopub.
"""

from __future__ import annotations

import asyncio
import os
import queue
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

from durable_demo.stack import Stack, StackInfo

ROOT = Path(__file__).parents[1]
INSTALLED = "installed"
VERSIONS = [INSTALLED, "6.31.0"]
"""Not 7.3.0: it loses about one request in a hundred and hangs, also with plain cells and without the kit."""
DEADLINE_S = 60.0
Message = dict[str, Any]

pytestmark = pytest.mark.slow


class CellFailed(Exception):
    """A cell has raised: name, value, traceback."""


class Kernel:
    """A kernel process and the front end's side of it.

    Attributes:
        heard: All that came over iopub, in order.
    """

    def __init__(self, home: Path, packages: Path | None = None) -> None:
        path = os.pathsep.join(str(place) for place in (packages, ROOT) if place)
        self.heard: list[Message] = []
        # Of TCP ports, another process may take one before the kernel does.
        self.manager = KernelManager(kernel_name="python3", transport="ipc")
        self.manager.start_kernel(env={**os.environ, "PYTHONPATH": path, "DURABLE_DEMO_HOME": str(home)})
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=DEADLINE_S)
        self._subshell: str | None = None

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    # --- cells ---

    def begin(self, source: str) -> str:
        """Runs a cell and does not wait for it."""
        request: str = self.client.execute(source, allow_stdin=False, stop_on_error=False)
        return request

    def finish(self, request: str) -> str:
        """What the cell has printed."""
        self.hear(lambda message: self._ends(message, request), "the cell to end")
        own = [message for message in self.heard if message["parent_header"].get("msg_id") == request]
        for message in own:
            if message["msg_type"] == "error":
                content = message["content"]
                raise CellFailed(content["ename"], content["evalue"], "\n".join(content["traceback"]))
        return "".join(message["content"]["text"] for message in own if message["msg_type"] == "stream").strip()

    def run(self, source: str) -> str:
        """Runs a cell; returns what it has printed."""
        return self.finish(self.begin(source))

    def is_busy(self, request: str) -> bool:
        """Whether the end of the cell has not been heard yet."""
        return not any(self._ends(message, request) for message in self.heard)

    @staticmethod
    def _ends(message: Message, request: str) -> bool:
        ended: bool = message["content"].get("execution_state") == "idle"
        return ended and message["parent_header"].get("msg_id") == request

    # --- what comes ---

    def hear(self, wanted: Callable[[Message], object], what: str, since: int = 0) -> Message:
        """The first message from iopub that is wanted, of those that came since the given place and those to come."""
        deadline = time.monotonic() + DEADLINE_S
        place = since
        while True:
            while place < len(self.heard):
                if wanted(self.heard[place]):
                    return self.heard[place]
                place += 1
            if time.monotonic() > deadline:
                last = "\n".join(f"{message['msg_type']}: {message['content']}"[:600] for message in self.heard[-8:])
                pytest.fail(f"after {DEADLINE_S:g} s still waiting for {what}; heard last:\n{last}", pytrace=False)
            try:
                self.heard.append(self.client.get_iopub_msg(timeout=1))
            except queue.Empty:
                continue

    # --- subshells ---

    def subshell(self) -> str | None:
        """A subshell of the kind that JupyterLab gives to widgets; None if this kernel has none."""
        if self._subshell is None and self._has_subshells():
            request = self.client.session.msg("create_subshell_request")
            self.client.control_channel.send(request)
            reply = self.client.get_control_msg(timeout=DEADLINE_S)
            self._subshell = reply["content"]["subshell_id"]
        return self._subshell

    def _has_subshells(self) -> bool:
        info = self.client.kernel_info(reply=True, timeout=DEADLINE_S)
        return "kernel subshells" in info["content"].get("supported_features", [])


class Browser:
    """A browser's end of one panel."""

    def __init__(self, kernel: Kernel, variable: str = "panel", subshell: str | None = None) -> None:
        self.kernel = kernel
        self.comm = kernel.run(f"print({variable}.model_id)")
        self.subshell = subshell
        self.since = len(kernel.heard)
        self._count = 0

    def send(self, content: Message) -> None:
        session = self.kernel.client.session
        message = session.msg("comm_msg", {"comm_id": self.comm, "data": {"method": "custom", "content": content}})
        if self.subshell:
            message["header"]["subshell_id"] = self.subshell
        self.kernel.client.shell_channel.send(message)

    def click(self, name: str) -> str:
        """Sends a command; returns its id."""
        self._count += 1
        command = f"{id(self)}-{self._count}"
        self.send({"t": "command", "id": command, "name": name, "args": {}})
        return command

    def answer(self, command: str) -> Message:
        return self.gets(lambda content: content["t"] == "answer" and content["id"] == command, f"answer to {command}")

    def gets(self, wanted: Callable[[Message], object], what: str) -> Message:
        """The first message to this panel that is wanted."""

        def ours(message: Message) -> bool:
            if message["msg_type"] != "comm_msg" or message["content"]["comm_id"] != self.comm:
                return False
            data = message["content"]["data"]
            return data.get("method") == "custom" and bool(wanted(data["content"]))

        found: Message = self.kernel.hear(ours, what, self.since)["content"]["data"]["content"]
        return found

    def sees(self, what: str, holds: Callable[[Message, list[str]], object]) -> Message:
        """Waits for a state of the trace: `holds` gets the summary and the texts of a message's lines."""

        def wanted(content: Message) -> object:
            return content.get("channel") == "trace" and holds(content["summary"], [row[2] for row in content["rows"]])

        return self.gets(wanted, what)

    def forget(self) -> None:
        """Leaves what has come so far out of account."""
        self.since = len(self.kernel.heard)


# --- kernels ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def packages(request: pytest.FixtureRequest) -> Callable[[str], Path | None]:
    """Where a version of ipykernel is; fetched once and kept in pytest's cache."""
    cache = request.config.cache.mkdir("ipykernels")

    def find(version: str) -> Path | None:
        if version == INSTALLED:
            return None
        place = cache / version
        if not place.exists():
            part = cache / f"{version}.{os.getpid()}"
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--retries=1", "--timeout=20"]
            command = [*pip, "--target", str(part), f"ipykernel=={version}"]
            fetched = subprocess.run(command, capture_output=True, text=True, timeout=120)
            if "Retrying" in fetched.stderr and fetched.returncode:
                pytest.skip(f"the package registry is not reachable, so there is no ipykernel {version}")
            assert fetched.returncode == 0, fetched.stderr
            try:
                part.rename(place)
            except OSError:  # another process was quicker
                shutil.rmtree(part)
        return place

    return find


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackInfo]:
    """A stack of this module's own, which is kept up between its kernels."""
    held = Stack(tmp_path_factory.mktemp("kernels-home"))
    yield asyncio.run(held.start())
    asyncio.run(held.down())
    asyncio.run(held.close())


@pytest.fixture(scope="module", params=VERSIONS)
def kernel(
    request: pytest.FixtureRequest, packages: Callable[[str], Path | None], stack: StackInfo
) -> Iterator[Kernel]:
    """A kernel of each version, with a session `demo`."""
    kernel = Kernel(stack.home, packages(request.param))
    try:
        version = kernel.run("import ipykernel; print(ipykernel.__version__)")
        assert request.param in (INSTALLED, version)
        kernel.run(START)
        yield kernel
    finally:
        kernel.close()


@pytest.fixture
def browser(kernel: Kernel) -> Iterator[Browser]:
    """A browser that shows a new panel, and uses a subshell where the kernel has them, as JupyterLab does."""
    kernel.run("panel = Panel(demo, attach=False)")
    yield Browser(kernel, subshell=kernel.subshell())
    kernel.run("panel.close()")


# What the pasted code of a test below leaves behind is told whenever it is collected, in whatever cell that is.
START = """
import warnings

from durable_demo import Panel, Session, allow_asyncio_run

warnings.filterwarnings("ignore", message="coroutine 'main' was never awaited")
demo = await Session().start()
"""
QUICK = "min_sleep=0.2, max_sleep=0.4, progress_interval=0.1"


def started(kernel: Kernel) -> str:
    """Starts a quick Monty from a cell; returns its Workflow ID."""
    return kernel.run(f"run = await panel.start_monty({QUICK})\nprint(run.id)")


class Busy:
    """A cell that keeps the kernel busy until it is released, by blocking its main thread or by waiting in its loop."""

    def __init__(self, kernel: Kernel, flag: Path, pause: str) -> None:
        self._kernel = kernel
        self._flag = flag
        place = len(kernel.heard)
        self._request = kernel.begin(
            f"import asyncio, pathlib, time\nprint('begun', flush=True)\nend = time.monotonic() + {2 * DEADLINE_S}\n"
            f"while not pathlib.Path({str(flag)!r}).exists() and time.monotonic() < end:\n    {pause}"
        )
        kernel.hear(lambda message: message["content"].get("text") == "begun\n", "the cell to begin", place)

    @property
    def still(self) -> bool:
        return self._kernel.is_busy(self._request)

    def release(self) -> None:
        self._flag.touch()
        self._kernel.finish(self._request)


# --- clicks ----------------------------------------------------------------------------------------------------------


def test_clicks_start_and_stop_a_run_and_its_lines_come_back(kernel: Kernel, browser: Browser) -> None:
    browser.send({"t": "hello"})
    browser.gets(lambda content: content["t"] == "snapshot" and content["channel"] == "chat", "all snapshots")
    browser.sees("an empty trace", lambda summary, _: summary["status"] == "")

    assert browser.answer(browser.click("start_monty"))["ok"]
    browser.sees("a sleep", lambda _, lines: any("Activity sleeping for" in line for line in lines))
    browser.sees("progress", lambda summary, _: summary["status"] == "RUNNING" and summary["progress"])
    assert browser.answer(browser.click("stop"))["ok"]
    end = browser.sees("the end", lambda summary, _: summary["status"] == "COMPLETED")

    assert end["summary"]["footer"].startswith("Iterations: 1 | Quotes Delivered: 0 | Total Runtime: ")
    kernel.run("await demo.assert_clean()")


@pytest.mark.parametrize("pause", ["time.sleep(0.05)", "await asyncio.sleep(0.05)"], ids=["blocking", "async"])
def test_a_busy_cell_delays_no_line_and_where_there_are_subshells_no_click(
    kernel: Kernel, browser: Browser, tmp_path: Path, pause: str
) -> None:
    started(kernel)
    kernel.run("panel.clear()")  # what a cell makes the panel send must not tie its clicks to the main shell
    busy = Busy(kernel, tmp_path / "release", pause)
    browser.forget()
    browser.sees("a quote", lambda _, lines: any(': "' in line for line in lines))
    assert busy.still

    if browser.subshell:
        for name in ("pause", "resume", "stop"):
            assert browser.answer(browser.click(name))["ok"]
        browser.sees("the end", lambda summary, _: summary["status"] == "COMPLETED")
        assert busy.still
        busy.release()
    else:
        click = browser.click("stop")
        busy.release()
        assert browser.answer(click)["ok"]
        browser.sees("the end", lambda summary, _: summary["status"] == "COMPLETED")
    kernel.run("await demo.assert_clean()")


# --- errors ----------------------------------------------------------------------------------------------------------


def test_what_fails_in_a_callback_is_shown_and_reaches_assert_clean(kernel: Kernel, browser: Browser) -> None:
    assert "no command 'explode'" in browser.answer(browser.click("explode"))["message"]
    assert not browser.answer(browser.click("stop"))["ok"]
    kernel.run("await demo.assert_clean()")  # a person was told, and that is all

    kernel.run("panel.start_monty(min_sleep=-1)")
    browser.gets(lambda content: "min_sleep" in str(content.get("summary", {}).get("alerts")), "an alert")
    with pytest.raises(CellFailed, match=r"UncleanSession.*min_sleep must be more than 0"):
        kernel.run("await demo.assert_clean()")
    kernel.run("await demo.assert_clean()")


def test_pasted_asyncio_run_needs_to_be_allowed(kernel: Kernel, browser: Browser) -> None:
    pasted = "import asyncio\nasync def main():\n    print(len(await demo.runs()) >= 0)\nasyncio.run(main())"
    with pytest.raises(CellFailed, match="cannot be called from a running event loop"):
        kernel.run(pasted)
    assert kernel.run(f"allow_asyncio_run()\n{pasted}") == "True"

    assert browser.answer(browser.click("start_monty"))["ok"]
    assert kernel.run(pasted) == "True"
    assert browser.answer(browser.click("stop"))["ok"]
    browser.sees("the end", lambda summary, _: summary["status"] == "COMPLETED")
    kernel.run("await demo.assert_clean()")


# --- interrupt and kill ----------------------------------------------------------------------------------------------


# An async cell follows events here, because ipykernel takes an interrupt to one only when its loop next wakes up.
@pytest.mark.parametrize(
    "waiting",
    ["time.sleep(120)", "async for event in run.events():\n    pass"],
    ids=["blocking", "async"],
)
def test_an_interrupted_cell_stalls_no_workflow(
    kernel: Kernel, browser: Browser, stack: StackInfo, waiting: str
) -> None:
    started(kernel)
    place = len(kernel.heard)
    request = kernel.begin(f"import time\nprint('begun', flush=True)\n{waiting}")
    kernel.hear(lambda message: message["content"].get("text") == "begun\n", "the cell to begin", place)

    kernel.manager.interrupt_kernel()

    with pytest.raises(CellFailed, match=r"KeyboardInterrupt|CancelledError"):
        kernel.finish(request)
    browser.forget()
    before = browser.sees("how far it is", lambda summary, _: summary["quotes"])["summary"]["quotes"]
    # How many attempts that takes is no matter here: on a slow machine a Worker may stand still for a while.
    browser.sees("further quotes", lambda summary, _: (summary["quotes"] or 0) >= before + 2)
    assert stack.worker is not None
    assert stack.worker.alive
    assert kernel.run("print((await run.stop()).accepted)\nawait demo.assert_clean()") == "True"

"""JupyterLab on the first notebook, with the stack getting ready beside it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.text import Text

from durable_demo.errors import DemoError, StackError
from durable_demo.processes import environment, guarded
from durable_demo.stack import Stack
from durable_demo.terminal import interrupts, show_error

FIRST_NOTEBOOK = Path(__file__).resolve().parent.parent / "notebooks" / "00_start_here.ipynb"
"""Beside the package in a checkout; the wheel has no notebooks."""

JUPYTER_CONFIG = Path(__file__).resolve().parent / "jupyter_config"
"""Turns JupyterLab's announcements off: they ask, in a notification, whether to fetch news and look for updates."""

STOP_DEADLINE_S = 10.0
"""JupyterLab ends its kernels within this time, or is killed."""


def lab_command(*, browser: bool, extra: Sequence[str] = ()) -> list[str]:
    """The command that starts JupyterLab: on loopback only, with the first notebook open where there is one.

    Args:
        browser: Whether it opens a browser.
        extra: More arguments for it. One that is set here already is refused by JupyterLab itself.
    """
    command = [sys.executable, "-P", "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1"]
    command.append("--LabApp.extension_manager=readonly")  # the other one lists what PyPI has
    if FIRST_NOTEBOOK.exists():
        command += [
            f"--ServerApp.root_dir={FIRST_NOTEBOOK.parent}",
            f"--LabApp.default_url=/lab/tree/{FIRST_NOTEBOOK.name}",
        ]
    if not browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        # In containers everybody is root; loopback and the token protect the server there as well.
        command.append("--allow-root")
    return [*command, *extra]


async def serve(console: Console, *, browser: bool, extra: Sequence[str] = ()) -> int:
    """Runs JupyterLab until it ends or Ctrl-C comes, and holds the stack meanwhile.

    A stack that cannot start is told; JupyterLab goes on, since the notebooks can be read and the cause be mended.

    Args:
        console: Where remarks go.
        browser: Whether JupyterLab opens a browser.
        extra: More arguments for JupyterLab.

    Returns:
        JupyterLab's exit status; 0 after Ctrl-C.
    """
    if not FIRST_NOTEBOOK.exists():
        _say(console, f"The notebooks are in a checkout, not in the wheel: JupyterLab opens {Path.cwd()}")
    command = guarded(lab_command(browser=browser, extra=extra))
    search = os.pathsep.join(filter(None, [str(JUPYTER_CONFIG), os.environ.get("JUPYTER_CONFIG_PATH")]))
    lab = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        env=environment(JUPYTER_CONFIG_PATH=search),
        start_new_session=True,  # Ctrl-C comes to this process alone, which ends both in order
    )
    stack = Stack()
    holding = asyncio.create_task(_hold(stack, console))
    asked = asyncio.Event()
    with interrupts(asked.set, signal.SIGTERM):
        waits = [asyncio.create_task(lab.wait()), asyncio.create_task(asked.wait()), holding]
        try:
            await asyncio.wait(waits[:2], return_when=asyncio.FIRST_COMPLETED)
        finally:
            status = await _end(lab)
            for task in waits:
                task.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
            await stack.close()
    return 0 if asked.is_set() else status


async def _hold(stack: Stack, console: Console) -> None:
    try:
        info = await stack.start()
    except Exception as error:  # nobody else tells it: JupyterLab goes on
        told = error if isinstance(error, DemoError) else StackError("The stack cannot be started.", why=repr(error))
        show_error(told)
        _say(console, "JupyterLab goes on without server and Worker; what needs them will say the same.")
    else:
        _say(console, f"Temporal server: {info.address}, Worker: {'ready' if info.worker else 'external'}")


def _say(console: Console, text: str) -> None:
    console.print(Text(text), soft_wrap=True)


async def _end(lab: asyncio.subprocess.Process) -> int:
    with suppress(ProcessLookupError):
        lab.terminate()
    try:
        async with asyncio.timeout(STOP_DEADLINE_S):
            return await lab.wait()
    except TimeoutError:
        lab.kill()
        return await lab.wait()

"""The cell magic `%%workflow NAME`: write a workflow in a cell, and change it while it runs."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from durable_demo import live_modules, settings
from durable_demo.errors import InvalidInput, NotPossible, WorkerFailed
from durable_demo.processes import environment, python_command
from durable_demo.statedir import StackInfo, StateDir
from durable_demo.wording import one_line, printable

_CHECK_DEADLINE = timedelta(seconds=20)
"""How long the check of a cell may take, imports included."""
_SERVE_DEADLINE = settings.START_DEADLINE + timedelta(seconds=2)
"""How long the cell waits until a Worker with its code polls; the supervisor gives up before, and says why."""
_POLL_SECONDS = 0.05


def register(info: Callable[[], StackInfo]) -> None:
    """Gives the notebook the magic `%%workflow`; does nothing where no IPython runs. The last session has it.

    Args:
        info: Tells what runs now, as `Session.info` does.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None:
        return

    def workflow(line: str, cell: str) -> None:
        """%%workflow NAME: the cell is a module with workflows and Activities, which a Worker of its own runs.

        Begin the cell with its name, and start the workflow in the next cell with `demo.start_workflow`. The module
        needs its own imports. Run the cell again to change the code: workflows that run go on with it.
        """
        shell.push(serve(line.strip(), cell, info))

    shell.register_magic_function(workflow, "cell")


def serve(name: str, cell: str, info: Callable[[], StackInfo]) -> dict[str, Any]:
    """Makes the text of a cell the code of a live module, and waits until a Worker runs it; prints what runs where.

    If the text cannot be used, the code from before stays.

    Args:
        name: Name of the module.
        cell: The text.
        info: Tells what runs now.

    Returns:
        The public names of the module.

    Raises:
        SyntaxError: The text is no Python.
        InvalidInput: The name or the text cannot be used.
        NotPossible: There is no supervisor to run a Worker.
        StateDirError: The text cannot be written.
        WorkerFailed: No Worker took it within 32 s.
    """
    live_modules.check_name(name)
    stack = info()
    if not stack.runs_workers:
        raise NotPossible(
            "%%workflow needs a Worker that the kit runs.",
            why="Here the Workers are your own (DURABLE_DEMO_WORKER=external).",
            remedy="unset DURABLE_DEMO_WORKER and restart the kernel, or add the workflow to your own Worker",
        )
    text = f"# %%workflow {name}\n{cell}"  # so that a line has the same number here and in the notebook
    try:
        compile(text, f"<workflow {name}>", "exec", dont_inherit=True)
    except ValueError as error:  # what no file of Python can hold
        raise _refused(name, str(error)) from None
    state = StateDir(stack.home)
    path = state.live / f"{name}.py"
    with contextlib.ExitStack() as drafts:
        with state.usable():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            # Several notebooks may write the same module at once.
            draft = Path(drafts.enter_context(TemporaryDirectory(prefix="draft-", dir=path.parent))) / f"{name}.new"
            _write(draft, text)
        found = _checked(draft, text)
        with state.usable():
            draft.replace(path)
    _await_worker(name, live_modules.digest(text), info)
    queue = settings.live_task_queue(name)
    parts = [f"Workflow {', '.join(found['workflows'])}"]
    if found["activities"]:
        parts.append(f"Activity {', '.join(found['activities'])}")
    print(f"{one_line(' and '.join(parts))}: a Worker runs this code on Task Queue {queue}")  # noqa: T201
    return live_modules.load_module(path).public


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(text.encode())  # as bytes: its digest is that of the text, also where lines end otherwise


def _checked(path: Path, text: str) -> dict[str, Any]:
    """What the file holds; raises InvalidInput if a Worker could not run it."""
    command = python_command("durable_demo.live_modules", "--check", str(path))
    limit = _CHECK_DEADLINE.total_seconds()
    try:
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        raise _refused(path.stem, f"it did not load within {limit:g} s") from None
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.strip().splitlines()[-1:] or [f"the process ended with status {done.returncode}"]
        raise _refused(path.stem, last[0]) from None
    if "problem" not in found:
        return found
    line = found["line"]
    where = f"line {line}, `{text.splitlines()[line - 1].strip()}`: " if line else ""
    raise _refused(path.stem, where + found["problem"])


def _refused(name: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"This cell cannot be the code of {name!r}.",
        why=printable(why),
        remedy="correct the cell and run it again; until then, the code from before stays",
    )


def _await_worker(name: str, digest: str, info: Callable[[], StackInfo]) -> None:
    deadline = time.monotonic() + _SERVE_DEADLINE.total_seconds()
    while time.monotonic() < deadline:
        found = next((each for each in info().live if each.name == name and each.digest == digest), None)
        if found and found.ready:
            return
        if found and found.problem:
            raise WorkerFailed(f"No Worker runs the code of {name!r}.", why=printable(found.problem))
        time.sleep(_POLL_SECONDS)
    raise WorkerFailed(
        f"No Worker runs the code of {name!r}.",
        why=f"none with this code has polled its Task Queue within {_SERVE_DEADLINE.total_seconds():g} s",
        remedy=f"`durable-demo logs live-{name}`; `await demo.reset()` mends what is broken on purpose",
    )

"""`%%workflow` in a notebook: a cell becomes code that a Worker runs; nothing else takes the place of what works."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from IPython.core.interactiveshell import InteractiveShell

from durable_demo import Session, magic, settings
from durable_demo.errors import InvalidInput, NotPossible, StateDirError, WorkerFailed
from durable_demo.live_modules import digest
from durable_demo.statedir import LiveInfo
from tests.live_cells import GREET, WAIT, WRITE, cell
from tests.test_replaying import until

pytestmark = pytest.mark.slow


@pytest.fixture
def name() -> str:
    """A module of this test's own."""
    return f"cell_{uuid4().hex[:8]}"


async def serve(demo: Session, name: str, text: str) -> dict[str, Any]:
    return await asyncio.to_thread(magic.serve, name, text, lambda: demo.info)


async def test_a_cell_is_served_started_changed_and_healed(
    demo: Session, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    public = await serve(demo, name, cell(GREET, WAIT, WRITE))
    assert (
        f"Workflow Greeting and Activity greet, write_down: a Worker runs this code on Task Queue durable-demo.{name}"
        in (capsys.readouterr().out)
    )
    (info,) = [info for info in demo.info.live if info.name == name]
    path = demo.info.home / "live" / f"{name}.py"
    assert info.ready
    assert info.digest == digest(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    run = await demo.start_workflow(public["Greeting"], public["Guest"]("Ada"))
    await until(run, "timer_started")
    await serve(demo, name, cell(WRITE, GREET, WAIT))
    handle = demo.client.temporal.get_workflow_handle(run.id)
    await demo.background.run(handle.signal("open_door"))
    await until(run, "workflow_task_failed")
    assert not (await demo.replay(run)).fits

    await serve(demo, name, cell(GREET, WAIT, WRITE))
    assert (await demo.replay(run)).fits
    assert await run.result(30) == "done"
    assert run.id in [found.workflow_id for found in await demo.runs(workflow_type="Greeting")]


async def test_a_cell_that_cannot_be_used_leaves_the_one_from_before(demo: Session, name: str) -> None:
    await serve(demo, name, cell(GREET))
    before = demo.info.live
    with pytest.raises(SyntaxError, match="line 2"):
        await serve(demo, name, "x = = 1")
    with pytest.raises(InvalidInput, match=r"line 2, `import nowhere`: ModuleNotFoundError: No module named 'nowhere'"):
        await serve(demo, name, "import nowhere\n" + cell(GREET))
    with pytest.raises(InvalidInput, match="status 7"):
        await serve(demo, name, "import os\nos._exit(7)")
    assert demo.info.live == before
    public = await serve(demo, name, cell(GREET))
    run = await demo.start_workflow(public["Greeting"], {"name": "Ada"})
    assert await run.result(30) == "done"


@pytest.mark.parametrize("text", ["x = '\x00'", "x = '\ud800'"], ids=["nul", "surrogate"])
async def test_a_text_that_no_file_of_python_can_hold_is_refused(demo: Session, name: str, text: str) -> None:
    with pytest.raises((InvalidInput, SyntaxError)):  # which one is up to the version of Python
        await serve(demo, name, text)


async def test_a_state_directory_that_cannot_be_written_is_told(demo: Session, name: str, tmp_path: Path) -> None:
    (tmp_path / "live").touch()
    elsewhere = dataclasses.replace(demo.info, home=tmp_path)
    with pytest.raises(StateDirError, match="cannot be used"):
        await asyncio.to_thread(magic.serve, name, cell(GREET), lambda: elsewhere)


async def test_a_cell_that_does_not_load_in_time_is_refused(
    demo: Session, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*args: object, timeout: float, **kwargs: object) -> None:
        raise subprocess.TimeoutExpired("python", timeout)

    monkeypatch.setattr(subprocess, "run", slow)
    with pytest.raises(InvalidInput, match="did not load within 20 s"):
        await serve(demo, name, cell(GREET))


async def test_without_a_worker_of_the_kit_it_is_not_possible(demo: Session, name: str) -> None:
    external = dataclasses.replace(demo.info, runs_workers=False)
    with pytest.raises(NotPossible, match="DURABLE_DEMO_WORKER"):
        await asyncio.to_thread(magic.serve, name, cell(GREET), lambda: external)


@pytest.mark.parametrize("problem", ["the Worker has died <b>", ""])
async def test_a_worker_that_does_not_take_the_code_is_told(
    demo: Session, name: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"# %%workflow {name}\n{cell(GREET)}"
    dead = dataclasses.replace(
        demo.info, home=demo.info.home / "elsewhere", live=(LiveInfo(name, digest(text), ready=False, problem=problem),)
    )
    dead.home.mkdir(exist_ok=True)
    monkeypatch.setattr(magic, "_SERVE_DEADLINE", settings.LEASE_POLL_INTERVAL)
    with pytest.raises(WorkerFailed, match=problem or "has polled its Task Queue within 0.25 s"):
        await asyncio.to_thread(magic.serve, name, cell(GREET), lambda: dead)


async def test_a_workflow_id_that_runs_is_not_taken_twice(demo: Session, name: str) -> None:
    public = await serve(demo, name, cell(WAIT))
    run = await demo.start_workflow(public["Greeting"], {"name": "Ada"}, id=f"{name}-1")
    assert run.id == f"{name}-1"
    with pytest.raises(NotPossible, match=f'demo.attach\\("{name}-1"\\)'):
        await demo.start_workflow(public["Greeting"], {"name": "Ada"}, id=run.id)
    with pytest.raises(InvalidInput, match="not a Workflow ID"):
        await demo.start_workflow(public["Greeting"], {"name": "Ada"}, id="a b")
    await run.terminate()


# --- in IPython ------------------------------------------------------------------------------------------------------


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    shell = InteractiveShell()
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: shell)
    yield shell
    shell.history_manager.end_session()


async def test_the_magic_brings_the_names_of_the_cell_into_the_notebook(
    demo: Session, name: str, shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    magic.register(lambda: demo.info)
    source = f"%%workflow {name}\n{cell(GREET)}"
    ran = await asyncio.to_thread(shell.run_cell, source)
    ran.raise_error()
    assert shell.user_ns["Greeting"].__name__ == "Greeting"
    assert "a Worker runs this code" in capsys.readouterr().out

    broken = await asyncio.to_thread(shell.run_cell, f"%%workflow {name}\nx = = 1")
    assert isinstance(broken.error_in_exec, SyntaxError)
    shown = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    assert f"<workflow {name}>:2" in shown or "line 2" in shown
    assert "x = = 1" in shown


def test_where_no_notebook_runs_nothing_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: None)
    magic.register(lambda: pytest.fail("nobody asks"))
    monkeypatch.delitem(sys.modules, "IPython")
    magic.register(lambda: pytest.fail("nobody asks"))

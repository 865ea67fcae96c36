"""The guard: a child ends with its parent, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from durable_demo.processes import environment, guarded, python_command
from tests.conftest import eventually

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")

# Runs the guard as on a system without PR_SET_PDEATHSIG.
STAYING_GUARD = (
    "import sys; sys.platform = 'elsewhere'; from durable_demo.processes import main; sys.exit(main(sys.argv[1:]))"
)


def staying_guard(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", STAYING_GUARD, str(os.getpid()), *command],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )


def has_ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_a_guarded_child_ends_when_its_parent_is_killed() -> None:
    code = f"""
        import subprocess, time
        from durable_demo.processes import guarded
        child = subprocess.Popen(guarded({SLEEP!r}), stdin=subprocess.PIPE)
        print(child.pid, flush=True)
        time.sleep(60)
    """
    parent = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, env=environment(), text=True
    )
    assert parent.stdout
    with parent.stdout as output:
        child = psutil.Process(int(output.readline()))
    await eventually(lambda: SLEEP[-1] in child.cmdline(), "the guard has become the command")
    parent.kill()
    parent.wait(60)
    await eventually(lambda: has_ended(child), "the child ended")


@linux_only
def test_a_guard_whose_parent_died_early_starts_nothing(tmp_path: Path) -> None:
    not_my_parent = os.getppid()
    command = python_command("durable_demo.processes", str(not_my_parent), "touch", str(tmp_path / "started"))
    assert subprocess.run(command, env=environment(), timeout=60, check=False).returncode == 0
    assert not (tmp_path / "started").exists()


async def test_where_the_guard_stays_the_end_of_its_stdin_ends_the_child() -> None:
    guard = staying_guard(*SLEEP)
    await eventually(lambda: bool(psutil.Process(guard.pid).children()), "the child runs")
    [child] = psutil.Process(guard.pid).children()
    guard.communicate(timeout=60)
    assert not child.is_running()


async def test_where_the_guard_stays_it_forwards_sigterm() -> None:
    guard = staying_guard(*SLEEP)
    await eventually(lambda: bool(psutil.Process(guard.pid).children()), "the child runs")
    guard.terminate()
    assert guard.wait(60) == -signal.SIGTERM % 256
    guard.communicate()


def test_where_the_guard_stays_it_passes_the_exit_status_on() -> None:
    guard = staying_guard(sys.executable, "-c", "raise SystemExit(7)")
    assert guard.wait(60) == 7
    guard.communicate()


def test_a_command_that_cannot_be_run_is_named() -> None:
    ended = subprocess.run(guarded(["/no/such/program"]), env=environment(), capture_output=True, text=True, timeout=60)
    assert ended.returncode == 127
    assert "cannot run /no/such/program" in ended.stderr


def test_the_guard_loads_nothing_heavy() -> None:
    code = "import durable_demo.processes, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=60, check=True
    ).stdout.split()
    assert not {"temporalio", "psutil", "platformdirs", "asyncio", "ipywidgets"} & set(loaded)


def test_files_in_the_current_directory_shadow_no_module_of_a_child(tmp_path: Path) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit('shadowed')")
    (tmp_path / "durable_demo.py").write_text("raise SystemExit('shadowed')")
    command = guarded(python_command("durable_demo.supervisor", "--help"))
    ended = subprocess.run(command, env=environment(), cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr

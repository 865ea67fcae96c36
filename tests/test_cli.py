"""The command line, as people use it: processes, exit statuses, what stands on stdout and stderr."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest
from rich.console import Console
from typer.testing import CliRunner

from durable_demo import __version__, cli, execute, lab
from durable_demo.errors import DemoError
from durable_demo.events import EVENTS
from durable_demo.stack import Stack, StackInfo

ROOT = Path(__file__).parents[1]
SEEDED = ["monty", "--seed", "7", "--min-sleep", "0.2", "--max-sleep", "0.4", "--iterations", "5"]
LONG = ["monty", "--seed", "7", "--min-sleep", "60", "--max-sleep", "60"]
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory of this module's own."""
    return tmp_path_factory.mktemp("cli-home")


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[StackInfo]:
    """The stack in that directory, held up by this process."""
    held = Stack(home)
    yield asyncio.run(held.start())
    asyncio.run(held.down())
    asyncio.run(held.close())


def environment(home: Path, **changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TEMPORAL_", "DURABLE_DEMO_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "DURABLE_DEMO_HOME": str(home), **changes}


def durable_demo(home: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "durable_demo", *arguments],
        env=environment(home, **changes),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        cwd=home,
    )


class Started:
    """A command under way, its output in a file."""

    def __init__(self, home: Path, *arguments: str, **changes: str) -> None:
        self.output = home / f"output-{time.monotonic_ns()}.txt"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "durable_demo", *arguments],
                env=environment(home, **changes),
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=home,
            )

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(DEADLINE_S)

    @property
    def text(self) -> str:
        return self.output.read_text("utf-8")

    def until(self, words: str) -> str:
        """Waits for words in the output; returns the output."""
        wait_for(lambda: words in self.text, lambda: f"{words!r} in:\n{self.text}")
        return self.text

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def status(self) -> int:
        return self.process.wait(DEADLINE_S)


def wait_for(condition: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {DEADLINE_S:.0f} s for {what()}"
        time.sleep(0.05)


def quotes(text: str) -> list[str]:
    return re.findall(r'Iteration \d+: "(.*)"', text)


def workflow_id(text: str) -> str:
    found = re.search(r"monty-python-[0-9a-f]{8}", text)
    assert found, text
    return found[0]


# --- without a stack -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["durable_demo", "durable_demo.cli"])
def test_the_version_is_told_without_the_script_on_path(module: str) -> None:
    told = subprocess.run(
        [sys.executable, "-m", module, "--version"], cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert told.stdout == f"durable-demo {__version__}\n"


def test_an_error_of_ours_is_told_in_words_on_stderr(tmp_path: Path) -> None:
    failed = durable_demo(tmp_path, "monty", DURABLE_DEMO_TEMPORAL="/nowhere/temporal")
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert "There is no `temporal` program" in failed.stderr
    assert "\nWhy: " in failed.stderr
    assert "\nNext: " in failed.stderr
    assert "Traceback" not in failed.stderr
    assert "\x1b" not in failed.stderr


def test_any_other_error_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        cli.main()


def test_control_characters_of_an_error_are_made_visible(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(**_: object) -> None:
        raise DemoError("refused \x1b[2J [red]x[/red]", remedy="try again")

    monkeypatch.setattr(cli, "app", refused)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "refused \\x1b[2J [red]x[/red]\nNext: try again\n"


def test_nothing_runs_so_status_down_and_logs_say_so_and_start_nothing(tmp_path: Path) -> None:
    assert f"Nothing runs in {tmp_path}" in durable_demo(tmp_path, "status").stdout
    assert durable_demo(tmp_path, "down").stdout == f"Nothing ran in {tmp_path}\n"
    assert f"worker has logged nothing in {tmp_path}" in durable_demo(tmp_path, "logs").stdout
    assert not (tmp_path / "stack.json").exists()


def test_a_worker_without_a_server_says_what_to_set(tmp_path: Path) -> None:
    failed = durable_demo(tmp_path, "worker")
    assert failed.returncode == 1
    assert "TEMPORAL_ADDRESS" in failed.stderr


# --- run -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What `run` hands over to the module that runs notebooks."""
    seen: dict[str, object] = {}

    def recorded(notebooks: Sequence[Path], out: Path, **options: object) -> list[execute.Outcome]:
        seen.update(options, notebooks=notebooks, out=out)
        return []

    monkeypatch.setattr(execute, "execute_notebooks", recorded)
    return seen


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        (["a.ipynb", "-p", "seed", "7", "-p", "max_sleep", "0.5", "b.ipynb"], {"seed": 7, "max_sleep": 0.5}),
        (["a.ipynb", "b.ipynb", "--parameter", "quote", "--help"], {"quote": "--help"}),
        (["a.ipynb", "b.ipynb", "-p", "shift", "-2"], {"shift": -2}),
        (["a.ipynb", "b.ipynb", "-p", "formula", "a=b"], {"formula": "a=b"}),
        (["-p", "seed=7", "a.ipynb", "b.ipynb"], {"seed": 7}),
    ],
)
def test_parameters_are_pairs_as_papermill_takes_them(
    handed_over: dict[str, object], arguments: list[str], parameters: dict[str, object]
) -> None:
    assert CliRunner().invoke(cli.app, ["run", *arguments]).exit_code == 0
    assert handed_over["parameters"] == parameters
    assert handed_over["notebooks"] == [Path("a.ipynb"), Path("b.ipynb")]


@pytest.mark.slow
def test_run_says_which_notebook_failed_and_ends_with_one(tmp_path: Path) -> None:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for name, source in {"good": "1 + 1", "bad": "raise ValueError('[red]broken')"}.items():
        cell = {
            "cell_type": "code",
            "id": name,
            "source": source,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        notebook = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
        (tmp_path / f"{name}.ipynb").write_text(json.dumps(notebook))
    both = durable_demo(tmp_path, "run", "bad.ipynb", "good.ipynb", "--out", "results")
    assert both.returncode == 1
    assert re.search(r"\nfailed  bad\.ipynb  .* s  .*bad\.html\n {8}ValueError: \[red\]broken\n", both.stdout)
    assert re.search(r"\nok      good\.ipynb .* s  .*good\.html\n", both.stdout)
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == [
        "bad.html", "bad.ipynb", "good.html", "good.ipynb",
    ]  # fmt: skip
    assert durable_demo(tmp_path, "run", "good.ipynb", "--out", "results").returncode == 0


# --- monty and watch -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_seeded_monty_prints_the_same_five_quotes_each_time(home: Path, stack: StackInfo) -> None:
    first, second = durable_demo(home, *SEEDED), durable_demo(home, *SEEDED)
    assert (first.returncode, second.returncode) == (0, 0)
    assert len(quotes(first.stdout)) == 5
    assert quotes(first.stdout) == quotes(second.stdout)
    assert "Status: COMPLETED\nIterations: 5 | Quotes Delivered: 5 | Total Runtime: " in first.stdout
    assert first.stderr == ""


@pytest.mark.slow
def test_monty_as_json_is_one_known_event_a_line(home: Path, stack: StackInfo) -> None:
    ran = durable_demo(home, *SEEDED, "--json", "--quote", "mine <b> [red]🐍[/red]", "--quote", "mine too")
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    assert {event["event"] for event in events} <= EVENTS.keys()
    assert events[0]["event"] == "workflow_started"
    assert events[-1]["event"] == "workflow_completed"
    delivered = [event["current_quote"] for event in events if event.get("current_quote")]
    assert delivered[:2] == ["mine <b> [red]🐍[/red]", "mine too"]


@pytest.mark.slow
def test_watch_shows_an_ended_workflow_whole_or_from_an_offset(home: Path, stack: StackInfo) -> None:
    live = durable_demo(home, *SEEDED)
    again = durable_demo(home, "watch", workflow_id(live.stdout))
    assert again.returncode == 0
    assert quotes(again.stdout) == quotes(live.stdout)
    events = durable_demo(home, "watch", workflow_id(live.stdout), "--json").stdout.splitlines()
    middle = len(events) // 2
    offset = json.loads(events[middle])["offset"]
    rest = durable_demo(home, "watch", workflow_id(live.stdout), "--json", "--after", offset)
    assert rest.stdout.splitlines() == events[middle + 1 :]


@pytest.mark.slow
def test_interrupting_monty_stops_it_gracefully(home: Path, stack: StackInfo) -> None:
    with Started(home, *LONG) as monty:
        monty.until("sleeping for 60 seconds")
        monty.interrupt()
        assert monty.status() == 0
        assert "stopping..." in monty.text
        assert "Status: COMPLETED" in monty.text


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGSTOP")
def test_interrupting_monty_twice_leaves_it_and_watch_picks_it_up(home: Path, stack: StackInfo) -> None:
    running = Stack(home).info()
    assert running
    assert running.worker
    worker = psutil.Process(running.worker.pid)
    with Started(home, *LONG) as monty:
        found = workflow_id(monty.until("sleeping for 60 seconds"))
        worker.suspend()  # so that the stop cannot have ended it before the second interrupt comes
        try:
            monty.interrupt()
            monty.until("stopping...")
            monty.interrupt()
            assert monty.status() == 130
        finally:
            worker.resume()
        assert f"durable-demo watch {found}" in monty.text
    watched = durable_demo(home, "watch", found)
    assert watched.returncode == 0
    assert "Stop requested" in watched.stdout


@pytest.mark.slow
def test_interrupting_watch_leaves_and_the_workflow_goes_on_to_its_real_end(home: Path, stack: StackInfo) -> None:
    with Started(home, *LONG) as monty:
        found = workflow_id(monty.until("sleeping for 60 seconds"))
        with Started(home, "watch", found) as watch:
            watch.until("sleeping for 60 seconds")
            watch.interrupt()
            assert watch.status() == 130
        assert re.search(rf"{found} +MontyPythonWorkflow +RUNNING", durable_demo(home, "status").stdout)
        terminate(home, found)
        assert monty.status() == 1
        assert "Status: TERMINATED" in monty.text


def terminate(home: Path, found: str) -> None:
    from durable_demo import Session

    async def end() -> None:
        async with Session(home) as session:
            await session.attach(found).terminate()

    asyncio.run(end())


# --- the stack -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_status_logs_and_down_tell_what_runs_and_stop_it(tmp_path: Path) -> None:
    ran = durable_demo(tmp_path, *SEEDED)
    with Started(tmp_path, *LONG) as monty:
        monty.until("sleeping for 60 seconds")
        running = Stack(tmp_path).info()
        assert running
        status = durable_demo(tmp_path, "status").stdout
        assert all(str(process.pid) in status for process in running.processes)
        assert running.address in status
        assert re.search(r"Sessions +1\n", status)
        assert re.search(rf"{workflow_id(ran.stdout)} +MontyPythonWorkflow +COMPLETED", status)
        assert "serves Task Queue" in durable_demo(tmp_path, "logs", "worker", "-n", "5").stdout
        stopped = durable_demo(tmp_path, "down").stdout
        assert stopped.startswith("Stopped (")
        assert all(str(process.pid) in stopped for process in running.processes)
        assert not any(process.alive for process in running.processes)


@pytest.mark.slow
def test_a_worker_runs_in_the_foreground_until_it_is_interrupted(home: Path, stack: StackInfo) -> None:
    with Started(home, "worker", TEMPORAL_ADDRESS=stack.address) as worker:
        worker.until("serves Task Queue")
        worker.interrupt()
        assert worker.status() == 0


# --- lab -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What `lab` is asked for."""
    seen: dict[str, object] = {}

    async def recorded(_console: object, **options: object) -> int:
        seen.update(options)
        return 0

    monkeypatch.setattr(lab, "serve", recorded)
    return seen


@pytest.mark.parametrize(
    ("arguments", "browser", "extra"),
    [
        ([], True, []),
        (["--no-browser"], False, []),
        (["lab"], True, []),
        (["lab", "--no-browser", "--", "--port=9999", "-y"], False, ["--port=9999", "-y"]),
    ],
)
def test_lab_is_what_runs_without_a_command(
    served: dict[str, object], arguments: list[str], browser: bool, extra: list[str]
) -> None:
    assert CliRunner().invoke(cli.app, arguments).exit_code == 0
    assert served == {"browser": browser, "extra": extra}


def test_lab_listens_on_loopback_and_opens_the_first_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "FIRST_NOTEBOOK", tmp_path / "00_start_here.ipynb")
    without = lab.lab_command(browser=True)
    assert "--ServerApp.ip=127.0.0.1" in without
    assert not any("root_dir" in argument or "no-browser" in argument for argument in without)
    (tmp_path / "00_start_here.ipynb").touch()
    command = lab.lab_command(browser=False, extra=["--port=9999"])
    assert f"--ServerApp.root_dir={tmp_path}" in command
    assert "--LabApp.default_url=/lab/tree/00_start_here.ipynb" in command
    assert "--no-browser" in command
    assert command[-1] == "--port=9999"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


@pytest.mark.parametrize("error", [DemoError("no parrot"), RuntimeError("no parrot")])
async def test_lab_tells_why_the_stack_did_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    async def fail(_: Stack) -> StackInfo:
        raise error

    monkeypatch.setattr(Stack, "start", fail)
    await lab._hold(Stack(), Console())
    told = capsys.readouterr()
    assert "no parrot" in told.err
    assert "JupyterLab goes on" in told.out


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_lab_has_a_stack_ready_and_both_end_with_it(tmp_path: Path, end: signal.Signals) -> None:
    port = free_port()
    with Started(tmp_path, "lab", "--no-browser", "--", f"--port={port}") as started:
        started.until("Worker: ready")
        wait_for(lambda: answers(port), lambda: f"JupyterLab on {port}:\n{started.text}")
        running = Stack(tmp_path).info()
        assert running
        started.process.send_signal(end)
        status = started.status()
    assert status == (0 if end != signal.SIGKILL else -signal.SIGKILL)
    wait_for(lambda: not answers(port), lambda: "the end of JupyterLab")
    wait_for(lambda: not any(process.alive for process in running.processes), lambda: "the end of the stack")


@pytest.mark.slow
def test_lab_goes_on_when_the_stack_cannot_start(tmp_path: Path) -> None:
    port, missing = free_port(), "/nowhere/temporal"
    with Started(tmp_path, "lab", "--no-browser", "--", f"--port={port}", DURABLE_DEMO_TEMPORAL=missing) as started:
        started.until("JupyterLab goes on without server and Worker")
        assert "There is no `temporal` program" in started.text
        wait_for(lambda: answers(port), lambda: f"JupyterLab on {port}:\n{started.text}")
        started.interrupt()
        assert started.status() == 0

"""Every notebook as a test: its manners, a run by `durable-demo run`, and a second run that nbval compares with it."""

from __future__ import annotations

import asyncio
import functools
import html
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import nbformat
import papermill
import pytest
from nbformat import NotebookNode

from durable_demo.execute import WIDGET_VIEW
from durable_demo.stack import Stack

v4 = nbformat.v4
ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ARTIFACTS = ROOT / "artifacts" / "notebooks"
SANITIZE = Path(__file__).with_name("nbval_sanitize.cfg")
QUICK = {"min_sleep": 0.3, "max_sleep": 0.6, "slow_sleep": 2}
"""Parameters of a quick run; a notebook gets those that it has."""
COMPARED = "nbval-check-output"
CELL_TIMEOUT_S = 120
RUN_TIMEOUT_S = 280

pytestmark = pytest.mark.timeout(RUN_TIMEOUT_S + 20)
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


def read(path: Path) -> NotebookNode:
    node: NotebookNode = nbformat.read(path, as_version=4)
    return node


def code_cells(node: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in node.cells if cell.cell_type == "code"]


def tagged(node: NotebookNode, tag: str) -> list[NotebookNode]:
    return [cell for cell in node.cells if tag in cell.metadata.get("tags", [])]


def text_of(cell: NotebookNode) -> str:
    """What a cell has printed and shown, as text."""
    return "".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)


# --- manners ---------------------------------------------------------------------------------------------------------


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@each_notebook
def test_it_begins_with_what_the_reader_will_do_learn_and_need(path: Path) -> None:
    first = read(path).cells[0]
    assert first.cell_type == "markdown"
    assert re.match(r"# \w+", first.source)
    for part in ("What you'll do", "What you'll learn", "What you need", "Time"):
        assert f"**{part}**" in first.source


@each_notebook
def test_it_ends_with_own_work_a_check_and_assert_clean(path: Path) -> None:
    node = read(path)
    prose = "\n".join(cell.source for cell in node.cells if cell.cell_type == "markdown")
    assert 0 < prose.index("\n## On your own\n") < prose.index("\n## Check\n")
    assert code_cells(node)[-1].source.splitlines()[-1] == "await demo.assert_clean()"


@each_notebook
def test_it_has_one_parameters_cell(path: Path) -> None:
    assert len(tagged(read(path), "parameters")) == 1


@each_notebook
def test_each_code_cell_is_short_and_is_introduced_by_prose(path: Path) -> None:
    node = read(path)
    for before, cell in pairwise(node.cells):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown", cell.source
            most = 24 if cell.source.startswith("%%workflow") else 12  # a workflow cannot be in two cells
            assert len(cell.source.splitlines()) <= most, cell.source


@each_notebook
def test_it_asks_for_no_input(path: Path) -> None:
    assert not [cell.source for cell in code_cells(read(path)) if re.search(r"\binput\s*\(", cell.source)]


@each_notebook
def test_its_cell_ids_are_names_and_its_kernel_is_the_one_of_this_environment(path: Path) -> None:
    node = read(path)
    nbformat.validate(node)
    ids = [cell.id for cell in node.cells]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in ids)
    assert node.metadata.kernelspec.name == "python3"


@each_notebook
def test_its_local_links_lead_somewhere(path: Path) -> None:
    links = [
        link
        for cell in read(path).cells
        if cell.cell_type == "markdown"
        for link in re.findall(r"\]\((?!\w+:)([^)#\s]+)", cell.source)
    ]
    assert [link for link in links if not (path.parent / link).exists()] == []


# --- runs ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ran:
    """A notebook that `durable-demo run` has run."""

    command: subprocess.CompletedProcess[str]
    executed: Path
    page: Path

    @property
    def node(self) -> NotebookNode:
        return read(self.executed)

    def cell(self, name: str) -> NotebookNode:
        """The cell with this id."""
        found: NotebookNode = next(cell for cell in self.node.cells if cell.id == name)
        return found


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Environment with a state directory of this module's own, and a stack in it that is kept up."""
    home = tmp_path_factory.mktemp("notebooks-home")
    stack = Stack(home)
    asyncio.run(stack.start())
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TEMPORAL_", "DURABLE_DEMO_"))}
    yield {**kept, "PYTHONPATH": str(ROOT), "DURABLE_DEMO_HOME": str(home)}
    asyncio.run(stack.down())
    asyncio.run(stack.close())


RunOnce = Callable[[Path], Ran]


def run_notebook(path: Path, out: Path, environment: dict[str, str]) -> Ran:
    known = papermill.inspect_notebook(str(path))
    parameters = [part for name in QUICK if name in known for part in ("-p", name, str(QUICK[name]))]
    command = subprocess.run(
        [sys.executable, "-m", "durable_demo", "run", str(path), "--out", str(out), *parameters],
        env=environment,
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
    )
    return Ran(command, out / path.name, out / f"{path.stem}.html")


def compare_by_nbval(path: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs an executed notebook again; the cells tagged COMPARED must give the same outputs."""
    # With `=`, since pytest would take the path of the file for a place to look for its configuration in.
    options = [f"--nbval-sanitize-with={SANITIZE}", f"--nbval-cell-timeout={CELL_TIMEOUT_S}", "--nbval-current-env"]
    plugins = ["-p", "nbval.plugin", "-p", "no:cacheprovider"]  # the others of this environment take seconds to load
    return subprocess.run(
        [sys.executable, "-m", "pytest", path.name, "--nbval-lax", *options, *plugins, "--color=no"],
        cwd=path.parent,
        env={**environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
    )


def said(command: subprocess.CompletedProcess[str], environment: dict[str, str]) -> str:
    """What a run printed, and the newest lines of the stack's logs."""
    stack = Stack(Path(environment["DURABLE_DEMO_HOME"]))
    logs = (f"--- {name}.log:\n{stack.logs(name, 30)}" for name in ("supervisor", "worker", "server"))
    return "\n".join((command.stdout, command.stderr, *logs))


@pytest.fixture(scope="module")
def run_once(environment: dict[str, str]) -> RunOnce:
    """Runs a notebook at its first call, and remembers how it went."""
    return functools.cache(lambda path: run_notebook(path, ARTIFACTS, environment))


@pytest.mark.slow
@each_notebook
def test_it_runs_to_its_end_without_a_browser(path: Path, run_once: RunOnce, environment: dict[str, str]) -> None:
    ran = run_once(path)
    assert ran.command.returncode == 0, said(ran.command, environment)
    assert all(cell.execution_count for cell in code_cells(ran.node))


@pytest.mark.slow
@each_notebook
def test_its_executed_copy_holds_no_dead_widget(path: Path, run_once: RunOnce) -> None:
    ran = run_once(path)
    assert "widgets" not in ran.node.metadata
    assert not [
        cell.id for cell in code_cells(ran.node) for output in cell.outputs if WIDGET_VIEW in output.get("data", {})
    ]


@pytest.mark.slow
@each_notebook
def test_its_page_loads_nothing_from_the_network(path: Path, run_once: RunOnce) -> None:
    ran = run_once(path)
    page = ran.page.read_text(encoding="utf-8")
    assert "<script" not in page
    assert not re.findall(r"""(?:src=|<link|@import|url\()\s*["']?\s*(?:https?:)?//""", page)


def doubled(node: NotebookNode) -> NotebookNode:
    """A notebook with each cell twice, but for its parameters; what starts something must find that the second time."""
    cells = []
    for cell in node.cells:
        cells.append(cell)
        if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", []):
            again = v4.new_code_cell(cell.source, id=f"{cell.id}-again")
            if cell.id in ("start-session", "start-monty"):
                cells += v4.new_code_cell("found = repr(_)"), again, v4.new_code_cell("assert repr(_) == found != ''")
            else:
                cells.append(again)
    return v4.new_notebook(cells=cells, metadata=node.metadata)


@pytest.mark.slow
@each_notebook
def test_a_second_run_gives_the_same_in_the_compared_cells_though_each_cell_is_run_twice(
    path: Path, run_once: RunOnce, environment: dict[str, str], tmp_path: Path
) -> None:
    ran = run_once(path)
    assert ran.command.returncode == 0, said(ran.command, environment)
    compared = tagged(ran.node, COMPARED)
    assert compared
    assert all(text_of(cell) for cell in compared)
    twice = doubled(ran.node)
    copy = tmp_path / ran.executed.name  # here no project configures pytest
    nbformat.write(twice, copy)

    again = compare_by_nbval(copy, environment)

    assert again.returncode == 0, said(again, environment)
    assert f"{len(code_cells(twice))} passed" in again.stdout


@pytest.mark.slow
def test_the_first_notebook_shows_the_whole_trace_as_static_html(run_once: RunOnce) -> None:
    first = run_once(NOTEBOOKS[0])
    quotes = re.findall(r"Iteration \d+: (.+)", text_of(first.cell("watch-quotes")))
    (panel,) = first.cell("show-panel").outputs
    shown = panel.data["text/html"]

    assert len(quotes) == 3
    for quote in (*quotes, "It is only a model."):
        assert html.escape(f'"{quote}"') in shown
    for part in (
        "COMPLETED",
        "Iteration 1: Activity sleeping for",
        "Pause requested",
        "Stop requested",
        "Total Runtime",
    ):
        assert part in shown
    (footer,) = re.findall(r"Iterations: \d+ \| Quotes Delivered: \d+ \| [\w :.]+", shown)
    page = first.page.read_text(encoding="utf-8")
    assert page.count(footer) == 2  # in the panel, and in the trace that a cell prints


@pytest.mark.slow
def test_the_second_notebook_shows_the_whole_conversation_as_static_html(run_once: RunOnce) -> None:
    second = run_once(NOTEBOOKS[1])
    (panel,) = second.cell("show-panel").outputs
    parts = ("What&#x27;s the weather in NYC?", "How about London?", "get_weather(", "AI (stopped)", "COMPLETED")
    (conversation,) = [output for output in second.cell("end-chat").outputs if "text/html" in output.get("data", {})]

    for shown in (panel.data["text/html"], conversation.data["text/html"]):
        assert all(part in shown for part in parts)
    assert text_of(second.cell("count-facts")).startswith("1 answer\n")


# --- the gates themselves --------------------------------------------------------------------------------------------


def write(path: Path, *sources: str) -> Path:
    node = v4.new_notebook(cells=[v4.new_code_cell(source) for source in sources])
    node.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(node, path)
    return path


def marked(ran: Ran) -> list[str]:
    """Sources of the cells that follow papermill's error marker."""
    cells = ran.node.cells
    return [after.source for cell, after in pairwise(cells) if 'id="papermill-error-cell"' in cell.source]


SESSION = "from durable_demo import Panel, Session\ndemo = await Session().start()\npanel = Panel(demo)\npanel"
CLEAN = "await demo.assert_clean()"


@pytest.mark.slow
def test_a_broken_notebook_fails_with_its_failing_cell_marked(environment: dict[str, str], tmp_path: Path) -> None:
    broken = "run = await panel.start_monty(min_sleep=5, max_sleep=1)"
    ran = run_notebook(write(tmp_path / "broken.ipynb", SESSION, broken, CLEAN), tmp_path / "out", environment)

    assert ran.command.returncode == 1
    assert "min_sleep" in ran.command.stdout + ran.command.stderr
    assert marked(ran) == [broken]
    assert "min_sleep (5 s) is longer than max_sleep (1 s)" in ran.page.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(
    "failing",
    ["panel.start_monty(min_sleep=-1)", "demo.background.spawn(boom(), name='boom')"],
    ids=["command", "callback"],
)
def test_what_fails_behind_the_cells_fails_the_notebook(
    environment: dict[str, str], tmp_path: Path, failing: str
) -> None:
    spawn = f"async def boom():\n    raise ValueError('boom')\n\nwork = {failing}"
    wait = "import asyncio\nwhile not work.done:\n    await asyncio.sleep(0.01)"
    ran = run_notebook(write(tmp_path / "behind.ipynb", SESSION, spawn, wait, CLEAN), tmp_path / "out", environment)

    assert ran.command.returncode == 1
    assert marked(ran) == [CLEAN]
    assert "UncleanSession" in ran.page.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "told"), [(2, "1 passed"), (3, "mismatch 'stdout'")])
def test_nbval_refuses_an_output_that_differs_in_more_than_the_time(
    environment: dict[str, str], tmp_path: Path, number: int, told: str
) -> None:
    path = write(tmp_path / "compared.ipynb", "import time\nprint(time.strftime('at %H:%M:%S:'), 1 + 1)")
    node = read(path)
    cell = node.cells[0]
    cell.metadata.tags, cell.execution_count = [COMPARED], 1
    cell.outputs = [v4.new_output("stream", name="stdout", text=f"at 10:00:00: {number}\n")]
    nbformat.write(node, path)

    assert told in compare_by_nbval(path, environment).stdout

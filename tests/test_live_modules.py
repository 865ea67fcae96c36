"""Modules from cells: loaded as they were read, checked before they are used."""

from __future__ import annotations

import asyncio
import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import _Definition

from durable_demo import live_modules
from durable_demo.errors import InvalidInput
from durable_demo.processes import environment, python_command
from tests.live_cells import GREET, WAIT, cell, load_cell


def checked(folder: Path, text: str) -> dict[str, Any]:
    """What the check says of a text, and what it leaves as its exit status."""
    path = folder / "party.new"
    path.write_text(text)
    command = python_command("durable_demo.live_modules", "--check", str(path))
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == ("problem" in found)
    return found


@pytest.mark.parametrize("name", ["party", "a", "my_json", "a" * 40])
def test_a_plain_name_is_taken(name: str) -> None:
    assert live_modules.check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "Party", "1st", "a b", "../up", "a.b", "_x", "class", "json", "asyncio", "session", "ä", "a" * 41, None],
)
def test_any_other_name_is_refused(name: object) -> None:
    with pytest.raises(InvalidInput, match="%%workflow"):
        live_modules.check_name(name)


def test_a_loaded_module_has_its_workflows_activities_and_public_names(tmp_path: Path) -> None:
    live = load_cell(tmp_path, "party", GREET)
    assert list(live.workflows) == ["Greeting"]
    assert list(live.activities) == ["greet", "write_down"]
    assert {"Greeting", "Guest", "greet", "timedelta"} <= live.public.keys()
    assert live.module.__file__ == str(tmp_path / "party.py")
    workflows, activities = live_modules.load(tmp_path / "party.py")
    assert workflows == [live.public["Greeting"]]
    assert activities == [live.public["greet"], live.public["write_down"]]


def test_the_same_text_is_loaded_once_and_another_one_anew_however_quick(tmp_path: Path) -> None:
    first = load_cell(tmp_path, "party", GREET)
    assert load_cell(tmp_path, "party", GREET) is first
    second = load_cell(tmp_path, "party", WAIT)  # within the same second, and Python's cache of compiled files
    assert second.workflows["Greeting"] is not first.workflows["Greeting"]
    assert second.module.__name__ in sys.modules
    assert first.module.__name__ not in sys.modules  # what %autoreload would take for changed
    assert not list(tmp_path.glob("__pycache__"))


async def test_each_version_runs_in_the_sandbox_after_its_file_has_changed(tmp_path: Path) -> None:
    first = load_cell(tmp_path, "party", GREET)
    (tmp_path / "party.py").write_text("this is no Python")
    SandboxedWorkflowRunner().prepare_workflow(_Definition.must_from_class(first.workflows["Greeting"]))
    (tmp_path / "party.py").write_text(cell(GREET))
    assert "execute_activity(greet" in inspect.getsource(first.workflows["Greeting"])


def test_a_module_that_fails_to_load_leaves_the_one_from_before(tmp_path: Path) -> None:
    first = load_cell(tmp_path, "party", GREET)
    (tmp_path / "party.py").write_text("import nowhere_to_be_found")
    with pytest.raises(ModuleNotFoundError):
        live_modules.load_module(tmp_path / "party.py")
    assert first in live_modules.all_loaded()


def test_the_check_says_what_a_text_holds(tmp_path: Path) -> None:
    text = "print('this is not the answer')\n" + cell(GREET)
    assert checked(tmp_path, text) == {"workflows": ["Greeting"], "activities": ["greet", "write_down"]}


OK = cell(GREET)
DUPLICATE = "\n@activity.defn(name='greet')\nasync def again() -> None:\n    pass\n"
DYNAMIC = """
from collections.abc import Sequence
from temporalio.common import RawValue

@activity.defn(dynamic=True)
async def any_of_them(args: Sequence[RawValue]) -> None:
    pass
"""


@pytest.mark.parametrize(
    ("text", "problem", "line"),
    [
        ("import nowhere_to_be_found\n" + OK, "ModuleNotFoundError: No module named 'nowhere_to_be_found'", 1),
        (OK.replace("from datetime import timedelta\n", ""), "NameError: name 'timedelta' is not defined", 16),
        (cell("await workflow.sleep(later)"), "NameError: 'later' is defined nowhere in this cell", 26),
        (OK.replace("    @workflow.run\n", ""), "Missing @workflow.run method", 19),
        (OK.replace("@workflow.defn\n", ""), "ValueError: it holds no workflow", None),
        (OK + DUPLICATE, "ValueError: two workflows or two Activities are named 'greet'", None),
        (OK + DYNAMIC, "ValueError: dynamic", None),
        (OK + "\nimport random\nLUCK = random.random()\n", "RestrictedWorkflowAccessError", 33),
        (OK + "\nraise SystemExit(3)\n", "SystemExit: 3", 32),
    ],
    ids=["import", "name", "name in a function", "no run", "no workflow", "twice", "dynamic", "sandbox", "exit"],
)
def test_the_check_says_what_is_wrong_and_where(tmp_path: Path, text: str, problem: str, line: int | None) -> None:
    found = checked(tmp_path, text)
    assert problem in found["problem"]
    assert found["line"] == line


def test_the_check_can_be_called(tmp_path: Path) -> None:
    path = tmp_path / "party.py"
    path.write_text(cell(GREET, WAIT))
    assert asyncio.run(live_modules.check(path))["workflows"] == ["Greeting"]

"""Recorded histories replay on today's workflow code: people's running workflows survive an upgrade of the kit."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from durable_demo.workflows import WORKFLOWS
from tests.changed_workflows import WithAPatchedTimer, WithATimer, WithoutItsActivity
from tests.record_histories import CURRENT, DIRECTORY, SCENARIOS

HISTORIES = sorted(DIRECTORY.glob("*/*.json"))


def place(path: Path) -> str:
    """Version and name, such as ``0.1.0/monty-completed-1``."""
    return path.relative_to(DIRECTORY).with_suffix("").as_posix()


async def replay(path: Path, workflows: list[type]) -> None:
    history = WorkflowHistory.from_json(path.stem, path.read_text())  # noqa: ASYNC240  # a small file
    try:
        await Replayer(workflows=workflows).replay_workflow(history)
    except Exception as error:
        said = re.search(r'message: "([^"]+)"', str(error))
        pytest.fail(
            f"Today's workflow code does not fit the recorded run {place(path)}: {said[1] if said else error}\n"
            "Why: a workflow that was begun with that version would be stuck at its next Workflow Task.\n"
            'Next: put the change behind `if workflow.patched("a-name-for-it"):` and keep the old way in `else:`.\n'
            "Do not record the history anew: that would only hide it."
        )


def test_this_version_has_a_history_of_each_path():
    recorded = {path.name.rsplit("-", 1)[0] for path in CURRENT.glob("*.json")}
    assert recorded == set(SCENARIOS), "Next: python -m tests.record_histories (it adds what is missing), then commit"


def test_each_workflow_type_has_histories_of_this_version():
    started = [json.loads(path.read_text())["events"][0] for path in CURRENT.glob("*.json")]
    types = {event["workflowExecutionStartedEventAttributes"]["workflowType"]["name"] for event in started}
    assert types == {workflow.__name__ for workflow in WORKFLOWS}, "Next: add scenarios to tests/record_histories.py"


@pytest.mark.parametrize("path", HISTORIES, ids=place)
async def test_a_recorded_run_replays(path: Path):
    await replay(path, WORKFLOWS)


# --- the gate itself -------------------------------------------------------------------------------------------------

COMPLETED = DIRECTORY / "0.1.0" / "monty-completed-1.json"


@pytest.mark.parametrize("changed", [WithATimer, WithoutItsActivity])
async def test_a_changed_workflow_fails_with_what_to_do(changed: type):
    with pytest.raises(pytest.fail.Exception, match=r"0\.1\.0/monty-completed-1: .*\n(.|\n)*workflow\.patched"):
        await replay(COMPLETED, [changed])


async def test_a_change_behind_a_patch_passes():
    await replay(COMPLETED, [WithAPatchedTimer])

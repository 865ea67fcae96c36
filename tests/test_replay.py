"""Recorded histories replay on today's workflow code: people's running workflows survive an upgrade of the kit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from durable_demo.workflows import WORKFLOWS, MontyPythonWorkflow
from tests.record_histories import SCENARIOS

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


async def replay(text: str, workflows: list[type]) -> None:
    history = WorkflowHistory.from_json("recorded", text)
    try:
        await Replayer(workflows=workflows).replay_workflow(history)
    except Exception as error:
        pytest.fail(
            f"the workflow's code no longer fits a recorded run: {error}\n"
            "Next: branch with `workflow.patched(...)` so that old runs take the old path; do not record anew."
        )


def test_each_path_of_the_workflows_is_recorded():
    recorded = {path.name.rsplit("-", 1)[0] for path in HISTORIES}
    assert recorded == set(SCENARIOS)


@pytest.mark.parametrize("text", [path.read_text() for path in HISTORIES], ids=[path.stem for path in HISTORIES])
async def test_a_recorded_run_replays(text: str):
    await replay(text, WORKFLOWS)


async def test_a_changed_workflow_fails_with_what_to_do():
    # The gate itself: a history with another Activity in its place must not pass.
    recorded = json.loads(next(path for path in HISTORIES if path.stem == "monty-completed-1").read_text())
    for event in recorded["events"]:
        scheduled = event.get("activityTaskScheduledEventAttributes")
        if scheduled:
            scheduled["activityType"]["name"] = "something_else"
    with pytest.raises(pytest.fail.Exception, match=r"workflow\.patched"):
        await replay(json.dumps(recorded), [MontyPythonWorkflow])

"""What is checked before a workflow is started."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.converter import PayloadConverter

from durable_demo import Session
from durable_demo.client import DemoClient
from durable_demo.errors import InvalidInput
from durable_demo.starting import KnownWorkflow, find_workflow
from durable_demo.workflows import MontyPythonWorkflow
from durable_demo.workflows.checks import PLAIN_ID
from tests.live_cells import GREET, WAIT, load_cell


@pytest.fixture
def greeting(tmp_path: Path) -> KnownWorkflow:
    return find_workflow(load_cell(tmp_path, "party", GREET).workflows["Greeting"])


def check(known: KnownWorkflow, *args: object) -> None:
    known.check(args, PayloadConverter.default)


def test_workflows_are_found_by_class_and_by_name(tmp_path: Path) -> None:
    kit = find_workflow(MontyPythonWorkflow)
    assert kit == find_workflow("MontyPythonWorkflow")
    assert kit.module == ""
    live = load_cell(tmp_path, "one_of_its_kind", GREET.replace("greet", "write_down"))
    assert find_workflow(live.workflows["Greeting"]).module == "one_of_its_kind"
    assert find_workflow("Greeting", "durable-demo.one_of_its_kind").module == "one_of_its_kind"


@pytest.mark.parametrize("unknown", ["NotThere", "", "<b>\u202e", int, 7, None, lambda: None])
def test_what_nobody_runs_is_refused(unknown: object) -> None:
    with pytest.raises(InvalidInput, match="%%workflow NAME"):
        find_workflow(unknown)


def test_a_class_from_before_is_told_from_the_one_of_now(tmp_path: Path) -> None:
    before = load_cell(tmp_path, "party", GREET).workflows["Greeting"]
    load_cell(tmp_path, "party", WAIT)
    with pytest.raises(InvalidInput, match="its cell has been changed since"):
        find_workflow(before)


def test_a_name_that_two_modules_have_is_refused(tmp_path: Path) -> None:
    load_cell(tmp_path, "party", GREET)
    load_cell(tmp_path, "second_party", GREET)
    with pytest.raises(InvalidInput, match="pass the class instead"):
        find_workflow("Greeting")


@pytest.mark.parametrize("argument", [{"name": "Ada"}, {"name": "Ada", "more": 1}])
def test_arguments_that_fit_are_taken(greeting: KnownWorkflow, argument: object) -> None:
    check(greeting, argument)


def test_an_object_of_the_cells_own_class_is_taken(tmp_path: Path) -> None:
    live = load_cell(tmp_path, "party", GREET)
    check(find_workflow(live.workflows["Greeting"]), live.public["Guest"]("Ada"))


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ((), "missing a required argument: 'guest'"),
        (({"name": "Ada"}, 2), "too many positional arguments"),
        (({},), "missing 1 required positional argument: 'name'"),
        (({"name": 3},), "Expected value to be str, was <class 'int'>"),
        (("Ada",), "Cannot convert to dataclass"),
        (({"name": float("nan")},), "NaN"),
        (({"name": float("inf")},), "Infinity"),
        (({"name": "x" * 1_000_001},), "1000000 at most"),
        ((object(),), "not JSON serializable"),
    ],
    ids=["none", "too many", "missing", "type", "no dataclass", "nan", "infinity", "size", "object"],
)
def test_arguments_that_do_not_fit_are_refused(greeting: KnownWorkflow, args: tuple[Any, ...], why: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(why)) as refused:
        check(greeting, *args)
    assert "Next: `await demo.start_workflow(Greeting, guest)`" in str(refused.value)


@pytest.mark.parametrize(
    ("type_name", "begins"),
    [("GreetingWorkflow", "greeting-workflow-"), ("Tea & Cake", "tea-cake-"), ("Ünder", "nder-"), ("日本", "workflow-"),
     ("X" * 200, "x" * 55 + "-")],
)  # fmt: skip
def test_a_new_workflow_id_begins_with_the_type(type_name: str, begins: str) -> None:
    known = KnownWorkflow(type_name, MontyPythonWorkflow)
    first, second = known.new_id(), known.new_id()
    assert first != second
    assert first.startswith(begins)
    assert PLAIN_ID.match(first)


async def test_the_list_has_workflows_of_live_modules_and_none_of_others(demo: Session) -> None:
    ours = f"it's {uuid4().hex[:8]}"  # a quote, for a Task Queue may have one
    client = DemoClient(demo.client.temporal, demo.background, task_queue=ours)
    ids = {queue: f"listed-{uuid4().hex[:8]}" for queue in (ours, f"{ours}.party", f"{ours}x", f"{ours}x.party")}
    for queue, workflow_id in ids.items():
        await demo.background.run(demo.client.temporal.start_workflow("Any", id=workflow_id, task_queue=queue))
    async with asyncio.timeout(60):
        while len(listed := {run.workflow_id for run in await client.runs()}) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert listed == {ids[ours], ids[f"{ours}.party"]}
    for workflow_id in ids.values():
        await demo.attach(workflow_id).terminate()

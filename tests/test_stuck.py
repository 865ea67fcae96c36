"""A workflow that cannot go on is shown with the cause and the remedy, by all that shows workflows."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from durable_demo import Session
from durable_demo import events as e
from durable_demo.conversation import Conversation
from durable_demo.diagnosis import Problem, failed_activity, failed_task, no_worker
from durable_demo.run import Run
from durable_demo.trace import Trace
from tests import broken
from tests.conftest import eventually
from tests.test_tally import has, listed
from tests.workers import begun, poke, working

WITHIN = 60.0


@pytest.fixture
def queue() -> str:
    return f"broken-{uuid4().hex[:8]}"


async def first(run: Run, event: type[e.Event]) -> e.Event:
    """The first event of a kind."""
    async with asyncio.timeout(WITHIN):
        async for found in run.events():
            if isinstance(found, event):
                return found
    raise AssertionError(f"{run.id} ended without {event.event}")


BROKEN = [
    (broken.Raises, 1, "raised an exception", "a bug in <b>workflow</b> code", "%%workflow"),
    (broken.Unrelated, 1, "does not know the workflow type Broken", "available workflows: Unrelated", "%%workflow"),
    (broken.Blocks, 1, "blocks its Worker", "didn't yield within 2 second", "Activity"),
    (broken.Impure, 1, "only an Activity may do", "datetime.datetime.now", "workflow.now()"),
    (broken.Sound, "three", "cannot read the arguments", "was <class 'str'>", "run.terminate()"),
    (broken.Huge, 1, "than it takes in one piece", "exceeded the error limit", "elsewhere"),
]


@pytest.mark.parametrize(("workflow", "argument", "what", "why", "remedy"), BROKEN, ids=[b[0].__name__ for b in BROKEN])
async def test_code_that_cannot_go_on_is_told_with_cause_and_remedy(
    demo: Session, queue: str, workflow: type, argument: object, what: str, why: str, remedy: str
):
    async with working(demo, queue, workflow):
        run = await begun(demo, queue, argument)
        failed = await first(run, e.WorkflowTaskFailed)
        assert isinstance(failed, e.WorkflowTaskFailed)
        assert what in failed.problem
        assert why in failed.error
        assert remedy in failed.remedy
        status = await run.status()
        assert status.status == "RUNNING"
        said_what, said_why, said_next = status.problem.splitlines()
        assert what in said_what
        assert why in said_why.removeprefix("Why: ")
        assert remedy in said_next.removeprefix("Next: ")
        trace = Trace()
        async for event in run.events(wait=False):
            trace.apply(event)
        assert trace.summary.problem == status.problem.replace("\nWhy", ". Why").replace("\nNext", ". Next")
        assert "<b>" not in trace.to_html()
        await run.terminate()


async def test_changed_code_is_told_and_old_code_heals_it(demo: Session, queue: str):
    run = await begun(demo, queue, 2)
    trace = Trace()

    async def read() -> None:
        async for event in run.events():
            trace.apply(event)

    reading = asyncio.create_task(read())
    async with working(demo, queue, broken.Sound):
        await poke(demo, run)
        await eventually(lambda: "echo completed" in trace.to_text(), "the first Activity is done")
    async with working(demo, queue, broken.Changed):
        await poke(demo, run)
        await eventually(lambda: "does not fit its history" in trace.summary.problem, "the problem")
        status = await run.status()
        assert "'echo' does not match activity type of activity command 'other'" in status.problem
        assert "demo.replay(run)" in status.problem
        assert "TMPRL" not in status.problem
    async with working(demo, queue, broken.Sound):
        await asyncio.wait_for(reading, WITHIN)
    assert trace.summary.problem == ""
    assert "Workflow code goes on, after" in trace.to_text()
    assert trace.summary.status == "COMPLETED"


async def test_nobody_on_the_task_queue_is_told_and_so_is_that_somebody_came(demo: Session, queue: str):
    run = await begun(demo, queue, 1)
    seen: list[e.Event] = []
    trace, conversation = Trace(), Conversation()

    async def read() -> None:
        async for event in run.events():
            seen.append(event)
            trace.apply(event)
            conversation.apply(event)

    reading = asyncio.create_task(read())
    await eventually(lambda: trace.summary.problem != "", "that no Worker is there")
    waiting = seen[-1]
    assert isinstance(waiting, e.WaitingForWorker)
    assert (waiting.what, waiting.task_queue, waiting.tick) == ("Workflow Task", queue, True)
    assert "set_workers(1)" in waiting.remedy
    assert "durable-demo worker" in trace.summary.problem
    assert conversation.summary.problem == trace.summary.problem
    late = await first(run, e.WaitingForWorker)
    assert (late.what, late.since) == (waiting.what, waiting.since)
    status = await run.status()
    assert status.problem.startswith("No Worker takes the Workflow Task, which has waited since ")

    async with working(demo, queue, broken.Sound):
        await eventually(lambda: trace.summary.problem == "", "that a Worker is there")
        assert any(isinstance(event, e.WorkerFound) and event.waited > 3 for event in seen)
        assert (await run.status()).problem == ""
        await poke(demo, run)
        await asyncio.wait_for(reading, WITHIN)
    assert trace.summary.status == "COMPLETED"


async def test_an_activity_that_nobody_takes_is_told_by_its_name(demo: Session, queue: str):
    async with working(demo, queue, broken.Sound, activities=[]):  # it takes Workflow Tasks only
        run = await begun(demo, queue, 1)
        await poke(demo, run)
        waiting = await first(run, e.WaitingForWorker)
        assert isinstance(waiting, e.WaitingForWorker)
        assert waiting.what == "Activity echo"
        assert (await run.status()).problem.startswith("No Worker takes the Activity echo, which has waited since ")
        await run.terminate()


async def test_an_activity_that_the_worker_does_not_know_is_told(demo: Session, queue: str):
    async with working(demo, queue, broken.AsksForUnknown):
        run = await begun(demo, queue, 1)
        retry = await first(run, e.ActivityRetry)
        assert isinstance(retry, e.ActivityRetry)
        assert "no_such_activity" in retry.error
        assert "start a Worker that has it" in retry.remedy
        trace = Trace()
        trace.apply(retry)
        assert trace.summary.problem.startswith("The Worker does not know an Activity")
        assert (await run.status()).problem.startswith("The Worker does not know an Activity")
        await run.terminate()


async def test_the_list_of_workflows_tells_which_are_stuck(demo: Session):
    run = await begun(demo, demo.client.task_queue, 1, workflow_type="NoSuchWorkflow")
    await first(run, e.WorkflowTaskFailed)
    found = await listed(demo.client, run, lambda item: item.problem)
    assert found.problem.startswith("The Worker does not know the workflow type NoSuchWorkflow. Why: ")
    runs = await demo.runs()
    assert f"Problems:\n{run.id}: The Worker does not know" in str(runs)
    assert f"<code>{run.id}</code>: The Worker does not know" in runs._repr_html_()
    await run.terminate()
    assert (await listed(demo.client, run, has("TERMINATED"))).problem == ""


async def test_a_workflow_that_is_well_has_no_problem(demo: Session):
    run = await demo.start_monty(min_sleep=5, max_sleep=5)
    await first(run, e.ProgressUpdate)
    assert (await run.status()).problem == ""
    await run.stop()
    await run.result()


def test_an_unknown_cause_is_told_in_its_own_words():
    problem = failed_task("BAD_SCHEDULE_ACTIVITY_ATTRIBUTES", "A valid StartToClose is not set", "W")
    assert problem.what == "A Workflow Task fails: bad schedule activity attributes"
    assert failed_activity("boom") is None
    assert no_worker("Workflow Task", "q", "10:30:45").line.count("Next: ") == 1
    assert str(Problem("a", "b", "c")) == "a\nWhy: b\nNext: c"

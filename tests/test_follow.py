"""Following any workflow on the real server: each fact once, in order, over whatever happens."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import WorkflowHandle
from temporalio.worker import Worker

from durable_demo import Session, settings
from durable_demo import events as e
from durable_demo.chain import Chain, Page
from durable_demo.entries import HistoryEntry, Item, PendingWork
from durable_demo.errors import InvalidInput, WorkflowNotFound
from durable_demo.run import Run
from durable_demo.trace import Trace
from tests import scenarios
from tests.conftest import eventually
from tests.test_monty import LONG, QUICK, everything, facts, quotes, until
from tests.workers import timed_out

WITHIN = 60.0


@pytest_asyncio.fixture
async def queue(demo: Session) -> AsyncIterator[str]:
    """A Task Queue of its own with a Worker for workflows that the kit does not know, sandbox on."""
    name = f"scenarios-{uuid4().hex[:8]}"
    stop = asyncio.Event()

    async def work() -> None:
        async with Worker(
            demo.client.temporal, task_queue=name, workflows=scenarios.WORKFLOWS, activities=scenarios.ACTIVITIES
        ):
            while not stop.is_set():  # noqa: ASYNC110  # the event belongs to another loop
                await asyncio.sleep(0.05)

    working = demo.background.spawn(work(), name="worker of the test")
    yield name
    stop.set()
    await working


async def start(demo: Session, queue: str, workflow: str, *args: object) -> Run:
    workflow_id = f"scenario-{uuid4().hex[:8]}"
    await demo.background.run(
        demo.client.temporal.start_workflow(workflow, args=args, id=workflow_id, task_queue=queue)
    )
    return demo.attach(workflow_id)


def handle(demo: Session, run: Run) -> WorkflowHandle:
    return demo.client.temporal.get_workflow_handle(run.id)


async def test_any_workflow_gives_its_facts_in_temporals_terms(demo: Session, queue: str):
    run = await start(demo, queue, "Everything", "you <i>")
    assert await demo.background.run(handle(demo, run).execute_update("greet", "you")) == "hello you"
    await demo.background.run(handle(demo, run).signal("go"))
    events = await everything(run)
    told = [event.event for event in facts(events)]
    assert told[0] == "workflow_started"
    assert told[-1] == "workflow_completed"
    for expected in (
        "update_accepted",
        "update_completed",
        "signal_received",
        "activity_scheduled",
        "activity_retry",
        "activity_completed",
        "timer_started",
        "timer_fired",
        "child_workflow",
    ):
        assert expected in told, f"{expected} is missing in {told}"
    retry = next(event for event in facts(events) if isinstance(event, e.ActivityRetry))
    assert (retry.activity_type, retry.attempt, retry.error) == ("flaky", 2, "Hiccup: not yet")
    ticks = [event for event in events if isinstance(event, e.ProgressUpdate)]
    assert [tick.status for tick in ticks] == sorted(tick.status for tick in ticks)
    assert ticks
    assert all(tick.status.startswith("copying") for tick in ticks)
    children = [event.state for event in facts(events) if isinstance(event, e.ChildWorkflow)]
    assert children == ["initiated", "started", "completed"]
    assert events[-1].result == {"answer": 42, "nan": "nan"}
    for event in events:
        json.loads(event.to_json())
    trace = Trace()
    trace.apply(*events)
    assert "at last &lt;b&gt;" in trace.to_html()
    assert trace.summary.status == "COMPLETED"


async def test_a_failure_is_told_with_its_cause(demo: Session, queue: str):
    run = await start(demo, queue, "Fails")
    last = (await everything(run))[-1]
    assert isinstance(last, e.WorkflowFailed)
    assert last.error == "Broken: boom; caused by ValueError: the reason"


async def test_an_offset_resumes_behind_any_fact_and_any_tick(demo: Session):
    run = await demo.start_monty(**QUICK, iterations=6, history_limit=20)
    events = await everything(run)
    all_facts = [event.offset for event in facts(events)]
    for event in events[:: max(1, len(events) // 12)]:
        later = [again.offset async for again in run.events(after=event.offset)]
        assert later == [offset for offset in all_facts if offset > event.offset]


@pytest.mark.parametrize(
    "bad", ["x", "1-2", "1-2-not-a-uuid", 7, "9" * 500, "a-b-11111111-2222-4333-8444-555555555555"]
)
async def test_a_wrong_offset_is_told(demo: Session, bad: object):
    run = demo.attach("monty-python-00000000")
    with pytest.raises(InvalidInput, match="not an offset"):
        [event async for event in run.events(after=bad)]


async def test_an_offset_of_a_run_that_is_gone_gives_a_gap_then_what_there_is(demo: Session):
    run = await demo.start_monty(**QUICK, iterations=1)
    await run.result()
    gone = "0000000000000001-000005-11111111-2222-4333-8444-555555555555"
    events = [event async for event in run.events(after=gone)]
    assert isinstance(events[0], e.Gap)
    assert events[0].tick
    assert "gone" in events[0].reason
    assert [event.event for event in events[1:]] == [event.event for event in facts(await everything(run))]


async def test_an_unknown_workflow_is_told(demo: Session):
    with pytest.raises(WorkflowNotFound, match="follow no-such-workflow"):
        [event async for event in demo.attach("no-such-workflow").events()]


async def test_who_does_not_wait_gets_facts_alone_however_long_they_take(
    demo: Session, monkeypatch: pytest.MonkeyPatch
):
    run = await demo.start_monty(**LONG)
    page = Chain.page

    async def late_page(*args: Any, **options: Any) -> Page:
        await asyncio.sleep(2 * settings.HEALTH_POLL_INTERVAL.total_seconds())
        return await page(*args, **options)

    monkeypatch.setattr(Chain, "page", late_page)
    monkeypatch.setattr("durable_demo.follow.DESCRIBE_DEADLINE_S", 0)
    found = [event async for event in run.events(wait=False)]
    assert found
    assert facts(found) == found
    await run.terminate()


async def test_eight_at_once_with_two_subscribers_each_lose_and_double_nothing(demo: Session):
    runs = await asyncio.gather(
        *(demo.start_monty(**QUICK, seed=seed, iterations=10, history_limit=20) for seed in range(8))
    )
    late = asyncio.create_task(_after(2.0, [everything(run) for run in runs]))
    early = await asyncio.gather(*(everything(run) for run in runs))
    for run, first, second in zip(runs, early, await late, strict=True):
        assert facts(first) == facts(second)
        offsets = [event.offset for event in facts(first)]
        assert offsets == sorted(set(offsets))
        seams = [event for event in facts(first) if isinstance(event, e.WorkflowContinuedAsNew)]
        assert len(seams) >= 2
        delivered = [event for event in first if getattr(event, "current_quote", None)]
        assert [event.iteration_count for event in delivered] == list(range(1, 11))
        assert (await run.result()).total_quotes_delivered == 10
        previous = ""
        for event in first:  # a tick carries the offset of the fact that it follows
            assert event.offset == previous if event.tick else event.offset > previous
            previous = event.offset


async def _after(delay: float, readers: list) -> list:
    await asyncio.sleep(delay)
    return await asyncio.gather(*readers)


async def test_a_killed_worker_shows_as_an_attempt_that_goes_on_from_the_checkpoint(demo: Session):
    run = await demo.start_monty(min_sleep=6, max_sleep=6, progress_interval=0.1, iterations=2)
    seen: list[e.Event] = []
    killed, before = 0.0, 0
    async with asyncio.timeout(WITHIN):
        async for event in run.events():
            seen.append(event)
            if not killed and isinstance(event, e.ProgressUpdate) and event.tick and event.progress > 30:
                killed, before = event.progress, len(seen)
                os.kill(demo.stack.info().worker.pid, signal.SIGKILL)
    retries = [event for event in seen if isinstance(event, e.ActivityRetry)]
    told = {event.iteration_count: event.attempt for event in retries if not event.tick}
    retry = next(event for event in seen[before:] if isinstance(event, e.ActivityRetry))
    assert (retry.tick, retry.iteration_count) == (True, 1)
    assert told[1] >= retry.attempt >= 2
    assert retry.progress >= killed
    assert all(timed_out(event) for event in retries)
    onward = [
        event.progress
        for event in seen[before:]
        if isinstance(event, e.ProgressUpdate) and event.tick and event.attempt >= 2 and event.iteration_count == 1
    ]
    assert onward
    assert min(onward) >= killed, "the second attempt began anew"
    assert onward == sorted(onward)
    delivered = [event for event in seen if getattr(event, "current_quote", None)]
    assert [(event.iteration_count, event.attempt) for event in delivered] == [(n, told.get(n, 1)) for n in (1, 2)]
    result = await run.result()
    assert (result.total_iterations, result.total_quotes_delivered) == (2, 2)
    trace = Trace()
    trace.apply(*seen)
    if len(retries) == 2:  # a tick and its fact: no other Worker stood still
        assert trace.to_text().count("attempt 2") == 1
    assert facts(seen) == facts(await everything(run))


async def test_a_killed_server_is_told_and_nothing_is_lost(demo: Session):
    run = await demo.start_monty(min_sleep=0.5, max_sleep=0.5, progress_interval=0.1, seed=3, iterations=8)
    waiting = asyncio.create_task(run.result(timeout=WITHIN))
    seen: list[e.Event] = []
    async with asyncio.timeout(WITHIN):
        async for event in run.events():
            seen.append(event)
            if getattr(event, "current_quote", None) and event.iteration_count == 3:
                os.kill(demo.stack.info().server.pid, signal.SIGKILL)
    kinds = [event.event for event in seen]
    assert kinds.count("reconnecting") == kinds.count("reconnected") >= 1
    assert facts(seen) == facts(await everything(run))
    assert len(quotes(seen)) == 8
    assert (await waiting).total_quotes_delivered == 8


async def test_facts_come_while_no_worker_is_alive(demo: Session):
    run = await start(demo, f"nobody-{uuid4().hex[:8]}", "MontyPythonWorkflow", {"min_sleep": 1, "max_sleep": 1})
    reader = asyncio.create_task(everything(run))
    await run.stop()
    requested = await asyncio.wait_for(until(run, "stop_requested"), WITHIN)
    assert (requested.iteration_count, requested.total_quotes_delivered) == (0, 0)
    await run.terminate()
    assert [event.event for event in facts(await reader)] == [
        "workflow_started",
        "stop_requested",
        "workflow_terminated",
    ]


async def test_a_signal_to_a_workflow_whose_code_fails_is_not_lost(demo: Session, queue: str):
    # The server shows Workflow Tasks that are not written yet; their ids are given to other events later.
    run = await start(demo, queue, "Stuck")
    seen: list[e.Event] = []

    async def read() -> None:
        async for event in run.events():
            seen.append(event)

    reader = asyncio.create_task(read())
    await eventually(lambda: any(event.event == "workflow_task_failed" for event in seen), "the failed Workflow Task")
    for number in range(10):
        await demo.background.run(handle(demo, run).signal("poke", number))
        await asyncio.sleep(0.3)
    await run.terminate()
    await asyncio.wait_for(reader, WITHIN)
    assert [event.input for event in seen if isinstance(event, e.SignalReceived)] == list(range(10))
    assert facts(seen) == facts(await everything(run))
    failed = next(event for event in seen if isinstance(event, e.WorkflowTaskFailed))
    assert "a bug in workflow code" in failed.error


async def test_the_subscription_of_a_deleted_workflow_says_so_and_ends(demo: Session):
    run = await demo.start_monty(**LONG)

    async def read() -> list[e.Event]:
        seen: list[e.Event] = []
        with suppress(WorkflowNotFound):
            async for event in run.events():
                seen.append(event)
        return seen

    reader = asyncio.create_task(read())
    await until(run, "progress_update", tick=True)
    await demo.background.run(
        demo.client.temporal.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(
                namespace="default", workflow_execution=WorkflowExecution(workflow_id=run.id)
            )
        )
    )
    last = (await asyncio.wait_for(reader, WITHIN))[-1]
    # Whichever the server lets us see: that it was terminated, or already that it is gone.
    assert last.event in ("workflow_terminated", "gap")
    assert "delete" in (last.error if isinstance(last, e.WorkflowTerminated) else last.reason).lower()


# --- the history itself ----------------------------------------------------------------------------------------------


async def history_of(demo: Session, run: Run) -> list[tuple[str, int, str]]:
    """What the server has, chain of runs and all, as the SDK reads it."""
    found: list[tuple[str, int, str]] = []

    async def read() -> None:
        run_id = (await handle(demo, run).describe()).raw_description.workflow_execution_info.first_run_id
        while run_id:
            history = await demo.client.temporal.get_workflow_handle(run.id, run_id=run_id).fetch_history()
            found.extend((run_id, event.event_id, kind_of(event.event_type)) for event in history.events)
            last = history.events[-1]
            run_id = last.workflow_execution_continued_as_new_event_attributes.new_execution_run_id

    await demo.background.run(read())
    return found


def kind_of(event_type: int) -> str:
    return EventType.Name(event_type).removeprefix("EVENT_TYPE_")  # type: ignore[arg-type]


async def items_of(run: Run, **options: object) -> list[Item]:
    return [item async for item in run.items(**options)]  # type: ignore[arg-type]


async def test_items_are_the_whole_history_and_the_very_events_that_others_get(demo: Session):
    run = await demo.start_monty(**QUICK, iterations=8, history_limit=20)
    live = await items_of(run)
    late = await items_of(run, wait=False)
    expected = await history_of(demo, run)
    for items in (live, late):
        # An entry that was shown before it was written gives its place to the one that came instead.
        entries = {item.offset: item for item in items if isinstance(item, HistoryEntry)}
        assert [(entry.run_id, entry.event_id, entry.event_type) for entry in entries.values()] == expected
        assert list(entries) == sorted(entries)
        assert facts([item for item in items if isinstance(item, e.Event)]) == facts(await everything(run))


async def test_an_event_follows_the_entry_that_it_is_read_from(demo: Session):
    run = await demo.start_monty(**QUICK, iterations=2)
    last: HistoryEntry | None = None
    for item in await items_of(run):
        if isinstance(item, HistoryEntry):
            last = item
        elif isinstance(item, e.Event) and not item.tick:
            assert last is not None
            assert item.offset == last.offset


async def test_an_entry_has_its_payloads_as_values(demo: Session, queue: str):
    run = await start(demo, queue, "Everything", "you <i>")
    await demo.background.run(handle(demo, run).signal("go"))
    await demo.background.run(handle(demo, run).execute_update("greet", "you"))
    entries = {item.event_type: item for item in await items_of(run) if isinstance(item, HistoryEntry)}
    assert entries["WORKFLOW_EXECUTION_STARTED"].attributes["input"] == "you <i>"
    assert entries["WORKFLOW_EXECUTION_UPDATE_ACCEPTED"].attributes["acceptedRequest"]["input"]["args"] == "you"
    assert entries["WORKFLOW_EXECUTION_COMPLETED"].attributes["result"] == {"answer": 42, "nan": "nan"}
    for entry in entries.values():
        assert json.loads(entry.to_json())["eventId"] == entry.event_id


async def test_what_is_pending_is_told_when_it_changes(demo: Session):
    run = await demo.start_monty(min_sleep=1.5, max_sleep=1.5, iterations=2)
    looks = [item for item in await items_of(run) if isinstance(item, PendingWork)]
    assert any(activity.running for look in looks for activity in look.activities)
    assert all(first != second for first, second in pairwise(looks))

    waiting = await start(demo, f"nobody-{uuid4().hex[:8]}", "Nobody")
    looks = []
    async with asyncio.timeout(WITHIN):
        async for item in waiting.items():
            if isinstance(item, PendingWork):
                assert item.task_scheduled
                assert (item.activities, item.task_attempt, item.waiting) == ((), 1, True)
                looks.append(item)
            if len(looks) == 2:  # that it still waits is told as well
                break
    await waiting.terminate()


async def test_items_resume_behind_a_fact_and_give_its_run_again(demo: Session):
    run = await demo.start_monty(**QUICK, iterations=4)
    items = await items_of(run)
    fact = facts([item for item in items if isinstance(item, e.Event)])[3]
    again = await items_of(run, after=fact.offset)
    assert next(item.offset for item in again if isinstance(item, e.Event) and not item.tick) > fact.offset
    entries = {item.offset for item in items if isinstance(item, HistoryEntry)}
    assert {item.offset for item in again if isinstance(item, HistoryEntry)} == entries

"""A workflow that is reset goes on in a new run: all that shows workflows goes back with it, then on."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from durable_demo import Session
from durable_demo import events as e
from durable_demo.conversation import Conversation
from durable_demo.entries import HistoryEntry, Item
from durable_demo.entry_log import EntryLog
from durable_demo.errors import InvalidInput, NotPossible
from durable_demo.figures import Figures
from durable_demo.run import Run
from durable_demo.timeline import Timeline
from durable_demo.trace import Trace
from tests import broken
from tests.conftest import eventually
from tests.test_monty import QUICK, everything, facts, quotes
from tests.test_tally import has, listed
from tests.workers import begun, poke, suspended, working

WITHIN = 120.0


@pytest.fixture
def queue() -> str:
    return f"resets-{uuid4().hex[:8]}"


class Watching:
    """Reads the items of a run into all that shows them, from now to its end."""

    def __init__(self, run: Run) -> None:
        self.items: list[Item] = []
        self.trace, self.timeline, self.log, self.figures = Trace(), Timeline(), EntryLog(), Figures(run.id)
        self.conversation = Conversation()
        self.statuses: set[str] = set()
        self._run = run
        self.done = asyncio.create_task(self._read())

    @property
    def events(self) -> list[e.Event]:
        return [item for item in self.items if isinstance(item, e.Event)]

    async def _read(self) -> None:
        async with asyncio.timeout(WITHIN):
            async for item in self._run.items():
                self.items.append(item)
                self.timeline.apply(item)
                self.log.apply(item)
                if isinstance(item, e.Event):
                    self.trace.apply(item)
                    self.figures.apply(item)
                    self.conversation.apply(item)
                    self.statuses.add(self.trace.summary.status)


async def event_id_of(run: Run, event_type: str, nth: int) -> int:
    """Event ID of the nth entry of a type in the latest run of a workflow."""
    latest = (await run.status()).run_id
    entries = [item async for item in run.items(wait=False) if isinstance(item, HistoryEntry)]
    return [entry.event_id for entry in entries if (entry.run_id, entry.event_type) == (latest, event_type)][nth]


async def run_ids(demo: Session, run: Run) -> list[str]:
    async def listed() -> list[str]:
        found = [item async for item in demo.client.temporal.list_workflows(f"WorkflowId = '{run.id}'")]
        return [item.run_id for item in sorted(found, key=lambda item: item.start_time)]

    return await demo.background.run(listed(), name="list the runs")


def sleeps(event: e.Event) -> bool:
    return getattr(event, "status", "").endswith("_sleeping")


async def test_a_reset_rolls_the_counters_back_and_the_trace_goes_on(demo: Session):
    run = await demo.start_monty(min_sleep=0.6, max_sleep=0.6, progress_interval=0.1, seed=4, iterations=6)
    watching = Watching(run)
    result = asyncio.create_task(run.result(timeout=WITHIN))
    await eventually(lambda: (watching.trace.summary.quotes or 0) >= 3, "three quotes")
    with suspended(demo):
        scheduled = await event_id_of(run, "ACTIVITY_TASK_SCHEDULED", 1)
        answer = await run.reset(to=scheduled, reason="back <b>")
    assert answer.accepted
    await watching.done
    assert (await result).total_quotes_delivered == 6

    reset = next(event for event in watching.events if isinstance(event, e.WorkflowReset))
    assert (reset.iteration_count, reset.total_quotes_delivered, reset.reason) == (1, 1, "back <b>")
    told = [event for event in watching.events if getattr(event, "current_quote", None)]
    undone = sum(event.run_id == told[0].run_id for event in told)
    assert undone >= 3
    assert [event.iteration_count for event in told] == [*range(1, undone + 1), 2, 3, 4, 5, 6]
    assert len({event.run_id for event in told}) == 2
    assert "workflow_terminated" not in {event.event for event in watching.events}
    assert watching.statuses == {"RUNNING", "COMPLETED"}
    assert (watching.trace.summary.iterations, watching.trace.summary.quotes) == (6, 6)
    assert "what came after it is undone: back <b>" in watching.trace.to_text()
    assert "back &lt;b&gt;" in watching.trace.to_html()

    late = Watching(run)
    await late.done
    assert facts(late.events) == facts(watching.events)
    assert facts(late.events) == facts(await everything(run))
    assert late.log.to_text() == watching.log.to_text()
    assert late.trace.summary == watching.trace.summary
    measured = watching.figures.measured()
    assert (measured.count, measured.unit, measured.status) == (6, "iteration", "COMPLETED")
    begun_at = {event.iteration_count: event.moment for event in facts(watching.events) if sleeps(event)}
    ended_at = {event.iteration_count: event.moment for event in told}
    assert measured.times == pytest.approx([(ended_at[n] - begun_at[n]).total_seconds() for n in range(1, 7)])
    assert late.figures.measured() == measured
    assert (await demo.compare(run)).runs[0].count == 6
    item = await listed(demo.client, run, has("COMPLETED"))
    assert (item.iterations, item.quotes) == (6, 6)


async def test_the_timeline_and_the_log_show_both_runs_and_where_they_part(demo: Session):
    run = await demo.start_monty(min_sleep=0.6, max_sleep=0.6, progress_interval=0.1, seed=4, iterations=5)
    watching = Watching(run)
    await eventually(lambda: (watching.trace.summary.quotes or 0) >= 2, "two quotes")
    with suspended(demo):
        completed = await event_id_of(run, "WORKFLOW_TASK_COMPLETED", 1)  # the first sleep is over
        await run.reset(to=completed)
    await watching.done
    timeline = watching.timeline
    assert timeline.summary.status == "COMPLETED"
    (seam,) = (bar for bar in timeline.bars if bar.kind == "seam")
    assert (seam.state, seam.label) == ("reset", f"Reset to before event {completed}")
    slept = [bar for bar in timeline.bars if bar.kind == "activity"]
    assert [bar.state for bar in slept if bar.start > seam.start] == ["completed"] * 4
    assert [bar.state for bar in timeline.bars if bar.kind == "workflow"] == ["terminated", "completed"]
    assert not [bar for bar in timeline.bars if bar.kind == "problem"]
    assert all(bar.end is not None for bar in timeline.bars)
    log = watching.log
    assert (log.summary.runs, log.summary.status) == (2, "COMPLETED")
    second = [row.event_id for row in log.entries if row.run == 2]
    assert second[0] == completed, "copies are shown once, in the run that they were made in"
    assert second == list(range(completed, completed + len(second)))
    assert "RESET_WORKFLOW" in next(row.note for row in log.entries if row.run == 2)


async def test_a_sleep_that_was_open_at_the_reset_is_begun_again_and_timed_once(demo: Session):
    run = await demo.start_monty(min_sleep=0.6, max_sleep=0.6, progress_interval=0.1, seed=4, iterations=5)
    watching = Watching(run)
    await eventually(lambda: (watching.trace.summary.quotes or 0) >= 2, "two quotes")
    with suspended(demo):
        delivered = await event_id_of(run, "ACTIVITY_TASK_COMPLETED", 0)
        await run.reset(to=delivered)  # the Workflow Task that took the first quote; the entry itself is kept
    await watching.done
    told = [event for event in watching.events if getattr(event, "current_quote", None)]
    undone = sum(event.run_id == told[0].run_id for event in told)
    assert undone >= 2
    assert [event.iteration_count for event in told] == [*range(1, undone + 1), 2, 3, 4, 5]
    assert watching.figures.measured().count == 5


async def test_a_subscriber_that_resumes_behind_any_offset_repeats_and_loses_no_fact(demo: Session):
    run = await demo.start_monty(**QUICK, seed=1, iterations=8, history_limit=20)
    watching = Watching(run)
    await eventually(lambda: (watching.trace.summary.quotes or 0) >= 4, "four quotes")
    with suspended(demo):
        await run.reset(to="start")
    await run.result(timeout=WITHIN)
    await watching.done
    events = await everything(run)
    all_facts = [event.offset for event in facts(events)]
    assert all_facts == sorted(set(all_facts))
    assert facts(events) == facts(watching.events)
    assert sum(isinstance(event, e.WorkflowReset) for event in events) == 1
    for event in facts(events):
        later = [next_one.offset async for next_one in run.events(after=event.offset, wait=False)]
        assert later == [offset for offset in all_facts if offset > event.offset]
    assert watching.trace.summary.quotes == 8
    log, timeline = EntryLog(), Timeline()
    for after in [None, *all_facts[:: len(all_facts) // 6]]:
        async for item in run.items(after=after, wait=False):
            log.apply(item)
            timeline.apply(item)
    assert log.to_text() == watching.log.to_text()
    assert [bar.label for bar in timeline.bars] == [bar.label for bar in watching.timeline.bars]


async def test_resets_of_resets_and_of_earlier_runs_are_followed(demo: Session):
    run = await demo.start_monty(min_sleep=0.4, max_sleep=0.4, progress_interval=0.1, seed=2, history_limit=20)
    watching = Watching(run)
    await eventually(lambda: (watching.trace.summary.quotes or 0) >= 5, "five quotes, over continue-as-new")
    await run.reset()
    await run.reset(to="start")
    await eventually(lambda: sum(isinstance(item, e.WorkflowReset) for item in watching.items) == 2, "two resets")
    first = (await run_ids(demo, run))[0]

    async def reset_the_first() -> None:
        temporal = demo.client.temporal
        await temporal.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=temporal.namespace,
                workflow_execution=WorkflowExecution(workflow_id=run.id, run_id=first),
                workflow_task_finish_event_id=4,
                request_id=uuid4().hex,
            )
        )

    await demo.background.run(reset_the_first(), name="reset an earlier run")
    await eventually(lambda: sum(isinstance(item, e.WorkflowReset) for item in watching.items) == 3, "three resets")
    last = next(item for item in reversed(watching.items) if isinstance(item, e.WorkflowReset))
    assert (last.iteration_count, last.total_quotes_delivered) == (0, 0)
    await eventually(lambda: (watching.trace.summary.quotes or 0) >= 5, "five quotes once more")
    await run.stop()
    await watching.done
    offsets = [event.offset for event in facts(watching.events)]
    assert offsets == sorted(set(offsets))
    late = await everything(run)
    assert [event.offset for event in facts(late)][-1] == offsets[-1]
    assert watching.trace.summary.status == "COMPLETED"
    trace = Trace()
    trace.apply(*late)
    assert trace.summary.quotes == watching.trace.summary.quotes == (await run.result()).total_quotes_delivered


async def test_changed_code_is_healed_by_a_reset_to_where_code_and_history_part(demo: Session, queue: str):
    run = await begun(demo, queue, 3)
    watching = Watching(run)
    async with working(demo, queue, broken.Sound):
        await poke(demo, run)
        await poke(demo, run)
        await eventually(lambda: watching.trace.to_text().count("echo completed") == 2, "two Activities are done")
    async with working(demo, queue, broken.ChangedLater):
        await poke(demo, run)
        await eventually(lambda: watching.trace.summary.problem != "", "the problem")
        second = await event_id_of(run, "ACTIVITY_TASK_SCHEDULED", 1)
        answer = await run.reset()
        assert answer.accepted
        point = next(item for item in watching.items if isinstance(item, HistoryEntry) and item.event_id == second)
        assert answer.message.endswith(f"before event {point.attributes['workflowTaskCompletedEventId']}")
        await watching.done
    assert watching.trace.summary.status == "COMPLETED"
    assert watching.trace.summary.problem == ""
    assert watching.events[-1].result == 3


async def test_changed_code_is_healed_where_the_failure_names_an_activity_only(demo: Session, queue: str):
    run = await begun(demo, queue, 2)
    watching = Watching(run)
    async with working(demo, queue, broken.Sound):
        await poke(demo, run)
        await eventually(lambda: "echo completed" in watching.trace.to_text(), "the first Activity is done")
    async with working(demo, queue, broken.Changed):
        await poke(demo, run)
        await eventually(lambda: watching.trace.summary.problem != "", "the problem")
    await run.reset()  # while no Worker is alive
    async with working(demo, queue, broken.Changed):
        await watching.done
    assert watching.trace.summary.status == "COMPLETED"
    assert "workflow_terminated" not in {event.event for event in watching.events}


async def test_what_has_ended_can_be_reset_and_is_shown_as_running_again(demo: Session):
    run = await demo.start_monty(**QUICK, seed=3, iterations=2)
    await run.result()
    assert (await everything(run))[-1].event == "workflow_completed"
    await run.reset(to="start")
    watching = Watching(run)
    assert (await run.result(timeout=WITHIN)).total_quotes_delivered == 2
    await watching.done
    kinds = [event.event for event in facts(watching.events)]
    assert kinds.count("workflow_completed") == 1
    assert kinds[-1] == "workflow_completed"
    assert len(quotes(watching.events)) == 4
    terminated = await demo.start_monty(min_sleep=60, max_sleep=60)
    await eventually_sleeping(terminated)
    await terminated.terminate("by hand")
    await terminated.reset(to="start")
    again = Watching(terminated)
    await eventually(lambda: again.trace.summary.progress is not None, "it sleeps again")
    assert again.trace.summary.status == "RUNNING"
    await terminated.terminate("by hand")
    await again.done
    assert again.trace.summary.status == "TERMINATED"


async def eventually_sleeping(run: Run) -> None:
    async for event in run.events():
        if isinstance(event, e.ProgressUpdate):
            return


async def test_a_new_workflow_with_the_same_id_is_not_followed(demo: Session, queue: str):
    run = await begun(demo, queue, 1)
    await run.terminate("the old one")
    async with working(demo, queue, broken.Sound):
        await demo.background.run(
            demo.client.temporal.start_workflow("Broken", 0, id=run.id, task_queue=queue), name="start another"
        )
        assert await run.result(timeout=WITHIN) == 0
    first, *_ = [event async for event in run.events(wait=False)]
    assert isinstance(first, e.WorkflowStarted)
    assert first.input == 0


async def test_a_reset_that_cannot_be_is_told(demo: Session, queue: str):
    run = await begun(demo, queue, 1)
    with pytest.raises(NotPossible, match="no Workflow Task of its run was completed yet"):
        await run.reset()
    async with working(demo, queue, broken.Sound):
        watching = Watching(run)
        await eventually(lambda: "WorkflowTaskCompleted" in watching.log.to_text(), "its code has begun")
        for wrong in ("first", True, 2.5, b"4"):
            with pytest.raises(InvalidInput, match="an Event ID, or 'start', or None"):
                await run.reset(to=wrong)  # type: ignore[arg-type]
        for wrong in (0, -1, 99_999):
            with pytest.raises(InvalidInput, match="has the events 1 to"):
                await run.reset(to=wrong)
    await poke(demo, run)
    with pytest.raises(NotPossible, match="choose an event up to"):
        await run.reset(to=(await run.status()).history_length)
    await run.terminate()
    await watching.done


async def test_a_conversation_goes_back_and_takes_its_later_messages_again(demo: Session):
    chat = await demo.start_chat()
    watching = Watching(chat)
    for number in range(3):
        await chat.send(f"hello {number}", message_id=f"m{number}")
    await eventually(lambda: len(watching.conversation.turns) == 3, "three turns")
    accepted = await event_id_of(chat, "WORKFLOW_EXECUTION_UPDATE_ACCEPTED", 1)
    await chat.reset(to=accepted)
    await eventually(
        lambda: (
            [turn.status for turn in watching.conversation.turns] == ["answered"] * 3
            and sum(isinstance(item, e.WorkflowReset) for item in watching.items) == 1
        ),
        "all are answered again",
    )
    received = [event.message_id for event in watching.events if isinstance(event, e.MessageReceived)]
    assert received == ["m0", "m1", "m2", "m1", "m2"]
    turns = watching.conversation.turns
    assert [(turn.number, turn.message_id, turn.text) for turn in turns] == [
        (number, f"m{number}", f"hello {number}") for number in range(3)
    ]
    await chat.end()
    await watching.done
    assert watching.conversation.summary.status == "COMPLETED"
    late = Watching(chat)
    await late.done
    assert late.conversation.turns == turns
    assert facts(late.events) == facts(watching.events)


async def test_the_server_keeps_order_whatever_is_reset(demo: Session):
    run = await demo.start_monty(**QUICK, seed=5, iterations=12)
    watching = Watching(run)
    for count in (1, 2):
        await eventually(
            lambda count=count: (
                len({event.run_id for event in watching.events}) == count and (watching.trace.summary.quotes or 0) >= 1
            ),
            "a quote in this run",
        )
        await run.reset()
    await watching.done
    starts = [item.offset for item in watching.items if isinstance(item, e.WorkflowReset)]
    assert len(starts) == 2
    assert all(one < other for one, other in pairwise(starts))
    assert watching.trace.summary.quotes == 12

"""Comparing workflows on the real server: read once, read on, and said when it cannot be."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from durable_demo import Session
from durable_demo import events as e
from durable_demo.comparing import MAX_KNOWN, MAX_READ, MAX_RUNS, Comparing
from durable_demo.errors import InvalidInput, ServerUnreachable, WorkflowNotFound
from durable_demo.run import Run
from tests.test_figures import Told
from tests.test_follow import queue, start  # noqa: F401  # `queue` is a fixture
from tests.test_monty import LONG, QUICK, everything, until


class ScriptedRun(Run):
    """A workflow whose events a test gives, and that keeps what it was asked."""

    def __init__(self, workflow_id: str, *events: e.Event) -> None:
        self.id = workflow_id
        self.told = list(events)
        self.asked: list[str | None] = []
        self.reading = 0

    async def status(self) -> Any:
        return SimpleNamespace(run_id=self.told[-1].run_id)

    async def events(self, after: str | None = None, *, wait: bool = True) -> AsyncIterator[e.Event]:
        assert not wait
        self.asked.append(after)
        for event in self.told:
            if event.tick or event.offset > (after or ""):
                await asyncio.sleep(0)
                yield event


def further_attempts(facts: list[e.Event]) -> int:
    """Attempts beyond the first: more than the tests ask for, where a machine is so slow that heartbeats are missed."""
    return sum(event.attempt - 1 for event in facts if isinstance(event, e.ActivityRetry))


async def test_iterations_of_monty_compare_over_continue_as_new(demo: Session):
    runs = [
        await demo.start_monty(**QUICK, iterations=6, history_limit=20),
        await demo.start_monty(**QUICK, iterations=3),
    ]
    for run in runs:
        await run.result()
    comparison = await Comparing().look(runs)
    for run, measured in zip(runs, comparison.runs, strict=True):
        facts = [event for event in await everything(run) if not event.tick]
        begun = [event.moment for event in facts if getattr(event, "status", "").endswith("_sleeping")]
        quoted = [event.moment for event in facts if getattr(event, "current_quote", None)]
        lasted = [(end - begin).total_seconds() for begin, end in zip(begun, quoted, strict=True)]
        assert measured.times == pytest.approx(lasted)
        assert measured.spread is not None
        assert measured.spread.median == pytest.approx(statistics.median(lasted))
        assert measured.runtime == pytest.approx((facts[-1].moment - facts[0].moment).total_seconds())
        assert (measured.status, measured.unit, measured.retries) == ("COMPLETED", "iteration", further_attempts(facts))
    assert [measured.count for measured in comparison.runs] == [6, 3]
    assert runs[0].id in comparison.finding


async def test_what_runs_is_read_on_and_needs_no_worker(demo: Session):
    comparing = Comparing()
    nobody = await start(demo, f"nobody-{uuid4().hex[:8]}", "MontyPythonWorkflow", {"min_sleep": 1, "max_sleep": 1})
    run = await demo.start_monty(**LONG)
    await until(run, "progress_update", status="iteration_1_sleeping")
    first = await comparing.look([run, nobody])
    assert [(measured.status, measured.count) for measured in first.runs] == [("RUNNING", 0), ("RUNNING", 0)]
    await run.stop()
    await run.result()
    second = await comparing.look([run, nobody, run])
    assert [measured.status for measured in second.runs] == ["COMPLETED", "RUNNING"]
    assert second.runs[0].times == (), "an interrupted sleep is no time"
    await nobody.terminate()


async def test_retries_of_any_workflow_are_counted(demo: Session, queue: str):  # noqa: F811
    run = await start(demo, queue, "Everything", "x")
    await demo.background.run(demo.client.temporal.get_workflow_handle(run.id).signal("go"))
    await run.result()
    (measured,) = (await Comparing().look([run])).runs
    further = further_attempts([event for event in await everything(run) if not event.tick])
    assert further >= 1
    assert (measured.unit, measured.count, measured.retries) == ("activity", 2, further)


async def test_a_conversation_compares_by_its_messages(demo: Session):
    chat = await demo.start_chat()
    for text in ("hello", "what's the time in London?"):
        await chat.send(text)
    (measured,) = (await Comparing().look([chat])).runs
    assert (measured.unit, measured.count) == ("message", 2)
    await chat.end()


async def test_a_workflow_that_does_not_exist_is_named(demo: Session):
    missing = demo.attach(f"monty-python-{uuid4().hex[:8]}")
    run = await demo.start_monty(**LONG)
    with pytest.raises(WorkflowNotFound, match=missing.id):
        await Comparing().look([run, missing])
    await run.stop()


async def test_each_look_reads_only_what_is_new_and_of_what_has_ended_nothing():
    told = Told("w").started().iteration(1, 0, 2)
    run, comparing = ScriptedRun("w", *told.events), Comparing()
    await comparing.look([run])
    await comparing.look([run])
    assert run.asked == ["", told.events[-1].offset]
    run.told = told.iteration(2, 2, 5).at(6, e.WorkflowCompleted).events
    (measured,) = (await comparing.look([run])).runs
    assert (measured.times, measured.status) == ((2.0, 3.0), "COMPLETED")
    assert await comparing.look([run]) == await comparing.look([run])
    assert len(run.asked) == 3


@pytest.mark.parametrize("seen_at_its_end", [True, False])
async def test_a_workflow_id_that_is_used_again_stands_for_its_newest_workflow(demo: Session, seen_at_its_end: bool):
    run, comparing, temporal = await demo.start_monty(**QUICK), Comparing(), demo.client.temporal
    await until(run, "progress_update", status="iteration_2_sleeping")
    await comparing.look([run])
    await run.stop()
    ended_as = (await run.result()).final_status
    if seen_at_its_end:
        assert (await comparing.look([run])).runs[0].status == "COMPLETED"
    again = temporal.start_workflow(
        "MontyPythonWorkflow",
        {"min_sleep": 600, "max_sleep": 600},
        id=run.id,
        task_queue=demo.client.task_queue,
    )
    await demo.background.run(again)
    (measured,) = (await comparing.look([run])).runs
    assert (ended_as, measured.status, measured.count) == ("stopped", "RUNNING", 0)
    await run.terminate()


async def test_two_looks_at_once_count_nothing_twice():
    run, comparing = ScriptedRun("w", *Told("w").started().iteration(1, 0, 2).events), Comparing()
    for comparison in await asyncio.gather(*(comparing.look([run]) for _ in range(3))):
        assert comparison.runs[0].times == (2.0,)


async def test_a_server_that_goes_away_is_told_and_what_was_read_is_kept():
    told = Told("w").started().iteration(1, 0, 2)

    class Going(ScriptedRun):
        away = True

        async def events(self, after: str | None = None, *, wait: bool = True) -> AsyncIterator[e.Event]:
            async for event in super().events(after, wait=wait):
                yield event
            if self.away:
                raise ServerUnreachable("cannot follow w", why="connection refused")

    run, comparing = Going("w", *told.events), Comparing()
    with pytest.raises(ServerUnreachable, match="connection refused"):
        await comparing.look([run])
    run.away = False
    assert (await comparing.look([run])).runs[0].times == (2.0,)
    assert run.asked == ["", told.events[-1].offset]


async def test_few_are_read_at_once_and_few_are_kept():
    most = reading = 0

    class Slow(ScriptedRun):
        async def events(self, after: str | None = None, *, wait: bool = True) -> AsyncIterator[e.Event]:
            nonlocal most, reading
            reading += 1
            most = max(most, reading)
            async for event in super().events(after, wait=wait):
                yield event
            reading -= 1

    comparing = Comparing()
    first = Slow("first", *Told("first").started().at(1, e.WorkflowCompleted).events)
    await comparing.look([first])
    for block in range(0, MAX_KNOWN, MAX_RUNS):
        await comparing.look([Slow(f"w{block + n}", *Told(f"w{block + n}").started().events) for n in range(MAX_RUNS)])
    assert most == MAX_READ
    await comparing.look([first])
    assert first.asked == ["", ""], "it was forgotten, so it is read anew"


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ([], "1 to 8 workflows can be compared, not 0"),
        ([ScriptedRun(f"w{n}") for n in range(9)], "not 9"),
        (["monty-python-1a2b3c4d"], "cannot compare a str"),
    ],
    ids=["none", "nine", "a-text"],
)
async def test_what_cannot_be_compared_is_told(runs: list[Run], words: str):
    with pytest.raises(InvalidInput, match=words):
        await Comparing().look(runs)

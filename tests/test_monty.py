"""The Monty Python workflow on the real server, in a real Worker process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.worker import Worker

from durable_demo.errors import NotPossible, WorkflowEndedBadly
from durable_demo.events import Event, ProgressUpdate
from durable_demo.run import Run
from durable_demo.session import Session
from durable_demo.workflows.monty import MontyPythonWorkflow
from durable_demo.workflows.monty_data import MontyPythonInput
from durable_demo.workflows.quotes import QUOTES

QUICK = {"min_sleep": 0.2, "max_sleep": 0.4, "progress_interval": 0.05}
LONG = {"min_sleep": 60, "max_sleep": 60, "progress_interval": 0.1}
WITHIN = 60.0


async def everything(run: Run) -> list[Event]:
    async with asyncio.timeout(WITHIN):
        return [event async for event in run.events()]


async def until(run: Run, name: str, **fields: object) -> Event:
    """Waits for an event of this name with these fields."""
    async with asyncio.timeout(WITHIN):
        async for event in run.events():
            if event.event == name and all(getattr(event, key) == value for key, value in fields.items()):
                return event
    raise AssertionError(f"the workflow ended without {name} {fields}")


def facts(events: list[Event]) -> list[Event]:
    return [event for event in events if not event.tick]


def quotes(events: list[Event]) -> list[str]:
    return [event.current_quote for event in events if isinstance(event, ProgressUpdate) and event.current_quote]


async def test_it_sleeps_then_delivers_a_quote_and_counts(demo: Session):
    run = await demo.start_monty(**QUICK, iterations=3)
    assert run.id.startswith("monty-python-")
    assert len(run.id) == len("monty-python-") + 8
    events = facts(await everything(run))
    assert [event.event for event in events] == [
        "workflow_started",
        *["progress_update", "progress_update"] * 3,
        "workflow_completed",
    ]
    told = [(event.status, event.current_quote is None) for event in events[1:-1]]
    assert told == [
        ("iteration_1_sleeping", True),
        ("iteration_1_delivered", False),
        ("iteration_2_sleeping", True),
        ("iteration_2_delivered", False),
        ("iteration_3_sleeping", True),
        ("iteration_3_delivered", False),
    ]
    assert all(0.2 <= event.current_sleep_duration <= 0.4 for event in events[1:-1])
    result = await run.result()
    assert (result.final_status, result.total_iterations, result.total_quotes_delivered) == ("completed", 3, 3)
    assert result.workflow_id == run.id
    assert result.total_runtime >= 0.6
    assert (events[-1].iteration_count, events[-1].total_quotes_delivered) == (3, 3)


async def test_it_reports_progress_while_it_sleeps(demo: Session):
    run = await demo.start_monty(min_sleep=4, max_sleep=4, progress_interval=0.2, iterations=1)
    ticks = [event for event in await everything(run) if event.tick and isinstance(event, ProgressUpdate)]
    reported = [event.progress for event in ticks]
    assert reported == sorted(reported)
    assert len(set(reported)) >= 4
    assert all(event.current_quote is None for event in ticks)
    assert ticks[0].attempt == 1


async def test_a_seed_gives_the_same_sleeps_and_quotes_again(demo: Session):
    seen = []
    for history_limit in (2000, 20):  # however it is cut into runs
        run = await demo.start_monty(**QUICK, seed=7, iterations=6, history_limit=history_limit)
        events = facts(await everything(run))
        sleeps = [event.current_sleep_duration for event in events if getattr(event, "status", "").endswith("sleeping")]
        seen.append((sleeps, quotes(events)))
    assert seen[0] == seen[1]
    assert len(seen[0][1]) == 6
    assert all(quote in QUOTES for quote in seen[0][1])


async def test_stop_ends_the_running_sleep_at_once_and_keeps_the_counts(demo: Session):
    run = await demo.start_monty(**LONG)
    await until(run, "progress_update", status="iteration_1_sleeping")
    answer = await run.stop()
    assert answer.accepted
    async with asyncio.timeout(50):  # not after the sleep of a minute
        result = await run.result()
    assert (result.final_status, result.total_iterations, result.total_quotes_delivered) == ("stopped", 1, 0)


async def test_a_stop_that_comes_early_twice_or_late_is_harmless_and_answered(demo: Session):
    run = await demo.start_monty(**LONG)
    assert (await run.stop()).accepted  # before its first iteration
    await run.stop()
    assert (await run.result()).final_status == "stopped"
    late = await run.stop()
    assert not late.accepted
    assert "already ended: COMPLETED" in late.message
    assert [event.event for event in await everything(run)].count("stop_requested") == 1


async def test_pause_freezes_the_sleep_and_resume_goes_on_from_there(demo: Session):
    run = await demo.start_monty(min_sleep=3, max_sleep=3, progress_interval=0.1, iterations=1)
    await until(run, "progress_update", tick=True)
    await run.pause()
    await run.pause()
    frozen = await until(run, "progress_update", status="iteration_1_paused")
    assert 0 < frozen.progress < 100
    assert (await run.progress())["paused"] is True
    await asyncio.sleep(1)  # time in which a sleep that was not frozen would go on
    assert (await run.progress())["progress"] == frozen.progress
    await run.resume()
    await run.resume()
    result = await run.result()
    assert result.total_quotes_delivered == 1
    events = facts(await everything(run))
    onward = [event for event in events if getattr(event, "status", "") == "iteration_1_sleeping"][1]
    assert onward.progress == frozen.progress
    assert [event.event for event in events].count("workflow_paused") == 1


@contextmanager
def activity_worker(demo: Session, queue: str) -> Iterator[None]:
    """A Worker process for Monty's Activity that is killed at the end."""
    command = [sys.executable, "-m", "tests.activity_worker", demo.info.address, queue]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[1])
    try:
        yield
    finally:
        process.kill()
        process.wait(60)


@asynccontextmanager
async def split_workers(demo: Session) -> AsyncIterator[tuple[Run, str]]:
    """A Monty whose workflow has a Worker of its own, so that its Activity's Worker can be killed alone."""
    queue = f"split-{uuid4().hex[:8]}"
    monty = MontyPythonInput(min_sleep=4, max_sleep=4, progress_interval=0.1, iterations=1)
    enough = threading.Event()

    async def decide() -> None:
        async with Worker(demo.client.temporal, task_queue=queue, workflows=[MontyPythonWorkflow]):
            await asyncio.to_thread(enough.wait)

    deciding = demo.background.spawn(decide(), name="a Worker for the workflow alone")
    options = {"id": f"monty-python-{queue}", "task_queue": queue}
    await demo.background.run(demo.client.temporal.start_workflow(MontyPythonWorkflow.run, monty, **options))
    try:
        yield demo.attach(options["id"]), queue
    finally:
        enough.set()
        await deciding


async def reached(run: Run, percent: float) -> float:
    """Waits until the progress has come so far; returns it."""
    async with asyncio.timeout(WITHIN):
        async for event in run.events():
            if event.tick and getattr(event, "progress", 0) > percent:
                return event.progress
    raise AssertionError(f"the workflow ended before {percent} percent")


async def test_a_pause_that_is_over_before_a_dead_worker_is_noticed_fails_nothing(demo: Session):
    async with split_workers(demo) as (run, queue):
        with activity_worker(demo, queue):
            before = await reached(run, 30)
        await run.pause()
        await run.resume()  # the cancellation of the Activity is not over yet: nobody is there to take it
        with activity_worker(demo, queue):
            assert (await run.result(timeout=WITHIN)).total_quotes_delivered == 1
        begun = [event for event in facts(await everything(run)) if getattr(event, "status", "").endswith("sleeping")]
        assert begun[1].progress >= before, "the sleep began anew"


async def test_a_pause_between_two_attempts_loses_no_progress(demo: Session):
    async with split_workers(demo) as (run, queue):
        live = asyncio.create_task(everything(run))
        with activity_worker(demo, queue):
            before = await reached(run, 30)
        await until(run, "activity_retry", tick=True)  # its next attempt waits for a Worker
        await run.pause()
        paused = await until(run, "progress_update", status="iteration_1_paused")
        assert paused.progress >= before
        assert (await run.progress())["progress"] >= before
        await run.resume()
        with activity_worker(demo, queue):
            assert (await run.result(timeout=WITHIN)).total_quotes_delivered == 1
        assert facts(await live) == facts(await everything(run))


async def test_a_cancel_right_after_a_pause_or_a_stop_is_not_lost(demo: Session):
    for first in ("pause", "stop"):
        run = await demo.start_monty(**LONG)
        await until(run, "progress_update", tick=True)
        await getattr(run, first)()
        await run.cancel()
        last = (await everything(run))[-1].event
        # A stop may be quicker than the cancellation behind it; a pause never ends a workflow.
        assert last == "workflow_canceled" or (first == "stop" and last == "workflow_completed")


async def test_a_cancel_that_crosses_a_delivery_keeps_the_counts_exact(demo: Session):
    async def once(delay: float) -> None:
        run = await demo.start_monty(min_sleep=0.3, max_sleep=0.3, progress_interval=0.1)
        await until(run, "progress_update", status="iteration_2_sleeping")
        await asyncio.sleep(delay)
        await run.cancel()
        events = await everything(run)
        progress = await run.progress()
        assert progress["status"] == "canceled"
        assert events[-1].total_quotes_delivered == len(quotes(events)) == progress["total_quotes_delivered"]

    for start in range(3):
        await asyncio.gather(*(once(0.2 + 0.015 * number + 0.005 * start) for number in range(10)))


async def test_stop_while_paused_ends_it(demo: Session):
    run = await demo.start_monty(**LONG)
    await run.pause()
    await until(run, "workflow_paused")
    await run.stop()
    assert (await run.result()).final_status == "stopped"


async def test_cancel_ends_it_as_canceled(demo: Session):
    run = await demo.start_monty(**LONG)
    await until(run, "progress_update", status="iteration_1_sleeping")
    assert (await run.cancel()).accepted
    with pytest.raises(WorkflowEndedBadly) as error:
        await run.result()
    assert error.value.status == "CANCELED"
    last = (await everything(run))[-1]
    assert (last.event, last.iteration_count) == ("workflow_canceled", 1)
    assert not (await run.cancel()).accepted


async def test_terminate_ends_it_at_once(demo: Session):
    run = await demo.start_monty(**LONG)
    await run.terminate("enough")
    last = (await everything(run))[-1]
    assert (last.event, last.error) == ("workflow_terminated", "enough")


async def test_it_continues_as_new_and_nobody_watching_notices(demo: Session):
    run = await demo.start_monty(**QUICK, iterations=12, history_limit=20)
    events = facts(await everything(run))
    seams = [event for event in events if event.event == "workflow_continued_as_new"]
    assert len(seams) >= 3
    assert [event.event for event in events].count("workflow_started") == 1
    delivered = [event for event in events if getattr(event, "current_quote", None)]
    assert [event.iteration_count for event in delivered] == list(range(1, 13))
    assert [event.total_quotes_delivered for event in delivered] == list(range(1, 13))
    offsets = [event.offset for event in events]
    assert offsets == sorted(set(offsets))
    assert {event.workflow_id for event in events} == {run.id}
    assert (await run.result()).total_quotes_delivered == 12


async def test_a_stop_during_continue_as_new_is_not_lost(demo: Session):
    seams = 0
    for delay in (0.0, 0.3, 0.6, 0.9, None):
        run = await demo.start_monty(min_sleep=0.01, max_sleep=0.02, progress_interval=0.05, history_limit=20)
        if delay is None:
            await until(run, "workflow_continued_as_new")
        else:
            await asyncio.sleep(delay)
        await run.stop()
        result = await run.result(timeout=60)
        assert result.final_status == "stopped"
        assert result.total_iterations - result.total_quotes_delivered in (0, 1)
        seams += [event.event for event in await everything(run)].count("workflow_continued_as_new")
    assert seams > 0


async def test_a_flood_of_signals_keeps_the_history_bounded(demo: Session):
    run = await demo.start_monty(**LONG, history_limit=20)
    # More than twice the limit, so that it is reached however few Workflow Tasks take all of them.
    for _ in range(30):
        await run.pause()
        await run.resume()
    await until(run, "workflow_continued_as_new")
    await run.stop()
    assert (await run.result()).final_status == "stopped"
    events = await everything(run)
    assert any(event.event == "workflow_continued_as_new" for event in events)
    paused = [event.event for event in events if event.event in ("workflow_paused", "workflow_resumed")]
    assert paused == ["workflow_paused", "workflow_resumed"] * 30


async def test_own_quotes_come_first_at_the_start_and_while_it_runs(demo: Session):
    run = await demo.start_monty(**QUICK, quotes=["  one of mine  "])
    await until(run, "progress_update", status="iteration_2_sleeping")
    answer = await run.add_quotes(["another <b>of</b> mine 🐍"])
    assert answer.accepted
    await until(run, "progress_update", current_quote="another <b>of</b> mine 🐍")
    await run.stop()
    events = facts(await everything(run))
    assert quotes(events)[0] == "one of mine"
    added = next(event for event in events if event.event == "quotes_added")
    assert added.quotes == ("another <b>of</b> mine 🐍",)
    # It comes next: after the quote of the iteration that was under way when it was given.
    assert quotes(events)[added.iteration_count] == added.quotes[0]


async def test_a_duplicate_quote_is_refused_and_the_workflow_goes_on(demo: Session):
    run = await demo.start_monty(**LONG, quotes=["mine"])
    with pytest.raises(NotPossible, match="duplicate"):
        await run.add_quotes(["MINE"])
    await run.stop()
    await run.result()
    with pytest.raises(NotPossible, match="already ended"):
        await run.add_quotes(["too late"])


async def test_get_progress_answers_while_it_runs_and_after_the_end(demo: Session):
    run = await demo.start_monty(**LONG)
    await until(run, "progress_update", tick=True)
    progress = await run.progress()
    assert progress["status"] == "iteration_1_sleeping"
    assert progress["current_sleep_duration"] == 60
    assert progress["attempt"] >= 1
    assert progress["progress"] < 50
    await run.stop()
    await run.result()
    ended = await run.progress()
    assert (ended["status"], ended["iteration_count"], ended["total_quotes_delivered"]) == ("stopped", 1, 0)


async def test_durations_may_be_timedeltas(demo: Session):
    run = await demo.start_monty(min_sleep=timedelta(milliseconds=10), max_sleep=timedelta(seconds=0.02), iterations=1)
    assert (await run.result()).total_quotes_delivered == 1

"""Breaking a real stack, and bringing it back."""

from __future__ import annotations

import asyncio
import math
import os
import signal
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import psutil
import pytest
import pytest_asyncio
from rich.console import Console

from durable_demo import Session, settings, status
from durable_demo import events as e
from durable_demo.entries import HistoryEntry
from durable_demo.errors import InvalidInput, NotPossible, ServerUnreachable, StackError, StillRunning
from durable_demo.faults import Break, Faults
from durable_demo.run import Run
from tests.conftest import eventually
from tests.workers import timed_out

pytestmark = pytest.mark.slow

LONG = {"min_sleep": 60.0, "max_sleep": 60.0}
QUICK = {"min_sleep": 0.4, "max_sleep": 0.8, "progress_interval": 0.1}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Session]:
    """A stack of this module's own: others must not see it broken."""
    async with Session(tmp_path_factory.mktemp("broken")) as session:
        yield session


@pytest_asyncio.fixture(loop_scope="session")
async def demo(stack: Session) -> AsyncIterator[Session]:
    """The same, healthy again after each test."""
    yield stack
    await stack.reset()


async def until(run: Run, holds: Callable[[e.Event], object], *, after: str | None = None) -> e.Event:
    async with asyncio.timeout(60):
        async for event in run.events(after=after):
            if holds(event):
                return event
    raise AssertionError("it ended before")


def delivers(event: e.Event) -> bool:
    return isinstance(event, e.ProgressUpdate) and event.current_quote is not None


def since(demo: Session, broken: Break) -> list[str]:
    return [str(incident) for incident in demo.break_it.incidents(broken.timestamp)]


async def goes_on(run: Run) -> None:
    """A quote comes that was not there before."""
    known = [event.offset async for event in run.events(wait=False)]
    await until(run, delivers, after=known[-1])


# --- Workers ---------------------------------------------------------------------------------------------------------


async def test_a_killed_worker_is_replaced_and_its_attempt_goes_on(demo: Session):
    run = await demo.start_monty(min_sleep=4, max_sleep=4)
    seen = await until(run, lambda event: event.tick and getattr(event, "progress", 0) > 20)
    killed = demo.info.worker
    broken = await demo.break_it.kill_worker()
    assert killed is not None
    assert not killed.alive
    assert str(killed.pid) in broken.done
    retry = await until(run, lambda event: isinstance(event, e.ActivityRetry), after=seen.offset)
    assert retry.attempt >= 2
    assert retry.progress is not None
    assert retry.progress > 10
    await until(run, delivers, after=seen.offset)
    new = demo.info.worker
    assert new is not None
    await eventually(lambda: f"Worker {new.pid}: polls" in since(demo, broken), "that it polls")
    assert since(demo, broken) == [
        f"Worker {killed.pid}: killed by SIGKILL",
        f"Worker {new.pid}: started",
        f"Worker {new.pid}: polls",
    ]


async def test_one_of_two_workers_can_be_killed(demo: Session):
    await demo.break_it.set_workers(2)
    await eventually(lambda: demo.info.ready, "two Workers that poll")
    first, second = demo.info.workers
    await demo.break_it.kill_worker(second.pid)
    assert first.alive
    assert not second.alive
    with pytest.raises(InvalidInput, match="no Worker of ours with pid"):
        await demo.break_it.kill_worker(second.pid)
    await demo.break_it.set_workers(1)
    assert [worker.pid for worker in demo.info.workers] == [first.pid]


async def test_killed_again_and_again_it_comes_back_at_once(demo: Session):
    for _ in range(5):
        await demo.break_it.kill_worker()
    began = demo.break_it.incidents()[-1].timestamp
    await eventually(lambda: demo.info.ready, "a Worker that polls")
    assert "did not come to work" not in str(demo.break_it.incidents(began))


async def test_frozen_and_killed_it_comes_to_work_before_it_is_frozen_again(demo: Session):
    killed = demo.info.worker
    await demo.break_it.freeze_worker()
    await demo.break_it.kill_worker()
    await eventually(lambda: demo.info.ready and demo.info.worker != killed, "another Worker that polls")
    worker = demo.info.worker
    assert worker
    frozen = psutil.Process(worker.pid)
    await eventually(lambda: frozen.status() == psutil.STATUS_STOPPED, "that it is frozen too")


async def test_killed_and_not_to_be_started_it_is_tried_again_without_haste(demo: Session):
    log = demo.info.home / "worker.log"
    kept = log.rename(log.with_suffix(".kept"))
    log.mkdir()
    try:
        broken = await demo.break_it.kill_worker()
        await eventually(
            lambda: sum("did not come to work" in each for each in since(demo, broken)) >= 2, "two attempts"
        )
        await demo.break_it.disturb_network("cut", 0.1)  # refused if the supervisor did not carry it out
    finally:
        log.rmdir()
        kept.rename(log)
    await eventually(lambda: demo.info.ready, "a Worker that polls")


async def test_without_a_worker_requests_are_kept(demo: Session):
    run = await demo.start_monty(**LONG)
    await until(run, lambda event: event.tick and isinstance(event, e.ProgressUpdate))
    broken = await demo.break_it.set_workers(0)
    assert demo.info.workers == ()
    assert (await run.stop()).accepted
    with pytest.raises(NotPossible, match="No Worker runs"):
        await demo.break_it.kill_worker()
    await demo.break_it.set_workers(1)
    await run.result(timeout=60)
    assert "killed by SIGKILL" in since(demo, broken)[0]


async def test_a_workflow_that_is_reset_waits_on_while_there_is_no_worker(demo: Session):
    run = await demo.start_monty(**LONG)
    await until(run, lambda event: event.tick and isinstance(event, e.ProgressUpdate))
    await demo.break_it.set_workers(0)
    told: list[str] = []

    async def listen() -> None:
        async for event in run.events():
            told.append(event.event)

    listening = asyncio.create_task(listen())
    await eventually(lambda: "waiting_for_worker" in told, "that a Worker is missed")
    await run.reset(to="start")
    await eventually(lambda: told.count("waiting_for_worker") > 1, "that it is missed again")
    assert "worker_found" not in told
    listening.cancel()


async def test_without_waiting_a_server_that_is_away_is_told(demo: Session, monkeypatch: pytest.MonkeyPatch):
    run = await demo.start_monty(**LONG)
    await demo.break_it.kill_server(60)
    monkeypatch.setattr(settings, "CALL_DEADLINE", timedelta(seconds=2))
    with pytest.raises(ServerUnreachable):
        await run.timeline()


async def test_a_frozen_worker_thaws_by_itself(demo: Session):
    run = await demo.start_monty(**QUICK)
    await until(run, delivers)
    worker = demo.info.worker
    assert worker
    broken = await demo.break_it.freeze_worker(5.0)
    assert psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED
    await eventually(lambda: demo.break_it.faults() == Faults(), "the end of the fault")
    await goes_on(run)
    assert demo.info.worker == worker
    assert since(demo, broken) == [f"Worker {worker.pid}: frozen (SIGSTOP)", f"Worker {worker.pid}: thawed (SIGCONT)"]


async def test_a_frozen_worker_is_thawed(demo: Session):
    worker = demo.info.worker
    assert worker
    await demo.break_it.freeze_worker()
    await demo.break_it.thaw_worker()
    assert psutil.Process(worker.pid).status() != psutil.STATUS_STOPPED


# --- server and network ----------------------------------------------------------------------------------------------


async def test_a_killed_server_comes_back_and_followers_go_on(demo: Session):
    run = await demo.start_monty(**QUICK)
    await until(run, delivers)
    before = demo.info.server
    await demo.break_it.kill_server()
    await goes_on(run)
    assert demo.info.server != before
    assert before is not None
    assert not before.alive


async def test_a_server_stays_away_as_long_as_it_was_told_to(demo: Session):
    run = await demo.start_monty(**QUICK)
    await until(run, delivers)
    result = asyncio.create_task(run.result())
    broken = await demo.break_it.kill_server(60.0)
    assert demo.info.server is None
    assert "for 60 s" in broken.done
    await demo.break_it.start_server()
    await goes_on(run)
    await run.stop()
    assert (await result).final_status == "stopped"
    assert "Server" in since(demo, broken)[0]


@pytest.mark.parametrize("how", ["cut", "slow", "resets"])
async def test_workflows_go_on_over_a_disturbed_network(demo: Session, how: str):
    run = await demo.start_monty(**QUICK)
    await until(run, delivers)
    broken = await demo.break_it.disturb_network(how, 4.0)
    await eventually(lambda: demo.break_it.faults().happy, "the end of the fault")
    await goes_on(run)
    await eventually(lambda: "Network: ok" in since(demo, broken), "that its end is noted")
    assert [line for line in since(demo, broken) if "Network" in line] == [f"Network: {how}", "Network: ok"]


async def test_the_network_is_mended(demo: Session):
    await demo.break_it.disturb_network("cut")
    await demo.break_it.mend_network()
    assert demo.break_it.faults().happy


# --- Activities ------------------------------------------------------------------------------------------------------


async def test_a_busy_stack_takes_failures_as_they_come(demo: Session):
    runs = [await demo.start_monty(**QUICK) for _ in range(8)]
    await asyncio.gather(*(until(run, delivers) for run in runs))
    for _ in range(4):
        await demo.break_it.fail_activities(1)
    await eventually(lambda: demo.break_it.faults().failures == 0, "that all were taken")


async def test_attempts_fail_as_often_as_asked_and_no_quote_is_lost(demo: Session):
    await demo.break_it.fail_activities(2)
    run = await demo.start_monty(**QUICK, iterations=2)
    result = await run.result()
    assert (result.total_iterations, result.total_quotes_delivered) == (2, 2)
    retry, *others = [event async for event in run.events(wait=False) if isinstance(event, e.ActivityRetry)]
    assert retry.attempt >= 3
    assert "on purpose" in retry.error or timed_out(retry)
    assert all(timed_out(other) for other in others)
    assert demo.break_it.faults().failures == 0


async def test_tools_are_slow_and_the_answer_comes_all_the_same(demo: Session):
    await demo.break_it.slow_tools(4)  # longer than the heartbeat timeout
    chat = await demo.start_chat()
    assert "Cairo" in str(await chat.send("What's the weather in Cairo?"))
    called, answered = [
        event async for event in chat.events(wait=False) if isinstance(event, e.ToolCalled | e.ToolAnswered)
    ]
    assert (answered.moment - called.moment).total_seconds() > 4
    assert not answered.error, "without heartbeats no attempt comes to its end"


async def test_a_model_that_is_down_answers_when_it_is_up_again(demo: Session):
    await demo.break_it.model_down()
    chat = await demo.start_chat()
    sending = asyncio.create_task(chat.send("What can you do?"))
    retry = await until(chat, lambda event: isinstance(event, e.ActivityRetry))
    assert "The model is down" in retry.error
    await demo.break_it.model_down(False)
    assert (await sending).status == "answered"


async def test_an_answer_that_breaks_off_is_asked_for_again(demo: Session):
    await demo.break_it.cut_answers(1)
    chat = await demo.start_chat()
    reply = await chat.send("What's the weather in Cairo?")  # its first line is too short to break off
    assert reply.status == "answered"
    retries = [event async for event in chat.events(wait=False) if isinstance(event, e.ActivityRetry)]
    assert retries
    assert all("broke off" in retry.error or timed_out(retry) for retry in retries)
    assert demo.break_it.faults().cut_answers == 0


# --- watching --------------------------------------------------------------------------------------------------------


async def test_the_stopwatch_tells_how_a_workflow_went_on(demo: Session):
    run = await demo.start_monty(min_sleep=6, max_sleep=6)
    await until(run, lambda event: event.tick and getattr(event, "progress", 0) > 20)
    broken = await demo.break_it.kill_worker()
    recovery = await demo.break_it.watch(run, broken)
    summary = recovery.summary
    assert (summary.status, summary.completed_before, summary.repeated) == ("recovered", 0, 0)
    assert summary.attempts >= 1
    assert summary.gap > 1.5
    assert summary.resumed_from is not None
    assert summary.resumed_from > 10
    assert "killed by SIGKILL" in str(recovery)


async def test_a_workflow_that_does_not_go_on_is_told(demo: Session):
    run = await demo.start_monty(**LONG)
    await until(run, lambda event: event.tick and isinstance(event, e.ProgressUpdate))
    broken = await demo.break_it.set_workers(0)
    with pytest.raises(StillRunning, match="does not go on within 4 s"):
        await demo.break_it.watch(run, broken, timeout=4)


async def test_a_conversation_that_waits_for_a_message_is_not_touched(demo: Session):
    chat = await demo.start_chat()
    async with asyncio.timeout(60):  # until it has nothing more to do
        while True:
            entries = [item.event_type async for item in chat.items(wait=False) if isinstance(item, HistoryEntry)]
            if entries.count("WORKFLOW_TASK_COMPLETED") == 2 and entries[-1] == "WORKFLOW_TASK_COMPLETED":
                break
            await asyncio.sleep(0.1)
    broken = await demo.break_it.kill_worker()
    recovery = await demo.break_it.watch(chat, broken)
    assert recovery.summary.status == "untouched"


async def test_watching_begins_while_the_server_is_away(demo: Session):
    run = await demo.start_monty(**QUICK)
    await until(run, delivers)
    broken = await demo.break_it.kill_server(3.0)
    recovery = await demo.break_it.watch(run, broken)
    assert recovery.summary.status == "recovered"
    assert recovery.summary.gap > 2


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "value"),
    [
        ("set_workers", 5),
        ("set_workers", -1),
        ("set_workers", True),
        ("set_workers", "2"),
        ("freeze_worker", 0),
        ("freeze_worker", math.nan),
        ("kill_server", -1),
        ("kill_server", "soon"),
        ("disturb_network", "gone"),
        ("disturb_network", None),
        ("fail_activities", 51),
        ("fail_activities", 1.5),
        ("slow_tools", 16),
        ("slow_tools", math.inf),
        ("slow_tools", None),
        ("slow_tools", ""),
        ("disturb_network", ["cut"]),
        ("model_down", "yes"),
        ("cut_answers", -1),
        ("kill_worker", 1),
        ("kill_worker", "all"),
    ],
)
async def test_what_makes_no_sense_is_refused_and_breaks_nothing(demo: Session, verb: str, value: Any):
    with pytest.raises(InvalidInput):
        await getattr(demo.break_it, verb)(value)
    assert demo.break_it.faults() == Faults()


async def test_who_listens_is_told_of_each_break(demo: Session):
    told: list[Break] = []
    demo.break_it.on_break.append(told.append)
    try:
        broken = await demo.break_it.fail_activities(0)
    finally:
        demo.break_it.on_break.remove(told.append)
    assert told == [broken]
    assert broken.kind == "fail_activities"


async def test_status_tells_what_is_broken_and_what_mends_it(demo: Session, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(settings.ENV_HOME, str(demo.stack.home))
    await demo.break_it.model_down()
    await demo.break_it.set_workers(2)
    console = Console(record=True, width=300)
    await eventually(lambda: demo.info.ready, "two Workers that poll")
    await status.show(console)
    said = console.export_text()
    assert "model down (on purpose; `durable-demo reset` mends it)" in said
    assert all(f"pid {worker.pid}" in said for worker in demo.info.workers)


# --- reset -----------------------------------------------------------------------------------------------------------


async def test_a_reset_lifts_all_faults_and_ends_all_workflows(demo: Session):
    runs = [await demo.start_monty(**LONG) for _ in range(3)]
    await demo.break_it.set_workers(0)
    await demo.break_it.kill_server(600)
    await demo.break_it.disturb_network("cut")
    await demo.break_it.model_down()
    report = await demo.reset()
    assert set(report.terminated) == {run.id for run in runs}
    assert report.mended == ("no Worker", "server away", "network cut", "model down")
    assert "3 workflows terminated" in str(report)
    assert demo.break_it.faults() == Faults()
    assert demo.info.ready
    assert {(await run.status()).status for run in runs} == {"TERMINATED"}
    again = await demo.start_monty(**QUICK, iterations=1)
    assert (await again.result()).total_quotes_delivered == 1


async def test_a_reset_of_what_is_whole_changes_nothing(demo: Session):
    before = demo.info
    report = await demo.reset()
    assert (report.terminated, report.mended) == ((), ())
    assert demo.info == before


async def test_a_reset_starts_a_stack_whose_supervisor_was_killed(demo: Session):
    run = await demo.start_monty(**LONG)
    supervisor = demo.info.supervisor
    assert supervisor
    os.kill(supervisor.pid, signal.SIGKILL)
    await eventually(lambda: not supervisor.alive, "its end")
    with pytest.raises(NotPossible, match="does not run"):
        await demo.break_it.set_workers(2)
    report = await demo.reset()
    assert report.terminated == (run.id,)
    assert demo.info.ready


async def test_a_reset_thaws_a_worker_that_somebody_stopped_past_us(demo: Session):
    worker = demo.info.worker
    assert worker
    os.kill(worker.pid, signal.SIGSTOP)
    await demo.reset()
    assert psutil.Process(worker.pid).status() != psutil.STATUS_STOPPED


@pytest.mark.parametrize("stopped", ["supervisor", "server"])
async def test_a_reset_wakes_what_somebody_stopped_past_us(demo: Session, stopped: str):
    process = getattr(demo.info, stopped)
    os.kill(process.pid, signal.SIGSTOP)
    await demo.reset()
    assert demo.info.ready
    again = await demo.start_monty(**QUICK, iterations=1)
    assert (await again.result()).total_quotes_delivered == 1


async def test_another_session_finds_a_stack_that_works(demo: Session):
    await demo.break_it.set_workers(0)
    await demo.break_it.kill_server(600)
    await demo.break_it.model_down()
    async with Session(demo.stack.home) as other:
        assert other.info.ready
        assert len(other.info.workers) == 1
        assert other.break_it.faults() == Faults(model_down=True)


async def test_a_reset_that_takes_too_long_says_so(demo: Session, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(settings, "RESET_DEADLINE", settings.RESET_DEADLINE * 0)
    with pytest.raises(StackError, match="did not come to its end"):
        await demo.reset()
    monkeypatch.undo()

"""The stopwatch: scripted items, recorded histories, and a real Worker that is killed."""

from __future__ import annotations

import asyncio
import functools
import html
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.json_format import Parse
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.api.history.v1 import History
from temporalio.converter import DataConverter

from durable_demo import Session
from durable_demo import events as e
from durable_demo.entries import HistoryEntry, Item
from durable_demo.faults import Break, Incident
from durable_demo.history import Offset, RunReader
from durable_demo.recovery import MAX_LINES, Recovery
from tests.conftest import eventually
from tests.test_timeline import HISTORIES, RUNS, START, Story, moment, runs, waits

KILLED = "Worker 4711 was killed (SIGKILL)."


def broken(second: float, kind: str = "kill_worker", done: str = KILLED, *, mends: bool = False) -> Break:
    return Break(kind=kind, timestamp=moment(second), done=done, expected="A new Worker starts.", mends=mends)


def common(second: float, *, tick: bool = False, event_id: int = 99) -> dict[str, Any]:
    offset = str(Offset(1, event_id, RUNS[0]))
    return {"timestamp": moment(second), "workflow_id": "own-1", "run_id": RUNS[0], "offset": offset, "tick": tick}


def reached(second: float, percent: float, attempt: int = 1) -> e.Event:
    return e.ProgressUpdate(progress=percent, status="sleeping", attempt=attempt, **common(second, tick=True))


def quote(second: float, event_id: int = 50) -> e.Event:
    return e.ProgressUpdate(
        progress=100, status="delivered", current_quote="Ni!", iteration_count=2, **common(second, event_id=event_id)
    )


def at_work() -> Story:
    """One Activity has completed, the next one was scheduled at 2 s as entry 11, and reports."""
    story = Story("MontyPythonWorkflow").task(0, 0.1).activity(0.2, 0.3, 1.5).task(1.6, 1.7)
    assert story.scheduled(2, "2") == 11
    story.items += [reached(2.5, 10), reached(3, 20)]
    return story


def fold(*items: Item) -> Recovery:
    recovery = Recovery()
    recovery.apply(*items)
    return recovery


def lines(recovery: Recovery) -> list[str]:
    return [line.text for line in recovery.lines]


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_before_anything_is_broken_it_says_so_and_changes_with_nothing() -> None:
    recovery = fold(*at_work().items)
    assert recovery.summary.status == ""
    assert recovery.apply(reached(3.5, 30)) == ()
    assert (str(recovery), recovery.lines) == ("Nothing was broken", [])


def test_a_killed_worker_is_a_wait_from_the_last_heartbeat_to_the_first_one_of_the_next_attempt() -> None:
    story = at_work()
    recovery = fold(*story.items)
    recovery.begin(broken(3.2))
    assert recovery.summary.status == "waiting"
    assert (recovery.summary.waiting_since, recovery.summary.gap) == (moment(3), 0.2)
    story.items.clear()
    story.pending(5.4, replace(runs(2, 5.2, 5.3), activity_id="2"))
    retry = e.ActivityRetry(
        activity_id="2", activity_type="sleep", attempt=2, error="lost", progress=20.0, **common(2, tick=True)
    )
    recovery.apply(*story.items, retry, reached(5.3, 20, attempt=2))
    # That it was handed out is no sign that somebody works at it.
    assert (recovery.status, recovery.summary.gap) == ("waiting", 2.4)
    recovery.apply(reached(5.8, 28, attempt=2))
    summary = recovery.summary
    assert (summary.status, summary.gap, summary.attempts, summary.resumed_from) == ("recovered", 2.8, 1, 20)
    assert (summary.completed_before, summary.completed_since, summary.repeated) == (1, 0, 0)
    assert summary.headline == "Went on after 2.8 s without progress"
    assert "1 Activity had completed before: none ran again" in summary.facts
    assert lines(recovery) == [
        KILLED,
        "Activity sleep: attempt 2, goes on from 20% (the one before: lost)",
        "Progress again after 2.8 s",
    ]


def test_an_attempt_that_began_from_nothing_is_not_said_to_go_on() -> None:
    story = at_work()
    recovery = fold(*story.items)
    recovery.begin(broken(3.2))
    recovery.apply(
        *story.pending(5.4, replace(runs(2, 5.2, 5.3), activity_id="2")).items[-1:], reached(5.8, 4, attempt=2)
    )
    assert recovery.summary.resumed_from == 4


def test_a_workflow_that_goes_on_all_the_while_is_untouched() -> None:
    recovery = fold(*at_work().items)
    recovery.begin(broken(3.2, "slow_tools", "Tools take 5 s longer."))
    recovery.apply(*(reached(3 + 0.5 * step, 20 + step) for step in range(1, 10)))
    assert (recovery.status, recovery.summary.gap) == ("untouched", 0.5)
    assert recovery.summary.headline == "Went on without a pause"


def test_while_nothing_is_in_hand_the_stopwatch_stands_still() -> None:
    idle = Story().task(0, 0.1)
    recovery = fold(*idle.items)
    recovery.begin(broken(5))
    recovery.look(START + timedelta(seconds=60))
    assert (recovery.status, recovery.summary.gap) == ("untouched", 0)
    assert recovery.summary.headline == "Nothing was in hand: nothing had to wait"
    # What comes in then waits from that moment on.
    idle.items.clear()
    idle.entry(70, "WORKFLOW_EXECUTION_SIGNALED").entry(70, "WORKFLOW_TASK_SCHEDULED")
    recovery.apply(*idle.items)
    recovery.look(START + timedelta(seconds=74))
    assert (recovery.status, recovery.summary.waiting_since, recovery.summary.gap) == ("waiting", moment(70), 4)


def test_an_update_that_waits_for_a_worker_is_in_hand_though_no_history_has_it() -> None:
    story = Story().task(0, 0.1)
    recovery = fold(*story.items)
    recovery.begin(broken(5, "set_workers", "All Workers were killed (SIGKILL)."))
    recovery.apply(story.pending(9, task=7).items[-1])
    assert (recovery.status, recovery.summary.gap) == ("waiting", 2)
    recovery.apply(story.pending(10).items[-1])
    assert recovery.summary.waiting_since == ""


@pytest.mark.parametrize(
    ("entry", "recovers"),
    [
        ("WORKFLOW_TASK_COMPLETED", True),
        ("ACTIVITY_TASK_COMPLETED", True),
        ("ACTIVITY_TASK_FAILED", True),
        ("ACTIVITY_TASK_CANCELED", True),
        ("ACTIVITY_TASK_TIMED_OUT", False),
        ("WORKFLOW_EXECUTION_SIGNALED", False),
        ("WORKFLOW_EXECUTION_CANCEL_REQUESTED", False),
        ("WORKFLOW_TASK_SCHEDULED", False),
        ("WORKFLOW_TASK_STARTED", False),
        ("WORKFLOW_TASK_FAILED", False),
        ("WORKFLOW_TASK_TIMED_OUT", False),
    ],
)
def test_a_sign_of_progress_is_what_a_worker_has_done(entry: str, recovers: bool) -> None:
    story = at_work()
    recovery = fold(*story.items)
    recovery.begin(broken(3.2))
    recovery.apply(story.entry(8, entry, scheduledEventId="11").items[-1])
    assert recovery.status == ("recovered" if recovers else "waiting")


@pytest.mark.parametrize(
    "event",
    [
        e.Reconnecting(error="x", **common(8, tick=True)),
        e.Reconnected(away=4.0, **common(8, tick=True)),
        e.Gap(reason="x", **common(8, tick=True)),
        e.WorkflowTaskFailed(cause="x", error="x", **common(8)),
        e.WorkflowPaused(**common(8)),
    ],
    ids=lambda event: event.event,
)
def test_events_about_the_connection_or_by_people_are_no_progress(event: e.Event) -> None:
    recovery = fold(*at_work().items)
    recovery.begin(broken(3.2))
    recovery.apply(event)
    assert recovery.status == "waiting"


def test_a_short_wait_counts_when_there_is_proof_of_it() -> None:
    """As when the server was away for a second, or an attempt was made to fail."""
    recovery = fold(*at_work().items)
    recovery.begin(broken(3.2, "kill_server", "Server 4700 was killed (SIGKILL)."))
    recovery.apply(e.Reconnecting(error="x", **common(3.3, tick=True)))
    recovery.apply(e.Reconnected(away=0.7, **common(4.0, tick=True)), reached(4.2, 35))
    assert (recovery.status, recovery.summary.gap) == ("recovered", 1.2)


def test_that_the_server_was_lost_before_the_break_was_told_is_proof_too() -> None:
    recovery = fold(*at_work().items, e.Reconnecting(error="x", **common(3.3, tick=True)))
    recovery.begin(broken(3.2, "kill_server", "Server 4700 was killed (SIGKILL)."))
    recovery.apply(e.Reconnected(away=0.7, **common(4.0, tick=True)), reached(4.2, 35))
    assert recovery.status == "recovered"


def test_attempts_that_were_made_to_fail_are_counted_each_once() -> None:
    story = at_work()
    recovery = fold(*story.items)
    recovery.begin(broken(3.2, "fail_activities", "The next 2 attempts of Activities will fail."))
    story.ended(3.5, 11, result="x").task(3.5, 3.6)
    event_id = story.scheduled(3.6, "3")
    story.pending(4, waits(2, 3.9, failed=3.7, activity_id="3")).pending(4.2, waits(3, 4.6, activity_id="3"))
    story.attempt(4.6, event_id, 3).ended(6, event_id)
    recovery.apply(*story.items)
    assert (recovery.status, recovery.summary.attempts, recovery.summary.completed_since) == ("recovered", 2, 2)


def test_an_attempt_that_shows_what_the_one_before_has_told_is_no_progress_when_others_begin_meanwhile() -> None:
    def told(second: float, attempt: int) -> e.Event:
        named = {"activity_id": "2", "activity_type": "own"}
        return e.ActivityHeartbeat(attempt=attempt, details=7, **named, **common(second, tick=True))

    story = at_work()
    recovery = fold(*story.items, told(3.1, 1))
    recovery.begin(broken(3.2))
    story.scheduled(3.15, "3")
    recovery.apply(story.items[-1], told(6, 2))
    assert recovery.status == "waiting"
    recovery.apply(told(6.1, 2))
    assert recovery.status == "recovered"


def test_workflow_tasks_that_timed_out_are_counted() -> None:
    story = at_work()
    recovery = fold(*story.items)
    recovery.begin(broken(3.2))
    story.ended(3.3, 11).entry(3.3, "WORKFLOW_TASK_SCHEDULED").entry(5.3, "WORKFLOW_TASK_TIMED_OUT")
    story.entry(5.3, "WORKFLOW_TASK_SCHEDULED").entry(5.4, "WORKFLOW_TASK_STARTED")
    recovery.apply(*story.entry(5.5, "WORKFLOW_TASK_COMPLETED").items)
    assert (recovery.status, recovery.summary.tasks_timed_out, recovery.summary.gap) == ("recovered", 1, 2.2)
    assert "A Workflow Task timed out: it is handed out again" in lines(recovery)


def test_a_workflow_that_is_terminated_while_it_waits_did_not_go_on() -> None:
    story = at_work()
    recovery = fold(*story.items)
    recovery.begin(broken(3.2))
    recovery.apply(story.entry(6, "WORKFLOW_EXECUTION_TERMINATED").items[-1])
    assert (recovery.status, recovery.summary.headline) == ("ended", "It ended before it could go on")
    assert recovery.summary.gap == 3


@pytest.mark.parametrize("end", ["TERMINATED", "TIMED_OUT"])
def test_what_came_in_after_the_break_and_waited_until_the_end_counts_too(end: str) -> None:
    story = Story().task(0, 0.1)
    recovery = fold(*story.items)
    recovery.begin(broken(5))
    story.entry(7, "WORKFLOW_TASK_SCHEDULED").entry(19.9, f"WORKFLOW_EXECUTION_{end}")
    recovery.apply(*story.items[-2:])
    assert (recovery.status, recovery.summary.gap) == ("ended", 12.9)


def copies(second: float, timer: str = "") -> list[Item]:
    """A run to which the one of `at_work` is reset: what the reset copies, and how it says so."""
    story = Story("MontyPythonWorkflow").task(0, 0.1).activity(0.2, 0.3, 1.5)
    if timer:
        story.entry(1.5, "TIMER_STARTED", timerId="1", startToFireTimeout=timer)
    copied: list[Item] = [replace(item, copied=True) for item in story.items if isinstance(item, HistoryEntry)]
    cause = "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW"
    return [*copied, story.entry(second, "WORKFLOW_TASK_FAILED", cause=cause).items[-1]]


def in_run(number: int, items: Sequence[Item]) -> list[Item]:
    """The same entries in a later run."""
    return [
        replace(item, run_id=RUNS[number - 1], offset=str(Offset(number, item.event_id, RUNS[number - 1])))
        for item in items
        if isinstance(item, HistoryEntry)
    ]


def after(second: float) -> list[Item]:
    """What a run does after `copies`."""
    story = Story()
    story.event_id = 9
    story.items.clear()
    story.entry(second, "WORKFLOW_TASK_SCHEDULED").entry(second + 0.1, "WORKFLOW_TASK_STARTED")
    return story.entry(second + 0.1, "WORKFLOW_TASK_COMPLETED").activity(second + 0.2, second + 0.2, second + 1).items


def test_an_activity_that_a_reset_runs_again_is_told() -> None:
    recovery = fold(*at_work().items)
    recovery.begin(broken(3.2))
    recovery.apply(*in_run(2, [*copies(4), *after(5)]))
    summary = recovery.summary
    assert (summary.completed_before, summary.completed_since, summary.repeated) == (1, 1, 1)
    assert "1 Activity had completed before: 1 ran again" in summary.facts


def test_a_reset_is_no_wait_and_what_it_copies_is_counted_once_however_often() -> None:
    story = at_work()
    recovery = fold(*story.items, reached(13, 60))
    recovery.begin(broken(13.2))
    recovery.apply(reached(13.5, 65))
    recovery.apply(story.entry(13.8, "WORKFLOW_EXECUTION_TERMINATED").items[-1])
    for number, second in ((2, 13.8), (3, 16)):
        recovery.apply(*in_run(number, [*copies(second), *after(second)]))
        assert (recovery.status, recovery.summary.gap) == ("untouched", 0.8)
        assert recovery.summary.completed_before == 1


def test_what_a_reset_has_left_in_hand_waits_from_then_on() -> None:
    recovery = fold(*at_work().items)
    recovery.begin(broken(13.2))
    recovery.apply(*in_run(2, copies(14, timer="3s")))
    recovery.look(START + timedelta(seconds=20))
    assert (recovery.status, recovery.summary.gap) == ("waiting", 6)


def test_a_timer_that_is_overdue_waits() -> None:
    story = Story().task(0, 0.1)
    story.entry(4, "TIMER_STARTED", timerId="1", startToFireTimeout="1.500s")
    timer = story.event_id
    recovery = fold(*story.items)
    recovery.begin(broken(5, "kill_server", "The server was killed (SIGKILL) for 20 s."))
    recovery.look(START + timedelta(seconds=6))
    assert recovery.status == "untouched"
    recovery.look(START + timedelta(seconds=20))
    assert (recovery.status, recovery.summary.waiting_since) == ("waiting", moment(5.5))
    story.entry(25, "TIMER_FIRED", timerId="1", startedEventId=str(timer)).task(25, 25.1)
    recovery.apply(*story.items)
    assert (recovery.status, recovery.summary.gap) == ("recovered", 19.6)
    assert lines(recovery)[-1] == "Progress again after 20 s"


def test_a_timer_that_was_canceled_is_never_overdue() -> None:
    story = Story().entry(4, "TIMER_STARTED", timerId="1", startToFireTimeout="1s")
    recovery = fold(*story.entry(4.5, "TIMER_CANCELED", timerId="1", startedEventId="2").items)
    recovery.begin(broken(5))
    recovery.look(START + timedelta(seconds=60))
    assert recovery.status == "untouched"


def test_a_look_that_runs_ahead_of_the_history_does_not_lose_the_wait() -> None:
    story = Story().task(0, 0.1)
    recovery = fold(*story.items)
    recovery.begin(broken(5))
    story.items.clear()
    story.entry(6, "WORKFLOW_TASK_SCHEDULED")
    story.pending(11)
    recovery.apply(*story.items)
    assert recovery.status == "untouched"
    story.entry(10.8, "WORKFLOW_TASK_STARTED").entry(10.9, "WORKFLOW_TASK_COMPLETED")
    recovery.apply(*story.items)
    assert (recovery.status, recovery.summary.gap) == ("recovered", 4.9)


def test_a_look_that_sees_the_end_ahead_of_the_history_does_not_lose_the_wait() -> None:
    story = Story().task(0, 0.1)
    recovery = fold(*story.items)
    recovery.begin(broken(5))
    story.items.clear()
    story.entry(6, "WORKFLOW_TASK_SCHEDULED")
    story.pending(11)
    recovery.apply(*story.entry(11, "WORKFLOW_EXECUTION_TERMINATED").items)
    assert (recovery.status, recovery.summary.gap) == ("ended", 5)


def test_a_task_that_no_history_came_to_keep_does_not_make_the_next_one_older() -> None:
    """As that of an Update that its validator refuses."""
    story = Story().task(0, 0.1)
    recovery = fold(*story.items)
    recovery.begin(broken(5))
    story.items.clear()
    story.pending(9, task=8.9).pending(10)
    recovery.apply(*story.entry(70, "WORKFLOW_TASK_SCHEDULED").entry(70.2, "WORKFLOW_TASK_STARTED").items)
    recovery.apply(story.entry(70.2, "WORKFLOW_TASK_COMPLETED").items[-1])
    assert (recovery.status, recovery.summary.gap) == ("untouched", 0.2)


def test_where_no_heartbeat_was_heard_a_wait_does_not_begin_before_the_break() -> None:
    """As when only the history is read, once all is over."""
    story = at_work()
    facts = [item for item in story.ended(34, 11).items if isinstance(item, HistoryEntry)]
    recovery = Recovery()
    recovery.begin(broken(16, "kill_server", "The server was killed (SIGKILL) for 3 s."))
    recovery.apply(*facts)
    assert (recovery.status, recovery.summary.gap) == ("recovered", 18)


def test_a_heartbeat_that_is_long_past_when_something_is_broken_tells_nothing_of_that_break() -> None:
    """As when a panel rests, and the heartbeats pass unheard."""
    recovery = fold(*at_work().items)
    recovery.begin(broken(16))
    recovery.apply(reached(20, 50))
    assert (recovery.status, recovery.summary.gap) == ("recovered", 4)


def test_the_ids_of_a_run_mean_nothing_in_the_next_one() -> None:
    story = at_work()
    recovery = fold(*story.items)
    recovery.begin(broken(3.2))
    story.ended(4, 11).entry(4, "WORKFLOW_EXECUTION_CONTINUED_AS_NEW", newExecutionRunId=RUNS[1])
    story.began(4).task(4, 4.1).activity(4.2, 4.3, 5)
    recovery.apply(*story.items)
    assert (recovery.summary.completed_before, recovery.summary.completed_since, recovery.summary.repeated) == (1, 2, 0)


# --- several breaks --------------------------------------------------------------------------------------------------


def test_a_further_break_while_it_waits_lets_the_stopwatch_run_on() -> None:
    recovery = fold(*at_work().items)
    recovery.begin(broken(3.2))
    recovery.begin(broken(5, "kill_server", "Server 4700 was killed (SIGKILL)."))
    recovery.apply(reached(7, 30))
    summary = recovery.summary
    assert (summary.kind, summary.since, summary.gap) == ("kill_worker", moment(3.2), 4)
    assert lines(recovery)[:2] == [KILLED, "Server 4700 was killed (SIGKILL)."]


def test_a_break_after_it_went_on_starts_anew() -> None:
    recovery = fold(*at_work().items)
    recovery.begin(broken(3.2))
    recovery.apply(reached(7, 30))
    recovery.begin(broken(7.2, done="Worker 4712 was killed (SIGKILL)."))
    recovery.apply(reached(9, 40))
    assert (recovery.summary.gap, recovery.summary.since) == (2, moment(7.2))
    assert lines(recovery) == ["Worker 4712 was killed (SIGKILL).", "Progress again after 2.0 s"]


def test_a_break_that_has_made_it_wait_before_it_was_told_has_its_own_name() -> None:
    recovery = fold(*at_work().items)
    recovery.begin(broken(3.2))
    recovery.apply(reached(6, 30), reached(6.5, 32))
    recovery.apply(e.Reconnecting(error="x", **common(7, tick=True)))
    recovery.look(START + timedelta(seconds=9))
    recovery.begin(broken(6.7, "kill_server", "The server was killed (SIGKILL) for 3 s."))
    recovery.apply(reached(10, 40))
    summary = recovery.summary
    assert (summary.kind, summary.since, summary.gap) == ("kill_server", moment(6.7), 3.5)


def test_what_only_mends_is_never_said_to_be_broken_and_a_break_has_its_own_name_after_it() -> None:
    recovery = fold(*at_work().items)
    recovery.begin(broken(3.2, "set_workers", "Workers 1, 2 were started.", mends=True))
    for told in (recovery.to_text(), recovery.to_html()):
        assert "Mended:" in told
        assert "Broken on purpose" not in told
    recovery.begin(broken(8))
    assert (recovery.summary.kind, recovery.summary.mends) == ("kill_worker", False)


def test_who_asks_what_became_of_a_workflow_since_it_was_mended_hears_of_all_of_its_wait() -> None:
    recovery = fold(*at_work().items)
    recovery.begin(broken(13, "set_workers", "Workers 1, 2 were started.", mends=True))
    recovery.apply(reached(14, 30))
    assert (recovery.status, recovery.summary.gap) == ("recovered", 11)


def test_what_mends_starts_no_stopwatch_of_its_own() -> None:
    recovery = fold(*at_work().items)
    recovery.begin(broken(3.2, "disturb_network", "The network is cut."))
    recovery.apply(reached(7, 30))
    recovery.begin(broken(8, "mend_network", "The network is mended.", mends=True))
    assert (recovery.summary.done, recovery.summary.gap) == ("The network is cut.", 4)
    assert lines(recovery)[-1] == "The network is mended."


def test_what_pauses_long_after_all_went_on_is_the_workflows_own_affair() -> None:
    recovery = fold(*at_work().items)
    recovery.begin(broken(3.2))
    recovery.apply(reached(6, 30), *(reached(6 + step, 30 + step) for step in range(1, 12)))
    recovery.apply(reached(60, 50))
    assert (recovery.status, recovery.summary.gap) == ("recovered", 3)
    # But proof that something was wrong again is told.
    recovery.apply(e.Reconnecting(error="x", **common(61, tick=True)))
    assert recovery.status == "waiting"


# --- processes -------------------------------------------------------------------------------------------------------


def test_incidents_stand_among_the_events_in_the_order_of_time_each_once() -> None:
    seen = [
        Incident(timestamp=moment(3.25), process="worker", what="killed by SIGKILL", pid=4711),
        Incident(timestamp=moment(3.5), process="worker", what="started", pid=4720),
        Incident(timestamp=moment(3.5), process="network", what="cut"),
        Incident(timestamp=moment(5), process="worker", what="polls", pid=4720),
    ]
    before = Incident(timestamp=moment(1), process="worker", what="polls", pid=4711)
    recovery = fold(*at_work().items)
    recovery.begin(broken(3.2))
    recovery.note(before, *seen[:2])
    recovery.apply(reached(5.8, 30))
    assert [line.text for line in recovery.note(*seen)] == ["Network: cut", "Worker 4720: polls"]
    assert recovery.note(*seen) == ()
    assert lines(recovery) == [
        KILLED, "Worker 4711: killed by SIGKILL", "Worker 4720: started", "Network: cut", "Worker 4720: polls",
        "Progress again after 2.8 s",
    ]  # fmt: skip


def test_only_so_many_lines_are_kept() -> None:
    recovery = fold(*at_work().items)
    recovery.begin(broken(3.2))
    recovery.note(
        *(
            Incident(timestamp=moment(4 + place / 100), process="worker", what="started", pid=place)
            for place in range(MAX_LINES + 5)
        )
    )
    assert len(recovery.lines) == MAX_LINES
    assert recovery.dropped == 6


# --- how it reads ----------------------------------------------------------------------------------------------------


def test_it_reads_as_text_and_as_harmless_html() -> None:
    story = at_work()
    recovery = fold(*story.items)
    recovery.begin(broken(3.2, done="<script>x</script>\x00\n"))
    recovery.apply(story.ended(7, 11).items[-1], quote(7.1))
    text, page = recovery.to_text(), recovery.to_html()
    for words in ("Went on after 4.0 s without progress.", "1 completed since", 'Iteration 2: "Ni!"'):
        assert words in text
        assert html.escape(words.rstrip(".")) in page
    for markup in ("<script", "\x00", "class=", "style="):
        assert markup not in page
    assert "\x00" not in text
    assert text.count("\n") == len(recovery.summary.facts) + 1 + len(recovery.lines)


# --- histories -------------------------------------------------------------------------------------------------------


@functools.cache
def recorded(name: str) -> list[Item]:
    """The items of a recorded run."""
    reader = RunReader("recorded-1", RUNS[0], DataConverter.default)

    async def read() -> list[Item]:
        items: list[Item] = []
        for entry in Parse(HISTORIES[name], History()).events:
            items.append(await reader.entry(entry))
            event = await reader.read(entry)
            items += [event] if event else []
        return items

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(read())
    finally:
        loop.close()


def since(timestamp: str, *parts: Sequence[Item]) -> Recovery:
    """The stopwatch of something that was broken at this time, if the workflow is read afterwards."""
    recovery = Recovery()
    recovery.begin(Break(kind="kill_worker", timestamp=timestamp, done="x", expected="x"))
    for part in parts:
        recovery.apply(*part)
    return recovery


@pytest.mark.parametrize("name", HISTORIES)
def test_of_a_recorded_history_each_activity_counts_once_before_or_after_any_moment(name: str) -> None:
    items = recorded(name)
    entries = [item for item in items if isinstance(item, HistoryEntry)]
    completed = [entry for entry in entries if entry.event_type == "ACTIVITY_TASK_COMPLETED"]
    for entry in entries:
        summary = since(entry.timestamp, items).summary
        before = [done for done in completed if done.timestamp <= entry.timestamp]
        assert (summary.completed_before, summary.repeated) == (len(before), 0)
        assert summary.completed_before + summary.completed_since == len(completed)
        assert summary.status in {"untouched", "recovered", "ended"}


@settings(max_examples=60)
@given(
    name=st.sampled_from(sorted(HISTORIES)),
    cut=st.integers(0, 400),
    again=st.integers(0, 400),
    place=st.integers(0, 400),
)
def test_reading_a_run_again_from_its_beginning_changes_nothing(name: str, cut: int, again: int, place: int) -> None:
    items = recorded(name)
    timestamp = items[place % len(items)].timestamp
    end = cut % (len(items) + 1)
    once, twice = since(timestamp, items), since(timestamp, items[:end], items[: min(end, again)], items)
    assert (twice.summary, twice.lines) == (once.summary, once.lines)


# --- the real thing --------------------------------------------------------------------------------------------------


async def test_each_verb_knows_whether_it_breaks_or_mends(demo: Session) -> None:
    verbs = demo.break_it
    for mends in (
        verbs.set_workers(1), verbs.thaw_worker(), verbs.start_server(), verbs.mend_network(), verbs.fail_activities(0),
        verbs.slow_tools(0), verbs.model_down(False), verbs.cut_answers(0),
    ):  # fmt: skip
        done = await mends
        assert done.mends, done
    try:
        for breaks in (verbs.fail_activities(1), verbs.slow_tools(1), verbs.model_down(), verbs.cut_answers(1)):
            done = await breaks
            assert not done.mends, done
    finally:
        await demo.reset()


async def test_a_real_worker_is_killed_and_the_stopwatch_tells_what_became_of_the_workflow(demo: Session) -> None:
    recovery = Recovery()
    demo.break_it.on_break.append(recovery.begin)
    run = await demo.start_monty(min_sleep=1, max_sleep=12, seed=52)  # 1.4 s, then 11.6 s

    async def watch() -> None:
        async for item in run.items():
            recovery.apply(item)

    watching = demo.background.spawn(watch(), name="watch")
    try:
        at_work = "the second Activity is at work"  # the end of the first one shows 100 %
        await eventually(lambda: recovery._completed >= 1 and 20 < (recovery._reached or 0) < 60, at_work)
        done = await demo.break_it.kill_worker()
        await eventually(lambda: recovery.summary.resumed_from is not None, "it goes on")
        polls = "the new Worker is seen to poll"
        await eventually(lambda: any("polls" in str(each) for each in demo.break_it.incidents(done.timestamp)), polls)
    finally:
        demo.break_it.on_break.remove(recovery.begin)
        await run.terminate()
        watching.cancel()
    recovery.note(*demo.break_it.incidents(done.timestamp))
    summary = recovery.summary
    assert not done.mends
    assert summary.status in {"recovered", "waiting"}
    assert summary.attempts >= 1
    assert summary.repeated == 0
    assert summary.completed_before >= 1
    assert summary.resumed_from is not None
    assert summary.resumed_from >= 20
    told = str(recovery)
    for words in ("killed by SIGKILL", "started", "polls", "attempt 2, goes on from", "Progress again after"):
        assert words in told

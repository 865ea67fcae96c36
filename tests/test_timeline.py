"""The fold of an Event History into bars: what took how long, and when nobody was there to do it."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.json_format import Parse
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.history.v1 import History as ServerHistory
from temporalio.converter import DataConverter

from durable_demo import Session
from durable_demo import events as e
from durable_demo.entries import HistoryEntry, Item, PendingActivity, PendingWork
from durable_demo.history import Offset, RunReader
from durable_demo.timeline import Timeline
from durable_demo.timeline_bars import MAX_PARTS, Bar, advanced, duration, queued
from durable_demo.timeline_entries import MAX_TEXT, failure_text

START = datetime(2025, 1, 19, 10, 30, tzinfo=UTC)
RUNS = [str(UUID(int=number)) for number in range(1, 5)]
HISTORIES = {
    path.stem: path.read_text() for path in sorted((Path(__file__).parent / "histories").glob("*/*.json"))
}  # fmt: skip
FAILURE = {"message": "not yet", "applicationFailureInfo": {"type": "Hiccup"}}


def moment(second: float) -> str:
    return e.format_timestamp(START + timedelta(seconds=second))


class Story:
    """The items of one workflow, as `run.items()` gives them; times are in seconds since it began."""

    def __init__(self, workflow_type: str = "Own", **started: Any) -> None:
        self.items: list[Item] = []
        self.runs = 0
        self.began(0, workflow_type, workflowId="own-1", **started)

    def began(self, second: float, workflow_type: str = "Own", **attributes: Any) -> Story:
        self.runs += 1
        self.event_id = 0
        return self.entry(second, "WORKFLOW_EXECUTION_STARTED", workflowType={"name": workflow_type}, **attributes)

    def entry(self, second: float, event_type: str, **attributes: Any) -> Story:
        self.event_id += 1
        run_id = RUNS[self.runs - 1]
        offset = str(Offset(self.runs, self.event_id, run_id))
        self.items.append(
            HistoryEntry(
                timestamp=moment(second), run_id=run_id, offset=offset, event_id=self.event_id,
                event_type=event_type, attributes=attributes,
            )
        )  # fmt: skip
        return self

    def task(self, second: float, taken: float, done: float | None = None) -> Story:
        self.entry(second, "WORKFLOW_TASK_SCHEDULED", attempt=1)
        self.entry(taken, "WORKFLOW_TASK_STARTED")
        return self.entry(taken if done is None else done, "WORKFLOW_TASK_COMPLETED")

    def scheduled(self, second: float, activity_id: str = "1", activity_type: str = "sleep") -> int:
        """Returns the id of the entry."""
        named = {"activityId": activity_id, "activityType": {"name": activity_type}}
        self.entry(second, "ACTIVITY_TASK_SCHEDULED", **named, input={"seconds": 2})
        return self.event_id

    def attempt(self, second: float, event_id: int, attempt: int = 1, failure: dict[str, Any] | None = None) -> Story:
        more = {"lastFailure": failure} if failure else {}
        return self.entry(
            second, "ACTIVITY_TASK_STARTED", scheduledEventId=str(event_id), attempt=attempt, **more
        )  # fmt: skip

    def ended(self, second: float, event_id: int, how: str = "COMPLETED", **attributes: Any) -> Story:
        return self.entry(second, f"ACTIVITY_TASK_{how}", scheduledEventId=str(event_id), **attributes)

    def activity(self, second: float, taken: float, done: float, activity_id: str = "1") -> Story:
        event_id = self.scheduled(second, activity_id)
        return self.attempt(taken, event_id).ended(done, event_id, result={"ok": True})

    def pending(self, second: float, *activities: PendingActivity, task: float | None = None) -> Story:
        since = "" if task is None else moment(task)
        self.items.append(
            PendingWork(
                timestamp=moment(second), run_id=RUNS[self.runs - 1], activities=activities, task_scheduled=since,
                task_attempt=0 if task is None else 1,
            )
        )  # fmt: skip
        return self

    def fold(self) -> Timeline:
        timeline = Timeline()
        timeline.apply(*self.items)
        return timeline


def waits(
    attempt: int, scheduled: float, *, failed: float | None = None, error: str = "", activity_id: str = "1"
) -> PendingActivity:
    return PendingActivity(
        activity_id=activity_id, activity_type="sleep", attempt=attempt, running=False, scheduled=moment(scheduled),
        failed="" if failed is None else moment(failed), error=error,
    )  # fmt: skip


def runs(attempt: int, scheduled: float, started: float, *, failed: float | None = None) -> PendingActivity:
    pending = waits(attempt, scheduled, failed=failed, error="Hiccup: not yet" if attempt > 1 else "")
    return replace(pending, running=True, started=moment(started))


def second(ms: int | None) -> float | None:
    return None if ms is None else round(ms / 1_000 - START.timestamp(), 3)


def parts(bar: Bar) -> list[tuple[str, float | None, float | None, int]]:
    return [(part.phase, second(part.start), second(part.end), part.attempt) for part in bar.parts]


def only(timeline: Timeline, kind: str) -> Bar:
    (bar,) = [bar for bar in timeline.bars if bar.kind == kind]
    return bar


def gaps(timeline: Timeline) -> list[tuple[float | None, float | None]]:
    return [(second(bar.start), second(bar.end)) for bar in timeline.bars if bar.kind == "gap"]


def told(bar: Bar) -> tuple[str, str, str, float | None, float | None, str]:
    return bar.kind, bar.lane, bar.label, second(bar.start), second(bar.end), bar.state


# --- bars ------------------------------------------------------------------------------------------------------------


def test_an_activity_is_a_bar_with_the_time_that_it_was_queued_and_the_time_that_it_ran() -> None:
    timeline = Story().activity(1, 1.5, 4).fold()
    bar = only(timeline, "activity")
    assert told(bar) == ("activity", "sleep", "sleep", 1, 4, "completed")
    assert parts(bar) == [("queued", 1, 1.5, 1), ("running", 1.5, 4, 1)]
    assert (json.loads(bar.input), json.loads(bar.result), bar.error) == ({"seconds": 2}, {"ok": True}, "")


def test_the_workflow_itself_is_a_bar_and_its_end_ends_all_that_goes_on() -> None:
    story = Story("Own", input="you")
    story.scheduled(1)
    story.entry(1, "TIMER_STARTED", timerId="1", startToFireTimeout="90s")
    story.entry(3, "WORKFLOW_EXECUTION_FAILED", failure={"message": "boom", "cause": {"message": "the reason"}})
    timeline = story.fold()
    assert [(bar.kind, second(bar.end), bar.state) for bar in timeline.bars] == [
        ("workflow", 3, "failed"), ("activity", 3, "abandoned"), ("timer", 3, "abandoned"),
    ]  # fmt: skip
    workflow = timeline.bars[0]
    assert (workflow.label, workflow.input, workflow.error) == ("Own", "you", "boom; caused by the reason")
    summary = timeline.summary
    assert (summary.workflow_id, summary.workflow_type, summary.status) == ("own-1", "Own", "FAILED")
    assert (second(summary.started), second(summary.ended)) == (0, 3)


def test_what_history_tells_of_attempts_only_when_they_are_over_is_shown_as_earlier() -> None:
    story = Story()
    event_id = story.scheduled(1)
    story.attempt(5, event_id, 3, FAILURE).ended(6, event_id, "FAILED", failure=FAILURE)
    bar = only(story.fold(), "activity")
    assert parts(bar) == [("earlier", 1, 5, 2), ("running", 5, 6, 3)]
    assert [part.note for part in bar.parts] == ["Hiccup: not yet", ""]
    assert (bar.state, bar.attempt, bar.error) == ("failed", 3, "Hiccup: not yet")


def test_who_watches_live_sees_each_attempt_and_each_back_off() -> None:
    story = Story()
    event_id = story.scheduled(1)
    story.pending(1.5, runs(1, 1, 1.2))
    assert parts(only(story.fold(), "activity")) == [("queued", 1, 1.2, 1), ("running", 1.2, None, 1)]
    story.pending(3.1, waits(2, 5, failed=3, error="Hiccup: not yet"))
    waiting = only(story.fold(), "activity")
    assert parts(waiting) == [
        ("queued", 1, 1.2, 1), ("running", 1.2, 3, 1), ("backoff", 3, 5, 2), ("queued", 5, None, 2),
    ]  # fmt: skip
    assert (waiting.state, waiting.attempt) == ("retrying", 2)
    assert [part.note for part in waiting.parts] == ["", "Hiccup: not yet", "Hiccup: not yet", ""]
    story.pending(5.5, runs(2, 5, 5.2, failed=3))
    assert (only(story.fold(), "activity").state, parts(only(story.fold(), "activity"))[-2:]) == (
        "running", [("queued", 5, 5.2, 2), ("running", 5.2, None, 2)],
    )  # fmt: skip
    before = parts(only(story.fold(), "activity"))
    story.attempt(5.2, event_id, 2, FAILURE).ended(7, event_id)
    assert parts(only(story.fold(), "activity")) == [*before[:-1], ("running", 5.2, 7, 2)]


def test_an_attempt_that_timed_out_ends_when_that_was_noticed_as_the_server_does_not_say_when() -> None:
    story = Story()
    story.scheduled(1)
    story.pending(1.5, runs(1, 1, 1)).pending(4.1, waits(2, 4.5, error="activity Heartbeat timeout"))
    assert parts(only(story.fold(), "activity")) == [
        ("running", 1, 4.1, 1), ("backoff", 4.1, 4.5, 2), ("queued", 4.5, None, 2),
    ]  # fmt: skip


def test_attempts_that_nobody_saw_are_earlier_ones_also_for_who_watches_live() -> None:
    story = Story()
    event_id = story.scheduled(1)
    story.pending(1.5, runs(1, 1, 1)).pending(9, waits(4, 10, failed=8, error="Hiccup: not yet"))
    assert parts(only(story.fold(), "activity")) == [
        ("earlier", 1, 8, 3), ("backoff", 8, 10, 4), ("queued", 10, None, 4),
    ]  # fmt: skip
    story.attempt(20, event_id, 6, FAILURE).ended(21, event_id)
    assert parts(only(story.fold(), "activity")) == [
        ("earlier", 1, 8, 3), ("backoff", 8, 10, 4), ("earlier", 10, 20, 5), ("running", 20, 21, 6),
    ]  # fmt: skip


def test_an_activity_that_ends_before_its_next_attempt_keeps_what_was_seen() -> None:
    story = Story()
    event_id = story.scheduled(1)
    story.pending(3.1, waits(2, 9, failed=3)).ended(4, event_id, "CANCELED")
    bar = only(story.fold(), "activity")
    assert parts(bar) == [("earlier", 1, 3, 1), ("backoff", 3, 4, 2)]
    assert bar.state == "canceled"


def test_an_activity_that_is_retried_for_ever_keeps_its_newest_attempts() -> None:
    told_of = queued(0)
    for attempt in range(1, 500):
        told_of = advanced(told_of, attempt, started=attempt * 1_000)
        told_of = advanced(
            told_of, attempt + 1, started=None, scheduled=attempt * 1_000 + 900, failed=attempt * 1_000 + 500
        )  # fmt: skip
    assert len(told_of) <= MAX_PARTS
    assert (told_of[0].phase, told_of[0].start, told_of[-1].attempt) == ("earlier", 0, 500)
    assert all(one.end == other.start for one, other in pairwise(told_of))


def test_timers_child_workflows_nexus_operations_and_signals_to_others_are_bars() -> None:
    story = Story()
    story.entry(1, "TIMER_STARTED", timerId="7", startToFireTimeout="1.500s")
    child = {"workflowId": "c-1", "workflowType": {"name": "Child"}}
    story.entry(1, "START_CHILD_WORKFLOW_EXECUTION_INITIATED", **child, input="n")
    story.entry(1, "NEXUS_OPERATION_SCHEDULED", service="bank", operation="pay", input={"sum": 1})
    other = {"workflowExecution": {"workflowId": "x"}}
    story.entry(1, "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED", signalName="go", **other)
    story.entry(2, "CHILD_WORKFLOW_EXECUTION_STARTED", initiatedEventId="3")
    story.entry(2.5, "TIMER_FIRED", timerId="7", startedEventId="2")
    story.entry(3, "NEXUS_OPERATION_FAILED", scheduledEventId="4", failure={"message": "no money"})
    cause = "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND"
    story.entry(3, "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED", initiatedEventId="5", cause=cause)
    story.entry(4, "CHILD_WORKFLOW_EXECUTION_COMPLETED", initiatedEventId="3", result="done")
    bars = story.fold().bars[1:]
    assert [told(bar) for bar in bars] == [
        ("timer", "Timers", "Timer 1.5 s", 1, 2.5, "fired"),
        ("child", "Child Workflows", "Child c-1", 1, 4, "completed"),
        ("child", "Nexus Operations", "bank.pay", 1, 3, "failed"),
        ("signal", "Signals sent", "go to x", 1, 3, "failed"),
    ]
    assert parts(bars[1]) == [("queued", 1, 2, 1), ("running", 2, 4, 1)]
    assert [bar.error for bar in bars] == ["", "", "no money", "External workflow execution not found"]
    assert bars[1].result == "done"


def test_signals_updates_and_requests_to_cancel_are_marks() -> None:
    story = Story()
    story.entry(1, "WORKFLOW_EXECUTION_SIGNALED", signalName="pause", input={"elapsed": 1})
    story.entry(
        2,
        "WORKFLOW_EXECUTION_UPDATE_ACCEPTED",
        acceptedRequest={"meta": {"updateId": "u"}, "input": {"name": "add", "args": ["Ni!"]}},
    )
    story.entry(3, "WORKFLOW_EXECUTION_UPDATE_COMPLETED", acceptedEventId="3", outcome={"success": 4})
    story.entry(
        4, "WORKFLOW_EXECUTION_UPDATE_ACCEPTED", acceptedRequest={"meta": {"updateId": "v"}, "input": {"name": "add"}}
    )
    story.entry(4, "WORKFLOW_EXECUTION_UPDATE_COMPLETED", acceptedEventId="5", outcome={"failure": FAILURE})
    story.entry(5, "WORKFLOW_EXECUTION_CANCEL_REQUESTED", cause="enough")
    bars = story.fold().bars[1:]
    assert [told(bar) for bar in bars] == [
        ("signal", "Signals", "pause", 1, 1, "received"),
        ("update", "Updates", "add", 2, 3, "completed"),
        ("update", "Updates", "add", 4, 4, "failed"),
        ("signal", "Signals", "Cancel requested", 5, 5, "received"),
    ]
    assert [(bar.result, bar.error) for bar in bars[1:3]] == [("4", ""), ("", "Hiccup: not yet")]


def test_a_local_activity_is_a_bar_from_its_marker_and_other_markers_are_not_shown() -> None:
    begun = int((START + timedelta(seconds=1)).timestamp())
    data = {"activity_type": "look", "activity_id": "1", "attempt": 2,
            "original_schedule_time": {"seconds": begun, "nanos": 500_000_000}}  # fmt: skip
    story = Story().entry(3, "MARKER_RECORDED", markerName="core_local_activity", details={"data": data, "result": 1})
    story.entry(3, "MARKER_RECORDED", markerName="core_patch", details={"patch-data": {"id": "p"}})
    bar = only(story.fold(), "activity")
    assert (told(bar), bar.attempt, bar.result) == (("activity", "look (local)", "look", 1.5, 3, "completed"), 2, "1")


def test_workflow_tasks_are_shown_when_they_fail_and_not_otherwise() -> None:
    prefix = "WORKFLOW_TASK_FAILED_CAUSE_"
    story = Story().task(0, 0).task(1, 1)
    story.entry(2, "WORKFLOW_TASK_FAILED", cause=f"{prefix}NON_DETERMINISTIC_ERROR", failure={"message": "new code"})
    story.entry(2, "WORKFLOW_TASK_FAILED", cause=f"{prefix}UNHANDLED_COMMAND")
    (problem,) = story.fold().bars[1:]
    assert told(problem) == ("problem", "Workflow Tasks", "Non deterministic error", 2, 2, "failed")
    assert problem.error == "new code"


# --- runs ------------------------------------------------------------------------------------------------------------


def test_continue_as_new_is_a_seam_and_activity_ids_begin_again() -> None:
    story = Story().activity(1, 1, 2)
    story.entry(3, "WORKFLOW_EXECUTION_CONTINUED_AS_NEW", newExecutionRunId=RUNS[1])
    timeline = story.began(3, firstWorkflowTaskBackoff="0.950s").activity(5, 5, 6).fold()
    assert [(bar.kind, second(bar.start), second(bar.end), bar.state) for bar in timeline.bars] == [
        ("workflow", 0, 3, "continued"), ("activity", 1, 2, "completed"), ("seam", 3, 3, "continued"),
        ("workflow", 3, None, "running"), ("activity", 5, 6, "completed"),
    ]  # fmt: skip
    seam = only(timeline, "seam")
    assert (seam.label, seam.id, seam.result) == ("Continue-as-new", RUNS[1], f"Run ID {RUNS[1]}")
    assert (timeline.summary.status, second(timeline.summary.started)) == ("RUNNING", 0)


def test_a_run_that_fails_and_is_retried_is_not_the_end() -> None:
    story = Story().entry(3, "WORKFLOW_EXECUTION_FAILED", newExecutionRunId=RUNS[1], failure={"message": "boom"})
    timeline = story.began(3).fold()
    seam = only(timeline, "seam")
    assert (seam.label, seam.error, timeline.summary.status) == ("Next run: this one failed", "boom", "RUNNING")


# --- without a Worker ------------------------------------------------------------------------------------------------


def test_a_workflow_task_or_an_activity_that_nobody_takes_for_more_than_a_second_is_a_gap() -> None:
    assert gaps(Story().task(0, 0.9).task(2, 5).activity(6, 6.9, 7).activity(8, 10, 12).fold()) == [(2, 5), (8, 10)]


def test_a_workflow_task_whose_worker_died_is_a_gap_until_another_one_takes_it() -> None:
    story = Story().entry(1, "WORKFLOW_TASK_SCHEDULED", attempt=1).entry(1, "WORKFLOW_TASK_STARTED")
    story.entry(6, "WORKFLOW_TASK_TIMED_OUT", timeoutType="TIMEOUT_TYPE_START_TO_CLOSE")
    assert gaps(story.task(6, 9).fold()) == [(1, 9)]
    sticky = Story().entry(1, "WORKFLOW_TASK_SCHEDULED", attempt=1)
    sticky.entry(3, "WORKFLOW_TASK_TIMED_OUT", timeoutType="TIMEOUT_TYPE_SCHEDULE_TO_START")
    assert gaps(sticky.task(3, 3).fold()) == [(1, 3)]


def test_gaps_never_overlap_and_become_one_where_they_touch() -> None:
    story = Story()
    late = story.scheduled(1)
    story.task(4, 8).attempt(5, late).ended(20, late)
    assert gaps(story.fold()) == [(1, 8)]
    within = Story().task(1, 9).activity(2, 5, 6).fold()
    assert gaps(within) == [(1, 9)]
    bridge = Story()
    late = bridge.scheduled(2)
    bridge.task(1, 4).task(6, 9).attempt(8, late).ended(20, late)
    assert gaps(bridge.fold()) == [(1, 6), (6, 9)]


def test_the_pause_that_the_server_makes_before_a_continued_run_is_no_gap() -> None:
    story = Story(firstWorkflowTaskBackoff="3s").pending(2, task=0)
    assert gaps(story.fold()) == []
    assert gaps(story.pending(9, task=0).fold()) == [(3, None)]
    assert gaps(story.task(3, 9).fold()) == [(3, 9)]


def test_a_workflow_that_waits_for_nothing_has_no_gap() -> None:
    story = Story().task(0, 0).entry(1, "WORKFLOW_EXECUTION_SIGNALED", signalName="pause").task(1, 1)
    assert gaps(story.pending(60).task(3600, 3600).fold()) == []


def test_what_waits_live_is_an_open_gap_until_it_is_taken() -> None:
    story = Story().task(0, 0)
    event_id = story.scheduled(1)
    assert gaps(story.pending(1.8, waits(1, 1)).fold()) == []
    assert gaps(story.pending(3, waits(1, 1)).fold()) == [(1, None)]
    assert only(story.fold(), "gap").state == "waiting"
    assert gaps(story.pending(7, runs(1, 1, 6)).fold()) == [(1, 6)]
    assert gaps(story.attempt(6, event_id).ended(8, event_id).fold()) == [(1, 6)]
    assert only(story.fold(), "gap").state == "over"


def test_a_gap_is_open_as_long_as_anything_waits() -> None:
    story = Story()
    story.scheduled(2)
    story.entry(1, "WORKFLOW_TASK_SCHEDULED", attempt=1).pending(5, waits(1, 2), task=1)
    story.entry(6, "WORKFLOW_TASK_STARTED")
    assert gaps(story.fold()) == [(1, None)]
    assert gaps(story.pending(9, runs(1, 2, 8)).fold()) == [(1, 8)]


def test_a_gap_that_was_over_goes_on_when_its_task_waits_again() -> None:
    story = Story().entry(1, "WORKFLOW_TASK_SCHEDULED", attempt=1).pending(3, task=1)
    story.entry(6, "WORKFLOW_TASK_TIMED_OUT").entry(6, "WORKFLOW_TASK_SCHEDULED", attempt=1)
    assert gaps(story.fold()) == [(1, 6)]
    assert gaps(story.pending(8, task=6).fold()) == [(1, None)]
    assert gaps(story.entry(9, "WORKFLOW_TASK_STARTED").fold()) == [(1, 9)]


def test_a_later_attempt_may_be_a_little_late_before_that_is_a_gap() -> None:
    story = Story()
    story.scheduled(1)
    story.pending(1.1, runs(1, 1, 1)).pending(3, waits(2, 4, failed=3)).pending(5.5, waits(2, 4, failed=3))
    assert gaps(story.fold()) == []
    assert gaps(story.pending(7, waits(2, 4, failed=3)).fold()) == [(4, None)]


@pytest.mark.parametrize(
    ("how", "attributes", "expected"),
    [
        ("TIMED_OUT", {"failure": {"timeoutFailureInfo": {"timeoutType": "TIMEOUT_TYPE_SCHEDULE_TO_START"}}}, [(1, 9)]),
        ("CANCELED", {}, []),
    ],
    ids=["timed-out-in-the-queue", "canceled"],
)
def test_an_activity_that_history_never_saw_started_is_a_gap_only_where_that_is_certain(
    how: str, attributes: dict[str, Any], expected: list[tuple[float, float]]
) -> None:
    story = Story()
    event_id = story.scheduled(1)
    timeline = story.ended(9, event_id, how, **attributes).fold()
    assert gaps(timeline) == expected
    assert parts(only(timeline, "activity")) == [("queued" if expected else "earlier", 1, 9, 1)]


@pytest.mark.parametrize("attempt", [1, 2], ids=["written", "shown-early"])
def test_a_workflow_that_ends_before_a_worker_came_ends_with_a_gap(attempt: int) -> None:
    story = Story().entry(1, "WORKFLOW_TASK_SCHEDULED", attempt=attempt)
    if attempt == 2:  # which the server does not write, so that the next entry has its id
        story.event_id -= 1
    story.entry(5, "WORKFLOW_EXECUTION_TERMINATED", reason="enough")
    assert gaps(story.fold()) == ([(1, 5)] if attempt == 1 else [])


# --- the stream ------------------------------------------------------------------------------------------------------


def test_entries_that_were_shown_early_are_replaced_by_the_written_ones() -> None:
    story = Story().entry(1, "WORKFLOW_TASK_SCHEDULED", attempt=2).entry(1, "WORKFLOW_TASK_STARTED")
    story.event_id -= 2
    story.entry(4, "WORKFLOW_EXECUTION_SIGNALED", signalName="poke").entry(4, "WORKFLOW_TASK_SCHEDULED", attempt=1)
    timeline = story.fold()
    assert [bar.kind for bar in timeline.bars] == ["workflow", "signal"]
    assert timeline.last_fact.startswith(f"{1:016d}-{2:06d}")


def test_the_connection_comes_and_goes() -> None:
    story = Story()
    lost = e.Reconnecting(timestamp=moment(1), workflow_id="own-1", run_id="r", offset="", tick=True, error="away")
    found = e.Reconnected(timestamp=moment(2), workflow_id="own-1", run_id="r", offset="", tick=True, away=1.0)
    timeline = story.fold()
    timeline.apply(lost)
    assert not timeline.summary.connected
    timeline.apply(found)
    assert timeline.summary.connected


def test_the_newest_bars_and_those_that_went_on_are_kept() -> None:
    story = Story()
    event_id = story.scheduled(1)
    story.pending(5, waits(1, 1))
    for number in range(20):
        story.entry(6 + number, "WORKFLOW_EXECUTION_SIGNALED", signalName=f"s{number}")
    story.pending(30, runs(1, 1, 29)).attempt(29, event_id).ended(40, event_id).entry(
        41, "WORKFLOW_EXECUTION_COMPLETED"
    )
    timeline = Timeline(max_bars=5)
    changed = timeline.apply(*story.items)
    assert sorted(bar.label for bar in timeline.bars) == ["No Worker for sleep", "Own", "s18", "s19", "sleep"]
    assert all(bar.end is not None for bar in timeline.bars)
    assert [bar.number for bar in timeline.bars] == list(range(timeline.dropped, timeline.next_number))
    assert list(changed) == timeline.bars


@pytest.mark.parametrize("value", ["a\x1b[31mb\u202e" * 2_000, {"x": "\x00y" * 2_000}], ids=["text", "json"])
def test_texts_are_cut_and_made_harmless(value: Any) -> None:
    story = Story("Own\x1b[31m", input=value)
    bar = story.fold().bars[0]
    assert len(bar.input) == MAX_TEXT
    assert bar.input.endswith("...")
    assert not set("\x00\x1b\u202e") & set(bar.input + bar.label)


# --- any stream ------------------------------------------------------------------------------------------------------


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Whatever may happen to Activities and Workflow Tasks over one or more runs."""
    story, now, opened, attempts, due = Story(), 0.0, {}, {}, {}
    for step in range(draw(st.integers(0, 40))):
        now = round(now + draw(st.sampled_from([0, 0.001, 0.4, 1.5, 6])), 3)
        match draw(st.sampled_from(["task", "lost", "schedule", "retry", "run", "end", "signal", "look", "renew"])):
            case "task":
                taken = round(now + draw(st.sampled_from([0, 0.5, 3])), 3)
                story.task(now, taken)
                now = taken
            case "lost":
                story.entry(now, "WORKFLOW_TASK_SCHEDULED", attempt=1).entry(now + 5, "WORKFLOW_TASK_TIMED_OUT")
                now += 5
            case "schedule":
                activity_id = f"a{step}"
                opened[activity_id] = story.scheduled(now, activity_id)
                attempts[activity_id], due[activity_id] = 1, (now, None, None)
            case "retry" if opened:
                activity_id = draw(st.sampled_from(sorted(opened)))
                attempts[activity_id] += draw(st.integers(1, 2))
                due[activity_id] = (now + draw(st.sampled_from([0, 1, 4])), None, draw(st.sampled_from([now, None])))
            case "run" if opened:
                activity_id = draw(st.sampled_from(sorted(opened)))
                scheduled, _, failed = due[activity_id]
                due[activity_id] = (scheduled, max(now, scheduled), failed)
            case "end" if opened:
                activity_id = draw(st.sampled_from(sorted(opened)))
                event_id, (_, started, _) = opened.pop(activity_id), due[activity_id]
                if started is not None:
                    now = max(now, started)
                    story.attempt(started, event_id, attempts[activity_id])
                story.ended(now, event_id, draw(st.sampled_from(["COMPLETED", "CANCELED", "TIMED_OUT"])))
            case "signal":
                story.entry(now, "WORKFLOW_EXECUTION_SIGNALED", signalName="s")
            case "renew" if story.runs < len(RUNS):
                story.entry(now, "WORKFLOW_EXECUTION_CONTINUED_AS_NEW", newExecutionRunId="next").began(now)
                opened.clear()
        if draw(st.booleans()):
            pending = []
            for activity_id in sorted(opened):
                scheduled, started, failed = due[activity_id]
                taken = started is not None and started <= now
                pending.append(
                    PendingActivity(
                        activity_id=activity_id, activity_type="sleep", attempt=attempts[activity_id], running=taken,
                        scheduled=moment(scheduled), started=moment(started) if taken and started else "",
                        failed="" if failed is None else moment(failed), error="Hiccup",
                    )
                )  # fmt: skip
            story.pending(now, *pending, task=draw(st.sampled_from([None, max(0, now - 3)])))
    return story


@given(stories(), st.lists(st.integers(0, 200)))
def test_however_the_items_are_cut_the_bars_are_the_same_and_the_changes_tell_all_of_them(
    story: Story, cuts: list[int]
) -> None:
    timeline, shown = Timeline(), {}
    places = sorted({0, len(story.items), *(place for place in cuts if place < len(story.items))})
    for start, end in pairwise(places):
        shown.update((bar.number, bar) for bar in timeline.apply(*story.items[start:end]))
    whole = story.fold()
    assert timeline == whole
    assert [shown[number] for number in sorted(shown)] == whole.bars


@given(stories())
def test_parts_follow_one_another_within_their_bar_and_gaps_never_overlap(story: Story) -> None:
    timeline = Timeline()
    for item in story.items:
        timeline.apply(item)
        for bar in timeline.bars:
            assert bar.end is None or bar.start <= bar.end
            assert all(part.end is not None for part in bar.parts[:-1])
            assert all(one.end <= other.start for one, other in pairwise(bar.parts))
            assert not bar.parts or bar.parts[0].start >= bar.start
            assert not bar.parts or (bar.parts[-1].end is None) == (bar.end is None)
            assert bar.end is None or not bar.parts or bar.parts[-1].end <= bar.end
        found = sorted(gaps(timeline))
        assert all(one[1] is not None and one[1] <= other[0] for one, other in pairwise(found))
    timeline.apply(*story.entry(999, "WORKFLOW_EXECUTION_TERMINATED").items)
    assert all(bar.end is not None for bar in timeline.bars)


@given(stories())
def test_reading_the_history_again_from_the_beginning_of_a_run_changes_nothing(story: Story) -> None:
    timeline, before = story.fold(), story.fold()
    entries = [item for item in story.items if isinstance(item, HistoryEntry)]
    for run_id in dict.fromkeys(entry.run_id for entry in entries):
        first = next(place for place, entry in enumerate(entries) if entry.run_id == run_id)
        assert timeline.apply(*entries[first:]) == ()
        assert timeline == before


@pytest.mark.parametrize("name", HISTORIES)
async def test_recorded_histories_read_without_a_problem(name: str) -> None:
    recorded = Parse(HISTORIES[name], ServerHistory())
    reader = RunReader("monty-1", str(UUID(int=7)), DataConverter.default)
    entries = [await reader.entry(entry) for entry in recorded.events]
    timeline = Timeline()
    timeline.apply(*entries)
    bars = [bar for bar in timeline.bars if bar.kind == "activity"]
    assert len(bars) == sum(entry.event_type == "ACTIVITY_TASK_SCHEDULED" for entry in entries)
    assert all(bar.end is not None and bar.lane for bar in timeline.bars)
    assert not [bar for bar in timeline.bars if bar.kind == "problem"]
    assert timeline.summary.status == "RUNNING" or timeline.summary.status in entries[-1].event_type
    assert all(len(line) <= 100 for line in timeline.to_text().splitlines())


# --- how it looks without a widget -----------------------------------------------------------------------------------


def test_without_an_entry_it_says_what_to_do() -> None:
    assert str(Timeline()).startswith("No timeline yet\nStart a Monty workflow")
    assert Timeline()._repr_html_().startswith("<p><strong>No timeline yet</strong><br>Start")


def test_the_static_form_is_a_chart_in_characters() -> None:
    story = Story().task(0, 0)
    event_id = story.scheduled(0)
    story.pending(1, runs(1, 0, 0)).pending(9.1, waits(2, 18, failed=9)).pending(28, runs(2, 18, 27, failed=9))
    story.entry(30, "WORKFLOW_EXECUTION_SIGNALED", signalName="<b>")
    story.attempt(27, event_id, 2, FAILURE).ended(36, event_id, "FAILED", failure=FAILURE)
    timeline = story.entry(36, "WORKFLOW_EXECUTION_COMPLETED").fold()
    chart = [line[9:69].rstrip() for line in timeline.to_text().splitlines()[5:9]]
    assert chart == [
        "Own                     ████████████████████████████████████",
        "sleep                   █████████·········░░░░░░░░░█████████",
        "No Worker                                 xxxxxxxxx",
        "<b>                                                   ◆",
    ]
    assert timeline.to_text().splitlines()[-1].endswith("sleep: Hiccup: not yet")
    assert "&lt;b&gt;" in timeline.to_html()
    assert "... 2 earlier bars not shown" in timeline.to_text(last=2)
    assert "... 2 earlier bars not shown" in timeline.to_html(last=2)


def test_what_goes_on_reaches_to_the_last_moment_that_is_known() -> None:
    story = Story().pending(36, task=18)
    lines = story.fold().to_text().splitlines()
    assert lines[5].split()[-3:] == ["36", "s", "running"]
    assert lines[6][33:69] == " " * 18 + "x" * 18


@pytest.mark.parametrize(
    ("ms", "words"),
    [(0, "0 ms"), (350, "350 ms"), (1_000, "1 s"), (4_240, "4.2 s"), (125_000, "2 min 5 s"), (3_720_000, "1 h 2 min"),
     (86_400_000 * 3, "3 d")],
    ids=str,
)  # fmt: skip
def test_durations_read_well(ms: int, words: str) -> None:
    assert duration(ms) == words


def test_failures_read_as_everywhere() -> None:
    assert failure_text({"message": "Activity task failed", "cause": FAILURE}) == "Hiccup: not yet"
    assert failure_text({"timeoutFailureInfo": {}}) == "timeoutFailureInfo"
    assert failure_text(None) == ""


# --- the real thing --------------------------------------------------------------------------------------------------


async def test_a_killed_worker_shows_as_a_second_attempt(demo: Session) -> None:
    run = await demo.start_monty(min_sleep=3, max_sleep=3, progress_interval=0.1, iterations=1)
    timeline, killed = Timeline(), False
    async for item in run.items():
        timeline.apply(item)
        running = [bar for bar in timeline.bars if bar.kind == "activity" and bar.state == "running"]
        if running and not killed:
            os.kill(demo.info.worker.pid, signal.SIGKILL)
            killed = True
    bar = only(timeline, "activity")
    assert (bar.state, timeline.summary.status) == ("completed", "COMPLETED")
    assert bar.attempt >= 2
    attempts = [part.attempt for part in bar.parts if part.phase == "running"]
    assert (attempts[0], attempts[-1]) == (1, bar.attempt)
    assert attempts == sorted(set(attempts))
    assert "Heartbeat timeout" in next(part.note for part in bar.parts if part.phase == "running")


def test_a_bar_that_goes_on_outlives_newer_ones_that_are_over():
    story = Story()
    for number in range(20):
        story.entry(1 + number, "WORKFLOW_EXECUTION_SIGNALED", signalName=f"s{number}")
    timeline = Timeline(max_bars=5)
    timeline.apply(*story.items)
    assert sorted(bar.kind for bar in timeline.bars) == ["signal"] * 4 + ["workflow"]
    assert [bar.label for bar in timeline.bars if bar.kind == "signal"] == ["s16", "s17", "s18", "s19"]
    story.entry(30, "WORKFLOW_EXECUTION_COMPLETED")
    timeline.apply(story.items[-1])
    assert second(only(timeline, "workflow").end) == 30
    numbers = [bar.number for bar in timeline.bars]
    assert numbers == list(range(timeline.dropped, timeline.next_number))


def test_many_bars_that_all_go_on_are_bounded_too():
    story = Story()
    for number in range(12):
        story.entry(1, "TIMER_STARTED", timerId=str(number), startToFireTimeout="60s")
    timeline = Timeline(max_bars=5)
    timeline.apply(*story.items)
    assert len(timeline.bars) == 5
    for number in range(12):
        story.entry(2, "TIMER_FIRED", timerId=str(number), startedEventId=str(number + 2))
    timeline.apply(*story.items[-12:])
    assert {second(bar.end) for bar in timeline.bars if bar.kind == "timer"} == {2}


def test_a_worker_that_was_lost_in_the_middle_of_an_attempt_is_a_gap_from_its_last_heartbeat():
    story = Story()
    event_id = story.task(0, 0).scheduled(0)
    given = story.items[-1].attributes
    given["heartbeatTimeout"] = "2s"
    story.pending(1, runs(1, 0, 0)).pending(6, waits(2, 6.2, failed=6, error="activity Heartbeat timeout"))
    timeline = story.fold()
    assert gaps(timeline) == [(4, 6)]
    timeline.apply(story.pending(7, runs(2, 6.2, 6.9)).items[-1])
    assert gaps(timeline) == [(4, 6.9)]
    assert timeline.apply(*story.ended(9, event_id).items[-1:])
    assert gaps(timeline) == [(4, 6.9)]


def test_a_task_that_was_kept_for_a_lost_worker_says_so():
    story = Story().entry(0, "WORKFLOW_TASK_SCHEDULED", attempt=1).entry(2, "WORKFLOW_TASK_TIMED_OUT")
    assert only(story.fold(), "gap").label == "No Worker for Workflow Task, kept for the lost one"

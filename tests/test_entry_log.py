"""The fold of the Event History: the same entries, the same rows, also when a run is fed again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter

from durable_demo import events as e
from durable_demo.entries import HistoryEntry, PendingWork
from durable_demo.entry_log import MAX_ENTRY_BYTES, NOT_KEPT, EntryLog, LogEntry, event_name
from durable_demo.errors import InvalidInput
from durable_demo.history import RunReader

HISTORIES = Path(__file__).parent / "histories"


def entry(event_id: int, event_type: str, *, run: int = 1, **attributes: Any) -> HistoryEntry:
    return HistoryEntry(
        timestamp=f"2025-01-19T10:30:{event_id % 60:02}.000Z",
        run_id=f"run-{run}",
        offset=f"{run:02}-{event_id:06}",
        event_id=event_id,
        event_type=event_type,
        attributes=attributes,
    )


def signal(event_id: int, name: str = "pause", **options: Any) -> HistoryEntry:
    return entry(event_id, "WORKFLOW_EXECUTION_SIGNALED", signalName=name, **options)


def task(event_id: int, step: str, **options: Any) -> HistoryEntry:
    return entry(event_id, f"WORKFLOW_TASK_{step}", **options)


STARTED = entry(1, "WORKFLOW_EXECUTION_STARTED", workflowType={"name": "OrderWorkflow"}, attempt=1)
EVENT = e.WorkflowStarted(
    timestamp="2025-01-19T10:30:01.000Z", workflow_id="order-1", run_id="run-1", offset="01-000001", workflow_type="O"
)
CHAIN = [
    STARTED,
    EVENT,
    task(2, "SCHEDULED", attempt=1),
    task(3, "STARTED", scheduledEventId="2", identity="4711@host"),
    task(4, "COMPLETED", scheduledEventId="2", startedEventId="3", identity="4711@host"),
    entry(5, "ACTIVITY_TASK_SCHEDULED", activityId="1", activityType={"name": "charge"}),
    entry(6, "ACTIVITY_TASK_STARTED", scheduledEventId="5", attempt=2, identity="9@h", lastFailure={"message": "no"}),
    entry(7, "ACTIVITY_TASK_COMPLETED", scheduledEventId="5", startedEventId="6", result=[1, {"a": "b"}]),
    entry(8, "WORKFLOW_EXECUTION_CONTINUED_AS_NEW", newExecutionRunId="run-2", workflowType={"name": "OrderWorkflow"}),
    entry(1, "WORKFLOW_EXECUTION_STARTED", run=2, workflowType={"name": "OrderWorkflow"}),
    entry(2, "TIMER_STARTED", run=2, timerId="1", startToFireTimeout="5s"),
    entry(3, "TIMER_FIRED", run=2, timerId="1", startedEventId="2"),
    entry(4, "WORKFLOW_EXECUTION_COMPLETED", run=2, result=None),
]  # fmt: skip


def folded(*items: Any, **options: Any) -> EntryLog:
    log = EntryLog(**options)
    log.apply(*items)
    return log


def notes(log: EntryLog) -> list[str]:
    return [row.note for row in log.entries]


# --- rows ------------------------------------------------------------------------------------------------------------


def test_each_entry_is_a_row_and_nothing_else_is() -> None:
    log = EntryLog()
    waits = PendingWork(timestamp="2025-01-19T10:30:02.000Z", run_id="run-1")
    changed = log.apply(STARTED, EVENT, waits, signal(2))
    assert [(row.number, row.event_id, row.run, row.event_type, row.note) for row in changed] == [
        (0, 1, 1, "WORKFLOW_EXECUTION_STARTED", "OrderWorkflow"),
        (1, 2, 1, "WORKFLOW_EXECUTION_SIGNALED", "pause"),
    ]
    assert changed == tuple(log.entries)
    assert log.last_fact == "01-000002"


def test_the_summary_tells_of_the_whole_chain() -> None:
    log = EntryLog()
    told = []
    for item in CHAIN:
        log.apply(item)
        told.append((log.summary.workflow_id, log.summary.run_id, log.summary.status, log.summary.runs))
    assert told[0] == ("", "run-1", "RUNNING", 1)
    assert told[8] == ("order-1", "run-1", "RUNNING", 1)
    assert told[9] == ("order-1", "run-2", "RUNNING", 2)
    assert told[-1] == ("order-1", "run-2", "COMPLETED", 2)
    assert log.summary.entries == len(log.entries) == 12
    assert [row.run for row in log.entries] == [1] * 8 + [2] * 4


@pytest.mark.parametrize("end", ["COMPLETED", "FAILED", "CANCELED", "TERMINATED", "TIMED_OUT"])
def test_a_closing_entry_gives_the_status_unless_another_run_follows(end: str) -> None:
    closing = f"WORKFLOW_EXECUTION_{end}"
    assert folded(STARTED, entry(2, closing)).summary.status == end
    assert folded(STARTED, entry(2, closing, newExecutionRunId="run-2")).summary.status == "RUNNING"


def test_however_they_are_batched_the_rows_are_the_same() -> None:
    one_by_one = EntryLog()
    for item in CHAIN:
        one_by_one.apply(item)
    assert one_by_one.entries == folded(*CHAIN).entries


@pytest.mark.parametrize("again", [CHAIN, CHAIN[:9], CHAIN[9:]], ids=["all", "first-run", "last-run"])
def test_feeding_a_run_again_changes_nothing(again: list[Any]) -> None:
    log = folded(*CHAIN)
    before, summary = log.entries, log.summary
    assert log.apply(*again) == ()
    assert (log.entries, log.summary) == (before, summary)


# --- speculative Workflow Tasks --------------------------------------------------------------------------------------


def test_an_entry_with_an_offset_that_was_seen_takes_its_row() -> None:
    log = folded(STARTED, task(2, "SCHEDULED"))
    (row,) = log.apply(signal(2))
    assert (row.number, row.event_type, row.note) == (1, "WORKFLOW_EXECUTION_SIGNALED", "pause")
    assert log.entries[1] == row
    assert json.loads(log.json(1))["signalName"] == "pause"
    assert log.summary.entries == 2


def test_what_stood_behind_a_replaced_entry_says_that_it_was_never_written_until_it_comes_again() -> None:
    started = task(3, "STARTED", scheduledEventId="2")
    log = folded(STARTED, task(2, "SCHEDULED"), started)
    changed = log.apply(entry(2, "WORKFLOW_EXECUTION_TERMINATED", reason="enough"))
    assert [(row.number, row.note) for row in changed] == [(1, "enough"), (2, NOT_KEPT)]
    assert log.summary.status == "TERMINATED"
    (row,) = log.apply(started)
    assert (row.number, row.note) == (2, "of #2")


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_old_entries_go_and_do_not_come_back_when_they_are_fed_again() -> None:
    entries = [signal(number) for number in range(1, 21)]
    log = folded(*entries, max_entries=5)
    assert [row.event_id for row in log.entries] == [16, 17, 18, 19, 20]
    assert (log.dropped, log.entries[0].number) == (15, 15)
    assert log.apply(*entries) == ()
    assert [row.number for row in log.apply(*(signal(number) for number in range(21, 31)))] == [25, 26, 27, 28, 29]


def test_the_json_is_bounded_over_all_entries() -> None:
    log = folded(*(signal(number, "x" * 1_000) for number in range(1, 51)), max_bytes=20_000)
    assert 10 < len(log.entries) < 20
    assert sum(len(row.body) for row in log.entries) <= 20_000
    assert log.entries[-1].event_id == 50


@pytest.mark.parametrize(
    "value",
    ["é" * 3 * MAX_ENTRY_BYTES, [1] * MAX_ENTRY_BYTES, "\u202e" * MAX_ENTRY_BYTES],
    ids=["text", "list", "marks"],
)
def test_a_very_long_entry_is_cut_and_says_so(value: Any) -> None:
    log = folded(STARTED, signal(2, input=value))
    text = log.json(1)
    assert len(log.entries[1].body) < MAX_ENTRY_BYTES + 100
    assert len(text.encode()) < MAX_ENTRY_BYTES + 100
    assert text.startswith('{\n  "eventId": 2,\n')
    assert text.endswith(" bytes in all")


def test_pretty_json_that_is_longer_than_compact_json_is_cut_too() -> None:
    text = folded(signal(1, input=[1] * 90_000)).json(0)
    assert len(text) < MAX_ENTRY_BYTES + 100
    assert text.endswith(" bytes in all")


# --- JSON ------------------------------------------------------------------------------------------------------------


def test_the_json_begins_with_what_identifies_an_entry() -> None:
    log = folded(*CHAIN)
    found = json.loads(log.json(6))
    assert list(found)[:4] == ["eventId", "eventTime", "eventType", "runId"]
    assert found == json.loads(CHAIN[7].to_json())
    assert log.json(6) == CHAIN[7].to_json()


def test_json_shows_what_could_hide_and_stays_json() -> None:
    hostile = "\x00\x7f\x9b\u202e\ud800 é 🐍 <b>\n"
    text = folded(signal(1, input=hostile)).json(0)
    assert json.loads(text)["input"] == hostile
    assert "é 🐍 <b>" in text
    assert not any(char in text for char in "\x00\x7f\x9b\u202e\ud800")


@pytest.mark.parametrize("number", [-1, 0, 14, 20, 10**9])
def test_json_of_a_row_that_is_not_kept_is_refused_in_words(number: int) -> None:
    log = folded(*(signal(number) for number in range(1, 21)), max_entries=5)
    with pytest.raises(InvalidInput, match="not kept any more"):
        log.json(number)


# --- notes -----------------------------------------------------------------------------------------------------------


def test_notes_name_things_and_the_event_that_they_belong_to() -> None:
    assert notes(folded(*CHAIN)) == [
        "OrderWorkflow",
        "",
        "of #2, Worker 4711@host",
        "of #2",
        "charge",
        "charge, of #5, attempt 2, Worker 9@h: the attempt before: no",
        "charge, of #5",
        "OrderWorkflow",
        "OrderWorkflow",
        "timer 1, 5s",
        "timer 1, of #2",
        "",
    ]


@pytest.mark.parametrize(
    ("event_type", "attributes", "note"),
    [
        ("WORKFLOW_EXECUTION_STARTED", {"workflowType": {"name": "W"}, "attempt": 3}, "W, attempt 3"),
        ("WORKFLOW_EXECUTION_SIGNALED", {"signalName": "go\n<b>\x1b"}, "go\\n<b>\\x1b"),
        (
            "WORKFLOW_EXECUTION_FAILED",
            {"failure": {"message": "Activity task failed", "cause": {"message": "boom"}}},
            "Activity task failed; caused by boom",
        ),
        ("WORKFLOW_TASK_FAILED", {"scheduledEventId": "4", "cause": "WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND"},
         "of #4: UNHANDLED_COMMAND"),
        ("WORKFLOW_TASK_TIMED_OUT", {"scheduledEventId": "4", "timeoutType": "TIMEOUT_TYPE_START_TO_CLOSE"},
         "of #4: START_TO_CLOSE"),
        ("WORKFLOW_EXECUTION_TERMINATED", {"reason": "enough"}, "enough"),
        ("WORKFLOW_EXECUTION_CANCEL_REQUESTED", {"cause": "by hand"}, "by hand"),
        ("WORKFLOW_EXECUTION_UPDATE_ACCEPTED", {"acceptedRequest": {"input": {"name": "add_quotes"}}}, "add_quotes"),
        ("WORKFLOW_EXECUTION_UPDATE_COMPLETED", {"acceptedEventId": "9", "outcome": {"failure": {"message": "no"}}},
         "of #9: no"),
        ("UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", {"searchAttributes": {"indexedFields": {"A": 1, "B": 2}}}, "A, B"),
        ("SOMETHING_NEW", {"whatever": {"it": "says"}}, ""),
        ("WORKFLOW_EXECUTION_SIGNALED", {"signalName": None, "failure": ["odd"], "attempt": "x"}, "attempt x"),
    ],
    ids=["later-attempt", "hostile", "failure", "task-failed", "task-timed-out", "terminated", "cancel", "update",
         "update-failed", "search-attributes", "unknown", "odd"],
)  # fmt: skip
def test_a_note_tells_what_the_entry_is_about(event_type: str, attributes: dict[str, Any], note: str) -> None:
    assert notes(folded(entry(1, event_type, **attributes))) == [note]


def test_later_entries_are_named_after_the_one_that_they_refer_to() -> None:
    child = {"workflowType": {"name": "Parcel"}, "workflowId": "p-1"}
    log = folded(
        entry(1, "START_CHILD_WORKFLOW_EXECUTION_INITIATED", **child),
        entry(2, "CHILD_WORKFLOW_EXECUTION_STARTED", initiatedEventId="1", workflowType={"name": "Parcel"}),
        entry(3, "WORKFLOW_EXECUTION_UPDATE_ACCEPTED", acceptedRequest={"input": {"name": "add"}}),
        entry(4, "WORKFLOW_EXECUTION_UPDATE_COMPLETED", acceptedEventId="3", outcome={"success": None}),
        entry(5, "ACTIVITY_TASK_FAILED", scheduledEventId="1", run=2),
    )
    assert notes(log) == ["Parcel", "Parcel, of #1", "add", "add, of #3", "of #1"]


def test_a_long_note_is_cut() -> None:
    (row,) = folded(entry(1, "WORKFLOW_EXECUTION_FAILED", failure={"message": "x" * 5_000})).entries
    assert len(row.note) < 400


@pytest.mark.parametrize(
    "recorded", [pytest.param(path.read_text("utf-8"), id=path.stem) for path in sorted(HISTORIES.glob("*/*.json"))]
)
async def test_recorded_histories_give_a_row_for_each_entry_and_the_same_ones_again(recorded: str) -> None:
    history = WorkflowHistory.from_json("w", recorded)
    reader = RunReader("w", "run", DataConverter.default)
    items = [await reader.entry(item) for item in history.events]
    log = folded(*items)
    assert [row.event_id for row in log.entries] == list(range(1, len(items) + 1))
    assert {row.note for row in log.entries if row.event_type.startswith("ACTIVITY_TASK_")}.isdisjoint({"", NOT_KEPT})
    assert json.loads(log.json(0)) == json.loads(items[0].to_json())
    assert log.apply(*items) == ()


# --- how it looks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event_type", "name"),
    [
        ("ACTIVITY_TASK_SCHEDULED", "ActivityTaskScheduled"),
        ("WORKFLOW_EXECUTION_CONTINUED_AS_NEW", "WorkflowExecutionContinuedAsNew"),
    ],
)
def test_types_are_written_as_in_the_web_ui(event_type: str, name: str) -> None:
    assert event_name(event_type) == name


def test_the_text_is_a_table_of_the_newest() -> None:
    text = folded(*CHAIN).to_text(last=2)
    lines = [line.split() for line in text.splitlines()]
    assert lines[:5] == [
        ["Workflow:", "order-1"], ["Run", "ID:", "run-2"], ["Status:", "COMPLETED"], ["Runs:", "2"],
        ["Event", "History:"],
    ]  # fmt: skip
    assert lines[5][:3] == ["...", "10", "earlier"]
    assert lines[6] == ["#", "Run", "Time", "Event", "Note"]
    assert [line[:2] + line[3:] for line in lines[7:]] == [
        ["3", "2", "TimerFired", "timer", "1,", "of", "#2"],
        ["4", "2", "WorkflowExecutionCompleted"],
    ]


def test_one_run_needs_no_column_for_it() -> None:
    text = str(folded(*CHAIN[:4]))
    assert "Run " not in text.splitlines()[4]
    assert "Runs" not in text


def test_the_static_form_is_escaped_text() -> None:
    page = folded(EVENT, signal(1, "<img src=x>\n")).to_html()
    assert "&lt;img src=x&gt;\\n" in page
    assert "<img" not in page
    assert "<pre><code>" in page
    assert "<code>order-1</code>" in page


def test_an_empty_log_says_what_to_do() -> None:
    assert str(EntryLog()) == "No event history yet\nStart a workflow, or choose one in the tab Runs"
    assert "<strong>No event history yet</strong>" in EntryLog()._repr_html_()


def test_a_row_does_not_print_its_json() -> None:
    assert "body" not in repr(LogEntry(0, "o", 1, 1, "t", "X", "n", b"{}"))

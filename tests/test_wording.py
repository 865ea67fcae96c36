"""What is pending at the server, in words; the words of events are tested with the trace."""

from __future__ import annotations

from durable_demo.entries import PendingActivity, PendingWork
from durable_demo.wording import clock, pending_words

NOW = "2025-01-19T10:30:05.000Z"
BEFORE = "2025-01-19T10:30:02.000Z"
LATER = "2025-01-19T10:30:09.000Z"


def activity(**facts: object) -> PendingActivity:
    return PendingActivity(**{"activity_id": "1", "activity_type": "quote", "attempt": 1, "running": False} | facts)  # type: ignore[arg-type]


def words(*activities: PendingActivity, **task: object) -> list[str]:
    return pending_words(PendingWork(timestamp=NOW, run_id="run", activities=activities, **task))  # type: ignore[arg-type]


def test_nothing_pending_is_no_line() -> None:
    assert words() == []


def test_a_workflow_task_says_whether_a_worker_has_it() -> None:
    assert words(task_attempt=7) == ["Workflow Task, attempt 7: a Worker has it"]
    (waits,) = words(task_attempt=1, task_scheduled=BEFORE)
    assert waits == f"Workflow Task, attempt 1: waits for a Worker since {clock(BEFORE)}"


def test_an_activity_says_what_it_waits_for_and_why_it_was_tried_before() -> None:
    told = words(
        activity(running=True, started=BEFORE, worker="durable-demo-worker-7"),
        activity(scheduled=BEFORE),
        activity(scheduled=LATER, attempt=2, error="no room\nWorkflow Task: forged"),
    )
    assert told == [
        f"Activity quote, attempt 1: runs on durable-demo-worker-7 since {clock(BEFORE)}",
        f"Activity quote, attempt 1: waits for a Worker since {clock(BEFORE)}",
        f"Activity quote, attempt 2: waits for {clock(LATER)}; the attempt before: no room\\nWorkflow Task: forged",
    ]

"""What the entries of an Event History mean for a timeline: which bar an entry begins, starts or ends, in which words.

Source of the entries and their attributes: `temporal/api/history/v1/message.proto`, in protobuf's JSON form.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from durable_demo.entries import HistoryEntry
from durable_demo.timeline_bars import Bar, duration, queued
from durable_demo.wording import one_line, printable

MAX_TEXT = 2_000
"""Characters of an input, a result, an error."""
MAX_NOTE = 200
"""Characters of a label, and of why one attempt failed."""

STARTS = {
    "ACTIVITY_TASK_STARTED": "scheduledEventId",
    "CHILD_WORKFLOW_EXECUTION_STARTED": "initiatedEventId",
    "NEXUS_OPERATION_STARTED": "scheduledEventId",
}
"""Entries that tell that something runs, and where they name the entry that it began with."""

ENDS = {
    "ACTIVITY_TASK_COMPLETED": ("scheduledEventId", "completed"),
    "ACTIVITY_TASK_FAILED": ("scheduledEventId", "failed"),
    "ACTIVITY_TASK_TIMED_OUT": ("scheduledEventId", "timed_out"),
    "ACTIVITY_TASK_CANCELED": ("scheduledEventId", "canceled"),
    "TIMER_FIRED": ("startedEventId", "fired"),
    "TIMER_CANCELED": ("startedEventId", "canceled"),
    "WORKFLOW_EXECUTION_UPDATE_COMPLETED": ("acceptedEventId", "completed"),
    "START_CHILD_WORKFLOW_EXECUTION_FAILED": ("initiatedEventId", "failed"),
    "CHILD_WORKFLOW_EXECUTION_COMPLETED": ("initiatedEventId", "completed"),
    "CHILD_WORKFLOW_EXECUTION_FAILED": ("initiatedEventId", "failed"),
    "CHILD_WORKFLOW_EXECUTION_TIMED_OUT": ("initiatedEventId", "timed_out"),
    "CHILD_WORKFLOW_EXECUTION_CANCELED": ("initiatedEventId", "canceled"),
    "CHILD_WORKFLOW_EXECUTION_TERMINATED": ("initiatedEventId", "terminated"),
    "NEXUS_OPERATION_COMPLETED": ("scheduledEventId", "completed"),
    "NEXUS_OPERATION_FAILED": ("scheduledEventId", "failed"),
    "NEXUS_OPERATION_TIMED_OUT": ("scheduledEventId", "timed_out"),
    "NEXUS_OPERATION_CANCELED": ("scheduledEventId", "canceled"),
    "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED": ("initiatedEventId", "delivered"),
    "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED": ("initiatedEventId", "failed"),
    "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED": ("initiatedEventId", "delivered"),
    "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED": ("initiatedEventId", "failed"),
}
"""Entries that end something: where they name the entry that it began with, and the state that it ends in."""

RUN_ENDS = {
    "WORKFLOW_EXECUTION_COMPLETED": "completed",
    "WORKFLOW_EXECUTION_FAILED": "failed",
    "WORKFLOW_EXECUTION_TIMED_OUT": "timed_out",
    "WORKFLOW_EXECUTION_CANCELED": "canceled",
    "WORKFLOW_EXECUTION_TERMINATED": "terminated",
    "WORKFLOW_EXECUTION_CONTINUED_AS_NEW": "continued",
}


def opened(entry: HistoryEntry, number: int) -> Bar | None:
    """The bar or the mark that begins with an entry; None if there is none."""
    given, at = entry.attributes, milliseconds(entry.timestamp)
    nth = str(entry.event_id)
    match entry.event_type:
        case "ACTIVITY_TASK_SCHEDULED":
            name, id_ = label(value(given, "activityType", "name")), label(given.get("activityId"))
            told = text(given.get("input"))
            return Bar(number, id_, "activity", name, name, at, None, "queued", parts=queued(at), input=told)
        case "TIMER_STARTED":
            name = f"Timer {duration(span(given.get('startToFireTimeout')))}"
            return Bar(number, label(given.get("timerId")), "timer", "Timers", name, at, None, "running")
        case "START_CHILD_WORKFLOW_EXECUTION_INITIATED":
            id_, told = label(given.get("workflowId")), text(given.get("input"))
            name = f"{label(value(given, 'workflowType', 'name'))} {id_}"
            return Bar(number, id_, "child", "Child Workflows", name, at, None, "queued", parts=queued(at), input=told)
        case "NEXUS_OPERATION_SCHEDULED":
            name = label(f"{given.get('service')}.{given.get('operation')}")
            told = text(given.get("input"))
            return Bar(number, nth, "child", "Nexus Operations", name, at, None, "queued", parts=queued(at), input=told)
        case "WORKFLOW_EXECUTION_SIGNALED":
            name, told = label(given.get("signalName")), text(given.get("input"))
            return Bar(number, nth, "signal", "Signals", name, at, at, "received", input=told)
        case "WORKFLOW_EXECUTION_CANCEL_REQUESTED":
            told = text(given.get("cause"))
            return Bar(number, nth, "signal", "Signals", "Cancel requested", at, at, "received", input=told)
        case "WORKFLOW_EXECUTION_UPDATE_ACCEPTED":
            id_ = label(value(given, "acceptedRequest", "meta", "updateId"))
            name = label(value(given, "acceptedRequest", "input", "name"))
            told = text(value(given, "acceptedRequest", "input", "args"))
            return Bar(number, id_, "update", "Updates", name, at, None, "accepted", input=told)
        case "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED":
            name = label(f"{given.get('signalName')} to {value(given, 'workflowExecution', 'workflowId')}")
            told = text(given.get("input"))
            return Bar(number, nth, "signal", "Signals sent", name, at, None, "running", input=told)
        case "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED":
            name = label(f"Cancel {value(given, 'workflowExecution', 'workflowId')}")
            return Bar(number, nth, "signal", "Signals sent", name, at, None, "running")
        case "WORKFLOW_TASK_FAILED":
            cause = words(given.get("cause"))
            error = failure_text(given.get("failure")) or cause
            return Bar(number, nth, "problem", "Workflow Tasks", cause, at, at, "failed", error=error)
        case "MARKER_RECORDED" if given.get("markerName") == "core_local_activity":
            return _local_activity(number, given, at)
    return None


def _local_activity(number: int, given: dict[str, Any], at: int) -> Bar:
    """A Local Activity stands in the history when it is over, as a marker of the SDK's core.

    Its end is the marker's: `complete_time` there is by the workflow's clock, which stands still meanwhile.
    """
    data = value(given, "details", "data")
    name = label(value(data, "activity_type"))
    scheduled = value(data, "original_schedule_time", "seconds"), value(data, "original_schedule_time", "nanos")
    start = scheduled[0] * 1_000 + scheduled[1] // 1_000_000 if all(isinstance(n, int) for n in scheduled) else at
    attempt = value(data, "attempt")
    error = failure_text(given.get("failure"))
    return Bar(
        number, label(value(data, "activity_id")), "activity", f"{name} (local)", name, min(start, at), at,
        "failed" if error else "completed", attempt=attempt if isinstance(attempt, int) else 1,
        result=text(value(given, "details", "result")), error=error,
    )  # fmt: skip


# --- attributes ------------------------------------------------------------------------------------------------------


def value(attributes: Any, *path: str) -> Any:
    """What stands at a path in an entry's attributes; None if nothing does."""
    for name in path:
        attributes = attributes.get(name) if isinstance(attributes, dict) else None
    return attributes


def reference(entry: HistoryEntry, name: str) -> int:
    """The id of another entry of the run; 0 for none."""
    return int(str(entry.attributes.get(name, 0)))


def milliseconds(timestamp: str) -> int:
    """A timestamp of ours as Unix milliseconds."""
    return round(datetime.fromisoformat(timestamp).timestamp() * 1_000)


def span(told: Any) -> int:
    """A protobuf duration such as ``0.200s`` in milliseconds."""
    return round(float(str(told or "0s").removesuffix("s")) * 1_000)


def text(told: Any) -> str:
    """A value for people to read: text as it is, all else as JSON on several lines; empty for None."""
    if told is None:
        return ""
    return cut(told if isinstance(told, str) else json.dumps(told, indent=2, ensure_ascii=False), MAX_TEXT)


def label(told: Any) -> str:
    """A name on one line; empty for None."""
    return cut(one_line(str(told or "")[:MAX_NOTE]), MAX_NOTE)


def cut(told: str, limit: int) -> str:
    """Text without control characters, at most so many characters of it."""
    shown = printable(told[: limit + 1])
    return shown if len(shown) <= limit else f"{shown[: limit - 3]}..."


def words(cause: Any) -> str:
    """The name of a cause in words, without the prefix that names its kind."""
    return re.sub(r"^.*_FAILED_CAUSE_", "", str(cause or "")).replace("_", " ").capitalize()


def failure_text(failure: Any) -> str:
    """A failure in protobuf's JSON form, with its causes on one line; empty for none. As `history.failure_text`."""
    parts: list[str] = []
    while isinstance(failure, dict) and failure:
        kind = str(value(failure, "applicationFailureInfo", "type") or "")
        said = str(failure.get("message") or next((name for name in failure if name.endswith("FailureInfo")), ""))
        parts.append(" ".join((f"{kind}: {said}" if kind and kind not in said else said).split()))
        failure = failure.get("cause")
    shown = parts[1:] if len(parts) > 1 and parts[0].lower() == "activity task failed" else parts
    return cut("; caused by ".join(shown), MAX_TEXT)

"""The event vocabulary: what a subscriber of any workflow gets, one frozen dataclass per event.

There are two kinds. A *fact* is read from the workflow's Event History: it comes exactly once, in order, with an
`offset` of its own, to every subscriber, early or late. A *tick* (`tick=True`) is read from a running Activity's
heartbeat or from the connection: the latest wins, some may be skipped, and it carries the offset of the fact that it
follows. So resuming after any event, fact or tick, repeats no fact.

This docstring and the classes below are the one place where events are documented; README's table is checked
against them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

Json = Any
"""A decoded payload: None, bool, int, float, str, list or dict of these."""


def format_timestamp(moment: datetime) -> str:
    """UTC, ISO 8601, milliseconds, `Z`: ``2025-01-19T10:30:45.123Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, kw_only=True)
class Event:
    """What every event has.

    Attributes:
        timestamp: When it happened: UTC, ISO 8601, milliseconds, `Z`. By the server's clock, but for events about the
            subscription itself.
        workflow_id: Workflow ID; the same over all runs of a chain.
        run_id: Run ID of the run it belongs to.
        offset: Opaque token, ordered as text over all runs of the chain; pass it as `after` to resume behind it.
        tick: Whether this is a tick, not a fact.
    """

    event: ClassVar[str]

    timestamp: str
    workflow_id: str
    run_id: str
    offset: str
    tick: bool = False

    def to_dict(self) -> dict[str, Json]:
        """Fields by name, `event` first; made of JSON values only."""
        return {"event": self.event, **dataclasses.asdict(self)}

    def to_json(self) -> str:
        """`to_dict()` as one line of strict JSON (no NaN)."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, default=str)

    def common(self) -> dict[str, Any]:
        """The fields that every event has: for another event about the same moment."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(Event)}

    @property
    def moment(self) -> datetime:
        """`timestamp` as an aware datetime."""
        return datetime.fromisoformat(self.timestamp)


@dataclass(frozen=True, kw_only=True)
class Counted(Event):
    """An event that carries the counters of a workflow that counts; None where the workflow has no such counter.

    Attributes:
        iteration_count: Iterations begun so far, over all runs.
        total_quotes_delivered: Quotes delivered so far, over all runs.
        total_elapsed: Seconds since the first run of the chain began.
    """

    iteration_count: int | None = None
    total_quotes_delivered: int | None = None
    total_elapsed: float | None = None


# --- the workflow as a whole -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class WorkflowStarted(Event):
    """The workflow began. Read from its history, so never before the start succeeded; once per chain of runs.

    Attributes:
        workflow_type: Name of the workflow type.
        input: Its arguments: the single one, or a list of several, or None.
    """

    event: ClassVar[str] = "workflow_started"
    workflow_type: str
    input: Json = None


@dataclass(frozen=True, kw_only=True)
class WorkflowContinuedAsNew(Counted):
    """The workflow goes on in a new run with the same Workflow ID (also after a retry or a cron schedule).

    Attributes:
        new_run_id: Run ID of the run that follows.
        result: What this run returned, if a cron schedule goes on.
        error: Why this run failed, if it is retried or a cron schedule goes on; else empty.
    """

    event: ClassVar[str] = "workflow_continued_as_new"
    new_run_id: str
    result: Json = None
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class WorkflowEnded(Counted):
    """Base of the five ways in which a workflow ends; always the last event.

    Attributes:
        status: `COMPLETED`, `FAILED`, `CANCELED`, `TERMINATED` or `TIMED_OUT`.
    """

    status: str


@dataclass(frozen=True, kw_only=True)
class WorkflowCompleted(WorkflowEnded):
    """The workflow returned.

    Attributes:
        result: What it returned.
    """

    event: ClassVar[str] = "workflow_completed"
    status: str = "COMPLETED"
    result: Json = None


@dataclass(frozen=True, kw_only=True)
class WorkflowFailed(WorkflowEnded):
    """The workflow failed.

    Attributes:
        error: Why: the failure's message with its causes.
    """

    event: ClassVar[str] = "workflow_failed"
    status: str = "FAILED"
    error: str


@dataclass(frozen=True, kw_only=True)
class WorkflowCanceled(WorkflowEnded):
    """The workflow was canceled and has cleaned up."""

    event: ClassVar[str] = "workflow_canceled"
    status: str = "CANCELED"


@dataclass(frozen=True, kw_only=True)
class WorkflowTerminated(WorkflowEnded):
    """Somebody terminated the workflow: it had no chance to clean up.

    Attributes:
        error: The reason that was given, if any.
    """

    event: ClassVar[str] = "workflow_terminated"
    status: str = "TERMINATED"
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class WorkflowTimedOut(WorkflowEnded):
    """The workflow's execution or run timeout passed.

    Attributes:
        error: Which timeout, as far as the history says.
    """

    event: ClassVar[str] = "workflow_timed_out"
    status: str = "TIMED_OUT"
    error: str = "the workflow's timeout passed"


@dataclass(frozen=True, kw_only=True)
class WorkflowTaskFailed(Event):
    """The workflow's code could not go on (an exception, changed code, a missing type); Temporal tries again.

    The server keeps the first of several failures in a row: why later attempts fail stands in the Worker's log only.

    Attributes:
        cause: Temporal's name of the cause, such as `NON_DETERMINISTIC_ERROR`.
        error: The failure's message.
        problem: What is wrong, in words; empty if `error` says it all.
        remedy: What to do next.
    """

    event: ClassVar[str] = "workflow_task_failed"
    cause: str
    error: str
    problem: str = ""
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class WorkflowTaskRecovered(Event):
    """The workflow's code goes on: the first Workflow Task that was completed after one or more had failed.

    Attributes:
        stuck: Seconds since the first of these failures.
    """

    event: ClassVar[str] = "workflow_task_recovered"
    stuck: float


@dataclass(frozen=True, kw_only=True)
class WorkflowReset(Counted):
    """Somebody reset the workflow: it goes on in a new run from an earlier Workflow Task of another run.

    Attributes:
        base_run_id: Run ID of the run that it goes back to.
        base_event_id: Id, in that run, of the entry at which the new one parts from it.
        back_to: Facts with a greater offset than this one, up to here, are undone.
        reason: The reason that was given.
        status: RUNNING, PAUSED or STOPPING: what it is again.
    """

    event: ClassVar[str] = "workflow_reset"
    base_run_id: str
    base_event_id: int
    back_to: str
    reason: str = ""
    status: str = "RUNNING"


# --- a workflow that reports progress (Monty does) -------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ProgressUpdate(Counted):
    """How far the work in hand is. A fact when a sleep begins, is interrupted or delivers its quote; else a tick.

    Attributes:
        progress: Percent of the work in hand, 0 to 100.
        status: What is going on, such as `iteration_2_sleeping`, `iteration_2_paused` or `iteration_2_delivered`.
        current_quote: The quote, on the one event that delivers it; None on all others.
        current_sleep_duration: Seconds that this iteration sleeps.
        iteration_elapsed: Seconds that this iteration has slept.
        should_exit: Whether a stop was requested.
        attempt: Attempt of the Activity, from 1.
    """

    event: ClassVar[str] = "progress_update"
    progress: float
    status: str
    current_quote: str | None = None
    current_sleep_duration: float | None = None
    iteration_elapsed: float | None = None
    should_exit: bool = False
    attempt: int = 1


@dataclass(frozen=True, kw_only=True)
class WorkflowPaused(Counted):
    """A pause was accepted: the sleep and its progress freeze within one heartbeat."""

    event: ClassVar[str] = "workflow_paused"


@dataclass(frozen=True, kw_only=True)
class WorkflowResumed(Counted):
    """A resume was accepted: the sleep goes on from where it was frozen."""

    event: ClassVar[str] = "workflow_resumed"


@dataclass(frozen=True, kw_only=True)
class StopRequested(Counted):
    """A graceful stop was accepted: the running sleep ends within one heartbeat."""

    event: ClassVar[str] = "stop_requested"


@dataclass(frozen=True, kw_only=True)
class CancelRequested(Counted):
    """A cancellation was accepted by the server; the workflow cleans up next."""

    event: ClassVar[str] = "cancel_requested"


@dataclass(frozen=True, kw_only=True)
class QuotesAdded(Counted):
    """People's own quotes were accepted.

    Attributes:
        quotes: The new ones.
    """

    event: ClassVar[str] = "quotes_added"
    quotes: tuple[str, ...]


# --- a conversation (ChatWorkflow) -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class AgentIntroduced(Event):
    """The agent of a conversation says what it works with, before it is asked anything.

    Attributes:
        model: Name of its language model.
        weather: Where its weather comes from.
        notice: What the reader must know, such as a key that is missing; empty if all is well.
    """

    event: ClassVar[str] = "agent_introduced"
    model: str
    weather: str = ""
    notice: str = ""


@dataclass(frozen=True, kw_only=True)
class MessageEvent(Event):
    """Base of what happens to one message of a person.

    Attributes:
        message_id: Its id, made by the sender; unique within the conversation.
    """

    message_id: str


@dataclass(frozen=True, kw_only=True)
class MessageReceived(MessageEvent):
    """A message was taken into the conversation, and will be answered; once, however often it was sent.

    Attributes:
        text: The message.
        retry_of: Id of the message that it repeats; empty if it is a new one.
    """

    event: ClassVar[str] = "message_received"
    text: str
    retry_of: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelAsked(MessageEvent):
    """The model was asked what to say or do next.

    Attributes:
        step: Number of the request for this message, from 1.
    """

    event: ClassVar[str] = "model_asked"
    step: int


@dataclass(frozen=True, kw_only=True)
class TextUpdate(MessageEvent):
    """What the model has written so far. Always a tick; a further attempt begins its text anew.

    Attributes:
        step: Number of the request for this message.
        text: All of the text so far.
        attempt: Attempt of the Activity, from 1.
    """

    event: ClassVar[str] = "text_update"
    step: int
    text: str
    attempt: int = 1


@dataclass(frozen=True, kw_only=True)
class ModelAnswered(MessageEvent):
    """The model said something, or asked for tools.

    Attributes:
        step: Number of the request for this message.
        text: The answer; together with `tools` a line for the meantime.
        tools: Names of the tools that it asked for.
        model: Name of the model.
        weather: Where the agent's weather comes from now.
        notice: What the reader must know about the agent now; empty if all is well.
        attempt: The attempt that succeeded, from 1.
    """

    event: ClassVar[str] = "model_answered"
    step: int
    text: str
    tools: tuple[str, ...] = ()
    model: str = ""
    weather: str = ""
    notice: str = ""
    attempt: int = 1


@dataclass(frozen=True, kw_only=True)
class ToolEvent(MessageEvent):
    """Base of what happens to a call of a tool.

    Attributes:
        call_id: Its id, unique within the message.
        tool: Name of the tool.
    """

    call_id: str
    tool: str


@dataclass(frozen=True, kw_only=True)
class ToolCalled(ToolEvent):
    """A tool was called.

    Attributes:
        arguments: Its arguments by name.
    """

    event: ClassVar[str] = "tool_called"
    arguments: Json = None


@dataclass(frozen=True, kw_only=True)
class ToolAnswered(ToolEvent):
    """A tool has answered, or has failed for good.

    Attributes:
        result: What it returned; None if it failed.
        error: Why it failed; empty if it did not.
        attempt: The last attempt, from 1.
    """

    event: ClassVar[str] = "tool_answered"
    result: Json = None
    error: str = ""
    attempt: int = 1


@dataclass(frozen=True, kw_only=True)
class MessageAnswered(MessageEvent):
    """A message has its answer.

    Attributes:
        text: The answer.
        model: Name of the model that gave it.
    """

    event: ClassVar[str] = "message_answered"
    text: str
    model: str = ""


@dataclass(frozen=True, kw_only=True)
class MessageStopped(MessageEvent):
    """The answer to a message was stopped by a person.

    Attributes:
        text: What had been written by then.
    """

    event: ClassVar[str] = "message_stopped"
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class MessageFailed(MessageEvent):
    """A message could not be answered; the next one may be.

    Attributes:
        error: Why, as it was told in the conversation.
    """

    event: ClassVar[str] = "message_failed"
    error: str


# --- parts of any workflow -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ActivityEvent(Event):
    """Base of what happens to an Activity.

    Attributes:
        activity_id: Its id within the run.
        activity_type: Its name.
    """

    activity_id: str
    activity_type: str


@dataclass(frozen=True, kw_only=True)
class ActivityScheduled(ActivityEvent):
    """The workflow asked for an Activity.

    Attributes:
        input: Its arguments: the single one, or a list of several, or None.
    """

    event: ClassVar[str] = "activity_scheduled"
    input: Json = None


@dataclass(frozen=True, kw_only=True)
class ActivityHeartbeat(ActivityEvent):
    """What a running Activity last reported. Always a tick.

    Attributes:
        attempt: Attempt that reported it, from 1.
        details: What it reported: the single detail, or a list of several.
    """

    event: ClassVar[str] = "activity_heartbeat"
    attempt: int
    details: Json = None


@dataclass(frozen=True, kw_only=True)
class ActivityRetry(ActivityEvent):
    """An attempt failed and a further one was made. A tick while it happens, a fact once the Activity has ended.

    History keeps the last attempt only: of several retries each is a tick, and the last is the fact.

    Attributes:
        attempt: The attempt that follows the failure, from 2.
        error: Why the attempt before failed.
        progress: Percent from which it goes on, if the attempt before had reported any.
        iteration_count: Iteration that it belongs to, if the workflow counts any.
        message_id: Message that it belongs to, if the workflow is a conversation.
        remedy: What to do next, where no further attempt can succeed as things are; else empty.
    """

    event: ClassVar[str] = "activity_retry"
    attempt: int
    error: str
    progress: float | None = None
    iteration_count: int | None = None
    message_id: str | None = None
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class ActivityCompleted(ActivityEvent):
    """An Activity returned.

    Attributes:
        result: What it returned.
        attempt: The attempt that did, from 1.
    """

    event: ClassVar[str] = "activity_completed"
    result: Json = None
    attempt: int = 1


@dataclass(frozen=True, kw_only=True)
class ActivityFailed(ActivityEvent):
    """An Activity failed for good.

    Attributes:
        error: Why.
        attempt: The last attempt, from 1.
    """

    event: ClassVar[str] = "activity_failed"
    error: str
    attempt: int = 1


@dataclass(frozen=True, kw_only=True)
class ActivityTimedOut(ActivityEvent):
    """An Activity timed out for good.

    Attributes:
        error: Which timeout, and its cause.
        attempt: The last attempt, from 1.
        details: What its last heartbeat reported, if anything.
    """

    event: ClassVar[str] = "activity_timed_out"
    error: str
    attempt: int = 1
    details: Json = None


@dataclass(frozen=True, kw_only=True)
class ActivityCanceled(ActivityEvent):
    """An Activity was canceled.

    Attributes:
        details: What it reported at its end, if anything.
    """

    event: ClassVar[str] = "activity_canceled"
    details: Json = None


@dataclass(frozen=True, kw_only=True)
class SignalReceived(Event):
    """A Signal reached the workflow.

    Attributes:
        name: Name of the Signal.
        input: Its arguments: the single one, or a list of several, or None.
    """

    event: ClassVar[str] = "signal_received"
    name: str
    input: Json = None


@dataclass(frozen=True, kw_only=True)
class UpdateAccepted(Event):
    """An Update passed its validator (a refused one leaves no trace in the history).

    Attributes:
        update_id: Id of the Update.
        name: Name of the Update.
        input: Its arguments: the single one, or a list of several, or None.
    """

    event: ClassVar[str] = "update_accepted"
    update_id: str
    name: str
    input: Json = None


@dataclass(frozen=True, kw_only=True)
class UpdateCompleted(Event):
    """An Update ended.

    Attributes:
        update_id: Id of the Update.
        result: What it returned; None if it failed.
        error: Why it failed; empty if it did not.
    """

    event: ClassVar[str] = "update_completed"
    update_id: str
    result: Json = None
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class TimerStarted(Event):
    """The workflow sleeps.

    Attributes:
        timer_id: Its id within the run.
        duration: Seconds.
    """

    event: ClassVar[str] = "timer_started"
    timer_id: str
    duration: float


@dataclass(frozen=True, kw_only=True)
class TimerFired(Event):
    """A timer ended.

    Attributes:
        timer_id: Its id within the run.
    """

    event: ClassVar[str] = "timer_fired"
    timer_id: str


@dataclass(frozen=True, kw_only=True)
class TimerCanceled(Event):
    """The workflow canceled a timer.

    Attributes:
        timer_id: Its id within the run.
    """

    event: ClassVar[str] = "timer_canceled"
    timer_id: str


@dataclass(frozen=True, kw_only=True)
class ChildWorkflow(Event):
    """Something happened to a child workflow.

    Attributes:
        state: `initiated`, `start_failed`, `started`, `completed`, `failed`, `canceled`, `timed_out` or `terminated`.
        child_workflow_id: Its Workflow ID.
        child_workflow_type: Its type.
        result: What it returned, when it completed.
        error: Why it did not.
    """

    event: ClassVar[str] = "child_workflow"
    state: str
    child_workflow_id: str
    child_workflow_type: str
    result: Json = None
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class HistoryRecord(Event):
    """Any other entry of the Event History (markers, search attributes, Nexus ...).

    Attributes:
        event_type: Temporal's name, such as `MARKER_RECORDED`.
        attributes: Its attributes in protobuf's JSON form.
    """

    event: ClassVar[str] = "history_record"
    event_type: str
    attributes: Json = None


# --- the subscription itself -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Gap(Event):
    """Facts that cannot be had any more: the server's retention has removed the run, or the workflow was deleted.

    Always a tick, since it has no place of its own in the history; never skipped.

    Attributes:
        reason: What is missing and why.
    """

    event: ClassVar[str] = "gap"
    reason: str


@dataclass(frozen=True, kw_only=True)
class WaitingForWorker(Event):
    """No Worker takes a Workflow Task or an Activity that has its time. Always a tick; some may be skipped.

    Attributes:
        what: What waits: `Workflow Task`, or the Activity.
        task_queue: The Task Queue that it waits in.
        since: When it was handed out: UTC, ISO 8601, milliseconds, `Z`, by the server's clock.
        problem: What is wrong, in words.
        error: Why that may be.
        remedy: What to do next.
    """

    event: ClassVar[str] = "waiting_for_worker"
    what: str
    task_queue: str
    since: str
    problem: str
    error: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class WorkerFound(Event):
    """What has waited for a Worker waits no more. Always a tick.

    Attributes:
        waited: Seconds for which it has waited.
    """

    event: ClassVar[str] = "worker_found"
    waited: float


@dataclass(frozen=True, kw_only=True)
class Reconnecting(Event):
    """The server does not answer; the subscription tries again by itself. Always a tick.

    Attributes:
        error: What the last try said.
    """

    event: ClassVar[str] = "reconnecting"
    error: str


@dataclass(frozen=True, kw_only=True)
class Reconnected(Event):
    """The server answers again; the facts that happened meanwhile follow. Always a tick.

    Attributes:
        away: Seconds for which it did not answer.
    """

    event: ClassVar[str] = "reconnected"
    away: float


@dataclass(frozen=True, kw_only=True)
class Error(Event):
    """The subscription itself ended in an error. Always a tick, always the last event.

    Attributes:
        error: What, why and what to do.
    """

    event: ClassVar[str] = "error"
    error: str


def _all_events(base: type[Event]) -> list[type[Event]]:
    found = [base] if "event" in vars(base) else []
    for child in base.__subclasses__():
        found += _all_events(child)
    return found


EVENTS: Mapping[str, type[Event]] = {cls.event: cls for cls in _all_events(Event)}
"""Every event by its name."""

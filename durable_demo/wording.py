"""The words of the trace: what each event reads like, and how texts, times and durations are written for people."""

from __future__ import annotations

import json
import unicodedata
from datetime import datetime
from functools import singledispatch
from typing import Literal

from durable_demo import events as e
from durable_demo.diagnosis import TASK
from durable_demo.entries import PendingWork
from durable_demo.faults import Faults

Kind = Literal["life", "sleep", "progress", "quote", "control", "retry", "problem", "end", "detail"]
"""What a line is about, for its looks: never the only carrier of a meaning."""
AWAY = "Server not reachable, reconnecting..."
"""While the server does not answer, wherever that is told."""


@singledispatch
def line_text(event: e.Event) -> str | None:
    """The words of an event in the trace; None if it gives no line. Unknown events are shown as JSON."""
    return json.dumps({k: v for k, v in event.to_dict().items() if k not in _COMMON}, ensure_ascii=False, default=str)


_COMMON = {"timestamp", "workflow_id", "run_id", "offset", "tick"}


@line_text.register
def _(event: e.WorkflowStarted) -> str:
    return f"Workflow started: {event.workflow_id}"


@line_text.register
def _(event: e.WorkflowContinuedAsNew) -> str | None:
    if event.error:
        return f"Run failed, a new one follows: {event.error}"
    if event.result is not None:
        return f"Run completed, a new one follows: {compact(event.result)}"
    return None  # the same workflow to everybody who watches


@line_text.register
def _(event: e.WorkflowCompleted) -> str:
    if event.iteration_count is None:
        return f"Workflow completed: {compact(event.result)}"
    iterations = plural(event.iteration_count, "iteration")
    return f"Workflow completed after {iterations} and {plural(event.total_quotes_delivered or 0, 'quote')}"


@line_text.register
def _(event: e.WorkflowFailed) -> str:
    return f"Workflow failed: {event.error}"


@line_text.register
def _(event: e.WorkflowCanceled) -> str:
    return "Workflow canceled"


@line_text.register
def _(event: e.WorkflowTerminated) -> str:
    return "Workflow terminated" + (f": {event.error}" if event.error else "")


@line_text.register
def _(event: e.WorkflowTimedOut) -> str:
    return f"Workflow timed out: {event.error}"


@line_text.register
def _(event: e.WorkflowTaskFailed) -> str:
    said = f"{event.problem}: {event.error}" if event.problem else f"({event.cause}) {event.error}"
    onward = f". Next: {event.remedy}" if event.remedy else ""
    return f"Workflow code cannot go on, Temporal tries again. {said}{onward}"


@line_text.register
def _(event: e.WorkflowTaskRecovered) -> str:
    return f"Workflow code goes on, after {seconds(event.stuck)}"


@line_text.register
def _(event: e.WorkflowReset) -> str:
    reason = f": {event.reason}" if event.reason else ""
    return f"Workflow reset to before event {event.base_event_id}, what came after it is undone{reason}"


@line_text.register
def _(event: e.ProgressUpdate) -> str | None:
    who = f"Iteration {event.iteration_count}" if event.iteration_count is not None else event.status
    if event.current_quote is not None:
        return f'{who}: "{event.current_quote}"'
    if event.tick:
        return f"{who}: Progress {event.progress:.0f}%"
    if event.status.endswith("_sleeping"):
        if event.progress > 0:
            return f"{who}: Activity sleeping on from {event.progress:.0f}%..."
        return f"{who}: Activity sleeping for {seconds(event.current_sleep_duration or 0)}..."
    if event.status.endswith("_delivered"):
        return None
    return f"{who}: {event.status.rpartition('_')[2].capitalize()} at {event.progress:.0f}%"


@line_text.register
def _(event: e.WorkflowPaused) -> str:
    return "Pause requested"


@line_text.register
def _(event: e.WorkflowResumed) -> str:
    return "Resumed"


@line_text.register
def _(event: e.StopRequested) -> str:
    return "Stop requested"


@line_text.register
def _(event: e.CancelRequested) -> str:
    return "Cancel requested"


@line_text.register
def _(event: e.QuotesAdded) -> str:
    return f"{plural(len(event.quotes), 'quote')} added: " + ", ".join(f'"{quote}"' for quote in event.quotes)


@line_text.register
def _(event: e.AgentIntroduced) -> str:
    return f"Agent: {event.model}, weather: {event.weather}" + (f". {event.notice}" if event.notice else "")


@line_text.register
def _(event: e.MessageReceived) -> str:
    return f"User: {event.text}" + (" (once more)" if event.retry_of else "")


@line_text.register
def _(event: e.ModelAsked) -> str:
    return f"Asking the model (step {event.step})..."


@line_text.register
def _(event: e.TextUpdate) -> str:
    return f"AI: {event.text}..."


@line_text.register
def _(event: e.ModelAnswered) -> str | None:
    # What the model says at last is told by the message's own event.
    return f"AI: {event.text}" if event.tools else None


@line_text.register
def _(event: e.ToolCalled) -> str:
    return f"Tool {event.tool} called: {compact(event.arguments)}"


@line_text.register
def _(event: e.ToolAnswered) -> str:
    return f"Tool {event.tool} " + (f"failed: {event.error}" if event.error else f"answered: {compact(event.result)}")


@line_text.register
def _(event: e.MessageAnswered) -> str:
    return f"AI: {event.text}"


@line_text.register
def _(event: e.MessageStopped) -> str:
    return f"AI (stopped): {event.text}"


@line_text.register
def _(event: e.MessageFailed) -> str:
    return f"AI (failed): {event.error}"


@line_text.register
def _(event: e.ActivityScheduled) -> str:
    return f"Activity {event.activity_type} scheduled" + (
        f": {compact(event.input)}" if event.input is not None else ""
    )


@line_text.register
def _(event: e.ActivityHeartbeat) -> str:
    return f"Activity {event.activity_type}: {compact(event.details)}"


@line_text.register
def _(event: e.ActivityRetry) -> str:
    who = f"Activity {event.activity_type}" if event.iteration_count is None else f"Iteration {event.iteration_count}"
    onward = "" if event.progress is None else f", goes on from {event.progress:.0f}%"
    remedy = f". Next: {event.remedy}" if event.remedy else ""
    return f"{who}: attempt {event.attempt}{onward} (the one before: {event.error}){remedy}"


@line_text.register
def _(event: e.ActivityCompleted) -> str:
    return f"Activity {event.activity_type} completed: {compact(event.result)}"


@line_text.register
def _(event: e.ActivityFailed) -> str:
    return f"Activity {event.activity_type} failed after {plural(event.attempt, 'attempt')}: {event.error}"


@line_text.register
def _(event: e.ActivityTimedOut) -> str:
    return f"Activity {event.activity_type} timed out after {plural(event.attempt, 'attempt')}: {event.error}"


@line_text.register
def _(event: e.ActivityCanceled) -> str:
    return f"Activity {event.activity_type} canceled"


@line_text.register
def _(event: e.SignalReceived) -> str:
    return f"Signal {event.name}" + (f": {compact(event.input)}" if event.input is not None else "")


@line_text.register
def _(event: e.UpdateAccepted) -> str:
    return f"Update {event.name} accepted" + (f": {compact(event.input)}" if event.input is not None else "")


@line_text.register
def _(event: e.UpdateCompleted) -> str:
    return f"Update {event.update_id} " + (
        f"failed: {event.error}" if event.error else f"completed: {compact(event.result)}"
    )


@line_text.register
def _(event: e.TimerStarted) -> str:
    return f"Timer {event.timer_id} started: {seconds(event.duration)}"


@line_text.register
def _(event: e.TimerFired) -> str:
    return f"Timer {event.timer_id} fired"


@line_text.register
def _(event: e.TimerCanceled) -> str:
    return f"Timer {event.timer_id} canceled"


@line_text.register
def _(event: e.ChildWorkflow) -> str:
    tail = event.error or ("" if event.result is None else compact(event.result))
    return f"Child workflow {event.child_workflow_id} {event.state.replace('_', ' ')}" + (f": {tail}" if tail else "")


@line_text.register
def _(event: e.Gap) -> str:
    return f"Gap: {event.reason}"


@line_text.register
def _(event: e.WaitingForWorker) -> str:
    return f"{event.problem}. Next: {event.remedy}"


@line_text.register
def _(event: e.WorkerFound) -> str:
    return f"A Worker is there again, after {seconds(event.waited)}"


@line_text.register
def _(event: e.Reconnecting) -> str:
    return f"{AWAY} ({event.error})"


@line_text.register
def _(event: e.Reconnected) -> str:
    return f"Reconnected: the server was away for {seconds(event.away)}"


@line_text.register
def _(event: e.Error) -> str:
    return f"Error: {event.error}"


def line_kind(event: e.Event) -> Kind:
    match event:
        case e.WorkflowStarted():
            return "life"
        case e.WorkflowCompleted():
            return "end"
        case e.WorkflowEnded() | e.WorkflowTaskFailed() | e.Gap() | e.Error() | e.Reconnecting():
            return "problem"
        case e.WaitingForWorker():
            return "problem"
        case e.WorkflowTaskRecovered() | e.WorkerFound():
            return "life"
        case e.WorkflowReset():
            return "control"
        case e.ActivityFailed() | e.ActivityTimedOut():
            return "problem"
        case e.ProgressUpdate(current_quote=str()):
            return "quote"
        case e.ProgressUpdate(tick=True) | e.ActivityHeartbeat() | e.TextUpdate():
            return "progress"
        case e.MessageReceived() | e.AgentIntroduced():
            return "life"
        case e.MessageAnswered():
            return "quote"
        case e.MessageStopped():
            return "control"
        case e.MessageFailed():
            return "problem"
        case e.ToolAnswered() if event.error:
            return "problem"
        case e.ProgressUpdate():
            return "sleep"
        case e.ActivityRetry():
            return "retry"
        case e.WorkflowPaused() | e.WorkflowResumed() | e.StopRequested() | e.CancelRequested() | e.QuotesAdded():
            return "control"
        case e.Reconnected():
            return "life"
    return "detail"


def line_key(event: e.Event) -> str:
    """Lines with the same key replace one another; empty for a line of its own."""
    match event:
        case e.ActivityRetry():
            return f"retry {event.run_id} {event.activity_id} {event.attempt}"
        case e.ActivityHeartbeat():
            return f"heartbeat {event.run_id} {event.activity_id} {event.attempt}"
        case e.TextUpdate():
            return f"text {event.message_id} {event.step}"
        case e.WaitingForWorker():
            return f"waiting {event.since}"
        case e.Reconnecting() | e.Reconnected():
            return "connection"
    return ""


_HARMLESS = frozenset("\n\xad\u061c\u200c\u200d\u200e\u200f\u2060") | {chr(tag) for tag in range(0xE0020, 0xE0080)}
"""Invisible, but part of ordinary text: joiners of letters and emoji, marks of direction, the tags of flags."""


def printable(text: str) -> str:
    """Text with control characters made visible, so that nothing from a workflow can garble or hide a line.

    Spaces of all kinds and the marks that ordinary text of some languages needs stay as they are; what turns the
    direction of all that follows does not.
    """
    return "".join(
        char
        if char.isprintable() or char in _HARMLESS or unicodedata.category(char) == "Zs"
        else f"\\x{ord(char):02x}"
        if ord(char) < 256
        else f"\\u{ord(char):04x}"
        for char in text
    )


def one_line(text: str) -> str:
    """`printable()` text with its line breaks made visible too, so that nothing can pass for a line of its own."""
    return printable(text).replace("\n", "\\n")


def compact(value: e.Json, limit: int = 400) -> str:
    """A JSON value on one line, cut to a readable length."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def fault_words(faults: Faults) -> dict[str, str]:
    """What is broken on purpose, in words, by the fault's name; empty on the happy path."""
    network = {"cut": "network cut", "slow": "network slow", "resets": "network resets connections"}
    told = {
        "workers": "" if faults.workers else "no Worker",
        "frozen": "Workers frozen" if faults.frozen else "",
        "server": "" if faults.server else "server away",
        "network": network.get(faults.network, ""),
        "failures": f"next {plural(faults.failures, 'attempt')} of Activities will fail" if faults.failures else "",
        "slow_tools": f"tools take {faults.slow_tools:g} s longer" if faults.slow_tools else "",
        "model_down": "model down" if faults.model_down else "",
        "cut_answers": f"next {plural(faults.cut_answers, 'answer')} will break off" if faults.cut_answers else "",
    }
    return {name: words for name, words in told.items() if words}


def pending_words(work: PendingWork) -> list[str]:
    """What is pending at the server, a line each."""
    lines = []
    if work.task_attempt:
        state = f"waits for a Worker since {clock(work.task_scheduled)}" if work.task_scheduled else "a Worker has it"
        lines.append(f"{TASK}, attempt {work.task_attempt}: {state}")
    for activity in work.activities:
        state = (
            f"runs on {activity.worker} since {clock(activity.started)}"
            if activity.running
            else f"waits for {clock(activity.scheduled)}"
            if activity.scheduled > work.timestamp
            else f"waits for a Worker since {clock(activity.scheduled)}"
        )
        before = f"; the attempt before: {activity.error}" if activity.error else ""
        lines.append(one_line(f"Activity {activity.activity_type}, attempt {activity.attempt}: {state}{before}"))
    return lines


def plural(count: int, noun: str) -> str:
    """``1 quote``, ``2 quotes``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def seconds(value: float) -> str:
    """``1 second``, ``15 seconds``, ``2.4 seconds``."""
    rounded = round(value, 1)
    text = f"{rounded:.0f}" if rounded >= 10 or rounded == int(rounded) else f"{rounded:.1f}"
    return f"{text} second" if text == "1" else f"{text} seconds"


def clock(timestamp: str) -> str:
    """Local time of day: ``10:30:15``."""
    return datetime.fromisoformat(timestamp).astimezone().strftime("%H:%M:%S") if timestamp else ""


def calendar(timestamp: str) -> str:
    """Local date and time: ``2025-01-19 10:30:15``."""
    return datetime.fromisoformat(timestamp).astimezone().strftime("%Y-%m-%d %H:%M:%S") if timestamp else ""

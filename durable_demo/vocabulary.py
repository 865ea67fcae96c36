"""How a workflow type's events read in its own words.

`follow()` gives every workflow's events in Temporal's terms (an Activity was scheduled, a Signal was received). A
vocabulary translates them into the terms of one workflow type. A scenario adds its own with `register()`; without one,
the generic vocabulary is used, which knows one thing more: an Activity whose heartbeat holds a `progress` reports it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from durable_demo import events as e
from durable_demo.chat_vocabulary import ChatVocabulary


class Vocabulary(Protocol):
    """Translates the events of one chain of runs, each run from its `workflow_started` on, in order."""

    def translate(self, event: e.Event) -> e.Event | None:
        """The event in the workflow's own words; None if it means nothing to its readers."""


class GenericVocabulary:
    """Any workflow: events stay as they are, and a heartbeat such as ``{"progress": 40}`` becomes a progress update."""

    def translate(self, event: e.Event) -> e.Event | None:
        """Translates heartbeats with a numeric `progress`."""
        if not isinstance(event, e.ActivityHeartbeat) or not isinstance(event.details, dict):
            return event
        progress = event.details.get("progress")
        if isinstance(progress, bool) or not isinstance(progress, int | float):
            return event
        return e.ProgressUpdate(
            **event.common(),
            progress=min(100.0, max(0.0, float(progress))),
            status=str(event.details.get("status", event.activity_type)),
            attempt=event.attempt,
        )


class MontyVocabulary:
    """Monty: iterations that sleep, quotes that are delivered, pause, resume, stop.

    Facts are made of facts alone, so that an early and a late subscriber get the same ones.
    """

    def __init__(self) -> None:
        self._started_at = 0.0
        self._iteration = 0
        self._quotes = 0
        self._sleep = 0.0
        self._elapsed = 0.0
        self._seen: dict[str, Any] = {}
        self._last_tick = 0.0
        self._paused = False
        self._stopping = False

    def translate(self, event: e.Event) -> e.Event | None:
        """Translates one event; keeps the counters that later ones carry."""
        match event:
            case e.WorkflowStarted():
                self._begin(event)
                return event
            case e.SignalReceived():
                return self._signal(event)
            case e.ActivityScheduled(activity_type="sleep_then_quote"):
                step = _dict(event.input)
                self._iteration, self._sleep = int(step.get("iteration", 0)), float(step.get("sleep", 0.0))
                self._elapsed = self._last_tick = _elapsed(step)
                return self._progress(event, "sleeping", self._elapsed)
            case e.ActivityHeartbeat(activity_type="sleep_then_quote"):
                if self._paused or self._stopping:
                    return None  # the last breath of a sleep that is being interrupted
                self._last_tick = _elapsed(event.details)
                return self._progress(event, "sleeping", self._last_tick, attempt=event.attempt)
            case e.ActivityRetry(activity_type="sleep_then_quote"):
                reached = self._percent(self._last_tick) if event.tick and self._last_tick else None
                return replace(event, iteration_count=self._iteration, progress=reached)
            case e.ActivityCompleted(activity_type="sleep_then_quote"):
                return self._outcome(event)
            case (
                e.ActivityTimedOut(activity_type="sleep_then_quote")
                | e.ActivityCanceled(activity_type="sleep_then_quote")
            ):
                # Interrupted while its Worker was dead, as in `MontyPythonWorkflow._last_checkpoint`.
                known = [self._elapsed, _elapsed(event.details)]
                if self._seen.get("iteration") == self._iteration:
                    known.append(_elapsed(self._seen))
                return self._interrupted(event, min(max(known), self._sleep))
            case e.UpdateAccepted(name="add_quotes"):
                quotes = event.input if isinstance(event.input, list) else [event.input]
                return e.QuotesAdded(
                    **event.common(), **self._counts(event), quotes=tuple(str(quote).strip() for quote in quotes)
                )
            case e.UpdateCompleted():
                return None
            case e.CancelRequested():
                self._stopping = True
                return replace(event, **self._counts(event))
            case e.WorkflowReset():
                status = "STOPPING" if self._stopping else "PAUSED" if self._paused else "RUNNING"
                return replace(event, **self._counts(event), status=status)
            case e.WorkflowEnded() | e.WorkflowContinuedAsNew():
                return replace(event, **self._counts(event))
        return event

    def _begin(self, event: e.WorkflowStarted) -> None:
        state = _dict(_dict(event.input).get("state"))
        self._started_at = float(state.get("started_at", event.moment.timestamp()))
        self._iteration = int(state.get("iteration_count", 0))
        self._quotes = int(state.get("total_quotes_delivered", 0))
        self._paused, self._stopping = bool(state.get("paused")), bool(state.get("should_exit"))

    def _signal(self, event: e.SignalReceived) -> e.Event | None:
        counted = event.common() | self._counts(event)
        match event.name:
            case "pause":
                self._seen = _dict(event.input)
                if self._paused or self._stopping:
                    return None
                self._paused = True
                return e.WorkflowPaused(**counted)
            case "resume":
                if not self._paused or self._stopping:
                    return None
                self._paused = False
                return e.WorkflowResumed(**counted)
            case "stop_workflow":
                if self._stopping:
                    return None
                self._stopping = True
                return e.StopRequested(**counted)
        return event

    def _outcome(self, event: e.ActivityCompleted) -> e.Event | None:
        outcome = _dict(event.result)
        quote = outcome.get("quote")
        if quote is None:
            return self._interrupted(event, _elapsed(outcome))
        self._quotes += 1
        return self._progress(event, "delivered", self._sleep, attempt=event.attempt, quote=str(quote))

    def _interrupted(self, event: e.Event, elapsed: float) -> e.Event | None:
        if self._stopping:
            return self._progress(event, "stopped", elapsed)
        # Neither stopping nor paused (any more): the sleep goes on at once, and nobody needs to notice.
        return self._progress(event, "paused", elapsed) if self._paused else None

    def _progress(
        self, event: e.Event, state: str, elapsed: float, *, attempt: int = 1, quote: str | None = None
    ) -> e.ProgressUpdate:
        return e.ProgressUpdate(
            **event.common(),
            **self._counts(event),
            progress=self._percent(elapsed),
            status=f"iteration_{self._iteration}_{state}",
            current_quote=quote,
            current_sleep_duration=self._sleep,
            iteration_elapsed=round(elapsed, 3),
            should_exit=self._stopping,
            attempt=attempt,
        )

    def _percent(self, elapsed: float) -> float:
        return round(min(100.0, 100.0 * elapsed / self._sleep), 1) if self._sleep else 0.0

    def _counts(self, event: e.Event) -> dict[str, Any]:
        elapsed = datetime.fromisoformat(event.timestamp).timestamp() - self._started_at
        return {
            "iteration_count": self._iteration,
            "total_quotes_delivered": self._quotes,
            "total_elapsed": round(max(0.0, elapsed), 3),
        }


MONTY = "MontyPythonWorkflow"
"""Workflow type of Monty, as it stands in histories."""
CHAT = "ChatWorkflow"
"""Workflow type of a conversation."""

_VOCABULARIES: dict[str, type[Vocabulary]] = {MONTY: MontyVocabulary, CHAT: ChatVocabulary}


def register(workflow_type: str, vocabulary: type[Vocabulary]) -> None:
    """Makes the events of a workflow type be told in its own words from now on."""
    _VOCABULARIES[workflow_type] = vocabulary


def vocabulary_for(workflow_type: str) -> Vocabulary:
    """A new vocabulary for one chain of runs of this type."""
    return _VOCABULARIES.get(workflow_type, GenericVocabulary)()


def _dict(value: e.Json) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _elapsed(details: e.Json) -> float:
    """Seconds slept, from a step, an outcome or a heartbeat."""
    return float(_dict(details).get("elapsed", 0.0))

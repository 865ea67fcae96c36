"""The trace that people read: a pure fold of events into lines, a status and totals. No I/O, no Temporal, no widgets.

The same facts give the same trace, however they were batched and whatever ticks came between: facts decide the status,
the totals and all lines but those of ticks; a fact that was already folded is ignored.
"""

from __future__ import annotations

import html
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from durable_demo import events as e
from durable_demo.diagnosis import Problem, failed_activity
from durable_demo.wording import Kind, calendar, clock, line_key, line_kind, line_text, one_line, printable, seconds

MAX_LINES = 10_000
"""Lines that a trace keeps; older ones go, and the first line says so."""

PROGRESS_STEP = 5.0
"""A further progress line is written each time the progress has grown by this many percent; the bar shows each tick."""

ENDED = frozenset({"COMPLETED", "FAILED", "CANCELED", "TERMINATED", "TIMED_OUT"})


def is_news(event: e.Event, last_fact: str, *, ended: bool) -> bool:
    """Whether a fold takes an event: each fact once, ticks until the workflow has ended."""
    if event.tick:
        return not ended or isinstance(event, e.Error)
    return event.offset > last_fact


def task_problem(event: e.WorkflowTaskFailed) -> str:
    """Why the workflow's code cannot go on, with the remedy, on one line without control characters."""
    return printable(Problem(event.problem, event.error, event.remedy).line if event.problem else event.error)


@dataclass(frozen=True)
class Line:
    """One line of the trace.

    Attributes:
        number: Its place since the trace began, from 0; a replacement has the number of the line it replaces.
        timestamp: ISO 8601, UTC.
        text: One line of plain text, control characters made visible; not escaped for HTML.
        kind: What it is about.
    """

    number: int
    timestamp: str
    text: str
    kind: Kind

    def __str__(self) -> str:
        return f"{clock(self.timestamp)} {self.text}"


@dataclass(frozen=True)
class Summary:
    """What stands above and below the lines; its texts have no control characters, and are not escaped for HTML.

    Attributes:
        workflow_id: Workflow ID, empty before the first event.
        workflow_type: Name of its type.
        status: RUNNING, PAUSED, STOPPING or one of ENDED; empty before the first event.
        started: When the first run began, ISO 8601 UTC; empty before the first event.
        iterations: Iterations begun; None if the workflow does not count any.
        quotes: Quotes delivered; None likewise.
        runtime: Seconds since it began.
        progress: Percent of the work in hand; None while there is none.
        activity: What the work in hand is, in words.
        attempt: Attempt of the running Activity.
        connected: Whether the server answers.
        problem: Why the workflow cannot go on or has ended badly; empty if all is well.
        stuck: The same without regard to whether there is a Worker.
    """

    workflow_id: str = ""
    workflow_type: str = ""
    status: str = ""
    started: str = ""
    iterations: int | None = None
    quotes: int | None = None
    runtime: float = 0.0
    progress: float | None = None
    activity: str = ""
    attempt: int = 1
    connected: bool = True
    problem: str = ""
    stuck: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status in ENDED

    @property
    def footer(self) -> str:
        """``Iterations: 3 | Quotes Delivered: 3 | Total Runtime: 50 seconds``; without counters the runtime alone."""
        parts = []
        if self.iterations is not None:
            parts.append(f"Iterations: {self.iterations}")
        if self.quotes is not None:
            parts.append(f"Quotes Delivered: {self.quotes}")
        parts.append(f"Total Runtime: {seconds(self.runtime)}")
        return " | ".join(parts)


@dataclass(frozen=True)
class Delta:
    """What one or more events changed.

    Attributes:
        lines: New lines, and lines that replace the ones with their numbers, by number.
        summary: The summary after it.
    """

    lines: tuple[Line, ...]
    summary: Summary


@dataclass(repr=False)
class Trace:
    """Folds events into lines and a summary. State changes through `apply`, `clear` and nothing else.

    Args:
        max_lines: Lines kept in memory.
    """

    max_lines: int = MAX_LINES
    summary: Summary = field(default_factory=Summary, init=False)
    next_number: int = field(default=0, init=False)
    last_fact: str = field(default="", init=False)
    _lines: deque[Line] = field(default_factory=deque, init=False)
    _keys: dict[str, int] = field(default_factory=dict, init=False)
    _shown_progress: float = field(default=0.0, init=False)

    @property
    def lines(self) -> list[Line]:
        """The lines kept, oldest first."""
        return list(self._lines)

    @property
    def dropped(self) -> int:
        """Lines that were dropped to bound the memory, or cleared."""
        return self.next_number - len(self._lines)

    def apply(self, *events: e.Event) -> Delta:
        """Folds events in, in order.

        A fact at or before the last folded one changes nothing, so feeding a stream again from any offset is safe.

        Returns:
            The changed lines and the summary.
        """
        changed: dict[int, Line] = {}
        for event in events:
            if not is_news(event, self.last_fact, ended=self.summary.ended):
                continue
            if not event.tick:
                self.last_fact = event.offset
            for text, kind, key in self._read(event):
                line = self._write(event.timestamp, text, kind, key)
                changed[line.number] = line
        first_kept = self.next_number - len(self._lines)
        return Delta(tuple(line for number, line in sorted(changed.items()) if number >= first_kept), self.summary)

    def clear(self) -> None:
        """Empties the view: the lines go; status, totals and the place in the stream stay."""
        self._lines.clear()
        self._keys.clear()

    # --- the fold ----------------------------------------------------------------------------------------------------

    def _read(self, event: e.Event) -> Iterable[tuple[str, Kind, str]]:
        """Takes the event into the summary; yields (text, kind, key) of the lines that it gives."""
        before = self.summary
        self.summary = _summarize(before, event)
        key = line_key(event)
        if isinstance(event, e.ProgressUpdate) and event.tick:
            # Thin the ticks out: the summary has each, the lines have a step of them.
            if before.status in {"PAUSED", "STOPPING"}:
                return
            if event.attempt == before.attempt and event.progress < self._shown_progress + PROGRESS_STEP:
                return
            self._shown_progress = event.progress
        elif isinstance(event, e.ProgressUpdate):
            self._shown_progress = event.progress
        elif isinstance(event, e.ActivityScheduled):
            self._shown_progress = 0.0
        elif isinstance(event, e.Reconnecting) and not before.connected and key in self._keys:
            return
        text = line_text(event)
        if text is not None:
            yield text, line_kind(event), key
        if isinstance(event, e.Reconnected):
            self._keys.pop("connection", None)

    def _write(self, timestamp: str, text: str, kind: Kind, key: str) -> Line:
        text = one_line(text)
        number = self._keys.get(key) if key else None
        first_kept = self.next_number - len(self._lines)
        if number is not None and number >= first_kept:
            line = Line(number, timestamp, text, kind)
            self._lines[number - first_kept] = line
            return line
        line = Line(self.next_number, timestamp, text, kind)
        self.next_number += 1
        self._lines.append(line)
        if key:
            self._keys[key] = line.number
        if len(self._lines) > self.max_lines:
            gone = self._lines.popleft().number
            self._keys = {k: n for k, n in self._keys.items() if n > gone} if len(self._keys) > 256 else self._keys
        return line

    # --- how it looks without a widget -------------------------------------------------------------------------------

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return self.to_text(last=200)

    def to_text(self, last: int | None = None) -> str:
        """The trace as text.

        Args:
            last: Only so many of the newest lines; None for all that are kept.
        """
        if not self.summary.workflow_id:
            return f"{EMPTY_TITLE}\n{EMPTY_HINT}"
        shown, left_out = self._last(last)
        head = [
            f"Workflow: {self.summary.workflow_id}",
            f"Status: {self.summary.status}",
            f"Started: {calendar(self.summary.started)}",
            *([f"Problem: {one_line(self.summary.problem)}"] if self.summary.problem else []),
            "Events:",
        ]
        gone = [f"  ... {left_out} earlier lines not shown"] if left_out else []
        return "\n".join([*head, *gone, *(f"  {line}" for line in shown), self.summary.footer])

    def to_html(self, last: int | None = None) -> str:
        """Static HTML without scripts or classes: readable on GitHub, in nbconvert and untrusted in Lab."""
        if not self.summary.workflow_id:
            return f"<p><strong>{EMPTY_TITLE}</strong><br>{EMPTY_HINT}</p>"
        shown, left_out = self._last(last)
        summary = self.summary
        rows = "\n".join(html.escape(str(line)) for line in shown)
        gone = f"... {left_out} earlier lines not shown\n" if left_out else ""
        problem = f"<br><strong>Problem:</strong> {html.escape(summary.problem)}" if summary.problem else ""
        return (
            f"<p><strong>Workflow:</strong> <code>{html.escape(summary.workflow_id)}</code><br>"
            f"<strong>Status:</strong> {html.escape(summary.status)}<br>"
            f"<strong>Started:</strong> {html.escape(calendar(summary.started))}{problem}</p>\n"
            # Jupyter gives `pre` in an output the font of the page, and `code` in it a monospaced one.
            f"<p><strong>Events:</strong></p>\n<pre><code>{gone}{rows}</code></pre>\n"
            f"<p><strong>{html.escape(summary.footer)}</strong></p>"
        )

    def _last(self, count: int | None) -> tuple[list[Line], int]:
        """So many of the newest lines, and how many there were before them."""
        shown = self.lines if count is None else self.lines[-count:]
        return shown, self.next_number - len(shown)

    def _repr_html_(self) -> str:
        return self.to_html(last=200)


EMPTY_TITLE = "No workflow trace available"
EMPTY_HINT = "Start a Monty workflow from the Chat tab to see trace output"


# --- summary ---------------------------------------------------------------------------------------------------------


def _summarize(now: Summary, event: e.Event) -> Summary:
    """The summary after an event."""
    if isinstance(event, e.Reconnecting):
        return replace(now, connected=False)
    if isinstance(event, e.Error):
        return replace(now, problem=printable(event.error))
    if isinstance(event, e.WaitingForWorker):
        return replace(now, problem=printable(Problem(event.problem, event.error, event.remedy).line))
    if isinstance(event, e.WorkerFound):
        return replace(now, problem=now.stuck)
    if isinstance(event, e.Reconnected):
        return replace(now, connected=True)
    if isinstance(event, e.Gap):
        return now  # as the three above: about the subscription, and not by the server's clock
    if not now.workflow_id:
        now = replace(now, workflow_id=one_line(event.workflow_id), status="RUNNING", started=event.timestamp)
    now = replace(now, connected=True)
    elapsed = (event.moment - datetime.fromisoformat(now.started)).total_seconds()
    now = replace(now, runtime=max(now.runtime, elapsed))
    if isinstance(event, e.Counted):
        now = replace(
            now,
            iterations=now.iterations if event.iteration_count is None else event.iteration_count,
            quotes=now.quotes if event.total_quotes_delivered is None else event.total_quotes_delivered,
            runtime=now.runtime if event.total_elapsed is None else max(now.runtime, event.total_elapsed),
        )
    match event:
        case e.WorkflowStarted():
            return replace(now, workflow_type=one_line(event.workflow_type), started=event.timestamp)
        case e.WorkflowEnded():
            problem = printable(getattr(event, "error", ""))
            return replace(
                now, status=event.status, progress=None, activity="", attempt=1, problem=problem, stuck=problem
            )
        case e.WorkflowReset():
            return replace(now, status=event.status, progress=None, activity="", attempt=1, problem="", stuck="")
        case e.ProgressUpdate():
            return replace(
                now,
                progress=None if event.current_quote is not None else event.progress,
                activity=one_line(event.status),
                attempt=event.attempt,
                problem=now.stuck,
            )
        case e.WorkflowPaused():
            return replace(now, status="PAUSED")
        case e.WorkflowResumed():
            return replace(now, status="RUNNING")
        case e.StopRequested() | e.CancelRequested():
            return replace(now, status="STOPPING")
        case e.ActivityRetry():
            attempt = max(now.attempt, event.attempt) if event.tick else now.attempt
            problem = printable(failed.line) if (failed := failed_activity(event.error)) else now.stuck
            return replace(now, attempt=attempt, problem=problem)
        case e.WorkflowTaskFailed():
            problem = task_problem(event)
            return replace(now, problem=problem, stuck=problem)
        case e.WorkflowTaskRecovered():
            return replace(now, problem="", stuck="")
        case e.ActivityCompleted() | e.ActivityFailed() | e.ActivityTimedOut() | e.ActivityCanceled():
            return replace(now, progress=None, activity="", attempt=1, problem=now.stuck)
        case e.ActivityScheduled() | e.TimerStarted() | e.ChildWorkflow() | e.WorkflowContinuedAsNew():
            return replace(now, problem="", stuck="")  # its code goes on
    return now

"""The conversation that people read: a pure fold of a chat's events into turns. No I/O, no Temporal, no widgets.

As with the trace, the same facts give the same conversation, however they were batched and whatever ticks came between.
Texts are kept as they came: whoever shows them escapes them.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from durable_demo import events as e
from durable_demo.diagnosis import Problem
from durable_demo.markdown import to_html
from durable_demo.trace import ENDED, is_news, task_problem
from durable_demo.wording import AWAY, clock, compact, one_line, printable

MAX_TURNS = 500
"""Turns that a conversation keeps; older ones go, and the first line says so."""

TurnStatus = Literal["queued", "answering", "answered", "stopped", "failed"]


@dataclass(frozen=True)
class ToolUse:
    """One call of a tool.

    Attributes:
        call_id: Its id, unique within the conversation.
        tool: Name of the tool.
        arguments: Its arguments by name.
        result: What it returned; None while it runs and if it failed.
        error: Why it failed, or why the last attempt did; empty if all is well.
        attempt: The attempt that is running or was the last, from 1.
        ended: Whether it has answered, failed or was stopped.
    """

    call_id: str
    tool: str
    arguments: e.Json = None
    result: e.Json = None
    error: str = ""
    attempt: int = 1
    ended: bool = False


@dataclass(frozen=True)
class Turn:
    """One message of a person, and what became of it.

    Attributes:
        number: Its place since the conversation began, from 0.
        message_id: Id of the message.
        text: The message.
        received: When it was received, ISO 8601, UTC.
        status: `queued`, `answering`, `answered`, `stopped` or `failed`.
        interim: What the model said while it called tools.
        progress: What is going on, such as ``Analyzing with tools...``; empty when nothing is.
        tools: Calls of tools, in order.
        answer: The answer, or as much of it as there is.
        ended: When it ended, ISO 8601, UTC; empty before.
        model: Name of the model that answered.
        attempt: Attempt of the model's Activity that is running, from 1.
        error: Why the last attempt failed, while it is being retried; or why the message failed.
        retry_of: Id of the message that it repeats; empty if it is a new one.
    """

    number: int
    message_id: str
    text: str
    received: str
    status: TurnStatus = "queued"
    interim: str = ""
    progress: str = ""
    tools: tuple[ToolUse, ...] = ()
    answer: str = ""
    ended: str = ""
    model: str = ""
    attempt: int = 1
    error: str = ""
    retry_of: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.status in {"answered", "stopped", "failed"}


@dataclass(frozen=True)
class ChatSummary:
    """What stands around the turns; its texts have no control characters, and are not escaped for HTML.

    Attributes:
        workflow_id: Workflow ID; empty before the first event.
        status: RUNNING or one of `trace.ENDED`; empty before the first event.
        started: When the conversation began, ISO 8601, UTC.
        model: Name of the agent's language model; empty before it has said it.
        weather: Where its weather comes from.
        notice: What the reader must know, such as a missing key.
        connected: Whether the server answers.
        problem: Why the conversation cannot go on; empty if all is well.
        stuck: The same without regard to whether there is a Worker.
    """

    workflow_id: str = ""
    status: str = ""
    started: str = ""
    model: str = ""
    weather: str = ""
    notice: str = ""
    connected: bool = True
    problem: str = ""
    stuck: str = ""

    @property
    def ended(self) -> bool:
        """Whether no more messages can be sent."""
        return self.status in ENDED


@dataclass(frozen=True)
class ChatDelta:
    """What one or more events changed.

    Attributes:
        turns: New turns, and those that replace the ones with their numbers, by number.
        summary: The summary after it.
    """

    turns: tuple[Turn, ...]
    summary: ChatSummary


@dataclass(repr=False)
class Conversation:
    """Folds events into turns and a summary. State changes through `apply` and nothing else.

    Args:
        max_turns: Turns kept in memory.
    """

    max_turns: int = MAX_TURNS
    summary: ChatSummary = field(default_factory=ChatSummary, init=False)
    last_fact: str = field(default="", init=False)
    dropped: int = field(default=0, init=False)
    _turns: dict[str, Turn] = field(default_factory=dict, init=False)
    _past: dict[str, list[tuple[str, Turn]]] = field(default_factory=dict, init=False)  # each turn after each fact

    @property
    def turns(self) -> list[Turn]:
        """The turns kept, oldest first."""
        return list(self._turns.values())

    def turn(self, message_id: str) -> Turn | None:
        """The turn of a message; None if there is none, or none any more."""
        return self._turns.get(message_id)

    @property
    def answering(self) -> bool:
        """Whether a message waits for its answer."""
        return any(not turn.over for turn in self._turns.values())

    def apply(self, *events: e.Event) -> ChatDelta:
        """Folds events in, in order.

        A fact at or before the last folded one changes nothing, so feeding a stream again from any offset is safe.

        Returns:
            The changed turns and the summary.
        """
        changed: dict[str, None] = {}
        for event in events:
            if not is_news(event, self.last_fact, ended=self.summary.ended):
                continue
            if not event.tick:
                self.last_fact = event.offset
            self.summary = _summarize(self.summary, event)
            if isinstance(event, e.WorkflowReset):
                self._go_back(event.back_to)
                changed = dict.fromkeys(self._turns)
            for turn in self._read(event):
                self._turns[turn.message_id] = turn
                changed[turn.message_id] = None
                if not event.tick:
                    self._past.setdefault(turn.message_id, []).append((event.offset, turn))
        while len(self._turns) > self.max_turns:
            oldest = next(iter(self._turns))
            del self._turns[oldest], self._past[oldest]
            self.dropped += 1
        kept = [self._turns[message_id] for message_id in changed if message_id in self._turns]
        return ChatDelta(tuple(sorted(kept, key=lambda turn: turn.number)), self.summary)

    def _go_back(self, offset: str) -> None:
        """Undoes what facts behind an offset have changed; messages that came later are gone until they come again."""
        self._past = {
            message_id: held
            for message_id, past in self._past.items()
            if (held := [(at, turn) for at, turn in past if at <= offset])
        }
        self._turns = {message_id: past[-1][1] for message_id, past in self._past.items()}

    def _read(self, event: e.Event) -> Iterable[Turn]:
        """The turns that an event changes."""
        if isinstance(event, e.WorkflowEnded):
            why = "the conversation was ended before this was answered"
            return [
                replace(turn, **_over(turn, event), status="failed", answer="", error=why)
                for turn in self._turns.values()
                if not turn.over
            ]
        if isinstance(event, e.MessageReceived):
            number = self.dropped + len(self._turns)
            return (
                [Turn(number, event.message_id, event.text, event.timestamp, retry_of=event.retry_of)]
                if event.message_id not in self._turns
                else []
            )
        message_id = getattr(event, "message_id", None)
        turn = self._turns.get(message_id) if message_id else None
        if turn is None or turn.over:
            return []
        return [_advance(turn, event)]

    # --- how it looks without a widget -------------------------------------------------------------------------------

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return self.to_text(last=50)

    def to_text(self, last: int | None = None) -> str:
        """The conversation as text.

        Args:
            last: Only so many of the newest turns; None for all that are kept.
        """
        if not self.summary.workflow_id:
            return f"{EMPTY_TITLE}\n{EMPTY_HINT}"
        shown, left_out = self._last(last)
        lines = [f"Conversation: {self.summary.workflow_id}", f"Status: {self.summary.status}"]
        if self.summary.model:
            lines.append(f"Model: {self.summary.model}")
        if self.summary.problem:
            lines.append(f"Problem: {one_line(self.summary.problem)}")
        if not self.summary.connected:
            lines.append(AWAY)
        if left_out:
            lines.append(f"... {left_out} earlier messages not shown")
        for turn in shown:
            lines.append(f"{clock(turn.received)} User: {printable(turn.text)}")
            if turn.interim:
                lines.append(f"{'':8} AI: {printable(turn.interim)}")
            lines += [f"{'':8} {one_line(_tool_words(use))}" for use in turn.tools]
            if turn.progress:
                lines.append(f"{'':8} [Progress: {turn.progress}]")
            if turn.over or turn.answer:
                lines.append(f"{clock(turn.ended) or '':8} AI{_MARKS[turn.status]}: {printable(_said(turn))}")
        return "\n".join(lines)

    def to_html(self, last: int | None = None) -> str:
        """Static HTML without scripts or classes: readable on GitHub, in nbconvert and untrusted in Lab."""
        if not self.summary.workflow_id:
            return f"<p><strong>{EMPTY_TITLE}</strong><br>{html.escape(EMPTY_HINT)}</p>"
        shown, left_out = self._last(last)
        problem = f"<br><strong>Problem:</strong> {html.escape(self.summary.problem)}" if self.summary.problem else ""
        away = "" if self.summary.connected else f"<br>{AWAY}"
        head = (
            f"<p><strong>Conversation:</strong> <code>{html.escape(self.summary.workflow_id)}</code><br>"
            f"<strong>Status:</strong> {html.escape(self.summary.status)}<br>"
            f"<strong>Model:</strong> {html.escape(self.summary.model)}{problem}{away}</p>"
        )
        parts = [head]
        if left_out:
            parts.append(f"<p>... {left_out} earlier messages not shown</p>")
        for turn in shown:
            words = html.escape(printable(turn.text)).replace("\n", "<br>")
            parts.append(f"<p><strong>User</strong> {clock(turn.received)}<br>{words}</p>")
            if turn.interim:
                parts.append(f"<p><strong>AI</strong><br>{html.escape(printable(turn.interim))}</p>")
            if turn.tools:
                steps = "".join(
                    f"<li><code>{html.escape(one_line(_tool_words(use)))}</code></li>" for use in turn.tools
                )
                parts.append(f"<ul>{steps}</ul>")
            if turn.progress:
                parts.append(f"<p>[Progress: {html.escape(turn.progress)}]</p>")
            if turn.over or turn.answer:
                parts.append(
                    f"<p><strong>AI{_MARKS[turn.status]}</strong> {clock(turn.ended)}</p>{to_html(_said(turn))}"
                )
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        return self.to_html(last=50)

    def _last(self, count: int | None) -> tuple[list[Turn], int]:
        """So many of the newest turns, and how many there were before them."""
        shown = self.turns if count is None else self.turns[-count:]
        return shown, self.dropped + len(self._turns) - len(shown)


EMPTY_TITLE = "No conversation yet"
EMPTY_HINT = 'Ask something, such as "What\'s the weather in NYC?"'
_MARKS: dict[TurnStatus, str] = {
    "queued": "", "answering": " (writing)", "answered": "", "stopped": " (stopped)", "failed": " (failed)",
}  # fmt: skip


def _advance(turn: Turn, event: e.Event) -> Turn:
    """A turn that has not ended yet, after an event about its message."""
    match event:
        case e.ModelAsked():
            progress = "Thinking..." if not turn.tools else "Analyzing with tools..."
            return replace(turn, status="answering", progress=progress, answer="", attempt=1, error="")
        case e.TextUpdate():
            if event.attempt < turn.attempt:
                return turn
            return replace(turn, answer=event.text, attempt=event.attempt, status="answering")
        case e.ActivityRetry(activity_id=activity_id) if activity_id.startswith("tool:"):
            return replace(turn, tools=_changed(turn, activity_id, attempt=event.attempt, error=event.error))
        case e.ActivityRetry():
            if not event.tick or event.attempt <= turn.attempt:
                return turn  # as a fact it comes when the attempt has succeeded
            return replace(turn, attempt=event.attempt, error=event.error, answer="")
        case e.ModelAnswered() if event.tools:
            return replace(
                turn, status="answering", interim=event.text or turn.interim, answer="", model=event.model,
                progress="Analyzing with tools...", attempt=1, error="",
            )  # fmt: skip
        case e.ModelAnswered():
            return replace(turn, answer=event.text, model=event.model, attempt=1, error="")
        case e.ToolCalled():
            use = ToolUse(event.call_id, event.tool, event.arguments)
            return replace(turn, tools=(*turn.tools, use), progress="Analyzing with tools...")
        case e.ToolAnswered():
            return replace(
                turn,
                tools=_changed(
                    turn, event.call_id, result=event.result, error=event.error, attempt=event.attempt, ended=True
                ),
            )
    over = _over(turn, event)
    match event:
        case e.MessageAnswered():
            return replace(
                turn, **over, status="answered", answer=event.text, model=event.model or turn.model, error=""
            )
        case e.MessageStopped():
            return replace(turn, **over, status="stopped", answer=event.text, error="")
        case e.MessageFailed():
            return replace(turn, **over, status="failed", answer="", error=event.error)
    return turn


def _changed(turn: Turn, call_id: str, **changes: Any) -> tuple[ToolUse, ...]:
    return tuple(replace(use, **changes) if use.call_id == call_id else use for use in turn.tools)


def _over(turn: Turn, event: e.Event) -> dict[str, Any]:
    """What is so for each turn that has ended: nothing of a tick is left, for those who come later have seen none."""
    tools = (use if use.ended else ToolUse(use.call_id, use.tool, use.arguments, error="stopped", ended=True)
             for use in turn.tools)  # fmt: skip
    return {"progress": "", "ended": event.timestamp, "attempt": 1, "tools": tuple(tools)}


def _said(turn: Turn) -> str:
    return turn.error if turn.status == "failed" else turn.answer


def _tool_words(use: ToolUse) -> str:
    outcome = use.error or (compact(use.result) if use.ended else "...")
    attempts = f" (attempt {use.attempt})" if use.attempt > 1 else ""
    return f"{use.tool}({compact(use.arguments)}){attempts}: {outcome}"


def _summarize(now: ChatSummary, event: e.Event) -> ChatSummary:
    match event:
        case e.Reconnecting():
            return replace(now, connected=False)
        case e.Reconnected():
            return replace(now, connected=True)
        case e.Error():
            return replace(now, problem=printable(event.error))
        case e.WaitingForWorker():
            return replace(now, problem=printable(Problem(event.problem, event.error, event.remedy).line))
        case e.WorkerFound():
            return replace(now, problem=now.stuck)
        case e.Gap():
            return now
    if not now.workflow_id:
        now = replace(now, workflow_id=one_line(event.workflow_id), status="RUNNING", started=event.timestamp)
    now = replace(now, connected=True)
    match event:
        case e.AgentIntroduced() | e.ModelAnswered():
            known: dict[str, Any] = {"model": one_line(event.model), "weather": one_line(event.weather)}
            return replace(now, **known, notice=printable(event.notice), problem=now.stuck)
        case e.WorkflowEnded():
            problem = printable(getattr(event, "error", ""))
            return replace(now, status=event.status, problem=problem, stuck=problem)
        case e.WorkflowReset():
            return replace(now, status="RUNNING", problem="", stuck="")
        case e.WorkflowTaskFailed():
            problem = task_problem(event)
            return replace(now, problem=problem, stuck=problem)
        case e.WorkflowTaskRecovered():
            return replace(now, problem="", stuck="")
        case e.ModelAsked() | e.ToolCalled() | e.MessageAnswered() | e.MessageStopped() | e.MessageFailed():
            return replace(now, problem="", stuck="")  # its code goes on
    return now

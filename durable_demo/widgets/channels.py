"""What a widget's browsers are told: lines of a trace, turns of a conversation, and the state of the panel."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from durable_demo import markdown
from durable_demo.conversation import Conversation, ToolUse, Turn
from durable_demo.errors import DemoError
from durable_demo.events import WorkflowReset
from durable_demo.trace import Line, Trace
from durable_demo.widgets.feed import Channel, Feed, FoldChannel, Message, Row
from durable_demo.wording import one_line, printable

if TYPE_CHECKING:
    from durable_demo.events import Event, Json

MAX_ALERTS = 5
SHOWN_TURNS = 100
"""Turns of a conversation that a panel keeps: Jupyter drops messages above 1 MB a second."""
MAX_ANSWER = markdown.MAX_CHARACTERS
MAX_DETAIL = 4_000
"""Characters of a tool's arguments, of its result, of an error."""
MAX_DETAILS = 40_000
"""Characters of each of these in all steps of a turn; many steps share them."""
MAX_STEPS = 50
MAX_LABEL = 60


class TraceChannel(FoldChannel[Trace, Line]):
    """The trace of a workflow. A row is `[number, timestamp, text, kind]`."""

    name = "trace"
    noun = "trace"

    def clear(self) -> None:
        """Empties the view; of a workflow that has ended nothing is left."""
        with self._lock:
            if self.fold.summary.ended:
                self.fold = Trace()
            else:
                self.fold.clear()
            self._begin_epoch()

    def _new(self) -> Trace:
        return Trace()

    def _apply(self, events: Sequence[Event]) -> Sequence[Line]:
        return self.fold.apply(*events).lines

    def _kept(self) -> Sequence[Line]:
        return self.fold.lines

    def _row(self, line: Line) -> Row:
        return [line.number, line.timestamp, line.text, line.kind]

    def _summary(self) -> Message:
        summary = self.fold.summary
        return {**dataclasses.asdict(summary), "footer": summary.footer}


class ChatChannel(FoldChannel[Conversation, Turn]):
    """A conversation. A row is `[number, turn]`; see `_turn` for what a browser needs of one."""

    name = "chat"
    noun = "conversation"
    part_rows = 10

    def _new(self) -> Conversation:
        return Conversation(max_turns=SHOWN_TURNS)

    def _apply(self, events: Sequence[Event]) -> Sequence[Turn]:
        turns = self.fold.apply(*events).turns
        if any(isinstance(event, WorkflowReset) for event in events):
            self._begin_epoch()  # turns have gone
        return turns

    def _kept(self) -> Sequence[Turn]:
        return self.fold.turns

    def _row(self, turn: Turn) -> Row:
        return [turn.number, _turn(turn)]

    def _summary(self) -> Message:
        return dataclasses.asdict(self.fold.summary)


class PanelChannel(Channel):
    """What belongs to no workflow: whether one is starting, past conversations, errors. It has no rows."""

    name = "panel"

    def __init__(self, feed: Feed) -> None:
        super().__init__(feed)
        self._state: dict[str, Any] = {"starting": False, "chats": None, "alerts": [], "web_ui": None}
        self._alert_count = 0

    def show(self, **state: object) -> None:
        """Changes its state.

        Args:
            state: `starting`: whether a Monty starts. `chats`: past conversations, newest first, each with
                `workflow_id, title, status, started`. `web_ui`: see `Session.web_ui`.
        """
        with self._lock:
            if any(self._state[name] != value for name, value in state.items()):
                self._state.update(state)
                self._touch()

    def alert(self, error: BaseException) -> None:
        """Shows an error until somebody dismisses it."""
        if isinstance(error, DemoError):
            words = (error.what, error.why, error.remedy)
        else:
            words = (f"{type(error).__name__}: {error}", "", "`await demo.assert_clean()` shows all of it")
        shown = dict(zip(("what", "why", "next"), map(printable, words), strict=True))
        with self._lock:
            others = [alert for alert in self._state["alerts"] if alert["what"] != shown["what"]]
            self._alert_count += 1
            self.show(alerts=[*others, {"id": self._alert_count, **shown}][-MAX_ALERTS:])

    def dismiss(self, alert: int) -> None:
        """Takes an alert away; harmless if it is gone."""
        with self._lock:
            self.show(alerts=[shown for shown in self._state["alerts"] if shown["id"] != alert])

    def _around(self) -> Message:
        return {"first": 0, "summary": dict(self._state), "following": False}


# --- turns -----------------------------------------------------------------------------------------------------------


def _turn(turn: Turn) -> Message:
    """What a browser needs of a turn: its answer as a tree of elements, and once it is over also as it was written."""
    answer = _cut(turn.answer, MAX_ANSWER)
    detail = min(MAX_DETAIL, MAX_DETAILS // max(1, min(len(turn.tools), MAX_STEPS)))
    return {
        "id": turn.message_id,
        "status": turn.status,
        "text": printable(turn.text),
        "received": turn.received,
        "ended": turn.ended,
        "interim": _cut(printable(turn.interim), MAX_DETAIL),
        "progress": turn.progress,
        "steps": [_step(use, detail) for use in turn.tools[:MAX_STEPS]],
        "answer": answer if turn.over else "",
        "nodes": markdown.parse(answer),
        "model": one_line(turn.model),
        "attempt": turn.attempt,
        "error": _cut(printable(turn.error), MAX_DETAIL),
        "retry_of": turn.retry_of,
    }


def _step(use: ToolUse, detail: int) -> Message:
    """A call of a tool, with a label such as ``get_weather(Cairo)``."""
    values = use.arguments.values() if isinstance(use.arguments, dict) else [use.arguments]
    words = one_line(", ".join(value if isinstance(value, str) else json.dumps(value) for value in values))
    return {
        "label": f"{one_line(use.tool)}({_cut(words, MAX_LABEL)})",
        "arguments": _pretty(use.arguments, detail),
        "result": "" if use.result is None else _pretty(use.result, detail),
        "error": _cut(printable(use.error), detail),
        "attempt": use.attempt,
        "ended": use.ended,
    }


def _pretty(value: Json, limit: int) -> str:
    return _cut(printable(json.dumps(value, indent=2, ensure_ascii=False, default=str)), limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}..."

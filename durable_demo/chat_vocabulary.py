"""How the events of a conversation read: messages, what the model says, tools, answers.

The Activities of `ChatWorkflow` carry their place in their ids: ``model:MESSAGE:STEP``, ``tool:MESSAGE:STEP:NUMBER``.
A message begins with the Update that brings it, and ends with the result of that Update.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from durable_demo import events as e


class ChatVocabulary:
    """A conversation: each message is received once and ends once, however often it was sent."""

    def __init__(self) -> None:
        self._received: set[str] = set()
        self._ended: set[str] = set()
        self._updates: dict[str, str] = {}

    def translate(self, event: e.Event) -> e.Event | None:
        """Translates one event; None for what is the workflow's own bookkeeping."""
        match event:
            case e.WorkflowStarted():
                known = _known_ids(event.input)
                self._received |= known
                self._ended |= known
            case e.HistoryRecord(event_type="WORKFLOW_PROPERTIES_MODIFIED"):
                return None  # its title
            case e.UpdateAccepted(name="send_message"):
                return self._receive(event)
            case e.UpdateCompleted(update_id=update_id) if update_id in self._updates:
                return self._end(event, self._updates[update_id])
            case e.ActivityEvent(activity_type="introduce_agent"):
                return self._introduce(event)
            case e.ActivityEvent(activity_id=activity_id) if activity_id.startswith("model:"):
                return self._model(event)
            case e.ActivityEvent(activity_id=activity_id) if activity_id.startswith("tool:"):
                return self._tool(event)
        return event

    def _receive(self, event: e.UpdateAccepted) -> e.Event | None:
        given = _dict(event.input)
        message_id = str(given.get("id", ""))
        self._updates[event.update_id] = message_id
        if message_id in self._received:
            return None
        self._received.add(message_id)
        return e.MessageReceived(
            **event.common(),
            message_id=message_id,
            text=str(given.get("text", "")).strip(),
            retry_of=str(given.get("retry_of", "")),
        )

    def _end(self, event: e.UpdateCompleted, message_id: str) -> e.Event | None:
        if message_id in self._ended:
            return None
        self._ended.add(message_id)
        common = event.common() | {"message_id": message_id}
        reply = _dict(event.result)
        text = str(reply.get("text", ""))
        match reply.get("status"):
            case "answered":
                return e.MessageAnswered(**common, text=text, model=str(reply.get("model", "")))
            case "stopped":
                return e.MessageStopped(**common, text=text)
        return e.MessageFailed(**common, error=text or event.error)

    def _introduce(self, event: e.ActivityEvent) -> e.Event | None:
        if not isinstance(event, e.ActivityCompleted):
            return event if isinstance(event, e.ActivityRetry | e.ActivityFailed | e.ActivityTimedOut) else None
        return e.AgentIntroduced(**event.common(), **_agent(event.result))

    def _model(self, event: e.ActivityEvent) -> e.Event | None:
        _, message_id, step = event.activity_id.split(":")
        common = event.common() | {"message_id": message_id, "step": int(step)}
        match event:
            case e.ActivityScheduled():
                return e.ModelAsked(**common)
            case e.ActivityHeartbeat():
                return e.TextUpdate(**common, text=str(_dict(event.details).get("text", "")), attempt=event.attempt)
            case e.ActivityRetry():
                return replace(event, message_id=message_id)
            case e.ActivityCompleted():
                result = _dict(event.result)
                reply = _dict(result.get("reply"))
                return e.ModelAnswered(
                    **common,
                    **_agent(result.get("agent")),
                    text=str(reply.get("text", "")),
                    tools=tuple(str(_dict(call).get("name", "")) for call in reply.get("calls", [])),
                    attempt=event.attempt,
                )
        return None  # how a message that was stopped or failed has ended is told by its Update

    def _tool(self, event: e.ActivityEvent) -> e.Event | None:
        _, message_id, _, _ = event.activity_id.split(":")
        call: dict[str, Any] = {"message_id": message_id, "call_id": event.activity_id, "tool": event.activity_type}
        common = event.common() | call
        match event:
            case e.ActivityScheduled():
                return e.ToolCalled(**common, arguments=event.input)
            case e.ActivityRetry():
                return replace(event, message_id=message_id)
            case e.ActivityCompleted():
                return e.ToolAnswered(**common, result=event.result, attempt=event.attempt)
            case e.ActivityFailed() | e.ActivityTimedOut():
                return e.ToolAnswered(**common, error=event.error, attempt=event.attempt)
        return None


def _agent(value: e.Json) -> dict[str, Any]:
    """What an agent works with."""
    return {name: str(_dict(value).get(name, "")) for name in ("model", "weather", "notice")}


def _known_ids(given: e.Json) -> set[str]:
    """Ids of the messages that ended in the runs before."""
    state = _dict(_dict(given).get("state"))
    turns = [_dict(turn).get("id") for turn in state.get("turns", [])]
    return {str(known) for known in [*turns, *state.get("forgotten", [])]}


def _dict(value: e.Json) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}

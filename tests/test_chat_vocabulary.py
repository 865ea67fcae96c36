"""A conversation's history in its own words."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from durable_demo import events as e
from durable_demo.chat_vocabulary import ChatVocabulary

COMMON = {"timestamp": "2025-01-19T10:30:45.000Z", "workflow_id": "w", "run_id": "r", "offset": "1"}
MODEL = {"activity_id": "model:m1:2", "activity_type": "ask_model"}
TOOL = {"activity_id": "tool:m1:1:1", "activity_type": "get_weather"}


def sent(message_id: str, update_id: str, text: str = "hello") -> e.UpdateAccepted:
    return e.UpdateAccepted(**COMMON, update_id=update_id, name="send_message", input={"id": message_id, "text": text})


def answered(message_id: str, update_id: str, status: str = "answered") -> e.UpdateCompleted:
    result = {"message_id": message_id, "status": status, "text": "hi", "model": "rules"}
    return e.UpdateCompleted(**COMMON, update_id=update_id, result=result)


def told(vocabulary: ChatVocabulary, *events: e.Event) -> list[str]:
    return [event.event for given in events if (event := vocabulary.translate(given)) is not None]


def test_a_message_sent_twice_is_received_once_and_ends_once() -> None:
    events = [sent("m1", "u1"), sent("m1", "u2"), answered("m1", "u2"), answered("m1", "u1")]
    assert told(ChatVocabulary(), *events) == ["message_received", "message_answered"]


def test_a_message_of_a_run_before_is_no_news() -> None:
    state = {"turns": [{"id": "m1"}], "forgotten": ["m0"]}
    started = e.WorkflowStarted(**COMMON, workflow_type="ChatWorkflow", input={"state": state})
    events = [sent("m1", "u1"), answered("m1", "u1"), sent("m0", "u0"), answered("m0", "u0"), sent("m2", "u2")]
    assert told(ChatVocabulary(), started, *events) == ["workflow_started", "message_received"]


@pytest.mark.parametrize(
    ("status", "event"),
    [("answered", "message_answered"), ("stopped", "message_stopped"), ("failed", "message_failed")],
)
def test_the_workflow_itself_says_how_a_message_ended(status: str, event: str) -> None:
    assert told(ChatVocabulary(), sent("m1", "u1"), answered("m1", "u1", status))[-1] == event


def test_activities_say_for_which_message_they_are() -> None:
    vocabulary = ChatVocabulary()
    beat = vocabulary.translate(e.ActivityHeartbeat(**COMMON, **MODEL, tick=True, attempt=2, details={"text": "It i"}))
    assert (beat.event, beat.message_id, beat.step, beat.text, beat.attempt) == ("text_update", "m1", 2, "It i", 2)
    assert beat.tick
    agent = {"model": "rules", "weather": "typical values", "notice": "n"}
    reply = {"reply": {"text": "Let me...", "calls": [{"name": "get_weather"}], "model": "rules"}, "agent": agent}
    said = vocabulary.translate(e.ActivityCompleted(**COMMON, **MODEL, result=reply))
    assert (said.event, said.tools, said.text) == ("model_answered", ("get_weather",), "Let me...")
    assert (said.model, said.weather, said.notice) == ("rules", "typical values", "n")
    called = vocabulary.translate(e.ActivityScheduled(**COMMON, **TOOL, input={"city": "Rome"}))
    assert (called.event, called.tool, called.arguments) == ("tool_called", "get_weather", {"city": "Rome"})
    failed = vocabulary.translate(e.ActivityFailed(**COMMON, **TOOL, error="no", attempt=3))
    assert (failed.event, failed.error, failed.attempt) == ("tool_answered", "no", 3)
    retried = vocabulary.translate(e.ActivityRetry(**COMMON, **TOOL, attempt=2, error="x"))
    assert (retried.event, retried.message_id) == ("activity_retry", "m1")


@pytest.mark.parametrize("payload", [None, 7, "x", [], [1], {"calls": 7}, {"calls": [7]}, {"id": None}])
def test_a_workflow_that_does_not_speak_our_words_is_told_as_it_is(payload: Any) -> None:
    """`follow()` shows an event as it came when a vocabulary cannot read it: only these two errors may be raised."""
    vocabulary = ChatVocabulary()
    for event in (
        e.WorkflowStarted(**COMMON, workflow_type="ChatWorkflow", input=payload),
        e.UpdateAccepted(**COMMON, update_id="u", name="send_message", input=payload),
        e.UpdateCompleted(**COMMON, update_id="u", result=payload),
        e.ActivityCompleted(**COMMON, **MODEL, result=payload),
        e.ActivityHeartbeat(**COMMON, **MODEL, tick=True, attempt=1, details=payload),
        e.ActivityCompleted(**COMMON, activity_id="model:x", activity_type="y", result=payload),
    ):
        with suppress(TypeError, ValueError):
            vocabulary.translate(event)

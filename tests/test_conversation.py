"""The fold of a conversation's events: the same facts, the same turns, whatever comes between."""

from __future__ import annotations

from typing import Any

import pytest

from durable_demo import events as e
from durable_demo.conversation import Conversation


def at(
    kind: type[e.Event], second: int, *, tick: bool = False, message_id: str | None = "m1", **fields: Any
) -> e.Event:
    common = {"timestamp": f"2025-01-19T10:30:{second:02d}.000Z", "workflow_id": "chat-1", "run_id": "r"}
    named = {} if message_id is None else {"message_id": message_id}
    return kind(**common, **named, offset=f"{second:04d}", tick=tick, **fields)


STARTED = at(e.WorkflowStarted, 1, message_id=None, workflow_type="ChatWorkflow")
INTRODUCED = at(e.AgentIntroduced, 2, message_id=None, model="offline brain (rules)", weather="typical values")
TOOL = {"call_id": "tool:m1:1:1", "tool": "get_weather"}
FACTS = [
    STARTED,
    INTRODUCED,
    at(e.MessageReceived, 3, text="weather in NYC?"),
    at(e.ModelAsked, 4, step=1),
    at(
        e.ModelAnswered,
        5,
        step=1,
        text="Let me check...",
        tools=("get_weather",),
        model="offline brain (rules)",
        weather="typical values",
    ),
    at(e.ToolCalled, 6, **TOOL, arguments={"city": "NYC"}),
    at(e.ToolAnswered, 7, **TOOL, result={"temperature_c": 7}),
    at(e.ModelAsked, 8, step=2),
    at(e.ModelAnswered, 9, step=2, text="It is 45°F.", model="offline brain (rules)"),
    at(e.MessageAnswered, 10, text="It is 45°F.", model="offline brain (rules)"),
]


def text_so_far(second: int, text: str, attempt: int = 1) -> e.Event:
    return at(e.TextUpdate, second, tick=True, step=2, text=text, attempt=attempt)


def folded(*events: e.Event) -> Conversation:
    conversation = Conversation()
    conversation.apply(*events)
    return conversation


def test_a_message_goes_from_waiting_over_tools_to_its_answer() -> None:
    conversation = Conversation()
    told = []
    for event in FACTS:
        conversation.apply(event)
        told += [(turn.status, turn.progress, turn.interim, turn.answer) for turn in conversation.turns]
    assert list(dict.fromkeys(told)) == [
        ("queued", "", "", ""),
        ("answering", "Thinking...", "", ""),
        ("answering", "Analyzing with tools...", "Let me check...", ""),
        ("answering", "Analyzing with tools...", "Let me check...", "It is 45°F."),
        ("answered", "", "Let me check...", "It is 45°F."),
    ]
    (turn,) = conversation.turns
    assert [(use.tool, use.arguments, use.result, use.ended) for use in turn.tools] == [
        ("get_weather", {"city": "NYC"}, {"temperature_c": 7}, True)
    ]
    assert (turn.received[11:19], turn.ended[11:19], turn.model) == ("10:30:03", "10:30:10", "offline brain (rules)")
    assert conversation.summary.model == "offline brain (rules)"
    assert not conversation.answering


def test_facts_alone_give_the_same_as_facts_with_ticks_fed_twice() -> None:
    with_ticks = folded(*FACTS[:8], text_so_far(8, "It"), text_so_far(8, "It is"), *FACTS[8:], *FACTS[3:])
    assert with_ticks == folded(*FACTS)


def test_a_retried_attempt_replaces_its_text_and_an_old_one_cannot_bring_it_back() -> None:
    conversation = folded(*FACTS[:8], text_so_far(8, "It is 4"))
    assert conversation.turns[0].answer == "It is 4"
    retry = at(e.ActivityRetry, 8, tick=True, activity_id="model:m1:2", activity_type="ask_model", attempt=2, error="x")
    conversation.apply(retry)
    assert (conversation.turns[0].answer, conversation.turns[0].attempt, conversation.turns[0].error) == ("", 2, "x")
    conversation.apply(text_so_far(8, "It", attempt=2), text_so_far(8, "It is 45 (old)", attempt=1))
    assert conversation.turns[0].answer == "It"


def test_a_problem_of_the_workflow_stays_until_a_fact_says_that_it_goes_on() -> None:
    broken = at(e.WorkflowTaskFailed, 8, message_id=None, cause="NON_DETERMINISTIC_ERROR", error="code is broken")
    conversation = folded(*FACTS[:7], broken, text_so_far(8, "It"))
    assert conversation.summary.problem == "code is broken"
    conversation.apply(*FACTS[8:])
    assert conversation.summary.problem == ""


def test_a_retry_of_a_tool_shows_with_the_tool() -> None:
    retry = at(e.ActivityRetry, 6, tick=True, activity_id=TOOL["call_id"], activity_type="get_weather", attempt=3,
               error="not yet")  # fmt: skip
    (turn,) = folded(*FACTS[:6], retry).turns
    assert (turn.tools[0].attempt, turn.tools[0].error, turn.tools[0].ended) == (3, "not yet", False)
    assert folded(*FACTS[:6], retry, *FACTS[6:]).turns[0].tools[0].error == ""


@pytest.mark.parametrize(
    ("end", "status", "answer", "error"),
    [
        (at(e.MessageStopped, 9, text="It is"), "stopped", "It is", ""),
        (at(e.MessageFailed, 9, error="I could not"), "failed", "", "I could not"),
        (at(e.WorkflowTerminated, 9, message_id=None), "failed", "",
         "the conversation was ended before this was answered"),
    ],
    ids=["stopped", "failed", "terminated"],
)  # fmt: skip
def test_however_a_message_ends_nothing_of_it_goes_on(end: e.Event, status: str, answer: str, error: str) -> None:
    (turn,) = folded(*FACTS[:6], end).turns
    assert (turn.status, turn.answer, turn.error, turn.progress) == (status, answer, error, "")
    assert all(use.ended for use in turn.tools)
    assert folded(*FACTS[:6], end, text_so_far(9, "late")).turns == [turn]


def test_old_turns_go_and_their_number_is_told() -> None:
    conversation = Conversation(max_turns=3)
    for number in range(5):
        conversation.apply(at(e.MessageReceived, 10 + number, message_id=f"m{number}", text=f"question {number}"))
    assert [(turn.number, turn.text) for turn in conversation.turns] == [
        (2, "question 2"), (3, "question 3"), (4, "question 4"),
    ]  # fmt: skip
    assert "... 2 earlier messages not shown" in conversation.to_text()
    assert "... 3 earlier messages not shown" in conversation.to_html(last=2)


def test_why_it_cannot_go_on_stands_in_its_text_and_its_html_too() -> None:
    said = {"problem": "No <Worker> polls", "error": "none is there", "remedy": "start one"}
    queued = {"what": "Workflow Task", "task_queue": "demo", "since": "2025-01-19T10:30:00.000Z"}
    waits = at(e.WaitingForWorker, 3, tick=True, message_id=None, **said, **queued)
    stuck = folded(*FACTS[:3], waits)
    assert "\nProblem: No <Worker> polls. Why: none is there. Next: start one\n" in stuck.to_text()
    assert "<strong>Problem:</strong> No &lt;Worker&gt; polls." in stuck.to_html()
    assert "Problem" not in folded(*FACTS[:3]).to_text() + folded(*FACTS[:3]).to_html()


def test_that_the_server_is_away_stands_in_its_text_and_its_html_too() -> None:
    away = folded(*FACTS[:3], at(e.Reconnecting, 3, tick=True, message_id=None, error="refused"))
    back = folded(*FACTS[:3], at(e.Reconnected, 4, tick=True, message_id=None, away=1.0))
    for told, is_told in ((away, True), (back, False)):
        assert ("Server not reachable" in told.to_text(), "Server not reachable" in told.to_html()) == (
            is_told,
            is_told,
        )


def test_without_a_widget_it_reads_as_text_and_as_harmless_html() -> None:
    hostile = [
        STARTED,
        at(e.MessageReceived, 3, text="<script>x</script>\x00"),
        at(e.ToolCalled, 6, **TOOL, arguments={"city": "<img src=x>"}),
        at(e.MessageAnswered, 10, text="**bold** <b>not</b> ![x](http://y/z.png)"),
    ]
    page, text = folded(*hostile).to_html(), folded(*hostile).to_text()
    assert "<strong>bold</strong>" in page
    for markup in ("<script", "<img", "<b>", "\x00"):
        assert markup not in page
    assert "\x00" not in text
    assert 'get_weather({"city": "<img src=x>"})' in text
    assert "No conversation yet" in Conversation().to_html()


def test_the_server_coming_and_going_is_in_the_summary() -> None:
    away = at(e.Reconnecting, 5, tick=True, message_id=None, error="x")
    back = at(e.Reconnected, 5, tick=True, message_id=None, away=1.0)
    assert not folded(STARTED, away).summary.connected
    assert folded(STARTED, away, back).summary.connected

"""What a conversation keeps and hands on: whole turns within bounds."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from durable_demo.agent.model import ToolCall
from durable_demo.errors import InvalidInput
from durable_demo.workflows.chat_data import (
    CONTEXT_BYTES,
    MAX_FORGOTTEN,
    STATE_BYTES,
    ChatInput,
    ChatState,
    ChatTurn,
    Step,
    UserMessage,
)


def turn(number: int, *, size: int = 10, result: int = 10, status: str = "answered", retry_of: str = "") -> ChatTurn:
    call = ToolCall("call_1", "get_weather", {"city": "London"})
    return ChatTurn(
        id=f"m{number}", text=f"question {number}", received_at=1.0, retry_of=retry_of, status=status,
        steps=[Step("Let me look...", [call], [json.dumps({"text": "x" * result})])],
        answer=f"answer {number}" + "x" * size, ended_at=None if status in {"queued", "answering"} else 2.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        (" \n\t ", "empty"),
        ("x" * 4_001, "4,001 characters; 4,000 are the most"),
        ("nul\x00", "control characters"),
        ("escape \x1b[31m", "control characters"),
        ("carriage\x0breturn", "control characters"),
        ("half an emoji \ud83d", "control characters"),
        (None, "must be text, not NoneType"),
        (7, "must be text, not int"),
        (float("nan"), "must be text, not float"),
    ],
)
def test_a_message_that_cannot_be_sent_says_why(text: object, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        UserMessage("m1", text).checked()  # type: ignore[arg-type]


@pytest.mark.parametrize("message_id", ["", "a b", "x" * 65, "<b>", "ü", "a:b", None, 7, "line\n"])
def test_a_message_id_is_plain(message_id: object) -> None:
    with pytest.raises(InvalidInput, match="message_id must have"):
        UserMessage(message_id, "hello").checked()  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["x" * 4_000, "👩‍💻 e\u0301", "two\nlines", "<b>&amp;</b>", "عربي"])
def test_any_other_text_can_be_sent(text: str) -> None:
    assert UserMessage("m1", f"  {text} \n").checked().text == text


def test_a_model_gets_the_turns_as_messages_with_the_results_of_tools() -> None:
    told = [(message.role, message.text[:8], message.tool) for message in turn(1).messages()]
    assert told == [
        ("user", "question", ""),
        ("assistant", "Let me l", ""),
        ("tool", '{"text":', "get_weather"),
        ("assistant", "answer 1", ""),
    ]
    assert UserMessage("m1", "a\tb\r\nc").checked().text == "a   b\nc"
    with pytest.raises(InvalidInput, match="repeat itself"):
        UserMessage("m1", "again", retry_of="m1").checked()
    assert turn(1, status="stopped").messages()[-1].text == "(stopped)"


def test_the_context_is_cut_at_whole_turns_and_has_always_the_current_one() -> None:
    turns = [turn(number, size=5_000) for number in range(10)]
    current = turn(10, size=CONTEXT_BYTES, status="answering")
    messages = ChatState(turns=[*turns, turn(99, status="queued")]).context(current)
    assert [message.text for message in messages if message.role == "user"] == ["question 10"]
    small = turn(10, status="answering")
    messages = ChatState(turns=[*turns, small]).context(small)
    asked = [message.text for message in messages if message.role == "user"]
    assert asked == ["question 6", "question 7", "question 8", "question 9", "question 10"]
    assert messages[0].role == "user"
    assert len(json.dumps([asdict(message) for message in messages])) < 2 * CONTEXT_BYTES


def test_a_turn_that_is_too_large_counts_with_its_question_and_answer() -> None:
    large, current = turn(2, result=CONTEXT_BYTES), turn(3, status="answering")
    messages = ChatState(turns=[turn(1), large, current]).context(current)
    assert [message.role for message in messages[-5:-2]] == ["user", "assistant", "user"]
    assert [message.text for message in messages if message.role == "user"] == [
        "question 1",
        "question 2",
        "question 3",
    ]
    huge = ChatState(turns=[turn(1), turn(2, result=STATE_BYTES)]).trimmed()
    assert [(kept.id, len(kept.steps)) for kept in huge.turns] == [("m1", 1), ("m2", 0)]


def test_a_turn_that_is_repeated_is_forgotten_by_the_model() -> None:
    current = turn(3, status="answering", retry_of="m2")
    stopped = turn(4, status="stopped", retry_of="m1")
    messages = ChatState(turns=[turn(1), turn(2, status="failed"), stopped, current]).context(current)
    assert [message.text for message in messages if message.role == "user"] == [
        "question 1",
        "question 4",
        "question 3",
    ]


def test_a_state_is_handed_over_within_its_bounds_and_knows_every_message_it_has_seen() -> None:
    turns = [turn(number, size=9_000) for number in range(60)]
    trimmed = ChatState(turns=turns, forgotten=["old"], total_messages=61).trimmed()
    assert len(json.dumps(asdict(trimmed))) < STATE_BYTES + 1_000
    assert 15 < len(trimmed.turns) < 25
    assert trimmed.turns[-1] is turns[-1]
    assert {"old", *(turn.id for turn in turns)} == {*trimmed.forgotten, *(turn.id for turn in trimmed.turns)}
    assert trimmed.total_messages == 61
    many = ChatState(forgotten=[str(number) for number in range(5_000)]).trimmed()
    assert many.forgotten == [str(number) for number in range(5_000 - MAX_FORGOTTEN, 5_000)]


@pytest.mark.parametrize("limit", [19, 10_001, True, 7.5, "100", None])
def test_a_history_limit_out_of_range_says_so(limit: object) -> None:
    with pytest.raises(InvalidInput, match="history_limit"):
        ChatInput(history_limit=limit).checked()  # type: ignore[arg-type]

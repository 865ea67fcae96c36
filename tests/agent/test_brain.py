"""The offline brain: questions from a table through the whole loop with the real tools, and what must never happen."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_demo.agent.brain import NAME, plan
from durable_demo.agent.model import Message, ModelReply, ToolCall
from durable_demo.agent.tools import TOOLS
from durable_demo.errors import InvalidInput
from durable_demo.settings import ENV_WEATHER
from tests.agent.questions import HOSTILE, INJECTION, NYC, QUESTIONS, Hostile, Question

MOST_STEPS = 6


@pytest.fixture(autouse=True)
def _typical_weather(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENV_WEATHER, raising=False)


@dataclass
class Conversation:
    """Drives the loop of the agent, as the workflow does."""

    messages: list[Message] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    meantime: str = ""

    def ask(self, question: str) -> str:
        self.messages.append(Message("user", question))
        self.calls, self.results, self.meantime = [], [], ""
        for _ in range(MOST_STEPS):
            reply = plan(self.messages)
            assert reply.model == NAME
            assert reply.text.strip()
            self.messages.append(Message("assistant", reply.text, reply.calls))
            if not reply.calls:
                return reply.text
            self.meantime = reply.text
            for call in reply.calls:
                self.calls.append(call)
                self.results.append(run_tool(call))
                self.messages.append(Message("tool", json.dumps(self.results[-1]), call_id=call.id, tool=call.name))
        raise AssertionError("no answer")


def run_tool(call: ToolCall) -> dict[str, Any]:
    try:
        return TOOLS[call.name](**call.arguments)
    except InvalidInput as error:
        return {"error": str(error)}


# --- figures ---------------------------------------------------------------------------------------------------------


def fahrenheit(celsius: float) -> int:
    return round(celsius * 9 / 5 + 32)


FIGURES: dict[str, Callable[[dict[str, Any]], str]] = {
    "fahrenheit": lambda r: f"{fahrenheit(r['temperature_c'])}°F",
    "celsius": lambda r: f"{round(r['temperature_c'])}°C",
    "mph": lambda r: f"{round(r['wind_kmh'] / 1.609344)} mph",
    "km/h": lambda r: f"{round(r['wind_kmh'])} km/h",
    "humidity": lambda r: f"{r['humidity_percent']}%",
    "conditions": lambda r: r["days"][0]["conditions"] if "days" in r else r["conditions"],
    "wind_from": lambda r: r["wind_from"],
    "weekday": lambda r: r["days"][-1]["weekday"] if "days" in r else r["weekday"],
    "low_c": lambda r: str(round(r["days"][0]["low_c"])),
    "high_c": lambda r: f"{round(r['days'][0]['high_c'])}°C",
    "low_f": lambda r: str(fahrenheit(r["days"][0]["low_c"])),
    "high_f": lambda r: f"{fahrenheit(r['days'][0]['high_c'])}°F",
    "clock": lambda r: r["local_time"][11:16],
    "population": lambda r: f"{r['population']:,}",
    "elevation": lambda r: f"{r['elevation_m']:,} m",
    "latitude": lambda r: f"{abs(r['latitude']):.2f}°",
    "longitude": lambda r: f"{abs(r['longitude']):.2f}°",
}


def figures(text: str) -> list[float]:
    return [float(number.replace(",", "")) for number in re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", text)]


def told(result: object) -> list[float]:
    """Every figure of a tool result, also in the units that an answer may tell it in."""
    if isinstance(result, dict):
        return [figure for value in result.values() for figure in told(value)]
    if isinstance(result, list):
        return [figure for value in result for figure in told(value)]
    if isinstance(result, str):
        return figures(result)
    if isinstance(result, int | float):
        return [abs(result), abs(result * 9 / 5 + 32), abs(result / 1.609344)]
    return []


def invented(answer: str, question: str, results: Sequence[dict[str, Any]]) -> list[float]:
    """Figures of an answer that are neither in a result nor in the question nor a difference of two that are."""
    known = [figure for result in results for figure in told(result)] + figures(question)
    known += [abs(a - b) for a in known for b in known] if len(results) > 1 else []
    shown = re.sub(r"“[^”]*”", "", answer)  # an example question, or what the person said
    return [figure for figure in figures(shown) if not any(abs(figure - one) <= 1 for one in known)]


# --- the table -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
def test_a_question_is_answered_with_the_facts(question: Question) -> None:
    conversation = Conversation()
    for asked in question.asked:
        answer = conversation.ask(asked)
    assert [(call.name, call.arguments) for call in conversation.calls] == list(question.calls)
    for result in conversation.results:
        for name in question.figures:
            assert FIGURES[name](result) in answer, name
    for words in question.words:
        assert any(one in answer.lower() for one in words.lower().split("|")) or words in answer, words
    for words in question.never:
        assert words.lower() not in answer.lower()
    assert not invented(answer, " ".join(question.asked), conversation.results)


@pytest.mark.parametrize("hostile", HOSTILE, ids=str)
def test_a_hostile_message_is_answered_politely_and_harmlessly(hostile: Hostile) -> None:
    conversation = Conversation()
    for _ in range(2):  # the second time also with the first one in the conversation
        answer = conversation.ask(hostile.asked)
        assert [(call.name, call.arguments) for call in conversation.calls] == list(hostile.calls)
        assert len(answer) < 1000
        for words in hostile.never:
            assert words.lower() not in answer.lower()
    assert "London" in conversation.ask("weather in London")


# --- the words -------------------------------------------------------------------------------------------------------

NEW_YORK = {
    "place": "New York City, United States",
    "city": "New York City",
    "country": "United States",
    "country_code": "US",
    "local_time": "2026-11-22T11:03",
    "temperature_c": 7.2,
    "conditions": "partly cloudy",
    "humidity_percent": 65,
    "wind_kmh": 16.0,
    "wind_from": "northwest",
    "source": "typical values, not a live reading",
}
DAYS = [
    {
        "date": f"2026-11-{22 + number}",
        "weekday": f"{date(2026, 11, 22 + number):%A}",
        "low_c": 4.0,
        "high_c": 11.0,
        "conditions": "light rain",
        "humidity_percent": 70,
        "wind_kmh": 12.0,
        "wind_from": "west",
    }
    for number in range(7)
]


def after(question: str, result: object, *, earlier: Sequence[Message] = ()) -> ModelReply:
    """What follows when a tool has returned this."""
    messages = [*earlier, Message("user", question)]
    asked = plan(messages)
    messages.append(Message("assistant", asked.text, asked.calls))
    text = result if isinstance(result, str) else json.dumps(result)
    return plan([*messages, *(Message("tool", text, call_id=call.id, tool=call.name) for call in asked.calls)])


def test_the_answer_of_the_demo_reads_like_a_person_wrote_it() -> None:
    asked = plan([Message("user", NYC)])
    assert asked.text == "Let me check the weather for you..."
    assert after(NYC, NEW_YORK).text == (
        "In New York City it's currently 45°F (7°C) with partly cloudy skies. The humidity is 65% and winds are from "
        "the northwest at 10 mph.\n\n_These are typical values for the date, not a live reading._"
    )


def test_live_weather_is_not_called_typical_and_a_note_is_passed_on() -> None:
    live = after(NYC, {**NEW_YORK, "source": "open-meteo.com, live"}).text
    assert "typical" not in live
    assert "open-meteo.com, live" in live
    note = "open-meteo.com did not answer (timeout): these are typical values"
    assert note in after(NYC, {**NEW_YORK, "note": note}).text


def test_the_weekend_asked_on_a_sunday_is_that_day_alone() -> None:
    result = {**NEW_YORK, "days": DAYS}
    assert "on Sunday" in after("What about the weekend in NYC?", result).text
    later = {**NEW_YORK, "days": DAYS[1:]}
    assert "Saturday" in after("What about the weekend in NYC?", later).text


def test_the_wording_varies_and_is_the_same_again() -> None:
    call = ToolCall("a", "get_weather", {"city": "Oslo"})
    earlier = [Message("user", "weather in Oslo"), Message("assistant", "", [call]), Message("assistant", "Fine!")]
    questions = [f"weather in NYC{'!' * number}" for number in range(12)]
    answers = [after(question, NEW_YORK, earlier=earlier).text for question in questions]
    assert len(set(answers)) > 1
    assert answers == [after(question, NEW_YORK, earlier=earlier).text for question in questions]


def test_ids_of_calls_are_unique_within_a_reply() -> None:
    ids = [call.id for call in plan([Message("user", "Which is warmer, Cairo or Oslo?")]).calls]
    assert ids == ["call_1_1", "call_1_2"]


# --- tool results are data -------------------------------------------------------------------------------------------


def test_a_tool_that_failed_is_told_with_its_reason() -> None:
    answer = after(NYC, {"error": "The weather service is closed.\nNext: try again later"}).text
    assert answer == "I could not get the weather for New York City: The weather service is closed. Try again later."


def test_one_failed_tool_of_two_does_not_hide_the_other() -> None:
    messages = [Message("user", "weather in NYC and Oslo")]
    first, second = plan(messages).calls
    answer = plan(
        [
            *messages,
            Message("assistant", "...", [first, second]),
            Message("tool", json.dumps(NEW_YORK), call_id=first.id, tool=first.name),
            Message("tool", '{"error": "broken"}', call_id=second.id, tool=second.name),
        ]
    ).text
    assert "45°F" in answer
    assert "I could not get the weather for Oslo: Broken." in answer


@pytest.mark.parametrize("name", ["city", "conditions", "wind_from", "source", "note", "error", "country_code"])
def test_an_instruction_in_a_tool_result_is_neither_followed_nor_rendered(name: str) -> None:
    reply = after(NYC, {**NEW_YORK, name: INJECTION})
    assert not reply.calls
    assert not re.search(r"[<>\[\]`]|https?:", reply.text)


@pytest.mark.parametrize(
    "result",
    ["", "no JSON", "[]", "null", "7", '{"a": NaN}', "{}", "[" * 5000, "1" * 5000, '{"temperature_c": "7"}'],
    ids=lambda result: result[:12] or "empty",
)
def test_a_result_of_another_shape_is_declined_politely(result: str) -> None:
    assert after(NYC, result).text.startswith("I could not get the weather for New York City")


def test_a_call_whose_result_is_missing_is_told() -> None:
    messages = [Message("user", NYC), Message("assistant", "...", [ToolCall("a", "get_weather", {"city": "NYC"})])]
    assert plan(messages).text.startswith("I could not get the weather for New York City")


# --- the conversation ------------------------------------------------------------------------------------------------


def test_a_turn_that_another_model_led_is_understood_by_its_calls() -> None:
    messages = [
        Message("user", "Schönes Wetter in der Stadt mit dem Prater?"),
        Message("assistant", "", [ToolCall("x", "get_weather", {"city": "vienna"})]),
        Message("tool", json.dumps(NEW_YORK), call_id="x", tool="get_weather"),
        Message("assistant", "Lovely!"),
        Message("user", "and tomorrow?"),
    ]
    assert [call.arguments["city"] for call in plan(messages).calls] == ["Vienna"]


def test_a_conversation_cut_before_the_city_is_asked_back() -> None:
    assert "Which city do you mean?" in plan([Message("user", "and tomorrow?")]).text


def test_no_message_or_only_those_of_the_agent_get_a_polite_answer() -> None:
    for messages in ([], [Message("assistant", "Hello")], [Message("tool", "{}", call_id="a", tool="get_time")]):
        assert "For example" in plan(messages).text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
fields = st.dictionaries(st.sampled_from([*NEW_YORK, "days", "error", "note", "value", "expression"]), json_values)
spoiled = st.builds(lambda changes: json.dumps({**NEW_YORK, "days": DAYS, **changes}), fields)
names = st.sampled_from([*TOOLS, "", "rm"])
words = st.sampled_from(
    [
        "weather",
        "in",
        "Oslo",
        "NYC",
        "tomorrow",
        "and",
        "what",
        "is",
        "warmer",
        "time",
        "how",
        "big",
        "12",
        "%",
        "of",
        "5",
        "km",
        "to",
        "miles",
        "2",
        "+",
        "(",
        ")",
        "^",
        "weekend",
        "F",
        "?",
        "°",
    ]
)
texts = st.text(max_size=200) | st.lists(words, max_size=12).map(" ".join)
any_message = st.one_of(
    st.builds(Message, st.just("user"), texts),
    st.builds(Message, st.just("tool"), st.text(max_size=50) | json_values.map(json.dumps) | spoiled, tool=names),
    st.builds(
        Message,
        st.just("assistant"),
        texts,
        st.lists(
            st.builds(ToolCall, st.text(max_size=5), names, st.dictionaries(st.text(max_size=5), json_values)),
            max_size=3,
        ),
    ),
)


@settings(max_examples=400)
@given(st.lists(any_message, max_size=8))
def test_nothing_in_a_conversation_makes_it_raise(messages: list[Message]) -> None:
    reply = plan(messages)
    assert reply.text.strip()
    assert reply == plan(messages)


@settings(max_examples=300)
@given(texts, st.lists(spoiled | json_values.map(json.dumps), max_size=3), names)
def test_no_tool_result_makes_it_raise(question: str, results: list[str], tool: str) -> None:
    calls = [ToolCall(str(number), tool, {"city": "Oslo"}) for number in range(len(results))]
    answers = [Message("tool", text, call_id=str(number), tool=tool) for number, text in enumerate(results)]
    assert plan([Message("user", question), Message("assistant", "", calls), *answers]).text.strip()


@settings(max_examples=200)
@given(texts)
def test_what_it_asks_of_a_tool_is_taken_by_the_tool(question: str) -> None:
    for call in plan([Message("user", question)]).calls:
        result = run_tool(call)  # raises what is no InvalidInput
        assert isinstance(result, dict)

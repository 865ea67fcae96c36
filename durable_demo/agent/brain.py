"""The offline brain: decides by rules, as a language model would, which tools a question needs, and what to answer.

It keeps nothing between two calls: what "and tomorrow?" means is read from the messages each time. So any process may
be asked, and after a crash it says the same again.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from durable_demo.agent.answers import Result, answer
from durable_demo.agent.model import Message, ModelReply, ToolCall
from durable_demo.agent.places import find_place, similar_names
from durable_demo.agent.sums import LONGEST_EXPRESSION, Conversion
from durable_demo.agent.talk import courtesy, examples, quoted, refusal, small_talk
from durable_demo.agent.telling import Style, listed
from durable_demo.agent.understanding import NOW, Period, Reading, Topic, Unit, city_argument, read

NAME = "offline brain (rules)"

MOST_CITIES = 6
"""Cities that one question is looked up for: more are no comparison that a person reads."""
_TURNS_READ = 30
"""Turns that a follow-up is understood from."""


def plan(messages: Sequence[Message]) -> ModelReply:
    """Answers the last message of a conversation, or asks for the tools that it needs for that.

    Pure: the same messages give the same reply. It raises nothing, whatever stands in the messages; text in a tool's
    result is never followed, and no figure is told that is not from a tool.

    Args:
        messages: The conversation, oldest first; it may have been cut at whole turns.

    Returns:
        A line for the meantime with tool calls, or the answer.
    """
    turns = _turns(messages)
    if not turns:
        return ModelReply(refusal(0), model=NAME)
    turn, earlier = turns[-1], turns[:-1]
    known = Request()
    for past in earlier[-_TURNS_READ:]:
        known = _remembered(known, _request(read(past.question), known), past.calls)
    variant = zlib.crc32(turn.question.encode(errors="replace")) if earlier else 0
    # The first answer with a tool is always worded alike; later ones vary.
    first = not any(past.calls for past in earlier)
    request = _request(read(turn.question), known)
    if turn.calls or turn.results:
        return ModelReply(answer(_results(turn), request.style(0 if first else variant)), model=NAME)
    if reply := small_talk(turn.question, [past.question for past in earlier], variant):
        return ModelReply(reply, model=NAME)
    if request.problem or not request.topic:
        return ModelReply(_without_tools(request, turn.question, variant), model=NAME)
    # A turn has one step with tools, so these ids are unique in it.
    calls = [ToolCall(f"call_1_{number}", *wish) for number, wish in enumerate(_wishes(request), 1)]
    return ModelReply(_meantime(request, 0 if first else variant), calls, NAME)


# --- the conversation ------------------------------------------------------------------------------------------------


@dataclass
class Turn:
    """What a person said, and what was done about it."""

    question: str
    calls: list[ToolCall] = field(default_factory=list)
    results: list[Message] = field(default_factory=list)


def _turns(messages: Sequence[Message]) -> list[Turn]:
    turns: list[Turn] = []
    for message in messages:
        if message.role == "user":
            turns.append(Turn(message.text))
        elif turns and message.role == "tool":
            turns[-1].results.append(message)
        elif turns:
            turns[-1].calls += message.calls
    return turns


@dataclass(frozen=True)
class Request:
    """What a message asks for, with what it leaves out taken from the conversation (fields: see `Reading`).

    Attributes:
        seen: Cities that were spoken of, the latest last.
        problem: Why there is nothing to look up: a key of `_PROBLEMS`, or `place`; empty if there is.
    """

    topic: Topic = ""
    cities: tuple[str, ...] = ()
    period: Period = NOW
    also_time: bool = False
    focus: str = ""
    compare: str = ""
    unit: Unit = ""
    expression: str = ""
    conversion: Conversion | None = None
    seen: tuple[str, ...] = ()
    problem: str = ""
    unknown_place: str = ""

    def style(self, variant: int) -> Style:
        """How its answer is to be told."""
        return Style(self.focus, self.compare, self.unit, self.period, variant)


def _request(reading: Reading, known: Request) -> Request:
    """What a message asks for, after what is known from the ones before it."""
    same = replace(known, problem="", unknown_place="", unit=reading.unit or known.unit)
    if reading.topic == "calculate":
        return _sum(reading.expression, same)
    if reading.topic == "convert":
        return replace(same, topic="convert", conversion=reading.conversion)
    if reading.follows:
        return _follow_up(reading, same)
    if not reading.topic:
        return replace(same, topic="")
    inherits = known.topic == reading.topic and not reading.places
    asked = replace(
        same,
        topic=reading.topic,
        period=reading.period or (known.period if inherits else NOW),
        also_time=reading.also_time,
        focus=reading.focus,
        compare=reading.compare,
    )
    cities = reading.places
    if reading.compare and len(cities) < 2:
        spoken_of = known.cities if len(known.cities) > 1 else known.seen[-2:]
        cities = tuple(dict.fromkeys((*known.cities[-1:], *cities) if cities else spoken_of))
    return _placed(reading, asked, cities)


def _follow_up(reading: Reading, known: Request) -> Request:
    """What "How about London?", "and tomorrow?" or "in miles?" asks for."""
    if known.topic == "convert" and known.conversion and reading.other_unit:
        return replace(known, conversion=replace(known.conversion, to_unit=reading.other_unit))
    if reading.other_unit and not reading.unit:
        return replace(known, topic="")
    if known.topic not in ("weather", "time", "city"):
        known = replace(known, topic="weather", period=NOW, also_time=False, focus="", compare="")
    asked = replace(known, period=reading.period or known.period)
    cities = (*known.cities, *reading.places) if known.compare and reading.places else reading.places
    return _placed(reading, asked, cities)


def _sum(expression: str, same: Request) -> Request:
    if not expression.startswith(("+", "*", "/", "^", "- ")):
        return replace(same, topic="calculate", expression=expression)
    whole = f"({same.expression}) {expression}"
    if not same.expression or len(whole) > LONGEST_EXPRESSION:
        return replace(same, topic="")
    return replace(same, topic="calculate", expression=whole)


def _placed(reading: Reading, asked: Request, cities: tuple[str, ...]) -> Request:
    """The request with its cities, by default those spoken of last, or with the problem that it has with them."""
    problem: str = reading.beyond if asked.topic == "weather" else ""
    if reading.unknown_place:
        problem = "place"
    elif reading.here and not cities:
        problem = "here"
    elif reading.compare and len(cities) < 2:
        problem = problem or "two cities"
    elif not cities:
        cities = asked.cities
        problem = problem or ("" if cities else "city")
    cities = tuple(dict.fromkeys(cities))
    if len(cities) > MOST_CITIES:
        cities, problem = cities[:MOST_CITIES], problem or "many"
    seen = (*(city for city in asked.seen if city not in cities), *cities)[-MOST_CITIES:]
    return replace(asked, cities=cities, seen=seen, problem=problem, unknown_place=reading.unknown_place)


_TOPICS: dict[str, Topic] = {
    "get_weather": "weather",
    "get_forecast": "weather",
    "get_time": "time",
    "get_city": "city",
}


def _remembered(known: Request, request: Request, calls: Sequence[ToolCall]) -> Request:
    """What is known after a turn. What was really looked up counts: another model may have led that turn."""
    if not request.topic:
        request = replace(known, unit=request.unit)
    cities = tuple(dict.fromkeys(_city(call) for call in calls if call.name in _TOPICS and _city(call)))
    if not cities:
        return request if request.cities else replace(request, cities=known.cities, compare="")
    if cities != request.cities:
        topic = next(_TOPICS[call.name] for call in calls if call.name in _TOPICS)
        seen = (*(city for city in known.seen if city not in cities), *cities)[-MOST_CITIES:]
        request = replace(request, topic=topic, cities=cities[-MOST_CITIES:], seen=seen, problem="")
    return request


def _city(call: ToolCall) -> str:
    name = call.arguments.get("city")
    place = find_place(name[:100]) if isinstance(name, str) else None
    return city_argument(place) if place else ""


# --- tools -----------------------------------------------------------------------------------------------------------


def _wishes(request: Request) -> list[tuple[str, dict[str, Any]]]:
    """The tools to call, with their arguments."""
    if request.topic == "calculate":
        return [("calculate", {"expression": request.expression})]
    if request.topic == "convert" and request.conversion:
        wish = request.conversion
        return [("convert_units", {"value": wish.value, "from_unit": wish.from_unit, "to_unit": wish.to_unit})]
    tool = {"weather": "get_weather", "time": "get_time", "city": "get_city"}[request.topic]
    days: dict[str, int] = {}
    if request.topic == "weather" and request.period.days:
        tool, days = "get_forecast", {"days": request.period.days, "start_in_days": request.period.start}
    wishes: list[tuple[str, dict[str, Any]]] = [(tool, {"city": city, **days}) for city in request.cities]
    if request.also_time:
        wishes += [("get_time", {"city": city}) for city in request.cities]
    return wishes


def _meantime(request: Request, variant: int) -> str:
    """The line that is read while the tools run."""
    cities = listed(request.cities) if request.cities else ""
    lines: dict[str, tuple[str, ...]] = {
        "weather": (
            "Let me check the weather for you...",
            f"Let me see what the weather is like in {cities}...",
            f"One moment, I'm looking at the sky over {cities}...",
        ),
        "forecast": ("Let me check the forecast for you...", f"Let me look ahead for {cities}..."),
        "time": ("Let me look at the clock...", f"Let me see what the clocks say in {cities}..."),
        "city": ("Let me look that up...", f"Let me see what I have on {cities}..."),
        "calculate": ("Let me work that out...", "Let me do the sum..."),
        "convert": ("Let me convert that...",),
    }
    wordings = lines["forecast" if request.topic == "weather" and request.period.days else request.topic]
    return wordings[variant % len(wordings)]


def _results(turn: Turn) -> list[Result]:
    cities = {call.id: _city(call) for call in turn.calls}
    results = [Result(result.tool, _parsed(result.text), cities.get(result.call_id, "")) for result in turn.results]
    answered = {result.call_id for result in turn.results}
    return results + [Result(call.name, None, cities[call.id]) for call in turn.calls if call.id not in answered]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


# --- without tools ---------------------------------------------------------------------------------------------------

_PROBLEMS: dict[str, str] = {
    "city": "Which city do you mean?",
    "here": "I don't know where you are. Which city do you mean?",
    "two cities": "Which cities shall I compare?",
    "many": "Those are too many cities for me at once: six at most, please.",
    "past": "I can't look back into the past, only at the weather now and up to a week ahead.",
    "future": "That is too far ahead for me: I know the weather now and up to a week ahead.",
}


def _without_tools(request: Request, question: str, variant: int) -> str:
    """The answer to what no tool is asked for: a question back, a courtesy, or a polite refusal."""
    if request.problem == "place":
        name = quoted(request.unknown_place, 60)
        similar = " or ".join(similar_names(request.unknown_place))
        hint = f"did you mean {similar}?" if similar else "I know the larger cities of the world."
        return f"I don't know a place called {name}; {hint} {examples(variant)}"
    if request.problem:
        return f"{_PROBLEMS[request.problem]} {examples(variant)}"
    return courtesy(question, variant) or refusal(variant)

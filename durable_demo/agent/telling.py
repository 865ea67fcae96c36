"""What all answers are made of: how they are to be told, and the fields of a tool's result, each as what it must be.

A result is data: what is not the number, the date or the few plain words that a field is expected to hold is not shown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from durable_demo.agent.places import find_place, is_ambiguous
from durable_demo.agent.talk import plain
from durable_demo.agent.understanding import NOW, WEEKDAYS, Period, Unit

Fields = dict[str, Any]
"""A tool's result."""

LONGEST_ERROR = 200
"""Characters of a tool's error or note that are told at most."""


@dataclass(frozen=True)
class Style:
    """How an answer is to be told (see `Reading`)."""

    focus: str = ""
    compare: str = ""
    unit: Unit = ""
    period: Period = NOW
    variant: int = 0


class Unreadable(ValueError):
    """A tool result lacks a field, or holds something else in it."""


def number(result: Fields, key: str) -> float:
    value = result.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300 or math.isnan(value):
        raise Unreadable(key)
    return value


def text(result: Fields, key: str) -> str:
    """A name: words of any language, as plain text."""
    value = result.get(key)
    shown = plain(value, 80) if isinstance(value, str) else ""
    if not shown:
        raise Unreadable(key)
    return shown


def city_of(result: Fields) -> str:
    """The city's name; the whole label where the name alone may mean another one."""
    name, label = text(result, "city"), text(result, "place")
    place = find_place(label)
    return label if place is not None and is_ambiguous(place) else name


def words(result: Fields, key: str) -> str:
    """One of the few plain words that describe a sky, a wind or a day."""
    value = result.get(key)
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z][A-Za-z, -]{0,39}", value):
        raise Unreadable(key)
    if key == "weekday" and value not in WEEKDAYS:
        raise Unreadable(key)
    return value


def date_of(day: Fields) -> str:
    try:
        date = datetime.fromisoformat(str(day.get("date")))
    except ValueError:
        raise Unreadable("date") from None
    return f"{words(day, 'weekday')}, {date.day} {date:%B}"


def listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


_SUPERLATIVES = {
    "warmer": "warmest",
    "colder": "coldest",
    "windier": "windiest",
    "more humid": "most humid",
    "bigger": "biggest",
    "smaller": "smallest",
    "higher": "highest",
}


def ranking(results: Sequence[Fields], compare: str, measure: Callable[[Fields], int], unit: str) -> str:
    """Who wins, with the rounded figures that are shown, so that they add up for the reader."""
    known = compare if compare in _SUPERLATIVES else "warmer"
    order = sorted(results, key=measure, reverse=known not in ("colder", "smaller"))
    best, last = measure(order[0]), measure(order[-1])
    space = "" if unit.startswith(("°", "%")) else " "

    def shown(value: int) -> str:
        return f"{value:,}{space}{unit}"

    leaders = [city_of(result) for result in order if measure(result) == best]
    others = order[len(leaders) :]
    if not others:
        return f"{listed(leaders)} are level at {shown(best)}: none is {known}."
    if len(order) == 2:
        return (
            f"**{leaders[0]}** is {known}: {shown(best)} against {shown(last)} in {city_of(others[0])}, a difference "
            f"of {shown(abs(best - last))}."
        )
    followers = listed([f"{city_of(result)} ({shown(measure(result))})" for result in others])
    verb = "is" if len(leaders) == 1 else "are"
    return f"**{listed(leaders)}** {verb} the {_SUPERLATIVES[known]} at {shown(best)}, followed by {followers}."

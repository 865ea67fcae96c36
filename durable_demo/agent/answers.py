"""The words of an answer, made from what the tools returned: every figure in them is a tool's."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from durable_demo.agent.talk import plain
from durable_demo.agent.telling import LONGEST_ERROR, Fields, Style, Unreadable, city_of, number, ranking, text, words
from durable_demo.agent.weather_answers import tell_forecast, tell_weather


@dataclass(frozen=True)
class Result:
    """What a tool returned: `data` is its JSON object, or what it really was."""

    tool: str
    data: Any
    city: str = ""


def answer(results: Sequence[Result], style: Style) -> str:
    """Tells the results in one answer; of those that failed it says so, and why."""
    parts: list[str] = []
    failures: list[str] = []
    for tool, tell in _TELLERS.items():
        good: list[Fields] = []
        for result in results:
            if result.tool == tool and (problem := _problem(result, tell, style)):
                failures.append(problem)
            elif result.tool == tool:
                good.append(result.data)
        try:
            parts += [tell(good, style)] if good else []
        except Unreadable:
            failures.append(_failure(tool, "", ""))
    failures += [_failure(result.tool, result.city, "") for result in results if result.tool not in _TELLERS]
    return "\n\n".join([*parts, *dict.fromkeys(failures)])


def _problem(result: Result, tell: Callable[[Sequence[Fields], Style], str], style: Style) -> str:
    """What to say of a result that cannot be told; empty if it can."""
    data = result.data
    if not isinstance(data, dict):
        return _failure(result.tool, result.city, "")
    if "error" in data:
        reason = data["error"]
        return _failure(result.tool, result.city, reason if isinstance(reason, str) else "")
    try:
        tell([data], style)
    except Unreadable:
        return _failure(result.tool, result.city, "")
    return ""


_WISHES = {
    "get_weather": "get the weather",
    "get_forecast": "get the forecast",
    "get_time": "find out the time",
    "get_city": "look that city up",
    "calculate": "work that out",
    "convert_units": "convert that",
}


_LABEL = re.compile(r"^(?:Why|Next): ")
"""How an error of ours names its reason and its remedy."""


def _failure(tool: str, city: str, reason: str) -> str:
    wish = _WISHES.get(tool, "get that")
    place = f" for {plain(city, 60)}" if city and tool in ("get_weather", "get_forecast") else ""
    sentences = [_LABEL.sub("", line).strip().rstrip(".") for line in reason.replace("*", "×").splitlines()]
    reason = ". ".join(sentence[:1].upper() + sentence[1:] for sentence in sentences if sentence)
    shown = plain(reason, LONGEST_ERROR).rstrip(".") or "the tool gave me nothing that I can read"
    return f"I could not {wish}{place}: {shown}."


# --- time -------------------------------------------------------------------------------------------------------------


def _tell_time(results: Sequence[Fields], style: Style) -> str:
    del style
    told = []
    for result in results:
        zone = result.get("timezone")
        name = f", {zone}" if isinstance(zone, str) and re.fullmatch(r"[A-Za-z_+\-/0-9]{1,40}", zone) else ""
        now, city = _local_time(result), city_of(result)
        day = f"{words(result, 'weekday')}, {now.day} {now:%B}"
        told.append(f"It's {now:%H:%M} on {day}, in {city} (UTC{_offset(result)}{name}).")
    if len(results) == 1:
        return told[0]
    first, second = results[0], results[1]
    minutes = _offset_minutes(first) - _offset_minutes(second)
    names = (city_of(first), city_of(second))
    if minutes == 0:
        lead = f"{names[0]} and {names[1]} have the same time."
    else:
        ahead, behind = names if minutes > 0 else reversed(names)
        lead = f"{ahead} is {_hours(abs(minutes))} ahead of {behind}."
    return "\n".join([lead, "", *(f"- {line}" for line in told)])


def _local_time(result: Fields) -> datetime:
    try:
        return datetime.fromisoformat(str(result.get("local_time")))
    except ValueError:
        raise Unreadable("local_time") from None


def _offset(result: Fields) -> str:
    offset = str(result.get("utc_offset"))
    if not re.fullmatch(r"[+-]\d\d:\d\d", offset, re.ASCII):
        raise Unreadable("utc_offset")
    return offset


def _offset_minutes(result: Fields) -> int:
    offset = _offset(result)
    minutes = int(offset[1:3]) * 60 + int(offset[4:6])
    return -minutes if offset.startswith("-") else minutes


def _hours(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    parts = [f"{hours} hour{'s' * (hours != 1)}"] * (hours > 0) + [f"{rest} minutes"] * (rest > 0)
    return " and ".join(parts)


# --- cities -----------------------------------------------------------------------------------------------------------


def _tell_city(results: Sequence[Fields], style: Style) -> str:
    if len(results) > 1 and style.compare:
        key, unit = ("elevation_m", "m") if style.compare == "higher" else ("population", "people")
        return ranking(results, style.compare, lambda result: round(number(result, key)), unit)
    return "\n\n".join(_city(result, style.focus) for result in results)


_ARTICLE = re.compile(r"United |Netherlands|Philippines|Bahamas|Gambia|Maldives|.* (?:Republic|Islands)$")


def _city(result: Fields, focus: str) -> str:
    city, country = city_of(result), text(result, "country")
    people = f"{number(result, 'population'):,.0f}"
    height = f"{number(result, 'elevation_m'):,.0f} m"
    latitude, longitude = number(result, "latitude"), number(result, "longitude")
    where = (
        f"{abs(latitude):.2f}° {'S' if latitude < 0 else 'N'}, {abs(longitude):.2f}° {'W' if longitude < 0 else 'E'}"
    )
    if focus == "population":
        return f"{city}, {country}, has a population of about **{people}**."
    if focus == "elevation":
        return f"{city}, {country}, lies **{height}** above sea level."
    country = f"the {country}" if _ARTICLE.match(country) else country
    if focus == "location":
        return f"{city} is in {country}, at {where}, {height} above sea level."
    return (
        f"{city} is a city in {country} with about {people} inhabitants. It lies at {where}, {height} above sea level."
    )


# --- sums and units ---------------------------------------------------------------------------------------------------


def _tell_sum(results: Sequence[Fields], style: Style) -> str:
    del style
    return "\n\n".join(_sum(result) for result in results)


def _sum(result: Fields) -> str:
    value = _figure(number(result, "value"))
    expression = result.get("expression")
    if not isinstance(expression, str) or not re.fullmatch(r"(?:sqrt|[\d .,+\-*/^%()×÷]){1,200}", expression):
        return f"That makes **{value}**."
    if percent := re.fullmatch(r"([\d.]+) / 100 \* ([\d.]+)", expression):
        return f"{percent[1]}% of {percent[2]} is **{value}**."
    shown = expression.replace("**", "^").replace("*", "×").replace("sqrt", "√")
    return f"{shown} = **{value}**"


def _tell_conversion(results: Sequence[Fields], style: Style) -> str:
    del style
    return "\n\n".join(
        f"{_amount(result, 'value', 'from_unit')} is **{_amount(result, 'result', 'to_unit')}**." for result in results
    )


def _amount(result: Fields, key: str, unit_key: str) -> str:
    value, unit = number(result, key), result.get(unit_key)
    if not isinstance(unit, str) or not re.fullmatch(r"[\w°µ²³/·^ .]{1,40}", unit):
        raise Unreadable(unit_key)
    shown = f"{value:,.2f}".rstrip("0").rstrip(".") if 1 <= abs(value) < 1e15 else f"{value:.4g}"
    return shown + unit if unit.startswith("°") else f"{shown} {unit}"


def _figure(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) and abs(value) < 10**30 else f"{value:,.10g}"


_TELLERS: dict[str, Callable[[Sequence[Fields], Style], str]] = {
    "get_weather": tell_weather,
    "get_forecast": tell_forecast,
    "get_time": _tell_time,
    "get_city": _tell_city,
    "calculate": _tell_sum,
    "convert_units": _tell_conversion,
}

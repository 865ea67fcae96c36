"""The words of an answer about the weather, in the unit that the person knows."""

from __future__ import annotations

import re
from collections.abc import Sequence

from durable_demo.agent.talk import plain
from durable_demo.agent.telling import (
    LONGEST_ERROR,
    Fields,
    Style,
    Unreadable,
    city_of,
    date_of,
    listed,
    number,
    ranking,
    text,
    words,
)
from durable_demo.agent.understanding import WEEKEND, Period, Unit

_KM_PER_MILE = 1.609344
"""Exactly, by definition (NIST SP 811, appendix B.9)."""

_WET = re.compile(r"rain|drizzle|shower|storm|sleet")
_SNOW = re.compile(r"snow|sleet|blizzard")
_COLD_C = 10
"""Below it a warm jacket is recommended; the border is a matter of taste, and not told as a figure."""
_COOL_C = 18


def tell_weather(results: Sequence[Fields], style: Style) -> str:
    told = _weather_table(results, style) if len(results) > 1 else _weather_now(results[0], style)
    return f"{told}\n\n{_origin(results)}"


def _weather_now(result: Fields, style: Style) -> str:
    unit = style.unit or _usual_unit(result)
    city, sky = city_of(result), _sky(result)
    temperature = _temperature(number(result, "temperature_c"), unit, both=True)
    humidity = f"{number(result, 'humidity_percent'):.0f}%"
    wind = f"from the {words(result, 'wind_from')} at {_speed(result, unit)}"
    if style.focus == "wind":
        return f"The wind in {city} is {wind}. It's currently {temperature} with {sky}, and the humidity is {humidity}."
    if style.focus == "humidity":
        return f"The humidity in {city} is {humidity}. It's currently {temperature} with {sky}, and winds are {wind}."
    wordings = (
        f"In {city} it's currently {temperature} with {sky}. The humidity is {humidity} and winds are {wind}.",
        f"It's currently {temperature} in {city} with {sky}. Humidity is {humidity}, and the wind is {wind}.",
        f"{city} has {sky} at the moment, and it's {temperature}. The humidity is {humidity}; winds blow {wind}.",
    )
    advice = _advice(style.focus, words(result, "conditions"), number(result, "temperature_c"))
    return advice + wordings[style.variant % len(wordings)]


def _weather_table(results: Sequence[Fields], style: Style) -> str:
    unit = style.unit or ("F" if all(_usual_unit(result) == "F" for result in results) else "C")
    rows = [
        f"| {city_of(result)} | {_temperature(number(result, 'temperature_c'), unit)} "
        f"| {words(result, 'conditions')} | {number(result, 'humidity_percent'):.0f}% "
        f"| {words(result, 'wind_from')}, {_speed(result, unit)} |"
        for result in results
    ]
    head = ["| City | Temperature | Sky | Humidity | Wind from |", "| --- | --- | --- | --- | --- |"]
    lead = "Here is the weather right now:"
    if style.compare == "windier":
        lead = ranking(results, style.compare, lambda result: _whole_speed(result, unit), _speed_unit(unit))
    elif style.compare == "more humid":
        lead = ranking(results, style.compare, lambda result: round(number(result, "humidity_percent")), "%")
    elif style.compare:
        lead = ranking(
            results, style.compare, lambda result: _degrees(number(result, "temperature_c"), unit), f"°{unit}"
        )
    return "\n".join([lead, "", *head, *rows])


def tell_forecast(results: Sequence[Fields], style: Style) -> str:
    told = [_forecast(result, style) for result in results]
    if len(results) > 1 and style.compare in ("warmer", "colder"):
        unit = style.unit or ("F" if all(_usual_unit(result) == "F" for result in results) else "C")
        told.insert(
            0, ranking(results, style.compare, lambda result: _degrees(_first_high(result, style), unit), f"°{unit}")
        )
    return "\n\n".join([*told, _origin(results)])


def _forecast(result: Fields, style: Style) -> str:
    unit = style.unit or _usual_unit(result)
    city, days = city_of(result), _days(result, style.period)
    if len(days) == 1:
        return _one_day(city, days[0], unit, style)
    lines = [
        f"- **{date_of(day)}**: {words(day, 'conditions')}, {_range(day, unit, both=day is days[0])}, "
        f"wind {_speed(day, unit)} from the {words(day, 'wind_from')}"
        for day in days
    ]
    lead = f"This is what to expect in {city}:"
    if style.focus in ("rain", "umbrella", "snow"):
        pattern, what = (_SNOW, "snow") if style.focus == "snow" else (_WET, "rain")
        found = [words(day, "weekday") for day in days if pattern.search(words(day, "conditions"))]
        lead = f"It doesn't look like {what} in {city}:"
        if found:
            when = "each day" if len(found) == len(days) else f"on {listed(found)}"
            lead = f"{what.capitalize()} looks likely in {city} {when}:"
    cut = "\n\nI can look seven days ahead at most." if style.period.cut else ""
    return "\n".join([lead, "", *lines]) + cut


def _one_day(city: str, day: Fields, unit: Unit, style: Style) -> str:
    weekday = words(day, "weekday")
    if style.period.only or style.period.days != 1:
        when = f"on {weekday}"
    else:
        names = {0: f"today ({weekday})", 1: f"tomorrow ({weekday})"}
        when = names.get(style.period.start, f"on {date_of(day)}")
    low, high = (_temperature(number(day, key), unit, both=True) for key in ("low_c", "high_c"))
    advice = _advice(style.focus, words(day, "conditions"), number(day, "high_c"))
    wind = f"from the {words(day, 'wind_from')} at {_speed(day, unit)}"
    return (
        f"{advice}Expect {_sky(day)} in {city} {when}, with a low of {low} and a high of {high}. The humidity is "
        f"{number(day, 'humidity_percent'):.0f}%, and winds are {wind}."
    )


def _days(result: Fields, period: Period) -> list[Fields]:
    days = result.get("days")
    if not isinstance(days, list) or not 0 < len(days) <= 14 or not all(isinstance(day, dict) for day in days):
        raise Unreadable("days")
    if period.only == WEEKEND and words(days[0], "weekday") == "Sunday":
        return days[:1]  # today, and not the Saturday after it
    return [day for day in days if not period.only or words(day, "weekday") in period.only] or days


def _first_high(result: Fields, style: Style) -> float:
    return number(_days(result, style.period)[0], "high_c")


def _advice(focus: str, conditions: str, celsius: float) -> str:
    """The answer to a yes-or-no question, as a sentence of its own."""
    wet, snow = bool(_WET.search(conditions)), bool(_SNOW.search(conditions))
    if focus == "rain":
        return "Yes, it looks like rain. " if wet else "No, it doesn't look like rain. "
    if focus == "snow":
        return "Yes, it looks like snow. " if snow else "No, it doesn't look like snow. "
    if focus == "umbrella":
        return "Yes, take an umbrella. " if wet else "You probably won't need an umbrella. "
    if focus == "jacket":
        if celsius < _COLD_C:
            return "Yes, a warm jacket is a good idea. "
        return "A light jacket is a good idea. " if celsius < _COOL_C else "You won't need a jacket. "
    return ""


def _origin(results: Sequence[Fields]) -> str:
    """Where the figures come from: never let typical values pass for a reading."""
    notes = [result["note"] for result in results if isinstance(result.get("note"), str)]
    if notes:
        note = plain(notes[0], LONGEST_ERROR).rstrip(".")
        return f"_{note}._"
    sources = [text(result, "source") for result in results]
    if any("typical" in source for source in sources):
        return "_These are typical values for the date, not a live reading._"
    return f"_Source: {sources[0]}._"


def _sky(result: Fields) -> str:
    conditions = words(result, "conditions")
    if conditions.endswith("sky"):
        return f"a {conditions}"
    if re.search(r"clear|cloudy|overcast|sunny", conditions):
        return f"{conditions} skies"
    return conditions


def _usual_unit(result: Fields) -> Unit:
    return "F" if result.get("country_code") == "US" else "C"


def _degrees(celsius: float, unit: Unit) -> int:
    return round(celsius * 9 / 5 + 32) if unit == "F" else round(celsius)


def _temperature(celsius: float, unit: Unit, *, both: bool = False) -> str:
    shown = f"{_degrees(celsius, unit)}°{unit}"
    return f"{shown} ({_degrees(celsius, 'C')}°C)" if both and unit == "F" else shown


def _range(day: Fields, unit: Unit, *, both: bool) -> str:
    low, high = number(day, "low_c"), number(day, "high_c")
    shown = f"{_degrees(low, unit)} to {_degrees(high, unit)}°{unit}"
    return f"{shown} ({_degrees(low, 'C')} to {_degrees(high, 'C')}°C)" if both and unit == "F" else shown


def _speed(result: Fields, unit: Unit) -> str:
    return f"{_whole_speed(result, unit)} {_speed_unit(unit)}"


def _speed_unit(unit: Unit) -> str:
    return "mph" if unit == "F" else "km/h"


def _whole_speed(result: Fields, unit: Unit) -> int:
    return round(number(result, "wind_kmh") / (_KM_PER_MILE if unit == "F" else 1))

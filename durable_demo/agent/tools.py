"""The agent's tools: plain functions that only read. Their docstrings are what a language model is told about them.

Each checks its own arguments, since a model may pass anything, and returns a small object that can be written as JSON.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from simpleeval import InvalidExpression, SimpleEval

from durable_demo.agent import weather
from durable_demo.agent.places import MAX_NAME_LENGTH, Place, find_place, similar_names
from durable_demo.agent.units import Unit, find_unit, from_base, known_units, to_base
from durable_demo.errors import InvalidInput

MAX_DAYS = 7
MAX_START_IN_DAYS = 7
MAX_EXPRESSION_LENGTH = 200
MAX_MAGNITUDE = 1e100
"""Results and converted values stay below it: their digits would crowd a conversation."""

_SHOWN = 60
"""How much of a bad argument an error repeats, in characters."""


def get_weather(city: str) -> dict[str, Any]:
    """Get the current weather in a city: temperature, conditions, humidity and wind.

    Args:
        city: Name of the city, optionally with its state or country, such as "Paris" or "London, Ontario".
    """
    place = _place(city)
    return {**_named(place), **weather.current_weather(place)}


def get_forecast(city: str, days: int = 3, start_in_days: int = 0) -> dict[str, Any]:
    """Get the weather forecast for a city, day by day.

    Args:
        city: Name of the city, optionally with its state or country, such as "Paris" or "London, Ontario".
        days: How many days, 1 to 7.
        start_in_days: Which day is the first: 0 is today, 1 is tomorrow, up to 7.
    """
    place = _place(city)
    days = _whole_number(days, "days", 1, MAX_DAYS)
    start = _whole_number(start_in_days, "start_in_days", 0, MAX_START_IN_DAYS)
    return {**_named(place), **weather.forecast(place, days, start)}


def get_time(city: str) -> dict[str, Any]:
    """Get the current local date and time in a city, with its weekday and time zone.

    Args:
        city: Name of the city, optionally with its state or country, such as "Tokyo" or "Portland, Maine".
    """
    place = _place(city)
    now = datetime.now(UTC).astimezone(ZoneInfo(place.timezone))
    return {
        **_named(place),
        "local_time": weather.local_time(place, now),
        "weekday": now.strftime("%A"),
        "utc_offset": now.isoformat()[-6:],
        "timezone": place.timezone,
    }


def get_city(city: str) -> dict[str, Any]:
    """Get facts about a city: country, population, coordinates, elevation and time zone.

    Args:
        city: Name of the city, optionally with its state or country, such as "Lima" or "Birmingham, Alabama".
    """
    place = _place(city)
    return {
        **_named(place),
        "population": place.population,
        "latitude": place.latitude,
        "longitude": place.longitude,
        "elevation_m": place.elevation_m,
        "timezone": place.timezone,
    }


def calculate(expression: str) -> dict[str, Any]:
    """Compute an arithmetic expression. Use it for every calculation.

    Args:
        expression: Numbers, parentheses, + - * / // % and ^ (power), and the functions sqrt, abs, round, min and max,
            such as "(3+4)*2.5" or "sqrt(2)".
    """
    asked = _text(expression, "expression", MAX_EXPRESSION_LENGTH)
    try:
        value = _computed(asked)
    except _TooLarge:
        raise InvalidInput(f"{_shown(asked)} is too large.", remedy="keep the result below 100 digits") from None
    except ZeroDivisionError:
        raise InvalidInput(f"{_shown(asked)} divides by zero.", remedy="nothing can be divided by zero") from None
    except _NOT_ARITHMETIC:
        raise InvalidInput(
            f"{_shown(asked)} is no arithmetic that can be computed.",
            remedy="use numbers, parentheses, + - * / // % ^, sqrt, abs, round, min and max",
        ) from None
    return {"expression": asked, "value": value}


def convert_units(value: float, from_unit: str, to_unit: str) -> dict[str, Any]:
    """Convert a value from one unit of measurement to another.

    Knows units of temperature, length, mass, speed, time, volume (US unless called imperial), area and data.

    Args:
        value: The number to convert.
        from_unit: Its unit, such as "°F", "mile", "kg" or "km/h".
        to_unit: The unit that is wanted, of the same kind.
    """
    number = _number(value, "value")
    old, new = _unit(from_unit, "from_unit"), _unit(to_unit, "to_unit")
    if old.kind != new.kind:
        raise InvalidInput(
            f"{old.symbol} is a unit of {old.kind}, {new.symbol} is one of {new.kind}.",
            remedy=f"convert {old.symbol} to another of {', '.join(known_units(old.kind))}",
        )
    base = to_base(number, old)
    if old.kind == "temperature" and base < -1e-9:
        raise InvalidInput(f"{number:g} {old.symbol} is below absolute zero.", remedy="the lowest is -273.15 °C")
    return {
        "value": value,
        "from_unit": old.symbol,
        "to_unit": new.symbol,
        "result": _rounded(from_base(base, new)),
    }


TOOLS: Mapping[str, Callable[..., dict[str, Any]]] = {
    tool.__name__: tool for tool in (get_weather, get_forecast, get_time, get_city, calculate, convert_units)
}
"""All tools by their names."""


# --- arguments -------------------------------------------------------------------------------------------------------


def _shown(value: object) -> str:
    """A bad argument as an error may repeat it: short, and printable."""
    text = value if isinstance(value, str) else type(value).__name__
    printable = "".join(letter if letter.isprintable() else "�" for letter in text[: _SHOWN + 1])
    return f"“{printable[: _SHOWN - 1]}…”" if len(printable) > _SHOWN else f"“{printable}”"


def _text(value: object, name: str, limit: int) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"{name} must be a text, not {_shown(value)}.", remedy=f"pass {name} as a text")
    text = value.strip()
    if not text:
        raise InvalidInput(f"{name} is empty.", remedy=f"say which {name} is meant")
    if len(text) > limit:
        raise InvalidInput(f"{name} is too long.", remedy=f"use at most {limit} characters")
    return text


def _whole_number(value: object, name: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidInput(f"{name} cannot be used as it is.", remedy=f"pass a whole number from {least} to {most}")
    return value


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < MAX_MAGNITUDE:
        raise InvalidInput(f"{name} is no number that can be used.", remedy=f"pass {name} as an ordinary number")
    return float(value)


def _unit(value: object, name: str) -> Unit:
    text = _text(value, name, MAX_NAME_LENGTH)
    unit = find_unit(text)
    if unit is None:
        raise InvalidInput(
            f"{_shown(text)} is no unit that is known here.",
            remedy="use one such as °C, °F, km, mi, ft, kg, lb, km/h, mph, h, l, gal, m², acre or GB",
        )
    return unit


def _place(city: object) -> Place:
    name = _text(city, "city", MAX_NAME_LENGTH)
    place = find_place(name)
    if place is None:
        similar = " or ".join(similar_names(name))
        raise InvalidInput(
            f"No city called {_shown(name)} is known here.",
            remedy=f"check whether {similar} is meant" if similar else "name a larger city near it",
        )
    return place


# --- results ---------------------------------------------------------------------------------------------------------


def _named(place: Place) -> dict[str, Any]:
    return {"place": place.label, "city": place.name, "country": place.country, "country_code": place.country_code}


def _rounded(result: float) -> float:
    return round(result, 4) if abs(result) >= 1 else float(f"{result:.6g}")


# --- arithmetic ------------------------------------------------------------------------------------------------------


class _TooLarge(Exception):
    """A number is beyond MAX_MAGNITUDE."""


def _computed(expression: str) -> int | float:
    """The value of an expression.

    Raises:
        _TooLarge: It has too many digits, or would on the way.
        ZeroDivisionError: It divides by zero.
        _NOT_ARITHMETIC: It is none, or has no real value.
    """
    python = " ".join(expression.translate(_SIGNS).split())
    if not _ARITHMETIC.fullmatch(python):
        raise ValueError
    value = _sized(SimpleEval(operators=_OPERATORS, functions=_FUNCTIONS, names={}).eval(python))
    return value if isinstance(value, int) else float(f"{value:.12g}")  # 0.1 + 0.2 is 0.3 for people


def _sized(value: Any) -> int | float:
    """The value, if it is a real number that is not too large."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise TypeError
    if abs(value) > MAX_MAGNITUDE:
        raise _TooLarge
    return value


def _power(base: float, exponent: float) -> Any:
    if base and exponent * math.log10(abs(base)) > math.log10(MAX_MAGNITUDE) + 1:
        raise _TooLarge  # before it is computed, which might take hours
    return base**exponent


def _round(value: float, digits: int = 0) -> int | float:
    if not -100 <= digits <= 100:
        raise ValueError  # Python would compute a number with so many digits
    return round(value, digits) if digits else round(value)


_FUNCTIONS = {"sqrt": math.sqrt, "abs": abs, "round": _round, "min": min, "max": max}
_OPERATORS = {
    node: lambda *operands, compute=compute: _sized(compute(*operands))
    for node, compute in {
        ast.Add: operator.add,
        ast.Sub: operator.sub,
        ast.Mult: operator.mul,
        ast.Div: operator.truediv,
        ast.FloorDiv: operator.floordiv,
        ast.Mod: operator.mod,
        ast.Pow: _power,
        ast.USub: operator.neg,
        ast.UAdd: operator.pos,
    }.items()
}
_ARITHMETIC = re.compile(rf"(?:[0-9 .+\-*/%(),]|(?<=[0-9])[eE](?=[-+0-9])|{'|'.join(_FUNCTIONS)})+")
_SIGNS = str.maketrans({"^": "**", "×": "*", "·": "*", "÷": "/", "−": "-", "–": "-"})
_NOT_ARITHMETIC = (InvalidExpression, SyntaxError, TypeError, ValueError, OverflowError, MemoryError, RecursionError)

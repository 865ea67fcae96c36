"""The tools: what they answer, and that no argument makes them do anything else than answer or refuse."""

from __future__ import annotations

import inspect
import json
import math
import subprocess
import sys
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_demo.agent.places import Place, all_places
from durable_demo.agent.tools import (
    MAX_MAGNITUDE,
    TOOLS,
    calculate,
    convert_units,
    get_city,
    get_forecast,
    get_time,
    get_weather,
)
from durable_demo.errors import InvalidInput

PLACES = st.integers(0, len(all_places()) - 1).map(lambda index: all_places()[index])
MAX_RESULT_BYTES = 4000
MAX_ERROR_LENGTH = 300


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEMO_WEATHER", raising=False)


def test_there_are_six_tools_that_a_model_can_be_told_about():
    assert list(TOOLS) == ["get_weather", "get_forecast", "get_time", "get_city", "calculate", "convert_units"]
    for tool in TOOLS.values():
        documented = inspect.getdoc(tool) or ""
        assert all(f"{name}:" in documented for name in inspect.signature(tool).parameters)


def test_the_weather_tells_place_time_and_source():
    result = get_weather(city="nyc")
    assert list(result) == [
        *("place", "city", "country", "country_code", "local_time"),
        *("temperature_c", "conditions", "humidity_percent", "wind_kmh", "wind_from", "source"),
    ]
    assert result["place"] == "New York City, United States"
    assert result["source"] == "typical values, not a live reading"
    datetime.strptime(result["local_time"], "%Y-%m-%dT%H:%M")  # noqa: DTZ007 - it is the local time of a place


def test_the_forecast_has_the_days_that_were_asked_for():
    days = get_forecast(city="Oslo", days=7, start_in_days=0)["days"]
    assert len({day["date"] for day in days}) == 7
    assert get_forecast(city="Oslo", days=2, start_in_days=1)["days"] == days[1:3]
    assert len(get_forecast(city="Oslo")["days"]) == 3


def test_the_time_tells_weekday_offset_and_zone():
    result = get_time(city="Kathmandu")
    assert (result["utc_offset"], result["timezone"]) == ("+05:45", "Asia/Kathmandu")
    assert result["weekday"] == datetime.fromisoformat(result["local_time"]).strftime("%A")


def test_the_facts_of_a_city():
    result = get_city(city="Denver")
    assert 600_000 < result["population"] < 900_000
    assert 1500 < result["elevation_m"] < 1750
    assert (round(result["latitude"]), round(result["longitude"])) == (40, -105)


@given(PLACES)
def test_every_result_of_every_city_is_small_json(place: Place):
    for result in (
        get_weather(city=place.label),
        get_forecast(city=place.label, days=7, start_in_days=7),
        get_time(city=place.label),
        get_city(city=place.label),
    ):
        assert result["place"] == place.label
        assert len(json.dumps(result, allow_nan=False).encode()) < MAX_RESULT_BYTES


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("(3+4)*2.5", 17.5),
        ("2^10", 1024),
        ("2**100", 2**100),
        ("10 × 2 ÷ 4 − 1", 4.0),
        ("sqrt(16) + abs(-3)", 7.0),
        ("max(1, 2, 3) - min(4, 5)", -1),
        ("round(2.567, 1)", 2.6),
        ("0.1 + 0.2", 0.3),
        ("7 // 2 + 10 % 3", 4),
        ("-2 ^ 2", -4),
        ("1.5e3", 1500.0),
    ],
)
def test_arithmetic(expression: str, value: float):
    result = calculate(expression=expression)
    assert result == {"expression": expression, "value": value}
    assert type(result["value"]) is type(value)


@pytest.mark.parametrize(
    "expression",
    [
        "9^9^9",
        "2**2**2**2**9",
        "1e400",
        "9" * 150,
        "9" * 99 + "*" + "9" * 99,
        "1/0",
        "0^-1",
        "(-8)^0.5",
        "sqrt(-1)",
        "round(5, -1000000000)",
        "__import__('os').system('id')",
        "().__class__",
        "'a' * 9",
        "[1][0]",
        "(1, 2)",
        "1 2",
        "1(2)",
        "1 == 1",
        "True",
        "not 1",
        "1 if 1 else 2",
        "x",
        "pi",
        "max",
        "007",
        "²",
        "١+١",
        "1;2",
        "1\n2",
        "(" * 200,
        "-" * 199 + "(",
        "2^3" * 70,
    ],
    ids=lambda expression: ascii(expression[:30]),
)
def test_what_is_no_arithmetic_or_too_large_is_refused(expression: str):
    with pytest.raises(InvalidInput) as refused:
        calculate(expression=expression)
    assert len(str(refused.value)) < MAX_ERROR_LENGTH


@given(st.text("0123456789+-*/%^().,e sqrtabmxoundi'[]", max_size=60))
def test_any_expression_gives_a_finite_number_or_is_refused(expression: str):
    try:
        value = calculate(expression=expression)["value"]
    except InvalidInput:
        return
    assert type(value) in (int, float)
    assert math.isfinite(value)
    assert abs(value) <= MAX_MAGNITUDE


@pytest.mark.parametrize(
    ("value", "from_unit", "to_unit", "result"),
    [
        (100.0, "°F", "°C", 37.7778),
        (0, "K", "celsius", -273.15),
        (-40, "degrees Celsius", "Fahrenheit", -40),
        (26.2, "miles", "km", 42.1648),
        (5, "kg", "pounds", 11.0231),
        (1, "stone", "lbs", 14),
        (1, "Acres", "m^2", 4046.8564),
        (1, "square mile", "sq km", 2.59),
        (100, "km/h", "mph", 62.1371),
        (1, "meters per second", "kph", 3.6),
        (1, "gallon", "litres", 3.7854),
        (2, "cups", "ml", 473.1765),
        (1, "foot", "inches", 12),
        (1, "nautical miles", "m", 1852),
        (90, "minutes", "hours", 1.5),
        (1, "GiB", "bytes", 2**30),
        (8, "bits", "byte", 1),
        (1, "mm", "mi", 6.21371e-07),
        (-3, "cm", "mm", -30),
    ],
)
def test_conversion(value: float, from_unit: str, to_unit: str, result: float):
    converted = convert_units(value=value, from_unit=from_unit, to_unit=to_unit)
    assert converted["result"] == pytest.approx(result)
    assert converted["value"] == value
    again = convert_units(value=converted["result"], from_unit=converted["to_unit"], to_unit=converted["from_unit"])
    assert again["result"] == pytest.approx(value, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize(
    ("value", "from_unit", "to_unit", "why"),
    [
        (-500, "C", "F", "below absolute zero"),
        (1, "kg", "km", "kg is a unit of mass, km is one of length"),
        (1, "parsec", "km", "°C, °F, km"),
        (1, "", "km", "from_unit is empty"),
        (math.nan, "m", "km", "no number"),
        (math.inf, "m", "km", "no number"),
        (10**400, "m", "km", "no number"),
        ("3", "m", "km", "no number"),
        (True, "m", "km", "no number"),
        (None, "m", "km", "no number"),
    ],
    ids=[f"{number}" for number in range(10)],
)
def test_what_cannot_be_converted_is_refused_with_a_reason(value: Any, from_unit: str, to_unit: str, why: str):
    with pytest.raises(InvalidInput, match=why):
        convert_units(value=value, from_unit=from_unit, to_unit=to_unit)


def test_an_unknown_city_gets_a_suggestion():
    with pytest.raises(InvalidInput, match=r"“Lodnon”(.|\n)*London"):
        get_weather(city="Lodnon")


@pytest.mark.parametrize("days", [0, 8, 99, -1, "3", 3.0, True, None])
def test_days_out_of_range_are_refused(days: Any):
    with pytest.raises(InvalidInput, match=r"days(.|\n)*from 1 to 7"):
        get_forecast(city="Oslo", days=days)
    if days != 0:
        with pytest.raises(InvalidInput, match=r"start_in_days(.|\n)*from 0 to 7"):
            get_forecast(city="Oslo", start_in_days=days)


HOSTILE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.binary(max_size=20),
    st.lists(st.text(max_size=5), max_size=3),
    st.text(max_size=120),
    st.sampled_from(
        ["", " ", "\x00", "🐍" * 50, "<script>alert(1)</script>", "x" * 10_000, "\ud800", "../../etc/passwd", "'; --"]
    ),
)


@pytest.mark.parametrize("name", TOOLS)
@given(data=st.data())
def test_no_argument_makes_a_tool_fail_otherwise_than_by_refusing(name: str, data: st.DataObject):
    tool = TOOLS[name]
    arguments = {parameter: data.draw(HOSTILE) for parameter in inspect.signature(tool).parameters}
    refusal: InvalidInput | None = None
    try:
        result = tool(**arguments)
    except InvalidInput as error:
        refusal = error
    if refusal is None:
        assert len(json.dumps(result).encode()) < MAX_RESULT_BYTES
    else:
        assert len(str(refusal)) < MAX_ERROR_LENGTH
        assert all(letter.isprintable() or letter == "\n" for letter in str(refusal))
        assert refusal.remedy


def test_offline_nothing_that_only_live_weather_needs_is_imported():
    code = (
        "import sys; from durable_demo.agent.tools import get_weather; get_weather('Rome'); print(sorted(sys.modules))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.find("'httpx'")
        == -1
    )

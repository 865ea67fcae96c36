"""Typical weather is physically sane, and always the same for a place and a day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_demo.agent.climate import COMPASS, Day, compass, typical_day, typical_weather
from durable_demo.agent.places import Place, all_places, find_place

PLACES = st.integers(0, len(all_places()) - 1).map(lambda index: all_places()[index])
DAYS = st.dates(date(2000, 1, 1), date(2050, 12, 31))


def place(name: str) -> Place:
    found = find_place(name)
    assert found
    return found


def days(name: str, *months: int) -> Iterator[Day]:
    """The days of some months of 2026; of all months if none is given."""
    first = date(2026, 1, 1)
    for day in (first + timedelta(days=number) for number in range(365)):
        if not months or day.month in months:
            yield typical_day(place(name), day)


@pytest.mark.parametrize(
    ("name", "month", "coldest", "warmest"),
    [
        ("London", 7, 12, 28),
        ("Oslo", 1, -15, 5),
        ("Singapore", 1, 22, 34),
        ("Singapore", 7, 22, 34),
        ("Cairo", 7, 20, 38),
        ("Sydney", 1, 15, 30),
        ("Sydney", 7, 5, 20),
        ("New York", 1, -8, 8),
        ("Quito", 4, 5, 22),
        ("Bogotá", 4, 5, 22),
        ("Moscow", 1, -20, 0),
    ],
)
def test_temperatures_are_those_of_the_place_and_the_season(name: str, month: int, coldest: float, warmest: float):
    for day in days(name, month):
        assert coldest <= day.low_c < day.high_c <= warmest


def test_deserts_are_dry_and_clear_and_rainy_cities_are_not():
    wet = {
        name: sum("rain" in day.conditions or "snow" in day.conditions for day in days(name))
        for name in ("Cairo", "Los Angeles", "London", "Singapore")
    }
    assert wet["Cairo"] < 15 < wet["Los Angeles"] < 90 < wet["London"] < 200
    assert 80 < wet["Singapore"] < 250
    assert sum(day.conditions == "clear" for day in days("Cairo")) > 200


def test_it_snows_where_it_is_cold_only():
    assert any("snow" in day.conditions for day in days("Oslo", 1, 2))
    assert not any("snow" in day.conditions for day in days("Oslo", 6, 7, 8))
    assert not any("snow" in day.conditions for day in days("Singapore"))


@given(PLACES, DAYS, st.integers(0, 24 * 60 - 1))
def test_weather_is_possible_and_agrees_with_the_day_it_is_in(where: Place, day: date, minute: int):
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minute)
    now = typical_weather(where, moment)
    today = typical_day(where, moment.astimezone(ZoneInfo(where.timezone)).date())
    assert now == typical_weather(where, moment)
    assert -60 < today.low_c - 0.1 <= now.temperature_c <= today.high_c + 0.1 < 55
    for weather in (now, today):
        assert 5 <= weather.humidity_percent <= 100
        assert 0 <= weather.wind_kmh < 40
        assert weather.wind_from in COMPASS
    falls = ("rain", "snow")
    assert not now.conditions.endswith(falls) or now.conditions == today.conditions


def test_the_afternoon_is_warmer_than_the_end_of_the_night():
    for name in ("Tokyo", "Lima", "Anchorage"):
        where = place(name)
        zone = ZoneInfo(where.timezone)
        afternoon, night = (typical_weather(where, datetime(2026, 5, 5, hour, tzinfo=zone)) for hour in (15, 4))
        assert afternoon.temperature_c > night.temperature_c


def test_a_direction_has_the_name_of_the_nearest_point_of_the_compass():
    assert [compass(degrees) for degrees in (0, 44, 90, 200, 315, 350, 360, -90)] == [
        *("north", "northeast", "east", "south", "northwest", "north", "north", "west")
    ]

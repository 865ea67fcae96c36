"""Weather of a place as the tools tell it: typical values from the package, or live data from open-meteo.com.

`DEMO_WEATHER` chooses. When live data cannot be had, the typical values come with a note that says so.
"""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any
from zoneinfo import ZoneInfo

from durable_demo.agent.climate import Day, Weather, compass, typical_day, typical_weather
from durable_demo.agent.places import Place
from durable_demo.settings import ENV_WEATHER

TYPICAL_SOURCE = "typical values, not a live reading"
LIVE_SOURCE = "open-meteo.com, live"

OPEN_METEO_URL = "https://api.open-meteo.com/v1/forecast"
"""Documented at https://open-meteo.com/en/docs; without a key free for non-commercial use, data under CC BY 4.0."""
LIVE_DEADLINE = timedelta(seconds=4)
"""How long open-meteo.com may take from the first look for its address to the last byte: then people want an answer."""
MAX_LIVE_BYTES = 100_000
"""Of an answer that has about two."""

_CURRENT = ("temperature_2m", "relative_humidity_2m", "weather_code", "wind_speed_10m", "wind_direction_10m")
_DAILY = (
    "temperature_2m_min",
    "temperature_2m_max",
    "weather_code",
    "relative_humidity_2m_mean",
    "wind_speed_10m_max",
    "wind_direction_10m_dominant",
)
_WMO_CODES = {
    0: "clear",
    1: "mostly clear",
    2: "partly cloudy",
    3: "overcast",
    45: "fog",
    48: "freezing fog",
    51: "light drizzle",
    53: "drizzle",
    55: "heavy drizzle",
    56: "light freezing drizzle",
    57: "freezing drizzle",
    61: "light rain",
    63: "rain",
    65: "heavy rain",
    66: "light freezing rain",
    67: "freezing rain",
    71: "light snow",
    73: "snow",
    75: "heavy snow",
    77: "snow grains",
    80: "light rain showers",
    81: "rain showers",
    82: "heavy rain showers",
    85: "light snow showers",
    86: "heavy snow showers",
    95: "thunderstorm",
    96: "thunderstorm with light hail",
    99: "thunderstorm with heavy hail",
}
"""The codes of WMO table 4677 that open-meteo.com uses."""


def weather_source() -> str:
    """Where the weather comes from at the moment, as people shall read it."""
    return LIVE_SOURCE if _live_wanted() else TYPICAL_SOURCE.partition(",")[0]


def current_weather(place: Place) -> dict[str, Any]:
    """The weather of now: the fields of `Weather`, `local_time`, `source`, and perhaps a `note`."""
    now = datetime.now(UTC)
    return _told(
        lambda: _live_now(place),
        lambda: {"local_time": local_time(place, now), **asdict(typical_weather(place, now))},
    )


def forecast(place: Place, days: int, start_in_days: int) -> dict[str, Any]:
    """The weather of some days: `days`, each with its `date`, `weekday` and the fields of `Day`; rest as above.

    Args:
        place: Where.
        days: How many.
        start_in_days: Which is the first one; 0 is today, by the calendar of the place.
    """
    today = datetime.now(ZoneInfo(place.timezone)).date()
    dates = [today + timedelta(days=start_in_days + number) for number in range(days)]
    return _told(
        lambda: {"days": _live_days(place, dates)},
        lambda: {"days": [_row(day, typical_day(place, day)) for day in dates]},
    )


def local_time(place: Place, moment: datetime) -> str:
    """What the clocks of a place show, as "2026-11-22T11:03"."""
    return moment.astimezone(ZoneInfo(place.timezone)).strftime("%Y-%m-%dT%H:%M")


def _live_wanted() -> bool:
    return _configured() == "open-meteo"


def _configured() -> str:
    return os.environ.get(ENV_WEATHER, "").strip().lower()


def _told(live: Callable[[], dict[str, Any]], typical: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Live values if they are wanted and to be had, else typical ones."""
    if _live_wanted():
        try:
            return {**live(), "source": LIVE_SOURCE}
        except _NoAnswer as error:
            note = f"open-meteo.com did not answer ({error}): these are typical values"
            return {**typical(), "source": TYPICAL_SOURCE, "note": note}
    told = {**typical(), "source": TYPICAL_SOURCE}
    if _configured() not in ("", "typical"):
        told["note"] = f"{ENV_WEATHER} is neither `typical` nor `open-meteo`: these are typical values"
    return told


def _row(day: date, weather: Day) -> dict[str, Any]:
    return {"date": day.isoformat(), "weekday": day.strftime("%A"), **asdict(weather)}


# --- open-meteo.com --------------------------------------------------------------------------------------------------


class _NoAnswer(Exception):
    """There are no live data; the text says why in two or three words."""


def _live_now(place: Place) -> dict[str, Any]:
    answer = _asked(place, current=",".join(_CURRENT))
    try:
        temperature, humidity, code, speed, direction = (_number(answer["current"][name]) for name in _CURRENT)
        shown = datetime.fromisoformat(answer["current"]["time"])
        weather = Weather(temperature, _conditions(code), round(humidity), speed, compass(direction))
    except _UNUSABLE:
        raise _NoAnswer("unexpected answer") from None
    return {"local_time": shown.strftime("%Y-%m-%dT%H:%M"), **asdict(weather)}


def _live_days(place: Place, dates: list[date]) -> list[dict[str, Any]]:
    answer = _asked(place, daily=",".join(_DAILY), start_date=dates[0].isoformat(), end_date=dates[-1].isoformat())
    rows = []
    try:
        for index, day in enumerate(dates):
            if answer["daily"]["time"][index] != day.isoformat():
                raise _NoAnswer("unexpected answer")
            low, high, code, humidity, speed, direction = (_number(answer["daily"][name][index]) for name in _DAILY)
            weather = Day(low, high, _conditions(code), round(humidity), speed, compass(direction))
            rows.append(_row(day, weather))
    except _UNUSABLE:
        raise _NoAnswer("unexpected answer") from None
    return rows


_UNUSABLE = (KeyError, IndexError, TypeError, ValueError)


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > 1e4:
        raise TypeError
    return round(float(value), 1)


def _conditions(code: float) -> str:
    """The words of a weather code; raises KeyError for one that is in no table."""
    return _WMO_CODES[int(code)]


def _asked(place: Place, **query: str) -> dict[str, Any]:
    """What open-meteo.com answers.

    Raises:
        _NoAnswer: It answers no JSON object within LIVE_DEADLINE.
    """
    where = {"latitude": str(place.latitude), "longitude": str(place.longitude), "timezone": place.timezone}
    outcome: SimpleQueue[bytes | _NoAnswer] = SimpleQueue()

    def ask() -> None:
        try:
            outcome.put(_fetched({**where, **query}))
        except _NoAnswer as error:
            outcome.put(error)

    # In a thread of its own: nothing else bounds how long the name server may take.
    threading.Thread(target=ask, name="open-meteo.com", daemon=True).start()
    try:
        body = outcome.get(timeout=LIVE_DEADLINE.total_seconds())
    except Empty:
        raise _NoAnswer("timed out") from None
    if isinstance(body, _NoAnswer):
        raise body
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise _NoAnswer("unexpected answer") from None
    if not isinstance(answer, dict):
        raise _NoAnswer("unexpected answer")
    return answer


def _fetched(query: Mapping[str, str]) -> bytes:
    import httpx  # takes 0.1 s to import, and offline nobody needs it

    ends = time.monotonic() + LIVE_DEADLINE.total_seconds()
    try:
        with (
            httpx.Client(timeout=LIVE_DEADLINE.total_seconds()) as client,
            client.stream("GET", OPEN_METEO_URL, params=query) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise _NoAnswer(f"HTTP {response.status_code}")
            body = b""
            for piece in response.iter_bytes():
                body += piece
                if len(body) > MAX_LIVE_BYTES:
                    raise _NoAnswer("unexpected answer")
                if time.monotonic() > ends:
                    raise _NoAnswer("timed out")
            return body
    except httpx.TimeoutException:
        raise _NoAnswer("timed out") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
        raise _NoAnswer("not reachable") from None

"""The typical weather of a place at a moment: what its climate lets expect, not what anybody measured.

Temperature is interpolated between the months and swings through the day. Which days are wet or clear, and the wind,
come from rules: the days are dealt out so that they are as often wet as the climate says. The same place and day always
get the same weather. `data/README.md` says what is behind each value.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from durable_demo.agent.places import Place

COMPASS = ("north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest")

_WARMEST_HOUR = 15
"""By the sun, not by the clock."""
_SPELLS_A_DAY = 8
"""Rain comes in spells of about three hours; each is as likely as rain is at any time."""
_SNOW_BELOW_C = 0.5
_SWING = {"clear": 1.15, "mostly clear": 1.1, "partly cloudy": 1.0, "overcast": 0.7}
"""Clouds even the day's temperature out."""
_WET_SWING = 0.6

_WINDS = ((5, None, 9.0), (25, 60, 14.0), (35, None, 10.0), (65, 250, 15.0), (90, 60, 15.0))
"""Up to which latitude, from where in the northern hemisphere (None: any direction) and how fast (km/h) the wind blows
on average: calms, trade winds, horse latitudes, westerlies, polar easterlies. The southern hemisphere mirrors it."""
_WIND_VEERS = 75
"""By how many degrees to either side."""


@dataclass(frozen=True)
class Weather:
    """Weather at a moment; `conditions` are words such as "partly cloudy", `wind_from` is one of `COMPASS`."""

    temperature_c: float
    conditions: str
    humidity_percent: int
    wind_kmh: float
    wind_from: str


@dataclass(frozen=True)
class Day:
    """Weather of a day, with the lowest and the highest temperature; otherwise as `Weather`."""

    low_c: float
    high_c: float
    conditions: str
    humidity_percent: int
    wind_kmh: float
    wind_from: str


def typical_weather(place: Place, moment: datetime) -> Weather:
    """What the weather typically is at a moment.

    Args:
        place: Where.
        moment: When; it must have a time zone.

    Returns:
        A temperature within the day's range (see `typical_day`), and rain at most on days that are wet.
    """
    day = moment.astimezone(ZoneInfo(place.timezone)).date()
    mean, swing = _mean(place, day), _swing(place, day)
    sun = moment.astimezone(UTC) + timedelta(hours=place.longitude / 15)
    hour = sun.hour + sun.minute / 60
    temperature = mean + swing * math.cos(2 * math.pi * (hour - _WARMEST_HOUR) / 24)
    sky = _sky(place, day)
    if sky == "wet":
        rain = _monthly(place.normals.rain, day)
        spell = int(hour / 24 * _SPELLS_A_DAY)
        falling = _chance(place, day, f"spell {spell}") < rain / _wet_share(rain)
        conditions = _falling(place, day, mean) if falling else _between_spells(place, day)
    else:
        conditions = sky
    # The water in the air stays about the same through the day; what the air can hold changes with its temperature.
    humidity = _humidity(place, day) * _saturation(mean) / _saturation(temperature)
    speed, direction = _wind(place, day)
    return Weather(round(temperature, 1), conditions, _percent(humidity), speed, direction)


def typical_day(place: Place, day: date) -> Day:
    """What the weather typically is on a day."""
    mean, swing = _mean(place, day), _swing(place, day)
    sky = _sky(place, day)
    conditions = _falling(place, day, mean) if sky == "wet" else sky
    speed, direction = _wind(place, day)
    return Day(
        low_c=round(mean - swing, 1),
        high_c=round(mean + swing, 1),
        conditions=conditions,
        humidity_percent=_percent(_humidity(place, day)),
        wind_kmh=speed,
        wind_from=direction,
    )


def compass(degrees: float) -> str:
    """The point of the compass nearest to a direction in degrees (0 is north, 90 is east)."""
    return COMPASS[round(degrees / 45) % 8]


# --- temperature and humidity ----------------------------------------------------------------------------------------


def _monthly(values: tuple[float, ...], day: date) -> float:
    """A value on a day, between the values of the two months whose middles are nearest."""
    position = (day.timetuple().tm_yday - 15.2) / 30.44
    month = math.floor(position)
    share = position - month
    return values[month % 12] * (1 - share) + values[(month + 1) % 12] * share


def _mean(place: Place, day: date) -> float:
    return _monthly(place.normals.temperature_c, day)


def _swing(place: Place, day: date) -> float:
    """How far the temperature goes up and down in a day, in kelvin: far in dry air, little under a low sun."""
    dry = 2.5 + 0.06 * (100 - place.normals.humidity_percent)
    tilt = -23.44 * math.cos(2 * math.pi * (day.timetuple().tm_yday + 10) / 365.25)  # declination of the sun, degrees
    noon = math.sin(math.radians(90 - abs(place.latitude - tilt)))
    return dry * min(1.0, max(0.3, 1.3 * noon)) * _SWING.get(_sky(place, day), _WET_SWING)


def _humidity(place: Place, day: date) -> float:
    """Mean of the day in percent: the year's, some points more in the rainy season and fewer in the dry one."""
    rain = place.normals.rain
    lowest, highest = min(rain), max(rain)
    season = 2 * (_monthly(rain, day) - lowest) / max(highest - lowest, 0.05) - 1
    return place.normals.humidity_percent + 8 * season + (6 if _sky(place, day) == "wet" else 0)


def _saturation(celsius: float) -> float:
    """Pressure of saturated water vapour in hPa: Magnus formula of WMO-No. 8."""
    return 6.112 * math.exp(17.62 * celsius / (243.12 + celsius))


def _percent(humidity: float) -> int:
    return round(min(98.0, max(8.0, humidity)))


# --- sky and wind ----------------------------------------------------------------------------------------------------


def _chance(place: Place, day: date, what: str) -> float:
    """A number from 0 to 1, evenly spread over the days and always the same for one."""
    digest = hashlib.sha256(f"{place.label}|{day.isoformat()}|{what}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _wet_share(rain: float) -> float:
    """Share of the days that are wet, given how much of the time it rains."""
    return 1 - (1 - rain) ** _SPELLS_A_DAY


def _sky(place: Place, day: date) -> str:
    """`wet`, or what the sky is like on a dry day."""
    wet = _wet_share(_monthly(place.normals.rain, day))
    chance = _chance(place, day, "sky")
    if chance < wet:
        return "wet"
    dry = (chance - wet) / (1 - wet)
    levels = {"overcast": 0.5, "partly cloudy": 1.2, "mostly clear": 1.5}
    return next((name for name, often in levels.items() if dry < often * place.normals.cloud), "clear")


def _falling(place: Place, day: date, mean_c: float) -> str:
    """What falls on a wet day."""
    heavy = "" if _chance(place, day, "how much") > 0.4 else "light "
    return heavy + ("snow" if mean_c < _SNOW_BELOW_C else "rain")


def _between_spells(place: Place, day: date) -> str:
    return "overcast" if _chance(place, day, "between") < 0.5 else "partly cloudy"


def _wind(place: Place, day: date) -> tuple[float, str]:
    """Speed in km/h and where it comes from."""
    latitude = abs(place.latitude)
    prevailing, mean = next((degrees, speed) for limit, degrees, speed in _WINDS if latitude <= limit)
    speed = mean * (0.5 + (_chance(place, day, "wind") + _chance(place, day, "gusts")) / 2)
    if prevailing is None:
        return round(speed, 1), compass(360 * _chance(place, day, "from"))
    if place.latitude < 0:
        prevailing = 180 - prevailing
    veered = _chance(place, day, "from") - _chance(place, day, "veer")
    return round(speed, 1), compass(prevailing + _WIND_VEERS * veered)

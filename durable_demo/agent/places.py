"""The cities that the agent knows: found by name, and in what a person writes.

Some 3,000 cities of the world, from GeoNames; `data/README.md` tells where everything comes from.
"""

from __future__ import annotations

import gzip
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Any

MAX_NAME_LENGTH = 100
"""Longest name that is looked up, in characters; the longest label of a place has 60."""
NAMESAKE_SHARE = 4
"""A city of the same name is not thought of if it is smaller by this factor."""
MAX_NAME_WORDS = 5
MAX_QUALIFIER_WORDS = 6


@dataclass(frozen=True)
class Normals:
    """Typical climate of a place; lists have one value for each month, January first.

    Attributes:
        temperature_c: Mean temperature over day and night, in °C.
        rain: How much of the time it rains, 0 to 1.
        humidity_percent: Relative humidity over the whole year.
        cloud: How much of the time there are clouds, 0 to 1, over the whole year.
    """

    temperature_c: tuple[float, ...]
    rain: tuple[float, ...]
    humidity_percent: int
    cloud: float


@dataclass(frozen=True)
class Place:
    """A city.

    Attributes:
        name: Its name, such as "New York City"; with accents where it has some.
        country: English name of the country.
        country_code: ISO 3166-1 alpha-2.
        region: State, province or part of the country (Australia, Canada, United Kingdom, United States); else empty.
        population: People who live there.
        latitude: In degrees, north is positive.
        longitude: In degrees, east is positive.
        elevation_m: Metres above the sea, from a coarse map: right within some 100 m in the mountains.
        timezone: IANA name.
        label: "New York City, United States"; with the region where a larger city of the country has the same name.
            `find_place(label)` finds the place again.
        normals: Its typical climate.
    """

    name: str
    country: str
    country_code: str
    region: str
    population: int
    latitude: float
    longitude: float
    elevation_m: int
    timezone: str
    label: str
    normals: Normals


@dataclass(frozen=True)
class Mention:
    """`text[start:end]` names `place`."""

    place: Place
    start: int
    end: int


def find_place(name: str) -> Place | None:
    """The city of this name; the largest one if there are several.

    Upper and lower case, accents and punctuation do not matter. A country or a state may follow, with or without a
    comma ("London, Ontario", "Paris Texas", "Portland, Maine, United States"): then it is the largest city there.

    Returns:
        None if there is no such city in the data, also when there is one of that name in another country or state.
    """
    if len(name) > MAX_NAME_LENGTH:
        return None
    table = _table()
    whole = table.named(_key(name))
    if whole:
        return whole[0]
    first, *qualifiers = name.split(",")
    places = table.named(_key(first))
    for qualifier in filter(None, map(_key, qualifiers)):
        places = table.within(places, qualifier)
    if places and qualifiers:
        return places[0]
    words = _key(name).split()
    for length in range(1, min(MAX_QUALIFIER_WORDS, len(words) - 1) + 1):
        places = table.within(table.named(" ".join(words[:-length])), " ".join(words[-length:]))
        if places:
            return places[0]
    return None


def is_ambiguous(place: Place) -> bool:
    """Whether its name alone may mean another city: one of that name that is not much smaller, or larger."""
    others = (other for other in _table().named(_key(place.name)) if other != place)
    return any(other.population * NAMESAKE_SHARE > place.population for other in others)


def find_places(text: str) -> list[Mention]:
    """The cities that a text names, in its order, each as the longest name that can be read there.

    A state or country behind a name belongs to it; when there is no such city ("Paris, Texas") the name counts for
    nothing, rather than for another city. Names that are also words or first names (Nice, Reading, Charlotte) count
    only where a place can stand: alone, or capitalised behind a word such as "in".
    """
    words = _words(text)
    found = []
    position = 0
    while position < len(words):
        named = _name_at(text, words, position)
        if named is None:
            position += 1
            continue
        places, length, end = named
        wanted, used = _qualified(text, words, places, position + length)
        if wanted and (used or _stands_for_place(text, words, position, length)):
            end = words[position + length + used - 1].owner_end if used else end
            found.append(Mention(wanted[0], words[position].start, end))
        position += length + used
    return found


def similar_names(name: str) -> list[str]:
    """Up to two known names that look like this one, for the question "did you mean ...?"."""
    key = _key(name[:MAX_NAME_LENGTH].split(",")[0])
    table = _table()
    return [table.named(match)[0].name for match in get_close_matches(key, table.keys(), n=2, cutoff=0.8)]


# --- what a name is --------------------------------------------------------------------------------------------------

_APOSTROPHES = "'’‘ʻʼ‛`´"
_WITHOUT_APOSTROPHES = str.maketrans("", "", _APOSTROPHES)
_LETTERS = str.maketrans(
    {"ı": "i", "ø": "o", "ł": "l", "đ": "d", "ß": "ss", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th", "ə": "a"}
)
"""Letters that Unicode does not decompose."""
_WORD = re.compile(rf"(?:[^\W\d_]\.){{2,}}|[^\W_]+(?:[{_APOSTROPHES}][^\W_]+)*")
"""A word, or an abbreviation such as D.C."""
_ABBREVIATIONS = {"st": "saint", "ft": "fort", "mt": "mount"}


def _key(name: str) -> str:
    """Names that people take for the same have the same key."""
    words = [_word_key(match.group()) for match in _WORD.finditer(name)]
    if len(words) > 1 and words[0] == "the":
        words = words[1:]
    return " ".join(filter(None, words))


def _word_key(word: str) -> str:
    lower = word.lower().translate(_WITHOUT_APOSTROPHES).replace(".", "").translate(_LETTERS)
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", lower) if not unicodedata.combining(letter))
    return _ABBREVIATIONS.get(plain, plain)


# --- the table -------------------------------------------------------------------------------------------------------

_MORE_ALIASES = {
    "la": "Los Angeles",
    "sf": "San Francisco",
    "san fran": "San Francisco",
    "dc": "Washington",
    "vegas": "Las Vegas",
    "hk": "Hong Kong",
    "kl": "Kuala Lumpur",
    "nola": "New Orleans",
    "rio": "Rio de Janeiro",
}
"""What people say in English and GeoNames does not know, or knows for another city."""
_MORE_COUNTRIES = {
    "us": "US",
    "usa": "US",
    "america": "US",
    "united states of america": "US",
    "uk": "GB",
    "britain": "GB",
    "great britain": "GB",
    "uae": "AE",
    "holland": "NL",
    "czech republic": "CZ",
    "burma": "MM",
    "korea": "KR",
    "congo": "CD",
    "cape verde": "CV",
    "palestine": "PS",
    "east timor": "TL",
    "swaziland": "SZ",
    "macau": "MO",
    "cote divoire": "CI",
    "turkiye": "TR",
}


class _Table:
    """All places, and the ways to say them."""

    def __init__(self) -> None:
        with resources.files("durable_demo.agent").joinpath("data/places.json.gz").open("rb") as file:
            data = json.loads(gzip.decompress(file.read()))
        self.places: list[Place] = []
        self._named: dict[str, list[Place]] = {}
        self._areas: dict[str, set[tuple[str, str]]] = {}  # (country code, region or "" for the whole country)
        self.add_areas(data["countries"], data["states"])
        self.add_places(data["cities"], data["countries"])

    def add_areas(self, countries: dict[str, str], states: dict[str, str]) -> None:
        for code, name in countries.items():
            for said in (code, name):
                self._areas.setdefault(_key(said), set()).add((code, ""))
        for said, code in _MORE_COUNTRIES.items():
            self._areas.setdefault(said, set()).add((code, ""))
        for code, name in states.items():
            self._areas.setdefault(_key(code), set()).add(("US", name))

    def add_places(self, columns: dict[str, list[Any]], countries: dict[str, str]) -> None:
        seen: set[tuple[str, str]] = set()
        aliases: list[tuple[str, Place]] = []
        for row in zip(*columns.values(), strict=True):  # the largest first
            city = dict(zip(columns, row, strict=True))
            key, code, region = _key(city["name"]), city["country_code"], city["region"]
            country = countries[code]
            parts = [city["name"], region if (key, code) in seen else "", country]
            place = Place(
                name=city["name"],
                country=country,
                country_code=code,
                region=region,
                population=city["population"],
                latitude=city["latitude"],
                longitude=city["longitude"],
                elevation_m=city["elevation_m"],
                timezone=city["timezone"],
                label=", ".join(filter(None, parts)),
                normals=Normals(
                    temperature_c=tuple(value / 10 for value in city["temperature_dc"]),
                    rain=tuple(value / 1000 for value in city["rain_permille"]),
                    humidity_percent=city["humidity_percent"],
                    cloud=city["cloud_percent"] / 100,
                ),
            )
            seen.add((key, code))
            self.places.append(place)
            self._named.setdefault(key, []).append(place)
            self._areas.setdefault(_key(region), set()).add((code, region))
            aliases += [(_key(alias), place) for alias in city["aliases"].split("/")]
        for alias, place in aliases:
            self._named.setdefault(alias, [place])
        for alias, name in _MORE_ALIASES.items():
            self._named.setdefault(alias, self._named[_key(name)])
        self._named.pop("", None)  # the key of no alias at all
        self._areas.pop("", None)

    def keys(self) -> list[str]:
        return list(self._named)

    def named(self, key: str) -> list[Place]:
        """The places that are called so, the largest first."""
        return self._named.get(key, [])

    def is_area(self, key: str) -> bool:
        """Whether a country or region is called so."""
        return key in self._areas

    def within(self, places: list[Place], area: str) -> list[Place]:
        """Those of the places that are in the country or region that is called so."""
        areas = self._areas.get(area, set())
        return [place for place in places if {(place.country_code, ""), (place.country_code, place.region)} & areas]


@cache
def _table() -> _Table:
    return _Table()


def all_places() -> Sequence[Place]:
    """All places that are known, the largest first."""
    return _table().places


# --- reading a text --------------------------------------------------------------------------------------------------

# fmt: off
_WORDS_TOO = frozenset(
    (
        "acre", "ajax", "alexandria", "allen", "alliance", "amherst", "arlington", "asuncion", "aurora",
        "austin", "bar", "barking", "bath", "batman", "beira", "bender", "boulder", "bray", "brent",
        "buckeye", "buffalo", "burlington", "cali", "cary", "centennial", "chandler", "charlotte",
        "chelsea", "chester", "chesterfield", "chico", "chino", "colon", "columbia", "concord", "cork",
        "corona", "cypress", "dallas", "dara", "darwin", "davenport", "delta", "denton", "derby", "donna",
        "douglas", "dover", "downtown", "dudley", "durham", "enterprise", "erode", "eugene", "flint",
        "florence", "fuji", "gao", "garland", "gilbert", "goma", "granada", "hail", "hami", "harrow",
        "hastings", "hollywood", "hue", "independence", "irvine", "irving", "jackson", "jena", "kent",
        "kira", "la", "lae", "lafayette", "lakeland", "lansing", "largo", "lawrence", "leer", "leh", "leon",
        "lewisville", "lincoln", "lod", "loni", "lynn", "macon", "madison", "male", "manas", "mary",
        "meridian", "mesa", "mesquite", "midland", "mobile", "mocha", "modesto", "montana", "moron", "nan",
        "nelson", "newport", "newton", "nice", "norman", "oceanside", "olympia", "oral", "orange", "orem",
        "orlando", "paradise", "pereira", "perm", "pest", "phoenix", "plantation", "ponce", "providence",
        "pueblo", "reading", "regina", "reno", "richmond", "riverside", "ruse", "sale", "salem", "sari",
        "slough", "sparks", "split", "springfield", "stamford", "surprise", "surrey", "tak", "tamale",
        "tarsus", "tartar", "tempe", "tonk", "tripoli", "tyler", "upland", "van", "victoria", "vista",
        "waco", "warder", "warren", "waterloo", "wau", "westminster", "wheeling", "young",
    )
)
# fmt: on
"""Names of cities that are also words, first names or surnames."""
_WORDS_AND_CODES = frozenset(
    ["am", "as", "at", "be", "by", "do", "hi", "id", "in", "is", "it", "me", "my", "no", "ok", "or", "so", "to"]
)
"""Codes that are words: they count only if there is such a city in that state or country."""
_BEFORE_PLACES = frozenset(
    ["in", "for", "at", "of", "about", "to", "from", "near", "around", "than", "between", "and", "or", "vs", "versus"]
)
_AFTER_PLACES = frozenset(
    [
        "and",
        "or",
        "vs",
        "versus",
        "than",
        "today",
        "tonight",
        "tomorrow",
        "now",
        "right",
        "this",
        "next",
        "on",
        "at",
        "please",
    ]
)


@dataclass(frozen=True)
class _Word:
    key: str
    owner: str
    """The key without a possessive s: of "London's" it is "london"."""
    start: int
    end: int
    owner_end: int


def _words(text: str) -> list[_Word]:
    answer = []
    for match in _WORD.finditer(text):
        word = match.group()
        bare = re.sub(rf"[{_APOSTROPHES}][sS]$", "", word)
        answer.append(_Word(_word_key(word), _word_key(bare), match.start(), match.end(), match.start() + len(bare)))
    return answer


def _name_at(text: str, words: list[_Word], position: int) -> tuple[list[Place], int, int] | None:
    """The places of the longest name that begins with this word, how many words it has, and where it ends."""
    for length in range(min(MAX_NAME_WORDS, len(words) - position), 0, -1):
        *before, last = words[position : position + length]
        if any(text[left.end : right.start].strip(" .-–") for left, right in pairwise([*before, last])):
            continue
        # St. John's is a city, New York's is what belongs to one.
        for key, end in ((last.key, last.end), (last.owner, last.owner_end)):
            places = _table().named(" ".join([*(word.key for word in before), key]))
            if places:
                return places, length, end
    return None


def _qualified(text: str, words: list[_Word], places: list[Place], position: int) -> tuple[list[Place], int]:
    """Of the places those in the state or country that is named here, if one is, and how many words that takes."""
    for length in range(min(MAX_QUALIFIER_WORDS, len(words) - position), 0, -1):
        area = words[position : position + length]
        gaps = [text[left.end : right.start].strip(" .") for left, right in pairwise([words[position - 1], *area])]
        key = " ".join(word.owner for word in area)
        if gaps[0] not in ("", ",") or any(gaps[1:]) or not _table().is_area(key):
            continue
        if len(key) == 2 and not _is_code(text, area[0], gaps[0]):
            continue
        inside = _table().within(places, key)
        if inside:
            return inside, length
        another = _name_at(text, words, position)
        if key not in _WORDS_AND_CODES and (another is None or another[1] < length):
            return [], length
    return places, 0


def _is_code(text: str, word: _Word, gap: str) -> bool:
    """Whether these two letters are the code of a state or country: "Portland, OR" against "Portland or Oslo"."""
    return text[word.start : word.end].isupper() and (gap == "," or text != text.upper())


def _stands_for_place(text: str, words: list[_Word], position: int, length: int) -> bool:
    """Whether the name is no ordinary word here."""
    if length > 1 or words[position].owner not in _WORDS_TOO:
        return True
    start, end = words[position].start, words[position].end
    capitalised = text[start].isupper()
    if len(words) == 1:
        return capitalised and not text[end:].lstrip().startswith("!")
    if position == 0 or words[position - 1].key not in _BEFORE_PLACES:
        return False
    if text != text.lower() and text != text.upper():
        return capitalised
    following = text[end:].lstrip()
    return not following[:1].isalnum() or words[position + 1].key in _AFTER_PLACES

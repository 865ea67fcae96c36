"""Reads one message of a person: what it is about, which places, when, in which unit. It knows no other message."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from durable_demo.agent.places import Mention, Place, find_place, find_places
from durable_demo.agent.sums import Conversion, read_conversion, read_expression, read_unit

LONGEST_READ = 600
"""Characters of a message that are read: a question is short, and work stays bounded whatever is sent."""

Topic = Literal["", "weather", "time", "city", "calculate", "convert"]
Unit = Literal["", "F", "C"]
Beyond = Literal["", "past", "future"]

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WEEKEND = ("Saturday", "Sunday")
MOST_DAYS = 7
"""Both how many days `get_forecast` tells at once, and how far ahead they may begin."""


@dataclass(frozen=True)
class Period:
    """Days of a forecast, counted from today; no days at all is the weather right now.

    Attributes:
        start: In how many days it begins.
        days: How many days.
        only: The weekdays that were asked for; empty for all of them.
        cut: Whether more days were asked for than there are.
    """

    start: int = 0
    days: int = 0
    only: tuple[str, ...] = ()
    cut: bool = False


NOW = Period()


@dataclass(frozen=True)
class Reading:
    """What one message says by itself.

    Attributes:
        topic: What it asks for; empty if it does not say.
        places: Names of known cities, in order, as the tools take them.
        unknown_place: What seems to be a place that nobody knows here.
        also_time: Whether it asks for the time too, besides the weather.
        here: Whether it means the place where the person is.
        period: When; None if it does not say.
        beyond: Whether it asks for a time that no forecast reaches.
        focus: Which side of the subject it asks for, such as `rain` or `population`.
        compare: In what places are to be compared, such as `warmer`.
        unit: The temperature unit that it asks for.
        expression: Arithmetic; beginning with an operator it goes on from the one before.
        conversion: Units to convert.
        other_unit: A unit alone ("and in miles?").
        follows: Whether it makes sense only with what was said before ("How about London?").
    """

    topic: Topic = ""
    places: tuple[str, ...] = ()
    unknown_place: str = ""
    also_time: bool = False
    here: bool = False
    period: Period | None = None
    beyond: Beyond = ""
    focus: str = ""
    compare: str = ""
    unit: Unit = ""
    expression: str = ""
    conversion: Conversion | None = None
    other_unit: str = ""
    follows: bool = False


@lru_cache(maxsize=256)  # a conversation is read again for each of its messages
def read(text: str) -> Reading:
    """What a message asks for; an empty reading if it asks for nothing that the tools can do."""
    text = cleaned(text)
    line = lowered(text)
    if expression := read_expression(line):
        return Reading("calculate", expression=expression)
    if conversion := read_conversion(line):
        return Reading("convert", conversion=conversion)
    if _OTHER_SUBJECT.search(line):
        return Reading()
    mentions = find_places(text)
    rest = text
    for mention in reversed(mentions):
        rest = f"{rest[: mention.start]} , {rest[mention.end :]}"
    line = lowered(rest)
    period, beyond = _read_period(line)
    topic = _topic(line, period)
    compare = _first(_COMPARE, line)
    if topic == "city" and compare and compare not in _CITY_COMPARE:
        compare = "bigger"
    focus = _first(_CITY if topic == "city" else _WEATHER, line)
    unknown = _unknown_place(rest)
    if mentions and (_is_country(unknown, mentions) or (unknown.islower() and not compare)):
        unknown = ""
    reading = Reading(
        topic=topic,
        places=tuple(dict.fromkeys(city_argument(mention.place) for mention in mentions)),
        unknown_place=unknown,
        also_time=topic == "weather" and bool(_TIME.search(line)),
        here=bool(_HERE.search(line)),
        period=period,
        beyond=beyond,
        focus=focus,
        compare=compare,
        unit=next((unit for unit, pattern in _UNIT.items() if pattern.search(line)), ""),
        other_unit=read_unit(line),
    )
    if topic:
        return reading
    said = reading.places or unknown or period or reading.unit or compare or reading.other_unit or reading.here
    if said and not _left_over(line, unknown, reading.other_unit):
        return _as_follow_up(reading)
    return Reading()


def cleaned(text: str) -> str:
    """The text without what is invisible, its spaces single, at most `LONGEST_READ` characters."""
    text = unicodedata.normalize("NFKC", text[:LONGEST_READ]).replace("’", "'").replace("‘", "'")
    kept = ("" if unicodedata.category(char) in ("Cf", "Mn") else char if char.isprintable() else " " for char in text)
    return " ".join("".join(kept).split())


def lowered(text: str) -> str:
    """A cleaned text as the patterns of the rules expect it: lower case, no punctuation at its end."""
    return text.lower().rstrip(" ?!.…=,;:")


def city_argument(place: Place) -> str:
    """A name by which the tools find exactly this place again."""
    return place.name if find_place(place.name) == place else place.label


# --- the words of each subject ---------------------------------------------------------------------------------------


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{pattern})\b")


_WEATHER = {
    "umbrella": _words("umbrella|raincoat"),
    "jacket": _words("jacket|coat|sweater|pullover|scarf|gloves|wear|clothes"),
    "rain": _words("rain|rains|rainy|raining|drizzle|wet|showers?|storms?|stormy|thunderstorms?"),
    "snow": _words("snow|snows|snowy|snowing"),
    "wind": _words("wind|winds|windy|breeze|breezy|windier|windiest"),
    "humidity": _words("humid|humidity|muggy"),
    "temperature": _words(
        "temperatures?|degrees|hot|cold|warm|cool|chilly|freezing|warmer|warmest|hotter|hottest|colder|coldest|cooler|"
        "coolest|chillier"
    ),
    "all": _words(
        "weather|wether|wheather|sunny|sun|sunscreen|sunglasses|cloudy|clouds?|sky|skies|fog|foggy|forecast|outlook|"
        "climate"
    ),
}
_CITY = {
    "population": _words("population|inhabitants|populous|how (?:big|large)|(?:how many|more) people|people live"),
    "elevation": _words("how high|elevation|altitude|above sea level|higher|highest"),
    "location": _words("where(?:'s| is| are)|located|coordinates|latitude|longitude|which country"),
    "facts": _words("tell me (?:more |something )?about|facts?|do you know about|describe"),
}
_TIME = _words(
    "what time|what's the time|time (?:is it|in|at|for|now|there|zones?|differences?)|timezones?|local time|clocks?|"
    "current time|the time|time$|what (?:day|date)|what's the date|o'clock|(?:hours?|time) (?:ahead|behind)"
)
_COMPARE = {
    "warmer": _words("warmer|warmest|hotter|hottest|compare|compared|weather difference|temperature difference"),
    "colder": _words("colder|coldest|cooler|coolest|chillier"),
    "windier": _words("windier|windiest|more windy"),
    "more humid": _words("more humid|most humid"),
    "bigger": _words("bigger|biggest|larger|largest|more people|more populous"),
    "smaller": _words("smaller|smallest"),
    "higher": _words("higher|highest"),
}
_CITY_COMPARE = ("bigger", "smaller", "higher")
_UNIT: Mapping[Unit, re.Pattern[str]] = {
    "F": re.compile(r"\bfahrenheit\b|°f\b|\bin f\b"),
    "C": re.compile(r"\bcelsius\b|\bcentigrade\b|°c\b|\bin c\b"),
}
_HERE = _words("here|my (?:city|town|place|area|location)|near me|where i am|where i live")
_OTHER_SUBJECT = re.compile(
    r"^(?:who|who's|whose|why|should i (?:buy|sell))\b|\b(?:poems?|story|stories|song|haiku|limerick|essay|code|script|"
    r"recipe|translate|flights?|hotels?|tickets?|book me|buy|restaurants?|won|match|game|score|president|mayor|news|"
    r"stocks?|prices?|movies?|how far|distance)\b"
)
_FILLERS = re.compile(
    r"a|about|again|also|am|and|any|are|at|but|can|check|could|cool|current|currently|do|does|fine|for|from|"
    r"get|give|going|good|great|have|hello|hey|hi|how|i|i'd|i'll|in|instead|into|is|isn't|it|it's|its|just|"
    r"know|later|let|let's|like|me|mean|meant|more|my|need|next|nice|no|not|now|of|oh|ok|okay|on|one|ones|outside|"
    r"only|or|please|right|say|see|shall|should|show|so|some|sorry|still|tell|than|thank|thanks|that|that's|"
    r"the|their|them|then|there|these|they|this|those|to|too|two|us|very|want|was|we|well|what|what's|whats|"
    r"when|where|which|will|wish|with|would|yes|you|your|there's|between|both|b|i|city|town|place|places|s|vs|"
    r"versus|same|question|cheers|actually|hmm|maybe"
)
_PERIOD_WORDS = _words(
    "day after(?: tomorrow| that)?|tomorrow|today|tonight|weekend|week|now|right now|currently|at the moment|days?|"
    + "|".join(WEEKDAYS).lower()
)
_WORD = re.compile(r"\d+|[^\W\d_][\w'-]*")


def _first(table: Mapping[str, re.Pattern[str]], line: str) -> str:
    """The first name in a table whose pattern is found; empty if none is."""
    return next((name for name, pattern in table.items() if pattern.search(line)), "")


def _topic(line: str, period: Period | None) -> Topic:
    if _first(_WEATHER, line):
        return "weather"
    if _TIME.search(line):
        return "time"
    if _first(_CITY, line) or _first(_COMPARE, line) in _CITY_COMPARE:
        return "city"
    return "weather" if _first(_COMPARE, line) or (period and "weekend" in line) else ""


def _as_follow_up(reading: Reading) -> Reading:
    return Reading(
        places=reading.places,
        unknown_place=reading.unknown_place,
        here=reading.here,
        period=reading.period,
        beyond=reading.beyond,
        unit=reading.unit,
        other_unit=reading.other_unit,
        follows=True,
    )


def _left_over(line: str, unknown: str, other_unit: str) -> list[str]:
    """The words of a line that no rule has a meaning for."""
    known = {*unknown.lower().split(), *other_unit.split(), "fahrenheit", "celsius", "centigrade", "f", "c"}
    said = _WORD.findall(_HERE.sub(" ", _PERIOD_WORDS.sub(" ", _COUNTED.sub(" ", line))))
    return [word for word in said if word not in known and not _FILLERS.fullmatch(word)]


# --- places that nobody knows ----------------------------------------------------------------------------------------

_AFTER = re.compile(
    r"\b(?:in|for|at|of|about|near|or|than|between)\s+(?:the\s+)?"
    r"([^\W\d_][\w'-]{0,80})((?:\s+[^\W\d_][\w'-]{0,40}){0,2})"
)
_QUALIFIER = re.compile(r",\s*([A-Z][\w'-]{1,40})")
_NO_PLACE = re.compile(
    r"(?:general|particular|mind|case|fact|kelvin|fahrenheit|celsius|centigrade|f|c|degrees|miles?|km|morning|afternoon|"
    r"evening|night|month|year|future|past|hours?|minutes?|moment|date|local|it's|yourself|myself|something|anything|"
    r"everything|answer|meantime|world|weather|january|february|march|april|may|june|july|august|september|october|"
    r"november|december|summer|winter|spring|autumn|fall|few|coming|following|last|mph|kmh|english|instructions?|time|"
    r"difference|people|population|elevation|altitude)"
)


def _is_country(name: str, mentions: Sequence[Mention]) -> bool:
    """Whether "Berlin in Germany" names no second place."""
    return any(name.lower() in f"{mention.place.country} {mention.place.region}".lower() for mention in mentions)


def _unknown_place(rest: str) -> str:
    """What stands where a place would stand, in a text from which the known ones are gone."""
    for found in _AFTER.finditer(rest):
        first, more = found[1], found[2]
        word = first.lower()
        if _FILLERS.fullmatch(word) or _NO_PLACE.fullmatch(word) or _PERIOD_WORDS.fullmatch(word):
            continue
        if any(_first(table, word) for table in (_WEATHER, _CITY, _COMPARE)) or _HERE.fullmatch(word):
            continue
        name = [first]
        for word in more.split():
            if not (first[0].isupper() and word[0].isupper()):
                break
            name.append(word)
        qualifier = _QUALIFIER.match(rest, found.end())
        return " ".join(name) + (f", {qualifier[1]}" if qualifier else "")
    return ""


# --- when ------------------------------------------------------------------------------------------------------------

_NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "ten": 10, "fourteen": 14}
_COUNT = rf"(\d{{1,4}}|{'|'.join(_NUMBERS)})"
_IN_DAYS = re.compile(rf"\bin {_COUNT} (days?|weeks?|months?|years?)\b")
_DAYS = re.compile(rf"\b{_COUNT}[- ]days?\b")
_COUNTED = re.compile(rf"\b{_COUNT}[- ](?:days?|weeks?|months?|years?)\b")
_PAST = _words(r"yesterday|last (?:night|week|weekend|month|year|summer|winter)|(?:days?|weeks?|months?|years?) ago")
_FUTURE = _words(
    r"next (?:month|year|summer|winter|spring|autumn|fall)|(?:in|on|for|during) (?:january|february|march|april|may|"
    r"june|july|august|september|october|november|december|summer|winter|spring|autumn)|christmas|easter"
)
_WHENS: tuple[tuple[re.Pattern[str], Period], ...] = (
    (_words("day after(?: tomorrow| that)?"), Period(2, 1)),
    (_words("tomorrow"), Period(1, 1)),
    (_words("weekend"), Period(0, MOST_DAYS, WEEKEND)),
    (_words("next week|coming week"), Period(1, MOST_DAYS)),
    (_words("week"), Period(0, MOST_DAYS)),
    (_words("(?:next|coming) (?:few |couple of )?days"), Period(0, 3)),
    (_words("tonight|later today|this (?:afternoon|evening)"), Period(0, 1)),
    (_words("right now|now|currently|at the moment"), NOW),
    (_words("forecast|outlook"), Period(0, 3)),
    (_words("will|going to|gonna"), Period(0, 1)),
    (_words("today"), NOW),
)


def _read_period(line: str) -> tuple[Period | None, Beyond]:
    if _PAST.search(line):
        return None, "past"
    if _FUTURE.search(line):
        return None, "future"
    if ahead := _IN_DAYS.search(line):
        start = _number(ahead[1]) * (1 if ahead[2].startswith("day") else 7 if ahead[2].startswith("week") else 31)
        return (None, "future") if start > MOST_DAYS else (Period(start, 1), "")
    if count := _DAYS.search(line):
        days = _number(count[1])
        return Period(0, max(1, min(days, MOST_DAYS)), cut=days > MOST_DAYS), ""
    weekdays = tuple(weekday for weekday in WEEKDAYS if re.search(rf"\b{weekday.lower()}\b", line))
    if weekdays:
        return Period(0, MOST_DAYS, weekdays), ""
    return next((period for pattern, period in _WHENS if pattern.search(line)), None), ""


def _number(word: str) -> int:
    return _NUMBERS.get(word) or int(word)

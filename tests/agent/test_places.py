"""Finding cities by name, and in what a person writes."""

from __future__ import annotations

from importlib import resources
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_demo.agent.places import all_places, find_place, find_places, similar_names

NAMES = [
    ("NYC", "New York City, United States"),
    ("new york", "New York City, United States"),
    ("the big apple", "New York City, United States"),
    ("LA", "Los Angeles, United States"),
    ("sf", "San Francisco, United States"),
    ("Washington, D.C.", "Washington, United States"),
    ("DC", "Washington, United States"),
    ("Bombay", "Mumbai, India"),
    ("Peking", "Beijing, China"),
    ("Saigon", "Ho Chi Minh City, Vietnam"),
    ("  SAO   PAULO ", "São Paulo, Brazil"),
    ("xian", "Xi’an, China"),
    ("Lodz", "Łódź, Poland"),
    ("Cologne", "Köln, Germany"),
    ("st louis", "St. Louis, United States"),
    ("Saint Louis", "St. Louis, United States"),
    ("ST. JOHN'S", "St. John's, Canada"),
    ("port au prince", "Port-au-Prince, Haiti"),
    ("London", "London, United Kingdom"),
    ("London, Ontario", "London, Canada"),
    ("London UK", "London, United Kingdom"),
    ("Portland", "Portland, United States"),
    ("portland maine", "Portland, Maine, United States"),
    ("Portland, ME, USA", "Portland, Maine, United States"),
    ("Paris, France", "Paris, France"),
    ("Paris, Texas", None),
    ("Paris Texas", None),
    ("Narnia", None),
    ("France", None),
    ("", None),
    (" ,,, ", None),
    ("🐍", None),
    ("London" * 1000, None),
]


@pytest.mark.parametrize(("name", "label"), NAMES, ids=[f"{number}" for number in range(len(NAMES))])
def test_a_city_is_found_by_any_of_its_names_and_the_largest_wins(name: str, label: str | None):
    place = find_place(name)
    assert (place and place.label) == label


def test_each_label_finds_its_place_again():
    assert all(find_place(place.label) is place for place in all_places())


def test_there_are_at_least_a_thousand_cities_and_all_capitals_people_ask_for():
    assert len(all_places()) >= 1000
    for capital in (
        "Reykjavik",
        "Wellington",
        "Canberra",
        "Ottawa",
        "Bern",
        "Vaduz",
        "Thimphu",
        "Nuuk",
        "Suva",
        "Brasilia",
    ):
        assert find_place(capital), capital


def test_all_data_are_within_what_is_possible():
    for place in all_places():
        assert place.country
        assert len(place.country_code) == 2
        assert len(place.label) <= 100
        assert -90 <= place.latitude <= 90
        assert -180 <= place.longitude <= 180
        assert -450 <= place.elevation_m <= 5500
        assert place.population >= 0
        assert len(place.normals.temperature_c) == len(place.normals.rain) == 12
        assert all(-60 < celsius < 45 for celsius in place.normals.temperature_c)
        assert all(0 <= share <= 0.7 for share in place.normals.rain)
        assert 0 <= place.normals.cloud <= 1
        assert 5 <= place.normals.humidity_percent <= 100


def test_every_time_zone_is_known_to_python():
    for zone in {place.timezone for place in all_places()}:
        ZoneInfo(zone)


def test_the_data_are_small_and_say_where_they_come_from():
    folder = resources.files("durable_demo.agent") / "data"
    assert sum(len(file.read_bytes()) for file in folder.iterdir()) < 350_000
    provenance = (folder / "README.md").read_text("utf8")
    for word in ("GeoNames", "CC BY 4.0", "ITU-R", ".ci/build_places.py"):
        assert word in provenance


TEXTS = [
    ("What's the weather in NYC?", ["NYC"]),
    ("How about London?", ["London"]),
    ("Which is warmer, Cairo or Oslo?", ["Cairo", "Oslo"]),
    ("new york's weather", ["new york"]),
    ("St. John's and St. Louis", ["St. John's", "St. Louis"]),
    ("weather in Port-au-Prince!", ["Port-au-Prince"]),
    ("Compare Houston, Mexico City and Paris, Texas.", ["Houston", "Mexico City"]),
    ("paris texas weather", []),
    ("Boston, New York and Seattle, Washington", ["Boston", "New York", "Seattle, Washington"]),
    ("Portland, OR or Portland, ME?", ["Portland, OR", "Portland, ME"]),
    ("portland or seattle", ["portland", "seattle"]),
    ("WEATHER IN PARIS OR LONDON", ["PARIS", "LONDON"]),
    ("What about Paris, OK?", ["Paris"]),
    ("Is it nice in Paris?", ["Paris"]),
    ("weather in nice", ["nice"]),
    ("in nice weather", []),
    ("Nice", ["Nice"]),
    ("Nice!", []),
    ("nice", []),
    ("Nice, France", ["Nice, France"]),
    ("How about Split?", ["Split"]),
    ("split 12 by 4", []),
    ("I am reading a book about Bath", ["Bath"]),
    ("Reading is fun", []),
    ("my name is Charlotte", []),
    ("la la land", []),
    ("weather in LA", ["LA"]),
    ("most of the time I can do the same, man", []),
    ("100 F in C", []),
    ("who are you?", []),
    ("", []),
    ("🐍 \x00 <b>London</b>", ["London"]),
]


@pytest.mark.parametrize(("text", "named"), TEXTS, ids=[f"{number}" for number in range(len(TEXTS))])
def test_cities_are_read_in_a_text_and_words_are_no_cities(text: str, named: list[str]):
    assert [text[mention.start : mention.end] for mention in find_places(text)] == named


def test_what_stands_behind_a_name_chooses_the_city():
    [mention] = find_places("How warm is it in Victoria, British Columbia, tomorrow?")
    assert mention.place.country_code == "CA"


@given(st.text(max_size=300))
def test_any_text_can_be_read(text: str):
    mentions = find_places(text)
    assert all(0 <= mention.start < mention.end <= len(text) for mention in mentions)
    assert all(left.end <= right.start for left, right in pairwise(mentions))
    find_place(text)


def test_a_misspelt_name_gets_a_suggestion():
    assert "London" in similar_names("Lodnon")
    assert similar_names("qqqqqqqq") == []

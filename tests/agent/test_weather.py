"""Weather from the package, and from a server on this machine that stands in for open-meteo.com."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from durable_demo.agent import weather
from durable_demo.agent.places import Place, find_place
from durable_demo.agent.tools import get_forecast, get_weather

Answer = Callable[[BaseHTTPRequestHandler, dict[str, str]], None]

CURRENT = {
    "time": "2026-11-22T11:15",
    "temperature_2m": 7.2,
    "relative_humidity_2m": 65,
    "weather_code": 2,
    "wind_speed_10m": 16.0,
    "wind_direction_10m": 312,
}


@pytest.fixture
def london() -> Place:
    place = find_place("London")
    assert place
    return place


class Server:
    """Stands in for open-meteo.com; `answer` is what it does with a request."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[dict[str, str]] = []
        self.answer: Answer = lambda handler, _: say(handler, {})


def say(handler: BaseHTTPRequestHandler, body: Any, status: int = 200) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            known.asked.append(query)
            known.answer(self, query)

        def log_message(self, *_: Any) -> None:
            """Nothing: tests print what matters."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        known = Server(f"http://127.0.0.1:{listening.server_port}/v1/forecast")
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        monkeypatch.setattr(weather, "OPEN_METEO_URL", known.url)
        monkeypatch.setenv("DEMO_WEATHER", "open-meteo")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        try:
            yield known
        finally:
            listening.shutdown()
            thread.join(10)


@pytest.mark.parametrize("value", [None, "", "typical", " Typical "])
def test_by_default_the_values_are_typical_ones_and_nobody_is_asked(
    value: str | None, server: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("DEMO_WEATHER") if value is None else monkeypatch.setenv("DEMO_WEATHER", value)
    for result in (get_weather("London"), get_forecast("London")):
        assert result["source"] == "typical values, not a live reading"
        assert "note" not in result
    assert server.asked == []
    assert weather.weather_source() == "typical values"


def test_an_unknown_source_is_told_and_typical_values_are_given(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DEMO_WEATHER", "crystal ball")
    result = get_weather("London")
    assert result["source"] == "typical values, not a live reading"
    assert "DEMO_WEATHER is neither" in result["note"]
    assert weather.weather_source() == "typical values"


def test_live_weather_is_what_the_server_says(server: Server, london: Place):
    server.answer = lambda handler, _: say(handler, {"current": CURRENT})
    assert get_weather("London") == {
        "place": "London, United Kingdom",
        "city": "London",
        "country": "United Kingdom",
        "country_code": "GB",
        "local_time": "2026-11-22T11:15",
        "temperature_c": 7.2,
        "conditions": "partly cloudy",
        "humidity_percent": 65,
        "wind_kmh": 16.0,
        "wind_from": "northwest",
        "source": "open-meteo.com, live",
    }
    assert weather.weather_source() == "open-meteo.com, live"
    assert (server.asked[0]["latitude"], server.asked[0]["longitude"]) == (str(london.latitude), str(london.longitude))


def daily(query: dict[str, str]) -> dict[str, Any]:
    """What the server answers to a request for two days."""
    return {
        "daily": {
            "time": [query["start_date"], query["end_date"]],
            "temperature_2m_min": [1.5, 2],
            "temperature_2m_max": [8.25, 9],
            "weather_code": [61, 95],
            "relative_humidity_2m_mean": [80, 81],
            "wind_speed_10m_max": [20.1, 25],
            "wind_direction_10m_dominant": [180, 270],
        }
    }


def test_a_live_forecast_has_the_days_that_were_asked_for(server: Server):
    server.answer = lambda handler, query: say(handler, daily(query))
    result = get_forecast("London", days=2, start_in_days=1)
    assert result["source"] == "open-meteo.com, live"
    first, second = result["days"]
    assert (first["date"], second["date"]) == (server.asked[0]["start_date"], server.asked[0]["end_date"])
    assert first["conditions"] == "light rain"
    assert (second["conditions"], second["high_c"], second["wind_from"]) == ("thunderstorm", 9.0, "west")
    assert first.keys() == get_typical_day().keys()


def get_typical_day() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DEMO_WEATHER", raising=False)
        return dict(get_forecast("London", days=1)["days"][0])


BAD_ANSWERS: dict[str, tuple[Answer, str]] = {
    "busy": (lambda handler, _: say(handler, {"error": True, "reason": "<b>limit</b>"}, 429), "HTTP 429"),
    "broken": (lambda handler, _: say(handler, b"oh", 500), "HTTP 500"),
    "redirect": (lambda handler, _: say(handler, b"", 302), "HTTP 302"),
    "no JSON": (lambda handler, _: say(handler, b"<html>"), "unexpected answer"),
    "no object": (lambda handler, _: say(handler, [1]), "unexpected answer"),
    "empty": (lambda handler, _: say(handler, {}), "unexpected answer"),
    "null": (
        lambda handler, _: say(handler, {"current": {**CURRENT, "temperature_2m": None}}),
        "unexpected answer",
    ),
    "a text": (lambda handler, _: say(handler, {"current": {**CURRENT, "weather_code": "2"}}), "unexpected answer"),
    "no number": (
        lambda handler, _: say(handler, {"current": {**CURRENT, "wind_speed_10m": float("nan")}}),
        "unexpected answer",
    ),
    "strange code": (
        lambda handler, _: say(handler, {"current": {**CURRENT, "weather_code": 42}}),
        "unexpected answer",
    ),
    "nested": (lambda handler, _: say(handler, b"[" * 90_000), "unexpected answer"),
    "huge": (lambda handler, _: say(handler, b" " * (weather.MAX_LIVE_BYTES + 1)), "unexpected answer"),
    "cut off": (
        lambda handler, _: handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"),
        "not reachable",
    ),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_a_bad_answer_gives_typical_values_with_a_note(name: str, server: Server):
    server.answer, reason = BAD_ANSWERS[name]
    for result in (get_weather("London"), get_forecast("London", days=2)):
        assert result["source"] == "typical values, not a live reading"
        assert result["note"].startswith("open-meteo.com did not answer (")
        assert result["note"].endswith("): these are typical values")
    assert reason in get_weather("London")["note"]


def test_a_server_that_is_not_there_gives_typical_values(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DEMO_WEATHER", "open-meteo")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(weather, "OPEN_METEO_URL", "http://127.0.0.1:9/v1/forecast")
    assert "(not reachable)" in get_weather("London")["note"]


@pytest.mark.parametrize("trickle", [False, True], ids=["silent", "trickling"])
def test_a_server_that_stalls_is_waited_for_no_longer_than_the_deadline(
    trickle: bool, server: Server, monkeypatch: pytest.MonkeyPatch
):
    over = threading.Event()

    def stall(handler: BaseHTTPRequestHandler, query: dict[str, str]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        while not over.wait(0.1):
            if trickle:
                handler.wfile.write(b" ")

    server.answer = stall
    monkeypatch.setattr(weather, "LIVE_DEADLINE", timedelta(seconds=0.5))
    began = time.monotonic()
    try:
        assert "(timed out)" in get_weather("London")["note"]
        assert time.monotonic() - began < 3
    finally:
        over.set()


def test_a_name_server_that_stalls_is_not_waited_for_either(monkeypatch: pytest.MonkeyPatch):
    over = threading.Event()

    def stall(query: object) -> bytes:
        over.wait(30)
        return b"{}"

    monkeypatch.setenv("DEMO_WEATHER", "open-meteo")
    monkeypatch.setattr(weather, "_fetched", stall)
    monkeypatch.setattr(weather, "LIVE_DEADLINE", timedelta(seconds=0.2))
    try:
        assert "(timed out)" in get_weather("London")["note"]
    finally:
        over.set()

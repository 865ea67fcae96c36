"""Who is let in: by which name, from which page, with which token, how often and how much at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from durable_demo.errors import InvalidInput
from durable_demo.gateway.app import guarded
from durable_demo.gateway.guard import COOKIE, Access, allowed_hosts, check_origin, check_token, is_loopback
from durable_demo.gateway.limits import MAX_BODY
from tests.gateway.served import TOKEN

FRIEND = "https://friend.example"


async def _answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{len(await request.body())}")


def client(**access: Any) -> httpx.AsyncClient:
    """A client of a guarded application that tells the length of what it got."""
    methods = ["GET", "POST"]
    app = Starlette(routes=[Route("/{path:path}", _answer, methods=methods)])
    settings = {"hosts": allowed_hosts("127.0.0.1"), "origins": (FRIEND,), **access}
    wall = guarded(app, Access(**settings))
    return httpx.AsyncClient(transport=httpx.ASGITransport(wall), base_url="http://127.0.0.1:8000")


# --- host ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]:8000"])
async def test_it_is_asked_for_by_its_own_names(host: str):
    assert (await client().get("/x", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "",
        "[",
        "evil:8000",
        "x@localhost",
        "localhost/x",
    ],
)
async def test_by_another_name_nothing_is_answered(host: str):
    response = await client().get("/x", headers={"host": host})
    assert response.status_code == 421
    assert response.headers["content-type"] == "application/problem+json"


def test_an_open_address_is_asked_for_by_the_names_of_this_machine_and_given_ones():
    hosts = allowed_hosts("0.0.0.0", ["Demo.Example"])
    assert {"demo.example", "127.0.0.1", "localhost"} <= hosts
    assert "evil.example" not in hosts


# --- other pages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "http://127.0.0.1:8000.evil.example"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
    ],
)
async def test_another_web_page_starts_nothing(headers: dict[str, str]):
    for method in ("GET", "POST"):
        response = await client().request(method, "/monty/stream", headers=headers)
        assert response.status_code == 403
        assert "--allow-origin" in response.json()["remedy"]
        assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/x", {"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}),
        ("/x", {"sec-fetch-site": "none"}),
        ("/", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}),
        ("/x", {}),
    ],
)
async def test_its_own_page_a_link_to_it_and_programs_are_let_in(path: str, headers: dict[str, str]):
    assert (await client().get(path, headers=headers)).status_code == 200


async def test_a_page_that_is_allowed_may_ask_and_read():
    asked = {
        "origin": FRIEND,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    before = await client(token=TOKEN).options("/monty/stream", headers=asked)
    assert (before.status_code, before.headers["access-control-allow-origin"]) == (200, FRIEND)
    response = await client().post("/monty/stream", headers={"origin": FRIEND})
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, FRIEND)
    refused = await client(token=TOKEN).get("/x", headers={"origin": FRIEND})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, FRIEND)


@pytest.mark.parametrize(
    "origin", ["*", "friend.example", "https://friend.example/", "ftp://friend.example", "", "https://a@friend.example"]
)
def test_what_is_no_origin_is_not_allowed(origin: str):
    with pytest.raises(InvalidInput, match="not an origin"):
        check_origin(origin)


def test_origins_and_hosts_are_what_browsers_send():
    assert check_origin("https://Friend.Example:443") == "https://friend.example"
    with pytest.raises(InvalidInput, match="not the name of a host"):
        allowed_hosts("127.0.0.1", ["demo.example:8000"])


# --- token -----------------------------------------------------------------------------------------------------------


async def test_without_the_token_nothing_is_answered():
    asking = client(token=TOKEN)
    for path in ("/workflow/x/status", "/workflow/x/stream", "/monty/stream", "/assets/page.js", "/", "/openapi.json"):
        for headers in (
            {},
            {"authorization": "Bearer wrong"},
            {"authorization": f"Basic {TOKEN}"},
            {"cookie": f"{COOKIE}-8000=x"},
        ):
            response = await asking.get(path, headers=headers, params={"token": "wrong-wrong-wrong"})
            assert response.status_code == 401
            assert TOKEN not in response.text
    assert (await asking.get("/x")).headers["www-authenticate"].startswith("Bearer")


async def test_the_token_comes_as_a_header_and_for_streams_in_the_url():
    asking = client(token=TOKEN)
    assert (await asking.post("/x", headers={"authorization": f"bearer {TOKEN}"})).status_code == 200
    assert (await asking.get("/workflow/x/stream", params={"token": TOKEN})).status_code == 200
    assert (await asking.get("/workflow/x/status", params={"token": TOKEN})).status_code == 401
    assert (await asking.post("/monty/stream", params={"token": TOKEN})).status_code == 401


async def test_the_page_takes_it_from_the_url_into_a_cookie():
    asking = client(token=TOKEN)
    response = await asking.get("/", params={"token": TOKEN, "workflow": "monty-python-1"})
    assert (response.status_code, response.headers["location"]) == (303, "./?workflow=monty-python-1")
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert cookie.startswith(f"{COOKIE}-8000=")
    assert (await asking.get("/", params={"workflow": "monty-python-1"})).status_code == 200
    assert (await asking.post("/x")).status_code == 200
    among = {"cookie": f'theme={{"a":1}}; foo; a[0]=1; {COOKIE}-8000={TOKEN}'}  # those of other servers on this host
    assert (await client(token=TOKEN).get("/x", headers=among)).status_code == 200
    page = await client(token=TOKEN).get("/", headers={"accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (401, "text/plain; charset=utf-8")


def test_an_open_address_needs_a_token_that_cannot_be_guessed():
    for host in ("0.0.0.0", "::", "192.168.1.5", "demo.example"):
        assert not is_loopback(host)
        with pytest.raises(InvalidInput, match="other machines"):
            check_token("", host)
    for token in ("short", "é" * 20, "with spaces in the token", "a\nb" * 10):
        with pytest.raises(InvalidInput, match="at least 16"):
            check_token(token, "127.0.0.1")
    assert check_token("", "127.0.0.1") == ""
    assert check_token(TOKEN, "0.0.0.0") == TOKEN


# --- sizes and rates -------------------------------------------------------------------------------------------------


async def _pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * 1_000


async def test_a_body_too_large_is_refused_with_and_without_its_length():
    assert (await client().post("/x", content=b"x" * MAX_BODY)).text == f"{MAX_BODY}"
    response = await client().post("/x", content=b"x" * (MAX_BODY + 1))
    assert (response.status_code, response.headers["content-type"]) == (413, "application/problem+json")
    assert (await client().post("/x", content=_pieces(3))).text == "3000"
    assert (await client().post("/x", content=_pieces(300))).status_code == 413


async def test_too_many_requests_are_refused_for_a_while():
    asking = client(requests=5)
    assert [(await asking.get("/x")).status_code for _ in range(6)] == [200] * 5 + [429]
    response = await asking.get("/x")
    assert int(response.headers["retry-after"]) > 0
    assert (await asking.get("/assets/page.js")).status_code == 200  # costs nothing
    free = client(requests=0)
    assert [(await free.get("/x")).status_code for _ in range(20)] == [200] * 20


async def test_every_answer_has_the_headers_that_keep_browsers_from_guessing():
    for response in (await client().get("/x"), await client().get("/x", headers={"host": "evil"})):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"

"""The application in this process: how much at once, and its page's wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from durable_demo import Session
from durable_demo.gateway import limits, serving
from durable_demo.gateway.app import guarded, make_app
from durable_demo.gateway.guard import Access, allowed_hosts
from durable_demo.gateway.limits import Limits
from tests.conftest import eventually
from tests.gateway.served import DEADLINE_S, TOKEN
from tests.gateway.test_routes import told
from tests.test_monty import LONG

KEY = "a1b2c3d4e5f60718"


@asynccontextmanager
async def client(demo: Session, allowed: Limits) -> AsyncIterator[httpx.AsyncClient]:
    app = make_app(demo, allowed)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as asking,
    ):
        yield asking


async def test_without_room_for_a_stream_none_is_opened_and_no_workflow_is_started(demo: Session):
    run = await demo.start_monty(**LONG)
    before = set(demo.client._started)  # the server's list is a moment behind
    async with client(demo, Limits(streams=0)) as asking:
        for method, path in (
            ("POST", "/monty/stream"),
            ("GET", "/monty/stream"),
            ("GET", f"/workflow/{run.id}/stream"),
        ):
            response = await asking.request(method, path)
            assert "too" in told(response, 503, "too-many-streams")["type"]
            assert int(response.headers["retry-after"]) > 0
    assert demo.client._started == before
    await run.stop()


async def test_what_is_refused_starts_nothing(demo: Session):
    before = set(demo.client._started)
    async with client(demo, Limits()) as asking:
        for path, body in (
            ("/monty/stream", {"min_sleep": 0}),
            ("/monty/stream", {"min_sleep": 9, "max_sleep": 3}),
            ("/monty/stream", {"quotes": ["Ni!", "Ni!"]}),
            ("/chat", {"message": " "}),
            ("/chat", {"message": "hello", "message_id": "no spaces"}),
        ):
            told(await asking.post(path, json=body), 422, "invalid-input")
    assert demo.client._started == before


# --- the page's wire -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def wire(demo: Session, allowed: Limits | None = None, **access: Any) -> AsyncIterator[Callable[..., Any]]:
    """A server in this process; what it gives opens a WebSocket to the panel of a page."""
    with serving.listen("127.0.0.1", 0) as listening:
        wall = guarded(make_app(demo, allowed or Limits()), Access(hosts=allowed_hosts("127.0.0.1"), **access))
        server = serving.GatewayServer(uvicorn.Config(wall, log_level="warning"))
        running = asyncio.create_task(server.serve(sockets=[listening]))
        await eventually(lambda: server.started, "the server to listen")
        port = listening.getsockname()[1]
        try:
            yield lambda key=KEY, **headers: connect(
                f"ws://127.0.0.1:{port}/panel/{key}", additional_headers=headers, open_timeout=DEADLINE_S
            )
        finally:
            server.should_exit = True
            await running


async def until(socket: ClientConnection, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The first message that is wanted."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            message: dict[str, Any] = json.loads(await socket.recv())
            if wanted(message):
                return message


def never(_message: dict[str, Any]) -> bool:
    return False


async def test_a_page_says_hello_and_gets_the_state_of_each_channel(demo: Session):
    async with wire(demo) as panel, panel() as socket:
        await socket.send('{"t": "hello"}')
        missing = {"trace", "panel", "chat", "timeline", "history", "break", "runs", "compare"}
        while missing:
            missing.discard((await until(socket, lambda message: message["t"] == "snapshot"))["channel"])


async def test_two_windows_of_a_page_are_told_the_same(demo: Session):
    async with wire(demo) as panel, panel() as one, panel() as other:
        await one.send('{"t": "command", "id": "7", "name": "explode", "args": {}}')
        for socket in (one, other):
            answer = await until(socket, lambda message: message["t"] == "answer")
            assert (answer["id"], answer["ok"]) == ("7", False)


@pytest.mark.parametrize("text", ["no json", "[1]", "3", "null", "[" * 30_000, b"{}"])
async def test_what_is_no_message_ends_the_wire(demo: Session, text: str | bytes):
    async with wire(demo) as panel, panel() as socket:
        await socket.send(text)
        with pytest.raises(ConnectionClosed) as closed:
            await until(socket, never)
        assert closed.value.rcvd
        assert closed.value.rcvd.code == 1008


@pytest.mark.parametrize("key", ["short", "UPPER-CASE-KEY", "a" * 65])
async def test_a_page_without_a_proper_key_is_sent_away(demo: Session, key: str):
    async with wire(demo) as panel, panel(key) as socket:
        with pytest.raises(ConnectionClosed):
            await socket.recv()


async def test_there_are_so_many_pages_and_one_that_comes_back_is_let_in(demo: Session):
    async with wire(demo, Limits(pages=1)) as panel:
        async with panel() as socket:
            await socket.send('{"t": "hello"}')
            await socket.recv()
            async with panel(KEY[::-1]) as other:
                with pytest.raises(ConnectionClosed) as closed:
                    await other.recv()
            assert closed.value.rcvd
            assert (closed.value.rcvd.code, "too many pages" in closed.value.rcvd.reason) == (1013, True)
        async with panel() as socket:
            await socket.send('{"t": "hello"}')
            assert await socket.recv()


async def test_a_panel_goes_some_time_after_its_last_window(demo: Session, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "PAGE_LINGER_S", 0.1)
    settled = len(demo.on_settle)
    async with wire(demo) as panel:
        async with panel() as socket:
            await socket.send('{"t": "hello"}')
            await socket.recv()
            assert len(demo.on_settle) == settled + 1
        await eventually(lambda: len(demo.on_settle) == settled, "the panel to be closed")


async def test_a_window_that_is_too_slow_is_connected_anew(demo: Session, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "PAGE_MESSAGES", 3)
    async with wire(demo) as panel, panel() as socket:
        await socket.send('{"t": "hello"}')  # more answers at once than there is room for
        with pytest.raises(ConnectionClosed) as closed:
            await until(socket, never)
        assert closed.value.rcvd
        assert closed.value.rcvd.code == 4000


@pytest.mark.parametrize(
    ("headers", "access"),
    [
        ({"Origin": "http://evil.example"}, {}),
        ({"Origin": "null"}, {}),
        ({}, {"token": TOKEN}),
        ({"Authorization": "Bearer wrong"}, {"token": TOKEN}),
    ],
)
async def test_the_wire_is_guarded_as_all_else_is(demo: Session, headers: dict[str, str], access: dict[str, Any]):
    async with wire(demo, **access) as panel:
        async with panel(**headers) as socket:
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd
            assert closed.value.rcvd.code in (4401, 4403)
            assert closed.value.rcvd.reason
        async with panel(Authorization=f"Bearer {TOKEN}") as socket:
            await socket.send('{"t": "hello"}')
            assert await socket.recv()

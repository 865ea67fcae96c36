"""The panel as a web page: each page has a panel of its own here, and the panel's messages go over a WebSocket.

The page's script stands for anywidget's model, so that the panel's own script runs unchanged (page.js). What a page
shows is in its URL: a reload, another window, and a page that comes back after the gateway was restarted show the same.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib import resources

from fastapi import APIRouter, Response, WebSocket, WebSocketDisconnect
from starlette.exceptions import HTTPException

from durable_demo.errors import DemoError
from durable_demo.gateway import limits
from durable_demo.session import Session
from durable_demo.widgets import assets
from durable_demo.widgets.feed import Message
from durable_demo.widgets.panel import PANEL_STYLES, Panel

router = APIRouter(include_in_schema=False)

PAGE_KEY = re.compile(r"[a-z0-9]{8,64}\Z")
TOO_MANY, TOO_SLOW, NOT_UNDERSTOOD = 1013, 4000, 1008
"""Codes with which a WebSocket is closed."""
WELCOME = json.dumps({"t": "welcome"})
"""First of all: the window is let in."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES = {".js": "text/javascript", ".css": "text/css"}


class PagePanel(Panel):
    """The panel of one page, which may be open in several windows.

    Args:
        demo: A started session.
        workflow_id: What its trace shows; empty for the Monty that runs, if any.
        chat_id: What its chat shows, likewise.
    """

    def __init__(self, demo: Session, workflow_id: str, chat_id: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._windows: set[asyncio.Queue[str]] = set()
        super().__init__(demo, attach=not (workflow_id or chat_id))
        self.show(workflow_id, chat_id)

    def show(self, workflow_id: str, chat_id: str) -> None:
        """Shows what a link names, unless that is shown already; what is no Workflow ID is told as an alert."""
        for show, wanted, shown in ((self.watch, workflow_id, self.run), (self.open_chat, chat_id, self.chat)):
            try:
                if wanted and (shown is None or shown.id != wanted):
                    show(wanted)
            except DemoError as error:
                self._panel.alert(error)

    @property
    def looked_at(self) -> bool:
        """Whether a window shows it."""
        return bool(self._windows)

    def enter(self) -> asyncio.Queue[str]:
        """A further window; returns what it is told. An empty text: it is too slow, and has missed something."""
        told: asyncio.Queue[str] = asyncio.Queue(limits.PAGE_MESSAGES)
        told.put_nowait(WELCOME)
        self._windows.add(told)
        return told

    def leave(self, told: asyncio.Queue[str]) -> None:
        """A window is gone."""
        self._windows.discard(told)

    def receive(self, content: Message) -> None:
        """A message from a window."""
        self._receive(self, content, None)

    def _publish(self, message: Message) -> None:
        with suppress(RuntimeError):  # the gateway has ended
            self._loop.call_soon_threadsafe(self._tell, json.dumps(message))

    def _tell(self, text: str) -> None:
        for told in list(self._windows):
            slow = told.qsize() >= limits.PAGE_MESSAGES - 1
            if slow:
                self._windows.discard(told)
            told.put_nowait("" if slow else text)


class Pages:
    """The panels of all pages. For one event loop.

    Args:
        demo: A started session.
        most: How many there may be.
    """

    def __init__(self, demo: Session, most: int) -> None:
        self._demo = demo
        self._most = most
        self._panels: dict[str, PagePanel] = {}
        self._leaving: dict[str, asyncio.TimerHandle] = {}

    def open(self, key: str, workflow_id: str, chat_id: str, *, loaded: bool) -> PagePanel | None:
        """The panel of a page; None if there is room for no more.

        Args:
            key: Tells the page from all others.
            workflow_id: What its URL says that its trace shows; empty for nothing.
            chat_id: What its chat shows, likewise.
            loaded: Whether the page was loaded just now, maybe by a link to another workflow; else it comes back.
        """
        if timer := self._leaving.pop(key, None):
            timer.cancel()
        if key not in self._panels:
            if len(self._panels) >= self._most:
                return None
            self._panels[key] = PagePanel(self._demo, workflow_id, chat_id)
        elif loaded:
            self._panels[key].show(workflow_id, chat_id)
        return self._panels[key]

    def left(self, key: str) -> None:
        """A window of a page is gone; with its last one the panel goes, unless the page comes back soon."""
        panel = self._panels.get(key)
        if panel and not panel.looked_at:
            if timer := self._leaving.pop(key, None):
                timer.cancel()
            loop = asyncio.get_running_loop()
            self._leaving[key] = loop.call_later(limits.PAGE_LINGER_S, self._close, key)

    def close(self) -> None:
        """Closes all of them."""
        for timer in self._leaving.values():
            timer.cancel()
        for panel in self._panels.values():
            panel.close()

    def _close(self, key: str) -> None:
        self._leaving.pop(key, None)
        if panel := self._panels.pop(key, None):
            panel.close()


@router.api_route("/", methods=["GET", "HEAD"])
def page() -> Response:
    """The page."""
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
    return Response(_own("page.html"), media_type="text/html", headers=headers)


@router.get("/assets/{name}")
def asset(name: str) -> Response:
    """A script or a style sheet of the page: the panel's own, and the two that only the page has."""
    text = _assets().get(name)
    if text is None:
        raise HTTPException(404, f"there is no {name[:80]!r}")
    kind = _TYPES[name[name.rindex(".") :]]
    return Response(text, media_type=kind, headers={"Cache-Control": "no-cache"})


@router.websocket("/panel/{key}")
async def panel_wire(socket: WebSocket, key: str, workflow: str = "", chat: str = "", loaded: bool = False) -> None:
    """The wire between a window and the panel of its page; see `widgets/feed.py` for the messages."""
    pages: Pages = socket.app.state.pages
    await socket.accept()
    if not PAGE_KEY.match(key):
        await socket.close(NOT_UNDERSTOOD, "This is no page's wire.")
        return
    panel = pages.open(key, workflow, chat, loaded=loaded)
    if panel is None:
        await socket.close(TOO_MANY, "There are too many pages; close some.")
        return
    told = panel.enter()
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_send(socket, told))
            both.create_task(_hear(socket, panel))
    except* WebSocketDisconnect:
        pass
    except* _Over as over:
        with suppress(WebSocketDisconnect):
            await socket.close(*over.exceptions[0].args)
    finally:
        panel.leave(told)
        pages.left(key)


class _Over(Exception):
    """The wire is to be closed, with this code and this reason."""


async def _send(socket: WebSocket, told: asyncio.Queue[str]) -> None:
    while text := await told.get():
        await socket.send_text(text)
    raise _Over(TOO_SLOW, "This window is too slow; it is connected anew.")


async def _hear(socket: WebSocket, panel: PagePanel) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        content = _parsed(message.get("text") or "")
        if content is None:
            raise _Over(NOT_UNDERSTOOD, "This message cannot be understood; reload the page.")
        panel.receive(content)


def _parsed(text: str) -> Message | None:
    try:
        content = json.loads(text) if len(text) <= limits.MAX_BODY else None
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


@cache
def _assets() -> Mapping[str, str]:
    """Texts of scripts and style sheets, by name."""
    own = {name: _own(name) for name in ("page.js", "page.css")}
    return {**assets.modules(), "panel.css": assets.style(*PANEL_STYLES), **own}


def _own(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")

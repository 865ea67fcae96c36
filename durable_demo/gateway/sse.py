"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Message, Receive, Scope, Send

from durable_demo.gateway import limits
from durable_demo.gateway.streams import Told

log = logging.getLogger(__name__)

LINE = "\n"


class EventStream(EventSourceResponse):
    """A stream of events that never ends by itself, but with its workflow.

    Args:
        told: What is sent; closed when the reader leaves.
        begin: Offset to come back with before the first event is seen; empty for none.
        named: Whether `event:` names each; without it `EventSource.onmessage` gets them all.
        keep_alive: Seconds between two comments in a stream in which nothing happens.
        headers: More headers.
    """

    def __init__(
        self,
        told: AsyncGenerator[Told],
        *,
        begin: str = "",
        named: bool,
        keep_alive: float,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(
            _frames(told, begin=begin, named=named),
            sep=LINE,
            ping=keep_alive,
            ping_message_factory=lambda: ServerSentEvent(comment="keep-alive", sep=LINE),
            send_timeout=limits.SEND_DEADLINE_S,
            headers=headers,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = over = False

        async def watched(message: Message) -> None:
            nonlocal begun, over
            await send(message)
            begun = True
            over = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await super().__call__(scope, receive, watched)
        except SendTimeoutError:
            log.info("a reader of %s took in nothing for %g s: given up", scope["path"], limits.SEND_DEADLINE_S)
            return
        if begun and not over:  # the gateway ends: its readers are told, and come back to the next one
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _frames(told: AsyncGenerator[Told], *, begin: str, named: bool) -> AsyncIterator[ServerSentEvent]:
    async with aclosing(told):
        # Without data it is no event, but its id is kept.
        yield ServerSentEvent(id=begin or None, retry=limits.RETRY_MS, sep=LINE)
        async for each in told:
            event = each.event
            yield ServerSentEvent(each.text, event=event.event if named else None, id=event.offset or None, sep=LINE)

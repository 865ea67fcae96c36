"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from durable_demo.gateway import limits
from durable_demo.gateway.streams import Told

log = logging.getLogger(__name__)

LINE = "\n"


class EventStream(EventSourceResponse):
    """A stream of events that never ends by itself, but with its workflow.

    Args:
        told: What is sent; closed when the reader leaves.
        named: Whether `event:` names each; without it `EventSource.onmessage` gets them all.
        keep_alive: Seconds between two comments in a stream in which nothing happens.
        headers: More headers.
    """

    def __init__(
        self, told: AsyncGenerator[Told], *, named: bool, keep_alive: float, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(
            _frames(told, named=named),
            sep=LINE,
            ping=keep_alive,
            ping_message_factory=lambda: ServerSentEvent(comment="keep-alive", sep=LINE),
            send_timeout=limits.SEND_DEADLINE_S,
            headers=headers,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            log.info("a reader of %s took in nothing for %g s: given up", scope["path"], limits.SEND_DEADLINE_S)


async def _frames(told: AsyncGenerator[Told], *, named: bool) -> AsyncIterator[ServerSentEvent]:
    async with aclosing(told):
        yield ServerSentEvent(retry=limits.RETRY_MS, sep=LINE)
        async for each in told:
            event = each.event
            yield ServerSentEvent(each.text, event=event.event if named else None, id=event.offset or None, sep=LINE)

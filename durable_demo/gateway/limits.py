"""What a gateway allows, and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass

MAX_BODY = 256 * 1024
"""Bytes of a request's body: the largest that means something, 100 quotes of 280 characters, escaped, has 170,000."""
STREAM_EVENTS = 2_000
"""Events of a workflow that are kept for readers; one who falls further behind reads again from the server."""
STREAM_CHARACTERS = 8_000_000
"""The same as characters of JSON: an event may have megabytes."""
STREAM_LINGER_S = 10.0
"""How long a workflow is followed on when its last reader has left: a reload comes back to it."""
SEND_DEADLINE_S = 30.0
"""How long a reader may take in nothing, until it is given up; it may come back and resume."""
RETRY_MS = 1_000
"""How soon an `EventSource` comes back when its connection was lost."""
IDLE_S = 120
"""How long a connection without a request stays open: longer than clients keep one for their next request.

Whoever sends one at the moment when its connection is closed gets an error: httpx keeps connections for 5 s, aiohttp
for 15 s, Go for 90 s.
"""
SHUTDOWN_S = 3
"""How long open requests may take to end when the gateway ends."""
TAKEN_S = 4.0
"""How long a message may take until a Worker has taken it."""
REPLY_S = 30.0
"""How long a request waits for an answer; a later one is in the conversation's history."""
PAGE_MESSAGES = 1_000
"""Messages that wait for one window; one that falls further behind is connected anew and gets the whole state."""
PAGE_LINGER_S = 30.0
"""How long a page's panel is kept when its last window is gone: a reload comes back to it."""


@dataclass(frozen=True)
class Limits:
    """What people may set.

    Attributes:
        requests: Requests in a minute, from one address; 0 for no limit.
        streams: Open event streams.
        pages: Pages, each with a panel of its own.
        keep_alive: Seconds between two comments in a stream in which nothing happens.
    """

    requests: int = 1_200
    streams: int = 2_000
    pages: int = 64
    keep_alive: float = 15.0

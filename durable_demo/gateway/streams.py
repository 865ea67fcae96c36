"""Event streams for many readers: one follower per workflow, whatever their number and speed.

What the follower has read is kept for a while, and each reader has its place in that: no reader makes another wait, and
none needs memory of its own. One who comes with an older offset first reads from the server, at its own pace, until it
has come to what is kept. One who falls behind all of that gets a `gap`, and the end of its stream: the facts are still
at the server, and it may come back with the offset of the gap.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from durable_demo import events as e
from durable_demo.errors import DemoError
from durable_demo.gateway import limits
from durable_demo.run import Run

log = logging.getLogger(__name__)


REPORTS = (e.ActivityHeartbeat, e.ProgressUpdate, e.TextUpdate)
"""Of these ticks only the latest counts."""


@dataclass(frozen=True)
class Told:
    """An event and its JSON, which all readers share."""

    event: e.Event
    text: str


class Streams:
    """The streams of a gateway. For one event loop."""

    def __init__(self) -> None:
        self._sources: dict[str, _Source] = {}

    async def read(self, run: Run, after: str = "", *, wait: bool = True) -> AsyncGenerator[Told]:
        """Yields the events of a workflow: each fact once and in order; of reports of progress the latest.

        What fails ends it, as an `error` event.

        Args:
            run: The workflow.
            after: Offset of the last event that was seen; empty for all.
            wait: Whether to wait for what is yet to come.
        """
        async with aclosing(await self._reading(run, after, wait=wait)) as found:
            try:
                async for told in found:
                    after = told.event.offset
                    yield told
            except Exception as error:
                failed = _failed(run, after, error)
                yield Told(failed, failed.to_json())

    async def _reading(self, run: Run, after: str, *, wait: bool) -> AsyncGenerator[Told]:
        """What is shared begins at a place that is known to be right: an offset is what somebody has sent."""
        with suppress(DemoError):
            if wait and (not after or await run.has(after)):
                return self._shared(run, after)
        return _own(run, after, wait=wait)

    async def _shared(self, run: Run, after: str) -> AsyncGenerator[Told]:
        source = self._sources.get(run.id)
        if source is None or source.over:  # what has ended may have begun anew, or have been reset
            source = self._sources[run.id] = _Source(run, after)
        source.join()
        try:
            while (place := source.place_behind(after)) is None:
                before = after
                async for told in _own(run, after, wait=False):
                    after = told.event.offset
                    yield told
                if after == before:  # the server has forgotten what it had
                    place = source.first
                    break
            while True:
                if place < source.first:
                    gap = source.gap(after)
                    yield Told(gap, gap.to_json())
                    return
                found = source.since(place)
                place += len(found)
                for told in _latest(found):
                    if (theirs := _behind(told, after)) is not None:
                        after = theirs.event.offset
                        yield theirs
                if place == source.next:
                    if source.over:
                        return
                    await source.news()
        finally:
            source.leave(lambda: self._forget(run.id, source))

    def _forget(self, workflow_id: str, source: _Source) -> None:
        source.end()
        if self._sources.get(workflow_id) is source:
            del self._sources[workflow_id]

    async def close(self) -> None:
        """Ends all of them."""
        await asyncio.gather(*(source.ended() for source in self._sources.values()))


class _Source:
    """What is kept of one workflow's events, and who follows it.

    Attributes:
        first: Number of the oldest event that is kept.
        over: Whether nothing more will come.
    """

    def __init__(self, run: Run, after: str) -> None:
        self.first = 0
        self.over = False
        self._run = run
        self._kept: deque[Told] = deque()
        self._characters = 0
        self._complete_behind = after
        self._news = asyncio.Event()
        self._readers = 0
        self._leaving: asyncio.TimerHandle | None = None
        self._following = asyncio.create_task(self._follow(after), name=f"follow {run.id}")

    @property
    def next(self) -> int:
        """Number of the event that comes next."""
        return self.first + len(self._kept)

    def join(self) -> None:
        self._readers += 1
        if self._leaving:
            self._leaving.cancel()
            self._leaving = None

    def leave(self, forget: Callable[[], None]) -> None:
        """A reader less; some time after the last one `forget` is called."""
        self._readers -= 1
        if not self._readers:
            self._leaving = asyncio.get_running_loop().call_later(limits.STREAM_LINGER_S, forget)

    def place_behind(self, after: str) -> int | None:
        """Number of the first event behind this offset; None if facts behind it are not kept any more."""
        if after < self._complete_behind:
            return None
        for place, told in enumerate(self._kept):
            event = told.event
            if event.offset > after or (event.tick and event.offset == after):
                return self.first + place
        return self.next

    def since(self, place: int) -> list[Told]:
        """What is kept from there on."""
        return [self._kept[index] for index in range(place - self.first, len(self._kept))]

    async def news(self) -> None:
        """Waits until there is more, or the end."""
        await self._news.wait()

    def gap(self, after: str) -> e.Gap:
        """What a reader is told who is too slow."""
        return e.Gap(
            **_now(self._run, after),
            reason="this reader is too slow for what comes: read again from this offset (`Last-Event-ID`), "
            "where no fact is missing",
        )

    def end(self) -> None:
        """Follows no more."""
        self._following.cancel()

    async def ended(self) -> None:
        """The same, and waits for it."""
        self.end()
        with suppress(asyncio.CancelledError):
            await self._following

    async def _follow(self, after: str) -> None:
        try:
            async for event in self._run.events(after or None):
                self._keep(event)
        except Exception as error:
            self._keep(_failed(self._run, self._last_offset, error))
        finally:
            self.over = True
            self._tell()

    @property
    def _last_offset(self) -> str:
        return self._kept[-1].event.offset if self._kept else self._complete_behind

    def _keep(self, event: e.Event) -> None:
        told = Told(event, event.to_json())
        self._kept.append(told)
        self._characters += len(told.text)
        while len(self._kept) > limits.STREAM_EVENTS or (
            self._characters > limits.STREAM_CHARACTERS and len(self._kept) > 1
        ):
            dropped = self._kept.popleft()
            self.first += 1
            self._characters -= len(dropped.text)
            self._complete_behind = dropped.event.offset
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def _latest(found: Sequence[Told]) -> list[Told]:
    """All but the reports of progress that something has overtaken: a fact, or a later report about the same."""
    kept: list[Told] = []
    overtaken: set[object] = set()
    fact = False
    for told in reversed(found):
        event = told.event
        about = (type(event), getattr(event, "activity_id", ""), getattr(event, "message_id", ""))
        report = event.tick and isinstance(event, REPORTS)
        if report and (fact or about in overtaken):
            continue
        kept.append(told)
        overtaken.add(about)
        fact = fact or not event.tick
    return kept[::-1]


def _behind(told: Told, after: str) -> Told | None:
    """An event for a reader who has come as far as `after`: the follower may not have come there yet."""
    event = told.event
    if event.offset > after or (event.tick and event.offset == after):
        return told
    if not event.tick or isinstance(event, (*REPORTS, e.Gap)):
        return None
    event = replace(event, offset=after)  # news of the connection, of Workers, of errors
    return Told(event, event.to_json())


async def _own(run: Run, after: str, *, wait: bool) -> AsyncGenerator[Told]:
    """The events of a follower that nobody shares."""
    async for event in run.events(after or None, wait=wait):
        yield Told(event, event.to_json())


def _failed(run: Run, after: str, error: Exception) -> e.Error:
    if not isinstance(error, DemoError):
        log.error("the stream of %s failed", run.id, exc_info=error)
    return e.Error(**_now(run, after), error=str(error))


def _now(run: Run, after: str) -> dict[str, Any]:
    return {
        "timestamp": e.format_timestamp(datetime.now(UTC)),
        "workflow_id": run.id,
        "run_id": "",
        "offset": after,
        "tick": True,
    }

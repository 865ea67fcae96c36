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
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from durable_demo import events as e
from durable_demo.errors import DemoError
from durable_demo.gateway import limits
from durable_demo.run import Run

log = logging.getLogger(__name__)


REPORTS: frozenset[type[e.Event]] = frozenset({e.ActivityHeartbeat, e.ProgressUpdate, e.TextUpdate})
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

    @property
    def followed(self) -> list[str]:
        """Workflow IDs of the workflows that are followed now."""
        return [workflow_id for workflow_id, source in self._sources.items() if not source.over]

    async def read(self, run: Run, after: str = "", *, wait: bool = True) -> AsyncGenerator[Told]:
        """Yields the events of a workflow: each fact once and in order; of reports of progress the latest.

        What fails ends it, as an `error` event.

        Args:
            run: The workflow.
            after: Offset of the last event that was seen; empty for all.
            wait: Whether to wait for what is yet to come.
        """
        reading = self._shared(run, after) if wait else _there_is(run, after)
        async with aclosing(reading) as found:
            try:
                async for told in found:
                    after = told.event.offset
                    yield told
            except Exception as error:
                failed = _failed(run, after, error)
                yield Told(failed, failed.to_json())

    async def _shared(self, run: Run, after: str) -> AsyncGenerator[Told]:
        source = self._sources.get(run.id)
        if source is None or source.over:  # what has ended may have begun anew, or have been reset
            source = self._sources[run.id] = _Source(run, after)
        source.join()
        try:
            while (place := source.place_behind(after)) is None:
                async for told in _there_is(run, after):
                    after = told.event.offset
                    yield told
            while True:
                if place < source.first:
                    gap = source.gap(after)
                    yield Told(gap, gap.to_json())
                    return
                found = source.since(place)
                place += len(found)
                for told in _latest(found):
                    if told.event.offset < after or (told.event.offset == after and not told.event.tick):
                        continue  # the follower has not come to this reader's place yet
                    # Where the run of an offset is gone, the follower begins anew with what there is.
                    after = "" if isinstance(told.event, e.Gap) else told.event.offset
                    yield told
                if place == source.end:
                    if source.over:
                        return
                    await source.news()
        finally:
            source.leave()

    async def close(self) -> None:
        """Ends all of them."""
        await asyncio.gather(*(source.close() for source in self._sources.values()))


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
    def end(self) -> int:
        """Number of the event that comes next."""
        return self.first + len(self._kept)

    def join(self) -> None:
        self._readers += 1
        if self._leaving:
            self._leaving.cancel()
            self._leaving = None

    def leave(self) -> None:
        self._readers -= 1
        if not self._readers:
            loop = asyncio.get_running_loop()
            self._leaving = loop.call_later(limits.STREAM_LINGER_S, self._end)

    def place_behind(self, after: str) -> int | None:
        """Number of the first event behind this offset; None if facts behind it are not kept any more."""
        if after < self._complete_behind:
            return None
        for place, told in enumerate(self._kept):
            event = told.event
            if event.offset > after or (event.tick and event.offset == after):
                return self.first + place
        return self.end

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

    async def close(self) -> None:
        self._end()
        with suppress(asyncio.CancelledError):
            await self._following

    def _end(self) -> None:
        self._following.cancel()

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
        if isinstance(event, e.Gap) and not self.end:
            self._complete_behind = ""  # the run of the offset is gone: it begins anew with what there is
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
    """All but the reports of progress that something has overtaken: a fact, or a later report of the same kind."""
    kept: list[Told] = []
    overtaken: set[type[e.Event]] = set()
    for told in reversed(found):
        kind = type(told.event)
        if told.event.tick and kind in overtaken:
            continue
        kept.append(told)
        overtaken |= {kind} & REPORTS if told.event.tick else REPORTS
    return kept[::-1]


async def _there_is(run: Run, after: str) -> AsyncGenerator[Told]:
    """The facts that there are now."""
    async for event in run.events(after or None, wait=False):
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

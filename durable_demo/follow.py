"""Follow any workflow: its Event History, read live, plus the heartbeats of its Activities.

The history gives the facts: each comes once and in order, over continue-as-new, Worker crashes and server restarts,
also while no Worker is alive, and after the end. The heartbeats give the ticks between them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from durable_demo import events as e
from durable_demo import settings
from durable_demo.calls import is_transient, reason, translated, unreachable
from durable_demo.chain import Chain, Page
from durable_demo.entries import Item, PendingWork
from durable_demo.errors import DemoError, ServerUnreachable, WorkflowNotFound
from durable_demo.history import BOOKKEEPING, Offset, Reset, RunReader
from durable_demo.pending import WORKER_MISSED_AFTER, Wait, pending_work, waits_for_worker
from durable_demo.vocabulary import Vocabulary, vocabulary_for

T = TypeVar("T")

DESCRIBE_DEADLINE_S = 1.2
"""Bound of one look at the heartbeats: a silent server is noticed this soon."""
RETRY_PAUSE_S = 0.2
WAITING_TOLD_AFTER = timedelta(seconds=1)
WAITING_TOLD_AGAIN_AFTER_S = 10.0
"""That there is no Worker is told again: somebody who reads ticks may have skipped it."""


async def follow(
    client: Client, workflow_id: str, *, after: str | None = None, wait: bool = True
) -> AsyncIterator[e.Event]:
    """Yields the events of a workflow, from its first run to its end; see `follow_items`.

    Args:
        client: A connected client.
        workflow_id: Its Workflow ID; the latest chain of runs with it is followed.
        after: Offset of the last event that was seen; None or empty for all.
        wait: Whether to wait for what is yet to come; without it, the facts that there are now come, and then the end.
    """
    async for item in _items(_Follower(client, workflow_id, after, wait=wait, entries=False)):
        if isinstance(item, e.Event):
            yield item


async def follow_items(
    client: Client, workflow_id: str, *, after: str | None = None, wait: bool = True
) -> AsyncIterator[Item]:
    """Yields the events of a workflow, from its first run to its end, and the history that they are read from.

    Facts come exactly once and in order, each behind its entry of the history. Ticks come between them while an
    Activity reports: the latest wins, never backwards within an attempt. While the server is away, one `reconnecting`
    tick is yielded, then `reconnected`, and the facts go on where they were. What the server does not have any more is
    a `gap`. After a reset the facts go on with those of the new run: what it has copied from the one before is told
    as entries that are marked so, and as no event.

    Args:
        client: A connected client.
        workflow_id: Its Workflow ID; the latest chain of runs with it is followed.
        after: Offset of the last event that was seen; None or empty for all. Entries come again from the first one of
            the run that it is in.
        wait: Whether to wait for what is yet to come; without it, the facts that there are now come, and then the end.

    Yields:
        Events in the words of the workflow's vocabulary, the last one is how it ended; history entries, Workflow Tasks
        included; what waits at the server, whenever that has changed.

    Raises:
        InvalidInput: `after` is not an offset.
        WorkflowNotFound: There is no such workflow, or it was deleted meanwhile.
        ServerUnreachable: The server was away for longer than `settings.RECONNECT_PATIENCE`; without waiting, than
            `settings.CALL_DEADLINE`.
    """
    async for item in _items(_Follower(client, workflow_id, after, wait=wait, entries=True)):
        yield item


async def _items(follower: _Follower) -> AsyncIterator[Item]:
    try:
        async for item in follower.items():
            yield item
    finally:
        await follower.close()


class _Follower:
    """One subscription: walks the chain of runs, interleaving facts with ticks."""

    def __init__(self, client: Client, workflow_id: str, after: str | None, *, wait: bool, entries: bool) -> None:
        place = Offset.parse(after) if after else None
        self._client = client
        self._chain = Chain(client, workflow_id)
        self._wait = wait
        self._patience = settings.RECONNECT_PATIENCE if wait else settings.CALL_DEADLINE
        self._entries = entries
        self._pending: PendingWork | None = None
        self._waits: list[Wait] = []
        self._waiting_told: Wait | None = None
        self._waiting_told_at = 0.0
        self._connected_since = datetime.min.replace(tzinfo=UTC)
        self._workflow_id = workflow_id
        self._place = place
        self._resuming = place is not None
        self._last_offset = str(place) if place is not None else ""
        self._vocabulary: Vocabulary | None = None
        self._seen: dict[str, tuple[int, int]] = {}
        self._away_since: float | None = None
        self._waiting: asyncio.Future[Page] | None = None

    async def close(self) -> None:
        """Ends the long poll that is under way."""
        if self._waiting is not None:
            self._waiting.cancel()
            await asyncio.gather(self._waiting, return_exceptions=True)

    async def items(self) -> AsyncIterator[Item]:
        async for begin in self._begin():
            if isinstance(begin, e.Event):
                yield begin
                continue
            next_run = begin
        reset = await self._patiently(self._chain.reset, next_run) if self._resuming else None
        while next_run:
            reader = self._reader(next_run, reset)
            if reset is not None:
                self._vocabulary = None  # its words begin with the copies
            async for item in self._run(reader):
                yield item
            next_run = reader.next_run_id
            reset = await self._patiently(self._chain.reset, next_run) if reader.superseded_by else None
            self._resuming = False

    # --- where to begin ----------------------------------------------------------------------------------------------

    async def _begin(self) -> AsyncIterator[e.Event | str]:
        """Like `_first_run`, once the server answers; without waiting, it has as long as a call may take."""
        nowhere = self._reader("")
        found: list[e.Event | str] = []
        while True:
            try:
                async for item in self._first_run():
                    found.append(item)
                break
            except ServerUnreachable as error:
                for tick in self._lost(nowhere, error.__cause__ or error):
                    yield tick
            await asyncio.sleep(RETRY_PAUSE_S)
        for item in (*self._found(nowhere), *found):
            yield item

    async def _first_run(self) -> AsyncIterator[e.Event | str]:
        """Yields what there is to say before the first run, then its Run ID."""
        if self._place is not None:
            try:
                await self._bounded(self._chain.ancestors(self._place.run_id))
            except WorkflowNotFound:
                yield self._gap(
                    "the run of the given offset is gone: this goes on with the oldest there is", self._place.run_id
                )
                self._place, self._resuming = None, False
            else:
                yield self._place.run_id
                return
        latest = (await self._bounded(self._chain.described(""))).workflow_execution_info.execution.run_id
        first, previous = await self._bounded(self._chain.ancestors(latest))
        try:
            if first != latest:
                await self._bounded(self._chain.ancestors(first))
            yield first
            return
        except WorkflowNotFound:
            pass
        oldest = latest
        while previous:
            candidate = previous
            try:
                _, previous = await self._bounded(self._chain.ancestors(candidate))
            except WorkflowNotFound:
                break
            oldest = candidate
        yield self._gap("the oldest runs of this workflow are gone (retention)", oldest)
        yield oldest

    def _gap(self, reason: str, run_id: str) -> e.Gap:
        reader = RunReader(self._workflow_id, run_id, self._client.data_converter)
        return e.Gap(**self._now(reader), tick=True, reason=reason)

    def _reader(self, run_id: str, reset: Reset | None = None) -> RunReader:
        """A reader for a run, which stands behind the place that was reached."""
        after_us = self._place.run_start_us if self._place is not None else -1
        if self._resuming:
            after_us -= 1  # the run of the place itself, not the one behind it
        return RunReader(self._workflow_id, run_id, self._client.data_converter, after_us=after_us, reset=reset)

    async def _patiently(self, call: Callable[[str], Awaitable[T]], run_id: str) -> T:
        """Makes short calls again until the server answers them all."""
        began = time.monotonic()
        while True:
            try:
                return await call(run_id)
            except Exception as error:
                waited = time.monotonic() - began
                if not is_transient(error) or waited > self._patience.total_seconds():
                    raise self._translated(error) from error
                await asyncio.sleep(RETRY_PAUSE_S)

    # --- one run -----------------------------------------------------------------------------------------------------

    async def _run(self, reader: RunReader) -> AsyncIterator[Item]:
        """Yields the items of one run; returns when it has ended."""
        self._seen.clear()
        self._waits, self._waiting_told = [], None  # of a run that a reset has ended nobody waits any more
        last_id = 0
        token = b""
        behind = True
        while not reader.ended and behind:
            self._waiting = asyncio.ensure_future(self._chain.page(reader.run_id, token, wait=self._wait))
            try:
                while not self._waiting.done():
                    look = settings.PROGRESS_POLL_INTERVAL if reader.open else settings.HEALTH_POLL_INTERVAL
                    await asyncio.wait({self._waiting}, timeout=look.total_seconds())
                    if self._wait and not self._waiting.done():
                        for tick in await self._ticks(reader):
                            yield tick
                page = self._waiting.result()
                reader.superseded_by = await self._chain.successor(reader.run_id, page)
            except DemoError:
                raise
            except Exception as error:
                if not is_transient(error):
                    ours = self._translated(error)
                    if isinstance(ours, WorkflowNotFound):
                        yield self._gap("the workflow was deleted while it was followed", reader.run_id)
                    raise ours from error
                for tick in self._lost(reader, error):
                    yield tick
                token = b""
                await asyncio.sleep(RETRY_PAUSE_S)
                continue
            finally:
                await self.close()
            for tick in self._found(reader):
                yield tick
            token = page.token
            behind = self._wait or bool(token)
            for entry in page.entries:
                if entry.event_id <= last_id:
                    continue
                if entry.event_type not in BOOKKEEPING:
                    last_id = entry.event_id
                if self._entries:
                    yield await reader.entry(entry)
                event = await self._fact(reader, entry)
                if event is not None:
                    yield event

    async def _fact(self, reader: RunReader, entry: HistoryEvent) -> e.Event | None:
        """The fact that an entry gives, unless the reader has had it before."""
        event = await reader.read(entry)
        if event is None:
            return None
        copied = reader.copied(entry)
        continued = isinstance(event, e.WorkflowStarted) and bool(reader.previous_run_id)
        if isinstance(event, e.WorkflowStarted) and self._vocabulary is None:
            self._vocabulary = vocabulary_for(event.workflow_type)
        told = self._told(event)
        if copied or (self._resuming and self._place is not None and entry.event_id <= self._place.event_id):
            return None
        self._place = Offset(reader.run_start_us, entry.event_id, reader.run_id)
        # The start of a later run is no news: the workflow only goes on.
        if continued or told is None:
            return None
        self._last_offset = told.offset
        return told

    def _told(self, event: e.Event) -> e.Event | None:
        """The event in the workflow's own words; as it is when it does not speak the words of its type."""
        if self._vocabulary is None:
            return event
        try:
            return self._vocabulary.translate(event)
        except (TypeError, ValueError):
            return event

    async def _ticks(self, reader: RunReader) -> list[Item]:
        """What the running Activities have reported since the last look, and what else waits."""
        try:
            async with asyncio.timeout(DESCRIBE_DEADLINE_S):
                described = await self._chain.described(reader.run_id)
        except Exception as error:
            return [*self._lost(reader, error)] if is_transient(error) else []
        ticks: list[Item] = [*self._found(reader)]
        if self._waiting is not None and self._waiting.done():
            return ticks  # a newer fact is there: it goes first
        if described.workflow_execution_info.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING:
            ticks += self._missed(reader, waits_for_worker(described))
        if self._entries:
            waits = pending_work(described)
            last = self._pending
            same = last is not None and replace(waits, timestamp=last.timestamp) == last
            # What waits is told again and again: that it still does is news.
            if last is None or not same or (waits.waiting and waits.moment - last.moment >= WAITING_TOLD_AFTER):
                self._pending = waits
                ticks.append(waits)
        for pending in described.pending_activities:
            mark = (pending.attempt, pending.last_heartbeat_time.ToMicroseconds())
            if self._seen.get(pending.activity_id) == mark:
                continue
            self._seen[pending.activity_id] = mark
            offset = self._last_offset
            for event in (await reader.retry(pending, offset), await reader.heartbeat(pending, offset)):
                if event is not None and (told := self._told(event)) is not None:
                    ticks.append(told)
        return ticks

    def _missed(self, reader: RunReader, waits: list[Wait]) -> list[e.Event]:
        """Whether a Worker is missed, or is there again."""
        told, before, now = self._waiting_told, self._waits, datetime.now(UTC)
        self._waits = waits
        if told is not None and told not in waits:
            self._waiting_told = None
            waited = (now - told.since).total_seconds()
            return [e.WorkerFound(**self._now(reader), tick=True, waited=round(max(0.0, waited), 3))]
        # Seen twice, so that clocks that differ do no harm; the time in which the server was away does not count.
        missed = [
            wait
            for wait in waits
            if wait in before and now - max(wait.since, self._connected_since) > WORKER_MISSED_AFTER
        ]
        again = time.monotonic() - self._waiting_told_at > WAITING_TOLD_AGAIN_AFTER_S
        if not missed or (told is not None and not again):
            return []
        self._waiting_told, self._waiting_told_at = told or missed[0], time.monotonic()
        return [e.WaitingForWorker(**self._now(reader), tick=True, **self._waiting_told.told())]

    # --- the server comes and goes -----------------------------------------------------------------------------------

    def _lost(self, reader: RunReader, error: BaseException) -> list[e.Event]:
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
            return [e.Reconnecting(**self._now(reader), tick=True, error=reason(error))] if self._wait else []
        if now - self._away_since > self._patience.total_seconds():
            raise unreachable(error, f"follow {self._workflow_id}")
        return []

    def _found(self, reader: RunReader) -> list[e.Event]:
        if self._away_since is None:
            return []
        away, self._away_since = time.monotonic() - self._away_since, None
        self._connected_since = datetime.now(UTC)
        return [e.Reconnected(**self._now(reader), tick=True, away=round(away, 3))] if self._wait else []

    def _now(self, reader: RunReader) -> dict[str, str]:
        moment = Timestamp()
        moment.GetCurrentTime()
        return reader.common(0, moment) | {"offset": self._last_offset}

    async def _bounded(self, call: Awaitable[T]) -> T:
        """A short call, bounded."""
        try:
            async with asyncio.timeout(settings.CALL_DEADLINE.total_seconds()):
                return await call
        except Exception as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> Exception:
        return error if isinstance(error, DemoError) else translated(error, f"follow {self._workflow_id}")

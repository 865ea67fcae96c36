"""What a list of workflows cannot say itself: when their first runs began, how far they are, whether one is paused.

The server's list knows the latest run of each workflow only. Its first run is found by a look at the workflow, and its
counters in the history of the latest run, which begins with those of the runs before. No Worker is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from temporalio.api.common.v1 import WorkflowExecution as Execution
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryReverseRequest,
)
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError

from durable_demo import events as e
from durable_demo import settings
from durable_demo.calls import is_transient
from durable_demo.history import BOOKKEEPING, RunReader
from durable_demo.pending import problem_of
from durable_demo.vocabulary import CHAT, MONTY, vocabulary_for

MAX_CALLS = 8
"""Calls at a time: the server and the other work of the background loop go on beside them."""
MAX_KEPT = 1_000
"""Workflows whose tallies are kept: as many as a list may have."""
PAGE_SIZE = 100

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class Tally:
    """What is known of a workflow beside what a list says of it.

    Attributes:
        started: When the first run of its chain began, or the oldest one that the server still has; None if unknown.
        iterations: Iterations begun, over all runs; None if it counts none, or if they cannot be read.
        quotes: Quotes delivered, likewise.
        messages: Messages received, likewise.
        status: PAUSED or STOPPING while it is so; else empty.
        problem: Why it cannot go on, and what to do next, on one line; empty if all is well.
    """

    started: datetime | None = None
    iterations: int | None = None
    quotes: int | None = None
    messages: int | None = None
    status: str = ""
    problem: str = ""


class Tallies:
    """Reads tallies and keeps them: what has ended is read once, of what runs only what is new. For one event loop.

    Args:
        client: A connected client.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[tuple[str, str], _Known] = {}
        self._starts: dict[tuple[str, str], datetime] = {}
        self._gate = asyncio.Semaphore(MAX_CALLS)

    async def of(self, listed: Sequence[WorkflowExecution]) -> list[Tally]:
        """The tallies of the workflows of a list, in its order, within `settings.CALL_DEADLINE`.

        What cannot be read, or not in time, is left as it was known before; the next call goes on from there.
        """
        found = [self._of(item) for item in listed]
        with suppress(TimeoutError):
            async with asyncio.timeout(settings.CALL_DEADLINE.total_seconds()), asyncio.TaskGroup() as looks:
                for item, known in zip(listed, found, strict=True):
                    if not known.final:
                        looks.create_task(self._look(item, known))
        return [known.tally for known in found]

    def _of(self, item: WorkflowExecution) -> _Known:
        key = (item.id, item.run_id)
        known = self._known.get(key)
        if known is None:
            counts = item.workflow_type in (CHAT, MONTY)
            reader = RunReader(item.id, item.run_id, self._client.data_converter)
            known = _Known(Count(item.workflow_type, reader) if counts else None)
        _keep(self._known, key, known)
        return known

    async def _look(self, item: WorkflowExecution, known: _Known) -> None:
        async with self._gate, known.one_look:
            if known.final:
                return
            # Gone meanwhile, or the server is busy, or it is like nothing that is known here: the others are counted.
            with suppress(Exception):
                described = await self._described(item.id, item.run_id)
                info, problem = described.workflow_execution_info, await problem_of(self._client, described)
                line = "" if problem is None else problem.line
                known.tally = replace(known.tally, started=await self._start_of(info), problem=line)
                if known.count is not None and info.history_length != known.length:
                    await self._count(item, known, known.count)
                known.length = info.history_length
                if info.HasField("close_time"):
                    known.count, known.final = None, True

    async def _start_of(self, info: WorkflowExecutionInfo) -> datetime:
        key = (info.execution.workflow_id, info.first_run_id)
        if info.first_run_id in ("", info.execution.run_id):
            return info.start_time.ToDatetime(tzinfo=UTC)
        if key not in self._starts:
            try:
                first = (await self._described(*key)).workflow_execution_info
            except RPCError as error:
                if is_transient(error):
                    raise
                first = info  # the first one is gone: this is the oldest that is known
            _keep(self._starts, key, first.start_time.ToDatetime(tzinfo=UTC))
        return self._starts[key]

    async def _count(self, item: WorkflowExecution, known: _Known, count: Count) -> None:
        entries = await self._entries(item, count.last_id)
        try:
            counted = await count.read(entries)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            # Not what its type promises, or in a code that nobody here can read.
            known.count = None
            known.tally = Tally(known.tally.started, problem=known.tally.problem)
        except BaseException:
            # Cut off within an entry, which cannot be read a second time.
            known.count = Count(item.workflow_type, RunReader(item.id, item.run_id, self._client.data_converter))
            raise
        else:
            before = known.tally
            known.tally = Tally(before.started, status=count.status, problem=before.problem, **counted)

    # --- calls -------------------------------------------------------------------------------------------------------

    async def _described(self, workflow_id: str, run_id: str) -> DescribeWorkflowExecutionResponse:
        return await self._client.workflow_service.describe_workflow_execution(
            DescribeWorkflowExecutionRequest(
                namespace=self._client.namespace, execution=Execution(workflow_id=workflow_id, run_id=run_id)
            ),
            timeout=settings.CALL_DEADLINE,
        )

    async def _entries(self, item: WorkflowExecution, last_id: int) -> list[HistoryEvent]:
        """The entries of the history behind one, oldest first; read from its end, for they are few in most cases."""
        found: list[HistoryEvent] = []
        token = b""
        while True:
            page = await self._client.workflow_service.get_workflow_execution_history_reverse(
                GetWorkflowExecutionHistoryReverseRequest(
                    namespace=self._client.namespace,
                    execution=Execution(workflow_id=item.id, run_id=item.run_id),
                    maximum_page_size=PAGE_SIZE,
                    next_page_token=token,
                ),
                timeout=settings.CALL_DEADLINE,
            )
            found += [entry for entry in page.history.events if entry.event_id > last_id]
            token = page.next_page_token
            if not token or any(entry.event_id <= last_id for entry in page.history.events):
                return found[::-1]


class _Known:
    """What is known of one run.

    Attributes:
        tally: As of the last look.
        count: Reads on; None if there is nothing to count, or nothing any more.
        length: Entries of the history at the last look.
        final: Whether nothing more will come.
        one_look: Held while somebody looks.
    """

    def __init__(self, count: Count | None) -> None:
        self.tally = Tally()
        self.count = count
        self.length = 0
        self.final = False
        self.one_look = asyncio.Lock()


class Count:
    """Counts what the history of one run of Monty or of a conversation says, over this run and those before.

    Args:
        workflow_type: Its type.
        reader: A new one for this run.

    Attributes:
        last_id: Id of the last entry that was counted.
        status: PAUSED or STOPPING if it is so by then; else empty.
    """

    def __init__(self, workflow_type: str, reader: RunReader) -> None:
        self.last_id = 0
        self.status = ""
        self._reader = reader
        self._vocabulary = vocabulary_for(workflow_type)
        self._carried = _CARRIED[workflow_type]
        self._counted: dict[str, int] = {}

    async def read(self, entries: Sequence[HistoryEvent]) -> dict[str, int]:
        """Counts entries, oldest first, the first of them behind the last that was counted.

        Returns:
            The counters, by their names in a `Tally`.

        Raises:
            ValueError: The run does not begin as one of its type; others of Python's own, where entries do not fit.
        """
        for entry in entries:
            event = await self._reader.read(entry)
            if event is not None:
                self._take(event)
            if entry.event_type not in BOOKKEEPING:
                self.last_id = entry.event_id
        return dict(self._counted)

    def _take(self, event: e.Event) -> None:
        told = self._vocabulary.translate(event)
        match told:
            case e.WorkflowPaused():
                self.status = "PAUSED"
            case e.StopRequested() | e.CancelRequested():
                self.status = "STOPPING"
            case e.WorkflowResumed() | e.WorkflowEnded():
                self.status = ""
        match told:
            case e.WorkflowStarted(input=dict(given)) if isinstance(state := given.get("state") or {}, dict):
                self._counted = {ours: int(state.get(theirs, 0)) for ours, theirs in self._carried.items()}
                self.status = "STOPPING" if state.get("should_exit") else "PAUSED" if state.get("paused") else ""
            case e.WorkflowStarted():
                raise ValueError("its input cannot be read")
            case e.Counted(iteration_count=int(iterations), total_quotes_delivered=int(quotes)):
                self._counted = {"iterations": iterations, "quotes": quotes}
            case e.MessageReceived():
                self._counted["messages"] += 1


_CARRIED = {
    MONTY: {"iterations": "iteration_count", "quotes": "total_quotes_delivered"},
    CHAT: {"messages": "total_messages"},
}
"""What a run gets from the one before in the `state` of its input: names in a `Tally`, and names there."""


def _keep(kept: dict[K, V], key: K, value: V) -> None:
    """Keeps a value as the newest of at most MAX_KEPT."""
    kept.pop(key, None)
    kept[key] = value
    while len(kept) > MAX_KEPT:
        del kept[next(iter(kept))]

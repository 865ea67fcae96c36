"""One workflow: follow it, act on it, await its result.

A `Run` may be used from any thread and any event loop: the traffic runs on the session's background loop.
"""

from __future__ import annotations

import asyncio
import html
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from temporalio.api.sdk.v1 import WorkflowDefinition, WorkflowMetadata
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import (
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import TerminatedError
from temporalio.service import RPCError

from durable_demo import events as e
from durable_demo import settings
from durable_demo.calls import Caller, is_transient, reason, translated
from durable_demo.entries import Item
from durable_demo.errors import (
    NotPossible,
    ServerUnreachable,
    StillRunning,
    WorkerUnavailable,
    WorkflowEndedBadly,
    WorkflowNotFound,
)
from durable_demo.follow import follow, follow_items
from durable_demo.history import Offset
from durable_demo.pending import problem_of
from durable_demo.resetting import Start, reset
from durable_demo.timeline import Timeline
from durable_demo.vocabulary import CHAT, MONTY
from durable_demo.wording import calendar, plural, printable
from durable_demo.workflows.chat_data import ChatResult
from durable_demo.workflows.checks import patience
from durable_demo.workflows.monty import MontyPythonWorkflow
from durable_demo.workflows.monty_data import MontyPythonResult, Seen
from durable_demo.workflows.quotes import check_quotes

Seconds = float | timedelta

RESULT_TIMEOUT = timedelta(minutes=5)
RETRY_PAUSE_S = 0.2
PROGRESS_TRIES = 3
DEFAULT_QUERIES = ("get_progress", "get_status")
_RESULT_TYPES: dict[str, type] = {CHAT: ChatResult, MONTY: MontyPythonResult}


@dataclass(frozen=True)
class Answer:
    """What became of a request to a workflow.

    Attributes:
        accepted: Whether the server took it. False means that it came too late, and that no harm was done.
        message: The same in words.
    """

    accepted: bool
    message: str

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class RunStatus:
    """What the server says of a workflow.

    Attributes:
        workflow_id: Workflow ID.
        run_id: Run ID of the latest run.
        workflow_type: Name of its type.
        status: RUNNING, COMPLETED, FAILED, CANCELED, TERMINATED or TIMED_OUT.
        started: When this run began.
        closed: When it ended; None while it runs.
        task_queue: Its Task Queue.
        history_length: Events in this run's history.
        problem: Why it cannot go on, as far as the server knows: what, why, and what to do next, on three lines; empty
            if all is well.
    """

    workflow_id: str
    run_id: str
    workflow_type: str
    status: str
    started: datetime
    closed: datetime | None
    task_queue: str
    history_length: int
    problem: str = ""

    @property
    def ended(self) -> bool:
        """Whether it runs no more."""
        return self.status != "RUNNING"

    def __str__(self) -> str:
        end = f", ended {calendar(self.closed.isoformat())}" if self.closed else ""
        problem = f"\nProblem: {printable(self.problem)}" if self.problem else ""
        return (
            f"{self.workflow_id} ({self.workflow_type}): {self.status}, started {calendar(self.started.isoformat())}"
            f"{end}{problem}"
        )


class Run:
    """One workflow, over all its runs: follow it, act on it, await its result.

    Attributes:
        id: Workflow ID.
    """

    _ENDS = "await run.stop()"
    _FOLLOWS = "async for event in run.events()"

    def __init__(self, call: Caller, workflow_id: str) -> None:
        self.id = workflow_id
        self._call = call
        self._handle = call.temporal.get_workflow_handle(workflow_id)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"

    def _repr_html_(self) -> str:
        return (
            f"<p><strong>Workflow</strong> <code>{_escape(self.id)}</code><br>"
            f"<small>watch it with <code>{self._FOLLOWS}</code>, end it with <code>{self._ENDS}</code></small></p>"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    async def events(self, after: str | None = None, *, wait: bool = True) -> AsyncIterator[e.Event]:
        """Yields its events, facts and ticks, from its first run to its end; see `follow.follow`.

        Args:
            after: Offset of the last event that was seen; None or empty for all.
            wait: Whether to wait for what is yet to come; without it, the facts that there are now come, and then the
                end.
        """
        if after:
            Offset.parse(after)  # a wrong token is told here, not on another thread
        async for event in self._call.background.iterate(
            lambda: follow(self._call.temporal, self.id, after=after, wait=wait)
        ):
            yield event

    async def items(self, after: str | None = None, *, wait: bool = True) -> AsyncIterator[Item]:
        """Yields its events, and beside them the Event History as the server keeps it; see `follow.follow_items`.

        Args:
            after: Offset of the last event that was seen; None or empty for all.
            wait: As in `events`.
        """
        if after:
            Offset.parse(after)
        async for item in self._call.background.iterate(
            lambda: follow_items(self._call.temporal, self.id, after=after, wait=wait)
        ):
            yield item

    async def has(self, offset: str) -> bool:
        """Whether an offset is a place in this workflow's runs, as far as the server still has them.

        Raises:
            InvalidInput: Not an offset.
            ServerUnreachable: The server does not answer.
        """
        place = Offset.parse(offset)
        handle = self._call.temporal.get_workflow_handle(self.id, run_id=place.run_id)
        try:
            described = (await self._call(handle.describe(), f"look at {self.id}")).raw_description
        except WorkflowNotFound:
            return False
        info = described.workflow_execution_info
        return info.start_time.ToMicroseconds() == place.run_start_us and place.event_id <= info.history_length

    async def timeline(self) -> Timeline:
        """Its timeline as it is now, from its history; needs no Worker.

        Raises:
            WorkflowNotFound: There is no such workflow.
        """
        timeline = Timeline()
        async for item in self.items(wait=False):
            timeline.apply(item)
        return timeline

    async def status(self) -> RunStatus:
        """What the server says of it; needs no Worker.

        Raises:
            WorkflowNotFound: There is no such workflow.
        """
        described = await self._described()
        problem = await self._call(problem_of(self._call.temporal, described.raw_description), f"look at {self.id}")
        return replace(self._status(described), problem="" if problem is None else str(problem))

    def _status(self, described: WorkflowExecutionDescription) -> RunStatus:
        return RunStatus(
            workflow_id=self.id,
            run_id=described.run_id,
            workflow_type=described.workflow_type,
            status=status_name(described.status),
            started=described.start_time,
            closed=described.close_time,
            task_queue=described.task_queue,
            history_length=described.history_length,
        )

    async def progress(self) -> dict[str, Any]:
        """What the workflow answers to the Query `get_progress`, with the live heartbeat of its Activity added.

        The heartbeat adds `progress` (percent), `iteration_elapsed` (seconds), `attempt` and `total_elapsed` (seconds).

        Raises:
            WorkerUnavailable: No Worker answered within 4 s, or its Workflow Tasks fail.
            NotPossible: This type of workflow has no such Query.
            WorkflowNotFound: There is no such workflow.
        """
        for _ in range(PROGRESS_TRIES):
            found = await self._asked()
            described = await self._described()
            again = await self._asked()
            # Two calls are two moments: a heartbeat must not be taken for that of another iteration.
            if found == again:
                break
        for pending in described.raw_description.pending_activities:
            beat = await self._heartbeat(pending)
            found |= {"attempt": pending.attempt, "progress": beat.get("progress", 0.0)}
            found["iteration_elapsed"] = beat.get("elapsed", found.get("iteration_elapsed"))
        sleep, elapsed = found.get("current_sleep_duration"), found.get("iteration_elapsed")
        if "progress" not in found and isinstance(sleep, int | float) and isinstance(elapsed, int | float) and sleep:
            found["progress"] = round(100.0 * elapsed / sleep, 1)
        if isinstance(started_at := found.get("started_at"), int | float):
            end = described.close_time or datetime.now(UTC)
            found["total_elapsed"] = round(end.timestamp() - started_at, 3)
        return found

    async def query(self, name: str = "") -> Any:
        """What it answers to a Query that takes no arguments, as JSON values; works after its end too.

        Args:
            name: Name of the Query; by default `get_progress` or `get_status`, else the only one that it has. With
                `get_progress` of Monty the live heartbeat is added, as in `progress()`.

        Raises:
            WorkerUnavailable: No Worker answered within 4 s, or its Workflow Tasks fail.
            NotPossible: It has no such Query, or several and none is named, or the Query failed.
            WorkflowNotFound: There is no such workflow.
        """
        status = await self.status()
        queries = sorted(await self._defined("query_definitions"))
        chosen = [name] if name else [usual for usual in DEFAULT_QUERIES if usual in queries][:1] or queries
        if len(chosen) != 1 or chosen[0] not in queries:
            has = f"no Query {name!r}" if name else "several Queries" if queries else "no Query"
            raise NotPossible(f"{self.id} has {has}", remedy=f"one of: {', '.join(queries)}" if queries else "")
        monty = status.workflow_type == MONTY and chosen == ["get_progress"]
        return await (self.progress() if monty else self._query(chosen[0]))

    async def stop(self) -> Answer:
        """Asks it to end gracefully (Signal `stop_workflow`): a running sleep ends at once.

        Harmless when repeated, early or late; the answer says which.

        Raises:
            WorkflowNotFound: There is no such workflow.
            NotPossible: This type of workflow has no such Signal.
        """
        return await self._signal(MontyPythonWorkflow.stop_workflow, "stop requested")

    async def pause(self) -> Answer:
        """Freezes the sleep and its progress (Signal `pause`); raises like `stop`."""
        pause: Any = MontyPythonWorkflow.pause

        async def send(described: WorkflowExecutionDescription) -> None:
            seen = await self._seen(described)
            await self._handle.signal(pause, args=[] if seen is None else [seen])

        return await self._request(send, "pause requested", signal=pause.__name__)

    async def resume(self) -> Answer:
        """Goes on from where it was frozen (Signal `resume`); raises like `stop`."""
        return await self._signal(MontyPythonWorkflow.resume, "resume requested")

    async def cancel(self) -> Answer:
        """Asks the server to cancel it; it cleans up and ends as CANCELED.

        Raises:
            WorkflowNotFound: There is no such workflow.
        """
        return await self._request(lambda _: self._handle.cancel(), "cancel requested")

    async def terminate(self, reason: str = "terminated by Durable Demo") -> Answer:
        """Ends it at once, without clean-up.

        Raises:
            WorkflowNotFound: There is no such workflow.
        """
        return await self._request(lambda _: self._handle.terminate(reason=reason), "terminated")

    async def reset(self, to: int | Start | None = None, reason: str = "reset by Durable Demo") -> Answer:
        """Takes it back to an earlier Workflow Task: it goes on from there in a new run, and what came later is undone.

        What has been sent to it since (Signals, Updates) is sent to the new run again. What Activities have done to the
        world stays done. Needs no Worker, and works after the end too.

        Args:
            to: An Event ID of its latest run: the Workflow Task that made this entry, or the first one that knew of it,
                is taken again. `"start"` for the first one of this run. None for where code and history parted, as far
                as the failure of the Workflow Task tells it; else for the last one that was completed before.
            reason: Stands in the history.

        Raises:
            InvalidInput: There is no such entry, or `to` is something else.
            NotPossible: No Workflow Task was completed yet, or none that knew of this entry.
            WorkflowNotFound: There is no such workflow.
        """
        event_id = await self._call(reset(self._call.temporal, self.id, to, reason), f"reset {self.id}")
        return Answer(True, f"{self.id}: reset to before event {event_id}")

    async def add_quotes(self, quotes: Iterable[str]) -> Answer:
        """Gives it people's own quotes (Update `add_quotes`); they are delivered next.

        Raises:
            InvalidInput: The quotes cannot be used; nothing was sent.
            NotPossible: The workflow refused them (a duplicate, too many, stopping) or has ended.
            WorkerUnavailable: No Worker answered within 4 s, or its Workflow Tasks fail; they may still be taken later.
            WorkflowNotFound: There is no such workflow.
        """
        checked = check_quotes(quotes)
        status = await self.status()
        if status.ended:
            raise NotPossible(f"{self.id} has already ended: {status.status}", remedy="start another one")
        try:
            total = await self._call(
                self._handle.execute_update(MontyPythonWorkflow.add_quotes, checked),
                f"add quotes to {self.id}",
                deadline=settings.QUERY_DEADLINE,
            )
        except WorkflowUpdateFailedError as error:
            raise NotPossible(f"{self.id} refused the quotes", why=reason(error.cause or error)) from error
        except WorkflowNotFound as error:  # it has ended since
            status = await self.status()
            raise NotPossible(f"{self.id} has already ended: {status.status}", remedy="start another one") from error
        return Answer(True, f"{plural(len(checked), 'quote')} added, {total} of your own now")

    async def result(self, timeout: Seconds | None = RESULT_TIMEOUT) -> Any:
        """Waits for its end, over server restarts and continue-as-new.

        Args:
            timeout: How long to wait, in seconds or as a timedelta; None for ever.

        Returns:
            What it returned: a `MontyPythonResult`, a `ChatResult`, or plain data for a workflow that the kit does not
            know.

        Raises:
            WorkflowEndedBadly: It failed, was canceled, was terminated or timed out.
            StillRunning: It runs on after `timeout`; it is a TimeoutError as well.
            WorkflowNotFound: There is no such workflow.
        """
        limit = None if timeout is None else patience(timeout)
        try:
            return await self._call(self._result(limit), f"await {self.id}", deadline=None)
        except WorkflowFailureError as error:
            ended = await self.status()
            raise WorkflowEndedBadly(
                f"{self.id} ended as {ended.status}",
                status=ended.status,
                why=reason(error.cause),
                remedy=f"see its trace with `durable-demo watch {self.id}`",
            ) from error

    # --- inside ------------------------------------------------------------------------------------------------------

    async def _result(self, limit: timedelta | None) -> Any:
        latest = ""
        failure: WorkflowFailureError | None = None

        try:
            async with asyncio.timeout(None if limit is None else limit.total_seconds()):
                while True:
                    try:
                        described = await self._handle.describe()
                        if failure is not None and described.run_id == latest:
                            raise failure
                        latest = described.run_id
                        kind = _RESULT_TYPES.get(described.workflow_type)
                        handle = self._call.temporal.get_workflow_handle(self.id, result_type=kind)
                        return await handle.result(follow_runs=True)
                    except WorkflowFailureError as error:
                        # A reset terminates a run and puts another into its place.
                        if error is failure or not isinstance(error.cause, TerminatedError):
                            raise
                        failure = error
                    except RPCError as error:
                        if not is_transient(error):
                            raise translated(error, f"await {self.id}") from error
                        await asyncio.sleep(RETRY_PAUSE_S)
        except TimeoutError:
            raise StillRunning(
                f"{self.id} has not ended within {limit}",
                remedy=f"end it with `{self._ENDS}`, or wait longer with `result(timeout=...)`",
            ) from None

    async def _described(self) -> WorkflowExecutionDescription:
        return await self._call(self._handle.describe(), f"look at {self.id}")

    async def _heartbeat(self, pending: PendingActivityInfo) -> dict[str, Any]:
        """What a pending Activity last reported, if that is an object."""
        decoding = self._call.temporal.data_converter.decode(pending.heartbeat_details.payloads)
        details = await self._call(decoding, f"read the heartbeat of {self.id}")
        return details[0] if details and isinstance(details[0], dict) else {}

    async def _seen(self, described: WorkflowExecutionDescription) -> Seen | None:
        """How far the Activity of a Monty has come by its last heartbeat, which the server forgets with its attempt."""
        for pending in described.raw_description.pending_activities:
            beat = await self._heartbeat(pending)
            if described.workflow_type == MONTY and isinstance(beat.get("iteration"), int):
                return Seen(iteration=beat["iteration"], elapsed=float(beat["elapsed"]))
        return None

    async def _asked(self) -> dict[str, Any]:
        answer = await self._query("get_progress")
        return dict(answer) if isinstance(answer, dict) else {"answer": answer}

    async def _query(self, name: str) -> Any:
        try:
            return await self._call(self._handle.query(name), f"query {self.id}", deadline=settings.QUERY_DEADLINE)
        except WorkflowQueryFailedError as error:
            raise NotPossible(f"{self.id} does not answer the Query {name!r}", why=reason(error)) from error
        except ServerUnreachable as error:
            await self.status()  # a server that does not answer either is named as such
            raise WorkerUnavailable(
                f"no Worker answered the Query {name!r} within {settings.QUERY_DEADLINE.total_seconds():g} s",
                why="no Worker polls the Task Queue, or it is busy",
                remedy="run `durable-demo doctor`; `run.status()` and `run.events()` need no Worker",
            ) from error

    async def _signal(self, signal: Any, done: str) -> Answer:
        return await self._request(lambda _: self._handle.signal(signal), done, signal=signal.__name__)

    async def _defined(self, kind: Literal["query_definitions", "signal_definitions"]) -> set[str]:
        """Names of the Queries or Signals that this workflow handles, from its Worker; raises like `_query`."""
        metadata = await self._query("__temporal_workflow_metadata")
        definition = metadata.definition if isinstance(metadata, WorkflowMetadata) else WorkflowDefinition()
        names = {item.name for item in getattr(definition, kind)}
        return {name for name in names if not name.startswith("__")}  # the SDK's own

    async def _request(
        self, send: Callable[[WorkflowExecutionDescription], Coroutine[Any, Any, None]], done: str, signal: str = ""
    ) -> Answer:
        """Sends what only a running workflow takes; a request that came too late is answered, not raised."""
        described = await self._described()
        status = self._status(described)
        if status.ended:
            return self._too_late(status)
        if signal and status.workflow_type != MONTY:
            # A Signal needs no Worker, and is kept until there is one: whether it is handled cannot be asked then.
            with suppress(WorkerUnavailable):
                if signal not in await self._defined("signal_definitions"):
                    raise NotPossible(f"{self.id} ({status.workflow_type}) has no Signal {signal!r}")
        try:
            await self._call(send(described), f"send a request to {self.id}")
        except WorkflowNotFound:
            return self._too_late(await self.status())  # it has ended since
        return Answer(True, f"{self.id}: {done}")

    def _too_late(self, status: RunStatus) -> Answer:
        return Answer(False, f"{self.id} has already ended: {status.status}")


def status_name(status: WorkflowExecutionStatus | None) -> str:
    return "RUNNING" if status is None or status.name == "CONTINUED_AS_NEW" else status.name


def _escape(text: str) -> str:
    return html.escape(printable(text))

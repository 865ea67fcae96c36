"""The verbs of the kit: start a workflow, find one, list them.

The objects here may be used from any thread and any event loop: the traffic runs on the session's background loop.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import temporalio.client
from temporalio.client import WorkflowExecution
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from durable_demo import settings, tuning
from durable_demo.background import BackgroundLoop
from durable_demo.calls import Caller, Explain, as_it_is
from durable_demo.chat import Chat
from durable_demo.comparing import Comparing
from durable_demo.comparison import Comparison
from durable_demo.errors import InvalidInput, NotPossible
from durable_demo.replaying import Replay, replay
from durable_demo.run import Answer, Run, RunStatus, Seconds, status_name
from durable_demo.starting import find_workflow
from durable_demo.tally import Tallies, Tally
from durable_demo.vocabulary import CHAT
from durable_demo.wording import calendar, one_line, printable, seconds
from durable_demo.workflows.chat import ChatWorkflow
from durable_demo.workflows.chat_data import ChatInput, ChatReply
from durable_demo.workflows.checks import PLAIN_ID, PLAIN_ID_WORDS
from durable_demo.workflows.monty import MontyPythonWorkflow
from durable_demo.workflows.monty_data import MontyPythonInput
from durable_demo.workflows.quotes import check_quotes

__all__ = ["Answer", "Chat", "ChatReply", "DemoClient", "Replay", "Run", "RunStatus", "RunSummary", "Runs"]

WORKFLOW_TYPE = re.compile(r"[A-Za-z0-9._-]{1,200}\Z")
MAX_LISTED = 1_000
COLUMNS = (
    "Workflow ID", "Type", "Status", "Started", "Duration", "Iterations", "Quotes", "Messages", "Title",
)  # fmt: skip
"""Of a table of workflows; the last one only where there are conversations with titles."""
CHAT_PREFIX = "chat-"
"""How the Workflow ID of each conversation begins."""


@dataclass(frozen=True)
class RunSummary:
    """One workflow in a list.

    Attributes:
        workflow_id: Workflow ID.
        run_id: Run ID of its latest run.
        workflow_type: Name of its type.
        status: RUNNING, COMPLETED, FAILED, CANCELED, TERMINATED or TIMED_OUT; of Monty and conversations also PAUSED
            or STOPPING while they run, unless the list is not `counted`.
        started: When its first run began; the oldest that the server still has.
        closed: When it ended; None while it runs.
        run: To follow it and to act on it; a `Chat` for a conversation.
        title: First words of a conversation; empty for other workflows.
        iterations: Iterations begun, over all runs; None if it counts none, or if they cannot be read.
        quotes: Quotes delivered, likewise.
        messages: Messages received, likewise.
        problem: Why it cannot go on, and what to do next, on one line; empty if all is well, or not `counted`.
    """

    workflow_id: str
    run_id: str
    workflow_type: str
    status: str
    started: datetime
    closed: datetime | None
    run: Run
    title: str = ""
    iterations: int | None = None
    quotes: int | None = None
    messages: int | None = None
    problem: str = ""

    @property
    def duration(self) -> timedelta:
        """How long all its runs took together, or have taken until now."""
        return (self.closed or datetime.now(UTC)) - self.started


class Runs(list[RunSummary]):
    """Workflows, newest first. Shows itself as a table."""

    def __str__(self) -> str:
        if not self:
            return "No workflows yet: start one with `run = await demo.start_monty()`"
        rows = self._table()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        problems = [f"{name}: {problem}" for name, problem in self._problems()]
        return "\n".join([*table, *(["", "Problems:", *problems] if problems else [])])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        if not self:
            return "<p>No workflows yet: start one with <code>run = await demo.start_monty()</code></p>"
        names, *rows = self._table()
        head = "".join(f"<th>{name}</th>" for name in names)
        body = []
        for workflow_id, *others in rows:
            cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in others)
            body.append(f"<tr><td><code>{html.escape(workflow_id)}</code></td>{cells}</tr>")
        problems = "".join(
            f"<li><code>{html.escape(name)}</code>: {html.escape(problem)}</li>" for name, problem in self._problems()
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
        return table + (f"<p><strong>Problems:</strong></p><ul>{problems}</ul>" if problems else "")

    def _problems(self) -> list[tuple[str, str]]:
        """Workflow ID and problem of those that cannot go on, on one line each."""
        return [(one_line(item.workflow_id), one_line(item.problem)) for item in self if item.problem]

    def _table(self) -> list[tuple[str, ...]]:
        """The names of the columns and the rows; titles only if a conversation has one."""
        rows = [COLUMNS, *map(_cells, self)]
        return rows if any(item.title for item in self) else [row[:-1] for row in rows]


def _cells(item: RunSummary) -> tuple[str, ...]:
    counters = ("-" if count is None else str(count) for count in (item.iterations, item.quotes, item.messages))
    return (
        one_line(item.workflow_id),
        one_line(item.workflow_type),
        item.status,
        calendar(item.started.isoformat()),
        seconds(item.duration.total_seconds()),
        *counters,
        one_line(item.title),
    )


class DemoClient:
    """Starts, finds and lists workflows on one server.

    Args:
        client: A connected Temporal client; it belongs to the background loop.
        background: The loop that carries all traffic.
        task_queue: Task Queue of the workflows that it starts and lists.
        explain: Tells why the server does not answer, if that is known: the error itself or a better one.
    """

    def __init__(
        self,
        client: temporalio.client.Client,
        background: BackgroundLoop,
        *,
        task_queue: str,
        explain: Explain = as_it_is,
    ) -> None:
        self.temporal = client
        self.task_queue = task_queue
        self._call = Caller(client, background, explain)
        self._started: set[str] = set()
        self._tallies = Tallies(client)
        self._comparing = Comparing()

    async def start_monty(
        self,
        *,
        min_sleep: Seconds = 5.0,
        max_sleep: Seconds = 30.0,
        progress_interval: Seconds = 0.5,
        seed: int | None = None,
        quotes: Iterable[str] | None = None,
        iterations: int | None = None,
        history_limit: int | None = None,
    ) -> Run:
        """Starts a Monty Python workflow.

        Args:
            min_sleep: Shortest sleep, in seconds or as a timedelta; more than 0.
            max_sleep: Longest sleep; at most 3600 seconds.
            progress_interval: Time between two reports of progress; 0.05 to 60 seconds.
            seed: Makes sleeps and quotes repeatable.
            quotes: People's own quotes, delivered first.
            iterations: Ends by itself after so many; None for never.
            history_limit: Events of a run after which it continues as new; the default suits everybody but tests.

        Raises:
            InvalidInput: An argument cannot be used; nothing was started.
            ServerUnreachable: The server does not answer.
        """
        monty = MontyPythonInput(
            min_sleep=_seconds(min_sleep),
            max_sleep=_seconds(max_sleep),
            progress_interval=_seconds(progress_interval),
            seed=seed,
            quotes=[] if quotes is None else check_quotes(quotes),
            iterations=iterations,
        )
        monty = (monty if history_limit is None else replace(monty, history_limit=history_limit)).checked()
        workflow_id = f"monty-python-{uuid4().hex[:8]}"
        await self._start(MontyPythonWorkflow.run, [monty], workflow_id)
        return Run(self._call, workflow_id)

    async def start_chat(self, *, history_limit: int | None = None) -> Chat:
        """Starts a conversation with the durable agent; it waits for messages until somebody ends it.

        Args:
            history_limit: Events of a run after which it continues as new; the default suits everybody but tests.

        Raises:
            InvalidInput: An argument cannot be used; nothing was started.
            ServerUnreachable: The server does not answer.
        """
        chat = (ChatInput() if history_limit is None else ChatInput(history_limit=history_limit)).checked()
        workflow_id = f"{CHAT_PREFIX}{uuid4().hex[:8]}"
        await self._start(ChatWorkflow.run, [chat], workflow_id)
        return Chat(self._call, workflow_id)

    async def start_workflow(self, workflow: type | str, *args: object, id: str | None = None) -> Run:  # noqa: A002
        """Starts a workflow of a `%%workflow` cell, or any of the kit's, with what its code takes.

        Args:
            workflow: Its class, or the name of its type.
            args: Arguments for its `@workflow.run` method; they are checked against its type hints.
            id: Workflow ID; by default the type's name and a few characters that nobody has yet.

        Raises:
            InvalidInput: No Worker of the kit runs it, or an argument or the ID cannot be used; nothing was started.
            NotPossible: A workflow with this ID runs.
            ServerUnreachable: The server does not answer.
        """
        known = find_workflow(workflow)
        known.check(args, self.temporal.data_converter.payload_converter)
        run = self.attach(known.new_id() if id is None else id)
        queue = settings.live_task_queue(known.module) if known.module else self.task_queue
        try:
            await self._start(known.type_name, args, run.id, queue)
        except WorkflowAlreadyStartedError:
            raise NotPossible(
                f"A workflow with the ID {run.id} runs already.",
                remedy=f'take another `id`, or that one with `run = demo.attach("{run.id}")`',
            ) from None
        return run

    async def replay(self, run: Run | str, workflow: type | None = None) -> Replay:
        """How the history of a workflow goes with the code as it is now; changes nothing.

        Args:
            run: The workflow, or its Workflow ID; its latest run is replayed.
            workflow: The class with the code; by default the one of this type that a Worker of the kit runs.

        Raises:
            InvalidInput: Not a Workflow ID, or no code for this type is known.
            NotPossible: The replay did not end within 30 s.
            WorkflowNotFound: There is no such workflow.
            ServerUnreachable: The server does not answer.
        """
        run = self.attach(run) if isinstance(run, str) else run
        status = await run.status()
        known = find_workflow(workflow or status.workflow_type, status.task_queue)
        if known.type_name != status.workflow_type:
            raise InvalidInput(f"{run.id} is a {status.workflow_type}, and cannot be replayed with {known.type_name}.")
        handle = self.temporal.get_workflow_handle(run.id)
        history = await self._call(handle.fetch_history(), f"read the history of {run.id}")
        replaying = replay(
            history, known.cls, namespace=self.temporal.namespace, converter=self.temporal.data_converter
        )
        return await self._call(replaying, f"replay {run.id}", deadline=None)

    async def _start(self, workflow: Any, args: Sequence[object], workflow_id: str, task_queue: str = "") -> None:
        await self._call(
            self.temporal.start_workflow(
                workflow,
                args=args,
                id=workflow_id,
                task_queue=task_queue or self.task_queue,
                task_timeout=tuning.WORKFLOW_TASK_TIMEOUT,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            ),
            "start the workflow",
        )
        self._started.add(workflow_id)

    def attach(self, workflow_id: str) -> Run:
        """The workflow with this Workflow ID, of whatever type, running or ended. Asks the server nothing yet.

        Returns:
            It; a `Chat` if its Workflow ID begins with ``chat-``.

        Raises:
            InvalidInput: Not a Workflow ID (1 to 64 letters, digits, dots, underscores and hyphens).
        """
        if not isinstance(workflow_id, str) or not PLAIN_ID.match(workflow_id):
            raise InvalidInput(
                f"not a Workflow ID: {printable(str(workflow_id)[:80])!r}",
                why=f"a Workflow ID has {PLAIN_ID_WORDS}",
                remedy="look at `await demo.runs()`",
            )
        return self._run(workflow_id)

    def _run(self, workflow_id: str) -> Run:
        return (Chat if workflow_id.startswith(CHAT_PREFIX) else Run)(self._call, workflow_id)

    async def runs(self, *, limit: int = 100, workflow_type: str | None = None, counted: bool = True) -> Runs:
        """Workflows of this session, running and past, newest first, out of the last 1,000.

        They are those on its Task Queue, and on the ones of its `%%workflow` cells.

        Needs no Worker. A Workflow ID that was used again is listed once.

        Args:
            limit: How many at most, 1 to 1,000.
            workflow_type: Only those of this type, such as `ChatWorkflow`; None for all.
            counted: Whether to look at each workflow for its counters, for the start of its first run, and for whether
                it is paused or stopping. Without it, there are no counters, `started` is that of the latest run, and
                whatever runs is RUNNING.

        Raises:
            InvalidInput: `limit` is out of range, or `workflow_type` is no name.
            ServerUnreachable: The server does not answer.
        """
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_LISTED:
            raise InvalidInput(f"limit must be a whole number from 1 to {MAX_LISTED}, not {str(limit)[:40]}")

        if workflow_type is not None and not (isinstance(workflow_type, str) and WORKFLOW_TYPE.match(workflow_type)):
            raise InvalidInput(f"not the name of a workflow type: {printable(str(workflow_type)[:80])!r}")

        ours, live = _quoted(self.task_queue), _quoted(f"{self.task_queue}.")
        query = f"(TaskQueue = {ours} OR TaskQueue STARTS_WITH {live}) AND ExecutionStatus != 'ContinuedAsNew'"
        if workflow_type is not None:
            query += f" AND WorkflowType = '{workflow_type}'"

        async def listed() -> list[WorkflowExecution]:
            # The server lists what runs before what has ended: the newest are known when all have been seen.
            found = [item async for item in self.temporal.list_workflows(query, limit=MAX_LISTED)]
            found.sort(key=lambda item: item.start_time, reverse=True)
            latest: dict[str, WorkflowExecution] = {}
            for item in found:
                latest.setdefault(item.id, item)
            return list(latest.values())[:limit]

        async def summed_up() -> Runs:
            tallies = await self._tallies.of(found) if counted else [Tally() for _ in found]
            return Runs([await self._summary(item, tally) for item, tally in zip(found, tallies, strict=True)])

        found = await self._call(listed(), "list the workflows")
        runs = await self._call(summed_up(), "look at the workflows", deadline=None)
        runs.sort(key=lambda item: item.started, reverse=True)
        return runs

    async def summary(self, workflow_id: str) -> RunSummary:
        """One workflow, as a list of them tells it; needs no Worker.

        Raises:
            InvalidInput: Not a Workflow ID.
            WorkflowNotFound: There is no such workflow.
            ServerUnreachable: The server does not answer.
        """
        handle = self.temporal.get_workflow_handle(self.attach(workflow_id).id)
        described = await self._call(handle.describe(), f"look at {workflow_id}")

        async def summed_up() -> RunSummary:
            (tally,) = await self._tallies.of([described])
            return await self._summary(described, tally)

        return await self._call(summed_up(), f"look at {workflow_id}", deadline=None)

    async def workflow_of_run(self, run_id: str) -> str:
        """Workflow ID of the workflow that has a run; empty if the server lists none (yet: a new one takes a moment).

        Raises:
            ServerUnreachable: The server does not answer.
        """

        async def search() -> str:
            query = f"RunId = {_quoted(run_id)}"
            return "".join([item.id async for item in self.temporal.list_workflows(query, limit=1)])

        return await self._call(search(), f"look for the run {run_id}")

    async def own_runs(self, *, embedded: bool) -> list[Run]:
        """What a reset ends: workflows that run; on a server that others use too, those that were started here.

        Raises:
            ServerUnreachable: The server does not answer.
        """
        running = [item.run for item in await self.runs(limit=MAX_LISTED, counted=False) if item.status == "RUNNING"]
        return [run for run in running if embedded or run.id in self._started]

    async def compare(self, *runs: Run | str) -> Comparison:
        """How the iterations of workflows compare: their times as distributions, runtime, retries. Needs no Worker.

        Args:
            runs: 1 to 8 workflows, or their Workflow IDs; running or ended.

        Raises:
            InvalidInput: None or too many, or not a Workflow ID.
            WorkflowNotFound: One of them does not exist.
            ServerUnreachable: The server does not answer.
        """
        return await self._comparing.look([self.attach(run) if isinstance(run, str) else run for run in runs])

    async def _summary(self, item: WorkflowExecution, tally: Tally) -> RunSummary:
        status = status_name(item.status)
        return RunSummary(
            workflow_id=item.id,
            run_id=item.run_id,
            workflow_type=item.workflow_type,
            status=(tally.status or status) if status == "RUNNING" else status,
            started=tally.started or item.start_time,
            closed=item.close_time,
            run=self._run(item.id),
            title=await _title(item) if item.workflow_type == CHAT else "",
            iterations=tally.iterations,
            quotes=tally.quotes,
            messages=tally.messages,
            problem=tally.problem,
        )


async def _title(chat: WorkflowExecution) -> str:
    """The title of a conversation; empty for none, and for one in a code that nobody here can read."""
    try:
        return str((await chat.memo()).get("title", ""))
    except Exception:
        return ""


def _quoted(text: str) -> str:
    """Text as a query of the server's visibility store quotes it."""
    return "'" + text.replace("'", "''") + "'"


def _seconds(value: Seconds) -> float:
    """Seconds of a duration; what is neither a number nor a timedelta is left to the check of the input."""
    return value.total_seconds() if isinstance(value, timedelta) else value

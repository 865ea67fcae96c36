"""The verbs of the kit: start a workflow, find one, list them.

The objects here may be used from any thread and any event loop: the traffic runs on the session's background loop.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import temporalio.client
from temporalio.common import WorkflowIDConflictPolicy

from durable_demo import settings
from durable_demo.background import BackgroundLoop
from durable_demo.calls import Caller
from durable_demo.chat import Chat
from durable_demo.errors import InvalidInput
from durable_demo.run import Answer, Run, RunStatus, Seconds, status_name
from durable_demo.vocabulary import CHAT
from durable_demo.wording import calendar, one_line, printable, seconds
from durable_demo.workflows.chat import ChatWorkflow
from durable_demo.workflows.chat_data import ChatInput, ChatReply
from durable_demo.workflows.checks import PLAIN_ID, PLAIN_ID_WORDS
from durable_demo.workflows.monty import MontyPythonWorkflow
from durable_demo.workflows.monty_data import MontyPythonInput
from durable_demo.workflows.quotes import check_quotes

__all__ = ["Answer", "Chat", "ChatReply", "DemoClient", "Run", "RunStatus", "RunSummary", "Runs"]

WORKFLOW_TYPE = re.compile(r"[A-Za-z0-9._-]{1,200}\Z")
MAX_LISTED = 1_000
CHAT_PREFIX = "chat-"
"""How the Workflow ID of each conversation begins."""


@dataclass(frozen=True)
class RunSummary:
    """One workflow in a list.

    Attributes:
        workflow_id: Workflow ID.
        run_id: Run ID of its latest run.
        workflow_type: Name of its type.
        status: RUNNING, COMPLETED, FAILED, CANCELED, TERMINATED or TIMED_OUT.
        started: When the latest run began.
        closed: When it ended; None while it runs.
        run: To follow it and to act on it; a `Chat` for a conversation.
        title: First words of a conversation; empty for other workflows.
    """

    workflow_id: str
    run_id: str
    workflow_type: str
    status: str
    started: datetime
    closed: datetime | None
    run: Run
    title: str = ""

    @property
    def duration(self) -> timedelta:
        """How long the latest run took, or has taken so far."""
        return (self.closed or datetime.now(UTC)) - self.started


class Runs(list[RunSummary]):
    """Workflows, newest first. Shows itself as a table."""

    def __str__(self) -> str:
        if not self:
            return "No workflows yet: start one with `run = await demo.start_monty()`"
        rows = [
            (one_line(item.workflow_id), one_line(item.workflow_type), item.status, calendar(item.started.isoformat()),
             seconds(item.duration.total_seconds()))
            for item in self
        ]  # fmt: skip
        rows.insert(0, ("Workflow ID", "Type", "Status", "Started", "Duration"))
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        if not self:
            return "<p>No workflows yet: start one with <code>run = await demo.start_monty()</code></p>"
        head = "".join(f"<th>{name}</th>" for name in ("Workflow ID", "Type", "Status", "Started", "Duration"))
        rows = "".join(
            f"<tr><td><code>{html.escape(one_line(item.workflow_id))}</code></td><td>{html.escape(one_line(item.workflow_type))}</td>"
            f"<td>{item.status}</td><td>{calendar(item.started.isoformat())}</td>"
            f"<td>{seconds(item.duration.total_seconds())}</td></tr>"
            for item in self
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


class DemoClient:
    """Starts, finds and lists workflows on one server.

    Args:
        client: A connected Temporal client; it belongs to the background loop.
        background: The loop that carries all traffic.
        task_queue: Task Queue of the workflows that it starts and lists.
    """

    def __init__(self, client: temporalio.client.Client, background: BackgroundLoop, *, task_queue: str) -> None:
        self.temporal = client
        self.task_queue = task_queue
        self._call = Caller(client, background)

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
        await self._start(MontyPythonWorkflow.run, monty, workflow_id)
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
        await self._start(ChatWorkflow.run, chat, workflow_id)
        return Chat(self._call, workflow_id)

    async def _start(self, workflow: Any, given: object, workflow_id: str) -> None:
        await self._call(
            self.temporal.start_workflow(
                workflow,
                given,
                id=workflow_id,
                task_queue=self.task_queue,
                task_timeout=settings.WORKFLOW_TASK_TIMEOUT,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            ),
            "start the workflow",
        )

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

    async def runs(self, *, limit: int = 100, workflow_type: str | None = None) -> Runs:
        """Workflows on this session's Task Queue, running and past, newest first, out of the last 1,000.

        Args:
            limit: How many at most, 1 to 1,000.
            workflow_type: Only those of this type, such as `ChatWorkflow`; None for all.

        Raises:
            InvalidInput: `limit` is out of range, or `workflow_type` is no name.
            ServerUnreachable: The server does not answer.
        """
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_LISTED:
            raise InvalidInput(f"limit must be a whole number from 1 to {MAX_LISTED}, not {str(limit)[:40]}")

        if workflow_type is not None and not (isinstance(workflow_type, str) and WORKFLOW_TYPE.match(workflow_type)):
            raise InvalidInput(f"not the name of a workflow type: {printable(str(workflow_type)[:80])!r}")

        async def listed() -> Runs:
            query = f"TaskQueue = '{self.task_queue}' AND ExecutionStatus != 'ContinuedAsNew'"
            if workflow_type is not None:
                query += f" AND WorkflowType = '{workflow_type}'"
            # The server lists what runs before what has ended: the newest are known when all have been seen.
            found = [item async for item in self.temporal.list_workflows(query, limit=MAX_LISTED)]
            found.sort(key=lambda item: item.start_time, reverse=True)
            latest: dict[str, RunSummary] = {}
            for item in found:
                summary = RunSummary(
                    workflow_id=item.id,
                    run_id=item.run_id,
                    workflow_type=item.workflow_type,
                    status=status_name(item.status),
                    started=item.start_time,
                    closed=item.close_time,
                    run=self._run(item.id),
                    title=str((await item.memo()).get("title", "")) if item.workflow_type == CHAT else "",
                )
                latest.setdefault(item.id, summary)  # a Workflow ID that was used again is listed once
            return Runs(list(latest.values())[:limit])

        return await self._call(listed(), "list the workflows")


def _seconds(value: Seconds) -> float:
    """Seconds of a duration; what is neither a number nor a timedelta is left to the check of the input."""
    return value.total_seconds() if isinstance(value, timedelta) else value

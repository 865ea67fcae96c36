"""The chain of runs of one workflow as the server knows it: which came first, and which goes on in which.

A run goes on in another one by continue-as-new, and by a reset: the new run begins with copies of entries of the run
that it goes back to, and its first entry of its own is a Workflow Task that failed because of the reset. The calls here
raise what the SDK raises.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from durable_demo import settings
from durable_demo.calls import is_transient
from durable_demo.history import Offset, Reset, is_reset

PAGE_SIZE = 500
RESET_SEEN_WITHIN_S = 2.0
"""The server ends a run and makes the one that it is reset to at once; a cluster may show the second one later."""
_ENDS = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
    }
)


@dataclass
class Page:
    """What one long poll gave."""

    entries: list[HistoryEvent]
    token: bytes


class Chain:
    """The runs of one workflow.

    Args:
        client: A connected client.
        workflow_id: Its Workflow ID.
    """

    def __init__(self, client: Client, workflow_id: str) -> None:
        self._client = client
        self._workflow_id = workflow_id
        self._starts: dict[str, tuple[int, bool]] = {}
        self._partings: dict[str, tuple[str, int]] = {}

    async def ancestors(self, run_id: str) -> tuple[str, str]:
        """Run IDs of the first run of the chain and of the run before."""
        entries = (await self.page(run_id, size=1)).entries
        started = entries[0].workflow_execution_started_event_attributes
        return started.first_execution_run_id or run_id, started.continued_execution_run_id

    async def reset(self, run_id: str) -> Reset | None:
        """How a run came out of another one; None if it did not."""
        start_us, was_reset = await self._start(run_id)
        if not was_reset:
            return None
        base, event_id = await self._parting(run_id)
        return Reset(start_us, base, event_id, await self._back_to(base, event_id))

    async def _back_to(self, base: str, event_id: int) -> str:
        """Offset of the entry before this one of a run, which may be a copy there; empty if the run is gone."""
        try:
            start_us, was_reset = await self._start(base)
            while was_reset:
                older, parted = await self._parting(base)
                if event_id > parted:
                    break
                base = older
                start_us, was_reset = await self._start(base)
        except RPCError as error:
            if not _is_gone(error):
                raise
            return ""
        return str(Offset(start_us, event_id - 1, base))

    async def _start(self, run_id: str) -> tuple[int, bool]:
        """When a run began, in microseconds, and whether that was a reset: then its first entries are older."""
        if run_id not in self._starts:
            described = await self.described(run_id)
            start, first = described.workflow_execution_info.start_time, described.workflow_extended_info
            was_reset = first.HasField("original_start_time") and first.original_start_time != start
            self._starts[run_id] = start.ToMicroseconds(), was_reset
        return self._starts[run_id]

    async def _parting(self, run_id: str) -> tuple[str, int]:
        """The run that a run came out of, and the id of its first entry that is no copy."""
        token = b""
        while run_id not in self._partings:
            page = await self.page(run_id, token)
            for entry in filter(is_reset, page.entries):
                failed = entry.workflow_task_failed_event_attributes
                self._partings[failed.new_run_id] = failed.base_run_id, entry.event_id
            token = page.token
            if not token and run_id not in self._partings:
                return "", 0  # not as this server's resets are
        return self._partings[run_id]

    async def successor(self, run_id: str, page: Page) -> str:
        """The run that a reset has put into the place of one; empty if that ends with this page, or does not end."""
        last = page.entries[-1] if page.entries else None
        if last is None or last.event_type not in _ENDS:
            return ""
        resetter = last.workflow_execution_terminated_event_attributes.identity == "history-resetter"
        deadline = time.monotonic() + RESET_SEEN_WITHIN_S
        while True:
            described = await self.described(run_id)
            found = described.workflow_extended_info.reset_run_id or await self._goes_on_in(run_id)
            if found or not resetter or time.monotonic() > deadline:
                return found
            await asyncio.sleep(0.1)

    async def _goes_on_in(self, ended: str) -> str:
        """The run after one that has ended because a run before it was reset; empty if none was."""
        latest = (await self.described("")).workflow_execution_info
        run_id = latest.execution.run_id
        if run_id == ended or latest.first_run_id != (await self.ancestors(ended))[0]:
            return ""
        ended_start_us, _ = await self._start(ended)
        while True:
            _, was_reset = await self._start(run_id)
            before = (await self._parting(run_id))[0] if was_reset else (await self.ancestors(run_id))[1]
            try:
                if not before or (await self._start(before))[0] <= ended_start_us:
                    return run_id
            except RPCError as error:
                if not _is_gone(error):
                    raise
                return run_id
            run_id = before

    async def page(
        self,
        run_id: str,
        token: bytes = b"",
        *,
        size: int = PAGE_SIZE,
        wait: bool = False,
    ) -> Page:
        """Entries of a run's history, behind those of the page with that token; with `wait`, some are waited for."""
        deadline = settings.LONG_POLL_DEADLINE if wait else settings.CALL_DEADLINE
        request = GetWorkflowExecutionHistoryRequest(
            namespace=self._client.namespace,
            execution=WorkflowExecution(workflow_id=self._workflow_id, run_id=run_id),
            maximum_page_size=size,
            next_page_token=token,
            wait_new_event=wait,
        )
        async with asyncio.timeout(deadline.total_seconds()):
            response = await self._client.workflow_service.get_workflow_execution_history(request, timeout=deadline)
        return Page(list(response.history.events), response.next_page_token)

    async def described(self, run_id: str) -> DescribeWorkflowExecutionResponse:
        """What the server says of a run; of the latest one without a Run ID."""
        return await self._client.workflow_service.describe_workflow_execution(
            DescribeWorkflowExecutionRequest(
                namespace=self._client.namespace,
                execution=WorkflowExecution(workflow_id=self._workflow_id, run_id=run_id),
            ),
            timeout=settings.CALL_DEADLINE,
        )


def _is_gone(error: RPCError) -> bool:
    return error.status == RPCStatusCode.NOT_FOUND and not is_transient(error)

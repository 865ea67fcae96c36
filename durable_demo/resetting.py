"""Taking a workflow back to an earlier Workflow Task.

A reset wants the id of the entry with which a Workflow Task ended: what stands before it is copied, and the task is
taken again. So one to where a changed code's first difference was decided heals; one to the last Workflow Task heals
only if nothing before it has changed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal
from uuid import uuid4

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client

from durable_demo import settings
from durable_demo.entries import HARMLESS_CAUSES
from durable_demo.errors import InvalidInput, NotPossible
from durable_demo.history import is_reset, task_failure_cause

Start = Literal["start"]

_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
_UPDATED = (
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED,
)
"""Made by a Workflow Task, as commands are, but these entries do not say by which: the last one before them."""
_FAILED = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED


async def reset(client: Client, workflow_id: str, to: int | Start | None, reason: str) -> int:
    """Resets the latest run of a workflow; see `Run.reset`.

    Returns:
        Id of the entry at which the new run parts from it.

    Raises:
        InvalidInput: There is no such entry, or `to` is something else.
        NotPossible: There is no Workflow Task to be taken again.
        RPCError: The server does not answer, or refuses.
    """
    if to is not None and to != "start" and (isinstance(to, bool) or not isinstance(to, int)):
        raise InvalidInput(
            f"cannot reset {workflow_id} to {str(to)[:40]!r}",
            why="`to` is an Event ID, or 'start', or None",
            remedy="look at the Event IDs: the tab Event History, or `run.items()`",
        )
    run_id = (await client.get_workflow_handle(workflow_id).describe()).run_id
    history = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
    point = _point(workflow_id, history.events, to)
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
            reason=reason,
            workflow_task_finish_event_id=point,
            request_id=str(uuid4()),
        ),
        timeout=settings.CALL_DEADLINE,
    )
    return point


def _point(workflow_id: str, entries: Sequence[HistoryEvent], to: int | Start | None) -> int:
    """Id of the entry with which the Workflow Task that is to be taken again ended."""
    ends = [entry.event_id for entry in entries if entry.event_type == _COMPLETED]
    if not ends:
        raise NotPossible(
            f"cannot reset {workflow_id}: no Workflow Task of its run was completed yet",
            why="there is nothing to go back to: it stands at its beginning",
            remedy="see what it waits for: `print(await run.status())`",
        )
    if to == "start":
        return ends[0]
    if to is None:
        return _parted(entries, ends)
    by_id = {entry.event_id: entry for entry in entries}
    if to not in by_id:
        raise InvalidInput(
            f"cannot reset {workflow_id} to event {to}",
            why=f"the Event History of its latest run has the events 1 to {max(by_id)}",
            remedy="look at the Event IDs: the tab Event History, or `run.items()`",
        )
    if made_by := _made_by(by_id[to]):
        return made_by
    if by_id[to].event_type in _UPDATED:
        return max(end for end in ends if end < to)
    later = [end for end in ends if end >= to]
    if not later:
        raise NotPossible(
            f"cannot reset {workflow_id} to event {to}",
            why="the workflow's code has not seen it yet: no Workflow Task was completed since",
            remedy=f"choose an event up to {ends[-1]}",
        )
    return later[0]


def _parted(entries: Sequence[HistoryEvent], ends: Sequence[int]) -> int:
    """Where code and history have parted, as far as the failure tells it; else the last one completed before it."""
    failed = next((entry for entry in entries if entry.event_id > ends[-1] and _is_failure(entry)), None)
    if failed is None:
        return ends[-1]
    message = failed.workflow_task_failed_event_attributes.failure.message
    if found := re.search(r"HistoryEvent\(id: (\d+),", message):
        named = [entry for entry in entries if entry.event_id == int(found[1])]
    elif found := re.search(r"scheduled event '([^']*)'", message):
        # The first of this name: a replay stops at the first difference.
        named = [entry for entry in entries if _name(entry) == found[1]]
    else:
        named = []
    made_by = _made_by(named[0]) if named else 0
    return made_by or ends[-1]


def _is_failure(entry: HistoryEvent) -> bool:
    return entry.event_type == _FAILED and not is_reset(entry) and task_failure_cause(entry) not in HARMLESS_CAUSES


def _made_by(entry: HistoryEvent) -> int:
    """Id of the end of the Workflow Task that made an entry; 0 for what came from elsewhere."""
    attributes = getattr(entry, entry.WhichOneof("attributes") or "", None)
    return int(getattr(attributes, "workflow_task_completed_event_id", 0))


def _name(entry: HistoryEvent) -> str:
    """What the entry of a command is about, as the SDK's failure has it: a type of Activity or child, a timer's id."""
    if entry.HasField("activity_task_scheduled_event_attributes"):
        return entry.activity_task_scheduled_event_attributes.activity_type.name
    if entry.HasField("start_child_workflow_execution_initiated_event_attributes"):
        return entry.start_child_workflow_execution_initiated_event_attributes.workflow_type.name
    return ""

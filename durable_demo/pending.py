"""What waits at the server, from what it says of a workflow, and why the workflow cannot go on if it cannot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import EventType, PendingActivityState, WorkflowExecutionStatus
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryReverseRequest,
)
from temporalio.client import Client

from durable_demo import events as e
from durable_demo import settings
from durable_demo.diagnosis import TASK, Problem, failed_activity, failed_task, no_worker
from durable_demo.entries import HARMLESS_CAUSES, PendingActivity, PendingWork
from durable_demo.history import failure_text, is_reset, moment_of, task_failure_cause
from durable_demo.wording import clock

WORKER_MISSED_AFTER = timedelta(seconds=3)
"""What has waited longer than this for a Worker has none: one that is started again takes less."""
_PAGE_SIZE = 20
_ENDS_OF_TASKS = (EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED, EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED)


def pending_work(described: DescribeWorkflowExecutionResponse) -> PendingWork:
    """What waits at the server, from what it says of a workflow; the moment is this machine's."""
    task = described.pending_workflow_task
    waits = described.HasField("pending_workflow_task") and not task.HasField("started_time")
    return PendingWork(
        timestamp=e.format_timestamp(datetime.now(UTC)),
        run_id=described.workflow_execution_info.execution.run_id,
        activities=tuple(_pending_activity(pending) for pending in described.pending_activities),
        task_scheduled=_when(task.scheduled_time) if waits else "",
        task_attempt=task.attempt,
    )


def _pending_activity(pending: PendingActivityInfo) -> PendingActivity:
    backs_off = pending.HasField("next_attempt_schedule_time")
    return PendingActivity(
        activity_id=pending.activity_id,
        activity_type=pending.activity_type.name,
        attempt=pending.attempt,
        running=pending.state
        in (
            PendingActivityState.PENDING_ACTIVITY_STATE_STARTED,
            PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED,
        ),
        scheduled=_when(pending.next_attempt_schedule_time if backs_off else pending.scheduled_time),
        started=_when(pending.last_started_time),
        failed=_when(pending.last_attempt_complete_time),
        error=failure_text(pending.last_failure),
        worker=pending.last_worker_identity,
    )


@dataclass(frozen=True)
class Wait:
    """What waits for a Worker.

    Attributes:
        what: `diagnosis.TASK`, or the Activity.
        task_queue: The Task Queue that it waits in.
        since: When it was handed out.
    """

    what: str
    task_queue: str
    since: datetime

    @property
    def problem(self) -> Problem:
        """The same as something to be mended."""
        return no_worker(self.what, self.task_queue, clock(e.format_timestamp(self.since)))

    def told(self) -> dict[str, str]:
        """What an event says of it."""
        since = e.format_timestamp(self.since)
        problem = self.problem
        return {
            "what": self.what, "task_queue": self.task_queue, "since": since,
            "problem": problem.what, "error": problem.why, "remedy": problem.remedy,
        }  # fmt: skip


def waits_for_worker(described: DescribeWorkflowExecutionResponse) -> list[Wait]:
    """What has its time and is not taken, the oldest first."""
    queue = described.execution_config.task_queue.name
    task, info, now = described.pending_workflow_task, described.workflow_execution_info, datetime.now(UTC)
    found = []
    if described.HasField("pending_workflow_task") and not task.HasField("started_time"):
        # The first one may have a back-off, as after continue-as-new.
        found.append(Wait(TASK, queue, max(moment_of(task.scheduled_time), moment_of(info.execution_time))))
    for pending in described.pending_activities:
        backs_off = pending.HasField("next_attempt_schedule_time")
        if pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED:
            due = moment_of(pending.next_attempt_schedule_time if backs_off else pending.scheduled_time)
            own_queue = pending.activity_options.task_queue.name
            found.append(Wait(f"Activity {pending.activity_type.name}", own_queue or queue, due))
    return sorted((wait for wait in found if wait.since <= now), key=lambda wait: wait.since)


async def problem_of(client: Client, described: DescribeWorkflowExecutionResponse) -> Problem | None:
    """Why a workflow cannot go on; None if it can, as far as the server knows, or has ended. Needs no Worker.

    Args:
        client: A connected client, to look into the history if a Workflow Task is pending.
        described: What the server says of the workflow.

    Raises:
        RPCError: The server does not answer.
    """
    info = described.workflow_execution_info
    if info.status != WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING:
        return None
    waits = waits_for_worker(described)
    if waits and datetime.now(UTC) - waits[0].since > WORKER_MISSED_AFTER:
        return waits[0].problem
    if described.pending_workflow_task.attempt > 1:
        failed = await _last_task(client, described)
        cause = task_failure_cause(failed) if failed is not None else ""
        if failed is not None and not is_reset(failed) and cause not in HARMLESS_CAUSES:
            error = failure_text(failed.workflow_task_failed_event_attributes.failure) or cause
            return failed_task(cause, error, info.type.name)
    errors = (failure_text(pending.last_failure) for pending in described.pending_activities)
    return next((problem for error in errors if (problem := failed_activity(error))), None)


async def _last_task(client: Client, described: DescribeWorkflowExecutionResponse) -> HistoryEvent | None:
    """How the last Workflow Task failed; None if it was completed, or if there was none."""
    token = b""
    while True:
        page = await client.workflow_service.get_workflow_execution_history_reverse(
            GetWorkflowExecutionHistoryReverseRequest(
                namespace=client.namespace,
                execution=described.workflow_execution_info.execution,
                maximum_page_size=_PAGE_SIZE,
                next_page_token=token,
            ),
            timeout=settings.CALL_DEADLINE,
        )
        for entry in page.history.events:
            if entry.event_type in _ENDS_OF_TASKS:
                return entry if entry.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED else None
        token = page.next_page_token
        if not token:
            return None


def _when(moment: Timestamp) -> str:
    return e.format_timestamp(moment_of(moment)) if moment.seconds else ""

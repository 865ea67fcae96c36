"""Event History of any workflow -> events: decodes payloads, names things, and keeps what later entries refer to.

Source of the entries and their attributes: `temporal/api/history/v1/message.proto`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.update.v1 import Request as UpdateRequest
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.converter import DataConverter

from durable_demo import events as e
from durable_demo.diagnosis import failed_activity, failed_task
from durable_demo.entries import HARMLESS_CAUSES, HistoryEntry
from durable_demo.errors import InvalidInput

# --- offsets ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Offset:
    """A place in the chain of runs of one workflow.

    As text it sorts like the chain: start of the run in microseconds, then the id of the history event, then the Run ID
    (which finds the run again).
    """

    run_start_us: int
    event_id: int
    run_id: str

    def __str__(self) -> str:
        return f"{self.run_start_us:016d}-{self.event_id:06d}-{self.run_id}"

    @classmethod
    def parse(cls, text: object) -> Offset:
        """Reads a token back.

        Raises:
            InvalidInput: It is not one of ours.
        """
        parts = text.split("-", 2) if isinstance(text, str) and len(text) < 200 else []
        try:
            return cls(int(parts[0]), int(parts[1]), str(UUID(parts[2])))
        except (IndexError, ValueError):
            raise InvalidInput(
                f"not an offset: {str(text)[:80]!r}",
                remedy="pass the `offset` of an event that you got, or None for all",
            ) from None


# --- one run ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reset:
    """How a run came out of another one.

    Attributes:
        start_us: When it was made; its first entries, which are copies, are older.
        base_run_id: Run ID of the run that they are copies from.
        event_id: Id, in both, of the first entry that is no copy.
        back_to: Offset of the last entry of which there is a copy; empty if its run is gone.
    """

    start_us: int
    base_run_id: str
    event_id: int
    back_to: str


@dataclass
class _Open:
    """An Activity that has not ended."""

    activity_id: str
    activity_type: str
    attempt: int = 1


class RunReader:
    """Reads the history of one run, entry by entry from its first one.

    Attributes:
        first_run_id: Run ID of the first run of the chain.
        previous_run_id: Run ID of the run before, empty for the first.
        next_run_id: Run ID of the run that follows, once this one has ended in one.
        ended: Whether the last entry was read.
        open: Activities that have not ended, by activity id.
        reset: How it came out of another run; None if it did not, or if nobody needs to know.
        superseded_by: Run ID of the run that a reset has put into the place of this one, if it is known to have.
    """

    def __init__(
        self,
        workflow_id: str,
        run_id: str,
        converter: DataConverter,
        *,
        after_us: int = -1,
        reset: Reset | None = None,
    ) -> None:
        self.workflow_id = workflow_id
        self.run_id = run_id
        self.first_run_id = ""
        self.previous_run_id = ""
        self.next_run_id = ""
        self.ended = False
        self.open: dict[str, _Open] = {}
        self.run_start_us = -1
        self.reset = reset
        self.superseded_by = ""
        self._workflow_type = ""
        self._stuck_since: datetime | None = None
        self._admitted: dict[int, UpdateRequest] = {}
        self._after_us = after_us
        self._converter = converter
        self._scheduled: dict[int, _Open] = {}

    def common(self, event_id: int, moment: Timestamp) -> dict[str, Any]:
        """The fields that every event has."""
        return {
            "timestamp": e.format_timestamp(moment_of(moment)),
            "workflow_id": self.workflow_id,
            "run_id": self.run_id,
            "offset": str(Offset(self.run_start_us, event_id, self.run_id)),
        }

    def copied(self, entry: HistoryEvent) -> bool:
        """Whether an entry is a copy from the run that this one came out of."""
        return self.reset is not None and entry.event_id < self.reset.event_id

    def _common_of(self, entry: HistoryEvent) -> dict[str, Any]:
        if self.run_start_us < 0:
            start_us = int(entry.event_time.ToMicroseconds()) if self.reset is None else self.reset.start_us
            # Ordered over the chain even if the server's clock was set back between two runs.
            self.run_start_us = max(start_us, self._after_us + 1)
        return self.common(entry.event_id, entry.event_time)

    async def entry(self, entry: HistoryEvent) -> HistoryEntry:
        """A history entry as it is, for who looks at the history itself."""
        common = self._common_of(entry)
        found = entry.WhichOneof("attributes")
        body = MessageToDict(getattr(entry, found)) if found else {}
        return HistoryEntry(
            timestamp=common["timestamp"],
            run_id=self.run_id,
            offset=common["offset"],
            event_id=entry.event_id,
            event_type=EventType.Name(entry.event_type).removeprefix("EVENT_TYPE_"),
            attributes=await self._decoded(body),
            copied=self.copied(entry),
        )

    async def read(self, entry: HistoryEvent) -> e.Event | None:
        """The event that a history entry gives; None for Workflow Task bookkeeping and first attempts that start."""
        kind = EventType.Name(entry.event_type).removeprefix("EVENT_TYPE_")
        common = self._common_of(entry)
        if kind in _IGNORED:
            return None
        for family in (self._life, self._activity, self._message, self._timer_or_child):
            found, event = await family(kind, entry, common)
            if found:
                return event
        attributes = getattr(entry, entry.WhichOneof("attributes") or "", None)
        body = MessageToDict(attributes) if attributes is not None else None
        return e.HistoryRecord(**common, event_type=kind, attributes=body)

    async def heartbeat(self, pending: PendingActivityInfo, offset: str) -> e.ActivityHeartbeat | None:
        """The tick of a running Activity; None if it has not reported anything."""
        activity = self.open.get(pending.activity_id)
        if activity is None or not pending.HasField("last_heartbeat_time"):
            return None
        common = self.common(0, pending.last_heartbeat_time) | {"offset": offset}
        details = await self._arguments(pending.heartbeat_details)
        return e.ActivityHeartbeat(
            **common, tick=True, activity_id=activity.activity_id, activity_type=activity.activity_type,
            attempt=pending.attempt, details=details,
        )  # fmt: skip

    async def retry(self, pending: PendingActivityInfo, offset: str) -> e.ActivityRetry | None:
        """The tick of a new attempt; None if there is none since the last one that was told."""
        activity = self.open.get(pending.activity_id)
        if activity is None or pending.attempt <= activity.attempt:
            return None
        activity.attempt = pending.attempt
        error = failure_text(pending.last_failure)
        times = (pending.last_attempt_complete_time, pending.last_started_time, pending.scheduled_time)
        moment = next((moment for moment in times if moment.seconds), Timestamp())
        return e.ActivityRetry(
            **(self.common(0, moment) | {"offset": offset}), tick=True, activity_id=activity.activity_id,
            activity_type=activity.activity_type, attempt=pending.attempt, error=error, remedy=_remedy(error),
        )  # fmt: skip

    # --- families of entries: (whether the entry is of the family, its event) ----------------------------------------

    async def _life(self, kind: str, entry: HistoryEvent, common: dict[str, Any]) -> tuple[bool, e.Event | None]:
        match kind:
            case "WORKFLOW_EXECUTION_STARTED":
                started = entry.workflow_execution_started_event_attributes
                self.first_run_id = started.first_execution_run_id or self.run_id
                self.previous_run_id = started.continued_execution_run_id
                self._workflow_type = started.workflow_type.name
                given = await self._arguments(started.input)
                return True, e.WorkflowStarted(**common, workflow_type=started.workflow_type.name, input=given)
            case "WORKFLOW_EXECUTION_CONTINUED_AS_NEW":
                new_run_id = entry.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
                return True, self._end(common, None, new_run_id)
            case "WORKFLOW_EXECUTION_COMPLETED":
                completed = entry.workflow_execution_completed_event_attributes
                result = await self._arguments(completed.result)
                return True, self._end(
                    common, e.WorkflowCompleted(**common, result=result), completed.new_execution_run_id
                )
            case "WORKFLOW_EXECUTION_FAILED":
                failed = entry.workflow_execution_failed_event_attributes
                event = e.WorkflowFailed(**common, error=failure_text(failed.failure))
                return True, self._end(common, event, failed.new_execution_run_id)
            case "WORKFLOW_EXECUTION_TIMED_OUT":
                timed_out = entry.workflow_execution_timed_out_event_attributes
                return True, self._end(common, e.WorkflowTimedOut(**common), timed_out.new_execution_run_id)
            case "WORKFLOW_EXECUTION_CANCELED":
                return True, self._end(common, e.WorkflowCanceled(**common), "")
            case "WORKFLOW_EXECUTION_TERMINATED":
                reason = entry.workflow_execution_terminated_event_attributes.reason
                return True, self._end(common, e.WorkflowTerminated(**common, error=reason), "")
            case "WORKFLOW_TASK_FAILED":
                return True, self._task_failed(entry, common)
            case "WORKFLOW_TASK_COMPLETED":
                since, self._stuck_since = self._stuck_since, None
                if since is None:
                    return True, None
                stuck = (moment_of(entry.event_time) - since).total_seconds()
                return True, e.WorkflowTaskRecovered(**common, stuck=round(max(0.0, stuck), 3))
        return False, None

    def _task_failed(self, entry: HistoryEvent, common: dict[str, Any]) -> e.Event | None:
        failure = entry.workflow_task_failed_event_attributes
        if is_reset(entry):
            if failure.new_run_id != self.run_id:
                return None  # a copy, too: the run that this one came out of had come out of another one
            self._stuck_since = None
            back_to = (self.reset and self.reset.back_to) or common["offset"]
            return e.WorkflowReset(
                **common, base_run_id=failure.base_run_id, base_event_id=entry.event_id,
                back_to=back_to, reason=failure.failure.message,
            )  # fmt: skip
        cause = task_failure_cause(entry)
        if cause in HARMLESS_CAUSES:
            return None
        self._stuck_since = self._stuck_since or moment_of(entry.event_time)
        error = failure_text(failure.failure) or cause
        problem = failed_task(cause, error, self._workflow_type)
        return e.WorkflowTaskFailed(
            **common, cause=cause, error=problem.why, problem=problem.what, remedy=problem.remedy
        )

    def _end(self, common: dict[str, Any], event: e.Event | None, next_run_id: str) -> e.Event | None:
        self.ended, self.next_run_id = True, next_run_id or self.superseded_by
        self.open.clear()
        if self.superseded_by and not next_run_id:
            return None  # it has not ended: it goes on in another run, which says so
        if event is not None and not next_run_id:
            return event
        result, error = getattr(event, "result", None), getattr(event, "error", "")
        return e.WorkflowContinuedAsNew(**common, new_run_id=next_run_id, result=result, error=error)

    async def _activity(self, kind: str, entry: HistoryEvent, common: dict[str, Any]) -> tuple[bool, e.Event | None]:
        if kind == "ACTIVITY_TASK_SCHEDULED":
            scheduled = entry.activity_task_scheduled_event_attributes
            activity = _Open(scheduled.activity_id, scheduled.activity_type.name)
            self._scheduled[entry.event_id] = self.open[activity.activity_id] = activity
            given = await self._arguments(scheduled.input)
            return True, e.ActivityScheduled(**common, **_named(activity), input=given)
        if kind == "ACTIVITY_TASK_STARTED":
            started = entry.activity_task_started_event_attributes
            activity = self._scheduled[started.scheduled_event_id]
            activity.attempt = started.attempt
            if started.attempt < 2:
                return True, None
            error = failure_text(started.last_failure)
            return True, e.ActivityRetry(
                **common, **_named(activity), attempt=started.attempt, error=error, remedy=_remedy(error)
            )
        if kind not in _ACTIVITY_ENDS:
            return False, None
        ended = getattr(entry, entry.WhichOneof("attributes") or "")
        activity = self._scheduled.pop(ended.scheduled_event_id)
        self.open.pop(activity.activity_id, None)
        named = common | _named(activity)
        match kind:
            case "ACTIVITY_TASK_COMPLETED":
                result = await self._arguments(ended.result)
                return True, e.ActivityCompleted(**named, result=result, attempt=activity.attempt)
            case "ACTIVITY_TASK_FAILED":
                return True, e.ActivityFailed(**named, error=failure_text(ended.failure), attempt=activity.attempt)
            case "ACTIVITY_TASK_TIMED_OUT":
                details = await self._arguments(ended.failure.timeout_failure_info.last_heartbeat_details)
                error = failure_text(ended.failure)
                return True, e.ActivityTimedOut(**named, error=error, attempt=activity.attempt, details=details)
        return True, e.ActivityCanceled(**named, details=await self._arguments(ended.details))

    async def _message(self, kind: str, entry: HistoryEvent, common: dict[str, Any]) -> tuple[bool, e.Event | None]:
        match kind:
            case "WORKFLOW_EXECUTION_SIGNALED":
                signal = entry.workflow_execution_signaled_event_attributes
                given = await self._arguments(signal.input)
                return True, e.SignalReceived(**common, name=signal.signal_name, input=given)
            case "WORKFLOW_EXECUTION_CANCEL_REQUESTED":
                return True, e.CancelRequested(**common)
            case "WORKFLOW_EXECUTION_UPDATE_ADMITTED":
                # A reset has taken it over from the run before; once it is accepted, its request stands here alone.
                self._admitted[entry.event_id] = entry.workflow_execution_update_admitted_event_attributes.request
                return True, None
            case "WORKFLOW_EXECUTION_UPDATE_ACCEPTED":
                accepted = entry.workflow_execution_update_accepted_event_attributes
                admitted = self._admitted.pop(accepted.accepted_request_sequencing_event_id, None)
                request = admitted or accepted.accepted_request
                given = await self._arguments(request.input.args)
                return True, e.UpdateAccepted(
                    **common, update_id=request.meta.update_id, name=request.input.name, input=given
                )
            case "WORKFLOW_EXECUTION_UPDATE_COMPLETED":
                update = entry.workflow_execution_update_completed_event_attributes
                return True, e.UpdateCompleted(
                    **common,
                    update_id=update.meta.update_id,
                    result=await self._arguments(update.outcome.success),
                    error=failure_text(update.outcome.failure),
                )
        return False, None

    async def _timer_or_child(
        self, kind: str, entry: HistoryEvent, common: dict[str, Any]
    ) -> tuple[bool, e.Event | None]:
        match kind:
            case "TIMER_STARTED":
                timer = entry.timer_started_event_attributes
                duration = timer.start_to_fire_timeout.ToTimedelta() / timedelta(seconds=1)
                return True, e.TimerStarted(**common, timer_id=timer.timer_id, duration=duration)
            case "TIMER_FIRED":
                return True, e.TimerFired(**common, timer_id=entry.timer_fired_event_attributes.timer_id)
            case "TIMER_CANCELED":
                return True, e.TimerCanceled(**common, timer_id=entry.timer_canceled_event_attributes.timer_id)
        if "CHILD_WORKFLOW_EXECUTION" not in kind:
            return False, None
        child = getattr(entry, entry.WhichOneof("attributes") or "")
        state = kind.removeprefix("START_").removeprefix("CHILD_WORKFLOW_EXECUTION_").lower()
        if kind == "START_CHILD_WORKFLOW_EXECUTION_FAILED":
            state = "start_failed"
        # The workflow's id stands in the entry itself before the child has started, in its execution afterwards.
        execution = getattr(child, "workflow_execution", None)
        return True, e.ChildWorkflow(
            **common,
            state=state,
            child_workflow_id=execution.workflow_id if execution is not None else child.workflow_id,
            child_workflow_type=child.workflow_type.name,
            result=await self._arguments(getattr(child, "result", None)),
            error=failure_text(getattr(child, "failure", None)),
        )

    # --- payloads ----------------------------------------------------------------------------------------------------

    async def _arguments(self, payloads: Payloads | None) -> e.Json:
        if payloads is None or not payloads.payloads:
            return None
        values = [await self._value(payload) for payload in payloads.payloads]
        return values[0] if len(values) == 1 else values

    async def _decoded(self, value: Any) -> Any:
        """A message in protobuf's JSON form, with its payloads as the values that they hold."""
        if isinstance(value, list):
            return [await self._decoded(item) for item in value]
        if not isinstance(value, dict):
            return value
        if value.keys() == {"payloads"} and isinstance(value["payloads"], list):
            decoded: list[Any] = await self._decoded(value["payloads"])
            return decoded[0] if len(decoded) == 1 else decoded
        if _is_payload(value):
            return await self._value(ParseDict(value, Payload()))
        return {name: await self._decoded(item) for name, item in value.items()}

    async def _value(self, payload: Payload) -> e.Json:
        try:
            (value,) = await self._converter.decode([payload])
        except Exception:  # a codec or an encoding that is not ours: show that there is something, not what
            encoding = payload.metadata.get("encoding", b"?").decode(errors="replace")
            return f"<{len(payload.data)} bytes, encoding {encoding}>"
        return _plain(value)


def is_reset(entry: HistoryEvent) -> bool:
    """Whether a run, this one or one before it, came out of another one here."""
    return (
        entry.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
        and entry.workflow_task_failed_event_attributes.cause
        == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW
    )


def task_failure_cause(entry: HistoryEvent) -> str:
    """Temporal's name of the cause for which a Workflow Task failed."""
    cause = entry.workflow_task_failed_event_attributes.cause
    return WorkflowTaskFailedCause.Name(cause).removeprefix("WORKFLOW_TASK_FAILED_CAUSE_")


def _remedy(error: str) -> str:
    problem = failed_activity(error)
    return "" if problem is None else problem.remedy


_IGNORED = frozenset(
    {
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_TASK_STARTED",
        "WORKFLOW_TASK_TIMED_OUT",
        "ACTIVITY_TASK_CANCEL_REQUESTED",
    }
)
BOOKKEEPING = frozenset({EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED, EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED})
"""Entries that the server may show at the end of a history before they are written, and replace by others later."""
_ACTIVITY_ENDS = frozenset(
    {"ACTIVITY_TASK_COMPLETED", "ACTIVITY_TASK_FAILED", "ACTIVITY_TASK_TIMED_OUT", "ACTIVITY_TASK_CANCELED"}
)


def failure_text(failure: Failure | None) -> str:
    """A failure with its causes on one line, outermost first; empty for none. Stack traces are left out."""
    parts: list[str] = []
    while failure is not None and (failure.message or failure.WhichOneof("failure_info")):
        name = failure.application_failure_info.type
        text = failure.message or (failure.WhichOneof("failure_info") or "").removesuffix("_failure_info")
        parts.append(" ".join((f"{name}: {text}" if name and name not in text else text).split()))
        failure = failure.cause if failure.HasField("cause") else None
    # The wrapper "Activity task failed" says nothing that its cause does not say better.
    return "; caused by ".join(parts[1:] if len(parts) > 1 and parts[0].lower() == "activity task failed" else parts)


def _is_payload(value: dict[str, Any]) -> bool:
    """Whether this is a payload in protobuf's JSON form, not a memo or a header with such names."""
    metadata = value.get("metadata")
    return (
        isinstance(metadata, dict)
        and value.keys() <= {"metadata", "data", "externalPayloads"}
        and all(isinstance(text, str) for text in (*metadata.values(), value.get("data", "")))
    )


def _named(activity: _Open) -> dict[str, Any]:
    return {"activity_id": activity.activity_id, "activity_type": activity.activity_type}


def moment_of(moment: Timestamp) -> datetime:
    return moment.ToDatetime(tzinfo=UTC)


def _plain(value: Any) -> e.Json:
    """Strict JSON values only: numbers that JSON cannot say become text, bytes their length."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, bytes | bytearray):
        return f"<{len(value)} bytes>"
    if isinstance(value, str) or not isinstance(value, Iterable):
        return value if isinstance(value, str | int | float | bool | None) else str(value)
    return [_plain(item) for item in value]

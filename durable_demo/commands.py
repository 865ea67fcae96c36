"""Commands: what workflow code asks the server for, as its history has them and as the code gives them on a replay.

A history fits the code if the code gives, in the same order, commands of the same kinds and names. What they carry
(arguments, durations) may differ: Temporal does not compare it.

Sources: `temporal/api/history/v1/message.proto` and `temporal/sdk/core/workflow_commands/workflow_commands.proto`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.bridge.proto.workflow_commands import WorkflowCommand

from durable_demo.wording import seconds


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        kind: What it asks for, such as `schedule Activity`.
        name: Of what, such as the Activity's type.
        detail: What may differ, such as a duration; not compared.
        event_id: The event of the history that it became; 0 if it comes from the code.
    """

    kind: str
    name: str = ""
    detail: str = field(default="", compare=False)
    event_id: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return " ".join(filter(None, (self.kind, self.name, self.detail)))


# --- from a history --------------------------------------------------------------------------------------------------


def of_history(events: Iterable[HistoryEvent]) -> list[Command]:
    """The commands that a history has recorded, in order."""
    scheduled: dict[int, str] = {}
    commands = []
    for event in events:
        name = event.WhichOneof("attributes")
        attributes: Any = getattr(event, name) if name else None
        kind = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
        if kind == "ACTIVITY_TASK_SCHEDULED":
            scheduled[event.event_id] = attributes.activity_type.name
        command = _of_event(kind, attributes, scheduled)
        if command:
            commands.append(replace(command, event_id=event.event_id))
    return commands


def _of_event(kind: str, attributes: Any, scheduled: dict[int, str]) -> Command | None:
    match kind:
        case "ACTIVITY_TASK_SCHEDULED":
            return Command("schedule Activity", attributes.activity_type.name)
        case "ACTIVITY_TASK_CANCEL_REQUESTED":
            return Command("cancel Activity", scheduled.get(attributes.scheduled_event_id, ""))
        case "TIMER_STARTED":
            return Command("start timer", "", _duration(attributes.start_to_fire_timeout))
        case "TIMER_CANCELED":
            return Command("cancel timer")
        case "MARKER_RECORDED":
            return _of_marker(attributes)
        case "START_CHILD_WORKFLOW_EXECUTION_INITIATED":
            return Command("start child workflow", attributes.workflow_type.name)
        case "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED":
            return Command("cancel workflow")
        case "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED":
            return Command("send Signal", attributes.signal_name)
        case "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES":
            # Temporal adds this one to each patch by itself.
            own = attributes.search_attributes.indexed_fields.keys() == {"TemporalChangeVersion"}
            return None if own else Command("set search attributes")
        case "WORKFLOW_EXECUTION_CANCELED":
            return _ENDS["cancel_workflow_execution"] if attributes.workflow_task_completed_event_id else None
    return _PLAIN_EVENTS.get(kind)


def _of_marker(attributes: Any) -> Command:
    if attributes.marker_name == "core_patch":
        return Command("record patch", _from_json(attributes.details.get("patch-data"), "id"))
    if attributes.marker_name == "core_local_activity":
        return Command("run local Activity", _from_json(attributes.details.get("data"), "activity_type"))
    return Command("record marker", str(attributes.marker_name))


def _from_json(payloads: Payloads | None, name: str) -> str:
    try:
        return str(json.loads(payloads.payloads[0].data)[name]) if payloads else ""
    except (IndexError, KeyError, TypeError, ValueError):  # a codec that is not ours
        return ""


_ENDS = {
    "complete_workflow_execution": Command("complete the workflow"),
    "fail_workflow_execution": Command("fail the workflow"),
    "cancel_workflow_execution": Command("end the workflow as canceled"),
    "continue_as_new_workflow_execution": Command("continue as new"),
}
_PLAIN_EVENTS = {
    "WORKFLOW_EXECUTION_COMPLETED": _ENDS["complete_workflow_execution"],
    "WORKFLOW_EXECUTION_FAILED": _ENDS["fail_workflow_execution"],
    "WORKFLOW_EXECUTION_CONTINUED_AS_NEW": _ENDS["continue_as_new_workflow_execution"],
    "WORKFLOW_EXECUTION_UPDATE_ACCEPTED": Command("accept Update"),
    "WORKFLOW_EXECUTION_UPDATE_COMPLETED": Command("complete Update"),
    "WORKFLOW_PROPERTIES_MODIFIED": Command("change memo"),
    "NEXUS_OPERATION_SCHEDULED": Command("schedule Nexus operation"),
    "NEXUS_OPERATION_CANCEL_REQUESTED": Command("cancel Nexus operation"),
}

# --- from the code ---------------------------------------------------------------------------------------------------

_CANCELS = {
    "cancel_timer": ("start_timer", "seq"),
    "request_cancel_activity": ("schedule_activity", "seq"),
    "cancel_child_workflow_execution": ("start_child_workflow_execution", "child_workflow_seq"),
    "cancel_signal_workflow": ("signal_external_workflow_execution", "seq"),
}
"""Commands that take back another one, which one, and by which number."""


def of_code(activations: Iterable[Iterable[WorkflowCommand]]) -> list[Command]:
    """The commands that code has given, by activation, as the server would get them."""
    activities: dict[int, str] = {}
    commands: list[Command] = []
    for given in activations:
        sent: dict[tuple[str, int], Command] = {}
        for number, command in enumerate(given):
            variant = command.WhichOneof("variant") or ""
            attributes: Any = getattr(command, variant, None)
            takes_back, by = _CANCELS.get(variant, ("", ""))
            # What is taken back in the same breath is never sent.
            if takes_back and sent.pop((takes_back, getattr(attributes, by)), None) is not None:
                continue
            if variant == "schedule_activity":
                activities[attributes.seq] = attributes.activity_type
            found = _of_command(variant, attributes, activities)
            if found:
                sent[variant, getattr(attributes, "seq", -number - 1)] = found
        commands += sent.values()
    return commands


def _of_command(variant: str, attributes: Any, activities: dict[int, str]) -> Command | None:
    match variant:
        case "schedule_activity":
            return Command("schedule Activity", attributes.activity_type)
        case "request_cancel_activity":
            return Command("cancel Activity", activities.get(attributes.seq, ""))
        case "start_timer":
            return Command("start timer", "", _duration(attributes.start_to_fire_timeout))
        case "cancel_timer":
            return Command("cancel timer")
        case "set_patch_marker":
            return Command("record patch", attributes.patch_id)
        case "schedule_local_activity":
            return Command("run local Activity", attributes.activity_type)
        case "start_child_workflow_execution":
            return Command("start child workflow", attributes.workflow_type)
        case "cancel_child_workflow_execution" | "request_cancel_external_workflow_execution":
            return Command("cancel workflow")
        case "signal_external_workflow_execution":
            return Command("send Signal", attributes.signal_name)
        case "upsert_workflow_search_attributes":
            return Command("set search attributes")
        case "update_response":
            answer = attributes.WhichOneof("response")
            return (
                None
                if answer == "rejected"
                else Command("accept Update" if answer == "accepted" else "complete Update")
            )
        case "modify_workflow_properties":
            return Command("change memo")
        case "schedule_nexus_operation":
            return Command("schedule Nexus operation")
        case "request_cancel_nexus_operation":
            return Command("cancel Nexus operation")
    return _ENDS.get(variant)  # None: an answer to a Query, which the history does not have


def _duration(value: Duration) -> str:
    return f"({seconds(value.ToTimedelta().total_seconds())})"

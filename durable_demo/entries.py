"""The Event History as the server keeps it, entry by entry, and what waits at the server now.

`events.py` has what all this means to a workflow's readers. Here is what Temporal's own tools show: each entry with its
type and attributes, Workflow Tasks included, and the Activities and the Workflow Task that are pending at this moment.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from durable_demo.events import Event, Json

HARMLESS_CAUSES = frozenset({"UNHANDLED_COMMAND", "RESET_STICKY_TASK_QUEUE", "FORCE_CLOSE_COMMAND"})
"""Workflow Tasks that fail in the ordinary course of things, as when a Signal comes during continue-as-new."""


@dataclass(frozen=True, kw_only=True)
class HistoryEntry:
    """One entry of the Event History of one run, its payloads decoded.

    The last entries of a history may be Workflow Tasks that the server shows before it has written them; it gives their
    ids to other entries then. So an entry with an offset that was seen before takes the place of that one.

    Attributes:
        timestamp: When it happened: UTC, ISO 8601, milliseconds, `Z`, by the server's clock.
        run_id: Run ID of the run it belongs to.
        offset: Ordered as text over all runs of the chain, as an event's.
        event_id: Its number within the run, from 1.
        event_type: Temporal's name, such as `ACTIVITY_TASK_SCHEDULED`.
        attributes: Its attributes in protobuf's JSON form (camelCase; ids and durations as text), with payloads as the
            values that they hold.
        copied: Whether a reset has copied it from the run that its own run came out of.
    """

    timestamp: str
    run_id: str
    offset: str
    event_id: int
    event_type: str
    attributes: dict[str, Json]
    copied: bool = False

    @property
    def moment(self) -> datetime:
        """`timestamp` as an aware datetime."""
        return datetime.fromisoformat(self.timestamp)

    def to_json(self) -> str:
        """All of it as JSON on several lines."""
        body = {"eventId": self.event_id, "eventTime": self.timestamp, "eventType": self.event_type}
        return json.dumps({**body, "runId": self.run_id, **self.attributes}, indent=2, ensure_ascii=False)


@dataclass(frozen=True, kw_only=True)
class PendingActivity:
    """An Activity that has not ended. Times are ISO 8601, UTC, by the server's clock; empty where there is none.

    Attributes:
        activity_id: Its id within the run.
        activity_type: Its name.
        attempt: The attempt that runs or is next, from 1.
        running: Whether a Worker has taken this attempt; else it waits, for a Worker or for its back-off to pass.
        scheduled: When this attempt was, or will be, handed to a Worker: later than now while it backs off.
        started: When the running attempt began; when the last one did, while it waits.
        failed: When the attempt before ended.
        error: Why the attempt before failed; empty for the first.
        worker: Identity of the Worker that has it, or had it last.
    """

    activity_id: str
    activity_type: str
    attempt: int
    running: bool
    scheduled: str = ""
    started: str = ""
    failed: str = ""
    error: str = ""
    worker: str = ""


@dataclass(frozen=True, kw_only=True)
class PendingWork:
    """What is pending at the server at one moment; the latest one holds.

    Comes when it has changed, and each second while anything waits for a Worker.

    Attributes:
        timestamp: When the server was asked, by this machine's clock.
        run_id: Run ID of the run it belongs to.
        activities: Activities that have not ended.
        task_scheduled: Since when a Workflow Task waits for a Worker; empty if none does.
        task_attempt: Attempt of the Workflow Task that waits or runs, from 1; 0 if there is none.
    """

    timestamp: str
    run_id: str
    activities: tuple[PendingActivity, ...] = ()
    task_scheduled: str = ""
    task_attempt: int = 0

    @property
    def moment(self) -> datetime:
        """`timestamp` as an aware datetime."""
        return datetime.fromisoformat(self.timestamp)

    @property
    def waiting(self) -> bool:
        """Whether anything waits for a Worker, or for its next attempt."""
        return bool(self.task_scheduled) or any(not activity.running for activity in self.activities)


Item = Event | HistoryEntry | PendingWork
"""What a subscription with entries yields."""

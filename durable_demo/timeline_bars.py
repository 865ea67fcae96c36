"""The bars of a timeline, and how an Activity's attempts follow one another in its bar. Times are Unix milliseconds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["activity", "timer", "signal", "update", "child", "seam", "gap", "problem", "workflow"]
Phase = Literal["queued", "running", "backoff", "earlier"]

MAX_PARTS = 60
"""Parts that a bar keeps; older ones become one `earlier`."""


@dataclass(frozen=True)
class Part:
    """A stretch of a bar.

    Attributes:
        phase: `queued` (no Worker has taken the attempt), `running`, `backoff` (waits for the time of its next
            attempt), or `earlier`: attempts whose times the history does not keep.
        start: When it began; later than now for an attempt that has its time still to come.
        end: When it ended; None while it goes on.
        attempt: The attempt that it belongs to or, in a back-off, that it waits for; of `earlier` the last one.
        note: Why the attempt failed, or why there is a back-off; empty if it has not failed.
    """

    phase: Phase
    start: int
    end: int | None
    attempt: int
    note: str = ""


@dataclass(frozen=True)
class Bar:
    """Something that took time in a workflow, or a mark: something that happened at once, with `start == end`.

    Its texts have no control characters, are cut to a readable length, and are not escaped for HTML.

    Attributes:
        number: Its place since the timeline began, from 0.
        id: Temporal's id of it, such as the Activity ID; unique within its kind and run.
        kind: What it is.
        lane: The row of the picture that it belongs to; bars of one lane may overlap.
        label: What it is called.
        start: When it began.
        end: When it ended; None while it goes on.
        state: Such as `queued`, `running`, `retrying`, `completed`, `failed`, `timed_out`, `canceled`, `fired`,
            `received`; `abandoned` for what was open when its run ended, `waiting` for a gap that goes on.
        attempt: The attempt that is running or next, or was the last.
        parts: Its stretches in order, without overlap; none if it has but one.
        input: What it was given, as JSON on several lines or as it is.
        result: What came of it, likewise.
        error: Why it failed at last.
    """

    number: int
    id: str
    kind: Kind
    lane: str
    label: str
    start: int
    end: int | None
    state: str
    attempt: int = 1
    parts: tuple[Part, ...] = ()
    input: str = ""
    result: str = ""
    error: str = ""


@dataclass(frozen=True)
class TimelineSummary:
    """What stands around the bars.

    Attributes:
        workflow_id: Workflow ID; empty before the first entry.
        workflow_type: Name of its type.
        status: RUNNING, or how it ended, such as COMPLETED; empty before the first entry.
        started: When the first run began; None before the first entry.
        ended: When the last run ended; None while it runs.
        connected: Whether the server answers.
    """

    workflow_id: str = ""
    workflow_type: str = ""
    status: str = ""
    started: int | None = None
    ended: int | None = None
    connected: bool = True


def queued(at: int) -> tuple[Part, ...]:
    """The parts of what has been scheduled and waits for its first attempt."""
    return (Part("queued", at, None, 1),)


def advanced(
    parts: tuple[Part, ...],
    attempt: int,
    *,
    started: int | None,
    scheduled: int | None = None,
    failed: int | None = None,
    error: str = "",
) -> tuple[Part, ...]:
    """The parts after an attempt was told of; what was told of it or of a later one before changes nothing.

    Args:
        parts: What is known so far; the last one goes on.
        attempt: The attempt that runs or is next.
        started: When it was taken by a Worker; None while it waits.
        scheduled: When it was, or will be, handed out; None if that is not known.
        failed: When the attempt before ended; None if that is not known.
        error: Why that one failed.
    """
    last = parts[-1]
    if attempt > last.attempt:
        # What is not known lies between what is: the start of the part that went on, and the first time that was told.
        known = failed is not None and last.phase == "running" and last.attempt == attempt - 1
        over = max(last.start, _first(failed, scheduled, started))
        due = max(over, _first(scheduled, over))
        past = Part("running" if known else "earlier", last.start, over, attempt - 1, error)
        pause = Part("backoff", over, due, attempt, error)
        between = [part for part in (past, pause) if part.phase == "running" or part.end != part.start]
        parts = (*parts[:-1], *between, Part("queued", due, None, attempt))
    elif attempt < last.attempt or last.phase == "running":
        return parts
    if started is not None:
        parts = (*cut(parts, started), Part("running", started, None, attempt))
    return _bounded(parts)


def cut(parts: tuple[Part, ...], at: int) -> tuple[Part, ...]:
    """The parts as far as they lie before a moment; those without length go, but a run is a run."""
    return tuple(
        replace(part, end=at if part.end is None else min(at, part.end))
        for part in parts
        if part.start < at or (part.phase == "running" and part.start == at)
    )


def _bounded(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    if len(parts) <= MAX_PARTS:
        return parts
    old, kept = parts[: -MAX_PARTS // 2], parts[-MAX_PARTS // 2 :]
    attempts = [part for part in old if part.phase != "backoff"]
    return (Part("earlier", old[0].start, kept[0].start, attempts[-1].attempt, attempts[-1].note), *kept)


def _first(*moments: int | None) -> int:
    return next((moment for moment in moments if moment is not None), 0)


def duration(ms: float) -> str:
    """``350 ms``, ``4.2 s``, ``2 min 5 s``, ``1 h 2 min``, ``3 d 4 h``."""
    if ms < 1_000:
        return f"{ms:.0f} ms"
    seconds = round(ms / 1_000)
    if seconds < 60:
        return f"{ms / 1_000:.1f} s".replace(".0 s", " s")
    for size, unit, part, part_unit in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            rest = seconds % size // part
            return f"{seconds // size} {unit}" + (f" {rest} {part_unit}" if rest else "")
    return f"{seconds} s"

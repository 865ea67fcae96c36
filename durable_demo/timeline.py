"""The timeline of any workflow: a pure fold of its Event History, and of what waits at the server, into bars.

The history tells of an Activity's attempts only when it has ended, and then of the last one alone. So who watches live
sees each attempt and each back-off, from what is pending; who comes late sees them as one `earlier` stretch. No I/O,
no Temporal, no widgets. Times are Unix milliseconds, by the server's clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from durable_demo import events as e
from durable_demo import timeline_entries as entries
from durable_demo import timeline_text
from durable_demo.entries import HARMLESS_CAUSES, HistoryEntry, Item, PendingActivity, PendingWork
from durable_demo.timeline_bars import Bar, Part, TimelineSummary, advanced, cut, queued
from durable_demo.timeline_entries import failure_text, label, milliseconds, text, value
from durable_demo.wording import one_line

MAX_BARS = 2_000
"""Bars that a timeline keeps; the oldest go."""
GAP_AFTER = 1_000
"""What has waited longer than this for a Worker had none, in milliseconds."""
TIMER_LATENESS = 1_000
"""The server may hand a later attempt out this much after its time, in milliseconds: its timers may be so late."""

_TASK = "Workflow Task"
_KEPT_TASK = "Workflow Task, kept for the lost one"
_HEARTBEAT = "heartbeat timeout"
"""How the server words, in small letters, that it has not heard from an attempt for too long."""
_NEVER = 2**62


@dataclass
class _Run:
    """What is open in the run that is being read; event ids and Activity IDs hold within it only.

    Attributes:
        run_id: Run ID; empty before the first run.
        number: Number of its own bar; -1 once it has ended.
        began: Before this, no Workflow Task was due.
        open: Numbers of the bars that go on, by the id of the entry that they began with.
        activities: The ids of these entries, by Activity ID.
        heartbeats: Their heartbeat timeouts in milliseconds, by the id of the entry.
        seen: Those of Activities of which the server has told what they are doing.
        task: When the Workflow Task in hand was scheduled.
        task_attempt: Its attempt.
        task_started: When a Worker took it.
        copies: What is open in the entries that a reset has copied, by the id of the entry that it began with.
        copied_start: The first of these entries; None if there are none.
    """

    run_id: str = ""
    number: int = -1
    began: int = 0
    open: dict[int, int] = field(default_factory=dict)
    activities: dict[str, int] = field(default_factory=dict)
    heartbeats: dict[int, int] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    task: int | None = None
    task_attempt: int = 1
    task_started: int | None = None
    copies: dict[int, Bar] = field(default_factory=dict)
    copied_start: HistoryEntry | None = None


@dataclass(repr=False)
class Timeline:
    """Folds items into bars and a summary. State changes through `apply` and nothing else.

    Args:
        max_bars: Bars kept in memory.
    """

    max_bars: int = MAX_BARS
    summary: TimelineSummary = field(default_factory=TimelineSummary, init=False)
    last_fact: str = field(default="", init=False)
    next_number: int = field(default=0, init=False)
    latest: int = field(default=0, init=False)
    _bars: dict[int, Bar] = field(default_factory=dict, init=False)
    _run: _Run = field(default_factory=_Run, init=False)
    _waits: dict[str, int] = field(default_factory=dict, init=False)
    _gap_least: int = field(default=0, init=False)  # where the open gap ends at the earliest
    _changed: set[int] = field(default_factory=set, init=False, compare=False)

    @property
    def bars(self) -> list[Bar]:
        """The bars kept, in the order in which they became known."""
        return list(self._bars.values())

    @property
    def dropped(self) -> int:
        """Bars that were dropped to bound the memory."""
        return self.next_number - len(self._bars)

    def apply(self, *items: Item) -> tuple[Bar, ...]:
        """Folds items in, in order.

        An entry that was folded before changes nothing, so feeding a stream again from the beginning of any run is
        safe. What is pending counts for the run that is being read only.

        Returns:
            The new and the changed bars, by number.
        """
        self._changed.clear()
        for item in items:
            match item:
                case HistoryEntry():
                    self._read(item)
                case PendingWork():
                    self._look(item)
                case e.Reconnecting() if self.summary.ended is None:
                    self.summary = replace(self.summary, connected=False)
                case e.Reconnected():
                    self.summary = replace(self.summary, connected=True)
        return tuple(self._bars[number] for number in sorted(self._changed) if number in self._bars)

    # --- the history -------------------------------------------------------------------------------------------------

    def _read(self, entry: HistoryEntry) -> None:
        self.summary = replace(self.summary, connected=True)
        if entry.offset <= self.last_fact:
            return
        # Those two may be replaced yet; reading one of them again gives what it gave.
        if entry.event_type not in {"WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_STARTED"}:
            self.last_fact = entry.offset
        at = milliseconds(entry.timestamp)
        if entry.copied:
            self._read_copy(entry)
            return
        self.latest = max(self.latest, at)
        if entry.run_id != self._run.run_id:
            self._begin_run(entry, at)
        kind = entry.event_type
        if kind.startswith("WORKFLOW_TASK_"):
            self._read_task(entry, at)
        elif kind in entries.RUN_ENDS:
            self._end_run(entry, at)
        elif kind in entries.STARTS:
            attempt = int(str(entry.attributes.get("attempt", 1)))
            error = entries.cut(failure_text(entry.attributes.get("lastFailure")), entries.MAX_NOTE)
            self._advance(entries.reference(entry, entries.STARTS[kind]), attempt, started=at, error=error)
        elif kind in entries.ENDS:
            self._end(entry, at)
        else:
            self._open(entry)

    def _read_copy(self, entry: HistoryEntry) -> None:
        """What was done before a reset is drawn in its own run; what was open goes on in the new one."""
        if entry.run_id != self._run.run_id:
            self._run = _Run(entry.run_id, copied_start=entry)
        if entry.event_type in entries.ENDS:
            self._run.copies.pop(entries.reference(entry, entries.ENDS[entry.event_type][0]), None)
        elif (bar := entries.opened(entry, -1)) is not None and bar.end is None:
            self._run.copies[entry.event_id] = bar
            self._remember(entry)

    def _reset(self, entry: HistoryEntry, at: int) -> None:
        """Begins a run with what a reset has left open."""
        before = self._run
        start = before.copied_start
        if start is None:
            return  # its copies were told as if they were its own
        run_id, reason = label(entry.attributes.get("baseRunId")), text(value(entry.attributes, "failure", "message"))
        name = f"Reset to before event {entry.event_id}"
        told = f"Back to run {run_id}"
        seam = Bar(self.next_number, entry.run_id, "seam", "Workflow", name, at, at, "reset", result=told, error=reason)
        self._add(seam)
        self.summary = replace(self.summary, status="RUNNING", ended=None)
        self._begin_run(start, at)
        run = self._run
        run.activities, run.heartbeats = before.activities, before.heartbeats
        for event_id, bar in before.copies.items():
            again = replace(bar, number=self.next_number, start=at, parts=queued(at) if bar.parts else ())
            self._add(again)
            run.open[event_id] = again.number

    def _open(self, entry: HistoryEntry) -> None:
        bar = entries.opened(entry, self.next_number)
        if bar is None:
            return
        self._add(bar)
        if bar.end is None:
            self._run.open[entry.event_id] = bar.number
        self._remember(entry)

    def _remember(self, entry: HistoryEntry) -> None:
        """Keeps what the server's words about an Activity refer to."""
        if entry.event_type == "ACTIVITY_TASK_SCHEDULED":
            self._run.activities[str(entry.attributes.get("activityId"))] = entry.event_id
            self._run.heartbeats[entry.event_id] = entries.span(entry.attributes.get("heartbeatTimeout"))

    def _end(self, entry: HistoryEntry, at: int) -> None:
        begin, state = entries.ENDS[entry.event_type]
        event_id, given = entries.reference(entry, begin), entry.attributes
        if value(given, "failure", "timeoutFailureInfo", "timeoutType") == "TIMEOUT_TYPE_SCHEDULE_TO_START":
            self._run.seen.add(event_id)  # it is certain that no Worker has taken it
        outcome = given.get("outcome", given)
        error = failure_text(value(outcome, "failure")) or entries.words(given.get("cause"))
        result = text(value(outcome, "success" if "outcome" in given else "result"))
        self._finish(event_id, at, "failed" if error and state == "completed" else state, result, error)

    def _begin_run(self, entry: HistoryEntry, at: int) -> None:
        given = entry.attributes
        name = label(value(given, "workflowType", "name"))
        if self.summary.started is None:
            workflow_id = one_line(str(given.get("workflowId", "")))
            self.summary = replace(self.summary, workflow_id=workflow_id, status="RUNNING", started=at)
        self.summary = replace(self.summary, workflow_type=name)
        told = text(given.get("input"))
        bar = Bar(self.next_number, entry.run_id, "workflow", "Workflow", name, at, None, "running", input=told)
        self._add(bar)
        self._run = _Run(entry.run_id, bar.number, at + entries.span(given.get("firstWorkflowTaskBackoff")))

    def _end_run(self, entry: HistoryEntry, at: int) -> None:
        given, run, state = entry.attributes, self._run, entries.RUN_ENDS[entry.event_type]
        for event_id in list(run.open):
            self._finish(event_id, at, "abandoned")
        if run.task is not None and run.task_started is None and run.task_attempt == 1:
            self._waited(run.task, at, GAP_AFTER, _TASK)
        for key in list(self._waits):
            self._wait_over(key, at)
        error = failure_text(given.get("failure")) or text(given.get("reason"))
        self._change(run.number, end=at, state=state, result=text(given.get("result")), error=error)
        next_run = label(given.get("newExecutionRunId"))
        if next_run:
            name = "Continue-as-new" if state == "continued" else f"Next run: this one {state.replace('_', ' ')}"
            told = f"Run ID {next_run}"
            seam = Bar(self.next_number, next_run, "seam", "Workflow", name, at, at, state, result=told, error=error)
            self._add(seam)
        else:
            self.summary = replace(self.summary, status=state.upper(), ended=at)
        self._run = _Run(run.run_id)

    def _read_task(self, entry: HistoryEntry, at: int) -> None:
        """Of Workflow Tasks, the time without a Worker and the failures are shown."""
        run = self._run
        if entry.event_type == "WORKFLOW_TASK_SCHEDULED":
            attempt = int(str(entry.attributes.get("attempt", 1)))
            run.task, run.task_attempt, run.task_started = max(at, run.began), attempt, None
            return
        if entry.event_type == "WORKFLOW_TASK_STARTED":
            if run.task is not None:
                self._waited(run.task, at, GAP_AFTER, _TASK)
            run.task_started = at
        else:
            if entry.event_type == "WORKFLOW_TASK_TIMED_OUT" and run.task is not None:
                # The Worker that had it, or for which it was kept, is no more.
                if run.task_started is None:
                    self._waited(run.task, at, GAP_AFTER, _KEPT_TASK)
                else:
                    self._waited(run.task_started, at, GAP_AFTER, _TASK)
            run.task = run.task_started = None
        cause = str(entry.attributes.get("cause", "")).removeprefix("WORKFLOW_TASK_FAILED_CAUSE_")
        if cause == "RESET_WORKFLOW":
            if run.number < 0:
                self._reset(entry, at)
            return
        if entry.event_type == "WORKFLOW_TASK_FAILED" and cause not in HARMLESS_CAUSES:
            self._open(entry)
        self._wait_over(_TASK, at)

    # --- what is pending ---------------------------------------------------------------------------------------------

    def _look(self, pending: PendingWork) -> None:
        run = self._run
        self.summary = replace(self.summary, connected=True)
        if pending.run_id != run.run_id or run.number < 0:
            return
        now = milliseconds(pending.timestamp)
        self.latest = max(self.latest, now)
        waits: dict[str, tuple[int, str]] = {}
        if pending.task_scheduled:
            since = max(milliseconds(pending.task_scheduled), run.began)
            if now - since > GAP_AFTER:
                waits[_TASK] = since, _TASK
        for activity in pending.activities:
            event_id = run.activities.get(activity.activity_id)
            if event_id is None:
                continue
            run.seen.add(event_id)
            self._told(event_id, activity, now)
            part = self._going_on(event_id)
            if part is not None and part.phase == "queued" and now - part.start > _patience(part):
                waits[str(event_id)] = part.start, label(activity.activity_type)
        for key in self._waits.keys() - waits.keys():
            self._wait_over(key, now)
        for key, (since, what) in waits.items():
            self._wait(key, since, what)

    def _told(self, event_id: int, activity: PendingActivity, now: int) -> None:
        """Takes in what the server says of an Activity."""
        scheduled = milliseconds(activity.scheduled) if activity.scheduled else None
        started = milliseconds(activity.started) if activity.running and activity.started else None
        failed = milliseconds(activity.failed) if activity.failed else None
        part = self._going_on(event_id)
        if failed is None and part is not None and activity.attempt == part.attempt + 1:
            # The server does not say when an attempt timed out: it has been since the last look.
            failed = now if scheduled is None else min(now, scheduled)
        error = entries.cut(activity.error, entries.MAX_NOTE)
        self._advance(event_id, activity.attempt, started=started, scheduled=scheduled, failed=failed, error=error)

    # --- attempts ----------------------------------------------------------------------------------------------------

    def _going_on(self, event_id: int) -> Part | None:
        bar = self._bars.get(self._run.open.get(event_id, -1))
        return bar.parts[-1] if bar is not None and bar.parts else None

    def _advance(self, event_id: int, attempt: int, **told: Any) -> None:
        number = self._run.open.get(event_id, -1)
        bar = self._bars.get(number)
        if bar is None or not bar.parts:
            return
        parts = advanced(bar.parts, attempt, **told)
        last = parts[-1]
        waiting = "queued" if last.attempt == 1 else "retrying"
        state = "running" if last.phase == "running" else waiting
        self._change(number, parts=parts, attempt=last.attempt, state=state)
        self._queues(event_id, bar, parts)
        self._silences(event_id, bar, parts)

    def _finish(self, event_id: int, at: int, state: str, result: str = "", error: str = "") -> None:
        number = self._run.open.pop(event_id, -1)
        bar = self._bars.get(number)
        if bar is None:
            self._wait_over(str(event_id), at)
            return
        parts = cut(bar.parts, at)
        if bar.kind == "activity":
            if parts and bar.parts[-1].phase == "queued" and event_id not in self._run.seen:
                # That it was not started stands in no history; it may have been, and may have failed since.
                parts = (*parts[:-1], replace(parts[-1], phase="earlier"))
            self._run.seen.discard(event_id)
        self._change(number, end=max(at, bar.start), parts=parts, state=state, result=result, error=error)
        self._queues(event_id, bar, parts, at)

    def _queues(self, event_id: int, before: Bar, parts: tuple[Part, ...], at: int | None = None) -> None:
        """Sees to the time in which attempts waited for a Worker, once it is known."""
        if before.kind != "activity":
            return
        for part in parts:
            if part.phase == "queued" and part.end is not None and part not in before.parts:
                self._waited(part.start, part.end, _patience(part), before.label)
                at = part.end
        if at is not None:
            self._wait_over(str(event_id), at)

    def _silences(self, event_id: int, before: Bar, parts: tuple[Part, ...]) -> None:
        """Sees to the time since the last heartbeat of attempts whose Worker was lost, until another took over."""
        for place, part in enumerate(parts):
            if part.phase != "running" or part.end is None or _HEARTBEAT not in part.note.lower():
                continue
            silent = max(part.start, part.end - self._run.heartbeats.get(event_id, 0))
            taken = next((later.start for later in parts[place + 1 :] if later.phase == "running"), part.end)
            self._fill(silent, taken, before.label)

    # --- without a Worker --------------------------------------------------------------------------------------------

    def _wait(self, key: str, since: int, what: str) -> None:
        """Something waits for a Worker: the gap is open."""
        self._waits[key] = since
        gaps = self._gaps()
        is_open = next((gap for gap in gaps if gap.end is None), None)
        if is_open is not None:
            self._fill(since, is_open.start, what)
            return
        # One that was over after this began goes on, so that gaps never overlap.
        last = max((gap for gap in gaps if _end(gap) >= since), key=_end, default=None)
        if last is None:
            self._gap_least = since
            self._add_gap(since, None, what)
        else:
            self._gap_least = _end(last)
            self._fill(since, _end(last), what)
            self._change(last.number, end=None, state="waiting")

    def _wait_over(self, key: str, at: int) -> None:
        """A wait is over; the last one closes the gap."""
        if self._waits.pop(key, None) is not None and not self._waits:
            for gap in self._gaps():
                if gap.end is None:
                    self._change(gap.number, end=max(at, self._gap_least), state="over")

    def _waited(self, start: int, end: int, patience: int, what: str) -> None:
        """Something has waited for a Worker until it was taken or given up."""
        if end - start > patience:
            self._fill(start, end, what)

    def _fill(self, start: int, end: int, what: str) -> None:
        """Shows a gap wherever none is shown yet; it grows an existing one where they touch."""
        for hole_start, hole_end in _holes(self._gaps(), start, end):
            gaps = self._gaps()
            if before := [gap for gap in gaps if gap.end == hole_start]:
                self._change(before[0].number, end=hole_end)
            elif after := [gap for gap in gaps if gap.start == hole_end]:
                self._change(after[0].number, start=hole_start)
            else:
                self._add_gap(hole_start, hole_end, what)

    def _gaps(self) -> list[Bar]:
        return [bar for bar in self._bars.values() if bar.kind == "gap"]

    def _add_gap(self, start: int, end: int | None, what: str) -> None:
        name = f"No Worker for {what}"
        state = "waiting" if end is None else "over"
        self._add(Bar(self.next_number, str(start), "gap", "No Worker", name, start, end, state))

    # --- bars --------------------------------------------------------------------------------------------------------

    def _add(self, bar: Bar) -> None:
        self.next_number += 1
        self._bars[bar.number] = bar
        self._changed.add(bar.number)
        for _ in range(self.max_bars):
            if len(self._bars) <= self.max_bars:
                return
            oldest = self._bars.pop(next(iter(self._bars)))
            if oldest.end is None:
                self._keep(oldest)
        del self._bars[next(iter(self._bars))]  # all of them go on

    def _keep(self, bar: Bar) -> None:
        """Puts a bar that goes on behind all others: the oldest of those that are over goes instead of it."""
        moved = replace(bar, number=self.next_number)
        self.next_number += 1
        self._bars[moved.number] = moved
        self._changed.add(moved.number)
        if self._run.number == bar.number:
            self._run.number = moved.number
        for key, number in self._run.open.items():
            if number == bar.number:
                self._run.open[key] = moved.number

    def _change(self, number: int, **fields: Any) -> None:
        bar = self._bars.get(number)
        if bar is not None and (changed := replace(bar, **fields)) != bar:
            self._bars[number] = changed
            self._changed.add(number)

    # --- how it looks without a widget -------------------------------------------------------------------------------

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return self.to_text(last=60)

    def _repr_html_(self) -> str:
        return self.to_html(last=60)

    def to_text(self, last: int | None = None) -> str:
        """The timeline as text, 100 columns wide.

        Args:
            last: Only so many of the newest bars; None for all that are kept.
        """
        return timeline_text.to_text(self.summary, *self._last(last), now=self.latest)

    def to_html(self, last: int | None = None) -> str:
        """Static HTML without scripts or classes: readable on GitHub, in nbconvert and untrusted in Lab."""
        return timeline_text.to_html(self.summary, *self._last(last), now=self.latest)

    def _last(self, count: int | None) -> tuple[list[Bar], int]:
        """So many of the newest bars, and how many there were before them."""
        shown = self.bars[max(0, len(self.bars) - count) :] if count is not None else self.bars
        return shown, self.next_number - len(shown)


def _patience(part: Part) -> int:
    """How long an attempt may be queued before that is a gap."""
    return GAP_AFTER if part.attempt == 1 else GAP_AFTER + TIMER_LATENESS


def _end(gap: Bar) -> int:
    return _NEVER if gap.end is None else gap.end


def _holes(gaps: list[Bar], start: int, end: int) -> Iterator[tuple[int, int]]:
    """The stretches from `start` to `end` that no gap covers."""
    for gap in sorted(gaps, key=lambda gap: gap.start):
        if start < min(gap.start, end):
            yield start, min(gap.start, end)
        if _end(gap) >= end:
            return
        start = max(start, _end(gap))
    if start < end:
        yield start, end

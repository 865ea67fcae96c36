"""The stopwatch: what became of one workflow since something was broken. A pure fold: no I/O, no Temporal, no widgets.

It tells nothing from hope. Time runs from sign to sign of progress, which is what a Worker did: a Workflow Task or an
Activity that it completed, a heartbeat. While nothing is in hand (no Activity is open, no Workflow Task waits, no timer
is overdue) it stands still. Times are the server's and this machine's, which are one with the embedded server.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

from durable_demo import events as e
from durable_demo.entries import HistoryEntry, Item, PendingWork
from durable_demo.faults import Break, Incident
from durable_demo.figures import took
from durable_demo.recovery_text import RecoveryLine, RecoverySummary, Source, Status, html_of, text_of
from durable_demo.timeline_entries import ENDS, RUN_ENDS, cut, label, milliseconds, reference, span
from durable_demo.wording import line_text, one_line

PATIENCE = 1_500
"""A workflow in hand that shows no progress for so long is waiting, in milliseconds: heartbeats are read each 500."""
SETTLED = 10_000
"""What has gone on for so long after the last trouble is over: later pauses are the workflow's own, in milliseconds."""
MAX_LINES = 60
"""Lines that are kept: the newest."""
MAX_TEXT = 160


@dataclass
class _Open:
    """An Activity that has not ended."""

    activity_id: str
    attempt: int = 1
    attempted: int = 0
    """When that attempt was handed out, if it is a further one."""


@dataclass(repr=False)
class Recovery:
    """Folds a break, incidents and the items of one workflow into a stopwatch."""

    last_fact: str = field(default="", init=False)
    _break: Break | None = field(default=None, init=False)
    _lines: deque[RecoveryLine] = field(default_factory=deque, init=False)
    _next_number: int = field(default=0, init=False)
    _noted: set[Incident] = field(default_factory=set, init=False)  # of the newest moment
    # --- of the workflow, broken or not; times in Unix milliseconds
    _workflow_id: str = field(default="", init=False)
    _run_id: str = field(default="", init=False)
    _last_event: str = field(default="", init=False)
    _open: dict[int, _Open] = field(default_factory=dict, init=False)
    _task: bool = field(default=False, init=False)
    _ended: bool = field(default=False, init=False)
    _timers: dict[int, int] = field(default_factory=dict, init=False)  # when each is due
    _waits: int | None = field(default=None, init=False)  # since when, while anything is in hand
    _heard: bool = field(default=False, init=False)  # whether that was a heartbeat
    _gone: int | None = field(default=None, init=False)  # when a look found it done; its entry is on its way
    _sign: int = field(default=0, init=False)
    _latest: int = field(default=0, init=False)
    _away: bool = field(default=False, init=False)  # the server
    _ticks: dict[str, tuple[int, e.Json]] = field(default_factory=dict, init=False)
    _reached: float | None = field(default=None, init=False)
    _reached_by: int = field(default=1, init=False)  # attempt
    _completed: int = field(default=0, init=False)
    _ids: set[str] = field(default_factory=set, init=False)  # of the Activities that this run has completed
    # --- since the break
    _begun: int = field(default=0, init=False)
    _trouble: int = field(default=0, init=False)  # the last proof of an interruption; before one, when it began
    _interrupted: bool = field(default=False, init=False)
    _settled: int = field(default=0, init=False)  # when it was over
    _in_hand: bool = field(default=False, init=False)
    _gap: int = field(default=0, init=False)
    _attempts: int = field(default=0, init=False)
    _tasks_timed_out: int = field(default=0, init=False)
    _resumed_from: float | None = field(default=None, init=False)
    _completed_before: int = field(default=0, init=False)
    _ids_before: set[str] = field(default_factory=set, init=False)
    _repeated: int = field(default=0, init=False)

    # --- what it tells -----------------------------------------------------------------------------------------------

    @property
    def status(self) -> Status:
        """See `Status`."""
        if self._break is None:
            return ""
        stopped = self._sign <= self._trouble
        since = self._since_when()
        if since is not None and not self._settled and (stopped or self._latest - since >= PATIENCE):
            return "waiting"
        if stopped:
            return "ended" if self._ended and self._in_hand else "untouched"
        return "recovered" if self._interrupted else "untouched"

    @property
    def summary(self) -> RecoverySummary:
        """The stopwatch now."""
        if self._break is None:
            return RecoverySummary(self._workflow_id)
        status = self.status
        since = self._since_when()
        waits = since if status == "waiting" else None
        gap = self._gap if waits is None else max(self._gap, self._latest - waits)
        return RecoverySummary(
            workflow_id=self._workflow_id,
            status=status,
            kind=self._break.kind,
            done=one_line(self._break.done),
            expected=one_line(self._break.expected),
            since=_timestamp(self._begun),
            gap=max(0, gap) / 1_000,
            waiting_since="" if waits is None else _timestamp(waits),
            mends=self._break.mends,
            in_hand=self._in_hand or since is not None,
            attempts=self._attempts,
            tasks_timed_out=self._tasks_timed_out,
            resumed_from=self._resumed_from,
            completed_before=self._completed_before,
            completed_since=self._completed - self._completed_before,
            repeated=self._repeated,
        )

    @property
    def lines(self) -> list[RecoveryLine]:
        """What happened, in the order of time."""
        return sorted(self._lines, key=lambda line: (line.timestamp, line.number))

    @property
    def dropped(self) -> int:
        """The lines before this number are not kept any more."""
        return self._lines[0].number if self._lines else self._next_number

    # --- what it is told ---------------------------------------------------------------------------------------------

    def begin(self, broken: Break) -> None:
        """Starts the stopwatch, or lets it run on if the workflow has been waiting, or if this breaks nothing."""
        at = milliseconds(broken.timestamp)
        self._latest = max(self._latest, at)
        # This is told when it is done: a wait that it has brought about itself is younger than it.
        since = None if self._break is None or self._break.mends or self._settled else self._since_when()
        waited = since is not None and at - since >= PATIENCE
        if not (waited or (self._break is not None and broken.mends)):
            self._lines.clear()
            self._noted = set()
            self._break, self._begun = broken, at
            # What came while it was being done is older than what it leads to.
            self._trouble = max(at, self._sign)
            # So may be the first that it has led to.
            further = sum(activity.attempted > at for activity in self._open.values())
            self._interrupted, self._settled = self._away or further > 0, 0
            self._in_hand = self._since_when() is not None
            self._gap = self._tasks_timed_out = self._repeated = 0
            self._attempts = further
            self._resumed_from = None
            self._completed_before, self._ids_before = self._completed, set(self._ids)
        self._say(at, "break", broken.done)

    def note(self, *incidents: Incident) -> tuple[RecoveryLine, ...]:
        """Takes in what the supervisor saw, in order; the same incident again changes nothing.

        Returns:
            New lines.
        """
        first = self._next_number
        for incident in incidents:
            newest = max((known.timestamp for known in self._noted), default="")
            if incident.timestamp < newest or incident in self._noted:
                continue
            self._noted = {known for known in self._noted if known.timestamp == incident.timestamp} | {incident}
            at = milliseconds(incident.timestamp)
            if self._begun <= at <= (self._settled or at):
                self._say(at, "process", str(incident))
        return self._since(first)

    def look(self, now: datetime) -> None:
        """Nothing else has come until now, by this machine's clock: the stopwatch goes on."""
        self._latest = max(self._latest, round(now.timestamp() * 1_000))

    def apply(self, *items: Item) -> tuple[RecoveryLine, ...]:
        """Folds items of the workflow in, in order; what was folded before changes nothing.

        Returns:
            New lines.
        """
        first = self._next_number
        for item in items:
            match item:
                case HistoryEntry():
                    self._read(item)
                case PendingWork():
                    self._look(item)
                case e.Event():
                    self._hear(item)
        return self._since(first)

    # --- the history -------------------------------------------------------------------------------------------------

    def _read(self, entry: HistoryEntry) -> None:
        if entry.offset <= self.last_fact:
            return
        kind, given, at = entry.event_type, entry.attributes, milliseconds(entry.timestamp)
        # Those two may be replaced yet.
        if kind not in {"WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_STARTED"}:
            self.last_fact = entry.offset
        if kind == "WORKFLOW_EXECUTION_STARTED":
            self._begin_run(entry)
        if entry.copied:
            self._copy(entry)
            return
        self._latest = max(self._latest, at)
        if kind == "WORKFLOW_TASK_SCHEDULED":
            self._task = True
            self._comes_in(at)
        elif kind == "WORKFLOW_TASK_COMPLETED":
            self._task = False
            self._progress(at)
        elif kind == "WORKFLOW_TASK_FAILED" and str(given.get("cause")).endswith("RESET_WORKFLOW"):
            # What the copies have left open is in hand from now on.
            self._timers = {event_id: max(due, at) for event_id, due in self._timers.items()}
            if self._open:
                self._comes_in(at)
        elif kind == "WORKFLOW_TASK_TIMED_OUT":
            self._time_out(at)
        elif kind == "ACTIVITY_TASK_SCHEDULED":
            self._schedule(entry, at)
        elif kind == "ACTIVITY_TASK_STARTED":
            self._attempt(reference(entry, "scheduledEventId"), int(str(given.get("attempt", 1))), at)
        elif kind in ENDS and kind.startswith("ACTIVITY_"):
            self._end(entry, at)
        elif kind == "TIMER_STARTED":
            self._timers[entry.event_id] = at + span(given.get("startToFireTimeout"))
        elif kind in {"TIMER_FIRED", "TIMER_CANCELED"}:
            due = self._timers.pop(reference(entry, "startedEventId"), at)
            if kind == "TIMER_FIRED":
                self._comes_in(max(due, self._sign))
        elif kind in RUN_ENDS:
            self._end_run(at)
            self._ended = not given.get("newExecutionRunId")

    def _begin_run(self, entry: HistoryEntry) -> None:
        self._ids.clear()
        if not entry.copied:  # else they mean what they meant in the run that was reset
            self._ids_before.clear()
        self._workflow_id = self._workflow_id or label(entry.attributes.get("workflowId"))
        self._run_id, self._ended = entry.run_id, False
        self._clear()

    def _copy(self, entry: HistoryEntry) -> None:
        """An entry of the run that was reset, read there already: what is open after it, and no more."""
        if entry.event_type == "ACTIVITY_TASK_SCHEDULED":
            self._open[entry.event_id] = _Open(label(entry.attributes.get("activityId")))
        elif entry.event_type == "TIMER_STARTED":
            due = milliseconds(entry.timestamp) + span(entry.attributes.get("startToFireTimeout"))
            self._timers[entry.event_id] = due
        elif entry.event_type in ENDS:
            began, state = ENDS[entry.event_type]
            self._timers.pop(reference(entry, began), None)
            activity = self._open.pop(reference(entry, began), None)
            if activity is not None and state == "completed":
                self._ids.add(activity.activity_id)

    def _end_run(self, at: int) -> None:
        since = self._waits if self._waits is not None else self._overdue()
        if since is not None and self._after(at) and not self._settled:
            self._in_hand = True
            self._gap = max(self._gap, (at if self._gone is None else self._gone) - self._measured(since))
        self._clear()

    def _clear(self) -> None:
        self._open.clear()
        self._timers.clear()
        self._ticks.clear()
        self._task, self._waits, self._gone = False, None, None

    def _schedule(self, entry: HistoryEntry, at: int) -> None:
        activity_id = label(entry.attributes.get("activityId"))
        self._open[entry.event_id] = _Open(activity_id)
        for who in ("", activity_id):
            self._ticks.pop(who, None)
        self._reached, self._reached_by = None, 1
        self._comes_in(at)
        if activity_id in self._ids_before and self._after(at):
            self._repeated += 1

    def _attempt(self, event_id: int, attempt: int, at: int) -> None:
        """An attempt was scheduled or started."""
        activity = self._open.get(event_id)
        if activity is None or attempt <= activity.attempt:
            return
        further = attempt - activity.attempt
        activity.attempt, activity.attempted = attempt, at
        if self._after(at):
            self._attempts += further
            self._in_trouble(at)

    def _end(self, entry: HistoryEntry, at: int) -> None:
        activity = self._open.pop(reference(entry, "scheduledEventId"), None)
        _, state = ENDS[entry.event_type]
        if activity is not None and state == "completed":
            self._ids.add(activity.activity_id)
            self._completed += 1
            if at <= self._begun:  # this is read from the beginning
                self._ids_before.add(activity.activity_id)
                self._completed_before += 1
        if state != "timed_out":
            self._progress(at)

    def _time_out(self, at: int) -> None:
        if self._after(at):
            self._tasks_timed_out += 1
            self._in_trouble(at)
            self._say(at, "event", "A Workflow Task timed out: it is handed out again")

    # --- what is pending ---------------------------------------------------------------------------------------------

    def _look(self, pending: PendingWork) -> None:
        if pending.run_id != self._run_id or self._ended:
            return
        now = milliseconds(pending.timestamp)
        self._latest = max(self._latest, now)
        numbers = {activity.activity_id: event_id for event_id, activity in self._open.items()}
        for activity in pending.activities:
            at = milliseconds(activity.scheduled) if activity.scheduled else now
            self._attempt(numbers.get(activity.activity_id, 0), activity.attempt, at)
        self._task = pending.task_attempt > 0
        if pending.task_scheduled:
            since = milliseconds(pending.task_scheduled)
            self._comes_in(since)
            if self._after(now) and now - since >= PATIENCE:
                self._in_trouble(now)
        elif not (self._task or self._open) and self._waits is not None and self._gone is None:
            self._gone = now

    # --- events ------------------------------------------------------------------------------------------------------

    def _hear(self, event: e.Event) -> None:
        at = milliseconds(event.timestamp)
        if event.tick:
            self._tick(event, at)
            return
        if event.offset <= self._last_event:
            return
        self._last_event = event.offset
        if isinstance(event, e.ProgressUpdate):
            self._reached = event.progress
        if not isinstance(event, e.HistoryRecord | e.ActivityRetry) and self._after(at) and not self._settled:
            self._say(at, "event", line_text(event) or "")

    def _tick(self, event: e.Event, at: int) -> None:
        match event:
            case e.ProgressUpdate():
                if self._report("", event.attempt, event.progress or None, at):
                    self._reach(event)
            case e.TextUpdate():
                self._report("", event.attempt, event.text or None, at)
            case e.ActivityHeartbeat():
                self._report(event.activity_id, event.attempt, event.details, at)
            case e.ActivityRetry() if self._attempts and not self._settled:
                self._say(self._latest, "event", line_text(event) or "")  # its time is that of the attempt before
            case e.Reconnecting() | e.Reconnected():
                self._away = isinstance(event, e.Reconnecting)
                self._latest = max(self._latest, at)
                if self._away and self._after(at):
                    self._in_trouble(at)
                if self._after(at) and not self._settled:
                    self._say(at, "event", line_text(event) or "")

    def _report(self, who: str, attempt: int, told: e.Json, at: int) -> bool:
        """A heartbeat.

        Returns:
            Whether it is a sign of progress: an attempt that is handed out shows the heartbeat of the one before, and
            may have been handed to a Worker that is no more.
        """
        before = self._ticks.get(who, (0, None))
        self._ticks[who] = attempt, told
        if attempt != before[0] and told == before[1]:
            return False
        self._latest = max(self._latest, at)
        self._progress(at, heard=True)
        return True

    def _reach(self, event: e.ProgressUpdate) -> None:
        if event.attempt > self._reached_by:
            before = event.progress if self._reached is None else self._reached
            if self._attempts and min(event.progress, before) >= 0.5:  # else it began anew
                self._resumed_from = min(event.progress, before)
            self._reached_by = event.attempt
        self._reached = event.progress

    # --- the stopwatch -----------------------------------------------------------------------------------------------

    def _after(self, at: int) -> bool:
        return self._break is not None and at > self._begun

    def _since_when(self) -> int | None:
        """Since when what is in hand shows no progress; None if nothing is."""
        waits = self._waits if self._gone is None else None
        since = self._overdue() if waits is None else waits
        return None if since is None else self._measured(since)

    def _overdue(self) -> int | None:
        """Since when a timer is; None if none is."""
        due = min(self._timers.values(), default=self._latest)
        return due if self._latest - due >= PATIENCE else None

    def _measured(self, since: int) -> int:
        """From when on a wait counts: what was broken later cannot be why nobody was heard before."""
        heard = self._heard and self._begun - since < PATIENCE
        mended = self._break is not None and self._break.mends  # which ends what was there before
        return since if heard or mended else max(since, self._begun)

    def _comes_in(self, at: int) -> None:
        """Something is in hand."""
        if self._waits is None or self._gone is not None:
            self._waits, self._heard, self._gone = at, False, None

    def _in_trouble(self, at: int) -> None:
        """There is proof of an interruption."""
        self._interrupted, self._settled = True, 0
        self._trouble = max(self._trouble, at)

    def _progress(self, at: int, *, heard: bool = False) -> None:
        """A Worker did something."""
        if at < self._sign:
            return
        waited = 0 if self._waits is None else at - self._measured(self._waits)
        stopped = self._interrupted and self._sign <= self._trouble < at
        self._sign = at
        self._waits, self._heard, self._gone = at if self._open or self._task else None, heard, None
        if not self._after(at) or self._settled:
            return
        self._in_hand = True
        self._gap = max(self._gap, waited)
        if stopped or waited >= PATIENCE:
            self._interrupted, self._trouble = True, at - 1
            self._say(at, "progress", f"Progress again after {took(waited / 1_000, ended=True)}")
        self._settled = at if at - self._trouble > SETTLED else 0

    def _say(self, at: int, source: Source, text: str) -> None:
        if not text or self._break is None:
            return
        shown = cut(one_line(text[: MAX_TEXT + 1]), MAX_TEXT)
        self._lines.append(RecoveryLine(self._next_number, _timestamp(at), source, shown))
        self._next_number += 1
        if len(self._lines) > MAX_LINES:
            self._lines.popleft()

    def _since(self, number: int) -> tuple[RecoveryLine, ...]:
        return tuple(line for line in self._lines if line.number >= number)

    # --- how it looks without a widget -------------------------------------------------------------------------------

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return self.to_text()

    def to_text(self, last: int | None = None) -> str:
        """The stopwatch as text.

        Args:
            last: Only so many of the newest lines; None for all that are kept.
        """
        return text_of(self.summary, self._newest(last))

    def to_html(self, last: int | None = None) -> str:
        """Static HTML without scripts or classes: readable on GitHub, in nbconvert and untrusted in Lab."""
        return html_of(self.summary, self._newest(last))

    def _repr_html_(self) -> str:
        return self.to_html()

    def _newest(self, count: int | None) -> list[RecoveryLine]:
        return self.lines if count is None else self.lines[-count:]


def _timestamp(at: int) -> str:
    return e.format_timestamp(datetime.fromtimestamp(at / 1_000, UTC))

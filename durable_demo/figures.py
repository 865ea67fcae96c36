"""Figures of one workflow: a pure fold of its facts. No I/O, no Temporal, no widgets.

What is timed is what the workflow does again and again: iterations if it counts any, else the messages of a
conversation, else its Activities. Times are by the server's clock, waits included: a pause, a Worker that was dead.
Quantiles are those of `statistics.quantiles` with `method="inclusive"`: straight lines between the times, in order.
"""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from durable_demo import events as e
from durable_demo.trace import ENDED, is_news
from durable_demo.wording import one_line

KEPT_TIMES = 1_000
"""Times of a workflow that are kept, the newest: for the quantiles and the plot. All others count in the rest."""
MAX_OPEN = 5_000
"""What has begun and may end: more than a server lets a workflow have at once."""

Unit = Literal["activity", "message", "iteration"]
"""What is timed."""
NOUNS: dict[Unit, str] = {"activity": "Activity", "message": "message", "iteration": "iteration"}
PLURALS: dict[Unit, str] = {"activity": "Activities", "message": "messages", "iteration": "iterations"}
_TELLING: list[Unit] = ["activity", "message", "iteration"]
"""The later one says more of a workflow that has both."""


@dataclass(frozen=True)
class Spread:
    """How times are distributed, in seconds.

    Attributes:
        min: The shortest of all.
        q1: A quarter of those kept are not longer.
        median: Half of those kept are not longer.
        q3: Three quarters of those kept are not longer.
        p90: Nine tenths of those kept are not longer.
        max: The longest of all.
        mean: Of all.
    """

    min: float
    q1: float
    median: float
    q3: float
    p90: float
    max: float
    mean: float


@dataclass(frozen=True)
class Measured:
    """The figures of one workflow, over all its runs, at one moment.

    Attributes:
        workflow_id: Workflow ID.
        workflow_type: Name of its type; empty while it is not known.
        status: RUNNING, PAUSED, STOPPING or one of `trace.ENDED`; empty before the first event.
        runtime: Seconds from its start to its end, or until this moment.
        retries: Attempts beyond the first, over all Activities that have ended.
        unit: What is timed.
        count: How many there were.
        spread: How their times are distributed; None if there were none.
        times: Seconds of the newest `KEPT_TIMES`, in order.
        partial: Whether the server has no longer all of its history.
    """

    workflow_id: str
    workflow_type: str
    status: str
    runtime: float
    retries: int
    unit: Unit
    count: int
    spread: Spread | None
    times: tuple[float, ...]
    partial: bool

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status in ENDED

    @property
    def counted(self) -> str:
        """How many times there are, in words."""
        if not self.count:
            return "nothing timed yet"
        return f"{self.count:,} {(NOUNS if self.count == 1 else PLURALS)[self.unit]}"

    @property
    def numbers(self) -> str:
        """How its times are distributed, in words."""
        if self.spread is None:
            return self.counted
        spread = self.spread
        return (
            f"{self.counted}, {duration(spread.min)} to {duration(spread.max)}: "
            f"median {duration(spread.median)}, middle half {duration(spread.q1)} to {duration(spread.q3)}, "
            f"p90 {duration(spread.p90)}"
        )


@dataclass(frozen=True)
class _Began:
    """When something that is timed began, and the offset of the fact that says so."""

    moment: datetime
    offset: str


@dataclass(frozen=True)
class _Timed:
    """Something that was timed, and the offset of the fact that ended it."""

    key: str
    began: _Began
    ended: str
    seconds: float


@dataclass(repr=False)
class Figures:
    """Folds the events of one workflow, over all its runs, into figures. State changes through `apply` only.

    Ticks change nothing, and a fact at or before the last folded one neither: feeding a stream again is safe.

    Args:
        workflow_id: Its Workflow ID.

    Attributes:
        last_fact: Offset of the last folded fact.
        run_id: Run ID of the run that it is of.
        status: As in `Measured`.
    """

    workflow_id: str
    last_fact: str = field(default="", init=False)
    run_id: str = field(default="", init=False)
    status: str = field(default="", init=False)
    _type: str = field(default="", init=False)
    _first: datetime | None = field(default=None, init=False)
    _last: datetime | None = field(default=None, init=False)
    _retries: int = field(default=0, init=False)
    _partial: bool = field(default=False, init=False)
    _unit: Unit = field(default="activity", init=False)
    _began: dict[str, _Began] = field(default_factory=dict, init=False)
    _times: deque[_Timed] = field(default_factory=lambda: deque(maxlen=KEPT_TIMES), init=False)
    _count: int = field(default=0, init=False)
    _sum: float = field(default=0.0, init=False)
    _min: float = field(default=0.0, init=False)
    _max: float = field(default=0.0, init=False)

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status in ENDED

    def apply(self, *events: e.Event) -> None:
        """Folds events in, in order."""
        for event in events:
            if isinstance(event, e.Gap):
                self._partial = True
            elif not event.tick and is_news(event, self.last_fact, ended=self.ended):
                self.last_fact, self.run_id = event.offset, event.run_id
                self._take(event)

    def measured(self, now: datetime | None = None) -> Measured:
        """The figures as they are.

        Args:
            now: The end of the runtime of a workflow that has not ended; without it, its last fact is.
        """
        runtime = 0.0
        if self._first is not None and self._last is not None:
            end = self._last if now is None or self.ended else max(now, self._last)
            runtime = (end - self._first).total_seconds()
        return Measured(
            workflow_id=one_line(self.workflow_id),
            workflow_type=self._type,
            status=self.status,
            runtime=runtime,
            retries=self._retries,
            unit=self._unit,
            count=self._count,
            spread=self._spread(),
            times=tuple(timed.seconds for timed in self._times),
            partial=self._partial,
        )

    # --- the fold ----------------------------------------------------------------------------------------------------

    def _take(self, event: e.Event) -> None:
        moment = event.moment
        if self._first is None:
            self.status, self._first = "RUNNING", moment
        self._last = max(self._last or moment, moment)
        match event:
            case e.WorkflowStarted():
                self._type = one_line(event.workflow_type)
            case e.WorkflowPaused():
                self.status = "PAUSED"
            case e.WorkflowResumed():
                self.status = "RUNNING"
            case e.StopRequested() | e.CancelRequested():
                self.status = "STOPPING"
            case e.WorkflowEnded():
                self.status = event.status
            case e.WorkflowReset():
                self.status = event.status
                self._go_back(event)
            case e.ActivityRetry():
                self._retries += event.attempt - 1  # as a fact it tells of the last attempt, those before included
        match event:
            case e.ProgressUpdate(iteration_count=int(number)):
                self._step("iteration", str(number), event, ends=event.current_quote is not None)
            case e.MessageReceived() | e.MessageAnswered():
                self._step("message", event.message_id, event, ends=isinstance(event, e.MessageAnswered))
            case e.MessageStopped() | e.MessageFailed():
                self._began.pop(event.message_id, None)
            case e.ActivityScheduled() | e.ActivityCompleted():
                ends = isinstance(event, e.ActivityCompleted)
                self._step("activity", f"{event.run_id} {event.activity_id}", event, ends=ends)
            case e.ActivityFailed() | e.ActivityTimedOut() | e.ActivityCanceled():
                self._began.pop(f"{event.run_id} {event.activity_id}", None)

    def _step(self, unit: Unit, key: str, event: e.Event, *, ends: bool) -> None:
        """Something that is timed begins, goes on or ends."""
        if _TELLING.index(unit) < _TELLING.index(self._unit):
            return
        if unit != self._unit:
            self._unit, self._count, self._sum = unit, 0, 0.0
            self._began.clear()
            self._times.clear()
        if not ends:
            self._began.setdefault(key, _Began(event.moment, event.offset))
            if len(self._began) > MAX_OPEN:
                del self._began[next(iter(self._began))]
        elif (began := self._began.pop(key, None)) is not None:
            took = max(0.0, (event.moment - began.moment).total_seconds())
            self._add(_Timed(key, began, event.offset, took))

    def _add(self, timed: _Timed) -> None:
        self._min = min(self._min, timed.seconds) if self._count else timed.seconds
        self._max = max(self._max, timed.seconds) if self._count else timed.seconds
        self._count += 1
        self._sum += timed.seconds
        self._times.append(timed)

    def _go_back(self, event: e.WorkflowReset) -> None:
        """Undoes what was begun or ended since: it is done, and timed, again."""
        offset = event.back_to
        undone = [timed for timed in self._times if timed.ended > offset]
        open_again = {timed.key: timed.began for timed in undone} | self._began
        self._began = {
            f"{event.run_id} {key.partition(' ')[2]}" if self._unit == "activity" else key: began
            for key, began in open_again.items()
            if began.offset <= offset
        }
        for timed in undone:
            self._times.remove(timed)
        self._count -= len(undone)
        self._sum -= sum(timed.seconds for timed in undone)
        if self._count == len(self._times):  # else the shortest and the longest may be among those not kept
            kept = [timed.seconds for timed in self._times]
            self._min, self._max = min(kept, default=0.0), max(kept, default=0.0)

    def _spread(self) -> Spread | None:
        if not self._times:
            return None
        kept = [timed.seconds for timed in self._times]
        times = kept if len(kept) > 1 else kept * 2  # `quantiles` wants two
        cuts = statistics.quantiles(times, n=20, method="inclusive")
        return Spread(
            min=self._min, q1=cuts[4], median=cuts[9], q3=cuts[14], p90=cuts[17], max=self._max,
            mean=self._sum / self._count,
        )  # fmt: skip


def duration(value: float) -> str:
    """``8 ms``, ``0.31 s``, ``15.2 s``, ``1 min 5 s``, ``2 h 5 min``, ``3 d 4 h``."""
    if value < 0.0995:
        return f"{1_000 * value:.0f} ms"
    if value < 9.995:
        return f"{value:.2f} s"
    if value < 59.95:
        return f"{value:.1f} s"
    if value < 3_599.5:
        return _two(value, 60, "min", 1, "s")
    if value < 86_370:
        return _two(value, 3_600, "h", 60, "min")
    return _two(value, 86_400, "d", 3_600, "h")


def took(value: float, *, ended: bool) -> str:
    """How long a workflow took: ``8.9 s``, ``50 s``, ``1 min 5 s``; while it goes on, in whole seconds that passed.

    The table of the runs says it in the same words.
    """
    if ended and value < 9.95:
        return f"{value:.1f} s"
    whole = round(value) if ended else int(value)
    return f"{whole} s" if whole < 60 else duration(whole)


def _two(value: float, large_s: int, large: str, small_s: int, small: str) -> str:
    whole, rest = divmod(round(value / small_s), large_s // small_s)
    return f"{whole} {large} {rest} {small}" if rest else f"{whole} {large}"

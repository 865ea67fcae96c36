"""The Event History that people read: a pure fold of its entries into rows. No I/O, no Temporal, no widgets.

The same entries give the same rows, also when a run is fed again from its first entry, as it is after a resume.
"""

from __future__ import annotations

import html
import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from durable_demo.entries import HistoryEntry, Item
from durable_demo.errors import InvalidInput
from durable_demo.events import Event, Json
from durable_demo.trace import ENDED
from durable_demo.wording import clock, one_line, printable

MAX_ENTRIES = 10_000
"""Entries that a log keeps; older ones go, and the first line says so."""
MAX_TOTAL_BYTES = 20_000_000
"""JSON that a log keeps, of all its entries."""
MAX_ENTRY_BYTES = 200_000
"""JSON that is kept, and shown, of one entry."""
MAX_NOTE = 300
MAX_NAME = 100

EMPTY_TITLE = "No event history yet"
EMPTY_HINT = "Start a workflow, or choose one in the tab Runs"
NOT_KEPT = "shown by the server, but never written"


@dataclass(frozen=True)
class LogEntry:
    """One entry of the Event History as a row.

    Attributes:
        number: Its place since the log began, from 0; a replacement has the number of the row it replaces.
        offset: Of the entry.
        event_id: Its number within its run, from 1.
        run: 1 for the first run of the chain that was seen, 2 after its continue-as-new, and so on.
        timestamp: ISO 8601, UTC.
        event_type: Temporal's name, such as `ACTIVITY_TASK_SCHEDULED`.
        note: What it is about, on one line of plain text, control characters made visible; not escaped for HTML.
        body: Its JSON, compact; the beginning of its pretty form if it is too long to be kept whole.
    """

    number: int
    offset: str
    event_id: int
    run: int
    timestamp: str
    event_type: str
    note: str
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class LogSummary:
    """What stands around the rows.

    Attributes:
        workflow_id: Workflow ID; empty before the first event.
        run_id: Run ID of the latest run; empty before the first entry.
        status: RUNNING, or how it ended; empty before the first entry.
        runs: Runs of the chain that were seen.
        entries: Entries that were seen, also those that are not kept any more.
    """

    workflow_id: str = ""
    run_id: str = ""
    status: str = ""
    runs: int = 0
    entries: int = 0


@dataclass(repr=False)
class EntryLog:
    """Folds history entries into rows. State changes through `apply` and nothing else.

    Args:
        max_entries: Rows kept in memory.
        max_bytes: JSON kept in memory.

    Attributes:
        last_fact: Offset of the last entry.
    """

    max_entries: int = MAX_ENTRIES
    max_bytes: int = MAX_TOTAL_BYTES
    summary: LogSummary = field(default_factory=LogSummary, init=False)
    last_fact: str = field(default="", init=False)
    _rows: deque[LogEntry] = field(default_factory=deque, init=False)
    _numbers: dict[str, int] = field(default_factory=dict, init=False)
    _bytes: int = field(default=0, init=False)
    _names: dict[str, str] = field(default_factory=dict, init=False)
    _named_run: str = field(default="", init=False)

    @property
    def entries(self) -> list[LogEntry]:
        """The rows kept, oldest first."""
        return list(self._rows)

    @property
    def dropped(self) -> int:
        """Rows that were dropped to bound the memory."""
        return self.summary.entries - len(self._rows)

    def apply(self, *items: Item) -> tuple[LogEntry, ...]:
        """Folds entries in, in order; of events it takes the Workflow ID only.

        An entry with an offset that was seen before takes the place of that one if it differs, else it changes nothing.

        Returns:
            New rows, and rows that replace the ones with their numbers, by number.
        """
        changed: dict[int, LogEntry] = {}
        for item in items:
            if isinstance(item, HistoryEntry):
                changed.update((row.number, row) for row in self._take(item))
            elif isinstance(item, Event) and not self.summary.workflow_id:
                self.summary = replace(self.summary, workflow_id=one_line(item.workflow_id))
        return tuple(row for number, row in sorted(changed.items()) if number >= self.dropped)

    def json(self, number: int) -> str:
        """The entry of a row as JSON on several lines, control characters escaped; cut if it is very long.

        Raises:
            InvalidInput: There is no such row, or it is not kept any more.
        """
        place = number - self.dropped
        if not 0 <= place < len(self._rows):
            raise InvalidInput(
                "this entry of the Event History is not kept any more",
                why=f"the newest {self.max_entries:,} entries are kept, and of their JSON {self.max_bytes:,} bytes",
                remedy="look at it in Temporal's Web UI, or read it with `run.items()`",
            )
        body = self._rows[place].body.decode()
        try:
            return _pretty(json.loads(body))
        except ValueError:
            return body  # the beginning of one that was too long

    # --- the fold ----------------------------------------------------------------------------------------------------

    def _take(self, entry: HistoryEntry) -> Iterator[LogEntry]:
        """Takes an entry in; yields the rows that it changes."""
        note = self._note(entry)
        if entry.copied:
            return  # it is shown in the run that it was copied from
        number = self._numbers.get(entry.offset)
        if number is None and entry.offset <= self.last_fact:
            return  # it was dropped
        if number is not None:
            place = number - self.dropped
            before = self._rows[place]
            row = replace(_row(entry, number, note), run=before.run)
            if row.body == before.body and before.note != NOT_KEPT:
                return
            self._rows[place] = row
            self._bytes += len(row.body) - len(before.body)
            # What was shown behind an entry that has changed was of no duration either, unless it comes again.
            for later in range(place + 1, len(self._rows)):
                self._rows[later] = replace(self._rows[later], note=NOT_KEPT)
        else:
            self.last_fact = entry.offset
            if entry.run_id != self.summary.run_id:
                runs = self.summary.runs + 1
                self.summary = replace(self.summary, run_id=entry.run_id, runs=runs, status="RUNNING")
            number = self.summary.entries
            row = replace(_row(entry, number, note), run=self.summary.runs)
            self.summary = replace(self.summary, entries=number + 1)
            self._rows.append(row)
            self._numbers[entry.offset] = number
            self._bytes += len(row.body)
        end = entry.event_type.removeprefix("WORKFLOW_EXECUTION_")
        if end in ENDED and not entry.attributes.get("newExecutionRunId"):
            self.summary = replace(self.summary, status=end)
        while len(self._rows) > self.max_entries or (self._bytes > self.max_bytes and len(self._rows) > 1):
            gone = self._rows.popleft()
            del self._numbers[gone.offset]
            self._bytes -= len(gone.body)
        yield from islice(self._rows, max(0, number - self.dropped), None)

    def _note(self, entry: HistoryEntry) -> str:
        """A short line on an entry; later entries of its run are named after the one that they refer to."""
        if entry.run_id != self._named_run:
            self._names.clear()
            self._named_run = entry.run_id
        body = entry.attributes
        told = "" if body.get("scheduledEventId") or body.get("initiatedEventId") else _name(body)
        cause = next((str(body[key]) for key in _CAUSES if body.get(key)), "")
        name = told or self._names.get(cause, "")
        if told:
            self._names[str(entry.event_id)] = told
        attempt, worker = body.get("attempt"), body.get("identity")
        started = entry.event_type.endswith("_TASK_STARTED")
        parts = [
            name,
            str(body.get("startToFireTimeout", "")),
            f"of #{cause}" if cause else "",
            f"attempt {attempt}" if attempt and (attempt != 1 or entry.event_type == "ACTIVITY_TASK_STARTED") else "",
            f"Worker {worker}" if started and worker else "",
        ]
        line = ", ".join(part for part in parts if part)
        return _cut(one_line(": ".join(part for part in (line, _trouble(body)) if part)), MAX_NOTE)

    # --- how it looks without a widget -------------------------------------------------------------------------------

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return self.to_text(last=200)

    def to_text(self, last: int | None = None) -> str:
        """The log as text.

        Args:
            last: Only so many of the newest entries; None for all that are kept.
        """
        if not self.summary.entries:
            return f"{EMPTY_TITLE}\n{EMPTY_HINT}"
        facts = [f"{name}: {value}" for name, value in self._facts().items()]
        return "\n".join([*facts, "Event History:", *(f"  {line}" for line in self._table(last))])

    def to_html(self, last: int | None = None) -> str:
        """Static HTML without scripts or classes: readable on GitHub, in nbconvert and untrusted in Lab."""
        if not self.summary.entries:
            return f"<p><strong>{EMPTY_TITLE}</strong><br>{EMPTY_HINT}</p>"
        facts = [f"<strong>{name}:</strong> <code>{html.escape(text)}</code>" for name, text in self._facts().items()]
        rows = "\n".join(html.escape(line) for line in self._table(last))
        return (
            f"<p>{'<br>'.join(facts)}</p>\n<p><strong>Event History:</strong></p>\n"
            # Jupyter gives `pre` in an output the font of the page, and `code` in it a monospaced one.
            f"<pre><code>{rows}</code></pre>"
        )

    def _repr_html_(self) -> str:
        return self.to_html(last=200)

    def _facts(self) -> dict[str, str]:
        summary = self.summary
        runs = {"Runs": str(summary.runs)} if summary.runs > 1 else {}
        return {"Workflow": summary.workflow_id, "Run ID": summary.run_id, "Status": summary.status, **runs}

    def _table(self, last: int | None) -> Iterator[str]:
        """So many of the newest rows below their headings, in columns."""
        shown = self.entries if last is None else self.entries[-last:]
        if left_out := self.summary.entries - len(shown):
            yield f"... {left_out} earlier events not shown"
        several = self.summary.runs > 1
        lines = [("#", "Run", "Time", "Event", "Note")]
        lines += [
            (str(row.event_id), str(row.run), clock(row.timestamp), event_name(row.event_type), row.note)
            for row in shown
        ]
        width = max(len(event) for *_, event, _ in lines)
        for number, run, time, event, note in lines:
            yield f"{number:>5}  {f'{run:>3}  ' if several else ''}{time:<8}  {event:<{width}}  {note}".rstrip()


def event_name(event_type: str) -> str:
    """A type of entry as Temporal's Web UI writes it: ``ActivityTaskScheduled``."""
    return one_line("".join(word.capitalize() for word in event_type.split("_")))


# --- JSON ------------------------------------------------------------------------------------------------------------


def _row(entry: HistoryEntry, number: int, note: str) -> LogEntry:
    """The row of an entry, of no run yet."""
    head = {"eventId": entry.event_id, "eventTime": entry.timestamp, "eventType": entry.event_type}
    body: dict[str, Json] = {**head, "runId": entry.run_id, **entry.attributes}
    text = json.dumps(body, separators=(",", ":"))
    if len(text) > MAX_ENTRY_BYTES:
        text = _pretty(body)
    return LogEntry(number, entry.offset, entry.event_id, 0, entry.timestamp, entry.event_type, note, text.encode())


def _pretty(body: Json) -> str:
    """JSON on several lines, in which nothing can garble or hide what stands there."""
    text = json.dumps(body, indent=2, ensure_ascii=False)
    if printable(text) != text:
        text = "".join(char if printable(char) == char else json.dumps(char)[1:-1] for char in text)
    whole = text.encode()
    if len(whole) <= MAX_ENTRY_BYTES:
        return text
    return f"{whole[:MAX_ENTRY_BYTES].decode(errors='ignore')}\n... cut: {len(whole):,} bytes in all"


# --- notes -----------------------------------------------------------------------------------------------------------

_CAUSES = ("scheduledEventId", "initiatedEventId", "acceptedEventId", "startedEventId")
"""Where an entry tells the id of the one that it belongs to; that of an Activity is where it was scheduled."""


def _name(body: Mapping[str, Json]) -> str:
    """What an entry is about, in its own words; empty if it does not say."""
    for path, noun in _NAMES.items():
        value: Json = dict(body)
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value:
            text = ", ".join(value) if isinstance(value, dict) else str(value)
            return noun + _cut(text, MAX_NAME)
    return ""


_NAMES = {
    "activityType.name": "",
    "signalName": "",
    "acceptedRequest.input.name": "",
    "request.input.name": "",
    "timerId": "timer ",
    "workflowType.name": "",
    "workflowExecution.workflowId": "",
    "markerName": "",
    "operation": "",
    "newExecutionRunId": "goes on in run ",
    "searchAttributes.indexedFields": "",
    "upsertedMemo.fields": "",
}
"""Where its name stands, the most telling first, and the word before it."""


def _trouble(body: Mapping[str, Json]) -> str:
    """What went wrong, or why it was asked for; the failure of the attempt before too."""
    outcome = body.get("outcome")
    failure = body.get("failure") or (outcome.get("failure") if isinstance(outcome, dict) else None)
    if failure is None and (before := body.get("lastFailure")):
        return f"the attempt before: {_failure(before)}"
    cause = str(body.get("cause") or body.get("timeoutType") or "")
    reason = body.get("reason") or cause.partition("_CAUSE_")[2] or cause.removeprefix("TIMEOUT_TYPE_")
    return ": ".join(text for text in (str(reason), _failure(failure)) if text)


def _failure(failure: Json) -> str:
    """A failure with its causes, outermost first."""
    texts = []
    while isinstance(failure, dict):
        texts.append(str(failure.get("message") or ""))
        failure = failure.get("cause")
    return "; caused by ".join(text for text in texts if text)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}..."

"""What a widget's browsers are told of the Event History; the JSON of an entry is read when somebody asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from durable_demo.entry_log import EntryLog, LogEntry
from durable_demo.widgets.feed import FoldChannel, Message, Row

if TYPE_CHECKING:
    from durable_demo.entries import Item


class HistoryChannel(FoldChannel[EntryLog, LogEntry]):
    """The Event History of a workflow. A row is `[number, event_id, run, timestamp, event_type, note]`."""

    name = "history"
    noun = "event history"

    def read(self, number: int) -> str:
        """The entry of a row as pretty JSON.

        Raises:
            InvalidInput: It is not kept any more.
        """
        with self._lock:
            return self.fold.json(number)

    def _new(self) -> EntryLog:
        return EntryLog()

    def _apply(self, items: Sequence[Item]) -> Sequence[LogEntry]:
        return self.fold.apply(*items)

    def _kept(self) -> Sequence[LogEntry]:
        return self.fold.entries

    def _row(self, entry: LogEntry) -> Row:
        return [entry.number, entry.event_id, entry.run, entry.timestamp, entry.event_type, entry.note]

    def _summary(self) -> Message:
        summary = self.fold.summary
        return {
            "workflow_id": summary.workflow_id,
            "run_id": summary.run_id,
            "status": summary.status,
            "runs": summary.runs,
        }

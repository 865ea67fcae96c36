"""The table of workflows, as the browsers get it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable_demo.client import Runs
from durable_demo.events import format_timestamp
from durable_demo.widgets.feed import Channel, Feed, Message, Row
from durable_demo.wording import one_line

if TYPE_CHECKING:
    from durable_demo.client import RunSummary

MAX_SHOWN = 200
"""Workflows in the table: the newest."""


class RunsChannel(Channel):
    """Workflows, running and past. A row is `[number, workflow]`, see `_workflow`; the newest has the highest number.

    Attributes:
        listed: Whether a list was shown.
    """

    name = "runs"

    def __init__(self, feed: Feed) -> None:
        super().__init__(feed)
        self.listed = False
        self._runs = Runs()
        self._problem = ""
        self._more = False
        self._first = 0
        self._shown: list[Message] = []
        self._changed: set[int] = set()

    def show(self, runs: Runs, more: bool) -> None:
        """Shows a list, of which only what has changed is sent.

        Args:
            runs: Workflows; the newest MAX_SHOWN of them are shown.
            more: Whether there are older ones that are not in it.
        """
        newest = sorted(runs, key=lambda item: (item.started, item.workflow_id))[-MAX_SHOWN:]
        shown = [_workflow(item) for item in newest]
        with self._lock:
            around = self._summary()
            self._runs, self.listed, self._problem = Runs(newest[::-1]), True, ""
            self._more = more or len(runs) > MAX_SHOWN
            dropped = _dropped(self._shown, shown)
            if dropped is None:
                self._first, self._shown = 0, shown
                self._changed.clear()
                self._begin_epoch()
                return
            before = self._shown[dropped:]
            self._first, self._shown = self._first + dropped, shown
            changed = {
                self._first + place
                for place, workflow in enumerate(shown)
                if place >= len(before) or workflow != before[place]
            }
            self._changed |= changed
            if changed or dropped or self._summary() != around:
                self._touch()

    def fail(self, problem: str) -> None:
        """Tells why the workflows could not be listed; what was shown stays."""
        with self._lock:
            if problem != self._problem:
                self._problem = problem
                self._touch()

    def static(self, last: int) -> tuple[str, str]:
        """The newest workflows as HTML and as text, at most so many of them."""
        with self._lock:
            runs = Runs(self._runs[:last])
        return runs._repr_html_(), str(runs)

    def _summary(self) -> Message:
        return {"listed": self.listed, "problem": one_line(self._problem), "more": self._more}

    def _around(self) -> Message:
        return {"first": self._first, "summary": self._summary(), "following": False}

    def _changed_rows(self) -> list[Row]:
        numbers = sorted(number for number in self._changed if number >= self._first)
        self._changed.clear()
        return [[number, self._shown[number - self._first]] for number in numbers]

    def _all_rows(self) -> list[Row]:
        return [[self._first + place, workflow] for place, workflow in enumerate(self._shown)]


def _dropped(before: list[Message], after: list[Message]) -> int | None:
    """How many of the oldest are gone, if that and newer ones are all the difference; None if it is not."""
    known, ids = ([workflow["workflow_id"] for workflow in shown] for shown in (before, after))
    if not known:
        return 0
    if not ids or ids[0] not in known:
        return None
    dropped = known.index(ids[0])
    goes_on = known[dropped:] == ids[: len(known) - dropped] and not set(known[:dropped]) & set(ids)
    return dropped if goes_on else None


def _workflow(item: RunSummary) -> Message:
    """What a browser needs of a workflow."""
    return {
        "workflow_id": one_line(item.workflow_id),
        "workflow_type": one_line(item.workflow_type),
        "title": one_line(item.title),
        "status": item.status,
        "started": format_timestamp(item.started),
        "closed": "" if item.closed is None else format_timestamp(item.closed),
        "iterations": item.iterations,
        "quotes": item.quotes,
        "messages": item.messages,
        "problem": one_line(item.problem),
    }

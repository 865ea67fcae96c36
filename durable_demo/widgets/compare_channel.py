"""What browsers are told of a comparison of workflows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from durable_demo.comparison import Comparison
from durable_demo.figures import NOUNS, Measured
from durable_demo.widgets.feed import Channel, Feed, Message
from durable_demo.wording import one_line, printable

_NO_SPREAD = dict.fromkeys(("min", "q1", "median", "q3", "p90", "max", "mean"))


class CompareChannel(Channel):
    """A comparison. It has no rows: its summary holds the figures as numbers, and as the words that are shown.

    While another one is read, and when it cannot be read, the old one stays.
    """

    name = "compare"

    def __init__(self, feed: Feed) -> None:
        super().__init__(feed)
        self._comparison = Comparison()
        self._asked: list[str] | None = None
        self._problem = ""

    @property
    def compared(self) -> bool:
        """Whether there is a comparison."""
        return bool(self._comparison.runs)

    def begin(self, workflow_ids: Sequence[str]) -> None:
        """Tells that the figures of these workflows are being read."""
        with self._lock:
            self._asked = list(dict.fromkeys(workflow_ids))
            self._touch()

    def show(self, comparison: Comparison) -> None:
        """Shows a comparison, unless others have been asked for meanwhile, or none any more."""
        with self._lock:
            if self._asked is None or self._asked == [run.workflow_id for run in comparison.runs]:
                self._settle(comparison)

    def fail(self, problem: str) -> None:
        """Tells why the figures that were asked for cannot be read."""
        with self._lock:
            if self._asked != []:
                self._settle(self._comparison, printable(problem))

    def clear(self) -> None:
        """Compares nothing."""
        with self._lock:
            self._settle(Comparison())
            self._asked = []

    def static(self) -> tuple[str, str]:
        """The comparison as HTML and as text."""
        with self._lock:
            return self._comparison.to_html(), self._comparison.to_text()

    def _settle(self, comparison: Comparison, problem: str = "") -> None:
        self._comparison, self._problem, self._asked = comparison, problem, None
        self._touch()

    def _around(self) -> Message:
        shown = self._comparison
        workflow_ids = [run.workflow_id for run in shown.runs] if self._asked is None else self._asked
        return {
            "first": 0,
            "following": False,
            "summary": {
                "busy": bool(self._asked),
                "workflow_ids": list(map(one_line, workflow_ids)),
                "problem": self._problem,
                "unit": shown.unit or "",
                "noun": NOUNS[shown.unit] if shown.unit else "time",
                "finding": shown.finding if shown.runs else "",
                "notes": shown.notes,
                "columns": list(shown.columns),
                "axis": shown.axis and dataclasses.asdict(shown.axis),
                "runs": [_run(shown, run) for run in shown.runs],
            },
        }


def _run(comparison: Comparison, run: Measured) -> Message:
    """What a browser needs of a workflow: `cells` are for the columns, `numbers` is a sentence."""
    return {
        "workflow_id": run.workflow_id,
        "workflow_type": run.workflow_type,
        "status": run.status,
        "ended": run.ended,
        "runtime": run.runtime,
        "retries": run.retries,
        "unit": run.unit,
        "count": run.count,
        **(dataclasses.asdict(run.spread) if run.spread else _NO_SPREAD),
        "times": [round(time, 3) for time in run.times],
        "cells": list(comparison.cells(run)),
        "counted": run.counted,
        "numbers": run.numbers,
        "mark": comparison.extremes.get(run.workflow_id, ""),
    }

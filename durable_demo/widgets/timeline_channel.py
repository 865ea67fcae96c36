"""What a widget's browsers are told of a timeline: its bars."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from durable_demo.timeline import Timeline
from durable_demo.timeline_bars import Bar
from durable_demo.widgets.feed import FoldChannel, Message, Row

if TYPE_CHECKING:
    from durable_demo.entries import Item

NEW_BARS = 200
"""So many of the newest bars come with their whole texts: Jupyter drops messages above 1 MB a second."""
MAX_OLD_TEXT = 200
"""Characters of an input, a result, an error of an older bar."""


class TimelineChannel(FoldChannel[Timeline, Bar]):
    """The timeline of a workflow. A row is `[number, bar]`; see `_row` for what a browser needs of one."""

    name = "timeline"
    noun = "timeline"
    part_rows = 15

    def _new(self) -> Timeline:
        return Timeline()

    def _apply(self, items: Sequence[Item]) -> Sequence[Bar]:
        return self.fold.apply(*items)

    def _kept(self) -> Sequence[Bar]:
        return self.fold.bars

    def _row(self, bar: Bar) -> Row:
        is_new = bar.number >= self.fold.next_number - NEW_BARS
        texts = {"input": bar.input, "result": bar.result, "error": bar.error}
        body = {
            "id": bar.id,
            "kind": bar.kind,
            "lane": bar.lane,
            "label": bar.label,
            "start": bar.start,
            "end": bar.end,
            "state": bar.state,
            "attempt": bar.attempt,
            "parts": [[part.phase, part.start, part.end, part.attempt, part.note] for part in bar.parts],
        }
        return [bar.number, body | (texts if is_new else {name: _short(text) for name, text in texts.items()})]

    def _summary(self) -> Message:
        summary = self.fold.summary
        return {
            "workflow_id": summary.workflow_id,
            "workflow_type": summary.workflow_type,
            "status": summary.status,
            "start": summary.started,
            "end": summary.ended,
            "now": round(time.time() * 1_000),
            "connected": summary.connected,
        }


def _short(text: str) -> str:
    return text if len(text) <= MAX_OLD_TEXT else f"{text[: MAX_OLD_TEXT - 3]}..."

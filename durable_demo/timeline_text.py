"""The static form of a timeline: a chart of 100 columns in characters that need no colour, no script and no style."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import UTC, datetime
from textwrap import wrap

from durable_demo.timeline_bars import Bar, TimelineSummary, duration
from durable_demo.wording import calendar, clock, one_line

EMPTY_TITLE = "No timeline yet"
EMPTY_HINT = "Start a Monty workflow from the Chat tab, or watch any workflow, to see where its time goes"

WIDTH = 100
CHART = 36
"""Columns of the bars themselves."""
SHOWN_ERRORS = 20
"""The newest errors stand below the chart."""
MAX_ERROR = 300
_NAME = 23
_STATE = 20
_FILLS = {"running": "█", "queued": "░", "backoff": "·", "earlier": "▒"}
_MARKS = {"signal": "◆", "update": "◆", "seam": "┃", "problem": "!"}
_LEGEND = "█ running  ░ queued  · back-off  ▒ earlier attempts  x no Worker  ◆ mark  ! problem  ┃ next run"


def to_text(summary: TimelineSummary, bars: Sequence[Bar], left_out: int, *, now: int) -> str:
    """The timeline as text.

    Args:
        summary: What stands above.
        bars: The bars to show.
        left_out: How many came before them.
        now: Where what goes on has come to.
    """
    if not summary.workflow_id:
        return f"{EMPTY_TITLE}\n{EMPTY_HINT}"
    head = [f"Timeline: {summary.workflow_id}", f"Type: {summary.workflow_type}", *_facts(summary, now)]
    return "\n".join([*head, *_chart(bars, left_out, now)])


def to_html(summary: TimelineSummary, bars: Sequence[Bar], left_out: int, *, now: int) -> str:
    """The same as static HTML without scripts, styles or classes."""
    if not summary.workflow_id:
        return f"<p><strong>{EMPTY_TITLE}</strong><br>{EMPTY_HINT}</p>"
    facts = [fact.partition(": ") for fact in _facts(summary, now)]
    rows = "".join(f"<br><strong>{name}:</strong> {html.escape(words)}" for name, _, words in facts)
    return (
        f"<p><strong>Timeline:</strong> <code>{html.escape(summary.workflow_id)}</code><br>"
        f"<strong>Type:</strong> {html.escape(summary.workflow_type)}{rows}</p>\n"
        # Jupyter gives `pre` in an output the font of the page, and `code` in it a monospaced one.
        f"<pre><code>{html.escape(chr(10).join(_chart(bars, left_out, now)))}</code></pre>"
    )


def _facts(summary: TimelineSummary, now: int) -> list[str]:
    start = summary.started or 0
    took = duration((now if summary.ended is None else summary.ended) - start)
    return [f"Status: {summary.status}", f"Started: {calendar(_iso(start))}, {took}"]


def _chart(bars: Sequence[Bar], left_out: int, now: int) -> list[str]:
    shown = sorted(bars, key=lambda bar: (bar.start, bar.number))
    if not shown:
        return []
    scale = _Scale(shown[0].start, max(max(bar.start, now if bar.end is None else bar.end) for bar in shown))
    gone = [f"... {left_out} earlier bars not shown"] if left_out else []
    return [*gone, scale.axis(), *(_row(bar, scale) for bar in shown), _LEGEND, *_errors(shown)]


def _errors(shown: Sequence[Bar]) -> list[str]:
    told = [f"{_clock(bar.start)} {bar.label}: {one_line(bar.error)[:MAX_ERROR]}" for bar in shown if bar.error]
    lines = [line for each in told[-SHOWN_ERRORS:] for line in wrap(each, WIDTH, subsequent_indent=" " * 9)]
    return ["Errors:", *lines] if lines else []


class _Scale:
    """Which column a moment falls into."""

    def __init__(self, start: int, end: int) -> None:
        self._start = start
        self._span = max(end - start, 1)
        self.end = start + self._span

    def column(self, moment: int) -> int:
        return min(CHART - 1, max(0, (moment - self._start) * CHART // self._span))

    def axis(self) -> str:
        """The clock at the left, in the middle and at the right, and what a column is worth."""
        left, middle, right = (_clock(self._start + self._span * part // 2) for part in range(3))
        room = CHART - len(left) - len(right)
        unit = f"a column is {duration(self._span / CHART)}"
        return f"{unit:>{_NAME + 9}} {left}{middle:^{room}}{right}"


def _row(bar: Bar, scale: _Scale) -> str:
    name = _fit(bar.lane if bar.kind in {"activity", "gap"} else bar.label, _NAME)
    state = bar.state.replace("_", " ") + (f", attempt {bar.attempt}" if bar.attempt > 1 else "")
    took = duration((scale.end if bar.end is None else bar.end) - bar.start) if bar.end != bar.start else ""
    return f"{_clock(bar.start)} {name:<{_NAME}} {_drawn(bar, scale)} {took:>9} {_fit(state, _STATE)}".rstrip()


def _drawn(bar: Bar, scale: _Scale) -> str:
    """The bar itself; where two of its parts share a column, the later one shows."""
    cells = [" "] * CHART
    if bar.kind in _MARKS and bar.end == bar.start:
        cells[scale.column(bar.start)] = _MARKS[bar.kind]
        return "".join(cells)
    whole = "x" if bar.kind == "gap" else "█"
    stretches = [(part.start, part.end, _FILLS[part.phase]) for part in bar.parts]
    for start, end, fill in stretches or [(bar.start, bar.end, whole)]:
        if start > scale.end:
            continue
        first, last = scale.column(start), scale.column((scale.end if end is None else end) - 1)
        for column in range(first, max(first, last) + 1):
            cells[column] = fill
    return "".join(cells)


def _fit(words: str, width: int) -> str:
    return words if len(words) <= width else f"{words[: width - 1]}…"


def _clock(moment: int) -> str:
    return clock(_iso(moment))


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1_000, UTC).isoformat()

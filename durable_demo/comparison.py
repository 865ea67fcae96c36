"""Figures of several workflows beside one another: what is seen, a table, and a plot of text.

No I/O, no Temporal, no widgets.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass

from durable_demo.figures import KEPT_TIMES, NOUNS, PLURALS, Measured, Spread, Unit, duration, took

FEWEST = 3
"""Of fewer times than this nothing is concluded."""
SAME = 1.05
"""Medians that differ by less than this factor are told as about the same."""
PLOT_COLUMNS = 100
LABEL_COLUMNS = 28
_STEPS = [
    *(digit * 10**power for power in range(-3, 2) for digit in (1, 2, 5)),
    *(60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 432_000, 864_000),
]
"""Seconds between two ticks of an axis."""
NUMBERS = ("Runtime", "n", "Min", "Median", "p90", "Max", "Retries")
"""The columns of a table behind those that tell which workflow it is; `n` is named after what is counted."""
EMPTY_TITLE = "Nothing to compare yet"
EMPTY_HINT = "Choose two or more workflows in the tab Runs"


@dataclass(frozen=True)
class Axis:
    """What all times lie on.

    Attributes:
        start: Seconds at its left end.
        end: Seconds at its right end.
        ticks: Seconds, and how they are labelled.
        title: What it shows.
    """

    start: float
    end: float
    ticks: tuple[tuple[float, str], ...]
    title: str

    def place(self, seconds: float) -> float:
        """Where a time lies, 0 to 1."""
        return (seconds - self.start) / (self.end - self.start)


@dataclass(frozen=True, repr=False)
class Comparison:
    """Figures of workflows beside one another. Shows itself as a table and a plot of text.

    Attributes:
        runs: The workflows, in the order in which they were asked for.
    """

    runs: tuple[Measured, ...] = ()

    # --- what is seen ------------------------------------------------------------------------------------------------

    @property
    def unit(self) -> Unit | None:
        """What is timed; None where that differs, or where nothing was timed yet."""
        units = {run.unit for run in self.runs if run.spread}
        return units.pop() if len(units) == 1 else None

    @property
    def ranked(self) -> list[Measured]:
        """The workflows whose times compare, by their medians; empty if fewer than two do."""
        enough = [run for run in self.runs if run.count >= FEWEST]
        return sorted(enough, key=_median) if self.unit is not None and len(enough) > 1 else []

    @property
    def extremes(self) -> dict[str, str]:
        """`shortest` and `longest` by Workflow ID, by the medians, where they differ."""
        if not (ranked := self.ranked) or _same(ranked):
            return {}
        return {ranked[0].workflow_id: "shortest", ranked[-1].workflow_id: "longest"}

    @property
    def finding(self) -> str:
        """What is seen, as a sentence."""
        timed = [run for run in self.runs if run.spread]
        if len(self.runs) < 2:
            return "One workflow alone: choose another one to compare it with."
        if len({run.unit for run in timed}) > 1:
            told = ", ".join(f"{PLURALS[run.unit]} of {run.workflow_id}" for run in timed)
            return f"These are times of different things, so they do not compare: {told}."
        noun = PLURALS[self.unit] if self.unit else "times"
        if not (ranked := self.ranked):
            return f"Too few {noun} to compare: two workflows need at least {FEWEST} each."
        few = ", ".join(run.workflow_id for run in self.runs if run.count < FEWEST)
        return _ranking(ranked) + (f" Not ranked, with fewer than {FEWEST} {noun}: {few}." if few else "")

    @property
    def notes(self) -> list[str]:
        """What the reader must know of the numbers."""
        return [
            f"{run.workflow_id}: median, p90 and plot are of the newest {KEPT_TIMES:,} of {run.count:,} times."
            for run in self.runs
            if run.count > len(run.times)
        ] + [
            f"{run.workflow_id}: the server no longer has all of its history; the numbers are of the rest."
            for run in self.runs
            if run.partial
        ]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of numbers."""
        counted = PLURALS[self.unit].capitalize() if self.unit else "Times"
        return tuple(counted if name == "n" else name for name in NUMBERS)

    def cells(self, run: Measured) -> tuple[str, ...]:
        """What stands in the columns of numbers."""
        spread = run.spread
        times = (spread.min, spread.median, spread.p90, spread.max) if spread else ()
        words = map(duration, times) if times else "----"
        return took(run.runtime, ended=run.ended), f"{run.count:,}", *words, f"{run.retries:,}"

    @property
    def axis(self) -> Axis | None:
        """What all times lie on; None if there are none. It begins at 0 unless that would hide what differs."""
        spreads = [run.spread for run in self.runs if run.spread]
        if not spreads:
            return None
        low, high = min(spread.min for spread in spreads), max(spread.max for spread in spreads)
        begin = low if low > high / 2 and high - low > high / 50 else 0.0
        step = next((step for step in _STEPS if 5 * step >= high - begin), math.ceil((high - begin) / 5))
        first = math.floor(begin / step)
        last = max(first + 1, math.ceil(high / step))
        ticks = tuple((number * step, _tick(number * step, step)) for number in range(first, last + 1))
        title = f"Seconds per {NOUNS[self.unit]}" if self.unit else "Seconds"
        return Axis(ticks[0][0], ticks[-1][0], ticks, title if step < 60 else title.replace("Seconds", "Time"))

    # --- how it looks without a widget -------------------------------------------------------------------------------

    def __str__(self) -> str:
        return self.to_text()

    __repr__ = __str__

    def to_text(self) -> str:
        """As a table and a plot of at most 100 columns."""
        if not self.runs:
            return f"{EMPTY_TITLE}\n{EMPTY_HINT}"
        rows = [("", "Workflow", "Status", *self.columns, "")]
        for place, run in enumerate(self.runs, 1):
            mark = self.extremes.get(run.workflow_id, "")
            runtime, *others = self.cells(run)
            so_far = "" if run.ended else " so far"
            rows.append((str(place), run.workflow_id, run.status, runtime + so_far, *others, mark and f"{mark} median"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = []
        for row in rows:
            aligned = [
                cell.rjust(width) if 3 <= place < len(row) - 1 else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            table.append("  ".join(aligned).rstrip())
        return "\n".join([self.finding, "", *table, "", *self._plot(), *self.notes]).rstrip()

    def to_html(self) -> str:
        """Static HTML without scripts, classes or styles: readable on GitHub, in nbconvert and untrusted in Lab."""
        if not self.runs:
            return f"<p><strong>{EMPTY_TITLE}</strong><br>{html.escape(EMPTY_HINT)}</p>"
        head = "".join(f"<th>{html.escape(name)}</th>" for name in ("", "Workflow", "Status", *self.columns))
        body = []
        for place, run in enumerate(self.runs, 1):
            cells = list(self.cells(run))
            if not run.ended:
                cells[0] += " so far"
            if mark := self.extremes.get(run.workflow_id):
                cells[NUMBERS.index("Median")] += f" ({mark})"
            which = f"<td>{place}</td><td><code>{html.escape(run.workflow_id)}</code></td>"
            numbers = "".join(f"<td>{html.escape(cell)}</td>" for cell in [run.status, *cells])
            body.append(f"<tr>{which}{numbers}</tr>")
        plot = html.escape("\n".join(self._plot()))
        return "\n".join(
            [
                f"<p><strong>{html.escape(self.finding)}</strong></p>",
                f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>",
                # Jupyter gives `pre` in an output the font of the page, and `code` in it a monospaced one.
                *([f"<pre><code>{plot}</code></pre>"] if plot else []),
                *(f"<p>{html.escape(note)}</p>" for note in self.notes),
            ]
        )

    def _repr_html_(self) -> str:
        return self.to_html()

    def _plot(self) -> list[str]:
        """A line for each workflow on one axis, and what its signs mean."""
        axis = self.axis
        if axis is None:
            return []
        labels = [f"{place} {_cut(run.workflow_id)}" for place, run in enumerate(self.runs, 1)]
        margin = max(map(len, labels)) + 2
        columns = PLOT_COLUMNS - margin
        lines = [
            f"{label:<{margin}}{_strip(axis, columns, run.spread) if run.spread else run.numbers}".rstrip()
            for label, run in zip(labels, self.runs, strict=True)
        ]
        ruler, named = ["-"] * columns, [" "] * (columns + 1)
        free = 0
        for seconds, label in axis.ticks:
            at = round(axis.place(seconds) * (columns - 1))
            ruler[at] = "+"
            begin = min(max(0, at - len(label) // 2), columns - len(label))
            if begin >= free:
                named[begin : begin + len(label)] = label
                free = begin + len(label) + 1
        blank = " " * margin
        legend = "|---| shortest to longest, === middle half, M median, 9 p90"
        return [f"{axis.title}: {legend}", *lines, blank + "".join(ruler), (blank + "".join(named)).rstrip(), ""]


def _median(run: Measured) -> float:
    return run.spread.median if run.spread else 0.0


def _same(ranked: list[Measured]) -> bool:
    return _median(ranked[-1]) <= SAME * _median(ranked[0])


def _ranking(ranked: list[Measured]) -> str:
    fast, slow = ranked[0], ranked[-1]
    per = f"per {NOUNS[fast.unit]}"
    medians = duration(_median(slow)), duration(_median(fast))
    told = f"median {medians[0]}" if medians[0] == medians[1] else f"median {medians[0]} and {medians[1]}"
    if _same(ranked):
        who = f"{slow.workflow_id} and {fast.workflow_id}" if len(ranked) == 2 else f"All {len(ranked)} workflows"
        return f"{who} took about as long {per} ({told})."
    among = "" if len(ranked) == 2 else f", the longest and the shortest of {len(ranked)}"
    if not _median(fast):
        return f"{slow.workflow_id} took longer {per} than {fast.workflow_id} ({told}{among})."
    ratio = _median(slow) / _median(fast)
    times = f"{ratio:.1f}" if ratio < 9.95 else f"{ratio:,.0f}"
    return f"{slow.workflow_id} took {times} times as long {per} as {fast.workflow_id} ({told}{among})."


def _tick(seconds: float, step: float) -> str:
    return duration(seconds) if seconds and step >= 60 else f"{seconds:g} s"


def _cut(workflow_id: str) -> str:
    """A Workflow ID that fits beside a plot: its end tells it from others more than its middle."""
    if len(workflow_id) <= LABEL_COLUMNS:
        return workflow_id
    return f"{workflow_id[:12]}...{workflow_id[15 - LABEL_COLUMNS :]}"


def _strip(axis: Axis, columns: int, spread: Spread) -> str:
    """A workflow's times as one line of signs; where two fall on one place, the one that tells more."""

    def at(seconds: float) -> int:
        return round(axis.place(seconds) * (columns - 1))

    signs = [" "] * columns
    for first, last, sign in ((spread.min, spread.max, "-"), (spread.q1, spread.q3, "=")):
        signs[at(first) : at(last) + 1] = sign * (at(last) + 1 - at(first))
    for seconds, sign in ((spread.min, "|"), (spread.max, "|"), (spread.p90, "9"), (spread.median, "M")):
        signs[at(seconds)] = sign
    return "".join(signs)

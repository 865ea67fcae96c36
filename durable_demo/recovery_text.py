"""What the stopwatch tells, in words: of `recovery.py`'s figures, for the panel and where there is none."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from durable_demo.figures import took
from durable_demo.wording import clock, plural

Status = Literal["", "waiting", "recovered", "untouched", "ended"]
"""Nothing was broken; no progress now; it went on after a pause; it never paused; it ended before it could go on."""


Source = Literal["break", "process", "event", "progress"]
"""What somebody did; what the supervisor saw; what the workflow's events tell; that it goes on."""


@dataclass(frozen=True)
class RecoveryLine:
    """Something that happened since.

    Attributes:
        number: Its place in the order in which it became known, from 0.
        timestamp: When it happened: ISO 8601, UTC.
        source: See `Source`.
        text: One line of plain text, control characters made visible; not escaped for HTML.
    """

    number: int
    timestamp: str
    source: Source
    text: str


@dataclass(frozen=True)
class RecoverySummary:
    """The stopwatch at one moment.

    Attributes:
        workflow_id: Workflow ID; empty before the first event.
        status: See `Status`.
        kind: The verb that broke something, such as `kill_worker`; empty if nothing was broken.
        done: What was done.
        expected: What was to happen.
        since: When: ISO 8601, UTC.
        mends: Whether it broke nothing, but mended something.
        gap: The longest time without progress in seconds, as far as is known; it goes on while `waiting_since` is set.
        waiting_since: When the last progress was, while the status is `waiting`; else empty.
        in_hand: Whether there was work that could be interrupted.
        attempts: Further attempts of Activities since then.
        tasks_timed_out: Workflow Tasks that timed out since then, and were handed out again.
        resumed_from: Percent from which an Activity went on in its next attempt; None if there was none.
        completed_before: Activities that had completed before.
        completed_since: Those that have since.
        repeated: Activities that had completed before and were scheduled again.
    """

    workflow_id: str = ""
    status: Status = ""
    kind: str = ""
    done: str = ""
    expected: str = ""
    since: str = ""
    mends: bool = False
    gap: float = 0.0
    waiting_since: str = ""
    in_hand: bool = False
    attempts: int = 0
    tasks_timed_out: int = 0
    resumed_from: float | None = None
    completed_before: int = 0
    completed_since: int = 0
    repeated: int = 0

    @property
    def headline(self) -> str:
        """What became of it, as a few words."""
        match self.status:
            case "waiting":
                return f"No progress since {clock(self.waiting_since)}"
            case "recovered":
                return f"Went on after {took(self.gap, ended=True)} without progress"
            case "ended":
                return "It ended before it could go on"
            case "untouched":
                return "Went on without a pause" if self.in_hand else "Nothing was in hand: nothing had to wait"
        return "Nothing was broken"

    @property
    def lead(self) -> str:
        """What stands before `done`."""
        return "Mended:" if self.mends else "Broken on purpose:"

    @property
    def facts(self) -> list[str]:
        """What else is known, as sentences."""
        if not self.kind:
            return []
        before = "1 Activity" if self.completed_before == 1 else f"{self.completed_before} Activities"
        again = f"{self.repeated} ran again" if self.repeated else "none ran again"
        tasks = plural(self.tasks_timed_out, "Workflow Task")
        told = [
            (self.attempts, f"{plural(self.attempts, 'further attempt')} of Activities"),
            (self.resumed_from is not None, f"The next attempt went on from {self.resumed_from or 0:.0f} %"),
            (
                self.tasks_timed_out,
                f"{tasks} timed out, to be handed out again",
            ),
            (self.completed_before, f"{before} had completed before: {again}"),
            (self.completed_since, f"{self.completed_since} completed since"),
        ]
        return [text for said, text in told if said]


def text_of(now: RecoverySummary, lines: Sequence[RecoveryLine]) -> str:
    """The stopwatch as text."""
    if not now.kind:
        return now.headline
    told = [f"  {clock(line.timestamp)} {line.text}" for line in lines]
    return "\n".join([f"{now.lead} {now.done} {now.expected}", f"{now.headline}.", *now.facts, *told])


def html_of(now: RecoverySummary, lines: Sequence[RecoveryLine]) -> str:
    """The stopwatch as HTML without scripts or classes."""
    if not now.kind:
        return f"<p>{now.headline}</p>"
    facts = "".join(f"<li>{html.escape(fact)}</li>" for fact in now.facts)
    told = "\n".join(html.escape(f"{clock(line.timestamp)} {line.text}") for line in lines)
    return (
        f"<p><strong>{now.lead}</strong> {html.escape(now.done)} {html.escape(now.expected)}</p>\n"
        f"<p><strong>{html.escape(now.headline)}</strong></p>\n<ul>{facts}</ul>\n"
        # Jupyter gives `pre` in an output the font of the page, and `code` in it a monospaced one.
        f"<pre><code>{told}</code></pre>"
    )

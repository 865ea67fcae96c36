"""The kernel's end of the wire between a trace and its views in browsers; feed.js is the other end.

Messages to the browsers, as JSON objects:

========== =========================================================================================================
`delta`    `epoch, seq, lines, summary, panel`: new and replaced lines; at most one each 100 ms.
`snapshot` `epoch, seq, part, parts, first, lines, summary, panel`: everything, in parts of at most 1,000 lines.
`answer`   `id, ok, message, alert`: what became of a command; `alert` if the reason is among the panel's alerts.
========== =========================================================================================================

A line is `[number, timestamp, text, kind]`. Deltas are numbered by `seq` within an `epoch`; a new epoch (another
workflow, Clear) begins with a snapshot. A browser that is new or that misses a number sends `hello` and gets a
snapshot; a browser that is up to date ignores one.

Messages from the browsers: `hello`; `command` with `id, name, args`; `shown` with `page, shown`, when the first view in
a page comes and when its last one goes.
"""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from durable_demo.errors import DemoError, SessionClosed, StillRunning
from durable_demo.trace import Line, Trace
from durable_demo.wording import printable

if TYPE_CHECKING:
    from durable_demo.background import BackgroundLoop
    from durable_demo.events import Event

BATCH_INTERVAL = timedelta(milliseconds=100)
"""At most one delta in this time: Jupyter drops messages above 1,000 a second."""
CHUNK_LINES = 1_000
"""Lines of one message: a browser takes such a message in without a long task."""
MAX_ALERTS = 5

Message = dict[str, Any]
Predicate = Callable[[Trace], object]


class Feed:
    """A trace, the state of its panel, and the one sequence of messages about both. All methods are thread-safe.

    Args:
        publish: Sends a message to all browsers; must not raise.
        background: Where batches wait for their time.

    Attributes:
        trace: What is shown now; another object for another workflow.
    """

    def __init__(self, publish: Callable[[Message], None], background: BackgroundLoop) -> None:
        self.trace = Trace()
        self._publish = publish
        self._background = background
        self._lock = threading.RLock()
        self._epoch = uuid4().hex
        self._seq = 0
        self._changed: dict[int, Line] = {}
        self._flush_due = False
        self._panel: dict[str, Any] = {"starting": False, "following": False, "alerts": []}
        self._alert_count = 0
        self._waiting: list[tuple[Predicate, Future[None]]] = []

    # --- changes -----------------------------------------------------------------------------------------------------

    def apply(self, trace: Trace, *events: Event) -> None:
        """Folds events into `trace`, and nothing if that is not the one that is shown any more."""
        with self._lock:
            if trace is not self.trace:
                return
            delta = trace.apply(*events)
            self._changed.update((line.number, line) for line in delta.lines)
            self._touch()
            self._wake()

    def restart(self) -> Trace:
        """Shows a new, empty trace.

        Returns:
            The new trace.
        """
        with self._lock:
            self.trace = Trace()
            self._begin_epoch()
            return self.trace

    def clear(self) -> None:
        """Empties the view; of a workflow that has ended nothing is left."""
        with self._lock:
            if self.trace.summary.ended:
                self.trace = Trace()
            else:
                self.trace.clear()
            self._begin_epoch()

    def show(self, **state: bool) -> None:
        """Changes the panel's state: `starting`, `following`."""
        with self._lock:
            self._panel.update(state)
            self._touch()

    def alert(self, error: BaseException) -> None:
        """Shows an error until somebody dismisses it."""
        if isinstance(error, DemoError):
            words = (error.what, error.why, error.remedy)
        else:
            words = (f"{type(error).__name__}: {error}", "", "`await demo.assert_clean()` shows all of it")
        shown = dict(zip(("what", "why", "next"), map(printable, words), strict=True))
        with self._lock:
            others = [alert for alert in self._panel["alerts"] if alert["what"] != shown["what"]]
            self._alert_count += 1
            self._panel["alerts"] = [*others, {"id": self._alert_count, **shown}][-MAX_ALERTS:]
            self._touch()

    def dismiss(self, alert: int) -> None:
        """Takes an alert away; harmless if it is gone."""
        with self._lock:
            self._panel["alerts"] = [shown for shown in self._panel["alerts"] if shown["id"] != alert]
            self._touch()

    # --- messages ----------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Sends what has changed since the last delta, if anything has."""
        with self._lock:
            if not self._flush_due:
                return
            rows = [_row(line) for number, line in sorted(self._changed.items()) if number >= self.trace.dropped]
            self._changed.clear()
            self._flush_due = False
            for chunk in _chunks(rows):
                self._seq += 1
                self._publish({"t": "delta", **self._head(), "lines": chunk})

    def snapshot(self) -> None:
        """Sends everything."""
        with self._lock:
            # Browsers that are up to date ignore a snapshot, so what has not been sent yet must not be in it alone.
            self.flush()
            chunks = _chunks([_row(line) for line in self.trace.lines])
            for part, chunk in enumerate(chunks):
                place = {"part": part, "parts": len(chunks), "first": self.trace.dropped}
                self._publish({"t": "snapshot", **self._head(), **place, "lines": chunk})

    def answer(self, command: str, *, ok: bool, message: str, alert: bool = False) -> None:
        """Tells what became of a command."""
        with self._lock:
            self._publish({"t": "answer", "id": command, "ok": ok, "message": printable(message), "alert": alert})

    def static(self, lines: int) -> tuple[str, str]:
        """The trace as HTML and as text, at most so many lines of it."""
        with self._lock:
            return self.trace.to_html(last=lines), self.trace.to_text(last=lines)

    # --- waiting -----------------------------------------------------------------------------------------------------

    async def until(self, predicate: Predicate, timeout: timedelta) -> Trace:
        """Waits, on whatever loop, until the trace is as `predicate` wants it.

        Raises:
            StillRunning: It was not within `timeout`.
        """
        met: Future[None] = Future()
        met.set_running_or_notify_cancel()
        entry = (predicate, met)
        with self._lock:
            self._waiting.append(entry)
            self._wake()
        try:
            await asyncio.wait_for(asyncio.wrap_future(met), timeout.total_seconds())
        except TimeoutError:
            raise StillRunning(
                f"the trace did not come to `{_wording(predicate)}` within {timeout.total_seconds():g} s",
                why=f"it ends like this:\n{self.trace.to_text(last=10)}",
                remedy="wait longer with `timeout=`; `durable-demo doctor` tells whether server and Worker are well",
            ) from None
        finally:
            with self._lock, suppress(ValueError):
                self._waiting.remove(entry)
        return self.trace

    def _wake(self) -> None:
        for predicate, met in list(self._waiting):
            if met.done():
                continue
            try:
                if predicate(self.trace):
                    met.set_result(None)
            except Exception as error:
                met.set_exception(error)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _head(self) -> Message:
        summary = self.trace.summary
        fields = {**dataclasses.asdict(summary), "footer": summary.footer}
        return {"epoch": self._epoch, "seq": self._seq, "summary": fields, "panel": dict(self._panel)}

    def _begin_epoch(self) -> None:
        self._epoch = uuid4().hex
        self._seq = 0
        self._changed.clear()
        self._flush_due = False
        self.snapshot()
        self._wake()

    def _touch(self) -> None:
        if self._flush_due:
            return
        self._flush_due = True
        try:
            self._background.spawn(self._flush_later(), name="show what has changed")
        except SessionClosed:
            self.flush()

    async def _flush_later(self) -> None:
        await asyncio.sleep(BATCH_INTERVAL.total_seconds())
        self.flush()


def _row(line: Line) -> list[int | str]:
    return [line.number, line.timestamp, line.text, line.kind]


def _chunks(rows: list[list[int | str]]) -> list[list[list[int | str]]]:
    """The rows in parts of CHUNK_LINES; at least one part, which may be empty."""
    return [rows[start : start + CHUNK_LINES] for start in range(0, max(1, len(rows)), CHUNK_LINES)]


def _wording(predicate: Predicate) -> str:
    """What somebody wrote as a predicate, as well as Python still knows it."""
    name = getattr(predicate, "__name__", repr(predicate))
    if name != "<lambda>":
        return name
    try:
        return inspect.getsource(predicate).strip()
    except (OSError, TypeError):
        return name

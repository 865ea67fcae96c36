"""The kernel's end of the wire between what a widget shows and its browsers; feed.js is the other end.

A widget has channels, such as `trace` (rows are lines), `chat` (rows are turns) and `panel` (no rows). Each is numbered
rows and what stands around them; the channel's class says what a row is. Messages to the browsers, as JSON objects:

========== =========================================================================================================
`delta`    `channel, epoch, seq, first, rows, summary, following`: new and replaced rows; at most one each 100 ms.
`snapshot` `channel, epoch, seq, part, parts, first, rows, summary, following`: all rows, in parts.
`answer`   `id, ok, message, alert, invalid`: what became of a command; `alert` if the reason is among the panel's
           alerts, `invalid` if its arguments cannot be used, so that it need not be tried again.
========== =========================================================================================================

A row begins with its number. `first` is the number of the first row kept: browsers drop those before it. Deltas are
numbered by `seq` within an `epoch` of their channel; a new epoch (another workflow, Clear) begins with a snapshot. A
browser that is new or that misses a number sends `hello` and gets a snapshot of each channel; a browser that is up to
date ignores one.

Messages from the browsers: `hello`; `command` with `id, name, args`; `shown` with `page, shown`, when the first view in
a page comes and when its last one goes.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar
from uuid import uuid4

from durable_demo.errors import SessionClosed, StillRunning
from durable_demo.wording import printable

if TYPE_CHECKING:
    from durable_demo.background import BackgroundLoop
    from durable_demo.entries import Item

SHOWN_BEGIN, SHOWN_END = 500, 2_000
"""Characters of a fold that are shown where it did not come to what was waited for: its head, and the newest."""
BATCH_INTERVAL = timedelta(milliseconds=100)
"""At most one delta of a channel in this time: Jupyter drops messages above 1,000 a second."""

Message = dict[str, Any]
Row = list[Any]
"""What a browser shows as one, its number first; all of it JSON."""


class Summary(Protocol):
    """What stands around a fold's parts."""

    @property
    def status(self) -> str:
        """Of the workflow; empty before the first event."""


class Fold(Protocol):
    """What a channel shows of a workflow: `Trace` and `Conversation` are such."""

    last_fact: str

    @property
    def summary(self) -> Summary:
        """What stands around it."""

    @property
    def dropped(self) -> int:
        """How many of the oldest are not kept any more."""

    def to_text(self, last: int | None = None) -> str:
        """As text."""

    def to_html(self, last: int | None = None) -> str:
        """As static HTML."""


class Numbered(Protocol):
    """A part of a fold that is shown as a row."""

    @property
    def number(self) -> int:
        """Its place since the fold began, from 0."""


F = TypeVar("F", bound=Fold)
N = TypeVar("N", bound=Numbered)


class Feed:
    """The channels of one widget, and their one wire. All methods of it and of its channels are thread-safe.

    Args:
        publish: Sends a message to all browsers; must not raise.
        background: Where batches wait for their time.

    Attributes:
        channels: In the order in which they are sent; each adds itself.
        lock: Guards all of them.
    """

    def __init__(self, publish: Callable[[Message], None], background: BackgroundLoop) -> None:
        self.channels: list[Channel] = []
        self.lock = threading.RLock()
        self.publish = publish
        self._background = background
        self._flush_due = False

    def flush(self) -> None:
        """Sends what has changed since the last deltas, if anything has."""
        with self.lock:
            self._flush_due = False
            for channel in self.channels:
                channel.flush()

    def snapshot(self) -> None:
        """Sends everything."""
        with self.lock:
            for channel in self.channels:
                channel.snapshot()

    def answer(self, command: str, *, ok: bool, message: str, alert: bool = False, invalid: bool = False) -> None:
        """Tells what became of a command."""
        with self.lock:
            told = {"id": command, "ok": ok, "message": printable(message), "alert": alert, "invalid": invalid}
            self.publish({"t": "answer", **told})

    def flush_soon(self) -> None:
        """Sends what has changed with the next batch."""
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


class Channel(ABC):
    """Numbered rows and what stands around them, alike in all browsers.

    Args:
        feed: What it belongs to.
    """

    name: ClassVar[str]
    part_rows: ClassVar[int] = 1_000
    """Rows of one message: a browser takes such a message in without a long task."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._lock = feed.lock
        self._epoch = uuid4().hex
        self._seq = 0
        self._stale = False
        feed.channels.append(self)

    def flush(self) -> None:
        """Sends what has changed since the last delta, if anything has."""
        with self._lock:
            if not self._stale:
                return
            self._stale = False
            for part in self._parts(self._changed_rows()):
                self._seq += 1
                self._feed.publish({"t": "delta", **self._head(), "rows": part})

    def snapshot(self) -> None:
        """Sends everything."""
        with self._lock:
            # Browsers that are up to date ignore a snapshot, so what has not been sent yet must not be in it alone.
            self.flush()
            parts = self._parts(self._all_rows())
            for place, part in enumerate(parts):
                self._feed.publish({"t": "snapshot", **self._head(), "part": place, "parts": len(parts), "rows": part})

    @abstractmethod
    def _around(self) -> Message:
        """`first`, `summary` and `following`."""

    def _changed_rows(self) -> list[Row]:
        """Rows that were changed since this was called last."""
        return []

    def _all_rows(self) -> list[Row]:
        return []

    def _touch(self) -> None:
        self._stale = True
        self._feed.flush_soon()

    def _begin_epoch(self) -> None:
        self._epoch = uuid4().hex
        self._seq = 0
        self._stale = False
        self.snapshot()

    def _head(self) -> Message:
        return {"channel": self.name, "epoch": self._epoch, "seq": self._seq, **self._around()}

    def _parts(self, rows: list[Row]) -> list[list[Row]]:
        """The rows in parts for one message each; at least one part, which may be empty."""
        return [rows[start : start + self.part_rows] for start in range(0, max(1, len(rows)), self.part_rows)]


class FoldChannel(Channel, Generic[F, N]):
    """A channel that shows the fold of one workflow at a time.

    Attributes:
        fold: What is shown now; another object for another workflow.
        following: Whether somebody feeds events in.
    """

    noun: ClassVar[str]

    def __init__(self, feed: Feed) -> None:
        super().__init__(feed)
        self.fold: F = self._new()
        self.following = False
        self._changed: dict[int, N] = {}
        self._waiting: list[tuple[Callable[[F], object], Future[None]]] = []

    @abstractmethod
    def _new(self) -> F:
        """An empty fold."""

    @abstractmethod
    def _apply(self, items: Sequence[Any]) -> Sequence[N]:
        """Folds items in; returns what they changed."""

    @abstractmethod
    def _kept(self) -> Sequence[N]:
        """All that the fold keeps."""

    @abstractmethod
    def _row(self, part: N) -> Row:
        """What a browser gets of a part of the fold."""

    @abstractmethod
    def _summary(self) -> Message:
        """What stands around the rows."""

    # --- changes -----------------------------------------------------------------------------------------------------

    def apply(self, fold: F, *items: Item) -> None:
        """Folds items into `fold`, and nothing if that is not the one that is shown any more."""
        with self._lock:
            if fold is not self.fold:
                return
            before = self.fold.summary
            changed = self._apply(items)
            self._changed.update((part.number, part) for part in changed)
            if changed or self.fold.summary != before:
                self._touch()
            self._wake()

    def restart(self) -> F:
        """Shows a new, empty fold.

        Returns:
            The new fold.
        """
        with self._lock:
            self.fold = self._new()
            self._begin_epoch()
            return self.fold

    def follow(self, following: bool) -> None:
        """Tells whether somebody feeds events in."""
        with self._lock:
            self.following = following
            self._touch()

    def static(self, last: int) -> tuple[str, str]:
        """The fold as HTML and as text, at most so much of it."""
        with self._lock:
            return self.fold.to_html(last=last), self.fold.to_text(last=last)

    # --- waiting -----------------------------------------------------------------------------------------------------

    async def until(self, predicate: Callable[[F], object], timeout: timedelta) -> F:
        """Waits, on whatever loop, until the fold is as `predicate` wants it.

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
            async with asyncio.timeout(timeout.total_seconds()):
                await asyncio.wrap_future(met)
        except TimeoutError:
            raise StillRunning(
                f"the {self.noun} did not come to `{_wording(predicate)}` within {timeout.total_seconds():g} s",
                why=f"it is like this:\n{_ends(self.fold.to_text(last=10))}",
                remedy="wait longer with `timeout=`; `durable-demo doctor` tells whether server and Worker are well",
            ) from None
        finally:
            with self._lock, suppress(ValueError):
                self._waiting.remove(entry)
        return self.fold

    def _wake(self) -> None:
        for predicate, met in list(self._waiting):
            if met.done():
                continue
            try:
                if predicate(self.fold):
                    met.set_result(None)
            except Exception as error:
                met.set_exception(error)

    # --- rows --------------------------------------------------------------------------------------------------------

    def _around(self) -> Message:
        return {"first": self.fold.dropped, "summary": self._summary(), "following": self.following}

    def _changed_rows(self) -> list[Row]:
        parts = [part for number, part in sorted(self._changed.items()) if number >= self.fold.dropped]
        self._changed.clear()
        return [self._row(part) for part in parts]

    def _all_rows(self) -> list[Row]:
        return [self._row(part) for part in self._kept()]

    def _begin_epoch(self) -> None:
        self._changed.clear()
        super()._begin_epoch()
        self._wake()


def _wording(predicate: Callable[..., object]) -> str:
    """What somebody wrote as a predicate, as well as Python still knows it."""
    name = getattr(predicate, "__name__", repr(predicate))
    if name != "<lambda>":
        return name
    try:
        return inspect.getsource(predicate).strip()
    except (OSError, TypeError):
        return name


def _ends(text: str) -> str:
    """A text, or its beginning and its end if it is long."""
    return text if len(text) <= SHOWN_BEGIN + SHOWN_END else f"{text[:SHOWN_BEGIN]}\n...\n{text[-SHOWN_END:]}"

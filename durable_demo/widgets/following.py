"""Follows one workflow at a time into one or more channels, and rests while nobody looks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from durable_demo import events as e
from durable_demo.entries import PendingWork
from durable_demo.errors import SessionClosed, StillRunning
from durable_demo.run import Run
from durable_demo.trace import ENDED
from durable_demo.widgets.feed import Fold, FoldChannel
from durable_demo.wording import pending_words
from durable_demo.workflows.checks import patience

if TYPE_CHECKING:
    from durable_demo.background import BackgroundLoop, Pending
    from durable_demo.session import Session

R = TypeVar("R", bound=Run)
F = TypeVar("F", bound=Fold)


def run_of(demo: Session, run: Run | str) -> Run:
    """A workflow that a person named by itself or by its Workflow ID.

    Raises:
        InvalidInput: It is neither.
    """
    return run if isinstance(run, Run) else demo.attach(run)


class Following(Generic[R, F]):
    """What keeps a channel up to date with a workflow. All methods are thread-safe.

    Args:
        background: Where it reads.
        channel: Where it shows the events that it has read; knows how far it has come.
        others: Channels that show the same workflow in their own ways, from its history too.

    Attributes:
        run: The workflow that is shown; None before the first.
    """

    def __init__(
        self, background: BackgroundLoop, channel: FoldChannel[F, Any], *others: FoldChannel[Any, Any]
    ) -> None:
        self.run: R | None = None
        self._background = background
        self._channel = channel
        self._others = others
        self._reading: Pending[None] | None = None
        self._turn = object()
        self._awaited = 0
        self._resting = False
        self._pending: PendingWork | None = None  # at the last look
        # Cells, the background loop and each browser's subshell have threads of their own.
        self._one_change = threading.RLock()

    def __str__(self) -> str:
        return "nothing" if self.run is None else f"{self.run.id}: {self._channel.fold.summary.status or 'starting'}"

    @property
    def active(self) -> bool:
        """Whether it reads."""
        return self._reading is not None and not self._reading.done

    @property
    def fold(self) -> F:
        """What is shown, kept up to date from now on."""
        self.go_on()
        return self._channel.fold

    def follow(self, run: R) -> None:
        """Shows this workflow from now on; goes on where it was lost if it was shown before."""
        with self._one_change:
            if run == self.run and self.active:
                return
            self.close()
            # What has ended may have begun anew under the same Workflow ID.
            if run != self.run or self._channel.fold.summary.status in ENDED:
                for channel in self._channels:
                    channel.restart()
            self.run = run
            self._resting = False
            self._pending = None
            self._turn = object()
            for channel in self._channels:
                channel.follow(True)
            work = self._read(run, [channel.fold for channel in self._channels], self._turn)
            self._reading = self._background.spawn(work, name=f"follow {run.id}")

    def leave(self) -> None:
        """Shows no workflow any more."""
        with self._one_change:
            self.close()
            self.run = None
            self._resting = False
            self._turn = object()
            for channel in self._channels:
                channel.restart()
                channel.follow(False)

    def rest(self) -> None:
        """Reads no more until it is asked to go on, unless somebody waits for what it shows."""
        with self._one_change:
            if self.active and not self._awaited:
                self._resting = True
                self.close()

    def go_on(self) -> None:
        """Follows on from where it began to rest."""
        if not self._resting:
            return  # without the lock: a predicate of `until` may ask for the fold while the channel holds its own
        with self._one_change:
            if self._resting and self.run is not None and self._background.running:
                self.follow(self.run)

    def close(self) -> None:
        """Reads no more; the workflow goes on."""
        if self._reading is not None:
            self._reading.cancel()

    async def until(self, predicate: Callable[[F], object], timeout: float | timedelta) -> F:
        """Waits until what is shown is as `predicate` wants it; does not rest meanwhile.

        Raises:
            StillRunning: It was not within `timeout` (seconds or a timedelta).
        """
        limit = patience(timeout)
        with self._one_change:
            self._awaited += 1
            self.go_on()
        try:
            return await self._channel.until(predicate, limit)
        except StillRunning as error:
            pending = "\n".join(pending_words(self._pending)) if self._pending is not None else ""
            if not pending:
                raise
            why = f"at the server is pending:\n{pending}\n{error.why}"
            raise StillRunning(error.what, why=why, remedy=error.remedy) from None
        finally:
            with self._one_change:
                self._awaited -= 1

    @property
    def _channels(self) -> list[FoldChannel[Any, Any]]:
        return [self._channel, *self._others]

    async def _read(self, run: R, folds: list[Any], turn: object) -> None:
        fold, *other_folds = folds
        try:
            after = fold.last_fact or None
            async for item in run.items(after) if self._others else run.events(after):
                if isinstance(item, e.Event):
                    self._channel.apply(fold, item)
                elif isinstance(item, PendingWork) and turn is self._turn:
                    self._pending = item
                for channel, other in zip(self._others, other_folds, strict=True):
                    channel.apply(other, item)
        except SessionClosed:
            return  # nobody is left to tell
        except Exception as error:
            now = e.format_timestamp(datetime.now(UTC))
            self._channel.apply(
                fold,
                e.Error(
                    timestamp=now, workflow_id=run.id, run_id="", offset=fold.last_fact, tick=True, error=str(error)
                ),
            )
            raise
        finally:
            if turn is self._turn:
                for channel in self._channels:
                    channel.follow(False)

"""What a widget's browsers are told of the tab Break it: what is broken and which processes run, and the stopwatch."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from durable_demo.faults import Faults
from durable_demo.recovery import Recovery
from durable_demo.recovery_text import RecoveryLine
from durable_demo.widgets.feed import Channel, Feed, FoldChannel, Message, Row
from durable_demo.wording import fault_words, printable

if TYPE_CHECKING:
    from durable_demo.entries import Item
    from durable_demo.faults import Break, Incident

SHOWN_INCIDENTS = 50


class RecoveryChannel(FoldChannel[Recovery, RecoveryLine]):
    """The stopwatch of the workflow that is watched. A row is `[number, timestamp, source, text]`."""

    name = "recovery"
    noun = "stopwatch"
    lasting: Break | None = None
    """The latest break, until nothing is broken any more: a workflow that is shown next is concerned too."""

    def begin(self, broken: Break) -> None:
        """Somebody has broken or mended something; where nothing was broken, mending starts no stopwatch."""
        with self._lock:
            if broken.mends and not self.fold.summary.kind:
                return
            if not broken.mends:
                self.lasting = broken
            self.fold.begin(broken)
            # All lines may be others now.
            self._begin_epoch()

    def forget(self, mended: Break | None) -> None:
        """Nothing is broken any more of this break: what is shown stays, a workflow shown next was not concerned."""
        with self._lock:
            if self.lasting is mended:
                self.lasting = None

    def note(self, incidents: Sequence[Incident]) -> None:
        """Nothing but these has come until now."""
        with self._lock:
            before = self.fold.summary
            lines = self.fold.note(*incidents)
            self.fold.look(datetime.fromtimestamp(time.time(), UTC))
            self._changed.update((line.number, line) for line in lines)
            if lines or self.fold.summary != before:
                self._touch()
            self._wake()

    def _new(self) -> Recovery:
        recovery = Recovery()
        if self.lasting is not None:
            recovery.begin(self.lasting)
        return recovery

    def _apply(self, items: Sequence[Item]) -> Sequence[RecoveryLine]:
        return self.fold.apply(*items)

    def _kept(self) -> Sequence[RecoveryLine]:
        return sorted(self.fold.lines, key=lambda line: line.number)

    def _row(self, line: RecoveryLine) -> Row:
        return [line.number, line.timestamp, line.source, line.text]

    def _summary(self) -> Message:
        summary = self.fold.summary
        told = {"headline": summary.headline, "facts": summary.facts, "now": round(time.time() * 1_000)}
        return {**dataclasses.asdict(summary), **told}


class ChatRecoveryChannel(RecoveryChannel):
    """The stopwatch of the conversation."""

    name = "chat_recovery"


class BreakChannel(Channel):
    """What is broken on purpose, and the processes. It has no rows."""

    name = "break"

    def __init__(self, feed: Feed) -> None:
        super().__init__(feed)
        self._state: dict[str, Any] = {
            "ready": False,
            "possible": {"workers": "", "server": ""},
            "server": None,
            "workers": [],
            "faults": dataclasses.asdict(Faults()),
            "broken": [],
            "incidents": [],
            "problem": "",
            "resetting": False,
            "reset": "",
        }

    def show(self, **state: object) -> None:
        """Changes its state.

        Args:
            state: `ready`: whether it was looked at. `possible`: why Workers, or the server and its network, cannot be
                broken from here; empty if they can. `server`, `workers`: `pid` and `state` of each process, with the
                `module` that a Worker of a notebook's workflow serves. `faults`: the fields of `Faults`. `broken`: the
                same in words, see `broken()`. `incidents`: the newest, as `[timestamp, text]`. `problem`: why it cannot
                be looked at. `resetting`: whether a reset is under way. `reset`: what the last one did.
        """
        with self._lock:
            if any(self._state[name] != value for name, value in state.items()):
                self._state.update(state)
                self._touch()

    def _around(self) -> Message:
        summary = {**self._state, "now": round(time.time() * 1_000)}
        return {"first": 0, "summary": summary, "following": False}


def broken(faults: Faults) -> list[list[Any]]:
    """What is broken on purpose, in words, each with the Unix milliseconds of its end; None: when it is mended."""
    ends = {name: round(1_000 * moment) for name, moment in faults.until.items()}
    return [[words, ends.get(name)] for name, words in fault_words(faults).items()]


def shown_incidents(incidents: Sequence[Incident]) -> list[list[str]]:
    """The newest incidents, as `[timestamp, text]`."""
    return [[incident.timestamp, printable(str(incident))] for incident in incidents[-SHOWN_INCIDENTS:]]

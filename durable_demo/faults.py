"""What is broken on purpose: the state that the tab Break it changes, and what was seen of it.

`Faults` is one small file in the state directory. Sessions write it; the supervisor carries out what concerns processes
and the network, the Workers what concerns Activities. Without the file nothing is broken. `incidents.jsonl` beside it
is what the supervisor saw: written by it alone, read by whoever wants to know what really happened.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast, get_args

from filelock import FileLock

from durable_demo.errors import InvalidInput
from durable_demo.events import format_timestamp

Network = Literal["ok", "cut", "slow", "resets"]
ProcessName = Literal["server", "worker", "network"]

MAX_WORKERS = 4
MAX_FAILURES = 50
MAX_SLOW_TOOLS_S = 15.0
"""Below a tool's start-to-close timeout (20 s), with room for the tool itself."""
MAX_SECONDS = 600.0
"""How long a fault may be asked to last."""
MAX_INCIDENTS = 500
_LOCK_DEADLINE_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What is broken on purpose now. The defaults are the happy path.

    Attributes:
        workers: Worker processes that the supervisor keeps, 0 to 4; 0: they are killed (SIGKILL) and stay dead.
        frozen: Whether the Workers are stopped (SIGSTOP).
        server: Whether the embedded server is kept; False: it is killed (SIGKILL) and stays dead.
        network: The way between Workers and embedded server: `ok`, `cut` (nothing passes), `slow` or `resets`
            (connections break again and again).
        failures: Attempts of Activities that fail before they begin; counted down by the Workers.
        slow_tools: Seconds that each tool of the agent takes longer.
        model_down: Whether each attempt to ask the agent's model fails.
        cut_answers: Answers of the model that break off in the middle; counted down by the Workers.
        until: Unix time at which the supervisor puts a field back to its default, by the field's name.
        changes: How often it was written: what was read at or after a change knows of it.
    """

    workers: int = 1
    frozen: bool = False
    server: bool = True
    network: Network = "ok"
    failures: int = 0
    slow_tools: float = 0.0
    model_down: bool = False
    cut_answers: int = 0
    until: Mapping[str, float] = field(default_factory=dict)
    changes: int = field(default=0, compare=False)

    @property
    def happy(self) -> bool:
        """Whether nothing is broken; more than one Worker is no fault."""
        return replace(self, workers=min(self.workers, 1), until={}) == Faults()

    def mended(self, *names: str) -> Faults:
        """These fields back at their defaults."""
        until = {name: moment for name, moment in self.until.items() if name not in names}
        return replace(self, until=until, **{name: getattr(_HAPPY, name) for name in names})

    def usable(self) -> Faults:
        """With a server, a Worker and a network that work: what a session needs to begin."""
        return replace(self.mended("frozen", "server", "network"), workers=max(self.workers, 1))

    def at(self, now: float) -> Faults:
        """What is still broken at this Unix time."""
        return self.mended(*(name for name, moment in self.until.items() if moment <= now))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Faults:
        """The inverse of `dataclasses.asdict`; what cannot be used counts as not broken."""
        good = {}
        for name, default in dataclasses.asdict(_HAPPY).items():
            value = values.get(name, default)
            fits = type(value) is type(default) or (isinstance(default, float) and type(value) is int)
            good[name] = value if fits else default
        if good["network"] not in get_args(Network):
            del good["network"]
        if not 0 <= good["workers"] <= MAX_WORKERS:
            del good["workers"]
        good["until"] = {
            name: moment
            for name, moment in good["until"].items()
            if name in good and isinstance(moment, int | float) and math.isfinite(moment)
        }
        return cls(**good)


_HAPPY = Faults()


@dataclass(frozen=True, kw_only=True)
class Break:
    """One thing that somebody broke or mended.

    Attributes:
        kind: The verb, such as `kill_worker`.
        timestamp: Just before it was done: UTC, ISO 8601, milliseconds, `Z`.
        done: What was done, as one sentence.
        expected: What will happen, as one or two sentences.
        mends: Whether it broke nothing: it ends what was broken before, or adds Workers.
    """

    kind: str
    timestamp: str
    done: str
    expected: str
    mends: bool = False

    def __str__(self) -> str:
        return f"{self.done} {self.expected}"


@dataclass(frozen=True, kw_only=True)
class Incident:
    """What the supervisor saw of a process or of the network.

    Attributes:
        timestamp: When: UTC, ISO 8601, milliseconds, `Z`.
        process: Of what.
        what: What happened, such as `started`, `polls`, `answers`, `killed by SIGKILL`, `frozen (SIGSTOP)` or `cut`.
        pid: Pid of the process; None for the network.
    """

    timestamp: str
    process: ProcessName
    what: str
    pid: int | None = None

    def __str__(self) -> str:
        name = {"server": "Server", "worker": "Worker", "network": "Network"}[self.process]
        return f"{name}{'' if self.pid is None else f' {self.pid}'}: {self.what}"


class FaultFile:
    """`faults.json` and `incidents.jsonl` of one state directory. Creating the object touches nothing.

    Args:
        home: The state directory.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / "faults.json"
        self._lock = home / "faults.lock"
        self._incidents = home / "incidents.jsonl"

    def read(self) -> Faults:
        """What is broken now; nothing if there is no file, or none that can be read."""
        try:
            values = json.loads(self.path.read_text("utf-8"))
        except (OSError, ValueError):
            return _HAPPY
        return Faults.from_dict(values) if isinstance(values, dict) else _HAPPY

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with FileLock(self._lock, timeout=_LOCK_DEADLINE_SECONDS, mode=0o600, thread_local=False):
            yield

    def change(self, name: str, value: object, seconds: float | None = None) -> Faults:
        """Sets a field, for ever or for some seconds, and gives back what is broken now; atomic, whoever else does it.

        Raises:
            OSError: The file cannot be written.
            filelock.Timeout: Somebody has held its lock for 5 s.
        """
        with self._locked():
            faults = self.read().mended(name)
            until = faults.until if seconds is None else {**faults.until, name: time.time() + seconds}
            changed: dict[str, Any] = {name: value, "until": until}
            return self._write(replace(faults, **changed))

    def mend(self, *names: str) -> Faults:
        """Puts fields back to their defaults, or without any name all of them; raises like `change`."""
        with self._locked():
            faults = self.read()
            return self._write(faults.mended(*names) if names else replace(_HAPPY, changes=faults.changes))

    def make_usable(self) -> Faults:
        """Sees that server, Worker and network are not kept from working; raises like `change`."""
        with self._locked():
            before = self.read()
            return before if before.usable() == before else self._write(before.usable())

    def expire(self, now: float | None = None) -> Faults:
        """Ends what was to last until now; raises like `change`."""
        now = time.time() if now is None else now
        faults = self.read()
        if faults.at(now) == faults:
            return faults
        with self._locked():
            return self._write(self.read().at(now))

    def clear(self) -> None:
        """Nothing is broken any more, and nothing was."""
        for path in (self.path, self._incidents):
            path.unlink(missing_ok=True)

    def take(self, name: Literal["failures", "cut_answers"]) -> int | None:
        """Uses up one of what is counted down.

        Returns:
            How many are left; None if there was none to use up.
        """
        if getattr(self.read(), name) < 1:  # the happy path needs no lock
            return None
        with self._locked():
            faults = self.read()
            left = cast(int, getattr(faults, name)) - 1
            if left >= 0:
                changed: dict[str, Any] = {name: left}
                self._write(replace(faults, **changed))
        return left if left >= 0 else None

    def record(self, process: ProcessName, what: str, pid: int | None = None) -> None:
        """Adds an incident. For the supervisor alone; a full disk keeps nothing from working."""
        incident = Incident(timestamp=format_timestamp(datetime.now(UTC)), process=process, what=what, pid=pid)
        with contextlib.suppress(OSError):
            if self._incidents.exists() and self._incidents.stat().st_size > 200 * MAX_INCIDENTS:
                kept = self._incidents.read_text("utf-8").splitlines(keepends=True)[-MAX_INCIDENTS // 2 :]
                self._replace(self._incidents, "".join(kept))
            with os.fdopen(os.open(self._incidents, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as file:
                file.write(json.dumps(dataclasses.asdict(incident)) + "\n")

    def incidents(self, since: str = "") -> list[Incident]:
        """What was seen at or after `since` (as an event's timestamp), oldest first."""
        try:
            lines = self._incidents.read_text("utf-8").splitlines()
        except OSError:
            return []
        found = []
        for line in lines:
            with contextlib.suppress(ValueError, TypeError):  # the last line may be half written
                found.append(Incident(**json.loads(line)))
        return [incident for incident in found if incident.timestamp >= since]

    def _write(self, faults: Faults) -> Faults:
        faults = replace(faults, changes=faults.changes + 1)
        self._replace(self.path, json.dumps(dataclasses.asdict(faults), indent=2))
        return faults

    def _replace(self, path: Path, text: str) -> None:
        draft = path.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        draft.replace(path)


# --- what people ask for ---------------------------------------------------------------------------------------------


def check_whole(name: str, value: object, least: int, most: int) -> int:
    """A whole number within limits.

    Raises:
        InvalidInput: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidInput(f"{name} must be a whole number from {least} to {most}, not {str(value)[:40]!r}")
    return value


def check_duration(name: str, value: object, most: float = MAX_SECONDS) -> float:
    """A number of seconds above 0 and within a limit.

    Raises:
        InvalidInput: It is not.
    """
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not 0 < number <= most:
        raise InvalidInput(f"{name} must be a number of seconds above 0 and up to {most:g}, not {str(value)[:40]!r}")
    return float(number)

"""The state directory of one stack: who runs it, who uses it, what it said.

::

    HOME/
      start.lock        held while somebody starts the stack, so that only one does
      supervisor.lock   held by the supervisor for as long as it lives
      leases/*.lock     one for each session, held for as long as it lives
      stack.json        what runs: written by the supervisor alone, replaced atomically
      port              of the last server; the next one is at the same address, where clients look for it
      faults.json       what is broken on purpose (`faults.py`); incidents.jsonl: what the supervisor saw of it
      live/*.py         modules of workflows that were written in notebooks; each has a Worker of its own
      temporal.db       the server's database
      server.log worker.log supervisor.log

The operating system frees a lock when its holder dies, also by SIGKILL: a lock that is held means a process that lives.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
import stat
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import psutil
from filelock import BaseFileLock, FileLock, Timeout

from durable_demo import settings
from durable_demo.errors import StateDirError
from durable_demo.faults import Faults
from durable_demo.web_ui import WebUi

LOG_NAME = re.compile(r"server|worker|supervisor|live-[A-Za-z_][A-Za-z0-9_]*")
"""Whose log: that of a live module's Worker is named `live-` and the module."""

_BEGAN_TOLERANCE_SECONDS = 2.0
"""Small corrections of the system clock move create times; a pid that is used again began far from the old one."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_OUR_FILES = re.compile(
    r"(start|supervisor|faults)\.lock|leases|(stack|faults)\.(json|new)|incidents\.(jsonl|new)|port|temporal\.db.*|live"
    r"|(server|worker|supervisor|live-.+)\.log(\.1)?|remote-.+"
)
_LEASE_DEADLINE_SECONDS = 5.0
_GROWTH_KB = 256
"""The server's database grows by so much at once."""
_TAIL_BYTES = 256 * 1024


@dataclass(frozen=True)
class ProcessInfo:
    """One process, told apart from a later one with the same pid by when it began.

    Attributes:
        pid: Its pid.
        began: On Linux seconds from boot to its start, since a step of the system clock moves the create times that are
            computed from them; elsewhere its create time.
        boot: Which boot that was; empty where the system does not tell.
    """

    pid: int
    began: float
    boot: str = ""

    @classmethod
    def of(cls, pid: int) -> ProcessInfo | None:
        """The process that has this pid now, or None."""
        try:
            return cls(pid, _began(pid), _boot())
        except (OSError, psutil.NoSuchProcess):
            return None

    @property
    def alive(self) -> bool:
        """Whether this very process runs (a zombie does not)."""
        now = ProcessInfo.of(self.pid)
        if not now or now.boot != self.boot or abs(now.began - self.began) > _BEGAN_TOLERANCE_SECONDS:
            return False
        try:
            return _runs(psutil.Process(self.pid))
        except psutil.NoSuchProcess:
            return False

    def terminate(self) -> None:
        """Ask it to end (SIGTERM); harmless when it is gone."""
        if self.alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(self.pid).terminate()

    def family(self) -> list[psutil.Process]:
        """It and its descendants, itself first; empty when it is gone."""
        if not self.alive:
            return []
        try:
            process = psutil.Process(self.pid)
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def freeze(self, frozen: bool) -> None:
        """Stop it and its descendants in their tracks (SIGSTOP), or let them go on (SIGCONT)."""
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend() if frozen else process.resume()

    def kill(self) -> bool:
        """Kill it and its descendants and wait for their end; False if it was gone already."""
        family = self.family()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        deadline = time.monotonic() + settings.KILL_DEADLINE.total_seconds()
        while any(map(_runs, family)) and time.monotonic() < deadline:
            time.sleep(0.01)
        return bool(family)


@dataclass(frozen=True)
class LiveInfo:
    """The Worker of a live module, a workflow that was written in a notebook.

    Attributes:
        name: Name of the module.
        digest: SHA-256 of the text that it serves or tries to serve, as hexadecimal digits.
        ready: Whether it polls its Task Queue.
        problem: Why it does not; empty if it does, or has only just been started.
        process: Its process; None while there is none.
    """

    name: str
    digest: str
    ready: bool
    problem: str = ""
    process: ProcessInfo | None = None


@dataclass(frozen=True)
class StackInfo:
    """What a session needs to know of the stack that runs.

    Attributes:
        address: `host:port` of the Temporal server.
        namespace: Namespace on it.
        task_queue: Task Queue that the Worker polls.
        embedded: Whether the server is ours, in `home`; else it was configured (`TEMPORAL_ADDRESS`, a profile).
        home: State directory of this stack.
        supervisor: The process that keeps the others alive; None with external Workers on a configured server.
        server: The embedded server.
        workers: Our Workers; none when Workers are external.
        ready: Whether all that is wanted works: the server answers and the Workers poll; else one is being started.
        web_ui: Temporal's Web UI for this server; None if there is none or none is known.
        faults: What is broken on purpose, as far as it concerns processes and the network: this is in force.
        live: Workers of live modules.
        runs_workers: Whether the kit runs Workers here, if perhaps none now; else people run their own.
    """

    address: str
    namespace: str
    task_queue: str
    embedded: bool
    home: Path
    supervisor: ProcessInfo | None = None
    server: ProcessInfo | None = None
    workers: tuple[ProcessInfo, ...] = ()
    ready: bool = True
    web_ui: WebUi | None = None
    faults: Faults = field(default_factory=Faults)
    live: tuple[LiveInfo, ...] = ()
    runs_workers: bool = True

    @property
    def worker(self) -> ProcessInfo | None:
        """The first of our Workers."""
        return self.workers[0] if self.workers else None

    @property
    def processes(self) -> list[ProcessInfo]:
        """What runs: supervisor first."""
        live = [module.process for module in self.live]
        return [process for process in (self.supervisor, self.server, *self.workers, *live) if process]

    def to_json(self) -> str:
        """As stored in `stack.json`."""
        return json.dumps(dataclasses.asdict(self), default=str, indent=2)

    @classmethod
    def from_json(cls, text: str) -> StackInfo:
        """The inverse of `to_json()`.

        Raises:
            ValueError: The text was not written by `to_json()`.
        """
        try:
            fields: dict[str, Any] = json.loads(text)
            worker = fields.pop("worker", None)  # a supervisor of an earlier version has one, and not all of the others
            workers = fields.get("workers", [worker] if worker else [])
            live = fields.get("live", [])
            web_ui = fields.get("web_ui")
            return cls(
                **{
                    **fields,
                    "home": Path(fields["home"]),
                    "supervisor": _process(fields["supervisor"]),
                    "server": _process(fields["server"]),
                    "workers": tuple(ProcessInfo(**process) for process in workers),
                    "live": tuple(LiveInfo(**{**module, "process": _process(module["process"])}) for module in live),
                    "faults": Faults.from_dict(fields.get("faults", {})),
                    "web_ui": WebUi(**web_ui) if web_ui else None,
                }
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"not a stack.json: {error}") from error


def _process(fields: dict[str, Any] | None) -> ProcessInfo | None:
    return ProcessInfo(**fields) if fields else None


class StateDir:
    """Paths, locks and files of one state directory. Creating the object touches nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / "temporal.db"
        self.live = path / "live"
        self._info = path / "stack.json"
        self._port = path / "port"
        self._leases = path / "leases"

    def prepare(self) -> None:
        """Make the directory, private, and see that it can be written.

        A directory that was there already, with files of others in it, keeps its mode; our files in it are private.

        Raises:
            StateDirError: It cannot.
        """
        with self.usable():
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if all(_OUR_FILES.fullmatch(each.name) for each in self.path.iterdir()):
                _make_private(self.path)
            self._leases.mkdir(mode=0o700, exist_ok=True)
            probe = self._leases / f".probe-{uuid.uuid4().hex}"
            probe.touch(mode=0o600)
            probe.unlink()

    @contextlib.contextmanager
    def usable(self) -> Iterator[None]:
        """Turn an OSError on the state directory, or a path that can be none, into a StateDirError."""
        try:
            yield
        except (OSError, ValueError) as error:
            what, where = getattr(error, "strerror", None), getattr(error, "filename", None)
            raise StateDirError(
                f"The state directory {str(self.path)!r} cannot be used.",
                why=f"{what or error} ({str(where or self.path)!r})",
                remedy=f"set {settings.ENV_HOME} to a directory that you can write to; `durable-demo doctor` checks it",
            ) from error

    def require_free_disk(self) -> None:
        """See that there is room for the database.

        Raises:
            StateDirError: There is not.
        """
        with self.usable():
            free_mb = shutil.disk_usage(self.path).free / 1e6
        if free_mb < settings.MINIMUM_FREE_DISK_MB:
            raise self.disk_full(f"{free_mb:.0f} MB are free, {settings.MINIMUM_FREE_DISK_MB} MB are needed")

    def full_disk(self) -> StateDirError | None:
        """The error for a disk on which the database cannot grow any more; None if it can."""
        try:
            free_kb = shutil.disk_usage(self.path).free / 1e3
        except OSError:
            return None
        return None if free_kb > _GROWTH_KB else self.disk_full(f"{free_kb:.0f} kB are free: the server cannot write")

    def disk_full(self, why: str) -> StateDirError:
        """The error for a disk without room."""
        return StateDirError(
            f"The disk of the state directory {self.path} is full.",
            why=why,
            remedy=f"free some space (`df -h {self.path}`), or set {settings.ENV_HOME} to a directory on another disk",
        )

    # --- locks ---

    def try_lock(self, name: Literal["start", "supervisor"]) -> BaseFileLock | None:
        """Take one of the two locks; None if somebody else holds it."""
        with self.usable():
            return _try_lock(self.path / f"{name}.lock")

    def is_supervised(self) -> bool:
        """Whether a supervisor lives."""
        if not (self.path / "supervisor.lock").exists():
            return False
        lock = self.try_lock("supervisor")
        if lock:
            lock.release()
        return lock is None

    def take_lease(self) -> BaseFileLock:
        """Take a lease: as long as it is held, the stack stays up. `give_back()` releases it, and so does death."""
        path = self._leases / f"{os.getpid()}-{uuid.uuid4().hex[:8]}.lock"
        lease = FileLock(path, mode=0o600, thread_local=False)
        with self.usable():
            while True:
                lease.acquire(timeout=_LEASE_DEADLINE_SECONDS)
                if path.exists():
                    return lease
                lease.release()  # a supervisor took the new file for a dead lease, before it was locked

    def give_back(self, lease: BaseFileLock) -> None:
        """Release a lease and remove its file."""
        lease.release()
        _remove(Path(lease.lock_file))

    def count_leases(self) -> int:
        """How many sessions use the stack now; removes what dead ones left."""
        with self.usable():
            return sum(not _remove_if_free(path) for path in self._leases.glob("*.lock"))

    # --- stack.json ---

    def read(self) -> StackInfo | None:
        """What the last supervisor wrote; None if there is nothing that can be read."""
        try:
            return StackInfo.from_json(self._info.read_text("utf-8"))
        except (OSError, ValueError):
            return None

    def write(self, info: StackInfo) -> None:
        """Replace `stack.json`, atomically. For the supervisor alone."""
        with self.usable():
            draft = self._info.with_suffix(".new")
            draft.write_text(info.to_json(), "utf-8")
            draft.replace(self._info)

    def clear(self) -> None:
        """Remove `stack.json`: nothing runs any more."""
        _remove(self._info)

    @property
    def last_port(self) -> int:
        """The port of the last server here; 0 if it is not known."""
        try:
            port = int(self._port.read_text("ascii"))
        except (OSError, ValueError):
            return 0
        return port if 0 < port < 65536 else 0

    def remember_port(self, port: int) -> None:
        """Keep the port for the next server, when this one has been stopped in good order too."""
        with self.usable():
            self._port.write_text(f"{port}\n", "ascii")

    # --- logs ---

    def open_log(self, name: str) -> BinaryIO:
        """The log for a new process, at its end; a large one is set aside first."""
        path = self._log(name)
        with self.usable():
            if path.exists() and path.stat().st_size > settings.MAXIMUM_LOG_MB * 1e6:
                with contextlib.suppress(PermissionError):  # Windows: somebody has it open; the next start will do it
                    path.replace(path.with_suffix(".log.1"))
            return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")

    def tail(self, name: str, lines: int, *, since: int = 0) -> str:
        """The last lines of a log, of what was written behind the byte `since`; empty if there is none."""
        try:
            with self._log(name).open("rb") as log:
                end = log.seek(0, os.SEEK_END)
                log.seek(max(since, end - _TAIL_BYTES))
                text = log.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _log(self, name: str) -> Path:
        return self.path / f"{name}.log"


def _began(pid: int) -> float:
    if sys.platform != "linux":
        return psutil.Process(pid).create_time()
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()  # the name before may have blanks
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _boot() -> str:
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""


def _make_private(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        with contextlib.suppress(PermissionError):  # it belongs to somebody else, or its file system has no modes
            path.chmod(mode & 0o700)


def _runs(process: psutil.Process) -> bool:
    """Whether it runs; a zombie does not, and stays one for as long as nobody reaps it (PID 1 of many containers)."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _try_lock(path: Path) -> BaseFileLock | None:
    """The lock, held now; None if somebody else holds it."""
    lock = FileLock(path, mode=0o600, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


def _remove_if_free(path: Path) -> bool:
    """Remove a lock file that nobody holds, while nobody else can take it; False if somebody holds it."""
    lock = _try_lock(path)
    if not lock:
        return False
    removed = _remove(path)
    lock.release()
    if not removed:  # Windows removes no open file
        _remove(path)
    return True


def _remove(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        return False
    return True

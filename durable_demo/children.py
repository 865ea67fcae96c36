"""The processes that a supervisor keeps alive: the embedded server, Workers, and Workers of live modules."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from abc import ABC, abstractmethod
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from durable_demo import server, settings
from durable_demo.errors import ConnectionFailed, ServerTooOld, StackError, WorkerFailed
from durable_demo.faults import ProcessName
from durable_demo.processes import environment, guarded, python_command
from durable_demo.statedir import ProcessInfo, StateDir
from durable_demo.web_ui import WebUi

if TYPE_CHECKING:
    from temporalio.client import Client

logger = logging.getLogger("durable_demo.supervisor")

_READY_POLL_SECONDS = 0.05
_READY_ATTEMPT = timedelta(seconds=2)
_SHOWN_LINES = 15


class Child(ABC):
    """A process that is kept alive, started through the guard, with a log file of its own."""

    kind: ProcessName
    works: str
    """What it does when it is of use, as an incident."""
    stop_timeout: timedelta

    def __init__(self, state: StateDir, name: str) -> None:
        self.state = state
        self.name = name
        """Of its log."""
        self.info: ProcessInfo | None = None
        self.is_ready = False
        self.is_frozen = False
        self.wanted = asyncio.Event()
        """Set as long as it is to be kept alive."""
        self.wanted.set()
        self._process: asyncio.subprocess.Process | None = None
        self._started = 0.0
        self.log_start = 0

    @abstractmethod
    def command(self) -> list[str]:
        """What to run."""

    def environment(self) -> dict[str, str]:
        """What it finds in its environment."""
        return environment()

    @abstractmethod
    async def answers(self) -> bool:
        """Whether it does its work now."""

    @abstractmethod
    def failure(self, status: int | None) -> StackError:
        """The error for a process that ended with this status, or (None) that runs and never answered."""

    async def start(self) -> None:
        """Start the process; it need not be of use yet."""
        self._process = None  # whatever becomes of this start: the last one is over
        with self.state.open_log(self.name) as log:
            self.log_start = log.seek(0, os.SEEK_END)
            self._process = await asyncio.create_subprocess_exec(
                *guarded(self.command()),
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                env=self.environment(),
            )
        self._started = time.monotonic()
        self.is_frozen = False
        self.info = ProcessInfo.of(self._process.pid)

    async def become_ready(self) -> None:
        """Wait until it does its work.

        Raises:
            StackError: It ended instead, or did not within the deadline.
        """
        assert self._process, "start() comes first"  # noqa: S101
        deadline = self._started + settings.START_DEADLINE.total_seconds()
        while not await self.answers():
            if self._process.returncode is not None or time.monotonic() > deadline:
                raise self.failure(self._process.returncode)
            await asyncio.sleep(_READY_POLL_SECONDS)
        self.is_ready = True

    async def ended(self) -> str:
        """Wait until it ends; returns how, such as ``killed by SIGKILL``."""
        assert self._process, "start() comes first"  # noqa: S101
        status = await self._process.wait()
        if status >= 0:
            return f"ended with status {status}"
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-status).name}"
        return f"killed by signal {-status}"

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def was_killed(self) -> bool:
        """Whether it ended by a signal."""
        return self._process is not None and (self._process.returncode or 0) < 0

    @property
    def pid(self) -> int | None:
        """Its pid; of the last process, when it has ended."""
        return self._process.pid if self._process else None

    def freeze(self, frozen: bool) -> bool:
        """Stop it in its tracks (SIGSTOP), or let it go on (SIGCONT); returns whether that changed anything."""
        if not self.info or not self.running or self.is_frozen == frozen:
            return False
        self.info.freeze(frozen)
        self.is_frozen = frozen
        return True

    async def kill(self) -> None:
        """Kill it (SIGKILL); harmless when it is not running."""
        if self.info and self.running:
            await asyncio.to_thread(self.info.kill)

    async def stop(self) -> None:
        """Ask it to end, and kill it when it takes too long; harmless when it is not running."""
        if not self._process or not self.running:
            return
        self.freeze(False)
        if self._process.stdin:
            self._process.stdin.close()  # what the guard waits for, where it stays
        if sys.platform != "win32":  # there, terminate() would kill the guard and not its child
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
        try:
            async with asyncio.timeout(self.stop_timeout.total_seconds()):
                await self._process.wait()
        except TimeoutError:
            logger.warning("%s does not end: killed", self.name)
            await self.kill()


class Server(Child):
    """The embedded Temporal server.

    Args:
        state: The state directory.
        binary: The `temporal` program.
        port: Port of its gRPC service.
        with_web_ui: Whether it runs Temporal's Web UI, if a port for that is free at its start.
    """

    kind = "server"
    works = "answers"
    stop_timeout = settings.SERVER_STOP_TIMEOUT

    def __init__(self, state: StateDir, binary: Path, port: int, *, with_web_ui: bool) -> None:
        super().__init__(state, "server")
        self.binary = binary
        self.port = port
        self.address = f"{server.HOST}:{port}"
        self.with_web_ui = with_web_ui
        self.web_ui: WebUi | None = None

    async def start(self) -> None:
        # With the port of its Web UI taken it would not start, and while it was dead another one may have taken that.
        self.web_ui = server.choose_web_ui(self.web_ui) if self.with_web_ui else None
        if not self.web_ui:
            logger.warning("the server runs without its Web UI")
        await super().start()

    def command(self) -> list[str]:
        return server.server_command(self.binary, self.port, self.state.database, self.web_ui)

    async def answers(self) -> bool:
        # Imported here, as below: it takes 0.7 s, which the processes that were just started need for themselves too.
        from durable_demo.connection import Connection, connect

        try:
            await connect(Connection(self.address), deadline=_READY_ATTEMPT)
        except ServerTooOld:
            raise
        except ConnectionFailed:  # not yet; its Namespace is there a little later than itself
            return False
        return True

    def failure(self, status: int | None) -> StackError:
        return server.explain_failure(self.state, status=status, port=self.port, log_start=self.log_start)


class Worker(Child):
    """A Worker process, on the embedded server or on the configured one.

    Args:
        state: The state directory.
        server: The embedded server; None for the configured one.
        way: Address at which the Worker finds the embedded server, which is that of the proxy.
    """

    kind = "worker"
    works = "polls"
    stop_timeout = settings.WORKER_STOP_TIMEOUT

    def __init__(self, state: StateDir, server: Server | None, way: str, name: str = "worker") -> None:
        super().__init__(state, name)
        self._server = server
        self._way = way
        self._client: Client | None = None

    @property
    def task_queue(self) -> str:
        """What it polls."""
        return settings.task_queue()

    def command(self) -> list[str]:
        return python_command("durable_demo.worker")

    def environment(self) -> dict[str, str]:
        # The Worker reads the very settings that the session did; an embedded server means that there are none.
        address = {"TEMPORAL_ADDRESS": self._way} if self._server else {}
        return environment(**address, **{settings.ENV_FAULTS: str(self.state.path)})

    async def answers(self) -> bool:
        from temporalio.service import RPCError

        from durable_demo.connection import Connection, configured, connect, pollers, worker_identity

        connection = Connection(self._server.address) if self._server else configured()
        if not connection or not self.info:
            return False
        try:
            self._client = self._client or await connect(connection)
            polling = await pollers(self._client, self.task_queue)
        except (ConnectionFailed, RPCError):
            return False
        return not polling.isdisjoint(worker_identity(process.pid) for process in self.info.family())

    def failure(self, status: int | None) -> StackError:
        said = self.state.tail(self.name, _SHOWN_LINES, since=self.log_start)
        ended = "never polled its Task Queue" if status is None else f"ended with status {status} while it started"
        return WorkerFailed(
            f"The Worker {ended}.",
            why=f"its last log lines:\n{said}" if said else "it logged nothing",
            remedy=f"`durable-demo logs {self.name}`; mend what it says, then start again",
        )


class LiveWorker(Worker):
    """The Worker of a module that was written in a notebook, on a Task Queue of its own.

    Args:
        module: File of the module; its Task Queue is named after it.
        digest: Of the text that it serves.
    """

    def __init__(self, state: StateDir, server: Server | None, way: str, module: Path, digest: str) -> None:
        super().__init__(state, server, way, f"live-{module.stem}")
        self.module = module
        self.digest = digest
        self.problem = ""

    @property
    def task_queue(self) -> str:
        return settings.live_task_queue(self.module.stem)

    def command(self) -> list[str]:
        arguments = ("--module", str(self.module), "--task-queue", self.task_queue)
        return python_command("durable_demo.worker", *arguments)

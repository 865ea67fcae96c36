"""`python -m durable_demo.supervisor HOME`: the process that keeps a server and a Worker alive while sessions use them.

`Stack.start()` starts it; it says on its standard output, in one line of JSON, that the stack is ready or why not. Then
it lives on by itself: it starts again what died, keeps `stack.json` up to date, and when no session has held a lease
for `LEASE_GRACE` it stops the Worker, then the server, then itself. SIGTERM: stop everything now.

No session is lost in between: a session takes its lease *before* it reads `stack.json`, and the supervisor removes
that file *before* it counts the leases for the last time. So either the lease is counted and the file comes back, or
the session finds no file, waits until the supervisor lock is free and starts anew.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from durable_demo import server, settings
from durable_demo.errors import (
    ConnectionFailed,
    DemoError,
    PortTaken,
    ServerTooOld,
    StackError,
    StateDirError,
    WorkerFailed,
)
from durable_demo.processes import environment, guarded, leave, python_command
from durable_demo.statedir import LogName, ProcessInfo, StackInfo, StateDir
from durable_demo.web_ui import WebUi

if TYPE_CHECKING:
    from temporalio.client import Client

logger = logging.getLogger("durable_demo.supervisor")

ALREADY_SUPERVISED = "AlreadySupervised"
"""Reported instead of an error when another supervisor was quicker."""

_READY_POLL_SECONDS = 0.05
_READY_ATTEMPT = timedelta(seconds=2)
_SHOWN_LINES = 15
_PORT_ATTEMPTS = 3
"""A free port may be taken by somebody else before the server listens on it. The last attempt does without Web UI."""


class Child(ABC):
    """A process that is kept alive, started through the guard, with a log file of its own."""

    name: LogName
    stop_timeout: timedelta

    def __init__(self, state: StateDir) -> None:
        self.state = state
        self.info: ProcessInfo | None = None
        self.is_ready = False
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
        """Wait until it ends; returns words for the log."""
        assert self._process, "start() comes first"  # noqa: S101
        status = await self._process.wait()
        self.is_ready = False
        return f"{self.name} (pid {self._process.pid}) ended with status {status}"

    @property
    def age(self) -> timedelta:
        """Time since it was started."""
        return timedelta(seconds=time.monotonic() - self._started)

    async def stop(self) -> None:
        """Ask it to end, and kill it when it takes too long; harmless when it is not running."""
        if not self._process or self._process.returncode is not None:
            return
        if self._process.stdin:
            self._process.stdin.close()  # what the guard waits for, where it stays
        if sys.platform != "win32":  # there, terminate() would kill the guard and not its child
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), self.stop_timeout.total_seconds())
        except TimeoutError:
            logger.warning("%s does not end: killed", self.name)
            if self.info:
                await asyncio.to_thread(self.info.kill)


class Server(Child):
    """The embedded Temporal server.

    Args:
        state: The state directory.
        binary: The `temporal` program.
        port: Port of its gRPC service.
        with_web_ui: Whether it runs Temporal's Web UI, if a port for that is free at its start.
    """

    name = "server"
    stop_timeout = settings.SERVER_STOP_TIMEOUT

    def __init__(self, state: StateDir, binary: Path, port: int, *, with_web_ui: bool) -> None:
        super().__init__(state)
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
    """The Worker process, on the embedded server or on the configured one."""

    name = "worker"
    stop_timeout = settings.WORKER_STOP_TIMEOUT

    def __init__(self, state: StateDir, embedded_address: str | None) -> None:
        super().__init__(state)
        self.embedded_address = embedded_address
        self._client: Client | None = None

    def command(self) -> list[str]:
        return python_command("durable_demo.worker")

    def environment(self) -> dict[str, str]:
        # The Worker reads the very settings that the session did; an embedded server means that there are none.
        return environment(TEMPORAL_ADDRESS=self.embedded_address) if self.embedded_address else environment()

    async def answers(self) -> bool:
        from temporalio.service import RPCError

        from durable_demo.connection import Connection, configured, connect, pollers, worker_identity

        connection = Connection(self.embedded_address) if self.embedded_address else configured()
        if not connection or not self.info:
            return False
        try:
            self._client = self._client or await connect(connection)
            polling = await pollers(self._client, settings.task_queue())
        except (ConnectionFailed, RPCError):
            return False
        return not polling.isdisjoint(worker_identity(process.pid) for process in self.info.family())

    def failure(self, status: int | None) -> StackError:
        said = self.state.tail("worker", _SHOWN_LINES, since=self.log_start)
        ended = "never polled its Task Queue" if status is None else f"ended with status {status} while it started"
        return WorkerFailed(
            f"The Worker {ended}.",
            why=f"its last log lines:\n{said}" if said else "it logged nothing",
            remedy="`durable-demo logs worker`; mend what it says, then start again",
        )


class Supervisor:
    """Starts, keeps and stops the processes of one state directory.

    Args:
        state: The state directory; its supervisor lock is held by the caller.
        remote: Address and Namespace of the configured server, or None to run the embedded one.
        with_worker: Whether to run a Worker.
    """

    def __init__(self, state: StateDir, remote: tuple[str, str] | None, *, with_worker: bool) -> None:
        self._state = state
        self._remote = remote
        self._with_worker = with_worker
        self._server: Server | None = None
        self._worker: Worker | None = None
        self._written: StackInfo | None = None
        self._me = ProcessInfo.of(os.getpid())

    @property
    def _children(self) -> list[Child]:
        return [child for child in (self._server, self._worker) if child]

    async def start(self) -> None:
        """Start everything and wait until it is of use.

        Raises:
            StackError: Why it could not be started; what was is still to be stopped.
        """
        self._reap()
        self._write()
        if self._remote:
            await self._start_once(None)
            return
        self._state.require_free_disk()
        binary = server.find_temporal()
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            try:
                port = server.choose_port(self._state.last_port if attempt == 1 else 0)
                await self._start_once(Server(self._state, binary, port, with_web_ui=attempt < _PORT_ATTEMPTS))
            except PortTaken:
                if attempt == _PORT_ATTEMPTS:
                    raise
                await self.stop()
            else:
                self._state.remember_port(port)
                return

    async def _start_once(self, embedded: Server | None) -> None:
        self._server = embedded
        self._worker = Worker(self._state, embedded.address if embedded else None) if self._with_worker else None
        for child in self._children:
            await child.start()
        self._write()
        for child in self._children:
            await child.become_ready()
        self._write()

    async def run(self) -> None:
        """Keep everything alive until no session has held a lease for `LEASE_GRACE`."""
        async with asyncio.TaskGroup() as group:
            keepers = [group.create_task(self._keep(child)) for child in self._children]
            await self._until_unused()
            for keeper in keepers:
                keeper.cancel()

    async def stop(self) -> None:
        """Stop what runs: the Worker before the server that it needs."""
        for child in reversed(self._children):
            await child.stop()
        self._state.clear()

    async def _keep(self, child: Child) -> None:
        delay = settings.RESTART_DELAY
        while True:
            logger.warning("%s; it is started again in %.1f s", await child.ended(), delay.total_seconds())
            if child.age > settings.RESTART_DELAY_RESET:
                delay = settings.RESTART_DELAY
            await asyncio.sleep(delay.total_seconds())
            delay = min(2 * delay, settings.RESTART_DELAY_LIMIT)
            try:
                await child.start()
                await child.become_ready()
            except (DemoError, OSError) as error:
                logger.error("%s was not started again: %s", child.name, error)
                await child.stop()

    async def _until_unused(self) -> None:
        last_used = time.monotonic()
        problem = ""
        while True:
            await asyncio.sleep(settings.LEASE_POLL_INTERVAL.total_seconds())
            try:
                self._write()
            except StateDirError as error:  # a full disk: the stack goes on, and so does this loop
                if str(error) != problem:
                    logger.error("%s", problem := str(error))
            if self._state.count_leases():
                last_used = time.monotonic()
            elif time.monotonic() - last_used > settings.LEASE_GRACE.total_seconds():
                self._state.clear()
                self._written = None
                if not self._state.count_leases():
                    logger.info("no session is left")
                    return

    def _write(self) -> None:
        """Bring `stack.json` up to date."""
        children = self._children
        info = StackInfo(
            address=self._server.address if self._server else self._remote[0] if self._remote else "",
            namespace=self._remote[1] if self._remote else server.NAMESPACE,
            task_queue=settings.task_queue(),
            embedded=self._remote is None,
            home=self._state.path,
            supervisor=self._me,
            server=self._server.info if self._server else None,
            worker=self._worker.info if self._worker else None,
            ready=bool(children) and all(child.is_ready for child in children),
            web_ui=self._server.web_ui if self._server else None,
        )
        if info != self._written:
            self._state.write(info)
            self._written = info

    def _reap(self) -> None:
        """End what a supervisor that crashed has left: two servers on one database both fail."""
        left = self._state.read()
        for process in left.processes if left else []:
            if process.kill():
                logger.warning("pid %d was left by a supervisor that crashed: killed", process.pid)


async def supervise(supervisor: Supervisor) -> None:
    """Start, report, keep, stop."""
    task = asyncio.current_task()
    assert task  # noqa: S101
    loop = asyncio.get_running_loop()

    def stop_now(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # stopping is bounded; a second request must not break it off
        loop.call_soon_threadsafe(task.cancel)

    signal.signal(signal.SIGTERM, stop_now)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        await supervisor.start()
        report(None)
        await supervisor.run()
    finally:
        await supervisor.stop()


def report(error: DemoError | str | None) -> None:
    """Tell who started the supervisor, if anybody listens still, and say no more."""
    match error:
        case None:
            outcome = {}
        case str():
            outcome = {"error": error}
        case _:
            outcome = {"error": type(error).__name__, "what": error.what, "why": error.why, "remedy": error.remedy}
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), json.dumps(outcome).encode() + b"\n")
    with open(os.devnull, "wb") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), sys.stdout.fileno())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the supervisor of one state directory; returns the exit status."""
    parser = argparse.ArgumentParser(prog="durable_demo.supervisor")
    parser.add_argument("home", type=Path)
    parser.add_argument("--remote", nargs=2, metavar=("ADDRESS", "NAMESPACE"))
    parser.add_argument("--no-worker", action="store_true")
    options = parser.parse_args(arguments)
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    state = StateDir(options.home)
    lock = state.try_lock("supervisor")
    if not lock:
        report(ALREADY_SUPERVISED)
        return 0
    remote = (options.remote[0], options.remote[1]) if options.remote else None
    failure: DemoError | None = None
    try:
        asyncio.run(supervise(Supervisor(state, remote, with_worker=not options.no_worker)))
    except asyncio.CancelledError:
        logger.info("stopped by SIGTERM")
    except DemoError as error:
        logger.error("%s", error)
        failure = error
    finally:
        lock.release()
    if failure:
        report(failure)  # last of all: whoever reads it may start the next supervisor at once
    return 1 if failure else 0


if __name__ == "__main__":
    leave(main())

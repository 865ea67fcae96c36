"""The stack: one embedded server and one Worker for all notebooks of a user, found or started.

`Stack.start()` takes a lease and returns when the server answers and the Worker polls; the supervisor process keeps
both alive until the last lease is gone (`supervisor.py`). With a configured server (`TEMPORAL_ADDRESS`, a profile) no
server is started; the Worker still is, unless `DURABLE_DEMO_WORKER=external`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import hashlib
import json
import os
import subprocess
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from filelock import BaseFileLock

from durable_demo import errors, settings
from durable_demo.connection import Connection, configured, connect
from durable_demo.errors import (
    ConnectionFailed,
    DemoError,
    InvalidInput,
    ServerFailed,
    ServerUnreachable,
    StackError,
    WorkerFailed,
)
from durable_demo.faults import FaultFile
from durable_demo.processes import environment, python_command
from durable_demo.statedir import ProcessInfo, StackInfo, StateDir
from durable_demo.supervisor import ALREADY_SUPERVISED
from durable_demo.web_ui import WebUi, configured_web_ui

__all__ = ["ProcessInfo", "Stack", "StackInfo"]

_POLL_SECONDS = 0.05
_SHOWN_LINES = 15
_REPORT_SECONDS = (settings.START_DEADLINE + settings.STOP_DEADLINE).total_seconds()
"""A supervisor that fails to start the stack stops what it started before it says so."""
_WINDOWS_FLAGS = 0x00000200 | 0x08000000 if os.name == "nt" else 0
"""CREATE_NEW_PROCESS_GROUP and CREATE_NO_WINDOW: what `start_new_session` is elsewhere."""


class Stack:
    """The stack of one state directory, as one session uses it.

    Creating the object starts nothing. `start()` and `close()` may be called again; every method from any thread.

    Args:
        home: State directory; default: `settings.home()`.
    """

    def __init__(self, home: Path | None = None) -> None:
        self.home = home.expanduser().absolute() if home else settings.home()
        self._lease: BaseFileLock | None = None

    async def start(self) -> StackInfo:
        """Find the running stack or start it, and keep it up until `close()` or the end of this process.

        Returns:
            What runs: the server answers and the Worker polls.

        Raises:
            InvalidInput: A setting cannot be used.
            StackError: The server or the Worker cannot be started; the message says why, with the last log lines.
            ConnectionFailed: The configured server cannot be used.
        """
        connection = self._configured
        if connection:
            await connect(connection)
            if _worker_is_external():
                return self._external(connection)
        state = self._state
        await asyncio.to_thread(state.prepare)
        had_lease = self._lease is not None
        if not self._lease:
            self._lease = await asyncio.to_thread(state.take_lease)
        try:
            with self._state.usable():
                await asyncio.to_thread(self.faults.make_usable)
            info = await self._usable() or await self._start()
            _require_worker(info)
        except BaseException:
            if not had_lease:
                await self.close()
            raise
        return info

    async def close(self) -> None:
        """Give the lease back: without another one the stack stops after `LEASE_GRACE`. Harmless when called again."""
        lease, self._lease = self._lease, None
        if lease:
            self._state.give_back(lease)

    async def down(self, limit: timedelta = settings.STOP_DEADLINE) -> bool:
        """Stop server and Worker now, whoever uses them.

        Args:
            limit: How long they may take.

        Returns:
            Whether anything ran.

        Raises:
            StackError: The supervisor did not end in that time; its processes were killed.
        """
        state = self._state
        if not state.is_supervised():
            left = state.read()
            return any([await asyncio.to_thread(process.kill) for process in (left.processes if left else [])])
        deadline = time.monotonic() + limit.total_seconds()
        asked: ProcessInfo | None = None
        while state.is_supervised():
            info = state.read()  # none yet while it starts, none any more while it stops
            if info and info.supervisor and info.supervisor != asked:
                asked = info.supervisor
                asked.terminate()
            if time.monotonic() > deadline:
                for process in info.processes if info else []:
                    await asyncio.to_thread(process.kill)
                raise StackError(
                    f"The stack in {state.path} did not stop within {limit.total_seconds():g} s.",
                    why="its processes did not react, and were killed" if info else "its supervisor does not react",
                    remedy="`durable-demo logs supervisor`, then `durable-demo status`",
                )
            await asyncio.sleep(_POLL_SECONDS)
        return True

    def info(self) -> StackInfo | None:
        """What runs now, or None. Takes no lease and starts nothing."""
        if self._configured and _worker_is_external():
            return self._external(self._configured)
        return self._read() if self._state.is_supervised() else None

    @property
    def faults(self) -> FaultFile:
        """What is broken on purpose."""
        return FaultFile(self._state.path)

    def explain(self, error: ServerUnreachable) -> DemoError:
        """Why the server does not answer, if that can be seen: the disk of the embedded one is full."""
        return (None if self._configured else self._state.full_disk()) or error

    def sessions(self) -> int:
        """How many sessions use the stack now, this one included."""
        return self._state.count_leases()

    def logs(self, name: str, lines: int = 50) -> str:
        """The last lines of a log; empty if there is none."""
        return self._state.tail(name, lines)

    # --- finding and starting ---

    @functools.cached_property
    def _configured(self) -> Connection | None:
        return configured()

    @functools.cached_property
    def _web_ui(self) -> WebUi | None:
        """The Web UI of the configured server; that of the embedded one is in `stack.json`."""
        connection = self._configured
        return configured_web_ui(connection.address, connection.namespace) if connection else None

    @functools.cached_property
    def _state(self) -> StateDir:
        """The state directory; a configured server has one of its own below, for its Worker."""
        if not self._configured:
            return StateDir(self.home)
        key = "\n".join([self._configured.address, self._configured.namespace, settings.task_queue()])
        return StateDir(self.home / f"remote-{hashlib.sha256(key.encode()).hexdigest()[:12]}")

    def _external(self, connection: Connection) -> StackInfo:
        return StackInfo(
            connection.address,
            connection.namespace,
            settings.task_queue(),
            embedded=False,
            home=self.home,
            web_ui=self._web_ui,
            runs_workers=False,
        )

    def _read(self) -> StackInfo | None:
        info, web_ui = self._state.read(), self._web_ui
        return dataclasses.replace(info, web_ui=web_ui) if info and web_ui else info

    async def _usable(self) -> StackInfo | None:
        """What runs, if all of it is alive, the Worker polls and the server answers now."""
        info = self._read()
        if not info or not info.ready or info.faults.usable() != info.faults:
            return None
        needed = [process for process in (info.supervisor, info.server, *info.workers) if process]
        if not all(process.alive for process in needed):
            return None
        if info.embedded:
            try:
                await connect(Connection(info.address, info.namespace))
            except ConnectionFailed:
                return None
        return info

    async def _start(self) -> StackInfo:
        state = self._state
        async with self._starting():
            deadline = time.monotonic() + settings.START_DEADLINE.total_seconds()
            while True:
                if info := await self._usable():
                    return info
                if time.monotonic() > deadline:
                    raise ServerFailed(
                        f"The stack in {state.path} was started, but was not ready within "
                        f"{settings.START_DEADLINE.total_seconds():g} s.",
                        why=f"the last lines of its supervisor:\n{self.logs('supervisor', _SHOWN_LINES)}",
                        remedy="`durable-demo down`, then start again",
                    )
                if not state.is_supervised():
                    await self._spawn_supervisor()
                else:  # it starts, stops, or mends something
                    await asyncio.sleep(_POLL_SECONDS)

    @asynccontextmanager
    async def _starting(self) -> AsyncIterator[None]:
        """Hold the start lock: of several sessions that start at the same moment only one does it."""
        deadline = time.monotonic() + settings.LOCK_DEADLINE.total_seconds()
        while not (lock := self._state.try_lock("start")):
            if time.monotonic() > deadline:
                raise StackError(
                    f"Another process has been starting the stack in {self._state.path} for more than "
                    f"{settings.LOCK_DEADLINE.total_seconds():g} s.",
                    remedy="`durable-demo down`, then start again",
                )
            await asyncio.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            lock.release()

    async def _spawn_supervisor(self) -> None:
        """Start a supervisor and wait for its report; raise the error in it."""
        arguments = [str(self._state.path)]
        if self._configured:
            arguments += ["--remote", self._configured.address, self._configured.namespace]
        if _worker_is_external():
            arguments.append("--no-worker")
        reported: Future[bytes] = Future()
        reported.set_running_or_notify_cancel()  # from now on it can be left alone, but not cancelled
        # No thread of asyncio's: its loop would wait for that one when a start is broken off by Ctrl-C.
        threading.Thread(
            target=self._run_supervisor, args=(arguments, reported), name="start-supervisor", daemon=True
        ).start()
        try:
            async with asyncio.timeout(_REPORT_SECONDS):
                report = await asyncio.wrap_future(reported)
        except TimeoutError:
            report = b""
        if not report:
            raise ServerFailed(
                "The supervisor of the stack did not get it ready.",
                why=f"its last log lines:\n{self.logs('supervisor', _SHOWN_LINES)}",
                remedy="`durable-demo down`, then start again",
            )
        _raise_reported(json.loads(report))

    def _run_supervisor(self, arguments: list[str], reported: Future[bytes]) -> None:
        """Start a supervisor that outlives this process, pass its report on, or nothing if it died, and wait for it."""
        try:
            with self._state.open_log("supervisor") as log:
                process = subprocess.Popen(
                    python_command("durable_demo.supervisor", *arguments),
                    bufsize=0,  # the lock of a buffer, held in a daemon thread, could crash the end of this process
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=environment(),
                    start_new_session=True,  # an interrupt of the kernel is not meant for it
                    creationflags=_WINDOWS_FLAGS,
                )
            assert process.stdout  # noqa: S101
            with process.stdout as pipe:
                reported.set_result(pipe.readline())
        except Exception as error:
            reported.set_exception(error)
        else:
            process.wait()  # else it ends as a zombie


def _raise_reported(outcome: dict[str, str]) -> None:
    """Raise what kept the supervisor from starting the stack; another supervisor that was quicker is no error."""
    name = outcome.get("error")
    if name is None or name == ALREADY_SUPERVISED:
        return
    kind = getattr(errors, name, StackError)
    error: DemoError = kind(outcome["what"], why=outcome["why"], remedy=outcome["remedy"])
    raise error


def _worker_is_external() -> bool:
    """Whether people run Workers themselves.

    Raises:
        InvalidInput: `DURABLE_DEMO_WORKER` is neither `embedded` nor `external`.
    """
    value = os.environ.get(settings.ENV_WORKER, "").strip() or "embedded"
    if value not in ("embedded", "external"):
        raise InvalidInput(
            f"{settings.ENV_WORKER}={value} is neither `embedded` nor `external`.",
            remedy=f"unset {settings.ENV_WORKER} to let the kit run a Worker",
        )
    return value == "external"


def _require_worker(info: StackInfo) -> None:
    """See that the Worker of a stack that others started is one for this session."""
    if _worker_is_external():
        return
    remedy = f"`durable-demo down`, then start again; or set {settings.ENV_HOME} for a stack of its own"
    if not info.runs_workers:
        raise WorkerFailed(
            f"The stack in {info.home} was started without a Worker ({settings.ENV_WORKER}=external).", remedy=remedy
        )
    if info.task_queue != settings.task_queue():
        raise WorkerFailed(
            f"The Worker of the stack in {info.home} polls Task Queue {info.task_queue!r}, "
            f"this session uses {settings.task_queue()!r}.",
            remedy=remedy,
        )

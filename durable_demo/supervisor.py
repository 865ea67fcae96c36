"""`python -m durable_demo.supervisor HOME`: the process that keeps a server and Workers alive while sessions use them.

`Stack.start()` starts it; it says on its standard output, in one line of JSON, that the stack is ready or why not. Then
it lives on by itself: it starts again what died, carries out what somebody breaks on purpose (`faults.py`), runs a
Worker for each live module, keeps `stack.json` up to date, and when no session has held a lease for `LEASE_GRACE` it
stops the Workers, then the server, then itself. SIGTERM: stop everything now.

No session is lost in between: a session takes its lease *before* it reads `stack.json`, and the supervisor removes
that file *before* it counts the leases for the last time. So either the lease is counted and the file comes back, or
the session finds no file, waits until the supervisor lock is free and starts anew.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from durable_demo import server, settings, tuning
from durable_demo.children import Child, LiveWorker, Server, Worker
from durable_demo.errors import DemoError, PortTaken, ServerFailed, StateDirError
from durable_demo.faults import FaultFile, Faults
from durable_demo.processes import leave
from durable_demo.proxy import Proxy
from durable_demo.statedir import LiveInfo, ProcessInfo, StackInfo, StateDir

logger = logging.getLogger("durable_demo.supervisor")

ALREADY_SUPERVISED = "AlreadySupervised"
"""Reported instead of an error when another supervisor was quicker."""

_START_ATTEMPTS = 5
"""A free port may be taken by somebody else before the server listens on it, and some of its starts end in a panic of
its own. The last attempt does without Web UI."""


class Supervisor:
    """Starts, keeps, breaks and stops the processes of one state directory.

    Args:
        state: The state directory; its supervisor lock is held by the caller.
        remote: Address and Namespace of the configured server, or None to run the embedded one.
        with_worker: Whether to run Workers.
    """

    def __init__(self, state: StateDir, remote: tuple[str, str] | None, *, with_worker: bool) -> None:
        self._state = state
        self._remote = remote
        self._with_worker = with_worker
        self._server: Server | None = None
        self._workers: list[Worker] = []
        self._live: dict[str, LiveWorker] = {}
        self._proxy: Proxy | None = None
        self._way = ""
        self._file = FaultFile(state.path)
        self._faults = Faults()
        self._group: asyncio.TaskGroup | None = None
        self._keepers: dict[Child, asyncio.Task[None]] = {}
        self._leaving: set[Child] = set()
        self._written: StackInfo | None = None
        self._problem = ""
        self._me = ProcessInfo.of(os.getpid())

    @property
    def _wanted(self) -> list[Child]:
        """What the stack consists of; live modules come and go beside it."""
        return [child for child in (self._server, *self._workers) if child and child.wanted.is_set()]

    @property
    def _all_workers(self) -> list[Worker]:
        return [*self._workers, *self._live.values()]

    async def start(self) -> None:
        """Start everything and wait until it is of use.

        Raises:
            StackError: Why it could not be started; what was is still to be stopped.
        """
        self._reap()
        self._forget_old_modules()
        self._file.clear()
        self._write()
        if self._remote:
            await self._start_once(None)
            return
        self._state.require_free_disk()
        binary = server.find_temporal()
        for attempt in range(1, _START_ATTEMPTS + 1):
            last = attempt == _START_ATTEMPTS
            try:
                port = server.choose_port(0 if last else self._state.last_port)
                await self._start_once(Server(self._state, binary, port, with_web_ui=not last))
            except (PortTaken, ServerFailed) as error:
                runs = self._server and self._server.running  # and never answered: it had its time
                if last or runs:
                    raise
                logger.warning("attempt %d of %d to start: %s", attempt, _START_ATTEMPTS, error)
                await self.stop()
            else:
                self._state.remember_port(port)
                return

    async def _start_once(self, embedded: Server | None) -> None:
        self._server = embedded
        if embedded:
            self._proxy = Proxy(embedded.port)
            self._way = await self._proxy.start()
        self._workers = [Worker(self._state, embedded, self._way)] if self._with_worker else []
        for child in self._wanted:
            await self._begin(child)
        self._write()
        for child in self._wanted:
            await self._become_ready(child)
        self._write()

    async def run(self) -> None:
        """Keep everything alive until no session has held a lease for `LEASE_GRACE`."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for child in self._wanted:
                self._keep(child)
            carrying_out = group.create_task(self._carry_out_faults())
            await self._until_unused()
            for task in (carrying_out, *self._keepers.values()):
                task.cancel()

    async def stop(self) -> None:
        """Stop what runs: the Workers before the server that they need."""
        await asyncio.gather(*(child.stop() for child in (*self._all_workers, *self._leaving)))
        if self._proxy:
            await self._proxy.close()
        if self._server:
            await self._server.stop()
        self._state.clear()

    # --- keeping alive -----------------------------------------------------------------------------------------------

    def _keep(self, child: Child) -> None:
        assert self._group, "run() comes first"  # noqa: S101
        self._keepers[child] = self._group.create_task(self._kept(child))

    async def _kept(self, child: Child) -> None:
        """Start a process whenever it does not run, for as long as it is wanted."""
        delay = tuning.RESTART_DELAY
        while True:
            if child.running:
                how = await child.ended()
                if child.is_ready:
                    delay = tuning.RESTART_DELAY
                child.is_ready = False
                logger.warning("%s (pid %s) %s", child.name, child.pid, how)
                self._file.record(child.kind, how, child.pid)
                self._publish()
                await asyncio.sleep(delay.total_seconds())
            await child.wanted.wait()
            try:
                await self._begin(child)
                self._publish()
                await self._become_ready(child)
            except (DemoError, OSError) as error:
                if child.was_killed:  # by somebody, on purpose: no reason to wait
                    self._file.record(child.kind, await child.ended(), child.pid)
                    continue
                await self._failed(child, error)
                await asyncio.sleep(delay.total_seconds())
                delay = min(2 * delay, tuning.RESTART_DELAY_LIMIT)
            self._publish()

    async def _failed(self, child: Child, error: Exception) -> None:
        logger.error("%s was not started: %s", child.name, error)
        if isinstance(child, LiveWorker):
            child.problem = str(error)
        await child.stop()
        self._file.record(child.kind, "did not come to work", child.pid)
        self._publish()

    async def _begin(self, child: Child) -> None:
        if isinstance(child, LiveWorker):
            child.problem = ""
        await child.start()
        self._file.record(child.kind, "started", child.pid)

    async def _become_ready(self, child: Child) -> None:
        await child.become_ready()
        self._file.record(child.kind, child.works, child.pid)

    def _let_go(self, child: Child) -> None:
        """Keep it no more, and end it gracefully, which may take seconds."""
        self._keepers.pop(child).cancel()
        self._leaving.add(child)

        async def end() -> None:
            await child.stop()
            self._leaving.discard(child)
            self._file.record(child.kind, "stopped", child.pid)

        assert self._group, "run() comes first"  # noqa: S101
        self._group.create_task(end())

    # --- breaking ----------------------------------------------------------------------------------------------------

    async def _carry_out_faults(self) -> None:
        while True:
            try:
                faults = self._file.read()
                now = faults.at(time.time())
                await self._carry_out(now)
                self._serve_live_modules()
                if now != faults:  # in a thread: somebody may hold the lock
                    await asyncio.to_thread(self._file.expire)
            except (OSError, TimeoutError, psutil.Error) as error:  # a full disk, or a lock that somebody holds
                self._complain(f"faults cannot be carried out: {error}")
            await asyncio.sleep(settings.FAULT_POLL_INTERVAL.total_seconds())

    async def _carry_out(self, faults: Faults) -> None:
        if self._with_worker:
            await self._scale(faults.workers)
        for worker in self._all_workers:
            # One that is starting is left alone until it works: it would not come to work in time.
            if (worker.is_ready or not faults.frozen) and worker.freeze(faults.frozen):
                self._file.record("worker", "frozen (SIGSTOP)" if faults.frozen else "thawed (SIGCONT)", worker.pid)
        if self._server:
            await self._want(self._server, faults.server)
        if self._proxy and faults.network != self._faults.network:
            self._proxy.disturb(faults.network)
            self._file.record("network", faults.network)
        if faults.changes != self._faults.changes or faults != self._faults:
            self._faults = faults
            self._publish()

    async def _scale(self, count: int) -> None:
        for live in self._live.values():
            await self._want(live, count > 0)
        if count == 0:
            for worker in self._workers:
                await self._want(worker, False)
            return
        surplus, self._workers = self._workers[count:], self._workers[:count]
        for worker in surplus:
            self._let_go(worker)
        for worker in self._workers:
            await self._want(worker, True)
        while len(self._workers) < count:
            self._workers.append(Worker(self._state, self._server, self._way))
            self._keep(self._workers[-1])

    async def _want(self, child: Child, wanted: bool) -> None:
        if wanted:
            child.wanted.set()
        else:
            child.wanted.clear()
            await child.kill()

    def _serve_live_modules(self) -> None:
        if not self._with_worker:
            return
        found = {path.stem: path for path in self._state.live.glob("*.py")}
        for name in [*self._live]:
            if name not in found or self._live[name].digest != _digest(found[name]):
                self._let_go(self._live.pop(name))
        for name in found.keys() - self._live.keys():
            path = found[name]
            self._live[name] = LiveWorker(self._state, self._server, self._way, path, _digest(path))
            self._keep(self._live[name])

    # --- ends --------------------------------------------------------------------------------------------------------

    async def _until_unused(self) -> None:
        last_used = time.monotonic()
        while True:
            await asyncio.sleep(settings.LEASE_POLL_INTERVAL.total_seconds())
            self._publish()
            if self._state.count_leases():
                last_used = time.monotonic()
            elif time.monotonic() - last_used > settings.LEASE_GRACE.total_seconds():
                self._state.clear()
                self._written = None
                if not self._state.count_leases():
                    logger.info("no session is left")
                    return

    def _publish(self) -> None:
        """Bring `stack.json` up to date; on a full disk the stack goes on without that."""
        try:
            self._write()
        except StateDirError as error:
            self._complain(str(error))

    def _complain(self, problem: str) -> None:
        if problem != self._problem:
            logger.error("%s", problem)
            self._problem = problem

    def _write(self) -> None:
        wanted = self._wanted
        info = StackInfo(
            address=self._server.address if self._server else self._remote[0] if self._remote else "",
            namespace=self._remote[1] if self._remote else server.NAMESPACE,
            task_queue=settings.task_queue(),
            embedded=self._remote is None,
            home=self._state.path,
            supervisor=self._me,
            server=self._server.info if self._server and self._server.wanted.is_set() else None,
            workers=tuple(child.info for child in self._workers if child.info and child.wanted.is_set()),
            ready=bool(self._server or self._workers) and all(child.is_ready for child in wanted),
            web_ui=self._server.web_ui if self._server else None,
            faults=self._faults,
            live=tuple(
                LiveInfo(name, child.digest, child.is_ready, child.problem, child.info if child.running else None)
                for name, child in self._live.items()
            ),
            runs_workers=self._with_worker,
        )
        if self._written != info or self._written.faults.changes != info.faults.changes:
            self._state.write(info)
            self._written = info

    def _forget_old_modules(self) -> None:
        """Each has a Worker: what was tried days ago is not to fill the machine."""
        for path in self._state.live.glob("*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > settings.LIVE_MODULE_KEPT.total_seconds():
                    path.unlink()

    def _reap(self) -> None:
        """End what a supervisor that crashed has left: two servers on one database both fail."""
        left = self._state.read()
        for process in left.processes if left else []:
            if process.kill():
                logger.warning("pid %d was left by a supervisor that crashed: killed", process.pid)


def _digest(path: Path) -> str:
    with contextlib.suppress(OSError):  # it was removed just now
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return ""


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

"""Break it: kill, freeze, cut, fail on purpose, and see the workflows go on; then bring everything back.

Each verb is done when the processes show it, and says what will happen. What did happen is in the workflows' events and
in `incidents()`; `recovery.py` puts the two together.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
from filelock import Timeout

from durable_demo import settings
from durable_demo.background import BackgroundLoop
from durable_demo.client import DemoClient, Run
from durable_demo.errors import DemoError, InvalidInput, NotPossible, StackError, StillRunning, WorkflowNotFound
from durable_demo.events import format_timestamp
from durable_demo.faults import (
    MAX_FAILURES,
    MAX_SLOW_TOOLS_S,
    MAX_WORKERS,
    Break,
    Faults,
    Incident,
    check_duration,
    check_whole,
)
from durable_demo.recovery import Recovery
from durable_demo.run import Seconds
from durable_demo.stack import Stack, StackInfo
from durable_demo.statedir import ProcessInfo
from durable_demo.wording import fault_words, plural
from durable_demo.workflows.checks import patience

_POLL_SECONDS = 0.05
_FIRST_TRY_SECONDS = 10.0
"""What runs and does not get healthy in this time is stopped altogether, and started anew."""
_DOWN_WITHIN = timedelta(seconds=4)
"""In a reset, what does not stop in this time is killed."""
_LOOK_SECONDS = 1.0
_UNTOUCHED_AFTER = timedelta(seconds=8)
"""A workflow that has not stood still by then was not in need of what was broken."""
_GOES_ON = "All goes on from where it was."
_TERMINATE_AT_ONCE = 16
"""Calls at a time."""
_WHILE_NETWORK = {
    "cut": "Nothing passes between Workers and server: heartbeats are missed and attempts time out. When it is back, "
    "the Workers poll again; what they report late of old attempts is refused.",
    "slow": "All goes on, later: each request takes more than 0.3 s longer.",
    "resets": "Connections break again and again; the Workers connect anew and repeat their requests.",
}


@dataclass(frozen=True)
class ResetReport:
    """What a reset did.

    Attributes:
        terminated: Workflow IDs of the workflows that were ended.
        mended: What had been broken on purpose, in words.
        seconds: How long it took until the server answered and a Worker polled.
    """

    terminated: tuple[str, ...]
    mended: tuple[str, ...]
    seconds: float

    def __str__(self) -> str:
        mended = ", ".join(self.mended) or "nothing"
        return (
            f"Reset in {self.seconds:.1f} s: {plural(len(self.terminated), 'workflow')} terminated, "
            f"mended: {mended}. Server and Worker are healthy."
        )


class BreakIt:
    """What a session can break. May be used from any thread and any event loop.

    With a configured server, that server and the way to it cannot be broken; with external Workers, nothing can.

    Args:
        stack: The session's stack.
        background: Where it works.
        start: Starts the stack where it does not run, and gives a client for it.

    Attributes:
        on_break: Called with each `Break` of this session, on the background loop.
    """

    def __init__(
        self, stack: Stack, background: BackgroundLoop, start: Callable[[], Coroutine[Any, Any, DemoClient]]
    ) -> None:
        self._stack = stack
        self._background = background
        self._start = start
        self.on_break: list[Callable[[Break], None]] = []

    def faults(self) -> Faults:
        """What is broken on purpose now."""
        return self._stack.faults.read()

    def incidents(self, since: str = "") -> list[Incident]:
        """What became of processes and network at or after `since`, an event's timestamp; oldest first."""
        return self._stack.faults.incidents(since)

    async def watch(self, run: Run, broken: Break, timeout: Seconds = settings.UNTIL_DEADLINE) -> Recovery:
        """Waits until a workflow goes on after a break, and tells how it did.

        Args:
            run: The workflow.
            broken: What a verb has returned.
            timeout: How long to wait, in seconds or as a timedelta.

        Returns:
            The stopwatch; it shows itself. If the workflow is not touched by the break, that is what it says after 8 s.

        Raises:
            StillRunning: It does not go on; the message says what happened so far.
            WorkflowNotFound: There is no such workflow.
        """
        recovery = Recovery()
        recovery.begin(broken)
        limit = patience(timeout)
        began = datetime.fromisoformat(broken.timestamp)
        items = aiter(run.items())
        following = asyncio.ensure_future(anext(items, None))
        try:
            async with asyncio.timeout(limit.total_seconds()):
                while True:
                    # A workflow that has nothing to do tells nothing.
                    await asyncio.wait({following}, timeout=_LOOK_SECONDS)
                    now = datetime.now(UTC)
                    if following.done():
                        if (item := following.result()) is None:
                            break
                        recovery.apply(item)
                        now = item.moment
                        following = asyncio.ensure_future(anext(items, None))
                    else:
                        recovery.look(now)
                    if now > began:
                        recovery.note(*self.incidents(broken.timestamp))
                    untouched = recovery.status == "untouched" and now - began > _UNTOUCHED_AFTER
                    if recovery.status in ("recovered", "ended") or untouched:
                        break
        except TimeoutError:
            raise StillRunning(
                f"{run.id} does not go on within {limit.total_seconds():g} s.",
                why=recovery.to_text(),
                remedy="`print(await run.status())` says what it waits for; `await demo.reset()` mends all, "
                "and ends all workflows",
            ) from None
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        return recovery

    # --- Workers -----------------------------------------------------------------------------------------------------

    async def kill_worker(self, pid: int | None = None) -> Break:
        """Kills Workers with SIGKILL; the supervisor starts others in their place at once.

        Args:
            pid: Of one of them; None for all.

        Raises:
            InvalidInput: No Worker of ours has this pid.
            NotPossible: No Worker of ours runs.
        """

        async def kill() -> str:
            info = self._require_workers()
            if info.faults.workers and pid is None:  # killed twice in a row: the next one is on its way
                await self._until(lambda info: any(worker.alive for worker in info.workers), "a Worker to kill")
            workers = self._workers(pid)
            await self._kill(workers)
            return f"{_named('Worker', workers)} killed (SIGKILL)."

        return await self._do(
            "kill_worker",
            kill,
            "A new Worker starts. The attempt in hand is missed when its heartbeat is, after 2 s; the next one goes on "
            "from its last heartbeat. What had completed is not run again.",
        )

    async def set_workers(self, count: int) -> Break:
        """Sets how many Workers there are, 0 to 4. Fewer end gracefully; with 0 all are killed and stay dead.

        Raises:
            InvalidInput: Not a whole number from 0 to 4.
            NotPossible: Workers are external.
        """
        check_whole("workers", count, 0, MAX_WORKERS)

        async def scale() -> str:
            before = [worker for worker in self._require_workers().workers if worker.alive]
            await self._change("workers", count)
            info = await self._until(
                lambda info: len([worker for worker in info.workers if worker.alive]) == count,
                f"{plural(count, 'Worker')}",
            )
            if not count:
                return "All Workers were killed (SIGKILL)."
            new = [worker for worker in info.workers if worker not in before]
            return f"{_named('Worker', new)} started." if new else f"{plural(count, 'Worker')} there now."

        if count == 0:
            expected = "Nothing runs until there is a Worker again; Temporal keeps all of it, and takes new requests."
        else:
            expected = "They share the Task Queue: whichever is free takes the next task."
        return await self._do("set_workers", scale, expected, mends=count > 0)

    async def freeze_worker(self, seconds: float | None = None) -> Break:
        """Stops the Workers in their tracks (SIGSTOP): they are there, and do nothing.

        Args:
            seconds: How long; None until `thaw_worker()`.
        """
        return await self._last(
            "freeze_worker",
            "frozen",
            True,
            seconds,
            "The Workers are frozen (SIGSTOP)",
            "To Temporal they look dead: heartbeats are missed and attempts time out. When they thaw they do not know "
            "that; what they report late of an old attempt is refused.",
        )

    async def thaw_worker(self) -> Break:
        """Lets frozen Workers go on (SIGCONT)."""
        return await self._last("thaw_worker", "frozen", False, None, "The Workers go on (SIGCONT)", _GOES_ON)

    # --- server ------------------------------------------------------------------------------------------------------

    async def kill_server(self, seconds: float | None = None) -> Break:
        """Kills the embedded server with SIGKILL.

        Args:
            seconds: How long it stays away; None: it is started again at once.

        Raises:
            NotPossible: The server is not ours, or does not run.
        """
        expected = (
            "Everything waits: Workers and panel try again until it answers. What it had acknowledged is in its "
            "database; nothing is lost."
        )
        if seconds is not None:
            return await self._last(
                "kill_server", "server", False, seconds, "The server was killed (SIGKILL)", expected
            )

        async def kill() -> str:
            if not self._embedded().faults.server:
                raise NotPossible("The server does not run.", remedy="`await demo.break_it.start_server()`")
            info = await self._until(lambda info: bool(info.server and info.server.alive), "a server to kill")
            servers = [info.server] if info.server else []
            await self._kill(servers)
            return f"{_named('Server', servers)} killed (SIGKILL)."

        return await self._do("kill_server", kill, f"It is started again at once. {expected}")

    async def start_server(self) -> Break:
        """Starts a server that was killed, and waits until it answers."""

        async def start() -> str:
            self._embedded()
            await self._change("server", True)
            await self._until(
                lambda info: info.server is not None and info.ready,
                "the server to answer",
                within=settings.BREAK_DEADLINE + settings.START_DEADLINE,
            )
            return "The server answers."

        return await self._do("start_server", start, _GOES_ON, mends=True)

    # --- network -----------------------------------------------------------------------------------------------------

    async def disturb_network(self, how: str, seconds: float | None = None) -> Break:
        """Disturbs the network between Workers and embedded server.

        Args:
            how: `cut`, `slow` or `resets`.
            seconds: How long; None until `mend_network()`.
        """
        if not isinstance(how, str) or how not in _WHILE_NETWORK:
            raise InvalidInput(f"how must be one of {', '.join(_WHILE_NETWORK)}, not {str(how)[:40]!r}")
        words = {"cut": "The network is cut", "slow": "The network is slow", "resets": "The network resets connections"}
        return await self._last("disturb_network", "network", how, seconds, words[how], _WHILE_NETWORK[how])

    async def mend_network(self) -> Break:
        """Mends the network."""
        return await self._last("mend_network", "network", "ok", None, "The network is mended", _GOES_ON)

    # --- Activities --------------------------------------------------------------------------------------------------

    async def fail_activities(self, count: int) -> Break:
        """Makes the next attempts of Activities fail, of whatever Activity; 0: no more.

        Raises:
            InvalidInput: Not a whole number from 0 to 50.
            NotPossible: Workers are external.
        """
        check_whole("count", count, 0, MAX_FAILURES)
        return await self._set(
            "fail_activities",
            "failures",
            count,
            f"The next {plural(count, 'attempt')} of Activities will fail." if count else "No attempt is made to fail.",
            "Each is retried by its Activity's retry policy, ever later; the workflow sees nothing of it.",
        )

    async def slow_tools(self, seconds: float) -> Break:
        """Makes each tool of the agent take longer, by up to 15 s; 0: no more. Raises like `fail_activities`."""
        longer = 0.0 if seconds == 0 else check_duration("seconds", seconds, MAX_SLOW_TOOLS_S)
        return await self._set(
            "slow_tools",
            "slow_tools",
            longer,
            f"Tools take {longer:g} s longer." if longer else "Tools take their usual time.",
            "The agent waits for them; other workflows go on.",
        )

    async def model_down(self, on: bool = True) -> Break:
        """Makes each attempt to ask the agent's model fail, until it is up again. Raises like `fail_activities`."""
        if not isinstance(on, bool):
            raise InvalidInput(f"on must be True or False, not {str(on)[:40]!r}")
        return await self._set(
            "model_down",
            "model_down",
            on,
            "The model is down." if on else "The model is up again.",
            "Asking it is tried again, up to 10 times with growing pauses: about a minute. Mend it meanwhile and the "
            "answer comes; else the message says why there is none, and the conversation goes on."
            if on
            else _GOES_ON,
        )

    async def cut_answers(self, count: int = 1) -> Break:
        """Makes the next answers of the model break off in the middle; 0: no more. Raises like `fail_activities`."""
        check_whole("count", count, 0, MAX_FAILURES)
        return await self._set(
            "cut_answers",
            "cut_answers",
            count,
            f"The next {plural(count, 'answer')} will break off." if count else "No answer is made to break off.",
            "Half an answer is no answer: the model is asked again, and the reader sees the text begin anew.",
        )

    # --- all of it ---------------------------------------------------------------------------------------------------

    async def reset(self) -> ResetReport:
        """Brings everything back to a known state, from any mess: faults lifted, server and Worker healthy, own
        workflows terminated.

        With the embedded server its workflows are all own ones; on a configured server those that this session has
        started.

        Raises:
            StackError: It did not come to that within `settings.RESET_DEADLINE`.
            NotPossible: Workers are external.
        """
        limit = settings.RESET_DEADLINE
        try:
            return await self._background.run(self._reset(), name="reset", timeout=limit)
        except TimeoutError:
            raise StackError(
                f"The reset did not come to its end within {limit.total_seconds():g} s.",
                why="server or Worker do not get healthy",
                remedy="`durable-demo down`, then run the notebook's first cells again",
            ) from None

    async def _reset(self) -> ResetReport:
        began = time.monotonic()
        mended = fault_words(self.faults())
        info = self._stack.info()
        for process in info.processes if info else ():
            with contextlib.suppress(psutil.Error):
                process.freeze(False)  # somebody may have stopped it past us; it may hold the lock
        with self._writable():
            await asyncio.to_thread(self._stack.faults.mend)
        try:
            async with asyncio.timeout(_FIRST_TRY_SECONDS if info else None):
                client = await self._start()
        except (TimeoutError, DemoError):
            with contextlib.suppress(StackError):  # it was killed, then
                await self._stack.down(_DOWN_WITHIN)
            client = await self._start()
        info = self._require_workers()
        terminated = await _terminate_all(client, embedded=info.embedded)
        await self._until(lambda info: info.ready, "server and Workers to be healthy")
        return ResetReport(tuple(terminated), tuple(mended.values()), time.monotonic() - began)

    # --- inside ------------------------------------------------------------------------------------------------------

    async def _do(
        self, kind: str, work: Callable[[], Coroutine[Any, Any, str]], expected: str, *, mends: bool = False
    ) -> Break:
        timestamp = format_timestamp(datetime.now(UTC))

        async def do() -> Break:
            broken = Break(kind=kind, timestamp=timestamp, done=await work(), expected=expected, mends=mends)
            for callback in self.on_break:
                callback(broken)
            return broken

        return await self._background.run(do(), name=kind)

    async def _last(
        self, kind: str, name: str, value: object, seconds: float | None, done: str, expected: str
    ) -> Break:
        """A change of processes or network that may end by itself."""
        if seconds is not None:
            check_duration("seconds", seconds)

        async def change() -> str:
            if name in ("server", "network"):
                self._embedded()
            self._require_workers()
            await self._change(name, value, seconds)
            return f"{done}{'' if seconds is None else f' for {seconds:g} s'}."

        return await self._do(kind, change, expected, mends=value == getattr(Faults(), name))

    async def _set(self, kind: str, name: str, value: object, done: str, expected: str) -> Break:
        """A change that the Workers carry out."""

        async def change() -> str:
            self._require_workers()
            await self._write(name, value)
            return done

        return await self._do(kind, change, expected, mends=value == getattr(Faults(), name))

    async def _change(self, name: str, value: object, seconds: float | None = None) -> None:
        """Changes a fault and waits until the supervisor has carried it out."""
        faults = await self._write(name, value, seconds)
        await self._until(lambda info: info.faults.changes >= faults.changes, f"{name} = {value}")

    async def _write(self, name: str, value: object, seconds: float | None = None) -> Faults:
        with self._writable():
            return await asyncio.to_thread(self._stack.faults.change, name, value, seconds)

    async def _until(
        self, holds: Callable[[StackInfo], bool], what: str, within: timedelta = settings.BREAK_DEADLINE
    ) -> StackInfo:
        deadline = time.monotonic() + within.total_seconds()
        while not holds(info := self._info()):
            if time.monotonic() > deadline:
                raise StackError(
                    f"After {within.total_seconds():g} s there is still not: {what}.",
                    why="the supervisor of the stack has not carried it out",
                    remedy="`await demo.reset()`; `durable-demo logs supervisor` says more",
                )
            await asyncio.sleep(_POLL_SECONDS)
        return info

    def _info(self) -> StackInfo:
        info = self._stack.info()
        if info is None:
            raise NotPossible("The stack does not run.", why="its supervisor ended", remedy="`await demo.reset()`")
        return info

    def _embedded(self) -> StackInfo:
        info = self._info()
        if not info.embedded:
            raise NotPossible(
                f"The server at {info.address} is not the embedded one.",
                why="only that one, and the way to it, can be broken from here",
                remedy="unset TEMPORAL_ADDRESS and TEMPORAL_PROFILE to use the embedded server",
            )
        return info

    def _require_workers(self) -> StackInfo:
        info = self._info()
        if not info.runs_workers:
            raise NotPossible(
                f"Your Workers are external ({settings.ENV_WORKER}=external).",
                why="only Workers that the kit runs can be broken from here",
                remedy=f"unset {settings.ENV_WORKER}",
            )
        return info

    def _workers(self, pid: int | None) -> Sequence[ProcessInfo]:
        info = self._require_workers()
        live = [module.process for module in info.live]
        alive = [worker for worker in (*info.workers, *live) if worker and worker.alive]
        if not alive:
            raise NotPossible("No Worker runs.", remedy="`await demo.break_it.set_workers(1)`")
        if pid is None:
            return alive
        chosen = [worker for worker in alive if worker.pid == pid]
        if not chosen:
            raise InvalidInput(
                f"There is no Worker of ours with pid {str(pid)[:40]}.",
                remedy=f"one of {', '.join(str(worker.pid) for worker in alive)}, or None for all",
            )
        return chosen

    async def _kill(self, processes: Sequence[ProcessInfo]) -> None:
        await asyncio.gather(*(asyncio.to_thread(process.kill) for process in processes))

    @contextlib.contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except (OSError, Timeout) as error:
            raise StackError(
                f"What is broken cannot be written to {self._stack.faults.path}.",
                why=str(error),
                remedy="`durable-demo doctor` looks at the state directory",
            ) from error


async def _terminate_all(client: DemoClient, *, embedded: bool) -> list[str]:
    """Terminates all own workflows that run; returns their Workflow IDs."""
    ended: list[str] = []
    gate = asyncio.Semaphore(_TERMINATE_AT_ONCE)

    async def terminate(run: Run) -> None:
        async with gate:
            with contextlib.suppress(WorkflowNotFound):
                if (await run.terminate(reason="reset by Durable Demo")).accepted:
                    ended.append(run.id)

    # The server's list is a moment behind: what is in it still after it was ended is asked again, and says so.
    while running := await client.own_runs(embedded=embedded):
        await asyncio.gather(*(terminate(run) for run in running))
        await asyncio.sleep(_POLL_SECONDS)
    return ended


def _named(noun: str, processes: Sequence[ProcessInfo]) -> str:
    """``Worker 4711 was``, ``Workers 4711, 4712 were``."""
    pids = ", ".join(str(process.pid) for process in processes)
    return f"{noun} {pids} was" if len(processes) == 1 else f"{noun}s {pids} were"

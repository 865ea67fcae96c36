"""The tab Break it of a panel: verbs from its controls, what runs and what is broken, and the stopwatches."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from durable_demo.background import LoopLock
from durable_demo.errors import DemoError, InvalidInput
from durable_demo.widgets.break_channel import BreakChannel, RecoveryChannel, broken, shown_incidents
from durable_demo.widgets.live import Command, Reply, Work

if TYPE_CHECKING:
    from durable_demo.faults import Break, Incident
    from durable_demo.session import Session
    from durable_demo.stack import ProcessInfo, StackInfo
    from durable_demo.widgets.feed import Feed

_STATES = {
    "started": "starting",
    "polls": "running",
    "answers": "running",
    "frozen (SIGSTOP)": "frozen",
    "thawed (SIGCONT)": "running",
}
"""What is to be said of a process that lives, after its latest incident."""


class Breaking:
    """What can be broken from a panel. Its coroutines run on the background loop.

    Args:
        demo: A started session.
        feed: What its channel belongs to.
        stopwatches: Are told of each break of this session, whoever made it, and of what the supervisor saw.

    Attributes:
        channel: Shows what is broken and what runs.
    """

    def __init__(self, demo: Session, feed: Feed, *stopwatches: RecoveryChannel) -> None:
        self.channel = BreakChannel(feed)
        self._demo = demo
        self._stopwatches = stopwatches
        self._one_look = LoopLock()
        self._one_reset = LoopLock()
        demo.break_it.on_break.append(self._begin)

    def close(self) -> None:
        """Hears of breaks no more."""
        if self._begin in self._demo.break_it.on_break:
            self._demo.break_it.on_break.remove(self._begin)

    async def look(self) -> None:
        """Shows what runs and what is broken: files tell, so it needs neither server nor Worker."""
        async with self._one_look:
            before = [stopwatch.lasting for stopwatch in self._stopwatches]  # others may begin while the files are read
            info, faults, incidents = await asyncio.to_thread(self._read)
            self.channel.show(
                ready=True,
                possible=_possible(info),
                server=_server(info, incidents),
                workers=_workers(info, incidents) if info else [],
                faults=dataclasses.asdict(faults),
                broken=broken(faults),
                incidents=shown_incidents(incidents),
                problem="" if info else "The stack does not run: Reset everything starts it again.",
            )
            for stopwatch, lasting in zip(self._stopwatches, before, strict=True):
                stopwatch.note(incidents)
                if faults.happy:
                    stopwatch.forget(lasting)

    async def reset(self) -> str:
        """Brings everything back to a known state.

        Returns:
            What it did.

        Raises:
            DemoError: It did not come to that.
        """
        async with self._one_reset:
            self.channel.show(resetting=True, reset="")
            try:
                report = str(await self._demo.reset())
            except DemoError as error:
                self.channel.show(reset=str(error))
                raise
            else:
                self.channel.show(reset=report)
                return report
            finally:
                self.channel.show(resetting=False)
                await self.look()

    def commands(self) -> dict[str, Command]:
        """What a browser may ask for, by name."""

        async def look() -> Reply:
            await self.look()
            return True, ""

        def break_it(verb: str, value: str) -> Work[Reply]:
            if verb not in _VERBS:
                raise InvalidInput(f"there is no {verb[:40]!r} in the tab Break it", remedy="reload the page")
            arguments = _VERBS[verb](value)

            async def breaking() -> Reply:
                done: Break = await getattr(self._demo.break_it, verb)(*arguments)
                await self.look()
                return True, str(done)

            return breaking

        async def reset() -> Reply:
            return True, await self.reset()

        return {
            "look_at_stack": Command(lambda: look, alerts=False),
            "break_it": Command(break_it, {"verb": str, "value": str}, alerts=False),
            "reset": Command(lambda: reset, alerts=False),
        }

    def _begin(self, done: Break) -> None:
        """Called for each break of this session, on the background loop."""
        for stopwatch in self._stopwatches:
            stopwatch.begin(done)
        self.channel.show(reset="")  # that has been overtaken
        self._demo.background.spawn(self.look(), name="look at the stack")

    def _read(self) -> tuple[StackInfo | None, Any, list[Incident]]:
        break_it = self._demo.break_it
        return self._demo.stack.info(), break_it.faults(), break_it.incidents()


# --- what is shown ---------------------------------------------------------------------------------------------------


def _possible(info: StackInfo | None) -> dict[str, str]:
    """Why Workers, or the server and its network, cannot be broken from here; empty if they can."""
    external = info is not None and not info.runs_workers
    workers = "Your Workers are external: only Workers that the kit runs can be broken from here" if external else ""
    remote = info is not None and not info.embedded
    server = f"The server at {info.address} is not the embedded one: it stays as it is" if info and remote else ""
    return {"workers": workers, "server": workers or server}


def _server(info: StackInfo | None, incidents: Sequence[Incident]) -> dict[str, Any] | None:
    if info is None or not info.embedded:
        return None
    if not info.faults.server:
        return {"pid": None, "state": "away"}
    return _process(info.server, incidents) if info.server else {"pid": None, "state": "starting"}


def _workers(info: StackInfo, incidents: Sequence[Incident]) -> list[dict[str, Any]]:
    """Those of the kit, then those of workflows that were written in notebooks."""
    live = [(module.process, module.name) for module in info.live if module.process]
    return [
        *(_process(worker, incidents) for worker in info.workers),
        *({**_process(process, incidents), "module": name} for process, name in live),
    ]


def _process(process: ProcessInfo, incidents: Sequence[Incident]) -> dict[str, Any]:
    seen = [
        _STATES[incident.what] for incident in incidents if incident.pid == process.pid and incident.what in _STATES
    ]
    # Older incidents are not kept: what has lived so long runs.
    return {"pid": process.pid, "state": (seen[-1] if seen else "running") if process.alive else "dead"}


# --- what is typed ---------------------------------------------------------------------------------------------------


def _nothing(_text: str) -> tuple[Any, ...]:
    return ()


def _pid(text: str) -> tuple[Any, ...]:
    return (_whole(text),) if text.strip() else ()


def _count(text: str) -> tuple[Any, ...]:
    return (_whole(text),)


def _seconds(text: str) -> tuple[Any, ...]:
    return (_number(text),) if text.strip() else ()


def _longer(text: str) -> tuple[Any, ...]:
    return (_number(text),)


def _disturbance(text: str) -> tuple[Any, ...]:
    """How, and for how many seconds: ``cut 15``."""
    how, _, duration = text.partition(" ")
    return (how, *_seconds(duration))


def _switch(text: str) -> tuple[Any, ...]:
    if text not in ("on", "off"):
        raise InvalidInput(f"this must be on or off, not {text[:40]!r}")
    return (text == "on",)


_VERBS: Mapping[str, Callable[[str], tuple[Any, ...]]] = {
    "kill_worker": _pid,
    "set_workers": _count,
    "freeze_worker": _seconds,
    "thaw_worker": _nothing,
    "kill_server": _seconds,
    "start_server": _nothing,
    "disturb_network": _disturbance,
    "mend_network": _nothing,
    "fail_activities": _count,
    "slow_tools": _longer,
    "model_down": _switch,
    "cut_answers": _count,
}
"""How the text of its control is read, by the verb of `BreakIt`."""


def _whole(text: str) -> int:
    try:
        return int(text.strip())
    except ValueError:
        raise InvalidInput(f"this must be a whole number, not {text[:40]!r}") from None


def _number(text: str) -> float:
    try:
        return float(text.strip())
    except ValueError:
        raise InvalidInput(f"this must be a number of seconds, not {text[:40]!r}") from None

"""Kills of real processes, each when the one before is mended, at a random moment after."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Literal

import psutil

from durable_demo import Session
from durable_demo.stack import ProcessInfo

Victim = Literal["server", "worker"]
MENDED_WITHIN_S = 60.0
DOWN_WITHIN = timedelta(minutes=1)


@dataclass(frozen=True)
class Kill:
    """One kill: when it was (Unix time), and of whom."""

    at: float
    victim: Victim
    signal: signal.Signals


class Attack:
    """Kills the server or the Worker of a session's stack, which starts them again.

    Args:
        demo: The session.
        dice: Decides the moments.
    """

    def __init__(self, demo: Session, dice: random.Random) -> None:
        self._demo = demo
        self.dice = dice
        self.kills: list[Kill] = []
        self._killed: set[ProcessInfo] = set()

    async def strike(
        self, victim: Victim, how: signal.Signals = signal.SIGKILL, *, after: tuple[float, float] = (0.1, 4.0)
    ) -> None:
        """Waits until all is mended and then for a random time in seconds, and kills."""
        await self.mended()
        await asyncio.sleep(self.dice.uniform(*after))
        process = getattr(self._demo.info, victim)
        assert process is not None
        self._killed.add(process)
        self.kills.append(Kill(time.time(), victim, how))
        with suppress(ProcessLookupError):  # a server that was killed may have taken its Worker along
            os.kill(process.pid, how)

    async def mended(self) -> None:
        """Waits until server and Worker are others than those that were killed, and work."""
        deadline = time.monotonic() + MENDED_WITHIN_S
        while not self._works():
            assert time.monotonic() < deadline, f"{MENDED_WITHIN_S:g} s after a kill: {self._demo.stack.info()}"
            await asyncio.sleep(0.05)

    def _works(self) -> bool:
        info = self._demo.stack.info()
        if info is None or not info.ready:
            return False
        return all(
            process is not None and process.alive and process not in self._killed
            for process in (info.server, info.worker)
        )


def processes_of(home: Path) -> list[psutil.Process]:
    """Processes that know this state directory, kernels included."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(home) in [*process.environ().values(), *process.cmdline()] and process.status() != "zombie":
                found.append(process)
        except psutil.Error:
            continue
    return found


def gaps(signs: list[float], kills: list[float]) -> list[float]:
    """How long nothing went on because of kills, from signs of progress and the moments of the kills (Unix times).

    One gap for each stretch without a sign in which somebody was killed: all of it, as people see it, but for the time
    from the first to the last kill in it, if there were several.
    """
    found = []
    for before, after in pairwise(signs):
        inside = [kill for kill in kills if before <= kill < after]
        if inside:
            found.append(after - before - (inside[-1] - inside[0]))
    return found

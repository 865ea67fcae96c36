"""Workflows whose code cannot go on, each in its own way, for tests of how that is told; each has the type `Broken`.

But `RaisesInChat`: it takes the place of the kit's own.
"""

from __future__ import annotations

import datetime
import time
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow

SOON = {"start_to_close_timeout": timedelta(seconds=5)}


@activity.defn
async def echo(number: int) -> int:
    return number


@activity.defn
async def other(number: int) -> int:
    return number


@workflow.defn(name="Broken")
class Sound:
    """Does as it should: asks for `echo` again and again, each time that it is poked."""

    def __init__(self) -> None:
        self._pokes = 0

    @workflow.run
    async def run(self, times: int) -> int:
        for number in range(times):
            await workflow.wait_condition(lambda number=number: self._pokes > number)
            await workflow.execute_activity(echo, number, **SOON)
        return times

    @workflow.signal
    def poke(self) -> None:
        self._pokes += 1


@workflow.defn(name="Broken")
class Changed(Sound):
    """The same with another Activity."""

    @workflow.run
    async def run(self, times: int) -> int:
        for number in range(times):
            await workflow.wait_condition(lambda number=number: self._pokes > number)
            await workflow.execute_activity(other, number, **SOON)
        return times


@workflow.defn(name="Broken")
class ChangedLater(Sound):
    """The same with another Activity from the second time on, and a timer before it."""

    @workflow.run
    async def run(self, times: int) -> int:
        for number in range(times):
            await workflow.wait_condition(lambda number=number: self._pokes > number)
            if number:
                await workflow.sleep(0.01)
            await workflow.execute_activity(echo, number, **SOON)
        return times


@workflow.defn(name="Broken")
class Raises(Sound):
    @workflow.run
    async def run(self, times: int) -> int:
        raise RuntimeError("a bug in <b>workflow</b> code")


@workflow.defn(name="ChatWorkflow")
class RaisesInChat:
    @workflow.run
    async def run(self, given: dict[str, Any]) -> None:
        raise RuntimeError("a bug in workflow code")


@workflow.defn(name="Broken")
class Blocks(Sound):
    @workflow.run
    async def run(self, times: int) -> int:
        with workflow.unsafe.sandbox_unrestricted():
            time.sleep(4)  # noqa: ASYNC251  # that is what is broken
        return times


@workflow.defn(name="Broken")
class Impure(Sound):
    @workflow.run
    async def run(self, times: int) -> int:
        return datetime.datetime.now().year  # noqa: DTZ005  # that is what is broken


@workflow.defn(name="Broken")
class Huge(Sound):
    @workflow.run
    async def run(self, times: int) -> int:
        await workflow.execute_activity("echo", "x" * 5_000_000, **SOON)
        return times


@workflow.defn(name="Broken")
class AsksForUnknown(Sound):
    @workflow.run
    async def run(self, times: int) -> int:
        await workflow.execute_activity("no_such_activity", times, **SOON)
        return times


@workflow.defn
class Unrelated:
    @workflow.run
    async def run(self) -> None:
        pass

"""Monty as somebody may change it, for `test_replay.py`: what breaks the runs that there are, and what does not."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio import workflow

from durable_demo.workflows.monty import MontyPythonWorkflow
from durable_demo.workflows.monty_data import MontyPythonResult, Step, StepOutcome

NAME = "MontyPythonWorkflow"


@workflow.defn(name=NAME)
class WithATimer(MontyPythonWorkflow):
    """Sleeps before its first Activity."""

    @workflow.init
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)

    @workflow.run
    async def run(self, *given: Any) -> MontyPythonResult:
        await asyncio.sleep(1)
        return await super().run(*given)


@workflow.defn(name=NAME)
class WithoutItsActivity(MontyPythonWorkflow):
    """Delivers its quotes by itself."""

    @workflow.init
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)

    @workflow.run
    async def run(self, *given: Any) -> MontyPythonResult:
        return await super().run(*given)

    async def _sleep_then_quote(self, step: Step) -> StepOutcome:
        return StepOutcome(step.sleep, step.quote)


@workflow.defn(name=NAME)
class WithAPatchedTimer(MontyPythonWorkflow):
    """Sleeps before its first Activity, but not in runs that began without it."""

    @workflow.init
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)

    @workflow.run
    async def run(self, *given: Any) -> MontyPythonResult:
        if workflow.patched("a-timer-first"):
            await asyncio.sleep(1)
        return await super().run(*given)

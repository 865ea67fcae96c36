"""Workflows that the kit does not know, for tests of what serves any workflow."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError


@activity.defn
async def flaky(fail_times: int) -> str:
    """Fails so many times, then returns."""
    if activity.info().attempt <= fail_times:
        raise ApplicationError("not yet", type="Hiccup")
    return "at last <b>&\x00"


@activity.defn
async def copy_files(steps: int) -> int:
    """Reports its progress in the way that any workflow may."""
    for step in range(steps):
        activity.heartbeat({"progress": 100 * step / steps, "status": f"copying {step}"})
        await asyncio.sleep(0.2)
    return steps


@workflow.defn
class Child:
    @workflow.run
    async def run(self, name: str) -> str:
        return f"child of {name}"


@workflow.defn
class Stoppable:
    """Speaks the kit's `stop_workflow`, and has one Query."""

    def __init__(self) -> None:
        self._stopped = False

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self._stopped)
        return "stopped"

    @workflow.signal
    def stop_workflow(self) -> None:
        self._stopped = True

    @workflow.query
    def is_stopped(self) -> str:
        return f"is it stopped: {self._stopped}"


@workflow.defn
class Everything:
    """Uses what a workflow can use: activities, timer, child, signal, update."""

    def __init__(self) -> None:
        self._go = False

    @workflow.run
    async def run(self, name: str) -> dict[str, float]:
        await workflow.wait_condition(lambda: self._go)
        await workflow.execute_activity(
            flaky,
            1,
            start_to_close_timeout=timedelta(seconds=5),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=50)),
        )
        await workflow.execute_activity(
            copy_files, 10, start_to_close_timeout=timedelta(seconds=60), heartbeat_timeout=timedelta(seconds=2)
        )
        await workflow.sleep(0.01)
        await workflow.execute_child_workflow(Child.run, name, id=f"{workflow.info().workflow_id}-child")
        return {"answer": 42, "nan": float("nan")}

    @workflow.signal
    def go(self) -> None:
        self._go = True

    @workflow.update
    async def greet(self, name: str) -> str:
        return f"hello {name}"


@workflow.defn
class Fails:
    @workflow.run
    async def run(self) -> None:
        raise ApplicationError("boom", type="Broken", non_retryable=True) from ValueError("the reason")


@workflow.defn
class Stuck:
    """Its code has a bug, so its Workflow Task fails again and again; signals come in meanwhile."""

    @workflow.run
    async def run(self) -> None:
        raise RuntimeError("a bug in workflow code")

    @workflow.signal
    def poke(self, number: int) -> None:
        pass


WORKFLOWS = [Child, Everything, Fails, Stoppable, Stuck]
ACTIVITIES = [flaky, copy_files]

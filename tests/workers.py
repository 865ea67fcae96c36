"""Workers in the process of the tests, each for a Task Queue of its own, and workflows on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from uuid import uuid4

import psutil
from temporalio.worker import Worker

from durable_demo import Session
from durable_demo import events as e
from durable_demo.run import Run
from durable_demo.tuning import WORKFLOW_TASK_TIMEOUT
from tests.broken import echo, other


@asynccontextmanager
async def working(demo: Session, queue: str, *workflows: type, **options: Any) -> AsyncIterator[None]:
    """A Worker of its own for a Task Queue, sandbox on, on the loop of the session's client."""

    async def begin() -> Worker:
        worker = Worker(
            demo.client.temporal,
            task_queue=queue,
            **{"workflows": workflows, "activities": [echo, other], "max_cached_workflows": 0, **options},
        )
        await worker.__aenter__()
        return worker

    worker = await demo.background.run(begin(), name="start the Worker of the test")
    try:
        yield
    finally:
        await demo.background.run(worker.shutdown(), name="stop the Worker of the test")


@contextmanager
def suspended(demo: Session) -> Iterator[None]:
    """The session's own Worker does nothing meanwhile: what a test does comes in time, however slow the machine is."""
    worker = demo.info.worker
    assert worker is not None
    process = psutil.Process(worker.pid)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def timed_out(retry: e.ActivityRetry) -> bool:
    """Whether a further attempt was made because its Worker stood still: on a slow machine any does, now and then."""
    return "heartbeat timeout" in retry.error.lower()


async def begun(demo: Session, queue: str, argument: object = 3, workflow_type: str = "Broken") -> Run:
    """A workflow on a Task Queue, which nobody may serve."""
    workflow_id = f"broken-{uuid4().hex[:8]}"
    start = demo.client.temporal.start_workflow(
        workflow_type, argument, id=workflow_id, task_queue=queue, task_timeout=WORKFLOW_TASK_TIMEOUT
    )
    await demo.background.run(start, name="start the workflow of the test")
    return demo.attach(workflow_id)


async def poke(demo: Session, run: Run) -> None:
    handle = demo.client.temporal.get_workflow_handle(run.id)
    await demo.background.run(handle.signal("poke"), name="poke")

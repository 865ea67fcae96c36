"""Calls to the server that are broken off; the chain itself is tested with `follow`, on the real server."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryResponse

from durable_demo.chain import Chain


@pytest.mark.parametrize("turns", range(5))
async def test_who_leaves_at_the_moment_of_the_answer_has_left(turns: int) -> None:
    """`asyncio.wait_for` of Python 3.11 would forget it, and a follower that nobody reads would go on for ever."""
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def call(*_: object, **__: object) -> GetWorkflowExecutionHistoryResponse:
        return await answer  # type: ignore[no-any-return]

    client: Any = SimpleNamespace(
        namespace="default", workflow_service=SimpleNamespace(get_workflow_execution_history=call)
    )
    reading = asyncio.create_task(Chain(client, "workflow").page("run", wait=True))
    for _ in range(5):
        await asyncio.sleep(0)
    answer.set_result(GetWorkflowExecutionHistoryResponse())
    for _ in range(turns):  # of the event loop
        await asyncio.sleep(0)
    had_ended = reading.done()

    reading.cancel()

    await asyncio.wait({reading})
    assert had_ended or reading.cancelled()

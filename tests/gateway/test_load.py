"""Many readers at once: nobody misses a fact."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_demo import Session
from tests.gateway.served import facts, read, serving
from tests.gateway.test_sse import facts_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WORKFLOWS = 20
READERS = 500
ITERATIONS = 4


async def follow(client: httpx.AsyncClient, workflow_id: str, late_s: float) -> list[dict[str, Any]]:
    await asyncio.sleep(late_s)
    events = read(client, f"/workflow/{workflow_id}/stream", params={"named": False})
    return [json.loads(event.data) async for event in events]


async def test_500_readers_of_20_workflows_lose_no_fact(tmp_path: Path):
    limits = httpx.Limits(max_connections=READERS + 20)
    async with (
        serving(tmp_path) as gateway,
        Session(tmp_path) as demo,
        httpx.AsyncClient(base_url=gateway.url, timeout=120, limits=limits) as client,
    ):
        runs = [
            await demo.start_monty(min_sleep=0.5, max_sleep=1.5, seed=number, iterations=ITERATIONS)
            for number in range(WORKFLOWS)
        ]
        readers = [
            asyncio.create_task(follow(client, runs[number % WORKFLOWS].id, late_s=number / READERS * 6))
            for number in range(READERS)
        ]
        read_by_all = await asyncio.gather(*readers)
        for number, seen in enumerate(read_by_all):
            workflow_id = runs[number % WORKFLOWS].id
            expected = (
                await facts_of(demo, workflow_id) if number < WORKFLOWS else facts(read_by_all[number % WORKFLOWS])
            )
            assert facts(seen) == expected, f"reader {number}"
            assert seen[-1]["event"] == "workflow_completed"

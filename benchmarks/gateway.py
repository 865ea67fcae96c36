"""How soon a delivered quote reaches readers of the gateway: 20, and 500 at once, against `follow()` without it.

All watch the same workflows in the same run; the gateway is a process of its own. Its memory is told for few readers
and after many.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import datetime

import httpx
import psutil
from httpx_sse import aconnect_sse

from benchmarks.report import table
from durable_demo import Session
from durable_demo.run import Run

WORKFLOWS = 20
READERS = 500
ITERATIONS = 12


async def measure(demo: Session) -> None:
    """Prints the latencies, and the memory."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "durable_demo", "serve", "--port", "0", "--rate", "0"), stdout=asyncio.subprocess.PIPE
    )
    try:
        address = await asyncio.wait_for(_address(process), 60)
        one, direct = await _watched(demo, address, readers=WORKFLOWS)
        alone = _megabytes(process.pid)
        many, _ = await _watched(demo, address, readers=READERS)
        table(f"{WORKFLOWS} readers: a delivered quote is seen after", "ms", one, direct, ("gateway", "follow()"))
        table(f"{READERS} readers: a delivered quote is seen after", "ms", many, direct, ("gateway", "follow()"))
        print(f"Memory of the gateway: {alone:.0f} MB after few, {_megabytes(process.pid):.0f} MB after all")
    finally:
        process.terminate()
        await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stdout
    while line := (await process.stdout.readline()).decode():
        if line.startswith("Routes:"):
            return line.split()[1].removesuffix("/openapi.json")
    raise RuntimeError("the gateway did not start")


async def _watched(demo: Session, address: str, *, readers: int) -> tuple[list[float], list[float]]:
    """Latencies of all readers, and of followers without a gateway, in ms."""
    runs = [
        await demo.start_monty(min_sleep=0.8, max_sleep=1.6, seed=seed, iterations=ITERATIONS)
        for seed in range(WORKFLOWS)
    ]
    seen: list[float] = []
    followed: list[float] = []

    async def follow(run: Run) -> None:
        async for event in run.events():
            if getattr(event, "current_quote", None):
                followed.append(1000 * (time.time() - event.moment.timestamp()))

    async def read(client: httpx.AsyncClient, run: Run) -> None:
        began = time.time()
        async with aconnect_sse(client, "GET", f"/workflow/{run.id}/stream") as source:
            async for message in source.aiter_sse():
                event = json.loads(message.data) if '"current_quote": "' in message.data else {}
                at = datetime.fromisoformat(event["timestamp"]).timestamp() if event else 0.0
                if at > began:  # what was there before tells nothing
                    seen.append(1000 * (time.time() - at))

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=address, timeout=120, limits=limits) as client, asyncio.timeout(300):
        await asyncio.gather(
            *(follow(run) for run in runs), *(read(client, runs[number % WORKFLOWS]) for number in range(readers))
        )
    return seen, followed


def _megabytes(pid: int) -> float:
    return sum(each.memory_info().rss for each in (psutil.Process(pid), *psutil.Process(pid).children(True))) / 1e6

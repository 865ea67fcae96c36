"""How soon a delivered quote is seen: `follow()` against polling the Query `get_progress` every 500 ms.

Both watch the same workflows in the same run. Latency is the time from the server's timestamp of the fact to its
arrival here, by one clock.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from benchmarks.report import table
from durable_demo import Session
from durable_demo.errors import DemoError
from durable_demo.run import Run

WORKFLOWS = 4
ITERATIONS = 25
POLL_INTERVAL_S = 0.5


async def measure(demo: Session) -> None:
    """Prints the latencies of both."""
    runs = [
        await demo.start_monty(min_sleep=0.8, max_sleep=1.6, seed=seed, iterations=ITERATIONS)
        for seed in range(WORKFLOWS)
    ]
    delivered: dict[tuple[str, int], float] = {}
    followed: list[float] = []
    polled: dict[tuple[str, int], float] = {}

    async def follow(run: Run) -> None:
        async for event in run.events():
            if getattr(event, "current_quote", None):
                delivered[run.id, event.total_quotes_delivered] = event.moment.timestamp()
                followed.append(1000 * (time.time() - event.moment.timestamp()))

    async def poll(run: Run) -> None:
        seen = 0
        while seen < ITERATIONS:
            with suppress(DemoError):
                count = (await run.progress())["total_quotes_delivered"]
                for number in range(seen + 1, count + 1):
                    polled[run.id, number] = time.time()
                seen = count
            await asyncio.sleep(POLL_INTERVAL_S)

    async with asyncio.timeout(300):
        await asyncio.gather(*(follow(run) for run in runs), *(poll(run) for run in runs))
    latencies = [1000 * (at - delivered[key]) for key, at in polled.items()]
    table("A delivered quote is seen after", "ms", followed, latencies, ("follow()", "Query every 500 ms"))

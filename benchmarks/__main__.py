"""Runs all benchmarks on a stack of their own and prints their tables."""

from __future__ import annotations

import asyncio
import tempfile

from benchmarks import chat, fold, live_facts, panel
from durable_demo import Session


async def main() -> None:
    fold.measure()
    with tempfile.TemporaryDirectory() as home:
        async with Session(home) as demo:
            await live_facts.measure(demo)
            await chat.measure(demo)
    await panel.measure()


asyncio.run(main())

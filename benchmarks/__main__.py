"""Runs all benchmarks on a stack of their own and prints their tables."""

from __future__ import annotations

import asyncio
import os
import tempfile

from benchmarks import chat, fold, gateway, live_facts, panel
from durable_demo import Session, settings


async def main() -> None:
    fold.measure()
    with tempfile.TemporaryDirectory() as home:
        async with Session(home) as demo:
            await live_facts.measure(demo)
            await chat.measure(demo)
            os.environ[settings.ENV_HOME] = home
            await gateway.measure(demo)
    await panel.measure()


asyncio.run(main())

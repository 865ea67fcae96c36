"""A Worker for Monty's Activity alone, which a test can kill: `python -m tests.activity_worker ADDRESS QUEUE`."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker

from durable_demo.workflows import sleep_then_quote


async def main(address: str, queue: str) -> None:
    throttle = timedelta(milliseconds=150)
    await Worker(
        await Client.connect(address),
        task_queue=queue,
        activities=[sleep_then_quote],
        max_heartbeat_throttle_interval=throttle,
        default_heartbeat_throttle_interval=throttle,
    ).run()


asyncio.run(main(*sys.argv[1:]))

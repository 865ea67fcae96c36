"""A Worker of the kit that a test can kill, and that writes down each run of an Activity.

`python -m tests.counting_worker LOG`; a line of the log is `begin|end ACTIVITY_ID ATTEMPT`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor, Worker

from durable_demo import settings, tuning
from durable_demo.connection import configured, connect, worker_identity
from durable_demo.workflows import ACTIVITIES, WORKFLOWS


class Counting(Interceptor):
    def __init__(self, path: str) -> None:
        self._log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _CountingInbound(next, self._log)


class _CountingInbound(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, log: int) -> None:  # noqa: A002
        super().__init__(next)
        self._log = log

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        info = activity.info()
        # One write of a short line: it is whole, or the kill came before.
        os.write(self._log, f"begin {info.activity_id} {info.attempt}\n".encode())
        result = await self.next.execute_activity(input)
        os.write(self._log, f"end {info.activity_id} {info.attempt}\n".encode())
        return result


async def main(path: str) -> None:
    connection = configured()
    assert connection is not None
    await Worker(
        await connect(connection, identity=worker_identity(os.getpid())),
        task_queue=settings.task_queue(),
        workflows=WORKFLOWS,
        activities=ACTIVITIES,
        interceptors=[Counting(path)],
        sticky_queue_schedule_to_start_timeout=tuning.STICKY_TIMEOUT,
        max_heartbeat_throttle_interval=tuning.HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=tuning.HEARTBEAT_THROTTLE,
    ).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

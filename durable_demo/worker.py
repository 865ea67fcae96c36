"""The Worker: config -> connect -> build -> run until stopped.

``python -m durable_demo.worker`` (in a checkout or a container also ``python -m worker``, from a terminal
``durable-demo worker``). Start as many as you like: they share the Task Queue.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import NoReturn

import tenacity
from temporalio.worker import Worker

from durable_demo import settings
from durable_demo.connection import Connection, configured, connect, worker_identity
from durable_demo.errors import DemoError, InvalidInput, NamespaceNotFound, ServerUnreachable
from durable_demo.processes import leave
from durable_demo.workflows import ACTIVITIES, WORKFLOWS
from durable_demo.workflows.chat_activities import chosen

logger = logging.getLogger(__name__)

# The embedded server starts at the same time, and makes its Namespace a moment after it answers.
_patient_connect = tenacity.retry(
    retry=tenacity.retry_if_exception_type((ServerUnreachable, NamespaceNotFound)),
    wait=tenacity.wait_fixed(0.1),
    stop=tenacity.stop_after_delay(settings.START_DEADLINE),
    reraise=True,
)(connect)


async def run_worker(connection: Connection, task_queue: str) -> None:
    """Run a Worker until this task is cancelled; it then ends gracefully.

    Raises:
        ConnectionFailed: The server could not be used within `START_DEADLINE`.
    """
    agent = await asyncio.to_thread(chosen)  # before it takes work: a provider's library takes seconds to load
    logger.info("The agent's model: %s", agent.model.name)
    if agent.notice:
        logger.warning("%s", agent.notice)
    client = await _patient_connect(connection, identity=worker_identity(os.getpid()))
    worker = Worker(
        client,
        task_queue=task_queue,
        workflows=WORKFLOWS,
        activities=ACTIVITIES,
        sticky_queue_schedule_to_start_timeout=settings.STICKY_TIMEOUT,
        graceful_shutdown_timeout=settings.GRACEFUL_SHUTDOWN_TIMEOUT,
        max_heartbeat_throttle_interval=settings.HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=settings.HEARTBEAT_THROTTLE,
    )
    logger.info("Worker %s serves Task Queue %s at %s", client.identity, task_queue, connection.address)
    await worker.run()


async def _run_until_signalled() -> None:
    connection = configured()
    if connection is None:
        raise InvalidInput(
            "A Worker that you start yourself needs the address of a server.",
            remedy="set TEMPORAL_ADDRESS to host:port (`durable-demo status` shows that of the embedded server)",
        )
    task = asyncio.current_task()
    assert task  # noqa: S101
    loop = asyncio.get_running_loop()
    signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(task.cancel))  # SIGINT does the same
    await run_worker(connection, settings.task_queue())


def main() -> NoReturn:
    """Run a Worker until SIGTERM or Ctrl-C; ends the process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        asyncio.run(_run_until_signalled())
    except (asyncio.CancelledError, KeyboardInterrupt):
        logger.info("Worker stopped")
    except DemoError as error:
        print(error, file=sys.stderr)  # noqa: T201
        leave(1)
    leave(0)


if __name__ == "__main__":
    main()

"""The Worker: config -> connect -> build -> run until stopped.

``python -m durable_demo.worker`` (in a checkout or a container also ``python -m worker``, from a terminal
``durable-demo worker``). Start as many as you like: they share the Task Queue.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from temporalio.worker import Worker

from durable_demo import settings, tuning
from durable_demo.connection import Connection, configured, connect_patiently, worker_identity
from durable_demo.errors import DemoError, InvalidInput
from durable_demo.injection import injection
from durable_demo.processes import leave
from durable_demo.workflows import ACTIVITIES, WORKFLOWS
from durable_demo.workflows.chat_activities import chosen

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """What a Worker runs.

    Attributes:
        workflows: Workflow classes.
        activities: Activity functions.
    """

    workflows: Sequence[type]
    activities: Sequence[Callable[..., Any]]


async def kit() -> Work:
    """The workflows of the kit, with the agent ready to answer."""
    agent = await asyncio.to_thread(chosen)  # before it takes work: a provider's library takes seconds to load
    logger.info("The agent's model: %s", agent.model.name)
    if agent.notice:
        logger.warning("%s", agent.notice)
    return Work(WORKFLOWS, ACTIVITIES)


async def run_worker(connection: Connection, task_queue: str, work: Work) -> None:
    """Run a Worker until this task is cancelled; it then ends gracefully.

    Raises:
        ConnectionFailed: The server could not be used within `START_DEADLINE`.
    """
    client = await connect_patiently(connection, identity=worker_identity(os.getpid()))
    worker = Worker(
        client,
        task_queue=task_queue,
        workflows=work.workflows,
        activities=work.activities,
        activity_executor=ThreadPoolExecutor(tuning.MAX_ACTIVITIES),
        interceptors=injection(os.environ.get(settings.ENV_FAULTS, "")),
        max_concurrent_activities=tuning.MAX_ACTIVITIES,
        sticky_queue_schedule_to_start_timeout=tuning.STICKY_TIMEOUT,
        graceful_shutdown_timeout=tuning.GRACEFUL_SHUTDOWN_TIMEOUT,
        max_heartbeat_throttle_interval=tuning.HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=tuning.HEARTBEAT_THROTTLE,
    )
    logger.info("Worker %s serves Task Queue %s at %s", client.identity, task_queue, connection.address)
    await worker.run()


async def _run_until_signalled(module: Path | None, task_queue: str) -> None:
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
    await run_worker(connection, task_queue, _live(module) if module else await kit())


def _live(module: Path) -> Work:
    from durable_demo.live_modules import load

    return Work(*load(module))


def main(arguments: Sequence[str] = ()) -> NoReturn:
    """Run a Worker until SIGTERM or Ctrl-C; ends the process."""
    parser = argparse.ArgumentParser(prog="durable_demo.worker")
    parser.add_argument("--module", type=Path, help="file with workflows and Activities, instead of those of the kit")
    parser.add_argument("--task-queue", default=settings.task_queue())
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        asyncio.run(_run_until_signalled(options.module, options.task_queue))
    except (asyncio.CancelledError, KeyboardInterrupt):
        logger.info("Worker stopped")
    except DemoError as error:
        print(error, file=sys.stderr)  # noqa: T201
        leave(1)
    leave(0)


if __name__ == "__main__":
    main(sys.argv[1:])

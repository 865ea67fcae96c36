"""The Worker process: it waits for its server, serves with others, and ends when asked to."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from durable_demo import settings
from durable_demo.connection import Connection, connect, pollers, worker_identity
from durable_demo.processes import environment
from durable_demo.session import Session

ROOT = Path(__file__).parent.parent


def said_in(log: Path) -> str:
    return log.read_text()


StartWorker = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "worker.log"


@pytest.fixture
def start_worker(log: Path) -> Iterator[StartWorker]:
    """Starts Workers from the checkout, and kills at the end what is left of them."""
    started: list[subprocess.Popen[bytes]] = []

    def start(address: str, queue: str, module: str = "durable_demo.worker") -> subprocess.Popen[bytes]:
        with log.open("ab") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", module],
                env=environment(TEMPORAL_ADDRESS=address, **{settings.ENV_TASK_QUEUE: queue}),
                stderr=stream,
                cwd=ROOT,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(60)


async def until_polling(address: str, queue: str, *processes: subprocess.Popen[bytes]) -> None:
    wanted = {worker_identity(process.pid) for process in processes}
    client = await connect(Connection(address))
    async with asyncio.timeout(60):
        while not wanted <= await pollers(client, queue):
            assert all(process.poll() is None for process in processes), "a Worker ended"
            await asyncio.sleep(0.05)


def test_without_an_address_it_says_what_to_set() -> None:
    command = [sys.executable, "-m", "durable_demo.worker"]
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert "set TEMPORAL_ADDRESS" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("module", ["durable_demo.worker", "worker"])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_it_polls_and_ends_gracefully(
    demo: Session, start_worker: StartWorker, log: Path, module: str, how: signal.Signals
) -> None:
    queue = f"worker-{module}-{how.name}"
    process = start_worker(demo.info.address, queue, module)
    await until_polling(demo.info.address, queue, process)
    process.send_signal(how)
    assert await asyncio.to_thread(process.wait, 60) == 0
    said = said_in(log)
    assert f"serves Task Queue {queue} at {demo.info.address}" in said
    assert "Worker stopped" in said
    assert "Fatal Python error" not in said


@pytest.mark.slow
async def test_replicas_serve_one_task_queue(demo: Session, start_worker: StartWorker) -> None:
    queue = "worker-replicas"
    replicas = [start_worker(demo.info.address, queue) for _ in range(2)]
    await until_polling(demo.info.address, queue, *replicas)


@pytest.mark.slow
async def test_it_waits_for_a_server_that_starts_later(demo: Session, start_worker: StartWorker) -> None:
    with socket.socket() as later:
        later.bind(("127.0.0.1", 0))  # taken, and refusing connections until listen()
        address = f"127.0.0.1:{later.getsockname()[1]}"
        process = start_worker(address, "worker-patient")
        await asyncio.sleep(1.5)  # its imports take about 1 s; then it has been refused at least once
        assert process.poll() is None
        later.listen()
        later.setblocking(False)
        forwarding = asyncio.create_task(_forward(later, demo.info.address))
        try:
            await until_polling(demo.info.address, "worker-patient", process)
        finally:
            forwarding.cancel()
            await asyncio.wait([forwarding])


async def _forward(listener: socket.socket, address: str) -> None:
    """Serve the listener by forwarding to the address."""
    host, _, port = address.rpartition(":")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))

    async with await asyncio.start_server(serve, sock=listener) as server:
        await server.serve_forever()

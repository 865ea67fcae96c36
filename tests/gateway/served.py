"""`durable-demo serve` as a process of its own, and what its streams send."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from httpx_sse import ServerSentEvent, aconnect_sse

from durable_demo import settings

DEADLINE_S = 60
"""Of every wait: the machine may be busy with other things."""
TOKEN = "a-token-of-the-tests-1234"


class Served:
    """A gateway process on the stack of a state directory.

    Attributes:
        url: Its address, without a slash at the end.
        announced: What it printed at its start.
    """

    def __init__(self, home: Path, *options: str) -> None:
        self._home = home
        self._options = options
        self._process: asyncio.subprocess.Process | None = None
        self.url = ""
        self.announced = ""

    async def start(self) -> None:
        """Starts it; a second time on the same port."""
        port = self.url.rpartition(":")[2] or "0"
        options = [*self._options, "--rate", "0"] if "--rate" not in self._options else self._options
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "durable_demo", "serve", "--port", port, *options),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, settings.ENV_HOME: str(self._home)},
        )
        assert self._process.stdout
        self.announced = ""
        async with asyncio.timeout(DEADLINE_S):
            while "Ctrl-C" not in self.announced:
                line = await self._process.stdout.readline()
                assert line, f"it ended: {self.announced}"
                self.announced += line.decode()
        found = re.search(r"Routes: (\S+)/openapi.json", self.announced)
        assert found
        self.url = found[1]

    async def kill(self) -> None:
        """SIGKILL."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> str:
        """SIGTERM; returns what it said since its start, and fails if it takes long."""
        return await self._end(signal.SIGTERM)

    async def _end(self, number: int) -> str:
        assert self._process
        if self._process.returncode is None:
            self._process.send_signal(number)
        async with asyncio.timeout(DEADLINE_S):
            said, _ = await self._process.communicate()
        return said.decode()

    @property
    def status(self) -> int | None:
        return self._process.returncode if self._process else None


@asynccontextmanager
async def serving(home: Path, *options: str) -> AsyncIterator[Served]:
    """A gateway for a while."""
    served = Served(home, *options)
    try:
        await served.start()
        yield served
    finally:
        said = await served.stop()
        print("The gateway said:", said)


async def patiently(client: httpx.AsyncClient, method: str, path: str, **options: Any) -> httpx.Response:
    """An answer that needs a Worker: one that is too busy is asked again, as `Retry-After` says."""
    async with asyncio.timeout(DEADLINE_S):
        while (response := await client.request(method, path, **options)).status_code == 503:  # noqa: ASYNC110
            await asyncio.sleep(int(response.headers["retry-after"]))
    return response


async def read(
    client: httpx.AsyncClient, path: str, method: str = "GET", *, last: str = "", **options: Any
) -> AsyncIterator[ServerSentEvent]:
    """The events of a stream, by a library that is not ours; comments and `retry` are its own concern."""
    headers = {**options.pop("headers", {}), **({"Last-Event-ID": last} if last else {})}
    async with aconnect_sse(client, method, path, headers=headers, **options) as source:
        if source.response.status_code == 204:
            return
        if source.response.status_code != 200:
            await source.response.aread()
            raise AssertionError(source.response.text)
        async for event in source.aiter_sse():
            if event.data:
                yield event


async def read_all(client: httpx.AsyncClient, path: str, method: str = "GET", **options: Any) -> list[dict[str, Any]]:
    """The events of a stream that ends, as they were sent."""
    found = []
    async for event in read(client, path, method, **options):
        told = json.loads(event.data)
        assert (event.event, event.id) == (told["event"], told["offset"])
        found.append(told)
    return found


def facts(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if not event["tick"]]

"""A small TCP proxy on the loopback address: the network between Workers and embedded server, so that it can be broken.

It passes bytes on as they come, until it is told to disturb them. Nothing is lost or changed on the way: what a cut
holds back arrives when it ends, as in a network that comes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator

from durable_demo.faults import Network

HOST = "127.0.0.1"
_CHUNK = 64 * 1024
SLOW_CHUNK = 4 * 1024
SLOW_DELAY_S = 0.15
"""On the slow network each 4 kB take this long, in each direction: 0.3 s there and back, 27 kB/s."""
REACHED_WITHIN_S = 5.0
"""How long a new connection is held while nobody listens at its target. A server that is started again is so reached at
once: a Worker whose connections were refused would come back seconds later, since it waits twice as long each time."""
REACH_INTERVAL_S = 0.05
RESET_INTERVAL_S = 1.5
"""On a network that resets connections, each lives no longer."""


class Proxy:
    """Passes connections on to one port. Lives in one event loop.

    Args:
        port: Where the connections go, on the loopback address.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._network: Network = "ok"
        self._passes = asyncio.Event()
        self._passes.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._handlers: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._resetting: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Begin to listen; returns the address, with a free port.

        Raises:
            OSError: There is none.
        """
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        return f"{HOST}:{self._server.sockets[0].getsockname()[1]}"

    def disturb(self, network: Network) -> None:
        """Treat all connections so from now on, open ones too."""
        if network == self._network:
            return
        self._network = network
        if network == "cut":
            self._passes.clear()
        else:
            self._passes.set()
        if self._resetting:
            self._resetting.cancel()
        self._resetting = asyncio.create_task(self._reset()) if network == "resets" else None

    async def close(self) -> None:
        """Close all connections and listen no more."""
        if self._resetting:
            self._resetting.cancel()
        if self._server:
            self._server.close()
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    async def _reset(self) -> None:
        while True:
            for writer in list(self._writers):
                writer.transport.abort()
            await asyncio.sleep(RESET_INTERVAL_S)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.current_task()
        assert handler  # noqa: S101
        self._handlers.add(handler)
        try:
            with contextlib.suppress(OSError), self._known(writer):
                far_reader, far_writer = await self._reach()
                with self._known(far_writer):
                    pumps = [
                        asyncio.create_task(self._pump(reader, far_writer)),
                        asyncio.create_task(self._pump(far_reader, writer)),
                    ]
                    try:  # the end of one direction is the end of the connection
                        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        for pump in pumps:
                            pump.cancel()
                        await asyncio.gather(*pumps, return_exceptions=True)
        except asyncio.CancelledError:
            pass  # by close(); raised on, asyncio's streams would report it as an error
        finally:
            self._handlers.discard(handler)

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        deadline = time.monotonic() + REACHED_WITHIN_S
        while True:
            await self._passes.wait()
            try:
                return await asyncio.open_connection(HOST, self._target)
            except OSError:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(REACH_INTERVAL_S)

    @contextlib.contextmanager
    def _known(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        self._writers.add(writer)
        try:
            yield
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(SLOW_CHUNK if self._network == "slow" else _CHUNK):
                if self._network == "slow":
                    await asyncio.sleep(SLOW_DELAY_S)
                await self._passes.wait()
                writer.write(data)
                await writer.drain()

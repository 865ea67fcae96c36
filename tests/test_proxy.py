"""The network between Workers and server: what passes, what is held back, what breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from durable_demo.proxy import HOST, Proxy


@dataclass
class Line:
    """A proxy before a server that says everything again."""

    proxy: Proxy
    port: int
    connections: int = 0

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(HOST, self.port)


@pytest_asyncio.fixture(loop_scope="session")
async def line() -> AsyncIterator[Line]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line.connections += 1
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(echo, HOST, 0)
    proxy = Proxy(server.sockets[0].getsockname()[1])
    line = Line(proxy, int((await proxy.start()).rpartition(":")[2]))
    yield line
    await proxy.close()
    server.close()


async def proxy_before_nobody() -> tuple[Proxy, int, asyncio.StreamReader, asyncio.StreamWriter]:
    """A proxy at whose target nobody listens, that port, and a connection to the proxy."""
    gone = await asyncio.start_server(lambda *_: None, HOST, 0)
    port = gone.sockets[0].getsockname()[1]
    gone.close()
    await gone.wait_closed()
    proxy = Proxy(port)
    reader, writer = await asyncio.open_connection(HOST, int((await proxy.start()).rpartition(":")[2]))
    return proxy, port, reader, writer


async def said(reader: asyncio.StreamReader, count: int) -> bytes:
    return await asyncio.wait_for(reader.readexactly(count), 30)


async def test_what_goes_in_comes_out_however_large(line: Line):
    reader, writer = await line.connect()
    data = bytes(range(256)) * 8_000
    writer.write(data)
    assert await said(reader, len(data)) == data
    writer.close()


async def test_a_cut_holds_back_and_loses_nothing(line: Line):
    reader, writer = await line.connect()
    writer.write(b"before")
    assert await said(reader, 6) == b"before"
    line.proxy.disturb("cut")
    writer.write(b"during")
    late = asyncio.create_task(line.connect())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.readexactly(1), 0.3)
    late_reader, late_writer = await late
    late_writer.write(b"late")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(late_reader.readexactly(1), 0.3)
    assert line.connections == 1
    line.proxy.disturb("ok")
    assert await said(reader, 6) == b"during"
    assert await said(late_reader, 4) == b"late"
    writer.close()
    late_writer.close()


async def test_a_slow_network_passes_everything(line: Line):
    line.proxy.disturb("slow")
    reader, writer = await line.connect()
    writer.write(b"x" * 10_000)
    assert await said(reader, 10_000) == b"x" * 10_000
    writer.close()


async def test_resets_break_open_connections_again_and_again(line: Line):
    reader, writer = await line.connect()
    writer.write(b"x")
    await said(reader, 1)
    line.proxy.disturb("resets")
    for _ in range(2):
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await said(reader, 1)
        writer.close()
        reader, writer = await line.connect()
        writer.write(b"x")
        await said(reader, 1)
    line.proxy.disturb("ok")
    writer.write(b"y")
    assert await said(reader, 1) == b"y"
    writer.close()


async def test_the_end_of_one_side_is_the_end_of_the_other(line: Line):
    reader, writer = await line.connect()
    writer.write(b"x")
    await said(reader, 1)
    writer.close()
    await asyncio.wait_for(writer.wait_closed(), 30)
    reader, writer = await line.connect()
    await line.proxy.close()
    assert await asyncio.wait_for(reader.read(), 30) == b""


async def test_a_server_that_is_not_there_ends_the_connection():
    proxy, _, reader, writer = await proxy_before_nobody()
    assert await asyncio.wait_for(reader.read(), 30) == b""
    writer.close()
    await proxy.close()


async def test_a_server_that_comes_back_is_reached_by_who_was_there_before_it():
    proxy, port, reader, writer = await proxy_before_nobody()
    writer.write(b"early")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.readexactly(1), 0.3)

    async def greet(far_reader: asyncio.StreamReader, far_writer: asyncio.StreamWriter) -> None:
        far_writer.write(b"heard " + await far_reader.readexactly(5))
        await far_writer.drain()

    server = await asyncio.start_server(greet, HOST, port)
    assert await said(reader, 11) == b"heard early"
    writer.close()
    await proxy.close()
    server.close()

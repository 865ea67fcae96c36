"""The server is away, or the network to it is cut, slow or resets connections: all is live again by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from durable_demo import Session
from durable_demo import events as e
from durable_demo.client import DemoClient
from durable_demo.connection import Connection, connect
from durable_demo.faults import Network
from durable_demo.proxy import Proxy
from tests.chaos.ledger import Watcher, check_chat, check_monty
from tests.chaos.report import Figures
from tests.chaos.scale import Scale
from tests.chaos.talking import Talker

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(600)]

ENDS_WITHIN_S = 60.0
TOLD_S = 2.0
LIVE_S = 10.0
QUICK: dict[str, Any] = {"min_sleep": 1, "max_sleep": 3, "history_limit": 100}


@pytest_asyncio.fixture
async def proxy(arena: Session) -> AsyncIterator[Proxy]:
    """The network between a notebook and the server."""
    made = Proxy(int(arena.info.address.rpartition(":")[2]))
    yield made
    await arena.background.run(made.close())


@pytest_asyncio.fixture
async def remote(arena: Session, proxy: Proxy) -> DemoClient:
    """A notebook's client behind that network."""

    async def connected() -> DemoClient:
        temporal = await connect(Connection(await proxy.start()))
        return DemoClient(temporal, arena.background, task_queue=arena.info.task_queue)

    return await arena.background.run(connected())


async def test_away(arena: Session, proxy: Proxy, remote: DemoClient, scale: Scale, figures: Figures) -> None:
    """Server away; network of Worker and notebook cut, slow, resetting."""
    watchers = [Watcher(await arena.start_monty(**QUICK)), Watcher(await remote.start_monty(**QUICK))]
    chat = await remote.start_chat()
    conversation, talker = Watcher(chat), Talker(chat)
    everybody = [*watchers, conversation]
    waiting = [asyncio.create_task(watcher.run.result(timeout=None)) for watcher in watchers]
    await live_after(everybody, time.time())

    began = time.time()
    await arena.break_it.kill_server(scale.server_away)
    await asyncio.sleep(began + scale.server_away - time.time())
    live = await live_after(everybody, began + scale.server_away)
    away = f"server away for {scale.server_away:g} s"
    figures.add_spread(f"{away}: until `reconnecting` was told", told_after(everybody, began), most=TOLD_S)
    figures.add_limited(f"{away}: until all was live again after it", live, most=LIVE_S)

    hows: tuple[Network, ...] = ("cut", "slow", "resets")
    for how in hows:
        began = time.time()
        await arena.break_it.disturb_network(how, scale.network_cut)
        await disturb(arena, proxy, how)
        await asyncio.sleep(began + scale.network_cut - time.time())
        await disturb(arena, proxy, "ok")
        live = await live_after(everybody, began + scale.network_cut)
        words = f"network {how} for {scale.network_cut:g} s"
        if how == "cut":
            told = told_after([watchers[1], conversation], began)
            figures.add_spread(f"{words}: until `reconnecting` was told", told, most=TOLD_S)
        figures.add_limited(f"{words}: until all was live again after it", live, most=LIVE_S)

    replies = await talker.end()
    for watcher in watchers:
        assert (await watcher.run.stop()).accepted
    for watcher in everybody:
        await watcher.ended(ENDS_WITHIN_S)
    await asyncio.wait_for(asyncio.gather(*waiting), ENDS_WITHIN_S)
    figures.add("quotes delivered, each once", sum([await check_monty(watcher) for watcher in watchers]))
    await check_chat(conversation, replies)
    figures.add("messages answered, each once", len(replies))
    figures.check()


async def disturb(demo: Session, proxy: Proxy, network: Network) -> None:
    """On the notebook's side; the Worker's is the supervisor's."""

    async def change() -> None:
        proxy.disturb(network)

    await demo.background.run(change())


def told_after(watchers: list[Watcher], moment: float) -> list[float]:
    """Seconds from this moment until each follower told that the server does not answer."""
    found = []
    for watcher in watchers:
        lost = [event.moment.timestamp() for event in watcher.events if isinstance(event, e.Reconnecting)]
        found.append(next((at for at in lost if at >= moment), float("inf")) - moment)
    return found


async def live_after(watchers: list[Watcher], moment: float) -> float:
    """Seconds from this moment (Unix time) until each workflow has gone on and its follower has seen it."""
    deadline = time.time() + ENDS_WITHIN_S
    while not all(watcher.signs()[-1:] > [moment] for watcher in watchers):
        assert time.time() < deadline, f"after {ENDS_WITHIN_S:g} s not all is live again"
        await asyncio.sleep(0.05)
    return time.time() - moment

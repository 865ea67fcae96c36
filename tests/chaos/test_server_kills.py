"""The server is killed or told to end, again and again, on its SQLite file: nothing is lost."""

from __future__ import annotations

import asyncio
import itertools
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from temporalio.api.history.v1 import HistoryEvent

from durable_demo import Chat, Session
from durable_demo.errors import DemoError
from durable_demo.run import Run
from durable_demo.workflows.chat import ChatWorkflow
from tests.chaos.attack import DOWN_WITHIN, Attack, gaps
from tests.chaos.ledger import Watcher, check_chat, check_monty, raw_history
from tests.chaos.report import Figures
from tests.chaos.scale import Scale
from tests.chaos.talking import Talker

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(1200)]

ENDS_WITHIN_S = 60.0
WRITE_PAUSE_S = 0.1
MOST_QUOTES = 100
MOST_STARTS = 100


class Writer:
    """Goes on writing, and keeps what the server has acknowledged: starts, Signals, Updates.

    A write that failed with one of our errors was not acknowledged: it may have been done or not.

    Args:
        demo: The session.
        chat: Takes Signals that do nothing: stops of messages that never come.
        monty: Takes Updates.
    """

    def __init__(self, demo: Session, chat: Chat, monty: Run) -> None:
        self._demo = demo
        self._chat = chat
        self._monty = monty
        self.started: list[Run] = []
        self.signals: list[str] = []
        self.quotes: list[str] = []
        self.refused = 0
        self._ends = False
        self._task = asyncio.gather(self._start(), self._signal(), self._update())

    async def end(self) -> None:
        self._ends = True
        await self._task

    @property
    def acknowledged(self) -> int:
        return len(self.started) + len(self.signals) + len(self.quotes)

    async def _start(self) -> None:
        while not self._ends and len(self.started) < MOST_STARTS:
            try:
                self.started.append(await self._demo.start_monty(min_sleep=0.2, max_sleep=0.4, iterations=1))
            except DemoError:
                self.refused += 1
            await asyncio.sleep(10 * WRITE_PAUSE_S)

    async def _signal(self) -> None:
        handle = self._demo.client.temporal.get_workflow_handle(self._chat.id)
        for number in itertools.count():
            if self._ends:
                return
            name = f"never-{number}"
            try:
                await self._demo.background.run(handle.signal(ChatWorkflow.stop_answer, name))
                self.signals.append(name)
            except Exception:
                self.refused += 1
            await asyncio.sleep(WRITE_PAUSE_S)

    async def _update(self) -> None:
        for number in range(MOST_QUOTES):
            if self._ends:
                return
            quote = f"It is quote number {number}."
            try:
                await self._monty.add_quotes([quote])
                self.quotes.append(quote)
            except DemoError:
                self.refused += 1
            await asyncio.sleep(10 * WRITE_PAUSE_S)


async def test_server_kills(arena: Session, attack: Attack, scale: Scale, figures: Figures) -> None:
    """Server killed and stopped on its SQLite file, Monty and chat running."""
    montys = [
        Watcher(await arena.start_monty(min_sleep=2, max_sleep=6)),
        Watcher(await arena.start_monty(min_sleep=0.3, max_sleep=1, history_limit=60)),
    ]
    chat = await arena.start_chat(history_limit=200)
    conversation, talker = Watcher(chat), Talker(chat)
    signaled = await arena.start_chat(history_limit=100)
    writer = Writer(arena, signaled, montys[0].run)
    results = [asyncio.create_task(monty.run.result(timeout=None)) for monty in montys]

    ways = [signal.SIGKILL] * scale.server_kills + [signal.SIGTERM] * scale.server_stops
    attack.dice.shuffle(ways)
    for way in ways:
        await attack.strike("server", way)
    await attack.mended()
    await asyncio.sleep(2)  # the last kill has its gap, too

    await writer.end()
    replies = await talker.end()
    for monty in montys:
        assert (await monty.run.stop()).accepted
    await signaled.end()
    for watcher in (*montys, conversation):
        await watcher.ended(ENDS_WITHIN_S)
    await asyncio.wait_for(asyncio.gather(*results, signaled.result()), ENDS_WITHIN_S)

    figures.add_exact("kills (SIGKILL)", ways.count(signal.SIGKILL), scale.server_kills)
    figures.add_exact("stops (SIGTERM)", ways.count(signal.SIGTERM), scale.server_stops)
    figures.add("quotes delivered, each once", sum([await check_monty(monty) for monty in montys]))
    await check_chat(conversation, replies)
    figures.add("messages answered, each once", len(replies))
    reconnects = sum(event.event == "reconnected" for watcher in (*montys, conversation) for event in watcher.events)
    figures.add("followers and calls that went on by themselves", f"{reconnects} reconnects, {len(results)} results")
    figures.add("writes acknowledged", writer.acknowledged)
    figures.add_exact("acknowledged writes lost", len(await lost(arena, writer, signaled, montys[0].run)))
    figures.add_exact("writes done twice", await doubled(arena, signaled))
    await arena.stack.down(DOWN_WITHIN)
    figures.add_exact("errors of the integrity check", len(broken(arena.stack.home / "temporal.db")))
    figures.add_spread(
        "gap in progress",
        [gap for monty in montys for gap in gaps(monty.signs(), [kill.at for kill in attack.kills])],
        p95=3,
        most=8,
    )
    figures.check()


async def lost(demo: Session, writer: Writer, signaled: Chat, monty: Run) -> list[str]:
    """Acknowledged writes that no history has."""
    signals = set(received(await raw_history(demo, signaled)))
    quotes = {
        payload.data.decode()
        for entry in await raw_history(demo, monty)
        for payload in entry.workflow_execution_update_accepted_event_attributes.accepted_request.input.args.payloads
    }
    missing = [name for name in writer.signals if name not in signals]
    missing += [quote for quote in writer.quotes if f'["{quote}"]' not in quotes]
    for run in writer.started:
        if (await run.result(timeout=ENDS_WITHIN_S)).total_quotes_delivered != 1:
            missing.append(run.id)
    return missing


async def doubled(demo: Session, signaled: Chat) -> int:
    names = received(await raw_history(demo, signaled))
    return len(names) - len(set(names))


def received(history: list[HistoryEvent]) -> list[str]:
    """What the Signals `stop_answer` said, in order."""
    signals = [entry.workflow_execution_signaled_event_attributes for entry in history]
    return [
        signal.input.payloads[0].data.decode().strip('"') for signal in signals if signal.signal_name == "stop_answer"
    ]


def broken(database: Path) -> list[str]:
    """What SQLite finds wrong with its file."""
    with closing(sqlite3.connect(database)) as connection:
        found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
    return [line for line in found if line != "ok"]

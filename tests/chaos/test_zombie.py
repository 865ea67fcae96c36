"""A Worker is frozen and thawed: what it brings late is refused, and nothing is doubled."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from durable_demo import Session
from durable_demo import events as e
from durable_demo.connection import worker_identity
from durable_demo.run import Run
from durable_demo.stack import ProcessInfo
from tests.chaos.ledger import Watcher, check_chat, check_monty
from tests.chaos.report import Figures
from tests.chaos.scale import Scale
from tests.chaos.talking import Talker
from tests.conftest import eventually

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(300)]

ENDS_WITHIN_S = 60.0


async def test_zombie(arena: Session, scale: Scale, figures: Figures) -> None:
    """Worker frozen in the middle of its work and thawed, while another one goes on."""
    await arena.break_it.set_workers(2)
    # Its iteration ends while it is frozen: it brings the quote when it is thawed.
    monty = Watcher(await arena.start_monty(min_sleep=3, max_sleep=3.5))
    chat = await arena.start_chat()
    conversation, talker = Watcher(chat), Talker(chat)
    await eventually(
        lambda: any(event.event == "text_update" for event in conversation.events),
        "an answer is written",
        within=ENDS_WITHIN_S,
    )

    frozen, begun, delivered = await at_work(arena, monty.run), len(monty.events), monty.quotes
    os.kill(frozen.pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(scale.frozen)
        await eventually(lambda: monty.quotes > delivered, "a quote from the other Worker", within=ENDS_WITHIN_S)
    finally:
        os.kill(frozen.pid, signal.SIGCONT)
    delivered = monty.quotes
    await eventually(lambda: monty.quotes > delivered, "a quote after the thaw", within=ENDS_WITHIN_S)
    replies = await talker.end()
    await monty.run.stop()
    for watcher in (monty, conversation):
        await watcher.ended(ENDS_WITHIN_S)
    assert frozen.alive, "the frozen Worker was to live"

    figures.add("seconds frozen", scale.frozen)
    taken_over = [event for event in monty.events[begun:] if isinstance(event, e.ActivityRetry) and not event.tick]
    figures.add("attempts taken over, the late results refused", len(taken_over))
    assert taken_over, "no other Worker has taken over what the frozen one had begun"
    figures.add("quotes delivered, each once", await check_monty(monty))
    await check_chat(conversation, replies)
    figures.add("messages answered, each once", len(replies))
    figures.check()


async def at_work(demo: Session, run: Run) -> ProcessInfo:
    """The Worker that runs the workflow's Activity now, and has half of it yet to do."""
    async with asyncio.timeout(ENDS_WITHIN_S):
        while True:
            described = await demo.background.run(demo.client.temporal.get_workflow_handle(run.id).describe())
            for pending in described.raw_description.pending_activities:
                for worker in demo.info.workers:
                    if pending.last_worker_identity != worker_identity(worker.pid):
                        continue
                    if (await run._heartbeat(pending)).get("progress", 100.0) < 50:
                        return worker
            await asyncio.sleep(0.02)

"""The Worker is killed, or frozen and thawed: the work goes on, and nothing is done twice."""

from __future__ import annotations

import asyncio

import pytest

from durable_demo import Session
from tests.chaos.attack import Attack, gaps
from tests.chaos.ledger import Watcher, check_chat, check_monty, retries
from tests.chaos.report import Figures
from tests.chaos.scale import Scale
from tests.chaos.talking import Talker

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(1200)]

ENDS_WITHIN_S = 60.0


async def test_worker_kills(arena: Session, attack: Attack, scale: Scale, figures: Figures) -> None:
    """Worker killed at random moments, Monty and chat running."""
    montys = [
        Watcher(await arena.start_monty(min_sleep=2, max_sleep=6)),
        Watcher(await arena.start_monty(min_sleep=0.3, max_sleep=1, history_limit=60)),
    ]
    chat = await arena.start_chat(history_limit=200)
    conversation, talker = Watcher(chat), Talker(chat)

    for _ in range(scale.worker_kills):
        await attack.strike("worker")
    await attack.mended()
    await asyncio.sleep(4)  # the last kill has its gap, too

    replies = await talker.end()
    for monty in montys:
        assert (await monty.run.stop()).accepted
    for watcher in (*montys, conversation):
        await watcher.ended(ENDS_WITHIN_S)
    kills = [kill.at for kill in attack.kills]
    figures.add_exact("kills (SIGKILL)", len(kills), scale.worker_kills)
    figures.add("quotes delivered, each once", sum([await check_monty(monty) for monty in montys]))
    await check_chat(conversation, replies)
    figures.add("messages answered, each once", len(replies))
    figures.add("Activities that needed another attempt", retries([*montys, conversation]))
    figures.add_spread(
        "gap in progress, Monty", [gap for monty in montys for gap in gaps(monty.signs(), kills)], p50=3, p95=6
    )
    figures.add_spread("gap in progress, chat", gaps(conversation.signs(), kills), p50=3, p95=6)
    figures.check()

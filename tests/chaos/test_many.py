"""Many workflows at once, each followed: no fact is lost, the followers keep up, and the memory stays level."""

from __future__ import annotations

import asyncio
import gc
import os
import time

import psutil
import pytest

from durable_demo import Session
from tests.chaos.ledger import Watcher, check_monty
from tests.chaos.report import Figures, growth
from tests.chaos.scale import Scale

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(900)]

ENDS_WITHIN_S = 240.0
SAMPLES = 30
LEVEL = 1.15


async def test_many(arena: Session, scale: Scale, figures: Figures) -> None:
    """Many workflows at once, each followed."""
    runs = await asyncio.gather(*(arena.start_monty(seed=seed) for seed in range(scale.many)))
    watchers = [Watcher(run, keep_ticks=False) for run in runs]
    me = psutil.Process(os.getpid())
    memory: list[float] = []
    began = time.monotonic()
    for sample in range(SAMPLES):
        await asyncio.sleep(max(0.0, began + (sample + 1) * scale.many_for / SAMPLES - time.monotonic()))
        gc.collect()
        memory.append(me.memory_info().rss / 1e6)
    lags = [lag for watcher in watchers for lag in watcher.lags]
    for run in runs:  # not all at once: each call has its deadline
        assert (await run.stop()).accepted
    async with asyncio.timeout(ENDS_WITHIN_S):
        await asyncio.gather(*(watcher.ended(ENDS_WITHIN_S) for watcher in watchers))
    quotes = [await check_monty(watcher) for watcher in watchers]

    figures.add_exact("workflows followed to the end", len(quotes), scale.many)
    figures.add("facts", sum(len(watcher.events) for watcher in watchers))
    figures.add("ticks", sum(watcher.ticks for watcher in watchers))
    figures.add_spread("how far the followers were behind", lags, p95=2)
    figures.add("memory of the kernel process at the end", memory[-1], "MB")
    figures.add_limited("growth of its memory, last third to second third", growth(memory), most=LEVEL, unit="x")
    figures.check()

"""The disk of the state directory is full: that is said, nothing is corrupt, and it goes on when there is room."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_demo import Session
from durable_demo.errors import DemoError
from tests.chaos.attack import DOWN_WITHIN
from tests.chaos.ledger import Watcher, check_monty
from tests.chaos.report import Figures
from tests.chaos.test_server_kills import broken
from tests.small_disk import mounted

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(300)]

ENDS_WITHIN_S = 60.0
TOLD_WITHIN_S = 30.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 100 MB."""
    with mounted(tmp_path / "disk", 100) as place:
        yield place


def fill(disk: Path) -> Path:
    """Writes until there is no room at all."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1 << 8, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return filler


async def test_full_disk(disk: Path, figures: Figures) -> None:
    """Disk of the state directory full, then free again."""
    async with Session(disk / "home") as demo:
        monty = Watcher(await demo.start_monty(min_sleep=0.3, max_sleep=0.6))
        waiting = asyncio.create_task(monty.run.result(timeout=None))
        filler = fill(disk)
        began = time.monotonic()
        error: DemoError | None = None
        while error is None:
            assert time.monotonic() - began < TOLD_WITHIN_S, "the server still writes"
            fill(disk)
            try:
                await demo.start_monty(min_sleep=0.3, max_sleep=0.6, iterations=1)
            except DemoError as full:
                error = full
        told = time.monotonic() - began
        figures.add_limited("until a start told that the disk is full", told, most=TOLD_WITHIN_S)
        assert "disk" in str(error)
        assert "Next: " in str(error)

        filler.unlink()
        began, quotes = time.monotonic(), monty.quotes
        while monty.quotes < quotes + 2:
            assert time.monotonic() - began < ENDS_WITHIN_S, "it does not go on"
            await asyncio.sleep(0.05)
        figures.add_limited("until quotes came again, with room", time.monotonic() - began, most=ENDS_WITHIN_S)
        again = await demo.start_monty(min_sleep=0.1, max_sleep=0.2, iterations=1)
        assert (await again.result(timeout=ENDS_WITHIN_S)).total_quotes_delivered == 1
        await monty.run.stop()
        await monty.ended(ENDS_WITHIN_S)
        await waiting
        figures.add("quotes delivered, each once", await check_monty(monty))
        await demo.stack.down(DOWN_WITHIN)
    figures.add_exact("errors of the integrity check", len(broken(disk / "home" / "temporal.db")))
    figures.check()

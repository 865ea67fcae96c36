"""When the supervisor lets go: the last lease, the grace, and a session that comes at the last moment."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path

import pytest
from filelock import BaseFileLock

from durable_demo import settings
from durable_demo.errors import StateDirError
from durable_demo.statedir import StackInfo, StateDir
from durable_demo.supervisor import Supervisor
from tests.conftest import eventually

GRACE = timedelta(seconds=0.3)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDir:
    monkeypatch.setattr(settings, "LEASE_GRACE", GRACE)
    monkeypatch.setattr(settings, "LEASE_POLL_INTERVAL", timedelta(seconds=0.02))
    directory = StateDir(tmp_path)
    directory.prepare()
    return directory


def without_children(state: StateDir) -> Supervisor:
    return Supervisor(state, ("127.0.0.1:1", "default"), with_worker=False)


async def test_it_ends_when_no_lease_was_held_for_the_grace(state: StateDir) -> None:
    started = time.monotonic()
    await asyncio.wait_for(without_children(state).run(), 30)
    assert time.monotonic() - started > GRACE.total_seconds()
    assert state.read() is None


async def test_a_lease_keeps_it(state: StateDir) -> None:
    lease = state.take_lease()
    running = asyncio.create_task(without_children(state).run())
    await eventually(lambda: state.read() is not None, "stack.json is there")
    await asyncio.wait([running], timeout=2 * GRACE.total_seconds())
    assert not running.done()
    state.give_back(lease)
    await asyncio.wait_for(running, 30)


async def test_a_session_that_comes_at_the_last_moment_keeps_it(
    state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[BaseFileLock] = []
    clear = state.clear

    def clear_and_let_a_session_in() -> None:
        clear()
        if not taken:
            taken.append(state.take_lease())

    monkeypatch.setattr(state, "clear", clear_and_let_a_session_in)
    running = asyncio.create_task(without_children(state).run())
    await eventually(lambda: bool(taken) and state.read() is not None, "stack.json is there again")
    await asyncio.wait([running], timeout=2 * GRACE.total_seconds())
    assert not running.done()
    state.give_back(taken[0])
    await asyncio.wait_for(running, 30)


async def test_a_full_disk_does_not_end_it(state: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: StackInfo) -> None:
        raise StateDirError("The disk is full.")

    lease = state.take_lease()
    monkeypatch.setattr(state, "write", fail)
    running = asyncio.create_task(without_children(state).run())
    await asyncio.wait([running], timeout=GRACE.total_seconds())
    assert not running.done()
    state.give_back(lease)
    await asyncio.wait_for(running, 30)

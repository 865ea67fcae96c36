from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from durable_demo.background import BackgroundLoop
from durable_demo.errors import SessionClosed
from tests.conftest import eventually


async def boom() -> None:
    raise ValueError("boom")


async def test_work_runs_on_the_one_thread_whoever_hands_it_over(background):
    async def where() -> str:
        return threading.current_thread().name

    assert await background.run(where()) == "durable-demo"
    assert await background.spawn(where(), name="where") == "durable-demo"
    assert await asyncio.to_thread(lambda: background.spawn(where(), name="where").result(60)) == "durable-demo"
    assert await background.run(background.run(where())) == "durable-demo"


async def test_an_error_that_nobody_retrieves_is_kept_once(background):
    pending = background.spawn(boom(), name="boom")
    await eventually(lambda: pending.done, "the work has failed")
    background.spawn(asyncio.sleep(0), name="later work does not drop it").result(60)
    assert [str(error) for error in background.unseen_errors()] == ["boom"]
    assert background.unseen_errors() == []


async def test_an_error_that_was_awaited_is_not_told_again(background):
    with pytest.raises(ValueError, match="boom"):
        await background.spawn(boom(), name="boom")
    assert background.unseen_errors() == []


async def test_an_error_inside_the_loop_is_kept(background):
    async def plant() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)

    await background.run(plant())
    await background.run(asyncio.sleep(0.01))
    assert [type(error) for error in background.unseen_errors()] == [ZeroDivisionError]


async def test_a_wait_has_a_deadline_that_its_error_names(background):
    with pytest.raises(TimeoutError, match=r"nap took longer than 0\.05 s"):
        await background.run(asyncio.sleep(60), name="nap", timeout=timedelta(seconds=0.05))


async def test_a_reader_on_another_loop_gets_each_item_and_leaving_closes_the_source(background):
    closed = threading.Event()

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in range(1000):
                yield number
        finally:
            closed.set()

    assert [number async for number in background.iterate(numbers)] == list(range(1000))
    closed.clear()
    reader = background.iterate(numbers)
    assert [await anext(reader) for _ in range(3)] == [0, 1, 2]
    await reader.aclose()
    assert await asyncio.to_thread(closed.wait, 60)


async def test_an_error_of_the_source_reaches_the_reader(background):
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise ValueError("broken source")

    with pytest.raises(ValueError, match="broken source"):
        [number async for number in background.iterate(broken)]
    assert background.unseen_errors() == []


def test_starting_and_closing_twice_is_harmless_and_late_work_is_told():
    background = BackgroundLoop()
    background.start()
    background.start()
    endless = background.spawn(asyncio.sleep(3600), name="endless")
    background.close()
    background.close()
    assert endless.done
    with pytest.raises(SessionClosed, match="cannot nap"):
        background.spawn(asyncio.sleep(0), name="nap")

from __future__ import annotations

import asyncio
import threading

import pytest

from durable_demo import Session
from durable_demo.errors import ServerUnreachable, SessionClosed, UncleanSession
from tests.conftest import eventually
from tests.test_monty import LONG, QUICK


async def test_starting_again_and_in_a_second_object_finds_the_same_stack(demo: Session):
    before = demo.stack.info()
    assert await demo.start() is demo
    async with Session() as second:
        assert second.info.address == demo.info.address
        assert second.info.worker == before.worker
        run = await second.start_monty(**LONG)
        assert (await demo.attach(run.id).stop()).accepted
        await run.result()
    assert demo.stack.info().worker == before.worker


async def test_a_session_that_is_not_started_or_closed_says_so(home):
    session = Session()
    assert "not started" in repr(session)
    assert "not started" in session._repr_html_()
    with pytest.raises(SessionClosed, match=r"Session\(\).start\(\)"):
        await session.start_monty()
    await session.close()  # harmless
    async with session:
        assert session.started
    await session.close()
    with pytest.raises(SessionClosed):
        session.attach("monty-python-00000000")


async def test_a_start_that_fails_leaves_nothing_behind(home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    session = Session()
    with pytest.raises(ServerUnreachable):
        await session.start()
    assert not session.background.running
    assert session.stack.sessions() == 0


async def test_it_names_the_worker_that_lives(demo: Session):
    killed = demo.info.worker
    killed.kill()
    await eventually(lambda: demo.info.worker not in (None, killed) and demo.info.ready, "a new Worker")
    assert str(demo.info.worker.pid) in repr(demo)


async def test_it_shows_where_it_is(demo: Session):
    assert f"embedded Temporal server at {demo.info.address}" in repr(demo)
    assert str(demo.info.worker.pid) in demo._repr_html_()


async def test_everything_works_from_other_threads_and_loops(demo: Session):
    results: list[object] = []

    def elsewhere() -> None:
        async def main() -> None:
            run = await demo.start_monty(**QUICK, iterations=2)
            results.append([event.event async for event in run.events() if not event.tick][-1])
            results.append((await run.result()).total_quotes_delivered)

        asyncio.run(main())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await asyncio.to_thread(thread.join, 60)
    assert results == ["workflow_completed", 2]


async def test_assert_clean_raises_what_went_wrong_behind_the_scenes_once(demo: Session):
    demo.background.unseen_errors()  # those of other tests
    await demo.assert_clean()

    async def boom() -> None:
        raise ValueError("boom in a callback")

    pending = demo.background.spawn(boom(), name="callback")
    while not pending.done:  # noqa: ASYNC110  # it is done on another thread
        await asyncio.sleep(0.01)
    with pytest.raises(UncleanSession, match="boom in a callback") as error:
        await demo.assert_clean()
    assert isinstance(error.value.__cause__, ValueError)
    await demo.assert_clean()


async def test_settling_brings_displays_up_to_date_first(demo: Session):
    settled: list[str] = []
    demo.background.unseen_errors()  # those of other tests

    def settle() -> None:
        settled.append(threading.current_thread().name)
        demo.background.errors.append(ValueError("found while settling"))

    demo.on_settle.append(settle)
    try:
        with pytest.raises(UncleanSession, match="found while settling"):
            await demo.assert_clean()
    finally:
        demo.on_settle.pop()
    assert settled == [threading.current_thread().name]

"""One follower for many readers, each of which gets each fact once, whatever its speed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast
from uuid import uuid4

import pytest

from durable_demo import events as e
from durable_demo.errors import ServerUnreachable
from durable_demo.gateway import limits
from durable_demo.gateway.streams import Streams, Told
from durable_demo.run import Run

RUN_ID = str(uuid4())


class Paced:
    """A workflow whose events come when the test says so; its history is what has come."""

    def __init__(self) -> None:
        self.id = f"paced-{uuid4().hex[:8]}"
        self.history: list[e.Event] = []
        self.followers = 0
        self.reads = 0
        self.ended = False
        self.error: Exception | None = None
        self._more = asyncio.Condition()

    async def events(self, after: str | None = None, *, wait: bool = True) -> AsyncIterator[e.Event]:
        self.followers += wait
        self.reads += not wait
        place = 0
        try:
            while True:
                while place < len(self.history):
                    event = self.history[place]
                    place += 1
                    if (not event.tick or wait) and event.offset > (after or ""):
                        yield event
                if self.error:
                    raise self.error
                if self.ended or not wait:
                    return
                async with self._more:
                    while place == len(self.history) and not (self.ended or self.error):
                        await self._more.wait()
        finally:
            self.followers -= wait

    async def tell(self, *events: e.Event, ended: bool = False, error: Exception | None = None) -> None:
        async with self._more:
            self.history += events
            self.ended, self.error = ended, error
            self._more.notify_all()
        await settled()

    async def has(self, offset: str) -> bool:
        return offset in {event.offset for event in self.history} or not self.history

    @property
    def run(self) -> Run:
        return cast(Run, self)


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def common(number: int, *, tick: bool = False) -> dict[str, Any]:
    return {
        "timestamp": "2026-01-01T00:00:00.000Z", "workflow_id": "paced", "run_id": RUN_ID,
        "offset": f"{number:06d}", "tick": tick,
    }  # fmt: skip


def fact(number: int, text: str = "") -> e.Event:
    return e.SignalReceived(**common(number), name=f"{number}", input=text)


def tick(number: int, progress: float) -> e.Event:
    return e.ActivityHeartbeat(
        **common(number, tick=True), activity_id="1", activity_type="sleep", details=progress, attempt=1
    )


@pytest.fixture
async def streams() -> AsyncIterator[Streams]:
    made = Streams()
    yield made
    await made.close()


async def take(stream: AsyncGenerator[Told], count: int) -> list[str]:
    """The next offsets; ticks with what they tell."""
    async with asyncio.timeout(30):
        return [named(await anext(stream)) for _ in range(count)]


def named(told: Told) -> str:
    event = told.event
    return f"{event.offset}~{event.details}" if isinstance(event, e.ActivityHeartbeat) else event.offset


async def rest(stream: AsyncGenerator[Told]) -> list[Told]:
    async with asyncio.timeout(30):
        return [told async for told in stream]


# --- sharing ---------------------------------------------------------------------------------------------------------


async def test_a_hundred_readers_share_one_follower_and_all_get_all(streams: Streams):
    workflow = Paced()
    await workflow.tell(*map(fact, range(1, 4)))
    reading = [asyncio.create_task(rest(streams.read(workflow.run))) for _ in range(100)]
    await settled()
    assert workflow.followers == 1
    await workflow.tell(fact(4), fact(5), ended=True)
    for each in await asyncio.gather(*reading):
        assert list(map(named, each)) == [f"{number:06d}" for number in range(1, 6)]
    assert workflow.reads == 0


async def test_each_reader_begins_behind_its_own_offset(streams: Streams):
    workflow = Paced()
    await workflow.tell(*map(fact, range(1, 10)))
    late = streams.read(workflow.run, "000007")
    assert await take(late, 2) == ["000008", "000009"]
    early = streams.read(workflow.run, "000002")
    assert await take(early, 7) == [f"{number:06d}" for number in range(3, 10)]
    assert workflow.followers == 1  # what was before its place was read from the server
    assert workflow.reads == 1
    await workflow.tell(fact(10))
    assert await take(late, 1) == await take(early, 1) == ["000010"]


async def test_a_reader_ahead_of_the_follower_gets_nothing_twice(streams: Streams):
    workflow = Paced()
    first = streams.read(workflow.run)
    ahead = streams.read(workflow.run, "000005")
    taking = [asyncio.create_task(take(first, 1)), asyncio.create_task(take(ahead, 1))]
    await settled()
    await workflow.tell(*map(fact, range(1, 8)))
    assert await asyncio.gather(*taking) == [["000001"], ["000006"]]


async def test_the_follower_ends_some_time_after_its_last_reader(streams: Streams, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "STREAM_LINGER_S", 0.05)
    workflow = Paced()
    await workflow.tell(fact(1))
    async with aclosing(streams.read(workflow.run)) as stream:
        await take(stream, 1)
    assert workflow.followers == 1
    async with aclosing(streams.read(workflow.run)) as stream:  # a reload
        await take(stream, 1)
    assert workflow.followers == 1
    async with asyncio.timeout(30):
        while workflow.followers:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert streams._sources == {}  # nothing of it is kept
    async with aclosing(streams.read(workflow.run)) as stream:
        assert await take(stream, 1) == ["000001"]


# --- ticks -----------------------------------------------------------------------------------------------------------


async def test_of_ticks_that_wait_the_latest_wins_and_facts_overtake_them(streams: Streams):
    workflow = Paced()
    stream = streams.read(workflow.run)
    await workflow.tell(fact(1))
    assert await take(stream, 1) == ["000001"]
    await workflow.tell(tick(1, 10), tick(1, 20), fact(2), tick(2, 30), tick(2, 40))
    assert await take(stream, 2) == ["000002", "000002~40"]
    await workflow.tell(tick(2, 50))
    assert await take(stream, 1) == ["000002~50"]


async def test_of_activities_side_by_side_each_has_its_latest_report(streams: Streams):
    workflow = Paced()
    stream = streams.read(workflow.run)
    await workflow.tell(fact(1))
    await take(stream, 1)
    beats = [
        replace(tick(1, number), activity_id=name) for number, name in ((10, "a"), (20, "b"), (11, "a"), (21, "b"))
    ]
    await workflow.tell(*beats)
    assert await take(stream, 2) == ["000001~11", "000001~21"]


# --- slow readers ----------------------------------------------------------------------------------------------------


async def test_a_reader_too_slow_gets_a_gap_and_may_come_back_for_all_of_it(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "STREAM_EVENTS", 10)
    workflow = Paced()
    await workflow.tell(fact(1))
    slow, quick = streams.read(workflow.run), streams.read(workflow.run)
    seen = await take(slow, 1)
    await take(quick, 1)
    for number in range(2, 40):
        await workflow.tell(fact(number))
        assert await take(quick, 1) == [f"{number:06d}"]
    source = streams._sources[workflow.id]
    assert len(source._kept) == 10  # the slow one costs nothing
    (gap,) = await rest(slow)
    assert isinstance(gap.event, e.Gap)
    assert gap.event.offset == seen[-1]
    assert "Last-Event-ID" in gap.event.reason

    again = streams.read(workflow.run, gap.event.offset)
    assert await take(again, 38) == [f"{number:06d}" for number in range(2, 40)]
    await workflow.tell(fact(40), ended=True)
    assert [named(told) for told in await rest(again)] == ["000040"]


async def test_events_of_megabytes_are_not_hoarded(streams: Streams, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "STREAM_CHARACTERS", 1_000)
    workflow = Paced()
    stream = streams.read(workflow.run)
    for number in range(1, 5):
        await workflow.tell(fact(number, "x" * 2_000))
        assert await take(stream, 1) == [f"{number:06d}"]
    assert len(streams._sources[workflow.id]._kept) == 1


# --- ends ------------------------------------------------------------------------------------------------------------


async def test_what_fails_is_told_to_all_and_the_next_reader_begins_anew(streams: Streams):
    workflow = Paced()
    reading = [asyncio.create_task(rest(streams.read(workflow.run))) for _ in range(3)]
    await settled()
    await workflow.tell(fact(1), error=ServerUnreachable("the server is away", remedy="wait"))
    for _, last in await asyncio.gather(*reading):
        assert isinstance(last.event, e.Error)
        assert "Next: wait" in last.event.error
        assert last.event.offset == "000001"
    await workflow.tell(fact(2), ended=True)
    assert [named(told) for told in await rest(streams.read(workflow.run, "000001"))] == ["000002"]


async def test_a_workflow_that_ended_and_went_on_is_followed_again(streams: Streams):
    workflow = Paced()
    await workflow.tell(fact(1), ended=True)
    assert len(await rest(streams.read(workflow.run))) == 1
    await workflow.tell(fact(2), ended=True)  # a reset, or a new one with its Workflow ID
    assert len(await rest(streams.read(workflow.run))) == 2


async def test_an_offset_that_the_server_does_not_know_has_a_follower_of_its_own(streams: Streams):
    workflow = Paced()
    await workflow.tell(*map(fact, range(1, 4)))
    stranger = streams.read(workflow.run, "999999")
    taking = asyncio.create_task(take(stranger, 1))
    await settled()
    assert streams._sources == {}
    honest = streams.read(workflow.run)
    assert await take(honest, 3) == ["000001", "000002", "000003"]
    assert workflow.followers == 2
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)


async def test_news_that_is_no_fact_reaches_a_reader_ahead_of_the_follower(streams: Streams):
    workflow = Paced()
    behind, ahead = streams.read(workflow.run), streams.read(workflow.run, "000009")
    taking = [asyncio.create_task(rest(behind)), asyncio.create_task(rest(ahead))]
    await settled()
    await workflow.tell(fact(1), tick(1, 50), error=ServerUnreachable("the server is away"))
    _, errors = await asyncio.gather(*taking)
    (error,) = errors
    assert isinstance(error.event, e.Error)
    assert error.event.offset == "000009"

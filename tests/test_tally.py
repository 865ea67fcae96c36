"""What the list of workflows says of their whole chains of runs: counters, start, duration."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import temporalio.converter
from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecution, WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode

from durable_demo import Run, Session, settings, tally
from durable_demo import events as e
from durable_demo.client import DemoClient, RunSummary
from durable_demo.history import BOOKKEEPING, RunReader
from durable_demo.tally import MAX_CALLS, Count, Tallies, Tally
from durable_demo.vocabulary import CHAT, MONTY
from durable_demo.workflows import ChatWorkflow, MontyPythonWorkflow
from tests.chats import new_queue, on_queue, scripted_worker
from tests.test_monty import LONG, QUICK, everything, until

WITHIN = 60.0
HISTORIES = Path(__file__).parent / "histories"
BOTH = (ChatWorkflow, MontyPythonWorkflow)


async def listed(client: DemoClient, run: Run, holds: Callable[[RunSummary], object]) -> RunSummary:
    """What the list says of a workflow, once it is as it should be: the server's list is a moment behind."""
    seen: RunSummary | None = None
    try:
        async with asyncio.timeout(WITHIN):
            while True:
                seen = next((item for item in await client.runs(limit=1000) if item.workflow_id == run.id), None)
                if seen is not None and holds(seen):
                    return seen
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"it stayed {seen}") from None


def has(status: str) -> Callable[[RunSummary], bool]:
    return lambda item: item.status == status


def counters(item: RunSummary | Tally) -> tuple[int | None, int | None, int | None]:
    return item.iterations, item.quotes, item.messages


async def items(client: DemoClient, *runs: Run) -> list[WorkflowExecution]:
    """The entries of the server's own list, in this order, once all are there."""
    query = f"TaskQueue = '{client.task_queue}' AND ExecutionStatus != 'ContinuedAsNew'"

    async def found() -> dict[str, WorkflowExecution]:
        return {item.id: item async for item in client.temporal.list_workflows(query)}

    async with asyncio.timeout(WITHIN):
        while True:
            known = await client._call(found(), "list")
            if all(run.id in known for run in runs):
                return [known[run.id] for run in runs]
            await asyncio.sleep(0.05)


class Service:
    """The server's calls, watched.

    Attributes:
        calls: How often each was made.
        most: How many were under way at once at most.
        broken: Calls with a Workflow ID or a Run ID for which something else is raised or awaited.
    """

    def __init__(self, real: Any) -> None:
        self.calls: Counter[str] = Counter()
        self.most = 0
        self.broken: dict[tuple[str, str], Exception | asyncio.Event] = {}
        self._real = real
        self._now = 0

    def __getattr__(self, name: str) -> Any:
        async def call(request: Any, **options: Any) -> Any:
            self.calls[name] += 1
            self._now += 1
            self.most = max(self.most, self._now)
            try:
                asked = request.execution
                match self.broken.get((name, asked.workflow_id)) or self.broken.get((name, asked.run_id)):
                    case Exception() as error:
                        raise error
                    case asyncio.Event() as never:
                        await never.wait()
                return await getattr(self._real, name)(request, **options)
            finally:
                self._now -= 1

        return call


DESCRIBE = "describe_workflow_execution"
HISTORY = "get_workflow_execution_history_reverse"


class Watched(Tallies):
    """Tallies whose calls a test watches, from any loop."""

    def __init__(self, demo: Session, converter: DataConverter | None = None) -> None:
        temporal = demo.client.temporal
        self.service = Service(temporal.workflow_service)
        self._background = demo.background
        super().__init__(
            SimpleNamespace(  # type: ignore[arg-type]
                workflow_service=self.service,
                namespace=temporal.namespace,
                data_converter=converter or temporal.data_converter,
            )
        )

    async def of(self, listed: Sequence[WorkflowExecution]) -> list[Tally]:
        return await self._background.run(super().of(listed), name="count")


# --- every way to end ------------------------------------------------------------------------------------------------


async def test_the_counters_of_monty_are_those_of_its_result_and_need_no_worker(demo: Session):
    queue = new_queue()
    client = on_queue(demo, queue)
    async with scripted_worker(demo, queue, workflows=BOTH):
        long = {"history_limit": 20, "progress_interval": 0.05}
        short = {"min_sleep": 0.05, "max_sleep": 0.1} | long
        runs = {
            "COMPLETED": await client.start_monty(**short, iterations=8),
            "stopped": await client.start_monty(**short),
            "CANCELED": await client.start_monty(**short),
            "TERMINATED": await client.start_monty(**short),
            "RUNNING": await client.start_monty(**short),
        }
        for run in runs.values():
            await until(run, "progress_update", status="iteration_7_delivered")
        await runs["stopped"].stop()
        await runs["CANCELED"].cancel()
        await runs["TERMINATED"].terminate()
        await until(runs["CANCELED"], "workflow_canceled")
        canceled = await runs["CANCELED"].progress()
        results = {name: await runs[name].result() for name in ("COMPLETED", "stopped")}
    for name, result in results.items():
        item = await listed(client, runs[name], has("COMPLETED"))
        assert counters(item) == (result.total_iterations, result.total_quotes_delivered, None)
    item = await listed(client, runs["CANCELED"], has("CANCELED"))
    assert counters(item) == (canceled["iteration_count"], canceled["total_quotes_delivered"], None)
    for name in ("CANCELED", "TERMINATED", "RUNNING"):
        last = [event async for event in runs[name].events(wait=False) if isinstance(event, e.Counted)][-1]
        item = await listed(client, runs[name], has(name))
        assert counters(item) == (last.iteration_count, last.total_quotes_delivered, None)
        assert last.iteration_count >= 7
    await runs["RUNNING"].terminate()


async def test_the_messages_of_a_conversation_are_counted_once_over_all_its_runs(demo: Session):
    queue = new_queue()
    client = on_queue(demo, queue)
    async with scripted_worker(demo, queue, workflows=BOTH):
        chats = [await client.start_chat(history_limit=20) for _ in range(3)]
        for chat in chats:
            for number in range(7):
                await chat.send(f"say {number}", message_id=f"m{number}")
            await chat.send("say 0", message_id="m0")
            # These wait behind one another, and may be handed over to the next run.
            await asyncio.gather(*(chat.send(f"say {number}", message_id=f"q{number}") for number in range(4)))
        ended, terminated, running = chats
        await ended.end()
        result = await ended.result()
        await terminated.terminate()
        runs_of_it = [item async for item in ended.events() if isinstance(item, e.WorkflowContinuedAsNew)]
    assert runs_of_it, "it was to be continued as new"
    assert result.total_messages == 11
    for chat, status in zip(chats, ("COMPLETED", "TERMINATED", "RUNNING"), strict=True):
        assert counters(await listed(client, chat, has(status))) == (None, None, 11)
    assert "say 0" in str(await client.runs())
    await running.terminate()


async def test_what_runs_is_paused_or_stopping_while_it_is_so(demo: Session):
    queue = new_queue()
    client = on_queue(demo, queue)
    async with scripted_worker(demo, queue, workflows=BOTH):
        run, canceled = [await client.start_monty(**LONG) for _ in range(2)]
        for each in (run, canceled):
            await listed(client, each, has("RUNNING"))
        await run.pause()
        paused = await listed(client, run, has("PAUSED"))
        assert paused.closed is None
        assert [item.status for item in await client.runs(counted=False)] == ["RUNNING", "RUNNING"]
        await run.resume()
        await listed(client, run, has("RUNNING"))
        await run.pause()
        await listed(client, run, has("PAUSED"))
    # Without a Worker, they stay as they are.
    await run.stop()
    await canceled.cancel()
    for each in (run, canceled):
        await listed(client, each, has("STOPPING"))
    await run.terminate()
    await listed(client, run, has("TERMINATED"))
    await canceled.terminate()


@pytest.mark.parametrize(
    ("state", "status"),
    [({"paused": True}, "PAUSED"), ({"paused": True, "should_exit": True}, "STOPPING"), ({}, "RUNNING")],
    ids=["paused", "stopping", "neither"],
)
async def test_a_run_that_goes_on_from_one_before_goes_on_paused_or_stopping(
    demo: Session, state: dict[str, object], status: str
):
    client = on_queue(demo, new_queue())
    workflow_id = f"monty-{uuid4().hex[:8]}"
    await demo.background.run(
        demo.client.temporal.start_workflow(MONTY, {"state": state}, id=workflow_id, task_queue=client.task_queue)
    )
    run = client.attach(workflow_id)
    await listed(client, run, has(status))
    await run.terminate()


async def test_start_and_duration_are_those_of_the_whole_chain_of_runs(demo: Session):
    run = await demo.start_monty(**QUICK, iterations=6, history_limit=20)
    before = await demo.start_monty(**LONG)
    await run.result()
    item = await listed(demo.client, run, has("COMPLETED"))
    facts = [event for event in await everything(run) if not event.tick]
    assert isinstance(facts[0], e.WorkflowStarted)
    assert any(isinstance(event, e.WorkflowContinuedAsNew) for event in facts)
    assert abs(item.started - facts[0].moment) < timedelta(milliseconds=2)
    assert item.closed is not None
    assert item.duration == item.closed - item.started
    ids = [listed.workflow_id for listed in await demo.client.runs()]
    assert ids.index(before.id) < ids.index(run.id), "the one that began later stands first"
    (plain,) = [other for other in await demo.client.runs(counted=False) if other.workflow_id == run.id]
    assert counters(plain) == (None, None, None)
    assert plain.started > item.started
    await before.terminate()


async def test_a_first_run_that_is_gone_leaves_the_oldest_start_that_is_known(demo: Session):
    run = await demo.start_monty(**QUICK, iterations=6, history_limit=20)
    first_run_id = (await run.status()).run_id
    await run.result()
    await listed(demo.client, run, has("COMPLETED"))
    knows, comes_late = Watched(demo), Watched(demo)
    (item,) = await items(demo.client, run)
    (known,) = await knows.of([item])
    gone = RPCError("workflow not found", RPCStatusCode.NOT_FOUND, b"")
    knows.service.broken[DESCRIBE, first_run_id] = comes_late.service.broken[DESCRIBE, first_run_id] = gone
    (late,) = await comes_late.of([item])
    assert known.started is not None
    assert known.started < item.start_time == late.started
    assert await knows.of([item]) == [known]
    assert counters(late) == counters(known) == (6, 6, None)


async def test_other_workflows_have_a_start_and_no_counters(demo: Session):
    client = on_queue(demo, new_queue())
    workflow_id = f"nobody-{uuid4().hex[:8]}"
    await demo.background.run(
        demo.client.temporal.start_workflow("Nobody", id=workflow_id, task_queue=client.task_queue)
    )
    run = client.attach(workflow_id)
    item = await listed(client, run, has("RUNNING"))
    assert counters(item) == (None, None, None)
    watched = Watched(demo)
    (found,) = await items(client, run)
    for _ in range(2):
        (counted,) = await watched.of([found])
        assert replace(counted, problem="") == Tally(started=found.start_time)  # a Worker is missed after a while
    assert watched.service.calls == {DESCRIBE: 2}
    await run.terminate()


# --- what is read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page_size", [3, 100])
async def test_a_step_by_step_count_is_always_that_of_the_whole_history(
    demo: Session, monkeypatch: pytest.MonkeyPatch, page_size: int
):
    monkeypatch.setattr(tally, "PAGE_SIZE", page_size)
    run = await demo.start_monty(min_sleep=0.05, max_sleep=0.1, progress_interval=0.05, iterations=25)
    watched = Watched(demo)
    (item,) = await items(demo.client, run)
    seen = set()
    async with asyncio.timeout(WITHIN):
        while (await run.status()).status == "RUNNING":
            before, whole, after = [(await each.of([item]))[0] for each in (watched, Watched(demo), watched)]
            assert counters(before)[:2] <= counters(whole)[:2] <= counters(after)[:2]
            seen.add(counters(before))
    assert len(seen) > 5
    assert await watched.of([item]) == await Watched(demo).of([item])
    assert counters((await watched.of([item]))[0]) == (25, 25, None)


@pytest.mark.parametrize("name", sorted(path.stem for path in HISTORIES.glob("0.1.0/*.json")))
async def test_any_cut_of_a_history_counts_the_same(name: str):
    entries = list(WorkflowHistory.from_json("w", (HISTORIES / "0.1.0" / f"{name}.json").read_text()).events)
    workflow_type = CHAT if name.startswith("chat") else MONTY

    def new() -> Count:
        return Count(workflow_type, RunReader("w", "11111111-2222-4333-8444-555555555555", DataConverter.default))

    async def whole(entries: list[HistoryEvent]) -> dict[str, int]:
        return await new().read(entries)

    count = new()
    for end in range(1, len(entries) + 1):
        counted = await count.read([entry for entry in entries[:end] if entry.event_id > count.last_id])
        assert counted == await whole(entries[:end])
    # The server may show Workflow Tasks that it has not written, and give their ids to other entries.
    count = new()
    for end in range(1, len(entries) + 1):
        unwritten = HistoryEvent(event_id=end + 1, event_type=min(BOOKKEEPING))
        shown = [*(entry for entry in entries[:end] if entry.event_id > count.last_id), unwritten]
        assert await count.read(shown) == await whole(entries[:end])


async def test_what_has_ended_is_read_once_and_what_has_not_changed_is_only_looked_at(demo: Session):
    ended = await demo.start_monty(**QUICK, iterations=1)
    running = await demo.start_monty(**LONG)
    await ended.result()
    await until(running, "progress_update", status="iteration_1_sleeping")
    watched = Watched(demo)
    found = await items(demo.client, ended, running)
    first = await watched.of(found)
    assert [counters(each) for each in first] == [(1, 1, None), (1, 0, None)]
    async with asyncio.timeout(WITHIN):  # the end of the Workflow Task that has scheduled the sleep is written with it
        while True:
            watched.service.calls.clear()
            assert await watched.of(found) == first
            if watched.service.calls == {DESCRIBE: 1}:
                break
    await running.stop()
    await running.result()
    watched.service.calls.clear()
    await watched.of(found)
    assert watched.service.calls == {DESCRIBE: 1, HISTORY: 1}
    watched.service.calls.clear()
    await watched.of(found)
    assert watched.service.calls == {}


@pytest.mark.parametrize("count", [2, 20])
async def test_at_most_eight_calls_are_under_way_and_two_who_ask_at_once_get_the_same(demo: Session, count: int):
    client = on_queue(demo, new_queue())
    runs = await asyncio.gather(*(client.start_monty(**LONG) for _ in range(count)))
    watched = Watched(demo)
    found = await items(client, *runs)
    one, other = await asyncio.gather(watched.of(found), watched.of(found))
    # Whether a Worker is missed already is no part of what is counted.
    assert [replace(each, problem="") for each in one] == [replace(each, problem="") for each in other]
    assert {counters(each) for each in one} == {(0, 0, None)}
    assert 1 < watched.service.most <= MAX_CALLS
    assert watched.service.calls[HISTORY] == count
    for run in runs:
        await run.terminate()


async def test_no_more_is_kept_than_a_list_may_have(demo: Session, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tally, "MAX_KEPT", 2)
    client = on_queue(demo, new_queue())
    runs = [await client.start_monty(**LONG) for _ in range(3)]
    for run in runs:
        await run.terminate()
    watched = Watched(demo)
    found = await items(client, *runs)
    assert [counters(each) for each in await watched.of(found)] == [(0, 0, None)] * 3
    watched.service.calls.clear()
    assert [counters(each) for each in await watched.of(found[1:])] == [(0, 0, None)] * 2
    assert watched.service.calls == {}
    await watched.of(found[:1])
    assert watched.service.calls == {DESCRIBE: 1, HISTORY: 1}


# --- what cannot be read ---------------------------------------------------------------------------------------------


class Secret(temporalio.converter.PayloadCodec):
    """A code that only whoever wrote it can read."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [Payload(metadata={"encoding": b"binary/secret"}, data=payload.data[::-1]) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        raise NotImplementedError


@pytest.mark.parametrize(("workflow_type", "prefix"), [(MONTY, "monty"), (CHAT, "chat")])
async def test_what_is_in_an_unknown_code_has_no_counters_and_spoils_nothing(
    demo: Session, workflow_type: str, prefix: str
):
    client = on_queue(demo, new_queue())
    readable = await client.start_monty(**LONG)
    secret = replace(DataConverter.default, payload_codec=Secret())
    config = demo.client.temporal.config() | {"data_converter": secret}
    workflow_id = f"{prefix}-{uuid4().hex[:8]}"
    await demo.background.run(
        temporalio.client.Client(**config).start_workflow(
            workflow_type, {"state": None}, id=workflow_id, task_queue=client.task_queue, memo={"title": "secret"}
        )
    )
    unreadable = client.attach(workflow_id)
    item = await listed(client, unreadable, has("RUNNING"))
    assert (*counters(item), item.title) == (None, None, None, "")
    assert counters(await listed(client, readable, has("RUNNING"))) == (0, 0, None)
    assert unreadable.id in str(await client.runs())
    for run in (unreadable, readable):
        await run.terminate()


@pytest.mark.parametrize(
    ("workflow_type", "prefix", "given"),
    [
        (MONTY, "monty", {"state": "x"}),
        (MONTY, "monty", {"state": [1]}),
        (MONTY, "monty", {"state": {"iteration_count": {}}}),
        (MONTY, "monty", "x"),
        (CHAT, "chat", {"state": "x"}),
    ],
    ids=["a-text-as-state", "a-list-as-state", "no-number", "a-text", "conversation"],
)
async def test_a_strange_input_has_no_counters_and_spoils_nothing(
    demo: Session, workflow_type: str, prefix: str, given: object
):
    client = on_queue(demo, new_queue())
    plain = await client.start_monty(**LONG)
    workflow_id = f"{prefix}-{uuid4().hex[:8]}"
    await demo.background.run(
        demo.client.temporal.start_workflow(workflow_type, given, id=workflow_id, task_queue=client.task_queue)
    )
    strange = client.attach(workflow_id)
    assert counters(await listed(client, strange, has("RUNNING"))) == (None, None, None)
    assert counters(await listed(client, plain, has("RUNNING"))) == (0, 0, None)
    for run in (strange, plain):
        await run.terminate()


async def test_one_look_that_fails_in_a_way_that_nobody_foresaw_spoils_nothing(demo: Session):
    runs = [await demo.start_monty(**QUICK, iterations=1) for _ in range(2)]
    for run in runs:
        await run.result()
    watched = Watched(demo)
    watched.service.broken[DESCRIBE, runs[0].id] = RuntimeError("nobody foresaw it")
    found = await items(demo.client, *runs)
    assert [each.iterations for each in await watched.of(found)] == [None, 1]
    watched.service.broken.clear()
    assert [each.iterations for each in await watched.of(found)] == [1, 1]


async def test_a_workflow_that_is_deleted_meanwhile_spoils_nothing(demo: Session):
    run = await demo.start_monty(**LONG)
    (item,) = await items(demo.client, run)
    gone = replace(item, id="monty-python-00000000", run_id=str(uuid4()))
    (nothing, tally) = await Watched(demo).of([gone, item])
    assert nothing == Tally()
    assert tally.started == item.start_time
    await run.terminate()


@pytest.mark.parametrize("call", [DESCRIBE, HISTORY])
async def test_what_the_server_does_not_answer_for_is_read_with_the_next_list(
    demo: Session, monkeypatch: pytest.MonkeyPatch, call: str
):
    client = on_queue(demo, new_queue())
    runs = [await client.start_monty(**LONG) for _ in range(3)]
    for run in runs:
        await run.terminate()
    found = await items(client, *runs)
    watched = Watched(demo)
    monkeypatch.setattr(settings, "CALL_DEADLINE", timedelta(seconds=3))
    watched.service.broken[call, runs[0].id] = asyncio.Event()
    watched.service.broken[call, runs[1].id] = RPCError("busy", RPCStatusCode.RESOURCE_EXHAUSTED, b"")
    assert [each.iterations for each in await watched.of(found)] == [None, None, 0]
    watched.service.broken.clear()
    monkeypatch.undo()
    assert [each.iterations for each in await watched.of(found)] == [0, 0, 0]


async def test_a_count_that_was_cut_off_in_the_middle_begins_anew(demo: Session, monkeypatch: pytest.MonkeyPatch):
    run = await demo.start_monty(**QUICK, iterations=4)
    await run.result()

    class Stuck:
        """Waits for ever at one payload in the middle of the history."""

        left = 5

        async def decode(self, payloads: Sequence[Payload]) -> list[Any]:
            self.left -= 1
            if self.left == 0:
                await asyncio.Event().wait()
            return await DataConverter.default.decode(payloads)

    monkeypatch.setattr(settings, "CALL_DEADLINE", timedelta(seconds=3))
    watched = Watched(demo, Stuck())  # type: ignore[arg-type]
    found = await items(demo.client, run)
    assert counters((await watched.of(found))[0]) == (None, None, None)
    monkeypatch.undo()
    assert counters((await watched.of(found))[0]) == (4, 4, None)

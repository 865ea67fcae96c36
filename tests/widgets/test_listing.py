"""The tabs of many workflows, from a browser's command to the real server and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import comm
import pytest

from durable_demo import Panel, Session
from durable_demo.errors import SessionClosed, UncleanSession
from tests.conftest import eventually
from tests.test_tally import has, listed
from tests.widgets.fakes import RecordingComm

QUICK = {"min_sleep": 0.1, "max_sleep": 0.2, "iterations": 2, "seed": 7}
FORM = {"count": "2", "min_sleep": "0.1", "max_sleep": "0.2", "seed": "7", "iterations": "2", "quotes": "Ni! Ni!\n"}


@pytest.fixture
def panel(demo: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[Panel]:
    monkeypatch.setattr(comm, "create_comm", RecordingComm)
    panel = Panel(demo, attach=False)
    yield panel
    panel.close()


def sent(panel: Panel, kind: str) -> list[dict[str, Any]]:
    return [message for message in panel.comm.sent if message["t"] == kind]


async def told(panel: Panel, name: str, **args: object) -> dict[str, Any]:
    """What a browser is answered."""
    command = f"{name}-{len(panel.comm.sent)}"
    panel._receive(panel, {"t": "command", "id": command, "name": name, "args": args}, [])

    def answers() -> list[dict[str, Any]]:
        return [message for message in sent(panel, "answer") if message["id"] == command]

    await eventually(answers, f"{name} is answered")
    return answers()[0]


def table(panel: Panel) -> dict[str, dict[str, Any]]:
    panel._listing.table.snapshot()
    rows = [row for message in sent(panel, "snapshot") if message["channel"] == "runs" for row in message["rows"]]
    return {row[1]["workflow_id"]: row[1] for row in rows}


def summary(panel: Panel, channel: str) -> dict[str, Any]:
    """The summary of a channel that a browser has now."""
    panel._feed.snapshot()
    found: list[dict[str, Any]] = [
        message["summary"] for message in sent(panel, "snapshot") if message["channel"] == channel
    ]
    return found[-1]


async def test_a_form_starts_several_and_the_table_shows_them(demo: Session, panel: Panel) -> None:
    before = set(demo.client._started)
    answer = await told(panel, "start_many", **FORM)
    assert (answer["ok"], answer["message"]) == (True, "2 workflows started")
    assert panel.run is not None
    started = [demo.attach(workflow_id) for workflow_id in set(demo.client._started) - before]
    assert len(started) == 2
    for run in started:
        assert (await run.result()).total_iterations == 2
        # The server lists a start and an end a moment later.
        await listed(demo.client, run, has("COMPLETED"))
    assert (await told(panel, "list_runs"))["ok"]
    for run in started:
        shown = table(panel)[run.id]
        assert (shown["status"], shown["iterations"], shown["quotes"]) == ("COMPLETED", 2, 2)
    await panel.until(lambda trace: trace.summary.ended)


@pytest.mark.parametrize(
    ("field", "text", "label"),
    [
        ("count", "21", "Number of workflows"),
        ("min_sleep", "nan", "Shortest sleep"),
        ("max_sleep", "", "Longest sleep"),
        ("seed", "1.5", "Seed"),
        ("iterations", "0", "Iterations"),
        ("quotes", "a\na", "Quotes"),
    ],
)
async def test_a_form_that_cannot_be_used_starts_nothing_and_names_the_field(
    panel: Panel, field: str, text: str, label: str
) -> None:
    answer = await told(panel, "start_many", **{**FORM, field: text})
    assert (answer["ok"], answer["invalid"], answer["alert"]) == (False, True, False)
    assert answer["message"].startswith(label)
    assert panel.run is None


async def test_several_that_python_starts_have_seeds_of_their_own(demo: Session, panel: Panel) -> None:
    runs = await panel.start_many(3, **QUICK)
    assert panel.run == runs[0]
    quotes = [[event.current_quote async for event in run.events() if hasattr(event, "current_quote")] for run in runs]
    assert len({tuple(filter(None, told)) for told in quotes}) == 3


async def test_a_row_is_watched_with_its_timeline_and_its_history(demo: Session, panel: Panel) -> None:
    run = await demo.start_monty(**QUICK)
    await run.result()
    assert (await told(panel, "watch", workflow_id=run.id))["ok"]
    await panel.until(lambda trace: trace.summary.ended)
    await eventually(lambda: panel.timeline.summary.ended, "the timeline has ended as well")
    assert [bar.state for bar in panel.timeline.bars if bar.kind == "activity"] == ["completed"] * 2
    read = await told(panel, "read_entry", number=0)
    assert json.loads(read["message"])["eventType"] == "WORKFLOW_EXECUTION_STARTED"
    missing = await told(panel, "read_entry", number=10_000)
    assert (missing["ok"], missing["invalid"]) == (False, True)


async def test_an_ended_workflow_whose_id_is_used_again_is_read_anew(demo: Session, panel: Panel) -> None:
    temporal, queue = demo.client.temporal, demo.client.task_queue
    given = {"min_sleep": 0.1, "max_sleep": 0.1, "progress_interval": 0.5, "seed": 1, "quotes": [], "state": None}
    for iterations in (1, 2):
        body = {**given, "iterations": iterations, "history_limit": 2000}
        start = temporal.start_workflow("MontyPythonWorkflow", body, id=f"again-{id(panel)}", task_queue=queue)
        handle = await demo.background.run(start)
        panel.watch(handle.id)
        trace = await panel.until(lambda trace: trace.summary.ended)
        assert trace.summary.iterations == iterations


async def test_workflows_are_compared_and_one_that_is_missing_is_told(demo: Session, panel: Panel) -> None:
    runs = await panel.start_many(2, **QUICK)
    for run in runs:
        await run.result()
    assert (await told(panel, "compare", workflow_ids=[run.id for run in runs]))["ok"]
    assert panel._listing.comparison.compared
    assert (await told(panel, "compare", workflow_ids=["monty-python-00000000"]))["ok"]
    assert "monty-python-00000000" in summary(panel, "compare")["problem"]
    for wrong in (["<b>"], [1]):
        assert (await told(panel, "compare", workflow_ids=wrong))["invalid"]
    await told(panel, "compare", workflow_ids=[f"own-{number}" for number in range(9)])
    assert "1 to 8" in summary(panel, "compare")["problem"]
    assert (await told(panel, "compare", workflow_ids=[]))["ok"]
    assert not panel._listing.comparison.compared


async def test_the_static_form_has_trace_timeline_and_table_without_a_browser(demo: Session, panel: Panel) -> None:
    run = await panel.start_monty(**QUICK)
    await run.result()
    await panel.until(lambda trace: trace.summary.ended)
    await demo.assert_clean()
    page, text = panel._static()
    for words in ("Status: COMPLETED", "sleep_then_quote", run.id):
        assert words in text
    assert "<table>" in page
    assert "style=" not in page


async def test_what_keeps_a_static_form_from_being_made_does_not_hide_the_error_before_it(demo: Session) -> None:
    async def fail() -> None:
        raise RuntimeError("no table")

    async def boom() -> None:
        raise ValueError("the real error")

    demo.before_settle.append(fail)
    settled: list[bool] = []
    demo.on_settle.append(lambda: settled.append(True))
    failing = demo.background.spawn(boom(), name="boom")
    await eventually(lambda: failing.done, "it has failed")
    try:
        with pytest.raises(UncleanSession) as caught:
            await demo.assert_clean()
    finally:
        demo.before_settle.remove(fail)
        demo.on_settle.pop()
    assert [str(error) for error in caught.value.errors] == ["the real error", "no table"]
    assert settled == [True]


@pytest.mark.slow
async def test_a_panel_works_on_after_its_session_was_closed_and_started_again(
    home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comm, "create_comm", RecordingComm)
    session = Session(home)
    async with session:
        panel = Panel(session, attach=False)
        for pending in [panel.list_runs() for _ in range(3)]:
            await pending
    settling = [*session.on_settle]
    with pytest.raises(SessionClosed):
        Panel(session)
    assert session.on_settle == settling
    async with session:
        for pending in [panel.list_runs() for _ in range(3)]:
            await pending
        runs = [await pending for pending in [panel.start_monty(**QUICK) for _ in range(3)]]
        assert len(set(runs)) == 1
        await runs[0].result()
        await session.assert_clean()
        panel.close()

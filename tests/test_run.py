"""What can be asked of a workflow, and how it answers when it cannot be done."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from durable_demo import Session, settings
from durable_demo.client import Runs, RunSummary
from durable_demo.errors import (
    NotPossible,
    StillRunning,
    WorkerUnavailable,
    WorkflowEndedBadly,
)
from tests.test_follow import handle, queue, start  # noqa: F401  # `queue` is a fixture
from tests.test_monty import LONG, QUICK
from tests.test_tally import has, listed


async def test_a_query_without_a_worker_fails_in_seconds_and_says_why(demo: Session, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(settings, "QUERY_DEADLINE", timedelta(seconds=2))
    run = await start(demo, f"nobody-{uuid4().hex[:8]}", "MontyPythonWorkflow", {"min_sleep": 1, "max_sleep": 1})
    async with asyncio.timeout(25):  # by itself it takes 29 s
        with pytest.raises(WorkerUnavailable, match="doctor"):
            await run.progress()
    async with asyncio.timeout(25):
        with pytest.raises(WorkerUnavailable, match="may still be taken later"):
            await run.add_quotes(["a quote of mine"])
    assert (await run.status()).status == "RUNNING"
    await run.terminate()


async def test_a_workflow_without_that_signal_or_query_says_so(demo: Session, queue: str):  # noqa: F811
    run = await start(demo, queue, "Everything", "x")
    await demo.background.run(handle(demo, run).execute_update("greet", "you"))  # its Worker is there
    with pytest.raises(NotPossible, match="has no Signal 'stop_workflow'"):
        await run.stop()
    with pytest.raises(NotPossible, match="get_progress"):
        await run.progress()
    await run.cancel()


async def test_a_wait_for_the_result_has_a_deadline(demo: Session):
    run = await demo.start_monty(**LONG)
    with pytest.raises(StillRunning, match=r"await run.stop\(\)"):
        await run.result(timeout=0.2)
    with pytest.raises(TimeoutError):
        await run.result(timeout=0.2)
    await run.stop()
    assert (await run.result(timeout=None)).final_status == "stopped"


async def test_a_wait_that_was_given_up_leaves_nothing_behind(demo: Session):
    demo.background.unseen_errors()  # those of other tests
    run = await demo.start_monty(**LONG)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(run.result(timeout=None), 0.5)
    await run.cancel()
    with pytest.raises(WorkflowEndedBadly):
        await run.result()
    await demo.assert_clean()


async def test_runs_lists_each_workflow_once_newest_first(demo: Session):
    first = await demo.start_monty(**QUICK, iterations=6, history_limit=20)
    await first.result()
    second = await demo.start_monty(**LONG)
    await listed(demo.client, first, has("COMPLETED"))
    await listed(demo.client, second, has("RUNNING"))
    runs = await demo.runs(limit=1000)
    ids = [item.workflow_id for item in runs]
    assert ids.index(second.id) < ids.index(first.id)
    assert ids.count(first.id) == 1
    found = {item.workflow_id: item for item in runs}
    assert (found[first.id].status, found[second.id].status) == ("COMPLETED", "RUNNING")
    assert found[second.id].run == second
    assert first.id in str(runs)
    assert f"<code>{first.id}</code>" in runs._repr_html_()
    third = await demo.start_monty(**QUICK, iterations=1)
    await third.result()
    await listed(demo.client, third, has("COMPLETED"))
    ids = [item.workflow_id for item in await demo.runs(limit=2)]
    assert ids == [third.id, second.id], "an older one that runs comes before a newer one that has ended"
    await second.stop()


NOON = datetime(2025, 1, 19, 12, tzinfo=UTC)


def summary(workflow_id: str = "monty-python-00000001", **fields: Any) -> RunSummary:
    """A workflow of a list that ran from noon on for 90 seconds."""
    known: dict[str, Any] = {"run_id": "r", "workflow_type": "MontyPythonWorkflow", "status": "COMPLETED", "run": None}
    times = {"started": NOON, "closed": NOON + timedelta(seconds=90)}
    return RunSummary(workflow_id=workflow_id, **(known | times | fields))


def test_a_table_has_the_counters_and_a_dash_where_there_are_none():
    runs = Runs([summary(iterations=3, quotes=0), summary("other", workflow_type="<b>")])
    names, first, second = str(runs).splitlines()
    assert names.split("  ")[0] == "Workflow ID"
    assert names.split()[2:] == ["Type", "Status", "Started", "Duration", "Iterations", "Quotes", "Messages"]
    assert first.split()[-5:] == ["90", "seconds", "3", "0", "-"]
    assert second.split()[-3:] == ["-", "-", "-"]
    page = runs._repr_html_()
    assert "<td>90 seconds</td><td>3</td><td>0</td><td>-</td></tr>" in page
    assert "<td>&lt;b&gt;</td>" in page
    assert page.count("<th>") == 8


def test_a_table_has_the_titles_of_conversations_where_there_are_any():
    chat = summary("chat-00000001", workflow_type="ChatWorkflow", messages=2, title="What <i>\n\x00is\u202e it?")
    runs = Runs([summary(), chat])
    names, first, second = str(runs).splitlines()
    assert names.endswith("Messages  Title")
    assert first.endswith("-")
    assert second.endswith("2         What <i>\\n\\x00is\\u202e it?")
    assert "<td>2</td><td>What &lt;i&gt;\\n\\x00is\\u202e it?</td>" in runs._repr_html_()


def test_the_duration_of_what_runs_is_until_now():
    began = datetime.now(UTC) - timedelta(minutes=5)
    running = summary(started=began, closed=None, status="RUNNING")
    assert timedelta(minutes=5) <= running.duration < timedelta(minutes=6)


async def test_it_shows_itself_as_text_and_html(demo: Session):
    run = await demo.start_monty(**LONG)
    assert repr(run) == f"Run('{run.id}')"
    assert run.id in run._repr_html_()
    status = await run.status()
    assert f"{run.id} (MontyPythonWorkflow): RUNNING" in str(status)
    await run.stop()


async def test_a_workflow_of_any_type_with_that_signal_is_stopped(demo: Session, queue: str):  # noqa: F811
    run = await start(demo, queue, "Stoppable")
    assert (await run.stop()).accepted
    assert await run.result() == "stopped"
    assert await run.query() == "is it stopped: True"
    with pytest.raises(NotPossible, match="one of: is_stopped"):
        await run.query("nothing")

"""A history beside what changed code would do: where the two part, in words that say what to do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.worker import Worker

from durable_demo import Session, replaying, settings
from durable_demo.errors import InvalidInput, NotPossible, WorkflowNotFound
from durable_demo.live_modules import LiveModule
from durable_demo.replaying import Replay, replay
from durable_demo.run import Run
from durable_demo.starting import find_workflow
from tests.live_cells import GREET, WAIT, WRITE, load_cell
from tests.test_replay import HISTORIES


@asynccontextmanager
async def served(demo: Session, live: LiveModule) -> AsyncIterator[None]:
    """A Worker for a module, in this process, on a connection of its own."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    up = asyncio.Event()

    async def work() -> None:
        async with Worker(
            demo.client.temporal,
            task_queue=settings.live_task_queue(live.name),
            workflows=list(live.workflows.values()),
            activities=[live.activities["greet"]],
        ):
            loop.call_soon_threadsafe(up.set)
            while not stop.is_set():  # noqa: ASYNC110  # the event belongs to another loop
                await asyncio.sleep(0.02)

    working = demo.background.spawn(work(), name="worker of the test")
    await asyncio.wait_for(up.wait(), 60)
    try:
        yield
    finally:
        stop.set()
        await working


async def until(run: Run, event: str) -> None:
    async with asyncio.timeout(60):
        async for found in run.events():
            if found.event == event:
                return


async def under_way(demo: Session, folder: Path, *lines: str, until_event: str = "timer_started") -> tuple[Run, str]:
    """A workflow with this code that has come so far, and the name of its module; nobody serves it any more."""
    name = f"cell_{uuid4().hex[:8]}"
    live = load_cell(folder, name, *lines)
    async with served(demo, live):
        run = await demo.start_workflow(live.workflows["Greeting"], {"name": "Ada"})
        await until(run, until_event)
    return run, name


def differing(found: Replay) -> tuple[int, str, str]:
    assert found.differs is not None
    row = found.rows()[found.differs]
    assert row[3] == "<- here they differ"
    return int(row[0]), row[1], row[2]


@pytest.mark.parametrize(
    ("before", "after", "expected", "patch"),
    [
        ((WAIT,), (WRITE, WAIT), (5, "start timer (3600 seconds)", "schedule Activity write_down"),
         'if workflow.patched("with-write-down"):'),
        ((GREET, WAIT), (WAIT,), (5, "schedule Activity greet", "start timer (3600 seconds)"),
         'if not workflow.patched("without-greet"):'),
        ((GREET, WAIT), (GREET, WRITE, WAIT), (11, "start timer (3600 seconds)", "schedule Activity write_down"),
         'if workflow.patched("with-write-down"):'),
        ((GREET, WAIT), (WRITE, WAIT), (5, "schedule Activity greet", "schedule Activity write_down"),
         'if workflow.patched("with-write-down"):'),
        ((WAIT,), (), (5, "start timer (3600 seconds)", "complete the workflow"),
         'if workflow.patched("with-complete-the-workflow"):'),
        ((WAIT,), ("await workflow.wait_condition(lambda: self.open)",), (5, "start timer (3600 seconds)", "(nothing)"),
         'if not workflow.patched("without-start-timer"):'),
    ],
    ids=["added", "removed", "added later", "replaced", "shorter", "no timer"],
)  # fmt: skip
async def test_a_change_shows_where_history_and_code_part(
    demo: Session,
    tmp_path: Path,
    before: tuple[str, ...],
    after: tuple[str, ...],
    expected: tuple[int, str, str],
    patch: str,
) -> None:
    run, name = await under_way(demo, tmp_path, *before)
    fitting = await demo.replay(run)
    assert fitting.fits
    assert fitting.history == fitting.code

    load_cell(tmp_path, name, *after)
    found = await demo.replay(run.id)

    assert not found.fits
    assert differing(found) == expected
    assert found.error.startswith("[TMPRL1100] Nondeterminism error: ")
    assert patch in str(found)
    assert f"await run.reset(to={expected[0]})" in str(found)
    assert [remedy.code for remedy in found.remedies][-1] == "await run.terminate()"


async def test_the_patch_that_is_proposed_heals(demo: Session, tmp_path: Path) -> None:
    run, name = await under_way(demo, tmp_path, WAIT)
    load_cell(tmp_path, name, WRITE, WAIT)
    proposed = (await demo.replay(run)).remedies[1].code.splitlines()[0]
    load_cell(tmp_path, name, proposed, f"    {WRITE}", WAIT)
    assert (await demo.replay(run)).fits


@pytest.mark.parametrize(
    "after",
    [(WAIT, WRITE), ("await workflow.wait_condition(lambda: self.open, timeout=60)",)],
    ids=["behind the end", "another duration"],
)
async def test_a_change_that_does_no_harm_fits(demo: Session, tmp_path: Path, after: tuple[str, ...]) -> None:
    run, name = await under_way(demo, tmp_path, WAIT)
    load_cell(tmp_path, name, *after)
    found = await demo.replay(run)
    assert found.fits
    assert found.remedies == []
    assert "The code of Greeting fits the history, up to event 5." in str(found)


async def test_an_error_in_the_code_is_told_with_its_line(demo: Session, tmp_path: Path) -> None:
    run, name = await under_way(demo, tmp_path, GREET, WAIT)
    load_cell(tmp_path, name, GREET, "raise ValueError('<b>a bug</b>')")
    found = await demo.replay(run)
    assert found.error == "ValueError: <b>a bug</b>"
    assert found.stack.splitlines() == [
        f'  File "{tmp_path / f"{name}.py"}", line 27, in run',
        "    raise ValueError('<b>a bug</b>')",
    ]
    assert [row[1:3] for row in found.rows()] == [
        ("schedule Activity greet", "schedule Activity greet"),
        ("start timer (3600 seconds)", "(not reached)"),
    ]
    assert "&lt;b&gt;a bug&lt;/b&gt;" in found._repr_html_()
    assert "<b>a bug" not in found._repr_html_()


async def test_an_error_at_the_very_end_of_the_history_is_found_too(demo: Session, tmp_path: Path) -> None:
    run, name = await under_way(demo, tmp_path, WAIT)
    bug = load_cell(tmp_path, name, WAIT, "raise ValueError('after the wait')")
    handle = demo.client.temporal.get_workflow_handle(run.id)
    async with served(demo, bug):
        await demo.background.run(handle.signal("open_door"))
        await until(run, "workflow_task_failed")
    found = await demo.replay(run)
    assert found.error == "ValueError: after the wait"

    load_cell(tmp_path, name, WAIT, WRITE)
    mended = await demo.replay(run)
    assert mended.fits
    assert [row[1:] for row in mended.rows()] == [
        ("start timer (3600 seconds)", "start timer (3600 seconds)", ""),
        ("", "cancel timer", "next"),
        ("", "schedule Activity write_down", "next"),
    ]


async def test_code_that_never_yields_is_told(demo: Session, tmp_path: Path) -> None:
    run, name = await under_way(demo, tmp_path, WAIT)
    load_cell(tmp_path, name, "while True:", "    pass")
    found = await demo.replay(run)
    assert "[TMPRL1101] Potential deadlock detected" in found.error
    assert f"{name}.py" in found.stack
    assert "replaying.py" not in found.stack


async def test_a_replay_that_does_not_end_is_given_up(
    demo: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, name = await under_way(demo, tmp_path, WAIT)
    load_cell(tmp_path, name, "while True:", "    pass")
    monkeypatch.setattr(replaying, "REPLAY_DEADLINE", timedelta(seconds=0.5))
    with pytest.raises(NotPossible, match=r"(?s)did not end within 0\.5 s.*its history has 5 events"):
        await demo.replay(run)


async def test_a_long_history_is_shown_around_the_place_that_matters(demo: Session, tmp_path: Path) -> None:
    run, name = await under_way(demo, tmp_path, "for _ in range(30):", f"    {GREET}", WAIT)
    load_cell(tmp_path, name, "for _ in range(30):", f"    {GREET}", WRITE, WAIT)
    found = await demo.replay(run)
    assert found.differs == 30
    assert str(found).count("schedule Activity greet") == 20
    assert "20 commands before these fit." in str(found)
    assert "20 commands before these fit." in found._repr_html_()


async def test_it_is_replayed_on_the_code_of_its_own_module_or_on_a_class_that_is_given(
    demo: Session, tmp_path: Path
) -> None:
    run, name = await under_way(demo, tmp_path, WAIT)
    other = load_cell(tmp_path, f"{name}_b", WRITE, WAIT)
    assert (await demo.replay(run)).fits
    assert not (await demo.replay(run, other.workflows["Greeting"])).fits


async def test_what_cannot_be_replayed_is_told(demo: Session, tmp_path: Path) -> None:
    run, _ = await under_way(demo, tmp_path, WAIT)
    with pytest.raises(InvalidInput, match="cannot be replayed with ChatWorkflow"):
        await demo.replay(run, find_workflow("ChatWorkflow").cls)
    with pytest.raises(InvalidInput, match="run its cell"):
        await demo.replay(run, int)
    with pytest.raises(WorkflowNotFound):
        await demo.replay("not-there")


@pytest.mark.parametrize("text", [path.read_text() for path in HISTORIES], ids=[path.stem for path in HISTORIES])
async def test_code_and_history_of_each_recorded_run_have_the_same_commands(text: str) -> None:
    history = WorkflowHistory.from_json("recorded", text)
    name = history.events[0].workflow_execution_started_event_attributes.workflow_type.name
    cls = find_workflow(name).cls
    found = await replay(history, cls, namespace="default", converter=DataConverter.default)
    assert found.fits
    assert found.code == found.history != []


async def test_a_recorded_run_that_differs_is_told_in_plain_html() -> None:
    recorded = json.loads(next(path for path in HISTORIES if path.stem == "monty-completed-1").read_text())
    for event in recorded["events"]:
        scheduled = event.get("activityTaskScheduledEventAttributes")
        if scheduled:
            scheduled["activityType"]["name"] = "<i>other</i>\u202e"
    history = WorkflowHistory.from_json("<script>", json.dumps(recorded))
    cls = find_workflow("MontyPythonWorkflow").cls
    page = (await replay(history, cls, namespace="default", converter=DataConverter.default))._repr_html_()
    assert "&lt;i&gt;other&lt;/i&gt;\\u202e" in page
    assert "does not match activity type" in page
    for markup in ("<script", "<i>", "\u202e", "style=", "class="):
        assert markup not in page

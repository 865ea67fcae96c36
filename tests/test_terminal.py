"""The live trace in a terminal: which lines are written, when, and that no workflow can forge one."""

from __future__ import annotations

import asyncio
import io
import json
import signal
from collections.abc import AsyncIterator

import pytest
from rich.console import Console

from durable_demo import events as e
from durable_demo.errors import ServerUnreachable
from durable_demo.run import Answer
from durable_demo.terminal import Screen, watch
from tests.conftest import eventually

WORKFLOW_ID = "monty-python-1a2b3c4d"


def common(number: int) -> dict[str, str]:
    stamp = f"2025-01-19T10:30:{number:02d}.000Z"
    return {"timestamp": stamp, "workflow_id": WORKFLOW_ID, "run_id": "run", "offset": f"{number:04d}"}


def started() -> e.Event:
    return e.WorkflowStarted(**common(1), workflow_type="MontyPythonWorkflow")


def progress(number: int, percent: float) -> e.Event:
    return e.ProgressUpdate(
        **common(number), tick=True, progress=percent, status="iteration_1_sleeping", iteration_count=1
    )


def quote(number: int, text: str) -> e.Event:
    return e.ProgressUpdate(
        **common(number), progress=100, status="iteration_1_delivered", iteration_count=1, current_quote=text
    )


def heartbeat(number: int, details: int) -> e.Event:
    return e.ActivityHeartbeat(
        **common(number), tick=True, activity_id="1", activity_type="work", attempt=1, details=details
    )


def completed(number: int) -> e.Event:
    return e.WorkflowCompleted(**common(number), iteration_count=1, total_quotes_delivered=1)


def written(*events: e.Event, terminal: bool = False, as_json: bool = False) -> str:
    """What a screen writes for these events; a terminal is narrow, a pipe has no width."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, color_system=None, width=40, highlight=False)
    screen = Screen(console, as_json=as_json)
    for event in events:
        screen.show(event)
    return file.getvalue()


def test_progress_is_written_as_lines_when_piped_and_left_to_the_live_line_on_a_terminal() -> None:
    events = [started(), progress(2, 10), progress(3, 12), progress(4, 20), completed(5)]
    assert written(*events).count("Progress") == 2
    assert "Progress" not in written(*events, terminal=True)
    assert "Workflow completed" in written(*events, terminal=True)


def test_a_line_that_replaces_another_is_written_only_once() -> None:
    text = written(started(), heartbeat(2, 1), heartbeat(3, 2), heartbeat(4, 3))
    assert text.count("Activity work") == 1


def test_the_end_of_an_outage_is_written_although_it_replaces_its_beginning() -> None:
    outage = [e.Reconnecting(**common(2), tick=True, error="gone") for _ in range(3)]
    text = written(started(), *outage, e.Reconnected(**common(2), tick=True, away=2.0))
    assert text.count("reconnecting") == 1
    assert text.count("Reconnected") == 1


def test_text_of_a_workflow_is_neither_markup_nor_control_nor_a_line_of_its_own() -> None:
    text = written(started(), quote(2, "[red]Ni![/red]\x1b[2J\n10:30:59 Workflow completed"))
    assert "[red]Ni![/red]\\x1b[2J\\n10:30:59 Workflow completed" in text
    assert "\x1b" not in text


def test_long_lines_are_not_broken() -> None:
    assert "word " * 60 in written(started(), quote(2, "word " * 60))


def test_json_is_each_event_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    events = [started(), progress(2, 10), progress(3, 11), quote(4, "Ni!\n\x07"), completed(5)]
    assert written(*events, as_json=True) == ""
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [event.to_dict() for event in events]


class ScriptedRun:
    """A run that plays events back, then ends or fails."""

    id = WORKFLOW_ID

    def __init__(self, *events: e.Event, error: Exception | None = None) -> None:
        self.script = events
        self.error = error

    async def events(self, after: str | None = None) -> AsyncIterator[e.Event]:
        for event in self.script:
            await asyncio.sleep(0)
            yield event
        if self.error:
            raise self.error

    async def stop(self) -> Answer:
        raise AssertionError("nobody asked for it")


async def watched(run: ScriptedRun) -> tuple[int, str]:
    file = io.StringIO()
    status = await watch(run, Screen(Console(file=file, width=80)))  # type: ignore[arg-type]
    return status, file.getvalue()


async def test_the_exit_status_tells_how_the_workflow_ended() -> None:
    assert (await watched(ScriptedRun(started(), completed(2))))[0] == 0
    assert (await watched(ScriptedRun(started(), e.WorkflowFailed(**common(2), error="broken"))))[0] == 1
    assert (await watched(ScriptedRun(started(), e.WorkflowCanceled(**common(2)))))[0] == 1
    assert (await watched(ScriptedRun(started())))[0] == 1


async def test_the_totals_stand_at_the_end() -> None:
    _, text = await watched(ScriptedRun(started(), completed(9)))
    assert text.endswith("Status: COMPLETED\nIterations: 1 | Quotes Delivered: 1 | Total Runtime: 8 seconds\n")


async def test_an_error_of_the_stream_is_raised() -> None:
    with pytest.raises(ServerUnreachable):
        await watched(ScriptedRun(started(), error=ServerUnreachable("gone")))


class SlowToStop(ScriptedRun):
    """A run that goes on; the request to stop it takes a while to be sent."""

    def __init__(self) -> None:
        super().__init__(started())
        self.asked = asyncio.Event()
        self.stopped = False

    async def events(self, after: str | None = None) -> AsyncIterator[e.Event]:
        async for event in super().events(after):
            yield event
        await asyncio.Event().wait()

    async def stop(self) -> Answer:
        self.asked.set()
        await asyncio.sleep(0.3)
        self.stopped = True
        return Answer(True, "stop requested")


async def test_who_leaves_while_the_stop_is_being_sent_has_asked_for_it() -> None:
    run = SlowToStop()
    file = io.StringIO()
    watching = asyncio.create_task(watch(run, Screen(Console(file=file, width=80)), stops=True))  # type: ignore[arg-type]
    await eventually(lambda: "Workflow started" in file.getvalue(), "it watches")
    signal.raise_signal(signal.SIGINT)
    await run.asked.wait()
    signal.raise_signal(signal.SIGINT)
    assert await watching == 130
    assert run.stopped

"""The tab Break it at the kernel's end: what is typed becomes a verb, and what happened reaches the browsers."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import comm
import pytest

from durable_demo import Panel, Session
from durable_demo.errors import NotPossible
from durable_demo.events import format_timestamp
from durable_demo.faults import Break, Faults, Incident
from durable_demo.stack import ProcessInfo, StackInfo
from durable_demo.statedir import LiveInfo
from tests.conftest import eventually
from tests.widgets.fakes import FakeRun, FakeSession, RecordingComm
from tests.widgets.test_listing import summary, told

ME = ProcessInfo.of(os.getpid())
GONE = ProcessInfo(pid=999_999_999, began=0.0)


def stack(**facts: Any) -> StackInfo:
    common = {"address": "127.0.0.1:7233", "namespace": "default", "task_queue": "durable-demo", "embedded": True}
    return StackInfo(**{**common, "home": Path("/nowhere"), "supervisor": ME, "server": ME, "workers": (ME,), **facts})


def incident(what: str, pid: int | None = None, process: Any = "worker") -> Incident:
    return Incident(timestamp=format_timestamp(datetime.now(UTC)), process=process, what=what, pid=pid)


@pytest.fixture
def panel(session: FakeSession) -> Iterator[Panel]:
    session.stack.running = stack()
    panel = Panel(session, attach=False)  # type: ignore[arg-type]
    yield panel
    panel.close()


def shown(panel: Panel, channel: str = "break") -> dict[str, Any]:
    """The summary that a browser has now."""
    return summary(panel, channel)


async def test_workers_of_notebooks_are_shown_beside_those_of_the_kit(session: FakeSession, panel: Panel) -> None:
    lighthouse = LiveInfo("lighthouse", "0" * 64, ready=True, process=ME)
    waiting = LiveInfo("greeting", "1" * 64, ready=False)
    session.stack.running = stack(live=(lighthouse, waiting))
    await told(panel, "look_at_stack")
    assert shown(panel)["workers"] == [
        {"pid": ME.pid, "state": "running"},
        {"pid": ME.pid, "state": "running", "module": "lighthouse"},
    ]


# --- what is typed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "value", "call"),
    [
        ("kill_worker", "", ("kill_worker",)),
        ("kill_worker", "4711", ("kill_worker", 4711)),
        ("set_workers", " 2 ", ("set_workers", 2)),
        ("freeze_worker", "", ("freeze_worker",)),
        ("freeze_worker", "7.5", ("freeze_worker", 7.5)),
        ("thaw_worker", "", ("thaw_worker",)),
        ("kill_server", "", ("kill_server",)),
        ("kill_server", "20", ("kill_server", 20.0)),
        ("start_server", "", ("start_server",)),
        ("disturb_network", "cut 15", ("disturb_network", "cut", 15.0)),
        ("disturb_network", "slow", ("disturb_network", "slow")),
        ("mend_network", "", ("mend_network",)),
        ("fail_activities", "3", ("fail_activities", 3)),
        ("slow_tools", "0", ("slow_tools", 0.0)),
        ("model_down", "on", ("model_down", True)),
        ("model_down", "off", ("model_down", False)),
        ("cut_answers", "1", ("cut_answers", 1)),
    ],
)
async def test_each_control_becomes_its_verb(
    session: FakeSession, panel: Panel, verb: str, value: str, call: tuple[Any, ...]
) -> None:
    answer = await told(panel, "break_it", verb=verb, value=value)
    assert (answer["ok"], answer["message"]) == (True, f"{verb} is done. All goes on.")
    assert session.break_it.verbs == [call]


@pytest.mark.parametrize(
    ("verb", "value"),
    [
        ("set_workers", "two"),
        ("set_workers", "1.5"),
        ("set_workers", ""),
        ("kill_worker", "x"),
        ("freeze_worker", "soon"),
        ("kill_server", "1 2"),
        ("disturb_network", "cut soon"),
        ("fail_activities", "3.5"),
        ("slow_tools", ""),
        ("model_down", "perhaps"),
        ("on_break", ""),
        ("__class__", ""),
        ("faults", ""),
    ],
)
async def test_what_cannot_be_used_breaks_nothing(session: FakeSession, panel: Panel, verb: str, value: str) -> None:
    answer = await told(panel, "break_it", verb=verb, value=value)
    assert (answer["ok"], answer["invalid"], answer["alert"]) == (False, True, False)
    assert session.break_it.verbs == []


async def test_what_is_not_possible_is_told_where_it_was_asked_for(session: FakeSession, panel: Panel) -> None:
    session.break_it.error = NotPossible("No Worker runs.", why="all are dead", remedy="start one")
    answer = await told(panel, "break_it", verb="kill_worker", value="")
    assert (answer["ok"], answer["message"], answer["alert"]) == (False, "No Worker runs. (all are dead)", False)


# --- what is shown ---------------------------------------------------------------------------------------------------


async def test_a_panel_looks_once_by_itself(panel: Panel) -> None:
    await eventually(lambda: shown(panel)["ready"], "the stack is shown")


async def test_processes_are_told_by_what_the_supervisor_saw_last(session: FakeSession, panel: Panel) -> None:
    assert ME is not None
    session.stack.running = stack(workers=(ME, GONE), server=ME)
    for what, state in (("started", "starting"), ("polls", "running"), ("frozen (SIGSTOP)", "frozen")):
        session.break_it.seen.append(incident(what, ME.pid))
        await told(panel, "look_at_stack")
        assert shown(panel)["workers"] == [{"pid": ME.pid, "state": state}, {"pid": GONE.pid, "state": "dead"}]
    assert shown(panel)["incidents"][-1][1] == f"Worker {ME.pid}: frozen (SIGSTOP)"


@pytest.mark.parametrize(
    ("info", "server", "possible"),
    [
        (stack(faults=Faults(server=False), server=None), {"pid": None, "state": "away"}, (True, True)),
        (stack(server=None), {"pid": None, "state": "starting"}, (True, True)),
        (stack(embedded=False, server=None), None, (True, False)),
        (stack(embedded=False, server=None, runs_workers=False, workers=()), None, (False, False)),
        (None, None, (True, True)),
    ],
    ids=["away", "starting", "configured server", "external Workers", "nothing runs"],
)
async def test_what_cannot_be_broken_from_here_is_told_with_the_reason(
    session: FakeSession, panel: Panel, info: StackInfo | None, server: Any, possible: tuple[bool, bool]
) -> None:
    session.stack.running = info
    await told(panel, "look_at_stack")
    summary = shown(panel)
    assert summary["server"] == server
    assert (summary["possible"]["workers"] == "", summary["possible"]["server"] == "") == possible
    assert bool(summary["problem"]) == (info is None)


async def test_what_is_broken_is_told_in_words_with_its_end(session: FakeSession, panel: Panel) -> None:
    session.break_it.now = Faults(network="cut", model_down=True, until={"network": 1_700_000_000.0})
    await told(panel, "look_at_stack")
    assert shown(panel)["broken"] == [["network cut", 1_700_000_000_000], ["model down", None]]
    assert shown(panel)["faults"] == dataclasses.asdict(session.break_it.now)


# --- the stopwatches -------------------------------------------------------------------------------------------------


async def test_a_break_from_python_reaches_both_stopwatches_with_what_the_supervisor_saw(
    session: FakeSession, panel: Panel
) -> None:
    run = FakeRun()
    run.started()
    panel.watch(run)
    await panel.until(lambda trace: trace.summary.workflow_id)
    session.break_it.now = Faults(workers=0)
    await session.background.run(session.break_it.kill_worker(), name="break")
    session.break_it.seen.append(incident("killed by SIGKILL", 4711))
    await told(panel, "look_at_stack")
    assert (panel.recovery.summary.kind, panel.chat_recovery.summary.kind) == ("kill_worker", "kill_worker")
    assert [line.text for line in panel.recovery.lines] == ["kill_worker is done.", "Worker 4711: killed by SIGKILL"]
    assert shown(panel, "recovery")["done"] == "kill_worker is done."
    page, text = panel._static()
    assert "Broken on purpose: kill_worker is done." in text
    assert "Broken on purpose:" in page


async def test_another_workflow_has_a_stopwatch_only_for_what_is_still_broken(
    session: FakeSession, panel: Panel
) -> None:
    await told(panel, "look_at_stack")  # after the panel's own first look
    session.break_it.now = Faults(workers=0)
    await session.background.run(session.break_it.set_workers(0), name="break")
    panel.watch(FakeRun("other-1"))
    assert panel.recovery.summary.kind == "set_workers"
    session.break_it.now = Faults()
    await told(panel, "look_at_stack")
    assert panel.recovery.summary.kind == "set_workers"
    panel.watch(FakeRun("other-2"))
    assert panel.recovery.summary.kind == ""


async def test_a_break_that_comes_while_somebody_looks_is_not_forgotten(
    session: FakeSession, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    await told(panel, "look_at_stack")  # after the panel's own first look
    now = format_timestamp(datetime.now(UTC))
    down = Break(kind="model_down", timestamp=now, done="The model is down.", expected="It waits.")

    def nothing_and_then_a_break() -> Faults:
        panel._recovery.begin(down)
        return Faults()

    monkeypatch.setattr(session.break_it, "faults", nothing_and_then_a_break)
    await told(panel, "look_at_stack")
    panel.watch(FakeRun("other-1"))
    assert panel.recovery.summary.kind == "model_down"


async def test_what_only_mends_starts_no_stopwatch(session: FakeSession, panel: Panel) -> None:
    now = format_timestamp(datetime.now(UTC) + timedelta(minutes=1))
    up = Break(kind="model_down", timestamp=now, done="The model is up again.", expected="All goes on.", mends=True)
    panel._recovery.begin(up)
    assert (panel.recovery.summary.kind, panel.recovery.lines) == ("", [])
    await session.background.run(session.break_it.kill_worker(), name="break")
    panel._recovery.begin(up)
    assert panel.recovery.summary.kind == "kill_worker"
    assert [line.text for line in panel.recovery.lines] == ["kill_worker is done.", "The model is up again."]


async def test_a_closed_panel_hears_of_breaks_no_more(session: FakeSession, panel: Panel) -> None:
    panel.close()
    assert session.break_it.on_break == []


# --- reset -----------------------------------------------------------------------------------------------------------


async def test_a_reset_tells_what_it_did(session: FakeSession, panel: Panel) -> None:
    answer = await told(panel, "reset")
    assert (answer["ok"], answer["message"], session.resets) == (True, "Reset in 1.0 s.", 1)
    assert (shown(panel)["reset"], shown(panel)["resetting"]) == ("Reset in 1.0 s.", False)


async def test_what_a_reset_did_is_no_news_once_something_is_broken_again(session: FakeSession, panel: Panel) -> None:
    await told(panel, "reset")
    assert shown(panel)["reset"] == "Reset in 1.0 s."
    await told(panel, "break_it", verb="kill_worker", value="")
    assert shown(panel)["reset"] == ""


async def test_a_reset_that_fails_says_why_and_what_to_do(session: FakeSession, panel: Panel) -> None:
    session.reset_error = NotPossible("It did not come to its end.", why="no room", remedy="`durable-demo down`")
    answer = await told(panel, "reset")
    assert not answer["ok"]
    assert "Next: `durable-demo down`" in shown(panel)["reset"]
    assert not shown(panel)["resetting"]


# --- the real thing --------------------------------------------------------------------------------------------------


async def test_a_real_worker_is_killed_from_the_panel(demo: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comm, "create_comm", RecordingComm)
    panel = Panel(demo, attach=False)
    try:
        run = await panel.start_monty(min_sleep=10, max_sleep=10, seed=7)
        await panel.until(lambda trace: (trace.summary.progress or 0) > 20, timeout=60)
        answer = await told(panel, "break_it", verb="kill_worker", value="")
        assert answer["ok"]
        assert "killed (SIGKILL)." in answer["message"]  # of all Workers: this stack may have more than one
        await panel._recovery.until(lambda recovery: recovery.summary.resumed_from, timedelta(seconds=60))
        await told(panel, "look_at_stack")
        texts = " ".join(line.text for line in panel.recovery.lines)
        assert "killed by SIGKILL" in texts
        assert "Progress again after" in texts
        assert panel.recovery.summary.attempts == 1
        too_many = await told(panel, "break_it", verb="set_workers", value="9")
        assert (too_many["ok"], too_many["invalid"]) == (False, True)
        await run.terminate()
    finally:
        panel.close()

"""The widgets' Python end: commands, followers, errors, static form; with a scripted session and a recording comm."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import pytest

from durable_demo.entries import PendingWork
from durable_demo.errors import NotPossible, ServerUnreachable, SessionClosed, StillRunning, WorkflowNotFound
from durable_demo.run import Answer
from durable_demo.widgets import Panel, TraceView, live
from tests.conftest import eventually
from tests.widgets.fakes import FakeRun, FakeSession, Listed


def make_panel(session: FakeSession, *, attach: bool = False) -> Panel:
    return Panel(session, attach=attach)  # type: ignore[arg-type]


def receive(widget: live.LiveTrace, content: object) -> None:
    """A message from a browser, the way that ipywidgets gets it."""
    widget._handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})


def sent(widget: live.LiveTrace, kind: str) -> list[dict[str, Any]]:
    return [message for message in widget.comm.sent if message["t"] == kind]


async def command(widget: live.LiveTrace, name: str, **args: object) -> dict[str, Any]:
    """Clicks, and waits for the answer."""
    number = f"c{len(widget.comm.sent)}"
    receive(widget, {"t": "command", "id": number, "name": name, "args": args})
    await eventually(lambda: any(m["id"] == number for m in sent(widget, "answer")), f"an answer to {name}")
    return next(message for message in sent(widget, "answer") if message["id"] == number)


def told(widget: live.LiveTrace, channel: str) -> dict[str, Any]:
    """The newest that a browser was told of a channel."""
    nothing: dict[str, Any] = {"summary": {"alerts": [], "chats": None}, "following": False, "rows": []}
    return next((message for message in reversed(widget.comm.sent) if message.get("channel") == channel), nothing)


# --- starting and following ------------------------------------------------------------------------------------------


async def test_start_monty_shows_the_new_workflow_with_the_demo_preset(session: FakeSession) -> None:
    panel = make_panel(session)
    run = await panel.start_monty(seed=7)
    await panel.until(lambda trace: trace.summary.status == "RUNNING", 30)
    assert panel.run is run
    assert [run.id] == [begun.id for begun in session.begun]
    assert session.options == [{"min_sleep": 2.0, "max_sleep": 5.0, "seed": 7}]


async def test_of_many_starts_at_once_one_starts_and_the_others_say_so(session: FakeSession) -> None:
    panel = make_panel(session)
    pending = [panel.start_monty() for _ in range(3)]
    answer = await command(panel, "start_monty")
    assert {(await run).id for run in pending} == {"monty-python-00000001"}
    assert len(session.begun) == 1
    assert answer["ok"] is False
    assert answer["message"] == "Already running: monty-python-00000001"


async def test_after_the_end_a_start_shows_a_new_workflow_on_an_empty_trace(session: FakeSession) -> None:
    panel = make_panel(session)
    first = await panel.start_monty()
    session.begun[0].completed()
    await panel.until(lambda trace: trace.summary.ended, 30)
    second = await panel.start_monty()
    await panel.until(lambda trace: trace.summary.workflow_id == second.id, 30)
    assert first.id != second.id
    assert [line.text for line in panel.trace.lines] == [f"Workflow started: {second.id}"]


async def test_a_watched_workflow_of_another_type_is_no_monty_and_start_starts_one(session: FakeSession) -> None:
    panel = make_panel(session)
    order = FakeRun("order-1")
    order.workflow_type = "OrderWorkflow"
    order.started()
    panel.watch(order)  # type: ignore[arg-type]
    await panel.until(lambda trace: trace.summary.status == "RUNNING", 30)
    run = await panel.start_monty()
    assert run.id == "monty-python-00000001"
    await panel.until(lambda trace: trace.summary.workflow_id == run.id, 30)


async def test_a_start_right_after_an_end_that_the_trace_does_not_know_yet_starts_a_new_one(
    session: FakeSession,
) -> None:
    panel = make_panel(session)
    await panel.start_monty()
    await panel.until(lambda trace: trace.summary.status == "RUNNING", 30)
    session.begun[0].ended_as = "COMPLETED"
    assert (await panel.start_monty()).id == "monty-python-00000002"


async def test_after_the_shown_workflow_was_deleted_a_start_starts_a_new_one(session: FakeSession) -> None:
    panel = make_panel(session)
    await panel.start_monty()
    deleted = WorkflowNotFound("the server knows no such workflow")
    session.begun[0].status_error = deleted
    session.begun[0].push(deleted)
    await panel.until(lambda trace: "no such workflow" in trace.summary.problem, 30)
    assert (await command(panel, "start_monty"))["ok"] is True
    await panel.until(lambda trace: trace.summary.workflow_id == "monty-python-00000002", 30)
    await eventually(lambda: bool(session.background.unseen_errors()), "assert_clean is told")


@pytest.mark.parametrize(("workflow_type", "starts"), [("MontyPythonWorkflow", False), ("OrderWorkflow", True)])
async def test_while_the_server_is_away_the_trace_says_whether_a_monty_runs(
    session: FakeSession, workflow_type: str, starts: bool
) -> None:
    panel = make_panel(session)
    run = FakeRun("shown")
    run.workflow_type = workflow_type
    run.started()
    run.status_error = ServerUnreachable("away")
    panel.watch(run)  # type: ignore[arg-type]
    await panel.until(lambda trace: trace.summary.status == "RUNNING", 30)
    await panel.start_monty()
    assert bool(session.begun) is starts


async def test_a_new_panel_picks_up_the_newest_monty_that_runs(session: FakeSession) -> None:
    run = FakeRun("monty-python-newest")
    run.started()
    session.listed = [
        Listed(FakeRun("other"), workflow_type="OtherWorkflow"),
        Listed(FakeRun("ended"), status="COMPLETED"),
        Listed(run),
        Listed(FakeRun("older")),
    ]
    panel = make_panel(session, attach=True)
    await panel.until(lambda trace: trace.summary.workflow_id == "monty-python-newest", 30)
    started = await panel.start_monty()
    assert started.id == "monty-python-newest"


async def test_nothing_to_attach_to_is_fine(session: FakeSession) -> None:
    panel = make_panel(session, attach=True)
    await panel.start_monty()
    assert session.background.unseen_errors() == []


async def test_watch_shows_another_workflow_and_leaves_the_first(session: FakeSession) -> None:
    panel = make_panel(session)
    await panel.start_monty()
    other = FakeRun("other")
    other.started()
    other.quoted("from the other")
    panel.watch(other)  # type: ignore[arg-type]
    await panel.until(lambda trace: trace.summary.quotes == 1, 30)
    session.begun[0].quoted("from the first")
    receive(panel, {"t": "hello"})
    assert [line.text for line in panel.trace.lines] == ["Workflow started: other", 'Iteration 1: "from the other"']


async def test_a_follower_that_fails_is_shown_is_told_to_assert_clean_and_goes_on_where_it_was(
    session: FakeSession,
) -> None:
    panel = make_panel(session)
    await panel.start_monty()
    run = session.begun[0]
    run.quoted("one")
    run.push(ServerUnreachable("the server is away", why="it was killed", remedy="start it"))
    await panel.until(lambda trace: "the server is away" in trace.summary.problem, 30)
    await eventually(lambda: told(panel, "trace")["following"] is False, "the browser knows")
    await eventually(
        lambda: [type(error) for error in session.background.unseen_errors()] == [ServerUnreachable], "assert_clean"
    )
    answer = await command(panel, "start_monty")
    assert answer["message"] == f"Already running: {run.id}"
    run.quoted("two", 2)
    await panel.until(lambda trace: trace.summary.quotes == 2, 30)
    assert run.asked_after == [None, "00000002"]


async def test_who_waits_in_vain_is_told_what_is_pending_at_the_server(session: FakeSession) -> None:
    panel = make_panel(session)
    run = FakeRun()
    run.started()
    run.entries["00000001"] = [PendingWork(timestamp="2025-01-19T10:30:05.000Z", run_id="run", task_attempt=7)]
    panel.watch(run)
    await panel.until(lambda trace: trace.summary.status == "RUNNING", 30)
    with pytest.raises(StillRunning, match=r"(?s)pending:\nWorkflow Task, attempt 7: a Worker has it\n.*RUNNING"):
        await panel.until(lambda trace: trace.summary.ended, 0.05)


async def test_who_waits_in_vain_sees_the_head_and_the_newest_of_a_long_trace(session: FakeSession) -> None:
    panel = make_panel(session)
    run = FakeRun()
    run.started()
    for number in range(1, 11):
        run.quoted(f"quote {number} " + "x" * 300, number)
    panel.watch(run)
    await panel.until(lambda trace: trace.summary.quotes == 10, 30)
    with pytest.raises(StillRunning, match=r"(?s)Status: RUNNING.*\n\.\.\.\n.*quote 10") as told:
        await panel.until(lambda trace: trace.summary.ended, 0.05)
    assert len(str(told.value)) < 3_000


async def test_a_browser_that_is_gone_does_not_end_the_follower(session: FakeSession) -> None:
    panel = make_panel(session)
    await panel.start_monty()
    panel.comm.broken = True
    session.begun[0].quoted("unheard")
    await panel.until(lambda trace: trace.summary.quotes == 1, 30)
    panel._feed.flush()
    panel.comm.broken = False
    session.begun[0].quoted("heard", 2)
    await eventually(lambda: told(panel, "trace")["summary"]["quotes"] == 2, "sending goes on")
    assert session.background.unseen_errors() == []


async def test_a_closed_widget_follows_no_more(session: FakeSession) -> None:
    panel = make_panel(session)
    await panel.start_monty()
    panel.close()
    panel.close()
    session.begun[0].quoted("too late")
    await eventually(lambda: not panel._watched.active, "the follower has ended")
    assert session.on_settle == []


# --- resting ---------------------------------------------------------------------------------------------------------


def seen(widget: live.LiveTrace, shown: bool, page: str = "p1") -> None:
    receive(widget, {"t": "shown", "page": page, "shown": shown})


async def test_a_widget_that_no_page_shows_any_more_rests_and_goes_on_where_it_was(session: FakeSession) -> None:
    panel = make_panel(session)
    await panel.start_monty()
    await panel.until(lambda trace: trace.summary.status == "RUNNING", 30)
    run = session.begun[0]
    await eventually(lambda: told(panel, "trace")["following"] is True, "the browser knows that it is followed")
    seen(panel, True)
    seen(panel, True, "p2")
    seen(panel, False)
    assert panel._watched.active, "another page shows it"
    seen(panel, False, "p2")
    assert not panel._watched.active
    await eventually(lambda: told(panel, "trace")["following"] is False, "the follower has ended")
    run.quoted("unseen")
    seen(panel, True)
    await panel.until(lambda trace: trace.summary.quotes == 1, 30)
    assert run.asked_after == [None, "00000001"]
    await eventually(lambda: told(panel, "trace")["following"] is True, "the browser knows")


async def test_a_widget_that_was_never_shown_follows(session: FakeSession) -> None:
    panel = make_panel(session)
    await panel.start_monty()
    receive(panel, {"t": "hello"})
    assert panel._watched.active


async def test_a_resting_widget_goes_on_when_python_asks_for_its_trace(session: FakeSession) -> None:
    panel = make_panel(session)
    await panel.start_monty()
    seen(panel, True)
    seen(panel, False)
    session.begun[0].quoted("Spam")
    await panel.until(lambda trace: trace.summary.quotes == 1, 30)
    seen(panel, False)
    assert not panel._watched.active
    session.begun[0].quoted("Eggs", 2)
    await eventually(lambda: panel.trace.summary.quotes == 2, "the second quote")


async def test_a_widget_does_not_rest_while_python_waits_for_it(session: FakeSession) -> None:
    panel = make_panel(session)
    await panel.start_monty()
    seen(panel, True)
    waiting = asyncio.ensure_future(panel.until(lambda trace: trace.summary.quotes == 1, 30))
    await asyncio.sleep(0)
    seen(panel, False)
    session.begun[0].quoted("Spam")
    await waiting


async def test_a_widget_that_rests_when_its_session_closes_can_still_be_read(session: FakeSession) -> None:
    panel = make_panel(session)
    await panel.start_monty()
    await panel.until(lambda trace: trace.summary.status == "RUNNING", 30)
    seen(panel, True)
    seen(panel, False)
    session.background.close()
    seen(panel, True)
    assert panel.trace.summary.status == "RUNNING"


async def test_a_trace_view_shows_one_workflow(session: FakeSession) -> None:
    run = FakeRun()
    run.started()
    view = TraceView(session, run)  # type: ignore[arg-type]
    await view.until(lambda trace: trace.summary.status == "RUNNING", 30)
    assert (await command(view, "stop"))["ok"] is True
    assert (await command(view, "start_monty"))["ok"] is False
    assert run.verbs == ["stop"]


# --- commands --------------------------------------------------------------------------------------------------------


async def test_each_button_reaches_the_workflow(session: FakeSession) -> None:
    panel = make_panel(session)
    await panel.start_monty()
    for verb in ("pause", "resume", "stop", "cancel"):
        assert (await command(panel, verb))["ok"] is True
    assert session.begun[0].verbs == ["pause", "resume", "stop", "cancel"]


async def test_a_stop_that_comes_too_late_is_answered_in_words(session: FakeSession) -> None:
    panel = make_panel(session)
    await panel.start_monty()
    session.begun[0].refusal = Answer(False, "it has already ended: COMPLETED")
    answer = await command(panel, "stop")
    assert (answer["ok"], answer["message"], answer["alert"]) == (False, "it has already ended: COMPLETED", False)
    assert (await panel.stop()).message == "it has already ended: COMPLETED"


async def test_clear_after_the_end_keeps_stop_working(session: FakeSession) -> None:
    panel = make_panel(session)
    await panel.start_monty()
    session.begun[0].completed()
    await panel.until(lambda trace: trace.summary.ended, 30)
    assert (await command(panel, "clear"))["ok"] is True
    assert told(panel, "trace")["summary"]["status"] == ""
    await panel.stop()
    assert session.begun[0].verbs == ["stop"]


async def test_an_expected_error_of_a_click_is_shown_and_does_not_fail_the_notebook(session: FakeSession) -> None:
    panel = make_panel(session)
    session.start_error = ServerUnreachable("cannot start", why="nothing answers", remedy="durable-demo status")
    answer = await command(panel, "start_monty")
    assert (answer["ok"], answer["alert"]) == (False, True)
    await eventually(lambda: bool(told(panel, "panel")["summary"]["alerts"]), "the alert")
    (alert,) = told(panel, "panel")["summary"]["alerts"]
    assert (alert["what"], alert["next"]) == ("cannot start", "durable-demo status")
    assert told(panel, "panel")["summary"]["starting"] is False
    assert session.background.unseen_errors() == []
    await command(panel, "dismiss", alert=alert["id"])
    await eventually(lambda: told(panel, "panel")["summary"]["alerts"] == [], "it is gone")


async def test_an_unexpected_error_of_a_click_is_shown_and_reaches_assert_clean(session: FakeSession) -> None:
    panel = make_panel(session)
    await panel.start_monty()
    session.begun[0].error = ZeroDivisionError("oops")
    answer = await command(panel, "pause")
    assert answer["alert"] is True
    await eventually(
        lambda: [type(error) for error in session.background.unseen_errors()] == [ZeroDivisionError], "assert_clean"
    )


async def test_an_error_of_a_method_is_raised_where_it_is_awaited_and_shown(session: FakeSession) -> None:
    panel = make_panel(session)
    with pytest.raises(NotPossible, match="no workflow is shown here"):
        await panel.stop()
    await eventually(lambda: bool(told(panel, "panel")["summary"]["alerts"]), "the alert")
    assert session.background.unseen_errors() == []
    panel.pause()
    await eventually(lambda: len(session.background.unseen_errors()) == 1, "assert_clean gets what nobody awaited")


async def test_hello_is_answered_from_any_thread(session: FakeSession) -> None:
    panel = make_panel(session)
    await panel.start_monty()
    thread = threading.Thread(target=receive, args=(panel, {"t": "hello"}))
    thread.start()
    thread.join(5)
    assert told(panel, "trace")["summary"]["workflow_id"] in {"", "monty-python-00000001"}


async def test_a_click_after_the_session_was_closed_is_answered(session: FakeSession) -> None:
    panel = make_panel(session)
    session.background.close()
    answer = await command(panel, "start_monty")
    assert answer["alert"] is True
    with pytest.raises(SessionClosed):
        panel.start_monty()
    assert (await command(panel, "clear"))["ok"] is True


async def test_messages_belong_to_no_request_so_that_clicks_reach_a_busy_kernel(
    session: FakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    request: contextvars.ContextVar[dict[str, str]] = contextvars.ContextVar("shell_parent")
    request.set({"header": "a cell"})
    panel = make_panel(session)
    seen: list[dict[str, str]] = []
    monkeypatch.setattr(panel.comm, "publish_msg", lambda *_, **__: seen.append(request.get()))
    receive(panel, {"t": "hello"})
    assert len(seen) >= len(panel._feed.channels), "one snapshot for each channel"
    assert all(message == {} for message in seen)
    assert request.get() == {"header": "a cell"}


# --- static form -----------------------------------------------------------------------------------------------------


async def test_the_bundle_has_the_view_and_a_static_form(session: FakeSession) -> None:
    panel = make_panel(session)
    await panel.start_monty()
    session.begun[0].quoted("<script>alert(1)</script>")
    await panel.until(lambda trace: trace.summary.quotes == 1, 30)
    bundle, _ = panel._repr_mimebundle_()
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == panel.model_id
    assert "&lt;script&gt;" in bundle["text/html"]
    assert "<script>" not in bundle["text/html"]
    assert "Status: RUNNING" in bundle["text/plain"]


async def test_settling_brings_the_displayed_form_up_to_date_and_only_if_it_has_changed(
    session: FakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[str, str]] = []

    def show(bundle: dict[str, str], *, raw: bool, display_id: str) -> None:
        shown.append((display_id, bundle["text/html"]))

    monkeypatch.setattr(live, "display", show)
    monkeypatch.setattr(live, "update_display", show)
    panel = make_panel(session)
    (settle,) = session.on_settle
    settle()
    assert shown == [], "it was not displayed yet"
    panel._ipython_display_()
    settle()
    assert len(shown) == 1
    await panel.start_monty()
    session.begun[0].quoted("Spam")
    await panel.until(lambda trace: trace.summary.quotes == 1, 30)
    settle()
    settle()
    assert len(shown) == 2
    assert shown[0][0] == shown[1][0]
    assert "Spam" in shown[1][1]
    session.started = False
    settle()
    assert len(shown) == 3, "the view of a closed session gives way to its static form"
    assert list(panel._bundle()) == ["text/html", "text/plain"]


async def test_the_repr_is_short(session: FakeSession) -> None:
    panel = make_panel(session)
    assert repr(panel) == "Panel(nothing yet)"
    await panel.start_monty()
    await panel.until(lambda trace: trace.summary.status == "RUNNING", 30)
    assert repr(panel) == "Panel(monty-python-00000001: RUNNING)"

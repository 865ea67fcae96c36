"""The fold: same facts, same trace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_demo import events as e
from durable_demo.trace import Trace
from durable_demo.wording import seconds

START = datetime(2025, 1, 19, 10, 30, 15, tzinfo=UTC)


class Story:
    """Makes the events of one workflow, with offsets and times as `follow()` gives them."""

    def __init__(self) -> None:
        self.events: list[e.Event] = []
        self.facts = 0

    def common(self, at: float, *, tick: bool) -> dict:
        if not tick:
            self.facts += 1
        return {
            "timestamp": e.format_timestamp(START + timedelta(seconds=at)),
            "workflow_id": "monty-python-12345678",
            "run_id": "r",
            "offset": f"{self.facts:06d}",
            "tick": tick,
        }

    def add(self, cls: type[e.Event], at: float, *, tick: bool = False, **fields: object) -> Story:
        self.events.append(cls(**self.common(at, tick=tick), **fields))
        return self

    def progress(self, at: float, iteration: int, state: str, progress: float, **fields: object) -> Story:
        tick = fields.pop("tick", False)
        counters = {"iteration_count": iteration, "total_quotes_delivered": fields.pop("quotes", iteration - 1)}
        status = f"iteration_{iteration}_{state}"
        common = {"progress": progress, "status": status, "current_sleep_duration": 15.0, "total_elapsed": at}
        return self.add(e.ProgressUpdate, at, tick=bool(tick), **counters, **common, **fields)


def the_picture() -> Story:
    """The run of the proposal's picture."""
    story = Story().add(e.WorkflowStarted, 0, workflow_type="MontyPythonWorkflow", input={})
    story.progress(1, 1, "sleeping", 0)
    for at, percent in ((2, 5), (5, 20), (10, 45), (15, 70)):
        story.progress(at, 1, "sleeping", percent, tick=True)
    story.progress(16, 1, "delivered", 100, quotes=1, current_quote="Nobody expects the Spanish Inquisition!")
    story.progress(18, 2, "sleeping", 0)
    story.add(e.StopRequested, 20, iteration_count=2, total_quotes_delivered=1, total_elapsed=20.0)
    story.progress(20.5, 2, "stopped", 17)
    counters = {"iteration_count": 2, "total_quotes_delivered": 1, "total_elapsed": 50.0}
    return story.add(e.WorkflowCompleted, 50, result={"final_status": "stopped"}, **counters)


def test_the_trace_reads_like_the_proposals_picture():
    trace = Trace()
    trace.apply(*the_picture().events)
    assert [line.text for line in trace.lines] == [
        "Workflow started: monty-python-12345678",
        "Iteration 1: Activity sleeping for 15 seconds...",
        "Iteration 1: Progress 5%",
        "Iteration 1: Progress 20%",
        "Iteration 1: Progress 45%",
        "Iteration 1: Progress 70%",
        'Iteration 1: "Nobody expects the Spanish Inquisition!"',
        "Iteration 2: Activity sleeping for 15 seconds...",
        "Stop requested",
        "Iteration 2: Stopped at 17%",
        "Workflow completed after 2 iterations and 1 quote",
    ]
    assert trace.summary.status == "COMPLETED"
    assert trace.summary.footer == "Iterations: 2 | Quotes Delivered: 1 | Total Runtime: 50 seconds"


def test_a_quote_is_written_once_and_later_ticks_show_progress_again():
    # The original's trace never cleared `current_quote`: every later tick printed the quote again.
    trace = Trace()
    story = the_picture()
    trace.apply(*story.events[:8])
    later = Story()
    later.facts = story.facts
    later.progress(19, 2, "sleeping", 30, tick=True)
    trace.apply(*later.events)
    assert sum("Spanish" in line.text for line in trace.lines) == 1
    assert trace.lines[-1].text == "Iteration 2: Progress 30%"


def test_a_fact_that_comes_again_changes_nothing():
    trace = Trace()
    events = the_picture().events
    trace.apply(*events)
    before = trace.to_text()
    assert trace.apply(*events).lines == ()
    assert trace.to_text() == before


@pytest.mark.parametrize(
    ("cls", "fields", "status"),
    [
        (e.WorkflowFailed, {"error": "boom"}, "FAILED"),
        (e.WorkflowCanceled, {}, "CANCELED"),
        (e.WorkflowTerminated, {"error": "because"}, "TERMINATED"),
        (e.WorkflowTimedOut, {}, "TIMED_OUT"),
    ],
)
def test_the_end_is_the_real_one_and_keeps_the_totals(cls, fields, status):
    story = the_picture()
    story.events.pop()
    story.add(cls, 51, iteration_count=2, total_quotes_delivered=1, total_elapsed=51.0, **fields)
    trace = Trace()
    trace.apply(*story.events)
    assert trace.summary.status == status
    assert trace.summary.footer == "Iterations: 2 | Quotes Delivered: 1 | Total Runtime: 51 seconds"


def test_pause_and_resume_show_as_status():
    story = Story().add(e.WorkflowStarted, 0, workflow_type="MontyPythonWorkflow").progress(1, 1, "sleeping", 0)
    trace = Trace()
    trace.apply(*story.events, *Story.add(story, e.WorkflowPaused, 2).events[-1:])
    assert trace.summary.status == "PAUSED"
    frozen = trace.to_text()
    trace.apply(*story.progress(3, 1, "sleeping", 50, tick=True).events[-1:])
    assert trace.to_text().count("Progress") == frozen.count("Progress")
    trace.apply(*story.add(e.WorkflowResumed, 4).events[-1:])
    assert trace.summary.status == "RUNNING"


def test_clear_empties_the_view_and_keeps_the_workflow():
    trace = Trace()
    story = the_picture()
    trace.apply(*story.events[:8])
    trace.clear()
    assert trace.lines == []
    assert trace.summary.status == "RUNNING"
    trace.apply(*story.events[8:])
    assert trace.lines[0].text == "Stop requested"
    assert trace.summary.status == "COMPLETED"


def test_memory_is_bounded_and_the_text_says_what_is_missing():
    trace = Trace(max_lines=5)
    trace.apply(*the_picture().events)
    assert len(trace.lines) == 5
    assert "6 earlier lines not shown" in trace.to_text()
    assert "6 earlier lines not shown" in trace.to_html()


def test_markup_and_control_characters_of_a_workflow_are_shown_not_obeyed():
    story = Story().add(e.WorkflowStarted, 0, workflow_type="W")
    story.progress(1, 1, "delivered", 100, current_quote="<script>alert(1)</script>\x00\x1b[31m\u202eevil 🐍")
    trace = Trace()
    trace.apply(*story.events)
    page = trace.to_html()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "\x00" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "🐍" in page


def test_a_problem_shows_until_the_workflow_goes_on():
    story = Story().add(e.WorkflowStarted, 0, workflow_type="W")
    story.add(e.WorkflowTaskFailed, 1, cause="NON_DETERMINISTIC_ERROR", error="the code has changed")
    trace = Trace()
    trace.apply(*story.events)
    assert trace.summary.problem == "the code has changed"
    assert "Temporal tries again" in trace.to_text()
    trace.apply(*story.add(e.SignalReceived, 2, name="s").events[-1:])
    assert trace.summary.problem
    trace.apply(*story.add(e.TimerStarted, 3, timer_id="1", duration=2.0).events[-1:])
    assert trace.summary.problem == ""


def test_progress_of_one_activity_after_another_is_shown_for_each():
    story = Story().add(e.WorkflowStarted, 0, workflow_type="W")
    for number in (1, 2):
        activity = {"activity_id": str(number), "activity_type": "copy"}
        story.add(e.ActivityScheduled, 10 * number, **activity)
        for percent in (20, 90):
            story.add(
                e.ProgressUpdate, 10 * number + percent / 20, tick=True, progress=percent, status=f"copy {number}"
            )
        story.add(e.ActivityCompleted, 10 * number + 9, **activity)
    trace = Trace()
    trace.apply(*story.events)
    assert [line.text for line in trace.lines if line.kind == "progress"] == [
        "copy 1: Progress 20%",
        "copy 1: Progress 90%",
        "copy 2: Progress 20%",
        "copy 2: Progress 90%",
    ]
    assert trace.summary.progress is None


def test_the_clock_of_this_machine_does_not_touch_start_and_runtime():
    story = Story().add(e.Gap, 9_000, tick=True, reason="gone").add(e.WorkflowStarted, 0, workflow_type="W")
    story.add(e.Reconnecting, 9_000, tick=True, error="refused").add(e.Reconnected, 9_001, tick=True, away=1.0)
    trace = Trace()
    trace.apply(*story.add(e.TimerFired, 9, timer_id="1").events)
    assert trace.summary.runtime == 9
    assert trace.summary.started == e.format_timestamp(START)


def test_a_text_with_line_breaks_cannot_pass_for_lines_of_its_own():
    forged = "x\n10:30:02 Workflow completed after 9 iterations\x1b[31m"
    trace = Trace()
    trace.apply(*Story().add(e.WorkflowStarted, 0, workflow_type="W").add(e.WorkflowTerminated, 1, error=forged).events)
    assert str(trace).count("\n") == 7
    assert "\x1b" not in str(trace)
    assert trace.lines[1].text.startswith("Workflow terminated: x\\n10:30:02")


def test_the_failure_of_a_run_that_is_retried_is_told():
    story = Story().add(e.WorkflowStarted, 0, workflow_type="W")
    trace = Trace()
    trace.apply(*story.add(e.WorkflowContinuedAsNew, 1, new_run_id="r2", error="boom").events)
    assert trace.lines[-1].text == "Run failed, a new one follows: boom"
    assert trace.summary.status == "RUNNING"


def test_unknown_events_are_shown_as_json():
    trace = Trace()
    trace.apply(*Story().add(e.HistoryRecord, 0, event_type="MARKER_RECORDED", attributes={"a": 1}).events)
    assert trace.lines[0].text == '{"event": "history_record", "event_type": "MARKER_RECORDED", "attributes": {"a": 1}}'


def test_a_retry_seen_live_and_then_confirmed_is_one_line():
    story = Story().add(e.WorkflowStarted, 0, workflow_type="MontyPythonWorkflow").progress(1, 1, "sleeping", 0)
    retry = {"activity_id": "1", "activity_type": "sleep_then_quote", "attempt": 2, "error": "heartbeat timeout"}
    story.add(e.ActivityRetry, 4, tick=True, **retry, iteration_count=1, progress=40.0)
    story.progress(5, 1, "sleeping", 50, tick=True, attempt=2)
    story.add(e.ActivityRetry, 8, **retry, iteration_count=1)
    trace = Trace()
    trace.apply(*story.events)
    assert sum("attempt 2" in line.text for line in trace.lines) == 1


def test_a_lost_server_is_one_line_until_it_is_back():
    story = Story().add(e.WorkflowStarted, 0, workflow_type="W")
    story.add(e.Reconnecting, 1, tick=True, error="refused").add(e.Reconnecting, 2, tick=True, error="refused")
    trace = Trace()
    trace.apply(*story.events)
    assert not trace.summary.connected
    trace.apply(*story.add(e.Reconnected, 3, tick=True, away=2.0).events[-1:])
    assert trace.summary.connected
    assert [line.text for line in trace.lines[1:]] == ["Reconnected: the server was away for 2 seconds"]


@given(data=st.data())
@settings(max_examples=200)
def test_the_same_facts_give_the_same_trace_whatever_the_batching(data):
    events = the_picture().events
    whole = Trace()
    whole.apply(*events)
    pieces = Trace()
    position = 0
    while position < len(events):
        step = data.draw(st.integers(1, len(events) - position))
        again = data.draw(st.integers(0, position))  # a reconnect may repeat facts
        pieces.apply(*(event for event in events[again:position] if not event.tick))
        pieces.apply(*events[position : position + step])
        position += step
    assert pieces.to_text() == whole.to_text()
    assert pieces.summary == whole.summary


@given(data=st.data())
@settings(max_examples=200)
def test_ticks_that_are_skipped_change_neither_facts_nor_totals(data):
    events = the_picture().events
    kept = [event for event in events if not event.tick or data.draw(st.booleans())]
    whole, thinned = Trace(), Trace()
    whole.apply(*events)
    thinned.apply(*kept)

    def facts(trace: Trace) -> list[str]:
        return [line.text for line in trace.lines if line.kind != "progress"]

    assert facts(thinned) == facts(whole)
    assert thinned.summary == whole.summary


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1 second"), (15, "15 seconds"), (2.44, "2.4 seconds"), (0, "0 seconds"), (59.96, "60 seconds")],
)
def test_durations_read_like_a_person_wrote_them(value, text):
    assert seconds(value) == text

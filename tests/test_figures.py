"""The figures of one workflow: what is timed, what counts as a retry, and what is kept of many."""

from __future__ import annotations

import random
import statistics
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durable_demo import events as e
from durable_demo.figures import KEPT_TIMES, Figures, Measured, duration, took

START = datetime(2025, 1, 19, 10, 30, tzinfo=UTC)


class Told:
    """Events of one workflow, each at so many seconds."""

    def __init__(self, workflow_id: str = "monty-1") -> None:
        self.workflow_id = workflow_id
        self.events: list[e.Event] = []

    def at(self, second: float, kind: type[e.Event], *, tick: bool = False, run_id: str = "r1", **fields: Any) -> Told:
        common = {
            "timestamp": e.format_timestamp(START + timedelta(seconds=second)),
            "workflow_id": self.workflow_id,
            "run_id": run_id,
            "offset": f"{len(self.events):06}",
        }
        self.events.append(kind(**common, tick=tick, **fields))
        return self

    def started(self, workflow_type: str = "MontyPythonWorkflow") -> Told:
        return self.at(0, e.WorkflowStarted, workflow_type=workflow_type)

    def progress(self, second: float, iteration: int, state: str, quote: str | None = None, **more: Any) -> Told:
        status = f"iteration_{iteration}_{state}"
        fields = {"progress": 0, "status": status, "iteration_count": iteration, "current_quote": quote, **more}
        return self.at(second, e.ProgressUpdate, **fields)

    def iteration(self, iteration: int, begins: float, ends: float) -> Told:
        return self.progress(begins, iteration, "sleeping").progress(ends, iteration, "delivered", "Ni!")

    def activity(self, number: int, begins: float, ends: float, attempt: int = 1, run_id: str = "r1") -> Told:
        named = {"activity_id": str(number), "activity_type": "copy", "run_id": run_id}
        self.at(begins, e.ActivityScheduled, **named)
        if attempt > 1:
            self.at(begins, e.ActivityRetry, **named, attempt=attempt, error="x")
        return self.at(ends, e.ActivityCompleted, **named, attempt=attempt)

    def figures(self) -> Figures:
        figures = Figures(self.workflow_id)
        figures.apply(*self.events)
        return figures

    def measured(self) -> Measured:
        return self.figures().measured()


def test_an_iteration_is_timed_from_its_sleep_to_its_quote_with_the_pause_in_it() -> None:
    told = Told().started().iteration(1, 1, 3)
    told.progress(3, 2, "sleeping").at(4, e.WorkflowPaused).progress(4, 2, "paused").at(9, e.WorkflowResumed)
    told.progress(9, 2, "sleeping").progress(10.5, 2, "delivered", "Ni!").at(11, e.WorkflowCompleted)
    measured = told.measured()
    assert (measured.unit, measured.times, measured.count) == ("iteration", (2.0, 7.5), 2)
    assert (measured.workflow_type, measured.status, measured.runtime) == ("MontyPythonWorkflow", "COMPLETED", 11.0)


def test_an_interrupted_sleep_is_no_time() -> None:
    told = Told().started().iteration(1, 1, 3).progress(3, 2, "sleeping").at(4, e.StopRequested)
    assert told.measured().status == "STOPPING"
    told.progress(4, 2, "stopped").at(4, e.WorkflowCompleted)
    assert told.measured().times == (2.0,)


def test_iterations_go_on_over_continue_as_new() -> None:
    told = Told().started().iteration(1, 1, 3)
    told.at(3, e.WorkflowContinuedAsNew, new_run_id="r2", iteration_count=1)
    told.iteration(2, 3.5, 4.5)
    measured = told.measured()
    assert (measured.times, measured.status, measured.runtime) == ((2.0, 1.0), "RUNNING", 4.5)


def test_a_conversation_is_timed_by_its_answers() -> None:
    told = Told("chat-1").started("ChatWorkflow")
    told.at(1, e.MessageReceived, message_id="a", text="hello").at(1.5, e.MessageReceived, message_id="b", text="?")
    told.at(1.5, e.ActivityScheduled, activity_id="1", activity_type="other")
    told.at(2, e.MessageAnswered, message_id="a", text="hi").at(2.5, e.MessageStopped, message_id="b")
    told.at(3, e.MessageReceived, message_id="c", text="?").at(3.1, e.MessageFailed, message_id="c", error="x")
    measured = told.measured()
    assert (measured.unit, measured.times) == ("message", (1.0,))


def test_any_other_workflow_is_timed_by_its_activities() -> None:
    told = Told("scenario-1").started("Copying").activity(1, 0, 1).activity(2, 1, 3)
    named = {"activity_id": "3", "activity_type": "copy"}
    told.at(3, e.ActivityScheduled, **named).at(5, e.ActivityFailed, **named, error="boom")
    told.at(5, e.WorkflowContinuedAsNew, new_run_id="r2").activity(1, 6, 6.5, run_id="r2")
    measured = told.measured()
    assert (measured.unit, measured.times) == ("activity", (1.0, 2.0, 0.5))


def test_iterations_replace_the_activities_that_were_timed_before_them() -> None:
    assert Told().started().activity(1, 0, 1).iteration(1, 1, 3).activity(2, 3, 4).measured().times == (2.0,)


def test_each_attempt_beyond_the_first_is_a_retry_and_ticks_are_not() -> None:
    told = Told().started().activity(1, 0, 1, attempt=4).activity(2, 1, 2).activity(3, 2, 3, attempt=2)
    told.at(3, e.ActivityRetry, tick=True, activity_id="4", activity_type="copy", attempt=3, error="x")
    assert told.measured().retries == 3 + 1


def test_facts_count_once_and_ticks_change_nothing() -> None:
    told = Told().started().iteration(1, 1, 3).activity(1, 3, 4, attempt=3)
    once = told.measured()
    told.progress(9, 2, "sleeping", tick=True).at(9, e.Reconnecting, tick=True, error="x")
    again = told.figures()
    again.apply(*told.events, *told.events[2:])
    assert again.measured() == once


def test_the_runtime_of_what_runs_goes_on_until_now() -> None:
    told = Told().started().iteration(1, 1, 3)
    now = START + timedelta(seconds=60)
    assert told.figures().measured(now).runtime == 60
    assert told.figures().measured(START).runtime == 3, "a clock that is behind the server's takes nothing away"
    assert told.at(4, e.WorkflowTerminated).figures().measured(now).runtime == 4


@pytest.mark.parametrize("count", [1, 2, 3, 10, 500])
def test_quantiles_are_those_of_the_inclusive_method(count: int) -> None:
    draw = random.Random(count)
    lengths = [round(draw.uniform(1, 9), 3) for _ in range(count)]
    told = Told().started()
    for number, length in enumerate(lengths, 1):
        told.iteration(number, 10 * number, 10 * number + length)
    spread = told.measured().spread
    assert spread is not None
    assert (spread.min, spread.max) == pytest.approx((min(lengths), max(lengths)))
    assert (spread.median, spread.mean) == pytest.approx((statistics.median(lengths), statistics.mean(lengths)))
    if count > 1:
        quarters = statistics.quantiles(lengths, n=4, method="inclusive")
        tenths = statistics.quantiles(lengths, n=10, method="inclusive")
        assert (spread.q1, spread.q3, spread.p90) == pytest.approx((quarters[0], quarters[2], tenths[8]))
    else:
        assert spread.q1 == spread.median == spread.p90 == lengths[0]


def test_of_many_times_the_newest_are_kept_and_all_are_counted() -> None:
    told = Told().started().iteration(1, 0, 90).iteration(2, 90, 90.5)
    for number in range(3, KEPT_TIMES + 13):
        told.iteration(number, 100 + number, 101 + number)
    figures = told.figures()
    measured = figures.measured()
    assert (measured.count, len(measured.times)) == (KEPT_TIMES + 12, KEPT_TIMES)
    assert measured.spread is not None
    assert (measured.spread.min, measured.spread.max, measured.spread.p90) == (0.5, 90, 1)
    assert measured.spread.mean == pytest.approx((90 + 0.5 + KEPT_TIMES + 10) / (KEPT_TIMES + 12))


def test_a_history_of_which_the_server_has_not_all_is_told() -> None:
    told = Told().at(0, e.Gap, tick=True, reason="gone").progress(1, 7, "delivered", "Ni!").iteration(8, 1, 2)
    measured = told.measured()
    assert (measured.partial, measured.times) == (True, (1.0,)), "what began in the part that is gone is no time"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"), (0.008, "8 ms"), (0.0994, "99 ms"), (0.0996, "0.10 s"), (4.1, "4.10 s"), (9.999, "10.0 s"),
        (59.94, "59.9 s"), (59.96, "1 min"), (65, "1 min 5 s"), (3_599.6, "1 h"), (7_500, "2 h 5 min"),
        (86_380, "1 d"), (273_600, "3 d 4 h"),
    ],
)  # fmt: skip
def test_durations_read_as_people_write_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "live", "ended"),
    [
        (0, "0 s", "0.0 s"), (8.94, "8 s", "8.9 s"), (9.96, "9 s", "10 s"), (50.4, "50 s", "50 s"),
        (59.7, "59 s", "1 min"), (65, "1 min 5 s", "1 min 5 s"), (7_500, "2 h 5 min", "2 h 5 min"),
    ],
)  # fmt: skip
def test_how_long_a_workflow_took_is_said_in_few_words(seconds: float, live: str, ended: str) -> None:
    assert (took(seconds, ended=False), took(seconds, ended=True)) == (live, ended)

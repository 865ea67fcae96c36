from __future__ import annotations

import pytest

from durable_demo import events as e
from durable_demo.vocabulary import GenericVocabulary, MontyVocabulary, register, vocabulary_for

COMMON = {"timestamp": "2025-01-19T10:30:45.000Z", "workflow_id": "w", "run_id": "r", "offset": "1"}
ACTIVITY = {"activity_id": "1", "activity_type": "sleep_then_quote"}


def monty(**state: object) -> MontyVocabulary:
    vocabulary = MontyVocabulary()
    given = {"state": {"started_at": 1737282615.0, **state}} if state else {}
    vocabulary.translate(e.WorkflowStarted(**COMMON, workflow_type="MontyPythonWorkflow", input=given))
    return vocabulary


def signal(name: str) -> e.SignalReceived:
    return e.SignalReceived(**COMMON, name=name)


def test_repeated_pauses_and_stops_are_one_event_each():
    vocabulary = monty()
    names = ["resume", "pause", "pause", "resume", "resume", "stop_workflow", "stop_workflow", "pause"]
    told = [vocabulary.translate(signal(name)) for name in names]
    assert [event and event.event for event in told] == [
        None, "workflow_paused", None, "workflow_resumed", None, "stop_requested", None, None,
    ]  # fmt: skip


def test_counters_go_on_from_the_run_before():
    vocabulary = monty(iteration_count=7, total_quotes_delivered=6, paused=False, should_exit=True)
    assert vocabulary.translate(signal("stop_workflow")) is None
    ended = vocabulary.translate(e.WorkflowCompleted(**COMMON, result={}))
    assert (ended.iteration_count, ended.total_quotes_delivered) == (7, 6)
    assert ended.total_elapsed == 30.0


def test_a_heartbeat_becomes_progress_without_a_quote():
    vocabulary = monty()
    step = {"iteration": 3, "sleep": 10.0, "quote": "Ni!", "elapsed": 0.0}
    begun = vocabulary.translate(e.ActivityScheduled(**COMMON, **ACTIVITY, input=step))
    assert (begun.status, begun.progress, begun.current_quote) == ("iteration_3_sleeping", 0.0, None)
    beat = e.ActivityHeartbeat(**COMMON, tick=True, **ACTIVITY, attempt=2, details={"progress": 45.0, "elapsed": 4.5})
    tick = vocabulary.translate(beat)
    assert (tick.progress, tick.iteration_elapsed, tick.attempt, tick.current_quote) == (45.0, 4.5, 2, None)
    assert tick.tick


def test_a_retry_of_which_no_heartbeat_was_seen_tells_no_percent():
    vocabulary = monty()
    step = {"iteration": 3, "sleep": 10.0, "quote": "Ni!", "elapsed": 0.0}
    vocabulary.translate(e.ActivityScheduled(**COMMON, **ACTIVITY, input=step))
    retry = e.ActivityRetry(**COMMON, tick=True, **ACTIVITY, attempt=2, error="Heartbeat timeout")
    assert vocabulary.translate(retry).progress is None
    beat = e.ActivityHeartbeat(**COMMON, tick=True, **ACTIVITY, attempt=2, details={"progress": 45.0, "elapsed": 4.5})
    vocabulary.translate(beat)
    assert vocabulary.translate(retry).progress == 45.0


def test_the_last_breath_of_an_interrupted_sleep_is_not_told():
    vocabulary = monty()
    vocabulary.translate(signal("pause"))
    assert vocabulary.translate(e.ActivityHeartbeat(**COMMON, tick=True, **ACTIVITY, attempt=1, details={})) is None


@pytest.mark.parametrize(
    ("details", "progress"),
    [({"progress": 40}, 40.0), ({"progress": 400}, 100.0), ({"progress": -1}, 0.0)],
)
def test_any_workflow_may_report_progress_in_a_heartbeat(details, progress):
    beat = e.ActivityHeartbeat(**COMMON, tick=True, activity_id="1", activity_type="copy", attempt=1, details=details)
    told = GenericVocabulary().translate(beat)
    assert (told.event, told.progress, told.status) == ("progress_update", progress, "copy")


@pytest.mark.parametrize("details", [None, 7, "40", {"progress": "40"}, {"progress": True}, ["progress"], {}])
def test_other_heartbeats_stay_as_they_are(details):
    beat = e.ActivityHeartbeat(**COMMON, tick=True, activity_id="1", activity_type="copy", attempt=1, details=details)
    assert GenericVocabulary().translate(beat) is beat


def test_a_scenario_brings_its_own_words():
    class Shouting:
        def translate(self, event: e.Event) -> e.Event | None:
            return None

    register("ShoutingWorkflow", Shouting)
    assert isinstance(vocabulary_for("ShoutingWorkflow"), Shouting)
    assert isinstance(vocabulary_for("SomethingElse"), GenericVocabulary)

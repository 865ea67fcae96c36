from __future__ import annotations

from uuid import UUID

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Memo, Payload, Payloads
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.history.v1 import (
    HistoryEvent,
    WorkflowExecutionSignaledEventAttributes,
    WorkflowExecutionStartedEventAttributes,
)
from temporalio.api.workflow.v1 import PendingActivityInfo, PendingWorkflowTaskInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.converter import DataConverter

from durable_demo.history import Offset, RunReader, failure_text
from durable_demo.pending import pending_work

RUN = str(UUID(int=1))
RUNNING = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
WAITING = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
SIGNALED = 26  # EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED


async def signal_with(*payloads: Payload) -> object:
    """The input of a signal whose payloads came from anywhere."""
    attributes = WorkflowExecutionSignaledEventAttributes(signal_name="s", input=Payloads(payloads=payloads))
    entry = HistoryEvent(event_id=5, event_type=SIGNALED, workflow_execution_signaled_event_attributes=attributes)
    event = await RunReader("w", RUN, DataConverter.default).read(entry)
    event.to_json()
    return event.input


def json_payload(text: str) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=text.encode())


places = st.tuples(st.integers(0, 2**50), st.integers(1, 60_000))


@given(places, places)
def test_offsets_as_text_sort_like_the_chain(first: tuple[int, int], second: tuple[int, int]):
    texts = [str(Offset(*place, RUN)) for place in (first, second)]
    assert (texts[0] < texts[1]) == (first < second)
    assert Offset.parse(texts[0]) == Offset(*first, RUN)


async def test_a_clock_that_was_set_back_does_not_disturb_the_order():
    reader = RunReader("w", RUN, DataConverter.default, after_us=10**15)
    event = await reader.read(HistoryEvent(event_id=1, event_type=SIGNALED))  # its event_time is the epoch
    assert event.offset > str(Offset(10**15, 60_000, RUN))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, null]}', {"a": [1, None]}),
        ("NaN", "nan"),
        ("[1e999]", ["inf"]),
        ('"<b>\\u0000"', "<b>\x00"),
        ("not json", "<8 bytes, encoding json/plain>"),
    ],
)
async def test_payloads_become_strict_json_whatever_they_hold(text: str, value: object):
    assert await signal_with(json_payload(text)) == value


async def test_payloads_of_foreign_encodings_show_their_size_only():
    secret = Payload(metadata={"encoding": b"binary/encrypted"}, data=b"xxxx")
    assert await signal_with(secret) == "<4 bytes, encoding binary/encrypted>"
    assert await signal_with(Payload(metadata={"encoding": b"binary/plain"}, data=b"\xff\xfe")) == "<2 bytes>"
    assert await signal_with(json_payload("1"), json_payload("2")) == [1, 2]
    assert await signal_with() is None


def test_a_failure_reads_with_its_causes_and_without_its_stack():
    cause = Failure(message="the reason", application_failure_info=ApplicationFailureInfo(type="ValueError"))
    failure = Failure(message="Activity task failed", stack_trace="secret path", cause=cause)
    assert failure_text(failure) == "ValueError: the reason"
    assert failure_text(Failure(message="outer", cause=cause)) == "outer; caused by ValueError: the reason"
    assert failure_text(None) == failure_text(Failure()) == ""


def test_what_is_pending_tells_an_attempt_that_runs_one_that_backs_off_and_a_task_that_waits():
    described = DescribeWorkflowExecutionResponse(
        pending_activities=[
            PendingActivityInfo(
                activity_id="1", state=RUNNING, attempt=1, scheduled_time=at(1), last_started_time=at(2)
            ),
            PendingActivityInfo(
                activity_id="2",
                state=WAITING,
                attempt=2,
                scheduled_time=at(9),
                next_attempt_schedule_time=at(9),
                last_started_time=at(3),
                last_attempt_complete_time=at(4),
                last_failure=Failure(message="not yet"),
            ),
        ],
        pending_workflow_task=PendingWorkflowTaskInfo(scheduled_time=at(5), attempt=3),
    )
    pending = pending_work(described)
    runs, waits = pending.activities
    assert (runs.running, runs.scheduled[17:], runs.started[17:], runs.error) == (True, "01.000Z", "02.000Z", "")
    assert (waits.running, waits.attempt, waits.error) == (False, 2, "not yet")
    assert (waits.scheduled[17:], waits.failed[17:]) == ("09.000Z", "04.000Z")
    assert (pending.task_scheduled[17:], pending.task_attempt) == ("05.000Z", 3)
    described.pending_workflow_task.started_time.CopyFrom(at(6))
    assert pending_work(described).task_scheduled == ""


async def test_an_entry_keeps_what_is_no_payload_as_it_is():
    attributes = WorkflowExecutionSignaledEventAttributes(
        signal_name="metadata", identity="me", input=Payloads(payloads=[json_payload("1"), json_payload('{"a": NaN}')])
    )
    written = HistoryEvent(event_id=5, event_type=SIGNALED, workflow_execution_signaled_event_attributes=attributes)
    entry = await RunReader("w", RUN, DataConverter.default).entry(written)
    assert (entry.event_id, entry.event_type) == (5, "WORKFLOW_EXECUTION_SIGNALED")
    assert entry.attributes == {"signalName": "metadata", "identity": "me", "input": [1, {"a": "nan"}]}
    bare = await RunReader("w", RUN, DataConverter.default).entry(HistoryEvent(event_id=1, event_type=SIGNALED))
    assert bare.attributes == {}


def at(seconds: int) -> Timestamp:
    return Timestamp(seconds=seconds)


@pytest.mark.parametrize(
    "memo",
    [{"metadata": "x"}, {"metadata": "x", "data": "y"}, {"payloads": 1}, {"payloads": [1]}, {"metadata": {"a": 1}}],
    ids=str,
)
async def test_a_memo_whose_keys_are_called_as_a_payloads_is_read_like_any_other(memo: dict[str, object]):
    fields = {name: DataConverter.default.payload_converter.to_payload(value) for name, value in memo.items()}
    attributes = WorkflowExecutionStartedEventAttributes(memo=Memo(fields=fields))
    written = HistoryEvent(event_id=1, event_type=1, workflow_execution_started_event_attributes=attributes)
    entry = await RunReader("w", RUN, DataConverter.default).entry(written)
    assert entry.attributes["memo"]["fields"] == memo

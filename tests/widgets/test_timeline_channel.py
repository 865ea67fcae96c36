"""What browsers are told of a timeline."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from durable_demo.timeline import MAX_BARS
from durable_demo.widgets.feed import Feed, Message
from durable_demo.widgets.timeline_channel import MAX_OLD_TEXT, NEW_BARS, TimelineChannel
from tests.test_timeline import FAILURE, START, Story, runs, waits
from tests.widgets.page import StillLoop

ZERO = round(START.timestamp() * 1_000)


@pytest.fixture
def sent() -> list[Message]:
    return []


@pytest.fixture
def channel(sent: list[Message]) -> TimelineChannel:
    return TimelineChannel(Feed(sent.append, StillLoop()))  # type: ignore[arg-type]


def show(channel: TimelineChannel, story: Story) -> None:
    channel.apply(channel.fold, *story.items)
    channel.flush()


def rows(sent: list[Message]) -> dict[int, Any]:
    return {number: bar for message in sent for number, bar in message["rows"]}


def test_a_row_is_a_bar_with_its_parts(channel: TimelineChannel, sent: list[Message]) -> None:
    story = Story()
    event_id = story.scheduled(1)
    story.pending(1.5, runs(1, 1, 1)).pending(3.1, waits(2, 5, failed=3, error="Hiccup: not yet"))
    show(channel, story.attempt(5, event_id, 2, FAILURE).ended(7, event_id, result=["done"]))
    assert rows(sent)[1] == {
        "id": "1",
        "kind": "activity",
        "lane": "sleep",
        "label": "sleep",
        "start": ZERO + 1_000,
        "end": ZERO + 7_000,
        "state": "completed",
        "attempt": 2,
        "parts": [
            ["running", ZERO + 1_000, ZERO + 3_000, 1, "Hiccup: not yet"],
            ["backoff", ZERO + 3_000, ZERO + 5_000, 2, "Hiccup: not yet"],
            ["running", ZERO + 5_000, ZERO + 7_000, 2, ""],
        ],
        "input": '{\n  "seconds": 2\n}',
        "result": '[\n  "done"\n]',
        "error": "",
    }


def test_the_summary_tells_of_the_workflow_and_the_kernels_clock(channel: TimelineChannel, sent: list[Message]) -> None:
    before = round(time.time() * 1_000)
    show(channel, Story().entry(9, "WORKFLOW_EXECUTION_COMPLETED"))
    summary = sent[-1]["summary"]
    assert before <= summary.pop("now") <= round(time.time() * 1_000)
    assert summary == {
        "workflow_id": "own-1",
        "workflow_type": "Own",
        "status": "COMPLETED",
        "start": ZERO,
        "end": ZERO + 9_000,
        "connected": True,
    }


def test_only_bars_that_changed_are_sent(channel: TimelineChannel, sent: list[Message]) -> None:
    story = Story()
    event_id = story.scheduled(1)
    show(channel, story)
    before = len(sent)
    story.items.clear()
    show(channel, story.attempt(2, event_id))
    assert list(rows(sent[before:])) == [1]


def test_a_full_timeline_goes_in_messages_that_jupyter_carries(channel: TimelineChannel, sent: list[Message]) -> None:
    story = Story()
    for number in range(MAX_BARS + 50):
        story.entry(number, "WORKFLOW_EXECUTION_SIGNALED", signalName=f"s{number}", input="x" * 5_000)
    show(channel, story)
    sent.clear()
    channel.snapshot()
    # The workflow's own bar goes on, so it has moved behind the others.
    assert list(rows(sent)) == list(range(52, MAX_BARS + 52))
    assert {message["first"] for message in sent} == {52}
    sizes = [len(json.dumps(message)) for message in sent]
    assert max(sizes) < 100_000
    assert sum(sizes) < 2_000_000
    lengths = [len(bar["input"]) for bar in rows(sent).values() if bar["kind"] == "signal"]
    assert lengths == [MAX_OLD_TEXT] * (MAX_BARS - NEW_BARS) + [2_000] * (NEW_BARS - 1)

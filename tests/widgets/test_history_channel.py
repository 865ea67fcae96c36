"""The wire between an Event History and its browsers: rows, summary, and the JSON that is read on demand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from durable_demo.entries import HistoryEntry
from durable_demo.errors import InvalidInput
from durable_demo.widgets.feed import Feed, Message
from durable_demo.widgets.history_channel import HistoryChannel
from tests.widgets.page import StillLoop


def signal(event_id: int, name: str = "pause") -> HistoryEntry:
    return HistoryEntry(
        timestamp="2025-01-19T10:30:00.000Z",
        run_id="run-1",
        offset=f"{event_id:06}",
        event_id=event_id,
        event_type="WORKFLOW_EXECUTION_SIGNALED",
        attributes={"signalName": name},
    )


@pytest.fixture
def sent() -> list[Message]:
    return []


@pytest.fixture
def channel(sent: list[Message]) -> HistoryChannel:
    return HistoryChannel(Feed(sent.append, StillLoop()))  # type: ignore[arg-type]


def flush(channel: HistoryChannel, sent: list[Message], *items: Any) -> list[Message]:
    """The messages that these items give."""
    sent.clear()
    channel.apply(channel.fold, *items)
    channel.flush()
    return sent


def test_a_row_is_what_a_browser_shows_and_no_more(channel: HistoryChannel, sent: list[Message]) -> None:
    (message,) = flush(channel, sent, signal(1), signal(2, "resume"))
    at = "2025-01-19T10:30:00.000Z"
    assert message["rows"] == [
        [0, 1, 1, at, "WORKFLOW_EXECUTION_SIGNALED", "pause"],
        [1, 2, 1, at, "WORKFLOW_EXECUTION_SIGNALED", "resume"],
    ]
    assert message["summary"] == {"workflow_id": "", "run_id": "run-1", "status": "RUNNING", "runs": 1}
    json.dumps(message, allow_nan=False)


def test_an_entry_that_comes_again_sends_no_row_and_one_that_differs_its_own(
    channel: HistoryChannel, sent: list[Message]
) -> None:
    flush(channel, sent, signal(1), signal(2))
    assert flush(channel, sent, signal(1), signal(2)) == []
    assert [row[5] for row in flush(channel, sent, signal(2, "stop"))[0]["rows"]] == ["stop"]


def test_many_rows_come_in_parts_of_a_thousand(channel: HistoryChannel, sent: list[Message]) -> None:
    messages = flush(channel, sent, *(signal(number) for number in range(1, 2_501)))
    assert [len(message["rows"]) for message in messages] == [1_000, 1_000, 500]
    sent.clear()
    channel.snapshot()
    assert [len(message["rows"]) for message in sent] == [1_000, 1_000, 500]


def test_json_is_read_by_number(channel: HistoryChannel) -> None:
    channel.apply(channel.fold, signal(1), signal(2, "resume"))
    assert json.loads(channel.read(1))["signalName"] == "resume"
    with pytest.raises(InvalidInput, match="not kept any more"):
        channel.read(2)


def test_another_workflow_begins_with_an_empty_history(channel: HistoryChannel, sent: list[Message]) -> None:
    flush(channel, sent, signal(1))
    channel.restart()
    assert (sent[-1]["t"], sent[-1]["rows"], sent[-1]["summary"]["status"]) == ("snapshot", [], "")
    with pytest.raises(InvalidInput):
        channel.read(0)

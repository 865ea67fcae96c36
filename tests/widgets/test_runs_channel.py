"""The table of workflows on the wire: only what has changed is sent, and the newest has the highest number."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durable_demo.client import Runs, RunSummary
from durable_demo.widgets.feed import Feed, Message
from durable_demo.widgets.runs_channel import MAX_SHOWN, RunsChannel
from tests.widgets.page import StillLoop

NOON = datetime(2025, 1, 19, 12, tzinfo=UTC)


def monty(number: int, **fields: Any) -> RunSummary:
    """The workflow that began so many minutes after noon."""
    known: dict[str, Any] = {"status": "RUNNING", "closed": None, "iterations": 1, "quotes": 0} | fields
    return RunSummary(
        workflow_id=f"monty-{number}", run_id="r", workflow_type="MontyPythonWorkflow",
        started=NOON + timedelta(minutes=number), run=None, **known,
    )  # fmt: skip


def newest_first(*numbers: int) -> Runs:
    return Runs([monty(number) for number in reversed(numbers)])


@pytest.fixture
def sent() -> list[Message]:
    return []


@pytest.fixture
def runs(sent: list[Message]) -> RunsChannel:
    return RunsChannel(Feed(sent.append, StillLoop()))  # type: ignore[arg-type]


def changed(runs: RunsChannel, sent: list[Message]) -> list[tuple[int, str]]:
    """Numbers and Workflow IDs of the rows that go out now, in one message at most."""
    sent.clear()
    runs.flush()
    return [(number, row["workflow_id"]) for message in sent for number, row in message["rows"]]


def test_before_the_first_list_it_says_that_nothing_was_listed(runs: RunsChannel, sent: list[Message]):
    runs.snapshot()
    assert sent[0]["summary"] == {"listed": False, "problem": "", "more": False}
    assert not runs.listed
    runs.show(Runs(), more=False)
    runs.flush()
    assert runs.listed
    assert sent[1]["summary"] == {"listed": True, "problem": "", "more": False}
    assert sent[1]["rows"] == []


def test_a_row_has_what_the_table_shows(runs: RunsChannel, sent: list[Message]):
    chat = replace(
        monty(1), workflow_id="chat-1", workflow_type="Chat\x00Workflow", title="What\nis it?\u202e", iterations=None,
        quotes=None, messages=4, status="CANCELED", closed=NOON + timedelta(hours=1),
    )  # fmt: skip
    runs.show(Runs([chat, monty(0)]), more=True)
    runs.flush()
    (message,) = sent
    assert message["summary"] == {"listed": True, "problem": "", "more": True}
    assert message["rows"][0][1] == {
        "workflow_id": "monty-0",
        "workflow_type": "MontyPythonWorkflow",
        "title": "",
        "status": "RUNNING",
        "started": "2025-01-19T12:00:00.000Z",
        "closed": "",
        "iterations": 1,
        "quotes": 0,
        "messages": None,
        "problem": "",
    }
    number, row = message["rows"][1]
    assert number == 1
    assert (row["workflow_id"], row["workflow_type"], row["title"]) == (
        "chat-1",
        "Chat\\x00Workflow",
        "What\\nis it?\\u202e",
    )
    assert (row["status"], row["closed"], row["messages"]) == ("CANCELED", "2025-01-19T13:00:00.000Z", 4)


def test_only_rows_that_have_changed_are_sent(runs: RunsChannel, sent: list[Message]):
    runs.show(newest_first(1, 2, 3), more=False)
    assert changed(runs, sent) == [(0, "monty-1"), (1, "monty-2"), (2, "monty-3")]
    runs.show(newest_first(1, 2, 3), more=False)
    assert changed(runs, sent) == []
    assert sent == [], "nothing has changed, so nobody is told"
    runs.show(Runs([monty(3), monty(2, iterations=2), monty(1)]), more=False)
    assert changed(runs, sent) == [(1, "monty-2")]
    runs.show(Runs([monty(4), monty(3), monty(2, iterations=2), monty(1)]), more=False)
    assert changed(runs, sent) == [(3, "monty-4")]


def test_changes_between_two_messages_are_sent_once(runs: RunsChannel, sent: list[Message]):
    runs.show(newest_first(1, 2), more=False)
    runs.show(Runs([monty(3), monty(2, quotes=5), monty(1)]), more=False)
    runs.show(Runs([monty(3), monty(2, quotes=6), monty(1)]), more=False)
    assert changed(runs, sent) == [(0, "monty-1"), (1, "monty-2"), (2, "monty-3")]
    assert sent[0]["rows"][1][1]["quotes"] == 6


def test_of_many_the_newest_are_shown_and_older_ones_drop(runs: RunsChannel, sent: list[Message]):
    runs.show(newest_first(*range(MAX_SHOWN + 5)), more=False)
    rows = changed(runs, sent)
    assert (rows[0], rows[-1]) == ((0, "monty-5"), (MAX_SHOWN - 1, f"monty-{MAX_SHOWN + 4}"))
    assert sent[0]["summary"]["more"]
    runs.show(newest_first(*range(MAX_SHOWN + 7)), more=False)
    assert changed(runs, sent) == [
        (MAX_SHOWN, f"monty-{MAX_SHOWN + 5}"),
        (MAX_SHOWN + 1, f"monty-{MAX_SHOWN + 6}"),
    ]
    assert sent[0]["first"] == 2
    runs.snapshot()
    assert [row[0] for row in sent[-1]["rows"]] == list(range(2, MAX_SHOWN + 2))


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        pytest.param(newest_first(1, 2, 3, 4), [1, 2, 3, 4], id="older"),
        pytest.param(newest_first(2, 3, 4), [2, 3, 4], id="between"),
        pytest.param(newest_first(2), [2], id="newest deleted"),
        pytest.param(newest_first(8, 9), [8, 9], id="all others"),
        pytest.param(newest_first(), [], id="nothing left"),
        pytest.param(Runs([monty(4), replace(monty(2), started=NOON + timedelta(hours=1))]), [4, 2], id="restarted"),
    ],
)
def test_a_list_that_does_not_go_on_begins_a_new_epoch(
    runs: RunsChannel, sent: list[Message], after: Runs, expected: list[int]
):
    runs.show(newest_first(2, 4), more=False)
    runs.flush()
    runs.show(after, more=False)
    runs.flush()
    before, snapshot = sent
    assert snapshot["t"] == "snapshot"
    assert snapshot["epoch"] != before["epoch"]
    assert [(number, row["workflow_id"]) for number, row in snapshot["rows"]] == [
        (number, f"monty-{each}") for number, each in enumerate(expected)
    ]


def test_a_failure_is_told_and_leaves_what_was_shown(runs: RunsChannel, sent: list[Message]):
    runs.show(newest_first(1), more=False)
    runs.flush()
    runs.fail("cannot list\nthe workflows")
    assert changed(runs, sent) == []
    assert sent[0]["summary"] == {"listed": True, "problem": "cannot list\\nthe workflows", "more": False}
    runs.fail("cannot list\nthe workflows")
    assert changed(runs, sent) == []
    assert sent == []
    runs.show(newest_first(1), more=False)
    runs.flush()
    assert sent[0]["summary"]["problem"] == ""


def test_the_static_form_is_the_table_of_the_newest(runs: RunsChannel):
    runs.show(newest_first(1, 2, 3), more=False)
    page, text = runs.static(2)
    for form in (page, text):
        assert "monty-3" in form
        assert "monty-2" in form
        assert "monty-1" not in form
        assert form.index("monty-3") < form.index("monty-2")
    assert page.startswith("<table>")

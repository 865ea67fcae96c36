"""The wire between a trace and its browsers: batches, snapshots, epochs."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from durable_demo import events as e
from durable_demo.background import BackgroundLoop
from durable_demo.errors import NotPossible, StillRunning
from durable_demo.widgets.feed import CHUNK_LINES, MAX_ALERTS, Feed, Message
from tests.conftest import eventually
from tests.widgets.page import StillLoop


class Browser:
    """The rules of feed.js in a few lines: what a browser that gets these messages shows."""

    def __init__(self) -> None:
        self.epoch, self.seq = "", -1
        self.lines: dict[int, list[Any]] = {}
        self.incoming: list[list[Any]] = []
        self.holes = 0

    def receive(self, message: Message) -> None:
        if message["t"] == "delta":
            if message["epoch"] != self.epoch or message["seq"] != self.seq + 1:
                self.holes += not (message["epoch"] == self.epoch and message["seq"] <= self.seq)
                return
            self.seq = message["seq"]
            self.lines.update((line[0], line) for line in message["lines"])
        elif message["t"] == "snapshot":
            if message["epoch"] == self.epoch and message["seq"] <= self.seq:
                return
            self.incoming = ([] if message["part"] == 0 else self.incoming) + message["lines"]
            if message["part"] == message["parts"] - 1:
                self.epoch, self.seq = message["epoch"], message["seq"]
                self.lines = {line[0]: line for line in self.incoming}

    def texts(self) -> list[str]:
        return [line[2] for _, line in sorted(self.lines.items())]


def quote(number: int, words: str = "Ni!") -> e.Event:
    return e.ProgressUpdate(
        timestamp="2025-01-19T10:30:00.000Z",
        workflow_id="w",
        run_id="r",
        offset=f"{number:08}",
        progress=100,
        status="delivered",
        current_quote=words,
        iteration_count=number,
        total_quotes_delivered=number,
    )


def ended(number: int) -> e.Event:
    return e.WorkflowCompleted(timestamp="2025-01-19T10:31:00.000Z", workflow_id="w", run_id="r", offset=f"{number:08}")


@pytest.fixture
def sent() -> list[Message]:
    return []


@pytest.fixture
def feed(sent: list[Message]) -> Feed:
    return Feed(sent.append, StillLoop())  # type: ignore[arg-type]


def test_changes_wait_for_their_batch_and_go_as_one_delta(feed: Feed, sent: list[Message]) -> None:
    for number in range(1, 51):
        feed.apply(feed.trace, quote(number))
    assert sent == []
    feed.flush()
    assert [(message["t"], message["seq"], len(message["lines"])) for message in sent] == [("delta", 1, 50)]
    assert sent[0]["summary"]["footer"].startswith("Iterations: 50 | Quotes Delivered: 50 | ")
    feed.flush()
    assert len(sent) == 1, "nothing has changed, so nothing is sent"


async def test_a_storm_of_events_gives_ten_deltas_a_second_at_most(
    background: BackgroundLoop, sent: list[Message]
) -> None:
    feed = Feed(sent.append, background)
    begun = asyncio.get_running_loop().time()
    for number in range(1, 1001):
        feed.apply(feed.trace, quote(number))
        if number % 100 == 0:
            await asyncio.sleep(0.03)
    await eventually(lambda: sum(len(message["lines"]) for message in sent) == 1000, "all lines were sent")
    took = asyncio.get_running_loop().time() - begun
    assert len(sent) <= took / 0.1 + 1


def test_a_snapshot_comes_in_parts_that_a_browser_can_take(feed: Feed, sent: list[Message]) -> None:
    feed.apply(feed.trace, *(quote(number) for number in range(1, 2_502)))
    feed.flush()
    sent.clear()
    feed.snapshot()
    assert [(message["part"], message["parts"], len(message["lines"])) for message in sent] == [
        (0, 3, CHUNK_LINES),
        (1, 3, CHUNK_LINES),
        (2, 3, 501),
    ]


def test_a_browser_that_missed_a_delta_has_all_after_a_snapshot(feed: Feed, sent: list[Message]) -> None:
    browser = Browser()
    feed.snapshot()
    for number in range(1, 6):
        feed.apply(feed.trace, quote(number, f"quote {number}"))
        feed.flush()
    del sent[2]
    for message in sent:
        browser.receive(message)
    assert browser.holes > 0
    sent.clear()
    feed.snapshot()
    for message in sent:
        browser.receive(message)
    assert len(browser.texts()) == 5


def test_what_waits_for_its_batch_is_not_lost_to_those_who_ignore_a_snapshot(feed: Feed, sent: list[Message]) -> None:
    current, late = Browser(), Browser()
    feed.snapshot()
    current.receive(sent.pop())
    feed.apply(feed.trace, quote(1), quote(2))
    feed.snapshot()  # the answer to a second browser's hello
    for message in sent:
        current.receive(message)
        late.receive(message)
    assert len(current.texts()) == len(late.texts()) == 2


def test_clear_begins_a_new_epoch_and_the_lines_go_on_counting(feed: Feed, sent: list[Message]) -> None:
    browser = Browser()
    feed.apply(feed.trace, quote(1), quote(2))
    feed.snapshot()
    before = sent[-1]["epoch"]
    del sent[:-1]
    feed.clear()
    feed.apply(feed.trace, quote(3, "after"))
    feed.flush()
    for message in sent:
        browser.receive(message)
    assert sent[-1]["epoch"] != before
    assert browser.texts() == ['Iteration 3: "after"']
    assert browser.holes == 0
    assert sent[-1]["summary"]["quotes"] == 3


def test_clear_after_the_end_leaves_nothing(feed: Feed, sent: list[Message]) -> None:
    feed.apply(feed.trace, quote(1), ended(2))
    feed.clear()
    assert sent[-1]["lines"] == []
    assert sent[-1]["summary"]["status"] == ""


def test_events_of_a_trace_that_is_not_shown_any_more_change_nothing(feed: Feed, sent: list[Message]) -> None:
    former = feed.trace
    feed.restart()
    feed.apply(former, quote(1))
    feed.flush()
    assert feed.trace.lines == []
    assert [message["t"] for message in sent] == ["snapshot"]


def test_control_characters_are_made_visible(feed: Feed, sent: list[Message]) -> None:
    feed.apply(feed.trace, quote(1, "a\x00b\x1b[31m\u202e<b>"))
    feed.flush()
    assert sent[0]["lines"][0][2] == 'Iteration 1: "a\\x00b\\x1b[31m\\u202e<b>"'


def test_every_message_is_strict_json(feed: Feed, sent: list[Message]) -> None:
    feed.apply(feed.trace, quote(1), ended(2))
    feed.alert(NotPossible("no", why="because", remedy="wait"))
    feed.snapshot()
    feed.answer("1", ok=True, message="done")
    for message in sent:
        assert json.loads(json.dumps(message, allow_nan=False)) == message


def test_an_alert_says_what_why_and_next_once_and_can_be_dismissed(feed: Feed, sent: list[Message]) -> None:
    feed.alert(NotPossible("no", why="because", remedy="wait"))
    feed.alert(NotPossible("no", why="because", remedy="wait"))
    feed.flush()
    (alert,) = sent[-1]["panel"]["alerts"]
    assert (alert["what"], alert["why"], alert["next"]) == ("no", "because", "wait")
    feed.dismiss(alert["id"])
    feed.dismiss(alert["id"])
    feed.flush()
    assert sent[-1]["panel"]["alerts"] == []


def test_alerts_do_not_pile_up(feed: Feed, sent: list[Message]) -> None:
    for number in range(20):
        feed.alert(ValueError(str(number)))
    feed.flush()
    assert [alert["what"] for alert in sent[-1]["panel"]["alerts"]] == [
        f"ValueError: {number}" for number in range(20 - MAX_ALERTS, 20)
    ]


async def test_until_returns_the_trace_that_holds(background: BackgroundLoop, sent: list[Message]) -> None:
    feed = Feed(sent.append, background)

    async def later() -> None:
        feed.apply(feed.trace, quote(1))

    background.spawn(later(), name="later")
    trace = await feed.until(lambda trace: trace.summary.quotes == 1, timedelta(seconds=5))
    assert trace is feed.trace


async def test_until_names_what_it_waited_for_and_shows_the_last_lines(feed: Feed) -> None:
    feed.apply(feed.trace, quote(1, "Spam"))

    def spam_is_over(trace: object) -> bool:
        return False

    with pytest.raises(StillRunning, match=r"(?s)`spam_is_over` within 0\.05 s.*Spam"):
        await feed.until(spam_is_over, timedelta(seconds=0.05))
    with pytest.raises(StillRunning, match=r"trace\.summary\.quotes == 99"):
        await feed.until(lambda trace: trace.summary.quotes == 99, timedelta(seconds=0.05))


async def test_until_raises_what_the_predicate_raises(feed: Feed) -> None:
    with pytest.raises(ZeroDivisionError):
        await feed.until(lambda trace: len(trace.lines) / 0, timedelta(seconds=5))

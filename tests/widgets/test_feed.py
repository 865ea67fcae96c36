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
from durable_demo.widgets.channels import MAX_ALERTS, SHOWN_TURNS, ChatChannel, PanelChannel, TraceChannel
from durable_demo.widgets.feed import Feed, Message
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
            self.lines.update((line[0], line) for line in message["rows"])
        elif message["t"] == "snapshot":
            if message["epoch"] == self.epoch and message["seq"] <= self.seq:
                return
            self.incoming = ([] if message["part"] == 0 else self.incoming) + message["rows"]
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


def received(number: int) -> e.Event:
    return e.MessageReceived(
        timestamp="2025-01-19T10:30:00.000Z",
        workflow_id="chat-1",
        run_id="r",
        offset=f"{number:08}",
        message_id=f"m{number}",
        text=f"message {number}",
    )


def ended(number: int) -> e.Event:
    return e.WorkflowCompleted(timestamp="2025-01-19T10:31:00.000Z", workflow_id="w", run_id="r", offset=f"{number:08}")


@pytest.fixture
def sent() -> list[Message]:
    return []


@pytest.fixture
def feed(sent: list[Message]) -> Feed:
    return Feed(sent.append, StillLoop())  # type: ignore[arg-type]


@pytest.fixture
def trace(feed: Feed) -> TraceChannel:
    return TraceChannel(feed)


@pytest.fixture
def panel(feed: Feed) -> PanelChannel:
    return PanelChannel(feed)


@pytest.fixture
def chat(feed: Feed) -> ChatChannel:
    return ChatChannel(feed)


def test_changes_wait_for_their_batch_and_go_as_one_delta(trace: TraceChannel, sent: list[Message]) -> None:
    for number in range(1, 51):
        trace.apply(trace.fold, quote(number))
    assert sent == []
    trace.flush()
    assert [(message["t"], message["seq"], len(message["rows"])) for message in sent] == [("delta", 1, 50)]
    assert sent[0]["summary"]["footer"].startswith("Iterations: 50 | Quotes Delivered: 50 | ")
    trace.flush()
    assert len(sent) == 1, "nothing has changed, so nothing is sent"


async def test_a_storm_of_events_gives_ten_deltas_a_second_at_most(
    background: BackgroundLoop, sent: list[Message]
) -> None:
    trace = TraceChannel(Feed(sent.append, background))
    begun = asyncio.get_running_loop().time()
    for number in range(1, 1001):
        trace.apply(trace.fold, quote(number))
        if number % 100 == 0:
            await asyncio.sleep(0.03)
    await eventually(lambda: sum(len(message["rows"]) for message in sent) == 1000, "all lines were sent")
    took = asyncio.get_running_loop().time() - begun
    assert len(sent) <= took / 0.1 + 1


def test_a_snapshot_comes_in_parts_that_a_browser_can_take(trace: TraceChannel, sent: list[Message]) -> None:
    trace.apply(trace.fold, *(quote(number) for number in range(1, 2_502)))
    trace.flush()
    sent.clear()
    trace.snapshot()
    assert [(message["part"], message["parts"], len(message["rows"])) for message in sent] == [
        (0, 3, TraceChannel.part_rows),
        (1, 3, TraceChannel.part_rows),
        (2, 3, 501),
    ]


def test_a_browser_that_missed_a_delta_has_all_after_a_snapshot(trace: TraceChannel, sent: list[Message]) -> None:
    browser = Browser()
    trace.snapshot()
    for number in range(1, 6):
        trace.apply(trace.fold, quote(number, f"quote {number}"))
        trace.flush()
    del sent[2]
    for message in sent:
        browser.receive(message)
    assert browser.holes > 0
    sent.clear()
    trace.snapshot()
    for message in sent:
        browser.receive(message)
    assert len(browser.texts()) == 5


def test_what_waits_for_its_batch_is_not_lost_to_those_who_ignore_a_snapshot(
    trace: TraceChannel, sent: list[Message]
) -> None:
    current, late = Browser(), Browser()
    trace.snapshot()
    current.receive(sent.pop())
    trace.apply(trace.fold, quote(1), quote(2))
    trace.snapshot()  # the answer to a second browser's hello
    for message in sent:
        current.receive(message)
        late.receive(message)
    assert len(current.texts()) == len(late.texts()) == 2


def test_each_channel_has_its_own_numbers_and_a_change_in_one_sends_nothing_of_the_others(
    feed: Feed, trace: TraceChannel, panel: PanelChannel, chat: ChatChannel, sent: list[Message]
) -> None:
    feed.snapshot()
    assert [(message["t"], message["channel"]) for message in sent] == [
        ("snapshot", "trace"),
        ("snapshot", "panel"),
        ("snapshot", "chat"),
    ]
    sent.clear()
    trace.apply(trace.fold, quote(1))
    chat.apply(chat.fold, received(1))
    feed.flush()
    panel.show(starting=True)
    feed.flush()
    assert [(message["channel"], message["seq"]) for message in sent] == [("trace", 1), ("chat", 1), ("panel", 1)]
    sent.clear()
    chat.restart()
    feed.flush()
    assert [(message["t"], message["channel"]) for message in sent] == [("snapshot", "chat")]


def test_a_turn_is_a_row_that_is_replaced_until_it_is_over(chat: ChatChannel, sent: list[Message]) -> None:
    common = received(1).common()
    chat.apply(chat.fold, received(1), received(2))
    chat.flush()
    tick = {**common, "offset": "00000002", "tick": True}
    chat.apply(chat.fold, e.TextUpdate(**tick, message_id="m1", step=1, text="so *far*"))
    chat.flush()
    chat.apply(chat.fold, e.MessageAnswered(**{**common, "offset": "00000003"}, message_id="m1", text="all"))
    chat.flush()
    rows = [message["rows"] for message in sent]
    assert [[number for number, _ in part] for part in rows] == [[0, 1], [0], [0]]
    writing, over = rows[1][0][1], rows[2][0][1]
    assert (writing["status"], writing["answer"]) == ("answering", ""), "what was written is copied when it is over"
    assert writing["nodes"] == [["p", {}, "so ", ["em", {}, "far"]]]
    assert (over["status"], over["answer"], over["ended"]) == ("answered", "all", common["timestamp"])


def test_a_long_conversation_comes_in_small_parts_and_only_its_end(chat: ChatChannel, sent: list[Message]) -> None:
    chat.apply(chat.fold, *(received(number) for number in range(1, SHOWN_TURNS + 26)))
    chat.flush()
    assert sum(len(message["rows"]) for message in sent) == SHOWN_TURNS
    assert {message["first"] for message in sent} == {25}
    assert max(len(message["rows"]) for message in sent) == ChatChannel.part_rows
    assert sent[0]["rows"][0][0] == 25


def test_whatever_a_tool_or_a_model_says_a_row_is_bounded_and_printable(chat: ChatChannel, sent: list[Message]) -> None:
    common = received(1).common()
    call = {"message_id": "m1", "call_id": "tool:m1:1:1", "tool": "get\x00weather"}
    hostile = "\x1b[31m\u202e<script>" * 10_000
    events = [
        received(1),
        e.ModelAnswered(**common | {"offset": "00000002"}, message_id="m1", step=1, text=hostile, tools=("x",)),
        e.ToolCalled(**common | {"offset": "00000003"}, **call, arguments={"city": hostile}),
        e.ToolAnswered(**common | {"offset": "00000004"}, **call, result=[hostile], error=hostile),
        e.MessageAnswered(**common | {"offset": "00000005"}, message_id="m1", text=hostile),
    ]
    chat.apply(chat.fold, *events)
    chat.flush()
    text = json.dumps(sent[0]["rows"])
    assert len(text) < 250_000
    ((_, turn),) = sent[0]["rows"]
    shown = json.dumps({name: value for name, value in turn.items() if name != "answer"}, ensure_ascii=False)
    assert "\u202e" not in shown
    assert turn["steps"][0]["label"].startswith("get\\x00weather(\\x1b[31m")
    assert len(turn["steps"][0]["label"]) < 100


def test_clear_begins_a_new_epoch_and_the_lines_go_on_counting(trace: TraceChannel, sent: list[Message]) -> None:
    browser = Browser()
    trace.apply(trace.fold, quote(1), quote(2))
    trace.snapshot()
    before = sent[-1]["epoch"]
    del sent[:-1]
    trace.clear()
    trace.apply(trace.fold, quote(3, "after"))
    trace.flush()
    for message in sent:
        browser.receive(message)
    assert sent[-1]["epoch"] != before
    assert browser.texts() == ['Iteration 3: "after"']
    assert browser.holes == 0
    assert sent[-1]["summary"]["quotes"] == 3


def test_clear_after_the_end_leaves_nothing(trace: TraceChannel, sent: list[Message]) -> None:
    trace.apply(trace.fold, quote(1), ended(2))
    trace.clear()
    assert sent[-1]["rows"] == []
    assert sent[-1]["summary"]["status"] == ""


def test_events_of_a_trace_that_is_not_shown_any_more_change_nothing(trace: TraceChannel, sent: list[Message]) -> None:
    former = trace.fold
    trace.restart()
    trace.apply(former, quote(1))
    trace.flush()
    assert trace.fold.lines == []
    assert [message["t"] for message in sent] == ["snapshot"]


def test_control_characters_are_made_visible(trace: TraceChannel, sent: list[Message]) -> None:
    trace.apply(trace.fold, quote(1, "a\x00b\x1b[31m\u202e<b>"))
    trace.flush()
    assert sent[0]["rows"][0][2] == 'Iteration 1: "a\\x00b\\x1b[31m\\u202e<b>"'


def test_every_message_is_strict_json(
    feed: Feed, trace: TraceChannel, panel: PanelChannel, sent: list[Message]
) -> None:
    trace.apply(trace.fold, quote(1), ended(2))
    panel.alert(NotPossible("no", why="because", remedy="wait"))
    feed.snapshot()
    feed.answer("1", ok=True, message="done")
    for message in sent:
        assert json.loads(json.dumps(message, allow_nan=False)) == message


def test_an_alert_says_what_why_and_next_once_and_can_be_dismissed(panel: PanelChannel, sent: list[Message]) -> None:
    panel.alert(NotPossible("no", why="because", remedy="wait"))
    panel.alert(NotPossible("no", why="because", remedy="wait"))
    panel.flush()
    (alert,) = sent[-1]["summary"]["alerts"]
    assert (alert["what"], alert["why"], alert["next"]) == ("no", "because", "wait")
    panel.dismiss(alert["id"])
    panel.dismiss(alert["id"])
    panel.flush()
    assert sent[-1]["summary"]["alerts"] == []


def test_alerts_do_not_pile_up(panel: PanelChannel, sent: list[Message]) -> None:
    for number in range(20):
        panel.alert(ValueError(str(number)))
    panel.flush()
    assert [alert["what"] for alert in sent[-1]["summary"]["alerts"]] == [
        f"ValueError: {number}" for number in range(20 - MAX_ALERTS, 20)
    ]


async def test_until_returns_the_trace_that_holds(background: BackgroundLoop, sent: list[Message]) -> None:
    trace = TraceChannel(Feed(sent.append, background))

    async def later() -> None:
        trace.apply(trace.fold, quote(1))

    background.spawn(later(), name="later")
    found = await trace.until(lambda trace: trace.summary.quotes == 1, timedelta(seconds=5))
    assert found is trace.fold


async def test_until_names_what_it_waited_for_and_shows_the_last_lines(trace: TraceChannel) -> None:
    trace.apply(trace.fold, quote(1, "Spam"))

    def spam_is_over(trace: object) -> bool:
        return False

    with pytest.raises(StillRunning, match=r"(?s)`spam_is_over` within 0\.05 s.*Spam"):
        await trace.until(spam_is_over, timedelta(seconds=0.05))
    with pytest.raises(StillRunning, match=r"trace\.summary\.quotes == 99"):
        await trace.until(lambda trace: trace.summary.quotes == 99, timedelta(seconds=0.05))


async def test_until_raises_what_the_predicate_raises(trace: TraceChannel) -> None:
    with pytest.raises(ZeroDivisionError):
        await trace.until(lambda trace: len(trace.lines) / 0, timedelta(seconds=5))

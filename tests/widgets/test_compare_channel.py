"""What browsers are told of a comparison: the newest that was asked for, and the old one until then."""

from __future__ import annotations

import json
from typing import Any

import pytest

from durable_demo.comparison import Comparison
from durable_demo.figures import KEPT_TIMES
from durable_demo.widgets.compare_channel import CompareChannel
from durable_demo.widgets.feed import Feed, Message
from tests.test_comparison import monty
from tests.widgets.page import StillLoop

A, B = monty("a", 1, 2, 3), monty("b", 2, 4, 6, ended=False)


@pytest.fixture
def sent() -> list[Message]:
    return []


@pytest.fixture
def channel(sent: list[Message]) -> CompareChannel:
    return CompareChannel(Feed(sent.append, StillLoop()))  # type: ignore[arg-type]


def told(channel: CompareChannel, sent: list[Message]) -> dict[str, Any]:
    """The summary that browsers have."""
    channel.flush()
    return sent[-1]["summary"]


def test_a_comparison_comes_as_numbers_and_as_the_words_that_are_shown(
    channel: CompareChannel, sent: list[Message]
) -> None:
    channel.begin(["a", "b", "a"])
    summary = told(channel, sent)
    assert (summary["busy"], summary["workflow_ids"], summary["runs"]) == (True, ["a", "b"], [])
    assert not channel.compared
    channel.show(Comparison((A, B)))
    summary = told(channel, sent)
    assert channel.compared
    assert (summary["busy"], summary["workflow_ids"], summary["unit"]) == (False, ["a", "b"], "iteration")
    assert summary["finding"] == "b took 2.0 times as long per iteration as a (median 4.00 s and 2.00 s)."
    first, second = summary["runs"]
    assert {name: first[name] for name in ("workflow_id", "status", "runtime", "retries", "count", "times")} == {
        "workflow_id": "a", "status": "COMPLETED", "runtime": 6.0, "retries": 0, "count": 3, "times": [1.0, 2.0, 3.0],
    }  # fmt: skip
    assert [first[name] for name in ("min", "q1", "median", "q3", "p90", "max", "mean")] == pytest.approx(
        [1, 1.5, 2, 2.5, 2.8, 3, 2]
    )
    assert first["cells"] == ["6.0 s", "3", "1.00 s", "2.00 s", "2.80 s", "3.00 s", "0"]
    assert (first["mark"], second["mark"], first["ended"], second["ended"]) == ("shortest", "longest", True, False)
    assert summary["axis"]["ticks"][0] == (0, "0 s")
    json.dumps(sent)


def test_a_workflow_without_times_has_no_numbers(channel: CompareChannel, sent: list[Message]) -> None:
    channel.show(Comparison((monty("a"),)))
    summary = told(channel, sent)
    assert (summary["axis"], summary["runs"][0]["median"], summary["runs"][0]["times"]) == (None, None, [])


def test_when_it_cannot_be_read_the_old_one_stays(channel: CompareChannel, sent: list[Message]) -> None:
    channel.show(Comparison((A, B)))
    channel.begin(["a", "c"])
    channel.fail("no such workflow\x1b")
    summary = told(channel, sent)
    assert (summary["busy"], summary["workflow_ids"], summary["problem"]) == (
        False,
        ["a", "b"],
        "no such workflow\\x1b",
    )
    channel.begin(["a", "b"])
    channel.show(Comparison((A, B)))
    assert told(channel, sent)["problem"] == ""


def test_an_answer_to_a_question_that_is_no_longer_asked_is_dropped(
    channel: CompareChannel, sent: list[Message]
) -> None:
    channel.begin(["a", "b"])
    channel.begin(["a"])
    channel.show(Comparison((A, B)))
    assert told(channel, sent)["busy"]
    channel.show(Comparison((A,)))
    assert told(channel, sent)["workflow_ids"] == ["a"]
    channel.begin(["a", "b"])
    channel.clear()
    channel.show(Comparison((A, B)))
    channel.fail("too late")
    summary = told(channel, sent)
    assert (summary["runs"], summary["busy"], summary["problem"], summary["workflow_ids"]) == ([], False, "", [])
    assert not channel.compared


def test_eight_workflows_with_all_their_times_fit_into_one_message(
    channel: CompareChannel, sent: list[Message]
) -> None:
    many = [monty(f"w{number}", *(1 + number + step / 7 for step in range(KEPT_TIMES))) for number in range(8)]
    channel.show(Comparison(tuple(many)))
    told(channel, sent)
    assert len(json.dumps(sent[-1])) < 120_000, "Jupyter drops messages above 1 MB a second"


def test_without_a_widget_it_reads_as_html_and_as_text(channel: CompareChannel) -> None:
    assert [part.count("Nothing to compare yet") for part in channel.static()] == [1, 1]
    channel.show(Comparison((A, B)))
    assert channel.static() == (Comparison((A, B)).to_html(), Comparison((A, B)).to_text())

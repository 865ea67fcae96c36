"""Workflows beside one another: what is concluded and what is not, and how it reads without a widget."""

from __future__ import annotations

import random

import pytest

from durable_demo import events as e
from durable_demo.comparison import PLOT_COLUMNS, Comparison
from durable_demo.figures import KEPT_TIMES, Measured
from tests.test_figures import Told


def monty(workflow_id: str, *times: float, ended: bool = True) -> Measured:
    """A workflow whose iterations took these seconds."""
    told, now = Told(workflow_id).started(), 0.0
    for number, time in enumerate(times, 1):
        told.iteration(number, now, now + time)
        now += time
    if ended:
        told.at(now, e.WorkflowCompleted)
    return told.measured()


def chat(workflow_id: str, *times: float) -> Measured:
    """A conversation whose answers took these seconds."""
    told, now = Told(workflow_id).started("ChatWorkflow"), 0.0
    for number, time in enumerate(times, 1):
        told.at(now, e.MessageReceived, message_id=f"m{number}", text="?")
        now += time
        told.at(now, e.MessageAnswered, message_id=f"m{number}", text="!")
    return told.measured()


def finding(*runs: Measured) -> str:
    return Comparison(runs).finding


def test_of_two_the_slower_one_is_told_with_both_medians() -> None:
    slow, fast = monty("slow", 4, 4.14, 5), monty("fast", 2, 2.3, 3)
    words = "slow took 1.8 times as long per iteration as fast (median 4.14 s and 2.30 s)."
    assert finding(slow, fast) == finding(fast, slow) == words
    assert Comparison((slow, fast)).extremes == {"slow": "longest", "fast": "shortest"}


def test_of_several_the_extremes_are_told() -> None:
    runs = (monty("b", 2, 2, 2), monty("c", 40, 40, 40), monty("a", 1, 1, 1))
    assert finding(*runs) == (
        "c took 40 times as long per iteration as a (median 40.0 s and 1.00 s, the longest and the shortest of 3)."
    )


def test_medians_that_hardly_differ_are_told_as_about_the_same() -> None:
    runs = (monty("a", 2, 2, 2), monty("b", 2.08, 2.08, 2.08))
    assert finding(*runs) == "b and a took about as long per iteration (median 2.08 s and 2.00 s)."
    assert Comparison(runs).extremes == {}
    assert finding(*runs, monty("c", 2, 2, 2)).startswith("All 3 workflows took about as long per iteration")


def test_of_fewer_than_three_times_nothing_is_concluded() -> None:
    enough, few = monty("enough", 1, 1, 1), monty("few", 9, 9)
    assert finding(enough, few) == "Too few iterations to compare: two workflows need at least 3 each."
    assert Comparison((enough, few)).extremes == {}
    assert finding(enough, few, monty("slow", 3, 3, 3)).endswith("Not ranked, with fewer than 3 iterations: few.")
    assert finding(monty("a"), monty("b")).startswith("Too few times to compare")


def test_times_of_different_things_are_not_compared() -> None:
    runs = (monty("monty-1", 1, 1, 1), chat("chat-1", 2, 2, 2))
    assert finding(*runs) == (
        "These are times of different things, so they do not compare: iterations of monty-1, messages of chat-1."
    )
    comparison = Comparison(runs)
    assert (comparison.unit, comparison.extremes, comparison.columns[1]) == (None, {}, "Times")


def test_one_alone_and_none_at_all_say_what_to_do() -> None:
    assert finding(monty("a", 1, 1, 1)) == "One workflow alone: choose another one to compare it with."
    assert str(Comparison()) == "Nothing to compare yet\nChoose two or more workflows in the tab Runs"
    assert "<strong>Nothing to compare yet</strong>" in Comparison()._repr_html_()


def test_no_time_at_all_is_no_division_by_zero() -> None:
    assert finding(monty("a", 0, 0, 0), monty("b", 1, 1, 1)) == (
        "b took longer per iteration than a (median 1.00 s and 0 ms)."
    )
    assert "a took about as long" in finding(monty("a", 0, 0, 0), monty("b", 0, 0, 0))
    assert "|" not in str(Comparison((monty("a", 0, 0, 0),))).splitlines()[6]


@pytest.mark.parametrize(
    ("times", "ticks"),
    [
        ((0.3, 8.1), ["0 s", "2 s", "4 s", "6 s", "8 s", "10 s"]),
        ((60, 61, 62.2), ["60 s", "60.5 s", "61 s", "61.5 s", "62 s", "62.5 s"]),
        ((5, 5.01), ["0 s", "2 s", "4 s", "6 s"]),
        ((30, 3_000), ["0 s", "10 min", "20 min", "30 min", "40 min", "50 min"]),
        ((0.004, 0.011), ["0 s", "0.005 s", "0.01 s", "0.015 s"]),
        ((9e7, 1), ["0 s", "208 d 8 h", "416 d 16 h", "625 d", "833 d 8 h", "1041 d 16 h"]),
    ],
    ids=["from-zero", "close-together", "hardly-apart", "minutes", "milliseconds", "years"],
)
def test_the_axis_holds_all_times_and_has_round_ticks(times: tuple[float, ...], ticks: list[str]) -> None:
    axis = Comparison((monty("a", *times),)).axis
    assert axis is not None
    assert axis.start <= min(times) <= max(times) <= axis.end
    assert [label for _, label in axis.ticks] == ticks


def test_as_text_it_is_a_table_and_a_plot_of_a_hundred_columns() -> None:
    draw = random.Random(3)
    runs = (
        monty("monty-python-1a2b3c4d", *(draw.uniform(2, 5) for _ in range(20))),
        monty("monty-python-5e6f7a8b", *(draw.uniform(2, 9) for _ in range(33)), ended=False),
        monty("monty-python-00000000"),
        monty("an-id-as-long-as-may-be-0123456789-0123456789-0123456789-abcdefg", 4, 5, 6),
    )
    text = str(Comparison(runs))
    lines = text.splitlines()
    table, plot = lines[2:7], lines[8:]
    assert table[0].split() == [
        "Workflow", "Status", "Runtime", "Iterations", "Min", "Median", "p90", "Max", "Retries",
    ]  # fmt: skip
    assert table[1].endswith("0  shortest median")
    assert "so far" in table[2]
    assert table[3].split()[-6:] == ["0", "-", "-", "-", "-", "0"]
    assert max(map(len, plot)) <= PLOT_COLUMNS
    assert plot[0].startswith("Seconds per iteration: ")
    for line in plot[1:3]:
        signs = line.split(maxsplit=2)[2]
        assert (signs[0], signs[-1], signs.count("M"), signs.count("9")) == ("|", "|", 1, 1)
    assert plot[3].endswith("nothing timed yet")
    assert plot[-1].split() == ["0", "s", "2", "s", "4", "s", "6", "s", "8", "s", "10", "s"]


def test_what_the_numbers_leave_out_stands_beneath_them() -> None:
    told = Told("cut").at(0, e.Gap, tick=True, reason="gone").iteration(1, 0, 1)
    comparison = Comparison((monty("many", *[1.0] * (KEPT_TIMES + 1)), told.measured()))
    assert comparison.notes == [
        "many: median, p90 and plot are of the newest 1,000 of 1,001 times.",
        "cut: the server no longer has all of its history; the numbers are of the rest.",
    ]
    assert str(comparison).endswith(comparison.notes[-1])


def test_as_html_it_is_harmless_and_has_neither_styles_nor_svg() -> None:
    page = Comparison((monty("<script>x</script>", 1, 2, 3), monty("b", 4, 5, 6)))._repr_html_()
    assert "<code>&lt;script&gt;x&lt;/script&gt;</code>" in page
    assert "<td>5.00 s (longest)</td>" in page
    assert "<pre><code>Seconds per iteration" in page
    for part in ("<script", "<svg", "style", "class"):
        assert part not in page

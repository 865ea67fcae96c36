"""The timeline in Chromium: rows of the wire on one side, a person with mouse or keyboard on the other."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from playwright.async_api import Locator, expect
from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter

from durable_demo.history import RunReader
from durable_demo.timeline import Timeline
from durable_demo.widgets.feed import Channel, Feed, Message, Row
from durable_demo.widgets.timeline_channel import TimelineChannel
from durable_demo.widgets.timeline_view import SCRIPTS, STYLES, TimelineView
from tests.axe import violations
from tests.widgets.fakes import FakeRun, FakeSession
from tests.widgets.page import WidgetPage

pytestmark = pytest.mark.browser

HISTORIES = Path(__file__).parents[1] / "histories"
START = 1_763_838_000_000
"""2025-11-22 19:00:00 UTC."""
SECOND = 1_000
DAY = 86_400 * SECOND


class BarChannel(Channel):
    """Sends the bars that a test makes."""

    name = "timeline"

    def __init__(self, feed: Feed) -> None:
        super().__init__(feed)
        self.bars: list[Message] = []
        self.summary: Message = {}
        self._changed: dict[int, Row] = {}

    def put(self, *bars: Message, **summary: Any) -> None:
        """Adds bars, or replaces those with the same id."""
        self.summary = self.summary | summary
        for bar in bars:
            ids = [known["id"] for known in self.bars]
            number = ids.index(bar["id"]) if bar["id"] in ids else len(ids)
            self.bars[number : number + 1] = [bar]
            self._changed[number] = [number, bar]
        self._touch()

    def _around(self) -> Message:
        return {"first": 0, "summary": self.summary, "following": True}

    def _changed_rows(self) -> list[Row]:
        rows, self._changed = list(self._changed.values()), {}
        return rows

    def _all_rows(self) -> list[Row]:
        return [[number, bar] for number, bar in enumerate(self.bars)]


def bar(
    kind: str, label: str, start: float, end: float | None, state: str = "completed", *, lane: str = "", **more: Any
) -> Message:
    """A bar or a mark; times in seconds since the start."""
    parts = [[phase, at(begin), at(stop), *rest] for phase, begin, stop, *rest in more.pop("parts", ())]
    texts = {"input": "", "result": "", "error": "", "attempt": 1, "id": f"{kind} {label} {start}"}
    times = {"start": at(start), "end": at(end), "parts": parts}
    return {**texts, **more, **times, "kind": kind, "lane": lane or label, "label": label, "state": state}


def at(seconds: float | None) -> int | None:
    return None if seconds is None else START + round(seconds * SECOND)


RETRIED = bar(
    "activity", "sleep_then_quote", 5, 17, attempt=2,
    input='{\n  "iteration": 2\n}', result='"It\'s just a flesh wound."',
    parts=[
        ("queued", 5, 5.5, 1, ""), ("running", 5.5, 9, 1, "ConnectionError: gone"),
        ("backoff", 9, 11, 2, ""), ("running", 11, 17, 2, ""),
    ],
)  # fmt: skip
MONTY = [
    bar("workflow", "MontyPythonWorkflow", 0, None, "running", lane="Workflow"),
    bar("activity", "sleep_then_quote", 0.2, 5, parts=[("running", 0.2, 5, 1, "")]),
    RETRIED,
    bar("signal", "pause", 12, 12, "received", lane="Signals"),
    bar("seam", "Continue-as-new", 20, 20, "continued", lane="Workflow"),
    bar("gap", "No Worker", 24, 30, "over", lane="No Worker"),
    bar("activity", "publish", 31, 33, "failed", error="ServiceUnavailable: 503"),
    bar(
        "activity", "sleep_then_quote", 34, None, "running",
        parts=[("queued", 34, 34.2, 1, ""), ("running", 34.2, None, 1, "")],
    ),
]  # fmt: skip


def summary(*, now: float, end: float | None = None, status: str = "") -> Message:
    about = {"workflow_id": "monty-python-1a2b3c4d", "workflow_type": "MontyPythonWorkflow", "connected": True}
    times = {"start": START, "end": at(end), "now": at(now)}
    return {**about, **times, "status": status or ("RUNNING" if end is None else "COMPLETED")}


RUNNING = summary(now=40)


async def opened(page: WidgetPage, *bars: Message, about: Message = RUNNING, **options: Any) -> BarChannel:
    """The view with these bars."""
    channel = BarChannel(page.feed)
    await page.open_view(
        "createTimelineView", scripts=SCRIPTS, styles=STYLES, channels=["trace", "timeline", "panel"], **options
    )
    channel.put(*bars, **about)
    page.published.clear()
    await page.answer_hello()
    return channel


async def delivered(page: WidgetPage) -> None:
    page.feed.flush()
    await page.deliver()


def chart(page: WidgetPage) -> Locator:
    return page.page.get_by_role("listbox", name="Timeline")


def option(page: WidgetPage, name: str) -> Locator:
    """The bar whose sentence begins so."""
    return page.page.get_by_role("option", name=re.compile(f"^{re.escape(name)}"))


def details(page: WidgetPage) -> Locator:
    return page.page.get_by_role("region", name="Details")


def button(page: WidgetPage, name: str) -> Locator:
    return page.page.get_by_role("button", name=name, exact=True)


async def span(locator: Locator) -> tuple[float, float]:
    """Left and right of what is drawn, on the page."""
    box = await locator.bounding_box()
    assert box is not None
    return box["x"], box["x"] + box["width"]


async def point(page: WidgetPage, name: str, *, click: bool = False) -> None:
    """Moves the mouse onto the bar or mark whose sentence begins so."""
    box = await option(page, name).locator(".dd-tl-solid, .dd-tl-mark").first.bounding_box()
    assert box is not None
    await page.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    if click:
        await page.page.mouse.down()
        await page.page.mouse.up()


async def drawn(page: WidgetPage) -> None:
    await page.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


async def lanes(page: WidgetPage) -> list[str]:
    return await page.page.locator(".dd-tl-lane").all_text_contents()


# --- what is drawn ---------------------------------------------------------------------------------------------------


async def test_before_the_kernel_answers_it_waits_and_then_says_what_to_do(widget_page: WidgetPage) -> None:
    channel = BarChannel(widget_page.feed)
    await widget_page.open_view(
        "createTimelineView", scripts=SCRIPTS, styles=STYLES, channels=["trace", "timeline", "panel"]
    )
    page = widget_page.page
    await expect(page.get_by_text("Waiting for the kernel: it may be busy with a cell.")).to_be_visible()
    channel.summary = summary(now=0, status="") | {"workflow_id": "", "status": "", "start": None}
    await widget_page.answer_hello()
    await expect(page.get_by_text("No timeline yet")).to_be_visible()
    await expect(page.get_by_text("Start a workflow, or choose one in the tab Runs")).to_be_visible()
    await button(widget_page, "Choose a run").click()
    assert (await widget_page.sent())[-1] == {"t": "go", "tab": "runs"}
    await expect(chart(widget_page)).to_be_hidden()


async def test_lanes_stand_in_the_order_in_which_they_appeared(widget_page: WidgetPage) -> None:
    await opened(widget_page, *MONTY)
    assert await lanes(widget_page) == ["Workflow", "sleep_then_quote", "Signals", "publish"]


async def test_each_bar_is_a_sentence_for_a_screen_reader(widget_page: WidgetPage) -> None:
    await opened(widget_page, *MONTY)
    names = [await each.get_attribute("aria-label") for each in await widget_page.page.get_by_role("option").all()]
    assert sorted(names) == [
        "Continue-as-new, Next run, continued, at 19:00:20.000",
        "MontyPythonWorkflow, Workflow, running, from 19:00:00.000",
        "No Worker, ended, from 19:00:24.000, 6.0 s",
        "pause, Signal, received, at 19:00:12.000",
        "publish, Activity, failed, from 19:00:31.000, 2.0 s",
        "sleep_then_quote, Activity, completed, attempt 2, from 19:00:05.000, 12.0 s",
        "sleep_then_quote, Activity, completed, from 19:00:00.200, 4.8 s",
        "sleep_then_quote, Activity, running, from 19:00:34.000",
    ]


async def test_the_parts_of_a_bar_have_looks_of_their_own(widget_page: WidgetPage) -> None:
    await opened(widget_page, RETRIED, about=summary(now=20, end=18), width=1_400)
    retried = option(widget_page, "sleep_then_quote")
    looks = await retried.locator("rect").evaluate_all("(all) => all.map((each) => each.getAttribute('class'))")
    assert looks == [
        "dd-tl-queued", "dd-tl-solid dd-tl-failed", "dd-tl-hatched", "dd-tl-backoff", "dd-tl-solid dd-tl-done",
    ]  # fmt: skip
    assert await retried.locator("text").all_text_contents() == [
        "2", "3.5 s", "6.0 s", "It's just a flesh wound.",
    ], "each attempt tells its own duration"  # fmt: skip
    assert await retried.locator(".dd-tl-symbol").count() == 2, "one at the end of each attempt"


async def test_an_attempt_that_timed_out_looks_so_and_the_legend_tells_what_there_is(widget_page: WidgetPage) -> None:
    parts = [("running", 1, 6, 1, "activity StartToClose timeout"), ("backoff", 6, 7, 2, ""), ("running", 7, 9, 2, "")]
    await opened(widget_page, bar("activity", "slow", 1, 9, attempt=2, parts=parts), about=summary(now=10, end=10))
    solid = option(widget_page, "slow").locator(".dd-tl-solid")
    looks = await solid.evaluate_all("(all) => all.map((each) => each.getAttribute('class'))")
    assert looks == ["dd-tl-solid dd-tl-late", "dd-tl-solid dd-tl-done"]
    legend = widget_page.page.get_by_role("list", name="Legend")
    assert await legend.locator("span").all_text_contents() == ["attempt 2", "back-off", "completed", "timed out"], (
        "what there is"
    )


async def test_the_chart_is_as_high_as_its_lanes_and_does_not_get_lower(widget_page: WidgetPage) -> None:
    async def height() -> float:
        await drawn(widget_page)
        box = await chart(widget_page).bounding_box()
        assert box is not None
        return box["height"]

    channel = await opened(widget_page, *MONTY, height=1_400)
    low = await height()
    more = [bar("activity", f"tool {n}", 35, None, "running", lane=f"tool {n}") for n in range(4)]
    channel.put(*more)
    await delivered(widget_page)
    high = await height()
    assert high > low
    channel.bars = MONTY[:2]
    channel._begin_epoch()
    await widget_page.deliver()
    assert await height() == high
    channel.summary |= {"workflow_id": "other"}
    channel._begin_epoch()
    await widget_page.deliver()
    assert await height() == low


async def test_where_it_is_narrow_a_lane_has_its_whole_name_above_it(widget_page: WidgetPage) -> None:
    await opened(widget_page, *MONTY, width=400)
    assert await lanes(widget_page) == ["Workflow", "sleep_then_quote", "Signals", "publish"]
    name = await widget_page.page.locator(".dd-tl-lane", has_text="sleep_then_quote").bounding_box()
    work = await option(widget_page, "sleep_then_quote").first.locator("rect").first.bounding_box()
    assert name is not None
    assert work is not None
    assert name["y"] + name["height"] <= work["y"]


async def test_a_failure_of_a_few_pixels_still_shows_its_symbol(widget_page: WidgetPage) -> None:
    await opened(widget_page, bar("activity", "short", 1, 1.01, "failed"), about=summary(now=60, end=60))
    assert await option(widget_page, "short").locator(".dd-tl-symbol").count() == 1


async def test_bars_that_overlap_stand_below_each_other(widget_page: WidgetPage) -> None:
    tools = [bar("activity", name, 1, 1 + long, lane="tools") for name, long in (("a", 3), ("b", 2), ("c", 1))]
    await opened(widget_page, *tools, bar("activity", "d", 3.5, 4, lane="tools"), about=summary(now=6, end=5))
    tops = {}
    for name in "abcd":
        box = await option(widget_page, name).locator("rect").first.bounding_box()
        assert box is not None
        tops[name] = round(box["y"])
    assert tops["a"] < tops["b"] < tops["c"]
    assert tops["d"] == tops["b"], "the first row that is free"


async def test_gaps_and_seams_go_through_all_lanes(widget_page: WidgetPage) -> None:
    await opened(widget_page, *MONTY)
    area = await widget_page.page.locator(".dd-tl-lanes").bounding_box()
    assert area is not None
    for name in ("No Worker", "Continue-as-new"):
        box = await option(widget_page, name).bounding_box()
        assert box is not None
        assert box["height"] >= area["height"] - 1
    assert {"No Worker 6.0 s", "Continue-as-new", "now"} <= set(
        await widget_page.page.locator(".dd-tl-strip").all_text_contents()
    )


async def test_an_update_of_the_rows_keeps_the_nodes(widget_page: WidgetPage) -> None:
    channel = await opened(widget_page, *MONTY)
    await option(widget_page, "publish").evaluate("(node) => { node.kept = true; }")
    channel.put(bar("activity", "another", 36, 37))
    await delivered(widget_page)
    await expect(option(widget_page, "another")).to_have_count(1)
    assert await option(widget_page, "publish").evaluate("(node) => node.kept")


async def test_another_workflow_begins_anew_and_the_same_one_goes_on(widget_page: WidgetPage) -> None:
    channel = await opened(widget_page, *MONTY, about=summary(now=60, end=50))
    await point(widget_page, "publish", click=True)
    await button(widget_page, "Zoom in").click()
    await drawn(widget_page)
    before = await span(option(widget_page, "publish"))
    channel._begin_epoch()
    await widget_page.deliver()
    assert await span(option(widget_page, "publish")) == before
    await expect(details(widget_page)).to_contain_text("ServiceUnavailable: 503")

    channel.bars = [bar("activity", "other", 0, 1)]
    channel.summary = summary(now=2, end=1) | {"workflow_id": "other"}
    channel._begin_epoch()
    await widget_page.deliver()
    assert await lanes(widget_page) == ["other"]
    assert await span(option(widget_page, "other")) != before
    await expect(button(widget_page, "Go to end")).not_to_have_attribute("aria-pressed", re.compile("."))
    await expect(details(widget_page)).to_contain_text("Point at a bar")


async def test_a_recorded_history_becomes_a_picture(widget_page: WidgetPage) -> None:
    """The kernel's channel and this view agree."""
    recorded = (HISTORIES / "0.1.0" / "monty-paused-resumed-stopped-1.json").read_text("utf-8")
    history = WorkflowHistory.from_json("w", recorded)
    reader = RunReader("w", "run", DataConverter.default)
    channel = TimelineChannel(widget_page.feed)
    for event in history.events:
        channel.apply(channel.fold, await reader.entry(event))
    await widget_page.open_view(
        "createTimelineView", scripts=SCRIPTS, styles=STYLES, channels=["trace", "timeline", "panel"]
    )
    widget_page.published.clear()
    await widget_page.answer_hello()
    assert await lanes(widget_page) == ["Workflow", "sleep_then_quote", "Signals", "Updates"]
    await expect(option(widget_page, "stop_workflow, Signal, received")).to_have_count(1)
    await chart(widget_page).focus()
    await widget_page.page.keyboard.press("ArrowDown")
    await expect(details(widget_page)).to_contain_text('"final_status": "stopped"')


# --- live ------------------------------------------------------------------------------------------------------------


async def test_open_bars_grow_with_the_kernels_clock(widget_page: WidgetPage) -> None:
    await widget_page.page.clock.install(time="2031-01-01T00:00:00Z")
    channel = await opened(widget_page, *MONTY)
    runtime = widget_page.page.locator(".dd-tl-runtime")
    await expect(runtime).to_have_text(re.compile(r"^4[0-8]\.\d s$"))
    await widget_page.page.clock.fast_forward(9_000)
    await expect(runtime).to_have_text(re.compile(r"^(49|5\d)\.\d s$"))
    left, right = await span(option(widget_page, "sleep_then_quote, Activity, running"))
    edge, _ = await span(widget_page.page.locator("line.dd-tl-now").first)
    assert left < right
    assert abs(right - edge) < 4, "up to the live end"

    channel.put(**summary(now=52, end=51))
    await delivered(widget_page)
    await expect(runtime).to_have_text("51.0 s")
    await widget_page.page.clock.fast_forward(9_000)
    await expect(runtime).to_have_text("51.0 s")


@pytest.mark.parametrize("away", ["kernel", "server"])
async def test_nothing_grows_while_nobody_knows_what_happens(widget_page: WidgetPage, away: str) -> None:
    await widget_page.page.clock.install()
    channel = await opened(widget_page, *MONTY)
    runtime = widget_page.page.locator(".dd-tl-runtime")
    if away == "kernel":
        await widget_page.page.evaluate("() => window.kernel.lose(true)")
    else:
        channel.put(connected=False)
        await delivered(widget_page)
        await expect(widget_page.page.get_by_text("Server not reachable, reconnecting...")).to_be_visible()
    await widget_page.page.clock.run_for(500)
    before = await runtime.text_content()
    await widget_page.page.clock.fast_forward(9_000)
    await drawn(widget_page)
    await expect(runtime).to_have_text(before or "")


async def test_the_end_is_followed_until_the_reader_leaves_and_again_with_follow(widget_page: WidgetPage) -> None:
    channel = await opened(widget_page, *MONTY)
    follow = button(widget_page, "Follow")
    await expect(follow).to_have_attribute("aria-pressed", "true")
    for _ in range(3):
        await button(widget_page, "Zoom in").click()
    await expect(follow).to_have_attribute("aria-pressed", "true")
    await chart(widget_page).focus()
    await widget_page.page.keyboard.press("Home")
    away = button(widget_page, "Back to now")
    await expect(away).to_have_attribute("aria-pressed", "false")
    first = option(widget_page, "sleep_then_quote, Activity, completed, from")
    before = await span(first)
    channel.put(bar("activity", "late", 60, 61), **summary(now=90))
    await delivered(widget_page)
    assert await span(first) == pytest.approx(before, abs=1), "who reads stays where he is"
    await expect(option(widget_page, "late")).to_have_count(0)
    await away.click()
    await expect(follow).to_have_attribute("aria-pressed", "true")
    await expect(widget_page.page.locator("line.dd-tl-now")).to_have_count(1 + 1)  # the other is in the legend


# --- moving through it -----------------------------------------------------------------------------------------------


async def test_ctrl_and_wheel_zoom_around_the_pointer(widget_page: WidgetPage) -> None:
    await opened(widget_page, *MONTY, about=summary(now=60, end=50))
    body = option(widget_page, "publish").locator("rect").first
    box = await body.bounding_box()
    assert box is not None
    page = widget_page.page
    await page.mouse.move(box["x"] + 1, box["y"] + 5)
    await page.keyboard.down("Control")
    await page.mouse.wheel(0, -200)
    await page.keyboard.up("Control")
    await drawn(widget_page)
    left, right = await span(body)
    assert right - left > 2 * box["width"]
    assert abs(left - box["x"]) < 6, "what is beneath the pointer stays there"


async def test_a_plain_wheel_is_the_pages(widget_page: WidgetPage) -> None:
    await opened(widget_page, *MONTY, about=summary(now=60, end=50))
    before = await span(option(widget_page, "publish"))
    await chart(widget_page).hover()
    await widget_page.page.mouse.wheel(0, 100)
    await drawn(widget_page)
    assert await span(option(widget_page, "publish")) == before


async def test_dragging_pans_and_pins_nothing(widget_page: WidgetPage) -> None:
    await opened(widget_page, *MONTY, about=summary(now=60, end=50))
    page = widget_page.page
    await button(widget_page, "Zoom in").click()
    await drawn(widget_page)
    left, _ = await span(option(widget_page, "No Worker"))
    box = await option(widget_page, "publish").bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 3, box["y"] + 5)
    await page.mouse.down()
    await page.mouse.move(box["x"] - 47, box["y"] + 5, steps=5)
    await page.mouse.up()
    await drawn(widget_page)
    assert (await span(option(widget_page, "No Worker")))[0] == pytest.approx(left - 50, abs=2)
    await expect(button(widget_page, "Unpin")).to_be_hidden()


async def test_keys_zoom_pan_and_fit(widget_page: WidgetPage) -> None:
    await opened(widget_page, *MONTY, about=summary(now=60, end=50))
    page = widget_page.page
    await chart(widget_page).focus()
    gap = option(widget_page, "No Worker")
    whole = await span(gap)
    await page.keyboard.press("+")
    await drawn(widget_page)
    zoomed = await span(gap)
    assert zoomed[1] - zoomed[0] > 1.4 * (whole[1] - whole[0])
    await page.keyboard.press("ArrowRight")
    await drawn(widget_page)
    assert (await span(gap))[0] < zoomed[0]
    await page.keyboard.press("0")
    await drawn(widget_page)
    assert await span(gap) == pytest.approx(whole, abs=1)
    for _ in range(60):
        await page.keyboard.press("+")
    await drawn(widget_page)
    labels = await page.locator(".dd-tl-axis .dd-tl-tick").all_text_contents()
    assert any(re.fullmatch(r"\d\d:\d\d:\d\d\.\d\d?\d?", label) for label in labels), "down to a tenth of a second"


async def test_the_keyboard_goes_from_bar_to_bar_and_pins(widget_page: WidgetPage) -> None:
    await opened(widget_page, *MONTY)
    page = widget_page.page
    await page.keyboard.press("Tab")
    while not await chart(widget_page).evaluate("(node) => node === document.activeElement"):
        await page.keyboard.press("Tab")
    for _ in range(3):
        await page.keyboard.press("ArrowDown")
    await drawn(widget_page)
    await expect(details(widget_page)).to_contain_text("ConnectionError: gone")
    active = await chart(widget_page).get_attribute("aria-activedescendant")
    assert await page.locator(f"#{active}").get_attribute("aria-label") == (
        "sleep_then_quote, Activity, completed, attempt 2, from 19:00:05.000, 12.0 s"
    )
    await expect(page.locator(f"#{active} .dd-tl-ring")).to_be_visible()
    await page.keyboard.press("Enter")
    await expect(page.locator(f"#{active}")).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("]")
    await expect(details(widget_page)).to_contain_text("ConnectionError: gone")
    await page.keyboard.press("Escape")
    await page.keyboard.press("[")
    await page.keyboard.press("ArrowUp")
    await expect(details(widget_page)).not_to_contain_text("ConnectionError: gone")
    assert await page.evaluate("() => document.querySelectorAll('.dd-tl-chart [tabindex]').length") == 0


async def test_a_bar_that_is_out_of_view_is_brought_there(widget_page: WidgetPage) -> None:
    many = [bar("activity", f"work {n}", n, n + 0.5, lane=f"lane {n}") for n in range(60)]
    await opened(widget_page, *many, about=summary(now=61, end=60))
    await chart(widget_page).focus()
    for _ in range(3):
        await widget_page.page.keyboard.press("+")
    await widget_page.page.keyboard.press("End")
    await widget_page.page.keyboard.press("ArrowUp")
    await drawn(widget_page)
    await expect(option(widget_page, "work 59").locator("rect").first).to_be_in_viewport(ratio=0.99)
    assert await chart(widget_page).get_attribute("aria-activedescendant")


# --- details and table -----------------------------------------------------------------------------------------------


async def test_details_stay_when_the_mouse_goes_and_a_click_pins_them(widget_page: WidgetPage) -> None:
    await opened(widget_page, *MONTY)
    await point(widget_page, "sleep_then_quote, Activity, completed, attempt 2")
    shown = details(widget_page)
    await expect(shown.locator(".dd-tl-title")).to_have_text("sleep_then_quote")
    assert await shown.locator("li").all_inner_texts() == [
        "Queued\n19:00:05.000 – 19:00:05.500\n500 ms",
        "Attempt 1\n19:00:05.500 – 19:00:09.000\n3.5 s\nConnectionError: gone",
        "Back-off\n19:00:09.000 – 19:00:11.000\n2.0 s",
        "Attempt 2\n19:00:11.000 – 19:00:17.000\n6.0 s",
    ]
    assert await shown.locator("pre:visible").all_text_contents() == [RETRIED["input"], RETRIED["result"]]
    await widget_page.page.mouse.move(2, 2)
    await expect(shown).to_contain_text("ConnectionError: gone")
    await point(widget_page, "publish", click=True)
    await expect(shown).to_contain_text("ServiceUnavailable: 503")
    await point(widget_page, "pause")
    await expect(shown).to_contain_text("ServiceUnavailable: 503")
    await button(widget_page, "Unpin").click()
    await expect(chart(widget_page)).to_be_focused()
    await point(widget_page, "pause")
    await expect(shown.locator(".dd-tl-title")).to_have_text("pause")


async def test_details_of_a_gap_and_of_earlier_attempts_explain_themselves(widget_page: WidgetPage) -> None:
    gap = bar("gap", "No Worker for quote", 2, 5, "over", lane="No Worker")
    parts = [("earlier", 6, 8, 2, ""), ("running", 8, 9, 3, "")]
    late = bar("activity", "quote", 6, 9, attempt=3, parts=parts)
    await opened(widget_page, gap, late, about=summary(now=10, end=10))
    await chart(widget_page).focus()
    await widget_page.page.keyboard.press("ArrowDown")
    heading = details(widget_page).locator(".dd-tl-heading")
    assert await heading.locator("strong, span").all_text_contents() == ["No Worker for quote", "ended", ""]
    await widget_page.page.keyboard.press("ArrowDown")
    await expect(details(widget_page)).to_contain_text("The history keeps only the last attempt of an Activity")


async def test_nothing_jumps_when_details_and_bars_come(widget_page: WidgetPage) -> None:
    channel = await opened(widget_page, *MONTY)
    summary_line = widget_page.page.locator("summary")
    before = await summary_line.bounding_box()
    channel.put(*(bar("activity", f"tool {n}", 30 + n, 31 + n, lane="publish") for n in range(4, 20)))
    await delivered(widget_page)
    await point(widget_page, "sleep_then_quote, Activity, completed, attempt 2")
    await expect(details(widget_page)).to_contain_text("ConnectionError: gone")
    assert await summary_line.bounding_box() == before


async def test_the_table_says_the_same_and_stays_up_to_date(widget_page: WidgetPage) -> None:
    channel = await opened(widget_page, *MONTY)
    page = widget_page.page
    await page.get_by_text("Show as table").click()
    rows = page.locator(".dd-tl-table tbody tr")
    await expect(rows).to_have_count(len(MONTY))
    cells = await rows.nth(2).locator("td").all_text_contents()
    assert cells == ["sleep_then_quote", "sleep_then_quote", "2025-11-22 19:00:05.000", "12.0 s", "completed", "2", ""]
    channel.put(bar("activity", "publish", 31, 33, error="changed"))
    channel.put(*(bar("activity", f"more {n}", 50 + n, 51 + n) for n in range(300)), **summary(now=400))
    await delivered(widget_page)
    await expect(rows).to_have_count(200)
    await expect(page.get_by_text(f"The newest 200 of {300 + len(MONTY)}")).to_be_visible()


# --- what may come ---------------------------------------------------------------------------------------------------

HOSTILE = "<img src=x onerror=alert(1)> & \u202e \x00 🐍👩‍👩‍👧 " + "long " * 400


@pytest.mark.parametrize(
    ("bars", "about"),
    [
        pytest.param([bar("activity", "quick", 0, 0.01)], summary(now=1, end=0.01), id="ten-milliseconds"),
        pytest.param([bar("timer", "slow", 60, 259_000)], summary(now=259_300, end=259_200), id="three-days"),
        pytest.param(
            [bar("activity", f"a {n}", 1, 1, lane="a") for n in range(30)], summary(now=1, end=1), id="no-time"
        ),
        pytest.param(
            [bar("signal", f"s {n}", 1, 1, "received", lane="Signals") for n in range(3_000)],
            summary(now=2, end=2), id="thousands-of-marks-at-one-moment",
        ),
        pytest.param(
            [bar("activity", HOSTILE, 1, 9, lane=HOSTILE + "lane")], summary(now=10, end=10), id="hostile-texts"
        ),
        pytest.param([bar("activity", "early", -5, 1)], summary(now=-3), id="clocks-that-disagree"),
        pytest.param(
            [bar(
                "activity", "due", 0, None, "retrying",
                parts=[("running", 0, 2, 1, "x"), ("backoff", 2, 60, 2, "x"), ("queued", 60, None, 2, "")],
            )],
            summary(now=5), id="an-attempt-still-to-come",
        ),
    ],
)  # fmt: skip
async def test_whatever_comes_the_picture_is_sane(widget_page: WidgetPage, bars: list[Message], about: Message) -> None:
    await opened(widget_page, *bars, about=about)
    page = widget_page.page
    await drawn(widget_page)
    assert await page.locator("img").count() == 0
    assert await page.get_by_role("option").count() >= 1
    assert await page.evaluate("() => document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert not re.search(r"NaN|Infinity|undefined", await page.locator(".dd-tl-content").inner_html())
    # All at one moment: they move with the time.
    ticks = sorted(
        await page.locator(".dd-tl-axis .dd-tl-middle.dd-tl-tick").evaluate_all(
            "(ticks) => ticks.map((tick) => tick.getBoundingClientRect()).map(({left, right}) => [left, right])"
        )
    )
    assert len(ticks) >= 2
    assert all(one[1] < next_one[0] for one, next_one in pairwise(ticks)), "labels keep apart"
    await chart(widget_page).focus()
    await page.keyboard.press("ArrowDown")
    await expect(details(widget_page).locator(".dd-tl-title")).to_have_text(bars[0]["label"])
    assert parsed(await saved(widget_page)).tag.endswith("svg")


async def test_two_thousand_bars_are_merged_where_they_cannot_be_told_apart(widget_page: WidgetPage) -> None:
    work = [bar("activity", f"work {n}", n, n + 0.9, lane="work") for n in range(2_000)]
    work[7]["state"] = "failed"
    await opened(widget_page, *work, about=summary(now=2_001, end=2_000))
    page = widget_page.page
    assert await page.locator(".dd-tl-lanes *").count() < 200
    crowd = page.get_by_role("option").first
    await crowd.locator("rect").first.hover()
    await expect(details(widget_page)).to_contain_text("2000 together")
    await expect(details(widget_page)).to_contain_text("1999 completed, 1 failed")
    assert await crowd.locator(".dd-tl-symbol").count() == 1, "a failure among them is told"
    await chart(widget_page).focus()
    await page.keyboard.press("ArrowUp")
    await expect(details(widget_page).locator(".dd-tl-title")).to_have_text("work 1999")
    for _ in range(9):
        await page.keyboard.press("+")
    await expect(option(widget_page, "work 1990,")).to_have_count(1)


# --- the file --------------------------------------------------------------------------------------------------------


async def saved(page: WidgetPage) -> str:
    """Text of the file that Save SVG hands to the browser."""
    async with page.page.expect_download() as waiting:
        await button(page, "Save SVG").click()
    download = await waiting.value
    assert download.suggested_filename == "timeline-monty-python-1a2b3c4d.svg"
    return read(await download.path())


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)  # noqa: S314 - what our own page has written


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_the_saved_file_stands_alone(widget_page: WidgetPage, theme: str) -> None:
    await opened(widget_page, *MONTY, theme=theme)
    await button(widget_page, "Zoom in").click()
    text = await saved(widget_page)
    root = parsed(text)
    tags = {element.tag.removeprefix("{http://www.w3.org/2000/svg}") for element in root.iter()}
    assert tags == {"svg", "title", "desc", "g", "defs", "pattern", "rect", "line", "path", "text"}
    words = {element.text for element in root.iter()}
    assert {"monty-python-1a2b3c4d", "sleep_then_quote", "Signals", "No Worker 6.0 s", "back-off", "pause"} <= words
    attributes = {name for element in root.iter() for name in element.attrib}
    assert attributes.isdisjoint({"class", "style", "href", "tabindex"})
    assert not [name for name in attributes if name.startswith("on")]
    paints = {element.get(name) for element in root.iter() for name in ("fill", "stroke")} - {None}
    assert not re.search(r"var\(|light-dark|color\(", text)
    ids = {element.get("id") for element in root.iter() if element.get("id")}
    assert {paint for paint in paints if paint and paint.startswith("url")} <= {f"url(#{name})" for name in ids}
    assert len(text) < 400 * len(list(root.iter())), "what all have in common is said once"
    paper = next(element for element in root if element.tag.endswith("rect"))
    assert paper.get("fill") == ("rgb(255, 255, 255)" if theme == "light" else "rgb(17, 17, 17)")
    await expect(widget_page.page.locator(".dd-tl-file")).to_have_count(0)


# --- for all ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 900, 1_400])
async def test_axe_finds_nothing(widget_page: WidgetPage, theme: str, width: int) -> None:
    await opened(widget_page, *MONTY, theme=theme, width=width)
    page = widget_page.page
    await page.get_by_text("Show as table").click()
    await point(widget_page, "publish", click=True)
    assert await violations(page) == []


async def test_it_fits_into_a_narrow_cell(widget_page: WidgetPage) -> None:
    await opened(widget_page, *MONTY, width=400)
    assert await widget_page.page.evaluate("() => document.body.scrollWidth <= 400")
    await expect(button(widget_page, "Save SVG")).to_be_in_viewport(ratio=1)


async def test_the_view_alone_names_its_workflow_and_has_its_buttons(widget_page: WidgetPage) -> None:
    channel = BarChannel(widget_page.feed)
    await widget_page._open(TimelineView._esm, TimelineView._css, "light", 1, 900, 900)
    channel.put(*MONTY, **RUNNING)
    widget_page.trace.follow(True)
    widget_page.published.clear()
    await widget_page.answer_hello()
    await widget_page.show(widget_page.started())
    page = widget_page.page
    assert await page.locator(".dd-tl-subject .dd-fact").all_text_contents() == [
        "Workflow: monty-python-1a2b3c4d", "Status: RUNNING", "Started: 2025-11-22 19:00:00",
    ]  # fmt: skip
    names = await page.get_by_role("group", name="Workflow").get_by_role("button").all_inner_texts()
    assert names == ["Stop Workflow", "Pause", "Cancel"]
    await button(widget_page, "Pause").click()
    assert await widget_page.commands() == ["pause"]
    assert await page.get_by_role("tab").count() == 0


async def test_the_widget_follows_its_workflow_and_has_a_static_form(session: FakeSession) -> None:
    run = FakeRun()
    view = TimelineView(session, run)  # type: ignore[arg-type]
    assert view.run is run
    assert isinstance(view.timeline, Timeline)
    bundle = view._bundle()
    assert bundle["text/plain"] == view.timeline.to_text()
    view.close()

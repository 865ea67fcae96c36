"""The tab Runs in Chromium: numbered rows at one end, a person with mouse or keyboard on the other."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Locator, expect

from durable_demo.client import Runs, RunSummary
from durable_demo.figures import took
from durable_demo.widgets.feed import Feed, Message
from durable_demo.widgets.runs_channel import RunsChannel
from tests.axe import violations
from tests.widgets.page import WidgetPage
from tests.widgets.test_views import CONTRAST

pytestmark = [pytest.mark.browser, pytest.mark.page_clock]

SCRIPTS = (
    "far_end.js", "dom.js", "channel.js", "feed.js", "voice.js", "log_end.js", "actions.js", "alerts.js",
    "runs_row.js", "runs_view.js",
)  # fmt: skip
STYLES = ("base.css", "trace_view.css", "panel.css", "runs_view.css")
NOW = datetime(2025, 1, 19, 10, 30, tzinfo=UTC)


class Listing(RunsChannel):
    """The channel, told of some workflows at a time."""

    def __init__(self, feed: Feed) -> None:
        super().__init__(feed)
        self._known: dict[str, RunSummary] = {}

    def add(self, *runs: RunSummary, more: bool) -> None:
        """Shows these workflows beside the others, or in place of those with the same Workflow ID."""
        self._known |= {run.workflow_id: run for run in runs}
        self.show(Runs(self._known.values()), more)


def run(number: int, status: str = "COMPLETED", **facts: Any) -> RunSummary:
    """A Monty that was started so many minutes after the first, and took 50 seconds."""
    started = NOW + timedelta(minutes=number)
    monty = {
        "workflow_id": f"monty-python-{number:08x}",
        "run_id": "run",
        "workflow_type": "MontyPythonWorkflow",
        "status": status,
        "started": started,
        "closed": None if status in ("RUNNING", "PAUSED", "STOPPING") else started + timedelta(seconds=50),
        "run": None,
        "iterations": number,
        "quotes": number,
    }
    return RunSummary(**{**monty, **facts})


def chat(number: int, title: str, status: str = "RUNNING") -> RunSummary:
    return run(
        number,
        status,
        workflow_id=f"chat-{number:08x}",
        workflow_type="ChatWorkflow",
        title=title,
        iterations=None,
        quotes=None,
        messages=3,
    )


async def opened(page: WidgetPage, **options: Any) -> Listing:
    """The view before anything was listed, an hour after `NOW`."""
    await page.page.clock.install(time=NOW + timedelta(hours=1))
    await page.open_view(
        "createRunsView", scripts=SCRIPTS, styles=STYLES, channels=["runs", "trace", "panel"], **options
    )
    channel = Listing(page.feed)
    await page.answer_hello()
    return channel


async def listing(page: WidgetPage, *runs: RunSummary, **options: Any) -> Listing:
    """The view with these runs, the newest last."""
    channel = await opened(page, **options)
    await show(page, channel, *runs)
    return channel


async def show(page: WidgetPage, channel: Listing, *runs: RunSummary, more: bool = False) -> None:
    """Lists these too."""
    channel.add(*runs, more=more)
    page.feed.flush()
    await page.deliver()


async def fail(page: WidgetPage, channel: Listing, problem: str = "no server answers") -> None:
    """Listing fails."""
    channel.fail(problem)
    page.feed.flush()
    await page.deliver()


async def commands(page: WidgetPage, name: str) -> list[Message]:
    """Arguments of the commands of this name that the page has sent."""
    return [message["args"] for message in await page.sent() if message.get("name") == name]


async def answer(page: WidgetPage, name: str, **answered: Any) -> None:
    """Answers the newest commands of this name."""
    for message in await page.sent():
        if message.get("name") == name:
            page.feed.answer(message["id"], **{"ok": True, "message": "", **answered})
    await page.deliver()


def row(page: WidgetPage, run: RunSummary) -> Locator:
    return page.page.get_by_role("row").filter(has=page.page.get_by_role("rowheader", name=run.workflow_id))


def button(page: WidgetPage, name: str) -> Locator:
    return page.page.get_by_role("button", name=name, exact=True)


async def listed(page: WidgetPage) -> list[str]:
    """Workflow IDs in the table, from top to bottom."""
    return await page.page.locator("tbody code").all_inner_texts()


def duration(page: WidgetPage, run: RunSummary) -> Locator:
    return row(page, run).locator(".dd-rt-duration")


async def cells(page: WidgetPage, run: RunSummary) -> list[str]:
    """Texts of a row: Type, Status, Started, Duration, Iterations, Quotes, Messages."""
    return (
        await row(page, run)
        .get_by_role("cell")
        .evaluate_all("(cells) => cells.slice(1, -1).map((cell) => cell.textContent)")
    )


# --- states ----------------------------------------------------------------------------------------------------------


async def test_before_the_kernel_answers_it_says_that_it_waits(widget_page: WidgetPage) -> None:
    await widget_page.open_view("createRunsView", scripts=SCRIPTS, styles=STYLES, channels=["runs", "trace", "panel"])
    await expect(widget_page.page.get_by_text("Waiting for the kernel: it may be busy with a cell.")).to_be_visible()


async def test_without_workflows_it_says_how_to_get_one(widget_page: WidgetPage) -> None:
    channel = await opened(widget_page)
    await expect(widget_page.page.get_by_text("Looking for workflows...")).to_be_visible()
    await expect(button(widget_page, "Go to the tab Chat")).to_be_hidden()
    await show(widget_page, channel)
    await expect(widget_page.page.get_by_text("No workflows yet")).to_be_visible()
    await button(widget_page, "Go to the tab Chat").click()
    assert (await widget_page.sent())[-1] == {"t": "go", "tab": "chat"}


async def test_a_listing_that_failed_is_told_and_the_rows_stay(widget_page: WidgetPage) -> None:
    channel = await opened(widget_page)
    await fail(widget_page, channel)
    warning = widget_page.page.locator(".dd-warning")
    await expect(warning).to_have_text("no server answers")
    await expect(widget_page.page.get_by_text("It is tried again every 2 seconds.")).to_be_visible()
    await show(widget_page, channel, run(1))
    await expect(warning).to_be_hidden()
    await fail(widget_page, channel)
    await expect(warning).to_be_visible()
    assert await listed(widget_page) == [run(1).workflow_id]


async def test_a_row_tells_each_fact_and_a_dash_where_there_is_none(widget_page: WidgetPage) -> None:
    monty, talk = run(1, iterations=1_234), chat(2, "What's the <b>weather</b>?", status="CANCELED")
    await listing(widget_page, monty, talk, width=1400)
    await expect(row(widget_page, talk)).to_contain_text("What's the <b>weather</b>?")
    assert await cells(widget_page, talk) == ["ChatWorkflow", "CANCELED", "2025-01-19 10:32:00", "50 s", "-", "-", "3"]
    assert await cells(widget_page, monty) == [
        "MontyPythonWorkflow", "COMPLETED", "2025-01-19 10:31:00", "50 s", "1,234", "1", "-",
    ]  # fmt: skip
    headers = await widget_page.page.get_by_role("columnheader").all_inner_texts()
    assert headers[1:] == [
        "Workflow", "Type", "Status", "Started", "Duration", "Iterations", "Quotes", "Messages", "Actions",
    ]  # fmt: skip
    assert await widget_page.page.get_by_role("table", name="Your workflows, newest first").count() == 1


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0.0 s"), (8.94, "8.9 s"), (9.96, "10 s"), (59, "59 s"), (59.7, "1 min"), (65, "1 min 5 s"),
        (3_599.6, "1 h"), (7_500, "2 h 5 min"), (86_380, "1 d"), (273_600, "3 d 4 h"),
    ],
)  # fmt: skip
async def test_a_duration_reads_as_in_the_tab_compare(widget_page: WidgetPage, seconds: float, shown: str) -> None:
    assert took(seconds, ended=True) == shown
    ended = run(1, closed=(NOW + timedelta(minutes=1, seconds=seconds)))
    await listing(widget_page, ended)
    await expect(duration(widget_page, ended)).to_have_text(shown)


async def test_the_duration_of_a_running_one_goes_on_by_itself(widget_page: WidgetPage) -> None:
    started = NOW + timedelta(minutes=5, seconds=-15)
    live, ended = run(5, "RUNNING", started=started), run(6)
    await listing(widget_page, live, ended)
    await expect(duration(widget_page, live)).to_have_text(re.compile(r"^55 min [1-5]\d s$"))
    await widget_page.page.clock.fast_forward(60_000)
    await expect(duration(widget_page, live)).to_have_text(re.compile(r"^56 min [1-5]\d s$"))
    await expect(duration(widget_page, ended)).to_have_text("50 s")


async def test_the_duration_of_a_running_one_is_told_in_whole_seconds(widget_page: WidgetPage) -> None:
    live = run(5, "PAUSED", started=NOW + timedelta(hours=1, seconds=-8.2))
    await listing(widget_page, live)
    await expect(duration(widget_page, live)).to_have_text(re.compile(r"^\d+ s$"))


@pytest.mark.parametrize("width", [300, 700, 1000, 1216])
async def test_no_row_jumps_when_another_one_is_shown(widget_page: WidgetPage, width: int) -> None:
    await listing(widget_page, run(1), run(2, "RUNNING", workflow_id="monty-python-1a2b3c4d"), width=width)
    heights = "() => [...document.querySelectorAll('tbody')].map((row) => row.getBoundingClientRect().height)"
    before = await widget_page.page.evaluate(heights)
    await widget_page.show(widget_page.started())
    await expect(widget_page.page.locator("[aria-current=true]")).to_have_count(1)
    assert await widget_page.page.evaluate(heights) == before
    assert len(set(before)) == 1


async def test_a_workflow_that_cannot_go_on_says_so_and_why(widget_page: WidgetPage) -> None:
    stuck = run(1, status="RUNNING", closed=None, problem="Its code <b>broke</b>. Why: a bug. Next: mend it")
    channel = await listing(widget_page, run(0), stuck)
    marks = widget_page.page.locator(".dd-rt-stuck")
    await expect(marks.nth(0)).to_have_text(" cannot go on: Its code <b>broke</b>. Why: a bug. Next: mend it")
    await expect(marks.nth(0)).to_have_attribute("title", stuck.problem)
    await expect(marks.nth(1)).to_have_text("")
    await show(widget_page, channel, run(0), replace(stuck, problem=""))
    await expect(marks.nth(0)).to_have_text("")


async def test_the_workflow_that_the_trace_shows_is_marked_in_words(widget_page: WidgetPage) -> None:
    await listing(widget_page, run(1), run(2, "RUNNING", workflow_id="monty-python-1a2b3c4d"))
    marks = widget_page.page.get_by_text("shown", exact=True)
    await expect(marks.first).to_be_hidden()
    await widget_page.show(widget_page.started())
    await expect(marks.locator("visible=true")).to_have_count(1)
    await expect(widget_page.page.locator("[aria-current=true]")).to_contain_text("monty-python-1a2b3c4d")


# --- pages and filters -----------------------------------------------------------------------------------------------


async def test_pages_of_25_newest_first(widget_page: WidgetPage) -> None:
    await listing(widget_page, *(run(n) for n in range(60)))
    page = widget_page.page
    seen = await listed(widget_page)
    await expect(button(widget_page, "Newer")).to_be_disabled()
    for expected in ("26-50 of 60", "51-60 of 60"):
        await button(widget_page, "Older").click()
        await expect(page.get_by_text(expected)).to_be_visible()
        seen += await listed(widget_page)
    assert seen == [run(n).workflow_id for n in range(59, -1, -1)]
    await expect(button(widget_page, "Older")).to_be_disabled()
    await button(widget_page, "Newer").click()
    await button(widget_page, "Newer").click()
    await expect(page.get_by_text("1-25 of 60")).to_be_visible()


async def test_a_later_page_stays_on_its_runs_and_the_first_shows_the_new_ones(widget_page: WidgetPage) -> None:
    channel = await listing(widget_page, *(run(n) for n in range(60)))
    await button(widget_page, "Older").click()
    before = await listed(widget_page)
    await show(widget_page, channel, run(60), run(61))
    assert await listed(widget_page) == before
    await expect(widget_page.page.get_by_text("28-52 of 62")).to_be_visible()
    await button(widget_page, "Newer").click()
    assert (await listed(widget_page))[0] == run(61).workflow_id
    await show(widget_page, channel, run(62))
    assert (await listed(widget_page))[0] == run(62).workflow_id


async def test_new_runs_move_neither_focus_nor_what_is_read(widget_page: WidgetPage) -> None:
    channel = await listing(widget_page, *(run(n) for n in range(24)))
    page = widget_page.page
    watch = row(widget_page, run(10)).get_by_role("button", name="Watch")
    await watch.focus()
    top = "(node) => Math.round(node.getBoundingClientRect().top)"
    before = await watch.evaluate(top)
    await show(widget_page, channel, run(24, "RUNNING"))
    await expect(watch).to_be_focused()
    await page.wait_for_function(
        f"([node, before]) => Math.abs(({top})(node) - before) <= 1", arg=[await watch.element_handle(), before]
    )


async def test_focus_is_not_lost_with_a_row_that_goes_to_the_next_page(widget_page: WidgetPage) -> None:
    channel = await listing(widget_page, *(run(n) for n in range(25)))
    await row(widget_page, run(0)).get_by_role("button", name="Watch").focus()
    await show(widget_page, channel, run(25))
    await expect(widget_page.page.get_by_role("region", name="Runs")).to_be_focused()


async def test_only_what_has_changed_is_touched(widget_page: WidgetPage) -> None:
    channel = await listing(widget_page, run(1), run(2, "RUNNING"), run(3))
    await widget_page.page.evaluate(
        """() => {
            window.touched = [];
            const observer = new MutationObserver((records) => {
                window.touched.push(...records.map(({target}) => target.textContent));
            });
            const all = {subtree: true, childList: true, characterData: true, attributes: true};
            observer.observe(document.querySelector("table"), all);
        }"""
    )
    await show(widget_page, channel, run(1), run(2, "RUNNING", iterations=77), run(3))
    touched = await widget_page.page.evaluate("() => window.touched")
    assert [text for text in touched if not re.search(r"\d (s|min)$", text)] == ["77"], "and the duration, which grows"


async def test_filters_by_state_and_type(widget_page: WidgetPage) -> None:
    channel = await listing(widget_page, run(1), run(2, "RUNNING"))
    page = widget_page.page
    kinds = page.get_by_role("combobox", name="Type")
    await expect(kinds).to_be_hidden()
    await show(widget_page, channel, chat(3, "Hello"), chat(4, "Hi", status="COMPLETED"))
    await page.get_by_role("radio", name="Running").check()
    assert await listed(widget_page) == [chat(3, "").workflow_id, run(2).workflow_id]
    await kinds.select_option("ChatWorkflow")
    assert await listed(widget_page) == [chat(3, "").workflow_id]
    await show(widget_page, channel, chat(3, "Hello", status="CANCELED"))
    await page.get_by_text("No run matches this filter.").wait_for()
    await button(widget_page, "Show all").click()
    assert len(await listed(widget_page)) == 4
    await expect(page.get_by_role("radio", name="All")).to_be_focused()
    await page.keyboard.press("ArrowLeft")
    await expect(page.get_by_role("radio", name="Ended")).to_be_checked()
    assert len(await listed(widget_page)) == 3


async def test_it_says_that_older_ones_are_not_shown(widget_page: WidgetPage) -> None:
    channel = await listing(widget_page, run(1))
    older = widget_page.page.get_by_text("Older ones are not shown.")
    await expect(older).to_be_hidden()
    await show(widget_page, channel, more=True)
    await expect(older).to_be_visible()


async def test_of_two_hundred_runs_no_more_than_a_page_stands_in_the_document(widget_page: WidgetPage) -> None:
    channel = await listing(widget_page, *(run(n, "RUNNING") for n in range(200)))
    await button(widget_page, "Older").click()
    await show(widget_page, channel, *(run(n, "RUNNING", iterations=7) for n in range(200)))
    await expect(widget_page.page.locator("tbody")).to_have_count(25)


# --- listing ---------------------------------------------------------------------------------------------------------


async def test_it_lists_again_two_seconds_after_each_answer_and_never_twice_at_once(widget_page: WidgetPage) -> None:
    await listing(widget_page, run(1))
    clock = widget_page.page.clock
    assert await commands(widget_page, "list_runs") == [{}]
    await clock.fast_forward(10_000)
    assert len(await commands(widget_page, "list_runs")) == 1
    await answer(widget_page, "list_runs")
    await clock.fast_forward(2_000)
    assert len(await commands(widget_page, "list_runs")) == 2


async def test_a_listing_without_an_answer_is_told_and_asked_again(widget_page: WidgetPage) -> None:
    await listing(widget_page, run(1))
    await widget_page.page.clock.fast_forward(60_000)
    await expect(widget_page.page.locator(".dd-warning")).to_contain_text("The kernel has not answered within 1 min.")
    await widget_page.page.clock.fast_forward(2_000)
    await answer(widget_page, "list_runs")
    await expect(widget_page.page.locator(".dd-warning")).to_be_hidden()


HIDE = """(hidden) => {
    Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
    document.dispatchEvent(new Event("visibilitychange"));
}"""


async def test_it_lists_nothing_while_nobody_looks(widget_page: WidgetPage) -> None:
    await listing(widget_page, run(1))
    page = widget_page.page
    await page.evaluate(HIDE, True)
    await answer(widget_page, "list_runs")
    await page.clock.fast_forward(30_000)
    assert len(await commands(widget_page, "list_runs")) == 1
    await page.evaluate(HIDE, False)
    assert len(await commands(widget_page, "list_runs")) == 2


async def test_a_lost_kernel_disables_what_needs_it_and_its_return_lists_at_once(widget_page: WidgetPage) -> None:
    await listing(widget_page, run(1, "RUNNING"))
    page = widget_page.page
    await page.get_by_role("checkbox").check()
    await page.evaluate("() => window.kernel.lose(true)")
    for name in ("Watch", "More", "Compare", "Stop", "Cancel"):
        pressed = page.get_by_role("button", name=re.compile(f"^{name}"))
        await expect(pressed).to_be_disabled()
        await expect(pressed).to_have_attribute("title", "Disconnected from the kernel")
    await page.clock.fast_forward(30_000)
    assert len(await commands(widget_page, "list_runs")) == 1
    await page.evaluate("() => window.kernel.lose(false)")
    assert len(await commands(widget_page, "list_runs")) == 2
    await expect(page.get_by_role("button", name="Compare")).to_be_enabled()


# --- one run ---------------------------------------------------------------------------------------------------------


async def test_watch_leads_to_the_trace(widget_page: WidgetPage) -> None:
    await listing(widget_page, run(1), run(2, "RUNNING"))
    await row(widget_page, run(1)).get_by_role("button", name="Watch").dblclick()
    assert await commands(widget_page, "watch") == [{"workflow_id": run(1).workflow_id}]
    await answer(widget_page, "watch")
    assert (await widget_page.sent())[-1] == {"t": "go", "tab": "trace"}


async def test_a_workflow_that_cannot_be_watched_is_said(widget_page: WidgetPage) -> None:
    await listing(widget_page, run(1))
    await row(widget_page, run(1)).get_by_role("button", name="Watch").click()
    await answer(widget_page, "watch", ok=False, message="no such workflow")
    await expect(widget_page.page.locator(".dd-notice")).to_have_text("no such workflow")
    assert [message["t"] for message in await widget_page.sent()].count("go") == 0


def more(page: WidgetPage, run: RunSummary) -> Locator:
    return row(page, run).get_by_role("button", name="More")


@pytest.mark.parametrize("verb", ["Stop", "Pause", "Resume", "Cancel"])
async def test_the_menu_tells_a_run_what_to_do(widget_page: WidgetPage, verb: str) -> None:
    await listing(widget_page, run(1), run(2, "PAUSED" if verb == "Resume" else "RUNNING"))
    await more(widget_page, run(2)).click()
    await widget_page.page.get_by_role("menuitem", name=verb).click()
    assert await commands(widget_page, "act_on") == [{"workflow_id": run(2).workflow_id, "verb": verb.lower()}]
    await expect(more(widget_page, run(2))).to_be_focused()
    await expect(more(widget_page, run(2))).to_have_attribute("aria-busy", "true")
    await answer(widget_page, "act_on", message="it is on its way")
    await expect(widget_page.page.locator(".dd-notice")).to_have_text("it is on its way")
    await expect(more(widget_page, run(2))).to_be_enabled()


@pytest.mark.parametrize(
    ("shown", "offered"),
    [
        (run(2, "RUNNING"), ["Stop", "Pause", "Cancel", "Terminate..."]),
        (run(2, "PAUSED"), ["Stop", "Resume", "Cancel", "Terminate..."]),
        (run(2, "STOPPING"), ["Stop", "Pause", "Cancel", "Terminate..."]),
        (chat(2, "Hello"), ["Stop", "Cancel", "Terminate..."]),
        (run(2, "RUNNING", workflow_type="Own"), ["Stop", "Pause", "Resume", "Cancel", "Terminate..."]),
    ],
    ids=["running", "paused", "stopping", "conversation", "own"],
)
async def test_the_menu_offers_what_the_run_can_be_told_now(
    widget_page: WidgetPage, shown: RunSummary, offered: list[str]
) -> None:
    await listing(widget_page, shown)
    await more(widget_page, shown).click()
    assert await widget_page.page.locator("[role=menuitem]:visible").all_inner_texts() == offered


async def test_the_open_menu_follows_what_becomes_of_the_run(widget_page: WidgetPage) -> None:
    channel = await listing(widget_page, run(2, "RUNNING"))
    page = widget_page.page
    await more(widget_page, run(2)).click()
    await page.keyboard.press("ArrowDown")
    await expect(page.locator(":focus")).to_have_text("Pause")
    await show(widget_page, channel, run(2, "PAUSED"))
    await expect(page.locator(":focus")).to_have_text("Stop")
    await page.keyboard.press("ArrowDown")
    await expect(page.locator(":focus")).to_have_text("Resume")


async def test_what_is_paused_or_stopping_runs(widget_page: WidgetPage) -> None:
    await listing(widget_page, run(1), run(2, "PAUSED"), run(3, "STOPPING"), run(4, "RUNNING"))
    await widget_page.page.get_by_role("radio", name="Running").check()
    assert await listed(widget_page) == [run(number).workflow_id for number in (4, 3, 2)]
    await expect(row(widget_page, run(2))).to_contain_text("PAUSED")


async def test_the_menu_by_keyboard(widget_page: WidgetPage) -> None:
    await listing(widget_page, run(1), run(2, "RUNNING"))
    page = widget_page.page
    await more(widget_page, run(2)).focus()
    await page.keyboard.press("ArrowDown")
    await expect(more(widget_page, run(2))).to_have_attribute("aria-expanded", "true")
    for key, expected in [
        ("", "Stop"), ("ArrowDown", "Pause"), ("End", "Terminate..."), ("ArrowDown", "Stop"),
        ("ArrowUp", "Terminate..."), ("Home", "Stop"),
    ]:  # fmt: skip
        if key:
            await page.keyboard.press(key)
        await expect(page.locator(":focus")).to_have_text(expected)
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("menu")).to_be_hidden()
    await expect(more(widget_page, run(2))).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("menu")).to_be_hidden()
    await page.keyboard.press("Shift+Tab")
    await expect(more(widget_page, run(2))).to_have_attribute("aria-expanded", "false")


async def test_the_menu_survives_updates_and_closes_with_a_click_elsewhere(widget_page: WidgetPage) -> None:
    channel = await listing(widget_page, run(1), run(2, "RUNNING"))
    page = widget_page.page
    await more(widget_page, run(2)).click()
    await page.keyboard.press("ArrowDown")
    await show(widget_page, channel, run(2, "RUNNING", iterations=3), run(3))
    await expect(page.locator(":focus")).to_have_text("Pause")
    await page.mouse.click(300, 700)
    await expect(page.get_by_role("menu")).to_be_hidden()
    await more(widget_page, run(2)).click()
    await more(widget_page, run(2)).click()
    await expect(page.get_by_role("menu")).to_be_hidden()


async def test_the_menu_of_a_run_that_ends_closes_and_says_why_it_does_not_open(widget_page: WidgetPage) -> None:
    channel = await listing(widget_page, run(2, "RUNNING"))
    await more(widget_page, run(2)).click()
    await show(widget_page, channel, run(2, "CANCELED"))
    await expect(widget_page.page.get_by_role("menu")).to_be_hidden()
    await expect(more(widget_page, run(2))).to_be_focused()
    await widget_page.page.keyboard.press("Enter")
    await expect(widget_page.page.locator(".dd-notice")).to_have_text("It has ended: CANCELED")
    await expect(widget_page.page.get_by_role("menu")).to_be_hidden()


async def ask_to_terminate(page: WidgetPage, run: RunSummary) -> Locator:
    await more(page, run).click()
    await page.page.get_by_role("menuitem", name="Terminate").click()
    return page.page.get_by_role("alertdialog")


async def test_terminate_asks_in_place_first(widget_page: WidgetPage) -> None:
    channel = await listing(widget_page, run(1), run(2, "RUNNING"))
    question = await ask_to_terminate(widget_page, run(2))
    await expect(question).to_contain_text(f"Terminate {run(2).workflow_id}? It ends at once, without clean-up.")
    await expect(question.get_by_role("button", name="Keep")).to_be_focused()
    await show(widget_page, channel, run(2, "RUNNING", iterations=3), run(3))
    await expect(question.get_by_role("button", name="Keep")).to_be_focused()
    assert await commands(widget_page, "act_on") == []
    await question.get_by_role("button", name="Terminate").click()
    assert await commands(widget_page, "act_on") == [{"workflow_id": run(2).workflow_id, "verb": "terminate"}]
    await expect(question).to_have_count(0)
    await expect(more(widget_page, run(2))).to_be_focused()


@pytest.mark.parametrize("key", ["Enter", "Escape"])
async def test_a_run_can_be_kept(widget_page: WidgetPage, key: str) -> None:
    await listing(widget_page, run(1), run(2, "RUNNING"))
    question = await ask_to_terminate(widget_page, run(2))
    await widget_page.page.keyboard.press(key)
    await expect(question).to_have_count(0)
    await expect(more(widget_page, run(2))).to_be_focused()
    assert await commands(widget_page, "act_on") == []


async def test_the_question_goes_when_the_run_has_ended_by_itself(widget_page: WidgetPage) -> None:
    channel = await listing(widget_page, run(2, "RUNNING"))
    question = await ask_to_terminate(widget_page, run(2))
    await show(widget_page, channel, run(2))
    await expect(question).to_have_count(0)
    await expect(more(widget_page, run(2))).to_be_focused()


# --- those that are chosen -------------------------------------------------------------------------------------------


async def choose(page: WidgetPage, *runs: RunSummary) -> None:
    for one in runs:
        await row(page, one).get_by_role("checkbox").check()


async def test_the_choice_survives_pages_and_updates(widget_page: WidgetPage) -> None:
    channel = await listing(widget_page, *(run(n) for n in range(30)))
    await choose(widget_page, run(29))
    await button(widget_page, "Older").click()
    await choose(widget_page, run(0))
    await show(widget_page, channel, run(0, iterations=9), run(30))
    await expect(widget_page.page.get_by_text("2 chosen:")).to_be_visible()
    await expect(row(widget_page, run(0)).get_by_role("checkbox")).to_be_checked()
    await button(widget_page, "Compare").click()
    ids = [run(29).workflow_id, run(0).workflow_id]
    assert await commands(widget_page, "compare") == [{"workflow_ids": ids}]
    await answer(widget_page, "compare")
    assert (await widget_page.sent())[-1] == {"t": "go", "tab": "compare"}


async def test_more_than_eight_cannot_be_compared_and_it_says_why(widget_page: WidgetPage) -> None:
    runs = [run(n) for n in range(9)]
    await listing(widget_page, *runs)
    await choose(widget_page, *runs)
    await expect(button(widget_page, "Compare")).to_be_disabled()
    await button(widget_page, "Compare").click(force=True)
    reason = "At most 8 runs can be compared; 9 are chosen"
    await expect(widget_page.page.locator(".dd-notice")).to_have_text(reason)
    await row(widget_page, run(0)).get_by_role("checkbox").uncheck()
    await expect(widget_page.page.locator(".dd-notice")).to_be_empty()
    await button(widget_page, "Compare").click()
    assert len((await commands(widget_page, "compare"))[0]["workflow_ids"]) == 8


@pytest.mark.parametrize("verb", ["Stop", "Cancel"])
async def test_chosen_runs_are_told_together_except_those_that_have_ended(widget_page: WidgetPage, verb: str) -> None:
    await listing(widget_page, run(1), run(2, "RUNNING"), run(3, "RUNNING"))
    await choose(widget_page, run(1))
    pressed = button(widget_page, f"{verb} the chosen runs")
    await expect(pressed).to_have_attribute("title", "None of the chosen runs is running")
    await choose(widget_page, run(2), run(3))
    await pressed.click()
    told = await commands(widget_page, "act_on")
    assert told == [{"workflow_id": run(n).workflow_id, "verb": verb.lower()} for n in (3, 2)]
    first, second = [message["id"] for message in await widget_page.sent() if message.get("name") == "act_on"]
    widget_page.feed.answer(first, ok=True, message="on its way")
    widget_page.feed.answer(second, ok=False, message="it has ended: COMPLETED")
    await widget_page.deliver()
    notice = widget_page.page.locator(".dd-notice")
    await expect(notice).to_have_text("Accepted by 1 of 2 runs. it has ended: COMPLETED")


async def test_a_choice_can_be_cleared(widget_page: WidgetPage) -> None:
    await listing(widget_page, run(1), run(2))
    await choose(widget_page, run(1), run(2))
    await button(widget_page, "Clear choice").click()
    await expect(widget_page.page.get_by_role("checkbox", checked=True)).to_have_count(0)
    await expect(widget_page.page.get_by_text("chosen:")).to_be_hidden()
    await expect(widget_page.page.get_by_role("region", name="Runs")).to_be_focused()


# --- look ------------------------------------------------------------------------------------------------------------


STATES = ("RUNNING", "COMPLETED", "FAILED", "CANCELED", "TERMINATED", "TIMED_OUT", "PAUSED", "STOPPING")


@pytest.mark.parametrize(("width", "theme"), [(400, "dark"), (900, "light")])
async def test_axe_finds_nothing_and_all_text_has_contrast(widget_page: WidgetPage, theme: str, width: int) -> None:
    channel = await opened(widget_page, theme=theme, width=width)
    assert await violations(widget_page.page) == []
    await show(widget_page, channel)
    assert await violations(widget_page.page) == []
    await widget_page.show(widget_page.started())
    runs = [run(n, STATES[n % 8]) for n in range(1, 30)]
    shown = run(32, "RUNNING", workflow_id="monty-python-1a2b3c4d")
    await show(widget_page, channel, *runs, chat(31, "Hello"), shown, more=True)
    await fail(widget_page, channel)
    await choose(widget_page, shown)
    await more(widget_page, shown).click()
    assert await violations(widget_page.page) == []
    assert await widget_page.page.evaluate(CONTRAST) == []
    await widget_page.page.get_by_role("menuitem", name="Terminate").click()
    assert await violations(widget_page.page) == []
    assert await widget_page.page.evaluate(CONTRAST) == []
    await widget_page.page.evaluate("() => window.kernel.lose(true)")
    assert await violations(widget_page.page) == []


@pytest.mark.parametrize("width", [280, 320, 400, 600, 840, 900, 1000, 1100, 1130, 1320, 1400, 1920])
async def test_nothing_is_wider_than_the_panel(widget_page: WidgetPage, width: int) -> None:
    title = "w" * 60
    runs = [run(n, STATES[n % 8], iterations=99_999) for n in range(1, 12)]
    shown = run(13, "RUNNING", workflow_id="monty-python-1a2b3c4d")
    channel = await listing(widget_page, *runs, chat(12, title), shown, run(14, workflow_id="x" * 64), width=width)
    await widget_page.show(widget_page.started())
    await choose(widget_page, run(1), run(2))
    await ask_to_terminate(widget_page, shown)
    await show(widget_page, channel, more=True)
    await fail(widget_page, channel, "y" * 200)
    wide = await widget_page.page.evaluate(
        """() => {
            const frame = document.querySelector(".dd-rt-frame");
            const nodes = [...document.querySelectorAll(".durable-demo, .durable-demo *")]
                .filter((node) => node.checkVisibility() && !node.closest(".dd-hidden, thead"))
                .filter((node) => node.getBoundingClientRect().right > innerWidth);
            return [frame.scrollWidth - frame.clientWidth, ...nodes.map((node) => node.className)];
        }"""
    )
    assert wide == [0]


async def test_at_400_px_each_fact_has_its_name_and_every_control_is_in_reach(widget_page: WidgetPage) -> None:
    live = run(2, "RUNNING")
    await listing(widget_page, run(1), live, width=400)
    labels = (
        await row(widget_page, live)
        .locator("[data-label]")
        .evaluate_all(
            """(cells) => cells.map((cell) => [getComputedStyle(cell, "::before").content, cell.dataset.label])
            .filter(([content]) => content !== "none").map(([content]) => JSON.parse(content))"""
        )
    )
    assert labels == ["Status", "Started", "Duration", "Iterations", "Quotes", "Messages"]
    await expect(row(widget_page, live)).to_contain_text("MontyPythonWorkflow")
    question = await ask_to_terminate(widget_page, live)
    await question.get_by_role("button", name="Terminate").click()
    assert len(await commands(widget_page, "act_on")) == 1


async def test_notebook_shortcuts_are_kept_off_everything_that_takes_focus(widget_page: WidgetPage) -> None:
    await listing(widget_page, run(1), run(2, "RUNNING"), chat(3, "Hello"))
    await ask_to_terminate(widget_page, run(2))
    unprotected = await widget_page.page.evaluate(
        """() => [...document.querySelectorAll("button, [tabindex], a, input, select")]
            .filter((node) => node.dataset.lmSuppressShortcuts !== "true").map((node) => node.outerHTML)"""
    )
    assert unprotected == []

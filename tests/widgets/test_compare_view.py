"""The tab Compare in Chromium: the real channel at one end, a person with mouse or keyboard on the other."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from playwright.async_api import Locator, expect

from durable_demo.comparison import Comparison
from durable_demo.figures import KEPT_TIMES, Measured
from durable_demo.widgets.compare_channel import CompareChannel
from durable_demo.widgets.feed import Message
from tests.axe import violations
from tests.test_comparison import chat, monty
from tests.widgets.page import WidgetPage
from tests.widgets.test_views import CONTRAST

pytestmark = pytest.mark.browser

SCRIPTS = (
    "far_end.js", "dom.js", "channel.js", "feed.js", "voice.js", "log_end.js", "actions.js", "alerts.js",
    "compare_plot.js", "compare_table.js", "compare_view.js",
)  # fmt: skip
STYLES = ("base.css", "panel.css", "trace_view.css", "compare_view.css")
FAST = monty("monty-python-1a2b3c4d", 1, 2, 3)
SLOW = monty("monty-python-5e6f7a8b", 3, 4, 5, 9)
RUNNING = monty("monty-python-99999999", 2, 2, 2, ended=False)


async def opened(page: WidgetPage, **options: Any) -> CompareChannel:
    """The view before the kernel has answered."""
    await page.open_view("createCompareView", scripts=SCRIPTS, styles=STYLES, channels=["compare"], **options)
    return CompareChannel(page.feed)


async def comparing(page: WidgetPage, *runs: Measured, **options: Any) -> CompareChannel:
    """The view with this comparison."""
    channel = await opened(page, **options)
    channel.show(Comparison(runs))
    page.published.clear()
    await page.answer_hello()
    return channel


async def deliver(page: WidgetPage) -> None:
    page.feed.flush()
    await page.deliver()


async def compare(page: WidgetPage, channel: CompareChannel, *runs: Measured) -> None:
    """Another comparison comes."""
    channel.begin([run.workflow_id for run in runs])
    channel.show(Comparison(runs))
    await deliver(page)


async def asked(page: WidgetPage) -> list[list[str]]:
    """What comparisons the page has asked for so far."""
    sent: list[Message] = await page.sent()
    return [message["args"]["workflow_ids"] for message in sent if message.get("name") == "compare"]


async def answer(page: WidgetPage, **answered: Any) -> None:
    """Answers all commands."""
    for message in await page.sent():
        if message["t"] == "command":
            page.feed.answer(message["id"], **{"ok": True, "message": "", **answered})
    await page.deliver()


def button(page: WidgetPage, name: str) -> Locator:
    return page.page.get_by_role("button", name=name, exact=True)


async def table(page: WidgetPage) -> list[list[str]]:
    """The numbers of each workflow, as they are shown."""
    texts = "rows => rows.map(row => [...row.children].map(cell => cell.innerText.replace(/\\s+/g, ' ').trim()))"
    found: list[list[str]] = await page.page.locator("tbody tr").evaluate_all(texts)
    return found


# --- what is shown ---------------------------------------------------------------------------------------------------


async def test_the_finding_the_numbers_and_the_plot_stand_together(widget_page: WidgetPage) -> None:
    await comparing(widget_page, FAST, SLOW, RUNNING)
    page = widget_page.page
    await expect(page.locator(".dd-cp-finding")).to_have_text(
        "monty-python-5e6f7a8b took 2.2 times as long per iteration as monty-python-1a2b3c4d (median 4.50 s and 2.00 s,"
        " the longest and the shortest of 3)."
    )
    assert await page.locator("thead th").all_inner_texts() == [
        "Workflow", "Runtime", "Iterations", "Min", "Median", "p90", "Max", "Retries",
    ]  # fmt: skip
    numbers = await table(widget_page)
    assert [cells[0] for cells in numbers] == [
        "1 monty-python-1a2b3c4d COMPLETED Remove",
        "2 monty-python-5e6f7a8b COMPLETED Remove",
        "3 monty-python-99999999 RUNNING Remove",
    ]
    assert [cells[1:] for cells in numbers] == [
        ["6.0 s", "3", "1.00 s", "2.00 s shortest", "2.80 s", "3.00 s", "0"],
        ["21 s", "4", "3.00 s", "4.50 s longest", "7.80 s", "9.00 s", "0"],
        ["6 s so far", "3", "2.00 s", "2.00 s", "2.00 s", "2.00 s", "0"],
    ]
    plot = page.get_by_role("img", name="Plot of the times of 3 workflows, seconds per iteration.")
    await expect(plot).to_be_visible()
    told = await plot.get_attribute("aria-label")
    assert told is not None
    assert "2 monty-python-5e6f7a8b: 4 iterations, 3.00 s to 9.00 s: median 4.50 s" in told
    assert await plot.locator(".dd-cp-label").all_text_contents() == ["median 2.00 s", "median 4.50 s", "median 2.00 s"]


async def test_each_workflow_has_a_shape_of_its_own_with_a_mark_for_each_time(widget_page: WidgetPage) -> None:
    await comparing(widget_page, *(monty(f"w{number}", 1, 2, 3, 4) for number in range(8)))
    marks: list[str] = await widget_page.page.locator(".dd-cp-mark path").evaluate_all(
        "paths => paths.map(path => path.getAttribute('d'))"
    )
    assert len(set(marks)) == len(marks) == 8
    dots: list[int] = await widget_page.page.locator("svg.dd-cp-svg g > .dd-cp-range + .dd-cp-dots").evaluate_all(
        "paths => paths.map(path => path.getAttribute('d').match(/M/g).length)"
    )
    assert dots == [4] * 8


async def test_of_few_times_no_box_is_drawn_and_it_says_how_many(widget_page: WidgetPage) -> None:
    await comparing(widget_page, monty("none"), monty("two", 1, 2), FAST)
    page = widget_page.page
    labels = await page.locator(".dd-cp-label").all_text_contents()
    assert labels == ["nothing timed yet", "2 iterations", "median 2.00 s"]
    boxes = await page.locator(".dd-cp-box").evaluate_all("paths => paths.map(path => path.getAttribute('d') !== '')")
    assert boxes == [False, False, True]


async def test_times_of_different_things_are_told_as_such(widget_page: WidgetPage) -> None:
    await comparing(widget_page, FAST, chat("chat-1", 1, 1, 1))
    await expect(widget_page.page.locator(".dd-cp-finding")).to_contain_text("times of different things")
    await expect(widget_page.page.locator("thead")).to_contain_text("Times")
    await expect(widget_page.page.locator(".dd-cp-note", has_text="longest")).to_have_count(0)


async def test_a_row_says_its_numbers_to_mouse_and_keyboard(widget_page: WidgetPage) -> None:
    await comparing(widget_page, FAST, SLOW)
    page = widget_page.page
    words = page.locator(".dd-cp-words")
    legend = "Each mark is one iteration. Box: the middle half."
    await expect(words).to_contain_text(legend)
    row = page.get_by_role("group", name="2 monty-python-5e6f7a8b: 4 iterations")
    await row.hover()
    told = (
        "2 monty-python-5e6f7a8b: 4 iterations, 3.00 s to 9.00 s: "
        "median 4.50 s, middle half 3.75 s to 6.00 s, p90 7.80 s."
    )
    await expect(words).to_have_text(told)
    await page.mouse.move(1, 1)
    await expect(words).to_contain_text(legend)
    await row.focus()
    await expect(words).to_have_text(told)
    await page.keyboard.press("Shift+Tab")
    await expect(words).to_contain_text("1 monty-python-1a2b3c4d: 3 iterations")


async def test_a_hostile_name_is_text(widget_page: WidgetPage) -> None:
    await comparing(widget_page, monty("<img src=x onerror=alert(1)>", 1, 2, 3), FAST)
    assert await widget_page.page.locator(".durable-demo img").count() == 0
    await expect(widget_page.page.locator("tbody code").first).to_have_text("<img src=x onerror=alert(1)>")


# --- states ----------------------------------------------------------------------------------------------------------


async def test_it_waits_for_the_kernel_and_then_says_what_to_do(widget_page: WidgetPage) -> None:
    await opened(widget_page)
    page = widget_page.page
    await expect(page.get_by_text("Waiting for the kernel: it may be busy with a cell.")).to_be_visible()
    await expect(page.get_by_text("Nothing to compare yet")).to_be_hidden()
    await widget_page.answer_hello()
    await expect(page.get_by_text("Waiting for the kernel")).to_be_hidden()
    await expect(page.get_by_text("Nothing to compare yet")).to_be_visible()
    await expect(page.get_by_text("Choose two or more workflows in the tab Runs")).to_be_visible()
    await page.locator(".dd-cp-empty").get_by_role("button", name="Choose runs").click()
    await page.locator(".dd-actions").get_by_role("button", name="Choose runs").click()
    assert [message for message in await widget_page.sent() if message["t"] == "go"] == [{"t": "go", "tab": "runs"}] * 2
    await button(widget_page, "Save SVG").press("Enter")
    await expect(page.locator(".dd-notice")).to_have_text("There is nothing to save yet")


async def test_while_it_is_read_it_says_so_and_the_old_picture_stays_where_it_is(widget_page: WidgetPage) -> None:
    channel = await opened(widget_page)
    await widget_page.answer_hello()
    page = widget_page.page
    channel.begin([FAST.workflow_id, SLOW.workflow_id])
    await deliver(widget_page)
    await expect(page.locator(".dd-cp-empty")).to_contain_text("Reading the Event History of 2 workflows...")
    await expect(page.get_by_text("Nothing to compare yet")).to_be_hidden()
    channel.show(Comparison((FAST, SLOW)))
    await deliver(widget_page)
    before = await page.locator(".dd-cp-plot").bounding_box()
    channel.begin([FAST.workflow_id])
    await deliver(widget_page)
    await expect(page.locator(".dd-cp-state")).to_have_text("Reading the Event History of 1 workflow...")
    assert await page.locator(".dd-cp-plot").bounding_box() == before
    channel.fail("cannot follow monty: the server knows no such workflow")
    await deliver(widget_page)
    await expect(page.locator(".dd-problem")).to_have_text("cannot follow monty: the server knows no such workflow")
    assert len(await table(widget_page)) == 2


async def test_nothing_jumps_and_the_focus_stays_when_new_times_come(widget_page: WidgetPage) -> None:
    channel = await comparing(widget_page, FAST, RUNNING)
    page = widget_page.page
    row = page.get_by_role("group", name="2 monty-python-99999999")
    await row.focus()
    places = "nodes => nodes.map(node => node.getBoundingClientRect().top)"
    before = await page.locator(".dd-cp-hit, tbody tr").evaluate_all(places)
    grown = monty(RUNNING.workflow_id, 2, 2, 2, 7, 8.5, ended=False)
    await compare(widget_page, channel, FAST, grown)
    await expect(page.locator(".dd-cp-words")).to_contain_text("5 iterations")
    await expect(page.get_by_role("group", name="2 monty-python-99999999: 5 iterations")).to_be_focused()
    assert await page.locator(".dd-cp-hit, tbody tr").evaluate_all(places) == before


async def test_while_a_workflow_runs_it_is_read_again_three_seconds_after_each_answer(widget_page: WidgetPage) -> None:
    clock = widget_page.page.clock
    await clock.install()
    channel = await comparing(widget_page, FAST, RUNNING)
    ids = [FAST.workflow_id, RUNNING.workflow_id]
    await clock.run_for(3_100)
    assert await asked(widget_page) == [ids]
    await clock.run_for(20_000)
    assert await asked(widget_page) == [ids], "not before the answer"
    await answer(widget_page)
    await clock.run_for(3_100)
    assert await asked(widget_page) == [ids, ids]
    channel.begin(ids)
    channel.show(Comparison((FAST, monty(RUNNING.workflow_id, 2, 2, 2))))
    widget_page.feed.flush()
    await clock.run_for(50)
    await answer(widget_page)
    await clock.run_for(20_000)
    assert await asked(widget_page) == [ids, ids], "it has ended"


async def test_without_a_kernel_nothing_is_asked(widget_page: WidgetPage) -> None:
    clock = widget_page.page.clock
    await clock.install()
    await comparing(widget_page, FAST, RUNNING)
    await widget_page.page.evaluate("() => window.kernel.lose(true)")
    await clock.run_for(10_000)
    await button(widget_page, f"Remove {FAST.workflow_id}").press("Enter")
    await expect(widget_page.page.locator(".dd-notice")).to_have_text("Disconnected from the kernel")
    assert await asked(widget_page) == []
    await widget_page.page.evaluate("() => window.kernel.lose(false)")
    await clock.run_for(3_100)
    assert len(await asked(widget_page)) == 1


# --- what a person does ----------------------------------------------------------------------------------------------


async def test_a_workflow_is_removed_by_keyboard_and_the_focus_goes_on(widget_page: WidgetPage) -> None:
    channel = await comparing(widget_page, FAST, SLOW, monty("third", 1, 1, 1))
    await button(widget_page, f"Remove {SLOW.workflow_id}").focus()
    await widget_page.page.keyboard.press("Enter")
    assert await asked(widget_page) == [[FAST.workflow_id, "third"]]
    assert len(await table(widget_page)) == 3, "it goes when the kernel has taken it out"
    await compare(widget_page, channel, FAST, monty("third", 1, 1, 1))
    assert [cells[0].split()[1] for cells in await table(widget_page)] == [FAST.workflow_id, "third"]
    await expect(button(widget_page, "Remove third")).to_be_focused()
    assert await widget_page.page.locator(".dd-cp-hit").count() == 2


async def test_the_last_one_leaves_the_empty_state_and_the_focus_on_the_way_to_the_runs(
    widget_page: WidgetPage,
) -> None:
    channel = await comparing(widget_page, FAST)
    await expect(widget_page.page.locator(".dd-cp-finding")).to_contain_text("One workflow alone")
    await button(widget_page, f"Remove {FAST.workflow_id}").click()
    assert await asked(widget_page) == [[]]
    channel.clear()
    await deliver(widget_page)
    await expect(widget_page.page.get_by_text("Nothing to compare yet")).to_be_visible()
    await expect(widget_page.page.locator(".dd-actions button").first).to_be_focused()


async def test_a_refusal_is_told(widget_page: WidgetPage) -> None:
    await comparing(widget_page, FAST, SLOW)
    await button(widget_page, f"Remove {FAST.workflow_id}").click()
    await answer(widget_page, ok=False, message="the session is closed")
    await expect(widget_page.page.locator(".dd-notice")).to_have_text("the session is closed")


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_the_plot_is_saved_as_a_file_that_stands_alone(
    widget_page: WidgetPage, theme: str, tmp_path: Path
) -> None:
    await comparing(widget_page, FAST, SLOW, theme=theme)
    async with widget_page.page.expect_download() as started:
        await button(widget_page, "Save SVG").click()
    download = await started.value
    assert download.suggested_filename == "comparison.svg"
    await download.save_as(tmp_path / "comparison.svg")
    text = (tmp_path / "comparison.svg").read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)  # noqa: S314  # our own
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    words = ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"1  monty-python-1a2b3c4d", "median 4.50 s", "Seconds per iteration"} <= set(words)
    assert "var(" not in text
    assert "class=" not in text


# --- sizes, looks, limits --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [400, 900, 1216, 1600])
async def test_nothing_is_wider_than_its_place(widget_page: WidgetPage, width: int) -> None:
    long = monty("an-id-as-long-as-may-be-0123456789-0123456789-0123456789-abcdefg", 70, 80, 90, 3_000)
    await comparing(widget_page, FAST, long, RUNNING, width=width)
    page = widget_page.page
    too_wide = """() => {
      const right = document.querySelector(".durable-demo").getBoundingClientRect().right;
      return [...document.querySelectorAll(".dd-cp *")].filter((node) => node.getBoundingClientRect().right > right)
        .map((node) => `${node.tagName} ${node.textContent.slice(0, 40)}`);
    }"""
    assert await page.evaluate(too_wide) == []
    beside = await page.evaluate(
        "() => document.querySelector('.dd-cp-numbers').getBoundingClientRect().top"
        " < document.querySelector('.dd-cp-plot').getBoundingClientRect().bottom"
    )
    assert beside == (width == 1600)


async def test_the_plot_follows_the_width(widget_page: WidgetPage) -> None:
    await comparing(widget_page, FAST, SLOW)
    page = widget_page.page
    await page.set_viewport_size({"width": 420, "height": 900})
    await page.wait_for_function(
        "() => ['svg', 'picture'].map((name) => document.querySelector(`.dd-cp-${name}`).clientWidth)"
        ".every((width) => width > 300 && width < 420)"
    )


async def test_all_times_of_eight_workflows_are_drawn_with_one_node_each(widget_page: WidgetPage) -> None:
    draw = random.Random(5)
    many = (monty(f"w{n}", *(abs(draw.gauss(4 + n, 1)) for _ in range(KEPT_TIMES + 9))) for n in range(8))
    await comparing(widget_page, *many)
    page = widget_page.page
    dots: list[int] = await page.locator(".dd-cp-range + .dd-cp-dots").evaluate_all(
        "paths => paths.map(path => path.getAttribute('d').match(/M/g).length)"
    )
    assert dots == [KEPT_TIMES] * 8
    assert await page.locator(".dd-cp-svg *").count() < 100
    await expect(page.locator(".dd-cp-notes")).to_contain_text("w7: median, p90 and plot are of the newest 1,000 of")


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_axe_finds_nothing_and_all_text_has_contrast(widget_page: WidgetPage, theme: str, width: int) -> None:
    channel = await opened(widget_page, theme=theme, width=width)
    page = widget_page.page

    async def clean() -> None:
        assert await violations(page) == []
        assert await page.evaluate(CONTRAST) == []

    await clean()
    await widget_page.answer_hello()
    await clean()
    await compare(widget_page, channel, FAST, SLOW, RUNNING, monty("none"))
    await clean()
    channel.begin(["other"])
    channel.fail("no such workflow")
    await deliver(widget_page)
    await page.locator(".dd-cp-hit").first.focus()
    await clean()

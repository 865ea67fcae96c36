"""The views in Chromium: the real messages of a Feed on one side, a person with mouse or keyboard on the other."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Locator, expect

from durable_demo import events as e
from durable_demo.errors import ServerUnreachable
from durable_demo.trace import MAX_LINES
from durable_demo.widgets.channels import TraceChannel
from tests.widgets.page import WidgetPage

pytestmark = pytest.mark.browser

DISCONNECTED = (
    "Disconnected from the kernel - run the cells again from the first one to reconnect. Workflows that run go on."
)

VOICE = ".durable-demo > [aria-live=polite]"


async def running(page: WidgetPage, *, tab: str = "Workflow Trace", **options: Any) -> None:
    """A panel whose workflow sleeps in its second iteration."""
    await page.open(**options)
    page.trace.follow(True)
    page.trace.apply(
        page.trace.fold, page.started(), page.sleeping(1), page.quote(1), page.sleeping(2), page.tick(2, 45)
    )
    page.published.clear()
    await page.answer_hello()
    if options.get("widget") != "trace":
        await page.page.get_by_role("tab", name=tab).first.click()


def button(page: WidgetPage, name: str) -> Locator:
    return page.page.get_by_role("button", name=name, exact=True)


async def selected(page: WidgetPage) -> str:
    """Name of the tab that is chosen."""
    return await page.page.locator("[role=tab][aria-selected=true]").first.inner_text()


# --- chat tab --------------------------------------------------------------------------------------------------------


async def test_before_the_kernel_answers_the_panel_says_that_it_waits(widget_page: WidgetPage) -> None:
    await widget_page.open()
    assert [message["t"] for message in await widget_page.sent()] == ["hello", "shown"]
    await expect(button(widget_page, "Start Monty")).to_be_disabled()
    for name in ("Workflow Trace", "Timeline", "Event History", "Runs", "Compare"):
        await widget_page.page.get_by_role("tab", name=name).click()
        shown = widget_page.page.get_by_role("tabpanel").get_by_text("Waiting for the kernel: it may be busy")
        await expect(shown).to_be_visible()


async def hellos(page: WidgetPage) -> int:
    return [message["t"] for message in await page.sent()].count("hello")


async def test_a_lost_question_is_asked_again_until_the_answer_is_whole(widget_page: WidgetPage) -> None:
    clock = widget_page.page.clock
    await clock.install()
    await widget_page.open()
    assert await hellos(widget_page) == 1
    await clock.fast_forward(3_000)
    assert await hellos(widget_page) == 2
    await clock.fast_forward(6_000)
    assert await hellos(widget_page) == 3

    widget_page.trace.apply(widget_page.trace.fold, widget_page.started(), *widget_page.quotes(TraceChannel.part_rows))
    widget_page.published.clear()
    widget_page.trace.snapshot()
    lost = widget_page.published.pop()
    assert lost["parts"] == 2
    await widget_page.deliver()
    await clock.fast_forward(60_000)
    assert await hellos(widget_page) == 4
    await widget_page.answer_hello()
    await expect(widget_page.page.locator(".dd-trace .dd-chip")).to_have_text("RUNNING")
    await clock.fast_forward(3_600_000)
    assert await hellos(widget_page) == 4


async def test_a_first_view_that_comes_and_a_last_one_that_goes_are_told(widget_page: WidgetPage) -> None:
    await widget_page.open(views=2)

    async def told() -> list[bool]:
        return [message["shown"] for message in await widget_page.sent() if message["t"] == "shown"]

    await widget_page.page.evaluate("() => window.views[0].dispose()")
    assert await told() == [True]
    await widget_page.page.evaluate("() => window.views[1].dispose()")
    assert await told() == [True, False]


async def test_chat_comes_first(widget_page: WidgetPage) -> None:
    await widget_page.open()
    await widget_page.answer_hello()
    page = widget_page.page
    await expect(page.get_by_text("Durable AI Agent")).to_be_visible()
    names = ["Chat", "Workflow Trace", "Timeline", "Event History", "Break it", "Runs", "Compare"]
    assert await page.get_by_role("tab").all_inner_texts() == names
    assert await selected(widget_page) == "Chat"
    await expect(page.get_by_text("Status: Monty")).to_be_hidden()


async def test_start_is_on_its_way_until_the_event_comes_back(widget_page: WidgetPage) -> None:
    await widget_page.open()
    await widget_page.answer_hello()
    await button(widget_page, "Start Monty").click()
    await expect(button(widget_page, "Starting...")).to_be_disabled()
    await button(widget_page, "Starting...").click(force=True)
    assert await widget_page.commands() == ["start_monty"]
    await expect(widget_page.page.locator(".dd-dot")).to_be_hidden()
    widget_page.trace.follow(True)
    await widget_page.show(widget_page.started())
    running_button = button(widget_page, "Monty Running...")
    await expect(running_button).to_be_disabled()
    assert await running_button.get_attribute("title") == "monty-python-1a2b3c4d is running"


async def test_a_watched_workflow_of_another_type_does_not_count_as_monty(widget_page: WidgetPage) -> None:
    await widget_page.open()
    widget_page.trace.follow(True)
    widget_page.published.clear()
    await widget_page.answer_hello()
    await widget_page.show(e.WorkflowStarted(workflow_type="OrderWorkflow", input={}, **widget_page.common()))
    await expect(widget_page.page.get_by_text("Status: OrderWorkflow is running (click")).to_be_visible()
    await expect(button(widget_page, "Start Monty")).to_be_enabled()
    await button(widget_page, "Start Monty").click()
    assert await widget_page.commands() == ["start_monty"]


async def test_the_status_bar_leads_to_the_trace(widget_page: WidgetPage) -> None:
    await running(widget_page, tab="Chat")
    bar = widget_page.page.get_by_text(
        "Status: Monty workflow is running (click Workflow Trace tab to view)", exact=True
    )
    await bar.click()
    assert (await selected(widget_page)).startswith("Workflow Trace")


async def test_the_dot_pulses_has_words_and_is_still_under_reduced_motion(widget_page: WidgetPage) -> None:
    await running(widget_page, tab="Chat")
    page = widget_page.page
    dot = page.locator(".dd-dot > [aria-hidden]")
    await expect(dot).to_have_text("●")
    assert await dot.evaluate("(node) => getComputedStyle(node).animationName") == "dd-pulse"
    await expect(page.get_by_role("tab", name="Workflow Trace running")).to_be_visible()
    await page.emulate_media(reduced_motion="reduce")
    assert await dot.evaluate("(node) => getComputedStyle(node).animationName") == "none"
    await widget_page.show(widget_page.completed(2))
    await expect(page.locator(".dd-dot")).to_be_hidden()


# --- trace tab -------------------------------------------------------------------------------------------------------


async def test_the_trace_shows_header_lines_progress_and_totals(widget_page: WidgetPage) -> None:
    await running(widget_page)
    page = widget_page.page
    assert await page.locator(".dd-trace .dd-fact").all_text_contents() == [
        "Workflow: monty-python-1a2b3c4d",
        "Status: RUNNING",
        "Started: 2025-01-19 10:30:01",
    ]
    lines = await page.get_by_role("log").locator(".dd-line").all_inner_texts()
    assert [re.sub(r"\s+", " ", line) for line in lines] == [
        "10:30:01 Workflow started: monty-python-1a2b3c4d",
        "10:30:02 Iteration 1: Activity sleeping for 15 seconds...",
        '10:30:03 Iteration 1: "It\'s just a flesh wound."',
        "10:30:04 Iteration 2: Activity sleeping for 15 seconds...",
        "10:30:04 Iteration 2: Progress 45%",
    ]
    bar = page.get_by_role("progressbar")
    assert await bar.get_attribute("aria-valuenow") == "45"
    assert await bar.get_attribute("aria-valuetext") == "45 percent, attempt 1"
    await expect(page.get_by_text("Attempt 1")).to_be_visible()
    await expect(page.get_by_text("Iterations: 2 | Quotes Delivered: 1 | Total Runtime: 3 seconds")).to_be_visible()
    time = page.locator(".dd-line time").first
    assert await time.get_attribute("title") == "2025-01-19 10:30:01"


async def test_an_empty_trace_says_what_to_do(widget_page: WidgetPage) -> None:
    await widget_page.open()
    await widget_page.answer_hello()
    await widget_page.page.get_by_role("tab", name="Workflow Trace").click()
    await expect(widget_page.page.get_by_text("No workflow trace available")).to_be_visible()
    hint = "Start a Monty workflow from the Chat tab to see trace output"
    await expect(widget_page.page.get_by_text(hint)).to_be_visible()
    await expect(button(widget_page, "Stop Workflow")).to_have_attribute("title", "No workflow is running")


@pytest.mark.parametrize(
    ("status", "enabled"),
    [
        ("RUNNING", ["Stop Workflow", "Pause", "Cancel", "Clear"]),
        ("PAUSED", ["Stop Workflow", "Resume", "Cancel", "Clear"]),
        ("STOPPING", ["Cancel", "Clear"]),
        ("COMPLETED", ["Stop Workflow", "Clear"]),
        ("FAILED", ["Stop Workflow", "Clear"]),
    ],
)
async def test_buttons_follow_the_status(widget_page: WidgetPage, status: str, enabled: list[str]) -> None:
    await running(widget_page)
    common = widget_page.common()
    match status:
        case "PAUSED":
            await widget_page.show(e.WorkflowPaused(**common))
        case "STOPPING":
            await widget_page.show(e.StopRequested(**common))
        case "COMPLETED":
            await widget_page.show(widget_page.completed(2))
        case "FAILED":
            await widget_page.show(e.WorkflowFailed(error="boom", **common))
    await expect(widget_page.page.locator(".dd-trace .dd-chip")).to_have_text(status)
    buttons = widget_page.page.get_by_role("group", name="Workflow").get_by_role("button")
    assert [await b.inner_text() for b in await buttons.all() if await b.is_enabled()] == enabled
    for disabled in await buttons.all():
        assert await disabled.is_enabled() or await disabled.get_attribute("title"), "says why it is disabled"


async def test_a_click_shows_only_that_it_waits_and_an_answer_that_refuses_is_shown(widget_page: WidgetPage) -> None:
    await running(widget_page)
    await button(widget_page, "Stop Workflow").click()
    await expect(button(widget_page, "Stopping...")).to_be_disabled()
    await expect(widget_page.page.locator(".dd-trace .dd-chip")).to_have_text("RUNNING")
    command = (await widget_page.sent())[-1]
    widget_page.feed.answer(command["id"], ok=False, message="monty-python-1a2b3c4d has already ended: COMPLETED")
    await widget_page.deliver()
    await expect(widget_page.page.get_by_text("has already ended: COMPLETED")).to_be_visible()
    await expect(button(widget_page, "Stop Workflow")).to_be_enabled()


async def test_a_stop_after_the_end_is_sent_and_answered_in_words(widget_page: WidgetPage) -> None:
    await running(widget_page)
    await widget_page.show(widget_page.completed(2))
    stop = button(widget_page, "Stop Workflow")
    await expect(stop).to_have_class(re.compile("dd-quiet"))
    await stop.click()
    command = (await widget_page.sent())[-1]
    assert command["name"] == "stop"
    widget_page.feed.answer(command["id"], ok=False, message="monty-python-1a2b3c4d has already ended: COMPLETED")
    await widget_page.deliver()
    words = "monty-python-1a2b3c4d has already ended: COMPLETED"
    await expect(widget_page.page.locator(".dd-notice")).to_have_text(words)
    await expect(widget_page.page.get_by_role("alert")).to_have_count(0)
    await expect(stop).to_be_enabled()


async def test_a_button_that_cannot_be_pressed_says_why_until_that_is_over(widget_page: WidgetPage) -> None:
    await widget_page.open()
    await widget_page.answer_hello()
    page = widget_page.page
    await page.get_by_role("tab", name="Workflow Trace").click()
    await button(widget_page, "Pause").focus()
    await page.keyboard.press("Enter")
    notice = page.locator(".dd-notice")
    await expect(notice).to_have_text("No workflow is running")
    assert await widget_page.commands() == []
    await widget_page.show(widget_page.started())
    await expect(notice).to_be_empty()


async def test_clear_empties_the_view_and_new_events_come(widget_page: WidgetPage) -> None:
    await running(widget_page)
    await button(widget_page, "Clear").click()
    assert await widget_page.commands() == ["clear"]
    widget_page.trace.clear()
    await widget_page.deliver()
    page = widget_page.page
    await expect(page.locator(".dd-line")).to_have_count(0)
    await expect(button(widget_page, "Stop Workflow")).to_be_enabled()
    await expect(page.get_by_text("... 5 earlier lines not shown")).to_be_visible()
    await widget_page.show(widget_page.quote(2))
    await expect(page.locator(".dd-line")).to_have_count(1)
    await widget_page.show(widget_page.completed(2))
    widget_page.trace.clear()
    await widget_page.deliver()
    await expect(page.get_by_text("No workflow trace available")).to_be_visible()


async def test_whatever_a_workflow_says_is_text(widget_page: WidgetPage) -> None:
    await running(widget_page)
    words = "<img src=x onerror=alert(1)> &amp; 🐍 \x00 \u202e\nsecond line"
    await widget_page.show(widget_page.quote(2, words))
    row = widget_page.page.locator(".dd-line").last
    shown = 'Iteration 2: "<img src=x onerror=alert(1)> &amp; 🐍 \\x00 \\u202e\\nsecond line"'
    assert await row.locator("span").text_content() == shown
    assert await widget_page.page.locator("img").count() == 0


async def test_a_line_that_is_replaced_stays_in_its_place(widget_page: WidgetPage) -> None:
    await running(widget_page)
    await widget_page.show(e.Reconnecting(error="away", **widget_page.common(tick=True)))
    page = widget_page.page
    await expect(page.get_by_text("Server not reachable, reconnecting...", exact=True)).to_be_visible()
    count = await page.locator(".dd-line").count()
    await widget_page.show(e.Reconnected(away=2.0, **widget_page.common(tick=True)))
    assert await page.locator(".dd-line").count() == count
    await expect(page.locator(".dd-line").last).to_contain_text("Reconnected: the server was away for 2 seconds")


async def test_ten_thousand_lines_are_bounded_and_built_a_few_at_a_time(widget_page: WidgetPage) -> None:
    await running(widget_page)
    page = widget_page.page
    await page.evaluate(
        """() => {
            window.built = [];
            new MutationObserver((changes) => {
                const added = changes.flatMap((change) => [...change.addedNodes]);
                window.built.push(added.filter((node) => node.matches?.(".dd-line")).length);
            }).observe(document.querySelector(".dd-log"), {childList: true, subtree: true});
        }"""
    )
    widget_page.trace.apply(widget_page.trace.fold, *(widget_page.quote(n) for n in range(2, MAX_LINES + 500)))
    await widget_page.answer_hello()
    await page.wait_for_function("(count) => document.querySelectorAll('.dd-line').length === count", arg=MAX_LINES)
    await widget_page.show(*(widget_page.quote(n) for n in range(MAX_LINES + 500, MAX_LINES + 700)))
    assert await page.locator(".dd-line").count() == MAX_LINES
    newest = f"Iteration {MAX_LINES + 699}:"
    await expect(page.locator(".dd-line").last).to_contain_text(newest)
    await expect(page.locator(".dd-line").last).to_be_in_viewport()
    assert max(await page.evaluate("() => window.built")) <= 500


# --- scrolling -------------------------------------------------------------------------------------------------------


async def test_the_trace_follows_the_end_unless_the_reader_scrolls_up(widget_page: WidgetPage) -> None:
    await running(widget_page, width=400)
    page = widget_page.page
    await widget_page.show(*(widget_page.quote(n, "word " * 20) for n in range(2, 300)))
    await expect(page.locator(".dd-line").last).to_be_in_viewport()
    await page.get_by_role("log").hover()
    await page.mouse.wheel(0, -2000)
    jump = page.get_by_role("button", name="Jump to latest")
    await expect(jump).to_be_visible()
    top = await page.get_by_role("log").evaluate("(log) => log.scrollTop")
    await widget_page.show(widget_page.quote(300), widget_page.sleeping(301))
    await expect(jump).to_have_text("Jump to latest (2 new lines)")
    assert await page.get_by_role("log").evaluate("(log) => log.scrollTop") == top
    await jump.click()
    await expect(jump).to_be_hidden()
    await expect(page.locator(".dd-line").last).to_be_in_viewport()
    assert await page.evaluate("() => document.activeElement.getAttribute('role')") == "log"
    await widget_page.show(widget_page.quote(301))
    await expect(page.locator(".dd-line").last).to_be_in_viewport()


async def test_the_trace_keeps_to_its_end_when_jupyter_puts_its_cell_elsewhere(widget_page: WidgetPage) -> None:
    await running(widget_page, width=400)
    page = widget_page.page
    await widget_page.show(*widget_page.quotes(60))
    # Taken out and put back between a scroll of the view's own and the event of that scroll.
    await page.evaluate(
        """() => new Promise((done) => {
            const log = document.querySelector(".dd-log");
            const view = log.closest(".durable-demo");
            new ResizeObserver((_, observer) => {
                if (log.clientHeight > 150) return;
                observer.disconnect();
                view.replaceWith(view.cloneNode());
                document.querySelector(".durable-demo").replaceWith(view);
                done();
            }).observe(log);
            log.style.height = "150px";
        })"""
    )
    await expect(page.locator(".dd-line").last).to_be_in_viewport()
    await expect(page.get_by_role("button", name="Jump to latest")).to_be_hidden()


async def test_the_way_to_the_latest_goes_when_all_is_in_view(widget_page: WidgetPage) -> None:
    await running(widget_page)
    page = widget_page.page
    await widget_page.show(*widget_page.quotes(15))
    log = page.get_by_role("log")
    await log.evaluate("(log) => { log.style.height = '120px'; }")
    await log.hover()
    await page.mouse.wheel(0, -60)
    jump = page.get_by_role("button", name="Jump to latest")
    await expect(jump).to_be_visible()
    await log.evaluate("(log) => { log.style.height = '700px'; }")
    await expect(jump).to_be_hidden()


async def test_lines_that_came_while_the_tab_was_hidden_are_at_the_end_when_it_opens(widget_page: WidgetPage) -> None:
    await running(widget_page, tab="Chat")
    await widget_page.show(*widget_page.quotes(300))
    await widget_page.page.get_by_role("tab", name="Workflow Trace").click()
    await expect(widget_page.page.locator(".dd-line").last).to_be_in_viewport()


# --- keyboard, screen reader, contrast -------------------------------------------------------------------------------


async def test_tabs_by_keyboard(widget_page: WidgetPage) -> None:
    await running(widget_page, tab="Chat")
    page = widget_page.page
    await page.get_by_role("tab", name="Chat").focus()
    for key, expected in [
        ("ArrowRight", "Workflow Trace"),
        ("ArrowRight", "Timeline"),
        ("Home", "Chat"),
        ("ArrowLeft", "Compare"),
        ("ArrowRight", "Chat"),
        ("End", "Compare"),
    ]:
        await page.keyboard.press(key)
        assert (await selected(widget_page)).startswith(expected)
        assert (await page.evaluate("() => document.activeElement.textContent")).startswith(expected)
        await expect(page.get_by_role("tabpanel")).to_have_count(1)
    assert await page.locator("[role=tab][tabindex='0']").count() == 1


async def test_the_whole_trace_tab_is_reached_with_the_tab_key_and_focus_is_not_lost(widget_page: WidgetPage) -> None:
    await running(widget_page)
    page = widget_page.page
    await page.get_by_role("tab", name="Workflow Trace").focus()
    reached = []
    for _ in range(5):
        await page.keyboard.press("Tab")
        reached.append(
            await page.evaluate(
                "() => document.activeElement.getAttribute('role') ?? document.activeElement.textContent"
            )
        )
    assert reached == ["Stop Workflow", "Pause", "Cancel", "Clear", "log"]
    await button(widget_page, "Stop Workflow").focus()
    await page.keyboard.press("Enter")
    await widget_page.show(e.StopRequested(**widget_page.common()), widget_page.completed(2))
    assert await page.evaluate("() => document.activeElement.textContent") == "Stop Workflow"


async def test_notebook_shortcuts_are_kept_off_everything_that_takes_focus(widget_page: WidgetPage) -> None:
    await running(widget_page)
    widget_page.panel.alert(ServerUnreachable("away"))
    widget_page.feed.flush()
    await widget_page.deliver()
    unprotected = await widget_page.page.evaluate(
        """() => [...document.querySelectorAll("button, [tabindex], a, textarea, summary")]
            .filter((node) => node.dataset.lmSuppressShortcuts !== "true").map((node) => node.outerHTML)"""
    )
    assert unprotected == []


async def test_a_screen_reader_hears_quotes_states_and_problems_only(widget_page: WidgetPage) -> None:
    await running(widget_page)
    page = widget_page.page
    assert await page.get_by_role("log").get_attribute("aria-live") == "off"
    await widget_page.show(
        widget_page.tick(2, 80),
        widget_page.quote(2, "Ni!"),
        widget_page.sleeping(3),
        e.WorkflowPaused(**widget_page.common()),
    )
    await expect(page.locator(VOICE)).to_have_text('Iteration 2: "Ni!" Status: PAUSED')


@pytest.mark.parametrize(("widget", "tab"), [("panel", "Chat"), ("trace", "")])
async def test_the_voice_is_heard_whatever_tab_is_chosen(widget_page: WidgetPage, widget: str, tab: str) -> None:
    await running(widget_page, widget=widget, tab=tab)
    await widget_page.show(widget_page.quote(2, "Ni!"))
    voice = widget_page.page.locator(VOICE)
    await expect(voice).to_have_text('Iteration 2: "Ni!"')
    assert await voice.evaluate("(node) => node.getClientRects().length > 0")


async def test_of_several_views_one_that_is_not_hidden_speaks(widget_page: WidgetPage) -> None:
    await running(widget_page, views=2)
    page = widget_page.page
    await page.evaluate("() => { window.views[0].el.hidden = true; }")
    await widget_page.show(widget_page.quote(2, "Ni!"))
    await expect(page.locator(VOICE).nth(1)).to_have_text('Iteration 2: "Ni!"')
    await page.evaluate("() => { window.views[0].el.hidden = false; }")
    await widget_page.show(widget_page.quote(3, "Peng!"))
    await expect(page.locator(VOICE).nth(1)).to_have_text('Iteration 3: "Peng!"')
    await expect(page.locator(VOICE).nth(0)).not_to_contain_text("Peng!")


async def test_many_news_at_once_are_summed_up(widget_page: WidgetPage) -> None:
    await running(widget_page)
    await widget_page.show(*(widget_page.quote(n, f"q{n}") for n in range(2, 50)))
    voice = widget_page.page.locator(VOICE)
    await expect(voice).to_have_text('45 more. Iteration 47: "q47" Iteration 48: "q48" Iteration 49: "q49"')


CONTRAST = """() => {
    const parse = (text) => {
        const numbers = text.match(/[\\d.]+/g).map(Number);
        const scale = text.startsWith("color(srgb") ? 255 : 1;
        return [...numbers.slice(0, 3).map((value) => value * scale), numbers[3] ?? 1];
    };
    const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
    const linear = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const background = (node) => {
        const below = node.parentElement ? background(node.parentElement) : [255, 255, 255, 1];
        return over(parse(getComputedStyle(node).backgroundColor), below);
    };
    const poor = [];
    for (const node of document.querySelectorAll(".durable-demo *")) {
        const ownText = [...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.data.trim());
        if (!ownText || !node.checkVisibility({visibilityProperty: true}) || node.closest(".dd-hidden")) continue;
        const below = background(node);
        const [a, b] = [luminance(over(parse(getComputedStyle(node).color), below)), luminance(below)];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) poor.push([node.textContent.slice(0, 40), ratio.toFixed(2)]);
    }
    return poor;
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_all_text_has_enough_contrast(widget_page: WidgetPage, theme: str) -> None:
    await running(widget_page, theme=theme)
    page = widget_page.page
    await page.emulate_media(reduced_motion="reduce")
    widget_page.panel.alert(ServerUnreachable("away", why="killed", remedy="start it"))
    await widget_page.show(
        e.ActivityRetry(activity_id="1", activity_type="sleep", attempt=2, error="x", **widget_page.common(tick=True)),
        widget_page.tick(2, 60, attempt=2),
        e.Reconnecting(error="away", **widget_page.common(tick=True)),
    )
    assert await page.evaluate(CONTRAST) == []
    await page.get_by_role("tab", name="Chat").click()
    assert await page.evaluate(CONTRAST) == []
    await widget_page.show(e.WorkflowFailed(error="boom", **widget_page.common()))
    await page.get_by_role("tab", name="Workflow Trace").click()
    await page.evaluate("() => window.views[0].el.classList.add('jupyter-widgets-disconnected')")
    await expect(page.get_by_text(DISCONNECTED)).to_be_visible()
    assert await page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("width", [320, 400, 700, 1400, 1920])
async def test_nothing_is_wider_than_the_panel(widget_page: WidgetPage, width: int) -> None:
    await running(widget_page, width=width)
    widget_page.panel.alert(ServerUnreachable("x" * 300, why="y" * 300))
    await widget_page.show(widget_page.quote(2, "z" * 500))
    wide = await widget_page.page.evaluate(
        """() => [...document.querySelectorAll(".durable-demo, .durable-demo *")]
            .filter((node) => node.checkVisibility() && !node.closest(".dd-hidden"))
            .filter((node) => node.getBoundingClientRect().right > innerWidth)
            .map((node) => node.className)"""
    )
    assert wide == []


# --- errors, reload, several views -----------------------------------------------------------------------------------


async def test_an_error_is_an_alert_with_what_why_and_next_and_can_be_dismissed(widget_page: WidgetPage) -> None:
    await running(widget_page, tab="Chat")
    widget_page.panel.alert(ServerUnreachable("no server answers", why="it was killed", remedy="durable-demo status"))
    widget_page.feed.flush()
    await widget_page.deliver()
    alert = widget_page.page.get_by_role("alert")
    for words in ("Error: no server answers", "Why: it was killed", "Next: durable-demo status"):
        await expect(alert).to_contain_text(words)
    await alert.get_by_role("button", name="Dismiss").click()
    command = (await widget_page.sent())[-1]
    assert command["name"] == "dismiss"
    widget_page.panel.dismiss(**command["args"])
    widget_page.feed.flush()
    await widget_page.deliver()
    await expect(alert).to_have_count(0)


@pytest.mark.parametrize(("widget", "last"), [("panel", "Chat"), ("trace", "Stop Workflow")])
async def test_the_keyboard_goes_on_after_a_dismissal(widget_page: WidgetPage, widget: str, last: str) -> None:
    await running(widget_page, widget=widget, tab="Chat")
    for words in ("one", "two", "three"):
        widget_page.panel.alert(ServerUnreachable(words))
    widget_page.feed.flush()
    await widget_page.deliver()
    page = widget_page.page
    await page.get_by_role("alert").filter(has_text="two").get_by_role("button").focus()
    for expected in ("three", "one", ""):
        await page.keyboard.press("Enter")
        widget_page.panel.dismiss(**(await widget_page.sent())[-1]["args"])
        widget_page.feed.flush()
        await widget_page.deliver()
        focused = page.locator(":focus")
        if expected:
            await expect(focused).to_have_text("Dismiss")
            await expect(page.get_by_role("alert").filter(has=focused)).to_contain_text(expected)
        else:
            await expect(focused).to_have_text(last)


async def test_a_lost_kernel_is_told_and_its_return_asks_for_everything(widget_page: WidgetPage) -> None:
    await running(widget_page)
    page = widget_page.page
    await page.evaluate("() => window.kernel.lose(true)")
    await expect(page.get_by_text(DISCONNECTED)).to_be_visible()
    await expect(button(widget_page, "Stop Workflow")).to_have_attribute("title", "Disconnected from the kernel")
    await page.evaluate("() => window.kernel.lose(false)")
    await expect(page.get_by_text(DISCONNECTED)).to_be_hidden()
    await expect(button(widget_page, "Stop Workflow")).to_be_enabled()
    assert (await widget_page.sent())[-1]["t"] == "hello"


async def test_the_chosen_tab_survives_a_reload(widget_page: WidgetPage) -> None:
    await running(widget_page)
    await widget_page.open()
    await widget_page.answer_hello()
    assert (await selected(widget_page)).startswith("Workflow Trace")


async def test_a_missed_delta_is_asked_for_once_and_healed(widget_page: WidgetPage) -> None:
    await running(widget_page)
    before = await hellos(widget_page)
    for event in (widget_page.quote(2), widget_page.sleeping(3), widget_page.tick(3, 50)):
        widget_page.trace.apply(widget_page.trace.fold, event)
        widget_page.feed.flush()
    del widget_page.published[0]
    # Both at once, so that no time passes in which the question would be repeated.
    await widget_page.deliver()
    assert await hellos(widget_page) == before + 1
    await widget_page.answer_hello()
    await expect(widget_page.page.locator(".dd-line")).to_have_count(8)


async def test_two_views_stay_in_step_with_a_tab_of_their_own(widget_page: WidgetPage) -> None:
    await running(widget_page, views=2)
    page = widget_page.page
    await expect(page.locator(".dd-line")).to_have_count(10)
    tabs = [await tab.inner_text() for tab in await page.locator("[role=tab][aria-selected=true]").all()]
    assert [name.split("●")[0].strip() for name in tabs] == ["Workflow Trace", "Chat"]
    await page.evaluate("() => window.views[0].dispose()")
    await widget_page.show(widget_page.quote(2))
    counts = [await view.locator(".dd-line").count() for view in await page.locator(".durable-demo").all()]
    assert counts == [5, 6]


async def test_the_trace_view_alone_has_its_buttons_and_no_tabs(widget_page: WidgetPage) -> None:
    await running(widget_page, widget="trace")
    assert await widget_page.page.get_by_role("tab").count() == 0
    await expect(widget_page.page.locator(".dd-line")).to_have_count(5)
    await button(widget_page, "Pause").click()
    assert await widget_page.commands() == ["pause"]

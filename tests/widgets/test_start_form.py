"""The form with start options in Chromium."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Locator, expect

from durable_demo.widgets.feed import Message
from durable_demo.widgets.start_options import START_FIELDS, read_start_form
from tests.axe import violations
from tests.widgets.page import WidgetPage
from tests.widgets.test_runs_view import answer, button, commands
from tests.widgets.test_views import CONTRAST

pytestmark = pytest.mark.browser

SCRIPTS = (
    "far_end.js",
    "dom.js",
    "channel.js",
    "feed.js",
    "voice.js",
    "log_end.js",
    "actions.js",
    "alerts.js",
    "start_form.js",
)
STYLES = ("base.css", "trace_view.css", "panel.css", "start_form.css")
CREATE = """((feed, notice, go) => {
    const { el, button, update, setDisconnected } = createStartForm(feed, notice, () => go("started"));
    feed.listen(update);
    return { el, actions: [button], show() {}, setDisconnected, dispose() {} };
})"""
AS_IT_IS = {"count": "1", "min_sleep": "2", "max_sleep": "5", "seed": "", "iterations": "", "quotes": ""}


async def closed(page: WidgetPage, **options: Any) -> None:
    await page.open_view(CREATE, scripts=SCRIPTS, styles=STYLES, channels=["trace", "panel"], **options)
    await page.answer_hello()


async def opened(page: WidgetPage, **options: Any) -> None:
    await closed(page, **options)
    await button(page, "Start with options").click()


def field(page: WidgetPage, label: str) -> Locator:
    return page.page.get_by_label(label, exact=True)


async def started(page: WidgetPage) -> list[Message]:
    """Arguments of the starts that the page has asked for."""
    return await commands(page, "start_many")


def submit(page: WidgetPage) -> Locator:
    return page.page.get_by_role("button", name=re.compile(r"^Start( \d+ workflows?)?$"))


def notice(page: WidgetPage) -> Locator:
    return page.page.locator(".dd-notice")


# --- opening ---------------------------------------------------------------------------------------------------------


async def test_it_opens_and_closes_with_its_button(widget_page: WidgetPage) -> None:
    await closed(widget_page)
    form = widget_page.page.get_by_role("form", name="Start options")
    options = button(widget_page, "Start with options")
    await expect(form).to_be_hidden()
    await expect(options).to_have_attribute("aria-expanded", "false")
    await options.click()
    await expect(form).to_be_visible()
    await expect(options).to_have_attribute("aria-expanded", "true")
    assert await options.get_attribute("aria-controls") == await form.get_attribute("id")
    await expect(field(widget_page, "Number of workflows")).to_be_focused()
    await widget_page.page.keyboard.press("Escape")
    await expect(form).to_be_hidden()
    await expect(options).to_be_focused()


async def test_its_labels_are_those_that_the_kernel_names_and_what_it_holds_can_be_sent(
    widget_page: WidgetPage,
) -> None:
    await opened(widget_page)
    assert await widget_page.page.locator("form label").all_inner_texts() == list(START_FIELDS.values())
    await submit(widget_page).click()
    assert await started(widget_page) == [AS_IT_IS]
    assert read_start_form(AS_IT_IS) == (1, {"min_sleep": 2.0, "max_sleep": 5.0})


async def test_each_field_is_described_by_its_hint(widget_page: WidgetPage) -> None:
    await opened(widget_page)
    for label, hint in [("Seed", "empty: random"), ("Quotes", "One per line. Your own quotes are delivered first.")]:
        await expect(field(widget_page, label)).to_have_accessible_description(hint)


# --- starting --------------------------------------------------------------------------------------------------------


async def test_what_was_typed_is_sent_as_it_is_and_kept(widget_page: WidgetPage) -> None:
    await opened(widget_page)
    typed = dict(zip(START_FIELDS, ("3", "0.5", "1.5", "42", "7", "Ni!\n\n Peng!\n"), strict=True))
    for name, label in START_FIELDS.items():
        await field(widget_page, label).fill(typed[name])
    await submit(widget_page).click()
    assert await started(widget_page) == [typed]
    await answer(widget_page, "start_many")
    await expect(notice(widget_page)).to_have_text("3 workflows started")
    assert (await widget_page.sent())[-1] == {"t": "go", "tab": "started"}
    for name, label in START_FIELDS.items():
        await expect(field(widget_page, label)).to_have_value(typed[name])


async def test_one_start_at_a_time(widget_page: WidgetPage) -> None:
    await opened(widget_page)
    await submit(widget_page).dblclick()
    await expect(button(widget_page, "Starting...")).to_be_disabled()
    await field(widget_page, "Seed").press("Enter")
    assert len(await started(widget_page)) == 1
    await answer(widget_page, "start_many", message="monty-python-1 started")
    await expect(notice(widget_page)).to_have_text("monty-python-1 started")
    await submit(widget_page).click()
    assert len(await started(widget_page)) == 2


@pytest.mark.parametrize(
    ("typed", "words"),
    [("5", "Start 5 workflows"), ("+01", "Start 1 workflow"), ("21", "Start"), ("", "Start"), ("x", "Start")],
)
async def test_the_button_says_how_many_it_starts(widget_page: WidgetPage, typed: str, words: str) -> None:
    await opened(widget_page)
    await expect(submit(widget_page)).to_have_text("Start 1 workflow")
    reset = button(widget_page, "Reset")
    place = await reset.bounding_box()
    await field(widget_page, "Number of workflows").fill(typed)
    await expect(submit(widget_page)).to_have_text(words)
    assert await reset.bounding_box() == place
    await reset.click()
    await expect(submit(widget_page)).to_have_text("Start 1 workflow")


async def test_a_field_keeps_its_height_when_something_is_wrong_with_it(widget_page: WidgetPage) -> None:
    await opened(widget_page)
    seed = field(widget_page, "Seed")
    before = await seed.bounding_box()
    await seed.fill("x")
    await seed.press("Enter")
    await expect(seed).to_have_attribute("aria-invalid", "true")
    assert await seed.bounding_box() == before


@pytest.mark.parametrize(("label", "key"), [("Seed", "Enter"), ("Quotes", "Control+Enter"), ("Quotes", "Meta+Enter")])
async def test_the_keyboard_starts(widget_page: WidgetPage, label: str, key: str) -> None:
    await opened(widget_page)
    await field(widget_page, label).press(key)
    assert len(await started(widget_page)) == 1


async def test_enter_among_the_quotes_begins_a_line_and_no_key_leaves_the_form(widget_page: WidgetPage) -> None:
    await opened(widget_page)
    await widget_page.page.evaluate(
        "() => { window.leaked = []; addEventListener('keydown', ({key}) => window.leaked.push(key)); }"
    )
    quotes = field(widget_page, "Quotes")
    await quotes.press_sequentially("a")
    for key in ("Enter", "b", "Control+Enter"):
        await quotes.press(key)
    await expect(quotes).to_have_value("a\nb")
    assert await widget_page.page.evaluate("() => window.leaked") == []
    assert len(await started(widget_page)) == 1


async def test_a_busy_kernel_is_told(widget_page: WidgetPage) -> None:
    await widget_page.page.clock.install()
    await opened(widget_page)
    await submit(widget_page).click()
    await widget_page.page.clock.fast_forward(2_000)
    await expect(notice(widget_page)).to_have_text("The kernel is busy: the click waits for the running cell.")


async def test_without_a_kernel_nothing_is_sent_and_it_says_why(widget_page: WidgetPage) -> None:
    await opened(widget_page)
    await widget_page.page.evaluate("() => window.kernel.lose(true)")
    start = submit(widget_page)
    await expect(start).to_be_disabled()
    await field(widget_page, "Seed").press("Enter")
    await expect(notice(widget_page)).to_have_text("Disconnected from the kernel")
    await widget_page.page.evaluate("() => window.kernel.lose(false)")
    await expect(notice(widget_page)).to_be_empty()
    await expect(start).to_be_enabled()
    assert await started(widget_page) == []


# --- what cannot be used ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "text", "message"),
    [
        pytest.param("Number of workflows", "21", "must be a whole number from 1 to 20", id="too-many-workflows"),
        pytest.param("Number of workflows", "", "must be a whole number from 1 to 20", id="no-number"),
        pytest.param("Shortest sleep", "soon", "must be more than 0 and at most 3600 seconds", id="no-seconds"),
        pytest.param("Shortest sleep", "9", "must not be longer than Longest sleep", id="shortest-is-longer"),
        pytest.param("Longest sleep", "4000", "at most 3600", id="too-long"),
        pytest.param("Seed", "1.5", "must be a whole number, or empty", id="seed-of-a-half"),
        pytest.param("Iterations", "0", "must be a whole number from 1 on, or empty", id="no-iterations"),
        pytest.param("Quotes", "Ni!\n" * 101, "must be at most 100, not 101", id="too-many-quotes"),
        pytest.param("Quotes", f"Ni!\n\n{'x' * 281}", "at most 280 characters each: quote 2 has more", id="long-quote"),
    ],
)
async def test_what_is_plainly_wrong_is_said_under_its_field_at_once(
    widget_page: WidgetPage, label: str, text: str, message: str
) -> None:
    await opened(widget_page)
    wrong = field(widget_page, label)
    await wrong.fill(text)
    await submit(widget_page).click()
    assert await started(widget_page) == []
    await expect(wrong).to_be_focused()
    await expect(wrong).to_have_attribute("aria-invalid", "true")
    said = widget_page.page.locator(".dd-sf-field").filter(has=wrong).locator(".dd-sf-error")
    await expect(said).to_contain_text(message)
    await expect(said).to_contain_text(label)
    await wrong.fill({"Number of workflows": "20", "Shortest sleep": "1", "Quotes": "Ni!"}.get(label, "10"))
    await expect(said).to_be_empty()
    await submit(widget_page).click()
    assert len(await started(widget_page)) == 1


@pytest.mark.parametrize(
    ("label", "message"),
    [
        pytest.param("Quotes", 'Quotes: quote 2 is a duplicate: "Ni!"', id="quotes"),
        pytest.param("Longest sleep", "Longest sleep must be at most 3600 seconds", id="sleep"),
    ],
)
async def test_what_the_kernel_refuses_is_said_in_the_form_and_under_the_field(
    widget_page: WidgetPage, label: str, message: str
) -> None:
    await opened(widget_page)
    await field(widget_page, "Quotes").fill("Ni!\nNi!")
    await submit(widget_page).click()
    await answer(widget_page, "start_many", ok=False, invalid=True, message=message)
    await expect(widget_page.page.get_by_role("alert")).to_have_text(message)
    await expect(field(widget_page, label)).to_have_attribute("aria-invalid", "true")
    await expect(field(widget_page, label)).to_be_focused()
    await expect(field(widget_page, "Quotes")).to_have_value("Ni!\nNi!")
    await field(widget_page, label).press_sequentially("1")
    await expect(widget_page.page.get_by_role("alert")).to_be_empty()


async def test_another_failure_is_said_once(widget_page: WidgetPage) -> None:
    await opened(widget_page)
    await submit(widget_page).click()
    await answer(widget_page, "start_many", ok=False, message="no server answers", alert=True)
    await expect(submit(widget_page)).to_be_enabled()
    await expect(widget_page.page.get_by_role("alert")).to_be_empty()
    await submit(widget_page).click()
    await answer(widget_page, "start_many", ok=False, message="the kernel cannot be reached")
    await expect(widget_page.page.get_by_role("alert")).to_have_text("the kernel cannot be reached")
    assert [message["t"] for message in await widget_page.sent()].count("go") == 0


async def test_the_quotes_are_counted(widget_page: WidgetPage) -> None:
    await opened(widget_page)
    await expect(widget_page.page.get_by_text("0 of 100 quotes")).to_be_visible()
    await field(widget_page, "Quotes").fill("Ni!\n\nPeng!\n   \nNeee-wom!")
    await expect(widget_page.page.get_by_text("3 of 100 quotes")).to_be_visible()


async def test_reset_brings_back_what_was_there_first(widget_page: WidgetPage) -> None:
    await opened(widget_page)
    await field(widget_page, "Number of workflows").fill("x")
    await field(widget_page, "Quotes").fill("Ni!")
    await submit(widget_page).click()
    await button(widget_page, "Reset").click()
    await expect(widget_page.page.locator("[aria-invalid]")).to_have_count(0)
    await expect(widget_page.page.get_by_text("0 of 100 quotes")).to_be_visible()
    await submit(widget_page).click()
    assert await started(widget_page) == [AS_IT_IS]


# --- look ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 900])
async def test_axe_finds_nothing_and_all_text_has_contrast(widget_page: WidgetPage, theme: str, width: int) -> None:
    await opened(widget_page, theme=theme, width=width)
    assert await violations(widget_page.page) == []
    assert await widget_page.page.evaluate(CONTRAST) == []
    await submit(widget_page).click()
    await answer(widget_page, "start_many", ok=False, invalid=True, message="Seed must be smaller")
    await field(widget_page, "Iterations").fill("none")
    await field(widget_page, "Iterations").blur()
    assert await violations(widget_page.page) == []
    assert await widget_page.page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("width", [320, 400, 700, 1400])
async def test_nothing_is_wider_than_the_panel(widget_page: WidgetPage, width: int) -> None:
    await opened(widget_page, width=width)
    await field(widget_page, "Seed").fill("x" * 80)
    await submit(widget_page).click()
    wide = await widget_page.page.evaluate(
        """() => [...document.querySelectorAll(".durable-demo *")]
            .filter((node) => node.checkVisibility() && node.getBoundingClientRect().right > innerWidth)
            .map((node) => node.className)"""
    )
    assert wide == []


async def test_notebook_shortcuts_are_kept_off_everything_that_takes_focus(widget_page: WidgetPage) -> None:
    await opened(widget_page)
    unprotected = await widget_page.page.evaluate(
        """() => [...document.querySelectorAll("button, input, textarea")]
            .filter((node) => node.dataset.lmSuppressShortcuts !== "true").map((node) => node.outerHTML)"""
    )
    assert unprotected == []

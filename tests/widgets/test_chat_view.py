"""The Chat tab in Chromium: the real messages of a feed on one side, a person with mouse or keyboard on the other."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from durable_demo import events as e
from tests.widgets.page import CHAT_ID, ORIGIN, WidgetPage
from tests.widgets.test_views import CONTRAST, VOICE, button

pytestmark = pytest.mark.browser

NYC = "What's the weather in NYC?"
PROGRESS = "[Progress: Analyzing with tools...]"
SENDING = re.compile("^(Sending|Still sending)")
"""The other after 5 seconds."""


async def chatting(page: WidgetPage, *events: e.Event, **options: Any) -> None:
    """A panel that shows a conversation."""
    await page.open(**options)
    page.chat.follow(True)
    page.chat.apply(page.chat.fold, *page.chat_begun(), *events)
    page.published.clear()
    await page.answer_hello()


async def empty(page: WidgetPage, **options: Any) -> None:
    await page.open(**options)
    await page.answer_hello()


def composer(page: Page) -> Locator:
    return page.get_by_placeholder("Type your message...")


def turns(page: Page) -> Locator:
    return page.locator(".dd-turn")


async def commands(page: WidgetPage, name: str) -> list[dict[str, Any]]:
    """Arguments and ids of the commands of this name that the page has sent."""
    return [message["args"] | {"id": message["id"]} for message in await page.sent() if message.get("name") == name]


async def write(page: WidgetPage, text: str) -> dict[str, Any]:
    """Types a message and presses Enter; returns the command."""
    await composer(page.page).fill(text)
    await composer(page.page).press("Enter")
    return (await commands(page, "send"))[-1]


async def answer(page: WidgetPage, command: dict[str, Any], **answered: Any) -> None:
    page.feed.answer(command["id"], **{"ok": True, "message": "", **answered})
    await page.deliver()


# --- sending ---------------------------------------------------------------------------------------------------------


async def test_a_message_shows_at_once_and_is_one_turn_when_it_comes_back(widget_page: WidgetPage) -> None:
    await empty(widget_page)
    page = widget_page.page
    sent = await write(widget_page, f"  {NYC}")
    assert re.fullmatch(r"[0-9a-f]{32}", sent["message_id"])
    assert (sent["text"], sent["retry_of"]) == (f"  {NYC}", "")
    await expect(composer(page)).to_have_value("")
    await expect(composer(page)).to_be_focused()
    await expect(turns(page)).to_have_count(1)
    await expect(page.get_by_text(SENDING)).to_be_visible()

    widget_page.chat.restart()
    received = e.MessageReceived(message_id=sent["message_id"], text=NYC, **widget_page.chat_common())
    await widget_page.show_in(widget_page.chat, *widget_page.chat_begun(), received)
    await expect(turns(page)).to_have_count(1)
    await expect(page.get_by_text(SENDING)).to_have_count(0)
    await expect(page.get_by_text("Thinking...")).to_be_visible()
    await expect(page.get_by_text("Model: offline brain (rules)")).to_be_visible()
    await expect(page.get_by_text("Weather: typical values, not a live reading")).to_be_visible()


async def test_examples_send_and_leave_the_keyboard_in_the_composer(widget_page: WidgetPage) -> None:
    await empty(widget_page)
    page = widget_page.page
    examples = page.get_by_role("group", name="Examples").get_by_role("button")
    assert await examples.all_inner_texts() == [
        NYC,
        "Which is warmer, Cairo or Oslo?",
        "What is 12% of 250?",
        "What can you do?",
    ]
    await examples.first.click()
    assert [sent["text"] for sent in await commands(widget_page, "send")] == [NYC]
    await expect(composer(page)).to_be_focused()
    await expect(page.get_by_role("group", name="Examples")).to_be_hidden()


async def test_enter_sends_shift_enter_does_not_and_blank_is_not_sent(widget_page: WidgetPage) -> None:
    await chatting(widget_page)
    page = widget_page.page
    await expect(button(widget_page, "Send")).to_be_disabled()
    await composer(page).press("Enter")
    await composer(page).fill("  ")
    await composer(page).press("Enter")
    await button(widget_page, "Send").click(force=True)
    assert await commands(widget_page, "send") == []
    await composer(page).fill("one")
    await composer(page).press("Shift+Enter")
    await page.keyboard.type("two")
    await expect(button(widget_page, "Send")).to_be_enabled()
    await button(widget_page, "Send").click()
    assert [sent["text"] for sent in await commands(widget_page, "send")] == ["one\ntwo"]
    await expect(composer(page)).to_be_focused()


async def test_the_enter_that_ends_a_composition_does_not_send(widget_page: WidgetPage) -> None:
    await chatting(widget_page)
    await composer(widget_page.page).fill("東京")
    for init in ("isComposing: true", "keyCode: 229"):
        await composer(widget_page.page).evaluate(
            f"(input) => input.dispatchEvent(new KeyboardEvent('keydown', {{key: 'Enter', bubbles: true, {init}}}))"
        )
    assert await commands(widget_page, "send") == []


async def test_what_the_kernel_refuses_comes_back_into_the_composer_with_the_reason(widget_page: WidgetPage) -> None:
    await chatting(widget_page)
    page = widget_page.page
    await composer(page).fill("x" * 4_001)
    await expect(page.get_by_text("4,001 of 4,000")).to_be_visible()
    sent = await write(widget_page, "x" * 4_001)
    await answer(widget_page, sent, ok=False, message="the message has 4,001 characters", invalid=True)
    await expect(page.get_by_text("the message has 4,001 characters")).to_be_visible()
    assert len(await composer(page).input_value()) == 4_001
    await expect(turns(page)).to_have_count(0)
    await composer(page).fill("short")
    await expect(page.get_by_text("the message has 4,001 characters")).to_be_hidden()


async def test_what_was_not_sent_stays_with_its_reason_and_retry_keeps_its_id(widget_page: WidgetPage) -> None:
    await chatting(widget_page)
    page = widget_page.page
    sent = await write(widget_page, "Hello")
    await answer(widget_page, sent, ok=False, message="no server answers")
    await expect(page.get_by_text("Not sent: no server answers. Retry sends it again.")).to_be_visible()
    await expect(page.locator(VOICE)).to_have_text("Not sent: no server answers")
    await turns(page).get_by_role("button", name="Retry").click()
    await expect(page.get_by_text(SENDING)).to_be_visible()
    first, second = await commands(widget_page, "send")
    assert (first["message_id"], first["text"]) == (second["message_id"], second["text"])
    await answer(widget_page, second, ok=False, message="still away")
    await turns(page).get_by_role("button", name="Discard").click()
    await expect(turns(page)).to_have_count(0)


async def test_what_is_refused_at_the_second_attempt_comes_back_as_well(widget_page: WidgetPage) -> None:
    await chatting(widget_page)
    page = widget_page.page
    sent = await write(widget_page, "Hello")
    await answer(widget_page, sent, ok=False, message="no server answers")
    await turns(page).get_by_role("button", name="Retry").click()
    await answer(widget_page, (await commands(widget_page, "send"))[-1], ok=False, message="too old", invalid=True)
    await expect(turns(page)).to_have_count(0)
    await expect(composer(page)).to_have_value("Hello")
    await expect(page.get_by_text("too old")).to_be_visible()


async def test_what_is_refused_while_something_else_is_written_is_kept_in_an_alert(widget_page: WidgetPage) -> None:
    await chatting(widget_page, widget_page.message(1, "one"), widget_page.failed(1, "broken"))
    page = widget_page.page
    await turns(page).get_by_role("button", name="Retry").click()
    await composer(page).fill("something else")
    await answer(widget_page, (await commands(widget_page, "send"))[-1], ok=False, message="too old", invalid=True)
    await expect(page.get_by_role("alert")).to_contain_text("a message was not sent: too old")
    await expect(page.get_by_role("alert").get_by_role("group", name="Text")).to_have_text("one")
    await expect(composer(page)).to_have_value("something else")
    await page.get_by_role("alert").get_by_role("button", name="Dismiss").click()
    await expect(page.get_by_role("alert")).to_have_count(0)


async def test_the_keyboard_goes_on_in_the_composer_after_retry_and_discard(widget_page: WidgetPage) -> None:
    await chatting(widget_page)
    page = widget_page.page
    sent = await write(widget_page, "Hello")
    for name in ("Retry", "Discard"):
        await answer(widget_page, sent, ok=False, message="away")
        await turns(page).get_by_role("button", name=name).focus()
        await page.keyboard.press("Enter")
        await expect(composer(page)).to_be_focused()
        sent = (await commands(widget_page, "send"))[-1]
    await expect(turns(page)).to_have_count(0)


async def test_a_double_click_sends_once(widget_page: WidgetPage) -> None:
    await empty(widget_page)
    page = widget_page.page
    await page.get_by_role("group", name="Examples").get_by_role("button").first.dblclick()
    assert len(await commands(widget_page, "send")) == 1
    (sent,) = await commands(widget_page, "send")
    events = [
        e.MessageReceived(message_id=sent["message_id"], text=NYC, **widget_page.chat_common()),
        e.MessageFailed(message_id=sent["message_id"], error="broken", **widget_page.chat_common()),
    ]
    await widget_page.show_in(widget_page.chat, *widget_page.chat_begun(), *events)
    await turns(page).get_by_role("button", name="Retry").dblclick()
    assert [again["retry_of"] for again in await commands(widget_page, "send")] == ["", sent["message_id"]]


async def test_a_message_that_waits_long_says_so(widget_page: WidgetPage) -> None:
    await widget_page.page.clock.install()
    await chatting(widget_page)
    await write(widget_page, "Hello")
    await widget_page.page.clock.fast_forward(5_100)
    still = widget_page.page.get_by_text("Still sending: the kernel is busy, or no Worker runs...")
    await expect(still).to_be_visible()
    await widget_page.show_in(widget_page.chat, widget_page.message(1, "one"), widget_page.asked(1))
    await expect(widget_page.page.get_by_text("Waiting: messages before it are not answered yet...")).to_be_visible()
    await expect(still).to_have_count(0)


async def test_messages_sent_while_it_answers_are_queued_in_order(widget_page: WidgetPage) -> None:
    page = widget_page.page
    await chatting(widget_page, widget_page.message(1, "one"), widget_page.asked(1), widget_page.message(2, "two"))
    await expect(turns(page).nth(1)).to_contain_text("Waiting for the answer before this one...")
    await write(widget_page, "three")
    await expect(page.locator(".dd-words")).to_have_text(["one", "two", "three"])
    await widget_page.show_in(widget_page.chat, widget_page.answered(1, "first"))
    await expect(turns(page).nth(1)).to_contain_text("Thinking...")


# --- answers ---------------------------------------------------------------------------------------------------------


async def test_the_steps_of_an_answer(widget_page: WidgetPage) -> None:
    await chatting(widget_page, widget_page.message(1, "Which is warmer, Cairo or Oslo?"), widget_page.asked(1))
    page = widget_page.page
    turn = turns(page).first
    await widget_page.show_in(
        widget_page.chat,
        widget_page.using_tools(1),
        widget_page.tool_called(1, "Cairo"),
        widget_page.tool_called(1, "Oslo", 2),
    )
    await expect(turn.locator(".dd-interim")).to_have_text("Let me check the weather for you...")
    await expect(turn.get_by_text(PROGRESS, exact=True)).to_be_visible()
    summary = turn.locator("summary")
    await expect(summary).to_have_text("2 steps: get_weather(Cairo), get_weather(Oslo)")
    await summary.focus()
    await page.keyboard.press("Enter")
    await widget_page.show_in(
        widget_page.chat,
        widget_page.tool_answered(1, {"temperature_c": 24.1}),
        widget_page.tool_answered(1, None, 2, error="no such city", attempt=3),
    )
    await expect(summary).to_be_focused()
    steps = turn.get_by_role("listitem")
    await expect(steps.first.locator("pre")).to_have_text(['{\n  "city": "Cairo"\n}', '{\n  "temperature_c": 24.1\n}'])
    await expect(steps.nth(1)).to_contain_text("failed, attempt 3")
    await expect(steps.nth(1)).to_contain_text("no such city")

    await widget_page.show_in(
        widget_page.chat, widget_page.asked(1, 2), widget_page.writing(1, "Cairo is **war", step=2)
    )
    await expect(turn.locator(".dd-writing")).to_have_text("Cairo is **war")
    await widget_page.show_in(
        widget_page.chat,
        e.ActivityRetry(
            activity_id="model:m1:2",
            activity_type="ask_model",
            attempt=2,
            error="the Worker died",
            message_id="m1",
            **widget_page.chat_common(tick=True),
        ),
    )
    await expect(turn.get_by_text("Attempt 2: the Worker died")).to_be_visible()
    await expect(turn.locator(".dd-answer")).to_be_hidden()
    await widget_page.show_in(widget_page.chat, widget_page.answered(1, "Cairo is **warmer**."))
    await expect(turn.locator("strong", has_text="warmer")).to_be_visible()
    await expect(turn.get_by_text(PROGRESS)).to_be_hidden()
    await expect(turn.get_by_text("Attempt 2")).to_be_hidden()
    assert await turn.locator("details").evaluate("(details) => details.open"), "what is open stays open"


async def test_roles_and_times(widget_page: WidgetPage) -> None:
    await chatting(widget_page, widget_page.message(1, "Hi"), widget_page.answered(1, "Hello!"))
    speakers = widget_page.page.locator(".dd-speaker")
    assert [await speaker.locator("strong").inner_text() for speaker in await speakers.all()] == ["User", "AI"]
    times = widget_page.page.locator(".dd-speaker time")
    assert await times.all_inner_texts() == ["10:30:01", "10:30:02"]
    assert await times.last.get_attribute("title") == "2025-01-19 10:30:02"


async def test_stop_ends_the_answer_in_hand_and_what_was_written_stays(widget_page: WidgetPage) -> None:
    await chatting(widget_page)
    page = widget_page.page
    await expect(button(widget_page, "Stop")).to_be_hidden()
    await widget_page.show_in(
        widget_page.chat, widget_page.message(1, "Hi"), widget_page.asked(1), widget_page.writing(1, "Well")
    )
    await button(widget_page, "Stop").focus()
    await page.keyboard.press("Enter")
    await expect(button(widget_page, "Stopping...")).to_be_disabled()
    assert [stop["message_id"] for stop in await commands(widget_page, "stop_answer")] == ["m1"]
    await widget_page.show_in(widget_page.chat, widget_page.stopped(1, "Well"))
    await expect(turns(page).locator(".dd-turn-mark").last).to_have_text("stopped")
    await expect(turns(page).locator(".dd-answer")).to_have_text("Well")
    await expect(page.get_by_role("button", name=re.compile("^Stop"))).to_be_hidden()
    await expect(composer(page)).to_be_focused()


async def test_a_failed_answer_says_why_and_the_last_turn_can_be_retried(widget_page: WidgetPage) -> None:
    await chatting(
        widget_page,
        widget_page.message(1, "one"),
        widget_page.answered(1, "fine"),
        widget_page.message(2, "two"),
        widget_page.failed(2, "I could not get an answer"),
    )
    page = widget_page.page
    await expect(turns(page).last).to_contain_text("not answered")
    await expect(turns(page).last).to_contain_text("I could not get an answer")
    retry = turns(page).get_by_role("button", name="Retry")
    await expect(retry).to_have_count(1)
    await retry.click()
    (sent,) = await commands(widget_page, "send")
    assert (sent["text"], sent["retry_of"]) == ("two", "m2")
    await expect(turns(page).get_by_role("button", name="Retry").locator("visible=true")).to_have_count(0)


async def test_copy_gives_the_answer_as_it_was_written(widget_page: WidgetPage) -> None:
    await chatting(widget_page, widget_page.message(1, "one"), widget_page.answered(1, "a **bold** word"))
    page = widget_page.page
    await page.evaluate(
        """() => Object.defineProperty(navigator, "clipboard",
            {value: {writeText: async (text) => { window.copied = text; }}})"""
    )
    copy = turns(page).get_by_role("button", name="Copy")
    await copy.evaluate(
        """(button) => {
            window.labels = [];  // it says so for 2 seconds
            const keep = () => window.labels.push(button.textContent);
            new MutationObserver(keep).observe(button, {subtree: true, childList: true, characterData: true});
        }"""
    )
    await copy.click()
    await page.wait_for_function("() => window.labels.length > 0")
    assert await page.evaluate("() => window.labels[0]") == "Copied"
    assert await page.evaluate("() => window.copied") == "a **bold** word"


HOSTILE = [
    "<img src=x onerror=alert(1)><script>alert(1)</script>",
    "![pixel](http://evil.test/p.png) and ![](data:image/png;base64,AAAA)",
    "[click](javascript:alert(1)) and <a href='javascript:alert(1)'>x</a>",
    "[page](http://evil.test/) <iframe src='http://evil.test'></iframe>",
    "<style>* { display: none }</style>\n\n# heading\n\n> quote",
    "\x00\x1b[31m\u202ereversed",
    "```html\n<b>code</b>\n```\n\n| a | b |\n|---|---|\n| <i>1</i> | 2 |",
]


async def test_whatever_is_said_is_text_or_a_harmless_element(widget_page: WidgetPage) -> None:
    requests: list[str] = []
    widget_page.page.on("request", lambda request: requests.append(request.url))
    events: list[e.Event] = []
    for number, words in enumerate(HOSTILE):
        events += [
            widget_page.message(number, words),
            widget_page.using_tools(number, words),
            widget_page.tool_called(number, words),
            widget_page.tool_answered(number, {"result": words}),
            widget_page.answered(number, words),
        ]
    await chatting(widget_page, *events)
    page = widget_page.page
    await expect(turns(page)).to_have_count(len(HOSTILE))
    found = await page.locator(".dd-turns *").evaluate_all("(all) => [...new Set(all.map((node) => node.localName))]")
    assert set(found) <= {
        *("div", "span", "p", "strong", "em", "time", "details", "summary", "ol", "li", "code", "pre", "button"),
        *("a", "blockquote", "table", "thead", "tbody", "tr", "th", "td"),
    }
    links = await page.locator(".dd-turns a").evaluate_all("(all) => all.map((a) => [a.href, a.target, a.rel])")
    harmless = ["_blank", "noopener noreferrer nofollow"]
    assert links == [["http://evil.test/", *harmless]]
    await expect(turns(page).first.locator(".dd-words")).to_have_text(HOSTILE[0])
    await expect(turns(page).nth(5).locator(".dd-words")).to_have_text("\\x00\\x1b[31m\\u202ereversed")
    assert [url for url in requests if not url.startswith((ORIGIN, "blob:"))] == []


async def test_elements_that_are_not_harmless_are_not_made_even_if_the_kernel_sends_them(
    widget_page: WidgetPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "durable_demo.widgets.channels.markdown.parse",
        lambda _: [
            ["script", {}, "alert(1)"],
            ["a", {"href": "javascript:alert(1)", "onclick": "alert(1)"}, "x"],
            ["p", {"onclick": "alert(1)", "style": "color: red"}, "y"],
        ],
    )
    await chatting(widget_page, widget_page.message(1, "one"), widget_page.answered(1, "two"))
    made = await widget_page.page.locator(".dd-answer *").evaluate_all(
        "(all) => all.map((node) => [node.localName, node.getAttributeNames().length])"
    )
    assert made == [["span", 0], ["span", 0], ["p", 0]]


# --- conversations ---------------------------------------------------------------------------------------------------


async def test_new_conversation_and_past_ones(widget_page: WidgetPage) -> None:
    await chatting(widget_page, widget_page.message(1, NYC), widget_page.answered(1, "7 degrees"))
    page = widget_page.page
    past = button(widget_page, "Past conversations")
    await past.click()
    await expect(page.get_by_text("Looking for conversations...")).to_be_visible()
    (listing,) = await commands(widget_page, "list_chats")
    started = "2025-01-19T10:30:00.000Z"
    widget_page.panel.show(
        chats=[
            {"workflow_id": CHAT_ID, "title": NYC, "status": "RUNNING", "started": started},
            {"workflow_id": "chat-2", "title": "<b>", "status": "COMPLETED", "started": started},
        ]
    )
    widget_page.feed.flush()
    await answer(widget_page, listing)
    items = page.get_by_role("region", name="Past conversations").get_by_role("button")
    await expect(items).to_have_text(
        [f"{NYC}2025-01-19 10:30:00, shown now", "<b>2025-01-19 10:30:00, ended: COMPLETED"]
    )
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await expect(items.first).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(past).to_be_focused()
    await expect(items).to_have_count(0)
    await past.click()
    await items.nth(1).click()
    (opening,) = await commands(widget_page, "open_chat")
    assert opening["workflow_id"] == "chat-2"
    widget_page.chat.restart()
    widget_page.chat.follow(True)
    await answer(widget_page, opening)
    await widget_page.show_in(widget_page.chat)
    await expect(page.get_by_text("Opening the conversation...")).to_be_visible()
    await widget_page.show_in(
        widget_page.chat,
        *widget_page.chat_begun(),
        widget_page.message(5, "old"),
        widget_page.answered(5, "answer"),
        e.WorkflowCompleted(**widget_page.chat_common()),
    )
    await expect(page.get_by_text("This conversation has ended (COMPLETED). It can be read")).to_be_visible()
    assert not await composer(page).is_editable()
    await expect(turns(page).get_by_role("button", name="Retry")).to_be_hidden()
    await button(widget_page, "New conversation").click()
    (fresh,) = await commands(widget_page, "new_chat")
    widget_page.chat.restart()
    widget_page.chat.follow(False)
    widget_page.feed.flush()
    await answer(widget_page, fresh)
    await expect(page.get_by_text("Ask the durable agent")).to_be_visible()
    await expect(composer(page)).to_be_focused()
    await expect(button(widget_page, "New conversation")).to_be_disabled()


async def show_another(page: WidgetPage) -> None:
    page.chat.restart()
    other = {**page.chat_common(), "workflow_id": "chat-other"}
    await page.show_in(page.chat, e.WorkflowStarted(workflow_type="ChatWorkflow", input={}, **other))


async def test_an_unsent_message_leaves_with_its_conversation_and_its_text_is_kept(widget_page: WidgetPage) -> None:
    await chatting(widget_page, widget_page.message(1, "Hi"), widget_page.answered(1, "Hello"))
    page = widget_page.page
    for text in ("one", "two", "three"):
        await answer(widget_page, await write(widget_page, text), ok=False, message="no server answers")
    await expect(turns(page)).to_have_count(4)
    await show_another(widget_page)
    await expect(turns(page)).to_have_count(0)
    await expect(composer(page)).to_have_value("one")
    await expect(page.get_by_role("alert")).to_have_count(1)
    await expect(page.get_by_role("alert")).to_contain_text("a message was not sent: no server answers")
    await expect(page.get_by_role("alert").get_by_role("group", name="Text")).to_have_text("two\n\nthree")


async def test_a_message_that_fails_after_its_conversation_was_left_says_so(widget_page: WidgetPage) -> None:
    await chatting(widget_page, widget_page.message(1, "Hi"), widget_page.answered(1, "Hello"))
    page = widget_page.page
    fails, goes = await write(widget_page, "fails"), await write(widget_page, "goes")
    await button(widget_page, "New conversation").click()
    (fresh,) = await commands(widget_page, "new_chat")
    widget_page.chat.restart()
    widget_page.chat.follow(False)
    widget_page.feed.flush()
    await answer(widget_page, fresh)
    await expect(page.get_by_text("Ask the durable agent")).to_be_visible()
    await expect(turns(page)).to_have_count(0)
    await expect(page.get_by_role("alert")).to_have_count(0)
    await answer(widget_page, goes)
    await answer(widget_page, fails, ok=False, message="it has ended")
    await expect(page.get_by_role("alert")).to_contain_text("a message was not sent: it has ended")
    await expect(page.get_by_role("alert")).to_contain_text("its text is back in the input")
    await expect(composer(page)).to_have_value("fails")


async def test_a_conversation_that_cannot_be_shown_can_be_left(widget_page: WidgetPage) -> None:
    await empty(widget_page)
    page = widget_page.page
    await widget_page.show_in(
        widget_page.chat, e.Error(error="there is no workflow chat-00000000", **widget_page.chat_common(tick=True))
    )
    problem = page.get_by_role("status").filter(has_text="Problem: there is no workflow chat-00000000")
    await expect(problem).to_be_visible()
    await expect(page.get_by_text("This conversation cannot be shown.")).to_be_visible()
    await button(widget_page, "New conversation").click()
    assert len(await commands(widget_page, "new_chat")) == 1


async def test_the_list_of_conversations_knows_the_one_that_is_shown(widget_page: WidgetPage) -> None:
    await chatting(widget_page)
    page = widget_page.page
    await button(widget_page, "Past conversations").click()
    untitled = {"workflow_id": CHAT_ID, "title": "", "status": "RUNNING", "started": "2025-01-19T10:30:00.000Z"}
    widget_page.panel.show(chats=[untitled])
    widget_page.feed.flush()
    await widget_page.deliver()
    item = page.get_by_role("region", name="Past conversations").get_by_role("button")
    await expect(item).to_contain_text("(nothing said yet)")
    await widget_page.show_in(widget_page.chat, widget_page.message(1, NYC))
    await expect(item).to_have_text(f"{NYC}2025-01-19 10:30:00, shown now")
    assert len(await commands(widget_page, "list_chats")) == 2
    await widget_page.show_in(widget_page.chat, widget_page.answered(1, "7 degrees"))
    assert len(await commands(widget_page, "list_chats")) == 2


async def test_what_the_reader_must_know(widget_page: WidgetPage) -> None:
    await widget_page.open()
    widget_page.chat.apply(widget_page.chat.fold, *widget_page.chat_begun("OPENAI_API_KEY is not set"))
    await widget_page.answer_hello()
    page = widget_page.page
    await expect(page.get_by_text("OPENAI_API_KEY is not set")).to_be_visible()
    await widget_page.show_in(widget_page.chat, e.Reconnecting(error="away", **widget_page.chat_common(tick=True)))
    await expect(page.get_by_text("Server not reachable, reconnecting...").locator("visible=true")).to_be_visible()
    await widget_page.show_in(
        widget_page.chat,
        e.WorkflowTaskFailed(cause="X", error="its code cannot go on", **widget_page.chat_common()),
    )
    await expect(page.get_by_text("Problem: its code cannot go on")).to_be_visible()


async def test_without_a_kernel_the_composer_says_so_and_nothing_is_sent(widget_page: WidgetPage) -> None:
    await chatting(widget_page)
    page = widget_page.page
    await write(widget_page, "on its way")
    await page.evaluate("() => window.kernel.lose(true)")
    await expect(page.get_by_text("Disconnected from the kernel: run the cells again")).to_be_visible()
    await expect(page.get_by_text("Not sent: Disconnected from the kernel")).to_be_visible()
    assert not await composer(page).is_editable()
    await page.evaluate("() => window.kernel.lose(false)")
    assert await composer(page).is_editable()


# --- reading ---------------------------------------------------------------------------------------------------------


async def test_the_transcript_keeps_to_its_end_unless_the_reader_scrolls_up(widget_page: WidgetPage) -> None:
    events = [
        event
        for number in range(20)
        for event in (widget_page.message(number, "word " * 60), widget_page.answered(number, "answer " * 60))
    ]
    await chatting(widget_page, *events)
    page = widget_page.page
    log = page.get_by_role("log", name="Conversation")
    await expect(turns(page).last.locator(".dd-answer")).to_be_in_viewport()
    await log.hover()
    await page.mouse.wheel(0, -1500)
    jump = button(widget_page, "Jump to the newest")
    await expect(jump).to_be_visible()
    top = await log.evaluate("(log) => log.scrollTop")
    await widget_page.show_in(widget_page.chat, widget_page.message(90, "new"), widget_page.answered(90, "newest"))
    assert await log.evaluate("(log) => log.scrollTop") == top
    await jump.click()
    await expect(page.get_by_text("newest", exact=True)).to_be_in_viewport()
    await page.mouse.wheel(0, -1500)
    await expect(jump).to_be_visible()
    await write(widget_page, "mine")
    await expect(page.get_by_text("mine")).to_be_in_viewport()


async def test_a_screen_reader_hears_answers_when_they_are_whole(widget_page: WidgetPage) -> None:
    await chatting(widget_page, widget_page.message(1, "old"), widget_page.answered(1, "not said again"))
    page = widget_page.page
    assert await page.get_by_role("log", name="Conversation").get_attribute("aria-live") == "off"
    await widget_page.show_in(
        widget_page.chat,
        widget_page.message(2, "new"),
        widget_page.asked(2),
        widget_page.writing(2, "It is **wa"),
    )
    await widget_page.show_in(widget_page.chat, widget_page.writing(2, "It is **warm** he"))
    await widget_page.show_in(widget_page.chat, widget_page.answered(2, "It is **warm** here."))
    await expect(page.locator(VOICE)).to_have_text("AI: It is warm here.")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1400])
async def test_looks_of_a_whole_conversation(widget_page: WidgetPage, theme: str, width: int) -> None:
    page = widget_page.page
    await chatting(
        widget_page,
        widget_page.message(1, "z" * 300),
        widget_page.using_tools(1),
        widget_page.tool_called(1, "NYC"),
        widget_page.tool_answered(1, {"words": "w" * 300}, error="broken"),
        widget_page.answered(
            1, "# Title\n\n`code` [link](https://example.org)\n\n> quote\n\n| a | b |\n|-|-|\n| 1 | 2 |"
        ),
        widget_page.message(2, "two"),
        widget_page.stopped(2, "some"),
        widget_page.message(3, "three"),
        widget_page.failed(3, "I could not"),
        widget_page.message(4, "four"),
        widget_page.asked(4),
        widget_page.writing(4, "y" * 200),
        theme=theme,
        width=width,
    )
    await page.emulate_media(reduced_motion="reduce")
    sent = await write(widget_page, "not sent")
    await answer(widget_page, sent, ok=False, message="x" * 200)
    refused = await write(widget_page, "w" * 300)
    await composer(page).fill("x" * 4_001)
    await answer(widget_page, refused, ok=False, message="refused", invalid=True)
    await expect(page.get_by_role("alert").get_by_role("group", name="Text")).to_be_visible()
    await page.locator("summary").first.click()
    await button(widget_page, "Past conversations").click()
    assert await page.evaluate(CONTRAST) == []
    wide = await page.evaluate(
        """() => [...document.querySelectorAll(".durable-demo, .durable-demo *")]
            .filter((node) => node.checkVisibility() && !node.closest(".dd-hidden"))
            .filter((node) => node.getBoundingClientRect().right > innerWidth).map((node) => node.className)"""
    )
    assert wide == []
    unprotected = await page.evaluate(
        """() => [...document.querySelectorAll("button, [tabindex], a, textarea, summary")]
            .filter((node) => node.dataset.lmSuppressShortcuts !== "true").map((node) => node.outerHTML)"""
    )
    assert unprotected == []


async def test_the_chat_is_shown_beside_a_running_monty(widget_page: WidgetPage) -> None:
    await chatting(widget_page, widget_page.message(1, "Hi"), widget_page.asked(1), widget_page.writing(1, "Hel"))
    page = widget_page.page
    widget_page.trace.follow(True)
    await widget_page.show(widget_page.started(), widget_page.sleeping(1))
    await expect(page.get_by_text("Monty workflow is running (click Workflow Trace tab to view)")).to_be_visible()
    await expect(button(widget_page, "Monty Running...")).to_be_disabled()
    await widget_page.show_in(widget_page.chat, widget_page.answered(1, "Hello"))
    await widget_page.show(widget_page.quote(1))
    await expect(turns(page).locator(".dd-answer")).to_have_text("Hello")
    await expect(page.locator(".dd-line")).to_have_count(3)

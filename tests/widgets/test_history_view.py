"""The tab Event History in Chromium: rows, filter, JSON on demand, and the link to Temporal's Web UI."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.async_api import Locator, expect

from durable_demo import events as e
from durable_demo.entries import HistoryEntry
from durable_demo.entry_log import MAX_ENTRIES
from durable_demo.widgets import assets
from durable_demo.widgets.history_channel import HistoryChannel
from tests.axe import violations
from tests.widgets.page import WORKFLOW_ID, WidgetPage

pytestmark = pytest.mark.browser

SCRIPTS = (
    "far_end.js", "dom.js", "channel.js", "feed.js", "voice.js", "log_end.js", "actions.js", "alerts.js",
    "history_filter.js", "history_json.js", "web_link.js", "history_view.js",
)  # fmt: skip
STYLES = ("base.css", "panel.css", "trace_view.css", "history_view.css")
WEB_UI = {"direct": "http://127.0.0.1:6665", "path": "/proxy/absolute/6665", "namespace": "default"}
REFUSED = "this entry of the Event History is not kept any more"


def entry(event_id: int, event_type: str, *, run: int = 1, **attributes: Any) -> HistoryEntry:
    return HistoryEntry(
        timestamp=f"2025-01-19T10:{event_id // 60 % 60:02}:{event_id % 60:02}.250Z",
        run_id=f"run-{run}",
        offset=f"{run:02}-{event_id:06}",
        event_id=event_id,
        event_type=event_type,
        attributes=attributes,
    )


def signal(event_id: int, name: str = "pause") -> HistoryEntry:
    return entry(event_id, "WORKFLOW_EXECUTION_SIGNALED", signalName=name)


BEGUN = e.WorkflowStarted(
    timestamp="2025-01-19T10:00:01.250Z",
    workflow_id=WORKFLOW_ID,
    run_id="run-1",
    offset="01-000001",
    workflow_type="MontyPythonWorkflow",
)
ITEMS = [
    entry(1, "WORKFLOW_EXECUTION_STARTED", workflowType={"name": "MontyPythonWorkflow"}),
    BEGUN,
    entry(2, "WORKFLOW_TASK_SCHEDULED"),
    entry(3, "WORKFLOW_TASK_STARTED", scheduledEventId="2", identity="4711@host"),
    entry(4, "WORKFLOW_TASK_COMPLETED", scheduledEventId="2"),
    entry(5, "ACTIVITY_TASK_SCHEDULED", activityType={"name": "sleep_then_quote"}),
    signal(6, "stop_workflow"),
    entry(7, "TIMER_STARTED", timerId="1"),
    entry(8, "ACTIVITY_TASK_FAILED", scheduledEventId="5", failure={"message": "boom <b>"}),
]


class HistoryPage:
    """The view in a page, and its channel at the Python end."""

    def __init__(self, widget_page: WidgetPage) -> None:
        self.at = widget_page
        self.page = widget_page.page
        self.channel = HistoryChannel(widget_page.feed)
        self.rows = self.page.locator(".dd-eh-row:visible")
        self.log = self.page.get_by_role("group", name="Events", exact=True)
        self.search = self.page.get_by_role("searchbox", name="Filter: type or note")
        self.count = self.page.locator(".dd-eh-count")
        self.link = self.page.get_by_role("link", name="Open in Temporal Web UI")

    async def open(self, *items: Any, **options: Any) -> None:
        await self.at.open_view(
            "createHistoryView", scripts=SCRIPTS, styles=STYLES, channels=["history", "panel"], **options
        )
        self.channel.apply(self.channel.fold, *items)
        self.at.published.clear()
        await self.at.answer_hello()

    async def show(self, *items: Any) -> None:
        await self.at.show_in(self.channel, *items)

    async def names(self) -> list[str]:
        """Types of the events that are shown."""
        return await self.page.locator(".dd-eh-row:visible > .dd-eh-event").all_text_contents()

    async def answer(self, **answer: Any) -> None:
        """Answers the last command, as the kernel does unless told otherwise."""
        command = (await self.at.sent())[-1]
        assert (command["t"], command["name"]) == ("command", "read_entry")
        told = answer or {"ok": True, "message": self.channel.read(command["args"]["number"])}
        self.at.feed.answer(command["id"], **told)
        await self.at.deliver()

    async def focused(self) -> str:
        """Id of the event whose row has the focus."""
        text: str = await self.page.evaluate("document.activeElement.querySelector('.dd-eh-id')?.textContent ?? ''")
        return text


@pytest.fixture
def history(widget_page: WidgetPage) -> HistoryPage:
    return HistoryPage(widget_page)


# --- rows ------------------------------------------------------------------------------------------------------------


async def test_each_event_is_a_row_in_the_words_of_the_web_ui(history: HistoryPage) -> None:
    await history.open(*ITEMS)
    assert [await row.locator("span:not(.dd-eh-run)").all_text_contents() for row in await history.rows.all()] == [
        ["1", "10:00:01.250", "WorkflowExecutionStarted", "MontyPythonWorkflow"],
        ["2", "10:00:02.250", "WorkflowTaskScheduled", ""],
        ["3", "10:00:03.250", "WorkflowTaskStarted", "of #2, Worker 4711@host"],
        ["4", "10:00:04.250", "WorkflowTaskCompleted", "of #2"],
        ["5", "10:00:05.250", "ActivityTaskScheduled", "sleep_then_quote"],
        ["6", "10:00:06.250", "WorkflowExecutionSignaled", "stop_workflow"],
        ["7", "10:00:07.250", "TimerStarted", "timer 1"],
        ["8", "10:00:08.250", "ActivityTaskFailed", "sleep_then_quote, of #5: boom <b>"],
    ]
    await expect(history.count).to_have_text("8 events")
    assert await history.page.locator("b").count() == 0


async def test_several_runs_have_a_column_that_tells_them_apart(history: HistoryPage) -> None:
    await history.open(*ITEMS)
    run = history.page.locator(".dd-eh-run")
    await expect(run.last).to_be_hidden()
    await history.show(entry(1, "WORKFLOW_EXECUTION_STARTED", run=2))
    await expect(run.last).to_have_text("2")
    await expect(run.last).to_be_visible()
    await expect(history.count).to_have_text("9 events, 2 runs")


async def test_an_event_that_takes_the_place_of_another_is_drawn_in_its_row(history: HistoryPage) -> None:
    await history.open(*ITEMS[:3])
    await history.show(signal(2, "resume"))
    assert await history.names() == ["WorkflowExecutionStarted", "WorkflowExecutionSignaled"]


async def test_without_events_it_says_what_to_do(history: HistoryPage) -> None:
    await history.open()
    await expect(history.page.get_by_text("No event history yet")).to_be_visible()
    await expect(history.page.get_by_text("Start a workflow, or choose one in the tab Runs")).to_be_visible()
    await history.page.get_by_role("button", name="Choose a run").click()
    assert (await history.at.sent())[-1] == {"t": "go", "tab": "runs"}
    await history.show(*ITEMS)
    await expect(history.rows).to_have_count(8)


async def test_before_the_kernel_answers_it_says_that_it_waits(history: HistoryPage) -> None:
    await history.at.open_view("createHistoryView", scripts=SCRIPTS, styles=STYLES, channels=["history", "panel"])
    await expect(history.page.get_by_text("Waiting for the kernel: it may be busy with a cell.")).to_be_visible()
    await expect(history.page.get_by_text("No event history yet")).to_be_hidden()


async def test_another_workflow_takes_the_place_of_the_rows(history: HistoryPage) -> None:
    await history.open(*ITEMS)
    history.channel.restart()
    history.channel.apply(history.channel.fold, signal(1, "other"))
    history.at.feed.flush()
    await history.at.deliver()
    await expect(history.page.locator(".dd-eh-row")).to_have_count(1)
    await expect(history.rows).to_contain_text("other")


async def test_it_follows_the_end_until_the_reader_scrolls_up(history: HistoryPage) -> None:
    await history.open(*(signal(number) for number in range(1, 201)))
    await expect(history.rows.last).to_be_in_viewport()
    await history.log.evaluate("(log) => { log.dispatchEvent(new Event('wheel')); log.scrollTop -= 800; }")
    jump = history.page.get_by_role("button", name="Jump to latest")
    await expect(jump).to_be_visible()
    top = await history.log.evaluate("(log) => log.scrollTop")
    await history.show(*(signal(number) for number in range(201, 204)))
    assert await history.log.evaluate("(log) => log.scrollTop") == top
    await expect(jump).to_have_text("Jump to latest (3 new events)")
    await jump.click()
    await expect(history.rows.last).to_be_in_viewport()


async def test_ten_thousand_events_are_bounded_and_built_a_few_at_a_time(history: HistoryPage) -> None:
    await history.open()
    page = history.page
    await page.evaluate(
        """() => {
            window.built = [];
            let before = 0;
            new MutationObserver(() => {
                const now = document.querySelectorAll(".dd-eh-row").length;
                window.built.push(now - before);
                before = now;
            }).observe(document.querySelector(".dd-eh-log"), {childList: true, subtree: true});
        }"""
    )
    history.channel.apply(
        history.channel.fold, *(signal(number, f"s{number}") for number in range(1, MAX_ENTRIES + 101))
    )
    await history.at.answer_hello()
    full = "(count) => document.querySelectorAll('.dd-eh-row').length === count"
    await page.wait_for_function(full, arg=MAX_ENTRIES)
    assert max(await page.evaluate("() => window.built")) <= 250
    await history.show(*(signal(number, f"s{number}") for number in range(MAX_ENTRIES + 101, MAX_ENTRIES + 201)))
    await page.wait_for_function(full, arg=MAX_ENTRIES)
    await expect(page.locator(".dd-earlier")).to_have_text("... 200 earlier events not shown")
    await expect(page.locator(".dd-eh-row").last).to_contain_text(f"s{MAX_ENTRIES + 200}")
    await history.search.fill("s9999")
    await expect(history.count).to_have_text("1 of 10000 events shown")
    assert await history.rows.count() == 1


# --- filter ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("activitytask", ["5", "8"]),
        ("ACTIVITY_TASK_FAILED", ["8"]),
        ("Quote", ["5", "8"]),
        (" #2 ", ["2", "3", "4"]),
        ("worker 4711", ["3"]),
        ("", ["1", "2", "3", "4", "5", "6", "7", "8"]),
    ],
    ids=["type", "raw-type", "note", "event-id", "worker", "nothing"],
)
async def test_the_filter_narrows_by_type_and_note(history: HistoryPage, query: str, ids: list[str]) -> None:
    await history.open(*ITEMS)
    await history.search.fill("no such thing")
    await expect(history.rows).to_have_count(0)
    await history.search.fill(query)
    await expect(history.rows).to_have_count(len(ids))
    assert await history.page.locator(".dd-eh-row:visible > .dd-eh-id").all_text_contents() == ids
    await expect(history.count).to_have_text("8 events" if query == "" else f"{len(ids)} of 8 events shown")


@pytest.mark.parametrize(
    ("group", "left_out"),
    [
        ("Workflow", ["1"]),
        ("Workflow Tasks", ["2", "3", "4"]),
        ("Activities", ["5", "8"]),
        ("Signals and Updates", ["6"]),
        ("Timers", ["7"]),
        ("Other", ["9"]),
    ],
)
async def test_a_group_can_be_left_out(history: HistoryPage, group: str, left_out: list[str]) -> None:
    await history.open(*ITEMS, entry(9, "MARKER_RECORDED", markerName="Version"))
    box = history.page.get_by_role("checkbox", name=group, exact=True)
    await expect(box).to_be_checked()
    await box.uncheck()
    await expect(history.rows).to_have_count(9 - len(left_out))
    shown = await history.page.locator(".dd-eh-row:visible > .dd-eh-id").all_text_contents()
    assert set(shown) == {str(number) for number in range(1, 10)} - set(left_out)
    await box.check()
    await expect(history.rows).to_have_count(9)


async def test_the_filter_holds_for_events_that_come_and_for_those_that_are_replaced(history: HistoryPage) -> None:
    await history.open(*ITEMS[:3])
    await history.search.fill("signal")
    await expect(history.rows).to_have_count(0)
    await history.show(signal(2))
    await expect(history.rows).to_have_count(1)
    await history.show(entry(3, "WORKFLOW_TASK_SCHEDULED"), signal(4))
    await expect(history.rows).to_have_count(2)
    await expect(history.count).to_have_text("2 of 4 events shown")


async def test_no_match_says_so_and_leads_back(history: HistoryPage) -> None:
    await history.open(*ITEMS)
    await history.page.get_by_role("checkbox", name="Timers").uncheck()
    await history.search.fill("no such thing")
    await expect(history.page.get_by_text("No event matches the filter.")).to_be_visible()
    await history.page.get_by_role("button", name="Clear filter").click()
    await expect(history.rows).to_have_count(8)
    await expect(history.search).to_be_focused()
    await expect(history.search).to_have_value("")
    await expect(history.page.get_by_role("checkbox", name="Timers")).to_be_checked()


async def test_a_screen_reader_hears_the_count_when_the_filter_has_changed_and_not_with_each_event(
    history: HistoryPage,
) -> None:
    await history.open(*ITEMS)
    spoken = history.page.locator(".dd-eh-filter [role=status]")
    await history.search.fill("quote")
    await expect(spoken).to_have_text("2 of 8 events shown")
    await history.show(entry(9, "ACTIVITY_TASK_SCHEDULED", activityType={"name": "sleep_then_quote"}))
    await expect(history.count).to_have_text("3 of 9 events shown")
    await expect(spoken).to_have_text("2 of 8 events shown")


# --- JSON ------------------------------------------------------------------------------------------------------------


def row(history: HistoryPage, event_id: int) -> Locator:
    return history.page.locator(f'.dd-eh-row[data-number="{event_id - 1}"]')


def shown_json(history: HistoryPage, name: str) -> Locator:
    return history.page.get_by_role("group", name=f"JSON of {name}")


async def test_a_row_opens_to_its_json_and_closes(history: HistoryPage) -> None:
    await history.open(*ITEMS)
    await row(history, 8).click()
    await expect(row(history, 8)).to_have_attribute("aria-expanded", "true")
    await expect(history.page.get_by_text("Reading...")).to_be_visible()
    await history.answer()
    body = shown_json(history, "event 8, ActivityTaskFailed")
    assert json.loads(await body.inner_text())["failure"] == {"message": "boom <b>"}
    assert await row(history, 8).get_attribute("aria-controls") == await history.page.locator(
        ".dd-eh-json"
    ).get_attribute("id")
    await row(history, 8).click()
    await expect(body).to_have_count(0)
    await expect(row(history, 8)).to_have_attribute("aria-expanded", "false")


async def test_several_stay_open_while_events_arrive(history: HistoryPage) -> None:
    await history.open(*ITEMS)
    for event_id in (5, 6):
        await row(history, event_id).click()
        await history.answer()
    await shown_json(history, "event 5, ActivityTaskScheduled").evaluate("(pre) => { pre.dataset.mark = 'same'; }")
    await history.show(*(signal(number) for number in range(9, 50)))
    await expect(shown_json(history, "event 5, ActivityTaskScheduled")).to_have_attribute("data-mark", "same")
    await expect(shown_json(history, "event 6, WorkflowExecutionSignaled")).to_be_visible()
    await expect(row(history, 6)).to_be_focused()
    await expect(row(history, 6)).to_be_in_viewport()


async def test_an_open_event_that_is_replaced_is_read_again(history: HistoryPage) -> None:
    await history.open(*ITEMS[:3])
    await row(history, 2).click()
    await history.answer()
    await history.show(signal(2, "resume"))
    await history.answer()
    await expect(history.page.locator(".dd-eh-pre")).to_contain_text('"signalName": "resume"')


async def test_a_refusal_is_shown_with_the_way_to_try_again(history: HistoryPage) -> None:
    await history.open(*ITEMS)
    await row(history, 5).click()
    await history.answer(ok=False, message=REFUSED)
    await expect(history.page.get_by_text(REFUSED)).to_be_visible()
    await expect(history.page.locator(".dd-eh-pre")).to_be_hidden()
    await history.page.get_by_role("button", name="Try again").click()
    await history.answer()
    await expect(history.page.get_by_text(REFUSED)).to_be_hidden()
    await expect(shown_json(history, "event 5, ActivityTaskScheduled")).to_be_focused()


async def test_without_a_kernel_nothing_is_asked(history: HistoryPage) -> None:
    await history.open(*ITEMS)
    await history.page.evaluate("() => window.kernel.lose(true)")
    await row(history, 5).click()
    await expect(history.page.get_by_text("Disconnected from the kernel")).to_be_visible()
    assert await history.at.commands() == []
    await history.page.evaluate("() => window.kernel.lose(false)")
    await history.page.get_by_role("button", name="Try again").click()
    await history.answer()
    await expect(history.page.locator(".dd-eh-pre")).to_contain_text("sleep_then_quote")


async def test_copy_selects_the_text_where_there_is_no_clipboard(history: HistoryPage) -> None:
    await history.open(*ITEMS)
    await history.page.evaluate("() => { document.execCommand = () => false; }")
    await row(history, 6).click()
    await history.answer()
    await history.page.get_by_role("button", name="Copy the JSON of event 6").click()
    await expect(history.page.get_by_text("Selected: copy it with the keyboard")).to_be_visible()
    assert await history.page.evaluate("() => getSelection().toString()") == history.channel.read(5)


async def test_copy_uses_the_clipboard_where_it_may(history: HistoryPage) -> None:
    await history.open(*ITEMS)
    await history.page.evaluate(
        """() => Object.defineProperty(navigator, "clipboard",
            {value: {writeText: async (text) => { window.copied = text; }}})"""
    )
    await row(history, 6).click()
    await history.answer()
    await history.page.get_by_role("button", name="Copy the JSON of event 6").click()
    await expect(history.page.get_by_text("Copied")).to_be_visible()
    assert await history.page.evaluate("() => window.copied") == history.channel.read(5)


# --- keyboard --------------------------------------------------------------------------------------------------------


async def test_the_list_is_one_tab_stop_and_arrows_move_in_it(history: HistoryPage) -> None:
    await history.open(*ITEMS)
    keyboard = history.page.keyboard
    assert await history.page.locator('.dd-eh-row[tabindex="0"]').count() == 1
    await history.page.get_by_role("checkbox", name="Other").focus()
    await keyboard.press("Tab")
    assert await history.focused() == "8"
    for key, event_id in [("ArrowUp", "7"), ("Home", "1"), ("ArrowUp", "1"), ("ArrowDown", "2"), ("End", "8")]:
        await keyboard.press(key)
        assert await history.focused() == event_id
    await keyboard.press("Enter")
    await history.answer()
    await expect(shown_json(history, "event 8, ActivityTaskFailed")).to_be_visible()
    await keyboard.press("Space")
    await expect(history.page.locator(".dd-eh-json")).to_have_count(0)
    await keyboard.press("Shift+Tab")
    await expect(history.page.get_by_role("checkbox", name="Other")).to_be_focused()


async def test_arrows_pass_over_what_is_filtered_out(history: HistoryPage) -> None:
    await history.open(*ITEMS)
    await history.page.get_by_role("checkbox", name="Workflow Tasks").uncheck()
    await expect(history.rows).to_have_count(5)
    await row(history, 5).focus()
    await history.page.keyboard.press("ArrowUp")
    assert await history.focused() == "1"


async def test_the_focus_survives_events_and_goes_on_where_its_row_has_gone(history: HistoryPage) -> None:
    await history.open(*ITEMS)
    await row(history, 3).focus()
    await history.show(signal(9))
    assert await history.focused() == "3"
    history.channel.fold.max_entries = 4
    await history.show(signal(10))
    assert await history.focused() == "7"


# --- the link to the Web UI ------------------------------------------------------------------------------------------

HUB = {**WEB_UI, "path": "/user/x/proxy/absolute/6665"}
OWN = {**WEB_UI, "direct": "https://ui.test/temporal", "path": ""}
UNREACHABLE = "The Web UI cannot be reached through this page's Jupyter"
UNUSABLE = "The address of the Web UI cannot be used"
HISTORY = "/namespaces/default/workflows/w%2F1%20%3F/r/history"


@pytest.mark.parametrize(
    ("web_ui", "page", "base_url", "href"),
    [
        (WEB_UI, "http://localhost:8888", "/", f"http://localhost:8888/proxy/absolute/6665{HISTORY}"),
        (WEB_UI, "http://[::1]:8888", "/", f"http://[::1]:8888/proxy/absolute/6665{HISTORY}"),
        (WEB_UI, "https://lab.test", "/", f"https://lab.test/proxy/absolute/6665{HISTORY}"),
        (HUB, "https://hub.test", "/user/x/", f"https://hub.test/user/x/proxy/absolute/6665{HISTORY}"),
        (HUB, "https://hub.test", "/user/x", f"https://hub.test/user/x/proxy/absolute/6665{HISTORY}"),
        (HUB, "http://localhost:8000", "/user/x/", f"http://localhost:8000/user/x/proxy/absolute/6665{HISTORY}"),
        (WEB_UI, "https://hub.test", "/user/x/", UNREACHABLE),
        (HUB, "https://hub.test", "/user/xy/", UNREACHABLE),
        (WEB_UI, "http://localhost:8888", "/lab/", UNREACHABLE),
        (WEB_UI, "http://localhost:3000", None, UNREACHABLE),
        (OWN, "https://hub.test", "/user/x/", f"https://ui.test/temporal{HISTORY}"),
        (OWN, "http://localhost:3000", None, f"https://ui.test/temporal{HISTORY}"),
        (None, "http://localhost:8888", "/", "This server's Web UI is not known"),
        ({**OWN, "direct": "javascript:alert(1)//"}, "http://localhost:8888", "/", UNUSABLE),
        ({**OWN, "direct": "nonsense"}, "http://localhost:8888", "/", UNUSABLE),
        ({**WEB_UI, "path": "@evil.test/x"}, "http://localhost:8888", "/", UNREACHABLE),
        ({**OWN, "path": "@evil.test/x"}, "http://localhost:8888", "@", UNREACHABLE),
    ],
    ids=["local", "local-ip6", "remote", "hub", "hub-no-slash", "hub-local", "hub-wrong-path", "hub-other-user",
         "other-base-url", "not-jupyter", "address", "address-not-jupyter", "unknown", "script", "no-address",
         "other-host", "other-host-and-base-url"],
)  # fmt: skip
async def test_the_web_ui_is_found_from_wherever_the_page_is(
    history: HistoryPage, web_ui: dict[str, str] | None, page: str, base_url: str | None, href: str
) -> None:
    await history.page.goto("about:blank")
    found = await history.page.evaluate(
        """async ({script, page, ...rest}) => {
            const url = URL.createObjectURL(new Blob([script], {type: "text/javascript"}));
            return (await import(url)).webUiUrl({...rest, page: new URL(page)});
        }""",
        {
            "script": assets.script("dom.js", "web_link.js") + "\nexport { webUiUrl };",
            "webUi": web_ui, "workflowId": "w/1 ?", "runId": "r", "page": page, "baseUrl": base_url,
        },
    )  # fmt: skip
    assert found == ({"href": href, "reason": ""} if href.startswith("http") else {"href": "", "reason": href})


async def test_the_link_leads_to_the_latest_run_in_a_tab_of_its_own(history: HistoryPage) -> None:
    history.at.head = '<script id="jupyter-config-data" type="application/json">{"baseUrl": "/"}</script>'
    history.at.panel.show(web_ui=WEB_UI)
    await history.open(*ITEMS)
    place = f"http://panel.test/proxy/absolute/6665/namespaces/default/workflows/{WORKFLOW_ID}"
    await expect(history.link).to_have_attribute("href", f"{place}/run-1/history")
    await expect(history.link).to_have_attribute("target", "_blank")
    await expect(history.link).to_have_attribute("rel", "noopener")
    await history.show(entry(1, "WORKFLOW_EXECUTION_STARTED", run=2))
    await expect(history.link).to_have_attribute("href", f"{place}/run-2/history")


async def test_a_link_without_an_address_says_why_by_mouse_and_by_key(history: HistoryPage) -> None:
    await history.open()
    await expect(history.link).to_have_attribute("aria-disabled", "true")
    await expect(history.link).to_have_attribute("title", "This server's Web UI is not known")
    await history.link.click(force=True)
    notice = history.page.locator(".dd-notice")
    await expect(notice).to_have_text("This server's Web UI is not known")
    history.at.panel.show(web_ui=WEB_UI)
    history.at.feed.flush()
    await history.at.deliver()
    await expect(notice).to_be_empty()
    await history.link.focus()
    await history.page.keyboard.press("Enter")
    await expect(notice).to_have_text("No workflow is shown yet")


# --- for everybody ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [400, 900])
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_axe_finds_nothing(history: HistoryPage, theme: str, width: int) -> None:
    await history.open(*ITEMS, entry(1, "WORKFLOW_EXECUTION_STARTED", run=2), theme=theme, width=width)
    await row(history, 8).click()
    await history.answer()
    await row(history, 5).click()
    await history.answer(ok=False, message=REFUSED)
    assert await violations(history.page) == []
    await history.search.fill("no such thing")
    await expect(history.page.get_by_text("No event matches the filter.")).to_be_visible()
    assert await violations(history.page) == []
    history.channel.restart()
    await history.at.deliver()
    await expect(history.page.get_by_text("No event history yet")).to_be_visible()
    assert await violations(history.page) == []


@pytest.mark.parametrize("width", [400, 900, 1400])
async def test_all_rows_have_one_height_and_nothing_runs_over_the_side(history: HistoryPage, width: int) -> None:
    long = entry(2, "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED", signalName="x" * 200)
    await history.open(*ITEMS[:2], long, *ITEMS[3:], width=width)
    heights = await history.page.evaluate(
        "[...document.querySelectorAll('.dd-eh-row')].map((row) => row.getBoundingClientRect().height)"
    )
    assert len(set(heights)) == 1
    assert await history.log.evaluate("(log) => log.scrollWidth <= log.clientWidth")

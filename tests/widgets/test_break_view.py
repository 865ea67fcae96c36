"""The tab Break it in Chromium: what runs and what is broken at one end, a person with mouse or keyboard beside it."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, expect

from durable_demo import events as e
from durable_demo.faults import Break, Faults, Incident
from durable_demo.widgets.break_channel import BreakChannel, ChatRecoveryChannel, RecoveryChannel, broken
from durable_demo.widgets.feed import Message
from tests import axe
from tests.test_recovery import at_work, reached
from tests.test_timeline import RUNS, START, Story, moment
from tests.widgets.page import WidgetPage

pytestmark = [pytest.mark.browser, pytest.mark.page_clock]

SCRIPTS = (
    "far_end.js", "dom.js", "channel.js", "feed.js", "voice.js", "log_end.js", "actions.js", "alerts.js", "runs_row.js",
    "break_poll.js", "break_cards.js", "break_stopwatch.js", "break_view.js", "break_banner.js",
)  # fmt: skip
STYLES = ("base.css", "trace_view.css", "panel.css", "break_view.css")
CHANNELS = ("break", "recovery", "chat_recovery", "trace", "chat")
CREATE = """((feed, notice, go) => {
  const voice = createVoice(feed);
  const view = createBreakView(feed, notice, voice, go);
  view.el.append(voice.el);
  return view;
})"""
BANNER = """((feed, notice, go) => {
  const banner = createBreakBanner(feed, () => go("break"));
  return { ...banner, actions: [] };
})"""
NOW = START.timestamp() + 6
WORKER = {"pid": 4711, "state": "running"}
SERVER = {"pid": 4700, "state": "running"}
KILLED = Break(
    kind="kill_worker", timestamp=moment(3.2), done="Worker 4711 was killed (SIGKILL).", expected="A new one starts."
)
SEEN = [
    Incident(timestamp=moment(3.3), process="worker", what="killed by SIGKILL", pid=4711),
    Incident(timestamp=moment(3.4), process="worker", what="started", pid=4720),
]


class Shown:
    """The view, and the channels behind it, 6 seconds after the workflow began."""

    def __init__(self, page: WidgetPage) -> None:
        self.page = page
        self.stack = BreakChannel(page.feed)
        self.recovery = RecoveryChannel(page.feed)
        self.chat = ChatRecoveryChannel(page.feed)

    async def show(self, faults: Faults | None = None, **state: Any) -> None:
        """What is broken, and what runs."""
        now = faults or Faults()
        told = {"ready": True, "server": SERVER, "workers": [WORKER], "faults": dataclasses.asdict(now)}
        self.stack.show(**told | state, broken=broken(now))
        await self.deliver()

    async def kill(self) -> None:
        """A workflow is at work, and its Worker is killed."""
        self.recovery.apply(self.recovery.fold, *at_work().items)
        self.recovery.begin(KILLED)
        self.recovery.note(SEEN)
        await self.deliver()

    async def go_on(self) -> None:
        """It goes on."""
        self.recovery.apply(self.recovery.fold, reached(6, 30))
        await self.deliver()

    async def deliver(self) -> None:
        self.page.feed.flush()
        await self.page.deliver()

    @property
    def happened(self) -> Locator:
        return self.page.page.get_by_role("group", name="Workflow")

    def card(self, title: str) -> Locator:
        return self.page.page.get_by_role("group", name=title, exact=True)

    def button(self, name: str) -> Locator:
        return self.page.page.get_by_role("button", name=name, exact=True)

    async def told(self, name: str) -> list[Message]:
        """Arguments of the commands of this name that the page has sent."""
        return [message["args"] for message in await self.page.sent() if message.get("name") == name]

    async def answer(self, name: str, **answered: Any) -> None:
        """Answers the newest command of this name."""
        message = [message for message in await self.page.sent() if message.get("name") == name][-1]
        self.page.feed.answer(message["id"], **{"ok": True, "message": "", **answered})
        await self.page.deliver()


async def opened(page: WidgetPage, create: str = CREATE, **options: Any) -> Shown:
    """The view before anybody has looked."""
    await page.page.clock.install(time=START - timedelta(minutes=1))
    await page.open_view(create, scripts=SCRIPTS, styles=STYLES, channels=CHANNELS, **options)
    shown = Shown(page)
    await page.answer_hello()
    return shown


@pytest.fixture(autouse=True)
def _kernels_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's clock stands still, ahead of the browser's."""
    monkeypatch.setattr("durable_demo.widgets.break_channel.time.time", lambda: NOW)


# --- states ----------------------------------------------------------------------------------------------------------


async def test_before_the_kernel_answers_it_says_that_it_waits_and_nothing_can_be_broken(
    widget_page: WidgetPage,
) -> None:
    await widget_page.open_view(CREATE, scripts=SCRIPTS, styles=STYLES, channels=CHANNELS)
    page = widget_page.page
    await expect(page.get_by_text("Waiting for the kernel: it may be busy with a cell.")).to_be_visible()
    button = page.get_by_role("button", name="Kill Worker", exact=True)
    await button.click(force=True)
    assert "break_it" not in await widget_page.commands()
    await expect(button).to_have_attribute("aria-disabled", "true")


async def test_the_happy_path_is_said_to_be_one_and_the_way_to_a_workflow_is_shown(widget_page: WidgetPage) -> None:
    shown = await opened(widget_page)
    await shown.show()
    page = widget_page.page
    await expect(page.get_by_text("Nothing is broken", exact=True)).to_be_visible()
    await expect(page.get_by_text("Start a workflow, then break something")).to_be_visible()
    await expect(page.get_by_text("in force").first).to_be_hidden()
    assert (
        await page.get_by_role("list", name="Processes").inner_text()
        == "Server 4700\nrunning\nWorker 4711\nrunning\nKill\nWorker 4711"
    )
    await shown.button("Choose a run").click()
    await shown.button("Go to the tab Chat").click()
    assert [message["tab"] for message in await widget_page.sent() if message["t"] == "go"] == ["runs", "chat"]


async def test_what_is_broken_shows_with_how_long_it_lasts_and_how_to_mend_it(widget_page: WidgetPage) -> None:
    shown = await opened(widget_page)
    ends = {"server": NOW + 18}
    away = {"pid": None, "state": "away"}
    frozen = [WORKER, {"pid": 4720, "state": "frozen"}, {"pid": 4721, "state": "dead"}]
    await shown.show(Faults(server=False, failures=2, until=ends), server=away, workers=frozen)
    chips = widget_page.page.get_by_role("list", name="Broken on purpose")
    # The browser's own clock does not matter.
    await expect(chips).to_have_text(
        re.compile(r"server away \(1[0-8] s left\)next 2 attempts of Activities will fail")
    )
    await widget_page.page.clock.run_for(5_000)
    await expect(chips).to_have_text(re.compile(r"server away \((\d|1[0-3]) s left\)"))
    await expect(widget_page.page.get_by_text("Nothing is broken", exact=True)).to_be_hidden()
    await expect(shown.card("Server away").get_by_text("in force")).to_be_visible()
    await expect(shown.button("Start Server (Server away)")).to_be_visible()
    await expect(shown.button("Thaw (Freeze Workers)")).to_be_hidden()
    processes = await widget_page.page.get_by_role("list", name="Processes").get_by_role("listitem").all_inner_texts()
    assert [words.split("\n")[:2] for words in processes] == [
        ["Server", "away"], ["Worker 4711", "running"], ["Worker 4720", "frozen"], ["Worker 4721", "dead"],
    ]  # fmt: skip
    await shown.show()
    await expect(shown.button("Start Server (Server away)")).to_be_hidden()


async def test_what_cannot_be_broken_from_here_says_why(widget_page: WidgetPage) -> None:
    shown = await opened(widget_page)
    await shown.show(possible={"workers": "", "server": "The server at x:1 is not the embedded one"}, server=None)
    await expect(widget_page.page.get_by_text("The server at x:1 is not the embedded one").first).to_be_visible()
    await shown.button("Kill Server").click(force=True)
    assert await shown.told("break_it") == []
    await shown.button("Kill Worker").click()
    assert await shown.told("break_it") == [{"verb": "kill_worker", "value": ""}]


# --- breaking --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "typed", "button", "verb", "value"),
    [
        ("Kill Worker", "", "Kill Worker", "kill_worker", ""),
        ("Number of Workers", "2", "Set (Number of Workers)", "set_workers", "2"),
        ("Freeze Workers", "7.5", "Freeze (Freeze Workers)", "freeze_worker", "7.5"),
        ("Kill Server", "", "Kill Server", "kill_server", ""),
        ("Server away", "", "Take away (Server away)", "kill_server", "20"),
        ("Disturb the network", "9", "Disturb (Disturb the network)", "disturb_network", "cut 9"),
        ("Fail attempts", "", "Fail (Fail attempts)", "fail_activities", "3"),
        ("Slow tools", "", "Slow down (Slow tools)", "slow_tools", "5"),
        ("Model down", "", "Take down (Model down)", "model_down", "on"),
        ("Cut answers", "", "Cut (Cut answers)", "cut_answers", "1"),
    ],
)
async def test_each_card_tells_the_kernel_its_verb(
    widget_page: WidgetPage, title: str, typed: str, button: str, verb: str, value: str
) -> None:
    shown = await opened(widget_page)
    await shown.show()
    if typed:
        await shown.card(title).get_by_role("textbox").fill(typed)
    await shown.button(button).click()
    assert await shown.told("break_it") == [{"verb": verb, "value": value}]
    await shown.answer("break_it", message="It is done. All goes on.")
    await expect(shown.card(title).get_by_role("status")).to_have_text("It is done. All goes on.")


@pytest.mark.parametrize(
    ("faults", "button", "verb", "value"),
    [
        (Faults(workers=0), "Start Worker (Number of Workers)", "set_workers", "1"),
        (Faults(frozen=True), "Thaw (Freeze Workers)", "thaw_worker", ""),
        (Faults(server=False), "Start Server (Server away)", "start_server", ""),
        (Faults(network="slow"), "Mend (Disturb the network)", "mend_network", ""),
        (Faults(failures=1), "No more (Fail attempts)", "fail_activities", "0"),
        (Faults(slow_tools=2.0), "Usual speed (Slow tools)", "slow_tools", "0"),
        (Faults(model_down=True), "Bring up (Model down)", "model_down", "off"),
        (Faults(cut_answers=1), "No more (Cut answers)", "cut_answers", "0"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
async def test_what_is_in_force_can_be_mended(
    widget_page: WidgetPage, faults: Faults, button: str, verb: str, value: str
) -> None:
    shown = await opened(widget_page)
    await shown.show(faults)
    await shown.button(button).press("Enter")
    assert await shown.told("break_it") == [{"verb": verb, "value": value}]
    await shown.answer("break_it")
    await shown.show()
    # The keyboard does not lose its place.
    assert await widget_page.page.evaluate("document.activeElement.textContent") != ""


async def test_what_cannot_be_used_is_told_at_its_control(widget_page: WidgetPage) -> None:
    shown = await opened(widget_page)
    await shown.show()
    card = shown.card("Freeze Workers")
    await card.get_by_role("textbox").fill("  ")
    await shown.button("Freeze (Freeze Workers)").click()
    await expect(card.get_by_role("status")).to_have_text("Seconds: a number is needed")
    assert await shown.told("break_it") == []
    await card.get_by_role("textbox").fill("soon")
    await card.get_by_role("textbox").press("Enter")
    await shown.answer("break_it", ok=False, invalid=True, message="this must be a number of seconds, not 'soon'")
    await expect(card.get_by_role("status")).to_contain_text("must be a number of seconds")
    await expect(card.get_by_role("textbox")).to_have_attribute("aria-invalid", "true")
    await card.get_by_role("textbox").fill("5")
    await expect(card.get_by_role("status")).to_be_hidden()


async def test_a_verb_that_takes_long_is_said_to_be_at_work_until_it_is_done(widget_page: WidgetPage) -> None:
    shown = await opened(widget_page)
    await shown.show()
    await shown.button("Kill Worker").click()
    await widget_page.page.clock.run_for(2_500)
    hint = widget_page.page.get_by_text("Still at work...")
    await expect(hint).to_be_visible()
    await shown.answer("break_it", message="It is done.")
    await expect(hint).to_have_count(0)


async def test_a_card_forgets_what_it_did_when_that_is_over(widget_page: WidgetPage) -> None:
    shown = await opened(widget_page)
    await shown.show()
    message = shown.card("Freeze Workers").get_by_role("status")
    await shown.button("Freeze (Freeze Workers)").click()
    await shown.answer("break_it", message="The Workers are frozen (SIGSTOP) for 10 s.")
    await expect(message).to_be_visible()
    await shown.show(Faults(frozen=True))
    await expect(message).to_be_visible()
    await shown.show()
    await expect(message).to_be_hidden()
    # What mending it did is not over.
    await shown.show(Faults(frozen=True))
    await shown.button("Thaw (Freeze Workers)").click()
    await shown.answer("break_it", message="The Workers go on (SIGCONT).")
    await shown.show()
    await expect(message).to_have_text("The Workers go on (SIGCONT).")


async def test_one_of_several_workers_is_killed_by_its_own_button(widget_page: WidgetPage) -> None:
    shown = await opened(widget_page)
    await shown.show(workers=[WORKER, {"pid": 4720, "state": "running"}])
    await shown.button("Kill Worker 4720").click()
    assert await shown.told("break_it") == [{"verb": "kill_worker", "value": "4720"}]
    await shown.show(workers=[WORKER])
    await expect(shown.button("Kill Worker 4720")).to_have_count(0)


async def test_reset_asks_first_and_tells_what_it_did(widget_page: WidgetPage) -> None:
    shown = await opened(widget_page)
    await shown.show(Faults(workers=0))
    question = widget_page.page.get_by_role("alertdialog", name="Reset everything?")
    await shown.button("Reset everything").click()
    await expect(shown.button("Keep")).to_be_focused()
    await widget_page.page.keyboard.press("Escape")
    await expect(question).to_be_hidden()
    await expect(shown.button("Reset everything")).to_be_focused()
    assert await shown.told("reset") == []
    await shown.button("Reset everything").click()
    await question.get_by_role("button", name="Reset everything").click()
    assert await shown.told("reset") == [{}]
    await shown.show(Faults(workers=0), resetting=True)
    await expect(widget_page.page.get_by_text("Resetting...")).to_be_visible()
    await widget_page.page.clock.run_for(5_000)
    await expect(widget_page.page.get_by_text("Still at work...")).to_have_count(0)
    await expect(widget_page.page.get_by_text("The kernel is busy")).to_have_count(0)
    await shown.answer("reset", message="Reset in 3.1 s")
    await shown.show(resetting=False, reset="Reset in 3.1 s")
    await expect(widget_page.page.get_by_text("Reset in 3.1 s")).to_be_visible()


# --- what happened ---------------------------------------------------------------------------------------------------


async def test_the_stopwatch_runs_by_itself_and_stops_when_the_workflow_goes_on(widget_page: WidgetPage) -> None:
    shown = await opened(widget_page)
    await shown.show()
    await shown.kill()
    await expect(shown.happened).to_contain_text("own-1")
    await expect(shown.happened).to_contain_text("1 Activity had completed before: none ran again")
    figure = shown.happened.locator(".dd-bk-figure")
    # The last heartbeat was 3 seconds after the workflow began, and the kernel's clock shows 6.
    await expect(figure).to_have_text(re.compile(r"^\d\.\d s$"))
    await widget_page.page.clock.run_for(20_000)
    await expect(figure).to_have_text(re.compile(r"^(2[3-9]|3\d)\.\d s$"))
    await shown.go_on()
    await expect(figure).to_have_text("3.0 s")
    await widget_page.page.clock.run_for(5_000)
    await expect(figure).to_have_text("3.0 s")
    lines = shown.happened.get_by_role("list", name="What happened to the workflow, in order").get_by_role("listitem")
    assert [words.split("\n")[1:] for words in await lines.all_inner_texts()] == [
        ["you", "Worker 4711 was killed (SIGKILL)."],
        ["process", "Worker 4711: killed by SIGKILL"],
        ["process", "Worker 4720: started"],
        ["progress", "Progress again after 3.0 s"],
    ]


async def test_a_screen_reader_hears_what_was_broken_and_that_it_went_on(widget_page: WidgetPage) -> None:
    shown = await opened(widget_page)
    await shown.show()
    await shown.kill()
    await widget_page.page.clock.run_for(2_000)
    voice = widget_page.page.locator(".dd-bk > .dd-hidden[role=status]")
    await expect(voice).to_have_text("Worker 4711 was killed (SIGKILL).")
    await shown.go_on()
    await widget_page.page.clock.run_for(2_000)
    await expect(voice).to_have_text("Workflow: Went on after 3.0 s without progress")


async def test_a_conversation_has_a_stopwatch_too_which_stands_still_between_messages(widget_page: WidgetPage) -> None:
    shown = await opened(widget_page)
    await shown.show()
    shown.chat.apply(shown.chat.fold, *Story("ChatWorkflow").task(0, 0.1).items)
    await shown.kill()
    shown.chat.begin(KILLED)
    await shown.deliver()
    talk = widget_page.page.get_by_role("group", name="Conversation")
    await expect(talk).to_contain_text("Nothing was in hand: nothing had to wait")
    await expect(talk.locator(".dd-bk-figure")).to_be_hidden()


async def test_why_a_workflow_cannot_go_on_stands_above_its_stopwatch(widget_page: WidgetPage) -> None:
    shown = await opened(widget_page)
    await shown.show()
    await shown.kill()
    problem = shown.happened.locator(".dd-problem")
    await expect(problem).to_be_hidden()
    error = "x" * 500
    common = {"timestamp": moment(4), "workflow_id": "own-1", "run_id": RUNS[0], "offset": "1"}
    failed = e.WorkflowTaskFailed(cause="x", error=error, problem="Its code has changed.", remedy="Reset it.", **common)
    page = shown.page
    page.trace.apply(page.trace.fold, failed)
    await shown.deliver()
    await expect(problem).to_contain_text(error)
    await expect(problem).to_contain_text("Reset it.")


async def test_what_the_supervisor_saw_can_be_read(widget_page: WidgetPage) -> None:
    shown = await opened(widget_page)
    await shown.show(incidents=[[moment(1), "Server 4700: <b>answers</b>"]])
    log = widget_page.page.get_by_role("list", name="What the supervisor saw")
    await expect(log).to_be_hidden()
    await widget_page.page.get_by_text("What the supervisor saw", exact=True).click()
    await expect(log).to_contain_text("<b>answers</b>")


# --- life ------------------------------------------------------------------------------------------------------------


async def test_it_looks_each_second_while_it_is_shown_and_no_more_without_a_kernel(widget_page: WidgetPage) -> None:
    shown = await opened(widget_page)
    assert len(await shown.told("look_at_stack")) == 1
    await shown.answer("look_at_stack")
    await widget_page.page.clock.run_for(1_500)
    assert len(await shown.told("look_at_stack")) == 2
    await widget_page.page.evaluate("window.kernel.lose(true)")
    await widget_page.page.clock.run_for(5_000)
    assert len(await shown.told("look_at_stack")) == 2
    await expect(shown.button("Kill Worker")).to_have_attribute("aria-disabled", "true")
    await widget_page.page.evaluate("window.kernel.lose(false)")
    await widget_page.page.clock.run_for(100)
    assert len(await shown.told("look_at_stack")) == 3


async def test_other_tabs_have_a_slim_line_while_something_is_broken(widget_page: WidgetPage) -> None:
    shown = await opened(widget_page, BANNER)
    line = widget_page.page.get_by_role("region", name="Broken on purpose")
    await shown.show()
    await expect(line).to_be_hidden()
    assert await shown.told("look_at_stack") == []
    await shown.show(Faults(server=False, model_down=True, until={"server": NOW + 10}))
    await expect(line).to_have_text(
        re.compile(r"^Broken on purpose: server away \(([4-9]|10) s left\), model downReset\.\.\.$")
    )
    await widget_page.page.clock.run_for(3_100)
    assert len(await shown.told("look_at_stack")) == 1
    await expect(line).to_contain_text(re.compile(r"\([0-7] s left\)"))
    await line.get_by_role("button", name="Reset...").click()
    assert (await widget_page.sent())[-1] == {"t": "go", "tab": "break"}
    await shown.show()
    await expect(line).to_be_hidden()


# --- looks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_it_is_sound_and_fits_in_every_width(widget_page: WidgetPage, theme: str, tmp_path: Path) -> None:
    shown = await opened(widget_page, theme=theme)
    page = widget_page.page
    full = {
        "faults": Faults(
            workers=2, frozen=True, server=False, network="slow", failures=9, slow_tools=1.5, model_down=True
        ),
        "workers": [
            WORKER,
            {"pid": 4720, "state": "frozen"},
            {"pid": 4721, "state": "dead"},
            {"pid": 4722, "state": "running", "module": "lighthouse"},
        ],
        "incidents": [[moment(1), "Server 4700: answers"]],
    }
    for state in ({}, full):
        await shown.show(**state)
        if state:
            await shown.kill()
            await shown.button("Reset everything").click()
            await page.get_by_text("What the supervisor saw", exact=True).click()
        for width in (400, 700, 1000, 1400, 1920):
            await page.set_viewport_size({"width": width, "height": 1000})
            assert await axe.violations(page) == []
            out = await page.evaluate(
                """() => {
                  const edge = document.querySelector(".durable-demo").getBoundingClientRect().right;
                  return [...document.querySelectorAll(".dd-bk *")]
                    .filter((one) => one.getClientRects().length && !one.closest(".dd-hidden"))
                    .filter((one) => one.getBoundingClientRect().right > edge + 1)
                    .map((one) => one.outerHTML.slice(0, 100));
                }"""
            )
            assert out == [], width
            await page.screenshot(path=tmp_path / f"break-{theme}-{width}-{bool(state)}.png", full_page=True)


async def test_the_keyboard_reaches_everything_and_keeps_to_itself(widget_page: WidgetPage) -> None:
    shown = await opened(widget_page)
    await shown.show(Faults(frozen=True))
    await shown.kill()
    bare = await widget_page.page.evaluate(
        """() => [...document.querySelectorAll(".dd-bk :is(button, input, select, summary, [tabindex])")]
          .filter((one) => one.dataset.lmSuppressShortcuts !== "true").map((one) => one.outerHTML)"""
    )
    assert bare == []
    await shown.card("Number of Workers").get_by_role("textbox").focus()
    await widget_page.page.keyboard.press("Control+a")
    await widget_page.page.keyboard.type("3")
    await widget_page.page.keyboard.press("Tab")
    await widget_page.page.keyboard.press("Enter")
    assert await shown.told("break_it") == [{"verb": "set_workers", "value": "3"}]


def test_the_words_for_what_is_broken() -> None:
    now = datetime.now(UTC).timestamp()
    assert broken(Faults()) == []
    assert broken(Faults(workers=0, cut_answers=1, until={"workers": now})) == [
        ["no Worker", round(now * 1_000)],
        ["next 1 answer will break off", None],
    ]

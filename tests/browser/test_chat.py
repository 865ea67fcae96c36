"""End to end: the chat in a real JupyterLab in Chromium, with a real Worker, a real server and the offline brain."""

from __future__ import annotations

import re
import shutil
import time
from datetime import UTC, datetime

import psutil
import pytest
from playwright.async_api import Locator

from durable_demo import Session
from durable_demo import events as e
from durable_demo.chat import Chat
from tests.browser.conftest import OpenNotebook
from tests.browser.jupyterlab import Lab, Theme, expect
from tests.browser.test_lab import CLEAN, PANEL, QUOTE, SESSION, clean

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed"),
]

NYC = "What's the weather in NYC?"
WARMER = "Which is warmer, Cairo or Oslo?"
LONG = "What will the weather be like in Cairo, Oslo and Lima this week?"
"""Its answer takes 10 s to be written."""
ATTACHING = "panel = Panel(demo)\npanel"
ANSWER = re.compile(r"°[CF].*[Hh]umidity.*\d+%.*wind", re.DOTALL)
PROGRESS = "[Progress: Analyzing with tools...]"


async def answered(turn: Locator, words: str | re.Pattern[str] = re.compile(r"\S")) -> str:
    """Waits for the answer of a turn and returns it."""
    await expect(turn).to_have_attribute("data-status", "answered")
    await expect(turn.locator(".dd-answer")).to_contain_text(words)
    return await turn.locator(".dd-answer").inner_text()


async def test_the_conversation_of_the_proposal_survives_a_reload_and_a_kernel_restart(
    open_notebook: OpenNotebook, lab: Lab, outside: Session
) -> None:
    notebook = await open_notebook(lab.write("chat.ipynb", SESSION, ATTACHING, CLEAN))
    await notebook.run_through("Panel(")
    panel = notebook.panel()
    await expect(panel.root).to_be_visible()
    appeared = time.monotonic()
    first = await panel.ask(NYC)
    await expect(first.locator(".dd-interim")).to_contain_text("Let me check the weather for you...")
    await answered(first, ANSWER)
    took = time.monotonic() - appeared
    print(f"first answer {took:.2f} s after the panel's appearance")
    await expect(panel.composer).to_be_focused()
    await expect(panel.root.get_by_text("Model: offline brain (rules)")).to_be_visible()
    await outside.break_it.slow_tools(5)  # else the progress is soon over
    second = await panel.ask("How about London?")
    await expect(second.get_by_text(PROGRESS, exact=True)).to_be_visible()
    await outside.break_it.slow_tools(0)
    assert "London" in await answered(second, ANSWER)
    await notebook.screenshot("chat-proposal")
    await second.locator("summary").click()
    await expect(second.locator("pre").first).to_contain_text('"city": "London"')
    await notebook.screenshot("chat-step")

    said = await panel.answers.all_inner_texts()
    await notebook.command("docmanager:save")
    await notebook.reload()
    await expect(panel.answers).to_have_count(2)
    assert await panel.answers.all_inner_texts() == said
    await notebook.restart_kernel()
    await expect(panel.root.get_by_text("Disconnected from the kernel: run the cells again")).to_be_visible()
    await notebook.run_through("Panel(")
    await expect(panel.answers).to_have_count(2)
    assert await panel.answers.all_inner_texts() == said
    await answered(await panel.ask("and in Oslo?"), "Oslo")
    item = (await outside.runs())[0]
    assert (item.workflow_type, item.title) == ("ChatWorkflow", NYC)
    await clean(notebook)


async def test_stop_ends_an_answer_at_once_and_the_next_message_works(open_notebook: OpenNotebook, lab: Lab) -> None:
    notebook = await open_notebook(lab.write("chat-stop.ipynb", SESSION, PANEL, CLEAN))
    await notebook.run_through("Panel(")
    panel = notebook.panel()
    turn = await panel.ask(LONG)
    await expect(turn.locator(".dd-writing")).to_be_visible()
    pressed = time.monotonic()
    await panel.button("Stop").click()
    await expect(turn).to_have_attribute("data-status", "stopped")
    took = time.monotonic() - pressed
    print(f"stopped after {took:.2f} s")
    await expect(turn.locator(".dd-answer")).not_to_be_empty()
    await expect(panel.button("Stop")).to_be_hidden()
    await notebook.screenshot("chat-stopped")
    assert "30" in await answered(await panel.ask("What is 12% of 250?"))
    await clean(notebook)


async def test_a_worker_that_is_killed_in_the_middle_gives_exactly_one_answer(
    open_notebook: OpenNotebook, lab: Lab, outside: Session
) -> None:
    notebook = await open_notebook(lab.write("chat-kill.ipynb", SESSION, PANEL, CLEAN))
    await notebook.run_through("Panel(")
    panel = notebook.panel()
    turn = await panel.ask(LONG)
    await expect(turn.locator(".dd-writing")).to_be_visible()
    info = outside.stack.info()
    assert info is not None
    assert info.worker is not None
    killed = datetime.now(UTC)
    psutil.Process(info.worker.pid).kill()
    behind = await panel.ask("What is 12% of 250?")
    await expect(turn.locator(".dd-again")).to_contain_text(re.compile(r"Attempt \d"))
    await notebook.screenshot("chat-worker-killed")
    await answered(turn, re.compile(r"in Cairo.*in Oslo.*in Lima", re.DOTALL))
    await answered(behind, "30")
    await expect(panel.turns).to_have_count(2)
    item = (await outside.runs())[0]
    assert isinstance(item.run, Chat)
    history = await item.run.history()
    assert [turn.status for turn in history.turns] == ["answered", "answered"]
    tools = [event async for event in item.run.events(wait=False) if isinstance(event, e.ToolAnswered)]
    finished = [event.moment for event in tools if event.message_id == history.turns[0].message_id]
    assert len(finished) == 3
    assert max(finished) < killed, "what had finished did not run again"
    await clean(notebook)


async def test_chat_while_monty_runs_and_its_trace_lives(open_notebook: OpenNotebook, lab: Lab) -> None:
    notebook = await open_notebook(lab.write("chat-monty.ipynb", SESSION, PANEL, CLEAN))
    await notebook.run_through("Panel(")
    panel = notebook.panel()
    await panel.start()
    first = await panel.ask(NYC)
    queued = await panel.ask("How about London?")
    await answered(first, ANSWER)
    assert "London" in await answered(queued, ANSWER)
    await panel.tab("Workflow Trace").click()
    await expect(panel.line(QUOTE)).to_be_visible()
    count = await panel.lines.count()
    await panel.tab("Chat").click()
    await answered(await panel.ask("What time is it in Tokyo?"), "Tokyo")
    await expect(panel.root.get_by_text("Monty workflow is running (click Workflow Trace tab to view)")).to_be_visible()
    await notebook.screenshot("chat-beside-monty")
    await panel.tab("Workflow Trace").click()
    await expect(panel.line('Iteration 2: "')).to_be_visible()
    assert await panel.lines.count() > count
    await panel.stop()
    await clean(notebook)


async def test_a_new_conversation_and_the_old_one_again(open_notebook: OpenNotebook, lab: Lab) -> None:
    by_code = 'reply = await panel.send("What is 2 + 2?")\nassert "4" in str(reply)\nreply.status'
    notebook = await open_notebook(lab.write("chat-past.ipynb", SESSION, PANEL, by_code, CLEAN))
    await notebook.run_through("Panel(")
    panel = notebook.panel()
    said = await answered(await panel.ask(NYC))
    await panel.composer.press_sequentially("abc dd x")
    await panel.composer.press("Shift+Enter")
    await panel.composer.press_sequentially("y")
    await expect(panel.composer).to_have_value("abc dd x\ny")
    await expect(notebook.page.locator(".jp-Notebook .jp-CodeCell")).to_have_count(4)
    await panel.composer.fill("")
    await panel.button("New conversation").click()
    await expect(panel.turns).to_have_count(0)
    await expect(panel.root.get_by_role("group", name="Examples")).to_be_visible()
    await notebook.run_cell("2 + 2")
    await expect(panel.answers).to_have_count(1)
    await panel.button("Past conversations").click()
    items = panel.root.get_by_role("region", name="Past conversations").get_by_role("button")
    await expect(items.first).to_contain_text("What is 2 + 2?")
    await expect(items.nth(1)).to_contain_text(NYC)
    await notebook.screenshot("chat-past-conversations")
    await items.nth(1).click()
    await expect(panel.answers).to_have_text([said.replace("\n\n", "")])
    assert "London" in await answered(await panel.ask("How about London?"))
    await clean(notebook)


async def test_a_conversation_that_does_not_exist_can_be_left(open_notebook: OpenNotebook, lab: Lab) -> None:
    opening = 'panel.open_chat("chat-00000000").id'
    notebook = await open_notebook(lab.write("chat-nowhere.ipynb", SESSION, PANEL, opening))
    await notebook.run_through("Panel(")
    panel = notebook.panel()
    await expect(panel.root).to_be_visible()
    await notebook.run_cell("open_chat")
    await expect(panel.root.get_by_role("status").filter(has_text="Problem: ")).to_contain_text("chat-00000000")
    await panel.ask(NYC)
    reason = re.compile("chat-00000000.*New conversation begins another, with this text")
    await expect(panel.root.get_by_text("Not sent: ").first).to_contain_text(reason)
    for width in (1400, 450):
        await notebook.page.set_viewport_size({"width": width, "height": 1000})
        assert await panel.sticking_out() == [], f"{width} px"
        await notebook.screenshot(f"chat-nowhere-{width}")
    await panel.button("New conversation").click()
    await expect(panel.composer).to_have_value(NYC)
    await expect(panel.root.get_by_role("alert")).to_contain_text("its text is back in the input")
    await expect(panel.turns).to_have_count(0)
    await notebook.screenshot("chat-given-back")
    await panel.composer.press("Enter")
    await answered(panel.turns.first, ANSWER)


async def test_looks_in_both_themes_wide_and_narrow(open_notebook: OpenNotebook, lab: Lab) -> None:
    notebook = await open_notebook(lab.write("chat-looks.ipynb", SESSION, PANEL, CLEAN))
    await notebook.run_through("Panel(")
    panel = notebook.panel()
    themes: list[Theme] = ["light", "dark"]
    for words in (NYC, "How about London?", WARMER):
        await answered(await panel.ask(words))
    await panel.start()
    for theme in themes:
        await notebook.set_theme(theme)
        for width in (1400, 450):
            await notebook.page.set_viewport_size({"width": width, "height": 1000})
            await panel.tab("Chat").scroll_into_view_if_needed()
            assert await panel.sticking_out() == [], f"{theme}, {width} px"
            await expect(panel.root).to_have_css("color-scheme", theme)
            await expect(panel.button("Jump to the newest")).to_be_hidden()
            await notebook.screenshot(f"chat-answers-{theme}-{width}")
    await clean(notebook)

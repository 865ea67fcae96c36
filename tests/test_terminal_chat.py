"""The conversation in a terminal: what is written, what Ctrl-C does, and how a conversation is gone on with."""

from __future__ import annotations

import asyncio
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from rich.console import Console

from durable_demo import Session
from durable_demo import events as e
from durable_demo.errors import DemoError, InvalidInput, NotPossible, WorkflowNotFound
from durable_demo.events import EVENTS
from durable_demo.terminal_chat import ChatScreen, TerminalChat, converse
from tests.conftest import eventually
from tests.test_cli import DEADLINE_S, Started, environment
from tests.workers import suspended

WEATHER, FOLLOW_UP = "What's the weather in NYC?", "How about London?"
SUM = "What is 111 * 97?"
LONG = "What will the weather be like in Cairo and Oslo this week?"
"""Its answer takes seven seconds."""
CHAT_ID = re.compile(r"chat-[0-9a-f]{8}")


def common(number: int) -> dict[str, str]:
    stamp = f"2025-01-19T10:30:{number:02d}.000Z"
    return {"timestamp": stamp, "workflow_id": "chat-1a2b3c4d", "run_id": "run", "offset": f"{number:04d}"}


def about(number: int) -> dict[str, str]:
    return common(number) | {"message_id": "m1"}


def answered(number: int, text: str) -> e.Event:
    return e.MessageAnswered(**about(number), text=text, model="a model")


def retry(number: int) -> e.Event:
    call = {"activity_id": "model:m1:1", "activity_type": "ask_model"}
    return e.ActivityRetry(**about(number), **call, tick=True, attempt=2, error="hiccup")


RECEIVED = e.MessageReceived(**about(1), text=WEATHER)
CALL = {"call_id": "tool:m1:1:1", "tool": "get_weather"}
TURN = (
    RECEIVED,
    e.ModelAsked(**about(2), step=1),
    e.ModelAnswered(**about(3), step=1, text="Let me check...", tools=("get_weather",)),
    e.ToolCalled(**about(4), **CALL, arguments={"city": "NYC"}),
    e.ToolAnswered(**about(5), **CALL, result={"temperature_c": 8}),
    e.ModelAsked(**about(6), step=2),
    e.TextUpdate(**about(6), tick=True, step=2, text="It is"),
    e.ModelAnswered(**about(7), step=2, text="It is **8°C**."),
    answered(8, "It is **8°C**."),
)


def written(*events: e.Event, terminal: bool = False, as_json: bool = False, typed: str = "") -> str:
    """What a screen writes for these events."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, color_system=None, width=60, highlight=False)
    screen = ChatScreen(console, as_json=as_json)
    screen.typed.add(typed)
    for event in events:
        screen.show(event)
    return file.getvalue()


# --- what is written -------------------------------------------------------------------------------------------------


def test_a_pipe_gets_plain_lines_in_the_order_of_what_happened() -> None:
    assert written(*TURN).splitlines() == [
        "User: What's the weather in NYC?",
        "[Progress: Thinking...]",
        "AI: Let me check...",
        "[Progress: Analyzing with tools...]",
        'Tool get_weather called: {"city": "NYC"}',
        'Tool get_weather answered: {"temperature_c": 8}',
        "AI: It is **8°C**.",
    ]


def test_a_terminal_repeats_no_typed_message_and_shows_the_answer_without_its_marks() -> None:
    lines = [line.rstrip() for line in written(*TURN, terminal=True, typed="m1").splitlines()]
    assert lines == [
        "AI: Let me check...",
        'Tool get_weather called: {"city": "NYC"}',
        'Tool get_weather answered: {"temperature_c": 8}',
        "AI: It is 8°C.",
    ]


def test_on_a_terminal_a_step_is_one_line_however_much_it_returned() -> None:
    long = e.ToolAnswered(**about(2), **CALL, result={"text": "word " * 60})
    (line,) = written(RECEIVED, long, terminal=True, typed="m1").splitlines()
    assert line.rstrip().endswith("…")
    assert "word " * 60 in written(RECEIVED, long)


def test_a_retry_that_is_reported_again_and_again_is_one_line() -> None:
    assert written(RECEIVED, *[retry(1) for _ in range(3)]).count("hiccup") == 1


def test_an_answer_that_was_stopped_or_failed_says_so() -> None:
    assert "AI (stopped): It is" in written(RECEIVED, e.MessageStopped(**about(2), text="It is"))
    assert "AI (failed): no key" in written(RECEIVED, e.MessageFailed(**about(2), error="no key"))


@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a&#27;[2Jb", "a&#27;[2Jb"),
        ("a&#8238;b", "a&#8238;b"),
        ("a <script>alert(1)</script>", "<script>alert(1)</script>"),
        ("[red]a[/red] :bomb:", "[red]a[/red] :bomb:"),
        ("[here](https://evil.example)", "https://evil.example"),
        ("![x](https://evil.example)", "https://evil.example"),
    ],
    ids=["escape", "entity", "bidi", "html", "markup", "link", "image"],
)
def test_an_answer_can_neither_control_the_terminal_nor_hide_anything(text: str, seen: str, terminal: bool) -> None:
    shown = written(RECEIVED, answered(2, text), terminal=terminal)
    assert seen in shown
    assert not {"\x1b", "\u202e"} & set(shown)


def test_json_is_each_event_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert written(*TURN, as_json=True) == ""
    assert capsys.readouterr().out.splitlines() == [event.to_json() for event in TURN]


# --- which conversation ----------------------------------------------------------------------------------------------


def talk_on(demo: Session) -> tuple[TerminalChat, io.StringIO]:
    file = io.StringIO()
    return TerminalChat(demo, ChatScreen(Console(file=file, width=80))), file


@pytest.mark.parametrize(
    ("workflow_id", "error", "says"),
    [
        ("monty-python-00000000", InvalidInput, "durable-demo watch"),
        ("no such id!", InvalidInput, "Workflow ID"),
        ("chat-00000000", WorkflowNotFound, "chat-00000000"),
    ],
    ids=["monty", "no-id", "unknown"],
)
async def test_what_is_no_conversation_cannot_be_attached(
    demo: Session, workflow_id: str, error: type[DemoError], says: str
) -> None:
    with pytest.raises(error, match=says):
        await talk_on(demo)[0].attach(workflow_id)


async def test_a_conversation_that_has_ended_says_how_to_read_it(demo: Session) -> None:
    chat = await demo.start_chat()
    await chat.end()
    await chat.result()
    with pytest.raises(NotPossible, match=f"durable-demo watch {chat.id}"):
        await talk_on(demo)[0].attach(chat.id)


def test_attach_and_resume_together_are_refused() -> None:
    with pytest.raises(InvalidInput, match="--resume"):
        converse(Console(), attach="chat-00000000", resume=True, as_json=False)


async def test_an_answer_that_was_under_way_is_shown_to_its_end_once(demo: Session) -> None:
    chat = await demo.start_chat()
    sending = asyncio.create_task(chat.send(WEATHER))
    async with asyncio.timeout(DEADLINE_S):
        async for event in chat.events():
            if isinstance(event, e.ModelAsked):
                break
        talk, file = talk_on(demo)
        with suspended(demo):  # so that the answer does not come first
            attaching = asyncio.create_task(talk.attach(chat.id))
            await eventually(lambda: f"User: {WEATHER}" in file.getvalue(), "it is attached")
        await attaching
    assert file.getvalue().count(f"User: {WEATHER}") == 1
    assert file.getvalue().count(f"AI: {await sending}") == 1
    await chat.end()


async def test_the_commands_show_repeat_renew_and_end(demo: Session, capsys: pytest.CaptureFixture[str]) -> None:
    talk, file = talk_on(demo)
    await talk.begin()
    assert talk.chat
    first = talk.chat
    assert await talk.take("/retry")
    assert "no message yet" in capsys.readouterr().err
    assert await talk.take("hello")
    assert await talk.take("/retry")
    assert [turn.text for turn in (await first.history()).turns] == ["hello", "hello"]
    assert await talk.take("/history")
    assert file.getvalue().count("User: hello") == 4
    assert await talk.take("/sing a song")
    assert "no command /sing" in file.getvalue()
    assert await talk.take("/new")
    assert talk.chat != first
    assert await talk.take("/end") is False
    assert not (await first.status()).ended
    await first.end()


# --- as people use it ------------------------------------------------------------------------------------------------


def talked(home: Path, *arguments: str, lines: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Runs `durable-demo chat` to its end, with these lines piped in."""
    ran = subprocess.run(
        [sys.executable, "-m", "durable_demo", "chat", *arguments],
        env=environment(home), input=lines, capture_output=True, timeout=DEADLINE_S, cwd=home,
    )  # fmt: skip
    return subprocess.CompletedProcess(ran.args, ran.returncode, ran.stdout.decode(), ran.stderr.decode())


@pytest.mark.slow
async def test_each_piped_line_is_answered_and_the_conversation_goes_on_later(home: Path, demo: Session) -> None:
    ran = await asyncio.to_thread(talked, home, lines=f"{WEATHER}\r\n\n{FOLLOW_UP}".encode())
    assert (ran.returncode, ran.stderr) == (0, "")
    said = [line for line in ran.stdout.splitlines() if line.startswith(("User: ", "AI: "))]
    assert [line for line in said if line.startswith("User")] == [f"User: {WEATHER}", f"User: {FOLLOW_UP}"]
    assert "New York City" in said[2]
    assert "London" in said[5]
    assert "offline brain (rules)" in ran.stdout
    (chat_id,) = set(CHAT_ID.findall(ran.stdout))
    assert ran.stdout.endswith(f"Go on with it: durable-demo chat --attach {chat_id}\n")

    for way in (["--attach", chat_id], ["--resume"]):
        later = await asyncio.to_thread(talked, home, *way, "and tomorrow?")
        assert later.returncode == 0
        assert chat_id in later.stdout
        assert re.search(r"^AI: .*London", later.stdout, re.MULTILINE)


@pytest.mark.slow
async def test_as_json_each_line_is_an_event_from_the_first_to_the_answer(home: Path, demo: Session) -> None:
    ran = await asyncio.to_thread(talked, home, "--json", WEATHER)
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    assert {event["event"] for event in events} <= EVENTS.keys()
    assert (events[0]["event"], events[-1]["event"]) == ("workflow_started", "message_answered")
    assert "--attach chat-" in ran.stderr


@pytest.mark.slow
async def test_what_cannot_be_sent_is_told_and_the_next_line_is_answered(home: Path, demo: Session) -> None:
    lines = b"\n".join([b"x" * 4_001, b"nul\x00", b"\xff\xfe", SUM.encode()])
    ran = await asyncio.to_thread(talked, home, lines=lines)
    assert ran.returncode == 1
    assert "4,000 are the most" in ran.stderr
    assert ran.stderr.count("control characters") == 2
    assert "Traceback" not in ran.stderr
    assert re.findall(r"^User: (.*)", ran.stdout, re.MULTILINE) == [SUM]
    assert "10767" in ran.stdout.replace(",", "")


@pytest.mark.slow
async def test_an_interrupt_stops_the_answer_and_the_status_says_so(home: Path, demo: Session) -> None:
    def interrupted() -> tuple[int, str]:
        with Started(home, "chat", LONG) as chat:
            chat.until("Tool get_forecast answered")
            chat.interrupt()
            return chat.status(), chat.text

    status, text = await asyncio.to_thread(interrupted)
    assert status == 1
    assert "stopping..." in text
    assert "AI (stopped)" in text


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGSTOP")
async def test_a_second_interrupt_leaves_and_says_how_to_go_on(home: Path, demo: Session) -> None:
    def left() -> tuple[int, str]:
        with Started(home, "chat", LONG) as chat:
            chat.until("[Progress: Thinking...]")
            with suspended(demo):  # so that the stop cannot end the answer before the second interrupt comes
                chat.interrupt()
                chat.until("stopping...")
                chat.interrupt()
                return chat.status(), chat.text

    status, text = await asyncio.to_thread(left)
    assert status == 130
    assert re.search(r"durable-demo chat --attach chat-[0-9a-f]{8}\n$", text)


PROMPT = r"\r?User: (\x1b\[\S+)?$"


@pytest.fixture
def typist(home: Path, demo: Session) -> Iterator[Any]:
    """A terminal with `durable-demo chat` in it, and somebody at its keyboard."""
    if sys.platform == "win32":
        pytest.skip("needs a pseudo terminal")
    someone = pexpect.spawn(
        sys.executable,
        ["-m", "durable_demo", "chat"],
        env=environment(home, TERM="xterm"),
        timeout=DEADLINE_S,
        dimensions=(30, 100),
        encoding="utf-8",
    )
    yield someone
    someone.close(force=True)


def left(typist: Any) -> tuple[str, int]:
    """What a terminal shows at its end, and the exit status."""
    typist.expect(pexpect.EOF)
    typist.wait()
    return typist.before, typist.exitstatus


@pytest.mark.slow
async def test_at_the_prompt_an_answer_is_stopped_by_ctrl_c_and_ctrl_d_leaves(typist: Any) -> None:
    def session() -> tuple[str, str, tuple[str, int]]:
        typist.expect(PROMPT)
        typist.sendline(LONG)
        typist.expect("expect in Cairo")
        typist.sendcontrol("c")
        typist.expect(PROMPT)
        stopped = typist.before
        typist.sendline(SUM)
        typist.expect(PROMPT)
        answered = typist.before
        typist.sendcontrol("d")
        return stopped, answered, left(typist)

    stopped, answered, (end, status) = await asyncio.to_thread(session)
    assert "AI (stopped)" in stopped
    assert answered.count(SUM) == 1  # as it was typed
    assert "10767" in answered.replace(",", "")
    assert re.search(r"Go on with it: durable-demo chat --attach chat-[0-9a-f]{8}", end)
    assert status == 0


@pytest.mark.slow
async def test_ctrl_c_at_the_prompt_leaves(typist: Any) -> None:
    def session() -> tuple[str, int]:
        typist.expect(PROMPT)
        typist.sendcontrol("c")
        return left(typist)

    end, status = await asyncio.to_thread(session)
    assert "--attach chat-" in end
    assert "Traceback" not in end
    assert status == 130

"""What people, browsers and other programs may get wrong: each is answered with its error, and nothing is wedged."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.client import Client, WorkflowHandle, WorkflowQueryFailedError, WorkflowUpdateFailedError
from temporalio.service import RPCError
from typer.testing import CliRunner

from durable_demo import Chat, Session, cli
from durable_demo.background import BackgroundLoop
from durable_demo.client import DemoClient
from durable_demo.errors import (
    InvalidInput,
    NotPossible,
    SessionClosed,
    StateDirError,
    WorkflowEndedBadly,
    WorkflowNotFound,
)
from durable_demo.run import Run
from durable_demo.widgets import Panel, TraceView
from durable_demo.workflows.quotes import MAX_OWN_QUOTES, MAX_QUOTE_LENGTH, QUOTES
from tests.conftest import eventually
from tests.test_monty import LONG
from tests.widgets.conftest import session  # noqa: F401  # a fixture
from tests.widgets.fakes import FakeSession
from tests.widgets.test_live import receive, sent

FAILED = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
FORCED = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND

NAN, INFINITE, HUGE = math.nan, math.inf, 10**400
HTML, EMOJI, NUL, SURROGATE = "<b>bold</b>", "\N{SNAKE}", "nul \x00", "lone \ud800"
MEGABYTE = "x" * 1_000_000


class Bad(NamedTuple):
    """Values that a call refuses with the same words.

    `call` gets what the table is about (a client, a panel, a workflow), and the value.
    """

    name: str
    call: Callable[[Any, Any], Any]
    words: str
    values: Sequence[Any]
    error: type[Exception] = InvalidInput


def table(*rows: Bad) -> pytest.MarkDecorator:
    """One test for each value."""
    return pytest.mark.parametrize(
        ("call", "value", "error", "words"),
        [
            pytest.param(row.call, value, row.error, row.words, id=f"{row.name}: {ascii(value)[:40]}")
            for row in rows
            for value in row.values
        ],
    )


async def outcome(result: Any) -> None:
    """Awaits or reads to its end whatever a call returned."""
    if hasattr(result, "__aiter__"):
        async for _ in result:
            pass
    elif isinstance(result, Awaitable):
        await result


# --- the API: told before the server is asked ------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module")
async def nowhere() -> AsyncIterator[DemoClient]:
    """A client of a server that is not there: what is sent to it fails in another way than with InvalidInput."""
    background = BackgroundLoop()
    background.start()
    client = await background.run(Client.connect("127.0.0.1:1", lazy=True))
    yield DemoClient(client, background, task_queue="nowhere")
    background.close()


def monty(option: str, *values: object) -> Bad:
    words = option.rstrip("s")  # "quote 1 is empty"
    return Bad(f"start_monty({option})", lambda client, value: client.start_monty(**{option: value}), words, values)


QUOTES_TO_REFUSE: list[Any] = [
    *("a text is no list", 7, [], [""], ["   "], [7], [None], [NUL], [SURROGATE], ["two\nlines"], [MEGABYTE]),
    *(["x" * (MAX_QUOTE_LENGTH + 1)], ["same", "SAME"], [QUOTES[0]]),
    [f"quote {number}" for number in range(MAX_OWN_QUOTES + 1)],
]
TIMEOUTS_TO_REFUSE: list[Any] = [NAN, -1, INFINITE, HUGE, "5", True, timedelta(seconds=-1)]


@table(
    Bad("attach", lambda client, value: client.attach(value), "not a Workflow ID",
        ["", " ", "a b", "x" * 65, HTML, "../etc", NUL, SURROGATE, EMOJI, "line\n", "a/b", "ü", None, 7, b"w"]),
    Bad("runs(limit)", lambda client, value: client.runs(limit=value), "limit",
        [0, -1, 1001, "7", None, True, 1.5, NAN, HUGE]),
    Bad("runs(workflow_type)", lambda client, value: client.runs(workflow_type=value), "workflow type",
        ["", "x' OR '1'='1", NUL, 7, "x" * 201]),
    Bad("compare", lambda client, values: client.compare(*values), "1 to 8 workflows", ["", "abcdefghi"]),
    Bad("compare", lambda client, value: client.compare(value), "cannot compare", [None, 7, ["a", "b"]]),
    Bad("compare", lambda client, value: client.compare(value), "not a Workflow ID", ["", HTML]),
    monty("min_sleep", 0, -1, NAN, "5", None, True, 1j, [1], timedelta(0), 31),
    monty("max_sleep", INFINITE, 3601, HUGE, timedelta.max, 1),
    monty("progress_interval", 0, 61, NAN, "1"),
    monty("seed", "7", 2**63, True, NAN),
    monty("iterations", 0, 1.5, INFINITE, "1"),
    monty("history_limit", 5, 10_001, "20"),
    monty("quotes", *QUOTES_TO_REFUSE),
    Bad("start_chat(history_limit)", lambda client, value: client.start_chat(history_limit=value), "history_limit",
        [1, NAN, "20", 10_001, True]),
    Bad("events(after)", lambda client, value: client.attach("w").events(after=value), "not an offset",
        ["x", NUL, HTML, EMOJI, SURROGATE, MEGABYTE, "-1", "1-2-3", 7, b"x", ["x"], NAN, True]),
    Bad("items(after)", lambda client, value: client.attach("w").items(after=value), "not an offset", ["x"]),
    Bad("result(timeout)", lambda client, value: client.attach("w").result(timeout=value), "timeout",
        TIMEOUTS_TO_REFUSE),
    Bad("add_quotes", lambda client, value: client.attach("w").add_quotes(value), "quote", QUOTES_TO_REFUSE),
    Bad("send", lambda client, value: client.attach("chat-1").send(value), "message",
        ["", "   ", "x" * 4_001, MEGABYTE, NUL, SURROGATE, "\x1b[2J", None, 7, ["hello"]]),
    Bad("send(message_id)", lambda client, value: client.attach("chat-1").send("hi", message_id=value), "message_id",
        ["", "a b", HTML, 7]),
    Bad("send(retry_of)", lambda client, value: client.attach("chat-1").send("hi", message_id="m", retry_of=value),
        "retry_of|repeat itself", ["<>", None, 7, "m"]),
    Bad("send(timeout)", lambda client, value: client.attach("chat-1").send("hi", timeout=value), "timeout",
        TIMEOUTS_TO_REFUSE),
    Bad("stop(message_id)", lambda client, value: client.attach("chat-1").stop(value), "message_id", ["a b", None, 7]),
)  # fmt: skip
async def test_the_api_tells_what_cannot_be_used_before_the_server_is_asked(
    nowhere: DemoClient, call: Any, value: object, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as told:
        await outcome(call(nowhere, value))
    assert "\x00" not in str(told.value)
    assert len(str(told.value)) < 500


# --- the API: unknown, too early, too late ---------------------------------------------------------------------------


async def test_what_is_unknown_or_comes_too_early_or_too_late_is_told(demo: Session) -> None:
    nobody, silent, quiet, over = (
        demo.attach("no-such"), demo.attach("chat-no-such"), await demo.start_chat(), await demo.start_monty(**LONG),
    )  # fmt: skip
    assert isinstance(silent, Chat)
    await over.stop()
    await over.result()
    not_there = [
        *(nobody.status(), nobody.stop(), nobody.pause(), nobody.resume(), nobody.cancel(), nobody.terminate()),
        *(nobody.progress(), nobody.result(), nobody.add_quotes(["mine"]), nobody.timeline(), nobody.events()),
        nobody.events(after=f"{1:016d}-{1:06d}-{uuid4()}"),
        *(demo.compare(over, "no-such"), silent.send("hello"), silent.history(), silent.stop(), silent.end()),
    ]
    told: list[tuple[Any, type[Exception], str]] = [
        *((call, WorkflowNotFound, "no-such|no such") for call in not_there),
        (quiet.retry(), NotPossible, "no message yet"),
        (quiet.progress(), NotPossible, "get_progress"),
        (over.add_quotes(["too late"]), NotPossible, "already ended"),
        (Session().runs(), SessionClosed, "not started"),
        (Session().start_monty(), SessionClosed, "not started"),
        (Session("/etc/passwd").start(), StateDirError, "cannot be used"),
    ]
    for call, error, words in told:
        with pytest.raises(error, match=words):
            await outcome(call)
    for late in (over.stop(), over.pause(), over.resume(), over.cancel(), over.terminate()):
        assert not (await late).accepted
    await quiet.end()
    await quiet.end()
    await quiet.result()


# --- the panel -------------------------------------------------------------------------------------------------------


def click(name: str, words: str, *arguments: object) -> Bad:
    def message(_: Panel, args: object) -> object:
        return {"t": "command", "id": "c1", "name": name, "args": args}

    return Bad(f"click {name[:20]}", message, words, arguments)


FORM = {"count": "1", "min_sleep": "2", "max_sleep": "5", "seed": "", "iterations": "", "quotes": ""}
MESSAGE = {"text": "hello", "message_id": "m1", "retry_of": ""}
UNCLEAR = "reload the page"


@table(
    Bad("message", lambda _, content: content, UNCLEAR,
        [None, 7, NAN, "hello", MEGABYTE, [], {}, {"t": 5}, {"t": "unknown"}, {"t": HTML}, {"t": NUL},
         {"t": "shown", "page": 1, "shown": True}, {"t": "shown", "page": "p1", "shown": "no"},
         {"t": "command"}, {"t": "command", "id": 5, "name": "stop", "args": {}},
         {"t": "command", "id": "c1", "name": ["stop"], "args": {}}, {"t": "command", "id": "c1", "name": "stop"}]),
    click("stop", UNCLEAR, None, [], "x", {"run": "other"}, {"": 1}),
    click("__init__", UNCLEAR, {}),
    click("", UNCLEAR, {}),
    click(MEGABYTE, UNCLEAR, {}),
    click(HTML + NUL + SURROGATE + EMOJI, UNCLEAR, {}),
    click("clear", UNCLEAR, {"all": True}),
    click("dismiss", UNCLEAR, {"alert": "1"}, {}, {"alert": None}),
    click("start_monty", UNCLEAR, {"min_sleep": 1e99}),
    click("watch", UNCLEAR, {"workflow_id": 7}, {"workflow_id": None}, {"id": "x"}, {}),
    click("send", UNCLEAR, {}, {**MESSAGE, "more": 1}, {**MESSAGE, "text": None}),
    click("send", "message", *({**MESSAGE, "text": text} for text in ("", NUL, SURROGATE, MEGABYTE, "\x1b[2J")),
          *({**MESSAGE, "message_id": name} for name in ("", HTML, EMOJI, "x" * 65)), {**MESSAGE, "retry_of": "m1"}),
    click("stop_answer", "no conversation is shown", {"message_id": "m1"}),
    click("start_many", UNCLEAR, {}, {**FORM, "count": 1}, {**FORM, "more": "1"}),
    click("start_many", "must be", {**FORM, "count": "0"}, {**FORM, "seed": EMOJI}, {**FORM, "iterations": HTML},
          {**FORM, "min_sleep": "nan"}, {**FORM, "max_sleep": "inf"}, {**FORM, "count": NUL}),
    click("start_many", "too many", {**FORM, "count": MEGABYTE}, {**FORM, "quotes": MEGABYTE}),
    click("compare", "must be texts", {"workflow_ids": [7]}, {"workflow_ids": [None]}),
    click("compare", UNCLEAR, {"workflow_ids": "x"}),
    click("act_on", "there is no", {"workflow_id": "w", "verb": "delete"}, {"workflow_id": "w", "verb": MEGABYTE}),
    click("read_entry", "not kept", {"number": -1}, {"number": 10**30}),
)  # fmt: skip
async def test_the_panel_answers_what_it_cannot_do_and_goes_on(
    session: FakeSession,  # noqa: F811
    call: Any,
    value: object,
    error: type[Exception],
    words: str,
) -> None:
    panel = Panel(session, attach=False)  # type: ignore[arg-type]
    await panel.start_monty()
    receive(panel, call(panel, value))
    await eventually(lambda: bool(sent(panel, "answer")), "an answer")
    (answer,) = sent(panel, "answer")
    assert answer["ok"] is False
    assert words in answer["message"]
    assert len(answer["message"]) < 500
    answer["message"].encode()
    assert session.begun[0].verbs == []
    assert session.background.unseen_errors() == []
    receive(panel, {"t": "command", "id": "c2", "name": "pause", "args": {}})
    await eventually(lambda: sent(panel, "answer")[-1]["ok"] is True, "the next click works")


@table(
    Bad("watch", lambda panel, value: panel.watch(value), "not a Workflow ID", ["", HTML, None, 7, NUL]),
    Bad("TraceView", lambda panel, value: TraceView(panel._demo, value), "not a Workflow ID", ["", HTML, None, 7]),
    Bad("compare", lambda panel, value: panel.compare(value), "not a Workflow ID", ["", HTML, None, 7]),
    Bad("open_chat", lambda panel, value: panel.open_chat(value), "not a Workflow ID", ["", HTML, None, 7]),
    Bad("open_chat", lambda panel, value: panel.open_chat(value), "is not a conversation", ["monty-python-1"]),
    Bad("send", lambda panel, value: panel.send(value), "message", ["", None, 7, NUL, MEGABYTE]),
    Bad("start_many", lambda panel, value: panel.start_many(value), "count", [0, 21, -1, True, 1.0, "3", None, NAN]),
    Bad("until", lambda panel, value: panel.until(bool, timeout=value), "timeout", TIMEOUTS_TO_REFUSE),
    Bad("stop", lambda panel, _: panel.stop(), "no workflow is shown", ["too early"], NotPossible),
    Bad("stop_answer", lambda panel, _: panel.stop_answer(), "no conversation is shown", ["too early"], NotPossible),
)
async def test_the_panels_methods_raise_what_is_wrong_where_they_are_awaited(
    session: FakeSession,  # noqa: F811
    nowhere: DemoClient,
    monkeypatch: pytest.MonkeyPatch,
    call: Any,
    value: object,
    error: type[Exception],
    words: str,
) -> None:
    monkeypatch.setattr(session, "attach", nowhere.attach)
    panel = Panel(session, attach=False)  # type: ignore[arg-type]
    with pytest.raises(error, match=words):
        await outcome(call(panel, value))
    assert session.background.unseen_errors() == []


# --- the command line ------------------------------------------------------------------------------------------------

USAGE = 2


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["no-such-command"], USAGE),
        (["monty", "--min-sleep", "two"], USAGE),
        (["monty", "--seed", "1.5"], USAGE),
        (["monty", "--bogus"], USAGE),
        (["lab", "--bogus"], USAGE),
        (["--bogus"], USAGE),
        (["watch"], USAGE),
        (["watch", "a", "b"], USAGE),
        (["logs", "nobody"], "no log named"),
        (["logs", "-n", "0"], USAGE),
        (["run"], USAGE),
        (["run", "a.ipynb", "--cell-timeout", "0"], USAGE),
        (["run", "a.ipynb", "-p"], "NAME and a VALUE"),
        (["run", "a.ipynb", "-p", "seed"], "NAME and a VALUE"),
        (["run", "a.ipynb", "-p", "not a name", "1"], "NAME and a VALUE"),
        (["run", "no-such.ipynb"], "no-such.ipynb"),
        (["monty", "--min-sleep", "nan"], "min_sleep"),
        (["monty", "--max-sleep", "inf"], "max_sleep"),
        (["monty", "--min-sleep", "-1"], "min_sleep"),
        (["monty", "--iterations", "0"], "iterations"),
        (["monty", "--seed", "9" * 40], "seed"),
        (["monty", "--quote", ""], "quote 1 is empty"),
        (["monty", "--quote", SURROGATE], "control character"),
        (["monty", "--quote", "x" * 281], "281 characters"),
        (["watch", ""], "not a Workflow ID"),
        (["watch", HTML], "not a Workflow ID"),
        (["watch", EMOJI], "not a Workflow ID"),
        (["watch", "monty-python-00000000"], "no such workflow"),
        (["watch", "monty-python-00000000", "--after", "x"], "not an offset"),
        (["chat", ""], "message is empty"),
        (["chat", "x" * 4_001], "4,001 characters"),
        (["chat", "hello", "--attach", HTML], "not a Workflow ID"),
        (["chat", "hello", "--attach", "chat-00000000"], "no such workflow"),
        (["chat", "hello", "--attach", "monty-python-00000000"], "not a conversation"),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_the_command_line_says_what_is_wrong_and_ends_with_a_status(
    demo: Session, monkeypatch: pytest.MonkeyPatch, arguments: list[str], wanted: str | int
) -> None:
    def leave(status: int) -> None:
        raise SystemExit(status)

    monkeypatch.setattr(cli, "leave", leave)
    result = CliRunner().invoke(cli.app, arguments)
    if wanted == USAGE:
        assert result.exit_code == USAGE
        assert "Usage" in result.output
    else:
        assert result.exit_code == 1
        assert wanted in f"{result.exception}{result.output}"


# --- workflows: what any other program may send past our checks ------------------------------------------------------

THREE_MEGABYTES, TOO_MUCH = "x" * 3_000_000, "x" * 5_000_000
ANYTHING: list[Any] = [
    *([None], [7], ["x", "y"], [{"a": NAN}], [[[[]]]], [HTML], [EMOJI], [NUL], [SURROGATE], [THREE_MEGABYTES]),
    *([{"iteration": 1, "elapsed": NAN}], [{"iteration": 1, "elapsed": -INFINITE}], [{"iteration": "1"}]),
]


def signal(name: str, *values: Any) -> Bad:
    """Signals that the server takes."""
    return Bad(f"signal {name[:20]}", lambda handle, args: handle.signal(name, args=args), "", values)


def refused_signal(name: str, words: str, *values: Any) -> Bad:
    return signal(name, *values)._replace(words=words, error=RPCError)


def update(name: str, words: str, *values: Any) -> Bad:
    return Bad(f"update {name}", lambda handle, args: handle.execute_update(name, args=args), words, values,
               WorkflowUpdateFailedError)  # fmt: skip


def query(name: str, words: str, *values: Any) -> Bad:
    return Bad(f"query {name}", lambda handle, args: handle.query(name, args=args), words, values,
               WorkflowQueryFailedError)  # fmt: skip


EVERY_WORKFLOW = [
    signal("no_such_signal", [], [THREE_MEGABYTES]),
    signal(HTML + EMOJI, [], [NUL]),
    refused_signal("", "not set", []),
    refused_signal("x" * 5_000, "length exceeds limit", []),
    update("no_such_update", "not found", [], ["x", "y"], [THREE_MEGABYTES]),
    query("no_such_query", "not found", [], [THREE_MEGABYTES]),
]


async def send_raw(demo: Session, run: Run, call: Any, value: object, error: type[Exception], words: str) -> None:
    send = demo.background.run(call(demo.client.temporal.get_workflow_handle(run.id), value))
    if not words:
        await send
        return
    with pytest.raises(error) as told:
        await send
    assert words in f"{told.value} {told.value.__cause__}"


async def assert_never_stuck(demo: Session, run: Run) -> None:
    """No Workflow Task of it has failed, but for those that the server itself cut short to make room."""
    handle: WorkflowHandle[Any, Any] = demo.client.temporal.get_workflow_handle(run.id)
    history = await demo.background.run(handle.fetch_history())
    failed = [event.workflow_task_failed_event_attributes for event in history.events if event.event_type == FAILED]
    assert [task for task in failed if task.cause != FORCED] == []


@pytest_asyncio.fixture(scope="module")
async def target(demo: Session) -> AsyncIterator[Run]:
    """A Monty that everything is sent to; it can be stopped when it has had all of that."""
    run = await demo.start_monty(**LONG)
    yield run
    await run.stop()
    assert (await run.result()).final_status == "stopped"
    await assert_never_stuck(demo, run)


@table(
    *EVERY_WORKFLOW,
    signal("pause", *ANYTHING),
    signal("resume", *ANYTHING),
    refused_signal("pause", "larger than max", [TOO_MUCH]),
    update("add_quotes", "argument", [], ["x", "y"]),
    update("add_quotes", "quote", *([value] for value in QUOTES_TO_REFUSE), [None], [{"a": 1}], [THREE_MEGABYTES]),
    query("get_progress", "", ["x"], [None]),
)
async def test_nothing_that_is_sent_wedges_a_monty(
    demo: Session, target: Run, call: Any, value: object, error: type[Exception], words: str
) -> None:
    await send_raw(demo, target, call, value, error, words)
    mine = uuid4().hex
    assert (await target.add_quotes([mine])).accepted
    assert mine in (await target.progress())["own_quotes"]


async def test_a_stop_of_a_monty_counts_whatever_comes_with_it(demo: Session) -> None:
    async def stop(surplus: list[object]) -> None:
        run = await demo.start_monty(**LONG)
        await send_raw(demo, run, signal("stop_workflow").call, surplus, Exception, "")
        assert (await run.result()).final_status == "stopped"
        await assert_never_stuck(demo, run)

    await asyncio.gather(*map(stop, ANYTHING))


@pytest_asyncio.fixture(scope="module")
async def chat_target(demo: Session) -> AsyncIterator[Chat]:
    """A conversation that everything is sent to; it can be ended when it has had all of that."""
    chat = await demo.start_chat()
    await chat.send("Hi", message_id="first")
    yield chat
    assert (await chat.send("Hi again")).status == "answered"
    await send_raw(demo, chat, signal("end_conversation").call, ["x", 7], Exception, "")
    assert (await chat.result()).total_messages == 2
    await assert_never_stuck(demo, chat)


@table(
    *EVERY_WORKFLOW,
    signal("stop_answer", *ANYTHING),
    update("send_message", "argument", [], [MESSAGE, MESSAGE]),
    update("send_message", "Error", [None], [7], ["hi"], [[]], [{}], [{"id": "m1"}], [{"id": "m1", "text": None}],
           [{"id": "m1", "text": [THREE_MEGABYTES]}]),
    update("send_message", "message_id", *([{"id": name, "text": "hi"}] for name in ("", HTML, EMOJI, NUL, "x" * 65))),
    update("send_message", "retry_of", [{"id": "m1", "text": "hi", "retry_of": HTML}]),
    update("send_message", "message", *([{"id": "m1", "text": text}] for text in ("", " ", NUL, SURROGATE)),
           [{"id": "m1", "text": THREE_MEGABYTES}]),
    query("get_status", "", ["x"]),
    query("get_history", "", [None]),
)  # fmt: skip
async def test_nothing_that_is_sent_wedges_a_conversation(
    demo: Session, chat_target: Chat, call: Any, value: object, error: type[Exception], words: str
) -> None:
    await send_raw(demo, chat_target, call, value, error, words)
    assert (await chat_target.send("Hi", message_id="first")).status == "answered"


def start(name: str, words: str, *values: Any) -> Bad:
    async def begin(demo: Session, args: Any) -> str:
        client = demo.client
        given = {"id": f"raw-{uuid4().hex[:8]}", "task_queue": client.task_queue}
        return (await demo.background.run(client.temporal.start_workflow(name, args=args, **given))).id

    return Bad(f"start {name}", begin, words, values, WorkflowEndedBadly)


STEP = {"iteration": 1, "sleep": 1, "quote": "Ni!"}


@table(
    start("MontyPythonWorkflow", "is no MontyPythonInput", [None], [7], ["x"], [[]], [{"min_sleep": "1"}],
          [{"seed": NAN}], [{"iterations": INFINITE}], [{"quotes": None}], [{"quotes": "x" * 1_900_000}],
          [{"quotes": [7]}], [{"quotes": {"a": 1}}], [{"state": {}}], [{"state": 7}]),
    start("MontyPythonWorkflow", "takes one input", [{}, {}], [None, None]),
    start("MontyPythonWorkflow", "min_sleep", [{"min_sleep": NAN}], [{"min_sleep": -1}], [{"min_sleep": HUGE}]),
    start("MontyPythonWorkflow", "quote 1", [{"quotes": [NUL]}], [{"quotes": [SURROGATE]}], [{"quotes": [MEGABYTE]}]),
    start("MontyPythonWorkflow", "sleep must", [{"state": {"started_at": 0, "step": {**STEP, "sleep": NAN}}}]),
    start("MontyPythonWorkflow", "elapsed must", [{"state": {"started_at": 0, "step": {**STEP, "elapsed": 2}}}]),
    start("ChatWorkflow", "is no ChatInput", [None], [7], [HTML], [{"history_limit": "x"}], [{"state": {"turns": 7}}]),
    start("ChatWorkflow", "takes one input", [{}, {}]),
    start("ChatWorkflow", "history_limit", [{"history_limit": 0}]),
)  # fmt: skip
async def test_a_start_that_cannot_be_used_fails_the_workflow_and_says_why(
    demo: Session, call: Any, value: object, error: type[Exception], words: str
) -> None:
    run = demo.attach(await call(demo, value))
    with pytest.raises(error, match=words) as told:
        await run.result(timeout=60)
    assert told.value.status == "FAILED"  # type: ignore[attr-defined]
    await assert_never_stuck(demo, run)


@pytest.mark.parametrize("name", ["MontyPythonWorkflow", "ChatWorkflow"])
@pytest.mark.parametrize("given", [[], [{}], [{"unknown": 1}]], ids=str)
async def test_a_start_without_input_has_the_defaults(demo: Session, name: str, given: list[object]) -> None:
    run = demo.attach(await start(name, "").call(demo, given))
    query_name = "get_progress" if name == "MontyPythonWorkflow" else "get_status"
    await demo.background.run(demo.client.temporal.get_workflow_handle(run.id).query(query_name))
    await run.cancel()
    with pytest.raises(WorkflowEndedBadly, match="CANCELED"):
        await run.result()
    await assert_never_stuck(demo, run)


async def test_a_conversation_goes_on_with_text_that_no_file_can_hold(demo: Session) -> None:
    """Half a character, as a model that is cut off may send: it is JSON, but no UTF-8."""
    turn = {"id": "m1", "text": "hello", "received_at": 0, "status": "answered", "answer": SURROGATE, "ended_at": 1}
    chat = demo.attach(await start("ChatWorkflow", "").call(demo, [{"state": {"turns": [turn], "total_messages": 1}}]))
    message = {"id": "m2", "text": "Hi"}
    reply = await demo.background.run(
        demo.client.temporal.get_workflow_handle(chat.id).execute_update("send_message", message)
    )
    assert reply["status"] == "answered"
    await chat.cancel()
    await assert_never_stuck(demo, chat)

"""The chat of a panel, its Python end: messages, conversations, commands; with a scripted session."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from durable_demo import events as e
from durable_demo.conversation import Conversation
from durable_demo.errors import InvalidInput, NotPossible, ServerUnreachable, StillRunning
from durable_demo.widgets import Panel
from durable_demo.workflows.chat_data import MAX_MESSAGE
from tests.conftest import eventually
from tests.widgets.fakes import FakeChat, FakeRun, FakeSession, Listed
from tests.widgets.test_live import command, make_panel, receive, seen, sent, told


def answered(count: int) -> Callable[[Conversation], bool]:
    return lambda conversation: [turn.status for turn in conversation.turns] == ["answered"] * count


async def send(panel: Panel, text: str, message_id: str = "m1", retry_of: str = "") -> dict[str, object]:
    return await command(panel, "send", text=text, message_id=message_id, retry_of=retry_of)


# --- messages --------------------------------------------------------------------------------------------------------


async def test_the_first_message_begins_a_conversation_and_is_answered(session: FakeSession) -> None:
    panel = make_panel(session)
    assert panel.chat is None
    assert str(await panel.send("Hello")) == "You said: Hello"
    conversation = await panel.until_chat(answered(1), 30)
    assert conversation is panel.conversation
    assert panel.chat is session.chats[0]
    assert conversation.summary.model == "offline brain (rules)"
    await panel.send("Again")
    await panel.until_chat(answered(2), 30)
    assert len(session.chats) == 1


async def test_quick_messages_begin_one_conversation_and_keep_their_order(session: FakeSession) -> None:
    panel = make_panel(session)
    for number in range(5):
        receive(
            panel,
            {
                "t": "command",
                "id": f"c{number}",
                "name": "send",
                "args": {"text": f"text {number}", "message_id": f"m{number}", "retry_of": ""},
            },
        )
    conversation = await panel.until_chat(answered(5), 30)
    assert len(session.chats) == 1
    assert [turn.message_id for turn in conversation.turns] == [f"m{number}" for number in range(5)]


async def test_a_message_sent_twice_is_one_turn(session: FakeSession) -> None:
    panel = make_panel(session)
    assert [(await send(panel, "Hello"))["ok"] for _ in range(2)] == [True, True]
    await panel.until_chat(answered(1), 30)
    assert session.chats[0].received == [("m1", "Hello", "")]


async def test_a_browser_gets_turns_as_rows_with_the_answer_as_a_tree(session: FakeSession) -> None:
    panel = make_panel(session)
    await send(panel, "a **bold** word", retry_of="m0")
    await eventually(lambda: bool(told(panel, "chat")["rows"]), "a row was sent")
    ((number, turn),) = told(panel, "chat")["rows"]
    assert number == 0
    assert (turn["id"], turn["status"], turn["retry_of"]) == ("m1", "answered", "m0")
    assert turn["nodes"] == [["p", {}, "You said: a ", ["strong", {}, "bold"], " word"]]
    assert turn["answer"] == "You said: a **bold** word"


@pytest.mark.parametrize(("text", "why"), [("x" * (MAX_MESSAGE + 1), "4,001 characters"), (" \n ", "empty")])
async def test_a_message_that_cannot_be_sent_is_answered_in_words_and_begins_no_conversation(
    session: FakeSession, text: str, why: str
) -> None:
    panel = make_panel(session)
    answer = await send(panel, text)
    assert (answer["ok"], answer["invalid"], answer["alert"]) == (False, True, False)
    assert why in str(answer["message"])
    assert session.chats == []
    with pytest.raises(InvalidInput, match=why):
        await panel.send(text)


async def test_a_message_that_was_not_sent_is_told_where_it_stands_and_can_be_sent_again(session: FakeSession) -> None:
    panel = make_panel(session)
    session.start_error = ServerUnreachable("no server answers", why="it is down", remedy="await demo.start()")
    answer = await send(panel, "Hello")
    assert (answer["ok"], answer["invalid"], answer["alert"]) == (False, False, False)
    assert answer["message"] == "no server answers (it is down)", "what to do next is a button there"
    assert told(panel, "panel")["summary"]["alerts"] == []
    assert session.background.unseen_errors() == []
    session.start_error = None
    assert (await send(panel, "Hello"))["ok"] is True
    await panel.until_chat(answered(1), 30)


async def test_an_unexpected_error_of_a_message_reaches_assert_clean(session: FakeSession) -> None:
    panel = make_panel(session)
    await panel.send("Hello")
    session.chats[0].error = ZeroDivisionError("oops")
    answer = await send(panel, "Hello", "m2")
    assert answer["alert"] is True
    await eventually(
        lambda: [type(error) for error in session.background.unseen_errors()] == [ZeroDivisionError], "assert_clean"
    )


async def test_a_message_that_was_taken_and_still_waits_was_sent(session: FakeSession) -> None:
    panel = make_panel(session)
    await panel.send("Hello")
    session.chats[0].error = StillRunning("chat-00000001 has not answered within 0:02:00")
    assert (await send(panel, "Hello", "m2"))["ok"] is True
    with pytest.raises(StillRunning):
        await panel.send("Hello")


async def test_stop_reaches_the_message_that_the_browser_names_and_not_monty(session: FakeSession) -> None:
    panel = make_panel(session)
    with pytest.raises(NotPossible, match="no conversation is shown here"):
        await panel.stop_answer()
    await panel.start_monty()
    await panel.send("Hello")
    assert (await command(panel, "stop_answer", message_id="m7"))["ok"] is True
    assert (await panel.stop_answer()).accepted
    assert session.chats[0].verbs == ["stop m7", "stop"]
    assert session.begun[0].verbs == []


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("send", {"text": "hi", "message_id": "m1"}),
        ("send", {"text": "hi", "message_id": "m1", "retry_of": None}),
        ("send", {"text": 7, "message_id": "m1", "retry_of": ""}),
        ("send", {"text": "hi", "message_id": "m1", "retry_of": "", "timeout": 1}),
        ("stop_answer", {}),
        ("stop_answer", {"message_id": None}),
        ("new_chat", {"x": 1}),
        ("open_chat", {}),
        ("open_chat", {"workflow_id": ["chat-1"]}),
        ("list_chats", {"limit": 1000}),
        ("end", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_commands_with_other_arguments_are_refused(
    session: FakeSession, name: str, args: dict[str, object]
) -> None:
    panel = make_panel(session)
    answer = await command(panel, name, **args)
    assert answer["ok"] is False
    assert "reload the page" in answer["message"]
    assert session.chats == []


@pytest.mark.parametrize("message_id", ["", "a b", "x" * 65, "<b>"])
async def test_a_message_id_that_is_none_is_refused(session: FakeSession, message_id: str) -> None:
    answer = await send(make_panel(session), "Hello", message_id)
    assert (answer["ok"], answer["invalid"]) == (False, True)
    assert session.chats == []


# --- conversations ---------------------------------------------------------------------------------------------------


async def test_a_new_conversation_begins_with_the_next_message_and_the_old_one_can_be_opened(
    session: FakeSession,
) -> None:
    panel = make_panel(session)
    await panel.send("first")
    assert (await command(panel, "new_chat"))["ok"] is True
    assert panel.chat is None
    assert told(panel, "chat")["rows"] == []
    assert told(panel, "chat")["summary"]["workflow_id"] == ""
    await panel.send("second")
    assert len(session.chats) == 2
    assert (await command(panel, "open_chat", workflow_id="chat-00000001"))["ok"] is True
    conversation = await panel.until_chat(answered(1), 30)
    assert [turn.text for turn in conversation.turns] == ["first"]
    await panel.send("third")
    assert [text for _, text, _ in session.chats[0].received] == ["first", "third"]


async def test_a_message_stays_with_the_conversation_that_was_shown_when_it_was_sent(session: FakeSession) -> None:
    panel = make_panel(session)
    pending = panel.send("for the first")
    panel.new_chat()
    await panel.send("for the second")
    await pending
    assert [[text for _, text, _ in chat.received] for chat in session.chats] == [["for the first"], ["for the second"]]
    conversation = await panel.until_chat(answered(1), 30)
    assert [turn.text for turn in conversation.turns] == ["for the second"]


@pytest.mark.parametrize("workflow_id", ["monty-python-1", "no id!"])
async def test_only_a_conversation_can_be_opened(session: FakeSession, workflow_id: str) -> None:
    panel = make_panel(session)
    answer = await command(panel, "open_chat", workflow_id=workflow_id)
    assert (answer["ok"], answer["alert"]) == (False, True)
    assert panel.chat is None


async def test_past_conversations_are_listed_for_the_browser(session: FakeSession) -> None:
    session.listed = [
        Listed(FakeRun()),
        Listed(FakeChat("chat-2"), workflow_type="ChatWorkflow", title="Is it\nwarm?"),
        Listed(FakeChat("chat-1"), workflow_type="ChatWorkflow", status="COMPLETED"),
    ]
    panel = make_panel(session)
    assert (await command(panel, "list_chats"))["ok"] is True
    await eventually(lambda: told(panel, "panel")["summary"]["chats"] is not None, "they were told")
    when = datetime(2025, 1, 19, 10, 30, tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    assert told(panel, "panel")["summary"]["chats"] == [
        {"workflow_id": "chat-2", "title": "Is it\\nwarm?", "status": "RUNNING", "started": when},
        {"workflow_id": "chat-1", "title": "", "status": "COMPLETED", "started": when},
    ]


async def test_a_new_panel_picks_up_the_newest_conversation_that_runs_and_the_newest_monty(
    session: FakeSession,
) -> None:
    chats = [FakeChat(f"chat-{number}") for number in range(3)]
    for chat in chats:
        chat.begun()
    monty = FakeRun()
    monty.started()
    session.listed = [
        Listed(chats[0], workflow_type="ChatWorkflow", status="COMPLETED"),
        Listed(monty),
        Listed(chats[1], workflow_type="ChatWorkflow"),
        Listed(chats[2], workflow_type="ChatWorkflow"),
    ]
    panel = make_panel(session, attach=True)
    await panel.until_chat(lambda conversation: conversation.summary.workflow_id == "chat-1", 30)
    await panel.until(lambda trace: trace.summary.workflow_id == monty.id, 30)
    await panel.send("Hello")
    assert [text for _, text, _ in chats[1].received] == ["Hello"]


async def test_what_ran_before_a_hundred_others_is_found_and_listed(session: FakeSession) -> None:
    chat, monty = FakeChat("chat-1"), FakeRun()
    chat.begun()
    monty.started()
    others = [Listed(FakeRun(f"order-{number}"), workflow_type="OrderWorkflow") for number in range(150)]
    session.listed = [*others, Listed(chat, workflow_type="ChatWorkflow"), Listed(monty)]
    panel = make_panel(session, attach=True)
    await panel.until_chat(lambda conversation: conversation.summary.workflow_id == chat.id, 30)
    await panel.until(lambda trace: trace.summary.workflow_id == monty.id, 30)
    assert (await command(panel, "list_chats"))["ok"] is True
    await eventually(lambda: told(panel, "panel")["summary"]["chats"] is not None, "they were told")
    assert [item["workflow_id"] for item in told(panel, "panel")["summary"]["chats"]] == ["chat-1"]


async def test_a_turn_of_many_large_steps_stays_small_enough_to_send(session: FakeSession) -> None:
    panel = make_panel(session)
    await panel.send("first")
    chat = session.chats[0]
    chat.push(e.MessageReceived(message_id="m2", text="x", **chat.common()))
    for number in range(100):
        call = {"message_id": "m2", "call_id": f"tool:m2:1:{number}", "tool": "get_city"}
        chat.push(e.ToolCalled(arguments={"city": "x" * 4_000}, **call, **chat.common()))
        chat.push(e.ToolAnswered(result="y" * 4_000, error="z" * 4_000, attempt=1, **call, **chat.common()))
    await panel.until_chat(
        lambda conversation: len(conversation.turns) == 2 and len(conversation.turns[-1].tools) == 100
    )
    receive(panel, {"t": "hello"})
    _, turn = told(panel, "chat")["rows"][-1]
    assert len(turn["steps"]) == 50
    assert len(json.dumps(turn)) < 150_000


# --- both at once ----------------------------------------------------------------------------------------------------


async def test_chat_and_trace_go_on_at_the_same_time_and_rest_together(session: FakeSession) -> None:
    panel = make_panel(session)
    await panel.start_monty()
    await panel.send("Hello")
    await panel.until_chat(answered(1), 30)
    await panel.until(lambda trace: trace.summary.status == "RUNNING", 30)
    assert repr(panel) == "Panel(monty-python-00000001: RUNNING, chat-00000001: RUNNING)"
    seen(panel, True)
    seen(panel, False)
    assert not panel._watched.active
    assert not panel._chatting.following.active
    await session.chats[0].send("from elsewhere", message_id="m9")
    seen(panel, True)
    await panel.until_chat(answered(2), 30)
    assert panel._watched.active


async def test_a_closed_panel_follows_neither(session: FakeSession) -> None:
    panel = make_panel(session)
    await panel.start_monty()
    await panel.send("Hello")
    panel.close()
    await eventually(lambda: not panel._watched.active and not panel._chatting.following.active, "both have ended")


async def test_until_chat_names_what_it_waited_for(session: FakeSession) -> None:
    panel = make_panel(session)
    await panel.send("Spam")
    await panel.until_chat(answered(1), 30)
    with pytest.raises(StillRunning, match=r"(?s)the conversation did not come to .*You said: Spam"):
        await panel.until_chat(lambda conversation: conversation.answering, 0.05)


async def test_the_static_form_has_the_conversation_and_the_trace(session: FakeSession) -> None:
    panel = make_panel(session)
    await panel.send("<b>Hello</b>")
    await panel.until_chat(answered(1), 30)
    page = panel._bundle()["text/html"]
    assert "&lt;b&gt;Hello" in page
    assert "No workflow trace available" not in page
    await panel.start_monty()
    await panel.until(lambda trace: trace.summary.status == "RUNNING", 30)
    bundle = panel._bundle()
    assert bundle["text/html"].index("chat-00000001") < bundle["text/html"].index("monty-python-00000001")
    assert "You said" in bundle["text/plain"]
    assert "Workflow started" in bundle["text/plain"]


async def test_commands_of_one_kind_do_not_wait_for_those_of_another(session: FakeSession) -> None:
    panel = make_panel(session)
    hold = asyncio.Event()

    async def slow_start() -> FakeChat:
        await hold.wait()
        return FakeChat()

    session.start_chat = slow_start  # type: ignore[method-assign]
    panel.send("Hello")
    assert (await command(panel, "start_monty"))["ok"] is True
    assert (await command(panel, "new_chat"))["ok"] is True
    assert [message["ok"] for message in sent(panel, "answer")] == [True, True]
    session.background.spawn(_set(hold), name="let go").result(5)


async def _set(event: asyncio.Event) -> None:
    event.set()

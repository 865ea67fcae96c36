"""The durable agent on the real server: each message is answered once, in order, whatever happens."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.client import WorkflowUpdateFailedError

from durable_demo import Chat, Conversation, Run, Session
from durable_demo import events as e
from durable_demo.client import DemoClient, RunSummary
from durable_demo.errors import InvalidInput, NotPossible, StillRunning, WorkerUnavailable, WorkflowNotFound
from durable_demo.workflows import ChatWorkflow
from durable_demo.workflows.chat_data import MAX_QUEUED, MAX_STEPS, ChatInput, UserMessage
from tests.broken import RaisesInChat
from tests.chats import new_queue, on_queue, scripted_worker
from tests.conftest import eventually
from tests.workers import timed_out

WITHIN = 60.0


@pytest_asyncio.fixture
async def scripted(demo: Session) -> AsyncIterator[DemoClient]:
    """A client whose conversations have the scripted model."""
    queue = new_queue()
    async with scripted_worker(demo, queue):
        yield on_queue(demo, queue)


async def until(chat: Chat, name: str, **fields: object) -> e.Event:
    """Waits for an event of this name with these fields."""
    async with asyncio.timeout(WITHIN):
        async for event in chat.events():
            if event.event == name and all(getattr(event, key) == value for key, value in fields.items()):
                return event
    raise AssertionError(f"the conversation ended without {name} {fields}")


async def facts(chat: Chat) -> list[e.Event]:
    """All facts of a conversation that has ended."""
    async with asyncio.timeout(WITHIN):
        return [event async for event in chat.events() if not event.tick]


async def listed(client: DemoClient, chat: Chat) -> RunSummary:
    """What the list says of a conversation that has a title; the server's list is a moment behind."""
    async with asyncio.timeout(WITHIN):
        while True:
            for item in await client.runs():
                if item.workflow_id == chat.id and item.title:
                    return item
            await asyncio.sleep(0.05)


async def ended(chat: Chat) -> list[e.Event]:
    await chat.end()
    return await facts(chat)


# --- with the real brain and the real tools --------------------------------------------------------------------------


async def test_a_question_is_answered_with_a_tool_that_shows_in_the_history(demo: Session):
    chat = await demo.start_chat()
    assert chat.id.startswith("chat-")
    assert len(chat.id) == len("chat-") + 8
    reply = await chat.send("What's the weather in NYC?")
    assert (reply.status, reply.model) == ("answered", "offline brain (rules)")
    for word in ("New York", "°F", "humidity", "wind"):
        assert word in str(reply)
    all_events = await ended(chat)
    (introduced,) = (place for place, event in enumerate(all_events) if isinstance(event, e.AgentIntroduced))
    events = [event for event in all_events if isinstance(event, e.MessageEvent)]
    assert introduced < all_events.index(events[1])  # the message itself may come before it or after it
    assert [event.event for event in events] == [
        "message_received",
        "model_asked",
        "model_answered",
        "tool_called",
        "tool_answered",
        "model_asked",
        "model_answered",
        "message_answered",
    ]
    called = events[3]
    assert isinstance(called, e.ToolCalled)
    assert (called.tool, called.message_id) == ("get_weather", reply.message_id)
    assert events[2].text  # the line for the meantime


async def test_a_follow_up_is_understood_from_the_conversation(demo: Session):
    chat = await demo.start_chat()
    await chat.send("What's the weather in NYC?")
    reply = await chat.send("How about London?")
    assert "London" in reply.text
    assert "°C" in reply.text
    tools = [event.arguments for event in await ended(chat) if isinstance(event, e.ToolCalled)]
    assert len(tools) == 2
    assert tools[1]["city"].startswith("London")


async def test_two_tools_run_side_by_side(demo: Session):
    chat = await demo.start_chat()
    reply = await chat.send("Which is warmer, Cairo or Oslo?")
    assert "Cairo" in reply.text
    kinds = [event.event for event in await ended(chat) if isinstance(event, e.ToolEvent)]
    assert kinds[:2] == ["tool_called", "tool_called"]
    assert Counter(kinds) == {"tool_called": 2, "tool_answered": 2}


async def test_the_text_comes_in_pieces(demo: Session):
    chat = await demo.start_chat()
    sending = asyncio.create_task(chat.send("What will the weather be like in Cairo and Oslo this week?"))  # for 7 s
    texts: list[str] = []
    async with asyncio.timeout(WITHIN):
        async for event in chat.events():
            if isinstance(event, e.TextUpdate) and event.step == 2:
                texts.append(event.text)
            if isinstance(event, e.MessageAnswered):
                break
    reply = await sending
    assert len({*texts} - {""}) >= 2
    assert all(reply.text.startswith(text.strip()) for text in texts)
    await chat.end()


async def test_conversations_are_listed_with_their_first_words_and_found_again(demo: Session):
    chat = await demo.start_chat()
    await chat.send("  Hello\nthere,  <b>agent</b>")
    found = await listed(demo.client, chat)
    assert found.title == "Hello there, <b>agent</b>"
    assert isinstance(found.run, Chat)
    again = demo.attach(chat.id)
    assert isinstance(again, Chat)
    assert again == chat
    assert not isinstance(demo.attach("monty-python-12345678"), Chat)
    assert [turn.text for turn in (await again.history()).turns] == ["Hello\nthere,  <b>agent</b>"]
    await again.end()
    assert (await again.result()).total_messages == 1


# --- messages --------------------------------------------------------------------------------------------------------


async def test_messages_sent_at_once_are_answered_in_order_and_none_is_lost(scripted: DemoClient):
    chat = await scripted.start_chat()
    texts = [f"say number {number}" for number in range(2 * MAX_QUEUED)]
    replies = await asyncio.gather(*(chat.send(text) for text in texts))
    assert [reply.text for reply in replies] == [text.removeprefix("say ") for text in texts]
    events = await ended(chat)
    assert [event.text for event in events if isinstance(event, e.MessageReceived)] == texts
    answers = [event.text for event in events if isinstance(event, e.MessageAnswered)]
    assert answers == [reply.text for reply in replies]


async def test_a_message_sent_twice_with_one_id_is_one_turn(scripted: DemoClient):
    chat = await scripted.start_chat()
    first, second = await asyncio.gather(*(chat.send("say hi", message_id="m-1") for _ in range(2)))
    later = await scripted.attach(chat.id).send("say hi", message_id="m-1")  # type: ignore[attr-defined]
    assert first == second == later
    events = await ended(chat)
    assert Counter(type(event).event for event in events if isinstance(event, e.MessageEvent)) == {
        "message_received": 1, "model_asked": 1, "model_answered": 1, "message_answered": 1,
    }  # fmt: skip


async def test_a_message_sent_twice_while_no_worker_lives_is_one_turn(demo: Session):
    queue = new_queue()
    chat = await on_queue(demo, queue).start_chat()
    sending = [asyncio.create_task(chat.send("say hi", message_id="m-1")) for _ in range(2)]
    await asyncio.wait(sending, timeout=0.5)
    assert not any(task.done() for task in sending)
    async with scripted_worker(demo, queue):
        first, second = await asyncio.gather(*sending)
        assert first == second
        assert [event.event for event in await ended(chat)].count("message_received") == 1


async def test_without_a_worker_sending_ends_at_its_deadline_and_says_so(demo: Session):
    chat = await on_queue(demo, new_queue()).start_chat()
    async with asyncio.timeout(WITHIN):
        with pytest.raises(WorkerUnavailable, match=r"doctor.*message_id='m-1'"):
            await chat.send("hello", message_id="m-1", timeout=0.5)
        assert (await chat.history()).turns == []
    await chat.terminate()


async def test_a_message_is_sent_again_while_the_server_refuses_it_because_workflow_tasks_fail(demo: Session):
    queue = new_queue()
    chat = await on_queue(demo, queue).start_chat()
    handle = demo.client.temporal.get_workflow_handle(chat.id)
    async with asyncio.timeout(WITHIN):
        async with scripted_worker(demo, queue, workflows=[RaisesInChat]):
            attempt = 0
            while attempt < 3:  # from then on it refuses
                attempt = (await demo.background.run(handle.describe())).raw_description.pending_workflow_task.attempt
                await asyncio.sleep(0.05)
            with pytest.raises(WorkerUnavailable, match=r"(?s)raised an exception.*message_id='m-1'"):
                await chat.send("hello", message_id="m-1", timeout=1)
            with pytest.raises(WorkerUnavailable, match=r"(?s)latest Workflow Tasks failed.*run\.status\(\)"):
                await chat.progress()
            waiting = asyncio.create_task(chat.send("hello", message_id="m-1"))
        async with scripted_worker(demo, queue):
            assert str(await waiting)
            assert [turn.message_id for turn in (await chat.history()).turns] == ["m-1"]
    await chat.terminate()


async def test_an_answer_that_takes_long_is_no_loss(scripted: DemoClient):
    chat = await scripted.start_chat()
    first = asyncio.create_task(chat.send("slow", message_id="m-1"))
    await until(chat, "text_update")  # it is taken
    with pytest.raises(StillRunning, match="has not answered"):
        await chat.send("slow", message_id="m-1", timeout=1.5)
    await chat.stop()
    assert (await first).status == "stopped"
    assert (await chat.send("slow", message_id="m-1")).status == "stopped"
    await chat.end()


@pytest.mark.parametrize(
    "text",
    ["x" * 4_000, "👩‍💻" * 900,
     "<script>alert(1)</script>", "[x](javascript:alert(1))", "e\u0301\u202e\u200b", '{"a": [1]}'],
    ids=["4000", "emoji", "script", "link", "unicode", "json"],
)  # fmt: skip
async def test_any_other_text_is_answered_and_kept_as_it_is(demo: Session, text: str):
    chat = await demo.start_chat()
    reply = await chat.send(text)
    assert reply.status == "answered"
    assert (await chat.history()).turns[0].text == text
    await chat.end()


async def test_an_unknown_conversation_and_one_that_has_ended_say_so(scripted: DemoClient):
    with pytest.raises(WorkflowNotFound):
        await scripted.attach(f"chat-{uuid4().hex[:8]}").send("hello")  # type: ignore[attr-defined]
    chat = await scripted.start_chat()
    await chat.send("say hi")
    await ended(chat)
    with pytest.raises(InvalidInput, match="message_id"):
        await chat.stop("no id")
    with pytest.raises(NotPossible, match=r"already ended: COMPLETED(.|\n)*start_chat"):
        await chat.send("hello")
    for answer in (await chat.stop(), await chat.end()):
        assert not answer.accepted


async def test_a_conversation_takes_only_what_its_validator_allows(demo: Session, scripted: DemoClient):
    chat = await scripted.start_chat()
    slow = asyncio.create_task(chat.send("slow"))
    await until(chat, "text_update")
    waiting = [asyncio.create_task(chat.send(f"say {number}")) for number in range(MAX_QUEUED)]
    await until(chat, "message_received", text=f"say {MAX_QUEUED - 1}")
    handle = demo.client.temporal.get_workflow_handle(chat.id)

    async def refused(message: UserMessage) -> str:
        with pytest.raises(WorkflowUpdateFailedError) as error:
            await demo.background.run(handle.execute_update("send_message", message))
        return f"{error.value.cause}"

    assert "empty" in await refused(UserMessage("m-1", "  "))
    assert "4,000 are the most" in await refused(UserMessage("m-1", "x" * 4_001))
    assert "Busy" in await refused(UserMessage("m-1", "one too many"))
    await chat.stop()
    assert (await slow).status == "stopped"
    assert [reply.text for reply in await asyncio.gather(*waiting)] == [str(number) for number in range(MAX_QUEUED)]
    await chat.end()


# --- stop ------------------------------------------------------------------------------------------------------------


async def test_a_stopped_answer_keeps_what_was_written_and_the_next_turn_works(scripted: DemoClient):
    chat = await scripted.start_chat()
    sending = asyncio.create_task(chat.send("slow"))
    update = await until(chat, "text_update", attempt=1)
    while not update.text:
        update = await until(chat, "text_update")
    assert (await chat.stop()).accepted
    reply = await sending
    assert reply.status == "stopped"
    assert reply.text.startswith("word0 ")
    assert (await chat.send("say next")).text == "next"
    assert (await chat.stop()).accepted  # nothing to stop: harmless
    assert (await chat.send("say last")).text == "last"
    (stopped,) = [event for event in await ended(chat) if isinstance(event, e.MessageStopped)]
    assert stopped.text == reply.text


async def test_a_message_that_waits_can_be_stopped_alone(scripted: DemoClient):
    chat = await scripted.start_chat()
    first = asyncio.create_task(chat.send("slow", message_id="first"))
    await until(chat, "text_update")
    second = asyncio.create_task(chat.send("say second", message_id="second"))
    await until(chat, "message_received", message_id="second")
    await chat.stop("second")
    assert await second == await chat.send("again", message_id="second")
    assert (await second).status == "stopped"
    assert not first.done()
    await chat.stop("first")
    assert (await first).status == "stopped"
    await chat.end()


async def test_a_stop_counts_whenever_it_was_accepted(demo: Session):
    """Before the message is taken, before its turn has come, and after its model has answered unseen."""
    queue = new_queue()
    chat = await on_queue(demo, queue).start_chat()
    early, waiting = (asyncio.create_task(chat.send("say hi", message_id=name)) for name in ("early", "waiting"))
    await chat.stop("early")
    async with scripted_worker(demo, queue):
        assert [(await task).status for task in (early, waiting)] == ["stopped", "answered"]
    answering = asyncio.create_task(chat.send("say hi", message_id="late"))
    async with scripted_worker(demo, queue, workflows=[ChatWorkflow], activities=[]):
        await until(chat, "model_asked", message_id="late")
    await chat.stop("late")
    async with scripted_worker(demo, queue, workflows=[]):
        await until(chat, "model_answered", message_id="late")
    async with scripted_worker(demo, queue):
        assert (await answering).status == "stopped"
        await chat.end()
        await chat.result()


async def test_a_stop_ends_retries_too(scripted: DemoClient):
    chat = await scripted.start_chat()
    sending = asyncio.create_task(chat.send("fail 99"))
    await until(chat, "activity_retry")
    await chat.stop()
    assert (await sending).status == "stopped"
    assert (await chat.send("say next")).text == "next"
    await chat.end()


# --- failures --------------------------------------------------------------------------------------------------------


async def test_a_failed_call_of_the_model_is_retried_visibly(scripted: DemoClient):
    chat = await scripted.start_chat()
    reply = await chat.send("fail 2")
    assert (reply.status, reply.text) == ("answered", "2")
    (retry,) = [event for event in await ended(chat) if isinstance(event, e.ActivityRetry)]
    assert retry.attempt >= 3
    assert retry.message_id == reply.message_id
    assert "hiccuped for the 2. time" in retry.error or timed_out(retry)


async def test_a_model_that_asks_to_wait_is_asked_again_no_sooner(scripted: DemoClient):
    chat = await scripted.start_chat()
    reply = await chat.send("busy 2")
    assert reply.status == "answered"
    (turn,) = (await chat.history()).turns
    times = [e.datetime.fromisoformat(moment) for moment in (turn.received, turn.ended)]
    assert (times[1] - times[0]).total_seconds() >= 2.0
    await chat.end()


@pytest.mark.parametrize(
    ("text", "why"), [("refuse", "The key was refused. Set another"), ("loop", f"after {MAX_STEPS} steps")]
)
async def test_a_final_failure_is_an_answer_that_says_so_and_the_next_turn_works(
    scripted: DemoClient, text: str, why: str
):
    chat = await scripted.start_chat()
    reply = await chat.send(text)
    assert reply.status == "failed"
    assert why in reply.text
    assert (await chat.send("say next")).text == "next"
    again = await chat.retry()
    assert (again.text, again.message_id != reply.message_id) == ("next", True)
    events = await ended(chat)
    assert [event.error for event in events if isinstance(event, e.MessageFailed)] == [reply.text]
    assert all(timed_out(event) for event in events if isinstance(event, e.ActivityRetry))


async def test_the_model_is_told_what_went_wrong_with_its_tools(scripted: DemoClient):
    chat = await scripted.start_chat()
    wrong = [
        ["no_such_tool", {}],
        ["get_weather", {"city": "Atlantis"}],
        ["get_weather", {"town": "London"}],
        ["get_city", {"times": 2}],
    ]
    reply = await chat.send(f"call {json.dumps(wrong)}")
    unknown, place, argument, retried = (json.loads(part) for part in reply.text.split(" | "))
    assert "no tool named" in unknown["error"]
    assert "Atlantis" in place["error"]
    assert "missing a required argument: 'city'" in argument["error"]
    assert retried["attempt"] >= 3
    retries = [event for event in await ended(chat) if isinstance(event, e.ActivityRetry)]
    (retry,) = [event for event in retries if event.activity_type == "get_city"]
    assert (retry.message_id, retry.attempt) == (reply.message_id, retried["attempt"])
    assert "on fire" in retry.error or timed_out(retry)
    assert all(timed_out(other) for other in retries if other != retry)


# --- continue-as-new and the end -------------------------------------------------------------------------------------


async def test_continue_as_new_keeps_the_conversation_and_nobody_notices(demo: Session, scripted: DemoClient):
    chat = await scripted.start_chat(history_limit=20)
    replies = [await chat.send(f"say number {number}", message_id=f"m{number}") for number in range(9)]
    assert (await chat.send("count")).text == "10"  # the model gets all of it
    assert await chat.send("other words", message_id="m0") == replies[0]
    events = await ended(chat)
    assert sum(isinstance(event, e.WorkflowContinuedAsNew) for event in events) >= 2
    assert [event.message_id for event in events if isinstance(event, e.MessageReceived)][:9] == [
        reply.message_id for reply in replies
    ]
    ends = Counter(event.message_id for event in events if isinstance(event, e.MessageAnswered))
    assert set(ends.values()) == {1}
    offsets = [event.offset for event in events]
    assert offsets == sorted(set(offsets))
    assert (await chat.result()).total_messages == 10
    assert [turn.answer for turn in (await chat.history()).turns][:9] == [reply.text for reply in replies]


async def test_messages_that_come_in_a_crowd_do_not_keep_it_from_continuing_as_new(scripted: DemoClient):
    chat = await scripted.start_chat(history_limit=40)
    replies = await asyncio.gather(*(chat.send(f"say {number}") for number in range(24)))
    assert [reply.text for reply in replies] == [str(number) for number in range(24)]
    events = await ended(chat)
    assert sum(isinstance(event, e.WorkflowContinuedAsNew) for event in events) >= 2
    assert [event.text for event in events if isinstance(event, e.MessageAnswered)] == [str(n) for n in range(24)]


async def test_a_conversation_keeps_its_title_over_continue_as_new(scripted: DemoClient):
    chat = await scripted.start_chat(history_limit=20)
    for number in range(4):
        await chat.send(f"say number {number}")
    assert (await listed(scripted, chat)).title == "say number 0"
    assert sum(isinstance(event, e.WorkflowContinuedAsNew) for event in await ended(chat)) >= 1


async def test_it_says_when_another_worker_has_another_agent(demo: Session):
    queue = new_queue()
    chat = await on_queue(demo, queue).start_chat()
    async with scripted_worker(demo, queue, notice="a key is missing"):
        await chat.send("say hi")
        assert (await chat.history()).summary.notice == "a key is missing"
    async with scripted_worker(demo, queue):
        await chat.send("say hi")
        assert (await chat.history()).summary.notice == ""
        await chat.end()
        await chat.result()


async def test_whoever_follows_sees_the_same_as_who_comes_after_the_end(scripted: DemoClient):
    chat = await scripted.start_chat()
    live = Conversation()

    async def follow() -> None:
        async for event in chat.events():
            live.apply(event)

    following = asyncio.create_task(follow())
    await chat.send("fail 1")
    for text in ('call [["get_city", {"times": 99}]]', "slow"):
        sending = asyncio.create_task(chat.send(text))
        await until(chat, "activity_retry" if "call" in text else "text_update")
        await chat.stop()
        await sending
    last = asyncio.create_task(chat.send("slow"))
    await eventually(
        lambda: bool(live.turns[-1].answer) and not live.turns[-1].over, "the last answer is being written"
    )
    await chat.terminate()
    with pytest.raises(NotPossible):
        await last
    await following
    late = await chat.history()
    assert live.turns == late.turns
    assert live.summary == late.summary


async def test_history_and_status_can_be_asked_also_after_the_end(demo: Session, scripted: DemoClient):
    chat = await scripted.start_chat()
    handle = demo.client.temporal.get_workflow_handle(chat.id)
    await chat.send("say hi", message_id="m1")
    status = await demo.background.run(handle.query("get_status"))
    assert (status["status"], status["total_messages"], status["agent"]["model"]) == ("idle", 1, "scripted")
    await ended(chat)
    assert (await demo.background.run(handle.query("get_status")))["status"] == "ended"
    (turn,) = await demo.background.run(handle.query("get_history"))
    assert (turn["id"], turn["text"], turn["answer"], turn["status"]) == ("m1", "say hi", "hi", "answered")
    assert [item.answer for item in (await chat.history()).turns] == ["hi"]


async def test_ending_waits_for_what_was_sent(scripted: DemoClient):
    chat = await scripted.start_chat()
    sending = [asyncio.create_task(chat.send(f"fail {number}")) for number in range(3)]
    await until(chat, "message_received", text="fail 2")
    await chat.end()
    assert [(await task).status for task in sending] == ["answered"] * 3
    assert (await chat.result()).final_status == "ended"


async def test_a_canceled_conversation_tells_who_waits(scripted: DemoClient):
    chat = await scripted.start_chat()
    sending = [asyncio.create_task(chat.send(text)) for text in ("slow", "say never")]
    await until(chat, "text_update")
    await until(chat, "message_received", text="say never")
    await chat.cancel()
    assert [(await task).status for task in sending] == ["stopped", "stopped"]
    assert (await facts(chat))[-1].event == "workflow_canceled"


async def test_a_conversation_canceled_before_its_agent_is_known_tells_who_waits(demo: Session):
    queue = new_queue()
    chat = await on_queue(demo, queue).start_chat()
    async with scripted_worker(demo, queue, activities=[]):
        sending = asyncio.create_task(chat.send("say never"))
        await until(chat, "message_received")
        await chat.cancel()
        assert (await sending).status == "stopped"
        assert (await facts(chat))[-1].event == "workflow_canceled"


async def test_a_terminated_conversation_tells_who_waits(scripted: DemoClient):
    chat = await scripted.start_chat()
    sending = asyncio.create_task(chat.send("slow"))
    await until(chat, "text_update")
    await chat.terminate()
    async with asyncio.timeout(WITHIN):
        with pytest.raises(NotPossible, match="TERMINATED"):
            await sending
    (turn,) = (await chat.history()).turns
    assert turn.status == "failed"


async def test_a_conversation_with_an_input_that_cannot_be_used_fails_and_says_why(demo: Session, scripted: DemoClient):
    with pytest.raises(InvalidInput, match="history_limit"):
        await scripted.start_chat(history_limit=1)
    workflow_id = f"chat-{uuid4().hex[:8]}"
    await demo.background.run(
        demo.client.temporal.start_workflow(
            "ChatWorkflow", ChatInput(history_limit=-1), id=workflow_id, task_queue=scripted.task_queue
        )
    )
    chat: Run = scripted.attach(workflow_id)
    last = [event async for event in chat.events()][-1]
    assert isinstance(last, e.WorkflowFailed)
    assert "history_limit" in last.error


async def test_conversations_are_listed_by_themselves_however_many_other_workflows_are_newer(demo: Session):
    chat = await demo.start_chat()
    await chat.send("Hello")
    run = await demo.start_monty(min_sleep=60, max_sleep=60)
    await listed(demo.client, chat)
    assert {item.workflow_type for item in await demo.runs(workflow_type="ChatWorkflow")} == {"ChatWorkflow"}
    assert (await demo.runs(workflow_type="ChatWorkflow", limit=1))[0].workflow_id == chat.id
    await run.terminate()
    await chat.end()

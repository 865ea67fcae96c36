"""What the buttons in a row of the table do, on the real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio

from durable_demo import Chat, Session
from durable_demo.errors import InvalidInput, NotPossible, WorkflowNotFound
from durable_demo.widgets.run_verbs import VERBS, act_on
from tests.test_follow import queue, start  # noqa: F401  # `queue` is a fixture
from tests.test_monty import LONG, until


@pytest_asyncio.fixture
async def chat(demo: Session) -> AsyncIterator[Chat]:
    chat = await demo.start_chat()
    yield chat
    await chat.terminate()


async def test_monty_is_paused_resumed_and_stopped(demo: Session):
    run = await demo.start_monty(**LONG)
    await until(run, "progress_update", status="iteration_1_sleeping")
    assert (await act_on(run, "pause")).accepted
    await until(run, "progress_update", status="iteration_1_paused")
    assert (await act_on(run, "resume")).message == f"{run.id}: resume requested"
    await until(run, "workflow_resumed")
    assert (await act_on(run, "stop")).accepted
    assert (await run.result()).final_status == "stopped"


@pytest.mark.parametrize(("verb", "status"), [("cancel", "CANCELED"), ("terminate", "TERMINATED")])
async def test_any_workflow_is_canceled_or_terminated(demo: Session, queue: str, verb: str, status: str):  # noqa: F811
    for run in (await demo.start_monty(**LONG), await demo.start_chat(), await start(demo, queue, "Everything", "x")):
        assert (await act_on(run, verb)).accepted
        await until(run, f"workflow_{status.lower()}")
        assert (await run.status()).status == status


async def test_stop_ends_a_conversation_gracefully(demo: Session, chat: Chat):
    await chat.send("Hello")
    answer = await act_on(chat, "stop")
    assert answer.message == f"{chat.id}: end of the conversation requested"
    assert (await chat.result()).total_messages == 1


@pytest.mark.parametrize("verb", ["pause", "resume"])
async def test_a_conversation_cannot_be_paused(demo: Session, chat: Chat, verb: str):
    with pytest.raises(NotPossible, match=f"is a conversation and cannot {verb}"):
        await act_on(chat, verb)


async def test_a_workflow_without_such_a_signal_says_so(demo: Session, queue: str):  # noqa: F811
    run = await start(demo, queue, "Everything", "x")
    with pytest.raises(NotPossible, match="has no Signal 'pause'"):
        await act_on(run, "pause")
    await run.terminate()


@pytest.mark.parametrize("verb", VERBS)
async def test_what_has_ended_answers_that_it_is_too_late(demo: Session, verb: str):
    run = await demo.start_monty(**LONG)
    await run.terminate()
    answer = await act_on(run, verb)
    assert (answer.accepted, answer.message) == (False, f"{run.id} has already ended: TERMINATED")
    with pytest.raises(WorkflowNotFound):
        await act_on(demo.attach(f"monty-python-{uuid4().hex[:8]}"), verb)


@pytest.mark.parametrize("verb", ["", "Stop", "__init__", "result", "kill\n" * 100])
async def test_an_unknown_verb_is_told(demo: Session, verb: str):
    with pytest.raises(InvalidInput, match="use one of stop, pause, resume, cancel, terminate"):
        await act_on(demo.attach("monty-python-00000000"), verb)

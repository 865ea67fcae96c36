"""A conversation under attack: every message is answered once, and no tool that had finished runs again."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from durable_demo import Chat, Session, settings
from durable_demo import events as e
from durable_demo.connection import pollers, worker_identity
from durable_demo.processes import environment
from tests.chats import new_queue, on_queue

MESSAGES = 12
KILLS = 8
"""Few: `make chaos` kills more, and more often."""
CITIES = ["Rome", "Oslo", "Cairo", "Tokyo", "Lima", "Paris", "Berlin", "Madrid", "Nairobi", "Sydney", "Boston", "Delhi"]


class Victim:
    """A Worker process that is killed and started again."""

    def __init__(self, demo: Session, queue: str, log: Path) -> None:
        self._demo = demo
        self._queue = queue
        self._command = [sys.executable, "-m", "tests.counting_worker", str(log)]
        self._process: subprocess.Popen[bytes] | None = None
        self.kills = 0

    def start(self) -> None:
        variables = {"TEMPORAL_ADDRESS": self._demo.info.address, settings.ENV_TASK_QUEUE: self._queue}
        self._process = subprocess.Popen(self._command, env=environment(**variables), stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self.kills += 1

    async def until_polling(self) -> None:
        """Until it serves: before that there is nothing to kill."""
        assert self._process is not None
        identity = worker_identity(self._process.pid)
        async with asyncio.timeout(60):
            while identity not in await self._demo.background.run(pollers(self._demo.client.temporal, self._queue)):
                assert self._process.poll() is None, "the Worker has ended by itself"
                await asyncio.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_messages_survive_kills_of_the_worker_and_two_continue_as_new(demo: Session, tmp_path: Path):
    queue, log = new_queue(), tmp_path / "tools.log"
    chat = await on_queue(demo, queue).start_chat(history_limit=20)
    dice = random.Random(7)
    victim = Victim(demo, queue, log)
    victim.start()
    questions = [
        f"What's the weather in {CITIES[number % len(CITIES)]}?" if number % 2 else f"What is {number} * 1000 + 7?"
        for number in range(MESSAGES)
    ]
    try:
        sending = [
            asyncio.create_task(chat.send(question, message_id=f"m{number}", timeout=240))
            for number, question in enumerate(questions)
        ]
        while victim.kills < KILLS:
            await victim.until_polling()
            # Kills shall hit all that there is to hit, for as long as there is anything to do.
            await asyncio.wait(sending, timeout=dice.uniform(0.1, 2.2), return_when=asyncio.ALL_COMPLETED)
            victim.kill()
            victim.start()
        replies = await asyncio.gather(*sending)
        await chat.end()
        await chat.result()
    finally:
        with suppress(ProcessLookupError):
            victim.kill()

    assert [reply.message_id for reply in replies] == [f"m{number}" for number in range(MESSAGES)]
    assert {reply.status for reply in replies} == {"answered"}
    for number, reply in enumerate(replies):
        assert (CITIES[number % len(CITIES)] if number % 2 else f"{number * 1000 + 7:,}") in reply.text

    facts = [event async for event in chat.events() if not event.tick]
    received = [event.message_id for event in facts if isinstance(event, e.MessageReceived)]
    answered = [event.message_id for event in facts if isinstance(event, e.MessageAnswered)]
    assert received == answered == [reply.message_id for reply in replies]
    assert sum(isinstance(event, e.WorkflowContinuedAsNew) for event in facts) >= 2
    check_that_no_finished_tool_ran_again(facts, log.read_text().splitlines())
    assert any(isinstance(event, e.ActivityRetry) for event in facts), "no kill has hit an Activity"


def check_that_no_finished_tool_ran_again(facts: list[e.Event], log: list[str]) -> None:
    """By the history each call of a tool has one answer; by the counter nothing ran after the attempt that gave it."""
    called = Counter(event.call_id for event in facts if isinstance(event, e.ToolCalled))
    answers = [event for event in facts if isinstance(event, e.ToolAnswered)]
    assert Counter(answer.call_id for answer in answers) == called
    assert set(called.values()) == {1}
    assert not any(answer.error for answer in answers)
    runs = [tuple(line.split()) for line in log]
    for answer in answers:
        begun = [
            int(attempt) for what, activity_id, attempt in runs if (what, activity_id) == ("begin", answer.call_id)
        ]
        assert len(begun) == len(set(begun)), f"an attempt of {answer.call_id} ran twice"
        assert max(begun) == answer.attempt, f"{answer.call_id} ran again after attempt {answer.attempt} had answered"
        assert ("end", answer.call_id, str(answer.attempt)) in runs


@pytest.mark.slow
async def test_an_answer_survives_a_kill_of_the_server_and_of_everything(tmp_path: Path):
    async with Session(tmp_path) as demo:
        chat = await demo.start_chat()
        sending = asyncio.create_task(chat.send("What will the weather be like in Cairo and Oslo this week?"))
        async for event in chat.events():
            if isinstance(event, e.TextUpdate):
                break
        for process in (demo.info.server, demo.info.worker):
            assert process is not None
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        reply = await sending
        assert reply.status == "answered"
        again: Chat = await demo.start_chat()
        assert (await again.send("What is 6 * 7?")).text.find("42") >= 0
        assert [turn.answer for turn in (await chat.history()).turns] == [reply.text]

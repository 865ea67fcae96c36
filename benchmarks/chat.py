"""A conversation: how soon a stop is seen, and what durability adds to an answer.

The same model and the same tools answer with and without a workflow.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable

from benchmarks.report import table
from durable_demo import Chat, Session
from durable_demo.agent.model import Message
from durable_demo.agent.offline import OfflineModel
from durable_demo.agent.tools import TOOLS
from durable_demo.events import MessageStopped, TextUpdate

ROUNDS = 20
QUESTION = "What's the weather in NYC?"
LONG = "What can you do?"


async def measure(demo: Session) -> None:
    """Prints how long both take."""
    chat = await demo.start_chat()
    stopped, whole, durable, plain = [], [], [], []
    async with asyncio.timeout(300):
        for _ in range(ROUNDS):
            stopped.append(await _stop(chat))
            whole.append(await _took(chat.send(LONG)))
            durable.append(await _took(chat.send(QUESTION)))
            plain.append(await _took(_without_workflow()))
    await chat.end()
    names = ("from stop() at its first words", "written to its end")
    table("An answer of some 50 words is over after", "ms", stopped, whole, names)
    table("A question with one tool is answered after", "ms", plain, durable, ("without a workflow", "durable"))


async def _took(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return 1000 * (time.perf_counter() - began)


async def _stop(chat: Chat) -> float:
    """From the click on Stop to the event that says so."""
    last = (await chat.history()).last_fact
    sending = asyncio.create_task(chat.send(LONG))
    began = 0.0
    async for event in chat.events(after=last or None):
        if isinstance(event, TextUpdate) and event.text and not began:
            began = time.perf_counter()
            await chat.stop()
        if isinstance(event, MessageStopped):
            break
    took = 1000 * (time.perf_counter() - began)
    await sending
    return took


async def _without_workflow() -> None:
    model, messages = OfflineModel(), [Message("user", QUESTION)]
    while (reply := await model.reply(messages, lambda _: None)).calls:
        messages.append(Message("assistant", reply.text, calls=reply.calls))
        for call in reply.calls:
            result = json.dumps(TOOLS[call.name](**call.arguments))
            messages.append(Message("tool", result, call_id=call.id, tool=call.name))

"""Conversations for tests: a model that does what the message says, and Workers for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from temporalio import activity
from temporalio.worker import Worker

from durable_demo import Session, tuning
from durable_demo.agent.model import Message, ModelReply, Say, ToolCall
from durable_demo.agent.models import Choice
from durable_demo.client import DemoClient
from durable_demo.errors import ModelRefused, ModelUnavailable
from durable_demo.workflows import ACTIVITIES, ChatWorkflow, chat_activities


class ScriptedModel:
    """Does as told: say WORDS, slow, fail TIMES, busy SECONDS, refuse, loop, call [[TOOL, ARGUMENTS]], count."""

    name = "scripted"

    async def reply(self, messages: Sequence[Message], say: Say) -> ModelReply:
        asked = next(message.text for message in reversed(messages) if message.role == "user")
        verb, _, rest = asked.partition(" ")
        results = [message.text for message in messages[-9:] if message.role == "tool"]
        attempt = activity.info().attempt
        match verb:
            case "slow":
                for number in range(1_000):
                    say(f"word{number} ")
                    await asyncio.sleep(0.05)
            case "fail" if attempt <= int(rest):
                raise ModelUnavailable(f"the model hiccuped for the {attempt}. time")
            case "busy" if attempt == 1:
                raise ModelUnavailable("too many requests", retry_after=float(rest))
            case "refuse":
                raise ModelRefused("the key was refused", remedy="set another")
            case "loop":
                return ModelReply("once more...", [ToolCall("call_1", "get_time", {"city": "London"})], self.name)
            case "call" if messages[-1].role == "user":
                calls = [ToolCall(f"call_{n}", name, given) for n, (name, given) in enumerate(json.loads(rest), 1)]
                return ModelReply("one moment...", calls, self.name)
            case "call":
                return ModelReply(" | ".join(results), model=self.name)
            case "count":
                return ModelReply(str(sum(message.role == "user" for message in messages)), model=self.name)
        say(rest)
        return ModelReply(rest or "at last", model=self.name)


@activity.defn(name="get_city")
async def failing_tool(arguments: dict[str, Any]) -> dict[str, Any]:
    """Fails as often as it is told to, or answers with very much."""
    if activity.info().attempt <= int(str(arguments.get("times", 0))):
        raise OSError("the disk of the tool is on fire")
    return {"attempt": activity.info().attempt}


SCRIPTED_ACTIVITIES = [
    *(work for work in ACTIVITIES if getattr(work, "__temporal_activity_definition").name != "get_city"),
    failing_tool,
]


def on_queue(demo: Session, queue: str) -> DemoClient:
    """A client whose workflows wait on a Task Queue of their own."""
    return DemoClient(demo.client.temporal, demo.background, task_queue=queue)


def new_queue() -> str:
    return f"chats-{uuid4().hex[:8]}"


@asynccontextmanager
async def scripted_worker(
    demo: Session,
    queue: str,
    *,
    workflows: Sequence[type] = (ChatWorkflow,),
    activities: Sequence[Callable[..., Any]] = SCRIPTED_ACTIVITIES,
    notice: str = "",
) -> AsyncIterator[None]:
    """A Worker in this process whose agent has the scripted model."""
    stop = asyncio.Event()
    before = chat_activities.chosen

    async def work() -> None:
        async with Worker(
            demo.client.temporal,
            task_queue=queue,
            workflows=workflows,
            activities=activities,
            max_heartbeat_throttle_interval=tuning.HEARTBEAT_THROTTLE,
            default_heartbeat_throttle_interval=tuning.HEARTBEAT_THROTTLE,
        ):
            while not stop.is_set():  # noqa: ASYNC110  # the event belongs to another loop
                await asyncio.sleep(0.05)

    chat_activities.chosen = lambda: Choice(ScriptedModel(), notice)  # type: ignore[assignment]
    working = demo.background.spawn(work(), name="worker of the test")
    try:
        yield
    finally:
        stop.set()
        await working
        chat_activities.chosen = before

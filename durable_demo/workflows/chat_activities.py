"""The Activities of the chat: the agent introduces itself, asks its model, and runs its tools.

They are where the agent touches the world. Each reports a heartbeat several times a second: it carries the text so far,
brings a stop within half a second, and tells the server that the Worker lives.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from durable_demo.agent.model import Message, ModelReply
from durable_demo.agent.models import Choice, choose_model
from durable_demo.agent.tools import TOOLS
from durable_demo.agent.weather import weather_source
from durable_demo.errors import InvalidInput, ModelRefused, ModelUnavailable
from durable_demo.workflows.chat_data import Agent, AgentReply, sentences

HEARTBEAT_INTERVAL_S = 0.15
"""Heartbeats bring the text to those who watch, and a stop to the Activity."""
breaks_off: ContextVar[Callable[[int], bool] | None] = ContextVar("breaks_off", default=None)
"""Whether an answer breaks off after so many characters, as a connection to a model may; None: it does not."""
MAX_RESULT_BYTES = 4_000
"""Of a tool's result: a larger one would crowd the conversation out of the model's context."""


@dataclass(frozen=True)
class ModelRequest:
    """What `ask_model` gets.

    Attributes:
        messages: The conversation, oldest first.
    """

    messages: list[Message]


@cache
def chosen() -> Choice:
    """The model of this process: chosen once, since a provider's library takes seconds to load."""
    return choose_model()


@activity.defn
async def introduce_agent() -> Agent:
    """Says what the agent works with, so that people know it before they ask."""
    return _agent()


@activity.defn
async def ask_model(request: ModelRequest) -> AgentReply:
    """Asks the model what to say, or which tools to run. Each heartbeat has the text so far.

    When somebody stops it, it returns what had been written. When its Worker shuts down, the next attempt begins anew.
    """
    model = chosen().model
    pieces: list[str] = []

    def write(piece: str) -> None:
        pieces.append(piece)
        broken = breaks_off.get()
        if broken is not None and broken(sum(map(len, pieces))):
            raise ModelUnavailable("The answer broke off in the middle", remedy="it is asked again")

    async with _heartbeats(lambda: {"text": "".join(pieces)}):
        try:
            return AgentReply(await model.reply(request.messages, write), _agent())
        except asyncio.CancelledError:
            details = activity.cancellation_details()
            if details is None or not details.cancel_requested:
                raise
            return AgentReply(ModelReply("".join(pieces), model=model.name, stopped=True), _agent())
        # `from None`: what a provider said must not reach a log.
        except ModelRefused as error:
            raise ApplicationError(_words(error), type="ModelRefused", non_retryable=True) from None
        except ModelUnavailable as error:
            delay = None if error.retry_after is None else timedelta(seconds=error.retry_after)
            raise ApplicationError(_words(error), type="ModelUnavailable", next_retry_delay=delay) from None


def _tool_activity(name: str, tool: Callable[..., dict[str, Any]]) -> Callable[[dict[str, Any]], Any]:
    """The Activity that runs a tool; it has the tool's name."""
    signature = inspect.signature(tool)

    async def run(arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            signature.bind(**arguments)
        except TypeError as error:
            raise ApplicationError(f"{name}: {error}", type="InvalidInput", non_retryable=True) from None
        async with _heartbeats(dict):
            try:
                result = await asyncio.to_thread(tool, **arguments)
            except InvalidInput as error:
                raise ApplicationError(_words(error), type="InvalidInput", non_retryable=True) from None
        text = json.dumps(result)
        # Here, not in the workflow: a result that is too large would never get there.
        return result if len(text) <= MAX_RESULT_BYTES else {"cut": text[: MAX_RESULT_BYTES // 2 - 10]}  # quotes double

    run.__doc__ = tool.__doc__
    return activity.defn(name=name)(run)


TOOL_ACTIVITIES = {name: _tool_activity(name, tool) for name, tool in TOOLS.items()}
"""The Activity of each tool, by its name."""


@asynccontextmanager
async def _heartbeats(details: Callable[[], dict[str, Any]]) -> AsyncIterator[None]:
    """Reports several times a second while the body runs."""

    async def beat() -> None:
        while True:
            activity.heartbeat(details())
            await asyncio.sleep(HEARTBEAT_INTERVAL_S)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()


def _agent() -> Agent:
    return Agent(model=chosen().model.name, weather=weather_source(), notice=chosen().notice)


def _words(error: InvalidInput | ModelRefused | ModelUnavailable) -> str:
    return sentences((error.what, error.why, error.remedy))

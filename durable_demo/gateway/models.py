"""What goes over the wire, typed: requests and answers, with the examples that the documentation shows."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import Path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from durable_demo.client import RunSummary
from durable_demo.conversation import Conversation, Turn
from durable_demo.events import format_timestamp
from durable_demo.run import RunStatus
from durable_demo.workflows.chat_data import MAX_MESSAGE, ChatReply, UserMessage
from durable_demo.workflows.checks import PLAIN_ID, PLAIN_ID_WORDS
from durable_demo.workflows.monty_data import MAX_SLEEP_S
from durable_demo.workflows.quotes import MAX_OWN_QUOTES, MAX_QUOTE_LENGTH

EXAMPLE_ID = "monty-python-1a2b3c4d"
EXAMPLE_CHAT = "chat-5e6f7a8b"
EXAMPLE_OFFSET = "1737282615000000-000005-0198c0de-0000-7000-8000-000000000001"
EXAMPLE_EVENTS = f"""retry: 1000

event: workflow_started
id: 1737282615000000-000001-0198c0de-0000-7000-8000-000000000001
data: {{"event": "workflow_started", "timestamp": "2025-01-19T10:30:15.000Z", "workflow_id": "{EXAMPLE_ID}", \
"run_id": "0198c0de-0000-7000-8000-000000000001", \
"offset": "1737282615000000-000001-0198c0de-0000-7000-8000-000000000001", "tick": false, \
"workflow_type": "MontyPythonWorkflow", "input": {{"min_sleep": 2.0, "max_sleep": 5.0}}}}

event: progress_update
id: {EXAMPLE_OFFSET}
data: {{"event": "progress_update", "timestamp": "2025-01-19T10:30:16.500Z", "workflow_id": "{EXAMPLE_ID}", \
"run_id": "0198c0de-0000-7000-8000-000000000001", "offset": "{EXAMPLE_OFFSET}", "tick": true, \
"iteration_count": 1, "total_quotes_delivered": 0, "total_elapsed": 1.5, "progress": 45.0, \
"status": "iteration_1_sleeping", "current_quote": null, "current_sleep_duration": 3.3, "iteration_elapsed": 1.485, \
"should_exit": false, "attempt": 1}}

: keep-alive

"""

EVENT_SCHEMA = {
    "type": "object",
    "description": "One server-sent event.",
    "required": ["data"],
    "properties": {
        "event": {"type": "string", "description": "Name of the event."},
        "id": {"type": "string", "description": "Its offset."},
        "retry": {"type": "integer", "description": "How soon to come back, in milliseconds."},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {
                "type": "object",
                "required": ["event", "timestamp", "workflow_id", "run_id", "offset", "tick"],
            },
        },
    },
}
LARGEST_SEED = 2**53 - 1
"""Whole numbers up to this are the same in every JSON."""
_CONTROL = r"\x00-\x1f\x7f-\x9f"
_CONTROL_IN_LINES = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
QUOTE_PATTERN = rf"^[^{_CONTROL}]*[^\s{_CONTROL}][^{_CONTROL}]*$"
"""One line with something that is no space."""
MESSAGE_PATTERN = rf"^[^{_CONTROL_IN_LINES}]*[^\s{_CONTROL}][^{_CONTROL_IN_LINES}]*$"
"""Something that is no space, and no control characters but tabs and line ends."""


def _whole(value: object) -> object:
    """JSON knows one kind of numbers: 3.0 is a whole one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# The bounds stand next to `int`: behind a validator JSON Schema would not know them.
Seed = Annotated[int, Field(ge=-LARGEST_SEED, le=LARGEST_SEED), BeforeValidator(_whole)]
Iterations = Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(_whole)]
Quote = Annotated[str, Field(pattern=QUOTE_PATTERN, max_length=MAX_QUOTE_LENGTH)]
Quotes = Annotated[list[Quote], Field(max_length=MAX_OWN_QUOTES, json_schema_extra={"uniqueItems": True})]

ID_PATTERN = "^" + PLAIN_ID.pattern.removesuffix(r"\Z") + "$"
"""`PLAIN_ID` as JSON Schema has it."""
WorkflowId = Annotated[
    str,
    Path(
        pattern=ID_PATTERN,
        description=f"Workflow ID: {PLAIN_ID_WORDS}.",
        examples=[EXAMPLE_ID],
    ),
]


def _example(**fields: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [fields]})


class MontyQuery(BaseModel):
    """How a Monty Python workflow runs, in a URL: an `EventSource` can only GET."""

    model_config = ConfigDict(extra="ignore")  # `token`, and what the stream itself takes

    min_sleep: float = Field(default=5.0, gt=0, le=MAX_SLEEP_S, description="Shortest sleep in seconds.")
    max_sleep: float = Field(default=30.0, gt=0, le=MAX_SLEEP_S, description="Longest sleep in seconds.")
    progress_interval: float = Field(
        default=0.5, ge=0.05, le=60, description="Seconds between two reports of progress."
    )
    seed: Seed | None = Field(default=None, description="Makes sleeps and quotes repeatable.")
    iterations: Iterations | None = Field(default=None, description="Ends by itself after so many.")
    quotes: Quotes = Field(default=[], description="Quotes of your own, delivered first.")


class MontyOptions(MontyQuery):
    """How a Monty Python workflow runs; all of it may be left out, and each value has its type."""

    model_config = {
        **_example(min_sleep=2.0, max_sleep=5.0, quotes=["It is not the same parrot."]),
        "strict": True,
    }


class SignalName(StrEnum):
    """What can be asked of a workflow that handles it."""

    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"


class SignalSent(BaseModel):
    """A Signal that the server has taken."""

    model_config = _example(
        status="signal sent", workflow_id=EXAMPLE_ID, signal="stop_workflow", timestamp="2025-01-19T10:30:45.123Z"
    )

    status: Literal["signal sent"]
    workflow_id: str = Field(description="Workflow ID.")
    signal: str = Field(description="Name of the Signal.")
    timestamp: str = Field(description="When it was sent: UTC, ISO 8601, milliseconds, `Z`.")

    @classmethod
    def now(cls, workflow_id: str, signal: str) -> SignalSent:
        """One that was sent just now."""
        return cls(
            status="signal sent",
            workflow_id=workflow_id,
            signal=signal,
            timestamp=format_timestamp(datetime.now(UTC)),
        )


class WorkflowStatus(BaseModel):
    """What the server says of a workflow of any type; no Worker is asked."""

    model_config = _example(
        workflow_id=EXAMPLE_ID,
        run_id="0198c0de-0000-7000-8000-000000000001",
        workflow_type="MontyPythonWorkflow",
        state="PAUSED",
        execution_status="RUNNING",
        start_time="2025-01-19T10:30:15.000Z",
        close_time=None,
        task_queue="durable-demo",
        history_length=23,
        iterations=2,
        quotes=1,
        messages=None,
        problem="",
    )

    workflow_id: str = Field(description="Workflow ID.")
    run_id: str = Field(description="Run ID of its latest run.")
    workflow_type: str = Field(description="Name of its type.")
    state: str = Field(description="As people see it: `execution_status`, or PAUSED or STOPPING while it runs.")
    execution_status: str = Field(description="RUNNING, COMPLETED, FAILED, CANCELED, TERMINATED or TIMED_OUT.")
    start_time: str = Field(description="When its first run began.")
    close_time: str | None = Field(description="When it ended; null while it runs.")
    task_queue: str = Field(description="Its Task Queue.")
    history_length: int = Field(description="Events in the history of its latest run.")
    iterations: int | None = Field(description="Iterations begun; null if it counts none.")
    quotes: int | None = Field(description="Quotes delivered, likewise.")
    messages: int | None = Field(description="Messages received, likewise.")
    problem: str = Field(description="Why it cannot go on, and what to do; empty if all is well.")

    @classmethod
    def of(cls, status: RunStatus, summary: RunSummary) -> WorkflowStatus:
        """Both looks at a workflow as one."""
        return cls(
            workflow_id=status.workflow_id,
            run_id=status.run_id,
            workflow_type=status.workflow_type,
            state=status.status if status.ended else summary.status,
            execution_status=status.status,
            start_time=format_timestamp(summary.started),
            close_time=None if status.closed is None else format_timestamp(status.closed),
            task_queue=status.task_queue,
            history_length=status.history_length,
            iterations=summary.iterations,
            quotes=summary.quotes,
            messages=summary.messages,
            problem=status.problem,
        )


class ChatMessage(BaseModel):
    """A message to the agent."""

    model_config = _example(message="What's the weather in NYC?")

    message: str = Field(
        min_length=1, max_length=MAX_MESSAGE, pattern=MESSAGE_PATTERN, description="The text.", strict=True
    )
    message_id: str | None = Field(
        default=None,
        pattern=ID_PATTERN,
        description="Its id; a message that is sent again with it is not taken twice. Made up by default.",
    )

    def checked(self) -> UserMessage:
        """The same as a conversation takes it.

        Raises:
            InvalidInput: It cannot be sent.
        """
        return UserMessage(self.message_id or uuid4().hex, self.message).checked()


class ChatAnswer(BaseModel):
    """What became of a message."""

    model_config = _example(
        workflow_id=EXAMPLE_CHAT,
        message_id="0b1c2d3e4f",
        status="answered",
        reply="In NYC, it's currently 45°F with partly cloudy skies.",
        model="offline",
    )

    workflow_id: str = Field(description="Workflow ID of the conversation.")
    message_id: str = Field(description="Id of the message.")
    status: Literal["answered", "stopped", "failed", "pending"] = Field(
        description="`pending`: it was taken, and its answer will be in the conversation's history."
    )
    reply: str = Field(description="The answer; why there is none, if it failed; empty while it is pending.")
    model: str = Field(description="Name of the model that answered; empty if none did.")

    @classmethod
    def of(cls, workflow_id: str, message_id: str, reply: ChatReply | None) -> ChatAnswer:
        """The answer of a conversation; None while there is none."""
        if reply is None:
            return cls(workflow_id=workflow_id, message_id=message_id, status="pending", reply="", model="")
        status: Any = reply.status
        return cls(workflow_id=workflow_id, message_id=message_id, status=status, reply=reply.text, model=reply.model)


class Message(BaseModel):
    """A message of a conversation: a person's, or the agent's answer to it."""

    message_id: str = Field(description="Id of the person's message; its answer has the same.")
    role: Literal["user", "assistant"]
    content: str = Field(description="The text; of an answer as much as there is.")
    timestamp: str = Field(description="When it came or ended; empty while an answer is on its way.")
    status: Literal["queued", "answering", "answered", "stopped", "failed"] = Field(
        description="What became of the person's message; `queued` and `answering` are pending."
    )
    error: str = Field(description="Why it failed, or why the last attempt did; empty if all is well.")


class ChatHistory(BaseModel):
    """A conversation: all messages in order, pending and failed ones marked."""

    model_config = _example(
        workflow_id=EXAMPLE_CHAT,
        execution_status="RUNNING",
        model="offline",
        messages=[
            {
                "message_id": "0b1c2d3e4f",
                "role": "user",
                "content": "What's the weather in NYC?",
                "timestamp": "2025-01-19T10:30:15.000Z",
                "status": "answered",
                "error": "",
            },
            {
                "message_id": "0b1c2d3e4f",
                "role": "assistant",
                "content": "In NYC, it's currently 45°F with partly cloudy skies.",
                "timestamp": "2025-01-19T10:30:17.000Z",
                "status": "answered",
                "error": "",
            },
        ],
    )

    workflow_id: str = Field(description="Workflow ID of the conversation.")
    execution_status: str = Field(description="RUNNING, COMPLETED, FAILED, CANCELED, TERMINATED or TIMED_OUT.")
    model: str = Field(description="Name of the agent's model; empty before it has said it.")
    messages: list[Message]

    @classmethod
    def of(cls, workflow_id: str, conversation: Conversation) -> ChatHistory:
        """A conversation as messages."""
        summary = conversation.summary
        return cls(
            workflow_id=workflow_id,
            execution_status=summary.status,
            model=summary.model,
            messages=[message for turn in conversation.turns for message in _messages(turn)],
        )


def _messages(turn: Turn) -> list[Message]:
    """A person's message, and its answer if there is any of it or will be no more."""
    asked = Message(
        message_id=turn.message_id,
        role="user",
        content=turn.text,
        timestamp=turn.received,
        status=turn.status,
        error=turn.error,
    )
    if not (turn.over or turn.answer):
        return [asked]
    answer = Message(
        message_id=turn.message_id,
        role="assistant",
        content=turn.answer,
        timestamp=turn.ended,
        status=turn.status,
        error=turn.error,
    )
    return [asked, answer]

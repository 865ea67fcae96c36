"""What a language model is to the agent: it gets the conversation, and says something or asks for tools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Say = Callable[[str], None]
"""Takes the next piece of the text that a model is writing."""


@dataclass(frozen=True)
class ToolCall:
    """A model's wish that a tool be run.

    Attributes:
        id: Its id, unique within one reply.
        name: Name of the tool, such as `get_weather`.
        arguments: Its arguments by name.
    """

    id: str
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """One message of a conversation, as a model gets it.

    Attributes:
        role: Who speaks: the person (`user`), the model itself (`assistant`) or a tool that it has called (`tool`).
        text: What was said; for `tool` its result as JSON: an object, ``{"error": "..."}`` if the tool failed.
        calls: The tools that the model asked for (`assistant` only).
        call_id: Which call this is the result of (`tool` only).
        tool: Name of that tool (`tool` only).
    """

    role: Literal["user", "assistant", "tool"]
    text: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    call_id: str = ""
    tool: str = ""


@dataclass(frozen=True)
class ModelReply:
    """What a model says to a conversation.

    Attributes:
        text: The answer; together with `calls` a line for the meantime ("Let me check the weather for you...").
        calls: Tools to run before it can answer; empty if `text` is the answer.
        model: Name of the model, as people shall read it.
        stopped: Whether somebody stopped it while it was writing: `text` is what it had written.
    """

    text: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    model: str = ""
    stopped: bool = False


class Model(Protocol):
    """Answers conversations. One object serves many conversations at once."""

    name: str
    """As people shall read it."""

    async def reply(self, messages: Sequence[Message], say: Say) -> ModelReply:
        """Answers the last message, or asks for tools.

        Args:
            messages: The conversation, oldest first; the last one is the person's, or the result of a tool.
            say: Called with each piece of the text while it comes into being.

        Raises:
            ModelRefused: It will not answer this, however often it is asked.
            ModelUnavailable: It did not answer this time.
        """

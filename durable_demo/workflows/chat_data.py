"""What the chat workflow takes, keeps, tells and returns. All of it ends up in an Event History as JSON."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from durable_demo.agent.model import Message, ModelReply, ToolCall
from durable_demo.errors import InvalidInput
from durable_demo.workflows.checks import PLAIN_ID, PLAIN_ID_WORDS, whole

MAX_MESSAGE = 4_000
"""Characters of a message."""
MAX_QUEUED = 8
"""Messages that may wait behind the one that is being answered; the server takes 10 Updates in flight."""
MAX_STEPS = 6
"""How often the model is asked for one message."""
HISTORY_LIMIT = 1_000
"""Events of one run after which the workflow continues as new (the server's own limit is 51,200)."""
CONTEXT_BYTES = 24_000
"""How much of the conversation the model gets, as JSON."""
STATE_BYTES = 200_000
"""How much of the conversation a run hands over to the next one, as JSON; the server takes 2 MB."""
MAX_FORGOTTEN = 1_000
"""Ids of messages that are remembered when their turns are not handed over any more."""

MAX_EARLY_STOPS = 100
"""Messages that may be stopped before they come."""

BUSY = "Busy"
"""Type of the failure that asks to send the same message again in a moment."""
ENDING = "Ending"
"""Type of the failure that says that no more messages are taken."""

TurnStatus = Literal["queued", "answering", "answered", "stopped", "failed"]
Doing = Literal["idle", "answering", "ending", "ended"]


@dataclass(frozen=True)
class UserMessage:
    """What a person sends.

    Attributes:
        id: Made by the sender: the same message sent twice is answered once.
        text: 1 to 4,000 characters.
        retry_of: Id of the message that this one repeats: that one's turn is forgotten by the model.
    """

    id: str
    text: str
    retry_of: str = ""

    def checked(self) -> UserMessage:
        """This message, its text with line feeds only, spaces for tabs, and no white space around it.

        Raises:
            InvalidInput: It cannot be sent; the message says why.
        """
        check_message_id("message_id", self.id)
        if self.retry_of != "":
            check_message_id("retry_of", self.retry_of)
        if self.retry_of == self.id:
            raise InvalidInput("a message cannot repeat itself", remedy="give it a message_id of its own")
        if not isinstance(self.text, str):
            raise InvalidInput(f"a message must be text, not {type(self.text).__name__}")
        text = re.sub(r"\r\n?", "\n", self.text).expandtabs(4).strip()
        if not text:
            raise InvalidInput("the message is empty", remedy="type a question, such as: What's the weather in NYC?")
        if len(text) > MAX_MESSAGE:
            raise InvalidInput(
                f"the message has {len(text):,} characters; {MAX_MESSAGE:,} are the most", remedy="make it shorter"
            )
        if any(unicodedata.category(char) in {"Cc", "Cs"} and char != "\n" for char in text):
            raise InvalidInput(
                "the message contains control characters", remedy="remove them; they often come with pasted text"
            )
        return replace(self, text=text)


@dataclass(frozen=True)
class ChatReply:
    """What became of a message: the result of the Update that sent it.

    Attributes:
        message_id: Id of the message.
        status: `answered`, `stopped` (by a person; `text` is what had been written) or `failed` (`text` says why).
        text: The answer.
        model: Name of the model that gave it.
    """

    message_id: str
    status: TurnStatus
    text: str
    model: str = ""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Step:
    """One round of tools.

    Attributes:
        text: What the model said meanwhile.
        calls: The tools that it called.
        results: What they returned, as JSON, in the same order.
    """

    text: str
    calls: list[ToolCall]
    results: list[str]


@dataclass
class ChatTurn:
    """One message and all that came of it.

    Attributes:
        id: Id of the message.
        text: The message.
        received_at: Unix time in seconds.
        retry_of: Id of the message that it repeats.
        status: How far it is.
        steps: Rounds of tools.
        answer: The answer, what had been written when it was stopped, or why it failed.
        model: Name of the model that answered.
        ended_at: Unix time in seconds; None before.
    """

    id: str
    text: str
    received_at: float
    retry_of: str = ""
    status: TurnStatus = "queued"
    steps: list[Step] = field(default_factory=list)
    answer: str = ""
    model: str = ""
    ended_at: float | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.ended_at is not None

    def reply(self) -> ChatReply:
        """What its sender gets."""
        return ChatReply(self.id, self.status, self.answer, self.model)

    def messages(self) -> list[Message]:
        """The same as a model gets it."""
        found = [Message("user", self.text)]
        for step in self.steps:
            found.append(Message("assistant", step.text, calls=step.calls))
            for call, result in zip(step.calls, step.results, strict=True):
                found.append(Message("tool", result, call_id=call.id, tool=call.name))
        if self.over:
            found.append(Message("assistant", self.answer if self.status == "answered" else f"({self.status})"))
        return found


@dataclass(frozen=True)
class Agent:
    """What the agent works with.

    Attributes:
        model: Name of its language model.
        weather: Where its weather comes from.
        notice: What the reader must know, such as a key that is missing; empty if all is well.
    """

    model: str
    weather: str
    notice: str = ""


@dataclass(frozen=True)
class AgentReply:
    """What `ask_model` returns.

    Attributes:
        reply: What the model says.
        agent: What the agent works with, in the process that asked.
    """

    reply: ModelReply
    agent: Agent


@dataclass
class ChatState:
    """Everything that a run hands over to the next one.

    Attributes:
        turns: The newest turns, oldest first.
        forgotten: Ids of the messages whose turns were dropped.
        total_messages: Messages received.
        agent: What the agent works with; None before it has said so.
    """

    turns: list[ChatTurn] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    total_messages: int = 0
    agent: Agent | None = None

    def find(self, message_id: str) -> ChatTurn | None:
        """The turn of a message; None if there is none, or none any more."""
        return next((turn for turn in self.turns if turn.id == message_id), None)

    def context(self, current: ChatTurn) -> list[Message]:
        """What the model gets to answer a turn: as many turns before it as fit into CONTEXT_BYTES, see `_newest`."""
        repeated = {turn.retry_of for turn in self.turns if turn.status == "answered" or turn is current}
        before = [turn for turn in self.turns if turn.over and turn.id not in repeated]
        room = CONTEXT_BYTES - _size(current)
        return [message for turn in [*_newest(before, room), current] for message in turn.messages()]

    def trimmed(self) -> ChatState:
        """This state with as many of the newest turns as fit into STATE_BYTES, see `_newest`."""
        kept = _newest(self.turns, STATE_BYTES)
        dropped = [turn.id for turn in self.turns[: len(self.turns) - len(kept)]]
        return replace(self, turns=kept, forgotten=[*self.forgotten, *dropped][-MAX_FORGOTTEN:])


@dataclass(frozen=True)
class ChatInput:
    """Input of `ChatWorkflow`.

    Attributes:
        history_limit: Events of a run after which it continues as new, once nothing is queued; 20 to 10,000.
        state: Handed over by the run before; leave it out.
    """

    history_limit: int = HISTORY_LIMIT
    state: ChatState | None = None

    def checked(self) -> ChatInput:
        """This input.

        Raises:
            InvalidInput: Something in it cannot be used; the message names it.
        """
        whole("history_limit", self.history_limit, 20, 10_000)
        return self


@dataclass(frozen=True)
class ChatStatus:
    """Answer of the Query `get_status`.

    Attributes:
        status: `idle`, `answering`, `ending` or `ended`.
        message_id: Id of the message that is being answered; empty if none is.
        queued: Messages that wait.
        total_messages: Messages received, over all runs.
        agent: What the agent works with; None before it has said so.
    """

    status: Doing
    message_id: str
    queued: int
    total_messages: int
    agent: Agent | None


@dataclass(frozen=True)
class ChatResult:
    """Result of `ChatWorkflow`.

    Attributes:
        final_status: `ended`: somebody ended the conversation.
        total_messages: Messages received, over all runs.
        workflow_id: Workflow ID.
    """

    final_status: str
    total_messages: int
    workflow_id: str


def check_message_id(name: str, value: object) -> None:
    """Checks the id of a message.

    Raises:
        InvalidInput: It is none.
    """
    if not isinstance(value, str) or not PLAIN_ID.match(value):
        raise InvalidInput(f"{name} must have {PLAIN_ID_WORDS}")


def _newest(turns: list[ChatTurn], room: int) -> list[ChatTurn]:
    """The newest of these turns that fit into so many bytes together, oldest first.

    Whole turns; one that does not fit with its tools' results counts with its question and its answer.
    """
    kept: list[ChatTurn] = []
    for turn in reversed(turns):
        fitting = next((form for form in (turn, replace(turn, steps=[])) if _size(form) <= room), None)
        if fitting is None:
            break
        room -= _size(fitting)
        kept.append(fitting)
    return kept[::-1]


def _size(turn: ChatTurn) -> int:
    return len(json.dumps(asdict(turn), ensure_ascii=False).encode(errors="surrogatepass"))


def sentences(parts: Iterable[str]) -> str:
    """Parts of an error on one line, those that say something, as sentences."""
    found = [" ".join(part.split()).rstrip(".") for part in parts if part]
    return ". ".join(part[:1].upper() + part[1:] for part in found)

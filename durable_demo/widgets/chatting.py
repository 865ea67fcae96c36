"""The conversation of a panel: begun by its first message, left for a new one, opened again."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from durable_demo.background import LoopLock
from durable_demo.chat import Chat
from durable_demo.conversation import Conversation
from durable_demo.errors import InvalidInput, NotPossible, StillRunning
from durable_demo.events import format_timestamp
from durable_demo.vocabulary import CHAT
from durable_demo.widgets.channels import ChatChannel, PanelChannel
from durable_demo.widgets.following import Following, run_of
from durable_demo.widgets.live import Command, Reply, Work
from durable_demo.wording import one_line
from durable_demo.workflows.chat_data import ChatReply, UserMessage

if TYPE_CHECKING:
    from durable_demo.run import Answer
    from durable_demo.session import Session
    from durable_demo.widgets.feed import Feed, FoldChannel

MAX_LISTED = 50
"""Past conversations that a panel offers."""


@dataclass
class Talk:
    """What messages are sent to: a conversation, or the one that the first of them will begin.

    Attributes:
        chat: The conversation; None before the first message.
        begun: Whether somebody has chosen it, if only to be a new one, or has sent a message.
    """

    chat: Chat | None = None
    begun: bool = False
    one_start: LoopLock = field(default_factory=LoopLock)


class Chatting:
    """One conversation at a time, shown in a channel. Its coroutines run on the background loop.

    Args:
        demo: A started session.
        feed: What the channel belongs to.
        panel: Shows the past conversations.
        others: Channels that show the same conversation in their own ways.

    Attributes:
        channel: Shows the conversation.
        following: Keeps the channel up to date.
        talk: What a message that is sent now goes to; another object for another conversation.
    """

    def __init__(self, demo: Session, feed: Feed, panel: PanelChannel, *others: FoldChannel[Any, Any]) -> None:
        self.channel = ChatChannel(feed)
        self._panel = panel
        self.following: Following[Chat, Conversation] = Following(demo.background, self.channel, *others)
        self.talk = Talk()
        self._demo = demo
        # Cells, the background loop and each browser's subshell have threads of their own.
        self._one_change = threading.RLock()

    def sending(self, message: UserMessage) -> Work[ChatReply]:
        """What sends a message to the conversation that is shown now, not when its turn has come."""
        talk = self.talk
        return lambda: self.send(talk, message)

    async def send(self, talk: Talk, message: UserMessage) -> ChatReply:
        """Sends a message and waits for its answer; the first one begins the conversation.

        Messages that are sent at once are taken in that order.

        Raises:
            InvalidInput: It cannot be sent; no conversation was begun for it.
        """
        message = message.checked()
        talk.begun = True
        async with talk.one_start:
            if talk.chat is None:
                talk.chat = await self._demo.start_chat()
            with self._one_change:
                if talk is self.talk:
                    self.following.follow(talk.chat)
        return await talk.chat.send(message.text, message_id=message.id, retry_of=message.retry_of)

    def new(self) -> None:
        """Leaves the conversation: the next message begins another. The one that was left goes on."""
        with self._one_change:
            self.talk = Talk(begun=True)
            self.following.leave()

    def open(self, chat: Chat | str) -> Chat:
        """Shows another conversation, running or ended, from its beginning.

        Raises:
            InvalidInput: Not the Workflow ID of a conversation.
        """
        found = run_of(self._demo, chat)
        if not isinstance(found, Chat):
            raise InvalidInput(f"{found.id} is not a conversation", remedy="watch it: `panel.watch(...)`")
        with self._one_change:
            self.talk = Talk(found, begun=True)
            self.following.follow(found)
        return found

    async def stop(self, message_id: str = "") -> Answer:
        """Stops the answer in hand; if `message_id` names a message, its answer only.

        Raises:
            NotPossible: There is no conversation yet.
        """
        if self.talk.chat is None:
            raise NotPossible("no conversation is shown here", remedy='send a message: `panel.send("...")`')
        return await self.talk.chat.stop(message_id)

    async def listed(self) -> list[dict[str, Any]]:
        """Conversations, running and ended, newest first, as a browser lists them."""
        return [
            {
                "workflow_id": item.workflow_id,
                "title": one_line(item.title),
                "status": item.status,
                "started": format_timestamp(item.started),
            }
            for item in await self._demo.runs(workflow_type=CHAT, limit=MAX_LISTED)
        ]

    def commands(self) -> dict[str, Command]:
        """What a browser may ask for, by name."""

        def send(text: str, message_id: str, retry_of: str) -> Work[Reply]:
            sending = self.sending(UserMessage(message_id, text, retry_of))

            async def taken() -> Reply:
                with suppress(StillRunning):  # it was taken, and its turn shows that it waits
                    await sending()
                return True, ""

            return taken

        def stop_answer(message_id: str) -> Work[Reply]:
            async def stop() -> Reply:
                answer = await self.stop(message_id)
                return answer.accepted, answer.message

            return stop

        async def done() -> Reply:
            return True, ""

        def new() -> Work[Reply]:
            self.new()
            return done

        def open_one(workflow_id: str) -> Work[Reply]:
            self.open(workflow_id)
            return done

        async def list_all() -> Reply:
            self._panel.show(chats=await self.listed())
            return True, ""

        return {
            "send": Command(send, {"text": str, "message_id": str, "retry_of": str}, alerts=False),
            "stop_answer": Command(stop_answer, {"message_id": str}),
            "new_chat": Command(new),
            "open_chat": Command(open_one, {"workflow_id": str}),
            "list_chats": Command(lambda: list_all),
        }

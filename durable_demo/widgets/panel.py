"""The panel: the tabs Chat and Workflow Trace, and the buttons that start, stop and break a Monty workflow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from durable_demo.chat import Chat
from durable_demo.client import MAX_LISTED
from durable_demo.conversation import Conversation
from durable_demo.errors import ServerUnreachable, StillRunning, WorkflowNotFound
from durable_demo.vocabulary import CHAT, MONTY
from durable_demo.widgets import assets
from durable_demo.widgets.chatting import Chatting
from durable_demo.widgets.live import Command, LiveTrace, Reply, Work
from durable_demo.widgets.trace_view import SCRIPTS, STYLES
from durable_demo.workflows.chat_data import ChatReply, UserMessage

if TYPE_CHECKING:
    from durable_demo.background import Pending
    from durable_demo.run import Answer, Run
    from durable_demo.session import Session

DEMO_PRESET = {"min_sleep": 2.0, "max_sleep": 5.0}
"""Sleeps that are short enough to watch, in seconds."""
STATIC_TURNS = 50
"""Turns of a conversation in the static form."""
CHAT_SCRIPTS = (
    "markdown.js", "outbox.js", "turn_view.js", "transcript.js", "composer.js", "chat_bar.js", "chat_view.js",
)  # fmt: skip


class Panel(LiveTrace):
    """The tabs of "Durable AI Agent": end a cell with it and it shows itself, live.

    Its methods do what its buttons do, and return at once: await what they return, or leave it.

    Args:
        demo: A started session.
        attach: Whether to pick up the newest Monty workflow and the newest conversation that run already, as after a
            restart of the kernel.
    """

    _esm = assets.script(*SCRIPTS, *CHAT_SCRIPTS, "panel.js")
    _css = assets.style(*STYLES, "chat_view.css", "turn_view.css", "panel.css")

    def __init__(self, demo: Session, *, attach: bool = True) -> None:
        super().__init__(demo)
        self._chatting = Chatting(demo, self._feed)
        self._followings.append(self._chatting.following)
        # Of several starts, and an attach before them, each sees what the one before it has done.
        self._one_start = asyncio.Lock()
        if attach:
            self._hand_over("attach to running workflows", self._attach)

    # --- Monty -------------------------------------------------------------------------------------------------------

    def start_monty(self, **options: Any) -> Pending[Run]:
        """Starts a Monty workflow and shows it; if a Monty is shown that still runs, that one stays and is returned.

        Args:
            options: Those of `DemoClient.start_monty`; here the sleeps are 2 to 5 seconds unless you say otherwise.
        """

        async def start() -> Run:
            run, _ = await self._start(options)
            return run

        return self._hand_over("start Monty", start)

    def watch(self, run: Run | str) -> Run:
        """Shows another workflow of any type in the trace, running or ended, from its beginning.

        Args:
            run: The workflow, or its Workflow ID.

        Raises:
            InvalidInput: Not a Workflow ID.
        """
        found = self._demo.attach(run) if isinstance(run, str) else run
        self._watched.follow(found)
        return found

    async def _start(self, options: dict[str, Any]) -> tuple[Run, bool]:
        """The workflow that runs now, and whether it is a new one."""
        async with self._one_start:
            shown = self.run
            if shown is not None and await self._is_active_monty(shown):
                self._watched.follow(shown)
                return shown, False
            self._panel.show(starting=True)
            try:
                run = await self._demo.start_monty(**{**DEMO_PRESET, **options})
                self._watched.follow(run)
            finally:
                self._panel.show(starting=False)
            return run, True

    async def _is_active_monty(self, run: Run) -> bool:
        """Whether the workflow that is shown is a Monty that still runs; the trace may be behind the server."""
        summary = self._trace.fold.summary
        if summary.ended:
            return False
        try:
            status = await run.status()
        except WorkflowNotFound:
            return False
        except ServerUnreachable:
            # A start would fail as well: what the trace says holds until the server is back.
            return summary.workflow_type == MONTY or (self._watched.active and not summary.workflow_type)
        return status.workflow_type == MONTY and not status.ended

    # --- chat --------------------------------------------------------------------------------------------------------

    @property
    def chat(self) -> Chat | None:
        """The conversation that is shown; None before its first message."""
        return self._chatting.talk.chat

    @property
    def conversation(self) -> Conversation:
        """The newest 100 messages of the conversation that is shown; `chat.history()` has more."""
        return self._chatting.following.fold

    def send(self, text: str) -> Pending[ChatReply]:
        """Sends a message: to the conversation that is shown, else to a new one. Await it for the answer.

        Args:
            text: 1 to 4,000 characters.
        """
        message = UserMessage(uuid4().hex, text)
        return self._hand_over("send a message", self._sending(message))

    def stop_answer(self) -> Pending[Answer]:
        """Stops the answer in hand; see `Chat.stop`."""
        return self._hand_over("stop the answer", self._chatting.stop)

    def new_chat(self) -> None:
        """Leaves the conversation: the next message begins another. The one that was left goes on."""
        self._chatting.new()

    def open_chat(self, chat: Chat | str) -> Chat:
        """Shows another conversation, running or ended.

        Args:
            chat: The conversation, or its Workflow ID.

        Raises:
            InvalidInput: Not the Workflow ID of a conversation.
        """
        return self._chatting.open(chat)

    async def until_chat(
        self, predicate: Callable[[Conversation], object], timeout: float | timedelta = 30.0
    ) -> Conversation:
        """Waits until the conversation is as you want it: ``await panel.until_chat(lambda c: not c.answering)``.

        Args:
            predicate: Called with the conversation after each change; what it raises is raised here.
            timeout: How long to wait, in seconds or as a timedelta.

        Returns:
            The conversation.

        Raises:
            StillRunning: It did not come to that in time; the message shows the last turns.
        """
        return await self._chatting.following.until(predicate, timeout)

    def _sending(self, message: UserMessage) -> Work[ChatReply]:
        talk = self._chatting.talk  # what is shown now, not when its turn has come
        return lambda: self._chatting.send(talk, message)

    # --- inside ------------------------------------------------------------------------------------------------------

    async def _attach(self) -> None:
        async with self._one_start:
            monty, chat = await self._newest(MONTY), await self._newest(CHAT)
            if monty is not None and self.run is None:
                self._watched.follow(monty)
            if isinstance(chat, Chat) and not self._chatting.talk.begun:
                self._chatting.open(chat)

    async def _newest(self, workflow_type: str) -> Run | None:
        """The newest workflow of a type that runs."""
        runs = await self._demo.runs(workflow_type=workflow_type, limit=MAX_LISTED)
        return next((item.run for item in runs if item.status == "RUNNING"), None)

    def _commands(self) -> dict[str, Command]:
        async def start() -> Reply:
            run, new = await self._start({})
            return new, "" if new else f"Already running: {run.id}"

        def send(text: str, message_id: str, retry_of: str) -> Work[Reply]:
            sending = self._sending(UserMessage(message_id, text, retry_of))

            async def taken() -> Reply:
                with suppress(StillRunning):  # it was taken, and its turn shows that it waits
                    await sending()
                return True, ""

            return taken

        def stop_answer(message_id: str) -> Work[Reply]:
            async def stop() -> Reply:
                answer = await self._chatting.stop(message_id)
                return answer.accepted, answer.message

            return stop

        async def done() -> Reply:
            return True, ""

        def new() -> Work[Reply]:
            self._chatting.new()
            return done

        def open_one(workflow_id: str) -> Work[Reply]:
            self._chatting.open(workflow_id)
            return done

        async def list_all() -> Reply:
            self._panel.show(chats=await self._chatting.listed())
            return True, ""

        return {
            **super()._commands(),
            "start_monty": Command(lambda: start),
            "send": Command(send, {"text": str, "message_id": str, "retry_of": str}, alerts=False),
            "stop_answer": Command(stop_answer, {"message_id": str}),
            "new_chat": Command(new),
            "open_chat": Command(open_one, {"workflow_id": str}),
            "list_chats": Command(lambda: list_all),
        }

    def _static(self) -> tuple[str, str]:
        trace = super()._static()
        if not self._chatting.following.run:
            return trace
        chat = self._chatting.channel.static(STATIC_TURNS)
        if not self.run:
            return chat
        page, text = zip(chat, trace, strict=True)
        return "\n<hr>\n".join(page), "\n\n".join(text)

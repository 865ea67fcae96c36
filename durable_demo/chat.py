"""One conversation with the durable agent: send messages, await answers, follow it, read it.

A `Chat` may be used from any thread and any event loop: the traffic runs on the session's background loop.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

from temporalio.client import (
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
    WorkflowUpdateStage,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from durable_demo.calls import Caller, reason, translated
from durable_demo.conversation import Conversation
from durable_demo.errors import (
    InvalidInput,
    NotPossible,
    ServerUnreachable,
    StillRunning,
    WorkerUnavailable,
    WorkflowNotFound,
)
from durable_demo.follow import follow
from durable_demo.run import Answer, Run, RunStatus, Seconds
from durable_demo.workflows.chat import ChatWorkflow
from durable_demo.workflows.chat_data import BUSY, ChatReply, UserMessage, check_message_id
from durable_demo.workflows.checks import patience

ANSWER_TIMEOUT = timedelta(minutes=2)
EVERY_TURN = 1_000_000
"""Turns that `history()` keeps: more than any conversation has."""
LOOK_INTERVAL_S = 2.0
"""How often a `send()` that waits looks whether the conversation still runs."""
RETRY_PAUSE_S = 0.25
"""Pause before a message is sent again to a conversation that is busy, or to a server that is away."""
REFUSAL_TURNS = 20
"""Turns of the event loop that the SDK may take to decode a refusal that has come."""
WORKFLOW_GONE = "AcceptedUpdateCompletedWorkflow"
"""Type of the server's failure of an Update that a run had accepted and left to the run after it."""


class Chat(Run):
    """One conversation, over all its runs.

    Attributes:
        id: Workflow ID, ``chat-`` and 8 hexadecimal digits.
    """

    _ENDS = "await chat.end()"
    _FOLLOWS = "async for event in chat.events()"

    def __init__(self, call: Caller, workflow_id: str) -> None:
        super().__init__(call, workflow_id)
        self._order = asyncio.Lock()

    async def send(
        self,
        text: str,
        *,
        message_id: str | None = None,
        retry_of: str = "",
        timeout: Seconds | None = ANSWER_TIMEOUT,
    ) -> ChatReply:
        """Sends a message and waits for its answer, over Worker crashes, server restarts and continue-as-new.

        Messages that are sent at once through one object are taken in that order. A message that was sent before, by
        its id, is not taken again: this then waits for the same answer, or returns it.

        Args:
            text: 1 to 4,000 characters.
            message_id: Its id, 1 to 64 letters, digits, dots, underscores and hyphens; made up by default.
            retry_of: Id of a message that this one repeats; the model forgets that one.
            timeout: How long to wait, in seconds or as a timedelta; None for ever.

        Returns:
            What became of it; ``str(reply)`` is the answer. A stopped or failed answer is a reply too.

        Raises:
            InvalidInput: The message cannot be sent; nothing was sent.
            WorkerUnavailable: No Worker has taken it within `timeout`: it may be lost; send it again with its id.
            ServerUnreachable: The same, because the server does not answer.
            StillRunning: It was taken, and is not answered within `timeout`; the answer will come.
            NotPossible: The conversation has ended, or is ending.
            WorkflowNotFound: There is no such conversation.
        """
        message = UserMessage(uuid4().hex if message_id is None else message_id, text, retry_of).checked()
        limit = None if timeout is None else patience(timeout)
        return await self._call(self._send(message, limit), f"send a message to {self.id}", deadline=None)

    async def retry(self, *, timeout: Seconds | None = ANSWER_TIMEOUT) -> ChatReply:
        """Sends the last message again, for another answer; the model forgets the one before. Raises like `send`.

        Raises:
            NotPossible: There is no message yet.
        """
        turns = (await self.history()).turns
        if not turns:
            raise NotPossible(f"{self.id} has no message yet", remedy='send one: `await chat.send("...")`')
        return await self.send(turns[-1].text, retry_of=turns[-1].message_id, timeout=timeout)

    async def stop(self, message_id: str = "") -> Answer:
        """Stops the answer in hand; the messages that wait are answered.

        What had been written stays, as far as the Worker that wrote it can still tell. Harmless when there is nothing
        to stop.

        Args:
            message_id: Stops the answer to this message only, also before it was taken.

        Raises:
            InvalidInput: Not the id of a message.
            WorkflowNotFound: There is no such conversation.
        """
        if message_id != "":
            check_message_id("message_id", message_id)
        return await self._request(
            lambda _: self._handle.signal(ChatWorkflow.stop_answer, message_id), "stop of the answer requested"
        )

    async def end(self) -> Answer:
        """Ends the conversation, once everything that was sent is answered; raises like `stop`."""
        return await self._request(
            lambda _: self._handle.signal(ChatWorkflow.end_conversation), "end of the conversation requested"
        )

    async def history(self) -> Conversation:
        """All messages with their answers, from the Event History: also after the end, and without any Worker.

        Raises:
            WorkflowNotFound: There is no such conversation.
        """

        async def read() -> Conversation:
            conversation = Conversation(max_turns=EVERY_TURN)
            async for event in follow(self._call.temporal, self.id, wait=False):
                conversation.apply(event)
            return conversation

        return await self._call(read(), f"read {self.id}", deadline=ANSWER_TIMEOUT)

    # --- inside ------------------------------------------------------------------------------------------------------

    async def _send(self, message: UserMessage, limit: timedelta | None) -> ChatReply:
        """Sends until there is an answer: sending again is harmless, since the message has an id."""
        taken = False
        try:
            async with asyncio.timeout(None if limit is None else limit.total_seconds()):
                while True:
                    try:
                        async with self._order:
                            answer = await self._accepted(message)
                        taken = True
                        return await self._awaited(answer)
                    except (WorkflowUpdateRPCTimeoutOrCancelledError, WorkflowUpdateFailedError, RPCError) as error:
                        await self._check_worth_repeating(error)
                    await asyncio.sleep(RETRY_PAUSE_S)
        except TimeoutError:
            again = f"`await chat.send(..., message_id={message.id!r})` waits on, and is no second message"
            if taken:
                raise StillRunning(f"{self.id} has not answered within {limit}", remedy=again) from None
            status = await self.status()  # a server that does not answer is named as such
            known = status.problem.partition("\n")[0]
            raise WorkerUnavailable(
                f"{self.id} has not taken the message within {limit}",
                why=known or "no Worker polls the Task Queue, or too many messages wait for their answers",
                remedy=f"run `durable-demo doctor`; {again}",
            ) from None

    async def _accepted(self, message: UserMessage) -> asyncio.Task[ChatReply]:
        """Sends a message until the conversation has taken it: it is busy while too many wait. Gives its answer."""
        while True:
            update = await self._handle.start_update(
                ChatWorkflow.send_message, message, id=message.id, wait_for_stage=WorkflowUpdateStage.ACCEPTED
            )
            answer = asyncio.create_task(update.result())
            # The SDK tells a refusal with the result only; it is here already then, while an answer takes the network.
            try:
                for _ in range(REFUSAL_TURNS):
                    await asyncio.sleep(0)
            except asyncio.CancelledError:
                _give_up(answer)
                raise
            if not (answer.done() and _is(answer.exception(), BUSY)):
                return answer
            await asyncio.sleep(RETRY_PAUSE_S)

    async def _awaited(self, answer: asyncio.Task[ChatReply]) -> ChatReply:
        """Waits for an answer, and looks now and then whether the conversation has ended without it."""
        try:
            while not (await asyncio.wait({answer}, timeout=LOOK_INTERVAL_S))[0]:
                with suppress(ServerUnreachable):
                    status = await self.status()
                    if status.ended and not (await asyncio.wait({answer}, timeout=LOOK_INTERVAL_S))[0]:
                        raise self._too_late_to_answer(status)
            return answer.result()
        finally:
            _give_up(answer)

    def _too_late_to_answer(self, status: RunStatus) -> NotPossible:
        return NotPossible(
            f"{self.id} has already ended: {status.status}", remedy="start another: `await demo.start_chat()`"
        )

    async def _check_worth_repeating(self, error: Exception) -> None:
        """Raises our error, unless sending again may help."""
        if isinstance(error.__cause__, asyncio.CancelledError):
            raise asyncio.CancelledError from error  # the SDK takes the end of our patience for one of the call's
        if isinstance(error, WorkflowUpdateFailedError) and not _is(error, WORKFLOW_GONE):
            if _is(error, BUSY):
                return
            why = error.cause.message if isinstance(error.cause, ApplicationError) else reason(error)
            kind = InvalidInput if _is(error, InvalidInput.__name__) else NotPossible
            raise kind(f"{self.id} refused the message", why=why) from error
        ours = translated(error, f"send a message to {self.id}")
        if isinstance(ours, WorkerUnavailable | ServerUnreachable):
            return
        if not (_is(error, WORKFLOW_GONE) or isinstance(ours, WorkflowNotFound)):
            raise ours from error
        status = await self.status()
        if status.ended:
            raise self._too_late_to_answer(status) from error
        # It was continued as new at this very moment.


def _give_up(answer: asyncio.Task[ChatReply]) -> None:
    """Waits for it no more; how it ends then is nobody's concern."""
    answer.cancel()
    answer.add_done_callback(lambda ended: ended.cancelled() or ended.exception())


def _is(error: BaseException | None, failure_type: str) -> bool:
    cause = error.cause if isinstance(error, WorkflowUpdateFailedError) else None
    return isinstance(cause, ApplicationError) and cause.type == failure_type

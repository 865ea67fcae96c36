"""The chat workflow: a durable AI agent. The agent loop is the workflow, so it survives whatever you do to it.

Each message is answered in the same way (`_answer`): ask the model; if it asks for tools, run them and ask again; else
it has answered. The model and each tool are Activities: what they returned is in the Event History, so nothing that has
finished is ever done again, and whatever was interrupted is tried again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception
from temporalio.exceptions import TimeoutError as ActivityTimeoutError

# Passed through: the data and the tools that the Activities' modules hold are not for each workflow to load anew.
with workflow.unsafe.imports_passed_through():
    from durable_demo.agent.model import ToolCall
    from durable_demo.errors import InvalidInput
    from durable_demo.tuning import FIRST_MODEL_RETRY, HEARTBEAT_TIMEOUT
    from durable_demo.workflows.chat_activities import TOOL_ACTIVITIES, ModelRequest, ask_model, introduce_agent
    from durable_demo.workflows.chat_data import (
        BUSY,
        ENDING,
        MAX_EARLY_STOPS,
        MAX_QUEUED,
        MAX_STEPS,
        AgentReply,
        ChatInput,
        ChatReply,
        ChatResult,
        ChatState,
        ChatStatus,
        ChatTurn,
        Doing,
        Step,
        TurnStatus,
        UserMessage,
    )
    from durable_demo.workflows.given import read_input, read_signal

TITLE_LENGTH = 60
INTRODUCTION_TIMEOUT = timedelta(seconds=3)
"""It takes no time; so a Worker that dies meanwhile is noticed this soon."""
MODEL_TIMEOUT = timedelta(minutes=2)
TOOL_TIMEOUT = timedelta(seconds=20)
RETRY = RetryPolicy(
    initial_interval=FIRST_MODEL_RETRY,
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=10),
    maximum_attempts=10,  # an attempt is used up by a Worker that dies, never by one that is not there
)


@workflow.defn
class ChatWorkflow:
    """Answers messages one after another, until somebody ends the conversation.

    Guarantees: a message that was accepted gets exactly one answer, in the order in which the messages came, over
    Worker crashes, retries and continue-as-new; one that is sent twice with the same id is one message. A failure is an
    answer too: the next message is answered as if nothing had happened.
    """

    @workflow.init
    def __init__(self, *given: Any) -> None:
        self._input, self._refusal = read_input(ChatInput, given)
        self._state = self._input.state or ChatState()
        self._current: ChatTurn | None = None
        self._stopping: set[str] = set()
        self._stopped_early: list[str] = []
        self._handing_over = False
        self._ending = False
        self._ended = False

    @workflow.run
    async def run(self, *_given: Any) -> ChatResult:
        """Answers what comes, until the conversation is ended.

        Args:
            _given: One `ChatInput`; without it, the defaults.
        """
        if self._refusal:
            self._ended = True
            raise self._refusal
        try:
            if self._state.agent is None:
                self._state.agent = await workflow.execute_activity(
                    introduce_agent,
                    start_to_close_timeout=INTRODUCTION_TIMEOUT,
                    retry_policy=RETRY,
                    activity_id="introduce_agent",
                )
            while not (self._ending and self._next() is None):
                await workflow.wait_condition(
                    lambda: self._next() is not None or self._ending or self._should_hand_over()
                )
                if (turn := self._next()) is not None:
                    await self._take(turn)
                elif not self._ending:
                    await workflow.wait_condition(workflow.all_handlers_finished)
                    state = self._state.trimmed()
                    workflow.continue_as_new(replace(self._input, state=state), memo=workflow.memo())
        except (asyncio.CancelledError, ActivityError) as error:
            if not is_cancelled_exception(error):
                raise
            self._ended, self._current = True, None
            for turn in self._state.turns:
                if not turn.over:
                    self._end(turn, "stopped")
            await workflow.wait_condition(workflow.all_handlers_finished)
            raise
        self._ended = True
        await workflow.wait_condition(workflow.all_handlers_finished)
        return ChatResult("ended", self._state.total_messages, workflow.info().workflow_id)

    async def _take(self, turn: ChatTurn) -> None:
        """Answers one message, whatever happens."""
        turn.status, self._current = "answering", turn
        try:
            await self._answer(turn)
        except ActivityError as error:
            if turn.id in self._stopping:
                self._end(turn, "stopped", _written(error))
            elif is_cancelled_exception(error):
                raise  # the whole conversation is canceled
            else:
                self._end(turn, "failed", f"I could not get an answer: {_reason(error)}. You can retry, or ask again.")
        self._current = None
        self._stopping.discard(turn.id)
        # Only here: a message that is refused leaves no trace, so a refusal must not come from what it alone made true.
        self._handing_over = self._should_hand_over()

    async def _answer(self, turn: ChatTurn) -> None:
        """The agent loop: ask the model, run the tools that it asks for, ask again, until it answers."""
        for step in range(1, MAX_STEPS + 1):
            reply = (await self._ask_model(turn, step)).reply
            if not reply.calls or turn.id in self._stopping:
                stopped = reply.stopped or turn.id in self._stopping
                self._end(turn, "stopped" if stopped else "answered", reply.text, reply.model)
                return
            results = await asyncio.gather(
                *(self._run_tool(turn, step, number, call) for number, call in enumerate(reply.calls, 1))
            )
            turn.steps.append(Step(reply.text, reply.calls, list(results)))
            if turn.id in self._stopping:
                self._end(turn, "stopped")
                return
        self._end(turn, "failed", f"I gave up: after {MAX_STEPS} steps there was still no answer.")

    async def _ask_model(self, turn: ChatTurn, step: int) -> AgentReply:
        answer: AgentReply = await self._activity(
            turn,
            ask_model,
            ModelRequest(self._state.context(turn)),
            activity_id=f"model:{turn.id}:{step}",
            start_to_close_timeout=MODEL_TIMEOUT,
            summary=f"step {step}: ask the model",
        )
        self._state.agent = answer.agent  # its Worker may be another one now, with another model
        return answer

    async def _run_tool(self, turn: ChatTurn, step: int, number: int, call: ToolCall) -> str:
        """Runs a tool; if that fails the model is told so, and may say what it makes of it."""
        tool = TOOL_ACTIVITIES.get(call.name)
        if tool is None:
            return json.dumps({"error": f"there is no tool named {call.name[:60]!r}"})
        try:
            result = await self._activity(
                turn,
                tool,
                call.arguments,
                activity_id=f"tool:{turn.id}:{step}:{number}",
                start_to_close_timeout=TOOL_TIMEOUT,
                summary=json.dumps(call.arguments)[:200],
            )
        except ActivityError as error:
            result = {"error": "stopped" if turn.id in self._stopping else _reason(error)}
        return json.dumps(result)

    async def _activity(self, turn: ChatTurn, work: Callable[..., Any], argument: Any, **options: Any) -> Any:
        """Runs an Activity for a turn; a stop ends it early."""
        running = workflow.start_activity(
            work,
            argument,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=RETRY,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            **options,
        )
        await workflow.wait_condition(lambda: running.done() or turn.id in self._stopping)
        if not running.done():
            running.cancel()
            await workflow.wait_condition(running.done)
        return await running

    def _end(self, turn: ChatTurn, status: TurnStatus, answer: str = "", model: str = "") -> None:
        turn.status, turn.answer, turn.model = status, answer, model
        turn.ended_at = workflow.now().timestamp()

    def _next(self) -> ChatTurn | None:
        return next((turn for turn in self._state.turns if turn.status == "queued"), None)

    def _queued(self) -> int:
        return sum(turn.status == "queued" for turn in self._state.turns)

    def _should_hand_over(self) -> bool:
        """Whether it is time to continue as new; it happens once nothing is queued, since each message waits here."""
        info = workflow.info()
        return info.is_continue_as_new_suggested() or info.get_current_history_length() >= self._input.history_limit

    # --- handlers ----------------------------------------------------------------------------------------------------

    @workflow.update
    async def send_message(self, message: UserMessage) -> ChatReply:
        """Takes a message and returns what became of it, once it is answered."""
        turn = self._state.find(message.id)
        if turn is None:
            message = message.checked()
            turn = ChatTurn(message.id, message.text, workflow.now().timestamp(), message.retry_of)
            self._state.turns.append(turn)
            self._state.total_messages += 1
            if message.id in self._stopped_early:
                self._end(turn, "stopped")
            if self._state.total_messages == 1:
                workflow.upsert_memo({"title": " ".join(message.text.split())[:TITLE_LENGTH]})
        taken = turn
        await workflow.wait_condition(lambda: taken.over)
        return taken.reply()

    @send_message.validator
    def _check_send_message(self, message: UserMessage) -> None:
        message.checked()
        if self._state.find(message.id) is not None:
            return
        if message.id in self._state.forgotten:
            raise InvalidInput("this message was answered long ago", remedy="see `await chat.history()`")
        if self._ending or self._ended:
            raise ApplicationError("the conversation is ending: start another one", type=ENDING)
        if self._queued() >= MAX_QUEUED or self._handing_over:
            raise ApplicationError("the conversation is busy: send the message again in a moment", type=BUSY)

    @workflow.signal
    def stop_answer(self, *given: Any) -> None:
        """Stops the answer in hand, or that to one message, also before that comes; the others are answered.

        Args:
            given: The id of the message, if it is to be that one.
        """
        message_id = read_signal(str, given or [""])
        if message_id is None:
            return
        turn = self._state.find(message_id) if message_id else self._current or self._next()
        if turn is None:
            if message_id:
                self._stopped_early = [*self._stopped_early, message_id][-MAX_EARLY_STOPS:]
        elif turn is self._current:
            self._stopping.add(turn.id)
        elif not turn.over:
            self._end(turn, "stopped")

    @workflow.signal
    def end_conversation(self, *_surplus: Any) -> None:
        """Ends the conversation, once everything that was sent is answered."""
        self._ending = True

    @workflow.query
    def get_history(self) -> list[ChatTurn]:
        """The turns that the workflow has; also after the end."""
        return self._state.turns

    @workflow.query
    def get_status(self) -> ChatStatus:
        """What it is doing; also after the end (of one that was terminated: what it did last)."""
        doing: Doing = "ending" if self._ending else "answering" if self._current else "idle"
        return ChatStatus(
            status="ended" if self._ended else doing,
            message_id=self._current.id if self._current else "",
            queued=self._queued(),
            total_messages=self._state.total_messages,
            agent=self._state.agent,
        )


def _written(error: ActivityError) -> str:
    """What a model had written whose Worker can tell no more, as far as its last heartbeat says."""
    details = error.cause.last_heartbeat_details if isinstance(error.cause, ActivityTimeoutError) else []
    return str(details[0].get("text", "")) if details and isinstance(details[0], dict) else ""


def _reason(error: ActivityError) -> str:
    """Why an Activity failed, in the words of what failed first."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    words = cause.message if isinstance(cause, FailureError) else str(cause)
    return words.rstrip(".") or type(cause).__name__

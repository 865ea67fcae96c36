"""The routes: each turns a request into one call of the notebook API, and its answer into JSON."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, cast

from fastapi import APIRouter, Body, Header, Query, Request, Response
from pydantic import BaseModel, Field

from durable_demo.chat import Chat
from durable_demo.errors import (
    DemoError,
    NotPossible,
    ServerUnreachable,
    StillRunning,
    WorkerUnavailable,
    WorkflowNotFound,
)
from durable_demo.gateway import limits, models
from durable_demo.gateway.problems import Refusal, responses
from durable_demo.gateway.sse import EventStream
from durable_demo.gateway.streams import Streams, Told
from durable_demo.history import Offset
from durable_demo.run import Run
from durable_demo.session import Session
from durable_demo.workflows.chat_data import ChatReply, UserMessage
from durable_demo.workflows.monty import MontyPythonWorkflow

router = APIRouter()

SIGNALS = {
    models.SignalName.STOP: (Run.stop, MontyPythonWorkflow.stop_workflow),
    models.SignalName.PAUSE: (Run.pause, MontyPythonWorkflow.pause),
    models.SignalName.RESUME: (Run.resume, MontyPythonWorkflow.resume),
}
"""What sends a Signal, and what handles it. Those of `Run`, for a conversation too: its own `stop` ends an answer."""

EPOCH = datetime.fromtimestamp(0, UTC)
LISTED_S = 5.0
"""So soon after its start the server lists a run."""

_STREAM_WORDS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events: `event` is the name, `id` the offset, `data` the event as JSON. Comments "
        "keep the connection alive. Closing it leaves the workflow running.",
        "content": {"text/event-stream": {"itemSchema": models.EVENT_SCHEMA, "example": models.EXAMPLE_EVENTS}},
    },
    204: {"description": "The workflow has ended, and its last event was seen: an `EventSource` comes back no more."},
}


OFFSET_PATTERN = r"^(|[0-9]{16}-[0-9]{6,12}-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$"


class StreamOptions(BaseModel):
    """Where a stream begins, how it ends, and its form."""

    after: str = Field(default="", pattern=OFFSET_PATTERN, description="Begin behind the event with this offset.")
    wait: bool = Field(
        default=True, description="Wait for what is yet to come; without it, what is there comes, and the end."
    )
    named: bool = Field(default=True, description="Name each event; without it `EventSource.onmessage` gets them all.")


class MontyStream(models.MontyQuery, StreamOptions):
    """All that `GET /monty/stream` takes."""


LastEventId = Annotated[
    str,
    Header(
        alias="Last-Event-ID",
        pattern=OFFSET_PATTERN,
        description="Offset of the last event that was seen; an `EventSource` that comes back sends it by itself.",
        examples=[models.EXAMPLE_OFFSET],
    ),
]


class Gateway:
    """What all routes share: the session, the streams, and how many of them are open.

    Args:
        demo: A started session.
        allowed: What people have set.
    """

    def __init__(self, demo: Session, allowed: limits.Limits) -> None:
        self.demo = demo
        self.allowed = allowed
        self.streams = Streams()
        self.workflow_of: dict[str, str] = {}
        self.open = 0

    def check_room(self) -> None:
        """Refuses a stream for which there is no room, before anything is started for it.

        Raises:
            Refusal: Too many are open.
        """
        if self.open >= self.allowed.streams:
            raise Refusal(
                503,
                f"{self.open} streams are open, and there is room for no more.",
                kind="too-many-streams",
                remedy="close some, or come back later",
            )

    async def stream(self, run: Run, after: str, options: StreamOptions) -> Response:
        """The events of a workflow, as a response; 204 if there are none and will be none.

        Args:
            run: The workflow.
            after: Offset of the last event that the reader has seen; empty for none.
            options: What the reader wants.

        Raises:
            WorkflowNotFound: There is no such workflow.
            ServerUnreachable: The server does not answer a new reader.
        """
        try:
            ended = (await run.status()).ended
            if ended and after and not await _has_more(run, after):
                return Response(status_code=204)
        except ServerUnreachable:
            if not after:
                raise
            # Who comes back waits until the server does: an EventSource that is refused never asks again.
        return self.begin(run, after, options)

    def begin(self, run: Run, after: str, options: StreamOptions, place: str = "") -> Response:
        """The same without a look at the workflow.

        Args:
            run: The workflow.
            after: As in `stream`.
            options: As in `stream`.
            place: Offset to come back with before the first event is seen.
        """
        return EventStream(
            self._counted(run, after, wait=options.wait),
            begin=place,
            named=options.named,
            keep_alive=self.allowed.keep_alive,
            headers={"Content-Location": f"/workflow/{run.id}/stream"},
        )

    async def _counted(self, run: Run, after: str, *, wait: bool) -> AsyncGenerator[Told]:
        self.open += 1
        try:
            async with aclosing(self.streams.read(run, after, wait=wait)) as told:
                async for each in told:
                    self.remember(each.event.run_id, run.id)
                    yield each
        finally:
            self.open -= 1

    async def place_before(self, run: Run) -> str:
        """The place before the first event of a workflow that was started just now; empty if nobody can tell it."""
        with suppress(DemoError):
            status = await run.status()
            self.remember(status.run_id, run.id)
            return str(Offset((status.started - EPOCH) // timedelta(microseconds=1), 0, status.run_id))
        return ""

    def remember(self, run_id: str, workflow_id: str) -> None:
        """Keeps to which workflow a run belongs, for a reader who comes back to a URL that does not name it."""
        if run_id and run_id not in self.workflow_of:
            self.workflow_of[run_id] = workflow_id
            while len(self.workflow_of) > limits.STREAM_EVENTS:
                del self.workflow_of[next(iter(self.workflow_of))]

    async def resumed(self, offset: str) -> Run:
        """The workflow that an offset belongs to.

        Raises:
            InvalidInput: Not an offset.
            WorkflowNotFound: The server does not have it any more.
        """
        place = Offset.parse(offset)
        workflow_id = self.workflow_of.get(place.run_id) or await self._searched(place)
        return self.demo.attach(workflow_id)

    async def _searched(self, place: Offset) -> str:
        run_id = place.run_id
        age = time.time() - place.run_start_us / 1e6
        deadline = time.monotonic() + (LISTED_S if 0 <= age < LISTED_S else 0.0)
        while True:
            if found := await self.demo.client.workflow_of_run(run_id):
                return found
            if time.monotonic() > deadline:
                raise WorkflowNotFound(
                    f"no workflow has a run {run_id}",
                    why="the offset is another server's, or its workflow is gone (retention)",
                    remedy="start a new one: without `Last-Event-ID`",
                )
            await asyncio.sleep(0.2)


async def _has_more(run: Run, after: str) -> bool:
    """Whether there are events behind this offset now."""
    async for _ in run.events(after, wait=False):
        return True
    return False


def _gateway(request: Request) -> Gateway:
    return cast(Gateway, request.app.state.gateway)


# --- Monty -----------------------------------------------------------------------------------------------------------


@router.post(
    "/monty/stream",
    summary="Start a Monty Python workflow and stream its events",
    tags=["monty"],
    responses={**_STREAM_WORDS, **responses(404, 422)},
    response_class=Response,
)
async def post_monty(
    request: Request,
    stream: Annotated[StreamOptions, Query()],
    options: Annotated[models.MontyOptions | None, Body()] = None,
    last_event_id: LastEventId = "",
) -> Response:
    """Starts a workflow; the first event names it. With `Last-Event-ID` (or `after`) it starts none: it goes on with
    the workflow of that event, as an `EventSource` that comes back expects.
    """
    return await _monty(request, stream, (options or models.MontyOptions()).model_dump(), last_event_id)


@router.get(
    "/monty/stream",
    summary="The same for an EventSource, which can only GET",
    tags=["monty"],
    responses={**_STREAM_WORDS, **responses(404, 422)},
    response_class=Response,
)
async def get_monty(
    request: Request, options: Annotated[MontyStream, Query()], last_event_id: LastEventId = ""
) -> Response:
    """Starts a workflow; the first event names it. With `Last-Event-ID` (or `after`) it goes on with the workflow of
    that event.
    """
    monty = options.model_dump(include=set(models.MontyQuery.model_fields))
    return await _monty(request, options, monty, last_event_id)


async def _monty(request: Request, stream: StreamOptions, monty: dict[str, Any], last_event_id: str) -> Response:
    gateway = _gateway(request)
    gateway.check_room()
    if after := last_event_id or stream.after:
        try:
            run = await gateway.resumed(after)
        except ServerUnreachable:  # an EventSource that is refused never asks again
            return EventStream(_nothing(), named=stream.named, keep_alive=gateway.allowed.keep_alive)
        return await gateway.stream(run, after, stream)
    run = await gateway.demo.start_monty(**{**monty, "quotes": monty["quotes"] or None})
    return gateway.begin(run, "", stream, await gateway.place_before(run))


async def _nothing() -> AsyncGenerator[Told]:
    return
    yield  # what makes it a generator


# --- any workflow ----------------------------------------------------------------------------------------------------


@router.get(
    "/workflow/{workflow_id}/stream",
    summary="Stream the events of a workflow, running or ended",
    tags=["workflow"],
    responses={**_STREAM_WORDS, **responses(404, 422)},
    response_class=Response,
)
async def get_stream(
    request: Request,
    workflow_id: models.WorkflowId,
    stream: Annotated[StreamOptions, Query()],
    last_event_id: LastEventId = "",
) -> Response:
    """From its first event, or behind the offset in `Last-Event-ID` (or `after`), to its end: each fact once and in
    order. A reader who is too slow gets a `gap`, and may come back with the offset in it.
    """
    gateway = _gateway(request)
    gateway.check_room()
    return await gateway.stream(gateway.demo.attach(workflow_id), last_event_id or stream.after, stream)


@router.post(
    "/workflow/{workflow_id}/signal/{name}",
    summary="Stop, pause or resume a workflow",
    tags=["workflow"],
    responses=responses(404, 409, 422),
)
async def post_signal(request: Request, workflow_id: models.WorkflowId, name: models.SignalName) -> models.SignalSent:
    """Sends the Signal `stop_workflow`, `pause` or `resume`. A stop is graceful, and ends a running sleep at once."""
    run = _gateway(request).demo.attach(workflow_id)
    send, handler = SIGNALS[name]
    answer = await send(run)
    if not answer.accepted:
        raise NotPossible(answer.message)
    return models.SignalSent.now(run.id, handler.__name__)


@router.get(
    "/workflow/{workflow_id}/status",
    summary="What the server says of a workflow",
    tags=["workflow"],
    responses=responses(404, 422),
)
async def get_status(request: Request, workflow_id: models.WorkflowId) -> models.WorkflowStatus:
    """State, start time, execution status and more, for every type of workflow; no Worker is needed."""
    demo = _gateway(request).demo
    status, summary = await asyncio.gather(demo.attach(workflow_id).status(), demo.client.summary(workflow_id))
    return models.WorkflowStatus.of(status, summary)


@router.get(
    "/workflow/{workflow_id}/query",
    summary="Query a workflow",
    tags=["workflow"],
    responses={
        200: {
            "description": "What the workflow answers. Monty: `get_progress`, with the live heartbeat.",
            "content": {
                "application/json": {
                    "schema": {},
                    "example": {
                        "status": "iteration_2_sleeping",
                        "iteration_count": 2,
                        "total_quotes_delivered": 1,
                        "last_quote": "Nobody expects the Spanish Inquisition!",
                        "current_sleep_duration": 3.3,
                        "iteration_elapsed": 1.485,
                        "iteration_started_at": 1737282619.5,
                        "started_at": 1737282615.0,
                        "own_quotes": [],
                        "paused": False,
                        "should_exit": False,
                        "attempt": 1,
                        "progress": 45.0,
                        "total_elapsed": 6.0,
                    },
                }
            },
        },
        **responses(404, 409, 422),
    },
)
async def get_query(
    request: Request,
    workflow_id: models.WorkflowId,
    name: Annotated[
        str, Query(max_length=200, description="Name of the Query; by default the one that tells its progress.")
    ] = "",
) -> Any:
    """Asks a Query that takes no arguments, of a workflow of any type, running or ended. A Worker answers it: without
    one, this ends with 503 within 5 s.
    """
    return await _gateway(request).demo.attach(workflow_id).query(name)


# --- chat ------------------------------------------------------------------------------------------------------------

_PENDING: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "The message was taken, and is not answered yet; its answer will be in the history",
        "model": models.ChatAnswer,
    }
}


@router.post(
    "/chat",
    summary="Start a conversation",
    tags=["chat"],
    responses={**_PENDING, **responses(409, 422)},
)
async def post_chat(request: Request, response: Response, message: models.ChatMessage) -> models.ChatAnswer:
    """Begins a conversation with its first message, and answers with its Workflow ID and the agent's reply."""
    checked = message.checked()
    chat = await _gateway(request).demo.start_chat()
    return await _sent(response, chat, checked)


@router.post(
    "/chat/{workflow_id}",
    summary="Go on with a conversation",
    tags=["chat"],
    responses={**_PENDING, **responses(404, 409, 422)},
)
async def post_message(
    request: Request, response: Response, workflow_id: models.WorkflowId, message: models.ChatMessage
) -> models.ChatAnswer:
    """Sends a further message. A message with an id that was sent before is not taken twice: this is its answer."""
    return await _sent(response, await _conversation(request, workflow_id), message.checked())


@router.get(
    "/workflow/{workflow_id}/history",
    summary="All messages of a conversation",
    tags=["chat"],
    responses=responses(404, 409, 422),
)
async def get_history(request: Request, workflow_id: models.WorkflowId) -> models.ChatHistory:
    """All messages in order, pending and failed ones marked, from the Event History: no Worker is needed."""
    chat = await _conversation(request, workflow_id)
    return models.ChatHistory.of(chat.id, await chat.history())


async def _conversation(request: Request, workflow_id: str) -> Chat:
    run = _gateway(request).demo.attach(workflow_id)
    await run.status()  # what does not exist is told as such, whatever its ID
    if not isinstance(run, Chat):
        raise NotPossible(f"{run.id} is not a conversation", remedy="start one: `POST /chat`")
    return run


async def _sent(response: Response, chat: Chat, message: UserMessage) -> models.ChatAnswer:
    """Sends a message and waits for its answer for a while; a message that no Worker takes is told sooner."""
    reply: ChatReply | None = None
    for patience in (limits.TAKEN_S, limits.REPLY_S - limits.TAKEN_S):
        try:
            reply = await chat.send(message.text, message_id=message.id, timeout=patience)
            break
        except StillRunning:
            continue
        except (ServerUnreachable, WorkerUnavailable) as error:
            again = f'`POST /chat/{chat.id}` with `"message_id": "{message.id}"`: it is not taken twice'
            raise type(error)(error.what, why=error.why, remedy=again) from error
    if reply is None:
        response.status_code = 202
    return models.ChatAnswer.of(chat.id, message.id, reply)

"""A session and workflows that do what a test scripts, on the real background loop, and a comm that records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from comm.base_comm import BaseComm

from durable_demo import events as e
from durable_demo.background import BackgroundLoop
from durable_demo.chat import Chat
from durable_demo.entries import HistoryEntry, Item, PendingWork
from durable_demo.faults import Break, Faults, Incident
from durable_demo.run import Answer, Run, RunStatus
from durable_demo.stack import StackInfo
from durable_demo.workflows.chat_data import ChatReply


class RecordingComm(BaseComm):
    """Stands for the wire to the browsers.

    Attributes:
        sent: The custom messages, in order.
        broken: Whether sending fails from now on.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.sent: list[dict[str, Any]] = []
        self.broken = False
        super().__init__(*args, **kwargs)

    def publish_msg(self, msg_type: str, data: Any = None, *_: Any, **__: Any) -> None:
        if self.broken:
            raise RuntimeError("the comm is closed")
        if msg_type == "comm_msg" and data.get("method") == "custom":
            self.sent.append(data["content"])


class FakeRun(Run):
    """A workflow whose events a test pushes."""

    def __init__(self, workflow_id: str = "monty-python-00000001") -> None:
        self.id = workflow_id
        self.verbs: list[str] = []
        self.refusal: Answer | None = None
        self.error: Exception | None = None
        self.asked_after: list[str | None] = []
        self.workflow_type = "MontyPythonWorkflow"
        self.ended_as = ""
        self.status_error: Exception | None = None
        self.entries: dict[str, list[HistoryEntry | PendingWork]] = {}
        self._events: list[e.Event | Exception | None] = []
        self._count = 0

    def common(self, *, tick: bool = False) -> dict[str, Any]:
        self._count += not tick
        return {
            "timestamp": f"2025-01-19T10:{30 + self._count // 60}:{self._count % 60:02}.000Z",
            "workflow_id": self.id,
            "run_id": "run",
            "offset": f"{self._count:08}",
            "tick": tick,
        }

    def push(self, *events: e.Event | Exception | None) -> None:
        """Events to come; an exception breaks the stream, None ends it."""
        self._events.extend(events)

    def started(self) -> None:
        self.push(e.WorkflowStarted(workflow_type=self.workflow_type, **self.common()))

    def quoted(self, words: str, iteration: int = 1) -> None:
        self.push(
            e.ProgressUpdate(
                progress=100,
                status="delivered",
                current_quote=words,
                iteration_count=iteration,
                total_quotes_delivered=iteration,
                **self.common(),
            )
        )

    def completed(self) -> None:
        self.push(e.WorkflowCompleted(iteration_count=1, total_quotes_delivered=1, **self.common()), None)

    async def events(self, after: str | None = None) -> AsyncIterator[e.Event]:
        self.asked_after.append(after)
        place = 0
        while True:
            while place >= len(self._events):  # noqa: ASYNC110  # tests push from another thread
                await asyncio.sleep(0.005)
            item = self._events[place]
            place += 1
            if item is None:
                return
            if isinstance(item, Exception):
                self._events[place - 1 : place] = []
                raise item
            yield item

    async def items(self, after: str | None = None, *, wait: bool = True) -> AsyncIterator[Item]:
        async for event in self.events(after):
            for entry in self.entries.pop(event.offset, []):
                yield entry
            yield event

    async def status(self) -> RunStatus:
        if self.status_error is not None:
            raise self.status_error
        return RunStatus(
            workflow_id=self.id,
            run_id="run",
            workflow_type=self.workflow_type,
            status=self.ended_as or "RUNNING",
            started=datetime(2025, 1, 19, tzinfo=UTC),
            closed=None,
            task_queue="durable-demo",
            history_length=3,
        )

    async def _verb(self, name: str) -> Answer:
        self.verbs.append(name)
        if self.error is not None:
            raise self.error
        return self.refusal or Answer(True, f"{name} requested")

    async def stop(self) -> Answer:
        return await self._verb("stop")

    async def pause(self) -> Answer:
        return await self._verb("pause")

    async def resume(self) -> Answer:
        return await self._verb("resume")

    async def cancel(self) -> Answer:
        return await self._verb("cancel")


class FakeChat(FakeRun, Chat):
    """A conversation that answers each message at once."""

    def __init__(self, workflow_id: str = "chat-00000001") -> None:
        super().__init__(workflow_id)
        self.workflow_type = "ChatWorkflow"
        self.received: list[tuple[str, str, str]] = []

    def begun(self) -> None:
        self.started()
        self.push(e.AgentIntroduced(model="offline brain (rules)", weather="typical", **self.common()))

    async def send(
        self, text: str, *, message_id: str | None = None, retry_of: str = "", timeout: Any = None
    ) -> ChatReply:
        if self.error is not None:
            raise self.error
        assert message_id is not None
        if message_id not in [known for known, _, _ in self.received]:
            self.received.append((message_id, text, retry_of))
            self.push(e.MessageReceived(message_id=message_id, text=text, retry_of=retry_of, **self.common()))
        self.push(e.MessageAnswered(message_id=message_id, text=f"You said: {text}", **self.common()))
        return ChatReply(message_id, "answered", f"You said: {text}")

    async def stop(self, message_id: str = "") -> Answer:
        return await self._verb(f"stop {message_id}".strip())


@dataclass
class Listed:
    """One entry of `demo.runs()`."""

    run: FakeRun
    status: str = "RUNNING"
    workflow_type: str = "MontyPythonWorkflow"
    title: str = ""
    started: datetime = datetime(2025, 1, 19, 10, 30, tzinfo=UTC)

    @property
    def workflow_id(self) -> str:
        return self.run.id


class FakeBreakIt:
    """Notes what it is told, and breaks nothing.

    Attributes:
        verbs: What it was told, with arguments.
        error: What the next verbs raise.
        now: What is broken.
        seen: What the supervisor saw.
    """

    def __init__(self) -> None:
        self.on_break: list[Callable[[Break], None]] = []
        self.verbs: list[tuple[Any, ...]] = []
        self.error: Exception | None = None
        self.now = Faults()
        self.seen: list[Incident] = []

    def faults(self) -> Faults:
        return self.now

    def incidents(self, since: str = "") -> list[Incident]:
        return [incident for incident in self.seen if incident.timestamp >= since]

    def __getattr__(self, verb: str) -> Callable[..., Coroutine[Any, Any, Break]]:
        if verb.startswith("_"):
            raise AttributeError(verb)

        async def tell(*arguments: Any) -> Break:
            if self.error is not None:
                raise self.error
            self.verbs.append((verb, *arguments))
            now = e.format_timestamp(datetime.now(UTC))
            done = Break(kind=verb, timestamp=now, done=f"{verb} is done.", expected="All goes on.")
            for callback in self.on_break:
                callback(done)
            return done

        return tell


@dataclass
class FakeStack:
    """What runs, as a test says."""

    running: StackInfo | None = None

    def info(self) -> StackInfo | None:
        return self.running


@dataclass
class FakeSession:
    """What a widget uses of a session."""

    background: BackgroundLoop
    before_settle: list[Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=list)
    on_settle: list[Callable[[], None]] = field(default_factory=list)
    listed: list[Listed] = field(default_factory=list)
    begun: list[FakeRun] = field(default_factory=list)
    options: list[dict[str, Any]] = field(default_factory=list)
    chats: list[FakeChat] = field(default_factory=list)
    start_error: Exception | None = None
    started: bool = True
    web_ui: dict[str, str] | None = None
    break_it: FakeBreakIt = field(default_factory=FakeBreakIt)
    stack: FakeStack = field(default_factory=FakeStack)
    reset_error: Exception | None = None
    resets: int = 0

    async def reset(self) -> str:
        self.resets += 1
        if self.reset_error is not None:
            raise self.reset_error
        return "Reset in 1.0 s."

    async def start_monty(self, **options: Any) -> FakeRun:
        await asyncio.sleep(0.01)
        if self.start_error is not None:
            raise self.start_error
        self.options.append(options)
        run = FakeRun(f"monty-python-{len(self.begun) + 1:08}")
        run.started()
        self.begun.append(run)
        return run

    async def start_chat(self) -> FakeChat:
        await asyncio.sleep(0.01)
        if self.start_error is not None:
            raise self.start_error
        chat = FakeChat(f"chat-{len(self.chats) + 1:08}")
        chat.begun()
        self.chats.append(chat)
        return chat

    def attach(self, workflow_id: str) -> FakeRun:
        known = [chat for chat in self.chats if chat.id == workflow_id]
        return known[0] if known else FakeRun(workflow_id)

    async def runs(self, *, limit: int = 100, workflow_type: str | None = None, counted: bool = True) -> list[Listed]:
        return [item for item in self.listed if workflow_type in {None, item.workflow_type}][:limit]

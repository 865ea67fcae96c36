"""Proof of "exactly once": what a follower saw that ran through the chaos, held against the history and the results."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence

from temporalio.api.history.v1 import HistoryEvent

from durable_demo import Chat, Session
from durable_demo import events as e
from durable_demo.run import Run
from durable_demo.trace import Trace
from durable_demo.workflows.chat_data import ChatReply
from durable_demo.workflows.monty_data import MontyPythonResult

PROGRESS = (
    e.ProgressUpdate, e.TextUpdate, e.ModelAsked, e.ModelAnswered, e.ToolCalled, e.ToolAnswered, e.MessageAnswered,
    e.WorkflowContinuedAsNew, e.WorkflowCompleted,
)  # fmt: skip
"""What only a Worker brings about: signs that a workflow goes on."""


class Watcher:
    """Follows one workflow from its beginning to its end, as a panel does, in a task of its own.

    Args:
        run: The workflow.
        keep_ticks: Whether to keep ticks, too; else they are only counted, so that the watcher itself hardly grows.

    Attributes:
        events: What came.
        ticks: How many ticks came.
        lags: Seconds by which facts came after they had happened, of those that happened while this followed.
    """

    def __init__(self, run: Run, *, keep_ticks: bool = True) -> None:
        self.run = run
        self.events: list[e.Event] = []
        self.ticks = 0
        self.lags: list[float] = []
        self._keep_ticks = keep_ticks
        self._began = time.time()
        self.task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        async for event in self.run.events():
            self.ticks += event.tick
            if self._keep_ticks or not event.tick:
                self.events.append(event)
            happened = event.moment.timestamp()
            # The server writes a further attempt into the history when it has ended, with the time of its beginning.
            if not event.tick and happened > self._began and not isinstance(event, e.ActivityRetry):
                self.lags.append(time.time() - happened)

    @property
    def facts(self) -> list[e.Event]:
        return [event for event in self.events if not event.tick]

    @property
    def quotes(self) -> int:
        """Quotes delivered until now."""
        return sum(isinstance(event, e.ProgressUpdate) and event.current_quote is not None for event in self.events)

    def signs(self) -> list[float]:
        """Moments at which the workflow went on (Unix times), by the events' own timestamps."""
        return sorted(event.moment.timestamp() for event in self.events if isinstance(event, PROGRESS))

    async def ended(self, within: float) -> None:
        """Waits until the workflow has ended and everything has been seen."""
        await asyncio.wait_for(asyncio.shield(self.task), within)


async def check_trace(watcher: Watcher) -> None:
    """What was followed live, progress included, is what the history tells afterwards.

    Other ticks tell of their moment (a lost server, an attempt that failed and was not the last): no history has them.
    """
    late = [event async for event in watcher.run.events(wait=False) if not event.tick]
    assert watcher.facts == late
    live = [event for event in watcher.events if not event.tick or isinstance(event, e.ProgressUpdate | e.TextUpdate)]
    live_trace, late_trace = Trace(), Trace()
    live_trace.apply(*live)
    late_trace.apply(*late)
    assert live_trace.summary == late_trace.summary
    assert _lines(live_trace) == _lines(late_trace)


def _lines(trace: Trace) -> list[str]:
    return [str(line) for line in trace.lines if line.kind != "progress"]


async def check_monty(watcher: Watcher) -> int:
    """Each iteration was begun once and in order, each quote delivered once, and all counters agree.

    Returns:
        How many quotes were delivered.
    """
    await check_trace(watcher)
    result = await watcher.run.result(timeout=30)
    assert isinstance(result, MontyPythonResult)
    facts = [event for event in watcher.facts if isinstance(event, e.ProgressUpdate)]
    begun = [event.iteration_count for event in facts if event.status.endswith("_sleeping")]
    delivered = [event for event in facts if event.current_quote is not None]
    assert begun == list(range(1, result.total_iterations + 1))
    assert [event.iteration_count for event in delivered] == list(range(1, len(delivered) + 1))
    assert [event.total_quotes_delivered for event in delivered] == list(range(1, len(delivered) + 1))
    assert result.total_quotes_delivered == len(delivered)
    assert result.total_iterations - len(delivered) in (0, 1)  # a stop interrupts the last one
    end = watcher.facts[-1]
    assert isinstance(end, e.WorkflowCompleted)
    assert (end.iteration_count, end.total_quotes_delivered) == (result.total_iterations, len(delivered))
    return len(delivered)


async def check_chat(watcher: Watcher, replies: Sequence[ChatReply]) -> None:
    """Each message was received once, answered once, in order; no tool that had answered was called again."""
    await check_trace(watcher)
    assert isinstance(watcher.run, Chat)
    sent = [reply.message_id for reply in replies]
    assert {reply.status for reply in replies} <= {"answered"}
    facts = watcher.facts
    assert [event.message_id for event in facts if isinstance(event, e.MessageReceived)] == sent
    assert [event.message_id for event in facts if isinstance(event, e.MessageAnswered)] == sent
    turns = (await watcher.run.history()).turns
    assert [(turn.message_id, turn.answer) for turn in turns] == [(reply.message_id, reply.text) for reply in replies]
    called = Counter(event.call_id for event in facts if isinstance(event, e.ToolCalled))
    answers = Counter(event.call_id for event in facts if isinstance(event, e.ToolAnswered))
    assert called == answers
    assert set(called.values()) <= {1}
    asked = Counter((event.message_id, event.step) for event in facts if isinstance(event, e.ModelAsked))
    assert set(asked.values()) == {1}
    assert asked == Counter((event.message_id, event.step) for event in facts if isinstance(event, e.ModelAnswered))


def retries(watchers: Iterable[Watcher]) -> int:
    """Activities that needed more than one attempt."""
    return sum(isinstance(event, e.ActivityRetry) for watcher in watchers for event in watcher.facts)


async def raw_history(demo: Session, run: Run) -> list[HistoryEvent]:
    """All entries of all runs, as the SDK reads them."""
    found: list[HistoryEvent] = []

    async def read() -> None:
        handle = demo.client.temporal.get_workflow_handle(run.id)
        run_id = (await handle.describe()).raw_description.workflow_execution_info.first_run_id
        while run_id:
            history = await demo.client.temporal.get_workflow_handle(run.id, run_id=run_id).fetch_history()
            found.extend(history.events)
            run_id = history.events[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id

    await demo.background.run(read())
    return found

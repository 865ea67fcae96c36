"""Replay a workflow's history on today's code, and say where the two part: why a changed workflow is stuck.

Source of how a replay compares: Temporal's documentation on determinism, https://docs.temporal.io/workflow-definition.
"""

from __future__ import annotations

import asyncio
import html
import logging
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from itertools import zip_longest
from pathlib import Path

import temporalio
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.worker import (
    Replayer,
    UnsandboxedWorkflowRunner,
    WorkflowInstance,
    WorkflowInstanceDetails,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError, _Definition

from durable_demo.commands import Command, of_code, of_history
from durable_demo.connection import runtime
from durable_demo.errors import NotPossible
from durable_demo.history import failure_text
from durable_demo.wording import one_line, plural, printable

REPLAY_DEADLINE = timedelta(seconds=30)
"""Code that never yields is found after 2 s; a history of 50,000 events takes longer."""
_SHOWN_AROUND = 10
"""Commands that are shown before and after the place that matters."""


@dataclass(frozen=True)
class Remedy:
    """One way out.

    Attributes:
        what: What to do, as one sentence.
        code: Lines to paste; empty if there are none.
    """

    what: str
    code: str = ""


@dataclass(frozen=True)
class Replay:
    """How the history of a run goes with today's code: the commands of both, side by side.

    Shows itself as text and as a table.

    Attributes:
        workflow_id: Workflow ID.
        workflow_type: Name of its type.
        last_event_id: The last event of the history.
        history: Commands that the history has, in order.
        code: Commands that the code gave, as far as the replay came.
        error: Why the code does not fit, in Temporal's words, or the error that the code raised; empty if it fits.
        stack: Where the code raised the error; empty if it raised none.
        differs: Place in `history` and `code` of the first two commands that differ; None if there is none.
    """

    workflow_id: str
    workflow_type: str
    last_event_id: int
    history: list[Command]
    code: list[Command]
    error: str = ""
    stack: str = ""
    differs: int | None = None

    @property
    def fits(self) -> bool:
        """Whether a workflow with this history can go on with this code."""
        return not self.error

    @property
    def verdict(self) -> str:
        """What came out, as one sentence."""
        if self.stack:
            return f"The code of {self.workflow_type} raises an error."
        if not self.fits:
            return f"The code of {self.workflow_type} does not fit the history."
        return f"The code of {self.workflow_type} fits the history, up to event {self.last_event_id}."

    @property
    def parts_at(self) -> Command | None:
        """The command of the history at which the code goes another way; None if there is none."""
        return None if self.differs is None or self.differs >= len(self.history) else self.history[self.differs]

    @property
    def remedies(self) -> list[Remedy]:
        """Ways out to try, the gentlest first; none if the code fits."""
        if self.fits:
            return []
        end = Remedy("Give this workflow up:", "await run.terminate()")
        if self.stack:
            return [Remedy("Correct the code and run its cell again: the workflow goes on by itself."), end]
        back = Remedy("Put the old code back and run its cell again: the workflow goes on by itself, in the old way.")
        was = self.parts_at
        if not was:
            return [back, end]
        reset = Remedy(
            f"Take the workflow back to before event {was.event_id}; from there it goes the new way:",
            f"await run.reset(to={was.event_id})",
        )
        return [back, self._patch(was, *self.code[self.differs :][:1]), reset, end]

    def _patch(self, was: Command, now: Command | None = None) -> Remedy:
        if now is None or now in self.history[self.differs :]:  # what the history has here is gone from the code
            change, command, taken = "without", was, "not workflow.patched"
        else:
            change, command, taken = "with", now, "workflow.patched"
        name = re.sub(r"[^a-z0-9]+", "-", f"{change} {command.name or command.kind}".lower()).strip("-")
        return Remedy(
            "Keep both ways in the code, so that what began in the old way ends in it:",
            f'if {taken}("{name}"):\n    ...  # the lines for: {one_line(str(command))}',
        )

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Event ID, command of the history, command of the code, and what to say of the two."""
        rows = []
        for place, (was, now) in enumerate(zip_longest(self.history, self.code)):
            note = "<- here they differ" if place == self.differs else "next" if self.fits and not was else ""
            missing = "" if self.fits else "(nothing)" if place == self.differs else "(not reached)"
            rows.append(
                (
                    str(was.event_id) if was else "",
                    one_line(str(was)) if was else "",
                    one_line(str(now)) if now else missing,
                    note,
                )
            )
        return rows

    def _shown(self) -> tuple[str, list[tuple[str, str, str, str]]]:
        """The rows around the place that matters, and a word on what comes before them."""
        rows = self.rows()
        place = min(len(self.code), len(self.history)) if self.differs is None else self.differs
        first = max(0, place - _SHOWN_AROUND)
        before = f"{plural(first, 'command')} before these fit." if first else ""
        return before, rows[first : place + _SHOWN_AROUND]

    def __str__(self) -> str:
        before, rows = self._shown()
        parts = [f"{self.workflow_id}: {self.verdict}", *filter(None, [before])]
        if rows:
            table = [("Event", "History", "Code", ""), *rows]
            widths = [max(len(row[column]) for row in table) for column in range(3)]
            parts.append(
                "\n".join(
                    f"{event:>{widths[0]}}  {was:<{widths[1]}}  {now:<{widths[2]}}  {note}".rstrip()
                    for event, was, now, note in table
                )
            )
        if self.error:
            parts.append(f"{self._says}: {printable(self.error)}")
        if self.stack:
            parts.append(printable(self.stack))
        if self.remedies:
            parts.append("What you can do:")
        for number, remedy in enumerate(self.remedies, 1):
            parts.append("\n       ".join([f"{number}. {remedy.what}", *remedy.code.splitlines()]))
        return "\n\n".join(parts)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        before, rows = self._shown()
        parts = [f"<p><code>{_escaped(self.workflow_id)}</code>: {_escaped(self.verdict)} {before}</p>"]
        if rows:
            head = "".join(f"<th>{name}</th>" for name in ("Event", "History", "Code", ""))
            body = "".join(
                "<tr>" + "".join(f"<td>{_escaped(cell)}</td>" for cell in row[:3]) + f"<td><b>{row[3]}</b></td></tr>"
                for row in ((*row[:3], html.escape(row[3])) for row in rows)
            )
            parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
        if self.error:
            parts.append(f"<p>{self._says}: {_escaped(self.error)}</p>")
        if self.stack:
            parts.append(f"<pre>{_escaped(self.stack)}</pre>")
        if self.remedies:
            items = "".join(
                f"<li>{_escaped(remedy.what)}" + (f"<pre>{_escaped(remedy.code)}</pre>" * bool(remedy.code)) + "</li>"
                for remedy in self.remedies
            )
            parts.append(f"<p>What you can do:</p><ol>{items}</ol>")
        return "".join(parts)

    @property
    def _says(self) -> str:
        return "The code says" if self.stack else "Temporal says"


def _escaped(text: str) -> str:
    return html.escape(printable(text))


# --- replaying -------------------------------------------------------------------------------------------------------


async def replay(history: WorkflowHistory, workflow: type, *, namespace: str, converter: DataConverter) -> Replay:
    """Replays the history of one run on a workflow class, in the sandbox, and compares.

    Nothing outside happens: results of Activities and timers come from the history. A history that has not ended is
    replayed up to its end.

    Args:
        history: The history.
        workflow: The class; its type's name is that of the history.
        namespace: What the code finds as its Namespace.
        converter: For the payloads.

    Raises:
        NotPossible: The replay did not end within 30 s.
    """
    logging.getLogger("temporalio").addHandler(logging.NullHandler())  # else Python prints what nobody handles
    given: list[list[WorkflowCommand]] = []
    failures: list[Failure] = []

    def seen(completion: WorkflowActivationCompletion) -> None:
        given.append(list(completion.successful.commands))
        if completion.HasField("failed"):
            failures.append(completion.failed.failure)

    with ThreadPoolExecutor(1) as executor:
        replayer = Replayer(
            workflows=[workflow],
            workflow_task_executor=executor,
            workflow_runner=_Recorder(SandboxedWorkflowRunner(), seen),
            unsandboxed_workflow_runner=_Recorder(UnsandboxedWorkflowRunner(), seen),
            namespace=namespace,
            data_converter=converter,
            runtime=runtime(),
        )
        try:
            async with asyncio.timeout(REPLAY_DEADLINE.total_seconds()):
                result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
        except TimeoutError:
            raise NotPossible(
                f"The replay of {history.workflow_id} did not end within {REPLAY_DEADLINE.total_seconds():g} s.",
                why=f"its history has {len(history.events)} events",
                remedy="look for code in the workflow that blocks or never ends",
            ) from None
    error, stack = _reason(result.replay_failure, failures)
    was, now = of_history(history.events), of_code(given)
    return Replay(
        workflow_id=history.workflow_id,
        workflow_type=history.events[0].workflow_execution_started_event_attributes.workflow_type.name,
        last_event_id=history.events[-1].event_id,
        history=was,
        code=now,
        error=error,
        stack=stack,
        differs=_first_difference(error, was, now) if error and not stack else None,
    )


class _Recorder(WorkflowRunner):
    """Runs workflows as another runner does, and shows what their code answers at each step."""

    def __init__(self, runner: WorkflowRunner, seen: Callable[[WorkflowActivationCompletion], None]) -> None:
        self._runner = runner
        self._seen = seen

    def prepare_workflow(self, defn: _Definition) -> None:
        self._runner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        instance = self._runner.create_instance(det)
        activate = instance.activate

        def recorded(act: WorkflowActivation) -> WorkflowActivationCompletion:
            completion = activate(act)
            self._seen(completion)
            return completion

        # One method of many, whose number grows with the SDK: a class around it would have to pass on all of them.
        instance.activate = recorded  # type: ignore[method-assign]
        return instance

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        self._runner.set_worker_level_failure_exception_types(types)


def _reason(failure: Exception | None, failures: list[Failure]) -> tuple[str, str]:
    """Why the code cannot go on, and where it raised that; both empty if it can."""
    if isinstance(failure, NondeterminismError):
        return _in_words(failure), ""
    if failures:  # the last Workflow Task of a history counts too, which the replayer leaves out
        return failure_text(failures[-1]), _frames(failures[-1].stack_trace)
    if failure:  # such as code that never yields: what the worker sends then is not the workflow's answer
        return _in_words(failure), _frames(_unquoted(_QUOTED_STACK.search(str(failure))))
    return "", ""


_QUOTED_MESSAGE = re.compile(r'message: "((?:[^"\\]|\\.)*)"')
_QUOTED_STACK = re.compile(r'stack_trace: "((?:[^"\\]|\\.)*)"')
_FRAME = re.compile(r'^  File "([^"]+)".*(?:\n(?!  File ).*)*', re.MULTILINE)


def _in_words(failure: Exception) -> str:
    """What the SDK core says, out of its nested debug output."""
    return _unquoted(_QUOTED_MESSAGE.search(str(failure))) or str(failure)


def _unquoted(found: re.Match[str] | None) -> str:
    """A string as Rust's debug output quotes it."""
    escapes = {"n": "\n", "t": "\t", "r": "\r"}
    return re.sub(r"\\(.)", lambda char: escapes.get(char[1], char[1]), found[1]) if found else ""


def _frames(stack: str) -> str:
    """A stack without the frames of the SDK, of Python, and of this module."""
    own = [found[0].rstrip() for found in _FRAME.finditer(stack) if not found[1].startswith(_NOT_THEIRS)]
    return "\n".join(own) or stack.strip()


_NOT_THEIRS = (str(Path(temporalio.__file__).parent), str(Path(asyncio.__file__).parent), __file__, "<")


def _first_difference(error: str, was: list[Command], now: list[Command]) -> int | None:
    """Where Temporal says that they differ; else the first place where they do."""
    named = re.search(r"\bid: (\d+)", error)
    if named:
        for place, command in enumerate(was):
            if command.event_id == int(named[1]):
                return place
    for place, (old, new) in enumerate(zip_longest(was, now)):
        if old != new:
            return place
    return None

"""Why a workflow cannot go on, in words, and what to do about it. No I/O, no Temporal.

The causes and messages that are looked for are those of Temporal's server and of its Python SDK.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from durable_demo import settings

TASK = "Workflow Task"
"""What waits for a Worker, if it is no Activity."""
_END = "or end the workflow: `await run.terminate()`"
_MEND = "run its `%%workflow` cell again, or start its Worker again: the workflow then goes on by itself"


@dataclass(frozen=True)
class Problem:
    """Why a workflow cannot go on.

    Attributes:
        what: What is wrong, as a sentence without its full stop.
        why: What the server or the code said of it.
        remedy: What to do next.
    """

    what: str
    why: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}\nWhy: {self.why}\nNext: {self.remedy}"

    @property
    def line(self) -> str:
        """All of it on one line."""
        return f"{self.what}. Why: {self.why}. Next: {self.remedy}"


def failed_task(cause: str, error: str, workflow_type: str) -> Problem:
    """Why a Workflow Task fails, again and again.

    Args:
        cause: Temporal's name of the cause, such as `NON_DETERMINISTIC_ERROR`.
        error: The failure's message with its causes, on one line.
        workflow_type: Name of the workflow's type.
    """
    why = re.sub(r"^(\w+: )?\[TMPRL\d+\] (Nondeterminism error: )?", "", error).rstrip(".")
    if "TMPRL1100" in error or cause == "NON_DETERMINISTIC_ERROR":
        return Problem(
            "The workflow's code does not fit its history: it was changed while the workflow ran",
            why,
            "see where the two part with `await demo.replay(run)`; then bring the old code back, keep both ways with "
            f"`workflow.patched`, or go back to before it with `await run.reset()`; {_END}",
        )
    if "not registered on this worker" in error:
        return Problem(
            f"The Worker does not know the workflow type {workflow_type}",
            why,
            f"register it: run its `%%workflow` cell, or start a Worker that has it; {_END}",
        )
    if "TMPRL1101" in error:
        return Problem(
            "The workflow's code blocks its Worker",
            why,
            f"move what takes long into an Activity, and wait with `await workflow.sleep(...)`; {_MEND}",
        )
    if "Failed decoding arguments" in error:
        return Problem(
            "The workflow's code cannot read the arguments that it was given",
            why,
            "start another one with arguments that fit, and end this one: `await run.terminate()`; or have the code "
            f"take these, and {_MEND}",
        )
    if "TOO_LARGE" in cause or "TMPRL1103" in error:
        return Problem(
            "The workflow's code hands more to Temporal than it takes in one piece, which is 2 MB as a rule",
            why,
            f"keep the data elsewhere, and hand on where it is; {_MEND}",
        )
    if "RestrictedWorkflowAccessError" in error or "Cannot access" in error:
        return Problem(
            "The workflow's code does what only an Activity may do",
            why,
            "move it into an Activity, or use what `temporalio.workflow` has for it, such as `workflow.now()`; then "
            f"{_MEND}",
        )
    if cause == "WORKFLOW_WORKER_UNHANDLED_FAILURE":
        return Problem("The workflow's code raised an exception", why, f"mend the code, then {_MEND}; {_END}")
    return Problem(
        f"A Workflow Task fails: {cause.replace('_', ' ').lower()}",
        error,
        f"mend what it says, then {_MEND}; {_END}",
    )


def failed_activity(error: str) -> Problem | None:
    """Why an Activity can never succeed as things are; None if a further attempt may."""
    if "not registered on this worker" not in error:
        return None
    return Problem(
        "The Worker does not know an Activity that the workflow asks for",
        error,
        f"start a Worker that has it: the attempts go on until then; {_END}",
    )


def no_worker(what: str, task_queue: str, since: str) -> Problem:
    """Nobody takes what waits.

    Args:
        what: `TASK`, or an Activity in words.
        task_queue: The Task Queue that it waits in.
        since: Since when, as a time of day.
    """
    module = task_queue.removeprefix(settings.live_task_queue(""))
    if module != task_queue:
        start = f"run its cell `%%workflow {module}` again"
    else:
        start = "start one: `await demo.break_it.set_workers(1)`, or `durable-demo worker` in a terminal"
    return Problem(
        f"No Worker takes the {what}, which has waited since {since}",
        f"none polls the Task Queue {task_queue}, or all of them are frozen, cut off or busy",
        f"{start}; `await demo.reset()` mends all, and ends all workflows",
    )

"""What the buttons do to a workflow, whatever its type."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from durable_demo.chat import Chat
from durable_demo.errors import InvalidInput, NotPossible
from durable_demo.wording import one_line

if TYPE_CHECKING:
    from durable_demo.run import Answer, Run

VERBS: Mapping[str, Callable[[Run], Awaitable[Answer]]] = {
    # A conversation's own stop ends one answer only.
    "stop": lambda run: run.end() if isinstance(run, Chat) else run.stop(),
    "pause": lambda run: run.pause(),
    "resume": lambda run: run.resume(),
    "cancel": lambda run: run.cancel(),
    "terminate": lambda run: run.terminate(reason="from the panel"),
}


async def act_on(run: Run, verb: str) -> Answer:
    """Acts on a workflow, running or ended; `stop` ends it gracefully, whatever its type.

    Args:
        run: The workflow.
        verb: stop, pause, resume, cancel or terminate.

    Raises:
        InvalidInput: Not such a verb.
        NotPossible: This type of workflow cannot do that.
        WorkflowNotFound: There is no such workflow.
    """
    if verb not in VERBS:
        raise InvalidInput(f'there is no "{one_line(verb[:40])}"', remedy=f"use one of {', '.join(VERBS)}")
    if isinstance(run, Chat) and verb in ("pause", "resume"):
        raise NotPossible(f"{run.id} is a conversation and cannot {verb}", remedy="stop, cancel or terminate it")
    return await VERBS[verb](run)

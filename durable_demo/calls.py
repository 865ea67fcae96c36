"""Calls to Temporal: on the background loop, each with a deadline, each with our errors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import temporalio.client
from temporalio.api.errordetails.v1 import WorkflowNotReadyFailure
from temporalio.client import (
    WorkflowFailureError,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.service import RPCError, RPCStatusCode

from durable_demo import settings
from durable_demo.background import BackgroundLoop
from durable_demo.errors import (
    ConnectionFailed,
    DemoError,
    InvalidInput,
    NotPossible,
    ServerUnreachable,
    SessionClosed,
    WorkerUnavailable,
    WorkflowNotFound,
)

T = TypeVar("T")

TRANSIENT = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.UNKNOWN,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.ABORTED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
    }
)
"""Answers of a server that is away, restarting or busy: the call is worth trying again."""


def is_transient(error: BaseException) -> bool:
    """Whether a call may succeed when it is tried again."""
    if isinstance(error, RPCError):
        # A server that is starting may not have loaded its Namespaces yet.
        return error.status in TRANSIENT or (
            error.status == RPCStatusCode.NOT_FOUND and "namespace" in error.message.lower()
        )
    return isinstance(error, TimeoutError)


def reason(error: BaseException) -> str:
    """The first line of what an error says."""
    text = error.message if isinstance(error, RPCError) else str(error)
    return (text.strip() or type(error).__name__).splitlines()[0]


def unreachable(error: BaseException, what: str) -> ServerUnreachable:
    """Our error for a server that does not answer."""
    return ServerUnreachable(
        f"cannot {what}: the Temporal server does not answer",
        why=reason(error),
        remedy="run `durable-demo doctor`; then `await demo.start()` starts the embedded server again",
    )


def translated(error: Exception, what: str) -> Exception:
    """Our error for one of the SDK's; the error itself if it is no answer of the server."""
    if isinstance(error, WorkflowUpdateRPCTimeoutOrCancelledError):
        return WorkerUnavailable(
            f"cannot {what}: no Worker has answered in time",
            why="no Worker polls the Task Queue, or it is busy; the request may still be taken later",
            remedy="run `durable-demo doctor`, then look at `await run.progress()`",
        )
    if is_transient(error):
        return unreachable(error, what)
    if isinstance(error, RPCError) and any(
        detail.Is(WorkflowNotReadyFailure.DESCRIPTOR) for detail in error.grpc_status.details
    ):
        # So the server refuses Queries and Updates once three Workflow Tasks in a row failed or timed out.
        return WorkerUnavailable(
            f"cannot {what}: its latest Workflow Tasks failed, or no Worker finished them",
            why=reason(error),
            remedy="look at `await run.status()`: its `problem` is the cause; then try again",
        )
    if isinstance(error, RPCError) and error.status == RPCStatusCode.NOT_FOUND:
        return WorkflowNotFound(
            f"cannot {what}: the server knows no such workflow",
            why=reason(error),
            remedy="look at `await demo.runs()` or `durable-demo status`",
        )
    if isinstance(error, RPCError) and error.status == RPCStatusCode.INVALID_ARGUMENT:
        return InvalidInput(f"cannot {what}: the server refused it", why=reason(error))
    if isinstance(error, RPCError) and error.status in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED):
        return ConnectionFailed(
            f"cannot {what}: the server refused the credentials", why=reason(error), remedy="check TEMPORAL_API_KEY"
        )
    if isinstance(error, RPCError):
        return NotPossible(f"cannot {what}: the server refused it", why=reason(error))
    return error


Explain = Callable[[ServerUnreachable], DemoError]


def as_it_is(error: ServerUnreachable) -> DemoError:
    """Nothing more is known."""
    return error


class Caller:
    """Makes calls on one server.

    Args:
        temporal: A connected client; it belongs to the background loop.
        background: The loop that carries all traffic.
        explain: Tells why the server does not answer, if that is known: the error itself or a better one.
    """

    def __init__(
        self, temporal: temporalio.client.Client, background: BackgroundLoop, explain: Explain = as_it_is
    ) -> None:
        self.temporal = temporal
        self.background = background
        self._explain = explain

    async def __call__(
        self, call: Coroutine[Any, Any, T], what: str, *, deadline: timedelta | None = settings.CALL_DEADLINE
    ) -> T:
        """Runs a call on the background loop and awaits it, from whatever loop.

        Args:
            call: A coroutine of the Temporal client.
            what: What it does, for the error: "start the workflow".
            deadline: How long it may take, its retries included; None for as long as it takes.

        Raises:
            DemoError: One of ours for each way in which a call can fail; the SDK's own only where a workflow, a Query
                or an Update has failed by itself.
        """

        async def bounded() -> T:
            try:
                async with asyncio.timeout(None if deadline is None else deadline.total_seconds()):
                    return await call
            except (DemoError, WorkflowFailureError, WorkflowQueryFailedError, WorkflowUpdateFailedError):
                raise
            except TimeoutError:
                limit = "" if deadline is None else f" within {deadline.total_seconds():g} s"
                raise self._explain(unreachable(TimeoutError(f"no answer{limit}"), what)) from None
            except Exception as error:
                ours = translated(error, what)
                raise self._explain(ours) if isinstance(ours, ServerUnreachable) else ours from error

        try:
            return await self.background.run(bounded(), name=what)
        except SessionClosed:
            call.close()  # it was never begun
            raise

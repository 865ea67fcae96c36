"""What can go wrong, as one tree of exceptions.

::

    DemoError
    ├── InvalidInput            what a person passed in cannot be used (also a ValueError)
    ├── StackError              the embedded server or worker cannot be started or found
    │   ├── BinaryMissing           no `temporal` program on this machine
    │   ├── PortTaken               another program listens on the port that was asked for
    │   ├── StateDirError           the state directory cannot be used (not writable, disk full)
    │   ├── ServerFailed            the server died or never became healthy
    │   └── WorkerFailed            the worker died or never polled
    ├── ConnectionFailed        a Temporal server cannot be used
    │   ├── ServerUnreachable       nothing answers there within the deadline
    │   ├── NamespaceNotFound       it answers, but has no such namespace
    │   └── ServerTooOld            it answers, but lacks what the kit needs
    ├── StillRunning            what was waited for has not happened yet (also a TimeoutError)
    ├── WorkerUnavailable       no worker answered a query or an update in time (also a TimeoutError)
    ├── WorkflowNotFound        no workflow with this Workflow ID
    ├── NotPossible             the workflow is not in a state that allows this (ended, no such signal, refused)
    ├── ModelRefused            a language model will not answer this, however often it is asked (key, request)
    ├── ModelUnavailable        a language model did not answer this time (busy, broken, stalled)
    ├── WorkflowEndedBadly      `result()` of a workflow that failed, was canceled, terminated or timed out
    ├── SessionClosed           the session was not started or is closed
    └── UncleanSession          `assert_clean()`: something went wrong behind the scenes

Each message says what happened, why, and the next command to type.
"""

from __future__ import annotations


class DemoError(Exception):
    """Base of every error that the kit raises itself.

    Args:
        what: What happened, as one sentence.
        why: The reason, as far as it is known.
        remedy: What to do next, best as the command to type.
    """

    def __init__(self, what: str, *, why: str = "", remedy: str = "") -> None:
        self.what = what
        self.why = why
        self.remedy = remedy
        lines = [what]
        if why:
            lines.append(f"Why: {why}")
        if remedy:
            lines.append(f"Next: {remedy}")
        super().__init__("\n".join(lines))


class InvalidInput(DemoError, ValueError):
    """What a person passed in cannot be used; nothing was sent to the server."""


class StackError(DemoError):
    """The embedded server or worker cannot be started or found."""


class BinaryMissing(StackError):
    """There is no `temporal` program on this machine."""


class PortTaken(StackError):
    """Another program listens on the port that was asked for."""


class StateDirError(StackError):
    """The state directory cannot be used: not writable, or its disk is full."""


class ServerFailed(StackError):
    """The embedded server died or never became healthy; the message holds its last log lines."""


class WorkerFailed(StackError):
    """The worker died or never polled its Task Queue; the message holds its last log lines."""


class ConnectionFailed(DemoError):
    """A Temporal server cannot be used."""


class ServerUnreachable(ConnectionFailed):
    """Nothing answers at the address within the deadline."""


class NamespaceNotFound(ConnectionFailed):
    """The server answers, but has no such Namespace."""


class ServerTooOld(ConnectionFailed):
    """The server answers, but its version lacks what the kit needs."""


class WorkerUnavailable(DemoError, TimeoutError):
    """No Worker answered a Query or an Update within the deadline, or none of them finishes its Workflow Tasks."""


class StillRunning(DemoError, TimeoutError):
    """What was waited for did not happen within the deadline; the workflow goes on."""


class WorkflowNotFound(DemoError, LookupError):
    """The server knows no workflow with this Workflow ID."""


class NotPossible(DemoError):
    """The workflow is not in a state that allows what was asked for, or refused it."""


class ModelRefused(DemoError):
    """A language model will not answer this, however often it is asked: its key or the request was refused."""


class ModelUnavailable(DemoError):
    """A language model did not answer this time; it is worth trying again.

    Attributes:
        retry_after: How long the provider asks to wait, in seconds; None if it does not say.
    """

    def __init__(self, what: str, *, why: str = "", remedy: str = "", retry_after: float | None = None) -> None:
        super().__init__(what, why=why, remedy=remedy)
        self.retry_after = retry_after


class WorkflowEndedBadly(DemoError):
    """The workflow whose result was asked for failed, was canceled, was terminated or timed out.

    Attributes:
        status: The final status, such as ``FAILED`` or ``CANCELED``.
    """

    def __init__(self, what: str, *, status: str, why: str = "", remedy: str = "") -> None:
        super().__init__(what, why=why, remedy=remedy)
        self.status = status


class SessionClosed(DemoError):
    """The session was not started yet, or is closed."""


class UncleanSession(DemoError):
    """Raised by `assert_clean()`: something went wrong in threads, callbacks or tasks.

    Attributes:
        errors: All of it, in the order in which it happened; the first one is also the cause.
    """

    def __init__(self, errors: list[BaseException]) -> None:
        listed = "\n".join(f"  {number}. {type(error).__name__}: {error}" for number, error in enumerate(errors, 1))
        super().__init__(
            f"{len(errors)} error(s) behind the scenes of this session:\n{listed}",
            remedy="read the first one; `durable-demo logs` shows what the server and the worker said",
        )
        self.errors = errors
        self.__cause__ = errors[0]

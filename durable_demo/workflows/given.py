"""What a workflow was given, however it was sent: Temporal lets anybody send anything to any workflow.

An argument that does not fit would make the Workflow Task fail again and again. So our workflows and Signals take
whatever comes and look at it here; Updates and Queries need that not, since the SDK refuses those that do not fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self, TypeVar, cast, get_origin

from temporalio.converter import JSONTypeConverter, value_to_type
from temporalio.exceptions import ApplicationError

from durable_demo.errors import InvalidInput


class _Checkable(Protocol):
    def checked(self) -> Self: ...


Input = TypeVar("Input", bound=_Checkable)
T = TypeVar("T")


class _Lists(JSONTypeConverter):
    """A list is a list: the SDK takes a text for one of letters, and with a long one the Workflow Task times out."""

    def to_typed_value(self, hint: Any, value: Any) -> Any:
        if get_origin(hint) is list and not isinstance(value, list):
            raise TypeError(f"not a list: {type(value).__name__}")
        return JSONTypeConverter.Unhandled


def read_input(kind: type[Input], given: Sequence[Any]) -> tuple[Input, ApplicationError | None]:
    """The input of a workflow, checked; without any, the defaults.

    Args:
        kind: A dataclass.
        given: What the workflow was started with, as plain data.

    Returns:
        It, and None; or the defaults and why it cannot be used: `run` raises that, so that the workflow fails and yet
        answers Queries.
    """
    try:
        return _read(kind, given).checked(), None
    except InvalidInput as error:
        return kind(), ApplicationError(str(error), type=InvalidInput.__name__, non_retryable=True)


def _read(kind: type[Input], given: Sequence[Any]) -> Input:
    if len(given) > 1:
        raise InvalidInput(f"the workflow takes one input, not {len(given)}")
    try:
        return cast(Input, value_to_type(kind, given[0], [_Lists()])) if given else kind()
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(f"the input is no {kind.__name__}: {error}"[:300]) from error


def read_signal(kind: type[T], given: Sequence[Any]) -> T | None:
    """The argument of a Signal; None if there is none of this type. What else came is left: nobody waits for an answer.

    Args:
        kind: The type that it should have.
        given: What the Signal brought, as plain data.
    """
    try:
        return cast(T, value_to_type(kind, given[0])) if given else None
    except (TypeError, ValueError, OverflowError):
        return None
